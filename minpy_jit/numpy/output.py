"""`out=`: how a result reaches the array that the caller gave for it, ours or NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..trace.handle import Handle
from ..trace.op import TABLE
from ..trace.recorder import observe
from ..trace.types import contiguous_strides, is_f_contiguous
from .views import assign, cast_for_write


def deliver(result: Any, out: Any, name: str, casting: str = "same_kind") -> Any:
    """`result` itself, or `out` after the result was written to it under NumPy's casting rule.

    Raises:
        TypeError: the cast is not allowed, or `out` is no array.
        ValueError: the shapes differ, or `out` is read-only.
    """
    if out is None:
        return result
    out = out_array(out)
    if out is None:
        return result
    if isinstance(out, Handle):
        assign(out, cast_for_write(result, out, name, casting))
        return out
    value = observe(result, name)
    if value.shape != out.shape and np.broadcast_shapes(value.shape, out.shape) != out.shape:
        raise ValueError(f"non-broadcastable output operand with shape {out.shape} doesn't match the broadcast shape {value.shape}")
    np.copyto(out, value, casting=casting)  # type: ignore[arg-type]
    return out


def deliver_reduced(result: Any, out: Any, name: str) -> Any:
    """As `deliver`, for reductions: any cast is allowed, and the shape must be the result's own.

    Raises:
        TypeError: `out` is no array.
        ValueError: the shapes differ, or `out` is read-only.
    """
    found = out_array(out)
    if found is None:
        return result
    if found.shape != result.type.shape:
        raise ValueError(
            f"[{name}] output parameter has the wrong shape: {found.shape} instead of {result.type.shape}; give one of the result's shape"
        )
    return deliver(result, found, name, "unsafe")


def deliver_same(result: Any, out: Any, name: str) -> Any:
    """As `deliver`, for functions that fill a buffer in the result's own dtype: `out` must have its shape, and a dtype that fits into it.

    Raises:
        TypeError: its dtype does not, or `out` is no array.
        ValueError: the shapes differ, or `out` is read-only.
    """
    check_same(result.type.shape, result.type.dtype, out, name)
    return deliver(result, out, name, "unsafe")


def check_same(shape: tuple[int, ...], dtype: np.dtype, out: Any, name: str) -> None:
    """What `deliver_same` asks of `out`, where a result of that shape and dtype is still to be made."""
    found = out_array(out)
    if found is None:
        return
    if found.shape != shape:
        raise ValueError(f"[{name}] output array does not match result; {found.shape} instead of {shape}; give one of that shape")
    if not np.can_cast(found.dtype, dtype, "safe"):
        raise TypeError(f"Cannot cast array data from {found.dtype!r} to {dtype!r} according to the rule 'safe'")


def out_array(out: Any) -> Any:
    """The array given as `out=` (alone or in a tuple), or None.

    Raises:
        TypeError: it is no array.
    """
    if isinstance(out, tuple) and len(out) == 1:
        out = out[0]
    if out is None or is_array(out):
        return out
    raise TypeError("return arrays must be of ArrayType")


def is_array(out: Any) -> bool:
    """Whether it is an array, ours or NumPy's, that can be written to."""
    return isinstance(out, np.ndarray) or (isinstance(out, Handle) and not out.type.scalar)


def result_layout(x: Handle, order: str) -> Handle:
    """`x` in C or Fortran order (the same handle where it is so already)."""
    if order == "F":
        if is_f_contiguous(x.type):
            return x
        return TABLE["layout"](x, strides=contiguous_strides(x.type.shape[::-1], x.type.dtype.itemsize)[::-1])
    return x if x.type.strides is None else TABLE["layout"](x, strides=None)
