"""Arithmetic on the lanes of a vector of one float dtype, beyond single instructions: powers of two, polynomials, sums and products with
what their rounding has lost, and calls of the C library for single lanes. What vector maths is written in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

from .scalars import Lanes, declared, element_type

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
_INTS: dict[np.dtype, np.dtype] = {F32: np.dtype(np.int32), F64: np.dtype(np.int64)}
_I32 = ir.IntType(32)


@lru_cache(maxsize=1)
def _features() -> frozenset[str]:
    return frozenset(name for name, there in llvm.get_host_cpu_features().items() if there)


def library(lanes: Lanes, name: str, values: Sequence[Any], dtype: np.dtype) -> Any:
    """A function of the C library, lane by lane."""
    element = element_type(dtype)
    name = name + ("f" if dtype == F32 else "")
    function = declared(lanes.builder.module, name, element, [element] * len(values))
    function.attributes.add("nounwind")
    if lanes.width == 1:
        return lanes.builder.call(function, values)

    def write(lanes: Lanes, values: Sequence[Any]) -> Any:
        builder = lanes.builder
        entry = builder.block
        loop, end = (builder.function.append_basic_block() for _ in range(2))
        builder.branch(loop)
        builder.position_at_end(loop)
        lane = builder.phi(_I32)
        made = builder.phi(lanes.type(dtype))
        one = builder.call(function, [builder.extract_element(v, lane) for v in values])
        more = builder.insert_element(made, one, lane)
        following = builder.add(lane, ir.Constant(_I32, 1))
        lane.add_incoming(ir.Constant(_I32, 0), entry)
        lane.add_incoming(following, loop)
        made.add_incoming(ir.Constant(lanes.type(dtype), None), entry)
        made.add_incoming(more, loop)
        builder.cbranch(builder.icmp_unsigned("<", following, ir.Constant(_I32, lanes.width)), loop, end)
        builder.position_at_end(end)
        return more

    return lanes.outlined(f"each.{name}", values, write)


class Arithmetic:
    """Arithmetic on vectors of one float dtype.

    Attributes:
        dtype, integer: the float dtype, and the integers of its size.
        bits, bias: explicit bits of the significand, and the exponent's bias.
        tiny: the smallest normal number.
    """

    def __init__(self, lanes: Lanes, dtype: np.dtype) -> None:
        self.lanes, self.builder, self.dtype = lanes, lanes.builder, dtype
        self.integer = _INTS[dtype]
        info = np.finfo(dtype)
        self.bits, self.bias, self.tiny = info.nmant, 1 - info.minexp, float(info.tiny)

    # -- single instructions -------------------------------------------------------------------------------------------------------------
    def number(self, value: float) -> Any:
        return self.lanes.constant(self.dtype, value)

    def whole(self, value: int) -> Any:
        return self.lanes.constant(self.integer, value)

    def _operand(self, x: Any) -> Any:
        return self.number(x) if isinstance(x, float) else x

    def add(self, x: Any, y: Any) -> Any:
        return self.builder.fadd(self._operand(x), self._operand(y))

    def sub(self, x: Any, y: Any) -> Any:
        return self.builder.fsub(self._operand(x), self._operand(y))

    def mul(self, x: Any, y: Any) -> Any:
        return self.builder.fmul(self._operand(x), self._operand(y))

    def div(self, x: Any, y: Any) -> Any:
        return self.builder.fdiv(self._operand(x), self._operand(y))

    def fma(self, x: Any, y: Any, z: Any) -> Any:
        return self.lanes.call("llvm.fma", self._operand(x), self._operand(y), self._operand(z))

    def neg(self, x: Any) -> Any:
        return self.builder.fneg(x)

    def sqrt(self, x: Any) -> Any:
        return self.lanes.call("llvm.sqrt", x)

    def magnitude(self, x: Any) -> Any:
        return self.lanes.call("llvm.fabs", x)

    def nearest(self, x: Any) -> Any:
        return self.lanes.call("llvm.roundeven", x)

    def with_sign(self, x: Any, sign: Any) -> Any:
        return self.lanes.call("llvm.copysign", x, sign)

    def select(self, condition: Any, x: Any, y: Any) -> Any:
        return self.builder.select(condition, self._operand(x), self._operand(y))

    def less(self, x: Any, y: Any) -> Any:
        return self.builder.fcmp_ordered("<", self._operand(x), self._operand(y))

    def more(self, x: Any, y: Any) -> Any:
        return self.builder.fcmp_ordered(">", self._operand(x), self._operand(y))

    def equal(self, x: Any, y: Any) -> Any:
        return self.builder.fcmp_ordered("==", self._operand(x), self._operand(y))

    def differ(self, x: Any, y: Any) -> Any:
        """Whether they differ; NaN does from all."""
        return self.builder.fcmp_unordered("!=", self._operand(x), self._operand(y))

    def undefined(self, x: Any, y: Any) -> Any:
        """Whether one is NaN."""
        return self.builder.fcmp_unordered("uno", x, y)

    def both(self, x: Any, y: Any) -> Any:
        return self.builder.and_(x, y)

    def either(self, x: Any, y: Any) -> Any:
        return self.builder.or_(x, y)

    def at_most(self, x: Any, high: float) -> Any:
        """The smaller; NaN stays."""
        return self.select(self.more(x, high), high, x)

    def at_least(self, x: Any, low: float) -> Any:
        """The larger; NaN stays."""
        return self.select(self.less(x, low), low, x)

    # -- bits ----------------------------------------------------------------------------------------------------------------------------
    def pattern(self, x: Any) -> Any:
        """The bits of a float, as an integer."""
        return self.builder.bitcast(x, self.lanes.type(self.integer))

    def of_pattern(self, x: Any) -> Any:
        """The float of these bits."""
        return self.builder.bitcast(x, self.lanes.type(self.dtype))

    def negative(self, x: Any) -> Any:
        """Whether the sign bit is set."""
        return self.builder.icmp_signed("<", self.pattern(x), self.whole(0))

    def rounded(self, x: Any, factor: float) -> tuple[Any, Any]:
        """x * factor rounded to an integer, and a pattern whose lower half of bits is that of the integer; up to 2**(bits - 1)."""
        # 1.5 * 2**bits, added, leaves the integer in the lowest bits
        shift = 1.5 * 2.0**self.bits
        shifted = self.fma(x, factor, shift)
        return self.sub(shifted, shift), self.pattern(shifted)

    def power_of_two(self, n: Any, more: int = 0) -> Any:
        """2**(n + more), in the normal range, of an integer n or of the pattern of `rounded`."""
        return self.of_pattern(self.builder.shl(self.builder.add(n, self.whole(self.bias + more)), self.whole(self.bits)))

    def scaled(self, x: Any, n: Any) -> Any:
        """x * 2**n, rounded once, of a float n that is an integer; |n| at most twice the bias."""
        width = self.lanes.width * self.dtype.itemsize * 8
        needed = {512: "avx512f", 256: "avx512vl", 128: "avx512vl"}.get(width)
        if needed in _features():
            return self._scalef(x, n, width)
        # in two steps, so that each factor is normal
        number = self.builder.fptosi(n, self.lanes.type(self.integer))
        half = self.builder.ashr(number, self.whole(1))
        return self.mul(self.mul(x, self.power_of_two(half)), self.power_of_two(self.builder.sub(number, half)))

    def _scalef(self, x: Any, n: Any, width: int) -> Any:
        """The same by the one instruction that some processors have for it."""
        name = f"llvm.x86.avx512.mask.scalef.{'ps' if self.dtype == F32 else 'pd'}.{width}"
        mask = ir.IntType(max(8, self.lanes.width))
        rounding = [ir.Constant(_I32, 4)] if width == 512 else []
        function = declared(self.builder.module, name, x.type, [x.type] * 3 + [mask] + [r.type for r in rounding])
        return self.builder.call(function, [x, n, x, ir.Constant(mask, -1), *rounding])

    def split(self, x: Any) -> tuple[Any, Any]:
        """k, an integer, and f with x = 2**k (1 + f), 1 + f in [sqrt(1/2), sqrt(2)), of a positive normal x."""
        bits = self.pattern(x)
        root = int(np.asarray(math.sqrt(0.5), self.dtype).view(self.integer))
        k = self.builder.ashr(self.builder.sub(bits, self.whole(root)), self.whole(self.bits))
        return k, self.sub(self.of_pattern(self.builder.sub(bits, self.builder.shl(k, self.whole(self.bits)))), 1.0)

    def split_any(self, x: Any) -> tuple[Any, Any]:
        """The same of a subnormal x too."""
        small = self.less(x, self.tiny)
        # a multiple of 3, as cube roots want it
        lift = 24 if self.dtype == F32 else 54
        k, f = self.split(self.select(small, self.mul(x, 2.0**lift), x))
        return self.builder.sub(k, self.builder.select(small, self.whole(lift), self.whole(0))), f

    def real(self, n: Any) -> Any:
        """An integer as a float."""
        return self.builder.sitofp(n, self.lanes.type(self.dtype))

    def irregular(self, x: Any) -> Any:
        """Whether it is not positive, subnormal, infinite or NaN."""
        least = int(np.asarray(self.tiny, self.dtype).view(self.integer))
        most = int(np.asarray(np.inf, self.dtype).view(self.integer))
        return self.builder.icmp_unsigned(">=", self.builder.sub(self.pattern(x), self.whole(least)), self.whole(most - least))

    # -- several instructions ------------------------------------------------------------------------------------------------------------
    def polynomial(self, x: Any, coefficients: Sequence[float]) -> Any:
        """c0 + c1 x + c2 x**2 ..., by Horner's rule."""
        total: Any = coefficients[-1]
        for c in reversed(coefficients[:-1]):
            total = self.fma(total, x, c)
        return total

    def sum(self, x: Any, y: Any) -> tuple[Any, Any]:
        """x + y, and what rounding has lost; |x| >= |y|, or x = 0 (Dekker's)."""
        total = self.add(x, y)
        return total, self.sub(y, self.sub(total, x))

    def sum_of_any(self, x: Any, y: Any) -> tuple[Any, Any]:
        """x + y, and what rounding has lost (Knuth's)."""
        total = self.add(x, y)
        other = self.sub(total, x)
        return total, self.add(self.sub(x, self.sub(total, other)), self.sub(y, other))

    def product(self, x: Any, y: Any) -> tuple[Any, Any]:
        """x * y, and what rounding has lost."""
        total = self.mul(x, y)
        return total, self.fma(x, y, self.neg(total))

    def where_some(self, rare: Any, made: Any, other: Callable[[], Any]) -> Any:
        """`other()` in the lanes that are `rare`, `made` in the rest: behind a branch that is seldom taken."""
        builder = self.builder
        some = rare
        if self.lanes.width > 1:
            packed = builder.bitcast(rare, ir.IntType(self.lanes.width))
            some = builder.icmp_unsigned("!=", packed, ir.Constant(packed.type, 0))
        before = builder.block
        with builder.if_then(some, likely=False):
            chosen = builder.select(rare, other(), made)
            inside = builder.block
        joined = builder.phi(made.type)
        joined.add_incoming(made, before)
        joined.add_incoming(chosen, inside)
        return joined
