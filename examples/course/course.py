"""The data of the course."""

from __future__ import annotations

import codecs
import contextlib
import io
from pathlib import Path
from typing import NamedTuple

import numpy

import minpy_jit.numpy as np


class Digits(NamedTuple):
    """Images as rows of 64 numbers from 0 to 1, with a last column of ones where `digits(ones=True)` asked for it; labels from 0 to 9."""

    train_x: np.ndarray
    train_y: np.ndarray
    val_x: np.ndarray
    val_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


def digits(ones: bool = False) -> Digits:
    """scikit-learn's 1797 handwritten digits: 1257 to train on, 180 to choose settings by, 360 to test the end result with."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = numpy.random.default_rng(0).permutation(len(images))
    x, y = images[order] / 16, labels[order]
    if ones:
        x = numpy.hstack([x, numpy.ones((len(x), 1))])
    parts = slice(0, 1257), slice(1257, 1437), slice(1437, None)
    return Digits(*(np.array(values[part]) for part in parts for values in (x, y)))


def zen() -> str:
    """The Zen of Python, 856 characters."""
    with contextlib.redirect_stdout(io.StringIO()):
        import this
    return codecs.decode(this.s, "rot13")


def licence() -> str:
    """The text of this project's licence, 11,000 characters, each stretch of white space as one space."""
    text = (Path(__file__).resolve().parent.parent.parent / "LICENSE").read_text()
    return " ".join(text.split())
