"""Errors: NumPy's type, `[op]` and the reason, at the user's line; the state is clean after them, inputs are intact, a retry works."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit import config
from minpy_jit.errors import ContextError, NoGradientError, TraceError, is_ours, retold, with_op
from minpy_jit.trace.handle import witnesses
from minpy_jit.trace.op import TABLE
from minpy_jit.trace.recorder import current, run_lock

HERE = Path(__file__)
BASE = numpy.arange(1.0, 7.0).reshape(2, 3)
MODES = ("lazy", "eager", "numpy")
WAYS = ("lazy", "eager", "numpy", "traced", "pure")


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    minpy_jit.flush()
    minpy_jit.clear_caches()
    yield
    assert_clean()


def assert_clean() -> None:
    """Nothing is left of a program that broke off: no region, tape or recording is open, the mode and the context are as before."""
    recorder = current()
    assert recorder.region is None and recorder.session is None
    assert recorder.tapes == [] and recorder.suspended == [] and witnesses == []
    assert recorder.mode == "lazy" and recorder.immediate is None and recorder.policy is None
    assert minpy_jit.current_context() == minpy_jit.cpu(0)
    free: list[bool] = []

    def probe() -> None:
        free.append(run_lock.acquire(timeout=5))
        if free[0]:
            run_lock.release()

    thread = threading.Thread(target=probe)
    thread.start()
    thread.join()
    assert free == [True], "the run lock is still held"


def public(error: BaseException) -> type[BaseException]:
    """The kind of NumPy's error that a user can name."""
    return next(k for k in type(error).__mro__ if "._" not in k.__module__ and not k.__name__.startswith("_"))


def line_of(text: str) -> int:
    lines = HERE.read_text(encoding="utf-8").splitlines()
    return next(k for k, line in enumerate(lines, 1) if line.endswith(f"# {text}"))


# -- wrong at the line ------------------------------------------------------------------------------------------------------------------
# (program of the library and a 2×3 array, the op that is named, what is said)
Program = Callable[[Any, Any], Any]
WRONG: list[tuple[Program, str, str]] = [
    # shapes
    (lambda np, x: x + np.ones(4), "add", r"\(2,3\) \(4,\)"),
    (lambda np, x: x @ np.ones((4, 5)), "matmul", r"\(2, 3\) @ \(4, 5\); transpose one argument"),
    (lambda np, x: np.concatenate([x, np.ones((2, 4))]), "concatenate", "size 3 .* size 4"),
    (lambda np, x: np.stack([x, np.ones(3)]), "stack", "same shape"),
    (lambda np, x: np.where(x > 0, np.ones(4), 0), "where", r"\(2,3\) \(4,\)"),
    (lambda np, x: np.add(x, x, out=np.ones(2)), "add", r"\(2,\)"),
    (lambda np, x: np.broadcast_to(x, (2, 2)), "broadcast_to", r"\(2,3\)"),
    (lambda np, x: np.split(x, 5), "split", "equal division"),
    (lambda np, x: np.einsum("ij,jk->ik", x, x), "einsum", r"\(2,3\)"),
    (lambda np, x: np.linalg.inv(x), "inv", "square"),
    (lambda np, x: np.max(np.ones(0)), "max", "zero-size array"),
    (lambda np, x: np.ones(-1), "ones", "negative dimensions"),
    (lambda np, x: np.linspace(0, 1, -1), "linspace", "-1"),
    (lambda np, x: np.reshape(x, (4, 2)), "reshape", r"size 6 into shape \(4,2\)"),
    (lambda np, x: x.reshape(4, 2), "reshape", r"size 6 into shape \(4,2\)"),
    (lambda np, x: x.reshape(-1, -1), "reshape", "one unknown dimension"),
    # dtypes
    (lambda np, x: np.array([True]) - np.array([False]), "subtract", "boolean subtract"),
    (lambda np, x: x & 3, "bitwise_and", "bitwise_and"),
    (lambda np, x: np.array([1], "u1") + 300, "add", "300 out of bounds for uint8"),
    (lambda np, x: np.array([2]) ** -1, "power", "negative integer powers"),
    (lambda np, x: np.arange(3).__itruediv__(2), "divide", "float64.*int64.*same_kind"),
    # axes
    (lambda np, x: np.sum(x, axis=2), "sum", "axis 2 is out of bounds for array of dimension 2"),
    (lambda np, x: np.cumsum(x, axis=-3), "cumsum", "axis -3 is out of bounds"),
    (lambda np, x: np.max(x, axis=(0, 0)), "a?max", "duplicate value in 'axis'"),
    (lambda np, x: np.swapaxes(x, 0, 3), "swapaxes", "axis2: axis 3 is out of bounds"),
    (lambda np, x: np.expand_dims(x, 5), "expand_dims", "axis 5 is out of bounds"),
    (lambda np, x: np.transpose(x, (0, 0)), "transpose", "repeated axis"),
    (lambda np, x: x.transpose(0, 2), "transpose", "axis 2 is out of bounds"),
    (lambda np, x: np.sort(x, axis=4), "sort", "axis 4 is out of bounds"),
    # indices that are known
    (lambda np, x: x[9], "getitem", "index 9 is out of bounds for axis 0 with size 2"),
    (lambda np, x: x[0, 0, 0], "getitem", "array is 2-dimensional, but 3 were indexed"),
    (lambda np, x: x[1.5], "getitem", "only integers, slices"),
    (lambda np, x: x[np.array([True, False, True, True])], "getitem.*", "dimension is 2 but corresponding boolean dimension is 4"),
    (lambda np, x: x.__setitem__(slice(2), [1.0, 2.0, 3.0, 4.0]), "setitem", r"\(4,\) into shape \(2,3\)"),
    (lambda np, x: x.__setitem__(7, 1.0), "setitem", "index 7 is out of bounds"),
    (lambda np, x: np.broadcast_to(x, (2, 2, 3)).__setitem__(0, 1), "setitem", "read-only"),
    # arguments
    (lambda np, x: np.sin(), "sin", "0 were given"),
    (lambda np, x: np.sum(x, nonsense=1), "sum", "nonsense"),
    (lambda np, x: x.reshape(6, nonsense=1), "reshape", "nonsense"),
    (lambda np, x: x.astype("i4", casting="safe"), "astype", "according to the rule 'safe'"),
    (lambda np, x: x.astype("nonsense"), "astype", "'nonsense' not understood"),
    (lambda np, x: x.astype("i4", order="Q"), "astype", "order must be one of 'C', 'F', 'A', or 'K'"),
    (lambda np, x: x.astype(), "astype", r"astype\(\) missing"),
    (lambda np, x: x.copy("Q"), "copy", "order must be one of"),
    (lambda np, x: x.resize(5, 5, nonsense=1), "resize", "nonsense"),
    (lambda np, x: np.random.default_rng(0).normal(scale=-1, size=2), "normal", "scale < 0"),
    (lambda np, x: np.random.choice(3, size=5, replace=False), "choice", "larger sample"),
]


def ran(way: str, program: Program, x: Any) -> Any:
    """Run a program in a mode, or as a traced or pure function."""
    if way in MODES:
        with minpy_jit.mode(way):
            return program(np, x)
    return minpy_jit.trace(lambda y: program(np, y), pure=way == "pure")(x)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("program", "op", "said"), WRONG)
def test_at_the_line(program: Program, op: str, said: str, way: str) -> None:
    with pytest.raises(Exception) as theirs:
        program(numpy, BASE.copy())
    kind = public(theirs.value)
    x = np.array(BASE)
    pending = x * 2
    for _ in range(3):
        with pytest.raises(kind, match=rf"^\[{op}\]:? .*{said}") as ours:
            ran(way, program, x)
        assert public(ours.value) is type(ours.value)
        # the innermost frame of the user's is the line that is wrong
        assert [f for f in ours.traceback if Path(f.path) == HERE][-1].frame.code.raw is program.__code__
        assert_clean()
        assert x.tolist() == BASE.tolist()
        # what comes next is as if nothing had been
        assert ran(way, lambda np, x: x + 1, x).tolist() == (BASE + 1).tolist()
    assert pending.tolist() == (2 * BASE).tolist()


def test_an_axis_error_keeps_its_attributes() -> None:
    with pytest.raises(numpy.AxisError) as caught:
        np.sum(np.ones(3), axis=5)
    assert (caught.value.axis, caught.value.ndim) == (5, 1)


# -- wrong in a flush -------------------------------------------------------------------------------------------------------------------
# (a program whose result fails when it is computed, the op that is named, what is said)
LATE: list[tuple[Program, str, str]] = [
    (lambda np, x: x[np.argmax(x, axis=0) * 0 + 7] * 2, "getitem_arrays", "out of bounds for axis 0 with size 2"),
    (lambda np, x: np.take(x, np.argmax(x, axis=0) + 50), "take", "out of bounds for axis 0 with size 6"),
    # (np.linalg itself runs them at once)
    (lambda np, x: (np.linalg.inv if np is numpy else TABLE["inv"])(x @ x.T * 0) + 1, "inv", "Singular matrix"),
    (lambda np, x: (np.linalg.cholesky if np is numpy else TABLE["cholesky"])(-(x @ x.T)).sum(), "cholesky", "not positive definite"),
    (lambda np, x: (np.ones((1 << 24, 1), "i1") + np.ones(1 << 24, "i1")).sum(), "add", "Unable to allocate 256. TiB"),
    (lambda np, x: np.ones(1 << 50) * 2, "ones", "Unable to allocate 8.00 PiB"),
]


def both(program: Program) -> Callable[..., Any]:
    """A function that returns what does not depend on the failure, and what does."""

    def function(np: Any, x: Any) -> Any:
        before = x * 3.0
        bad = program(np, before)
        return before, before + 1, bad

    return function


@pytest.mark.parametrize("way", ["lazy", "traced"])
@pytest.mark.parametrize(("program", "op", "said"), LATE)
def test_in_a_flush(program: Program, op: str, said: str, way: str) -> None:
    with pytest.raises(Exception) as theirs:
        both(program)(numpy, BASE)
    kind = public(theirs.value)
    line = rf"\(recorded at {HERE}:{program.__code__.co_firstlineno}\)"
    x = np.array(BASE)
    # the first encounter, the compile, the executor
    for _ in range(3):
        before, after, bad = ran(way, both(program), x)
        dependent = bad * 0
        for failing in (bad, dependent, bad):
            with pytest.raises(kind, match=rf"^\[{op}\] .*{said}.*{line}"):
                str(failing)
            assert_clean()
        assert before.tolist() == (BASE * 3).tolist()
        assert after.tolist() == (BASE * 3 + 1).tolist()
        assert x.tolist() == BASE.tolist()
        # what fails once more does not take with it what was recorded later
        later = x + before
        with pytest.raises(kind, match=rf"^\[{op}\] "):
            str(dependent)
        assert later.tolist() == (BASE * 4).tolist()


@pytest.mark.parametrize("way", ["eager", "numpy"])
@pytest.mark.parametrize(("program", "op", "said"), LATE)
def test_where_nothing_is_deferred(program: Program, op: str, said: str, way: str) -> None:
    with pytest.raises(Exception) as theirs:
        program(numpy, BASE)
    x = np.array(BASE)
    for _ in range(3):
        with pytest.raises(public(theirs.value), match=rf"^\[{op}\] "):
            ran(way, program, x)
        assert_clean()
        assert x.tolist() == BASE.tolist()


@pytest.mark.parametrize(("program", "op", "said"), LATE)
def test_in_a_pure_replay(program: Program, op: str, said: str) -> None:
    with pytest.raises(Exception) as theirs:
        program(numpy, BASE)
    kind = public(theirs.value)
    function = minpy_jit.trace(lambda x: program(np, x), pure=True)
    x = np.array(BASE)
    for _ in range(3):
        with pytest.raises(kind, match=rf"^\[{op}\] .*{said}.*recorded at {HERE}:{program.__code__.co_firstlineno}"):
            str(function(x))
        assert_clean()
        assert x.tolist() == BASE.tolist()


def test_a_failure_that_goes_away() -> None:
    """The same program, wrong for one value and right for the next: nothing of the failure is remembered."""

    def program(x: Any, k: int) -> Any:
        index = np.arange(2) + k
        return x[index] * 2

    x = np.arange(5.0)
    for k in (0, 9, 1, 9, 9, 2, 9, 3):
        y = program(x, k)
        if k == 9:
            with pytest.raises(IndexError):
                y.tolist()
        else:
            assert y.tolist() == [2.0 * k, 2.0 * k + 2]


def test_what_does_not_depend_on_a_failure_never_hears_of_it() -> None:
    for _ in range(3):
        x = np.array(BASE) * 1.0
        bad = TABLE["inv"](x @ x.T * 0)
        good = x + 1
        assert good.tolist() == (BASE + 1).tolist()
        assert x.tolist() == BASE.tolist()
        # of all that is pending, one failed
        also_bad, fine = TABLE["inv"](x @ x.T * 0), x + 2
        with pytest.raises(numpy.linalg.LinAlgError):
            minpy_jit.flush()
        assert fine.tolist() == (BASE + 2).tolist()
        for failed in (bad, also_bad):
            with pytest.raises(numpy.linalg.LinAlgError):
                failed.tolist()


def test_a_limit_raises_nothing_at_an_innocent_line() -> None:
    with config.override(max_steps=20):
        x = np.array(BASE)
        bad = TABLE["inv"](x @ x.T * 0)
        for _ in range(100):
            x = x + 1.0
        assert minpy_jit.stats()["flush_causes"]["limit"] > 0
        assert x.tolist() == (BASE + 100).tolist()
        with pytest.raises(numpy.linalg.LinAlgError):
            bad.tolist()


def test_a_failure_in_an_earlier_region() -> None:
    @minpy_jit.trace
    def invert(x: Any) -> Any:
        return TABLE["inv"](x * 0), x * 2

    x = np.array(numpy.eye(2))
    for _ in range(3):
        bad, good = invert(x)
        later = good + 1
        assert later.tolist() == (numpy.eye(2) * 2 + 1).tolist()
        with pytest.raises(numpy.linalg.LinAlgError):
            (bad + later).tolist()
        assert good.tolist() == (numpy.eye(2) * 2).tolist()


@pytest.mark.parametrize("way", WAYS[:4])
def test_an_index_that_is_looked_at(way: str) -> None:
    x = np.array(BASE)
    for _ in range(2):
        with pytest.raises(IndexError, match=r"^\[getitem\] index 5 is out of bounds for axis 0 with size 2"):
            ran(way, lambda np, x: x[np.int64(5) + np.argmax(x) * 0], x)
        assert_clean()


def nearest_factor(np: Any, x: Any) -> tuple[Any, int]:
    """The Cholesky factor of x with as little added to its diagonal as makes it positive definite, and the number of attempts."""
    jitter, attempts = 0.0, 0
    while True:
        attempts += 1
        try:
            factor = np.linalg.cholesky(x + jitter * np.eye(2))
        except np.linalg.LinAlgError:
            jitter = max(10 * jitter, 0.01)
        else:
            return factor, attempts


def solved(np: Any, x: Any) -> Any:
    """Newton's step, or the gradient's where the matrix is singular."""
    try:
        step = np.linalg.solve(x, np.ones(2))
    except np.linalg.LinAlgError:
        step = np.ones(2) * 0.5
    try:
        inverse = np.linalg.inv(x)
    except np.linalg.LinAlgError as error:
        return step, str(error).split(" (")[0]
    return step, inverse


@pytest.mark.parametrize("way", WAYS[:4])
def test_a_singular_matrix_is_caught_where_it_is_factored(way: str) -> None:
    for _ in range(3):
        for matrix in ([[2.0, 1.0], [1.0, 2.0]], [[1.0, 1.0], [1.0, 0.9]], [[-1.0, 0.0], [0.0, 1.0]]):
            theirs, attempts = nearest_factor(numpy, numpy.array(matrix))
            factor, ours = ran(way, lambda np, x: nearest_factor(np, x), np.array(matrix))
            assert ours == attempts
            numpy.testing.assert_allclose(factor.asnumpy(), theirs, rtol=1e-12)
        step, inverse = ran(way, lambda np, x: solved(np, x), np.array([[1.0, 1.0], [1.0, 1.0]]))
        assert step.tolist() == [0.5, 0.5]
        assert inverse.removeprefix("[inv] ") == "Singular matrix"


def test_a_gradient_goes_through_a_factor_that_was_tried() -> None:
    def f(x: Any) -> Any:
        factor, _ = nearest_factor(np, x)
        return np.sum(factor)

    def by_hand(x: Any) -> Any:
        return nearest_factor(numpy, x)[0].sum()

    x = numpy.array([[1.0, 0.999], [0.999, 0.9]])
    for _ in range(3):
        found = minpy_jit.grad(f)(np.array(x)).asnumpy()
        # of a symmetric argument
        for direction in (numpy.eye(2), numpy.array([[0.0, 1.0], [1.0, 0.0]])):
            slope = (by_hand(x + 1e-6 * direction) - by_hand(x - 1e-6 * direction)) / 2e-6
            assert (found * direction).sum() == pytest.approx(slope, rel=1e-5)


def test_two_failures_name_their_own_lines() -> None:
    x = np.array(BASE)
    first = TABLE["inv"](x @ x.T * 0)  # the first failure
    second = TABLE["inv"](x @ x.T * 0 + 0.0)  # the second failure
    for array, text in ((second, "the second failure"), (first, "the first failure"), (second * 1, "the second failure")):
        with pytest.raises(numpy.linalg.LinAlgError, match=rf"{HERE}:{line_of(text)}\)"):
            array.tolist()


def test_a_gradient_through_a_failure() -> None:
    def f(x: Any, scale: float) -> Any:
        y = TABLE["inv"](x * scale)  # inverted under a tape
        return np.sum(y)

    x = np.array(numpy.eye(2) * 2.0)
    for _ in range(3):
        with pytest.raises(numpy.linalg.LinAlgError, match=rf"^\[inv\] Singular.*{HERE}:{line_of('inverted under a tape')}"):
            minpy_jit.grad(f)(x, 0.0).tolist()
        assert_clean()
        numpy.testing.assert_allclose(minpy_jit.grad(f)(x, 1.0).asnumpy(), [[-0.25, -0.25], [-0.25, -0.25]])


# -- the rest of the kinds ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("way", WAYS[:4])
def test_contexts_do_not_mix(way: str) -> None:
    x = np.array(BASE)
    y = np.array(BASE).as_in_context(minpy_jit.cpu(1))
    with pytest.raises(ContextError, match=r"^\[add\] operands live on different contexts: cpu\(0\), cpu\(1\); copy with x.as_in_context"):
        ran(way, lambda np, x: x + y, x)
    assert_clean()
    assert (x + y.as_in_context(minpy_jit.cpu(0))).tolist() == (2 * BASE).tolist()


def test_a_gpu_that_is_not_there() -> None:
    number = minpy_jit.num_gpus()
    for use in (
        lambda: np.ones(3).as_in_context(minpy_jit.gpu(number)),
        lambda: minpy_jit.set_context(minpy_jit.gpu(number)),
        lambda: minpy_jit.gpu(number).__enter__(),
    ):
        with pytest.raises(ContextError, match=rf"^\[\w+\] .*gpu\({number}\)"):
            use()
        assert_clean()


@pytest.mark.parametrize("mode", MODES)
def test_a_missing_rule(mode: str) -> None:
    def without(x: Any) -> Any:
        return np.sum(np.nanpercentile(x, 30.0, axis=0))  # no rule

    x = np.array(BASE)
    with minpy_jit.mode(mode):
        for _ in range(2):
            with pytest.raises(NoGradientError, match=rf"^\[nanpercentile\] .*argument 0.*{HERE}:{line_of('no rule')}"):
                minpy_jit.grad(without)(x).tolist()
            assert not current().tapes
            assert float(without(x)) == numpy.sum(numpy.nanpercentile(BASE, 30.0, axis=0))


@pytest.mark.parametrize("context", [minpy_jit.cpu(0), minpy_jit.cpu(1)], ids=repr)
@pytest.mark.parametrize("mode", MODES)
def test_errstate_raise(mode: str, context: minpy_jit.Context) -> None:
    x = np.array(BASE).as_in_context(context)
    pending = x / 0
    with minpy_jit.mode(mode):
        for _ in range(2):
            with np.errstate(divide="raise"):
                with pytest.raises(FloatingPointError, match=r"^\[divide\] divide by zero encountered in divide"):
                    x / 0
                # what was recorded before is not meant
                assert float(pending[0, 0]) == numpy.inf
                assert (x / 2).tolist() == (BASE / 2).tolist()
                with np.errstate(invalid="raise", divide="ignore"):
                    assert float((x / 0)[0, 0]) == numpy.inf
                    with pytest.raises(FloatingPointError, match=r"^\[log\] invalid value"):
                        np.log(-x)
                with pytest.raises(FloatingPointError):
                    x[0] / 0
            assert current().mode == mode
            assert float((x / 0)[0, 0]) == numpy.inf


def test_seterr_and_calls() -> None:
    called: list[Any] = []
    before = np.seterr(over="call")
    handler = np.seterrcall(lambda kind, flag: called.append(kind))
    try:
        np.exp(np.ones(3) * 1e4)
        assert called == ["overflow"]
    finally:
        np.seterrcall(handler)
        np.seterr(**before)
    np.exp(np.ones(3) * 1e4).tolist()
    assert called == ["overflow"]
    assert numpy.geterr() == before


def test_errstate_in_other_places() -> None:
    x = np.zeros(3)

    @minpy_jit.trace
    def traced(y: Any) -> Any:
        with np.errstate(divide="raise"):
            return 1 / (y + 1)

    assert traced(x).tolist() == [1.0] * 3
    with pytest.raises(FloatingPointError):
        traced(x - 1)
    assert_clean()

    @minpy_jit.trace(pure=True)
    def pure(y: Any) -> Any:
        with np.errstate(divide="raise"):
            return 1 / y

    with pytest.raises(TraceError, match=r"^\[trace\] .*pure.*floating-point errors are to be raised inside it .*drop pure=True"):
        pure(x)
    assert_clean()
    assert numpy.geterr()["divide"] == "warn"

    @np.errstate(divide="raise")
    def decorated(y: Any) -> Any:
        return 1 / y

    with pytest.raises(FloatingPointError):
        decorated(x)
    with np.errstate(divide="raise"):
        g = minpy_jit.grad(lambda y: np.sum(1 / y))
        assert g(np.ones(2)).tolist() == [-1.0, -1.0]
        with pytest.raises(FloatingPointError):
            g(x)
    assert numpy.errstate is not np.errstate
    assert isinstance(np.errstate(), numpy.errstate)


# -- what the user's own code raises ----------------------------------------------------------------------------------------------------
class OwnError(Exception):
    """A user's exception: made of more than a message."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code


@pytest.mark.parametrize("way", WAYS[:4])
def test_exceptions_of_the_user_pass(way: str) -> None:
    def program(np: Any, x: Any) -> Any:
        y = x * 2
        y[0] = 7
        raise OwnError(3, "mine")

    x = np.array(BASE)
    for _ in range(2):
        with pytest.raises(OwnError) as caught:
            ran(way, program, x)
        assert caught.value.args == (3, "mine") and caught.value.code == 3
        assert_clean()
        assert x.tolist() == BASE.tolist()


def test_exceptions_of_callbacks_stay_as_they_are() -> None:
    def fails(row: Any) -> Any:
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$") as caught:
        np.apply_along_axis(fails, 0, np.array(BASE))
    assert caught.traceback[-1].frame.code.raw is fails.__code__
    with pytest.raises(OwnError):
        np.apply_along_axis(lambda row: (_ for _ in ()).throw(OwnError(1, "x")), 0, np.array(BASE))

    class Bad:
        def __array__(self, *args: Any, **kwargs: Any) -> Any:
            raise OSError(5, "disk")

    with pytest.raises(OSError, match="disk"):
        np.sum(Bad())


def test_exceptions_in_every_place_of_a_gradient() -> None:
    for where in range(4):

        def f(x: Any, where: int = where) -> Any:
            y = x * 2
            if where == 0:
                raise OwnError(0, "early")
            float(y[0, 0])
            if where == 1:
                raise OwnError(1, "after a flush")
            z = minpy_jit.grad(lambda u: np.sum(u * u) if where != 2 else (_ for _ in ()).throw(OwnError(2, "nested")))(y)
            if where == 3:
                raise OwnError(3, "late")
            return np.sum(z)

        for transform in (minpy_jit.grad, minpy_jit.value_and_grad, lambda f: minpy_jit.trace(minpy_jit.grad(f))):
            with pytest.raises(OwnError) as caught:
                transform(f)(np.array(BASE))
            assert caught.value.code == where
            assert_clean()
    assert minpy_jit.grad(lambda x: np.sum(x * x))(np.array(BASE)).tolist() == (2 * BASE).tolist()


def test_a_generator_that_is_dropped_inside_a_region() -> None:
    def turns() -> Iterator[Any]:
        with minpy_jit.trace():
            x = np.ones(2)
            while True:
                x = x + 1
                yield x

    run = turns()
    assert [next(run).tolist() for _ in range(3)] == [[2.0] * 2, [3.0] * 2, [4.0] * 2]
    run.close()
    assert_clean()


def test_messages_and_kinds() -> None:
    error = with_op(ValueError("x"), "op")
    assert type(error) is ValueError and str(error) == "[op] x"
    assert with_op(error, "other") is error
    assert type(with_op(numpy.linalg.LinAlgError("x"), "op")) is numpy.linalg.LinAlgError
    assert with_op(KeyError("x"), "op").args == ("[op] 'x'",) and type(with_op(KeyError("x"), "op")) is KeyError
    assert isinstance(with_op(UnicodeDecodeError("utf8", b"x", 0, 1, "why"), "op"), UnicodeError)
    axis = with_op(numpy.AxisError(3, 2, "axis2"), "op")
    assert type(axis) is numpy.AxisError and (axis.axis, axis.ndim) == (3, 2)
    assert str(axis) == "[op] axis2: axis 3 is out of bounds for array of dimension 2"
    assert str(retold(axis, f"{axis} (recorded at x:1)")) == f"{axis} (recorded at x:1)"
    try:
        numpy.ones(1 << 50)
    except MemoryError as memory:
        assert type(with_op(memory, "op")) is MemoryError


# -- Ctrl-C, wherever it comes ----------------------------------------------------------------------------------------------------------
# errors in finalizers are only printed; and no Python code leaves a block, or takes a lock, for certain when it is interrupted there
SPARED = ("__del__", "_free", "__exit__", "leave")


@contextmanager
def interrupted(at: int) -> Iterator[list[int]]:
    """KeyboardInterrupt at the `at`-th place inside this package where Python looks for signals: as a function of ours begins, and as one
    of C's returns. Yields how many places there were."""
    seen = [0]

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        if event not in ("call", "c_return") or not is_ours(frame.f_code.co_filename):
            return
        if frame.f_code is minpy_jit.mode.__enter__.__code__:
            # `mode("eager")` has switched by now, with or without a block to follow
            return
        outer: FrameType | None = frame
        while outer is not None and outer.f_code.co_name not in SPARED:
            outer = outer.f_back
        if outer is not None or (event == "c_return" and argument.__name__ == "acquire"):
            return
        seen[0] += 1
        if seen[0] == at:
            sys.setprofile(None)
            raise KeyboardInterrupt

    sys.setprofile(watch)
    try:
        yield seen
    finally:
        sys.setprofile(None)


@minpy_jit.trace
def region(x: Any) -> Any:
    return x * 3 + 1


@minpy_jit.trace(pure=True)
def pure_region(x: Any) -> Any:
    y = x + 1.0
    x *= 2
    return y


def recorded(x: Any) -> Any:
    return np.tanh(x * 2.0) + x


def written(x: Any) -> Any:
    y = x * 1.0
    part = y[1:]
    part += 3
    y[0] = y[1]
    y[y > 2] = 0
    return y


def flushed_gradient(x: Any) -> Any:
    def f(z: Any) -> Any:
        y = z * z
        return np.sum(y * z) if float(y[0, 0]) >= 0 else np.sum(y)

    return minpy_jit.grad(f)(x)


def separate_pullback(x: Any) -> Any:
    value, pullback = minpy_jit.vjp(lambda z: z * z + 1, x)
    str(value)
    return pullback(x)[0]


def replayed(x: Any) -> Any:
    z = x * 1.0
    return pure_region(z) + z


def block(x: Any) -> Any:
    with minpy_jit.trace():
        y = x - 1
    return y


def filled(x: Any) -> Any:
    y = np.zeros((2, 3))
    np.add(x, 1, out=y)
    y[::-1] += y
    return np.unwrap(y) + 1


def switched(x: Any) -> Any:
    y = x * 2
    with minpy_jit.mode("numpy"):
        z = y + 1
    return minpy_jit.grad(in_numpy)(z)


def in_numpy(x: Any) -> Any:
    y = x * x
    with minpy_jit.mode("numpy"):
        return np.sum(y * 2)


def elsewhere(x: Any) -> Any:
    with minpy_jit.cpu(1):
        y = np.ones((2, 3)) * 2
    return y.as_in_context(x.context) + x


def under_a_policy(x: Any) -> Any:
    y = x + 1
    with minpy_jit.OnlyNumPyPolicy():
        return y * 2


INTERRUPTED = (
    switched,
    elsewhere,
    under_a_policy,
    recorded,
    written,
    flushed_gradient,
    separate_pullback,
    lambda x: region(x),
    replayed,
    block,
    filled,
)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("encounters", [0, 3])
@pytest.mark.parametrize("program", INTERRUPTED)
def test_interrupted_anywhere(program: Callable[[Any], Any], encounters: int) -> None:
    expected = program(np.array(BASE)).tolist()
    minpy_jit.clear_caches()
    for _ in range(encounters):
        program(np.array(BASE)).tolist()
    with interrupted(-1) as seen:
        program(np.array(BASE)).tolist()
    places = seen[0]
    chosen = sorted(random.Random(0).sample(range(1, places + 1), min(places, 40)))
    came = 0
    for at in chosen:
        if not encounters:
            minpy_jit.clear_caches()
        x = np.array(BASE)
        pending = x * 7.0
        try:
            with interrupted(at):
                program(x).tolist()
        except KeyboardInterrupt:
            came += 1
        assert_clean()
        assert pending.tolist() == (BASE * 7).tolist()
        assert x.tolist() == BASE.tolist()
        assert program(np.array(BASE)).tolist() == expected
    assert came > len(chosen) / 3


def test_check_nan_stops_at_the_first_step() -> None:
    with config.override(check_nan=True):
        x = np.array(BASE)
        y = np.log(x - 1)  # the first that is not finite
        z = y * 0
        for _ in range(2):
            with pytest.raises(
                FloatingPointError, match=rf"^\[log\] result has a NaN or infinity; .*{HERE}:{line_of('the first that is not finite')}"
            ):
                z.tolist()
        assert (x + 1).tolist() == (BASE + 1).tolist()
