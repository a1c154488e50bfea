"""MinPy's decorator of argument types."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

__all__ = ["enforce_type"]


def enforce_type(T: type, method: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator: arguments that are no `T` are made one.

    Args:
        T: called with an argument of another type.
        method: the first argument, `self`, stays.

    >>> @enforce_type(float)
    ... def half(x):
    ...     return x / 2
    >>> half("3")
    1.5
    """

    def made(value: Any) -> Any:
        return value if isinstance(value, T) else T(value)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def enforced(*args: Any, **kwargs: Any) -> Any:
            first = args[:1] if method else ()
            return function(*first, *map(made, args[len(first) :]), **{key: made(value) for key, value in kwargs.items()})

        return enforced

    return decorate
