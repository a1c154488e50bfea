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


def test_a_gradient_through_a_scalar_that_is_broadcast(mode: str) -> None:
    # computed at once, the scalar was followed by a tape no more when it became an array
    x = np.array([1.0, 4.0, 9.0])
    found = minpy_jit.grad(lambda x: np.sum(np.broadcast_to(np.sum(x * x), (2,))))(x)
    assert found.tolist() == [4.0, 16.0, 36.0]
    assert minpy_jit.grad(lambda x: np.sum(np.atleast_1d(np.max(x)) * 3))(x).tolist() == [0.0, 0.0, 3.0]


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


# -- shapes of masks and outputs -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "any", "all", "mean", "std"])
@pytest.mark.parametrize(("shape", "mask"), [((1,), (4,)), ((3, 1), (1, 3)), ((), (1,)), ((2, 3), (1, 2, 3)), ((1,), (0,))])
def test_where_never_widens_what_is_reduced(name: str, shape: tuple[int, ...], mask: tuple[int, ...]) -> None:
    given: Any = {"initial": 0} if name in ("max", "min") else {}
    for space in (numpy, np):
        with pytest.raises(ValueError, match=r"broadcast|more dimensions"):
            getattr(space, name)(space.ones(shape), where=space.ones(mask, bool), **given)


def test_an_extremum_of_nothing_with_an_initial_value_and_a_mask(mode: str) -> None:
    agree(lambda np: np.max(np.ones((2, 0)), initial=3, where=np.ones((2, 0), bool)))


@pytest.mark.parametrize("join", [lambda np, x, out: np.concatenate((x, x), out=out), lambda np, x, out: np.stack([x, x], out=out)])
@pytest.mark.parametrize("shape", [(1, 2, 3), (3, 1), (5,), ()])
def test_joined_arrays_are_not_broadcast_to_their_output(join: Callable[..., Any], shape: tuple[int, ...]) -> None:
    for space in (numpy, np):
        with pytest.raises(ValueError, match="Output array"):
            join(space, space.ones(1), space.zeros(shape, bool))


def test_a_scalar_is_no_output_to_join_into() -> None:
    with pytest.raises(TypeError):
        np.concatenate((np.ones(2).sum(), np.ones(2).sum()), out=np.ones(2).sum())


def test_a_mask_without_elements_chooses_nothing_of_any_axis(mode: str) -> None:
    def body(np: Any) -> Any:
        x = np.arange(6.0).reshape(2, 3)
        x[np.zeros(0, bool)] = 9
        x[np.zeros((2, 0), bool)] += 9
        return np.concatenate([x, x[np.zeros(0) > 0]])

    agree(body)
    with pytest.raises(IndexError, match="dimension is 3 but corresponding boolean dimension is 5"):
        np.ones((2, 3))[np.zeros((0, 5), bool)]


def test_a_mask_that_does_not_fit_what_is_copied_to() -> None:
    for space in (numpy, np):
        with pytest.raises(ValueError, match="could not broadcast where mask"):
            space.copyto(space.zeros(1), space.ones(1), where=space.ones(4, bool))


@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize(("kind", "into"), [("int8", "uint8"), ("float64", "uint16"), ("int8", "int64"), ("float32", "float64")])
def test_an_extremum_is_looked_for_in_what_the_output_holds(name: str, kind: str, into: str, mode: str) -> None:
    def body(np: Any) -> Any:
        out = np.zeros(2, into)
        getattr(np, name)(np.array([[-1, 4], [4, -3], [-2, 2]], kind), axis=0, out=out)
        return out

    agree(body)


def test_values_are_put_into_an_array_without_axes(mode: str) -> None:
    def body(np: Any) -> Any:
        x, y = np.array(-4), np.array(2.0)
        x.put([0, 0], [5, 6])
        np.place(y, y > 0, [1, 2])
        return np.array([x, y])

    agree(body)


@pytest.mark.parametrize("number", [0, 3, True])
def test_python_integers_are_copied_to_unsigned_ones(number: int, mode: str) -> None:
    def body(np: Any) -> Any:
        x = np.ones(2, "uint8")
        np.copyto(x, number)
        return x

    agree(body)
    for space in (numpy, np):
        with pytest.raises(TypeError, match="Cannot cast scalar"):
            space.copyto(space.ones(2, "uint8"), -1)


# -- views ---------------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "key", [lambda i: (..., i), lambda i: (slice(None), i), lambda i: (i - 1, None), lambda i: (i - 2, slice(1, None))]
)
def test_a_lazy_integer_beside_slices_shows_a_view(key: Callable[[Any], Any], mode: str) -> None:
    def body(np: Any) -> Any:
        x = np.arange(6.0).reshape(2, 3)
        shown = x[key(np.argmax(x[0]))]
        shown += 10
        return x

    agree(body)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "float64"])
def test_rounding_whole_numbers_gives_the_array_itself(dtype: str, mode: str) -> None:
    def body(np: Any) -> Any:
        x = np.array([25, 35], dtype)
        np.round(x, 1)[0] = 7
        x.round()[1] = 8
        assert not isinstance(np.round(np.array(3), 1), numpy.ndarray) or np.round(np.array(3), 1).shape == ()
        return np.concatenate([x, np.round(x, -1)])

    agree(body)


def test_a_gradient_lies_in_memory_as_its_argument_does(mode: str) -> None:
    def f(p: Any) -> Any:
        bool(np.any(p > 0))
        return np.sum(p) * 2

    for x in (np.ones((2, 3)), np.ones((2, 3)).T):
        found = minpy_jit.grad(f)(x)
        assert found.strides == x.strides
        found[0, 0] = 5
        assert found.tolist() == [[5.0] + [2.0] * (x.shape[1] - 1), *[[2.0] * x.shape[1]] * (x.shape[0] - 1)]


@pytest.mark.parametrize(
    "body",
    [
        lambda np: np.broadcast_to(np.ones((3, 3), bool), (2, 3, 3)).astype(float),
        lambda np: np.nan_to_num(np.broadcast_to(np.ones((3, 3)), (2, 3, 3))),
        lambda np: np.array(np.ones((2, 3, 4), "int32").transpose(1, 0, 2)[::2], dtype=float),
    ],
)
def test_the_memory_order_of_copies_in_another_dtype(body: Callable[[Any], Any]) -> None:
    assert body(np).strides == body(numpy).strides


# -- recording -----------------------------------------------------------------------------------------------------------------------------
def test_a_refused_number_does_not_fail_what_follows() -> None:
    x, small = np.array([-3, 0, 4]), np.array([2], "uint8")

    def body(k: int) -> list[Any]:
        try:
            product = small * k
        except OverflowError:
            product = x
        positive = bool(x[2] > 0)
        return [product.tolist(), positive]

    for _ in range(3):
        # bound for a number that fits
        assert body(2) == [[4], True]
    for _ in range(3):
        assert body(-1) == [[-3, 0, 4], True]
    assert body(3) == [[6], True]


# -- outputs -------------------------------------------------------------------------------------------------------------------------------
def test_of_two_faults_the_read_only_output_is_named(mode: str) -> None:
    for space in (numpy, np):
        shown = space.diagonal(space.zeros((2, 2), int))
        for write in (
            lambda np, shown: np.add(shown, 0.5, out=shown),
            lambda np, shown: np.add(shown, 0.5, out=shown, where=shown > 0),
            lambda np, shown: np.copyto(shown, np.array([0.5, 1.5])),
            lambda np, shown: shown.__iadd__(0.5),
        ):
            with pytest.raises(ValueError, match="read-only"):
                write(space, shown)


def test_an_array_of_arrays_lies_in_c_order(mode: str) -> None:
    def strides(np: Any) -> list[Any]:
        x, y = np.ones((2, 3)).T, np.broadcast_to(np.ones((3, 1)), (2, 3, 1))
        return [np.array([x, x]).strides, np.array([y, y]).strides, np.array([[x], [x]], "float32").strides, np.stack([x, x]).strides]

    assert strides(np) == strides(numpy)
