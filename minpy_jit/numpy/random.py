"""`numpy.random` on our arrays: draws happen at the call, on NumPy's own generators, so seeds give NumPy's streams, in program order.

Drawn arrays are values (inputs of what is recorded next): replaying a program never repeats or merges them. Arguments of ours are observed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import random as _random

from ..errors import with_op
from ..trace.context import current_context
from ..trace.handle import Handle, materialised
from ..trace.op import TABLE
from ..trace.ops.normalise import normalise_axis
from ..trace.recorder import current, observe
from . import fallback
from .array import Scalar, ValueHandle
from .convert import default_dtype, host
from .views import assign, check_writeable

_FLOAT64 = np.dtype(np.float64)


def _known(value: Any) -> Any:
    """An argument with arrays of ours observed."""
    if isinstance(value, Handle):
        data = observe(value, "random")
        return data[()] if value.type.scalar else data
    if type(value) in (list, tuple):
        return type(value)([_known(v) for v in value])
    return value


def _drawn(value: Any, asked: bool) -> Any:
    """What NumPy drew, as ours. Python numbers stay what they are."""
    if type(value) is np.ndarray:
        if not asked and value.dtype == _FLOAT64 and default_dtype() != _FLOAT64:
            value = value.astype(default_dtype())
        return host(value, current_context())
    if isinstance(value, np.generic) and not isinstance(value, np.void):
        return host(np.asarray(value), current_context(), scalar=True)
    return value


def _draw(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        return _draw_or_fill(function, args, kwargs)
    except (TypeError, ValueError) as error:
        raise with_op(error, function.__name__) from None


def _draw_or_fill(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    out = kwargs.pop("out", None)
    given, named = [_known(a) for a in args], {k: _known(v) for k, v in kwargs.items()}
    if out is None:
        result = _drawn(function(*given, **named), named.get("dtype") is not None)
        fallback.without_rule(f"random.{function.__name__}", args, kwargs, result)
        session = current().session
        if session is not None:
            session.drawn(lambda: _draw(function, args, dict(kwargs)), result)
        return result
    if not isinstance(out, ValueHandle):
        return function(*given, **named, out=out)
    # NumPy fills memory in its order
    scratch = out.laid_out("random").copy(order="K")
    function(*given, **named, out=scratch)
    made = materialised(scratch, out.type)
    fallback.without_rule(f"random.{function.__name__}", args, kwargs, made)
    assign(out, made)
    return out


def _shuffle(function: Callable[..., Any], x: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """In-place shuffling of an array of ours, through its views; lists and NumPy arrays are shuffled by NumPy."""
    if not isinstance(x, ValueHandle) or (isinstance(x, Scalar) and type(x) is not Scalar):
        function(x, *args, **kwargs)
        return
    if not x.type.ndim:
        raise TypeError("x must be an integer or at least 1-dimensional")
    check_writeable(x, "array is read-only")
    axis = normalise_axis(kwargs.get("axis", args[0] if args else 0), x.type.ndim)
    if not x.type.size:
        # nothing is drawn then
        return

    def positions() -> Handle:
        # NumPy shuffles numbers that stand for the slices: its draws depend on how many there are, and on nothing else
        n = x.type.shape[axis]
        places = np.arange(n).reshape([n if k == axis else 1 for k in range(x.type.ndim)])
        function(places, *args, **kwargs)
        return host(places.reshape(n), x.type.context)

    at = positions()
    session = current().session
    if session is not None:
        session.drawn(positions, at)
    assign(x, TABLE["take"](x, at, axis=axis))


def _method(name: str) -> Callable[..., Any]:
    template = getattr(_random.Generator, name, None) or getattr(_random.RandomState, name)

    if name == "shuffle":

        def shuffle(self: _Wrapped, x: Any, *args: Any, **kwargs: Any) -> None:
            _shuffle(self._real.shuffle, x, args, kwargs)

        shuffle.__doc__ = template.__doc__
        return shuffle

    def method(self: _Wrapped, *args: Any, **kwargs: Any) -> Any:
        return _draw(getattr(self._real, name), args, kwargs)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = template.__doc__
    return method


class _WrappedClass(type):
    """`isinstance(g, np.random.Generator)` holds for NumPy's own generators too."""

    _kind: type

    def __instancecheck__(cls, instance: Any) -> bool:
        return type.__instancecheck__(cls, instance) or isinstance(instance, cls._kind)


class _Wrapped(metaclass=_WrappedClass):
    """Holds a generator of NumPy's."""

    __slots__ = ("_real",)
    _kind: type = object
    _real: Any

    @classmethod
    def _of(cls, real: Any) -> Any:
        made = object.__new__(cls)
        made._real = real
        return made

    def __reduce__(self) -> Any:
        return _rebuild, (type(self).__name__, self._real)

    def __getattr__(self, name: str) -> Any:
        if name == "_real":
            raise AttributeError(name)
        return getattr(self._real, name)

    def __repr__(self) -> str:
        return repr(self._real)

    def __eq__(self, other: Any) -> bool:
        return self._real == getattr(other, "_real", other)

    __hash__ = object.__hash__


class Generator(_Wrapped):
    """NumPy's `Generator`; arrays that it draws are ours."""

    __slots__ = ()
    _kind = _random.Generator

    def __init__(self, bit_generator: Any) -> None:
        self._real = _random.Generator(bit_generator)

    def spawn(self, n_children: int) -> list[Any]:
        """Independent child generators."""
        return [Generator._of(child) for child in self._real.spawn(n_children)]


class RandomState(_Wrapped):
    """NumPy's `RandomState`; arrays that it draws are ours."""

    __slots__ = ()
    _kind = _random.RandomState

    def __init__(self, seed: Any = None) -> None:
        self._real = _random.RandomState(_known(seed))


def _rebuild(name: str, real: Any) -> Any:
    cls: Any = {"Generator": Generator, "RandomState": RandomState}[name]
    return cls._of(real)


# state and bookkeeping: NumPy's own, nothing to wrap
_PLAIN = ("bit_generator", "get_state", "seed", "set_state", "spawn", "bytes")


def _plain(name: str) -> property:
    """An attribute that is NumPy's own."""
    return property(lambda self: getattr(self._real, name))


for _cls in (Generator, RandomState):
    for _name in dir(_cls._kind):
        if not _name.startswith("_") and _name not in vars(_cls):
            setattr(_cls, _name, _plain(_name) if _name in _PLAIN else _method(_name))


def default_rng(seed: Any = None) -> Any:
    """A `Generator` with NumPy's default bit generator."""
    if isinstance(seed, _Wrapped) and hasattr(seed, "_real"):
        return seed
    return Generator._of(_random.default_rng(_known(seed)))


def _global(name: str) -> Callable[..., Any]:
    function = getattr(_random, name)

    def draw(*args: Any, **kwargs: Any) -> Any:
        return _draw(function, args, kwargs)

    draw.__name__ = draw.__qualname__ = name
    draw.__doc__ = function.__doc__
    return draw


def shuffle(x: Any) -> None:
    """Shuffle `x` in place along its first axis."""
    _shuffle(_random.shuffle, x, (), {})


def seed(seed: Any = None) -> None:
    """Seed NumPy's global generator: the stream is NumPy's."""
    _random.seed(_known(seed))


def _fill() -> None:
    module = sys.modules[__name__]
    for name in dir(_random):
        if name.startswith("_") or name in vars(module):
            continue
        found = getattr(_random, name)
        wrapped = (
            callable(found) and not isinstance(found, type) and name not in (*_PLAIN, "get_bit_generator", "set_bit_generator", "test")
        )
        setattr(module, name, _global(name) if wrapped else found)


_fill()
del _cls, _name
