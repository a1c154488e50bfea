"""What runs a kernel: a table, one row per nest, which says what to call, on what memory, and how many turns there are to share. One
function runs all tables; it is compiled once per machine, and is known to kernels by its name.

    void minpy_jit_rows(ptr functions, ptr rows, i64 count, ptr places, ptr numbers, ptr pointers,
                        ptr addresses, i64 thread, i64 threads, ptr barrier)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
_ARGUMENTS = [_PTR, _PTR, _I64, _PTR, _PTR, _PTR, _PTR, _I64, _I64, _BARRIER]
# what a row calls: pointers, first and last turn, numbers
CALLED = ir.FunctionType(_VOID, [_PTR, _I64, _I64, _PTR])
# what a row holds: where its pointers begin and end among all, what is said of its turns (see `Row`), and where its numbers begin
_COLUMNS = ("begin", "end", "turns", "grain", "weight", "start", "total", "waits", "numbers")


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

    @property
    def grains(self) -> int:
        """How many there are."""
        return -(-self.turns // self.grain)


def write_table(module: ir.Module, name: str, rows: Sequence[Row], plan: Mapping[Buffer, tuple[int, int, int]]) -> None:
    """The kernel's function, which runs rows. `plan`: where each buffer is, see `emit.write`."""
    function = ir.Function(module, ir.FunctionType(_VOID, [_PTR, _I64, _I64, _BARRIER]), name)
    builder = ir.IRBuilder(function.append_basic_block())
    if rows:
        places: list[int] = []
        numbers: list[int] = []
        table: list[int] = []
        for row in rows:
            first = len(places) // 3
            for buffer in row.buffers:
                places.extend(plan[buffer])
            said = (row.turns, row.grain, row.weight, row.start, row.total, int(row.waits))
            table += (first, len(places) // 3, *said, len(numbers))
            numbers += row.numbers
        pointers = builder.alloca(_PTR, max(len(row.buffers) for row in rows))
        runner = declared(module, RUNNER, _VOID, _ARGUMENTS)
        functions = _constants(module, "functions", _PTR, [row.function for row in rows])
        tables = [
            _constants(module, key, _I64, [ir.Constant(_I64, n) for n in values or [0]])
            for key, values in (("rows", table), ("places", places), ("numbers", numbers))
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
    _write_runner(ir.Function(module, ir.FunctionType(_VOID, _ARGUMENTS), RUNNER))
    code = jit.Code(jit.object_of(str(module)), RUNNER)
    llvm.add_symbol(RUNNER, code.address)
    return code


def _write_runner(function: ir.Function) -> None:
    """For each row its pointers, this thread's stretch of its turns, the call."""
    functions, rows, count, places, numbers, pointers, addresses, thread, threads, barrier = function.args
    builder = ir.IRBuilder(function.append_basic_block())
    stretch = [builder.alloca(_I64), builder.alloca(_I64)]

    def number(n: int) -> ir.Constant:
        return ir.Constant(_I64, n)

    def entry(table: Any, at: Any) -> Any:
        return builder.load(builder.gep(table, [at], source_etype=_I64), typ=_I64)

    loop = Loop(builder, number(0), count, 1, unroll=False)
    row = builder.mul(loop.index, number(len(_COLUMNS)))
    begin, end, turns, grain, weight, start, total, waits, told = (entry(rows, builder.add(row, number(k))) for k in range(len(_COLUMNS)))
    several = builder.icmp_signed(">", threads, number(1))
    with builder.if_then(builder.and_(several, builder.icmp_signed("!=", waits, number(0)))):
        builder.call(barrier, [])
    shares = builder.and_(several, builder.icmp_signed("!=", total, number(0)))
    with builder.if_else(shares) as (part, whole):
        with part:
            for at, place in zip((thread, builder.add(thread, number(1))), stretch, strict=True):
                ahead = builder.sub(builder.udiv(builder.mul(total, at), threads), start)
                ahead = builder.select(builder.icmp_signed(">", ahead, number(0)), ahead, number(0))
                # the grains that begin before
                before = builder.udiv(builder.add(ahead, builder.sub(weight, number(1))), weight)
                ahead = builder.mul(before, grain)
                builder.store(builder.select(builder.icmp_signed("<", ahead, turns), ahead, turns), place)
        with whole:
            first_thread = builder.icmp_signed("==", thread, number(0))
            builder.store(number(0), stretch[0])
            builder.store(builder.select(first_thread, turns, number(0)), stretch[1])
    low, high = (builder.load(place, typ=_I64) for place in stretch)
    with builder.if_then(builder.icmp_signed("<", low, high)):
        each = Loop(builder, begin, end, 1, unroll=False)
        at = builder.mul(each.index, number(3))
        address = builder.load(builder.gep(addresses, [entry(places, at)], source_etype=_PTR), typ=_PTR)
        offset = entry(places, builder.add(at, number(1)))
        own = builder.mul(thread, entry(places, builder.add(at, number(2))))
        pointer = builder.gep(address, [builder.add(offset, own)], source_etype=ir.IntType(8))
        builder.store(pointer, builder.gep(pointers, [builder.sub(each.index, begin)], source_etype=_PTR))
        each.close()
        called = builder.load(builder.gep(functions, [loop.index], source_etype=_PTR), typ=CALLED.as_pointer())
        builder.call(called, [pointers, low, high, builder.gep(numbers, [told], source_etype=_I64)])
    loop.close()
    builder.ret_void()
