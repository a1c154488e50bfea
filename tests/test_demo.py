"""The demo, end to end, as a user starts it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from minpy_jit.cli import demo, main

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """`minpy-jit demo --quick`, run once, and its picture."""
    folder = tmp_path_factory.mktemp("demo")
    environment = {k: v for k, v in os.environ.items() if k != "NPY_PROMOTION_STATE"} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "minpy_jit", "demo", "--quick", "--out", "picture.png"]
    ran = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180, check=False
    )
    return ran, folder / "picture.png"


def test_it_learns_and_says_so_last(finished: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    ran, picture = finished
    assert ran.returncode == 0, ran.stdout + ran.stderr
    last = re.fullmatch(r"held-out accuracy: (\d\d\.\d) %", ran.stdout.splitlines()[-1])
    assert last is not None, ran.stdout
    assert float(last[1]) >= 96
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert {p.name for p in picture.parent.iterdir()} == {"picture.png"}


def test_it_runs_the_script_unmodified(finished: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    ran, _ = finished
    source = (demo.PROGRAMS / "heat.py").read_text()
    assert "import numpy as np" in source and "minpy_jit" not in source
    assert "Plain Python and NumPy print the same." in ran.stdout
    assert "minpy-jit report: heat.py, lazy mode" in ran.stdout


def test_each_step_is_one_executor_run_and_none_compiles(finished: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    ran, _ = finished
    names = (demo.NUMPY, demo.BARE, demo.EAGER, "minpy_jit, lazy", "minpy_jit, lazy, @trace")
    rows = {name: next(line for line in ran.stdout.splitlines() if re.match(rf"\s*{re.escape(name)}\s+\d", line)) for name in names}
    for name in names[3:]:
        assert rows[name].split()[-3:] == ["0", "1", "1"], rows[name]


def test_nothing_unexpected_on_stderr(finished: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    assert finished[0].stderr == ""


def test_a_missing_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(demo, "NEEDED", {"sys": "python", "no_such_module": "no-such-package"})
    assert main(["demo"]) == 2
    printed = capsys.readouterr()
    assert printed.err == "minpy-jit demo: needs no-such-package, not installed here; run: python -m pip install no-such-package\n"
    assert printed.out == ""
