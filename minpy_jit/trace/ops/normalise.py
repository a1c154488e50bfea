"""Arguments as NumPy takes them -> the normalised parameters of a step: axes non-negative, shapes tuples of ints, -1 resolved.

Errors are NumPy's own, in type and text. Memoised, because they are on the recording path.
"""

from __future__ import annotations

import math
import operator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.core.multiarray import normalize_axis_index  # type: ignore[attr-defined]

from ..types import Shape


@lru_cache(maxsize=4096, typed=True)
def _axis(axis: int, ndim: int) -> int:
    return normalize_axis_index(axis, ndim)


def normalise_axis(axis: Any, ndim: int) -> int:
    """A non-negative axis.

    Raises:
        AxisError: out of bounds.
        TypeError: not an integer.
    """
    return _axis(axis if type(axis) is int else operator.index(axis), ndim)


@lru_cache(maxsize=4096)
def _axes(axes: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    found = tuple(sorted(normalize_axis_index(a, ndim) for a in axes))
    if len(set(found)) != len(found):
        raise ValueError("duplicate value in 'axis'")
    return found


def normalise_axes(axis: Any, ndim: int) -> tuple[int, ...] | None:
    """The axes of a reduction in ascending order; None stays None (all of them).

    Raises:
        AxisError, TypeError: as `normalise_axis`.
        ValueError: an axis is named twice.
    """
    if axis is None:
        return None
    if type(axis) is not tuple:
        axis = (operator.index(axis),)
        if ndim == 0 and axis[0] in (0, -1):
            # NumPy lets axis 0 and -1 slip through for 0-d arrays
            return ()
    return _axes(tuple([a if type(a) is int else operator.index(a) for a in axis]), ndim)


@lru_cache(maxsize=4096)
def _permutation(axes: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    if len(axes) != ndim:
        raise ValueError("axes don't match array")
    found = tuple(normalize_axis_index(a, ndim) for a in axes)
    if len(set(found)) != ndim:
        raise ValueError("repeated axis in transpose")
    return found


def normalise_permutation(axes: Any, ndim: int) -> tuple[int, ...]:
    """The axes of `transpose`; None reverses them.

    Raises:
        ValueError: not a permutation.
        AxisError, TypeError: as `normalise_axis`.
    """
    if axes is None:
        return tuple(range(ndim - 1, -1, -1))
    return _permutation(tuple([operator.index(a) for a in axes]), ndim)


def normalise_shape(shape: Any) -> Shape:
    """A shape as a tuple of non-negative ints.

    Raises:
        TypeError: not integers.
        ValueError: negative.
    """
    if type(shape) is not tuple:
        if hasattr(shape, "__index__"):
            shape = (operator.index(shape),)
        else:
            try:
                shape = tuple(shape)
            except TypeError:
                raise TypeError(f"expected a sequence of integers or a single integer, got '{shape!r}'") from None
    found: Shape = tuple([n if type(n) is int else operator.index(n) for n in shape])
    if any(n < 0 for n in found):
        raise ValueError("negative dimensions are not allowed")
    return found


@lru_cache(maxsize=4096)
def _resolved(shape: Shape, size: int) -> Shape:
    unknown = [i for i, n in enumerate(shape) if n < 0]
    known = math.prod(n for n in shape if n >= 0)
    if len(unknown) == 1 and known > 0 and size % known == 0:
        at = unknown[0]
        return (*shape[:at], size // known, *shape[at + 1 :])
    if not unknown and known == size:
        return shape
    # NumPy words the error; one byte stands for the array
    np.broadcast_to(np.zeros((), np.int8), (size,)).reshape(shape)
    raise AssertionError(f"reshape of {size} elements to {shape}")


def resolve_reshape(shape: Any, size: int) -> Shape:
    """The shape that `reshape` means for an array of `size` elements: one unknown length (negative) is worked out.

    Raises:
        ValueError: the sizes do not agree, or more than one length is unknown.
        TypeError: not integers.
    """
    if type(shape) is not tuple:
        shape = (operator.index(shape),) if hasattr(shape, "__index__") else tuple(shape)
    return _resolved(tuple([n if type(n) is int else operator.index(n) for n in shape]), size)


# -- what NumPy's shaping functions mean, in terms of reshape and transpose ---------------------------------------------------------------
def squeezed_shape(shape: Shape, axis: Any = None) -> Shape:
    """The shape that `squeeze` means.

    Raises:
        ValueError: a named axis is longer than one.
    """
    axes = normalise_axes(axis, len(shape))
    if axes is None:
        return tuple(n for n in shape if n != 1)
    if any(shape[i] != 1 for i in axes):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def expanded_shape(shape: Shape, axis: Any) -> Shape:
    """The shape that `expand_dims` means.

    Raises:
        AxisError: out of bounds.
        ValueError: repeated axis.
    """
    given = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    ndim = len(shape) + len(given)
    axes = [normalise_axis(a, ndim) for a in given]
    if len(set(axes)) != len(axes):
        raise ValueError("repeated axis")
    rest = iter(shape)
    return tuple(1 if i in axes else next(rest) for i in range(ndim))


def at_least_shape(shape: Shape, ndim: int) -> Shape:
    """The shape that `atleast_1d`, `atleast_2d` and `atleast_3d` mean."""
    if len(shape) >= ndim:
        return shape
    if ndim < 3:
        return (1,) * (ndim - len(shape)) + shape
    return ((1, 1, 1), (1, *shape, 1), (*shape, 1))[len(shape)]


def swapped_axes(ndim: int, axis1: Any, axis2: Any) -> tuple[int, ...]:
    """The permutation that `swapaxes` means."""
    order = list(range(ndim))
    first, second = normalise_axis(axis1, ndim), normalise_axis(axis2, ndim)
    order[first], order[second] = second, first
    return tuple(order)


def moved_axes(ndim: int, source: Any, destination: Any) -> tuple[int, ...]:
    """The permutation that `moveaxis` means.

    Raises:
        ValueError: different numbers of axes, or a repeated one.
    """
    named = []
    for axes, name in ((source, "source"), (destination, "destination")):
        given = tuple(axes) if isinstance(axes, (tuple, list)) else (axes,)
        found = [normalise_axis(a, ndim) for a in given]
        if len(set(found)) != len(found):
            raise ValueError(f"repeated axis in `{name}` argument")
        named.append(found)
    if len(named[0]) != len(named[1]):
        raise ValueError("`source` and `destination` arguments must have the same number of elements")
    order = [i for i in range(ndim) if i not in named[0]]
    for at, axis in sorted(zip(named[1], named[0], strict=True)):
        order.insert(at, axis)
    return tuple(order)


def rolled_axes(ndim: int, axis: Any, start: Any = 0) -> tuple[int, ...]:
    """The permutation that `rollaxis` means.

    Raises:
        AxisError: out of bounds.
    """
    axis, start = normalise_axis(axis, ndim), operator.index(start)
    if start < 0:
        start += ndim
    if not 0 <= start <= ndim:
        raise np.AxisError(f"'start' arg requires {-ndim} <= start < {ndim + 1}, but {start} was passed in")
    order = [i for i in range(ndim) if i != axis]
    order.insert(start - 1 if axis < start else start, axis)
    return tuple(order)
