"""How long a segment may become. It is cut at `config.max_steps` steps, or where its results would occupy `config.max_pending_bytes`; but a
program that was observed soon after such a cut is recorded up to there the next time, so that a training step of 2500 steps is one program.

What is known of it is kept by the step at which the segment first met a limit, its *gate*: past it everything may be different each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ..config import config
from .step import INPUT, Step

if TYPE_CHECKING:
    from .recorder import Segment

# how many times `config.max_steps` a program may be long that is known to be observed
LONGEST = 8
# a gate that was passed in more ways than these: each would be compiled as a whole, where parts may be the same
MOST_WAYS = 8


@dataclass(slots=True)
class Reach:
    """How far it was from a segment's begin, through a gate, to an observation.

    Attributes:
        steps, nbytes: of the longest such program, and some more; 0 where none may be recorded as a whole.
        held: the most bytes that it needs at a time, about.
        lengths: in steps, of all.
        overruns: how often there was no observation up to there.
    """

    steps: int = 0
    nbytes: int = 0
    held: int = 0
    lengths: set[int] = field(default_factory=set)
    overruns: int = 0

    @property
    def varies(self) -> bool:
        """Whether what comes behind the gate is another thing each time."""
        return len(self.lengths) + self.overruns > MOST_WAYS

    def overrun(self) -> None:
        """Note that this time it was not observed."""
        self.steps = 0
        self.overruns += 1


class Stretch(NamedTuple):
    """What was recorded since the last observation, when a limit was met in it.

    Attributes:
        gate: the step at which it first met one; None where it is too long to be one program, or repeats itself.
        ends: the steps after which it was cut.
        reach: what let it pass the gate uncut.
    """

    gate: Step | None
    ends: tuple[Step, ...] = ()
    reach: Reach | None = None

    def cut(self, end: Step) -> Stretch:
        """This, cut once more. Of a loop whose turns are alike the parts are, too: they are compiled once, as the whole would not be."""
        ends = (*self.ends, end)
        if self.gate is None or end in self.ends or _steps(ends) > LONGEST * config.max_steps:
            return Stretch(None)
        return Stretch(self.gate, ends)


def meet(segment: Segment) -> bool:
    """A segment meets a limit for the first time since the last observation; returns whether it may go on, its limits raised."""
    gate = segment.cursor
    reach: Reach | None = None if gate.memo is None else gate.memo.get("reach")
    if reach is not None and gate.index < reach.steps <= LONGEST * config.max_steps and reach.held <= config.max_pending_bytes:
        segment.stretch = Stretch(gate, (), reach)
        segment.limit = max(segment.limit, reach.steps)
        segment.most_bytes = max(segment.most_bytes, reach.nbytes)
        return True
    segment.stretch = Stretch(gate)
    segment.first_site = _returning(gate)
    return False


def observed(segment: Segment) -> None:
    """A segment is closed for another reason than a limit, and one was met since the last such time: how far it was is remembered."""
    stretch = segment.stretch
    if stretch is None or stretch.gate is None:
        return
    ends = (*stretch.ends, segment.cursor)
    steps, nbytes = _steps(ends), sum([end.nbytes for end in ends])
    if steps > LONGEST * config.max_steps:
        return
    reach: Reach = stretch.gate.remember().setdefault("reach", Reach())
    reach.lengths.add(steps)
    if reach.varies:
        reach.steps = 0
    elif steps > reach.steps and stretch.ends:
        reach.held = max(reach.held, nbytes if nbytes <= config.max_pending_bytes else _held(ends))
        # a gradient that is not cut is recorded in another way, which may take a few steps more
        reach.steps, reach.nbytes = steps + steps // 4, nbytes + nbytes // 4


def _steps(ends: Sequence[Step]) -> int:
    return sum([end.index + 1 for end in ends])


def _returning(gate: Step) -> Any:
    """The call site at which the segment began, if the program has come back to it lately: between two turns of a loop little is alive."""
    path = gate.path()
    site = path[0].site
    return site if any(step.site == site for step in path[len(path) // 2 :]) else None


def _held(ends: Sequence[Step]) -> int:
    """The most bytes that these parts need at a time when they run as one program, besides what they begin with and what is held anyway:
    each value from where it is made to its last use, and what goes from part to part all the time."""
    most = crossing = 0
    for number, end in enumerate(ends):
        path = end.path()
        sizes: list[int] = []
        last = list(range(len(path)))
        before = 0
        for step in path:
            size, before = step.nbytes - before, step.nbytes
            if step.op is INPUT:
                crossing += size if number else 0
                size = 0
            sizes.append(0 if step.op.view else size)
            for i in step.operands:
                last[i] = step.index
        for step in reversed(path):
            if step.op.view:
                shown = step.operands[0]
                last[shown] = max(last[shown], last[step.index])
        dying: list[list[int]] = [[] for _ in path]
        held = 0
        for i, size in enumerate(sizes):
            held += size
            dying[last[i]].append(size)
            most = max(most, held)
            held -= sum(dying[i])
    return most + crossing
