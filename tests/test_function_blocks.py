"""`Function` of Gluon's own layers, blocks and unrolled cells, against Gluon."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minpy_jit
import minpy_jit.numpy as mnp
from minpy_jit import Function
from minpy_jit.interop import mxnet

mx: Any = mxnet()
sym: Any = mx.symbol
gluon: Any = mx.gluon


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        # Gluon's initialisers use what NumPy has deprecated
        warnings.simplefilter("ignore")
        yield


def nd(value: np.ndarray) -> Any:
    """An NDArray of the same dtype."""
    made = mx.nd.empty(value.shape, dtype=value.dtype)
    made[:] = np.ascontiguousarray(value)
    return made


def filled(block: Any, *inputs: np.ndarray, seed: int = 0) -> list[np.ndarray]:
    """Parameters that a seed gives; the block's results in inference."""
    block.initialize()
    block(*map(nd, inputs))
    rng = np.random.default_rng(seed)
    for name, parameter in sorted(block.collect_params().items()):
        low = 0.5 if name.endswith(("var", "gamma")) else -0.5
        parameter.set_data(nd(rng.uniform(low, low + 1, parameter.shape).astype(np.float32)))
    found = block(*map(nd, inputs))
    return [o.asnumpy() for o in (found if isinstance(found, (list, tuple)) else [found])]


def compare_gradients(block: Any, f: Function, data: np.ndarray) -> None:
    with mx.autograd.record():
        total = (block(nd(data)) ** 2).sum()
    total.backward()
    f.is_train = True
    params = {k: v for k, v in f.params.items() if k in f.arguments}
    slopes = minpy_jit.grad(lambda p: mnp.sum(f(mnp.array(data), **p) ** 2))(params)
    trained = {k: p for k, p in block.collect_params().items() if p.grad_req != "null"}
    assert slopes.keys() == trained.keys()
    for k, parameter in trained.items():
        wanted = parameter.grad().asnumpy()
        np.testing.assert_allclose(slopes[k].asnumpy(), wanted, rtol=2e-3, atol=2e-4 * max(1.0, np.abs(wanted).max()), err_msg=k)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("both", [False, True])
def test_recurrent_layers_make_their_first_state(kind: str, both: bool) -> None:
    """MXNet leaves the state's batch open: a call says it."""
    layer = getattr(gluon.rnn, kind)(4, num_layers=2, layout="NTC", bidirectional=both)
    data = np.random.default_rng(1).random((3, 5, 6), np.float32)
    (expected,) = filled(layer, data)
    f = Function(layer)
    for rows in (3, 1, 3):
        np.testing.assert_allclose(f(mnp.array(data[:rows])).asnumpy(), expected[:rows], rtol=1e-4, atol=1e-5)
    compare_gradients(layer, f, data)


def test_a_recurrent_layer_with_dropout() -> None:
    layer = gluon.rnn.LSTM(4, num_layers=2, dropout=0.5)
    data = np.random.default_rng(1).random((5, 3, 6), np.float32)
    (expected,) = filled(layer, data)
    f = Function(layer)
    f.is_train = False
    np.testing.assert_allclose(f(mnp.array(data)).asnumpy(), expected, rtol=1e-4, atol=1e-5)
    f.is_train = True
    mnp.random.seed(0)
    first, second = f(mnp.array(data)).asnumpy(), f(mnp.array(data)).asnumpy()
    mnp.random.seed(0)
    # (the first encounter runs in NumPy)
    np.testing.assert_allclose(f(mnp.array(data)).asnumpy(), first, rtol=1e-4, atol=1e-6)
    assert np.abs(first - second).max() > 0.01


@pytest.mark.parametrize("merged", [False, True])
def test_an_unrolled_cell(merged: bool) -> None:
    cell = gluon.rnn.LSTMCell(4, input_size=3, prefix="cell_")
    steps, _ = cell.unroll(3, sym.Variable("data"), layout="NTC", merge_outputs=merged)
    symbol = steps if merged else sym.Group(steps)
    f = Function(symbol)
    rng = np.random.default_rng(0)
    data = rng.random((2, 3, 3), np.float32)
    params = {k: rng.random(v["shape"], np.float32) for k, v in f.get_params(data=data.shape).items()}
    executor = symbol.bind(mx.cpu(), {"data": nd(data), **{k: nd(v) for k, v in params.items()}}, grad_req="null")
    found = f(data=data, **params)
    for mine, theirs in zip(found if isinstance(found, list) else [found], executor.forward(), strict=True):
        np.testing.assert_allclose(mine.asnumpy(), theirs.asnumpy(), rtol=1e-5, atol=1e-6)


def test_a_residual_network() -> None:
    net = gluon.model_zoo.vision.get_resnet(1, 18, classes=4, thumbnail=True)
    data = np.random.default_rng(1).random((2, 3, 8, 8), np.float32)
    (expected,) = filled(net, data)
    f = Function(net)
    assert not f.untranslated()
    f.is_train = False
    np.testing.assert_allclose(f(mnp.array(data)).asnumpy(), expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_small_blocks_train_as_gluon_trains_them() -> None:
    net = gluon.nn.HybridSequential()
    net.add(
        gluon.nn.Conv2D(4, 3, activation="relu"),
        gluon.nn.BatchNorm(),
        gluon.nn.MaxPool2D(),
        gluon.nn.Flatten(),
        gluon.nn.Dense(3),
        gluon.nn.LayerNorm(),
    )
    data = np.random.default_rng(1).random((5, 2, 8, 8), np.float32)
    filled(net, data)
    compare_gradients(net, Function(net), data)


def test_results_in_lists_of_lists() -> None:
    class Several(gluon.HybridBlock):
        def hybrid_forward(self, F: Any, x: Any, y: Any) -> Any:
            return x + y, [x * y, (x - y,)]

    found = Function(Several())(mnp.array([1.0, 2.0]), mnp.array([3.0, 5.0]))
    assert [v.asnumpy().tolist() for v in found] == [[4.0, 7.0], [3.0, 10.0], [-2.0, -3.0]]


def test_a_block_that_is_no_hybrid_block_is_refused() -> None:
    class Plain(gluon.Block):
        def forward(self, x: Any) -> Any:
            return x

    with pytest.raises(TypeError, match="takes an MXNet symbol or a Gluon HybridBlock; got Plain"):
        Function(Plain())


def test_mxnets_arrays_and_lists_are_taken() -> None:
    f = Function(sym.FullyConnected(sym.Variable("x"), num_hidden=2, name="fc"))
    found = f(x=nd(np.ones((2, 3), "f")), fc_weight=nd(np.ones((2, 3), "f")), fc_bias=[0.0, 1.0])
    assert found.asnumpy().tolist() == [[3.0, 4.0], [3.0, 4.0]]


def test_one_number_where_an_attribute_has_several() -> None:
    x = sym.Variable("x")
    data = np.arange(12.0, dtype=np.float32).reshape(1, 2, 6)
    for symbol in (
        sym.Reshape(x, shape=-1),
        sym.transpose(sym.Reshape(x, shape=-1), axes=0),
        sym.Convolution(x, kernel=3, num_filter=1, stride=2, no_bias=True, name="c"),
        sym.Pooling(x, kernel=2, stride=2, pool_type="max"),
    ):
        values = {"x": data, "c_weight": np.ones((1, 2, 3), np.float32)}
        values = {k: v for k, v in values.items() if k in symbol.list_arguments()}
        expected = symbol.bind(mx.cpu(), {k: nd(v) for k, v in values.items()}, grad_req="null").forward()[0].asnumpy()
        np.testing.assert_allclose(Function(symbol)(**values).asnumpy(), expected, rtol=1e-6)
