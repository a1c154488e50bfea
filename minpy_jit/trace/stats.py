"""Counters and the flush log: what happened, per process. Reading never changes them."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from types import CodeType
from typing import NamedTuple

from ..config import config
from ..errors import locate


class FlushRecord(NamedTuple):
    """One flush: why, where in the user's program, and what ran.

    Attributes:
        cause: the observer ("print", "bool", "asnumpy" …), "limit", "trace", "fallback name" …
        site: call site in the user's code; `where` is its `file:line`.
        steps: recorded steps of the segment.
        live: results that somebody could still observe.
        executor: "mxnet", "reference", "mixed" (MXNet segments and host steps), "stepwise" (a first encounter on a device: each step by
            itself) or "none" (nothing was live).
        nodes: MXNet nodes run.
        host_steps: steps that ran through NumPy.
        compiled: whether executors were bound in this flush.
        seconds: wall time of the flush.
        transfers: arrays copied to the host and to other devices while it ran (observing a result on a device comes later).
    """

    cause: str
    site: tuple[CodeType, int] | None
    steps: int
    live: int
    executor: str
    nodes: int
    host_steps: int
    compiled: bool
    seconds: float
    transfers: tuple[int, int] = (0, 0)

    @property
    def where(self) -> str:
        """`file:line` of the user's code."""
        return locate(self.site)


class Stats:
    """The counters behind `minpy_jit.stats()`."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Set every counter to zero and empty the flush log."""
        self.counts: Counter[str] = Counter()
        self.flush_causes: Counter[str] = Counter()
        self.fallbacks: dict[tuple[str, str], list[float]] = {}
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.log: deque[FlushRecord] = deque(maxlen=config.flush_log)


stats = Stats()
