"""Native code against the reference: every entry with a kernel expression, on every dtype, shape and layout that its samples have; fusion;
random programs of its own."""

from __future__ import annotations

import ctypes
import itertools
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import op_driver as driver
import pytest
from op_driver import MXNET_DTYPES

import minpy_jit
import minpy_jit.numpy as mnp
from minpy_jit.exec import reference, regions
from minpy_jit.exec.run import NativeStage, Plan
from minpy_jit.trace.op import TABLE, Op

pytestmark = pytest.mark.skipif(not regions.built(), reason="the region operator was not built: there was no C++ compiler")

if regions.built():
    from minpy_jit.exec.regions import emit, jit, region, scalars, schedule, store
    from minpy_jit.exec.regions.loops import Kernel
    from minpy_jit.exec.regions.tensors import Memory, Tensor, Tensors


@pytest.fixture(autouse=True)
def every_node_in_a_region(monkeypatch: pytest.MonkeyPatch) -> None:
    # also where it does not pay
    monkeypatch.setattr(region, "REGION_NODE", -1e9)
    monkeypatch.setattr(minpy_jit.config, "native", True)


# -- ops -----------------------------------------------------------------------------------------------------------------------------------
def compare(op: Op, operands: Sequence[Any], params: tuple[Any, ...], where: str) -> bool:
    """One call through a region against the reference; returns whether there is one."""
    try:
        graph = driver.graph_of_one(op, operands, params)
    except driver._ERRORS:
        return False
    position = next(i for i, n in enumerate(graph.nodes) if n.op is op)
    if not operands or not regions.takes(graph, graph.nodes[position]):
        return False
    plan = Plan(graph, tuple(range(len(graph.outputs))))
    assert all(isinstance(s, NativeStage) and s.lowered.code for s in plan.stages), where
    inputs = [o for o in operands if not driver.is_number(o)]
    numbers = [o for o in operands if driver.is_number(o)]
    with driver.quiet():
        try:
            (expected,) = reference.run(graph, inputs, numbers)
        except Exception as error:
            with pytest.raises(type(error)):
                plan.run(inputs, numbers)
            return True
    outcome = plan.run(inputs, numbers)
    if op.family == "linalg" and expected.dtype.kind == "f":
        # terms may cancel: the error is that of the terms
        named = op.named(params)
        exact = op.numpy(*[np.asarray(o, np.longdouble) for o in operands], **named)
        terms = op.numpy(*[np.abs(np.asarray(o, np.longdouble)) for o in operands], **named)
        allowed = terms * (np.finfo(expected.dtype).eps * np.max([np.size(o) for o in operands]))
        got = outcome.values[0]
        assert got.dtype == expected.dtype and got.shape == expected.shape
        assert np.all(np.abs(got - exact) <= allowed), f"{where} (region): {got}, expected {exact}"
        return True
    driver.assert_same_values(outcome.values[0], expected, f"{where} (region)", driver.tolerance(op), op.family)
    return True


def check_op(op: Op, dtypes: Sequence[str], mixed: bool) -> int:
    """Samples and special values; `mixed`: also with Python numbers as operands. Returns the number of calls that ran."""
    ran = 0
    rng = np.random.default_rng(2)
    for number, sample in enumerate(op.samples):
        params = op.bind(sample.params)
        for dtype in driver.dtypes_of(sample, dtypes):
            arrays = driver.operands_of(sample, dtype, rng)
            where = f"{op.name} sample {number} {dtype}"
            ran += compare(op, arrays, params, where)
            if mixed and op.family == "elementwise" and len(arrays) > 1 and number == 0:
                for position, value in itertools.product(range(len(arrays)), (2, 0.5)):
                    operands: list[Any] = list(arrays)
                    operands[position] = value
                    ran += compare(op, operands, params, f"{where} with {value!r} as operand {position}")
    for params in {op.bind(s.params): None for s in op.samples} if op.family in ("elementwise", "cast") else ():
        for dtype in dtypes:
            ran += compare(op, driver.special_operands(op, np.dtype(dtype)), params, f"{op.name}{params} {dtype} special values")
    return ran


WITH_KERNEL = [op for op in TABLE.values() if op.kernel is not None]
each_op = pytest.mark.parametrize("op", WITH_KERNEL, ids=lambda op: op.name)


@each_op
def test_region_is_the_reference(op: Op) -> None:
    ran = check_op(op, ("float32",), mixed=False)
    ran = ran or check_op(op, ("bool", "int32"), mixed=False)
    known = op.arity != 0 and (not isinstance(op.kernel, str) or op.kernel in scalars.SCALARS)
    assert ran or not known, f"{op.name}: has a kernel expression, but no region took any of its samples"


@pytest.mark.slow
@each_op
def test_region_is_the_reference_for_every_dtype(op: Op) -> None:
    check_op(op, MXNET_DTYPES, mixed=True)


def test_the_checker_rejects() -> None:
    wrong = driver.altered(TABLE["add"], kernel="subtract")
    with pytest.raises(AssertionError, match="values differ"):
        check_op(wrong, ("float32",), mixed=False)


# -- fusion --------------------------------------------------------------------------------------------------------------------------------
def kernel_of(results: Sequence[Tensor], operands: Sequence[Memory]) -> tuple[Kernel, int]:
    return schedule.build(results, operands)


def outline(results: Sequence[Tensor], operands: Sequence[Memory]) -> list[tuple[tuple[int, ...], list[tuple[int, ...]]]]:
    """(outer loops, loops of each phase) of each nest."""
    return [(n.outer, [p.extents for p in n.phases]) for n in kernel_of(results, operands)[0].nests]


F32 = np.dtype(np.float32)


def test_a_chain_is_one_loop() -> None:
    k = Tensors(scalars.knows)
    x, b = Memory((16, 16), F32, 0), Memory((16,), F32, 1)
    y: Tensor = x
    for _ in range(100):
        y = k.map("add", k.map("multiply", y, k.number(0.99, F32)), b)
    assert outline([y], [x, b]) == [((16, 16), [()])]


def test_softmax_is_one_nest_over_its_rows() -> None:
    k = Tensors(scalars.knows)
    x = Memory((50, 70), F32, 0)
    e = k.map("exp", k.map("subtract", x, k.reduce("maximum", x, (1,), keepdims=True)))
    y = k.map("divide", e, k.reduce("add", e, (1,), keepdims=True))
    ((outer, phases),) = outline([y], [x])
    assert outer == (50,) and set(phases) == {(70,)} and len(phases) == 3


def test_sums_of_columns_share_their_loop() -> None:
    k = Tensors(scalars.knows)
    x = Memory((33, 512), F32, 0)
    both = [k.reduce("add", x, (0,)), k.reduce("add", k.map("square", x), (0,))]
    assert outline(both, [x]) == [((512,), [(33,), (), ()])]


def test_phases_have_loops_of_their_own() -> None:
    k = Tensors(scalars.knows)
    x = Memory((2, 3), F32, 0)
    part = k.reduce("add", k.slices(x, [(0, 2, 1), (1, 2, 1)]), (0, 1))
    whole = k.reduce("add", k.map("square", x), (0, 1))
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    (got,) = run([k.map("add", part, whole)], [x], [array])
    assert got == array[:, 1:].sum() + (array * array).sum()


def test_results_nobody_reads_elsewhere_need_no_memory() -> None:
    k = Tensors(scalars.knows)
    x = Memory((40, 30), F32, 0)
    centred = k.map("subtract", x, k.map("divide", k.reduce("add", x, (1,), keepdims=True), k.number(30, F32)))
    assert kernel_of([centred], [x])[1] == 0


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("columns", range(2, 9))
def test_counts_of_some_lanes_compile(rows: int, columns: int) -> None:
    # on AVX-512, LLVM 22 ended the process at 2 and 4 rows of 3
    k = Tensors(scalars.knows)
    x, number = Memory((rows, columns), np.dtype(np.int64), 0), Memory((), np.dtype(np.int64), 1)
    turned = k.slices(x, [(0, rows, 1), (columns - 1, columns, -1)])
    mask = k.map("greater", turned, k.broadcast(number, (rows, columns)), dtype=np.dtype(np.bool_))
    array = np.arange(rows * columns, dtype=np.int64).reshape(rows, columns) % 4
    (got,) = run([k.reduce("add", k.cast(mask, np.dtype(np.int64)), (0, 1))], [x, number], [array, np.array(1)])
    assert got == (array > 1).sum()


# -- random tensors ------------------------------------------------------------------------------------------------------------------------
def run(results: Sequence[Tensor], operands: Sequence[Memory], arrays: Sequence[np.ndarray], threads: int = 1) -> list[np.ndarray]:
    """A kernel on arrays; `threads`: the turns are shared out as for so many, which run one after another (one nest only)."""
    kernel, _ = kernel_of(results, operands)
    module, _ = emit.write(kernel)
    code = jit.Code(jit.compiled(str(module)), "kernel")
    buffers = [*arrays, *[np.full(b.size * threads, 77, b.dtype) for b in kernel.buffers[len(arrays) :]]]
    addresses = (ctypes.c_void_p * len(buffers))(*[b.ctypes.data for b in buffers])
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)(code.address)
    nothing = ctypes.CFUNCTYPE(None)(lambda: None)
    for thread in range(threads):
        function(addresses, thread, threads, ctypes.cast(nothing, ctypes.c_void_p))
    return [buffers[len(arrays) + k][: math.prod(r.shape)].reshape(r.shape) for k, r in enumerate(results)]


def random_program(rng: np.random.Generator) -> tuple[list[tuple[Tensor, np.ndarray]], list[Memory], list[np.ndarray]]:
    """Tensors with their values by NumPy (in integers, so that they agree exactly), and the operands."""
    k = Tensors(scalars.knows)
    dtype = np.dtype(np.int64)
    shape = tuple(int(n) for n in rng.choice([1, 2, 3, 5, 8, 17], rng.integers(1, 4)))
    operands, arrays = [], []
    made: list[tuple[Tensor, np.ndarray]] = []
    for number in range(3):
        own = tuple(n if rng.random() < 0.7 else 1 for n in shape)[int(rng.integers(0, len(shape))) if rng.random() < 0.2 else 0 :]
        operands.append(Memory(own, dtype, number))
        arrays.append(rng.integers(-9, 9, own))
        made.append((operands[-1], arrays[-1]))
    for _ in range(rng.integers(2, 12)):
        x, value = made[rng.integers(len(made))]
        kind = rng.integers(6)
        rank = len(x.shape)
        if kind <= 1:
            y, other = made[rng.integers(len(made))]
            name = str(rng.choice(["add", "subtract", "multiply", "maximum"]))
            try:
                np.broadcast_shapes(x.shape, y.shape)
            except ValueError:
                continue
            made.append((k.map(name, x, y), getattr(np, name)(value, other)))
        elif kind == 2 and rank:
            axes = [a for a in range(rank) if rng.random() < 0.5] or [rank - 1]
            keep = bool(rng.random() < 0.5)
            name, function = [("add", np.sum), ("maximum", np.max)][rng.integers(2)]
            made.append((k.reduce(name, x, axes, keepdims=keep), np.asarray(function(value, axis=tuple(axes), keepdims=keep))))
        elif kind == 3 and rank:
            order = [int(i) for i in rng.permutation(rank)]
            made.append((k.transpose(x, order), value.transpose(order)))
        elif kind == 4 and rank:
            parts = []
            for n in x.shape:
                start = int(rng.integers(0, n))
                step = int(rng.choice([-2, -1, 1, 2]))
                length = 1 + (start // -step if step < 0 else (n - 1 - start) // step)
                parts.append((start, length, step))
            keys = tuple(start + step * np.arange(length) for start, length, step in parts)
            made.append((k.slices(x, parts), value[np.ix_(*keys)]))
        elif kind == 5:
            size = math.prod(x.shape)
            divisor = next(d for d in (5, 3, 2, 1) if size % d == 0)
            wanted = (divisor, size // divisor) if rng.random() < 0.7 else (size,)
            made.append((k.reshape(x, wanted), value.reshape(wanted)))
    computed = [m for m in made[3:] if schedule.is_computed(m[0])]
    chosen = [computed[i] for i in sorted(set(rng.integers(0, len(computed), 3).tolist()))] if computed else []
    return list({t: (t, v) for t, v in chosen}.values()), operands, arrays


@pytest.mark.parametrize("seed", range(60))
def test_random_tensors(seed: int) -> None:
    wanted, operands, arrays = random_program(np.random.default_rng(seed))
    if not wanted:
        return
    kernel, _ = kernel_of([t for t, _ in wanted], operands)
    for threads in (1, 3) if len(kernel.nests) == 1 else (1,):
        for got, (_, expected) in zip(run([t for t, _ in wanted], operands, arrays, threads), wanted, strict=True):
            np.testing.assert_array_equal(got, expected)


@pytest.mark.slow
def test_many_random_tensors() -> None:
    for seed in range(1000, 3000):
        test_random_tensors(seed)


# -- programs ------------------------------------------------------------------------------------------------------------------------------
def test_programs_run_in_one_region() -> None:
    x = mnp.asarray(np.random.default_rng(0).normal(size=(64, 96)).astype(np.float32))

    def normalised(x: Any) -> Any:
        mean = x.mean(axis=1, keepdims=True)
        centred = x - mean
        return centred / mnp.sqrt((centred * centred).mean(axis=1, keepdims=True) + 1e-5), (x > 0).any(axis=0), x.max()

    for _ in range(3):
        found = [np.asarray(v) for v in normalised(x)]
    assert minpy_jit.flush_log()[-1].nodes <= 2
    with minpy_jit.mode("numpy"):
        expected = [np.asarray(v) for v in normalised(x)]
    for got, wanted in zip(found, expected, strict=True):
        assert got.dtype == wanted.dtype
        np.testing.assert_allclose(got, wanted, rtol=2e-6, atol=2e-6)


def test_without_native_code_mxnet_runs_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minpy_jit.config, "native", False)
    x = mnp.asarray(np.arange(12.0, dtype=np.float32).reshape(3, 4))
    for _ in range(3):
        total = np.asarray((x * 2 + 1).sum(axis=0))
    assert minpy_jit.flush_log()[-1].nodes > 1
    assert total.tolist() == [27.0, 33.0, 39.0, 45.0]


# -- on disk -------------------------------------------------------------------------------------------------------------------------------
@pytest.fixture
def folder(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(minpy_jit.config, "cache_dir", str(tmp_path / "code"))
    return tmp_path / "code"


TEXT = "define void @kernel(ptr %a, i64 %b, i64 %c, ptr %d) {\n  ret void\n}\n"


def test_code_is_compiled_once_per_machine(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = jit.object_of(TEXT)
    assert len(list(folder.iterdir())) == 1
    monkeypatch.setattr(jit, "compiled", lambda text: pytest.fail("compiled again"))
    assert jit.object_of(TEXT) == first


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:60] + b"?" + b[61:], lambda b: b"", lambda b: b"not ours"])
def test_damaged_code_is_written_anew(folder: Any, damage: Any) -> None:
    good = jit.object_of(TEXT)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert jit.object_of(TEXT) == good
    assert file.read_bytes() == whole


def test_the_folder_stays_within_its_limit(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minpy_jit.config, "max_cache_bytes", 3000)
    for k in range(10):
        store.save(f"code{k}", bytes(900))
        # the clock of the file system may be coarse
        os.utime(folder / f"code{k}", (k, k))
    assert sorted(f.name for f in folder.iterdir()) == ["code7", "code8", "code9"]


def test_a_folder_that_cannot_be_written_is_as_good_as_none(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(minpy_jit.config, "cache_dir", str(tmp_path / "file" / "code"))
    assert jit.object_of(TEXT) == jit.compiled(TEXT)
    monkeypatch.setattr(minpy_jit.config, "cache_dir", "off")
    assert jit.object_of(TEXT) == jit.compiled(TEXT)


@pytest.mark.parametrize("shape", [(1, 3), (1, 100), (3, 1), (2, 3)])
def test_what_is_read_at_a_position_is_made_before(shape: tuple[int, ...]) -> None:
    """A position is a number that only the run knows; along an axis of one element it is 0 all the same."""

    def f(xp: Any, x: Any) -> list[Any]:
        v = xp.sin(x)
        return [xp.sum(xp.tanh(x)), xp.sum(xp.cos(v)), xp.sum(xp.sin(v[0])), xp.sum(v[..., 0])]

    rng = np.random.default_rng(0)
    for _ in range(4):
        x = rng.random(shape)
        found = f(mnp, mnp.array(x))
        minpy_jit.flush(*found)
        np.testing.assert_allclose([r.asnumpy() for r in found], f(np, x), rtol=1e-12)
