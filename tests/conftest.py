"""What holds for every test. It is made here, before anything imports NumPy."""

import atexit
import os
import shutil
import signal
import tempfile

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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what passing tests counted: `record_property("summary", text)`."""
    reports = terminalreporter.getreports("passed")
    for text in sorted(text for report in reports for name, text in report.user_properties if name == "summary"):
        terminalreporter.write_line(str(text))
