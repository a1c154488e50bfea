"""The scripts of examples/nn at a small size: each learns, says so, and returns what it printed."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest

import minpy_jit

FOLDER = Path(__file__).resolve().parent.parent / "examples" / "nn"
SCRIPTS = {path.stem for path in FOLDER.glob("*.py")}


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """A script as a module, which finds the others beside it."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for name in SCRIPTS:
        sys.modules.pop(name, None)


# script, arguments, and what its result must reach: an accuracy, at least; a mean squared error, at most
ACCURACIES = [
    ("logistic_regression", "--steps 60", 0.85),
    ("mlp", "plain --epochs 3", 0.9),
    ("mlp", "normalised --epochs 2", 0.9),
    ("mlp", "symbol --epochs 3", 0.9),
    ("cnn", "layers --epochs 1", 0.9),
    ("cnn", "symbol --epochs 1", 0.9),
    ("cnn", "modules --epochs 1", 0.9),
    ("recurrent", "digits rnn --epochs 2", 0.8),
    ("recurrent", "digits lstm --epochs 2", 0.6),
    ("recurrent", "digits gru --epochs 2", 0.7),
    ("stochastic_depth", "--epochs 2 --blocks 2", 0.7),
]
# to say the mean has an error of 0.167
ERRORS = [("recurrent", f"adding {cell} --length 4 --samples 1000 --epochs 3", 0.1) for cell in ("rnn", "lstm", "gru")]
COUNTS = {"two_layer_lstm", "adam_warmup"}


# as the README has them, at full size
FULL = [("cnn", style, lambda result: result >= 0.98) for style in ("layers", "symbol", "modules")]
FULL += [("recurrent", "adding lstm", lambda result: 0 < result < 0.01)]


def test_every_script_is_run() -> None:
    assert {name for name, _, _ in (*ACCURACIES, *ERRORS)} | COUNTS == SCRIPTS - {"example_data"}


@pytest.mark.parametrize(("script", "arguments", "least"), ACCURACIES, ids=lambda v: str(v))
def test_a_classifier_learns(script: str, arguments: str, least: float, load: Any, capsys: pytest.CaptureFixture[str]) -> None:
    accuracy = load(script).main(arguments.split())
    assert least <= accuracy <= 1
    assert capsys.readouterr().out.splitlines()[-1].endswith(f"held-out accuracy: {accuracy:.1%}")


def test_the_readme_has_every_script() -> None:
    commands = re.findall(r"^\| `python (\w+)\.py", (FOLDER.parent.parent / "README.md").read_text(), re.M)
    assert set(commands) == SCRIPTS - {"example_data"}


@pytest.mark.slow
@pytest.mark.parametrize(("script", "arguments", "reached"), FULL, ids=lambda v: str(v) if isinstance(v, str) else "")
def test_what_the_readme_says_is_reached(script: str, arguments: str, reached: Callable[[float], bool], load: Any) -> None:
    assert reached(load(script).main(arguments.split()))


@pytest.mark.parametrize(("script", "arguments", "most"), ERRORS, ids=lambda v: str(v))
def test_numbers_are_added(script: str, arguments: str, most: float, load: Any, capsys: pytest.CaptureFixture[str]) -> None:
    error = load(script).main(arguments.split())
    assert 0 < error < most
    assert f"held-out mean squared error: {error:.5f}" in capsys.readouterr().out.splitlines()[-1]


def test_the_adding_problem(load: Any) -> None:
    x, y = load("example_data").adding_problem(500, 7, seed=0)
    assert x.shape == (500, 7, 2)
    assert (x[:, :, 1].sum(axis=1) == 2).all() and (x[:, :3, 1].sum(axis=1) == 1).all()
    numpy.testing.assert_allclose((x[:, :, 0] * x[:, :, 1]).sum(axis=1), y)
    assert y.var() == pytest.approx(1 / 6, rel=0.1)


def test_the_digits(load: Any) -> None:
    x, y, held_out_x, held_out_y = load("example_data").digits()
    assert (x.shape, held_out_x.shape, len(y), len(held_out_y)) == ((1437, 8, 8), (360, 8, 8), 1437, 360)
    assert {tuple(image.ravel()) for image in x}.isdisjoint({tuple(image.ravel()) for image in held_out_x})


def test_a_two_layer_lstm_compiles_nothing_after_its_second_batch(load: Any, capsys: pytest.CaptureFixture[str]) -> None:
    minpy_jit.clear_caches()
    counts = load("two_layer_lstm").main(["--batches", "5", "--hidden", "4"])
    assert counts[0] == 0 < counts[1]
    assert counts[1:] == [counts[1]] * 4
    assert "compiled after the second batch: 0" in capsys.readouterr().out


@pytest.mark.parametrize("steps", [400, pytest.param(10_000, marks=pytest.mark.slow)])
def test_adam_compiles_nothing_along_its_schedule_and_holds_no_more_memory(steps: int, load: Any) -> None:
    minpy_jit.clear_caches()
    found = load("adam_warmup").main(["--steps", str(steps)])
    assert found[2]["compiles"] > 0
    assert {at["compiles"] for at in found.values()} == {found[2]["compiles"]}
    assert found[steps]["bytes_held"] <= found[steps // 10]["bytes_held"]
