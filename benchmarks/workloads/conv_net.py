"""A training step of a small convolutional network: 28×28 images, two convolutions 5×5 with max-pooling, one dense layer; batch 64."""

from __future__ import annotations

from typing import Any

import numpy
from numpy.lib.stride_tricks import sliding_window_view

from minpy_jit.nn import layers

from .training import Parameters, cross_entropy, cross_entropy_by_hand, cross_entropy_mxnet, dense, training
from .workload import Workload, normal


def inputs(quick: bool) -> tuple[Any, ...]:
    """Parameters, images, labels."""
    batch, first, second = (3, 2, 4) if quick else (64, 16, 32)
    rng = numpy.random.default_rng(5)
    wo, bo = dense(rng, second * 16, 10)
    parameters = {
        "k1": normal(rng, (first, 1, 5, 5), 0.2),
        "c1": numpy.zeros(first, numpy.float32),
        "k2": normal(rng, (second, first, 5, 5), 0.05),
        "c2": numpy.zeros(second, numpy.float32),
        "wo": wo,
        "bo": bo,
    }
    return parameters, normal(rng, (batch, 1, 28, 28)), rng.integers(0, 10, batch)


def loss(np: Any, p: Parameters, x: Any, labels: Any) -> Any:
    """As our users write it."""
    h = layers.pooling(np.maximum(layers.convolution(x, p["k1"], p["c1"], kernel=5), 0), kernel=2)
    h = layers.pooling(np.maximum(layers.convolution(h, p["k2"], p["c2"], kernel=5), 0), kernel=2)
    return cross_entropy(np, h.reshape((x.shape[0], -1)) @ p["wo"] + p["bo"], labels)


# -- NumPy, by hand -----------------------------------------------------------------------------------------------------------------------
def windows(x: numpy.ndarray) -> numpy.ndarray:
    """The 5×5 windows of images: (N, C, H, W) to (N H' W', C 25)."""
    found = sliding_window_view(x, (5, 5), axis=(2, 3)).transpose(0, 2, 3, 1, 4, 5)
    return found.reshape(-1, x.shape[1] * 25)


def convolve(x: numpy.ndarray, k: numpy.ndarray, c: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Convolution as one product; returns the windows too."""
    columns = windows(x)
    found = columns @ k.reshape(len(k), -1).T + c
    size = x.shape[2] - 4
    return columns, numpy.ascontiguousarray(found.reshape(len(x), size, size, len(k)).transpose(0, 3, 1, 2))


def pool(x: numpy.ndarray) -> numpy.ndarray:
    """Maxima of 2×2 squares."""
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))


def unpool(x: numpy.ndarray, pooled: numpy.ndarray, g: numpy.ndarray) -> numpy.ndarray:
    """The gradient of `pool(maximum(a, 0))` with respect to a; `x` is that maximum."""
    n, c, h, w = x.shape
    squares = x.reshape(n, c, h // 2, 2, w // 2, 2)
    found = (squares == pooled[:, :, :, None, :, None]) * g[:, :, :, None, :, None]
    return found.reshape(x.shape) * (x > 0)


def rows_of(g: numpy.ndarray) -> numpy.ndarray:
    """(N, C, H, W) to (N H W, C)."""
    return g.transpose(0, 2, 3, 1).reshape(-1, g.shape[1])


def by_hand(p: Parameters, x: numpy.ndarray, labels: numpy.ndarray) -> tuple[Any, Parameters]:
    """Loss and gradients in NumPy."""
    columns1, a1 = convolve(x, p["k1"], p["c1"])
    r1 = numpy.maximum(a1, 0)
    p1 = pool(r1)
    columns2, a2 = convolve(p1, p["k2"], p["c2"])
    r2 = numpy.maximum(a2, 0)
    p2 = pool(r2)
    flat = p2.reshape(len(x), -1)
    value, g = cross_entropy_by_hand(flat @ p["wo"] + p["bo"], labels)
    found = {"wo": flat.T @ g, "bo": g.sum(axis=0)}

    rows = rows_of(unpool(r2, p2, (g @ p["wo"].T).reshape(p2.shape)))
    found["k2"], found["c2"] = (rows.T @ columns2).reshape(p["k2"].shape), rows.sum(axis=0)
    size = r2.shape[2]
    spread = (rows @ p["k2"].reshape(len(p["k2"]), -1)).reshape(len(x), size, size, p1.shape[1], 5, 5).transpose(0, 3, 1, 2, 4, 5)
    back = numpy.zeros_like(p1)
    for i in range(5):
        for j in range(5):
            back[:, :, i : i + size, j : j + size] += spread[:, :, :, :, i, j]

    rows = rows_of(unpool(r1, p1, back))
    found["k1"], found["c1"] = (rows.T @ columns1).reshape(p["k1"].shape), rows.sum(axis=0)
    return value, found


# -- MXNet --------------------------------------------------------------------------------------------------------------------------------
def features(F: Any, p: Parameters, x: Any, filters: tuple[int, int]) -> Any:
    """What comes before the dense layer."""
    for k, c, count in (("k1", "c1", filters[0]), ("k2", "c2", filters[1])):
        x = F.relu(F.Convolution(x, p[k], p[c], kernel=(5, 5), num_filter=count))
        x = F.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max")
    return F.flatten(x)


def imperative(F: Any, p: Parameters, x: Any, labels: Any) -> Any:
    """As users of mx.nd write it."""
    found = features(F, p, x, (p["k1"].shape[0], p["k2"].shape[0]))
    return cross_entropy_mxnet(F, F.broadcast_add(F.dot(found, p["wo"]), p["bo"]), labels)


def symbol(F: Any, p: Parameters, x: Any, labels: Any, shapes: dict[str, tuple[int, ...]]) -> Any:
    """As users of symbols write it."""
    found = features(F, p, x, (shapes["k1"][0], shapes["k2"][0]))
    return cross_entropy_mxnet(F, F.FullyConnected(found, p["wo"], p["bo"], num_hidden=10), labels)


WORKLOADS: list[Workload] = [training("conv_net", "conv net training step, batch 64", inputs, loss, by_hand, imperative, symbol)]
