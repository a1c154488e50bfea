"""What holds for every test. It is made here, before anything imports NumPy."""

import atexit
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

# We compare with NumPy under NEP 50 promotion; NumPy 1.26 reads this switch once, when it is imported.
os.environ["NPY_PROMOTION_STATE"] = "weak"
if "PYTEST_XDIST_WORKER" in os.environ:
    # Two workers on two cores: thread teams of two would fight for them, and a test would take up to ten times as long.
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["OPENBLAS_NUM_THREADS"] = "1"

if "MINPY_JIT_CACHE_DIR" not in os.environ:
    # Compiled code of other runs stays out of the tests; the workers, which inherit the folder, share what this run compiles.
    os.environ["MINPY_JIT_CACHE_DIR"] = tempfile.mkdtemp(prefix="minpy-jit-tests-")
    atexit.register(shutil.rmtree, os.environ["MINPY_JIT_CACHE_DIR"], ignore_errors=True)

import numpy
import pytest
from hypothesis import settings

assert numpy._get_promotion_state() == "weak", "NumPy was imported before tests/conftest.py; run with NPY_PROMOTION_STATE=weak"

# A first example compiles, so that the time of one example says nothing.
settings.register_profile("minpy_jit", deadline=None)
settings.load_profile("minpy_jit")

# A job in the background is born deaf to Ctrl-C, which some tests press.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def clean_state() -> Iterator[None]:
    """Nothing is pending, nothing remembered and nothing counted, and nothing is left behind."""
    import minpy_jit

    minpy_jit.flush()
    minpy_jit.clear_caches()
    minpy_jit.reset_stats()
    yield
    minpy_jit.flush()
    minpy_jit.clear_caches()


@pytest.fixture
def compiled_texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The text of every module that is compiled while the test runs."""
    from minpy_jit.exec.regions import jit

    texts: list[str] = []
    compiled = jit.compiled

    def noted(text: str) -> bytes:
        texts.append(text)
        return compiled(text)

    monkeypatch.setattr(jit, "compiled", noted)
    return texts


@pytest.fixture
def on_signal() -> Iterator[Callable[[int, Callable[[int, FrameType | None], None]], None]]:
    """Sets the handler of a signal until the test ends, and then stops the timer."""
    before: list[tuple[int, Any]] = []
    yield lambda number, handler: before.append((number, signal.signal(number, handler)))
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in reversed(before):
        signal.signal(number, handler)


# Of a run without native code (MINPY_JIT_NATIVE=0), the float32 steps of all tests by where they ran: see `minpy_jit.stats`.
FLOAT32_STEPS = ("float32_executor_steps", "float32_region_steps", "float32_host_steps", "float32_reference_steps")
float32_steps: Counter[str] = Counter()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Keep the counts of float32 steps, which tests set to zero as they like. (Those of processes that tests start are not among them.)"""
    if "MINPY_JIT_NATIVE" not in os.environ:
        return
    from minpy_jit import config
    from minpy_jit.trace.stats import Stats, stats

    if config.native:
        return
    reset = Stats.reset

    def keep_and_reset(self: Stats) -> None:
        float32_steps.update({name: self.counts[name] for name in FLOAT32_STEPS})
        reset(self)

    Stats.reset = keep_and_reset
    session.config.add_cleanup(lambda: setattr(Stats, "reset", reset))
    stats.reset()
    float32_steps.clear()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Count what ran since the last `reset_stats`; a worker tells the process that has the terminal."""
    if "minpy_jit" in sys.modules:
        sys.modules["minpy_jit"].reset_stats()
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["float32_steps"] = dict(float32_steps)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker has ended."""
    float32_steps.update(getattr(node, "workeroutput", {}).get("float32_steps", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what passing tests counted, `record_property("summary", text)`, and without native code where float32 steps ran."""
    reports = terminalreporter.getreports("passed")
    for text in sorted(text for report in reports for name, text in report.user_properties if name == "summary"):
        terminalreporter.write_line(str(text))
    executors, regions, host, reference = [float32_steps[name] for name in FLOAT32_STEPS]
    if executors + host:
        terminalreporter.write_line(
            f"float32 steps whose operation has an MXNet lowering: {executors / (executors + host):.2%} of the {executors + host:,} of "
            f"compiled programs ran in MXNet executors, without regions; besides, {reference:,} ran in NumPy with their whole program, "
            f"which was met for the first time or was looking for an error, and {regions:,} in regions, which some tests turn on"
        )
