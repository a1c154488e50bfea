"""MinPy's profiler: how often functions and blocks of code were entered, and how long they took.

>>> @minprof
... def work():
...     return sum(range(10))
>>> work()
45
>>> with minprof("a block"):
...     work()
45
>>> {name: len(calls) for (_, _, name), calls in sorted(minprof.get_stats().timings.items(), key=lambda item: item[0][2])}
{'a block': 1, 'work': 2}
>>> minprof.reset()

What is recorded in one place may run in another, where a value is looked at: `flush_log()` and `explain` tell what ran, and how long that
took.
"""

from __future__ import annotations

import functools
import pickle
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

__all__ = ["FuncCallProfiler", "FuncCallStats", "minprof"]

# whether functions are timed that are decorated from here on
MINPROF_FLAG = True
# (file, first line, function or label)
Place = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class FuncCallStats:
    """What was measured: by place, for each call, (1, when it began, when it ended), in seconds."""

    timings: dict[Place, list[tuple[int, float, float]]] = field(default_factory=dict)


class _Block:
    """A `with` block that is timed."""

    def __init__(self, profiler: FuncCallProfiler, label: str) -> None:
        self.profiler, self.label = profiler, label
        # a block within itself, by recursion, has a beginning of its own
        self.begun: list[tuple[Place, float]] = []

    def __enter__(self) -> None:
        frame = sys._getframe(1)
        self.begun.append(((frame.f_code.co_filename, frame.f_lineno, self.label), time.perf_counter()))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.profiler.add(*self.begun.pop())


class FuncCallProfiler:
    """The profiler; `minprof` is one, which programs share."""

    def __init__(self) -> None:
        self._timings: dict[Place, list[tuple[int, float, float]]] = {}
        self._lock = threading.Lock()

    def __call__(self, what: Callable[..., Any] | str | None = None) -> Any:
        """A function (`minprof` as a decorator) that is timed at each call; with a label or nothing, a `with` block that is timed."""
        if what is None or isinstance(what, str):
            return _Block(self, what or "with")
        function = what
        if not MINPROF_FLAG:
            return function
        code = getattr(function, "__code__", None)
        name = getattr(function, "__name__", repr(function))
        place = ("~", 0, name) if code is None else (code.co_filename, code.co_firstlineno, name)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            begun = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.add(place, begun)

        return timed

    def add(self, place: Place, begun: float) -> None:
        """Note a call that ends now."""
        ended = time.perf_counter()
        with self._lock:
            self._timings.setdefault(place, []).append((1, begun, ended))

    def get_stats(self) -> FuncCallStats:
        """What was measured so far."""
        with self._lock:
            return FuncCallStats({place: list(calls) for place, calls in self._timings.items()})

    def reset(self) -> None:
        """Forget what was measured."""
        with self._lock:
            self._timings.clear()

    def dump_stats(self, filename: str | Path) -> None:
        """Write what was measured to a file, as a pickle of `FuncCallStats`."""
        with open(filename, "wb") as file:
            pickle.dump(self.get_stats(), file, pickle.HIGHEST_PROTOCOL)

    def print_stats(self, stream: TextIO | None = None) -> None:
        """Print calls, milliseconds in all and milliseconds per call of each place."""
        stream = sys.stdout if stream is None else stream
        print(f"{'ncalls':>10} {'tottime':>10} {'percall':>10}    filename:lineno(function), times in ms", file=stream)
        for (filename, line, name), calls in sorted(self.get_stats().timings.items()):
            total = 1e3 * sum(ended - begun for _, begun, ended in calls)
            shown = filename if len(filename) <= 40 else f"...{filename[-40:]}"
            print(f"{len(calls):>10} {total:>10.4f} {total / len(calls):>10.4f}    {shown}:{line}({name})", file=stream)


minprof = FuncCallProfiler()
