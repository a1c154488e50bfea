"""`Function`: random operators inside a symbol, and auxiliary states of operators that run in executors of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minpy_jit
import minpy_jit.numpy as mnp
from minpy_jit import Function, config
from minpy_jit.interop import mxnet

sym: Any = mxnet().symbol


def nd(value: np.ndarray) -> Any:
    """An NDArray of the same dtype."""
    made = mxnet().nd.empty(value.shape, dtype=value.dtype)
    made[:] = np.ascontiguousarray(value)
    return made


def arrays(found: Any) -> list[np.ndarray]:
    return [a.asnumpy() for a in (found if isinstance(found, list) else [found])]


X = np.array([0.5, 0.2, 0.3, 0.9], np.float32)
SHAPE = (20000,)
# name -> symbol of x (four probabilities or so); of each element many draws
DRAWN: dict[str, Callable[[Any], Any]] = {
    "uniform": lambda x: sym.random.uniform(-1.0, 3.0, shape=SHAPE),
    "uniform, float64": lambda x: sym.random.uniform(-1.0, 3.0, shape=SHAPE, dtype="float64"),
    "normal": lambda x: sym.random.normal(1.0, 2.0, shape=SHAPE),
    "exponential": lambda x: sym.random.exponential(2.0, shape=SHAPE),
    "gamma": lambda x: sym.random.gamma(2.0, 1.5, shape=SHAPE),
    "poisson": lambda x: sym.random.poisson(3.0, shape=SHAPE),
    "negative_binomial": lambda x: sym.random.negative_binomial(3, 0.4, shape=SHAPE),
    "generalized_negative_binomial": lambda x: sym.random.generalized_negative_binomial(2.0, 0.3, shape=SHAPE),
    "randint": lambda x: sym.random.randint(2, 9, shape=SHAPE),
    "sample_uniform": lambda x: sym.random.uniform(x, x + 1, shape=SHAPE),
    "sample_normal": lambda x: sym.random.normal(x, x + 1, shape=SHAPE),
    "sample_gamma": lambda x: sym.random.gamma(x + 1, x + 2, shape=SHAPE),
    "sample_exponential": lambda x: sym.sample_exponential(x + 1, shape=SHAPE),
    "sample_poisson": lambda x: sym.sample_poisson(x + 1, shape=SHAPE),
    "sample_negative_binomial": lambda x: sym.random.negative_binomial(x * 0 + 3, x * 0 + 0.4, shape=SHAPE),
    "sample_generalized_negative_binomial": lambda x: sym.random.generalized_negative_binomial(x + 2, x * 0 + 0.3, shape=SHAPE),
    "sample_multinomial": lambda x: sym.random.multinomial(sym.softmax(x * 3), shape=SHAPE, get_prob=False),
    "sample_multinomial of rows": lambda x: sym.Reshape(
        sym.random.multinomial(sym.softmax(sym.Reshape(x, shape=(2, 2)) * 3), shape=(100, 200), get_prob=False), shape=(0, -1)
    ),
    "sample_multinomial and its logarithms": lambda x: sym.Group(
        list(sym.random.multinomial(sym.softmax(x * 3), shape=SHAPE, get_prob=True))
    ),
    "Dropout": lambda x: sym.Dropout(sym.broadcast_mul(sym.ones((5000, 1)), sym.Reshape(x, shape=(1, 4))), p=0.3),
    "numpy's uniform": lambda x: mxnet().sym.np.random.uniform(size=SHAPE).as_nd_ndarray(),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_random_operator_has_mxnets_distribution(name: str) -> None:
    symbol = DRAWN[name](sym.Variable("x"))
    f = Function(symbol)
    given = {"x": mnp.array(X)} if "x" in f.arguments else {}
    mnp.random.seed(11)
    found = arrays(f(**given))
    mxnet().random.seed(5)
    # (without gradients MXNet takes Dropout out of the symbol)
    slopes = {k: mxnet().nd.zeros(X.shape) for k in f.arguments} if name == "Dropout" else None
    executor = symbol.bind(mxnet().cpu(), {k: nd(X) for k in f.arguments}, slopes, grad_req="write" if slopes else "null")
    expected = [o.asnumpy() for o in executor.forward(is_train=True)]
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.shape == theirs.shape and mine.dtype == theirs.dtype
        rows, wanted = (v.astype(np.float64).reshape(-1, 4) if v.size % 4 == 0 and v.shape[0] == 5000 else v for v in (mine, theirs))
        axis = 0 if rows.shape[-1] == 4 and rows.ndim == 2 else -1
        spread = np.sqrt(rows.var(axis) / rows.shape[axis] + wanted.var(axis) / rows.shape[axis])
        assert (np.abs(rows.mean(axis) - wanted.mean(axis)) <= 6 * spread + 1e-12).all()
        np.testing.assert_allclose(rows.std(axis), wanted.std(axis), rtol=0.12, atol=1e-6)
    runs = []
    for _ in range(2):
        mnp.random.seed(11)
        runs.append(arrays(f(**given)))
    for mine, compiled, again in zip(found, *runs, strict=True):
        np.testing.assert_array_equal(compiled, again)
        # the first run was NumPy's; without native code MXNet's exp and log may end in other bits
        np.testing.assert_allclose(mine, again, rtol=0 if config.native else 1e-6)
    assert any((mine != other).any() for mine, other in zip(found, arrays(f(**given)), strict=True))


@pytest.mark.parametrize("shape", [(), 5, (2, 3)])
@pytest.mark.parametrize("rows", [(3,), (2, 3), (2, 4, 3)])
def test_multinomial_has_mxnets_shapes(shape: Any, rows: tuple[int, ...]) -> None:
    symbol = sym.Group(list(sym.random.multinomial(sym.Variable("x"), shape=shape, get_prob=True)))
    weights = np.random.default_rng(0).dirichlet([1.0] * 3, rows[:-1]).astype(np.float32)
    at, logarithms = Function(symbol)(x=mnp.array(weights))
    assert [at.shape, logarithms.shape] == symbol.infer_shape(x=rows)[1] and at.dtype == np.int32
    wide = at.asnumpy().reshape(*rows[:-1], -1)
    np.testing.assert_allclose(logarithms.asnumpy().reshape(wide.shape), np.log(np.take_along_axis(weights, wide, axis=-1)), rtol=1e-6)


def test_logarithms_of_draws_have_mxnets_gradient() -> None:
    f = Function(sym.random.multinomial(sym.Variable("x"), shape=50, get_prob=True)[1])
    weights = np.array([0.2, 0.3, 0.5], np.float32)
    mnp.random.seed(0)
    at = Function(sym.random.multinomial(sym.Variable("x"), shape=50, get_prob=False))(x=mnp.array(weights)).asnumpy()
    mnp.random.seed(0)
    slope = minpy_jit.grad(lambda x: mnp.sum(f(x=x)))(mnp.array(weights)).asnumpy()
    np.testing.assert_allclose(slope, np.bincount(at, minlength=3) / weights, rtol=1e-5)


@pytest.mark.parametrize("name", ["sample_uniform", "sample_normal", "sample_gamma"])
def test_no_gradient_flows_to_parameters_of_draws(name: str) -> None:
    f = Function(DRAWN[name](sym.Variable("x")))
    slope = minpy_jit.grad(lambda x: mnp.sum(f(x=x)) + mnp.sum(x))(mnp.array(X))
    np.testing.assert_array_equal(slope.asnumpy(), np.ones(4))


def test_shuffle_permutes_rows() -> None:
    f = Function(sym.random.shuffle(sym.Variable("x")))
    x = np.arange(12.0, dtype=np.float32).reshape(6, 2)
    scale = np.arange(1.0, 7.0, dtype=np.float32)[:, None]
    found, slope = minpy_jit.value_and_grad(lambda a: f(x=a) * scale)(mnp.array(x))
    rows = (found.asnumpy() / scale).round(4)
    assert sorted(map(tuple, rows)) == sorted(map(tuple, x)) and not np.array_equal(rows, x)
    for row, factor in zip(rows, scale, strict=True):
        assert (slope.asnumpy()[int(row[0]) // 2] == factor).all()


# -- dropout between the layers of a recurrent network ------------------------------------------------------------------------------------
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("mode", ["lstm", "gru", "rnn_tanh", "rnn_relu"])
def test_dropout_between_layers(mode: str, both: bool) -> None:
    """Against MXNet's own operator, layer by layer, with the masks that were drawn."""
    p, size, count, steps, batch = 0.4, 3, 3, 4, 2
    directions = 1 + both
    symbol = sym.Group(
        list(
            sym.RNN(
                sym.Variable("x"), mode=mode, state_size=size, num_layers=count, p=p, bidirectional=both, state_outputs=True, name="rnn"
            )
        )
    )
    f = Function(symbol)
    rng = np.random.default_rng(0)
    shapes = dict(zip(f.arguments, symbol.infer_shape(x=(steps, batch, 5))[0], strict=True))
    values = {k: rng.uniform(-1, 1, s).astype(np.float32) for k, s in shapes.items()}
    names = [k for k in f.arguments if k not in ("x", "rnn_parameters")]

    gates = {"lstm": 4, "gru": 3}.get(mode, 1)
    widths = [5, *[directions * size] * (count - 1)]
    flat = values["rnn_parameters"]
    weights, at = [], 0
    for width in widths:
        length = directions * gates * size * (width + size)
        weights.append(flat[at : at + length])
        at += length
    biases = flat[at:].reshape(count, -1)
    mnp.random.seed(3)
    masks = [(mnp.random.random_sample((steps, batch, directions * size)) >= p).asnumpy() / (1 - p) for _ in range(count - 1)]
    one = sym.Group(
        list(sym.RNN(sym.Variable("x"), mode=mode, state_size=size, num_layers=1, bidirectional=both, state_outputs=True, name="rnn"))
    )
    executors, y, last = [], values["x"], []
    for k in range(count):
        given = {"x": nd(y), "rnn_parameters": nd(np.concatenate([weights[k], biases[k]]))}
        given.update({n: nd(values[n][k * directions : (k + 1) * directions]) for n in names})
        executor = one.bind(mxnet().cpu(), given, {n: mxnet().nd.zeros(v.shape) for n, v in given.items()})
        out = [o.asnumpy() for o in executor.forward(is_train=True)]
        executors.append(executor)
        last.append(out[1:])
        y = (out[0] * masks[k]).astype(np.float32) if k < count - 1 else out[0]
    g = np.ones_like(y)
    slopes: dict[str, list[np.ndarray]] = {}
    for k in reversed(range(count)):
        executors[k].backward([nd(g), *[nd(np.ones_like(s)) for s in last[k]]])
        for n, v in executors[k].grad_dict.items():
            slopes.setdefault(n, []).insert(0, v.asnumpy())
        if k:
            g = (slopes["x"][0] * masks[k - 1]).astype(np.float32)

    for _ in range(3):
        mnp.random.seed(3)
        found, pulled = minpy_jit.value_and_grad(lambda a: f(**a))({k: mnp.array(v) for k, v in values.items()})
        np.testing.assert_allclose(found[0].asnumpy(), y, rtol=1e-4, atol=1e-5)
        for j, state in enumerate(found[1:]):
            np.testing.assert_allclose(state.asnumpy(), np.concatenate([s[j] for s in last]), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(pulled["x"].asnumpy(), slopes["x"][0], rtol=1e-3, atol=1e-5)
        matrices = np.concatenate([s[: len(w)] for s, w in zip(slopes["rnn_parameters"], weights, strict=True)])
        rest = np.concatenate([s[len(w) :] for s, w in zip(slopes["rnn_parameters"], weights, strict=True)])
        np.testing.assert_allclose(pulled["rnn_parameters"].asnumpy(), np.concatenate([matrices, rest]), rtol=1e-3, atol=1e-5)
        for n in names:
            np.testing.assert_allclose(pulled[n].asnumpy(), np.concatenate(slopes[n]), rtol=1e-3, atol=1e-5)
    f.is_train = False
    executor = symbol.bind(mxnet().cpu(), {k: nd(v) for k, v in values.items()}, grad_req="null")
    for mine, theirs in zip(f(**{k: mnp.array(v) for k, v in values.items()}), executor.forward(is_train=False), strict=True):
        np.testing.assert_allclose(mine.asnumpy(), theirs.asnumpy(), rtol=1e-4, atol=1e-5)


# -- executors of their own ---------------------------------------------------------------------------------------------------------------
def test_what_runs_alone_draws_once_for_value_and_gradient() -> None:
    """`cudnn_off` aside, an attribute that has no translation sends Dropout there."""
    x = sym.Variable("x")
    f = Function(sym.Dropout(x, p=0.5, name="drop") * 3.0)
    f._steps = [(n, c, "no translation" if n.op == "Dropout" else t) for n, c, t in f._steps]
    data = np.arange(1.0, 65.0, dtype=np.float32)
    seen = []
    for _ in range(4):
        found, slope = minpy_jit.value_and_grad(lambda x: f(x=x))(mnp.array(data))
        kept = found.asnumpy() != 0
        np.testing.assert_allclose(found.asnumpy(), np.where(kept, 6 * data, 0))
        np.testing.assert_allclose(slope.asnumpy(), np.where(kept, 6.0, 0.0))
        assert 0 < kept.sum() < 64
        seen.append(tuple(kept))
    assert len(set(seen)) == 4
    draws = []
    for _ in range(2):
        mnp.random.seed(9)
        draws.append([f(x=mnp.array(data)).asnumpy() for _ in range(3)])
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0][0] != draws[0][1]).any()


def test_draws_of_an_operator_that_runs_alone() -> None:
    f = Function(sym._internal._sample_unique_zipfian(range_max=1000, shape=(2, 6)))
    assert f.untranslated()
    mnp.random.seed(1)
    first, second = arrays(f()), arrays(f())
    mnp.random.seed(1)
    np.testing.assert_array_equal(arrays(f())[0], first[0])
    assert all(len(set(row)) == 6 for row in first[0]) and (first[0] != second[0]).any()


STATES: dict[str, Callable[[Any], Any]] = {
    "BatchNorm_v1": lambda x: sym.BatchNorm_v1(x, fix_gamma=False, momentum=0.7, name="n"),
    "SyncBatchNorm": lambda x: sym.contrib.SyncBatchNorm(x, ndev=1, key="a", fix_gamma=False, momentum=0.7, name="n"),
    "IdentityAttachKLSparseReg": lambda x: sym.IdentityAttachKLSparseReg(x, sparseness_target=0.2, momentum=0.7, penalty=0.01, name="n"),
    "amid others": lambda x: sym.tanh(sym.BatchNorm_v1(sym.exp(x), fix_gamma=False, name="n")) * 2.0,
}


@pytest.mark.parametrize("name", STATES)
def test_states_of_an_operator_that_runs_alone(name: str) -> None:
    """Values, gradients and moved states of several training steps, then of a prediction, are those of MXNet's own executor."""
    symbol = STATES[name](sym.Variable("x"))
    f = Function(symbol)
    assert f.untranslated()
    rng = np.random.default_rng(0)
    batches = rng.uniform(0.1, 0.9, (4, 8, 3)).astype(np.float32)
    shapes, _, held = symbol.infer_shape(x=(8, 3))
    params = {k: rng.uniform(0.5, 1.5, s).astype(np.float32) for k, s in zip(f.arguments, shapes, strict=True) if k != "x"}
    states = {k: rng.uniform(0.2, 0.8, s).astype(np.float32) for k, s in zip(f.auxiliary, held, strict=True)}
    theirs = {**{k: nd(v) for k, v in params.items()}, "x": nd(batches[0])}
    moved = {k: nd(v) for k, v in states.items()}
    executor = symbol.bind(mxnet().cpu(), theirs, {k: mxnet().nd.zeros(v.shape) for k, v in theirs.items()}, aux_states=moved)
    ours = {k: mnp.array(v) for k, v in params.items()}
    f.params.update({k: mnp.array(v) for k, v in states.items()})
    weights = rng.uniform(0.5, 1.5, (8, 3)).astype(np.float32)
    step = minpy_jit.value_and_grad(lambda a: mnp.sum(f(**a) * weights))
    for batch in batches:
        theirs["x"][:] = nd(batch)
        expected = executor.forward(is_train=True)[0].asnumpy()
        executor.backward([nd(weights)])
        found, slopes = step({**ours, "x": mnp.array(batch)})
        np.testing.assert_allclose(float(found), (expected * weights).sum(), rtol=1e-4)
        for k, v in slopes.items():
            np.testing.assert_allclose(v.asnumpy(), executor.grad_dict[k].asnumpy(), rtol=2e-3, atol=2e-5, err_msg=k)
        for k in f.auxiliary:
            np.testing.assert_allclose(f.params[k].asnumpy(), moved[k].asnumpy(), rtol=1e-5, atol=1e-6, err_msg=k)
    f.is_train = False
    before = {k: f.params[k].asnumpy().copy() for k in f.auxiliary}
    expected = executor.forward(is_train=False)[0].asnumpy()
    np.testing.assert_allclose(f(**ours, x=mnp.array(batches[-1])).asnumpy(), expected, rtol=1e-4, atol=1e-5)
    for k, v in before.items():
        np.testing.assert_array_equal(f.params[k].asnumpy(), v)
