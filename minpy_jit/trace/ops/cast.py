"""Ops that change how values are represented or followed, not what they are: dtype, layout, real parts, gradient marks."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..context import CPU, Context
from ..op import NO_GRADIENT, TABLE, ZERO_GRADIENT, Op, Ref, Sample, Types, define
from ..types import ArrayType, Shape, array_type, copied_strides, elementwise_strides
from . import kernels
from .families import ALL_MXNET, UNARY_SHAPES, fortran_or_c_strides, pass_through, samples_of

ANY_MXNET = ALL_MXNET | {np.dtype(np.float16)}


def _same(x: ArrayType, **params: Any) -> ArrayType:
    return x


def _itself(x: Any, **params: Any) -> Any:
    return x


# -- dtype ------------------------------------------------------------------------------------------------------------------------------
def _infer_astype(x: ArrayType, dtype: np.dtype) -> ArrayType:
    return array_type(x.shape, dtype, copied_strides(x, dtype), x.scalar, None, x.context)


def _lower_astype(low: Any, xs: list[Any], types: Types, result: ArrayType, dtype: np.dtype) -> Any:
    return xs[0] if types[0].dtype == dtype else low.cast(xs[0], dtype)


def _astype_rule(g: Ref, ans: Ref, x: Ref, dtype: np.dtype) -> Ref | None:
    # the pullback casts back; integers carry no gradient
    return g if dtype.kind in "fc" else None


astype = define(
    "astype",
    family="cast",
    arity=1,
    params=("dtype",),
    infer=_infer_astype,
    numpy=lambda x, dtype: x.astype(dtype),
    mxnet=_lower_astype,
    kernel=kernels.cast,
    mxnet_dtypes=ANY_MXNET,
    vjp=(_astype_rule,),
    samples=(
        *samples_of(UNARY_SHAPES, params={"dtype": np.dtype(np.float64)}),
        *(
            Sample(((2, 3),), {"dtype": np.dtype(d)}, differentiable=False)
            for d in ("float32", "float16", "int64", "int32", "int8", "uint8", "bool", "complex64", "uint16")
        ),
    ),
    doc="the values in another dtype",
)

# -- layout -----------------------------------------------------------------------------------------------------------------------------


def _infer_layout(x: ArrayType, strides: Shape) -> ArrayType:
    return array_type(x.shape, x.dtype, strides, x.scalar, None, x.context)


layout = define(
    "layout",
    family="cast",
    arity=1,
    params=("strides",),
    infer=_infer_layout,
    numpy=_itself,
    mxnet=pass_through,
    kernel=kernels.itself,
    mxnet_dtypes=ANY_MXNET,
    vjp=(lambda g, ans, x, strides: g,),
    samples=(Sample(((2, 3),), {"strides": (8, 16)}),),
    doc="the same values with other logical strides (an in-place write keeps its target's layout)",
)

# -- device -----------------------------------------------------------------------------------------------------------------------------


def _infer_to_context(x: ArrayType, context: Context) -> ArrayType:
    return array_type(x.shape, x.dtype, elementwise_strides((x,), x.shape, x.dtype), x.scalar, None, context)


to_context: Op = define(
    "to_context",
    family="cast",
    arity=1,
    params=("context",),
    infer=_infer_to_context,
    numpy=lambda x, context: x,
    # a gradient goes back to where the value came from
    vjp=(lambda g, ans, x, context: to_context(g, context=x.type.context),),
    samples=samples_of(UNARY_SHAPES, params={"context": CPU}),
    doc="the values on another context",
)

# -- real and imaginary parts -------------------------------------------------------------------------------------------------------------


def _infer_real(x: ArrayType) -> ArrayType:
    if x.dtype.kind != "c":
        return x
    return array_type(x.shape, _part(x.dtype), x.numpy_strides(), x.scalar, None, x.context)


def _infer_imag(x: ArrayType) -> ArrayType:
    if x.dtype.kind == "c":
        return _infer_real(x)
    return array_type(x.shape, x.dtype, fortran_or_c_strides(x, x.dtype), x.scalar, None, x.context)


def _part(dtype: np.dtype) -> np.dtype:
    """The dtype of a complex number's parts."""
    return np.zeros((), dtype).real.dtype


real = define(
    "real",
    family="shape",
    arity=1,
    infer=_infer_real,
    numpy=lambda x: x.real,
    mxnet=pass_through,
    kernel=kernels.itself,
    mxnet_dtypes=ANY_MXNET,
    vjp=(lambda g, ans, x: g,),
    view=True,
    put=lambda x, new: TABLE["set_part"](x, new, imaginary=False),
    samples=samples_of(UNARY_SHAPES),
    doc="the real part (a view)",
)
imag = define(
    "imag",
    family="shape",
    arity=1,
    infer=_infer_imag,
    numpy=lambda x: x.imag,
    vjp=(lambda g, ans, x: g * -1j if x.dtype.kind == "c" else None,),
    view=True,
    put=lambda x, new: TABLE["set_part"](x, new, imaginary=True),
    samples=samples_of(UNARY_SHAPES),
    doc="the imaginary part (a view)",
)


def _infer_set_part(x: ArrayType, new: ArrayType, imaginary: bool) -> ArrayType:
    if imaginary and x.dtype.kind != "c":
        raise TypeError("array does not have imaginary part to set")
    if np.broadcast_shapes(x.shape, new.shape) != x.shape:
        raise ValueError(f"could not broadcast input array from shape {new.shape} into shape {x.shape}")
    return array_type(x.shape, x.dtype, elementwise_strides((x,), x.shape, x.dtype), False, None, x.context)


def _numpy_set_part(x: np.ndarray, new: np.ndarray, imaginary: bool, out: np.ndarray | None = None) -> np.ndarray:
    result = np.array(x, order="K") if out is None else out
    setattr(result, "imag" if imaginary else "real", new)
    return result


def _set_part_rule(g: Ref, ans: Ref, x: Ref, new: Ref, imaginary: bool) -> Ref:
    return -imag(g) if imaginary else real(g)


set_part = define(
    "set_part",
    family="shape",
    arity=2,
    params=("imaginary",),
    infer=_infer_set_part,
    numpy=_numpy_set_part,
    operand_dtypes=lambda types, params: (types[0].dtype, _part(types[0].dtype)),
    vjp=(lambda g, ans, x, new, imaginary: TABLE["set_part"](g, 0.0, imaginary=imaginary), _set_part_rule),
    inplace=0,
    samples=(
        Sample(((2, 3), (2, 3)), {"imaginary": False}, dtypes=("complex64", "complex128", "float64")),
        Sample(((2, 3), (3,)), {"imaginary": False}, dtypes=("complex128", "float64")),
        Sample(((2, 3), (2, 3)), {"imaginary": True}, dtypes=("complex64", "float64", "complex128")),
        Sample(((2, 3), ()), {"imaginary": True}, dtypes=("complex128",)),
    ),
    doc="x with its real or imaginary part replaced",
)

# -- bytes --------------------------------------------------------------------------------------------------------------------------------


def _infer_reinterpret(x: ArrayType, dtype: np.dtype) -> ArrayType:
    before, after = x.dtype.itemsize, dtype.itemsize
    if before == after:
        return array_type(x.shape, dtype, x.strides, x.scalar, None, x.context)
    if not x.shape:
        raise ValueError("Changing the dtype of a 0d array is only supported if the itemsize is unchanged")
    strides = x.numpy_strides()
    width = x.shape[-1] * before
    if after > before and width % after:
        raise ValueError(
            "When changing to a larger dtype, its size must be a divisor of the total size in bytes of the last axis of the array."
        )
    if after < before and before % after:
        raise ValueError("When changing to a smaller dtype, its size must be a divisor of the size of original dtype")
    # NumPy takes only a last axis without gaps; what lies otherwise is copied
    kept = (*strides[:-1], after) if strides[-1] == before or x.shape[-1] == 1 else None
    return array_type((*x.shape[:-1], width // after), dtype, kept, False, None, x.context)


def _reinterpret(x: np.ndarray, dtype: np.dtype) -> Any:
    if x.dtype.itemsize != dtype.itemsize and x.shape and x.shape[-1] != 1 and x.strides[-1] != x.dtype.itemsize:
        x = np.ascontiguousarray(x)
    return x.view(dtype)


reinterpret = define(
    "reinterpret",
    family="cast",
    arity=1,
    params=("dtype",),
    infer=_infer_reinterpret,
    numpy=_reinterpret,
    vjp=NO_GRADIENT,
    view=True,
    put=lambda x, new, dtype: TABLE["reinterpret"](new, dtype=x.type.dtype),
    samples=(
        Sample(((2, 3),), {"dtype": np.dtype(np.int32)}, dtypes=("float32", "int32")),
        Sample(((2, 4),), {"dtype": np.dtype(np.complex128)}, dtypes=("float64", "complex64")),
        Sample(((2, 3),), {"dtype": np.dtype(np.uint8)}, dtypes=("float64", "bool")),
        Sample(((),), {"dtype": np.dtype(np.int64)}, dtypes=("float64",)),
    ),
    doc="the same bytes as elements of another dtype (a view)",
)

# -- gradient marks -----------------------------------------------------------------------------------------------------------------------
watch = define(
    "watch",
    family="meta",
    arity=1,
    infer=_same,
    numpy=_itself,
    mxnet=pass_through,
    kernel=kernels.itself,
    mxnet_dtypes=ANY_MXNET,
    vjp=(lambda g, ans, x: g,),
    view=True,
    samples=samples_of(UNARY_SHAPES),
    doc="the value itself, as an argument that a gradient is taken by",
)
stop_gradient = define(
    "stop_gradient",
    family="meta",
    arity=1,
    infer=_same,
    numpy=_itself,
    mxnet=pass_through,
    kernel=kernels.itself,
    mxnet_dtypes=ANY_MXNET,
    vjp=ZERO_GRADIENT,
    view=True,
    samples=samples_of(UNARY_SHAPES),
    doc="the value itself, as a constant for gradients",
)
