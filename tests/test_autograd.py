"""Gradients through everything that Python and NumPy allow; checked against finite differences and known values."""

from __future__ import annotations

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit import check_grads, checkpoint, config, custom_vjp, grad, hessian, hvp, jacobian, jvp, stop_gradient, value_and_grad, vjp
from minpy_jit.errors import NoGradientError

RNG = numpy.random.default_rng(0)


@pytest.fixture(autouse=True)
def clean() -> None:
    minpy_jit.flush()
    minpy_jit.reset_stats()


# -- the predecessor's wrong answers ---------------------------------------------------------------------------------------------------
def test_native_branches_on_arrays() -> None:
    def foo(x):  # type: ignore[no-untyped-def]
        return x if x >= 0 else 2 * x

    assert float(grad(foo)(3)) == 1.0
    assert float(grad(foo)(-1)) == 2.0
    assert grad(foo)(np.array([-1.0])).tolist() == [2.0]


def test_second_derivative_is_not_zero() -> None:
    assert float(grad(grad(lambda x: x**3))(2.0)) == pytest.approx(12.0)
    assert float(grad(grad(grad(lambda x: x**3)))(2.0)) == pytest.approx(6.0)


def test_gradient_through_assignment() -> None:
    def f(x):  # type: ignore[no-untyped-def]
        y = x * 1
        y[0] = x[1]
        return np.sum(y * y)

    assert grad(f)(np.array([1.0, 2.0, 3.0])).tolist() == [0, 8, 6]
    assert grad(f)(np.array([1, 2, 3])).tolist() == [0, 8, 6]


def test_gradient_through_stack_and_concatenate() -> None:
    x = np.array([1.0, 2.0])
    assert grad(lambda x: np.sum(np.stack([x, 2 * x]) ** 2))(x).tolist() == [10, 20]
    assert grad(lambda x: np.sum(np.concatenate((x, x * x))))(x).tolist() == [3, 5]
    assert grad(lambda x: np.sum(np.array([x[0] * x[1], x[1]]) ** 2))(x).tolist() == [2 * 2 * 2, 2 * 2 * 1 + 2 * 2]


# -- structure -------------------------------------------------------------------------------------------------------------------------
def test_containers_keywords_aux_and_argnums() -> None:
    def f(p, x, *, k=1.0):  # type: ignore[no-untyped-def]
        return np.sum(p["w"] * x * k + p["b"][0]), {"x": x}

    p = {"w": np.array([1.0, 2.0]), "b": [np.array(3.0), "name"]}
    (value, aux), g = value_and_grad(f, has_aux=True)(p, np.array([3.0, 4.0]), k=2.0)
    assert float(value) == 2 * 11 + 6
    assert aux["x"].tolist() == [3, 4]
    assert g["w"].tolist() == [6, 8]
    assert float(g["b"][0]) == 2.0
    assert g["b"][1] is None
    ga, gb = grad(lambda a, b: np.sum(a * b), argnum=(0, 1))(np.array([1.0]), np.array([5.0]))
    assert (ga.tolist(), gb.tolist()) == ([5], [1])


def test_an_unused_argument_has_zero_gradient_of_its_shape() -> None:
    g = grad(lambda x, y: np.sum(y), argnum=0)(np.ones((2, 3), dtype="float32"), np.ones(2))
    assert g.shape == (2, 3)
    assert g.dtype == numpy.float32
    assert not g.asnumpy().any()


def test_closures_are_constants_even_if_they_are_the_argument() -> None:
    y = np.array([2.0])
    assert grad(lambda x: np.sum(x * y))(y).tolist() == [2]
    z = y * 3
    assert grad(lambda x: np.sum(x * z))(z).tolist() == [6]

    def printing(x):  # type: ignore[no-untyped-def]
        str(x)
        return np.sum(x * y)

    assert grad(printing)(y).tolist() == [2]


def test_what_the_function_writes_to_its_argument_stays_inside() -> None:
    x = np.array([1.0, 2.0])

    def f(a):  # type: ignore[no-untyped-def]
        a *= 3
        return np.sum(a * a)

    assert grad(f)(x).tolist() == [18, 36]
    assert x.tolist() == [1, 2]


def test_non_scalar_values_are_summed_and_dtypes_kept() -> None:
    g = grad(lambda x: x * x)(np.array([1.0, 2.0], dtype="float32"))
    assert g.tolist() == [2, 4]
    assert g.dtype == numpy.float32


def test_complex_and_strings_are_refused_with_the_argument() -> None:
    with pytest.raises(TypeError, match=r"\[grad\].*3 positional|argnum"):
        grad(lambda x: x, argnum=3)(1.0)


# -- flushes in the middle, control flow ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["lazy", "eager", "numpy"])
def test_prints_branches_and_loops_inside(mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    def f(x):  # type: ignore[no-untyped-def]
        y = np.tanh(x)
        print(y[0])
        while float(np.sum(y)) < 10:
            y = y * 2
        z = y[1:] * x[:-1]
        print(float(np.sum(z)))
        return np.sum(z * z)

    x = numpy.array([0.5, 0.7, 0.9])
    with minpy_jit.mode(mode):
        for _ in range(3):
            check_grads(f, order=2)(x)
    assert capsys.readouterr().out


def test_nested_gradients_with_flushes() -> None:
    def inner(x):  # type: ignore[no-untyped-def]
        y = x * x
        float(np.sum(y))
        return np.sum(y * x)

    def outer(x):  # type: ignore[no-untyped-def]
        g = grad(inner)(x)
        str(g)
        return np.sum(g * g)

    # d/dx sum((3x^2)^2) = 36 x^3
    assert grad(outer)(np.array([1.0, 2.0])).tolist() == [36, 288]


def test_views_and_in_place_writes() -> None:
    def f(x):  # type: ignore[no-untyped-def]
        y = np.zeros((3, 3)) + 1
        row = y[1]
        row *= x
        y[:, 0] += x * x
        y.T[2, 1] = x[0] * x[1]
        return np.sum(y * y * np.arange(9.0).reshape(3, 3))

    check_grads(f)(RNG.standard_normal(3))


def test_masks_and_integer_indices() -> None:
    def f(x):  # type: ignore[no-untyped-def]
        y = x[x > 0]
        z = x[np.array([0, 2, 2])]
        w = x * 1
        w[x < 0] = 0.5
        return np.sum(y**3) + np.sum(z * z) + np.sum(w * w)

    check_grads(f)(numpy.array([1.0, -2.0, 3.0]))


def test_fallbacks_have_the_gradient_of_hips() -> None:
    def f(x):  # type: ignore[no-untyped-def]
        return np.sum(np.linalg.eigh(x @ x.T + np.eye(3))[0] ** 2) + np.sum(np.kron(x, x))

    check_grads(f, order=1)(RNG.standard_normal((3, 3)))


def test_a_missing_rule_names_op_and_line() -> None:
    with pytest.raises(NoGradientError, match=r"nanpercentile.*test_autograd.py"):
        grad(lambda x: np.nanpercentile(x, 30.0))(np.arange(5.0))


def test_softmax_regression_against_finite_differences() -> None:
    x, y = RNG.standard_normal((6, 4)), RNG.integers(0, 3, 6)

    def loss(w, b):  # type: ignore[no-untyped-def]
        z = np.array(x) @ w + b
        z = z - np.max(z, axis=1, keepdims=True)
        return -np.mean(z[np.arange(6), y] - np.log(np.sum(np.exp(z), axis=1)))

    check_grads(loss)(RNG.standard_normal((4, 3)), RNG.standard_normal(3))


# -- the other transforms -------------------------------------------------------------------------------------------------------------
def test_vjp_jvp_jacobian_hessian_hvp() -> None:
    x = np.array([1.0, 2.0])

    def f(x):  # type: ignore[no-untyped-def]
        return x**3

    value, pullback = vjp(f, x)
    assert value.tolist() == [1, 8]
    assert pullback(np.array([1.0, 10.0]))[0].tolist() == [3, 120]
    assert pullback(np.array([1.0, 0.0]))[0].tolist() == [3, 0]
    value, tangent = jvp(f, (x,), (np.array([1.0, 1.0]),))
    assert tangent.tolist() == [3, 12]
    assert jacobian(f)(x).tolist() == [[3, 0], [0, 12]]
    assert hessian(lambda x: np.sum(x**3))(x).tolist() == [[6, 0], [0, 12]]
    assert hvp(lambda x: np.sum(x**3))(x, np.array([1.0, 1.0])).tolist() == [6, 12]
    assert minpy_jit.elementwise_grad(np.sin)(x).tolist() == pytest.approx(numpy.cos([1.0, 2.0]).tolist())
    g, loss = minpy_jit.grad_and_loss(lambda x: np.sum(x))(x)
    assert (g.tolist(), float(loss)) == ([1, 1], 3.0)


def test_stop_gradient_and_custom_rules() -> None:
    x = np.array([1.0, 2.0])
    assert grad(lambda x: np.sum(stop_gradient(x * x) * x))(x).tolist() == [1, 4]

    @custom_vjp
    def twice(x):  # type: ignore[no-untyped-def]
        return 2 * x

    twice.defvjp(lambda x: (2 * x, x), lambda x, g: (10 * g * x,))
    assert twice(x).tolist() == [2, 4]
    assert grad(lambda x: np.sum(twice(x * x)))(x).tolist() == [10 * 1 * 2, 10 * 4 * 4]
    assert grad(lambda x: np.sum(grad(lambda y: np.sum(twice(y)))(x)))(x).tolist() == [10, 10]


def test_checkpoint_gives_the_same_gradient() -> None:
    def block(x):  # type: ignore[no-untyped-def]
        return np.tanh(x @ x)

    def f(x):  # type: ignore[no-untyped-def]
        return np.sum(block(block(x)))

    def g(x):  # type: ignore[no-untyped-def]
        c = checkpoint(block)
        y = c(c(x))
        float(np.sum(y))
        return np.sum(y)

    x = np.array(RNG.standard_normal((3, 3)))
    assert numpy.allclose(grad(f)(x).asnumpy(), grad(g)(x).asnumpy(), rtol=1e-12)


def test_check_grads_rejects_a_wrong_gradient() -> None:
    @custom_vjp
    def wrong(x):  # type: ignore[no-untyped-def]
        return x * x

    wrong.defvjp(lambda x: (x * x, x), lambda x, g: (g * x,))
    with pytest.raises(AssertionError, match=r"analytic .* numeric"):
        check_grads(lambda x: np.sum(wrong(x)), order=1)(numpy.array([1.0, 2.0]))


# -- compositions ----------------------------------------------------------------------------------------------------------------------
def test_trace_and_grad_compose() -> None:
    def f(x):  # type: ignore[no-untyped-def]
        return np.sum(np.sin(x) * x)

    x = np.array([0.3, 0.7])
    expected = (numpy.cos([0.3, 0.7]) * [0.3, 0.7] + numpy.sin([0.3, 0.7])).tolist()
    for g in (grad(f), minpy_jit.trace(grad(f)), grad(minpy_jit.trace(f)), minpy_jit.trace(pure=True)(grad(f))):
        for _ in range(3):
            assert g(x).tolist() == pytest.approx(expected, rel=1e-12)


def training_step(traced: bool):  # type: ignore[no-untyped-def]
    def loss(p, x, y):  # type: ignore[no-untyped-def]
        h = np.maximum(x @ p["W1"] + p["b1"], 0)
        z = h @ p["W2"] + p["b2"]
        z = z - np.max(z, axis=1, keepdims=True)
        return -np.mean(z[np.arange(len(y)), y] - np.log(np.sum(np.exp(z), axis=1)))

    def step(p, x, y, rate):  # type: ignore[no-untyped-def]
        value, g = value_and_grad(loss)(p, x, y)
        for k in p:
            p[k] -= rate * g[k]
        return value

    return minpy_jit.trace(step) if traced else step


@pytest.mark.parametrize("traced", [False, True])
def test_a_training_step_is_one_flush_one_executor_run(traced: bool) -> None:
    data = np.array(RNG.standard_normal((256, 16)), dtype="float32")
    labels = np.array(RNG.integers(0, 4, 256))
    p = {
        "W1": np.array(RNG.standard_normal((16, 8)) * 0.3, dtype="float32"),
        "b1": np.zeros(8, dtype="float32"),
        "W2": np.array(RNG.standard_normal((8, 4)) * 0.3, dtype="float32"),
        "b2": np.zeros(4, dtype="float32"),
    }
    step = training_step(traced)
    minpy_jit.flush()
    losses = []
    for i in range(30):
        before = minpy_jit.stats()
        k = i % 8
        losses.append(float(step(p, data[k * 32 : (k + 1) * 32], labels[k * 32 : (k + 1) * 32], 0.5 / (1 + i))))
        after = minpy_jit.stats()
        assert after["flushes"] - before["flushes"] == 1
        assert after["fallbacks"] == 0
        if i >= 1:
            assert after["executor_runs"] - before["executor_runs"] == 1
            assert after["host_steps"] == before["host_steps"]
        if i >= 2:
            assert after["compiles"] == before["compiles"]
            assert after["recorded"] == before["recorded"]
    assert losses[-1] < losses[0]
    assert minpy_jit.flush_log()[-1].executor == "mxnet"


@pytest.mark.parametrize("max_steps", [10, 24, 45])
@pytest.mark.parametrize("turns", [3, 12])
def test_a_pullback_may_be_cut_while_it_adds(max_steps: int, turns: int) -> None:
    values = {name: np.array(RNG.standard_normal(shape)) for name, shape in (("u", (2, 4)), ("v", (2, 4)), ("b", (4,)))}

    def f(p):  # type: ignore[no-untyped-def]
        first = second = np.ones((3, 2)) * 0.1
        for _ in range(turns):
            gates = first @ p["u"] + second @ p["v"] + p["b"]
            first = np.tanh(gates[:, :2] * second)
            gates = second @ p["u"] + first @ p["v"] + p["b"]
            second = np.sin(gates[:, 2:] + first)
        return np.sum(second)

    expected = grad(f)(values)
    with config.override(max_steps=max_steps):
        for _ in range(2):
            found = grad(f)(values)
            for name, g in expected.items():
                numpy.testing.assert_allclose(found[name].asnumpy(), g.asnumpy(), rtol=1e-9)


def test_a_value_kept_from_gradients_is_told_from_the_value_itself_across_a_flush():
    def f(x):
        y = x + 1.0
        # NumPy runs it: all is computed here, and both names have the same memory
        return np.sum(np.unwrap(stop_gradient(y)) * y)

    x = numpy.array([0.5, 0.2, 3.0])
    for _ in range(2):
        numpy.testing.assert_allclose(grad(f)(np.array(x)).asnumpy(), x + 1.0)
