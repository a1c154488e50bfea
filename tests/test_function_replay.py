"""`Function` calls that are replayed: what a symbol records is remembered by where it is recorded, and is the same in every way."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import minpy_jit
import minpy_jit.numpy as mnp
from minpy_jit import Function
from minpy_jit.interop import mxnet
from minpy_jit.trace.recorder import current

sym: Any = mxnet().symbol


def small() -> Function:
    """x of shape (n, 3) -> tanh(x @ w.T + b), which has numbers of its own in it."""
    found = sym.tanh(sym.FullyConnected(sym.Variable("x"), num_hidden=2, name="fc")) * 0.5 + 0.25
    return Function(found)


def arguments(seed: int = 0, rows: int = 4) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"x": rng.standard_normal((rows, 3)), "fc_weight": rng.standard_normal((2, 3)), "fc_bias": rng.standard_normal(2)}


def expected(x: np.ndarray, fc_weight: np.ndarray, fc_bias: np.ndarray) -> np.ndarray:
    return np.tanh(x @ fc_weight.T + fc_bias) * 0.5 + 0.25


def ours(values: dict[str, np.ndarray]) -> dict[str, Any]:
    return {k: mnp.array(v) for k, v in values.items()}


@contextmanager
def walks(f: Function) -> Iterator[list[int]]:
    """Counts how often the symbol's nodes are walked through."""
    count = [0]
    walk = f._record

    def counting(*args: Any) -> Any:
        count[0] += 1
        return walk(*args)

    f._record = counting  # type: ignore[method-assign]
    try:
        yield count
    finally:
        f._record = walk  # type: ignore[method-assign]


def test_the_symbol_is_walked_through_once_for_each_place_and_types() -> None:
    f = small()
    step = minpy_jit.value_and_grad(lambda p, x: mnp.sum(f(x=x, **p)))
    values = arguments()
    x = mnp.array(values.pop("x"))
    params = ours(values)
    with walks(f) as count:
        for k in range(6):
            loss, slopes = step(params, x)
            np.testing.assert_allclose(float(loss), expected(x.asnumpy(), **{k: v.asnumpy() for k, v in params.items()}).sum(), rtol=1e-12)
            params = {k: v - 0.1 * slopes[k] for k, v in params.items()}
            if k == 2:
                seen = count[0]
        assert seen <= count[0] <= 2
        wider = ours(arguments(rows=7))
        for _ in range(3):
            np.testing.assert_allclose(f(**wider).asnumpy(), expected(**arguments(rows=7)), rtol=1e-12)
        assert count[0] <= 4


def test_several_calls_in_one_step() -> None:
    f = small()
    with walks(f) as count:
        for k in range(4):
            first, second = arguments(k), arguments(k + 10)
            one, two = ours(first), ours(second)
            a, b, again = f(**one), f(**two), f(**one)
            np.testing.assert_allclose(a.asnumpy(), expected(**first), rtol=1e-12)
            np.testing.assert_allclose(b.asnumpy(), expected(**second), rtol=1e-12)
            np.testing.assert_array_equal(again.asnumpy(), a.asnumpy())
        assert count[0] == 3


def test_arguments_that_are_one_array() -> None:
    f = Function(sym.broadcast_mul(sym.Variable("x"), sym.Variable("y")) + 1.0)
    for k in range(3):
        x, y = np.arange(3.0) + k, np.arange(3.0) * 2
        ax, ay = mnp.array(x), mnp.array(y)
        np.testing.assert_array_equal(f(x=ax, y=ay).asnumpy(), x * y + 1)
        np.testing.assert_array_equal(f(x=ax, y=ax).asnumpy(), x * x + 1)
        np.testing.assert_array_equal(f(x=ay, y=ax).asnumpy(), x * y + 1)


def test_a_variable_that_is_a_result() -> None:
    x, y = sym.Variable("x"), sym.Variable("y")
    f = Function(sym.Group([x * 2, y]))
    for k in range(4):
        a, b = mnp.array([1.0 + k]), mnp.array([10.0 * k])
        c = mnp.array([7.0])
        # all three are values of the segment before the call
        total = a + b + c
        doubled, same = f(x=a, y=b if k % 2 else c)
        assert (float(doubled[0]), float(same[0])) == (2.0 + 2 * k, 10.0 * k if k % 2 else 7.0)
        assert float(total[0]) == 8.0 + 11 * k


def test_changed_in_place_between_calls() -> None:
    f = small()
    values = arguments()
    a = ours(values)
    for k in range(4):
        first = f(**a)
        a["fc_bias"] += 1.0
        a["x"][0] = k
        second = f(**a)
        before = {name: v.copy() for name, v in values.items()}
        values["fc_bias"] = values["fc_bias"] + 1.0
        values["x"] = values["x"].copy()
        values["x"][0] = k
        np.testing.assert_allclose(first.asnumpy(), expected(**before), rtol=1e-12)
        np.testing.assert_allclose(second.asnumpy(), expected(**values), rtol=1e-12)


def test_results_may_be_written_to() -> None:
    f = small()
    values = arguments()
    for _ in range(4):
        first, second = f(**ours(values)), f(**ours(values))
        first[...] = 0
        first += 1
        np.testing.assert_allclose(second.asnumpy(), expected(**values), rtol=1e-12)
        assert (first.asnumpy() == 1).all()


def test_views_as_arguments() -> None:
    f = small()
    values = arguments()
    wide = mnp.array(np.hstack([values["x"], values["x"]]))
    given = ours(values)
    for k in range(4):
        given["x"] = wide[:, 1:4]
        found = f(**given)
        wide[0, 1] = k
        after = f(**given)
        x = np.hstack([values["x"], values["x"]])[:, 1:4]
        if k:
            x[0, 0] = k - 1
        np.testing.assert_allclose(found.asnumpy(), expected(x, values["fc_weight"], values["fc_bias"]), rtol=1e-12)
        x[0, 0] = k
        np.testing.assert_allclose(after.asnumpy(), expected(x, values["fc_weight"], values["fc_bias"]), rtol=1e-12)


def test_branches_and_values_observed_in_between() -> None:
    f = small()
    values = arguments()

    def loss(w: Any, others: dict[str, Any], flip: bool) -> Any:
        y = f(fc_weight=w, **others)
        if flip:
            y = f(fc_weight=w * 2, **others) + y
        if float(mnp.sum(y)) > -1e9:
            y = f(fc_weight=w + 1, **others) * y
        return mnp.sum(y)

    def plain(w: np.ndarray, flip: bool) -> float:
        rest = {k: v for k, v in values.items() if k != "fc_weight"}
        y = expected(fc_weight=w, **rest) + (expected(fc_weight=w * 2, **rest) if flip else 0)
        return float((expected(fc_weight=w + 1, **rest) * y).sum())

    others = ours({k: v for k, v in values.items() if k != "fc_weight"})
    for k in range(6):
        w = values["fc_weight"] + k
        flip = k % 3 == 0
        found, slope = minpy_jit.value_and_grad(loss)(mnp.array(w), others, flip)
        np.testing.assert_allclose(float(found), plain(w, flip), rtol=1e-12)
        wanted = np.zeros_like(w)
        for at in np.ndindex(*w.shape):
            step = np.zeros_like(w)
            step[at] = 1e-6
            wanted[at] = (plain(w + step, flip) - plain(w - step, flip)) / 2e-6
        np.testing.assert_allclose(slope.asnumpy(), wanted, rtol=1e-6, atol=1e-8)


def test_second_derivatives_replayed() -> None:
    f = Function(sym.sin(sym.Variable("x")) * 2.0)
    twice = minpy_jit.grad(minpy_jit.grad(lambda x: mnp.sum(f(x=x))))
    for k in range(4):
        x = np.linspace(0, 1, 5) + k
        np.testing.assert_allclose(twice(mnp.array(x)).asnumpy(), -2 * np.sin(x), rtol=1e-12)


def test_training_and_inference_are_told_apart() -> None:
    f = Function(sym.BatchNorm(sym.Variable("x"), fix_gamma=False, momentum=0.5, name="norm"))
    rng = np.random.default_rng(0)
    x = rng.standard_normal((16, 3))
    given = {"x": mnp.array(x), "norm_gamma": mnp.ones(3), "norm_beta": mnp.zeros(3)}
    mean, variance = np.zeros(3), np.ones(3)
    for _ in range(5):
        f.is_train = True
        np.testing.assert_allclose(f(**given).asnumpy(), (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3), rtol=1e-6, atol=1e-7)
        mean, variance = 0.5 * mean + 0.5 * x.mean(0), 0.5 * variance + 0.5 * x.var(0)
        f.is_train = False
        np.testing.assert_allclose(f(**given).asnumpy(), (x - mean) / np.sqrt(variance + 1e-3), rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(f.params["norm_moving_mean"].asnumpy(), mean, rtol=1e-6, atol=1e-8)


def test_random_draws_are_never_replayed() -> None:
    f = Function(sym.Dropout(sym.Variable("x"), p=0.5))
    x = mnp.ones((64,))
    seen = [tuple((f(x=x) * 1).asnumpy()) for _ in range(5)]
    assert len(set(seen)) == 5
    mnp.random.seed(3)
    first = [f(x=x).asnumpy() for _ in range(3)]
    mnp.random.seed(3)
    for again in first:
        np.testing.assert_array_equal(f(x=x).asnumpy(), again)


def test_the_default_dtype_and_the_context_belong_to_a_place() -> None:
    f = Function(sym.broadcast_add(sym.Variable("x"), sym.ones((2,))))
    for k in range(4):
        with minpy_jit.cpu(k % 2):
            x = mnp.array(np.full(2, float(k), np.float32))
            found = f(x=x)
            assert found.context == minpy_jit.cpu(k % 2)
            np.testing.assert_array_equal(found.asnumpy(), np.full(2, k + 1.0))


@pytest.mark.parametrize("mode", ["eager", "numpy"])
def test_other_modes_in_between(mode: str) -> None:
    f = small()
    values = arguments()
    for _ in range(3):
        np.testing.assert_allclose(f(**ours(values)).asnumpy(), expected(**values), rtol=1e-12)
        with minpy_jit.mode(mode):
            given = ours(values)
            np.testing.assert_allclose(f(**given).asnumpy(), expected(**values), rtol=1e-12)
            slope = minpy_jit.grad(lambda b: mnp.sum(f(x=given["x"], fc_weight=given["fc_weight"], fc_bias=b)))(given["fc_bias"])  # noqa: B023
            wanted = (0.5 * (1 - np.tanh(values["x"] @ values["fc_weight"].T + values["fc_bias"]) ** 2)).sum(0)
            np.testing.assert_allclose(slope.asnumpy(), wanted, rtol=1e-9)


def test_inside_traced_and_pure_functions() -> None:
    f = small()
    values = arguments()
    for pure in (False, True):
        run = minpy_jit.trace(lambda a: f(**a) + f(**a), pure=pure)
        for k in range(4):
            given = {**values, "x": values["x"] + k}
            np.testing.assert_allclose(run(ours(given)).asnumpy(), 2 * expected(**given), rtol=1e-12)


def test_past_the_limit_of_a_segment() -> None:
    f = small()
    values = arguments()
    given = ours(values)
    with minpy_jit.config.override(max_steps=16):
        for _ in range(4):
            total = given["x"][:, :2] * 0
            for _ in range(12):
                total = total + f(**given)
            np.testing.assert_allclose(total.asnumpy(), 12 * expected(**values), rtol=1e-12)


def test_an_error_leaves_nothing_behind() -> None:
    f = small()
    good, bad = arguments(), arguments()
    bad["fc_weight"] = np.ones((2, 5))
    for _ in range(3):
        with pytest.raises(ValueError, match="inputs"):
            f(**ours(bad))
        np.testing.assert_allclose(f(**ours(good)).asnumpy(), expected(**good), rtol=1e-12)


def test_what_is_remembered_keeps_no_function_alive() -> None:
    f = small()
    for _ in range(3):
        f(**ours(arguments())).asnumpy()
    gone = weakref.ref(f)
    del f
    gc.collect()
    assert gone() is None


def test_forgotten_steps_are_recorded_again() -> None:
    f = small()
    values = arguments()
    for _ in range(3):
        np.testing.assert_allclose(f(**ours(values)).asnumpy(), expected(**values), rtol=1e-12)
        current().clear()


def test_operators_in_executors_of_their_own_are_replayed_too() -> None:
    f = Function(sym.gammaln(sym.Variable("x")) * 2.0)
    step = minpy_jit.value_and_grad(lambda x: mnp.sum(f(x=x)))
    with walks(f) as count:
        for k in range(4):
            x = np.array([1.5, 2.5, 3.5], np.float32) + k
            found, slope = step(mnp.array(x))
            wanted = [2 * math.lgamma(v) for v in x]
            np.testing.assert_allclose(float(found), sum(wanted), rtol=1e-5)
            assert slope.shape == (3,) and np.isfinite(slope.asnumpy()).all()
        assert count[0] <= 2


def test_states_that_begin_inside_a_pure_function_go_on() -> None:
    f = Function(sym.BatchNorm(sym.Variable("x"), fix_gamma=False, momentum=0.5, name="norm"))
    data = np.random.default_rng(0).random((6, 2))
    run = minpy_jit.trace(lambda x: f(x=x, norm_gamma=mnp.ones(2), norm_beta=mnp.zeros(2)), pure=True)
    for k in range(1, 6):
        run(mnp.array(data)).asnumpy()
        np.testing.assert_allclose(f.params["norm_moving_mean"].asnumpy(), data.mean(0) * (1 - 0.5**k), rtol=1e-6)
