"""Lowering: one stage of a graph becomes one MXNet symbol, written as JSON and loaded in a single call.

Each op's own `mxnet` field says which nodes it becomes; this file knows variables, casts, constants and nothing about any op.
"""

from __future__ import annotations

import ctypes
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..optimize.partition import Stage
from ..trace.graph import Graph, Node
from ..trace.step import CONSTANT, KIND_DTYPES, PROJECT, SCALAR, parse_constant
from ..trace.types import ArrayType, array_type
from . import regions
from .mx import MX_DTYPES, synchronous
from .regions import Group

Entry = tuple[int, int, int]

MX_NAMES: dict[np.dtype, str] = {d: d.name for d in MX_DTYPES.values()}
# MXNet is built without INT64_TENSOR_SIZE
LARGEST = 2**31 - 1
BOOL, BYTE = np.dtype(np.bool_), np.dtype(np.uint8)
_FLOAT32 = np.dtype(np.float32)
# what MXNet has no dtype for (or, for bool, few operators) comes to regions and from them as another of the same width
CARRIERS: dict[np.dtype, np.dtype] = {
    BOOL: BYTE,
    np.dtype(np.int16): np.dtype(np.float16),
    np.dtype(np.uint16): np.dtype(np.float16),
    np.dtype(np.uint32): np.dtype(np.int32),
    np.dtype(np.uint64): np.dtype(np.int64),
}
# elements up to which a number that meets an array is bound as an array of its shape
EXPANDED = 1 << 14


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the symbol.

    Attributes:
        kind: "value" (made outside the stage), "scalar" (a Python number of this run, filled into the shape), "constant", or "address" (a
            value made outside that regions alone read, where it is: MXNet sees one element in its place).
        position: the graph position that it stands for (-1 for a constant of a lowering).
        dtype, shape: of the bound array.
        constant: the value of a constant (a DeviceArray in a stage of a device, once it is placed there).
    """

    kind: str
    position: int
    dtype: np.dtype
    shape: tuple[int, ...]
    constant: Any = None


@dataclass(frozen=True, slots=True)
class Guard:
    """A boolean result that must be all False after a run; else an error with this message at the node's line."""

    message: str
    node: Node
    error: type[Exception] = IndexError


@dataclass(frozen=True, slots=True)
class Direct:
    """A value that regions read or write in the array's own memory, not in MXNet's.

    Attributes:
        position, type: in the graph.
        places: (one of `Lowered.tables`, number) of where its address belongs.
        in_place: of a result: positions of the values whose memory it may take, when nobody else holds them.
    """

    position: int
    type: ArrayType
    places: tuple[tuple[Any, int], ...]
    in_place: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Lowered:
    """A stage as a symbol: its JSON, its variables in binding order, the guards (results after the stage's own), the node count, whether
    it has operators with gradients of their own (see `Executor`), the machine code that its regions run, and which results stand in another
    dtype's elements, with their own dtype. `fused`: the positions of the nodes that regions run. `reads` and `writes` (by number of the
    result): what regions are told the addresses of, in `tables`, whose first is a word that is set when a run has begun. `parallel`:
    whether threads share a region's work."""

    json: str
    variables: tuple[Variable, ...]
    guards: tuple[Guard, ...]
    nodes: int
    training: bool = False
    code: tuple[Any, ...] = ()
    carried: tuple[tuple[int, np.dtype], ...] = ()
    fused: frozenset[int] = frozenset()
    tables: tuple[Any, ...] = ()
    reads: tuple[Direct, ...] = ()
    writes: tuple[tuple[int, Direct], ...] = ()
    parallel: bool = False

    @property
    def outside(self) -> set[int]:
        """The results, by number, whose memory is not MXNet's."""
        return {k for k, _ in self.writes}


def carrier(dtype: np.dtype) -> np.dtype | None:
    """MXNet's dtype in which a value comes to a region, or None."""
    return dtype if dtype in MX_NAMES and dtype != BOOL else CARRIERS.get(dtype)


def operand_dtypes(graph: Graph, node: Node) -> tuple[np.dtype | None, ...]:
    """The dtypes in which a node's operands take part, weak numbers resolved."""
    types = tuple(graph.nodes[i].type for i in node.operands)
    if node.op.operand_dtypes is not None:
        return node.op.operand_dtypes(types, node.op.named(node.params))
    return tuple(None if type(t) is tuple else t.dtype for t in types)


def is_native(graph: Graph, node: Node) -> bool:
    """Whether MXNet may run this node: the op has a lowering for these dtypes and parameters, and no array is empty or too large."""
    op = node.op
    if op.mxnet is None:
        return False
    results = node.type if type(node.type) is tuple else (node.type,)
    types = tuple(graph.nodes[i].type for i in node.operands)
    if any(type(t) is tuple for t in types):
        return False
    for t in (*types, *results):
        if t.dtype not in MX_NAMES or t.size == 0 or t.size > LARGEST:
            return False
    for dtype, t in zip(operand_dtypes(graph, node), types, strict=True):
        if (dtype or t.dtype) not in op.mxnet_dtypes:
            return False
    probe = _Writer()
    entries = [(0, 0, 0)] * len(types)
    return op.mxnet(probe, entries, types, node.type, **op.named(node.params)) is not NotImplemented


def float32_steps(nodes: Iterable[Node]) -> int:
    """How many steps make float32 values by operations that have an MXNet lowering, in whatever way these are run."""
    found = 0
    for node in nodes:
        if node.op.mxnet is not None:
            results = node.type if type(node.type) is tuple else (node.type,)
            found += any(t.dtype == _FLOAT32 for t in results)
    return found


# not the equalities: the older ones branch on each element (24 µs on fresh 32x128 data where `_npi_equal` takes 4)
_OLDER_COMPARISONS = {
    "_npi_less": "broadcast_lesser",
    "_npi_less_equal": "broadcast_lesser_equal",
    "_npi_greater": "broadcast_greater",
    "_npi_greater_equal": "broadcast_greater_equal",
}


Content = tuple[str, tuple[Entry, ...], tuple[tuple[str, str], ...]]


def _content(mxnet_op: str, inputs: Sequence[Entry], attrs: Mapping[str, Any]) -> Content:
    return mxnet_op, tuple(inputs), tuple(sorted((k, str(v)) for k, v in attrs.items()))


class _Writer:
    """Collects JSON nodes. What lowerings see (`Lowerer` in trace/op.py)."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.variables: list[Variable] = []
        self.guards: list[tuple[Entry, Guard]] = []
        self.count = 0
        self.current: Node | None = None
        # results of comparisons: the older operator's name, its inputs, their dtype
        self.comparisons: dict[Entry, tuple[str, list[Entry], np.dtype]] = {}
        self._compared: dict[tuple[str, tuple[Entry, ...]], Entry] = {}
        self._constants: dict[tuple[bytes, str, tuple[int, ...]], Entry] = {}
        self._shared: dict[Content, Entry] = {}

    def variable(self, variable: Variable) -> Entry:
        self.variables.append(variable)
        self.nodes.append({"op": "null", "name": f"v{len(self.nodes)}", "inputs": []})
        return (len(self.nodes) - 1, 0, 0)

    def node(self, mxnet_op: str, inputs: list[Entry], attrs: Mapping[str, Any] | None = None, after: Sequence[Entry] = ()) -> Entry:
        """Emit an MXNet operator; returns its first result (`output(entry, k)` for others).

        `after`: what it depends on beside its inputs. A `_backward_*` operator learns the shapes of its results, and a stateful one its
        state, from the forward operator that stands there.
        """
        self.count += 1
        written: dict[str, Any] = {"op": mxnet_op, "name": f"n{len(self.nodes)}", "inputs": [list(e) for e in inputs]}
        if attrs:
            written["attrs"] = {k: str(v) for k, v in attrs.items()}
        if after:
            written["control_deps"] = [e[0] for e in after]
        self.nodes.append(written)
        return (len(self.nodes) - 1, 0, 0)

    def output(self, entry: Entry, k: int) -> Entry:
        """Result number `k` of the operator behind `entry`."""
        return (entry[0], k, 0)

    def shared(self, mxnet_op: str, inputs: list[Entry], attrs: Mapping[str, Any]) -> Entry:
        """The operator that computes just this: one that was emitted so before, else a new one. How an operator and its gradient meet."""
        key = _content(mxnet_op, inputs, attrs)
        found = self._shared.get(key)
        if found is None:
            found = self._shared[key] = self.node(mxnet_op, inputs, attrs)
        return found

    def find(self, mxnet_op: str, inputs: list[Entry], attrs: Mapping[str, Any]) -> Entry | None:
        """What `shared` has emitted, or None."""
        return self._shared.get(_content(mxnet_op, inputs, attrs))

    @property
    def training(self) -> bool:
        """Whether there are operators with gradients of their own."""
        return bool(self._shared)

    def truth(self, entry: Entry) -> Entry:
        """A bool entry as numbers, 0 or 1, of whatever dtype is cheapest."""
        found = self.comparisons.get(entry)
        return self.cast(entry, np.dtype(np.float32)) if found is None else self._compare(*found[:2])

    def _compare(self, name: str, inputs: list[Entry]) -> Entry:
        key = (name, tuple(inputs))
        made = self._compared.get(key)
        if made is None:
            made = self._compared[key] = self.node(name, inputs)
        return made

    def cast(self, entry: Entry, dtype: np.dtype) -> Entry:
        """`entry` as another dtype."""
        found = self.comparisons.get(entry)
        if found is not None and found[2] == dtype:
            # MXNet's older comparisons give numbers of their operands' dtype at once
            return self._compare(*found[:2])
        return self.node("Cast", [entry], {"dtype": MX_NAMES[dtype]})

    def constant(self, value: np.ndarray) -> Entry:
        """A fixed array."""
        value = np.ascontiguousarray(value).reshape(value.shape)
        key = (value.tobytes(), value.dtype.str, value.shape)
        found = self._constants.get(key)
        if found is None:
            found = self._constants[key] = self.variable(Variable("constant", -1, value.dtype, value.shape, value))
        return found

    def guard(self, entry: Entry, message: str) -> None:
        """After each run `entry` (bool) must hold no True, else IndexError(message)."""
        if self.current is not None:
            self.guards.append((entry, Guard(message, self.current)))


def lower(graph: Graph, stage: Stage, native: bool = False) -> Lowered:
    """The stage as a symbol. `native`: what regions take (see regions/) goes there."""
    writer = _Writer()
    entries: dict[int, Any] = {}
    code: list[Any] = []
    parallel = False
    # results of regions that stand in another dtype's elements
    raw: set[Entry] = set()
    leaves: dict[tuple[int, np.dtype, tuple[int, ...]], Entry] = {}

    def number(position: int, dtype: np.dtype | None, shape: tuple[int, ...]) -> Entry:
        node = graph.nodes[position]
        wanted = dtype or (KIND_DTYPES[node.params[0]] if node.op is CONSTANT else node.type.dtype)
        key = (position, wanted, shape)
        if key not in leaves:
            if node.op is CONSTANT:
                leaves[key] = writer.constant(np.full(shape, np.asarray(parse_constant(*node.params)).astype(wanted)))
            else:
                leaves[key] = writer.variable(Variable("scalar", position, wanted, shape))
        return leaves[key]

    def outside(position: int, dtype: np.dtype) -> Entry:
        direct = position in places
        kind, shape = ("address", (1,)) if direct else ("value", graph.nodes[position].type.shape)
        return writer.variable(Variable(kind, position, dtype, shape))

    def operand(position: int, dtype: np.dtype | None) -> Entry:
        node = graph.nodes[position]
        if node.op is CONSTANT or node.op is SCALAR:
            return number(position, dtype, ())
        if position not in entries:
            entries[position] = outside(position, node.type.dtype)
        entry = entries[position]
        if entry in raw:
            key = (position, BOOL, node.type.shape)
            if key not in leaves:
                leaves[key] = writer.node("Cast", [entry], {"dtype": "bool"})
            entry = leaves[key]
        if dtype is None or dtype == node.type.dtype:
            return entry
        key = (position, dtype, node.type.shape)
        if key not in leaves:
            leaves[key] = writer.cast(entry, dtype)
        return leaves[key]

    def carried(position: int) -> Entry:
        """What MXNet has no dtype for, or a bool, as a region takes it."""
        node = graph.nodes[position]
        if position not in entries:
            entries[position] = outside(position, CARRIERS[node.type.dtype])
            raw.add(entries[position])
        entry = entries[position]
        if entry in raw:
            return entry
        key = (position, BYTE, node.type.shape)
        if key not in leaves:
            leaves[key] = writer.node("Cast", [entry], {"dtype": "uint8"})
        return leaves[key]

    def region(group: Group) -> None:
        nonlocal parallel
        found = regions.compiled(graph, group, [p for p in group.nodes if p in wanted])
        parallel |= found.threads > 1
        addresses = (ctypes.c_uint64 * (len(found.operands) + len(found.outputs)))()
        tables.append(addresses)
        for k, position in enumerate([p for p, _ in found.operands] + found.results):
            if position in places:
                places[position].append((addresses, k))
        for position, operands in zip(found.results, found.in_place, strict=True):
            in_place[position] = tuple([p for p in (found.operands[i][0] for i in operands) if p in places and readers[p] == 1])
        inputs = []
        for position, dtype in found.operands:
            if graph.nodes[position].op is SCALAR:
                entry = number(position, dtype, ())
                inputs.append(writer.node("Cast", [entry], {"dtype": "uint8"}) if dtype == BOOL else entry)
            else:
                inputs.append(carried(position) if dtype in CARRIERS else operand(position, None))
        direct = [k for k, p in enumerate(found.results) if p in places]
        made = writer.node(regions.OPERATOR, inputs, found.attributes(direct, ctypes.addressof(addresses), ctypes.addressof(tables[0])))
        for k, position in enumerate(found.results):
            entries[position] = writer.output(made, k)
            if graph.nodes[position].type.dtype in CARRIERS:
                raw.add(entries[position])
        for k, (error, message, node) in enumerate(found.guards, len(found.results)):
            writer.guards.append((writer.output(made, k), Guard(message, node, error)))
        code.append(found.code)

    wanted = set(stage.produces)
    groups = regions.groups_of(graph, stage, lambda n: is_native(graph, n)) if native else [Group(False, stage.nodes)]
    owner = {p: g for g in groups for p in g.nodes}
    wanted.update(i for p in stage.nodes for i in graph.nodes[p].operands if i in owner and owner[i] is not owner[p])
    places, readers = _direct(graph, stage, groups)
    in_place: dict[int, tuple[int, ...]] = {}
    # a word that says whether a run has begun, and the addresses of each region's values
    tables: list[Any] = [ctypes.c_uint64()]

    def plain(position: int) -> None:
        node = graph.nodes[position]
        if node.op is PROJECT:
            entries[position] = entries[node.operands[0]][node.params[0]]
            return
        writer.current = node
        dtypes = operand_dtypes(graph, node)
        types = tuple(graph.nodes[i].type for i in node.operands)
        if node.op.family == "elementwise" and node.op.outputs == 1 and node.type.ndim > 0 and node.type.size <= EXPANDED:
            # numbers in the shape of the result: MXNet's broadcasting loop is about twice as slow as its plain one
            shape = node.type.shape
            inputs = [
                operand(i, d) if t.weak is None else number(i, d, shape) for i, d, t in zip(node.operands, dtypes, types, strict=True)
            ]
            types = tuple(t if t.weak is None else array_type(shape, d or t.dtype) for t, d in zip(types, dtypes, strict=True))
        else:
            inputs = [operand(i, d) for i, d in zip(node.operands, dtypes, strict=True)]
        assert node.op.mxnet is not None
        entries[position] = entry = node.op.mxnet(writer, inputs, types, node.type, **node.op.named(node.params))
        if node.op.outputs == 1 and node.type.dtype == np.bool_ and len(inputs) == 2:
            older = _OLDER_COMPARISONS.get(writer.nodes[entry[0]]["op"])
            compared = dtypes[0] or types[0].dtype
            if older is not None and writer.nodes[entry[0]]["inputs"] == [list(e) for e in inputs] and compared != np.bool_:
                writer.comparisons[entry] = (older, inputs, compared)

    for group in groups:
        if group.region:
            region(group)
        else:
            for position in group.nodes:
                plain(position)
    heads: list[Entry] = []
    shown: list[tuple[int, np.dtype]] = []
    variables = {i for i, n in enumerate(writer.nodes) if n["op"] == "null"}
    for position in stage.produces:
        entry = entries[position]
        if entry in raw:
            shown.append((len(heads), graph.nodes[position].type.dtype))
        if entry[0] in variables or entry in heads:
            # a result must have memory of its own
            entry = writer.node("_copy", [entry])
        heads.append(entry)
    heads.extend(entry for entry, _ in writer.guards)
    heads.extend(_unread(writer.nodes, heads))
    text = json.dumps(
        {
            "nodes": writer.nodes,
            "arg_nodes": sorted(variables),
            "node_row_ptr": list(range(len(writer.nodes) + 1)),
            "heads": [list(e) for e in heads],
            "attrs": {"mxnet_version": ["int", 10901]},
        }
    )
    of_node = dict(zip(sorted(variables), writer.variables, strict=True))
    bound = tuple([of_node[i] for i in argument_order(writer.nodes, heads) if i in variables])
    type_of = {p: graph.nodes[p].type for p in places}
    reads = tuple([Direct(p, type_of[p], tuple(found)) for p, found in places.items() if p not in owner and found])
    writes = tuple([(k, Direct(p, type_of[p], tuple(places[p]), in_place.get(p, ()))) for k, p in enumerate(stage.produces) if p in places])
    return Lowered(
        text,
        bound,
        tuple(g for _, g in writer.guards),
        writer.count,
        writer.training,
        tuple(code),
        tuple(shown),
        frozenset([p for g in groups if g.region for p in g.nodes]),
        tuple(tables),
        reads,
        writes,
        parallel,
    )


def _direct(graph: Graph, stage: Stage, groups: Sequence[Group]) -> tuple[dict[int, list[tuple[Any, int]]], Mapping[int, int]]:
    """The large values that no operator of MXNet's reads or writes: those that regions read from outside the stage or make for outside
    (position -> an empty list); and how many regions read each value."""
    readers: Counter[int] = Counter()
    plain: set[int] = set()
    for group in groups:
        read = {i for p in group.nodes for i in graph.nodes[p].operands}
        if group.region:
            readers.update(read)
        else:
            plain.update(read, group.nodes)
    if not synchronous():
        # another thread may still write when an interrupted run is given up
        return {}, readers
    inside = {p for group in groups for p in group.nodes}
    made = set(stage.produces) - plain
    found: dict[int, list[tuple[Any, int]]] = {}
    for p in [*(p for p in readers if p not in inside and p not in plain), *made]:
        type_ = graph.nodes[p].type
        if graph.nodes[p].op not in (SCALAR, CONSTANT) and not isinstance(type_, tuple) and type_.nbytes >= regions.DIRECT:
            found[p] = []
    return found, readers


def _unread(nodes: Sequence[Mapping[str, Any]], heads: Sequence[Entry]) -> list[Entry]:
    """Operators that only control dependencies name: MXNet would ask them to write nothing (`kNullOp`), which some refuse."""
    read = {e[0] for e in heads}.union(e[0] for n in nodes for e in n["inputs"])
    named = {i: None for n in nodes for i in n.get("control_deps", ())}
    return [(i, 0, 0) for i in named if i not in read]


def argument_order(nodes: Sequence[Mapping[str, Any]], heads: Sequence[Entry]) -> list[int]:
    """Node numbers in the order in which MXNet lists a symbol's arguments: depth first from the results, before each node its inputs and
    then what else it depends on."""
    order: list[int] = []
    seen: set[int] = set()
    for head in heads:
        stack = [(head[0], 0)]
        while stack:
            at, k = stack.pop()
            if k == 0:
                if at in seen:
                    continue
                seen.add(at)
            inputs, others = nodes[at]["inputs"], nodes[at].get("control_deps", ())
            if k < len(inputs) + len(others):
                stack.append((at, k + 1))
                stack.append((inputs[k][0] if k < len(inputs) else others[k - len(inputs)], 0))
            else:
                order.append(at)
    return order
