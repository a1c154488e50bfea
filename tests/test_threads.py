"""Threads, each of which records its own program; and what comes in the middle: signal handlers, finalizers, debuggers, tasks."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import queue
import random
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from types import FrameType
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from benchmarks.threads import run_threads
from minpy_jit.autograd import tape
from minpy_jit.trace.recorder import current, run_lock
from minpy_jit.trace.step import Step


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    minpy_jit.flush()
    yield
    recorder = current()
    assert recorder.region is None and recorder.session is None and recorder.tapes == []
    assert recorder.mode == "lazy"
    run_threads(held_by_nobody)


def held_by_nobody() -> None:
    assert run_lock.acquire(timeout=60), "the run lock is still held"
    run_lock.release()


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads take turns a thousand times as often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


# -- many threads -----------------------------------------------------------------------------------------------------------------------
def turns(seed: int, number: int) -> None:
    """`number` flushes of a program whose operations are drawn, against NumPy."""
    draw = random.Random(seed)
    ours, theirs = np.full((4, 4), float(seed + 1)), numpy.full((4, 4), float(seed + 1))
    for k in range(number):
        kind = draw.randrange(6)
        if kind == 0:
            ours, theirs = ours * 0.5 + k % 7, theirs * 0.5 + k % 7
        elif kind == 1:
            for x in (ours, theirs):
                x[1:] = x[:-1] * 2 % 5
        elif kind == 2:
            ours, theirs = np.where(ours > 1, ours - 1, ours + 0.25), numpy.where(theirs > 1, theirs - 1, theirs + 0.25)
        elif kind == 3:
            ours, theirs = (ours @ ours.T) % 3, (theirs @ theirs.T) % 3
        elif kind == 4:
            ours, theirs = minpy_jit.grad(lambda x: np.sum(x * x * 0.25))(ours), theirs * 0.5
        else:
            ours, theirs = traced(ours), theirs * 0.25 + 2
        numpy.testing.assert_allclose(ours.asnumpy(), theirs, rtol=1e-9, atol=1e-9)


@minpy_jit.trace
def traced(x: Any) -> Any:
    return x * 0.25 + 2


@pytest.mark.parametrize("number", [150, pytest.param(10_000, marks=pytest.mark.slow)])
def test_eight_threads(number: int, record_property: Callable[[str, object], None]) -> None:
    before = minpy_jit.stats()["flushes"]
    run_threads(*[lambda seed=seed: turns(seed, number) for seed in range(8)])  # type: ignore[misc]
    flushes = minpy_jit.stats()["flushes"] - before
    # (counted without a lock, as many threads add to it)
    assert flushes > 7 * number
    record_property("summary", f"threads: 8 threads × {number:,} flushes, all as NumPy")


def test_threads_take_turns_often(switching: None) -> None:
    run_threads(*[lambda seed=seed: turns(seed, 25) for seed in range(6)])  # type: ignore[misc]


def test_a_pipeline_of_threads() -> None:
    first: queue.Queue[Any] = queue.Queue()
    second: queue.Queue[Any] = queue.Queue()
    seen = []

    def make() -> None:
        for i in range(200):
            first.put((i, np.ones(5) * i + 1))
        first.put(None)

    def change() -> None:
        while (item := first.get()) is not None:
            i, x = item
            y = x * 2
            y[0] = i
            second.put((i, y))
        second.put(None)

    def look() -> None:
        while (item := second.get()) is not None:
            i, y = item
            y += 1
            assert y.tolist() == [i + 1.0, *[(i + 1) * 2.0 + 1] * 4]
            seen.append(i)

    run_threads(make, change, look)
    assert seen == list(range(200))


# -- looking at what another thread records ------------------------------------------------------------------------------------------
def observed_while(record: Callable[[list[Any], int], None], number: int) -> None:
    """`record(box, k)` again and again in one thread, while two others look at what is in the box."""
    box: list[Any] = [np.ones(3)]
    done = threading.Event()

    def write() -> None:
        try:
            for k in range(number):
                record(box, k)
        finally:
            done.set()

    def look() -> None:
        while not done.is_set():
            str(box[0])

    run_threads(write, look, look)


def test_looking_at_a_gradient_in_the_making(switching: None) -> None:
    def record(box: list[Any], k: int) -> None:
        def f(x: Any) -> Any:
            y = x * 2.0
            box[0] = y
            z = y * x
            box[0] = z
            w = z * y + float(k)
            box[0] = w
            return np.sum(w * x)

        # w * x = 4 x^4 + k x
        found = minpy_jit.grad(f)(np.full(3, 1.5)).asnumpy()
        numpy.testing.assert_allclose(found, 16 * 1.5**3 + k)

    observed_while(record, 150)


def test_looking_at_traced_and_pure_functions(switching: None) -> None:
    pure = minpy_jit.trace(lambda x: x * 3.0 + 1, pure=True)

    def record(box: list[Any], k: int) -> None:
        x = np.full(4, float(k))
        box[0] = x
        y = traced(x)
        box[0] = y
        z = pure(y)
        box[0] = z
        with minpy_jit.trace():
            w = z - 1
            box[0] = w
        assert w.tolist() == [3 * (0.25 * k + 2)] * 4

    observed_while(record, 150)


def test_looking_at_writes(switching: None) -> None:
    x = np.zeros(50)
    done = threading.Event()

    def write() -> None:
        for k in range(600):
            x[:] = float(k)
        done.set()

    def look() -> None:
        while not done.is_set():
            values = x.asnumpy()
            assert (values == values[0]).all()

    run_threads(write, look, look)
    assert x.tolist() == [599.0] * 50


def test_a_thread_that_dies_with_pending_work() -> None:
    box: list[Any] = []

    def work() -> None:
        x = np.ones(5) * 3
        y = x + 1
        box.extend([y, y[1:], np.sum(y)])
        with minpy_jit.trace():
            box.append(y * 5)
        box.append(minpy_jit.grad(lambda z: np.sum(z * z))(np.ones(3)))
        box.append(minpy_jit.vjp(lambda z: z * z, np.ones(3) * 3)[1])
        raise KeyError("dies")

    with pytest.raises(KeyError):
        run_threads(work)
    gc.collect()
    y, part, total, product, gradient, pullback = box
    assert part.tolist() == [4.0] * 4 and float(total) == 20 and product.tolist() == [20.0] * 5
    part[:] = 7
    assert y.tolist() == [4.0, 7.0, 7.0, 7.0, 7.0]
    assert gradient.tolist() == [2.0] * 3
    assert pullback(np.ones(3))[0].tolist() == [6.0] * 3


def test_an_error_in_another_threads_work() -> None:
    box: list[Any] = []

    def work() -> None:
        x = np.arange(4.0)
        box.extend([x[np.arange(2) + 7], x + 1])

    run_threads(work)
    for _ in range(2):
        with pytest.raises(IndexError, match=rf"recorded at {__file__}:"):
            box[0].tolist()
        assert box[1].tolist() == [1.0, 2.0, 3.0, 4.0]


def test_settings_of_a_thread_are_its_own() -> None:
    found: dict[str, Any] = {}

    def look() -> None:
        found.update(mode=current().mode, context=minpy_jit.current_context(), dtype=minpy_jit.default_dtype())

    def change() -> None:
        minpy_jit.set_default_dtype("float32")
        assert np.ones(2).dtype == np.array([1.5]).dtype == np.random.rand(2).dtype == numpy.float32
        minpy_jit.mode("eager")
        minpy_jit.set_context(minpy_jit.cpu(1))
        assert np.ones(2).context == minpy_jit.cpu(1)
        minpy_jit.set_context(minpy_jit.cpu(0))
        np.seterr(divide="raise")
        with pytest.raises(FloatingPointError):
            np.ones(2) / 0

    with minpy_jit.mode("numpy"), minpy_jit.cpu(1):
        run_threads(look)
    assert found == {"mode": "lazy", "context": minpy_jit.cpu(0), "dtype": numpy.dtype("float64")}
    run_threads(change)
    look()
    assert found == {"mode": "lazy", "context": minpy_jit.cpu(0), "dtype": numpy.dtype("float64")}
    assert np.ones(2).dtype == np.array([1.5]).dtype == numpy.float64
    minpy_jit.set_default_dtype("float32")
    try:
        run_threads(look)
    finally:
        minpy_jit.set_default_dtype(None)
    assert found["dtype"] == numpy.float64
    assert np.isinf(np.ones(2) / 0).all()


def test_pools_of_threads() -> None:
    x = np.arange(10.0)
    with ThreadPoolExecutor(6) as pool:
        assert [float(v) for v in pool.map(lambda k: np.sum(x * k), range(100))] == [45.0 * k for k in range(100)]
        gradients = list(pool.map(lambda k: minpy_jit.grad(lambda z: np.sum(z * z * k))(x), range(50)))
    assert all(g.tolist() == [2.0 * k * i for i in range(10)] for k, g in enumerate(gradients))


# -- tasks -----------------------------------------------------------------------------------------------------------------------------
def test_asyncio_tasks() -> None:
    async def worker(k: int) -> Any:
        x = np.ones(4) * k
        for i in range(10):
            x = x + 1.0
            await asyncio.sleep(0)
            x *= 2.0
            if i % 5 == k % 5:
                float(x[0])
            await asyncio.sleep(0)
        return x

    async def in_a_block(k: int) -> Any:
        with minpy_jit.trace():
            x = np.ones(3) * k
            await asyncio.sleep(0)
            y = x * 2
            await asyncio.sleep(0.001 * (k % 3))
        return y

    async def elsewhere(k: int) -> Any:
        x = np.ones(3) * k
        y = await asyncio.to_thread(lambda: traced(x) + 1)
        return y * 2

    async def all_of(function: Callable[[int], Any]) -> list[Any]:
        return await asyncio.gather(*[function(k) for k in range(8)])

    for k, x in enumerate(asyncio.run(all_of(worker))):
        value = float(k)
        for _ in range(10):
            value = (value + 1) * 2
        assert x.tolist() == [value] * 4
    assert [x.tolist() for x in asyncio.run(all_of(in_a_block))] == [[2.0 * k] * 3 for k in range(8)]
    assert [x.tolist() for x in asyncio.run(all_of(elsewhere))] == [[(0.25 * k + 3) * 2] * 3 for k in range(8)]


def test_a_task_that_is_cancelled() -> None:
    async def main() -> Any:
        x = np.ones(3)

        async def long() -> None:
            with minpy_jit.trace():
                y = x * 2
                await asyncio.sleep(60)
                y.tolist()

        task = asyncio.create_task(long())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return x + 1

    assert asyncio.run(main()).tolist() == [2.0] * 3


def test_contextvars() -> None:
    variable: contextvars.ContextVar[Any] = contextvars.ContextVar("variable")
    variable.set(np.ones(3) * 2)

    def inner() -> Any:
        variable.set(variable.get() + 1)
        return variable.get()

    copied = contextvars.copy_context()
    assert copied.run(inner).tolist() == [3.0] * 3
    assert variable.get().tolist() == [2.0] * 3
    found: list[Any] = []
    run_threads(lambda: found.append(copied.run(inner)))
    assert found[0].tolist() == [4.0] * 3


def test_generators_take_turns() -> None:
    def counting(start: float) -> Iterator[Any]:
        x = np.ones(2) * start
        while True:
            x = x + 1
            yield x

    first, second = counting(1), counting(10)
    assert [(next(first).tolist(), float(next(second)[0])) for _ in range(3)] == [([k + 2.0] * 2, k + 11.0) for k in range(3)]


# -- in the middle of recording ----------------------------------------------------------------------------------------------------------
def program(library: Any, number: int) -> Any:
    """Something of everything that is recorded."""
    x = library.ones(5)
    for i in range(number):
        x = x * 0.5 + 1.0
        x[0] = 2.0
        part = x[1:3]
        part += i
        if i % 9 == 0:
            float(x[0])
    return x


@pytest.mark.parametrize("install", [sys.settrace, sys.setprofile])
def test_a_debugger_that_looks(install: Callable[[Any], None]) -> None:
    calls = 0
    looked_at = np.arange(3.0) * 2 + 1
    values = []

    def debug(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls % 37 == 0:
            values.append(looked_at.tolist())
        return debug

    install(debug)
    try:
        found = program(np, 40)
    finally:
        install(None)
    assert found.tolist() == program(numpy, 40).tolist()
    assert len(values) > 20 and values == [[1.0, 3.0, 5.0]] * len(values)


def test_a_signal_handler_that_computes(on_signal: Callable[..., None]) -> None:
    total = np.zeros(4)
    seen: list[float] = []

    def handler(number: int, frame: Any) -> None:
        seen.append(float(total.sum()))
        (total + 1).sum()
        if len(seen) < 60:
            signal.setitimer(signal.ITIMER_REAL, 0.001)

    on_signal(signal.SIGALRM, handler)
    turns_done = 0
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    # by count, not by time: on a busy machine handlers come late
    while len(seen) < 60:
        total += 1
        turns_done += 1
        if turns_done % 50 == 0:
            float(total[0])
    assert total.tolist() == [float(turns_done)] * 4
    assert all(s % 4 == 0 for s in seen) and seen == sorted(seen)


@pytest.mark.parametrize("differentiating", [False, True])
def test_a_signal_handler_that_differentiates(differentiating: bool, on_signal: Callable[..., None]) -> None:
    # loaded before: that takes seconds, of which a program that is interrupted all the time gets few
    minpy_jit.info()
    total = np.zeros(4)
    seen: list[float] = []
    gradients: list[Any] = []

    def handler(number: int, frame: Any) -> None:
        seen.append(float(total.sum()))
        scale = (total + 1).sum()
        gradients.append(minpy_jit.grad(lambda x: np.sum(x * x * 0.5) + np.sum(x * scale) * 0)(np.arange(3.0)))
        if len(seen) % 2:
            assert gradients[-1].tolist() == [0.0, 1.0, 2.0]
        written = np.ones(3) * 2
        written[1:] += 1
        gradients.append(written - 2)

    # (the next one comes when this one is done)
    def again(number: int, frame: Any) -> None:
        try:
            handler(number, frame)
        finally:
            if len(seen) < 25:
                signal.setitimer(signal.ITIMER_REAL, 0.002)

    on_signal(signal.SIGALRM, again)
    turns_done = 0
    signal.setitimer(signal.ITIMER_REAL, 0.002)
    while len(seen) < 25:
        total += 1
        turns_done += 1
        if differentiating:
            k = float(turns_done % 3)
            found = minpy_jit.grad(lambda x, k=k: np.sum(x * x * k + x[1:].sum()))(np.full(3, 1.5) + k)
            assert found.tolist() == [(3 + 2 * k) * k + more for more in (0, 3, 3)]
        if turns_done % 50 == 0:
            float(total[0])
    assert total.tolist() == [float(turns_done)] * 4
    assert all(s % 4 == 0 for s in seen) and seen == sorted(seen)
    assert [g.tolist() for g in gradients] == [[0.0, 1.0, 2.0], [0.0, 1.0, 1.0]] * len(seen)


@pytest.mark.parametrize("mode", ["lazy", "eager", "numpy"])
@pytest.mark.parametrize(
    ("owner", "name", "times"), [(tape, "pull", 1), (tape, "active_slots", 1), *[(Step, "remember", k) for k in (1, 2, 4)]]
)
def test_a_signal_handler_within_a_pullback(
    owner: Any, name: str, times: int, mode: str, monkeypatch: pytest.MonkeyPatch, on_signal: Callable[..., None]
) -> None:
    """What it records there is not taken for the pullback's when that is replayed."""
    seen: list[Any] = []
    came = 0

    def handler(number: int, frame: Any) -> None:
        seen.append((numpy.full(3, 2.0) * np.ones(3) + 1.5)[1:] * 2.0)
        seen.append(minpy_jit.grad(lambda z: np.sum(z * z * 0.5))(numpy.arange(2.0) + 7.0))

    original = getattr(owner, name)

    def interrupted(*args: Any) -> Any:
        nonlocal came
        found = original(*args)
        came += 1
        if came == times:
            signal.raise_signal(signal.SIGUSR1)
        return found

    on_signal(signal.SIGUSR1, handler)
    minpy_jit.clear_caches()
    with minpy_jit.mode(mode), monkeypatch.context() as patched:
        patched.setattr(owner, name, interrupted)
        for k in range(4):
            x = numpy.arange(1.0, 4.0) + k
            found = minpy_jit.grad(lambda y: np.sum(y * y * y + 0.25))(np.array(x)) * 3.0
            assert found.tolist() == (9 * x**2).tolist()
    assert [x.tolist() for x in seen] == [[7.0, 7.0], [7.0, 8.0]]


# one that comes within another library's callback of the garbage collector is Python's to print, and nobody's to catch
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_interrupted_by_a_timer_again_and_again(on_signal: Callable[..., None]) -> None:
    class Stop(BaseException):
        pass

    def handler(number: int, frame: Any) -> None:
        raise Stop

    draw = random.Random(0)
    w = numpy.ones((6, 6))
    ours = np.array(w)
    came = 0
    on_signal(signal.SIGALRM, handler)
    for _ in range(150):
        try:
            signal.setitimer(signal.ITIMER_REAL, draw.uniform(1e-5, 2e-3))
            try:
                y = ours * 1.0
                for i in range(1000):
                    y = y * 0.5 + float(i)
                    if i % 7 == 6:
                        float(y[0, 0])
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                # a handler that is due runs at the next call
                sleep(0)
        except Stop:
            came += 1
        z = ours * 3 + 1
        z[0] = 5.0
        expected = w * 3 + 1
        expected[0] = 5.0
        assert z.tolist() == expected.tolist()
        assert ours.tolist() == w.tolist()
    assert came > 50


def test_finalizers_that_compute() -> None:
    found: list[float] = []

    class Noisy:
        def __init__(self, x: Any) -> None:
            self.x, self.me = x, self

        def __del__(self) -> None:
            found.append(float((self.x * 2).sum()))

    before = gc.get_threshold()
    gc.set_threshold(40)
    try:
        ours, theirs = np.ones(4), numpy.ones(4)
        for i in range(200):
            Noisy(np.full(3, float(i)) + 1.0)
            ours, theirs = ours * 0.5 + float(i), theirs * 0.5 + float(i)
            ours[0] = theirs[0] = 3.0
            if i % 11 == 0:
                assert ours.tolist() == theirs.tolist()
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert ours.tolist() == theirs.tolist()
    assert sorted(found) == [6 * (i + 1.0) for i in range(200)]


def test_cycles_are_collected() -> None:
    refs = []

    class Node:
        pass

    for i in range(30):
        node: Any = Node()
        node.x = np.ones(100) * i
        node.y, node.me = node.x + 1, node
        refs.append(weakref.ref(node.y))
        if i % 2:
            node.y.asnumpy()
    del node
    gc.collect()
    minpy_jit.flush()
    assert [r() for r in refs] == [None] * 30


def test_a_thread_does_not_wait_for_the_owner() -> None:
    """The owner sleeps in the middle of its program; another looks at what is there."""
    box: list[Any] = []
    ready, go = threading.Event(), threading.Event()

    def own() -> None:
        x = np.ones(3) + 1
        box.append(x)
        ready.set()
        go.wait()
        box.append(x * 2)

    thread = threading.Thread(target=own)
    thread.start()
    ready.wait()
    assert box[0].tolist() == [2.0] * 3
    go.set()
    thread.join()
    assert box[1].tolist() == [4.0] * 3
