"""Layers that are linear in their input and in their weights: fully connected, convolution, deconvolution (transposed convolution).

One description of such a layer gives four entries: the layer and its gradient, without a bias and with one. The gradient is lowered to
MXNet's hidden `_backward_*` operator, which sits behind the forward operator in the same symbol. Because the layer is linear in each
operand, its gradient's gradient is made of the layer and its gradient again, so every order exists.

Parameters are normalised by the caller (see layers.py).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..op import TABLE, ZERO_GRADIENT, Op, Sample, Types, define
from ..types import ArrayType, Shape, array_type
from .families import FLOAT32, FLOATS, context_of, result_dtype
from .shape import tuple_attr

FLOAT_SAMPLES = ("float32", "float64", "float16")


# -- what all neural entries share --------------------------------------------------------------------------------------------------------
def float_dtype(types: Types) -> np.dtype:
    """The dtype in which a neural operator computes.

    Raises:
        TypeError: not a float.
    """
    dtype = result_dtype(types)
    if dtype.kind != "f":
        raise TypeError(f"takes float arrays; got {', '.join(repr(t) for t in types)}; convert with astype")
    return dtype


def as_floats(types: Types, params: Mapping[str, Any]) -> tuple[np.dtype, ...]:
    """`operand_dtypes` of a neural operator: all the same."""
    return (float_dtype(types),) * len(types)


def through_float32(meaning: Callable[..., Any]) -> Callable[..., Any]:
    """A NumPy meaning that sums in float32 where the operands are float16; results are in C order."""

    def cast(value: np.ndarray, dtype: np.dtype) -> np.ndarray:
        return np.ascontiguousarray(value, dtype)

    @functools.wraps(meaning)
    def run(*arrays: np.ndarray, **params: Any) -> Any:
        dtype = arrays[0].dtype
        if dtype == np.float16:
            arrays = tuple(a.astype(np.float32) for a in arrays)
        found = meaning(*arrays, **params)
        return tuple(cast(v, dtype) for v in found) if isinstance(found, tuple) else cast(found, dtype)

    return run


def fresh(shape: Shape, dtype: np.dtype, types: Types) -> ArrayType:
    """The type of a new array in C order."""
    return array_type(shape, dtype, context=context_of(types))


def require_at_least(least: int, **params: int | tuple[int, ...]) -> None:
    """Parameters are integers of at least this.

    Raises:
        ValueError: one is less.
    """
    for name, value in params.items():
        if any(v < least for v in (value if isinstance(value, tuple) else (value,))):
            raise ValueError(f"{name} must be at least {least}; got {value}")


# -- the layer and its gradient -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Linear:
    """A layer y = F(x, w) + b that is linear in x and in w.

    Attributes:
        name: of the entry without a bias; the others add `_bias` and `_backward`.
        mxnet_op: the forward operator; the gradient's is called `_backward_` and the same.
        filters: type rule: (types of x and w, params by name) -> shape of y.
        channels: the axis of y that the bias runs along.
        count: (shape of w, params by name) -> the length of that axis.
        forward: NumPy meaning of F(x, w).
        backward: NumPy meaning of the gradients of x and w: `backward(g, x, w)`.
        attrs: (types of x and w, bias?, params by name) -> MXNet's attributes, or NotImplemented.
        work: multiplications of one forward call.
        cheap: attributes -> those of a cheap operator on the same operands, which stands for the forward operator where that one is not
            needed: all that the gradient wants of it is the operands' shapes.
        bias_in_gradient: whether MXNet's gradient operator takes the bias as an input.
        lower_backward: `(lowerer, entries, operand types, params by name)` -> gradients of x and w, in place of MXNet's gradient operator.
        blocked: see `Op`.
    """

    name: str
    mxnet_op: str
    params: tuple[str, ...]
    filters: Callable[..., Shape]
    channels: int
    count: Callable[..., int]
    forward: Callable[..., np.ndarray]
    backward: Callable[..., tuple[np.ndarray, np.ndarray]]
    attrs: Callable[..., Any]
    work: Callable[..., int]
    samples: tuple[Sample, ...]
    doc: str
    cheap: Callable[[Types, dict[str, Any]], dict[str, Any]] = lambda types, attrs: attrs
    bias_in_gradient: bool = True
    lower_backward: Callable[..., list[Any]] | None = None
    blocked: bool = False

    def enter(self) -> tuple[Op, Op]:
        """Put the four entries into the table; returns the layer without a bias and with one."""
        for bias in (False, True):
            self._enter_backward(bias)
        return self._enter_forward(False), self._enter_forward(True)

    def _op(self, bias: bool, backward: bool = False) -> Op:
        return TABLE[self.name + ("_bias" if bias else "") + ("_backward" if backward else "")]

    def _shape(self, types: Types, params: dict[str, Any]) -> Shape:
        shape = self.filters(types[0], types[1], **params)
        if len(types) > 2 and types[2].shape != (shape[self.channels],):
            raise ValueError(f"the bias has shape {types[2].shape}; one number for each of {shape[self.channels]} filters is needed")
        return shape

    def _along(self, b: Any, ndim: int) -> Any:
        """A bias in the shape in which it is added."""
        shape = [1] * ndim
        shape[self.channels] = -1
        return b.reshape(shape)

    def _enter_forward(self, bias: bool) -> Op:
        count = 2 + bias

        def infer(*types: ArrayType, **params: Any) -> ArrayType:
            return fresh(self._shape(types, params), float_dtype(types), types)

        @through_float32
        def numpy(x: np.ndarray, w: np.ndarray, *b: np.ndarray, **params: Any) -> np.ndarray:
            y = self.forward(x, w, **params)
            return y + self._along(b[0], y.ndim) if bias else y

        def lower(low: Any, xs: list[Any], types: Types, result: ArrayType, **params: Any) -> Any:
            attrs = self.attrs(types, bias, **params)
            return NotImplemented if attrs is NotImplemented else low.shared(self.mxnet_op, xs, attrs)

        def rule(k: int) -> Callable[..., Any]:
            return lambda g, ans, *operands, **params: self._op(bias, True)(g, *operands, **params)[k]

        return define(
            self.name + ("_bias" if bias else ""),
            family="neural",
            arity=count,
            params=self.params,
            infer=infer,
            numpy=numpy,
            operand_dtypes=as_floats,
            mxnet=lower,
            mxnet_dtypes=FLOATS,
            vjp=tuple(rule(k) for k in range(count)),
            work=lambda types, params: self.work(types[0].shape, types[1].shape, self._shape(types, params)),
            blocked=self.blocked,
            samples=self._samples(bias, False),
            doc=self.doc + (", plus a bias" if bias else ""),
        )

    def _enter_backward(self, bias: bool) -> None:
        count = 2 + bias

        def infer(g: ArrayType, *operands: ArrayType, **params: Any) -> tuple[ArrayType, ...]:
            dtype = float_dtype((g, *operands))
            if g.shape != (wanted := self._shape(operands, params)):
                raise ValueError(f"the gradient has shape {g.shape}, the result {wanted}")
            return tuple(fresh(t.shape, dtype, operands) for t in operands)

        @through_float32
        def numpy(g: np.ndarray, x: np.ndarray, w: np.ndarray, *b: np.ndarray, **params: Any) -> tuple[np.ndarray, ...]:
            found = self.backward(g, x, w, **params)
            if not bias:
                return found
            channels = self.channels % g.ndim
            return (*found, g.sum(axis=tuple(k for k in range(g.ndim) if k != channels)))

        def lower(low: Any, xs: list[Any], types: Types, result: Any, **params: Any) -> Any:
            if self.lower_backward is not None:
                found = self.lower_backward(low, xs, types, **params)
                return [*found, self._lower_bias_gradient(low, xs[0], types[0], result[2])] if bias else found
            attrs = self.attrs(types[1:], bias, **params)
            if attrs is NotImplemented:
                return NotImplemented
            forward = low.find(self.mxnet_op, xs[1:], attrs)
            if forward is None:
                forward = low.shared(self.mxnet_op, xs[1:], self.cheap(types[1:], attrs))
            given = xs if self.bias_in_gradient else xs[:3]
            node = low.node(f"_backward_{self.mxnet_op}", given, attrs, after=[forward])
            return [low.output(node, k) for k in range(count)]

        define(
            self.name + ("_bias" if bias else "") + "_backward",
            family="neural",
            arity=1 + count,
            params=self.params,
            outputs=count,
            infer=infer,
            numpy=numpy,
            operand_dtypes=as_floats,
            mxnet=lower,
            mxnet_dtypes=FLOATS,
            vjp=(self._rule_g, self._rule_x, self._rule_w, *([ZERO_GRADIENT] * bias)),
            work=lambda types, params: 2 * self.work(types[1].shape, types[2].shape, types[0].shape),
            blocked=self.blocked,
            samples=self._samples(bias, True),
            doc=f"the gradients of {self.name} by its operands",
        )

    def _lower_bias_gradient(self, low: Any, g: Any, type_: ArrayType, result: ArrayType) -> Any:
        axes = tuple(k for k in range(type_.ndim) if k != self.channels)
        g_type = type_.with_dtype(result.dtype)
        found = TABLE["sum"].mxnet(low, [g], (g_type,), result, axis=axes, keepdims=False, dtype=None)  # type: ignore[misc]
        return low.node("sum", [g], {"axis": tuple_attr(axes)}) if found is NotImplemented else found

    # <(a, c, d), gradients of (x, w, b)> = <g, F(a, w) + F(x, c) + d>, with (a, c, d) for g here
    def _rule_g(self, cotangents: Any, ans: Any, g: Any, x: Any, w: Any, *b: Any, **params: Any) -> Any:
        layer = self._op(False)
        parts = []
        if cotangents[0] is not None:
            parts.append(layer(cotangents[0], w, **params))
        if cotangents[1] is not None:
            parts.append(layer(x, cotangents[1], **params))
        if b and cotangents[2] is not None:
            shape = [1] * g.type.ndim
            shape[self.channels] = g.type.shape[self.channels]
            wide = TABLE["reshape"](cotangents[2], shape=tuple(shape))
            parts.append(TABLE["broadcast_to"](wide, shape=g.type.shape))
        return functools.reduce(TABLE["add"], parts)

    def _rule_x(self, cotangents: Any, ans: Any, g: Any, x: Any, w: Any, *b: Any, **params: Any) -> Any:
        return None if cotangents[1] is None else self._op(False, True)(g, x, cotangents[1], **params)[0]

    def _rule_w(self, cotangents: Any, ans: Any, g: Any, x: Any, w: Any, *b: Any, **params: Any) -> Any:
        return None if cotangents[0] is None else self._op(False, True)(g, cotangents[0], w, **params)[1]

    def _samples(self, bias: bool, backward: bool) -> tuple[Sample, ...]:
        found = []
        for sample in self.samples:
            shapes = list(sample.shapes)
            if bias:
                shapes.append((self.count(shapes[1], **sample.params),))
            if backward:
                types = [array_type(s, np.dtype(np.float32)) for s in shapes]
                shapes.insert(0, self.filters(types[0], types[1], **sample.params))
            found.append(Sample(tuple(shapes), sample.params, dtypes=FLOAT_SAMPLES))
        return tuple(found)


# -- fully connected ----------------------------------------------------------------------------------------------------------------------
def _connected_shape(x: ArrayType, w: ArrayType) -> Shape:
    if x.ndim != 2 or w.ndim != 2:
        raise ValueError(f"x must be (samples, inputs) and w (outputs, inputs); got {x.shape} and {w.shape}")
    if x.shape[1] != w.shape[1]:
        raise ValueError(f"w has {w.shape[1]} inputs per output, x has {x.shape[1]}; shapes {x.shape} and {w.shape}")
    return x.shape[0], w.shape[0]


fully_connected, fully_connected_bias = Linear(
    name="fully_connected",
    mxnet_op="FullyConnected",
    params=(),
    filters=_connected_shape,
    channels=-1,
    count=lambda w: w[0],
    forward=lambda x, w: x @ w.T,
    backward=lambda g, x, w: (g @ w, g.T @ x),
    attrs=lambda types, bias: {"num_hidden": types[1].shape[0], "no_bias": int(not bias), "flatten": 0},
    work=lambda x, w, y: math.prod(y) * w[1],
    samples=(Sample(((2, 3), (4, 3))), Sample(((5, 1), (1, 1))), Sample(((3, 20), (7, 20)))),
    doc="x @ w.T",
    bias_in_gradient=False,
).enter()


# -- convolution --------------------------------------------------------------------------------------------------------------------------
def windows(x: np.ndarray, kernel: Shape, out: Shape, stride: Shape, dilate: Shape) -> np.ndarray:
    """What each result sees of `x` (batch, channels, *spatial): a view (batch, channels, *kernel, *out)."""
    strides = x.strides[2:]
    return as_strided(
        x,
        (*x.shape[:2], *kernel, *out),
        (*x.strides[:2], *(s * d for s, d in zip(strides, dilate, strict=True)), *(s * t for s, t in zip(strides, stride, strict=True))),
        writeable=False,
    )


def _padded(x: np.ndarray, pad: Shape) -> np.ndarray:
    return np.pad(x, ((0, 0), (0, 0), *((p, p) for p in pad))) if any(pad) else x


def _columns(x: np.ndarray, kernel: Shape, out: Shape, stride: Shape, pad: Shape, dilate: Shape, groups: int) -> np.ndarray:
    """The windows of the padded `x` as matrices, one per group: (groups, channels of a group · kernel, batch · out)."""
    n = len(kernel)
    seen = windows(_padded(x, pad), kernel, out, stride, dilate)
    order = (1, *range(2, 2 + n), 0, *range(2 + n, 2 + 2 * n))
    return seen.transpose(order).reshape(groups, x.shape[1] // groups * math.prod(kernel), x.shape[0] * math.prod(out))


def _by_group(y: np.ndarray, groups: int) -> np.ndarray:
    """(batch, filters, *spatial) as matrices, one per group: (groups, filters of a group, batch · spatial)."""
    return y.swapaxes(0, 1).reshape(groups, y.shape[1] // groups, y.shape[0] * math.prod(y.shape[2:]))


def _correlate(x: np.ndarray, w: np.ndarray, out: Shape, stride: Shape, pad: Shape, dilate: Shape, groups: int) -> np.ndarray:
    """Each filter's products with the windows of `x`, summed."""
    columns = _columns(x, w.shape[2:], out, stride, pad, dilate, groups)
    y = w.reshape(groups, w.shape[0] // groups, columns.shape[1]) @ columns
    return y.reshape(w.shape[0], x.shape[0], *out).swapaxes(0, 1)


def _correlate_weights(g: np.ndarray, x: np.ndarray, kernel: Shape, stride: Shape, pad: Shape, dilate: Shape, groups: int) -> np.ndarray:
    """The gradient of `_correlate` by its filters."""
    columns = _columns(x, kernel, g.shape[2:], stride, pad, dilate, groups)
    return (_by_group(g, groups) @ columns.swapaxes(1, 2)).reshape(g.shape[1], x.shape[1] // groups, *kernel)


def kernel_places(kernel: Shape, out: Shape, stride: Shape, dilate: Shape, axis: int) -> Iterator[tuple[Any, Any]]:
    """For each element of the kernel its index in an array that has the kernel's axes from `axis` on, and where it lies over the padded
    input, for all windows at once."""
    for k in product(*map(range, kernel)):
        place = [slice(i * d, i * d + (n - 1) * t + 1, t) for i, d, n, t in zip(k, dilate, out, stride, strict=True)]
        yield (slice(None),) * axis + k, (..., *place)


def inside(lengths: Shape, pad: Shape) -> Any:
    """Where an array lies within itself padded."""
    return (..., *(slice(p, p + n) for n, p in zip(lengths, pad, strict=True)))


def _spread(g: np.ndarray, w: np.ndarray, lengths: Shape, stride: Shape, pad: Shape, dilate: Shape, groups: int) -> np.ndarray:
    """The gradient of `_correlate` by its input of spatial shape `lengths`: every window gets its filters back, scaled by `g`."""
    kernel, out, batch = w.shape[2:], g.shape[2:], g.shape[0]
    channels = w.shape[1] * groups
    matrix = w.reshape(groups, w.shape[0] // groups, -1).swapaxes(1, 2)
    columns = (matrix @ _by_group(g, groups)).reshape(channels, *kernel, batch, *out)
    x = np.zeros((channels, batch, *(n + 2 * p for n, p in zip(lengths, pad, strict=True))), columns.dtype)
    for k, place in kernel_places(kernel, out, stride, dilate, axis=1):
        x[place] += columns[k]
    return x[inside(lengths, pad)].swapaxes(0, 1)


def _require_spatial(x: ArrayType, w: ArrayType, **params: tuple[int, ...]) -> None:
    if x.ndim != w.ndim or not 3 <= x.ndim <= 5:
        raise ValueError(f"x and w must have two axes and 1 to 3 spatial ones; got shapes {x.shape} and {w.shape}")
    for name, value in params.items():
        if len(value) != x.ndim - 2:
            raise ValueError(f"{name} = {value} must have one number for each of {x.ndim - 2} spatial axes")
    if 0 in w.shape[2:]:
        raise ValueError(f"the kernel is empty; w has shape {w.shape}")


def _spans(kernel: Shape, dilate: Shape) -> Shape:
    """The lengths that a kernel reaches over."""
    return tuple((k - 1) * d + 1 for k, d in zip(kernel, dilate, strict=True))


def _convolution_shape(x: ArrayType, w: ArrayType, stride: Shape, pad: Shape, dilate: Shape, groups: int) -> Shape:
    _require_spatial(x, w, stride=stride, pad=pad, dilate=dilate)
    require_at_least(1, stride=stride, dilate=dilate, groups=groups)
    require_at_least(0, pad=pad)
    if x.shape[1] != w.shape[1] * groups or w.shape[0] % groups:
        raise ValueError(
            f"w of shape {w.shape} in {groups} group(s) takes {w.shape[1] * groups} channels and has {w.shape[0]} filters to divide; "
            f"x has {x.shape[1]} channels"
        )
    spans = _spans(w.shape[2:], dilate)
    if any(s > n + 2 * p for s, n, p in zip(spans, x.shape[2:], pad, strict=True)):
        raise ValueError(f"the kernel reaches over {spans}, more than x of shape {x.shape} padded by {pad}")
    out = tuple((n + 2 * p - s) // t + 1 for n, p, s, t in zip(x.shape[2:], pad, spans, stride, strict=True))
    return x.shape[0], w.shape[0], *out


def _out(x: Shape, w: Shape, stride: Shape, pad: Shape, dilate: Shape) -> Shape:
    spans = _spans(w[2:], dilate)
    return tuple((n + 2 * p - s) // t + 1 for n, p, s, t in zip(x[2:], pad, spans, stride, strict=True))


def _convolve(x: np.ndarray, w: np.ndarray, stride: Shape, pad: Shape, dilate: Shape, groups: int) -> np.ndarray:
    return _correlate(x, w, _out(x.shape, w.shape, stride, pad, dilate), stride, pad, dilate, groups)


def _convolve_backward(
    g: np.ndarray, x: np.ndarray, w: np.ndarray, stride: Shape, pad: Shape, dilate: Shape, groups: int
) -> tuple[np.ndarray, np.ndarray]:
    return (
        _spread(g, w, x.shape[2:], stride, pad, dilate, groups),
        _correlate_weights(g, x, w.shape[2:], stride, pad, dilate, groups),
    )


def _convolution_attrs(types: Types, bias: bool, stride: Shape, pad: Shape, dilate: Shape, groups: int) -> dict[str, Any]:
    w = types[1].shape
    return {
        "kernel": tuple_attr(w[2:]),
        "num_filter": w[0],
        "stride": tuple_attr(stride),
        "pad": tuple_attr(pad),
        "dilate": tuple_attr(dilate),
        "num_group": groups,
        "no_bias": int(not bias),
    }


def _one_window(types: Types, attrs: dict[str, Any]) -> dict[str, Any]:
    """A convolution whose stride leaves a single window."""
    return {**attrs, "stride": tuple_attr(tuple(2 * n + s for n, s in zip(types[0].shape[2:], types[1].shape[2:], strict=True)))}


def _sample(x: Shape, w: Shape, stride: Any = 1, pad: Any = 0, dilate: Any = 1, groups: int = 1, **others: Any) -> Sample:
    n = len(x) - 2
    given = {"stride": stride, "pad": pad, "dilate": dilate, **others}
    return Sample((x, w), {"groups": groups, **{k: v if isinstance(v, tuple) else (v,) * n for k, v in given.items()}})


convolution, convolution_bias = Linear(
    name="convolution",
    mxnet_op="Convolution",
    params=("stride", "pad", "dilate", "groups"),
    filters=_convolution_shape,
    channels=1,
    count=lambda w, **params: w[0],
    forward=_convolve,
    backward=_convolve_backward,
    attrs=_convolution_attrs,
    work=lambda x, w, y: math.prod(y) * math.prod(w[1:]),
    samples=(
        _sample((2, 3, 5, 4), (4, 3, 2, 3)),
        _sample((2, 2, 6, 5), (3, 2, 3, 2), stride=(2, 1), pad=(1, 2)),
        _sample((1, 4, 5, 5), (6, 2, 2, 2), groups=2, dilate=(2, 1)),
        _sample((2, 4, 4, 4), (4, 1, 3, 3), groups=4, pad=1),
        _sample((2, 3, 4, 4), (2, 3, 1, 1), stride=3),
        _sample((2, 3, 7), (2, 3, 3), stride=2, pad=1),
        _sample((2, 2, 9), (4, 1, 2), dilate=3, groups=2),
        _sample((1, 2, 3, 4, 3), (2, 2, 2, 2, 2), stride=(1, 2, 1), pad=(0, 1, 0)),
    ),
    doc="products of w with the windows of x, summed, per sample and filter",
    cheap=_one_window,
    blocked=True,
).enter()


# -- deconvolution ------------------------------------------------------------------------------------------------------------------------
def _deconvolution_shape(x: ArrayType, w: ArrayType, stride: Shape, pad: Shape, dilate: Shape, adjust: Shape, groups: int) -> Shape:
    _require_spatial(x, w, stride=stride, pad=pad, dilate=dilate, adjust=adjust)
    require_at_least(1, stride=stride, dilate=dilate, groups=groups)
    require_at_least(0, pad=pad, adjust=adjust)
    if x.shape[1] != w.shape[0] or w.shape[0] % groups:
        raise ValueError(f"w of shape {w.shape} in {groups} group(s) takes {w.shape[0]} channels; x has {x.shape[1]}")
    if any(a >= s for a, s in zip(adjust, stride, strict=True)):
        raise ValueError(f"adjust = {adjust} must be less than stride = {stride}")
    out = _spread_lengths(x.shape, w.shape, stride, pad, dilate, adjust)
    if any(n < 1 for n in out):
        raise ValueError(f"pad = {pad} leaves nothing of the result: its spatial shape would be {out}")
    return x.shape[0], w.shape[1] * groups, *out


def _spread_lengths(x: Shape, w: Shape, stride: Shape, pad: Shape, dilate: Shape, adjust: Shape) -> Shape:
    spans = _spans(w[2:], dilate)
    return tuple((n - 1) * t + s - 2 * p + a for n, t, s, p, a in zip(x[2:], stride, spans, pad, adjust, strict=True))


def _deconvolve(x: np.ndarray, w: np.ndarray, stride: Shape, pad: Shape, dilate: Shape, adjust: Shape, groups: int) -> np.ndarray:
    return _spread(x, w, _spread_lengths(x.shape, w.shape, stride, pad, dilate, adjust), stride, pad, dilate, groups)


def _deconvolve_backward(
    g: np.ndarray, x: np.ndarray, w: np.ndarray, stride: Shape, pad: Shape, dilate: Shape, adjust: Shape, groups: int
) -> tuple[np.ndarray, np.ndarray]:
    return (
        _correlate(g, w, x.shape[2:], stride, pad, dilate, groups),
        _correlate_weights(x, g, w.shape[2:], stride, pad, dilate, groups),
    )


def _lower_deconvolution_backward(
    low: Any, xs: list[Any], types: Types, stride: Shape, pad: Shape, dilate: Shape, adjust: Shape, groups: int
) -> list[Any]:
    """As a convolution of g and that convolution's gradient by its weights. (MXNet's own operator fails, in oneDNN, with one filter per
    group.)"""
    g, x, w = xs[:3]
    attrs = _convolution_attrs((types[0], types[2]), False, stride, pad, dilate, groups)
    by_x = low.shared("Convolution", [g, w], attrs)
    return [by_x, low.output(low.node("_backward_Convolution", [x, g, w], attrs, after=[by_x]), 1)]


def _deconvolution_attrs(types: Types, bias: bool, stride: Shape, pad: Shape, dilate: Shape, adjust: Shape, groups: int) -> Any:
    w = types[1].shape
    beyond = (len(stride) == 3) + (set(dilate) != {1}) + any(t.dtype != FLOAT32 for t in types)
    if beyond > 1:
        # where oneDNN does not help, MXNet's own operator lacks three dimensions, and gives wrong results with dilation
        return NotImplemented
    return {
        "kernel": tuple_attr(w[2:]),
        "num_filter": w[1] * groups,
        "stride": tuple_attr(stride),
        "pad": tuple_attr(pad),
        "dilate": tuple_attr(dilate),
        "adj": tuple_attr(adjust),
        "num_group": groups,
        "no_bias": int(not bias),
    }


deconvolution, deconvolution_bias = Linear(
    name="deconvolution",
    mxnet_op="Deconvolution",
    params=("stride", "pad", "dilate", "adjust", "groups"),
    filters=_deconvolution_shape,
    channels=1,
    count=lambda w, groups, **params: w[1] * groups,
    forward=_deconvolve,
    backward=_deconvolve_backward,
    attrs=_deconvolution_attrs,
    lower_backward=_lower_deconvolution_backward,
    work=lambda x, w, y: math.prod(x) * math.prod(w[1:]),
    samples=(
        _sample((2, 3, 4, 3), (3, 2, 2, 3), adjust=0),
        _sample((2, 2, 3, 4), (2, 3, 3, 2), stride=(2, 3), pad=(1, 0), adjust=(1, 2)),
        _sample((1, 4, 3, 3), (4, 2, 2, 2), groups=2, stride=2, adjust=0),
        _sample((1, 2, 3, 4), (2, 2, 2, 2), dilate=(2, 1), adjust=0),
        _sample((2, 3, 5), (3, 2, 3), stride=2, pad=1, adjust=1),
        _sample((1, 2, 2, 3, 2), (2, 2, 2, 2, 2), stride=(1, 2, 1), adjust=(0, 1, 0)),
    ),
    doc="the transpose of a convolution: w scaled by each element of x, laid out with overlaps summed",
    blocked=True,
).enter()
