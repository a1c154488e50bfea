"""Steps on other contexts than the host's: bound executors whose variables and results stay there, and single steps, through MXNet's
imperative interface where it has an operator, else through NumPy on copies.

`cpu(1)` goes the way of `gpu(0)` in everything.
"""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..config import config
from ..optimize.partition import Stage
from ..trace.context import CPU, Context, on_host, place
from ..trace.graph import Graph, Node
from ..trace.op import Op, Params
from ..trace.stats import stats
from ..trace.step import INPUT, PROJECT, SCALAR, Step
from ..trace.types import ArrayType
from . import mx, reference
from .lower import Lowered, Variable, argument_order, is_native, lower
from .mx import DeviceArray, Executor, MXNetError, Symbol

_refcount = sys.getrefcount
# inputs up to this size are always copied into the executor's own memory (a copy of 16 KiB takes about 1 µs);
# larger ones are bound where they are, until they are seen to move
STAGE_BYTES = 1 << 16


def context_of(type_: Any) -> Context:
    """Where a step's result lives, given its type (or types)."""
    return (type_[0] if isinstance(type_, tuple) else type_).context


def resident(value: Any, context: Context) -> DeviceArray:
    """A value as an array of a device (host arrays get a copy there)."""
    found = value if isinstance(value, DeviceArray) else mx.place(value, context)
    assert isinstance(found, DeviceArray) and found.context is context
    return found


def placed(lowered: Lowered, context: Context) -> Lowered:
    """A lowered stage with its constants where it runs: one copy of each, whatever is bound to it."""
    if context is CPU:
        return lowered
    variables = [replace(v, constant=resident(v.constant, context)) if v.constant is not None else v for v in lowered.variables]
    return replace(lowered, variables=tuple(variables))


# -- bound executors ---------------------------------------------------------------------------------------------------------------------
class _Numbers:
    """The Python numbers of one dtype: packed in one vector, which goes to the device in one copy, and only when one of them changed."""

    __slots__ = ("expanded", "positions", "sent", "vector", "width")

    def __init__(self, dtype: np.dtype, positions: tuple[int, ...], context: Context) -> None:
        self.positions = positions
        self.vector = DeviceArray.empty((len(positions),), dtype, context)
        # bits of the numbers that the device holds
        self.sent = b""
        self.width = dtype.itemsize
        # element number, and an array that is filled with it
        self.expanded: list[tuple[int, DeviceArray]] = []

    def element(self, position: int) -> DeviceArray:
        """The place of one number, as a 0-d array."""
        k = self.positions.index(position)
        return self.vector.block(lambda vector: vector[k : k + 1].reshape(()))

    def send(self, values: Mapping[int, Any]) -> None:
        """Take over the numbers of this run."""
        host = np.array([values[p] for p in self.positions], self.vector.dtype)
        bits = host.tobytes()
        if bits == self.sent:
            return
        # through memory of its own: nothing waits until earlier runs have read theirs
        self.vector.fill_from(mx.place(host, self.vector.context))
        for k, array in self.expanded:
            at = slice(k * self.width, (k + 1) * self.width)
            if bits[at] != self.sent[at]:
                array.broadcast_from(self.element(self.positions[k]))
        self.sent = bits


class DeviceInstance:
    """One bound executor of a stage on a device (see `Instance` in run.py): copies from device to device, and waits for nothing."""

    __slots__ = ("bound", "context", "executor", "lowered", "numbers", "outputs", "results", "staged", "symbol")

    def __init__(self, lowered: Lowered, symbol: Symbol, stage: Stage, values: Mapping[int, Any], moving: Collection[int] = ()) -> None:
        self.lowered, self.symbol, self.context = lowered, symbol, stage.context
        self.results = len(stage.produces)
        self.staged: dict[int, DeviceArray] = {}
        self.bound: dict[int, DeviceArray] = {}
        for variable in lowered.variables:
            if variable.kind == "value":
                value = values[variable.position]
                if value.nbytes > STAGE_BYTES and variable.position not in moving:
                    self.bound[variable.position] = resident(value, self.context)
                else:
                    self.staged[variable.position] = DeviceArray.empty(variable.shape, variable.dtype, self.context)
        self._bind()

    def _bind(self) -> None:
        positions: dict[np.dtype, dict[int, None]] = {}
        for variable in self.lowered.variables:
            if variable.kind == "scalar":
                positions.setdefault(variable.dtype, {})[variable.position] = None
        self.numbers = {dtype: _Numbers(dtype, tuple(found), self.context) for dtype, found in positions.items()}
        arguments = [self._argument(v) for v in self.lowered.variables]
        self.executor = Executor(self.symbol, arguments, self.context, self.lowered.training)
        self.outputs: list[DeviceArray] = self.executor.outputs
        stats.counts["binds"] += 1

    def _argument(self, variable: Variable) -> DeviceArray:
        if variable.kind == "constant":
            assert isinstance(variable.constant, DeviceArray)
            return variable.constant
        if variable.kind == "value":
            found = self.staged.get(variable.position)
            return self.bound[variable.position] if found is None else found
        numbers = self.numbers[variable.dtype]
        if not variable.shape:
            return numbers.element(variable.position)
        filled = DeviceArray.empty(variable.shape, variable.dtype, self.context)
        numbers.expanded.append((numbers.positions.index(variable.position), filled))
        return filled

    def free(self, dying: Mapping[int, int]) -> bool:
        """Whether nobody holds a result of the last run but the dying inputs of this one (`dying`: references by identity)."""
        for output in self.outputs:
            # ours: the list, the loop variable, the argument
            count = _refcount(output) - 3
            if count > 0 and count > dying.get(id(output), 0):
                return False
        return True

    def run(self, values: Mapping[int, Any], dying: Any = None, slots: Any = None) -> list[DeviceArray]:
        """Fill the variables, run, return the results (memory of this instance: see `free`)."""
        moved = [p for p, array in self.bound.items() if values[p] is not array]
        if moved:
            for position in moved:
                array = self.bound.pop(position)
                self.staged[position] = DeviceArray.empty(array.shape, array.dtype, self.context)
            self._bind()
        for position, memory in self.staged.items():
            memory.fill_from(resident(values[position], self.context))
        for numbers in self.numbers.values():
            numbers.send(values)
        reference.under_way.instance, reference.under_way.values = self, values
        for output in self.outputs:
            output.written()
        self.executor.forward()
        for k, guard in enumerate(self.lowered.guards):
            # the one thing that a run waits for: whether to go on depends on it
            if np.count_nonzero(self.outputs[self.results + k].host()):
                raise reference.describe(IndexError(guard.message), guard.node)
        return self.outputs[: self.results]

    @property
    def nbytes(self) -> int:
        """Bytes of argument and result memory that this instance owns."""
        return sum(a.nbytes for a in self.staged.values()) + sum(a.nbytes for a in self.outputs)


# -- single steps ------------------------------------------------------------------------------------------------------------------------
class DeviceCall:
    """One op on operands of known types through MXNet's imperative interface, on a device."""

    __slots__ = ("constants", "context", "guards", "heads", "nodes", "numbers", "operators", "types", "variables", "zero_d")

    def __init__(self, lowered: Lowered, program: Mapping[str, Any], context: Context, types: Sequence[ArrayType]) -> None:
        self.context, self.types = context, types
        self.nodes: list[dict[str, Any]] = program["nodes"]
        heads = [tuple(h) for h in program["heads"]]
        self.heads = heads[: len(types)]
        self.guards = list(zip(heads[len(types) :], lowered.guards, strict=False))
        names = [i for i in argument_order(self.nodes, heads) if self.nodes[i]["op"] == "null"]
        self.variables = dict(zip(names, lowered.variables, strict=True))
        self.constants = {i: v.constant for i, v in self.variables.items() if v.constant is not None}
        # what the device holds of each Python number: its bits, the array
        self.numbers: dict[int, tuple[bytes, DeviceArray]] = {}
        self.operators: dict[int, tuple[Any, Any, Any]] = {}
        for i, node in enumerate(self.nodes):
            if node["op"] == "null":
                continue
            attributes = dict(node.get("attrs", {}))
            if not node["inputs"]:
                # no operand says where
                attributes["ctx"] = repr(context)
            names_ = (ctypes.c_char_p * len(attributes))(*[k.encode() for k in attributes])
            texts = (ctypes.c_char_p * len(attributes))(*[v.encode() for v in attributes.values()])
            self.operators[i] = (mx.creator(node["op"]), names_, texts)
        self.zero_d = 0 in [len(v.shape) for v in lowered.variables] + [t.ndim for t in types]

    def run(self, operands: Sequence[Any]) -> list[DeviceArray]:
        """Invoke; the results have their values when the device comes to it."""
        if self.zero_d:
            with mx.np_shape():
                return self._run(operands)
        return self._run(operands)

    def _number(self, variable: Variable, value: Any) -> DeviceArray:
        host = np.full(variable.shape, value, variable.dtype)
        bits = host.tobytes()
        known = self.numbers.get(variable.position)
        if known is None or known[0] != bits:
            # a number is often the same as last time
            known = self.numbers[variable.position] = (bits, resident(host, self.context))
        return known[1]

    def _run(self, operands: Sequence[Any]) -> list[DeviceArray]:
        made: dict[int, list[Any]] = {}
        for i, variable in self.variables.items():
            array = self.constants.get(i)
            if array is None and variable.kind == "scalar":
                array = self._number(variable, operands[variable.position])
            elif array is None:
                array = resident(operands[variable.position], self.context)
            made[i] = [array]
        for i, (operator, names, texts) in self.operators.items():
            sources = self.nodes[i]["inputs"]
            inputs = (ctypes.c_void_p * len(sources))(*[made[source][output].handle for source, output, *_ in sources])
            made[i] = [mx.Owned(handle) for handle in mx.invoke(operator, inputs, names, texts)]
        for (i, output, *_), guard in self.guards:
            handle = made[i][output].handle
            flags = DeviceArray(mx.shape_of(handle), mx.dtype_of(handle), self.context, owned=made[i][output])
            if np.count_nonzero(flags.host()):
                raise IndexError(guard.message)
        return [
            DeviceArray(t.shape, t.dtype, self.context, owned=made[i][output])
            for (i, output, *_), t in zip(self.heads, self.types, strict=True)
        ]


class DeviceBound:
    """One op whose lowering the imperative interface cannot run (MXNet's hidden gradients need the forward operator beside them, and that
    one MXNet's training mode): an executor of its own, whose results are copied."""

    __slots__ = ("instance", "lowered", "stage", "symbol")

    def __init__(self, lowered: Lowered, stage: Stage) -> None:
        self.lowered, self.stage, self.symbol = lowered, stage, Symbol(lowered.json)
        self.instance: DeviceInstance | None = None

    def run(self, operands: Sequence[Any]) -> list[DeviceArray]:
        """Run; the results have their values when the device comes to it."""
        values = dict(enumerate(operands))
        if self.instance is None:
            self.instance = DeviceInstance(self.lowered, self.symbol, self.stage, values)
        # as the programs that these operators are in
        mx.set_threads(mx.threads())
        return [r.copy() for r in self.instance.run(values)]


def _prepare(op: Op, types: tuple[ArrayType, ...], params: Params, result: Any) -> DeviceCall | DeviceBound | None:
    """How a device runs one op on operands of these types; None: it does not."""
    context = context_of(result)
    if context is CPU or any(t.context is not context for t in types if t.weak is None):
        return None
    leaves = [Node(INPUT if t.weak is None else SCALAR, (), () if t.weak is None else (t.weak,), t) for t in types]
    at = len(leaves)
    node = Node(op, tuple(range(at)), params, result)
    results = [Node(PROJECT, (at,), (k,), t) for k, t in enumerate(result)] if isinstance(result, tuple) else []
    nodes = (*leaves, node, *results)
    produced = tuple(range(at + 1, len(nodes))) if results else (at,)
    graph = Graph(nodes, (), (), produced)
    if not is_native(graph, node):
        return None
    stage = Stage(True, tuple(range(at, len(nodes))), tuple(range(at)), produced, context)
    lowered = placed(lower(graph, stage), context)
    program = json.loads(lowered.json)
    if lowered.training:
        return DeviceBound(lowered, stage)
    return DeviceCall(lowered, program, context, [graph.nodes[p].type for p in produced])


# single steps on devices by what decides them; None for those that go through NumPy
_calls: dict[Any, DeviceCall | DeviceBound | None] = {}
_LARGEST_MEMO = 1024
# steps that MXNet refused on a device although the table says that it has the operator
_refused: set[Any] = set()


def clear() -> None:
    """Forget the prepared steps (and the constants and executors that they hold)."""
    _calls.clear()
    _refused.clear()


def step(op: Op, types: Sequence[ArrayType], params: Params, operands: Sequence[Any], result: Any) -> Any:
    """One step where its operands live, whatever runs it there."""
    key = (op, tuple(types), params, result)
    call: Any = _calls.get(key, False)
    try:
        if call is False:
            if len(_calls) >= _LARGEST_MEMO:
                _calls.clear()
            call = _calls[key] = _prepare(op, tuple(types), params, result)
        if call is not None and not config.check_nan:
            found = call.run(operands)
            stats.counts["device_calls"] += 1
            return tuple(found) if isinstance(result, tuple) else found[0]
    except MXNetError:
        # six axes that broadcast, an operator without a kernel for this device: from now on in NumPy
        stats.counts["mxnet_errors"] += 1
        _calls[key] = None
        _refused.add(key)
    stats.counts["host_steps"] += 1
    return through_numpy(op, types, params, operands, result)


class Elsewhere:
    """A step of mode "eager" on another context than the host's: what stands for an `eager.Call`."""

    __slots__ = ("step",)
    passes, single, calls = False, True, ()

    def __init__(self, step: Step) -> None:
        self.step = step

    def run_single(self, operands: Sequence[Any]) -> Any:
        """The result, or a tuple of them."""
        this = self.step
        return step(this.op, this.types, this.params, operands, this.type)


def is_refused(graph: Graph, node: Node) -> bool:
    """Whether MXNet has been seen to refuse this very step on a device."""
    return bool(_refused) and (node.op, tuple([graph.nodes[i].type for i in node.operands]), node.params, node.type) in _refused


def through_numpy(
    op: Op,
    types: Sequence[ArrayType],
    params: Params,
    operands: Sequence[Any],
    result: Any,
    errors: Mapping[str, Any] = reference.IGNORED,
) -> Any:
    """One step in NumPy on host copies; its results belong where the step does. A step that only moves a value copies it. `errors`: as of
    `reference.evaluate`."""
    target = context_of(result)
    if len(types) == 1 and types[0].weak is None and types[0].context is not target:
        return moved(operands[0], target)
    found = reference.evaluate(op, types, params, [on_host(o) for o in operands], result, errors=errors)
    if config.check_nan:
        reference.check_finite(op, found if isinstance(found, tuple) else (found,))
    return tuple([place(v, target) for v in found]) if isinstance(found, tuple) else place(found, target)


def moved(value: Any, context: Context) -> Any:
    """A value on another context."""
    if context is CPU:
        return on_host(value)
    return value.move(context) if isinstance(value, DeviceArray) else place(value, context)


def run_node(node: Node, types: Sequence[ArrayType], operands: list[Any], nodes: Sequence[Node], uses: Sequence[int]) -> Any:
    """A node of a graph on devices, by itself: what `reference.run` calls at a first encounter.

    Not in NumPy, as on the host: what was computed before would have to be fetched, and what is computed sent back, and a GPU would wait
    for a host that is slower. Not bound at once either: most of what runs once (data that is prepared, parameters that are made) never
    runs again, and binding takes 10 µs a node.
    """
    if mx.forked:
        return through_numpy(node.op, types, node.params, operands, node.type)
    return step(node.op, types, node.params, operands, node.type)


def transfers(since: tuple[int, int] = (0, 0)) -> tuple[int, int]:
    """Arrays copied to the host, and to other devices."""
    counts = stats.counts
    return counts["transfers_to_host"] - since[0], counts["transfers_to_device"] - since[1]


def is_elsewhere(graph: Graph) -> bool:
    """Whether any value of a graph lives on another context than the host's."""
    return any(context_of(n.type) is not CPU for n in graph.nodes)
