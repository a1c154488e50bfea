"""Functions that rearrange: reshape, transpose, join, split, repeat. Views exactly where NumPy gives views."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.core.multiarray import normalize_axis_index  # type: ignore[attr-defined]

from ..trace.handle import Handle
from ..trace.op import TABLE
from ..trace.ops.normalise import normalise_permutation, resolve_reshape
from ..trace.ops.shape import reshape_is_view
from ..trace.recorder import observe
from ..trace.types import broadcasts_to, elementwise_strides, is_f_contiguous
from . import fallback, indexing
from .array import duplicate
from .convert import as_handle
from .creation import array, asarray, without_scalar
from .output import deliver, out_array
from .views import make_view

Shape = tuple[int, ...]


def handle(a: Any) -> Any:
    """An array or scalar of ours on anything array-like."""
    if isinstance(a, Handle):
        return a
    # NumPy's scalars stay scalars
    return as_handle(a) if isinstance(a, np.generic) else asarray(a)


def normalize_axes(axes: Any, ndim: int, allow_duplicate: bool = False, name: str | None = None) -> Shape:
    """Axes (an int or several) as non-negative numbers.

    Raises:
        AxisError: out of bounds.
        ValueError: a repeated one.
    """
    given = (axes,) if isinstance(axes, int) or not isinstance(axes, (tuple, list)) else axes
    found = tuple([normalize_axis_index(operator.index(a), ndim, name) for a in given])
    if not allow_duplicate and len(set(found)) != len(found):
        raise ValueError(f"repeated axis in `{name}` argument" if name else "repeated axis")
    return found


# -- one array, another shape -----------------------------------------------------------------------------------------------------------
def full_shape(size: int, newshape: Any) -> Shape:
    """The shape with its -1 filled in.

    Raises:
        ValueError: it does not fit.
    """
    return resolve_reshape(observe(newshape, "shape") if isinstance(newshape, Handle) and newshape.type.ndim else newshape, size)


def reshape(a: Any, newshape: Any, order: str = "C") -> Any:
    """A new shape for the same elements: a view where NumPy gives one, else a copy."""
    x = handle(a)
    if order == "A":
        order = "F" if x.type.strides is not None and is_f_contiguous(x.type) else "C"
    if order == "F":
        shape = full_shape(x.type.size, newshape)
        return transpose(reshape(transpose(x), shape[::-1]))
    if order != "C":
        raise ValueError(f"order must be one of 'C', 'F' or 'A' (got {order!r})")
    return reshaped(x, full_shape(x.type.size, newshape))


def reshaped(x: Any, shape: Shape) -> Any:
    """`x` in a shape that fits (C order)."""
    if x.type.scalar and not shape:
        return x
    if not x.type.scalar and reshape_is_view(x.type, shape):
        return make_view(x, TABLE["reshape"], (), (shape,))
    return TABLE["reshape"](x, shape=shape)


def ravel(a: Any, order: str = "C") -> Any:
    """A flat array: a view of contiguous memory, else a copy."""
    if order not in ("C", "F", "A", "K"):
        raise ValueError(f"order must be one of 'C', 'F', 'A', or 'K' (got {order!r})")
    x = handle(a)
    type_ = x.type
    c_order, f_order = type_.strides is None, is_f_contiguous(type_)
    if order == "K":
        if not c_order and not f_order:
            x, order = _by_strides(x), "C"
            # dense memory is shown, memory with gaps copied
            return reshaped(x, (type_.size,)) if x.type.strides is None else flatten(x)
        order = "C" if c_order else "F"
    elif order == "A":
        order = "F" if f_order and not c_order else "C"
    if (order == "C" and c_order) or (order == "F" and f_order):
        return reshape(x, -1 if type_.size else (0,), order)
    return flatten(x, order)


def _by_strides(x: Any) -> Any:
    """Axes in the order in which the elements lie in memory (order="K")."""
    type_ = x.type
    strides = elementwise_strides((type_,), type_.shape, type_.dtype)
    return transpose(x, tuple(sorted(range(type_.ndim), key=lambda i: -strides[i])) if strides else tuple(range(type_.ndim)))


def flatten(a: Any, order: str = "C") -> Any:
    """A flat copy."""
    x = handle(a)
    if order == "K":
        order = "C" if x.type.strides is None else "A" if is_f_contiguous(x.type) else "K"
        if order == "K":
            x, order = _by_strides(x), "C"
    if order == "A":
        order = "F" if x.type.strides is not None and is_f_contiguous(x.type) else "C"
    if order == "F":
        x = transpose(x)
    return TABLE["flatten"](x)


def transpose(a: Any, axes: Any = None) -> Any:
    """A view with permuted axes."""
    x = handle(a)
    if axes is not None and type(axes) is int:
        axes = (axes,)
    order = normalise_permutation(axes, x.type.ndim)
    return x if x.type.scalar else make_view(x, TABLE["transpose"], (), (order,))


def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """A view with two axes exchanged."""
    x = handle(a)
    ndim = x.type.ndim
    first, second = normalize_axis_index(axis1, ndim, "axis1"), normalize_axis_index(axis2, ndim, "axis2")
    order = list(range(ndim))
    order[first], order[second] = second, first
    return transpose(x, tuple(order))


def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """A view with some axes moved, the others in their order."""
    x = handle(a)
    ndim = x.type.ndim
    sources, targets = normalize_axes(source, ndim, name="source"), normalize_axes(destination, ndim, name="destination")
    if len(sources) != len(targets):
        raise ValueError("`source` and `destination` arguments must have the same number of elements")
    order = [i for i in range(ndim) if i not in sources]
    for target, axis in sorted(zip(targets, sources, strict=True)):
        order.insert(target, axis)
    return transpose(x, tuple(order))


def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """A view with one axis rolled back to a position."""
    x = handle(a)
    ndim = x.type.ndim
    axis = normalize_axis_index(axis, ndim)
    if start < 0:
        start += ndim
    if not 0 <= start < ndim + 1:
        raise np.AxisError(f"'start' arg requires {-ndim} <= start < {ndim + 1}, but {start} was passed in")
    if axis < start:
        start -= 1
    order = [i for i in range(ndim) if i != axis]
    order.insert(start, axis)
    return transpose(x, tuple(order))


def squeeze(a: Any, axis: Any = None) -> Any:
    """A view without axes of length one."""
    x = handle(a)
    shape = x.type.shape
    if axis is None and (x.type.scalar or 1 not in shape):
        return x
    if not shape and axis in (0, -1):
        # as NumPy does, though there is no axis
        axis = ()
    axes = tuple(i for i, n in enumerate(shape) if n == 1) if axis is None else normalize_axes(axis, len(shape))
    if any(shape[i] != 1 for i in axes):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return reshaped(x, tuple([n for i, n in enumerate(shape) if i not in axes]))


def expand_dims(a: Any, axis: Any) -> Any:
    """A view with new axes of length one."""
    x = handle(a)
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    ndim = x.type.ndim + len(given)
    axes = normalize_axes(tuple(given), ndim)
    lengths = iter(x.type.shape)
    return reshaped(x, tuple([1 if i in axes else next(lengths) for i in range(ndim)]))


def atleast_1d(*arys: Any) -> Any:
    """Arrays with at least one dimension."""
    made = [reshaped(x, (1,)) if x.type.ndim == 0 else x for x in map(handle, arys)]
    return made[0] if len(made) == 1 else made


def atleast_2d(*arys: Any) -> Any:
    """Arrays with at least two dimensions."""
    made = [reshaped(x, (1, 1)) if x.type.ndim == 0 else x[None, :] if x.type.ndim == 1 else x for x in map(handle, arys)]
    return made[0] if len(made) == 1 else made


def atleast_3d(*arys: Any) -> Any:
    """Arrays with at least three dimensions."""
    made = []
    for x in map(handle, arys):
        ndim = x.type.ndim
        made.append(reshaped(x, (1, 1, 1)) if ndim == 0 else x[None, :, None] if ndim == 1 else x[:, :, None] if ndim == 2 else x)
    return made[0] if len(made) == 1 else made


def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    """A read-only view in a larger shape."""
    x = handle(array)
    wanted = (operator.index(shape),) if not isinstance(shape, (tuple, list)) else tuple([operator.index(n) for n in shape])
    return make_view(without_scalar(x), TABLE["broadcast_to"], (), (wanted,), writeable=False)


def broadcast_arrays(*args: Any, subok: bool = False) -> Any:
    """Arrays broadcast against each other (views; writing to one writes to all elements that are one place in memory)."""
    arrays = [without_scalar(handle(a)) for a in args]
    shape = np.broadcast_shapes(*[x.type.shape for x in arrays])
    return [x if x.type.shape == shape else make_view(x, TABLE["broadcast_to"], (), (shape,)) for x in arrays]


class broadcast:
    """Iterates over the elements of arrays broadcast against each other, in C order.

    Attributes:
        shape, ndim, nd, size: of the broadcast result.
        numiter: how many arrays there are.
        iters: their flat iterators.
        index: the position in the iteration.
    """

    def __init__(self, *args: Any) -> None:
        # NumPy checks the arguments, and counts those of another `broadcast` as its own
        self._operands: list[Handle] = []
        for a in args:
            self._operands += a._operands if isinstance(a, broadcast) else [handle(a)]
        it = np.broadcast(*[np.broadcast_to(np.int8(0), x.type.shape) for x in self._operands])
        self.shape, self.ndim, self.nd, self.size, self.numiter = it.shape, it.ndim, it.nd, it.size, it.numiter
        self.index = 0

    @property
    def iters(self) -> tuple[Any, ...]:
        """Flat iterators over the arrays."""
        return tuple([x.flat for x in broadcast_arrays(*self._operands)])

    def reset(self) -> None:
        """Back to the first position."""
        self.index = 0

    def __iter__(self) -> broadcast:
        return self

    def __next__(self) -> Any:
        if self.index >= self.size:
            raise StopIteration
        place = tuple([int(i) for i in np.unravel_index(self.index, self.shape)]) if self.shape else ()
        self.index += 1
        return tuple([x[place] for x in broadcast_arrays(*self._operands)])


def broadcast_shapes(*args: Any) -> Shape:
    """The shape that shapes broadcast to."""
    return np.broadcast_shapes(*args)


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """A read-only view of the diagonals of the planes that two axes span."""
    x = handle(a)
    ndim = x.type.ndim
    if ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    first, second = normalize_axis_index(axis1, ndim, "axis1"), normalize_axis_index(axis2, ndim, "axis2")
    if first == second:
        raise ValueError("axis1 and axis2 cannot be the same")
    return make_view(x, TABLE["diagonal"], (), (operator.index(offset), first, second), writeable=False)


# -- reversing and rotating (views by slices, as in NumPy) ------------------------------------------------------------------------------
_REVERSED = slice(None, None, -1)


def flip(m: Any, axis: Any = None) -> Any:
    """A view with the elements along axes in reverse order."""
    x = handle(m)
    ndim = x.type.ndim
    axes = tuple(range(ndim)) if axis is None else normalize_axes(axis, ndim)
    return indexing.get(x, tuple([_REVERSED if i in axes else slice(None) for i in range(ndim)]))


def fliplr(m: Any) -> Any:
    """A view reversed along axis 1."""
    if handle(m).type.ndim < 2:
        raise ValueError("Input must be >= 2-d.")
    return flip(m, 1)


def flipud(m: Any) -> Any:
    """A view reversed along axis 0."""
    if handle(m).type.ndim < 1:
        raise ValueError("Input must be >= 1-d.")
    return flip(m, 0)


def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    """Rotated by 90 degrees in the plane of two axes."""
    x = handle(m)
    pair = tuple(axes)
    if len(pair) != 2:
        raise ValueError("len(axes) must be 2.")
    ndim = x.type.ndim
    if pair[0] == pair[1] or abs(pair[0] - pair[1]) == ndim:
        raise ValueError("Axes must be different.")
    if not all(-ndim <= a < ndim for a in pair):
        raise ValueError(f"Axes={axes} out of range for array of ndim={ndim}.")
    k %= 4
    if k == 0:
        return x[...] if not x.type.scalar else x
    if k == 2:
        return flip(flip(x, pair[0]), pair[1])
    order = list(range(ndim))
    order[pair[0]], order[pair[1]] = order[pair[1]], order[pair[0]]
    return transpose(flip(x, pair[1]), tuple(order)) if k == 1 else flip(transpose(x, tuple(order)), pair[1])


def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """Elements shifted cyclically (a copy)."""
    x = handle(a)
    if axis is None:
        return TABLE["reshape"](roll(TABLE["reshape"](x, shape=(x.type.size,)), shift, 0), shape=x.type.shape)
    axes = normalize_axes(axis, x.type.ndim, allow_duplicate=True)
    shifts = tuple([operator.index(s) for s in (shift if isinstance(shift, (tuple, list)) else (shift,))])
    pairs = np.broadcast(np.asarray(shifts), np.asarray(axes))
    if pairs.ndim > 1:
        raise ValueError("'shift' and 'axis' should be scalars or 1D sequences")
    total: dict[int, int] = {}
    for s, ax in pairs:
        total[int(ax)] = total.get(int(ax), 0) + int(s)
    if not total:
        return TABLE["positive"](x)
    return TABLE["roll"](x, shift=tuple(total.values()), axes=tuple(total))


# -- joining -----------------------------------------------------------------------------------------------------------------------------
def concatenate(arrays: Any, /, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Arrays joined along an existing axis."""
    if isinstance(arrays, Handle):
        arrays = rows(arrays) if arrays.type.ndim else _no_sequence()
    if out is not None and dtype is not None:
        raise TypeError("concatenate() only takes `out` or `dtype` as an argument, but both were provided.")
    given = None if out is None else out_array(out)
    parts = [without_scalar(handle(a)) for a in arrays]
    if not parts:
        raise ValueError("need at least one array to concatenate")
    if axis is None:
        parts = [TABLE["reshape"](p, shape=(p.type.size,)) for p in parts]
        axis = 0
    ndim = parts[0].type.ndim
    if ndim == 0:
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    axis = normalize_axis_index(operator.index(axis), ndim)
    if dtype is not None:
        wanted = np.dtype(dtype)
        parts = [_cast(p, wanted, casting) for p in parts]
    if any(p.type.dtype.kind in "OSUVMm" for p in parts) or (
        len({p.type.dtype.str for p in parts}) > 1 and out is None and casting != "same_kind"
    ):
        return fallback.call(np.concatenate, (parts, axis), {} if out is None else {"out": out}, "concatenate")
    made = TABLE["concatenate"](*parts, axis=axis)
    if given is not None and given.shape != made.type.shape:
        raise ValueError(
            "Output array has wrong dimensionality"
            if given.ndim != made.type.ndim
            else f"[concatenate] Output array is the wrong shape: {given.shape} instead of {made.type.shape}"
        )
    if isinstance(out, Handle) and any(indexing.shares_root(out, p) for p in parts):
        # NumPy copies one after the other, and reads what it has written
        start = 0
        for part in parts:
            stop = start + part.type.shape[axis]
            indexing.put(out, (*[slice(None)] * axis, slice(start, stop)), part)
            start = stop
        return out
    return deliver(made, out, "concatenate", casting)


def rows(x: Any) -> list[Any]:
    """The sub-arrays along the first axis."""
    return list(x)


def _no_sequence() -> Any:
    raise TypeError("iteration over a 0-d array")


def _cast(x: Any, dtype: np.dtype, casting: str) -> Any:
    if x.type.dtype == dtype:
        return x
    if not np.can_cast(x.type.dtype, dtype, casting):  # type: ignore[arg-type]
        raise TypeError(f"Cannot cast array data from {x.type.dtype!r} to {dtype!r} according to the rule '{casting}'")
    return TABLE["astype"](x, dtype=dtype)


def stack(arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Arrays joined along a new axis."""
    parts = _sequence(arrays)
    if not parts:
        raise ValueError("need at least one array to stack")
    if len({p.type.shape for p in parts}) != 1:
        raise ValueError("all input arrays must have the same shape")
    axis = normalize_axis_index(operator.index(axis), parts[0].type.ndim + 1)
    if dtype is not None:
        parts = [_cast(p, np.dtype(dtype), casting) for p in parts]
    if any(p.type.dtype.kind in "OSUVMm" for p in parts):
        return fallback.call(np.stack, (parts, axis, out), {"dtype": dtype, "casting": casting}, "stack")
    if out is not None:
        return concatenate([expand_dims(p, axis) for p in parts], axis, out, casting=casting)
    return TABLE["stack"](*parts, axis=axis)


def _sequence(arrays: Any) -> list[Any]:
    if isinstance(arrays, Handle):
        return rows(arrays)
    if not isinstance(arrays, (list, tuple)) and not isinstance(arrays, np.ndarray):
        raise TypeError('arrays to stack must be passed as a "sequence" type such as list or tuple.')
    return [handle(a) for a in arrays]


def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Arrays stacked row-wise."""
    return concatenate([atleast_2d(a) for a in _sequence(tup)], 0, dtype=dtype, casting=casting)


row_stack = vstack


def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Arrays stacked column-wise."""
    parts = [atleast_1d(a) for a in _sequence(tup)]
    return concatenate(parts, 0 if parts and parts[0].type.ndim == 1 else 1, dtype=dtype, casting=casting)


def dstack(tup: Any) -> Any:
    """Arrays stacked along the third axis."""
    return concatenate([atleast_3d(a) for a in _sequence(tup)], 2)


def column_stack(tup: Any) -> Any:
    """1-d arrays as columns of a 2-d array."""
    parts = []
    for x in _sequence(tup):
        parts.append(transpose(atleast_2d(x)) if x.type.ndim < 2 else x)
    return concatenate(parts, 1)


def block(arrays: Any) -> Any:
    """An array assembled from nested lists of blocks."""
    depth, ndim = _block_depth(arrays), 0
    if depth == 0:
        return array(arrays, order="C")
    leaves: list[Any] = []
    _leaves(arrays, leaves)
    ndim = max([depth, *[x.type.ndim for x in leaves]])
    return _blocks(arrays, 0, depth, ndim)


def _block_depth(arrays: Any) -> int:
    if isinstance(arrays, tuple):
        raise TypeError("arrays is a tuple. Only lists can be used to arrange blocks.")
    if not isinstance(arrays, list):
        return 0
    if not arrays:
        raise ValueError("List at arrays cannot be empty")
    depths = {_block_depth(a) for a in arrays}
    if len(depths) > 1:
        raise ValueError("List depths are mismatched.")
    return 1 + depths.pop()


def _leaves(arrays: Any, found: list[Any]) -> None:
    if isinstance(arrays, list):
        for a in arrays:
            _leaves(a, found)
    else:
        found.append(handle(arrays))


def _blocks(arrays: Any, level: int, depth: int, ndim: int) -> Any:
    if isinstance(arrays, list):
        parts = [_blocks(a, level + 1, depth, ndim) for a in arrays]
        return concatenate(parts, ndim - depth + level)
    x = handle(arrays)
    missing = ndim - x.type.ndim
    x = reshaped(x, (1,) * missing + x.type.shape) if missing else x
    return x if depth else duplicate(without_scalar(x))


def append(arr: Any, values: Any, axis: Any = None) -> Any:
    """Values appended to the end."""
    x = handle(arr)
    if axis is None:
        return concatenate((ravel(x), ravel(handle(values))), 0)
    return concatenate((x, values), axis)


# -- splitting ---------------------------------------------------------------------------------------------------------------------------
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Sub-arrays (views); sections need not be equal."""
    x = handle(ary)
    axis = normalize_axis_index(axis, x.type.ndim)
    total = x.type.shape[axis]
    bounds: Sequence[Any]
    if (isinstance(indices_or_sections, (list, tuple, np.ndarray)) and np.ndim(indices_or_sections)) or _is_vector(indices_or_sections):
        points = [operator.index(i) for i in indices_or_sections]
        bounds = [0, *points, total]
    else:
        sections = int(indices_or_sections)
        if sections <= 0:
            raise ValueError("number sections must be larger than 0.")
        each, extras = divmod(total, sections)
        bounds = [0]
        for i in range(sections):
            bounds.append(bounds[-1] + each + (1 if i < extras else 0))
    before = (slice(None),) * axis
    return [indexing.get(x, (*before, slice(bounds[i], bounds[i + 1]))) for i in range(len(bounds) - 1)]


def _is_vector(value: Any) -> bool:
    return isinstance(value, Handle) and value.type.ndim > 0


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Sub-arrays (views) of equal size, or between given points."""
    if not np.iterable(indices_or_sections):
        total = handle(ary).type.shape[axis]
        if total % indices_or_sections:
            raise ValueError("array split does not result in an equal division")
    return array_split(ary, indices_or_sections, axis)


def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Sub-arrays column-wise."""
    ndim = handle(ary).type.ndim
    if ndim == 0:
        raise ValueError("hsplit only works on arrays of 1 or more dimensions")
    return split(ary, indices_or_sections, 1 if ndim > 1 else 0)


def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Sub-arrays row-wise."""
    if handle(ary).type.ndim < 2:
        raise ValueError("vsplit only works on arrays of 2 or more dimensions")
    return split(ary, indices_or_sections, 0)


def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Sub-arrays along the third axis."""
    if handle(ary).type.ndim < 3:
        raise ValueError("dsplit only works on arrays of 3 or more dimensions")
    return split(ary, indices_or_sections, 2)


# -- repeating ---------------------------------------------------------------------------------------------------------------------------
def tile(A: Any, reps: Any) -> Any:
    """The array repeated `reps` times along each axis."""
    x = handle(A)
    if isinstance(reps, Handle):
        reps = observe(reps, "tile")
    counts = tuple([operator.index(r) for r in reps]) if np.ndim(reps) else (operator.index(reps),)
    return TABLE["tile"](x, reps=counts)


def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    """Write `src` (broadcast) into `dst`, where the mask holds."""
    if not isinstance(dst, Handle) or dst.type.scalar:
        fallback.call(np.copyto, (dst, src), {"casting": casting, "where": where}, "copyto")
        return
    from .views import assign, cast_for_write, check_writeable, shows_same

    if isinstance(src, Handle) and src.type.ndim > 0 and shows_same(dst, src):
        # nothing is written, so NumPy does not ask whether it may
        return
    check_writeable(dst)
    value = (
        as_handle(src)
        if type(src) not in (bool, int, float, complex)
        else TABLE["full"](_fitting(src, dst.type.dtype, casting), shape=(), dtype=dst.type.dtype, context=dst.type.context)
    )
    while value.type.ndim > dst.type.ndim and value.type.shape[0] == 1:
        value = TABLE["reshape"](value, shape=value.type.shape[1:])
    value = cast_for_write(value, dst, "copyto", casting)
    if where is not True:
        mask = as_handle(where)
        if not broadcasts_to(mask.type.shape, dst.type.shape):
            raise ValueError(
                f"[copyto] could not broadcast where mask from shape {mask.type.shape} into shape {dst.type.shape}; give one that fits"
            )
        value = TABLE["where"](mask, value, dst)
    assign(dst, value)


def _fitting(number: Any, dtype: np.dtype, casting: str) -> Any:
    # a Python integer is as small as it can be: 3 fits into unsigned ones, -1 does not
    kind = np.min_scalar_type(number) if type(number) is int else np.result_type(number)
    if casting != "unsafe" and not np.can_cast(kind, dtype, "same_kind") and type(number) is not bool:
        raise TypeError(f"Cannot cast scalar from {kind!r} to {dtype!r} according to the rule '{casting}'")
    return number
