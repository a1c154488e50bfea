"""Operations of the user's own: MinPy's `customop` and HIPS autograd's `primitive`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit import Primitive, customop, defvjp, grad, primitive
from minpy_jit.trace.op import TABLE


def softmax_loss(kind: str = "numpy", **given: Any) -> Primitive:
    """MinPy's own example of an operation: softmax and its loss, with the gradient written out."""

    @customop(kind, **given)
    def loss(x: Any, y: Any) -> Any:
        probabilities = numpy.exp(x - numpy.max(x, axis=1, keepdims=True))
        probabilities /= numpy.sum(probabilities, axis=1, keepdims=True)
        return -numpy.sum(numpy.log(probabilities[numpy.arange(len(x)), y])) / len(x)

    def rule(ans: Any, x: Any, y: Any) -> Callable[[Any], Any]:
        def pull(g: Any) -> Any:
            p = np.exp(x - np.max(x, axis=1, keepdims=True))
            p = p / np.sum(p, axis=1, keepdims=True)
            return g * (p - (np.arange(p.shape[1]) == y[:, None])) / len(x)

        return pull

    loss.def_grad(rule)
    loss.def_grad_zero(1)
    return loss


INFER = {"infer": lambda x, y: ((), x.dtype)}


@pytest.mark.parametrize("given", [{}, INFER], ids=["at the call", "recorded"])
def test_softmax_loss(given: dict[str, Any]) -> None:
    loss = softmax_loss(**given)
    x, y = numpy.random.default_rng(0).standard_normal((4, 3)), numpy.array([0, 2, 1, 1])

    def plain(x: Any, y: Any) -> Any:
        return np.mean(np.log(np.sum(np.exp(x), axis=1)) - x[np.arange(4), y])

    assert float(loss(x, y)) == pytest.approx(float(plain(np.array(x), y)))
    for f, g in ((loss, plain), (lambda x, y: np.tanh(loss(x * 2, y)), lambda x, y: np.tanh(plain(x * 2, y)))):
        numpy.testing.assert_allclose(grad(f)(x, y).asnumpy(), grad(g)(x, y).asnumpy(), rtol=1e-10)
    # its rule is made of operations, so it is differentiated too
    minpy_jit.check_grads(lambda x: loss(x, y), order=2)(x)


def test_recorded_operations_are_entries_of_the_table() -> None:
    loss = softmax_loss(**INFER)
    assert loss.op is not None and TABLE[loss.op.name] is loss.op
    x, y = np.array(numpy.ones((4, 3))), np.array([0, 2, 1, 1])
    minpy_jit.reset_stats()
    value = loss(x * 2, y)
    assert minpy_jit.stats()["flushes"] == 0 and value.shape == () and value.dtype == numpy.float64
    assert "loss" in minpy_jit.why(value)
    assert float(value) == pytest.approx(numpy.log(3))
    traced = minpy_jit.trace(lambda x: loss(np.sin(x), y) * 2, pure=True)
    assert float(traced(x)) == float(traced(x)) == pytest.approx(2 * numpy.log(3))
    assert traced.stats()["replays"] == 1
    step = minpy_jit.grad(lambda x: loss(np.sin(x), y))
    for _ in range(3):
        minpy_jit.reset_stats()
        step(x).asnumpy()
    assert minpy_jit.stats()["recorded"] == 0 and minpy_jit.stats()["flushes"] == 1


def test_called_where_it_stands() -> None:
    calls: list[float] = []

    @customop("numpy")
    def seen(x: numpy.ndarray) -> numpy.ndarray:
        assert type(x) is numpy.ndarray
        calls.append(float(x[0]))
        return x + len(calls)

    x = np.zeros(2)
    first, second = seen(x), seen(x)
    assert calls == [0.0, 0.0] and first.asnumpy().tolist() == [1.0, 1.0] and second.asnumpy().tolist() == [2.0, 2.0]


def test_on_ndarrays() -> None:
    from minpy_jit.interop import mxnet

    nd = mxnet().nd

    @customop("mxnet")
    def activated(x: Any, slope: float = 0.5) -> Any:
        assert isinstance(x, nd.NDArray)
        return nd.LeakyReLU(x, act_type="leaky", slope=slope)

    activated.def_grad(lambda ans, x, slope=0.5: lambda g: np.where(x > 0, g, g * slope))
    x = np.array([-2.0, 3.0], dtype="float32")
    assert activated.typestr == "MXNet"
    assert activated(x).asnumpy().tolist() == [-1.0, 3.0] and activated(x).dtype == numpy.float32
    assert grad(lambda x: np.sum(activated(x, slope=0.25) ** 2))(x).asnumpy().tolist() == [-0.25, 6.0]


def test_rules_by_keyword_and_for_several() -> None:
    @customop("numpy")
    def scaled(x: Any, y: Any, z: Any = 1.0) -> Any:
        return x * y * z

    scaled.def_multiple_grad(lambda ans, x, y, z=1.0: lambda g: (g * y * z, g * x * z), (0, 1))
    scaled.def_grad_kw(lambda ans, x, y, z=1.0: lambda g: g * x * y, "z")
    assert scaled.gradable([0, 1], ["z"]) and not scaled.gradable([2])
    found = grad(lambda x, y, z: np.sum(scaled(x, y, z=z)), (0, 1, 2))(np.array([2.0]), np.array([3.0]), np.array([5.0]))
    assert [f.asnumpy().tolist() for f in found] == [[15.0], [10.0], [6.0]]


def test_gradient_injection() -> None:
    """MinPy's example: an identity that scales what comes from above."""

    @customop("numpy")
    def injected(x: Any) -> Any:
        return x

    injected.def_grad(lambda ans, x: lambda g: 10 * g)
    x = np.array([1.0, 2.0])
    assert grad(lambda x: np.sum(injected(x) ** 2))(x).asnumpy().tolist() == [20.0, 40.0]
    y = injected(x)
    y += 1
    assert x.asnumpy().tolist() == [1.0, 2.0]


def test_as_in_autograd() -> None:
    @primitive
    def logsumexp(x: Any) -> Any:
        top = numpy.max(x)
        return top + numpy.log(numpy.sum(numpy.exp(x - top)))

    defvjp(logsumexp, lambda ans, x: lambda g: g * np.exp(x - ans))
    minpy_jit.check_grads(logsumexp, order=2)(numpy.array([1.5, -3.0, 2.0]))


def test_several_results() -> None:
    for given in ({}, {"infer": lambda x: ((x.shape, x.dtype), (x.shape, x.dtype)), "outputs": 2}):

        @customop("numpy", **given)  # type: ignore[arg-type]
        def both(x: Any) -> Any:
            return numpy.sin(x), numpy.cos(x)

        both.def_grad(lambda ans, x: lambda g: g[0] * ans[1] - g[1] * ans[0])
        minpy_jit.check_grads(lambda x: both(x)[0] * 2 + both(x)[1] ** 2, order=2)(numpy.array([0.3, 1.2]))


def test_inside_a_branch_and_a_loop() -> None:
    @customop("numpy")
    def twice(x: Any) -> Any:
        return 2 * x

    twice.def_grad(lambda ans, x: lambda g: 2 * g)

    def f(x: Any) -> Any:
        for _ in range(3):
            x = twice(x) if float(np.sum(x)) < 10 else x * x
        return np.sum(x)

    # 3 -> 6 -> 12 -> 144
    assert float(grad(f)(np.array([3.0]))[0]) == 2 * 2 * 24


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"\[customop\] 'torch' is no kind of function; legal values: 'numpy', 'mxnet'"):
        customop("torch")

    @customop("numpy")
    def plain(x: Any, y: Any) -> Any:
        return x * y

    assert grad(plain, 0) is not None and float(plain(2.0, 3.0)) == 6.0
    plain.def_grad(lambda ans, x, y: lambda g: g * y)
    assert float(grad(plain)(2.0, 3.0)) == 3.0
    with pytest.raises(
        minpy_jit.errors.NoGradientError, match=r"\[plain\] has no gradient for argument 1 \(called at .*test_customop.py:\d+\)"
    ):
        grad(plain, 1)(2.0, 3.0)

    @customop("numpy", infer=lambda x: ((3,), x.dtype))
    def wrong(x: Any) -> Any:
        return x

    with pytest.raises(ValueError, match=r"\[wrong\] returned shape\(s\) \[\(2,\)\], but its infer= said \[\(3,\)\]"):
        wrong(np.ones(2)).asnumpy()
    with pytest.raises(TypeError, match=r"\[<lambda>\] with infer= arguments that are no arrays must be hashable"):
        Primitive(lambda x, k: x, infer=lambda x, k: (x.shape, x.dtype))(np.ones(2), {1})


def test_a_rule_must_fit() -> None:
    @customop("numpy")
    def bad(x: Any) -> Any:
        return x * 2

    bad.def_grad(lambda ans, x: lambda g: g[:1])
    with pytest.raises(ValueError, match=r"\[bad\] the value has shape \(2,\), its cotangent \(1,\)"):
        grad(lambda x: np.sum(bad(x)))(np.ones(2))
