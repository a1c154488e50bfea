"""Functions that make arrays: from data (copied), from nothing (`zeros` …), from a pattern (`arange`, `eye` …)."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..errors import ContextError
from ..trace.context import current_context
from ..trace.handle import Alias, Handle, is_writeable, materialised
from ..trace.op import TABLE
from ..trace.recorder import current, observe
from ..trace.types import array_type, contiguous_strides, is_f_contiguous
from . import fallback
from .array import duplicate
from .convert import array_of, check_fits, contains_handle, copied, default_dtype, host, plain
from .facts import creation_dtype
from .output import result_layout
from .views import make_view

_FLOAT64 = np.dtype(np.float64)


# -- from data ---------------------------------------------------------------------------------------------------------------------------
def array(
    object: Any, dtype: Any = None, *, copy: bool = True, order: str = "K", subok: bool = False, ndmin: int = 0, like: Any = None
) -> Any:
    """An array of the data, copied (`copy=False`: an array of ours that fits comes back as it is).

    Args:
        object: an array of ours or NumPy's, nested sequences of them, numbers. Gradients flow through nested sequences.
        dtype: the dtype, or None for the one that fits (Python floats: the default dtype).
        order: memory order, "K", "A", "C" or "F".
        ndmin: at least so many dimensions; ones are prepended.
    """
    if order not in ("K", "A", "C", "F", None):
        raise ValueError(f"order must be one of 'C', 'F', 'A', or 'K' (got {order!r})")
    wanted = None if dtype is None else np.dtype(dtype)
    if hasattr(type(object), "__minpy_array__"):
        object = object.__minpy_array__()
    if isinstance(object, Handle):
        made = _array_of_handle(object, wanted, copy)
        if order == "A" and copy:
            order = "F" if object.type.strides is not None and is_f_contiguous(object.type) else "C"
    elif isinstance(object, (list, tuple)) and contains_handle(object):
        made = _nested(object, wanted)
    else:
        made = _array_of_data(object, dtype, order)
    if made.type.ndim < ndmin:
        shape = (1,) * (ndmin - made.type.ndim) + made.type.shape
        made = make_view(made, TABLE["reshape"], (), (shape,))
    return made if order in ("K", "A", None) else result_layout(made, order)


def _array_of_data(data: Any, dtype: Any, order: str) -> Handle:
    if isinstance(data, np.ndarray) and dtype is None and type(data) is np.ndarray:
        return array_of(data)
    if dtype is None and default_dtype() != _FLOAT64:
        return array_of(data)
    return copied(data, lambda: np.array(plain(data), dtype=dtype, order=order))  # type: ignore[call-overload]


def _array_of_handle(x: Handle, dtype: np.dtype | None, copy: bool) -> Handle:
    if dtype is not None and dtype != x.type.dtype:
        x = TABLE["astype"](x, dtype=dtype)
        copy = False
    if x.type.scalar:
        return without_scalar(x)
    return duplicate(x) if copy else x


def without_scalar(x: Handle) -> Handle:
    """A scalar as a 0-d array (other arrays as they are)."""
    if not x.type.scalar:
        return x
    if x.memory is not None and not current().follows(x):
        return materialised(x.memory, array_type((), x.type.dtype, context=x.type.context))
    return TABLE["reshape"](x, shape=())


def _nested(data: Any, dtype: np.dtype | None) -> Handle:
    """Nested sequences with arrays of ours in them: stacked, so that gradients flow. Irregular ones are observed and left to NumPy."""
    try:
        made = _stacked(data, dtype)
    except ContextError:
        raise
    except (ValueError, TypeError):
        # among them what does not fit the dtype: NumPy says it again
        with fallback.looking():
            return fallback.call(np.array, (data,), {} if dtype is None else {"dtype": dtype}, "array")
    if dtype is not None and made.type.dtype != dtype:
        made = TABLE["astype"](made, dtype=dtype)
    return result_layout(made, "C")


def _stacked(data: Any, dtype: np.dtype | None = None) -> Handle:
    if isinstance(data, Handle):
        if dtype is not None:
            check_fits(data, dtype)
        return data
    if isinstance(data, (list, tuple)):
        if not data:
            return host(np.array([], default_dtype()))
        if not contains_handle(data):
            return array_of(data, dtype)
        parts = [_stacked(item, dtype) for item in data]
        if any(p.type.shape != parts[0].type.shape for p in parts):
            raise ValueError("setting an array element with a sequence. The requested array has an inhomogeneous shape")
        return TABLE["stack"](*parts, axis=0)
    return array_of(data, dtype)


def asarray(a: Any, dtype: Any = None, order: Any = None, *, like: Any = None) -> Any:
    """`a` itself where it is an array of ours that fits, else an array of it."""
    if isinstance(a, Handle) and not a.type.scalar and (dtype is None or a.type.dtype == dtype) and order in (None, "K", "A"):
        return a
    return array(a, dtype, copy=False, order=order or "K")


def asanyarray(a: Any, dtype: Any = None, order: Any = None, *, like: Any = None) -> Any:
    """Same as `asarray`."""
    return asarray(a, dtype, order)


def ascontiguousarray(a: Any, dtype: Any = None, *, like: Any = None) -> Any:
    """An array of at least one dimension in C order."""
    return array(a, dtype, copy=False, order="C", ndmin=1)


def asfortranarray(a: Any, dtype: Any = None, *, like: Any = None) -> Any:
    """An array of at least one dimension in Fortran order."""
    return array(a, dtype, copy=False, order="F", ndmin=1)


def asfarray(a: Any, dtype: Any = None) -> Any:
    """An array of a floating dtype."""
    wanted = creation_dtype(dtype)
    return asarray(a, dtype=wanted if wanted.kind in "fc" else _FLOAT64)


def asarray_chkfinite(a: Any, dtype: Any = None, order: Any = None) -> Any:
    """An array, after a look that there is no NaN or infinity in it.

    Raises:
        ValueError: there is.
    """
    made = asarray(a, dtype, order)
    if made.type.dtype.kind in "fc" and not bool(np.isfinite(observe(made, "asarray_chkfinite")).all()):
        raise ValueError("array must not contain infs or NaNs")
    return made


_REQUIREMENTS = {name: name[0] for name in ("C", "F", "A", "W", "O", "E", "CONTIGUOUS", "FORTRAN", "ALIGNED", "WRITEABLE", "OWNDATA")}
_REQUIREMENTS |= {"C_CONTIGUOUS": "C", "F_CONTIGUOUS": "F", "ENSUREARRAY": "E"}


def require(a: Any, dtype: Any = None, requirements: Any = None, *, like: Any = None) -> Any:
    """An array that satisfies requirements: "C", "F" (order), "O" (no view), "W" (writeable); ours are always aligned."""
    wanted = {_REQUIREMENTS[str(r).upper()] for r in ([requirements] if isinstance(requirements, str) else requirements or ())}
    if {"C", "F"} <= wanted:
        raise ValueError('Cannot specify both "C" and "F" order')
    made = array(a, dtype, copy=False, order="F" if "F" in wanted else "C" if "C" in wanted else "K")
    return array(made, order="A") if ("O" in wanted and made.base is not None) or ("W" in wanted and not is_writeable(made)) else made


def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    """A copy of the data. Nothing is run and nothing moved: the copy is another name of the same value until one of them is written to."""
    return array(a, order=order)


def frombuffer(buffer: Any, dtype: Any = float, count: int = -1, offset: int = 0, *, like: Any = None) -> Any:
    """A 1-d array of a buffer's bytes (copied; read-only where the buffer is)."""
    theirs = np.frombuffer(buffer, dtype, count, offset)
    return _allowed(host(theirs.copy()), theirs.flags.writeable)


def _allowed(made: Handle, writeable: bool) -> Handle:
    if not writeable:
        made.alias = Alias(None, (), 0, writeable=False)
    return made


def from_dlpack(x: Any, /) -> Any:
    """A read-only array from an object with `__dlpack__` (a view of an array of ours, a copy of any other)."""
    if isinstance(x, Handle):
        if x.type.dtype.kind not in "biufc":
            raise BufferError(f"[from_dlpack] DLPack knows booleans, integers, floats and complex numbers; got {x.type.dtype}")
        return make_view(x, TABLE["reshape"], (), (x.type.shape,), writeable=False)
    return _allowed(host(np.from_dlpack(x).copy()), writeable=False)


# -- from nothing ------------------------------------------------------------------------------------------------------------------------
def _shape(shape: Any) -> tuple[int, ...]:
    if type(shape) is int:
        wanted: tuple[int, ...] = (shape,)
    elif isinstance(shape, (tuple, list)):
        wanted = tuple([operator.index(n) for n in shape])
    elif isinstance(shape, Handle) and shape.type.ndim:
        wanted = tuple([int(n) for n in observe(shape, "shape")])
    elif isinstance(shape, np.ndarray) and shape.ndim:
        wanted = tuple([int(n) for n in shape])
    elif isinstance(shape, (bool, np.bool_)):
        raise TypeError(f"expected a sequence of integers or a single integer, got '{shape}'")
    else:
        wanted = (operator.index(shape),)
    for n in wanted:
        if n < 0:
            raise ValueError("negative dimensions are not allowed")
    return wanted


def _ordered(made: Handle, order: str) -> Handle:
    if order not in ("C", "F"):
        raise ValueError(f"order must be 'C' or 'F' (got {order!r})")
    return made if order == "C" else result_layout(made, order)


def zeros(shape: Any, dtype: Any = None, order: str = "C", *, like: Any = None) -> Any:
    """An array of zeros."""
    return _filled(0, _shape(shape), creation_dtype(dtype), order)


def ones(shape: Any, dtype: Any = None, order: str = "C", *, like: Any = None) -> Any:
    """An array of ones."""
    return _filled(1, _shape(shape), creation_dtype(dtype), order)


def empty(shape: Any, dtype: Any = None, order: str = "C", *, like: Any = None) -> Any:
    """An array whose elements are not to be relied on (zeros, here; None in arrays of objects)."""
    wanted = creation_dtype(dtype)
    return _filled(None if wanted.kind == "O" else 0, _shape(shape), wanted, order)


def _filled(value: int | None, shape: tuple[int, ...], dtype: np.dtype, order: str = "C", context: Any = None) -> Handle:
    if dtype.kind not in "biufc":
        blank: np.ndarray = np.full(shape, value, dtype) if value is None else np.ones(shape, dtype) if value else np.zeros(shape, dtype)
        return host(blank if order == "C" else np.asfortranarray(blank), context)
    made = TABLE["ones" if value else "zeros"](shape=shape, dtype=dtype, context=context or current_context())
    return made if order == "C" else _ordered(made, order)


def full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", *, like: Any = None) -> Any:
    """An array filled with a value (broadcast where it is an array)."""
    return _full(_shape(shape), fill_value, None if dtype is None else np.dtype(dtype), order, current_context())


def _full(shape: tuple[int, ...], fill: Any, dtype: np.dtype | None, order: str, context: Any) -> Handle:
    if type(fill) in (bool, int, float, complex):
        if dtype is None:
            dtype = default_dtype() if type(fill) is float else np.asarray(fill).dtype
        if dtype.kind in "biufc":
            return _ordered(TABLE["full"](fill, shape=shape, dtype=dtype, context=context), order)
    given = asarray(fill)
    wanted = given.type.dtype if dtype is None else dtype
    return _ordered(TABLE["full"](given, shape=shape, dtype=wanted, context=context), order)


def _like_order(prototype: Handle, order: str, shape: tuple[int, ...]) -> str:
    if order == "F" or (order in "AK" and len(shape) == prototype.type.ndim and prototype.type.strides and is_f_contiguous(prototype.type)):
        return "F"
    return "C"


def _like_layout(made: Handle, prototype: Handle, order: str) -> Handle:
    """`order="K"`: the prototype's memory order, densely."""
    kept = prototype.type.strides
    if order != "K" or kept is None or made.type.shape != prototype.type.shape:
        return _ordered(made, _like_order(prototype, order, made.type.shape))
    axes = sorted(range(len(kept)), key=lambda i: -abs(kept[i]))
    dense = contiguous_strides([made.type.shape[i] for i in axes], made.type.dtype.itemsize)
    strides = tuple(dense[axes.index(i)] for i in range(len(kept)))
    return TABLE["layout"](made, strides=strides)


def like_layout(made: Handle, prototype: Handle) -> Handle:
    """`made` in the memory order of an array of its shape."""
    return made if prototype.type.strides is None else _like_layout(made, prototype, "K")


def zeros_like(a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None) -> Any:
    """Zeros of the shape, dtype and context of `a`."""
    return _filled_like(0, a, dtype, order, shape)


def ones_like(a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None) -> Any:
    """Ones of the shape, dtype and context of `a`."""
    return _filled_like(1, a, dtype, order, shape)


def empty_like(prototype: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None) -> Any:
    """An array like `prototype` whose elements are not to be relied on (zeros, here; None in arrays of objects)."""
    like = asarray(prototype)
    wanted = like.type.dtype if dtype is None else np.dtype(dtype)
    return _filled_like(None if wanted.kind == "O" else 0, like, wanted, order, shape)


def _filled_like(value: int | None, a: Any, dtype: Any, order: str, shape: Any) -> Any:
    like = a if isinstance(a, Handle) else asarray(a)
    type_ = like.type
    made = _filled(
        value, type_.shape if shape is None else _shape(shape), type_.dtype if dtype is None else np.dtype(dtype), "C", type_.context
    )
    return made if type_.strides is None and order in "KAC" else _like_layout(made, like, order)


def full_like(a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None) -> Any:
    """An array of the shape, dtype and context of `a`, filled with a value."""
    like = asarray(a)
    wanted = like.type.dtype if dtype is None else np.dtype(dtype)
    made = _full(like.type.shape if shape is None else _shape(shape), fill_value, wanted, "C", like.type.context)
    return made if like.type.strides is None and order in "KAC" else _like_layout(made, like, order)


# -- patterns ----------------------------------------------------------------------------------------------------------------------------
def arange(start: Any = None, stop: Any = None, step: Any = None, dtype: Any = None, *, like: Any = None) -> Any:
    """Evenly spaced values within [start, stop)."""
    if start is None and stop is None:
        raise TypeError("arange() requires stop to be specified.")
    numbers = [_number(v) for v in (start, stop, step)]
    if numbers[1] is None:
        numbers[0], numbers[1] = 0, numbers[0]
    first, last, stride = numbers[0] if numbers[0] is not None else 0, numbers[1], 1 if numbers[2] is None else numbers[2]
    if not all(type(v) in (int, float, bool) for v in (first, last, stride)):
        return host(np.arange(first, last, stride, dtype))
    if dtype is None:
        wanted = default_dtype() if float in (type(first), type(last), type(stride)) else np.dtype(np.int64)
    else:
        wanted = np.dtype(dtype)
    if wanted.kind not in "iuf":
        return host(np.arange(first, last, stride, wanted))
    return TABLE["arange"](start=first, stop=last, step=stride, dtype=wanted, context=current_context())


def _number(value: Any) -> Any:
    """A bound as a Python number where it is one (its value decides the shape: observed)."""
    if isinstance(value, Handle):
        value = observe(value, "arange")[()]
    return value.item() if isinstance(value, (np.generic, np.ndarray)) and value.dtype.kind in "biuf" and value.ndim == 0 else value


def linspace(start: Any, stop: Any, num: Any = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None, axis: int = 0) -> Any:
    """`num` evenly spaced numbers over an interval; gradients flow to `start` and `stop`."""
    count = operator.index(num)
    if count < 0:
        raise ValueError(f"Number of samples, {count}, must be non-negative.")
    if not isinstance(start, Handle) and not isinstance(stop, Handle):
        values, step = np.linspace(start, stop, count, endpoint, True, dtype, axis)
        if dtype is None and default_dtype() != _FLOAT64 and type(start) in (int, float) and type(stop) in (int, float):
            values = values.astype(default_dtype())
        made = host(values)
        return (made, host(np.asarray(step), scalar=True)) if retstep else made
    first, last = TABLE["multiply"](asarray(start), 1.0), TABLE["multiply"](asarray(stop), 1.0)
    divisions = count - 1 if endpoint else count
    span = TABLE["subtract"](last, first)
    steps = TABLE["arange"](start=0, stop=count, step=1, dtype=span.type.dtype, context=span.type.context)
    steps = TABLE["reshape"](steps, shape=(count,) + (1,) * span.type.ndim)
    step = TABLE["divide"](span, divisions) if divisions > 0 else TABLE["multiply"](span, float("nan"))
    made = TABLE["add"](TABLE["multiply"](steps, step if divisions > 0 else span), first)
    if endpoint and count > 1:
        # NumPy sets the end-point exactly
        made = TABLE["where"](TABLE["equal"](steps, divisions), last, made)
    if axis != 0:
        from .shaping import moveaxis

        made = moveaxis(made, 0, axis)
    wanted = None if dtype is None else np.dtype(dtype)
    if wanted is not None:
        if wanted.kind in "iu":
            made = TABLE["floor"](made)
        made = TABLE["astype"](made, dtype=wanted)
    return (made, step) if retstep else made


def eye(N: Any, M: Any = None, k: Any = 0, dtype: Any = None, order: str = "C", *, like: Any = None) -> Any:
    """Ones on a diagonal, zeros elsewhere."""
    rows = operator.index(N)
    columns = rows if M is None else operator.index(M)
    wanted = creation_dtype(dtype)
    if wanted.kind not in "biufc":
        return host(np.eye(rows, columns, k, wanted))
    return _ordered(TABLE["eye"](rows=rows, columns=columns, k=operator.index(k), dtype=wanted, context=current_context()), order)


def tri(N: Any, M: Any = None, k: Any = 0, dtype: Any = None, *, like: Any = None) -> Any:
    """Ones on and below a diagonal, zeros elsewhere."""
    rows = operator.index(N)
    wanted = creation_dtype(dtype)
    columns = rows if M is None else operator.index(M)
    return TABLE["tri"](rows=rows, columns=columns, k=operator.index(k), dtype=wanted, context=current_context())


def identity(n: Any, dtype: Any = None, *, like: Any = None) -> Any:
    """The identity matrix."""
    return eye(n, dtype=dtype)


def fromfunction(function: Any, shape: Any, *, dtype: Any = None, like: Any = None, **kwargs: Any) -> Any:
    """`function` called on arrays of coordinates (ours)."""
    return function(*indices(_shape(shape), dtype=creation_dtype(dtype)), **kwargs)


def indices(dimensions: Any, dtype: Any = int, sparse: bool = False) -> Any:
    """The indices of a grid."""
    made: Any = np.indices(_shape(dimensions), dtype, sparse)  # type: ignore[call-overload]
    return tuple([host(m) for m in made]) if sparse else host(made)
