"""Partition a graph into stages: stretches that one MXNet symbol runs, and host steps that go through NumPy.

Which nodes MXNet may take is told by the caller. Contracting each stage to a point leaves the graph acyclic by construction (a node's stage
is never before its operands'), and networkx checks it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import networkx as nx

from ..trace.graph import Graph, Node
from ..trace.step import CONSTANT, INPUT, PROJECT, SCALAR

_LEAVES = (INPUT, SCALAR, CONSTANT)


@dataclass(frozen=True, slots=True)
class Stage:
    """Nodes that run together.

    Attributes:
        native: whether MXNet runs them.
        nodes: positions, in order.
        consumes: positions of values made outside, leaves included.
        produces: positions of values that somebody outside needs.
    """

    native: bool
    nodes: tuple[int, ...]
    consumes: tuple[int, ...]
    produces: tuple[int, ...]


def partition(graph: Graph, native: Callable[[int, Node], bool]) -> tuple[Stage, ...]:
    """The stages in execution order. Leaves belong to none."""
    level: list[int] = []
    for position, node in enumerate(graph.nodes):
        if node.op in _LEAVES:
            level.append(-1)
            continue
        before = [level[i] for i in node.operands]
        if node.op is PROJECT:
            level.append(before[0])
            continue
        # even levels are MXNet's, odd ones the host's
        parity = 0 if native(position, node) else 1
        at = max((b for b in before if b >= 0), default=parity)
        level.append(at if at % 2 == parity else at + 1)
    members: dict[int, list[int]] = {}
    for position, at in enumerate(level):
        if at >= 0:
            members.setdefault(at, []).append(position)
    contracted = nx.DiGraph()
    contracted.add_nodes_from(members)
    consumers: dict[int, set[int]] = {}
    for position, node in enumerate(graph.nodes):
        for i in node.operands:
            if level[i] != level[position]:
                consumers.setdefault(i, set()).add(level[position])
                if level[i] >= 0:
                    contracted.add_edge(level[i], level[position])
    outputs = set(graph.outputs)
    stages = []
    for at in nx.lexicographical_topological_sort(contracted):
        positions = members[at]
        inside = set(positions)
        consumes = sorted({i for p in positions for i in graph.nodes[p].operands if i not in inside})
        produces = sorted(p for p in positions if p in outputs or p in consumers)
        stages.append(Stage(at % 2 == 0, tuple(positions), tuple(consumes), tuple(produces)))
    return tuple(stages)
