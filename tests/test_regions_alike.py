"""One function for loops that differ in numbers alone: where they begin, how long they are, how rows lie apart. What each computes is
NumPy's; how many are written, by counts."""

from __future__ import annotations

import gc
import itertools
from typing import Any

import numpy as np
import pytest

import minpy_jit
import minpy_jit.numpy as mnp
from minpy_jit.exec import regions

pytestmark = pytest.mark.skipif(not regions.built(), reason="the region operator was not built: there was no C++ compiler")

if regions.built():
    from test_regions_join import functions_in, joined, run

    from minpy_jit.exec.regions import emit, scalars, schedule, table
    from minpy_jit.exec.regions.loops import Copy, MatrixProduct, Nest
    from minpy_jit.exec.regions.tensors import Memory, Tensor, Tensors

LENGTHS = (2, 5, 16, 17, 64, 65, 100, 128, 130, 31)


@pytest.fixture(autouse=True)
def everything_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emit, "PARALLEL_WORK", 2)
    monkeypatch.setattr(emit, "SMALLEST_SPLIT", 40)


def numbers(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(dtype)


def check(results: list[Any], operands: list[Any], arrays: list[np.ndarray], expected: list[np.ndarray]) -> Any:
    """Against what is expected, on one thread and on three; returns the kernel."""
    for threads in (1, 3):
        for got, wanted in zip(run(results, operands, arrays, threads), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)
    return joined(results, operands)[0]


# -- nests ---------------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "int8", "float16"])
def test_parts_that_begin_elsewhere(dtype: str) -> None:
    k = Tensors(scalars.knows)
    kind = np.dtype(dtype)
    x, y = Memory((300,), kind, 0), Memory((300,), kind, 1)
    arrays = [numbers((300,), dtype, n) for n in (0, 1)]
    results, expected = [], []
    for number, n in enumerate(LENGTHS):
        left, right = k.slices(x, [(number, n, 1)]), k.slices(y, [(3 * number, n, 1)])
        results.append(k.map("maximum", k.map("add", left, right), right))
        a, b = arrays[0][number : number + n], arrays[1][3 * number : 3 * number + n]
        expected.append(np.maximum(a + b, b))
    kernel = check(results, [x, y], arrays, expected)
    assert len(kernel.nests) == len(LENGTHS)
    assert functions_in(kernel) == (1 if kind.itemsize >= 4 else len(LENGTHS))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int8"])
@pytest.mark.parametrize("name", ["add", "maximum"])
def test_reductions_of_rows_of_many_lengths(name: str, dtype: str) -> None:
    k = Tensors(scalars.knows)
    kind = np.dtype(dtype)
    operands = [Memory((3 + number, n), kind, number) for number, n in enumerate(LENGTHS)]
    arrays = [numbers(o.shape, dtype, n) for n, o in enumerate(operands)]
    results: list[Tensor] = [k.reduce(name, k.map("multiply", x, k.number(2, kind)), (1,)) for x in operands]
    expected = [getattr(np, name).reduce(a * a.dtype.type(2), axis=1, dtype=a.dtype) for a in arrays]
    kernel = check(results, list(operands), arrays, expected)
    assert functions_in(kernel) == (1 if kind.itemsize >= 4 else len(LENGTHS))


def test_few_lengths_have_functions_of_their_own() -> None:
    k = Tensors(scalars.knows)
    for count in range(1, 8):
        operands = [Memory((3, n), np.dtype(np.float32), number) for number, n in enumerate(LENGTHS[:count])]
        kernel, _, _ = joined([k.reduce("add", x, (1,)) for x in operands], operands)
        assert functions_in(kernel) == (count if count < emit.MANY_LENGTHS else 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_phases_of_many_lengths(dtype: str) -> None:
    k = Tensors(scalars.knows)
    kind = np.dtype(dtype)
    operands = [Memory((2 + number, n), kind, number) for number, n in enumerate(LENGTHS)]
    arrays = [numbers(o.shape, dtype, n) for n, o in enumerate(operands)]
    results: list[Tensor] = []
    for x in operands:
        centred = k.map("subtract", x, k.reduce("maximum", x, (1,), keepdims=True))
        results.append(k.map("multiply", centred, k.reduce("add", centred, (1,), keepdims=True)))
    expected = [(a - a.max(1, keepdims=True)) * (a - a.max(1, keepdims=True)).sum(1, keepdims=True) for a in arrays]
    kernel = check(results, list(operands), arrays, expected)
    assert len(kernel.nests) == len(LENGTHS) and functions_in(kernel) == 1


def test_sums_are_those_of_a_function_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    k = Tensors(scalars.knows)
    rng = np.random.default_rng(0)
    operands = [Memory((3, n), np.dtype(np.float32), number) for number, n in enumerate((*LENGTHS, 9000, 20000))]
    arrays = [rng.normal(size=o.shape).astype(np.float32) for o in operands]
    results: list[Tensor] = [k.reduce("add", x, (1,)) for x in operands]
    # those beyond carry more digits
    assert functions_in(joined(results, operands)[0]) == 3
    shared = run(results, operands, arrays, 1)
    monkeypatch.setattr(emit, "MANY_LENGTHS", 1 << 30)
    assert functions_in(joined(results, operands)[0]) == len(operands)
    for got, wanted in zip(shared, run(results, operands, arrays, 1), strict=True):
        assert got.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int16"])
def test_columns_of_many_heights(dtype: str) -> None:
    k = Tensors(scalars.knows)
    kind = np.dtype(dtype)
    operands = [Memory((n, 37), kind, number) for number, n in enumerate(LENGTHS)]
    arrays = [numbers(o.shape, dtype, n) for n, o in enumerate(operands)]
    results: list[Tensor] = [k.reduce("add", x, (0,)) for x in operands]
    kernel = check(results, list(operands), arrays, [a.sum(0, dtype=kind) for a in arrays])
    # those of long sums, and of others
    assert functions_in(kernel) == 2


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_views_of_rows_that_lie_apart_otherwise(dtype: str) -> None:
    k = Tensors(scalars.knows)
    kind = np.dtype(dtype)
    operands = [Memory((12, n), kind, number) for number, n in enumerate((40, 50, 61, 70))]
    arrays = [numbers(o.shape, dtype, n) for n, o in enumerate(operands)]
    parts = [(11, 4, -2), (0, 6, 2), (2, 5, 1), (3, 9, 1)]
    results = [
        k.map("negative", k.slices(x, [rows, (number, 33, 1)])) for number, (x, rows) in enumerate(zip(operands, parts, strict=True))
    ]
    expected = []
    for number, (a, (start, length, step)) in enumerate(zip(arrays, parts, strict=True)):
        expected.append(-a[start + step * np.arange(length), number : number + 33])
    kernel = check(results, list(operands), arrays, expected)
    assert functions_in(kernel) == 1


def test_positions_are_told_too() -> None:
    k = Tensors(scalars.knows)
    kind = np.dtype(np.int64)
    shapes = [(n, 3 * n + 1) for n in (4, 5, 6, 9)]
    operands = [Memory(s, kind, number) for number, s in enumerate(shapes)]
    arrays = [numbers(s, "int64", n) for n, s in enumerate(shapes)]
    results = [k.map("add", x, k.offsets(x.shape, kind)) for x in operands]
    check(results, list(operands), arrays, [a + np.arange(a.size).reshape(a.shape) for a in arrays])


def test_blocks_of_many_sizes() -> None:
    k = Tensors(scalars.knows)
    kind = np.dtype(np.float32)
    shapes = [(64, 128), (128, 64), (70, 66), (66, 70), (64, 128), (128, 64), (200, 64), (64, 200)]
    operands = [Memory(s, kind, number) for number, s in enumerate(shapes)]
    arrays = [numbers(s, "float32", n) for n, s in enumerate(shapes)]
    results, expected = [], []
    for x, y, a, b in zip(operands[::2], operands[1::2], arrays[::2], arrays[1::2], strict=True):
        results += [k.map("subtract", k.transpose(x, (1, 0)), y), k.map("subtract", x, k.transpose(y, (1, 0)))]
        expected += [a.T - b, a - b.T]
    kernel = check(results, list(operands), arrays, expected)
    assert any(isinstance(nest, Nest) and nest.block is not None for nest in kernel.nests)


# -- others --------------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True)])
def test_products_of_many_sizes(turned: tuple[bool, bool], dtype: str) -> None:
    k = Tensors(scalars.knows)
    kind = np.dtype(dtype)
    operands: list[Memory] = []
    results, expected, arrays = [], [], []
    for rows, inner, columns in itertools.product((1, 7, 30), (1, 5, 40), (2, 9)):
        left, right = (inner, rows) if turned[0] else (rows, inner), (columns, inner) if turned[1] else (inner, columns)
        operands += [Memory(left, kind, len(operands)), Memory(right, kind, len(operands) + 1)]
        arrays += [numbers(o.shape, dtype, len(operands) + n) for n, o in enumerate(operands[-2:])]
        x, y = arrays[-2].T if turned[0] else arrays[-2], arrays[-1].T if turned[1] else arrays[-1]
        results.append(k.product(*operands[-2:], *turned))
        expected.append(x @ y)
    kernel = check(results, list(operands), arrays, expected)
    assert all(isinstance(nest, MatrixProduct) for nest in kernel.nests)
    # one whose rows are shared, one whose columns are
    assert str(emit.write(kernel)[0]).count('define internal void @"matrixproduct') == 4


@pytest.mark.parametrize("shape", [(50,), (12, 20), (4, 5, 20)])
def test_copies_without_a_part_that_is_elsewhere(shape: tuple[int, ...]) -> None:
    k = Tensors(scalars.knows)
    kind = np.dtype(np.float64)
    x = Memory(shape, kind, 0)
    array = numbers(shape, "float64")
    results, expected = [], []
    for start, length in ((0, 3), (1, 2), (2, 2), (0, 4), (3, 1)):
        value = k.number(7.0 + start, kind)
        axes = [k.axis(start, along, 1) for along in range(len(shape))]
        results.append(k.update(x, k.broadcast(value, (length,) * len(shape)), axes))
        changed = array.copy()
        changed[tuple([slice(start, start + length)] * len(shape))] = 7.0 + start
        expected.append(changed)
    kernel = check(results, [x], [array], expected)
    assert sum(isinstance(nest, Copy) for nest in kernel.nests) == 5
    assert str(emit.write(kernel)[0]).count('define internal void @"copy') == 2


# -- what is compiled ----------------------------------------------------------------------------------------------------------------------
def test_a_long_chain_of_softmaxes_is_written_once() -> None:
    k = Tensors(scalars.knows)
    x = Memory((40, 96), np.dtype(np.float32), 0)

    def written(count: int) -> tuple[int, int]:
        y: Tensor = x
        for _ in range(count):
            e = k.map("exp", k.map("subtract", y, k.reduce("maximum", y, (1,), keepdims=True)))
            y = k.map("divide", e, k.reduce("add", e, (1,), keepdims=True))
        kernel, _ = schedule.build([y], [x])
        return str(emit.write(kernel)[0]).count("\n"), max(len(n.phases) for n in kernel.nests if isinstance(n, Nest))

    assert written(30) == written(60)
    assert written(60)[1] <= 2 * schedule.MOST_PHASES


def test_a_sum_of_columns_goes_by_vectors_where_rows_have_their_mean_taken_away() -> None:
    k = Tensors(scalars.knows)
    x, mean = Memory((96, 96), np.dtype(np.float32), 0), Memory((96, 1), np.dtype(np.float32), 1)
    (nest,) = schedule.build([k.reduce("add", k.map("subtract", x, mean), (0,))], [x, mean])[0].nests
    assert isinstance(nest, Nest) and nest.across


def test_tables_are_run_by_one_function(compiled_texts: list[str]) -> None:
    minpy_jit.clear_caches()
    with minpy_jit.config.override(native=True, cache_dir="off", first_run="mxnet"):
        for shape in ((30, 40), (31, 41)):
            a = mnp.asarray(np.ones(shape, np.float32))
            assert (a * 2 - a.sum(axis=0)).asnumpy()[0, 0] == 2 - shape[0]
    kernels = [t for t in compiled_texts if 'define void @"kernel"' in t]
    assert len(kernels) == 2
    assert all(f'declare void @"{table.RUNNER}"' in t and f'define void @"{table.RUNNER}"' not in t for t in kernels)


@pytest.mark.parametrize("enabled", [True, False])
def test_no_garbage_is_collected_while_a_region_is_compiled(enabled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[bool] = []
    write = emit.write

    def noted(*args: Any, **named: Any) -> Any:
        found.append(gc.isenabled())
        return write(*args, **named)

    monkeypatch.setattr(emit, "write", noted)
    minpy_jit.clear_caches()
    (gc.enable if enabled else gc.disable)()
    try:
        with minpy_jit.config.override(native=True, first_run="mxnet"):
            (mnp.asarray(np.ones((50, 60))) * 3 - 1).asnumpy()
        assert found == [False] and gc.isenabled() == enabled
    finally:
        gc.enable()


def test_loops_of_no_turn_are_shared_with_others() -> None:
    k = Tensors(scalars.knows)
    kind = np.dtype(np.float32)
    x, y = Memory((30, 40), kind, 0), Memory((300, 40), kind, 1)
    nothing = k.slices(y, [(0, 2, 1), (3, 0, 1)])
    results = [k.update(x, nothing, [k.axis(1, 0, 1), k.axis(3, 1, 1)]), k.map("negative", y)]
    arrays = [numbers(x.shape, "float32"), numbers(y.shape, "float32", 1)]
    check(results, [x, y], arrays, [arrays[0], -arrays[1]])
