"""The example scripts print under every mode what they print in NumPy; and what running them found."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit import config
from minpy_jit.cli import main
from minpy_jit.cli.compare import Result, difference
from minpy_jit.cli.run import Program

FOLDER = Path(__file__).resolve().parent.parent / "examples" / "scripts"
# sizes at which the eager mode takes well below a second
SIZES = {
    "conjugate_gradient": 12,
    "fft_filter": 1024,
    "floyd_warshall": 24,
    "gram_schmidt": 10,
    "heat": 12,
    "image_filters": 12,
    "julia": 40,
    "kmeans": 200,
    "life": 40,
    "lu": 10,
    "mandelbrot": 36,
    "nbody": 12,
    "option_pricing": 500,
    "pca": 300,
    "power_iteration": 60,
}


@contextmanager
def as_a_process() -> Iterator[None]:
    """`Program` makes itself at home as in a process of its own: undo it."""
    argv, path, finders, module = sys.argv, list(sys.path), list(sys.meta_path), sys.modules["__main__"]
    try:
        yield
    finally:
        sys.argv, sys.path[:], sys.meta_path[:], sys.modules["__main__"] = argv, path, finders, module


def test_every_script_is_run() -> None:
    assert sorted(SIZES) == sorted(p.stem for p in FOLDER.glob("*.py"))


@pytest.mark.parametrize("name", SIZES)
def test_a_script_prints_what_it_prints_in_numpy(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    printed = {}
    # three times lazily: by the reference, by executors just bound, and by executors found again
    for mode in ("plain", "numpy", "eager", "lazy", "lazy again", "lazy once more"):
        with as_a_process(), minpy_jit.mode(mode.split()[0] if mode != "plain" else "numpy"):
            Program(str(FOLDER / f"{name}.py"), [str(SIZES[name])], redirect=mode != "plain").execute()
        printed[mode] = Result(mode, (capsys.readouterr().out,), (), 0, "")
    expected = printed.pop("plain")
    assert len(expected.outputs[0]) > 100
    for result in printed.values():
        assert difference(expected, result, 1e-5, 1e-8) is None


@pytest.mark.slow
def test_the_command_finds_all_scripts_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    # in processes of their own, at full size
    assert main(["compare", *[str(FOLDER / f"{name}.py") for name in SIZES], "--repeat", "3", "--markdown"]) == 0
    assert capsys.readouterr().out.count("| same |") == len(SIZES)


def test_results_that_are_kept_do_not_make_every_run_bind_anew() -> None:
    x = np.linspace(0.0, 1.0, 7)
    kept: list[Any] = []
    before = minpy_jit.stats()["binds"]
    for k in range(6 * config.max_instances):
        y = np.cosh(x + k) * 3 - x
        y.wait_to_read()
        kept.append(y)
    assert minpy_jit.stats()["binds"] - before <= config.max_instances + 1
    for k, y in enumerate(kept):
        np.testing.assert_allclose(y, np.cosh(x + k) * 3 - x)


def test_a_chain_of_programs_on_large_arrays_is_bound_twice_at_most() -> None:
    x = np.linspace(0.0, 1.0, 20_000)

    def chain() -> float:
        y = np.cosh(x) * 3 - x
        y.wait_to_read()
        z = np.sinh(y) * 2 + y
        z.wait_to_read()
        return float((z * 0.5 - 3).sum())

    expected = chain()
    chain()
    before = minpy_jit.stats()["binds"]
    for _ in range(10):
        assert chain() == pytest.approx(expected)
    assert minpy_jit.stats()["binds"] - before <= 3
