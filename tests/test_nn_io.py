"""Iterators: which samples come in which batch, across epochs; states; prefetching; MXNet's iterators; casts."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.interop import mxnet
from minpy_jit.nn import io
from minpy_jit.nn.io import DataBatch, NDArrayIter, PrefetchingIter

X = numpy.arange(10, dtype="float32") * 1.5
Y = numpy.arange(10) + 100


def epoch(batches: Any) -> list[list[float]]:
    return [batch.data[0].tolist() for batch in batches]


def positions(batches: Any) -> list[list[int]]:
    return [[round(v / 1.5) for v in part] for part in epoch(batches)]


# -- NDArrayIter ---------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("handle", "epochs", "pads"),
    [
        ("pad", [[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]] * 3, [0, 0, 2]),
        ("discard", [[[0, 1, 2, 3], [4, 5, 6, 7]]] * 3, [0, 0]),
        (
            "roll_over",
            [[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]], [[2, 3, 4, 5], [6, 7, 8, 9]], [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]],
            [0, 0, 0],
        ),
    ],
)
def test_what_becomes_of_the_last_samples(handle: str, epochs: list[list[list[int]]], pads: list[int]) -> None:
    batches = NDArrayIter(X, Y, batch_size=4, last_batch_handle=handle)
    for expected in epochs:
        assert batches.getnumiterations() == len(expected)
        found = list(batches)
        assert positions(found) == expected
        assert [batch.label[0].tolist() for batch in found] == [[100 + k for k in part] for part in expected]
        assert [batch.index.tolist() for batch in found] == expected
        assert [batch.pad for batch in found] == pads[: len(found)]
        with pytest.raises(StopIteration):
            batches.next()
        batches.reset()
    batches.next()
    batches.hard_reset()
    assert positions(batches)[0] == [0, 1, 2, 3]


@pytest.mark.parametrize("handle", ["pad", "discard", "roll_over"])
def test_batches_that_fit_are_the_same_in_every_mode(handle: str) -> None:
    batches = NDArrayIter(X, batch_size=5, last_batch_handle=handle)
    for _ in range(2):
        assert positions(batches) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
        batches.reset()


def test_shuffled_epochs_hold_every_sample_once() -> None:
    np.random.seed(4)
    batches = NDArrayIter(X, Y, batch_size=5, shuffle=True)
    orders = []
    for _ in range(3):
        found = list(batches)
        for batch in found:
            assert [v / 1.5 + 100 for v in batch.data[0].tolist()] == batch.label[0].tolist()
        orders.append([k for batch in found for k in batch.index.tolist()])
        batches.reset()
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    np.random.seed(4)
    assert [k for part in positions(NDArrayIter(X, batch_size=5, shuffle=True)) for k in part] == orders[0]


def test_shuffled_samples_roll_over() -> None:
    np.random.seed(0)
    batches = NDArrayIter(X, batch_size=4, shuffle=True, last_batch_handle="roll_over")
    first = positions(batches)
    batches.reset()
    second = positions(batches)
    ahead = first[-1][2:]
    assert sorted(k for part in second for k in part) == sorted(set(range(10)) - set(ahead))


def test_several_arrays_by_position_and_by_name() -> None:
    several = NDArrayIter([X, np.array(Y)], {"first": Y, "second": numpy.eye(10)}, batch_size=5)
    batch = several.next()
    assert [part.shape for part in batch.data] == [(5,), (5,)]
    assert batch.data[0].dtype == "float32"
    assert [part.shape for part in batch.label] == [(5,), (5, 10)]
    assert several.provide_data == [("_0_data", (5,)), ("_1_data", (5,))]
    assert several.provide_label == [("first", (5,)), ("second", (5, 10))]
    assert NDArrayIter(X, Y).provide_label == [("softmax_label", (1,))]
    assert all(isinstance(part, np.ndarray) for part in (*batch.data, *batch.label))
    assert NDArrayIter(mxnet().nd.arange(4), batch_size=2).next().data[0].tolist() == [0.0, 1.0]


def test_batches_do_not_change_with_the_data() -> None:
    data = X.copy()
    batch = NDArrayIter(data, batch_size=5).next()
    data[:] = 0
    assert batch.data[0].tolist() == X[:5].tolist()


def test_a_part_of_the_data() -> None:
    part = NDArrayIter(X, Y, batch_size=4).getsubiter(6)
    found = [k for batch in positions(part) for k in batch]
    assert part.num_data == 6 and part.batch_size == 4
    assert len(set(found)) == 6
    assert NDArrayIter(X, batch_size=4).getsubiter(3).batch_size == 3


@pytest.mark.parametrize("handle", ["pad", "discard", "roll_over"])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("batches_before", [0, 1, 3, 5])
def test_an_iterator_goes_on_from_its_state(handle: str, shuffle: bool, batches_before: int) -> None:
    def endless(it: NDArrayIter, count: int) -> list[list[float]]:
        found = []
        while len(found) < count:
            try:
                found.append(it.next().data[0].tolist())
            except StopIteration:
                it.reset()
        return found

    np.random.seed(2)
    original = NDArrayIter(X, batch_size=4, shuffle=shuffle, last_batch_handle=handle)
    endless(original, batches_before)
    state, drawn = original.get_state(), numpy.random.get_state()
    expected = endless(original, 6)
    again = NDArrayIter(X, batch_size=4, shuffle=shuffle, last_batch_handle=handle)
    again.set_state(state)
    numpy.random.set_state(drawn)
    assert endless(again, 6) == expected


def test_errors_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"\[NDArrayIter\] batch_size = 11 must be between 1 and the number of samples, 10"):
        NDArrayIter(X, batch_size=11)
    with pytest.raises(ValueError, match=r"\[NDArrayIter\] last_batch_handle = 'keep'; legal values: pad, discard, roll_over"):
        NDArrayIter(X, last_batch_handle="keep")
    with pytest.raises(ValueError, match=r"different numbers of samples: \{'data': 10, 'softmax_label': 9\}"):
        NDArrayIter(X, Y[:9])
    with pytest.raises(ValueError, match=r"\[NDArrayIter\] no data"):
        NDArrayIter(None)
    with pytest.raises(TypeError, match=r"\[NDArrayIter\] data '_0_data' is a list"):
        NDArrayIter([[1.0], [2.0]])
    with pytest.raises(ValueError, match=r"\[NDArrayIter\] the state does not belong to an iterator over 10 samples, shuffle=True"):
        NDArrayIter(X, shuffle=True).set_state(NDArrayIter(X).get_state())
    with pytest.raises(ValueError, match=r"\[NDArrayIter\] the epoch has not begun"):
        NDArrayIter(X).getdata()
    with pytest.raises(NotImplementedError, match=r"\[DataIter\] give iter_next"):
        io.DataIter().next()


# -- prefetching ---------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("handle", ["pad", "discard", "roll_over"])
def test_prefetching_changes_nothing(handle: str) -> None:
    def three_epochs(batches: Any) -> list[Any]:
        found = []
        for _ in range(3):
            found.append(epoch(batches))
            batches.reset()
        batches.next()
        batches.hard_reset()
        return [*found, epoch(batches)]

    np.random.seed(3)
    expected = three_epochs(NDArrayIter(X, Y, batch_size=4, shuffle=True, last_batch_handle=handle))
    np.random.seed(3)
    ahead = PrefetchingIter(NDArrayIter(X, Y, batch_size=4, shuffle=True, last_batch_handle=handle))
    assert three_epochs(ahead) == expected
    assert ahead.num_data == 10 and ahead.provide_data == [("data", (4,))]
    ahead.close()


def test_a_prefetching_iterators_state_knows_nothing_of_what_is_ahead() -> None:
    plain, ahead = NDArrayIter(X, batch_size=4), PrefetchingIter(NDArrayIter(X, batch_size=4))
    plain.next(), ahead.next()
    assert ahead.get_state() == plain.get_state()
    state = ahead.get_state()
    rest = epoch(ahead)
    ahead.set_state(state)
    assert epoch(ahead) == rest
    ahead.close()


class Slow(io.DataIter):
    """Says in which thread batches are made, and raises at the third."""

    def __init__(self) -> None:
        super().__init__(2)
        self.made: list[str] = []
        self.asked = threading.Event()

    def iter_next(self) -> bool:
        self.made.append(threading.current_thread().name)
        if len(self.made) == 2:
            self.asked.set()
        if len(self.made) == 3:
            raise OSError("the disk is full")
        return True

    def getdata(self) -> list[Any]:
        return [np.ones(2) * len(self.made)]


def test_the_next_batch_is_made_in_a_thread_and_its_error_arrives() -> None:
    slow = Slow()
    ahead = PrefetchingIter(slow)
    first = ahead.next()
    # nobody asked for the second yet
    assert slow.asked.wait(30)
    assert all(name.startswith("prefetch") for name in slow.made)
    assert first.data[0].tolist() == [1.0, 1.0]
    assert ahead.next().data[0].tolist() == [2.0, 2.0]
    with pytest.raises(OSError, match="the disk is full"):
        ahead.next()
    assert ahead.next().data[0].tolist() == [4.0, 4.0]
    ahead.close()


# -- MXNet's iterators ---------------------------------------------------------------------------------------------------------------------
@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    numpy.savetxt(path, numpy.stack([X, X + 1], axis=1), delimiter=",")
    numpy.savetxt(tmp_path / "label.csv", Y, fmt="%d")
    return path


def test_mxnets_csv_iterator(table: Path) -> None:
    label = str(table.parent / "label.csv")
    batches = io.CSVIter(data_csv=str(table), data_shape=(2,), label_csv=label, label_shape=(1,), batch_size=4, round_batch=True)
    found = [io.cast_batch(batch, "float32") for batch in batches]
    assert len(found) == 3
    assert [b.pad for b in found] == [0, 0, 2]
    assert all(isinstance(b.data[0], np.ndarray) for b in found)
    numpy.testing.assert_array_equal(numpy.concatenate([b.data[0].asnumpy() for b in found])[:10], numpy.stack([X, X + 1], axis=1))
    assert numpy.concatenate([b.label[0].asnumpy().ravel() for b in found])[:10].tolist() == Y.tolist()


def test_mxnets_arrays_are_taken_wherever_arrays_are() -> None:
    theirs = mxnet().nd.arange(6).reshape((2, 3))
    expected = [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    for made in (np.array(theirs), np.asarray(theirs), np.sum(theirs, axis=0) * 0 + theirs, np.array(theirs, dtype="float64")):
        assert isinstance(made, np.ndarray)
        assert made.tolist() == expected
    assert np.asarray(theirs).dtype == "float32" and np.array(theirs, "int64").dtype == "int64"
    minpy_jit.set_default_dtype("float32")
    try:
        assert np.array(theirs).tolist() == expected
    finally:
        minpy_jit.set_default_dtype(None)


def test_mxnets_iterators_are_here_under_their_names() -> None:
    names = ("CSVIter", "ImageRecordIter", "ImageRecordUInt8Iter", "ImageDetRecordIter", "MNISTIter", "MXDataIter", "ResizeIter")
    assert all(getattr(io, name) is getattr(mxnet().io, name) for name in names)
    with pytest.raises(AttributeError, match="has no attribute 'NoSuchIter'"):
        _ = io.NoSuchIter


def test_prefetching_from_mxnets_iterator() -> None:
    mx = mxnet()
    ahead = PrefetchingIter(mx.io.NDArrayIter(mx.nd.arange(10), batch_size=4))
    for _ in range(2):
        assert [batch.data[0].asnumpy().tolist() for batch in ahead] == [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0], [8.0, 9.0, 0.0, 1.0]]
        ahead.reset()
    ahead.close()


# -- casts and files -----------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given", "dtype"),
    [("float64", "float32"), ("float32", "float32"), ("float16", "float32"), ("int64", "int64"), ("uint8", "uint8"), ("bool", "bool")],
)
def test_floats_are_cast_and_nothing_else(given: str, dtype: str) -> None:
    array = numpy.ones(3, given)
    for value in (array, np.array(array)):
        found = io.cast(value, "float32")
        assert isinstance(found, np.ndarray)
        assert found.dtype == dtype
    assert io.cast(numpy.ones(2, "float32"), "float64").dtype == "float64"


def test_a_batch_is_moved_to_the_models_context() -> None:
    batch = io.cast_batch(DataBatch([X], [Y], pad=2, index=None), "float32", minpy_jit.cpu(1))
    assert batch.data[0].context == minpy_jit.cpu(1) and batch.label[0].context == minpy_jit.cpu(1)
    assert batch.pad == 2


def test_data_and_labels_in_a_file(tmp_path: Path) -> None:
    io.save_data_labels(np.array(X), Y, tmp_path / "file")
    data, labels = io.load_data_labels(tmp_path / "file")
    assert data.tolist() == X.tolist() and labels.tolist() == Y.tolist()
