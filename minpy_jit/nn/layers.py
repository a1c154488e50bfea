"""Layers and losses: functions of arrays, in NumPy code.

They promote dtypes as NumPy does (a float64 input and float32 weights give float64); models cast their batches (`io.cast`). Convolutions,
pooling, normalisations and the LSTM over a sequence are MXNet's operators (`minpy_jit.ops`).

A loss is a scalar: the mean over the batch. Labels of N samples and C classes are class numbers, (N,), of any dtype, or one-hot (or
probabilities), (N, C). A class number that is no class raises IndexError when the loss is computed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit import ops

Array = Any
PerAxis = int | tuple[int, ...]

MODES = {"train": True, "training": True, "test": False, "inference": False}


def is_training(mode: str, layer: str) -> bool:
    """Whether a mode is that of training.

    Raises:
        ValueError: an unknown mode.
    """
    if mode not in MODES:
        raise ValueError(f"[{layer}] mode = {mode!r}; legal values: {', '.join(map(repr, MODES))}")
    return MODES[mode]


# -- linear layers -------------------------------------------------------------------------------------------------------------------------
def affine(x: Array, w: Array, b: Array) -> Array:
    """x @ w + b, each sample of x as one row.

    Args:
        x: (N, d₁, …, dₖ), with d₁ · … · dₖ = D.
        w: (D, M).
        b: (M,).

    Returns:
        (N, M).

    Raises:
        ValueError: shapes that do not fit.

    >>> affine(np.ones((2, 3, 2)), np.ones((6, 4)), np.zeros(4)).shape
    (2, 4)
    """
    x = np.asarray(x)
    rows = x if x.ndim == 2 else x.reshape(x.shape[0], math.prod(x.shape[1:]))
    if len(w.shape) != 2 or rows.shape[1] != w.shape[0]:
        raise ValueError(
            f"[affine] x of shape {x.shape} has {rows.shape[1]} numbers per sample; w must be ({rows.shape[1]}, M), got {w.shape}"
        )
    return rows @ w + b


def temporal_affine(x: Array, w: Array, b: Array) -> Array:
    """x @ w + b at each time step.

    Args:
        x: (N, T, D).
        w: (D, M).
        b: (M,).

    Returns:
        (N, T, M).
    """
    samples, steps, inputs = x.shape
    return (x.reshape(samples * steps, inputs) @ w + b).reshape(samples, steps, w.shape[1])


def convolution(
    x: Array,
    w: Array,
    b: Array = None,
    kernel: PerAxis | None = None,
    stride: PerAxis = 1,
    pad: PerAxis = 0,
    dilate: PerAxis = 1,
    groups: int = 1,
) -> Array:
    """The products of each filter with the windows of x, summed, plus the filter's bias (`ops.convolution`).

    Args:
        x: (N, C, H, W), or with one or three spatial axes.
        w: (F, C / groups, *kernel).
        b: (F,), or None.
        kernel: the window's lengths, to be checked against w; None: w's.
        stride, pad, dilate: one number for all spatial axes, or one for each.
        groups: into how many parts channels and filters are divided.

    Returns:
        (N, F, H', W').

    Raises:
        ValueError: shapes that do not fit.

    >>> convolution(np.ones((2, 3, 8, 8)), np.ones((4, 3, 3, 3)), np.zeros(4), kernel=(3, 3), stride=(2, 2), pad=(1, 1)).shape
    (2, 4, 4, 4)
    """
    if kernel is not None:
        wanted = (kernel,) * (len(w.shape) - 2) if isinstance(kernel, int) else tuple(kernel)
        if w.shape[2:] != wanted:
            raise ValueError(f"[convolution] kernel = {kernel}, but w has shape {w.shape}: its kernel is {w.shape[2:]}")
    return ops.convolution(x, w, b, stride=stride, pad=pad, dilate=dilate, groups=groups)


def pooling(x: Array, kernel: PerAxis, stride: PerAxis | None = None, mode: str = "max", pad: PerAxis = 0) -> Array:
    """The largest element, the mean or the sum of each window (`ops.pooling`).

    Args:
        x: (N, C, H, W), or with one or three spatial axes.
        kernel: the window's lengths, one number for all spatial axes or one for each.
        stride: the distance between windows; None: the window's own length.
        mode: "max", "avg" or "sum".
        pad: what is added at either end of an axis.

    Returns:
        (N, C, H', W').

    >>> pooling(np.arange(16.0).reshape(1, 1, 4, 4), kernel=(2, 2), mode="avg").tolist()
    [[[[2.5, 4.5], [10.5, 12.5]]]]
    """
    return ops.pooling(x, kernel, mode=mode, stride=stride, pad=pad)


def embedding(x: Array, w: Array) -> Array:
    """Rows of w.

    Args:
        x: row numbers, of any shape.
        w: (rows, D).

    Returns:
        (*x.shape, D).

    Raises:
        IndexError: there is no such row; when the value is computed.
    """
    return np.take(w, whole(x), axis=0)


# -- activations ---------------------------------------------------------------------------------------------------------------------------
def relu(x: Array) -> Array:
    """The larger of x and 0.

    >>> relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    return ops.relu(x)


def leaky_relu(x: Array, slope: float = 0.01) -> Array:
    """x where it is positive, else slope · x (Maas, Hannun and Ng, 2013)."""
    return np.where(x > 0, x, slope * x)


def elu(x: Array, alpha: float = 1.0) -> Array:
    """x where it is positive, else alpha · (exp(x) - 1) (Clevert, Unterthiner and Hochreiter, 2016)."""
    # where() takes the gradient of both branches: what is not chosen must not overflow
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def gelu(x: Array, approximate: bool = False) -> Array:
    """x · Φ(x), with Φ the normal distribution function; or its approximation by tanh (Hendrycks and Gimpel, 2016)."""
    if approximate:
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + ops.erf(x * math.sqrt(0.5)))


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)).

    >>> sigmoid(np.array([0.0]))
    array([0.5])
    """
    return ops.sigmoid(x)


def tanh(x: Array) -> Array:
    """The hyperbolic tangent."""
    return np.tanh(x)


def softmax(x: Array, axis: int = -1) -> Array:
    """exp(x) / sum(exp(x)) along an axis.

    >>> softmax(np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    """
    return ops.softmax(x, axis)


def log_softmax(x: Array, axis: int = -1) -> Array:
    """log(softmax(x)), without the overflow and the loss of digits on the way."""
    # a constant for the gradient: the result does not depend on what is subtracted
    shifted = x - minpy_jit.stop_gradient(np.max(x, axis=axis, keepdims=True))
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


# -- normalisation and dropout -------------------------------------------------------------------------------------------------------------
def batchnorm(
    x: Array,
    gamma: Array,
    beta: Array,
    mode: str = "train",
    eps: float = 1e-5,
    momentum: float = 0.9,
    running_mean: Array = None,
    running_var: Array = None,
) -> tuple[Array, Array, Array]:
    """Each feature (or channel) normalised over the batch, times gamma, plus beta (Ioffe and Szegedy, "Batch Normalization", 2015).

    Args:
        x: (N, D), or (N, D, *spatial): averages are taken over all axes but the second.
        gamma, beta: (D,), or (1, D), as MinPy took them too.
        mode: "train": by the mean and the (biased) variance of the batch. "test": by the running ones.
        eps: added to the variance.
        momentum: next running statistic = momentum · the last one + (1 - momentum) · the batch's.
        running_mean, running_var: (D,); None: zeros.

    Returns:
        (y of x's shape, running mean, running variance); no gradient flows through the last two.

    Raises:
        ValueError: shapes that do not fit, or an unknown mode.
    """
    training = is_training(mode, "batchnorm")
    gamma, beta = (p.reshape(p.shape[1]) if p.shape == (1, x.shape[1]) else p for p in (gamma, beta))
    # values, as they are from the second batch on: the first one is then the same program
    mean, var = (np.array(numpy.zeros(gamma.shape, gamma.dtype)) if s is None else s for s in (running_mean, running_var))
    return ops.batch_norm(x, gamma, beta, mean, var, training=training, momentum=momentum, eps=eps)


def layernorm(x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> Array:
    """Each sample normalised along its last axis, times gamma, plus beta (Ba, Kiros and Hinton, "Layer Normalization", 2016).

    Args:
        x: (..., D).
        gamma, beta: (D,).
        eps: added to the variance.

    Returns:
        An array of x's shape.
    """
    return ops.layer_norm(x, gamma, beta, eps=eps)


def dropout(x: Array, prob: float, mode: str = "train", seed: int | None = None) -> Array:
    """Inverted dropout: in training each element is dropped with that probability and the others are scaled by 1 / (1 - prob), so that
    in test the input passes as it is (Srivastava et al., 2014).

    Args:
        x: of any shape.
        prob: from 0 to less than 1.
        mode: "train" or "test".
        seed: None: the mask is drawn from NumPy's global stream; else from a stream of its own that this number begins.

    Returns:
        An array of x's shape.

    Raises:
        ValueError: an illegal probability or mode.

    >>> dropout(np.ones(4), 0.5, seed=0)
    array([2., 2., 2., 2.])
    >>> dropout(np.ones(4), 0.5, seed=1)
    array([0., 2., 0., 0.])
    """
    if not 0 <= prob < 1:
        raise ValueError(f"[dropout] prob = {prob!r} must be at least 0 and less than 1")
    if not is_training(mode, "dropout") or prob == 0:
        return x
    stream = np.random if seed is None else np.random.RandomState(seed)
    kept = stream.random_sample(x.shape) >= prob
    # Python's float, whatever number prob is: x keeps its dtype
    return np.where(kept, x * (1 / (1 - float(prob))), 0.0)


# -- losses --------------------------------------------------------------------------------------------------------------------------------
def whole(x: Array) -> Array:
    """Class or row numbers as integers: MXNet's iterators give floats, which its CSV reader does not even hit exactly.

    >>> whole(np.array([0.0, 104.99999])).tolist()
    [0, 105]
    """
    x = np.asarray(x)
    return x if x.dtype.kind in "iu" else np.rint(x).astype("int64")


def _of_class(values: Array, label: Array, name: str) -> Array:
    """For each sample the value at its class; with one-hot labels (or probabilities) the mean weighted by them.

    Raises:
        ValueError: labels that do not fit.
    """
    label = np.asarray(label)
    if label.shape == values.shape:
        return np.sum(values * label, axis=-1)
    if label.shape != values.shape[:-1]:
        raise ValueError(
            f"[{name}] labels of shape {label.shape} do not fit values of shape {values.shape}; "
            f"class numbers have shape {values.shape[:-1]}, one-hot labels {values.shape}"
        )
    return np.take_along_axis(values, whole(label)[..., None], axis=-1)[..., 0]


def softmax_loss(x: Array, y: Array) -> Array:
    """The cross entropy of softmax(x): the mean of -log of the probability of each sample's class.

    Args:
        x: scores, (N, C).
        y: class numbers, (N,), or one-hot, (N, C).

    Returns:
        A scalar.

    Raises:
        ValueError: labels that do not fit.

    >>> round(float(softmax_loss(np.zeros((3, 10)), np.array([1, 5, 9]))), 4)
    2.3026
    """
    return -np.sum(_of_class(log_softmax(x), y, "softmax_loss")) / x.shape[0]


def softmax_cross_entropy(prob: Array, label: Array) -> Array:
    """The mean of -log of the probability of each sample's class.

    Args:
        prob: probabilities, (N, C); taken to be at least the smallest normal number.
        label: class numbers, (N,), or one-hot, (N, C).

    Returns:
        A scalar.

    Raises:
        ValueError: labels that do not fit.
    """
    smallest = float(np.finfo(prob.dtype).tiny)
    return -np.sum(_of_class(np.log(np.maximum(prob, smallest)), label, "softmax_cross_entropy")) / prob.shape[0]


def svm_loss(x: Array, y: Array) -> Array:
    """The multiclass hinge loss: the mean of Σ max(0, score - the class's score + 1) over the other classes (Weston and Watkins, 1999).

    Args:
        x: scores, (N, C).
        y: class numbers, (N,), or one-hot, (N, C).

    Returns:
        A scalar.

    Raises:
        ValueError: labels that do not fit.

    >>> svm_loss(np.array([[2.0, 1.5, -3.0]]), np.array([0]))
    0.5
    """
    margins = np.maximum(x - _of_class(x, y, "svm_loss")[:, None] + 1, 0)
    # the class itself has a margin of one
    return np.sum(margins) / x.shape[0] - 1


def l2_loss(x: Array, label: Array) -> Array:
    """The mean over the batch of the squared distance.

    Args:
        x: (N, C).
        label: targets of x's shape; (N,): the targets where C is 1, else class numbers, whose targets are one-hot.

    Returns:
        A scalar.

    Raises:
        ValueError: labels that do not fit.

    >>> l2_loss(np.array([[1.0], [2.0]]), np.array([0.0, 0.0]))
    2.5
    """
    label = np.asarray(label)
    if label.shape != x.shape and label.shape == x.shape[:1]:
        label = label[:, None] if x.shape[1:] == (1,) else np.asarray(whole(label)[:, None] == np.arange(x.shape[1]), x.dtype)
    if label.shape != x.shape:
        raise ValueError(f"[l2_loss] labels of shape {label.shape} do not fit values of shape {x.shape}")
    return np.sum((x - label) ** 2) / x.shape[0]


def sigmoid_cross_entropy(x: Array, label: Array) -> Array:
    """The mean over the batch of Σ -(label · log s + (1 - label) · log(1 - s)), with s = sigmoid(x), without overflow.

    Args:
        x: scores, (N, ...).
        label: of x's shape, from 0 to 1.

    Returns:
        A scalar.

    Raises:
        ValueError: labels that do not fit.
    """
    label = np.asarray(label)
    if label.shape != x.shape:
        raise ValueError(f"[sigmoid_cross_entropy] labels of shape {label.shape} do not fit scores of shape {x.shape}")
    return np.sum(np.maximum(x, 0) - x * label + np.log1p(np.exp(-np.abs(x)))) / x.shape[0]


def temporal_softmax_loss(x: Array, y: Array, mask: Array) -> Array:
    """The cross entropy at each time step that the mask keeps, summed over time, averaged over the batch.

    Args:
        x: scores, (N, T, V).
        y: class numbers, (N, T), or one-hot, (N, T, V).
        mask: (N, T), true (or a weight) where a step counts.

    Returns:
        A scalar.

    Raises:
        ValueError: labels that do not fit.
    """
    return -np.sum(_of_class(log_softmax(x), y, "temporal_softmax_loss") * mask) / x.shape[0]


# -- recurrent layers ----------------------------------------------------------------------------------------------------------------------
def rnn_step(x: Array, prev_h: Array, Wx: Array, Wh: Array, b: Array) -> Array:
    """One step of the plain recurrent network: tanh(x @ Wx + prev_h @ Wh + b) (Elman, 1990).

    Args:
        x: (N, D).
        prev_h: (N, H).
        Wx: (D, H).
        Wh: (H, H).
        b: (H,).

    Returns:
        The next state, (N, H).
    """
    return np.tanh(x @ Wx + prev_h @ Wh + b)


def rnn_temporal(x: Array, h0: Array, Wx: Array, Wh: Array, b: Array) -> Array:
    """`rnn_step` over a sequence, in one operator (`ops.rnn`), which has first derivatives only.

    Args:
        x: (N, T, D).
        h0: (N, H).
        Wx, Wh, b: as for `rnn_step`.

    Returns:
        The states, (N, T, H).
    """
    return _over_time("rnn_tanh", x, Wx, Wh, b, h0)


def lstm_step(x: Array, prev_h: Array, prev_c: Array, Wx: Array, Wh: Array, b: Array) -> tuple[Array, Array]:
    """One step of long short-term memory (Hochreiter and Schmidhuber, 1997; Gers et al., 2000).

    Args:
        x: (N, D).
        prev_h, prev_c: state and cell, (N, H).
        Wx: (D, 4H); the gates stand in the order input, forget, output, candidate.
        Wh: (H, 4H).
        b: (4H,).

    Returns:
        (next state, next cell), each (N, H).
    """
    hidden = prev_h.shape[1]
    activations = x @ Wx + prev_h @ Wh + b
    gates = sigmoid(activations[:, : 3 * hidden])
    i, f, o = gates[:, :hidden], gates[:, hidden : 2 * hidden], gates[:, 2 * hidden :]
    next_c = f * prev_c + i * np.tanh(activations[:, 3 * hidden :])
    return o * np.tanh(next_c), next_c


def lstm_temporal(x: Array, h0: Array, Wx: Array, Wh: Array, b: Array, c0: Array = None) -> Array:
    """`lstm_step` over a sequence, in one operator (`ops.rnn`), which has first derivatives only: write the loop for second ones.

    Args:
        x: (N, T, D).
        h0: (N, H).
        Wx, Wh, b: as for `lstm_step`.
        c0: the first cell, (N, H); None: zeros.

    Returns:
        The states, (N, T, H).
    """
    hidden = h0.shape[1]

    def reordered(gates: Array) -> Array:
        # the operator has the candidate before the output gate
        return np.concatenate([gates[..., : 2 * hidden], gates[..., 3 * hidden :], gates[..., 2 * hidden : 3 * hidden]], axis=-1)

    cell = np.zeros_like(h0) if c0 is None else c0
    return _over_time("lstm", x, reordered(Wx), reordered(Wh), reordered(b), h0, cell)


def _over_time(mode: str, x: Array, Wx: Array, Wh: Array, b: Array, *states: Array) -> Array:
    """A recurrent operator, which has time before samples and all weights in one vector, on arrays that have them as ours do."""
    weights = np.concatenate([Wx.T.ravel(), Wh.T.ravel(), b, np.zeros_like(b)])
    return np.swapaxes(ops.rnn(mode, np.swapaxes(x, 0, 1), weights, *[s[None] for s in states])[0], 0, 1)


def gru_step(x: Array, prev_h: Array, Wx: Array, Wh: Array, b: Array, Wxh: Array, Whh: Array, bh: Array) -> Array:
    """One step of gated recurrent units (Cho et al., 2014; Jozefowicz, Zaremba and Sutskever, 2015).

    Args:
        x: (N, D).
        prev_h: (N, H).
        Wx: (D, 2H), for the reset and the update gate, in that order.
        Wh: (H, 2H).
        b: (2H,).
        Wxh: (D, H), for the candidate.
        Whh: (H, H); it meets the state that the reset gate has been multiplied with.
        bh: (H,).

    Returns:
        The next state, (N, H).
    """
    return _gru_step(x @ Wx + b, x @ Wxh + bh, prev_h, Wh, Whh)


def _gru_step(by_gates: Array, by_candidate: Array, prev_h: Array, Wh: Array, Whh: Array) -> Array:
    hidden = prev_h.shape[1]
    gates = sigmoid(by_gates + prev_h @ Wh)
    r, z = gates[:, :hidden], gates[:, hidden:]
    return z * prev_h + (1 - z) * np.tanh(by_candidate + (r * prev_h) @ Whh)


def gru_temporal(x: Array, h0: Array, Wx: Array, Wh: Array, b: Array, Wxh: Array, Whh: Array, bh: Array) -> Array:
    """`gru_step` over a sequence. (MXNet's fused operator multiplies the reset gate with the state's product instead, another network.)

    Args:
        x: (N, T, D).
        h0: (N, H).
        Wx, Wh, b, Wxh, Whh, bh: as for `gru_step`.

    Returns:
        The states, (N, T, H).
    """
    # what comes from the input is one product for all steps
    by_gates, by_candidate = temporal_affine(x, Wx, b), temporal_affine(x, Wxh, bh)
    h, states = h0, []
    for t in range(x.shape[1]):
        h = _gru_step(by_gates[:, t], by_candidate[:, t], h, Wh, Whh)
        states.append(h)
    return np.stack(states, axis=1)
