"""A chain of 100 small operations, 16×16, read at its end, and its gradient: what each operation costs before it computes."""

from __future__ import annotations

from typing import Any

import numpy

import minpy_jit
import minpy_jit.numpy as np

from .workload import Call, Results, Workload, Wrap, close, function, normal, uniform

LENGTH = 100


def inputs(quick: bool) -> tuple[numpy.ndarray, ...]:
    """Where the chain begins, what it multiplies by, what it adds."""
    rng = numpy.random.default_rng(2)
    return normal(rng, (16, 16)), uniform(rng, (16, 16), 0.9, 1.1), normal(rng, (16, 16), 0.1)


def chain(np: Any, x: Any, a: Any, b: Any) -> Any:
    """mul, add, tanh, mul, add, tanh …"""
    for i in range(LENGTH):
        if i % 3 == 0:
            x = x * a
        elif i % 3 == 1:
            x = x + b
        else:
            x = np.tanh(x)
    return x


def by_hand(x: numpy.ndarray, a: numpy.ndarray, b: numpy.ndarray) -> Call:
    """The gradient of the chain's sum, as one writes it in NumPy."""

    def call() -> Results:
        values, y = [], x
        for i in range(LENGTH):
            y = y * a if i % 3 == 0 else y + b if i % 3 == 1 else numpy.tanh(y)
            values.append(y)
        g = numpy.ones_like(x)
        for i in reversed(range(LENGTH)):
            if i % 3 == 0:
                g = g * a
            elif i % 3 == 2:
                g = g * (1 - values[i] * values[i])
        return {"result": g}

    return call


def ours(wrap: Wrap, *arrays: numpy.ndarray) -> Call:
    """The same by `grad`."""
    taken = [np.array(a) for a in arrays]
    gradient = wrap(minpy_jit.grad(lambda x, a, b: np.sum(chain(np, x, a, b))))
    return lambda: {"result": gradient(*taken).asnumpy()}


def imperative(mx: Any, *arrays: numpy.ndarray) -> Call:
    """The same by mx.autograd."""
    x, a, b = [mx.nd.array(v) for v in arrays]
    x.attach_grad()

    def call() -> Results:
        with mx.autograd.record():
            total = mx.nd.sum(chain(mx.nd, x, a, b))
        total.backward()
        return {"result": x.grad.asnumpy()}

    return call


def symbolic(mx: Any, *arrays: numpy.ndarray) -> Call:
    """The same by an executor's backward pass."""
    taken = {name: mx.nd.array(v) for name, v in zip("xab", arrays, strict=True)}
    gradient = mx.nd.zeros(arrays[0].shape)
    executor: Any = None

    def call() -> Results:
        nonlocal executor
        if executor is None:
            loss = mx.sym.MakeLoss(mx.sym.sum(chain(mx.sym, *[mx.sym.Variable(name) for name in "xab"])))
            executor = loss.bind(mx.cpu(), taken, args_grad={"x": gradient}, grad_req={"x": "write", "a": "null", "b": "null"})
        executor.forward(is_train=True)
        executor.backward()
        return {"result": gradient.asnumpy()}

    return call


WORKLOADS: list[Workload] = [
    function("tanh_chain", "chain of 100 operations, 16×16", inputs, chain, read=True),
    Workload("tanh_chain_gradient", "gradient of that chain", inputs, by_hand, ours, imperative, symbolic, close(1e-4)),
]
