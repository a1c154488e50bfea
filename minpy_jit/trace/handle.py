"""`Handle`: the mutable name of a value (the class itself stands in replay.py). What is asked about handles and how they are made."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .context import CPU, DeviceValue, place
from .replay import Alias, Handle, constructors, new, set_constructors
from .types import ArrayType

__all__ = [
    "Alias",
    "Handle",
    "clone",
    "constructors",
    "is_known",
    "is_view",
    "is_writeable",
    "materialised",
    "new",
    "root_of",
    "set_constructors",
    "witnesses",
]

# told of each handle on a value that exists (recordings of pure calls ask)
witnesses: list[Callable[[Handle], None]] = []


def materialised(data: np.ndarray | DeviceValue, type_: ArrayType) -> Handle:
    """A handle on a value that exists. `data` must not be written to afterwards."""
    if type_.context is not CPU:
        data = place(data, type_.context)
    array, scalar = constructors()
    handle: Handle = new(scalar if type_.scalar else array)
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
    copy: Handle = new(type(handle))
    copy.segment, copy.index, copy.type, copy.memory, copy.alias = handle.segment, handle.index, handle.type, handle.memory, None
    return copy
