"""The tape: which recorded steps lie between an argument and a result, and the values of them that rules will need.

While everything is in one segment the tape holds nothing: the path itself is the record, and the pullback of a path seen before is a jump
in the trie. A flush in the middle makes the tape keep what the rules use; opaque pieces (fallbacks, custom rules, checkpoints) are portions
of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from ..errors import NoGradientError
from ..trace import recorder as recorder_module
from ..trace.context import DeviceValue
from ..trace.graph import Graph, Node
from ..trace.handle import Handle, clone, constructors, new
from ..trace.op import TABLE, Ref
from ..trace.recorder import Recorder, Segment, pending_twin, run_lock
from ..trace.replay import unary
from ..trace.step import CONSTANT, INPUT, PROJECT, SCALAR, Step
from ..trace.types import ArrayType
from .pullback import SegmentBuilder, UsageBuilder, active_slots, apply_rules, differentiable

_watch = unary(TABLE["watch"])
# a value's place: (identity of its segment, slot)
Place = tuple[int, int]


class Range:
    """Steps `start < index <= stop` of one segment.

    Attributes:
        entries: slots at which tracked values come in: `watch` steps, inputs, results of opaque portions.
        origins: for an input slot, the place where that value was made earlier on this tape.
        residuals: slot -> value, once the segment has run (only what rules use).
    """

    __slots__ = ("entries", "origins", "path", "residuals", "segment", "start", "stop")

    def __init__(self, segment: Segment, start: int) -> None:
        self.segment, self.start = segment, start
        self.stop: int | None = None
        self.entries: set[int] = set()
        self.origins: dict[int, Place] = {}
        self.path: list[Step] | None = None
        self.residuals: dict[int, Any] | None = None

    def close(self) -> None:
        """No step recorded later belongs to this range."""
        if self.stop is None:
            self.stop = self.segment.cursor.index


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


class Tape:
    """One differentiation in progress; active between `watch` and the end of the forward function."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        # segments begun later are recorded entirely while this tape is active
        self.began = recorder.segment.serial
        self.portions: list[Range | Opaque] = []
        # materialised values on the way: identity -> (value, place); the reference keeps the identity unique
        self.tracked: dict[int, tuple[Any, Place]] = {}
        # segments stay alive while places name them
        self.segments: dict[int, Segment] = {}
        self.closed = False

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
        opened = Range(segment, segment.cursor.index if id(segment) in self.segments or not self.portions else -1)
        self.segments[id(segment)] = segment
        self.portions.append(opened)
        return opened

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

    def _ranges(self, segment_id: int) -> list[Range]:
        return [p for p in self.portions if isinstance(p, Range) and id(p.segment) == segment_id]

    def _is_active(self, place: Place) -> bool:
        segment_id, slot = place
        ranges = self._ranges(segment_id)
        if not ranges:
            segment = self.recorder.segment
            if id(segment) != segment_id:
                return False
            ranges = [self.open_range()]
        return slot in self.active(ranges[0].segment, ranges)

    def active(self, segment: Segment, ranges: Sequence[Range]) -> set[int]:
        """Slots of one segment through which a gradient can flow; also fills the ranges' entries from the inputs."""
        path = segment.cursor.path() if ranges[0].path is None else ranges[0].path
        self._enter_inputs(segment, ranges, path)
        active: set[int] = set()
        for r in ranges:
            stop = len(path) - 1 if r.stop is None else r.stop
            active |= r.entries
            active = active_slots(path, r.start, stop, active)
        return active

    def _enter_inputs(self, segment: Segment, ranges: Sequence[Range], path: Sequence[Step]) -> None:
        if not self.tracked:
            return
        inputs = iter(segment.inputs)
        for step in path:
            if step.op is not INPUT:
                continue
            value = next(inputs, None)
            data = value.memory if isinstance(value, Handle) else value
            found = None if data is None else self.tracked.get(id(data))
            if found is not None and found[1] != (id(segment), step.index):
                # the range that it lies in: the sweep stops at a range's own entries
                within = next((r for r in reversed(ranges) if r.start < step.index), ranges[0])
                within.entries.add(step.index)
                within.origins[step.index] = found[1]

    # -- recorder's hooks ------------------------------------------------------------------------------------------------------------
    def required(self, segment: Segment) -> Iterable[int]:
        """Slots whose values the pullback needs and that would otherwise be dropped at this flush."""
        ranges = self._ranges(id(segment))
        if not ranges:
            if self.closed or segment.cursor.index < 0 or not self.portions or segment.serial <= self.began:
                return ()
            last = self.portions[-1]
            if isinstance(last, Range):
                last.close()
            opened = Range(segment, -1)
            self.segments[id(segment)] = segment
            self.portions.append(opened)
            ranges = [opened]
        path = ranges[0].path or segment.cursor.path()
        for r in ranges:
            r.close()
            r.path = path
        active = self.active(segment, ranges)
        if not active:
            return ()
        end = path[max(r.stop or 0 for r in ranges)]
        key = ("residuals", tuple(sorted(active)), tuple((r.start, r.stop) for r in ranges))
        used = end.remember().get(key)
        if used is None:
            used = end.memo[key] = self._rehearse(path, ranges, active)  # type: ignore[index]
        return used

    def _rehearse(self, path: Sequence[Step], ranges: Sequence[Range], active: set[int]) -> frozenset[int]:
        builder = UsageBuilder()

        def add(slot: int, contribution: Ref) -> None:
            if contribution.slot < 0:
                builder.used.add(-contribution.slot - 1)

        for r in ranges:
            assert r.stop is not None
            for step in path[r.start + 1 : r.stop + 1]:
                if step.index not in active or step.index in r.entries:
                    continue
                types = step.type if isinstance(step.type, tuple) else None
                g: Any = builder.fresh(step.type) if types is None else tuple(builder.fresh(t) for t in types)
                # a missing rule is the pullback's error, if it is ever called, not that of whoever looks at a value
                with suppress(NoGradientError):
                    apply_rules(builder, path, step, g, active, add)
        # numbers are kept by value, not as results
        return frozenset(i for i in builder.used if not isinstance(path[i].type, tuple) and path[i].type.weak is None)

    def flushed(self, segment: Segment, values: dict[int, Any]) -> None:
        """Keep the residuals; follow the tracked results by identity from here on."""
        ranges = self._ranges(id(segment))
        if not ranges:
            return
        active = self.active(segment, ranges)
        path = ranges[0].path or segment.cursor.path()
        by_index: dict[int, Any] = {}
        inputs, scalars = iter(segment.inputs), iter(segment.scalars)
        for step in path:
            if step.op is INPUT:
                by_index[step.index] = next(inputs)
            elif step.op is SCALAR:
                by_index[step.index] = next(scalars)
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
        for r in ranges:
            r.residuals = {**by_index, **values}

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
        cotangents: dict[Place, Handle] = {}
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
        return [laid_out(cotangents[t.place], t.type) if t.place in cotangents else zeros_of(t.type) for t in targets]

    @staticmethod
    def _accumulate(cotangents: dict[Place, Handle], place: Place, g: Handle) -> None:
        before = cotangents.get(place)
        cotangents[place] = g if before is None else TABLE["add"](before, g)

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
        known = end.remember().get(key)
        if known is not None and segment.cursor is end:
            # no call lies between: what a signal handler records comes before or after
            segment.cursor = known[0]
            if recorder.immediate is not None:
                self._compute(segment, known[1], known[2], known[3])
        else:
            path = end.path()
            active = self.active(segment, [r])
            builder = SegmentBuilder(segment, lambda slot: slot)
            cot: dict[int, Ref] = {}
            for slot in results:
                if slot in active:
                    type_ = path[slot].type
                    one = builder.emit(TABLE["ones"], (), (type_.shape, type_.dtype, type_.context))
                    cot[slot] = one if slot not in cot else cot[slot] + one
            pull(builder, path, r, active, cot)
            slots = []
            for goal, target in zip(goals, targets, strict=True):
                g = cot.get(goal)
                if g is None:
                    g = builder.emit(TABLE["zeros"], (), (target.type.shape, target.type.dtype, target.type.context))
                slots.append((builder.slot(g), g.type))
            last = segment.cursor
            steps = last.path()[end.index + 1 :]
            known = (last, slots, steps, [])
            # a pullback has neither inputs nor numbers: those of a signal handler that came in its middle are not there the next time
            if not any(s.op is INPUT or s.op is SCALAR for s in steps):
                end.remember()[key] = known
        return [adopt(recorder, segment, slot, type_, t) for (slot, type_), t in zip(known[1], targets, strict=True)]

    def _compute(self, segment: Segment, slots: list[tuple[int, Any]], steps: list[Step], made: list[Any]) -> None:
        """Immediate modes: run a pullback seen before. Eager runs it as one MXNet graph, as MXNet's own autograd does."""
        recorder = self.recorder
        if recorder.mode != "eager" or recorder.tapes:
            for step in steps:
                recorder.compute(segment, step)
            return
        if not made:
            graph, leaves = pullback_graph(segment.cursor.path(), steps, [slot for slot, _ in slots])
            made.extend(
                (recorder_module.compile_graph(graph), [i for i, op in leaves if op is not SCALAR], [i for i, op in leaves if op is SCALAR])
            )
        run, inputs, numbers = made
        with run_lock:
            found = run([segment.values[i] for i in inputs], [segment.values[i] for i in numbers])
        segment.values.update(zip([slot for slot, _ in slots], found, strict=True))

    def _pull_range(self, r: Range, cotangents: dict[Place, Handle]) -> None:
        """One range: steps emitted into the open segment, residuals as inputs where its own segment has run."""
        here = id(r.segment)
        path = r.path if r.path is not None else r.segment.cursor.path()
        mine = {slot: g for (segment_id, slot), g in cotangents.items() if segment_id == here}
        if not mine:
            return
        active = self.active(r.segment, self._ranges(here))
        recorder = self.recorder
        segment = recorder.segment

        def resolve(slot: int) -> int:
            if r.segment is segment:
                return slot
            residuals: Any = r.segment.values if r.residuals is None else r.residuals
            value = residuals[slot]
            if isinstance(value, Handle):
                return segment.use(value)
            if isinstance(value, (np.ndarray, DeviceValue)):
                return segment.use_data(value, path[slot].type)
            return segment.scalar(value)

        builder = SegmentBuilder(segment, resolve)
        cot: dict[int, Ref] = {}
        for slot, g in mine.items():
            cot[slot] = Ref(builder, segment.use(g), g.type)
        before = {slot: ref.slot for slot, ref in cot.items()}
        pull(builder, path, r, active, cot)
        pulled: list[tuple[Place, bool, Handle]] = []
        for slot, ref in cot.items():
            place = r.origins.get(slot, (here, slot))
            if place == (here, slot) and before.get(slot) == ref.slot:
                continue
            pulled.append((place, place != (here, slot), adopt(recorder, segment, builder.slot(ref), ref.type, None)))
        # all have their handles by now: an addition may cut the segment
        for place, adds, handle in pulled:
            if adds:
                self._accumulate(cotangents, place, handle)
            else:
                cotangents[place] = handle

    def _pull_opaque(self, portion: Opaque, cotangents: dict[Place, Handle]) -> None:
        # taken, not read: the steps of the forward function must not see them
        given = [None if p is None else cotangents.pop(p, None) for p in portion.results]
        if all(g is None for g in given):
            return
        found = portion.pullback(given)
        for origin, g in zip(portion.origins, found, strict=True):
            if origin is not None and g is not None:
                self._accumulate(cotangents, origin, g)


def pull(builder: SegmentBuilder, path: Sequence[Step], r: Range, active: set[int], cot: dict[int, Ref]) -> None:
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


def pullback_graph(path: Sequence[Step], steps: Sequence[Step], outputs: Sequence[int]) -> tuple[Graph, list[tuple[int, Any]]]:
    """The pullback's steps as a graph of their own; also the forward slots that it reads, with the leaf that stands for each."""
    place: dict[int, int] = {}
    nodes: list[Node] = []
    leaves: list[tuple[int, Any]] = []

    def leaf(slot: int) -> None:
        step = path[slot]
        op = step.op if step.op is SCALAR or step.op is CONSTANT else INPUT
        place[slot] = len(nodes)
        nodes.append(Node(op, (), step.params if op is not INPUT else (), step.type, step.site))
        if op is not CONSTANT:
            leaves.append((slot, op))

    inside = {s.index for s in steps}
    for step in steps:
        for i in step.operands:
            if i not in place and i not in inside:
                leaf(i)
        place[step.index] = len(nodes)
        nodes.append(Node(step.op, tuple([place[i] for i in step.operands]), step.params, step.type, step.site))
    for slot in outputs:
        if slot not in place:
            leaf(slot)
    inputs = tuple([place[i] for i, op in leaves if op is INPUT])
    numbers = tuple([place[i] for i, op in leaves if op is SCALAR])
    return Graph(tuple(nodes), inputs, numbers, tuple([place[i] for i in outputs])), leaves


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
