"""A training step of a network of two dense layers, 3072-512-10, batches of 32 and 256."""

from __future__ import annotations

from typing import Any

import numpy

from .training import Parameters, cross_entropy, cross_entropy_by_hand, cross_entropy_mxnet, dense, training
from .workload import Workload, normal


def inputs(batch: int, quick: bool) -> tuple[Any, ...]:
    """Parameters, images, labels."""
    pixels, hidden = (64, 32) if quick else (3072, 512)
    rng = numpy.random.default_rng(3)
    w1, b1 = dense(rng, pixels, hidden)
    w2, b2 = dense(rng, hidden, 10)
    return {"w1": w1, "b1": b1, "w2": w2, "b2": b2}, normal(rng, (batch, pixels)), rng.integers(0, 10, batch)


def loss(np: Any, p: Parameters, x: Any, labels: Any) -> Any:
    """As our users write it."""
    hidden = np.maximum(x @ p["w1"] + p["b1"], 0)
    return cross_entropy(np, hidden @ p["w2"] + p["b2"], labels)


def by_hand(p: Parameters, x: numpy.ndarray, labels: numpy.ndarray) -> tuple[Any, Parameters]:
    """Loss and gradients in NumPy."""
    before = x @ p["w1"] + p["b1"]
    hidden = numpy.maximum(before, 0)
    value, g = cross_entropy_by_hand(hidden @ p["w2"] + p["b2"], labels)
    back = g @ p["w2"].T
    back *= before > 0
    return value, {"w1": x.T @ back, "b1": back.sum(axis=0), "w2": hidden.T @ g, "b2": g.sum(axis=0)}


def imperative(F: Any, p: Parameters, x: Any, labels: Any) -> Any:
    """As users of mx.nd write it."""
    hidden = F.relu(F.broadcast_add(F.dot(x, p["w1"]), p["b1"]))
    return cross_entropy_mxnet(F, F.broadcast_add(F.dot(hidden, p["w2"]), p["b2"]), labels)


def symbol(F: Any, p: Parameters, x: Any, labels: Any, shapes: dict[str, tuple[int, ...]]) -> Any:
    """As users of symbols write it."""
    hidden = F.relu(F.FullyConnected(x, p["w1"], p["b1"], num_hidden=shapes["w1"][1]))
    return cross_entropy_mxnet(F, F.FullyConnected(hidden, p["w2"], p["b2"], num_hidden=10), labels)


WORKLOADS: list[Workload] = [
    training(
        f"mlp_{batch}",
        f"MLP training step, batch {batch}",
        lambda quick, batch=batch: inputs(batch, quick),  # type: ignore[misc]
        loss,
        by_hand,
        imperative,
        symbol,
    )
    for batch in (32, 256)
]
