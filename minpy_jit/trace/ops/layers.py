"""Neural operators as functions of arrays (or Refs): arguments as one writes them -> entries of the table with normalised parameters.

What layers of models, and MXNet symbols turned into programs, are written with. Conventions and defaults are MXNet's: x is (batch,
channels, *spatial), the weights of a convolution (filters, channels of a group, *kernel). An embedding is `take` of rows of its weights;
softmax and the activations are ordinary entries.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..op import Op
from .cast import stop_gradient
from .neural import (
    convolution,
    convolution_bias,
    deconvolution,
    deconvolution_bias,
    fully_connected,
    fully_connected_bias,
)
from .normalise import normalise_axis
from .norms import batch_norm, batch_norm_inference, layer_norm
from .pooling import average_pooling, max_pooling, sum_pooling
from .recurrent import gru, lstm, rnn_relu, rnn_tanh
from .shape import reshape

_RECURRENT = {op.name: op for op in (lstm, gru, rnn_tanh, rnn_relu)}
_POOLINGS = {"max": max_pooling, "avg": average_pooling, "sum": sum_pooling}

PerAxis = int | tuple[int, ...]


def _per_axis(op: Op, ndim: int, **given: Any) -> dict[str, tuple[int, ...]]:
    """One integer per spatial axis, from one for all or from one for each (their number is checked by the type rules).

    Raises:
        TypeError: neither.
    """
    found = {}
    for name, value in given.items():
        try:
            found[name] = (operator.index(value),) * (ndim - 2)
        except TypeError:
            try:
                found[name] = tuple(operator.index(v) for v in value)
            except TypeError:
                text = f"[{op.name}] {name} must be an integer, or one for each spatial axis; got {value!r}"
                raise TypeError(text) from None
    return found


def dense(x: Any, w: Any, b: Any = None, flatten: bool = True) -> Any:
    """x @ w.T + b over the last axis of x, or, with `flatten`, over all of its axes but the first.

    Args:
        x: (samples, ...).
        w: (outputs, inputs).
        b: (outputs,), or None.
    """
    shape = x.type.shape
    rows = shape[:1] if flatten else shape[:-1]
    flat = (math.prod(rows), math.prod(shape[len(rows) :]))
    if shape != flat:
        x = reshape(x, shape=flat)
    y = fully_connected(x, w) if b is None else fully_connected_bias(x, w, b)
    wanted = (*rows, *y.type.shape[1:])
    return y if y.type.shape == wanted else reshape(y, shape=wanted)


def convolve(x: Any, w: Any, b: Any = None, stride: PerAxis = 1, pad: PerAxis = 0, dilate: PerAxis = 1, groups: int = 1) -> Any:
    """Convolution over 1 to 3 spatial axes, `stride`, `pad` and `dilate` one number for all of them or one for each."""
    given = {**_per_axis(convolution, x.type.ndim, stride=stride, pad=pad, dilate=dilate), "groups": operator.index(groups)}
    return convolution(x, w, **given) if b is None else convolution_bias(x, w, b, **given)


def deconvolve(
    x: Any, w: Any, b: Any = None, stride: PerAxis = 1, pad: PerAxis = 0, dilate: PerAxis = 1, adjust: PerAxis = 0, groups: int = 1
) -> Any:
    """Transposed convolution; w is (channels, filters of a group, *kernel), `adjust` what is added to the result's lengths."""
    axes = _per_axis(deconvolution, x.type.ndim, stride=stride, pad=pad, dilate=dilate, adjust=adjust)
    given = {**axes, "groups": operator.index(groups)}
    return deconvolution(x, w, **given) if b is None else deconvolution_bias(x, w, b, **given)


def pool(
    x: Any,
    kind: str = "max",
    kernel: PerAxis | None = None,
    stride: PerAxis = 1,
    pad: PerAxis = 0,
    full: bool = False,
    count_pad: bool = True,
) -> Any:
    """The "max", "avg" or "sum" of each window; without a kernel, of the whole spatial extent.

    Args:
        full: a last window that hangs over the end counts (MXNet's convention "full").
        count_pad: whether an average counts the padding.

    Raises:
        ValueError: another kind.
    """
    op = _POOLINGS.get(kind)
    if op is None:
        raise ValueError(f"[pool] unknown kind {kind!r}; one of {', '.join(map(repr, _POOLINGS))}")
    if kernel is None:
        kernel, stride, pad, full = x.type.shape[2:], 1, 0, False
    others = {"count_pad": bool(count_pad)} if op is average_pooling else {}
    return op(x, **_per_axis(op, x.type.ndim, kernel=kernel, stride=stride, pad=pad), full=bool(full), **others)


def batch_normalise(
    x: Any,
    gamma: Any,
    beta: Any,
    running_mean: Any,
    running_var: Any,
    training: bool,
    momentum: float = 0.9,
    eps: float = 1e-3,
    axis: int = 1,
) -> tuple[Any, Any, Any]:
    """(y, running mean, running variance): normalised by the batch's statistics when training, else by the running ones.

    When training the running statistics that come back are `momentum` times the old ones plus the rest times the batch's (its variance
    biased, as MXNet's); no gradient flows through them.
    """
    axis = normalise_axis(axis, x.type.ndim)
    if not training:
        return batch_norm_inference(x, gamma, beta, running_mean, running_var, axis=axis, eps=float(eps)), running_mean, running_var
    y, mean, scale = batch_norm(x, gamma, beta, axis=axis, eps=float(eps))
    mean, scale = stop_gradient(mean), stop_gradient(scale)
    variance = 1.0 / (scale * scale) - float(eps)
    rest = 1.0 - momentum
    return y, momentum * running_mean + rest * mean, momentum * running_var + rest * variance


def layer_normalise(x: Any, gamma: Any, beta: Any, axis: int = -1, eps: float = 1e-5) -> Any:
    """x normalised over one axis, times gamma, plus beta. `eps` is rounded to float32, as MXNet's operator takes it."""
    return layer_norm(x, gamma, beta, axis=normalise_axis(axis, x.type.ndim), eps=float(np.float32(eps)))[0]


def recurrent(mode: str, x: Any, parameters: Any, *states: Any, layers: int = 1, bidirectional: bool = False) -> tuple[Any, ...]:
    """(y, last state), for "lstm" (y, last state, last cell): a recurrent network over a sequence (recurrent.py says how it is laid out).

    Raises:
        ValueError: an unknown mode, or another number of states.
    """
    op = _RECURRENT.get(mode)
    if op is None:
        raise ValueError(f"[recurrent] unknown mode {mode!r}; one of {', '.join(map(repr, _RECURRENT))}")
    if len(states) != op.outputs - 1:
        raise ValueError(f"[{mode}] takes {op.outputs - 1} state(s); got {len(states)}")
    return op(x, parameters, *states, layers=layers, bidirectional=bool(bidirectional))
