"""From what users pass to what the recorder takes: handles and Python numbers."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np

from ..errors import with_op
from ..trace.calls import Function as Replayed
from ..trace.context import Context, current_context, inside, others
from ..trace.handle import Handle, materialised
from ..trace.pure import set_ambient
from ..trace.recorder import current, observe
from ..trace.replay import changed_ambient
from ..trace.types import type_of

NUMBERS: tuple[Any, ...] = (bool, int, float, complex)
Function = TypeVar("Function", bound=Callable[..., Any])
_FLOAT64 = np.dtype(np.float64)


class _Local(threading.local):
    """What a thread chose as its default dtype; None: nothing."""

    chosen: np.dtype | None = None


_local = _Local()
set_ambient(lambda: (_local.chosen or _FLOAT64, current().policy))


def default_dtype(otherwise: Any = None) -> np.dtype:
    """The dtype of arrays made from Python floats and by `zeros`, `ones` … (float64 unless `set_default_dtype` said otherwise).

    Args:
        otherwise: the answer where `set_default_dtype` was never called; None: float64.
    """
    return _local.chosen or (_FLOAT64 if otherwise is None else np.dtype(otherwise))


def chosen_dtype() -> np.dtype | None:
    """What this thread gave to `set_default_dtype`."""
    return _local.chosen


def set_default_dtype(dtype: Any) -> None:
    """Make "float32" or "float64" the dtype that floats get on this thread where nothing else decides; None takes the choice back.

    Other threads keep theirs; one that is started later begins with float64.

    Raises:
        ValueError: none of these.
    """
    wanted = _FLOAT64 if dtype is None else np.dtype(dtype)
    if wanted not in (np.dtype(np.float32), _FLOAT64):
        raise ValueError(f"[set_default_dtype] {dtype!r} is not a default dtype; legal values: 'float32', 'float64'")
    _local.chosen = None if dtype is None else wanted
    changed_ambient()


def host(value: np.ndarray, context: Any = None, scalar: bool = False) -> Handle:
    """A handle on a host array that nobody else will write to."""
    if value.dtype.hasobject is False and not value.dtype.isnative:
        value = value.astype(value.dtype.newbyteorder("="))
    return materialised(value, type_of(value, context or current_context(), scalar))


def copied(source: Any, copy: Callable[[], np.ndarray]) -> Handle:
    """A handle on a copy of what the caller has: what becomes of it later does not change ours. A pure region copies anew at each call."""
    handle = host(copy())
    session = current().session
    if session is not None:
        session.read(source, lambda: host(copy()), handle)
    return handle


def contains_handle(value: Any) -> bool:
    """Whether there is an array of ours in a value (nested lists, tuples and dicts are searched)."""
    if isinstance(value, Handle):
        return True
    if isinstance(value, (list, tuple)):
        return any(contains_handle(v) for v in value)
    if isinstance(value, dict):
        return any(contains_handle(v) for v in value.values())
    return False


def check_fits(value: Any, dtype: np.dtype) -> None:
    """Refuse a number that NumPy does not store in an element: a NaN in an integer, a complex number in a float.

    Raises:
        OverflowError, TypeError, ValueError: NumPy's.
    """
    kind = dtype.kind
    if isinstance(value, Handle):
        # arrays are cast whatever they hold, scalars one by one; what is pending decides at this line
        if kind not in "iu" or not value.type.scalar or value.type.dtype.kind not in "fc" or current().session is not None:
            return
        value = observe(value, "setitem")[()]
    elif not ((kind in "iu" and type(value) is not bool) or (kind == "f" and type(value) is complex)):
        return
    try:
        np.zeros((), dtype)[()] = value
    except (OverflowError, TypeError, ValueError) as error:
        raise with_op(error, "setitem") from None


def check_single(value: Handle, dtype: np.dtype) -> None:
    """Refuse an array that is no scalar, yet is written to one element, where NumPy's conversion by `int(value)` or `float(value)` fails.

    Raises:
        TypeError: it has several elements, which are written to a complex one.
        ValueError: it has several elements, or one that is no number of that kind.
    """
    given = value.type.dtype.kind
    fits = value.type.size == 1 and (given != "c" or dtype.kind not in "iuf")
    if fits and given == "f" and dtype.kind in "iu" and current().session is None:
        number = observe(value, "setitem").reshape(())[()]
        fits = bool(np.isfinite(number)) and np.iinfo(dtype).min <= int(number) <= np.iinfo(dtype).max
    if not fits:
        raise (TypeError if dtype.kind == "c" else ValueError)("[setitem] setting an array element with a sequence.")


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
    made = getattr(kind, "__minpy_array__", None)
    return array_of(value, dtype) if made is None else made(value)


def as_handle(value: Any, dtype: Any = None) -> Handle:
    """A handle; Python numbers become 0-d arrays of their default dtype."""
    found = operand(value, dtype)
    return found if isinstance(found, Handle) else array_of(found, dtype)


def plain(value: Any) -> Any:
    """MXNet's arrays, which NumPy cannot read, as NumPy's; anything else as it is."""
    return value.asnumpy() if hasattr(value, "asnumpy") else value


def array_of(value: Any, dtype: Any = None) -> Handle:
    """An array of NumPy arrays, nested sequences (of our arrays too: gradients flow through) or numbers, copied."""
    if isinstance(value, (list, tuple)) and contains_handle(value):
        from .creation import array

        return array(value, dtype)
    if type(value) is np.ndarray and (dtype is None or value.dtype == dtype):
        return copied(value, lambda: value.copy(order="K"))
    if isinstance(value, np.ndarray):
        return copied(value, lambda: np.array(value, dtype=dtype, order="K"))

    def copy() -> np.ndarray:
        made = np.array(plain(value), dtype=dtype)
        if dtype is None and made.dtype == _FLOAT64 and default_dtype() != _FLOAT64 and _only_python_floats(value):
            made = made.astype(default_dtype())
        return made

    return copied(value, copy)


def _only_python_floats(value: Any) -> bool:
    stack = [value]
    while stack:
        top = stack.pop()
        if isinstance(top, (list, tuple)):
            stack.extend(top)
        elif isinstance(top, (Handle, np.ndarray, np.generic)) or not isinstance(top, (bool, int, float)):
            return False
    return True


# -- where things are made ----------------------------------------------------------------------------------------------------------------
def home_of(values: Iterable[Any]) -> Context | None:
    """The context of the first array of ours among the values (nested lists, tuples and dicts are searched), or None."""
    for value in values:
        found = None
        if isinstance(value, Handle):
            return value.type.context
        if isinstance(value, (list, tuple)):
            found = home_of(value)
        elif isinstance(value, dict):
            found = home_of(value.values())
        if found is not None:
            return found
    return None


def beside(array: Handle, make: Callable[..., Any], *args: Any) -> Any:
    """`make(*args)`; what it makes of data that is not ours lives where `array` does."""
    return inside(array.type.context, make, args, {}) if others else make(*args)


def follows(function: Function) -> Function:
    """A function that works where its first array lives: what it makes of numbers, lists and NumPy's arrays, or of nothing, lives there.

    0.15 µs a call as long as only the host's context is in use.
    """

    @functools.wraps(function)
    def following(*args: Any, **kwargs: Any) -> Any:
        try:
            if not others:
                return function(*args, **kwargs)
            context = home_of(args)
            if context is None and kwargs:
                context = home_of(kwargs.values())
            if context is None or context is current_context():
                return function(*args, **kwargs)
            return inside(context, function, args, kwargs)
        except Exception as error:
            raise with_op(error, args[0].__name__ if is_method else function.__name__) from None

    # (of a ufunc)
    is_method = "." in function.__qualname__
    return following  # type: ignore[return-value]


def replayed(function: Callable[..., Any], name: str, home: str, doc: str | None = None) -> Replayed:
    """A function whose calls are replayed where they repeat."""
    return Replayed(function, name, function.__doc__ if doc is None else doc, home)
