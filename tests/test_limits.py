"""Limits: remembered steps, plans, executors and tapes stay bounded, whatever a program does; storms of new programs are told once."""

from __future__ import annotations

import gc
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from benchmarks import soak
from benchmarks.memory import resident
from minpy_jit import config
from minpy_jit.errors import RecordingWarning
from minpy_jit.exec import variants
from minpy_jit.exec.mx import Executor
from minpy_jit.exec.regions import jit
from minpy_jit.exec.run import NODE_BYTES, NativeStage, Plan, plan_cache
from minpy_jit.trace.handle import Handle
from minpy_jit.trace.recorder import current
from minpy_jit.trace.step import Step

pytestmark = pytest.mark.usefixtures("clean_state")

FULL = 100_000
FEW = 1_000


def count(name: str) -> int:
    return minpy_jit.stats()[name]


def alive(*kinds: type) -> list[int]:
    """How many objects of each class there are."""
    gc.collect()
    found = [0] * len(kinds)
    for thing in gc.get_objects():
        for k, kind in enumerate(kinds):
            found[k] += isinstance(thing, kind)
    return found


@pytest.fixture
def told() -> Iterator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def line_of(text: str) -> int:
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(k for k, line in enumerate(lines, 1) if line.endswith(f"# {text}"))


# -- ever new programs ------------------------------------------------------------------------------------------------------------------
def by_shape(library: Any, k: int) -> Any:
    """A shape for each number."""
    x = library.ones((1 + k % 317, 1 + k // 317))
    return library.sum(x * 2 + 1)


def by_steps(library: Any, k: int) -> Any:
    """Other operations for each number: its digits to the base of four."""
    x = library.linspace(0.5, 1.5, 3)
    for _ in range(9):
        k, digit = divmod(k, 4)
        x = x + 1.0 if digit == 0 else x * 0.5 if digit == 1 else -x if digit == 2 else library.maximum(x, 0.1)
    return x.sum()


def by_gradient(library: Any, k: int) -> Any:
    """The gradient of a function of another shape and other operations for each number."""
    n = 1 + k // 8
    if library is np:
        return minpy_jit.grad(lambda x: by_steps_of(np, x, k % 8))(np.ones(n)).sum()
    signs, total = k % 8, 1.0
    for _ in range(3):
        signs, digit = divmod(signs, 2)
        total *= 3.0 if digit else -1.0
    return total * n


def by_steps_of(library: Any, x: Any, k: int) -> Any:
    for _ in range(3):
        k, digit = divmod(k, 2)
        x = x * 3.0 if digit else -x
    return library.sum(x)


PROGRAMS = {"shapes": by_shape, "programs": by_steps, "gradients": by_gradient}


def storm(make: Callable[[Any, int], Any], number: int, mode: str, told: list[warnings.WarningMessage]) -> None:
    """Run `number` different programs, each tenth of them three times; check results, limits and warnings."""
    limits = {"max_trie_steps": 3_000, "max_executors": 20, "max_executor_bytes": 1 << 22}
    before = alive(Step, Executor, Plan, Handle)
    with config.override(**limits), minpy_jit.mode(mode):
        for k in range(number):
            for _ in range(3 if k % 10 == 0 else 1):
                found = float(make(np, k))
            if k % 7 == 0:
                assert found == pytest.approx(float(make(numpy, k)), rel=1e-12)
            if k % 500 == 0:
                within_limits()
        within_limits()
        # what is alive, not only what is counted: nothing is left of what was dropped
        steps, executors, plans, handles = (a - b for a, b in zip(alive(Step, Executor, Plan, Handle), before, strict=True))
        assert steps <= limits["max_trie_steps"] + config.max_steps + sum(place.last.index + 2 for place in variants._places.values())
        assert executors <= limits["max_executors"] * (config.max_instances + 1)
        assert plans <= limits["max_executors"]
        assert handles <= 2
    messages = [str(w.message) for w in told]
    assert all(w.category is RecordingWarning for w in told)
    assert len({m.split("(")[0].split(":")[0] for m in messages}) == len(messages) <= 3, messages


def within_limits() -> None:
    info = minpy_jit.info()
    assert info["trie_steps"] <= config.max_trie_steps + config.max_steps
    assert len(current().now) <= config.max_trie_steps
    assert info["plans"] <= config.max_executors
    assert info["executor_bytes"] <= config.max_executor_bytes or info["plans"] == 1
    assert len(variants._places) <= variants._MOST
    assert len(current().sealed) <= 64 and len(current().kept) <= 64


@pytest.mark.parametrize("mode", ["lazy", "eager"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_ever_new_programs(name: str, mode: str, told: list[warnings.WarningMessage]) -> None:
    storm(PROGRAMS[name], FEW if mode == "lazy" else FEW // 5, mode, told)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shapes", "programs"])
def test_a_hundred_thousand_programs(name: str, told: list[warnings.WarningMessage]) -> None:
    storm(PROGRAMS[name], FULL, "lazy", told)
    assert count("trie_resets") > 10


def test_a_storm_of_shapes_is_told_once_and_runs_in_numpy(told: list[warnings.WarningMessage]) -> None:
    for k in range(200):
        for _ in range(2):
            float(np.sum(np.ones(k + 1) * 2))  # the storm
    (warning,) = told
    line = line_of("the storm")
    assert (warning.category, warning.filename, warning.lineno) == (RecordingWarning, __file__, line)
    said = str(warning.message)
    assert said.startswith(f"[trace] more than {config.max_variants} programs that end at {__file__}:{line} differ")
    n = config.max_variants
    assert f"is float64[{n + 1}] where it was float64[{n}]" in said
    assert count("compiles") == config.max_variants
    assert minpy_jit.flush_log()[-1].executor == "reference"


def chain(length: int) -> float:
    x = np.ones(3)
    for _ in range(length):
        x = x * 0.5
    return float(x[0])  # the end of each chain


def test_more_programs_than_are_kept_compiled(told: list[warnings.WarningMessage]) -> None:
    with config.override(max_executors=10, max_variants=8):
        for _ in range(60):
            for length in range(1, 13):
                assert chain(length) == 0.5**length
        # least recently used goes first, so that each comes back a moment after it was dropped: but not every time
        assert count("compiles") < 12 * 8
        (warning,) = told
        assert (warning.category, warning.filename, warning.lineno) == (RecordingWarning, __file__, line_of("the end of each chain"))
        assert "more programs are in use than are kept compiled (config.max_executors = 10" in str(warning.message)
        # fewer are compiled again in the end
        for _ in range(variants.LONGEST_PATIENCE + 2):
            chain(3)
        assert minpy_jit.flush_log()[-1].executor == "mxnet"
    assert len(told) == 1


def test_more_programs_than_are_kept_compiled_as_an_error() -> None:
    raised = 0
    with config.override(max_executors=2, max_variants=1), warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(10):
            for length in (1, 2, 3, 4):
                x = np.ones(3) * 0.5**length
                for _ in range(length):
                    x = x * 2.0
                try:
                    x.tolist()
                except RecordingWarning:
                    raised += 1
                assert x.tolist() == [1.0] * 3
    assert raised == 1


def test_a_program_that_is_never_the_same_is_told_once(told: list[warnings.WarningMessage]) -> None:
    config_limit = 100
    with config.override(max_trie_steps=config_limit):
        for k in range(300):
            float(by_steps(np, 977 * k % 4**9))
    assert count("trie_resets") > 2
    (warning,) = told
    assert warning.category is RecordingWarning
    said = str(warning.message)
    assert said.startswith(f"[trace] this program keeps recording new steps: more than config.max_trie_steps = {config_limit}")
    assert warning.filename == __file__ and f"at {__file__}:{warning.lineno}, and" in said


# -- what is dropped is freed -----------------------------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore:.*keeps recording new steps")
def test_arrays_that_were_inputs_keep_no_forgotten_steps() -> None:
    with config.override(max_trie_steps=200):
        kept: list[Any] = []
        base = alive(Step)[0]
        for k in range(600):
            x = np.array(numpy.ones(4))
            (x + 1.0).tolist()
            kept.append(x)
            float(by_steps(np, 977 * k % 4**9))
        assert count("trie_resets") > 10
        # the path that led to it, of 4 steps, for each array
        noted = sum(place.last.index + 2 for place in variants._places.values())
        assert alive(Step)[0] - base < 200 + 2 * 20 + noted + 4 * len(kept)


def test_a_plan_that_was_evicted_is_freed() -> None:
    with config.override(max_executors=2):
        chain(5)
        chain(5)
        plan = weakref.ref(next(iter(plan_cache.plans.values())))
        assert plan() is not None
        for length in (6, 7):
            chain(length)
            chain(length)
        gc.collect()
        assert plan() is None
        assert len(plan_cache.plans) == 2
    # clear_caches frees the others
    plans = [weakref.ref(p) for p in plan_cache.plans.values()]
    minpy_jit.clear_caches()
    gc.collect()
    assert [p() for p in plans] == [None, None]
    assert chain(5) == 0.5**5


def test_compiling_machine_code_leaves_nothing_behind() -> None:
    for _ in range(50):
        jit.compiled("")
    before = resident()
    for _ in range(200):
        jit.compiled("")
    # LLVM's passes take 30 KiB of memory each time
    assert resident() - before < 2


def test_compiling_ever_new_machine_code_leaves_nothing_behind() -> None:
    def module(count: int) -> str:
        parameters = ", ".join(f"ptr noalias %p{k}" for k in range(count))
        body = "\n".join(f"%v{k} = load double, ptr %p{k}\nstore double %v{k}, ptr %p{k - 1}" for k in range(1, count))
        return f"define void @kernel({parameters}) {{\n{body}\nret void\n}}"

    texts = [module(count) for count in range(260, 290)]
    for text in texts[:10]:
        jit.compiled(text)
    before = resident()
    for text in texts[10:]:
        jit.compiled(text)
    # what LLVM remembers of so many parameters takes 0.5 MB each
    assert resident() - before < 4


def test_executors_count_what_they_hold() -> None:
    def program(n: int) -> None:
        x = np.ones(n)
        y = np.exp(x)
        z = np.sin(x)
        for _ in range(6):
            y, z = y * z + x, np.tanh(z) * y
        (y + z).tolist()

    def held(n: int) -> int:
        minpy_jit.clear_caches()
        program(n)
        program(n)
        (plan,) = plan_cache.plans.values()
        (stage,) = [s for s in plan.stages if isinstance(s, NativeStage)]
        assert plan.nbytes == stage.nbytes == plan_cache.nbytes == minpy_jit.info()["executor_bytes"]
        return plan.nbytes - NODE_BYTES * stage.lowered.nodes

    assert held(10) < 1000
    # two results are alive at a time besides the one that is handed out
    n = 400_000
    assert held(n) >= 3 * 8 * n


def test_a_gradients_residuals_are_dropped_with_it() -> None:
    def f(x: Any) -> Any:
        y = np.exp(x)
        if float(y[0]) > 0:
            y = np.sin(y) * y
        return np.sum(y)

    def run(times: int) -> list[int]:
        for _ in range(times):
            minpy_jit.grad(f)(np.ones(100)).tolist()
            recorder = current()
            assert (recorder.tapes, recorder.suspended, recorder.sealed) == ([], [], [])
            assert len(recorder.kept) <= 2
        return alive(Handle, Step)

    assert run(3) == run(50)


def test_pullbacks_that_nobody_calls_are_dropped() -> None:
    x = np.ones(10)
    for _ in range(200):
        minpy_jit.vjp(lambda x: x * x, x)
        minpy_jit.flush()
    assert len(current().kept) <= 2
    assert len(current().segment.arrays) <= 2


def test_sealed_segments_are_bounded() -> None:
    @minpy_jit.trace
    def turn(x: Any) -> Any:
        return x + 1.0

    kept = []
    x = np.zeros(2)
    for _ in range(300):
        x = turn(x)
        kept.append(x)
        assert len(current().sealed) <= 65
    assert [k.tolist() for k in kept] == [[k + 1.0] * 2 for k in range(300)]


def test_pure_programs_are_bounded() -> None:
    @minpy_jit.trace(pure=True)
    def double(x: Any) -> Any:
        return x * 2

    with config.override(max_executors=5):
        for n in range(1, 40):
            for _ in range(2):
                assert double(np.ones(n)).tolist() == [2.0] * n
        assert len(double.programs) <= 5


def test_a_threads_memory_goes_with_it() -> None:
    def work() -> None:
        for k in range(20):
            float(by_steps(np, k))

    def run() -> None:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    run()
    before = alive(Step)[0]
    for _ in range(5):
        run()
    assert alive(Step)[0] <= before


# -- all of it together -----------------------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_soak(record_property: Callable[[str, object], None]) -> None:
    samples, warned = soak.soak(40_000)
    assert soak.unmet_bounds(samples) == []
    assert len(warned) == len(set(warned))
    last = samples[-1]
    record_property(
        "summary", f"soak: 40,000 flushes, {last.resident:.0f} MiB, {last.executors} executors, {last.arrays} arrays at the end"
    )


def test_the_soaks_bounds_are_judged() -> None:
    flat = [soak.Sample(k, 100.0, 6, 30, 3, 1000, 30, 1 << 20) for k in range(soak.SAMPLES)]
    assert soak.unmet_bounds(flat) == []
    for name, value in (
        ("resident", 150.0),
        ("descriptors", 7),
        ("executors", 1000),
        ("arrays", 100),
        ("trie_steps", 10_000),
        ("plans", 100),
        ("bytes_held", 1 << 30),
    ):
        worse = soak.Sample(**{f: getattr(flat[-1], f) for f in soak.Sample.__slots__} | {name: value})
        assert len(soak.unmet_bounds([*flat, worse])) == 1, name
    with pytest.raises(AssertionError, match="instead of"):
        soak.same(np.ones(2), numpy.zeros(2))
