"""Splices: steps that were recorded once from given operands, recorded again by moving the cursor past them.

A step means the same whenever its path does, so what a fixed program (a symbol, say) records from the same slots at the same place of the
trie is the same steps again, and Python need not walk through the program for it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

from .handle import Handle
from .recorder import Recorder, Segment
from .step import INPUT, SCALAR, Step


class Splice(NamedTuple):
    """Where the steps end, the Python numbers among them, the steps whose values are wanted, and what the caller has noted beside."""

    last: Step
    numbers: tuple[Any, ...]
    results: tuple[Step, ...]
    note: Any


class Splicing:
    """One recording of a program: replayed where it was recorded before, else observed while it is.

        splicing = Splicing(recorder, key, operands)
        found = splicing.replay()
        if found is None:
            results, note = ...  # record
            splicing.remember(results, note)

    Args:
        key: of the program; it must record the same steps whenever it gets the same slots, and use no array besides.
        operands: the arrays that it gets (None: left out); they become slots in this order.
    """

    __slots__ = ("_count", "_key", "_recorder", "_segment", "_start")

    def __init__(self, recorder: Recorder, key: Hashable, operands: Sequence[Handle | None]) -> None:
        segment = recorder.segment
        self._recorder, self._segment = recorder, segment
        # values are wanted at once, or call sites compared, or sources noted
        if recorder.immediate is not None or recorder.exact or recorder.session is not None:
            self._key: Any = None
            return
        slots = [-1 if o is None else o.index if o.segment is segment else segment.use(o) for o in operands]
        self._key = (key, tuple(slots))
        self._start = segment.cursor
        self._count = len(segment.scalars)

    def replay(self) -> tuple[list[Handle], Any] | None:
        """Handles on the results, and the note, where these steps are known."""
        if self._key is None:
            return None
        start, segment = self._start, self._segment
        found: Splice | None = None if start.memo is None else start.memo.get(self._key)
        if found is None:
            return None
        last = found.last
        if last.index >= segment.limit or last.nbytes > segment.most_bytes:
            # somewhere among them the segment would be cut
            return None
        if segment.cursor is start:
            # no call lies between, so that a signal handler that records something comes before or after
            segment.cursor = last
            segment.scalars += found.numbers
        else:
            return None
        recorder = self._recorder
        return [recorder.hand_out(segment, step) for step in found.results], found.note

    def remember(self, results: Sequence[Handle], note: Any) -> None:
        """What was recorded since, if it is steps of the same segment that use no array besides."""
        segment = self._segment
        if self._key is None or self._recorder.segment is not segment:
            return
        start, last = self._start, segment.cursor
        path = last.path()
        steps = path[start.index + 1 :]
        if start.index >= 0 and (len(path) <= start.index or path[start.index] is not start):
            return
        if any(s.op is INPUT for s in steps) or not all(_is_step(r, segment, path) for r in results):
            return
        numbers = tuple(segment.scalars[self._count :])
        if len(numbers) == sum(s.op is SCALAR for s in steps):
            start.remember()[self._key] = Splice(last, numbers, tuple([path[r.index] for r in results]), note)


def _is_step(result: Handle, segment: Segment, path: Sequence[Step]) -> bool:
    """Whether a handle is just a name of a step."""
    return result.segment is segment and result.alias is None and result.memory is None and result.type is path[result.index].type
