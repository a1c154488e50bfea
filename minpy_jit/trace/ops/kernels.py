"""Kernel expressions of the table's entries: `kernel(k, operands, types, result, **params)`, written with the methods of `k`, which makes
tensors of a region (exec/regions/tensors.py). An element-wise entry just names its scalar function.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..types import ArrayType, Shape, broadcast_shapes, overlaps
from .families import BOOL, INT64, all_axes

Types = Sequence[ArrayType]


def itself(k: Any, xs: list[Any], types: Types, result: ArrayType, **params: Any) -> Any:
    """The operand."""
    return xs[0]


def cast(k: Any, xs: list[Any], types: Types, result: ArrayType, **params: Any) -> Any:
    """The operand in the result's dtype."""
    return k.cast(xs[0], result.dtype)


def power(k: Any, xs: list[Any], types: Types, result: ArrayType) -> Any:
    """x to the power y; integers have no negative powers."""
    if result.dtype.kind == "i":
        negative = k.map("less", xs[1], k.number(0, result.dtype), dtype=BOOL)
        k.guard(negative, ValueError, "Integers to negative integer powers are not allowed.")
    return k.map("power", *xs, dtype=result.dtype)


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


def pad(k: Any, xs: list[Any], types: Types, result: ArrayType, width: tuple[tuple[int, int], ...]) -> Any:
    """A value around."""
    axes = [k.axis(start=before, along=i) for i, (before, _) in enumerate(width)]
    return k.update(k.broadcast(xs[1], result.shape), xs[0], axes)


def _others(k: Any, count: int, places: Mapping[int, Any]) -> list[Any]:
    """Whole axes, but for some."""
    return [places[i] if i in places else k.axis(along=i) for i in range(count)]


# elements of a row from which on rows are found by their numbers rather than copied in two parts
_LONG_ROW = 16


def roll(k: Any, xs: list[Any], types: Types, result: ArrayType, shift: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    """Elements moved around axes."""
    x, shape = xs[0], result.shape
    for axis, by in zip(axes, shift, strict=True):
        n, by = shape[axis], by % shape[axis]
        after = len(shape) - axis - 1
        if by and math.prod(shape[axis + 1 :]) >= _LONG_ROW:
            i, away = k.positions((n,), 0, INT64), k.number(by, INT64)
            at = k.map("where", k.map("less", i, away, dtype=BOOL), k.map("add", i, k.number(n - by, INT64)), k.map("subtract", i, away))
            x = k.view(x, shape, _others(k, len(shape), {axis: k.at(at, after)}))
        elif by:
            parts = ((n - by, by), (0, n - by))
            x = k.concatenate([k.slices(x, [(0, m, 1) if i != axis else (*part, 1) for i, m in enumerate(shape)]) for part in parts], axis)
    return x


def shift(k: Any, xs: list[Any], types: Types, result: ArrayType, by: int, axis: int, fill: float) -> Any:
    """Elements moved along an axis, a number comes in."""
    blank = k.broadcast(k.number(fill, result.dtype), result.shape)
    kept = result.shape[axis] - abs(by)
    if kept <= 0:
        return blank
    part = k.slices(xs[0], [(max(-by, 0), kept, 1) if i == axis else (0, n, 1) for i, n in enumerate(result.shape)])
    return k.update(blank, part, _others(k, result.ndim, {axis: k.axis(start=max(by, 0), along=axis)}))


def tile(k: Any, xs: list[Any], types: Types, result: ArrayType, reps: tuple[int, ...]) -> Any:
    """The array set side by side."""
    ndim = max(len(reps), types[0].ndim)
    shape = (1,) * (ndim - types[0].ndim) + types[0].shape
    times = (1,) * (ndim - len(reps)) + reps
    wide = tuple([n for pair in zip(times, shape, strict=True) for n in pair])
    shown = k.view(k.reshape(xs[0], shape), wide, [k.axis(along=2 * i + 1) for i in range(ndim)])
    return k.reshape(shown, result.shape)


def repeat(k: Any, xs: list[Any], types: Types, result: ArrayType, repeats: int, axis: int) -> Any:
    """Each element several times along an axis."""
    shape = types[0].shape
    wide = (*shape[: axis + 1], repeats, *shape[axis + 1 :])
    return k.reshape(k.view(xs[0], wide, [k.axis(along=i + (i > axis)) for i in range(len(shape))]), result.shape)


def _diagonal_places(k: Any, ndim: int, offset: int, axis1: int, axis2: int) -> list[Any]:
    """Where the elements of diagonals stand in matrices, by the axes of what `numpy.diagonal` shows."""
    places = {axis1: k.axis(start=max(-offset, 0), along=ndim - 2), axis2: k.axis(start=max(offset, 0), along=ndim - 2)}
    others = iter(range(ndim - 2))
    return [places[i] if i in places else k.axis(along=next(others)) for i in range(ndim)]


def diagonal(k: Any, xs: list[Any], types: Types, result: ArrayType, offset: int, axis1: int, axis2: int) -> Any:
    """The elements of diagonals."""
    return k.view(xs[0], result.shape, _diagonal_places(k, types[0].ndim, offset, axis1, axis2))


def place_diagonal(
    k: Any, xs: list[Any], types: Types, result: ArrayType, offset: int, axis1: int, axis2: int, shape: tuple[int, ...]
) -> Any:
    """Zeros with diagonals set."""
    return k.update(k.broadcast(k.number(0, result.dtype), shape), xs[0], _diagonal_places(k, len(shape), offset, axis1, axis2))


def _flat(k: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """An array as the memory that has its axes in this order."""
    return k.reshape(k.transpose(x, axes), (math.prod(x.shape),))


def _unflat(k: Any, x: Any, shape: Shape, axes: tuple[int, ...]) -> Any:
    """Memory as the array that lies in it."""
    lying = k.reshape(x, tuple([shape[i] for i in axes]))
    return k.transpose(lying, tuple(sorted(range(len(axes)), key=axes.__getitem__)))


def strided(k: Any, xs: list[Any], types: Types, result: ArrayType, axes: tuple[int, ...], shape: Shape, strides: tuple[int, ...]) -> Any:
    """An array's memory through an offset, a shape and strides."""
    return k.view(_flat(k, xs[0], axes), shape, [k.line(strides, xs[1])])


def set_strided(
    k: Any, xs: list[Any], types: Types, result: ArrayType, axes: tuple[int, ...], shape: Shape, strides: tuple[int, ...]
) -> Any:
    """A copy with values written to its memory."""
    if 0 in shape or overlaps(shape, strides):
        return k.refuse("places that are written in NumPy's own order, if at all")
    written = k.update(_flat(k, xs[0], axes), _fitted(k, xs[1], shape), [k.line(strides, xs[2])])
    return _unflat(k, written, result.shape, axes)


def add_strided(
    k: Any, xs: list[Any], types: Types, result: ArrayType, size: Shape, axes: tuple[int, ...], strides: tuple[int, ...]
) -> Any:
    """Zeros with values added to their memory."""
    blank = k.broadcast(k.number(0, result.dtype), (math.prod(size),))
    return _unflat(k, k.update(blank, xs[0], [k.line(strides, xs[1])], combine="add"), size, axes)


def diagonal_pattern(below: bool) -> Any:
    """Ones on a diagonal, and on those below it."""

    def kernel(t: Any, xs: list[Any], types: Types, result: ArrayType, k: int, **params: Any) -> Any:
        row, column = (t.positions(result.shape, i, INT64) for i in (0, 1))
        ones = t.map("less_equal" if below else "equal", column, t.map("add", row, t.number(k, INT64)), dtype=BOOL)
        return t.cast(ones, result.dtype)

    return kernel


def arange(k: Any, xs: list[Any], types: Types, result: ArrayType, start: Any, stop: Any, step: Any, **params: Any) -> Any:
    """The first number, and as often as is needed the distance to the second, both in the result's dtype."""
    if result.dtype == BOOL:
        return k.refuse("two truth values")
    # NumPy adds float16 up in float32
    inner = np.dtype(np.float32) if result.dtype == np.float16 else result.dtype
    first, second = (np.asarray(v).astype(result.dtype).astype(inner) for v in (start, start + step))
    numbers = k.positions(result.shape, 0, inner)
    return k.cast(k.map("add", k.number(first, inner), k.map("multiply", numbers, k.number(second - first, inner))), result.dtype)


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


# -- values --------------------------------------------------------------------------------------------------------------------------------
def nan_to_num(k: Any, xs: list[Any], types: Types, result: ArrayType, nan: float, posinf: float | None, neginf: float | None) -> Any:
    """NaN and infinities replaced by numbers."""
    x = xs[0]
    if result.dtype.kind != "f":
        return x
    limits = np.finfo(result.dtype)
    for value, number in ((np.inf, limits.max if posinf is None else posinf), (-np.inf, limits.min if neginf is None else neginf)):
        found = k.map("equal", xs[0], k.number(value, result.dtype), dtype=BOOL)
        x = k.map("where", found, k.number(number, result.dtype), x)
    return k.map("where", k.map("isnan", xs[0], dtype=BOOL), k.number(nan, result.dtype), x)


def round_(k: Any, xs: list[Any], types: Types, result: ArrayType, decimals: int) -> Any:
    """To decimals, ties to even."""
    x = k.cast(xs[0], result.dtype)
    if result.dtype.kind != "f":
        # to tens and hundreds NumPy goes through float64
        return x if decimals >= 0 else k.refuse("integers to tens")
    if decimals == 0:
        return k.map("rint", x)
    with np.errstate(over="ignore"):
        scale = k.number(np.asarray(10.0 ** abs(decimals)).astype(result.dtype), result.dtype)
    away, back = ("multiply", "divide") if decimals > 0 else ("divide", "multiply")
    return k.map(back, k.map("rint", k.map(away, x, scale)), scale)


# -- arrays as indices ---------------------------------------------------------------------------------------------------------------------
def _gather(k: Any, shape: Shape, structure: tuple[tuple[Any, ...], ...], indices: Sequence[Any]) -> tuple[Shape, list[Any]]:
    """The shape of what a key with integer arrays shows of an array, and where its elements stand along each axis of the array."""
    # the lengths of the other axes, and how many of those stand before the arrays' own
    rest: list[int] = []
    place, state = 0, "before"
    # per axis of the array: an index array and whether its range is known, or (start, step, which of the other axes)
    parts: list[tuple[Any, ...]] = []
    remaining = iter(indices)
    for kind, *given in structure:
        if kind in ("array", "mask"):
            if given == [-1]:
                return k.refuse("a boolean of no axis as an index")
            # separated by others, the arrays' axes come first
            place, state = (len(rest), "inside") if state == "before" else (place if state == "inside" else 0, state)
            parts.append((next(remaining), kind == "mask"))
            continue
        state = "after" if state == "inside" else state
        if kind == "slice":
            at = range(*slice(*given).indices(shape[len(parts)]))
            parts.append((at.start, at.step, len(rest)))
            rest.append(len(at))
        elif kind == "full":
            rest.append(shape[len(parts)])
            parts.append((0, 1, len(rest) - 1))
        elif kind == "new":
            rest.append(1)
    region = broadcast_shapes(x.shape for x in indices)
    after = len(rest) - place
    axes = []
    for axis, part in enumerate(parts):
        if len(part) == 2:
            index, known = part
            axes.append(k.at(k.cast(index, INT64), after) if known else k.index(index, shape[axis], axis, after))
        else:
            start, step, number = part
            axes.append(k.axis(start=start, step=step, along=number + (len(region) if number >= place else 0)))
    return (*rest[:place], *region, *rest[place:]), axes


def getitem_arrays(k: Any, xs: list[Any], types: Types, result: ArrayType, structure: tuple[tuple[Any, ...], ...]) -> Any:
    """Elements at the places of integer arrays."""
    return k.view(xs[0], *_gather(k, xs[0].shape, structure, xs[1:]))


def scatter_add(
    k: Any, xs: list[Any], types: Types, result: ArrayType, shape: Shape, structure: tuple[tuple[Any, ...], ...], unique: bool
) -> Any:
    """Zeros with values added at the places of integer arrays, one after another."""
    _, axes = _gather(k, shape, structure, xs[1:])
    return k.update(k.broadcast(k.number(0, result.dtype), shape), xs[0], axes, combine="add")


def _fitted(k: Any, value: Any, shape: Shape) -> Any:
    """A value that is written to a region of that shape; it may have further leading axes of length one."""
    if len(value.shape) > len(shape):
        value = k.reshape(value, value.shape[len(value.shape) - len(shape) :])
    return k.broadcast(value, shape)


def _require_order(k: Any, types: Types) -> None:
    """Of several values for one place the last stays: NumPy goes through indices and values in their memory order."""
    if any(t.strides is not None for t in types):
        k.refuse("values and indices that are not in C order")


def write_arrays(combine: str | None) -> Any:
    """A copy with values at the places of integer arrays, or taken into what stands there."""

    def kernel(k: Any, xs: list[Any], types: Types, result: ArrayType, structure: tuple[tuple[Any, ...], ...]) -> Any:
        if combine is None:
            _require_order(k, types[1:])
        shape, axes = _gather(k, xs[0].shape, structure, xs[2:])
        return k.update(xs[0], _fitted(k, xs[1], shape), axes, combine)

    return kernel


def _last(k: Any, shape: Shape, region: Shape, axes: list[Any]) -> Any:
    """Which of the values that are written to places of an array of that shape stay: the last of each place."""
    numbers = k.offsets(region, INT64)
    return k.map("equal", k.view(k.update(k.broadcast(k.number(-1, INT64), shape), numbers, axes), region, axes), numbers, dtype=BOOL)


def last_write(k: Any, xs: list[Any], types: Types, result: ArrayType, shape: Shape, structure: tuple[tuple[Any, ...], ...]) -> Any:
    """Which of the values written at the places of integer arrays stay."""
    _require_order(k, types)
    return _last(k, shape, *_gather(k, shape, structure, xs))


def take(k: Any, xs: list[Any], types: Types, result: ArrayType, axis: int | None, mode: str) -> Any:
    """Elements by their positions along an axis."""
    x, at = xs
    if axis is None or not x.shape:
        x, axis = k.reshape(x, (math.prod(x.shape),)), 0
    n, after = x.shape[axis], len(x.shape) - axis - 1
    if mode == "raise":
        place = k.index(at, n, axis, after)
    elif mode == "clip":
        place = k.at(k.clamped(k.cast(at, INT64), n), after)
    else:
        place = k.at(k.map("remainder", k.cast(at, INT64), k.number(n, INT64)), after)
    others = [k.axis(along=i if i < axis else i + len(at.shape) - 1) for i in range(len(x.shape))]
    return k.view(x, result.shape, [*others[:axis], place, *others[axis + 1 :]])


def _along(k: Any, shape: Shape, index: Any, axis: int) -> tuple[Shape, list[Any]]:
    """As `_gather`, for one position along an axis per element."""
    region = broadcast_shapes([index.shape, tuple([1 if i == axis else n for i, n in enumerate(shape)])])
    places = [k.axis(along=None if n == 1 else i) for i, n in enumerate(shape)]
    return region, [*places[:axis], k.index(index, shape[axis], axis, 0), *places[axis + 1 :]]


def take_along_axis(k: Any, xs: list[Any], types: Types, result: ArrayType, axis: int) -> Any:
    """Elements by their positions along an axis, one per element."""
    return k.view(xs[0], *_along(k, xs[0].shape, xs[1], axis))


def scatter_add_along_axis(k: Any, xs: list[Any], types: Types, result: ArrayType, axis: int, shape: Shape) -> Any:
    """Zeros with values added at positions along an axis, one after another."""
    region, axes = _along(k, shape, xs[1], axis)
    return k.update(k.broadcast(k.number(0, result.dtype), shape), k.broadcast(xs[0], region), axes, combine="add")


def put_along_axis(k: Any, xs: list[Any], types: Types, result: ArrayType, axis: int) -> Any:
    """A copy with values at positions along an axis."""
    _require_order(k, types[1:])
    region, axes = _along(k, xs[0].shape, xs[1], axis)
    return k.update(xs[0], _fitted(k, xs[2], region), axes)


def last_put(k: Any, xs: list[Any], types: Types, result: ArrayType, axis: int, shape: Shape) -> Any:
    """Which of the values written at positions along an axis stay."""
    _require_order(k, types)
    return _last(k, shape, *_along(k, shape, xs[0], axis))


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
    """The sum divided by the number of elements: of float16 both in float32, rounded once."""
    count = math.prod(types[0].shape[i] for i in all_axes(types[0].ndim, axis))
    inner = np.dtype(np.float32) if types[0].dtype == result.dtype == np.float16 else result.dtype
    total = _reduced(k, "add", k.cast(xs[0], inner), axis, result)
    return k.cast(k.map("divide", total, k.number(count, inner)), result.dtype)


def position(kind: str) -> Any:
    """Where the first of the largest or smallest elements stands (or the first NaN), along an axis or in the flat array."""

    def kernel(k: Any, xs: list[Any], types: Types, result: ArrayType, axis: int | None, keepdims: bool) -> Any:
        x, shape = xs[0], types[0].shape
        axes = all_axes(len(shape), None if axis is None else (axis,))
        best = k.reduce(kind, x, axes, keepdims=True)
        found = k.map("equal", x, best, dtype=BOOL)
        if x.dtype.kind == "f":
            found = k.map("logical_or", found, k.map("isnan", x, dtype=BOOL))
        count = math.prod(shape[i] for i in axes)
        # narrow ones: more of them fit in a vector
        dtype = np.dtype(np.int32) if count <= np.iinfo(np.int32).max else INT64
        numbers = k.offsets(shape, dtype) if axis is None else k.positions(shape, axis, dtype)
        first = k.reduce("minimum", k.map("where", found, numbers, k.number(count - 1, dtype)), axes)
        return k.reshape(k.cast(first, INT64), result.shape)

    return kernel


def cumulative(kind: str) -> Any:
    """A running sum or product along an axis, or of the flat array."""

    def kernel(k: Any, xs: list[Any], types: Types, result: ArrayType, axis: int | None, dtype: Any) -> Any:
        x = k.cast(xs[0], result.dtype)
        return k.scan(kind, k.reshape(x, result.shape) if axis is None else x, axis or 0)

    return kernel


def recurrence(k: Any, xs: list[Any], types: Types, result: ArrayType, axis: int) -> Any:
    """y[i] = b[i] + a[i] y[i - 1] along an axis."""
    a, b = (k.cast(x, result.dtype) for x in xs)
    first = k.map("equal", k.positions(result.shape, axis, INT64), k.number(0, INT64), dtype=BOOL)
    # the first has nothing before it: -0.0 times 0 is what changes nothing
    return k.scan("add", b, axis, factor=k.map("where", first, k.number(0, result.dtype), a))


def softmax(k: Any, xs: list[Any], types: Types, result: ArrayType, axis: int) -> Any:
    """exp(x - max) / sum(exp(x - max)) along an axis."""
    highest = k.reduce("maximum", xs[0], (axis,), keepdims=True)
    e = k.map("exp", k.map("subtract", xs[0], highest))
    return k.map("divide", e, k.reduce("add", e, (axis,), keepdims=True))


# -- activations ---------------------------------------------------------------------------------------------------------------------------
def relu(k: Any, xs: list[Any], types: Types, result: ArrayType) -> Any:
    """The larger of x and 0."""
    return k.map("maximum", xs[0], k.number(0, result.dtype))


def image_relu(k: Any, xs: list[Any], types: Types, result: ArrayType) -> Any:
    """x where it is more than 0, else 0."""
    zero = k.number(0, result.dtype)
    return k.map("where", k.map("less", zero, xs[0], dtype=np.dtype(np.bool_)), xs[0], zero)


def relu_backward(k: Any, xs: list[Any], types: Types, result: ArrayType) -> Any:
    """g times whether y is not at most 0."""
    zero = k.number(0, xs[1].dtype)
    passed = k.map("logical_not", k.map("less_equal", xs[1], zero, dtype=np.dtype(np.bool_)))
    return k.map("multiply", xs[0], k.cast(passed, result.dtype))


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
