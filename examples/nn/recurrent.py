"""Recurrent networks: RNN, LSTM and GRU on the adding problem, and on handwritten digits read row by row."""

from __future__ import annotations

import argparse

import numpy
from example_data import adding_problem, digits

import minpy_jit.numpy as np
from minpy_jit.nn import layers, optim
from minpy_jit.nn.io import NDArrayIter
from minpy_jit.nn.model import ModelBase
from minpy_jit.nn.solver import Solver


class Recurrent(ModelBase):
    """A recurrent layer over the sequence; its last state gives the output."""

    def __init__(self, inputs, hidden, outputs):
        super().__init__()
        self.hidden = hidden
        self.add_cell(inputs, hidden)
        self.add_param("W", (hidden, outputs)).add_param("c", (outputs,), init_rule="constant")

    def add_product(self, inputs, hidden, outputs, suffix="", first=0.0):
        """x @ Wx + h @ Wh + b"""
        self.add_param(f"Wx{suffix}", (inputs, outputs))
        self.add_param(f"Wh{suffix}", (hidden, outputs), init_rule="orthogonal")
        self.add_param(f"b{suffix}", (outputs,), init_rule="constant", init_config={"value": first})

    def forward(self, X, mode):
        start = np.zeros((X.shape[0], self.hidden), X.dtype)
        return layers.affine(self.states(X, start)[:, -1], self.params["W"], self.params["c"])


class RNN(Recurrent):
    def add_cell(self, inputs, hidden):
        self.add_product(inputs, hidden, hidden)

    def states(self, X, start):
        p = self.params
        return layers.rnn_temporal(X, start, p["Wx"], p["Wh"], p["b"])


class LSTM(Recurrent):
    def add_cell(self, inputs, hidden):
        # a forget gate that begins open: Jozefowicz, Zaremba and Sutskever, 2015
        self.add_product(inputs, hidden, 4 * hidden, first=numpy.repeat([0.0, 1.0, 0.0, 0.0], hidden))

    def states(self, X, start):
        p = self.params
        return layers.lstm_temporal(X, start, p["Wx"], p["Wh"], p["b"])


class GRU(Recurrent):
    def add_cell(self, inputs, hidden):
        self.add_product(inputs, hidden, 2 * hidden)
        self.add_product(inputs, hidden, hidden, suffix="_candidate")

    def states(self, X, start):
        p = self.params
        candidate = (p["Wx_candidate"], p["Wh_candidate"], p["b_candidate"])
        return layers.gru_temporal(X, start, p["Wx"], p["Wh"], p["b"], *candidate)


CELLS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}
# what each learns to add in a minute or two: (length of the sequences, how many of them); the plain network forgets what is long ago, and
# the GRU is a Python loop over time, not one operator
ADDING = {"rnn": (15, 20_000), "lstm": (50, 20_000), "gru": (20, 6_000)}


def learn(model, loss, train, held_out, task_type, epochs, rate):
    model.loss = loss
    solver = Solver(
        model,
        train,
        held_out,
        task_type=task_type,
        update_rule="adam",
        optim_config={"learning_rate": optim.cosine_schedule(rate, epochs * train.getnumiterations())},
        clip_norm=1.0,
        num_epochs=epochs,
        train_acc_num_samples=0,
        print_every=200,
    )
    solver.train()
    # that of the last epoch: the best one would be chosen by what is held out
    return solver.val_acc_history[-1]


def add_numbers(cell, length, samples, epochs):
    """The held-out mean squared error."""
    x, y = adding_problem(samples, length, seed=1)
    held_out_x, held_out_y = adding_problem(1000, length, seed=2)
    train, held_out = NDArrayIter(x, y, batch_size=50, shuffle=True), NDArrayIter(held_out_x, held_out_y, batch_size=100)
    error = learn(CELLS[cell](2, 64, 1), layers.l2_loss, train, held_out, "regression", epochs, rate=5e-3)
    print(f"{cell}, adding two of {length} numbers, held-out mean squared error: {error:.5f} (to say 1 always: 0.167)")
    return error


def read_digits(cell, epochs):
    """The held-out accuracy."""
    x, y, held_out_x, held_out_y = digits()
    train, held_out = NDArrayIter(x, y, batch_size=32, shuffle=True), NDArrayIter(held_out_x, held_out_y, batch_size=120)
    accuracy = learn(CELLS[cell](8, 64, 10), layers.softmax_loss, train, held_out, "classification", epochs, rate=5e-3)
    print(f"{cell}, digits row by row, held-out accuracy: {accuracy:.1%}")
    return accuracy


def main(arguments: list[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=["adding", "digits"])
    parser.add_argument("cell", choices=CELLS)
    parser.add_argument("--length", type=int, help="of the sequences to add in")
    parser.add_argument("--samples", type=int, help="sequences to learn adding from")
    parser.add_argument("--epochs", type=int)
    given = parser.parse_args(arguments)

    np.random.seed(0)
    if given.task == "adding":
        length, samples = ADDING[given.cell]
        return add_numbers(given.cell, given.length or length, given.samples or samples, given.epochs or 6)
    return read_digits(given.cell, given.epochs or 25)


if __name__ == "__main__":
    main()
