"""Writes docs/coverage.md: what every public name of NumPy is here, and whether it has a gradient: `python docs/coverage.py`.

`--print` writes it to the standard output instead.

A test compares the two. Names are looked up; what they do is found by running the sample calls of tests/numpy_calls.py.
"""

from __future__ import annotations

import os
import re
import sys
import types
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

# NEP 50's promotion, as in the tests; NumPy reads it when it is imported
os.environ.setdefault("NPY_PROMOTION_STATE", "weak")
import numpy

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
import numpy_calls  # noqa: E402
import numpy_driver  # noqa: E402

import minpy_jit.numpy as mnp  # noqa: E402
from minpy_jit import grad  # noqa: E402
from minpy_jit.errors import NoGradientError  # noqa: E402
from minpy_jit.numpy import namespace  # noqa: E402
from minpy_jit.numpy.array import Array, ValueHandle  # noqa: E402
from minpy_jit.trace.stats import stats  # noqa: E402

PAGE = Path(__file__).with_name("coverage.md")
# operands of float64 that gradients are taken by
VARIABLES = ("x", "y", "w", "v", "q", "p")
# calls of a name that are tried
TRIED = 12
SECTIONS: dict[str, tuple[Any, Any, str]] = {
    "numpy": (numpy, mnp, "np."),
    "numpy.linalg": (numpy.linalg, mnp.linalg, "np.linalg."),
    "numpy.fft": (numpy.fft, mnp.fft, "np.fft."),
    "numpy.random": (numpy.random, mnp.random, "np.random."),
    "numpy.random.Generator": (numpy.random.Generator, mnp.random.Generator, "rng."),
    "numpy.random.RandomState": (numpy.random.RandomState, mnp.random.RandomState, "rs."),
    "numpy.ufunc": (numpy.ufunc, mnp.ufunc, ""),
    "numpy.ndarray": (numpy.ndarray, Array, "x."),
}
DIFFERENTIATED = ("numpy", "numpy.linalg", "numpy.fft", "numpy.ndarray")
INTRODUCTION = """\
# Coverage of NumPy

Every public name of NumPy 1.26, what it is in `minpy_jit.numpy`, and whether a gradient flows through it.

* **native**: recorded as ops of ours (or answered without running anything). With options or dtypes that no op has (objects, strings, rare
  keywords) it runs as a fallback.
* **fallback**: NumPy's function on the observed arguments; the results are arrays of ours. Counted and visible: `minpy_jit.stats()`.
* **passed**: NumPy's own object. No array of ours is among its arguments, or it is a constant, a dtype, an error.
* **refused**: not there, for the reason given.

Draws of `numpy.random` are made by NumPy's generators at the call (seeds give NumPy's streams), and count as native.

Gradient: **yes**; **zero**: defined, and zero wherever it is (`floor`, `sign`, results that do not depend on values); **raises**: asking
for it is a `NoGradientError` that names the function and the line; empty: no floating-point result of floating-point arguments.

This page is written by `docs/coverage.py`, from the sample calls in `tests/numpy_calls.py`, each of which tests compare with NumPy.
"""


def public(owner: Any) -> list[str]:
    return [name for name in dir(owner) if not name.startswith("_")]


def evaluated(line: str, operands: dict[str, Any]) -> Any:
    given = {**numpy_driver.MODULES, **operands, "np": mnp}
    with warnings.catch_warnings(), numpy.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return eval(line, given)


def floats(value: Any) -> list[Any]:
    """Arrays of ours with floating-point elements in a result."""
    if isinstance(value, (list, tuple)):
        return [part for v in value for part in floats(v)]
    return [value] if isinstance(value, ValueHandle) and value.dtype.kind == "f" else []


def gradient_of(line: str) -> str:
    """ "yes", "zero", "raises", or "" where a call says nothing about it."""
    operands = numpy_driver.all_ours(numpy_calls.operands())
    names = [n for n in VARIABLES if re.search(rf"\b{n}\b", line)]
    if not names or ";" in line or "out=" in line:
        return ""
    asked = False

    def loss(*values: Any) -> Any:
        nonlocal asked
        parts = floats(evaluated(line, {**operands, **dict(zip(names, values, strict=True))}))
        asked = bool(parts)
        total = mnp.zeros(())
        for part in parts:
            total = total + (mnp.where(mnp.isfinite(part), part, 0.0) ** 2).sum()
        return total

    try:
        with warnings.catch_warnings(), numpy.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = grad(loss, tuple(range(len(names))))(*[operands[n] for n in names])
        moved = any(numpy.nan_to_num(g.asnumpy()).any() for g in found)
    except NoGradientError:
        return "raises"
    except Exception:
        # a call that is an error in NumPy too
        return ""
    return "" if not asked else "yes" if moved else "zero"


def gradient(lines: list[str]) -> str:
    """Of the first calls of a name: the best that one of them says."""
    said = set()
    for line in lines[:TRIED]:
        answer = gradient_of(line)
        if answer == "yes":
            return answer
        said.add(answer)
    return next((answer for answer in ("raises", "zero") if answer in said), "")


def falls_back(line: str) -> bool | None:
    """Whether a call ran in NumPy; None: it failed."""
    before = stats.counts["fallbacks"]
    try:
        evaluated(line, numpy_driver.all_ours(numpy_calls.operands()))
    except Exception:
        return None
    return stats.counts["fallbacks"] > before


def kind_of(section: str, theirs: Any, ours: Any, name: str, lines: list[str]) -> str:
    """ "native", "fallback" or "passed"."""
    if section == "numpy" and name not in ("linalg", "fft", "random"):
        return namespace.kind_of(name)
    found = getattr(ours, name)
    if found is getattr(theirs, name):
        return "passed"
    if section == "numpy.ndarray":
        answers = {falls_back(line) for line in lines[:TRIED]} - {None}
        return "fallback" if answers == {True} else "native"
    return "fallback" if getattr(found, "is_fallback", False) else "native"


def survey() -> dict[str, dict[str, tuple[str, str]]]:
    """section -> name -> (kind, gradient)."""
    lines = numpy_calls.all_calls()
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for section, (theirs, ours, prefix) in SECTIONS.items():
        of_name: dict[str, list[str]] = {}
        for line in lines:
            called = re.match(rf"{re.escape(prefix)}(\w+)", line) if prefix else None
            if called:
                of_name.setdefault(called[1], []).append(line)
        found[section] = {}
        for name in public(theirs):
            kind = kind_of(section, theirs, ours, name, of_name.get(name, []))
            takes_part = section in DIFFERENTIATED and kind != "passed" and not isinstance(getattr(theirs, name), types.ModuleType)
            found[section][name] = (kind, gradient(of_name.get(name, [])) if takes_part else "")
    return found


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    def row(cells: tuple[str, ...]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return [row(head), "|" + "---|" * len(head), *map(row, rows), ""]


def page() -> str:
    """The page."""
    found = survey()
    lines = [INTRODUCTION]
    counts = []
    for section, names in found.items():
        number = Counter(kind for kind, _ in names.values())
        refused = len(numpy_calls.REFUSED.get(section.removeprefix("numpy."), {}))
        counts.append((f"`{section}`", *[str(number[kind]) for kind in ("native", "fallback", "passed")], str(refused)))
    total = tuple(str(sum(int(row[k]) for row in counts)) for k in range(1, 5))
    lines += table(("", "native", "fallback", "passed", "refused"), [*counts, ("total", *total)])
    lines += [f"{len(numpy_calls.all_calls())} sample calls are compared with NumPy's results.", ""]
    for section, names in found.items():
        lines += [f"## `{section}`", ""]
        shown = [(f"`{name}`", kind, answer) for name, (kind, answer) in names.items() if kind != "passed"]
        lines += table(("name", "kind", "gradient"), shown)
        passed = [f"`{name}`" for name, (kind, _) in names.items() if kind == "passed"]
        if passed:
            lines += [f"Passed: {', '.join(passed)}.", ""]
    lines += ["## Refused", ""]
    refused_rows = [(owner, f"`{name}`", reason) for owner, names in numpy_calls.REFUSED.items() for name, reason in names.items()]
    lines += table(("of", "name", "reason"), refused_rows)
    lines += ["## Signatures that are not NumPy's", ""]
    lines += table(("name", "reason"), [(f"`{name}`", reason) for name, reason in numpy_calls.SIGNATURES.items()])
    lines += ["## Calls that differ from NumPy 1.26", ""]
    rows = [("", f"`{call}`", reason) for call, reason in numpy_calls.DIFFERENCES.items()]
    rows += [(v, f"`{call}`", reason) for v, known in numpy_calls.VARIANT_DIFFERENCES.items() for call, reason in known.items()]
    lines += table(("operands", "call", "reason"), rows)
    return "\n".join(lines).rstrip("\n") + "\n"


if __name__ == "__main__":
    made = page()
    if "--print" in sys.argv:
        sys.stdout.write(made)
    else:
        PAGE.write_text(made)
