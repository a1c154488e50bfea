"""Bare `mx.nd` workloads, each as its users write it. Runs in a process of its own: `bare_mxnet.py WORKLOAD SIZE LENGTH`.

Each line of input is a number of calls; the answer is the seconds that they took.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter

import numpy

numpy.bool = numpy.bool_  # type: ignore[attr-defined] # mxnet 1.9.1 asks for it, NumPy 1.24 removed it
import mxnet as mx  # noqa: E402


def chain(size: int, length: int) -> Callable[[], object]:
    """`length` additions in a row, observed at the end."""
    x, y = mx.nd.ones((size, size)), mx.nd.ones((size, size))

    def run() -> object:
        z = x
        for _ in range(length):
            z = z + y
        return z.asnumpy()

    return run


def mixed(size: int, length: int) -> Callable[[], object]:
    """`length` turns of `tanh(z * y) + y`, observed at the end."""
    x, y = mx.nd.ones((size, size)), mx.nd.ones((size, size)) * 0.5

    def run() -> object:
        z = x
        for _ in range(length):
            z = mx.nd.tanh(z * y) + y
        return z.asnumpy()

    return run


def digits(size: int, length: int) -> Callable[[], object]:
    """A training step of the demo's network (batch `size`, `length` hidden units), with the operations of the demo's program."""
    rng = numpy.random.default_rng(0)
    x = mx.nd.array(rng.random((size * 8, 64)))
    y = mx.nd.array(numpy.eye(10)[rng.integers(0, 10, size * 8)])
    shapes = ((64, length), (length,), (length, 10), (10,))
    parameters = [mx.nd.array(rng.standard_normal(s) * 0.1) for s in shapes]
    velocities = [mx.nd.zeros(s) for s in shapes]
    for p in parameters:
        p.attach_grad()
    turn = 0

    def run() -> object:
        nonlocal turn
        i = turn % 8
        turn += 1
        batch, targets = x[i * size : (i + 1) * size], y[i * size : (i + 1) * size]
        w1, b1, w2, b2 = parameters
        with mx.autograd.record():
            hidden = mx.nd.maximum(mx.nd.broadcast_add(mx.nd.dot(batch, w1), b1), 0)
            scores = mx.nd.broadcast_add(mx.nd.dot(hidden, w2), b2)
            scores = mx.nd.broadcast_sub(scores, scores.max(axis=1, keepdims=True))
            loss = (mx.nd.log(mx.nd.exp(scores).sum(axis=1)) - (scores * targets).sum(axis=1)).mean()
        loss.backward()
        for p, v in zip(parameters, velocities, strict=True):
            v *= 0.9
            v -= 0.05 * p.grad
            p += v
        return loss.asscalar()

    return run


def main() -> None:
    """Answer until the input ends."""
    call = {"chain": chain, "mixed": mixed, "digits": digits}[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3]))
    for line in sys.stdin:
        started = perf_counter()
        for _ in range(int(line)):
            call()
        print(perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
