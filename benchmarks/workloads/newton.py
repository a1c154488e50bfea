"""Cube roots of 10⁵ numbers by Newton's method: `while error > tolerance`, which looks at a value each time; loss and gradient."""

from __future__ import annotations

from typing import Any

import numpy

import minpy_jit
import minpy_jit.numpy as np

from .workload import Call, Results, Workload, Wrap, close, normal, uniform

TOLERANCE = 1e-3


def inputs(quick: bool) -> tuple[numpy.ndarray, ...]:
    """Numbers, and weights of their roots in the loss."""
    rng = numpy.random.default_rng(11)
    count = 1000 if quick else 100_000
    return uniform(rng, count, 1, 100), normal(rng, count)


def improve(np: Any, x: Any, a: Any) -> tuple[Any, Any]:
    """A step towards the root, and how far it went."""
    new = x - (x * x * x - a) / (3.0 * x * x)
    return new, np.max(np.abs(new - x))


def plain(a: numpy.ndarray, weights: numpy.ndarray) -> Call:
    """Loss and gradient in NumPy, by hand."""

    def call() -> Results:
        x, tape = a, []
        while True:
            tape.append(x)
            x, error = improve(numpy, x, a)
            if not error > TOLERANCE:
                break
        g, found = weights, numpy.zeros_like(a)
        for x_before in reversed(tape):
            square = x_before * x_before
            found += g / (3 * square)
            g = g * (numpy.float32(2 / 3) - numpy.float32(2 / 3) * a / (square * x_before))
        # the first guess is the number itself
        return {"loss": float((weights * x).sum()), "gradient": found + g}

    return call


def ours(wrap: Wrap, a: numpy.ndarray, weights: numpy.ndarray) -> Call:
    """The loop as it stands, differentiated."""
    step = wrap(lambda x, a: improve(np, x, a))

    def loss(a: Any, weights: Any) -> Any:
        x = a
        while True:
            x, error = step(x, a)
            if not error > TOLERANCE:
                return np.sum(weights * x)

    loss_and_gradient = minpy_jit.value_and_grad(loss)
    numbers, held = np.array(a), np.array(weights)

    def call() -> Results:
        value, gradient = loss_and_gradient(numbers, held)
        result = float(value)
        minpy_jit.wait(gradient)
        return {"loss": result, "gradient": gradient}

    return call


def imperative(mx: Any, a: numpy.ndarray, weights: numpy.ndarray) -> Call:
    """The same by mx.autograd."""
    numbers, held = mx.nd.array(a), mx.nd.array(weights)
    numbers.attach_grad()

    def call() -> Results:
        with mx.autograd.record():
            x = numbers
            while True:
                x, error = improve(mx.nd, x, numbers)
                if not error.asscalar() > TOLERANCE:
                    break
            value = mx.nd.sum(held * x)
        value.backward()
        result = value.asscalar()
        numbers.grad.wait_to_read()
        return {"loss": result, "gradient": numbers.grad}

    return call


def symbolic(mx: Any, a: numpy.ndarray, weights: numpy.ndarray) -> Call:
    """The same by `contrib.while_loop`."""
    taken = {"a": mx.nd.array(a), "weights": mx.nd.array(weights)}
    gradient = mx.nd.zeros(a.shape)
    executor: Any = None

    def call() -> Results:
        nonlocal executor
        if executor is None:
            number = mx.sym.Variable("a")

            def body(x: Any, error: Any) -> tuple[list[Any], list[Any]]:
                new, far = improve(mx.sym, x, number)
                # each variable of the loop must be used; without BlockGrad the error's gradient would be memory that nobody wrote
                return [], [new, mx.sym.reshape(mx.sym.BlockGrad(far), shape=(1,)) + 0 * error]

            start = [number * 1.0, mx.sym.ones((1,))]
            _, (root, _) = mx.sym.contrib.while_loop(lambda x, error: error > TOLERANCE, body, start, max_iterations=32)
            loss = mx.sym.MakeLoss(mx.sym.sum(mx.sym.Variable("weights") * root))
            executor = loss.bind(mx.cpu(), taken, args_grad={"a": gradient}, grad_req={"a": "write", "weights": "null"})
        executor.forward(is_train=True)
        executor.backward()
        result = executor.outputs[0].asscalar()
        gradient.wait_to_read()
        return {"loss": result, "gradient": gradient}

    return call


WORKLOADS: list[Workload] = [
    Workload("newton", "Newton, `while`, loss and gradient", inputs, plain, ours, imperative, symbolic, close(1e-3)),
]
