"""A chain of element-wise operations by size: lazy against eager, bare `mx.nd` and NumPy, first call included.

20 turns of `z = tanh(z * y) + y` (60 steps), float32, from 16×16 to 1000×1000, observed at the end. Where we lose, it shows.
"""

from __future__ import annotations

from contextlib import ExitStack
from time import perf_counter
from typing import Any

import numpy

import minpy_jit
import minpy_jit.numpy as np

from .timing import Block, bare, block, console, duration, interleaved, main, settled, table

TURNS = 20
SIZES = (16, 64, 256, 1000)


def work(namespace: Any, x: Any, y: Any) -> Any:
    """The chain."""
    z = x
    for _ in range(TURNS):
        z = namespace.tanh(z * y) + y
    return z


def first_call(mode: str, a: Any, b: Any) -> float:
    """Seconds of the first call in a mode, with empty caches (MXNet is loaded)."""
    minpy_jit.clear_caches()
    with minpy_jit.mode(mode):
        started = perf_counter()
        work(np, np.array(a), np.array(b)).asnumpy()
        return perf_counter() - started


def run(quick: bool) -> list[str]:
    """Print a table; returns the sizes at which lazy is slower than eager after warm-up."""
    sizes = SIZES[:2] if quick else SIZES
    blocks = 3 if quick else 9
    rows, firsts, unmet = [], [], []
    for size in sizes:
        a, b = numpy.ones((size, size), numpy.float32), numpy.full((size, size), 0.5, numpy.float32)
        x, y = np.array(a), np.array(b)

        def ours(mode: str, x: Any = x, y: Any = y) -> Block:
            def call() -> None:
                with minpy_jit.mode(mode):
                    work(np, x, y).asnumpy()

            return block(call)

        first_call("eager", a[:1], b[:1])
        first = {mode: first_call(mode, a, b) for mode in ("eager", "lazy")}
        with ExitStack() as stack:
            contestants: dict[str, Block] = {
                "NumPy": block(lambda a=a, b=b: work(numpy, a, b)),  # type: ignore[misc]
                "mx.nd": stack.enter_context(bare("mixed", size, TURNS)),
                "eager": ours("eager"),
                "lazy": ours("lazy"),
            }
            calls = max(1, min(50, 2_000_000 // (size * size * 10)))
            times = interleaved(contestants, calls, blocks, warmup=3)
        lazy = times["lazy"].median
        ratios = [f"{lazy / times[name].median:.2f}" for name in ("NumPy", "mx.nd", "eager")]
        rows.append((f"{size}×{size}", *[settled(times[n]) for n in contestants], *ratios))
        firsts.append((f"{size}×{size}", *[duration(first[m]) for m in ("eager", "lazy")]))
        # a tenth is within what two runs of the same thing differ by here
        if lazy > 1.1 * times["eager"].median:
            unmet.append(f"{size}×{size}: lazy takes {lazy / times['eager'].median:.2f} of eager's time")
        if first["lazy"] > max(1.2 * first["eager"], first["eager"] + 0.1):
            unmet.append(f"{size}×{size}: first call lazy {duration(first['lazy'])}, eager {duration(first['eager'])}")
    columns = ("size", "NumPy", "mx.nd", "eager", "lazy", "lazy / NumPy", "/ mx.nd", "/ eager")
    title = f"{TURNS} turns of z = tanh(z * y) + y, float32"
    console().print(table(title, columns, rows))
    console().print(table(f"{title}: first call, caches empty, MXNet loaded", ("size", "eager", "lazy"), firsts))
    return unmet


if __name__ == "__main__":
    main(run)
