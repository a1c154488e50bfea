"""Recording, replay, liveness and bounds: what is counted, never how long it takes."""

from __future__ import annotations

import warnings
from functools import partial

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from benchmarks.threads import run_threads
from minpy_jit import config
from minpy_jit.errors import RecordingWarning
from minpy_jit.trace.recorder import current

pytestmark = pytest.mark.usefixtures("clean_state")


def count(name: str) -> int:
    return minpy_jit.stats()[name]


def test_nothing_runs_before_it_is_observed() -> None:
    x = np.ones((4, 4)) * 3.0
    y = np.exp(x).sum()
    assert count("flushes") == 0
    assert float(y) == pytest.approx(16 * numpy.exp(3.0))
    assert count("flushes") == 1


def test_a_repeated_program_is_replayed_and_compiled_once() -> None:
    x = np.array([1.0, 2.0, 3.0])

    def program() -> float:
        return float(np.sum(np.tanh(x) * 2 + 1))

    first = program()
    recorded = count("recorded")
    results = {program() for _ in range(20)}
    assert count("recorded") == recorded
    assert count("compiles") == 1
    assert count("binds") == 1
    assert all(r == pytest.approx(first, rel=1e-14) for r in results)
    assert minpy_jit.flush_log()[-1].executor == "mxnet"


def test_what_nobody_can_observe_never_runs() -> None:
    x = np.ones(3)
    dead = np.exp(x)
    kept = x + 1
    del dead
    minpy_jit.flush()
    assert minpy_jit.flush_log()[-1].live == 2
    assert count("reference_runs") == 1
    assert kept.tolist() == [2, 2, 2]


def test_observing_twice_runs_once() -> None:
    x = np.ones(3) * 2
    assert x.tolist() == [2, 2, 2]
    flushes = count("flushes")
    assert x.tolist() == [2, 2, 2]
    y = x + 1
    assert y.tolist() == [3, 3, 3]
    assert count("flushes") == flushes + 1


def test_all_live_arrays_of_a_segment_are_computed_together() -> None:
    x = np.ones(3)
    loss, update = np.sum(x * x), x - 0.1
    float(loss)
    flushes = count("flushes")
    assert update.tolist() == pytest.approx([0.9] * 3)
    assert count("flushes") == flushes


def test_ten_thousand_learning_rates_compile_once() -> None:
    w = np.ones(8)
    for k in range(1000):
        w = w - w * (1.0 / (k + 2))
        float(w[0])
    assert count("compiles") <= 2


def test_minibatches_by_slice_compile_once() -> None:
    data = np.array(numpy.arange(640.0).reshape(64, 10))
    totals = [float(np.sum(data[i * 4 : (i + 1) * 4] * 2)) for i in range(16)]
    assert totals == [2 * numpy.arange(640.0).reshape(64, 10)[i * 4 : (i + 1) * 4].sum() for i in range(16)]
    assert count("compiles") == 1


def test_which_operands_are_the_same_array_is_part_of_the_program() -> None:
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    for _ in range(3):
        assert (x * x).tolist() == [1, 4]
        assert (x * y).tolist() == [3, 8]


def test_branches_take_the_right_side_on_every_call() -> None:
    def f(x: float) -> float:
        a = np.array([x]) * 1.0
        return float((a * 2 if a[0] > 0 else a * 3)[0])

    assert [f(v) for v in (1.0, -1.0, 2.0, -2.0, 1.0)] == [2, -3, 4, -6, 2]


def test_an_endless_loop_is_cut_into_repeating_chunks() -> None:
    with config.override(max_steps=100):
        a = np.ones(4)
        for _ in range(2000):
            a = a * 1.0001
        assert count("flushes") >= 15
        recorded = count("recorded")
        for _ in range(2000):
            a = a * 1.0001
        assert count("recorded") <= recorded + 200
        assert a.tolist() == pytest.approx([1.0001**4000] * 4, rel=1e-9)
    assert set(minpy_jit.stats()["flush_causes"]) == {"limit", "tolist"}


def test_laziness_is_bounded_in_bytes() -> None:
    with config.override(max_pending_bytes=1 << 20):
        a = np.ones((256, 256))
        for _ in range(50):
            a = a + 1.0
        assert minpy_jit.stats()["flush_causes"]["limit"] > 2
    assert float(a[0, 0]) == 51


def test_a_long_chain_records_flushes_and_is_dropped_without_recursion() -> None:
    with config.override(max_steps=10**6, max_trie_steps=10**6):
        a = np.ones(2)
        for _ in range(30_000):
            a = a + 1.0
        assert count("flushes") == 0
        assert a.tolist() == [30_001, 30_001]
        for _ in range(30_000):
            a = a + 1.0
        del a
        minpy_jit.clear_caches()


def test_the_trie_is_bounded_and_says_so() -> None:
    with config.override(max_trie_steps=200):
        current().resets = 0
        with pytest.warns(RecordingWarning, match="test_laziness"):
            for k in range(1, 200):
                float(np.sum(np.ones(k) * 2))
        assert current().trie_steps <= 400
        assert count("trie_resets") > 1


def test_the_live_set_may_flicker() -> None:
    x = np.array([1.0, 2.0])
    kept = []
    for k in range(30):
        a, b = x * 2, x * 3
        if k % 3 == 0:
            kept.append(a)
        elif k % 3 == 1:
            kept.append(b)
        else:
            kept.append((a, b))
        del a, b
        minpy_jit.flush()
    assert count("compiles") <= 3
    assert [k[0].tolist() if isinstance(k, tuple) else k.tolist() for k in kept[:3]] == [[2, 4], [3, 6], [2, 4]]


def test_results_own_their_memory() -> None:
    x = np.array([1.0, 2.0])
    held = []
    for k in range(12):
        y = x * float(k)
        y.wait_to_read()
        held.append(y)
    assert [h.tolist() for h in held] == [[float(k), 2.0 * k] for k in range(12)]


def test_a_captured_numpy_array_is_copied() -> None:
    theirs = numpy.ones(3)
    y = np.zeros(3) + theirs
    theirs[:] = 5
    assert y.tolist() == [1, 1, 1]


def test_an_error_names_the_op_and_nothing_is_half_recorded() -> None:
    x = np.ones((2, 3))
    with pytest.raises(ValueError, match=r"\[add\].*\(2,3\) \(4,\)"):
        x + np.ones(4)
    assert (x + 1).tolist() == [[2.0] * 3] * 2


def test_a_failed_flush_poisons_only_what_depends_on_it_and_a_retry_works() -> None:
    good = np.ones(3) * 2
    indices = np.array([0, 7]) + 0
    bad = np.take(np.arange(3.0), indices)
    after = bad + 1
    for _ in range(2):
        with pytest.raises(IndexError, match=r"test_laziness.py:\d+"):
            after.tolist()
    assert good.tolist() == [2, 2, 2]
    assert indices.tolist() == [0, 7]


def test_another_thread_may_observe() -> None:
    x = np.ones(4) * 3
    seen: list[list[float]] = []
    run_threads(lambda: seen.append(x.tolist()))
    assert seen == [[3, 3, 3, 3]]
    assert (x + 1).tolist() == [4, 4, 4, 4]


def test_threads_record_their_own_segments() -> None:
    def work(seed: int) -> None:
        for k in range(200):
            x = np.full(8, float(seed)) * k
            assert float(np.sum(x)) == 8.0 * seed * k

    run_threads(*[partial(work, seed) for seed in range(4)])


def test_repr_mode_lazy_looks_without_forcing() -> None:
    with config.override(repr_mode="lazy"):
        x = np.ones((2, 3), dtype="float32") * 2
        text = repr(x)
        assert "lazy float32[2,3]" in text
        assert "test_laziness.py" in text
        assert count("flushes") == 0


@pytest.mark.parametrize("mode", ["lazy", "eager", "numpy"])
def test_modes_mean_the_same(mode: str) -> None:
    with minpy_jit.mode(mode):
        x = np.arange(6.0).reshape(2, 3)
        y = x @ x.T + np.sum(x, axis=1)
        y[0] = 7
        y += 1
        assert y.tolist() == [[8.0, 8.0], [18.0, 63.0]]
    assert current().mode == "lazy"


def test_mode_refuses_other_names() -> None:
    with pytest.raises(ValueError, match="modes: lazy, eager, numpy"):
        minpy_jit.mode("fast")


def test_verified_passes_and_deterministic_runs() -> None:
    with config.override(verify=True, deterministic=True):
        x = np.arange(6.0).reshape(2, 3)
        values = {float(np.sum(np.exp(x) / 3)) for _ in range(4)}
        assert len(values) == 1
        assert minpy_jit.flush_log()[-1].executor == "mxnet"


def test_what_was_fused_is_not_run_where_bits_count() -> None:
    def program() -> float:
        x = np.arange(6.0).reshape(2, 3)
        return float(np.sum(np.exp(x) / 3))

    def given(x: np.ndarray) -> float:
        return float(np.sum(np.exp(x) / 3))

    for _ in range(3):
        program()
        given(np.array(numpy.arange(6.0).reshape(2, 3)))
    with config.override(deterministic=True):
        assert len({program() for _ in range(3)} | {given(np.array(numpy.arange(6.0).reshape(2, 3))) for _ in range(3)}) == 1
    nodes = []
    for native in (True, False, True):
        with config.override(native=native, first_run="mxnet"):
            program()
            nodes.append(minpy_jit.flush_log()[-1].nodes)
    assert nodes[0] == nodes[2]
    assert nodes[0] < nodes[1] or minpy_jit.info()["native_code"] != "on"


def test_no_warnings_in_ordinary_use() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert float(np.log(np.array(0.0))) == -numpy.inf


def test_check_nan_names_the_op() -> None:
    with config.override(check_nan=True):
        y = np.log(np.array([0.0, 1.0])) + 1
        with pytest.raises(FloatingPointError, match=r"\[log\]"):
            y.tolist()
