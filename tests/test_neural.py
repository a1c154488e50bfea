"""Neural operators: values against loops written here and against MXNet's own operators, gradients against MXNet's autograd and finite
differences, in every way of running them; and a training step of them as one executor."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, product
from typing import Any

import numpy
import op_driver as driver
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit import ops
from minpy_jit.errors import NoGradientError
from minpy_jit.exec import regions, run
from minpy_jit.exec.run import NativeStage, plan_cache
from minpy_jit.interop import mxnet
from minpy_jit.trace.op import TABLE

Array = numpy.ndarray
Function = Callable[..., Any]


pytestmark = pytest.mark.usefixtures("clean_state")


# -- running in every way -----------------------------------------------------------------------------------------------------------------
def host(results: Any) -> list[Array]:
    """Results as NumPy arrays of their own."""
    return [numpy.array(r.asnumpy()) for r in (results if isinstance(results, tuple | list) else (results,))]


def every_way(function: Function, arrays: Sequence[Array]) -> Iterator[tuple[str, list[Array]]]:
    """What a function of arrays gives: the first time and later, in the other modes, traced and as a pure function."""

    def run(f: Function = function) -> list[Array]:
        return host(f(*[np.array(a) for a in arrays]))

    yield "first", run()
    before = minpy_jit.stats()
    yield "second", run()
    assert minpy_jit.stats()["executor_runs"] == before["executor_runs"] + 1
    assert minpy_jit.stats()["host_steps"] == before["host_steps"], "the operator ran in NumPy"
    yield "third", run()
    for name in ("eager", "numpy"):
        with minpy_jit.mode(name):
            yield name, run()
    for name, wrapped in (("traced", minpy_jit.trace(function)), ("pure", minpy_jit.trace(pure=True)(function))):
        for _ in range(3):
            yield name, run(wrapped)


def assert_close(got: Sequence[Array], expected: Sequence[Array], where: str) -> None:
    """Equal up to the rounding of sums: relative to the largest value, 100 units in the last place."""
    for k, (a, b) in enumerate(zip(got, expected, strict=True)):
        assert a.shape == b.shape, f"{where}, result {k}: shape {a.shape}, expected {b.shape}"
        allowed = 100 * numpy.finfo(a.dtype).eps * max(float(numpy.max(numpy.abs(b))), 1e-3)
        assert float(numpy.max(numpy.abs(a - b))) <= allowed, f"{where}, result {k}: {a!r}, expected {b!r}"


def check_values(function: Function, arrays: Sequence[Array], *expected: Any) -> None:
    """The function in every way, in float32 and float64; inputs stay as they were."""
    for dtype in ("float64", "float32"):
        given = [a.astype(dtype) for a in arrays]
        kept = [a.copy() for a in given]
        for way, found in every_way(function, given):
            assert all(f.dtype == dtype for f in found), (way, [f.dtype for f in found])
            assert_close(found, [numpy.asarray(e) for e in expected], f"{way}, {dtype}")
        for a, b in zip(given, kept, strict=True):
            numpy.testing.assert_array_equal(a, b)


def weighted(function: Function, seeds: Sequence[Array]) -> Function:
    """Sum of results times seeds: what gradients are taken of."""

    def total(*arrays: Any) -> Any:
        results = function(*arrays)
        return sum(np.sum(r * s) for r, s in zip(results if isinstance(results, tuple) else (results,), seeds, strict=True))

    return total


def gradient_of(function: Function, seeds: Sequence[Array], count: int) -> Function:
    return minpy_jit.grad(weighted(function, seeds), argnum=tuple(range(count)))


def check_gradients(function: Function, arrays: Sequence[Array], reference: Function, theirs: Function | None = None) -> None:
    """Gradients in every way: float64 against central differences of `reference`, a function of NumPy arrays that was written without
    this library; float32 against MXNet's autograd through `theirs`, a function of its arrays."""
    rng = numpy.random.default_rng(5)
    expected = reference(*arrays)
    shapes = [numpy.shape(e) for e in (expected if isinstance(expected, tuple) else (expected,))]
    seeds = [numpy.asarray(rng.standard_normal(s)) for s in shapes]
    directions = [rng.standard_normal(a.shape) for a in arrays]
    gradient = gradient_of(function, seeds, len(arrays))

    def along(k: int, step: float) -> float:
        moved = [a + step * directions[k] if i == k else a for i, a in enumerate(arrays)]
        results = reference(*moved)
        return float(sum(numpy.sum(r * s) for r, s in zip(results if isinstance(results, tuple) else (results,), seeds, strict=True)))

    measured = [(along(k, 1e-6) - along(k, -1e-6)) / 2e-6 for k in range(len(arrays))]
    for way, found in every_way(gradient, arrays):
        for k, (g, d) in enumerate(zip(found, directions, strict=True)):
            claimed = float(numpy.sum(g * d))
            assert claimed == pytest.approx(measured[k], rel=1e-6, abs=1e-6), f"{way}, operand {k}"
    if theirs is None:
        return
    single = [a.astype("float32") for a in arrays]
    small = [s.astype("float32") for s in seeds]
    values, gradients = through_mxnet(theirs, single, small)
    for way, found in every_way(function, single):
        assert_close(found, values, f"{way} against MXNet")
    for way, found in every_way(gradient_of(function, small, len(arrays)), single):
        assert_close(found, gradients, f"gradients, {way} against MXNet")


def to_mxnet(a: Any) -> Any:
    """An array of MXNet's. (`nd.array` touches a part of SciPy that is deprecated.)"""
    return mxnet().nd.from_numpy(numpy.array(a))


def through_mxnet(function: Function, arrays: Sequence[Array], seeds: Sequence[Array]) -> tuple[list[Array], list[Array]]:
    """Values and gradients by MXNet's imperative interface and its autograd."""
    mx = mxnet()
    given = [to_mxnet(a) for a in arrays]
    for g in given:
        g.attach_grad()
    with mx.autograd.record():
        results = function(mx.nd, *given)
        results = list(results) if isinstance(results, tuple | list) else [results]
    mx.autograd.backward(results, [to_mxnet(s) for s in seeds])
    return [r.asnumpy() for r in results], [g.grad.asnumpy() for g in given]


def random(*shapes: tuple[int, ...], seed: int = 0, low: float | None = None) -> list[Array]:
    """Normal numbers, or uniform ones from `low` to 2."""
    rng = numpy.random.default_rng(seed)
    return [numpy.asarray(rng.standard_normal(s) if low is None else rng.uniform(low, 2.0, s)) for s in shapes]


def each(value: int | tuple[int, ...], ndim: int) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,) * ndim


# -- convolution and deconvolution --------------------------------------------------------------------------------------------------------
Window = dict[str, Any]

CONVOLUTIONS: list[tuple[tuple[int, ...], tuple[int, ...], Window]] = [
    ((2, 3, 7), (4, 3, 3), {}),
    ((2, 4, 9), (6, 2, 2), {"stride": 2, "pad": 1, "groups": 2}),
    ((1, 2, 8), (3, 2, 3), {"dilate": 2}),
    ((2, 3, 6, 5), (4, 3, 3, 2), {}),
    ((2, 1, 6, 7), (8, 1, 3, 3), {"pad": 1, "stride": (1, 2)}),
    ((1, 4, 7, 6), (4, 1, 3, 2), {"groups": 4, "pad": (0, 1), "stride": (2, 1)}),
    ((2, 4, 7, 7), (6, 2, 2, 3), {"groups": 2, "dilate": (2, 1), "pad": 2, "stride": 3}),
    ((1, 8, 4, 4), (16, 8, 1, 1), {}),
    ((1, 2, 4, 3, 4), (3, 2, 2, 2, 3), {"pad": (1, 0, 1), "stride": (1, 1, 2)}),
    ((2, 2, 3, 4, 3), (2, 1, 2, 1, 2), {"groups": 2}),
]


def convolved(x: Array, w: Array, b: Array | None = None, stride: Any = 1, pad: Any = 0, dilate: Any = 1, groups: int = 1) -> Array:
    """A convolution by its definition: element by element of the result, element by element of the kernel."""
    n = x.ndim - 2
    stride, pad, dilate = each(stride, n), each(pad, n), each(dilate, n)
    lengths, kernel, filters = x.shape[2:], w.shape[2:], w.shape[0]
    out = [(m + 2 * p - d * (k - 1) - 1) // s + 1 for m, k, s, p, d in zip(lengths, kernel, stride, pad, dilate, strict=True)]
    y = numpy.zeros((x.shape[0], filters, *out))
    for at in product(*map(range, out)):
        for k in product(*map(range, kernel)):
            where = [o * s + i * d - p for o, s, i, d, p in zip(at, stride, k, dilate, pad, strict=True)]
            if not all(0 <= v < m for v, m in zip(where, lengths, strict=True)):
                continue
            for f in range(filters):
                first = f // (filters // groups) * w.shape[1]
                seen = x[(slice(None), slice(first, first + w.shape[1]), *where)]
                y[(slice(None), f, *at)] += seen @ w[(f, slice(None), *k)]
    return y if b is None else y + b.reshape(-1, *[1] * n)


def attributes(w: tuple[int, ...], given: Window, filters: int, bias: bool) -> dict[str, Any]:
    """MXNet's parameters of a convolution."""
    n = len(w) - 2
    names = {"groups": "num_group", "adjust": "adj"}
    others = {names.get(k, k): v if k == "groups" else each(v, n) for k, v in given.items()}
    return {"kernel": w[2:], "num_filter": filters, "no_bias": not bias, **others}


@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize(("x", "w", "given"), CONVOLUTIONS, ids=str)
def test_convolution(x: tuple[int, ...], w: tuple[int, ...], given: Window, bias: bool) -> None:
    arrays = random(x, w, *[(w[0],)] * bias)

    def ours(*a: Any) -> Any:
        return ops.convolution(*a, **given)

    check_values(ours, arrays, convolved(*arrays, **given))
    check_gradients(ours, arrays, lambda *a: convolved(*a, **given), lambda nd, *a: nd.Convolution(*a, **attributes(w, given, w[0], bias)))


DECONVOLUTIONS: list[tuple[tuple[int, ...], tuple[int, ...], Window]] = [
    ((2, 3, 5), (3, 4, 3), {}),
    ((1, 4, 4), (4, 1, 3), {"stride": 2, "pad": 1, "adjust": 1, "groups": 2}),
    ((2, 3, 4, 3), (3, 2, 2, 3), {}),
    ((2, 2, 3, 4), (2, 4, 3, 3), {"stride": 2, "pad": 1, "adjust": 1}),
    ((1, 4, 3, 3), (4, 1, 2, 2), {"groups": 4, "stride": (2, 3)}),
    ((1, 4, 3, 3), (4, 3, 2, 2), {"groups": 2, "dilate": (1, 2)}),
]


def deconvolved(
    x: Array, w: Array, b: Array | None = None, stride: Any = 1, pad: Any = 0, dilate: Any = 1, adjust: Any = 0, groups: int = 1
) -> Array:
    """Each element of x lays out its filters."""
    n = x.ndim - 2
    stride, pad, dilate, adjust = each(stride, n), each(pad, n), each(dilate, n), each(adjust, n)
    lengths, kernel = x.shape[2:], w.shape[2:]
    full = zip(lengths, kernel, stride, pad, dilate, adjust, strict=True)
    out = [(m - 1) * s + d * (k - 1) + 1 - 2 * p + a for m, k, s, p, d, a in full]
    y = numpy.zeros((x.shape[0], w.shape[1] * groups, *out))
    for at in product(*map(range, lengths)):
        for k in product(*map(range, kernel)):
            where = [o * s + i * d - p for o, s, i, d, p in zip(at, stride, k, dilate, pad, strict=True)]
            if not all(0 <= v < m for v, m in zip(where, out, strict=True)):
                continue
            for c in range(x.shape[1]):
                first = c // (x.shape[1] // groups) * w.shape[1]
                place = (slice(None), slice(first, first + w.shape[1]), *where)
                y[place] += x[(slice(None), c, *at)][:, None] * w[(c, slice(None), *k)]
    return y if b is None else y + b.reshape(-1, *[1] * n)


@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize(("x", "w", "given"), DECONVOLUTIONS, ids=str)
def test_deconvolution(x: tuple[int, ...], w: tuple[int, ...], given: Window, bias: bool) -> None:
    filters = w[1] * given.get("groups", 1)
    arrays = random(x, w, *[(filters,)] * bias)

    def ours(*a: Any) -> Any:
        return ops.deconvolution(*a, **given)

    # MXNet's own gradient fails in oneDNN where a group has one filter; with dilation its values in float64 are wrong, so NumPy runs it
    works = w[1] > 1
    if "dilate" not in given:
        check_values(ours, arrays, deconvolved(*arrays, **given))
        check_gradients(
            ours,
            arrays,
            lambda *a: deconvolved(*a, **given),
            (lambda nd, *a: nd.Deconvolution(*a, **attributes(w, given, filters, bias))) if works else None,
        )
        return
    for dtype in ("float64", "float32"):
        for _ in range(3):
            (found,) = host(ours(*[np.array(a.astype(dtype)) for a in arrays]))
            assert_close([found], [deconvolved(*arrays, **given)], dtype)


# -- pooling ------------------------------------------------------------------------------------------------------------------------------
POOLINGS: list[tuple[tuple[int, ...], Window]] = [
    ((2, 3, 8), {"kernel": 2}),
    ((2, 3, 7), {"kernel": 3, "stride": 2, "pad": 1}),
    ((2, 2, 6, 6), {"kernel": 2}),
    ((1, 3, 7, 6), {"kernel": (3, 2), "stride": 2, "pad": 1}),
    ((2, 2, 6, 5), {"kernel": 3, "stride": 2, "full": True}),
    ((1, 2, 5, 6), {"kernel": (3, 2), "stride": (2, 3), "pad": 1, "full": True}),
    ((1, 4, 5, 5), {"kernel": 3, "stride": 1}),
    ((2, 3, 4, 5), {}),
    ((1, 2, 4, 5, 3), {"kernel": (2, 3, 2), "stride": (1, 2, 1)}),
]
KINDS = [("max", True), ("avg", True), ("avg", False), ("sum", True)]


def pooled(x: Array, mode: str, count_pad: bool, kernel: Any = None, stride: Any = None, pad: Any = 0, full: bool = False) -> Array:
    """Pooling window by window."""
    n, lengths = x.ndim - 2, x.shape[2:]
    if kernel is None:
        return {"max": numpy.max, "avg": numpy.mean, "sum": numpy.sum}[mode](x, axis=tuple(range(2, 2 + n)), keepdims=True)
    kernel, pad = each(kernel, n), each(pad, n)
    stride = each(stride or kernel, n)
    round_ = math.ceil if full else math.floor
    out = [round_((m + 2 * p - k) / s) + 1 for m, k, s, p in zip(lengths, kernel, stride, pad, strict=True)]
    y = numpy.zeros((*x.shape[:2], *out))
    for at in product(*map(range, out)):
        begin = [o * s - p for o, s, p in zip(at, stride, pad, strict=True)]
        inside = tuple(slice(max(b, 0), min(b + k, m)) for b, k, m in zip(begin, kernel, lengths, strict=True))
        window = x[(slice(None), slice(None), *inside)]
        over = tuple(range(2, 2 + n))
        if mode == "max":
            value = window.max(axis=over)
        else:
            value = window.sum(axis=over)
            if mode == "avg" and count_pad:
                value /= math.prod(min(b + k, m + p) - max(b, -p) for b, k, m, p in zip(begin, kernel, lengths, pad, strict=True))
            elif mode == "avg":
                value /= math.prod(window.shape[2:])
        y[(slice(None), slice(None), *at)] = value
    return y


@pytest.mark.parametrize(("mode", "count_pad"), KINDS, ids=["max", "avg", "avg inside", "sum"])
@pytest.mark.parametrize(("x", "given"), POOLINGS, ids=str)
def test_pooling(x: tuple[int, ...], given: Window, mode: str, count_pad: bool) -> None:
    n = len(x) - 2
    # far from ties, where a maximum has no derivative
    arrays = [numpy.random.default_rng(3).permutation(math.prod(x)).reshape(x) / 10 - 3]

    def ours(a: Any) -> Any:
        return ops.pooling(a, given.get("kernel"), mode=mode, count_pad=count_pad, **{k: v for k, v in given.items() if k != "kernel"})

    if given:
        kernel = each(given["kernel"], n)
        attrs: dict[str, Any] = {"kernel": kernel, "stride": each(given.get("stride", kernel), n), "pad": each(given.get("pad", 0), n)}
        attrs["pooling_convention"] = "full" if given.get("full") else "valid"
    else:
        attrs = {"global_pool": True, "kernel": (1,) * n}
    # MXNet's own gradient of an average where a window hangs over is wrong: it asks the shape of the result for that of x
    wrong = given.get("full") and mode == "avg"
    check_values(ours, arrays, pooled(*arrays, mode, count_pad, **given))
    check_gradients(
        ours,
        arrays,
        lambda a: pooled(a, mode, count_pad, **given),
        None if wrong else lambda nd, a: nd.Pooling(a, pool_type=mode, count_include_pad=count_pad, **attrs),
    )


def test_ties_of_a_maximum_go_to_the_first() -> None:
    x = numpy.zeros((1, 1, 4, 4))
    x[0, 0, :2, 2:] = [[1, 2], [2, 2]]
    expected = numpy.zeros((1, 1, 4, 4))
    expected[0, 0, 0, 0], expected[0, 0, 0, 3], expected[0, 0, 2, 0], expected[0, 0, 2, 2] = 1, 1, 1, 1
    gradient = minpy_jit.grad(lambda a: np.sum(ops.pooling(a, 2)))
    for dtype in ("float32", "float64"):
        for way, found in every_way(gradient, [x.astype(dtype)]):
            numpy.testing.assert_array_equal(found[0], expected, err_msg=f"{way}, {dtype}")


def test_overlapping_windows_add_up_at_ties() -> None:
    x = numpy.ones((1, 1, 5))
    gradient = minpy_jit.grad(lambda a: np.sum(ops.pooling(a, 3, stride=1)))
    for dtype in ("float32", "float64"):
        for way, found in every_way(gradient, [x.astype(dtype)]):
            numpy.testing.assert_array_equal(found[0], [[[1, 1, 1, 0, 0]]], err_msg=f"{way}, {dtype}")


# -- linear layers and activations --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("x", "w", "bias", "flatten"),
    [((4, 3), (5, 3), True, True), ((1, 7), (1, 7), False, True), ((2, 3, 4), (5, 12), True, True), ((2, 3, 4), (5, 4), True, False)],
)
def test_fully_connected(x: tuple[int, ...], w: tuple[int, ...], bias: bool, flatten: bool) -> None:
    arrays = random(x, w, *[(w[0],)] * bias)

    def reference(x: Array, w: Array, *b: Array) -> Array:
        rows = x.reshape(x.shape[0], -1) if flatten else x
        y = numpy.einsum("...i,oi->...o", rows, w)
        return y + b[0] if b else y

    def ours(*a: Any) -> Any:
        return ops.fully_connected(*a, flatten=flatten)

    check_values(ours, arrays, reference(*arrays))
    check_gradients(ours, arrays, reference, lambda nd, *a: nd.FullyConnected(*a, num_hidden=w[0], no_bias=not bias, flatten=flatten))


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 4), (2, 3, 4, 5), (1, 2, 3, 2, 2)], ids=str)
def test_relu(shape: tuple[int, ...]) -> None:
    arrays = random(shape)
    check_values(ops.relu, arrays, numpy.maximum(arrays[0], 0))
    check_gradients(ops.relu, arrays, lambda a: numpy.maximum(a, 0), lambda nd, a: nd.relu(a))


@pytest.mark.parametrize("shape", [(15,), (3, 5), (1, 3, 5), (1, 3, 5, 1), (5, 1, 3, 1, 1), (1,) * 5 + (15,)], ids=str)
def test_relu_of_special_values(shape: tuple[int, ...]) -> None:
    """NaN stays NaN and lets the gradient pass; at either zero there is none."""
    nan, inf, tiny = numpy.nan, numpy.inf, numpy.finfo("float32").smallest_subnormal
    x = numpy.array([nan, inf, -inf, 0.0, -0.0, tiny, -tiny, 1, -1, 3e38, -3e38, nan, 2, -2, 0], "float32").reshape(shape)
    expected = numpy.array([nan, inf, 0, 0, 0, tiny, 0, 1, 0, 3e38, 0, nan, 2, 0, 0], "float32").reshape(shape)
    passes = numpy.array([1, 1, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 1, 0, 0], "float32").reshape(shape)
    for dtype in ("float32", "float64"):
        for way, found in every_way(ops.relu, [x.astype(dtype)]):
            numpy.testing.assert_array_equal(found[0], expected.astype(dtype), err_msg=f"{way}, {dtype}")
        for way, found in every_way(minpy_jit.grad(lambda a: np.sum(ops.relu(a) * 3)), [x.astype(dtype)]):
            numpy.testing.assert_array_equal(found[0], 3 * passes, err_msg=f"{way}, {dtype}")


@pytest.mark.parametrize(("shape", "axis"), [((3, 5), -1), ((2, 3, 4), 1), ((7,), 0)])
def test_softmax(shape: tuple[int, ...], axis: int) -> None:
    arrays = random(shape)

    def reference(x: Array) -> Array:
        e = numpy.exp(x - x.max(axis=axis, keepdims=True))
        return e / e.sum(axis=axis, keepdims=True)

    def ours(x: Any) -> Any:
        return ops.softmax(x, axis)

    check_values(ours, arrays, reference(*arrays))
    check_gradients(ours, arrays, reference, lambda nd, a: nd.softmax(a, axis=axis))


@pytest.mark.parametrize(("name", "theirs"), [("sigmoid", "sigmoid"), ("erf", "erf")])
def test_element_wise_functions(name: str, theirs: str) -> None:
    reference = {"sigmoid": lambda x: 1 / (1 + numpy.exp(-x)), "erf": numpy.vectorize(math.erf)}[name]
    arrays = random((3, 5))
    ours = getattr(ops, name)
    check_values(ours, arrays, reference(*arrays))
    check_gradients(ours, arrays, reference, lambda nd, a: getattr(nd, theirs)(a))


def test_embedding_is_take() -> None:
    rows = numpy.array([[1, 0, 1], [4, 2, 1]])
    arrays = random((5, 3))

    def ours(w: Any) -> Any:
        return np.take(w, rows, axis=0)

    check_values(ours, arrays, arrays[0][rows])
    check_gradients(
        ours,
        arrays,
        lambda w: w[rows],
        lambda nd, w: nd.Embedding(to_mxnet(rows.astype("float32")), w, input_dim=5, output_dim=3),
    )


# -- normalisation ------------------------------------------------------------------------------------------------------------------------
NORMS = [((6, 3), 1), ((2, 3, 4), 1), ((2, 3, 4, 5), 1), ((2, 3, 4, 5), -1), ((3, 2, 2, 2, 2), 1), ((4, 3, 2), 0)]


def vector_along(v: Array, ndim: int, axis: int) -> Array:
    shape = [1] * ndim
    shape[axis] = -1
    return v.reshape(shape)


def batch_normed(x: Array, gamma: Array, beta: Array, axis: int, eps: float = 1e-3) -> Array:
    """Channel by channel."""
    y = numpy.empty_like(x)
    for c in range(x.shape[axis]):
        at = tuple(c if k == axis % x.ndim else slice(None) for k in range(x.ndim))
        part = x[at]
        y[at] = (part - part.mean()) / math.sqrt(part.var() + eps) * gamma[c] + beta[c]
    return y


def test_batch_norm_of_what_an_infinite_batch_has() -> None:
    """The reference itself: mean beta, variance gamma squared."""
    (x,) = random((1000, 2))
    y = batch_normed(x, numpy.array([2.0, 3.0]), numpy.array([1.0, -1.0]), 1, 0.0)
    numpy.testing.assert_allclose(y.mean(axis=0), [1, -1], atol=1e-12)
    numpy.testing.assert_allclose(y.std(axis=0), [2, 3], rtol=1e-12)


@pytest.mark.parametrize(("shape", "axis"), NORMS, ids=str)
def test_batch_norm_in_training(shape: tuple[int, ...], axis: int) -> None:
    c = shape[axis]
    x, gamma, beta, mean, var = [*random(shape), *random((c,), (c,), (c,), (c,), seed=1, low=0.5)]
    others = tuple(k for k in range(len(shape)) if k != axis % len(shape))

    def ours(*a: Any) -> Any:
        return ops.batch_norm(*a, mean, var, training=True, axis=axis)

    def with_running(x: Any, gamma: Any, beta: Any, mean: Any, var: Any) -> Any:
        return ops.batch_norm(x, gamma, beta, mean, var, training=True, momentum=0.75, axis=axis)

    expected = batch_normed(x, gamma, beta, axis)
    running = 0.75 * mean + 0.25 * x.mean(axis=others), 0.75 * var + 0.25 * x.var(axis=others)
    check_values(with_running, [x, gamma, beta, mean, var], expected, *running)
    check_gradients(
        lambda *a: ours(*a)[0],
        [x, gamma, beta],
        lambda *a: batch_normed(*a, axis),
        lambda nd, *a: nd.BatchNorm(
            *a, to_mxnet(mean.astype("float32")), to_mxnet(var.astype("float32")), axis=axis % len(shape), fix_gamma=False
        ),
    )


def test_running_statistics_are_those_of_mxnet() -> None:
    nd, autograd = mxnet().nd, mxnet().autograd
    gamma, beta, mean, var = [a.astype("float32") for a in random((3,), (3,), (3,), (3,), low=0.5)]
    their_mean, their_var = to_mxnet(mean), to_mxnet(var)
    batches = [a.astype("float32") for a in random(*[(4, 3, 5, 2)] * 4, seed=2)]
    for x in batches:
        given = to_mxnet(x)
        given.attach_grad()
        with autograd.record():
            result = nd.BatchNorm(given, to_mxnet(gamma), to_mxnet(beta), their_mean, their_var, fix_gamma=False, momentum=0.9)
        # MXNet moves them when it goes back
        result.backward()
        y, mean, var = ops.batch_norm(x, gamma, beta, mean, var, training=True)
        assert_close(host(y), [result.asnumpy()], "training")
    assert_close(host((mean, var)), [their_mean.asnumpy(), their_var.asnumpy()], "running statistics")
    expected = nd.BatchNorm(to_mxnet(x), to_mxnet(gamma), to_mxnet(beta), their_mean, their_var, fix_gamma=False, use_global_stats=True)
    found = host(ops.batch_norm(x, gamma, beta, mean, var, training=False))
    assert_close(found[:1], [expected.asnumpy()], "inference")


def test_no_gradient_flows_through_running_statistics() -> None:
    x, v = random((4, 3), (3,), low=0.5)
    found = minpy_jit.grad(lambda x: sum(np.sum(r * r) for r in ops.batch_norm(x, v, v, v, v, training=True)[1:]))(np.array(x))
    numpy.testing.assert_array_equal(found.asnumpy(), numpy.zeros((4, 3)))


@pytest.mark.parametrize(("shape", "axis"), NORMS, ids=str)
def test_batch_norm_in_inference(shape: tuple[int, ...], axis: int) -> None:
    c = shape[axis]
    arrays = [*random(shape), *random((c,), (c,), (c,), (c,), seed=1, low=0.5)]

    def reference(x: Array, *vectors: Array) -> Array:
        gamma, beta, mean, var = (vector_along(v, x.ndim, axis) for v in vectors)
        return (x - mean) / numpy.sqrt(var + 1e-3) * gamma + beta

    def ours(*a: Any) -> Any:
        return ops.batch_norm(*a, training=False, axis=axis)[0]

    check_values(ours, arrays, reference(*arrays))
    check_gradients(ours, arrays, reference)


@pytest.mark.parametrize(("shape", "axis"), NORMS, ids=str)
def test_layer_norm(shape: tuple[int, ...], axis: int) -> None:
    c = shape[axis]
    arrays = [*random(shape), *random((c,), (c,), seed=1, low=0.5)]
    # a float32, as MXNet takes it
    eps = 2.0**-10

    def reference(x: Array, gamma: Array, beta: Array) -> Array:
        normal = (x - x.mean(axis=axis, keepdims=True)) / numpy.sqrt(x.var(axis=axis, keepdims=True) + eps)
        return normal * vector_along(gamma, x.ndim, axis) + vector_along(beta, x.ndim, axis)

    def ours(*a: Any) -> Any:
        return ops.layer_norm(*a, axis=axis, eps=eps)

    check_values(ours, arrays, reference(*arrays))
    check_gradients(ours, arrays, reference, lambda nd, *a: nd.LayerNorm(*a, axis=axis, eps=eps))


# -- recurrent networks -------------------------------------------------------------------------------------------------------------------
def logistic(x: Array) -> Array:
    return 1 / (1 + numpy.exp(-x))


def recurrent_cell(mode: str, x: Array, h: Array, c: Array, wx: Array, wh: Array, bx: Array, bh: Array) -> tuple[Array, Array]:
    """One step of a cell, by its formulas."""
    a, r = wx @ x + bx, wh @ h + bh
    if mode == "rnn_relu":
        return numpy.maximum(a + r, 0), c
    if mode == "rnn_tanh":
        return numpy.tanh(a + r), c
    n = h.size
    if mode == "lstm":
        i, f, o = (logistic((a + r)[k * n : (k + 1) * n]) for k in (0, 1, 3))
        c = f * c + i * numpy.tanh((a + r)[2 * n : 3 * n])
        return o * numpy.tanh(c), c
    reset, update = (logistic((a + r)[k * n : (k + 1) * n]) for k in (0, 1))
    return (1 - update) * numpy.tanh(a[2 * n :] + reset * r[2 * n :]) + update * h, c


GATES = {"rnn_relu": 1, "rnn_tanh": 1, "gru": 3, "lstm": 4}


def recurrent_shapes(mode: str, inputs: int, hidden: int, layers: int, directions: int) -> list[tuple[int, ...]]:
    rows = GATES[mode] * hidden
    matrices: list[tuple[int, ...]] = []
    for layer in range(layers):
        matrices += [(rows, inputs if layer == 0 else directions * hidden), (rows, hidden)] * directions
    return matrices + [(rows,)] * (2 * layers * directions)


def recurrent(mode: str, layers: int, directions: int, x: Array, parameters: Array, *states: Array) -> tuple[Array, ...]:
    """Sample by sample, layer by layer, direction by direction, step by step."""
    time, batch, inputs = x.shape
    hidden = states[0].shape[2]
    parts, at = [], 0
    for shape in recurrent_shapes(mode, inputs, hidden, layers, directions):
        parts.append(parameters[at : at + math.prod(shape)].reshape(shape))
        at += math.prod(shape)
    matrices, biases = parts[: 2 * layers * directions], parts[2 * layers * directions :]
    y = numpy.zeros((time, batch, directions * hidden))
    last = [numpy.zeros_like(s) for s in states]
    for b in range(batch):
        sequence = [x[t, b] for t in range(time)]
        for layer in range(layers):
            outputs: list[list[Array]] = [[] for _ in range(time)]
            for d in range(directions):
                k = layer * directions + d
                h, c = states[0][k, b], states[-1][k, b]
                for t in reversed(range(time)) if d else range(time):
                    h, c = recurrent_cell(mode, sequence[t], h, c, *matrices[2 * k : 2 * k + 2], *biases[2 * k : 2 * k + 2])
                    outputs[t].append(h)
                last[0][k, b] = h
                if len(states) == 2:
                    last[1][k, b] = c
            sequence = [numpy.concatenate(o) for o in outputs]
        y[:, b] = sequence
    return y, *last


RECURRENT = [(mode, layers, directions) for mode in GATES for layers, directions in ((1, 1), (2, 1), (1, 2), (2, 2))]


def recurrent_inputs(mode: str, layers: int, directions: int) -> list[Array]:
    time, batch, inputs, hidden = 4, 2, 3, 5
    count = sum(map(math.prod, recurrent_shapes(mode, inputs, hidden, layers, directions)))
    state = (layers * directions, batch, hidden)
    x, parameters, *states = random((time, batch, inputs), (count,), *[state] * (2 if mode == "lstm" else 1), seed=4)
    return [x, 0.4 * parameters, *states]


@pytest.mark.parametrize(("mode", "layers", "directions"), RECURRENT)
def test_recurrent_networks(mode: str, layers: int, directions: int) -> None:
    arrays = [a.astype("float32").astype("float64") for a in recurrent_inputs(mode, layers, directions)]

    def ours(*a: Any) -> Any:
        return ops.rnn(mode, *a, num_layers=layers, bidirectional=directions == 2)

    expected = recurrent(mode, layers, directions, *arrays)
    single = [a.astype("float32") for a in arrays]
    for way, found in every_way(ours, single):
        assert_close(found, expected, f"{way}, float32")
    for way in ("lazy", "eager", "numpy"):
        with minpy_jit.mode(way):
            for _ in range(2):
                # of other cells NumPy runs float64
                assert_close(host(ours(*map(np.array, arrays))), expected, f"{way}, float64")
    seeds = random(*[e.shape for e in expected], seed=6)
    directions_ = random(*[a.shape for a in arrays], seed=7)

    def total(*a: Array) -> float:
        return float(sum(numpy.sum(r * s) for r, s in zip(recurrent(mode, layers, directions, *a), seeds, strict=True)))

    gradients = host(gradient_of(ours, seeds, len(arrays))(*map(np.array, arrays)))
    for k, (g, d) in enumerate(zip(gradients, directions_, strict=True)):
        ends = [total(*[a + step * d if i == k else a for i, a in enumerate(arrays)]) for step in (1e-6, -1e-6)]
        assert float(numpy.sum(g * d)) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6, abs=1e-6)
    small = [s.astype("float32") for s in seeds]

    def theirs(nd: Any, *a: Any) -> Any:
        return nd.RNN(*a, state_size=5, num_layers=layers, mode=mode, bidirectional=directions == 2, state_outputs=True)

    values, their_gradients = through_mxnet(theirs, single, small)
    assert_close(host(ours(*single)), values, "against MXNet")
    for way, found in every_way(gradient_of(ours, small, len(arrays)), single):
        assert_close(found, gradients, f"gradients, {way}")
        assert_close(found, their_gradients, f"gradients, {way} against MXNet")


@pytest.mark.parametrize("mode", GATES)
def test_gradient_of_some_results_of_a_recurrent_network(mode: str) -> None:
    """Who asks for the last state alone, or the output alone, gets the same as with zeros for the rest."""
    arrays = [a.astype("float32") for a in recurrent_inputs(mode, 2, 1)]
    given = [np.array(a) for a in arrays]
    for k in range(3 if mode == "lstm" else 2):
        alone = minpy_jit.grad(lambda *a, k=k: np.sum(ops.rnn(mode, *a, num_layers=2)[k] ** 2), argnum=(0, 1, 2))

        def with_zeros(*a: Any, k: int = k) -> Any:
            results = ops.rnn(mode, *a, num_layers=2)
            return sum(np.sum(r**2) * float(i == k) for i, r in enumerate(results))

        expected = host(minpy_jit.grad(with_zeros, argnum=(0, 1, 2))(*given))
        for _ in range(3):
            assert_close(host(alone(*given)), expected, f"{mode}, result {k}")


# -- derivatives of derivatives -----------------------------------------------------------------------------------------------------------
SECOND: dict[str, tuple[Function, list[tuple[int, ...]]]] = {
    "convolution": (lambda x, w, b: ops.convolution(x, w, b, stride=2, pad=1) ** 2, [(1, 2, 5, 4), (3, 2, 3, 2), (3,)]),
    "deconvolution": (lambda x, w, b: ops.deconvolution(x, w, b, stride=2) ** 2, [(1, 2, 3, 2), (2, 3, 2, 2), (3,)]),
    "fully connected": (lambda x, w, b: ops.fully_connected(x, w, b) ** 2, [(3, 4), (2, 4), (2,)]),
    "max pooling": (lambda x: ops.pooling(x, 2) ** 3, [(1, 2, 4, 4)]),
    "average pooling": (lambda x: ops.pooling(x, 3, mode="avg", stride=2, pad=1, full=True) ** 3, [(1, 2, 6, 5)]),
    "batch norm": (lambda x, g, b: ops.batch_norm(x, g, b, b, b, training=True)[0] ** 2, [(4, 3), (3,), (3,)]),
    "batch norm, inference": (lambda x, g, b, v: ops.batch_norm(x, g, b, b, np.exp(v), training=False)[0] ** 2, [(4, 3)] + [(3,)] * 3),
    "layer norm": (lambda x, g, b: ops.layer_norm(x, g, b) ** 2, [(3, 4), (4,), (4,)]),
    "relu": (lambda x: ops.relu(x) ** 3, [(2, 3, 4)]),
    "softmax": (lambda x: ops.softmax(x) ** 2, [(3, 4)]),
}


@pytest.mark.parametrize("case", SECOND)
def test_second_derivatives(case: str) -> None:
    function, shapes = SECOND[case]
    arrays = random(*shapes, seed=8)
    weights = random(*shapes, seed=9)
    first = minpy_jit.grad(lambda *a: np.sum(function(*a)), argnum=tuple(range(len(arrays))))

    def slope(*a: Any) -> Any:
        return sum(np.sum(g * w) for g, w in zip(first(*a), weights, strict=True))

    second = minpy_jit.grad(slope, argnum=tuple(range(len(arrays))))
    for mode in ("lazy", "eager", "numpy"):
        with minpy_jit.mode(mode):
            for _ in range(2):
                found = host(second(*map(np.array, arrays)))
            for k, d in enumerate(random(*shapes, seed=10)):
                ends = [float(slope(*[np.array(a + s * d if i == k else a) for i, a in enumerate(arrays)])) for s in (1e-6, -1e-6)]
                assert float(numpy.sum(found[k] * d)) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-5), (mode, k)


@pytest.mark.parametrize("mode", GATES)
def test_a_recurrent_network_has_first_derivatives_only(mode: str) -> None:
    x, *others = map(np.array, recurrent_inputs(mode, 1, 1))
    slope = minpy_jit.grad(lambda x: np.sum(ops.rnn(mode, x, *others)[0] ** 2))
    with pytest.raises(NoGradientError, match=rf"\[{mode}_backward\] has no gradient .*test_neural\.py"):
        minpy_jit.grad(lambda x: np.sum(slope(x) ** 2))(x)


# -- networks -----------------------------------------------------------------------------------------------------------------------------
Parameters = dict[str, Any]


def network_data() -> tuple[dict[str, Array], Array, Array]:
    rng = numpy.random.default_rng(11)
    shapes = {"k1": (4, 1, 3, 3), "b1": (4,), "k2": (6, 4, 3, 3), "b2": (6,), "w": (5, 24), "b": (5,)}
    parameters = {k: (0.3 * rng.standard_normal(s)).astype("float32") for k, s in shapes.items()}
    x = rng.standard_normal((8, 1, 12, 12)).astype("float32")
    return parameters, x, numpy.eye(5, dtype="float32")[rng.integers(0, 5, 8)]


def forward(p: Parameters, x: Any, look: Callable[[Any], object] = id) -> Any:
    h = ops.pooling(ops.relu(ops.convolution(x, p["k1"], p["b1"])), 2)
    look(h)
    h = ops.pooling(ops.relu(ops.convolution(h, p["k2"], p["b2"], pad=1)), 2)
    look(h)
    return ops.fully_connected(h, p["w"], p["b"])


def loss_of(p: Parameters, x: Any, targets: Any, look: Callable[[Any], object] = id) -> Any:
    z = forward(p, x, look)
    z = z - np.max(z, axis=1, keepdims=True)
    return -np.mean(np.sum(targets * (z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))), axis=1))


def train_by_mxnet(p: dict[str, Array], x: Array, targets: Array, steps: int, rate: float) -> list[float]:
    """The same with MXNet's imperative interface; parameters are updated in place."""
    nd, autograd = mxnet().nd, mxnet().autograd
    q = {k: to_mxnet(v) for k, v in p.items()}
    for v in q.values():
        v.attach_grad()
    losses = []
    for _ in range(steps):
        with autograd.record():
            h = nd.Convolution(to_mxnet(x), q["k1"], q["b1"], kernel=(3, 3), num_filter=4)
            h = nd.Pooling(nd.relu(h), kernel=(2, 2), stride=(2, 2), pool_type="max")
            h = nd.Convolution(h, q["k2"], q["b2"], kernel=(3, 3), num_filter=6, pad=(1, 1))
            h = nd.Pooling(nd.relu(h), kernel=(2, 2), stride=(2, 2), pool_type="max")
            z = nd.FullyConnected(h, q["w"], q["b"], num_hidden=5)
            loss = -nd.mean(nd.sum(to_mxnet(targets) * nd.log_softmax(z), axis=1))
        loss.backward()
        for k, v in q.items():
            v[:] = v - rate * v.grad
            p[k] = v.asnumpy()
        losses.append(loss.asscalar())
    return losses


value_and_grad = minpy_jit.value_and_grad(loss_of)


def train(p: dict[str, Array], x: Array, targets: Array, steps: int, rate: float, look: Callable[[Any], object] = id) -> list[float]:
    q = {k: np.array(v) for k, v in p.items()}
    losses = []
    for _ in range(steps):
        loss, gradients = value_and_grad(q, np.array(x), np.array(targets), look)
        for k, g in gradients.items():
            q[k] -= rate * g
        losses.append(float(loss))
    p.update({k: v.asnumpy() for k, v in q.items()})
    return losses


@pytest.mark.parametrize("way", ["lazy", "eager", "numpy", "observed"])
def test_a_training_loop_follows_that_of_mxnet(way: str) -> None:
    """Observed: values in the middle of the step are looked at, so that a step is several programs."""
    parameters, x, targets = network_data()
    expected = dict(parameters)
    losses = train_by_mxnet(expected, x, targets, 6, 0.2)
    assert losses[-1] < 0.9 * losses[0]
    seen: list[float] = []
    look = (lambda h: seen.append(float(np.mean(h)))) if way == "observed" else id
    with minpy_jit.mode("lazy" if way == "observed" else way):
        found = train(parameters, x, targets, 6, 0.2, look)
    numpy.testing.assert_allclose(found, losses, rtol=1e-5)
    for k, v in parameters.items():
        numpy.testing.assert_allclose(v, expected[k], atol=1e-5, err_msg=k)
    assert len(set(seen)) == (12 if way == "observed" else 0)


def nodes_of(plan: Any) -> list[dict[str, Any]]:
    (stage,) = plan.stages
    assert isinstance(stage, NativeStage)
    return json.loads(stage.lowered.json)["nodes"]  # type: ignore[no-any-return]


COUNTERS = ("flushes", "executor_runs", "host_steps", "fallbacks", "compiles", "binds", "reference_runs")


@pytest.mark.parametrize("traced", [False, True], ids=["plain", "traced"])
def test_a_training_step_is_one_executor(traced: bool) -> None:
    parameters, x, targets = network_data()
    p = {k: np.array(v) for k, v in parameters.items()}
    batches = np.array(numpy.concatenate([x] * 3))

    def step(i: int, x: Any) -> Any:
        loss, gradients = value_and_grad(p, x, targets)
        for k, g in gradients.items():
            p[k] -= 0.1 / (i + 1) * g
        return loss

    run = minpy_jit.trace(step) if traced else step
    minpy_jit.flush()
    counted = []
    for i in range(12):
        float(run(i, batches[8 * (i % 3) : 8 * (i % 3) + 8]))
        counted.append({k: minpy_jit.stats().get(k, 0) for k in COUNTERS})
    for before, after in pairwise(counted[2:]):
        assert {k: after[k] - before[k] for k in COUNTERS} == dict.fromkeys(COUNTERS, 0) | {"flushes": 1, "executor_runs": 1}
    # neither the reference nor a host step ran an operator beyond the first encounter
    assert counted[-1]["compiles"] == counted[1]["compiles"]
    nodes = nodes_of(next(reversed(plan_cache.plans.values())))
    names = [n["op"] for n in nodes]
    # the forward operators once, and each gradient behind its own
    for forward_op, count in (("Convolution", 2), ("Pooling", 2), ("FullyConnected", 1)):
        assert names.count(forward_op) == count, (forward_op, names)
    for gradient, forward_op in (
        ("_backward_Convolution", "Convolution"),
        ("_backward_Pooling", "Pooling"),
        ("_backward_FullyConnected", "FullyConnected"),
    ):
        behind = [n["control_deps"] for n in nodes if n["op"] == gradient]
        assert len(behind) == names.count(forward_op), (gradient, names)
        assert sorted(names[i] for (i,) in behind) == [forward_op] * len(behind)
        assert len({i for (i,) in behind}) == len(behind)


def test_a_gradient_alone_does_not_compute_the_forward_operator() -> None:
    """Where what came before was observed, the shapes of the gradient's operands are all that is needed of it."""
    x, w = (a.astype("float32") for a in random((4, 3, 8, 8), (5, 3, 3, 3)))
    seen = []

    def loss(w: Any) -> Any:
        y = ops.convolution(x, w)
        seen.append(float(np.sum(y)))
        return np.sum(y * y)

    for _ in range(3):
        gradient = host(minpy_jit.grad(loss)(np.array(w)))[0]
    y = convolved(x.astype("float64"), w.astype("float64"))
    _, (expected,) = through_mxnet(
        lambda nd, w: nd.Convolution(to_mxnet(x), w, kernel=(3, 3), num_filter=5, no_bias=True), [w], [2 * y.astype("float32")]
    )
    assert_close([gradient], [expected], "gradient")
    assert seen == pytest.approx([y.sum()] * 3, rel=1e-5)
    nodes = nodes_of(next(reversed(plan_cache.plans.values())))
    forward = [n for n in nodes if n["op"] == "Convolution"]
    assert [n["attrs"]["stride"] for n in forward] == ["(19,19)"], "one window"
    assert sum(n["op"] == "_backward_Convolution" for n in nodes) == 1


def test_a_recurrent_step_is_one_executor() -> None:
    x, parameters, h, c = (np.array(a.astype("float32")) for a in recurrent_inputs("lstm", 2, 2))

    def loss(parameters: Any) -> Any:
        y, last, cell = ops.rnn("lstm", x, parameters, h, c, num_layers=2, bidirectional=True)
        return np.mean(y * y) + np.mean(last * cell)

    slope = minpy_jit.value_and_grad(loss)
    losses, counted = [], []
    for _ in range(6):
        value, g = slope(parameters)
        parameters -= 0.5 * g
        losses.append(float(value))
        counted.append({k: minpy_jit.stats().get(k, 0) for k in COUNTERS})
    assert losses == sorted(losses, reverse=True)
    assert {k: counted[-1][k] - counted[-2][k] for k in COUNTERS} == dict.fromkeys(COUNTERS, 0) | {"flushes": 1, "executor_runs": 1}
    names = [n["op"] for n in nodes_of(next(reversed(plan_cache.plans.values())))]
    assert (names.count("RNN"), names.count("_backward_RNN")) == (1, 1)


def test_the_callers_weights_stay_as_they_are() -> None:
    """In inference mode oneDNN's convolution stores the weights anew, in an order of its own, in the array that it was given."""
    x, w = (a.astype("float32") for a in random((2, 16, 32, 32), (64, 16, 5, 5)))
    kept = w.copy()
    ours = np.array(w)
    for mode in ("lazy", "eager"):
        with minpy_jit.mode(mode):
            for _ in range(4):
                y = host(ops.convolution(x, ours))[0]
            assert_close([y[:, :, 3:5, 3:5]], [convolved(x[:, :, 3:9, 3:9].astype("float64"), w.astype("float64"))], mode)
            numpy.testing.assert_array_equal(ours.asnumpy(), kept)


def test_results_of_convolutions_in_every_use() -> None:
    """Results of oneDNN in a memory order of its own are read by views, reductions, indexing, writes and NumPy."""
    x, w = (a.astype("float32") for a in random((2, 3, 9, 8), (16, 3, 2, 3)))
    y = convolved(x.astype("float64"), w.astype("float64"))

    def uses(x: Any, w: Any) -> Any:
        c = ops.convolution(x, w)
        written = c.copy()
        written[:, 1:3] = 0
        reshaped = c.reshape(2, -1)[:, 5:9]
        return c, c[:, ::2, 1], c.T, np.sum(c, axis=(0, 2)), reshaped, c[c.shape[0] - 1, [3, 1]], written, np.concatenate([c, c], 1)

    written = y.copy()
    written[:, 1:3] = 0
    reshaped = y.reshape(2, -1)[:, 5:9]
    expected = [y, y[:, ::2, 1], y.T, y.sum(axis=(0, 2)), reshaped, y[1, [3, 1]], written, numpy.concatenate([y, y], 1)]
    for way, found in every_way(uses, [x, w]):
        assert_close(found, expected, way)


def test_float16_is_summed_in_float32() -> None:
    (x,) = random((2, 3, 6, 6))
    (w,) = random((4, 3, 3, 3), seed=1)
    half = [a.astype("float16") for a in (x, w)]
    expected = convolved(*[a.astype("float64") for a in half]).astype("float16")
    for mode in ("lazy", "eager", "numpy"):
        with minpy_jit.mode(mode):
            for _ in range(2):
                found = host(ops.convolution(*half))[0]
            assert found.dtype == "float16"
            numpy.testing.assert_allclose(found.astype("float64"), expected.astype("float64"), rtol=2e-3, atol=1e-3)


def test_empty_batches() -> None:
    for mode in ("lazy", "eager", "numpy"):
        with minpy_jit.mode(mode):
            for _ in range(2):
                y = ops.convolution(np.zeros((0, 3, 6, 6)), np.ones((4, 3, 3, 3)))
                assert y.shape == (0, 4, 4, 4)
                g = minpy_jit.grad(lambda w: np.sum(ops.pooling(ops.convolution(np.zeros((0, 3, 6, 6)), w), 2)))(np.ones((4, 3, 3, 3)))
                numpy.testing.assert_array_equal(g.asnumpy(), numpy.zeros((4, 3, 3, 3)))


def test_eager_mode_runs_hidden_gradients_in_executors_of_their_own() -> None:
    """MXNet's imperative interface cannot: their shapes are known by the forward operator beside them only."""
    x, w = (np.array(a.astype("float32")) for a in random((2, 3, 6, 6), (4, 3, 3, 3)))
    slope = minpy_jit.grad(lambda w: np.sum(ops.pooling(ops.convolution(x, w), 2) ** 2))
    expected = host(slope(w))
    counted = []
    with minpy_jit.mode("eager"):
        for _ in range(5):
            assert_close(host(slope(w)), expected, "eager")
            counted.append({k: minpy_jit.stats()[k] for k in ("executor_runs", "host_steps", "compiles", "binds")})
    # the convolution, the pooling, and, as one program, the way back
    runs = [after["executor_runs"] - before["executor_runs"] for before, after in pairwise(counted)]
    assert runs == [3] * 4
    assert counted[-1]["host_steps"] == 0
    assert {**counted[-1], "executor_runs": 0} == {**counted[-2], "executor_runs": 0}


# -- threads ------------------------------------------------------------------------------------------------------------------------------
def test_primitives_of_onednn_never_see_the_number_of_threads_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """MXNet keeps them by shape, with memory for the threads of the moment: a pooling made by a small program on one thread and run by a
    large one on two writes behind it."""
    monkeypatch.setattr(run, "threads", lambda: 2)
    x = numpy.zeros((1, 2, 6, 6), "float32")

    def threads_of(name: str, **params: Any) -> int:
        op = TABLE[name]
        return run.Plan(driver.graph_of_one(op, [x], op.bind(params)), (0,)).threads

    assert threads_of("exp") == 1
    assert threads_of("average_pooling", kernel=(2, 2), stride=(1, 1), pad=(0, 0), full=False, count_pad=True) == 2


@pytest.mark.skipif(not regions.enabled(), reason="of native loops")
@pytest.mark.parametrize(("rows", "wanted"), [(10, 1), (800, 2)])
def test_loops_that_threads_share_have_them(rows: int, wanted: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no single step is large: what is fused is."""
    monkeypatch.setattr(minpy_jit.config, "threads", 2)
    x = numpy.zeros((rows, 1000), "float32")
    assert run.Plan(driver.graph_of_one(TABLE["exp"], [x], ()), (0,)).threads == wanted


def test_who_calls_mxnet_beside_us_finds_it_with_all_threads() -> None:
    code = """
        from minpy_jit.exec import mx
        from minpy_jit.interop import mxnet
        mx.lib()
        mx.set_threads(1)
        counts = [mx._threads_now]
        mxnet()
        mx.set_threads(1)
        print(counts + [mx._threads_now])
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "[1, 2]\n"
