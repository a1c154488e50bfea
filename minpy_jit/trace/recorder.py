"""The recorder: turns calls on handles into steps, comparing each with the step that followed last time (validated replay).

It knows types, steps and handles. It may not know how a value is computed: `set_executor` tells it who runs a finished path.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from ..config import config
from ..errors import RecordingWarning, TraceError, call_site, locate, reentered, warn_at, with_op
from . import limits
from .calls import remember_reading
from .context import DeviceValue, on_host, require_same
from .handle import Alias, Handle, constructors, materialised, new, root_of
from .op import Op, Params, set_recorder
from .replay import OpenSegment, Replayer, looked, record, set_local, within
from .stats import FlushRecord, stats
from .step import INPUT, KIND_DTYPES, KINDS, PROJECT, SCALAR, Step, empty_path
from .types import ArrayType, array_type, integer_name

_ndarray = np.ndarray

WEAK_TYPES: dict[type, ArrayType] = {kind: array_type((), KIND_DTYPES[letter], weak=kind) for kind, letter in KINDS.items()}


class Outcome(Protocol):
    """What an executor says about one run (see exec/run.py)."""

    values: dict[int, Any]
    errors: dict[int, Exception]
    executor: str
    nodes: int
    host_steps: int
    compiled: bool
    transfers: tuple[int, int]


class TapeHook(Protocol):
    """What the recorder asks of an active tape (see autograd/tape.py)."""

    def required(self, segment: Segment) -> Iterable[int]:
        """Slots that must be computed at this flush because the pullback will use them."""
        ...

    def flushed(self, segment: Segment, values: dict[int, Any]) -> None:
        """The segment has run."""
        ...


# the end of a path, slots to compute, values of the inputs (host arrays, DeviceValues) and of the numbers, and, where so, that it runs once
Executor = Callable[..., Outcome]
Immediate = Callable[[Step, list[Any]], Any]

# a graph, made ready to be run many times: values of its inputs and numbers -> values of its outputs
Compiled = Callable[[Sequence[Any], Sequence[Any]], list[Any]]

_executor: Executor
# of threads that begin to record
default_policy: Any = None
compile_graph: Callable[[Any], Compiled]
_immediate: dict[str, Immediate] = {}
# bytes of a view from which on it is worth a step
LARGE_VIEW = 1 << 16
# sealed segments that may wait; a program that observes nothing must not pile them up
MAX_SEALED = 64
# one lock for everything that runs: MXNet executors share workspaces (two threads crash)
run_lock = threading.RLock()
# a child must not find it held by a thread that it does not have
os.register_at_fork(before=run_lock.acquire, after_in_parent=run_lock.release, after_in_child=run_lock.release)


def set_executor(executor: Executor, immediate: dict[str, Immediate], compiler: Callable[[Any], Compiled]) -> None:
    """Told by the execution layer who runs finished paths, single steps in the "eager" and "numpy" modes, and graphs."""
    global _executor, compile_graph
    _executor, compile_graph = executor, compiler
    _immediate.update(immediate)
    # this thread's recorder was made before anyone could execute
    local.recorder.set_mode(local.recorder.mode)


def wrap_executor(wrap: Callable[[Executor], Executor]) -> None:
    """Put something between finished paths and who runs them: `wrap(executor)` takes its place."""
    global _executor
    _executor = wrap(_executor)


def set_default_policy(policy: Any) -> None:
    """The policy of threads that begin to record later."""
    global default_policy
    default_policy = policy


class Segment(OpenSegment):
    """Steps recorded since the last flush of one thread.

    Attributes:
        inputs: the values behind the path's `input` steps: a host array, a DeviceValue, or a handle that is pending in an earlier segment.
        input_slots: slot of each input by the identity of its host array.
        values: slot -> value of what has been computed (immediate modes with an active tape).
        serial: how many segments its recorder had begun with it.
        first_site: the call site at which it is to be cut.
        stretch: what was recorded since the last observation, where a limit was met in it (see limits.py).
    """

    __slots__ = ("first_site", "input_slots", "inputs", "owner", "serial", "stretch", "values")

    def __init__(self, recorder: Recorder, root: Step) -> None:
        self.recorder = recorder
        recorder.begun += 1
        self.serial = recorder.begun
        self.cursor = root
        self.arrays = []
        self.inputs: list[Any] = []
        self.scalars = []
        self.input_slots: dict[int, int] = {}
        self.limit = recorder.max_steps
        self.most_bytes = config.max_pending_bytes
        self.passed = None
        self.first_site: Any = None
        self.stretch: limits.Stretch | None = None
        # the traced region that it was recorded in, told of each run
        self.owner: Any = recorder.region
        self.values: dict[int, Any] = {}

    # -- operands ------------------------------------------------------------------------------------------------------------------
    def use(self, handle: Handle) -> int:
        """See OpenSegment."""
        alias = handle.alias
        if alias is not None and alias.base is not None:
            return self._use_view(handle, alias)
        data = handle.memory
        if data is not None:
            if handle.segment is self:
                return handle.index
            slot = self.use_data(data, handle.type, handle)
            handle.segment, handle.index = self, slot
            return slot
        if handle.segment is self:
            return handle.index
        return self._use_pending(handle)

    def use_data(self, data: Any, type_: ArrayType, source: Handle | None = None) -> int:
        """The slot of a materialised value (of the handle `source`)."""
        slot = self.input_slots.get(id(data))
        if slot is None:
            slot = self.input_slots[id(data)] = self.advance(INPUT, (), (), type_, noted=self.inputs, value=data).index
            if self.recorder.immediate is not None:
                self.values[slot] = data
        return slot

    def _use_pending(self, handle: Handle) -> int:
        """A value that is pending in an earlier (sealed) segment: an input that will be known by the time this one runs."""
        owner = handle.segment
        if owner is None:
            # another thread has run it meanwhile
            return self.use(handle)
        if self.recorder.immediate is not None:
            # recorded before the mode was switched
            value_of(handle, self.recorder.mode)
            return self.use(handle)
        if owner.recorder is not self.recorder:
            # another thread's: its value now, nobody waits for the owner
            return self.use_data(value_of(handle, "thread"), handle.type, handle)
        key = (id(owner), handle.index)
        slot = self.input_slots.get(key)  # type: ignore[call-overload]
        if slot is None:
            twin = pending_twin(handle)
            step = self.advance(INPUT, (), (), handle.type, noted=self.inputs, value=twin)
            slot = self.input_slots[key] = step.index  # type: ignore[index]
        return slot

    def _use_view(self, view: Handle, alias: Alias) -> int:
        base = root_of(view)
        root = base.alias
        assert root is not None
        if alias.version == root.version and alias.segment is self:
            return alias.slot
        if alias.version != root.version:
            alias.version, view.memory, alias.segment = root.version, None, None
        recorder = self.recorder
        data = None
        if base.memory is not None and not recorder.follows(base) and not _is_read_there(view.type, base, recorder):
            data = view.memory
            if data is None:
                data = view.memory = look(base.memory, alias.chain)
        if data is not None:
            slot = self.use_data(data, view.type, view)
        else:
            slot = first = self.use(base)
            start, type_ = self.cursor, base.type
            for op, scalars, params in alias.chain:
                operands = (slot, *[self.scalar(s) for s in scalars])
                types = (type_, *[WEAK_TYPES[type(s)] for s in scalars])
                step = self.advance(op, operands, params, None, types)
                slot, type_ = step.index, step.type
                if recorder.immediate is not None:
                    recorder.compute(self, step)
            if base.segment is self and base.memory is None:
                remember_reading(self, start, alias, first)
        alias.segment, alias.slot = self, slot
        return slot

    def scalar(self, value: Any) -> int:
        """The slot of a Python number."""
        kind = type(value)
        step = self.cursor.next
        if step is not None and step.op is SCALAR and step.params[0] is kind:
            self.cursor = step
            self.scalars += (value,)
        else:
            step = self.advance(SCALAR, (), (kind,), WEAK_TYPES[kind], noted=self.scalars, value=value)
        if self.recorder.immediate is not None:
            self.values[step.index] = value
        return step.index

    # -- steps ---------------------------------------------------------------------------------------------------------------------
    def advance(
        self,
        op: Op,
        operands: tuple[int, ...],
        params: Params,
        type_: Any,
        types: Sequence[ArrayType] = (),
        noted: list[Any] | None = None,
        value: Any = None,
    ) -> Step:
        """Move the cursor to the step that says this: last time's next, a sibling seen before, or a new one (type-checked here).

        A signal handler, which may record something itself, comes after a call, at the start of a function, at a jump back and (in
        Python 3.10) at any jump: so between the look at the cursor, its move, and the note of the step's `value` (`+=`, which calls
        nothing) no such thing may lie.
        """
        cursor = self.cursor
        step = cursor.next
        if (
            step is not None
            and step.op is op
            and step.operands == operands
            and step.params == params
            and (type_ is None or step.type is type_)
            and not self.recorder.exact
            and self.cursor is cursor
        ):
            self.cursor = step
            if noted is not None:
                noted += (value,)
            return step
        site = call_site() if self.recorder.exact else None
        key = (op, operands, params, type_, site)
        children = cursor.children
        if children is not None:
            step = children.get(key)
            if step is not None and self.cursor is cursor:
                self.cursor = step
                if noted is not None:
                    noted += (value,)
                if self._replays(cursor, step):
                    cursor.next = step
                return step
        if type_ is None:
            type_ = infer(op, types, params)
        site = site or call_site()
        self.recorder.grown()
        step = Step(op, operands, params, type_, cursor, site, tuple(types))
        range_check(step, types)
        while True:
            children = cursor.children
            if children is None:
                children = cursor.children = {}
            children[key] = step
            if self._replays(cursor, step):
                cursor.next = step
            if self.cursor is cursor:
                self.cursor = step
                if noted is not None:
                    noted += (value,)
                return step
            # a signal handler, a finalizer or a debugger has recorded something meanwhile: this comes behind it
            if children.get(key) is step:
                del children[key]
            if cursor.next is step:
                cursor.next = None
            cursor, low, high = self.cursor, step.low, step.high
            step = Step(op, operands, params, type_, cursor, site, tuple(types))
            step.low, step.high = low, high

    def _replays(self, cursor: Step, step: Step) -> bool:
        """Whether a step may follow another unasked. Past a limit none does: each op then comes to `record`, which looks for a place to
        cut; and behind a gate, which is asked each time, none does either."""
        if step.index >= self.limit or step.nbytes > self.most_bytes or self.recorder.exact:
            return False
        return self.stretch is None or self.stretch.gate is not cursor

    def prefix(self, last: int | None = None) -> tuple[Step, list[Any], list[Any]]:
        """The last complete step (or an earlier one), with the inputs and numbers up to it, as another thread finds them while the owner
        records."""
        end, inputs, scalars = self.cursor, list(self.inputs), list(self.scalars)
        path = end.path()
        if last is not None:
            path = path[: last + 1]
            end = path[-1]
        arrays, numbers = sum(s.op is INPUT for s in path), sum(s.op is SCALAR for s in path)
        while arrays > len(inputs) or numbers > len(scalars):
            # the owner has moved the cursor, but not yet noted the value
            ahead = path.pop()
            arrays -= ahead.op is INPUT
            numbers -= ahead.op is SCALAR
            assert ahead.parent is not None
            end = ahead.parent
        return end, inputs[:arrays], scalars[:numbers]

    @property
    def steps(self) -> int:
        """Recorded steps."""
        return self.cursor.index + 1


class _Unrecorded(Segment):
    """What stands for a segment in the immediate modes without a tape: takes no inputs, so that the hot path costs nothing."""

    __slots__ = ()

    def use(self, handle: Handle) -> int:
        return -1


def infer(op: Op, types: Sequence[ArrayType], params: Params) -> Any:
    """The op's type rule, with `[op]` before the message of its errors, and one context for all operands."""
    if op is PROJECT:
        return op.infer(types[0], params[0])
    key = (op, tuple(types), params)
    found = _inferred.get(key)
    if found is not None:
        return found
    require_same(op.name, [t.context for t in types if t.weak is None])
    try:
        result = op.infer(*types, **op.named(params))
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise with_op(error, op.name) from None
    if len(_inferred) >= 4096:
        _inferred.clear()
    _inferred[key] = result
    return result


# results of type rules, memoised: a program that is new step by step is made of few different ones (4.3 -> 0.5 µs)
_inferred: dict[Any, Any] = {}


def range_check(step: Step, types: Sequence[ArrayType]) -> None:
    """Note the legal range of a Python integer that meets an integer dtype (NEP 50: `uint8_array + 300` is an OverflowError)."""
    op = step.op
    if op.scalar_range is not None and any(t.weak is int for t in types):
        found = op.scalar_range(tuple(types), op.named(step.params))
        if found is not None:
            step.low, step.high = found


class Recorder(Replayer):
    """One per thread: the open segment, sealed ones that have not run, the trie, and active tapes."""

    def __init__(self) -> None:
        self.max_steps = config.max_steps
        self.exact = config.provenance == "exact"
        self.root: Step = empty_path()
        # never followed blindly: the immediate modes leave `next` unset, so that the hot path always comes to `record`
        self.immediate_root: Step = empty_path()
        self.now: dict[Any, Step] = {}
        # roots of traced regions; the outermost region being run, if any
        self.roots: dict[Any, Step] = {}
        self.region: Any = None
        self.session = None
        # who decides what runs where (None: the usual way); see minpy_jit/policy.py
        self.policy: Any = default_policy
        self.trie_steps = 0
        self.begun = 0
        self.resets = 0
        self.segment = Segment(self, self.root)
        self.sealed: list[Segment] = []
        self.tapes: list[Any] = []
        # active tapes that see nothing of what is recorded just now (inside an opaque portion), but a flush concerns them all the same
        self.suspended: list[Any] = []
        self.kept: list[weakref.ref[Any]] = []
        self.immediate: Immediate | None = None
        self.mode = "lazy"
        self.set_mode(config.mode)

    # -- modes ---------------------------------------------------------------------------------------------------------------------
    def set_mode(self, mode: str) -> None:
        """Switch how operations are executed; pending work is kept."""
        if mode not in ("lazy", "eager", "numpy"):
            raise ValueError(f"[mode] {mode!r} is not a mode; modes: lazy, eager, numpy")
        segment = self.segment
        # no call lies between
        self.immediate = _immediate.get(mode)
        self.mode = mode
        try:
            self.seal()
        finally:
            if self.segment is segment:
                # Ctrl-C: what is recorded in one mode must not go on in the other's segment
                self.fresh()

    def reconfigure(self) -> None:
        """Take over changed settings."""
        self.max_steps = config.max_steps
        if self.immediate is None:
            self.segment.limit, self.segment.most_bytes = self.max_steps, config.max_pending_bytes
        exact = config.provenance == "exact"
        if exact is not self.exact:
            # steps recorded without regard to call sites would be followed blindly
            self.exact = exact
            self.clear()

    # -- the trie ------------------------------------------------------------------------------------------------------------------
    def grown(self) -> None:
        """Count a new step. The trie is bounded: past the limit it starts anew at the next segment."""
        self.trie_steps += 1
        stats.counts["recorded"] += 1

    def fresh(self) -> Segment:
        """A new open segment, at the root of the region being run."""
        segment = self.segment = self._begin()
        return segment

    def _begin(self) -> Segment:
        self.max_steps = config.max_steps
        if self.trie_steps > config.max_trie_steps:
            self._reset_trie()
        if self.immediate is not None:
            root = self.immediate_root
        elif self.region is not None or self.policy is not None:
            key = None if self.region is None else self.region.key
            if self.policy is not None:
                key = (self.policy, key)
            root = self.roots.get(key) or self._region_root(key)
        else:
            root = self.root
        segment = (_Unrecorded if self.immediate is not None and not self.tapes else Segment)(self, root)
        if self.immediate is not None:
            segment.limit = -1
        return segment

    def _region_root(self, key: Any) -> Step:
        root = self.roots[key] = empty_path()
        if self.policy is not None:
            root.remember()["policy"] = self.policy
        return root

    def use_policy(self, policy: Any) -> None:
        """From here on steps are recorded for another policy, in tries of their own. What is pending is run first.

        Raises:
            TraceError: a pure region is being recorded.
        """
        if policy is self.policy:
            return
        if self.session is not None:
            raise TraceError(f"[policy] changed inside {self.session.name!r}, which is traced with pure=True ({locate(call_site())})")
        try:
            self.flush("policy")
        finally:
            self.policy = policy
            if self.immediate is None:
                self.seal(self.region)

    def _reset_trie(self) -> None:
        self.forget()
        self.resets += 1
        stats.counts["trie_resets"] += 1
        if self.resets == 2:
            site = call_site()
            warn_at(
                site,
                f"[trace] this program keeps recording new steps: more than config.max_trie_steps = {config.max_trie_steps} for the second "
                f"time, at {locate(site)}, and little is replayed; raise the limit, or make the program repeat itself",
                RecordingWarning,
            )

    def forget(self) -> None:
        """Drop every recorded step. Open and sealed segments keep theirs alive until they have run, arrays that were inputs theirs."""
        dropped = (self.root, self.immediate_root, *self.roots.values())
        self.root, self.immediate_root = empty_path(), empty_path()
        self.roots.clear()
        for root in dropped:
            root.sever()
        self.now.clear()
        self.trie_steps = 0

    def clear(self) -> None:
        """Forget every recorded step (pending work is kept)."""
        self.forget()
        self.resets = 0
        self.seal()

    def enter(self, region: Any) -> bool:
        """Begin a traced region; False if it is to be inlined (nested, under a tape, or in an immediate mode)."""
        if self.region is not None or self.tapes or self.immediate is not None:
            return False
        self.seal(region)
        return True

    def leave(self) -> None:
        """End the outermost region; its results stay lazy."""
        self.seal(None)
        if len(self.sealed) > MAX_SEALED:
            self.flush("limit")

    # -- recording -----------------------------------------------------------------------------------------------------------------
    def record(self, op: Op, operands: tuple[Any, ...], params: Params) -> Any:
        """See Replayer."""
        if self.immediate is not None and not self.tapes:
            return self._record_now(op, operands, params)
        segment = self.segment
        if (segment.cursor.index >= segment.limit or segment.cursor.nbytes > segment.most_bytes) and self._cut(segment):
            segment = self.segment
        found = []
        for o in operands:
            if type(o) in WEAK_TYPES:
                found.append(segment.scalar(o))
            else:
                found.append(o.index if o.segment is segment else segment.use(o))
        slots = tuple(found)
        step = segment.cursor.next
        if step is not None and step.op is op and step.operands == slots and step.params == params:
            # replayed; `next` is only ever set where no call site has to be compared
            segment.cursor = step
        else:
            types = [o.type if isinstance(o, Handle) else WEAK_TYPES[type(o)] for o in operands]
            step = segment.advance(op, slots, params, None, types)
        if step.low is not None:
            try:
                check_numbers(step, operands)
            except (OverflowError, ValueError):
                # the refused step stays, unused; an executable that was made when it was used must still be able to run it
                count = sum(type(o) in WEAK_TYPES for o in operands)
                segment.scalars[-count:] = [1 if type(n) is int else n for n in segment.scalars[-count:]]
                raise
        if op.outputs == 1:
            return self.hand_out(segment, step)
        if self.immediate is not None:
            self.compute(segment, step)
        return tuple(self.hand_out(segment, segment.advance(PROJECT, (step.index,), (k,), None, (step.type,))) for k in range(op.outputs))

    def hand_out(self, segment: Segment, step: Step) -> Handle:
        """A handle on a step of the open segment."""
        array, scalar = constructors()
        handle: Handle = new(scalar if step.scalar else array)
        handle.segment, handle.index, handle.type, handle.memory, handle.alias = segment, step.index, step.type, None, None
        if self.immediate is not None:
            handle.memory = self.compute(segment, step)
        else:
            segment.arrays.append(handle)
        return handle

    def compute(self, segment: Segment, step: Step) -> Any:
        """Immediate modes under a tape: the value of a step, now. Its operands' values are known."""
        values = segment.values
        value = values.get(step.index)
        if value is None:
            value = values[step.index] = self._evaluate(step, [values[i] for i in step.operands])
        return value

    def _evaluate(self, step: Step, operands: list[Any]) -> Any:
        stats.counts["immediate"] += 1
        assert self.immediate is not None
        try:
            with run_lock:
                return self.immediate(step, operands)
        except (ValueError, TypeError, IndexError, ArithmeticError, MemoryError) as error:
            raise with_op(error, step.op.name) from None

    def _record_now(self, op: Op, operands: tuple[Any, ...], params: Params) -> Any:
        """Immediate modes without a tape: no segment, only the memoised type rule."""
        types = tuple([WEAK_TYPES.get(type(o)) or o.type for o in operands])
        key = (op, types, params)
        step = self.now.get(key)
        if step is None:
            step = Step(op, (), params, infer(op, types, params), None, call_site(), types)
            range_check(step, types)
            if len(self.now) >= max(config.max_trie_steps // 8, 16):
                # with the call prepared for it a step takes 6 KiB, one of the trie 0.7
                self.now.clear()
            self.now[key] = step
        if step.low is not None:
            check_numbers(step, operands)
        values = []
        for o in operands:
            if type(o) in WEAK_TYPES:
                values.append(o)
            elif o.memory is not None and o.alias is None:
                values.append(o.memory)
            else:
                values.append(value_of(o, self.mode))
        value = self._evaluate(step, values)
        if op.outputs == 1:
            return materialised(value, step.type)
        return tuple(materialised(v, t) for v, t in zip(value, step.type, strict=True))

    def _cut(self, segment: Segment) -> bool:
        """Bound the laziness: past the limit, at the call site where the segment began (so that chunks repeat), flush."""
        if self.immediate is not None or self.session is not None:
            return False
        cursor = segment.cursor
        if segment.stretch is None and limits.meet(segment):
            return False
        site = call_site()
        near = cursor.index < 2 * self.max_steps and cursor.nbytes <= 2 * config.max_pending_bytes
        if segment.stretch is not None and segment.stretch.reach is not None:
            segment.stretch.reach.overrun()
        elif segment.first_site is not None and site != segment.first_site and near:
            return False
        self.flush("limit")
        if self.segment is not segment and segment.stretch is not None:
            self.segment.stretch = segment.stretch.cut(cursor)
        # chunks repeat, and hit the cache, because each begins where the one before ended
        self.segment.first_site = site
        return True

    # -- running -------------------------------------------------------------------------------------------------------------------
    def seal(self, region: Any = None) -> None:
        """Close the open segment without running it; its live handles become inputs of what is recorded next, in `region`."""
        segment = self.segment
        if segment.stretch is not None:
            limits.observed(segment)
        self.region = region
        self.fresh()
        if segment.cursor.index < 0:
            return
        hooks = self.hooks()
        if hooks:
            # tapes follow values, and keep what their pullbacks need, from one segment to the next
            if segment.values:
                for tape in hooks:
                    tape.required(segment)
                    tape.flushed(segment, dict(segment.values))
            else:
                self._run(segment, "seal")
        elif not segment.arrays:
            segment.inputs, segment.scalars = [], []
        elif run_lock.acquire(blocking=False):
            try:
                live = segment.live()
                segment.arrays[:0] = live[::-1]
                if segment.arrays:
                    self.sealed.append(segment)
                else:
                    # handles that were inputs still name this segment
                    segment.inputs, segment.scalars = [], []
            finally:
                run_lock.release()
        else:
            # another thread is running something, maybe this: it is not waited for
            self.sealed.append(segment)

    def flush(self, cause: str) -> None:
        """Run everything pending on this thread."""
        if not reentered():
            self._flush(cause)

    def _flush(self, cause: str, handle: Handle | None = None) -> None:
        # the lock: another thread may be about to run the same segments
        with run_lock:
            while self.sealed:
                self._run(self.sealed.pop(0), cause, handle)
            segment = self.segment
            if segment.cursor.index < 0 or self.immediate is not None:
                # in the immediate modes all is computed; what a tape follows must stay in its segment
                return
            if segment.stretch is not None and cause != "limit":
                limits.observed(segment)
            self.fresh()
            self._run(segment, cause, handle)

    def run_pending(self, segment: Segment, cause: str, handle: Handle) -> np.ndarray | None:
        """Run the segment in which a value is pending, and the sealed ones before it.

        For an observer that must not close what is being recorded (another thread's, of which a tape or a pure call keeps account; this
        thread's, in the middle of an operation) the value alone is computed, and returned.
        """
        if self is not current():
            return self._run_for_another(segment, cause, handle)
        if reentered():
            return self._peek(segment, cause, handle)
        if self.session is not None:
            raise TraceError(
                f"[trace] {self.session.name!r} is traced with pure=True, but a value is observed inside it "
                f"({cause}, {locate(call_site())}); drop pure=True, or return the value"
            )
        with run_lock:
            if self.segment is segment:
                self._flush(cause, handle)
            elif segment in self.sealed:
                self._run_sealed(self.sealed.index(segment) + 1, cause, handle)
            else:
                # it ran before and failed, or its owner added a step after another thread had run it: run what is still pending
                self._run(segment, cause, handle)
        return None

    def _run_sealed(self, count: int, cause: str, handle: Handle | None, own: bool = True) -> None:
        todo, self.sealed = self.sealed[:count], self.sealed[count:]
        for earlier in todo:
            self._run(earlier, cause, handle, own)

    def _run_for_another(self, segment: Segment, cause: str, handle: Handle) -> np.ndarray | None:
        """Another thread wants a value of ours: it runs what is complete, and this thread goes on in a segment of its own."""
        with run_lock:
            following, cursor = self._begin() if self.segment is segment else None, segment.cursor
            kept = any(r() is not None for r in self.kept)
            # no call lies between here and the assignment, so the owner stands still; what it recorded since may have been a gradient
            if kept or self.tapes or self.suspended or self.session is not None or segment.cursor is not cursor:
                return self._peek(segment, cause, handle)
            if following is not None and self.segment is segment:
                self.segment = following
            if segment is not self.segment:
                self._run_sealed(self.sealed.index(segment) if segment in self.sealed else len(self.sealed), cause, handle, own=False)
                self._run(segment, cause, handle, own=False)
        return None

    def _peek(self, segment: Segment, cause: str, handle: Handle) -> np.ndarray | None:
        """A pending value, computed from what is complete, while everything stays as it is."""
        started = perf_counter()
        with run_lock:
            index, data = handle.index, handle.memory
            if data is None and handle.segment is segment:
                # a flush that is under way may have computed it already
                data = segment.values.get(index)
                if data is None:
                    end, inputs, scalars = segment.prefix(index)
                    inputs = [value_of(value, cause) if isinstance(value, Handle) else value for value in inputs]
                    outcome = _executor(end, (index,), inputs, scalars, True)
                    stats.flush_causes[cause] += 1
                    stats.counts["peeks"] += 1
                    if config.flush_log:
                        self._log(cause, segment, 1, outcome, perf_counter() - started)
                    if outcome.errors:
                        raise outcome.errors[index]
                    data = outcome.values[index]
        return data

    def _run(self, segment: Segment, cause: str, wanted: Handle | None = None, own: bool = True) -> None:
        """Execute a closed segment for its live handles and the one that is observed. On an error what does not depend on it is kept; the
        rest may be retried. `own`: this thread recorded it."""
        started = perf_counter()
        hooks = self.hooks() if own else []
        live: list[Handle] = []
        outcome: Outcome | None = None
        try:
            required = [slot for tape in hooks for slot in tape.required(segment)] if hooks else ()
            live = segment.live()
            needed = {h.index for h in live}
            needed.update(required)
            if wanted is not None and wanted.segment is segment and wanted.memory is None and wanted.index not in needed:
                needed.add(wanted.index)
                live.append(wanted)
            counts = stats.counts
            counts["flushes"] += 1
            stats.flush_causes[cause] += 1
            counts["steps"] += segment.cursor.index + 1
            if not needed:
                if config.flush_log:
                    self._log(cause, segment, 0, None, perf_counter() - started)
                if own:
                    segment.inputs, segment.scalars = [], []
                return
            end, inputs, scalars = (segment.cursor, segment.inputs, segment.scalars) if own else segment.prefix()
            # what was pending in an earlier segment is there by now, or is run
            spoiled: dict[int, Exception] = {}
            try:
                inputs = [value_of(value, cause) if isinstance(value, Handle) else value for value in inputs]
            except Exception:
                inputs, spoiled = _spoiled(end, inputs, cause)
                needed.difference_update(spoiled)
                if not needed and wanted is None and cause == "limit" and not hooks:
                    # at an innocent line: whoever observes what depends on it is told
                    segment.arrays[:0] = live[::-1]
                    return
                if not needed or hooks:
                    raise
            if own:
                # a list of its own: what nobody but this list holds may be written over
                segment.inputs = inputs
            with run_lock:
                outcome = _executor(end, tuple(sorted(needed)), inputs, scalars)
                segment.values = outcome.values
            outcome.errors.update(spoiled)
            if segment.owner is not None:
                segment.owner.ran(segment, outcome)
            failed = self._settle(segment, live, outcome, hooks)
        except BaseException:
            if outcome is None:
                # nothing was computed: the segment stays as it was, so that observing again retries
                segment.arrays[:0] = live[::-1]
            else:
                # interrupted (Ctrl-C): inputs may have been written over, so what was computed is handed out
                self._settle(segment, live, outcome, hooks)
            raise
        if not failed and own:
            # what ran lets go of its inputs (handles that were inputs still name this segment); a prefix run for another thread keeps them
            segment.inputs, segment.scalars = [], []
        if config.flush_log:
            self._log(cause, segment, len(live), outcome, perf_counter() - started)
        if outcome.errors:
            error = None
            if wanted is not None and wanted.segment is segment:
                error = outcome.errors.get(wanted.index)
            if error is None and (hooks or (wanted is None and cause != "limit")):
                # (otherwise what is observed, or recorded, has nothing to do with it; but a tape needs all that it asked for)
                error = next(iter(outcome.errors.values()))
            try:
                if error is not None:
                    raise error
            finally:
                # the error knows this frame: what it holds would live until the next garbage collection
                del error, outcome

    @staticmethod
    def _settle(segment: Segment, live: list[Handle], outcome: Outcome, hooks: list[Any]) -> list[Handle]:
        """Give the handles their values; those that have none stay pending, and are returned. May be called again."""
        results = outcome.values
        for tape in hooks:
            tape.flushed(segment, results)
        failed: list[Handle] = []
        pending = live
        while pending:
            for handle in pending:
                if handle.segment is segment and handle.memory is None:
                    data = results.get(handle.index)
                    if data is None:
                        failed.append(handle)
                    else:
                        handle.memory, handle.segment = data, None
            # those that a signal handler, say, was given meanwhile
            pending, segment.arrays = segment.arrays, []
        segment.arrays[:0] = failed[::-1]
        segment.values = {}
        return failed

    @staticmethod
    def _log(cause: str, segment: Segment, live: int, outcome: Outcome | None, seconds: float) -> None:
        steps = segment.cursor.index + 1
        if outcome is None:
            told = (cause, call_site(), steps, live, "none", 0, 0, False, seconds, (0, 0))
        else:
            ran = outcome
            told = (cause, call_site(), steps, live, ran.executor, ran.nodes, ran.host_steps, ran.compiled, seconds, ran.transfers)
        # not by calling the class, which takes a microsecond
        stats.log.append(tuple.__new__(FlushRecord, told))

    def follows(self, handle: Handle) -> bool:
        """Whether an active tape may follow this plain handle's value: then reading a part of it is a step, not a peek at memory."""
        if not self.tapes:
            return False
        data = handle.memory
        if data is None or (self.immediate is not None and handle.segment is self.segment):
            return True
        return any(t.watches(data) for t in self.tapes)

    def hooks(self) -> list[Any]:
        """Tapes to be told of a flush: active ones, and finished ones whose pullback may still be called."""
        if not self.kept:
            return [*self.suspended, *self.tapes] if self.suspended else self.tapes
        alive = [(r, r()) for r in self.kept]
        self.kept = [r for r, tape in alive if tape is not None and tape.waiting()]
        return [*self.suspended, *self.tapes, *(tape for _, tape in alive if tape is not None)]


def _spoiled(end: Step, inputs: Iterable[Any], cause: str) -> tuple[list[Any], dict[int, Exception]]:
    """The inputs' values as far as there are any, and the slots that depend on an input whose own computation fails."""
    path = end.path()
    known: list[Any] = []
    errors: dict[int, Exception] = {}
    for step, value in zip([s for s in path if s.op is INPUT], inputs, strict=True):
        try:
            known.append(value_of(value, cause) if isinstance(value, Handle) else value)
        except Exception as error:
            # it stays in its place, so that a retry finds it
            known.append(value)
            errors[step.index] = error
    for step in path:
        first = next((errors[i] for i in step.operands if i in errors), None)
        if first is not None:
            errors[step.index] = first
    return known, errors


def check_numbers(step: Step, operands: Iterable[Any]) -> None:
    """NEP 50: a Python integer must fit the integer dtype that it meets.

    Raises:
        OverflowError: it does not (ValueError for a negative exponent).
    """
    high = step.high
    assert high is not None
    for value in operands:
        if not within(step, value):
            if step.op.scalar_error is not None:
                raise step.op.scalar_error(value, high)
            raise OverflowError(f"[{step.op.name}] Python integer {value} out of bounds for {integer_name(high)}")


def _is_read_there(shown: ArrayType, base: Handle, recorder: Recorder) -> bool:
    """Whether a view of a known array is picked out where it is used. One that is not contiguous would be copied for native code otherwise
    (1 ms for 4 MiB), and hold on to memory that the program may write over; but should the whole array have to be copied, it must not be
    much more."""
    if shown.strides is None or shown.nbytes < LARGE_VIEW or recorder.immediate is not None:
        return False
    return type(base.memory) is _ndarray and base.type.nbytes <= 2 * shown.nbytes


def pending_twin(handle: Handle) -> Handle:
    """A second handle on a pending value, registered so that it counts as live."""
    twin: Handle = new(type(handle))
    twin.segment, twin.index, twin.type, twin.memory, twin.alias = handle.segment, handle.index, handle.type, handle.memory, None
    # (None: another thread has run it meanwhile)
    if twin.segment is not None:
        twin.segment.arrays.append(twin)
    return twin


def look(data: Any, chain: Iterable[tuple[Op, tuple[Any, ...], Params]]) -> Any:
    """A view's value from its base's: a NumPy view, or the block of a device's memory that it shows (None where that is not one)."""
    if isinstance(data, DeviceValue):
        return data.block(lambda memory: look(memory, chain))
    for op, scalars, params in chain:
        data = op.numpy(data, *scalars, **op.named(params))
    return data


def _look_through(view: Handle, alias: Alias, cause: str) -> Any:
    """What a view shows of its base's newest value; None where the base's memory, on a device, has it in no single block."""
    base = root_of(view)
    root = base.alias
    assert root is not None
    data = view.memory
    if data is None or alias.version != root.version:
        version = root.version
        data = look(value_of(base, cause), alias.chain)
        view.memory, alias.version, alias.segment = data, version, None
    return data


def value_of(handle: Handle, cause: str) -> Any:
    """The value of a handle where it lives (a host array or a DeviceValue), running what it needs. Nobody may write to it."""
    looked()
    alias = handle.alias
    if alias is not None and alias.base is not None:
        data = _look_through(handle, alias, cause)
        if data is None:
            # picked out on the device
            made: Any = root_of(handle)
            for op, scalars, params in alias.chain:
                made = record(op, (made, *scalars), params)
            data = value_of(made, cause)
        return data
    data = handle.memory
    while data is None:
        segment = handle.segment
        if segment is not None:
            data = segment.recorder.run_pending(segment, cause, handle)
        if data is None:
            # (None again: another thread has written to the array meanwhile)
            data = handle.memory
    return data


def observe(handle: Handle, cause: str) -> np.ndarray:
    """The value of a handle as a host array, running what it needs. The array must not be written to."""
    looked()
    alias = handle.alias
    if alias is not None and alias.base is not None:
        data = _look_through(handle, alias, cause)
        if data is None:
            return look(observe(root_of(handle), cause), alias.chain)
    else:
        data = handle.memory
        # as in `value_of`, whose frame would be one more to walk through for the call site: 0.4 µs a flush
        while data is None:
            segment = handle.segment
            if segment is not None:
                data = segment.recorder.run_pending(segment, cause, handle)
            if data is None:
                data = handle.memory
    return data if type(data) is _ndarray else on_host(data)


class _Local(threading.local):
    def __init__(self) -> None:
        self.recorder = Recorder()


local = _Local()
set_local(local)


def current() -> Recorder:
    """This thread's recorder."""
    return local.recorder


set_recorder(record)
# a thread that records already takes changed limits over at its next segment
config.on_change(lambda name: local.recorder.reconfigure())


def run_step(end: Step, slots: tuple[int, ...], inputs: Sequence[Any], scalars: Sequence[Any]) -> Outcome:
    """Execute a known path at once (pure regions)."""
    with run_lock:
        return _executor(end, slots, inputs, scalars)
