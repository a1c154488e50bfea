"""`@minpy_jit.trace`: Python's meaning at every call, one flush a unit; `pure=True` skips Python by promise."""

from __future__ import annotations

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.errors import TraceError


@pytest.fixture(autouse=True)
def clean() -> None:
    minpy_jit.flush()
    minpy_jit.reset_stats()


def test_the_package_is_the_decorator() -> None:
    import types

    assert isinstance(minpy_jit.trace, types.ModuleType)
    from minpy_jit.trace.op import TABLE

    assert "add" in TABLE
    assert minpy_jit.trace(lambda x: x + 1)(np.ones(2)).tolist() == [2, 2]


def test_python_runs_at_every_call() -> None:
    calls = []
    scale = 2.0

    @minpy_jit.trace
    def f(x):  # type: ignore[no-untyped-def]
        calls.append(1)
        return x * scale

    assert f(np.ones(2)).tolist() == [2, 2]
    scale = 5.0
    assert f(np.ones(2)).tolist() == [5, 5]
    assert len(calls) == 2


def test_results_stay_lazy_and_flush_as_a_unit() -> None:
    @minpy_jit.trace
    def step(w, x):  # type: ignore[no-untyped-def]
        y = x * w
        return np.sum(y), w - 0.1 * y

    x = np.arange(3.0)
    w = np.ones(3)
    minpy_jit.flush()
    for _ in range(5):
        before = minpy_jit.stats()["flushes"]
        loss, w = step(w, x)
        assert minpy_jit.stats()["flushes"] == before
        float(loss)
        assert minpy_jit.stats()["flushes"] == before + 1
    counts = step.stats()
    assert counts["calls"] == 5
    assert counts["flushes"] == 5
    assert counts["compiles"] == 1


def test_methods_lambdas_closures_and_generators() -> None:
    class Model:
        def __init__(self, k: float) -> None:
            self.k = k

        @minpy_jit.trace
        def scale(self, x):  # type: ignore[no-untyped-def]
            return x * self.k

    a, b = Model(2.0), Model(3.0)
    assert a.scale(np.ones(1)).tolist() == [2]
    assert b.scale(np.ones(1)).tolist() == [3]
    a.k = 7.0
    assert a.scale(np.ones(1)).tolist() == [7]
    fs = [minpy_jit.trace(lambda x, k=k: x + k) for k in range(3)]
    assert [f(np.zeros(1)).tolist() for f in fs] == [[0], [1], [2]]

    @minpy_jit.trace
    def outer(x):  # type: ignore[no-untyped-def]
        return sum(minpy_jit.trace(lambda y: y * y)(row) for row in x)

    assert outer(np.array([[1.0, 2.0], [3.0, 4.0]])).tolist() == [10, 20]


def test_an_exception_leaves_a_clean_state() -> None:
    @minpy_jit.trace
    def f(x):  # type: ignore[no-untyped-def]
        y = x + 1
        raise KeyError(y)

    with pytest.raises(KeyError):
        f(np.ones(2))
    assert (np.ones(2) + 1).tolist() == [2, 2]


def test_as_a_context_manager() -> None:
    x = np.ones(3)
    for _ in range(3):
        with minpy_jit.trace():
            y = x * 3
            z = y + 1
        assert z.tolist() == [4, 4, 4]
        assert y.tolist() == [3, 3, 3]


def test_pending_arguments_are_inputs() -> None:
    f = minpy_jit.trace(lambda x: x * 2)
    x = np.ones(3) + 1
    y = f(x)
    assert y.tolist() == [4, 4, 4]
    assert x.tolist() == [2, 2, 2]


def test_observing_inside_is_fine() -> None:
    @minpy_jit.trace
    def f(x):  # type: ignore[no-untyped-def]
        return x * 2 if float(np.sum(x)) > 0 else x * 3

    assert f(np.ones(2)).tolist() == [2, 2]
    assert f(-np.ones(2)).tolist() == [-3, -3]


def test_explain_warmup_clear() -> None:
    f = minpy_jit.trace(lambda x: np.exp(x) * 2)
    f.warmup(np.ones(4))
    assert f.stats()["compiles"] == 1
    text = minpy_jit.explain(f, np.ones(4))
    assert "steady: 1 flush(es), 1 executor run(s)" in f.explain(np.ones(4))
    assert "exp(" in text
    assert "executor run" in text
    f.clear()
    assert f.stats() == {}


def test_trace_refuses_what_is_no_function() -> None:
    with pytest.raises(TypeError, match=r"\[trace\]"):
        minpy_jit.trace(3)


# -- pure -------------------------------------------------------------------------------------------------------------------------------
def test_pure_skips_python_after_the_first_call() -> None:
    calls = []

    @minpy_jit.trace(pure=True)
    def f(x, k):  # type: ignore[no-untyped-def]
        calls.append(1)
        return {"y": x * k, "n": 3}

    for value in (1.0, 2.0, 3.0):
        out = f(np.full(2, value), 2.0)
        assert out["y"].tolist() == [2 * value] * 2
        assert out["n"] == 3
    assert len(calls) == 1
    assert f(np.ones(3), 2.0)["y"].tolist() == [2, 2, 2]
    assert len(calls) == 2
    assert f(np.ones(3), 4.0)["y"].tolist() == [4, 4, 4]
    assert len(calls) == 3


def test_pure_reads_captured_arrays_anew_and_replays_mutations() -> None:
    state = np.zeros(2)

    @minpy_jit.trace(pure=True)
    def f(x):  # type: ignore[no-untyped-def]
        x += 1
        return x * 2 + state

    for k in range(1, 4):
        x = np.full(2, float(k))
        y = f(x)
        assert y.tolist() == [2 * (k + 1) + k - 1] * 2
        assert x.tolist() == [k + 1] * 2
        state += 1


def test_pure_takes_views_numpy_arrays_and_nested_structures() -> None:
    f = minpy_jit.trace(lambda p: [p["a"][1:] * 2, p["b"].T], pure=True)
    for k in range(3):
        a = numpy.arange(4.0) + k
        base = np.array(numpy.arange(6.0).reshape(2, 3)) * (k + 1)
        out = f({"a": a, "b": base[:, 1:]})
        assert out[0].tolist() == (a[1:] * 2).tolist()
        assert out[1].tolist() == (numpy.arange(6.0).reshape(2, 3) * (k + 1))[:, 1:].T.tolist()


def test_pure_refuses_an_observation_inside() -> None:
    @minpy_jit.trace(pure=True)
    def f(x):  # type: ignore[no-untyped-def]
        return x * 2 if np.sum(x * 2) > 0 else x

    with pytest.raises(TraceError, match=r"pure=True.*test_trace_decorator.py"):
        f(np.ones(2))
    assert (np.ones(2) * 2).tolist() == [2, 2]


def test_pure_draws_anew() -> None:
    f = minpy_jit.trace(lambda x: x + np.random.rand(3), pure=True)
    np.random.seed(0)
    numpy.random.seed(0)
    ours = [f(np.zeros(3)).tolist() for _ in range(3)]
    numpy.random.seed(0)
    assert ours == [numpy.random.rand(3).tolist() for _ in range(3)]


def test_pure_inside_another_trace_and_under_grad() -> None:
    f = minpy_jit.trace(lambda x: x * x, pure=True)
    f(np.ones(2))
    assert minpy_jit.grad(lambda x: np.sum(f(x)))(np.array([1.0, 2.0])).tolist() == [2, 4]
    assert minpy_jit.trace(lambda x: f(x) + 1)(np.array([2.0])).tolist() == [5]
