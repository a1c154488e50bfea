"""Export to MXNet's files, and back: what plain MXNet computes with them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit import Function, ops
from minpy_jit.errors import ExportError
from minpy_jit.interop import mxnet

RNG = numpy.random.default_rng(0)
W = np.array(RNG.normal(0, 0.4, (4, 3)).astype("f"))
B = np.array(RNG.normal(0, 0.4, 3).astype("f"))
X = RNG.random((5, 4), "f")
IMAGES = RNG.random((2, 1, 8, 8), "f")
FILTERS = np.array(RNG.normal(0, 0.4, (3, 1, 3, 3)).astype("f"))


def nd(value: numpy.ndarray) -> Any:
    made = mxnet().nd.empty(value.shape, dtype=value.dtype)
    made[:] = value
    return made


@minpy_jit.trace
def perceptron(data: Any) -> Any:
    return ops.softmax(np.tanh(data @ W + B) * 2)


def network(data: Any) -> Any:
    x = ops.pooling(ops.relu(ops.convolution(data, FILTERS, pad=1)), 2)
    x = x.reshape(len(x), -1)[:, ::2]
    return x - np.mean(x, axis=1, keepdims=True), np.max(x)


def test_mod_and_symbol_block_load_it(tmp_path: Path) -> None:
    mx = mxnet()
    symbol_file, params_file = perceptron.export(tmp_path / "mlp", X)
    assert [Path(symbol_file).name, Path(params_file).name] == ["mlp-symbol.json", "mlp-0000.params"]
    expected = perceptron(X).asnumpy()

    symbol, arguments, auxiliary = mx.model.load_checkpoint(str(tmp_path / "mlp"), 0)
    assert symbol.list_arguments()[0] == "data" and auxiliary == {}
    module = mx.mod.Module(symbol, data_names=["data"], label_names=None)
    module.bind([("data", X.shape)], for_training=False)
    module.set_params(arguments, auxiliary)
    module.forward(mx.io.DataBatch([nd(X)]), is_train=False)
    numpy.testing.assert_allclose(module.get_outputs()[0].asnumpy(), expected, rtol=1e-5)

    with warnings.catch_warnings():
        # MXNet asks its input for a dtype that it did not give it
        warnings.simplefilter("ignore")
        block = mx.gluon.SymbolBlock.imports(symbol_file, ["data"], params_file)
    numpy.testing.assert_allclose(block(nd(X)).asnumpy(), expected, rtol=1e-5)
    ours = Function.load(str(tmp_path / "mlp"), 0)
    numpy.testing.assert_allclose(ours(data=X).asnumpy(), expected, rtol=1e-5)
    assert minpy_jit.grad(lambda x: np.sum(ours(data=x) ** 2))(X).shape == X.shape


def test_a_convolutional_network_with_two_results(tmp_path: Path) -> None:
    minpy_jit.export(network, tmp_path / "cnn", IMAGES, epoch=12)
    f = Function.load(str(tmp_path / "cnn"), 12)
    first, second = f(data=IMAGES)
    expected, largest = network(np.array(IMAGES))
    numpy.testing.assert_allclose(first.asnumpy(), expected.asnumpy(), rtol=1e-5, atol=1e-6)
    assert second.shape == (1,) and float(second[0]) == pytest.approx(float(largest))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.exp(x) + 1,
        lambda x: x.sum(),
        lambda x: x[1:3, -1] * x.mean(),
        lambda x: np.where(x > 0.5, x, -x) ** 2,
        lambda x: np.concatenate([x, np.ones((5, 1), "float32")], axis=1).T,
        lambda x: (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5),
        lambda x: np.stack([x.max(), x.min(), x.sum()]),
        lambda x: x[[0, 2]] * 2 + x[numpy.array([1, 0])],
        lambda x: ops.layer_norm(x, np.ones(4, "float32"), np.zeros(4, "float32")),
        lambda x: x,
    ],
)
def test_small_functions(tmp_path: Path, f: Callable[[Any], Any]) -> None:
    minpy_jit.export(f, tmp_path / "f", X)
    found = Function.load(str(tmp_path / "f"), 0)(x=X).asnumpy()
    expected = numpy.asarray(f(np.array(X)))
    numpy.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=2e-5, atol=1e-6)


def test_names_of_arguments(tmp_path: Path) -> None:
    def f(params: dict[str, Any], pair: Any, *, scale: Any, times: int) -> Any:
        return (params["w"] * pair[0] + pair[1]) * scale * times

    one = numpy.ones(2, "f")
    minpy_jit.export(f, tmp_path / "f", {"w": one}, [one * 2, one * 3], scale=one * 4, times=5)
    found = Function.load(str(tmp_path / "f"), 0)
    assert set(found.arguments) == {"params_w", "pair_0", "pair_1", "scale"}
    assert found(params_w=one, pair_0=one, pair_1=one, scale=one).asnumpy().tolist() == [10.0, 10.0]


def test_captured_arrays_are_parameters(tmp_path: Path) -> None:
    table = np.array(numpy.arange(8, dtype="f").reshape(2, 4))
    minpy_jit.export(lambda x: x * table[1], tmp_path / "f", X)
    f = Function.load(str(tmp_path / "f"), 0)
    assert {k: v.asnumpy().tolist() for k, v in f.params.items()} == {"param0": [4.0, 5.0, 6.0, 7.0]}


def random_draw(x: Any) -> Any:
    return x + np.random.random_sample(x.shape)


def written(x: Any) -> Any:
    x += 1
    W[0] = 1
    return x


REFUSED = {
    "no operator": (
        lambda x: np.linalg.inv(x[:4]) + 1,
        r"inv\(float32\[4,4\]\) has no MXNet operator \(recorded at .*test_export.py:\d+\)",
    ),
    "a fallback": (lambda x: np.i0(x), r"i0 has no MXNet operator \(called at .*test_export.py:\d+\)"),
    "random": (random_draw, "draws random numbers"),
    "writes": (written, "writes to an argument or to a captured array"),
    "no array": (lambda x: 3, "returns 3, which is no array of ours"),
    "training": (
        lambda x: ops.batch_norm(x, np.ones(4, "f"), np.zeros(4, "f"), np.zeros(4, "f"), np.ones(4, "f"), training=True)[0],
        "in inference mode plain MXNet gives other numbers",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path: Path, name: str) -> None:
    f, message = REFUSED[name]
    before = W.asnumpy().copy()
    with pytest.raises(ExportError, match=message):
        minpy_jit.export(f, tmp_path / "f", X)
    assert list(tmp_path.iterdir()) == []
    W[...] = before


def test_an_observed_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(minpy_jit.errors.TraceError, match="a value is observed inside it"):
        minpy_jit.export(lambda x: x if float(x.sum() * 2) > 0 else -x, tmp_path / "f", X)


def test_a_model_that_mxnet_saved(tmp_path: Path) -> None:
    mx = mxnet()
    net = mx.gluon.nn.HybridSequential(prefix="net_")
    with net.name_scope():
        net.add(mx.gluon.nn.Conv2D(3, 3, activation="relu", in_channels=1), mx.gluon.nn.BatchNorm(in_channels=3), mx.gluon.nn.Dense(4))
    net.initialize(mx.init.Xavier())
    net.hybridize()
    expected = net(nd(IMAGES)).asnumpy()
    net.export(str(tmp_path / "net"), epoch=3)
    f = Function.load(str(tmp_path / "net"), 3)
    numpy.testing.assert_allclose(f(data=IMAGES).asnumpy(), expected, rtol=1e-5, atol=1e-6)
    assert f.is_train is False and "net_batchnorm0_running_mean" in f.params
    # and on from there
    f.is_train = True
    names = [k for k in f.arguments if k != "data"]
    slopes = minpy_jit.grad(lambda p: np.sum(f(data=IMAGES, **p) ** 2))({k: f.params[k] for k in names})
    assert all(slopes[k].shape == f.params[k].shape for k in names)
    with pytest.raises(FileNotFoundError):
        Function.load(str(tmp_path / "other"), 0)
    with pytest.raises(FileNotFoundError):
        Function.load(str(tmp_path / "net"), 4)
