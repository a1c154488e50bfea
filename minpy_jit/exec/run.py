"""Run a finished path: look its plan up, bind it when it comes back, keep bound executors within limits.

First encounter: the NumPy reference (on other contexts than the host's: step by step there, see device.py). From the second on: MXNet
executors, bound once per plan and reused while nobody holds their results.
"""

from __future__ import annotations

import sys
import weakref
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from ..config import config
from ..optimize.partition import Stage, partition
from ..optimize.passes import eliminate_dead, optimize
from ..trace.context import CPU, DeviceValue
from ..trace.graph import Graph, graph_of
from ..trace.op import Op, Params
from ..trace.stats import stats
from ..trace.step import CONSTANT, PROJECT, Step, parse_constant
from ..trace.types import ArrayType
from . import device, donation, mx, reference, regions, variants
from .device import STAGE_BYTES, DeviceInstance
from .lower import CARRIERS, Lowered, float32_steps, is_native, lower
from .memory import address_of, is_pooled, pool
from .mx import Executor, MXNetError, NDArray, Symbol, set_threads, threads
from .reference import Poison, under_way

_refcount = sys.getrefcount
# binding costs 10 µs a node: longer programs stay with the reference
LONGEST = 50_000
# what MXNet and the plan keep for a node, besides its memory: measured on chains of 10 to 1000 nodes
NODE_BYTES = 8 << 10
# results of a stage's steps from which on MXNet is asked how much of them it keeps at a time
LARGE_STAGE = 16 << 20
# element operations of one step above which a plan runs on all threads, whatever its regions are worth
SMALL_WORK = 1 << 20


@dataclass(slots=True)
class Outcome:
    """What one run gave. `values` by slot; `errors` by slot of the steps that failed; `transfers` to the host and to other devices."""

    values: dict[int, Any]
    errors: dict[int, Exception] = field(default_factory=dict)
    executor: str = "reference"
    nodes: int = 0
    host_steps: int = 0
    compiled: bool = False
    transfers: tuple[int, int] = (0, 0)


_UNSET = object()


def _carried(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The same memory in a dtype that MXNet has."""
    return array.view(CARRIERS[dtype] if dtype in CARRIERS and dtype != np.bool_ else dtype)


class Instance:
    """One bound executor of a native stage, with the memory behind its variables.

    Attributes:
        nbytes: of the argument and result memory that it owns.
    """

    __slots__ = (
        "bound",
        "dense",
        "executor",
        "filled",
        "held",
        "lowered",
        "nbytes",
        "numbers",
        "outputs",
        "produces",
        "results",
        "staged",
        "symbol",
        "vectors",
    )

    def __init__(self, lowered: Lowered, symbol: Symbol, stage: Stage, values: dict[int, Any], moving: Collection[int]) -> None:
        self.lowered, self.symbol = lowered, symbol
        self.results, self.produces = len(stage.produces), stage.produces
        # per variable of kind "value": the host array that the executor reads
        self.staged: dict[int, np.ndarray] = {}
        self.bound: dict[int, np.ndarray] = {}
        # regions read values in C order
        self.dense: dict[int, np.ndarray] = {}
        for variable in lowered.variables:
            if variable.kind == "value":
                value = values[variable.position]
                large = value.nbytes > STAGE_BYTES and variable.position not in moving
                if large and value.flags.c_contiguous and value.dtype != np.bool_:
                    self.bound[variable.position] = value
                else:
                    self.staged[variable.position] = np.empty(variable.shape, value.dtype)
        self._bind()

    def _bind(self) -> None:
        scalars: dict[np.dtype, list[int]] = {}
        for variable in self.lowered.variables:
            if variable.kind == "scalar" and not variable.shape:
                scalars.setdefault(variable.dtype, []).append(variable.position)
        self.filled: list[list[Any]] = []
        # one packed vector per dtype, filled by one assignment a run
        self.vectors = {dtype: np.zeros(len(positions), dtype) for dtype, positions in scalars.items()}
        self.numbers = [(self.vectors[dtype], tuple(positions)) for dtype, positions in scalars.items()]
        arguments = []
        for variable in self.lowered.variables:
            if variable.kind == "constant":
                assert variable.constant is not None
                array = variable.constant
            elif variable.kind == "address":
                array = np.zeros(variable.shape, variable.dtype)
            elif variable.kind == "scalar" and variable.shape:
                array = np.empty(variable.shape, variable.dtype)
            elif variable.kind == "scalar":
                vector = self.vectors[variable.dtype]
                at = scalars[variable.dtype].index(variable.position)
                array = vector[at : at + 1].reshape(())
            elif variable.position in self.staged:
                array = self.staged[variable.position]
            else:
                array = self.bound[variable.position]
            argument = NDArray(array if variable.kind == "constant" else _carried(array, variable.dtype))
            if variable.kind == "value" and variable.position in self.staged:
                # a bool argument lives in MXNet's own memory
                self.staged[variable.position] = argument.array.view(array.dtype)
            if variable.kind == "scalar" and variable.shape:
                # an array, its position, and the number that it holds
                self.filled.append([argument.array, variable.position, _UNSET])
            elif variable.kind == "scalar" and variable.dtype == np.bool_:
                # and so does a bool number, outside its vector
                self.numbers.append((argument.array.reshape(1), (variable.position,)))
            arguments.append(argument)
        self.executor = Executor(self.symbol, arguments, training=self.lowered.training)
        self.outputs = self.executor.outputs
        for k, dtype in self.lowered.carried:
            self.outputs[k] = self.outputs[k].view(dtype)
        direct = self.lowered.outside
        # results that stand in MXNet's memory
        self.held = [output for k, output in enumerate(self.outputs) if k not in direct]
        # once: the cache adds them all up for each plan that comes (5 ms where 256 plans were asked anew)
        self.nbytes = sum(a.nbytes for a in self.staged.values()) + sum(a.nbytes for a in self.outputs)
        stats.counts["binds"] += 1

    def free(self, dying: Mapping[int, int]) -> bool:
        """Whether nobody holds a result of the last run but the dying inputs of this one (`dying`: references by identity)."""
        for output in self.held:
            # ours: two lists, the loop variable, the argument
            count = _refcount(output) - 4
            if count > 0 and count > dying.get(id(output), 0):
                return False
        return True

    def run(self, values: dict[int, Any], dying: Mapping[int, int], slots: Mapping[int, int] | None = None) -> list[np.ndarray]:
        """Fill the variables, run, return the results (memory of this instance: see `free`, or of their own).

        Args:
            values: by position.
            dying: see `free`.
            slots: positions by slot, where results may stand in the memory of dying inputs.
        """
        moved = [p for p, array in self.bound.items() if values[p] is not array]
        if moved:
            for position in moved:
                array = self.bound.pop(position)
                self.staged[position] = np.empty(array.shape, array.dtype)
            self._bind()
        for position, memory in self.staged.items():
            memory[...] = values[position]
        for held in self.filled:
            value = values[held[1]]
            if value is not held[2]:
                # by identity: equal numbers may differ in the sign of zero
                held[0].fill(value)
                held[2] = value
        for vector, positions in self.numbers:
            vector[:] = [values[p] for p in positions]
        results = self.outputs[: self.results]
        if self.lowered.writes or self.lowered.reads:
            self._address(values, dying, slots, results)
        under_way.instance, under_way.values = self, values
        self.executor.forward()
        for k, guard in enumerate(self.lowered.guards):
            # 0.2 µs where `.any()` takes 2.3
            if np.count_nonzero(self.outputs[self.results + k]):
                raise reference.describe(guard.error(guard.message), guard.node)
        return results

    def _address(
        self, values: dict[int, Any], dying: Mapping[int, int], slots: Mapping[int, int] | None, results: list[np.ndarray]
    ) -> None:
        """Tell regions where their operands and results are. Results that stand outside MXNet's memory take their places in `results`."""
        lowered = self.lowered
        for direct in lowered.reads:
            value = values[direct.position]
            if not (value.flags.c_contiguous and value.flags.aligned):
                dense = self.dense.get(direct.position)
                if dense is None:
                    dense = self.dense[direct.position] = np.empty(direct.type.shape, direct.type.dtype)
                    self.nbytes += dense.nbytes
                regions.copy(dense, value)
                value = dense
            address = address_of(value)
            for table, k in direct.places:
                table[k] = address
        given: list[np.ndarray] = []
        for number, direct in lowered.writes:
            type_ = direct.type
            made: np.ndarray | None = None
            for position in direct.in_place if slots is not None else ():
                value = values[position]
                # ours: the local name, the argument, and the list where it was taken already
                if _refcount(value) - 2 == dying.get(id(value), 0) and is_pooled(value):
                    made = np.ndarray(type_.shape, type_.dtype, value.base)
                    given.append(value)
                    stats.counts["in_place"] += 1
                    break
            if made is None:
                made = pool.array(type_.shape, type_.dtype, type_.nbytes)
            results[number] = made
            address = address_of(made)
            for table, k in direct.places:
                table[k] = address
        donation.settle()
        lowered.tables[0].value = 0
        if given:
            assert slots is not None
            made_here = dict(zip(self.produces, results, strict=True))
            donation.note(lowered.tables[0], given, {slot: made_here[p] if p in made_here else values[p] for slot, p in slots.items()})


class NativeStage:
    """A stage that MXNet runs: a symbol, and the executors bound to it."""

    __slots__ = (
        "can_donate",
        "float32",
        "float32_fused",
        "instances",
        "internal",
        "is_large",
        "lowered",
        "moving",
        "private",
        "stage",
        "symbol",
        "types",
    )

    def __init__(self, graph: Graph, stage: Stage, native: bool) -> None:
        self.stage = stage
        self.lowered = device.placed(lower(graph, stage, native and stage.context is CPU), stage.context)
        self.symbol = Symbol(self.lowered.json)
        fused = self.lowered.fused
        self.float32 = float32_steps([graph.nodes[p] for p in stage.nodes if p not in fused])
        self.float32_fused = float32_steps([graph.nodes[p] for p in fused])
        self.types: list[ArrayType] = [graph.nodes[p].type for p in stage.produces]
        self.instances: list[Instance | DeviceInstance] = []
        # inputs that were seen to be another array than before
        self.moving: set[int] = set()
        nodes = [graph.nodes[p].type for p in stage.nodes]
        self.is_large = sum(t.nbytes for type_ in nodes for t in (type_ if isinstance(type_, tuple) else (type_,))) > LARGE_STAGE
        # bytes that an executor keeps for what lies between arguments and results
        self.internal = 0
        # whether results may stand in dying inputs' memory: nothing in it can fail once a region has begun
        self.can_donate = self.lowered.nodes == len(self.lowered.code) and not self.lowered.guards
        # its results are copied, so that nobody ever holds its memory
        self.private: Instance | DeviceInstance | None = None

    def run(self, values: dict[int, Any], dying: Mapping[int, int], slots: Mapping[int, int] | None = None) -> bool:
        """Run and put the results into `values`; returns whether an executor had to be bound. (For the arguments see `Instance.run`.)"""
        instance = None
        for candidate in self.instances:
            if candidate.free(dying):
                instance = candidate
                break
        copied = instance is None and len(self.instances) >= config.max_instances
        if copied:
            instance = self.private
        compiled = instance is None
        if instance is None:
            for other in self.instances:
                self.moving.update([p for p, array in other.bound.items() if values[p] is not array])
            # those hold on to an array that is another by now, so that whoever made it must make the next one elsewhere
            self.instances = [i for i in self.instances if self.moving.isdisjoint(i.bound)]
            bind = Instance if self.stage.context is CPU else DeviceInstance
            instance = bind(self.lowered, self.symbol, self.stage, values, self.moving)
            direct = self.lowered.outside
            for k, (output, type_) in enumerate(zip(instance.outputs, self.types, strict=False)):
                if k in direct:
                    continue
                if output.shape != type_.shape or output.dtype != type_.dtype:
                    raise MXNetError(f"MXNet typed a result {output.dtype}{output.shape}; the program says {type_}")
            if self.is_large:
                self.internal = instance.executor.internal_bytes()
            if copied:
                self.private = instance
            else:
                self.instances.append(instance)
        results: Sequence[Any] = instance.run(values, dying, slots if self.can_donate else None)
        if copied:
            # a program that keeps all its results: copying 30 KiB takes 3 µs, binding 100 µs and 10 more a node
            own = self.lowered.outside
            results = [r if k in own else r.copy() for k, r in enumerate(results)]
        counts = stats.counts
        counts["executor_runs"] += 1
        counts["mxnet_nodes"] += self.lowered.nodes
        counts["float32_executor_steps"] += self.float32
        counts["float32_region_steps"] += self.float32_fused
        values.update(zip(self.stage.produces, results, strict=True))
        return compiled

    @property
    def nbytes(self) -> int:
        """What its bound executors hold."""
        bound = [i for i in (*self.instances, self.private) if i is not None]
        return sum(i.nbytes for i in bound) + (self.internal + self.lowered.nodes * NODE_BYTES) * len(bound)


class HostStage:
    """Steps that go through NumPy."""

    __slots__ = ("float32", "graph", "stage")
    # op, operand types, params, operands, result type -> result
    evaluate: Callable[[Op, Sequence[ArrayType], Params, Sequence[Any], Any], Any] = staticmethod(reference.evaluate)

    def __init__(self, graph: Graph, stage: Stage) -> None:
        self.graph, self.stage = graph, stage
        self.float32 = float32_steps([graph.nodes[p] for p in stage.nodes])

    def run(self, values: dict[int, Any], dying: Mapping[int, int], slots: Mapping[int, int] | None = None) -> bool:
        nodes = self.graph.nodes
        for position in self.stage.nodes:
            node = nodes[position]
            operands = [values[i] for i in node.operands]
            if node.op is PROJECT:
                values[position] = operands[0][node.params[0]]
                continue
            try:
                values[position] = self.evaluate(node.op, [nodes[i].type for i in node.operands], node.params, operands, node.type)
            except Exception as error:
                raise reference.describe(error, node) from error
        stats.counts["host_steps"] += len(self.stage.nodes)
        stats.counts["float32_host_steps"] += self.float32
        return False


class DeviceHostStage(HostStage):
    """The same in a program with values on devices: operands are fetched, results belong where they are needed."""

    __slots__ = ()
    evaluate = staticmethod(device.through_numpy)


class Plan:
    """A program ready to run: optimised, partitioned, lowered. Attributes are what `explain` shows."""

    __slots__ = (
        "__weakref__",
        "counted",
        "donors",
        "executor",
        "given",
        "graph",
        "host_steps",
        "key",
        "leaves",
        "may_raise",
        "nodes",
        "places",
        "runs",
        "slots",
        "stages",
        "threads",
    )

    def __init__(self, graph: Graph, slots: tuple[int, ...], native: bool | None = None) -> None:
        """`native`: whether regions may run parts of it; where not said, if there are any."""
        if native is None:
            native = regions.available()
        self.slots = slots
        self.graph = graph
        self.key: tuple = ()
        self.runs = 0
        # what the cache has counted it with
        self.counted = 0
        host_stage = DeviceHostStage if device.is_elsewhere(graph) else HostStage
        self.stages: list[NativeStage | HostStage] = [
            NativeStage(graph, s, native) if s.native else host_stage(graph, s)
            for s in partition(
                graph, lambda p, n: (native and regions.takes(graph, n)) or (is_native(graph, n) and not device.is_refused(graph, n))
            )
        ]
        self.nodes = sum(s.lowered.nodes for s in self.stages if isinstance(s, NativeStage))
        self.host_steps = sum(len(s.stage.nodes) for s in self.stages if isinstance(s, HostStage))
        self.may_raise = any(
            bool(s.lowered.guards) if isinstance(s, NativeStage) else any(graph.nodes[p].op.raises for p in s.stage.nodes)
            for s in self.stages
        )
        self.executor = "mixed" if self.nodes and self.host_steps else "mxnet" if self.nodes else "reference"
        self.donors = self._donors()
        self.leaves = reference.leaf_values(graph)
        # of the inputs and numbers, and of the results by slot
        self.given = (*graph.inputs, *graph.scalars)
        self.places = dict(zip(slots, graph.outputs, strict=True))
        # waking a second thread costs more than small work: measured on elementwise loops and products of two cores. (Regions know their
        # own; oneDNN's primitives must not see the number change.)
        lowered = [s.lowered for s in self.stages if isinstance(s, NativeStage)]
        shared = any(found.training or found.parallel for found in lowered)
        self.threads = threads() if shared or _work(graph) > SMALL_WORK else 1

    def _donors(self) -> tuple[int, ...]:
        """Which inputs, by number, the last stage may write over when nobody else holds them: those that are no results themselves.

        Earlier stages take none (what runs after them reads the inputs), nor does a program that may fail (it would need them once more).
        """
        if self.may_raise:
            return ()
        results = set(self.graph.outputs)
        return tuple([k for k, p in enumerate(self.graph.inputs) if p not in results])

    @property
    def host_positions(self) -> tuple[int, ...]:
        """The nodes that go through NumPy."""
        steps = [p for s in self.stages if isinstance(s, HostStage) for p in s.stage.nodes]
        return tuple([p for p in steps if self.graph.nodes[p].op is not PROJECT])

    def run(self, inputs: Sequence[Any], scalars: Sequence[Any], donate: bool = False) -> Outcome:
        """Values of the plan's slots. `donate`: inputs that nobody else holds may be gone afterwards."""
        values: dict[int, Any] = dict(zip(self.given, [*inputs, *scalars], strict=True))
        values.update(self.leaves)
        compiled = False
        set_threads(self.threads)
        for stage in self.stages[:-1]:
            compiled |= stage.run(values, {})
        # an input is held by the list of inputs and by `values`; if by nobody else, its memory may be written again by this very run,
        # which has copied it by then
        donors = self.donors
        dying = dict.fromkeys(map(id, inputs if len(donors) == len(inputs) else [inputs[k] for k in donors]), 2)
        slots = self.places if donate and dying else None
        for stage in self.stages[-1:]:
            compiled |= stage.run(values, dying, slots)
        self.runs += 1
        return Outcome(
            {slot: values[p] for slot, p in self.places.items()},
            {},
            self.executor,
            self.nodes,
            self.host_steps,
            compiled,
        )

    @property
    def nbytes(self) -> int:
        return sum(s.nbytes for s in self.stages if isinstance(s, NativeStage))


class DevicePlan(Plan):
    """A program with values on other contexts than the host's: what it transfers is told."""

    __slots__ = ()

    def run(self, inputs: Sequence[Any], scalars: Sequence[Any], donate: bool = False) -> Outcome:
        before = device.transfers()
        outcome = super().run(inputs, scalars, donate)
        outcome.transfers = device.transfers(since=before)
        return outcome

    def is_outdated(self) -> bool:
        """Whether MXNet has refused a step on a device, since this was partitioned, that is one of an executor's here."""
        stages = [s.stage for s in self.stages if isinstance(s, NativeStage)]
        return any(device.is_refused(self.graph, self.graph.nodes[p]) for s in stages for p in s.nodes)


def plan_of(graph: Graph, slots: tuple[int, ...], native: bool | None = None) -> Plan:
    """The plan of an optimised graph."""
    return (DevicePlan if device.is_elsewhere(graph) else Plan)(graph, slots, native)


def _work(graph: Graph) -> int:
    """The largest step's cost in element operations: what its entry says, or its elements, times the inner length for a product."""
    largest = 0
    for node in graph.nodes:
        results = node.type if isinstance(node.type, tuple) else (node.type,)
        cost = sum(t.size for t in results)
        operands = [graph.nodes[i].type for i in node.operands]
        if node.op.work is not None:
            cost = node.op.work(tuple(operands), node.op.named(node.params))
        elif node.op.family == "linalg" and operands and not isinstance(operands[0], tuple):
            cost *= max(operands[0].shape[-1:] or (1,))
        else:
            cost = max([cost, *(t.size for t in operands if not isinstance(t, tuple))])
        largest = max(largest, cost)
    return largest


class PlanCache:
    """Plans with bound executors, least recently run first. Keyed by content, so equal programs of different places share one.

    Nothing else holds a plan: one that is evicted is freed with its executors, its symbol (some 3 KiB a node) and its graph.
    """

    def __init__(self) -> None:
        self.plans: OrderedDict[tuple, Plan] = OrderedDict()
        # hashing a key of 60 nodes takes 4 µs, so a plan run again and again is not looked up
        self.newest: Plan | None = None
        self.evictions = 0
        # the bytes that all plans held when they were last counted, and those that have run since: only these can hold more by now
        self.counted = 0
        self.uncounted: set[Plan] = set()

    def get(self, graph: Graph, slots: tuple[int, ...], native: bool = True) -> Plan:
        """The plan of an optimised graph; compiles it when it is new. `native`: whether regions may run parts of it."""
        native = native and regions.available()
        key = Key((*fingerprint(graph), slots, native, config.exact_products))
        plan = self.plans.get(key)
        if plan is None:
            started = perf_counter()
            plan = plan_of(graph, slots, native)
            plan.key = key
            stats.counts["compiles"] += 1
            stats.seconds["compile"] += perf_counter() - started
            self.plans[key] = plan
            self.shrink()
        return plan

    def touch(self, plan: Plan) -> None:
        """Note a use."""
        # (not there: a signal handler, say, has cleared the cache meanwhile)
        if self.newest is not plan and plan.key in self.plans:
            self.newest = plan
            self.plans.move_to_end(plan.key)
            self.uncounted.add(plan)

    def shrink(self) -> None:
        """Evict until the limits hold."""
        ran, self.uncounted = self.uncounted, set()
        for plan in ran:
            if self.plans.get(plan.key) is plan:
                self.counted += plan.nbytes - plan.counted
                plan.counted = plan.nbytes
        while len(self.plans) > config.max_executors or (len(self.plans) > 1 and self.counted > config.max_executor_bytes):
            self.drop(next(iter(self.plans.values())))
            self.evictions += 1
            stats.counts["evictions"] += 1

    def drop(self, plan: Plan) -> None:
        """Forget a plan: the oldest, or one that must not be run again."""
        dropped = self.plans.pop(plan.key, None)
        if dropped is not None:
            self.counted -= dropped.counted
        self.uncounted.discard(plan)
        self.newest = None

    @property
    def nbytes(self) -> int:
        # a list: another thread may be adding a plan
        return sum(p.nbytes for p in list(self.plans.values()))

    def clear(self) -> None:
        """Release everything."""
        self.newest = None
        self.plans.clear()
        self.uncounted.clear()
        self.counted = 0
        pool.clear()
        device.clear()
        variants.clear()


plan_cache = PlanCache()


# counts changes of the settings under which a plan runs: one made before is looked up, or compiled, anew
_settings = 0


def _reconfigured(name: str) -> None:
    global _settings
    if name in ("native", "deterministic", "exact_products"):
        _settings += 1


config.on_change(_reconfigured)


class Key(tuple):
    """A tuple that knows its hash, once asked: that of 60 nodes takes 4 µs each time."""

    _hash: int | None = None

    def __hash__(self) -> int:
        found = self._hash
        if found is None:
            found = self._hash = super().__hash__()
        return found


def fingerprint(graph: Graph) -> tuple:
    """The content of a graph as a hashable, printable key."""
    return (tuple([(n.op.name, n.operands, n.params, n.type) for n in graph.nodes]), graph.outputs)


def _no_plan() -> Plan | None:
    return None


@dataclass(slots=True)
class Encounter:
    """How often a path was flushed with this set of live slots, at which time it is compiled, and its plan while the cache has it."""

    count: int = 0
    compiled_at: int = 2
    plan: Callable[[], Plan | None] = _no_plan
    # encounters to wait for, should the plan be evicted
    patience: int = variants.PATIENCE
    # when its plan was found
    settings: int = 0

    def put_off(self, end: Step) -> None:
        """The plan was evicted before it came back: more programs are in use than the cache takes, so compiling would never end."""
        self.plan = _no_plan
        self.compiled_at = self.count + self.patience
        self.patience = min(2 * self.patience, variants.LONGEST_PATIENCE)
        variants.evicted(end)


def encounters(end: Step) -> dict[tuple[int, ...], Encounter]:
    """What is known about the path that ends at this step, by live slots."""
    memo = end.remember()
    found = memo.get("encounters")
    if found is None:
        found = memo["encounters"] = {}
    return found


_running = False


def execute(end: Step, slots: tuple[int, ...], inputs: Sequence[Any], scalars: Sequence[Any], once: bool = False) -> Outcome:
    """Compute the values of `slots` on the path that ends at `end`. `once`: it is not worth a compile."""
    global _running
    salvaged = donation.salvaged(inputs, slots)
    if salvaged is not None:
        return Outcome(salvaged, executor="mxnet")
    if _running or once:
        # what comes in the middle of a run (a signal handler's observation) must leave its executors alone
        return _run_reference(eliminate_dead(graph_of(end, slots)), slots, under_way.intact(inputs), scalars)
    _running = True
    try:
        return _execute(end, slots, inputs, scalars)
    except BaseException:
        _restore()
        raise
    finally:
        _running = False
        under_way.done()


def _restore() -> None:
    """Ctrl-C, say: a retry needs the inputs whose memory the run has written to."""
    for array, memory in under_way.copies():
        if isinstance(array, np.ndarray):
            array[...] = memory
        else:
            array.fill_from(memory)


def _execute(end: Step, slots: tuple[int, ...], inputs: Sequence[Any], scalars: Sequence[Any]) -> Outcome:
    known = encounters(end)
    encounter = known.get(slots)
    if encounter is None:
        wanted = set(slots)
        for other, candidate in known.items():
            if candidate.plan() is not None and wanted.issubset(other):
                encounter = candidate
                break
        else:
            if known and len(known) >= 2:
                # the live set flickers (cycles, tracebacks, `_`): bind the union once, it serves them all
                slots = tuple(sorted(wanted.union(*known)))
                known.clear()
                encounter = known[slots] = Encounter(count=1)
            else:
                encounter = known[slots] = Encounter(compiled_at=2 if known else variants.met(end))
    encounter.count += 1
    if encounter.settings != _settings:
        encounter.plan, encounter.settings = _no_plan, _settings
    plan = encounter.plan()
    if plan is None and encounter.plan is not _no_plan:
        encounter.put_off(end)
    if config.check_nan or mx.forked:
        plan = None
    if plan is None:
        early = encounter.count < encounter.compiled_at and config.first_run == "reference" and not config.deterministic
        if early or end.index > LONGEST or config.check_nan or mx.forked or mx.is_too_late():
            started = perf_counter()
            outcome = _run_reference(eliminate_dead(graph_of(end, slots)), slots, inputs, scalars)
            stats.seconds["run"] += perf_counter() - started
            return outcome
        started = perf_counter()
        graph = optimize(graph_of(end, slots))
        stats.seconds["optimize"] += perf_counter() - started
        plan = plan_cache.get(graph, slots)
        encounter.plan = weakref.ref(plan)
    else:
        stats.counts["cache_hits"] += 1
    plan_cache.touch(plan)
    started = perf_counter()
    try:
        outcome = plan.run(inputs, scalars, donate=True)
    except Exception as error:
        _restore()
        under_way.done()
        if isinstance(error, MemoryError):
            # step by step takes less, and the bound executors (the frames of the traceback hold this one's) are not needed for it
            plan, error.__traceback__ = None, None
            plan_cache.clear()
        outcome = _recover(error, end, slots, inputs, scalars)
        if isinstance(error, MXNetError) and isinstance(plan, DevicePlan) and plan.is_outdated():
            # step by step it was found what this device refuses: the next run binds the rest
            plan_cache.drop(plan)
            encounter.plan = _no_plan
    stats.seconds["run"] += perf_counter() - started
    return outcome


def _run_reference(graph: Graph, slots: tuple[int, ...], inputs: Sequence[Any], scalars: Sequence[Any]) -> Outcome:
    if device.is_elsewhere(graph):
        before, calls, host_steps = device.transfers(), stats.counts["device_calls"], stats.counts["host_steps"]
        values = reference.run(graph, inputs, scalars, keep_going=True, run_node=device.run_node)
        stats.counts["stepwise_runs"] += 1
        outcome = Outcome({}, {}, "stepwise", stats.counts["device_calls"] - calls, stats.counts["host_steps"] - host_steps)
        outcome.transfers = device.transfers(since=before)
    else:
        values = reference.run(graph, inputs, scalars, keep_going=True)
        stats.counts["reference_runs"] += 1
        stats.counts["float32_reference_steps"] += float32_steps(graph.nodes)
        outcome = Outcome({}, {}, "reference", 0, len(graph.nodes))
    for slot, value in zip(slots, values, strict=True):
        if type(value) is Poison:
            outcome.errors[slot] = value.error
        else:
            outcome.values[slot] = value
    return outcome


def _recover(error: Exception, end: Step, slots: tuple[int, ...], inputs: Sequence[Any], scalars: Sequence[Any]) -> Outcome:
    """A run failed: step by step it is found where, and what does not depend on it is kept."""
    if isinstance(error, MXNetError):
        stats.counts["mxnet_errors"] += 1
    outcome = _run_reference(eliminate_dead(graph_of(end, slots)), slots, inputs, scalars)
    if not outcome.errors and not isinstance(error, (MXNetError, MemoryError)):
        raise error
    return outcome


def compiled(graph: Graph, native: bool = True) -> Any:
    """A graph as a function of its inputs and numbers that returns the values of its outputs. `native`: whether regions may run parts."""
    optimized = optimize(graph)
    slots = tuple(range(len(graph.outputs)))
    known: Callable[[], Plan | None] = _no_plan
    settings = _settings

    def run(inputs: Sequence[Any], scalars: Sequence[Any]) -> list[Any]:
        nonlocal known, settings
        global _running
        if settings != _settings:
            known, settings = _no_plan, _settings
        plan = known()
        if mx.forked or _running or (plan is None and mx.is_too_late()):
            return reference.run(optimized, inputs, scalars, run_node=device.run_node if device.is_elsewhere(optimized) else None)
        if plan is None:
            plan = plan_cache.get(optimized, slots, native)
            known = weakref.ref(plan)
        plan_cache.touch(plan)
        _running = True
        try:
            values = plan.run(inputs, scalars).values
        except BaseException:
            _restore()
            raise
        finally:
            _running = False
            under_way.done()
        return [values[slot] for slot in slots]

    return run


def compute_numpy(step: Step, operands: Sequence[Any]) -> Any:
    """Mode "numpy": one step, now."""
    if step.op is PROJECT:
        return operands[0][step.params[0]]
    if step.op is CONSTANT:
        return parse_constant(*step.params)
    elsewhere = device.context_of(step.type) is not CPU or any(isinstance(o, DeviceValue) for o in operands)
    evaluate = device.through_numpy if elsewhere else reference.evaluate
    return evaluate(step.op, step.types, step.params, operands, step.type, errors=reference.asked_errors())
