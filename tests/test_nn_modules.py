"""Modules, models put together from them, and updaters: values, gradients, names, settings, and how many programs a training step is."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.interop import mxnet
from minpy_jit.nn import layers, modules
from minpy_jit.nn.io import NDArrayIter
from minpy_jit.nn.modules import (
    GRU,
    LSTM,
    RNN,
    BatchFlatten,
    BatchNorm,
    BatchReshape,
    Binary,
    Convolution,
    Dropout,
    Embedding,
    Flatten,
    FullyConnected,
    Identity,
    Layer,
    Logistic,
    Model,
    Module,
    Parallel,
    Pooling,
    ReLU,
    Reshape,
    Sequential,
    Tanh,
    Updater,
    Variable,
)
from minpy_jit.nn.solver import Solver

Array = Any


@pytest.fixture(autouse=True)
def in_float64() -> Iterator[None]:
    """For finite differences."""
    minpy_jit.set_default_dtype("float64")
    np.random.seed(0)
    yield
    minpy_jit.set_default_dtype(None)


def draw(*shape: int) -> numpy.ndarray:
    found = numpy.random.default_rng(shape).standard_normal(shape)
    return found + 0.05 * numpy.sign(found)


class Net(Model):
    """A model whose forward function is one module's."""

    def __init__(self, body: Module, loss: Any = None, **arguments: Any) -> None:
        super().__init__(loss, **arguments)
        self.body = body

    def forward(self, *args: Array, mode: str = "training") -> Any:
        return self.body(*args)


def assert_gradients(model: Model, call: Callable[[], Array]) -> None:
    """Those of backward() are those of finite differences; the call's result is a number, or taken as the sum of its elements."""
    call()
    for _ in range(2):
        drawn = numpy.random.get_state()
        call()
        gradients = model.backward()
        assert set(gradients) == set(model.params)
        for name, gradient in gradients.items():
            kept, direction = model.params[name], numpy.random.default_rng(1).standard_normal(gradient.shape)
            values = []
            for step in (1e-6, -1e-6):
                model.params[name] = kept + step * direction
                numpy.random.set_state(drawn)
                found = call()
                values.append(sum(float(np.sum(v)) for v in (found if isinstance(found, tuple) else (found,))))
            model.params[name] = kept
            numeric = (values[0] - values[1]) / 2e-6
            assert float(np.sum(gradient * direction)) == pytest.approx(numeric, rel=2e-6, abs=1e-7), name


# -- one module at a time ------------------------------------------------------------------------------------------------------------------
def logistic(x: numpy.ndarray) -> numpy.ndarray:
    return 1 / (1 + numpy.exp(-x))


def lstm(x: Any, h: Any, c: Any, wx: Any, wh: Any, b: Any) -> Any:
    i, f, o, g = numpy.split(x @ wx.T + h @ wh.T + b, 4, axis=1)
    c = logistic(f) * c + logistic(i) * numpy.tanh(g)
    return logistic(o) * numpy.tanh(c), c


def gru(x: Any, h: Any, xg: Any, hg: Any, bg: Any, xc: Any, hc: Any, bc: Any) -> Any:
    r, z = numpy.split(logistic(x @ xg.T + h @ hg.T + bg), 2, axis=1)
    return z * h + (1 - z) * numpy.tanh(x @ xc.T + (r * h) @ hc.T + bc)


def convolved(x: numpy.ndarray, w: numpy.ndarray, b: numpy.ndarray) -> numpy.ndarray:
    windows = numpy.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
    return numpy.einsum("nchwij,fcij->nfhw", windows, w) + b[:, None, None]


def normalised(x: numpy.ndarray, gamma: numpy.ndarray, beta: numpy.ndarray) -> numpy.ndarray:
    mean, var = (f(x, axis=(0, 2, 3), keepdims=True) for f in (numpy.mean, numpy.var))
    return gamma[:, None, None] * (x - mean) / numpy.sqrt(var + 1e-3) + beta[:, None, None]


IMAGES, ROWS = draw(2, 3, 5, 6), draw(4, 7)
# kind -> (how it is made, its inputs, what it means, from the inputs and its parameters in their order)
CASES: dict[str, tuple[Callable[[], Module], tuple[Any, ...], Callable[..., Any]]] = {
    "identity": (Identity, (ROWS,), lambda x: x),
    "relu": (ReLU, (ROWS,), lambda x: numpy.maximum(x, 0)),
    "logistic": (Logistic, (ROWS,), logistic),
    "tanh": (Tanh, (ROWS,), numpy.tanh),
    "reshape": (lambda: Reshape((7, 4)), (ROWS,), lambda x: x.reshape(7, 4)),
    "batchreshape": (lambda: BatchReshape((7, 1)), (ROWS,), lambda x: x.reshape(4, 7, 1)),
    "flatten": (Flatten, (IMAGES,), lambda x: x.ravel()),
    "batchflatten": (BatchFlatten, (IMAGES,), lambda x: x.reshape(2, -1)),
    "variable": (lambda: Variable((2, 3)), (), lambda v: v),
    "fullyconnected": (lambda: FullyConnected(4), (IMAGES,), lambda x, w, b: x.reshape(2, -1) @ w.T + b),
    "fullyconnected no bias": (lambda: FullyConnected(num_hidden=4, no_bias=True), (ROWS,), lambda x, w: x @ w.T),
    "fullyconnected last axis": (lambda: FullyConnected(4, flatten=False), (IMAGES,), lambda x, w, b: x @ w.T + b),
    "convolution": (lambda: Convolution(kernel=(3, 2), num_filter=4), (IMAGES,), convolved),
    "pooling": (
        lambda: Pooling(kernel=(2, 3), stride=(2, 3), pool_type="avg"),
        (IMAGES,),
        lambda x: x[:, :, :4].reshape(2, 3, 2, 2, 2, 3).mean(axis=(3, 5)),
    ),
    "pooling global": (lambda: Pooling(global_pool=True), (IMAGES,), lambda x: x.max(axis=(2, 3), keepdims=True)),
    "batchnorm": (lambda: BatchNorm(fix_gamma=False), (IMAGES,), normalised),
    "embedding": (lambda: Embedding(10, 3), (numpy.array([[1, 9], [0, 1]]),), lambda x, w: w[x]),
    "rnn": (lambda: RNN(3, "tanh"), (ROWS, draw(4, 3)), lambda x, h, wx, wh, b: numpy.tanh(x @ wx.T + h @ wh.T + b)),
    "rnn relu": (lambda: RNN(3, act_type="relu"), (ROWS, draw(4, 3)), lambda x, h, wx, wh, b: numpy.maximum(x @ wx.T + h @ wh.T + b, 0)),
    "rnn begins": (lambda: RNN(3), (ROWS, None), lambda x, h, wx, wh, b: numpy.tanh(x @ wx.T + b)),
    "lstm": (lambda: LSTM(3, "tanh"), (ROWS, draw(4, 3), draw(4, 3) / 2), lstm),
    "lstm begins": (lambda: LSTM(3), (ROWS,), lambda x, wx, wh, b: lstm(x, numpy.zeros((4, 3)), 0, wx, wh, b)),
    "gru": (lambda: GRU(3), (ROWS, draw(4, 3)), gru),
    "gru begins": (lambda: GRU(3), (ROWS,), lambda x, *p: gru(x, numpy.zeros((4, 3)), *p)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_module_gives_what_its_formula_says_and_its_gradient(name: str) -> None:
    make, inputs, formula = CASES[name]
    model = Net(make())
    model(inputs)
    for parameter, value in model.params.items():
        # biases begin at zero: other values show whether they take part
        model.params[parameter] = value + draw(*value.shape) / 4
    for _ in range(3):
        found = model(inputs)
        wanted = formula(*inputs, *[p.asnumpy() for p in model.params.values()])
        pairs = zip(found, wanted, strict=True) if isinstance(wanted, tuple) else [(found, wanted)]
        for value, meant in pairs:
            numpy.testing.assert_allclose(value.asnumpy(), meant, rtol=1e-9, atol=1e-12)
    assert_gradients(model, lambda: model(inputs))


def test_every_module_is_tried() -> None:
    composed = {"Add", "Binary", "Container", "Layer", "Model", "Module", "Mul", "Parallel", "Sequential", "Sub", "Updater"}
    tried = {name.split()[0] for name in CASES} | {"dropout", "symbolic"}
    assert {name.lower() for name in set(modules.__all__) - composed} == tried


def test_dropout_drops_in_training_only() -> None:
    model = Net(Dropout(0.5))
    x = numpy.ones((50, 40))
    found = model(x).asnumpy()
    assert set(numpy.unique(found).tolist()) == {0.0, 2.0}
    assert (model(x).asnumpy() != found).any()
    model.inference()
    assert (model(x).asnumpy() == x).all()
    model.training()
    assert (model(x).asnumpy() == 0).any()


def test_batchnorm_keeps_running_statistics_and_uses_them_in_inference() -> None:
    model = Net(BatchNorm(eps=1e-5, momentum=0.75))
    mean, var = numpy.zeros(3), numpy.ones(3)
    for k in range(4):
        batch = IMAGES + k
        model(batch)
        mean = 0.75 * mean + 0.25 * batch.mean(axis=(0, 2, 3))
        var = 0.75 * var + 0.25 * batch.var(axis=(0, 2, 3))
    numpy.testing.assert_allclose(model.aux_params["batchnorm0_moving_mean"].asnumpy(), mean, rtol=1e-9)
    numpy.testing.assert_allclose(model.aux_params["batchnorm0_moving_var"].asnumpy(), var, rtol=1e-9)
    # gamma stays 1 whatever it is set to, which is MXNet's default
    model.params["batchnorm0_gamma"] = np.array([5.0, 5.0, 5.0])
    model.inference()
    expected = (IMAGES - mean[:, None, None]) / numpy.sqrt(var[:, None, None] + 1e-5)
    numpy.testing.assert_allclose(model(IMAGES).asnumpy(), expected, rtol=1e-8)
    numpy.testing.assert_allclose(model.aux_params["batchnorm0_moving_mean"].asnumpy(), mean, rtol=1e-9)


def test_batchnorm_with_fixed_gamma_has_no_gradient_there() -> None:
    model = Net(BatchNorm(), loss=lambda y: np.sum(y**3))
    model(IMAGES, loss=model.loss)
    gradients = model.backward()
    assert not gradients["batchnorm0_gamma"].asnumpy().any()
    assert gradients["batchnorm0_beta"].asnumpy().all()


def test_illegal_arguments() -> None:
    with pytest.raises(ValueError, match=r"\[rnn\] act_type = 'gelu'; legal values: 'relu', 'sigmoid', 'tanh', 'softrelu'"):
        RNN(3, "gelu")
    with pytest.raises(ValueError, match=r"\[Pooling\] needs a kernel, or global_pool=True"):
        Pooling()
    with pytest.raises(ValueError, match=r"\[Pooling\] pooling_convention = 'same'"):
        Pooling((2, 2), pooling_convention="same")


# -- modules of modules --------------------------------------------------------------------------------------------------------------------
def test_sequential_is_a_list() -> None:
    body = Sequential(FullyConnected(5), ReLU())
    model = Net(body)
    body.append(FullyConnected(3))
    body.insert(1, BatchNorm(fix_gamma=False))
    assert [type(m).__name__ for m in body] == ["FullyConnected", "BatchNorm", "ReLU", "FullyConnected"]
    assert model(ROWS).shape == (4, 3)
    assert list(model.params) == [
        "fullyconnected0_weight",
        "fullyconnected0_bias",
        "batchnorm0_gamma",
        "batchnorm0_beta",
        "fullyconnected1_weight",
        "fullyconnected1_bias",
    ]
    assert repr(body) == "sequential0(fullyconnected0, batchnorm0, relu0, fullyconnected1)"
    assert body.pop() is not body[-1]
    assert len(body) == 3
    body.reverse()
    assert isinstance(body[0], ReLU)
    with pytest.raises(TypeError, match=r"\[sequential\] is made of modules; got a function"):
        Sequential(ReLU(), layers.tanh)  # type: ignore[arg-type]


def test_arithmetic_of_modules() -> None:
    left, right = FullyConnected(7, name="left"), FullyConnected(7, name="right")
    model = Net(Parallel(left + right, left - right, left * right, Identity()))
    total, difference, product, same = model(ROWS)
    l, r = (ROWS @ model.params[f"{n}_weight"].asnumpy().T + model.params[f"{n}_bias"].asnumpy() for n in ("left", "right"))  # noqa: E741
    for found, wanted in ((total, l + r), (difference, l - r), (product, l * r), (same, ROWS)):
        numpy.testing.assert_allclose(found.asnumpy(), wanted, rtol=1e-9, atol=1e-12)
    assert_gradients(model, lambda: model(ROWS, loss=lambda a, b, c, d: np.sum(a) + np.sum(b**2) + np.sum(c)))


def test_a_tuple_is_spread_over_the_next_modules_arguments() -> None:
    model = Net(Sequential(Parallel(Identity(), FullyConnected(7)), RNN(7), Binary(Identity(), Tanh(), np.maximum)))
    model(ROWS)
    p = {name: value.asnumpy() for name, value in model.params.items()}
    state = ROWS @ p["fullyconnected0_weight"].T + p["fullyconnected0_bias"]
    h = numpy.tanh(ROWS @ p["rnn0_XH_weight"].T + state @ p["rnn0_HH_weight"].T + p["rnn0_HH_bias"])
    numpy.testing.assert_allclose(model(ROWS).asnumpy(), numpy.maximum(h, numpy.tanh(h)), rtol=1e-9)


# -- models --------------------------------------------------------------------------------------------------------------------------------
class Branches(Model):
    """Which layers a call passes through is decided by a Python number."""

    def __init__(self) -> None:
        super().__init__(loss="softmax_loss")
        self.first = FullyConnected(6)
        self.blocks = [FullyConnected(6, name=f"block{k}") for k in range(3)]
        self.last = {"scores": FullyConnected(3)}
        self.chosen = 0

    def forward(self, X: Array, mode: str) -> Array:
        h = layers.tanh(self.first(X))
        return self.last["scores"](h + layers.tanh(self.blocks[self.chosen](h)))


LABELS = numpy.array([0, 2, 1, 1])


def test_parameters_are_made_when_a_layer_is_reached_and_have_gradients_at_once() -> None:
    model = Branches()
    assert model.params == {}
    for chosen in (0, 2, 1):
        model.chosen = chosen
        model(ROWS, labels=LABELS)
        assert f"block{chosen}_weight" in model.params
        gradients = model.backward()
        assert set(gradients) == set(model.params)
        for k in range(3):
            if f"block{k}_weight" in gradients:
                assert gradients[f"block{k}_weight"].asnumpy().any() == (k == chosen)
        # that of a second call, when the parameter is an old one
        model(ROWS, labels=LABELS)
        for name, gradient in model.backward().items():
            numpy.testing.assert_allclose(gradient.asnumpy(), gradients[name].asnumpy(), rtol=1e-12, err_msg=name)
    assert_gradients(model, lambda: model(ROWS, labels=LABELS))


def test_a_layer_without_a_model() -> None:
    with pytest.raises(RuntimeError, match=r"\[fullyconnected\] belongs to no model yet: assign it"):
        FullyConnected(3)(ROWS)


def test_names() -> None:
    model = Net(Sequential(FullyConnected(3, name="a"), FullyConnected(3), Sequential(FullyConnected(3))))
    assert repr(model.body) == "sequential0(a, fullyconnected0, sequential1(fullyconnected1))"
    with pytest.raises(ValueError, match=r"\[Model\] there is a module 'a' already"):
        model.other = FullyConnected(3, name="a")
    with pytest.raises(ValueError, match=r"\[relu0\] belongs to another model"):
        shared = ReLU()
        Net(shared), Net(shared)
    with pytest.raises(TypeError, match=r"\[Model\] a model cannot be a part of another"):
        model.inner = Net(ReLU())


def test_a_module_that_is_used_twice_has_one_set_of_parameters() -> None:
    shared = FullyConnected(7)
    model = Net(Sequential(shared, Tanh(), shared))
    model(ROWS)
    assert list(model.params) == ["fullyconnected0_weight", "fullyconnected0_bias"]
    assert_gradients(model, lambda: model(ROWS))


def test_losses() -> None:
    model = Net(FullyConnected(3), loss="softmax_loss")
    scores = model(ROWS)
    assert scores.shape == (4, 3)
    by_name = float(model(ROWS, labels=LABELS))
    assert by_name == pytest.approx(float(layers.softmax_loss(scores, LABELS)), rel=1e-12)
    assert float(model(ROWS, labels=LABELS, loss=layers.softmax_loss)) == pytest.approx(by_name, rel=1e-12)
    assert float(model(ROWS, labels=LABELS, loss="svm_loss")) == pytest.approx(float(layers.svm_loss(scores, LABELS)), rel=1e-12)
    weighted = model(
        ROWS, labels=(LABELS, draw(4)), loss=lambda p, y, w, scale: scale * layers.softmax_loss(p, y), loss_kwargs={"scale": 3.0}
    )
    assert float(weighted) == pytest.approx(3 * by_name, rel=1e-12)
    with pytest.raises(ValueError, match=r"\[Model\] minpy_jit.nn.layers has no loss 'nll'"):
        model(ROWS, labels=LABELS, loss="nll")


def test_another_forward_function_and_results_as_scalars() -> None:
    model = Net(FullyConnected(3))
    twice = model(ROWS, forward=lambda x: model.body(x) * 2)
    numpy.testing.assert_allclose(twice.asnumpy(), 2 * model(ROWS).asnumpy(), rtol=1e-12)
    total = model(ROWS, loss=lambda p: np.sum(p).reshape(1, 1), reduce_array=True)
    assert total.shape == ()
    assert model((), forward=lambda: np.ones(1), reduce_array=True) == 1.0


def test_backward() -> None:
    model = Net(FullyConnected(3), loss="softmax_loss")
    with pytest.raises(RuntimeError, match=r"\[backward\] there is nothing to differentiate: call the model first"):
        model.backward()
    model(ROWS, labels=LABELS)
    once = model.backward()
    for name, gradient in model.backward(upstream=100.0).items():
        numpy.testing.assert_allclose(gradient.asnumpy(), 100 * once[name].asnumpy(), rtol=1e-12)
    model(ROWS)
    assert model.backward()["fullyconnected0_bias"].tolist() == [4.0, 4.0, 4.0]
    with pytest.raises(ValueError, match=r"\[backward\] upstream needs a scalar result"):
        model.backward(upstream=2.0)
    model.inference()
    model(ROWS, labels=LABELS)
    with pytest.raises(RuntimeError, match="nothing to differentiate"):
        model.backward()


def test_grad_and_loss_in_one_call() -> None:
    model = Net(FullyConnected(3), loss="softmax_loss")
    loss = model(ROWS, labels=LABELS)
    expected = model.backward()
    gradients, again = model.grad_and_loss(ROWS, LABELS)
    with pytest.raises(TypeError, match=r"\[Model\] forward_kwargs must be a dict; got ndarray; labels go by name: model\(x, labels=y\)"):
        model(ROWS, LABELS)  # type: ignore[arg-type]
    assert float(again) == float(loss) and set(gradients) == set(expected) == set(model.grad(ROWS, (LABELS,)))
    for name, gradient in gradients.items():
        numpy.testing.assert_array_equal(gradient.asnumpy(), expected[name].asnumpy())


def test_detached_parameters_have_no_gradient() -> None:
    model = Net(FullyConnected(3), loss="softmax_loss")
    model.detach("fullyconnected0_bias")
    model(ROWS, labels=LABELS)
    assert set(model.backward()) == {"fullyconnected0_weight"}
    model.attach("fullyconnected0_bias")
    model(ROWS, labels=LABELS, attach_all=False)
    assert set(model.backward()) == {"fullyconnected0_bias"}


def test_gradients_that_nobody_asks_for_are_not_computed() -> None:
    model = Net(Sequential(FullyConnected(16), Tanh(), FullyConnected(3)), loss="softmax_loss")
    model(ROWS, labels=LABELS), model(ROWS, labels=LABELS)
    minpy_jit.flush()
    loss = model(ROWS, labels=LABELS)
    model._gradients = None
    float(loss)
    alone = minpy_jit.flush_log()[-1]
    loss = model(ROWS, labels=LABELS)
    kept = model.backward()
    float(loss)
    assert kept
    assert alone.live < minpy_jit.flush_log()[-1].live


def test_parameters_are_float32_by_default_and_batches_follow() -> None:
    minpy_jit.set_default_dtype(None)
    model = Net(FullyConnected(3), loss="softmax_loss")
    loss = model(ROWS, labels=LABELS)
    assert loss.dtype == "float32"
    assert {p.dtype.name for p in model.params.values()} == {"float32"}
    assert {g.dtype.name for g in model.backward().values()} == {"float32"}


def test_a_model_lives_on_its_context() -> None:
    there = minpy_jit.cpu(1)
    model = Net(Sequential(FullyConnected(4), BatchNorm(), Dropout(0.2)), loss="softmax_loss", ctx=there)
    loss = model(ROWS, labels=LABELS)
    gradients = model.backward()
    assert {v.context for v in (loss, *model.params.values(), *model.aux_params.values(), *gradients.values())} == {there}


def test_save_and_load_before_the_first_call(tmp_path: Path) -> None:
    def network() -> Net:
        return Net(Sequential(FullyConnected(5), BatchNorm(), FullyConnected(3)))

    model = network()
    for _ in range(3):
        model(ROWS)
    model.inference()
    expected = model(ROWS).asnumpy()
    model.save(tmp_path / "net")
    other = network()
    other.load(tmp_path / "net")
    other.inference()
    numpy.testing.assert_allclose(other(ROWS).asnumpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deepcopy", "pickle"])
def test_a_copy_has_parameters_of_its_own(copied: Callable[[Model], Model]) -> None:
    model = Net(Sequential(FullyConnected(5), BatchNorm(), Tanh() + ReLU()), loss="l2_loss")
    model(ROWS)
    model.inference()
    expected = model(ROWS).asnumpy()
    other = copied(model)
    numpy.testing.assert_allclose(other(ROWS).asnumpy(), expected, rtol=1e-12)
    other.params["fullyconnected0_bias"] = other.params["fullyconnected0_bias"] + 1
    assert abs(other(ROWS).asnumpy() - expected).max() > 0.01
    numpy.testing.assert_allclose(model(ROWS).asnumpy(), expected, rtol=1e-12)


# -- symbols -------------------------------------------------------------------------------------------------------------------------------
def symbolic(**arguments: Any) -> modules.Symbolic:
    sym = mxnet().symbol
    net = sym.Convolution(sym.Variable("data"), kernel=(3, 3), num_filter=4, pad=(1, 1), name="conv")
    net = sym.BatchNorm(net, fix_gamma=False, momentum=0.75, eps=1e-3, name="norm")
    net = sym.Pooling(sym.Activation(net, act_type="relu"), kernel=(2, 2), stride=(2, 2), pool_type="max")
    return modules.Symbolic(sym.FullyConnected(net, num_hidden=3, name="fc"), **arguments)


IMAGE_LABELS = numpy.array([2, 0])


def test_a_symbol_is_a_layer() -> None:
    model = Net(Sequential(symbolic(), Tanh()), loss="softmax_loss")
    layered = Sequential(Convolution((3, 3), 4, pad=1), BatchNorm(momentum=0.75, fix_gamma=False), ReLU(), Pooling((2, 2), stride=2))
    same = Net(Sequential(*layered, FullyConnected(3), Tanh()), loss="softmax_loss")
    model(IMAGES), same(IMAGES)
    assert list(model.params) == [f"symbolic0_{n}" for n in ("conv_weight", "conv_bias", "norm_gamma", "norm_beta", "fc_weight", "fc_bias")]
    assert set(model.params["symbolic0_norm_gamma"].tolist()) == {1.0}
    same.params = dict(zip(same.params, model.params.values(), strict=True))
    same.aux_params = dict(zip(same.aux_params, model.aux_params.values(), strict=True))
    for _ in range(3):
        found, expected = model(IMAGES, labels=IMAGE_LABELS), same(IMAGES, labels=IMAGE_LABELS)
        assert float(found) == pytest.approx(float(expected), rel=1e-9)
        for ours, theirs in zip(model.backward().values(), same.backward().values(), strict=True):
            numpy.testing.assert_allclose(ours.asnumpy(), theirs.asnumpy(), rtol=1e-7, atol=1e-12)
        for ours, theirs in zip(model.aux_params.values(), same.aux_params.values(), strict=True):
            numpy.testing.assert_allclose(ours.asnumpy(), theirs.asnumpy(), rtol=1e-9)
    assert_gradients(model, lambda: model(IMAGES, labels=IMAGE_LABELS))
    held = {name: (value, value.tolist()) for name, value in model.aux_params.items()}
    model(IMAGES + 1)
    assert all(value.tolist() == before for value, before in held.values())
    moved = {name: value.tolist() for name, value in model.aux_params.items()}
    assert all(moved[name] != before for name, (_, before) in held.items())
    model.inference(), same.inference()
    same.aux_params = dict(zip(same.aux_params, model.aux_params.values(), strict=True))
    numpy.testing.assert_allclose(model(IMAGES).asnumpy(), same(IMAGES).asnumpy(), rtol=1e-7)
    assert {name: value.tolist() for name, value in model.aux_params.items()} == moved


def test_a_symbol_of_several_inputs_and_results() -> None:
    sym = mxnet().symbol
    left, right = sym.Variable("left"), sym.Variable("right")
    shared = sym.Variable("w_weight")
    pair = sym.Group([sym.FullyConnected(left, shared, num_hidden=3, no_bias=True), right * 2])
    layer = modules.Symbolic(pair, variables=("left", "right"), init_configs={"w_weight": {"init_rule": "constant", "value": 2.0}})
    model = Net(layer)
    first, second = model((ROWS, ROWS[:, :2]))
    numpy.testing.assert_allclose(first.asnumpy(), 2 * ROWS.sum(axis=1, keepdims=True) * numpy.ones(3), rtol=1e-9)
    numpy.testing.assert_allclose(second.asnumpy(), 2 * ROWS[:, :2], rtol=1e-12)
    with pytest.raises(ValueError, match=r"\[Symbolic\] the symbol has no input 'data', but left, w_weight, right; name its inputs"):
        modules.Symbolic(pair)


def test_a_gluon_block_is_a_layer() -> None:
    block = mxnet().gluon.nn.HybridSequential(prefix="net_")
    with block.name_scope():
        block.add(mxnet().gluon.nn.Dense(5, activation="tanh"), mxnet().gluon.nn.Dense(3))
    model = Net(modules.Symbolic(block), loss="softmax_loss")
    model(ROWS, labels=LABELS)
    assert [p.shape for p in model.params.values()] == [(5, 7), (5,), (3, 5), (3,)]
    assert_gradients(model, lambda: model(ROWS, labels=LABELS))


def test_a_network_with_a_symbol_trains_in_one_program_per_step() -> None:
    minpy_jit.set_default_dtype(None)
    model = Net(symbolic(), loss="softmax_loss")
    updater = Updater(model, update_rule="sgd_momentum", learning_rate=0.05)
    losses, counts = [], []
    for _ in range(20):
        minpy_jit.reset_stats()
        losses.append(model(IMAGES, labels=IMAGE_LABELS))
        updater(model.backward())
        minpy_jit.flush()
        counts.append((minpy_jit.stats()["executor_runs"], minpy_jit.stats()["compiles"], minpy_jit.stats()["host_steps"]))
    assert counts[3:] == [(1, 0, 0)] * 17
    assert float(losses[-1]) < 0.3 * float(losses[0])


# -- layers of one's own -------------------------------------------------------------------------------------------------------------------
class Scaled(Layer):
    """MinPy's way of writing a layer."""

    _module_name = "scaled"

    def __init__(self, init_configs: Any = None, update_configs: Any = None, name: str | None = None) -> None:
        super().__init__(("weight", "offset"), ("count",), name=name)
        self._register_init_configs({"weight": {"init_rule": "constant", "value": 3.0}})
        self._register_init_configs(init_configs)
        self._register_update_configs(update_configs)

    def forward(self, X: Array) -> Array:
        weight, offset = self._get_params(self.weight, self.offset)
        if self._mode == "training":
            self._model.aux_params[self._count] = self._get_aux_param(self._count) + 1  # type: ignore[union-attr]
        return X * weight + offset

    def param_shapes(self, input_shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        return {self.weight: input_shape[1:], self.offset: ()}

    def aux_param_shapes(self, input_shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        return {self._count: ()}


def test_a_layer_of_ones_own() -> None:
    model = Net(Scaled(init_configs={"offset": {"value": 0.5}}))
    numpy.testing.assert_allclose(model(ROWS).asnumpy(), 3 * ROWS + 0.5, rtol=1e-12)
    assert model.body.param_dict["scaled0_weight"].shape == (7,)
    model(ROWS)
    assert float(model.body.aux_param_dict["scaled0_count"]) == 2.0


def test_settings_of_one_parameter_of_some_and_of_all() -> None:
    layer = FullyConnected(
        3,
        init_configs={("weight", "bias"): {"init_rule": "constant"}, "value": 2.0, "bias": {"value": 5.0}},
        update_configs={"learning_rate": 0.5, "bias": {"update_rule": "adam"}},
    )
    model = Net(layer)
    model(ROWS)
    assert set(model.params["fullyconnected0_weight"].ravel().tolist()) == {2.0}
    assert set(model.params["fullyconnected0_bias"].tolist()) == {5.0}
    updater = Updater(model, update_rule="sgd", learning_rate=0.1)
    assert updater["fullyconnected0_weight"].learning_rate == 0.5
    assert updater["fullyconnected0_weight"].update_rule == "sgd"
    assert updater["fullyconnected0_bias"].update_rule == "adam"
    with pytest.raises(KeyError, match=r"\[fullyconnected\] has no parameter 'gamma'; it has weight, bias"):
        FullyConnected(3, init_configs={("weight", "gamma"): {"init_rule": "he"}})


# -- updaters ------------------------------------------------------------------------------------------------------------------------------
def test_an_updater_follows_its_rule_and_settings() -> None:
    model = Net(FullyConnected(3), loss="softmax_loss")
    model(ROWS, labels=LABELS)
    before, gradients = {n: p.asnumpy() for n, p in model.params.items()}, model.backward()
    updater = Updater(model, update_rule="sgd", learning_rate=0.1)
    updater["fullyconnected0_bias"].learning_rate = 1.0
    updater(gradients)
    for name, rate in (("fullyconnected0_weight", 0.1), ("fullyconnected0_bias", 1.0)):
        numpy.testing.assert_allclose(model.params[name].asnumpy(), before[name] - rate * gradients[name].asnumpy(), rtol=1e-12)
    with pytest.raises(AttributeError, match=r"\[Updater\] the parameters differ in 'learning_rate'"):
        _ = updater.learning_rate
    updater.learning_rate = 0.25
    assert updater.learning_rate == updater["fullyconnected0_bias"].learning_rate == 0.25
    with pytest.raises(AttributeError, match=r"\[Updater\] no setting 'rho'"):
        _ = updater.rho
    with pytest.raises(AttributeError, match=r"\[Updater\] no setting 'rho'; settings: update_rule"):
        _ = updater["fullyconnected0_bias"].rho
    updater["fullyconnected0_bias"] = {"update_rule": "adam"}
    updater({"fullyconnected0_bias": gradients["fullyconnected0_bias"]})
    assert dict(updater.items())["fullyconnected0_bias"]["t"] == 1
    assert set(updater.keys()) == set(model.params)
    assert len(list(updater.values())) == 2


def test_a_copied_updater_goes_on_by_itself() -> None:
    model = Net(FullyConnected(3), loss="softmax_loss")
    model(ROWS, labels=LABELS)
    updater = Updater(model, update_rule="adam", learning_rate=0.5)
    other = copy.deepcopy(updater)
    other.learning_rate = 0.25
    other(model.backward())
    assert updater.learning_rate == 0.5
    assert "t" not in dict(updater.items())["fullyconnected0_bias"]
    assert dict(other.items())["fullyconnected0_bias"]["t"] == 1


def test_a_network_learns_in_one_program_per_step() -> None:
    minpy_jit.set_default_dtype(None)
    rng = numpy.random.default_rng(0)
    centres = rng.standard_normal((3, 7)) * 2
    model = Net(Sequential(FullyConnected(16), BatchNorm(fix_gamma=False), ReLU(), Dropout(0.2), FullyConnected(3)), loss="softmax_loss")
    updater = Updater(model, update_rule="adam", learning_rate=0.02)
    counts, losses = [], []
    for _ in range(60):
        y = rng.integers(0, 3, 32)
        x = centres[y] + rng.standard_normal((32, 7))
        minpy_jit.reset_stats()
        losses.append(model(x, labels=y))
        updater(model.backward())
        minpy_jit.flush()
        found = minpy_jit.stats()
        counts.append((found["executor_runs"], found["compiles"], found["host_steps"]))
    assert counts[2:] == [(1, 0, 0)] * 58
    assert float(losses[-1]) < 0.2 < float(losses[0])
    model.inference()
    y = rng.integers(0, 3, 300)
    predicted = np.argmax(model(centres[y] + rng.standard_normal((300, 7))), axis=1)
    assert float(np.mean(predicted == y)) > 0.9


def test_stochastic_branches_learn_and_their_programs_are_kept() -> None:
    minpy_jit.set_default_dtype(None)
    random.seed(0)
    rng = numpy.random.default_rng(0)
    model = Branches()
    updater = Updater(model, update_rule="sgd", learning_rate=0.3)
    losses = []
    for step in range(60):
        if step == 30:
            before = minpy_jit.stats()["compiles"]
        model.chosen = random.randrange(3)
        y = rng.integers(0, 3, 16)
        losses.append(float(model(numpy.eye(3, 7)[y] + 0.1 * rng.standard_normal((16, 7)), labels=y)))
        updater(model.backward())
        minpy_jit.flush()
    assert minpy_jit.stats()["compiles"] == before
    assert sum(losses[-5:]) < 0.3 * sum(losses[:5])


def test_a_solver_takes_such_a_model() -> None:
    minpy_jit.set_default_dtype(None)
    rng = numpy.random.default_rng(0)
    y = rng.integers(0, 3, 96)
    x = numpy.eye(3, 7)[y] + 0.1 * rng.standard_normal((96, 7))
    model = Net(Sequential(FullyConnected(8), BatchNorm(fix_gamma=False), Tanh(), Dropout(0.1), FullyConnected(3)), loss="softmax_loss")
    batches = NDArrayIter(x, y, batch_size=32, shuffle=True)
    solver = Solver(
        model,
        batches,
        NDArrayIter(x, y, batch_size=32),
        num_epochs=8,
        update_rule="adam",
        optim_config={"learning_rate": 0.05},
        verbose=False,
    )
    solver.train()
    assert solver.best_val_acc == 1.0
    assert set(model.aux_params) == {"batchnorm0_moving_mean", "batchnorm0_moving_var"}
