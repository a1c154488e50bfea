"""50 Jacobi sweeps over a 1024×1024 grid: shifted views, and assignment to the inside of an array."""

from __future__ import annotations

from typing import Any

import numpy

import minpy_jit
import minpy_jit.numpy as np

from .workload import Call, Results, Workload, Wrap, close, uniform


def inputs(quick: bool) -> tuple[Any, ...]:
    """A grid, and how many sweeps."""
    size, sweeps = (24, 5) if quick else (1024, 50)
    return uniform(numpy.random.default_rng(9), (size, size), 0, 1), sweeps


def relax(grid: Any, sweeps: int) -> Any:
    """In place, on a copy."""
    u = grid.copy()
    for _ in range(sweeps):
        u[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
    return u


def plain(grid: numpy.ndarray, sweeps: int) -> Call:
    """In NumPy."""
    return lambda: {"grid": relax(grid, sweeps)}


def ours(wrap: Wrap, grid: numpy.ndarray, sweeps: int) -> Call:
    """The same function on our array."""
    wrapped, taken = wrap(relax), np.array(grid)

    def call() -> Results:
        found = wrapped(taken, sweeps)
        minpy_jit.wait(found)
        return {"grid": found}

    return call


def imperative(mx: Any, grid: numpy.ndarray, sweeps: int) -> Call:
    """And on MXNet's, whose slices take no -1 in one that is assigned to."""
    taken, end = mx.nd.array(grid), len(grid) - 1

    def call() -> Results:
        u = taken.copy()
        for _ in range(sweeps):
            u[1:end, 1:end] = 0.25 * (u[: end - 1, 1:end] + u[2:, 1:end] + u[1:end, : end - 1] + u[1:end, 2:])
        u.wait_to_read()
        return {"grid": u}

    return call


def symbolic(mx: Any, grid: numpy.ndarray, sweeps: int) -> Call:
    """A symbol of all sweeps."""
    taken, size = mx.nd.array(grid), len(grid)
    executor: Any = None

    def part(u: Any, rows: int, columns: int) -> Any:
        return mx.sym.slice(u, begin=(rows, columns), end=(size - 2 + rows, size - 2 + columns))

    def call() -> Results:
        nonlocal executor
        if executor is None:
            u = mx.sym.Variable("u")
            for _ in range(sweeps):
                inside = 0.25 * (part(u, 0, 1) + part(u, 2, 1) + part(u, 1, 0) + part(u, 1, 2))
                u = mx.sym._internal._slice_assign(u, inside, begin=(1, 1), end=(size - 1, size - 1))
            executor = u.bind(mx.cpu(), {"u": taken}, grad_req="null")
        executor.forward(is_train=False)
        executor.outputs[0].wait_to_read()
        return {"grid": executor.outputs[0]}

    return call


WORKLOADS: list[Workload] = [
    Workload("jacobi", "Jacobi, 50 sweeps of 1024×1024", inputs, plain, ours, imperative, symbolic, close(1e-4)),
]
