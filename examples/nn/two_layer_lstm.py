"""A two-layer LSTM, written as a loop over 50 time steps, trains without compiling anything after its second batch."""

from __future__ import annotations

import argparse
import time

from example_data import adding_problem

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.nn import layers
from minpy_jit.nn.io import NDArrayIter
from minpy_jit.nn.model import ModelBase
from minpy_jit.nn.solver import Callback, Solver


class TwoLayers(ModelBase):
    def __init__(self, hidden):
        super().__init__()
        self.hidden = hidden
        for layer, inputs in ((1, 2), (2, hidden)):
            self.add_param(f"Wx{layer}", (inputs, 4 * hidden)).add_param(f"Wh{layer}", (hidden, 4 * hidden), init_rule="orthogonal")
            self.add_param(f"b{layer}", (4 * hidden,), init_rule="constant")
        self.add_param("W", (hidden, 1)).add_param("c", (1,), init_rule="constant")

    def forward(self, X, mode):
        p = self.params
        h1 = c1 = h2 = c2 = np.zeros((X.shape[0], self.hidden), X.dtype)
        for t in range(X.shape[1]):
            h1, c1 = layers.lstm_step(X[:, t], h1, c1, p["Wx1"], p["Wh1"], p["b1"])
            h2, c2 = layers.lstm_step(h1, h2, c2, p["Wx2"], p["Wh2"], p["b2"])
        return layers.affine(h2, p["W"], p["c"])

    def loss(self, predict, y):
        return layers.l2_loss(predict, y)


class Compiles(Callback):
    """How many programs were compiled up to each batch."""

    def on_train_begin(self, solver):
        self.counts, self.seconds = [], []
        self.first, self.begun = minpy_jit.stats()["compiles"], time.perf_counter()

    def on_step(self, solver, step):
        self.counts.append(minpy_jit.stats()["compiles"] - self.first)
        self.seconds.append(time.perf_counter() - self.begun)


def main(arguments: list[str] | None = None) -> list[int]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--length", type=int, default=50)
    parser.add_argument("--hidden", type=int, default=32)
    given = parser.parse_args(arguments)

    np.random.seed(0)
    x, y = adding_problem(32 * given.batches, given.length, seed=1)
    compiles = Compiles()
    solver = Solver(
        TwoLayers(given.hidden),
        NDArrayIter(x, y, batch_size=32),
        task_type="regression",
        update_rule="adam",
        optim_config={"learning_rate": 5e-3},
        num_epochs=1,
        train_acc_num_samples=0,
        verbose=False,
        callbacks=[compiles],
    )
    solver.train()
    for batch in sorted({1, 2, 3, given.batches}):
        print(f"batch {batch:3}: loss {solver.loss_history[batch - 1]:.4f}, {compiles.counts[batch - 1]} programs compiled so far")
    steady = (compiles.seconds[-1] - compiles.seconds[2]) / (given.batches - 3)
    print(f"compiled after the second batch: {compiles.counts[-1] - compiles.counts[1]}; {1e3 * steady:.0f} ms a batch")
    return compiles.counts


if __name__ == "__main__":
    main()
