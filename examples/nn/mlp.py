"""A multilayer perceptron on handwritten digits: plain; with batch normalisation and dropout; with an MXNet symbol inside."""

from __future__ import annotations

import argparse

from example_data import digits

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.interop import mxnet
from minpy_jit.nn import layers
from minpy_jit.nn.io import NDArrayIter
from minpy_jit.nn.model import ModelBase
from minpy_jit.nn.solver import Solver

HIDDEN = 128


class Plain(ModelBase):
    def __init__(self):
        super().__init__()
        self.add_param("w1", (64, HIDDEN)).add_param("b1", (HIDDEN,), init_rule="constant")
        self.add_param("w2", (HIDDEN, 10)).add_param("b2", (10,), init_rule="constant")

    def forward(self, X, mode):
        hidden = layers.relu(layers.affine(X, self.params["w1"], self.params["b1"]))
        return layers.affine(hidden, self.params["w2"], self.params["b2"])

    def loss(self, predict, y):
        return layers.softmax_loss(predict, y)


class Normalised(Plain):
    def __init__(self):
        super().__init__()
        self.add_param("gamma", (HIDDEN,), init_rule="constant", init_config={"value": 1.0})
        self.add_param("beta", (HIDDEN,), init_rule="constant")
        self.add_aux_param("mean", None).add_aux_param("var", None)

    def forward(self, X, mode):
        p, aux = self.params, self.aux_params
        hidden = layers.affine(X, p["w1"], p["b1"])
        hidden, aux["mean"], aux["var"] = layers.batchnorm(
            hidden, p["gamma"], p["beta"], mode, running_mean=aux["mean"], running_var=aux["var"]
        )
        hidden = layers.dropout(layers.relu(hidden), 0.3, mode)
        return layers.affine(hidden, p["w2"], p["b2"])


class WithASymbol(Plain):
    def __init__(self):
        ModelBase.__init__(self)
        sym = mxnet().symbol
        net = sym.Activation(sym.FullyConnected(sym.Variable("x"), num_hidden=HIDDEN, name="first"), act_type="relu")
        self.network = minpy_jit.Function(sym.FullyConnected(net, num_hidden=10, name="second"), input_shapes={"x": (1, 64)})
        self.add_params(self.network.get_params())

    def forward(self, X, mode):
        self.network.is_train = mode == "train"
        return self.network(x=np.reshape(X, (X.shape[0], 64)), **self.params)


VARIANTS = {"plain": Plain, "normalised": Normalised, "symbol": WithASymbol}


def main(arguments: list[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variant", choices=VARIANTS, nargs="?", default="plain")
    parser.add_argument("--epochs", type=int, default=15)
    given = parser.parse_args(arguments)

    np.random.seed(0)
    x, y, held_out_x, held_out_y = digits()
    train, held_out = NDArrayIter(x, y, batch_size=32, shuffle=True), NDArrayIter(held_out_x, held_out_y, batch_size=120)
    solver = Solver(
        VARIANTS[given.variant](),
        train,
        held_out,
        update_rule="adam",
        optim_config={"learning_rate": 2e-3, "weight_decay": 1e-4},
        num_epochs=given.epochs,
        print_every=200,
    )
    solver.train()
    # that of the last epoch: the best one would be chosen by what is held out
    accuracy = solver.val_acc_history[-1]
    print(f"held-out accuracy: {accuracy:.1%}")
    return accuracy


if __name__ == "__main__":
    main()
