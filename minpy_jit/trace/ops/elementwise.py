"""Element-wise ops: NumPy's ufuncs, `where` and `clip`.

Gradients at special points follow HIPS autograd: ties of maximum and minimum share the gradient, `abs` has none at 0, and the exponent's
gradient takes log(1) where the base is 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..op import TABLE, ZERO_GRADIENT, Op, Ref, Sample, Types, define
from ..types import ArrayType, integer_name
from . import kernels
from .cast import astype
from .families import (
    ALL_MXNET,
    BOOL,
    FLOAT64,
    INT32,
    INTEGERS,
    NUMBERS,
    broadcast_type,
    elementwise,
    integer_limits,
    mx,
    result_dtype,
    samples_of,
    ufunc_loop,
)

# MXNet calls libm, NumPy its own vector code: both promise 1-2 units in the last place, a few more for tan, tanh and powers
LIBM_ULP = 4
_LN2, _LN10, _DEGREE = math.log(2.0), math.log(10.0), math.pi / 180.0
_BOOLS: frozenset[np.dtype] = frozenset({BOOL})


def _float_op(name: str, rule: Any, low: float = -2.0, high: float = 2.0, mxnet: Any = None) -> Op:
    """A transcendental function of one operand, which MXNet has under NumPy's name."""
    return elementwise(name, (rule,), mxnet=mxnet or mx(f"_npi_{name}"), low=low, high=high, ulp=LIBM_ULP)


def _scaled(numerator: float, denominator: float) -> Any:
    """The lowering of `x * (numerator / denominator)`."""

    def lower(low: Any, xs: list[Any], types: Types, result: ArrayType) -> Any:
        # NumPy divides in the dtype, that of float16 being float32 (npy_math.h: 180.0f / NPY_PIf)
        real = np.float64 if result.dtype == np.float64 else np.float32
        return low.node("_npi_multiply", [xs[0], low.constant(np.asarray(real(numerator) / real(denominator), result.dtype))])

    return lower


def _by_dtype(name: str, bool_name: str) -> Any:
    """One MXNet operator, and another for bool."""

    def lower(low: Any, xs: list[Any], types: Types, result: ArrayType) -> Any:
        return low.node(bool_name if result.dtype == BOOL else name, xs)

    return lower


# -- arithmetic -----------------------------------------------------------------------------------------------------------------------
add = elementwise("add", (lambda g, ans, x, y: g, lambda g, ans, x, y: g), mxnet=mx("_npi_add"), dtypes=ALL_MXNET)
subtract = elementwise("subtract", (lambda g, ans, x, y: g, lambda g, ans, x, y: -g), mxnet=mx("_npi_subtract"), dtypes=NUMBERS)
multiply = elementwise("multiply", (lambda g, ans, x, y: g * y, lambda g, ans, x, y: g * x), mxnet=mx("_npi_multiply"), dtypes=ALL_MXNET)
# the quotient of both rules is one: a division takes as long as four multiplications
divide = elementwise("divide", (lambda g, ans, x, y: g / y, lambda g, ans, x, y: -(g / y) * ans), mxnet=mx("_npi_true_divide"), low=0.5)
negative = elementwise("negative", (lambda g, ans, x: -g,), mxnet=mx("_npi_negative"), dtypes=NUMBERS)
positive = elementwise("positive", (lambda g, ans, x: g,), mxnet=mx("_copy"), dtypes=NUMBERS)
reciprocal = elementwise("reciprocal", (lambda g, ans, x: -g * ans * ans,), mxnet=mx("_npi_reciprocal"), low=0.5)


def _lower_square(low: Any, xs: list[Any], types: Types, result: ArrayType) -> Any:
    # `_npi_square` of integers saturates
    return low.node("_npi_multiply", [xs[0], xs[0]])


square = elementwise(
    "square", (lambda g, ans, x: g * (2 * x),), mxnet=lambda low, xs, *_: low.node("_npi_multiply", xs * 2), dtypes=NUMBERS
)
floor_divide = elementwise("floor_divide", ZERO_GRADIENT, low=0.5, high=3.0)
remainder = elementwise(
    "remainder",
    (lambda g, ans, x, y: g, lambda g, ans, x, y: -g * floor_divide(x, y)),
    mxnet=mx("_npi_mod"),
    # of floats MXNet's has other signed zeros, and 0 where the divisor is 0; of int64 it goes through float64
    dtypes=INTEGERS - {np.dtype(np.int64)},
    low=0.5,
    high=3.0,
)
fmod = elementwise("fmod", (lambda g, ans, x, y: g, lambda g, ans, x, y: -g * trunc(x / y)), low=0.5, high=3.0)
divmod_ = elementwise(
    "divmod",
    (lambda g, ans, x, y: g[1], lambda g, ans, x, y: None if g[1] is None else -g[1] * floor_divide(x, y)),
    low=0.5,
    high=3.0,
)


def _strong(y: Ref, ans: Ref) -> Ref:
    """A Python number as an array of the result's dtype, so that arithmetic among numbers alone does not make float64 of it."""
    return y if y.type.weak is None else TABLE["full"](y, shape=(), dtype=ans.dtype, context=ans.type.context)


def _power_base(g: Ref, ans: Ref, x: Ref, y: Ref) -> Ref:
    # where the exponent is 0 the factor y is 0 already: any finite power will do
    y = _strong(y, ans)
    return g * y * power(_strong(x, ans), where(not_equal(y, 0), y - 1, 1))


def _power_exponent(g: Ref, ans: Ref, x: Ref, y: Ref) -> Ref:
    x = _strong(x, ans)
    return g * log(where(not_equal(x, 0), x, 1)) * ans


def _exponent_range(types: Types, params: dict[str, Any]) -> tuple[int, int] | None:
    """An integer to a negative Python integer has no integer result; the base may be any number of its dtype."""
    limits = integer_limits(types, ufunc_loop(np.power, types)[0])
    return limits if limits is None or types[1].weak is not int else (0, limits[1])


def _exponent_error(value: int, high: int) -> Exception:
    dtype = integer_name(high)
    if value < 0 and dtype.startswith("int"):
        return ValueError("[power] Integers to negative integer powers are not allowed.")
    return OverflowError(f"[power] Python integer {value} out of bounds for {dtype}")


power = elementwise(
    "power",
    (_power_base, _power_exponent),
    mxnet=mx("_npi_power"),
    low=0.3,
    ulp=LIBM_ULP,
    kernel=kernels.power,
    raises=True,
    scalar_range=_exponent_range,
    scalar_error=_exponent_error,
)
float_power = elementwise(
    "float_power", (_power_base, _power_exponent), mxnet=mx("_npi_power"), dtypes=frozenset({FLOAT64}), low=0.3, ulp=LIBM_ULP
)
sqrt = elementwise("sqrt", (lambda g, ans, x: g * 0.5 / ans,), mxnet=mx("_npi_sqrt"), low=0.3)
cbrt = _float_op("cbrt", lambda g, ans, x: g / (3.0 * ans * ans), low=0.3)


def _absolute_rule(g: Ref, ans: Ref, x: Ref) -> Ref:
    if x.dtype.kind != "c":
        return g * sign(x)
    return g * conjugate(x) / where(not_equal(ans, 0), ans, 1)


def _lower_absolute(low: Any, xs: list[Any], types: Types, result: ArrayType) -> Any:
    if result.dtype.kind == "f" or result.dtype == INT32:
        return low.node("_npi_absolute", xs)
    # `_npi_absolute` of int64 goes through float64
    return low.node("_npi_maximum", [xs[0], low.node("_npi_negative", xs)]) if result.dtype.kind == "i" else xs[0]


absolute = elementwise("absolute", (_absolute_rule,), mxnet=_lower_absolute, dtypes=ALL_MXNET)
fabs = elementwise("fabs", (lambda g, ans, x: g * sign(x),), mxnet=mx("_npi_absolute"))


def _lower_sign(low: Any, xs: list[Any], types: Types, result: ArrayType) -> Any:
    plain = low.node("_npi_sign", xs)
    # MXNet's sign of NaN is 0
    return plain if result.dtype.kind != "f" else low.node("_npi_where", [low.node("_npi_isnan", xs), xs[0], plain])


sign: Op = elementwise("sign", ZERO_GRADIENT, mxnet=_lower_sign, dtypes=NUMBERS)
signbit = elementwise("signbit", ZERO_GRADIENT)
# `_npi_copysign` takes -0.0 for positive
copysign: Op = elementwise("copysign", (lambda g, ans, x, y: g * sign(x) * copysign(1.0, y), ZERO_GRADIENT))
heaviside = elementwise("heaviside", (ZERO_GRADIENT, lambda g, ans, x, y: where(equal(x, 0), g, 0.0)))
nextafter = elementwise("nextafter", (lambda g, ans, x, y: g, ZERO_GRADIENT))
spacing = elementwise("spacing", ZERO_GRADIENT)
gcd = elementwise("gcd", ZERO_GRADIENT)
lcm = elementwise("lcm", ZERO_GRADIENT)


def _modf_rule(g: tuple[Ref | None, ...], ans: Any, x: Ref) -> Ref | None:
    return g[0]


def _frexp_rule(g: tuple[Ref | None, ...], ans: Any, x: Ref) -> Ref | None:
    # the mantissa is x * 2**-exponent, and the exponent is constant almost everywhere
    return None if g[0] is None else ldexp(g[0], negative(frexp(x)[1]))


modf = elementwise("modf", (_modf_rule,))
frexp = elementwise("frexp", (_frexp_rule,))
# `_npi_ldexp` multiplies by 2**n, which overflows before the product does
ldexp: Op = elementwise(
    "ldexp",
    (lambda g, ans, x, n: ldexp(g, n), ZERO_GRADIENT),
    samples=(
        Sample(((2, 3), np.array([-3, 0, 5]))),
        Sample((np.array([[0.5], [-3.0]]), np.array([[1, -2, 3]]))),
        Sample(((2, 3), (3,)), differentiable=False),
    ),
)

# -- extrema --------------------------------------------------------------------------------------------------------------------------


def _chosen(mine: Ref, other: Ref, g: Ref, ans: Ref) -> Ref:
    return where(equal(mine, ans), where(equal(mine, other), g * 0.5, g), 0.0)


def _won(strict: str, weak: str) -> tuple[Any, Any]:
    """Rules of maximum and minimum: g times 1 for the winner, 0.5 in a tie, 0 (also for NaN): HIPS autograd's and JAX's product.
    A `where` would branch on each element: 20 µs against 4 on fresh 32x128 data."""

    def share(mine: Ref, other: Ref, g: Ref) -> Ref:
        return g * ((astype(TABLE[strict](mine, other), dtype=g.dtype) + astype(TABLE[weak](mine, other), dtype=g.dtype)) * 0.5)

    return lambda g, ans, x, y: share(x, y, g), lambda g, ans, x, y: share(y, x, g)


_EXTREMUM = (lambda g, ans, x, y: _chosen(x, y, g, ans), lambda g, ans, x, y: _chosen(y, x, g, ans))


def _lower_ignoring_nan(name: str, bool_name: str) -> Any:
    plain = _by_dtype(name, bool_name)

    def lower(low: Any, xs: list[Any], types: Types, result: ArrayType) -> Any:
        extremum = plain(low, xs, types, result)
        if result.dtype.kind != "f":
            return extremum
        x, y = xs
        extremum = low.node("_npi_where", [low.node("_npi_isnan", [y]), x, extremum])
        return low.node("_npi_where", [low.node("_npi_isnan", [x]), y, extremum])

    return lower


maximum = elementwise("maximum", _won("greater", "greater_equal"), mxnet=_by_dtype("_npi_maximum", "_npi_add"), dtypes=ALL_MXNET)
minimum = elementwise("minimum", _won("less", "less_equal"), mxnet=_by_dtype("_npi_minimum", "_npi_multiply"), dtypes=ALL_MXNET)
fmax = elementwise("fmax", _EXTREMUM, mxnet=_lower_ignoring_nan("_npi_maximum", "_npi_add"), dtypes=ALL_MXNET)
fmin = elementwise("fmin", _EXTREMUM, mxnet=_lower_ignoring_nan("_npi_minimum", "_npi_multiply"), dtypes=ALL_MXNET)


def _infer_clip(x: ArrayType, lowest: ArrayType, highest: ArrayType) -> ArrayType:
    types = (x, lowest, highest)
    return broadcast_type(types, ufunc_loop(_clip, types)[-1])


def _lower_clip(low: Any, xs: list[Any], types: Types, result: ArrayType) -> Any:
    return low.node("_npi_minimum", [low.node("_npi_maximum", xs[:2]), xs[2]])


_clip: np.ufunc = np.core.umath.clip  # type: ignore[attr-defined]
clip = define(
    "clip",
    family="elementwise",
    arity=3,
    infer=_infer_clip,
    numpy=_clip,
    operand_dtypes=lambda types, params: ufunc_loop(_clip, types)[:3],
    scalar_range=lambda types, params: integer_limits(types, ufunc_loop(_clip, types)[-1]),
    mxnet=_lower_clip,
    kernel="clip",
    mxnet_dtypes=NUMBERS,
    vjp=(
        lambda g, ans, x, lo, hi: where(logical_and(not_equal(ans, lo), not_equal(ans, hi)), g, 0.0),
        lambda g, ans, x, lo, hi: where(logical_and(less(x, lo), less(lo, hi)), g, 0.0),
        lambda g, ans, x, lo, hi: where(less(hi, maximum(x, lo)), g, 0.0),
    ),
    samples=(
        Sample(((2, 3), (), ())),
        Sample(((2, 3), (3,), (2, 1))),
        Sample((np.linspace(-2.0, 2.0, 6).reshape(2, 3), np.asarray(-1.0), np.asarray(1.0))),
        Sample(((), (), ())),
        Sample(((0, 3), (), (3,))),
    ),
    doc="limit the values of an array",
)

# -- selection ------------------------------------------------------------------------------------------------------------------------


def _infer_where(condition: ArrayType, x: ArrayType, y: ArrayType) -> ArrayType:
    return broadcast_type((condition, x, y), result_dtype((x, y)), scalar=False)


def _where_dtypes(types: Types, params: dict[str, Any]) -> tuple[np.dtype, ...]:
    dtype = result_dtype(types[1:])
    return BOOL, dtype, dtype


def _numpy_where(condition: Any, x: Any, y: Any) -> Any:
    # NumPy 1.26 takes Python numbers for float64 and int64 in this one function; NumPy 2, and we, let them lend their kind only
    dtype = np.result_type(x, y)
    return np.where(condition, np.asarray(x, dtype), np.asarray(y, dtype))


def _lower_where(low: Any, xs: list[Any], types: Types, result: ArrayType) -> Any:
    if result.ndim == 0 or result.dtype == BOOL:
        return low.node("_npi_where", xs)
    # 32x128 float32: `_npi_where` 42 µs (it branches), the older `where` 5.3, but that one takes no bool and does not broadcast
    wide = f"({','.join(map(str, result.shape))},)"
    condition, *values = [
        x if t.shape == result.shape else low.node("_npi_broadcast_to", [x], {"shape": wide}) for x, t in zip(xs, types, strict=True)
    ]
    return low.node("where", [low.truth(condition), *values])


where: Op = define(
    "where",
    family="elementwise",
    arity=3,
    infer=_infer_where,
    numpy=_numpy_where,
    operand_dtypes=_where_dtypes,
    scalar_range=lambda types, params: integer_limits((types[1], types[2]), result_dtype(types[1:])),
    mxnet=_lower_where,
    kernel="where",
    mxnet_dtypes=ALL_MXNET,
    vjp=(ZERO_GRADIENT, lambda g, ans, c, x, y: where(c, g, 0.0), lambda g, ans, c, x, y: where(c, 0.0, g)),
    samples=(
        *samples_of((((2, 3), (2, 3), (2, 3)), ((2, 1), (3,), ()), ((), (2, 3), (3,)), ((), (), ()), ((0, 3), (3,), ()))),
        Sample((np.array([[True, False, True], [False, False, True]]), (2, 3), (2, 3))),
    ),
    doc="elements of x where the condition holds, else of y",
)

# -- exponentials and logarithms --------------------------------------------------------------------------------------------------------
exp = _float_op("exp", lambda g, ans, x: g * ans)
exp2 = _float_op("exp2", lambda g, ans, x: g * (ans * _LN2), mxnet=mx("_npi_rpower_scalar", scalar=2.0))
expm1 = _float_op("expm1", lambda g, ans, x: g * (ans + 1.0))
log = _float_op("log", lambda g, ans, x: g / x, low=0.2)
log2 = _float_op("log2", lambda g, ans, x: g / (x * _LN2), low=0.2)
log10 = _float_op("log10", lambda g, ans, x: g / (x * _LN10), low=0.2)
log1p = _float_op("log1p", lambda g, ans, x: g / (x + 1.0), low=-0.5)


def _lower_logaddexp(low: Any, xs: list[Any], types: Types, result: ArrayType) -> Any:
    distance = low.node("_npi_negative", [low.node("_npi_absolute", [low.node("_npi_subtract", xs)])])
    apart = low.node("_npi_add", [low.node("_npi_maximum", xs), low.node("_npi_log1p", [low.node("_npi_exp", [distance])])])
    # equal infinities have no distance
    together = low.node("_npi_add", [xs[0], low.constant(np.asarray(_LN2, result.dtype))])
    return low.node("_npi_where", [low.node("_npi_equal", xs), together, apart])


logaddexp = elementwise(
    "logaddexp",
    (lambda g, ans, x, y: g * exp(x - ans), lambda g, ans, x, y: g * exp(y - ans)),
    mxnet=_lower_logaddexp,
    # the last addition may cancel
    ulp=64,
)
logaddexp2 = elementwise("logaddexp2", (lambda g, ans, x, y: g * exp2(x - ans), lambda g, ans, x, y: g * exp2(y - ans)))

# -- trigonometry -----------------------------------------------------------------------------------------------------------------------
sin = _float_op("sin", lambda g, ans, x: g * cos(x))
cos: Op = _float_op("cos", lambda g, ans, x: -g * sin(x))
tan = _float_op("tan", lambda g, ans, x: g * (1.0 + ans * ans), low=-1.2, high=1.2)
arcsin = _float_op("arcsin", lambda g, ans, x: g / sqrt(1.0 - x * x), low=-0.9, high=0.9)
arccos = _float_op("arccos", lambda g, ans, x: -g / sqrt(1.0 - x * x), low=-0.9, high=0.9)
arctan = _float_op("arctan", lambda g, ans, x: g / (1.0 + x * x))
sinh = _float_op("sinh", lambda g, ans, x: g * cosh(x))
cosh: Op = _float_op("cosh", lambda g, ans, x: g * sinh(x))
tanh = _float_op("tanh", lambda g, ans, x: g * (1.0 - ans * ans))
arcsinh = _float_op("arcsinh", lambda g, ans, x: g / sqrt(x * x + 1.0))
arccosh = _float_op("arccosh", lambda g, ans, x: g / sqrt(x * x - 1.0), low=1.2, high=3.0)
arctanh = _float_op("arctanh", lambda g, ans, x: g / (1.0 - x * x), low=-0.8, high=0.8)
arctan2 = elementwise(
    "arctan2",
    (lambda g, ans, x, y: g * y / (x * x + y * y), lambda g, ans, x, y: -g * x / (x * x + y * y)),
    mxnet=mx("_npi_arctan2"),
    low=0.3,
    ulp=LIBM_ULP,
)


def _hypot_rule(g: Ref, ans: Ref, side: Ref) -> Ref:
    return g * side / where(not_equal(ans, 0), ans, 1)


hypot = elementwise(
    "hypot",
    (lambda g, ans, x, y: _hypot_rule(g, ans, x), lambda g, ans, x, y: _hypot_rule(g, ans, y)),
    mxnet=mx("_npi_hypot"),
    low=0.3,
    ulp=LIBM_ULP,
)
# `_npi_degrees` and `_npi_radians` round their factor to float32
degrees, rad2deg = (
    elementwise(name, (lambda g, ans, x: g * (1.0 / _DEGREE),), mxnet=_scaled(180.0, math.pi), ulp=1) for name in ("degrees", "rad2deg")
)
radians, deg2rad = (
    elementwise(name, (lambda g, ans, x: g * _DEGREE,), mxnet=_scaled(math.pi, 180.0), ulp=1) for name in ("radians", "deg2rad")
)

# -- rounding ---------------------------------------------------------------------------------------------------------------------------


def lower_rint(low: Any, xs: list[Any], types: Types, result: ArrayType) -> Any:
    """The nearest integer, ties to even. `rint` of MXNet rounds ties down, and `_npi_around` loses the sign of -0.5."""
    plain = low.node("_npi_around", xs, {"decimals": 0})
    zero = low.constant(np.zeros((), result.dtype))
    return low.node("_npi_where", [low.node("_npi_equal", [plain, zero]), low.node("_npi_multiply", [xs[0], zero]), plain])


floor = elementwise("floor", ZERO_GRADIENT, mxnet=mx("_npi_floor"))
ceil = elementwise("ceil", ZERO_GRADIENT, mxnet=mx("_npi_ceil"))
trunc: Op = elementwise("trunc", ZERO_GRADIENT, mxnet=mx("_npi_trunc"))
rint = elementwise("rint", ZERO_GRADIENT, mxnet=lower_rint)

# -- comparisons and logic --------------------------------------------------------------------------------------------------------------
less: Op
equal: Op
not_equal: Op
less, less_equal, greater, greater_equal, equal, not_equal = (
    elementwise(name, ZERO_GRADIENT, mxnet=mx(f"_npi_{name}"), dtypes=ALL_MXNET)
    for name in ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
)
isnan, isinf, isfinite = (
    elementwise(name, ZERO_GRADIENT, mxnet=mx(f"_npi_{name}"), dtypes=ALL_MXNET) for name in ("isnan", "isinf", "isfinite")
)
isnat = elementwise("isnat", ZERO_GRADIENT, samples=samples_of(((((2, 3),), ((),))), dtypes=("datetime64[s]", "timedelta64[s]")))
# NumPy's loops take the operands as bool, where MXNet's arithmetic is logic
logical_and: Op = elementwise("logical_and", ZERO_GRADIENT, mxnet=mx("_npi_multiply"), dtypes=_BOOLS)
logical_or = elementwise("logical_or", ZERO_GRADIENT, mxnet=mx("_npi_add"), dtypes=_BOOLS)
logical_xor = elementwise("logical_xor", ZERO_GRADIENT, mxnet=mx("_npi_not_equal"), dtypes=_BOOLS)
logical_not = elementwise("logical_not", ZERO_GRADIENT, mxnet=mx("_npi_logical_not"), dtypes=ALL_MXNET)

# -- bits -------------------------------------------------------------------------------------------------------------------------------
bitwise_and, bitwise_or, bitwise_xor = (
    elementwise(name, ZERO_GRADIENT, mxnet=_by_dtype(f"_npi_{name}", bool_name), dtypes=INTEGERS | _BOOLS)
    # MXNet's do not broadcast bool
    for name, bool_name in (("bitwise_and", "_npi_multiply"), ("bitwise_or", "_npi_add"), ("bitwise_xor", "_npi_not_equal"))
)
invert = elementwise("invert", ZERO_GRADIENT, mxnet=mx("_npi_bitwise_not"), dtypes=INTEGERS | _BOOLS)
left_shift = elementwise("left_shift", ZERO_GRADIENT)
right_shift = elementwise("right_shift", ZERO_GRADIENT)

# -- complex numbers --------------------------------------------------------------------------------------------------------------------
conjugate: Op = elementwise("conjugate", (lambda g, ans, x: conjugate(g) if x.dtype.kind == "c" else g,), mxnet=mx("_copy"), dtypes=NUMBERS)
