"""What runs a kernel: a table, one row per nest, which says what to call, on what memory, and how many turns there are to share. One
function runs all tables; it is compiled once per machine, and is known to kernels by its name.

    void minpy_jit_rows(ptr functions, ptr rows, i64 count, ptr places, ptr numbers, ptr wavefronts,
                        ptr pointers, ptr addresses, i64 thread, i64 threads, ptr barrier)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir

from . import jit
from .loop import Loop
from .loops import Buffer
from .scalars import declared

_I64, _PTR, _VOID = ir.IntType(64), ir.PointerType(), ir.VoidType()
RUNNER = "minpy_jit_rows"
_BARRIER = ir.FunctionType(_VOID, []).as_pointer()
_CALL = [_PTR] * 6 + [_I64] * 4
_WAVEFRONT = [_PTR] * 6 + [_I64, _I64, _BARRIER, _I64, _PTR]
_ARGUMENTS = [_PTR, _PTR, _I64, _PTR, _PTR, _PTR, _PTR, _PTR, _I64, _I64, _BARRIER]
# what a row calls: pointers, first and last turn, numbers
CALLED = ir.FunctionType(_VOID, [_PTR, _I64, _I64, _PTR])
# what a row holds: where its pointers begin and end among all, what is said of its turns (see `Row`), and where its numbers begin
_COLUMNS = ("begin", "end", "turns", "grain", "weight", "start", "total", "waits", "numbers", "wavefront")
_OF_TURNS = ("turns", "grain", "weight", "start", "total", "waits", "wavefront")
# a row whose wavefront began before
_WITHIN = -1


@dataclass(slots=True, eq=False)
class Row:
    """One call in a kernel's table.

    Attributes:
        function: what runs it: `void (ptr pointers, i64 first, i64 last, ptr numbers)`.
        buffers: the memory that it is told of, in order.
        numbers: what else it is told.
        turns: how many there are to share out.
        grain: how many of them stay together.
        work: operations of all.
        weight, start, total: threads share a line of that total length evenly; each grain takes so much of it, the first one from `start`
            on; a thread takes the grains that begin in its part. Total 0: one thread takes all.
        waits: whether threads wait for one another before.
        width: elements of a turn, where lanes are turns of the last outer loop.
    """

    function: ir.Function
    buffers: Sequence[Buffer]
    numbers: Sequence[int]
    turns: int
    grain: int
    work: int
    weight: int = 1
    start: int = 0
    total: int = 0
    waits: bool = False
    width: int = 1

    @property
    def grains(self) -> int:
        """How many there are."""
        return -(-self.turns // self.grain)


@dataclass(slots=True, eq=False)
class Wavefront:
    """Rows that run by lines, some lines of each in turn (see wavefront.py).

    Attributes:
        rows: one after another in the table.
        members: of each, the turns of a line, how many lines it is behind the first one (`skew`), and how many lines of a thread's stretch
            it leaves for the end where the stretch begins (`gap`; where it ends, `skew`).
        block: lines that a row takes at once.
        length: lines of the longest row.
        skew, gap: the largest.
    """

    rows: Sequence[Row]
    members: Sequence[tuple[int, int, int]]
    block: int
    length: int
    skew: int
    gap: int


def write_table(
    module: ir.Module,
    name: str,
    rows: Sequence[Row],
    plan: Mapping[Buffer, tuple[int, int, int]],
    wavefronts: Sequence[Wavefront] = (),
) -> None:
    """The kernel's function, which runs rows, those of wavefronts by lines. `plan`: where each buffer is, see `emit.write`."""
    function = ir.Function(module, ir.FunctionType(_VOID, [_PTR, _I64, _I64, _BARRIER]), name)
    builder = ir.IRBuilder(function.append_basic_block())
    if rows:
        places: list[int] = []
        numbers: list[int] = []
        table: list[int] = []
        # (0 is no wavefront)
        waves = [0]
        place = {row: _WITHIN for w in wavefronts for row in w.rows}
        for w in wavefronts:
            place[w.rows[0]] = len(waves)
            waves += [len(w.rows), w.block, w.length, w.skew, w.gap, *[n for member in w.members for n in member]]
        for row in rows:
            first = len(places) // 3
            for buffer in row.buffers:
                places.extend(plan[buffer])
            said = (row.turns, row.grain, row.weight, row.start, row.total, int(row.waits))
            table += (first, len(places) // 3, *said, len(numbers), place.get(row, 0))
            numbers += row.numbers
        pointers = builder.alloca(_PTR, max(len(row.buffers) for row in rows))
        runner = declared(module, RUNNER, _VOID, _ARGUMENTS)
        functions = _constants(module, "functions", _PTR, [row.function for row in rows])
        tables = [
            _constants(module, key, _I64, [ir.Constant(_I64, n) for n in values or [0]])
            for key, values in (("rows", table), ("places", places), ("numbers", numbers), ("wavefronts", waves))
        ]
        builder.call(runner, [functions, tables[0], ir.Constant(_I64, len(rows)), *tables[1:], pointers, *function.args])
        _load()
    builder.ret_void()


def _constants(module: ir.Module, name: str, element: ir.Type, values: Sequence[Any]) -> ir.Constant:
    array = ir.GlobalVariable(module, ir.ArrayType(element, len(values)), name)
    array.linkage, array.global_constant = "internal", True
    array.initializer = ir.Constant(array.value_type, values)
    return array


@lru_cache(maxsize=1)
def _load() -> jit.Code:
    """Make the function that runs rows known to kernels."""
    module = ir.Module(RUNNER)
    runner = ir.Function(module, ir.FunctionType(_VOID, _ARGUMENTS), RUNNER)
    call, wave = (ir.Function(module, ir.FunctionType(_VOID, types), name) for name, types in (("call", _CALL), ("wavefront", _WAVEFRONT)))
    call.linkage = wave.linkage = "internal"
    _write_call(call)
    _write_wavefront(wave, call)
    _write_runner(runner, call, wave)
    code = jit.Code(jit.object_of(str(module)), RUNNER)
    llvm.add_symbol(RUNNER, code.address)
    return code


def _number(n: int) -> ir.Constant:
    return ir.Constant(_I64, n)


def _entry(builder: ir.IRBuilder, table: Any, at: Any, type_: ir.Type = _I64) -> Any:
    return builder.load(builder.gep(table, [at], source_etype=type_), typ=type_)


def _column(builder: ir.IRBuilder, rows: Any, row: Any, name: str) -> Any:
    return _entry(builder, rows, builder.add(builder.mul(row, _number(len(_COLUMNS))), _number(_COLUMNS.index(name))))


def _least(builder: ir.IRBuilder, a: Any, b: Any) -> Any:
    return builder.select(builder.icmp_signed("<", a, b), a, b)


def _largest(builder: ir.IRBuilder, a: Any, b: Any) -> Any:
    return builder.select(builder.icmp_signed(">", a, b), a, b)


def _write_call(function: ir.Function) -> None:
    """Call a row for some of its turns, if there are any: with its pointers and numbers."""
    functions, rows, places, numbers, pointers, addresses, thread, row, low, high = function.args
    builder = ir.IRBuilder(function.append_basic_block())
    with builder.if_then(builder.icmp_signed("<", low, high)):
        begin, end = (_column(builder, rows, row, name) for name in ("begin", "end"))
        each = Loop(builder, begin, end, 1, unroll=False)
        at = builder.mul(each.index, _number(3))
        address = _entry(builder, addresses, _entry(builder, places, at), _PTR)
        offset = _entry(builder, places, builder.add(at, _number(1)))
        own = builder.mul(thread, _entry(builder, places, builder.add(at, _number(2))))
        pointer = builder.gep(address, [builder.add(offset, own)], source_etype=ir.IntType(8))
        builder.store(pointer, builder.gep(pointers, [builder.sub(each.index, begin)], source_etype=_PTR))
        each.close()
        called = _entry(builder, functions, row, CALLED.as_pointer())
        told = builder.gep(numbers, [_column(builder, rows, row, "numbers")], source_etype=_I64)
        builder.call(called, [pointers, low, high, told])
    builder.ret_void()


def _write_runner(function: ir.Function, call: ir.Function, wavefront: ir.Function) -> None:
    """For each row this thread's stretch of its turns, the call; or the wavefront that begins with it."""
    functions, rows, count, places, numbers, wavefronts, pointers, addresses, thread, threads, barrier = function.args
    builder = ir.IRBuilder(function.append_basic_block())
    stretch = [builder.alloca(_I64), builder.alloca(_I64)]
    loop = Loop(builder, _number(0), count, 1, unroll=False)
    row = loop.index
    turns, grain, weight, start, total, waits, wave = (_column(builder, rows, row, name) for name in _OF_TURNS)
    several = builder.icmp_signed(">", threads, _number(1))
    with builder.if_then(builder.and_(several, builder.icmp_signed("!=", waits, _number(0)))):
        builder.call(barrier, [])
    shared = (functions, rows, places, numbers, pointers, addresses, thread)
    with builder.if_then(builder.icmp_signed(">", wave, _number(0))):
        builder.call(wavefront, [*shared, threads, barrier, row, builder.gep(wavefronts, [wave], source_etype=_I64)])
    with builder.if_then(builder.icmp_signed("==", wave, _number(0))):
        with builder.if_else(builder.and_(several, builder.icmp_signed("!=", total, _number(0)))) as (part, whole):
            with part:
                for at, place in zip((thread, builder.add(thread, _number(1))), stretch, strict=True):
                    ahead = _largest(builder, builder.sub(builder.udiv(builder.mul(total, at), threads), start), _number(0))
                    # the grains that begin before
                    before = builder.udiv(builder.add(ahead, builder.sub(weight, _number(1))), weight)
                    builder.store(_least(builder, builder.mul(before, grain), turns), place)
            with whole:
                first_thread = builder.icmp_signed("==", thread, _number(0))
                builder.store(_number(0), stretch[0])
                builder.store(builder.select(first_thread, turns, _number(0)), stretch[1])
        builder.call(call, [*shared, row, *[builder.load(place, typ=_I64) for place in stretch]])
    loop.close()
    builder.ret_void()


def _write_wavefront(function: ir.Function, call: ir.Function) -> None:
    """This thread's trapezoid of a wavefront, and when all threads have done theirs, the triangle before it."""
    *shared, threads, barrier, head, told = function.args
    rows, thread = shared[1], shared[-1]
    builder = ir.IRBuilder(function.append_basic_block())
    count, block, length, skew, gap = (_entry(builder, told, _number(k)) for k in range(5))
    # so many threads that the trapezoids of all have an upper side
    room = _largest(builder, builder.udiv(length, _largest(builder, builder.add(skew, gap), _number(1))), _number(1))
    team = _least(builder, threads, room)
    here = builder.icmp_signed("<", thread, team)
    begin, end = (builder.udiv(builder.mul(length, at), team) for at in (thread, builder.add(thread, _number(1))))
    first = builder.icmp_signed("==", thread, _number(0))
    last = builder.icmp_signed("==", thread, builder.sub(team, _number(1)))

    def run(number: Any, low: Callable[[Any, Any], Any], high: Callable[[Any, Any], Any]) -> None:
        at = builder.add(builder.mul(number, _number(3)), _number(5))
        each, its_skew, its_gap = (_entry(builder, told, builder.add(at, _number(k))) for k in range(3))
        row = builder.add(head, number)
        lines = [_largest(builder, bound(its_skew, its_gap), _number(0)) for bound in (low, high)]
        turns = _column(builder, rows, row, "turns")
        builder.call(call, [*shared, row, *[_least(builder, builder.mul(line, each), turns) for line in lines]])

    with builder.if_then(here):
        # until the last row's last line is behind
        way = builder.add(builder.sub(end, begin), skew)
        blocks = builder.udiv(builder.add(way, builder.sub(block, _number(1))), block)
        front = Loop(builder, _number(0), blocks, 1, unroll=False)
        at = builder.add(begin, builder.mul(front.index, block))
        member = Loop(builder, _number(0), count, 1, unroll=False)
        run(
            member.index,
            lambda skew, gap: _largest(builder, builder.sub(at, skew), builder.select(first, _number(0), builder.add(begin, gap))),
            lambda skew, _: _least(
                builder, builder.sub(builder.add(at, block), skew), builder.select(last, length, builder.sub(end, skew))
            ),
        )
        member.close()
        front.close()
    with builder.if_then(builder.icmp_signed(">", threads, _number(1))):
        builder.call(barrier, [])
    with builder.if_then(builder.and_(here, builder.icmp_signed(">", thread, _number(0)))):
        member = Loop(builder, _number(0), count, 1, unroll=False)
        run(member.index, lambda skew, _: builder.sub(begin, skew), lambda _, gap: builder.add(begin, gap))
        member.close()
    builder.ret_void()
