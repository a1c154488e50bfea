"""Steps: the immutable record of one operation, arranged in a trie so that a repeated program finds itself again.

A step means the same in every iteration because its operands are slots: numbers of earlier steps of the same path. Inputs, Python
numbers and constants are steps too, so one comparison covers everything.
"""

from __future__ import annotations

from types import CodeType
from typing import Any

import numpy as np

from .op import Op, Params, define
from .types import ArrayType


class Step:
    """A node of the trie.

    Attributes:
        op, operands, params, type: what is computed, from which slots.
        a, b: the first two operands (-1 where absent), unpacked for the recorder's comparison.
        index: its slot: the number of steps before it on its path.
        parent, next, children: the trie; `next` is what followed last time.
        low, high: legal values of a Python integer operand (NEP 50 range check), else None.
        nbytes: bytes of all results on the path up to here.
        site: call site of the first recording.
        types: the operands' types.
        memo: what later layers remember about the path that ends here (plans, pullbacks), by key.
    """

    __slots__ = (
        "a",
        "b",
        "children",
        "high",
        "index",
        "low",
        "memo",
        "nbytes",
        "next",
        "op",
        "operands",
        "params",
        "parent",
        "scalar",
        "site",
        "type",
        "types",
    )

    def __init__(
        self,
        op: Op,
        operands: tuple[int, ...],
        params: Params,
        type_: Any,
        parent: Step | None,
        site: tuple[CodeType, int] | None,
        types: tuple[Any, ...] = (),
    ) -> None:
        self.op, self.operands, self.params, self.type, self.types = op, operands, params, type_, types
        self.a = operands[0] if operands else -1
        self.b = operands[1] if len(operands) > 1 else -1
        self.parent = parent
        self.index: int = -1 if parent is None else parent.index + 1
        self.next: Step | None = None
        self.children: dict[Any, Step] | None = None
        self.scalar: bool = getattr(type_, "scalar", False)
        self.low: int | None = None
        self.high: int | None = None
        self.nbytes: int = 0 if parent is None else parent.nbytes + getattr(type_, "nbytes", 0)
        self.site = site
        self.memo: dict[Any, Any] | None = None

    def path(self) -> list[Step]:
        """The steps from the first to this one."""
        steps: list[Step] = []
        step: Step | None = self
        while step is not None and step.index >= 0:
            steps.append(step)
            step = step.parent
        steps.reverse()
        return steps

    def remember(self) -> dict[Any, Any]:
        """`memo`, made on first use."""
        if self.memo is None:
            self.memo = {}
        return self.memo

    def sever(self) -> None:
        """Cut the trie below here into paths: whoever still holds one of its steps keeps those before it alive, and no others."""
        todo = [self]
        while todo:
            step = todo.pop()
            children, step.children, step.next = step.children, None, None
            if children:
                todo.extend(children.values())

    def __repr__(self) -> str:
        operands = ", ".join(f"%{i}" for i in self.operands)
        named = ", ".join(f"{k}={v!r}" for k, v in self.op.named(self.params).items())
        return f"%{self.index} = {self.op.name}({', '.join(filter(None, (operands, named)))}) : {self.type}"


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


class Root(Step):
    """The empty path: where a segment begins."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(INPUT, (), (), None, None, None)
