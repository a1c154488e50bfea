"""Functions that combine elements along axes: `sum`, `max`, `mean`, `cumsum` … with NumPy's options."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.core.multiarray import normalize_axis_index  # type: ignore[attr-defined]

from ..trace.handle import Handle
from ..trace.op import TABLE, Op, Params
from ..trace.ops import composite
from ..trace.ops.normalise import normalise_axes, normalise_axis
from ..trace.replay import record
from ..trace.types import HOST_KINDS, broadcasts_to
from . import fallback
from .convert import as_handle
from .output import deliver_reduced, deliver_same, out_array
from .shaping import handle

_NO = np._NoValue  # type: ignore[attr-defined]
# (op, operand type, axis, keepdims, dtype) -> params of the step, or None where only NumPy can do it; memoised: 3 -> 0.3 µs a call
_plans: dict[tuple[Any, ...], Params | None] = {}


def reduced(op: Op, x: Any, axis: Any, keepdims: Any, dtype: Any = None) -> Any:
    """Record a reduction; NotImplemented where NumPy has to do it (objects, strings)."""
    if axis is not None and type(axis) is not int:
        # 1.0 would find the plan of 1
        axis = tuple([operator.index(a) for a in axis]) if type(axis) is tuple else operator.index(axis)
    key = (op, x.type, axis, keepdims, dtype)
    try:
        params = _plans[key]
    except KeyError:
        params = _plan(op, x, axis, keepdims, dtype)
        if len(_plans) > 8192:
            _plans.clear()
        _plans[key] = params
    if params is None:
        return NotImplemented
    return record(op, (x,), params)


def _plan(op: Op, x: Any, axis: Any, keepdims: Any, dtype: Any) -> Params | None:
    if x.type.host or (dtype is not None and np.dtype(dtype).kind in HOST_KINDS):
        return None
    return op.bind(
        _named(
            op,
            normalise_axes(axis, x.type.ndim),
            bool(keepdims) if keepdims is not _NO else False,
            dtype,
        )
    )


def _named(op: Op, axis: Any, keepdims: bool, dtype: Any) -> dict[str, Any]:
    given = {"axis": axis}
    if "keepdims" in op.params:
        given["keepdims"] = keepdims
    if "dtype" in op.params:
        given["dtype"] = None if dtype is None else np.dtype(dtype)
    return given


def _options(**given: Any) -> dict[str, Any]:
    return {k: v for k, v in given.items() if v is not _NO and v is not None}


def _with_initial(result: Any, initial: Any, combine: str) -> Any:
    """The reduction's result, begun with `initial`, which NumPy casts to the dtype of the result."""
    first = as_handle(initial)
    dtype = result.type.dtype
    if first.type.ndim and first.type.size == 1:
        first = TABLE["reshape"](first, shape=())
    elif first.type.ndim:
        raise (
            TypeError("only length-1 arrays can be converted to Python scalars")
            if dtype.kind == "c"
            else ValueError("setting an array element with a sequence.")
        )
    return TABLE[combine](result, first if first.type.dtype == dtype else TABLE["astype"](first, dtype=dtype))


def _loop_dtype(combine: str, x: Any, out: Any) -> np.dtype:
    """The dtype in which NumPy reduces where `out=` alone says something about it."""
    ufunc: Any = getattr(np, combine)
    return ufunc.resolve_dtypes((out_array(out).dtype, x.type.dtype, None))[0]


def _mask(where: Any, x: Any, axis: Any, name: str) -> Any:
    """The mask of `where=` for the elements of `x`. (NumPy looks at the axes first.)

    Raises:
        TypeError: it is not one of booleans.
        ValueError: it does not broadcast to the shape of `x`.
    """
    normalise_axes(axis, x.type.ndim)
    mask = as_handle(where)
    if mask.type.dtype.kind != "b":
        raise TypeError(f"Cannot cast array data from {mask.type.dtype!r} to dtype('bool') according to the rule 'safe'")
    if not broadcasts_to(mask.type.shape, x.type.shape):
        raise ValueError(
            f"[{name}] where= has the shape {mask.type.shape}, which does not broadcast to {x.type.shape}; broadcast the array beforehand"
        )
    return mask


def _extremum(name: str, op: Op, combine: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def reduction(a: Any, axis: Any = None, out: Any = None, keepdims: Any = _NO, initial: Any = _NO, where: Any = _NO) -> Any:
        x = a if isinstance(a, Handle) else handle(a)
        if out is not None and x.type.dtype.kind in "biufc":
            if not np.can_cast(x.type.dtype, out_array(out).dtype):
                # NumPy compares with what the output made of the first element: -1 in an unsigned one is the largest of all
                return fallback.call(function, (a, axis, out), _options(keepdims=keepdims, initial=initial, where=where), name)
            loop = _loop_dtype(combine, x, out)
            x = x if x.type.dtype == loop else TABLE["astype"](x, dtype=loop)
        if initial is not _NO and x.type.size == 0:
            return fallback.call(function, (a, axis, out), _options(keepdims=keepdims, initial=initial, where=where), name)
        if where is not _NO and where is not True:
            mask = _mask(where, x, axis, name)
            if initial is _NO:
                raise ValueError(
                    f"reduction operation '{combine}' does not have an identity, so to use a where mask one has to specify 'initial'"
                )
            x = _chosen(mask, x, initial)
        result = reduced(op, x, axis, keepdims)
        if result is NotImplemented:
            return fallback.call(function, (a, axis, out), _options(keepdims=keepdims, initial=initial, where=where), name)
        if initial is not _NO:
            result = _with_initial(result, initial, combine)
        return result if out is None else deliver_reduced(result, out, name)

    return _named_as(reduction, function, name)


def _chosen(mask: Any, x: Any, neutral: Any) -> Any:
    """`x` where the mask holds, the neutral element (in the dtype of `x`) elsewhere."""
    return TABLE["where"](mask, x, TABLE["astype"](as_handle(neutral), dtype=x.type.dtype))


def _named_as(made: Any, function: Any, name: str) -> Any:
    made.__name__ = made.__qualname__ = name
    made.__doc__ = function.__doc__
    return made


def _summation(name: str, op: Op, combine: str, neutral: int) -> Callable[..., Any]:
    function = getattr(np, name)

    def reduction(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = _NO, initial: Any = _NO, where: Any = _NO
    ) -> Any:
        x = a if isinstance(a, Handle) else handle(a)
        if where is not _NO and where is not True:
            x = _chosen(_mask(where, x, axis, name), x, neutral) if x.type.dtype.kind in "biufc" else x
        if out is not None and dtype is None and x.type.dtype.kind in "biufc":
            dtype = _loop_dtype(combine, x, out)
        result = reduced(op, x, axis, keepdims, dtype)
        if result is NotImplemented:
            options = _options(dtype=dtype, out=out, keepdims=keepdims, initial=initial, where=where)
            return fallback.call(function, (a, axis), options, name)
        if initial is not _NO:
            result = _with_initial(result, initial, combine)
        return result if out is None else deliver_reduced(result, out, name)

    return _named_as(reduction, function, name)


def _logical(name: str, op: Op, neutral: bool) -> Callable[..., Any]:
    function = getattr(np, name)

    def reduction(a: Any, axis: Any = None, out: Any = None, keepdims: Any = _NO, *, where: Any = _NO) -> Any:
        x = a if isinstance(a, Handle) else handle(a)
        if where is not _NO and where is not True:
            x = TABLE["where"](_mask(where, x, axis, name), TABLE["astype"](x, dtype=np.dtype(bool)), neutral)
        result = reduced(op, x, axis, keepdims)
        if result is NotImplemented:
            return fallback.call(function, (a, axis, out), _options(keepdims=keepdims, where=where), name)
        return result if out is None else deliver_reduced(result, out, name)

    return _named_as(reduction, function, name)


def _position(name: str, op: Op) -> Callable[..., Any]:
    function = getattr(np, name)

    def reduction(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = _NO) -> Any:
        x = a if isinstance(a, Handle) else handle(a)
        if x.type.host:
            return fallback.call(function, (a, axis, out), _options(keepdims=keepdims), name)
        if axis is not None:
            axis = normalise_axis(axis, x.type.ndim or 1)
        result = TABLE[name](x, **_named(op, _single(op, axis, x.type.ndim), keepdims is not _NO and bool(keepdims), None))
        return result if out is None else deliver_same(result, out, name)

    return _named_as(reduction, function, name)


def _single(op: Op, axis: Any, ndim: int) -> Any:
    return None if axis is None or ndim == 0 else axis


def _cumulative(name: str, combine: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def reduction(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        x = a if isinstance(a, Handle) else handle(a)
        if x.type.host:
            return fallback.call(function, (a, axis, dtype, out), None, name)
        if axis is not None:
            axis = normalise_axis(axis, x.type.ndim or 1)
        if (x.type.ndim != 1 and axis is None) or x.type.ndim == 0:
            x, axis = TABLE["reshape"](x, shape=(x.type.size,)), 0
        if out is not None and dtype is None and x.type.dtype.kind in "biufc":
            dtype = _loop_dtype(combine, x, out)
        result = TABLE[name](x, axis=0 if axis is None else axis, dtype=None if dtype is None else np.dtype(dtype))
        return result if out is None else deliver_reduced(result, out, name)

    return _named_as(reduction, function, name)


# -- the functions -----------------------------------------------------------------------------------------------------------------------
sum = _summation("sum", TABLE["sum"], "add", 0)
prod = _summation("prod", TABLE["prod"], "multiply", 1)
max = _extremum("max", TABLE["max"], "maximum")
min = _extremum("min", TABLE["min"], "minimum")
any = _logical("any", TABLE["any"], False)
all = _logical("all", TABLE["all"], True)
argmax = _position("argmax", TABLE["argmax"])
argmin = _position("argmin", TABLE["argmin"])
cumsum = _cumulative("cumsum", "add")
cumprod = _cumulative("cumprod", "multiply")
# NumPy's other names
amax, amin, product, cumproduct, sometrue, alltrue = max, min, prod, cumprod, any, all


def mean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = _NO, *, where: Any = _NO) -> Any:
    """The arithmetic mean along axes."""
    x = a if isinstance(a, Handle) else handle(a)
    if where is not _NO and where is not True:
        mask = TABLE["broadcast_to"](_mask(where, x, axis, "mean"), shape=x.type.shape)
        total = reduced(TABLE["sum"], _chosen(mask, x, 0), axis, keepdims, dtype)
        count = reduced(TABLE["sum"], mask, axis, keepdims, None)
        if total is NotImplemented:
            return fallback.call(np.mean, (a, axis, dtype, out), _options(keepdims=keepdims, where=where), "mean")
        quotient = TABLE["divide"](total, TABLE["astype"](count, dtype=_inexact(total.type.dtype)))
        if quotient.type.strides != total.type.strides and quotient.type.dtype == total.type.dtype:
            # NumPy divides in the memory of the sum
            quotient = TABLE["layout"](quotient, strides=total.type.strides)
        return deliver_reduced(quotient, out, "mean")
    if axis is not None and x.type.ndim == 0:
        _refuse_axes(axis)
    result = NotImplemented if x.type.dtype.kind in "Mm" else reduced(TABLE["mean"], x, axis, keepdims, dtype)
    if result is NotImplemented:
        return fallback.call(np.mean, (a, axis, dtype, out), _options(keepdims=keepdims), "mean")
    return result if out is None else deliver_reduced(result, out, "mean")


def _inexact(dtype: np.dtype) -> np.dtype:
    return dtype if dtype.kind in "fc" else np.dtype(np.float64)


def _composed(name: str) -> Callable[..., Any]:
    """A function of (a, axis, out, keepdims) that is written with other ops."""
    function, body = getattr(np, name), getattr(composite, name)

    def reduction(a: Any, axis: Any = None, out: Any = None, keepdims: Any = _NO, initial: Any = _NO, where: Any = _NO) -> Any:
        x = a if isinstance(a, Handle) else handle(a)
        if initial is not _NO or where is not _NO or _in_numpy(x, out):
            return fallback.call(function, (a, axis, out), _options(keepdims=keepdims, initial=initial, where=where), name)
        return deliver_reduced(body(x, axis=_axes(axis, x), keepdims=keepdims is not _NO and bool(keepdims)), out, name)

    return _named_as(reduction, function, name)


def _composed_sum(name: str) -> Callable[..., Any]:
    """A function of (a, axis, dtype, out, keepdims) that is written with other ops."""
    function, body = getattr(np, name), getattr(composite, name)

    def reduction(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = _NO, initial: Any = _NO, where: Any = _NO
    ) -> Any:
        x = a if isinstance(a, Handle) else handle(a)
        if initial is not _NO or where is not _NO or _in_numpy(x, out):
            options = _options(dtype=dtype, out=out, keepdims=keepdims, initial=initial, where=where)
            return fallback.call(function, (a, axis), options, name)
        wanted = None if dtype is None else np.dtype(dtype)
        return deliver_reduced(body(x, axis=_axes(axis, x), dtype=wanted, keepdims=keepdims is not _NO and bool(keepdims)), out, name)

    return _named_as(reduction, function, name)


def _in_numpy(x: Any, out: Any) -> bool:
    """Whether NumPy has to do it: dtypes without ops, and results whose dtype decides in which one NumPy computes."""
    return x.type.dtype.kind in HOST_KINDS + "Mm" or (out is not None and out_array(out).dtype != x.type.dtype)


def nanmean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = _NO, *, where: Any = _NO) -> Any:
    """The arithmetic mean along axes, NaN left out."""
    x = a if isinstance(a, Handle) else handle(a)
    if where is not _NO or _in_numpy(x, out) or (dtype is not None and (np.dtype(dtype) != x.type.dtype or x.type.dtype.kind not in "fc")):
        options = _options(dtype=dtype, out=out, keepdims=keepdims, where=where)
        return fallback.call(np.nanmean, (a, axis), options, "nanmean")
    return deliver_reduced(composite.nanmean(x, _axes(axis, x), None, keepdims is not _NO and bool(keepdims)), out, "nanmean")


def _spread(name: str) -> Callable[..., Any]:
    """Variance and its relatives: a degree of freedom too."""
    function, body = getattr(np, name), getattr(composite, name)
    skips = name.startswith("nan")

    def reduction(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = _NO, *, where: Any = _NO
    ) -> Any:
        x = a if isinstance(a, Handle) else handle(a)
        wanted = None if dtype is None else np.dtype(dtype)
        if wanted is None:
            other = False
        elif skips:
            other = wanted != x.type.dtype or wanted.kind not in "fc"
        else:
            other = wanted.kind == "c" != x.type.dtype.kind
        # (of integers the result is not of their dtype: NumPy knows what fits into `out`)
        other = other or (out is not None and x.type.dtype.kind not in "fc")
        if (where is not _NO and where is not True) or other or _in_numpy(x, out) or x.type.dtype == np.float16:
            options = _options(dtype=dtype, out=out, ddof=ddof, keepdims=keepdims, where=where)
            return fallback.call(function, (a, axis), options, name)
        if axis is not None and x.type.ndim == 0 and not skips:
            _refuse_axes(axis)
        made = body(x, axis=_axes(axis, x), dtype=wanted, ddof=ddof, keepdims=keepdims is not _NO and bool(keepdims))
        return deliver_reduced(made, out, name)

    return _named_as(reduction, function, name)


def _refuse_axes(axis: Any) -> None:
    """Ufuncs let axis 0 of a single number pass, what counts elements does not."""
    for one in axis if isinstance(axis, tuple) else (axis,):
        normalize_axis_index(one, 0)


def _axes(axis: Any, x: Any) -> Any:
    return normalise_axes(axis, x.type.ndim)


def _composed_running(name: str) -> Callable[..., Any]:
    function, body = getattr(np, name), getattr(composite, name)

    def reduction(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        x = a if isinstance(a, Handle) else handle(a)
        if _in_numpy(x, out):
            return fallback.call(function, (a, axis, dtype, out), None, name)
        if axis is None or (x.type.ndim == 0 and normalise_axis(axis, 1) == 0):
            x, axis = TABLE["reshape"](x, shape=(x.type.size,)), 0
        wanted = None if dtype is None else np.dtype(dtype)
        return deliver_reduced(body(x, axis=normalise_axis(axis, x.type.ndim), dtype=wanted), out, name)

    return _named_as(reduction, function, name)


nanmax, nanmin = _composed("nanmax"), _composed("nanmin")
nansum, nanprod = _composed_sum("nansum"), _composed_sum("nanprod")
var, std, nanvar, nanstd = _spread("var"), _spread("std"), _spread("nanvar"), _spread("nanstd")
nancumsum, nancumprod = _composed_running("nancumsum"), _composed_running("nancumprod")


def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = _NO) -> Any:
    """The range of values along axes."""
    x = handle(a)
    if _in_numpy(x, out):
        return fallback.call(np.ptp, (a, axis, out), _options(keepdims=keepdims), "ptp")
    return deliver_reduced(composite.ptp(x, _axes(axis, x), keepdims is not _NO and bool(keepdims)), out, "ptp")


def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """The number of elements that are not zero: of all of them a Python int, as in NumPy (so this observes), along axes an array."""
    x = handle(a)
    if x.type.dtype.kind in HOST_KINDS + "Mm":
        return fallback.call(np.count_nonzero, (a, axis), {"keepdims": keepdims}, "count_nonzero")
    found = composite.count_nonzero(x, _axes(axis, x), keepdims)
    return int(found) if axis is None and not keepdims else found


def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = _NO) -> Any:
    """The weighted average along axes.

    Raises:
        ZeroDivisionError: weights sum to zero (an observer, as in NumPy).
    """
    x = handle(a)
    if x.type.host or (isinstance(weights, Handle) and weights.type.host):
        return fallback.call(np.average, (a, axis, weights, returned), {} if keepdims is _NO else {"keepdims": keepdims}, "average")
    axes = _axes(axis, x)
    keep = keepdims is not _NO and bool(keepdims)
    found, scale = composite.average(x, axes, None if weights is None else handle(weights), keep)
    if weights is not None and bool(any(TABLE["equal"](scale, 0.0))):
        raise ZeroDivisionError("Weights sum to zero, can't be normalized")
    if not returned:
        return found
    if scale.type.shape != found.type.shape:
        scale = TABLE["broadcast_to"](scale, shape=found.type.shape)
    return found, scale
