"""Summaries: a tag and a value, which a writer's `add_summary` turns into an event (MinPy's spelling)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Summary(NamedTuple):
    """A value under a tag; `fill` writes it into a `Summary.Value` of TensorBoard's."""

    tag: str
    value: Any
    fill: Callable[[Any, np.ndarray], None]


def scalarSummary(tag: str, value: Any) -> Summary:
    """One number."""
    return Summary(tag, value, _fill_scalar)


def histogramSummary(tag: str, values: Any, bins: int = 30) -> Summary:
    """How the elements of an array are spread over `bins` intervals of equal width."""
    return Summary(tag, values, lambda target, array: _fill_histogram(target, array, bins))


def imageSummary(tag: str, image: Any) -> Summary:
    """A picture: (height, width) or (height, width, channels) with 1, 3 or 4 channels; floats from 0 to 1 or uint8."""
    return Summary(tag, image, _fill_image)


def _fill_scalar(target: Any, array: np.ndarray) -> None:
    if array.size != 1:
        raise ValueError(f"[scalarSummary] {target.tag!r} needs one number; got an array of shape {array.shape}")
    target.simple_value = float(array.reshape(()))


def _fill_histogram(target: Any, array: np.ndarray, bins: int) -> None:
    flat = array.astype(np.float64).ravel()
    if not flat.size or not np.isfinite(flat).all():
        raise ValueError(f"[histogramSummary] {target.tag!r} needs finite numbers, one at least")
    counts, edges = np.histogram(flat, bins)
    found = target.histo
    found.min, found.max, found.num = float(flat.min()), float(flat.max()), float(flat.size)
    found.sum, found.sum_squares = float(flat.sum()), float(flat @ flat)
    found.bucket_limit.extend(edges[1:].tolist())
    found.bucket.extend(counts.tolist())


def _fill_image(target: Any, array: np.ndarray) -> None:
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or not array.size:
        raise ValueError(f"[imageSummary] {target.tag!r} needs shape (height, width) or (height, width, 1, 3 or 4); got {array.shape}")
    if array.dtype != np.uint8:
        array = np.rint(np.clip(array.astype(np.float64), 0.0, 1.0) * 255.0).astype(np.uint8)
    target.image.height, target.image.width, target.image.colorspace = array.shape
    target.image.encoded_image_string = png(array)


# channels -> the format's colour type
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}


def png(pixels: np.ndarray) -> bytes:
    """An image (height, width, channels) of uint8 as a PNG file (ISO/IEC 15948)."""
    height, width, channels = pixels.shape
    # each row begins with its filter: none
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, width * channels)], axis=1)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows.tobytes())) + chunk(b"IEND", b"")
