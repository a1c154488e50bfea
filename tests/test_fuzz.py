"""Random programs: what they compute in each mode is what NumPy computes; random gradients are the central differences.

A failure prints a script that shows it. Three thousand programs are run by `make test`, two hundred thousand by `make test-all`
(`MINPY_JIT_FUZZ_PROGRAMS` sets how many); benchmarks/fuzz.py runs as many as one likes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fuzz_driver
import fuzz_gradients
import fuzz_writer
import numpy
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import minpy_jit
from benchmarks import fuzz as campaign
from minpy_jit.exec import regions
from minpy_jit.trace.op import TABLE
from minpy_jit.trace.recorder import Segment

ROOT = Path(__file__).resolve().parent.parent
MANY = int(os.environ.get("MINPY_JIT_FUZZ_PROGRAMS", "200000"))


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
    pure = draw(st.integers(0, 6)) == 0
    return fuzz_writer.Writer(lambda n: draw(st.integers(0, n - 1)), draw(st.integers(1, 12)), pure).program


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
@_settings(200)
def test_programs_agree_with_numpy(program: fuzz_driver.Program) -> None:
    _compare(program)


@pytest.mark.parametrize("part", range(8))
def test_numbered_programs_agree_with_numpy(part: int, monkeypatch: pytest.MonkeyPatch, fresh_caches: None) -> None:
    """Without hypothesis, which takes as long as all the rest, and as LLVM's optimisations of most kernels do."""
    if regions.available():
        from minpy_jit.exec.regions import jit

        monkeypatch.setattr(jit, "object_of", campaign.mostly_unoptimised(jit.object_of, Counter()))
    found = [(n, campaign.check_one(0, n, None)) for n in range(part * 350, (part + 1) * 350)]
    differ = [f"program {n}: {text}" for n, text in found if text is not None]
    again = "python -m benchmarks.fuzz --seed 0 --only N shrinks one, and writes a script that shows it"
    assert not differ, "\n".join([*differ, again])


@given(differentiable())
@_settings(60)
def test_gradients_agree_with_differences(program: fuzz_gradients.Program) -> None:
    _differentiate(program)


@pytest.mark.slow
def test_a_long_campaign_agrees_with_numpy(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.fuzz", "--programs", str(MANY), "--jobs", "2", "--out", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    record_property("summary", ran.stdout)
    assert ran.returncode == 0, ran.stdout + ran.stderr


# -- the checkers find what they are for --------------------------------------------------------------------------------------------------
def _simple(*statements: str, **more: Any) -> fuzz_driver.Program:
    values = {**dict.fromkeys("abc", numpy.arange(3.0)), "s": 0.5, "k": 1}
    return fuzz_driver.Program(list(statements), [values] * 2, **more)


def test_a_wrong_value_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    program = _simple("b = a + a", "c = np.sort(b)")
    assert fuzz_driver.check(program) is None
    monkeypatch.setattr(minpy_jit.numpy, "sort", lambda x: x * 1.0000001)
    found = fuzz_driver.check(program)
    assert found is not None and found.startswith("lazy, points 0: c = ")
    assert fuzz_driver.shrink(program).statements == ["c = np.sort(b)"]


@pytest.fixture
def fresh_caches() -> Iterator[None]:
    """What is compiled with a planted fault, or in another way, goes with it."""
    minpy_jit.clear_caches()
    yield
    minpy_jit.clear_caches()


@pytest.mark.parametrize("mode", ["lazy", "numpy", "trace", "pure", "lazy, mxnet", "trace, mxnet", "eager", "lazy, others, mxnet"])
def test_a_fault_in_an_op_is_found_in_every_mode(mode: str, monkeypatch: pytest.MonkeyPatch, fresh_caches: None) -> None:
    program = _simple("b = np.square(a + 2)", "c = b - a", "b[1:] = c[:-1]", pure=True)
    assert fuzz_driver.check(program, [mode]) is None
    minpy_jit.clear_caches()
    op = TABLE["square"]
    if "mxnet" in mode or mode == "eager":
        monkeypatch.setattr(op, "mxnet", lambda low, xs, types, result: xs[0])
        monkeypatch.setattr(op, "kernel", "copy")
    else:
        monkeypatch.setattr(op, "numpy", numpy.positive)
    found = fuzz_driver.check(program, [mode])
    assert found is not None and found.startswith(f"{mode}: b = ")
    assert fuzz_driver.shrink(program, [mode]).statements == ["b = np.square(a + 2)"]


@pytest.fixture
def through_regions() -> Iterator[Counter[str]]:
    """All that native code can take is in regions; what they count."""
    if not regions.available():
        pytest.skip(f"native regions: {regions.describe()}")
    counts: Counter[str] = Counter()
    with campaign.Regions(counts):
        program = _simple("c = a + b")
        # code that regions share is made with a process's first
        assert fuzz_driver.check(program, fuzz_driver.compiled_modes_of(program)) is None
        counts.clear()
        yield counts


@pytest.mark.parametrize("pure", [False, True])
def test_the_compiled_modes_run_in_regions_from_the_first_run_on(through_regions: Counter[str], pure: bool) -> None:
    # one step: outside, a region of its own does not pay
    program = _simple("c = b - a", pure=pure)
    modes = fuzz_driver.compiled_modes_of(program)
    assert all("pure" in mode or "mxnet" in mode for mode in modes)
    before = minpy_jit.stats().get("reference_runs", 0)
    assert fuzz_driver.check(program, modes) is None
    # the first call of a pure function is an encounter like any other
    assert minpy_jit.stats().get("reference_runs", 0) == before
    assert through_regions["regions"] == through_regions["kernels"] == 1 and through_regions["region_runs"] == 2


def test_a_wrong_kernel_is_found_in_regions(through_regions: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    program = _simple("b = np.square(a + 2)", "c = b - a")
    modes = fuzz_driver.compiled_modes_of(program)
    assert fuzz_driver.check(program, modes) is None
    minpy_jit.clear_caches()
    monkeypatch.setattr(TABLE["square"], "kernel", "copy")
    found = fuzz_driver.check(program, modes)
    assert found is not None and f"{modes[0]}: b = " in found


def test_a_share_of_the_kernels_is_compiled_as_for_users(through_regions: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(24):
        assert fuzz_driver.check(_simple(f"c = a * {number}.5", "b = c - a[::-1]" + " + s" * number), ["lazy, mxnet"]) is None
    assert 0 < through_regions["optimised_kernels"] < through_regions["kernels"] / 2


def test_a_campaign_runs_through_regions(tmp_path: Path) -> None:
    if not regions.available():
        pytest.skip(f"native regions: {regions.describe()}")
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.fuzz", "--regions", "--programs", "12", "--jobs", "1", "--out", tmp_path / "none"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    counts = [part.split(" ", 1) for part in ran.stdout.splitlines()[1].strip().split(", ")]
    found = {name: int(number.replace(",", "")) for number, name in counts}
    assert 6 <= found["programs with regions"] <= 12 and found["region runs"] > found["kernels"] > 6


def test_a_stale_replay_is_found(monkeypatch: pytest.MonkeyPatch, fresh_caches: None) -> None:
    program = _simple("c = a * s", "b = c + k")
    program.inputs[1] = {**program.inputs[1], "s": 2.5}
    assert fuzz_driver.check(program, fuzz_driver.EVERY) is None
    minpy_jit.clear_caches()
    # numbers of the first run, whatever they are later
    monkeypatch.setattr(Segment, "scalar", lambda self, value, scalar=Segment.scalar: scalar(self, 0.5))
    found = fuzz_driver.check(program, fuzz_driver.EVERY)
    assert found is not None


def test_a_missing_alias_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    program = _simple("b = np.ravel(a)", "b += 1")
    assert fuzz_driver.check(program) is None
    monkeypatch.setattr(minpy_jit.numpy, "ravel", lambda x: x.flatten())
    found = fuzz_driver.check(program)
    assert found is not None and found.startswith("lazy, points 0: a = ")


def test_a_missing_or_another_exception_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    program = _simple("try:\n    b = np.take(a, [7])\nexcept Exception as error:\n    log(error)")
    assert fuzz_driver.check(program) is None
    monkeypatch.setattr(minpy_jit.numpy, "take", lambda x, i: x)
    assert fuzz_driver.check(program) is not None

    def other(x: Any, i: Any) -> None:
        raise KeyError(i)

    monkeypatch.setattr(minpy_jit.numpy, "take", other)
    assert fuzz_driver.check(program) is not None


def test_a_wrong_gradient_inside_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    program = _simple("b = gradient(lambda p: np.sum(p * p), lambda p: p * 2, a)", inexact={"b"})
    assert fuzz_driver.check(program) is None
    monkeypatch.setattr(minpy_jit.numpy, "sum", lambda x: minpy_jit.stop_gradient(x.sum()))
    assert fuzz_driver.check(program) is not None


def test_what_runs_do_at_a_point_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    program = _simple("b = a * 2", "point(0, a, b, c, d, e)", "c = b + 1", points=1, actions=({0: ("flush one", 1)}, {0: ("see", 1)}))
    before = minpy_jit.stats().get("flushes", 0)
    assert fuzz_driver.check(program, ["lazy"]) is None
    between = minpy_jit.stats().get("flushes", 0)
    assert fuzz_driver.check(program, ["lazy, points 0"]) is None
    assert minpy_jit.stats().get("flushes", 0) - between == between - before + 1
    monkeypatch.setattr(minpy_jit, "flush", lambda *arrays: arrays[0].fill(9))
    assert fuzz_driver.check(program, ["lazy, points 0"]) is not None


def test_the_second_run_is_mxnets() -> None:
    program = _simple("b = np.tanh(a) * 0.37 - a", "c = b * b + s", inexact={"b", "c"})
    before = minpy_jit.stats().get("executor_runs", 0)
    assert fuzz_driver.check(program, fuzz_driver.EVERY) is None
    assert minpy_jit.stats().get("executor_runs", 0) - before >= 4


def test_pure_programs_are_replayed() -> None:
    program = _simple("a[1:] += b[:-1]", "c = a * s", pure=True)
    before = minpy_jit.stats().get("pure_replays", 0)
    skipped: list[str] = []
    assert fuzz_driver.check(program, fuzz_driver.PURE, skipped) is None
    assert not skipped and minpy_jit.stats().get("pure_replays", 0) - before == 2


def test_a_wrong_gradient_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    program = fuzz_gradients.Program(["u = np.sin(u)"], numpy.array([0.3, -0.7]))
    assert fuzz_gradients.check(program) is None
    monkeypatch.setattr(minpy_jit.numpy, "sin", lambda x: minpy_jit.stop_gradient(minpy_jit.numpy.cos(x - numpy.pi / 2)))
    assert fuzz_gradients.check(program) is not None


def test_the_printed_script_runs(capsys: pytest.CaptureFixture[str]) -> None:
    program = _simple("b = a * s", "point(0, a, b, c, d, e)", "with region():\n    c = b", points=1, actions=({0: ("flush", 0)}, {}))
    with numpy.errstate(all="ignore"):
        exec(compile(program.script(), "<script>", "exec"), {})
        exec(compile(fuzz_gradients.Program(["u = u * 2"], numpy.array([0.3])).script(), "<script>", "exec"), {})
    assert capsys.readouterr().out.count("array([0. , 0.5, 1. ])") == 50


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        (["a = np.zeros(3, 'uint8')", "np.copyto(a, np.int64(3))"], "[copyto] Cannot cast"),
        (["b = np.einsum('i->', np.ones(3, 'uint8'))", "b /= -1"], "Python integer -1 out of bounds for uint8"),
        (["b = np.array(np.array([]))", "np.copyto(b, b.reshape(-1), where=np.ones((1, 2, 3)) > 0)"], "could not broadcast where mask"),
    ],
)
def test_a_listed_difference_is_counted_and_no_other_is(statements: list[str], found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = _simple(*statements)
    fuzz_driver.met.clear()
    assert fuzz_driver.check(program) is None
    (listed,) = (t for t in fuzz_driver.TOLERATED if fuzz_driver.met[t.reason])
    fuzz_driver.met.clear()
    monkeypatch.setattr(fuzz_driver, "TOLERATED", [t for t in fuzz_driver.TOLERATED if t != listed])
    assert found in str(fuzz_driver.check(program)) and not fuzz_driver.met


def test_a_fault_that_only_numpy_finds_is_not_listed_for_us() -> None:
    """An error of ours with the text of a listed one of NumPy's."""
    error = OverflowError("Python integer -1 out of bounds for uint8")
    program, nothing = _simple("b = a / 2"), fuzz_driver.Result(None, [], [], [])
    assert fuzz_driver.tolerated(program, nothing, replace(nothing, error=error), {}) is not None
    assert fuzz_driver.tolerated(program, replace(nothing, error=error), nothing, {}) is None


def test_comparisons_of_complex_scalars_are_listed_where_nothing_else_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    statements = ["d = np.divide(6, np.array([0j, 1j, 2.0]))", "log(sum(1 for v in d.reshape(-1) if v > 0))", "c = np.sort(a)"]
    fuzz_driver.met.clear()
    assert fuzz_driver.check(_simple(*statements)) is None
    assert list(fuzz_driver.met) == [fuzz_driver.COMPARED.reason]
    fuzz_driver.met.clear()
    monkeypatch.setattr(minpy_jit.numpy, "sort", lambda x: x * 2)
    found = fuzz_driver.check(_simple(*statements))
    assert found is not None and not fuzz_driver.met


def test_what_differs_before_a_listed_difference_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    program = _simple("log(np.sort(b)[-1])", "a = np.zeros(3, 'uint8')", "np.copyto(a, np.int64(3))")
    assert fuzz_driver.check(program) is None
    monkeypatch.setattr(minpy_jit.numpy, "sort", lambda x: x * 2)
    assert fuzz_driver.check(program) is not None
    fuzz_driver.met.clear()


def test_programs_contain_what_they_are_for() -> None:
    """Each kind of statement, value and run, in the first thousand programs."""
    written = [campaign.program(0, n) for n in range(1000) if not campaign.is_gradient(n)]
    text = "\n".join(p.source() for p in written)
    for part in (
        *(
            "+= ",
            "[1:] = ",
            ".view()",
            ".T",
            "np.broadcast_to",
            "out=",
            "where=",
            "np.add.at",
            "k:k+1",
            "::-1",
            "None",
            "..., ",
            "[[",
            "> 0]",
        ),
        *("if ", "while ", "for ", "break", "continue", "def ", "yield", "lambda", "try:", "raise KeyError", "assert ", "with region()"),
        *("float(", "bool(", ".tolist()", "flush(", "np.linalg", "np.random.rand", "default_rng", "shuffle", "gradient(", "np.unique"),
    ):
        assert part in text, part
    dtypes = {v.dtype.name for p in written for v in p.inputs[0].values() if isinstance(v, numpy.ndarray)}
    assert dtypes == set(fuzz_writer.DTYPES)
    assert {action for p in written for each in p.actions for action, _ in each.values()} == {a for a in fuzz_writer.ACTIONS if a}
    assert 100 < sum(p.pure for p in written) < 200
    kinds = {mode.split(",")[0] for p in written for mode in fuzz_driver.modes_of(p)}
    assert kinds == {"lazy", "trace", "pure", "eager", "numpy"}


def test_a_campaign_that_is_interrupted_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "progress-0-9-1"
    folder.mkdir()
    (folder / "state-0").write_text(f"{6:<20d}")
    (folder / "said-0").write_text(json.dumps({"number": 3, "found": "lazy: as if"}) + "\n" + json.dumps({"ended": 4}) + "\n")
    (folder / "seconds").write_text("100.0")
    said, seconds = campaign.campaign(0, 9, 1, tmp_path)
    assert [m for m in said if not m.keys() & set(campaign.COUNTS)] == [{"number": 3, "found": "lazy: as if"}, {"ended": 4}]
    # the last three have run, and nothing is left
    assert [m["flushes"] > 0 for m in said if "flushes" in m] == [True]
    assert seconds > 100 and not folder.exists()


def test_a_campaign_looks_after_each_of_its_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Share:
        count = 0
        said = tmp_path / "none"

        def __init__(self, seed: int, start: int, *more: Any) -> None:
            self.start = start

        def done(self) -> bool:
            asked.append(self.start)
            return len(asked) > 4

        def end(self) -> None:
            pass

    monkeypatch.setattr(campaign, "Share", Share)
    campaign.campaign(0, 2, 2, tmp_path)
    assert asked == [0, 1] * 3


def test_a_program_that_hangs_is_told_from_a_machine_that_was_suspended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Process:
        def __init__(self, *command: Any, **settings: Any) -> None:
            self.status: int | None = None

        def poll(self) -> int | None:
            return self.status

        def kill(self) -> None:
            self.status = -9

        def wait(self) -> int | None:
            return self.status

    monkeypatch.setattr(campaign.subprocess, "Popen", Process)
    share = campaign.Share(0, 1, 7, 2, tmp_path, tmp_path, "all")
    looks = round(campaign.HANGING / campaign.EVERY)
    monkeypatch.setattr(campaign, "perf_counter", iter(range(0, 10**9, 10**4)).__next__)
    for _ in range(looks):
        assert not share.done() and not share.said.read_text()
    share.state.write_text("3")
    for _ in range(looks + 1):
        assert not share.done() and not share.said.read_text()
    # its next process goes on with the program after it, and dies there
    assert not share.done()
    assert share.process is not None and share.next == 5
    share.process.kill()
    assert share.done()
    assert [json.loads(line) for line in share.said.read_text().splitlines() if line] == [
        {"ended": 3, "how": "did not get on for 300 s"},
        {"ended": 5, "how": "ended its process, with status -9"},
    ]


def test_a_campaign_runs_and_writes_what_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.fuzz", "--programs", "6", "--jobs", "2", "--out", tmp_path / "none"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (
        ran.stdout.startswith("6 programs (seed 0, 2 job(s))")
        and "0 differ from NumPy, 0 ended their process; 0 met a listed" in ran.stdout
    )
    monkeypatch.setattr(minpy_jit.numpy, "sum", lambda *args, **kwargs: 0)
    for number in range(60):
        if campaign.check_one(0, number, tmp_path) is not None:
            assert (tmp_path / f"0-{number}.py").read_text().startswith(f"# seed 0, program {number}\n# lazy, points 0: ")
            return
    pytest.fail("no program of the first sixty sums anything")
