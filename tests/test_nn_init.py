"""Rules that make parameters: moments, shapes, seeds."""

from __future__ import annotations

import math
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.nn import init

MATRIX, FILTERS = (200, 100), (64, 32, 3, 5)


@pytest.fixture(autouse=True)
def seeded() -> None:
    np.random.seed(7)


# variance by the paper, from (inputs, outputs)
PAPERS = {"xavier": lambda inputs, outputs: 2 / (inputs + outputs), "he": lambda inputs, outputs: 2 / inputs}
# shape, config -> (inputs, outputs)
FANS: list[tuple[tuple[int, ...], dict[str, Any], tuple[int, int]]] = [
    (MATRIX, {}, (200, 100)),
    (MATRIX, {"in_axis": 1}, (100, 200)),
    (FILTERS, {}, (32 * 15, 64 * 15)),
    (FILTERS, {"in_axis": 0}, (64 * 15, 32 * 15)),
]


@pytest.mark.parametrize("rule", PAPERS)
@pytest.mark.parametrize(("shape", "config", "fans"), FANS)
@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_the_variance_is_the_papers(
    rule: str, shape: tuple[int, ...], config: dict[str, Any], fans: tuple[int, int], distribution: str
) -> None:
    w = init.RULES[rule](shape, {**config, "distribution": distribution}).asnumpy()
    variance = PAPERS[rule](*fans)
    assert w.shape == shape
    # some 20,000 numbers: the relative error of their variance is about 1 %
    assert w.var() == pytest.approx(variance, rel=0.05)
    assert abs(w.mean()) < 5 * math.sqrt(variance / w.size)
    bound = math.sqrt(3 * variance)
    assert (abs(w).max() <= bound) == (distribution == "uniform")
    assert abs(w).max() > 0.99 * bound


def test_he_keeps_the_size_of_activations_through_relu_layers() -> None:
    x = np.random.standard_normal((500, 100))
    for _ in range(10):
        x = np.maximum(x @ init.he((100, 100)), 0)
    assert 0.3 < float(np.mean(x * x)) < 3


@pytest.mark.parametrize("shape", [(30, 30), (30, 12), (12, 30), (8, 4, 3, 3), (100, 4, 3, 3)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    w = init.orthogonal(shape, {"gain": 2.0}).asnumpy()
    assert w.shape == shape
    flat = w.reshape(shape[0], -1) / 2
    gram = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    numpy.testing.assert_allclose(gram, numpy.eye(len(gram)), atol=1e-12)


def test_orthogonal_matrices_are_drawn_without_preference() -> None:
    # LAPACK's signs left in, the first element would always be negative
    first = [float(init.orthogonal((2, 2))[0, 0]) for _ in range(40)]
    assert 8 <= sum(v > 0 for v in first) <= 32
    with pytest.raises(ValueError, match=r"\[orthogonal\] a matrix has two axes or more; got shape \(3,\)"):
        init.orthogonal((3,))


def test_constant_gaussian_custom() -> None:
    assert init.constant((2, 2)).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert init.constant((2, 2), {"value": [1.0, 2.0]}).tolist() == [[1.0, 2.0], [1.0, 2.0]]
    w = init.gaussian((200, 100), {"mu": 3.0, "stdvar": 0.5}).asnumpy()
    assert w.mean() == pytest.approx(3.0, abs=0.02)
    assert w.std() == pytest.approx(0.5, rel=0.03)
    assert init.gaussian((200, 100)).asnumpy().std() == pytest.approx(0.001, rel=0.03)
    assert init.custom((3,), {"function": lambda shape: np.full(shape, 7.0)}).tolist() == [7.0, 7.0, 7.0]


@pytest.mark.parametrize("rule", ["xavier", "he", "orthogonal", "gaussian"])
def test_seeds_repeat(rule: str) -> None:
    np.random.seed(3)
    first, second = init.RULES[rule]((4, 4), None).asnumpy(), init.RULES[rule]((4, 4), None).asnumpy()
    np.random.seed(3)
    assert (init.RULES[rule]((4, 4), None).asnumpy() == first).all()
    assert (first != second).all()


def test_initialise() -> None:
    w = init.initialise((3, 4), "he", dtype="float32")
    assert w.dtype == "float32"
    assert isinstance(w, minpy_jit.numpy.ndarray)
    assert init.initialise((2,), lambda shape, config: np.full(shape, config["value"]), {"value": 4.0}).tolist() == [4.0, 4.0]
    # vectors, and parameters without axes
    assert init.initialise((5,), "xavier").shape == (5,)
    assert init.initialise((), "he").shape == ()


@pytest.mark.parametrize("dtype", [None, "float32"])
def test_parameters_are_in_c_order(dtype: str | None) -> None:
    # whatever the rule made: an update's result is, and another order would be another program
    for w in (init.initialise((3, 8), "orthogonal", dtype=dtype), init.initialise((3, 8), lambda s, c: np.zeros(s[::-1]).T, dtype=dtype)):
        assert w.flags.c_contiguous
        assert w.shape == (3, 8)


def test_errors_say_what_is_wrong() -> None:
    with pytest.raises(
        ValueError, match=r"\[init\] no rule 'xaver'; rules: xavier, he, orthogonal, constant, gaussian, custom, or a function"
    ):
        init.initialise((3,), "xaver")
    with pytest.raises(ValueError, match=r"\[init\] custom gave shape \(2,\); the parameter has shape \(3,\)"):
        init.initialise((3,), "custom", {"function": lambda shape: np.zeros(2)})
    with pytest.raises(ValueError, match=r"\[init\] distribution = 'cauchy'; legal values: 'uniform', 'normal'"):
        init.xavier((3, 3), {"distribution": "cauchy"})
    with pytest.raises(ValueError, match=r"\[init\] in_axis = 2; it is 0 or 1"):
        init.he((3, 3), {"in_axis": 2})
