"""Ops that change how values are represented or followed, not what they are: dtype, layout, real parts, gradient marks."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..op import ZERO_GRADIENT, Ref, Sample, Types, define
from ..types import ArrayType, Shape, array_type, elementwise_strides
from .families import ALL_MXNET, UNARY_SHAPES, fortran_or_c_strides, pass_through, samples_of

ANY_MXNET = ALL_MXNET | {np.dtype(np.float16)}


def _same(x: ArrayType, **params: Any) -> ArrayType:
    return x


def _itself(x: Any, **params: Any) -> Any:
    return x


# -- dtype ------------------------------------------------------------------------------------------------------------------------------
def _infer_astype(x: ArrayType, dtype: np.dtype) -> ArrayType:
    return array_type(x.shape, dtype, elementwise_strides((x,), x.shape, dtype), x.scalar, None, x.context)


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
    mxnet_dtypes=ANY_MXNET,
    vjp=(lambda g, ans, x, strides: g,),
    samples=(Sample(((2, 3),), {"strides": (8, 16)}),),
    doc="the same values with other logical strides (an in-place write keeps its target's layout)",
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
    mxnet_dtypes=ANY_MXNET,
    vjp=(lambda g, ans, x: g,),
    view=True,
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
    samples=samples_of(UNARY_SHAPES),
    doc="the imaginary part (a view)",
)

# -- gradient marks -----------------------------------------------------------------------------------------------------------------------
watch = define(
    "watch",
    family="meta",
    arity=1,
    infer=_same,
    numpy=_itself,
    mxnet=pass_through,
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
    mxnet_dtypes=ANY_MXNET,
    vjp=ZERO_GRADIENT,
    view=True,
    samples=samples_of(UNARY_SHAPES),
    doc="the value itself, as a constant for gradients",
)
