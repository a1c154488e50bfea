"""The recorder's hot path, compiled and uncompiled: interrupted operations stay whole, and machine code of another source is refused."""

from __future__ import annotations

import gc
import hashlib
import importlib.machinery
import os
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.trace import compiled, replay
from minpy_jit.trace.stats import stats

ROOT = Path(__file__).resolve().parent.parent
SOURCE = Path(str(replay.__file__)).with_name("replay.py")

# imports the source even where machine code lies beside it
UNCOMPILED = f"""
import importlib.util, sys
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "minpy_jit.trace.replay":
            return importlib.util.spec_from_file_location(name, {str(SOURCE)!r})
sys.meta_path.insert(0, Finder)
"""


def run_uncompiled(code: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run code in a process in which nothing is compiled."""
    return subprocess.run(
        [sys.executable, "-c", UNCOMPILED + code, *arguments], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False
    )


def test_info_says_which_form_runs() -> None:
    suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
    assert compiled.is_compiled() is str(replay.__file__).endswith(suffixes)
    assert minpy_jit.info()["recorder"] == ("compiled" if compiled.is_compiled() else "uncompiled")


def test_the_source_runs_uncompiled() -> None:
    code = """
import numpy, minpy_jit, minpy_jit.numpy as np
x = np.array(numpy.arange(6.0).reshape(2, 3))
for _ in range(3):
    y = 2.0 - x * 3 + abs(-x) / (x + 1)
    y -= x
    y **= 2
    total = (y @ y.T).sum(axis=0)
    print(total.tolist(), (x > 1).tolist())
print(minpy_jit.info()["recorder"])
"""
    done = run_uncompiled(code)
    a = numpy.arange(6.0).reshape(2, 3)
    b = (2.0 - a * 3 + abs(-a) / (a + 1) - a) ** 2
    line = f"{(b @ b.T).sum(axis=0).tolist()} {(a > 1).tolist()}"
    assert done.stdout.splitlines() == [line, line, line, "uncompiled"], done.stderr


@pytest.mark.slow
def test_uncompiled_passes_the_recorders_tests() -> None:
    code = "import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    files = ["laziness", "limits", "threads", "arrays", "aliasing", "regressions"]
    done = run_uncompiled(code, "-q", "-p", "no:cacheprovider", "-m", "not slow", *[f"tests/test_{name}.py" for name in files])
    assert done.returncode == 0, done.stdout[-5000:]


def test_machine_code_of_another_source_is_refused(tmp_path: Path) -> None:
    source, library = tmp_path / "replay.py", tmp_path / "replay.so"
    source.write_text("x = 1\n")
    loaded = {f"package.replay_{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}__mypyc"}
    compiled.check(library, "package.replay", loaded)
    source.write_text("x = 2\n")
    with pytest.raises(ImportError, match=r"replay\.so was compiled from another replay\.py .*pip install"):
        compiled.check(library, "package.replay", loaded)
    # the source itself, or nothing to compare with
    compiled.check(source, "package.replay", set())
    source.unlink()
    compiled.check(library, "package.replay", set())


class Interrupting:
    """Garbage that only the collector finds, whose finalizer does something."""

    def __init__(self, act) -> None:
        self.me, self.act = self, act

    def __del__(self) -> None:
        self.act()


@pytest.mark.parametrize("act", ["record", "flush", "observe", "write"])
def test_a_finalizer_in_the_middle_of_an_operation(act: str) -> None:
    """The collector runs when a handle is made; what its finalizers record or run must leave the operation whole."""
    a = numpy.linspace(1, 2, 9, dtype=numpy.float32).reshape(3, 3)
    x, other = np.array(a), np.array(a)
    met = []
    acts = {
        "record": lambda: met.append(other + 1.0),
        "flush": lambda: met.append(minpy_jit.flush()),
        "observe": lambda: met.append(float((other * 2).sum())),
        "write": lambda: met.append(other.__iadd__(0.0)),
    }

    def program(p, namespace):
        y = p + p
        y = y * 2.0
        y += p
        y = 1.0 - y
        y = namespace.sum(y, axis=0)
        y = -y
        return y / 3 + namespace.sqrt(p)

    expected = program(a, numpy)
    for _ in range(3):
        assert numpy.array_equal(numpy.asarray(program(x, np)), expected)
    before = gc.get_threshold()
    try:
        for _ in range(20):
            Interrupting(acts[act])
            # the young generation is collected at the next container that is made
            gc.set_threshold(1, 10**6)
            found = program(x, np)
            gc.set_threshold(*before)
            assert numpy.array_equal(numpy.asarray(found), expected)
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert len(met) == 20
    assert numpy.array_equal(numpy.asarray(other), a)


def test_operators_hand_others_the_word() -> None:
    class Other:
        __array_ufunc__ = None

        def __radd__(self, left: object) -> str:
            return "radd"

        def __rsub__(self, left: object) -> str:
            return "rsub"

    x = np.ones(2)
    assert (x + Other(), x - Other()) == ("radd", "rsub")
    for wrong in (None, {}):
        with pytest.raises(TypeError, match=r"unsupported operand type\(s\) for \+"):
            x + wrong
        with pytest.raises(TypeError, match=r"unsupported operand type\(s\) for \+"):
            wrong + x
        with pytest.raises(TypeError, match=r"unsupported operand type\(s\) for \+"):
            x += wrong


def test_explicit_reflected_methods() -> None:
    a, b = numpy.array([1.0, 2.0]), numpy.array([5.0, 7.0])
    x, y = np.array(a), np.array(b)
    assert numpy.asarray(x.__rsub__(y)).tolist() == a.__rsub__(b).tolist() == [4.0, 5.0]
    assert numpy.asarray(x.__rtruediv__(2.0)).tolist() == a.__rtruediv__(2.0).tolist()


def test_integers_out_of_range_are_refused_at_every_replay() -> None:
    x = np.array([1, 2], dtype="uint8")
    for _ in range(4):
        assert (x + 3).tolist() == [4, 5]
        with pytest.raises(OverflowError, match="300 out of bounds for uint8"):
            x + 300
        with pytest.raises(OverflowError, match="-1 out of bounds for uint8"):
            x * -1
        assert (x * True).tolist() == [1, 2]


def test_ufuncs_take_every_form_of_call_at_every_replay() -> None:
    a, b = numpy.array([1.0, 4.0], dtype=numpy.float32), numpy.array([9.0, 16.0])
    x, y = np.array(a), np.array(b)
    for _ in range(3):
        for theirs, ours in (
            (numpy.sqrt(a), np.sqrt(x)),
            (numpy.sqrt(a, None), np.sqrt(x, None)),
            (numpy.sqrt(2.0), np.sqrt(2.0)),
            (numpy.add(a, b), np.add(x, y)),
            (numpy.add(a, 2.0), np.add(x, 2.0)),
            (numpy.subtract(2, a), np.subtract(2, x)),
            (numpy.subtract(a, b, None), np.subtract(x, y, None)),
            (numpy.add(a, [1, 2]), np.add(x, [1, 2])),
            (numpy.multiply(a.sum(), True), np.multiply(x.sum(), True)),
            (numpy.add(a, b, dtype="float64"), np.add(x, y, dtype="float64")),
        ):
            assert numpy.asarray(ours).dtype == numpy.asarray(theirs).dtype
            assert numpy.array_equal(numpy.asarray(ours), theirs)
        for wrong, said in (
            (lambda: np.sqrt(), "takes from 1 to 2 positional arguments but 0 were given"),
            (lambda: np.sqrt(x, x, x), "takes from 1 to 2 positional arguments but 3 were given"),
            (lambda: np.add(x), "takes from 2 to 3 positional arguments but 1 were given"),
            (lambda: np.add(x, y, colour=1), "unexpected keyword argument 'colour'"),
        ):
            with pytest.raises(TypeError, match=said):
                wrong()


def test_a_function_of_objects_runs_in_numpy_whatever_an_operator_recorded() -> None:
    def fallbacks() -> float:
        return sum(counts[0] for counts in stats.fallbacks.values())

    x = np.array([1, 2], dtype=object)
    for _ in range(3):
        minpy_jit.flush()
        assert (-x).tolist() == [-1, -2] and (x + 1).tolist() == [2, 3]
        minpy_jit.flush()
        for made, expected in ((lambda: np.negative(x), [-1, -2]), (lambda: np.add(x, 1), [2, 3])):
            before = fallbacks()
            assert made().tolist() == expected
            assert fallbacks() == before + 1


def test_reductions_are_told_apart_by_their_arguments() -> None:
    a = numpy.arange(6, dtype=numpy.float32).reshape(2, 3)
    x = np.array(a)
    given: list[dict] = [{}, {"axis": 0}, {"axis": 1}, {"axis": (0, 1)}, {"axis": -1, "keepdims": True}, {"axis": 1, "dtype": "float64"}]
    for _ in range(3):
        for name in ("sum", "max", "mean"):
            for options in given:
                if name == "max" and "dtype" in options:
                    continue
                # each stands first in its program, where another stood
                minpy_jit.flush()
                found, expected = getattr(x, name)(**options), getattr(a, name)(**options)
                assert found.dtype == expected.dtype and numpy.array_equal(numpy.asarray(found), expected)
                assert numpy.array_equal(numpy.asarray(getattr(np, name)(x, **options)), expected)
        for wrong in (2, 1.0):
            with pytest.raises((numpy.AxisError, TypeError)):
                x.sum(axis=wrong)


def test_in_place_operators_leave_scalars_alone() -> None:
    x = np.array([1.0, 2.0])
    for _ in range(3):
        total = x.sum()
        kept = total
        total += 1
        total *= x.max()
        assert (float(kept), float(total)) == (3.0, 8.0)
        y = x.copy()
        held = y
        y -= 1.0
        y /= x
        y += numpy.ones(2)
        assert held is y and y.tolist() == [1.0, 1.5] and x.tolist() == [1.0, 2.0]
        frozen = np.broadcast_to(x, (2, 2))
        with pytest.raises(ValueError, match="read-only"):
            frozen += 1
        whole = np.array([1, 2])
        with pytest.raises(TypeError, match="Cannot cast"):
            whole += 0.5
        assert whole.tolist() == [1, 2]
