"""The command line: `run` is python with lazy arrays, `compare` tells right from wrong, and the rest says what it should."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from minpy_jit.cli import compare, main, show
from minpy_jit.cli.compare import first_difference, same
from minpy_jit.cli.run import BesideFinder

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = [ROOT / "examples" / "scripts" / f"{name}.py" for name in ("mandelbrot", "power_iteration")]


def start(*arguments: str | Path, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run python as a user's shell would."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **settings}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def minpy_jit(*arguments: str | Path, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return start("-m", "minpy_jit", *arguments, cwd=cwd, **settings)


def write(folder: Path, **files: str) -> None:
    """Write modules into a folder."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))


# -- run: what numpy means ----------------------------------------------------------------------------------------------------------------
def test_every_way_to_import_numpy_gives_ours(tmp_path: Path) -> None:
    write(
        tmp_path,
        script="""
            import numpy
            import numpy as np
            import numpy.linalg
            import numpy.linalg as la
            import numpy.random as nr
            import numpy.typing as npt
            from numpy import sin, ndarray, random
            from numpy.linalg import norm
            from numpy.random import default_rng
            from numpy.lib.stride_tricks import sliding_window_view
            import numpy.testing

            x = np.arange(4.0)
            for value in (x, sin(x), numpy.ones(2), default_rng(0).random(3), nr.rand(2), random.rand(2), np.eye(2) @ np.eye(2)):
                assert type(value).__module__.startswith("minpy_jit"), type(value)
                assert isinstance(value, ndarray)
            assert np is numpy and np.__name__ == "minpy_jit.numpy", np
            assert la is np.linalg is numpy.linalg
            print(float(norm(x)), npt.NDArray is not None, sliding_window_view(x, 2).shape)
            numpy.testing.assert_allclose(sin(x), x - x**3 / 6, atol=2)
            try:
                from numpy import no_such_name
            except ImportError as error:
                print("ImportError")
            try:
                import numpy.no_such_module
            except ModuleNotFoundError as error:
                print(error)
        """,
        star="""
            from numpy import *
            from numpy.linalg import *
            print(type(ones(2)).__module__.split(".")[0], max([1, 2]), float(norm(ones(4))))
        """,
    )
    ran = minpy_jit("run", "script.py", cwd=tmp_path)
    assert ran.stderr == ""
    assert ran.stdout.splitlines() == ["3.7416573867739413 True (3, 2)", "ImportError", "No module named 'numpy.no_such_module'"]
    ran = minpy_jit("run", "star.py", cwd=tmp_path)
    assert (ran.stdout, ran.stderr) == ("minpy_jit 2 2.0\n", "")


def test_modules_beside_the_script_get_ours_and_installed_packages_numpys(tmp_path: Path) -> None:
    write(
        tmp_path,
        script="""
            import helper, package.inner, installed, sys, json
            import numpy as np
            assert sys.modules["numpy"].__name__ == "numpy"
            print(helper.make().__class__.__module__, package.inner.make().__class__.__module__, installed.make().__class__.__module__)
            print(helper.lazily(np.arange(3)), installed.total(np.arange(3.0)))
            namespace = {}
            exec("import numpy; made = numpy.ones(1)", namespace)
            print(type(namespace["made"]).__module__, type(helper.later()).__module__)
        """,
        helper="""
            import numpy as np
            def make(): return np.ones(2)
            def later():
                import numpy
                return numpy.ones(1)
            class Adder:
                def __call__(self, x):
                    from numpy import add
                    return add(x, 1)
            lazily = Adder()
        """,
    )
    (tmp_path / "package").mkdir()
    write(tmp_path / "package", __init__="", inner="from .other import make", other="import numpy as np\ndef make(): return np.ones(2)")
    site = tmp_path / "env" / "site-packages"
    site.mkdir(parents=True)
    write(site, installed="import numpy as np\ndef make(): return np.ones(2)\ndef total(x): return np.asarray(x).sum()")
    ran = minpy_jit("run", "script.py", cwd=tmp_path, PYTHONPATH=f"{ROOT}{os.pathsep}{site}")
    assert ran.stderr == ""
    ours, numpys = "minpy_jit.numpy.array", "numpy"
    assert ran.stdout.splitlines() == [f"{ours} {ours} {numpys}", "[1 2 3] 3.0", f"{ours} {ours}"]


def test_installed_packages_take_our_arrays(tmp_path: Path) -> None:
    write(
        tmp_path,
        script="""
            import numpy as np
            from scipy import linalg, special
            x = np.array([[2.0, 0.0], [1.0, 3.0]])
            print(linalg.det(x), special.expit(np.zeros(1))[0])
            print(type(np.sqrt(x)).__module__)
        """,
    )
    ran = minpy_jit("run", "script.py", cwd=tmp_path)
    assert (ran.stdout, ran.stderr) == ("6.0 0.5\nminpy_jit.numpy.array\n", "")


@pytest.mark.parametrize(
    ("path", "beside"),
    [
        ("project/a.py", True),
        ("project/deep/er/a.py", True),
        ("elsewhere/a.py", False),
        ("project_two/a.py", False),
        ("project/.venv/lib/python3.11/site-packages/x.py", False),
        ("project/dist-packages/x.py", False),
    ],
)
def test_which_files_are_beside(tmp_path: Path, path: str, beside: bool) -> None:
    assert BesideFinder(str(tmp_path / "project"), {}).beside(str(tmp_path / path)) is beside


def test_nothing_of_python_or_of_ours_is_beside_a_script() -> None:
    finder = BesideFinder("/", {})
    assert not finder.beside(os.__file__)
    assert not finder.beside(compare.__file__)


# -- run: like python ---------------------------------------------------------------------------------------------------------------------
def test_a_script_sees_what_python_shows_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        script="""
            import os, sys, pickle, __main__
            class Thing: pass
            print(__name__, os.path.basename(__file__), os.path.isabs(__file__), __package__, __spec__)
            print(sys.argv, os.path.basename(sys.path[0]), __main__.Thing is Thing)
            print(type(pickle.loads(pickle.dumps(Thing()))).__name__, type(__annotations__).__name__)
        """,
    )
    arguments = ("sub/script.py", "--report", "--mode", "eager", "-x")
    (tmp_path / "sub").mkdir()
    (tmp_path / "script.py").rename(tmp_path / "sub" / "script.py")
    ran, plain = minpy_jit("run", *arguments, cwd=tmp_path), start(*arguments, cwd=tmp_path)
    assert ran.stderr == plain.stderr == ""
    assert ran.stdout == plain.stdout


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("", 0),
        ("import sys; sys.exit()", 0),
        ("import sys; sys.exit(7)", 7),
        ("import sys; sys.exit('a message')", 1),
        ("raise SystemExit(3)", 3),
        ("1 / 0", 1),
        ("import os; os._exit(9)", 9),
        ("import atexit, numpy as np; x = np.ones(2); atexit.register(lambda: print('bye', x[0])); print('hi')", 0),
        ("import threading\nt = threading.Thread(target=lambda: print('from a thread'))\nt.start()", 0),
        ("def f(:", 1),
        ("raise KeyboardInterrupt", -signal.SIGINT),
    ],
)
def test_a_script_ends_as_under_python(tmp_path: Path, code: str, status: int) -> None:
    write(tmp_path, script=code)
    ran, plain = minpy_jit("run", "script.py", cwd=tmp_path), start("script.py", cwd=tmp_path)
    assert ran.returncode == plain.returncode == status
    assert (ran.stdout, ran.stderr) == (plain.stdout, plain.stderr)


def test_a_traceback_shows_the_scripts_lines_only(tmp_path: Path) -> None:
    write(
        tmp_path,
        script="""
            import helper
            helper.fail()
        """,
        helper="""
            import numpy as np
            def fail():
                try:
                    np.ones((2, 3)) @ np.ones((2, 3))
                except ValueError as error:
                    raise RuntimeError("outer") from error
        """,
        at_import="import broken",
        broken="import numpy as np\nnp.ones(3)[5]\n",
        lazy="""
            import numpy as np
            x = np.ones(3)
            print(x + np.ones(4))
        """,
    )
    for name in ("script", "at_import", "lazy"):
        ran = minpy_jit("run", f"{name}.py", cwd=tmp_path)
        assert ran.returncode == 1
        assert ran.stderr.startswith("Traceback (most recent call last):\n")
        files = {line.split('"')[1] for line in ran.stderr.splitlines() if line.startswith("  File ")}
        assert {Path(f).parent for f in files} == {tmp_path}, ran.stderr
    ran = minpy_jit("run", "script.py", cwd=tmp_path)
    assert 'helper.py", line 5, in fail' in ran.stderr
    assert "[matmul]" in ran.stderr
    assert "direct cause" in ran.stderr
    assert ran.stderr.endswith("RuntimeError: outer\n")


def test_a_scripts_own_excepthook_is_used(tmp_path: Path) -> None:
    write(
        tmp_path,
        script="""
            import sys, traceback
            def hook(kind, error, trace):
                print("hook:", kind.__name__, [f.name for f in traceback.extract_tb(trace)])
            sys.excepthook = hook
            def inner(): raise ValueError
            inner()
        """,
    )
    ran = minpy_jit("run", "script.py", cwd=tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "hook: ValueError ['<module>', 'inner']\n", "")


def test_a_script_that_is_not_there(tmp_path: Path) -> None:
    for command in ("run", "compare"):
        ran = minpy_jit(command, "none.py", cwd=tmp_path)
        assert ran.returncode == 2
        assert ran.stderr == f"minpy-jit {command}: cannot read 'none.py': No such file or directory\n"


@pytest.mark.parametrize("mode", ["lazy", "eager", "numpy"])
def test_modes_and_their_report(tmp_path: Path, mode: str) -> None:
    write(
        tmp_path,
        script="""
            import numpy as np
            x = np.linspace(0, 1, 5)
            for _ in range(3):
                x = np.sqrt(x) + 1
                print(x.sum())
            np.logaddexp.reduce(x)
            unseen = x + 1
        """,
    )
    ran = minpy_jit("run", "--mode", mode, "--report", "script.py", cwd=tmp_path)
    plain = start("script.py", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert first_difference(plain.stdout, ran.stdout) is None
    assert f"minpy-jit report: script.py, {mode} mode" in ran.stderr
    if mode == "lazy":
        assert "script.py:6" in ran.stderr and "flushes" in ran.stderr
        assert "pending step(s) that nothing observed were never run" in ran.stderr


def test_a_report_follows_a_failure(tmp_path: Path) -> None:
    write(tmp_path, script="import numpy as np\nprint(np.ones(2) + 1)\nraise SystemExit(4)")
    ran = minpy_jit("run", "--report", "script.py", cwd=tmp_path)
    assert ran.returncode == 4
    assert ran.stdout == "[2. 2.]\n"
    assert "minpy-jit report" in ran.stderr and "script.py:2" in ran.stderr


# -- compare ------------------------------------------------------------------------------------------------------------------------------
def test_compare_finds_examples_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    # what each of the others prints, test_scripts.py compares
    assert main(["compare", *map(str, SCRIPTS), "--repeat", "3", "--", "48"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip().endswith(("reference", "same"))]
    assert [Path(row[0]).name for row in rows if len(row) > len(rows[1])] == [p.name for p in SCRIPTS]
    assert [next(m for m in compare.MODES if m in row) for row in rows] == [*compare.MODES] * 2


def test_compare_prints_markdown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, one="print(1)", two="import numpy as np\nprint(type(np.ones(1)).__module__)")
    paths = [str(tmp_path / name) for name in ("one.py", "two.py")]
    assert main(["compare", *paths, "--modes", "numpy,lazy", "--repeat", "2", "--markdown"]) == 1
    head, rule, *rows = capsys.readouterr().out.splitlines()
    assert head == "| script | numpy, first call | numpy | lazy, first call | lazy | lazy / numpy | output |"
    assert rule.count("|") == head.count("|") == rows[0].count("|") == rows[1].count("|")
    assert rows[0].startswith("| `one` | ") and rows[0].endswith(" | same |")
    assert rows[1].startswith("| `two` | ") and rows[1].endswith(" | lazy differ |")


def test_compare_says_which_of_several_scripts_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, right="print(1)", wrong="import numpy as np\nprint(np.__name__)")
    paths = [str(tmp_path / f"{name}.py") for name in ("right", "wrong")]
    assert main(["compare", *paths, "--modes", "numpy,lazy", "--repeat", "1"]) == 1
    printed = capsys.readouterr().out
    assert f"{paths[1]}: lazy differs from numpy" in printed and f"{paths[0]}: lazy" not in printed


def test_compare_shows_the_first_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(
        tmp_path,
        script="""
            import numpy as np
            print("the same", np.float32(1) / 3)
            print("here:", 1.25 if np.__name__ == "numpy" else 1.26)
        """,
    )
    assert main(["compare", str(tmp_path / "script.py"), "--modes", "numpy,lazy", "--repeat", "1"]) == 1
    printed = capsys.readouterr().out
    assert "differs" in printed
    assert "numpy line 2: here: 1.25" in printed and "lazy  line 2: here: 1.26" in printed


def test_compare_compares_how_scripts_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, script="import numpy as np, sys\nsys.exit(0 if np.__name__ == 'numpy' else 5)", fails="raise ValueError('both')")
    assert main(["compare", str(tmp_path / "script.py"), "--modes", "numpy,lazy", "--repeat", "2"]) == 1
    assert "exit status: numpy 0, lazy 5" in capsys.readouterr().out
    assert main(["compare", str(tmp_path / "fails.py"), "--modes", "numpy,lazy", "--repeat", "2"]) == 1
    assert "ValueError: both" in capsys.readouterr().err


def test_compare_passes_arguments(tmp_path: Path) -> None:
    write(tmp_path, script="import sys\nassert sys.argv[1:] == ['a', '--b'], sys.argv")
    assert main(["compare", str(tmp_path / "script.py"), "--modes", "numpy", "--repeat", "1", "--", "a", "--b"]) == 0


def test_compare_refuses_an_unknown_mode(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["compare", "x.py", "--modes", "lazy,fast"])
    assert leaving.value.code == 2
    assert "--modes: fast; legal: numpy, eager, lazy" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("one", "two", "agree"),
    [
        ("1", "1", True),
        ("1", "2", False),
        ("100000", "100001", False),
        ("1.0", "1.000001", True),
        ("1.0", "1.0001", False),
        ("1.", "1", True),
        ("-1.5", "1.5", False),
        ("1e-12", "0.0", True),
        ("nan", "nan", True),
        ("inf", "-inf", False),
        ("inf", "1e300", False),
        ("x", "y", False),
        ("nan", "x", False),
    ],
)
def test_which_tokens_agree(one: str, two: str, agree: bool) -> None:
    assert same(one, two, 1e-5, 1e-8) is agree


@pytest.mark.parametrize(
    ("one", "two", "where"),
    [
        ("[0.1 0.2]\n", "[0.1        0.20000001]\n", None),
        ("[[1. 2.]\n [3. 4.]]", "[[1. 2.]\n [3. 4.5]]", (2, 2)),
        ("a\nb", "a\nb\nc", (3, 3)),
        ("a\nb\nc", "a", (2, 2)),
        ("", "", None),
        ("", "x", (1, 1)),
        ("step 1: loss 0.5", "step 2: loss 0.5", (1, 1)),
        ("x=1e-3", "x=0.001", None),
    ],
)
def test_where_outputs_differ(one: str, two: str, where: tuple[int, int] | None) -> None:
    assert first_difference(one, two) == where


# -- the others ---------------------------------------------------------------------------------------------------------------------------
def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    from minpy_jit import config

    assert main(["info"]) == 0
    printed = capsys.readouterr().out
    assert "mxnet           1.9.1" in printed
    assert f"max_steps           {config.max_steps}" in printed


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chain", "memory", "training_step"])
def test_benchmarks_meet_their_bounds(name: str) -> None:
    ran = start("-m", f"benchmarks.{name}", "--quick", cwd=ROOT)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["--version"], ["run", "--help"]):
        with pytest.raises(SystemExit) as leaving:
            main(arguments)
        assert leaving.value.code == 0
    assert "run an ordinary NumPy script lazily" in capsys.readouterr().out
    with pytest.raises(SystemExit) as leaving:
        main([])
    assert leaving.value.code == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.0, "2 s"), (0.9999, "1000 ms"), (0.0123, "12.3 ms"), (4.56e-6, "4.56 µs"), (3e-9, "3 ns"), (12345.0, "12345 s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert show.duration(seconds) == text
