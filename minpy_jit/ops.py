"""Neural operators on arrays: what NumPy has no name for and MXNet has an operator for.

Each is an operation like any other: recorded, differentiated, run by MXNet's own operator where it has one for the dtype, else by NumPy.
Arguments may be arrays of ours or NumPy's, or nested lists; integers and floats meet as in NumPy (an operator that needs floats says so).
x is (batch, channels, *spatial) with one to three spatial axes; `stride`, `pad` and `dilate` are one number for all of them or one each.
"""

from __future__ import annotations

from typing import Any

from .numpy.convert import as_handle, follows
from .trace.ops import layers, op

__all__ = [
    "batch_norm",
    "convolution",
    "deconvolution",
    "erf",
    "fully_connected",
    "layer_norm",
    "pooling",
    "relu",
    "rnn",
    "sigmoid",
    "softmax",
]

Array = Any
PerAxis = int | tuple[int, ...]


def _optional(value: Any) -> Any:
    return None if value is None else as_handle(value)


def relu(x: Any) -> Array:
    """The larger of x and 0; at 0 its derivative is 0.

    >>> relu([-1.0, 2.0])
    array([0., 2.])
    """
    return op("relu")(as_handle(x))


def sigmoid(x: Any) -> Array:
    """The logistic function, 1 / (1 + exp(-x)); integers become floats.

    >>> sigmoid([0.0, 1000.0])
    array([0.5, 1. ])
    """
    return op("sigmoid")(as_handle(x))


def erf(x: Any) -> Array:
    """The error function, 2 / √π · ∫₀ˣ exp(-t²) dt; integers become floats."""
    return op("erf")(as_handle(x))


def softmax(x: Any, axis: int = -1) -> Array:
    """exp(x) / sum(exp(x)) along an axis, without overflow.

    Raises:
        AxisError: no such axis.

    >>> softmax([1000.0, 1000.0])
    array([0.5, 0.5])
    """
    x = as_handle(x)
    return op("softmax")(x, axis=layers.normalise_axis(axis, x.type.ndim))


@follows
def fully_connected(x: Any, w: Any, b: Any = None, *, flatten: bool = True) -> Array:
    """x @ w.T + b over all axes of x but the first, or, without `flatten`, over its last axis (MXNet's `FullyConnected`).

    Args:
        x: (samples, ...), floats.
        w: (outputs, inputs).
        b: (outputs,), or None.

    Returns:
        (samples, outputs), without `flatten` (..., outputs).

    Raises:
        TypeError: no floats.
        ValueError: shapes that do not fit.
    """
    return layers.dense(as_handle(x), as_handle(w), _optional(b), flatten)


@follows
def convolution(x: Any, w: Any, b: Any = None, *, stride: PerAxis = 1, pad: PerAxis = 0, dilate: PerAxis = 1, groups: int = 1) -> Array:
    """The products of each filter with the windows of x, summed, plus the filter's bias (MXNet's `Convolution`).

    Args:
        x: (batch, channels, *spatial), floats.
        w: (filters, channels / groups, *kernel).
        b: (filters,), or None.
        stride: the distance between windows.
        pad: how many zeros stand at either end of an axis.
        dilate: the distance between a window's elements.
        groups: into how many parts channels and filters are divided, each part with its own filters.

    Returns:
        (batch, filters, *out), with out = (spatial + 2 pad - (dilate (kernel - 1) + 1)) // stride + 1.

    Raises:
        TypeError: no floats.
        ValueError: shapes or numbers that do not fit.

    >>> convolution([[[1.0, 2.0, 4.0]]], [[[1.0, -1.0]]])
    array([[[-1., -2.]]])
    """
    return layers.convolve(as_handle(x), as_handle(w), _optional(b), stride, pad, dilate, groups)


@follows
def deconvolution(
    x: Any,
    w: Any,
    b: Any = None,
    *,
    stride: PerAxis = 1,
    pad: PerAxis = 0,
    dilate: PerAxis = 1,
    adjust: PerAxis = 0,
    groups: int = 1,
) -> Array:
    """The transpose of a convolution, by its input: each element of x lays out its filters, overlaps are summed (MXNet's `Deconvolution`).

    Args:
        x: (batch, channels, *spatial), floats.
        w: (channels, filters / groups, *kernel).
        b: (filters,), or None.
        stride, pad, dilate, groups: of the convolution.
        adjust: what is added to the result's lengths, less than the stride.

    Returns:
        (batch, filters, *out), with out = (spatial - 1) stride + dilate (kernel - 1) + 1 - 2 pad + adjust.

    Raises:
        TypeError: no floats.
        ValueError: shapes or numbers that do not fit.
    """
    return layers.deconvolve(as_handle(x), as_handle(w), _optional(b), stride, pad, dilate, adjust, groups)


def pooling(
    x: Any,
    kernel: PerAxis | None = None,
    *,
    mode: str = "max",
    stride: PerAxis | None = None,
    pad: PerAxis = 0,
    full: bool = False,
    count_pad: bool = True,
) -> Array:
    """The "max", "avg" or "sum" of each window of the spatial axes (MXNet's `Pooling`).

    Args:
        x: (batch, channels, *spatial), floats.
        kernel: the window's lengths; None: the whole spatial extent.
        mode: "max", "avg" or "sum".
        stride: the distance between windows; None: the window's own length.
        pad: how many elements, less than the kernel, are added at either end of an axis.
        full: whether a last window that hangs over the end counts.
        count_pad: whether an average counts what was added.

    Returns:
        (batch, channels, *out), with out = (spatial + 2 pad - kernel) // stride + 1, rounded up with `full`.

    Raises:
        TypeError: no floats.
        ValueError: shapes, numbers or a mode that do not fit.

    >>> pooling([[[1.0, 3.0, 2.0, 5.0]]], 2)
    array([[[3., 5.]]])
    """
    if mode not in ("max", "avg", "sum"):
        raise ValueError(f"[pooling] mode = {mode!r}; legal values: 'max', 'avg', 'sum'")
    if stride is None:
        stride = 1 if kernel is None else kernel
    return layers.pool(as_handle(x), mode, kernel, stride, pad, full, count_pad)


@follows
def batch_norm(
    x: Any,
    gamma: Any,
    beta: Any,
    running_mean: Any,
    running_var: Any,
    *,
    training: bool,
    momentum: float = 0.9,
    eps: float = 1e-3,
    axis: int = 1,
) -> tuple[Array, Array, Array]:
    """x normalised over all axes but one, times gamma, plus beta (MXNet's `BatchNorm`; Ioffe and Szegedy, 2015).

    Args:
        x: floats, two axes or more.
        gamma, beta, running_mean, running_var: vectors along `axis`.
        training: normalise by the mean and the (biased) variance of x, and move the running ones: `momentum` times the old plus the rest
            times the batch's. Else normalise by the running ones.
        eps: added to the variance.
        axis: the axis that is not averaged over.

    Returns:
        (y of x's shape, running mean, running variance); no gradient flows through the last two.

    Raises:
        TypeError: no floats.
        ValueError: shapes that do not fit, or eps not positive.
    """
    x, gamma, beta, running_mean, running_var = map(as_handle, (x, gamma, beta, running_mean, running_var))
    return layers.batch_normalise(x, gamma, beta, running_mean, running_var, training, momentum, eps, axis)


@follows
def layer_norm(x: Any, gamma: Any, beta: Any, *, axis: int = -1, eps: float = 1e-5) -> Array:
    """x normalised over one axis, times gamma, plus beta (MXNet's `LayerNorm`; Ba, Kiros and Hinton, 2016).

    Args:
        x: floats, two axes or more.
        gamma, beta: vectors along `axis`.
        eps: added to the variance; rounded to float32, as MXNet takes it.

    Returns:
        An array of x's shape.

    Raises:
        TypeError: no floats.
        ValueError: shapes that do not fit, or eps not positive.
    """
    return layers.layer_normalise(as_handle(x), as_handle(gamma), as_handle(beta), axis, eps)


@follows
def rnn(mode: str, x: Any, parameters: Any, *states: Any, num_layers: int = 1, bidirectional: bool = False) -> tuple[Array, ...]:
    """A recurrent network over whole sequences, in one operator (MXNet's `RNN`). It has first derivatives only.

    Args:
        mode: "lstm", "gru", "rnn_tanh" or "rnn_relu".
        x: (time, batch, inputs), floats.
        parameters: one vector: for each layer and direction the matrices (gates · hidden, inputs) and (gates · hidden, hidden), then for
            each the two bias vectors (gates · hidden,). LSTM's gates are input, forget, candidate, output, GRU's reset, update, candidate.
        states: the first state, for "lstm" also the first cell: (num_layers · directions, batch, hidden).

    Returns:
        (y, last state), for "lstm" (y, last state, last cell); y is (time, batch, directions · hidden).

    Raises:
        TypeError: no floats.
        ValueError: shapes that do not fit, an unknown mode, or another number of states.
    """
    given = [as_handle(v) for v in (x, parameters, *states)]
    return layers.recurrent(mode, *given, layers=num_layers, bidirectional=bidirectional)
