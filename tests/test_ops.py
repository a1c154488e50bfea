"""`minpy_jit.ops` as its users call it: lists, NumPy arrays and ours, defaults, and what it says about arguments that do not fit."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit import ops
from minpy_jit.interop import mxnet


def ones(*shape: int) -> Any:
    return np.ones(shape)


@pytest.mark.parametrize("convert", [numpy.array, np.array, numpy.ndarray.tolist], ids=["numpy", "ours", "lists"])
def test_arrays_of_every_kind(convert: Callable[[Any], Any]) -> None:
    x = numpy.arange(12.0).reshape(1, 2, 6)
    w = numpy.array([[[1.0, 0.0], [0.0, -1.0]]])
    found = ops.convolution(convert(x), convert(w), convert(numpy.array([100.0])))
    assert isinstance(found, np.ndarray) and type(found) is type(np.zeros(1))
    # channel 0 where the window begins, less channel 1 where it ends
    numpy.testing.assert_array_equal(found.asnumpy(), [[[100 + k - (k + 1 + 6) for k in range(5)]]])


@pytest.mark.parametrize("mode", ["lazy", "eager", "numpy"])
def test_dtypes_meet_as_in_numpy(mode: str) -> None:
    with minpy_jit.mode(mode):
        x, w = numpy.ones((1, 1, 4), "float32"), numpy.ones((1, 1, 2), "float64")
        assert ops.convolution(x, w).dtype == "float64"
        assert ops.convolution(x, w.astype("float32")).dtype == "float32"
        assert ops.convolution(x, w.astype("int32")).dtype == "float64"
        assert ops.pooling(x, 2).dtype == "float32"
        assert ops.relu(numpy.array([-1, 2])).tolist() == [0, 2]
        assert ops.sigmoid(numpy.array([0])).dtype == "float64"


def test_one_number_or_one_for_each_axis() -> None:
    x, w = ones(1, 1, 5, 7), ones(1, 1, 2, 2)
    assert ops.convolution(x, w, stride=2).shape == ops.convolution(x, w, stride=(2, 2)).shape == (1, 1, 2, 3)
    assert ops.convolution(x, w, stride=numpy.int64(2), pad=[1, 0]).shape == (1, 1, 3, 3)
    assert ops.deconvolution(x, w, stride=numpy.array([2, 1])).shape == (1, 1, 10, 8)
    assert ops.pooling(x, numpy.int32(2)).shape == (1, 1, 2, 3)


def test_defaults_of_pooling() -> None:
    x = numpy.arange(20.0).reshape(1, 1, 4, 5)
    assert ops.pooling(x).tolist() == [[[[19.0]]]]
    assert ops.pooling(x, mode="avg").tolist() == [[[[9.5]]]]
    # windows side by side; the last column is not in a whole one
    assert ops.pooling(x, 2).tolist() == [[[[6.0, 8.0], [16.0, 18.0]]]]
    assert ops.pooling(x, 2, full=True).tolist() == [[[[6.0, 8.0, 9.0], [16.0, 18.0, 19.0]]]]
    assert ops.pooling(x, 2, stride=1).shape == (1, 1, 3, 4)


def test_an_average_with_and_without_what_was_added() -> None:
    x = numpy.full((1, 1, 3), 4.0)
    assert ops.pooling(x, 2, mode="avg", stride=2, pad=1).tolist() == [[[2.0, 4.0]]]
    assert ops.pooling(x, 2, mode="avg", stride=2, pad=1, count_pad=False).tolist() == [[[4.0, 4.0]]]


def test_the_largest_of_nan_and_infinity() -> None:
    """As MXNet compares them: from its lowest number upwards."""
    x = numpy.array([[[numpy.nan, 1.0, -numpy.inf, numpy.nan, numpy.inf, numpy.nan]]], "float32")
    lowest = float(numpy.finfo("float32").min)
    for mode in ("lazy", "eager", "numpy"):
        with minpy_jit.mode(mode):
            for _ in range(2):
                assert ops.pooling(x, 2).tolist() == [[[1.0, lowest, numpy.inf]]]


def test_batch_norm_returns_the_running_statistics() -> None:
    x = numpy.array([[1.0, 10.0], [3.0, 30.0]])
    y, mean, var = ops.batch_norm(x, [1.0, 2.0], [0.0, 5.0], [0.0, 0.0], [1.0, 1.0], training=True, momentum=0.5, eps=1e-12)
    numpy.testing.assert_allclose(y.asnumpy(), [[-1, 3], [1, 7]], rtol=1e-9)
    numpy.testing.assert_allclose(mean.asnumpy(), [1, 10])
    numpy.testing.assert_allclose(var.asnumpy(), [1, 50.5])
    y, kept_mean, kept_var = ops.batch_norm(x, [1.0, 2.0], [0.0, 5.0], mean, var, training=False)
    assert kept_mean.tolist() == mean.tolist() and kept_var.tolist() == var.tolist()
    numpy.testing.assert_allclose(y.asnumpy(), (x - [1, 10]) / numpy.sqrt([1.001, 50.501]) * [1, 2] + [0, 5])


def test_softmax_does_not_overflow() -> None:
    assert ops.softmax([[1e4, 1e4], [-1e4, 0.0]], axis=1).tolist() == [[0.5, 0.5], [0.0, 1.0]]
    assert ops.softmax([[1e4], [1e4]], axis=0).tolist() == [[0.5], [0.5]]


def vectors(n: int) -> list[Any]:
    return [ones(n) for _ in range(4)]


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "channels": (
        lambda: ops.convolution(ones(1, 2, 3), ones(4, 3, 1)),
        ValueError,
        "[convolution] w of shape (4, 3, 1) in 1 group(s) takes 3 channels and has 4 filters to divide; x has 2 channels",
    ),
    "filters of groups": (lambda: ops.convolution(ones(1, 4, 3), ones(3, 2, 1), groups=2), ValueError, "has 3 filters to divide"),
    "axes": (lambda: ops.convolution(ones(2, 3), ones(2, 3)), ValueError, "two axes and 1 to 3 spatial ones; got shapes (2, 3) and (2, 3)"),
    "a large kernel": (
        lambda: ops.convolution(ones(1, 1, 3), ones(1, 1, 2), dilate=3),
        ValueError,
        "the kernel reaches over (4,), more than",
    ),
    "stride for another number of axes": (
        lambda: ops.convolution(ones(1, 1, 3), ones(1, 1, 2), stride=(1, 2)),
        ValueError,
        "[convolution] stride = (1, 2) must have one number for each of 1 spatial axes",
    ),
    "stride of 0": (lambda: ops.convolution(ones(1, 1, 3), ones(1, 1, 2), stride=0), ValueError, "stride must be at least 1; got (0,)"),
    "a fraction": (
        lambda: ops.convolution(ones(1, 1, 3), ones(1, 1, 2), stride=1.5),
        TypeError,
        "[convolution] stride must be an integer, or one for each spatial axis; got 1.5",
    ),
    "fractions": (
        lambda: ops.pooling(ones(1, 1, 3), (1.5,)),
        TypeError,
        "[max_pooling] kernel must be an integer, or one for each spatial axis",
    ),
    "integers": (
        lambda: ops.convolution([[[1, 2]]], [[[1]]]),
        TypeError,
        "[convolution] takes float arrays; got int64[1,1,2], int64[1,1,1]",
    ),
    "bias": (
        lambda: ops.convolution(ones(1, 1, 3), ones(2, 1, 2), ones(3)),
        ValueError,
        "the bias has shape (3,); one number for each of 2",
    ),
    "an empty kernel": (lambda: ops.convolution(ones(1, 1, 3), ones(1, 1, 0)), ValueError, "the kernel is empty; w has shape (1, 1, 0)"),
    "adjust": (
        lambda: ops.deconvolution(ones(1, 2, 3), ones(2, 1, 2), adjust=1),
        ValueError,
        "adjust = (1,) must be less than stride = (1,)",
    ),
    "nothing left": (lambda: ops.deconvolution(ones(1, 1, 1), ones(1, 1, 2), pad=1), ValueError, "pad = (1,) leaves nothing of the result"),
    "mode of pooling": (
        lambda: ops.pooling(ones(1, 1, 3), 2, mode="median"),
        ValueError,
        "mode = 'median'; legal values: 'max', 'avg', 'sum'",
    ),
    "pad of pooling": (lambda: ops.pooling(ones(1, 1, 3), 2, pad=2), ValueError, "pad = (2,) must be less than kernel = (2,)"),
    "kernel of pooling": (
        lambda: ops.pooling(ones(1, 1, 3), 4),
        ValueError,
        "[max_pooling] kernel = (4,) is more than x of shape (1, 1, 3)",
    ),
    "a window outside": (
        lambda: ops.pooling(ones(1, 1, 4), 2, stride=5, full=True),
        ValueError,
        "the last window starts behind the end of x of shape (1, 1, 4)",
    ),
    "inputs": (lambda: ops.fully_connected(ones(2, 3), ones(4, 2)), ValueError, "[fully_connected] w has 2 inputs per output, x has 3"),
    "gamma": (
        lambda: ops.batch_norm(ones(2, 3), *vectors(2), training=True),
        ValueError,
        "[batch_norm] gamma must have shape (3,), that of axis 1 of x; got (2,)",
    ),
    "running statistics": (
        lambda: ops.batch_norm(ones(2, 3), ones(3), ones(3), ones(1), ones(3), training=False),
        ValueError,
        "mean must have shape (3,)",
    ),
    "eps": (lambda: ops.layer_norm(ones(2, 3), ones(3), ones(3), eps=0), ValueError, "[layer_norm] eps must be positive; got 0.0"),
    "axis of softmax": (lambda: ops.softmax(ones(3), axis=1), ValueError, "axis 1 is out of bounds for array of dimension 1"),
    "mode of rnn": (
        lambda: ops.rnn("elman", ones(1, 1, 1), ones(4)),
        ValueError,
        "unknown mode 'elman'; one of 'lstm', 'gru', 'rnn_tanh', 'rnn_relu'",
    ),
    "states": (lambda: ops.rnn("lstm", ones(1, 1, 1), ones(16), ones(1, 1, 1)), ValueError, "[lstm] takes 2 state(s); got 1"),
    "parameters": (
        lambda: ops.rnn("gru", ones(1, 1, 2), ones(7), ones(1, 1, 1)),
        ValueError,
        "[gru] parameters must be one vector of 15 numbers; got shape (7,)",
    ),
    "shape of states": (
        lambda: ops.rnn("gru", ones(1, 2, 2), ones(15), ones(1, 1, 1)),
        ValueError,
        "states must have shape (1, 2, 1) for 1 layer(s) in 1 direction(s); got [(1, 1, 1)]",
    ),
    "no time": (lambda: ops.rnn("gru", ones(0, 1, 2), ones(15), ones(1, 1, 1)), ValueError, "x has no time step; its shape is (0, 1, 2)"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("mode", ["lazy", "eager"])
def test_what_does_not_fit_is_refused_at_once(case: str, mode: str) -> None:
    call, error, text = REFUSED[case]
    with minpy_jit.mode(mode), pytest.raises(error, match=re.escape(text)):
        call()


def test_every_operator_is_documented_with_what_it_raises() -> None:
    for name in ops.__all__:
        function = getattr(ops, name)
        assert function.__doc__, name
        if function.__code__.co_argcount > 2:
            assert "Raises:" in function.__doc__ and "Args:" in function.__doc__, name


def test_mxnet_beside_us() -> None:
    mx = mxnet()
    assert mx.__version__ == "1.9.1"
    x = mx.nd.ones((1, 1, 4))
    assert ops.pooling(x.asnumpy(), 2, mode="sum").tolist() == [[[2.0, 2.0]]]
