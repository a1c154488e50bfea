"""The pullback: from steps and the table's vjp rules to more steps. Broadcasting and casts are undone here, once, not in the rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import NoGradientError, locate
from ..trace.op import NO_GRADIENT, TABLE, ZERO_GRADIENT, Op, Params, Ref
from ..trace.recorder import Segment
from ..trace.step import CONSTANT, INPUT, KIND_DTYPES, KIND_TYPES, PROJECT, SCALAR, Step, constant_params
from ..trace.types import ArrayType, array_type

Resolve = Callable[[int], int]


def differentiable(type_: Any) -> bool:
    """Whether values of this type can carry a gradient."""
    return not isinstance(type_, tuple) and type_.dtype.kind in "fc"


class SegmentBuilder:
    """Emits a rule's steps into the open segment. A forward value is a Ref with a negative slot, resolved when a rule uses it:
    only what is used is kept by the tape."""

    __slots__ = ("_constants", "_several", "resolve", "segment")

    def __init__(self, segment: Segment, resolve: Resolve) -> None:
        self.segment, self.resolve = segment, resolve
        self._constants: dict[Params, int] = {}
        # results of ops that have several: the rules of their operands each ask for them
        self._several: dict[tuple[Op, tuple[int, ...], Params], tuple[Any, ...]] = {}

    def slot(self, ref: Ref) -> int:
        """The slot of a Ref in the segment."""
        return ref.slot if ref.slot >= 0 else self.resolve(-ref.slot - 1)

    def forward(self, slot: int, type_: ArrayType) -> Ref:
        """The value of a forward step."""
        return Ref(self, -slot - 1, type_)

    def constant(self, value: Any) -> int:
        params = constant_params(value)
        found = self._constants.get(params)
        if found is None:
            kind = params[0]
            type_ = array_type((), KIND_DTYPES[kind], weak=KIND_TYPES[kind])
            step = self.segment.advance(CONSTANT, (), params, type_)
            if self.segment.recorder.immediate is not None:
                self.segment.recorder.compute(self.segment, step)
            found = self._constants[params] = step.index
        return found

    def emit(self, op: Op, operands: Sequence[Any], params: Params) -> Any:
        slots, types = [], []
        for operand in operands:
            if type(operand) is Ref:
                slots.append(self.slot(operand))
                types.append(operand.type)
            else:
                slots.append(self.constant(operand))
                kind = constant_params(operand)[0]
                types.append(array_type((), KIND_DTYPES[kind], weak=KIND_TYPES[kind]))
        key = (op, tuple(slots), params) if op.outputs > 1 else None
        if key is not None and key in self._several:
            return self._several[key]
        segment = self.segment
        step = segment.advance(op, tuple(slots), params, None, types)
        recorder = segment.recorder
        if recorder.immediate is not None:
            recorder.compute(segment, step)
        if key is None:
            return Ref(self, step.index, step.type)
        found = tuple(self.emit(PROJECT, (Ref(self, step.index, step.type),), (k,)) for k in range(op.outputs))
        self._several[key] = found
        return found


class UsageBuilder:
    """A rehearsal: rules run, nothing is recorded, and `used` is what the pullback will need of the forward steps."""

    __slots__ = ("_next", "used")

    def __init__(self) -> None:
        self.used: set[int] = set()
        self._next = 0

    def forward(self, slot: int, type_: ArrayType) -> Ref:
        return Ref(self, -slot - 1, type_)

    def fresh(self, type_: Any) -> Ref:
        self._next += 1
        return Ref(self, self._next, type_)

    def emit(self, op: Op, operands: Sequence[Any], params: Params) -> Any:
        types = []
        for operand in operands:
            if type(operand) is Ref:
                if operand.slot < 0:
                    self.used.add(-operand.slot - 1)
                types.append(operand.type)
            else:
                kind = constant_params(operand)[0]
                types.append(array_type((), KIND_DTYPES[kind], weak=KIND_TYPES[kind]))
        result = op.infer(types[0], params[0]) if op is PROJECT else op.infer(*types, **op.named(params))
        if isinstance(result, tuple):
            return tuple(self.fresh(t) for t in result)
        return self.fresh(result)


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
