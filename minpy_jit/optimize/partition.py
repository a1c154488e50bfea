"""Partition a graph into stages: stretches that one MXNet symbol runs, and host steps that go through NumPy.

Which nodes MXNet may take is told by the caller. Contracting each stage to a point leaves the graph acyclic by construction (a node's stage
is never before its operands'), and networkx checks it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import networkx as nx

from ..trace.context import CPU, Context
from ..trace.graph import Graph, Node
from ..trace.step import CONSTANT, INPUT, PROJECT, SCALAR

_LEAVES = (INPUT, SCALAR, CONSTANT)
# what stages are told apart by: level, device type, device id
Place = tuple[int, str, int]


@dataclass(frozen=True, slots=True)
class Stage:
    """Nodes that run together.

    Attributes:
        native: whether MXNet runs them (on one context; host steps may belong to several).
        nodes: positions, in order.
        consumes: positions of values made outside, leaves included.
        produces: positions of values that somebody outside needs.
        context: where MXNet runs them.
    """

    native: bool
    nodes: tuple[int, ...]
    consumes: tuple[int, ...]
    produces: tuple[int, ...]
    context: Context = CPU


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
    # values come from one context to another through host steps, so what is on one level is independent
    places = [_place(at, node) for at, node in zip(level, graph.nodes, strict=True)]
    members: dict[Place, list[int]] = {}
    for position, place in enumerate(places):
        if place[0] >= 0:
            members.setdefault(place, []).append(position)
    contracted = nx.DiGraph()
    contracted.add_nodes_from(members)
    consumers: dict[int, set[Place]] = {}
    for position, node in enumerate(graph.nodes):
        for i in node.operands:
            if places[i] != places[position]:
                consumers.setdefault(i, set()).add(places[position])
                if level[i] >= 0:
                    contracted.add_edge(places[i], places[position])
    outputs = set(graph.outputs)
    stages = []
    for at in nx.lexicographical_topological_sort(contracted):
        positions = members[at]
        inside = set(positions)
        consumes = sorted({i for p in positions for i in graph.nodes[p].operands if i not in inside})
        produces = sorted(p for p in positions if p in outputs or p in consumers)
        context = Context(*at[1:]) if at[0] % 2 == 0 else CPU
        stages.append(Stage(at[0] % 2 == 0, tuple(positions), tuple(consumes), tuple(produces), context))
    return tuple(stages)


def _place(level: int, node: Node) -> Place:
    """The stage of a node: its level, and for what MXNet runs the context."""
    if level < 0 or level % 2:
        return level, "", 0
    context = (node.type[0] if isinstance(node.type, tuple) else node.type).context
    return level, context.device_type, context.device_id
