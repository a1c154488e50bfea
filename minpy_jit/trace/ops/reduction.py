"""Reductions and cumulative ops: sums, products, extrema, their positions, truth of any or all, running sums and products.

`axis` is a tuple of non-negative ints or None for all (one int or None where NumPy takes only one); `dtype` a dtype or None for NumPy's
choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..op import ZERO_GRADIENT, Op, Ref, Sample, Types, define
from ..types import ArrayType, Shape, array_type, elementwise_strides
from . import kernels
from .elementwise import equal
from .families import ALL_MXNET, BOOL, FLOAT32, FLOAT64, FLOATS, INT64, NUMBERS, all_axes, reduced_shape
from .shape import broadcast_to, flip, inverse_permutation, reshape, shift, transpose, tuple_attr

Axes = tuple[int, ...] | None

# MXNet's reductions take 3.5 ns an element on one thread (its sums 6), NumPy's 0.1 to 0.3; leaving MXNet for the host costs about 15 µs
LARGEST_ON_CPU = 8192
# a sum becomes a product with ones, whose error on float32 is at most 26 ulp for equal elements up to this length (3 for random ones);
# NumPy's pairwise sum has 1.2 along the last axis and up to 5000 along the first. At 2**20 elements it may be 270 (float64)
LONGEST_SUM = 1 << 16
LONGEST_VECTOR = 4096


# -- type rules ---------------------------------------------------------------------------------------------------------------------------
def kept_shape(type_: ArrayType, axis: Axes) -> Shape:
    """The operand's shape with ones in place of the reduced axes."""
    return reduced_shape(type_.shape, all_axes(type_.ndim, axis), True)


def reduced_type(type_: ArrayType, axis: Axes, keepdims: bool, dtype: np.dtype) -> ArrayType:
    """Type of a reduction's result: a scalar where no axis is left; the axes that stay keep the operand's memory order."""
    axes = all_axes(type_.ndim, axis)
    shape = reduced_shape(type_.shape, axes, keepdims)
    strides = None
    if type_.strides is not None and len(shape) > 1:
        order = elementwise_strides((type_,), type_.shape, dtype)
        if order is not None:
            kept = range(type_.ndim) if keepdims else [i for i in range(type_.ndim) if i not in axes]
            # the operand's layout, made dense: the longest step first
            ranked = sorted(range(len(shape)), key=lambda i: -order[list(kept)[i]])
            dense, step = [0] * len(shape), dtype.itemsize
            for i in reversed(ranked):
                dense[i] = step
                step *= max(shape[i], 1)
            strides = tuple(dense)
    return array_type(shape, dtype, strides, not shape, None, type_.context)


def check_loop(ufunc: np.ufunc, dtype: np.dtype) -> None:
    """NumPy's TypeError where a ufunc cannot reduce this dtype."""
    if dtype.kind not in "biufc":
        ufunc.resolve_dtypes((dtype, dtype, None))  # type: ignore[attr-defined]


def sum_dtype(dtype: np.dtype, given: np.dtype | None) -> np.dtype:
    """The dtype in which NumPy adds or multiplies up: small integers become 64 bits wide."""
    if given is not None:
        return given
    if dtype.kind == "u" and dtype.itemsize < 8:
        return np.dtype(np.uint64)
    return INT64 if dtype.kind == "b" or (dtype.kind == "i" and dtype.itemsize < 8) else dtype


def _infer_sum(ufunc: np.ufunc) -> Callable[..., ArrayType]:
    def infer(x: ArrayType, axis: Axes, keepdims: bool, dtype: np.dtype | None) -> ArrayType:
        found = sum_dtype(x.dtype, dtype)
        check_loop(ufunc, found)
        return reduced_type(x, axis, keepdims, found)

    return infer


def _infer_extremum(ufunc: np.ufunc) -> Callable[..., ArrayType]:
    def infer(x: ArrayType, axis: Axes, keepdims: bool) -> ArrayType:
        check_loop(ufunc, x.dtype)
        if x.size == 0 and any(x.shape[i] == 0 for i in all_axes(x.ndim, axis)):
            raise ValueError(f"zero-size array to reduction operation {ufunc.__name__} which has no identity")
        return reduced_type(x, axis, keepdims, x.dtype)

    return infer


def _infer_truth(x: ArrayType, axis: Axes, keepdims: bool) -> ArrayType:
    return reduced_type(x, axis, keepdims, BOOL)


def mean_dtype(dtype: np.dtype, given: np.dtype | None) -> np.dtype:
    """The dtype of a mean: float64 of integers."""
    return given if given is not None else FLOAT64 if dtype.kind in "biu" else dtype


def _numpy_mean(x: Any, axis: Axes, keepdims: bool, dtype: np.dtype | None) -> Any:
    wanted = mean_dtype(x.dtype, dtype)
    # NumPy adds float16 up in float32, and divides by an int64, that is in float64
    inner = np.dtype(np.float32) if x.dtype == np.float16 and wanted == np.float16 else wanted
    total = np.add.reduce(x, axis=axis, dtype=inner, keepdims=keepdims)
    count = math.prod(x.shape[i] for i in all_axes(x.ndim, axis))
    return np.true_divide(total, count, dtype=np.promote_types(inner, np.float64)).astype(wanted)


def _infer_mean(x: ArrayType, axis: Axes, keepdims: bool, dtype: np.dtype | None) -> ArrayType:
    found = mean_dtype(x.dtype, dtype)
    check_loop(np.add, found)
    return reduced_type(x, axis, keepdims, found)


# -- lowerings ----------------------------------------------------------------------------------------------------------------------------
def too_large(type_: ArrayType) -> bool:
    """Whether NumPy on the host is so much quicker that leaving MXNet pays."""
    return type_.size > LARGEST_ON_CPU and type_.context.device_type == "cpu"


def _native_axes(x: ArrayType, axis: Axes) -> tuple[int, ...]:
    """The reduced axes that are longer than one: what there is to do."""
    return tuple(i for i in all_axes(x.ndim, axis) if x.shape[i] != 1)


def _reduce_with(low: Any, name: str, entry: Any, x: ArrayType, axis: Axes, result: ArrayType, **attrs: Any) -> Any:
    """An MXNet reduction over `axis`, in the result's shape."""
    axes = all_axes(x.ndim, axis)
    if not axes:
        return low.node("_np_reshape", [entry], {"newshape": tuple_attr(result.shape)})
    keepdims = int(len(result.shape) == x.ndim)
    return low.node(name, [entry], {"axis": tuple_attr(axes), "keepdims": keepdims, **attrs})


def _sum_of_all(low: Any, entry: Any, shape: Shape, length: int, dtype: np.dtype) -> Any:
    """The sum of all elements, of shape (1,)."""
    # a product of vectors is the quickest (65536 elements in 5 µs; 25 as a square matrix, 120 as one long row), but it accumulates naively:
    # 16 ulp for 4096 equal float64, 270 for 65536
    rows = 1 if length <= LONGEST_VECTOR else next((r for r in range(math.isqrt(length), 7, -1) if length % r == 0), 0)
    wanted = (length,) if rows == 1 else (rows, length // rows) if rows else (1, length)
    if shape != wanted:
        entry = low.node("_np_reshape", [entry], {"newshape": tuple_attr(wanted)})
    if rows < 2:
        return low.node("dot", [entry, low.constant(np.ones(length, dtype))])
    sums = low.node("dot", [entry, low.constant(np.ones(length // rows, dtype))])
    return low.node("dot", [sums, low.constant(np.ones(rows, dtype))])


def _sum_of_floats(low: Any, entry: Any, x: ArrayType, axis: Axes, result: ArrayType) -> Any:
    """A sum as a product with a vector of ones.

    MXNet's own sums are compensated, which makes them slow (2.0 µs for 16x16 against 0.5, 185 µs for 32x1000 against 14) and wrong where
    an element is infinite (inf - inf inside gives nan).
    """
    axes = _native_axes(x, axis)
    length = math.prod(x.shape[i] for i in axes)
    if not axes:
        return low.node("_np_reshape", [entry], {"newshape": tuple_attr(result.shape)})
    if length > LONGEST_SUM and x.context.device_type == "cpu":
        return NotImplemented
    kept = [i for i in range(x.ndim) if i not in axes and x.shape[i] != 1]
    if not kept:
        total = _sum_of_all(low, entry, x.shape, length, result.dtype)
        return total if result.shape == (1,) else low.node("_np_reshape", [total], {"newshape": tuple_attr(result.shape)})
    rest = math.prod(x.shape[i] for i in kept)
    first = axes[-1] < kept[0]
    shape = x.shape
    if not first and kept[-1] > axes[0]:
        if x.ndim > 6:
            return NotImplemented
        order = (*[i for i in range(x.ndim) if i not in axes], *axes)
        entry = low.node("transpose", [entry], {"axes": tuple_attr(order)})
        shape = tuple(x.shape[i] for i in order)
    wanted = (length, rest) if first else (rest, length)
    if shape != wanted:
        entry = low.node("_np_reshape", [entry], {"newshape": tuple_attr(wanted)})
    ones = low.constant(np.ones(length, result.dtype))
    total = low.node("dot", [ones, entry] if first else [entry, ones])
    return total if result.shape == (rest,) else low.node("_np_reshape", [total], {"newshape": tuple_attr(result.shape)})


def _lower_sum(low: Any, xs: list[Any], types: Types, result: ArrayType, axis: Axes, keepdims: bool, dtype: np.dtype | None) -> Any:
    (x,), entry = types, xs[0]
    if result.dtype in FLOATS:
        if x.dtype != result.dtype:
            entry = low.cast(entry, result.dtype)
        return _sum_of_floats(low, entry, x, axis, result)
    if result.dtype != INT64 or x.dtype in FLOATS or too_large(x):
        return NotImplemented
    if x.dtype != INT64:
        entry = low.cast(entry, INT64)
    return _reduce_with(low, "_np_sum", entry, x, axis, result)


def _lower_prod(low: Any, xs: list[Any], types: Types, result: ArrayType, axis: Axes, keepdims: bool, dtype: np.dtype | None) -> Any:
    (x,), entry = types, xs[0]
    if too_large(x) or not (result.dtype in FLOATS or (result.dtype == INT64 and x.dtype not in FLOATS)):
        return NotImplemented
    if x.dtype != result.dtype:
        entry = low.cast(entry, result.dtype)
    return _reduce_with(low, "_np_prod", entry, x, axis, result)


def _lower_mean(low: Any, xs: list[Any], types: Types, result: ArrayType, axis: Axes, keepdims: bool, dtype: np.dtype | None) -> Any:
    if result.dtype not in FLOATS:
        return NotImplemented
    total = _lower_sum(low, xs, types, result, axis, keepdims, result.dtype)
    if total is NotImplemented:
        return NotImplemented
    count = math.prod(types[0].shape[i] for i in all_axes(types[0].ndim, axis))
    return low.node("_npi_true_divide", [total, low.constant(np.asarray(count, result.dtype))])


def _lower_plain(name: str) -> Callable[..., Any]:
    def lower(low: Any, xs: list[Any], types: Types, result: ArrayType, axis: Axes, keepdims: bool) -> Any:
        entry = xs[0]
        if too_large(types[0]):
            return NotImplemented
        if not all_axes(types[0].ndim, axis) and types[0].dtype != result.dtype:
            entry = low.cast(entry, result.dtype)
        return _reduce_with(low, name, entry, types[0], axis, result)

    return lower


# -- gradients ----------------------------------------------------------------------------------------------------------------------------
def _kept(g: Ref, x: Ref, axis: Axes) -> Ref:
    """A reduction's result with its reduced axes put back, one long."""
    shape = kept_shape(x.type, axis)
    return g if g.shape == shape else reshape(g, shape=shape)


def _sum_rule(g: Ref, ans: Ref, x: Ref, axis: Axes, keepdims: bool, dtype: np.dtype | None) -> Ref:
    return broadcast_to(_kept(g, x, axis), shape=x.shape)


def _mean_rule(g: Ref, ans: Ref, x: Ref, axis: Axes, keepdims: bool, dtype: np.dtype | None) -> Ref:
    count = math.prod(x.shape[i] for i in all_axes(x.ndim, axis))
    return broadcast_to(_kept(g / max(count, 1), x, axis), shape=x.shape)


def _extremum_rule(g: Ref, ans: Ref, x: Ref, axis: Axes, keepdims: bool) -> Ref:
    # ties share the gradient
    chosen = equal(x, _kept(ans, x, axis))
    share = g / sum_(chosen, axis=axis, keepdims=keepdims, dtype=g.dtype)
    return chosen * _kept(share, x, axis)


def _along_last(x: Ref, axis: Axes) -> tuple[Ref, tuple[int, ...]]:
    """`x` with the reduced axes merged into one last axis, and the permutation that brought them there."""
    axes = all_axes(x.ndim, axis)
    order = (*[i for i in range(x.ndim) if i not in axes], *axes)
    if order != tuple(range(x.ndim)):
        x = transpose(x, axes=order)
    rest = x.shape[: x.ndim - len(axes)]
    return reshape(x, shape=(*rest, math.prod(x.shape[len(rest) :]))), order


def _prod_rule(g: Ref, ans: Ref, x: Ref, axis: Axes, keepdims: bool, dtype: np.dtype | None) -> Ref:
    # the product of the others: those before times those after, so that zeros need no division
    row, order = _along_last(x, axis)
    last = row.ndim - 1
    before = _product_before(row, last)
    after = flip(_product_before(flip(row, axes=(last,)), last), axes=(last,))
    others = reshape(before * after, shape=tuple(x.shape[i] for i in order))
    if order != tuple(range(x.ndim)):
        others = transpose(others, axes=inverse_permutation(order))
    return _kept(g, x, axis) * others


def _product_before(x: Ref, axis: int) -> Ref:
    """The product of all elements before each one."""
    return cumprod(shift(x, by=1, axis=axis, fill=1.0), axis=axis, dtype=None)


# -- reductions ---------------------------------------------------------------------------------------------------------------------------
_SHAPES: tuple[tuple[Shape, Axes, bool], ...] = (
    ((2, 3), None, False),
    ((2, 3), (0,), False),
    ((2, 3), (1,), True),
    ((3, 4, 2), (0, 2), False),
    ((3, 4, 2), (1,), False),
    ((3, 4, 2), (0, 1, 2), True),
    ((1, 4, 1), (1, 2), False),
    ((), None, False),
    ((), (), False),
    ((2, 3), (), False),
)
_EMPTY: tuple[tuple[Shape, Axes, bool], ...] = (((0, 3), (0,), False), ((0, 3), (1,), False), ((0,), None, True))


def _samples(extra: dict[str, Any] | None = None, empty: bool = True, **fields: Any) -> tuple[Sample, ...]:
    shapes = (*_SHAPES, *(_EMPTY if empty else (((0, 3), (1,), False),)))
    return tuple(Sample((s,), {"axis": a, "keepdims": k, **(extra or {})}, **fields) for s, a, k in shapes)


def _sum_samples(*dtypes: str, **fields: Any) -> tuple[Sample, ...]:
    given = tuple(Sample(((2, 3),), {"axis": (0,), "keepdims": False, "dtype": np.dtype(d)}, differentiable=d == "float64") for d in dtypes)
    return (*_samples({"dtype": None}, **fields), *given)


sum_ = define(
    "sum",
    family="reduction",
    arity=1,
    params=("axis", "keepdims", "dtype"),
    defaults={"axis": None, "keepdims": False, "dtype": None},
    infer=_infer_sum(np.add),
    numpy=lambda x, axis, keepdims, dtype: np.sum(x, axis=axis, keepdims=keepdims, dtype=dtype),
    mxnet=_lower_sum,
    kernel=kernels.reduction("add"),
    mxnet_dtypes=ALL_MXNET,
    vjp=(_sum_rule,),
    ulp=32,
    samples=_sum_samples("float64", "int64", "int32", "complex128"),
    doc="sum over axes",
)
prod = define(
    "prod",
    family="reduction",
    arity=1,
    params=("axis", "keepdims", "dtype"),
    defaults={"axis": None, "keepdims": False, "dtype": None},
    infer=_infer_sum(np.multiply),
    numpy=lambda x, axis, keepdims, dtype: np.prod(x, axis=axis, keepdims=keepdims, dtype=dtype),
    mxnet=_lower_prod,
    kernel=kernels.reduction("multiply"),
    mxnet_dtypes=ALL_MXNET,
    vjp=(_prod_rule,),
    ulp=16,
    samples=(
        *_sum_samples("float64", "int64"),
        Sample((np.array([[2.0, 0.0, 3.0], [0.0, 1.5, 0.0], [1.0, -2.0, 0.5]]),), {"axis": (1,), "keepdims": False, "dtype": None}),
    ),
    doc="product over axes",
)
mean = define(
    "mean",
    family="reduction",
    arity=1,
    params=("axis", "keepdims", "dtype"),
    defaults={"axis": None, "keepdims": False, "dtype": None},
    infer=_infer_mean,
    numpy=_numpy_mean,
    mxnet=_lower_mean,
    kernel=kernels.mean,
    mxnet_dtypes=ALL_MXNET,
    vjp=(_mean_rule,),
    ulp=32,
    samples=(
        *_samples({"dtype": None}, empty=False),
        Sample(((2, 3),), {"axis": (0,), "keepdims": False, "dtype": FLOAT64}),
        Sample(((2, 3),), {"axis": (0,), "keepdims": False, "dtype": FLOAT32}, differentiable=False),
    ),
    doc="arithmetic mean over axes",
)


def _extremum(name: str, ufunc: np.ufunc, function: Callable[..., Any]) -> Op:
    return define(
        name,
        family="reduction",
        arity=1,
        params=("axis", "keepdims"),
        defaults={"axis": None, "keepdims": False},
        infer=_infer_extremum(ufunc),
        numpy=lambda x, axis, keepdims: function(x, axis=axis, keepdims=keepdims),
        mxnet=_lower_plain(f"_np_{name}"),
        kernel=kernels.reduction(f"{name}imum"),
        mxnet_dtypes=ALL_MXNET,
        vjp=(_extremum_rule,),
        samples=(
            *_samples(empty=False),
            Sample((np.array([[1.0, np.nan, 3.0], [4.0, 5.0, -np.inf]]),), {"axis": (1,), "keepdims": False}, differentiable=False),
        ),
        doc=f"{name}imum over axes; NaN where there is one; ties share the gradient",
    )


max_ = _extremum("max", np.maximum, np.max)
min_ = _extremum("min", np.minimum, np.min)


def _truth(name: str, function: Callable[..., Any]) -> Op:
    return define(
        name,
        family="reduction",
        arity=1,
        params=("axis", "keepdims"),
        defaults={"axis": None, "keepdims": False},
        infer=_infer_truth,
        # of objects NumPy gives an object
        numpy=lambda x, axis, keepdims: np.asarray(function(x, axis=axis, keepdims=keepdims)).astype(np.bool_)[()],
        mxnet=_lower_plain(f"_np_{name}"),
        kernel=kernels.reduction({"any": "logical_or", "all": "logical_and"}[name]),
        mxnet_dtypes=ALL_MXNET,
        vjp=ZERO_GRADIENT,
        samples=_samples(),
        doc=f"whether {name} element is true, over axes" if name == "any" else "whether all elements are true, over axes",
    )


any_ = _truth("any", np.any)
all_ = _truth("all", np.all)


def _position(name: str, function: Callable[..., Any]) -> Op:
    def infer(x: ArrayType, axis: int | None, keepdims: bool) -> ArrayType:
        if (x.size if axis is None else x.shape[axis]) == 0:
            raise ValueError(f"attempt to get {name} of an empty sequence")
        shape = reduced_shape(x.shape, all_axes(x.ndim, None if axis is None else (axis,)), keepdims)
        return array_type(shape, INT64, None, not shape, None, x.context)

    def lower(low: Any, xs: list[Any], types: Types, result: ArrayType, axis: int | None, keepdims: bool) -> Any:
        if too_large(types[0]):
            return NotImplemented
        return low.node(f"_npi_{name}", xs, {"axis": axis, "keepdims": int(keepdims)})

    return define(
        name,
        family="reduction",
        arity=1,
        params=("axis", "keepdims"),
        defaults={"axis": None, "keepdims": False},
        infer=infer,
        numpy=lambda x, axis, keepdims: function(x, axis=axis, keepdims=keepdims),
        mxnet=lower,
        kernel=kernels.position({"argmax": "maximum", "argmin": "minimum"}[name]),
        mxnet_dtypes=NUMBERS,
        vjp=ZERO_GRADIENT,
        samples=(
            *(
                Sample((s,), {"axis": a, "keepdims": k})
                for s, a, k in (
                    ((2, 3), None, False),
                    ((2, 3), 0, False),
                    ((2, 3), 1, True),
                    ((3, 4, 2), 1, False),
                    ((), None, False),
                    ((0, 3), 1, False),
                )
            ),
            Sample((np.array([1.0, np.nan, 3.0, np.nan]),), {"axis": 0, "keepdims": False}),
        ),
        doc=f"position of the {name[3:]}imum along an axis, or in the flattened array",
    )


argmax = _position("argmax", np.argmax)
argmin = _position("argmin", np.argmin)


# -- cumulative ops -----------------------------------------------------------------------------------------------------------------------
def _infer_cumulative(ufunc: np.ufunc) -> Callable[..., ArrayType]:
    def infer(x: ArrayType, axis: int | None, dtype: np.dtype | None) -> ArrayType:
        found = sum_dtype(x.dtype, dtype)
        check_loop(ufunc, found)
        if axis is None:
            return array_type((x.size,), found, context=x.context)
        return array_type(x.shape, found, elementwise_strides((x,), x.shape, found), context=x.context)

    return infer


def _lower_cumsum(low: Any, xs: list[Any], types: Types, result: ArrayType, axis: int | None, dtype: np.dtype | None) -> Any:
    entry, x = xs[0], types[0]
    if result.dtype not in FLOATS and (result.dtype != INT64 or x.dtype in FLOATS):
        return NotImplemented
    if x.dtype != result.dtype:
        entry = low.cast(entry, result.dtype)
    return low.node("_np_cumsum", [entry], {"axis": axis})


def _cumsum_rule(g: Ref, ans: Ref, x: Ref, axis: int | None, dtype: np.dtype | None) -> Ref:
    along = 0 if axis is None else axis
    back = flip(cumsum(flip(g, axes=(along,)), axis=along, dtype=None), axes=(along,))
    return reshape(back, shape=x.shape) if axis is None else back


def _cumprod_rule(g: Ref, ans: Ref, x: Ref, axis: int | None, dtype: np.dtype | None) -> Ref:
    # d ans[k] / d x[i] is the product before i times that between i and k, so that zeros need no division
    along = 0 if axis is None else axis
    row = reshape(x, shape=ans.shape)
    grown = _recur_backwards(row, g, along)
    return reshape(_product_before(row, along) * grown, shape=x.shape)


def _recur_backwards(a: Ref, b: Ref, axis: int) -> Ref:
    """y[i] = b[i] + a[i + 1] y[i + 1], from the end."""
    axes = (axis,)
    return flip(recurrence(flip(shift(a, by=-1, axis=axis, fill=0.0), axes=axes), flip(b, axes=axes), axis=axis), axes=axes)


_CUMULATIVE = tuple(
    Sample((s,), {"axis": a, "dtype": None})
    for s, a in (((2, 3), None), ((2, 3), 0), ((2, 3), 1), ((3, 4, 2), 1), ((), None), ((0, 3), 0), ((0, 3), 1))
)
cumsum: Op = define(
    "cumsum",
    family="reduction",
    arity=1,
    params=("axis", "dtype"),
    defaults={"axis": None, "dtype": None},
    infer=_infer_cumulative(np.add),
    numpy=lambda x, axis, dtype: np.cumsum(x, axis=axis, dtype=dtype),
    mxnet=_lower_cumsum,
    kernel=kernels.cumulative("add"),
    mxnet_dtypes=ALL_MXNET,
    vjp=(_cumsum_rule,),
    samples=(*_CUMULATIVE, Sample(((2, 3),), {"axis": 1, "dtype": FLOAT64})),
    doc="running sum along an axis, or of the flattened array",
)
cumprod: Op = define(
    "cumprod",
    family="reduction",
    arity=1,
    params=("axis", "dtype"),
    defaults={"axis": None, "dtype": None},
    infer=_infer_cumulative(np.multiply),
    numpy=lambda x, axis, dtype: np.cumprod(x, axis=axis, dtype=dtype),
    kernel=kernels.cumulative("multiply"),
    vjp=(_cumprod_rule,),
    samples=(*_CUMULATIVE, Sample((np.array([2.0, 0.0, 3.0, 0.0, 1.5]),), {"axis": 0, "dtype": None})),
    doc="running product along an axis, or of the flattened array",
)


def _infer_recurrence(a: ArrayType, b: ArrayType, axis: int) -> ArrayType:
    if a.shape != b.shape:
        raise ValueError(f"factors {a.shape} and terms {b.shape} differ in shape")
    return array_type(a.shape, np.promote_types(a.dtype, b.dtype), context=a.context)


def _numpy_recurrence(a: Any, b: Any, axis: int) -> Any:
    out = np.array(b, np.promote_types(a.dtype, b.dtype), order="C")
    rows, factors = np.moveaxis(out, axis, 0), np.moveaxis(a, axis, 0)
    for i in range(1, len(rows)):
        rows[i] += factors[i] * rows[i - 1]
    return out


def _recurrence_factor_rule(g: Ref, ans: Ref, a: Ref, b: Ref, axis: int) -> Ref:
    return _recur_backwards(a, g, axis) * shift(ans, by=1, axis=axis, fill=0.0)


recurrence: Op = define(
    "recurrence",
    family="reduction",
    arity=2,
    params=("axis",),
    infer=_infer_recurrence,
    numpy=_numpy_recurrence,
    kernel=kernels.recurrence,
    vjp=(_recurrence_factor_rule, lambda g, ans, a, b, axis: _recur_backwards(a, g, axis)),
    samples=(Sample(((5,), (5,)), {"axis": 0}), Sample(((2, 4), (2, 4)), {"axis": 1}), Sample(((4, 2), (4, 2)), {"axis": 0})),
    doc="y[i] = b[i] + a[i] y[i - 1] along an axis, y[0] = b[0]: what the gradient of cumprod is made of",
)


# -- softmax ------------------------------------------------------------------------------------------------------------------------------
def _infer_softmax(x: ArrayType, axis: int) -> ArrayType:
    dtype = x.dtype if x.dtype.kind in "fc" else FLOAT64
    return array_type(x.shape, dtype, elementwise_strides((x,), x.shape, dtype), not x.shape, None, x.context)


def _numpy_softmax(x: Any, axis: int) -> Any:
    x = np.asarray(x, x.dtype if x.dtype.kind in "fc" else np.float64)
    if x.size == 0:
        return x
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def _lower_softmax(low: Any, xs: list[Any], types: Types, result: ArrayType, axis: int) -> Any:
    x = types[0]
    plain = low.node("softmax", xs, {"axis": axis})
    kept = array_type(kept_shape(x, (axis,)), result.dtype, context=x.context)
    total = _sum_of_floats(low, plain, x, (axis,), kept)
    if total is NotImplemented:
        return NotImplemented
    # MXNet gives NaN in some places only of a row that has a NaN or +inf; NumPy's arithmetic gives it in all of them
    poison = low.node("_npi_multiply", [total, low.constant(np.zeros((), result.dtype))])
    return low.node("_npi_add", [plain, poison])


def _softmax_rule(g: Ref, ans: Ref, x: Ref, axis: int) -> Ref:
    weighted = g * ans
    return weighted - ans * sum_(weighted, axis=(axis,), keepdims=True, dtype=None)


softmax = define(
    "softmax",
    family="reduction",
    arity=1,
    params=("axis",),
    infer=_infer_softmax,
    numpy=_numpy_softmax,
    operand_dtypes=lambda types, params: (types[0].dtype if types[0].dtype.kind in "fc" else FLOAT64,),
    mxnet=_lower_softmax,
    kernel=kernels.softmax,
    mxnet_dtypes=FLOATS,
    vjp=(_softmax_rule,),
    ulp=16,
    samples=(
        Sample(((2, 3),), {"axis": 1}),
        Sample(((2, 3),), {"axis": 0}),
        Sample(((3, 4, 2),), {"axis": 1}),
        Sample((np.array([[1.0, np.nan, 2.0], [np.nan, 0.0, 1.0], [-np.inf, 1.0, 2.0]]),), {"axis": 1}, differentiable=False),
        Sample((np.array([[1.0, 2.0, np.inf], [-np.inf, -np.inf, -np.inf], [0.0, 0.0, 0.0]]),), {"axis": 1}, differentiable=False),
    ),
    doc="exp(x) / sum(exp(x)) along an axis",
)
