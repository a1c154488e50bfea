"""The programs that the predecessor's documents promised, with only imports and Python 3 syntax changed; and its known wrong answers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit import context
from minpy_jit.context import cpu
from minpy_jit.core import convert_args, grad, grad_and_loss, minpy_to_numpy, numpy_to_minpy, return_numpy
from minpy_jit.nn import layers
from minpy_jit.numpy import random


# -- the programs -------------------------------------------------------------------------------------------------------------------------
def test_gradient_through_a_native_branch(capsys: pytest.CaptureFixture[str]) -> None:
    def foo(x: Any) -> Any:
        if x >= 0:
            return x
        else:
            return 2 * x

    foo_grad = grad(foo)
    print(foo_grad(3))  # must print 1.0
    print(foo_grad(-1))  # must print 2.0
    assert capsys.readouterr().out == "1.0\n2.0\n"


def test_an_operator_that_mxnet_lacks() -> None:
    x = np.zeros((2, 3))
    y = np.ones((2, 3))
    z = np.logaddexp(x, y)
    assert isinstance(z, np.ndarray)
    assert z.dtype == numpy.float64
    numpy.testing.assert_allclose(z.asnumpy(), numpy.logaddexp(numpy.zeros((2, 3)), numpy.ones((2, 3))))


SYMBOL = """import minpy_jit.numpy as np
import mxnet as mx
from minpy_jit.core import Function
net = mx.sym.Variable('x')
net = mx.sym.Convolution(net, name='conv', kernel=(3, 3), num_filter=32, no_bias=True)
try:
    conv = Function(net, input_shapes={'x', (8, 3, 10, 10)})
except TypeError as error:
    print(str(error).partition(';')[0])
conv = Function(net, input_shapes={'x': (8, 3, 10, 10)})
x = np.zeros((8, 3, 10, 10))
w = np.ones((32, 3, 3, 3))
y = np.exp(conv(x=x, conv_weight=w))
print(y.shape, y.dtype, float(y.min()), float(y.max()))
import numpy
print('bool' in vars(numpy), mx.nd.ones(2).asnumpy(), np.exp(np.zeros(2)))
"""


def test_a_symbol_among_imperative_calls(tmp_path: Path) -> None:
    """In a process of its own: mxnet 1.9.1 can be imported after us, though by itself it fails on this NumPy."""
    (tmp_path / "program.py").write_text(SYMBOL)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    command = [sys.executable, "-W", "error", str(tmp_path / "program.py")]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [
        "[Function] input_shapes must be a dict such as {'x': (8, 3, 10, 10)}",
        "(8, 32, 8, 8) float64 1.0 1.0",
        "False [1. 1.] [1. 1.]",
    ]


def test_the_articles_computation_is_one_mxnet_graph() -> None:
    import mxnet as mx

    def imperatively() -> Any:
        a = np.ones(10)
        b = np.ones(10) * 2
        c = b * a
        d = c + 1
        return d

    a, b = mx.sym.Variable("a"), mx.sym.Variable("b")
    d = b * a + 1
    executor = d.bind(mx.cpu(), {"a": mx.nd.ones(10), "b": mx.nd.ones(10) * 2})
    symbolically = executor.forward()[0].asnumpy()
    for _ in range(3):
        numpy.testing.assert_array_equal(imperatively().asnumpy(), symbolically)
    # first met, then compiled, then found compiled; it has no input, so all of it is known beforehand or one MXNet graph
    log = minpy_jit.flush_log()[-1]
    assert log.host_steps == 0 and not log.compiled
    x, y = np.array(numpy.ones(10)), np.array(numpy.full(10, 2.0))
    for _ in range(3):
        numpy.testing.assert_array_equal((y * x + 1).asnumpy(), symbolically)
    log = minpy_jit.flush_log()[-1]
    assert (log.executor, log.nodes, log.host_steps, log.compiled) == ("mxnet", 2, 0, False)


def test_the_timing_of_dots_shows_how_many_really_ran() -> None:
    n, size = 10, 64
    with cpu():
        x_cpu = random.rand(size, size) - 0.5
        y_cpu = random.rand(size, size) - 0.5
        for _ in range(n):
            z_cpu = np.dot(x_cpu, y_cpu)
        z_cpu.asnumpy()
    assert z_cpu.context == cpu()
    log = minpy_jit.flush_log()[-1]
    # overwritten results are dead: two subtractions and one dot of ten ran
    assert log.nodes + log.host_steps < 10, log
    kept = [np.dot(x_cpu, y_cpu) for _ in range(n)]
    minpy_jit.wait(*kept)
    assert all(numpy.array_equal(k.asnumpy(), z_cpu.asnumpy()) for k in kept)


def test_a_plain_image_times_our_vector() -> None:
    face = numpy.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=numpy.uint8)
    face_minpy = np.array(face)
    gray = np.dot(face, np.array([0.299, 0.587, 0.114]))
    gray2 = np.dot(face_minpy, np.array([0.299, 0.587, 0.114]))
    expected = numpy.dot(face, numpy.array([0.299, 0.587, 0.114]))
    for found in (gray, gray2):
        assert isinstance(found, np.ndarray)
        assert (found.dtype, found.shape, found.context) == (expected.dtype, expected.shape, cpu())
        numpy.testing.assert_allclose(found.asnumpy(), expected, rtol=1e-12)
    assert face_minpy.dtype == numpy.uint8


def test_setting_a_context_that_is_not_there() -> None:
    if minpy_jit.num_gpus():
        pytest.skip("this machine's MXNet has a GPU")
    with pytest.raises(ValueError, match="gpu"):
        context.set_context(context.gpu(0))
    context.set_context(context.cpu(0))
    assert np.ones(2).context == cpu(0)


def test_a_two_layer_net_on_a_context() -> None:
    batch_size, flattened_input_size, hidden_size, num_classes = 4, 12, 5, 3

    class TwoLayerNet(minpy_jit.nn.model.ModelBase):
        def __init__(self):  # type: ignore[no-untyped-def]
            super(TwoLayerNet, self).__init__()  # noqa: UP008 - as it was written
            self.add_param(name="w1", shape=(flattened_input_size, hidden_size)).add_param(name="b1", shape=(hidden_size,)).add_param(
                name="w2", shape=(hidden_size, num_classes)
            ).add_param(name="b2", shape=(num_classes,))

        def forward(self, X, mode):  # type: ignore[no-untyped-def]
            X = np.reshape(X, (batch_size, flattened_input_size))
            y1 = layers.affine(X, self.params["w1"], self.params["b1"])
            y2 = layers.relu(y1)
            y3 = layers.affine(y2, self.params["w2"], self.params["b2"])
            return y3

        def loss(self, predict, y):  # type: ignore[no-untyped-def]
            return layers.softmax_loss(predict, y)

    numpy.random.seed(0)
    labels = numpy.arange(16) % num_classes
    images = numpy.eye(num_classes, flattened_input_size)[labels].reshape(16, 3, 2, 2)
    there = context.cpu(1)
    before = context.current_context()
    context.set_context(there)
    try:
        solver = minpy_jit.nn.solver.Solver(
            TwoLayerNet(),
            minpy_jit.nn.io.NDArrayIter(images, labels, batch_size=batch_size),
            minpy_jit.nn.io.NDArrayIter(images, labels, batch_size=batch_size),
            init_rule="gaussian",
            init_config={"stdvar": 0.5},
            optim_config={"learning_rate": 0.5},
            num_epochs=20,
            verbose=False,
        )
        solver.init()
        solver.train()
    finally:
        context.set_context(before)
    assert solver.val_acc_history[-1] == 1
    assert {p.context for p in solver.model.params.values()} == {there}


# -- minpy.core ---------------------------------------------------------------------------------------------------------------------------
def test_grad_and_loss_returns_the_gradient_first() -> None:
    gradient, loss = grad_and_loss(lambda x: np.sum(x * x))(np.array([1.0, 2.0]))
    assert (gradient.tolist(), float(loss)) == ([2.0, 4.0], 5.0)


def test_converters() -> None:
    data = {"x": [numpy.ones(2), 3, "text"], "y": (numpy.float32(2),)}
    ours = numpy_to_minpy(data)
    assert isinstance(ours["x"][0], np.ndarray) and ours["x"][1:] == [3, "text"]
    assert type(ours["x"][0]) is not numpy.ndarray
    back = minpy_to_numpy(ours)
    assert type(back["x"][0]) is numpy.ndarray and type(back["y"][0]) is numpy.float32

    @return_numpy
    @convert_args
    def double(x: Any, *, by: Any = 2) -> Any:
        assert type(x) is not numpy.ndarray
        return {"doubled": x * by}

    found = double(numpy.arange(3.0), by=numpy.array(2.0))
    assert type(found["doubled"]) is numpy.ndarray and found["doubled"].tolist() == [0.0, 2.0, 4.0]
    assert double.__name__ == "double"


# -- known wrong answers ------------------------------------------------------------------------------------------------------------------
def test_the_truth_of_an_array_is_its_values() -> None:
    v = np.array([1.0, 2.0, 3.0])
    assert not np.sum(v) > 100
    assert not bool(np.zeros(1))
    with pytest.raises(ValueError, match="truth value"):
        bool(np.zeros(2))


def test_a_branch_on_an_array_takes_the_right_side() -> None:
    assert grad(lambda x: x if x >= 0 else 2 * x)(np.array([-1.0])).tolist() == [2.0]


def test_the_second_derivative_is_not_zero() -> None:
    assert float(grad(grad(lambda x: x**3))(2.0)) == 12.0
    inner = grad(lambda x: np.sum(np.sin(x)))
    found = grad(lambda x: np.sum(inner(x) ** 2))(np.array([0.5]))
    numpy.testing.assert_allclose(found.asnumpy(), [-2 * numpy.cos(0.5) * numpy.sin(0.5)])


def test_a_boolean_mask_selects() -> None:
    v = np.array([1, 2, 3])
    assert v[v > 1].tolist() == [2, 3]


def test_the_gradient_through_an_assignment() -> None:
    def f(x: Any) -> Any:
        y = x * 1
        y[0] = x[1]
        return np.sum(y * y)

    assert grad(f)(np.array([1.0, 2.0, 3.0])).tolist() == [0.0, 8.0, 6.0]


@pytest.mark.parametrize("container", [list, tuple])
def test_the_gradient_through_stack_and_concatenate(container: Any) -> None:
    a, b = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    for join in (np.stack, np.concatenate):
        joined = join(container((a, b)))
        numpy.testing.assert_array_equal(joined.asnumpy(), getattr(numpy, join.__name__)([[1.0, 2.0], [3.0, 4.0]]))
        found = minpy_jit.grad(lambda p, q, join=join: np.sum(join(container((p, q))) ** 2), argnum=(0, 1))(a, b)
        assert [g.tolist() for g in found] == [[2.0, 4.0], [6.0, 8.0]]


def test_integers_and_doubles_stay_what_they_are() -> None:
    whole = np.array([16777217]) + 0
    assert whole.dtype == numpy.int64 and whole.tolist() == [16777217]
    tenth = np.array([0.1]) * 1
    assert tenth.dtype == numpy.float64 and tenth.tolist() == [0.1]
    assert np.zeros(3).dtype == numpy.float64


def test_reductions_give_scalars() -> None:
    v = np.array([1.0, 2.0])
    for value in (np.sum(v), v.max(), np.mean(v), np.dot(v, v)):
        assert value.shape == ()


def test_ordinary_calls_that_failed() -> None:
    assert float(np.exp(0.0)) == 1.0
    assert np.abs(-1) == 1
    assert np.exp([0, 0]).tolist() == [1.0, 1.0]
    assert np.sum(np.array([1, 2]), dtype="float32").dtype == numpy.float32
    out = np.zeros(2)
    assert np.add(np.ones(2), 1, out=out) is out and out.tolist() == [2.0, 2.0]
    assert [p.tolist() for p in np.split(np.arange(4), 2)] == [[0, 1], [2, 3]]
    assert grad(lambda x: np.dot(x, x))(np.array([1.0, 2.0])).tolist() == [2.0, 4.0]


def test_an_argument_that_is_not_reached_has_zeros() -> None:
    first, second = minpy_jit.grad(lambda x, y: np.sum(x), argnum=(0, 1))(np.ones(2), np.ones((2, 3)))
    assert first.tolist() == [1.0, 1.0]
    assert second.shape == (2, 3) and not second.asnumpy().any()
