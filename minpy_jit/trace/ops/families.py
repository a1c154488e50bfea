"""Families: the defaults that make a plain op an entry of three or four lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..context import CPU, Context
from ..op import Lowering, Op, Sample, Types, define
from ..types import ArrayType, Shape, array_type, broadcast_shapes, contiguous_strides, elementwise_strides, is_f_contiguous

BOOL = np.dtype(np.bool_)
INT32, INT64 = np.dtype(np.int32), np.dtype(np.int64)
FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)

FLOATS: frozenset[np.dtype] = frozenset({FLOAT32, FLOAT64})
INTEGERS: frozenset[np.dtype] = frozenset({np.dtype(np.int8), np.dtype(np.uint8), INT32, INT64})
NUMBERS: frozenset[np.dtype] = FLOATS | INTEGERS
ALL_MXNET: frozenset[np.dtype] = NUMBERS | {BOOL}


def context_of(types: Types) -> Context:
    """The context of a result: that of the operands which are not Python numbers (the recorder has checked that they agree)."""
    for t in types:
        if t.weak is None:
            return t.context
    return CPU


def broadcast_type(types: Types, dtype: np.dtype, scalar: bool = True) -> ArrayType:
    """Type of a fresh element-wise result: broadcast shape, operands' memory order; a scalar where nothing has an axis
    (`scalar=False`: NumPy gives a 0-d array even then)."""
    first = types[0]
    shape = first.shape if all(t is first for t in types) else broadcast_shapes(t.shape for t in types)
    strides = elementwise_strides(types, shape, dtype)
    return array_type(shape, dtype, strides, scalar and not shape, None, context_of(types))


def fortran_or_c_strides(type_: ArrayType, dtype: np.dtype) -> Shape | None:
    """Strides of a fresh array that NumPy's C code allocates in Fortran order for a Fortran-ordered operand, else in C order."""
    if type_.strides is None or not is_f_contiguous(type_):
        return None
    return contiguous_strides(type_.shape[::-1], dtype.itemsize)[::-1]


_WEAK_RANK = {bool: 0, int: 1, float: 2, complex: 3}
_KIND_RANK = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}


def result_dtype(types: Types) -> np.dtype:
    """`numpy.result_type` under NEP 50, whatever NumPy's promotion state: Python numbers lend their kind only.

    Raises:
        TypeError: the dtypes have nothing in common.
    """
    strong = [t.dtype for t in types if t.weak is None or t.weak is bool]
    if not strong:
        return np.result_type(*[t.dtype for t in types])
    dtype = np.result_type(*strong)
    for t in types:
        if t.weak is not None and _WEAK_RANK[t.weak] > _KIND_RANK.get(dtype.kind, -1):
            # a number of a higher kind: its default dtype, but complex keeps a float's precision
            other = np.dtype(np.complex64) if t.weak is complex and dtype.kind == "f" else t.dtype
            dtype = np.result_type(dtype, other)
    return dtype


def weak_or_dtype(type_: ArrayType) -> Any:
    """What `ufunc.resolve_dtypes` takes for an operand: a dtype, or the Python type of a weak number (bool is strong in NumPy)."""
    weak = type_.weak
    return type_.dtype if weak is None or weak is bool else weak


def ufunc_loop(ufunc: np.ufunc, types: Types, dtype: np.dtype | None = None) -> tuple[np.dtype, ...]:
    """The dtypes of the loop that NumPy would run (operands, then results), under NEP 50.

    Raises:
        TypeError: the ufunc has no loop for these dtypes.
    """
    given = [weak_or_dtype(t) for t in types]
    if all(isinstance(g, type) for g in given):
        # numbers only (inside rules): NumPy would see arrays of their default dtypes
        given = [t.dtype for t in types]
    signature = {} if dtype is None else {"signature": (None,) * ufunc.nin + (dtype,) * ufunc.nout}
    try:
        # missing from NumPy 1.26's stubs
        return ufunc.resolve_dtypes((*given, *([None] * ufunc.nout)), **signature)  # type: ignore[attr-defined]
    except TypeError as error:
        names = ", ".join(repr(t) for t in types)
        reason = str(error).split("\n")[0]
        raise TypeError(f"{reason} (operands: {names})") from None


def integer_range(types: Types, loop: tuple[np.dtype | None, ...]) -> tuple[int, int] | None:
    """Legal values of a Python integer operand: those of the integer dtype that it becomes."""
    for t, dtype in zip(types, loop, strict=False):
        if t.weak is int and dtype is not None and dtype.kind in "iu":
            info = np.iinfo(dtype)
            return int(info.min), int(info.max)
    return None


def integer_limits(types: Types, dtype: np.dtype) -> tuple[int, int] | None:
    """Legal values of Python integer operands that all become `dtype`."""
    return integer_range(types, (dtype,) * len(types))


def mx(name: str, **attrs: Any) -> Lowering:
    """The plain lowering: one MXNet operator on the operands, with fixed attributes."""

    def lower(low: Any, xs: list[Any], types: Types, result: ArrayType, **params: Any) -> Any:
        return low.node(name, xs, attrs)

    return lower


def mx_then_cast(name: str, **attrs: Any) -> Lowering:
    """One MXNet operator whose result has another dtype than NumPy's."""

    def lower(low: Any, xs: list[Any], types: Types, result: ArrayType, **params: Any) -> Any:
        return low.cast(low.node(name, xs, attrs), result.dtype)

    return lower


def pass_through(low: Any, xs: list[Any], types: Types, result: ArrayType, **params: Any) -> Any:
    """The lowering of an identity: no node."""
    return xs[0]


UNARY_SHAPES: tuple[tuple[Shape, ...], ...] = (((2, 3),), ((),), ((0, 3),))
BINARY_SHAPES: tuple[tuple[Shape, ...], ...] = (
    ((2, 3), (2, 3)),
    ((2, 3), (3,)),
    ((2, 1), (1, 3)),
    ((), (3,)),
    ((), ()),
    ((0, 3), (3,)),
)


def samples_of(shapes: tuple[tuple[Shape, ...], ...], low: float = -2.0, high: float = 2.0, **fields: Any) -> tuple[Sample, ...]:
    """One sample per combination of operand shapes, all with the same domain."""
    return tuple(Sample(s, low=low, high=high, **fields) for s in shapes)


def first_line(function: Any) -> str:
    """What NumPy's documentation says a function does, in one line."""
    lines = (function.__doc__ or "").splitlines()
    # a ufunc's docstring begins with its signature
    return next((line.strip() for line in lines if line.strip() and "(" not in line), "").lower().rstrip(".")


def elementwise(
    name: str,
    vjp: Any,
    *,
    ufunc: np.ufunc | None = None,
    mxnet: Lowering | None = None,
    dtypes: frozenset[np.dtype] = FLOATS,
    samples: tuple[Sample, ...] | None = None,
    low: float = -2.0,
    high: float = 2.0,
    **fields: Any,
) -> Op:
    """A NumPy ufunc as an op: type rule, meaning and cast come from the ufunc itself.

    Args:
        name: the ufunc's name.
        vjp: rules per operand, or ZERO_GRADIENT / NO_GRADIENT.
        mxnet, dtypes: lowering and the loop dtypes that it may take.
        low, high: domain of the default samples.
    """
    function: np.ufunc = getattr(np, name) if ufunc is None else ufunc
    nin, nout = function.nin, function.nout

    def infer(*types: ArrayType) -> Any:
        loop = ufunc_loop(function, types)
        if nout == 1:
            return broadcast_type(types, loop[-1])
        return tuple(broadcast_type(types, d) for d in loop[nin:])

    def operand_dtypes(types: Types, params: dict[str, Any]) -> tuple[np.dtype | None, ...]:
        return ufunc_loop(function, types)[:nin]

    if samples is None:
        samples = samples_of(UNARY_SHAPES if nin == 1 else BINARY_SHAPES, low, high)
    fields.setdefault("doc", first_line(function))
    if nout == 1:
        # the scalar function of this name, where native code has it
        fields.setdefault("kernel", name)
    fields.setdefault("scalar_range", lambda types, params: integer_range(types, operand_dtypes(types, params)))
    return define(
        name,
        family="elementwise",
        arity=nin,
        infer=infer,
        numpy=function,
        operand_dtypes=operand_dtypes,
        outputs=nout,
        mxnet=mxnet,
        mxnet_dtypes=dtypes if mxnet is not None else frozenset(),
        vjp=vjp,
        samples=samples,
        inplace=0 if nout == 1 and nin <= 2 else None,
        **fields,
    )


def reduced_shape(shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    """Shape after reducing `axes` (normalised)."""
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def all_axes(ndim: int, axis: tuple[int, ...] | None) -> tuple[int, ...]:
    """The reduced axes; None means all."""
    return tuple(range(ndim)) if axis is None else axis


def axis_attrs(type_: ArrayType, axis: tuple[int, ...] | None, keepdims: bool) -> Mapping[str, Any]:
    """MXNet's attributes of a reduction."""
    return {"axis": "None" if axis is None else f"({','.join(map(str, axis))},)", "keepdims": int(keepdims)}


Rule = Callable[..., Any]
