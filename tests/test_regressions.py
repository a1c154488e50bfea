"""Wrong answers that random programs found, each in its smallest form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np

MODES = ("lazy", "eager", "numpy")


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> Any:
    with minpy_jit.mode(request.param):
        yield request.param


def agree(body: Callable[[Any], Any], times: int = 3) -> None:
    """`body(namespace)` gives the same with NumPy and with ours, the first time and when it is replayed."""
    expected = body(numpy)
    for _ in range(times):
        found = body(np)
        assert type(found) is not numpy.ndarray
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert isinstance(expected, numpy.ndarray) != found.type.scalar
        numpy.testing.assert_array_equal(found.asnumpy(), expected)


# -- gradients ----------------------------------------------------------------------------------------------------------------------------
def _flushes(x: Any) -> Any:
    q = np.sin(x)
    minpy_jit.flush()
    r = q * x
    minpy_jit.flush()
    return np.sum(r * q)


def test_a_flush_loses_no_gradient_in_the_immediate_modes(mode: str) -> None:
    def f(x: Any) -> Any:
        y = x * x
        minpy_jit.flush()
        return np.sum(y * y)

    assert minpy_jit.grad(f)(np.array([1.0, 2.0])).tolist() == [4.0, 32.0]


def test_second_derivatives_through_several_flushes(mode: str) -> None:
    # an input of a flushed segment that the inner pullback needs was no longer known to the outer tape
    x = 0.7
    found = minpy_jit.grad(lambda x: np.sum(minpy_jit.grad(_flushes)(x)))(np.array([x]))
    # x sin(x)^2
    expected = 4 * numpy.sin(x) * numpy.cos(x) + 2 * x * (numpy.cos(x) ** 2 - numpy.sin(x) ** 2)
    numpy.testing.assert_allclose(found.asnumpy(), [expected], rtol=1e-12)


def test_the_gradient_of_an_assignment_to_no_element(mode: str) -> None:
    def f(x: Any) -> Any:
        y = x * 2
        y[1:] += y
        return np.sum(y)

    assert minpy_jit.grad(f)(np.ones((1, 3))).tolist() == [[2.0, 2.0, 2.0]]


# -- writing ------------------------------------------------------------------------------------------------------------------------------
def test_an_assignment_to_no_element(mode: str) -> None:
    # MXNet's index_copy divided by zero: the process died
    def body(np: Any) -> Any:
        x = np.ones((1, 3))
        x[1:2] = np.array([5.0])
        return x

    agree(body)


def test_what_is_made_of_a_scalar_is_not_the_scalar(mode: str) -> None:
    for key in (..., None, (None, ...)):

        def body(np: Any, key: Any = key) -> Any:
            total = np.array([1.0, 2.0]).sum()
            view = total[key]
            view[...] = 7
            return total

        agree(body)


def test_contiguous_array_of_a_single_number_shows_it(mode: str) -> None:
    def body(np: Any) -> Any:
        x = np.array(2.0)
        shown = np.ascontiguousarray(x)
        x[...] = 5
        return shown

    agree(body)


def test_a_mask_takes_no_matrix_of_values(mode: str) -> None:
    x = np.zeros(3)
    with pytest.raises(TypeError, match="0 or 1-dimensional input, input has 2 dimensions"):
        x[x == 0] = np.ones((1, 3))
    assert x.tolist() == [0.0, 0.0, 0.0]


def test_known_indices_are_checked_where_they_stand() -> None:
    x = np.zeros((2, 3))
    with pytest.raises(IndexError, match="index 3 is out of bounds for axis 1 with size 3"):
        x[[0, 1], [0, 3]]
    with pytest.raises(IndexError, match="index -3 is out of bounds for axis 0 with size 2"):
        x[numpy.array([-3])] = 1.0
    with pytest.raises(IndexError, match="index 3 is out of bounds for axis 1 with size 3"):
        x[:, [3]]
    assert x[None, [1, -2], ..., 2].shape == (2, 1)


def test_add_at_casts_each_sum(mode: str) -> None:
    def body(np: Any) -> Any:
        x = np.array([2, 0])
        np.add.at(x, [0, 1, 0], np.array([7.0, 0.0, -2.5]))
        return x

    agree(body)


def test_add_at_takes_no_further_axes() -> None:
    with pytest.raises(ValueError, match="not broadcastable"):
        np.add.at(np.zeros(4), [0, 1, 0], np.ones((1, 3)))


def test_of_two_faults_the_cast_is_named() -> None:
    x = np.array([3])
    with pytest.raises(TypeError, match="Cannot cast"):
        x /= np.zeros((2, 0))


def test_sorting_a_single_number_in_place() -> None:
    with pytest.raises(numpy.AxisError):
        np.array(1.5).sort()
    with pytest.raises(numpy.AxisError):
        np.sort(np.array(1.5))
    assert np.sort(np.array(1.5), axis=None).tolist() == [1.5]


# -- results ------------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "body",
    [
        lambda np: np.array([1.0, 2.0]).sum().squeeze(),
        lambda np: np.array([1.0, 2.0]).sum().reshape(()),
        lambda np: np.kron(np.array(2.0), np.array(3.0)),
        lambda np: np.array([True, False]).any() ** 2,
        lambda np: np.array([-numpy.inf]).sum() ** 0.5,
        lambda np: np.take(np.array(2.0), [0, -1], axis=0),
        lambda np: np.repeat(np.array(2.0), 3, axis=0),
    ],
)
def test_single_numbers(body: Callable[[Any], Any], mode: str) -> None:
    agree(body)


def test_scalars_have_no_matrix_product() -> None:
    total = np.ones(2).sum()
    with pytest.raises(TypeError, match="unsupported operand"):
        total @ total


@pytest.mark.parametrize("name", ["mean", "var", "std"])
def test_single_numbers_have_no_axis_to_average(name: str) -> None:
    with pytest.raises(numpy.AxisError):
        getattr(np, name)(np.array(2.0), axis=0)
    assert float(getattr(np, name)(np.array(2.0), axis=())) == (2.0 if name == "mean" else 0.0)


def test_six_axes_that_broadcast(mode: str) -> None:
    # MXNet broadcasts over five
    agree(lambda np: np.ones((2, 1, 3, 1, 2, 1)) + np.ones((1, 2, 1, 3, 1, 2)))


@pytest.mark.parametrize(
    "body",
    [
        lambda np: np.array(np.broadcast_to(np.zeros((3, 1)), (2, 3, 4))),
        lambda np: np.array(np.transpose(np.zeros((2, 3, 4)), (1, 0, 2))),
        lambda np: np.array(np.nonzero(np.ones((2, 2)))[0]),
        lambda np: np.array(np.zeros((4, 3, 2))[::2, ::-1]),
        lambda np: np.select([np.zeros((2, 3)).T > 1], [np.zeros((2, 3)).T], numpy.float64(1)),
    ],
)
def test_the_memory_order_of_copies(body: Callable[[Any], Any]) -> None:
    assert body(np).strides == body(numpy).strides
