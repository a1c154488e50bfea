"""A residual network of which each step trains another, random part: Python's `if` decides, block by block, whether it takes part.

Huang et al., "Deep Networks with Stochastic Depth", 2016. Each pattern of branches is a program of its own, which is compiled when it comes
for the second time; later it is found again.
"""

from __future__ import annotations

import argparse
import random

from example_data import digits

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.nn.io import NDArrayIter
from minpy_jit.nn.modules import BatchNorm, Convolution, FullyConnected, Model, Pooling, ReLU, Sequential
from minpy_jit.nn.solver import Solver


def convolution(filters):
    settings = {"init_configs": {"weight": {"init_rule": "he"}}, "no_bias": True}
    return Sequential(Convolution(kernel=(3, 3), num_filter=filters, pad=(1, 1), **settings), BatchNorm(fix_gamma=False))


class StochasticDepth(Model):
    def __init__(self, blocks=4, filters=16):
        super().__init__(loss="softmax_loss")
        self.first = Sequential(convolution(filters), ReLU())
        self.blocks = [Sequential(convolution(filters), ReLU(), convolution(filters)) for _ in range(blocks)]
        # the first block always survives, the last one every other time, those in between in proportion
        self.survival = [1 - 0.5 * k / (blocks - 1) for k in range(blocks)]
        self.last = Sequential(Pooling(global_pool=True, pool_type="avg"), FullyConnected(num_hidden=10))
        self.skipped = 0

    def forward(self, X, mode="training"):
        h = self.first(X[:, None])
        for block, survival in zip(self.blocks, self.survival, strict=True):
            if mode == "inference":
                h = np.maximum(h + survival * block(h), 0)
            elif random.random() < survival:
                h = np.maximum(h + block(h), 0)
            else:
                self.skipped += 1
        return self.last(h)


def main(arguments: list[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--blocks", type=int, default=4)
    given = parser.parse_args(arguments)

    np.random.seed(0)
    random.seed(0)
    x, y, held_out_x, held_out_y = digits()
    train, held_out = NDArrayIter(x, y, batch_size=32, shuffle=True), NDArrayIter(held_out_x, held_out_y, batch_size=120)
    model = StochasticDepth(given.blocks)
    solver = Solver(
        model, train, held_out, update_rule="adam", optim_config={"learning_rate": 2e-3}, num_epochs=given.epochs, print_every=200
    )
    minpy_jit.reset_stats()
    solver.train()
    found = minpy_jit.stats()
    print(f"{solver.iteration} updates skipped {model.skipped} blocks; {found['compiles']} programs were compiled")
    # that of the last epoch: the best one would be chosen by what is held out
    accuracy = solver.val_acc_history[-1]
    print(f"held-out accuracy: {accuracy:.1%}")
    return accuracy


if __name__ == "__main__":
    main()
