"""Contexts: what is made where, what may meet, who runs it, what is copied. `cpu(1)` goes the way of a GPU in everything."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
import itertools
import pickle
import re
import subprocess
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy
import numpy_calls
import numpy_driver
import op_driver
import pytest

import minpy_jit
import minpy_jit.numpy as np
from benchmarks.threads import run_threads
from minpy_jit import Context, cpu, current_context, gpu, grad, num_gpus, set_context
from minpy_jit.errors import ContextError, TransferError
from minpy_jit.exec import device, mx, reference
from minpy_jit.exec.mx import DeviceArray
from minpy_jit.exec.run import DevicePlan, plan_of
from minpy_jit.numpy.array import ValueHandle
from minpy_jit.trace import context as trace_context
from minpy_jit.trace.context import DeviceValue
from minpy_jit.trace.graph import Graph
from minpy_jit.trace.op import Op
from minpy_jit.trace.types import array_type

MODES = ("lazy", "eager", "numpy")
needs_no_gpu = pytest.mark.skipif(num_gpus() > 0, reason="the installed mxnet sees a GPU")
needs_gpu = pytest.mark.skipif(num_gpus() == 0, reason="the installed mxnet sees no GPU")
# where the programs below run beside the host
DEVICES = [pytest.param(cpu(1), id="cpu(1)"), pytest.param(gpu(0), id="gpu(0)", marks=needs_gpu)]


@pytest.fixture(autouse=True)
def _host_again() -> Iterator[None]:
    yield
    set_context(cpu(0))


THERE = cpu(1)


def here(value: Any, context: Context = THERE) -> Any:
    """A NumPy array as ours, on a context."""
    with context:
        return np.array(value)


def counts(*names: str) -> dict[str, int]:
    """Some of the counters."""
    found = minpy_jit.stats()
    return {name: found.get(name, 0) for name in names}


TRANSFERS = ("transfers_to_host", "transfers_to_device", "transfers_between_devices")


# -- the current context -----------------------------------------------------------------------------------------------------------------
def test_with_nests_and_is_left_on_errors() -> None:
    with cpu(1) as entered:
        assert entered is current_context() is cpu(1)
        with cpu(2):
            assert current_context() is cpu(2)
        with pytest.raises(KeyError), cpu(3):
            raise KeyError
        assert current_context() is cpu(1)
    assert current_context() is cpu(0)


def test_set_context_is_the_threads_own() -> None:
    set_context(cpu(1))
    assert np.ones(2).context is cpu(1)
    seen: list[Any] = []
    run_threads(lambda: seen.append((current_context(), np.ones(2).context)))
    assert seen == [(cpu(0), cpu(0))]
    with cpu(2):
        assert np.ones(2).context is cpu(2)
    assert current_context() is cpu(1)


def test_contexts_are_values() -> None:
    assert gpu(0) is gpu() and gpu(0) == gpu(0) != gpu(1) and cpu(0) != gpu(0)
    assert [repr(c) for c in (cpu(), cpu(1), gpu(2))] == ["cpu(0)", "cpu(1)", "gpu(2)"]
    assert pickle.loads(pickle.dumps(cpu(1))) is cpu(1) and copy.deepcopy(cpu(1)) is cpu(1)
    assert {cpu(1): "a"}[Context("cpu", 1)] == "a"
    assert (cpu(1).device_type, cpu(1).device_id) == ("cpu", 1)


def test_the_old_module_has_them() -> None:
    from minpy_jit import context

    assert context.cpu is cpu and context.gpu is gpu and context.set_context is set_context and context.num_gpus is num_gpus


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Context("tpu"), r"\[Context\] device type 'tpu' is unknown; use cpu\(i\) or gpu\(i\)"),
        (lambda: cpu(-1), r"\[Context\] device id -1 is not a non-negative integer"),
        (lambda: gpu(0.0), r"\[Context\] device id 0.0 is not a non-negative integer"),
    ],
)
def test_what_is_no_context(make: Callable[[], Any], text: str) -> None:
    with pytest.raises(ContextError, match=text):
        make()


def test_a_context_is_asked_for_by_its_object() -> None:
    with pytest.raises(TypeError, match=r"\[set_context\] needs a Context such as cpu\(\) or gpu\(0\); got 'gpu'"):
        set_context("gpu")
    with pytest.raises(TypeError, match=r"\[context\] needs a Context such as cpu\(\) or gpu\(0\); got 'gpu'"):
        np.ones(2).as_in_context("gpu")


# -- GPUs that are not there -------------------------------------------------------------------------------------------------------------
def line_of(error: BaseException) -> str:
    """The last line of this file in an error's traceback."""
    return next(str(f.line) for f in reversed(traceback.extract_tb(error.__traceback__)) if f.filename == __file__)


@needs_no_gpu
def test_asking_for_a_missing_gpu_is_an_error_at_that_line() -> None:
    x = np.ones(2)
    missing = r"^\[gpu\] gpu\(0\) is not available: the installed mxnet sees 0 GPU\(s\); use cpu\(\), or install a CUDA build of mxnet$"
    with pytest.raises(ContextError, match=missing) as error:  # noqa: SIM117  (the line that asks)
        with gpu(0):
            x + 1
    assert line_of(error.value) == "with gpu(0):"
    with pytest.raises(ContextError, match=missing) as error:
        set_context(gpu(0))
    assert line_of(error.value) == "set_context(gpu(0))"
    with pytest.raises(ContextError, match=missing) as error:
        x.as_in_context(gpu(0))
    assert line_of(error.value) == "x.as_in_context(gpu(0))"
    with pytest.raises(ContextError, match=missing):
        x.copyto(gpu(0))
    assert current_context() is cpu(0) and (x + 1).tolist() == [2, 2]


def test_the_number_of_gpus_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert num_gpus() == mx.count_gpus() == minpy_jit.info()["gpus"]
    monkeypatch.setattr(trace_context, "_gpu_counter", lambda: 1)
    with gpu(0):
        assert current_context() is gpu(0)
    with pytest.raises(ContextError, match=r"gpu\(1\) is not available: the installed mxnet sees 1 GPU\(s\)"):
        set_context(gpu(1))


@needs_no_gpu
def test_an_array_of_a_gpu_is_not_read_back_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(trace_context, "_gpu_counter", lambda: 1)
        stored = pickle.dumps(here(numpy.ones(2), gpu(0)))
    with pytest.raises(ContextError, match=r"\[gpu\] gpu\(0\) is not available"):
        pickle.loads(stored)


# -- where things are made ----------------------------------------------------------------------------------------------------------------
CREATED: dict[str, Callable[[], Any]] = {
    "array": lambda: np.array([1.0, 2.0]),
    "array of ints": lambda: np.array([1, 2]),
    "asarray": lambda: np.asarray(numpy.ones(2)),
    "zeros": lambda: np.zeros(2),
    "ones": lambda: np.ones((2, 2), "float32"),
    "empty": lambda: np.empty(2),
    "full": lambda: np.full(2, 7),
    "arange": lambda: np.arange(5),
    "linspace": lambda: np.linspace(0, 1, 3),
    "eye": lambda: np.eye(2),
    "tri": lambda: np.tri(2),
    "fromfunction": lambda: np.fromfunction(lambda i, j: i + j, (2, 2)),
    "mgrid": lambda: np.mgrid[0:2, 0:2],
    "r_": lambda: np.r_[1, 2],
    "indices": lambda: np.indices((2, 2)),
    "sin of a number": lambda: np.sin(1.0),
    "sum of a list": lambda: np.sum([1.0, 2.0]),
    "a fallback": lambda: np.histogram([1, 2, 3])[0],
    "random.rand": lambda: np.random.rand(2),
    "random.normal": lambda: np.random.normal(size=(2, 2)),
    "default_rng": lambda: np.random.default_rng(0).random(3),
    "a scalar draw": lambda: np.random.default_rng(0).integers(9),
    "complex": lambda: np.array([1j]),
    "strings": lambda: np.array(["a"]),
    "no elements": lambda: np.zeros((0, 3)),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CREATED)
def test_creation_follows_the_current_context(name: str, mode: str) -> None:
    with minpy_jit.mode(mode):
        with cpu(1):
            inside = CREATED[name]()
        outside = CREATED[name]()
    assert (inside.context, outside.context) == (cpu(1), cpu(0))
    assert inside.ctx is inside.device is cpu(1)


LIKE: dict[str, Callable[[Any], Any]] = {
    "arithmetic": lambda x: x * 2 + 1,
    "zeros_like": np.zeros_like,
    "full_like": lambda x: np.full_like(x, 3),
    "array": np.array,
    "asarray": np.asarray,
    "copy": lambda x: x.copy(),
    "copy.copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
    "pickle of a view": lambda x: pickle.loads(pickle.dumps(x[1:])),
    "pickle of a scalar": lambda x: pickle.loads(pickle.dumps(x.sum())),
    "astype": lambda x: x.astype("int32"),
    "comparison": lambda x: x > 1,
    "element": lambda x: x[0],
    "view": lambda x: x[1:],
    "reshape": lambda x: x.reshape(3, 1),
    "mask": lambda x: x[x > 1],
    "integers": lambda x: x[[0, 2]],
    "sum": np.sum,
    "sorted": np.sort,
    "fallback": np.nanmedian,
    "fallback of several results": lambda x: np.unique(x, return_counts=True)[1],
    "iteration": lambda x: next(iter(x)),
    "flat": lambda x: x.flat[1:],
    "abs": abs,
    "complex": lambda x: x + 1j,
    "nonzero": lambda x: np.nonzero(x)[0],
    "split": lambda x: np.split(x, 3)[1],
    "linalg": lambda x: np.linalg.norm(x),
    "fft": lambda x: np.fft.fft(x),
    "relu": minpy_jit.ops.relu,
    "gradient": lambda x: grad(lambda a: np.sum(np.sin(a)))(x),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", LIKE)
def test_results_live_where_their_operands_do(name: str, mode: str) -> None:
    with minpy_jit.mode(mode):
        there, on_host = here([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0])
        found, expected = LIKE[name](there), LIKE[name](on_host)
        assert (found.context, expected.context) == (cpu(1), cpu(0))
        with cpu(2):
            assert LIKE[name](there).context is cpu(1)
        numpy.testing.assert_array_equal(found.asnumpy(), expected.asnumpy())


# -- what may meet -----------------------------------------------------------------------------------------------------------------------
def _written(change: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def write(x: Any, y: Any) -> Any:
        change(x, y)
        return x

    return write


MIXED: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "iadd": _written(lambda x, y: x.__iadd__(y)),
    "maximum": np.maximum,
    "compare": lambda x, y: x < y,
    "matmul": lambda x, y: x @ y,
    "concatenate": lambda x, y: np.concatenate([x, y]),
    "stack": lambda x, y: np.stack((x, y)),
    "array of a list": lambda x, y: np.array([x, y]),
    "where": lambda x, y: np.where(x > 0, y, 0.0),
    "clip": lambda x, y: np.clip(x, y, 9.0),
    "setitem": _written(lambda x, y: x.__setitem__(slice(None), y)),
    "setitem of an element": _written(lambda x, y: x.__setitem__(0, y[0])),
    "setitem through a view": _written(lambda x, y: x[:].__setitem__(..., y)),
    "setitem by a mask": _written(lambda x, y: x.__setitem__(y > 1, 0.0)),
    "setitem by integers": _written(lambda x, y: x.__setitem__(y.astype(int) - 1, 0.0)),
    "getitem by a mask": lambda x, y: x[y > 1],
    "getitem by integers": lambda x, y: x[y.astype(int) - 1],
    "take": lambda x, y: np.take(x, y.astype(int) - 1),
    "out": _written(lambda x, y: np.add(y, y, out=x)),
    "copyto": _written(np.copyto),
    "flat": _written(lambda x, y: setattr(x, "flat", y)),
    "full_like": lambda x, y: np.full_like(x, y[0]),
    "dot": lambda x, y: x.dot(y),
    "einsum": lambda x, y: np.einsum("i,i", x, y),
    "searchsorted": np.searchsorted,
    "allclose": np.allclose,
    "fallback": lambda x, y: np.histogram(x, y),
    "fallback of nested arguments": lambda x, y: np.lexsort((x, y)),
    "gradient": lambda x, y: grad(lambda a: np.sum(a * y))(x),
    "tangent": lambda x, y: minpy_jit.jvp(np.sin, (x,), (y,)),
    "layer": lambda x, y: minpy_jit.ops.fully_connected(x.reshape(1, 3), y.reshape(1, 3)),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", MIXED)
def test_mixing_contexts_is_an_error_at_that_line(name: str, mode: str) -> None:
    with minpy_jit.mode(mode):
        for first, second in ((cpu(1), cpu(0)), (cpu(0), cpu(1)), (cpu(2), cpu(1))):
            x, y = here([1.0, 2.0, 3.0], first), here([1.0, 2.0, 3.0], second)
            with pytest.raises(ContextError, match=r"^\[\w+\] operands live on different contexts: .*; copy with x.as_in_context\(ctx\)"):
                MIXED[name](x, y)
            # nothing is left half done, and the advice helps
            assert x.tolist() == y.tolist() == [1.0, 2.0, 3.0] and x.context is first
            MIXED[name](x, y.as_in_context(first))


def test_the_error_is_raised_where_the_arrays_meet_not_where_they_run() -> None:
    x, y = here([1.0, 2.0]), np.ones(2)
    with pytest.raises(ContextError, match=r"\[multiply\] operands live on different contexts: cpu\(0\), cpu\(1\)") as error:
        x * y
    assert line_of(error.value) == "x * y"


def test_looking_at_arrays_of_several_contexts_is_no_mixing() -> None:
    x, y = here([1.0, 2.0]), np.array([1.0, 2.0])
    np.testing.assert_allclose(x, y)
    file = io.BytesIO()
    np.savez(file, x=x, y=y)
    file.seek(0)
    assert np.load(file)["x"].tolist() == [1.0, 2.0]
    assert f"{x} {y}" == "[1. 2.] [1. 2.]" and [x, y][1] is y


JOINED: dict[str, Callable[[Any], Any]] = {
    "+ array": lambda x: x + numpy.ones(3),
    "array +": lambda x: numpy.ones(3) + x,
    "- list": lambda x: x - [1, 2, 3],
    "+ scalar": lambda x: x + numpy.float64(2),
    "ufunc": lambda x: np.maximum(numpy.full(3, 2.0), x),
    "NumPy's ufunc": lambda x: numpy.maximum(numpy.full(3, 2.0), x),
    "NumPy's function": lambda x: numpy.concatenate([numpy.ones(2), x]),
    "concatenate": lambda x: np.concatenate([numpy.ones(2), x, [5]]),
    "where": lambda x: np.where([True, False, True], x, numpy.zeros(3)),
    "where=": lambda x: np.add(x, x, out=x.copy(), where=[True, False, True]),
    "initial": lambda x: np.sum(x, initial=4, where=numpy.array([True, True, False])),
    "index": lambda x: x[numpy.array([2, 0])],
    "mask": lambda x: x[numpy.array([True, False, True])],
    "setitem": lambda x: _set(x, [0, 1], [7.0, 8.0]),
    "setitem of an array": lambda x: _set(x, slice(None), numpy.array([7, 8, 9])),
    "setitem by a mask": lambda x: _set(x, numpy.array([True, False, True]), 0),
    "flat": lambda x: _set(x.flat, slice(1, None), [7, 8], x),
    "np.put": lambda x: (np.put(x, [0, 1], [7, 8]), x)[1],
    "add.at": lambda x: (np.add.at(x, [0, 0, 1], [1.0, 2.0, 3.0]), x)[1],
    "copyto": lambda x: (np.copyto(x, [7, 8, 9]), x)[1],
    "fill": lambda x: (x.fill(numpy.float32(3)), x)[1],
    "take": lambda x: x.take([2, 1]),
    "searchsorted": lambda x: np.searchsorted(x, [1.5, 2.5]),
    "list first": lambda x: np.searchsorted([0.0, 1.5], x),
    "outer": lambda x: np.multiply.outer([1, 2], x),
    "dot": lambda x: x.dot([1.0, 2.0, 3.0]),
    "matmul": lambda x: numpy.eye(3) @ x,
    "solve": lambda x: np.linalg.solve(numpy.eye(3) * 2, x),
    "polyval": lambda x: np.polyval([1, 2], x),
    "interp": lambda x: np.interp([1.5, 2.5], x, numpy.arange(3.0)),
    "nested list": lambda x: np.array([x, [1, 2, 3]]),
    "r_": lambda x: np.r_[x, [1, 2]],
    "meshgrid": lambda x: np.meshgrid([1, 2], x)[0],
    "clip": lambda x: np.clip(x, [0, 2, 0], None),
    "fallback": lambda x: np.histogram(numpy.arange(5), x)[0],
    "apply_along_axis": lambda x: np.apply_along_axis(lambda row: row + np.ones(3), 0, x),
    "tangent": lambda x: minpy_jit.jvp(np.sin, (x,), (numpy.ones(3),))[1],
    "cotangent": lambda x: minpy_jit.vjp(np.sin, x)[1](numpy.ones(3))[0],
    "hvp": lambda x: minpy_jit.hvp(lambda a: np.sum(a**3))(x, numpy.ones(3)),
    "gradient": lambda x: grad(lambda a: np.sum(a * numpy.arange(3)))(x),
    "layer": lambda x: minpy_jit.ops.fully_connected(x.reshape(1, 3), numpy.ones((2, 3)), numpy.ones(2)),
}


def _set(target: Any, key: Any, value: Any, result: Any = None) -> Any:
    target[key] = value
    return target if result is None else result


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", JOINED)
def test_numpys_arrays_lists_and_numbers_join_ours_where_they_live(name: str, mode: str) -> None:
    with minpy_jit.mode(mode):
        expected = JOINED[name](np.array([1.0, 2.0, 3.0])).asnumpy()
        found = JOINED[name](here([1.0, 2.0, 3.0]))
        assert found.context is cpu(1) and current_context() is cpu(0)
        numpy.testing.assert_array_equal(found.asnumpy(), expected)
        with cpu(2):
            assert JOINED[name](np.array([1.0, 2.0, 3.0]).as_in_context(cpu(0))).context is cpu(0)


def test_functions_can_be_pickled() -> None:
    for function in (np.sum, np.concatenate, np.linalg.solve, np.sin, np.histogram):
        assert pickle.loads(pickle.dumps(function)) is function


# -- the same programs there and here -----------------------------------------------------------------------------------------------------
def _aliasing(x: Any) -> Any:
    y, row, column = x, x[1], x[:, 1]
    x += 1
    row *= 2
    column[:] = column + row[0]
    x[0, ::2] = x[1, ::2]
    x[1:, :] = x[:-1, :]
    flat = x.reshape(-1)
    flat[4] = 100.0
    t = x.T
    t[0, 0] = -1
    swap = x[0, 0]
    x[0, 0] = x[1, 1]
    x[1, 1] = swap
    return [y, row, column, t, flat[::-1], np.diagonal(x)]


def _observed_in_between(x: Any) -> Any:
    row = x[1]
    found = [float(row.sum())]
    row += 1
    found.append(str(x))
    x[0, 0] = found[0]
    found.append(x.tolist())
    row[...] = 5
    return [x, row, *found]


def _loop(x: Any) -> Any:
    total = np.zeros(3)
    for k in range(5):
        total = total + np.tanh(x[k % 2]) * k
        if total.sum() > 1:
            total -= 0.5
    return [total, total[0], total.argmax()]


def _indices(x: Any) -> Any:
    picked = x[[1, 0], [2, 0]]
    mask = x > 1.5
    x[mask] *= 2
    x[[0, 1], [0, 0]] = [7.0, 8.0]
    x[..., None][0, 1] = 3
    return [picked, x, x[mask], np.nonzero(mask), x[:, [2, 0]], np.take_along_axis(x, np.argsort(x, axis=1), axis=1), x[-1, -2:]]


def _draws(x: Any) -> Any:
    np.random.seed(5)
    a = np.random.rand(2, 3) + x
    rng = np.random.default_rng(3)
    b = rng.normal(size=3)
    rng.shuffle(a)
    return [a, b, rng.choice(x[0], 2), np.random.permutation(4), rng.integers(9)]


def _dtypes(x: Any) -> Any:
    whole = (x * 3).astype("int64")
    return [
        whole + 2**40,
        whole.astype("int8") // 2,
        whole.astype("uint16") + 1,
        x.astype("float16") * 2,
        x + 1j,
        np.abs(x - 1j * x),
        x > 1,
        ~(x > 1),
        whole % 2 == 0,
        x.astype("float32").sum(),
        x.astype("float32") @ x.T.astype("float32"),
        x[:0].sum(),
        x[:, :0],
        np.array(16777217, "int32") + 0,
    ]


def _shapes(x: Any) -> Any:
    return [
        np.concatenate([x, x * 2]),
        np.stack([x, x], axis=1)[:, 1],
        np.pad(x, 1),
        np.roll(x, 1, axis=1),
        np.flip(x),
        np.repeat(x, 2, axis=0),
        np.tile(x, (2, 1)),
        *np.split(x, 3, axis=1),
        np.broadcast_to(x[0], (2, 3)) + 0,
        x.T @ x,
        np.einsum("ij,kj->ik", x, x),
        np.moveaxis(x[None], 0, 2),
        np.where(x > 1, x, -x),
        np.sort(-x, axis=0),
        x.transpose().ravel(),
        np.squeeze(x[None]),
        np.cumsum(x, axis=1),
        np.linalg.inv(x @ x.T),
    ]


def _reductions(x: Any) -> Any:
    return [
        f(x, axis=axis)
        for f in (np.sum, np.prod, np.max, np.min, np.mean, np.std, np.var, np.any, np.all, np.argmax, np.argmin)
        for axis in (None, 0, 1)
    ] + [np.linalg.norm(x), np.sum(x, keepdims=True), np.sum(x, where=x > 1, initial=2), x.sum().item()]


def _fallbacks(x: Any) -> Any:
    low = np.nanmedian(x, axis=0)
    counts, edges = np.histogram(x * 2, bins=3)
    return [low * 2 + x, counts + 1, edges.sum(), np.unique(x // 2), np.interp(x[0], x[0], x[1]) + 1, np.apply_along_axis(np.sum, 0, x)]


def _containers(x: Any) -> Any:
    copies = [copy.copy(x), copy.deepcopy({"x": x[1:]})["x"], pickle.loads(pickle.dumps(x[:, ::2])), x.copy(), np.array(x), x.astype("f8")]
    x[:] = 0
    for each in copies:
        each += 1
    return [*copies, x, list(x)[1], [float(v) for v in x[0]], x.__array__(), numpy.asarray(copies[0]), bytes(x.data)]


def _dlpack(x: Any) -> Any:
    return [numpy.from_dlpack(x * 2), np.from_dlpack(x.asnumpy()), x.__dlpack_device__(), memoryview(x.asnumpy()).tolist()]


def _numpys_own(x: Any) -> Any:
    theirs = numpy.ones(3)
    theirs += x[0]
    return [numpy.sin(x), numpy.concatenate([x, x]), theirs, numpy.add(x, 1), numpy.ones(3) * x]


def _number_kinds(x: Any) -> Any:
    found = []
    for k in range(4):
        found.append(x * k + 0.5 * k - True)
    s = x.sum()
    return [*found, s + 1, s * numpy.float32(2), 2**s, s > 3, {float(s): 1}, divmod(x, 2)]


def _layers(x: Any) -> Any:
    y = x.astype("float32")
    image = np.reshape(np.arange(32.0, dtype="float32"), (1, 2, 4, 4))
    return [
        minpy_jit.ops.relu(y - 2),
        minpy_jit.ops.softmax(y),
        minpy_jit.ops.fully_connected(y, np.ones((2, 3), "float32"), np.zeros(2, "float32")),
        minpy_jit.ops.convolution(image, np.ones((3, 2, 3, 3), "float32"), np.zeros(3, "float32"), pad=1),
        minpy_jit.ops.pooling(image, 2, stride=2),
        minpy_jit.ops.layer_norm(y, np.ones(3, "float32"), np.zeros(3, "float32")),
    ]


PROGRAMS: dict[str, Callable[[Any], Any]] = {
    f.__name__.lstrip("_"): f
    for f in (
        *(_aliasing, _observed_in_between, _loop, _indices, _draws, _dtypes, _shapes, _reductions, _fallbacks, _containers, _dlpack),
        *(_numpys_own, _number_kinds, _layers),
    )
}


def leaves(value: Any) -> Iterator[Any]:
    """What a result is made of."""
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from leaves(part)
    else:
        yield value


def compare_results(found: Any, expected: Any, context: Context, where: str, rtol: float = 0.0) -> None:
    """The same values of the same types, ours on the context."""
    for k, (mine, host) in enumerate(itertools.zip_longest(leaves(found), leaves(expected))):
        assert type(mine) is type(host), f"{where}, result {k}: {type(mine)}, on the host {type(host)}"
        if isinstance(host, ValueHandle):
            assert mine.context is context and host.context is cpu(0), f"{where}, result {k} is on {mine.context}"
            assert (mine.dtype, mine.shape, mine.strides) == (host.dtype, host.shape, host.strides), f"{where}, result {k}"
            numpy.testing.assert_allclose(mine.asnumpy(), host.asnumpy(), rtol, rtol, err_msg=f"{where}, result {k}")
        elif isinstance(host, numpy.ndarray):
            numpy.testing.assert_allclose(mine, host, rtol, rtol, err_msg=f"{where}, result {k}")
        else:
            assert mine == host, f"{where}, result {k}: {mine}, on the host {host}"


def run_on(context: Context, program: Callable[[Any], Any]) -> Any:
    """A program on its usual input, on a context."""
    with context:
        return program(np.array([[0.5, 1.0, 2.0], [1.5, 3.0, 0.25]]))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mode", [*MODES, "traced"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_are_the_same_there(name: str, mode: str, device: Context) -> None:
    # whatever the executor: MXNet's operators differ from NumPy's in the last place, and the first encounter on a device is MXNet's
    rtol = 2e-6 if name in ("layers", "dtypes") else 1e-14
    program = minpy_jit.trace(PROGRAMS[name]) if mode == "traced" else PROGRAMS[name]
    with minpy_jit.mode("lazy" if mode == "traced" else mode):
        for turn in range(3):
            compare_results(run_on(device, program), run_on(cpu(0), program), device, f"{name}, turn {turn}", rtol)


PURE: dict[str, Callable[[Any], Any]] = {
    "arithmetic": lambda x: np.tanh(x) * 2 + x.sum(),
    "several": lambda x: (x + 1, [x[0], x.T @ x]),
    "writes": lambda x: _set(x * 1, 0, 5.0),
    "made inside": lambda x: x + np.arange(3) + numpy.ones(3),
    "argument written to": lambda x: _set(x, (0, slice(None)), x[1]),
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", PURE)
def test_pure_functions_are_the_same_there(name: str, device: Context) -> None:
    program = minpy_jit.trace(pure=True)(PURE[name])
    for turn in range(4):
        compare_results(run_on(device, program), run_on(cpu(0), program), device, f"{name}, turn {turn}", 1e-15)


def test_a_pure_function_is_recorded_for_each_context() -> None:
    @minpy_jit.trace(pure=True)
    def f(x: Any) -> Any:
        calls.append(x.context)
        return x + np.ones(2)

    calls: list[Context] = []
    for context in (cpu(0), cpu(1), cpu(0), cpu(1)):
        with context:
            assert f(np.ones(2)).context is context
    assert calls == [cpu(0), cpu(1)]


# how many parts the calls of tests/test_namespace.py are cut into, of which one runs in the quick tests
CALLS = 24
# a float32 sum met by a float64: the last place of the first is in the middle of the second
ROUNDED = {"f.sum() + x.sum()"}


def _differing(lines: list[str], convert: Callable[[dict[str, Any]], dict[str, Any]], context: Context, folder: Path) -> dict[str, str]:
    """Lines that differ from NumPy's, their operands on a context."""

    def placed(operands: dict[str, Any]) -> dict[str, Any]:
        with context:
            return convert(operands)

    return numpy_driver.check_all(lines, numpy_calls.operands, placed, folder)


@pytest.mark.parametrize("mode", ["lazy", "eager"])
@pytest.mark.parametrize("part", [0, *[pytest.param(k, marks=pytest.mark.slow) for k in range(1, CALLS)]])
def test_numpys_functions_are_the_same_there(part: int, mode: str, tmp_path: Path) -> None:
    lines = [line for line in numpy_calls.all_calls()[part::CALLS] if line not in ROUNDED]
    with numpy_driver.in_mode(mode):
        known = _differing(lines, numpy_driver.all_ours, cpu(0), tmp_path)
        with cpu(1):
            found = _differing(lines, numpy_driver.all_ours, cpu(1), tmp_path)
    assert len(lines) > 100 and {line: text for line, text in found.items() if line not in known} == {}


@pytest.mark.parametrize("part", [5, *[pytest.param(k, marks=pytest.mark.slow) for k in range(CALLS) if k != 5]])
def test_numpys_operands_join_ours_there(part: int, tmp_path: Path) -> None:
    # what a line makes by itself lives on the current context, which is the host's here
    lines = [line for line in numpy_calls.all_calls()[part::CALLS] if numpy_driver.mixable(line, part % 2) and line not in ROUNDED]
    lines = [line for line in lines if line.count("np.") - line.count("dtype=np.") <= line.startswith("np.")]
    convert = numpy_driver.mixed(part % 2)
    known = _differing(lines, convert, cpu(0), tmp_path)
    found = _differing(lines, convert, cpu(1), tmp_path)
    assert len(lines) > 100 and {line: text for line, text in found.items() if line not in known} == {}


# -- every entry of the op table ----------------------------------------------------------------------------------------------------------
def moved(graph: Graph, context: Context) -> Graph:
    """A graph on another context."""

    def on(type_: Any) -> Any:
        if isinstance(type_, tuple):
            return tuple([on(t) for t in type_])
        return type_ if type_.weak else array_type(type_.shape, type_.dtype, type_.strides, type_.scalar, None, context)

    nodes = [
        dataclasses.replace(node, type=on(node.type), params=tuple([context if isinstance(p, Context) else p for p in node.params]))
        for node in graph.nodes
    ]
    return dataclasses.replace(graph, nodes=tuple(nodes))


def _outcome(run: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        with op_driver.quiet():
            return run(), None
    except Exception as error:
        return None, error


def compare_on(context: Context, op: Op, operands: list[Any], params: tuple[Any, ...], where: str) -> int:
    """One call on a context, bound and by itself, against the reference; returns how many MXNet nodes were bound."""
    try:
        graph = op_driver.graph_of_one(op, operands, params)
    except op_driver._ERRORS:
        return 0
    arrays = [o for o in operands if not op_driver.is_number(o)]
    numbers = [o for o in operands if op_driver.is_number(o)]
    expected, failure = _outcome(lambda: reference.run(graph, arrays, numbers))
    there = moved(graph, context)
    placed = [mx.place(a, context) for a in arrays]
    slots = tuple(range(len(graph.outputs)))
    plan = plan_of(there, slots)
    assert isinstance(plan, DevicePlan), where
    ways: dict[str, Callable[[], Any]] = {
        "bound": lambda: [plan.run(placed, numbers).values[k] for k in slots],
        "by itself": lambda: reference.run(there, placed, numbers, run_node=device.run_node),
    }
    for way, run in ways.items():
        found, error = _outcome(run)
        assert (error is None) == (failure is None), f"{where}, {way}: {error!r}, the reference {failure!r}"
        if failure is not None and error is not None:
            assert op_driver.error_class(error) is op_driver.error_class(failure), f"{where}, {way}: {error!r}, the reference {failure!r}"
            continue
        for value, wanted in zip(found, expected, strict=True):
            kept = wanted.dtype in mx.MX_DTYPES.values() and wanted.size > 0
            assert isinstance(value, DeviceValue) == kept, f"{where}, {way}: {type(value)}"
            host = value.host() if isinstance(value, DeviceValue) else value
            op_driver.assert_same_values(host, wanted, f"{where}, {way}", op_driver.tolerance(op), op.family)
    return plan.nodes


LOWERED = [op for op in op_driver.entries() if op.mxnet is not None]


def check_op_on(context: Context, op: Op, dtypes: tuple[str, ...]) -> int:
    """Every sample of an entry there. Returns how many MXNet nodes ran."""
    rng = numpy.random.default_rng(4)
    nodes = 0
    for number, sample in enumerate(op.samples):
        for dtype in op_driver.dtypes_of(sample, dtypes):
            operands = op_driver.operands_of(sample, dtype, rng)
            nodes += compare_on(context, op, operands, op.bind(sample.params), f"{op.name} sample {number} {dtype}")
            if op.family == "elementwise" and len(operands) > 1 and number == 0:
                nodes += compare_on(context, op, [operands[0], 2, *operands[2:]], op.bind(sample.params), f"{op.name} with 2 {dtype}")
    return nodes


@pytest.mark.parametrize("context", DEVICES)
@pytest.mark.parametrize("op", LOWERED, ids=lambda op: op.name)
def test_ops_are_the_same_there(op: Op, context: Context) -> None:
    wanted = tuple(str(d) for d in sorted(op.mxnet_dtypes, key=str) if str(d) in ("float32", "int32", "bool"))
    assert check_op_on(context, op, wanted or ("float32",)) > 0


@pytest.mark.slow
@pytest.mark.parametrize("context", DEVICES)
@pytest.mark.parametrize("op", op_driver.entries(), ids=lambda op: op.name)
def test_ops_are_the_same_there_in_every_dtype(op: Op, context: Context) -> None:
    nodes = check_op_on(context, op, op_driver.DTYPES)
    assert nodes > 0 or op.mxnet is None


def test_the_check_of_ops_there_rejects_a_wrong_lowering() -> None:
    from minpy_jit.trace.op import TABLE

    def wrong(low: Any, xs: list[Any], *_: Any) -> Any:
        return low.node("_npi_multiply", xs)

    for mxnet in (wrong, None):
        add = op_driver.altered(TABLE["add"], **({"mxnet": mxnet} if mxnet else {"numpy": numpy.subtract}))
        with pytest.raises(AssertionError, match="add sample 0 float32, bound"):
            check_op_on(cpu(1), add, ("float32",))


# -- gradients ---------------------------------------------------------------------------------------------------------------------------
def _network(w: Any) -> Any:
    x = np.arange(6.0).reshape(2, 3) / 6
    hidden = np.tanh(x @ w.reshape(3, 2))
    if hidden.sum() > 0:
        hidden = np.maximum(hidden, 0.1 * hidden)
    return np.mean((hidden - numpy.array([[0.0, 1.0], [1.0, 0.0]])) ** 2)


def _writing(w: Any) -> Any:
    y = w * 1
    y[0] = y[1] ** 2
    y[2:] += w[:4]
    y[y > 0.5] *= 2.0
    return np.sum(y * y) + y[[0, 0, 1]].sum()


def _through_numpy(w: Any) -> Any:
    return np.sum(np.real(np.fft.fft(w)) * w) + np.sort(w)[0]


def _powers(w: Any) -> Any:
    return np.sum(w**3 + 2.0**w + w ** numpy.array(2.0) + np.prod(w) / (1 + w) + abs(w) - w // 1 + np.logaddexp(w, 1.0))


def _looking(w: Any) -> Any:
    loss = np.sum(np.sin(w))
    if float(loss) > 0:
        loss = loss * w[0]
    str(loss)
    return loss + np.linalg.norm(w) + np.log(np.sum(np.exp(w)))


FUNCTIONS = {f.__name__.lstrip("_"): f for f in (_network, _writing, _through_numpy, _powers, _looking)}


DERIVATIVES: dict[str, Callable[[Callable[[Any], Any], Any], Any]] = {
    "grad": lambda f, w: grad(f)(w),
    "value_and_grad": lambda f, w: list(minpy_jit.value_and_grad(f)(w)),
    "grad of a container": lambda f, w: [grad(lambda d: f(d["a"]) * d["b"])({"a": w, "b": 2.0})["a"]],
    "vjp": lambda f, w: (lambda value, pull: [value, pull(numpy.float64(2.0))[0]])(*minpy_jit.vjp(f, w)),
    "jvp": lambda f, w: list(minpy_jit.jvp(f, (w,), (numpy.arange(6.0),))),
    "jacobian": lambda f, w: minpy_jit.jacobian(lambda a: np.stack([f(a), np.sum(a * a)]))(w),
    "hessian": lambda f, w: minpy_jit.hessian(f)(w),
    "hvp": lambda f, w: minpy_jit.hvp(f)(w, numpy.arange(6.0)),
    "grad of grad": lambda f, w: grad(lambda a: np.sum(grad(f)(a) ** 2))(w),
    "checkpoint": lambda f, w: grad(minpy_jit.checkpoint(f))(w),
    "traced": lambda f, w: grad(minpy_jit.trace(f))(w),
    "trace of grad": lambda f, w: minpy_jit.trace(grad(f))(w),
    "elementwise_grad": lambda f, w: minpy_jit.elementwise_grad(lambda a: a * f(a))(w),
    "stop_gradient": lambda f, w: grad(lambda a: f(a) * minpy_jit.stop_gradient(f(a)))(w),
}


# what differentiates a gradient, which a fallback's has not always
TWICE = ("hessian", "hvp", "jvp", "grad of grad")


@pytest.mark.parametrize("context", DEVICES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_are_the_same_there(name: str, mode: str, context: Context) -> None:
    function = FUNCTIONS[name]
    w = numpy.array([0.3, -0.2, 0.8, 0.6, -0.4, 0.1])
    with minpy_jit.mode(mode):
        for how, derive in DERIVATIVES.items():
            if how in TWICE and name == "through_numpy":
                continue
            for turn in range(2):
                with cpu(0):
                    expected = derive(function, np.array(w))
                with context:
                    found = derive(function, np.array(w))
                compare_results(found, expected, context, f"{how} of {name}, turn {turn}", 1e-12)


def test_backward_runs_where_forward_ran() -> None:
    x = here(numpy.linspace(0, 1, 6))
    for _ in range(3):
        with cpu(2):
            # neither the current context nor the host has a part in it
            g = grad(lambda a: np.sum(np.tanh(a) ** 2))(x)
            assert g.context is cpu(1)
            minpy_jit.reset_stats()
            minpy_jit.flush()
    assert minpy_jit.flush_log()[-1].executor == "mxnet" and minpy_jit.flush_log()[-1].host_steps == 0
    assert set(counts(*TRANSFERS).values()) == {0}
    assert type(g.memory) is DeviceArray and g.memory.context is cpu(1)


def test_a_gradient_returns_across_contexts() -> None:
    x, y = here([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])

    def f(a: Any, b: Any) -> Any:
        return np.sum(a.as_in_context(cpu(0)) * b) + np.sum(b.as_in_context(cpu(1)) * a).as_in_context(cpu(0))

    for _ in range(3):
        ga, gb = grad(f, argnum=(0, 1))(x, y)
        assert (ga.context, gb.context) == (cpu(1), cpu(0))
        assert (ga.tolist(), gb.tolist()) == ([8.0, 10.0, 12.0], [2.0, 4.0, 6.0])
    value, tangent = minpy_jit.jvp(f, (x, y), (numpy.ones(3), numpy.ones(3)))
    assert (float(value), float(tangent)) == (64.0, 42.0)


# -- what runs, and what is copied --------------------------------------------------------------------------------------------------------
class Training:
    """A network of two layers, minibatches by slices, momentum: what a training loop does."""

    def __init__(self, context: Context) -> None:
        rng = numpy.random.default_rng(0)
        with context:
            self.x = np.array(rng.standard_normal((256, 16)).astype("float32"))
            self.y = np.array(rng.integers(0, 4, 256))
            self.classes = np.arange(4)
            self.weights = [np.array(rng.standard_normal(s).astype("float32") * 0.3) for s in ((16, 8), (8,), (8, 4), (4,))]
        self.velocity = [np.zeros_like(w) for w in self.weights]

    def loss(self, weights: Any, x: Any, y: Any) -> Any:
        """Cross-entropy of labels."""
        a, b, c, d = weights
        scores = np.maximum(x @ a + b, 0) @ c + d
        scores = scores - scores.max(axis=1, keepdims=True)
        logs = scores - np.log(np.sum(np.exp(scores), axis=1, keepdims=True))
        return -np.mean(np.sum(logs * (y[:, None] == self.classes), axis=1))

    def step(self, i: int, rate: float = 0.1) -> Any:
        """One step on minibatch `i`; the loss."""
        at = slice(i * 32 % 256, i * 32 % 256 + 32)
        loss, gradients = minpy_jit.value_and_grad(self.loss)(self.weights, self.x[at], self.y[at])
        for w, v, g in zip(self.weights, self.velocity, gradients, strict=True):
            v *= 0.9
            v -= rate * g
            w += v
        return loss


@pytest.mark.parametrize("observe_every", [1, 4])
def test_a_training_step_copies_nothing_but_the_loss(observe_every: int) -> None:
    training = Training(cpu(1))
    for i in range(12):
        float(training.step(i))
    minpy_jit.reset_stats()
    for i in range(16):
        loss = training.step(i)
        if i % observe_every == observe_every - 1:
            float(loss)
        else:
            minpy_jit.flush()
    looks = 16 // observe_every
    wanted = {"transfers_to_host": looks, "bytes_to_host": 4 * looks, "transfers_to_device": 0, "transfers_between_devices": 0}
    wanted |= {"executor_runs": 16, "flushes": 16, "host_steps": 0, "fallbacks": 0, "compiles": 0, "binds": 0}
    assert counts(*wanted) == wanted
    assert {record.executor for record in minpy_jit.flush_log()} == {"mxnet"}
    assert {record.transfers for record in minpy_jit.flush_log()} == {(0, 0)}


def test_a_schedule_sends_its_numbers_in_one_copy_a_step() -> None:
    training = Training(cpu(1))
    for i in range(12):
        float(training.step(i, 0.1 / (1 + i)))
    minpy_jit.reset_stats()
    for i in range(12, 20):
        float(training.step(i, 0.1 / (1 + i)))
    # nine numbers of float32: rate and momentum for each parameter, and the zero of the rectifier
    wanted = {"transfers_to_device": 8, "bytes_to_device": 8 * 36, "transfers_to_host": 8, "executor_runs": 8, "compiles": 0, "binds": 0}
    assert counts(*wanted) == wanted


def test_training_is_the_same_there() -> None:
    here_, there = Training(cpu(0)), Training(cpu(1))
    for i in range(20):
        mine, host = there.step(i), here_.step(i)
        assert mine.context is cpu(1) and float(mine) == pytest.approx(float(host), rel=1e-5)
    for mine, host in zip(there.weights, here_.weights, strict=True):
        numpy.testing.assert_allclose(mine.asnumpy(), host.asnumpy(), 1e-4, 1e-5)


def test_values_are_copied_once_and_only_where_they_are_needed() -> None:
    data = numpy.arange(12.0).reshape(3, 4)
    x = here(data)
    minpy_jit.reset_stats()
    assert x.tolist() == data.tolist() and x[1].tolist() == data[1].tolist()
    # what came from the host is known there
    assert set(counts(*TRANSFERS).values()) == {0}
    y = x + x
    minpy_jit.wait(y)
    assert counts(*TRANSFERS) == {"transfers_to_host": 0, "transfers_to_device": 1, "transfers_between_devices": 0}
    for _ in range(3):
        assert y.tolist() == (data * 2).tolist() and float(y[1, 2]) == 12.0 and str(y[0]) == "[0. 2. 4. 6.]"
    assert counts(*TRANSFERS, "bytes_to_host") == dict.fromkeys(TRANSFERS, 1) | {"transfers_between_devices": 0, "bytes_to_host": y.nbytes}
    z = y.as_in_context(cpu(2))
    z = z + z
    minpy_jit.wait(z)
    # the host knows it: from there
    assert counts(*TRANSFERS) == {"transfers_to_host": 1, "transfers_to_device": 2, "transfers_between_devices": 0}
    w = (z + z).as_in_context(cpu(1))
    minpy_jit.wait(w)
    assert counts(*TRANSFERS) == {"transfers_to_host": 1, "transfers_to_device": 2, "transfers_between_devices": 1}
    assert w.context is cpu(1) and w.tolist() == (data * 8).tolist()


def test_reading_parts_of_an_array_copies_parts() -> None:
    x = here(numpy.ones((1000, 100))) * 2
    minpy_jit.wait(x)
    minpy_jit.reset_stats()
    assert x[7].tolist() == [2.0] * 100 and x[3:5].sum(axis=1).tolist() == [200.0, 200.0] and float(x[1, 1]) == 2.0
    assert x.reshape(-1)[:3].tolist() == [2.0] * 3
    assert counts("bytes_to_host") == {"bytes_to_host": 8 * (100 + 2 + 1 + 3)}
    # what lies apart in memory comes with all of it, once
    assert x[3:5, 10:12].tolist() == x[:2, ::50].tolist() == [[2.0, 2.0]] * 2
    assert counts("bytes_to_host") == {"bytes_to_host": 8 * (100 + 2 + 1 + 3) + x.nbytes}


def test_views_written_to_stay_there() -> None:
    x = here(numpy.zeros((4, 3))) + 1
    minpy_jit.flush()
    for turn in range(5):
        minpy_jit.reset_stats()
        row, column = x[1], x[:, 2]
        row += 1
        column *= 2
        x[2:] = x[:2]
        minpy_jit.flush()
        # the numbers are sent by the first turns, which run step by step, and by the one that binds
        assert turn < 3 or set(counts(*TRANSFERS).values()) == {0}
    expected = numpy.ones((4, 3))
    for _ in range(5):
        expected[1] += 1
        expected[:, 2] *= 2
        expected[2:] = expected[:2].copy()
    assert x.tolist() == expected.tolist() and row.tolist() == expected[1].tolist()


def test_in_eager_mode_arrays_stay_there() -> None:
    x, w = here(numpy.ones((4, 4), "float32")), here(numpy.ones((4, 4), "float32"))
    with minpy_jit.mode("eager"):
        for _ in range(3):
            minpy_jit.reset_stats()
            h = np.tanh(x @ w) * 2
            h[0] = h[1] + 1
            loss = np.sum(h * h)
            g = grad(lambda w, x=x: np.sum(np.tanh(x @ w)))(w)
            assert all(type(a.memory) is DeviceArray for a in (h, loss, g))
            assert mx.context_of(h.memory.handle) is cpu(1)
        assert set(counts(*TRANSFERS, "host_steps").values()) == {0}
        assert float(loss) > 0 and counts("transfers_to_host") == {"transfers_to_host": 1}


def test_a_step_through_numpy_is_copied_there_and_back() -> None:
    x = here(numpy.linspace(0, 1, 8))
    for turn in range(3):
        minpy_jit.reset_stats()
        # nothing in MXNet sorts by several keys; fmod is an entry without a lowering
        y = np.fmod(np.exp(x), 2.0) * 2 + 1
        minpy_jit.wait(y)
        record = minpy_jit.flush_log()[-1]
        assert record.host_steps == 1 and record.transfers[0] == 1 and record.transfers[1] >= 1, record
        assert record.executor == ("stepwise" if turn == 0 else "mixed") and counts("host_steps") == {"host_steps": 1}
    assert y.context is cpu(1) and type(y.memory) is DeviceArray
    text = minpy_jit.explain(lambda: np.fmod(np.exp(x), 2.0) * 2 + 1)
    assert "1 host step(s)" in text and "1 array(s) to the host, " in text


def test_one_flush_with_work_for_two_contexts_splits_by_context() -> None:
    x, y = here(numpy.ones(5)), np.array(numpy.ones(5))
    for turn in range(3):
        minpy_jit.reset_stats()
        a, b = np.sin(x) * 2, np.cos(y) + 1
        minpy_jit.flush()
        record = minpy_jit.flush_log()[-1]
        assert counts("flushes") == {"flushes": 1}
        if turn:
            assert (record.executor, counts("executor_runs")) == ("mxnet", {"executor_runs": 2})
        assert (a.context, b.context) == (cpu(1), cpu(0)) and type(a.memory) is DeviceArray and type(b.memory) is numpy.ndarray
    numpy.testing.assert_allclose(a.asnumpy(), numpy.sin(numpy.ones(5)) * 2, 1e-15)
    numpy.testing.assert_allclose(b.asnumpy(), numpy.cos(numpy.ones(5)) + 1, 1e-15)


def test_a_program_may_go_back_and_forth() -> None:
    x = here([1.0, 2.0, 3.0])
    for _ in range(3):
        minpy_jit.reset_stats()
        y = np.exp(x).as_in_context(cpu(0)) + 1
        z = (y * 2).as_in_context(cpu(1)) * x
        w = z.as_in_context(cpu(2)) - 1
        assert counts("flushes") == {"flushes": 0} and (y.context, z.context, w.context) == (cpu(0), cpu(1), cpu(2))
        numpy.testing.assert_allclose(w.asnumpy(), (numpy.exp([1.0, 2, 3]) + 1) * 2 * numpy.array([1.0, 2, 3]) - 1, 1e-15)
        assert counts("flushes") == {"flushes": 1}
    # the same array where nothing moves, and back without a copy of what is known
    assert x.as_in_context(cpu(1)) is x and x.as_in_ctx(cpu(1)) is x and x.to_device(cpu(1)) is x
    assert x.copyto(cpu(1)) is not x and x.copyto(cpu(0)).context is cpu(0)
    target = np.zeros(3, "float32")
    assert x.copyto(target) is target and target.tolist() == [1, 2, 3] and target.context is cpu(0)


def test_results_own_their_memory_there() -> None:
    x = here(numpy.ones(4))
    kept = []
    for k in range(6):
        kept.append(x * k + 1)
        minpy_jit.flush()
    assert [a.tolist() for a in kept] == [[k + 1.0] * 4 for k in range(6)]
    data = numpy.ones(3)
    y = here(data)
    data[:] = 7
    shown = y.asnumpy()
    shown[:] = 9
    assert (y * 1).tolist() == y.tolist() == [1, 1, 1]


def test_memory_of_results_is_used_again() -> None:
    x = here(numpy.ones(100))
    for _ in range(4):
        x = x * 1.5 + 1
        minpy_jit.flush()
    minpy_jit.reset_stats()
    for _ in range(20):
        x = x * 1.5 + 1
        minpy_jit.flush()
    wanted = {"binds": 0, "compiles": 0, "executor_runs": 20, "transfers_to_host": 0, "transfers_to_device": 0}
    assert counts(*wanted) == wanted


def test_waiting_waits_there() -> None:
    x = here(numpy.ones(3)) + 1
    minpy_jit.wait(x)
    x.wait_to_read()
    minpy_jit.wait()
    assert type(x.memory) is DeviceArray and not x.memory.known() and minpy_jit.why(x).endswith("24 bytes on cpu(1)")


def test_flush_limits_and_checks_hold_there() -> None:
    x = here(numpy.ones(3))
    with minpy_jit.config.override(max_steps=20):
        y = x
        for _ in range(100):
            y = y + 1
        assert y.tolist() == [101.0] * 3 and y.context is cpu(1)
    with minpy_jit.config.override(check_nan=True), pytest.raises(FloatingPointError, match=r"\[log\] result has a NaN or infinity"):
        str(np.log(x - 2))
    with minpy_jit.config.override(deterministic=True):
        assert (np.sin(x) * 2).context is cpu(1)
    with pytest.raises(IndexError, match=r"\[take\]|out of bounds"):
        str(np.take(x, here(numpy.array([7])) + 0))
    assert (x * 2).tolist() == [2.0] * 3


def test_threads_have_arrays_there() -> None:
    x = here(numpy.arange(4.0)) + 0
    found: list[Any] = []

    def work(k: int) -> None:
        with cpu(k):
            mine = np.ones(4) * k
            found.append((mine.context, (x + 1).tolist(), mine.tolist()))

    run_threads(*[partial(work, k) for k in (1, 2, 3)])
    assert sorted(found, key=lambda f: f[0].device_id) == [(cpu(k), [1.0, 2.0, 3.0, 4.0], [float(k)] * 4) for k in (1, 2, 3)]


# -- what goes wrong ----------------------------------------------------------------------------------------------------------------------
def run_script(text: str, *args: str) -> str:
    """What a program prints, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text), *args], capture_output=True, text=True, timeout=300, cwd=Path(__file__).parent.parent
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


OUT_OF_MEMORY = """
    import gc, os, resource
    # compiled before the limit: what a compiler holds is not counted
    os.environ["MINPY_JIT_CACHE_DIR"] = "off"
    import minpy_jit, minpy_jit.numpy as np
    from minpy_jit import cpu
    from minpy_jit.exec import mx

    gc.disable()
    mx.lib()
    unlimited = resource.getrlimit(resource.RLIMIT_AS)

    def size():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()

    for context in (cpu(0), cpu(1)):
        for mode in ("lazy", "eager"):
            with context, minpy_jit.mode(mode):
                x = np.ones((100, 100)) * 2
                for _ in range(3):
                    assert float((x * 3).sum()) == 60000
                before = size()
                resource.setrlimit(resource.RLIMIT_AS, (before + 300 * 2**20, unlimited[1]))
                for turn in range(4):
                    try:
                        # 100 MB, and then 800
                        big = np.zeros(12_500_000, "float64") + turn
                        bigger = np.concatenate([big] * 8)
                        print(float(bigger[7]))
                    except MemoryError as error:
                        text = str(error)
                        print(type(error).__name__, text.split("]")[0] + "]", "hold fewer" in text or "Unable to allocate" in text)
                    del big
                    bigger = None
                    # nothing is held (without the garbage collector) but what the pool says, and the rest works
                    assert size() - minpy_jit.info()["unused_bytes"] < before + 50 * 2**20
                    assert float((x * 3).sum()) == 60000 and x.context is context
                resource.setrlimit(resource.RLIMIT_AS, unlimited)
"""


def test_out_of_memory_is_a_memory_error_and_passes() -> None:
    assert run_script(OUT_OF_MEMORY).splitlines() == ["MemoryError [concatenate] True"] * 16


def test_what_devices_say_about_memory_is_a_memory_error(monkeypatch: pytest.MonkeyPatch) -> None:
    x = here(numpy.ones(3)) + 0
    minpy_jit.flush()

    class Failing:
        """MXNet's library, whose next copy fails."""

        def __init__(self, text: str) -> None:
            self.text, self.library = text.encode(), mx.lib()

        def __getattr__(self, name: str) -> Any:
            if name in ("MXNDArraySyncCopyToCPU", "MXNDArraySyncCopyFromCPU"):
                return lambda *args: -1
            return (lambda: self.text) if name == "MXGetLastError" else getattr(self.library, name)

    cuda = "MXNetError: Check failed: e == cudaSuccess: CUDA: "
    for text, kind, message in (
        ("src/storage/pooled_storage_manager.h:161: cudaMalloc retry failed: out of memory", MemoryError, "MXNet found no memory"),
        (
            cuda + "an illegal memory access was encountered",
            TransferError,
            r"\[copy\] copying 24 bytes from cpu\(1\) failed; MXNet says: .*",
        ),
    ):
        y = x * 2
        minpy_jit.flush()
        with monkeypatch.context() as patch:
            patch.setattr(mx, "_lib", Failing(text))
            for _ in range(2):
                with pytest.raises(kind, match=message):
                    y.tolist()
        # the value is still there
        assert y.tolist() == [2.0] * 3
        for turn in range(3):
            z = here(numpy.full(3, 4.0 + turn))
            with monkeypatch.context() as patch:
                patch.setattr(mx, "_lib", Failing(text))
                with pytest.raises(kind, match=r"\[sqrt\] MXNet found no memory|\[copy\] copying 24 bytes to cpu\(1\) failed"):
                    str(np.sqrt(z) * x)
            numpy.testing.assert_allclose((np.sqrt(z) * x).asnumpy(), numpy.sqrt(4.0 + turn), 1e-15)
    # a copy that failed says nothing about the operator
    minpy_jit.reset_stats()
    w = np.sqrt(x) * x
    minpy_jit.wait(w)
    assert counts("host_steps") == {"host_steps": 0}


def test_what_mxnet_refuses_there_runs_in_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    minpy_jit.clear_caches()
    x = here(numpy.linspace(0.1, 1, 5))
    bind, invoke = mx.Executor.__init__, mx.invoke
    arctan = mx.creator("_npi_arctan")

    def refusing_bind(self: Any, symbol: Any, *args: Any, **kwargs: Any) -> None:
        if '"_npi_arctan"' in symbols.get(id(symbol), ""):
            raise mx.MXNetError("Operator _npi_arctan is not implemented for GPU.")
        bind(self, symbol, *args, **kwargs)

    def refusing_invoke(operator: Any, *args: Any) -> Any:
        if operator.value == arctan.value:
            raise mx.MXNetError("Operator _npi_arctan is not implemented for GPU.")
        return invoke(operator, *args)

    symbols: dict[int, str] = {}
    load = mx.Symbol.__init__

    def remember(self: Any, json: str) -> None:
        symbols[id(self)] = json
        load(self, json)

    monkeypatch.setattr(mx.Symbol, "__init__", remember)
    monkeypatch.setattr(mx.Executor, "__init__", refusing_bind)
    monkeypatch.setattr(mx, "invoke", refusing_invoke)
    for turn in range(5):
        minpy_jit.reset_stats()
        y = np.arctan(np.exp(x) + 1) * 2
        numpy.testing.assert_allclose(y.asnumpy(), numpy.arctan(numpy.exp(x.asnumpy()) + 1) * 2, 1e-15)
        assert y.context is cpu(1) and counts("host_steps") == {"host_steps": 1}
        # refused once, and from then on the host's step between two executors
        assert counts("mxnet_errors") == {"mxnet_errors": 1 if turn == 0 else 0}
        assert turn < 2 or minpy_jit.flush_log()[-1].executor == "mixed"
    minpy_jit.clear_caches()


def test_an_error_of_the_program_leaves_what_does_not_depend_on_it() -> None:
    x = here(numpy.ones(3))
    for _ in range(3):
        good, bad = x * 2, np.take(x, here(numpy.array([9])))
        with pytest.raises(IndexError, match=r"\[take\].*recorded at .*test_contexts.py"):
            bad.tolist()
        assert good.tolist() == [2.0] * 3 and good.context is cpu(1)


def test_a_forked_process_has_the_values() -> None:
    text = """
        import os, numpy, minpy_jit, minpy_jit.numpy as np
        from minpy_jit import cpu

        with cpu(1):
            x = np.array([1.0, 2.0, 3.0])
        for _ in range(3):
            y = x * 2
            minpy_jit.flush()
        pid = os.fork()
        if pid == 0:
            assert y.tolist() == [2, 4, 6] and (np.tanh(y) + x).context is cpu(1) and (y + 1).tolist() == [3, 5, 7]
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        print((y + 1).tolist())
        """
    assert run_script(text) == "[3.0, 5.0, 7.0]\n"


def test_the_threaded_engine_has_the_same_results() -> None:
    text = """
        import numpy, minpy_jit, minpy_jit.numpy as np
        from minpy_jit import cpu, grad

        with cpu(1):
            x = np.array(numpy.linspace(0, 1, 1000))
        kept = []
        for k in range(6):
            y = np.tanh(x * k) + 1
            kept.append(y)
            z = grad(lambda a: np.sum(np.tanh(a * k)))(x)
            minpy_jit.flush()
        for k, y in enumerate(kept):
            assert numpy.allclose(y.asnumpy(), numpy.tanh(numpy.linspace(0, 1, 1000) * k) + 1, 1e-14)
        assert minpy_jit.stats()["executor_runs"] >= 3 and not minpy_jit.info()["synchronous"]
        print(type(kept[-1].memory).__name__)
        """
    assert run_script("import os; os.environ['MINPY_JIT_ENGINE'] = 'threaded'\n" + textwrap.dedent(text)) == "DeviceArray\n"


def test_the_readmes_program_prints_what_stands_there() -> None:
    text = (Path(__file__).parent.parent / "README.md").read_text()
    found = re.search(r"## Contexts and GPUs.*?```python\n(.*?)```\n\n```text\n(.*?)```", text, re.S)
    assert found is not None and run_script(found[1]) == found[2]


# -- a GPU --------------------------------------------------------------------------------------------------------------------------------
@needs_no_gpu
@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "layers"])
def test_gpu_contexts_go_the_same_way(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # contexts called gpu(0) whose memory is the host's: everything but the device itself
    monkeypatch.setattr(trace_context, "_gpu_counter", lambda: 1)
    monkeypatch.setitem(mx._DEVICE_TYPES, "gpu", mx._DEVICE_TYPES["cpu"])
    with contextlib.ExitStack() as stack:
        stack.callback(minpy_jit.clear_caches)
        for turn in range(3):
            rtol = 2e-6 if name == "dtypes" else 1e-14
            compare_results(run_on(gpu(0), PROGRAMS[name]), run_on(cpu(0), PROGRAMS[name]), gpu(0), f"{name}, turn {turn}", rtol)


@needs_gpu
def test_a_gpus_memory_is_its_own() -> None:
    x = here(numpy.ones(1000), gpu(0))
    for _ in range(3):
        y = np.tanh(x) * 2
        minpy_jit.flush()
        assert mx.context_of(y.memory.handle) is gpu(0) and minpy_jit.flush_log()[-1].host_steps == 0
    numpy.testing.assert_allclose(y.asnumpy(), numpy.tanh(1.0) * 2, 1e-6)
    assert not minpy_jit.info()["synchronous"]


@needs_gpu
def test_training_on_a_gpu() -> None:
    on_host, there = Training(cpu(0)), Training(gpu(0))
    for i in range(20):
        assert float(there.step(i)) == pytest.approx(float(on_host.step(i)), rel=1e-3)
    minpy_jit.reset_stats()
    for i in range(8):
        float(there.step(i))
    wanted = {"executor_runs": 8, "transfers_to_host": 8, "transfers_to_device": 0, "host_steps": 0, "compiles": 0}
    assert counts(*wanted) == wanted
