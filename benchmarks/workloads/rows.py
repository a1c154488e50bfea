"""Softmax and layer normalisation of the rows of a 4096×1024 matrix, written out: reductions between element-wise operations."""

from __future__ import annotations

from typing import Any

import numpy

from .workload import Workload, function, normal, uniform


def inputs(quick: bool) -> tuple[numpy.ndarray]:
    """A matrix."""
    return (normal(numpy.random.default_rng(6), (40, 33) if quick else (4096, 1024), 2),)


def inputs_and_scales(quick: bool) -> tuple[numpy.ndarray, ...]:
    """A matrix, and what its columns are multiplied by and moved by."""
    (x,) = inputs(quick)
    rng = numpy.random.default_rng(7)
    return x, uniform(rng, x.shape[1], 0.5, 1.5), normal(rng, x.shape[1])


def softmax(np: Any, x: Any) -> Any:
    """Along rows."""
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


def softmax_mxnet(F: Any, x: Any) -> Any:
    """The same in MXNet."""
    e = F.exp(F.broadcast_sub(x, F.max(x, axis=1, keepdims=True)))
    return F.broadcast_div(e, F.sum(e, axis=1, keepdims=True))


def layer_norm(np: Any, x: Any, scale: Any, shift: Any) -> Any:
    """Rows of mean 0 and variance 1, then scaled and shifted by columns."""
    d = x - np.mean(x, axis=1, keepdims=True)
    return d / np.sqrt(np.mean(d * d, axis=1, keepdims=True) + 1e-5) * scale + shift


def layer_norm_mxnet(F: Any, x: Any, scale: Any, shift: Any) -> Any:
    """The same in MXNet."""
    d = F.broadcast_sub(x, F.mean(x, axis=1, keepdims=True))
    found = F.broadcast_div(d, F.sqrt(F.mean(d * d, axis=1, keepdims=True) + 1e-5))
    return F.broadcast_add(F.broadcast_mul(found, scale), shift)


WORKLOADS: list[Workload] = [
    function("softmax", "softmax of rows, 4096×1024", inputs, softmax, softmax_mxnet),
    function("layer_norm", "layer norm of rows, 4096×1024", inputs_and_scales, layer_norm, layer_norm_mxnet),
]
