"""Logistic regression on handwritten digits: a loss in NumPy, `grad`, and a loop."""

from __future__ import annotations

import argparse

from example_data import digits

import minpy_jit
import minpy_jit.numpy as np


def predict(w, b, x):
    scores = x @ w + b
    scores = scores - np.max(scores, axis=1, keepdims=True)
    return np.exp(scores) / np.sum(np.exp(scores), axis=1, keepdims=True)


def loss(w, b, x, y):
    probabilities = predict(w, b, x)
    return -np.mean(np.log(probabilities[np.arange(len(y)), y])) + 1e-3 * np.sum(w * w)


def main(arguments: list[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=500)
    steps = parser.parse_args(arguments).steps

    x, y, held_out_x, held_out_y = digits()
    x, held_out_x = (np.array(a.reshape(-1, 64)) for a in (x, held_out_x))
    w, b = np.zeros((64, 10)), np.zeros(10)
    gradient = minpy_jit.value_and_grad(loss, (0, 1))
    for step in range(steps):
        value, (dw, db) = gradient(w, b, x, y)
        w, b = w - 0.5 * dw, b - 0.5 * db
        if step % 100 == 0:
            print(f"step {step:3}: loss {value:.4f}")
    accuracy = float(np.mean(np.argmax(predict(w, b, held_out_x), axis=1) == held_out_y))
    print(f"held-out accuracy: {accuracy:.1%}")
    return accuracy


if __name__ == "__main__":
    main()
