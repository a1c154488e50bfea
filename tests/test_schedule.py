"""What a region does with memory and threads: its workspace, products that add to what is there, assignments that copy no more than they
must, and the table of calls, on threads of our own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import minpy_jit
import minpy_jit.numpy as mnp
from minpy_jit.exec import regions

pytestmark = pytest.mark.skipif(not regions.built(), reason="the region operator was not built: there was no C++ compiler")

if regions.built():
    from region_driver import run_kernel
    from test_regions import random_program

    from minpy_jit.exec.regions import aliases, emit, rewrite, scalars, schedule, workspace
    from minpy_jit.exec.regions.loops import Copy, Kernel, MatrixProduct
    from minpy_jit.exec.regions.tensors import Memory, Tensor, Tensors

F32, F64, I64 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)


def run(
    results: Sequence[Tensor],
    operands: Sequence[Memory],
    arrays: Sequence[np.ndarray],
    threads: int = 1,
    products: bool = True,
    into: dict[int, int] | None = None,
) -> tuple[list[np.ndarray], Kernel]:
    """A kernel on arrays, as a region runs it, on that many threads.

    Args:
        products: whether rounding may change.
        into: result -> operand in whose memory it is made.
    """
    tensors = rewrite.rewritten(results, products)
    kernel, extra = schedule.build(tensors, operands)
    into = into or {}
    allowed = aliases.in_place(kernel, len(operands), len(results), 0)
    for result, operand in into.items():
        assert operand in allowed[result], "may not be made in place"
    aliased = {kernel.buffers[len(operands) + r] for r in into} | {kernel.buffers[o] for o in into.values()}
    return run_kernel(kernel, extra, results, arrays, threads, into, aliased), kernel


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("seed", range(100, 112))
def test_random_tensors_on_threads(seed: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # every nest is shared, however small
    monkeypatch.setattr(emit, "PARALLEL_WORK", seed % 3 * 100)
    wanted, operands, arrays = random_program(np.random.default_rng(seed))
    if not wanted:
        return
    found, _ = run([t for t, _ in wanted], operands, arrays, threads)
    for got, (_, expected) in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_sweeps_go_to_and_fro_between_two_places() -> None:
    k = Tensors(scalars.knows)
    x = Memory((64, 64), F32, 0)
    y: Tensor = x
    for _ in range(20):
        y = k.map("add", k.transpose(y, (1, 0)), k.reduce("maximum", y, (0,)))
    _, kernel = run([y], [x], [np.ones((64, 64), np.float32)])
    _, needed = workspace.plan(kernel, 2, 1)
    assert len(kernel.nests) >= 12
    assert needed <= 3 * 64 * 64 * 4


def test_buffers_that_are_needed_together_lie_apart() -> None:
    k = Tensors(scalars.knows)
    x = Memory((8, 8), I64, 0)
    kept: list[Tensor] = []
    y: Tensor = x
    for _ in range(6):
        y = k.map("add", k.transpose(y, (1, 0)), k.reduce("add", y, (0,)))
        kept.append(y)
    total = kept[0]
    for z in kept[1:]:
        total = k.map("subtract", k.transpose(total, (1, 0)), z)
    array = np.arange(64).reshape(8, 8) % 5
    expected, values = array, []
    for _ in range(6):
        expected = expected.T + expected.sum(0)
        values.append(expected)
    result = values[0]
    for v in values[1:]:
        result = result.T - v
    (got,), _ = run([total], [x], [array])
    np.testing.assert_array_equal(got, result)


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("shape", [(7, 300, 5), (300, 7, 5), (16, 16, 40)], ids=str)
@pytest.mark.parametrize("threads", [1, 2])
def test_products_that_add_to_a_base(dtype: np.dtype, shape: tuple[int, int, int], threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emit, "PARALLEL_WORK", 0)
    rows, columns, inner = shape
    rng = np.random.default_rng(1)
    k = Tensors(scalars.knows)
    w, a, b, s = (
        Memory((rows, columns), dtype, 0),
        Memory((rows, inner), dtype, 1),
        Memory((inner, columns), dtype, 2),
        Memory((), dtype, 3),
    )
    arrays = [rng.integers(-4, 5, t.shape).astype(dtype) for t in (w, a, b)] + [np.array(0.25, dtype)]
    exact = arrays[1] @ arrays[2]
    step = k.map("multiply", k.product(a, b), s)
    base = arrays[0]
    cases = [
        (k.map("subtract", w, step), base - exact * arrays[3]),
        (k.map("add", step, k.map("multiply", k.number(0.5, dtype), w)), exact * arrays[3] + base * dtype.type(0.5)),
        (k.map("subtract", k.map("negative", step), w), -exact * arrays[3] - base),
    ]
    for (tensor, expected), into in itertools.product(cases, (None, {0: 0})):
        (got,), kernel = run([tensor], [w, a, b, s], arrays, threads, into=into)
        assert [type(n) for n in kernel.nests] == [MatrixProduct]
        np.testing.assert_array_equal(got, expected)
    _, kernel = run([cases[0][0]], [w, a, b, s], arrays, products=False)
    assert len(kernel.nests) == 2


def test_a_sum_of_products_adds_up_in_one_place() -> None:
    k = Tensors(scalars.knows)
    operands = [Memory((6, 6), F64, n) for n in range(4)]
    arrays = [np.random.default_rng(n).integers(-4, 5, (6, 6)).astype(float) for n in range(4)]
    total: Tensor = k.product(operands[0], operands[1])
    total = k.map("add", total, k.product(operands[1], operands[2]))
    total = k.map("add", k.product(operands[2], operands[3]), total)
    (got,), kernel = run([total], operands, arrays)
    np.testing.assert_array_equal(got, arrays[0] @ arrays[1] + arrays[1] @ arrays[2] + arrays[2] @ arrays[3])
    assert len(kernel.nests) == 3 and len(kernel.buffers) == 5


def test_a_product_that_is_needed_twice_is_stored() -> None:
    k = Tensors(scalars.knows)
    w, a = Memory((6, 6), F64, 0), Memory((6, 6), F64, 1)
    arrays = [np.random.default_rng(n).integers(-4, 5, (6, 6)).astype(float) for n in range(2)]
    product = k.product(a, w)
    got, _ = run([k.map("subtract", w, product), k.map("exp2" if scalars.knows("exp2", F64, F64) else "square", product)], [w, a], arrays)
    np.testing.assert_array_equal(got[0], arrays[0] - arrays[1] @ arrays[0])


@pytest.mark.parametrize("seed", range(20))
def test_assignments_to_parts(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emit, "PARALLEL_WORK", 0)
    rng = np.random.default_rng(seed)
    k = Tensors(scalars.knows)
    shape = tuple(int(n) for n in rng.integers(1, 7, rng.integers(1, 4)))
    x = Memory(shape, I64, 0)
    array = rng.integers(-9, 9, shape)
    operands, arrays = [x], [array]
    y: Tensor = x
    expected = array.copy()
    for _ in range(int(rng.integers(1, 4))):
        lengths = [int(rng.integers(1, n + 1)) for n in shape]
        starts = [int(rng.integers(0, n - m + 1)) for n, m in zip(shape, lengths, strict=True)]
        axes = []
        for i, start in enumerate(starts):
            # as a number of the run
            operands.append(Memory((), I64, len(operands)))
            arrays.append(np.array(start))
            axes.append(k.axis(along=i, number=operands[-1]))
        # of the value itself, or of another place of the old one
        value = (
            k.slices(x, [(0, m, 1) for m in lengths])
            if rng.random() < 0.5
            else k.slices(y, [(n - 1, m, -1) for n, m in zip(shape, lengths, strict=True)])
        )
        key = tuple(slice(s, s + m) for s, m in zip(starts, lengths, strict=True))
        part = (
            array[tuple(slice(0, m) for m in lengths)]
            if value.operand is x and value.axes[0].steps[0][1] == 1
            else expected[tuple(slice(None, None, -1) for _ in shape)][tuple(slice(0, m) for m in lengths)]
        )
        y = k.update(y, value, axes)
        expected = expected.copy()
        expected[key] = part
    for threads in (1, 2):
        (got,), kernel = run([y], operands, arrays, threads)
        np.testing.assert_array_equal(got, expected)
    assert any(isinstance(n, Copy) for n in kernel.nests)


def test_a_write_into_a_value_that_nobody_else_needs_copies_nothing() -> None:
    k = Tensors(scalars.knows)
    x = Memory((50,), F64, 0)
    y = k.map("square", x)
    for i in range(5):
        y = k.update(y, k.number(i, F64), [k.axis(start=i)])
    (got,), kernel = run([y], [x], [np.arange(50.0)])
    assert not any(isinstance(n, Copy) for n in kernel.nests) and len(kernel.buffers) == 2
    np.testing.assert_array_equal(got, [0, 1, 2, 3, 4, *np.arange(5.0, 50) ** 2])


def test_in_place_is_refused_where_an_element_is_read_again() -> None:
    k = Tensors(scalars.knows)
    x, g = Memory((30, 30), F64, 0), Memory((30, 30), F64, 1)

    def allowed(*results: Tensor) -> list[tuple[int, ...]]:
        kernel, _ = schedule.build(rewrite.rewritten(results, True), [x, g])
        return aliases.in_place(kernel, 2, len(results), 0)

    same = k.map("subtract", x, g)
    assert allowed(same) == [(0, 1)]
    assert allowed(k.map("subtract", x, k.transpose(x, (1, 0)))) == [(1,)] or allowed(k.map("subtract", x, k.transpose(x, (1, 0)))) == [()]
    # another result reads what the first would have replaced
    assert 0 not in allowed(k.map("square", g), k.reduce("add", k.map("multiply", x, k.slices(x, [(29, 30, -1), (0, 30, 1)])), (0,)))[0]
    assert allowed(k.map("subtract", x, k.product(x, g))) == [()]
    assert allowed(k.map("subtract", x, k.product(g, g))) == [(0,)]
    rows = k.map("subtract", x, k.reduce("add", x, (1,), keepdims=True))
    assert 0 in allowed(rows)[0]
    columns = k.map("subtract", x, k.reduce("add", k.reduce("add", x, (1,)), (0,)))
    assert 0 in allowed(columns)[0]
    shifted = k.update(x, k.slices(x, [(1, 29, 1), (0, 30, 1)]), [k.axis(along=0), k.axis(along=1)])
    assert 0 not in allowed(shifted)[0]
    plain = k.update(x, k.slices(g, [(1, 29, 1), (0, 30, 1)]), [k.axis(along=0), k.axis(along=1)])
    assert allowed(plain) == [(0,)]


def test_an_index_that_is_computed_where_it_is_needed() -> None:
    def program(xp: Any, values: Any) -> Any:
        e = values + values
        i = (values > 0).sum()
        e[..., -1 - i % e.shape[-1]] = 2
        return e

    array = np.array([[3.0, -1, 2], [4, 5, -6]])
    for _ in range(3):
        got = program(mnp, mnp.array(array)).asnumpy()
    np.testing.assert_array_equal(got, program(np, array))


@pytest.mark.parametrize("kind", ["add", "maximum", "logical_or"])
@pytest.mark.parametrize(
    "shape, axes", [((640,), (0,)), ((661,), (0,)), ((3, 500), (0, 1)), ((700, 3), (0,)), ((2, 331, 2), (0, 1))], ids=str
)
def test_long_reductions_are_shared(kind: str, shape: tuple[int, ...], axes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emit, "PARALLEL_WORK", 0)
    monkeypatch.setattr(rewrite, "LONG", 256)
    dtype = np.dtype(bool) if kind == "logical_or" else I64
    k = Tensors(scalars.knows)
    x = Memory(shape, dtype, 0)
    array = np.random.default_rng(1).integers(-9, 9, shape).astype(dtype)
    expected = getattr(np, kind).reduce(array * 3 if kind == "add" else array, axis=axes)
    operand = k.map("multiply", x, k.number(3, I64)) if kind == "add" else x
    for threads in (1, 2, 3):
        (got,), kernel = run([k.reduce(kind, operand, axes)], [x], [array], threads)
        np.testing.assert_array_equal(got, expected)
    assert len(kernel.nests) >= 2


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_long_sums_are_no_less_accurate_than_numpys(dtype: np.dtype) -> None:
    rng = np.random.default_rng(3)
    k = Tensors(scalars.knows)
    for values in (rng.random(1 << 19), rng.normal(size=1 << 19), rng.random((1 << 19) + 7) * 1e6):
        array = values.astype(dtype)
        x = Memory(array.shape, dtype, 0)
        exact = math.fsum(array.tolist())
        found = [run([k.reduce("add", x, (0,))], [x], [array], threads)[0][0] for threads in (1, 2)]
        assert found[0] == found[1]
        theirs = abs(float(array.sum()) - exact)
        assert abs(float(found[0]) - exact) <= max(theirs, float(np.spacing(np.abs(array).sum())))


def test_repeated_stretches_are_written_once() -> None:
    k = Tensors(scalars.knows)
    x = Memory((40, 40), F32, 0)

    def lines(sweeps: int) -> int:
        y: Tensor = x
        for _ in range(sweeps):
            y = k.map("add", k.transpose(y, (1, 0)), k.reduce("maximum", y, (0,)))
        kernel, _ = schedule.build([y], [x])
        return str(emit.write(kernel)[0]).count("\n")

    assert lines(60) == lines(6)


def test_exact_products_is_a_setting() -> None:
    w, a, b = (np.random.default_rng(n).normal(size=(64, 64)).astype(np.float32) for n in range(3))
    found = []
    for exact in (False, True):
        with minpy_jit.config.override(exact_products=exact):
            for _ in range(3):
                got = (mnp.array(w) - 0.1 * (mnp.array(a) @ mnp.array(b))).asnumpy()
            found.append(got)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-5)
