"""What a region computes, as few kinds of tensors: what the table's kernel expressions are written in.

A kernel expression of the table is the name of a scalar function (scalars.py), for element-wise ops, or a function
`(k, operands, types, result, **params)` that makes the result with the methods of `k`, a `Tensors`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...trace.types import Shape, broadcast_shapes, contiguous_strides


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A value of the region; identity is equality."""

    shape: Shape
    dtype: np.dtype


@dataclass(frozen=True, slots=True, eq=False)
class Memory(Tensor):
    """An array made outside, dense, in C order; `number` counts the region's operands."""

    number: int


@dataclass(frozen=True, slots=True, eq=False)
class Number(Tensor):
    """A fixed number."""

    value: Any


@dataclass(frozen=True, slots=True, eq=False)
class Map(Tensor):
    """A scalar function of elements, operands broadcast."""

    function: str
    operands: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """The index along one axis of a view's operand: `start + sum of step * index along an axis of the view (+ step * an integer)`; the
    integers (`dynamic`) are tensors that broadcast to the view's shape: of no axis, one number for all elements."""

    start: int = 0
    steps: tuple[tuple[int, int], ...] = ()
    dynamic: tuple[tuple[Tensor, int], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class View(Tensor):
    """Elements of another tensor, at affine places or, where an axis has integers of its own per element, at any."""

    operand: Tensor
    axes: tuple[Axis, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Reduce(Tensor):
    """`kind` ("add", "multiply", "maximum", "minimum", "logical_or", "logical_and") over axes, which are dropped."""

    kind: str
    operand: Tensor
    axes: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Scan(Tensor):
    """Along an axis, each element `kind` ("add", "multiply") the result before it; that one times `factor` first, where there is one."""

    kind: str
    operand: Tensor
    axis: int
    factor: Tensor | None


@dataclass(frozen=True, slots=True, eq=False)
class Positions(Tensor):
    """The index along an axis."""

    axis: int


@dataclass(frozen=True, slots=True, eq=False)
class Reshape(Tensor):
    """The same elements in C order under another shape, where that is no affine view: the operand has to be in memory."""

    operand: Tensor


# a number times what stands in memory as one number each
Scale = tuple[float, tuple[Memory, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Product(Tensor):
    """The matrix product of two matrices that are in memory, each transposed on request; times `scale`, plus `base_scale` times a base."""

    left: Tensor
    right: Tensor
    transposed: tuple[bool, bool]
    scale: Scale = (1.0, ())
    base: Tensor | None = None
    base_scale: Scale = (1.0, ())


@dataclass(frozen=True, slots=True, eq=False)
class Update(Tensor):
    """`base` with elements replaced: `value` at the places `axes` of its own index (see `View`). The base is written to: it is nobody
    else's (a copy, or another update). None: what is not written is not defined, and others write it. Of several values for one place the
    last in C order stays, or all are taken in that order into what stands there by the scalar function `combine`."""

    base: Tensor | None
    value: Tensor
    axes: tuple[Axis, ...]
    combine: str | None = None


class Unsupported(Exception):
    """There is no native code for this."""


class Tensors:
    """Makes tensors; equal maps and numbers once.

    Args:
        knows: (name, dtype of the last operand, dtype of the result) -> whether there is such a scalar function.
    """

    def __init__(self, knows: Callable[[str, np.dtype, np.dtype], bool]) -> None:
        self._knows = knows
        self._made: dict[tuple, Tensor] = {}
        # what must hold no True, and the error where it does, in the order of the calls
        self.guards: list[tuple[Tensor, type[Exception], str]] = []

    def _once(self, key: tuple, made: Tensor) -> Tensor:
        return self._made.setdefault(key, made)

    def number(self, value: Any, dtype: np.dtype) -> Tensor:
        """A fixed number, of no axis."""
        held = np.asarray(value, dtype)
        return self._once((dtype, held.tobytes()), Number((), dtype, held[()]))

    def map(self, function: str, *operands: Tensor, dtype: np.dtype | None = None) -> Tensor:
        """A scalar function of broadcast operands; the result's dtype is the last operand's unless said."""
        dtype = operands[-1].dtype if dtype is None else dtype
        if not self._knows(function, operands[-1].dtype, dtype):
            raise Unsupported(f"{function} of {operands[-1].dtype}")
        shape = broadcast_shapes(t.shape for t in operands)
        return self._once(("map", function, operands, dtype), Map(shape, dtype, function, operands))

    def cast(self, x: Tensor, dtype: np.dtype) -> Tensor:
        """As another dtype, with C's rules."""
        if x.dtype == dtype:
            return x
        if isinstance(x, Number):
            return self.number(x.value.astype(dtype), dtype)
        return self.map("cast", x, dtype=dtype)

    def copy(self, x: Tensor) -> Tensor:
        """The same values, in memory of their own."""
        return Map(x.shape, x.dtype, "copy", (x,))

    def view(self, x: Tensor, shape: Shape, axes: Sequence[Axis]) -> Tensor:
        """Elements of x at affine places."""
        return View(shape, x.dtype, x, tuple(axes))

    @staticmethod
    def axis(start: int = 0, along: int | None = None, step: int = 1, number: Tensor | None = None) -> Axis:
        """The index along an axis of a view's operand: `start + step * index along` axis `along` of the view `+ number`."""
        return Axis(start, () if along is None else ((along, step),), () if number is None else ((number, 1),))

    @staticmethod
    def line(steps: Sequence[int], start: Tensor) -> Axis:
        """The index along an axis of a view's operand: `start` (a tensor of one integer) and so many steps along each axis of the view."""
        return Axis(0, tuple([(i, step) for i, step in enumerate(steps) if step]), ((start, 1),))

    def broadcast(self, x: Tensor, shape: Shape) -> Tensor:
        """Repeated along new leading axes and axes of length one."""
        if x.shape == shape:
            return x
        ahead = len(shape) - len(x.shape)
        return self.view(x, shape, [Axis() if n == 1 else Axis(0, ((ahead + i, 1),)) for i, n in enumerate(x.shape)])

    def slices(self, x: Tensor, parts: Sequence[tuple[int, int, int]]) -> Tensor:
        """(start, length, step) along each axis."""
        return self.view(x, tuple([n for _, n, _ in parts]), [Axis(start, ((i, step),)) for i, (start, _, step) in enumerate(parts)])

    def index(self, x: Tensor, length: int, axis: int, places: int) -> Axis:
        """Integers as an index along an axis of that length, counted from its end where they are negative; its last `places` axes are
        further axes of what is shown. One out of range is an IndexError after the run, and reads some element until then."""
        return self.at(self.position(x, length, axis), places)

    def position(self, x: Tensor, length: int, axis: int) -> Tensor:
        """Integers as places along an axis: see `index`."""
        integer = np.dtype(np.int64)
        x = self.cast(x, integer)
        n, zero, last = (self.number(value, integer) for value in (length, 0, length - 1))
        low = self.map("less", x, self.number(-length, integer), dtype=np.dtype(np.bool_))
        high = self.map("greater", x, last, dtype=np.dtype(np.bool_))
        self.guard(self.map("logical_or", low, high), IndexError, f"an index is out of bounds for axis {axis} with size {length}")
        counted = self.map("where", self.map("less", x, zero, dtype=np.dtype(np.bool_)), self.map("add", x, n), x)
        return self.clamped(counted, length)

    def clamped(self, x: Tensor, length: int) -> Tensor:
        """Integers, those outside an axis of that length moved to its ends."""
        return self.map("minimum", self.map("maximum", x, self.number(0, x.dtype)), self.number(length - 1, x.dtype))

    def at(self, x: Tensor, places: int) -> Axis:
        """Places along an axis, one per element of what is shown but for its last `places` axes."""
        return Axis(0, (), ((self.insert_axes(x, range(len(x.shape), len(x.shape) + places)) if x.shape and places else x, 1),))

    def guard(self, bad: Tensor, error: type[Exception], message: str) -> None:
        """Raise this error after a run in which an element of `bad` is True."""
        self.guards.append((self.reduce("logical_or", bad, range(len(bad.shape))), error, message))

    def transpose(self, x: Tensor, order: Sequence[int]) -> Tensor:
        """With axis `order[i]` of x as axis i."""
        if list(order) == list(range(len(order))):
            return x
        place = {source: i for i, source in enumerate(order)}
        return self.view(x, tuple([x.shape[i] for i in order]), [Axis(0, ((place[i], 1),)) for i in range(len(order))])

    def insert_axes(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        """With axes of length one at these places of the result."""
        rank = len(x.shape) + len(axes)
        kept = [i for i in range(rank) if i not in axes]
        shape = [1] * rank
        for source, i in enumerate(kept):
            shape[i] = x.shape[source]
        return self.view(x, tuple(shape), [Axis(0, ((i, 1),)) for i in kept])

    def reduce(self, kind: str, x: Tensor, axes: Sequence[int], keepdims: bool = False) -> Tensor:
        """A reduction over axes."""
        axes = tuple(sorted(axes))
        shape = tuple([n for i, n in enumerate(x.shape) if i not in axes])
        made: Tensor = self._once(("reduce", kind, x, axes), Reduce(shape, x.dtype, kind, x, axes)) if axes else x
        return self.insert_axes(made, axes) if keepdims and axes else made

    def scan(self, kind: str, x: Tensor, axis: int, factor: Tensor | None = None) -> Tensor:
        """Along an axis, each element `kind` the result before it; that one times `factor` first, where there is one."""
        return self._once(("scan", kind, x, axis, factor), Scan(x.shape, x.dtype, kind, x, axis, factor))

    def product(self, x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False) -> Tensor:
        """The matrix product of x and y, each of them a matrix, transposed on request.

        Raises:
            Unsupported: neither float32 nor float64.
        """
        if x.dtype != y.dtype or x.dtype.name not in ("float32", "float64"):
            raise Unsupported(f"product of {x.dtype} and {y.dtype}")
        left, turned_x = _in_memory(self, x)
        right, turned_y = _in_memory(self, y)
        transposed = (transpose_x != turned_x, transpose_y != turned_y)
        rows, columns = left.shape[transposed[0]], right.shape[not transposed[1]]
        key = ("product", left, right, transposed)
        return self._once(key, Product((rows, columns), x.dtype, left, right, transposed))

    def update(self, x: Tensor, value: Tensor, axes: Sequence[Axis], combine: str | None = None) -> Tensor:
        """A copy of x with `value` at places, or taken into what stands there by a scalar function."""
        return Update(x.shape, x.dtype, self.copy(x), value, tuple(axes), combine)

    def concatenate(self, parts: Sequence[Tensor], axis: int) -> Tensor:
        """Joined along an axis."""
        shape = list(parts[0].shape)
        shape[axis] = sum(p.shape[axis] for p in parts)
        made: Tensor | None = None
        start = 0
        for part in parts:
            axes = [Axis(start if i == axis else 0, ((i, 1),)) for i in range(len(shape))]
            made = Update(tuple(shape), part.dtype, made, part, tuple(axes))
            start += part.shape[axis]
        assert made is not None
        return made

    def refuse(self, reason: str) -> Any:
        """Leave this to MXNet."""
        raise Unsupported(reason)

    def positions(self, shape: Shape, axis: int, dtype: np.dtype) -> Tensor:
        """The index along an axis."""
        return self._once(("positions", shape, axis, dtype), Positions(shape, dtype, axis))

    def offsets(self, shape: Shape, dtype: np.dtype) -> Tensor:
        """The number of each element in C order."""
        numbers = self.positions((math.prod(shape),), 0, dtype)
        steps = [(i, step) for i, step in enumerate(contiguous_strides(shape, 1)) if shape[i] != 1]
        return self.view(numbers, shape, [Axis(0, tuple(steps))])

    def reshape(self, x: Tensor, shape: Shape) -> Tensor:
        """Another shape of the same elements in C order."""
        if shape == x.shape:
            return x
        if isinstance(x, Memory):
            return self._once(("memory", x.number, shape), Memory(shape, x.dtype, x.number))
        # axes of equal products pair up
        axes: list[Axis] = []
        i = j = 0
        while i < len(x.shape) or j < len(shape):
            a, b, i0, j0 = 1, 1, i, j
            while True:
                if a == b and (i > i0 or j > j0):
                    break
                if a <= b and i < len(x.shape):
                    a *= x.shape[i]
                    i += 1
                elif j < len(shape):
                    b *= shape[j]
                    j += 1
                elif i < len(x.shape):
                    a *= x.shape[i]
                    i += 1
                else:
                    break
            long = [s for s in range(i0, i) if x.shape[s] != 1]
            if len(long) > 1:
                # merged axes: an index would take divisions
                return Reshape(shape, x.dtype, x if isinstance(x, (Map, Reduce, Scan, Product, Update)) else self.copy(x))
            steps = []
            step = 1
            for s in reversed(range(j0, j)):
                if shape[s] != 1:
                    steps.append((s, step))
                step *= shape[s]
            axes.extend(Axis(0, tuple(steps)) if long and s == long[0] else Axis() for s in range(i0, i))
        return self.view(x, shape, axes)


def _in_memory(k: Tensors, x: Tensor) -> tuple[Tensor, bool]:
    """A matrix as one that can be in memory as it is, and whether that is its transpose."""
    kinds = (Memory, Map, Reduce, Scan, Reshape, Product, Update)
    if isinstance(x, View) and isinstance(x.operand, kinds) and x.shape == x.operand.shape[::-1]:
        places = [(a.start, a.steps, a.dynamic) for a in x.axes]
        if places == [(0, ((1, 1),), ()), (0, ((0, 1),), ())]:
            return x.operand, True
    return (x, False) if isinstance(x, kinds) else (k.copy(x), False)
