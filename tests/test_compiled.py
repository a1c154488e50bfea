"""The recorder's hot path, compiled and uncompiled: interrupted operations stay whole, and machine code of another source is refused."""

from __future__ import annotations

import gc
import importlib.machinery
import inspect
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.trace import calls, compiled, replay
from minpy_jit.trace.recorder import current
from minpy_jit.trace.stats import stats

ROOT = Path(__file__).resolve().parent.parent
SOURCES = {f"minpy_jit.trace.{name}": str(Path(str(compiled.__file__)).with_name(f"{name}.py")) for name in compiled.MODULES}

# imports the sources even where machine code lies beside them
UNCOMPILED = f"""
import importlib.util, sys
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in {SOURCES!r}:
            return importlib.util.spec_from_file_location(name, {SOURCES!r}[name])
sys.meta_path.insert(0, Finder)
"""


def run_uncompiled(code: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run code in a process in which nothing is compiled."""
    return subprocess.run(
        [sys.executable, "-c", UNCOMPILED + code, *arguments], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False
    )


def test_info_says_which_form_runs() -> None:
    suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
    for module in (calls, replay):
        assert module.__name__ in SOURCES
        assert compiled.is_compiled() is str(module.__file__).endswith(suffixes)
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


def build(folder: Path) -> tuple[list[Path], list[Path], Path]:
    """The hot path's sources, as small as can be, and what compiling them leaves: stubs, and the library that these name."""
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    sources = [folder / f"{name}.py" for name in compiled.MODULES]
    for source in sources:
        source.write_text("x = 1\n")
    stubs = [source.with_suffix(suffix) for source in sources]
    name = f"{compiled.library(folder)}__mypyc"
    for stub in stubs:
        stub.write_bytes(b"\0package." + name.encode() + b"\0")
    library = folder / f"{name}{suffix}"
    library.touch()
    return sources, stubs, library


@pytest.mark.parametrize("name", compiled.MODULES)
def test_machine_code_of_another_source_is_refused(name: str, tmp_path: Path) -> None:
    sources, stubs, _ = build(tmp_path)
    compiled.check(stubs)
    before = compiled.library(tmp_path)
    (tmp_path / f"{name}.py").write_text("x = 2\n")
    assert compiled.library(tmp_path) != before
    with pytest.raises(ImportError, match=r"so was compiled from other sources than .*replay\.py beside it; .*pip install"):
        compiled.check(stubs)
    # the sources themselves, or nothing to compare with
    compiled.check(sources)
    (tmp_path / f"{name}.py").unlink()
    compiled.check(stubs)


@pytest.mark.parametrize("k", range(len(compiled.MODULES)))
def test_modules_that_are_not_compiled_together_are_refused(k: int, tmp_path: Path) -> None:
    sources, stubs, library = build(tmp_path)
    mixed = [*stubs[:k], sources[k], *stubs[k + 1 :]]
    with pytest.raises(ImportError, match=rf"is compiled, but {sources[k].name}, .*, is not; .*pip install"):
        compiled.check(mixed)
    made = stubs[k].read_bytes()
    stubs[k].write_bytes(made.replace(compiled.library(tmp_path).encode(), b"compiled_of_another_time"))
    with pytest.raises(ImportError, match=rf"{stubs[k].name} was compiled from other sources"):
        compiled.check(stubs)
    stubs[k].write_bytes(made)
    library.unlink()
    with pytest.raises(ImportError, match=rf"{library.name.split('.')[0]}, which .* loads, is missing; .*pip install"):
        compiled.check(stubs)


def test_all_or_none_of_an_installation_is_compiled(tmp_path: Path) -> None:
    """Of the package that runs, every file that compiling left is needed."""
    if not compiled.is_compiled():
        pytest.skip("nothing is compiled here")
    package = Path(minpy_jit.__file__).parent
    copy = tmp_path / package.name
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    run = [sys.executable, "-c", "import minpy_jit; print(minpy_jit.info()['recorder'])"]

    def said() -> str:
        done = subprocess.run(run, cwd=tmp_path, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True, check=False)
        return done.stdout.strip() or done.stderr.strip().splitlines()[-1]

    made = sorted((copy / "trace").glob("*.so"))
    assert len(made) == len(compiled.MODULES) + 1 and said() == "compiled"
    for file in made:
        held = file.rename(tmp_path / file.name)
        assert said().startswith("ImportError: [minpy_jit] ") and "pip install -e ." in said()
        held.rename(file)
    for file in made:
        file.unlink()
    assert said() == "uncompiled"


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


# -- calls that repeat --------------------------------------------------------------------------------------------------------------------
# (arrays of 4x4 that are pending, `p`, `q`, and one of booleans; NumPy or ours)
REPEATED = {
    "method": lambda n, p, q, c: p.sum(),
    "keywords": lambda n, p, q, c: p.mean(axis=0, keepdims=True),
    "function": lambda n, p, q, c: n.max(p, 1),
    "power": lambda n, p, q, c: p**2,
    "product": lambda n, p, q, c: p @ q,
    "dot": lambda n, p, q, c: n.dot(p, q),
    "where": lambda n, p, q, c: n.where(c, p, q),
    "clip": lambda n, p, q, c: p.clip(2, 5),
    "dtype": lambda n, p, q, c: p.astype(numpy.float64),
    "composite": lambda n, p, q, c: p.std(axis=1),
    "norm": lambda n, p, q, c: n.linalg.norm(p),
    "tuple": lambda n, p, q, c: n.concatenate((p, q), axis=1),
    "list": lambda n, p, q, c: n.stack([p, q]),
    "copy": lambda n, p, q, c: p.copy(),
    "row": lambda n, p, q, c: p[1],
    "slices": lambda n, p, q, c: p[1:-1, ::2],
    "new axis": lambda n, p, q, c: p[:, None, 0],
    "transposed": lambda n, p, q, c: p.T,
    "reshaped": lambda n, p, q, c: p.reshape(2, 8),
    "view of a view": lambda n, p, q, c: p.T[1:].reshape(-1),
    "read view": lambda n, p, q, c: -p[1:].T,
    "views": lambda n, p, q, c: p[1:] + q[:-1] - p[:3],
}


def frames_of(run) -> list[str]:
    """The functions of the numpy layer that a call runs through."""
    met: list[str] = []

    def note(frame, event, argument) -> None:
        if event == "call" and f"minpy_jit{os.sep}numpy{os.sep}" in frame.f_code.co_filename:
            met.append(frame.f_code.co_qualname if sys.version_info >= (3, 11) else frame.f_code.co_name)

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return met


@pytest.mark.parametrize("name", REPEATED)
def test_a_call_that_repeats_is_replayed(name: str) -> None:
    function = REPEATED[name]
    a = numpy.arange(16, dtype=numpy.float32).reshape(4, 4)
    expected = function(numpy, a + 1, a * 2, a > 5)
    x = np.array(a)
    for _ in range(5):
        p, q, c = x + 1, x * 2, x > 5
        held = []
        met = frames_of(lambda: held.append(function(np, p, q, c)))  # noqa: B023 - called at once
        found = numpy.asarray(held.pop())
        assert found.dtype == expected.dtype and found.shape == expected.shape
        assert numpy.allclose(found, expected, rtol=1e-6)
    assert met == []


def test_a_write_that_repeats_is_replayed() -> None:
    a = numpy.arange(16, dtype=numpy.float32).reshape(4, 4)

    def write(z, p) -> None:
        z[1:-1] = p[1:-1]
        z[0] = 0.5
        z[:, 1] = p[:, 2]
        z[1:] = z[:-1]
        z.fill(2.0)
        z[1, 2] = 3.0

    expected = a + 1
    write(expected, a * 2)
    x = np.array(a)
    for _ in range(5):
        z, p = x + 1, x * 2
        shown, other = z[1], z
        met = frames_of(lambda: write(z, p))  # noqa: B023 - called at once
        assert numpy.array_equal(numpy.asarray(z), expected)
        assert numpy.array_equal(numpy.asarray(shown), expected[1]) and other is z
    # of each `z[key] = value` the method alone
    assert set(met) <= {"__setitem__", "Array.__setitem__"}


def test_other_arguments_at_the_same_place() -> None:
    a = numpy.arange(-8.0, 8.0).reshape(4, 4)
    calls = [
        lambda n, y: y.sum(axis=0),
        lambda n, y: y.sum(axis=1),
        lambda n, y: y.sum(),
        lambda n, y: y.sum(0, numpy.float32),
        lambda n, y: n.sum(a=y, axis=0),
        lambda n, y: n.where(y > 0, y, 0.0),
        lambda n, y: n.where(y > 0, y, -0.0),
        lambda n, y: n.where(y > 0, y, 0),
        lambda n, y: y[1],
        lambda n, y: y[-1],
        lambda n, y: y[1:3],
        lambda n, y: y[True],
        lambda n, y: y[1:3:1],
        lambda n, y: n.concatenate((y, y)),
        lambda n, y: n.concatenate((y, y, y)),
        lambda n, y: n.concatenate([y, y], 1),
        lambda n, y: n.concatenate([y, y[:, :2]], 1),
        lambda n, y: n.clip(y, 1, 2),
        lambda n, y: n.clip(y, 1.0, 2),
        lambda n, y: y**2,
        lambda n, y: y**3,
        lambda n, y: y**True,
    ]
    x = np.array(a)
    for _ in range(3):
        for call in [*calls, *calls[::-1]]:
            expected, found = call(numpy, a + 1), numpy.asarray(call(np, x + 1))
            assert found.dtype == expected.dtype and found.shape == expected.shape
            assert numpy.array_equal(found, expected) and numpy.array_equal(numpy.signbit(found), numpy.signbit(expected))


def test_other_operands_at_the_same_place() -> None:
    a = numpy.arange(16.0).reshape(4, 4)
    x, single = np.array(a), np.array(a.astype(numpy.float32))
    for k in range(24):
        left, right = (x + 1, x * 2), (single + 1, single * 2)
        p, q = (left if k % 3 else right)[:: 1 if k % 2 else -1]
        p = p[1:] if k % 5 == 0 else p
        r = np.dot(p, q).sum(axis=0) + p.T[0, 0] + np.stack([p, p])[0].max()
        b = a if k % 3 else a.astype(numpy.float32)
        m, n = (b + 1, b * 2)[:: 1 if k % 2 else -1]
        m = m[1:] if k % 5 == 0 else m
        expected = numpy.dot(m, n).sum(axis=0) + m.T[0, 0] + numpy.stack([m, m])[0].max()
        assert r.dtype == expected.dtype and numpy.allclose(numpy.asarray(r), expected)


def test_a_call_that_looks_at_a_value_is_no_replay() -> None:
    a = numpy.arange(6.0)
    x = np.array(a)
    for k in [1, 2, 3, 1, 2, 3, 1]:
        count = np.array(k)
        y = x + 1
        assert numpy.asarray(np.repeat(y, count)).tolist() == numpy.repeat(a + 1, k).tolist()
        y = x + 2
        assert numpy.asarray(np.roll(y, count)).tolist() == numpy.roll(a + 2, k).tolist()
        y = x + 3
        assert float(y[count]) == a[k] + 3
        y = (x + 4).reshape(2, 3)
        assert numpy.asarray(y[count - count // 2 * 2]).tolist() == (a + 4).reshape(2, 3)[k % 2].tolist()


def test_replayed_calls_write_where_they_may() -> None:
    a = numpy.arange(4.0)
    x = np.array(a)
    for k in range(6):
        y, out = x + 1, x + 2
        assert np.clip(y, 1, 2, out=out) is out and out.tolist() == numpy.clip(a + 1, 1, 2).tolist()
        y = x * 3
        if k == 5:
            y.setflags(write=False)
            shown = y[1:]
            with pytest.raises(ValueError, match="read-only"):
                y[0] = 1.0
            with pytest.raises(ValueError, match="read-only"):
                shown[0] = 1.0
        else:
            shown = y[1:]
            y[0] = 1.0
            shown[0] = 5.0
            assert y.tolist() == [1.0, 5.0, 6.0, 9.0] and shown.tolist() == [5.0, 6.0, 9.0]
        assert not np.broadcast_to(x + 1, (2, 4)).flags.writeable


def test_calls_that_are_remembered_are_bounded() -> None:
    x = np.arange(500.0)
    place = []
    for k in range(3 * 480):
        y = x + 1
        place = [current().segment.cursor]
        assert float(y[k % 480 : k % 480 + 20].sum()) == 20 * (k % 480) + 210
    known, call = 0, place[0].call
    while call is not None:
        known, call = known + 1, call.other
    assert 1 <= known <= 8


def test_views_of_what_is_known_are_remembered_once() -> None:
    def count() -> int:
        gc.collect()
        return sum(isinstance(o, calls.Call) for o in gc.get_objects())

    def turns(number: int) -> None:
        for k in range(number):
            assert x[1:].T.shape == (4, 2) and x[k % 3].shape == (4,)

    current().clear()
    x = np.array(numpy.ones((3, 4)))
    before = count()
    turns(1000)
    after = count()
    assert before < after <= before + 1000
    turns(3000)
    assert count() == after


def test_functions_are_found_again_and_say_what_they_take() -> None:
    for function in (np.sum, np.concatenate, np.linalg.norm):
        assert pickle.loads(pickle.dumps(function)) is function
    assert np.sum.__name__ == "sum" and np.sum.__doc__ and "axis" in inspect.signature(np.sum).parameters
    x = np.ones((2, 2))
    assert x.sum.__name__ == "sum" and x.sum.__self__ is x and x.sum.__doc__ == numpy.ndarray.sum.__doc__
    assert np.ndarray.sum(x) == 4 and list(map(np.mean, [x, x])) == [1, 1]


def test_gradients_of_calls_that_repeat() -> None:
    a = numpy.arange(1.0, 13.0).reshape(3, 4)

    def loss(w):
        y = (w * 2)[1:]
        y = np.concatenate((y, y.T.reshape(2, 4)), axis=0)
        y[0] = 1.0
        return np.where(y > 3.0, y**2, 0.0).sum(axis=0).mean()

    gradient = minpy_jit.grad(loss)
    first = numpy.asarray(gradient(np.array(a)))
    # (of y = 2w, in both copies but the first row: d/dw mean of the sums of y**2 = 2 y / 4 * 2)
    expected = numpy.zeros_like(a)
    expected[1:] = 2 * a[1:] * 2
    expected[1] /= 2
    assert numpy.allclose(first, expected)
    for _ in range(5):
        assert numpy.array_equal(numpy.asarray(gradient(np.array(a))), first)
