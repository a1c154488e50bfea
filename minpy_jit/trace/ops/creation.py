"""Arrays made from nothing: constant fills, ranges, identity and triangle patterns. The context is a parameter: no operand brings it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..context import CPU, Context, require_same
from ..op import Op, Ref, Sample, Types, define
from ..step import parse_constant
from ..types import ArrayType, Shape, array_type
from . import kernels
from .families import ALL_MXNET

# as many elements are kept as constants beside a bound executor; longer ranges are made anew on the host
LARGEST_CONSTANT = 1 << 16
_FLOAT64 = np.dtype(np.float64)


def beside(like: Any, op: Op, **params: Any) -> Any:
    """An op without operands, written where `like` is: into a `Ref`'s builder, or recorded as `like` was."""
    if type(like) is Ref:
        return like.builder.emit(op, (), op.bind(params))
    return op(**params)


def _shape_attr(shape: Shape) -> str:
    return f"({','.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def _require_shape(shape: Shape) -> None:
    if any(n < 0 for n in shape):
        raise ValueError("negative dimensions are not allowed")


# -- fills --------------------------------------------------------------------------------------------------------------------------------
def _filled(name: str, function: Callable[..., Any]) -> Op:
    def infer(shape: Shape, dtype: np.dtype, context: Context) -> ArrayType:
        _require_shape(shape)
        return array_type(shape, dtype, context=context)

    def lower(low: Any, xs: list[Any], types: Types, result: ArrayType, shape: Shape, dtype: np.dtype, context: Context) -> Any:
        return low.node(f"_npi_{name}", [], {"shape": _shape_attr(shape), "dtype": dtype.name})

    return define(
        name,
        family="creation",
        arity=0,
        fill=int(function(())),
        params=("shape", "dtype", "context"),
        defaults={"dtype": _FLOAT64, "context": CPU},
        infer=infer,
        numpy=lambda shape, dtype, context: function(shape, dtype),
        mxnet=lower,
        kernel=kernels.filled(int(function(()))),
        mxnet_dtypes=ALL_MXNET,
        vjp=(),
        samples=tuple(
            Sample((), {"shape": s, "dtype": np.dtype(d), "context": CPU})
            for s, d in (((2, 3), "float32"), ((), "float64"), ((2,), "int64"), ((3, 1), "bool"), ((0, 3), "float32"), ((2,), "uint8"))
        ),
        doc=f"an array of {name}",
    )


def _infer_literal(kind: str, text: str, type_: ArrayType) -> ArrayType:
    return type_


def _lower_literal(low: Any, xs: list[Any], types: Types, result: ArrayType, kind: str, text: str, type_: ArrayType) -> Any:
    value = np.asarray(parse_constant(kind, text)).astype(result.dtype)
    if result.size <= 1 << 14:
        return low.constant(np.full(result.shape, value))
    return low.node("_npi_broadcast_to", [low.constant(value)], {"shape": _shape_attr(result.shape)})


literal = define(
    "literal",
    family="creation",
    arity=0,
    fill="literal",
    params=("kind", "text", "type_"),
    infer=_infer_literal,
    numpy=lambda kind, text, type_: np.full(type_.shape, np.asarray(parse_constant(kind, text)).astype(type_.dtype)),
    mxnet=_lower_literal,
    mxnet_dtypes=ALL_MXNET,
    vjp=(),
    samples=(
        Sample((), {"kind": "f", "text": (0.5).hex(), "type_": array_type((2, 3), np.dtype("float32"))}),
        Sample((), {"kind": "i", "text": "3", "type_": array_type((), np.dtype("int64"))}),
    ),
    doc="an array of one known value, of any type: what constant folding leaves",
)

zeros = _filled("zeros", np.zeros)
ones = _filled("ones", np.ones)


def _infer_full(fill: ArrayType, shape: Shape, dtype: np.dtype, context: Context) -> ArrayType:
    _require_shape(shape)
    if fill.weak is None:
        require_same("full", (fill.context, context))
    tail = shape[len(shape) - fill.ndim :] if fill.ndim <= len(shape) else None
    if tail is None or any(n not in (1, m) for n, m in zip(fill.shape, tail, strict=True)):
        was, wanted = (str(s).replace(", ", ",") for s in (fill.shape, shape))
        raise ValueError(f"could not broadcast input array from shape {was} into shape {wanted}")
    return array_type(shape, dtype, context=context)


def _lower_full(low: Any, xs: list[Any], types: Types, result: ArrayType, shape: Shape, dtype: np.dtype, context: Context) -> Any:
    fill = types[0]
    if fill.dtype != dtype and fill.dtype.kind == "f" and dtype.kind not in "fb":
        # what a cast makes of NaN and of numbers out of range differs
        return NotImplemented
    entry = xs[0] if fill.dtype == dtype else low.cast(xs[0], dtype)
    return entry if fill.shape == shape else low.node("_npi_broadcast_to", [entry], {"shape": _shape_attr(shape)})


full = define(
    "full",
    fill=True,
    family="creation",
    arity=1,
    params=("shape", "dtype", "context"),
    defaults={"context": CPU},
    infer=_infer_full,
    numpy=lambda fill, shape, dtype, context: np.full(shape, fill, dtype),
    mxnet=_lower_full,
    kernel=kernels.broadcast_to,
    mxnet_dtypes=ALL_MXNET,
    # the pullback sums over what was broadcast
    vjp=(lambda g, ans, fill, shape, dtype, context: g if dtype.kind in "fc" else None,),
    samples=(
        Sample(((),), {"shape": (2, 3), "dtype": np.dtype(np.float64), "context": CPU}),
        Sample(((3,),), {"shape": (2, 3), "dtype": np.dtype(np.float64), "context": CPU}),
        Sample(((),), {"shape": (), "dtype": np.dtype(np.float64), "context": CPU}),
        Sample(((),), {"shape": (2,), "dtype": np.dtype(np.int32), "context": CPU}, differentiable=False),
        Sample(((),), {"shape": (0, 2), "dtype": np.dtype(np.float64), "context": CPU}),
    ),
    doc="an array filled with a value",
)


# -- patterns -----------------------------------------------------------------------------------------------------------------------------
def _constant(function: Callable[..., np.ndarray]) -> Callable[..., Any]:
    """The lowering to a constant computed by NumPy: no node at all."""

    def lower(low: Any, xs: list[Any], types: Types, result: ArrayType, **params: Any) -> Any:
        return NotImplemented if result.size > LARGEST_CONSTANT else low.constant(function(**params))

    return lower


def _arange(start: Any, stop: Any, step: Any, dtype: np.dtype, context: Context) -> np.ndarray:
    return np.arange(start, stop, step, dtype)


def _infer_arange(start: Any, stop: Any, step: Any, dtype: np.dtype, context: Context) -> ArrayType:
    # NumPy's own length: len(arange) without the memory, as numpy/core/src/multiarray/ctors.c: _arange_safe_ceil_to_intp
    if step == 0:
        raise ZeroDivisionError("division by zero")
    if all(type(v) in (int, bool) for v in (start, stop, step)):
        length = max(-((start - stop) // step), 0)
    else:
        exact = (stop - start) / step
        if exact != exact:
            raise ValueError("arange: cannot compute length")
        if exact >= 2**63:
            raise ValueError("Maximum allowed size exceeded")
        length = max(int(np.ceil(exact)), 0)
        if length == 0 and exact > 0:
            length = 1
    if dtype.kind == "b" and length > 2:
        raise TypeError("arange() is only supported for booleans when the result has at most length 2.")
    return array_type((length,), dtype, context=context)


arange = define(
    "arange",
    family="creation",
    arity=0,
    params=("start", "stop", "step", "dtype", "context"),
    defaults={"step": 1, "context": CPU},
    infer=_infer_arange,
    numpy=_arange,
    mxnet=_constant(_arange),
    kernel=kernels.arange,
    mxnet_dtypes=ALL_MXNET,
    vjp=(),
    samples=tuple(
        Sample((), {"start": a, "stop": b, "step": c, "dtype": np.dtype(d), "context": CPU})
        for a, b, c, d in (
            (0, 5, 1, "int64"),
            (0.1, 1.05, 0.1, "float64"),
            (0.1, 1.05, 0.1, "float32"),
            (5, 0, -2, "int32"),
            (3, 3, 1, "float64"),
            (0, 2, 1, "bool"),
        )
    ),
    doc="evenly spaced values within a half-open interval",
)


def _linspace(start: Any, stop: Any, num: int, endpoint: bool, dtype: np.dtype, context: Context) -> np.ndarray:
    return np.linspace(start, stop, num, endpoint, dtype=dtype)


def _infer_linspace(start: Any, stop: Any, num: int, endpoint: bool, dtype: np.dtype, context: Context) -> ArrayType:
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    return array_type((num,), dtype, context=context)


linspace = define(
    "linspace",
    family="creation",
    arity=0,
    params=("start", "stop", "num", "endpoint", "dtype", "context"),
    defaults={"num": 50, "endpoint": True, "dtype": _FLOAT64, "context": CPU},
    infer=_infer_linspace,
    numpy=_linspace,
    mxnet=_constant(_linspace),
    mxnet_dtypes=ALL_MXNET,
    vjp=(),
    samples=tuple(
        Sample((), {"start": 0.1, "stop": 2.7, "num": n, "endpoint": e, "dtype": np.dtype(d), "context": CPU})
        for n, e, d in ((7, True, "float64"), (7, False, "float32"), (1, True, "float64"), (0, True, "float64"), (5, True, "int64"))
    ),
    doc="evenly spaced numbers over an interval between two Python numbers",
)


def _pattern(name: str, function: Callable[..., np.ndarray], doc: str) -> Op:
    def make(rows: int, columns: int, k: int, dtype: np.dtype, context: Context) -> np.ndarray:
        return function(rows, columns, k, dtype)

    def infer(rows: int, columns: int, k: int, dtype: np.dtype, context: Context) -> ArrayType:
        _require_shape((rows, columns))
        return array_type((rows, columns), dtype, context=context)

    return define(
        name,
        family="creation",
        arity=0,
        params=("rows", "columns", "k", "dtype", "context"),
        defaults={"k": 0, "dtype": _FLOAT64, "context": CPU},
        infer=infer,
        numpy=make,
        mxnet=_constant(make),
        kernel=kernels.diagonal_pattern(below=name == "tri"),
        mxnet_dtypes=ALL_MXNET,
        vjp=(),
        samples=tuple(
            Sample((), {"rows": n, "columns": m, "k": k, "dtype": np.dtype(d), "context": CPU})
            for n, m, k, d in ((3, 3, 0, "float64"), (2, 4, 1, "float32"), (4, 2, -1, "int64"), (3, 3, 0, "bool"), (0, 3, 0, "float64"))
        ),
        doc=doc,
    )


eye = _pattern("eye", lambda n, m, k, dtype: np.eye(n, m, k, dtype), "ones on a diagonal, zeros elsewhere")
tri = _pattern("tri", lambda n, m, k, dtype: np.tri(n, m, k, dtype), "ones on and below a diagonal, zeros elsewhere")
