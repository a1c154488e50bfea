"""MXNet's output layers as entries of the table: what they compute is a prediction, what they pass back the gradient of a loss.

That gradient is not the derivative of the prediction, and takes no notice of what comes from further up: MXNet's convention, by which a
network that ends in `SoftmaxOutput` is trained without its loss ever being computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..trace.op import TABLE, ZERO_GRADIENT, Op, Sample, Types, define
from ..trace.ops.creation import beside
from ..trace.ops.families import ALL_MXNET, FLOATS
from ..trace.ops.neural import FLOAT_SAMPLES, float_dtype, fresh, through_float32
from ..trace.types import ArrayType

_astype, _equal, _not_equal, _where = TABLE["astype"], TABLE["equal"], TABLE["not_equal"], TABLE["where"]
_reshape, _sum = TABLE["reshape"], TABLE["sum"]
Shape = tuple[int, ...]


def _predicted(types: Types) -> ArrayType:
    return fresh(types[0].shape, float_dtype(types[:1]), types)


def _head(
    name: str,
    predict: Op,
    gradient: Callable[..., Any],
    labels: Callable[..., tuple[Shape, ...]],
    samples: tuple[Sample, ...],
    doc: str,
    params: tuple[str, ...] = ("grad_scale",),
    shared: tuple[str, ...] = (),
) -> Op:
    """Enter a head of (x, label).

    Args:
        predict: the op that the prediction is made by.
        gradient: `(prediction, label, **params)` -> the gradient of x.
        labels: `(shape of x, **params)` -> legal shapes of the label.
        shared: the parameters that `predict` has too.
    """

    def infer(x: ArrayType, label: ArrayType, **given: Any) -> ArrayType:
        legal = labels(x.shape, **given)
        if label.shape not in legal:
            raise ValueError(f"the label has shape {label.shape}; for x of shape {x.shape} it must be {' or '.join(map(str, legal))}")
        return _predicted((x, label))

    def settings(given: dict[str, Any]) -> dict[str, Any]:
        return {k: given[k] for k in shared}

    def lower(low: Any, xs: list[Any], types: Types, result: ArrayType, **given: Any) -> Any:
        if result.dtype not in predict.mxnet_dtypes:
            return NotImplemented
        assert predict.mxnet is not None
        return predict.mxnet(low, xs[:1], (types[0].with_dtype(result.dtype),), result, **settings(given))

    def rule(g: Any, ans: Any, x: Any, label: Any, **given: Any) -> Any:
        return gradient(ans, label, **given)

    return define(
        name,
        family="head",
        arity=2,
        params=params,
        infer=infer,
        numpy=through_float32(lambda x, label, **given: predict.numpy(x, **settings(given))),
        operand_dtypes=lambda types, given: (_predicted(types).dtype, None),
        mxnet=lower,
        # the label may have any dtype: no node reads it
        mxnet_dtypes=ALL_MXNET | {np.dtype(np.float16)},
        vjp=(rule, ZERO_GRADIENT),
        ulp=predict.ulp,
        samples=samples,
        doc=doc,
    )


# -- softmax ------------------------------------------------------------------------------------------------------------------------------
def _softmax_labels(shape: Shape, axis: int, **given: Any) -> tuple[Shape, ...]:
    return (*shape[:axis], *shape[axis + 1 :]), shape


def _softmax_gradient(
    p: Any,
    label: Any,
    axis: int,
    grad_scale: float,
    ignore_label: float | None,
    normalization: str,
    smooth_alpha: float,
) -> Any:
    if label.type.shape == p.type.shape:
        return (p - label) * grad_scale
    shape, classes = p.type.shape, p.type.shape[axis]
    wide = tuple(1 if k == axis else n for k, n in enumerate(shape))
    label = _reshape(_astype(label, dtype=p.type.dtype), shape=wide)
    numbers = _reshape(
        beside(p, TABLE["arange"], start=0, stop=classes, dtype=p.type.dtype, context=p.type.context),
        shape=tuple(n if k == axis else 1 for k, n in enumerate(shape)),
    )
    hot = _astype(_equal(numbers, label), dtype=p.type.dtype)
    if smooth_alpha:
        others = smooth_alpha / (classes - 1) if classes > 1 else 0.0
        hot = hot * (1.0 - smooth_alpha - others) + others
    gradient = p - hot
    valid = None if ignore_label is None else _not_equal(label, ignore_label)
    if valid is not None:
        gradient = _where(valid, gradient, 0.0)
    # positions of one sample: MXNet takes their mean
    positions = math.prod(shape[axis + 1 :])
    rows = math.prod(wide)
    if normalization == "null":
        return gradient * (grad_scale / positions)
    if normalization == "batch":
        return gradient * (grad_scale / rows)
    if valid is None:
        return gradient * (grad_scale / rows)
    count = _sum(_astype(valid, dtype=p.type.dtype), axis=None, keepdims=False, dtype=None)
    return gradient * (grad_scale / TABLE["maximum"](count, 1.0))


def _softmax_sample(x: Shape, label: Any, axis: int = 1, **given: Any) -> Sample:
    usual = {"axis": axis, "grad_scale": 1.0, "ignore_label": None, "normalization": "null", "smooth_alpha": 0.0}
    return Sample((x, np.asarray(label, np.float32)), {**usual, **given}, dtypes=FLOAT_SAMPLES)


softmax_output = _head(
    "softmax_output",
    TABLE["softmax"],
    _softmax_gradient,
    _softmax_labels,
    (
        _softmax_sample((3, 4), [0, 3, 1]),
        _softmax_sample((3, 4), [0, 3, 1], ignore_label=3.0, normalization="valid", grad_scale=2.0),
        _softmax_sample((2, 3, 2), [[0, 2], [1, 1]], normalization="batch", smooth_alpha=0.1),
        _softmax_sample((2, 3, 2), [[0, 1, 0], [1, 1, 0]], axis=2),
    ),
    "softmax whose gradient is that of the cross-entropy with the label, whatever comes from above (MXNet's SoftmaxOutput)",
    ("axis", "grad_scale", "ignore_label", "normalization", "smooth_alpha"),
    ("axis",),
)


# -- regression ---------------------------------------------------------------------------------------------------------------------------
def _same_size(shape: Shape, grad_scale: float) -> tuple[Shape, ...]:
    """The label has x's shape; a last axis of 1 may be left out."""
    return (shape, shape[:-1]) if len(shape) > 1 and shape[-1] == 1 else (shape,)


def _regression(error: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def gradient(y: Any, label: Any, grad_scale: float) -> Any:
        label = _astype(label, dtype=y.type.dtype)
        if label.type.shape != y.type.shape:
            label = _reshape(label, shape=y.type.shape)
        # per sample: MXNet takes the mean over its outputs
        return error(y, label) * (grad_scale / math.prod(y.type.shape[1:]))

    return gradient


def _regression_samples() -> tuple[Sample, ...]:
    return tuple(Sample(shapes, {"grad_scale": 0.5}, dtypes=FLOAT_SAMPLES) for shapes in (((3, 4), (3, 4)), ((3, 1), (3,))))


linear_output = _head(
    "linear_output",
    TABLE["positive"],
    _regression(lambda y, label: y - label),
    _same_size,
    _regression_samples(),
    "x, whose gradient is that of half the squared error (MXNet's LinearRegressionOutput)",
)
absolute_output = _head(
    "absolute_output",
    TABLE["positive"],
    _regression(lambda y, label: TABLE["sign"](y - label)),
    _same_size,
    _regression_samples(),
    "x, whose gradient is that of the absolute error (MXNet's MAERegressionOutput)",
)
logistic_output = _head(
    "logistic_output",
    TABLE["sigmoid"],
    _regression(lambda y, label: y - label),
    _same_size,
    _regression_samples(),
    "the logistic function, whose gradient is that of the cross-entropy (MXNet's LogisticRegressionOutput)",
)


# -- a loss by itself ---------------------------------------------------------------------------------------------------------------------
def _loss_gradient(g: Any, ans: Any, x: Any, grad_scale: float) -> Any:
    type_ = ans.type
    return beside(ans, TABLE["ones"], shape=type_.shape, dtype=type_.dtype, context=type_.context) * grad_scale


loss_output = define(
    "loss_output",
    family="head",
    arity=1,
    params=("grad_scale",),
    infer=lambda x, grad_scale: _predicted((x,)),
    numpy=lambda x, grad_scale: np.array(x, order="C"),
    operand_dtypes=lambda types, given: (_predicted(types).dtype,),
    mxnet=lambda low, xs, types, result, grad_scale: low.node("_copy", xs),
    mxnet_dtypes=FLOATS,
    vjp=(_loss_gradient,),
    samples=(Sample(((2, 3),), {"grad_scale": 2.0}, dtypes=FLOAT_SAMPLES),),
    doc="x, whose gradient is a number, whatever comes from above (MXNet's MakeLoss)",
)
