"""MinPy's spellings: its programs move by importing from `minpy_jit.core` what they imported from `minpy.core`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .autograd import grad, grad_and_loss
from .numpy.convert import as_handle
from .symbols import Function
from .trace.handle import Handle
from .trace.pytree import tree_map

__all__ = [
    "Function",
    "MXNetSymbolError",
    "convert_args",
    "grad",
    "grad_and_loss",
    "minpy_to_numpy",
    "numpy_to_minpy",
    "return_numpy",
]

# what a symbol raises whose shapes do not fit
MXNetSymbolError = ValueError


def numpy_to_minpy(value: Any) -> Any:
    """NumPy arrays and scalars, and those in nested lists, tuples and dicts, as arrays of ours (copies). The rest as it is.

    >>> numpy_to_minpy({"x": np.ones(2)})["x"] + 1
    array([2., 2.])
    """
    return tree_map(lambda leaf: as_handle(leaf) if isinstance(leaf, (np.ndarray, np.generic)) else leaf, value)


def minpy_to_numpy(value: Any) -> Any:
    """Arrays of ours, and those in nested lists, tuples and dicts, as NumPy arrays (scalars as NumPy scalars). The rest as it is."""

    def converted(leaf: Any) -> Any:
        if not isinstance(leaf, Handle):
            return leaf
        found = np.asarray(leaf)
        return found[()] if leaf.type.scalar else found

    return tree_map(converted, value)


def convert_args(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that takes NumPy arrays where `function` takes ours."""

    @functools.wraps(function)
    def converted(*args: Any, **kwargs: Any) -> Any:
        return function(*[numpy_to_minpy(a) for a in args], **{name: numpy_to_minpy(a) for name, a in kwargs.items()})

    return converted


def return_numpy(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that returns NumPy arrays where `function` returns ours."""

    @functools.wraps(function)
    def returning(*args: Any, **kwargs: Any) -> Any:
        return minpy_to_numpy(function(*args, **kwargs))

    return returning
