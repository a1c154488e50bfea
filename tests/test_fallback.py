"""Fallbacks: counted with the user's line, three modes, arguments written back, callbacks, the gradient hook."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy
import pytest

import minpy_jit.numpy as mnp
from minpy_jit.config import config
from minpy_jit.errors import FallbackError, FallbackWarning
from minpy_jit.numpy import fallback
from minpy_jit.numpy.array import Array, Scalar
from minpy_jit.trace import recorder
from minpy_jit.trace.context import cpu
from minpy_jit.trace.stats import stats


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    # what other tests have left pending
    recorder.current().flush("flush")
    stats.reset()
    yield
    stats.reset()


def test_counted_with_the_users_line() -> None:
    x = mnp.arange(4.0)
    for _ in range(3):
        mnp.nanmedian(x)
    ((name, line), (count, nbytes, seconds)) = next(iter(stats.fallbacks.items()))
    assert name == "nanmedian" and line.startswith(__file__ + ":")
    assert count == 3 and nbytes == 3 * 32 and seconds > 0
    assert stats.counts["fallbacks"] == 3 and stats.flush_causes["fallback nanmedian"] == 1


def test_without_arrays_of_ours_nothing_is_observed_or_counted() -> None:
    assert mnp.nanmedian([1, 2, 3]) == 2.0 and type(mnp.nanmedian([1, 2, 3])) is Scalar
    assert type(mnp.hanning(4)) is Array
    with config.override(fallback="raise"):
        mnp.hanning(4)
    assert stats.counts["fallbacks"] == 0


def test_mode_warn() -> None:
    with (
        config.override(fallback="warn"),
        pytest.warns(FallbackWarning, match=rf"\[nanmedian\] runs in NumPy on the host; called at {__file__}:"),
    ):
        mnp.nanmedian(mnp.ones(2))


def test_mode_raise() -> None:
    x = mnp.ones(2)
    with config.override(fallback="raise"):
        with pytest.raises(
            FallbackError, match=r"\[histogram\] runs in NumPy, and config.fallback is 'raise'; called at .*test_fallback.py:"
        ):
            mnp.histogram(x)
        with pytest.raises(FallbackError, match=r"\[fft.fft\]"):
            mnp.fft.fft(x)
        with pytest.raises(FallbackError, match=r"\[linalg.svd\]"):
            mnp.linalg.svd(mnp.ones((2, 2)))
        with pytest.raises(FallbackError, match=r"\[subtract.reduce\]"):
            mnp.subtract.reduce(x)
        # printing and saving look at values: that is what they are for
        assert mnp.array2string(x) == "[1. 1.]" and "array" in mnp.array_repr(x)
        assert mnp.sum(x) == 2.0


def test_results_live_on_the_arguments_context() -> None:
    with cpu(1):
        x = mnp.arange(3.0)
    assert mnp.nanmedian(x).context is cpu(1) and mnp.histogram(x)[0].context is cpu(1)
    assert mnp.nanpercentile(x, [10, 50]).context is cpu(1)


def test_nested_arguments_and_results() -> None:
    x = mnp.arange(4.0)
    counts, edges = mnp.histogram(x, bins=mnp.array([0.0, 2.0, 4.0]))
    assert type(counts) is Array and counts.tolist() == [2, 2] and type(edges) is Array
    assert mnp.lexsort((x, [x[0], x[1], x[1], x[0]])).tolist() == [0, 3, 1, 2]
    result = mnp.linalg.qr(mnp.ones((2, 2)))
    assert type(result).__name__ == "QRResult" and type(result.Q) is Array
    assert mnp.unique(mnp.array([1, 1, 2]), return_counts=True)[1].tolist() == [2, 1]


def test_results_of_foreign_memory_are_values_of_their_own() -> None:
    theirs = numpy.arange(4.0)
    windows = mnp.lib.stride_tricks.sliding_window_view(theirs, 2)
    theirs[:] = 9
    assert windows.tolist() == [[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]
    x = mnp.arange(4.0)
    y = mnp.lib.stride_tricks.sliding_window_view(x, 2)
    x += 1
    assert y.tolist() == [[1.0, 2.0], [2.0, 3.0], [3.0, 4.0]]


def test_out_is_written_back() -> None:
    x, out = mnp.arange(12.0).reshape(3, 4), mnp.zeros(4)
    view = out[1:]
    assert mnp.nanmedian(x, axis=0, out=out) is out
    assert view.tolist() == [5.0, 6.0, 7.0]
    mnp.nanmedian(x, 0, out[::-1])
    assert out.tolist() == [7.0, 6.0, 5.0, 4.0]
    theirs = numpy.zeros(4)
    mnp.nanmedian(x, axis=0, out=theirs)
    assert theirs.tolist() == [4.0, 5.0, 6.0, 7.0]


def test_mutated_arguments_are_written_back() -> None:
    x = mnp.zeros((2, 3))
    row = x[1]
    mnp.put(row, [0, 2], [5.0, 6.0])
    mnp.place(x, x == 0, [1.0])
    mnp.maximum.at(row, [0, 0], [7.0, 8.0])
    assert x.tolist() == [[1.0, 1.0, 1.0], [8.0, 1.0, 6.0]] and row.tolist() == [8.0, 1.0, 6.0]


def test_observed_values_are_protected() -> None:
    x = mnp.arange(3.0)

    def careless(row: Any) -> Any:
        row[0] = 100.0
        return row

    with pytest.raises(ValueError, match="read-only"):
        fallback.call(careless, (x,))
    assert x.tolist() == [0.0, 1.0, 2.0]


def test_callbacks_may_use_our_namespace() -> None:
    x = mnp.arange(4.0)
    assert mnp.vectorize(lambda v: mnp.sin(v) if v > 1 else 0.0)(x).tolist() == pytest.approx([0.0, 0.0, numpy.sin(2), numpy.sin(3)])
    assert mnp.apply_along_axis(lambda r: mnp.sum(r), 0, mnp.ones((2, 3))).tolist() == [2.0, 2.0, 2.0]
    assert mnp.piecewise(x, [x < 2], [lambda v: mnp.exp(v), 0.0]).tolist() == pytest.approx([1.0, numpy.e, 0.0, 0.0])
    assert mnp.fromfunction(lambda i, j: mnp.add(i, j), (2, 2)).tolist() == [[0.0, 1.0], [1.0, 2.0]]
    assert mnp.frompyfunc(lambda v: v + 1, 1, 1)(x).tolist() == [1.0, 2.0, 3.0, 4.0]


def test_python_numbers_stay_weak_in_ufuncs() -> None:
    special = pytest.importorskip("scipy.special")
    x = numpy.array([1.0, 2.0], dtype="f4")
    for function in (special.xlogy, special.beta, special.boxcox):
        theirs = function(x, 2.0)
        assert type(function(mnp.array(x), 2.0)) is Array and function(mnp.array(x), 2.0).dtype == theirs.dtype
    with pytest.raises(OverflowError):
        mnp.bitwise_or.reduceat(mnp.array([1], dtype="u1"), [0]) + 300


def test_classes_of_numpy() -> None:
    x = mnp.arange(4.0).reshape(2, 2)
    assert [p for p, _ in mnp.ndenumerate(x)] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert isinstance(mnp.poly1d([1, 2]), mnp.poly1d) and mnp.broadcast(x, x[0]).shape == (2, 2)
    assert isinstance(numpy.poly1d([1]), mnp.poly1d)

    class Polynomial(mnp.poly1d):  # type: ignore[misc, valid-type]
        pass

    assert issubclass(Polynomial, numpy.poly1d)


def test_objects_and_strings() -> None:
    objects = mnp.array([1, "a", None], dtype=object)
    assert objects.dtype == object and (objects == "a").tolist() == [False, True, False]
    assert mnp.array(["b", "a"]).tolist() == ["b", "a"] and mnp.sort(mnp.array(["b", "a"])).tolist() == ["a", "b"]
    assert mnp.add(mnp.array([1, 2], dtype=object), 1).tolist() == [2, 3]
    assert mnp.sum(mnp.array([1, 2], dtype=object)) == 3 and type(objects[1]) is str and objects[2] is None
    records = mnp.array([(1, 2.0), (3, 4.0)], dtype=[("a", "i4"), ("b", "f8")])
    records["a"] = [7, 8]
    assert records["a"].tolist() == [7, 8] and records["b"].dtype == numpy.float64
    days = mnp.array(["2020-01-01", "2020-01-03"], dtype="M8[D]")
    assert (days[1] - days[0]).item().days == 2 and days.max() == days[1]


def test_tape_hook() -> None:
    calls: list[Any] = []
    x = mnp.arange(4.0)
    active = recorder.current()

    class Tape:
        def __getattr__(self, name: str) -> Any:
            return lambda *args: False if name == "watches" else ()

    before = fallback._tape_hook
    fallback.set_tape_hook(lambda *call: calls.append(call))
    active.tapes.append(Tape())
    try:
        result = mnp.unwrap(x, axis=0)
        mnp.hanning(3)
    finally:
        active.tapes.pop()
        fallback.set_tape_hook(before)
    assert len(calls) == 1
    function, name, args, kwargs, results = calls[0]
    assert (function is numpy.unwrap and name == "unwrap" and args == (x,)) or args[0] is x
    assert kwargs == {"axis": 0} and results is result


def test_looking_is_scoped() -> None:
    with pytest.raises(RuntimeError), fallback.looking():
        mnp.nanmedian(mnp.ones(2))
        assert stats.counts["fallbacks"] == 0
        raise RuntimeError
    mnp.nanmedian(mnp.ones(2))
    assert stats.counts["fallbacks"] == 1
