"""Iterators over batches.

`NDArrayIter` cuts arrays into batches, `PrefetchingIter` makes the next batch while this one is used, and MXNet's own iterators are here
under their names (`io.CSVIter`, `io.ImageRecordIter` …): asking for one loads mxnet.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.interop import mxnet
from minpy_jit.numpy.convert import chosen_dtype

Array = Any
Shape = tuple[int, ...]
LAST_BATCH = ("pad", "discard", "roll_over")


@dataclass(slots=True)
class DataBatch:
    """One batch.

    Attributes:
        data: its arrays, samples along the first axis.
        label: likewise.
        pad: how many samples at its end are there only to fill it.
        index: the samples' positions in the data, where they are known.
    """

    data: list[Array]
    label: list[Array]
    pad: int | None = None
    index: Any = None


class DataIter:
    """An iterator over batches: `for batch in it`, then `reset()` for the next epoch.

    A subclass gives `iter_next()`, which moves to the next batch, and `getdata()`, `getlabel()`, `getpad()`, `getindex()`, which read it;
    or `next()`.
    """

    def __init__(self, batch_size: int = 0) -> None:
        self.batch_size = batch_size

    def __iter__(self) -> DataIter:
        return self

    def __next__(self) -> DataBatch:
        return self.next()

    def next(self) -> DataBatch:
        """The next batch.

        Raises:
            StopIteration: the epoch is over.
        """
        if not self.iter_next():
            raise StopIteration
        return DataBatch(self.getdata(), self.getlabel(), self.getpad(), self.getindex())

    def reset(self) -> None:
        """Begin the next epoch."""

    def hard_reset(self) -> None:
        """Begin from the start, whatever was left over."""
        self.reset()

    def iter_next(self) -> bool:
        """Move to the next batch; whether there is one."""
        raise NotImplementedError(f"[{type(self).__name__}] give iter_next() and getdata(), or next()")

    def getdata(self) -> list[Array]:
        """The batch's data."""
        raise NotImplementedError(f"[{type(self).__name__}] give getdata()")

    def getlabel(self) -> list[Array]:
        """The batch's labels."""
        return []

    def getpad(self) -> int:
        """How many samples at the batch's end only fill it."""
        return 0

    def getindex(self) -> Any:
        """The samples' positions in the data, or None."""
        return None


def _named(source: Any, name: str, what: str) -> list[tuple[str, numpy.ndarray]]:
    """Data as users give it -> names and NumPy arrays."""
    if source is None:
        return []
    if isinstance(source, Mapping):
        parts = dict(source)
    elif isinstance(source, (list, tuple)):
        parts = {name: source[0]} if len(source) == 1 else {f"_{k}_{name}": part for k, part in enumerate(source)}
    else:
        parts = {name: source}
    found = []
    for key, part in parts.items():
        if not hasattr(part, "shape") or not len(part.shape):
            raise TypeError(f"[NDArrayIter] {what} {key!r} is a {type(part).__name__}; give an array, or a list or dict of arrays")
        found.append((str(key), part if type(part) is numpy.ndarray else np.asarray(part).asnumpy()))
    return found


class NDArrayIter(DataIter):
    """Batches of arrays: plain NumPy's, ours, or MXNet's.

    With `shuffle` the samples come in a new order in each epoch, drawn from NumPy's global stream at construction and at each reset. The
    iterator reads the arrays when a batch is asked for.

    Args:
        data: an array, or a list or dict of arrays with the same number of samples along the first axis.
        label: likewise, or None.
        batch_size: samples in a batch; not more than there are.
        shuffle: whether the samples come in random order.
        last_batch_handle: what becomes of the last samples where they do not fill a batch: "pad" fills it with samples from the epoch's
            beginning and says how many in `batch.pad`, "discard" leaves it out, and "roll_over" fills it likewise and begins the next epoch
            behind those samples, so that each is seen once.

    Raises:
        TypeError: not arrays.
        ValueError: different numbers of samples, none at all, fewer than `batch_size`, or an unknown `last_batch_handle`.

    >>> batches = NDArrayIter(np.arange(5.0), batch_size=2)
    >>> [(batch.data[0].tolist(), batch.pad) for batch in batches]
    [([0.0, 1.0], 0), ([2.0, 3.0], 0), ([4.0, 0.0], 1)]
    """

    def __init__(self, data: Any, label: Any = None, batch_size: int = 1, shuffle: bool = False, last_batch_handle: str = "pad") -> None:
        super().__init__(batch_size)
        self.data = _named(data, "data", "data")
        self.label = _named(label, "softmax_label", "label")
        if not self.data:
            raise ValueError("[NDArrayIter] no data; give an array, or a list or dict of arrays")
        counts = {name: len(part) for name, part in (*self.data, *self.label)}
        self.num_data = next(iter(counts.values()))
        if len(set(counts.values())) > 1:
            raise ValueError(f"[NDArrayIter] the arrays have different numbers of samples: {counts}")
        if not 1 <= batch_size <= self.num_data:
            raise ValueError(f"[NDArrayIter] batch_size = {batch_size} must be between 1 and the number of samples, {self.num_data}")
        if last_batch_handle not in LAST_BATCH:
            raise ValueError(f"[NDArrayIter] last_batch_handle = {last_batch_handle!r}; legal values: {', '.join(LAST_BATCH)}")
        self.shuffle, self.last_batch_handle = shuffle, last_batch_handle
        # where the epoch begins, and the batch that is read; both count samples
        self.start = 0
        self.cursor = -batch_size
        self.order: numpy.ndarray | None = None
        if shuffle:
            self.order = numpy.random.permutation(self.num_data)

    @property
    def provide_data(self) -> list[tuple[str, Shape]]:
        """Name and shape of each part of a batch's data."""
        return [(name, (self.batch_size, *part.shape[1:])) for name, part in self.data]

    @property
    def provide_label(self) -> list[tuple[str, Shape]]:
        """Name and shape of each part of a batch's labels."""
        return [(name, (self.batch_size, *part.shape[1:])) for name, part in self.label]

    def getnumiterations(self) -> int:
        """Batches in this epoch."""
        count = self.num_data - self.start
        return count // self.batch_size if self.last_batch_handle == "discard" else -(-count // self.batch_size)

    def reset(self) -> None:
        """Begin the next epoch: behind the samples that filled the last batch where they roll over, else at the first."""
        seen = self.cursor + self.batch_size - self.num_data
        self._begin(seen if self.last_batch_handle == "roll_over" and 0 < seen < self.batch_size else 0)

    def hard_reset(self) -> None:
        """Begin an epoch at the first sample."""
        self._begin(0)

    def _begin(self, start: int) -> None:
        self.start, self.cursor = start, start - self.batch_size
        if self.order is not None:
            # those that were seen ahead of their time come first, and are passed over
            self.order = numpy.concatenate([self.order[:start], numpy.random.permutation(self.order[start:])])

    def iter_next(self) -> bool:
        """Move to the next batch; whether there is one."""
        following = self.cursor + self.batch_size
        if following + (self.batch_size if self.last_batch_handle == "discard" else 1) > self.num_data:
            return False
        self.cursor = following
        return True

    def getindex(self) -> numpy.ndarray:
        """The positions of the batch's samples in the data."""
        if self.cursor < self.start:
            raise ValueError("[NDArrayIter] the epoch has not begun: call next() first")
        places = numpy.arange(self.cursor, self.cursor + self.batch_size) % self.num_data
        return places if self.order is None else self.order[places]

    def getdata(self) -> list[Array]:
        """The batch's data."""
        return self._read(self.data)

    def getlabel(self) -> list[Array]:
        """The batch's labels."""
        return self._read(self.label)

    def _read(self, parts: list[tuple[str, numpy.ndarray]]) -> list[Array]:
        if self.order is None and self.start <= self.cursor <= self.num_data - self.batch_size:
            return [np.array(part[self.cursor : self.cursor + self.batch_size]) for _, part in parts]
        index = self.getindex()
        return [np.array(part[index]) for _, part in parts]

    def getpad(self) -> int:
        """How many samples at the batch's end only fill it."""
        return max(self.cursor + self.batch_size - self.num_data, 0) if self.last_batch_handle == "pad" else 0

    def getsubiter(self, num_samples: int) -> NDArrayIter:
        """An iterator over that many samples of the data, drawn without replacement from NumPy's global stream."""
        chosen = numpy.random.permutation(self.num_data)[:num_samples]
        data, label = ({name: part[chosen] for name, part in parts} for parts in (self.data, self.label))
        return NDArrayIter(data, label, min(self.batch_size, len(chosen)))

    def get_state(self) -> dict[str, Any]:
        """Where the iteration stands: `set_state` of it goes on there. Numbers, None and NumPy arrays."""
        return {"start": self.start, "cursor": self.cursor, "order": self.order}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on where `get_state` was called, on the same data.

        Raises:
            ValueError: the state is one of other data.
        """
        order = state["order"]
        if (order is None) != (self.order is None) or (order is not None and len(order) != self.num_data):
            raise ValueError(f"[NDArrayIter] the state does not belong to an iterator over {self.num_data} samples, shuffle={self.shuffle}")
        self.start, self.cursor = int(state["start"]), int(state["cursor"])
        self.order = None if order is None else numpy.asarray(order)


class PrefetchingIter(DataIter):
    """Makes the next batch of another iterator in a thread while this one is used.

    Batches, their order and random numbers are those of the other iterator, whose `reset` runs in the caller's thread: what it draws from a
    global stream it must draw there (as `NDArrayIter` does), not in `next`.

    Args:
        source: the iterator; nobody else may move it meanwhile.

    >>> batches = PrefetchingIter(NDArrayIter(np.arange(4.0), batch_size=2))
    >>> [batch.data[0].tolist() for batch in batches]
    [[0.0, 1.0], [2.0, 3.0]]
    """

    def __init__(self, source: Any) -> None:
        super().__init__(source.batch_size)
        self.source = source
        # settings are those of a thread
        self._thread = ThreadPoolExecutor(
            max_workers=1, thread_name_prefix="prefetch", initializer=minpy_jit.set_default_dtype, initargs=(chosen_dtype(),)
        )
        self._context = minpy_jit.current_context()
        self._ahead: Future[Any] | None = None

    def __getattr__(self, name: str) -> Any:
        # num_data, provide_data, getnumiterations, getsubiter … are the other's
        if name.startswith("_") or name == "source":
            raise AttributeError(name)
        return getattr(self.source, name)

    def _load(self) -> tuple[Any, DataBatch | None]:
        state = self._state()
        with self._context:
            return state, next(self.source, None)

    def _state(self) -> Any:
        return self.source.get_state() if hasattr(self.source, "get_state") else None

    def _settle(self) -> tuple[Any, DataBatch | None]:
        """The batch that is being made, and the state before it; makes one if none is."""
        if self._ahead is None:
            self._ahead = self._thread.submit(self._load)
        return self._ahead.result()

    def next(self) -> DataBatch:
        """The next batch; the one after it is begun."""
        try:
            _, batch = self._settle()
        except BaseException:
            self._ahead = None
            raise
        if batch is None:
            raise StopIteration
        self._ahead = self._thread.submit(self._load)
        return batch

    def reset(self) -> None:
        """Begin the next epoch."""
        self._rewind()
        self.source.reset()

    def hard_reset(self) -> None:
        """Begin from the start, whatever was left over."""
        self._rewind()
        self.source.hard_reset()

    def _rewind(self) -> None:
        """The other iterator where a caller without prefetching would have it."""
        if self._ahead is not None:
            state, _ = self._settle()
            self._ahead = None
            if state is not None:
                self.source.set_state(state)

    def get_state(self) -> Any:
        """The other iterator's state, as if nothing had been made ahead; None where it has none to tell."""
        return self._state() if self._ahead is None else self._settle()[0]

    def set_state(self, state: Any) -> None:
        """Go on where `get_state` was called."""
        self._rewind()
        self.source.set_state(state)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()


def save_data_labels(X: Any, Y: Any, file_name: str | Path) -> None:
    """Write data and labels to a file (a pickle of NumPy arrays)."""
    with open(file_name, "wb") as file:
        pickle.dump({"data": numpy.asarray(X), "labels": numpy.asarray(Y)}, file, protocol=pickle.HIGHEST_PROTOCOL)


def load_data_labels(file_name: str | Path) -> tuple[Any, Any]:
    """What `save_data_labels` wrote: (data, labels). A pickle can run code: read only files that you trust."""
    with open(file_name, "rb") as file:
        found = pickle.load(file)
    return found["data"], found["labels"]


def __getattr__(name: str) -> Any:
    """MXNet's own iterators."""
    if name.endswith("Iter") and not name.startswith("_"):
        found = getattr(mxnet().io, name, None)
        if found is not None:
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def cast(value: Any, dtype: Any, context: Any = None) -> Array:
    """An array of a batch as a model takes it: floats in the model's dtype; integers and booleans (class numbers, tokens, masks) stay.

    Args:
        value: an array of NumPy's, ours or MXNet's.
        dtype: the floats' dtype.
        context: where it shall lie; None leaves it where it is.

    Returns:
        An array.

    >>> cast(numpy.ones(2), "float32").dtype, cast(numpy.arange(2), "float32").dtype
    (dtype('float32'), dtype('int64'))
    """
    found = np.asarray(value)
    if found.dtype.kind == "f" and found.dtype != dtype:
        found = found.astype(dtype)
    return found if context is None or found.context == context else found.as_in_context(context)


def cast_batch(batch: Any, dtype: Any, context: Any = None) -> DataBatch:
    """A batch (ours, MXNet's, or anything with `data` and `label`) with `cast` applied to its arrays."""

    def each(parts: Sequence[Any] | None) -> list[Array]:
        return [cast(part, dtype, context) for part in parts or ()]

    return DataBatch(each(batch.data), each(batch.label), getattr(batch, "pad", None), getattr(batch, "index", None))
