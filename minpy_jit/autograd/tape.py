"""The tape: which recorded steps lie between an argument and a result, and the values of them that rules will need.

While everything is in one segment the tape holds nothing: the path itself is the record, and the pullback of a path seen before is a jump
in the trie. A flush in the middle makes the tape keep what the rules use, as far as it is dear: additions and the like are computed again
in the pullback's own loops, from what came in. What a path needs, and its pullback, are found out once. Opaque pieces (fallbacks, custom
rules, checkpoints) are portions of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..errors import NoGradientError
from ..exec import regions
from ..trace import recorder as recorder_module
from ..trace.context import DeviceValue
from ..trace.graph import Graph, Node
from ..trace.handle import Handle, clone, constructors, new
from ..trace.op import TABLE, Ref
from ..trace.recorder import Recorder, Segment, pending_twin, run_lock
from ..trace.replay import unary
from ..trace.step import CONSTANT, INPUT, PROJECT, SCALAR, Step
from ..trace.types import ArrayType
from .pullback import PullbackBuilder, active_slots, apply_rules, differentiable, record_nodes

_watch = unary(TABLE["watch"])
# a value's place: (identity of its segment, slot)
Place = tuple[int, int]
# by identity of the segment, and slot
Cotangents = dict[int, dict[int, Handle]]


class Range:
    """Steps `start < index <= stop` of one segment.

    Attributes:
        end: the step at `stop`.
        entries: slots at which tracked values come in: `watch` steps, inputs, results of opaque portions.
        origins: for an input slot, the place where that value was made earlier on this tape.
        facts: what is known about the segment's ranges, once no more are added.
        residuals: slot -> value, once the segment has run (only what rules use).
    """

    __slots__ = ("end", "entries", "facts", "origins", "residuals", "segment", "start", "stop")

    def __init__(self, segment: Segment, start: int) -> None:
        self.segment, self.start = segment, start
        self.stop: int | None = None
        self.end: Step | None = None
        self.entries: set[int] = set()
        self.origins: dict[int, Place] = {}
        self.facts: Facts | None = None
        self.residuals: dict[int, Any] | None = None

    def close(self) -> None:
        """No step recorded later belongs to this range."""
        if self.stop is None:
            self.end = self.segment.cursor
            self.stop = self.end.index


class Leaves(NamedTuple):
    """A path, and where values come into it: slots of its inputs, and of its numbers, in order."""

    path: list[Step]
    inputs: tuple[int, ...]
    numbers: tuple[int, ...]


def leaves_of(end: Step) -> Leaves:
    """The path that ends here; remembered."""
    found: Leaves | None = end.remember().get("leaves")
    if found is None:
        path = end.path()
        inputs = tuple([s.index for s in path if s.op is INPUT])
        found = end.remember()["leaves"] = Leaves(path, inputs, tuple([s.index for s in path if s.op is SCALAR]))
    return found


@dataclass(slots=True, eq=False)
class Facts:
    """What there is to know about a tape's ranges on one path: found out once, and remembered by the path's last step.

    Attributes:
        active: slots through which a gradient can flow.
        fused: whether the pullbacks run in native loops.
        stored: those whose values the pullbacks need, and that must be computed when the segment runs.
        repeated: those that the pullbacks compute again, from inputs and what is stored.
        pullbacks: of each range, as they were written.
    """

    end: Step
    path: list[Step]
    active: set[int]
    fused: bool
    stored: frozenset[int] | None = None
    repeated: frozenset[int] = frozenset()
    pullbacks: dict[Any, Pullback] = field(default_factory=dict)

    def choose(self, ranges: Sequence[Range]) -> None:
        """Find out what the pullbacks need of the forward steps: what is stored, and what is cheaper to compute again."""
        used = self._used(ranges)
        if not self.fused:
            self.stored = used
            return
        stored, repeated, ready = set(), set(), set()
        path = self.path
        for step in path[: max(used, default=-1) + 1]:
            if step.op is INPUT or step.op is SCALAR or step.op is CONSTANT:
                ready.add(step.index)
            elif ready.issuperset(step.operands) and regions.is_cheap(step.op, [path[i].type for i in step.operands], step.type):
                ready.add(step.index)
                repeated.add(step.index)
            elif step.index in used:
                ready.add(step.index)
                stored.add(step.index)
        self.stored, self.repeated = frozenset(stored), frozenset(repeated)

    def _used(self, ranges: Sequence[Range]) -> frozenset[int]:
        """The slots whose values the rules use."""
        path, active = self.path, self.active
        builder = PullbackBuilder(path)

        def add(slot: int, contribution: Ref) -> None:
            builder.position(contribution)

        for r in ranges:
            assert r.stop is not None
            for step in path[r.start + 1 : r.stop + 1]:
                if step.index not in active or step.index in r.entries:
                    continue
                types = step.type if isinstance(step.type, tuple) else None
                g: Any = builder.leaf(step.type) if types is None else tuple([builder.leaf(t) for t in types])
                # a missing rule is the pullback's error, if it is ever called, not that of whoever looks at a value
                with suppress(NoGradientError):
                    apply_rules(builder, path, step, g, active, add)
        # numbers are kept by value, not as results
        return frozenset([i for i in builder.forwards if not isinstance(path[i].type, tuple) and path[i].type.weak is None])


@dataclass(slots=True, eq=False)
class Pullback:
    """The pullback of a range: nodes to be recorded.

    Attributes:
        cotangents: of which slots, each with its leaf.
        forwards: forward slots whose values are used, each with its leaf.
        results: slots whose cotangents these are now: node, type, and whether it is what was handed in.
    """

    nodes: list[Node]
    cotangents: list[tuple[int, int]]
    forwards: list[tuple[int, int]]
    results: list[tuple[int, int, ArrayType, bool]]


class Opaque:
    """A portion whose rule is a function: a fallback, a custom_vjp, a checkpoint.

    Attributes:
        origins: places of the inputs, None where no gradient flows.
        results: places of the results, likewise.
        pullback: cotangents of the results (None where zero) -> cotangents of the inputs (None where zero).
    """

    __slots__ = ("origins", "pullback", "results")

    def __init__(self, origins: list[Place | None], pullback: Callable[[list[Handle | None]], Sequence[Handle | None]]) -> None:
        self.origins, self.pullback = origins, pullback
        self.results: list[Place | None] = []


class Target(NamedTuple):
    """An argument to differentiate by: where its value was made, and what its gradient looks like."""

    place: Place
    cls: type[Handle]
    type: ArrayType


@dataclass(slots=True, eq=False)
class Jump:
    """A pullback that was recorded at a place of the trie: where it ends, and its results. Met again, its steps are passed over.

    Attributes:
        steps, graph, leaves, run: in the immediate modes, its steps, the same as a graph, the slots of that one's leaves by position, and
            the compiled graph, once it is needed.
    """

    last: Step
    slots: list[int]
    types: list[ArrayType]
    steps: list[Step] = field(default_factory=list)
    graph: Graph | None = None
    leaves: dict[int, int] = field(default_factory=dict)
    run: recorder_module.Compiled | None = None


class Tape:
    """One differentiation in progress; active between `watch` and the end of the forward function."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        # segments begun later are recorded entirely while this tape is active
        self.began = recorder.segment.serial
        self.portions: list[Range | Opaque] = []
        # materialised values on the way: identity -> (value, place); the reference keeps the identity unique
        self.tracked: dict[int, tuple[Any, Place]] = {}
        # by identity of their segments, which they keep alive while places name them
        self.ranges: dict[int, list[Range]] = {}
        self.closed = False
        # whether the pullback will run in native loops (in the immediate modes, where it does not, all values are there)
        self.fused = recorder.immediate is None and regions.enabled()

    def close(self) -> None:
        """The forward function is done: nothing recorded later belongs to this tape."""
        self.closed = True
        for portion in self.portions:
            if isinstance(portion, Range):
                portion.close()

    def waiting(self) -> bool:
        """Whether a flush to come may concern this tape."""
        return any(isinstance(p, Range) and p.residuals is None for p in self.portions)

    # -- forward -------------------------------------------------------------------------------------------------------------------
    def open_range(self) -> Range:
        """The range that steps are being recorded into."""
        segment = self.recorder.segment
        last = self.portions[-1] if self.portions else None
        if isinstance(last, Range) and last.segment is segment and last.stop is None:
            return last
        if isinstance(last, Range):
            last.close()
        return self._add_range(segment, segment.cursor.index if id(segment) in self.ranges or not self.portions else -1)

    def _add_range(self, segment: Segment, start: int) -> Range:
        added = Range(segment, start)
        self.ranges.setdefault(id(segment), []).append(added)
        self.portions.append(added)
        return added

    def watch(self, value: Handle) -> tuple[Handle, Target]:
        """A handle on the value under a new identity (what the function gets as its argument), and the place to differentiate by."""
        self.recorder.segment.use(value)
        opened = self.open_range()
        watched: Handle = _watch(value)
        if watched.segment is not opened.segment:
            # the segment was cut at this very step
            opened = self.open_range()
        if watched.memory is not None:
            watched.memory = watched.memory.view()
            opened.segment.values[watched.index] = watched.memory
            self.tracked[id(watched.memory)] = (watched.memory, (id(opened.segment), watched.index))
        opened.entries.add(watched.index)
        return watched, Target((id(opened.segment), watched.index), type(watched), watched.type)

    def watches(self, data: Any) -> bool:
        """Whether a gradient may flow to this materialised value."""
        return id(data) in self.tracked

    def place_of(self, handle: Handle) -> Place | None:
        """Where a value was made, if a gradient can flow there."""
        alias = handle.alias
        segment = self.recorder.segment
        if alias is not None and alias.base is not None:
            place = (id(segment), segment.use(handle))
        elif handle.segment is segment or handle.memory is None:
            place = (id(handle.segment), handle.index)
        else:
            found = self.tracked.get(id(handle.memory))
            return None if found is None else found[1]
        return place if self._is_active(place) else None

    def _is_active(self, place: Place) -> bool:
        segment_id, slot = place
        ranges = self.ranges.get(segment_id)
        if ranges is None:
            if id(self.recorder.segment) != segment_id:
                return False
            ranges = [self.open_range()]
        facts = ranges[0].facts
        if facts is not None:
            return slot in facts.active
        path = ranges[0].segment.cursor.path()
        self._enter_inputs(ranges, [s.index for s in path if s.op is INPUT])
        return slot in _active(path, ranges)

    def _facts(self, ranges: Sequence[Range], end: Step) -> Facts:
        """What is known about all ranges of a segment, which are closed, on the path to `end`."""
        leaves = leaves_of(end)
        self._enter_inputs(ranges, leaves.inputs)
        key = ("facts", self.fused, *[(r.start, r.stop, frozenset(r.entries)) for r in ranges])
        found: Facts | None = end.remember().get(key)
        if found is None:
            found = end.remember()[key] = Facts(end, leaves.path, _active(leaves.path, ranges), self.fused)
        for r in ranges:
            r.facts = found
        return found

    def _enter_inputs(self, ranges: Sequence[Range], inputs: Iterable[int]) -> None:
        """Note at which inputs of the ranges' segment tracked values come in."""
        if not self.tracked:
            return
        segment = ranges[0].segment
        for slot, value in zip(inputs, segment.inputs, strict=False):
            data = value.memory if isinstance(value, Handle) else value
            found = None if data is None else self.tracked.get(id(data))
            if found is not None and found[1] != (id(segment), slot):
                # the range that it lies in: the sweep stops at a range's own entries
                within = next((r for r in reversed(ranges) if r.start < slot), ranges[0])
                within.entries.add(slot)
                within.origins[slot] = found[1]

    # -- recorder's hooks ------------------------------------------------------------------------------------------------------------
    def required(self, segment: Segment) -> Iterable[int]:
        """Slots whose values the pullback needs and that would otherwise be dropped at this flush."""
        ranges = self.ranges.get(id(segment))
        if ranges is None:
            if self.closed or segment.cursor.index < 0 or not self.portions or segment.serial <= self.began:
                return ()
            last = self.portions[-1]
            if isinstance(last, Range):
                last.close()
            ranges = [self._add_range(segment, -1)]
        for r in ranges:
            r.close()
        facts = self._facts(ranges, segment.cursor)
        if facts.stored is None:
            facts.choose(ranges)
        return facts.stored or ()

    def flushed(self, segment: Segment, values: dict[int, Any]) -> None:
        """Keep the residuals; follow the tracked results by identity from here on."""
        ranges = self.ranges.get(id(segment))
        if ranges is None:
            return
        facts = ranges[0].facts
        if facts is None or facts.end is not segment.cursor:
            facts = self._facts(ranges, segment.cursor)
        leaves = leaves_of(facts.end)
        path, active = leaves.path, facts.active
        by_index: dict[int, Any] = dict(zip(leaves.inputs, segment.inputs, strict=False))
        by_index.update(zip(leaves.numbers, segment.scalars, strict=False))
        seen: set[int] = {id(v) for v in segment.inputs}
        for slot, value in values.items():
            if path[slot].op is INPUT:
                # the very array that came in: by its identity an outer tape knows it
                values[slot] = by_index[slot]
                continue
            if not isinstance(value, (np.ndarray, DeviceValue)):
                # a Python number, which no gradient flows to: the same object may stand in several places
                continue
            if id(value) in seen or id(value) in self.tracked:
                # the same memory under two meanings (an identity step, a constant for gradients): tell them apart
                value = values[slot] = value.view()
            seen.add(id(value))
            if slot in active:
                self.tracked[id(value)] = (value, (id(segment), slot))
        by_index.update(values)
        for r in ranges:
            r.residuals = by_index

    # -- opaque portions -------------------------------------------------------------------------------------------------------------
    def opaque(
        self, inputs: Sequence[Handle], results: Sequence[Handle], pullback: Callable[[list[Handle | None]], Sequence[Handle | None]]
    ) -> None:
        """Enter a portion with a rule of its own; `results` must be values made under no other rule."""
        origins = [self.place_of(h) for h in inputs]
        if all(o is None for o in origins):
            return
        before = self.portions[-1] if self.portions else None
        if isinstance(before, Range):
            before.close()
        portion = Opaque(origins, pullback)
        self.portions.append(portion)
        if isinstance(before, Range) and before.segment is self.recorder.segment:
            # what this segment records from here on comes after the portion
            self.open_range()
        for result in results:
            portion.results.append(self._place_result(result) if differentiable(result.type) else None)

    def _place_result(self, result: Handle) -> Place:
        if result.memory is not None:
            if id(result.memory) in self.tracked:
                result.memory = result.memory.view()
            place = (-id(result.memory), 0)
            self.tracked[id(result.memory)] = (result.memory, place)
            return place
        # pending: a new identity in the open segment
        opened = self.open_range()
        place = (id(opened.segment), result.index)
        opened.start = max(opened.start, result.index)
        opened.entries.add(result.index)
        return place

    # -- backward --------------------------------------------------------------------------------------------------------------------
    def backward(self, seeds: Sequence[tuple[Handle, Handle | None]], targets: Sequence[Target]) -> list[Handle]:
        """Gradients at `targets` of the sum of <result, cotangent>; a cotangent of None means ones."""
        if self.portions and isinstance(self.portions[-1], Range):
            self.portions[-1].close()
        if self._is_simple(seeds, targets):
            return self._jump(self.portions[0], [h.index for h, _ in seeds], [t.place[1] for t in targets], targets)  # type: ignore[arg-type]
        places = [(self.place_of(h), g) for h, g in seeds]
        self.close()
        cotangents: Cotangents = {}
        for (place, g), (result, _) in zip(places, seeds, strict=True):
            if place is None:
                continue
            seed = g if g is not None else ones_like(result)
            self._accumulate(cotangents, place, seed)
        for number in range(len(self.portions) - 1, -1, -1):
            portion = self.portions[number]
            if isinstance(portion, Range):
                self._pull_range(portion, cotangents)
            else:
                self._pull_opaque(portion, cotangents)
        found = [cotangents.get(t.place[0], {}).get(t.place[1]) for t in targets]
        return [zeros_of(t.type) if g is None else laid_out(g, t.type) for g, t in zip(found, targets, strict=True)]

    @staticmethod
    def _accumulate(cotangents: Cotangents, place: Place, g: Handle) -> None:
        of_segment = cotangents.setdefault(place[0], {})
        before = of_segment.get(place[1])
        of_segment[place[1]] = g if before is None else TABLE["add"](before, g)

    def _is_simple(self, seeds: Sequence[tuple[Handle, Handle | None]], targets: Sequence[Target]) -> bool:
        """Whether everything lies in the open segment and the cotangents are ones."""
        recorder = self.recorder
        if len(self.portions) != 1:
            return False
        portion = self.portions[0]
        if not isinstance(portion, Range) or portion.segment is not recorder.segment:
            return False
        here = portion.segment
        for h, g in seeds:
            if g is not None or h.segment is not here or (h.memory is not None and recorder.immediate is None):
                return False
        place = id(here)
        return all(t.place[0] == place for t in targets)

    def _jump(self, r: Range, results: list[int], goals: list[int], targets: Sequence[Target]) -> list[Handle]:
        """Emit the pullback's steps once; later, move the cursor past them: the pullback of a replayed forward is itself replayed."""
        recorder, segment = self.recorder, r.segment
        end = segment.cursor
        key = ("pullback", r.start, tuple(results), tuple(goals))
        known: Jump | None = end.remember().get(key)
        if known is not None and segment.cursor is end:
            # no call lies between: what a signal handler records comes before or after
            segment.cursor = known.last
            if recorder.immediate is not None:
                self._compute(segment, known)
        else:
            path = end.path()
            self._enter_inputs([r], [s.index for s in path if s.op is INPUT])
            active = _active(path, [r])
            builder = PullbackBuilder(path)
            cot: dict[int, Ref] = {}
            for slot in results:
                if slot in active:
                    type_ = path[slot].type
                    one = builder.emit(TABLE["ones"], (), (type_.shape, type_.dtype, type_.context))
                    cot[slot] = one if slot not in cot else cot[slot] + one
            pull(builder, path, r, active, cot)
            found = []
            for goal, target in zip(goals, targets, strict=True):
                g = cot.get(goal)
                if g is None:
                    g = builder.emit(TABLE["zeros"], (), (target.type.shape, target.type.dtype, target.type.context))
                found.append(g)
            outputs = [builder.position(g) for g in found]
            leaves = {at: slot for slot, at in builder.forwards.items()}
            place = dict(leaves)
            steps = record_nodes(segment, builder.nodes, place)
            known = Jump(segment.cursor, [place[at] for at in outputs], [g.type for g in found])
            if recorder.immediate is not None:
                known.steps, known.graph, known.leaves = steps, builder.graph(outputs), leaves
            if known.last.index - end.index == len(steps):
                # (more: a signal handler came in its middle)
                end.remember()[key] = known
        return [adopt(recorder, segment, slot, type_, t) for slot, type_, t in zip(known.slots, known.types, targets, strict=True)]

    def _compute(self, segment: Segment, jump: Jump) -> None:
        """Immediate modes: run a pullback seen before. Eager runs it as one MXNet graph, as MXNet's own autograd does."""
        recorder = self.recorder
        if recorder.mode != "eager" or recorder.tapes:
            for step in jump.steps:
                recorder.compute(segment, step)
            return
        assert jump.graph is not None
        if jump.run is None:
            jump.run = recorder_module.compile_graph(jump.graph)
        values, leaves = segment.values, jump.leaves
        with run_lock:
            found = jump.run([values[leaves[i]] for i in jump.graph.inputs], [values[leaves[i]] for i in jump.graph.scalars])
        values.update(zip(jump.slots, found, strict=True))

    def _pull_range(self, r: Range, cotangents: Cotangents) -> None:
        """One range: its pullback's steps in the open segment, residuals as inputs where its own segment has run."""
        here = id(r.segment)
        of_segment = cotangents.get(here)
        if of_segment is None:
            return
        facts = r.facts
        if facts is None:
            ranges = self.ranges[here]
            facts = self._facts(ranges, ranges[-1].end or ranges[-1].segment.cursor)
        assert r.stop is not None
        mine = {slot: g for slot, g in of_segment.items() if slot <= r.stop}
        repeated = facts.repeated if r.residuals is None else facts.repeated.difference(r.residuals)
        key = (r.start, r.stop, repeated, *[(slot, g.type) for slot, g in mine.items()])
        pullback = facts.pullbacks.get(key)
        if pullback is None:
            pullback = facts.pullbacks[key] = write_pullback(facts, r, repeated, {slot: g.type for slot, g in mine.items()})
        recorder = self.recorder
        segment = recorder.segment
        place = {at: segment.use(mine[slot]) for slot, at in pullback.cotangents}
        for slot, at in pullback.forwards:
            place[at] = slot if r.segment is segment else self._residual(segment, r, slot, facts.path[slot].type)
        slots = self._replayed(segment, pullback, place)
        pulled: list[tuple[Place, bool, Handle]] = []
        for (slot, _, type_, same), found in zip(pullback.results, slots, strict=True):
            origin = r.origins.get(slot)
            if origin is not None or not same:
                pulled.append((origin or (here, slot), origin is not None, adopt(recorder, segment, found, type_, None)))
        # all have their handles by now: an addition may cut the segment
        for where, adds, handle in pulled:
            if adds:
                self._accumulate(cotangents, where, handle)
            else:
                of_segment[where[1]] = handle

    @staticmethod
    def _residual(segment: Segment, r: Range, slot: int, type_: ArrayType) -> int:
        """A forward value of a segment that has run, in the open one."""
        residuals: Any = r.segment.values if r.residuals is None else r.residuals
        value = residuals[slot]
        if isinstance(value, Handle):
            return segment.use(value)
        if isinstance(value, (np.ndarray, DeviceValue)):
            return segment.use_data(value, type_)
        return segment.scalar(value)

    def _replayed(self, segment: Segment, pullback: Pullback, place: dict[int, int]) -> list[int]:
        """Record a pullback whose leaves are in place, or, where this was done before, move the cursor past its steps; the slots of its
        results."""
        immediate = self.recorder.immediate is not None
        here = segment.cursor
        key = (pullback, *place.values())
        known: Jump | None = here.remember().get(key)
        if known is not None and not immediate and segment.cursor is here:
            # as in `_jump`
            segment.cursor = known.last
            return known.slots
        steps = record_nodes(segment, pullback.nodes, place)
        slots = [place[at] for _, at, _, _ in pullback.results]
        if not immediate and segment.cursor.index - here.index == len(steps):
            here.remember()[key] = Jump(segment.cursor, slots, [type_ for _, _, type_, _ in pullback.results])
        return slots

    def _pull_opaque(self, portion: Opaque, cotangents: Cotangents) -> None:
        # taken, not read: the steps of the forward function must not see them
        given = [None if p is None else cotangents.get(p[0], {}).pop(p[1], None) for p in portion.results]
        if all(g is None for g in given):
            return
        found = portion.pullback(given)
        for origin, g in zip(portion.origins, found, strict=True):
            if origin is not None and g is not None:
                self._accumulate(cotangents, origin, g)


def pull(builder: PullbackBuilder, path: Sequence[Step], r: Range, active: set[int], cot: dict[int, Ref]) -> None:
    """Reverse sweep over a range: `cot` grows from the results to the entries."""
    stop = len(path) - 1 if r.stop is None else r.stop
    parts: dict[int, dict[int, Ref]] = {}

    def add(slot: int, contribution: Ref) -> None:
        before = cot.get(slot)
        cot[slot] = contribution if before is None else before + contribution

    for index in range(stop, r.start, -1):
        if index not in active or index in r.entries:
            continue
        step = path[index]
        if step.op is PROJECT:
            g = cot.pop(index, None)
            if g is not None:
                parts.setdefault(step.operands[0], {})[step.params[0]] = g
            continue
        if step.op.outputs > 1:
            found = parts.pop(index, None)
            if found is not None:
                apply_rules(builder, path, step, tuple(found.get(k) for k in range(step.op.outputs)), active, add)
            continue
        g = cot.pop(index, None)
        if g is not None:
            apply_rules(builder, path, step, g, active, add)


def write_pullback(facts: Facts, r: Range, repeated: Collection[int], given: Mapping[int, ArrayType]) -> Pullback:
    """The pullback of a range.

    Args:
        repeated: forward slots that it computes again.
        given: slots that have cotangents already, with the types of these.
    """
    builder = PullbackBuilder(facts.path, repeated)
    cot = {slot: builder.leaf(type_) for slot, type_ in given.items()}
    before = {slot: ref.slot for slot, ref in cot.items()}
    pull(builder, facts.path, r, facts.active, cot)
    results = [(slot, builder.position(ref), ref.type) for slot, ref in cot.items()]
    return Pullback(
        builder.nodes,
        list(before.items()),
        list(builder.forwards.items()),
        [(slot, at, type_, before.get(slot) == at) for slot, at, type_ in results],
    )


def _active(path: Sequence[Step], ranges: Iterable[Range]) -> set[int]:
    """Slots through which a gradient can flow in the ranges of a path, in order."""
    active: set[int] = set()
    for r in ranges:
        stop = len(path) - 1 if r.stop is None else r.stop
        active |= r.entries
        active = active_slots(path, r.start, stop, active)
    return active


def adopt(recorder: Recorder, segment: Segment, slot: int, type_: Any, like: Target | None) -> Handle:
    """A handle on a slot of the open segment; a gradient is laid out like its argument."""
    array, scalar = constructors()
    cls = like.cls if like is not None else (scalar if type_.scalar else array)
    handle: Handle = new(cls)
    wanted = like.type if like is not None and like.type.shape == type_.shape and like.type.dtype == type_.dtype else type_
    handle.segment, handle.index, handle.type, handle.memory, handle.alias = segment, slot, wanted, None, None
    if recorder.immediate is not None:
        handle.memory = segment.values[slot]
    else:
        segment.arrays.append(handle)
    return handle


def laid_out(g: Handle, like: ArrayType) -> Handle:
    """A gradient in the layout of its argument: one that was broadcast, say, has no strides of zero."""
    if g.type.strides == like.strides or g.type.shape != like.shape or g.type.dtype != like.dtype:
        return g
    return TABLE["layout"](g, strides=like.strides)


def twin(handle: Handle) -> Handle:
    """Another handle on the same value, whatever happens to the first."""
    alias = handle.alias
    if alias is not None and alias.base is not None:
        return TABLE["watch"](handle)
    if handle.memory is not None:
        return clone(handle)
    return pending_twin(handle)


def ones_like(x: Handle) -> Handle:
    """Ones in the shape of `x`."""
    return TABLE["ones"](shape=x.type.shape, dtype=x.type.dtype, context=x.type.context)


def zeros_of(type_: ArrayType) -> Handle:
    """Zeros of a type."""
    return TABLE["zeros"](shape=type_.shape, dtype=type_.dtype, context=type_.context)
