"""Transcendental functions on the lanes of a vector, as straight arithmetic without branches.

Each works by reducing its argument to an interval around zero, where a polynomial does (near-minimax, fitted with 60 digits at Chebyshev
nodes), and scaling back; special values follow from the arithmetic or are selected at the end. Functions of float32 that would lose bits
on the way are computed in float64. What is not here calls the C library, lane by lane.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from .scalars import KINDS, SCALARS, Emit, Lanes, element_type

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
_INTS: dict[np.dtype, np.dtype] = {F32: np.dtype(np.int32), F64: np.dtype(np.int64)}
# explicit bits of the significand, and the exponent's bias
_BITS: dict[np.dtype, tuple[int, int]] = {F32: (23, 127), F64: (52, 1023)}

# (exp(r) - 1 - r) / r**2 on [-log(2) / 2, log(2) / 2]; relative error 2**-28.3, 2**-64.5
_EXP: dict[np.dtype, tuple[float, ...]] = {
    F32: (0.500000001346581, 0.16666666681623232, 0.041666464925285904, 0.0083333109254809, 0.0013933649996309251, 0.00019890990824673654),
    F64: (
        *(0.5, 0.16666666666666666, 0.04166666666666668, 0.008333333333333333, 0.0013888888888879073, 0.00019841269841263298),
        *(2.4801587336442236e-05, 2.755731924721873e-06, 2.75572632790885e-07, 2.505207109429355e-08, 2.0918137737642736e-09),
        1.608662795678037e-10,
    ),
}
# (log((1 + s) / (1 - s)) - 2 s) / s**3 in z = s**2, for (1 + s) / (1 - s) in [sqrt(1/2), sqrt(2)]; 2**-29.1, 2**-58.2
_LOG: dict[np.dtype, tuple[float, ...]] = {
    F32: (0.6666666655445165, 0.40000121876972, 0.2855081659971155, 0.23330581938241893),
    F64: (
        *(0.6666666666666666, 0.4000000000000088, 0.2857142857080323, 0.2222222239180047, 0.18181795630884753, 0.15386240205813478),
        *(0.13268759668560612, 0.13086767009948175),
    ),
}
# (sin(x) - x) / x**3 and (cos(x) - 1 + x**2 / 2) / x**4 in x**2 on [0, pi / 4]; 2**-32.4 and 2**-34, 2**-63.6 and 2**-65.8
_SIN: dict[np.dtype, tuple[float, ...]] = {
    F32: (-0.16666666663853044, 0.008333331873837132, -0.00019840086263779024, 2.7249864658196823e-06),
    F64: (
        *(-0.16666666666666666, 0.008333333333333331, -0.0001984126984126506, 2.7557319221335453e-06, -2.505210623115797e-08),
        *(1.6058531414599232e-10, -7.586685070693618e-13),
    ),
}
_COS: dict[np.dtype, tuple[float, ...]] = {
    F32: (0.04166666666431933, -0.0013888887671288145, 2.480059998355139e-05, -2.73009081705482e-07),
    F64: (
        *(0.041666666666666664, -0.0013888888888888887, 2.4801587301584645e-05, -2.755731922140076e-07, 2.0876755790363434e-09),
        *(-1.1470460773975007e-11, 4.745865204122351e-14),
    ),
}
# log(2) in two parts; with few enough bits in the first that multiples of it are exact
_LN2: dict[np.dtype, tuple[float, float]] = {
    F32: (0.693145751953125, 1.4286068203094173e-06),
    F64: (0.6931471805598903, 5.497923018708371e-14),
}
# pi / 2 in three parts of 53 bits
_HALF_PI = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33)
# up to here sin and cos reduce their argument with these parts; beyond, the C library does
_LARGEST_ANGLE = 1e6


class _Maths:
    """Arithmetic on vectors of one float dtype."""

    def __init__(self, lanes: Lanes, dtype: np.dtype) -> None:
        self.lanes, self.builder, self.dtype = lanes, lanes.builder, dtype
        self.integer = _INTS[dtype]
        self.bits, self.bias = _BITS[dtype]

    def number(self, value: float) -> Any:
        return self.lanes.constant(self.dtype, value)

    def whole(self, value: int) -> Any:
        return self.lanes.constant(self.integer, value)

    def add(self, x: Any, y: Any) -> Any:
        return self.builder.fadd(x, y)

    def sub(self, x: Any, y: Any) -> Any:
        return self.builder.fsub(x, y)

    def mul(self, x: Any, y: Any) -> Any:
        return self.builder.fmul(x, y)

    def div(self, x: Any, y: Any) -> Any:
        return self.builder.fdiv(x, y)

    def fma(self, x: Any, y: Any, z: Any) -> Any:
        return self.lanes.call("llvm.fma", x, y, z)

    def neg(self, x: Any) -> Any:
        return self.builder.fneg(x)

    def magnitude(self, x: Any) -> Any:
        return self.lanes.call("llvm.fabs", x)

    def nearest(self, x: Any) -> Any:
        return self.lanes.call("llvm.roundeven", x)

    def with_sign(self, x: Any, sign: Any) -> Any:
        return self.lanes.call("llvm.copysign", x, sign)

    def less(self, x: Any, y: Any) -> Any:
        return self.builder.fcmp_ordered("<", x, y)

    def select(self, condition: Any, x: Any, y: Any) -> Any:
        return self.builder.select(condition, x, y)

    def at_most(self, x: Any, high: float) -> Any:
        """The smaller; NaN stays."""
        bound = self.number(high)
        return self.select(self.builder.fcmp_ordered(">", x, bound), bound, x)

    def at_least(self, x: Any, low: float) -> Any:
        """The larger; NaN stays."""
        bound = self.number(low)
        return self.select(self.less(x, bound), bound, x)

    def polynomial(self, x: Any, coefficients: Sequence[float]) -> Any:
        """c0 + c1 x + c2 x**2 ..., by Horner's rule."""
        total = self.number(coefficients[-1])
        for c in reversed(coefficients[:-1]):
            total = self.fma(total, x, self.number(c))
        return total

    def to_whole(self, x: Any) -> Any:
        """A float that is an integer (anything, where it is not one of this width)."""
        # 1.5 * 2**bits, added, leaves the integer in the lowest bits
        shift = self.number(1.5 * 2.0**self.bits)
        bits = self.builder.bitcast(self.add(x, shift), self.lanes.type(self.integer))
        return self.builder.sub(bits, self.builder.bitcast(shift, self.lanes.type(self.integer)))

    def power_of_two(self, n: Any) -> Any:
        """2**n of a whole n in the normal range."""
        raised = self.builder.shl(self.builder.add(n, self.whole(self.bias)), self.whole(self.bits))
        return self.builder.bitcast(raised, self.lanes.type(self.dtype))


# -- exponentials --------------------------------------------------------------------------------------------------------------------------
def _reduced(m: _Maths, x: Any) -> tuple[Any, Any]:
    """n and r with x = n log(2) + r, |r| <= log(2) / 2."""
    n = m.nearest(m.mul(x, m.number(1.0 / math.log(2.0))))
    high, low = _LN2[m.dtype]
    r = m.fma(n, m.number(-high), x)
    return n, m.fma(n, m.number(-low), r)


def _below(m: _Maths, r: Any, coefficients: Sequence[float]) -> Any:
    """exp(r) - 1 near zero."""
    return m.fma(m.mul(r, r), m.polynomial(r, coefficients), r)


def _scaled(m: _Maths, x: Any, n: Any) -> Any:
    """x * 2**n of a whole n, down to subnormal results: in two steps, so that each factor is normal."""
    half = m.builder.ashr(n, m.whole(1))
    return m.mul(m.mul(x, m.power_of_two(half)), m.power_of_two(m.builder.sub(n, half)))


_EXP_RANGE: dict[np.dtype, tuple[float, float]] = {F32: (-104.0, 89.0), F64: (-746.0, 710.0)}


def _exp(m: _Maths, x: Any) -> Any:
    low, high = _EXP_RANGE[m.dtype]
    n, r = _reduced(m, m.at_least(m.at_most(x, high), low))
    return _scaled(m, m.add(m.number(1.0), _below(m, r, _EXP[m.dtype])), m.to_whole(n))


def _expm1_in(m: _Maths, x: Any, coefficients: Sequence[float]) -> Any:
    """exp(x) - 1 for x from -60 to just above what overflows."""
    n, r = _reduced(m, x)
    half = m.power_of_two(m.builder.sub(m.to_whole(n), m.whole(1)))
    total = m.fma(half, _below(m, r, coefficients), m.sub(half, m.number(0.5)))
    return m.mul(total, m.number(2.0))


def _expm1(m: _Maths, x: Any) -> Any:
    made = _expm1_in(m, m.at_least(m.at_most(x, 710.0), -60.0), _EXP[F64])
    # -0.0 stays, and subnormals
    return m.select(m.less(m.magnitude(x), m.number(1e-17)), x, made)


def _tanh(m: _Maths, x: Any) -> Any:
    # from 22 on the result rounds to 1
    t = _expm1_in(m, m.at_most(m.mul(m.magnitude(x), m.number(2.0)), 44.0), _EXP[F64])
    bottom = m.add(t, m.number(2.0))
    inverse = m.div(m.number(1.0), bottom)
    # t / (t + 2), and what its roundings have lost
    ratio = m.mul(t, inverse)
    rest = m.fma(m.neg(ratio), bottom, t)
    rest = m.fma(m.neg(ratio), m.sub(t, m.sub(bottom, m.number(2.0))), rest)
    below = m.fma(rest, inverse, ratio)
    above = m.fma(m.number(-2.0), inverse, m.number(1.0))
    made = m.select(m.less(t, m.number(1.5)), below, above)
    return m.select(m.less(m.magnitude(x), m.number(1e-9)), x, m.with_sign(made, x))


# -- logarithms ----------------------------------------------------------------------------------------------------------------------------
def _split(m: _Maths, x: Any) -> tuple[Any, Any]:
    """k and f with x = 2**k (1 + f), 1 + f in [sqrt(1/2), sqrt(2)), of a positive normal x."""
    bits = m.builder.bitcast(x, m.lanes.type(m.integer))
    root = int(np.asarray(math.sqrt(0.5), m.dtype).view(m.integer))
    k = m.builder.ashr(m.builder.sub(bits, m.whole(root)), m.whole(m.bits))
    rest = m.builder.bitcast(m.builder.sub(bits, m.builder.shl(k, m.whole(m.bits))), m.lanes.type(m.dtype))
    return m.builder.sitofp(k, m.lanes.type(m.dtype)), m.sub(rest, m.number(1.0))


def _log_of(m: _Maths, k: Any, f: Any, correction: Any = None) -> Any:
    """k log(2) + log(1 + f) (+ a small correction)."""
    s = m.div(f, m.add(f, m.number(2.0)))
    z = m.mul(s, s)
    half = m.mul(m.mul(f, f), m.number(0.5))
    tail = m.mul(s, m.fma(z, m.polynomial(z, _LOG[m.dtype]), half))
    high, low = _LN2[m.dtype]
    tail = m.fma(k, m.number(low), tail)
    if correction is not None:
        tail = m.add(tail, correction)
    return m.fma(k, m.number(high), m.sub(f, m.sub(half, tail)))


def _where_defined(m: _Maths, x: Any, made: Any, pole: float) -> Any:
    """-inf at the pole, NaN below it, +inf at +inf."""
    made = m.select(m.builder.fcmp_ordered("==", x, m.number(math.inf)), x, made)
    made = m.select(m.builder.fcmp_ordered("==", x, m.number(pole)), m.number(-math.inf), made)
    # also of NaN itself
    return m.select(m.builder.fcmp_unordered("<", x, m.number(pole)), m.number(math.nan), made)


def _log(m: _Maths, x: Any) -> Any:
    small = m.less(x, m.number(float(np.finfo(m.dtype).tiny)))
    raised = m.select(small, m.mul(x, m.number(2.0 ** (m.bits + 1))), x)
    k, f = _split(m, raised)
    k = m.sub(k, m.select(small, m.number(m.bits + 1), m.number(0.0)))
    return _where_defined(m, x, _log_of(m, k, f), 0.0)


def _log1p(m: _Maths, x: Any) -> Any:
    u = m.add(m.number(1.0), x)
    k, f = _split(m, u)
    near = m.builder.fcmp_ordered("==", k, m.number(0.0))
    # what rounding 1 + x has lost, exactly
    lost = m.select(m.less(m.magnitude(x), m.number(1.0)), m.sub(x, m.sub(u, m.number(1.0))), m.sub(m.number(1.0), m.sub(u, x)))
    correction = m.select(near, m.number(0.0), m.div(lost, u))
    made = _log_of(m, k, m.select(near, x, f), correction)
    made = _where_defined(m, x, made, -1.0)
    return m.select(m.less(m.magnitude(x), m.number(1e-17)), x, made)


# -- trigonometry --------------------------------------------------------------------------------------------------------------------------
def _angle(m: _Maths, x: Any) -> tuple[Any, Any, Any]:
    """The quadrant, and the rest of an angle in two parts."""
    n = m.nearest(m.mul(x, m.number(2.0 / math.pi)))
    first = m.fma(n, m.number(-_HALF_PI[0]), x)
    r = m.fma(n, m.number(-_HALF_PI[1]), first)
    # what that rounding has lost
    low = m.sub(m.fma(n, m.number(-_HALF_PI[1]), m.sub(first, r)), m.mul(n, m.number(_HALF_PI[2])))
    return m.to_whole(n), r, low


def _sine(m: _Maths, x: Any, quarter: int, coefficients: tuple[Sequence[float], Sequence[float]]) -> Any:
    """sin(x + quarter * pi / 2) of |x| up to _LARGEST_ANGLE."""
    n, r, low = _angle(m, x)
    if quarter:
        n = m.builder.add(n, m.whole(quarter))
    z = m.mul(r, r)
    sine = m.fma(m.mul(z, r), m.polynomial(z, coefficients[0]), m.fma(m.mul(z, m.number(-0.5)), low, low))
    sine = m.add(r, sine)
    half = m.mul(z, m.number(0.5))
    top = m.sub(m.number(1.0), half)
    # 1 - z / 2 and what its rounding has lost
    lost = m.sub(m.sub(m.number(1.0), top), half)
    cosine = m.add(top, m.fma(m.mul(z, z), m.polynomial(z, coefficients[1]), m.fma(m.neg(r), low, lost)))
    zero = m.whole(0)
    odd = m.builder.icmp_signed("!=", m.builder.and_(n, m.whole(1)), zero)
    flipped = m.builder.icmp_signed("!=", m.builder.and_(n, m.whole(2)), zero)
    made = m.select(odd, cosine, sine)
    return m.select(flipped, m.neg(made), made)


def _sin(m: _Maths, x: Any) -> Any:
    made = _sine(m, x, 0, (_SIN[F64], _COS[F64]))
    return m.select(m.builder.fcmp_ordered("==", x, m.number(0.0)), x, made)


def _cos(m: _Maths, x: Any) -> Any:
    return _sine(m, x, 1, (_SIN[F64], _COS[F64]))


# -- entries -------------------------------------------------------------------------------------------------------------------------------
def _libm(lanes: Lanes, name: str, values: Sequence[Any], dtype: np.dtype) -> Any:
    """A function of the C library, lane by lane."""
    builder = lanes.builder
    element = element_type(dtype)
    name = name + ("f" if dtype == F32 else "")
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(element, [element] * len(values)), name)
        function.attributes.add("nounwind")
    if lanes.width == 1:
        return builder.call(function, values)
    made = ir.Constant(lanes.type(dtype), ir.Undefined)
    for k in range(lanes.width):
        at = ir.Constant(ir.IntType(32), k)
        one = builder.call(function, [builder.extract_element(v, at) for v in values])
        made = builder.insert_element(made, one, at)
    return made


def _enter(name: str, core: Callable[[_Maths, Any], Any], native: bool = False, rare: Callable[[_Maths, Any], Any] | None = None) -> None:
    """A function of one operand; float32 goes through float64 unless `native`. `rare(m, x)`: which lanes the C library does."""

    def emit(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
        builder = lanes.builder
        wide = given == F32 and not native
        x = builder.fpext(xs[0], lanes.type(F64)) if wide else xs[0]
        m = _Maths(lanes, F64 if wide else given)
        made = core(m, x)
        if rare is not None:
            made = _with_rare(m, x, made, rare(m, x), name)
        return builder.fptrunc(made, lanes.type(F32)) if wide else made

    SCALARS[name], KINDS[name] = emit, "f"


def _with_rare(m: _Maths, x: Any, made: Any, rare: Any, name: str) -> Any:
    builder = m.builder
    some = rare
    if m.lanes.width > 1:
        packed = builder.bitcast(rare, ir.IntType(m.lanes.width))
        some = builder.icmp_unsigned("!=", packed, ir.Constant(packed.type, 0))
    before = builder.block
    with builder.if_then(some, likely=False):
        other = builder.select(rare, _libm(m.lanes, name, [x], m.dtype), made)
        inside = builder.block
    joined = builder.phi(made.type)
    joined.add_incoming(made, before)
    joined.add_incoming(other, inside)
    return joined


def _far(m: _Maths, x: Any) -> Any:
    return m.builder.fcmp_unordered(">", m.magnitude(x), m.number(_LARGEST_ANGLE))


# names of the C library's functions
_OF_THE_LIBRARY = {
    **{"exp2": "exp2", "log2": "log2", "log10": "log10", "tan": "tan", "sinh": "sinh", "cosh": "cosh", "cbrt": "cbrt", "erf": "erf"},
    **{"arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh"},
    **{"arctan2": "atan2", "hypot": "hypot", "power": "pow", "float_power": "pow", "copysign": "copysign", "fmod": "fmod"},
}


def _of_the_library(function: str) -> Emit:
    def emit(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
        return _libm(lanes, function, xs, given)

    return emit


def install() -> None:
    """Enter the functions into the table of scalar functions."""
    for name, function in _OF_THE_LIBRARY.items():
        SCALARS[name], KINDS[name] = _of_the_library(function), "f"
    _enter("exp", _exp, native=True)
    _enter("expm1", _expm1)
    _enter("log", _log, native=True)
    _enter("log1p", _log1p)
    _enter("tanh", _tanh)
    _enter("sin", _sin, rare=_far)
    _enter("cos", _cos, rare=_far)
