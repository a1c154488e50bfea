"""Functions that combine elements along axes: `sum`, `max`, `mean`, `cumsum` … with NumPy's options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.core.multiarray import normalize_axis_index  # type: ignore[attr-defined]

from ..trace import recorder as _recorder
from ..trace.handle import Handle
from ..trace.op import TABLE, Op, Params
from ..trace.ops import composite
from ..trace.ops.normalise import normalise_axes, normalise_axis
from . import fallback
from .convert import as_handle
from .output import deliver
from .shaping import handle
from .ufuncs import HOST_KINDS

_NO = np._NoValue  # type: ignore[attr-defined]
_local = _recorder.local
# (op, operand type, axis, keepdims, dtype) -> params of the step, or None where only NumPy can do it; memoised: 3 -> 0.3 µs a call
_plans: dict[tuple[Any, ...], Params | None] = {}


def reduced(op: Op, x: Any, axis: Any, keepdims: Any, dtype: Any = None) -> Any:
    """Record a reduction; NotImplemented where NumPy has to do it (objects, strings)."""
    key = (op, x.type, axis, keepdims, dtype)
    try:
        params = _plans[key]
    except KeyError:
        params = _plan(op, x, axis, keepdims, dtype)
        if len(_plans) > 8192:
            _plans.clear()
        _plans[key] = params
    except TypeError:
        # a list of axes
        params = _plan(op, x, axis, keepdims, dtype)
    if params is None:
        return NotImplemented
    return _local.recorder.record(op, (x,), params)


def _plan(op: Op, x: Any, axis: Any, keepdims: Any, dtype: Any) -> Params | None:
    if x.type.dtype.kind in HOST_KINDS or (dtype is not None and np.dtype(dtype).kind in HOST_KINDS):
        return None
    return op.bind(
        _named(
            op,
            normalise_axes(tuple(axis) if isinstance(axis, list) else axis, x.type.ndim),
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


def _extremum(name: str, op: Op, combine: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def reduction(a: Any, axis: Any = None, out: Any = None, keepdims: Any = _NO, initial: Any = _NO, where: Any = _NO) -> Any:
        x = a if isinstance(a, Handle) else handle(a)
        if where is not _NO and where is not True:
            if initial is _NO:
                raise ValueError(
                    f"reduction operation '{combine}' does not have an identity, so to use a where mask one has to specify 'initial'"
                )
            x = _chosen(where, x, initial)
        elif initial is not _NO and x.type.size == 0:
            return fallback.call(function, (a, axis, out), _options(keepdims=keepdims, initial=initial), name)
        result = reduced(op, x, axis, keepdims)
        if result is NotImplemented:
            return fallback.call(function, (a, axis, out), _options(keepdims=keepdims, initial=initial, where=where), name)
        if initial is not _NO:
            result = TABLE[combine](result, initial if isinstance(initial, (int, float)) else as_handle(initial))
        return result if out is None else deliver(result, out, name)

    return _named_as(reduction, function, name)


def _chosen(where: Any, x: Any, neutral: Any) -> Any:
    """`x` where the mask holds, the neutral element elsewhere."""
    other = neutral if type(neutral) in (bool, int, float) else as_handle(neutral)
    return TABLE["where"](as_handle(where), x, other)


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
            x = _chosen(where, x, neutral)
        result = reduced(op, x, axis, keepdims, dtype)
        if result is NotImplemented:
            options = _options(dtype=dtype, out=out, keepdims=keepdims, initial=initial, where=where)
            return fallback.call(function, (a, axis), options, name)
        if initial is not _NO:
            result = TABLE[combine](result, initial if type(initial) in (bool, int, float, complex) else as_handle(initial))
        return result if out is None else deliver(result, out, name)

    return _named_as(reduction, function, name)


def _logical(name: str, op: Op, neutral: bool) -> Callable[..., Any]:
    function = getattr(np, name)

    def reduction(a: Any, axis: Any = None, out: Any = None, keepdims: Any = _NO, *, where: Any = _NO) -> Any:
        x = a if isinstance(a, Handle) else handle(a)
        if where is not _NO and where is not True:
            x = TABLE["where"](as_handle(where), TABLE["astype"](x, dtype=np.dtype(bool)), neutral)
        result = reduced(op, x, axis, keepdims)
        if result is NotImplemented:
            return fallback.call(function, (a, axis, out), _options(keepdims=keepdims, where=where), name)
        return result if out is None else deliver(result, out, name)

    return _named_as(reduction, function, name)


def _position(name: str, op: Op) -> Callable[..., Any]:
    function = getattr(np, name)

    def reduction(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = _NO) -> Any:
        x = a if isinstance(a, Handle) else handle(a)
        if x.type.dtype.kind in HOST_KINDS:
            return fallback.call(function, (a, axis, out), _options(keepdims=keepdims), name)
        if axis is not None and x.type.ndim:
            axis = normalise_axis(axis, x.type.ndim)
        result = TABLE[name](x, **_named(op, _single(op, axis, x.type.ndim), keepdims is not _NO and bool(keepdims), None))
        return result if out is None else deliver(result, out, name)

    return _named_as(reduction, function, name)


def _single(op: Op, axis: Any, ndim: int) -> Any:
    return None if axis is None or ndim == 0 else axis


def _cumulative(name: str, op: Op) -> Callable[..., Any]:
    function = getattr(np, name)

    def reduction(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        x = a if isinstance(a, Handle) else handle(a)
        if x.type.dtype.kind in HOST_KINDS:
            return fallback.call(function, (a, axis, dtype, out), None, name)
        if axis is not None:
            axis = normalise_axis(axis, x.type.ndim or 1)
        if (x.type.ndim != 1 and axis is None) or x.type.ndim == 0:
            x, axis = TABLE["reshape"](x, shape=(x.type.size,)), 0
        result = TABLE[name](x, axis=0 if axis is None else axis, dtype=None if dtype is None else np.dtype(dtype))
        return result if out is None else deliver(result, out, name)

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
cumsum = _cumulative("cumsum", TABLE["cumsum"])
cumprod = _cumulative("cumprod", TABLE["cumprod"])
# NumPy's other names
amax, amin, product, cumproduct, sometrue, alltrue = max, min, prod, cumprod, any, all


def mean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = _NO, *, where: Any = _NO) -> Any:
    """The arithmetic mean along axes."""
    x = a if isinstance(a, Handle) else handle(a)
    if where is not _NO and where is not True:
        mask = TABLE["broadcast_to"](as_handle(where), shape=x.type.shape)
        total = reduced(TABLE["sum"], _chosen(mask, x, 0), axis, keepdims, dtype)
        count = reduced(TABLE["sum"], mask, axis, keepdims, None)
        if total is NotImplemented:
            return fallback.call(np.mean, (a, axis, dtype, out), _options(keepdims=keepdims, where=where), "mean")
        return deliver(TABLE["divide"](total, TABLE["astype"](count, dtype=_inexact(total.type.dtype))), out, "mean")
    if axis is not None and x.type.ndim == 0:
        _refuse_axes(axis)
    result = reduced(TABLE["mean"], x, axis, keepdims, dtype)
    if result is NotImplemented:
        return fallback.call(np.mean, (a, axis, dtype, out), _options(keepdims=keepdims), "mean")
    return result if out is None else deliver(result, out, "mean")


def _inexact(dtype: np.dtype) -> np.dtype:
    return dtype if dtype.kind in "fc" else np.dtype(np.float64)


def _composed(name: str) -> Callable[..., Any]:
    """A function of (a, axis, out, keepdims) that is written with other ops."""
    function, body = getattr(np, name), getattr(composite, name)

    def reduction(a: Any, axis: Any = None, out: Any = None, keepdims: Any = _NO, initial: Any = _NO, where: Any = _NO) -> Any:
        x = a if isinstance(a, Handle) else handle(a)
        if initial is not _NO or where is not _NO or x.type.dtype.kind in HOST_KINDS + "Mm":
            return fallback.call(function, (a, axis, out), _options(keepdims=keepdims, initial=initial, where=where), name)
        return deliver(body(x, axis=_axes(axis, x), keepdims=keepdims is not _NO and bool(keepdims)), out, name)

    return _named_as(reduction, function, name)


def _composed_sum(name: str) -> Callable[..., Any]:
    """A function of (a, axis, dtype, out, keepdims) that is written with other ops."""
    function, body = getattr(np, name), getattr(composite, name)

    def reduction(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = _NO, initial: Any = _NO, where: Any = _NO
    ) -> Any:
        x = a if isinstance(a, Handle) else handle(a)
        if initial is not _NO or where is not _NO or x.type.dtype.kind in HOST_KINDS + "Mm":
            options = _options(dtype=dtype, out=out, keepdims=keepdims, initial=initial, where=where)
            return fallback.call(function, (a, axis), options, name)
        wanted = None if dtype is None else np.dtype(dtype)
        return deliver(body(x, axis=_axes(axis, x), dtype=wanted, keepdims=keepdims is not _NO and bool(keepdims)), out, name)

    return _named_as(reduction, function, name)


def _spread(name: str) -> Callable[..., Any]:
    """Variance and its relatives: a degree of freedom too."""
    function, body = getattr(np, name), getattr(composite, name)

    def reduction(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = _NO, *, where: Any = _NO
    ) -> Any:
        x = a if isinstance(a, Handle) else handle(a)
        if (where is not _NO and where is not True) or x.type.dtype.kind in HOST_KINDS + "Mm" or x.type.dtype == np.float16:
            options = _options(dtype=dtype, out=out, ddof=ddof, keepdims=keepdims, where=where)
            return fallback.call(function, (a, axis), options, name)
        wanted = None if dtype is None else np.dtype(dtype)
        if axis is not None and x.type.ndim == 0:
            _refuse_axes(axis)
        made = body(x, axis=_axes(axis, x), dtype=wanted, ddof=ddof, keepdims=keepdims is not _NO and bool(keepdims))
        return deliver(made, out, name)

    return _named_as(reduction, function, name)


def _refuse_axes(axis: Any) -> None:
    """Ufuncs let axis 0 of a single number pass, what counts elements does not."""
    for one in axis if isinstance(axis, (tuple, list)) else (axis,):
        normalize_axis_index(one, 0)


def _axes(axis: Any, x: Any) -> Any:
    return normalise_axes(tuple(axis) if isinstance(axis, list) else axis, x.type.ndim)


def _composed_running(name: str) -> Callable[..., Any]:
    function, body = getattr(np, name), getattr(composite, name)

    def reduction(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        x = a if isinstance(a, Handle) else handle(a)
        if x.type.dtype.kind in HOST_KINDS + "Mm":
            return fallback.call(function, (a, axis, dtype, out), None, name)
        if axis is None:
            x, axis = TABLE["reshape"](x, shape=(x.type.size,)), 0
        wanted = None if dtype is None else np.dtype(dtype)
        return deliver(body(x, axis=normalise_axis(axis, x.type.ndim), dtype=wanted), out, name)

    return _named_as(reduction, function, name)


nanmax, nanmin = _composed("nanmax"), _composed("nanmin")
nansum, nanprod, nanmean = _composed_sum("nansum"), _composed_sum("nanprod"), _composed_sum("nanmean")
var, std, nanvar, nanstd = _spread("var"), _spread("std"), _spread("nanvar"), _spread("nanstd")
nancumsum, nancumprod = _composed_running("nancumsum"), _composed_running("nancumprod")


def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = _NO) -> Any:
    """The range of values along axes."""
    x = handle(a)
    return deliver(composite.ptp(x, _axes(axis, x), keepdims is not _NO and bool(keepdims)), out, "ptp")


def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """The number of elements that are not zero (a lazy scalar, where NumPy gives a Python int)."""
    x = handle(a)
    if x.type.dtype.kind in HOST_KINDS + "Mm":
        return fallback.call(np.count_nonzero, (a, axis), {"keepdims": keepdims}, "count_nonzero")
    return composite.count_nonzero(x, _axes(axis, x), keepdims)


def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = _NO) -> Any:
    """The weighted average along axes.

    Raises:
        ZeroDivisionError: weights sum to zero (an observer, as in NumPy).
    """
    x = handle(a)
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
