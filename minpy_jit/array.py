"""Arrays under MinPy's module name."""

from __future__ import annotations

from typing import Any

from .numpy.array import Array, Scalar, ValueHandle
from .numpy.convert import as_handle
from .trace.handle import Handle

__all__ = ["Array", "Number", "Value", "wrap"]

# MinPy's names: what a reduction gives, and what arrays and these have in common
Number = Scalar
Value = ValueHandle


def wrap(value: Any) -> Any:
    """A NumPy array, a number, a list or an `mxnet.nd.NDArray` as an array of ours (a copy); arrays of ours are returned as they are.

    >>> wrap([1.0, 2.0]) + 1
    array([2., 3.])
    """
    if not isinstance(value, Handle) and hasattr(value, "asnumpy"):
        value = value.asnumpy()
    return as_handle(value)
