"""Storms of compiles: places that come with ever new shapes, more programs than the cache takes. The user is told once, and what comes
then is compiled late."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from ..config import config
from ..errors import RecordingWarning, locate, warn_at
from ..trace.step import Step

# a program of such a place is compiled when it comes for this time, not for the second
PATIENCE = 8
# the same for one whose plan was evicted: at most, as it doubles each time
LONGEST_PATIENCE = 1024
# places that are remembered, and steps of the programs that ended there
_MOST = 1024
_MOST_STEPS = 100_000


@dataclass(slots=True)
class _Place:
    """Programs of the same operations that end at the same line."""

    last: Step
    # by hash of their types; a trie that began anew brings known ones once more
    seen: set[int] = field(default_factory=set)
    told: bool = False


_places: OrderedDict[Any, _Place] = OrderedDict()
# lines that the user was told of
_told: set[str] = set()
# of those programs; the keys hold the lengths, too
_steps = 0
# how often a plan had been evicted when its program came back
_evicted = 0


def met(end: Step) -> int:
    """Note a program that was not met before; returns at which encounter it is worth a compile.

    Warns once per line, when more than `config.max_variants` programs there differ in shapes, dtypes or parameters alone.
    """
    global _steps
    path = end.path()
    key = (end.site, len(path), hash(tuple([step.op.name for step in path])))
    place = _places.get(key)
    if place is None:
        place = _places[key] = _Place(end)
        _steps += len(path)
        while len(_places) > _MOST or (_steps > _MOST_STEPS and len(_places) > 1):
            (_, length, _), _ = _places.popitem(last=False)
            _steps -= length
    if not place.told:
        place.seen.add(hash(tuple([(step.type, step.params) for step in path])))
        if len(place.seen) > config.max_variants:
            place.told = True
            _tell(end, place.last)
        place.last = end
    return PATIENCE if place.told else 2


def evicted(end: Step) -> None:
    """Note that a program came back whose plan had been evicted.

    Warns once, when that has happened more than `config.max_variants` times.
    """
    global _evicted
    _evicted += 1
    if _evicted == config.max_variants + 1:
        warn_at(
            end.site,
            f"[trace] more programs are in use than are kept compiled (config.max_executors = {config.max_executors}, "
            f"config.max_executor_bytes = {config.max_executor_bytes}): {_evicted} came back after they had been dropped, the last one the "
            f"one that ends at {locate(end.site)}. Raise these limits; such a program now runs in NumPy {PATIENCE} times, and at the next "
            "storm twice as often, before it is compiled again",
            RecordingWarning,
        )


def clear() -> None:
    """Forget every place."""
    global _steps, _evicted
    _places.clear()
    _told.clear()
    _steps = _evicted = 0


def _tell(end: Step, before: Step) -> None:
    line = locate(end.site)
    if line in _told:
        return
    if len(_told) >= _MOST:
        _told.clear()
    _told.add(line)
    warn_at(
        end.site,
        f"[trace] more than {config.max_variants} programs that end at {line} differ in shapes, dtypes or parameters alone; each is "
        f"recorded, and compiled when it comes back. In the last one {difference(end, before)}. Pad the data to few shapes, or raise "
        f"config.max_variants; a new one is now compiled at its {PATIENCE}th encounter, and runs in NumPy until then",
        RecordingWarning,
    )


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
