"""Compile times: segments of about a hundred operations of one kind each.

Processor time of the call that compiles, less that of a later one: the least of some, each with empty caches, after a garbage collection.
Bound: 150 ms.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from time import process_time
from typing import Any

import numpy

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.exec import regions

from .timing import console, main, table

BOUND = 0.15
# rows and columns
N = 96
KINDS: dict[str, Callable[[], Any]] = {}
_rng = numpy.random.default_rng(0)


def kind(function: Callable[[], Any]) -> Callable[[], Any]:
    """Enter a segment into the table."""
    KINDS[function.__name__.replace("_", " ")] = function
    return function


def floats(*shape: int) -> Any:
    return np.array(_rng.standard_normal(shape).astype("float32"))


@kind
def elementwise() -> Any:
    x, a = floats(N, N), floats(N, N)
    for _ in range(50):
        x = x * a + 0.5
    return x


@kind
def odd_lengths() -> Any:
    x, a = floats(N + 1, N + 1), floats(N + 1, N + 1)
    for _ in range(50):
        x = x * a + 0.5
    return x


@kind
def mathematics() -> Any:
    x = floats(N, N)
    for k in range(33):
        function = (np.tanh, np.exp, np.sin, np.log1p, np.sqrt)[k % 5]
        x = function(np.abs(x) * 0.5 + 1)
    return x


@kind
def reductions() -> Any:
    x = floats(N, N)
    for _ in range(20):
        x = x - x.mean(axis=1, keepdims=True)
        x = x / (x * x).sum(axis=0)
    return x


@kind
def softmaxes() -> Any:
    x = floats(N, N)
    for _ in range(20):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        x = e / e.sum(axis=1, keepdims=True)
    return x


@kind
def layer_norms() -> Any:
    x, scale = floats(N, N), floats(N)
    for _ in range(12):
        centred = x - x.mean(axis=1, keepdims=True)
        x = centred / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + 1e-5) * scale
    return x


@kind
def stencil_of_copies() -> Any:
    x = floats(N, N)
    for _ in range(9):
        y = x.copy()
        y[1:-1, 1:-1] = 0.25 * (x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:])
        x = y
    return x


@kind
def stencil_in_place() -> Any:
    x = floats(N, N)
    for _ in range(12):
        x[1:-1] += 0.1 * (x[2:] - 2 * x[1:-1] + x[:-2])
    return x


@kind
def products() -> Any:
    x, w = floats(16, 16), [floats(16, 16) for _ in range(4)]
    for k in range(33):
        x = np.tanh(x @ w[k % 4]) + 0.1
    return x


@kind
def products_of_many_lengths() -> Any:
    matrix, y, b = floats(N, N), np.zeros(N, "float32"), floats(N)
    for i in range(20):
        y[i] = b[i] - matrix[i, :i] @ y[:i]
    return y


@kind
def elimination() -> Any:
    upper, lower = np.array(_rng.standard_normal((40, 40))), np.eye(40)
    for i in range(1, 15):
        lower[i, 0] = upper[i, 0] / upper[0, 0]
        upper[i, 0:] -= lower[i, 0] * upper[0, 0:]
    return upper, lower


@kind
def gathers() -> Any:
    x, index = floats(N, N), np.array(_rng.integers(0, N, N))
    for _ in range(33):
        x = x[index] * 0.5 + 1
    return x


@kind
def scatters() -> Any:
    x, index = floats(N, N), np.array(_rng.integers(0, N, N))
    for _ in range(33):
        x = x.copy()
        x[index] = x * 2
    return x


@kind
def concatenations() -> Any:
    x = floats(N, N)
    for _ in range(25):
        x = np.concatenate([x[1:], x[:1] * 2]) * 0.5
    return x


@kind
def running_sums() -> Any:
    x = floats(N, N)
    for k in range(50):
        x = np.cumsum(x, axis=k % 2) * 0.5
    return x


@kind
def single_numbers() -> Any:
    x = floats(N)
    for k in range(16):
        x = x * float(k) + x[k] * x[k + 1]
    return x


@kind
def sums_of_many_lengths() -> Any:
    x = floats(N)
    total: Any = 0
    for i in range(1, 26):
        total = total + (x[i:] * x[:-i]).sum()
    return total


@kind
def float64() -> Any:
    x = np.array(_rng.standard_normal((N, N)))
    for _ in range(33):
        x = np.tanh(x * 1.5) + x
    return x


@kind
def integers() -> Any:
    x = np.array(_rng.integers(1, 9, (N, N)))
    for _ in range(25):
        x = (x * 3 + 1) % 1000 // 2
    return x


@kind
def masks() -> Any:
    x = floats(N, N)
    for _ in range(25):
        x = np.where(x > 0.5, x * 0.5, x + 1)
    return x


@kind
def parameters() -> Any:
    found = []
    for p in [floats(3 + k, N) for k in range(14)]:
        m, v = p * 0.9, p * p * 0.1
        found.append(p - m / (np.sqrt(v) + 1e-8))
    return found


@kind
def turned_matrices() -> Any:
    x = floats(N, N)
    for k in range(33):
        x = x.T * 0.5 + float(k)
    return x


def called(function: Callable[[], Any]) -> float:
    """Processor time of a call that is computed."""
    gc.collect()
    began = process_time()
    minpy_jit.wait(function())
    return process_time() - began


def run(quick: bool) -> list[str]:
    """Print a table; returns what takes longer than its bound, unless it shall be quick."""
    unmet, rows = [], []
    # no run in NumPy, and no code from disk
    with minpy_jit.config.override(first_run="mxnet", cache_dir="off", native=True):
        if not regions.enabled():
            print("native code is not built or switched off: nothing is compiled")
            return []
        called(KINDS["elementwise"])
        for name, function in list(KINDS.items())[: 3 if quick else None]:
            times = []
            for _ in range(1 if quick else 4):
                minpy_jit.clear_caches()
                minpy_jit.reset_stats()
                first = called(function)
                steps, compiles = minpy_jit.stats()["steps"], minpy_jit.stats()["compiles"]
                called(function)
                times.append(first - min(called(function) for _ in range(2)))
            # one compilation says little
            if min(times) > BOUND and not quick:
                unmet.append(f"{name}: {min(times) * 1e3:.0f} ms")
            rows.append((name, str(steps), str(compiles), f"{min(times) * 1e3:.0f} ms", f"{max(times) * 1e3:.0f} ms"))
    console().print(table("processor time of one compilation", ("kind", "steps", "compiles", "least", "most"), rows))
    return unmet


if __name__ == "__main__":
    main(run)
