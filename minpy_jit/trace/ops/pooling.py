"""Pooling: the largest element, the mean or the sum of each window of the spatial axes (MXNet's `Pooling`).

Averages and sums are linear, so their gradient's gradient is the pooling again. The gradient of the largest element's gradient picks from
each window the element that was largest, which MXNet has no operator for: it runs in NumPy.

Parameters are normalised by the caller (see layers.py): `kernel`, `stride`, `pad` have a number per spatial axis; with `full` a last window
that hangs over the end counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..op import TABLE, ZERO_GRADIENT, Op, Sample, Types, define
from ..types import ArrayType, Shape
from .families import FLOATS
from .neural import FLOAT_SAMPLES, as_floats, float_dtype, fresh, inside, kernel_places, require_at_least, through_float32, windows
from .shape import tuple_attr


def _pooled_lengths(lengths: Shape, kernel: Shape, stride: Shape, pad: Shape, full: bool) -> Shape:
    spare = [n + 2 * p - k for n, k, p in zip(lengths, kernel, pad, strict=True)]
    return tuple((-(-m // t) if full else m // t) + 1 for m, t in zip(spare, stride, strict=True))


def _pooled_shape(x: ArrayType, kernel: Shape, stride: Shape, pad: Shape, full: bool) -> Shape:
    if not 3 <= x.ndim <= 5:
        raise ValueError(f"x must have two axes and 1 to 3 spatial ones; got shape {x.shape}")
    for name, value in (("kernel", kernel), ("stride", stride), ("pad", pad)):
        if len(value) != x.ndim - 2:
            raise ValueError(f"{name} = {value} must have one number for each of {x.ndim - 2} spatial axes")
    require_at_least(1, kernel=kernel, stride=stride)
    require_at_least(0, pad=pad)
    if any(p >= k for p, k in zip(pad, kernel, strict=True)):
        raise ValueError(f"pad = {pad} must be less than kernel = {kernel}: a window would lie outside of x")
    lengths = x.shape[2:]
    if any(k > n + 2 * p for k, n, p in zip(kernel, lengths, pad, strict=True)):
        raise ValueError(f"kernel = {kernel} is more than x of shape {x.shape} padded by {pad}")
    out = _pooled_lengths(lengths, kernel, stride, pad, full)
    if any((m - 1) * t - p >= n for m, t, p, n in zip(out, stride, pad, lengths, strict=True)):
        raise ValueError(f"the last window starts behind the end of x of shape {x.shape}; stride = {stride} is too large for `full`")
    return *x.shape[:2], *out


def _after(lengths: Shape, out: Shape, kernel: Shape, stride: Shape, pad: Shape) -> Shape:
    """How much padding at the end the last windows need."""
    return tuple(max((m - 1) * t + k - p - n, 0) for n, m, k, t, p in zip(lengths, out, kernel, stride, pad, strict=True))


def _seen(x: np.ndarray, out: Shape, kernel: Shape, stride: Shape, pad: Shape, fill: float) -> np.ndarray:
    """The windows of the padded x: (batch, channels, *kernel, *out)."""
    after = _after(x.shape[2:], out, kernel, stride, pad)
    if any(pad) or any(after):
        x = np.pad(x, ((0, 0), (0, 0), *zip(pad, after, strict=True)), constant_values=fill)
    return windows(x, kernel, out, stride, (1,) * len(kernel))


def _laid_back(parts: np.ndarray, lengths: Shape, stride: Shape, pad: Shape) -> np.ndarray:
    """The transpose of `_seen`: elements of windows (batch, channels, *kernel, *out) summed where they came from."""
    n = len(lengths)
    kernel, out = parts.shape[2 : 2 + n], parts.shape[2 + n :]
    after = _after(lengths, out, kernel, stride, pad)
    x = np.zeros((*parts.shape[:2], *(m + p + a for m, p, a in zip(lengths, pad, after, strict=True))), parts.dtype)
    for k, place in kernel_places(kernel, out, stride, (1,) * n, axis=2):
        x[place] += parts[k]
    return x[inside(lengths, pad)]


def _infer_pooling(x: ArrayType, kernel: Shape, stride: Shape, pad: Shape, full: bool, **others: Any) -> ArrayType:
    return fresh(_pooled_shape(x, kernel, stride, pad, full), float_dtype((x,)), (x,))


def _infer_backward(g: ArrayType, x: ArrayType, **params: Any) -> ArrayType:
    wanted = _infer_pooling(x, **params).shape
    if g.shape != wanted:
        raise ValueError(f"the gradient has shape {g.shape}, the result {wanted}")
    return fresh(x.shape, float_dtype((g, x)), (g, x))


def _hangs_over(lengths: Shape, kernel: Shape, stride: Shape, pad: Shape, full: bool) -> bool:
    """Whether a last window reaches past the padding."""
    return full and _pooled_lengths(lengths, kernel, stride, pad, True) != _pooled_lengths(lengths, kernel, stride, pad, False)


def _attrs(kind: str, lengths: Shape, kernel: Shape, stride: Shape, pad: Shape, full: bool) -> dict[str, Any]:
    return {
        "kernel": tuple_attr(kernel),
        "stride": tuple_attr(stride),
        "pad": tuple_attr(pad),
        "pool_type": kind,
        "pooling_convention": "full" if _hangs_over(lengths, kernel, stride, pad, full) else "valid",
    }


def _work(types: Types, params: dict[str, Any]) -> int:
    return types[0].size * math.prod(params["kernel"])


def _sample(x: Shape, kernel: Any, stride: Any = 1, pad: Any = 0, full: bool = False) -> tuple[Shape, dict[str, Any]]:
    n = len(x) - 2
    given = {"kernel": kernel, "stride": stride, "pad": pad}
    return x, {**{k: v if isinstance(v, tuple) else (v,) * n for k, v in given.items()}, "full": full}


_CASES = (
    _sample((2, 3, 5, 4), 2),
    _sample((1, 2, 7, 6), (3, 2), stride=2, pad=1),
    _sample((2, 2, 6, 5), 3, stride=2, full=True),
    _sample((1, 2, 5, 6), (3, 2), stride=(2, 3), pad=(1, 1), full=True),
    _sample((2, 3, 4, 4), 4),
    _sample((2, 3, 7), 3, stride=2, pad=1),
    _sample((1, 2, 4, 3, 5), (2, 3, 2), stride=(1, 1, 2)),
)


def _samples(backward: bool = False, **others: Any) -> tuple[Sample, ...]:
    found = []
    for shape, given in _CASES:
        out = _pooled_lengths(shape[2:], given["kernel"], given["stride"], given["pad"], given["full"])
        shapes = ((*shape[:2], *out), shape) if backward else (shape,)
        found.append(Sample(shapes, {**given, **others}, dtypes=FLOAT_SAMPLES))
    return tuple(found)


def _pooling(
    name: str,
    meaning: Callable[..., np.ndarray],
    meaning_backward: Callable[..., np.ndarray],
    operator: Callable[..., tuple[dict[str, Any], np.ndarray | None]],
    inputs: Callable[..., list[Any]],
    rule: Callable[..., Any],
    params: tuple[str, ...],
    samples: Callable[[bool], tuple[Sample, ...]],
    doc: str,
) -> Op:
    """A kind of pooling and its gradient.

    Args:
        meaning: `(x, **params)` in NumPy.
        meaning_backward: `(g, x, **params)` in NumPy.
        operator: (spatial shape of x, params) -> MXNet's attributes, and what its result is to be multiplied by, if anything.
        inputs: (lowerer, gradient, x, forward) -> the inputs of MXNet's gradient operator.
        rule: the gradient's gradient by g: `(cotangent, x, **params)`.
    """

    def scaled(low: Any, entry: Any, factor: np.ndarray | None, dtype: np.dtype) -> Any:
        return entry if factor is None else low.node("_npi_multiply", [entry, low.constant(factor.astype(dtype))])

    def lower(low: Any, xs: list[Any], types: Types, result: ArrayType, **given: Any) -> Any:
        attrs, factor = operator(types[0].shape[2:], **given)
        return scaled(low, low.shared("Pooling", xs, attrs), factor, result.dtype)

    def lower_backward(low: Any, xs: list[Any], types: Types, result: ArrayType, **given: Any) -> Any:
        attrs, factor = operator(types[1].shape[2:], **given)
        forward = low.shared("Pooling", xs[1:], attrs)
        g = scaled(low, xs[0], factor, result.dtype)
        return low.node("_backward_Pooling", inputs(low, g, xs[1], forward), attrs, after=[forward])

    backward = define(
        f"{name}_backward",
        family="neural",
        arity=2,
        params=params,
        infer=_infer_backward,
        numpy=through_float32(meaning_backward),
        operand_dtypes=as_floats,
        mxnet=lower_backward,
        mxnet_dtypes=FLOATS,
        vjp=(lambda c, ans, g, x, **given: rule(c, x, **given), ZERO_GRADIENT),
        work=_work,
        blocked=True,
        samples=samples(True),
        doc=f"the gradient of {name}",
    )
    return define(
        name,
        family="neural",
        arity=1,
        params=params,
        infer=_infer_pooling,
        numpy=through_float32(meaning),
        operand_dtypes=as_floats,
        mxnet=lower,
        mxnet_dtypes=FLOATS,
        vjp=(lambda g, ans, x, **given: backward(g, x, **given),),
        work=_work,
        blocked=True,
        samples=samples(False),
        doc=doc,
    )


# -- the largest --------------------------------------------------------------------------------------------------------------------------
def _flat_windows(x: np.ndarray, kernel: Shape, stride: Shape, pad: Shape, full: bool, fill: float) -> np.ndarray:
    """The windows with their elements along one axis: (batch, channels, kernel elements, *out)."""
    out = _pooled_lengths(x.shape[2:], kernel, stride, pad, full)
    return _seen(x, out, kernel, stride, pad, fill).reshape(*x.shape[:2], math.prod(kernel), *out)


def _comparable_windows(x: np.ndarray, **params: Any) -> np.ndarray:
    """The windows as MXNet compares them, from its lowest number upwards: NaN and -inf are as good as that."""
    lowest = float(np.finfo(x.dtype).min)
    return _flat_windows(np.fmax(x, lowest), **params, fill=lowest)


def _largest(x: np.ndarray, **params: Any) -> np.ndarray:
    return _comparable_windows(x, **params).max(axis=2)


def _first_largest(x: np.ndarray, **params: Any) -> np.ndarray:
    """Which element of each window is the largest, the first among equals: (batch, channels, 1, *out)."""
    return np.expand_dims(_comparable_windows(x, **params).argmax(axis=2), 2)


def _largest_backward(g: np.ndarray, x: np.ndarray, kernel: Shape, stride: Shape, pad: Shape, full: bool) -> np.ndarray:
    at = _first_largest(x, kernel=kernel, stride=stride, pad=pad, full=full)
    parts = np.zeros((*g.shape[:2], math.prod(kernel), *g.shape[2:]), g.dtype)
    np.put_along_axis(parts, at, np.expand_dims(g, 2), axis=2)
    return _laid_back(parts.reshape(*g.shape[:2], *kernel, *g.shape[2:]), x.shape[2:], stride, pad)


def _picked(a: np.ndarray, x: np.ndarray, **params: Any) -> np.ndarray:
    return np.take_along_axis(_flat_windows(a, **params, fill=0.0), _first_largest(x, **params), axis=2).squeeze(2)


def _infer_picked(a: ArrayType, x: ArrayType, **params: Any) -> ArrayType:
    if a.shape != x.shape:
        raise ValueError(f"shapes differ: {a.shape} and {x.shape}")
    return fresh(_infer_pooling(x, **params).shape, float_dtype((a, x)), (a, x))


_WINDOW = ("kernel", "stride", "pad", "full")

max_pooling = _pooling(
    "max_pooling",
    _largest,
    _largest_backward,
    lambda lengths, **given: (_attrs("max", lengths, **given), None),
    # results are the maxima and a workspace for the gradient, each with a gradient that precedes x
    lambda low, g, x, forward: [g, low.output(forward, 1), x, forward, low.output(forward, 1)],
    lambda c, x, **given: pick_largest(c, x, **given),
    _WINDOW,
    _samples,
    "the largest element of each window; NaN and -inf count as the lowest number",
)
pick_largest: Op = define(
    "pick_largest",
    family="neural",
    arity=2,
    params=_WINDOW,
    infer=_infer_picked,
    numpy=through_float32(_picked),
    operand_dtypes=as_floats,
    vjp=(lambda g, ans, a, x, **given: TABLE["max_pooling_backward"](g, x, **given), ZERO_GRADIENT),
    work=_work,
    samples=tuple(Sample((x, x), given, dtypes=FLOAT_SAMPLES) for x, given in _CASES),
    doc="of each window of a, the element that stands where the largest of x does",
)


# -- mean and sum -------------------------------------------------------------------------------------------------------------------------
def _counts(lengths: Shape, kernel: Shape, stride: Shape, pad: Shape, full: bool, count_pad: bool) -> np.ndarray:
    """How many elements each window's sum is divided by: those inside x, or inside the padded x."""
    counts = np.ones((1,) * len(lengths), np.int64)
    for axis, (n, k, t, p) in enumerate(zip(lengths, kernel, stride, pad, strict=True)):
        (m,) = _pooled_lengths((n,), (k,), (t,), (p,), full)
        first = np.arange(m) * t - p
        low, high = (-p, n + p) if count_pad else (0, n)
        seen = np.minimum(first + k, high) - np.maximum(first, low)
        counts = counts * seen.reshape([-1 if i == axis else 1 for i in range(len(lengths))])
    return counts


def _total(x: np.ndarray, kernel: Shape, stride: Shape, pad: Shape, full: bool) -> np.ndarray:
    return _flat_windows(x, kernel, stride, pad, full, 0.0).sum(axis=2)


def _total_backward(g: np.ndarray, x: np.ndarray, kernel: Shape, stride: Shape, pad: Shape, full: bool) -> np.ndarray:
    n = len(kernel)
    spread = np.broadcast_to(np.expand_dims(g, tuple(range(2, 2 + n))), (*g.shape[:2], *kernel, *g.shape[2:]))
    return _laid_back(spread, x.shape[2:], stride, pad)


def _average(x: np.ndarray, count_pad: bool, **params: Any) -> np.ndarray:
    return _total(x, **params) / _counts(x.shape[2:], **params, count_pad=count_pad).astype(x.dtype)


def _average_backward(g: np.ndarray, x: np.ndarray, count_pad: bool, **params: Any) -> np.ndarray:
    return _total_backward(g / _counts(x.shape[2:], **params, count_pad=count_pad).astype(x.dtype), x, **params)


def _average_operator(lengths: Shape, count_pad: bool, **params: Any) -> tuple[dict[str, Any], np.ndarray | None]:
    """MXNet's mean where it can be had: where a window hangs over, its gradient is wrong (it asks the shape of g for that of x); where
    padding does not count, each new shape writes a line to the user's terminal."""
    counts = _counts(lengths, **params, count_pad=count_pad)
    if _hangs_over(lengths, **params):
        return _attrs("sum", lengths, **params), 1.0 / counts[None, None]
    window = math.prod(params["kernel"])
    return _attrs("avg", lengths, **params), None if np.all(counts == window) else window / counts[None, None]


average_pooling: Op = _pooling(
    "average_pooling",
    _average,
    _average_backward,
    _average_operator,
    lambda low, g, x, forward: [g, x, forward],
    lambda c, x, **given: average_pooling(c, **given),
    (*_WINDOW, "count_pad"),
    lambda backward: (*_samples(backward, count_pad=True), *_samples(backward, count_pad=False)),
    "the mean of each window; padding counts as zeros, or not at all",
)
sum_pooling: Op = _pooling(
    "sum_pooling",
    _total,
    _total_backward,
    lambda lengths, **given: (_attrs("sum", lengths, **given), None),
    lambda low, g, x, forward: [g, x, forward],
    lambda c, x, **given: sum_pooling(c, **given),
    _WINDOW,
    _samples,
    "the sum of each window",
)
