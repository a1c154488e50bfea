"""Scalar functions as LLVM instructions, on one value or on the lanes of a vector.

Arithmetic is IEEE's, without contraction or reassociation: a region computes what NumPy computes, element by element.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

Emit = Callable[["Lanes", Sequence[Any], np.dtype, np.dtype], Any]

_FLOATS: dict[str, ir.Type] = {"float16": ir.HalfType(), "float32": ir.FloatType(), "float64": ir.DoubleType()}
BOOL = np.dtype(np.bool_)


def element_type(dtype: np.dtype) -> ir.Type:
    """The LLVM type of a value in a register (bool: one bit)."""
    return _FLOATS.get(dtype.name) or ir.IntType(1 if dtype == BOOL else dtype.itemsize * 8)


def memory_type(dtype: np.dtype) -> ir.Type:
    """The LLVM type of an element in memory (bool: one byte)."""
    return ir.IntType(8) if dtype == BOOL else element_type(dtype)


class Lanes:
    """Writes instructions that work on `width` values at once (1: no vector)."""

    def __init__(self, builder: ir.IRBuilder, width: int) -> None:
        self.builder, self.width = builder, width

    def type(self, dtype: np.dtype) -> ir.Type:
        """The type of a value."""
        return self.vector(element_type(dtype))

    def vector(self, element: ir.Type) -> ir.Type:
        return element if self.width == 1 else ir.VectorType(element, self.width)

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
        one = self.builder.insert_element(ir.Constant(self.vector(value.type), ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.width), [0] * self.width)
        return self.builder.shuffle_vector(one, ir.Constant(one.type, ir.Undefined), mask)

    def call(self, name: str, *values: Any) -> Any:
        """An LLVM intrinsic, overloaded on the type of its first operand."""
        first = values[0].type
        module = self.builder.module
        suffix = f"v{first.count}{first.element.intrinsic_name}" if isinstance(first, ir.VectorType) else first.intrinsic_name
        function = module.globals.get(f"{name}.{suffix}")
        if function is None:
            function = ir.Function(module, ir.FunctionType(first, [v.type for v in values]), f"{name}.{suffix}")
        return self.builder.call(function, values)

    def apply(self, name: str, values: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
        """A scalar function of the table below; `given`: the dtype of its last operand."""
        return SCALARS[name](self, values, given, result)


SCALARS: dict[str, Emit] = {}


def knows(name: str, given: np.dtype, result: np.dtype) -> bool:
    """Whether there is such a function on this dtype."""
    if name not in SCALARS or given.kind not in KINDS[name] or (given.kind == "f" and given.itemsize < 4):
        return False
    # a float that an integer cannot hold has no result in C
    return name != "cast" or given.kind != "f" or result.kind in "fb"


KINDS: dict[str, str] = {}


def scalar(name: str, kinds: str) -> Callable[[Emit], Emit]:
    """Enter a function into the table, for operands of these kinds of dtypes."""

    def enter(emit: Emit) -> Emit:
        SCALARS[name], KINDS[name] = emit, kinds
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


@scalar("negative", "fi")
def _negative(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    return lanes.builder.fneg(xs[0]) if given.kind == "f" else lanes.builder.neg(xs[0])


@scalar("positive", "fiu")
def _positive(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    return xs[0]


@scalar("copy", "fiub")
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
        first = _compared(lanes, sign, xs[0], xs[1], given)
        if given.kind == "f":
            # a NaN wins
            first = lanes.builder.or_(first, lanes.builder.fcmp_unordered("uno", xs[0], xs[0]))
        return lanes.builder.select(first, xs[0], xs[1])

    return emit


scalar("maximum", "fiub")(_extremum(">", "or_"))
scalar("minimum", "fiub")(_extremum("<", "and_"))


@scalar("clip", "fiu")
def _clip(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    low = SCALARS["maximum"](lanes, xs[:2], given, result)
    return SCALARS["minimum"](lanes, [low, xs[2]], given, result)


@scalar("where", "fiub")
def _where(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    return lanes.builder.select(*xs)


@scalar("sign", "fi")
def _sign(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    zero, one, less = (lanes.constant(given, n) for n in (0, 1, -1))
    below = _compared(lanes, "<", xs[0], zero, given)
    above = _compared(lanes, ">", xs[0], zero, given)
    # zeros and NaN are their own sign
    rest = lanes.builder.select(_compared(lanes, "==", xs[0], zero, given), zero, xs[0])
    return lanes.builder.select(below, less, lanes.builder.select(above, one, rest))


@scalar("cast", "fiub")
def _cast(lanes: Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    builder, to = lanes.builder, lanes.type(result)
    (x,) = xs
    if given == result:
        return x
    if result == BOOL:
        return _compared(lanes, "!=", x, lanes.constant(given, 0), given)
    if result.kind == "f":
        if given.kind == "f":
            return builder.fpext(x, to) if result.itemsize > given.itemsize else builder.fptrunc(x, to)
        return builder.sitofp(x, to) if given.kind == "i" else builder.uitofp(x, to)
    assert given.kind != "f"
    if result.itemsize > given.itemsize or given == BOOL:
        return builder.sext(x, to) if given.kind == "i" else builder.zext(x, to)
    return builder.trunc(x, to) if result.itemsize < given.itemsize else x
