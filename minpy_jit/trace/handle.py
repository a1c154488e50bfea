"""`Handle`: the mutable name of a value. Steps never change; an in-place write makes the handle mean another step.

The class that users see is a subclass without further slots, handed down by `set_constructors`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .context import CPU, DeviceValue, place
from .types import ArrayType

if TYPE_CHECKING:
    from .recorder import Segment


class Alias:
    """What makes a handle more than a name of one value.

    Attributes:
        base: for a view, the root handle whose memory it shows (see `root_of`); None for a root that has been viewed.
        chain: for a view, the (op, scalar operands, params) applied to the base, in order.
        version: a root's number of writes so far; a view's: the root's when the view last looked.
        segment, slot: where a view's value is pending, if it is.
        writeable: whether writes are allowed.
        face: for a root that no user holds, the array whose memory it is (it was given another shape or dtype in place), weakly.
    """

    __slots__ = ("base", "chain", "face", "segment", "slot", "version", "writeable")

    def __init__(self, base: Handle | None, chain: tuple[Any, ...], version: int, writeable: bool = True) -> None:
        self.base, self.chain, self.version, self.writeable = base, chain, version, writeable
        self.segment: Segment | None = None
        self.slot = -1
        self.face: weakref.ref[Handle] | None = None


class Handle:
    """An array or scalar, pending or materialised.

    Attributes:
        segment: the segment in which `index` is this value's slot, or None. A view's is always None (see `alias`).
        index: the slot.
        type: its ArrayType, known from the moment of recording.
        memory: the value, which nobody may write to, or None while pending: a host array, or a DeviceValue on another context.
        alias: None for a plain array; see Alias.
    """

    __slots__ = ("__weakref__", "alias", "index", "memory", "segment", "type")
    segment: Segment | None
    index: int
    type: ArrayType
    memory: Any
    alias: Alias | None


_array: type[Handle] = Handle
_scalar: type[Handle] = Handle


# told of each handle on a value that exists (recordings of pure calls ask)
witnesses: list[Callable[[Handle], None]] = []


def set_constructors(array: type[Handle], scalar: type[Handle]) -> None:
    """Told by the numpy layer which classes users see."""
    global _array, _scalar
    _array, _scalar = array, scalar


def constructors() -> tuple[type[Handle], type[Handle]]:
    """(array class, scalar class)."""
    return _array, _scalar


def materialised(data: np.ndarray | DeviceValue, type_: ArrayType) -> Handle:
    """A handle on a value that exists. `data` must not be written to afterwards."""
    if type_.context is not CPU:
        data = place(data, type_.context)
    cls = _scalar if type_.scalar else _array
    handle = cls.__new__(cls)
    handle.segment, handle.index, handle.type, handle.memory, handle.alias = None, -1, type_, data, None
    if witnesses:
        for witness in witnesses:
            witness(handle)
    return handle


def root_of(handle: Handle) -> Handle:
    """The handle whose memory this one shows (itself for a plain array)."""
    alias = handle.alias
    if alias is None or alias.base is None:
        return handle
    base = alias.base
    assert base.alias is not None
    if base.alias.base is not None:
        # the base was given another shape or dtype in place, and became a view of what it was
        base = alias.base = base.alias.base
    return base


def is_view(handle: Handle) -> bool:
    """Whether the handle shows another handle's memory."""
    return handle.alias is not None and handle.alias.base is not None


def is_writeable(handle: Handle) -> bool:
    """Whether the handle may be written through."""
    return handle.alias is None or handle.alias.writeable


def is_known(handle: Handle) -> bool:
    """Whether a plain handle's value can be looked at on the host without running, waiting for or copying anything."""
    memory = handle.memory
    return memory is not None and (not isinstance(memory, DeviceValue) or memory.known())


def clone(handle: Handle) -> Handle:
    """Another handle on the same value (of a plain handle; views are resolved first by the caller)."""
    cls = type(handle)
    copy = cls.__new__(cls)
    copy.segment, copy.index, copy.type, copy.memory, copy.alias = handle.segment, handle.index, handle.type, handle.memory, None
    return copy
