"""A convolutional network on handwritten digits, in three styles: NumPy code with layers; an MXNet symbol; modules."""

from __future__ import annotations

import argparse

from example_data import digits

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.interop import mxnet
from minpy_jit.nn import layers, optim
from minpy_jit.nn.io import NDArrayIter
from minpy_jit.nn.model import ModelBase
from minpy_jit.nn.modules import Convolution, Dropout, FullyConnected, Model, Pooling, ReLU, Sequential
from minpy_jit.nn.solver import Solver


class Layers(ModelBase):
    """Parameters by name, and a forward pass in NumPy code."""

    def __init__(self):
        super().__init__()
        self.add_param("w1", (32, 1, 3, 3), init_rule="he").add_param("b1", (32,), init_rule="constant")
        self.add_param("w2", (64, 32, 3, 3), init_rule="he").add_param("b2", (64,), init_rule="constant")
        self.add_param("w3", (64 * 4 * 4, 10)).add_param("b3", (10,), init_rule="constant")

    def forward(self, X, mode):
        p = self.params
        h = layers.relu(layers.convolution(X[:, None], p["w1"], p["b1"], kernel=(3, 3), pad=(1, 1)))
        h = layers.relu(layers.convolution(h, p["w2"], p["b2"], kernel=(3, 3), pad=(1, 1)))
        h = layers.pooling(h, kernel=(2, 2), stride=(2, 2), mode="max")
        return layers.affine(layers.dropout(h, 0.5, mode), p["w3"], p["b3"])

    def loss(self, predict, y):
        return layers.softmax_loss(predict, y)


class Symbol(ModelBase):
    """The network as an MXNet symbol; what is before and after it is NumPy code."""

    def __init__(self):
        super().__init__()
        sym = mxnet().symbol
        net = sym.Variable("images")
        for name, filters in (("first", 32), ("second", 64)):
            net = sym.Activation(sym.Convolution(net, kernel=(3, 3), pad=(1, 1), num_filter=filters, name=name), act_type="relu")
        net = sym.Dropout(sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max"), p=0.5)
        self.network = minpy_jit.Function(sym.FullyConnected(net, num_hidden=10, name="scores"), input_shapes={"images": (1, 1, 8, 8)})
        for name, config in self.network.get_params().items():
            self.add_param(name, **config, init_rule="constant" if "bias" in name else "he", init_config={"in_axis": 1})

    def forward(self, X, mode):
        self.network.is_train = mode == "train"
        return self.network(images=X[:, None], **self.params)

    def loss(self, predict, y):
        return layers.softmax_loss(predict, y)


class Modules(Model):
    """Layers that make their own parameters."""

    def __init__(self):
        super().__init__(loss="softmax_loss")
        he = {"weight": {"init_rule": "he"}}
        self.network = Sequential(
            Convolution(kernel=(3, 3), num_filter=32, pad=(1, 1), init_configs=he),
            ReLU(),
            Convolution(kernel=(3, 3), num_filter=64, pad=(1, 1), init_configs=he),
            ReLU(),
            Pooling(kernel=(2, 2), stride=(2, 2), pool_type="max"),
            Dropout(0.5),
            FullyConnected(num_hidden=10),
        )

    def forward(self, X, mode="training"):
        return self.network(X[:, None])


STYLES = {"layers": Layers, "symbol": Symbol, "modules": Modules}


def main(arguments: list[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("style", choices=STYLES, nargs="?", default="layers")
    parser.add_argument("--epochs", type=int, default=12)
    given = parser.parse_args(arguments)

    np.random.seed(0)
    x, y, held_out_x, held_out_y = digits()
    train, held_out = NDArrayIter(x, y, batch_size=32, shuffle=True), NDArrayIter(held_out_x, held_out_y, batch_size=120)
    rate = optim.cosine_schedule(2e-3, given.epochs * train.getnumiterations())
    solver = Solver(
        STYLES[given.style](),
        train,
        held_out,
        update_rule="adam",
        optim_config={"learning_rate": rate},
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
