"""Exact algebra: a table of rewrite rows, each bit-exact for every input including nan, inf and -0.0.

`x + 0 -> x` is not here (it would keep -0.0), nor is `x * 0 -> 0` (nan, inf). A row applies only where the replacement has the same type,
layout included.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..trace.graph import Graph, Node
from ..trace.op import TABLE, Op, Ref
from ..trace.step import CONSTANT, constant_params, parse_constant

Number = bool | int | float | complex


class Match:
    """A node as the rows see it."""

    __slots__ = ("node", "nodes")

    def __init__(self, nodes: list[Node], node: Node) -> None:
        self.nodes, self.node = nodes, node

    def operand(self, k: int) -> Node:
        """The node of operand `k`."""
        return self.nodes[self.node.operands[k]]

    def fill(self, k: int) -> Number | None:
        """The one value that every element of operand `k` has, if the program says so."""
        return fill_value(self.nodes, self.node.operands[k])

    def param(self, name: str) -> Any:
        """A parameter of the node."""
        return self.node.op.named(self.node.params)[name]


def fill_value(nodes: list[Node], position: int) -> Number | None:
    """The value of an array all of whose elements are equal by construction, else None."""
    node = nodes[position]
    op = node.op
    if op is CONSTANT or op.fill == "literal":
        return parse_constant(*node.params[:2])
    if op.fill is None or node.type.dtype.kind not in "biuf":
        return None
    if op.arity == 0:
        return op.fill
    # ops that only move elements, and `full`: what their operand holds, in this node's dtype
    inner = fill_value(nodes, node.operands[0])
    return None if inner is None else np.asarray(inner).astype(node.type.dtype).item()


# what a row answers: the position that replaces the node, a new node in its place, or None
Answer = int | Node | None


@dataclass(frozen=True, slots=True)
class Row:
    """One rewrite.

    Attributes:
        reading: `pattern -> replacement`, as people write it.
        ops: names of the ops at the pattern's root.
        apply: the rewrite.
        family: a whole family of ops in place of `ops`.
        example: emits the pattern on a float array, for the tests.
    """

    reading: str
    ops: tuple[str, ...]
    apply: Callable[[Match], Answer]
    example: Callable[[Any, Ref], Ref]
    family: str = ""


def _first(m: Match) -> Answer:
    return m.node.operands[0]


def _one_right(m: Match) -> Answer:
    return m.node.operands[0] if m.fill(1) == 1 else None


def _one_left(m: Match) -> Answer:
    return m.node.operands[1] if m.fill(0) == 1 else None


def _minus_zero(m: Match) -> Answer:
    value = m.fill(1)
    return m.node.operands[0] if value == 0 and math.copysign(1.0, float(value)) > 0 else None  # type: ignore[arg-type]


def _plus_negative_zero(m: Match) -> Answer:
    value = m.fill(1)
    return m.node.operands[0] if isinstance(value, float) and value == 0 and math.copysign(1.0, value) < 0 else None


def _involution(m: Match) -> Answer:
    inner = m.operand(0)
    return inner.operands[0] if inner.op is m.node.op else None


def _same_dtype(m: Match) -> Answer:
    return m.node.operands[0] if m.operand(0).type.dtype == m.node.type.dtype else None


def _same_shape(m: Match) -> Answer:
    return m.node.operands[0] if m.operand(0).type.shape == m.node.type.shape else None


def _reshape_twice(m: Match) -> Answer:
    inner = m.operand(0)
    if inner.op is not m.node.op:
        return None
    return Node(m.node.op, (inner.operands[0],), m.node.params, m.node.type, m.node.site)


def _transpose_identity(m: Match) -> Answer:
    return m.node.operands[0] if m.param("axes") == tuple(range(m.node.type.ndim)) else None


def _transpose_twice(m: Match) -> Answer:
    inner = m.operand(0)
    if inner.op is not m.node.op:
        return None
    first = inner.op.named(inner.params)["axes"]
    axes = tuple(first[i] for i in m.param("axes"))
    if axes == tuple(range(len(axes))):
        return inner.operands[0]
    return Node(m.node.op, (inner.operands[0],), (axes,), m.node.type, m.node.site)


def _equal_branches(m: Match) -> Answer:
    return m.node.operands[1] if m.node.operands[1] == m.node.operands[2] else None


def _itself(m: Match) -> Answer:
    return m.node.operands[0] if m.node.operands[0] == m.node.operands[1] else None


def _absorb_broadcast(m: Match) -> Answer:
    if m.node.op.outputs != 1:
        return None
    named = m.node.op.named(m.node.params)
    for k, i in enumerate(m.node.operands):
        inner = m.nodes[i]
        if inner.op.name != "broadcast_to":
            continue
        operands = (*m.node.operands[:k], inner.operands[0], *m.node.operands[k + 1 :])
        if m.node.op.infer(*[m.nodes[j].type for j in operands], **named) is m.node.type:
            return Node(m.node.op, operands, m.node.params, m.node.type, m.node.site)
    return None


def _op(name: str) -> Op:
    return TABLE[name]


ROWS: tuple[Row, ...] = (
    Row("watch(x) -> x", ("watch",), _first, lambda b, x: _op("watch")(x)),
    Row("stop_gradient(x) -> x", ("stop_gradient",), _first, lambda b, x: _op("stop_gradient")(x)),
    Row("+x -> x", ("positive",), _first, lambda b, x: _op("positive")(x)),
    Row("-(-x) -> x", ("negative",), _involution, lambda b, x: _op("negative")(_op("negative")(x))),
    Row("x * 1 -> x", ("multiply",), _one_right, lambda b, x: x * 1.0),
    Row("1 * x -> x", ("multiply",), _one_left, lambda b, x: 1.0 * x),
    Row("x / 1 -> x", ("divide",), _one_right, lambda b, x: x / 1.0),
    Row("x - 0 -> x", ("subtract",), _minus_zero, lambda b, x: x - 0.0),
    Row("x + -0.0 -> x", ("add",), _plus_negative_zero, lambda b, x: x + -0.0),
    Row("maximum(x, x) -> x", ("maximum", "minimum"), _itself, lambda b, x: _op("maximum")(x, x)),
    Row("where(c, x, x) -> x", ("where",), _equal_branches, lambda b, x: _op("where")(x < 0.0, x, x)),
    Row("astype(x, x.dtype) -> x", ("astype",), _same_dtype, lambda b, x: _op("astype")(x, dtype=x.dtype)),
    Row("reshape(x, x.shape) -> x", ("reshape",), _same_shape, lambda b, x: _op("reshape")(x, shape=x.shape)),
    Row("broadcast_to(x, x.shape) -> x", ("broadcast_to",), _same_shape, lambda b, x: _op("broadcast_to")(x, shape=x.shape)),
    Row(
        "f(broadcast_to(x, s), y) -> f(x, y), f element-wise",
        (),
        _absorb_broadcast,
        lambda b, x: _op("broadcast_to")(_op("sum")(x, axis=(0,), keepdims=True, dtype=None), shape=x.shape) * x,
        "elementwise",
    ),
    Row(
        "reshape(reshape(x, s), t) -> reshape(x, t)",
        ("reshape",),
        _reshape_twice,
        lambda b, x: _op("reshape")(_op("reshape")(x, shape=(x.size,)), shape=(1, *x.shape)),
    ),
    Row("transpose(x, identity) -> x", ("transpose",), _transpose_identity, lambda b, x: _op("transpose")(x, axes=tuple(range(x.ndim)))),
    Row(
        "transpose(transpose(x, p), q) -> transpose(x, p[q])",
        ("transpose",),
        _transpose_twice,
        lambda b, x: _op("transpose")(_op("transpose")(x, axes=tuple(reversed(range(x.ndim)))), axes=tuple(reversed(range(x.ndim)))),
    ),
)


def by_op(rows: tuple[Row, ...]) -> dict[str, list[Row]]:
    """The rows by the name of their root op."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        for name in row.ops or [op.name for op in TABLE.values() if op.family == row.family]:
            found.setdefault(name, []).append(row)
    return found


_by_op: dict[str, list[Row]] = {}


def simplify(graph: Graph, table: dict[str, list[Row]] | None = None) -> Graph:
    """Apply the rows wherever they match, in one walk (operands are rewritten before their users)."""
    if not _by_op:
        # at the first use, when the op table is complete
        _by_op.update(by_op(ROWS))
    rows = _by_op if table is None else table
    nodes: list[Node] = []
    place: list[int] = []
    changed = False
    for original in graph.nodes:
        node: Node | int = original.at(place)
        while isinstance(node, Node):
            answer = _rewrite(rows.get(node.op.name, ()), Match(nodes, node))
            if answer is None:
                break
            node, changed = answer, True
        if isinstance(node, Node):
            place.append(len(nodes))
            nodes.append(node)
        else:
            place.append(node)
    return graph.rebuilt(nodes, place) if changed else graph


def _rewrite(rows: Sequence[Row], m: Match) -> Answer:
    """The first row's answer that keeps the type."""
    for row in rows:
        answer = row.apply(m)
        if isinstance(answer, Node):
            types = [m.nodes[i].type for i in answer.operands]
            if answer.op.infer(*types, **answer.op.named(answer.params)) is m.node.type:
                return answer
        elif answer is not None and m.nodes[answer].type is m.node.type:
            return answer
    return None


def fold(graph: Graph) -> Graph:
    """Element-wise ops on arrays of one known value become a literal of the result (computed by the op's own NumPy meaning)."""
    nodes: list[Node] = []
    place: list[int] = []
    changed = False
    for original in graph.nodes:
        node = original.at(place)
        value = _folded(nodes, node)
        if value is not None:
            node, changed = Node(TABLE["literal"], (), (*constant_params(value), node.type), node.type, node.site), True
        place.append(len(nodes))
        nodes.append(node)
    return graph.rebuilt(nodes, place) if changed else graph


def _folded(nodes: list[Node], node: Node) -> Number | None:
    op = node.op
    if op.fill is True:
        return fill_value([*nodes, node], len(nodes))
    if op.family != "elementwise" or op.outputs != 1 or op.operand_dtypes is None or not node.operands:
        return None
    fills = [fill_value(nodes, i) for i in node.operands]
    if any(f is None for f in fills):
        return None
    dtypes = op.operand_dtypes(tuple(nodes[i].type for i in node.operands), op.named(node.params))
    with np.errstate(all="ignore"):
        arrays = [np.asarray(f).astype(d or nodes[i].type.dtype) for f, d, i in zip(fills, dtypes, node.operands, strict=True)]
        result = np.asarray(op.numpy(*arrays, **op.named(node.params))).astype(node.type.dtype)
    value = result.item()
    return value if isinstance(value, (bool, int, float)) else None
