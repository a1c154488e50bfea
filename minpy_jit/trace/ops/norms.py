"""Batch and layer normalisation (MXNet's `BatchNorm` and `LayerNorm`).

Both give (x - mean) * scale * gamma + beta, and the statistics beside it, as results of their own: batch normalisation takes them over all
axes but one, layer normalisation over that one. What changes the running statistics of batch normalisation is ordinary arithmetic
(layers.py); MXNet's operator, which would write to them, gets scratch memory instead.

With y = (x - mean) * scale and, for the mean over the axes of the statistics, M, the gradient of x is

    scale * P(gamma * g),   P(v) = v - M(v) - y * M(v * y)

(Ioffe and Szegedy, "Batch Normalization", 2015; Ba, Kiros and Hinton, "Layer Normalization", 2016). Its own gradient is written out in ops.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..op import TABLE, ZERO_GRADIENT, Op, Sample, Types, define
from ..types import ArrayType, Shape
from .elementwise import sqrt
from .families import FLOAT32, FLOATS
from .neural import FLOAT_SAMPLES, as_floats, float_dtype, fresh, through_float32
from .shape import broadcast_to, reshape, tuple_attr


def _along(shape: Shape, axis: int) -> Shape:
    """The shape in which a vector along `axis` meets an array."""
    return tuple(n if k == axis else 1 for k, n in enumerate(shape))


def _others(ndim: int, axis: int) -> tuple[int, ...]:
    return tuple(k for k in range(ndim) if k != axis)


def _require_vectors(x: ArrayType, axis: int, eps: float, **vectors: ArrayType) -> None:
    if x.ndim < 2 or not 0 <= axis < x.ndim:
        raise ValueError(f"axis = {axis} must be one of two or more; x has shape {x.shape}")
    if not eps > 0:
        raise ValueError(f"eps must be positive; got {eps}")
    for name, vector in vectors.items():
        if vector.shape != (x.shape[axis],):
            raise ValueError(f"{name} must have shape {(x.shape[axis],)}, that of axis {axis} of x; got {vector.shape}")


def _sum(x: Any, axes: tuple[int, ...]) -> Any:
    return TABLE["sum"](x, axis=axes, keepdims=False, dtype=None)


def _mean(x: Any, axes: tuple[int, ...]) -> Any:
    return TABLE["mean"](x, axis=axes, keepdims=True, dtype=None)


@dataclass(frozen=True)
class Norm:
    """A normalisation by statistics of the data.

    Attributes:
        name: of the entry; the gradient's adds `_backward`.
        mxnet_op: the forward operator; the gradient's is called `_backward_` and the same.
        over_axis: whether the statistics are taken over `axis` (else over all others).
        inverse: whether the second statistic is 1 / sqrt(variance + eps) (else its inverse).
        memory: (lowerer, type of gamma) -> what else MXNet's forward operator takes.
        inputs: (g, x, gamma, beta, mean, second, memory) -> the inputs of MXNet's gradient operator.
        eps_in_float32: whether MXNet's operator rounds eps to float32.
        idle_unread: whether MXNet's operator computes nothing, its statistics neither, where nobody reads its first result.
        blocked: see `Op`.
    """

    name: str
    mxnet_op: str
    over_axis: bool
    inverse: bool
    memory: Callable[[Any, ArrayType], list[Any]]
    inputs: Callable[..., list[Any]]
    attrs: Callable[[int, float], dict[str, Any]]
    doc: str
    eps_in_float32: bool = False
    idle_unread: bool = False
    blocked: bool = False

    # -- shapes ---------------------------------------------------------------------------------------------------------------------------
    def _reduced(self, ndim: int, axis: int) -> tuple[int, ...]:
        """The axes of the statistics."""
        return (axis,) if self.over_axis else _others(ndim, axis)

    def _wide(self, shape: Shape, axis: int) -> Shape:
        """The shape in which the statistics meet x."""
        return tuple(1 if k == axis else n for k, n in enumerate(shape)) if self.over_axis else _along(shape, axis)

    def _narrow(self, shape: Shape, axis: int) -> Shape:
        """The statistics' own shape."""
        return self._wide(shape, axis) if self.over_axis else (shape[axis],)

    # -- entries --------------------------------------------------------------------------------------------------------------------------
    def enter(self) -> Op:
        """Put both entries into the table; returns the forward one."""
        backward = define(
            f"{self.name}_backward",
            family="neural",
            arity=6,
            params=("axis", "eps"),
            outputs=3,
            infer=self._infer_backward,
            numpy=through_float32(self._numpy_backward),
            operand_dtypes=as_floats,
            mxnet=self._lower_backward,
            mxnet_dtypes=FLOATS,
            blocked=self.blocked,
            vjp=tuple(ZERO_GRADIENT if k == 3 else self._second_order(k) for k in range(6)),
            samples=self._samples(True),
            doc=f"the gradients of {self.name} by its operands, given its statistics",
        )

        def rule(k: int) -> Callable[..., Any]:
            def run(g: Any, ans: Any, x: Any, gamma: Any, beta: Any, axis: int, eps: float) -> Any:
                parts = []
                if g[0] is not None:
                    parts.append(backward(g[0], x, gamma, beta, ans[1], ans[2], axis=axis, eps=eps)[k])
                if k == 0:
                    parts += self._through_statistics(g, ans, x, axis)
                return None if not parts else parts[0] if len(parts) == 1 else sum(parts[1:], parts[0])

            return run

        return define(
            self.name,
            family="neural",
            arity=3,
            params=("axis", "eps"),
            outputs=3,
            infer=self._infer,
            numpy=through_float32(self._numpy),
            operand_dtypes=as_floats,
            mxnet=self._lower,
            mxnet_dtypes=FLOATS,
            blocked=self.blocked,
            vjp=tuple(rule(k) for k in range(3)),
            samples=self._samples(False),
            doc=self.doc,
        )

    def _infer(self, x: ArrayType, gamma: ArrayType, beta: ArrayType, axis: int, eps: float) -> tuple[ArrayType, ...]:
        types = (x, gamma, beta)
        dtype = float_dtype(types)
        _require_vectors(x, axis, eps, gamma=gamma, beta=beta)
        statistic = fresh(self._narrow(x.shape, axis), dtype, types)
        return fresh(x.shape, dtype, types), statistic, statistic

    def _infer_backward(
        self, g: ArrayType, x: ArrayType, gamma: ArrayType, beta: ArrayType, mean: ArrayType, second: ArrayType, axis: int, eps: float
    ) -> tuple[ArrayType, ...]:
        types = (g, x, gamma, beta, mean, second)
        dtype = float_dtype(types)
        _require_vectors(x, axis, eps, gamma=gamma, beta=beta)
        wanted = self._narrow(x.shape, axis)
        if g.shape != x.shape or mean.shape != wanted or second.shape != wanted:
            raise ValueError(f"g must have x's shape {x.shape} and the statistics {wanted}; got {g.shape}, {mean.shape}, {second.shape}")
        vector = fresh(gamma.shape, dtype, types)
        return fresh(x.shape, dtype, types), vector, vector

    def _numpy(self, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, axis: int, eps: float) -> tuple[np.ndarray, ...]:
        axes = self._reduced(x.ndim, axis)
        mean = x.mean(axis=axes, keepdims=True)
        deviations = x - mean
        spread = np.sqrt(np.square(deviations).mean(axis=axes, keepdims=True) + x.dtype.type(eps))
        along = _along(x.shape, axis)
        y = deviations / spread * gamma.reshape(along) + beta.reshape(along)
        second = np.reciprocal(spread) if self.inverse else spread
        narrow = self._narrow(x.shape, axis)
        return y, mean.reshape(narrow), second.reshape(narrow)

    def _numpy_backward(
        self, g: np.ndarray, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray, second: np.ndarray, axis: int, eps: float
    ) -> tuple[np.ndarray, ...]:
        axes, wide = self._reduced(x.ndim, axis), self._wide(x.shape, axis)
        scale = second.reshape(wide) if self.inverse else np.reciprocal(second.reshape(wide))
        y = (x - mean.reshape(wide)) * scale
        v = g * gamma.reshape(_along(x.shape, axis))
        projected = v - v.mean(axis=axes, keepdims=True) - y * (v * y).mean(axis=axes, keepdims=True)
        others = _others(x.ndim, axis)
        return scale * projected, (g * y).sum(axis=others), g.sum(axis=others)

    def _lower(self, low: Any, xs: list[Any], types: Types, result: Any, axis: int, eps: float) -> Any:
        attrs = self.attrs(axis, eps)
        if self.eps_in_float32 and float(np.float32(eps)) != eps and result[0].dtype != FLOAT32:
            return NotImplemented
        vector = fresh(types[1].shape, result[0].dtype, types)
        node = low.shared(self.mxnet_op, [*xs, *self.memory(low, vector)], attrs)
        y, *statistics = [low.output(node, k) for k in range(3)]
        if self.idle_unread:
            # copies of the statistics that read the result as well
            kept = {"axes": tuple_attr((1 if axis == 0 else 0,))}
            statistics = [low.node("slice_like", [s, y], kept) for s in statistics]
        return [y, *statistics]

    def _lower_backward(self, low: Any, xs: list[Any], types: Types, result: Any, axis: int, eps: float) -> Any:
        # eps is not used: it is in the statistics
        attrs = self.attrs(axis, eps)
        memory = self.memory(low, result[1])
        forward = low.shared(self.mxnet_op, [*xs[1:4], *memory], attrs)
        node = low.node(f"_backward_{self.mxnet_op}", self.inputs(*xs, memory), attrs, after=[forward])
        return [low.output(node, k) for k in range(3)]

    # -- rules ----------------------------------------------------------------------------------------------------------------------------
    def _through_statistics(self, g: Any, ans: Any, x: Any, axis: int) -> list[Any]:
        """What flows to x through the second and third result."""
        wide = self._wide(x.type.shape, axis)
        count = math.prod(x.type.shape[k] for k in self._reduced(x.type.ndim, axis))
        parts = []
        if g[1] is not None:
            parts.append(broadcast_to(reshape(g[1] / count, shape=wide), shape=x.type.shape))
        if g[2] is not None:
            second = ans[2]
            slope = -(second * second * second) if self.inverse else 1.0 / second
            parts.append((x - reshape(ans[1], shape=wide)) * reshape(g[2] * slope / count, shape=wide))
        return parts

    def _second_order(self, k: int) -> Callable[..., Any]:
        """The rule of operand k of the gradient: L = <a, scale P(v)> + <b, g y> + <c, g>, with v = gamma g."""

        def rule(cotangents: Any, ans: Any, g: Any, x: Any, gamma: Any, beta: Any, mean: Any, second: Any, axis: int, eps: float) -> Any:
            a, b, c = cotangents
            shape, ndim = x.type.shape, x.type.ndim
            axes, wide, along, others = self._reduced(ndim, axis), self._wide(shape, axis), _along(shape, axis), _others(ndim, axis)
            scale = reshape(second if self.inverse else 1.0 / second, shape=wide)
            centred = x - reshape(mean, shape=wide)
            y = centred * scale
            gain = reshape(gamma, shape=along)
            v = g * gain
            by_b = None if b is None else broadcast_to(reshape(b, shape=along), shape=shape)

            def project(u: Any) -> Any:
                return u - _mean(u, axes) - y * _mean(u * y, axes)

            def by_y() -> Any:
                found = None if a is None else -scale * (a * _mean(v * y, axes) + v * _mean(a * y, axes))
                if by_b is not None:
                    found = by_b * g if found is None else found + by_b * g
                return found

            if k == 0:
                parts = [] if a is None else [gain * scale * project(a)]
                if by_b is not None:
                    parts.append(by_b * y)
                if c is not None:
                    parts.append(broadcast_to(reshape(c, shape=along), shape=shape))
                return sum(parts[1:], parts[0])
            if k == 2:
                return None if a is None else _sum(g * scale * project(a), others)
            through = by_y()
            if through is None:
                return None
            if k == 1:
                return through * scale
            narrow = self._narrow(shape, axis)
            if k == 4:
                return -reshape(_sum(through * scale, axes), shape=narrow)
            by_scale = _sum(through * centred if a is None else through * centred + a * project(v), axes)
            return reshape(by_scale, shape=narrow) * (1.0 if self.inverse else -1.0 / (second * second))

        return rule

    def _samples(self, backward: bool) -> tuple[Sample, ...]:
        found = []
        for shape, axis, eps in (((4, 3), 1, 1e-3), ((2, 3, 2, 4), 1, 0.125), ((2, 3, 5), 2, 2.0**-17), ((3, 4, 2), 0, 2.0**-10)):
            vector, statistic = (shape[axis],), self._narrow(shape, axis)
            shapes = (shape, shape, vector, vector, statistic, statistic) if backward else (shape, vector, vector)
            found.append(Sample(shapes, {"axis": axis, "eps": eps}, low=0.5 if backward else -2.0, dtypes=FLOAT_SAMPLES))
        return tuple(found)


# -- batch normalisation ------------------------------------------------------------------------------------------------------------------
def _scratch(low: Any, vector: ArrayType) -> list[Any]:
    """Memory for the running statistics that MXNet's operator would write to: results inside the symbol, so that they are no auxiliary
    states of it. Nothing reads them."""
    attrs = {"shape": tuple_attr(vector.shape), "dtype": vector.dtype.name}
    return [low.shared("_zeros", [], attrs), low.shared("_ones", [], attrs)]


def _batch_attrs(axis: int, eps: float, **others: Any) -> dict[str, Any]:
    # with fix_gamma MXNet's operator writes ones into the caller's gamma
    return {"axis": axis, "eps": eps, "fix_gamma": 0, **others}


batch_norm = Norm(
    name="batch_norm",
    mxnet_op="BatchNorm",
    over_axis=False,
    inverse=True,
    memory=_scratch,
    inputs=lambda g, x, gamma, beta, mean, second, memory: [g, mean, second, x, gamma, beta, *memory],
    attrs=_batch_attrs,
    blocked=True,
    doc="(y, mean, 1 / sqrt(variance + eps)): x normalised over all axes but one, times gamma, plus beta",
).enter()


def _infer_inference(
    x: ArrayType, gamma: ArrayType, beta: ArrayType, mean: ArrayType, variance: ArrayType, axis: int, eps: float
) -> ArrayType:
    types = (x, gamma, beta, mean, variance)
    dtype = float_dtype(types)
    _require_vectors(x, axis, eps, gamma=gamma, beta=beta, mean=mean, variance=variance)
    return fresh(x.shape, dtype, types)


def _numpy_inference(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray, variance: np.ndarray, axis: int, eps: float
) -> np.ndarray:
    gamma, beta, mean, variance = (v.reshape(_along(x.shape, axis)) for v in (gamma, beta, mean, variance))
    return (x - mean) / np.sqrt(variance + x.dtype.type(eps)) * gamma + beta


def _lower_inference(low: Any, xs: list[Any], types: Types, result: ArrayType, axis: int, eps: float) -> Any:
    # copies: what the operator may write to would else be auxiliary states of the symbol
    copies = [low.node("_copy", [e]) for e in xs[3:]]
    return low.shared("BatchNorm", [*xs[:3], *copies], _batch_attrs(axis, eps, use_global_stats=1))


def _inference_rule(k: int) -> Callable[..., Any]:
    def rule(g: Any, ans: Any, x: Any, gamma: Any, beta: Any, mean: Any, variance: Any, axis: int, eps: float) -> Any:
        along, others = _along(x.type.shape, axis), _others(x.type.ndim, axis)
        scale = 1.0 / sqrt(variance + eps)
        if k == 0:
            return g * reshape(gamma * scale, shape=along)
        if k == 2:
            return _sum(g, others)
        if k == 3:
            return -_sum(g, others) * gamma * scale
        moment = _sum(g * (x - reshape(mean, shape=along)), others)
        return moment * scale if k == 1 else -0.5 * moment * gamma * scale * scale * scale

    return rule


batch_norm_inference = define(
    "batch_norm_inference",
    family="neural",
    arity=5,
    params=("axis", "eps"),
    infer=_infer_inference,
    numpy=through_float32(_numpy_inference),
    operand_dtypes=as_floats,
    mxnet=_lower_inference,
    mxnet_dtypes=FLOATS,
    blocked=True,
    vjp=tuple(_inference_rule(k) for k in range(5)),
    samples=(
        Sample(((4, 3), (3,), (3,), (3,), (3,)), {"axis": 1, "eps": 1e-3}, low=0.5, dtypes=FLOAT_SAMPLES),
        Sample(((2, 3, 2, 4), (3,), (3,), (3,), (3,)), {"axis": 1, "eps": 0.1}, low=0.5, dtypes=FLOAT_SAMPLES),
        Sample(((2, 3, 5), (5,), (5,), (5,), (5,)), {"axis": 2, "eps": 1e-5}, low=0.5, dtypes=FLOAT_SAMPLES),
    ),
    doc="x normalised by a given mean and variance along one axis, times gamma, plus beta",
)

# -- layer normalisation ------------------------------------------------------------------------------------------------------------------
layer_norm = Norm(
    name="layer_norm",
    mxnet_op="LayerNorm",
    over_axis=True,
    inverse=False,
    memory=lambda low, vector: [],
    inputs=lambda g, x, gamma, beta, mean, second, memory: [g, x, gamma, mean, second],
    attrs=lambda axis, eps: {"axis": axis, "eps": eps},
    eps_in_float32=True,
    idle_unread=True,
    doc="(y, mean, sqrt(variance + eps)): x normalised over one axis, times gamma, plus beta",
).enter()
