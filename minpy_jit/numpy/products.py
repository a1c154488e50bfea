"""Matrix and tensor products."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..trace.handle import Handle
from ..trace.op import TABLE
from ..trace.ops import composite
from ..trace.ops.normalise import normalise_axis
from ..trace.types import HOST_KINDS
from . import fallback
from .output import deliver, deliver_reduced, out_array
from .shaping import handle, normalize_axes
from .strides import relabelled


def _host(*arrays: Any) -> bool:
    return any(x.type.dtype.kind in HOST_KINDS + "Mm" for x in arrays)


def dot(a: Any, b: Any, out: Any = None) -> Any:
    """Dot product of two arrays: a sum over the last axis of `a` and the second-to-last of `b`."""
    x, y = a if isinstance(a, Handle) else handle(a), b if isinstance(b, Handle) else handle(b)
    if _host(x, y):
        return fallback.call(np.dot, (a, b, out), None, "dot")
    return deliver_product(TABLE["dot"](x, y), out, "dot")


def deliver_product(result: Any, out: Any, name: str) -> Any:
    """As `deliver`, for what NumPy's `dot` writes.

    Raises:
        ValueError: `out` differs from the result in shape or dtype, or is not in C order.
    """
    if out is None:
        return result
    found, type_ = out_array(out), result.type
    if found is not None and not (found.dtype == type_.dtype and found.shape == type_.shape and found.flags.c_contiguous):
        raise ValueError(
            f"[{name}] output array is not acceptable (must have the right datatype, number of dimensions, and be a C-Array); "
            f"got {found.dtype}{list(found.shape)}, the result is {type_.dtype}{list(type_.shape)}"
        )
    return deliver(result, found, name, "no")


def vdot(a: Any, b: Any, /) -> Any:
    """Dot product of two vectors, the first one conjugated."""
    x, y = handle(a), handle(b)
    if _host(x, y):
        return fallback.call(np.vdot, (a, b), None, "vdot")
    return TABLE["vdot"](x, y)


def inner(a: Any, b: Any, /) -> Any:
    """A sum of products over the last axes."""
    x, y = handle(a), handle(b)
    if _host(x, y):
        return fallback.call(np.inner, (a, b), None, "inner")
    return TABLE["inner"](x, y)


def outer(a: Any, b: Any, out: Any = None) -> Any:
    """The outer product of two vectors (others are flattened)."""
    x, y = handle(a), handle(b)
    if _host(x, y):
        return fallback.call(np.outer, (a, b, out), None, "outer")
    return deliver(TABLE["outer"](x, y), out, "outer")


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """A sum of products over given axes."""
    x, y = handle(a), handle(b)
    if _host(x, y):
        return fallback.call(np.tensordot, (a, b, axes), None, "tensordot")
    if isinstance(axes, (int, np.integer)):
        count = int(axes)
        first: tuple[int, ...] = tuple(range(x.type.ndim - count, x.type.ndim))
        second: tuple[int, ...] = tuple(range(count))
    else:
        left, right = axes
        first = tuple(left) if isinstance(left, (tuple, list)) else (left,)
        second = tuple(right) if isinstance(right, (tuple, list)) else (right,)
    if len(first) != len(second):
        raise ValueError("shape-mismatch for sum")
    try:
        first, second = normalize_axes(first, x.type.ndim), normalize_axes(second, y.type.ndim)
    except np.AxisError:
        raise IndexError(f"[tensordot] axes {first} and {second} of arrays of {x.type.ndim} and {y.type.ndim} dimensions") from None
    return TABLE["tensordot"](x, y, axes=(first, second))


def einsum(*operands: Any, out: Any = None, optimize: Any = False, **kwargs: Any) -> Any:
    """Einstein's summation convention."""
    if (
        operands
        and isinstance(operands[0], str)
        and set(kwargs) <= {"dtype", "order", "casting"}
        and not any((v is not None and k == "dtype") or (k == "order" and v not in ("K", "C")) for k, v in kwargs.items())
    ):
        arrays = [handle(x) for x in operands[1:]]
        if not _host(*arrays):
            shown = relabelled(arrays[0], operands[0]) if len(arrays) == 1 and out is None and not arrays[0].type.scalar else None
            if shown is not None:
                return shown
            made = TABLE["einsum"](*arrays, subscripts=operands[0].replace(" ", ""))
            if out is None or out_array(out).dtype == made.type.dtype:
                return deliver(made, out, "einsum")
    # (NumPy computes in the dtype of `out=`)
    given = dict(kwargs) if out is None else {**kwargs, "out": out}
    return fallback.call(np.einsum, operands, {**given, "optimize": optimize}, "einsum")


def kron(a: Any, b: Any) -> Any:
    """The Kronecker product."""
    return composite.kron(handle(a), handle(b))


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None) -> Any:
    """The cross product of vectors of two or three components."""
    if axis is not None:
        axisa, axisb, axisc = (axis,) * 3
    return composite.cross(handle(a), handle(b), axisa, axisb, axisc)


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Any:
    """The sum along diagonals."""
    x = handle(a)
    ndim = x.type.ndim
    if ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    if _host(x) or (out is not None and out_array(out).dtype != x.type.dtype):
        return fallback.call(np.trace, (a, offset, axis1, axis2, dtype, out), None, "trace")
    wanted = None if dtype is None else np.dtype(dtype)
    return deliver_reduced(
        composite.trace(x, operator.index(offset), normalise_axis(axis1, ndim), normalise_axis(axis2, ndim), wanted), out, "trace"
    )
