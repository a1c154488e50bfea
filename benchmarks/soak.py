"""Soak: 10^6 flushes of varied programs in one process; memory, file descriptors, executors, arrays and remembered steps stay flat.

The programs take turns: arithmetic on changing numbers, training steps by `grad`, views and writes in place, fallbacks, traced and pure
functions, masks and branches on values, random draws, gradients by hand over a flush, errors in a flush, other threads, and now and then a
shape that was never there. Each compares what it computes with plain NumPy. The limits are set low, so that all of them are met many times.
"""

from __future__ import annotations

import gc
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.exec.mx import Executor
from minpy_jit.trace.handle import Handle

from .memory import resident
from .timing import console, main, table

LIMITS = {"max_trie_steps": 2_000, "max_executors": 40, "max_executor_bytes": 64 << 20}
# how much more than after the first tenth is still flat: resident memory (the allocator keeps pools), and numbers of things
GROWTH_MIB = 24
GROWTH = {"descriptors": 0, "arrays": 50}
SAMPLES = 20


@dataclass(frozen=True, slots=True)
class Sample:
    """What the process holds after so many flushes: MiB, and numbers of things."""

    flushes: int
    resident: float
    descriptors: int
    executors: int
    arrays: int
    trie_steps: int
    plans: int
    bytes_held: int


def sample(flushes: int) -> Sample:
    """Look at the process."""
    gc.collect()
    alive = [type(o) for o in gc.get_objects()]
    found = minpy_jit.info()
    return Sample(
        flushes,
        resident(),
        len(os.listdir("/proc/self/fd")),
        alive.count(Executor),
        sum(issubclass(kind, Handle) for kind in alive),
        found["trie_steps"],
        found["plans"],
        found["executor_bytes"],
    )


def same(found: Any, expected: Any) -> None:
    """Fail where a result is not NumPy's."""
    if not numpy.allclose(numpy.asarray(found), expected, rtol=1e-9, atol=1e-9):
        raise AssertionError(f"{numpy.asarray(found)} instead of {expected}")


def arithmetic(k: int) -> None:
    """Numbers that change, on a program that does not."""
    x = numpy.linspace(0, 1, 20)
    same(np.sum(np.tanh(np.array(x) * (k % 17)) + k), numpy.sum(numpy.tanh(x * (k % 17)) + k))


WEIGHTS = numpy.linspace(-1, 1, 6).reshape(2, 3)
DATA = numpy.linspace(-2, 2, 12).reshape(4, 3)


def training(k: int) -> None:
    """A few steps of gradient descent, each looking at its loss."""
    w, ours = WEIGHTS, np.array(WEIGHTS)
    descend = minpy_jit.value_and_grad(lambda w, x, rate: np.mean((np.matmul(x, w.T) - rate) ** 2))
    for rate in (0.1, 0.1 + k % 3):
        error = DATA @ w.T - rate
        loss, g = descend(ours, np.array(DATA), rate)
        same(loss, (error**2).mean())
        w, ours = w - rate * 2 * error.T @ DATA / error.size, ours - rate * g
    same(ours, w)


def flushed_gradient(k: int) -> None:
    """A gradient with an observation in its middle, which keeps residuals."""

    def f(x: Any) -> Any:
        y = np.exp(x) * 2
        return np.sum(y * y) if float(y[0]) > 0 else np.sum(x)

    x = numpy.linspace(0, 1, 5) + k % 5
    same(minpy_jit.grad(f)(np.array(x)), 8 * numpy.exp(2 * x))


def views(k: int) -> None:
    """Writes through views, before and after a flush."""

    def write(library: Any) -> Any:
        x = library.zeros((6, 5))
        part = x[k % 3 : k % 3 + 3]
        part += k
        x[:, 1] = 7
        if library is np:
            minpy_jit.flush()
        part[1:] = part[:-1] * 2
        x[part.sum() > 3] -= 1
        return x

    same(write(np), write(numpy))


def fallback(k: int) -> None:
    """A function that runs in NumPy."""
    x = numpy.arange(12.0) * (k % 5)
    same(np.unwrap(np.array(x) + 1) * 2, numpy.unwrap(x + 1) * 2)


@minpy_jit.trace
def traced(x: Any, n: int) -> Any:
    """A region with a loop of its own."""
    for i in range(n):
        x = x * 0.5 + i
    return x


def regions(k: int) -> None:
    """A traced function, and a traced block."""
    x, n = numpy.ones(7), 1 + k % 4
    with minpy_jit.trace():
        y = np.array(x) - 1.5
    same(traced(y, n), traced.__wrapped__(x - 1.5, n))


@minpy_jit.trace(pure=True)
def pure(x: Any, y: Any) -> Any:
    """Python skipped."""
    x += y
    return np.maximum(x, y).sum(axis=0), x


def pure_regions(k: int) -> None:
    """A pure function that writes to its argument."""
    x, y = numpy.ones((3, 4)) * k, numpy.arange(4.0)
    ours = np.array(x)
    total, _ = pure(ours, np.array(y))
    same(total, numpy.maximum(x + y, y).sum(axis=0))
    same(ours, x + y)


def values_decide(k: int) -> None:
    """Masks, sorting, branches on values, integers."""
    x = (numpy.arange(20) * (k % 11 + 3)) % 17
    ours = np.array(x)
    chosen = ours[ours > 5]
    if chosen.size > 3:
        chosen = np.sort(chosen)[1:]
    theirs = x[x > 5]
    same(chosen, numpy.sort(theirs)[1:] if theirs.size > 3 else theirs)


def draws(k: int) -> None:
    """Random numbers are inputs."""
    ours, theirs = np.random.default_rng(k), numpy.random.default_rng(k)
    same(ours.standard_normal(8) * 2 + 1, theirs.standard_normal(8) * 2 + 1)


def errors(k: int) -> None:
    """A lazy index that is out of range: the flush raises, what does not depend on it is kept."""
    x = np.arange(5.0) + k
    index = np.arange(3) + 3
    wrong, right = x[index] * 2, x + 1
    try:
        wrong.tolist()
    except IndexError:
        same(right, numpy.arange(5.0) + k + 1)
    else:
        raise AssertionError("an index out of range went by")


def threads(k: int) -> None:
    """Another thread records; this one observes. The thread is gone then."""
    box: list[Any] = []
    thread = threading.Thread(target=lambda: box.append(np.arange(4.0) * 2 + k))
    thread.start()
    thread.join()
    same(box[0], numpy.arange(4.0) * 2 + k)


def new_shapes(k: int) -> None:
    """A shape that was never there."""
    x = numpy.ones((2, 1 + k // 100))
    for _ in range(2):
        same(np.sum(np.array(x) * 3 + k % 2), x.size * (3 + k % 2))


def long_programs(k: int) -> None:
    """A chain of another length each time."""
    for _ in range(2):
        ours, theirs = np.ones(4), numpy.ones(4)
        for i in range(10 + k // 100 * 37 % 300):
            ours, theirs = ours * 0.5 + i, theirs * 0.5 + i
        same(ours, theirs)


PROGRAMS: tuple[Callable[[int], None], ...] = (
    *(arithmetic, training, flushed_gradient, views, fallback, regions, pure_regions, values_decide, draws, arithmetic, training, views),
    *(regions, pure_regions),
)
SELDOM: tuple[Callable[[int], None], ...] = (errors, threads, new_shapes, long_programs)


def turns(flushes: int) -> Iterator[int]:
    """Run programs until so many flushes have happened; yields after each."""
    k = 0
    while (done := minpy_jit.stats()["flushes"]) < flushes:
        PROGRAMS[k % len(PROGRAMS)](k)
        if k % 25 == 0:
            SELDOM[k // 25 % len(SELDOM)](k)
        k += 1
        yield done


def soak(flushes: int) -> tuple[list[Sample], list[str]]:
    """Samples, evenly spread, and the warnings that came."""
    minpy_jit.clear_caches()
    minpy_jit.reset_stats()
    samples: list[Sample] = []
    with warnings.catch_warnings(record=True) as caught, minpy_jit.config.override(**LIMITS):
        warnings.simplefilter("always")
        for done in turns(flushes):
            if done * SAMPLES >= flushes * (len(samples) + 1):
                samples.append(sample(done))
        samples.append(sample(minpy_jit.stats()["flushes"]))
    return samples, [str(w.message) for w in caught]


def unmet_bounds(samples: list[Sample]) -> list[str]:
    """What has grown since the first tenth of the run, or lies above its limit, a sentence each."""
    unmet = []
    start, end = samples[SAMPLES // 10], samples[-1]
    # executors are held within a limit of their own
    growth = end.resident - start.resident - (end.bytes_held - start.bytes_held) / 2**20
    if growth > GROWTH_MIB:
        unmet.append(f"memory grew by {growth:.1f} MiB besides the executors; at most {GROWTH_MIB}")
    for name, growth in GROWTH.items():
        before, after = getattr(start, name), getattr(end, name)
        if after - before > growth:
            unmet.append(f"{name}: {after}, after the first tenth {before}; at most {growth} more")
    for name, limit in (("trie_steps", "max_trie_steps"), ("plans", "max_executors"), ("bytes_held", "max_executor_bytes")):
        most = max(getattr(s, name) for s in samples)
        # one segment may go past the limit on remembered steps
        if most > LIMITS[limit] + (minpy_jit.config.max_steps if name == "trie_steps" else 0):
            unmet.append(f"{name}: {most}, with {limit} = {LIMITS[limit]}")
    most = max(s.executors for s in samples)
    if most > LIMITS["max_executors"] * (minpy_jit.config.max_instances + 1):
        unmet.append(f"{most} executors are alive, with max_executors = {LIMITS['max_executors']}")
    return unmet


def run(quick: bool) -> list[str]:
    """Print the table; returns the bounds that are not met."""
    flushes = 20_000 if quick else 1_000_000
    started = perf_counter()
    samples, warned = soak(flushes)
    seconds = perf_counter() - started
    columns = ("flushes", "resident", "descriptors", "executors", "arrays", "trie steps", "plans", "bytes held")
    rows = [
        (
            f"{s.flushes:,}",
            f"{s.resident:.1f} MiB",
            *(f"{n:,}" for n in (s.descriptors, s.executors, s.arrays, s.trie_steps, s.plans, s.bytes_held)),
        )
        for s in samples
    ]
    console().print(table(f"{flushes:,} flushes of varied programs", columns, rows))
    found = minpy_jit.stats()
    names = ("compiles", "binds", "evictions", "trie_resets", "executor_runs", "reference_runs", "fallbacks", "pure_replays")
    print(f"   {seconds:.0f} s; " + ", ".join(f"{name} {found.get(name, 0):,}" for name in names))
    for text in warned:
        print(f"   warned once: {text}")
    return unmet_bounds(samples)


if __name__ == "__main__":
    main(run)
