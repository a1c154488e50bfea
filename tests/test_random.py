"""Random numbers: NumPy's own streams in program order, drawn at the call; wrappers, shuffling, pickling."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy
import pytest

import minpy_jit.numpy as mnp
from minpy_jit.numpy.array import Array, Scalar
from minpy_jit.trace.stats import stats

DRAWS = """
rand()
rand(3)
rand(2, 3)
randn(2)
random(3)
random_sample()
randint(5)
randint(5, size=3)
randint(0, 10, (2, 2), dtype='int32')
normal()
normal(1.0, 2.0, 4)
uniform(-1, 1, (2, 2))
choice(5, 3)
choice([1, 2, 3])
permutation(5)
permutation([3, 1, 2])
binomial(10, 0.5, 3)
poisson(3.0, 2)
exponential(size=2)
gamma(2.0, size=3)
beta(1.0, 2.0)
multivariate_normal([0, 0], [[1, 0], [0, 1]], 2)
multinomial(5, [0.5, 0.5])
dirichlet([1, 2], 2)
standard_normal(3)
bytes(4)
""".strip().splitlines()


def check(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, numpy.ndarray):
        assert type(ours) is Array and ours.dtype == theirs.dtype
        numpy.testing.assert_array_equal(ours.asnumpy(), theirs)
    elif isinstance(theirs, numpy.generic):
        assert type(ours) is Scalar and ours == theirs
    else:
        assert type(ours) is type(theirs) and ours == theirs


@pytest.mark.parametrize("call", DRAWS)
def test_global_stream(call: str) -> None:
    numpy.random.seed(7)
    theirs = [eval(f"random.{call}", {"random": numpy.random}) for _ in range(3)]
    mnp.random.seed(7)
    ours = [eval(f"random.{call}", {"random": mnp.random}) for _ in range(3)]
    for o, t in zip(ours, theirs, strict=True):
        check(o, t)


@pytest.mark.parametrize(
    "call", ["random(3)", "normal(size=2)", "integers(10, size=3)", "integers(3)", "choice(5, 2)", "permutation(4)", "random()"]
)
def test_generator_stream(call: str) -> None:
    theirs, ours = numpy.random.default_rng(3), mnp.random.default_rng(3)
    for _ in range(2):
        check(eval(f"g.{call}", {"g": ours}), eval(f"g.{call}", {"g": theirs}))


def test_random_state_stream() -> None:
    theirs, ours = numpy.random.RandomState(3), mnp.random.RandomState(3)
    check(ours.rand(2, 2), theirs.rand(2, 2))
    check(ours.randint(9), theirs.randint(9))
    ours.set_state(theirs.get_state())
    check(ours.normal(size=2), theirs.normal(size=2))


def test_program_order_and_laziness() -> None:
    mnp.random.seed(0)
    before = stats.counts["flushes"]
    x = mnp.random.rand(3) * 2
    y = mnp.random.rand(3) * 2
    assert stats.counts["flushes"] == before
    numpy.random.seed(0)
    first, second = numpy.random.rand(3) * 2, numpy.random.rand(3) * 2
    # observed in another order than drawn
    numpy.testing.assert_array_equal(y.asnumpy(), second)
    numpy.testing.assert_array_equal(x.asnumpy(), first)


def test_replayed_loops_draw_anew() -> None:
    mnp.random.seed(1)
    ours = [float(mnp.random.rand(2).sum()) for _ in range(5)]
    numpy.random.seed(1)
    assert ours == [float(numpy.random.rand(2).sum()) for _ in range(5)]
    assert len(set(ours)) == 5


def test_arguments_of_ours() -> None:
    mnp.random.seed(2)
    drawn = mnp.random.normal(mnp.array([0.0, 10.0]), mnp.array(1.0) * 2)
    numpy.random.seed(2)
    numpy.testing.assert_array_equal(drawn.asnumpy(), numpy.random.normal([0.0, 10.0], 2.0))
    assert mnp.random.default_rng(1).choice(mnp.array([5, 6]), 2).tolist() == numpy.random.default_rng(1).choice([5, 6], 2).tolist()


@pytest.mark.parametrize("kind", ["global", "generator", "state"])
def test_shuffle_writes_back(kind: str) -> None:
    def shuffler(random: Any) -> Any:
        random.seed(4)
        return {"global": random, "generator": random.default_rng(4), "state": random.RandomState(4)}[kind].shuffle

    ours, theirs = mnp.arange(6.0).reshape(3, 2), numpy.arange(6.0).reshape(3, 2)
    view = ours[0]
    shuffler(mnp.random)(ours)
    shuffler(numpy.random)(theirs)
    numpy.testing.assert_array_equal(ours.asnumpy(), theirs)
    numpy.testing.assert_array_equal(view.asnumpy(), theirs[0])
    column = ours[:, 0]
    shuffler(mnp.random)(column)
    shuffler(numpy.random)(theirs[:, 0])
    numpy.testing.assert_array_equal(ours.asnumpy(), theirs)
    plain, expected = [1, 2, 3], [1, 2, 3]
    shuffler(mnp.random)(plain)
    shuffler(numpy.random)(expected)
    assert plain == expected


def test_out_of_generators() -> None:
    out = mnp.zeros(3)
    view = out[1:]
    assert mnp.random.default_rng(0).random(out=out) is out
    assert view.tolist() == numpy.random.default_rng(0).random(3)[1:].tolist()


@pytest.mark.parametrize("make", [lambda: mnp.random.default_rng(5), lambda: mnp.random.RandomState(5)])
def test_pickle_and_copy(make: Any) -> None:
    g = make()
    g.normal(size=3)
    again, twin = pickle.loads(pickle.dumps(g)), copy.deepcopy(g)
    expected = g.normal(size=3).tolist()
    assert again.normal(size=3).tolist() == twin.normal(size=3).tolist() == expected


def test_classes() -> None:
    g = mnp.random.default_rng(0)
    assert isinstance(g, mnp.random.Generator) and isinstance(numpy.random.default_rng(0), mnp.random.Generator)
    assert mnp.random.default_rng(g) is g and type(g.bit_generator).__name__ == "PCG64"
    assert type(mnp.random.Generator(mnp.random.MT19937(1)).random(2)) is Array
    assert [type(c) for c in g.spawn(2)] == [mnp.random.Generator] * 2
