"""The pullback: from steps and the table's vjp rules to more steps. Broadcasting and casts are undone here, once, not in the rules."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from ..errors import NoGradientError, call_site, locate
from ..trace.graph import Graph, GraphBuilder, Node
from ..trace.op import NO_GRADIENT, TABLE, ZERO_GRADIENT, Op, Params, Ref
from ..trace.recorder import Segment, infer
from ..trace.step import CONSTANT, INPUT, PROJECT, SCALAR, Step
from ..trace.types import ArrayType


def differentiable(type_: Any) -> bool:
    """Whether values of this type can carry a gradient."""
    return not isinstance(type_, tuple) and type_.dtype.kind in "fc"


class PullbackBuilder(GraphBuilder):
    """Writes a pullback as nodes of their own. A forward value is a Ref with a negative slot, and becomes a leaf when a rule uses it:
    only what is used is kept by the tape.

    Attributes:
        forwards: slot of a forward step -> its leaf.
    """

    __slots__ = ("_path", "_repeated", "_repeats", "_several", "forwards")

    def __init__(self, path: Sequence[Step], repeated: Collection[int] = ()) -> None:
        """`repeated`: slots of forward steps that are computed again where they are used."""
        super().__init__()
        self.site = call_site()
        self.forwards: dict[int, int] = {}
        self._path, self._repeated = path, repeated
        self._repeats: dict[int, int] = {}
        # results of ops that have several: the rules of their operands each ask for them
        self._several: dict[tuple[Op, tuple[int, ...], Params], tuple[Any, ...]] = {}

    def leaf(self, type_: ArrayType) -> Ref:
        """A value that is handed in."""
        return self.append(Node(INPUT, (), (), type_, self.site))

    def forward(self, slot: int, type_: ArrayType) -> Ref:
        """The value of a forward step."""
        return Ref(self, -slot - 1, type_)

    def position(self, ref: Ref) -> int:
        """The node that a Ref stands for."""
        if ref.slot >= 0:
            return ref.slot
        slot = -ref.slot - 1
        found = self._known(slot)
        return self._enter(slot) if found is None else found

    def _known(self, slot: int) -> int | None:
        return self.forwards.get(slot, self._repeats.get(slot))

    def _enter(self, slot: int) -> int:
        """Write a forward step: as a leaf, or again."""
        path = self._path
        todo, missing = [slot], set()
        while todo:
            i = todo.pop()
            if i not in missing and self._known(i) is None:
                missing.add(i)
                if i in self._repeated:
                    todo.extend(path[i].operands)
        at = -1
        for i in sorted(missing):
            step = path[i]
            at = len(self.nodes)
            if step.op is CONSTANT or i in self._repeated:
                operands = [self._known(k) for k in step.operands]
                self.append(Node(step.op, tuple([k for k in operands if k is not None]), step.params, step.type, step.site))
                self._repeats[i] = at
            else:
                leaf = SCALAR if step.op is SCALAR else INPUT
                self.append(Node(leaf, (), step.params if leaf is SCALAR else (), step.type, self.site))
                self.forwards[i] = at
        return at

    def emit(self, op: Op, operands: Sequence[Any], params: Params) -> Any:
        places = tuple([self.position(o) if type(o) is Ref else self.constant(o).slot for o in operands])
        key = (op, places, params) if op.outputs > 1 else None
        if key is not None and key in self._several:
            return self._several[key]
        ref = self.append(Node(op, places, params, infer(op, [self.nodes[i].type for i in places], params), self.site))
        if key is None:
            return ref
        found = self._several[key] = tuple([self.emit(PROJECT, (ref,), (k,)) for k in range(op.outputs)])
        return found

    def graph(self, outputs: Sequence[int]) -> Graph:
        """What was written, as a graph; its leaves are the inputs and numbers, in the order in which they were written."""
        nodes = tuple(self.nodes)
        inputs = tuple([i for i, n in enumerate(nodes) if n.op is INPUT])
        return Graph(nodes, inputs, tuple([i for i, n in enumerate(nodes) if n.op is SCALAR]), tuple(outputs))


def record_nodes(segment: Segment, nodes: Sequence[Node], place: dict[int, int]) -> list[Step]:
    """Append nodes to the open segment; returns the steps.

    Args:
        place: node -> slot, of the leaves; of all nodes afterwards.
    """
    recorder = segment.recorder
    steps = []
    for position, node in enumerate(nodes):
        if position in place:
            continue
        if node.op is CONSTANT:
            step = segment.advance(CONSTANT, (), node.params, node.type)
        else:
            operands = tuple([place[i] for i in node.operands])
            step = segment.advance(node.op, operands, node.params, None, [nodes[i].type for i in node.operands])
        if recorder.immediate is not None:
            recorder.compute(segment, step)
        place[position] = step.index
        steps.append(step)
    return steps


def unbroadcast(g: Ref, type_: ArrayType) -> Ref:
    """A contribution in the shape and dtype of the operand that it belongs to."""
    if g.type.weak is not None or (0 < g.type.size < type_.size and g.ndim <= type_.ndim):
        g = TABLE["broadcast_to"](TABLE["astype"](g, dtype=type_.dtype), shape=type_.shape)
    if g.shape != type_.shape:
        extra = g.ndim - type_.ndim
        axes = tuple(range(extra)) + tuple(i + extra for i, n in enumerate(type_.shape) if n == 1 and g.shape[i + extra] != 1)
        if axes:
            g = TABLE["sum"](g, axis=axes, keepdims=False, dtype=None)
        if g.shape != type_.shape:
            g = TABLE["reshape" if g.type.size == type_.size else "broadcast_to"](g, shape=type_.shape)
    if g.dtype != type_.dtype:
        if g.dtype.kind == "c" and type_.dtype.kind != "c":
            g = TABLE["real"](g)
        if g.dtype != type_.dtype:
            g = TABLE["astype"](g, dtype=type_.dtype)
    return g


def active_slots(path: Sequence[Step], start: int, stop: int, entries: set[int]) -> set[int]:
    """Slots of steps in (start, stop] through which a gradient can flow to one of `entries`, these included."""
    active = set(entries)
    for step in path[start + 1 : stop + 1]:
        if step.op is INPUT or step.op is SCALAR or step.op is CONSTANT or step.index in active:
            continue
        if step.op.vjp is ZERO_GRADIENT:
            continue
        if any(i in active for i in step.operands) and (isinstance(step.type, tuple) or differentiable(step.type)):
            active.add(step.index)
    return active


def apply_rules(builder: Any, path: Sequence[Step], step: Step, g: Any, active: set[int], add: Callable[[int, Ref], None]) -> None:
    """Apply the rules of one step: `add(slot, contribution)` for each operand that the gradient flows to.

    Raises:
        NoGradientError: the op has no rule for such an operand.
    """
    op = step.op
    if op is PROJECT:
        return
    vjp = op.vjp
    if vjp is ZERO_GRADIENT:
        return
    wanted = [
        k
        for k, i in enumerate(step.operands)
        if i in active and (isinstance(path[i].type, tuple) or differentiable(path[i].type)) and path[i].type.weak is None
    ]
    if not wanted:
        return
    if vjp is NO_GRADIENT:
        raise no_gradient(step, wanted[0])
    operands = [builder.forward(i, path[i].type) for i in step.operands]
    if op.outputs > 1:
        ans: Any = tuple(_projections(builder, path, step))
    else:
        ans = builder.forward(step.index, step.type)
    named = op.named(step.params)
    for k in wanted:
        if callable(vjp):
            contribution = vjp(g, ans, operands, k, **named)
        else:
            rule = vjp[k]
            if rule is NO_GRADIENT:
                raise no_gradient(step, k)
            contribution = None if rule is None or rule is ZERO_GRADIENT else rule(g, ans, *operands, **named)
        if contribution is not None:
            slot = step.operands[k]
            add(slot, unbroadcast(contribution, path[slot].type))


def _projections(builder: Any, path: Sequence[Step], step: Step) -> list[Ref | None]:
    """The results of a step with several, as Refs."""
    found: list[Ref | None] = [None] * step.op.outputs
    for later in path[step.index + 1 : step.index + 1 + step.op.outputs]:
        if later.op is PROJECT and later.operands[0] == step.index:
            found[later.params[0]] = builder.forward(later.index, later.type)
    return found


def no_gradient(step: Step, argument: int) -> NoGradientError:
    """The error for a missing rule."""
    return NoGradientError(
        f"[{step.op.name}] has no gradient for argument {argument} (recorded at {locate(step.site)}); "
        "wrap the value in stop_gradient(), or give the function a rule with custom_vjp"
    )
