"""The training step of digits.py in NumPy, its gradient written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

RATE, MOMENTUM = 0.05, 0.9


def step(parameters: list[Any], velocities: list[Any], x: Any, y: Any) -> Any:
    """One step of gradient descent with momentum, in place; returns the loss."""
    w1, b1, w2, b2 = parameters
    hidden = np.maximum(x @ w1 + b1, 0)
    scores = hidden @ w2 + b2
    scores -= scores.max(axis=1, keepdims=True)
    weights = np.exp(scores)
    total = weights.sum(axis=1)
    loss = np.mean(np.log(total) - (scores * y).sum(axis=1))
    to_scores = (weights / total[:, None] - y) / np.float32(len(x))
    to_hidden = (to_scores @ w2.T) * (hidden > 0)
    gradients = (x.T @ to_hidden, to_hidden.sum(axis=0), hidden.T @ to_scores, to_scores.sum(axis=0))
    for p, v, g in zip(parameters, velocities, gradients, strict=True):
        v *= MOMENTUM
        v -= RATE * g
        p += v
    return loss
