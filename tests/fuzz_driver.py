"""Random NumPy programs as text: run in every mode, and compared with what NumPy makes of them (fuzz_writer.py writes them).

A program is a function `program(np, log, flush, point, gradient, region, a, b, c, s, k)`, so that the same source runs with NumPy and with
ours, with other values the next time, and a failing one can be printed as a script.
"""

from __future__ import annotations

import re
import textwrap
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy

import minpy_jit
import minpy_jit.numpy
from minpy_jit import config
from minpy_jit.errors import TraceError
from minpy_jit.trace.handle import Handle

NAMES = ("a", "b", "c", "d", "e")
# beyond this, rounding errors of inexact values are not worth comparing
LARGE = 1e6


class Tools(NamedTuple):
    """What a program is given besides NumPy and its arrays."""

    # notes a value, which observes it
    log: Callable[[Any], None]
    flush: Callable[..., None]
    # a place where a run may flush, look at arrays or keep them
    point: Callable[..., None]
    # gradient(f, rule, x): by our tape, or by the rule
    gradient: Callable[..., Any]
    # a traced region: a decorator and a context manager
    region: Callable[[], Any]


@dataclass
class Program:
    """Statements, values of the inputs (two sets of the same types), and what is known about the results.

    Attributes:
        inexact: variables whose bits depend on the order of sums or on a library's exp.
        largest: size of the largest number on the way.
        half: whether there was float16 on the way.
        pure: whether it may be run with `pure=True`.
        points: how many places there are at which each run does something else.
        actions: what two kinds of runs do there.
    """

    statements: list[str]
    inputs: list[dict[str, Any]]
    inexact: set[str] = field(default_factory=set)
    largest: float = 1.0
    half: bool = False
    pure: bool = False
    points: int = 0
    actions: tuple[dict[int, tuple[str, int]], ...] = field(default_factory=lambda: ({}, {}))

    def source(self) -> str:
        """The function as text."""
        body = textwrap.indent("\n".join(self.statements) or "pass", "    ")
        given = ", ".join(Tools._fields)
        return f"def program(np, {given}, a, b, c, s, k):\n    d, e = a, b\n{body}\n    return a, b, c, d, e\n"

    def function(self) -> Callable[..., Any]:
        """The function."""
        scope: dict[str, Any] = {}
        exec(compile(self.source(), "<program>", "exec"), scope)
        made: Callable[..., Any] = scope["program"]
        return made

    def script(self) -> str:
        """A script that shows what NumPy and each of our modes make of it."""
        sets = ",\n".join("    dict(" + ", ".join(f"{n}={_literal(v)}" for n, v in values.items()) + ")" for values in self.inputs)
        used = [{n: action for n, action in each.items() if f"point({n}," in "\n".join(self.statements)} for each in self.actions]
        return _SCRIPT.format(source=self.source(), sets=sets, actions=used)


_SCRIPT = """import os

os.environ["NPY_PROMOTION_STATE"] = "weak"
import warnings
from contextlib import ContextDecorator, nullcontext

import numpy
from numpy import inf, nan

import minpy_jit
import minpy_jit.numpy


{source}

SETS = [
{sets},
]
# what happens at point(number, ...), in two kinds of runs
ACTIONS = {actions}


class Region(nullcontext, ContextDecorator):
    pass


def show(np, run, values, actions):
    given = {{n: np.array(v) if isinstance(v, numpy.ndarray) else v for n, v in values.items()}}
    lazy = np is not numpy
    held = []
    np.random.seed(0)

    def point(number, *arrays):
        action, which = actions.get(number, (None, 0))
        if action == "hold":
            held.append(arrays)
        elif action == "drop":
            held.clear()
        elif action and lazy:
            one = arrays[which]
            {{"flush": minpy_jit.flush, "flush one": lambda: minpy_jit.flush(one), "see": one.tolist, "show": lambda: str(one)}}[action]()

    def by_rule(f, rule, x):
        f(x)
        return rule(x).astype(x.dtype)

    def log(value):
        print("  log", repr(value if not hasattr(value, "asnumpy") else value.asnumpy()))

    try:
        found = run(
            np,
            log,
            minpy_jit.flush if lazy else lambda *arrays: None,
            point,
            (lambda f, rule, x: minpy_jit.grad(f)(x)) if lazy else by_rule,
            minpy_jit.trace if lazy else Region,
            **given,
        )
        return [repr(numpy.asarray(x)) for x in found]
    except Exception as error:
        return [repr(error)]


numpy.seterr(all="ignore")
warnings.simplefilter("ignore")
traced = minpy_jit.trace(program)
for turn, actions in ((0, ACTIONS[0]), (0, ACTIONS[0]), (1, ACTIONS[0]), (0, ACTIONS[1]), (1, ACTIONS[1])):
    print("numpy", *show(numpy, program, SETS[turn], {{}}), sep="\\n  ")
    for mode in ("lazy", "numpy", "eager"):
        with minpy_jit.mode(mode):
            print(mode, *show(minpy_jit.numpy, program, SETS[turn], actions), sep="\\n  ")
    print("trace", *show(minpy_jit.numpy, traced, SETS[turn], actions), sep="\\n  ")
"""


def _literal(value: Any) -> str:
    if isinstance(value, numpy.ndarray):
        return f"numpy.array({value.tolist()!r}, dtype={str(value.dtype)!r}).reshape({value.shape})"
    return repr(value)


# -- what programs are given --------------------------------------------------------------------------------------------------------------
class _Region(nullcontext):
    """A traced region in NumPy: nothing."""

    def __call__(self, function: Any) -> Any:
        return function


def _known(value: Any) -> Any:
    if isinstance(value, Handle):
        found = value.asnumpy()
        return found[()] if value.type.scalar else found
    return value.copy() if isinstance(value, numpy.ndarray) else value


def _by_rule(f: Callable[[Any], Any], rule: Callable[[Any], Any], x: Any) -> Any:
    f(x)
    return rule(x).astype(x.dtype)


def _by_tape(f: Callable[[Any], Any], rule: Callable[[Any], Any], x: Any) -> Any:
    return minpy_jit.grad(f)(x)


def plain_tools(logged: list[Any]) -> Tools:
    """For a run in NumPy."""
    return Tools(
        lambda value: logged.append(_known(value)), lambda *arrays: None, lambda number, *arrays: None, _by_rule, lambda: _Region()
    )


def our_tools(logged: list[Any], actions: dict[int, tuple[str, int]]) -> Tools:
    """For one of our runs, which does `actions` at the points."""
    held: list[Any] = []

    def point(number: int, *arrays: Any) -> None:
        action, which = actions.get(number, ("", 0))
        if action == "flush":
            minpy_jit.flush()
        elif action == "flush one":
            minpy_jit.flush(arrays[which])
        elif action == "see":
            arrays[which].tolist()
        elif action == "show":
            str(arrays[which])
        elif action == "hold":
            held.append(arrays)
        elif action == "drop":
            held.clear()

    return Tools(lambda value: logged.append(_known(value)), minpy_jit.flush, point, _by_tape, minpy_jit.trace)


# -- running -----------------------------------------------------------------------------------------------------------------------------
@dataclass
class Result:
    """What a run gave: an exception that it ended with, what it logged, and its variables."""

    error: Exception | None
    logged: list[Any]
    variables: list[Any]
    strides: list[tuple[int, ...]]


def run(np: Any, tools: Callable[[list[Any]], Tools], values: dict[str, Any], function: Callable[..., Any]) -> Result:
    """Run a program with a namespace."""
    logged: list[Any] = []
    given = {n: np.array(v) if isinstance(v, numpy.ndarray) else v for n, v in values.items()}
    np.random.seed(0)
    try:
        found = function(np, *tools(logged), **given)
        return Result(None, logged, [_known(v) for v in found], [v.strides for v in found])
    except Exception as error:
        return Result(error, logged, [], [])


def builtin_class(error: Exception) -> type:
    """The exception class of Python's own that an error is (`AxisError` and `UFuncTypeError` are details)."""
    return next(c for c in type(error).__mro__ if c.__module__ == "builtins")


def same_error(ours: Any, theirs: Exception) -> bool:
    """Whether two exceptions agree."""
    if not isinstance(ours, Exception):
        return False
    if "setting an array element" in str(ours) and isinstance(theirs, (TypeError, ValueError)):
        # which of the two NumPy raises depends on the dtype
        return True
    if isinstance(ours, IndexError) and ("value array of shape" in str(theirs) or "output array does not match" in str(theirs)):
        # positions out of bounds, and a shape that does not fit
        return True
    if (type(theirs).__name__.startswith("UFunc") or "ArrayType" in str(theirs)) and isinstance(ours, (ValueError, TypeError)):
        # operands that do not broadcast, to a result that could not be written: of two faults either may be named
        return True
    return issubclass(builtin_class(ours), builtin_class(theirs)) or issubclass(builtin_class(theirs), builtin_class(ours))


def same(ours: Any, theirs: Any, tolerance: float, scale: float = 1e-4) -> bool:
    """Whether two logged values or variables agree. `scale`: by default for values that were float32 on the way."""
    if isinstance(theirs, Exception):
        return same_error(ours, theirs)
    if not isinstance(theirs, (numpy.ndarray, numpy.generic)):
        return ours == theirs or (ours != ours and theirs != theirs) or (isinstance(theirs, list) and repr(ours) == repr(theirs))
    if isinstance(ours, numpy.ndarray) != isinstance(theirs, numpy.ndarray) or not isinstance(ours, (numpy.ndarray, numpy.generic)):
        return False
    if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
        return False
    if theirs.dtype.kind not in "fc" or tolerance == 0:
        return numpy.array_equal(ours, theirs, equal_nan=theirs.dtype.kind in "fc")
    if tolerance == numpy.inf:
        return True
    return numpy.allclose(ours, theirs, rtol=scale, atol=scale * tolerance, equal_nan=True)


class Tolerated(NamedTuple):
    """A fault that only one of the two reports.

    Attributes:
        error: in the text of the exception.
        statement: in the program.
        reason: why it stays.
        theirs: it is NumPy that reports it.
    """

    error: str
    statement: str
    reason: str
    theirs: bool = False


TOLERATED = (
    Tolerated(
        r"\[matmul\] inner sizes differ",
        r"np\.matmul\(.*out=",
        "By the number of axes of out=, not by those of the operands, NumPy decides whether np.matmul multiplies vectors: two of one row "
        "have an inner product there if out= has no axis.",
    ),
    Tolerated(
        r"\[copyto\] Cannot cast ufunc 'copyto' output from dtype\('int\d+'\) to dtype\('uint",
        r"np\.copyto\(",
        "Whether a single signed number may be copied to unsigned ones NumPy 1.26 decides by its value, NEP 50 by its dtype.",
    ),
    Tolerated(
        r"could not be broadcast to indexing result of shape \((\d+,)*0,?(,?\d+)*\)",
        r"\] = ",
        "Where an integer array chooses nothing, NumPy 1.26 takes some values whose leading axes do not fit; which ones depends on its "
        "buffers.",
    ),
    Tolerated(
        r"assignment destination is read-only",
        r"np\.\w+\.at\(",
        "Where it has to cast, ufunc.at of NumPy 1.26 writes to read-only arrays.",
    ),
    Tolerated(
        r"Python integer -?\d+ out of bounds for uint",
        r" /=? ",
        "Beside a scalar of an unsigned dtype (not beside an array of it) NumPy 1.26 refuses to divide by an integer that the dtype does "
        "not hold, although the quotient is a float; NumPy 2 divides.",
        theirs=True,
    ),
    Tolerated(
        r"could not broadcast where mask from shape \S+ into shape \((\d+,)*0,?(,?\d+)*\)",
        r"np\.copyto\(",
        "Where an array without elements is copied to itself, NumPy asks for the mask's shape or not by strides, which say nothing of "
        "such an array.",
        theirs=True,
    ),
)


SCALED = Tolerated(
    "",
    r"np\.(tensordot|inner|dot)\(",
    "A matrix of one element times a row is for np.dot a row that is scaled, and BLAS's axpy leaves out a scale of zero: 0 * inf is 0, "
    "nan by IEEE 754.",
)

COMPARED = Tolerated(
    "",
    r"\bv > (\w+)",
    "A complex scalar of NumPy's is greater than another by its real part alone where an imaginary part is nan; its arrays, and np.greater "
    "of the same scalars, say False.",
)


def zeros_for_nans(ours: Any, theirs: Any) -> bool:
    """Whether two variables are the same but for zeros of NumPy's where we have nan."""
    if ours.dtype != theirs.dtype or ours.shape != theirs.shape or theirs.dtype.kind not in "fc":
        return same(ours, theirs, 0)
    return bool(numpy.all((ours == theirs) | numpy.isnan(ours) & ((theirs == 0) | numpy.isnan(theirs))))


def tolerated(program: Program, ours: Result, theirs: Result, values: dict[str, Any]) -> Tolerated | None:
    """The listed difference at which our run, with these values, leaves NumPy's."""
    if re.search(COMPARED.statement, program.source()):
        elements = [re.sub(COMPARED.statement, r"np.greater(v, \1)", statement) for statement in program.statements]
        if difference(program, ours, run(numpy, plain_tools, values, replace(program, statements=elements).function())) is None:
            return COMPARED
    if ours.error is None and theirs.error is None and re.search(SCALED.statement, program.source()):
        logged = len(ours.logged) == len(theirs.logged) and all(same(a, b, 0) for a, b in zip(ours.logged, theirs.logged, strict=True))
        if logged and all(zeros_for_nans(a, b) for a, b in zip(ours.variables, theirs.variables, strict=True)):
            return SCALED
    both = min(len(ours.logged), len(theirs.logged))
    parted = [pair for pair in zip(ours.logged, theirs.logged, strict=False) if not same(*pair, 0)]
    beyond = [*((left, theirs.error) for left in ours.logged[both:]), *((ours.error, right) for right in theirs.logged[both:])]
    first = [str(x) if isinstance(x, Exception) else "" for x in [*parted, *beyond, (ours.error, theirs.error)][0]]
    source = program.source()
    return next((t for t in TOLERATED if re.search(t.error, first[t.theirs]) and re.search(t.statement, source)), None)


# `gradient` compares with a rule written by hand, whose result may lie in memory as it likes; and einsum, which in NumPy follows the
# operands' layout as far as its loops do, gives C order in ours, and the layout of a mask has a say in NumPy's sums with one
UNLIKE_LAYOUTS = re.compile(r"gradient\(|einsum\(|, where=.*> 0\)")


def difference(program: Program, ours: Result, theirs: Result) -> str | None:
    """What the two runs disagree on, or None."""
    if ours.error is not None and "(recorded at" in str(ours.error):
        # a fault of values is found when they are computed
        raised = [e for e in (*theirs.logged, theirs.error) if isinstance(e, Exception)]
        return None if any(same_error(ours.error, e) for e in raised) else f"raised {ours.error!r}; NumPy: {raised!r}"
    if (ours.error is None) != (theirs.error is None) or (theirs.error is not None and not same_error(ours.error, theirs.error)):
        return f"raised {ours.error!r}; NumPy: {theirs.error!r}"
    for number, (left, right) in enumerate(zip(ours.logged, theirs.logged, strict=False)):
        if not same(left, right, 0):
            return f"log {number}: {left!r}; NumPy: {right!r}"
    if len(ours.logged) != len(theirs.logged):
        return f"logged {ours.logged!r}; NumPy: {theirs.logged!r}"
    if theirs.error is not None:
        return None
    loose = numpy.inf if program.largest > LARGE else program.largest * 4
    for name, left, right in zip(NAMES, ours.variables, theirs.variables, strict=True):
        if not same(left, right, loose if name in program.inexact else 0, 2e-2 if program.half else 1e-4):
            return f"{name} = {left!r} ({left.dtype}); NumPy: {right!r} ({right.dtype})"
    if UNLIKE_LAYOUTS.search(program.source()):
        return None
    for name, left, right, value in zip(NAMES, ours.strides, theirs.strides, theirs.variables, strict=True):
        if value.size > 1 and [p for p, n in zip(left, value.shape, strict=True) if n > 1] != [
            p for p, n in zip(right, value.shape, strict=True) if n > 1
        ]:
            return f"{name}.strides = {left}; NumPy: {right}"
    return None


# Words of a mode: how operations are executed, "points N" (which actions), "others" (the other values), "mxnet" (at the first encounter).
# The second lazy run binds MXNet's executors, the third finds them bound; live sets and segments differ with the points.
EVERY = ("lazy, points 0", "lazy, points 0", "lazy, points 0, others", "trace, points 1, mxnet", "trace, points 1, others")
LAST = (
    ("eager",),
    ("numpy, others",),
    ("eager, others",),
    ("lazy, points 1, mxnet, others", "lazy"),
    ("lazy, mxnet", "lazy, others, mxnet"),
)
PURE = ("pure", "pure, others", "pure")
# Where compiled code is what is looked for: compiled at the first run, and run again with other values.
COMPILED = (
    ("lazy, points 0, mxnet", "lazy, points 0, mxnet, others"),
    ("trace, points 1, mxnet", "trace, points 1, mxnet, others"),
)
COMPILED_PURE = ("pure", "pure, others")


def modes_of(program: Program) -> tuple[str, ...]:
    """Every program is run lazily with flushes, traced, and in one further way."""
    return (*EVERY, *(PURE if program.pure else LAST[len(program.source()) % len(LAST)]))


def compiled_modes_of(program: Program) -> tuple[str, ...]:
    """Those of a campaign through compiled code, which takes twenty times as long to make as to run."""
    return COMPILED_PURE if program.pure else COMPILED[len(program.source()) % len(COMPILED)]


# how often each listed difference was met, by its reason
met: Counter[str] = Counter()


def check(program: Program, modes: Sequence[str] | None = None, skipped: list[str] | None = None) -> str | None:
    """Run a program in several modes; what went wrong, or None. `skipped` gets the modes that refused it."""
    with numpy.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _check(program, modes_of(program) if modes is None else modes, skipped if skipped is not None else [])


def _check(program: Program, modes: Iterable[str], skipped: list[str]) -> str | None:
    function = program.function()
    traced, pure = minpy_jit.trace(function), _Pure(function, program)
    expected: dict[tuple[bool, bool], Result] = {}
    for mode in modes:
        kind, *words = mode.split(", ")
        others = "others" in words
        key = (others, kind == "pure")
        values = program.inputs[others]
        if kind == "pure":
            # numbers are part of a pure call's signature
            values = {**values, "s": program.inputs[0]["s"], "k": program.inputs[0]["k"]}
        if key not in expected:
            expected[key] = run(numpy, plain_tools, values, function)
        actions = program.actions["points 1" in words] if any(w.startswith("points") for w in words) else {}
        scope: AbstractContextManager[Any] = minpy_jit.mode(kind) if kind in ("numpy", "eager") else nullcontext()
        with scope, config.override(first_run="mxnet") if "mxnet" in words else nullcontext():
            called = {"trace": traced, "pure": pure}.get(kind, function)
            ours = run(minpy_jit.numpy, lambda logged, actions=actions: our_tools(logged, actions), values, called)
        if kind == "pure" and isinstance(ours.error, TraceError):
            skipped.append(mode)
            continue
        found = difference(program, ours, expected[key])
        listed = None if found is None else tolerated(program, ours, expected[key], values)
        if listed is not None:
            met[listed.reason] += 1
            return None
        if found is not None:
            return f"{mode}: {found}"
    return None


class _Pure:
    """The program as a pure function of its arrays."""

    def __init__(self, function: Callable[..., Any], program: Program) -> None:
        tools = our_tools([], {})
        numbers = {n: program.inputs[0][n] for n in "sk"}
        self.call = minpy_jit.trace(lambda a, b, c: function(minpy_jit.numpy, *tools, a, b, c, **numbers), pure=True)

    def __call__(self, np: Any, *tools: Any, a: Any, b: Any, c: Any, s: Any, k: Any) -> Any:
        return self.call(a, b, c)


def shrink(program: Program, modes: Sequence[str] | None = None) -> Program:
    """The program without the statements that its failure does not need, in the modes that it fails in."""
    modes = modes_of(program) if modes is None else modes
    again = True
    while again:
        again = False
        for k in range(len(program.statements) - 1, -1, -1):
            for less in _without(program.statements, k):
                smaller = replace(program, statements=less)
                try:
                    failing = check(smaller, modes)
                except Exception:
                    # no longer a program
                    failing = None
                if failing is not None and "NameError" not in failing and "UnboundLocal" not in failing:
                    program, again = smaller, True
                    break
    return program


def _without(statements: list[str], k: int) -> Iterable[list[str]]:
    """Statement `k` left out, and, of a compound one, its first body in its place."""
    yield [*statements[:k], *statements[k + 1 :]]
    lines = statements[k].splitlines()
    if len(lines) > 1 and lines[0].endswith(":") and lines[0].startswith(("if ", "for ", "try:", "with ")):
        body = list(_first_block(lines[1:]))
        yield [*statements[:k], textwrap.dedent("\n".join(body)), *statements[k + 1 :]]


def _first_block(lines: list[str]) -> Iterable[str]:
    for line in lines:
        if not line.startswith("    "):
            return
        yield line
