"""Steps: the immutable record of one operation, arranged in a trie so that a repeated program finds itself again.

A step means the same in every iteration because its operands are slots: numbers of earlier steps of the same path. Inputs, Python
numbers and constants are steps too, so one comparison covers everything.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .op import define
from .replay import Step, set_leaves
from .types import ArrayType


def _no_infer(*types: ArrayType, **params: Any) -> ArrayType:
    raise AssertionError("the recorder types this step")


INPUT = define(
    "input",
    family="meta",
    arity=0,
    infer=_no_infer,
    numpy=_no_infer,
    vjp=(),
    doc="an array that existed before the segment",
)
SCALAR = define(
    "scalar",
    family="meta",
    arity=0,
    params=("kind",),
    infer=_no_infer,
    numpy=_no_infer,
    vjp=(),
    doc="a Python number: its kind is part of the step, its value an input",
)
set_leaves(SCALAR, INPUT)
CONSTANT = define(
    "constant",
    family="meta",
    arity=0,
    params=("kind", "text"),
    infer=_no_infer,
    numpy=lambda kind, text: np.asarray(parse_constant(kind, text)),
    vjp=(),
    doc="a Python number that is part of the program (written by a gradient rule or a fold)",
)
PROJECT = define(
    "project",
    family="meta",
    arity=1,
    params=("output",),
    infer=lambda types, output: types[output],
    numpy=lambda results, output: results[output],
    vjp=(lambda g, ans, x, output: g,),
    doc="one of the results of an op that has several",
)

KINDS: dict[type, str] = {bool: "b", int: "i", float: "f", complex: "c"}
_PARSERS: dict[str, Any] = {"b": lambda t: t == "True", "i": int, "f": float.fromhex, "c": complex}
KIND_TYPES: dict[str, type] = {"b": bool, "i": int, "f": float, "c": complex}
KIND_DTYPES: dict[str, np.dtype] = {
    "b": np.dtype(np.bool_),
    "i": np.dtype(np.int64),
    "f": np.dtype(np.float64),
    "c": np.dtype(np.complex128),
}


def constant_params(value: bool | int | float | complex) -> tuple[str, str]:
    """(kind, text) of a Python number: comparable bit for bit (nan equals nan, -0.0 differs from 0.0)."""
    kind = KINDS[type(value)]
    return kind, value.hex() if isinstance(value, float) else repr(value)


def parse_constant(kind: str, text: str) -> bool | int | float | complex:
    """The number that `constant_params` wrote."""
    return _PARSERS[kind](text)


def empty_path() -> Step:
    """A root of the trie: where a segment begins."""
    return Step(INPUT, (), (), None, None, None)
