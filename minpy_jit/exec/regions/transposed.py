"""Copies of transposed memory: squares of a vector's length are turned in registers, so that both sides are read and written by whole
vectors.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from llvmlite import ir

from . import jit
from .loop import Loop

_I64, _I32, _PTR = ir.IntType(64), ir.IntType(32), ir.PointerType()
# bytes of a vector, and the longest side of a square
VECTOR, LONGEST = 64, 16
# elements of a matrix from which on its transpose is worth it, and the side of the blocks in which a large one is copied: both sides of
# a block stay in the first cache, and its rows touch few pages
SMALLEST, BLOCK = 1 << 12, 64


def _turned(builder: ir.IRBuilder, rows: Sequence[Any]) -> list[Any]:
    """The columns of a square of vectors: halves of its quarters change places, then of theirs (Eklundh, A fast computer method for matrix
    transposing, 1972)."""
    rows = list(rows)
    size = len(rows)
    distance = size // 2
    while distance:
        low = [p if not p & distance else size + p - distance for p in range(size)]
        high = [p + distance if not p & distance else size + p for p in range(size)]
        masks = [ir.Constant(ir.VectorType(_I32, size), order) for order in (low, high)]
        for k in range(size):
            if not k & distance:
                pair = rows[k], rows[k + distance]
                rows[k], rows[k + distance] = (builder.shuffle_vector(*pair, mask) for mask in masks)
        distance //= 2
    return rows


def _function(module: ir.Module, name: str, count: int) -> ir.Function:
    return ir.Function(module, ir.FunctionType(ir.VoidType(), [_PTR, _PTR] + [_I64] * count), name)


def small_transpose(module: ir.Module, size: int) -> ir.Function:
    """`void (ptr to, ptr from, i64 rows, i64 columns, i64 to_step, i64 from_step)`: to[r * to_step + c] = from[c * from_step + r], of
    elements of so many bytes."""
    name = f"transpose{size}"
    found = module.globals.get(name)
    if found is not None:
        return found
    function = _function(module, name, 4)
    function.linkage = "internal"
    function.attributes.add("noinline")
    to, source, rows, columns, to_step, from_step = function.args
    to.add_attribute("noalias")
    source.add_attribute("noalias")
    builder = ir.IRBuilder(function.append_basic_block())
    element, side = ir.IntType(8 * size), min(VECTOR // size, LONGEST)
    vector = ir.VectorType(element, side)
    number = lambda n: ir.Constant(_I64, n)  # noqa: E731
    whole_rows, whole_columns = (builder.sub(n, builder.urem(n, number(side))) for n in (rows, columns))

    def place(base: Any, line: Any, step: Any, at: Any) -> Any:
        return builder.gep(base, [builder.add(builder.mul(line, step), at)], source_etype=element)

    column = Loop(builder, number(0), whole_columns, side)
    row = Loop(builder, number(0), whole_rows, side)
    lines = [builder.add(column.index, number(k)) for k in range(side)]
    square = [builder.load(place(source, line, from_step, row.index), typ=vector, align=size) for line in lines]
    for k, line in enumerate(_turned(builder, square)):
        builder.store(line, place(to, builder.add(row.index, number(k)), to_step, column.index), align=size)
    row.close()
    column.close()
    # what is left on the two sides
    column = Loop(builder, number(0), columns, 1)
    first = builder.select(builder.icmp_signed("<", column.index, whole_columns), whole_rows, number(0))
    row = Loop(builder, first, rows, 1)
    value = builder.load(place(source, column.index, from_step, row.index), typ=element, align=size)
    builder.store(value, place(to, row.index, to_step, column.index), align=size)
    row.close()
    column.close()
    builder.ret_void()
    return function


@lru_cache(maxsize=4)
def _transpose(size: int) -> tuple[jit.Code, Callable[..., None]]:
    """The same for matrices of any size, block by block, and the code that it is."""
    module = ir.Module("transpose")
    block = small_transpose(module, size)
    function = _function(module, "transpose", 4)
    to, source, rows, columns, to_step, from_step = function.args
    builder = ir.IRBuilder(function.append_basic_block())
    element, step = ir.IntType(8 * size), ir.Constant(_I64, BLOCK)
    row = Loop(builder, ir.Constant(_I64, 0), rows, BLOCK)
    column = Loop(builder, ir.Constant(_I64, 0), columns, BLOCK)
    left = [builder.sub(extent, loop.index) for extent, loop in ((rows, row), (columns, column))]
    extents = [builder.select(builder.icmp_signed("<", n, step), n, step) for n in left]
    places = [(to, row.index, to_step, column.index), (source, column.index, from_step, row.index)]
    pointers = [builder.gep(base, [builder.add(builder.mul(line, s), at)], source_etype=element) for base, line, s, at in places]
    builder.call(block, [*pointers, *extents, to_step, from_step])
    column.close()
    row.close()
    builder.ret_void()
    code = jit.Code(jit.object_of(str(module)), "transpose")
    return code, ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 4)(code.address)


def copy(target: np.ndarray, source: np.ndarray) -> None:
    """`target[...] = source`, of one shape and dtype; the target is dense, in C order."""
    size, last = target.itemsize, source.ndim - 1
    long = [a for a in range(last) if source.strides[a] == size and source.shape[a] >= LONGEST]
    turned = bool(long) and source.shape[last] >= LONGEST and source.shape[long[0]] * source.shape[last] >= SMALLEST
    if not turned or not source.flags.aligned or size > 8 or size & (size - 1) or any(s % size for s in source.strides):
        target[...] = source
        return
    row = long[0]
    _, function = _transpose(size)
    steps = source.shape[row], source.shape[last], target.strides[row] // size, source.strides[last] // size
    others = [a for a in range(last) if a != row]
    for index in np.ndindex(*[source.shape[a] for a in others]):
        ahead = [sum(i * array.strides[a] for i, a in zip(index, others, strict=True)) for array in (target, source)]
        function(target.ctypes.data + ahead[0], source.ctypes.data + ahead[1], *steps)
