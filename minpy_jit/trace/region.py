"""`@minpy_jit.trace`: a region of a program that is recorded and flushed as a unit, with a place of its own in the trie.

Python runs at every call (but for `pure=True`, see pure.py), so branches, prints and globals are right at every call.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from time import perf_counter
from types import TracebackType
from typing import Any

from ..errors import call_site
from .recorder import current
from .stats import stats

_explain: Callable[..., str]
_export: Callable[..., Any]


def set_exporter(exporter: Callable[..., Any]) -> None:
    """Told by the symbols layer who writes MXNet symbols."""
    global _export
    _export = exporter


def set_explainer(explainer: Callable[..., str]) -> None:
    """Told by the package's top who writes reports."""
    global _explain
    _explain = explainer


class Region:
    """A traced function, method, lambda or closure; as a context manager, a traced block.

    Only the outermost region seals what was pending (without running it); nested ones are part of it. Results stay lazy.
    """

    def __init__(self, function: Callable[..., Any] | None, name: str | None = None) -> None:
        self.function = function
        self.key: Any = getattr(function, "__code__", None) or function
        self.name: str = name or str(getattr(function, "__qualname__", "trace"))
        self.counts: Counter[str] = Counter()
        self._entered: list[tuple[Any, bool]] = []
        if function is not None:
            functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        assert self.function is not None
        recorder = current()
        self.counts["calls"] += 1
        outer, started = recorder.region, perf_counter()
        try:
            # within: Ctrl-C may come the moment it returns
            recorder.enter(self)
            return self.function(*args, **kwargs)
        finally:
            if outer is None and recorder.region is self:
                # at once, for the same reason
                recorder.region = None
                recorder.leave()
                stats.seconds["record"] += perf_counter() - started

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __enter__(self) -> Region:
        if self.function is None and self.key is None:
            # each `with` statement is a place of its own
            self.key = call_site()
        self.counts["calls"] += 1
        recorder = current()
        outermost = recorder.region is None
        try:
            self._entered.append((recorder, recorder.enter(self)))
        except BaseException:
            # Ctrl-C: nobody will call __exit__
            if outermost and recorder.region is self:
                recorder.region = None
                recorder.leave()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # this thread's last entry: other threads may be inside the same block
        recorder = current()
        at = next(k for k in range(len(self._entered) - 1, -1, -1) if self._entered[k][0] is recorder)
        if self._entered.pop(at)[1]:
            recorder.leave()

    def ran(self, segment: Any, outcome: Any) -> None:
        """Told by the recorder of each run of one of our segments."""
        self.counts["flushes"] += 1
        self.counts["steps"] += segment.steps
        self.counts["compiles"] += bool(outcome.compiled)
        self.counts["mxnet_nodes"] += outcome.nodes
        self.counts["host_steps"] += outcome.host_steps if outcome.executor != "reference" else 0
        self.counts[f"{outcome.executor}_runs"] += 1

    def stats(self) -> dict[str, int]:
        """Counters of this region: `calls`, `flushes`, `compiles`, runs by executor."""
        return dict(self.counts)

    def explain(self, *args: Any, **kwargs: Any) -> str:
        """What a call with these arguments does: see `minpy_jit.explain` (the function is called three times)."""
        return _explain(self, *args, **kwargs)

    def export(self, path: Any, *args: Any, **kwargs: Any) -> Any:
        """Write the function as an MXNet symbol with its parameters, for arguments like these: see `minpy_jit.export`."""
        return _export(self.function, path, *args, **kwargs)

    def warmup(self, *specs: Any) -> None:
        """Compile for arguments like `specs` (arrays, or anything the function takes): calls the function twice and runs it, so its side
        effects happen."""
        for _ in range(2):
            held = self(*specs)
            current().flush("warmup")
            del held

    def clear(self) -> None:
        """Forget what was recorded for this region."""
        current().roots.pop(self.key, None)
        self.counts.clear()


def trace(function: Callable[..., Any] | None = None, *, pure: bool = False, name: str | None = None) -> Any:
    """Record and flush a function, or a `with` block, as a unit.

    Args:
        function: what to decorate: a function, method, lambda or closure. Without it, a decorator with these options, which is also a
            context manager (`with minpy_jit.trace():`).
        pure: a promise that the function depends on nothing but its arguments and the arrays that it captures: after the first call with a
            signature (array types, structure, other values) Python is skipped and the executor runs at once. Observing a value inside
            raises TraceError at the first call.
        name: shown by `explain` and the flush log instead of the function's.

    Returns:
        The decorated function, with `stats()`, `explain(*args)`, `warmup(*specs)`, `clear()`.
    """
    from .pure import PureRegion

    kind = PureRegion if pure else Region
    if function is None:
        return _Options(kind, name)
    if not callable(function):
        raise TypeError(f"[trace] needs a function; got {function!r}")
    return kind(function, name)


class _Options(Region):
    """`trace(...)` without a function: a decorator to be, or a block."""

    def __init__(self, kind: type[Region], name: str | None) -> None:
        super().__init__(None, name)
        self.kind = kind
        self.key = None

    def __call__(self, function: Callable[..., Any]) -> Any:
        return self.kind(function, None if self.name == "trace" else self.name)
