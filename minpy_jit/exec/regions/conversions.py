"""Casts, as NumPy does them on x86: also of NaN, infinities and numbers out of range, which C leaves open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir

if TYPE_CHECKING:
    from .scalars import Lanes

BOOL = np.dtype(np.bool_)
F16, F32, F64 = np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64)


def converted(lanes: Lanes, x: Any, given: np.dtype, result: np.dtype) -> Any:
    """A value of one dtype in another."""
    builder, to = lanes.builder, lanes.type(result)
    if given == result:
        return x
    if given == F16:
        return converted(lanes, builder.fpext(x, lanes.type(F32)), F32, result)
    if result == BOOL:
        zero = lanes.constant(given, 0)
        return builder.fcmp_unordered("!=", x, zero) if given.kind == "f" else builder.icmp_unsigned("!=", x, zero)
    if result == F16:
        # integers go through float32, as NumPy's do
        narrow = _rounded_to_odd(lanes, x) if given == F64 else converted(lanes, x, given, F32)
        return builder.fptrunc(narrow, to)
    if given.kind == "f":
        if result.kind == "f":
            return builder.fpext(x, to) if result.itemsize > given.itemsize else builder.fptrunc(x, to)
        return _integer(lanes, x, given, result)
    if result.kind == "f":
        return builder.sitofp(x, to) if given.kind == "i" else builder.uitofp(x, to)
    if result.itemsize > given.itemsize or given == BOOL:
        return builder.sext(x, to) if given.kind == "i" else builder.zext(x, to)
    return builder.trunc(x, to) if result.itemsize < given.itemsize else x


def _rounded_to_odd(lanes: Lanes, x: Any) -> Any:
    """float64 as float32 from which rounding to float16 gives what rounding once would: cut off, its last bit set where bits were lost
    (Boldo and Melquiond, Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd, 2008)."""
    builder, word = lanes.builder, lanes.vector(ir.IntType(32))
    narrow = builder.fptrunc(x, lanes.type(F32))
    back = builder.fpext(narrow, lanes.type(F64))
    bits = builder.bitcast(narrow, word)
    one = lanes.splat(ir.IntType(32), 1)
    beyond = builder.fcmp_ordered(">", lanes.call("llvm.fabs", back), lanes.call("llvm.fabs", x))
    cut = builder.select(beyond, builder.sub(bits, one), bits)
    inexact = builder.fcmp_ordered("!=", back, x)
    return builder.bitcast(builder.select(inexact, builder.or_(cut, one), cut), lanes.type(F32))


def _integer(lanes: Lanes, x: Any, given: np.dtype, result: np.dtype) -> Any:
    """The integer part, as the processor's conversion to a signed word (of 32 bits, or 64 for wider ones and uint32) and the low bits of
    that; a second word's worth for uint64."""
    builder = lanes.builder
    if result == np.uint64:
        high = lanes.constant(given, 2.0**63)
        above = builder.fcmp_ordered(">=", x, high)
        word = _word(lanes, builder.select(above, builder.fsub(x, high), x), given, 64)
        flip = lanes.splat(ir.IntType(64), -(1 << 63))
        return builder.select(above, builder.xor(word, flip), word)
    bits = 64 if result.itemsize == 8 or result == np.uint32 else 32
    word = _word(lanes, x, given, bits)
    return word if bits == 8 * result.itemsize else builder.trunc(word, lanes.type(result))


def _word(lanes: Lanes, x: Any, given: np.dtype, bits: int) -> Any:
    builder, element = lanes.builder, ir.IntType(bits)
    low, high = lanes.constant(given, -(2.0 ** (bits - 1))), lanes.constant(given, 2.0 ** (bits - 1))
    inside = builder.and_(builder.fcmp_ordered(">=", x, low), builder.fcmp_ordered("<", x, high))
    word = builder.fptosi(builder.select(inside, x, lanes.constant(given, 0.0)), lanes.vector(element))
    return builder.select(inside, word, lanes.splat(element, -(1 << (bits - 1))))
