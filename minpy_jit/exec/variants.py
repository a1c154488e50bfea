"""Places of the user's program that come with ever new shapes: the user is told once, and what is met there later is compiled late."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from ..config import config
from ..errors import RecordingWarning, locate
from ..trace.step import Step

# a program of such a place is compiled when it comes for this time, not for the second
PATIENCE = 8
# places that are remembered
_MOST = 1024


@dataclass(slots=True)
class _Place:
    """Programs of the same operations that end at the same line."""

    last: Step
    # by hash of their types; a trie that began anew brings known ones once more
    seen: set[int] = field(default_factory=set)
    told: bool = False


_places: OrderedDict[Any, _Place] = OrderedDict()


def met(end: Step) -> int:
    """Note a program that was not met before; returns at which encounter it is worth a compile.

    Warns once per place, when more than `config.max_variants` programs there differ in shapes, dtypes or parameters alone.
    """
    path = end.path()
    key = (end.site, len(path), hash(tuple([step.op.name for step in path])))
    place = _places.get(key)
    if place is None:
        place = _places[key] = _Place(end)
        if len(_places) > _MOST:
            _places.popitem(last=False)
    if not place.told:
        place.seen.add(hash(tuple([(step.type, step.params) for step in path])))
        if len(place.seen) > config.max_variants:
            place.told = True
            _tell(end, place.last)
        place.last = end
    return PATIENCE if place.told else 2


def clear() -> None:
    """Forget every place."""
    _places.clear()


def _tell(end: Step, before: Step) -> None:
    file, _, line = locate(end.site).rpartition(":")
    text = (
        f"[trace] more than {config.max_variants} programs that end at {file}:{line} differ in shapes, dtypes or parameters alone; each is "
        f"recorded, and compiled when it comes back. In the last one {difference(end, before)}. Pad the data to few shapes, or raise "
        f"config.max_variants; a new one is now compiled at its {PATIENCE}th encounter, and runs in NumPy until then"
    )
    warnings.warn_explicit(text, RecordingWarning, file, int(line) if line.isdigit() else 0)


def difference(now: Step, before: Step) -> str:
    """Where two programs of the same operations first differ, in words."""
    for new, old in zip(now.path(), before.path(), strict=True):
        what = f"{new.op.name} at {locate(new.site)}"
        if new.type != old.type:
            return f"{what} is {_types(new.type)} where it was {_types(old.type)}"
        if new.params != old.params:
            return f"{what} has {new.op.named(new.params)} where it had {old.op.named(old.params)}"
        if new.operands != old.operands:
            return f"{what} takes other operands"
    return "only the place changed"


def _types(type_: Any) -> str:
    return ", ".join(map(str, type_)) if isinstance(type_, tuple) else str(type_)
