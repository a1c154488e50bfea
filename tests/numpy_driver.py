"""Evaluates a line of numpy_calls.py in NumPy's namespace and in ours; says what differs: values, dtypes, kinds, errors, side effects."""

from __future__ import annotations

import copy
import dataclasses
import decimal
import fractions
import functools
import itertools
import json
import math
import operator
import pickle
import re
import statistics
import struct
import types
import warnings
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy
import numpy.lib.recfunctions
import numpy_calls

import minpy_jit.numpy as mnp
from minpy_jit.numpy.array import Array, Scalar, ValueHandle
from minpy_jit.numpy.ufuncs import Ufunc
from minpy_jit.trace import recorder

MODULES = {m.__name__: m for m in (copy, decimal, fractions, functools, itertools, json, math, operator, pickle, statistics, struct)} | {
    "numpy": numpy
}
# what NumPy raises and does not export: its public base
PUBLIC_ERRORS = (
    numpy.AxisError,
    numpy.linalg.LinAlgError,
    numpy.exceptions.TooHardError,
    numpy.exceptions.DTypePromotionError,
    *(e for e in vars(__import__("builtins")).values() if isinstance(e, type) and issubclass(e, BaseException)),
)


class Outcome:
    """What a line gave: a value or an error, and the operands afterwards."""

    def __init__(self, value: Any, error: BaseException | None, operands: dict[str, Any]) -> None:
        self.value, self.error, self.operands = value, error, operands


def to_ours(value: Any) -> Any:
    """A NumPy operand as ours: arrays and scalars."""
    if isinstance(value, numpy.ndarray):
        return mnp.array(value)
    if isinstance(value, numpy.generic):
        return mnp.array(numpy.asarray(value))[()]
    return value


def as_ours(value: Any) -> Any:
    """Arrays that were given as NumPy's own, for the comparison."""
    return to_ours(value) if isinstance(value, (numpy.ndarray, numpy.generic)) else value


def settled(value: Any) -> Any:
    """The value with everything pending in it computed (errors of values come out here)."""
    if isinstance(value, ValueHandle):
        value.wait_to_read()
    elif isinstance(value, (list, tuple)):
        for part in value:
            settled(part)
    elif isinstance(value, dict):
        for part in value.values():
            settled(part)
    return value


def evaluate(line: str, namespace: Any, operands: dict[str, Any], folder: Path) -> Outcome:
    """Run a line. Its files are made anew in `folder`."""
    if re.search(r"\b(path|text|file)\b", line):
        (folder / "bytes").write_bytes(bytes(range(1, 13)))
        (folder / "text").write_text("1.5 2.5\n3 4\n")
    numpy.random.seed(7)
    given = {
        **MODULES,
        **operands,
        "np": namespace,
        "path": str(folder / "bytes"),
        "text": str(folder / "text"),
        "file": str(folder / "made.npy") if "savez" not in line else str(folder / "made.npz"),
    }
    if "rng" in line:
        given["rng"] = namespace.random.default_rng(7)
    if "rs." in line:
        given["rs"] = namespace.random.RandomState(7)
    value, error = None, None
    *first, last = line.split("; ")
    with warnings.catch_warnings(), numpy.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            for statement in first:
                exec(statement, given)
            try:
                code = compile(last, line, "eval")
            except SyntaxError:
                exec(last, given)
            else:
                value = settled(eval(code, given))
            for name in operands:
                settled(given[name])
        except Exception as raised:
            # the frames would keep what failed alive, and every flush to come would run it again
            error = raised.with_traceback(None)
    return Outcome(value, error, {k: given[k] for k in operands})


@dataclasses.dataclass(frozen=True)
class Rules:
    """What counts as the same.

    Attributes:
        foreign: which NumPy arrays and scalars are as good as ours.
        layout: whether arrays have to lie in memory as NumPy's do.
        precision: relative error allowed, if not that of the results' dtypes (operands of less precision).
    """

    foreign: Callable[[Any], bool] = lambda value: False
    layout: bool = True
    precision: float = 1e-11


def difference(ours: Any, theirs: Any, where: str = "", rules: Rules = Rules()) -> str | None:
    """How a result of ours differs from NumPy's, or None. `where` names the part."""
    if isinstance(theirs, numpy.ndarray) and type(theirs) in (numpy.ndarray, numpy.memmap):
        if type(ours) is not Array and not (type(ours) in (numpy.ndarray, numpy.memmap) and rules.foreign(ours)):
            return f"{where}{type(ours).__name__} instead of an array"
        return _array_difference(ours, theirs, where, rules)
    if isinstance(theirs, numpy.generic) and not isinstance(theirs, (numpy.void, numpy.character)):
        if type(ours) is not Scalar and not (isinstance(ours, numpy.generic) and rules.foreign(ours)):
            return f"{where}{type(ours).__name__} instead of a scalar {theirs!r}"
        return _array_difference(ours, theirs, where, rules)
    if isinstance(theirs, (list, tuple)):
        if type(ours).__name__ != type(theirs).__name__ or len(ours) != len(theirs):
            return f"{where}{type(ours).__name__} instead of {type(theirs).__name__} of {len(theirs)}"
        parts = (difference(o, t, f"{where}[{k}] ", rules) for k, (o, t) in enumerate(zip(ours, theirs, strict=True)))
        return next((p for p in parts if p), None)
    if isinstance(theirs, dict):
        if type(ours) is not dict or list(map(str, ours)) != list(map(str, theirs)):
            return f"{where}{ours!r} instead of {theirs!r}"
        parts = (difference(ours[o], theirs[t], f"{where}[{t}] ", rules) for o, t in zip(ours, theirs, strict=True))
        return next((p for p in parts if p), None)
    if isinstance(theirs, numpy.ufunc):
        return None if isinstance(ours, Ufunc) else f"{where}{type(ours).__name__} instead of a ufunc"
    if isinstance(theirs, numpy.ndarray):
        # subclasses are NumPy's own
        same = type(ours) is type(theirs) and ours.shape == theirs.shape and ours.dtype == theirs.dtype
        if same and isinstance(theirs, numpy.ma.MaskedArray):
            same = bool((numpy.ma.getmaskarray(ours) == numpy.ma.getmaskarray(theirs)).all())
            ours, theirs = numpy.ma.filled(ours, 0), numpy.ma.filled(theirs, 0)
        same = same and bool((ours == theirs).all())
        return None if same else f"{where}{type(ours).__name__} {ours!r} instead of {type(theirs).__name__} {theirs!r}"
    if type(theirs) is int and type(ours) is Scalar:
        # count_nonzero stays lazy
        return None if int(ours) == theirs else f"{where}{ours} instead of {theirs}"
    if type(theirs).__name__ != type(ours).__name__:
        return f"{where}{type(ours).__name__} instead of {type(theirs).__name__}"
    if isinstance(theirs, (float, complex)):
        return None if numpy.isclose(ours, theirs, rules.precision, equal_nan=True) else f"{where}{ours!r} instead of {theirs!r}"
    if isinstance(theirs, (bool, int, str, bytes, type, numpy.dtype, slice, type(None), numpy.void, decimal.Decimal, fractions.Fraction)):
        same = ours == theirs if not isinstance(theirs, numpy.void) else ours.tolist() == theirs.tolist()
        return None if same else f"{where}{ours!r} instead of {theirs!r}"
    if isinstance(theirs, numpy.poly1d):
        return difference(mnp.asarray(ours.coeffs), theirs.coeffs, f"{where}coeffs ")
    if isinstance(theirs, numpy.polynomial._polybase.ABCPolyBase):
        return difference(mnp.asarray(ours.coef), theirs.coef, f"{where}coef ")
    if isinstance(theirs, (types.FunctionType, types.BuiltinFunctionType, types.ModuleType, type)):
        return None
    if isinstance(theirs, numpy.ma.core.MaskedConstant):
        return None if ours is theirs else f"{where}{ours!r} instead of masked"
    if isinstance(theirs, numpy.broadcast):
        return difference((ours.shape, ours.nd, ours.numiter), (theirs.shape, theirs.nd, theirs.numiter), where, rules)
    return (
        None if type(ours) is type(theirs) or repr(type(ours)) == repr(type(theirs)) else f"{where}{type(ours)} instead of {type(theirs)}"
    )


def _array_difference(ours: Any, theirs: Any, where: str, rules: Rules) -> str | None:
    if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
        return f"{where}{ours.dtype}{list(ours.shape)} instead of {theirs.dtype}{list(theirs.shape)}"
    value = ours.asnumpy() if isinstance(ours, ValueHandle) else numpy.asarray(ours)
    if value.dtype != theirs.dtype or value.shape != theirs.shape:
        return f"{where}says {ours.dtype}{list(ours.shape)}, holds {value.dtype}{list(value.shape)}"
    if rules.layout and isinstance(theirs, numpy.ndarray) and theirs.size > 1 and ours.strides != theirs.strides:
        long = [k for k, n in enumerate(theirs.shape) if n != 1]
        if [ours.strides[k] for k in long] != [theirs.strides[k] for k in long]:
            return f"{where}strides {ours.strides} instead of {theirs.strides}"
    kind = theirs.dtype.kind
    if kind in "fc":
        precise = max({2: 2e-3, 4: 4e-6}.get(theirs.real.dtype.itemsize, 0.0), rules.precision)
        # bytes first: it takes a tenth of the time
        same = value.tobytes() == theirs.tobytes() or numpy.allclose(value, theirs, precise, precise, equal_nan=True)
    elif kind == "O":
        same = [str(a) for a in value.ravel()] == [str(a) for a in numpy.ravel(theirs)]
    elif kind in "Mm":
        same = numpy.array_equal(value, theirs, equal_nan=True)
    else:
        same = numpy.array_equal(value, theirs)
    return None if same else f"{where}{value.tolist()!r:.150} instead of {theirs.tolist()!r:.150}"


def public_error(error: BaseException) -> type:
    """The first class of an error's that a program can name."""
    return next(c for c in type(error).__mro__ if c in PUBLIC_ERRORS)


def compare(line: str, ours: Outcome, theirs: Outcome) -> str | None:
    """How the outcomes differ, or None."""
    if theirs.error is not None:
        if ours.error is None:
            return f"no error, instead of {type(theirs.error).__name__}: {theirs.error!s:.90} (gave {type(ours.value).__name__})"
        wanted = public_error(theirs.error)
        if isinstance(ours.error, wanted) and (wanted is not Exception or type(ours.error) is type(theirs.error)):
            return None
        return f"{type(ours.error).__name__}: {ours.error!s:.90} instead of {type(theirs.error).__name__}: {theirs.error!s:.90}"
    if ours.error is not None:
        return f"{type(ours.error).__name__}: {ours.error!s:.150} (NumPy gives {type(theirs.value).__name__})"
    try:
        given = [v for v in ours.operands.values() if type(v) is numpy.ndarray]
        mixed = bool(given)
        own = re.search(numpy_calls.FOREIGN, line) is not None or (mixed and not line.startswith("np."))

        def foreign(value: Any) -> bool:
            # what a class of NumPy's hands out, `out=` of NumPy's
            return own or (isinstance(value, numpy.ndarray) and any(numpy.may_share_memory(value, g) for g in given))

        # (f, h: operands of less precision)
        halves = {"f2": 2e-3, "f4": 4e-6}
        taking_part = [v for k, v in theirs.operands.items() if k in numpy_calls.SWEPT or re.search(rf"\b{k}\b", line)]
        precision = max([halves.get(v.dtype.str[1:], 1e-11) for v in taking_part])
        rules = Rules(foreign, not mixed, precision)
        found = difference(ours.value, theirs.value, "", rules)
        for name, value in theirs.operands.items():
            found = found or difference(as_ours(ours.operands[name]), value, f"afterwards {name}: ", rules)
    except Exception as error:
        return f"comparing: {type(error).__name__}: {error}"
    return found


@contextmanager
def in_mode(mode: str) -> Iterator[None]:
    """Run in a mode."""
    active = recorder.current()
    before = active.mode
    active.set_mode(mode)
    try:
        yield
    finally:
        active.set_mode(before)


def check_all(
    lines: list[str],
    make: Callable[[], dict[str, Any]],
    convert: Callable[[dict[str, Any]], dict[str, Any]],
    folder: Path,
    known: Container[str] = numpy_calls.DIFFERENCES,
) -> dict[str, str]:
    """The lines that differ, and how.

    Args:
        make: makes NumPy's operands.
        convert: ours of them.
        known: lines that are left out.
    """
    found: dict[str, str] = {}
    state = numpy.random.get_bit_generator()
    for line in lines:
        if line in known:
            continue
        theirs = evaluate(line, numpy, make(), folder)
        numpy.random.set_bit_generator(state)
        ours = evaluate(line, mnp, convert(make()), folder)
        numpy.random.set_bit_generator(state)
        differs = compare(line, ours, theirs)
        if differs:
            found[line] = differs
    return found


# -- operands of other kinds -------------------------------------------------------------------------------------------------------------
def _with_views(made: dict[str, Any]) -> dict[str, Any]:
    made["t"] = made["x"].T
    return made


def swept(change: Callable[[numpy.ndarray], Any]) -> Callable[[], dict[str, Any]]:
    """Makes operands of which x, y, w and v are changed."""

    def make() -> dict[str, Any]:
        made = numpy_calls.operands()
        for name in numpy_calls.SWEPT:
            made[name] = change(made[name])
        made["t"] = numpy.asarray(made["x"]).T
        return made

    return make


def _as(dtype: str) -> Callable[[numpy.ndarray], numpy.ndarray]:
    return lambda a: numpy.round(a * 3).astype(dtype) if numpy.dtype(dtype).kind in "iub" else a.astype(dtype)


SWEEPS: dict[str, Callable[[], dict[str, Any]]] = {
    "float32": swept(_as("f4")),
    "int64": swept(_as("i8")),
    "int32": swept(_as("i4")),
    "bool": swept(_as("?")),
    "complex128": swept(lambda a: a + 1j * a[::-1]),
    "uint8": swept(lambda a: numpy.abs(numpy.round(a * 3)).astype("u1")),
    "float16": swept(_as("f2")),
    "no dimensions": swept(lambda a: numpy.array(a.flat[0])),
    "no elements": swept(lambda a: numpy.zeros((0, *a.shape[1:]), a.dtype)),
    "one element": swept(lambda a: a[(slice(0, 1),) * a.ndim].copy()),
    "Fortran order": swept(numpy.asfortranarray),
    "object": swept(lambda a: a.astype(object)),
}


def all_ours(operands: dict[str, Any]) -> dict[str, Any]:
    """Every operand as ours, with the views among them."""
    return _with_views({k: to_ours(v) for k, v in operands.items()})


def pending(operands: dict[str, Any]) -> dict[str, Any]:
    """Every operand as ours, numbers as results that nothing has asked for yet."""
    made = {k: to_ours(v) for k, v in operands.items()}
    return _with_views(
        {k: +v if isinstance(v, ValueHandle) and v.dtype.kind in "iufc" and (v.ndim or type(v) is Scalar) else v for k, v in made.items()}
    )


def shown(operands: dict[str, Any]) -> dict[str, Any]:
    """Every operand as a view of an array of ours that is larger, where it can be."""

    def view(value: Any) -> Any:
        if not isinstance(value, numpy.ndarray) or value.ndim == 0 or not value.flags.c_contiguous:
            return to_ours(value)
        wide = numpy.zeros((value.shape[0] + 2, *value.shape[1:]), value.dtype)
        wide[1:-1] = value
        return mnp.array(wide)[1:-1]

    return _with_views({k: view(v) for k, v in operands.items()})


def mixable(line: str, parity: int) -> bool:
    """Whether it says something about us where every second operand is NumPy's: methods of NumPy's arrays are NumPy's affair."""
    owner = re.match(r"\(?([a-zA-Z]\w*)\b[^.(]*\.", line)
    names = list(numpy_calls.operands())
    return owner is None or owner[1] not in names or names.index(owner[1]) % 2 == parity


def mixed(parity: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Every second operand as ours, the others NumPy's."""

    def convert(operands: dict[str, Any]) -> dict[str, Any]:
        return _with_views({k: to_ours(v) if number % 2 == parity else v for number, (k, v) in enumerate(operands.items())})

    return convert


__all__ = [
    "SWEEPS",
    "all_ours",
    "check_all",
    "compare",
    "evaluate",
    "in_mode",
    "mixable",
    "mixed",
    "numpy_calls",
    "pending",
    "shown",
    "swept",
    "to_ours",
]
