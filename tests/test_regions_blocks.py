"""Regions that read memory across its lines: transposes and sums of columns, by blocks. Each against NumPy; what goes by blocks, by
counts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import minpy_jit
import minpy_jit.numpy as mnp
from minpy_jit.exec import regions

pytestmark = pytest.mark.skipif(not regions.built(), reason="the region operator was not built: there was no C++ compiler")

if regions.built():
    from test_regions import F32
    from test_regions_join import run

    from minpy_jit.exec.regions import emit, scalars, schedule, transposed
    from minpy_jit.exec.regions.loops import Block, Nest
    from minpy_jit.exec.regions.tensors import Memory, Tensor, Tensors

DTYPES = ["bool", "int8", "uint16", "float16", "int32", "float32", "int64", "float64"]


def blocks_of(results: Sequence[Tensor], operands: Sequence[Memory]) -> list[Block | None]:
    return [nest.block for nest in schedule.build(results, operands)[0].nests if isinstance(nest, Nest)]


def numbers(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 100, shape).astype(dtype)


# -- what goes by blocks -------------------------------------------------------------------------------------------------------------------
def test_a_large_transpose_goes_by_blocks() -> None:
    k = Tensors(scalars.knows)
    x, y = Memory((300, 200), F32, 0), Memory((200, 300), F32, 1)
    (block,) = blocks_of([k.map("add", k.transpose(x, (1, 0)), y)], [x, y])
    assert block is not None and (block.row, len(block.turned)) == (0, 1)
    # two of them share the place that one has
    both = k.map("add", k.transpose(x, (1, 0)), k.transpose(k.map("negative", x), (1, 0)))
    (pair,) = blocks_of([k.map("multiply", both, k.transpose(y, (0, 1)))], [x, y])
    assert pair is not None and len(pair.turned) == 1


def test_what_is_dense_small_or_narrow_does_not() -> None:
    k = Tensors(scalars.knows)
    x = Memory((300, 200), F32, 0)
    assert blocks_of([k.map("negative", x)], [x]) == [None]
    assert blocks_of([k.map("negative", k.slices(x, [(299, 300, -1), (0, 100, 2)]))], [x]) == [None]
    for shape in ((40, 50), (5000, 3), (3, 5000)):
        y = Memory(shape, F32, 0)
        assert blocks_of([k.map("negative", k.transpose(y, (1, 0)))], [y]) == [None]


def test_places_of_blocks_stay_in_the_first_cache() -> None:
    k = Tensors(scalars.knows)
    for dtype, count in itertools.product(DTYPES[4:], (1, 2, 3, 5)):
        operands = [Memory((500, 400), np.dtype(dtype), n) for n in range(count)]
        total: Tensor = operands[0]
        for other in operands[1:]:
            total = k.map("maximum", total, other)
        (block,) = blocks_of([k.map("negative", k.transpose(total, (1, 0)))], operands)
        assert block is not None and len(block.turned) == count
        assert block.rows * block.columns * count * np.dtype(dtype).itemsize <= 1 << 15 or block.rows == 16


# -- what they compute ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", DTYPES)
def test_transposes(dtype: str) -> None:
    k = Tensors(scalars.knows)
    kind = np.dtype(dtype)
    name, function = ("logical_xor", np.logical_xor) if dtype == "bool" else ("maximum", np.maximum)
    for shape, order in (((97, 130), (1, 0)), ((64, 128), (1, 0)), ((16, 300), (1, 0)), ((70, 5, 66), (2, 1, 0)), ((3, 65, 81), (0, 2, 1))):
        x = Memory(shape, kind, 0)
        y = Memory(tuple(shape[i] for i in order), kind, 1)
        arrays = [numbers(shape, dtype), numbers(y.shape, dtype, 1)]
        result = k.map(name, k.transpose(x, order), y)
        assert any(blocks_of([result], [x, y])), shape
        for threads in (1, 3):
            (got,) = run([result], [x, y], arrays, threads)
            np.testing.assert_array_equal(got, function(arrays[0].transpose(order), arrays[1]))


def test_a_view_of_a_part_is_turned_where_it_lies() -> None:
    k = Tensors(scalars.knows)
    x = Memory((200, 300), F32, 0)
    array = numbers((200, 300), "float32")
    for rows, columns in itertools.product([(3, 150, 1), (199, 90, -2)], [(7, 100, 1), (250, 200, -1), (1, 99, 3)]):
        part = k.slices(x, [rows, columns])
        indices = [start + step * np.arange(length) for start, length, step in (rows, columns)]
        (got,) = run([k.map("negative", k.transpose(part, (1, 0)))], [x], [array], 2)
        np.testing.assert_array_equal(got, -array[np.ix_(*indices)].T)


def test_a_matrix_and_its_transpose() -> None:
    k = Tensors(scalars.knows)
    x = Memory((130, 130), F32, 0)
    array = numbers((130, 130), "float32")
    result = k.map("subtract", x, k.transpose(x, (1, 0)))
    for in_place in (False, True):
        # it may not be made in the memory of what it reads turned
        (got,) = run([result], [x], [array], 2, in_place)
        np.testing.assert_array_equal(got, array - array.T)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_of_columns(dtype: str) -> None:
    k = Tensors(scalars.knows)
    kind = np.dtype(dtype)
    for shape in ((5, 7), (40, 64), (33, 300), (9, 1100), (3, 20, 130)):
        x = Memory(shape, kind, 0)
        array = numbers(shape, dtype)
        axis = len(shape) - 2
        highest = k.reduce("logical_or" if dtype == "bool" else "maximum", x, (axis,))
        results, expected = [highest], [array.max(axis=axis)]
        if kind.kind in "iu" or kind.itemsize >= 4:
            results.append(k.reduce("add", x, (axis,)))
            expected.append(array.sum(axis=axis, dtype=kind))
        for threads in (1, 2):
            for got, wanted in zip(run(results, [x], [array], threads), expected, strict=True):
                np.testing.assert_array_equal(got, wanted)


def test_columns_side_by_side_sum_as_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    k = Tensors(scalars.knows)
    rng = np.random.default_rng(0)
    for dtype, rows in itertools.product(("float32", "float64"), (50, 3000)):
        x = Memory((rows, 333), np.dtype(dtype), 0)
        array = rng.normal(size=x.shape).astype(dtype)
        results = [k.reduce("add", x, (0,)), k.reduce("add", k.map("square", x), (0,))]
        found = run(results, [x], [array], 1)
        with monkeypatch.context() as patch:
            patch.setattr(emit, "SIDE_BY_SIDE", 1)
            for got, wanted in zip(found, run(results, [x], [array], 1), strict=True):
                assert got.tobytes() == wanted.tobytes()
        exact, terms = array.sum(axis=0, dtype=np.longdouble), np.abs(array).sum(axis=0)
        # one rounding per addition; long sums carry more digits
        roundings = rows if rows < 100 else 2
        assert np.all(np.abs(found[0] - exact) <= terms * (roundings * np.finfo(dtype).eps / 2))


# -- copies --------------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [*DTYPES, "complex64", "complex128"])
def test_copies_of_views(dtype: str) -> None:
    for shape in ((64, 64), (97, 130), (20, 3, 230), (2, 90, 70)):
        array = numbers(shape, dtype)
        for order in itertools.permutations(range(len(shape))):
            for view in (array.transpose(order), array[::-1].transpose(order), array[..., ::2].transpose(order)):
                target = np.empty(view.shape, dtype)
                transposed.copy(target, view)
                np.testing.assert_array_equal(target, view)


def test_copies_of_unaligned_memory() -> None:
    held = np.zeros(4 * 100 * 100 + 1, np.uint8)
    view = held[1:].view(np.float32).reshape(100, 100).T
    view[...] = numbers((100, 100), "float32")
    target = np.empty(view.shape, np.float32)
    transposed.copy(target, view)
    np.testing.assert_array_equal(target, view)


def test_a_program_reads_a_transposed_array(monkeypatch: pytest.MonkeyPatch) -> None:
    turned: list[tuple[int, ...]] = []
    copy = transposed.copy

    def noted(target: np.ndarray, source: np.ndarray) -> None:
        turned.append(source.shape)
        copy(target, source)

    monkeypatch.setattr(transposed, "copy", noted)
    monkeypatch.setattr(minpy_jit.config, "native", True)
    a, b = (mnp.asarray(numbers((300, 200), "float32")) for _ in range(2))

    def program(a: Any, b: Any) -> Any:
        # the first is picked out by the region; of the second, the part is all that is copied
        return a.T * 2 + (a + b).T, a[:, :90].T - 1, (a * b).sum(axis=0)

    for _ in range(3):
        found = [np.asarray(v) for v in program(a, b)]
    with minpy_jit.mode("numpy"):
        expected = [np.asarray(v) for v in program(a, b)]
    for got, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert (90, 300) in turned
