"""Layers and losses: values against formulas in plain NumPy, gradients against finite differences and MXNet's autograd."""

from __future__ import annotations

import doctest
import importlib
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit import check_grads
from minpy_jit.interop import mxnet
from minpy_jit.nn import layers

Array = Any
N, T, D, H, C = 3, 4, 5, 2, 6


def draw(*shape: int) -> numpy.ndarray:
    """Numbers that depend on the shape alone, none of them near 0."""
    found = numpy.random.default_rng(shape).standard_normal(shape)
    return found + 0.05 * numpy.sign(found)


CLASSES = numpy.array([4, 0, 5])
ONE_HOT = numpy.eye(C)[CLASSES]
STEPS = numpy.array([[1, 0, 5, 2], [3, 3, 4, 0], [0, 1, 2, 3]])
MEAN, VAR = numpy.arange(5.0), numpy.arange(1.0, 6.0)
MASK = numpy.array([[1, 1, 0, 1], [1, 0, 0, 0], [1, 1, 1, 1]], bool)


# -- what is meant, in plain NumPy ---------------------------------------------------------------------------------------------------------
def windows(x: numpy.ndarray, kernel: int, stride: int, pad: int, fill: float) -> numpy.ndarray:
    """(N, C, H', W', kernel, kernel)."""
    padded = numpy.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=fill)
    found = numpy.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(2, 3))
    return found[:, :, ::stride, ::stride]


def convolved(x: numpy.ndarray, w: numpy.ndarray, b: numpy.ndarray, stride: int = 1, pad: int = 0) -> numpy.ndarray:
    return numpy.einsum("nchwij,fcij->nfhw", windows(x, w.shape[-1], stride, pad, 0), w) + b[:, None, None]


def logistic(x: numpy.ndarray) -> numpy.ndarray:
    return 1 / (1 + numpy.exp(-x))


def normal_distribution(x: numpy.ndarray) -> numpy.ndarray:
    return numpy.vectorize(lambda v: (1 + math.erf(v / math.sqrt(2))) / 2)(x)


def soft(x: numpy.ndarray) -> numpy.ndarray:
    return numpy.exp(x) / numpy.exp(x).sum(axis=-1, keepdims=True)


def normalised(x: numpy.ndarray, axes: tuple[int, ...]) -> numpy.ndarray:
    mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    return (x - mean) / numpy.sqrt(var + 1e-5)


def lstm(x: numpy.ndarray, h: numpy.ndarray, c: numpy.ndarray, wx: numpy.ndarray, wh: numpy.ndarray, b: numpy.ndarray) -> Any:
    i, f, o, g = numpy.split(x @ wx + h @ wh + b, 4, axis=1)
    c = logistic(f) * c + logistic(i) * numpy.tanh(g)
    return logistic(o) * numpy.tanh(c), c


def gru(x: Any, h: Any, wx: Any, wh: Any, b: Any, wxh: Any, whh: Any, bh: Any) -> numpy.ndarray:
    r, z = numpy.split(logistic(x @ wx + h @ wh + b), 2, axis=1)
    return z * h + (1 - z) * numpy.tanh(x @ wxh + (r * h) @ whh + bh)


def over_time(step: Callable[..., Any], x: numpy.ndarray, *states: numpy.ndarray, weights: Any) -> numpy.ndarray:
    found: Any = states
    out = []
    for t in range(x.shape[1]):
        found = step(x[:, t], *found, *weights)
        found = found if isinstance(found, tuple) else (found,)
        out.append(found[0])
    return numpy.stack(out, axis=1)


RNN = (draw(D, H), draw(H, H), draw(H))
LSTM = (draw(D, 4 * H), draw(H, 4 * H), draw(4 * H))
GRU = (draw(D, 2 * H), draw(H, 2 * H), draw(2 * H), draw(D, H) / 2, draw(H, H) / 2, draw(H) / 2)
SEQUENCE, STATE, CELL = draw(N, T, D), draw(N, H), draw(N, H) / 2
IMAGES, FILTERS = draw(2, 3, 6, 5), draw(4, 3, 3, 3)


def plain_rnn(x: numpy.ndarray, h: numpy.ndarray, wx: numpy.ndarray, wh: numpy.ndarray, b: numpy.ndarray) -> numpy.ndarray:
    return numpy.tanh(x @ wx + h @ wh + b)


# name -> (layer, what it means, arguments that are differentiated, order up to which)
CASES: dict[str, tuple[Callable[..., Array], Callable[..., Any], tuple[Any, ...], int]] = {
    "affine": (layers.affine, lambda x, w, b: x.reshape(N, -1) @ w + b, (draw(N, 2, D), draw(2 * D, C), draw(C)), 2),
    "temporal_affine": (layers.temporal_affine, lambda x, w, b: x @ w + b, (SEQUENCE, draw(D, C), draw(C)), 2),
    "relu": (layers.relu, lambda x: x * (x > 0), (draw(N, D),), 2),
    "leaky_relu": (layers.leaky_relu, lambda x: numpy.where(x > 0, x, 0.01 * x), (draw(N, D),), 2),
    "leaky_relu slope": (lambda x: layers.leaky_relu(x, 0.2), lambda x: numpy.where(x > 0, x, 0.2 * x), (draw(N, D),), 2),
    "elu": (lambda x: layers.elu(x, 1.5), lambda x: numpy.where(x > 0, x, 1.5 * (numpy.exp(x) - 1)), (draw(N, D),), 2),
    "gelu": (layers.gelu, lambda x: x * normal_distribution(x), (draw(N, D),), 2),
    "gelu tanh": (
        lambda x: layers.gelu(x, approximate=True),
        lambda x: 0.5 * x * (1 + numpy.tanh(numpy.sqrt(2 / numpy.pi) * (x + 0.044715 * x**3))),
        (draw(N, D),),
        2,
    ),
    "sigmoid": (layers.sigmoid, logistic, (draw(N, D),), 2),
    "tanh": (layers.tanh, numpy.tanh, (draw(N, D),), 2),
    "softmax": (layers.softmax, soft, (draw(N, C),), 2),
    "softmax axis": (lambda x: layers.softmax(x, 0), lambda x: soft(x.T).T, (draw(N, C),), 2),
    "log_softmax": (layers.log_softmax, lambda x: numpy.log(soft(x)), (draw(N, C),), 2),
    "batchnorm": (
        lambda x, g, b: layers.batchnorm(x, g, b)[0],
        lambda x, g, b: g * normalised(x, (0,)) + b,
        (draw(7, D), draw(D), draw(D)),
        2,
    ),
    "batchnorm images": (
        lambda x, g, b: layers.batchnorm(x, g, b)[0],
        lambda x, g, b: g[:, None, None] * normalised(x, (0, 2, 3)) + b[:, None, None],
        (IMAGES, draw(3), draw(3)),
        2,
    ),
    "batchnorm test": (
        lambda x, g, b: layers.batchnorm(x, g, b, mode="test", running_mean=MEAN.astype(x.dtype), running_var=VAR.astype(x.dtype))[0],
        lambda x, g, b: g * (x - MEAN) / numpy.sqrt(VAR + 1e-5) + b,
        (draw(7, D), draw(D), draw(D)),
        2,
    ),
    "layernorm": (
        layers.layernorm,
        lambda x, g, b: g * normalised(x, (2,)) + b,
        (draw(N, T, D), draw(D), draw(D)),
        2,
    ),
    "dropout": (
        lambda x: layers.dropout(x, 0.4, seed=3),
        lambda x: x * (numpy.random.RandomState(3).random_sample(x.shape) >= 0.4) / 0.6,
        (draw(N, D),),
        2,
    ),
    "convolution": (layers.convolution, convolved, (IMAGES, FILTERS, draw(4)), 2),
    "convolution stride pad": (
        lambda x, w, b: layers.convolution(x, w, b, kernel=(3, 3), stride=(2, 2), pad=(1, 1)),
        lambda x, w, b: convolved(x, w, b, 2, 1),
        (IMAGES, FILTERS, draw(4)),
        2,
    ),
    "pooling max": (
        lambda x: layers.pooling(x, kernel=(2, 2), stride=(1, 1)),
        lambda x: windows(x, 2, 1, 0, 0).max(axis=(4, 5)),
        (IMAGES,),
        2,
    ),
    "pooling max pad": (
        lambda x: layers.pooling(x, 3, 2, pad=1),
        lambda x: windows(x, 3, 2, 1, -numpy.inf).max(axis=(4, 5)),
        (IMAGES,),
        2,
    ),
    "pooling avg": (lambda x: layers.pooling(x, 2, mode="avg"), lambda x: windows(x, 2, 2, 0, 0).mean(axis=(4, 5)), (IMAGES,), 2),
    "pooling sum": (lambda x: layers.pooling(x, 2, mode="sum"), lambda x: windows(x, 2, 2, 0, 0).sum(axis=(4, 5)), (IMAGES,), 2),
    "embedding": (lambda w: layers.embedding(STEPS, w), lambda w: w[STEPS], (draw(C, D),), 2),
    "softmax_loss": (
        lambda x: layers.softmax_loss(x, CLASSES),
        lambda x: -numpy.log(soft(x)[numpy.arange(N), CLASSES]).mean(),
        (draw(N, C),),
        2,
    ),
    "softmax_cross_entropy": (
        lambda x: layers.softmax_cross_entropy(x, CLASSES),
        lambda x: -numpy.log(x[numpy.arange(N), CLASSES]).mean(),
        (soft(draw(N, C)),),
        2,
    ),
    "svm_loss": (
        lambda x: layers.svm_loss(x, CLASSES),
        lambda x: sum(max(0, row[j] - row[y] + 1) for row, y in zip(x, CLASSES, strict=True) for j in range(C) if j != y) / N,
        (draw(N, C),),
        2,
    ),
    "l2_loss": (lambda x, y: layers.l2_loss(x, y), lambda x, y: ((x - y) ** 2).sum() / N, (draw(N, C), draw(N, C) + 1), 2),
    "l2_loss classes": (lambda x: layers.l2_loss(x, CLASSES), lambda x: ((x - ONE_HOT) ** 2).sum() / N, (draw(N, C),), 2),
    "sigmoid_cross_entropy": (
        lambda x: layers.sigmoid_cross_entropy(x, (ONE_HOT * 0.7).astype(x.dtype)),
        lambda x: -(ONE_HOT * 0.7 * numpy.log(logistic(x)) + (1 - ONE_HOT * 0.7) * numpy.log(1 - logistic(x))).sum() / N,
        (draw(N, C),),
        2,
    ),
    "temporal_softmax_loss": (
        lambda x: layers.temporal_softmax_loss(x, STEPS, MASK),
        lambda x: -(numpy.log(numpy.take_along_axis(soft(x), STEPS[..., None], 2)[..., 0]) * MASK).sum() / N,
        (draw(N, T, C),),
        2,
    ),
    "rnn_step": (layers.rnn_step, plain_rnn, (SEQUENCE[:, 0], STATE, *RNN), 2),
    "rnn_temporal": (layers.rnn_temporal, lambda x, h, *w: over_time(plain_rnn, x, h, weights=w), (SEQUENCE, STATE, *RNN), 1),
    "lstm_step": (layers.lstm_step, lstm, (SEQUENCE[:, 0], STATE, CELL, *LSTM), 2),
    "lstm_temporal": (
        layers.lstm_temporal,
        lambda x, h, *w: over_time(lstm, x, h, numpy.zeros_like(h), weights=w),
        (SEQUENCE, STATE, *LSTM),
        1,
    ),
    "lstm_temporal cell": (
        lambda x, h, c, *w: layers.lstm_temporal(x, h, *w, c0=c),
        lambda x, h, c, *w: over_time(lstm, x, h, c, weights=w),
        (SEQUENCE, STATE, CELL, *LSTM),
        1,
    ),
    "gru_step": (layers.gru_step, gru, (SEQUENCE[:, 0], STATE, *GRU), 2),
    "gru_temporal": (layers.gru_temporal, lambda x, h, *w: over_time(gru, x, h, weights=w), (SEQUENCE, STATE, *GRU), 2),
}


def values_of(tree: Any) -> list[numpy.ndarray]:
    return [v.asnumpy() for v in tree] if isinstance(tree, (tuple, list)) else [tree.asnumpy()]


def means_of(tree: Any) -> list[numpy.ndarray]:
    return [numpy.asarray(v) for v in tree] if isinstance(tree, tuple) else [numpy.asarray(tree)]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_layer_gives_what_its_formula_says(name: str, dtype: str) -> None:
    layer, formula, arguments, _ = CASES[name]
    given = [a.astype(dtype) for a in arguments]
    expected = means_of(formula(*given))
    # by the reference, by an executor just bound, and by one found again
    for _ in range(3):
        found = layer(*[np.array(a) for a in given])
        for value, wanted in zip(values_of(found), expected, strict=True):
            assert value.dtype == dtype
            numpy.testing.assert_allclose(
                value, wanted, rtol=2e-5 if dtype == "float32" else 1e-10, atol=1e-6 if dtype == "float32" else 1e-12
            )


@pytest.mark.parametrize("name", CASES)
def test_a_layers_gradients_are_those_of_finite_differences(name: str) -> None:
    layer, _, arguments, order = CASES[name]
    check_grads(layer, order=order)(*arguments)


@pytest.mark.parametrize("mode", ["eager", "numpy"])
@pytest.mark.parametrize("name", CASES)
def test_a_layer_in_another_mode(name: str, mode: str) -> None:
    layer, formula, arguments, _ = CASES[name]
    with minpy_jit.mode(mode):
        found = values_of(layer(*[np.array(a) for a in arguments]))
    for value, wanted in zip(found, means_of(formula(*arguments)), strict=True):
        numpy.testing.assert_allclose(value, wanted, rtol=1e-10, atol=1e-12)


# -- MXNet's autograd ----------------------------------------------------------------------------------------------------------------------
def by_filter(nd: Any, x: Any, w: Any, b: Any) -> Any:
    return nd.Convolution(x, w, b, kernel=(3, 3), stride=(2, 2), pad=(1, 1), num_filter=4)


def by_cells(mode: str) -> Callable[..., Any]:
    def run(nd: Any, x: Any, h: Any, wx: Any, wh: Any, b: Any) -> Any:
        def reordered(gates: Any) -> Any:
            if mode != "lstm":
                return gates
            i, f, o, g = nd.split(gates, num_outputs=4, axis=-1)
            return nd.concat(i, f, g, o, dim=-1)

        wx, wh, b = map(reordered, (wx, wh, b.reshape((1, -1))))
        parameters = nd.concat(wx.T.reshape(-1), wh.T.reshape(-1), b.reshape(-1), nd.zeros_like(b).reshape(-1), dim=0)
        states = {"state_cell": nd.zeros_like(h).expand_dims(0)} if mode == "lstm" else {}
        found = nd.RNN(x.swapaxes(0, 1), parameters, h.expand_dims(0), state_size=H, num_layers=1, mode=mode, **states)
        return found.swapaxes(0, 1)

    return run


# layer -> (ours, MXNet's, arguments)
BACKED: dict[str, tuple[Callable[..., Array], Callable[..., Any], tuple[Any, ...]]] = {
    "affine": (
        layers.affine,
        lambda nd, x, w, b: nd.FullyConnected(x, w.T, b, num_hidden=C),
        (draw(N, 2, D), draw(2 * D, C), draw(C)),
    ),
    "convolution": (lambda x, w, b: layers.convolution(x, w, b, stride=2, pad=1), by_filter, (IMAGES, FILTERS, draw(4))),
    "pooling max": (
        lambda x: layers.pooling(x, 3, 2, pad=1),
        lambda nd, x: nd.Pooling(x, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max"),
        (IMAGES,),
    ),
    "pooling avg": (
        lambda x: layers.pooling(x, 2, mode="avg"),
        lambda nd, x: nd.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="avg"),
        (IMAGES,),
    ),
    "batchnorm": (
        lambda x, g, b: layers.batchnorm(x, g, b)[0],
        lambda nd, x, g, b: nd.BatchNorm(x, g, b, nd.zeros_like(g), nd.zeros_like(b), eps=1e-5, fix_gamma=False),
        (IMAGES, draw(3), draw(3)),
    ),
    "layernorm": (layers.layernorm, lambda nd, x, g, b: nd.LayerNorm(x, g, b), (draw(N, T, D), draw(D), draw(D))),
    "embedding": (
        lambda w: layers.embedding(STEPS, w),
        lambda nd, w: nd.Embedding(nd.array(STEPS, dtype=w.dtype), w, input_dim=C, output_dim=D),
        (draw(C, D),),
    ),
    "relu": (layers.relu, lambda nd, x: nd.relu(x), (draw(N, D),)),
    "elu": (layers.elu, lambda nd, x: nd.LeakyReLU(x, act_type="elu", slope=1.0), (draw(N, D),)),
    "gelu": (layers.gelu, lambda nd, x: nd.LeakyReLU(x, act_type="gelu"), (draw(N, D),)),
    "leaky_relu": (layers.leaky_relu, lambda nd, x: nd.LeakyReLU(x, act_type="leaky", slope=0.01), (draw(N, D),)),
    "sigmoid": (layers.sigmoid, lambda nd, x: nd.sigmoid(x), (draw(N, D),)),
    "softmax": (layers.softmax, lambda nd, x: nd.softmax(x), (draw(N, C),)),
    "log_softmax": (layers.log_softmax, lambda nd, x: nd.log_softmax(x), (draw(N, C),)),
    "softmax_loss": (
        lambda x: layers.softmax_loss(x, CLASSES),
        lambda nd, x: nd.softmax_cross_entropy(x, nd.array(CLASSES, dtype=x.dtype)) / N,
        (draw(N, C),),
    ),
    "rnn_temporal": (layers.rnn_temporal, by_cells("rnn_tanh"), (SEQUENCE, STATE, *RNN)),
    "lstm_temporal": (layers.lstm_temporal, by_cells("lstm"), (SEQUENCE, STATE, *LSTM)),
}


# MXNet 1.9.1 asks SciPy for a name that it has moved
@pytest.mark.filterwarnings("ignore:Please import `csr_matrix`:DeprecationWarning")
@pytest.mark.parametrize("name", BACKED)
def test_gradients_are_those_of_mxnets_autograd(name: str) -> None:
    ours, theirs, arguments = BACKED[name]
    mx = mxnet()
    given = [a.astype("float32") for a in arguments]
    held = [mx.nd.array(a) for a in given]
    for array in held:
        array.attach_grad()
    with mx.autograd.record():
        result = theirs(mx.nd, *held)
    weights = draw(*result.shape).astype("float32")
    result.backward(mx.nd.array(weights))
    # a scalar of ours is a vector of one element there
    gradients = minpy_jit.grad(lambda *a: np.sum(ours(*a).reshape(result.shape) * weights), tuple(range(len(given))))
    for _ in range(3):
        for found, array in zip(gradients(*[np.array(a) for a in given]), held, strict=True):
            numpy.testing.assert_allclose(found.asnumpy(), array.grad.asnumpy(), rtol=2e-4, atol=2e-5)


# -- labels --------------------------------------------------------------------------------------------------------------------------------
LOSSES = [layers.softmax_loss, layers.softmax_cross_entropy, layers.svm_loss, layers.l2_loss]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8"])
def test_one_hot_labels_and_class_numbers_of_any_dtype_agree(loss: Callable[..., Array], dtype: str) -> None:
    x = np.array(soft(draw(N, C)))
    gradient = minpy_jit.grad(loss)
    expected, slope = loss(x, CLASSES), gradient(x, CLASSES).asnumpy()
    assert float(loss(x, np.array(CLASSES.astype(dtype)))) == pytest.approx(float(expected), rel=1e-12)
    assert float(loss(x, ONE_HOT.astype(dtype))) == pytest.approx(float(expected), rel=1e-12)
    numpy.testing.assert_allclose(gradient(x, ONE_HOT.astype(dtype)).asnumpy(), slope, rtol=1e-12)


def test_temporal_labels_may_be_one_hot() -> None:
    x = np.array(draw(N, T, C))
    by_number = layers.temporal_softmax_loss(x, STEPS, MASK)
    assert float(layers.temporal_softmax_loss(x, numpy.eye(C)[STEPS], MASK)) == pytest.approx(float(by_number), rel=1e-12)


def test_l2_loss_of_a_column_takes_targets() -> None:
    assert float(layers.l2_loss(np.array([[1.0], [4.0]]), np.array([0.0, 1.0]))) == 5.0


def test_a_class_number_that_is_no_class() -> None:
    with pytest.raises(IndexError):
        float(layers.softmax_loss(np.array(draw(N, C)), numpy.array([0, 1, C])))


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
def test_labels_that_do_not_fit(loss: Callable[..., Array]) -> None:
    with pytest.raises(ValueError, match=rf"\[{loss.__name__}\] labels of shape \(4,\) do not fit values of shape \(3, 6\)"):
        loss(np.array(draw(N, C)), numpy.zeros(4, int))
    with pytest.raises(ValueError, match=r"labels of shape \(3, 5\)"):
        loss(np.array(draw(N, C)), numpy.zeros((3, 5)))


# -- large, small and special values -------------------------------------------------------------------------------------------------------
EXTREME = numpy.array([[-1e4, -100.0, 0.0, 100.0, 1e4]])


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "gelu", "sigmoid", "tanh", "softmax", "log_softmax"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations_and_their_gradients_stay_finite(name: str, dtype: str) -> None:
    layer = getattr(layers, name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            x = np.array(EXTREME.astype(dtype))
            value, gradient = minpy_jit.value_and_grad(lambda v: np.sum(layer(v)))(x)
            assert numpy.isfinite(layer(x).asnumpy()).all()
            assert numpy.isfinite(float(value))
            assert numpy.isfinite(gradient.asnumpy()).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_losses_and_their_gradients_stay_finite(dtype: str) -> None:
    x = np.array(EXTREME.astype(dtype))
    for loss, label in (
        (layers.softmax_loss, numpy.array([0])),
        (layers.sigmoid_cross_entropy, numpy.eye(5)[:1]),
        (layers.svm_loss, numpy.array([0])),
    ):
        value, gradient = minpy_jit.value_and_grad(loss)(x, label)
        assert numpy.isfinite(float(value))
        assert numpy.isfinite(gradient.asnumpy()).all()
    value, gradient = minpy_jit.value_and_grad(layers.softmax_cross_entropy)(np.array([[0.0, 1.0]], dtype), numpy.array([0]))
    assert numpy.isfinite(float(value))
    assert numpy.isfinite(gradient.asnumpy()).all()


def test_sigmoid_cross_entropys_gradient_where_scores_are_zero() -> None:
    # the scores of a network whose last layer begins with zeros
    label = numpy.array([[0.0, 1.0, 0.25]])
    gradient = minpy_jit.grad(layers.sigmoid_cross_entropy)(np.zeros((1, 3)), label)
    numpy.testing.assert_allclose(gradient.asnumpy(), 0.5 - label, rtol=1e-12)


# -- running statistics and dropout --------------------------------------------------------------------------------------------------------
def test_batchnorm_takes_rows_for_vectors() -> None:
    x, gamma, beta = (np.array(draw(*shape)) for shape in ((5, 4), (4,), (4,)))
    expected = layers.batchnorm(x, gamma, beta)
    for found, wanted in zip(layers.batchnorm(x, gamma[None], beta[None]), expected, strict=True):
        numpy.testing.assert_allclose(found.asnumpy(), wanted.asnumpy(), rtol=1e-12)
    slope = minpy_jit.grad(lambda g: np.sum(layers.batchnorm(x, g, beta)[0] ** 2))(gamma[None])
    assert slope.shape == (1, 4)


def test_batchnorms_running_statistics() -> None:
    x, gamma, beta = draw(7, D), np.ones(D), np.zeros(D)
    mean, var = None, None
    expected_mean, expected_var = numpy.zeros(D), numpy.zeros(D)
    for k in range(4):
        batch = x + k
        _, mean, var = layers.batchnorm(np.array(batch), gamma, beta, momentum=0.8, running_mean=mean, running_var=var)
        expected_mean = 0.8 * expected_mean + 0.2 * batch.mean(axis=0)
        expected_var = 0.8 * expected_var + 0.2 * batch.var(axis=0)
        numpy.testing.assert_allclose(mean.asnumpy(), expected_mean, rtol=1e-10)
        numpy.testing.assert_allclose(var.asnumpy(), expected_var, rtol=1e-10)
    y, kept_mean, kept_var = layers.batchnorm(np.array(x), gamma, beta, mode="test", running_mean=mean, running_var=var)
    numpy.testing.assert_allclose(y.asnumpy(), (x - expected_mean) / numpy.sqrt(expected_var + 1e-5), rtol=1e-8)
    assert kept_mean.tolist() == mean.tolist() and kept_var.tolist() == var.tolist()


def test_no_gradient_flows_through_running_statistics() -> None:
    def of_statistics(x: Array) -> Array:
        _, mean, var = layers.batchnorm(x, np.ones(D), np.zeros(D))
        return np.sum(mean) + np.sum(var)

    assert not minpy_jit.grad(of_statistics)(np.array(draw(7, D))).asnumpy().any()


def test_dropout_is_inverted() -> None:
    x = np.ones((200, 50), "float32")
    np.random.seed(1)
    dropped = layers.dropout(x, 0.25).asnumpy()
    assert dropped.dtype == "float32"
    assert set(numpy.unique(dropped).tolist()) == {0.0, float(numpy.float32(1 / 0.75))}
    assert abs((dropped == 0).mean() - 0.25) < 0.02
    assert layers.dropout(x, numpy.float64(0.25)).dtype == "float32"
    assert layers.dropout(x, 0.25, mode="test") is x
    assert layers.dropout(x, 0.0) is x


def test_dropout_draws_anew_at_each_call_and_by_the_seed() -> None:
    x = np.ones((4, 4))
    np.random.seed(5)
    first, second = layers.dropout(x, 0.5).asnumpy(), layers.dropout(x, 0.5).asnumpy()
    np.random.seed(5)
    assert (layers.dropout(x, 0.5).asnumpy() == first).all()
    assert (first != second).any()
    before = numpy.random.get_state(legacy=False)["state"]["pos"]
    layers.dropout(x, 0.5, seed=1).asnumpy()
    assert numpy.random.get_state(legacy=False)["state"]["pos"] == before


# -- errors --------------------------------------------------------------------------------------------------------------------------------
def test_errors_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"\[affine\] x of shape \(2, 3\) has 3 numbers per sample; w must be \(3, M\), got \(4, 5\)"):
        layers.affine(np.ones((2, 3)), np.ones((4, 5)), np.zeros(5))
    with pytest.raises(ValueError, match=r"\[convolution\] kernel = \(2, 2\), but w has shape \(4, 3, 3, 3\)"):
        layers.convolution(np.array(IMAGES), FILTERS, draw(4), kernel=(2, 2))
    with pytest.raises(ValueError, match=r"\[pooling\] mode = 'min'; legal values: 'max', 'avg', 'sum'"):
        layers.pooling(np.array(IMAGES), 2, mode="min")
    with pytest.raises(ValueError, match=r"\[dropout\] prob = 1.0 must be at least 0 and less than 1"):
        layers.dropout(np.ones(3), 1.0)
    with pytest.raises(ValueError, match=r"\[dropout\] mode = 'trian'; legal values: 'train', 'training', 'test', 'inference'"):
        layers.dropout(np.ones(3), 0.5, mode="trian")
    with pytest.raises(ValueError, match=r"\[batchnorm\] mode"):
        layers.batchnorm(np.ones((2, 3)), np.ones(3), np.ones(3), mode="")
    with pytest.raises(ValueError, match=r"\[sigmoid_cross_entropy\] labels of shape \(3,\) do not fit scores of shape \(2, 3\)"):
        layers.sigmoid_cross_entropy(np.ones((2, 3)), np.ones(3))


def test_an_embedding_without_such_a_row() -> None:
    with pytest.raises(IndexError):
        layers.embedding(np.array([0, 7]), np.ones((3, 2))).asnumpy()


# -- as programs ---------------------------------------------------------------------------------------------------------------------------
def test_a_convolutional_networks_training_step_is_one_executor() -> None:
    x, y = np.array(draw(8, 1, 8, 8).astype("float32")), np.array(numpy.arange(8) % 4)
    shapes = {"w1": (4, 1, 3, 3), "b1": (4,), "g": (4,), "e": (4,), "w2": (64, 4), "b2": (4,)}
    params = {name: np.array(draw(*shape).astype("float32")) for name, shape in shapes.items()}

    def loss(p: dict[str, Array]) -> Array:
        h = layers.convolution(x, p["w1"], p["b1"], kernel=(3, 3), pad=(1, 1))
        h, _, _ = layers.batchnorm(h, p["g"], p["e"])
        h = layers.pooling(layers.relu(h), kernel=(2, 2), stride=(2, 2))
        return layers.softmax_loss(layers.affine(h, p["w2"], p["b2"]), y)

    counted = []
    for _ in range(5):
        minpy_jit.reset_stats()
        value, gradients = minpy_jit.value_and_grad(loss)(params)
        params = {name: params[name] - 0.1 * gradients[name] for name in params}
        minpy_jit.flush()
        assert numpy.isfinite(float(value))
        counted.append((minpy_jit.stats()["executor_runs"], minpy_jit.stats()["compiles"], minpy_jit.stats()["host_steps"]))
    assert counted[3:] == [(1, 0, 0), (1, 0, 0)]


@pytest.mark.parametrize("name", ["layers", "init", "optim", "model", "modules", "model_builder", "io", "solver"])
def test_docstring_examples(name: str) -> None:
    # what they print does not depend on the tests before
    np.random.seed(0)
    assert doctest.testmod(importlib.import_module(f"minpy_jit.nn.{name}")).failed == 0
