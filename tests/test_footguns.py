"""Footguns (benchmarks/footguns): no silent mismatch in any of our modes; the judge tells wrong from right; what pure=True refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from benchmarks import footguns
from benchmarks.footguns import OURS, Footgun, NotApplicable, Toolkit, judge
from benchmarks.footguns.__main__ import CELLS, acceptable, not_asked
from benchmarks.footguns.systems import SYSTEMS, NumPy
from minpy_jit.errors import TraceError

ALL = footguns.load()
PAGE = Path(__file__).resolve().parent.parent / "docs" / "footguns.md"


@pytest.mark.parametrize("system", OURS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_no_silent_mismatch(system: str, record_property: Callable[[str, object], None]) -> None:
    toolkit, truth = SYSTEMS[system](), NumPy()
    outcomes = {g.name: judge(g, toolkit, truth) for g in ALL.values() if not_asked(system, g) is None}
    kinds = [o.kind for o in outcomes.values()]
    refused = sum(g.promise == "refused" for g in ALL.values()) if system == "pure" else 0
    record_property(
        "summary",
        f"footguns, {toolkit.name}: {len(kinds)} programs, {kinds.count('right')} right, {kinds.count('silent')} silent mismatches, "
        f"{kinds.count('error')} errors{f' ({refused} of them asked for)' if refused else ''}",
    )
    wrong = {n: o for n, o in outcomes.items() if not acceptable(system, ALL[n], o.kind, o.detail)}
    assert not wrong
    assert kinds.count("error") == refused


def test_there_are_many() -> None:
    assert len(ALL) >= 150
    assert {g.group for g in ALL.values()} == {
        "captures",
        "control",
        "effects",
        "gradients",
        "memory",
        "nesting",
        "numbers",
        "randomness",
    }


# -- the judge ----------------------------------------------------------------------------------------------------------------------------
class Freezing(NumPy):
    """What a careless tracing system does: the first result of a function is its result."""

    def jit(self, function: Callable[..., Any], static: Any = ()) -> Callable[..., Any]:
        kept: list[Any] = []

        def replay(*args: Any, **kwargs: Any) -> Any:
            if not kept:
                kept.append(function(*args, **kwargs))
            return kept[0]

        return replay


class Refusing(NumPy):
    """One that takes no function."""

    def jit(self, function: Callable[..., Any], static: Any = ()) -> Callable[..., Any]:
        raise RuntimeError("line one\nline two")


class Without(NumPy):
    """One that has nothing to try it on."""

    def jit(self, function: Callable[..., Any], static: Any = ()) -> Callable[..., Any]:
        raise NotApplicable("no functions")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_judge_finds_frozen_traces() -> None:
    truth = NumPy()
    found = {name: judge(g, Freezing(), truth, untraced=NumPy()).kind for name, g in ALL.items()}
    # the others look at dtypes, at errors, or at what does not change from call to call
    assert list(found.values()).count("silent") > 110
    for name in ("counter", "rebound-global", "fresh-random-numbers", "branch-on-a-value", "results-that-are-kept", "many-learning-rates"):
        assert found[name] == "silent"


def test_the_judge_tells_the_kinds_apart() -> None:
    truth = NumPy()

    class Other(Freezing):
        """Wrong, and untraced too."""

    counter = ALL["counter"]
    assert judge(counter, NumPy(), truth).kind == "right"
    assert judge(counter, Refusing(), truth) == footguns.Outcome("error", "RuntimeError: line one line two")
    assert judge(counter, Without(), truth) == footguns.Outcome("n/a", "no functions")
    assert judge(counter, Other(), truth, untraced=Other()).kind == "own"
    assert judge(counter, Other(), truth, untraced=Refusing()).kind == "silent"
    assert judge(counter, Freezing(), truth, instead=lambda t: counter.body(NumPy())).kind == "right"


@pytest.mark.parametrize(
    ("found", "expected", "equal"),
    [
        (1, 1.0, True),
        (1.0 + 1e-13, 1.0, True),
        (1.001, 1.0, False),
        (-0.0, 0.0, False),
        (float("nan"), float("nan"), True),
        (float("nan"), 1.0, False),
        ([1.0, [2.0]], (1.0, [2.0]), True),
        ([1.0], [1.0, 1.0], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        ("a", "a", True),
        (None, 0.0, False),
        (float("inf"), float("inf"), True),
    ],
)
def test_what_is_the_same(found: Any, expected: Any, equal: bool) -> None:
    assert footguns.same(found, expected, 1e-12) is equal


def test_two_footguns_of_one_name_are_refused() -> None:
    def counter(t: Toolkit) -> Any:
        """Again."""

    with pytest.raises(AssertionError, match="two footguns"):
        footguns.footgun()(counter)


def test_numpys_gradients_are_good_enough() -> None:
    x = numpy.array([0.3, 1.7])
    gradient = NumPy().grad(lambda x: numpy.sum(numpy.sin(x) * x**3))
    expected = numpy.cos(x) * x**3 + 3 * x**2 * numpy.sin(x)
    numpy.testing.assert_allclose(gradient(x), expected, rtol=1e-9)


# -- what pure=True reads anew, and what it refuses --------------------------------------------------------------------------------------
W = numpy.arange(3.0)
CAPTURING: list[Callable[[Any, Any], Any]] = [
    lambda np, x: x * W,
    lambda np, x: W + x,
    lambda np, x: np.array([W, W])[0] + x,
    lambda np, x: np.array(W, dtype="f4") + x,
    lambda np, x: np.asarray(W) + x,
    lambda np, x: numpy.add(x, W),
    lambda np, x: np.maximum(W, x),
    lambda np, x: x @ W,
    lambda np, x: np.concatenate([x, W]),
    lambda np, x: np.where(x > 0, W, x),
]


@pytest.mark.parametrize("body", CAPTURING)
def test_pure_reads_captured_numpy_arrays_anew(body: Callable[[Any, Any], Any]) -> None:
    W[:] = [0.0, 1.0, 2.0]
    f = minpy_jit.trace(lambda x: body(np, x), pure=True)
    for _ in range(4):
        W[:] = W * 2 + 1
        numpy.testing.assert_array_equal(f(np.ones(3)).asnumpy(), body(numpy, numpy.ones(3)))


def test_pure_reads_captured_lists_and_indices_anew() -> None:
    rates, index = [1.0, 2.0], numpy.array([0, 1])
    f = minpy_jit.trace(lambda x: x[index] * np.array(rates), pure=True)
    assert f(np.arange(3.0)).tolist() == [0.0, 2.0]
    rates[0] = 5.0
    index += 1
    assert f(np.arange(3.0)).tolist() == [5.0, 4.0]
    index += 1
    with pytest.raises(IndexError, match="index 3 is out of bounds"):
        f(np.arange(3.0)).tolist()
    index[:] = 0
    assert f(np.arange(3.0)).tolist() == [0.0, 0.0]


def test_pure_writes_to_what_it_copied() -> None:
    start = numpy.zeros(2)

    def steps(x: Any) -> Any:
        y = np.array(start)
        y += x
        return y

    f = minpy_jit.trace(steps, pure=True)
    for k in range(3):
        start[:] = k
        assert f(np.ones(2)).tolist() == [k + 1, k + 1]
        assert start.tolist() == [k, k]


@contextmanager
def refused(text: str) -> Iterator[None]:
    with pytest.raises(TraceError, match=text):
        yield
    # nothing is left behind
    assert (np.ones(2) + 1).tolist() == [2, 2]


def test_pure_refuses_a_captured_list_of_another_length() -> None:
    data = [1.0, 2.0]
    f = minpy_jit.trace(lambda x: np.array(data).sum() + x, pure=True)
    assert f(np.ones(1)).tolist() == f(np.ones(1)).tolist() == [4.0]
    data.append(3.0)
    with refused("another shape, dtype or selection"):
        f(np.ones(1))
    data.pop()
    assert f(np.ones(1)).tolist() == [4.0]


def test_pure_refuses_a_captured_mask_that_changed() -> None:
    mask = numpy.array([True, False, True])
    f = minpy_jit.trace(lambda x: x[mask], pure=True)
    assert f(np.arange(3.0)).tolist() == f(np.arange(3.0)).tolist() == [0.0, 2.0]
    mask[1] = True
    with refused("another shape, dtype or selection"):
        f(np.arange(3.0))


@pytest.mark.parametrize(
    "make",
    [lambda x: iter([x * 2]), lambda x: (k for k in (x,)), lambda x: lambda: x * 2, lambda x: {1, 2}, lambda x: object()],
)
def test_pure_refuses_results_that_cannot_be_made_again(make: Callable[[Any], Any]) -> None:
    with refused(r"pure=True, but returns a \w+"):
        minpy_jit.trace(make, pure=True)(np.ones(2))


def test_pure_returns_plain_values_and_numpy_arrays_of_the_callers_own() -> None:
    f = minpy_jit.trace(lambda x: (None, 1, 2.5, "s", numpy.float32(3), int, numpy.zeros(2), x), pure=True)
    for _ in range(3):
        found = f(np.ones(2))
        assert found[:6] == (None, 1, 2.5, "s", 3.0, int)
        assert found[6].tolist() == [0, 0]
        found[6][:] = 7


def test_pure_refuses_to_write_to_memory_that_is_captured_too() -> None:
    theirs = numpy.zeros(2)

    def writes(x: Any) -> Any:
        x += 1
        return x * np.array(theirs)

    with refused("captured as well"):
        minpy_jit.trace(writes, pure=True)(theirs)


# -- the page -----------------------------------------------------------------------------------------------------------------------------
def rows() -> dict[str, list[str]]:
    """The table of docs/footguns.md: cells by label."""
    found = {}
    for line in PAGE.read_text().partition("## The table")[2].splitlines():
        if line.startswith("| "):
            label, *cells = [c.strip() for c in line.strip("|").split("|")]
            found[label] = cells
    return found


def expected_cell(system: str, footgun: Footgun) -> str:
    if not_asked(system, footgun) is not None:
        return CELLS["n/a"]
    return CELLS["error"] if system == "pure" and footgun.promise == "refused" else CELLS["right"]


def test_the_page_lists_every_footgun() -> None:
    table = rows()
    assert table["footgun"][: len(OURS)] == [SYSTEMS[s].name for s in OURS]
    for footgun in ALL.values():
        assert table[footgun.label][: len(OURS)] == [expected_cell(s, footgun) for s in OURS], (
            "run: python -m benchmarks.footguns --markdown"
        )
    assert all(len(cells) == len(table["footgun"]) for cells in table.values())
