"""`numpy.lib.stride_tricks`: views by strides, and windows that slide over an array. Memory outside the array is refused."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..trace.handle import is_writeable, root_of
from ..trace.op import TABLE
from ..trace.ops.strided import fits, spacing
from . import indexing
from .creation import asarray
from .shaping import normalize_axes, transpose
from .views import is_dense, make_view, memory_order, split, strides_of


def as_strided(x: Any, shape: Any = None, strides: Any = None, subok: bool = False, writeable: bool = True) -> Any:
    """A view of the memory of `x` with the given shape and strides (in bytes).

    Raises:
        ValueError: an element would lie outside the array's memory, or between its elements.
    """
    array = asarray(x)
    wanted = array.type.shape if shape is None else tuple([operator.index(n) for n in (shape if np.iterable(shape) else (shape,))])
    steps = array.type.numpy_strides() if strides is None else tuple([operator.index(s) for s in strides])
    if len(wanted) != len(steps):
        raise ValueError(f"[as_strided] shape {wanted} and strides {steps} differ in length")
    root = root_of(array)
    stem, type_, rest = split(root, indexing.chain_of(array))
    axes = memory_order(type_)
    unit = spacing(type_, axes)
    if not is_dense(type_, axes) or any(s % unit for s in steps):
        raise ValueError("[as_strided] elements would lie between those of the array (of a real part or a field); use x.copy()")
    offset = strides_of(type_, rest)[0]
    steps = tuple([s // unit for s in steps])
    if not fits(type_.size, offset, wanted, steps):
        raise ValueError(
            f"[as_strided] shape {wanted} with strides {tuple(s * unit for s in steps)} reaches outside the array's memory "
            f"({type_.nbytes} bytes)"
        )
    elements = root
    for op, numbers, params in stem:
        elements = make_view(elements, op, numbers, params)
    made = make_view(elements, TABLE["strided"], (offset,), (axes, wanted, steps))
    assert made.alias is not None
    made.alias.writeable = writeable and is_writeable(array)
    return made


def relabelled(x: Any, subscripts: str) -> Any:
    """What `einsum(subscripts, x)` is where it sums nothing: a view with axes permuted and diagonals taken. None where it sums."""
    given, arrow, wanted = subscripts.replace(" ", "").partition("->")
    hidden = x.type.ndim - len(given.replace("...", ""))
    if given.count("...") > 1 or hidden < 0 or (hidden and "..." not in given):
        return None
    # an ellipsis stands for axes of its own
    more = "".join([chr(0x100 + k) for k in range(hidden)])
    labels = given.replace("...", more)
    once = sorted([c for c in set(labels) - set(more) if labels.count(c) == 1])
    wanted = wanted.replace("...", more) if arrow else more + "".join(once)
    lengths, strides = dict.fromkeys(labels, 1), dict.fromkeys(labels, 0)
    seen: set[str] = set()
    for label, n, step in zip(labels, x.type.shape, x.type.numpy_strides(), strict=True):
        if label in seen and lengths[label] != n:
            # its repetition, or the error, is the general way's affair
            return None
        seen.add(label)
        lengths[label] = n
        strides[label] += step
    if not wanted or set(labels) != set(wanted) or len(set(wanted)) != len(wanted):
        return None
    if len(labels) == len(wanted):
        return transpose(x, tuple([labels.index(c) for c in wanted]))
    return as_strided(x, tuple([lengths[c] for c in wanted]), tuple([strides[c] for c in wanted]))


def sliding_window_view(x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False) -> Any:
    """All windows of a shape, as further axes of a view (read-only unless asked otherwise)."""
    array = asarray(x)
    window = tuple(window_shape) if np.iterable(window_shape) else (window_shape,)
    window = tuple([operator.index(n) for n in window])
    if any(n < 0 for n in window):
        raise ValueError("`window_shape` cannot contain negative values")
    ndim = array.type.ndim
    if axis is None:
        axes: tuple[int, ...] = tuple(range(ndim))
        if len(window) != ndim:
            raise ValueError(
                f"Since axis is None, must provide window_shape for all dimensions of `x`; got {len(window)} window_shape elements "
                f"and `x.ndim` is {ndim}."
            )
    else:
        axes = normalize_axes(axis, ndim, allow_duplicate=True)
        if len(window) != len(axes):
            raise ValueError(
                f"Must provide matching length window_shape and axis; got {len(window)} window_shape elements and {len(axes)} axes "
                "elements."
            )
    shape = list(array.type.shape)
    for a, n in zip(axes, window, strict=True):
        if shape[a] < n:
            raise ValueError("window shape cannot be larger than input array shape")
        shape[a] -= n - 1
    steps = array.type.numpy_strides()
    return as_strided(array, (*shape, *window), (*steps, *[steps[a] for a in axes]), writeable=writeable)
