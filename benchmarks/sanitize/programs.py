"""Programs whose loops several threads share, run by several threads, with caches cleared under them and forks beside them; each against
NumPy. Beside the tests, which mostly run small arrays in one thread, this is what the sanitizers look at.

    python -m benchmarks.sanitize.programs        # without a sanitizer: the values alone
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from time import sleep
from typing import Any

import numpy

from ..threads import run_threads
from . import plugin

if plugin.VARIABLE not in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "4")

import minpy_jit
import minpy_jit.numpy as np

ROWS, COLUMNS = 211, 333
RUNS = 4


def _inputs() -> tuple[Any, Any, Any, Any]:
    rng = numpy.random.default_rng(0)
    x = np.asarray(rng.normal(size=(ROWS, COLUMNS)).astype("f"))
    w = np.asarray(rng.normal(size=(COLUMNS, 65)).astype("f") * numpy.float32(0.05))
    return x, w, np.asarray(rng.integers(0, 40, ROWS)), np.asarray(rng.integers(0, ROWS, 5000))


def elementwise() -> Any:
    x, *_ = _inputs()
    return np.exp(-x * x) + np.sin(x)[:, ::-1], (x > 0) & (x < 1), (x * 50).astype("int8") % 7, x.astype("float64") ** 3


def reductions() -> Any:
    x, *_ = _inputs()
    return x.sum(axis=0), x.max(axis=1), x.mean(), x.argmax(axis=1), x.astype("float64").sum(), (x > 0).all(axis=0), x.min(axis=0)


def normalised() -> Any:
    x, *_ = _inputs()
    centred = x - x.mean(axis=1, keepdims=True)
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return centred / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + 1e-5), e / e.sum(axis=1, keepdims=True)


def scans() -> Any:
    x, *_ = _inputs()
    return np.cumsum(x, axis=0), np.cumsum(x, axis=1), np.cumsum(np.exp(x).astype("float64")), np.cumsum((x * 9).astype("int64"), axis=1)


def products() -> Any:
    x, w, *_ = _inputs()
    h = np.maximum(x @ w + 0.1, 0)
    return h, h.T @ x, x @ x.T, (h.astype("float64") @ w.T.astype("float64")).sum(axis=0), x[:, 1] @ x


def training_step() -> Any:
    x, w, labels, _ = _inputs()

    def loss(w: Any) -> Any:
        h = np.tanh(x @ w)
        h = h - np.log(np.sum(np.exp(h), axis=1, keepdims=True))
        return -np.mean(h[np.arange(ROWS), labels])

    for _ in range(3):
        value, gradient = minpy_jit.value_and_grad(loss)(w)
        w -= 0.1 * gradient
    return value, w


def gathers_and_scatters() -> Any:
    x, _, labels, many = _inputs()
    y = x[many] * 2
    z = x * 1
    z[labels] = 3
    gradient = minpy_jit.grad(lambda x: np.sum(x[many] ** 2))(x)
    return y, z, gradient, np.take(x, many, axis=0).sum(axis=1), np.bincount(labels, minlength=50)


def stencil() -> Any:
    """Sweeps in place: donated memory, a workspace whose places are used again."""
    x, *_ = _inputs()
    u = x * 1
    for _ in range(20):
        u[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
    return u


def accumulated() -> Any:
    """Each turn's result takes the memory of the last one's."""
    x, *_ = _inputs()
    total = x * 0
    for k in range(6):
        total = total * 0.5 + x * k
        minpy_jit.flush()
    return total


def moved() -> Any:
    x, *_ = _inputs()
    return (
        np.concatenate([x, -x], axis=1)[:, ::3],
        np.roll(x, 5, axis=0).T * 2,
        np.pad(x, ((2, 3), (1, 0))) + 1,
        np.stack([x, x + 1]).transpose(2, 0, 1).sum(axis=1),
        np.where(np.tril(x) != 0, x, 7),
        np.repeat(x, 2, axis=1) - 1,
    )


PROGRAMS: tuple[Callable[[], Any], ...] = (
    *(elementwise, reductions, normalised, scans, products, training_step, gathers_and_scatters, stencil, accumulated, moved),
)


def _values(made: Any) -> list[numpy.ndarray]:
    return [numpy.asarray(v) for v in (made if isinstance(made, tuple) else (made,))]


def check(program: Callable[[], Any], expected: list[numpy.ndarray]) -> None:
    """One run against the values of mode "numpy"."""
    for got, wanted in zip(_values(program()), expected, strict=True):
        assert got.dtype == wanted.dtype and got.shape == wanted.shape, program.__name__
        scale = numpy.abs(wanted.astype("float64")).max()
        # (float64 values are made of float32 ones)
        tolerance = 2e-5 if wanted.dtype.kind == "f" else 0.0
        numpy.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance * scale, err_msg=program.__name__)


def main() -> None:
    """Run all."""
    with minpy_jit.mode("numpy"):
        expected = {p: _values(p()) for p in PROGRAMS}

    def all_programs(first: int, runs: int) -> None:
        for run in range(runs):
            for k in range(len(PROGRAMS)):
                program = PROGRAMS[(first + k) % len(PROGRAMS)]
                for _ in range(3 if clearing else 1):
                    # the reference, a new executor, that one again
                    check(program, expected[program])
                if clearing and (run + k) % 3 == first % 3:
                    minpy_jit.clear_caches()

    def in_threads(number: int, runs: int) -> None:
        run_threads(*[partial(all_programs, 3 * k, runs) for k in range(number)])

    clearing = False
    all_programs(0, RUNS)
    assert minpy_jit.stats()["executor_runs"] > 0
    print(f"one thread: {len(PROGRAMS)} programs, {RUNS} runs each", flush=True)
    in_threads(3, 2)
    print("three threads at once: 2 runs each", flush=True)
    clearing = True
    in_threads(3, 1)
    clearing = False
    print("three threads, caches cleared under them: 3 runs each", flush=True)
    # AddressSanitizer (of GCC 12) does not take its allocator's locks over a fork: MXNet's threads are to be done with freeing
    sleep(1.0)
    child = os.fork()
    if child == 0:
        # MXNet's threads are gone here: NumPy runs everything
        status = 1
        try:
            check(normalised, expected[normalised])
            status = 0
        finally:
            os._exit(status)
    all_programs(0, 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    all_programs(5, 1)
    print("fork: the child's values, and the parent's during and after it", flush=True)


if __name__ == "__main__":
    main()
