"""Regions: which nodes of a stage native code takes, how they are grouped, and the function that each group becomes."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...config import config
from ...optimize.partition import Stage
from ...trace.graph import Graph, Node
from ...trace.step import CONSTANT, KIND_DTYPES, PROJECT, parse_constant
from ...trace.types import ArrayType
from .. import mx
from ..lower import carrier, operand_dtypes
from . import DIRECT, Group, aliases, emit, jit, join, rewrite, scalars, schedule, vectormath, workspace
from .tensors import Memory, Reshape, Tensor, Tensors, Unsupported

# what a node costs, in microseconds: of MXNet's, of a region; and a million elements in each of its kinds of loops (measured on float32)
MXNET_NODE, REGION_NODE = 0.5, 2.5
MXNET_ELEMENT, REGION_ELEMENT = 0.5e-3, 0.05e-3
# what a matrix product saves, and each of its multiplications
PRODUCT, PRODUCT_STEP = 2.0, 5e-6
# what indexing by arrays saves: MXNet checks the range in nodes of their own
INDEX = 1.5

# nodes of one region: compile time grows faster than its length
LARGEST = 1000


def _flag(dtype: np.dtype) -> int:
    """MXNet's number of the dtype in which a region's result stands in memory."""
    carried = carrier(dtype)
    assert carried is not None
    return mx.TYPE_FLAGS[carried]


def _held(type_: ArrayType, dtype: np.dtype | None) -> np.dtype:
    """The dtype in which a region is given an operand that takes part as `dtype`: numbers come in that."""
    return type_.dtype if type_.weak is None or dtype is None else dtype


def tensor_of(k: Tensors, node: Node, operands: Sequence[Tensor], types: Sequence[ArrayType]) -> Tensor:
    """What a node computes.

    Raises:
        Unsupported: it has no kernel expression for these types.
    """
    op = node.op
    params = op.named(node.params)
    if isinstance(op.kernel, str):
        return k.map(op.kernel, *operands, dtype=node.type.dtype)
    made = op.kernel(k, list(operands), tuple(types), node.type, **params)
    if made.shape != node.type.shape or made.dtype != node.type.dtype:
        raise AssertionError(f"the kernel of {op.name} makes {made.dtype}{made.shape}; its type rule says {node.type}")
    return made


vectormath.install()
_taken: OrderedDict[tuple, bool] = OrderedDict()


def takes(graph: Graph, node: Node) -> bool:
    """Whether native code can run a node: its entry has a kernel expression for these types."""
    op = node.op
    if op.kernel is None or op.outputs != 1:
        return False
    types = [graph.nodes[i].type for i in node.operands]
    if any(type(t) is tuple for t in types):
        return False
    key = (op, node.params, node.type, *types)
    found = _taken.get(key)
    if found is None:
        found = _taken[key] = _takes(graph, node, types)
        if len(_taken) > 4096:
            _taken.popitem(last=False)
    return found


def _takes(graph: Graph, node: Node, types: Sequence[ArrayType]) -> bool:
    for t in (*types, node.type):
        if carrier(t.dtype) is None or t.size == 0 or t.size > mx.LARGEST:
            return False
    dtypes = operand_dtypes(graph, node)
    if any(d is not None and carrier(d) is None for d in dtypes):
        return False
    k = Tensors(scalars.knows)
    try:
        operands: list[Tensor] = []
        for number, (t, dtype) in enumerate(zip(types, dtypes, strict=True)):
            operands.append(k.cast(Memory(t.shape, _held(t, dtype), number), dtype or t.dtype))
        tensor_of(k, node, operands, types)
    except Unsupported:
        return False
    return True


# -- groups --------------------------------------------------------------------------------------------------------------------------------
def groups_of(graph: Graph, stage: Stage, mxnet: Callable[[Node], bool]) -> list[Group]:
    """The stage's nodes in groups, in an order in which they can run."""
    able = {p: takes(graph, graph.nodes[p]) for p in stage.nodes}
    able.update(dict.fromkeys(_among_images(graph, stage, able, mxnet), False))
    while True:
        groups = _leveled(graph, stage, able)
        refused = [g for g in groups if g.region and not _pays(graph, g) and all(mxnet(graph.nodes[p]) for p in g.nodes)]
        if not refused:
            return groups
        for group in refused:
            able.update(dict.fromkeys(group.nodes, False))


def _among_images(graph: Graph, stage: Stage, able: Mapping[int, bool], mxnet: Callable[[Node], bool]) -> list[int]:
    """Nodes that native code could run, but that read what MXNet leaves in oneDNN's memory order, and have an operator that goes on so."""
    left: set[int] = set()
    found = []
    for p in stage.nodes:
        node = graph.nodes[p]
        if node.op is PROJECT:
            left.update([p] if node.operands[0] in left else [])
        elif node.op.blocked:
            if not able[p]:
                left.add(p)
            elif node.type.dtype == np.float32 and node.type.ndim >= 3 and left.intersection(node.operands) and mxnet(node):
                left.add(p)
                found.append(p)
    return found


def _leveled(graph: Graph, stage: Stage, able: Mapping[int, bool]) -> list[Group]:
    """Even levels are regions', odd ones MXNet's; a node comes on the first one behind its operands'. What MXNet makes of nothing that the
    stage makes (constants, say) comes first of all, so that it does not part the regions that read it from those that do not."""
    level: dict[int, int] = {}
    for p in stage.nodes:
        node = graph.nodes[p]
        before = [level[i] for i in node.operands if i in level]
        parity = 0 if able[p] else 1
        if node.op is PROJECT:
            level[p] = before[0]
            continue
        at = max(before, default=-parity)
        level[p] = at if at % 2 == parity else at + 1
    found: dict[int, list[int]] = {}
    for p in stage.nodes:
        found.setdefault(level[p], []).append(p)
    return [
        Group(at % 2 == 0, tuple(found[at][first : first + (LARGEST if at % 2 == 0 else len(found[at]))]))
        for at in sorted(found)
        for first in range(0, len(found[at]), LARGEST if at % 2 == 0 else len(found[at]))
    ]


def _pays(graph: Graph, group: Group) -> bool:
    """Whether a region saves time. MXNet refuses an operator of no operand."""
    if not any(i not in group.nodes and graph.nodes[i].op is not CONSTANT for p in group.nodes for i in graph.nodes[p].operands):
        return False
    gain = -REGION_NODE
    for p in group.nodes:
        node = graph.nodes[p]
        size = node.type.size
        if node.op.family == "reduction":
            size = max(size, graph.nodes[node.operands[0]].type.size)
        gain += MXNET_NODE + size * (MXNET_ELEMENT - REGION_ELEMENT) + (INDEX if node.op.family == "index" and node.op.raises else 0.0)
        if node.op.family == "linalg":
            gain += PRODUCT + node.type.size * max(graph.nodes[node.operands[0]].type.shape, default=1) * PRODUCT_STEP
    return gain > 0


# -- functions -----------------------------------------------------------------------------------------------------------------------------
@dataclass(slots=True, eq=False)
class Region:
    """A compiled group.

    Attributes:
        operands: (position, dtype) of what it reads, in order; the dtype of a Python number.
        results: positions of what it makes, in order.
        code: the machine code.
        threads: how many may share its work.
        guards: what must be False after a run, as results after those: the error where it is not, its text, and the node that raises it.
        outputs: (shape, dtype) of the results, of the guards, and then of the memory that it needs in between.
        in_place: for each result the operands, by number, in whose memory it may be made.
    """

    operands: list[tuple[int, np.dtype]]
    results: list[int]
    code: jit.Code
    threads: int
    guards: list[tuple[type[Exception], str, Node]]
    outputs: list[tuple[tuple[int, ...], np.dtype]]
    in_place: list[tuple[int, ...]]

    def attributes(self, direct: Collection[int], addresses: int, started: int) -> dict[str, Any]:
        """What the operator in MXNet's graph is told.

        Args:
            direct: results, by number, that stand elsewhere than where MXNet thinks.
            addresses: where the addresses of operands and outputs are told at each run (0: what MXNet says).
            started: where to note that a run has begun.
        """
        results = ""
        for k, (shape, dtype) in enumerate(self.outputs):
            results += f"{_flag(dtype)}:{','.join(map(str, (1,) if k in direct else shape))};"
        told: dict[str, Any] = {"inputs": len(self.operands), "results": results, "kernel": self.code.address, "threads": self.threads}
        return {**told, "addresses": addresses, "started": started}


def compile_group(graph: Graph, group: Group, wanted: Sequence[int]) -> Region:
    """The function of a group of nodes; `wanted`: positions whose values are needed outside."""
    k = Tensors(scalars.knows)
    made: dict[int, Tensor] = {}
    operands: list[tuple[int, np.dtype]] = []
    memory: dict[tuple[int, np.dtype], Memory] = {}
    # the node of each guard
    asking: list[Node] = []

    def outside(position: int, dtype: np.dtype | None) -> Tensor:
        node = graph.nodes[position]
        if node.op is CONSTANT:
            held = dtype or KIND_DTYPES[node.params[0]]
            return k.number(np.asarray(parse_constant(*node.params)).astype(held), held)
        own = _held(node.type, dtype)
        key = (position, own)
        if key not in memory:
            memory[key] = Memory(node.type.shape, own, len(operands))
            operands.append(key)
        return memory[key]

    for p in group.nodes:
        node = graph.nodes[p]
        types = [graph.nodes[i].type for i in node.operands]
        dtypes = operand_dtypes(graph, node)
        given = [made[i] if i in made else outside(i, d) for i, d in zip(node.operands, dtypes, strict=True)]
        given = [t if d is None else k.cast(t, d) for t, d in zip(given, dtypes, strict=True)]
        made[p] = tensor_of(k, node, given, types)
        asking.extend([node] * (len(k.guards) - len(asking)))
    tensors: list[Tensor] = []
    for p in wanted:
        tensor = made[p]
        while isinstance(tensor, Reshape):
            # the same memory
            tensor = tensor.operand
        # a result has memory of its own, and is computed
        tensors.append(k.copy(made[p]) if tensor in tensors or not schedule.is_computed(tensor) else tensor)
    guards: list[tuple[type[Exception], str, Node]] = []
    for (bad, error, message), node in zip(k.guards, asking, strict=True):
        if bad not in tensors:
            tensors.append(bad)
            guards.append((error, message, node))
        elif tensors.index(bad) < len(wanted):
            tensors.append(k.copy(bad))
            guards.append((error, message, node))
    tensors = rewrite.rewritten(tensors, not config.exact_products)
    kernel, extra = schedule.build(tensors, [memory[key] for key in operands])
    in_place = aliases.in_place(kernel, len(operands), len(tensors), DIRECT)
    kernel, in_place = join.joined(kernel, len(operands), len(tensors), in_place)
    aliased = {kernel.buffers[len(operands) + k] for k, found in enumerate(in_place) if found}
    aliased.update(kernel.buffers[i] for found in in_place for i in found)
    threads = mx.threads()
    plan, needed = workspace.plan(kernel, len(kernel.buffers) - extra, threads)
    module, parallel = emit.write(kernel, aliased=aliased, plan=plan, threads=threads)
    outputs = [*[(graph.nodes[p].type.shape, graph.nodes[p].type.dtype) for p in wanted], *[((), t.dtype) for t in tensors[len(wanted) :]]]
    if not parallel:
        threads = 1
    if needed:
        outputs.append(((needed,), np.dtype(np.uint8)))
    return Region(operands, list(wanted), codes.get(str(module), kernel.outline()), threads, guards, outputs, in_place[: len(wanted)])


class CodeCache:
    """Machine code by the content of its module, least recently used first."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, jit.Code] = OrderedDict()

    def get(self, text: str, outline: str) -> jit.Code:
        """The code of a module, and what it runs, in words."""
        key = hashlib.sha256(text.encode()).hexdigest()
        found = self._held.get(key)
        if found is None:
            found = self._held[key] = jit.Code(jit.object_of(text), "kernel", outline)
            while len(self._held) > config.max_executors:
                self._held.popitem(last=False)
        else:
            self._held.move_to_end(key)
        return found

    def clear(self) -> None:
        """Forget all; what executors use stays as long as they do, and the files on disk stay (see store.py)."""
        self._held.clear()

    def size(self) -> tuple[int, int]:
        """How many functions are held, and the bytes of their object files."""
        # a list: another thread may be adding one
        held = list(self._held.values())
        return len(held), sum(code.nbytes for code in held)


codes = CodeCache()
