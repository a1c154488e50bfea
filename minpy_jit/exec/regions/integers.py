"""Scalar functions of integers, with NumPy's rules: what is divided by 0 is 0, a shift by more bits than there are leaves the sign,
everything else is counted modulo the number of values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir

if TYPE_CHECKING:
    from .scalars import Emit, Lanes

OF_INTEGERS: dict[str, Emit] = {}


def _integer(name: str, called: int | None = None) -> Callable[[Emit], Emit]:
    """Enter a function into the table. `called`: the bits of an element from which on it is a function of the module, compiled once however
    often it is used (as what takes dozens of instructions for each lane)."""

    def enter(emit: Emit) -> Emit:
        def call(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
            # by a constant it takes few
            if called is None or 8 * given.itemsize < called or isinstance(xs[1], ir.Constant):
                return emit(lanes, xs, given, result)
            return lanes.outlined(f"{name}.{given}", xs, lambda lanes, xs: emit(lanes, xs, given, result))

        OF_INTEGERS[name] = call
        return emit

    return enter


def _quotient(lanes: Lanes, x: Any, y: Any, dtype: np.dtype) -> Any:
    """x / y towards zero; y is not 0, and not -1 where x is the smallest integer."""
    builder, bits = lanes.builder, 8 * dtype.itemsize
    signed = dtype.kind == "i"
    if bits == 64:
        return builder.sdiv(x, y) if signed else builder.udiv(x, y)
    # vectors have no division of integers; that of floats with twice the bits is never rounded up to an integer
    real = lanes.vector(ir.FloatType() if bits <= 16 else ir.DoubleType())
    a, b = ((builder.sitofp if signed else builder.uitofp)(v, real) for v in (x, y))
    if bits < 32:
        word = builder.fptosi(builder.fdiv(a, b), lanes.vector(ir.IntType(32)))
        return builder.trunc(word, x.type)
    return (builder.fptosi if signed else builder.fptoui)(builder.fdiv(a, b), x.type)


def _divided(lanes: Lanes, x: Any, y: Any, dtype: np.dtype) -> tuple[Any, Any]:
    """Quotient towards zero, and remainder; both 0 where y is 0."""
    builder = lanes.builder
    zero, one = lanes.constant(dtype, 0), lanes.constant(dtype, 1)
    nothing = builder.icmp_unsigned("==", y, zero)
    unsafe = nothing
    if dtype.kind == "i":
        minus = builder.icmp_unsigned("==", y, lanes.constant(dtype, -1))
        unsafe = builder.or_(nothing, minus)
    quotient = _quotient(lanes, x, builder.select(unsafe, one, y), dtype)
    if dtype.kind == "i":
        quotient = builder.select(minus, builder.neg(x), quotient)
    remainder = builder.sub(x, builder.mul(quotient, y))
    return builder.select(nothing, zero, quotient), builder.select(nothing, zero, remainder)


def _crosses(lanes: Lanes, remainder: Any, y: Any, dtype: np.dtype) -> Any:
    """Whether the next lower quotient is the floor."""
    builder, zero = lanes.builder, lanes.constant(dtype, 0)
    opposite = builder.icmp_signed("<", builder.xor(remainder, y), zero)
    return builder.and_(opposite, builder.icmp_unsigned("!=", remainder, zero))


@_integer("floor_divide", called=64)
def _floor_divide(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    quotient, remainder = _divided(lanes, xs[0], xs[1], given)
    if given.kind == "u":
        return quotient
    lower = lanes.builder.sub(quotient, lanes.constant(given, 1))
    return lanes.builder.select(_crosses(lanes, remainder, xs[1], given), lower, quotient)


@_integer("remainder", called=64)
def _remainder(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    _, remainder = _divided(lanes, xs[0], xs[1], given)
    if given.kind == "u":
        return remainder
    return lanes.builder.select(_crosses(lanes, remainder, xs[1], given), lanes.builder.add(remainder, xs[1]), remainder)


@_integer("fmod", called=64)
def _fmod(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    return _divided(lanes, xs[0], xs[1], given)[1]


@_integer("left_shift")
def _left_shift(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    x, by = xs
    builder = lanes.builder
    within = builder.icmp_unsigned("<", by, lanes.constant(given, 8 * given.itemsize))
    return builder.select(within, builder.shl(x, by), lanes.constant(given, 0))


@_integer("right_shift")
def _right_shift(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    x, by = xs
    builder, bits = lanes.builder, 8 * given.itemsize
    within = builder.icmp_unsigned("<", by, lanes.constant(given, bits))
    if given.kind == "u":
        return builder.select(within, builder.lshr(x, by), lanes.constant(given, 0))
    return builder.ashr(x, builder.select(within, by, lanes.constant(given, bits - 1)))


@_integer("power", called=8)
def _power(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    """By squaring, for as many bits as the largest exponent of the lanes has."""
    base, exponent = xs
    builder, zero, one = lanes.builder, lanes.constant(given, 0), lanes.constant(given, 1)
    function, before = builder.function, builder.block
    head = function.append_basic_block()
    end = function.append_basic_block()
    builder.branch(head)
    builder.position_at_end(head)
    product, square, rest = (builder.phi(base.type) for _ in range(3))
    for phi, first in ((product, one), (square, base), (rest, exponent)):
        phi.add_incoming(first, before)
    odd = builder.icmp_unsigned("!=", builder.and_(rest, one), zero)
    multiplied = builder.select(odd, builder.mul(product, square), product)
    left = builder.lshr(rest, one)
    for phi, following in ((product, multiplied), (square, builder.mul(square, square)), (rest, left)):
        phi.add_incoming(following, head)
    more = builder.icmp_unsigned("!=", left, zero)
    if lanes.width > 1:
        packed = builder.bitcast(more, ir.IntType(lanes.width))
        more = builder.icmp_unsigned("!=", packed, ir.Constant(packed.type, 0))
    builder.cbranch(more, head, end)
    builder.position_at_end(end)
    return multiplied
