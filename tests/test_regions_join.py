"""Loops of regions that need nothing of one another: joined into sections, whose turns threads share, whoever they are and however many."""

from __future__ import annotations

import re
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
    from test_regions import F32, random_program

    from minpy_jit.exec.regions import aliases, emit, join, scalars, schedule, workspace
    from minpy_jit.exec.regions.loops import Kernel
    from minpy_jit.exec.regions.tensors import Memory, Tensor, Tensors

# of a network's parameters, and some that are no multiple of a vector
SHAPES = [(40, 30), (30,), (30, 70), (70,), (33, 1), (7,), (300, 90), (16,)]


def joined(results: Sequence[Tensor], operands: Sequence[Memory], smallest: int = 1 << 60) -> tuple[Kernel, list[tuple[int, ...]], int]:
    """The kernel in sections, the operands in whose memory its results may be made (those of so many bytes), and what it keeps."""
    kernel, extra = schedule.build(results, operands)
    in_place = aliases.in_place(kernel, len(operands), len(results), smallest)
    made, found = join.joined(kernel, len(operands), len(results), in_place)
    return made, found, extra


def run(
    results: Sequence[Tensor], operands: Sequence[Memory], arrays: Sequence[np.ndarray], threads: int, in_place: bool = False
) -> list[np.ndarray]:
    """A kernel on arrays, by so many threads at once. `in_place`: results that may be made in an operand's memory are."""
    kernel, found, extra = joined(results, operands, 1 if in_place else 1 << 60)
    aliased = [kernel.buffers[len(operands) + k] for k, options in enumerate(found) if options]
    aliased += [kernel.buffers[i] for options in found for i in options]
    into: dict[int, int] = {}
    for k, options in enumerate(found):
        free = [i for i in options if i not in into.values()]
        if free:
            into[k] = free[0]
    return run_kernel(kernel, extra, results, arrays, threads, into, aliased)


def optimiser(shapes: Sequence[tuple[int, ...]], dtype: np.dtype = F32) -> tuple[list[Tensor], list[Memory], list[np.ndarray]]:
    """A step with momentum over parameters of these shapes: results, operands, and arrays for those."""
    k = Tensors(scalars.knows)
    rng = np.random.default_rng(3)
    operands = [Memory(shape, dtype, number) for number, shape in enumerate(s for s in shapes for _ in range(3))]
    results: list[Tensor] = []
    for p, m, g in zip(operands[::3], operands[1::3], operands[2::3], strict=True):
        moved = k.map("subtract", k.map("multiply", m, k.number(0.5, dtype)), k.map("multiply", g, k.number(2, dtype)))
        results += [k.map("add", p, moved), moved]
    return results, operands, [rng.integers(-99, 99, o.shape).astype(dtype) for o in operands]


def expected(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    for p, m, g in zip(arrays[::3], arrays[1::3], arrays[2::3], strict=True):
        moved = m * m.dtype.type(0.5) - g * g.dtype.type(2)
        found += [p + moved, moved]
    return found


def functions_in(kernel: Kernel) -> int:
    """How many loops are written for a kernel."""
    return len(re.findall(r'define internal void @"?nest\d+"?\(', str(emit.write(kernel)[0])))


# -- what is joined ------------------------------------------------------------------------------------------------------------------------
def test_an_optimiser_is_one_loop() -> None:
    results, operands, _ = optimiser(SHAPES)
    kernel, _, extra = joined(results, operands)
    assert kernel.joined == [len(SHAPES)] and extra == 0
    assert functions_in(kernel) == 1
    assert kernel.outline() == "8 loop nests, joined into 1"


def test_parameters_of_one_shape_are_joined_and_not_fused() -> None:
    # each array of a fused loop is a stream of its own: ten parameters would be seventy
    results, operands, _ = optimiser([(64, 64)] * 10)
    kernel, _, _ = joined(results, operands)
    assert len(kernel.nests) == 10 and kernel.joined == [10] and functions_in(kernel) == 1


def test_loops_over_the_same_memory_are_fused() -> None:
    k = Tensors(scalars.knows)
    x, y, z = (Memory((64, 64), F32, number) for number in range(3))
    # two that read x, and one that reads what they have made
    results = [k.map("add", x, y), k.map("multiply", x, z)]
    assert len(joined(results, [x, y, z])[0].nests) == 1
    # y and z have nothing in common but for a later reader of both
    a, b = k.map("exp", y), k.map("exp", z)
    assert len(joined([a, b, k.map("add", a, b)], [x, y, z])[0].nests) == 1
    assert len(joined([a, b], [x, y, z])[0].nests) == 2


def test_a_step_after_products_waits_once_per_layer_of_steps() -> None:
    k = Tensors(scalars.knows)
    shapes = [(64, 32), (32, 16), (16, 8)]
    weights = [Memory(s, F32, number) for number, s in enumerate(shapes)]
    inputs = [Memory((50, s[0]), F32, 3 + number) for number, s in enumerate(shapes)]
    errors = [Memory((50, s[1]), F32, 6 + number) for number, s in enumerate(shapes)]
    gradients = [k.product(x, e, transpose_x=True) for x, e in zip(inputs, errors, strict=True)]
    results = [k.map("subtract", w, k.map("tanh", g)) for w, g in zip(weights, gradients, strict=True)]
    kernel, _, _ = joined(results, [*weights, *inputs, *errors])
    assert kernel.joined == [3, 3]
    assert kernel.outline() == "3 loop nests and 3 matrix products, joined into 2"


def test_what_reads_an_operand_comes_before_what_may_be_made_in_its_memory() -> None:
    k = Tensors(scalars.knows)
    x, w, g = Memory((64, 64), F32, 0), Memory((64, 64), F32, 1), Memory((64, 64), F32, 2)
    product, updated = k.product(x, w), k.map("subtract", w, k.map("tanh", g))
    kernel, in_place, _ = joined([product, updated], [x, w, g], smallest=1)
    assert kernel.joined == [1, 1] and in_place[1] == (0, 1, 2)
    kernel, _, _ = joined([product, updated], [x, w, g])
    assert kernel.joined == [2]
    # the other way round it may not be
    kernel, in_place, _ = joined([updated, product], [x, w, g], smallest=1)
    assert 1 not in in_place[0]


def test_memory_that_is_merely_free_is_not_worth_a_wait() -> None:
    k = Tensors(scalars.knows)
    x, y = Memory((64, 64), F32, 0), Memory((64, 64), F32, 1)
    results = [k.map("exp", x), k.map("exp", y)]
    kernel, in_place, _ = joined(results, [x, y], smallest=1)
    assert kernel.joined == [2] and in_place == [(0,), (1,)]


def test_what_would_keep_much_memory_is_not_moved_ahead() -> None:
    k = Tensors(scalars.knows)
    large = [Memory((512, 512), F32, number) for number in range(4)]
    # each sum needs its product only: were both products made first, both would lie around
    products = [k.product(a, b) for a, b in zip(large[::2], large[1::2], strict=True)]
    kernel, _, _ = joined([k.reduce("maximum", p, (1,)) for p in products], large)
    first = [next(n for n, section in enumerate(kernel.sections()) if nest in section) for nest in kernel.nests]
    assert first[-1] > 1
    assert workspace.plan(kernel, 6, 1)[1] < 2 * 512 * 512 * 4


# -- what they compute ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_every_turn_runs_once(threads: int, in_place: bool) -> None:
    # in place, a turn that ran twice would show
    results, operands, arrays = optimiser(SHAPES * 3)
    for got, wanted in zip(run(results, operands, arrays, threads, in_place), expected(arrays), strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "int64"])
def test_lengths(dtype: str) -> None:
    shapes = [(n,) for n in (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65)]
    k = Tensors(scalars.knows)
    kind = np.dtype(dtype)
    operands = [Memory(s, kind, number) for number, s in enumerate(shapes)]
    arrays = [np.arange(1, o.shape[0] + 1).astype(kind) for o in operands]
    results = [k.map("multiply", k.map("add", x, k.number(3, kind)), x) for x in operands]
    kernel, _, _ = joined(results, operands)
    # of narrow elements each length has its own
    assert functions_in(kernel) == (2 if kind.itemsize >= 4 else len(shapes))
    for threads in (1, 2):
        for got, x in zip(run(results, operands, arrays, threads), arrays, strict=True):
            np.testing.assert_array_equal(got, (x + kind.type(3)) * x)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_sections_of_unlike_loops(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # also where it does not pay
    monkeypatch.setattr(emit, "PARALLEL_WORK", 2)
    monkeypatch.setattr(emit, "SMALLEST_SPLIT", 40)
    for seed in range(12):
        wanted, operands, arrays = random_program(np.random.default_rng(seed))
        if wanted:
            for got, (_, value) in zip(run([t for t, _ in wanted], operands, arrays, threads), wanted, strict=True):
                np.testing.assert_array_equal(got, value)


def test_sums_do_not_depend_on_the_number_of_threads() -> None:
    k = Tensors(scalars.knows)
    rng = np.random.default_rng(0)
    operands = [Memory((n, 300), F32, number) for number, n in enumerate((5, 200, 31))]
    arrays = [rng.normal(size=o.shape).astype(np.float32) for o in operands]
    results = [r for x in operands for r in (k.reduce("add", x, (0,)), k.reduce("add", x, (1,)), k.reduce("add", x, (0, 1)))]
    alone = run(results, operands, arrays, 1)
    for threads in (2, 3):
        for got, wanted in zip(run(results, operands, arrays, threads), alone, strict=True):
            assert got.tobytes() == wanted.tobytes()


# -- what is said of them ------------------------------------------------------------------------------------------------------------------
def test_explain_shows_joined_loops() -> None:
    arrays = [mnp.asarray(np.full(s, 2.0, np.float32)) for s in ((300, 200), (200,), (200, 300))]

    def step() -> list[Any]:
        return [a - 0.5 * mnp.tanh(a) for a in arrays]

    with minpy_jit.config.override(native=True):
        text = minpy_jit.explain(step)
    assert "3 loop nests, joined into 1" in text
