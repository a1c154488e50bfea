"""The loop representation: what a region does, as loop nests over memory.

A kernel is a row of sections, a section some nests that need nothing of one another. A nest has outer loops, whose turns are independent
(threads share them), and inside, one after another, phases: loops of their own over what remains, that store elements or accumulate. Either
the last outer loop is run in vectors of lanes, or the last loop of each phase. Addresses are affine in the loop variables; values are
expressions, shared where they are equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np

# bytes below which an element is narrow: see `Nest.length`
NARROW = 4
# what `Nest.length` is among the numbers of a nest
LENGTH = "length"


@dataclass(frozen=True, slots=True)
class Affine:
    """`const + sum of coefficient * variable`: an index or an offset, in elements.

    Attributes:
        terms: (variable, coefficient), sorted by variable, coefficients not 0. Variables are numbered from 0, the outer loops' first.
        dynamic: (value of an integer expression, coefficient): what only the run knows, as the start of a slice.
    """

    const: int = 0
    terms: tuple[tuple[int, int], ...] = ()
    dynamic: tuple[tuple[Expr, int], ...] = ()

    @staticmethod
    def variable(number: int) -> Affine:
        return Affine(0, ((number, 1),))

    def __add__(self, other: Affine) -> Affine:
        terms: dict[int, int] = dict(self.terms)
        for v, c in other.terms:
            terms[v] = terms.get(v, 0) + c
        dynamic: dict[Expr, int] = dict(self.dynamic)
        for e, c in other.dynamic:
            dynamic[e] = dynamic.get(e, 0) + c
        return Affine(
            self.const + other.const,
            tuple(sorted((v, c) for v, c in terms.items() if c)),
            tuple((e, c) for e, c in dynamic.items() if c),
        )

    def __mul__(self, factor: int) -> Affine:
        if factor == 0:
            return Affine()
        return Affine(self.const * factor, tuple((v, c * factor) for v, c in self.terms), tuple((e, c * factor) for e, c in self.dynamic))

    def coefficient(self, variable: int) -> int:
        for v, c in self.terms:
            if v == variable:
                return c
        return 0


@dataclass(frozen=True, slots=True)
class Buffer:
    """Memory that a kernel reads or writes.

    Attributes:
        index: which one it is.
        dtype, size: of its elements.
        private: each thread has one of its own, beside the others'.
    """

    index: int
    dtype: np.dtype
    size: int
    private: bool = False

    @property
    def nbytes(self) -> int:
        """Of all elements."""
        return self.size * self.dtype.itemsize


# -- values --------------------------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, eq=False)
class Expr:
    """A value at one turn of the loops. Identity is equality: `Exprs` makes equal ones once."""

    dtype: np.dtype


@dataclass(frozen=True, slots=True, eq=False)
class Load(Expr):
    buffer: Buffer
    offset: Affine


@dataclass(frozen=True, slots=True, eq=False)
class Literal(Expr):
    """A fixed number, as its bytes."""

    bits: bytes

    @property
    def value(self) -> np.generic:
        return np.frombuffer(self.bits, self.dtype)[0]


@dataclass(frozen=True, slots=True, eq=False)
class Index(Expr):
    """An affine expression as an integer value."""

    affine: Affine


@dataclass(frozen=True, slots=True, eq=False)
class Apply(Expr):
    """A scalar function (scalars.py) of other values."""

    function: str
    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Register(Expr):
    """What an earlier phase of this nest has accumulated."""

    accumulator: Accumulate


class Exprs:
    """Makes expressions, equal ones once."""

    def __init__(self) -> None:
        self._made: dict[tuple, Expr] = {}

    def _once(self, kind: type[Expr], *fields: object) -> Expr:
        key = (kind, *fields)
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = kind(*fields)  # type: ignore[arg-type]
        return found

    def load(self, buffer: Buffer, offset: Affine) -> Expr:
        return self._once(Load, buffer.dtype, buffer, offset)

    def literal(self, value: object, dtype: np.dtype) -> Expr:
        return self._once(Literal, dtype, np.asarray(value, dtype).tobytes())

    def index(self, affine: Affine, dtype: np.dtype) -> Expr:
        return self._once(Index, dtype, affine)

    def apply(self, function: str, operands: tuple[Expr, ...], dtype: np.dtype) -> Expr:
        return self._once(Apply, dtype, function, operands)

    def register(self, accumulator: Accumulate) -> Expr:
        return self._once(Register, accumulator.dtype, accumulator)


# -- loops ---------------------------------------------------------------------------------------------------------------------------------
class Content(NamedTuple):
    """What something does, whatever memory it does it on.

    Attributes:
        form: equal where one function can do it, with its buffers in order, and with those numbers that differ.
        numbers: what such a function may be told, in one order for all of a form. Of a nest by value or store: the constant of its offset;
            by value or store and variable: a coefficient; by phase and number of a loop: its extent.
        lengths: those of them that are extents of loops by vectors: what does not know them is longer, and knows less.
    """

    form: tuple
    numbers: dict[object, int]
    lengths: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Store:
    """buffer[offset] = value, at each turn; with `combine`, a scalar function of what stands there and the value. Lanes whose offsets may
    be equal write one after another."""

    buffer: Buffer
    offset: Affine
    value: Expr
    combine: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Accumulate:
    """The sum, product, minimum or maximum ... (`kind`) of the values of all turns of the phase, for later phases.

    Attributes:
        running: for this phase, the result of the turns so far, this one included; they run in order.
        factor: of a running one: what the result so far is multiplied by first.
    """

    kind: str
    value: Expr
    dtype: np.dtype
    running: bool = False
    factor: Expr | None = None


@dataclass(slots=True, eq=False)
class Phase:
    """Loops of their own inside a nest's outer loops, and what each turn does."""

    extents: tuple[int, ...]
    body: list[Store | Accumulate] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Turns of two outer loops in blocks: of the last one, whose turns are columns, and another one.

    Attributes:
        row: the variable of the other loop.
        rows, columns: of a block.
        turned: loads whose elements lie one after another along the rows: a block of them is copied first, with its columns side by side.
    """

    row: int
    rows: int
    columns: int
    turned: tuple[Load, ...]


@dataclass(slots=True, eq=False)
class Nest:
    """Outer loops and phases. Variables 0 to `len(outer) - 1` are the outer loops', those after it the phase's.

    Attributes:
        outer: extents of the outer loops; their turns are independent.
        phases: run one after another in each turn.
        across: whether the lanes of a vector are turns of the last outer loop (else of each phase's last loop).
        block: where given, the order of its turns (see blocks.py).
    """

    outer: tuple[int, ...]
    phases: list[Phase]
    across: bool
    block: Block | None = None
    _expressions: tuple[Expr, ...] | None = field(default=None, init=False, repr=False)

    def expressions(self) -> tuple[Expr, ...]:
        """All values, each once, operands first. They are found once: the phases are complete by then."""
        if self._expressions is not None:
            return self._expressions
        roots: list[Expr] = []
        for phase in self.phases:
            for item in phase.body:
                roots.append(item.value)
                if isinstance(item, Store):
                    roots.extend(e for e, _ in item.offset.dynamic)
                elif item.factor is not None:
                    roots.append(item.factor)
        self._expressions = tuple(ordered(roots))
        return self._expressions

    def buffers(self) -> list[Buffer]:
        """The memory that it reads and writes, by first use."""
        found: dict[Buffer, None] = {e.buffer: None for e in self.expressions() if isinstance(e, Load)}
        found.update(dict.fromkeys(self.writes()))
        return list(found)

    def writes(self) -> list[Buffer]:
        """The memory that it writes."""
        return [item.buffer for phase in self.phases for item in phase.body if isinstance(item, Store)]

    def loops(self) -> tuple[list[tuple[int, int]], list[list[tuple[int, int]]]]:
        """The outer loops, and those of each phase, as few as possible (see `collapsed`)."""
        offsets = list(self.offsets())
        return collapsed(self.outer, 0, offsets), [collapsed(p.extents, len(self.outer), offsets) for p in self.phases]

    def length(self) -> int | None:
        """How many turns its one outer loop has, where its function need not know: it goes by whole vectors through memory, and the lanes
        that are off at the end are told by a mask. (Of narrow elements, a mask that only the run knows costs a branch per lane on CPUs
        without AVX-512.) None: its loops are not such."""
        outer, _ = self.loops()
        if not self.across or len(outer) != 1 or any(b.dtype.itemsize < NARROW for b in self.buffers()):
            return None
        ((extent, variable),) = outer
        for phase in self.phases:
            for item in phase.body:
                if isinstance(item, Store) and not (_is_dense(item.offset, item.buffer, variable) and item.offset.coefficient(variable)):
                    return None
        loads = [e for e in self.expressions() if isinstance(e, Load)]
        return extent if all(_is_dense(e.offset, e.buffer, variable) for e in loads) else None

    def content(self) -> Content:
        number = {b: k for k, b in enumerate(self.buffers())}
        told: dict[object, int] = {}
        place: dict[Expr, int] = {}
        sums: dict[Accumulate, int] = {}
        outer, inner = self.loops()
        # merged loops are counted by one variable
        loop = {v: k for k, v in enumerate(v for loops in (outer, *inner) for _, v in loops)}
        lanes = {loops[-1][1] for loops in ([outer] if self.across else inner) if loops}

        def affine(owner: Expr | Store, at: Affine) -> tuple:
            told[owner] = at.const
            terms = [(v, c) for v, c in at.terms if v in loop]
            told.update({(owner, v): c for v, c in terms if v not in lanes})
            # how a vector's elements lie in memory is no number
            steps = tuple((loop[v], c if v in lanes else None) for v, c in terms)
            return steps, tuple((place[e], c) for e, c in at.dynamic)

        for phase in self.phases:
            for item in phase.body:
                if isinstance(item, Accumulate):
                    sums[item] = len(sums)
        rows: list[tuple] = []
        for expr in self.expressions():
            place[expr] = len(rows)
            row: tuple
            if isinstance(expr, Load):
                row = ("load", number[expr.buffer], affine(expr, expr.offset))
            elif isinstance(expr, Literal):
                row = ("literal", expr.bits)
            elif isinstance(expr, Index):
                row = ("index", affine(expr, expr.affine))
            elif isinstance(expr, Apply):
                row = (expr.function, *[place[e] for e in expr.operands])
            else:
                assert isinstance(expr, Register)
                row = ("register", sums[expr.accumulator])
            rows.append((expr.dtype, *row))
        phases = []
        lengths: list[int] = []
        for at, (phase, loops) in enumerate(zip(self.phases, inner, strict=True)):
            extents = [e for e, _ in loops]
            # all but the lanes' loop, unless a mask may say how long that is
            free = len(loops) if self.across or self._any_length_of(phase, loops) else max(len(loops) - 1, 0)
            told.update({(at, k): e for k, e in enumerate(extents[:free])})
            lengths += extents[-1:] if loops and free == len(loops) and not self.across else []
            body = tuple(
                (number[item.buffer], affine(item, item.offset), place[item.value], item.combine)
                if isinstance(item, Store)
                else (item.kind, item.dtype, place[item.value], sums[item], item.running, item.factor is not None and place[item.factor])
                for item in phase.body
            )
            phases.append((free, *extents[free:], len(loops), body))
        length = self.length()
        if length is not None:
            told[LENGTH] = length
        # the first of several loops is where the turns end, or a vector's length
        first = 0 if self.block is not None or (self.across and len(outer) == 1 and length is None) else 1
        around = (len(outer), *[e for e, _ in outer[first:]])
        block = (
            None
            if self.block is None
            else (
                loop[self.block.row],
                self.block.rows,
                self.block.columns,
                *[place[e] for e in self.block.turned],
            )
        )
        return Content((around, self.across, block, tuple(rows), tuple(phases), tuple(b.dtype for b in number)), told, tuple(lengths))

    def _any_length_of(self, phase: Phase, loops: Sequence[tuple[int, int]]) -> bool:
        """Whether a function need not know how long the last loop of a phase is, whose turns are lanes (see `length`)."""
        if not loops:
            return False
        lane = loops[-1][1]
        for item in phase.body:
            if isinstance(item, Accumulate):
                if item.running:
                    return False
            elif item.combine is not None or not (_is_dense(item.offset, item.buffer, lane) and item.offset.coefficient(lane)):
                return False
        loads = [e for e in ordered(item.value for item in phase.body) if isinstance(e, Load)]
        return all(_is_dense(e.offset, e.buffer, lane) for e in loads)

    def offsets(self) -> Iterator[Affine]:
        """All offsets and indices."""
        for phase in self.phases:
            for item in phase.body:
                if isinstance(item, Store):
                    yield item.offset
        for expr in self.expressions():
            if isinstance(expr, Load):
                yield expr.offset
            elif isinstance(expr, Index):
                yield expr.affine


def _is_dense(offset: Affine, buffer: Buffer, lane: int) -> bool:
    """Whether a vector's elements lie side by side, wide enough for a mask (or are one)."""
    step = offset.coefficient(lane)
    return (step == 0 or (step == 1 and buffer.dtype.itemsize >= NARROW)) and all(
        not isinstance(e, Register) and _step_of(e, lane) == 0 for e in ordered(e for e, _ in offset.dynamic)
    )


def _step_of(expr: Expr, variable: int) -> int:
    """How far a value itself moves from one turn of a loop to the next."""
    affine = expr.offset if isinstance(expr, Load) else expr.affine if isinstance(expr, Index) else Affine()
    return affine.coefficient(variable)


# a number times the one element of each buffer
Factor = tuple[float, tuple[Buffer, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class MatrixProduct:
    """result = scale * left @ right (+ base_scale * base), of matrices in C order; the base may be the result's own memory.

    Attributes:
        rows, columns, inner: the result's extents, and the length of the sums.
        transposed: whether left and right stand in memory transposed.
    """

    result: Buffer
    left: Buffer
    right: Buffer
    rows: int
    columns: int
    inner: int
    transposed: tuple[bool, bool]
    scale: Factor = (1.0, ())
    base: Buffer | None = None
    base_scale: Factor = (1.0, ())

    def buffers(self) -> list[Buffer]:
        """The memory that it reads and writes, each once."""
        base = () if self.base is None else (self.base,)
        return list(dict.fromkeys((self.result, self.left, self.right, *base, *self.scale[1], *self.base_scale[1])))

    def writes(self) -> list[Buffer]:
        """The memory that it writes."""
        return [self.result]

    @property
    def by_rows(self) -> bool:
        """Whether threads share its rows, and not its columns."""
        return self.rows >= self.columns

    def content(self) -> Content:
        number = {b: k for k, b in enumerate(self.buffers())}
        scales = [(f, tuple(number[b] for b in scalars)) for f, scalars in (self.scale, self.base_scale)]
        places = (number[self.left], number[self.right], None if self.base is None else number[self.base])
        told: dict[object, int] = {"rows": self.rows, "columns": self.columns, "inner": self.inner}
        return Content(("product", self.result.dtype, self.by_rows, self.transposed, places, *scales), told)


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """result = source, unless they are the same memory.

    Attributes:
        box: elements that need not be copied, as others write them: along each axis where they begin (a number, and elements of buffers
            with factors), and how many they are. None: there are none.
    """

    result: Buffer
    source: Buffer
    shape: tuple[int, ...]
    box: tuple[tuple[int, tuple[tuple[Buffer, int], ...], int], ...] | None = None

    def scalars(self) -> list[Buffer]:
        """What the box is told by."""
        return [b for _, found, _ in self.box or () for b, _ in found]

    def buffers(self) -> list[Buffer]:
        """The memory that it reads and writes, each once."""
        return list(dict.fromkeys((self.result, self.source, *self.scalars())))

    def writes(self) -> list[Buffer]:
        """The memory that it writes."""
        return [self.result]

    def content(self) -> Content:
        number = {b: k for k, b in enumerate(self.buffers())}
        box = tuple(tuple((number[b], b.dtype, f) for b, f in found) for _, found, _ in self.box or ())
        told: dict[object, int] = {}
        for axis, (start, _, length) in enumerate(self.box or ()):
            told.update({("start", axis): start, ("length", axis): length})
        return Content(("copy", self.result.dtype, self.shape, self.box is None, box), told)


Item = Nest | MatrixProduct | Copy


@dataclass(slots=True, eq=False)
class Kernel:
    """Nests in order, and the memory that they share: `buffers[k]` is address number k.

    Attributes:
        joined: how many nests there are in each section, in order: they need nothing of one another, and threads share their turns in one
            go (see join.py). Where not said, one.
    """

    nests: list[Item]
    buffers: list[Buffer]
    joined: list[int] = field(default_factory=list)

    def sections(self) -> list[list[Item]]:
        """The nests of each section."""
        rest = iter(self.nests)
        return [list(islice(rest, count)) for count in self.joined] + [[nest] for nest in rest]

    def outline(self) -> str:
        """How many loops there are, in words: "12 loop nests and 4 matrix products, joined into 7"."""
        counts = Counter(type(nest) for nest in self.nests)
        named = ((Nest, "loop nest", "loop nests"), (MatrixProduct, "matrix product", "matrix products"), (Copy, "copy", "copies"))
        parts = [f"{counts[kind]} {one if counts[kind] == 1 else several}" for kind, one, several in named if counts[kind]]
        sections = len(self.sections())
        return " and ".join(parts) + (f", joined into {sections}" if sections < len(self.nests) else "")


def operands_of(expr: Expr) -> tuple[Expr, ...]:
    """The values that a value is made of."""
    if isinstance(expr, Apply):
        return expr.operands
    if isinstance(expr, Load):
        return tuple(e for e, _ in expr.offset.dynamic)
    return tuple(e for e, _ in expr.affine.dynamic) if isinstance(expr, Index) else ()


def ordered(roots: Iterable[Expr]) -> Iterator[Expr]:
    """The values below `roots`, each once, operands first."""
    seen: set[Expr] = set()
    for root in roots:
        stack: list[tuple[Expr, bool]] = [(root, False)]
        while stack:
            expr, done = stack.pop()
            if done:
                yield expr
            elif expr not in seen:
                seen.add(expr)
                stack.append((expr, True))
                stack.extend((e, False) for e in reversed(operands_of(expr)))


# -- collapsing ----------------------------------------------------------------------------------------------------------------------------
def collapsed(extents: tuple[int, ...], first: int, offsets: list[Affine]) -> list[tuple[int, int]]:
    """Loops over variables `first`, `first + 1` ... as few loops as possible: neighbours that every offset walks through as one are merged,
    loops of one turn dropped.

    Returns:
        (extent, the variable whose coefficients are the merged loop's) of each loop.
    """
    loops: list[tuple[int, int]] = []
    for k in reversed(range(len(extents))):
        variable, extent = first + k, extents[k]
        if extent == 1:
            continue
        if loops:
            inner, representative = loops[0]
            if all(o.coefficient(variable) == o.coefficient(representative) * inner for o in offsets):
                loops[0] = (inner * extent, representative)
                continue
        loops.insert(0, (extent, variable))
    return loops
