"""`@trace(pure=True)`: after the first call with a signature, Python is skipped and the executor runs at once.

The first call is recorded as any region is. What it used is remembered by where it came from (an argument, a captured array), so a later
call reads all of it anew; arrays that it wrote to are written again.
"""

from __future__ import annotations

import enum
import numbers
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import config
from ..errors import TraceError, user_line
from .context import CPU, Context, DeviceValue, current_context, on_host, place
from .handle import Alias, Handle, constructors, materialised, new, root_of, witnesses
from .pytree import Structure, flatten
from .recorder import Recorder, Segment, current, look, observe, run_step, value_of
from .region import Region
from .stats import stats
from .step import INPUT, Step
from .types import ArrayType, type_of

# the views through which a root is seen: (op, numbers, params) each
Chain = tuple[Any, ...]
# where a value comes from: ("argument", position), ("captured", handle), ("made", number) or ("constant", value), and the views
Source = tuple[str, Any, Chain]

# results that are no arrays, and mean the same whenever they are returned again
_LASTING = (type(None), str, bytes, numbers.Number, np.generic, np.dtype, type, enum.Enum, range, slice, type(...))


class Session:
    """The recording of one pure call.

    Attributes:
        name: of the region.
        sources: for each input of the segment, where its value came from.
        redo: how to make an array again that each call makes anew (a random draw, a copy of what is not ours), and the one that was made.
        copies: those of them that are copies.
        foreign: captured arrays of NumPy's own.
        masks: captured masks of NumPy's own (they decide about shapes), and what they were.
        written: arrays made before the call that were given another value.
    """

    __slots__ = ("_arguments", "_made", "_recorder", "copies", "foreign", "masks", "name", "redo", "sources", "written")

    def __init__(self, name: str, recorder: Recorder, arguments: Mapping[int, tuple[int, Handle]]) -> None:
        self.name = name
        self._recorder = recorder
        # by identity of the handle that the function got
        self._arguments = arguments
        # values made by the function from no array of ours: the same at every call
        self._made: dict[int, Any] = {}
        self.sources: list[Source] = []
        self.redo: list[tuple[Callable[[], Any], Any, ArrayType]] = []
        self.copies: list[tuple[Callable[[], Any], Any]] = []
        self.foreign: list[np.ndarray] = []
        self.masks: list[tuple[np.ndarray, np.ndarray]] = []
        self.written: list[Handle] = []

    def made(self, handle: Handle) -> None:
        """Told of each handle on a value that exists."""
        if current() is self._recorder and handle.memory is not None:
            self._made[id(handle.memory)] = handle.memory

    def outlives(self, handle: Handle) -> None:
        """Told of an array that was made during the call, but is kept from one call to the next: it counts as captured."""
        self._made.pop(id(handle.memory), None)

    def is_inside(self, root: Handle) -> bool:
        """Whether an array was made by the function: nobody outside sees what becomes of it."""
        return root.segment is self._recorder.segment if root.memory is None else id(root.memory) in self._made

    def mutated(self, handle: Handle) -> None:
        """Told by the numpy layer of each in-place write, before it happens."""
        if not any(h is handle for h in self.written) and not self.is_inside(handle):
            self.written.append(handle)

    def place(self, root: Handle) -> tuple[str, Any]:
        """Where a later call finds the array that this is now."""
        argument = self._arguments.get(id(root))
        if argument is not None:
            return "argument", argument[0]
        for number, (_, memory, _) in enumerate(self.redo):
            if root.memory is memory:
                return "made", number
        if root.memory is not None and id(root.memory) in self._made:
            return "constant", root.memory
        return "captured", root

    def owner(self, root: Handle) -> tuple[str, Any]:
        """Whose array this is, at the end of the call: an argument, a captured one, or one from inside."""
        argument = self._arguments.get(id(root))
        if argument is not None:
            return "argument", argument[0]
        if self.is_inside(root) and not any(h is root for h in self.written):
            return "inside", None
        return "captured", root

    def drawn(self, again: Callable[[], Any], result: Any) -> None:
        """Told by the random module: `result` was drawn, and `again()` draws anew.

        Raises:
            TraceError: a Python number was drawn, which would be frozen.
        """
        if not isinstance(result, Handle) or result.memory is None:
            raise TraceError(
                f"[trace] {self.name!r} is traced with pure=True, but a Python number is drawn inside it ({user_line()}); "
                "draw an array (size=...)"
            )
        self.redo.append((again, result.memory, result.type))

    def read(self, source: Any, again: Callable[[], Any], result: Handle) -> None:
        """Told by the numpy layer: `result` was copied from something of the caller's that may change, and `again()` copies it anew."""
        assert result.memory is not None
        self.redo.append((again, result.memory, result.type))
        self.copies.append((again, result.memory))
        if isinstance(source, np.ndarray):
            self.foreign.append(source)

    def check_copies(self) -> None:
        """At the end of the call: what it copied from is still what it was.

        Raises:
            TraceError: the function itself has changed it, which a later call, whose Python is skipped, would not.
        """
        for again, memory in self.copies:
            if on_host(value_of(again(), "trace")).tobytes() != on_host(memory).tobytes():
                raise TraceError(
                    f"[trace] {self.name!r} is traced with pure=True, but changes an array or list of the caller's, or one of NumPy's that "
                    "it made, after it was copied; make it with minpy_jit.numpy, or drop pure=True"
                )

    def masked(self, mask: np.ndarray) -> None:
        """Told by the numpy layer: a mask of the caller's chose elements."""
        self.masks.append((mask, mask.copy()))

    def host_call(self, name: str) -> None:
        """Told by the fallback layer that a function is about to run in NumPy.

        Raises:
            TraceError: always: its result would be frozen.
        """
        raise TraceError(f"[trace] {self.name!r} is traced with pure=True, but {name} runs in NumPy ({user_line()}); drop pure=True")


class _Recording(Segment):
    """The segment of a pure call: arrays that share memory for the moment (copies do) are inputs of their own."""

    __slots__ = ()

    def use_data(self, data: Any, type_: ArrayType, source: Handle | None = None) -> int:
        session = self.recorder.session
        assert source is not None and session is not None
        root, chain = _unviewed(source)
        key = (id(root), id(data))
        slot = self.input_slots.get(key)  # type: ignore[call-overload]
        if slot is None:
            slot = self.advance(INPUT, (), (), type_, noted=self.inputs, value=data).index
            self.input_slots[key] = slot  # type: ignore[index]
            session.sources.append((*session.place(root), chain))
        return slot

    def _use_pending(self, handle: Handle) -> int:
        # captured while it is pending: run what it needs, which lies before the call
        session, self.recorder.session = self.recorder.session, None
        try:
            value_of(handle, "trace")
        finally:
            self.recorder.session = session
        return self.use(handle)


@dataclass(slots=True)
class Program:
    """A recorded pure call.

    Attributes:
        sources: where each input comes from.
        fresh: slots and types of the arrays that the function makes and returns (or returns views of).
        results: a source each, with the type, or a value that is no array.
        writes: whose values are replaced, and by which slots.
        makers: make random draws and copies anew, of these types.
        masks: captured masks that must still be what they were.
    """

    end: Step
    sources: list[Source]
    scalars: list[Any]
    slots: tuple[int, ...]
    fresh: list[tuple[int, ArrayType]]
    results: list[Any]
    structure: Structure
    writes: list[tuple[Source, int]]
    makers: list[tuple[Callable[[], Any], ArrayType]]
    masks: list[tuple[np.ndarray, np.ndarray]]


class PureRegion(Region):
    """A region whose Python is skipped once it is known.

    Attributes:
        session: the kind of account that is kept of the first call.
    """

    session: type[Session] = Session

    def __init__(self, function: Callable[..., Any] | None, name: str | None = None) -> None:
        super().__init__(function, name)
        self.programs: OrderedDict[Any, Program] = OrderedDict()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        recorder = current()
        self.counts["calls"] += 1
        assert self.function is not None
        if recorder.region is not None or recorder.tapes or recorder.immediate is not None:
            # spliced into what is being recorded
            return self.function(*args, **kwargs)
        leaves, structure = flatten((args, kwargs))
        roots = [_unviewed(leaf)[0] if isinstance(leaf, Handle) else leaf for leaf in leaves if isinstance(leaf, (Handle, np.ndarray))]
        if _overlap(roots):
            return self.function(*args, **kwargs)
        first = {id(root): k for k, root in reversed(list(enumerate(roots)))}
        # which arrays are the same one is part of the signature
        shared = None if len(first) == len(roots) else tuple([first[id(root)] for root in roots])
        key = (structure, tuple([_kind(leaf) for leaf in leaves]), shared, current_context(), _ambient())
        program = self.programs.get(key)
        if program is None:
            return self._first(recorder, key, leaves, structure)
        self.counts["replays"] += 1
        return self._replay(program, leaves)

    def _first(self, recorder: Recorder, key: Any, leaves: list[Any], structure: Structure) -> Any:
        assert self.function is not None
        # the function gets handles of its own, so that an argument is told from the same array captured
        arguments: dict[int, tuple[int, Handle]] = {}
        inner: dict[int, Handle] = {}
        given: list[Any] = []
        context = _context(leaves)
        for k, leaf in enumerate(leaves):
            if not isinstance(leaf, (Handle, np.ndarray)):
                given.append(leaf)
                continue
            root, chain = _unviewed(leaf) if isinstance(leaf, Handle) else (leaf, ())
            handle = inner.get(id(root))
            if handle is None:
                data = value_of(root, "trace").view() if isinstance(root, Handle) else _native(root).copy(order="K")
                handle = inner[id(root)] = materialised(data, root.type if isinstance(root, Handle) else type_of(data, context))
                arguments[id(handle)] = (k, handle)
            given.append(_view(handle, chain, leaf.type) if chain and isinstance(leaf, Handle) else handle)
        args, kwargs = structure.build(given)
        session = self.session(self.name, recorder, arguments)
        witness = session.made
        try:
            # within: Ctrl-C may come the moment a call returns
            recorder.enter(self)
            segment = recorder.segment = _Recording(recorder, recorder.segment.cursor)
            recorder.session = session
            witnesses.append(witness)
            result = self.function(*args, **kwargs)
            session.check_copies()
            outputs, shape = flatten(result)
            fresh: dict[int, tuple[int, tuple[int, ArrayType]]] = {}
            results = [self._result(o, session, segment, fresh) for o in outputs]
            writes = [((*session.owner(h), ()), segment.use(h)) for h in session.written]
            scalars, end = list(segment.scalars), segment.cursor
            captured = {id(which) for kind, which, _ in (*session.sources, *(w for w, _ in writes)) if kind == "captured"}
            if writes and any(id(_root(leaf)) in captured or _shares(leaf, session.foreign) for leaf in leaves):
                raise TraceError(
                    f"[trace] {self.name!r} is traced with pure=True and writes to arrays, and one of its arguments is captured as well; "
                    "pass it or capture it, not both"
                )
        finally:
            recorder.session = recorder.region = None
            if witness in witnesses:
                witnesses.remove(witness)
            written = [(leaves[arguments[id(h)][0]], h) for h in session.written if id(h) in arguments]
            for leaf, handle in written:
                if isinstance(leaf, Handle):
                    _take(_unviewed(leaf)[0], handle)
            recorder.leave()
        for leaf, handle in written:
            if not isinstance(leaf, Handle):
                leaf[...] = observe(handle, "trace")
        made = [f for _, f in fresh.values()]
        slots = tuple(sorted({slot for slot, _ in made} | {slot for _, slot in writes}))
        makers = [(again, type_) for again, _, type_ in session.redo]
        self.programs[key] = Program(end, session.sources, scalars, slots, made, results, shape, writes, makers, session.masks)
        if len(self.programs) > config.max_executors:
            self.programs.popitem(last=False)
        # arguments that are returned are the caller's, not the function's own
        back = [
            self._argument(leaves, r[1], r[2], r[3]) if r[0] == "argument" and isinstance(leaves[r[1]], Handle) else o
            for r, o in zip(results, outputs, strict=True)
        ]
        return shape.build(back)

    @staticmethod
    def _result(output: Any, session: Session, segment: Segment, fresh: dict[int, tuple[int, tuple[int, ArrayType]]]) -> tuple:
        if type(output) is np.ndarray:
            return ("static", output.copy(order="K"))
        if not isinstance(output, (Handle, *_LASTING)):
            raise TraceError(
                f"[trace] {session.name!r} is traced with pure=True, but returns a {type(output).__name__}, which a later call could not "
                "make again; return arrays, numbers, strings, or tuples, lists and dicts of them"
            )
        if not isinstance(output, Handle):
            return ("static", output)
        root, chain = _unviewed(output)
        kind, which = session.owner(root)
        if kind in ("argument", "captured"):
            return (kind, which, chain, output.type)
        if id(root) not in fresh:
            fresh[id(root)] = (len(fresh), (segment.use(root), root.type))
        return ("fresh", fresh[id(root)][0], chain, output.type)

    @staticmethod
    def _argument(leaves: list[Any], which: int, chain: Chain, type_: ArrayType) -> Any:
        """An argument that the function returns, or a view of it."""
        leaf = leaves[which]
        if not isinstance(leaf, Handle):
            return materialised(look(_native(leaf), chain).copy(order="K"), type_)
        root, its_chain = _unviewed(leaf)
        if chain == its_chain:
            return leaf
        return _view(root, chain, type_) if chain else root

    def _made_again(self, program: Program) -> list[Handle]:
        """Random draws, and copies of captured arrays and lists that are not ours.

        Raises:
            TraceError: what is captured does not fit the program any more.
        """
        made = [again() for again, _ in program.makers]
        fit = all(m.type.shape == t.shape and m.type.dtype == t.dtype for m, (_, t) in zip(made, program.makers, strict=True))
        if not fit or not all(np.array_equal(now, then) for now, then in program.masks):
            raise TraceError(
                f"[trace] {self.name!r} is traced with pure=True, but a list, mask or array of NumPy's that it captures has another shape, "
                "dtype or selection now; pass it as an argument, or drop pure=True"
            )
        return made

    def _replay(self, program: Program, leaves: list[Any]) -> Any:
        made = self._made_again(program)
        inputs = []
        foreign: list[np.ndarray] = []
        context = _context(leaves)
        for kind, which, chain in program.sources:
            if kind == "argument":
                leaf = leaves[which]
                if isinstance(leaf, Handle):
                    data = value_of(_unviewed(leaf)[0], "trace")
                elif context is CPU:
                    data = _native(leaf)
                    foreign.append(data)
                else:
                    data = place(_native(leaf).copy(order="K"), context)
            elif kind == "captured":
                data = value_of(which, "trace")
            else:
                data = which if kind == "constant" else value_of(made[which], "trace")
            inputs.append(look(data, chain) if chain else data)
        outcome = run_step(program.end, program.slots, inputs, program.scalars)
        self.counts[f"{outcome.executor}_runs"] += 1
        stats.counts["pure_replays"] += 1
        if outcome.errors:
            raise next(iter(outcome.errors.values()))
        values = outcome.values
        for data in foreign:
            # what comes back must not be the caller's own memory
            for slot, value in values.items():
                if isinstance(value, DeviceValue):
                    if value.known() and np.may_share_memory(value.host(), data):
                        values[slot] = place(value.host().copy(order="K"), value.context)
                elif np.may_share_memory(value, data):
                    values[slot] = value.copy(order="K")
        for (kind, which, _), slot in program.writes:
            write(_root(leaves[which]) if kind == "argument" else which, values[slot])
        fresh = [materialised(values[slot], type_) for slot, type_ in program.fresh]
        found: list[Any] = []
        for result in program.results:
            kind = result[0]
            if kind == "fresh":
                _, which, chain, type_ = result
                found.append(_view(fresh[which], chain, type_) if chain else fresh[which])
            elif kind == "static":
                found.append(result[1].copy(order="K") if type(result[1]) is np.ndarray else result[1])
            elif kind == "argument":
                found.append(self._argument(leaves, *result[1:]))
            else:
                _, which, chain, type_ = result
                found.append(_view(which, chain, type_) if chain else which)
        return program.structure.build(found)


def _context(leaves: list[Any]) -> Context:
    """Where NumPy's own arrays among the arguments are taken to: to where ours are."""
    for leaf in leaves:
        if isinstance(leaf, Handle):
            return leaf.type.context
    return current_context()


def _root(leaf: Any) -> Any:
    """The array whose memory an argument is."""
    return _unviewed(leaf)[0] if isinstance(leaf, Handle) else leaf


def _shares(leaf: Any, foreign: list[np.ndarray]) -> bool:
    """Whether an argument is memory of NumPy's that is captured too."""
    return isinstance(leaf, np.ndarray) and any(np.may_share_memory(leaf, f) for f in foreign)


def _unviewed(handle: Handle) -> tuple[Handle, Chain]:
    """The root that a handle shows, and through which views."""
    alias = handle.alias
    return (handle, ()) if alias is None or alias.base is None else (root_of(handle), alias.chain)


def _view(root: Handle, chain: Chain, type_: ArrayType) -> Handle:
    """A view of `root`."""
    if root.alias is None:
        root.alias = Alias(None, (), 0)
    view: Handle = new(constructors()[0])
    view.segment, view.index, view.type, view.memory = None, -1, type_, None
    view.alias = Alias(root, chain, root.alias.version)
    return view


def _native(array: np.ndarray) -> np.ndarray:
    """A caller's array as a plain one in native byte order (itself where it is)."""
    plain = np.asarray(array)
    return plain if plain.dtype.isnative else plain.astype(plain.dtype.newbyteorder("="))


def _overlap(roots: list[Any]) -> bool:
    """Whether two different arrays of the caller's share memory: which writes then meet which reads is left to NumPy."""
    foreign = [r for r in roots if isinstance(r, np.ndarray)]
    return len(foreign) > 1 and any(a is not b and np.may_share_memory(a, b) for k, a in enumerate(foreign) for b in foreign[:k])


def _take(target: Handle, source: Handle) -> None:
    """Make `target` mean what `source` means now."""
    target.segment, target.index, target.memory = source.segment, source.index, source.memory
    if source.memory is None and source.segment is not None:
        source.segment.arrays.append(target)
    if target.alias is not None:
        target.alias.version += 1


def write(target: Any, value: Any) -> None:
    """Give an array that a pure function wrote to its new value."""
    if not isinstance(target, Handle):
        target[...] = on_host(value)
        return
    target.segment, target.index, target.memory = None, -1, place(value, target.type.context)
    if target.alias is not None:
        target.alias.version += 1


def _kind(leaf: Any) -> Any:
    """What of an argument is part of the signature: an array's type (and what it is a view of), anything else's value, bit for bit."""
    if isinstance(leaf, Handle):
        root, chain = _unviewed(leaf)
        return (leaf.type, root.type, chain) if chain else leaf.type
    if isinstance(leaf, np.ndarray):
        return (np.ndarray, type_of(_native(leaf)))
    if type(leaf) is float:
        return (float, leaf.hex())
    if type(leaf) is complex:
        return (complex, leaf.real.hex(), leaf.imag.hex())
    if isinstance(leaf, np.generic):
        return (type(leaf), leaf.dtype, leaf.tobytes())
    try:
        hash(leaf)
    except TypeError:
        raise TraceError(f"[trace] pure=True needs hashable arguments besides arrays; got {type(leaf).__name__}") from None
    return (type(leaf), leaf)


def _nothing() -> Any:
    return None


_ambient: Callable[[], Any] = _nothing


def set_ambient(ambient: Callable[[], Any]) -> None:
    """Told by the numpy layer what besides the arguments decides about results (the default dtype)."""
    global _ambient
    _ambient = ambient
