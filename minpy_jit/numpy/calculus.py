"""Differences, integrals, statistics, rounding and comparisons: compositions of other functions of the namespace."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..trace.handle import Handle
from ..trace.op import TABLE
from ..trace.ops import composite, special
from ..trace.ops.normalise import normalise_axis
from ..trace.recorder import observe
from ..trace.types import HOST_KINDS
from . import fallback, reductions, shaping
from .convert import NUMBERS
from .creation import asarray, like_layout, without_scalar
from .output import deliver, deliver_reduced, out_array
from .shaping import handle

_HOST = HOST_KINDS + "Mm"


# -- parts and rounding ------------------------------------------------------------------------------------------------------------------
def round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    """Rounded to decimals, ties to even."""
    x = handle(a)
    if x.type.dtype.kind in _HOST or (x.type.dtype.kind == "b" and out is not None):
        return fallback.call(np.round, (a, decimals, out), None, "round")
    if out is not None and out_array(out).shape != x.type.shape:
        raise ValueError(f"[round] invalid output shape {out_array(out).shape} for {x.type.shape}; give one of that shape")
    if out is None and x.type.dtype.kind in "iu" and (x.type.ndim or x.type.scalar) and operator.index(decimals) >= 0:
        # nothing to round: NumPy returns the array itself
        return x
    return deliver(TABLE["round"](x, decimals=operator.index(decimals)), out, "round")


around = round_ = round


def fix(x: Any, out: Any = None) -> Any:
    """Rounded towards zero (as floats)."""
    x = handle(x)
    return deliver(TABLE["trunc"](x), out, "fix")


def real(val: Any) -> Any:
    """The real part: a view of complex arrays, real ones themselves."""
    return val.real if type(val) in NUMBERS else handle(val).real


def imag(val: Any) -> Any:
    """The imaginary part: a view of complex arrays, zeros of real ones."""
    return val.imag if type(val) in NUMBERS else handle(val).imag


def angle(z: Any, deg: bool = False) -> Any:
    """The argument of complex numbers."""
    return special.angle(handle(z), deg)


def sinc(x: Any) -> Any:
    """sin(pi x) / (pi x), 1 at 0."""
    return special.sinc(handle(x))


def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """NaN and infinities replaced by numbers."""
    given = handle(x)
    if given.type.dtype.kind in "c" + _HOST or any(v is not None and type(v) not in NUMBERS for v in (nan, posinf, neginf)):
        result = fallback.call(np.nan_to_num, (x, True, nan, posinf, neginf), None, "nan_to_num")
    else:
        result = TABLE["nan_to_num"](given, nan=nan, posinf=posinf, neginf=neginf)
    if copy or not isinstance(x, (np.ndarray, Handle)) or (isinstance(x, Handle) and x.type.scalar):
        return result
    # of an array of no axes NumPy returns the element, and where all are numbers it writes nothing
    shown: Any = x
    if given.type.dtype.kind in "fc":
        shown = deliver(result, x, "nan_to_num")
    return shown if shown.ndim else shown[()]


def isreal(x: Any) -> Any:
    """Where the imaginary part is zero."""
    return x.imag == 0 if type(x) in NUMBERS else TABLE["equal"](handle(x).imag, 0)


def real_if_close(a: Any, tol: float = 100) -> Any:
    """The real part of a complex array whose imaginary parts are all close to zero (observed), else the array itself."""
    x: Any = without_scalar(handle(a))
    if x.type.dtype.kind != "c":
        return x
    if tol > 1:
        tol = float(np.finfo(x.type.dtype).eps) * tol
    return x.real if bool(np.all(np.absolute(observe(x.imag, "real_if_close")) < tol)) else x


def iscomplex(x: Any) -> Any:
    """Where the imaginary part is not zero."""
    given = handle(x)
    if given.type.dtype.kind != "c":
        return TABLE["zeros"](shape=given.type.shape, dtype=np.dtype(bool), context=given.type.context)[()]
    return TABLE["not_equal"](given.imag, 0)


def isposinf(x: Any, out: Any = None) -> Any:
    """Where the value is positive infinity."""
    given = handle(x)
    return deliver(TABLE["equal"](_ordered(given, "isposinf"), float("inf")), out, "isposinf")


def isneginf(x: Any, out: Any = None) -> Any:
    """Where the value is negative infinity."""
    given = handle(x)
    return deliver(TABLE["equal"](_ordered(given, "isneginf"), float("-inf")), out, "isneginf")


def _ordered(x: Any, name: str) -> Any:
    if x.type.host:
        raise TypeError(f"[{name}] ufunc 'isinf' not supported for the input types; got {x.type.dtype}")
    if x.type.dtype.kind == "c":
        raise TypeError(f"This operation is not supported for {x.type.dtype} values because it would be ambiguous.")
    return x


# -- comparison --------------------------------------------------------------------------------------------------------------------------
def isclose(a: Any, b: Any, rtol: float = 1.0e-5, atol: float = 1.0e-8, equal_nan: bool = False) -> Any:
    """Where two arrays are equal within a tolerance."""
    x, y = handle(a), handle(b)
    if any(v.type.dtype.kind in _HOST for v in (x, y)):
        return fallback.call(np.isclose, (a, b, rtol, atol, equal_nan), None, "isclose")
    if y.type.dtype.kind not in "fc":
        # of integers abs() may overflow
        y = TABLE["astype"](y, dtype=np.dtype(np.float64))
    if x.type.dtype.kind == "b":
        x = TABLE["astype"](x, dtype=np.dtype(np.float64))
    finite = TABLE["logical_and"](TABLE["isfinite"](x), TABLE["isfinite"](y))
    near = TABLE["less_equal"](
        TABLE["absolute"](TABLE["subtract"](x, y)), TABLE["add"](TABLE["multiply"](TABLE["absolute"](y), rtol), atol)
    )
    result = TABLE["where"](finite, near, TABLE["equal"](x, y))
    if equal_nan:
        result = TABLE["logical_or"](result, TABLE["logical_and"](TABLE["isnan"](x), TABLE["isnan"](y)))
    return result if result.type.ndim else result[()]


def allclose(a: Any, b: Any, rtol: float = 1.0e-5, atol: float = 1.0e-8, equal_nan: bool = False) -> bool:
    """Whether two arrays are equal within a tolerance."""
    return bool(reductions.all(isclose(a, b, rtol, atol, equal_nan)))


def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    """Whether two arrays have the same shape and elements."""
    try:
        x, y = asarray(a1), asarray(a2)
    except (ValueError, TypeError):
        return False
    if x.type.shape != y.type.shape:
        return False
    if any(v.type.dtype.kind in _HOST for v in (x, y)):
        with fallback.looking():
            return bool(fallback.call(np.array_equal, (x, y, equal_nan), None, "array_equal"))
    same = TABLE["equal"](x, y)
    if equal_nan and x.type.dtype.kind in "fc" and y.type.dtype.kind in "fc":
        same = TABLE["logical_or"](same, TABLE["logical_and"](TABLE["isnan"](x), TABLE["isnan"](y)))
    return bool(reductions.all(same))


def array_equiv(a1: Any, a2: Any) -> bool:
    """Whether two arrays are equal after broadcasting."""
    try:
        x, y = asarray(a1), asarray(a2)
        np.broadcast_shapes(x.type.shape, y.type.shape)
    except (ValueError, TypeError):
        return False
    return bool(reductions.all(TABLE["equal"](x, y)))


# -- differences and integrals -----------------------------------------------------------------------------------------------------------
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = np._NoValue, append: Any = np._NoValue) -> Any:  # type: ignore[attr-defined]
    """The n-th discrete difference along an axis."""
    if n == 0:
        return a
    if n < 0:
        raise ValueError("order must be non-negative but got " + repr(n))
    x = handle(a)
    if x.type.ndim == 0:
        raise ValueError("diff requires input that is at least one dimensional")
    axis = normalise_axis(axis, x.type.ndim)
    ends: list[list[Any]] = []
    for value in (prepend, append):
        if value is np._NoValue:  # type: ignore[attr-defined]
            ends.append([])
            continue
        end = handle(value)
        if end.type.ndim == 0:
            shape = (*x.type.shape[:axis], 1, *x.type.shape[axis + 1 :])
            end = shaping.broadcast_to(end, shape)
        ends.append([end])
    if ends[0] or ends[1]:
        x = shaping.concatenate((*ends[0], x, *ends[1]), axis)
    return composite.diff(x, operator.index(n), axis)


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """The gradient by central differences, one-sided at the borders."""
    x = handle(f)
    axes = tuple(range(x.type.ndim)) if axis is None else shaping.normalize_axes(axis, x.type.ndim)
    steps = varargs * len(axes) if len(varargs) == 1 else varargs or (1.0,) * len(axes)
    plain = all_numbers(varargs) and len(steps) == len(axes)
    if not plain or edge_order != 1 or x.type.dtype.kind in "b" + _HOST:
        return fallback.call(np.gradient, (f, *varargs), {"axis": axis, "edge_order": edge_order}, "gradient")
    # NumPy fills arrays that are laid out as `f`
    found = [like_layout(g, x) for g in composite.gradient(x, tuple(steps), axes)]
    return found[0] if len(axes) == 1 else found


def all_numbers(values: Any) -> bool:
    """Whether all of them are Python numbers."""
    return {type(v) for v in values} <= set(NUMBERS)


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Differences between consecutive elements of the flattened array."""
    x = shaping.ravel(handle(ary))
    parts = [shaping.ravel(handle(to_begin))] if to_begin is not None else []
    parts.append(TABLE["subtract"](x[1:], x[:-1]))
    if to_end is not None:
        parts.append(shaping.ravel(handle(to_end)))
    for end in parts:
        if not np.can_cast(end.type.dtype, x.type.dtype, "same_kind"):
            raise TypeError("dtype of `to_end` must be compatible with input `ary` under the `same_kind` rule.")
    parts = [p if p.type.dtype == x.type.dtype else TABLE["astype"](p, dtype=x.type.dtype) for p in parts]
    return shaping.concatenate(parts) if len(parts) > 1 else parts[0]


def trapz(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral by the composite trapezoidal rule."""
    values = asarray(y)
    axis = normalise_axis(axis, values.type.ndim)
    width: Any = dx
    if x is not None:
        points = asarray(x)
        width = diff(points, axis=axis if points.type.ndim > 1 else -1)
        if points.type.ndim == 1:
            shape = [1] * values.type.ndim
            shape[axis] = width.type.shape[0]
            width = shaping.reshape(width, tuple(shape))
    n = values.type.shape[axis]
    later = TABLE["slice_axis"](values, axis=axis, start=min(1, n), stop=n)
    earlier = TABLE["slice_axis"](values, axis=axis, start=0, stop=max(n - 1, 0))
    # (multiplied first, as NumPy does it: integers wrap)
    return reductions.sum(width * (later + earlier) / 2.0, axis)


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """Piecewise linear interpolation."""
    return fallback.call(np.interp, (x, xp, fp), {"left": left, "right": right, "period": period}, "interp")


interp.is_fallback = True  # type: ignore[attr-defined]


# -- order statistics ----------------------------------------------------------------------------------------------------------------------
def _sorted_last(x: Any, axis: Any) -> tuple[Any, tuple[int, ...]]:
    """Sorted along one last axis that holds the reduced ones, and the reduced axes."""
    ndim = x.type.ndim
    axes = tuple(range(ndim)) if axis is None else shaping.normalize_axes(axis, ndim, name="axis")
    kept = tuple(i for i in range(ndim) if i not in axes)
    shape = tuple([x.type.shape[i] for i in kept])
    length = math.prod([x.type.shape[i] for i in axes])
    moved = TABLE["transpose"](x, axes=(*kept, *sorted(axes)))
    return TABLE["sort"](TABLE["reshape"](moved, shape=(*shape, length)), axis=len(kept), stable=False), axes


def _as_reduced(result: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    """With the reduced axes kept as ones, or as a scalar where no axis is left."""
    if keepdims:
        return TABLE["reshape"](result, shape=tuple([1 if i in axes else n for i, n in enumerate(x.type.shape)]))
    return result if result.type.ndim else result[()]


def _unordered(x: Any) -> bool:
    """Whether only NumPy can order such elements, or there are none."""
    return x.type.dtype.kind not in "biuf" or x.type.dtype == np.float16 or x.type.size == 0


def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    """The median along axes; NaN where there is one."""
    x = handle(a)
    if _unordered(x) or x.type.dtype.kind == "b":
        return fallback.call(np.median, (a, axis, out), {"keepdims": keepdims}, "median")
    ordered, axes = _sorted_last(x, axis)
    n = ordered.type.shape[-1]
    middle = reductions.mean(ordered[..., (n - 1) // 2 : n // 2 + 1], -1)
    if x.type.dtype.kind == "f":
        # NaNs sort last
        middle = TABLE["where"](TABLE["isnan"](ordered[..., n - 1]), float("nan"), middle)
    return deliver_reduced(_as_reduced(middle, x, axes, keepdims), out, "median")


def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    interpolation: Any = None,
) -> Any:
    """Quantiles along axes, interpolated linearly (other methods run in NumPy).

    Raises:
        ValueError: `q` is not in [0, 1].
    """
    return _quantile("quantile", a, q, 1.0, axis, out, method, keepdims, interpolation)


def percentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    interpolation: Any = None,
) -> Any:
    """Percentiles along axes, interpolated linearly (other methods run in NumPy).

    Raises:
        ValueError: `q` is not in [0, 100].
    """
    return _quantile("percentile", a, q, 100.0, axis, out, method, keepdims, interpolation)


# `overwrite_input=True` lets NumPy leave anything in the operand: ours keeps its value


def nanmedian(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = np._NoValue) -> Any:  # type: ignore[attr-defined]
    """The median along axes, NaN left out."""
    return fallback.call(np.nanmedian, (a, axis, out), {"keepdims": keepdims}, "nanmedian")


def nanquantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: Any = np._NoValue,  # type: ignore[attr-defined]
    *,
    interpolation: Any = None,
) -> Any:
    """Quantiles along axes, NaN left out."""
    options = {"method": method, "keepdims": keepdims, "interpolation": interpolation}
    return fallback.call(np.nanquantile, (a, q, axis, out), options, "nanquantile")


def nanpercentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: Any = np._NoValue,  # type: ignore[attr-defined]
    *,
    interpolation: Any = None,
) -> Any:
    """Percentiles along axes, NaN left out."""
    options = {"method": method, "keepdims": keepdims, "interpolation": interpolation}
    return fallback.call(np.nanpercentile, (a, q, axis, out), options, "nanpercentile")


nanmedian.is_fallback = nanquantile.is_fallback = nanpercentile.is_fallback = True  # type: ignore[attr-defined]


def _quantile(name: str, a: Any, q: Any, whole: float, axis: Any, out: Any, method: str, keepdims: bool, old: Any) -> Any:
    x = handle(a)
    if (
        isinstance(q, Handle)
        or method != "linear"
        or old is not None
        or _unordered(x)
        or x.type.dtype.itemsize < 8
        or x.type.dtype.kind == "b"
    ):
        options = {"axis": axis, "out": out, "method": method, "keepdims": keepdims, "interpolation": old}
        return fallback.call(getattr(np, name), (a, q), options, name)
    wanted = np.true_divide(q, whole)
    if wanted.dtype != np.float64:
        # NumPy interpolates in the dtype of `q`
        return fallback.call(getattr(np, name), (a, q), {"axis": axis, "out": out, "keepdims": keepdims}, name)
    if not ((wanted >= 0) & (wanted <= 1)).all():
        raise ValueError("Quantiles must be in the range [0, 1]" if whole == 1.0 else "Percentiles must be in the range [0, 100]")
    ordered, axes = _sorted_last(x, axis)
    n = ordered.type.shape[-1]
    found = [_as_reduced(_interpolated(ordered, float(w) * (n - 1), x.type.dtype.kind == "f"), x, axes, keepdims) for w in wanted.flat]
    if not wanted.ndim:
        return deliver(found[0], out, name)
    stacked = shaping.stack(found)
    return deliver(TABLE["reshape"](stacked, shape=(*wanted.shape, *found[0].type.shape)), out, name)


def _interpolated(ordered: Any, at: float, may_be_nan: bool) -> Any:
    """The value at a fractional position of the last axis, rounded as NumPy's `_lerp`."""
    n = ordered.type.shape[-1]
    below = min(int(at), n - 1)
    t = at - below
    low, high = ordered[..., below], ordered[..., min(below + 1, n - 1)]
    step = TABLE["subtract"](high, low)
    result = high - step * (1.0 - t) if t >= 0.5 else low + step * t
    return TABLE["where"](TABLE["isnan"](ordered[..., n - 1]), float("nan"), result) if may_be_nan else result


def polyval(p: Any, x: Any) -> Any:
    """A polynomial's value, by Horner's scheme; gradients flow to coefficients and points."""
    if isinstance(x, np.poly1d):
        return fallback.call(np.polyval, (p, x), None, "polyval")
    coefficients, at = asarray(p), handle(x)
    if coefficients.type.ndim == 0:
        raise TypeError("iteration over a 0-d array")
    result = like_layout(TABLE["zeros"](shape=at.type.shape, dtype=at.type.dtype, context=at.type.context), at)
    for k in range(coefficients.type.shape[0]):
        result = TABLE["add"](TABLE["multiply"](result, at), coefficients[k])
    return result
