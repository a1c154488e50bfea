"""What the training steps share: loss, gradients and a step of gradient descent, in NumPy by hand, in minpy_jit and in MXNet.

A run is one step; it ends when the loss is a Python number and the new parameters have been computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy

import minpy_jit
import minpy_jit.numpy as np

from .workload import Call, Results, Workload, Wrap, compare, normal

RATE = 0.01
# differences of parameters are compared, of which rounding takes the last digits
TOLERANCE = 2e-3
Parameters = dict[str, Any]


def dense(rng: numpy.random.Generator, inputs: int, outputs: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Weights and biases of a layer."""
    return normal(rng, (inputs, outputs), inputs**-0.5), numpy.zeros(outputs, numpy.float32)


def cross_entropy(np: Any, scores: Any, labels: Any) -> Any:
    """The mean of −log softmax at the labels."""
    shifted = scores - np.max(scores, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(shifted), axis=1)) - shifted[np.arange(scores.shape[0]), labels])


def cross_entropy_by_hand(scores: numpy.ndarray, labels: numpy.ndarray) -> tuple[Any, numpy.ndarray]:
    """The same in NumPy, and its gradient with respect to the scores."""
    rows = numpy.arange(len(labels))
    shifted = scores - scores.max(axis=1, keepdims=True)
    weights = numpy.exp(shifted)
    totals = weights.sum(axis=1, keepdims=True)
    loss = (numpy.log(totals[:, 0]) - shifted[rows, labels]).mean()
    weights /= totals
    weights[rows, labels] -= 1
    weights /= numpy.float32(len(labels))
    return loss, weights


def cross_entropy_mxnet(F: Any, scores: Any, labels: Any) -> Any:
    """The same in MXNet."""
    return -F.mean(F.pick(F.log_softmax(scores), labels))


def judge(inputs: Sequence[Any], found: dict[str, numpy.ndarray], expected: dict[str, numpy.ndarray]) -> None:
    """The loss, and what the step changed in each parameter."""
    for name, right in expected.items():
        before = inputs[0].get(name, 0)
        compare(name, found[name] - before, right - before, TOLERANCE)


def training(
    name: str,
    title: str,
    inputs: Callable[[bool], tuple[Any, ...]],
    loss: Callable[..., Any],
    by_hand: Callable[..., tuple[Any, Parameters]],
    imperative_loss: Callable[..., Any],
    symbol_loss: Callable[..., Any],
) -> Workload:
    """A workload that trains.

    Args:
        name, title: as in Workload.
        inputs: (parameters by name, data, labels).
        loss: of our namespace and the inputs, the loss.
        by_hand: of the inputs as NumPy arrays, the loss and its gradients by name.
        imperative_loss: of `mx.nd` and the inputs, the loss.
        symbol_loss: of `mx.sym`, the inputs and the shapes by name (the data's under "data"), the loss. Matrices are transposed, as
            FullyConnected wants them.
    """

    def plain(parameters: Parameters, x: numpy.ndarray, y: numpy.ndarray) -> Call:
        held = {k: v.copy() for k, v in parameters.items()}

        def call() -> Results:
            value, gradients = by_hand(held, x, y)
            for k, g in gradients.items():
                held[k] -= numpy.float32(RATE) * g
            return {"loss": float(value), **held}

        return call

    def ours(wrap: Wrap, parameters: Parameters, x: numpy.ndarray, y: numpy.ndarray) -> Call:
        loss_and_gradients = minpy_jit.value_and_grad(lambda p, x, y: loss(np, p, x, y))

        def step(p: Parameters, x: Any, y: Any) -> tuple[Any, Parameters]:
            value, gradients = loss_and_gradients(p, x, y)
            return value, {k: p[k] - RATE * gradients[k] for k in p}

        wrapped = wrap(step)
        held = {k: np.array(v) for k, v in parameters.items()}
        data, labels = np.array(x), np.array(y)

        def call() -> Results:
            nonlocal held
            value, held = wrapped(held, data, labels)
            result = float(value)
            minpy_jit.wait(held)
            return {"loss": result, **held}

        return call

    def imperative(mx: Any, parameters: Parameters, x: numpy.ndarray, y: numpy.ndarray) -> Call:
        held = {k: mx.nd.array(v) for k, v in parameters.items()}
        data, labels = mx.nd.array(x), mx.nd.array(y)
        for p in held.values():
            p.attach_grad()

        def call() -> Results:
            with mx.autograd.record():
                value = imperative_loss(mx.nd, held, data, labels)
            value.backward()
            for p in held.values():
                p -= RATE * p.grad
            result = value.asscalar()
            mx.nd.waitall()
            return {"loss": result, **held}

        return call

    def symbolic(mx: Any, parameters: Parameters, x: numpy.ndarray, y: numpy.ndarray) -> Call:
        held = {k: mx.nd.array(v.T if v.ndim == 2 else v) for k, v in parameters.items()}
        gradients = {k: mx.nd.zeros(v.shape) for k, v in held.items()}
        data = {"data": mx.nd.array(x), "labels": mx.nd.array(y)}
        executor: Any = None

        def call() -> Results:
            nonlocal executor
            if executor is None:
                variables = {k: mx.sym.Variable(k) for k in held}
                shapes = {**{k: v.shape for k, v in parameters.items()}, "data": x.shape}
                value = symbol_loss(mx.sym, variables, mx.sym.Variable("data"), mx.sym.Variable("labels"), shapes)
                wanted = {**dict.fromkeys(held, "write"), **dict.fromkeys(data, "null")}
                executor = mx.sym.MakeLoss(value).bind(mx.cpu(), {**held, **data}, args_grad=gradients, grad_req=wanted)
            executor.forward(is_train=True)
            executor.backward()
            for k, p in held.items():
                mx.nd.sgd_update(p, gradients[k], lr=RATE, wd=0, out=p)
            result = executor.outputs[0].asscalar()
            mx.nd.waitall()
            return {"loss": result, **{k: v.T if v.ndim == 2 else v for k, v in held.items()}}

        return call

    return Workload(name, title, inputs, plain, ours, imperative, symbolic, judge)
