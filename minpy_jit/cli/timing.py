"""The timing loop: blocks of calls that take turns, so that a busy moment of the machine hits all contestants; medians and spread."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

# runs that many calls and says how many seconds they took
Block = Callable[[int], float]


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds per call, one value per block."""

    blocks: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle block."""
        return statistics.median(self.blocks)

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles, as a share of the median."""
        if len(self.blocks) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.blocks, n=4, method="inclusive")
        return (high - low) / 2 / self.median


def block(function: Callable[[], Any], finish: Callable[[], Any] | None = None) -> Block:
    """A block that calls `function` again and again, and at the end `finish`, which awaits what is still under way."""

    def run(calls: int) -> float:
        started = perf_counter()
        for _ in range(calls):
            function()
        if finish is not None:
            finish()
        return perf_counter() - started

    return run


def interleaved(
    contestants: Mapping[str, Block],
    calls: int | Mapping[str, int],
    blocks: int = 7,
    warmup: int = 2,
    progress: Callable[[], Any] | None = None,
) -> dict[str, Timing]:
    """Time contestants against each other.

    Args:
        contestants: what to time, by name.
        calls: calls in a block, of all or by name.
        blocks: how many blocks of each count.
        warmup: blocks of each before those, which do not count.
        progress: called after each block.

    Returns:
        A Timing per name.
    """
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(warmup + blocks):
        for name, run in contestants.items():
            count = calls if isinstance(calls, int) else calls[name]
            seconds = run(count) / count
            if turn >= warmup:
                found[name].append(seconds)
            if progress is not None:
                progress()
    return {name: Timing(tuple(values)) for name, values in found.items()}
