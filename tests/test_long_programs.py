"""Programs longer than the limits of a segment: one that is observed is one program, one that is not stays in parts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit import config
from minpy_jit.exec import regions
from minpy_jit.exec.run import plan_cache
from minpy_jit.trace import limits
from minpy_jit.trace.stats import stats

MOST = 50


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    minpy_jit.flush()
    minpy_jit.clear_caches()
    with config.override(max_steps=MOST):
        minpy_jit.reset_stats()
        yield


@pytest.fixture
def native() -> None:
    if not regions.available():
        pytest.skip("needs the region operator")


def causes() -> Counter[str]:
    """Why was flushed since the last reset, which this is, too."""
    found = Counter(minpy_jit.stats()["flush_causes"])
    minpy_jit.reset_stats()
    return found


# so that no part of a program is like another
PATTERN = numpy.random.default_rng(9).integers(0, 3, 1000)


def turns(module: Any, x: Any, number: int, first: int = 0) -> Any:
    """Five steps a turn."""
    functions = (module.tanh, module.sin, module.arctan)
    for k in range(first, first + number):
        x = functions[PATTERN[k]](x) * 1.25 + 0.01 * (k % 3)
    return x


def test_a_program_that_was_observed_is_recorded_up_to_there() -> None:
    given = numpy.linspace(-1.0, 1.0, 6)
    expected = turns(numpy, given, 60)
    x = np.array(given)
    numpy.testing.assert_allclose(turns(np, x, 60).asnumpy(), expected, rtol=1e-12)
    found = causes()
    assert found["limit"] >= 4 and found["asnumpy"] == 1
    for _ in range(4):
        numpy.testing.assert_allclose(turns(np, x, 60).asnumpy(), expected, rtol=1e-12)
        assert causes() == {"asnumpy": 1}
    recorded, compiled = minpy_jit.stats()["recorded"], minpy_jit.stats()["compiles"]
    turns(np, x, 60).asnumpy()
    assert minpy_jit.stats()["recorded"] == recorded and minpy_jit.stats()["compiles"] == compiled
    assert minpy_jit.stats()["executor_runs"] == 1


def test_a_gradient_that_is_longer_than_a_segment() -> None:
    weights = {name: np.array(numpy.random.default_rng(k).standard_normal((4, 4)) * 0.5) for k, name in enumerate("uv")}
    data = np.array(numpy.random.default_rng(5).standard_normal((3, 4)))

    def loss(p: dict[str, Any]) -> Any:
        h = data * 0
        for _ in range(12):
            h = np.tanh(data @ p["u"] + h @ p["v"])
        return np.mean(h * h)

    slope = minpy_jit.value_and_grad(loss)
    with config.override(max_steps=10_000):
        value, gradients = slope(weights)
        expected = float(value), {k: g.asnumpy() for k, g in gradients.items()}
    minpy_jit.clear_caches()
    causes()
    for turn in range(5):
        value, gradients = slope(weights)
        assert float(value) == pytest.approx(expected[0], rel=1e-12)
        for k, g in gradients.items():
            numpy.testing.assert_allclose(g.asnumpy(), expected[1][k], rtol=1e-9)
        found = causes()
        assert found["float"] == 1
        assert bool(found["limit"]) is (turn == 0)


@pytest.mark.parametrize("kept", [False, True])
def test_a_traced_region_that_is_longer_than_a_segment(kept: bool) -> None:
    run = minpy_jit.trace(lambda x: turns(np, x, 60))
    x = np.ones(3)
    results = []
    for turn in range(4):
        y = run(x)
        if kept:
            results.append(y)
        numpy.testing.assert_allclose(y.asnumpy(), turns(numpy, numpy.ones(3), 60), rtol=1e-12)
        assert bool(causes()["limit"]) is (turn == 0)


def test_what_goes_on_for_longer_is_cut_again() -> None:
    x = np.ones(3)
    for _ in range(3):
        turns(np, x, 60).asnumpy()
    causes()
    for _ in range(2):
        y = turns(np, x, 150)
        found = minpy_jit.flush_log()
        assert len(found) > 4 and all(record.cause == "limit" for record in found)
        # the first time it goes as far as was known
        assert max(record.steps for record in found) <= limits.LONGEST * MOST
        numpy.testing.assert_allclose(y.asnumpy(), turns(numpy, numpy.ones(3), 150), rtol=1e-10)
        causes()
    # the second time nothing is expected of it any more
    assert max(record.steps for record in found) <= 2 * MOST


def test_what_is_too_long_to_be_one_program_stays_in_parts() -> None:
    x = np.ones(3)
    number = limits.LONGEST * MOST // 4
    for _ in range(3):
        turns(np, x, number).asnumpy()
        assert causes()["limit"] > limits.LONGEST // 2


def test_a_loop_whose_turns_are_alike_stays_in_parts() -> None:
    x = np.ones(3)
    for _ in range(4):
        y = x
        for _ in range(70):
            y = np.sin(y) * 1.25 + 0.5
        y.asnumpy()
        assert causes()["limit"] > limits.LONGEST // 2
    # the first part, those that are like the second, and the last
    assert len(plan_cache.plans) <= 3


def test_what_differs_each_time_stays_in_parts() -> None:
    x = np.ones(3)
    lengths = [40 + 2 * k for k in range(2 * limits.MOST_WAYS)]
    for number in lengths:
        numpy.testing.assert_allclose(turns(np, x, number).asnumpy(), turns(numpy, numpy.ones(3), number), rtol=1e-12)
    causes()
    for number in lengths[-3:]:
        turns(np, x, number).asnumpy()
        assert causes()["limit"] > 1


def test_a_branch_behind_the_limit() -> None:
    def run(module: Any, x: Any, k: int) -> Any:
        x = turns(module, x, 20)
        x = x * 2.0 if k % 2 else module.exp(x)
        return turns(module, x, 20, 500)

    x = np.array([0.5, -0.25])
    for k in range(8):
        numpy.testing.assert_allclose(run(np, x, k).asnumpy(), run(numpy, x.asnumpy(), k), rtol=1e-12)
        assert bool(causes()["limit"]) is (k == 0)


@pytest.mark.parametrize("exact", [False, True])
def test_a_loop_that_observes_nothing_is_cut_between_its_turns(exact: bool) -> None:
    with config.override(provenance="exact" if exact else "first"):
        x = np.ones(3)
        x.asnumpy()
        minpy_jit.reset_stats()
        for _ in range(600):
            y = x * 0.5
            z = np.tanh(y) + y
            x = z - y
        found = minpy_jit.flush_log()
        assert len(found) > 10
        # nothing but `x` and the values of the last turn is ever held
        assert max(record.live for record in found) <= 3
        assert len({record.site for record in found}) == 1
        assert x.shape == (3,)


def image(module: Any, u: Any, number: int) -> Any:
    for _ in range(number):
        u[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
    return u


def test_a_limit_of_bytes_is_for_what_is_there_at_a_time() -> None:
    given = numpy.random.default_rng(1).standard_normal((64, 64)).astype(numpy.float32)
    expected = image(numpy, given.copy(), 12)
    u = np.array(given)
    # its results are about 100 times 16 KiB, some of which are there at a time
    with config.override(max_steps=10_000, max_pending_bytes=1 << 20):
        for turn in range(4):
            numpy.testing.assert_allclose(image(np, u.copy(), 12).asnumpy(), expected, rtol=1e-5)
            assert bool(causes()["limit"]) is (turn == 0)


def test_what_holds_more_than_the_limit_of_bytes_stays_in_parts() -> None:
    def run(module: Any, x: Any) -> Any:
        held = [module.tanh(x + float(k)) for k in range(80)]
        total = held[0]
        for value in held[1:]:
            total = total + value
        return total

    x = np.ones((64, 64), dtype="float32")
    with config.override(max_steps=10_000, max_pending_bytes=1 << 20):
        for _ in range(4):
            numpy.testing.assert_allclose(run(np, x).asnumpy(), run(numpy, x.asnumpy()), rtol=1e-5)
            assert causes()["limit"] >= 1


def test_a_lower_limit_of_bytes_holds_for_what_is_known() -> None:
    u = np.ones((64, 64), dtype="float32")
    with config.override(max_steps=10_000, max_pending_bytes=1 << 20):
        for _ in range(3):
            image(np, u.copy(), 12).asnumpy()
        causes()
        image(np, u.copy(), 12).asnumpy()
        assert not causes()["limit"]
        with config.override(max_pending_bytes=1 << 15):
            numpy.testing.assert_allclose(image(np, u.copy(), 12).asnumpy(), image(numpy, u.asnumpy().copy(), 12), rtol=1e-5)


@pytest.mark.usefixtures("native")
def test_sweeps_over_an_image_write_where_it_stands() -> None:
    given = numpy.random.default_rng(2).standard_normal((200, 160)).astype(numpy.float32)
    u = np.array(given) + 0
    u.asnumpy()
    expected = given.copy()
    with config.override(max_steps=1000):
        for turn in range(6):
            before = stats.counts["in_place"]
            u = image(np, u, 5)
            minpy_jit.wait(u)
            expected = image(numpy, expected, 5)
            # views of a known array are no values of their own, which would hold its memory
            if turn >= 3:
                assert stats.counts["in_place"] == before + 1
                assert minpy_jit.flush_log()[-1].nodes == 1
    numpy.testing.assert_allclose(u.asnumpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("native")
def test_a_transposed_matrix_is_not_copied_for_a_product() -> None:
    a = np.array(numpy.random.default_rng(3).standard_normal((200, 120)))
    b = np.array(numpy.random.default_rng(4).standard_normal((200, 30)))
    for _ in range(3):
        numpy.testing.assert_allclose((a.T @ b).asnumpy(), a.asnumpy().T @ b.asnumpy(), rtol=1e-12)
    (plan,) = plan_cache.plans.values()
    assert [str(plan.graph.nodes[p].type) for p in plan.graph.inputs] == ["float64[200,120]", "float64[200,30]"]


def test_a_small_view_of_a_large_array_is_an_input() -> None:
    a = np.array(numpy.random.default_rng(3).standard_normal((3000, 200)))
    for k in range(4):
        numpy.testing.assert_array_equal((a[:, 3] * 2).asnumpy(), a.asnumpy()[:, 3] * 2)
        numpy.testing.assert_array_equal((a[k : k + 50] * 2).asnumpy(), a.asnumpy()[k : k + 50] * 2)
    for plan in plan_cache.plans.values():
        assert all(plan.graph.nodes[p].type.size <= 50 * 200 for p in plan.graph.inputs)


@pytest.mark.usefixtures("native")
def test_constants_do_not_part_what_reads_them_from_the_rest() -> None:
    logits = np.array(numpy.random.default_rng(6).standard_normal((16, 10)).astype("float32"))
    labels = numpy.arange(16) % 10

    def loss(w: Any) -> Any:
        z = np.tanh(logits * w)
        z = z - np.max(z, axis=1, keepdims=True)
        return np.mean(np.log(np.sum(np.exp(z), axis=1)) - z[np.arange(16), labels])

    slope = minpy_jit.grad(loss)
    w = np.ones(10, dtype="float32")
    with config.override(max_steps=1000):
        for _ in range(4):
            slope(w).asnumpy()
    (plan,) = [plan for plan in plan_cache.plans.values() if plan.runs]
    assert any(node.op.name == "literal" for node in plan.graph.nodes)
    assert minpy_jit.flush_log()[-1].nodes == 1


THREADED = """
import numpy
import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.exec.run import plan_cache

given = numpy.random.default_rng(0).standard_normal((1100, 1000)).astype("float32")
x = np.array(given)
results = set()
for _ in range(12):
    y = x
    for _ in range(6):
        y = np.tanh(y - np.max(y, axis=1, keepdims=True)) + np.mean(y, axis=0)
    results.add(y.asnumpy().tobytes())
# in NumPy, and in loops that are shared by all threads
assert len(results) <= 2, len(results)
z = given
for _ in range(6):
    z = numpy.tanh(z - z.max(axis=1, keepdims=True)) + z.mean(axis=0)
numpy.testing.assert_allclose(y.asnumpy(), z, rtol=1e-3, atol=1e-4)
(plan,) = plan_cache.plans.values()
assert plan.threads == 4 and plan.nodes == 1
"""
RESTED = """
import os
import time
import numpy
import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.exec.run import plan_cache

given = numpy.random.default_rng(0).standard_normal((600, 500)).astype("float32")
x = np.array(given)
expected = given
for _ in range(9):
    expected = numpy.maximum(expected, expected.max(axis=0) - 1)
cores = os.sched_getaffinity(0)
for turn in range(12):
    # its threads are asleep, and may wake on one core; some turns while another process is busy
    other = os.posix_spawn("/bin/sh", ["sh", "-c", "for k in $(seq 20000); do :; done"], {}) if turn % 3 == 0 else None
    time.sleep(0.02)
    y = x
    for _ in range(9):
        y = np.maximum(y, np.max(y, axis=0) - 1)
    numpy.testing.assert_array_equal(y.asnumpy(), expected)
    if other is not None:
        os.waitpid(other, 0)
(plan,) = plan_cache.plans.values()
assert plan.threads == int(os.environ["MINPY_JIT_THREADS"]) and plan.nodes == 1
# they may go anywhere, as before
assert len(os.listdir("/proc/self/task")) >= plan.threads
assert all(os.sched_getaffinity(int(task)) == cores for task in os.listdir("/proc/self/task"))
"""
LOADED = "from minpy_jit.exec import mx; mx.lib()"


def run(program: str, **asked: str) -> str:
    """Run a program on four threads; what it says of its settings."""
    told = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    asks = {"OMP_NUM_THREADS": "4", "MINPY_JIT_THREADS": "4", "OMP_DISPLAY_ENV": "verbose"}
    found = subprocess.run([sys.executable, "-c", program], env=told | asks | asked, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stderr


@pytest.mark.usefixtures("native")
def test_threads_that_find_no_core_free_wait_for_one_another() -> None:
    run(THREADED)


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("threads", ["2", "4"])
def test_threads_that_have_slept(threads: str) -> None:
    run(RESTED, MINPY_JIT_THREADS=threads, OMP_NUM_THREADS=threads)


@pytest.mark.slow
def test_openmp_spins_briefly_unless_it_was_told() -> None:
    assert "GOMP_SPINCOUNT = '40000'" in run(LOADED)
    assert "GOMP_SPINCOUNT = '123'" in run(LOADED, GOMP_SPINCOUNT="123")
    assert "GOMP_SPINCOUNT = '40000'" not in run(LOADED, OMP_WAIT_POLICY="passive")
