"""What a gradient across flushes costs: what is stored, what is computed again, how often the rules run. Counts, not times."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit import check_grads, config, grad, hessian, value_and_grad
from minpy_jit.autograd import tape
from minpy_jit.exec import regions
from minpy_jit.exec.run import plan_cache
from minpy_jit.trace.step import INPUT, Step

pytestmark = pytest.mark.usefixtures("clean_state")
needs_native = pytest.mark.skipif(not regions.enabled(), reason="values are computed again in native loops only")
SIZE = 24


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the gradient rules of each operation were run."""
    counts: Counter[str] = Counter()
    original = tape.apply_rules

    def counting(builder: Any, path: Any, step: Step, *args: Any) -> None:
        counts[step.op.name] += 1
        original(builder, path, step, *args)

    monkeypatch.setattr(tape, "apply_rules", counting)
    return counts


def improve(x: Any, a: Any) -> tuple[Any, Any]:
    """A step of Newton's method towards the cube root, and how far it went."""
    new = x - (x * x * x - a) / (3.0 * x * x)
    return new, np.max(np.abs(new - x))


def roots(a: Any, step: Any = improve) -> Any:
    """The sum of cube roots: a `while` on a value."""
    x = a
    while True:
        x, error = step(x, a)
        if not error > 1e-6:
            return np.sum(x)


def points() -> numpy.ndarray:
    return numpy.linspace(1.0, 9.0, SIZE)


def stored() -> list[int]:
    """Of the compiled programs, how many results of the arrays' size each has (besides its own inputs)."""
    made = [[plan.graph.nodes[p] for p in set(plan.graph.outputs)] for plan in plan_cache.plans.values()]
    return sorted(sum(node.op is not INPUT and node.type.size == SIZE for node in nodes) for nodes in made)


def operations() -> list[Counter[str]]:
    """The operations of each compiled program."""
    return [Counter(node.op.name for node in plan.graph.nodes) for plan in plan_cache.plans.values()]


# -- how often ---------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("wrap", [lambda f: f, minpy_jit.trace, minpy_jit.trace(pure=True)], ids=["script", "trace", "pure"])
def test_a_loop_that_looks_at_a_value_runs_no_rule_again(wrap: Any, applied: Counter[str]) -> None:
    step, turns = wrap(improve), 0

    def counted(x: Any, a: Any) -> Any:
        nonlocal turns
        turns += 1
        return step(x, a)

    both = value_and_grad(lambda a: roots(a, counted))
    for call in range(5):
        a, turns = points(), 0
        before = minpy_jit.stats()
        applied.clear()
        value, gradient = both(np.array(a))
        assert float(value) == pytest.approx(numpy.cbrt(a).sum())
        numpy.testing.assert_allclose(gradient.asnumpy(), a ** (-2 / 3) / 3, rtol=1e-7)
        after = minpy_jit.stats()
        ran = {name: after[name] - before[name] for name in ("flushes", "executor_runs", "compiles", "recorded", "host_steps")}
        if call == 0:
            # what the first turn needs and what all others do, and the pullbacks of the first, the last and all between
            assert applied["divide"] == 5
        if call >= 2:
            assert not applied
            assert ran == {"flushes": turns + 1, "executor_runs": turns + 1, "compiles": 0, "recorded": 0, "host_steps": 0}


def test_rules_run_once_for_all_turns_of_a_loop(applied: Counter[str]) -> None:
    def f(x: Any, turns: int) -> Any:
        for _ in range(turns):
            x = np.sin(x) * x
            float(x[0])
        return np.sum(x)

    grad(f)(np.array(points()), 4)
    few = applied.total()
    applied.clear()
    minpy_jit.clear_caches()
    grad(f)(np.array(points()), 40)
    assert applied.total() == few


# -- what is stored ------------------------------------------------------------------------------------------------------------------------
@needs_native
def test_a_turn_stores_its_result_and_nothing_that_is_cheap_to_compute_again() -> None:
    for _ in range(4):
        grad(roots)(np.array(points())).tolist()
    # the first turn, the others, and the pullback with the loss
    assert stored() == [1, 1, 1]


@needs_native
def test_what_is_dear_is_stored_and_not_computed_again() -> None:
    def f(x: Any) -> Any:
        y = np.exp(x * 0.25) * x + np.tanh(x)
        float(np.sum(y))
        return np.sum(y * y)

    for _ in range(4):
        found = grad(f)(np.array(points()))
        found.tolist()
    x = points()
    y, slope = numpy.exp(x / 4) * x + numpy.tanh(x), numpy.exp(x / 4) * (x / 4 + 1) + 1 - numpy.tanh(x) ** 2
    numpy.testing.assert_allclose(found.asnumpy(), 2 * y * slope, rtol=1e-12)
    forward, backward = operations()
    assert forward["exp"] == forward["tanh"] == 1
    assert not backward["exp"] and not backward["tanh"]
    # exp, tanh, and the result itself
    assert stored() == [1, 3]


@needs_native
def test_what_was_computed_anyway_is_not_computed_again() -> None:
    kept: list[Any] = []

    def f(x: Any) -> Any:
        y = x * 3.0 - 1.0
        # held, so that it is a result of the flush
        kept[:] = [y]
        z = y * y
        float(np.sum(z))
        return np.sum(z * x)

    for _ in range(4):
        grad(f)(np.array(points())).tolist()
    forward, backward = operations()
    assert forward["subtract"] == 1
    assert not backward["subtract"]


def test_without_native_loops_nothing_is_computed_again() -> None:
    with config.override(native=False):
        for _ in range(4):
            found = grad(roots)(np.array(points())).asnumpy()
        assert max(stored()) > 3
    numpy.testing.assert_allclose(found, points() ** (-2 / 3) / 3, rtol=1e-7)


@needs_native
def test_what_views_show_and_masks_say_is_computed_again() -> None:
    scale = numpy.linspace(-1.0, 1.0, SIZE)
    counts = numpy.arange(SIZE)

    def f(x: Any) -> Any:
        y = np.where(x * scale > 0.5, x.reshape(4, 6)[None].reshape(SIZE) * 2, np.maximum(x, 3.0)) / (counts + 1)
        w = x[::-1] * y.astype("float32")
        float(np.sum(w))
        return np.sum(w * w)

    for _ in range(4):
        grad(f)(np.array(points())).tolist()
    # y and w are held by the function
    assert stored() == [1, 2]
    check_grads(f, rtol=1e-3, atol=1e-3, eps=1e-3)(points())


# -- still right ---------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["lazy", "eager", "numpy"])
def test_numbers_that_an_inner_gradient_wrote_are_known_after_a_flush(mode: str) -> None:
    def inner(x: Any) -> Any:
        return np.sum(np.sqrt(x) * x)

    def outer(x: Any) -> Any:
        g = grad(inner)(x)
        if float(np.sum(g)) > 0:
            return np.sum(g * g * g)
        return 0.0

    x = points()
    with minpy_jit.mode(mode):
        for _ in range(4):
            # g = 1.5 sqrt(x)
            numpy.testing.assert_allclose(grad(outer)(np.array(x)).asnumpy(), 1.5 * 1.5**3 * x**0.5, rtol=1e-12)


@pytest.mark.parametrize("mode", ["lazy", "eager", "numpy"])
def test_higher_orders_of_a_loop_that_looks_at_values(mode: str) -> None:
    a = points()
    with minpy_jit.mode(mode):
        for _ in range(3):
            second = grad(lambda a: np.sum(grad(roots)(a)))(np.array(a))
            numpy.testing.assert_allclose(second.asnumpy(), -2 / 9 * a ** (-5 / 3), rtol=1e-6)
        third = grad(lambda a: np.sum(grad(lambda a: np.sum(grad(roots)(a)))(a)))(np.array(a))
        numpy.testing.assert_allclose(third.asnumpy(), 10 / 27 * a ** (-8 / 3), rtol=1e-6)
        diagonal = hessian(roots)(np.array(a[:3]))
        numpy.testing.assert_allclose(diagonal.asnumpy(), numpy.diag(-2 / 9 * a[:3] ** (-5 / 3)), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("mode", ["lazy", "eager", "numpy"])
def test_in_place_writes_between_flushes(mode: str) -> None:
    def f(x: Any) -> Any:
        y = x * 1.0
        row = y[1:4]
        for k in range(3):
            y[k] = y[k + 1] * x[k] + 0.5
            row *= 1.5
            if float(np.sum(y)) > 0:
                y[1:] = y[:-1] * y[1:]
        return np.sum(y * y)

    with minpy_jit.mode(mode):
        check_grads(f, order=2)(numpy.array([0.5, 0.7, 0.9, 1.1, 0.4]))


def test_what_a_value_was_made_of_may_be_written_to_before_the_pullback() -> None:
    def f(x: Any) -> Any:
        held = x * 2.0
        y = held * held
        float(np.sum(y))
        # the pullback computes with what it was
        held += 1.0
        held[0] = 9.0
        float(np.sum(held))
        return np.sum(y * 3.0)

    for _ in range(4):
        numpy.testing.assert_array_equal(grad(f)(np.array(points())).asnumpy(), 24 * points())
    foreign = points()

    def g(x: Any) -> Any:
        y = x * foreign * 2.0 * x
        float(np.sum(y))
        foreign[:] = -1.0
        return np.sum(y)

    for _ in range(3):
        foreign[:] = 5.0
        numpy.testing.assert_array_equal(grad(g)(np.array(points())).asnumpy(), 20 * points())


def test_numbers_of_each_call_are_its_own() -> None:
    def f(x: Any, rate: float, power: int) -> Any:
        y = x * rate * x + power
        float(np.sum(y))
        return np.sum(y * y)

    x = points()
    for rate, power in ((2.0, 3), (0.5, 4), (-1.0, 5), (3.0, -6)):
        numpy.testing.assert_allclose(grad(f)(np.array(x), rate, power).asnumpy(), 4 * rate * x * (rate * x * x + power), rtol=1e-14)


@pytest.mark.parametrize("name", ["record_nodes", "pull", "apply_rules"])
def test_a_signal_handler_within_the_pullback_of_several_flushes(
    name: str, monkeypatch: pytest.MonkeyPatch, on_signal: Callable[..., None]
) -> None:
    seen: list[Any] = []
    came = 0

    def handler(number: int, frame: Any) -> None:
        seen.append((numpy.full(3, 2.0) * np.ones(3) + 1.5)[1:] * 2.0)

    original = getattr(tape, name)

    def interrupted(*args: Any) -> Any:
        nonlocal came
        found = original(*args)
        came += 1
        if came == 3:
            signal.raise_signal(signal.SIGUSR1)
        return found

    on_signal(signal.SIGUSR1, handler)
    a = points()
    with monkeypatch.context() as patched:
        patched.setattr(tape, name, interrupted)
        for _ in range(4):
            numpy.testing.assert_allclose(grad(roots)(np.array(a)).asnumpy(), a ** (-2 / 3) / 3, rtol=1e-7)
    assert [x.tolist() for x in seen] == [[7.0, 7.0]]
