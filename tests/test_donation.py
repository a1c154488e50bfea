"""Memory of large results: inputs are read where they are, results have memory of their own or take over that of inputs which nobody holds
any more, and nobody can tell the difference."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.exec import eager, memory, regions
from minpy_jit.exec.mx import Executor
from minpy_jit.exec.run import NativeStage, plan_cache

pytestmark = pytest.mark.skipif(not regions.built(), reason="the region operator was not built: there was no C++ compiler")

# float32, above the size from which arrays are read where they are
SHAPE = (96, 80)


@pytest.fixture(autouse=True)
def native(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(minpy_jit.config, "native", True)
    minpy_jit.flush()
    yield
    minpy_jit.flush()


def numbers(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> numpy.ndarray:
    """Small integers as float32: sums and products of them are exact."""
    return numpy.random.default_rng(seed).integers(-4, 5, shape).astype(numpy.float32)


def in_place() -> int:
    """How many results stand in the memory of inputs so far."""
    return minpy_jit.stats().get("in_place", 0)


def updated(w: Any, g: Any, times: int) -> Any:
    """A parameter after some steps, each of them run."""
    for _ in range(times):
        w -= 0.5 * g
        w.wait_to_read()
    return w


def test_an_update_is_made_in_place() -> None:
    w, g = np.array(numbers(1)), np.array(numbers(2))
    before = in_place()
    w = updated(w, g, 6)
    assert in_place() - before >= 3
    assert numpy.array_equal(w.asnumpy(), numbers(1) - 3 * numbers(2))


def test_the_callers_arrays_are_never_written_to() -> None:
    mine, other = numbers(1), numbers(2)
    for make in (np.array, np.asarray):
        w = updated(make(mine), make(other), 5)
        assert numpy.array_equal(w.asnumpy(), numbers(1) - 2.5 * numbers(2))
        assert numpy.array_equal(mine, numbers(1)) and numpy.array_equal(other, numbers(2))


LOOKS: dict[str, Callable[[Any], Any]] = {
    "itself": lambda w: w,
    "view": lambda w: w[1:],
    "transposed": lambda w: w.T,
    "flat": lambda w: w.reshape(-1),
    "numpy": numpy.array,
    "part of numpy's": lambda w: numpy.array(w)[::2],
    "copy": lambda w: w.copy(),
    "in a list": lambda w: [w],
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
@pytest.mark.parametrize("write", [False, True], ids=["new", "inplace"])
def test_what_is_held_stays_what_it_was(look: Callable[[Any], Any], write: bool) -> None:
    def steps(w: Any, g: Any) -> list[Any]:
        found = []
        for _ in range(6):
            found.append(look(w))
            if write:
                w -= numpy.float32(0.5) * g
            else:
                w = w - numpy.float32(0.5) * g
            numpy.asarray(w[0, 0])
        return found

    got = steps(np.array(numbers(1)), np.array(numbers(2)))
    for one, other in zip(got, steps(numbers(1), numbers(2)), strict=True):
        assert numpy.array_equal(numpy.asarray(one), numpy.asarray(other))


def test_a_tape_keeps_what_its_pullback_needs() -> None:
    def loss(w: Any) -> Any:
        v = w
        for _ in range(3):
            v = v - 0.25 * v * v
            v.wait_to_read()
        return (v * v).sum()

    def by_hand(w: numpy.ndarray) -> numpy.ndarray:
        kept = []
        v = w
        for _ in range(3):
            kept.append(v)
            v = v - 0.25 * v * v
        g = 2 * v
        for v in reversed(kept):
            g = g * (1 - 0.5 * v)
        return g

    values = numpy.random.default_rng(3).normal(size=SHAPE).astype(numpy.float32) / 4
    for _ in range(4):
        got = minpy_jit.grad(loss)(np.array(values)).asnumpy()
        numpy.testing.assert_allclose(got, by_hand(values), rtol=1e-4, atol=1e-5)


# the new value of w, and what else reads the old one
STEPS: dict[str, Callable[[Any, Any, Any], tuple[Any, ...]]] = {
    "product": lambda xp, w, g: (w - w @ g,),
    "product first": lambda xp, w, g: (w @ g - w,),
    "product of others": lambda xp, w, g: (w - g @ g,),
    "row sums": lambda xp, w, g: (w - w.sum(axis=1, keepdims=True),),
    "column sums": lambda xp, w, g: (w - w.sum(axis=0),),
    "whole": lambda xp, w, g: (w + (w * g).max(),),
    "column sums beside": lambda xp, w, g: (w + g, w.sum(axis=0)),
    "row sums beside": lambda xp, w, g: (w + g, (w * g).sum(axis=1)),
    "product beside": lambda xp, w, g: (w - g, w @ g),
    "rolled": lambda xp, w, g: (w + xp.roll(w, 1, axis=0),),
    "running sums": lambda xp, w, g: (w - xp.cumsum(w, axis=0),),
    "gathered": lambda xp, w, g: (w - w[[*range(48, 96), *range(48)]],),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_value_that_is_read_elsewhere_is_not_written_over_too_early(step: Callable[[Any, Any, Any], tuple[Any, ...]]) -> None:
    # small integers as float64: every sum is exact
    shape = (96, 96)
    w, g = np.array(numbers(1, shape).astype(float)), np.array(numbers(2, shape).astype(float))
    expected, other = numbers(1, shape).astype(float), numbers(2, shape).astype(float)
    for _ in range(5):
        w, *beside = step(np, w, g)
        w.wait_to_read()
        expected, *others = step(numpy, expected, other)
        assert numpy.array_equal(w.asnumpy(), expected)
        for one, two in zip(beside, others, strict=True):
            assert numpy.array_equal(one.asnumpy(), two)


def test_two_results_do_not_share_an_operand() -> None:
    w, g = np.array(numbers(1)), np.array(numbers(2))
    a, b = numbers(1), numbers(2)
    for _ in range(6):
        w, v = w + g, w - g
        w.wait_to_read()
        a, c = a + b, a - b
        assert numpy.array_equal(w.asnumpy(), a) and numpy.array_equal(v.asnumpy(), c)
        w, a = w % 7, a % 7


def test_two_arrays_change_places() -> None:
    w, g, a, b = np.array(numbers(1)), np.array(numbers(2)), numbers(1), numbers(2)
    for _ in range(7):
        w, g = g * 2 % 7, w + 1
        w.wait_to_read()
        a, b = b * 2 % 7, a + 1
    assert numpy.array_equal(w.asnumpy(), a) and numpy.array_equal(g.asnumpy(), b)


def interrupting(monkeypatch: pytest.MonkeyPatch, after: bool) -> Callable[[], None]:
    """The next run of an executor is interrupted, before it has done anything or when it is done."""
    forward = Executor.forward
    pending = [False]

    def forward_and_raise(self: Executor) -> None:
        if not pending[0]:
            return forward(self)
        pending[0] = False
        if after:
            forward(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Executor, "forward", forward_and_raise)
    return lambda: pending.__setitem__(0, True)


@pytest.mark.parametrize("after", [False, True])
def test_an_interrupted_update_happens_once(monkeypatch: pytest.MonkeyPatch, after: bool) -> None:
    w, g = np.array(numbers(1)), np.array(numbers(2))
    w = updated(w, g, 4)
    interrupt = interrupting(monkeypatch, after)
    before = in_place()
    for _ in range(3):
        w -= 0.5 * g
        interrupt()
        with pytest.raises(KeyboardInterrupt):
            w.wait_to_read()
        w.wait_to_read()
    assert in_place() > before
    assert numpy.array_equal(w.asnumpy(), numbers(1) - 3.5 * numbers(2))


def test_an_interrupted_update_is_found_by_what_comes_next(monkeypatch: pytest.MonkeyPatch) -> None:
    w, g = np.array(numbers(1)), np.array(numbers(2))
    w = updated(w, g, 4)
    interrupt = interrupting(monkeypatch, after=True)
    w -= 0.5 * g
    interrupt()
    with pytest.raises(KeyboardInterrupt):
        w.wait_to_read()
    # goes on, and observes only then
    w = w * 2
    assert numpy.array_equal(w.asnumpy(), 2 * numbers(1) - 5 * numbers(2))
    del w
    gc.collect()


def test_what_a_signal_handler_observes(monkeypatch: pytest.MonkeyPatch) -> None:
    w, g = np.array(numbers(1)), np.array(numbers(2))
    held = [updated(w, g, 4)]
    del w
    forward = Executor.forward
    seen: list[numpy.ndarray] = []
    for after in (False, True):

        def forward_and_look(self: Executor, after: bool = after) -> None:
            monkeypatch.setattr(Executor, "forward", forward)
            if not after:
                seen.append(held[0].asnumpy())
            forward(self)
            if after:
                seen.append(held[0].asnumpy())

        w = held.pop()
        w -= 0.5 * g
        held.append(w)
        monkeypatch.setattr(Executor, "forward", forward_and_look)
        w.wait_to_read()
    assert numpy.array_equal(seen[0], numbers(1) - 2.5 * numbers(2))
    assert numpy.array_equal(seen[1], numbers(1) - 3 * numbers(2))
    assert numpy.array_equal(w.asnumpy(), numbers(1) - 3 * numbers(2))


def test_no_memory_for_a_result_leaves_the_inputs_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    w, g = np.array(numbers(1)), np.array(numbers(2))

    def step() -> Any:
        return w - 0.5 * g, w * g

    for _ in range(3):
        for value in step():
            value.wait_to_read()

    def refuse(*arguments: Any) -> Any:
        raise MemoryError("none left")

    one, other = step()
    monkeypatch.setattr(memory.pool, "array", refuse)
    # step by step it works
    one.wait_to_read()
    monkeypatch.undo()
    assert numpy.array_equal(one.asnumpy(), numbers(1) - 0.5 * numbers(2))
    assert numpy.array_equal(other.asnumpy(), numbers(1) * numbers(2))


def layouts() -> dict[str, numpy.ndarray]:
    wide = numbers(5, (96, 160))
    raw = numpy.zeros(4 * 96 * 80 + 1, numpy.uint8)
    unaligned = raw[1:].view(numpy.float32).reshape(SHAPE)
    unaligned[...] = numbers(6)
    locked = numbers(7)
    locked.flags.writeable = False
    return {
        "fortran": numpy.asfortranarray(numbers(4)),
        "every other": wide[:, ::2],
        "backwards": numbers(8)[::-1],
        "unaligned": unaligned,
        "read-only": locked,
        "repeated": numpy.broadcast_to(numbers(9, (1, 80)), SHAPE),
    }


@pytest.mark.parametrize("layout", layouts())
def test_inputs_of_any_layout(layout: str) -> None:
    x = layouts()[layout]
    for _ in range(3):
        got = (np.asarray(x) * 2 + 1).asnumpy()
    assert numpy.array_equal(got, x * 2 + 1)


def test_bools_are_read_and_made_where_they_are() -> None:
    x = numpy.random.default_rng(1).random((200, 200)) < 0.5
    for _ in range(3):
        mask = np.logical_not(np.asarray(x))
        mask.wait_to_read()
        both = np.logical_and(mask, np.asarray(x.T.copy()))
        both.wait_to_read()
    assert both.dtype == bool and numpy.array_equal(both.asnumpy(), ~x & x.T)


def test_results_of_every_run_have_memory_of_their_own() -> None:
    minpy_jit.clear_caches()
    x = np.array(numbers(1))
    kept = []
    for k in range(12):
        kept.append(x * k)
        kept[-1].wait_to_read()
    for k, y in enumerate(kept):
        assert numpy.array_equal(y.asnumpy(), numbers(1) * k)
    (plan,) = [p for p in plan_cache.plans.values() if p.runs > 5]
    # one executor serves them all
    assert [len(s.instances) for s in plan.stages if isinstance(s, NativeStage)] == [1]


def test_freed_memory_is_used_again_and_bounded() -> None:
    pool = memory.Pool(limit=3 << 16)
    dtype = numpy.dtype(numpy.uint8)
    arrays = [pool.array((1 << 16,), dtype, 1 << 16) for _ in range(5)]
    addresses = {memory.address_of(a) for a in arrays}
    assert len(addresses) == 5 and all(a % 64 == 0 for a in addresses) and pool.nbytes == 0
    view = arrays[0][5:]
    arrays.clear()
    # the view holds one
    assert pool.nbytes == 3 << 16
    again = [pool.array((1 << 14,), numpy.dtype(numpy.float32), 1 << 16) for _ in range(3)]
    assert {memory.address_of(a) for a in again} < addresses and pool.nbytes == 0
    del view, again
    assert pool.nbytes == 3 << 16
    # another size takes the place of one that is not asked for
    large = pool.array((1 << 17,), dtype, 1 << 17)
    del large
    assert pool.nbytes == 3 << 16
    huge = pool.array((1 << 20,), dtype, 1 << 20)
    huge[...] = 1
    del huge
    assert pool.nbytes == 3 << 16
    pool.clear()
    assert pool.nbytes == 0


def test_eager_mode_lets_go_of_arrays() -> None:
    with minpy_jit.mode("eager"):
        before = len(eager._adopted)
        for n in range(5):
            x = np.array(numpy.ones(1000 + n))
            assert (x * 2 + numpy.ones(1000 + n, bool)).asnumpy()[0] == 3
            del x
        gc.collect()
        assert len(eager._adopted) == before


def test_clear_caches_frees_unused_memory() -> None:
    x = np.array(numbers(1, (512, 512)))
    for _ in range(3):
        (x * 2).wait_to_read()
    assert memory.pool.nbytes > 0
    minpy_jit.clear_caches()
    assert memory.pool.nbytes == 0


def random_program(rng: numpy.random.Generator) -> Callable[[Any, list[Any]], list[Any]]:
    """A program on NumPy's namespace and some arrays: updates in place, names that move, views, what is looked at now and then."""
    lines = []
    for _ in range(int(rng.integers(4, 9))):
        i, j, k = (int(n) for n in rng.integers(0, 4, 3))
        lines.append((int(rng.integers(0, 9)), i, j, k))

    def run(xp: Any, arrays: list[Any]) -> list[Any]:
        names = list(arrays)
        kept: list[Any] = []
        for kind, i, j, k in lines:
            if kind == 0:
                names[i] -= names[j] * xp.float32(2)
            elif kind == 1:
                names[i] = names[j] + names[k]
            elif kind == 2:
                names[i][1:-1, 2:] += names[j][:-2, :-2]
            elif kind == 3:
                names[i] = names[j][::-1] - names[k]
            elif kind == 4:
                kept.append(names[i])
            elif kind == 5:
                kept.append(names[i][3:7])
            elif kind == 6:
                names[i][j] = names[k][i]
            elif kind == 7:
                names[i] = names[j].copy()
                names[i] %= xp.float32(5)
            else:
                names[i] = names[j] - names[k].max(axis=0)
            if (i + j) % 3 == 0:
                numpy.asarray(names[k])
            kept = kept[-2:]
        return [name % xp.float32(9) for name in names]

    return run


@pytest.mark.parametrize("seed", [*range(4), *[pytest.param(s, marks=pytest.mark.slow) for s in range(4, 60)]])
def test_random_programs(seed: int) -> None:
    program = random_program(numpy.random.default_rng(seed))
    ours = [np.array(numbers(s)) for s in range(4)]
    theirs = [numbers(s) for s in range(4)]
    for _ in range(5):
        ours, theirs = program(np, ours), program(numpy, theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert numpy.array_equal(numpy.asarray(one), other)
