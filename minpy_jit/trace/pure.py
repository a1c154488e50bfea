"""`@trace(pure=True)`: after the first call with a signature, Python is skipped and the executor runs at once.

The first call is recorded as any region is. What it used is remembered by where it came from (an argument, a captured array), so a later
call reads all of it anew; arrays that it wrote to are written again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import config
from ..errors import TraceError, user_line
from .handle import Handle, materialised
from .pytree import Structure, flatten
from .recorder import Recorder, current, look, observe, run_step
from .region import Region
from .stats import stats
from .step import Step
from .types import ArrayType, type_of


class Session:
    """The recording of one pure call.

    Attributes:
        name: of the region.
        sources: for each input of the segment, the handle that it was read from.
        redo: identity of a random result's handle -> how to draw it again.
        written: handles that were given another value.
    """

    __slots__ = ("name", "redo", "sources", "written")

    def __init__(self, name: str) -> None:
        self.name = name
        self.sources: list[Handle | None] = []
        self.redo: list[tuple[Callable[[], Any], list[Handle]]] = []
        self.written: list[Handle] = []

    def mutated(self, handle: Handle) -> None:
        """Told by the numpy layer of each in-place write."""
        if not any(h is handle for h in self.written):
            self.written.append(handle)

    def drawn(self, again: Callable[[], Any], result: Any) -> None:
        """Told by the random module: `result` was drawn, and `again()` draws anew.

        Raises:
            TraceError: a Python number was drawn, which would be frozen.
        """
        if not isinstance(result, Handle):
            raise TraceError(
                f"[trace] {self.name!r} is traced with pure=True, but a Python number is drawn inside it ({user_line()}); "
                "draw an array (size=...)"
            )
        self.redo.append((again, [result]))

    def host_call(self, name: str) -> None:
        """Told by the fallback layer that a function is about to run in NumPy.

        Raises:
            TraceError: always: its result would be frozen.
        """
        raise TraceError(f"[trace] {self.name!r} is traced with pure=True, but {name} runs in NumPy ({user_line()}); drop pure=True")


@dataclass(slots=True)
class Program:
    """A recorded pure call. Sources are argument positions (ints), captured handles, or (draw, result) pairs."""

    end: Step
    sources: list[Any]
    scalars: list[Any]
    slots: tuple[int, ...]
    results: list[tuple[int, ArrayType] | Any]
    structure: Structure
    writes: list[tuple[Any, int]]
    draws: list[Callable[[], Any]]


class PureRegion(Region):
    """A region whose Python is skipped once it is known."""

    def __init__(self, function: Callable[..., Any] | None, name: str | None = None) -> None:
        super().__init__(function, name)
        self.programs: OrderedDict[Any, Program] = OrderedDict()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        recorder = current()
        if recorder.region is not None or recorder.tapes or recorder.immediate is not None:
            # spliced into what is being recorded
            self.counts["calls"] += 1
            assert self.function is not None
            return self.function(*args, **kwargs)
        leaves, structure = flatten((args, kwargs))
        key = (structure, tuple([_kind(leaf) for leaf in leaves]))
        program = self.programs.get(key)
        if program is None:
            return self._first(recorder, key, leaves, args, kwargs)
        self.counts["calls"] += 1
        self.counts["replays"] += 1
        return self._replay(recorder, program, leaves)

    def _first(self, recorder: Recorder, key: Any, leaves: list[Any], args: Any, kwargs: Any) -> Any:
        assert self.function is not None
        self.counts["calls"] += 1
        # plain NumPy arguments are inputs too: give them handles, so that what is read from them is found again
        given = [_handle(leaf) for leaf in leaves]
        args, kwargs = flatten((args, kwargs))[1].build(given)
        for handle in given:
            if isinstance(handle, Handle):
                observe(handle, "trace")
        session = Session(self.name)
        recorder.enter(self)
        segment = recorder.segment
        recorder.session = session
        try:
            result = self.function(*args, **kwargs)
            outputs, shape = flatten(result)
            results: list[Any] = [(segment.use(o), o.type) if isinstance(o, Handle) else _Static(o) for o in outputs]
            writes = [(self._source(h, given, session), segment.use(h)) for h in session.written if not _inside(h, session, given)]
            scalars, end = list(segment.scalars), segment.cursor
        finally:
            recorder.session = None
            recorder.leave()
        slots = tuple(sorted({r[0] for r in results if isinstance(r, tuple)} | {slot for _, slot in writes}))
        sources = [self._source(h, given, session) for h in session.sources]
        self.programs[key] = Program(end, sources, scalars, slots, results, shape, writes, [again for again, _ in session.redo])
        if len(self.programs) > config.max_executors:
            self.programs.popitem(last=False)
        return result

    @staticmethod
    def _source(handle: Handle | None, given: list[Any], session: Session) -> Any:
        assert handle is not None
        for k, g in enumerate(given):
            if g is handle:
                return ("argument", k, None)
        root, chain = _unviewed(handle)
        for draw, (_, drawn) in enumerate(session.redo):
            for k, h in enumerate(drawn):
                if h is root or (h.data is not None and h.data is root.data):
                    return ("draw", (draw, k), chain)
        for k, g in enumerate(given):
            if isinstance(g, Handle):
                its_root, its_chain = _unviewed(g)
                if its_root is root and chain[: len(its_chain)] == its_chain:
                    return ("argument", k, chain[len(its_chain) :])
        return ("captured", root, chain)

    def _replay(self, recorder: Recorder, program: Program, leaves: list[Any]) -> Any:
        drawn = [flatten(again())[0] for again in program.draws]
        inputs = []
        for kind, which, chain in program.sources:
            if kind == "argument":
                value = leaves[which]
                data = observe(value, "trace") if isinstance(value, Handle) else value
            elif kind == "captured":
                data = observe(which, "trace")
            else:
                data = observe(drawn[which[0]][which[1]], "trace")
            inputs.append(look(data, chain) if chain else data)
        outcome = run_step(program.end, program.slots, inputs, program.scalars)
        self.counts[f"{outcome.executor}_runs"] += 1
        stats.counts["pure_replays"] += 1
        if outcome.errors:
            raise next(iter(outcome.errors.values()))
        values = outcome.values
        for (kind, which, _), slot in program.writes:
            target = leaves[which] if kind == "argument" else which
            write(target, values[slot])
        return program.structure.build([r.value if type(r) is _Static else materialised(values[r[0]], r[1]) for r in program.results])


def _unviewed(handle: Handle) -> tuple[Handle, tuple[Any, ...]]:
    """The root that a handle shows, and through which views."""
    alias = handle.alias
    return (handle, ()) if alias is None or alias.base is None else (alias.base, alias.chain)


def write(target: Any, value: np.ndarray) -> None:
    """Give an array that a pure function wrote to its new value."""
    if not isinstance(target, Handle):
        target[...] = value
        return
    target.segment, target.index, target.data = None, -1, value
    if target.alias is not None:
        target.alias.version += 1


class _Static:
    """A result that is no array."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _kind(leaf: Any) -> Any:
    """What of an argument is part of the signature: an array's type, anything else's value."""
    if isinstance(leaf, Handle):
        return leaf.type
    if isinstance(leaf, np.ndarray):
        return type_of(leaf)
    if type(leaf) is float:
        return (float, leaf.hex())
    try:
        hash(leaf)
    except TypeError:
        raise TraceError(f"[trace] pure=True needs hashable arguments besides arrays; got {type(leaf).__name__}") from None
    return (type(leaf), leaf)


def _handle(leaf: Any) -> Any:
    return materialised(leaf.copy(), type_of(leaf)) if type(leaf) is np.ndarray else leaf


def _inside(handle: Handle, session: Session, given: list[Any]) -> bool:
    """Whether a written array was made inside the call: then nobody outside sees the write."""
    alias = handle.alias
    root = alias.base if alias is not None and alias.base is not None else handle
    if any(g is root for g in given):
        return False
    return not any(s is root for s in session.sources)
