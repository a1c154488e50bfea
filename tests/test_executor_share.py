"""Without native code, what MXNet has operators for runs in MXNet's executors: told by `stats()`, step by step of float32."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from benchmarks.workloads import WORKLOADS
from minpy_jit import config
from minpy_jit.cli.programs import digits
from minpy_jit.exec import regions

EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "nn"
# workloads of other dtypes
WITHOUT_FLOAT32 = {"dot_float64", "grey_image", "grey_image_mixed"}


@pytest.fixture(autouse=True)
def without_native_code(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(config, "native", False)
    minpy_jit.clear_caches()
    minpy_jit.reset_stats()
    yield
    minpy_jit.clear_caches()


def steps() -> tuple[int, int, int, int]:
    """float32 steps run by MXNet's operators, by regions, by NumPy between executors, and by NumPy alone."""
    found = minpy_jit.stats()
    executors, fused, host, reference = [found[f"float32_{where}_steps"] for where in ("executor", "region", "host", "reference")]
    return executors, fused, host, reference


def share() -> float:
    """Of the float32 steps of compiled programs, what executors ran."""
    executors, fused, host, _ = steps()
    assert fused == 0
    return executors / (executors + host)


# -- what is counted ----------------------------------------------------------------------------------------------------------------------
def test_steps_are_counted_by_where_they_ran() -> None:
    x = np.array(numpy.linspace(0, 1, 6, dtype=numpy.float32).reshape(2, 3))
    counted = [steps()]
    for _ in range(3):
        # float32: exp, multiply, sum; not: the comparison, the count, the float64 product
        y = np.exp(x) * 2
        results = (y.sum(), (y > 1).sum(), x.astype("float64") * 2)
        minpy_jit.wait(*results)
        counted.append(steps())
    runs = [tuple(b - a for a, b in zip(before, after, strict=True)) for before, after in pairwise(counted)]
    assert runs == [(0, 0, 0, 3), (3, 0, 0, 0), (3, 0, 0, 0)]


@pytest.mark.skipif(not regions.built(), reason="native code is not built here")
def test_what_regions_run_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "native", True)
    x = np.array(numpy.ones((200, 300), numpy.float32))
    with config.override(first_run="mxnet"):
        minpy_jit.wait(np.exp(x) * 2 + 1)
    assert steps() == (0, 3, 0, 0)


def test_a_lowering_that_does_not_take_these_operands_is_counted_as_numpys() -> None:
    x = np.array(numpy.ones((0, 3), numpy.float32))
    with config.override(first_run="mxnet"):
        # MXNet takes no array without elements
        minpy_jit.wait(np.exp(x))
        assert steps() == (0, 0, 1, 0)
        minpy_jit.wait(np.exp(np.array(numpy.ones((1, 3), numpy.float32))))
    assert steps() == (1, 0, 1, 0) and share() == 0.5


def test_an_operation_without_a_lowering_is_not_counted() -> None:
    x = np.array(numpy.ones(4, numpy.float32))
    with config.override(first_run="mxnet"):
        minpy_jit.wait(np.spacing(x))
    assert minpy_jit.stats()["flushes"] == 1 and steps() == (0, 0, 0, 0)


# -- the share ----------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("first_run", ["reference", "mxnet"])
@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload(name: str, first_run: str) -> None:
    with config.override(first_run=first_run):
        call = WORKLOADS[name].ours(lambda f: f, *WORKLOADS[name].inputs(True))
        for _ in range(3):
            call()
    executors, fused, host, reference = steps()
    assert (executors + host == 0) == (name in WITHOUT_FLOAT32) and fused == 0
    if name not in WITHOUT_FLOAT32:
        assert share() >= 0.95
        assert (reference == 0) == (first_run == "mxnet")


def test_the_demos_training() -> None:
    pixels, labels, _, _ = digits.load()
    x, y = np.array(pixels), digits.one_hot(labels)
    parameters = digits.new_parameters()
    velocities = [np.zeros_like(p) for p in parameters]
    for i in range(4):
        batch = slice(i * digits.BATCH, (i + 1) * digits.BATCH)
        float(digits.step(parameters, velocities, x[batch], y[batch]))
    assert share() >= 0.95


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """A script of examples/nn as a module, which finds the others beside it."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield importlib.import_module
    for path in EXAMPLES.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("mlp", "normalised --epochs 1"),
        ("cnn", "modules --epochs 1"),
        ("recurrent", "digits gru --epochs 1"),
        ("stochastic_depth", "--epochs 1 --blocks 2"),
    ],
)
def test_an_example(script: str, arguments: str, load: Callable[[str], Any]) -> None:
    load(script).main(arguments.split())
    executors, _, _, reference = steps()
    assert executors > reference and share() >= 0.95
