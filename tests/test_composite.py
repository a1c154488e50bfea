"""Reductions, shaping ops and composites against the NumPy functions of their names: values, types, memory order, gradients, errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import op_driver as driver
import pytest
import scipy.special  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from minpy_jit.exec import reference
from minpy_jit.exec.run import Plan
from minpy_jit.trace.graph import Graph, GraphBuilder
from minpy_jit.trace.op import TABLE
from minpy_jit.trace.ops import composite, normalise, shape
from minpy_jit.trace.types import ArrayType, array_type, type_of

Written = Callable[..., Any]


def write(function: Written, operands: Sequence[Any]) -> tuple[GraphBuilder, list[Any], Any]:
    """A function of arrays as a graph: builder, operands, result (a list of results is joined)."""
    builder = GraphBuilder()
    refs = [builder.append(driver.leaf(type_of(np.asarray(o), scalar=not isinstance(o, np.ndarray)))) for o in operands]
    return builder, refs, function(*refs)


def evaluate(function: Written, *operands: Any, plan: bool = False) -> tuple[np.ndarray, ArrayType]:
    """Value (by the reference, or by a plan of MXNet stages and host steps) and type."""
    builder, refs, y = write(function, operands)
    graph = Graph(tuple(builder.nodes), tuple(r.slot for r in refs), (), (y.slot,))
    inputs = [np.asarray(o) for o in operands]
    if plan:
        # results whose first encounter and later ones differ would show here
        return Plan(graph, (0,)).run(inputs, ()).values[0], y.type
    with driver.quiet():
        return reference.run(graph, inputs, ())[0], y.type


def pulled(function: Written, operands: Sequence[np.ndarray], weights: np.ndarray) -> list[np.ndarray]:
    """The gradients of sum(weights * result)."""
    builder, refs, y = write(function, operands)
    seed = builder.append(driver.leaf(y.type))
    found = driver.pullback(builder, {y.slot: seed}, [r.slot for r in refs])
    gradients = [x * 0.0 if g is None else g for g, x in zip(found, refs, strict=True)]
    graph = Graph(tuple(builder.nodes), (*(r.slot for r in refs), seed.slot), (), tuple(g.slot for g in gradients))
    with driver.quiet():
        return reference.run(graph, [*operands, weights], ())


def assert_gradient(function: Written, *operands: np.ndarray) -> None:
    rng = np.random.default_rng(5)
    value, _ = evaluate(function, *operands)
    weights = rng.standard_normal(value.shape)
    for k, gradient in enumerate(pulled(function, operands, weights)):
        direction = rng.standard_normal(operands[k].shape)
        step = 1e-6
        moved = [[o + s * step * direction if i == k else o for i, o in enumerate(operands)] for s in (1, -1)]
        up, down = (np.sum(evaluate(function, *m)[0] * weights) for m in moved)
        np.testing.assert_allclose(np.sum(gradient * direction), (up - down) / (2 * step), rtol=1e-6, atol=1e-7)


def assert_as_numpy(function: Written, theirs: Written, *operands: Any, ulp: int = 8, strides: bool = True) -> None:
    """Value, type and memory order on the reference, and the value on MXNet."""
    with driver.quiet():
        expected = theirs(*operands)
    value, type_ = evaluate(function, *operands)
    where = repr(operands)[:60]
    driver.assert_type_describes(type_, expected, where, check_strides=strides)
    driver.assert_same_values(value, np.asarray(expected), where, ulp, "reduction")
    value, _ = evaluate(function, *operands, plan=True)
    driver.assert_same_values(value, np.asarray(expected), f"{where} (plan)", 64, "reduction")


RNG = np.random.default_rng(3)
MATRIX = RNG.standard_normal((3, 4))
CUBE = RNG.standard_normal((2, 3, 4))
HOLES = np.where(RNG.random((4, 5)) < 0.3, np.nan, RNG.standard_normal((4, 5)))
HOLES[1] = np.nan
SPECIAL = np.array([[1.0, np.inf, 2.0], [-np.inf, np.inf, 0.0], [np.nan, 1.0, 2.0], [-np.inf, -np.inf, -np.inf], [1e300, 1.0, -1e300]])


def variants(x: np.ndarray) -> list[np.ndarray]:
    """The same values in other dtypes and memory orders."""
    with driver.quiet():
        cast = [x.astype(d) for d in ("float32", "int32", "bool", "uint8", "complex64")]
    return [x, *cast, np.asfortranarray(x), x[::-1], x.T]


AXES: tuple[Any, ...] = (None, (0,), (1,), (0, 1))


# -- entries that are no ufunc -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", ["sum", "prod", "mean", "max", "min", "any", "all"])
def test_reductions(name: str, axis: Any, keepdims: bool) -> None:
    for x in [*variants(MATRIX), CUBE, np.asfortranarray(CUBE), CUBE.transpose(1, 2, 0)]:
        assert_as_numpy(
            lambda x: TABLE[name](x, axis=axis, keepdims=keepdims), lambda x: getattr(np, name)(x, axis=axis, keepdims=keepdims), x
        )


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "prod", "any", "all"])
def test_reductions_of_special_values(name: str) -> None:
    for dtype in ("float64", "float32"):
        with driver.quiet():
            x = SPECIAL.astype(dtype)
        for axis in (None, (0,), (1,)):
            assert_as_numpy(lambda x, a=axis: TABLE[name](x, axis=a, keepdims=False), lambda x, a=axis: getattr(np, name)(x, axis=a), x)


def test_reductions_of_scalars() -> None:
    for name in ("sum", "max", "any"):
        assert_as_numpy(lambda x, n=name: TABLE[n](x, axis=(), keepdims=False), lambda x, n=name: getattr(np, n)(x, axis=0), np.array(2.5))
        assert_as_numpy(lambda x, n=name: TABLE[n](x, keepdims=True), lambda x, n=name: getattr(np, n)(x, keepdims=True), np.array(2.5))


def test_float16_means_are_taken_in_float32() -> None:
    x = np.full(3000, 30.0, np.float16)
    assert_as_numpy(lambda x: TABLE["mean"](x), np.mean, x)
    assert float(evaluate(lambda x: TABLE["mean"](x), x)[0]) == 30.0


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_cumulative(name: str) -> None:
    for x in [*variants(MATRIX), CUBE.transpose(1, 2, 0)]:
        for axis in (None, 0, 1):
            assert_as_numpy(lambda x, a=axis: TABLE[name](x, axis=a), lambda x, a=axis: getattr(np, name)(x, a), x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("shape_", "axis"),
    [((2, 1 << 16), (1,)), ((1 << 16, 2), (0,)), ((256, 256), None), ((1 << 16,), None), ((65521,), None), ((4096,), None)],
)
def test_long_sums_stay_accurate(shape_: tuple[int, ...], axis: Any, dtype: str) -> None:
    """MXNet's part is within 64 ulp of the exact sum, in the worst case that we know: equal elements."""
    x = np.full(shape_, 0.1, dtype)
    value, _ = evaluate(lambda x: TABLE["sum"](x, axis=axis), x, plan=True)
    exact = x.astype(np.longdouble).sum(axis and axis[0])
    assert np.all(np.abs(value - exact) <= 64 * np.spacing(exact.astype(dtype)))


def test_sums_that_mxnet_would_get_wrong_run_on_the_host() -> None:
    builder, refs, y = write(lambda x: TABLE["sum"](x), [np.zeros((1 << 16) + 1, np.float32)])
    assert Plan(Graph(tuple(builder.nodes), (refs[0].slot,), (), (y.slot,)), (0,), native=False).host_steps == 1


def test_products_and_gradients_with_zeros() -> None:
    x = np.array([[2.0, 0.0, 3.0], [0.0, 1.5, 0.0], [1.0, -2.0, 0.5]])
    (gradient,) = pulled(lambda x: TABLE["prod"](x, axis=(1,)), [x], np.ones(3))
    np.testing.assert_array_equal(gradient, [[0, 6, 0], [0, 0, 0], [-1, 0.5, -2]])
    (gradient,) = pulled(lambda x: TABLE["cumprod"](x, axis=0), [np.array([2.0, 0.0, 3.0])], np.ones(3))
    np.testing.assert_array_equal(gradient, [1.0, 2.0 + 6.0, 0.0])


def test_extrema_share_the_gradient_of_ties() -> None:
    (gradient,) = pulled(lambda x: TABLE["max"](x), [np.array([1.0, 3.0, 3.0, 2.0])], np.ones(()))
    np.testing.assert_array_equal(gradient, [0, 0.5, 0.5, 0])


@pytest.mark.parametrize("mode", ["constant", "edge", "wrap", "reflect", "symmetric"])
def test_pad(mode: str) -> None:
    width = ((1, 2), (0, 2))
    for x in variants(MATRIX):
        assert_as_numpy(lambda x: composite.padded(x, width, mode), lambda x: np.pad(x, width, mode), x, ulp=0, strides=mode == "constant")
    assert_gradient(lambda x: composite.padded(x, width, mode), MATRIX)


def test_pad_with_a_value() -> None:
    width = ((1, 0), (2, 1))
    fill = np.asarray(7.5)
    assert_as_numpy(lambda x, v: TABLE["pad"](x, v, width=width), lambda x, v: np.pad(x, width, constant_values=v), MATRIX, fill)
    assert composite.padded(write(lambda x: x, [MATRIX])[2], ((9, 0), (0, 0)), "wrap") is NotImplemented


@pytest.mark.parametrize("name", ["tril", "triu"])
@pytest.mark.parametrize("k", [-1, 0, 2])
def test_triangles(name: str, k: int) -> None:
    for x in [*variants(MATRIX), np.asfortranarray(CUBE), MATRIX[0]]:
        assert_as_numpy(lambda x: TABLE[name](x, k=k), lambda x: getattr(np, name)(x, k), x, ulp=0)


@pytest.mark.parametrize("axis", [0, 1])
def test_softmax(axis: int) -> None:
    for x in [*variants(MATRIX)[:4], SPECIAL, SPECIAL.T]:
        for name in ("softmax", "log_softmax"):
            # scipy computes integers in float64 as we do
            given = x.astype(float) if x.dtype.kind in "biu" else x
            with driver.quiet():
                expected = getattr(scipy.special, name)(given, axis)
            for plan in (False, True):
                value, _ = evaluate(lambda x, n=name: getattr(composite, n)(x, (axis,)), x, plan=plan)
                assert value.dtype == expected.dtype
                np.testing.assert_allclose(value, expected, rtol=1e-5 if x.dtype == np.float32 else 1e-13)
    for name in ("softmax", "log_softmax"):
        assert_gradient(lambda x, n=name: getattr(composite, n)(x, (axis,)), MATRIX)


@pytest.mark.parametrize("axis", [*AXES])
def test_logsumexp(axis: Any) -> None:
    for x in (MATRIX, SPECIAL, MATRIX * 1000, MATRIX.astype(np.float32)):
        with driver.quiet():
            expected = scipy.special.logsumexp(x, axis)
        value, _ = evaluate(lambda x: composite.logsumexp(x, axis), x)
        np.testing.assert_allclose(value, expected, rtol=1e-5 if x.dtype == np.float32 else 1e-13)
    assert_gradient(lambda x: composite.logsumexp(x, axis), MATRIX)


# -- statistics ----------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", ["var", "std"])
def test_var(name: str, axis: Any, keepdims: bool) -> None:
    ours, theirs = getattr(composite, name), getattr(np, name)
    for x in variants(MATRIX):
        assert_as_numpy(lambda x: ours(x, axis, keepdims=keepdims), lambda x: theirs(x, axis, keepdims=keepdims), x, ulp=16, strides=False)
    assert_as_numpy(lambda x: ours(x, axis, ddof=1), lambda x: theirs(x, axis, ddof=1), MATRIX, ulp=16)
    assert_as_numpy(lambda x: ours(x, axis, np.dtype("f4")), lambda x: theirs(x, axis, "f4"), MATRIX, ulp=64)
    if name == "var":
        assert_as_numpy(lambda x: ours(x, axis, np.dtype("i4")), lambda x: theirs(x, axis, "i4"), MATRIX * 9)
    assert_gradient(lambda x: ours(x, axis, keepdims=keepdims), MATRIX)


@pytest.mark.filterwarnings("ignore:Degrees of freedom")
def test_too_few_degrees_of_freedom() -> None:
    assert_as_numpy(lambda x: composite.var(x, (0,), ddof=3), lambda x: np.var(x, 0, ddof=3), MATRIX)


@pytest.mark.filterwarnings("ignore:All-NaN|Mean of empty|Degrees of freedom")
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", ["nansum", "nanprod", "nanmax", "nanmin", "nanmean", "nanvar", "nanstd"])
def test_nan_functions(name: str, axis: Any, keepdims: bool) -> None:
    ours, theirs = getattr(composite, name), getattr(np, name)
    with driver.quiet():
        arrays = (HOLES, HOLES.astype(np.float32), HOLES.astype(np.int64), np.asfortranarray(HOLES), np.full((2, 2), np.nan))
    for x in arrays:
        assert_as_numpy(lambda x: ours(x, axis, keepdims=keepdims), lambda x: theirs(x, axis, keepdims=keepdims), x, ulp=32, strides=False)
    full = np.where(np.isnan(HOLES), 7.5 + np.arange(20).reshape(4, 5), HOLES)
    assert_gradient(lambda x: ours(x, axis, keepdims=keepdims), full)
    (gradient,) = pulled(lambda x: composite.nansum(x, (1,)), [HOLES], np.ones(4))
    np.testing.assert_array_equal(gradient, ~np.isnan(HOLES))


@pytest.mark.parametrize("name", ["nancumsum", "nancumprod"])
def test_nan_cumulative(name: str) -> None:
    for axis in (None, 0, 1):
        assert_as_numpy(lambda x, a=axis: getattr(composite, name)(x, a), lambda x, a=axis: getattr(np, name)(x, a), HOLES)


def test_average() -> None:
    weights, row = np.abs(MATRIX), np.array([1.0, 2.0, 3.0, 4.0])
    for x, w, axis in ((MATRIX, weights, None), (MATRIX, weights, (0,)), (MATRIX, row, (1,)), (np.arange(12).reshape(3, 4), row, (1,))):
        for k in (0, 1):
            assert_as_numpy(
                lambda x, w, a=axis, k=k: composite.average(x, a, w)[k],
                lambda x, w, a=axis, k=k: np.average(x, a and a[0], w, returned=True)[k],
                x,
                w,
            )
    assert_as_numpy(lambda x: composite.average(x, (1,))[0], lambda x: np.average(x, 1), MATRIX)
    assert_as_numpy(lambda x: composite.average(x, (1,))[1], lambda x: np.average(x, 1, returned=True)[1], MATRIX)
    assert_gradient(lambda x, w: composite.average(x, (1,), w)[0], MATRIX, row)
    with pytest.raises(TypeError, match="Axis must be specified"):
        write(lambda x, w: composite.average(x, None, w), [MATRIX, row])
    with pytest.raises(ValueError, match="Length of weights not compatible"):
        write(lambda x, w: composite.average(x, (0,), w), [MATRIX, row])


@pytest.mark.parametrize("axis", AXES)
def test_ptp_and_count_nonzero(axis: Any) -> None:
    for x in [x for x in variants(MATRIX) if x.dtype != bool]:
        assert_as_numpy(lambda x: composite.ptp(x, axis), lambda x: np.ptp(x, axis), x)
    for x in variants(np.trunc(MATRIX)):
        value, type_ = evaluate(lambda x: composite.count_nonzero(x, axis), x)
        np.testing.assert_array_equal(value, np.count_nonzero(x, axis))
        assert type_.dtype == np.int64


# -- shapes --------------------------------------------------------------------------------------------------------------------------------
def test_view_functions() -> None:
    first = RNG.standard_normal((2, 1, 3, 1))
    for array in (first, np.asfortranarray(first), first[::-1], RNG.standard_normal((2, 1, 6, 1))[:, :, ::2]):
        assert_as_numpy(composite.squeeze, np.squeeze, array)
        assert_as_numpy(lambda x: composite.squeeze(x, 1), lambda x: np.squeeze(x, 1), array)
        assert_as_numpy(lambda x: composite.expand_dims(x, (0, -1)), lambda x: np.expand_dims(x, (0, -1)), array)
        assert_as_numpy(lambda x: composite.swapaxes(x, 0, -2), lambda x: np.swapaxes(x, 0, -2), array)
        assert_as_numpy(lambda x: composite.moveaxis(x, (0, 2), (-1, 0)), lambda x: np.moveaxis(x, (0, 2), (-1, 0)), array)
        for axis in range(4):
            for start in range(-4, 5):
                assert_as_numpy(
                    lambda x, a=axis, s=start: composite.rollaxis(x, a, s), lambda x, a=axis, s=start: np.rollaxis(x, a, s), array
                )
        assert_as_numpy(composite.ravel, np.ravel, array)
        assert_as_numpy(lambda x: composite.roll(x, (2,)), lambda x: np.roll(x, 2), array)
    for shape_ in ((), (3,), (2, 3)):
        for n, theirs in ((1, np.atleast_1d), (2, np.atleast_2d), (3, np.atleast_3d)):
            assert_as_numpy(lambda x, n=n: composite.atleast_nd(x, n), theirs, RNG.standard_normal(shape_).reshape(shape_))


@given(st.data())
def test_reshape_gives_numpys_strides(data: Any) -> None:
    """Random strided arrays and shapes: a view or a copy exactly where NumPy makes one, with its strides."""
    shape_ = tuple(data.draw(st.lists(st.integers(0, 4), min_size=0, max_size=4)))
    base = np.empty(tuple(2 * n + 1 for n in shape_), np.float32)
    steps = [data.draw(st.sampled_from((1, 2, -1))) for _ in shape_]
    cuts = [{1: slice(0, n), 2: slice(0, 2 * n, 2), -1: slice(n, 0, -1)}[step] for n, step in zip(shape_, steps, strict=True)]
    # the ellipsis keeps a 0-d array an array
    x = base[(..., *cuts)]
    x = x.transpose(data.draw(st.permutations(range(x.ndim))))
    if x.ndim and data.draw(st.booleans()):
        x = np.broadcast_to(x[:1], x.shape) if x.shape[0] else x
    factors = [n for n in x.shape for n in ([2, 2] if n == 4 and data.draw(st.booleans()) else [n])]
    groups: list[int] = []
    for n in factors:
        if groups and data.draw(st.booleans()):
            groups[-1] *= n
        else:
            groups.append(n)
    for at in data.draw(st.lists(st.integers(0, 3), max_size=2)):
        groups.insert(min(at, len(groups)), 1)
    wanted = tuple(groups)
    made = x.reshape(wanted)
    type_ = TABLE["reshape"].infer(type_of(x), shape=wanted)
    assert shape.reshape_is_view(type_of(x), wanted) == (np.may_share_memory(made, x) or x.size == 0)
    driver.assert_type_describes(type_, made, f"{x.shape} {x.strides} -> {wanted}", check_strides=True)


def test_concatenations_keep_the_memory_order() -> None:
    x, f = CUBE, np.asfortranarray(CUBE)
    for parts in ((f, f), (x, f), (f, x), (x.transpose(1, 2, 0), x.transpose(1, 2, 0)), (f[:, :1], f), (f.astype("f4"), f)):
        for axis in (0, 1, 2):
            if all(p.shape[:axis] + p.shape[axis + 1 :] == parts[0].shape[:axis] + parts[0].shape[axis + 1 :] for p in parts):
                assert_as_numpy(lambda *p, a=axis: TABLE["concatenate"](*p, axis=a), lambda *p, a=axis: np.concatenate(p, a), *parts)
            if all(p.shape == parts[0].shape for p in parts):
                assert_as_numpy(lambda *p, a=axis: TABLE["stack"](*p, axis=a), lambda *p, a=axis: np.stack(p, a), *parts)


def test_diag_and_meshgrid() -> None:
    for k in (-1, 0, 2):
        assert_as_numpy(lambda x, k=k: composite.diag(x, k), lambda x, k=k: np.diag(x, k), MATRIX)
        assert_as_numpy(lambda x, k=k: composite.diag(x, k), lambda x, k=k: np.diag(x, k), MATRIX[0])
        assert_as_numpy(lambda x, k=k: composite.diagflat(x, k), lambda x, k=k: np.diagflat(x, k), MATRIX)
    vectors = (np.arange(2.0), np.arange(3.0), np.arange(4.0))
    for indexing in ("xy", "ij"):
        for sparse in (False, True):
            for k in range(3):
                assert_as_numpy(
                    lambda *v, i=indexing, s=sparse, k=k: composite.meshgrid(v, i, s)[k],
                    lambda *v, i=indexing, s=sparse, k=k: np.meshgrid(*v, indexing=i, sparse=s, copy=False)[k],
                    *vectors,
                )
    with pytest.raises(ValueError, match="Valid values for `indexing`"):
        composite.meshgrid((), "yx")


@pytest.mark.parametrize("name", ["reshape", "transpose", "flip", "diagonal", "slice_axis"])
def test_puts_replace_what_a_view_shows(name: str) -> None:
    """Each view op's `put` against a write through NumPy's own view."""
    op = TABLE[name]
    assert op.put is not None
    for sample in op.samples:
        (shape_,) = sample.shapes
        x = RNG.standard_normal(shape_)
        expected = np.array(x)
        view = op.numpy(expected, **sample.params)
        if name == "diagonal":
            view.flags.writeable = True
        new = RNG.standard_normal(view.shape)
        view[...] = new
        value, _ = evaluate(lambda x, n, p=sample.params: op.put(x, n, **p), np.asarray(x), np.asarray(new))
        np.testing.assert_array_equal(value, expected)


# -- linear algebra and differences --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ord_", [None, 0, 1, -1, 2, 3, 0.5, np.inf, -np.inf])
def test_vector_norms(ord_: Any) -> None:
    for x in (MATRIX, MATRIX.astype(np.float32), np.arange(12).reshape(3, 4) + 1, MATRIX + 1j * MATRIX):
        for axis in (0, 1):
            for keepdims in (False, True):
                assert_as_numpy(
                    lambda x, a=axis, k=keepdims: composite.norm(x, ord_, (a,), k),
                    lambda x, a=axis, k=keepdims: np.linalg.norm(x, ord_, a, k),
                    x,
                    ulp=32,
                )
    assert_as_numpy(lambda x: composite.norm(x, ord_), lambda x: np.linalg.norm(x, ord_), MATRIX[0], ulp=32)
    if ord_ != 0:
        assert_gradient(lambda x: composite.norm(x, ord_, (1,)), MATRIX)


@pytest.mark.parametrize("ord_", [None, "fro", "f", 1, -1, np.inf, -np.inf])
def test_matrix_norms(ord_: Any) -> None:
    theirs = "fro" if ord_ == "f" else ord_
    assert_as_numpy(lambda x: composite.norm(x, ord_), lambda x: np.linalg.norm(x, theirs), MATRIX, ulp=32)
    for axis in ((0, 2), (2, 0), (1, 2)):
        for keepdims in (False, True):
            assert_as_numpy(
                lambda x, a=axis, k=keepdims: composite.norm(x, ord_, a, k),
                lambda x, a=axis, k=keepdims: np.linalg.norm(x, theirs, a, k),
                CUBE,
                ulp=32,
            )


def test_norm_errors() -> None:
    x = write(lambda x: x, [MATRIX])[2]
    assert composite.norm(x, 2) is NotImplemented
    for ord_, axis, text in (
        ("fro", (0,), "Invalid norm order 'fro' for vectors"),
        (3, None, "Invalid norm order for matrices"),
        (None, (1, 1), "Duplicate axes given"),
        (1, (0, 1, 1), "Improper number of dimensions"),
    ):
        with pytest.raises(ValueError, match=text):
            composite.norm(x, ord_, axis)


def test_trace_kron_cross() -> None:
    assert_as_numpy(composite.trace, np.trace, MATRIX)
    assert_as_numpy(lambda x: composite.trace(x, 1, 2, 0), lambda x: np.trace(x, 1, 2, 0), CUBE)
    assert_as_numpy(composite.trace, np.trace, np.arange(9, dtype=np.int8).reshape(3, 3))
    for a, b in ((MATRIX, CUBE), (MATRIX[0], MATRIX), (MATRIX[0], MATRIX[1])):
        assert_as_numpy(composite.kron, np.kron, a, b)
        assert_gradient(composite.kron, a, b)
    threes, twos = RNG.standard_normal((4, 3)), RNG.standard_normal((4, 2))
    for a, b in ((threes, threes[::-1]), (twos, twos[::-1]), (threes, twos), (twos, threes), (threes, threes[0])):
        assert_as_numpy(composite.cross, np.cross, a, b, strides=False)
        assert_gradient(composite.cross, a, b)
    assert_as_numpy(lambda a, b: composite.cross(a, b, 0, 0, 0), lambda a, b: np.cross(a, b, 0, 0, 0), threes.T, threes.T, strides=False)
    with pytest.raises(ValueError, match="incompatible dimensions for cross product"):
        write(composite.cross, [MATRIX, MATRIX])


def test_differences() -> None:
    for x in [*variants(MATRIX), CUBE]:
        for n in (0, 1, 2, 5):
            assert_as_numpy(lambda x, n=n: composite.diff(x, n), lambda x, n=n: np.diff(x, n), x)
    assert_as_numpy(lambda x: composite.diff(x, 1, 0), lambda x: np.diff(x, 1, 0), MATRIX)
    for x in (MATRIX, np.arange(12).reshape(3, 4) ** 2, MATRIX.astype(np.float32)):
        for k in (0, 1):
            assert_as_numpy(
                lambda x, k=k: composite.gradient(x, (0.5, 2.0), (0, 1))[k], lambda x, k=k: np.gradient(x, 0.5, 2.0)[k], x, strides=False
            )
    assert_gradient(lambda x: composite.gradient(x, (0.5,), (0,))[0], MATRIX)
    with pytest.raises(ValueError, match="order must be non-negative but got -1"):
        write(lambda x: composite.diff(x, -1), [MATRIX])


# -- normalisation -------------------------------------------------------------------------------------------------------------------------
def _raised(function: Callable[[], Any]) -> tuple[type, str]:
    with pytest.raises((ValueError, TypeError, IndexError)) as caught:
        function()
    return type(caught.value), str(caught.value)


def test_normalisation_errors_are_numpys() -> None:
    x = np.zeros((2, 3))
    pairs: list[tuple[Callable[[], Any], Callable[[], Any]]] = [
        (lambda: normalise.normalise_axis(5, 2), lambda: np.argmax(x, 5)),
        (lambda: normalise.normalise_axes((0, 0), 2), lambda: np.sum(x, (0, 0))),
        (lambda: normalise.normalise_axes((0, 5), 2), lambda: np.sum(x, (0, 5))),
        (lambda: normalise.normalise_axes(1.0, 2), lambda: np.sum(x, 1.0)),  # type: ignore[call-overload]
        (lambda: normalise.normalise_shape((2, -1)), lambda: np.zeros((2, -1))),
        (lambda: normalise.normalise_shape((2, 1.5)), lambda: np.zeros((2, 1.5))),  # type: ignore[arg-type]
        (lambda: normalise.normalise_shape(1.5), lambda: np.zeros(1.5)),  # type: ignore[call-overload]
        (lambda: normalise.resolve_reshape((4, -1), 6), lambda: x.reshape(4, -1)),
        (lambda: normalise.resolve_reshape(4, 6), lambda: x.reshape(4)),
        (lambda: normalise.resolve_reshape((-1, -1), 6), lambda: x.reshape(-1, -1)),
        (lambda: normalise.resolve_reshape((0, -1), 0), lambda: np.zeros(0).reshape(0, -1)),
        (lambda: normalise.normalise_permutation((0, 0), 2), lambda: np.transpose(x, (0, 0))),
        (lambda: normalise.normalise_permutation((0,), 2), lambda: np.transpose(x, (0,))),
        (lambda: normalise.squeezed_shape((2, 3), 0), lambda: np.squeeze(x, 0)),
        (lambda: normalise.expanded_shape((2, 3), 5), lambda: np.expand_dims(x, 5)),
        (lambda: normalise.expanded_shape((2, 3), (0, 0)), lambda: np.expand_dims(x, (0, 0))),
        (lambda: normalise.moved_axes(2, (0, 1), 0), lambda: np.moveaxis(x, (0, 1), 0)),
        (lambda: normalise.moved_axes(2, (0, 0), (0, 1)), lambda: np.moveaxis(x, (0, 0), (0, 1))),
        (lambda: normalise.rolled_axes(2, 0, 5), lambda: np.rollaxis(x, 0, 5)),
    ]
    for ours, theirs in pairs:
        assert _raised(ours) == _raised(theirs)


def test_normalisation() -> None:
    assert normalise.normalise_axes((-1, 0), 3) == (0, 2)
    assert normalise.normalise_axes(np.int64(-1), 3) == (2,)
    assert normalise.normalise_axes(-1, 0) == ()
    assert normalise.normalise_axes(None, 3) is None
    assert normalise.normalise_shape(np.int64(3)) == (3,) == normalise.normalise_shape([np.int32(3)])
    assert normalise.resolve_reshape((2, -1), 6) == (2, 3)
    assert normalise.resolve_reshape((0, 3), 0) == (0, 3)
    assert normalise.resolve_reshape([-1], 0) == (0,)


ERRORS: list[tuple[str, list[Any], dict[str, Any], Callable[..., Any]]] = [
    ("max", [np.zeros((0, 3))], {"axis": (0,), "keepdims": False}, lambda x: np.max(x, 0)),
    ("argmax", [np.zeros((0, 3))], {"axis": 0, "keepdims": False}, lambda x: np.argmax(x, 0)),
    ("concatenate", [np.zeros(2), np.zeros((2, 2))], {"axis": 0}, lambda *x: np.concatenate(x)),
    ("concatenate", [np.zeros((2, 3)), np.zeros((3, 2))], {"axis": 0}, lambda *x: np.concatenate(x)),
    ("concatenate", [np.zeros(()), np.zeros(2)], {"axis": 0}, lambda *x: np.concatenate(x)),
    ("stack", [np.zeros(2), np.zeros(3)], {"axis": 0}, lambda *x: np.stack(x)),
    ("broadcast_to", [np.zeros((2, 3))], {"shape": (2, 2)}, lambda x: np.broadcast_to(x, (2, 2))),
    ("broadcast_to", [np.zeros((2, 3))], {"shape": (3,)}, lambda x: np.broadcast_to(x, (3,))),
    ("diagonal", [np.zeros(3)], {}, np.diagonal),
    ("tril", [np.zeros(())], {"k": 0}, np.tril),
    ("pad", [np.zeros(3), np.zeros(())], {"width": ((-1, 0),)}, lambda x, v: np.pad(x, ((-1, 0),))),
    ("full", [np.ones(2)], {"shape": (2, 3), "dtype": np.dtype("f8")}, lambda v: np.full((2, 3), v)),
    ("partition", [np.zeros(3)], {"kth": (5,), "axis": 0}, lambda x: np.partition(x, 5)),
    ("searchsorted", [np.zeros((2, 2)), np.zeros(())], {"side": "left"}, np.searchsorted),
    ("sum", [np.array(["a"])], {}, np.sum),
    ("arange", [], {"start": 0, "stop": 5, "step": 0, "dtype": np.dtype("i8")}, lambda: np.arange(0, 5, 0)),
    ("arange", [], {"start": 0, "stop": 5, "dtype": np.dtype("?")}, lambda: np.arange(5, dtype=bool)),
    ("eye", [], {"rows": -1, "columns": 2}, lambda: np.eye(-1)),
]


@pytest.mark.parametrize("case", ERRORS, ids=lambda case: case[0])
def test_errors_are_numpys(case: Any) -> None:
    name, operands, params, theirs = case
    op = TABLE[name]
    with pytest.raises((ValueError, TypeError, ZeroDivisionError)) as ours:
        op.infer(*[type_of(o) for o in operands], **op.named(op.bind(params)))
    with pytest.raises((ValueError, TypeError, ZeroDivisionError)) as expected:
        theirs(*operands)
    assert driver.error_class(ours.value) is driver.error_class(expected.value)
    assert str(ours.value) == str(expected.value)


def test_ranges_are_numpys_bit_for_bit() -> None:
    for start, stop, step in ((0, 1, 0.1), (0.1, 0.7, 0.2), (5, -3, -0.7), (1, 1.0000001, 1), (0, 1e-320, 1e-320), (0, 7, 3), (7, 0, -3)):
        for dtype in ("float64", "float32", "int64", "int32"):
            params = {"start": start, "stop": stop, "step": step, "dtype": np.dtype(dtype)}
            op = TABLE["arange"]
            expected = np.arange(start, stop, step, dtype)
            type_ = op.infer(**op.named(op.bind(params)))
            assert type_ is array_type(expected.shape, expected.dtype)
            np.testing.assert_array_equal(op.numpy(**op.named(op.bind(params))), expected)
