"""What a plan is made of, for reports: which of its steps are one region, which MXNet's operators run, and which go through NumPy."""

from __future__ import annotations

from dataclasses import dataclass

from ..trace.step import PROJECT
from . import regions
from .lower import is_native
from .run import NativeStage, Plan


@dataclass(frozen=True, slots=True)
class Part:
    """Steps that run together.

    Attributes:
        kind: "region" (one native function), "MXNet" (its operators) or "NumPy" (host steps).
        nodes: positions in the plan's graph.
        outline: of a region: its loops, in words.
    """

    kind: str
    nodes: tuple[int, ...]
    outline: str = ""


def parts(plan: Plan) -> list[Part]:
    """A plan's parts, in the order in which they run."""
    graph = plan.graph
    found = []
    for stage in plan.stages:
        members = stage.stage
        if not isinstance(stage, NativeStage):
            found.append(Part("NumPy", tuple([p for p in members.nodes if graph.nodes[p].op is not PROJECT])))
        elif stage.lowered.code:
            groups = regions.groups_of(graph, members, lambda node: is_native(graph, node))
            codes = iter(stage.lowered.code)
            found += [Part("region", g.nodes, next(codes).outline) if g.region else Part("MXNet", g.nodes) for g in groups]
        else:
            found.append(Part("MXNet", members.nodes))
    return found
