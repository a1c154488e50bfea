"""`Function`: MXNet symbols as functions, against MXNet's own executor, operator by operator; then as parts of programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import minpy_jit
import minpy_jit.numpy as mnp
from minpy_jit import Function
from minpy_jit.exec.run import NativeStage, plan_cache
from minpy_jit.interop import mxnet

sym: Any = mxnet().symbol
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """One use of operators.

    Attributes:
        make: the symbol's variables by name -> the symbol.
        shapes: of the variables that stand for floats.
        given: other variables' values (labels, positions).
        alone: whether an operator runs in an executor of its own.
        positive: whether inputs are taken between 0.5 and 1.5.
    """

    name: str
    make: Callable[..., Any]
    shapes: Mapping[str, Shape]
    given: Mapping[str, Any] = field(default_factory=dict)
    is_train: bool = True
    positive: bool = False
    alone: bool = False


def unary(name: str, positive: bool = False, alone: bool = False) -> Case:
    return Case(name, lambda x: getattr(sym, name)(x), {"x": (2, 3)}, positive=positive, alone=alone)


def pair(name: str, left: Shape = (2, 3), right: Shape = (2, 3)) -> Case:
    return Case(name, lambda x, y: getattr(sym, name)(x, y), {"x": left, "y": right}, positive=True)


def one(name: str, make: Callable[[Any], Any], shape: Shape = (2, 3, 4), **given: Any) -> Case:
    return Case(name, make, {"x": shape}, **given)


IMAGE = {"x": (2, 3, 7, 6)}
CASES = [
    *(unary(n) for n in ("abs", "arcsinh", "arctan", "cos", "cosh", "degrees", "erf", "exp", "expm1", "negative", "radians")),
    *(
        unary(n)
        for n in ("relu", "sigmoid", "sin", "sinh", "softsign", "square", "tanh", "BlockGrad", "identity", "zeros_like", "ones_like")
    ),
    *(unary(n) for n in ("ceil", "floor", "rint", "round", "trunc", "fix", "sign", "logical_not", "cbrt", "Flatten", "make_loss")),
    *(unary(n, True) for n in ("log", "log10", "log1p", "log2", "sqrt", "rsqrt", "rcbrt", "reciprocal", "tan", "softmax", "log_softmax")),
    *(pair(n) for n in ("elemwise_add", "elemwise_sub", "elemwise_mul", "elemwise_div", "broadcast_power")),
    *(pair(f"broadcast_{n}", (2, 1, 3), (1, 4, 3)) for n in ("add", "sub", "mul", "div", "maximum", "minimum", "hypot", "mod")),
    *(pair(f"broadcast_{n}") for n in ("equal", "not_equal", "greater", "greater_equal", "lesser", "lesser_equal", "logical_and")),
    one("scalars", lambda x: 2 - (x * 3 + 1) / 4 - 1 / (x + 5) + (x - 2) ** 2 + 2**x),
    one("comparisons", lambda x: (x > 0) + (x <= 0.5) * 2 + (x == 0)),
    one("maximum with a number", lambda x: sym.maximum(x, 0.25) + sym.minimum(x, 0.25)),
    one("clip", lambda x: sym.clip(x, -0.5, 0.5)),
    one("smooth_l1", lambda x: sym.smooth_l1(x, scalar=1.5)),
    one("hard_sigmoid", lambda x: sym.hard_sigmoid(x)),
    one("cast", lambda x: sym.cast(x, "float64")),
    Case("add_n", lambda x, y, z: sym.add_n(x, y, z), {"x": (2, 3), "y": (2, 3), "z": (2, 3)}),
    Case("where", lambda c, x, y: sym.where(c, x, y), {"x": (2, 3), "y": (2, 3)}, {"c": np.array([[0, 1, 1], [1, 0, 0]], "f")}),
    *(one(f"{n} of all", lambda x, n=n: getattr(sym, n)(x)) for n in ("sum", "mean", "prod", "max", "min", "norm", "nansum")),
    *(one(f"{n} of one axis", lambda x, n=n: getattr(sym, n)(x, axis=1)) for n in ("sum", "mean", "max", "norm", "argmax", "argmin")),
    one("sum kept", lambda x: sym.sum(x, axis=(0, 2), keepdims=True)),
    one("sum of others", lambda x: sym.sum(x, axis=1, exclude=True)),
    one("norm of order 1", lambda x: sym.norm(x, ord=1, axis=2)),
    *(one(f"L2Normalization {m}", lambda x, m=m: sym.L2Normalization(x, mode=m)) for m in ("instance", "channel", "spatial")),
    *(
        one(f"Reshape {s}", lambda x, s=s: sym.Reshape(x, shape=s))
        for s in ((4, 6), (0, -1), (-1,), (-2,), (-3, 0), (0, -4, 3, 1, -2), (-4, 1, -1, 0, 0), (0, 0, -4, 2, -1))
    ),
    one("Reshape reversed", lambda x: sym.Reshape(x, shape=(-1, 0), reverse=True)),
    one("transpose", lambda x: sym.transpose(x)),
    one("transpose by axes", lambda x: sym.transpose(x, axes=(1, 0, 2))),
    one("SwapAxis", lambda x: sym.SwapAxis(x, dim1=0, dim2=2)),
    one("expand_dims", lambda x: sym.squeeze(sym.expand_dims(x, axis=-1), axis=3)),
    one("slice", lambda x: sym.slice(x, begin=(0, 2, None), end=(1, None, -1), step=(1, -1, 2))),
    one("slice_axis", lambda x: sym.slice_axis(x, axis=-1, begin=1, end=None)),
    Case("slice_like", lambda x, y: sym.slice_like(x, y, axes=(1,)), {"x": (2, 5), "y": (3, 2)}),
    Case("reshape_like", lambda x, y: sym.reshape_like(x, y) * y, {"x": (2, 6), "y": (3, 4)}),
    Case("broadcast_like", lambda x, y: sym.broadcast_like(x, y), {"x": (1, 3), "y": (2, 3)}),
    one("split", lambda x: sym.Group(list(sym.split(x, num_outputs=2, axis=2)))),
    one("split squeezed", lambda x: sym.split(x, num_outputs=3, axis=1, squeeze_axis=True)[1]),
    Case("Concat", lambda x, y: sym.concat(x, y, dim=1), {"x": (2, 3), "y": (2, 1)}),
    Case("stack", lambda x, y: sym.stack(x, y, axis=1), {"x": (2, 3), "y": (2, 3)}),
    one("tile", lambda x: sym.tile(x, reps=(2, 1, 2))),
    one("repeat", lambda x: sym.repeat(x, repeats=2, axis=1)),
    one("reverse", lambda x: sym.reverse(x, axis=(0, 2))),
    one("broadcast_axis", lambda x: sym.broadcast_axis(x, axis=(0, 2), size=(3, 2)), (1, 2, 1)),
    one("broadcast_to", lambda x: sym.broadcast_to(x, shape=(0, 4)), (2, 1)),
    *(
        one(f"Pad {m}", lambda x, m=m: sym.Pad(x, mode=m, pad_width=(0, 0, 0, 0, 1, 2, 2, 1), constant_value=3), (1, 2, 4, 4))
        for m in ("constant", "edge", "reflect")
    ),
    one("UpSampling", lambda x: sym.UpSampling(x, scale=2, sample_type="nearest"), (1, 2, 2, 3)),
    one(
        "made arrays",
        lambda x: sym.broadcast_add(sym.broadcast_mul(x, sym.ones((2, 1, 4))), sym.Reshape(sym.arange(0, 4), shape=(1, 1, 4))),
    ),
    Case("dot", lambda x, y: sym.dot(x, y), {"x": (2, 3), "y": (3, 4)}),
    Case("dot transposed", lambda x, y: sym.dot(x, y, transpose_a=True, transpose_b=True), {"x": (3, 2), "y": (4, 3)}),
    Case("dot of more axes", lambda x, y: sym.dot(x, y), {"x": (2, 3), "y": (3, 2, 4)}),
    Case("dot of vectors", lambda x, y: sym.dot(x, y), {"x": (3,), "y": (3,)}),
    Case("batch_dot", lambda x, y: sym.batch_dot(x, y, transpose_b=True), {"x": (2, 3, 4), "y": (2, 5, 4)}),
    Case("gemm2", lambda x, y: sym.linalg.gemm2(x, y, transpose_a=True, alpha=0.5), {"x": (2, 4, 3), "y": (2, 4, 5)}),
    Case("Embedding", lambda i, w: sym.Embedding(i, w, input_dim=5, output_dim=3), {"w": (5, 3)}, {"i": np.array([[0, 4], [2, 2]], "f")}),
    Case("take", lambda x, i: sym.take(x, i, axis=1), {"x": (2, 4)}, {"i": np.array([0, 3, 9], "f")}),
    Case("one_hot", lambda i, x: sym.one_hot(i, 4, on_value=2.0) * x, {"x": (3, 4)}, {"i": np.array([1, 0, 3], "f")}),
    Case("pick", lambda x, i: sym.pick(x, i, axis=1), {"x": (3, 4)}, {"i": np.array([1, 0, 3], "f")}),
    Case(
        "SequenceMask",
        lambda x, n: sym.SequenceMask(x, n, use_sequence_length=True, value=-1.0),
        {"x": (4, 3, 2)},
        {"n": np.array([1, 4, 2], "f")},
    ),
    Case("SequenceLast", lambda x, n: sym.SequenceLast(x, n, use_sequence_length=True), {"x": (4, 3, 2)}, {"n": np.array([1, 4, 2], "f")}),
    one("softmax by temperature", lambda x: sym.softmax(x, axis=1, temperature=2.0)),
    one("softmin", lambda x: sym.softmin(x, axis=1)),
    one("SoftmaxActivation", lambda x: sym.SoftmaxActivation(x, mode="channel")),
    *(
        Case(
            f"SoftmaxOutput {given}",
            lambda x, y, given=given: sym.SoftmaxOutput(x, y, **given),
            {"x": (3, 4)},
            {"y": np.array([0, 3, 1], "f")},
        )
        for given in (
            {},
            {"grad_scale": 2.0, "normalization": "batch"},
            {"use_ignore": True, "ignore_label": 3, "normalization": "valid"},
            {"use_ignore": True, "ignore_label": 3},
            {"smooth_alpha": 0.2},
        )
    ),
    Case(
        "SoftmaxOutput times what comes from above",
        lambda x, y: sym.SoftmaxOutput(x, y, out_grad=True),
        {"x": (3, 4)},
        {"y": np.array([0, 3, 1], "f")},
        alone=True,
    ),
    *(
        Case(
            f"SoftmaxOutput of positions {given}",
            lambda x, y, given=given: sym.SoftmaxOutput(x, y, multi_output=True, **given),
            {"x": (2, 3, 4)},
            {"y": np.array([[0, 1, 2, 2], [1, 1, 0, 2]], "f")},
        )
        for given in ({}, {"normalization": "batch"}, {"use_ignore": True, "ignore_label": 1, "normalization": "valid"})
    ),
    Case("SoftmaxOutput of rows", lambda x, y: sym.SoftmaxOutput(x, y, preserve_shape=True), {"x": (2, 3, 4)}, {"y": np.ones((2, 3), "f")}),
    Case("SoftmaxOutput of probabilities", lambda x, y: sym.SoftmaxOutput(x, y), {"x": (3, 4)}, {"y": np.full((3, 4), 0.25, "f")}),
    *(
        Case(
            n, lambda x, y, n=n: getattr(sym, n)(x, y, grad_scale=0.5), {"x": (3, 4)}, {"y": np.linspace(0, 1, 12, dtype="f").reshape(3, 4)}
        )
        for n in ("LinearRegressionOutput", "LogisticRegressionOutput", "MAERegressionOutput")
    ),
    one("MakeLoss", lambda x: sym.MakeLoss(x * x, grad_scale=3.0, normalization="batch")),
    Case("softmax_cross_entropy", lambda x, y: sym.softmax_cross_entropy(x, y), {"x": (3, 4)}, {"y": np.array([0, 3, 1], "f")}),
    Case("FullyConnected", lambda x: sym.FullyConnected(x, num_hidden=5), {"x": (2, 3, 4)}),
    Case("FullyConnected of the last axis", lambda x: sym.FullyConnected(x, num_hidden=5, flatten=False, no_bias=True), {"x": (2, 3, 4)}),
    Case("Convolution", lambda x: sym.Convolution(x, kernel=(3, 2), num_filter=4), IMAGE),
    Case("Convolution, strided", lambda x: sym.Convolution(x, kernel=(3, 3), num_filter=4, stride=(2, 1), pad=(1, 2), no_bias=True), IMAGE),
    Case(
        "Convolution in groups", lambda x: sym.Convolution(x, kernel=(2, 2), num_filter=4, num_group=2, dilate=(2, 1)), {"x": (2, 4, 6, 6)}
    ),
    Case("Convolution, one axis", lambda x: sym.Convolution(x, kernel=(3,), num_filter=2), {"x": (2, 3, 7)}),
    Case(
        "Deconvolution",
        lambda x: sym.Deconvolution(x, kernel=(3, 3), num_filter=2, stride=(2, 2), pad=(1, 1), adj=(1, 0)),
        {"x": (2, 3, 4, 4)},
    ),
    *(
        one(
            f"Pooling {t} {c}",
            lambda x, t=t, c=c: sym.Pooling(x, kernel=(3, 2), stride=(2, 2), pool_type=t, pooling_convention=c),
            (2, 3, 8, 7),
        )
        for t in ("max", "avg", "sum")
        for c in ("valid", "full")
    ),
    one("Pooling padded", lambda x: sym.Pooling(x, kernel=(3, 3), pad=(1, 1), pool_type="avg", count_include_pad=False), (2, 3, 5, 5)),
    one("Pooling of all", lambda x: sym.Pooling(x, global_pool=True, pool_type="avg", kernel=(1, 1)), (2, 3, 4, 4)),
    *(one(f"Activation {t}", lambda x, t=t: sym.Activation(x, act_type=t)) for t in ("relu", "sigmoid", "tanh", "softrelu", "softsign")),
    *(one(f"LeakyReLU {t}", lambda x, t=t: sym.LeakyReLU(x, act_type=t, slope=0.1)) for t in ("leaky", "elu", "gelu")),
    one("LeakyReLU selu", lambda x: sym.LeakyReLU(x, act_type="selu"), is_train=False),
    Case("LeakyReLU prelu", lambda x, a: sym.LeakyReLU(x, a, act_type="prelu"), {"x": (2, 3, 4), "a": (3,)}),
    one("LeakyReLU rrelu", lambda x: sym.LeakyReLU(x, act_type="rrelu")[0], is_train=False),
    Case("BatchNorm", lambda x: sym.BatchNorm(x, fix_gamma=False, eps=1e-3), {"x": (4, 3, 5)}),
    Case("BatchNorm of images", lambda x: sym.BatchNorm(x, momentum=0.5), IMAGE),
    Case("BatchNorm, last axis", lambda x: sym.BatchNorm(x, fix_gamma=False, axis=-1), {"x": (4, 3)}),
    Case("BatchNorm, given statistics", lambda x: sym.BatchNorm(x, fix_gamma=False, use_global_stats=True), {"x": (4, 3, 5)}),
    Case("BatchNorm, inference", lambda x: sym.BatchNorm(x, fix_gamma=False), {"x": (4, 3, 5)}, is_train=False),
    Case("LayerNorm", lambda x, g, b: sym.LayerNorm(x, g, b), {"x": (4, 3, 5), "g": (5,), "b": (5,)}),
    Case("LayerNorm, other axis", lambda x, g, b: sym.LayerNorm(x, g, b, axis=1, eps=1e-3), {"x": (4, 3, 5), "g": (3,), "b": (3,)}),
    Case("InstanceNorm", lambda x, g, b: sym.InstanceNorm(x, g, b), {"x": (4, 3, 5), "g": (3,), "b": (3,)}),
    one("Dropout, inference", lambda x: sym.Dropout(x, p=0.5), is_train=False),
    *(
        Case(
            f"RNN {m} {layers} {both}",
            lambda x, m=m, layers=layers, both=both: sym.Group(
                list(sym.RNN(x, mode=m, state_size=3, num_layers=layers, bidirectional=both, state_outputs=True, name="rnn"))
            ),
            {"x": (4, 2, 5)},
        )
        for m in ("lstm", "gru", "rnn_tanh", "rnn_relu")
        for layers, both in ((1, False), (2, True))
    ),
    one("LRN", lambda x: sym.LRN(x, nsize=3), (2, 4, 3, 3), alone=True),
    one("amid untranslated ones", lambda x: sym.tanh(sym.LRN(sym.exp(x), nsize=3)) * 2, (2, 4, 3, 3), alone=True),
    Case("two results, untranslated", lambda x: sym.Group(list(sym.moments(x, axes=(1,)))), {"x": (3, 4)}, alone=True),
    one("gammaln", lambda x: sym.gammaln(x), positive=True, alone=True),
    one("Pooling of order 2", lambda x: sym.Pooling(x, kernel=(2, 2), pool_type="lp", p_value=2), (1, 2, 4, 4), positive=True, alone=True),
    Case("SVMOutput", lambda x, y: sym.SVMOutput(x, y), {"x": (3, 4)}, {"y": np.array([0, 3, 1], "f")}, alone=True),
]


def nd(value: np.ndarray) -> Any:
    """An NDArray of the same dtype. (`mx.nd.array` takes SciPy's deprecated names.)"""
    made = mxnet().nd.empty(value.shape, dtype=value.dtype)
    made[:] = np.ascontiguousarray(value)
    return made


def values_of(f: Function, case: Case, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Inputs of a case, and of the parameters that its symbol makes."""
    known = {**case.shapes, **{k: v.shape for k, v in case.given.items()}}
    shapes = dict(zip(f.arguments, f.symbol.infer_shape(**known)[0], strict=True))
    low, high = (0.5, 1.5) if case.positive else (-2.0, 2.0)
    found = {k: rng.uniform(low, high, tuple(s)).astype(np.float32) for k, s in shapes.items() if k not in case.given}
    return {**found, **case.given}


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_as_mxnet(case: Case) -> None:
    mx = mxnet()
    names = [*case.shapes, *case.given]
    symbol = case.make(**{n: sym.Variable(n) for n in names})
    f = Function(symbol)
    f.is_train = case.is_train
    rng = np.random.default_rng(7)
    values = values_of(f, case, rng)
    states = dict(zip(f.auxiliary, symbol.infer_shape(**{k: v.shape for k, v in values.items()})[2], strict=True))
    states = {k: rng.uniform(0.5, 1.5, tuple(s)).astype(np.float32) for k, s in states.items()}

    arrays = {k: nd(v) for k, v in values.items()}
    kept = {k: nd(v) for k, v in states.items()}
    gradients = {k: mx.nd.zeros(v.shape) for k, v in values.items()}
    requests = {k: "null" if k in case.given else "write" for k in values}
    executor = symbol.bind(mx.cpu(), arrays, gradients, requests, aux_states=kept)
    outputs = executor.forward(is_train=case.is_train)
    expected = [o.asnumpy() for o in outputs]
    weights = [rng.uniform(0.5, 1.5, o.shape).astype(o.dtype) for o in expected]
    wanted = [k for k in values if k not in case.given]
    if case.is_train:
        executor.backward([nd(w) for w in weights])

    ours = {k: mnp.array(v) for k, v in states.items()}

    def call(**arguments: Any) -> list[Any]:
        found = f(**arguments, **ours)
        return found if isinstance(found, list) else [found]

    f.params.update({k: mnp.array(v) for k, v in case.given.items()})
    for round_ in range(2):
        # the first encounter is the reference's, the second the executor's
        for k, v in states.items():
            ours[k][...] = v
        minpy_jit.reset_stats()

        def loss(arguments: dict[str, Any]) -> Any:
            return sum(mnp.sum(o * w) for o, w in zip(call(**arguments), weights, strict=True))

        slopes = minpy_jit.grad(loss)({k: mnp.array(values[k]) for k in wanted}) if case.is_train else {}
        for k in ours if case.is_train else ():
            np.testing.assert_allclose(ours[k].asnumpy(), kept[k].asnumpy(), rtol=2e-5, atol=1e-6, err_msg=k)
        for k, slope in slopes.items():
            np.testing.assert_allclose(slope.asnumpy(), gradients[k].asnumpy(), rtol=3e-4, atol=3e-5, err_msg=f"{k}, {round_}")
            assert slope.dtype == np.float32
        if case.is_train:
            assert ("own_executor_runs" in minpy_jit.stats()) is case.alone
        if f.auxiliary and case.is_train:
            continue
        found = call(**{k: mnp.array(values[k]) for k in wanted})
        for mine, theirs in zip(found, expected, strict=True):
            assert mine.shape == theirs.shape and mine.dtype == theirs.dtype
            np.testing.assert_allclose(mine.asnumpy(), theirs, rtol=3e-5, atol=1e-5)


# where MXNet itself is wrong, or fails
def test_selu_has_its_own_gradient() -> None:
    f = Function(sym.LeakyReLU(sym.Variable("x"), act_type="selu"))
    minpy_jit.check_grads(lambda x: f(x=x), order=2)(np.array([-1.5, -0.3, 0.4, 2.0]))


def test_deconvolution_to_a_shape() -> None:
    x, w = np.ones((2, 3, 4, 4), "f"), np.linspace(-1, 1, 72, dtype="f").reshape(3, 2, 4, 3)
    given = {"kernel": (4, 3), "num_filter": 2, "stride": (2, 2), "name": "d"}
    wanted = Function(sym.Deconvolution(sym.Variable("x"), target_shape=(7, 8), **given))
    padded = Function(sym.Deconvolution(sym.Variable("x"), pad=(2, 1), adj=(1, 1), **given))
    assert wanted.get_one_output_shape(x=x.shape) == (2, 2, 7, 8)
    found = wanted(x=x, d_weight=w)
    assert found.shape == (2, 2, 7, 8)
    np.testing.assert_array_equal(found.asnumpy(), padded(x=x, d_weight=w).asnumpy())


# -- as part of a program -----------------------------------------------------------------------------------------------------------------
def network() -> Function:
    """A convolutional network with everything that has a state."""
    x = sym.Convolution(sym.Variable("data"), kernel=(3, 3), num_filter=4, pad=(1, 1), name="conv")
    x = sym.Activation(sym.BatchNorm(x, name="norm", fix_gamma=False), act_type="relu")
    x = sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max")
    x = sym.FullyConnected(sym.Flatten(x), num_hidden=5, name="fc")
    return Function(sym.SoftmaxOutput(x, name="softmax"), {"data": (6, 1, 8, 8)})


def start(f: Function, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {k: mnp.array(rng.normal(0, 0.3, v["shape"]).astype("f")) for k, v in f.get_params().items()}


def test_shapes_of_a_network() -> None:
    f = network()
    assert f.get_params() == {
        "conv_weight": {"shape": (4, 1, 3, 3)},
        "conv_bias": {"shape": (4,)},
        "norm_gamma": {"shape": (4,)},
        "norm_beta": {"shape": (4,)},
        "fc_weight": {"shape": (5, 64)},
        "fc_bias": {"shape": (5,)},
    }
    assert f.get_output_shapes() == [(6, 5)] and f.get_one_output_shape() == (6, 5)
    assert f.get_one_output_shape(data=(2, 1, 8, 8)) == (2, 5)
    assert f.get_aux_params() == {"norm_moving_mean": {"shape": (4,)}, "norm_moving_var": {"shape": (4,)}}


def test_a_training_step_is_one_executor_run() -> None:
    f = network()
    params = start(f)
    rng = np.random.default_rng(1)
    data, label = mnp.array(rng.random((6, 1, 8, 8), "f")), mnp.array(rng.integers(0, 5, 6))

    def loss(params: dict[str, Any]) -> Any:
        return f(data=data, softmax_label=label, **params)

    both = minpy_jit.value_and_grad(loss)
    losses: list[float] = []
    for step in range(6):
        minpy_jit.reset_stats()
        p, slopes = both(params)
        params = {k: v - 0.02 * slopes[k] for k, v in params.items()}
        nll = float(-mnp.sum(mnp.log(p[mnp.arange(6), label])))
        found = minpy_jit.stats()
        if step > 1:
            assert (found["executor_runs"], found["compiles"], found["host_steps"], found["recorded"]) == (1, 0, 0, 0)
        losses.append(nll)
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.8 * losses[0]
    # the running mean has moved there, by a tenth of the way each time
    assert float(mnp.max(mnp.abs(f.params["norm_moving_mean"]))) > 0.1 and set(f.params) == set(f.auxiliary)


def test_as_many_steps_of_mxnets_module() -> None:
    """Parameters and running statistics after five steps of plain gradient descent."""
    mx = mxnet()
    f = network()
    params = start(f)
    rng = np.random.default_rng(1)
    data, label = rng.random((6, 1, 8, 8), "f"), rng.integers(0, 5, 6).astype("f")
    arrays = {**{k: nd(v.asnumpy()) for k, v in params.items()}, "data": nd(data), "softmax_label": nd(label)}
    slopes = {k: mx.nd.zeros(arrays[k].shape) for k in params}
    states = {"norm_moving_mean": mx.nd.zeros((4,)), "norm_moving_var": mx.nd.ones((4,))}
    executor = f.symbol.bind(mx.cpu(), arrays, slopes, aux_states=states)
    step = minpy_jit.grad(lambda p: f(data=data, softmax_label=label, **p))
    for _ in range(5):
        executor.forward(is_train=True)
        executor.backward()
        for k in params:
            arrays[k][:] = arrays[k] - 0.05 * slopes[k]
        found = step(params)
        params = {k: v - 0.05 * found[k] for k, v in params.items()}
    for k, v in params.items():
        np.testing.assert_allclose(v.asnumpy(), arrays[k].asnumpy(), rtol=1e-4, atol=1e-5, err_msg=k)
    for k, v in states.items():
        np.testing.assert_allclose(f.params[k].asnumpy(), v.asnumpy(), rtol=1e-4, atol=1e-5, err_msg=k)


# -- images in oneDNN's memory order ------------------------------------------------------------------------------------------------------
def operators_of_last_plan() -> list[str]:
    """MXNet operators of what ran last, without variables."""
    plan = next(reversed(plan_cache.plans.values()))
    return [n["op"] for s in plan.stages if isinstance(s, NativeStage) for n in json.loads(s.lowered.json)["nodes"] if n["op"] != "null"]


@pytest.mark.parametrize("normalised", [False, True])
def test_from_convolution_to_pooling_no_region_comes_between(normalised: bool) -> None:
    x = sym.Convolution(sym.Variable("data"), kernel=(3, 3), num_filter=8, name="conv")
    if normalised:
        x = sym.BatchNorm(x, name="norm")
    x = sym.Pooling(sym.Activation(x, act_type="relu"), kernel=(2, 2), stride=(2, 2), pool_type="max")
    f = Function(sym.FullyConnected(x, num_hidden=2, name="fc"))
    rng = np.random.default_rng(0)
    data = mnp.array(rng.random((4, 3, 18, 18), "f"))
    params = {k: mnp.array(rng.standard_normal(v["shape"], "f") * 0.3) for k, v in f.get_params(data=data.shape).items() if k != "data"}
    step = minpy_jit.grad(lambda p: mnp.sum(mnp.tanh(f(data=data, **p))))
    for _ in range(3):
        minpy_jit.wait(list(step(params).values()))
    found = operators_of_last_plan()
    forward = ["Convolution", *(["BatchNorm"] if normalised else []), "Activation", "Pooling"]
    at = found.index("Convolution")
    assert [n for n in found[at:] if n in forward][: len(forward)] == forward
    assert not any("region" in n for n in found[at : found.index("Pooling")])
    back = found[found.index("_backward_Pooling") :]
    between = back[: back.index("_backward_Convolution")]
    assert "_backward_Activation" in between and not any("region" in n for n in between)


def test_relu_of_images_takes_nan_as_mxnet_does() -> None:
    values = np.array([np.nan, -np.inf, -1.0, -0.0, 0.0, 2.0, np.inf, np.nan], "f").reshape(1, 2, 2, 2)
    symbol = sym.Activation(sym.Variable("x"), act_type="relu")
    executor = symbol.bind(mxnet().cpu(), {"x": nd(values)}, {"x": mxnet().nd.zeros(values.shape)})
    expected = executor.forward(is_train=True)[0].asnumpy()
    executor.backward([mxnet().nd.ones(values.shape)])
    assert not np.isnan(expected).any()
    f = Function(symbol)
    for mode in ("lazy", "eager", "numpy"):
        with minpy_jit.mode(mode):
            for _ in range(3):
                x = mnp.array(values)
                np.testing.assert_array_equal(f(x=x).asnumpy(), expected, err_msg=mode)
                np.testing.assert_array_equal(
                    minpy_jit.grad(lambda x: f(x=x))(x).asnumpy(), executor.grad_dict["x"].asnumpy(), err_msg=mode
                )


def test_called_many_times_before_backward() -> None:
    f = Function(sym.FullyConnected(sym.Variable("x"), num_hidden=3, no_bias=True, name="fc"))
    w = np.linspace(-1, 1, 9, dtype="f").reshape(3, 3)
    x = np.ones((2, 3), "f")

    def rolled(w: Any) -> Any:
        h = x
        for _ in range(4):
            h = mnp.tanh(f(x=h, fc_weight=w))
            if float(mnp.sum(h)) > 100:
                # a value is looked at in between, and decides
                h = h * 0
        return mnp.sum(h)

    def plain(w: Any) -> Any:
        h = mnp.array(x)
        for _ in range(4):
            h = mnp.tanh(h @ w.T)
        return mnp.sum(h)

    np.testing.assert_allclose(minpy_jit.grad(rolled)(w).asnumpy(), minpy_jit.grad(plain)(w).asnumpy(), rtol=1e-5, atol=1e-5)
    traced = minpy_jit.trace(lambda w: mnp.sum(mnp.tanh(f(x=f(x=x, fc_weight=w), fc_weight=w))), pure=True)
    again = [float(traced(mnp.array(w * k))) for k in (1, 1, 2)]
    assert again[0] == again[1] != again[2]


def test_second_derivatives() -> None:
    f = Function(sym.Activation(sym.FullyConnected(sym.Variable("x"), num_hidden=2, name="fc"), act_type="tanh"))
    rng = np.random.default_rng(2)
    x, w, b = rng.standard_normal((3, 4)), rng.standard_normal((2, 4)), rng.standard_normal(2)
    minpy_jit.check_grads(lambda x, w, b: f(x=x, fc_weight=w, fc_bias=b), order=2)(x, w, b)


def test_no_second_derivative_of_what_runs_alone() -> None:
    f = Function(sym.LRN(sym.Variable("x"), nsize=3))
    x = np.ones((1, 3, 2, 2), "f")
    slope = minpy_jit.grad(lambda x: mnp.sum(f(x=x) ** 2))
    assert slope(x).shape == x.shape
    with pytest.raises(TypeError, match=r"\[mxnet.LRN_backward\] has no gradient for argument 0"):
        minpy_jit.grad(lambda x: mnp.sum(slope(x)))(x)


def test_a_failed_gradient_leaves_other_values_alone() -> None:
    f = Function(sym.LRN(sym.Variable("x"), nsize=3))
    slope = minpy_jit.grad(lambda x: mnp.sum(f(x=x) ** 2))
    with pytest.raises(TypeError) as kept:
        # the traceback keeps the tape alive
        minpy_jit.grad(lambda x: mnp.sum(slope(x)))(np.ones((1, 3, 2, 2), "f"))
    assert float(mnp.ones(3).sum() + 1) == 4.0
    del kept


def test_explain_says_what_runs_alone_and_why() -> None:
    f = Function(sym.LRN(sym.tanh(sym.Variable("x")), nsize=3))
    x = mnp.array(np.ones((1, 3, 2, 2), "f"))
    assert "mxnet.LRN: MXNet's LRN has no translation: an executor of its own" in minpy_jit.explain(lambda: f(x=x))
    assert f.untranslated() == {f.outputs[0].removesuffix("_output"): "LRN"}


def test_dtype_is_kept() -> None:
    f = Function(sym.FullyConnected(sym.Variable("x"), num_hidden=2, no_bias=True, name="fc"))
    for dtype in (np.float32, np.float64):
        assert f(x=np.ones((3, 4), dtype), fc_weight=np.ones((2, 4), dtype)).dtype == dtype


def test_dropout_draws_from_numpys_generator() -> None:
    f = Function(sym.Dropout(sym.Variable("x"), p=0.25))
    x = mnp.ones((50, 40))
    mnp.random.seed(3)
    first, second = f(x=x).asnumpy(), f(x=x).asnumpy()
    mnp.random.seed(3)
    np.testing.assert_array_equal(first, f(x=x).asnumpy())
    assert (first != second).any() and set(np.unique(first)) == {0.0, 1 / 0.75}
    assert abs((first == 0).mean() - 0.25) < 0.05
    f.is_train = False
    np.testing.assert_array_equal(f(x=x).asnumpy(), 1.0)


def test_states_that_are_passed_move_in_place() -> None:
    f = Function(sym.BatchNorm(sym.Variable("x"), name="n"))
    mean, var = mnp.zeros(2), mnp.ones(2)
    given = {"x": np.array([[1.0, 2.0], [3.0, 6.0]]), "n_gamma": np.ones(2), "n_beta": np.zeros(2)}
    held = mean
    f(**given, n_moving_mean=mean, n_moving_var=var)
    np.testing.assert_allclose(held.asnumpy(), [0.2, 0.4])
    np.testing.assert_allclose(var.asnumpy(), [0.9 + 0.1, 0.9 + 0.4])
    assert f.params == {}
    f.is_train = False
    f(**given, n_moving_mean=mean, n_moving_var=var)
    np.testing.assert_allclose(held.asnumpy(), [0.2, 0.4])


def test_results_are_arrays_of_their_own() -> None:
    x = sym.Variable("x")
    f = Function(sym.Group([sym.Flatten(x), x]))
    given = mnp.ones((2, 2))
    first, second = f(x=given)
    first += 1
    second += 1
    np.testing.assert_array_equal(given.asnumpy(), 1.0)


def test_a_gluon_block() -> None:
    mx = mxnet()
    block = mx.gluon.nn.HybridSequential()
    block.add(mx.gluon.nn.Conv2D(3, 3, in_channels=2), mx.gluon.nn.BatchNorm(in_channels=3), mx.gluon.nn.Dense(4, in_units=48))
    block.initialize(mx.init.Xavier())
    x = np.random.default_rng(0).random((2, 2, 6, 6), "f")
    f = Function(block)
    f.is_train = False
    np.testing.assert_allclose(f(x).asnumpy(), block(nd(x)).asnumpy(), rtol=1e-5, atol=1e-6)
    assert set(f.arguments) - {"data"} | set(f.auxiliary) == set(f.params)
    weight = next(k for k in f.arguments if k.endswith("dense0_weight"))
    slope = minpy_jit.grad(lambda w: mnp.sum(f(data=x, **{weight: w}) ** 2))(f.params[weight])
    with mx.autograd.record(train_mode=False):
        loss = (block(nd(x)) ** 2).sum()
    loss.backward()
    np.testing.assert_allclose(slope.asnumpy(), block.collect_params()[weight].grad().asnumpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": 1.0}, "has no argument 'x'; it has data, conv_weight"),
        ({}, r"misses data, conv_weight, .* softmax_label; its arguments are"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        network()(**arguments)


def test_a_model_can_give_all_its_parameters() -> None:
    f = network()
    f.is_train = False
    given = {"data": np.ones((6, 1, 8, 8), "f"), **start(f)}
    found = f(**given, w1=np.ones(3), b1=np.ones(2))
    np.testing.assert_allclose(found.asnumpy(), f(**given).asnumpy(), rtol=1e-6)


def test_labels_are_not_needed_to_predict() -> None:
    f = network()
    given = {"data": np.ones((6, 1, 8, 8), "f"), **start(f)}
    with pytest.raises(TypeError, match=r"misses softmax_label.*set is_train = False to predict without labels"):
        f(**given)
    f.is_train = False
    np.testing.assert_allclose(f(**given).asnumpy().sum(axis=1), 1.0, rtol=1e-5)


def test_other_errors() -> None:
    x = sym.Variable("x")
    with pytest.raises(TypeError, match="takes an MXNet symbol or a Gluon HybridBlock; got int"):
        Function(1)
    with pytest.raises(TypeError, match=r"must be a dict such as \{'x': \(8, 3, 10, 10\)\}; got \{.*'x'"):
        Function(x, input_shapes={"x", (8, 3)})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cannot be told from nothing"):
        Function(sym.FullyConnected(x, num_hidden=1)).get_params()
    with pytest.raises(ValueError, match="has 2 outputs"):
        Function(sym.Group([x, x * 2])).get_one_output_shape(x=(1,))
    with pytest.raises(ValueError, match=r"\[fully_connected_bias\] w has 3 inputs per output, x has 4"):
        Function(sym.FullyConnected(x, num_hidden=2, name="f"))(x=np.ones((1, 4)), f_weight=np.ones((2, 3)), f_bias=np.ones(2))
    with pytest.raises(TypeError, match=r"2 positional argument\(s\), but the inputs of 's' are not known"):
        Function(x, name="s")(1, 2)
