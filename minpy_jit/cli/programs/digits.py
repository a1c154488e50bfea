"""A 64-128-10 network on scikit-learn's handwritten digits, trained by a plain imperative loop on lazy arrays."""

from __future__ import annotations

from typing import Any

from sklearn.datasets import load_digits
from tqdm import tqdm

import minpy_jit
import minpy_jit.numpy as np

BATCH, RATE, MOMENTUM = 32, 0.05, 0.9


def load() -> tuple[Any, Any, Any, Any]:
    """Pixels (float32, 0 to 1) and labels: 1347 to train with, 450 held out."""
    pixels, labels = load_digits(return_X_y=True)
    pixels = (pixels / 16).astype("float32")
    order = np.random.default_rng(0).permutation(len(pixels)).asnumpy()
    train, held_out = order[:1347], order[1347:]
    return pixels[train], labels[train], pixels[held_out], labels[held_out]


def one_hot(labels: Any) -> Any:
    """(N, 10) float32 with a one at each label."""
    return np.eye(10, dtype=np.float32)[labels]


def new_parameters() -> list[Any]:
    """Weights and biases of two layers."""
    rng = np.random.default_rng(1)
    w1 = rng.standard_normal((64, 128)).astype(np.float32) * 0.15
    w2 = rng.standard_normal((128, 10)).astype(np.float32) * 0.1
    return [w1, np.zeros(128, np.float32), w2, np.zeros(10, np.float32)]


def scores_of(parameters: list[Any], x: Any) -> Any:
    """(N, 10) scores."""
    w1, b1, w2, b2 = parameters
    hidden = np.maximum(x @ w1 + b1, 0)
    return hidden @ w2 + b2


def loss_of(parameters: list[Any], x: Any, y: Any) -> Any:
    """Mean cross-entropy of softmax."""
    scores = scores_of(parameters, x)
    scores = scores - scores.max(axis=1, keepdims=True)
    return np.mean(np.log(np.exp(scores).sum(axis=1)) - (scores * y).sum(axis=1))


gradient_of = minpy_jit.value_and_grad(loss_of)


def step(parameters: list[Any], velocities: list[Any], x: Any, y: Any) -> Any:
    """One step of gradient descent with momentum, in place; returns the loss."""
    loss, gradients = gradient_of(parameters, x, y)
    for p, v, g in zip(parameters, velocities, gradients, strict=True):
        v *= MOMENTUM
        v -= RATE * g
        p += v
    return loss


def train(epochs: int) -> tuple[list[Any], list[float]]:
    """The training loop; returns the parameters and the mean loss of each epoch."""
    pixels, labels, _, _ = load()
    pixels, targets = np.array(pixels), one_hot(labels)
    parameters = new_parameters()
    velocities = [np.zeros_like(p) for p in parameters]
    rng = np.random.default_rng(2)
    batches = len(pixels) // BATCH
    curve = []
    bar = tqdm(total=epochs * batches, unit="step", disable=None, leave=False)
    for epoch in range(1, epochs + 1):
        order = rng.permutation(len(pixels))
        x, y = pixels[order], targets[order]
        total = 0.0
        for i in range(batches):
            loss = step(parameters, velocities, x[i * BATCH : (i + 1) * BATCH], y[i * BATCH : (i + 1) * BATCH])
            total += loss
            if i % 10 == 0:
                if not loss < 10:
                    raise ArithmeticError(f"the loss has become {loss}: take a smaller rate than {RATE}")
                bar.set_postfix(loss=f"{loss:.3f}")
            bar.update()
        curve.append(float(total) / batches)
        bar.clear()
        print(f"epoch {epoch:2}: loss {curve[-1]:.4f}", flush=True)
    bar.close()
    return parameters, curve


def accuracy(parameters: list[Any], pixels: Any, labels: Any) -> float:
    """Share of right answers."""
    return float(np.mean(np.argmax(scores_of(parameters, np.array(pixels)), axis=1) == labels))


if __name__ == "__main__":
    trained, _ = train(12)
    print(f"held-out accuracy: {accuracy(trained, *load()[2:]):.1%}")
