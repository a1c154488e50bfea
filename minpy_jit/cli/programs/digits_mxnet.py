"""The training step of digits.py in MXNet's imperative interface with MXNet's own autograd, as its users write it, in a process of its own.

Usage: digits_mxnet.py DATA.npz, which holds x, labels and the parameters w1, b1, w2, b2. Each line of input is a number of steps; the
answer is the seconds that they took.
"""

from __future__ import annotations

import sys
from time import perf_counter
from typing import Any

import numpy

numpy.bool = numpy.bool_  # type: ignore[attr-defined] # mxnet 1.9.1 asks for it, NumPy 1.24 removed it
import mxnet as mx  # noqa: E402
from mxnet import autograd, nd  # noqa: E402

BATCH, RATE, MOMENTUM = 32, 0.05, 0.9


def step(parameters: list[Any], velocities: list[Any], x: Any, labels: Any) -> Any:
    """One step of gradient descent with momentum, in place; returns the loss."""
    w1, b1, w2, b2 = parameters
    with autograd.record():
        hidden = nd.relu(nd.broadcast_add(nd.dot(x, w1), b1))
        scores = nd.broadcast_add(nd.dot(hidden, w2), b2)
        loss = -nd.pick(nd.log_softmax(scores), labels, axis=1).mean()
    loss.backward()
    for p, v in zip(parameters, velocities, strict=True):
        v *= MOMENTUM
        v -= RATE * p.grad
        p += v
    return loss


def main() -> None:
    """Answer until the input ends."""
    data = numpy.load(sys.argv[1])
    x, labels = mx.nd.array(data["x"]), mx.nd.array(data["labels"])
    parameters = [mx.nd.array(data[name]) for name in ("w1", "b1", "w2", "b2")]
    for p in parameters:
        p.attach_grad()
    velocities = [nd.zeros_like(p) for p in parameters]
    batches = x.shape[0] // BATCH
    turn = 0
    for line in sys.stdin:
        started = perf_counter()
        for _ in range(int(line)):
            i = turn % batches
            turn += 1
            step(parameters, velocities, x[i * BATCH : (i + 1) * BATCH], labels[i * BATCH : (i + 1) * BATCH]).asscalar()
        print(perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
