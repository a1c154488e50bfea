"""The data that the examples learn from: scikit-learn's handwritten digits, and the adding problem."""

from __future__ import annotations

import numpy
from sklearn.datasets import load_digits


def digits(held_out: int = 360) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray, numpy.ndarray]:
    """1797 images of handwritten digits: (images, labels) to train on, (images, labels) held out; an image is (8, 8), from 0 to 1."""
    images, labels = load_digits(return_X_y=True)
    order = numpy.random.default_rng(0).permutation(len(images))
    images, labels = (images[order] / 16).reshape(-1, 8, 8), labels[order]
    return images[:-held_out], labels[:-held_out], images[-held_out:], labels[-held_out:]


def adding_problem(samples: int, length: int, seed: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Sequences of (number, mark), two of which are marked, one in either half; the target is the sum of the marked numbers.

    Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997. Always to say 1, the mean, has an error of 1/6 = 0.167.
    """
    rng = numpy.random.default_rng(seed)
    numbers, marks = rng.random((samples, length)), numpy.zeros((samples, length))
    rows = numpy.arange(samples)
    for places in (rng.integers(0, length // 2, samples), rng.integers(length // 2, length, samples)):
        marks[rows, places] = 1
    return numpy.stack([numbers, marks], axis=2), (numbers * marks).sum(axis=1)
