"""Memory: a loop that observes nothing stays flat; a chain of 10^6 steps is recorded, run and dropped without recursion.

10^6 turns of `y = y * 0.5 + x` on 16×16 float32 with nothing observed, at the default limits: growth of the process's memory and bytes held
by caches. Then, with the limits raised, a chain of 10^6 steps that is flushed at once, and another that is dropped without being run.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy

import minpy_jit
import minpy_jit.numpy as np

from .timing import console, duration, main, table

# growth that is still flat: what 10^6 turns may add once 10^4 have run
GROWTH_MIB = 32


def resident() -> float:
    """Resident memory of this process, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def turns(x: Any, y: Any, number: int) -> Any:
    """`number` turns, two steps each, nothing observed."""
    for _ in range(number):
        y = y * 0.5 + x
    return y


def run(quick: bool) -> list[str]:
    """Print both tables; returns the bounds that are not met."""
    number = 50_000 if quick else 1_000_000
    unmet = []
    x = np.ones((16, 16), np.float32)
    y = turns(x, x, 10_000)
    gc.collect()
    before, started = resident(), perf_counter()
    y = turns(x, y, number)
    seconds = perf_counter() - started
    gc.collect()
    growth = resident() - before
    correct = bool(numpy.allclose(y.asnumpy(), 2.0))
    found = minpy_jit.stats()
    rows = [
        ("turns, nothing observed", f"{number:,}"),
        ("time per turn", duration(seconds / number)),
        ("growth of resident memory", f"{growth:.1f} MiB"),
        ("bytes held by executors", f"{found['bytes_held']:,}"),
        ("flushes", ", ".join(f"{cause} {n:,}" for cause, n in found["flush_causes"].items())),
        ("remembered steps", f"{minpy_jit.info()['trie_steps']:,}"),
        ("result is right", correct),
    ]
    console().print(table("an endless loop", ("", "value"), rows))
    if growth > GROWTH_MIB:
        unmet.append(f"memory grew by {growth:.1f} MiB; at most {GROWTH_MIB}")
    if not correct:
        unmet.append("the loop's result is wrong")
    del y
    return unmet + long_chain(number)


def long_chain(number: int) -> list[str]:
    """One segment of `number` steps, flushed; and one that nobody observes."""
    x = numpy.zeros((4, 4), numpy.float32)
    rows, unmet = [], []
    unlimited = {"max_steps": 10 * number, "max_pending_bytes": 1 << 62, "max_trie_steps": 10 * number}
    with minpy_jit.config.override(**unlimited):
        minpy_jit.clear_caches()
        for name in ("flushed", "dropped"):
            y = np.array(x)
            one = np.array(numpy.ones((4, 4), numpy.float32))
            started = perf_counter()
            for _ in range(number):
                y = y + one
            recorded = perf_counter() - started
            minpy_jit.reset_stats()
            started = perf_counter()
            if name == "flushed":
                right = bool((y.asnumpy() == numpy.float32(number)).all())
                flushes = minpy_jit.stats()["flushes"]
                if not right or flushes != 1:
                    unmet.append(f"a chain of {number:,} steps: {flushes} flushes, right: {right}")
            else:
                del y
                # nobody holds any of it: the segment is dropped, and nothing runs
                minpy_jit.flush()
                if minpy_jit.flush_log()[-1].executor != "none":
                    unmet.append(f"a dropped chain ran: {minpy_jit.flush_log()[-1]}")
            finished = perf_counter() - started
            held = resident()
            rows.append((name, f"{number:,}", duration(recorded / number), duration(finished), f"{held:,.0f} MiB"))
        del one
        minpy_jit.clear_caches()
        gc.collect()
    columns = ("a chain", "steps", "recorded, per step", "flushed or dropped", "resident then")
    console().print(table("one segment, limits raised", columns, rows))
    print(f"   resident after clear_caches(): {resident():,.0f} MiB")
    return unmet


if __name__ == "__main__":
    main(run)
