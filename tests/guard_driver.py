"""Kernels on memory that ends where an unreadable page begins: an access outside of a buffer ends the process.

    python tests/guard_driver.py DTYPES NAME ...        # dtypes, by commas; entries of the op table, or `control`: too little memory

Each buffer of a kernel, those between its loops too, has pages of its own between two that may not be touched: once it ends where the upper
one begins, once it begins where the lower one ends. Loops of any size are shared by three threads. Prints what it is about to run.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ["NPY_PROMOTION_STATE"] = "weak"
sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
import op_driver as driver
from region_driver import call

from minpy_jit.exec import reference, regions
from minpy_jit.exec.regions import emit, region, workspace
from minpy_jit.trace.op import TABLE, Op

THREADS = 3
PAGE = mmap.PAGESIZE
_libc = ctypes.CDLL(None, use_errno=True)


class Guarded:
    """Memory between two pages that may not be touched.

    Attributes:
        address: where it begins.
    """

    def __init__(self, nbytes: int, at_end: bool) -> None:
        inner = -(-max(nbytes, 1) // PAGE) * PAGE
        self._mapping = mmap.mmap(-1, inner + 2 * PAGE)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._mapping))
        for page in (base, base + PAGE + inner):
            if _libc.mprotect(ctypes.c_void_p(page), PAGE, 0) != 0:
                raise OSError(ctypes.get_errno(), "mprotect")
        self.address = base + PAGE + (inner - nbytes if at_end else 0)
        self.nbytes = nbytes

    def array(self, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        memory: Any = (ctypes.c_char * self.nbytes).from_address(self.address)
        # the mapping lives as long as the array
        memory.mapping = self._mapping
        return np.ndarray(shape, dtype, memory)


class Compiler:
    """Compiles regions whose buffers all have addresses of their own, and remembers what they are."""

    def __init__(self) -> None:
        self.buffers: list[Any] = []
        workspace.plan = self._plan  # type: ignore[assignment]
        emit.PARALLEL_WORK, emit.SMALLEST_SPLIT, emit.WAKING_WORK = 0, 0, 1

    def _plan(self, kernel: Any, first: int, threads: int, *rest: Any) -> tuple[dict[Any, tuple[int, int, int]], int]:
        self.buffers = list(kernel.buffers)
        return {b: (k, 0, b.size * b.dtype.itemsize if b.private else 0) for k, b in enumerate(kernel.buffers)}, 0

    def region(self, graph: Any) -> region.Region | None:
        """All of a graph's nodes but its inputs as one region, or None where there is none."""
        group = regions.Group(True, tuple(p for p, n in enumerate(graph.nodes) if n.op not in driver.LEAVES))
        if not all(regions.takes(graph, graph.nodes[p]) for p in group.nodes):
            return None
        return region.compile_group(graph, group, list(graph.outputs))


def run(compiler: Compiler, made: region.Region, values: dict[int, Any], missing: int = 0) -> list[np.ndarray]:
    """Its results, equal for both places of its buffers. `missing`: bytes that the first result has too little."""
    found: list[list[np.ndarray]] = []
    for at_end in (True, False):
        arrays = []
        for k, buffer in enumerate(compiler.buffers):
            size = buffer.size * (THREADS if buffer.private else 1)
            nbytes = size * buffer.dtype.itemsize
            if k == len(made.operands) and missing:
                memory = Guarded(nbytes - missing, True)
                size, nbytes = size - missing // buffer.dtype.itemsize, nbytes - missing
            else:
                memory = Guarded(nbytes, at_end)
            array = memory.array(buffer.dtype, (size,))
            if k < len(made.operands):
                position, dtype = made.operands[k]
                array[...] = np.asarray(values[position]).astype(dtype).reshape(-1)
            else:
                array.view(np.uint8)[...] = 0x5A
            arrays.append(array)
        call(made.code.address, [a.__array_interface__["data"][0] for a in arrays], THREADS)
        first = len(made.operands)
        found.append([a.copy() for a in arrays[first : first + len(made.outputs)]])
    for one, other in zip(*found, strict=True):
        assert one.tobytes() == other.tobytes(), "a result depends on where its buffers are"
    return [a.reshape(shape) for a, (shape, _) in zip(found[0], made.outputs, strict=True)]


def check(compiler: Compiler, op: Op, operands: Sequence[Any], params: tuple[Any, ...], where: str) -> bool:
    """One call; returns whether a region can do it."""
    try:
        graph = driver.graph_of_one(op, operands, params)
    except (IndexError, OverflowError, ValueError, TypeError, ZeroDivisionError, FloatingPointError):
        return False
    if not operands:
        return False
    made = compiler.region(graph)
    if made is None:
        return False
    inputs, numbers = [o for o in operands if not driver.is_number(o)], [o for o in operands if driver.is_number(o)]
    values = dict(zip([p for p, n in enumerate(graph.nodes) if n.op is driver.INPUT], inputs, strict=True))
    values.update(zip([p for p, n in enumerate(graph.nodes) if n.op is driver.SCALAR], numbers, strict=True))
    print(where, flush=True)
    got = run(compiler, made, values)
    with driver.quiet():
        try:
            (expected,) = reference.run(graph, inputs, numbers)
        except Exception:
            # a guard says so
            assert any(np.any(g) for g in got[1:]), where
            return True
    assert not any(np.any(g) for g in got[len(graph.outputs) :]), where
    if op.family != "linalg":
        # a product of n factors: each rounds by half a unit in the last place, here and in NumPy
        terms = max(np.size(o) for o in operands) // max(expected.size, 1) if op.family == "reduction" else 0
        driver.assert_same_values(got[0], expected, where, max(driver.tolerance(op), terms), op.family)
    else:
        np.testing.assert_allclose(got[0], expected, rtol=1e-2 if expected.dtype == np.float16 else 1e-4, atol=1e-3)
    return True


def enlarged(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape whose last axis is longer than a vector, by an odd number."""
    return (*shape[:-1], 2 * 64 + 2 * shape[-1] + 1) if shape else shape


def check_op(compiler: Compiler, op: Op, dtypes: Sequence[str]) -> int:
    """All samples; element-wise ones on rows with tails of vectors, too."""
    ran = 0
    rng = np.random.default_rng(4)
    for number, sample in enumerate(op.samples):
        params = op.bind(sample.params)
        for dtype in driver.dtypes_of(sample, dtypes):
            operands = driver.operands_of(sample, dtype, rng)
            where = f"{op.name} sample {number} {dtype}"
            ran += check(compiler, op, operands, params, where)
            if op.family in ("elementwise", "cast", "reduction") and all(type(s) is tuple for s in sample.shapes):
                pairs = zip(sample.shapes, operands, strict=True)
                long = [driver.random_array(rng, enlarged(s), np.dtype(o.dtype), sample.low, sample.high) for s, o in pairs]
                ran += check(compiler, op, long, params, f"{where}, long rows")
    return ran


def main(dtypes: str, *names: str) -> None:
    assert regions.available()
    compiler = Compiler()
    ran = 0
    for name in names:
        if name == "control":
            x = np.ones(1024, np.float32)
            graph = driver.graph_of_one(TABLE["add"], [x, x], ())
            made = compiler.region(graph)
            assert made is not None
            print("control", flush=True)
            run(compiler, made, {p: x for p, n in enumerate(graph.nodes) if n.op is driver.INPUT}, missing=4)
        else:
            ran += check_op(compiler, TABLE[name], dtypes.split(","))
    print(f"{ran} kernels within their memory")


if __name__ == "__main__":
    main(*sys.argv[1:])
