"""Footguns: short programs on which tracing systems surprise their users, each written once, run on any of them, and judged against NumPy.

`python -m benchmarks.footguns` runs them on ours in every mode; `--peer NAME` on another system, in an environment that has it (nothing
of minpy_jit is imported then). Truth is plain NumPy. What a program gives is

* `right`: what NumPy gives;
* `error`: the system says so, loudly;
* `silent`: another answer, and no word: a silent mismatch;
* `own`: another answer, but untraced the system does not give NumPy's either: its arrays are not NumPy's, tracing is not to blame;
* `n/a`: the system has no such thing (the reason stands beside it).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

# how the promise of `@minpy_jit.trace(pure=True)` bears on a footgun: the function keeps it, breaks it (reads or changes something that is
# neither argument nor captured array), or does what must be refused with an error (it looks at a value, say)
Promise = Literal["kept", "broken", "refused"]
Kind = Literal["right", "error", "silent", "own", "n/a"]
OURS = ("lazy", "trace", "pure", "eager", "numpy")
# systems that trace only to differentiate
GRADIENTS_ONLY = ("autograd",)
# each traced function is called often enough to be met, compiled and replayed
TIMES = 4
# what central differences of float64 are good for
DIFFERENCES = 1e-6


class NotApplicable(Exception):
    """The system has nothing that the footgun could be tried on; the message says what is missing."""


class Toolkit:
    """What a footgun is written against: a NumPy-shaped namespace, the system's decorator, gradient and way to look at a value.

    Attributes:
        name: of the system.
        np: its namespace.
        tolerance: relative difference that is rounding (systems differ in their default dtype).
    """

    name = "NumPy"
    tolerance = 1e-12
    np: Any

    def jit(self, function: Callable[..., Any], static: Sequence[str] = ()) -> Callable[..., Any]:
        """The function traced; `static` names parameters that are no arrays, for systems that want to know."""
        return function

    def grad(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The gradient of a scalar function by its first argument."""
        raise NotApplicable("no gradients")

    def get(self, value: Any) -> Any:
        """A value as Python numbers, nested lists for an array."""
        return value.tolist()

    def scope(self) -> AbstractContextManager[None]:
        """What a program runs in."""
        return nullcontext()

    def unusable(self, error: Exception) -> str | None:
        """Why an error only means that there is no such function here, or None."""
        return str(error) if isinstance(error, NotApplicable) else None


Body = Callable[[Toolkit], Any]


@dataclass(frozen=True, slots=True)
class Footgun:
    """One program.

    Attributes:
        name: unique.
        group: the module that it stands in.
        label: what goes wrong elsewhere, in a line.
        promise: see `Promise`.
        seen: public threads or pages that tell of it.
        body: returns numbers, strings, lists of them.
    """

    name: str
    group: str
    label: str
    promise: Promise
    seen: str
    body: Body


FOOTGUNS: dict[str, Footgun] = {}


def footgun(promise: Promise = "kept", seen: str = "") -> Callable[[Body], Body]:
    """Register a program; its name is the function's, its label the docstring's first line."""

    def register(body: Body) -> Body:
        name = body.__name__.replace("_", "-")
        assert name not in FOOTGUNS, f"two footguns are called {name}"
        assert body.__doc__ is not None
        group = body.__module__.rpartition(".")[2]
        FOOTGUNS[name] = Footgun(name, group, body.__doc__.splitlines()[0].rstrip("."), promise, seen, body)
        return body

    return register


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a system made of a footgun: the kind, and what it gave or said."""

    kind: Kind
    detail: str = ""


def same(found: Any, expected: Any, tolerance: float) -> bool:
    """Whether two results are equal: integers exactly, floats up to rounding, signed zeros told apart."""
    if isinstance(expected, Mapping):
        return isinstance(found, Mapping) and list(found) == list(expected) and same([*found.values()], [*expected.values()], tolerance)
    if isinstance(expected, (list, tuple)):
        return (
            isinstance(found, (list, tuple))
            and len(found) == len(expected)
            and all(same(f, e, tolerance) for f, e in zip(found, expected, strict=True))
        )
    if isinstance(expected, (bool, int, float)) and isinstance(found, (bool, int, float)):
        if math.isnan(expected) or math.isnan(found):
            return math.isnan(expected) and math.isnan(found)
        if expected == 0 == found:
            return math.copysign(1.0, found) == math.copysign(1.0, expected)
        # integers are exact
        exact = isinstance(expected, int) or found == expected
        return found == expected if exact else math.isclose(found, expected, rel_tol=tolerance, abs_tol=tolerance)
    return bool(found == expected)


def attempt(body: Body, toolkit: Toolkit) -> tuple[Any, Exception | None]:
    """What a program gives, or the exception that it ends with."""
    try:
        with toolkit.scope():
            return body(toolkit), None
    except Exception as error:
        return None, error


def judge(program: Footgun, toolkit: Toolkit, truth: Toolkit, untraced: Toolkit | None = None, instead: Body | None = None) -> Outcome:
    """Run a program on a system and on NumPy, and say how they compare.

    Args:
        truth: plain NumPy.
        untraced: the same system without its decorator, to tell `own` from `silent`.
        instead: what the system's documentation says to write, to be run in the program's place.
    """
    expected, fault = attempt(program.body, truth)
    if fault is not None:
        raise AssertionError(f"NumPy itself fails at {program.name}") from fault
    tolerance = max(toolkit.tolerance, DIFFERENCES if program.group == "gradients" else 0.0)
    body = instead or program.body
    found, error = attempt(body, toolkit)
    if error is not None:
        reason = toolkit.unusable(error)
        if reason is not None:
            return Outcome("n/a", reason)
        return Outcome("error", f"{type(error).__name__}: {' '.join(str(error).split())}")
    if same(found, expected, tolerance):
        return Outcome("right")
    detail = f"{found} where NumPy gives {expected}"
    if untraced is not None:
        plainly, error = attempt(body, untraced)
        if error is None and not same(plainly, expected, tolerance):
            return Outcome("own", detail)
    return Outcome("silent", detail)


def load() -> dict[str, Footgun]:
    """All footguns by name, in the order of the table."""
    from . import captures, control, effects, gradients, memory, nesting, numbers, randomness  # noqa: F401 - each registers its own

    return FOOTGUNS
