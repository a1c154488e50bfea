"""An image of 768×1024 pixels in bytes to grey: `np.dot(image, weights)`, the image a plain NumPy array, or ours."""

from __future__ import annotations

from typing import Any

import numpy

from .workload import Workload, close, function


def inputs(quick: bool) -> tuple[numpy.ndarray, ...]:
    """An image (soft bands of colour, with noise), and the weights of red, green and blue."""
    height, width = (24, 32) if quick else (768, 1024)
    rng = numpy.random.default_rng(12)
    bands = numpy.sin(numpy.arange(height)[:, None, None] / 40 + numpy.arange(width)[:, None] / 70 + numpy.arange(3))
    image = 127.5 + 100 * bands + rng.normal(0, 5, (height, width, 3))
    return image.clip(0, 255).astype(numpy.uint8), numpy.array([0.299, 0.587, 0.114])


def grey(np: Any, image: Any, weights: Any) -> Any:
    """One channel of three."""
    return np.dot(image, weights)


def grey_mxnet(F: Any, image: Any, weights: Any) -> Any:
    """The same in MXNet, whose `dot` takes no bytes."""
    return F.dot(F.cast(image, dtype="float64"), weights)


WORKLOADS: list[Workload] = [
    function("grey_image", "grey-scale image, our array", inputs, grey, grey_mxnet, close(1e-12)),
    function("grey_image_mixed", "grey-scale image, NumPy's array", inputs, grey, grey_mxnet, close(1e-12), convert=(False, True)),
]
