"""The benchmark table: every workload gives NumPy's result in every way of running it, another result is refused, the numbers add up."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest

from benchmarks.workloads import WORKLOADS, __main__, contestant
from benchmarks.workloads.__main__ import Row, losses, markdown, measure, times
from benchmarks.workloads.workload import compare
from minpy_jit.cli import bench, main
from minpy_jit.cli.process import Contestant
from minpy_jit.cli.timing import Timing

ROOT = Path(__file__).resolve().parent.parent
# training, an observation in a loop, in place, bytes
CHOSEN = ["mlp_32", "newton", "jacobi", "grey_image_mixed"]


# -- what a workload gives ----------------------------------------------------------------------------------------------------------------
def test_there_is_a_workload_for_each_name() -> None:
    assert len(WORKLOADS) == 21
    assert all(name == workload.name for name, workload in WORKLOADS.items())
    assert len({workload.title for workload in WORKLOADS.values()}) == len(WORKLOADS)


@pytest.mark.parametrize("name", WORKLOADS)
def test_inputs_are_the_same_each_time_and_small_when_quick(name: str) -> None:
    def leaves(inputs: tuple[Any, ...]) -> list[numpy.ndarray]:
        parts = [list(each.values()) if isinstance(each, dict) else [each] for each in inputs]
        return [numpy.asarray(leaf) for part in parts for leaf in part]

    one, two = (leaves(WORKLOADS[name].inputs(True)) for _ in range(2))
    assert len(one) == len(two)
    assert all(numpy.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(one, two, strict=True))
    assert sum(a.nbytes for a in one) < 1 << 19


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_wrong_result_is_refused(name: str) -> None:
    workload = WORKLOADS[name]
    inputs = workload.inputs(True)
    right = dict(workload.numpy(*inputs)())
    workload.check(inputs, right)
    for key, value in right.items():
        array = numpy.asarray(value)
        # an argmin's neighbour, or one element off by a hundredth of what may change
        wrong = (array + 1) % 7 if array.dtype.kind == "i" else array + 0.01 * numpy.abs(array).max() + 1e-3
        with pytest.raises(AssertionError):
            workload.check(inputs, {**right, key: wrong})
    with pytest.raises(AssertionError, match="results"):
        workload.check(inputs, {**right, "more": 1})


def test_what_compare_refuses() -> None:
    right = numpy.array([1.0, 100.0])
    compare("r", right + 0.009, right, 1e-4)
    for wrong, text in (
        (right + 0.011, r"r: differs by 1\.1e-04 of its largest element; allowed 0\.0001"),
        (numpy.array([1.0, numpy.nan]), "r: not finite"),
        (right[:, None], r"r: shape \(2, 1\); expected \(2,\)"),
    ):
        with pytest.raises(AssertionError, match=text):
            compare("r", wrong, right, 1e-4)


# -- processes ----------------------------------------------------------------------------------------------------------------------------
def test_the_table_runs(tmp_path: Path) -> None:
    """Each result is compared with NumPy's in each process; here a result that is not ends the run."""
    picture = tmp_path / "table.png"
    ran = subprocess.run(
        [sys.executable, "-m", "minpy_jit", "bench", *CHOSEN, "--quick", "--plot", picture],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for name in CHOSEN:
        assert WORKLOADS[name].title in ran.stdout
    assert "geometric mean" in ran.stdout and "QUICK" in ran.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_whole_table_runs() -> None:
    rows = measure(list(WORKLOADS), quick=True)
    assert [row.workload.name for row in rows] == list(WORKLOADS)


def test_a_contestant_says_which_result_is_wrong(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    right = WORKLOADS["matmul"]
    broken = replace(right, ours=lambda wrap, x, w: lambda: {"result": x @ w * 1.01})
    monkeypatch.setitem(contestant.WORKLOADS, "matmul", broken)
    monkeypatch.setattr(sys, "argv", ["contestant", "lazy", "--quick"])
    monkeypatch.setattr(sys, "stdin", iter(["setup matmul\n"]))
    monkeypatch.setattr(contestant.os, "dup2", lambda *_: None)
    with pytest.raises(AssertionError, match="result: differs by"):
        contestant.main()
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("how", ["mx.nd", "symbol"])
def test_mxnet_is_there_before_us(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match=r"start it by plain_mxnet\.py"):
        patched.delitem(sys.modules, "mxnet", raising=False)
        contestant.maker(how)
    with __main__.contestant(how, True) as started:
        first, second = map(float, started.ask("setup matmul").split())
        assert first > 0 and second > 0 and started(1) > 0


def test_a_process_that_ends_says_why() -> None:
    with (
        Contestant(["-c", "import sys; print(input()[::-1], flush=True); input(); sys.exit('no more')"]) as asked,
        pytest.raises(RuntimeError, match=r"ended with status 1:\nno more"),
    ):
        assert asked.ask("abc") == "cba"
        asked.ask("again")


# -- the table ----------------------------------------------------------------------------------------------------------------------------
def row(name: str, **seconds: float) -> Row:
    found = {"NumPy": 1.0, "mx.nd": 8.0, "symbol": 4.0, "eager": 9.0, "lazy": 2.0, "trace": 1.5, "pure": 0.5, **seconds}
    return Row(WORKLOADS[name], found, found, {how: Timing((value,)) for how, value in found.items()})


def test_ratios_and_what_is_lost() -> None:
    rows = [row("matmul"), row("dense", lazy=0.25), row("rnn", lazy=16.0)]
    assert [r.speed("lazy", "mx.nd") for r in rows] == [4.0, 32.0, 0.5]
    assert losses(rows) == [
        "lazy is slower than NumPy in 2 of 3: matmul (0.50), rnn (0.06)",
        "lazy is slower than mx.nd in 1 of 3: rnn (0.50)",
    ]
    assert losses(rows[1:2])[0] == "lazy is slower than NumPy in 0 of 1"
    assert (
        markdown(rows[:1]).splitlines()[2] == "| product 1024×1024, float32 | 1 s | 8 s | 4 s | 9 s | 2 s | 1.5 s | 500 ms | 4.00 | 0.50 |"
    )
    assert __main__.geometric_mean([r.speed("lazy", "mx.nd") for r in rows]) == pytest.approx(4.0)
    assert [times(v) for v in (0.126, 1.0, 9.94, 9.96, 123.4)] == ["0.13", "1.00", "9.94", "10", "123"]


# -- the command --------------------------------------------------------------------------------------------------------------------------
def test_list_and_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith(" ")]
    assert listed == [*WORKLOADS, *bench.scripts()]
    assert {"chain", "eager", "memory", "recording", "training_step"} <= set(bench.scripts())
    assert not set(WORKLOADS) & set(bench.scripts())
    assert main(["bench", "no_such"]) == 2
    assert "no benchmark no_such; there are: black_scholes_1e4" in capsys.readouterr().err
    assert main(["bench", "recording", "--plot", "x.png"]) == 2
    assert "--plot draws the table" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "started"),
    [
        ([], [["benchmarks.workloads"]]),
        (["--quick"], [["benchmarks.workloads", "--quick"]]),
        (["rnn", "recording", "jacobi"], [["benchmarks.workloads", "rnn", "jacobi"], ["benchmarks.recording"]]),
        (["chain", "--quick"], [["benchmarks.chain", "--quick"]]),
        (["rnn", "--plot", "x.png", "--markdown"], [["benchmarks.workloads", "rnn", "--markdown", "--plot", "/here/x.png"]]),
    ],
)
def test_what_is_started(arguments: list[str], started: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []

    def run(command: list[str], cwd: Path, check: bool) -> subprocess.CompletedProcess[str]:
        assert (command[:2], cwd, check) == ([sys.executable, "-m"], ROOT, False)
        calls.append(command[2:])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(bench.subprocess, "run", run)
    monkeypatch.setattr(bench.os.path, "abspath", lambda path: f"/here/{path}")
    assert main(["bench", *arguments]) == 0
    assert calls == started


def test_a_failure_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(bench.subprocess, "run", lambda command, cwd, check: subprocess.CompletedProcess(command, "chain" in command[2]))
    assert main(["bench", "rnn", "chain"]) == 1
    assert capsys.readouterr().err == "minpy-jit bench: failed: chain\n"
