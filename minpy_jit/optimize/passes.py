"""The passes: Graph -> Graph, in one ordered tuple. Each keeps every `input` and `scalar` node, so that arguments stay in order.

With `config.verify` every pass's result is typed again and compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..config import config
from ..trace.graph import Graph, Node, interpret
from ..trace.step import CONSTANT, INPUT, PROJECT, SCALAR
from .algebra import fold, simplify

Pass = Callable[[Graph], Graph]
_LEAVES = (INPUT, SCALAR, CONSTANT)


def eliminate_dead(graph: Graph) -> Graph:
    """Drop nodes that no result needs."""
    nodes = graph.nodes
    alive = bytearray(len(nodes))
    for i in graph.outputs:
        alive[i] = 1
    for i in range(len(nodes) - 1, -1, -1):
        if alive[i]:
            for j in nodes[i].operands:
                alive[j] = 1
        elif nodes[i].op is INPUT or nodes[i].op is SCALAR:
            alive[i] = 1
    if all(alive):
        return graph
    kept: list[Node] = []
    place = [-1] * len(nodes)
    for i, node in enumerate(nodes):
        if alive[i]:
            place[i] = len(kept)
            kept.append(node.at(place))
    return graph.rebuilt(kept, place)


def eliminate_duplicates(graph: Graph) -> Graph:
    """Merge nodes that compute the same from the same operands (random draws are inputs, so nothing random is merged)."""
    seen: dict[Any, int] = {}
    place: list[int] = []
    nodes: list[Node] = []
    for node in graph.nodes:
        node = node.at(place)
        key = None if node.op is INPUT or node.op is SCALAR else (node.op, node.operands, node.params, node.type)
        found = seen.get(key) if key is not None else None
        if found is None:
            found = len(nodes)
            nodes.append(node)
            if key is not None:
                seen[key] = found
        place.append(found)
    return graph.rebuilt(nodes, place) if len(nodes) < len(place) else graph


PASSES: tuple[tuple[str, Pass], ...] = (
    ("eliminate_dead", eliminate_dead),
    ("fold", fold),
    ("exact_algebra", simplify),
    ("eliminate_duplicates", eliminate_duplicates),
    ("eliminate_dead", eliminate_dead),
)


class InvalidGraph(AssertionError):
    """A pass broke the graph."""


def verify(graph: Graph, before: Graph, name: str) -> None:
    """Type every node again; results must be those of the graph before.

    Raises:
        InvalidGraph: naming the pass and the node.
    """

    for position, node in enumerate(graph.nodes):
        if any(not 0 <= i < position for i in node.operands):
            raise InvalidGraph(f"[{name}] %{position} uses a later node: {node!r}")

    def rule(position: int, node: Node, types: list[Any]) -> Any:
        if node.op not in _LEAVES:
            expected = (
                node.op.infer(types[0], node.params[0]) if node.op is PROJECT else node.op.infer(*types, **node.op.named(node.params))
            )
            if expected is not node.type and expected != node.type:
                raise InvalidGraph(f"[{name}] %{position} is {node!r}, but its type rule says {expected}")
        return node.type

    types = interpret(graph, rule)
    for old, new in zip(before.outputs, graph.outputs, strict=True):
        if before.nodes[old].type is not types[new]:
            raise InvalidGraph(f"[{name}] a result changed from {before.nodes[old].type} to {types[new]}")
    if len(graph.inputs) != len(before.inputs) or len(graph.scalars) != len(before.scalars):
        raise InvalidGraph(f"[{name}] an input was dropped")


def optimize(graph: Graph, passes: tuple[tuple[str, Pass], ...] = PASSES) -> Graph:
    """Run the passes in order."""
    for name, run in passes:
        result = run(graph)
        if config.verify and result is not graph:
            verify(result, graph, name)
        graph = result
    return graph
