"""Which sections go through memory together: temporal blocking.

Sections that follow one another, each a sweep over more than the cache holds, would fetch everything anew each time. Where a line of a
section needs only lines nearby of those before, they go as a wavefront: some lines of the first section, then some of the second, as far
behind as it must be, and so on; then the next lines of all. What one makes is in the cache when the next one reads it. (Wonnacott, Using
time skewing to eliminate idle time due to memory bandwidth and network limitations, 2000.)

Threads take stretches of the lines. At both ends of a stretch each section stops short by the lines that need the neighbour's (a
trapezoid), and when all are done, the gaps are filled (triangles that stand on their heads), so threads wait twice, not once per section.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .loops import Accumulate, Apply, Buffer, Copy, Expr, Item, Literal, Load, Nest, Store, ordered
from .table import Row, Wavefront

# bytes that sections touch from which on each fetches them anew, from behind the last cache; and of what a wavefront touches at once, which
# the second cache takes. (20 sweeps of a Jacobi step, 32 MiB of last cache: 1.2 times slower at 25 MB, level at 35, 2 times faster at 200.)
CACHE, ROOM = 1 << 25, 1 << 19
# lines that a section takes at least before the next one's turn
FEWEST = 4
# how much less must be fetched
WORTH = 0.75
# elements of a line where loops through whole arrays have none of their own
LINE = 1 << 12


@dataclass(frozen=True, slots=True)
class Touch:
    """What a line of a nest reads or writes of a buffer: bytes `first` to `last`, both moved on by `step` from one line to the next.

    Attributes:
        memory: what shares a memory may overlap there.
        begin, end: the buffer's bytes in it.
        step: 0: any line may touch all of these bytes.
        own: of a private buffer: bytes from one thread's to the next one's.
    """

    memory: object
    begin: int
    end: int
    step: int
    first: int
    last: int
    writes: bool
    own: int = 0


@dataclass(frozen=True, slots=True)
class Lines:
    """How a nest goes by lines.

    Attributes:
        count: lines.
        turns: of each.
    """

    count: int
    turns: int
    touches: frozenset[Touch]


def _distance(before: Touch, after: Touch) -> tuple[int, int] | None:
    """Which lines of what comes before touch what a line of what comes after does: from so many lines further on to so many. None: none do.

    Raises:
        ValueError: any may.
    """
    if before.memory != after.memory or not (before.writes or after.writes) or before.end <= after.begin or after.end <= before.begin:
        return None
    if before.own and (before.own, before.begin) == (after.own, after.begin):
        # it is used within a turn
        return None
    if not before.step or before.step != after.step:
        raise ValueError
    low, high = -((before.last - after.first) // before.step), (after.last - before.first) // before.step
    return None if low > high else (low, high)


class _Growing:
    """A wavefront to which sections are added.

    Attributes:
        rows, members: see `Wavefront`.
        met: what was touched so far -> the largest skew and the largest gap of those that did.
        places: bytes of a line of each buffer.
        apart: the same of each section, added up: what is fetched where they go one by one.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.members: list[tuple[int, int, int]] = []
        self.met: dict[Touch, tuple[int, int]] = {}
        self.places: dict[tuple[object, int], int] = {}
        self.apart = self.sections = self.skew = self.gap = self.length = 0

    def add(self, section: Sequence[tuple[Row, Lines]], written: Collection[object], threads: int) -> bool:
        """Add a section; False, and nothing is changed, where it cannot be or there is no room.

        Args:
            written: memory that is read and nothing else is not among it.
        """
        members: list[tuple[int, int, int]] = []
        places = dict(self.places)
        apart: dict[tuple[object, int], int] = {}
        for _, lines in section:
            skew = gap = 0
            for touch in lines.touches:
                place = touch.memory, touch.begin
                apart[place] = max(touch.step, apart.get(place, 0))
                places[place] = max(touch.step, places.get(place, 0))
                if touch.memory not in written:
                    continue
                for before, (its_skew, its_gap) in self.met.items():
                    try:
                        distance = _distance(before, touch)
                    except ValueError:
                        return False
                    if distance is not None:
                        skew, gap = max(skew, its_skew + distance[1]), max(gap, its_gap - distance[0])
            members.append((lines.turns, skew, gap))
        skew = max(self.skew, *[m[1] for m in members])
        gap = max(self.gap, *[m[2] for m in members])
        length = max(self.length, *[lines.count for _, lines in section])
        if (skew + FEWEST) * sum(places.values()) > ROOM or (threads > 1 and (skew + gap) * 2 * threads > length):
            return False
        self.rows += [row for row, _ in section]
        self.members += members
        self.places, self.skew, self.gap, self.length = places, skew, gap, length
        self.apart += sum(apart.values())
        self.sections += 1
        for (_, lines), (_, skew, gap) in zip(section, members, strict=True):
            for touch in lines.touches:
                if touch.memory in written:
                    most = self.met.get(touch, (0, 0))
                    self.met[touch] = max(most[0], skew), max(most[1], gap)
        return True

    def wavefront(self) -> Wavefront | None:
        """The wavefront, where it pays."""
        line = sum(self.places.values())
        if self.sections < 2 or line * self.length <= CACHE or line > WORTH * self.apart:
            return None
        return Wavefront(self.rows, self.members, max(ROOM // line - self.skew, FEWEST), self.length, self.skew, self.gap)


def wavefronts(
    sections: Sequence[Sequence[tuple[Item, Row]]], plan: Mapping[Buffer, tuple[int, int, int]], aliased: Collection[Buffer], threads: int
) -> list[Wavefront]:
    """Those of a kernel.

    Args:
        sections: nests and their rows.
        plan: where each buffer is, see `emit.write`.
        aliased: what may be the same memory as another buffer, of the same size.
        threads: how many there may be.
    """
    if len(sections) < 2 or sum(b.nbytes for b in plan) <= CACHE:
        return []
    memories = _Memories(plan, aliased, threads)
    written = {memories.of(b)[0] for section in sections for item, _ in section for b in item.writes()}
    found: list[Wavefront | None] = []
    growing = _Growing()
    for section, unit in zip(sections, _units(sections), strict=True):
        lines = [_lines(item, row, unit, memories) for item, row in section]
        members = [(row, its) for (_, row), its in zip(section, lines, strict=True) if its is not None]
        fits = len(members) == len(section)
        if not fits or not growing.add(members, written, threads):
            found.append(growing.wavefront())
            growing = _Growing()
            if fits and not growing.add(members, written, threads):
                growing = _Growing()
    return [w for w in (*found, growing.wavefront()) if w is not None]


class _Memories:
    """Where buffers are: (memory, first byte, bytes of each thread's own or 0)."""

    def __init__(self, plan: Mapping[Buffer, tuple[int, int, int]], aliased: Collection[Buffer], threads: int) -> None:
        self.plan, self.aliased, self.threads = plan, aliased, threads

    def of(self, buffer: Buffer) -> tuple[object, int, int]:
        # those that might be one, are
        if buffer in self.aliased:
            return (buffer.size, buffer.dtype), 0, 0
        return self.plan[buffer]

    def touch(self, buffer: Buffer, writes: bool, step: int = 0, first: int = 0, last: int | None = None) -> Touch:
        """What lines touch of a buffer, told in elements of it."""
        memory, begin, own = self.of(buffer)
        if own:
            return Touch(memory, begin, begin + own * self.threads, 0, begin, begin + own * self.threads - 1, writes, own)
        size = buffer.dtype.itemsize
        last = buffer.size - 1 if last is None else last
        return Touch(memory, begin, begin + buffer.nbytes, step * size, begin + first * size, begin + last * size + size - 1, writes)


# -- lines ---------------------------------------------------------------------------------------------------------------------------------
def _units(sections: Sequence[Sequence[tuple[Item, Row]]]) -> list[int]:
    """How many elements loops through whole arrays take for a line: as many as the rows of the sections around them have."""
    own = [next((n for item, _ in section if (n := _row_of(item))), 0) for section in sections]
    before = 0
    for k, unit in enumerate(own):
        before = own[k] = unit or before
    after = LINE
    for k in reversed(range(len(own))):
        after = own[k] = own[k] or after
    return own


def _row_of(item: Item) -> int:
    """Elements from one row of what is written to the next."""
    if isinstance(item, Copy):
        return math.prod(item.shape[1:])
    if isinstance(item, Nest):
        outer, _ = item.loops()
        if len(outer) > 1 or (outer and not item.across):
            stores = [i for p in item.phases for i in p.body if isinstance(i, Store)]
            return max((s.offset.coefficient(outer[0][1]) for s in stores), default=0)
    return 0


def _lines(item: Item, row: Row, unit: int, memories: _Memories) -> Lines | None:
    """How a nest goes by lines; None: it does not. `unit`: elements of a line of loops through whole arrays."""
    if isinstance(item, Copy):
        if len(item.shape) < 2:
            return None
        count, step = item.shape[0], math.prod(item.shape[1:])
        touches = [memories.touch(item.result, True, step, 0, step - 1), memories.touch(item.source, False, step, 0, step - 1)]
        touches += [memories.touch(b, False) for b in item.scalars()]
        return Lines(count, row.turns // count, frozenset(touches))
    if not isinstance(item, Nest) or item.block is not None:
        return None
    outer, inner = item.loops()
    if not outer:
        return None
    (extent, variable), rest = outer[0], outer[1:]
    each = 1
    count, turns = extent, row.turns // extent
    if item.across and not rest:
        # one loop: so many of its turns are a line
        each = unit
        count, turns = -(-extent // unit), unit // row.width
        if unit % row.width or turns % row.grain:
            return None
        rest = [(unit, variable)]
    elif row.turns % extent or row.grain != 1:
        return None
    found: set[Touch] = set()
    for phase, loops in zip(item.phases, inner, strict=True):
        for at, writes in _accesses(phase.body):
            step = at.offset.coefficient(variable) * each
            span = _span(at, [*rest, *loops])
            if at.offset.dynamic and span is not None:
                # what only the run knows moves all lines alike, as far as the buffer has room
                every = _span(at, [*outer, *loops])
                span = None if every is None else (0, span[1] + at.buffer.size - 1 - every[1])
            found.add(memories.touch(at.buffer, writes, *((step, *span) if span is not None and step > 0 else ())))
    return Lines(count, turns, frozenset(found))


def _accesses(body: Sequence[Store | Accumulate]) -> Iterator[tuple[Load | Store, bool]]:
    """What a phase loads and stores, and whether it stores."""
    roots: list[Expr] = []
    for item in body:
        roots.append(item.value)
        if isinstance(item, Store):
            yield item, True
            roots += [e for e, _ in item.offset.dynamic]
        elif item.factor is not None:
            roots.append(item.factor)
    for expr in ordered(roots):
        if isinstance(expr, Load):
            yield expr, False


def _span(at: Load | Store, loops: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """The first and the last element that these loops touch, but for what only the run knows. None: it differs from turn to turn."""
    low = high = at.offset.const
    for extent, variable in loops:
        reach = at.offset.coefficient(variable) * (extent - 1)
        low, high = low + min(reach, 0), high + max(reach, 0)
    if at.offset.dynamic:
        below = list(ordered(e for e, _ in at.offset.dynamic))
        fixed = all(isinstance(e, Literal | Apply) or (isinstance(e, Load) and not e.offset.terms and not e.offset.dynamic) for e in below)
        if not fixed or low < 0 or high >= at.buffer.size:
            return None
    return low, high
