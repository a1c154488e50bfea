"""k-means, the assignment step: 20,000 points of 32 numbers to 64 centres, in the broadcast form that one writes first, or by products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy

from .workload import Workload, function, normal


def inputs(quick: bool) -> tuple[numpy.ndarray, ...]:
    """Points and centres."""
    rng = numpy.random.default_rng(8)
    return normal(rng, (200 if quick else 20_000, 32)), normal(rng, (7 if quick else 64, 32))


def broadcast(np: Any, points: Any, centres: Any) -> Any:
    """The nearest centre of each point."""
    d = points[:, None, :] - centres[None, :, :]
    return np.argmin(np.sum(d * d, axis=-1), axis=1)


def broadcast_mxnet(F: Any, points: Any, centres: Any) -> Any:
    """The same in MXNet."""
    d = F.broadcast_sub(F.expand_dims(points, axis=1), F.expand_dims(centres, axis=0))
    return F.argmin(F.sum(d * d, axis=2), axis=1)


def product(np: Any, points: Any, centres: Any) -> Any:
    """The same from |p|² − 2 p·c + |c|²."""
    d = np.sum(points * points, axis=1, keepdims=True) - 2.0 * (points @ centres.T) + np.sum(centres * centres, axis=1)
    return np.argmin(d, axis=1)


def product_mxnet(F: Any, points: Any, centres: Any) -> Any:
    """The same in MXNet."""
    d = F.broadcast_sub(F.sum(points * points, axis=1, keepdims=True), 2.0 * F.dot(points, centres, transpose_b=True))
    return F.argmin(F.broadcast_add(d, F.expand_dims(F.sum(centres * centres, axis=1), axis=0)), axis=1)


def judge(given: Sequence[Any], found: dict[str, numpy.ndarray], expected: dict[str, numpy.ndarray]) -> None:
    """The chosen centre is as near as NumPy's: of two that are equally near, rounding may choose either."""
    points, centres = given
    chosen = found["result"].astype(numpy.int64)
    assert chosen.shape == expected["result"].shape, f"shape {chosen.shape}; expected {expected['result'].shape}"
    ours, theirs = [((points - centres[k]) ** 2).sum(axis=1) for k in (chosen, expected["result"])]
    assert (ours - theirs).max() < 1e-3, f"a centre is farther than NumPy's by {(ours - theirs).max():.1e}"


WORKLOADS: list[Workload] = [
    function("k_means_broadcast", "k-means assignment, broadcast", inputs, broadcast, broadcast_mxnet, judge),
    function("k_means_product", "k-means assignment, by products", inputs, product, product_mxnet, judge),
]
