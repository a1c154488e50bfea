"""NumPy functions written with ops: what they compute is said once, for arrays and for `Ref`s alike.

Operands are arrays of ours (or Refs); axes, shapes and dtypes are normalised as an op's parameters (see normalise.py). A function that
cannot say what NumPy means for its arguments (a matrix norm that needs singular values, a spacing per point) returns `NotImplemented`,
and the caller falls back to NumPy.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import reduction
from .cast import astype, imag, real, stop_gradient
from .elementwise import (
    absolute,
    add,
    divide,
    exp,
    isfinite,
    isnan,
    less_equal,
    log,
    logical_not,
    multiply,
    not_equal,
    power,
    sqrt,
    subtract,
    where,
)
from .families import FLOAT64, INT64, all_axes, reduced_shape
from .normalise import at_least_shape, expanded_shape, moved_axes, normalise_axis, rolled_axes, squeezed_shape, swapped_axes
from .reduction import Axes, all_, cumprod, cumsum, max_, mean, min_, prod, sum_
from .shape import broadcast_to, concatenate, diagonal, flatten, flip, pad, pad_zeros, place_diagonal, reshape, slice_axis, stack, transpose
from .shape import roll as _roll


def _count(x: Any, axis: Axes) -> int:
    """Number of elements that a reduction takes together."""
    return math.prod(x.type.shape[i] for i in all_axes(x.type.ndim, axis))


def _without(x: Any, like: Any, axis: Axes) -> Any:
    """A result with kept dims in the shape without them."""
    return reshape(x, shape=reduced_shape(like.type.shape, all_axes(like.type.ndim, axis), False))


# -- shape --------------------------------------------------------------------------------------------------------------------------------
def ravel(x: Any) -> Any:
    """One dimension, in C order: a view of a C-contiguous array, else a copy (also where `reshape` could give a view)."""
    return reshape(x, shape=(x.type.size,)) if x.type.strides is None else flatten(x)


def squeeze(x: Any, axis: Any = None) -> Any:
    """Axes of length one removed."""
    return reshape(x, shape=squeezed_shape(x.type.shape, axis))


def expand_dims(x: Any, axis: Any) -> Any:
    """Axes of length one put in."""
    return reshape(x, shape=expanded_shape(x.type.shape, axis))


def atleast_nd(x: Any, ndim: int) -> Any:
    """`atleast_1d`, `atleast_2d`, `atleast_3d`."""
    shape = at_least_shape(x.type.shape, ndim)
    return x if shape == x.type.shape else reshape(x, shape=shape)


def swapaxes(x: Any, axis1: Any, axis2: Any) -> Any:
    """Two axes exchanged."""
    return transpose(x, axes=swapped_axes(x.type.ndim, axis1, axis2))


def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """Axes moved, the others in their order."""
    return transpose(x, axes=moved_axes(x.type.ndim, source, destination))


def rollaxis(x: Any, axis: Any, start: Any = 0) -> Any:
    """One axis moved before another."""
    return transpose(x, axes=rolled_axes(x.type.ndim, axis, start))


def roll(x: Any, shift: tuple[int, ...], axis: tuple[int, ...] | None = None) -> Any:
    """Elements moved around axes; without an axis, around the flattened array (then `shift` is one number)."""
    if axis is not None:
        return _roll(x, shift=shift, axes=axis)
    return reshape(_roll(ravel(x), shift=shift, axes=(0,)), shape=x.type.shape)


def diag(x: Any, k: int = 0) -> Any:
    """The matrix with a diagonal, or the diagonal (a view) of a matrix.

    Raises:
        ValueError: neither one nor two dimensions.
    """
    if x.type.ndim == 1:
        side = x.type.shape[0] + abs(k)
        return place_diagonal(x, offset=k, axis1=0, axis2=1, shape=(side, side))
    if x.type.ndim == 2:
        return diagonal(x, offset=k, axis1=0, axis2=1)
    raise ValueError("Input must be 1- or 2-d.")


def diagflat(x: Any, k: int = 0) -> Any:
    """The matrix with the flattened array on a diagonal."""
    return diag(ravel(x), k)


def meshgrid(arrays: tuple[Any, ...], indexing: str = "xy", sparse: bool = False) -> list[Any]:
    """Coordinate matrices (views) of flat coordinate vectors.

    Raises:
        ValueError: unknown indexing.
    """
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    ndim = len(arrays)
    places = list(range(ndim))
    if indexing == "xy" and ndim > 1:
        places[0], places[1] = 1, 0
    found = [
        reshape(x, shape=tuple(x.type.size if i == place else 1 for i in range(ndim))) for x, place in zip(arrays, places, strict=True)
    ]
    if sparse:
        return found
    shape = [1] * ndim
    for x, place in zip(arrays, places, strict=True):
        shape[place] = x.type.size
    return [broadcast_to(x, shape=tuple(shape)) for x in found]


def _extended(x: Any, axis: int, before: int, after: int, mode: str) -> Any:
    """`x` with elements of its own set before and after it along an axis, or NotImplemented where more are wanted than it has."""
    n = x.type.shape[axis]
    if before == after == 0:
        return x

    def part(start: int, stop: int, reverse: bool) -> Any:
        piece = slice_axis(x, axis=axis, start=start, stop=stop)
        return flip(piece, axes=(axis,)) if reverse else piece

    if mode == "edge":
        if n == 0:
            return NotImplemented

        def edge(at: int, times: int) -> Any:
            shape = (*x.type.shape[:axis], times, *x.type.shape[axis + 1 :])
            return broadcast_to(slice_axis(x, axis=axis, start=at, stop=at + 1), shape=shape)

        first, last = edge(0, before), edge(n - 1, after)
    elif mode == "wrap":
        if max(before, after) > n:
            return NotImplemented
        first, last = part(n - before, n, False), part(0, after, False)
    else:
        skip = 1 if mode == "reflect" else 0
        if max(before, after) > n - skip:
            return NotImplemented
        first, last = part(skip, skip + before, True), part(n - skip - after, n - skip, True)
    return concatenate(*[p for p, k in ((first, before), (x, 1), (last, after)) if k], axis=axis)


def padded(x: Any, width: tuple[tuple[int, int], ...], mode: str = "constant", fill: Any = 0) -> Any:
    """`numpy.pad`: "constant" with one value, "edge", "wrap", "reflect" and "symmetric" up to the array's own length."""
    if mode == "constant":
        if type(fill) in (bool, int, float) and fill == 0 and math.copysign(1.0, fill) > 0:
            return pad_zeros(x, width=width)
        return pad(x, fill, width=width)
    if mode not in ("edge", "wrap", "reflect", "symmetric") or any(n < 0 for pair in width for n in pair):
        return NotImplemented
    for axis, (before, after) in enumerate(width):
        x = _extended(x, axis, before, after, mode)
        if x is NotImplemented:
            return NotImplemented
    return x


# -- statistics ---------------------------------------------------------------------------------------------------------------------------
def _squares(x: Any) -> Any:
    """|x|**2, real."""
    if x.type.dtype.kind == "c":
        re, im = real(x), imag(x)
        return add(multiply(re, re), multiply(im, im))
    return multiply(x, x)


def _sum_of_squared_deviations(x: Any, axis: Axes, dtype: np.dtype | None, keepdims: bool) -> Any:
    deviations = subtract(x, mean(x, axis=axis, keepdims=True, dtype=dtype))
    squares = _squares(deviations)
    # of complex numbers NumPy sums the real squares
    real_dtype = dtype if dtype is None or dtype.kind != "c" else np.zeros((), dtype).real.dtype
    return sum_(squares, axis=axis, keepdims=keepdims, dtype=real_dtype)


def var(x: Any, axis: Axes = None, dtype: np.dtype | None = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """Variance over axes; float64 of integers, real of complex numbers."""
    if dtype is None and x.type.dtype.kind in "biu":
        dtype = FLOAT64
    total = _sum_of_squared_deviations(x, axis, dtype, keepdims)
    result = divide(total, max(_count(x, axis) - ddof, 0))
    return astype(result, dtype=dtype) if dtype is not None and dtype.kind in "iu" else result


def std(x: Any, axis: Axes = None, dtype: np.dtype | None = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """Standard deviation over axes."""
    found = sqrt(var(x, axis, dtype, ddof, keepdims))
    return astype(found, dtype=dtype) if dtype is not None and dtype.kind in "iu" else found


def ptp(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """Largest minus smallest element, over axes."""
    return subtract(max_(x, axis=axis, keepdims=keepdims), min_(x, axis=axis, keepdims=keepdims))


def count_nonzero(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """Number of elements that are not zero, over axes."""
    nonzero = x if x.type.dtype.kind == "b" else not_equal(x, 0)
    return sum_(nonzero, axis=axis, keepdims=keepdims, dtype=INT64)


def average(x: Any, axis: Axes = None, weights: Any = None, keepdims: bool = False) -> tuple[Any, Any]:
    """(weighted mean, sum of the weights in its shape). Weights that sum to zero give NaN, where NumPy raises.

    Raises:
        TypeError, ValueError: shapes that do not fit, as NumPy.
    """
    if weights is None:
        found = mean(x, axis=axis, keepdims=keepdims, dtype=None)
        return found, multiply(add(multiply(found, 0), 1), _count(x, axis))
    dtype = np.result_type(x.type.dtype, weights.type.dtype)
    if x.type.dtype.kind in "biu":
        dtype = np.result_type(dtype, FLOAT64)
    if weights.type.shape != x.type.shape:
        if axis is None:
            raise TypeError("Axis must be specified when shapes of a and weights differ.")
        if weights.type.ndim != 1:
            raise TypeError("1D weights expected when shapes of a and weights differ.")
        if len(axis) != 1 or weights.type.shape[0] != x.type.shape[axis[0]]:
            raise ValueError("Length of weights not compatible with specified axis.")
        wide = tuple(n if i == axis[0] else 1 for i, n in enumerate(x.type.shape))
        weights = broadcast_to(reshape(weights, shape=wide), shape=x.type.shape)
    scale = sum_(weights, axis=axis, keepdims=keepdims, dtype=dtype)
    weighted = multiply(x if x.type.dtype == dtype else astype(x, dtype=dtype), weights)
    return divide(sum_(weighted, axis=axis, keepdims=keepdims, dtype=dtype), scale), scale


# -- ignoring NaN -------------------------------------------------------------------------------------------------------------------------
def _replaced(x: Any, value: float) -> tuple[Any, Any]:
    """`x` with a number for its NaNs, and where they were (None: its dtype has none)."""
    if x.type.dtype.kind not in "fc":
        return x, None
    mask = isnan(x)
    return where(mask, value, x), mask


def nansum(x: Any, axis: Axes = None, dtype: np.dtype | None = None, keepdims: bool = False) -> Any:
    """Sum over axes, NaN counting as 0."""
    return sum_(_replaced(x, 0.0)[0], axis=axis, keepdims=keepdims, dtype=dtype)


def nanprod(x: Any, axis: Axes = None, dtype: np.dtype | None = None, keepdims: bool = False) -> Any:
    """Product over axes, NaN counting as 1."""
    return prod(_replaced(x, 1.0)[0], axis=axis, keepdims=keepdims, dtype=dtype)


def nancumsum(x: Any, axis: int | None = None, dtype: np.dtype | None = None) -> Any:
    """Running sum, NaN counting as 0."""
    return cumsum(_replaced(x, 0.0)[0], axis=axis, dtype=dtype)


def nancumprod(x: Any, axis: int | None = None, dtype: np.dtype | None = None) -> Any:
    """Running product, NaN counting as 1."""
    return cumprod(_replaced(x, 1.0)[0], axis=axis, dtype=dtype)


def _nan_extremum(x: Any, op: Any, start: float, axis: Axes, keepdims: bool) -> Any:
    filled, mask = _replaced(x, start)
    found = op(filled, axis=axis, keepdims=keepdims)
    if mask is None:
        return found
    result = where(all_(mask, axis=axis, keepdims=keepdims), math.nan, found)
    return result if not found.type.scalar else _as_scalar(result)


def _as_scalar(x: Any) -> Any:
    """A 0-d array as NumPy's functions return it: a scalar."""
    return sum_(x, axis=(), keepdims=False, dtype=None)


def nanmax(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """Maximum over axes, NaN left out; NaN where there is nothing else."""
    return _nan_extremum(x, max_, -math.inf, axis, keepdims)


def nanmin(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """Minimum over axes, NaN left out; NaN where there is nothing else."""
    return _nan_extremum(x, min_, math.inf, axis, keepdims)


def nanmean(x: Any, axis: Axes = None, dtype: np.dtype | None = None, keepdims: bool = False) -> Any:
    """Mean over axes, NaN left out; NaN where there is nothing else."""
    filled, mask = _replaced(x, 0.0)
    if mask is None:
        return mean(x, axis=axis, keepdims=keepdims, dtype=dtype)
    total = sum_(filled, axis=axis, keepdims=keepdims, dtype=dtype)
    return divide(total, _present(mask, axis, keepdims, total.type.dtype))


def _present(mask: Any, axis: Axes, keepdims: bool, dtype: np.dtype) -> Any:
    """How many elements are no NaN, as a number to divide by."""
    counted = np.zeros((), dtype).real.dtype
    return sum_(logical_not(mask), axis=axis, keepdims=keepdims, dtype=counted)


def nanvar(x: Any, axis: Axes = None, dtype: np.dtype | None = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """Variance over axes, NaN left out; NaN where too little is left."""
    if x.type.dtype.kind not in "fc":
        return var(x, axis, dtype, ddof, keepdims)
    mask = isnan(x)
    deviations = where(mask, 0.0, subtract(x, nanmean(x, axis, dtype, True)))
    total = sum_(_squares(deviations), axis=axis, keepdims=keepdims, dtype=dtype)
    degrees = subtract(_present(mask, axis, keepdims, total.type.dtype), ddof)
    result = where(less_equal(degrees, 0), math.nan, divide(total, degrees))
    return result if not total.type.scalar else _as_scalar(result)


def nanstd(x: Any, axis: Axes = None, dtype: np.dtype | None = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """Standard deviation over axes, NaN left out."""
    return sqrt(nanvar(x, axis, dtype, ddof, keepdims))


# -- exponentials -------------------------------------------------------------------------------------------------------------------------
def _peak(x: Any, axis: Axes) -> Any:
    """The largest element where it is finite, else 0: a constant for gradients, because it cancels."""
    peak = stop_gradient(max_(x, axis=axis, keepdims=True))
    return where(isfinite(peak), peak, 0.0)


def logsumexp(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """log(sum(exp(x))) over axes, without overflow."""
    if x.type.dtype.kind in "biu":
        x = astype(x, dtype=FLOAT64)
    peak = _peak(x, axis)
    total = log(sum_(exp(subtract(x, peak)), axis=axis, keepdims=keepdims, dtype=None))
    return add(total, peak if keepdims else _without(peak, x, axis))


def softmax(x: Any, axis: Axes = None) -> Any:
    """exp(x) / sum(exp(x)) over axes."""
    axes = all_axes(x.type.ndim, axis)
    if len(axes) == 1:
        return reduction.softmax(x, axis=axes[0])
    return exp(log_softmax(x, axis))


def log_softmax(x: Any, axis: Axes = None) -> Any:
    """x - logsumexp(x) over axes."""
    if x.type.dtype.kind in "biu":
        x = astype(x, dtype=FLOAT64)
    shifted = subtract(x, _peak(x, axis))
    return subtract(shifted, log(sum_(exp(shifted), axis=axis, keepdims=True, dtype=None)))


# -- linear algebra -----------------------------------------------------------------------------------------------------------------------
def norm(x: Any, ord: Any = None, axis: tuple[int, ...] | None = None, keepdims: bool = False) -> Any:
    """Vector norms of every order; matrix norms "fro", 1, -1, inf and -inf (2, -2 and "nuc" are singular values': NotImplemented).

    Args:
        x: any array.
        ord: the order, as `numpy.linalg.norm`.
        axis: one axis for vector norms, two (in the order given, not sorted) for matrix norms, or None.

    Raises:
        ValueError: an order that does not exist.
    """
    if x.type.dtype.kind not in "fc":
        x = astype(x, dtype=FLOAT64)
    ndim = x.type.ndim
    if axis is None:
        if ord is None or (ord in ("f", "fro") and ndim == 2) or (ord == 2 and ndim == 1):
            return sqrt(sum_(_squares(x), axis=None, keepdims=keepdims, dtype=None))
        axis = tuple(range(ndim))
    if len(axis) == 1:
        return _vector_norm(x, ord, axis, keepdims)
    if len(axis) != 2:
        raise ValueError("Improper number of dimensions to norm.")
    if axis[0] == axis[1]:
        raise ValueError("Duplicate axes given.")
    if ord in (None, "fro", "f"):
        return sqrt(sum_(_squares(x), axis=tuple(sorted(axis)), keepdims=keepdims, dtype=None))
    if ord in (2, -2, "nuc"):
        return NotImplemented
    if ord not in (1, -1, math.inf, -math.inf):
        raise ValueError("Invalid norm order for matrices.")
    # columns for 1, rows for inf
    summed = axis[0] if abs(ord) == 1 else axis[1]
    sums = sum_(absolute(x), axis=(summed,), keepdims=True, dtype=None)
    return (max_ if ord > 0 else min_)(sums, axis=tuple(sorted(axis)), keepdims=keepdims)


def _vector_norm(x: Any, ord: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    if ord is None or ord == 2:
        return sqrt(sum_(_squares(x), axis=axis, keepdims=keepdims, dtype=None))
    if isinstance(ord, str):
        raise ValueError(f"Invalid norm order '{ord}' for vectors")
    if ord == math.inf:
        return max_(absolute(x), axis=axis, keepdims=keepdims)
    if ord == -math.inf:
        return min_(absolute(x), axis=axis, keepdims=keepdims)
    if ord == 0:
        return sum_(not_equal(x, 0), axis=axis, keepdims=keepdims, dtype=np.zeros((), x.type.dtype).real.dtype)
    if ord == 1:
        return sum_(absolute(x), axis=axis, keepdims=keepdims, dtype=None)
    powers = power(absolute(x), float(ord))
    return power(sum_(powers, axis=axis, keepdims=keepdims, dtype=None), 1.0 / float(ord))


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: np.dtype | None = None) -> Any:
    """Sum of a diagonal."""
    found = diagonal(x, offset=offset, axis1=axis1, axis2=axis2)
    return sum_(found, axis=(found.type.ndim - 1,), keepdims=False, dtype=dtype)


def kron(a: Any, b: Any) -> Any:
    """The Kronecker product."""
    ndim = max(a.type.ndim, b.type.ndim)
    if ndim == 0:
        return multiply(a, b)
    left, right = ((1,) * (ndim - x.type.ndim) + x.type.shape for x in (a, b))
    outer = multiply(
        reshape(a, shape=tuple(k for n in left for k in (n, 1))),
        reshape(b, shape=tuple(k for n in right for k in (1, n))),
    )
    return reshape(outer, shape=tuple(n * m for n, m in zip(left, right, strict=True)))


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1) -> Any:
    """The cross product of vectors of two or three components.

    Raises:
        ValueError: other lengths.
    """
    vectors = []
    for x, axis in ((a, axisa), (b, axisb)):
        last = x.type.ndim - 1
        along = normalise_axis(axis, x.type.ndim)
        vectors.append(x if along == last else moveaxis(x, along, last))
    lengths = [v.type.shape[-1] for v in vectors]
    if any(n not in (2, 3) for n in lengths):
        raise ValueError("incompatible dimensions for cross product\n(dimension must be 2 or 3)")
    p, q = ([_component(v, i) if i < n else None for i in range(3)] for v, n in zip(vectors, lengths, strict=True))

    def minor(i: int, j: int) -> Any:
        """p[i] q[j] - p[j] q[i], absent components being 0."""
        first = None if p[i] is None or q[j] is None else multiply(p[i], q[j])
        second = None if p[j] is None or q[i] is None else multiply(p[j], q[i])
        if first is None:
            return subtract(0, second)
        return first if second is None else subtract(first, second)

    if lengths == [2, 2]:
        return minor(0, 1)
    parts = [minor(1, 2), minor(2, 0), minor(0, 1)]
    last = parts[0].type.ndim
    made = stack(*parts, axis=last)
    place = normalise_axis(axisc, last + 1)
    return made if place == last else moveaxis(made, last, place)


def _component(x: Any, i: int) -> Any:
    """x[..., i]."""
    last = x.type.ndim - 1
    return reshape(slice_axis(x, axis=last, start=i, stop=i + 1), shape=x.type.shape[:-1])


# -- differences --------------------------------------------------------------------------------------------------------------------------
def diff(x: Any, n: int = 1, axis: Any = -1) -> Any:
    """The n-th difference along an axis.

    Raises:
        ValueError: negative order, or no axis.
    """
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n!r}")
    if x.type.ndim == 0:
        raise ValueError("diff requires input that is at least one dimensional")
    along = normalise_axis(axis, x.type.ndim)
    for _ in range(n):
        length = x.type.shape[along]
        later = slice_axis(x, axis=along, start=min(1, length), stop=length)
        earlier = slice_axis(x, axis=along, start=0, stop=max(length - 1, 0))
        x = not_equal(later, earlier) if x.type.dtype.kind == "b" else subtract(later, earlier)
    return x


def gradient(x: Any, spacing: tuple[Any, ...], axes: tuple[int, ...]) -> list[Any]:
    """`numpy.gradient` with one step per axis (a number or a 0-d array) and first-order edges: one array per axis.

    Raises:
        ValueError: an axis is shorter than 2.
    """
    if x.type.dtype.kind not in "fc":
        x = astype(x, dtype=FLOAT64)
    found = []
    for axis, step in zip(axes, spacing, strict=True):
        n = x.type.shape[axis]
        if n < 2:
            raise ValueError("Shape of array too small to calculate a numerical gradient, at least (edge_order + 1) elements are required.")
        last = divide(_rise(x, axis, n - 2, n - 1), step)
        first = divide(_rise(x, axis, 0, 1), step)
        inner = []
        if n > 2:
            later = slice_axis(x, axis=axis, start=2, stop=n)
            earlier = slice_axis(x, axis=axis, start=0, stop=n - 2)
            inner = [divide(subtract(later, earlier), multiply(step, 2.0) if hasattr(step, "type") else 2.0 * step)]
        found.append(concatenate(first, *inner, last, axis=axis))
    return found


def _rise(x: Any, axis: int, i: int, j: int) -> Any:
    """x[j] - x[i] along an axis, which stays, one long."""
    return subtract(slice_axis(x, axis=axis, start=j, stop=j + 1), slice_axis(x, axis=axis, start=i, stop=i + 1))
