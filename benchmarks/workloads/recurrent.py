"""Training steps of recurrent networks, 32 time steps in a Python loop: batch 32, 64 inputs, 128 hidden units, plain and LSTM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from .training import Parameters, cross_entropy, cross_entropy_by_hand, cross_entropy_mxnet, dense, training
from .workload import Workload, normal


def inputs(gates: int, quick: bool) -> tuple[Any, ...]:
    """Parameters, sequences (time first), labels."""
    time, batch, size, hidden = (4, 5, 6, 8) if quick else (32, 32, 64, 128)
    rng = numpy.random.default_rng(4)
    wx, b = dense(rng, size, gates * hidden)
    wh, _ = dense(rng, hidden, gates * hidden)
    wo, bo = dense(rng, hidden, 10)
    parameters = {"wx": wx, "wh": wh, "b": b, "wo": wo, "bo": bo}
    return parameters, normal(rng, (time, batch, size)), rng.integers(0, 10, batch)


# -- ours ---------------------------------------------------------------------------------------------------------------------------------
def sigmoid(np: Any, x: Any) -> Any:
    """As one writes it in NumPy."""
    return 1 / (1 + np.exp(-x))


def rnn(np: Any, p: Parameters, xs: Any, labels: Any) -> Any:
    """The plain network's loss."""
    h = np.zeros((xs.shape[1], p["wh"].shape[0]), dtype=np.float32)
    for x in xs:
        h = np.tanh(x @ p["wx"] + p["b"] + h @ p["wh"])
    return cross_entropy(np, h @ p["wo"] + p["bo"], labels)


def lstm(np: Any, p: Parameters, xs: Any, labels: Any) -> Any:
    """The LSTM's loss."""
    size = p["wh"].shape[0]
    h = c = np.zeros((xs.shape[1], size), dtype=np.float32)
    for x in xs:
        a = x @ p["wx"] + p["b"] + h @ p["wh"]
        enter, forget, leave = [sigmoid(np, a[:, k * size : (k + 1) * size]) for k in range(3)]
        c = forget * c + enter * np.tanh(a[:, 3 * size :])
        h = leave * np.tanh(c)
    return cross_entropy(np, h @ p["wo"] + p["bo"], labels)


# -- NumPy, by hand -----------------------------------------------------------------------------------------------------------------------
def rnn_by_hand(p: Parameters, xs: numpy.ndarray, labels: numpy.ndarray) -> tuple[Any, Parameters]:
    """Loss and gradients of the plain network."""
    states = [numpy.zeros((xs.shape[1], p["wh"].shape[0]), numpy.float32)]
    for x in xs:
        states.append(numpy.tanh(x @ p["wx"] + p["b"] + states[-1] @ p["wh"]))
    value, g = cross_entropy_by_hand(states[-1] @ p["wo"] + p["bo"], labels)
    found = {k: numpy.zeros_like(v) for k, v in p.items()}
    found["wo"], found["bo"] = states[-1].T @ g, g.sum(axis=0)
    back = g @ p["wo"].T
    for t in reversed(range(len(xs))):
        inner = back * (1 - states[t + 1] * states[t + 1])
        found["wx"] += xs[t].T @ inner
        found["wh"] += states[t].T @ inner
        found["b"] += inner.sum(axis=0)
        back = inner @ p["wh"].T
    return value, found


def lstm_by_hand(p: Parameters, xs: numpy.ndarray, labels: numpy.ndarray) -> tuple[Any, Parameters]:
    """Loss and gradients of the LSTM."""
    size = p["wh"].shape[0]
    h = c = numpy.zeros((xs.shape[1], size), numpy.float32)
    tape = []
    for x in xs:
        a = x @ p["wx"] + p["b"] + h @ p["wh"]
        gates = sigmoid(numpy, a[:, : 3 * size])
        enter, forget, leave = gates[:, :size], gates[:, size : 2 * size], gates[:, 2 * size :]
        proposed = numpy.tanh(a[:, 3 * size :])
        new = forget * c + enter * proposed
        shown = numpy.tanh(new)
        tape.append((h, c, enter, forget, leave, proposed, shown))
        h, c = leave * shown, new
    value, g = cross_entropy_by_hand(h @ p["wo"] + p["bo"], labels)
    found = {k: numpy.zeros_like(v) for k, v in p.items()}
    found["wo"], found["bo"] = h.T @ g, g.sum(axis=0)
    back, cell = g @ p["wo"].T, numpy.zeros_like(c)
    for t in reversed(range(len(xs))):
        h, c, enter, forget, leave, proposed, shown = tape[t]
        cell = cell + back * leave * (1 - shown * shown)
        parts = (
            cell * proposed * enter * (1 - enter),
            cell * c * forget * (1 - forget),
            back * shown * leave * (1 - leave),
            cell * enter * (1 - proposed * proposed),
        )
        inner = numpy.concatenate(parts, axis=1)
        found["wx"] += xs[t].T @ inner
        found["wh"] += h.T @ inner
        found["b"] += inner.sum(axis=0)
        back = inner @ p["wh"].T
        cell = cell * forget
    return value, found


# -- MXNet --------------------------------------------------------------------------------------------------------------------------------
def rnn_cell(F: Any, a: Any, h: Any, c: Any) -> tuple[Any, Any]:
    """What follows the sum of the products, in the plain network."""
    return F.tanh(a), c


def lstm_cell(F: Any, a: Any, h: Any, c: Any) -> tuple[Any, Any]:
    """The same in the LSTM."""
    enter, forget, leave, proposed = F.split(a, num_outputs=4, axis=1)
    c = F.sigmoid(forget) * c + F.sigmoid(enter) * F.tanh(proposed)
    return F.sigmoid(leave) * F.tanh(c), c


def imperative(cell: Callable[..., Any]) -> Callable[..., Any]:
    """As users of mx.nd write it."""

    def loss(F: Any, p: Parameters, xs: Any, labels: Any) -> Any:
        h = c = F.zeros((xs.shape[1], p["wh"].shape[0]))
        for t in range(xs.shape[0]):
            h, c = cell(F, F.broadcast_add(F.dot(xs[t], p["wx"]), p["b"]) + F.dot(h, p["wh"]), h, c)
        return cross_entropy_mxnet(F, F.broadcast_add(F.dot(h, p["wo"]), p["bo"]), labels)

    return loss


def symbol(cell: Callable[..., Any]) -> Callable[..., Any]:
    """As users of symbols write it."""

    def loss(F: Any, p: Parameters, xs: Any, labels: Any, shapes: dict[str, tuple[int, ...]]) -> Any:
        (time, batch, _), (size, width) = shapes["data"], shapes["wh"]
        h = c = F.zeros((batch, size))
        for x in F.SliceChannel(xs, num_outputs=time, axis=0, squeeze_axis=True):
            products = F.FullyConnected(x, p["wx"], p["b"], num_hidden=width) + F.FullyConnected(h, p["wh"], no_bias=True, num_hidden=width)
            h, c = cell(F, products, h, c)
        return cross_entropy_mxnet(F, F.FullyConnected(h, p["wo"], p["bo"], num_hidden=10), labels)

    return loss


WORKLOADS: list[Workload] = [
    training("rnn", "RNN training step", lambda quick: inputs(1, quick), rnn, rnn_by_hand, imperative(rnn_cell), symbol(rnn_cell)),
    training("lstm", "LSTM training step", lambda quick: inputs(4, quick), lstm, lstm_by_hand, imperative(lstm_cell), symbol(lstm_cell)),
]
