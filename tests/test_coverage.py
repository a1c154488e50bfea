"""Every public name of NumPy is here, with NumPy's signature, and does in every sample call what NumPy does.

tests/numpy_calls.py holds the calls; what is left out stands in a table, with its reason.
"""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy
import numpy_calls
import numpy_driver
import pytest

import minpy_jit.numpy as mnp
from minpy_jit.numpy.array import Array, Scalar

LINES = numpy_calls.all_calls()
PARTS = 4
MODULES = ("", "linalg", "fft", "random")
# the kinds of scalars: each has methods that others have not
KINDS = (numpy.float64, numpy.float32, numpy.int64, numpy.uint8, numpy.complex64, numpy.bool_)


def modules(name: str) -> tuple[Any, Any]:
    """NumPy's module of a name, and ours."""
    return (getattr(numpy, name), getattr(mnp, name)) if name else (numpy, mnp)


def public(owner: Any) -> list[str]:
    return [name for name in dir(owner) if not name.startswith("_")]


# -- names -------------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("module", MODULES)
def test_no_public_name_is_missing(module: str) -> None:
    theirs, ours = modules(module)
    assert [n for n in public(theirs) if not hasattr(ours, n)] == []


def test_no_attribute_of_arrays_is_missing() -> None:
    # (compiled classes have a `__setstate__` of their own)
    missing = {n for n in dir(numpy.ndarray) if not hasattr(Array, n)}
    assert missing | {"__setstate__"} == set(numpy_calls.REFUSED["ndarray"])


@pytest.mark.parametrize("kind", KINDS)
def test_no_attribute_of_scalars_is_missing(kind: Any) -> None:
    scalar = mnp.zeros((), kind) + kind(0)
    assert type(scalar) is Scalar and scalar.dtype == kind
    missing = {n for n in dir(kind) if not hasattr(scalar, n)}
    assert missing <= set(numpy_calls.REFUSED["scalars"])


@pytest.mark.parametrize("name", ["Generator", "RandomState"])
def test_no_method_of_generators_is_missing(name: str) -> None:
    assert [n for n in public(getattr(numpy.random, name)) if not hasattr(getattr(mnp.random, name), n)] == []


def test_no_attribute_of_ufuncs_is_missing() -> None:
    assert [n for n in public(numpy.ufunc) if not hasattr(mnp.add, n)] == []


# -- signatures --------------------------------------------------------------------------------------------------------------------------
def parameters(function: Any) -> list[tuple[str, str, str]] | None:
    """Names, kinds and defaults, or None for a function that does not say."""
    try:
        found = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    return [(p.name, p.kind.name, "" if p.default is p.empty else repr(p.default)) for p in found.parameters.values()]


OWNERS = {
    "numpy": (numpy, mnp),
    "linalg": modules("linalg"),
    "fft": modules("fft"),
    "random": modules("random"),
    "ndarray": (numpy.ndarray, Array),
    "ufunc": (numpy.ufunc, mnp.ufunc),
    "Generator": (numpy.random.Generator, mnp.random.Generator),
    "RandomState": (numpy.random.RandomState, mnp.random.RandomState),
}


@pytest.mark.parametrize("owner", OWNERS)
def test_signatures_are_numpys(owner: str) -> None:
    theirs, ours = OWNERS[owner]
    wrong = {}
    for name in public(theirs):
        wanted, found = getattr(theirs, name), getattr(ours, name)
        if callable(wanted) and found is not wanted and not isinstance(wanted, (type, types.ModuleType)):
            given = parameters(wanted)
            if given is not None and parameters(found) != given:
                wrong[name] = (parameters(found), given)
    known = numpy_calls.SIGNATURES if owner == "numpy" else {}
    assert {k: v for k, v in wrong.items() if k not in known} == {}
    assert set(known) <= set(wrong), "the table lists what is as in NumPy"


# -- every name has a call ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("module", MODULES)
def test_every_function_is_called(module: str) -> None:
    theirs, ours = modules(module)
    used = numpy_calls.names_used(LINES)
    prefix = f".{module}" if module else ""
    own = [n for n in public(theirs) if getattr(ours, n) is not getattr(theirs, n)]
    assert [n for n in own if f"{prefix}.{n}" not in used] == []


@pytest.mark.parametrize(
    "owner", [numpy.ndarray, *KINDS, numpy.random.Generator, numpy.random.RandomState, numpy.ufunc], ids=lambda c: c.__name__
)
def test_every_method_is_called(owner: type) -> None:
    used = numpy_calls.names_used(LINES)
    assert [n for n in public(owner) if f".{n}" not in used] == []


# -- every call gives what NumPy gives ---------------------------------------------------------------------------------------------------
Maker = Callable[[], dict[str, Any]]
# operands as they come, pending, as views of larger arrays, beside NumPy's; in every mode; in Fortran order
VARIANTS: dict[str, tuple[str, Maker, Callable[..., Any]]] = {
    "lazy": ("lazy", numpy_calls.operands, numpy_driver.all_ours),
    "eager": ("eager", numpy_calls.operands, numpy_driver.all_ours),
    "pending operands": ("lazy", numpy_calls.operands, numpy_driver.pending),
    "views": ("lazy", numpy_calls.operands, numpy_driver.shown),
    "every second NumPy's": ("lazy", numpy_calls.operands, numpy_driver.mixed(0)),
    "every other NumPy's": ("lazy", numpy_calls.operands, numpy_driver.mixed(1)),
    "Fortran order": ("lazy", numpy_driver.SWEEPS["Fortran order"], numpy_driver.all_ours),
}
MORE: dict[str, tuple[str, Maker, Callable[..., Any]]] = {
    "mode numpy": ("numpy", numpy_calls.operands, numpy_driver.all_ours),
    **{name: ("lazy", make, numpy_driver.all_ours) for name, make in numpy_driver.SWEEPS.items() if name not in VARIANTS},
}
PARITY = {"every second NumPy's": 0, "every other NumPy's": 1}


def known_differences(variant: str) -> Mapping[str, str]:
    return {**numpy_calls.DIFFERENCES, **numpy_calls.VARIANT_DIFFERENCES.get(variant, {})}


def lines_of(variant: str) -> list[str]:
    parity = PARITY.get(variant)
    return LINES if parity is None else [line for line in LINES if numpy_driver.mixable(line, parity)]


def check(variant: str, mode: str, make: Maker, convert: Callable[..., Any], part: int, folder: Path) -> None:
    with numpy_driver.in_mode(mode):
        found = numpy_driver.check_all(lines_of(variant)[part::PARTS], make, convert, folder, known_differences(variant))
    assert not found, "\n".join(f"{line}\n      {how}" for line, how in found.items())


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("variant", VARIANTS)
def test_calls_are_numpys(variant: str, part: int, tmp_path: Path) -> None:
    check(variant, *VARIANTS[variant], part, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("variant", MORE)
def test_calls_are_numpys_with_other_operands(variant: str, part: int, tmp_path: Path) -> None:
    check(variant, *MORE[variant], part, tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "x.flat[m[0]]",
        "x.flat[m[0]] = 7",
        "x.flat[m]",
        "x.flat[m.any()]",
        "v.flat[m.ravel()]",
        "x.itemset((1,), 9.0)",
        "x.itemset((1, 2, 0), 9.0)",
        "np.put(x, [99], [])",
        "np.matmul(p[:1, :1], p[:1, :1], out=o[:, :3])",
        "np.matmul(p[:1, :1], p[:1, :1], out=oi[:, :3])",
        "np.matmul(p[:1], p[:, :1], out=np.zeros((2, 1, 1)))",
        "np.matmul(p[:1], p[0], out=np.zeros(3))",
        "z == 'a', z != 'a', z == None, z != None",
        "O.fill(v)",
        "O @ O",
        "np.insert(O, 1, 7.0)",
        "np.insert(x.astype(object), 5, 7.0)",
    ],
)
def test_a_call_is_numpys(line: str, tmp_path: Path) -> None:
    """Calls that the sweeps show to be wrong where operands are small or hold objects."""
    found = numpy_driver.check_all([line], numpy_calls.operands, numpy_driver.all_ours, tmp_path, ())
    assert found == {}


@pytest.mark.parametrize("mode", ["raise", "wrap", "clip"])
def test_nothing_is_put_where_no_elements_are(mode: str) -> None:
    """NumPy 1.26 does not return from `wrap`, and writes beside the array in `clip`."""
    with pytest.raises(IndexError, match=r"\[put\] an array of shape \(0,\) has no elements to write to"):
        mnp.put(mnp.zeros(0), [0, 9], 1, mode)
    mnp.put(mnp.zeros(0), [], 1, mode)


def test_known_differences_are_differences(tmp_path: Path) -> None:
    """A line that has come to agree has to leave the table."""
    lines = list(numpy_calls.DIFFERENCES)
    assert set(lines) <= set(LINES)
    found = numpy_driver.check_all(lines, numpy_calls.operands, numpy_driver.all_ours, tmp_path, ())
    assert [line for line in lines if line not in found] == []


def test_a_difference_is_found(tmp_path: Path) -> None:
    """The check can fail: other values, dtypes, kinds, layouts, errors, side effects."""
    plain = numpy_driver.evaluate
    wrong = {
        "x + 1": "x + 2",
        "x * 2": "f * 2",
        "x.sum()": "float(x.sum())",
        "x.T": "x.T.copy()",
        "x[9]": "x + 0",
        "x[0] = 1": "x[0] = 2",
        "np.sum(x, axis=7)": "np.take(x, 99)",
    }
    for right, other in wrong.items():
        theirs = plain(right, numpy, numpy_calls.operands(), tmp_path)
        ours = plain(other, mnp, numpy_driver.all_ours(numpy_calls.operands()), tmp_path)
        assert numpy_driver.compare(right, ours, theirs) is not None, right
        ours = plain(right, mnp, numpy_driver.all_ours(numpy_calls.operands()), tmp_path)
        assert numpy_driver.compare(right, ours, theirs) is None, right


# -- the page ----------------------------------------------------------------------------------------------------------------------------
def test_the_page_is_current() -> None:
    """docs/coverage.md is what docs/coverage.py makes of the package as it is. (A process of its own: imports add names to NumPy.)"""
    program = Path(__file__).parent.parent / "docs" / "coverage.py"
    environment = {**os.environ, "NPY_PROMOTION_STATE": "weak"}
    ran = subprocess.run([sys.executable, str(program), "--print"], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == program.with_suffix(".md").read_text(), "run `python docs/coverage.py`"
