"""What regions compute beyond plain loops: indexing by arrays, cumulative operations, positions of extrema, every dtype, moved and repeated
elements. Each against NumPy; what fuses, by counts; errors of ranges as without regions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import op_driver as driver
import pytest
from op_driver import quiet

import minpy_jit
import minpy_jit.numpy as mnp
from minpy_jit.exec import regions
from minpy_jit.exec.run import NativeStage, Plan, plan_cache
from minpy_jit.trace.op import TABLE, Op

pytestmark = pytest.mark.skipif(not regions.built(), reason="the region operator was not built: there was no C++ compiler")

if regions.built():
    from test_regions import WITH_KERNEL, check_op, compare, run

    from minpy_jit.exec.regions import region, scalars, schedule
    from minpy_jit.exec.regions.loops import Nest
    from minpy_jit.exec.regions.tensors import Memory, Tensors
else:
    WITH_KERNEL = []

# what MXNet has no dtype for, and what it has few operators for
OTHER_DTYPES = ("float16", "int16", "uint16", "uint32", "uint64")
DTYPES = ("bool", "int8", "uint8", "int32", "int64", "float32", "float64", *OTHER_DTYPES)
F32, I64 = np.dtype(np.float32), np.dtype(np.int64)


@pytest.fixture(autouse=True)
def every_node_in_a_region(monkeypatch: pytest.MonkeyPatch) -> None:
    # also where it does not pay
    monkeypatch.setattr(region, "REGION_NODE", -1e9)
    monkeypatch.setattr(minpy_jit.config, "native", True)


# -- the table -----------------------------------------------------------------------------------------------------------------------------
NEW = (
    *("getitem_arrays", "scatter_add", "setitem_arrays", "add_at", "last_write", "take", "take_along_axis", "scatter_add_along_axis"),
    *("put_along_axis", "last_put", "strided", "set_strided", "add_strided", "argmax", "argmin", "cumsum", "cumprod", "recurrence"),
    *("roll", "shift", "tile", "repeat", "pad", "diagonal", "place_diagonal", "nan_to_num", "round", "astype", "power", "floor_divide"),
    *("remainder", "fmod", "left_shift", "right_shift", "fmax", "fmin", "signbit", "heaviside", "degrees", "radians", "conjugate"),
)


@pytest.mark.parametrize("name", (*NEW, "add", "maximum", "exp", "where", "less", "sum", "mean", "setitem", "concatenate"))
def test_region_is_the_reference_for_dtypes_that_mxnet_lacks(name: str) -> None:
    assert check_op(TABLE[name], ("float16", "uint32"), mixed=False)


@pytest.mark.slow
@pytest.mark.parametrize("op", WITH_KERNEL, ids=lambda op: op.name)
def test_region_is_the_reference_for_all_dtypes(op: Op) -> None:
    check_op(op, OTHER_DTYPES, mixed=True)


@pytest.mark.parametrize("name", NEW)
def test_region_is_the_reference_for_every_layout(name: str) -> None:
    check_layouts(TABLE[name])


@pytest.mark.slow
@pytest.mark.parametrize("op", WITH_KERNEL, ids=lambda op: op.name)
def test_region_is_the_reference_for_every_layout_of_all_entries(op: Op) -> None:
    check_layouts(op)


def check_layouts(op: Op) -> None:
    rng = np.random.default_rng(3)
    for number, sample in enumerate(op.samples):
        params = op.bind(sample.params)
        for dtype in driver.dtypes_of(sample, ("float32",)):
            for layout, operands in enumerate(driver.layouts(driver.operands_of(sample, dtype, rng))):
                compare(op, operands, params, f"{op.name} sample {number} {dtype} layout {layout}")


# -- casts ---------------------------------------------------------------------------------------------------------------------------------
def converted(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    k = Tensors(scalars.knows)
    operand = Memory(x.shape, x.dtype, 0)
    (got,) = run([k.copy(k.cast(operand, dtype))], [operand], [x])
    return got


@pytest.mark.parametrize("given", DTYPES)
def test_casts_are_numpys(given: str) -> None:
    rng = np.random.default_rng(0)
    dtype = np.dtype(given)
    x = driver.special_values(dtype)
    if dtype.kind == "f":
        edges = [s * (2.0**p + d) for p in (7, 8, 15, 16, 31, 32, 62, 63, 64) for d in (-1, -0.5, 0, 0.5, 1) for s in (1, -1)]
        edges += [1e300, -1e300, 65519.999, 65520, 2.0**-25, 2.0**-24 * 1.5, 1 + 2.0**-11]
        with quiet():
            x = np.concatenate([x, np.array(edges).astype(dtype), (rng.normal(size=500) * 10.0 ** rng.integers(-9, 12, 500)).astype(dtype)])
    elif dtype.kind in "iu":
        info = np.iinfo(dtype)
        x = np.concatenate([x, rng.integers(info.min, info.max, 500, dtype=dtype, endpoint=True)])
    for result in map(np.dtype, DTYPES):
        with quiet():
            # one by one: of what uint32 cannot hold NumPy's loop over dense arrays makes something else than its others
            expected = np.array([v.astype(result) for v in x], result)
        driver.assert_same_values(converted(x, result), expected, f"{given} -> {result}")


def test_float16_of_all_float64_neighbourhoods() -> None:
    """Ties, and what lies next to them in float64 and in float32, round once."""
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)].astype(np.float64)
    with np.errstate(over="ignore"):
        ties = (finite + np.nextafter(finite.astype(np.float16), np.float16(np.inf)).astype(np.float64)) / 2
    ties = ties[np.isfinite(ties)]
    x = np.concatenate([ties, np.nextafter(ties, np.inf), np.nextafter(ties, -np.inf), ties * (1 + 2.0**-26), ties * (1 - 2.0**-26)])
    with np.errstate(over="ignore"):
        expected = x.astype(np.float16)
    np.testing.assert_array_equal(converted(x, np.dtype(np.float16)).view(np.uint16), expected.view(np.uint16))


# -- integers ------------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [d for d in DTYPES if np.dtype(d).kind in "iu"])
@pytest.mark.parametrize("name", ["floor_divide", "remainder", "fmod", "left_shift", "right_shift", "power"])
def test_integer_rules(name: str, dtype: str) -> None:
    rng = np.random.default_rng(1)
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max, 4000, dtype=dtype, endpoint=True)
    y = np.where(rng.random(4000) < 0.5, rng.integers(info.min, info.max, 4000, dtype=dtype, endpoint=True), x // np.array(7, dtype))
    small = rng.integers(-3 if info.min else 0, 70, 4000).astype(dtype)
    y[:2000] = small[:2000]
    edges = [(info.min, info.max), (info.min, 0), (0, 0), (5, 1), *([(info.min, -1)] if info.min else [])]
    x, y = (np.concatenate([v, np.array([e[n] for e in edges], dtype)]) for n, v in enumerate((x, y)))
    if name == "power":
        y = np.abs(y % 90)
    k = Tensors(scalars.knows)
    a, b = (Memory(x.shape, x.dtype, n) for n in (0, 1))
    (got,) = run([k.map(name, a, b)], [a, b], [x, y])
    with quiet():
        expected = getattr(np, name)(x, y)
    driver.assert_same_values(got, expected, f"{name} {dtype}")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", ["degrees", "radians", "rad2deg", "deg2rad"])
def test_angles_are_numpys_bit_for_bit(name: str, dtype: str) -> None:
    x = np.random.default_rng(0).uniform(-400, 400, 4000).astype(dtype)
    driver.assert_same_values(through_region(name, [x]), getattr(np, name)(x), f"{name} {dtype} (region)")
    if dtype != "float16":
        graph = driver.graph_of_one(TABLE[name], [x], ())
        (got,) = Plan(graph, (0,), native=False).run([x], []).values.values()
        driver.assert_same_values(got, getattr(np, name)(x), f"{name} {dtype} (MXNet)")


def test_negative_powers_of_integers_are_refused_at_their_line() -> None:
    def powers(exponents: list[int]) -> Any:
        return mnp.asarray(np.arange(1, 4)) ** mnp.asarray(np.array(exponents)) + 1

    for _ in range(3):
        assert np.asarray(powers([0, 1, 2])).tolist() == [2, 3, 10]
    assert minpy_jit.flush_log()[-1].executor == "mxnet"
    with pytest.raises(ValueError, match=r"\[power\] Integers to negative integer powers are not allowed.*test_region_kernels"):
        np.asarray(powers([0, -1, 2]))
    assert np.asarray(powers([2, 2, 2])).tolist() == [2, 5, 10]


# -- large, random -------------------------------------------------------------------------------------------------------------------------
def through_region(name: str, operands: Sequence[Any], **params: Any) -> np.ndarray:
    """A call of an entry, checked to be one region."""
    op = TABLE[name]
    graph = driver.graph_of_one(op, operands, op.bind(params))
    plan = Plan(graph, tuple(range(len(graph.outputs))))
    assert all(isinstance(s, NativeStage) and s.lowered.code for s in plan.stages)
    return plan.run([o for o in operands if not driver.is_number(o)], [o for o in operands if driver.is_number(o)]).values[0]


def expected_of(name: str, operands: Sequence[Any], **params: Any) -> np.ndarray:
    op = TABLE[name]
    return np.asarray(op.numpy(*[np.asarray(o) for o in operands], **op.named(op.bind(params))))


A, FULL = ("array",), ("full",)
KEYS = (
    ((37,), (A,), ((1000,),)),
    ((37, 16), (A, FULL), ((500,),)),
    ((37, 70), (A, FULL), ((50, 3),)),
    ((37, 3), (A, FULL), ((500,),)),
    ((37, 70), (FULL, A), ((90,),)),
    ((37, 70), (A, A), ((300,), (300,))),
    ((37, 70), (A, A), ((30, 1), (1, 20))),
    ((5, 37, 20), (FULL, A, FULL), ((77,),)),
    ((37, 5, 20), (A, FULL, A), ((40,), (40,))),
    ((37, 5, 20), (A, ("slice", 1, 4, 2), A), ((7, 1), (9,))),
    ((6, 37, 20), (("slice", None, None, -1), A, ("new",), FULL), ((11,),)),
)


@pytest.mark.parametrize("dtype", ["float32", *(pytest.param(d, marks=pytest.mark.slow) for d in ("float64", "int8", "float16"))])
@pytest.mark.parametrize("case", KEYS, ids=str)
def test_random_gathers_and_scatters(case: Any, dtype: str) -> None:
    shape, structure, lengths = case
    rng = np.random.default_rng(5)
    x = driver.random_array(rng, shape, np.dtype(dtype), -9, 9)
    at, axis = [], 0
    remaining = iter(lengths)
    for entry in structure:
        if entry == A:
            at.append(rng.integers(-shape[axis], shape[axis], next(remaining)))
        axis += entry != ("new",)
    got = through_region("getitem_arrays", [x, *at], structure=structure)
    expected = expected_of("getitem_arrays", [x, *at], structure=structure)
    np.testing.assert_array_equal(got, expected)
    # float sums in NumPy's order: bit for bit
    g = driver.random_array(rng, expected.shape, np.dtype(dtype), -9, 9)
    params = {"shape": shape, "structure": structure, "unique": False}
    added = through_region("scatter_add", [g, *at], **params)
    np.testing.assert_array_equal(added, expected_of("scatter_add", [g, *at], **params))
    for name in ("setitem_arrays", "add_at"):
        np.testing.assert_array_equal(
            through_region(name, [x, g, *at], structure=structure), expected_of(name, [x, g, *at], structure=structure)
        )


@pytest.mark.parametrize(
    "dtype", ["float32", "int32", *(pytest.param(d, marks=pytest.mark.slow) for d in ("float64", "bool", "uint16", "float16"))]
)
@pytest.mark.parametrize("shape", [(1000,), (33, 70), (5, 40, 20), (40, 1), (3, 1, 50)], ids=str)
def test_random_scans_and_positions(shape: tuple[int, ...], dtype: str) -> None:
    rng = np.random.default_rng(6)
    x = driver.random_array(rng, shape, np.dtype(dtype), -3, 3)
    special = x.copy()
    if x.dtype.kind == "f":
        special.reshape(-1)[rng.integers(0, x.size, 3)] = np.nan
        x.reshape(-1)[:2] = -0.0
    for axis in (None, *range(len(shape))):
        for name in ("cumsum", "cumprod"):
            with quiet():
                expected = expected_of(name, [x], axis=axis)
                driver.assert_same_values(through_region(name, [x], axis=axis), expected, f"{name} along {axis}")
        for name in ("argmax", "argmin"):
            for given in (x, special):
                np.testing.assert_array_equal(
                    through_region(name, [given], axis=axis, keepdims=False), expected_of(name, [given], axis=axis, keepdims=False)
                )


def test_positions_of_the_first_of_equals() -> None:
    x = np.zeros((4, 100), np.float32)
    x[1, 70:] = 1
    x[2, 33] = np.nan
    x[2, 20] = np.inf
    x[3, 99] = -0.0
    assert through_region("argmax", [x], axis=1, keepdims=False).tolist() == [0, 70, 33, 0]
    assert through_region("argmin", [x], axis=1, keepdims=False).tolist() == [0, 0, 33, 0]
    assert through_region("argmax", [x], axis=None, keepdims=False) == 233


# -- errors of ranges ----------------------------------------------------------------------------------------------------------------------
def _looked_up(x: Any, at: Any) -> Any:
    return x[at]  # here


READINGS: dict[str, Callable[[Any, Any], Any]] = {
    "x[at]": _looked_up,
    "x[at, at]": lambda x, at: x[at, at],
    "take": lambda x, at: mnp.take(x, at, axis=0),
    "take flat": lambda x, at: mnp.take(x, at * 4),
    "take_along_axis": lambda x, at: mnp.take_along_axis(x, mnp.stack([at] * 4, axis=1), axis=0),
    "gradient": lambda x, at: minpy_jit.grad(lambda x: mnp.sum(x[at] ** 2))(x),
}


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("name", READINGS)
def test_a_range_error_is_numpys_and_leaves_all_else(name: str, native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minpy_jit.config, "native", native)
    plan_cache.clear()
    x = mnp.asarray(np.arange(16.0, dtype=np.float32).reshape(4, 4))
    reading = READINGS[name]

    def program(at: list[int]) -> tuple[Any, Any]:
        double = x * 2
        return double, reading(double, mnp.asarray(np.array(at))) + 1

    expected = [np.asarray(program([0, 1, 3])[1]) for _ in range(3)]
    for wrong in ([0, 4, 1], [1, 2, -5]):
        double, result = program(wrong)
        with pytest.raises(IndexError, match=r"is out of bounds for axis 0 with size (4|16).*test_region_kernels\.py:\d+"):
            np.asarray(result)
        # what does not depend on it has its value, and the next run is as before
        np.testing.assert_array_equal(np.asarray(double), np.asarray(x) * 2)
        np.testing.assert_array_equal(np.asarray(program([0, 1, 3])[1]), expected[-1])


def test_indices_out_of_range_are_not_written_to() -> None:
    """The run that finds them has stayed within the array all the same: the memory beside it is as it was."""
    x = np.zeros((4, 8), np.float32)
    for at in (10**12, -(10**12), np.iinfo(np.int64).min, np.iinfo(np.int64).max):
        for name in ("setitem_arrays", "add_at"):
            with pytest.raises(IndexError):
                through_region(name, [x, np.ones((1, 8), np.float32), np.array([at])], structure=(A, FULL))


# -- fusion --------------------------------------------------------------------------------------------------------------------------------
def outline(results: Sequence[Any], operands: Sequence[Any]) -> list[tuple[tuple[int, ...], bool, list[tuple[int, ...]]]]:
    nests = schedule.build(results, operands)[0].nests
    return [(n.outer, n.across, [p.extents for p in n.phases]) for n in nests if isinstance(n, Nest)]


def looked_up(k: Any, x: Any, at: Any) -> Any:
    return k.view(x, (*at.shape, *x.shape[1:]), [k.index(at, x.shape[0], 0, 1), k.axis(along=1)])


def test_a_gather_fuses_with_what_is_around_it() -> None:
    k = Tensors(scalars.knows)
    x, at = Memory((50, 16), F32, 0), Memory((32,), I64, 1)
    y = k.map("multiply", looked_up(k, k.map("add", x, k.number(1, F32)), at), k.number(2, F32))
    assert outline([y], [x, at]) == [((32, 16), True, [()])]


def test_threads_never_share_a_place_of_a_scatter() -> None:
    k = Tensors(scalars.knows)
    g, at = Memory((32, 16), F32, 0), Memory((32,), I64, 1)
    axes = [k.index(at, 50, 0, 1), k.axis(along=1)]
    zeros = k.broadcast(k.number(0, F32), (50, 16))
    # zeros, and columns whose additions run in order
    assert outline([k.update(zeros, g, axes, combine="add")], [g, at]) == [((50, 16), True, [()]), ((16,), True, [(32,)])]
    points = [k.index(at, 50, 0, 0), k.index(at, 16, 1, 0)]
    one = k.update(zeros, k.broadcast(k.number(1, F32), (32,)), points, combine="add")
    assert outline([one], [g, at])[-1] == ((), False, [(32,)])


def test_a_running_sum_and_its_reader_are_one_loop() -> None:
    k = Tensors(scalars.knows)
    x = Memory((20, 100), F32, 0)
    y = k.map("multiply", k.scan("add", k.map("exp", x), 1), x)
    assert outline([y], [x]) == [((20,), False, [(100,)])]
    assert outline([k.scan("add", x, 0)], [x]) == [((100,), True, [(20,)])]


def test_a_position_and_its_extremum_are_one_nest() -> None:
    k = Tensors(scalars.knows)
    x = Memory((20, 100), F32, 0)
    best = k.reduce("maximum", x, (1,))
    where = k.map(
        "where", k.map("equal", x, k.insert_axes(best, (1,)), dtype=np.dtype(bool)), k.positions((20, 100), 1, I64), k.number(99, I64)
    )
    ((outer, _, phases),) = outline([best, k.reduce("minimum", where, (1,))], [x])
    assert outer == (20,) and phases.count((100,)) == 2


def nodes_of(function: Callable[[], Any]) -> int:
    """MXNet nodes of a program's third run."""
    for _ in range(3):
        made = function()
        for value in made if isinstance(made, tuple) else (made,):
            np.asarray(value)
    return minpy_jit.flush_log()[-1].nodes


def test_a_step_with_an_embedding_is_one_region() -> None:
    rng = np.random.default_rng(0)
    table = mnp.asarray(rng.normal(size=(50, 16)).astype(np.float32))
    words, labels = mnp.asarray(rng.integers(0, 50, 32)), mnp.asarray(rng.integers(0, 16, 32))

    def loss(table: Any) -> Any:
        h = mnp.tanh(table[words])
        h = h - mnp.log(mnp.sum(mnp.exp(h), axis=1, keepdims=True))
        return -mnp.mean(h[mnp.arange(32), labels])

    def step() -> Any:
        value, gradient = minpy_jit.value_and_grad(loss)(table)
        return value, table - 0.1 * gradient

    assert nodes_of(step) <= 2
    assert minpy_jit.flush_log()[-1].host_steps == 0
    got = [np.asarray(v) for v in step()]
    with minpy_jit.mode("numpy"):
        expected = [np.asarray(v) for v in step()]
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_dtypes_that_mxnet_lacks_pass_between_regions() -> None:
    """uint32 random bits, as a hash of positions: no step on the host."""
    x = mnp.asarray(np.arange(40000, dtype=np.uint32).reshape(200, 200))

    def hashed() -> Any:
        y = (x ^ (x >> np.uint32(15))) * np.uint32(0x2C1B3C6D)
        y = y ^ (y >> np.uint32(12))
        counts = y.astype(np.uint16).astype(np.float16)
        return y, mnp.sum(y, axis=0), counts.max(axis=1), (y % np.uint32(7)).astype(np.int16)

    nodes_of(hashed)
    assert minpy_jit.flush_log()[-1].host_steps == 0
    got = [np.asarray(v) for v in hashed()]
    with minpy_jit.mode("numpy"):
        expected = [np.asarray(v) for v in hashed()]
    for a, b in zip(got, expected, strict=True):
        driver.assert_same_values(a, b, "hash")


@pytest.mark.parametrize("dtype", OTHER_DTYPES)
@pytest.mark.parametrize("size", [5, 100000])
def test_dtypes_cross_the_border_unchanged(dtype: str, size: int) -> None:
    """Small values are copied into the executor's memory, large ones are read where they are; numbers come as numbers."""
    bits = np.random.default_rng(0).integers(0, 1 << 16, size).astype(np.uint16)
    array = bits.view(dtype) if np.dtype(dtype).itemsize == 2 else bits.astype(dtype) * np.array(65521, dtype)
    x = mnp.asarray(array)

    def program() -> Any:
        return mnp.flip(x, 0), mnp.where(x > 3, x, 2)

    for _ in range(3):
        flipped, chosen = (np.asarray(v) for v in program())
    assert minpy_jit.flush_log()[-1].host_steps == 0
    assert flipped.dtype == chosen.dtype == array.dtype
    assert flipped.tobytes() == array[::-1].tobytes()
    driver.assert_same_values(chosen, np.where(array > 3, array, np.array(2, dtype)), dtype)


def test_made_from_nothing() -> None:
    x = mnp.asarray(np.ones((60, 60), np.float32))

    def program() -> Any:
        return (
            x + mnp.eye(60, 60, 1, dtype=np.float32),
            x * mnp.tri(60, dtype=np.float32),
            x[0] + mnp.arange(0.5, 30.5, 0.5, dtype=np.float32),
        )

    assert nodes_of(program) == 1
    got = [np.asarray(v) for v in program()]
    for a, b in zip(got, (1 + np.eye(60, 60, 1), np.tri(60), 1 + np.arange(0.5, 30.5, 0.5)), strict=True):
        np.testing.assert_array_equal(a, b.astype(np.float32))


def test_the_checker_rejects() -> None:
    wrong = driver.altered(TABLE["cumsum"], kernel=TABLE["cumprod"].kernel)
    with pytest.raises(AssertionError, match="values differ"):
        check_op(wrong, ("float32",), mixed=False)
