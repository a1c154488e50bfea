"""Any view at all: an array's memory read and written by offset, shape and strides, as NumPy's own views are.

A long chain of views is one of these, and so are windows (`as_strided`, `sliding_window_view`). Offsets and strides count elements of the
array in its memory order, which `axes` gives: the permutation that makes the array C-contiguous.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..op import TABLE, Op, Ref, Sample, Types, define
from ..types import ArrayType, Shape, array_type, contiguous_strides, overlaps
from . import kernels
from .creation import LARGEST_CONSTANT, beside
from .elementwise import where
from .families import INT64, NUMBERS
from .shape import inverse_permutation, tuple_attr

Axes = tuple[int, ...]


def positions(shape: Shape, strides: Shape) -> np.ndarray:
    """Where the elements lie in memory, in elements from the first."""
    found = np.zeros((1,) * len(shape), np.int64)
    for k, (n, step) in enumerate(zip(shape, strides, strict=True)):
        found = found + (np.arange(n) * step).reshape((n,) + (1,) * (len(shape) - k - 1))
    return found


def spacing(x: ArrayType, axes: Axes) -> int:
    """Bytes from an element to the next in memory: more than its own where all are parts or fields of larger ones."""
    strides, itemsize = x.numpy_strides(), x.dtype.itemsize
    gap = next((abs(strides[i]) for i in reversed(axes) if x.shape[i] != 1), itemsize)
    lengths = contiguous_strides([x.shape[i] for i in axes], gap)
    return gap if all(x.shape[i] == 1 or strides[i] == n for i, n in zip(axes, lengths, strict=True)) else itemsize


def fits(size: int, offset: int, shape: Shape, strides: Shape) -> bool:
    """Whether every element lies within `size` elements of memory."""
    if 0 in shape:
        return True
    moves = [s * (n - 1) for n, s in zip(shape, strides, strict=True)]
    return offset + sum(m for m in moves if m < 0) >= 0 and offset + sum(m for m in moves if m > 0) < size


def _memory(x: np.ndarray, axes: Axes) -> np.ndarray:
    """The array as one stretch of memory (a view where it lies so, evenly spaced, else a copy)."""
    return x.transpose(axes).reshape(-1)


def _shown(flat: np.ndarray, offset: Any, shape: Shape, strides: Shape) -> np.ndarray:
    if 0 in shape:
        return np.empty(shape, flat.dtype)
    if not flat.flags.c_contiguous:
        (step,) = flat.strides
        return np.lib.stride_tricks.as_strided(flat[int(offset) :], shape, [s * step for s in strides])
    return np.ndarray(shape, flat.dtype, flat, int(offset) * flat.itemsize, [s * flat.itemsize for s in strides])


def _numpy_strided(x: Any, offset: Any, axes: Axes, shape: Shape, strides: Shape) -> Any:
    return _shown(_memory(x, axes), offset, shape, strides)


def _flat(low: Any, entry: Any, x: ArrayType, axes: Axes) -> Any:
    if axes != tuple(range(x.ndim)):
        entry = low.node("transpose", [entry], {"axes": tuple_attr(axes)})
    return low.node("_np_reshape", [entry], {"newshape": tuple_attr((x.size,))})


def _lower_strided(low: Any, xs: list[Any], types: Types, result: ArrayType, axes: Axes, shape: Shape, strides: Shape) -> Any:
    if not 0 < result.size <= LARGEST_CONSTANT or types[0].ndim > 6:
        return NotImplemented
    at = low.node("_npi_add", [low.constant(positions(shape, strides)), xs[1]])
    return low.node("take", [_flat(low, xs[0], types[0], axes), at], {"axis": 0, "mode": "clip"})


def _strided_rule(g: Ref, ans: Ref, x: Ref, offset: Ref, axes: Axes, shape: Shape, strides: Shape) -> Ref:
    return add_strided(g, offset, size=x.shape, axes=axes, strides=strides)


# shape of the array, offset, axes, shape and strides of the view
_VIEWS: tuple[tuple[Shape, int, Axes, Shape, Shape], ...] = (
    ((4, 3), 1, (0, 1), (2, 2), (6, 1)),
    ((4, 3), 11, (0, 1), (3, 4), (-1, -3)),
    ((4, 3), 2, (1, 0), (5,), (2,)),
    ((6,), 0, (0,), (4, 3), (1, 1)),
    ((6,), 2, (0,), (2, 3), (0, 1)),
    ((6,), 5, (0,), (1,), (1,)),
    ((6,), 0, (0,), (0, 2), (1, 1)),
)

strided: Op = define(
    "strided",
    family="index",
    arity=2,
    params=("axes", "shape", "strides"),
    infer=lambda x, offset, axes, shape, strides: array_type(
        shape, x.dtype, tuple([s * spacing(x, axes) for s in strides]), context=x.context
    ),
    numpy=_numpy_strided,
    operand_dtypes=lambda types, params: (types[0].dtype, INT64),
    mxnet=_lower_strided,
    kernel=kernels.strided,
    # `transpose` knows no bool
    mxnet_dtypes=NUMBERS,
    vjp=(_strided_rule, lambda g, ans, x, offset, **params: None),
    view=True,
    put=lambda x, new, offset, axes, shape, strides: set_strided(x, new, offset, axes=axes, shape=shape, strides=strides),
    samples=tuple(Sample((n, at), {"axes": axes, "shape": shape, "strides": steps}) for n, at, axes, shape, steps in _VIEWS),
    doc="an array's memory through an offset, a shape and strides (a view)",
)


# -- writing ------------------------------------------------------------------------------------------------------------------------------
def _dense(like: ArrayType, shape: Shape, axes: Axes) -> ArrayType:
    """A fresh array with its axes in this order in memory."""
    lengths = contiguous_strides([shape[i] for i in axes], like.dtype.itemsize)
    return array_type(shape, like.dtype, tuple([lengths[k] for k in inverse_permutation(axes)]), context=like.context)


def _infer_set(x: ArrayType, new: ArrayType, offset: ArrayType, axes: Axes, shape: Shape, strides: Shape) -> ArrayType:
    given = new.shape
    while len(given) > len(shape) and given[0] == 1:
        given = given[1:]
    if len(given) > len(shape) or any(n not in (1, m) for n, m in zip(reversed(given), reversed(shape), strict=False)):
        listed = [str(s).replace(", ", ",") for s in (given, shape)]
        raise ValueError(f"could not broadcast input array from shape {listed[0]} into shape {listed[1]}")
    return _dense(x, x.shape, axes)


def _numpy_set(
    x: np.ndarray, new: np.ndarray, offset: Any, axes: Axes, shape: Shape, strides: Shape, out: np.ndarray | None = None
) -> np.ndarray:
    lying = (x if out is None else out).transpose(axes)
    if out is None or not lying.flags.c_contiguous:
        lying = np.array(lying, order="C")
    if 0 not in shape:
        # where places repeat NumPy's own order decides which value stays
        _shown(lying.reshape(-1), offset, shape, strides)[...] = new.reshape(new.shape[max(new.ndim - len(shape), 0) :])
    return lying.transpose(inverse_permutation(axes))


def _placed(low: Any, entry: Any, shape: Shape, axes: Axes) -> Any:
    """Flat memory as the array that lies in it."""
    entry = low.node("_np_reshape", [entry], {"newshape": tuple_attr([shape[i] for i in axes])})
    if axes == tuple(range(len(shape))):
        return entry
    return low.node("transpose", [entry], {"axes": tuple_attr(inverse_permutation(axes))})


def _lower_set(low: Any, xs: list[Any], types: Types, result: ArrayType, axes: Axes, shape: Shape, strides: Shape) -> Any:
    count = math.prod(shape)
    # of several values for one place MXNet keeps any
    if not 0 < count <= LARGEST_CONSTANT or result.ndim > 6 or not result.ndim or overlaps(shape, strides):
        return NotImplemented
    new, given = xs[1], types[1].shape
    if math.prod(given) != count:
        if len(given) > len(shape):
            new = low.node("_np_reshape", [new], {"newshape": tuple_attr(given[len(given) - len(shape) :])})
        new = low.node("_npi_broadcast_to", [new], {"shape": tuple_attr(shape)})
    at = low.node("_npi_add", [low.constant(positions(shape, strides).reshape(count)), xs[2]])
    new = low.node("_np_reshape", [new], {"newshape": tuple_attr((count,))})
    return _placed(low, low.node("_contrib_index_copy", [_flat(low, xs[0], types[0], axes), at, new]), result.shape, axes)


def _set_rule_new(g: Ref, ans: Ref, x: Ref, new: Ref, offset: Ref, axes: Axes, shape: Shape, strides: Shape) -> Ref:
    found = strided(g, offset, axes=axes, shape=shape, strides=strides)
    if overlaps(shape, strides):
        # of the values written to one place the last is there: found by writing their numbers
        numbers = beside(g, TABLE["arange"], start=0, stop=math.prod(shape), step=1, dtype=INT64, context=g.type.context)
        numbers = TABLE["reshape"](numbers, shape=shape)
        blank = beside(g, TABLE["zeros"], shape=x.shape, dtype=INT64, context=g.type.context)
        written = set_strided(blank, numbers, offset, axes=axes, shape=shape, strides=strides)
        found = where(TABLE["equal"](strided(written, offset, axes=axes, shape=shape, strides=strides), numbers), found, 0.0)
    return found


set_strided: Op = define(
    "set_strided",
    family="index",
    arity=3,
    params=("axes", "shape", "strides"),
    infer=_infer_set,
    numpy=_numpy_set,
    operand_dtypes=lambda types, params: (types[0].dtype, types[0].dtype, INT64),
    mxnet=_lower_set,
    kernel=kernels.set_strided,
    mxnet_dtypes=NUMBERS,
    vjp=(
        lambda g, ans, x, new, offset, **params: set_strided(g, 0.0, offset, **params),
        _set_rule_new,
        lambda g, ans, x, new, offset, **params: None,
    ),
    inplace=0,
    samples=(
        *(Sample((n, shape, at), {"axes": axes, "shape": shape, "strides": steps}) for n, at, axes, shape, steps in _VIEWS),
        Sample(((4, 3), (2,), 1), {"axes": (0, 1), "shape": (2, 2), "strides": (6, 1)}),
    ),
    doc="x with values written to its memory through an offset, a shape and strides; of several for one place the last stays",
)


def _numpy_add(g: np.ndarray, offset: Any, size: Shape, axes: Axes, strides: Shape) -> np.ndarray:
    flat = np.zeros(math.prod(size), g.dtype)
    if g.size:
        np.add.at(flat, (positions(g.shape, strides) + int(offset)).reshape(-1), g.reshape(-1))
    return flat.reshape([size[i] for i in axes]).transpose(inverse_permutation(axes))


def _lower_add(low: Any, xs: list[Any], types: Types, result: ArrayType, size: Shape, axes: Axes, strides: Shape) -> Any:
    count = types[0].size
    if not 0 < count <= LARGEST_CONSTANT or not 0 < len(size) <= 6 or result.dtype.itemsize < 4:
        return NotImplemented
    at = low.node("_npi_add", [low.constant(positions(types[0].shape, strides).reshape(1, count)), xs[1]])
    data = low.node("_np_reshape", [xs[0]], {"newshape": tuple_attr((count,))})
    return _placed(low, low.node("_backward_gather_nd", [data, at], {"shape": tuple_attr((result.size,))}), size, axes)


add_strided: Op = define(
    "add_strided",
    family="index",
    arity=2,
    params=("size", "axes", "strides"),
    infer=lambda g, offset, size, axes, strides: _dense(g, size, axes),
    numpy=_numpy_add,
    operand_dtypes=lambda types, params: (types[0].dtype, INT64),
    mxnet=_lower_add,
    kernel=kernels.add_strided,
    mxnet_dtypes=NUMBERS,
    vjp=(
        lambda g, ans, x, offset, size, axes, strides: strided(g, offset, axes=axes, shape=x.shape, strides=strides),
        lambda g, ans, x, offset, **params: None,
    ),
    samples=tuple(Sample((shape, at), {"size": n, "axes": axes, "strides": steps}) for n, at, axes, shape, steps in _VIEWS),
    doc="zeros with values added to their memory through an offset and strides: the adjoint of `strided`",
)
