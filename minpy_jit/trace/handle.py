"""`Handle`: the mutable name of a value. Steps never change; an in-place write makes the handle mean another step.

The class that users see is a subclass without further slots, handed down by `set_constructors`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .types import ArrayType

if TYPE_CHECKING:
    from .recorder import Segment


class Alias:
    """What makes a handle more than a name of one value.

    Attributes:
        base: for a view, the root handle whose memory it shows; None for a root that has been viewed.
        chain: for a view, the (op, scalar operands, params) applied to the base, in order.
        version: a root's number of writes so far; a view's: the root's when the view last looked.
        segment, slot: where a view's value is pending, if it is.
    """

    __slots__ = ("base", "chain", "segment", "slot", "version")

    def __init__(self, base: Handle | None, chain: tuple[Any, ...], version: int) -> None:
        self.base, self.chain, self.version = base, chain, version
        self.segment: Segment | None = None
        self.slot = -1


class Handle:
    """An array or scalar, pending or materialised.

    Attributes:
        segment: the segment in which `index` is this value's slot, or None. A view's is always None (see `alias`).
        index: the slot.
        type: its ArrayType, known from the moment of recording.
        data: the value as a host array nobody may write to, or None while pending.
        alias: None for a plain array; see Alias.
    """

    __slots__ = ("__weakref__", "alias", "data", "index", "segment", "type")
    segment: Segment | None
    index: int
    type: ArrayType
    data: np.ndarray | None
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


def materialised(data: np.ndarray, type_: ArrayType) -> Handle:
    """A handle on a value that exists. `data` must not be written to afterwards."""
    cls = _scalar if type_.scalar else _array
    handle = cls.__new__(cls)
    handle.segment, handle.index, handle.type, handle.data, handle.alias = None, -1, type_, data, None
    if witnesses:
        for witness in witnesses:
            witness(handle)
    return handle


def clone(handle: Handle) -> Handle:
    """Another handle on the same value (of a plain handle; views are resolved first by the caller)."""
    cls = type(handle)
    copy = cls.__new__(cls)
    copy.segment, copy.index, copy.type, copy.data, copy.alias = handle.segment, handle.index, handle.type, handle.data, None
    return copy
