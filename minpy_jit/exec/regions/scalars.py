"""Scalar functions as LLVM instructions, on one value or on the lanes of a vector.

Arithmetic is IEEE's, without contraction or reassociation: a region computes what NumPy computes, element by element.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

from .conversions import F16, F32, converted
from .integers import OF_INTEGERS

Emit = Callable[["Lanes", Sequence[Any], np.dtype, np.dtype], Any]

_FLOATS: dict[np.dtype, ir.Type] = {
    np.dtype(name): type_() for name, type_ in (("e", ir.HalfType), ("f", ir.FloatType), ("d", ir.DoubleType))
}
BOOL = np.dtype(np.bool_)
# bits of a vector: lanes are as many as the widest value in a nest allows
VECTOR_BITS = 512
_KNOWS_SPLATS = llvm.llvm_version_info >= (20,)


class _Vector(ir.VectorType):
    """Vectors whose constants are written short where all lanes are the same: a third of the time that the text takes to write."""

    def format_constant(self, value: Sequence[ir.Constant]) -> str:
        if _KNOWS_SPLATS and all(v is value[0] for v in value):
            return f"splat ({value[0].type} {value[0].get_reference()})"
        return str(super().format_constant(value))


def element_type(dtype: np.dtype) -> ir.Type:
    """The LLVM type of a value in a register (bool: one bit)."""
    return _FLOATS.get(dtype) or ir.IntType(1 if dtype == BOOL else dtype.itemsize * 8)


def memory_type(dtype: np.dtype) -> ir.Type:
    """The LLVM type of an element in memory (bool: one byte)."""
    return ir.IntType(8) if dtype == BOOL else element_type(dtype)


def registers(dtype: np.dtype, width: int) -> int:
    """How many vectors so many values take."""
    return -(-dtype.itemsize * width * 8 // VECTOR_BITS)


def declared(module: ir.Module, name: str, result: ir.Type, arguments: Sequence[ir.Type]) -> ir.Function:
    """A function of LLVM's or of a library, declared once."""
    function = module.globals.get(name)
    return ir.Function(module, ir.FunctionType(result, arguments), name) if function is None else function


class Lanes:
    """Writes instructions that work on `width` values at once (1: no vector)."""

    def __init__(self, builder: ir.IRBuilder, width: int) -> None:
        self.builder, self.width = builder, width

    def type(self, dtype: np.dtype) -> ir.Type:
        """The type of a value."""
        return self.vector(element_type(dtype))

    def vector(self, element: ir.Type) -> ir.Type:
        return element if self.width == 1 else _Vector(element, self.width)

    def splat(self, element: ir.Type, value: Any) -> ir.Constant:
        """The same constant in all lanes."""
        one = ir.Constant(element, value)
        return one if self.width == 1 else ir.Constant(self.vector(element), [one] * self.width)

    def constant(self, dtype: np.dtype, value: Any) -> ir.Constant:
        """A number in all lanes."""
        if dtype == BOOL:
            return self.splat(element_type(dtype), int(bool(value)))
        return self.splat(element_type(dtype), float(value) if dtype.kind == "f" else int(value))

    def spread(self, value: Any) -> Any:
        """One value in all lanes."""
        if self.width == 1:
            return value
        if isinstance(value, ir.Constant):
            return ir.Constant(self.vector(value.type), [value] * self.width)
        one = self.builder.insert_element(ir.Constant(self.vector(value.type), ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.width), None)
        return self.builder.shuffle_vector(one, ir.Constant(one.type, ir.Undefined), mask)

    def call(self, name: str, *values: Any) -> Any:
        """An LLVM intrinsic, overloaded on the type of its first operand."""
        first = values[0].type
        module = self.builder.module
        suffix = f"v{first.count}{first.element.intrinsic_name}" if isinstance(first, ir.VectorType) else first.intrinsic_name
        return self.builder.call(declared(module, f"{name}.{suffix}", first, [v.type for v in values]), values)

    def outlined(self, name: str, values: Sequence[Any], write: Callable[[Lanes, Sequence[Any]], Any]) -> Any:
        """The result of an internal function of the module, of the type of the first value; `write(lanes, values)` makes its body, once."""
        module = self.builder.module
        name = f"{name}.{self.width}.{'_'.join(str(v.type.element if self.width > 1 else v.type) for v in values)}"
        function = module.globals.get(name)
        if function is None:
            function = ir.Function(module, ir.FunctionType(values[0].type, [v.type for v in values]), name)
            function.linkage = "internal"
            function.attributes.add("noinline")
            function.attributes.add("nounwind")
            builder = ir.IRBuilder(function.append_basic_block())
            builder.ret(write(Lanes(builder, self.width), function.args))
        return self.builder.call(function, values)

    def apply(self, name: str, values: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
        """A scalar function of the table below, or of integers.py; `given`: the dtype of its last operand. On float16 it is computed in
        float32, and rounded."""
        if given == F16 and name not in MOVES:
            half = self.type(F16)
            values = [self.builder.fpext(v, self.type(F32)) if v.type == half else v for v in values]
            made = self.apply(name, values, F32, F32 if result == F16 else result)
            return self.builder.fptrunc(made, half) if result == F16 else made
        table = OF_INTEGERS if given.kind in "iu" and name in OF_INTEGERS else SCALARS
        return table[name](self, values, given, result)


SCALARS: dict[str, Emit] = {}
# functions whose result is one of their operands as it is
MOVES: set[str] = set()


def knows(name: str, given: np.dtype, result: np.dtype) -> bool:
    """Whether there is such a function on this dtype."""
    return (given.kind in "iu" and name in OF_INTEGERS) or (name in SCALARS and given.kind in KINDS[name])


KINDS: dict[str, str] = {}


def scalar(name: str, kinds: str, moves: bool = False) -> Callable[[Emit], Emit]:
    """Enter a function into the table, for operands of these kinds of dtypes. `moves`: its result is one of them, or it casts."""

    def enter(emit: Emit) -> Emit:
        SCALARS[name], KINDS[name] = emit, kinds
        if moves:
            MOVES.add(name)
        return emit

    return enter


def _arithmetic(name: str, of_float: str, of_integer: str, of_bool: str | None = None) -> None:
    def emit(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
        chosen = of_float if given.kind == "f" else of_bool if given == BOOL and of_bool is not None else of_integer
        return getattr(lanes.builder, chosen)(*xs)

    scalar(name, "fiu" + ("b" if of_bool else ""))(emit)


_arithmetic("add", "fadd", "add", "or_")
_arithmetic("subtract", "fsub", "sub")
_arithmetic("multiply", "fmul", "mul", "and_")


def _bits(method: str) -> Emit:
    def emit(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
        return getattr(lanes.builder, method)(*xs)

    return emit


for _name, _method in (("and", "and_"), ("or", "or_"), ("xor", "xor")):
    scalar(f"bitwise_{_name}", "iub")(_bits(_method))
    scalar(f"logical_{_name}", "b")(_bits(_method))


@scalar("divide", "f")
def _divide(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    return lanes.builder.fdiv(*xs)


@scalar("reciprocal", "f")
def _reciprocal(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    return lanes.builder.fdiv(lanes.constant(given, 1.0), xs[0])


@scalar("negative", "fiu")
def _negative(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    return lanes.builder.fneg(xs[0]) if given.kind == "f" else lanes.builder.neg(xs[0])


@scalar("positive", "fiu", moves=True)
def _positive(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    return xs[0]


@scalar("copy", "fiub", moves=True)
def _copy(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    return xs[0]


@scalar("square", "fiu")
def _square(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    return lanes.builder.fmul(xs[0], xs[0]) if given.kind == "f" else lanes.builder.mul(xs[0], xs[0])


@scalar("invert", "iub")
def _invert(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    return lanes.builder.not_(xs[0])


@scalar("logical_not", "fiub")
def _logical_not(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    if given == BOOL:
        return lanes.builder.not_(xs[0])
    return _compared(lanes, "==", xs[0], lanes.constant(given, 0), given)


@scalar("absolute", "fiu")
def _absolute(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    if given.kind == "f":
        return lanes.call("llvm.fabs", xs[0])
    if given.kind == "u":
        return xs[0]
    negative = lanes.builder.icmp_signed("<", xs[0], lanes.constant(given, 0))
    return lanes.builder.select(negative, lanes.builder.neg(xs[0]), xs[0])


def _intrinsic(name: str) -> Emit:
    def emit(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
        return lanes.call(f"llvm.{name}", xs[0])

    return emit


for _name in ("sqrt", "floor", "ceil", "trunc", "fabs"):
    scalar(_name, "f")(_intrinsic(_name))
scalar("conjugate", "fiu", moves=True)(_copy)
scalar("rint", "f")(_intrinsic("roundeven"))


def _compared(lanes: Lanes, sign: str, x: Any, y: Any, given: np.dtype) -> Any:
    if given.kind == "f":
        return lanes.builder.fcmp_unordered(sign, x, y) if sign == "!=" else lanes.builder.fcmp_ordered(sign, x, y)
    return lanes.builder.icmp_signed(sign, x, y) if given.kind == "i" else lanes.builder.icmp_unsigned(sign, x, y)


def _comparison(sign: str) -> Emit:
    def emit(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
        return _compared(lanes, sign, xs[0], xs[1], given)

    return emit


for _name, _operator in (
    ("less", "<"),
    ("less_equal", "<="),
    ("greater", ">"),
    ("greater_equal", ">="),
    ("equal", "=="),
    ("not_equal", "!="),
):
    scalar(_name, "fiub")(_comparison(_operator))


@scalar("isnan", "f")
def _isnan(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    return lanes.builder.fcmp_unordered("uno", xs[0], xs[0])


@scalar("isinf", "f")
def _isinf(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    return lanes.builder.fcmp_ordered("==", lanes.call("llvm.fabs", xs[0]), lanes.constant(given, np.inf))


@scalar("isfinite", "f")
def _isfinite(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    return lanes.builder.fcmp_ordered("<", lanes.call("llvm.fabs", xs[0]), lanes.constant(given, np.inf))


def _extremum(sign: str, of_bool: str) -> Emit:
    def emit(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
        if given == BOOL:
            return getattr(lanes.builder, of_bool)(*xs)
        # of 0.0 and -0.0 NumPy's loops over float16 choose the first, all others the second
        first = _compared(lanes, f"{sign}=" if given == F16 else sign, xs[0], xs[1], given)
        if given.kind == "f":
            # a NaN wins
            first = lanes.builder.or_(first, lanes.builder.fcmp_unordered("uno", xs[0], xs[0]))
        return lanes.builder.select(first, xs[0], xs[1])

    return emit


scalar("maximum", "fiub", moves=True)(_extremum(">", "or_"))
scalar("minimum", "fiub", moves=True)(_extremum("<", "and_"))


def _extremum_of_numbers(sign: str, plain: str) -> Emit:
    def emit(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
        if given.kind != "f":
            return SCALARS[plain](lanes, xs, given, result)
        # a NaN loses; of zeros see above
        first = _compared(lanes, f"{sign}=" if given == F16 else sign, xs[0], xs[1], given)
        return lanes.builder.select(lanes.builder.or_(first, lanes.builder.fcmp_unordered("uno", xs[1], xs[1])), xs[0], xs[1])

    return emit


scalar("fmax", "fiub", moves=True)(_extremum_of_numbers(">", "maximum"))
scalar("fmin", "fiub", moves=True)(_extremum_of_numbers("<", "minimum"))


@scalar("signbit", "f")
def _signbit(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    word = ir.IntType(8 * given.itemsize)
    return lanes.builder.icmp_signed("<", lanes.builder.bitcast(xs[0], lanes.vector(word)), lanes.splat(word, 0))


@scalar("heaviside", "f")
def _heaviside(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    x, at_zero = xs
    zero, one = lanes.constant(given, 0), lanes.constant(given, 1)
    beside = lanes.builder.select(
        _compared(lanes, ">", x, zero, given), one, lanes.builder.select(_isnan(lanes, xs[:1], given, BOOL), x, zero)
    )
    return lanes.builder.select(_compared(lanes, "==", x, zero, given), at_zero, beside)


def _scaled(numerator: float, denominator: float) -> Emit:
    def emit(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
        # NumPy divides in the dtype (npy_math.h: 180.0f / NPY_PIf)
        return lanes.builder.fmul(xs[0], lanes.constant(given, given.type(numerator) / given.type(denominator)))

    return emit


for _names, _quotient in ((("degrees", "rad2deg"), (180.0, math.pi)), (("radians", "deg2rad"), (math.pi, 180.0))):
    for _name in _names:
        scalar(_name, "f")(_scaled(*_quotient))


def _divided(lanes: Lanes, xs: Sequence[Any], given: np.dtype) -> tuple[Any, Any]:
    """Quotient rounded down, and remainder: as numpy/core/src/npymath/npy_math_internal.h.src, npy_divmod."""
    builder = lanes.builder
    x, y = xs
    zero, one = lanes.constant(given, 0), lanes.constant(given, 1)
    remainder = SCALARS["fmod"](lanes, xs, given, given)
    quotient = builder.fdiv(builder.fsub(x, remainder), y)
    rest = builder.fcmp_unordered("!=", remainder, zero)
    lower = builder.and_(rest, builder.xor(_compared(lanes, "<", y, zero, given), _compared(lanes, "<", remainder, zero, given)))
    moved = builder.select(lower, builder.fadd(remainder, y), builder.select(rest, remainder, lanes.call("llvm.copysign", zero, y)))
    quotient = builder.select(lower, builder.fsub(quotient, one), quotient)
    floor = lanes.call("llvm.floor", quotient)
    near = _compared(lanes, ">", builder.fsub(quotient, floor), lanes.constant(given, 0.5), given)
    floor = builder.select(near, builder.fadd(floor, one), floor)
    plain = builder.fdiv(x, y)
    floor = builder.select(_compared(lanes, "==", quotient, zero, given), lanes.call("llvm.copysign", zero, plain), floor)
    by_zero = _compared(lanes, "==", y, zero, given)
    return builder.select(by_zero, plain, floor), builder.select(by_zero, remainder, moved)


@scalar("floor_divide", "f")
def _floor_divide(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    return _divided(lanes, xs, given)[0]


@scalar("remainder", "f")
def _remainder(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    return _divided(lanes, xs, given)[1]


@scalar("clip", "fiu")
def _clip(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    low = SCALARS["maximum"](lanes, xs[:2], given, result)
    return SCALARS["minimum"](lanes, [low, xs[2]], given, result)


@scalar("where", "fiub", moves=True)
def _where(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    return lanes.builder.select(*xs)


@scalar("sign", "fiu")
def _sign(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    zero, one = (lanes.constant(given, n) for n in (0, 1))
    if given.kind == "u":
        return lanes.builder.select(_compared(lanes, ">", xs[0], zero, given), one, zero)
    less = lanes.constant(given, -1)
    below = _compared(lanes, "<", xs[0], zero, given)
    above = _compared(lanes, ">", xs[0], zero, given)
    # zeros and NaN are their own sign
    rest = lanes.builder.select(_compared(lanes, "==", xs[0], zero, given), zero, xs[0])
    return lanes.builder.select(below, less, lanes.builder.select(above, one, rest))


@scalar("cast", "fiub", moves=True)
def _cast(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    return converted(lanes, xs[0], given, result)
