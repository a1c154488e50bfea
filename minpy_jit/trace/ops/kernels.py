"""Kernel expressions of the table's entries: `kernel(k, operands, types, result, **params)`, written with the methods of `k`, which makes
tensors of a region (exec/regions/tensors.py). An element-wise entry just names its scalar function.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..types import ArrayType
from .families import all_axes

Types = Sequence[ArrayType]


def itself(k: Any, xs: list[Any], types: Types, result: ArrayType, **params: Any) -> Any:
    """The operand."""
    return xs[0]


def cast(k: Any, xs: list[Any], types: Types, result: ArrayType, **params: Any) -> Any:
    """The operand in the result's dtype."""
    return k.cast(xs[0], result.dtype)


# -- places --------------------------------------------------------------------------------------------------------------------------------
def reshape(k: Any, xs: list[Any], types: Types, result: ArrayType, **params: Any) -> Any:
    """The operand's elements in the result's shape."""
    return k.reshape(xs[0], result.shape)


def transpose(k: Any, xs: list[Any], types: Types, result: ArrayType, axes: tuple[int, ...]) -> Any:
    """The axes in another order."""
    return k.transpose(xs[0], axes)


def broadcast_to(k: Any, xs: list[Any], types: Types, result: ArrayType, **params: Any) -> Any:
    """The operand in the result's shape and dtype."""
    return k.broadcast(k.cast(xs[0], result.dtype), result.shape)


def flip(k: Any, xs: list[Any], types: Types, result: ArrayType, axes: tuple[int, ...]) -> Any:
    """Reversed along axes."""
    return k.slices(xs[0], [(n - 1, n, -1) if i in axes else (0, n, 1) for i, n in enumerate(result.shape)])


def slice_axis(k: Any, xs: list[Any], types: Types, result: ArrayType, axis: int, start: int, stop: int) -> Any:
    """A stretch along one axis."""
    return k.slices(xs[0], [(start if i == axis else 0, n, 1) for i, n in enumerate(result.shape)])


def _places(k: Any, spec: tuple[tuple[Any, ...], ...], numbers: Sequence[Any]) -> list[Any]:
    """Where the elements of a basic index stand along each axis of the array, by the axes of what it shows."""
    remaining = iter(numbers)
    axes = []
    along = 0
    for kind, *rest in spec:
        if kind == "int":
            axes.append(k.axis(number=next(remaining)))
        elif kind == "slice":
            axes.append(k.axis(along=along, step=rest[1], number=next(remaining)))
        elif kind == "full":
            axes.append(k.axis(along=along))
        along += kind in ("slice", "full", "new")
    return axes


def getitem(k: Any, xs: list[Any], types: Types, result: ArrayType, spec: tuple[tuple[Any, ...], ...]) -> Any:
    """Positions and slices, whose starts are numbers of the run."""
    return k.view(xs[0], result.shape, _places(k, spec, xs[1:]))


def setitem(k: Any, xs: list[Any], types: Types, result: ArrayType, spec: tuple[tuple[Any, ...], ...]) -> Any:
    """A copy with a value at positions and slices."""
    lengths = iter(result.shape)
    region = []
    for kind, *rest in spec:
        own = next(lengths) if kind in ("int", "slice", "full") else 1
        if kind in ("slice", "full", "new"):
            region.append(rest[0] if kind == "slice" else own)
    if 0 in region:
        return k.refuse("an empty region")
    value = xs[1]
    if len(value.shape) > len(region):
        value = k.reshape(value, value.shape[len(value.shape) - len(region) :])
    return k.update(xs[0], k.broadcast(value, tuple(region)), _places(k, spec, xs[2:]))


def scatter(k: Any, xs: list[Any], types: Types, result: ArrayType, shape: tuple[int, ...], spec: tuple[tuple[Any, ...], ...]) -> Any:
    """Zeros with a value at positions and slices."""
    return k.update(k.broadcast(k.number(0, result.dtype), shape), xs[0], _places(k, spec, xs[1:]))


def concatenate(k: Any, xs: list[Any], types: Types, result: ArrayType, axis: int) -> Any:
    """Joined along an axis."""
    return k.concatenate([x for x in xs if x.shape[axis]], axis)


def stack(k: Any, xs: list[Any], types: Types, result: ArrayType, axis: int) -> Any:
    """Joined along a new axis."""
    return k.concatenate([k.insert_axes(x, (axis,)) for x in xs], axis)


def pad_zeros(k: Any, xs: list[Any], types: Types, result: ArrayType, width: tuple[tuple[int, int], ...]) -> Any:
    """Zeros around."""
    axes = [k.axis(start=before, along=i) for i, (before, _) in enumerate(width)]
    return k.update(k.broadcast(k.number(0, result.dtype), result.shape), xs[0], axes)


def filled(value: int) -> Any:
    """An array of one number."""

    def kernel(k: Any, xs: list[Any], types: Types, result: ArrayType, **params: Any) -> Any:
        return k.broadcast(k.number(value, result.dtype), result.shape)

    return kernel


def triangle(below: bool) -> Any:
    """The elements on one side of diagonal number `k`, and zeros."""

    def kernel(t: Any, xs: list[Any], types: Types, result: ArrayType, k: int) -> Any:
        shape = result.shape
        row, column = (t.positions(shape, len(shape) + i, np.dtype(np.int64)) for i in (-2, -1))
        last = t.map("add", row, t.number(k, np.dtype(np.int64)))
        kept = t.map("less_equal" if below else "greater_equal", column, last, dtype=np.dtype(np.bool_))
        return t.map("where", kept, xs[0], t.number(0, result.dtype))

    return kernel


# -- reductions ----------------------------------------------------------------------------------------------------------------------------
def _reduced(k: Any, kind: str, x: Any, axis: tuple[int, ...] | None, result: ArrayType) -> Any:
    axes = all_axes(len(x.shape), axis)
    return k.reshape(k.reduce(kind, x, axes), result.shape)


def reduction(kind: str) -> Any:
    """A reduction by a scalar function, in the result's dtype."""

    def kernel(k: Any, xs: list[Any], types: Types, result: ArrayType, axis: Any, keepdims: bool, **params: Any) -> Any:
        return _reduced(k, kind, k.cast(xs[0], result.dtype), axis, result)

    return kernel


def mean(k: Any, xs: list[Any], types: Types, result: ArrayType, axis: Any, keepdims: bool, dtype: Any) -> Any:
    """The sum divided by the number of elements."""
    count = math.prod(types[0].shape[i] for i in all_axes(types[0].ndim, axis))
    total = _reduced(k, "add", k.cast(xs[0], result.dtype), axis, result)
    return k.map("divide", total, k.number(count, result.dtype))


def softmax(k: Any, xs: list[Any], types: Types, result: ArrayType, axis: int) -> Any:
    """exp(x - max) / sum(exp(x - max)) along an axis."""
    highest = k.reduce("maximum", xs[0], (axis,), keepdims=True)
    e = k.map("exp", k.map("subtract", xs[0], highest))
    return k.map("divide", e, k.reduce("add", e, (axis,), keepdims=True))


# -- activations ---------------------------------------------------------------------------------------------------------------------------
def relu(k: Any, xs: list[Any], types: Types, result: ArrayType) -> Any:
    """The larger of x and 0."""
    return k.map("maximum", xs[0], k.number(0, result.dtype))


def relu_backward(k: Any, xs: list[Any], types: Types, result: ArrayType) -> Any:
    """g times whether y is not at most 0."""
    zero = k.number(0, xs[1].dtype)
    passed = k.map("logical_not", k.map("less_equal", xs[1], zero, dtype=np.dtype(np.bool_)))
    return k.map("multiply", xs[0], k.cast(passed, result.dtype))


def sigmoid(k: Any, xs: list[Any], types: Types, result: ArrayType) -> Any:
    """1 / (1 + exp(-x))."""
    e = k.map("exp", k.map("negative", xs[0]))
    return k.map("reciprocal", k.map("add", e, k.number(1, result.dtype)))


# -- products ------------------------------------------------------------------------------------------------------------------------------
def matmul(k: Any, xs: list[Any], types: Types, result: ArrayType, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    """A product of matrices or vectors; of a stack of matrices with one matrix."""
    x, y = xs
    if not types[0].ndim or not types[1].ndim:
        return k.map("multiply", x, y)
    if types[1].ndim > 2 or (types[0].ndim > 2 and transpose_a):
        return k.refuse("a stack of matrices on the right")
    if types[0].ndim != 2:
        x = k.reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))
    if types[1].ndim == 1:
        y = k.reshape(y, (y.shape[0], 1))
    return k.reshape(k.product(x, y, transpose_a, transpose_b), result.shape)
