"""Results that are made in the memory of inputs which nobody else holds, and what becomes of such a run when it is interrupted.

Such inputs cannot be read a second time. So the results are noted before the run begins, and stay noted for as long as somebody holds those
inputs: a flush that was interrupted (Ctrl-C) between the end of the run and the moment in which its results were handed out finds them here
when it is tried again, and so does a signal handler that observes in its middle.
"""

from __future__ import annotations

import weakref
from collections.abc import Collection, Mapping, Sequence
from typing import Any


class Donation:
    """One such run.

    Attributes:
        values: its results by slot.
    """

    __slots__ = ("__weakref__", "_begun", "_word", "values")

    def __init__(self, word: Any, values: Mapping[int, Any]) -> None:
        # set by the run itself when it begins; while Python runs it has either not begun, or is complete
        self._word: Any = word
        self._begun = False
        self.values = values

    @property
    def begun(self) -> bool:
        """Whether the run has written."""
        word = self._word
        return self._begun if word is None else bool(word.value)

    def settle(self) -> None:
        """Before another run uses the same word."""
        self._begun, self._word = self.begun, None


# inputs that were given away, by identity: they are gone when their run has been handed out
_given: dict[int, tuple[Any, Donation]] = {}
_latest: Any = None


def _forget(key: int, pop: Any = _given.pop) -> Any:
    def forget(_: Any) -> None:
        pop(key, None)

    return forget


def settle() -> None:
    """Before a run begins: what the last one did is certain."""
    global _latest
    if _latest is not None:
        last, _latest = _latest(), None
        if last is not None:
            last.settle()


def note(word: Any, inputs: Collection[Any], values: Mapping[int, Any]) -> None:
    """A run is about to make results in the memory of these inputs.

    Args:
        word: set when it has begun.
        values: the results by slot; none of them is an input.
    """
    global _latest
    donation = Donation(word, values)
    for array in inputs:
        key = id(array)
        _given[key] = (weakref.ref(array, _forget(key)), donation)
    _latest = weakref.ref(donation)


def salvaged(inputs: Sequence[Any], slots: Collection[int]) -> dict[int, Any] | None:
    """The values of `slots`, where a run has given an input away; None: the inputs are as they were."""
    if not _given:
        return None
    for array in inputs:
        found = _given.get(id(array))
        if found is not None and found[1].begun:
            values = found[1].values
            return {slot: values[slot] for slot in slots}
    return None
