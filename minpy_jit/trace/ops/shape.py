"""Ops that arrange elements anew: reshape, transpose, broadcast, flip, roll, repeat, concatenate, pad, diagonals and triangles.

Whether a result is a view is decided by strides alone, as in NumPy; the type rules compute the strides that NumPy's result would have.
Parameters are resolved by the caller (see normalise.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..op import TABLE, Op, Ref, Sample, Types, define
from ..types import ArrayType, Shape, array_type, contiguous_strides, copied_strides
from . import kernels
from .creation import beside
from .elementwise import where
from .families import ALL_MXNET, BOOL, UNARY_SHAPES, broadcast_type, fortran_or_c_strides, samples_of

Widths = tuple[tuple[int, int], ...]

_UINT8 = np.dtype(np.uint8)
MOVABLE: frozenset[np.dtype] = ALL_MXNET | {np.dtype(np.float16)}


def tuple_attr(values: Sequence[int]) -> str:
    """MXNet's spelling of a tuple."""
    return f"({','.join(map(str, values))}{',' if len(values) == 1 else ''})"


def _as_bytes(low: Any, name: str, xs: list[Any], dtype: np.dtype, attrs: dict[str, Any]) -> Any:
    """An operator that moves elements but has no bool kernel."""
    if dtype != BOOL:
        return low.node(name, xs, attrs)
    return low.cast(low.node(name, [low.cast(x, _UINT8) for x in xs], attrs), BOOL)


def _reshaped(low: Any, entry: Any, shape: Shape) -> Any:
    # `_npx_reshape` reads special codes, `reshape` costs 1.1 µs instead of 0.3
    return low.node("_np_reshape", [entry], {"newshape": tuple_attr(shape)})


# -- reshape ------------------------------------------------------------------------------------------------------------------------------
def nocopy_strides(type_: ArrayType, shape: Shape) -> Shape | None:
    """Strides of a view of another shape, or None where only a copy has it (numpy/core/src/multiarray/shape.c: _attempt_nocopy_reshape)."""
    itemsize = type_.dtype.itemsize
    if type_.strides is None:
        return contiguous_strides(shape, itemsize)
    old = [(n, s) for n, s in zip(type_.shape, type_.strides, strict=True) if n != 1]
    strides = [0] * len(shape)
    i = j = 0
    ni, nj = 0, 0
    while ni < len(shape) and nj < len(old):
        i, j = ni + 1, nj + 1
        new_size, old_size = shape[ni], old[nj][0]
        while new_size != old_size:
            if new_size < old_size:
                new_size *= shape[i]
                i += 1
            else:
                old_size *= old[j][0]
                j += 1
        for k in range(nj, j - 1):
            if old[k][1] != old[k + 1][0] * old[k + 1][1]:
                return None
        strides[i - 1] = old[j - 1][1]
        for k in range(i - 1, ni, -1):
            strides[k - 1] = strides[k] * shape[k]
        ni, nj = i, j
    last = strides[ni - 1] * shape[ni - 1] if ni > 0 else itemsize
    for k in range(ni, len(shape)):
        strides[k] = last
    return tuple(strides)


def reshape_is_view(type_: ArrayType, shape: Shape) -> bool:
    """Whether NumPy's `reshape` gives a view."""
    return type_.strides is None or type_.shape == shape or nocopy_strides(type_, shape) is not None


def _infer_reshape(x: ArrayType, shape: Shape) -> ArrayType:
    if math.prod(shape) != x.size:
        listed = ",".join(map(str, shape)) + ("," if len(shape) == 1 else "")
        raise ValueError(f"cannot reshape array of size {x.size} into shape ({listed})")
    if x.strides is None:
        strides = None
    elif shape == x.shape:
        strides = x.strides
    else:
        strides = nocopy_strides(x, shape)
    return array_type(shape, x.dtype, strides, context=x.context)


reshape: Op = define(
    "reshape",
    fill=True,
    family="shape",
    arity=1,
    params=("shape",),
    infer=_infer_reshape,
    numpy=lambda x, shape: np.reshape(x, shape),
    mxnet=lambda low, xs, types, result, shape: _reshaped(low, xs[0], shape),
    kernel=kernels.reshape,
    mxnet_dtypes=MOVABLE,
    vjp=(lambda g, ans, x, shape: reshape(g, shape=x.shape),),
    view=True,
    put=lambda x, new, shape: reshape(new, shape=x.type.shape),
    merge=lambda numbers, params, then, params_then: (then, params_then),
    samples=(
        Sample(((2, 3),), {"shape": (3, 2)}),
        Sample(((2, 3),), {"shape": (6,)}),
        Sample(((),), {"shape": (1, 1)}),
        Sample(((1, 1),), {"shape": ()}),
        Sample(((0, 3),), {"shape": (3, 0)}),
    ),
    doc="the same elements in another shape",
)
flatten: Op = define(
    "flatten",
    family="shape",
    arity=1,
    infer=lambda x: array_type((x.size,), x.dtype, context=x.context),
    numpy=lambda x: np.ascontiguousarray(x).reshape(-1),
    mxnet=lambda low, xs, types, result: _reshaped(low, xs[0], result.shape),
    kernel=kernels.reshape,
    mxnet_dtypes=MOVABLE,
    vjp=(lambda g, ans, x: reshape(g, shape=x.shape),),
    samples=samples_of(UNARY_SHAPES),
    doc="a copy with one dimension",
)


# -- transpose ----------------------------------------------------------------------------------------------------------------------------
def _infer_transpose(x: ArrayType, axes: tuple[int, ...]) -> ArrayType:
    if sorted(axes) != list(range(x.ndim)):
        raise ValueError("axes don't match array")
    strides = x.numpy_strides()
    return array_type(tuple(x.shape[i] for i in axes), x.dtype, tuple(strides[i] for i in axes), x.scalar, None, x.context)


def _lower_transpose(low: Any, xs: list[Any], types: Types, result: ArrayType, axes: tuple[int, ...]) -> Any:
    x = types[0]
    moving = [i for i in axes if x.shape[i] != 1]
    if moving == sorted(moving):
        return _reshaped(low, xs[0], result.shape)
    if x.ndim > 6:
        return NotImplemented
    # per node 0.87 and 1.09 µs at 16x16, but 50 and 19 µs at 200x200
    name = "_np_transpose" if x.size <= 1024 else "transpose"
    return _as_bytes(low, name, xs, x.dtype, {"axes": tuple_attr(axes)})


def inverse_permutation(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes `axes`."""
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


transpose: Op = define(
    "transpose",
    fill=True,
    family="shape",
    arity=1,
    params=("axes",),
    infer=_infer_transpose,
    numpy=lambda x, axes: np.transpose(x, axes),
    mxnet=_lower_transpose,
    kernel=kernels.transpose,
    mxnet_dtypes=MOVABLE,
    vjp=(lambda g, ans, x, axes: transpose(g, axes=inverse_permutation(axes)),),
    view=True,
    put=lambda x, new, axes: transpose(new, axes=inverse_permutation(axes)),
    merge=lambda numbers, params, then, params_then: (then, (tuple([params[0][i] for i in params_then[0]]),)),
    samples=(
        Sample(((2, 3),), {"axes": (1, 0)}),
        Sample(((2, 3, 4),), {"axes": (2, 0, 1)}),
        Sample(((2, 1, 3),), {"axes": (1, 0, 2)}),
        Sample(((),), {"axes": ()}),
        Sample(((0, 3),), {"axes": (1, 0)}),
        Sample(((40, 30),), {"axes": (1, 0)}, differentiable=False),
        Sample(((2, 1, 2, 1, 2, 1, 3),), {"axes": (6, 5, 4, 3, 2, 1, 0)}),
    ),
    doc="the axes in another order",
)


# -- broadcast ----------------------------------------------------------------------------------------------------------------------------
def _infer_broadcast(x: ArrayType, shape: Shape) -> ArrayType:
    extra = len(shape) - x.ndim
    if extra < 0:
        raise ValueError("input operand has more dimensions than allowed by the axis remapping")
    if any(n not in (1, m) for n, m in zip(x.shape, shape[extra:], strict=True)):
        was, wanted = (str(s).replace(", ", ",") for s in (x.shape, shape))
        raise ValueError(
            f"operands could not be broadcast together with remapped shapes [original->remapped]: {was}  and requested shape {wanted}"
        )
    strides = (0,) * extra + tuple(0 if n == 1 else s for n, s in zip(x.shape, x.numpy_strides(), strict=True))
    return array_type(shape, x.dtype, strides, context=x.context)


def _lower_broadcast(low: Any, xs: list[Any], types: Types, result: ArrayType, shape: Shape) -> Any:
    if types[0].size == result.size:
        return _reshaped(low, xs[0], shape)
    return low.node("_npi_broadcast_to", xs, {"shape": tuple_attr(shape)})


def _broadcast_rule(g: Ref, ans: Ref, x: Ref, shape: Shape) -> Ref:
    extra = len(shape) - x.ndim
    axes = (*range(extra), *(i + extra for i, n in enumerate(x.shape) if n == 1 and shape[i + extra] != 1))
    if axes:
        g = TABLE["sum"](g, axis=axes, keepdims=False, dtype=None)
    return g if g.shape == x.shape else reshape(g, shape=x.shape)


broadcast_to = define(
    "broadcast_to",
    fill=True,
    family="shape",
    arity=1,
    params=("shape",),
    infer=_infer_broadcast,
    numpy=lambda x, shape: np.broadcast_to(x, shape),
    mxnet=_lower_broadcast,
    kernel=kernels.broadcast_to,
    mxnet_dtypes=MOVABLE,
    vjp=(_broadcast_rule,),
    view=True,
    samples=(
        Sample(((3,),), {"shape": (2, 3)}),
        Sample(((2, 1),), {"shape": (4, 2, 3)}),
        Sample(((),), {"shape": (2, 2)}),
        Sample(((2, 3),), {"shape": (2, 3)}),
        Sample(((2, 3),), {"shape": (1, 2, 3)}),
        Sample(((1, 3),), {"shape": (0, 3)}),
        Sample(((),), {"shape": ()}),
    ),
    doc="repeated along new axes and axes of length one, without a copy",
)


# -- flip, roll, shift, slices along an axis -----------------------------------------------------------------------------------------------
def _flip_index(x: Any, axes: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(None, None, -1 if i in axes else 1) for i in range(x.ndim))


def _infer_flip(x: ArrayType, axes: tuple[int, ...]) -> ArrayType:
    strides = tuple(-s if i in axes else s for i, s in enumerate(x.numpy_strides()))
    return array_type(x.shape, x.dtype, strides, context=x.context)


def _lower_flip(low: Any, xs: list[Any], types: Types, result: ArrayType, axes: tuple[int, ...]) -> Any:
    if not axes:
        return xs[0]
    return _as_bytes(low, "_npi_flip", xs, result.dtype, {"axis": tuple_attr(axes)})


flip: Op = define(
    "flip",
    family="shape",
    arity=1,
    params=("axes",),
    infer=_infer_flip,
    numpy=lambda x, axes: x[_flip_index(x, axes)] if axes else x,
    mxnet=_lower_flip,
    kernel=kernels.flip,
    mxnet_dtypes=MOVABLE,
    vjp=(lambda g, ans, x, axes: flip(g, axes=axes),),
    view=True,
    put=lambda x, new, axes: flip(new, axes=axes),
    samples=(
        Sample(((2, 3),), {"axes": (0,)}),
        Sample(((2, 3, 4),), {"axes": (0, 2)}),
        Sample(((5,),), {"axes": (0,)}),
        Sample(((2, 3),), {"axes": ()}),
        Sample(((0, 3),), {"axes": (0, 1)}),
    ),
    doc="reversed along axes",
)


def _infer_roll(x: ArrayType, shift: tuple[int, ...], axes: tuple[int, ...]) -> ArrayType:
    return array_type(x.shape, x.dtype, copied_strides(x, x.dtype), context=x.context)


def _lower_roll(low: Any, xs: list[Any], types: Types, result: ArrayType, shift: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    moves: dict[int, int] = {}
    for axis, by in zip(axes, shift, strict=True):
        # MXNet takes an axis once
        moves[axis] = moves.get(axis, 0) + by
    if not moves:
        return xs[0]
    along = sorted(moves)
    return _as_bytes(low, "_np_roll", xs, result.dtype, {"shift": tuple_attr([moves[a] for a in along]), "axis": tuple_attr(along)})


roll: Op = define(
    "roll",
    family="shape",
    arity=1,
    params=("shift", "axes"),
    infer=_infer_roll,
    numpy=lambda x, shift, axes: np.roll(x, shift, axes) if axes else x,
    mxnet=_lower_roll,
    kernel=kernels.roll,
    mxnet_dtypes=MOVABLE,
    vjp=(lambda g, ans, x, shift, axes: roll(g, shift=tuple(-s for s in shift), axes=axes),),
    samples=(
        Sample(((5,),), {"shift": (2,), "axes": (0,)}),
        Sample(((2, 3),), {"shift": (-1,), "axes": (1,)}),
        Sample(((2, 3, 4),), {"shift": (1, 7), "axes": (0, 2)}),
        Sample(((3, 4),), {"shift": (1, 1), "axes": (1, 1)}),
        Sample(((0, 3),), {"shift": (1,), "axes": (0,)}),
    ),
    doc="elements moved around axes, those that fall off come in at the other end",
)


def _infer_slice(x: ArrayType, axis: int, start: int, stop: int) -> ArrayType:
    if not 0 <= start <= stop <= x.shape[axis]:
        raise IndexError(f"slice {start}:{stop} does not lie within axis {axis} of shape {x.shape}")
    shape = (*x.shape[:axis], stop - start, *x.shape[axis + 1 :])
    return array_type(shape, x.dtype, x.numpy_strides(), context=x.context)


def _lower_slice(low: Any, xs: list[Any], types: Types, result: ArrayType, axis: int, start: int, stop: int) -> Any:
    if result.shape == types[0].shape:
        return xs[0]
    return _as_bytes(low, "slice_axis", xs, result.dtype, {"axis": axis, "begin": start, "end": stop})


def _slice_rule(g: Ref, ans: Ref, x: Ref, axis: int, start: int, stop: int) -> Ref:
    return pad_zeros(g, width=tuple((start, n - stop) if i == axis else (0, 0) for i, n in enumerate(x.shape)))


def _cut(x: Any, axis: int, start: int, stop: int) -> Any:
    return x[(slice(None),) * axis + (slice(start, stop),)]


def _put_slice(x: Any, new: Any, axis: int, start: int, stop: int) -> Any:
    return concatenate(
        slice_axis(x, axis=axis, start=0, stop=start), new, slice_axis(x, axis=axis, start=stop, stop=x.type.shape[axis]), axis=axis
    )


slice_axis: Op = define(
    "slice_axis",
    family="shape",
    arity=1,
    params=("axis", "start", "stop"),
    infer=_infer_slice,
    numpy=_cut,
    mxnet=_lower_slice,
    kernel=kernels.slice_axis,
    mxnet_dtypes=MOVABLE,
    vjp=(_slice_rule,),
    view=True,
    put=_put_slice,
    samples=(
        Sample(((5,),), {"axis": 0, "start": 1, "stop": 4}),
        Sample(((3, 4),), {"axis": 1, "start": 0, "stop": 3}),
        Sample(((3, 4),), {"axis": 0, "start": 0, "stop": 3}),
        Sample(((3, 4),), {"axis": 0, "start": 2, "stop": 2}),
    ),
    doc="a stretch along one axis, bounds known (what other rules are made of)",
)


def _numpy_shift(x: Any, by: int, axis: int, fill: float) -> Any:
    out = np.full(x.shape, fill, x.dtype)
    n = x.shape[axis]
    kept = max(n - abs(by), 0)
    if kept:
        _cut(out, axis, max(by, 0), max(by, 0) + kept)[...] = _cut(x, axis, max(-by, 0), max(-by, 0) + kept)
    return out


shift: Op = define(
    "shift",
    family="shape",
    arity=1,
    params=("by", "axis", "fill"),
    infer=lambda x, by, axis, fill: array_type(x.shape, x.dtype, context=x.context),
    numpy=_numpy_shift,
    kernel=kernels.shift,
    vjp=(lambda g, ans, x, by, axis, fill: shift(g, by=-by, axis=axis, fill=0.0),),
    samples=(
        Sample(((5,),), {"by": 2, "axis": 0, "fill": 1.0}),
        Sample(((2, 3),), {"by": -1, "axis": 1, "fill": 0.0}),
        Sample(((2, 3),), {"by": 4, "axis": 1, "fill": 0.0}),
    ),
    doc="elements moved along an axis, a number comes in",
)


# -- repetition ---------------------------------------------------------------------------------------------------------------------------
def _tile_parts(x: ArrayType, reps: tuple[int, ...]) -> tuple[Shape, tuple[int, ...]]:
    """Shape and repetitions, both as long as the longer."""
    ndim = max(x.ndim, len(reps))
    return (1,) * (ndim - x.ndim) + x.shape, (1,) * (ndim - len(reps)) + reps


def _infer_tile(x: ArrayType, reps: tuple[int, ...]) -> ArrayType:
    if any(r < 0 for r in reps):
        raise ValueError("negative dimensions are not allowed")
    shape, times = _tile_parts(x, reps)
    result = tuple(n * r for n, r in zip(shape, times, strict=True))
    strides = None
    if all(r == 1 for r in times) and x.strides is not None:
        kept = copied_strides(x, x.dtype)
        strides = None if kept is None else nocopy_strides(array_type(x.shape, x.dtype, kept), shape)
    return array_type(result, x.dtype, strides, context=x.context)


def _tile_rule(g: Ref, ans: Ref, x: Ref, reps: tuple[int, ...]) -> Ref:
    shape, times = _tile_parts(x.type, reps)
    apart = tuple(k for pair in zip(times, shape, strict=True) for k in pair)
    g = TABLE["sum"](reshape(g, shape=apart), axis=tuple(range(0, len(apart), 2)), keepdims=False, dtype=None)
    return reshape(g, shape=x.shape)


tile = define(
    "tile",
    family="shape",
    arity=1,
    params=("reps",),
    infer=_infer_tile,
    numpy=lambda x, reps: np.tile(x, reps),
    mxnet=lambda low, xs, types, result, reps: low.node("_npi_tile", xs, {"reps": tuple_attr(reps)}) if reps else xs[0],
    kernel=kernels.tile,
    mxnet_dtypes=MOVABLE,
    vjp=(_tile_rule,),
    samples=(
        Sample(((2, 3),), {"reps": (2, 1)}),
        Sample(((2, 3),), {"reps": (2,)}),
        Sample(((3,),), {"reps": (2, 1, 3)}),
        Sample(((),), {"reps": (2, 2)}),
        Sample(((2, 3),), {"reps": ()}),
        Sample(((2, 3),), {"reps": (1, 0)}),
    ),
    doc="the array set side by side",
)


def _infer_repeat(x: ArrayType, repeats: int, axis: int) -> ArrayType:
    if repeats < 0:
        raise ValueError("repeats may not contain negative values.")
    return array_type((*x.shape[:axis], x.shape[axis] * repeats, *x.shape[axis + 1 :]), x.dtype, context=x.context)


def _repeat_rule(g: Ref, ans: Ref, x: Ref, repeats: int, axis: int) -> Ref:
    apart = reshape(g, shape=(*x.shape[: axis + 1], repeats, *x.shape[axis + 1 :]))
    return TABLE["sum"](apart, axis=(axis + 1,), keepdims=False, dtype=None)


repeat = define(
    "repeat",
    family="shape",
    arity=1,
    params=("repeats", "axis"),
    infer=_infer_repeat,
    numpy=lambda x, repeats, axis: np.repeat(x, repeats, axis),
    mxnet=lambda low, xs, types, result, repeats, axis: low.node("repeat", xs, {"repeats": repeats, "axis": axis}),
    kernel=kernels.repeat,
    mxnet_dtypes=MOVABLE,
    vjp=(_repeat_rule,),
    samples=(
        Sample(((3,),), {"repeats": 2, "axis": 0}),
        Sample(((2, 3),), {"repeats": 3, "axis": 0}),
        Sample(((2, 3, 2),), {"repeats": 2, "axis": 1}),
        Sample(((2, 3),), {"repeats": 0, "axis": 1}),
    ),
    doc="each element several times along an axis",
)


# -- joining ------------------------------------------------------------------------------------------------------------------------------
def _joined_strides(types: Sequence[ArrayType], shape: Shape, itemsize: int) -> Shape | None:
    """Strides of a concatenation: the memory order that suits all operands (multiarray/shape.c: PyArray_CreateMultiSortedStridePerm)."""
    if all(t.strides is None for t in types) or math.prod(shape) == 0:
        return None
    rows = [(t.shape, [abs(s) for s in t.numpy_strides()]) for t in types]
    order = list(range(len(shape)))
    for i in range(1, len(shape)):
        axis, insert_at = order[i], i
        for j in range(i - 1, -1, -1):
            other = order[j]
            ambiguous, swap = True, False
            for lengths, strides in rows:
                if lengths[axis] != 1 and lengths[other] != 1:
                    if strides[axis] <= strides[other]:
                        swap = False
                    elif ambiguous:
                        swap = True
                    ambiguous = False
            if not ambiguous:
                if not swap:
                    break
                insert_at = j
        if insert_at != i:
            order.insert(insert_at, order.pop(i))
    result, step = [0] * len(shape), itemsize
    for axis in reversed(order):
        result[axis] = step
        step *= shape[axis]
    return tuple(result)


def _infer_concatenate(*types: ArrayType, axis: int) -> ArrayType:
    if not types:
        raise ValueError("need at least one array to concatenate")
    first = types[0]
    if first.ndim == 0:
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    length = 0
    for k, t in enumerate(types):
        if t.ndim != first.ndim:
            raise ValueError(
                "all the input arrays must have same number of dimensions, but the array at index 0 has "
                f"{first.ndim} dimension(s) and the array at index {k} has {t.ndim} dimension(s)"
            )
        for i, (n, m) in enumerate(zip(first.shape, t.shape, strict=True)):
            if n != m and i != axis:
                raise ValueError(
                    "all the input array dimensions except for the concatenation axis must match exactly, but along dimension "
                    f"{i}, the array at index 0 has size {n} and the array at index {k} has size {m}"
                )
        length += t.shape[axis]
    shape = (*first.shape[:axis], length, *first.shape[axis + 1 :])
    dtype = first.dtype if all(t is first for t in types) else np.result_type(*[t.dtype for t in types])
    return array_type(shape, dtype, _joined_strides(types, shape, dtype.itemsize), context=first.context)


def _joined_dtypes(types: Types, params: dict[str, Any]) -> tuple[np.dtype, ...]:
    return (np.result_type(*[t.dtype for t in types]),) * len(types)


def _lower_concatenate(low: Any, xs: list[Any], types: Types, result: ArrayType, axis: int) -> Any:
    if len(xs) == 1:
        return xs[0]
    return low.node("_npi_concatenate", xs, {"axis": axis, "num_args": len(xs)})


def _concatenate_rule(g: Ref, ans: Ref, operands: Sequence[Ref], index: int, axis: int) -> Ref:
    start = sum(x.shape[axis] for x in operands[:index])
    return slice_axis(g, axis=axis, start=start, stop=start + operands[index].shape[axis])


concatenate: Op = define(
    "concatenate",
    family="shape",
    arity=None,
    params=("axis",),
    infer=_infer_concatenate,
    numpy=lambda *xs, axis: np.concatenate(xs, axis),
    operand_dtypes=_joined_dtypes,
    mxnet=_lower_concatenate,
    kernel=kernels.concatenate,
    mxnet_dtypes=MOVABLE,
    vjp=_concatenate_rule,
    samples=(
        Sample(((2, 3), (1, 3)), {"axis": 0}),
        Sample(((2, 3), (2, 1), (2, 2)), {"axis": 1}),
        Sample(((3,),), {"axis": 0}),
        Sample(((0, 3), (2, 3)), {"axis": 0}),
    ),
    doc="arrays joined along an axis",
)


def _widened(x: ArrayType, axis: int) -> ArrayType:
    return _infer_reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]))


def _infer_stack(*types: ArrayType, axis: int) -> ArrayType:
    if not types:
        raise ValueError("need at least one array to stack")
    if any(t.shape != types[0].shape for t in types):
        raise ValueError("all input arrays must have the same shape")
    return _infer_concatenate(*[_widened(t, axis) for t in types], axis=axis)


def _stack_rule(g: Ref, ans: Ref, operands: Sequence[Ref], index: int, axis: int) -> Ref:
    return reshape(slice_axis(g, axis=axis, start=index, stop=index + 1), shape=operands[index].shape)


stack = define(
    "stack",
    family="shape",
    arity=None,
    params=("axis",),
    infer=_infer_stack,
    numpy=lambda *xs, axis: np.stack(xs, axis),
    operand_dtypes=_joined_dtypes,
    mxnet=lambda low, xs, types, result, axis: low.node("_npi_stack", xs, {"axis": axis, "num_args": len(xs)}),
    kernel=kernels.stack,
    mxnet_dtypes=MOVABLE,
    vjp=_stack_rule,
    samples=(
        Sample(((2, 3), (2, 3)), {"axis": 0}),
        Sample(((2, 3), (2, 3), (2, 3)), {"axis": 2}),
        Sample(((), ()), {"axis": 0}),
        Sample(((3,),), {"axis": 1}),
        Sample(((0, 3), (0, 3)), {"axis": 1}),
    ),
    doc="arrays of one shape along a new axis",
)


# -- padding ------------------------------------------------------------------------------------------------------------------------------
def _infer_pad(x: ArrayType, width: Widths) -> ArrayType:
    if any(n < 0 for pair in width for n in pair):
        raise ValueError("index can't contain negative values")
    shape = tuple(n + before + after for n, (before, after) in zip(x.shape, width, strict=True))
    strides = None
    if fortran_or_c_strides(x, x.dtype) is not None:
        strides = contiguous_strides(shape[::-1], x.dtype.itemsize)[::-1]
    return array_type(shape, x.dtype, strides, context=x.context)


def _inside(shape: Shape, width: Widths) -> tuple[slice, ...]:
    """Where an array lies within its padded self."""
    return tuple(slice(before, before + n) for n, (before, _) in zip(shape, width, strict=True))


def _zeros_around(low: Any, entry: Any, x: ArrayType, result: ArrayType, width: Widths) -> Any:
    if not any(n for pair in width for n in pair):
        return entry
    if x.ndim == 1:
        # `_npi_pad` cannot read one pair
        row = low.node("_npi_pad", [_reshaped(low, entry, (1, *x.shape))], {"mode": "constant", "pad_width": f"((0,0),{width[0]})"})
        return _reshaped(low, row, result.shape)
    return low.node("_npi_pad", [entry], {"mode": "constant", "pad_width": str(width)})


def _lower_pad_zeros(low: Any, xs: list[Any], types: Types, result: ArrayType, width: Widths) -> Any:
    return _zeros_around(low, xs[0], types[0], result, width)


def _numpy_pad(x: Any, fill: Any, width: Widths) -> Any:
    shape = tuple(n + before + after for n, (before, after) in zip(x.shape, width, strict=True))
    out = np.full(shape, fill, x.dtype, "F" if x.flags.fnc else "C")
    out[_inside(x.shape, width)] = x
    return out


def _crop(g: Ref, x: Ref, width: Widths) -> Ref:
    for axis, (before, after) in enumerate(width):
        if before or after:
            g = slice_axis(g, axis=axis, start=before, stop=before + x.shape[axis])
    return g


_WIDTHS: tuple[tuple[Shape, Widths], ...] = (
    ((3,), ((1, 2),)),
    ((2, 3), ((1, 0), (2, 3))),
    ((2, 3), ((0, 0), (0, 0))),
    ((2, 1, 3), ((0, 1), (0, 0), (1, 1))),
    ((0, 3), ((1, 1), (0, 0))),
)
pad_zeros: Op = define(
    "pad_zeros",
    family="shape",
    arity=1,
    params=("width",),
    infer=_infer_pad,
    numpy=lambda x, width: _numpy_pad(x, 0, width),
    mxnet=_lower_pad_zeros,
    kernel=kernels.pad_zeros,
    mxnet_dtypes=MOVABLE,
    vjp=(lambda g, ans, x, width: _crop(g, x, width),),
    samples=tuple(Sample((s,), {"width": w}) for s, w in _WIDTHS),
    doc="zeros set around an array",
)


def _infer_pad_fill(x: ArrayType, fill: ArrayType, width: Widths) -> ArrayType:
    return _infer_pad(x, width)


def _lower_pad(low: Any, xs: list[Any], types: Types, result: ArrayType, width: Widths) -> Any:
    x = types[0]
    mask = np.zeros(result.shape, np.bool_)
    mask[_inside(x.shape, width)] = True
    return low.node("_npi_where", [low.constant(mask), _zeros_around(low, xs[0], x, result, width), xs[1]])


def _fill_rule(g: Ref, ans: Ref, x: Ref, fill: Ref, width: Widths) -> Ref:
    return TABLE["sum"](g, axis=None, keepdims=False, dtype=None) - TABLE["sum"](_crop(g, x, width), axis=None, keepdims=False, dtype=None)


pad: Op = define(
    "pad",
    family="shape",
    arity=2,
    params=("width",),
    infer=_infer_pad_fill,
    numpy=_numpy_pad,
    operand_dtypes=lambda types, params: (types[0].dtype, types[0].dtype),
    mxnet=_lower_pad,
    kernel=kernels.pad,
    mxnet_dtypes=ALL_MXNET,
    vjp=(lambda g, ans, x, fill, width: _crop(g, x, width), _fill_rule),
    samples=tuple(Sample((s, ()), {"width": w}) for s, w in _WIDTHS),
    doc="a value set around an array",
)


# -- diagonals and triangles ---------------------------------------------------------------------------------------------------------------
def diagonal_length(rows: int, columns: int, offset: int) -> int:
    """Elements on a diagonal."""
    return max(min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns), 0)


def _infer_diagonal(x: ArrayType, offset: int, axis1: int, axis2: int) -> ArrayType:
    if x.ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    if axis1 == axis2:
        raise ValueError("axis1 and axis2 cannot be the same")
    strides = x.numpy_strides()
    rest = [i for i in range(x.ndim) if i not in (axis1, axis2)]
    shape = (*[x.shape[i] for i in rest], diagonal_length(x.shape[axis1], x.shape[axis2], offset))
    steps = (*[strides[i] for i in rest], strides[axis1] + strides[axis2])
    return array_type(shape, x.dtype, steps, context=x.context)


def _lower_diagonal(low: Any, xs: list[Any], types: Types, result: ArrayType, offset: int, axis1: int, axis2: int) -> Any:
    return _as_bytes(low, "_np_diagonal", xs, result.dtype, {"offset": offset, "axis1": axis1, "axis2": axis2})


def _put_diagonal(x: Any, new: Any, offset: int, axis1: int, axis2: int) -> Any:
    shape = x.type.shape
    mask = beside(x, TABLE["eye"], rows=shape[axis1], columns=shape[axis2], k=offset, dtype=BOOL, context=x.type.context)
    if axis1 > axis2:
        mask = transpose(mask, axes=(1, 0))
    mask = reshape(mask, shape=tuple(n if i in (axis1, axis2) else 1 for i, n in enumerate(shape)))
    return where(mask, place_diagonal(new, offset=offset, axis1=axis1, axis2=axis2, shape=shape), x)


diagonal: Op = define(
    "diagonal",
    family="shape",
    arity=1,
    params=("offset", "axis1", "axis2"),
    defaults={"offset": 0, "axis1": 0, "axis2": 1},
    infer=_infer_diagonal,
    numpy=lambda x, offset, axis1, axis2: np.diagonal(x, offset, axis1, axis2),
    mxnet=_lower_diagonal,
    kernel=kernels.diagonal,
    mxnet_dtypes=MOVABLE,
    vjp=(lambda g, ans, x, offset, axis1, axis2: place_diagonal(g, offset=offset, axis1=axis1, axis2=axis2, shape=x.shape),),
    view=True,
    put=_put_diagonal,
    samples=(
        Sample(((3, 3),), {"offset": 0, "axis1": 0, "axis2": 1}),
        Sample(((3, 4),), {"offset": 1, "axis1": 0, "axis2": 1}),
        Sample(((3, 4),), {"offset": -1, "axis1": 1, "axis2": 0}),
        Sample(((2, 3, 4),), {"offset": 1, "axis1": 2, "axis2": 0}),
        Sample(((2, 3),), {"offset": 5, "axis1": 0, "axis2": 1}),
    ),
    doc="the elements of a diagonal (a view)",
)


def _numpy_place(x: Any, offset: int, axis1: int, axis2: int, shape: Shape) -> Any:
    out = np.zeros(shape, x.dtype)
    at = np.arange(x.shape[-1])
    matrices = np.moveaxis(out, (axis1, axis2), (-2, -1))
    matrices[..., at + max(-offset, 0), at + max(offset, 0)] = x
    return out


def _infer_place(x: ArrayType, offset: int, axis1: int, axis2: int, shape: Shape) -> ArrayType:
    return array_type(shape, x.dtype, context=x.context)


def _lower_place(low: Any, xs: list[Any], types: Types, result: ArrayType, offset: int, axis1: int, axis2: int, shape: Shape) -> Any:
    if len(shape) != 2:
        return NotImplemented
    k = offset if axis1 < axis2 else -offset
    side = types[0].shape[0] + abs(k)
    if min(shape) > side or (shape[0] != side and shape[1] != side):
        return NotImplemented
    dtype = result.dtype
    entry = low.cast(xs[0], _UINT8) if dtype == BOOL else xs[0]
    entry = low.node("_np_diag", [entry], {"k": k})
    for axis, n in enumerate(shape):
        if n < side:
            entry = low.node("slice_axis", [entry], {"axis": axis, "begin": 0, "end": n})
    missing = tuple((0, max(n - side, 0)) for n in shape)
    if any(after for _, after in missing):
        entry = low.node("_npi_pad", [entry], {"mode": "constant", "pad_width": str(missing)})
    return low.cast(entry, BOOL) if dtype == BOOL else entry


def _place_rule(g: Ref, ans: Ref, x: Ref, offset: int, axis1: int, axis2: int, shape: Shape) -> Ref:
    return diagonal(g, offset=offset, axis1=axis1, axis2=axis2)


place_diagonal: Op = define(
    "place_diagonal",
    family="shape",
    arity=1,
    params=("offset", "axis1", "axis2", "shape"),
    infer=_infer_place,
    numpy=_numpy_place,
    mxnet=_lower_place,
    kernel=kernels.place_diagonal,
    mxnet_dtypes=MOVABLE,
    vjp=(_place_rule,),
    samples=(
        Sample(((3,),), {"offset": 0, "axis1": 0, "axis2": 1, "shape": (3, 3)}),
        Sample(((3,),), {"offset": 1, "axis1": 0, "axis2": 1, "shape": (4, 4)}),
        Sample(((3,),), {"offset": 1, "axis1": 0, "axis2": 1, "shape": (3, 4)}),
        Sample(((3,),), {"offset": -1, "axis1": 1, "axis2": 0, "shape": (3, 5)}),
        Sample(((3,),), {"offset": -2, "axis1": 0, "axis2": 1, "shape": (6, 3)}),
        Sample(((2, 3),), {"offset": 0, "axis1": 0, "axis2": 2, "shape": (3, 2, 4)}),
    ),
    doc="zeros with a diagonal set: the transpose of `diagonal`",
)


def triangle(shape: Shape, k: int) -> np.ndarray:
    """Which elements lie on or below diagonal `k`; a vector is taken as the rows of a square."""
    if not shape:
        raise TypeError("tri() missing 1 required positional argument: 'N'")
    rows, columns = shape * 2 if len(shape) == 1 else shape[-2:]
    return np.tri(rows, columns, k, np.bool_)


def _triangle_op(name: str, function: Callable[..., Any], lower: Callable[..., Any], doc: str) -> Op:
    def infer(x: ArrayType, k: int) -> ArrayType:
        if not x.shape:
            raise TypeError("tri() missing 1 required positional argument: 'N'")
        mask = array_type(x.shape * 2 if x.ndim == 1 else x.shape[-2:], BOOL, context=x.context)
        return broadcast_type((mask, x), x.dtype)

    def rule(g: Ref, ans: Ref, x: Ref, k: int) -> Ref:
        # a vector became the rows of a square: the pullback sums over them
        return op(g, k=k)

    op = define(
        name,
        family="shape",
        arity=1,
        params=("k",),
        infer=infer,
        numpy=lambda x, k: function(x, k),
        mxnet=lower,
        kernel=kernels.triangle(below=name == "tril"),
        mxnet_dtypes=ALL_MXNET,
        vjp=(rule,),
        samples=(
            Sample(((3, 3),), {"k": 0}),
            Sample(((3, 4),), {"k": 1}),
            Sample(((2, 4, 3),), {"k": -1}),
            Sample(((3,),), {"k": 0}),
            Sample(((0, 3),), {"k": 0}),
        ),
        doc=doc,
    )
    return op


def _lower_tril(low: Any, xs: list[Any], types: Types, result: ArrayType, k: int) -> Any:
    return _as_bytes(low, "_npi_tril", xs, result.dtype, {"k": k})


def _lower_triu(low: Any, xs: list[Any], types: Types, result: ArrayType, k: int) -> Any:
    below = low.constant(triangle(types[0].shape, k - 1))
    return low.node("_npi_where", [below, low.constant(np.zeros((), result.dtype)), xs[0]])


tril = _triangle_op("tril", np.tril, _lower_tril, "zeros above a diagonal")
triu = _triangle_op("triu", np.triu, _lower_triu, "zeros below a diagonal")
