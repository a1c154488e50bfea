"""Random programs: what they compute in each mode is what NumPy computes; random gradients are the central differences.

A failure prints a script that shows it. `MINPY_JIT_FUZZ_EXAMPLES` sets the number of programs of the slow tests.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import fuzz_driver
import fuzz_gradients
import numpy
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import minpy_jit

MANY = int(os.environ.get("MINPY_JIT_FUZZ_EXAMPLES", "3000"))


def _settings(examples: int) -> Any:
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )


@st.composite
def programs(draw: Callable[[Any], int]) -> fuzz_driver.Program:
    """Programs of array statements."""
    return fuzz_driver.Writer(lambda n: draw(st.integers(0, n - 1)), draw(st.integers(1, 12))).program


@st.composite
def differentiable(draw: Callable[[Any], int]) -> fuzz_gradients.Program:
    """Differentiable programs."""
    return fuzz_gradients.Writer(lambda n: draw(st.integers(0, n - 1)), draw(st.integers(1, 8))).program


def _compare(program: fuzz_driver.Program) -> None:
    found = fuzz_driver.check(program)
    if found is not None:
        pytest.fail(f"{found}\n\n{program.script()}", pytrace=False)


def _differentiate(program: fuzz_gradients.Program) -> None:
    found = fuzz_gradients.check(program)
    if found is not None:
        pytest.fail(f"{found}\n\n{program.script()}", pytrace=False)


@given(programs())
@_settings(300)
def test_programs_agree_with_numpy(program: fuzz_driver.Program) -> None:
    _compare(program)


@given(differentiable())
@_settings(120)
def test_gradients_agree_with_differences(program: fuzz_gradients.Program) -> None:
    _differentiate(program)


@pytest.mark.slow
@given(programs())
@_settings(MANY)
def test_many_programs_agree_with_numpy(program: fuzz_driver.Program) -> None:
    _compare(program)


@pytest.mark.slow
@given(differentiable())
@_settings(MANY // 3)
def test_many_gradients_agree_with_differences(program: fuzz_gradients.Program) -> None:
    _differentiate(program)


# -- the checkers find what they are for --------------------------------------------------------------------------------------------------
def test_a_wrong_value_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    program = fuzz_driver.Program(["b = a + a", "c = np.sort(b)"], [{**dict.fromkeys("abc", numpy.arange(3.0)), "s": 0.5, "k": 1}] * 2)
    assert fuzz_driver.check(program) is None
    monkeypatch.setattr(minpy_jit.numpy, "sort", lambda x: x * 1.0000001)
    found = fuzz_driver.check(program)
    assert found is not None and found.startswith("lazy: c = ")
    assert fuzz_driver.shrink(program).statements == ["c = np.sort(b)"]


def test_a_missing_alias_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    program = fuzz_driver.Program(["b = np.ravel(a)", "b += 1"], [{**dict.fromkeys("abc", numpy.arange(3.0)), "s": 0.5, "k": 1}] * 2)
    assert fuzz_driver.check(program) is None
    monkeypatch.setattr(minpy_jit.numpy, "ravel", lambda x: x.flatten())
    found = fuzz_driver.check(program)
    assert found is not None and found.startswith("lazy: a = ")


def test_a_wrong_gradient_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    program = fuzz_gradients.Program(["u = np.sin(u)"], numpy.array([0.3, -0.7]))
    assert fuzz_gradients.check(program) is None
    monkeypatch.setattr(minpy_jit.numpy, "sin", lambda x: minpy_jit.stop_gradient(minpy_jit.numpy.cos(x - numpy.pi / 2)))
    assert fuzz_gradients.check(program) is not None


def test_the_printed_script_runs(capsys: pytest.CaptureFixture[str]) -> None:
    program = fuzz_driver.Program(["b = a * s"], [{**dict.fromkeys("abc", numpy.arange(3.0)), "s": 0.5, "k": 1}] * 2)
    with numpy.errstate(all="ignore"):
        exec(compile(program.script(), "<script>", "exec"), {})
        exec(compile(fuzz_gradients.Program(["u = u * 2"], numpy.array([0.3])).script(), "<script>", "exec"), {})
    assert capsys.readouterr().out.count("array([0. , 0.5, 1. ])") == 15
