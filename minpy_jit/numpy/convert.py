"""From what users pass to what the recorder takes: handles and Python numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..trace.context import CPU, current_context
from ..trace.handle import Handle, materialised
from ..trace.pure import set_ambient
from ..trace.types import type_of

NUMBERS: tuple[Any, ...] = (bool, int, float, complex)
_default_dtype = np.dtype(np.float64)
set_ambient(lambda: _default_dtype)


def default_dtype() -> np.dtype:
    """The dtype of arrays made from Python floats and by `zeros`, `ones` … (float64 unless `set_default_dtype` said otherwise)."""
    return _default_dtype


def set_default_dtype(dtype: Any) -> None:
    """Make "float32" or "float64" the dtype that floats get where nothing else decides.

    Raises:
        ValueError: neither of the two.
    """
    global _default_dtype
    wanted = np.dtype(dtype)
    if wanted not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"[set_default_dtype] {dtype!r} is not a default dtype; legal values: 'float32', 'float64'")
    _default_dtype = wanted


def host(value: np.ndarray, context: Any = None, scalar: bool = False) -> Handle:
    """A handle on a host array that nobody else will write to."""
    if value.dtype.hasobject is False and not value.dtype.isnative:
        value = value.astype(value.dtype.newbyteorder("="))
    return materialised(value, type_of(value, context or current_context(), scalar))


def captured(value: np.ndarray) -> Handle:
    """A handle on a copy of the caller's array: what the caller does to it later does not change ours."""
    copy = value.copy(order="K") if type(value) is np.ndarray else np.array(value, order="K", copy=True)
    return host(copy)


def is_array_like(value: Any) -> bool:
    """Whether NumPy would take it for an array rather than an object."""
    return isinstance(value, (np.ndarray, np.generic, list, tuple)) or hasattr(value, "__array__") or hasattr(value, "__array_interface__")


def operand(value: Any, dtype: Any = None) -> Any:
    """A handle, or a Python number that takes part as itself (NEP 50).

    Raises:
        TypeError, ValueError: NumPy cannot make an array of it.
    """
    if isinstance(value, Handle):
        return value
    kind = type(value)
    if kind in NUMBERS:
        return value
    if isinstance(value, np.generic):
        return host(np.asarray(value), scalar=True)
    if isinstance(value, (bool, int, float, complex)):
        # subclasses such as IntEnum take part as the number that they are
        for base in NUMBERS:
            if isinstance(value, base):
                return base(value)
    return array_of(value, dtype)


def as_handle(value: Any, dtype: Any = None) -> Handle:
    """A handle; Python numbers become 0-d arrays of their default dtype."""
    found = operand(value, dtype)
    return found if isinstance(found, Handle) else array_of(found, dtype)


def array_of(value: Any, dtype: Any = None) -> Handle:
    """An array of NumPy arrays, nested sequences (of our arrays too) or numbers, copied."""
    if isinstance(value, np.ndarray):
        if dtype is not None and value.dtype != dtype:
            return host(np.array(value, dtype=dtype))
        return captured(value)
    made = np.array(value, dtype=dtype)
    if dtype is None and made.dtype == np.float64 and _default_dtype != np.float64 and _only_python_floats(value):
        made = made.astype(_default_dtype)
    return host(made)


def _only_python_floats(value: Any) -> bool:
    stack = [value]
    while stack:
        top = stack.pop()
        if isinstance(top, (list, tuple)):
            stack.extend(top)
        elif isinstance(top, (Handle, np.ndarray, np.generic)) or not isinstance(top, (bool, int, float)):
            return False
    return True


def context_of(*values: Any) -> Any:
    """The context of the first handle among the values, else the CPU."""
    for value in values:
        if isinstance(value, Handle):
            return value.type.context
    return CPU
