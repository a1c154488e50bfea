"""Graphs: a finished piece of program as a plain list of nodes, what passes and the pullback read and write.

A node's operands are positions of earlier nodes. `interpret(graph, rule)` is the one loop that walks a graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

from .op import Op, Params, Ref
from .step import CONSTANT, INPUT, KIND_DTYPES, KIND_TYPES, PROJECT, SCALAR, Step, constant_params
from .types import ArrayType, array_type


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operation of a graph; `site` is the call site that error messages name."""

    op: Op
    operands: tuple[int, ...]
    params: Params
    type: Any
    site: tuple[CodeType, int] | None = None

    def at(self, place: Sequence[int]) -> Node:
        """This node with its operands moved: `place[i]` is where position `i` went."""
        operands = tuple([place[i] for i in self.operands])
        return self if operands == self.operands else Node(self.op, operands, self.params, self.type, self.site)

    def __repr__(self) -> str:
        operands = ", ".join(f"%{i}" for i in self.operands)
        named = ", ".join(f"{k}={v!r}" for k, v in self.op.named(self.params).items())
        return f"{self.op.name}({', '.join(filter(None, (operands, named)))}) : {self.type}"


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Nodes in topological order, and which of them are results.

    Attributes:
        nodes: the nodes.
        inputs: positions of the `input` nodes, in the order in which arrays are supplied.
        scalars: positions of the `scalar` nodes, in the order in which numbers are supplied.
        outputs: positions of the results.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    scalars: tuple[int, ...]
    outputs: tuple[int, ...]

    def rebuilt(self, nodes: Sequence[Node], place: Sequence[int]) -> Graph:
        """A graph of `nodes` with the same inputs and results, given where each old position went."""
        return Graph(
            tuple(nodes),
            tuple([place[i] for i in self.inputs]),
            tuple([place[i] for i in self.scalars]),
            tuple([place[i] for i in self.outputs]),
        )

    def __repr__(self) -> str:
        lines = [f"  %{i} = {node!r}" for i, node in enumerate(self.nodes)]
        return "graph {\n" + "\n".join(lines) + f"\n  return {', '.join(f'%{i}' for i in self.outputs)}\n}}"


def interpret(graph: Graph, rule: Callable[[int, Node, list[Any]], Any]) -> list[Any]:
    """Walk the nodes in order: `rule(position, node, operand values)` gives each node's value; returns the values of all nodes."""
    values: list[Any] = []
    append = values.append
    for position, node in enumerate(graph.nodes):
        append(rule(position, node, [values[i] for i in node.operands]))
    return values


class GraphBuilder:
    """Writes nodes one after another, type-checking each: what gradient rules and rewrites emit into."""

    __slots__ = ("_constants", "nodes", "site")

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.site: tuple[CodeType, int] | None = None
        self._constants: dict[Params, Ref] = {}

    def append(self, node: Node) -> Ref:
        self.nodes.append(node)
        return Ref(self, len(self.nodes) - 1, node.type)

    def constant(self, value: bool | int | float | complex) -> Ref:
        params = constant_params(value)
        found = self._constants.get(params)
        if found is None:
            kind = params[0]
            found = self.append(Node(CONSTANT, (), params, array_type((), KIND_DTYPES[kind], weak=KIND_TYPES[kind]), self.site))
            self._constants[params] = found
        return found

    def emit(self, op: Op, operands: Sequence[Any], params: Params) -> Any:
        refs = [o if type(o) is Ref else self.constant(o) for o in operands]
        types = [r.type for r in refs]
        result = op.infer(*types, **op.named(params)) if op is not PROJECT else op.infer(types[0], params[0])
        ref = self.append(Node(op, tuple(r.slot for r in refs), params, result, self.site))
        if op.outputs == 1 or op is PROJECT:
            return ref
        return tuple(self.emit(PROJECT, (ref,), (k,)) for k in range(op.outputs))


def weak_type(value: Any) -> ArrayType:
    """The type of a Python number."""
    kind = constant_params(value)[0]
    return array_type((), KIND_DTYPES[kind], weak=KIND_TYPES[kind])


def graph_of(end: Step, outputs: tuple[int, ...]) -> Graph:
    """The path that ends at `end` as a graph with these results; a step's slot is its node's position."""
    nodes = tuple([Node(s.op, s.operands, s.params, s.type, s.site) for s in end.path()])
    return Graph(
        nodes,
        tuple([i for i, n in enumerate(nodes) if n.op is INPUT]),
        tuple([i for i, n in enumerate(nodes) if n.op is SCALAR]),
        outputs,
    )
