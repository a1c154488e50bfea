"""NumPy's own functions called on our arrays (`numpy.sin(ours)`, `numpy.concatenate([ours, theirs])`, `theirs += ours`) come back here.

They go to the function of the same name in our namespace, else to the fallback: a call on our array never leaves our namespace silently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.core._exceptions import _UFuncNoLoopError

from ..trace.handle import Handle
from . import fallback
from .ufuncs import Ufunc, foreign_ufunc

# NumPy's function -> ours; filled by the namespace
_ours: dict[Any, Callable[..., Any]] = {}


def register(function: Any, ours: Callable[..., Any]) -> None:
    """Calls of NumPy's `function` on our arrays go to `ours`."""
    _ours.setdefault(function, ours)


def ours_of(function: Any) -> Callable[..., Any] | None:
    """Our function of the same meaning, if there is one."""
    try:
        return _ours.get(function)
    except TypeError:
        return None


def array_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`__array_ufunc__` of our arrays."""
    for value in (*inputs, *kwargs.get("out", ())):
        if not isinstance(value, (Handle, np.ndarray, np.generic)) and _overrides(value):
            # another array class: its turn
            return NotImplemented
    ours: Ufunc = foreign_ufunc(ufunc)
    function: Callable[..., Any] = ours if method == "__call__" else getattr(ours, method)
    try:
        return function(*inputs, **kwargs)
    except TypeError as error:
        if isinstance(error.__context__, _UFuncNoLoopError):
            # NumPy's `==` of what cannot be compared looks for this very type
            raise error.__context__ from None
        raise


def _overrides(value: Any) -> bool:
    return getattr(type(value), "__array_ufunc__", None) is not None


def array_function(function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """`__array_function__` of our arrays."""
    ours = _ours.get(function)
    if ours is not None:
        return ours(*args, **kwargs)
    module = getattr(function, "__module__", "numpy")
    return fallback.call(function, args, kwargs, f"{module.removeprefix('numpy').lstrip('.')}.{function.__name__}".lstrip("."))
