"""Products of 1024×1024 matrices: float32, with bias and ReLU, and float64."""

from __future__ import annotations

from typing import Any

import numpy

from .workload import Workload, close, function, normal


def inputs(quick: bool) -> tuple[numpy.ndarray, ...]:
    """Two matrices and a bias."""
    size = 48 if quick else 1024
    rng = numpy.random.default_rng(10)
    return normal(rng, (size, size)), normal(rng, (size, size), size**-0.5), normal(rng, size)


def product(np: Any, x: Any, w: Any) -> Any:
    """MXNet calls it so too."""
    return np.dot(x, w)


def dense(np: Any, x: Any, w: Any, b: Any) -> Any:
    """A dense layer."""
    return np.maximum(x @ w + b, 0)


def dense_mxnet(F: Any, x: Any, w: Any, b: Any) -> Any:
    """The same in MXNet."""
    return F.relu(F.broadcast_add(F.dot(x, w), b))


WORKLOADS: list[Workload] = [
    function("matmul", "product 1024×1024, float32", lambda quick: inputs(quick)[:2], product),
    function("dense", "dense layer with ReLU, 1024×1024", inputs, dense, dense_mxnet),
    function(
        "dot_float64",
        "product 1024×1024, float64",
        lambda quick: tuple(a.astype(numpy.float64) for a in inputs(quick)[:2]),
        product,
        judge=close(1e-12),
    ),
]
