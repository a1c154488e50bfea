"""LLVM of a kernel: one function per nest, and one that runs them all, sharing their turns among threads.

    void kernel(ptr addresses, i64 thread, i64 threads, ptr barrier)

Turns of a nest's outer loops are numbered through (the last loop by vectors where lanes go across, or by its elements where the function
need not know how long it is); each thread takes a stretch of the turns of each section.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from . import blas
from .loop import Loop
from .loops import (
    LENGTH,
    Accumulate,
    Affine,
    Apply,
    Block,
    Buffer,
    Content,
    Copy,
    Expr,
    Factor,
    Index,
    Item,
    Kernel,
    Literal,
    Load,
    MatrixProduct,
    Nest,
    Phase,
    Register,
    Store,
    operands_of,
    ordered,
)
from .scalars import BOOL, VECTOR_BITS, Lanes, declared, memory_type, registers
from .schedule import COSTS, DEAR
from .table import CALLED, Row, write_table
from .transposed import small_transpose
from .vectormath import FUNCTIONS
from .wavefront import wavefronts

_I64, _I32, _PTR = ir.IntType(64), ir.IntType(32), ir.PointerType()
# vectors that a reduction adds up side by side: hides the latency of an addition, and shortens each sum
UNROLL = 4
# operations, one after another, of which a processor cannot look past so many as to begin with the next turn, and the vectors that a turn
# then takes at once
LONG_CHAIN, CHAINS = 40, 4
# lanes of several vectors at most, and how many more of them than of single vectors there may be in all turns
MOST_LANES, MOST_WASTE = 64, 1.25
# vectors that sums of columns go down side by side: a row's cache lines are read together. As far as so many registers hold the sums, and
# of nests of so few values (each is computed for all of them)
SIDE_BY_SIDE, SUM_REGISTERS, LARGEST_SIDE_BY_SIDE = 8, 16, 24
# additions in a row from which on float32 adds up in float64, and float64 with compensation
LONG_SUM = 1 << 13
# operations of a section below which meeting a second thread costs more, and of a nest of one below which it is not split
PARALLEL_WORK, SMALLEST_SPLIT = 1 << 16, 1 << 13
# operations of all such sections below which waking it does (one that has gone to sleep takes some 10 µs)
WAKING_WORK = 1 << 17
# lengths of loops by vectors from which on one function for all of them is compiled in less time than one for each
MANY_LENGTHS = 4
# parts of equal work from which on threads, however many, get about as much of them each
MANY = 64

_IDENTITY = {"add": 0, "multiply": 1, "logical_or": False, "logical_and": True}


def widest(nest: Nest) -> int:
    """Bytes of the widest value in a nest."""
    sizes = [e.dtype.itemsize for e in nest.expressions()]
    return max(sizes, default=1)


def waits(nest: Nest) -> bool:
    """Whether a turn is a long chain of operations, each waiting for the one before, so that several vectors take hardly longer than one:
    a turn of 160 additions and products took 82 ns with one, 56 with each of two and 34 with each of four; one of 20 tanh 360, 200 and 110;
    one of a single power 17, 16 and 13. (A function that is neither listed nor vector maths has code for whole vectors of its own.)"""
    if not nest.across or nest.block is not None:
        return False
    length: dict[Expr, int] = {}
    for expr in nest.expressions():
        length[expr] = max((length[e] for e in operands_of(expr)), default=0)
        if isinstance(expr, Apply):
            if expr.function in COSTS:
                length[expr] += COSTS[expr.function]
            elif expr.function in FUNCTIONS and expr.dtype.kind == "f":
                length[expr] += DEAR if FUNCTIONS[expr.function].short else LONG_CHAIN
            else:
                return False
    return max(length.values(), default=0) >= LONG_CHAIN


def _fitting(wide: int, narrow: int, lengths: Collection[int]) -> int:
    """Lanes between two numbers of them, so many that hardly more of them go for nothing in loops of these lengths."""
    used = lambda lanes: sum(-(-n // lanes) * lanes for n in lengths)  # noqa: E731
    while wide > narrow and used(wide) > MOST_WASTE * used(narrow):
        wide //= 2
    return wide


class _NestWriter:
    """Writes one nest as `void nest(buffers ..., i64 first, i64 last, numbers ...)`.

    Args:
        told: numbers that are not the nest's own, but the function's.
        numbers: what each number may be (see `Content`).
    """

    def __init__(
        self,
        function: ir.Function,
        nest: Nest,
        aliased: Collection[Buffer],
        told: Mapping[object, Any],
        numbers: Mapping[object, Collection[int]],
    ) -> None:
        self.nest, self.told, self.numbers = nest, told, numbers
        self.address: dict[Buffer, Any] = dict(zip(nest.buffers(), function.args, strict=False))
        function.attributes.add("noinline")
        for buffer, argument in self.address.items():
            if buffer not in aliased:
                argument.add_attribute("noalias")
        self.first, self.last = function.args[len(self.address) :][:2]
        self.outer, self.inner = nest.loops()
        if nest.across and not self.outer:
            self.outer = [(1, -1)]
        self.any_length = LENGTH in numbers
        self.builder = ir.IRBuilder(function.append_basic_block())
        # representative variable -> (value, lanes: whether it is the first of consecutive ones)
        self.variables: dict[int, Any] = {}
        self.lane_variable: int | None = None
        self.mask: Any = None
        # where a block of what lies turned in memory stands, and the offset of its row there
        self.turned: dict[Expr, tuple[Any, Any]] = {}
        self.memo: list[dict[Expr, Any]] = []
        self.sums: dict[Accumulate, Any] = {}
        self.lanes = max(1, VECTOR_BITS // (8 * widest(nest)))
        if waits(nest):
            wide = max(self.lanes, min(CHAINS * self.lanes, MOST_LANES))
            self.lanes = _fitting(wide, self.lanes, numbers.get(LENGTH) or [self.outer[-1][0]])

    # -- turns ---------------------------------------------------------------------------------------------------------------------------
    @property
    def grain(self) -> int:
        """How many turns have to stay together."""
        return self.lanes if self.any_length else 1

    @property
    def width(self) -> int:
        """Elements of a turn, where lanes are turns of the last outer loop."""
        return 1 if self.any_length else self.lanes

    def turns(self, outer: Sequence[tuple[int, int]]) -> int:
        """How many turns these outer loops have, vectors counted as one where their number is known; or blocks of them."""
        if self.nest.block is not None:
            return math.prod(e for e, _ in self._blocks(self.nest.block))
        extents = [e for e, _ in outer]
        if self.nest.across and not self.any_length:
            return math.prod(extents[:-1]) * -(-math.prod(extents[-1:]) // self.lanes)
        return math.prod(extents)

    def write(self) -> None:
        """The function's body."""
        if self.nest.across:
            self._write_across()
        else:
            self._write_rows()
        self.builder.ret_void()

    def _split(self, turn: Any, loops: Sequence[tuple[int, int]]) -> None:
        """Outer loop variables from the number of a turn."""
        rest = turn
        for k in reversed(range(len(loops))):
            extent, variable = loops[k]
            if k == 0:
                self.variables[variable] = rest
            else:
                self.variables[variable] = self.builder.urem(rest, ir.Constant(_I64, extent))
                rest = self.builder.udiv(rest, ir.Constant(_I64, extent))

    def _write_rows(self) -> None:
        loop = Loop(self.builder, self.first, self.last, 1)
        self._split(loop.index, self.outer)
        self.memo = [{}]
        for number in range(len(self.nest.phases)):
            self._write_phase(number)
        loop.close()

    def _extent(self, phase: int, loop: int) -> Any:
        """How many turns a loop of a phase has."""
        return self.told.get((phase, loop), ir.Constant(_I64, self.inner[phase][loop][0]))

    def _write_phase(self, number: int) -> None:
        """Phases of a nest whose turns are rows: the last loop goes by vectors."""
        phase, inner = self.nest.phases[number], self.inner[number]
        if not inner:
            # one turn
            for item in phase.body:
                value = self.value(item.value, 1)
                if isinstance(item, Store):
                    self._store(item, value, 1)
                else:
                    self.sums[item] = value
            return
        # what does not change inside is had before
        self._enter(phase)
        variable = inner[-1][1]
        width = self.lanes
        extents = self.numbers.get((number, len(inner) - 1), [inner[-1][0]])
        items = [i for i in phase.body if isinstance(i, Accumulate)]
        long = _is_long(self.nest, inner)
        in_order = any(i.running for i in items)
        unroll = UNROLL if items and max(extents) >= UNROLL * width and not in_order else 1
        sums = [[_partial(self, item, width, long) for _ in range(unroll)] for item in items]
        state = [v for row in sums for s in row for v in s.values]
        loops = []
        for k, (_, outer_variable) in enumerate(inner[:-1]):
            loop = Loop(self.builder, ir.Constant(_I64, 0), self._extent(number, k), 1, state)
            self.variables[outer_variable] = loop.index
            state = loop.carried
            loops.append(loop)
        extent = self._extent(number, len(inner) - 1)
        start: Any = ir.Constant(_I64, 0)
        self.lane_variable = variable
        for step in dict.fromkeys((unroll, 1)):
            size = step * width
            if max(extents) < size or (step < unroll and all(e % (unroll * width) < size for e in extents)):
                continue
            if isinstance(extent, ir.Constant):
                stop: Any = ir.Constant(_I64, extent.constant // size * size)
            else:
                stop = self.builder.sub(extent, self.builder.urem(extent, ir.Constant(_I64, size)))
            # of a length that is told: it is unrolled by hand as far as it pays
            loop = Loop(self.builder, start, stop, size, state, unroll=isinstance(extent, ir.Constant))
            state = list(loop.carried)
            for k in range(step):
                at = self.builder.add(loop.index, ir.Constant(_I64, k * width), flags=["nsw"]) if k else loop.index
                self.variables[variable] = at
                state = self._turn(phase, sums, state, k, width, None)
            state = loop.close(state)
            start = stop
        if isinstance(extent, ir.Constant):
            if extent.constant % width:
                self.variables[variable] = start
                self.mask = _mask(width, extent.constant % width)
                state = self._turn(phase, sums, state, 0, width, self.mask)
        elif any(e % width for e in extents):
            rest = self.builder.sub(extent, start)
            before = self.builder.block
            with self.builder.if_then(self.builder.icmp_signed(">", rest, ir.Constant(_I64, 0))):
                self.variables[variable] = start
                self.mask = self._first_lanes(width, rest)
                masked = self._turn(phase, sums, state, 0, width, self.mask)
                inside = self.builder.block
            state = [_either(self.builder, {before: a, inside: b}) for a, b in zip(state, masked, strict=True)]
        self.mask = None
        self.lane_variable = None
        for loop in reversed(loops):
            state = loop.close(state)
        for row, parts in _parts(sums, state):
            self.sums[row[0].item] = row[0].total(parts)

    def _turn(self, phase: Phase, sums: list[list[_Sum]], state: Sequence[Any], k: int, width: int, mask: Any) -> list[Any]:
        """One turn of a phase's loops; sum number `k` of each row takes the values, of the lanes in `mask` only where that is not None."""
        state = list(state)
        self.memo.append({})
        place = 0
        row = 0
        for item in phase.body:
            value = self.value(item.value, width)
            if isinstance(item, Store):
                self._store(item, value, width)
                continue
            for j, partial in enumerate(sums[row]):
                size = len(partial.values)
                if j == k:
                    state[place : place + size] = partial.add(state[place : place + size], value, mask)
                place += size
            row += 1
        self.memo.pop()
        return state

    def _write_across(self) -> None:
        """Nests whose lanes are turns of the last outer loop."""
        extent, variable = self.outer[-1]
        if self.any_length:
            self._write_any_length(variable, self.lanes)
            return
        if self.nest.block is not None:
            self._write_blocks(self.nest.block)
            return
        width = min(self.lanes, 1 << (extent - 1).bit_length()) if extent > 1 else 1
        self.lanes = width
        per_row = -(-extent // width)
        full, rest = divmod(extent, width)
        if len(self.outer) == 1:
            # whole vectors, then what is left of the last one
            stop = ir.Constant(_I64, full)
            last = self.builder.select(self.builder.icmp_signed("<", self.last, stop), self.last, stop)
            self._write_vectors(
                variable, width, *[self.builder.mul(at, ir.Constant(_I64, width), flags=["nsw"]) for at in (self.first, last)]
            )
            if rest:
                with self.builder.if_then(self.builder.icmp_signed(">", self.last, stop)):
                    self._across_turn(variable, width, _mask(width, rest), [ir.Constant(_I64, full * width)])
            return
        # rows of vectors; a thread's stretch may begin and end within a row
        row_first = self.builder.udiv(self.first, ir.Constant(_I64, per_row))
        row_last = self.builder.udiv(self.builder.add(self.last, ir.Constant(_I64, per_row - 1)), ir.Constant(_I64, per_row))
        rows = Loop(self.builder, row_first, row_last, 1)
        self._split(rows.index, self.outer[:-1])
        base = self.builder.mul(rows.index, ir.Constant(_I64, per_row), flags=["nsw"])
        low = self.builder.sub(self.first, base)
        zero = ir.Constant(_I64, 0)
        low = self.builder.select(self.builder.icmp_signed(">", low, zero), low, zero)
        high = self.builder.sub(self.last, base)
        stop = ir.Constant(_I64, full)
        above = self.builder.icmp_signed(">", high, stop)
        high = self.builder.select(above, stop, high)
        self._write_vectors(variable, width, *[self.builder.mul(at, ir.Constant(_I64, width), flags=["nsw"]) for at in (low, high)])
        if rest:
            with self.builder.if_then(above):
                self._across_turn(variable, width, _mask(width, rest), [ir.Constant(_I64, full * width)])
        rows.close()

    def _write_any_length(self, variable: int, width: int) -> None:
        """Turns that are elements: whole vectors, then what is left, where there is anything."""
        builder = self.builder
        if all(length % width == 0 for length in self.numbers[LENGTH]):
            self._write_vectors(variable, width, self.first, self.last)
            return
        rest = builder.urem(builder.sub(self.last, self.first), ir.Constant(_I64, width))
        stop = builder.sub(self.last, rest)
        self._write_vectors(variable, width, self.first, stop)
        with builder.if_then(builder.icmp_signed(">", rest, ir.Constant(_I64, 0))):
            self._across_turn(variable, width, self._first_lanes(width, rest), [stop])

    def _first_lanes(self, width: int, count: Any) -> Any:
        """A mask of so many lanes."""
        lanes = Lanes(self.builder, width)
        return self.builder.icmp_signed("<", ir.Constant(lanes.vector(_I64), list(range(width))), lanes.spread(count))

    def _blocks(self, block: Block) -> list[tuple[int, int]]:
        """Loops over the other outer variables, then the number of a block along rows, and along columns."""
        others = [(e, v) for e, v in self.outer[:-1] if v != block.row]
        rows = next(e for e, v in self.outer if v == block.row)
        return [*others, (-(-rows // block.rows), block.row), (-(-self.outer[-1][0] // block.columns), self.outer[-1][1])]

    def _write_blocks(self, block: Block) -> None:
        """Turns that are blocks: what lies turned in memory is copied first, to places that the rows of a block then read."""
        builder = self.builder
        number = lambda n: ir.Constant(_I64, n)  # noqa: E731
        columns, lane = self.outer[-1]
        rows = next(e for e, v in self.outer if v == block.row)
        width = min(self.lanes, block.columns)
        self.lanes = width
        places = [builder.alloca(memory_type(e.dtype), size=block.rows * block.columns) for e in block.turned]
        for place in places:
            place.align = VECTOR_BITS // 8
        turn = Loop(builder, self.first, self.last, 1)
        self._split(turn.index, self._blocks(block))
        first_row = builder.mul(self.variables[block.row], number(block.rows))
        first_column = builder.mul(self.variables[lane], number(block.columns))
        self.variables.update({block.row: first_row, lane: first_column})
        extents = []
        for extent, first, size in ((rows, first_row, block.rows), (columns, first_column, block.columns)):
            rest = builder.sub(number(extent), first)
            extents.append(builder.select(builder.icmp_signed("<", rest, number(size)), rest, number(size)))
        for load, place in zip(block.turned, places, strict=True):
            function = small_transpose(builder.module, load.dtype.itemsize)
            source = builder.gep(self.address[load.buffer], [self._offset(load, load.offset, 1)], source_etype=memory_type(load.dtype))
            builder.call(function, [place, source, *extents, number(block.columns), number(load.offset.coefficient(lane))])
        row = Loop(builder, number(0), extents[0], 1)
        self.variables[block.row] = builder.add(first_row, row.index)
        # what is read at a column stands so much before it
        ahead = builder.sub(builder.mul(row.index, number(block.columns)), first_column)
        self.turned = {load: (place, ahead) for load, place in zip(block.turned, places, strict=True)}
        whole = number(columns // width * width)
        end = builder.add(first_column, number(block.columns))
        beyond = builder.icmp_signed(">", end, whole)
        self._write_vectors(lane, width, first_column, builder.select(beyond, whole, end))
        if columns % width:
            with builder.if_then(beyond):
                self._across_turn(lane, width, _mask(width, columns % width), [whole])
        row.close()
        turn.close()

    def _write_vectors(self, variable: int, width: int, start: Any, stop: Any) -> None:
        """Whole vectors of the last outer loop, from one element up to another; where there are sums, several at once."""
        builder = self.builder
        several = self._side_by_side(width)
        if several > 1:
            size = ir.Constant(_I64, several * width)
            count = builder.sub(stop, start)
            middle = builder.sub(stop, builder.srem(count, size))
            middle = builder.select(builder.icmp_signed(">", count, ir.Constant(_I64, 0)), middle, start)
            self._write_turns(variable, width, start, middle, several)
            start = middle
        self._write_turns(variable, width, start, stop, 1)

    def _write_turns(self, variable: int, width: int, start: Any, stop: Any, several: int) -> None:
        loop = Loop(self.builder, start, stop, several * width)
        places = [self.builder.add(loop.index, ir.Constant(_I64, k * width), flags=["nsw"]) if k else loop.index for k in range(several)]
        self._across_turn(variable, width, None, places)
        loop.close()

    def _side_by_side(self, width: int) -> int:
        """How many vectors of the last outer loop are summed up at once: they read as many cache lines of each row side by side, as far as
        there are registers for the sums."""
        vectors = 0
        for phase, inner in zip(self.nest.phases, self.inner, strict=True):
            items = [i for i in phase.body if isinstance(i, Accumulate)] if inner else []
            sums = [_partial(self, item, width, _is_long(self.nest, inner)) for item in items]
            vectors = max(vectors, sum(len(s.values) * registers(s.dtype, width) for s in sums))
        if vectors == 0 or len(list(self.nest.expressions())) > LARGEST_SIDE_BY_SIDE:
            return 1
        return max(1, min(SIDE_BY_SIDE, SUM_REGISTERS // vectors))

    def _across_turn(self, variable: int, width: int, mask: Any, places: Sequence[Any]) -> None:
        """One turn of the outer loops for vectors that begin at `places`, all whole or the only one with lanes off."""
        self.lane_variable = variable
        self.mask = mask
        # what each of them has
        memos: list[list[dict[Expr, Any]]] = [[{}] for _ in places]
        found: list[dict[Accumulate, Any]] = [{} for _ in places]

        def each() -> Iterator[int]:
            for k, place in enumerate(places):
                self.variables[variable], self.memo, self.sums = place, memos[k], found[k]
                yield k

        for number, (phase, inner) in enumerate(zip(self.nest.phases, self.inner, strict=True)):
            if not inner:
                for _ in each():
                    for item in phase.body:
                        value = self.value(item.value, width)
                        if isinstance(item, Store):
                            self._store(item, value, width)
                        else:
                            self.sums[item] = value
                continue
            for _ in each():
                self._enter(phase)
            items = [i for i in phase.body if isinstance(i, Accumulate)]
            long = _is_long(self.nest, inner)
            sums = [[[_partial(self, item, width, long)] for item in items] for _ in places]
            state = [v for rows in sums for row in rows for s in row for v in s.values]
            size = len(state) // len(places)
            loops = []
            for k, (_, inner_variable) in enumerate(inner):
                loop = Loop(self.builder, ir.Constant(_I64, 0), self._extent(number, k), 1, state)
                self.variables[inner_variable] = loop.index
                state = loop.carried
                loops.append(loop)
            state = [v for k in each() for v in self._turn(phase, sums[k], state[k * size : (k + 1) * size], 0, width, None)]
            for loop in reversed(loops):
                state = loop.close(state)
            for k in each():
                for (partial,), (part,) in _parts(sums[k], state[k * size : (k + 1) * size]):
                    self.sums[partial.item] = partial.lanes_total(part)
        self.mask = None
        self.lane_variable = None

    # -- values --------------------------------------------------------------------------------------------------------------------------
    def _enter(self, phase: Phase) -> None:
        """Before the loops of a phase: forget those of the phase before, and compute what does not depend on them."""
        first = len(self.nest.outer)
        for variable in [v for v in self.variables if v >= first]:
            del self.variables[variable]
        width = self.lanes if self.nest.across else 1
        fixed: set[Expr] = set()
        for expr in ordered(item.value for item in phase.body):
            affine = expr.offset if isinstance(expr, Load) else expr.affine if isinstance(expr, Index) else None
            if affine is not None and any(v >= first for v, _ in affine.terms):
                continue
            if isinstance(expr, Register) and expr.accumulator.running:
                continue
            if all(e in fixed for e in operands_of(expr)):
                fixed.add(expr)
                if not isinstance(expr, Literal):
                    self.value(expr, width)

    def _known(self, expr: Expr) -> Any:
        for memo in reversed(self.memo):
            found = memo.get(expr)
            if found is not None:
                return found
        return None

    def value(self, root: Expr, width: int) -> Any:
        """The value, in all lanes of `width`."""
        return self._wide(self._computed(root, width), width)

    def _computed(self, root: Expr, width: int) -> Any:
        """The value: one per lane, or one for all."""
        for expr in ordered([root]):
            if self._known(expr) is None:
                self.memo[-1][expr] = self._made(expr, width)
        return self._known(root)

    def _wide(self, value: Any, width: int) -> Any:
        return Lanes(self.builder, width).spread(value) if width > 1 and not isinstance(value.type, ir.VectorType) else value

    def _made(self, expr: Expr, width: int) -> Any:
        if isinstance(expr, Literal):
            return Lanes(self.builder, 1).constant(expr.dtype, expr.value)
        if isinstance(expr, Register):
            return self.sums[expr.accumulator]
        if isinstance(expr, Load):
            return self._load(expr, width)
        if isinstance(expr, Index):
            return self._index(expr, width)
        assert isinstance(expr, Apply)
        values = [self._known(e) for e in expr.operands]
        if any(isinstance(v.type, ir.VectorType) for v in values):
            values = [self._wide(v, width) for v in values]
        else:
            width = 1
        return Lanes(self.builder, width).apply(expr.function, values, expr.operands[-1].dtype, expr.dtype)

    def _offset(self, owner: Expr | Store, affine: Affine, width: int) -> Any:
        """The affine expression of a value or a store: that of the first lane, where all lanes follow from it, else one per lane."""
        builder = self.builder
        total: Any = None
        for variable, value in self.variables.items():
            factor = affine.coefficient(variable)
            if factor == 0:
                continue
            if (owner, variable) in self.told:
                term = builder.mul(value, self.told[owner, variable], flags=["nsw"])
            else:
                term = value if factor == 1 else builder.mul(value, ir.Constant(_I64, factor), flags=["nsw"])
            total = term if total is None else builder.add(total, term, flags=["nsw"])
        for expr, factor in affine.dynamic:
            value = self._known(expr)
            if isinstance(value.type, ir.VectorType):
                continue
            if value.type != _I64:
                value = builder.sext(value, _I64)
            term = value if factor == 1 else builder.mul(value, ir.Constant(_I64, factor))
            total = term if total is None else builder.add(total, term)
        const = self.told.get(owner, affine.const)
        if isinstance(const, int):
            const = ir.Constant(_I64, const)
        if total is None:
            total = const
        elif owner in self.told or affine.const:
            total = builder.add(total, const)
        for expr, factor in affine.dynamic:
            value = self._known(expr)
            if not isinstance(value.type, ir.VectorType):
                continue
            lanes = Lanes(builder, width)
            if not isinstance(total.type, ir.VectorType):
                total = self._spread_along(total, affine, width)
            if value.type.element != _I64:
                value = builder.sext(value, lanes.vector(_I64))
            total = builder.add(total, value if factor == 1 else builder.mul(value, lanes.splat(_I64, factor)))
        return total

    def _spread_along(self, value: Any, affine: Affine, width: int) -> Any:
        """An affine expression in each lane, from that of the first."""
        step = 0 if self.lane_variable is None else affine.coefficient(self.lane_variable)
        lanes = Lanes(self.builder, width)
        value = lanes.spread(value)
        return self.builder.add(value, ir.Constant(lanes.vector(_I64), [step * k for k in range(width)])) if step else value

    def _index(self, expr: Index, width: int) -> Any:
        step = 0 if self.lane_variable is None else expr.affine.coefficient(self.lane_variable)
        value = self._offset(expr, expr.affine, width)
        if width > 1 and step and not isinstance(value.type, ir.VectorType):
            value = self._spread_along(value, expr.affine, width)
        return Lanes(self.builder, width if isinstance(value.type, ir.VectorType) else 1).apply(
            "cast", [value], np.dtype(np.int64), expr.dtype
        )

    def _load(self, load: Load, width: int) -> Any:
        builder = self.builder
        element = memory_type(load.dtype)
        step = 0 if self.lane_variable is None else load.offset.coefficient(self.lane_variable)
        base, offset = self.address[load.buffer], None
        if load in self.turned:
            base, ahead = self.turned[load]
            assert self.lane_variable is not None
            step, offset = 1, builder.add(ahead, self.variables[self.lane_variable])
        else:
            offset = self._offset(load, load.offset, width)
        align = load.dtype.itemsize
        if isinstance(offset.type, ir.VectorType):
            return self._gathered(load, offset, width)
        address = builder.gep(base, [offset], source_etype=element)
        if width == 1 or step == 0:
            value = builder.load(address, typ=element, align=align)
            width = 1
        elif step == 1:
            vector = ir.VectorType(element, width)
            if self.mask is None:
                value = builder.load(address, typ=vector, align=align)
            else:
                value = _masked(builder, "load", vector, address, align, self.mask)
        else:
            vector = ir.VectorType(element, width)
            value = ir.Constant(vector, None)
            for k in range(self._live(width)):
                place = builder.gep(address, [ir.Constant(_I64, step * k)], source_etype=element)
                value = builder.insert_element(value, builder.load(place, typ=element, align=align), ir.Constant(_I32, k))
        return self._truth(value) if load.dtype == BOOL else value

    def _gathered(self, load: Load, offsets: Any, width: int) -> Any:
        """Elements at an offset per lane. (One load after another: gather instructions are no quicker.)"""
        builder = self.builder
        element = memory_type(load.dtype)
        value = ir.Constant(ir.VectorType(element, width), None)
        for k in range(self._live(width)):
            lane = ir.Constant(_I32, k)
            place = builder.gep(self.address[load.buffer], [builder.extract_element(offsets, lane)], source_etype=element)
            value = builder.insert_element(value, builder.load(place, typ=element, align=load.dtype.itemsize), lane)
        return self._truth(value) if load.dtype == BOOL else value

    def _live(self, width: int) -> int:
        """How many lanes, from the first on, are on."""
        return width if self.mask is None else sum(c.constant for c in self.mask.constant)

    def _truth(self, value: Any) -> Any:
        return self.builder.icmp_unsigned("!=", value, ir.Constant(value.type, None))

    def _store(self, item: Store, value: Any, width: int) -> None:
        builder = self.builder
        for expr, _ in item.offset.dynamic:
            self._computed(expr, width)
        element = memory_type(item.buffer.dtype)
        step = 0 if self.lane_variable is None else item.offset.coefficient(self.lane_variable)
        offset = self._offset(item, item.offset, width)
        align = item.buffer.dtype.itemsize
        if width > 1 and (isinstance(offset.type, ir.VectorType) or (item.combine is not None and step == 0)):
            # in order: lanes may write to one place
            for k in range(self._live(width)):
                lane = ir.Constant(_I32, k)
                at = builder.extract_element(offset, lane) if isinstance(offset.type, ir.VectorType) else offset
                place = builder.gep(self.address[item.buffer], [at], source_etype=element)
                builder.store(self._combined(item, builder.extract_element(value, lane), place), place, align=align)
            return
        address = builder.gep(self.address[item.buffer], [offset], source_etype=element)
        if item.combine is None:
            value = self._as_stored(item.buffer.dtype, value)
        elif width == 1 or step == 1:
            value = self._combined(item, value, address)
        if width == 1:
            builder.store(value, address, align=align)
        elif step == 1:
            if self.mask is None:
                builder.store(value, address, align=align)
            else:
                _masked(builder, "store", value.type, address, align, self.mask, value)
        else:
            for k in range(self._live(width)):
                place = builder.gep(address, [ir.Constant(_I64, step * k)], source_etype=element)
                one = builder.extract_element(value, ir.Constant(_I32, k))
                builder.store(one if item.combine is None else self._combined(item, one, place), place, align=align)

    def _as_stored(self, dtype: np.dtype, value: Any) -> Any:
        """A value as it stands in memory."""
        if dtype != BOOL:
            return value
        element = memory_type(dtype)
        return self.builder.zext(value, ir.VectorType(element, value.type.count) if isinstance(value.type, ir.VectorType) else element)

    def _combined(self, item: Store, value: Any, address: Any) -> Any:
        """What a store leaves at an address."""
        builder, dtype = self.builder, item.buffer.dtype
        if item.combine is not None:
            element, align = memory_type(dtype), dtype.itemsize
            width = value.type.count if isinstance(value.type, ir.VectorType) else 1
            if width == 1:
                before = builder.load(address, typ=element, align=align)
            elif self.mask is None:
                before = builder.load(address, typ=ir.VectorType(element, width), align=align)
            else:
                before = _masked(builder, "load", ir.VectorType(element, width), address, align, self.mask)
            before = self._truth(before) if dtype == BOOL else before
            value = Lanes(builder, width).apply(item.combine, [before, value], dtype, dtype)
        return self._as_stored(dtype, value)


def _either(builder: ir.IRBuilder, values: Mapping[ir.Block, Any]) -> Any:
    """The value of the block that was run."""
    phi = builder.phi(next(iter(values.values())).type)
    for block, value in values.items():
        phi.add_incoming(value, block)
    return phi


def _mask(width: int, live: int) -> ir.Constant:
    bit = ir.IntType(1)
    return ir.Constant(ir.VectorType(bit, width), [ir.Constant(bit, int(k < live)) for k in range(width)])


def _masked(builder: ir.IRBuilder, kind: str, vector: ir.Type, address: Any, align: int, mask: Any, value: Any = None) -> Any:
    """llvm.masked.load and .store; lanes that are off load 0."""
    module = builder.module
    suffix = f"v{vector.count}{vector.element.intrinsic_name}"
    name = f"llvm.masked.{kind}.{suffix}.p0"
    number = ir.Constant(_I32, align)
    if kind == "load":
        function = declared(module, name, vector, [_PTR, _I32, mask.type, vector])
        return builder.call(function, [address, number, mask, ir.Constant(vector, None)])
    function = declared(module, name, ir.VoidType(), [vector, _PTR, _I32, mask.type])
    return builder.call(function, [value, address, number, mask])


def _added(builder: ir.IRBuilder, vector: Any) -> Any:
    """The sum of integer lanes."""
    name = f"llvm.vector.reduce.add.v{vector.type.count}{vector.type.element.intrinsic_name}"
    return builder.call(declared(builder.module, name, vector.type.element, [vector.type]), [vector])


def _parts(sums: Sequence[list[_Sum]], state: Sequence[Any]) -> Iterator[tuple[list[_Sum], list[Sequence[Any]]]]:
    """Each row of partial sums with its values, of all values in a row."""
    place = 0
    for row in sums:
        parts = []
        for partial in row:
            parts.append(state[place : place + len(partial.values)])
            place += len(partial.values)
        yield row, parts


def _partial(writer: _NestWriter, item: Accumulate, width: int, long: bool) -> _Sum:
    return _Running(writer, item, width) if item.running else _Sum(writer, item, width, long)


class _Sum:
    """Partial results of a reduction, one per lane."""

    def __init__(self, writer: _NestWriter, item: Accumulate, width: int, long: bool) -> None:
        self.writer, self.item, self.width = writer, item, width
        dtype = item.dtype
        # long sums of float32 in float64; of float64 with the rounding errors added up beside; of float16 in float32 at least
        half = item.kind in ("add", "multiply") and dtype == np.float16
        self.wide = half or (item.kind == "add" and long and dtype == np.float32)
        self.compensated = item.kind == "add" and long and dtype == np.float64
        self.dtype = np.dtype(np.float32 if half and not long else np.float64) if self.wide else dtype
        lanes = Lanes(writer.builder, width)
        self.values = [lanes.constant(self.dtype, self.identity())]
        if self.compensated:
            self.values.append(lanes.constant(self.dtype, 0))

    def identity(self) -> Any:
        """What changes nothing."""
        kind, dtype = self.item.kind, self.item.dtype
        if kind in _IDENTITY:
            return _IDENTITY[kind]
        low = kind == "maximum"
        if dtype.kind == "f":
            return -math.inf if low else math.inf
        if dtype == BOOL:
            return not low
        info = np.iinfo(dtype)
        return info.min if low else info.max

    def add(self, state: Sequence[Any], value: Any, mask: Any) -> list[Any]:
        """Take one more vector of values."""
        builder = self.writer.builder
        lanes = Lanes(builder, self.width)
        if self.wide:
            value = lanes.apply("cast", [value], self.item.dtype, self.dtype)
        if mask is not None:
            value = builder.select(mask, value, lanes.constant(self.dtype, self.identity()))
        if self.compensated:
            return self._compensated(lanes, state, value)
        return [lanes.apply(self.item.kind, [state[0], value], self.dtype, self.dtype)]

    def _compensated(self, lanes: Lanes, state: Sequence[Any], value: Any) -> list[Any]:
        # Knuth's two-sum; an infinite total keeps its error term at 0
        builder = self.writer.builder
        total = builder.fadd(state[0], value)
        other = builder.fsub(total, state[0])
        error = builder.fadd(builder.fsub(state[0], builder.fsub(total, other)), builder.fsub(value, other))
        finite = builder.fcmp_ordered("ord", error, error)
        error = builder.select(finite, error, lanes.constant(self.dtype, 0))
        return [total, builder.fadd(state[1], error)]

    def lanes_total(self, state: Sequence[Any]) -> Any:
        """The result in each lane."""
        builder = self.writer.builder
        value = builder.fadd(*state) if self.compensated else state[0]
        return Lanes(builder, self.width).apply("cast", [value], self.dtype, self.item.dtype) if self.wide else value

    def total(self, parts: Sequence[Sequence[Any]]) -> Any:
        """All parts and lanes together, as one value."""
        builder = self.writer.builder
        lanes = Lanes(builder, self.width)
        values = [builder.fadd(*p) if self.compensated else p[0] for p in parts]
        while len(values) > 1:
            values = [lanes.apply(self.item.kind, values[i : i + 2], self.dtype, self.dtype) for i in range(0, len(values), 2)]
        (value,) = values
        width = self.width
        if width > 1 and self.item.kind == "add" and self.dtype.kind in "iu":
            # (by halves, LLVM 22 ends the process over counts of some of the lanes with AVX-512: "Unexpected illegal type!")
            value, width = _added(builder, value), 1
        while width > 1:
            width //= 2
            half = ir.VectorType(value.type.element, width) if width > 1 else None
            undefined = ir.Constant(value.type, ir.Undefined)
            if half is None:
                low, high = (builder.extract_element(value, ir.Constant(_I32, k)) for k in (0, 1))
            else:
                low, high = (
                    builder.shuffle_vector(value, undefined, ir.Constant(ir.VectorType(_I32, width), list(range(s, s + width))))
                    for s in (0, width)
                )
            value = Lanes(builder, width).apply(self.item.kind, [low, high], self.dtype, self.dtype)
        return Lanes(builder, 1).apply("cast", [value], self.dtype, self.item.dtype) if self.wide else value


class _Running(_Sum):
    """The result so far of a scan: one value where the lanes are turns that run in order, else one per lane."""

    def __init__(self, writer: _NestWriter, item: Accumulate, width: int) -> None:
        super().__init__(writer, item, width, long=False)
        self.dtype = item.dtype
        lanes = Lanes(writer.builder, width if writer.nest.across else 1)
        self.values = [lanes.constant(self.dtype, self.identity())]

    def identity(self) -> Any:
        # -0.0 + -0.0 keeps its sign
        return -0.0 if self.item.kind == "add" and self.dtype.kind == "f" else super().identity()

    def add(self, state: Sequence[Any], value: Any, mask: Any) -> list[Any]:
        """Take one more turn, or one more per lane, in order."""
        writer, builder = self.writer, self.writer.builder
        factor = None if self.item.factor is None else writer.value(self.item.factor, self.width)
        if writer.nest.across or self.width == 1:
            lanes = Lanes(builder, self.width)
            found = self._step(lanes, state[0], value, factor)
            writer.sums[self.item] = found
            return [found]
        if self.dtype.kind in "iu" and factor is None:
            return [self._together(state[0], value)]
        lanes = Lanes(builder, 1)
        found = state[0]
        results: Any = ir.Constant(value.type, ir.Undefined)
        for k in range(self.width if mask is None else sum(c.constant for c in mask.constant)):
            lane = ir.Constant(_I32, k)
            found = self._step(
                lanes, found, builder.extract_element(value, lane), None if factor is None else builder.extract_element(factor, lane)
            )
            results = builder.insert_element(results, found, lane)
        writer.sums[self.item] = results
        return [found]

    def _together(self, before: Any, value: Any) -> Any:
        """All turns of a vector of integers, whose order does not matter (Hillis and Steele, Data parallel algorithms, 1986)."""
        builder, width = self.writer.builder, self.width
        lanes = Lanes(builder, width)
        nothing = lanes.constant(self.dtype, self.identity())
        step = 1
        while step < width:
            moved = ir.Constant(ir.VectorType(_I32, width), [k if k < step else width + k - step for k in range(width)])
            value = lanes.apply(self.item.kind, [value, builder.shuffle_vector(nothing, value, moved)], self.dtype, self.dtype)
            step *= 2
        self.writer.sums[self.item] = lanes.apply(self.item.kind, [lanes.spread(before), value], self.dtype, self.dtype)
        last = builder.extract_element(value, ir.Constant(_I32, width - 1))
        return Lanes(builder, 1).apply(self.item.kind, [before, last], self.dtype, self.dtype)

    def _step(self, lanes: Lanes, before: Any, value: Any, factor: Any) -> Any:
        if factor is not None:
            before = lanes.apply("multiply", [factor, before], self.dtype, self.dtype)
        return lanes.apply(self.item.kind, [before, value], self.dtype, self.dtype)

    def total(self, parts: Sequence[Sequence[Any]]) -> Any:
        return parts[0][0]

    def lanes_total(self, state: Sequence[Any]) -> Any:
        return state[0]


def _is_long(nest: Nest, inner: Sequence[tuple[int, int]]) -> bool:
    """Whether these loops of a phase add up so much that sums carry more digits."""
    return math.prod(e for e, _ in inner) > (LONG_SUM // (UNROLL * 16) if nest.across else LONG_SUM)


def work_of(item: Item) -> int:
    """Operations of all turns."""
    if isinstance(item, MatrixProduct):
        return item.rows * item.columns * item.inner
    if isinstance(item, Copy):
        return item.result.size
    per_turn = sum(math.prod(p.extents) for p in item.phases)
    count = sum(8 if isinstance(e, Apply) and e.function not in COSTS else 1 for e in item.expressions())
    return math.prod(item.outer) * per_turn * max(count, 1) // max(len(item.phases), 1)


def _share_out(section: Sequence[Row]) -> None:
    """How threads share a section. Nests of one function, whose turns take equally long, are one line, by their turns; what is small, or
    has few turns, of several functions is one, by its work, which is no more than a guess."""
    alike: dict[tuple[ir.Function, int], list[Row]] = {}
    for row in section:
        alike.setdefault((row.function, round(row.work / max(row.turns, 1))), []).append(row)
        if row.work < SMALLEST_SPLIT:
            row.grain = max(row.turns, 1)
    if sum(row.work for row in section) < PARALLEL_WORK or sum(row.grains for row in section) < 2:
        return
    mixed: list[Row] = []
    for rows in alike.values():
        if sum(row.work for row in rows) < PARALLEL_WORK or sum(row.grains for row in rows) < MANY:
            mixed += rows
        else:
            _line_up(rows, [row.grain for row in rows])
    _line_up(mixed, [max(row.work // max(row.grains, 1), 1) for row in mixed])


def _line_up(rows: Sequence[Row], weights: Sequence[int]) -> None:
    total = 0
    for row, weight in zip(rows, weights, strict=True):
        row.weight, row.start = weight, total
        total += row.grains * weight
    for row in rows:
        row.total = total


def write(
    kernel: Kernel,
    name: str = "kernel",
    aliased: Collection[Buffer] = (),
    plan: Mapping[Buffer, tuple[int, int, int]] | None = None,
    threads: int = 1,
) -> tuple[ir.Module, bool]:
    """The module of a kernel, and whether more than one thread is of use to it.

    What runs is a table: one row per nest, which says what to call, on what memory, and how many turns there are to share. So the time
    that a module takes to compile follows the nests that differ, not how often they come (sweeps, time steps, parameters of a network).
    Threads wait for one another between sections, where either of two was shared.

    Args:
        aliased: what may be the same memory as another buffer.
        plan: where each buffer is: number of an address, bytes from there on, and bytes from one thread's own to the next one's; where not
            said, at the address of its number.
        threads: how many there may be.
    """
    module = ir.Module(name)
    if plan is None:
        plan = {b: (k, 0, b.nbytes if b.private else 0) for k, b in enumerate(kernel.buffers)}
    group_of = _groups(kernel.nests, aliased)
    for number, group in enumerate(dict.fromkeys(group_of.values())):
        group.write(module, number, aliased)
    sections = [[(nest, group_of[nest].row(nest)) for nest in section] for section in kernel.sections()]
    together = wavefronts(sections, plan, aliased, threads)
    of_row = {row: wavefront for wavefront in together for row in wavefront.rows}
    rows: list[Row] = []
    shared, work = False, 0
    for section in sections:
        added = [row for _, row in section]
        wavefront = of_row.get(added[0])
        if wavefront is None:
            _share_out(added)
        before, shared = shared, wavefront is not None or any(row.total for row in added)
        added[0].waits = bool(rows) and (shared or before) and (wavefront is None or added[0] is wavefront.rows[0])
        rows += added
        work += sum(row.work for row in added) if shared else 0
    write_table(module, name, rows, plan, together)
    return module, work >= WAKING_WORK


def _groups(nests: Sequence[Item], aliased: Collection[Buffer]) -> dict[Item, _Group]:
    """Which function runs which nest."""
    alike: dict[tuple, list[tuple[Item, Content]]] = {}
    for nest in nests:
        content = nest.content()
        key = content.form
        if isinstance(nest, Nest):
            key += tuple([b in aliased for b in nest.buffers()])
            key += tuple([_is_long(nest, inner) for inner in nest.loops()[1]])
        alike.setdefault(key, []).append((nest, content))
    found: dict[Item, _Group] = {}
    for members in alike.values():
        groups: dict[tuple[int, ...], _Group] = {}
        few = len({content.lengths for _, content in members}) < MANY_LENGTHS
        for nest, content in members:
            found[nest] = groups.setdefault(content.lengths if few else (), _Group())
            found[nest].add(nest, content.numbers)
    return found


class _Group:
    """What one function runs. It is told those numbers that are not the same for all.

    Attributes:
        members: with their numbers.
        owners: of the numbers of the first one (see `Content`).
        places: which numbers the function is told.
    """

    function: ir.Function
    grain: int
    width: int
    turns: Callable[[Sequence[tuple[int, int]]], int]

    def __init__(self) -> None:
        self.members: dict[Item, tuple[int, ...]] = {}
        self.owners: list[object] = []
        self.places: list[int] = []

    def add(self, item: Item, numbers: dict[object, int]) -> None:
        """One more member."""
        self.owners = self.owners or list(numbers)
        self.members[item] = tuple(numbers.values())

    def write(self, module: ir.Module, number: int, aliased: Collection[Buffer]) -> None:
        """Write the function."""
        columns = list(zip(*self.members.values(), strict=True))
        # numbers that are always the same are one
        told: dict[tuple[int, ...], int] = {}
        differ = {
            owner: told.setdefault(column, len(told))
            for owner, column in zip(self.owners, columns, strict=True)
            if len(set(column)) > 1 and owner != LENGTH
        }
        self.places = [columns.index(column) for column in told]
        item = next(iter(self.members))
        buffers = item.buffers()
        kind = type(item).__name__.lower()
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_PTR] * len(buffers) + [_I64] * (2 + len(told))), f"{kind}{number}")
        function.linkage = "internal"
        arguments = function.args[len(buffers) + 2 :]
        numbers = {owner: arguments[k] for owner, k in differ.items()}
        self.grain = self.width = 1
        if isinstance(item, MatrixProduct):
            _write_product(function, item, numbers)
        elif isinstance(item, Copy):
            _write_copy(function, item, numbers)
        else:
            writer = _NestWriter(function, item, aliased, numbers, dict(zip(self.owners, columns, strict=True)))
            writer.write()
            self.grain, self.width, self.turns = writer.grain, writer.width, writer.turns
        self.function = _unpacking(function, len(buffers), len(told))

    def row(self, item: Item) -> Row:
        """The call that runs a member."""
        if isinstance(item, MatrixProduct):
            turns = max(item.rows, item.columns)
        elif isinstance(item, Copy):
            turns = math.prod(item.shape[:-1])
        else:
            turns = self.turns(item.loops()[0])
        numbers = self.members[item]
        return Row(self.function, item.buffers(), [numbers[k] for k in self.places], turns, self.grain, work_of(item), width=self.width)


def _unpacking(function: ir.Function, count: int, told: int) -> ir.Function:
    """The same function, its pointers in an array, and so the numbers that it is told."""
    made = ir.Function(function.module, CALLED, function.name + "_of")
    made.linkage = "internal"
    pointers, first, last, numbers = made.args
    builder = ir.IRBuilder(made.append_basic_block())

    def entries(array: Any, type_: ir.Type, count: int) -> list[Any]:
        return [builder.load(builder.gep(array, [ir.Constant(_I64, k)], source_etype=type_), typ=type_) for k in range(count)]

    builder.call(function, [*entries(pointers, _PTR, count), first, last, *entries(numbers, _I64, told)])
    builder.ret_void()
    return made


def _scalar(builder: ir.IRBuilder, factor: Factor, pointers: Mapping[Buffer, Any], element: ir.Type) -> Any:
    """What a factor is in this run."""
    value: Any = ir.Constant(element, factor[0])
    for buffer in factor[1]:
        value = builder.fmul(value, builder.load(pointers[buffer], typ=element, align=buffer.dtype.itemsize))
    return value


def _write_product(function: ir.Function, product: MatrixProduct, told: Mapping[object, Any]) -> None:
    """A stretch of the result's rows or, where there are more of those, columns."""
    blas.load()
    dtype = product.result.dtype
    element = memory_type(dtype)
    arguments = [_I32] * 6 + [element, _PTR, _I32, _PTR, _I32, element, _PTR, _I32]
    gemm = declared(function.module, blas.NAMES[dtype], ir.VoidType(), arguments)
    pointer = dict(zip(product.buffers(), function.args, strict=False))
    first, last = function.args[len(pointer) :][:2]
    builder = ir.IRBuilder(function.append_basic_block())
    number = lambda n: ir.Constant(_I32, n)  # noqa: E731
    size = lambda n: ir.Constant(_I64, n)  # noqa: E731
    by_rows = product.by_rows
    rows, columns, inner = (told.get(name, size(getattr(product, name))) for name in ("rows", "columns", "inner"))
    left_step = rows if product.transposed[0] else inner
    right_step = inner if product.transposed[1] else columns
    # elements from one row, or column, of an operand to the next
    left_move = (size(1) if product.transposed[0] else left_step) if by_rows else size(0)
    right_move = size(0) if by_rows else (right_step if product.transposed[1] else size(1))
    result_move = columns if by_rows else size(1)
    left, right, result = (
        builder.gep(pointer[buffer], [builder.mul(first, move)], source_etype=element)
        for buffer, move in ((product.left, left_move), (product.right, right_move), (product.result, result_move))
    )
    turns = builder.sub(last, first)
    short = lambda n: builder.trunc(n, _I32)  # noqa: E731
    count = short(turns)
    kinds = [number(blas.TRANSPOSED if t else blas.AS_IT_IS) for t in product.transposed]
    extents = [count, short(columns)] if by_rows else [short(rows), count]
    scale = _scalar(builder, product.scale, pointer, element)
    with builder.if_then(builder.icmp_signed(">", count, number(0))):
        kept: Any = ir.Constant(element, 0.0)
        if product.base is not None:
            kept = _scalar(builder, product.base_scale, pointer, element)
            base = builder.gep(pointer[product.base], [builder.mul(first, result_move)], source_etype=element)
            # in place: it is there
            with builder.if_then(builder.icmp_unsigned("!=", builder.ptrtoint(base, _I64), builder.ptrtoint(result, _I64))):
                if by_rows:
                    _copy_bytes(builder, result, base, builder.mul(turns, builder.mul(columns, size(dtype.itemsize))))
                else:
                    row = Loop(builder, size(0), rows, 1, unroll=False)
                    at = builder.mul(row.index, columns)
                    to, source = (builder.gep(p, [at], source_etype=element) for p in (result, base))
                    _copy_bytes(builder, to, source, builder.mul(turns, size(dtype.itemsize)))
                    row.close()
        builder.call(
            gemm,
            [
                number(blas.ROW_MAJOR),
                *kinds,
                *extents,
                short(inner),
                scale,
                left,
                short(left_step),
                right,
                short(right_step),
                kept,
                result,
                short(columns),
            ],
        )
    builder.ret_void()


def _copy_bytes(builder: ir.IRBuilder, target: Any, source: Any, count: Any) -> None:
    function = declared(builder.module, "llvm.memcpy.p0.p0.i64", ir.VoidType(), [_PTR, _PTR, _I64, ir.IntType(1)])
    builder.call(function, [target, source, count, ir.Constant(ir.IntType(1), 0)])


def _write_copy(function: ir.Function, copy: Copy, told: Mapping[object, Any]) -> None:
    """A stretch of rows (along the last axis), without those elements that lie in the box."""
    pointer = dict(zip(copy.buffers(), function.args, strict=False))
    first, last = function.args[len(pointer) :][:2]
    builder = ir.IRBuilder(function.append_basic_block())
    number = lambda n: ir.Constant(_I64, n)  # noqa: E731
    result, source = pointer[copy.result], pointer[copy.source]
    element, size, columns = memory_type(copy.result.dtype), copy.result.dtype.itemsize, copy.shape[-1]

    def copied(at: Any, count: Any) -> None:
        places = [builder.gep(p, [at], source_etype=element) for p in (result, source)]
        _copy_bytes(builder, places[0], places[1], builder.mul(count, number(size)))

    with builder.if_then(builder.icmp_unsigned("!=", builder.ptrtoint(result, _I64), builder.ptrtoint(source, _I64))):
        if copy.box is None:
            copied(builder.mul(first, number(columns)), builder.mul(builder.sub(last, first), number(columns)))
        else:
            starts = []
            lengths = [told.get(("length", axis), number(length)) for axis, (_, _, length) in enumerate(copy.box)]
            for axis, (start, scalars, _) in enumerate(copy.box):
                value: Any = told.get(("start", axis), number(start))
                for buffer, step in scalars:
                    loaded = builder.load(pointer[buffer], typ=memory_type(buffer.dtype), align=buffer.dtype.itemsize)
                    loaded = loaded if loaded.type == _I64 else builder.sext(loaded, _I64)
                    value = builder.add(value, builder.mul(loaded, number(step)))
                starts.append(value)
            rows = Loop(builder, first, last, 1, unroll=False)
            rest, inside = rows.index, ir.Constant(ir.IntType(1), 1)
            for axis in reversed(range(len(copy.shape) - 1)):
                at = builder.urem(rest, number(copy.shape[axis]))
                rest = builder.udiv(rest, number(copy.shape[axis]))
                # below the start: a large number
                within = builder.icmp_unsigned("<", builder.sub(at, starts[axis]), lengths[axis])
                inside = builder.and_(inside, within)
            begin = builder.mul(rows.index, number(columns))
            with builder.if_else(inside) as (then, otherwise):
                with then:
                    end = builder.add(starts[-1], lengths[-1])
                    copied(begin, starts[-1])
                    copied(builder.add(begin, end), builder.sub(number(columns), end))
                with otherwise:
                    copied(begin, number(columns))
            rows.close()
    builder.ret_void()
