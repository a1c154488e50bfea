"""Element-wise functions beyond NumPy's ufuncs: activations, `erf`, rounding to decimals, replacing NaNs, `angle` and `sinc`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..op import ZERO_GRADIENT, Op, Sample, Types, define
from ..types import ArrayType, array_type, copied_strides
from . import kernels
from .cast import imag, real, stop_gradient
from .elementwise import LIBM_ULP, arctan2, divide, equal, exp, isfinite, lower_rint, multiply, sin, where
from .families import (
    FLOAT32,
    FLOATS,
    INT64,
    NUMBERS,
    UNARY_SHAPES,
    broadcast_type,
    fortran_or_c_strides,
    mx,
    result_dtype,
    samples_of,
    ufunc_loop,
)

# `resolve_dtypes` is missing from NumPy 1.26's stubs
_CBRT: Any = np.cbrt
_MAXIMUM: Any = np.maximum
_WEAK_INT = array_type((), INT64, weak=int)


def _real_function(name: str, function: Callable[[Any], Any], rule: Any, doc: str, ulp: int, kernel: Any) -> Op:
    """A function of real numbers; integers become floats as for `cbrt`, which has no complex loop either."""

    def infer(x: ArrayType) -> ArrayType:
        return broadcast_type((x,), ufunc_loop(_CBRT, (x,))[-1])

    return define(
        name,
        family="elementwise",
        arity=1,
        infer=infer,
        numpy=function,
        operand_dtypes=lambda types, params: ufunc_loop(_CBRT, types)[:1],
        mxnet=mx(f"_npx_{name}"),
        kernel=kernel,
        mxnet_dtypes=FLOATS,
        vjp=(rule,),
        samples=samples_of(UNARY_SHAPES),
        doc=doc,
        ulp=ulp,
    )


def _numpy_erf(x: Any) -> Any:
    x = np.asarray(x)
    return np.vectorize(math.erf, otypes=[np.float64])(x).astype(_CBRT.resolve_dtypes((x.dtype, None))[-1])[()]


def _numpy_sigmoid(x: Any) -> Any:
    # the constants have no dtype of their own, whatever the promotion state
    x = np.asarray(x)
    x = x.astype(_CBRT.resolve_dtypes((x.dtype, None))[-1])
    return np.reciprocal(np.add(np.exp(np.negative(x)), np.ones((), x.dtype)))


sigmoid = _real_function(
    "sigmoid",
    _numpy_sigmoid,
    lambda g, ans, x: g * (ans * (1.0 - ans)),
    "the logistic function, 1 / (1 + exp(-x))",
    LIBM_ULP,
    "sigmoid",
)
erf = _real_function(
    "erf", _numpy_erf, lambda g, ans, x: g * (exp(-(x * x)) * (2.0 / math.sqrt(math.pi))), "the error function", LIBM_ULP, "erf"
)

# -- relu ---------------------------------------------------------------------------------------------------------------------------------


def _infer_relu(x: ArrayType) -> ArrayType:
    return broadcast_type((x,), ufunc_loop(_MAXIMUM, (x, _WEAK_INT))[-1])


relu = define(
    "relu",
    family="elementwise",
    arity=1,
    infer=_infer_relu,
    numpy=lambda x: np.maximum(x, np.zeros((), _MAXIMUM.resolve_dtypes((np.asarray(x).dtype, int, None))[-1])),
    operand_dtypes=lambda types, params: ufunc_loop(_MAXIMUM, (*types, _WEAK_INT))[:1],
    mxnet=mx("_npx_relu"),
    kernel=kernels.relu,
    blocked=True,
    mxnet_dtypes=NUMBERS,
    vjp=(lambda g, ans, x: relu_backward(g, ans),),
    samples=samples_of(UNARY_SHAPES),
    doc="the larger of x and 0",
)


def _lower_image_relu(low: Any, xs: list[Any], types: Types, result: ArrayType) -> Any:
    return low.node("Activation", xs, {"act_type": "relu"}) if 3 <= result.ndim <= 5 else NotImplemented


image_relu: Op = define(
    "image_relu",
    family="elementwise",
    arity=1,
    infer=lambda x: broadcast_type((x,), result_dtype((x,))),
    numpy=lambda x: np.where(np.greater(x, 0), x, np.zeros((), x.dtype)),
    mxnet=_lower_image_relu,
    kernel=kernels.image_relu,
    blocked=True,
    mxnet_dtypes=frozenset([FLOAT32]),
    vjp=(lambda g, ans, x: relu_backward(g, ans),),
    samples=tuple(Sample((shape,), dtypes=("float32", "float64")) for shape in ((2, 5, 3), (2, 1, 3, 4), (2, 3, 1, 2, 2))),
    doc="x where it is more than 0, else 0, where it is NaN too: MXNet's Activation of float32 images, by oneDNN",
)


def _infer_relu_backward(g: ArrayType, y: ArrayType) -> ArrayType:
    if g.shape != y.shape:
        raise ValueError(f"the gradient has shape {g.shape}, the result {y.shape}")
    return broadcast_type((g, y), result_dtype((g, y)))


def _lower_relu_backward(low: Any, xs: list[Any], types: Types, result: ArrayType) -> Any:
    if result.dtype == FLOAT32 and 3 <= result.ndim <= 5:
        # oneDNN's takes the memory order that a convolution leaves; what follows would bring it back to C order
        return low.node("_backward_Activation", xs, {"act_type": "relu"})
    zero = low.node("_lesser_equal_scalar", [xs[1]], {"scalar": 0})
    return low.node("_npi_multiply", [xs[0], low.node("_equal_scalar", [zero], {"scalar": 0})])


# a `where` would branch on each element: 12 ms on 590,000 of them where this takes 0.5
relu_backward: Op = define(
    "relu_backward",
    family="neural",
    arity=2,
    infer=_infer_relu_backward,
    numpy=lambda g, y: np.multiply(g, np.logical_not(np.less_equal(y, 0)), dtype=np.result_type(g, y)),
    operand_dtypes=lambda types, params: (result_dtype(types),) * 2,
    mxnet=_lower_relu_backward,
    kernel=kernels.relu_backward,
    blocked=True,
    mxnet_dtypes=FLOATS,
    vjp=(lambda c, ans, g, y: relu_backward(c, y), ZERO_GRADIENT),
    samples=tuple(
        Sample((shape, shape), dtypes=("float16", "float32", "float64", "complex64"))
        for shape in ((3, 4), (2, 5, 3), (2, 1, 3, 4), (2,) * 6, ())
    ),
    doc="the gradient of relu by its operand, given its result y: g, or 0 where y is 0",
)

# -- nan_to_num ---------------------------------------------------------------------------------------------------------------------------


def _lower_nan_to_num(
    low: Any, xs: list[Any], types: Types, result: ArrayType, nan: float, posinf: float | None, neginf: float | None
) -> Any:
    if result.dtype.kind != "f":
        return xs[0]
    attrs = {"nan": repr(nan), "posinf": repr(posinf), "neginf": repr(neginf)}
    return low.node("_npi_nan_to_num", xs, {k: v for k, v in attrs.items() if v != "None"})


nan_to_num = define(
    "nan_to_num",
    family="elementwise",
    arity=1,
    params=("nan", "posinf", "neginf"),
    defaults={"nan": 0.0, "posinf": None, "neginf": None},
    # NumPy replaces them in a copy
    infer=lambda x, **params: array_type(x.shape, x.dtype, copied_strides(x, x.dtype), not x.shape, None, x.context),
    numpy=lambda x, nan, posinf, neginf: np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf),
    mxnet=_lower_nan_to_num,
    kernel=kernels.nan_to_num,
    mxnet_dtypes=NUMBERS,
    vjp=(lambda g, ans, x, **params: where(isfinite(x), g, 0.0),),
    samples=(
        *samples_of(UNARY_SHAPES, params={"nan": 0.0, "posinf": None, "neginf": None}),
        Sample((np.array([np.nan, np.inf, -np.inf, 1.0]),), {"nan": 1.5, "posinf": 3.0, "neginf": -3.0}),
        Sample(((2, 3),), {"nan": 1.5, "posinf": 3.0, "neginf": None}),
    ),
    doc="replace NaN and infinities by numbers",
)

# -- round --------------------------------------------------------------------------------------------------------------------------------


def _infer_round(x: ArrayType, decimals: int) -> ArrayType:
    dtype = x.dtype
    if dtype.kind == "b":
        if decimals:
            raise TypeError(f"cannot round bool to {decimals} decimals; convert with astype")
        dtype = np.dtype(np.float16)
    if decimals == 0 and dtype.kind != "c":
        return broadcast_type((x,), dtype)
    # NumPy allocates the scaled copy itself
    strides = None if dtype.kind == "c" else fortran_or_c_strides(x, dtype)
    return array_type(x.shape, dtype, strides, not x.shape, None, x.context)


def _lower_round(low: Any, xs: list[Any], types: Types, result: ArrayType, decimals: int) -> Any:
    if result.dtype.kind != "f":
        # integers have no decimals; to tens and hundreds NumPy goes through float64
        return xs[0] if decimals >= 0 else NotImplemented
    if decimals == 0:
        return lower_rint(low, xs, types, result)
    with np.errstate(over="ignore"):
        scale = low.constant(np.asarray(10.0 ** abs(decimals)).astype(result.dtype))
    away, back = ("_npi_multiply", "_npi_true_divide") if decimals > 0 else ("_npi_true_divide", "_npi_multiply")
    return low.node(back, [lower_rint(low, [low.node(away, [xs[0], scale])], types, result), scale])


round_ = define(
    "round",
    family="elementwise",
    arity=1,
    params=("decimals",),
    defaults={"decimals": 0},
    infer=_infer_round,
    numpy=lambda x, decimals: np.round(x, decimals),
    mxnet=_lower_round,
    kernel=kernels.round_,
    mxnet_dtypes=NUMBERS,
    vjp=ZERO_GRADIENT,
    samples=tuple(Sample(shapes, {"decimals": d}) for d in (0, 2, -1) for shapes in UNARY_SHAPES),
    doc="round to decimals, ties to even",
)


# -- composites ---------------------------------------------------------------------------------------------------------------------------
def angle(x: Any, deg: bool = False) -> Any:
    """The argument of complex numbers (0 or pi of real ones), in radians or degrees."""
    # of real numbers it is piecewise constant, and the general rule would give 0 / 0 at 0
    result = arctan2(imag(x), real(x)) if x.type.dtype.kind == "c" else arctan2(0, stop_gradient(x))
    return multiply(result, 180.0 / math.pi) if deg else result


def sinc(x: Any) -> Any:
    """sin(pi x) / (pi x), 1 at 0."""
    # NumPy's own way around 0, which keeps the gradient finite
    scaled = multiply(where(equal(x, 0), 1.0e-20, x), math.pi)
    return divide(sin(scaled), scaled)
