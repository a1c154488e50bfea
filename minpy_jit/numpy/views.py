"""Views and in-place writes: a handle keeps its identity while it comes to mean another step; a view writes through to its base.

Steps never change. Reads of a view see the base's newest version, because a write to the base raises the base's version.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..trace.handle import Alias, Handle, constructors
from ..trace.op import TABLE, Op, Params
from ..trace.recorder import WEAK_TYPES, Segment, current, infer, observe
from ..trace.types import ArrayType

# (op, source type, params, how many numbers) -> type of the view; memoised: 4.5 -> 1.2 µs a view
_view_types: dict[tuple[Any, ...], ArrayType] = {}


def make_view(source: Handle, op: Op, numbers: tuple[int, ...], params: Params, type_: ArrayType | None = None) -> Handle:
    """A view of `source`: nothing is recorded until it is read."""
    if type_ is None:
        key = (op, source.type, params, len(numbers))
        type_ = _view_types.get(key)
        if type_ is None:
            if len(_view_types) > 8192:
                _view_types.clear()
            type_ = _view_types[key] = infer(op, (source.type, *[WEAK_TYPES[type(n)] for n in numbers]), params)
    alias = source.alias
    if alias is not None and alias.base is not None:
        root, chain = alias.base, alias.chain
    else:
        root, chain = source, ()
    if root.alias is None:
        root.alias = Alias(None, (), 0)
    array, _ = constructors()
    view = array.__new__(array)
    view.segment, view.index, view.type, view.data = None, -1, type_, None
    view.alias = Alias(root, (*chain, (op, numbers, params)), root.alias.version)
    return view


def is_view(handle: Handle) -> bool:
    """Whether the handle shows another handle's memory."""
    return handle.alias is not None and handle.alias.base is not None


def root_of(handle: Handle) -> Handle:
    """The handle whose memory this one shows (itself for a plain array)."""
    alias = handle.alias
    return handle if alias is None or alias.base is None else alias.base


def assign(target: Handle, value: Handle) -> None:
    """Make `target` mean `value` (same shape, dtype and layout), through all views.

    Raises:
        ValueError: `target` is a read-only view.
    """
    alias = target.alias
    if alias is None or alias.base is None:
        _rebind(target, value)
        return
    root = alias.base
    # x0 = root, x1 = op1(x0) ...; then the new values from the view back to the root
    seen: list[Handle] = [root]
    for op, numbers, params in alias.chain[:-1]:
        seen.append(op(seen[-1], *numbers, **op.named(params)))
    new = value
    for (op, numbers, params), x in zip(reversed(alias.chain), reversed(seen), strict=True):
        if op.put is None:
            raise ValueError("assignment destination is read-only")
        new = op.put(x, new, *numbers, **op.named(params))
    _rebind(root, new)
    assert root.alias is not None
    alias.version, target.data, alias.segment = root.alias.version, None, None


def _rebind(target: Handle, value: Handle) -> None:
    if value.type is not target.type:
        value = relayout(value, target.type)
    segment: Segment | None
    if is_view(value):
        recorder = current()
        segment, slot, data = recorder.segment, -1, None
        if recorder.immediate is None:
            slot = recorder.segment.use(value)
        else:
            segment, data = None, observe(value, recorder.mode)
        pending = data is None
    else:
        segment, slot, data = value.segment, value.index, value.data
        pending = data is None
    session = current().session
    if session is not None:
        session.mutated(target)
    already = target.segment is segment and target.data is None and segment is not None
    if pending:
        assert segment is not None
        if not already:
            segment.arrays.append(target)
    target.segment, target.index, target.data = segment, slot, data
    if target.alias is not None:
        target.alias.version += 1


def relayout(value: Handle, type_: ArrayType) -> Handle:
    """`value` with another logical layout (an in-place write keeps the layout of what it writes to)."""
    if value.type.shape != type_.shape or value.type.dtype != type_.dtype:
        raise AssertionError(f"cannot rebind {type_} to {value.type}")
    if value.type.strides == type_.strides:
        return value
    return TABLE["layout"](value, strides=type_.strides)


def cast_for_write(value: Handle, target: Handle, op: str, casting: str = "same_kind") -> Handle:
    """`value` in the dtype of `target`, under NumPy's rule for outputs.

    Raises:
        TypeError: the cast is not allowed.
        ValueError: the shapes differ.
    """
    # of two faults NumPy reports the cast
    if not np.can_cast(value.type.dtype, target.type.dtype, casting):  # type: ignore[arg-type]
        raise TypeError(
            f"[{op}] Cannot cast ufunc '{op}' output from {value.type.dtype!r} to {target.type.dtype!r} with casting rule '{casting}'"
        )
    if value.type.shape != target.type.shape:
        value = broadcast_for_write(value, target)
    if value.type.dtype != target.type.dtype:
        value = TABLE["astype"](value, dtype=target.type.dtype)
    return value


def broadcast_for_write(value: Handle, target: Handle) -> Handle:
    """`value` broadcast to the shape of what is written."""
    wide, narrow = target.type.shape, value.type.shape
    try:
        fits = np.broadcast_shapes(wide, narrow) == wide
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"non-broadcastable output operand with shape {wide} doesn't match the broadcast shape {narrow}")
    return TABLE["broadcast_to"](value, shape=wide)
