"""LLVM of a kernel: one function per nest, and one that runs them all, sharing their turns among threads.

    void kernel(ptr addresses, i64 thread, i64 threads, ptr barrier)

Turns of a nest's outer loops are numbered through (the last loop by vectors where lanes go across); each thread takes a stretch of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from . import blas
from .loops import (
    Accumulate,
    Affine,
    Apply,
    Buffer,
    Expr,
    Index,
    Kernel,
    Literal,
    Load,
    MatrixProduct,
    Nest,
    Phase,
    Register,
    Store,
    collapsed,
    operands_of,
    ordered,
)
from .scalars import BOOL, Lanes, memory_type
from .schedule import COSTS

_I64, _I32, _PTR = ir.IntType(64), ir.IntType(32), ir.PointerType()
# bits of a vector: lanes are as many as the widest value in a nest allows
VECTOR_BITS = 512
# vectors that a reduction adds up side by side: hides the latency of an addition, and shortens each sum
UNROLL = 4
# additions in a row from which on float32 adds up in float64, and float64 with compensation
LONG_SUM = 1 << 13
# operations of a nest below which waking a second thread costs more
PARALLEL_WORK = 1 << 16

_IDENTITY = {"add": 0, "multiply": 1, "logical_or": False, "logical_and": True}


class _Loop:
    """A loop that is being written: `for (i = start; i < stop; i += step)`."""

    def __init__(self, builder: ir.IRBuilder, start: Any, stop: Any, step: int, carried: Sequence[Any] = ()) -> None:
        self.builder, self.step = builder, step
        function = builder.function
        self.before = builder.block
        self.head = function.append_basic_block()
        self.end = function.append_basic_block()
        enter = builder.icmp_signed("<", start, stop)
        builder.cbranch(enter, self.head, self.end)
        builder.position_at_end(self.head)
        self.index = builder.phi(_I64)
        self.index.add_incoming(start, self.before)
        self.carried = []
        for value in carried:
            phi = builder.phi(value.type)
            phi.add_incoming(value, self.before)
            self.carried.append(phi)
        self.initial = list(carried)
        self.stop = stop

    def close(self, carried: Sequence[Any] = ()) -> list[Any]:
        """End the body; returns the carried values after the loop."""
        builder = self.builder
        following = builder.add(self.index, ir.Constant(_I64, self.step), flags=["nsw"])
        again = builder.icmp_signed("<", following, self.stop)
        tail = builder.block
        builder.cbranch(again, self.head, self.end)
        self.index.add_incoming(following, tail)
        for phi, value in zip(self.carried, carried, strict=True):
            phi.add_incoming(value, tail)
        builder.position_at_end(self.end)
        after = []
        for first, value in zip(self.initial, carried, strict=True):
            phi = builder.phi(value.type)
            phi.add_incoming(first, self.before)
            phi.add_incoming(value, tail)
            after.append(phi)
        return after


def widest(nest: Nest) -> int:
    """Bytes of the widest value in a nest."""
    sizes = [e.dtype.itemsize for e in nest.expressions()]
    return max(sizes, default=1)


class _NestWriter:
    """Writes one nest as `void nest(buffers ..., i64 first, i64 last)`."""

    def __init__(self, module: ir.Module, nest: Nest, name: str) -> None:
        self.nest = nest
        self.buffers = nest.buffers()
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_PTR] * len(self.buffers) + [_I64, _I64]), name)
        function.linkage = "internal"
        function.attributes.add("noinline")
        for argument in function.args[: len(self.buffers)]:
            argument.add_attribute("noalias")
        self.function = function
        self.address = dict(zip(self.buffers, function.args, strict=False))
        self.first, self.last = function.args[-2:]
        offsets = list(nest.offsets())
        self.outer = collapsed(nest.outer, 0, offsets)
        if nest.across and not self.outer:
            self.outer = [(1, -1)]
        self.inner = [collapsed(p.extents, len(nest.outer), offsets) for p in nest.phases]
        self.builder = ir.IRBuilder(function.append_basic_block())
        # representative variable -> (value, lanes: whether it is the first of consecutive ones)
        self.variables: dict[int, Any] = {}
        self.lane_variable: int | None = None
        self.mask: Any = None
        self.memo: list[dict[Expr, Any]] = []
        self.sums: dict[Accumulate, Any] = {}
        size = widest(nest)
        self.lanes = max(1, VECTOR_BITS // (8 * size))

    # -- turns ---------------------------------------------------------------------------------------------------------------------------
    @property
    def turns(self) -> int:
        """How many turns the outer loops have, vectors counted as one."""
        extents = [e for e, _ in self.outer]
        if self.nest.across:
            return math.prod(extents[:-1]) * -(-extents[-1] // self.lanes)
        return math.prod(extents)

    @property
    def work(self) -> int:
        """Operations of all turns."""
        per_turn = sum(math.prod(p.extents) for p in self.nest.phases)
        count = sum(8 if isinstance(e, Apply) and e.function not in COSTS else 1 for e in self.nest.expressions())
        return math.prod(self.nest.outer) * per_turn * max(count, 1) // max(len(self.nest.phases), 1)

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
        loop = _Loop(self.builder, self.first, self.last, 1)
        self._split(loop.index, self.outer)
        self.memo = [{}]
        for phase, inner in zip(self.nest.phases, self.inner, strict=True):
            self._write_phase(phase, inner)
        loop.close()

    def _write_phase(self, phase: Phase, inner: Sequence[tuple[int, int]]) -> None:
        """Phases of a nest whose turns are rows: the last loop goes by vectors."""
        if not inner:
            # one turn
            for item in phase.body:
                value = self._value(item.value, 1)
                if isinstance(item, Store):
                    self._store(item, value, 1)
                else:
                    self.sums[item] = value
            return
        # what does not change inside is had before
        self._enter(phase)
        extent, variable = inner[-1]
        width = self.lanes if extent > 1 else 1
        items = [i for i in phase.body if isinstance(i, Accumulate)]
        long = math.prod(e for e, _ in inner) > LONG_SUM
        unroll = UNROLL if items and extent >= UNROLL * width else 1
        sums = [[_Sum(self, item, width, long) for _ in range(unroll)] for item in items]
        state = [v for row in sums for s in row for v in s.values]
        loops = []
        for outer_extent, outer_variable in inner[:-1]:
            loop = _Loop(self.builder, ir.Constant(_I64, 0), ir.Constant(_I64, outer_extent), 1, state)
            self.variables[outer_variable] = loop.index
            state = loop.carried
            loops.append(loop)
        vectors, rest = divmod(extent, width)
        start = 0
        self.lane_variable = variable
        for step in dict.fromkeys((unroll, 1)):
            turns = (vectors - start // width) // step
            if turns == 0:
                continue
            stop = start + turns * step * width
            loop = _Loop(self.builder, ir.Constant(_I64, start), ir.Constant(_I64, stop), step * width, state)
            state = list(loop.carried)
            for k in range(step):
                at = self.builder.add(loop.index, ir.Constant(_I64, k * width), flags=["nsw"]) if k else loop.index
                self.variables[variable] = at
                state = self._turn(phase, sums, state, k, width, None)
            state = loop.close(state)
            start = stop
        if rest:
            self.variables[variable] = ir.Constant(_I64, start)
            self.mask = _mask(width, rest)
            state = self._turn(phase, sums, state, 0, width, self.mask)
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
            value = self._value(item.value, width)
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
        width = min(self.lanes, 1 << (extent - 1).bit_length()) if extent > 1 else 1
        self.lanes = width
        per_row = -(-extent // width)
        full, rest = divmod(extent, width)
        if len(self.outer) == 1:
            # whole vectors, then what is left of the last one
            stop = ir.Constant(_I64, full)
            last = self.builder.select(self.builder.icmp_signed("<", self.last, stop), self.last, stop)
            loop = _Loop(self.builder, self.first, last, 1)
            self.variables[variable] = self.builder.mul(loop.index, ir.Constant(_I64, width), flags=["nsw"])
            self._across_turn(variable, width, None)
            loop.close()
            if rest:
                with self.builder.if_then(self.builder.icmp_signed(">", self.last, stop)):
                    self.variables[variable] = ir.Constant(_I64, full * width)
                    self._across_turn(variable, width, rest)
            return
        # rows of vectors; a thread's stretch may begin and end within a row
        row_first = self.builder.udiv(self.first, ir.Constant(_I64, per_row))
        row_last = self.builder.udiv(self.builder.add(self.last, ir.Constant(_I64, per_row - 1)), ir.Constant(_I64, per_row))
        rows = _Loop(self.builder, row_first, row_last, 1)
        self._split(rows.index, self.outer[:-1])
        base = self.builder.mul(rows.index, ir.Constant(_I64, per_row), flags=["nsw"])
        low = self.builder.sub(self.first, base)
        zero = ir.Constant(_I64, 0)
        low = self.builder.select(self.builder.icmp_signed(">", low, zero), low, zero)
        high = self.builder.sub(self.last, base)
        stop = ir.Constant(_I64, full)
        above = self.builder.icmp_signed(">", high, stop)
        loop = _Loop(self.builder, low, self.builder.select(above, stop, high), 1)
        self.variables[variable] = self.builder.mul(loop.index, ir.Constant(_I64, width), flags=["nsw"])
        self._across_turn(variable, width, None)
        loop.close()
        if rest:
            with self.builder.if_then(above):
                self.variables[variable] = ir.Constant(_I64, full * width)
                self._across_turn(variable, width, rest)
        rows.close()

    def _across_turn(self, variable: int, width: int, rest: int | None) -> None:
        self.lane_variable = variable
        self.mask = None if rest is None or width == 1 else _mask(width, rest)
        self.memo = [{}]
        for phase, inner in zip(self.nest.phases, self.inner, strict=True):
            if not inner:
                for item in phase.body:
                    value = self._value(item.value, width)
                    if isinstance(item, Store):
                        self._store(item, value, width)
                    else:
                        self.sums[item] = value
                continue
            self._enter(phase)
            items = [i for i in phase.body if isinstance(i, Accumulate)]
            long = math.prod(e for e, _ in inner) > LONG_SUM // (UNROLL * 16)
            sums = [[_Sum(self, item, width, long)] for item in items]
            state = [v for row in sums for s in row for v in s.values]
            loops = []
            for extent, inner_variable in inner:
                loop = _Loop(self.builder, ir.Constant(_I64, 0), ir.Constant(_I64, extent), 1, state)
                self.variables[inner_variable] = loop.index
                state = loop.carried
                loops.append(loop)
            state = self._turn(phase, sums, state, 0, width, None)
            for loop in reversed(loops):
                state = loop.close(state)
            for (partial,), (part,) in _parts(sums, state):
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
            if all(e in fixed for e in operands_of(expr)):
                fixed.add(expr)
                if not isinstance(expr, Literal):
                    self._value(expr, width)

    def _known(self, expr: Expr) -> Any:
        for memo in reversed(self.memo):
            found = memo.get(expr)
            if found is not None:
                return found
        return None

    def _value(self, root: Expr, width: int) -> Any:
        """The value, in all lanes of `width`."""
        for expr in ordered([root]):
            if self._known(expr) is None:
                self.memo[-1][expr] = self._made(expr, width)
        return self._wide(self._known(root), width)

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

    def _offset(self, affine: Affine) -> Any:
        builder = self.builder
        total: Any = None
        for variable, value in self.variables.items():
            factor = affine.coefficient(variable)
            if factor == 0:
                continue
            term = value if factor == 1 else builder.mul(value, ir.Constant(_I64, factor), flags=["nsw"])
            total = term if total is None else builder.add(total, term, flags=["nsw"])
        for expr, factor in affine.dynamic:
            value = self._known(expr)
            if value.type != _I64:
                value = builder.sext(value, _I64)
            term = value if factor == 1 else builder.mul(value, ir.Constant(_I64, factor))
            total = term if total is None else builder.add(total, term)
        if total is None:
            return ir.Constant(_I64, affine.const)
        return builder.add(total, ir.Constant(_I64, affine.const)) if affine.const else total

    def _index(self, expr: Index, width: int) -> Any:
        step = 0 if self.lane_variable is None else expr.affine.coefficient(self.lane_variable)
        value = self._offset(expr.affine)
        if width > 1 and step:
            lanes = Lanes(self.builder, width)
            value = self.builder.add(lanes.spread(value), ir.Constant(lanes.vector(_I64), [step * k for k in range(width)]))
        return Lanes(self.builder, width if isinstance(value.type, ir.VectorType) else 1).apply(
            "cast", [value], np.dtype(np.int64), expr.dtype
        )

    def _load(self, load: Load, width: int) -> Any:
        builder = self.builder
        element = memory_type(load.dtype)
        step = 0 if self.lane_variable is None else load.offset.coefficient(self.lane_variable)
        offset = self._offset(load.offset)
        address = builder.gep(self.address[load.buffer], [offset], source_etype=element)
        align = load.dtype.itemsize
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
            live = width if self.mask is None else sum(c.constant for c in self.mask.constant)
            for k in range(live):
                place = builder.gep(address, [ir.Constant(_I64, step * k)], source_etype=element)
                value = builder.insert_element(value, builder.load(place, typ=element, align=align), ir.Constant(_I32, k))
        if load.dtype == BOOL:
            value = builder.icmp_unsigned("!=", value, ir.Constant(value.type, None))
        return value

    def _store(self, item: Store, value: Any, width: int) -> None:
        builder = self.builder
        for expr, _ in item.offset.dynamic:
            self._value(expr, 1)
        element = memory_type(item.buffer.dtype)
        step = 0 if self.lane_variable is None else item.offset.coefficient(self.lane_variable)
        if item.buffer.dtype == BOOL:
            value = builder.zext(value, ir.VectorType(element, width) if width > 1 else element)
        address = builder.gep(self.address[item.buffer], [self._offset(item.offset)], source_etype=element)
        align = item.buffer.dtype.itemsize
        if width == 1:
            builder.store(value, address, align=align)
        elif step == 1:
            if self.mask is None:
                builder.store(value, address, align=align)
            else:
                _masked(builder, "store", value.type, address, align, self.mask, value)
        else:
            live = width if self.mask is None else sum(c.constant for c in self.mask.constant)
            for k in range(live):
                place = builder.gep(address, [ir.Constant(_I64, step * k)], source_etype=element)
                builder.store(builder.extract_element(value, ir.Constant(_I32, k)), place, align=align)


def _mask(width: int, live: int) -> ir.Constant:
    bit = ir.IntType(1)
    return ir.Constant(ir.VectorType(bit, width), [ir.Constant(bit, int(k < live)) for k in range(width)])


def _masked(builder: ir.IRBuilder, kind: str, vector: ir.Type, address: Any, align: int, mask: Any, value: Any = None) -> Any:
    """llvm.masked.load and .store; lanes that are off load 0."""
    module = builder.module
    suffix = f"v{vector.count}{vector.element.intrinsic_name}"
    name = f"llvm.masked.{kind}.{suffix}.p0"
    number = ir.Constant(_I32, align)
    function = module.globals.get(name)
    if kind == "load":
        if function is None:
            function = ir.Function(module, ir.FunctionType(vector, [_PTR, _I32, mask.type, vector]), name)
        return builder.call(function, [address, number, mask, ir.Constant(vector, None)])
    if function is None:
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [vector, _PTR, _I32, mask.type]), name)
    return builder.call(function, [value, address, number, mask])


def _parts(sums: Sequence[list[_Sum]], state: Sequence[Any]) -> Iterator[tuple[list[_Sum], list[Sequence[Any]]]]:
    """Each row of partial sums with its values, of all values in a row."""
    place = 0
    for row in sums:
        parts = []
        for partial in row:
            parts.append(state[place : place + len(partial.values)])
            place += len(partial.values)
        yield row, parts


class _Sum:
    """Partial results of a reduction, one per lane."""

    def __init__(self, writer: _NestWriter, item: Accumulate, width: int, long: bool) -> None:
        self.writer, self.item, self.width = writer, item, width
        dtype = item.dtype
        # long sums of float32 in float64; of float64 with the rounding errors added up beside
        self.wide = item.kind == "add" and long and dtype == np.float32
        self.compensated = item.kind == "add" and long and dtype == np.float64
        self.dtype = np.dtype(np.float64) if self.wide else dtype
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


def write(kernel: Kernel, name: str = "kernel") -> tuple[ir.Module, bool]:
    """The module of a kernel, and whether more than one thread is of use to it."""
    module = ir.Module(name)
    barrier_type = ir.FunctionType(ir.VoidType(), [])
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_PTR, _I64, _I64, barrier_type.as_pointer()]), name)
    addresses, thread, threads, barrier = function.args
    builder = ir.IRBuilder(function.append_basic_block())
    pointers = []
    for k in range(len(kernel.buffers)):
        place = builder.gep(addresses, [ir.Constant(_I64, k)], source_etype=_PTR)
        pointer = builder.load(place, typ=_PTR)
        buffer = kernel.buffers[k]
        if buffer.private:
            own = builder.mul(thread, ir.Constant(_I64, buffer.size))
            pointer = builder.gep(pointer, [own], source_etype=memory_type(buffer.dtype))
        pointers.append(pointer)
    place = dict(zip(kernel.buffers, pointers, strict=True))
    parallel = False
    written: dict[tuple, _NestWriter] = {}
    for k, nest in enumerate(kernel.nests):
        if k:
            with builder.if_then(builder.icmp_signed(">", threads, ir.Constant(_I64, 1))):
                builder.call(barrier, [])
        if isinstance(nest, MatrixProduct):
            turns, work = max(nest.rows, nest.columns), nest.rows * nest.columns * nest.inner
        else:
            # repeated stretches (sweeps, time steps) are one function
            content = nest.content()
            if content not in written:
                written[content] = _NestWriter(module, nest, f"nest{len(written)}")
                written[content].write()
            turns, work, function = written[content].turns, written[content].work, written[content].function
        shared = turns > 1 and work >= PARALLEL_WORK
        parallel |= shared
        total = ir.Constant(_I64, turns)
        if shared:
            first = builder.udiv(builder.mul(total, thread), threads)
            last = builder.udiv(builder.mul(total, builder.add(thread, ir.Constant(_I64, 1))), threads)
        else:
            first, last = ir.Constant(_I64, 0), total
        with builder.if_then(builder.icmp_signed("<", thread, threads if shared else ir.Constant(_I64, 1))):
            if isinstance(nest, MatrixProduct):
                _call_product(builder, nest, place, first, last)
            else:
                builder.call(function, [*[place[b] for b in nest.buffers()], first, last])
    builder.ret_void()
    return module, parallel


def _call_product(builder: ir.IRBuilder, product: MatrixProduct, place: Mapping[Buffer, Any], first: Any, last: Any) -> None:
    """A stretch of the result's rows or, where there are more of those, columns."""
    blas.load()
    dtype = product.result.dtype
    element = memory_type(dtype)
    number = lambda n: ir.Constant(_I32, n)  # noqa: E731
    arguments = [_I32] * 6 + [element, _PTR, _I32, _PTR, _I32, element, _PTR, _I32]
    name = blas.NAMES[dtype]
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(ir.VoidType(), arguments), name)
    by_rows = product.rows >= product.columns
    left_step = product.rows if product.transposed[0] else product.inner
    right_step = product.inner if product.transposed[1] else product.columns
    # elements from one row, or column, of an operand to the next
    left_move = (1 if product.transposed[0] else left_step) if by_rows else 0
    right_move = 0 if by_rows else (right_step if product.transposed[1] else 1)
    moves = (left_move, right_move, product.columns if by_rows else 1)
    pointers = [
        builder.gep(place[buffer], [builder.mul(first, ir.Constant(_I64, move))], source_etype=element)
        for buffer, move in zip((product.left, product.right, product.result), moves, strict=True)
    ]
    count = builder.trunc(builder.sub(last, first), _I32)
    kinds = [number(blas.TRANSPOSED if t else blas.AS_IT_IS) for t in product.transposed]
    extents = [count, number(product.columns)] if by_rows else [number(product.rows), count]
    one, zero = ir.Constant(element, 1.0), ir.Constant(element, 0.0)
    with builder.if_then(builder.icmp_signed(">", count, number(0))):
        builder.call(
            function,
            [
                number(blas.ROW_MAJOR),
                *kinds,
                *extents,
                number(product.inner),
                one,
                pointers[0],
                number(left_step),
                pointers[1],
                number(right_step),
                zero,
                pointers[2],
                number(product.columns),
            ],
        )
