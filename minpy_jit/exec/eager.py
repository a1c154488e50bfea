"""Mode "eager": each op at once through MXNet's imperative interface. The baseline to compare with, so it is kept honest and lean.

The calls of an op are prepared once per (op, operand types, params) and kept on the step.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..trace.context import CPU
from ..trace.graph import Graph, Node
from ..trace.stats import stats
from ..trace.step import CONSTANT, INPUT, PROJECT, SCALAR, Step, parse_constant
from . import device, mx, reference
from .lower import MX_NAMES, is_native
from .run import compiled

# NDArrays over host arrays that MXNet did not make: identity -> (weak reference, NDArray)
_adopted: dict[int, tuple[Any, mx.NDArray]] = {}


def _forget(key: int) -> Any:
    pop, synchronous, wait_all = _adopted.pop, mx.synchronous, mx.wait_all  # module globals are gone when the interpreter exits

    def forget(_: Any) -> None:
        if not synchronous():
            # what reads the memory that is about to be freed
            wait_all()
        pop(key, None)

    return forget


def handle_of(array: np.ndarray) -> Any:
    """The NDArray handle over a host array: its own where MXNet made it, else a zero-copy one."""
    base = array.base
    handle = getattr(base, "handle", None)
    if handle is not None:
        return handle
    if type(base) is np.ndarray and (base.shape, base.strides, base.dtype) == (array.shape, array.strides, array.dtype):
        # a second name of the whole
        return handle_of(base)
    key = id(array)
    found = _adopted.get(key)
    if found is None:
        dense = np.ascontiguousarray(array).reshape(array.shape)
        made = mx.NDArray(dense)
        if np.may_share_memory(dense, array):
            # held weakly: it is forgotten with its array
            del made.array
        found = _adopted[key] = (weakref.ref(array, _forget(key)), made)
    return found[1].handle


class _Recorder:
    """The `Lowerer` of a single op: collects calls instead of JSON nodes."""

    def __init__(self) -> None:
        self.calls: list[tuple[ctypes.c_void_p, list[Any], list[bytes], list[bytes]]] = []
        self.constants: list[mx.NDArray] = []
        self.guards: list[tuple[Any, str]] = []
        # whether it takes a graph: hidden gradients know their shapes by the operator before them only, and in the imperative interface's
        # inference mode oneDNN's convolutions store the caller's weights anew, in an order of their own
        self.graph_only = False

    def node(self, mxnet_op: str, inputs: list[Any], attrs: Mapping[str, Any] | None = None, after: Sequence[Any] = ()) -> Any:
        keys = [k.encode() for k in attrs] if attrs else []
        values = [str(v).encode() for v in attrs.values()] if attrs else []
        self.calls.append((mx.creator(mxnet_op), inputs, keys, values))
        return ("call", len(self.calls) - 1, 0)

    def output(self, entry: Any, k: int) -> Any:
        return ("call", entry[1], k)

    def shared(self, mxnet_op: str, inputs: list[Any], attrs: Mapping[str, Any]) -> Any:
        self.graph_only = True
        return self.node(mxnet_op, inputs, attrs)

    def find(self, mxnet_op: str, inputs: list[Any], attrs: Mapping[str, Any]) -> Any | None:
        return None

    def cast(self, entry: Any, dtype: np.dtype) -> Any:
        return self.node("Cast", [entry], {"dtype": MX_NAMES[dtype]})

    def truth(self, entry: Any) -> Any:
        return self.cast(entry, np.dtype(np.float32))

    def constant(self, value: np.ndarray) -> Any:
        self.constants.append(mx.NDArray(np.array(value, order="C")))
        return ("constant", len(self.constants) - 1, 0)

    def guard(self, entry: Any, message: str) -> None:
        self.guards.append((entry, message))


class Call:
    """The imperative MXNet calls of one op on operands of known types.

    Attributes:
        calls: per call its operator, the sources of its inputs, and the ctypes arrays of attribute names, values and input handles.
        single: whether one call on the operands as they come is all there is (most ops): see `run_single`.
        passes: whether the result is the operand itself.
        memory: the class of the (first) result's memory.
        graph_only: whether the calls cannot be made: see `Bound`.
    """

    __slots__ = ("calls", "constants", "graph_only", "guards", "memory", "numbers", "passes", "results", "single", "types", "zero_d")

    def __init__(self, step: Step) -> None:
        writer = _Recorder()
        inputs: list[Any] = []
        # for Python numbers the NDArray that holds them, one element each; arrays of another dtype are cast by MXNet
        self.numbers: list[mx.NDArray | None] = []
        results = step.type if step.op.outputs > 1 else (step.type,)
        self.types = results
        # one axis spares the switch to NumPy's shapes, where broadcasting makes it mean the same
        shape = (1,) if step.op.family == "elementwise" and all(t.ndim > 0 for t in results) else ()
        wanted = (
            step.op.operand_dtypes(step.types, step.op.named(step.params))
            if step.op.operand_dtypes is not None
            else tuple(t.dtype for t in step.types)
        )
        for k, (type_, dtype) in enumerate(zip(step.types, wanted, strict=True)):
            entry: Any = ("operand", k, 0)
            self.numbers.append(mx.NDArray(np.zeros(shape, dtype or type_.dtype)) if type_.weak is not None else None)
            if type_.weak is None and dtype is not None and dtype != type_.dtype:
                entry = writer.cast(entry, dtype)
            inputs.append(entry)
        assert step.op.mxnet is not None
        found = step.op.mxnet(writer, inputs, step.types, step.type, **step.op.named(step.params))
        self.results = list(found) if step.op.outputs > 1 else [found]
        # values never change, so what stays as it is needs no copy
        self.passes = self.results == [("operand", 0, 0)] and step.types[0].weak is None
        if any(r[0] != "call" for r in self.results):
            self.results = [writer.node("_copy", [r]) if r[0] != "call" else r for r in self.results]
        self.constants, self.guards, self.graph_only = writer.constants, writer.guards, writer.graph_only
        self.calls = [
            (
                creator,
                sources,
                (ctypes.c_char_p * len(keys))(*keys),
                (ctypes.c_char_p * len(values))(*values),
                (ctypes.c_void_p * len(sources))(),
            )
            for creator, sources, keys, values in writer.calls
        ]
        ranks = [t.ndim for t in (*step.types, *self.types) if t.weak is None]
        ranks += [n.array.ndim for n in (*self.constants, *self.numbers) if n is not None]
        self.zero_d = 0 in ranks
        self.single = (
            len(self.calls) == 1
            and not self.guards
            and [(kind, which) for kind, which, _ in self.calls[0][1]] == [("operand", k) for k in range(len(step.types))]
            and self.results == [("call", 0, 0)]
            and not self.zero_d
        )
        self.memory = mx.memory_class(self.types[0].nbytes)

    def run(self, operands: Sequence[Any]) -> list[np.ndarray]:
        """Invoke; results are NumPy views of MXNet's memory."""
        if self.zero_d:
            with mx.np_shape():
                return self._run(operands)
        return self._run(operands)

    def run_single(self, operands: Sequence[Any]) -> np.ndarray:
        """`run` where `single` holds: what happens outside MXNet's own 5 µs an op counts here."""
        creator, _, keys, values, inputs = self.calls[0]
        for k, number in enumerate(self.numbers):
            if number is None:
                inputs[k] = handle_of(operands[k])
            else:
                number.array[...] = operands[k]
                inputs[k] = number.handle
        handle, *rest = mx.invoke(creator, inputs, keys, values)
        for other in rest:
            mx.Owned(other)
        if not mx.synchronous():
            mx.wait_to_read(handle)
        result = self.types[0]
        return mx.owning_view(handle, result.shape, result.dtype, self.memory)

    def _run(self, operands: Sequence[Any]) -> list[np.ndarray]:
        given = []
        for operand, number in zip(operands, self.numbers, strict=True):
            if number is None:
                given.append(handle_of(operand))
            else:
                number.array[...] = operand
                given.append(number.handle)
        made: list[list[mx.Owned]] = []
        for creator, sources, keys, values, inputs in self.calls:
            for k, (kind, which, output) in enumerate(sources):
                if kind == "operand":
                    inputs[k] = given[which]
                elif kind == "call":
                    inputs[k] = made[which][output].handle
                else:
                    inputs[k] = self.constants[which].handle
            made.append([mx.Owned(h) for h in mx.invoke(creator, inputs, keys, values)])
        for (_, which, output), message in self.guards:
            handle = made[which][output].handle
            if self._view(made[which][output], mx.shape_of(handle), mx.dtype_of(handle)).any():
                raise IndexError(message)
        return [self._view(made[which][output], t.shape, t.dtype) for (_, which, output), t in zip(self.results, self.types, strict=True)]

    @staticmethod
    def _view(owner: mx.Owned, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        if not mx.synchronous():
            mx.wait_to_read(owner.handle)
        return mx.host_view(owner.handle, shape, dtype, owner)


class Bound:
    """An op that MXNet runs in a graph only, as an executor of its own. Stands for a `Call`."""

    __slots__ = ("run_graph", "step")
    passes, single, calls = False, True, (None,)

    def __init__(self, step: Step) -> None:
        self.step = step
        # what we are compared with: MXNet's operators only
        self.run_graph = compiled(_graph(step), native=False)

    def run_single(self, operands: Sequence[Any]) -> Any:
        """The result, or a tuple of them."""
        weak = [t.weak is not None for t in self.step.types]
        results = self.run_graph(
            [o for o, w in zip(operands, weak, strict=True) if not w], [o for o, w in zip(operands, weak, strict=True) if w]
        )
        return tuple(results) if self.step.op.outputs > 1 else results[0]


_running = False


def compute(step: Step, operands: list[Any]) -> Any:
    """Mode "eager": one step, now; what MXNet has no right operator for goes through NumPy."""
    if step.op is PROJECT:
        return operands[0][step.params[0]]
    if step.op is CONSTANT:
        return parse_constant(*step.params)
    global _running
    if mx.forked or _running:
        # (in the middle of another step: a signal handler's)
        return device.through_numpy(step.op, step.types, step.params, operands, step.type)
    memo = step.memo
    call: Any = memo.get("eager", False) if memo is not None else False
    if call is False:
        call = step.remember()["eager"] = _prepared(step)
    if call is not None:
        if call.passes:
            return operands[0]
        stats.counts["eager_calls"] += len(call.calls)
        _running = True
        try:
            if call.single:
                return call.run_single(operands)
            results = call.run(operands)
        except mx.MXNetError:
            # shapes that MXNet refuses (six axes that broadcast, say): from now on in NumPy, as in lazy mode
            call = step.remember()["eager"] = None
        finally:
            _running = False
    if call is None:
        stats.counts["host_steps"] += 1
        return reference.evaluate(step.op, step.types, step.params, operands, step.type)
    return tuple(results) if step.op.outputs > 1 else results[0]


def _prepared(step: Step) -> Any:
    """How a step runs from now on; None: in NumPy."""
    if mx.is_too_late():
        return None
    if any(device.context_of(t) is not CPU for t in (*step.types, step.type)):
        return device.Elsewhere(step)
    graph = _graph(step)
    if not is_native(graph, graph.nodes[len(step.types)]):
        return None
    call = Call(step)
    return Bound(step) if call.graph_only else call


def _graph(step: Step) -> Graph:
    """A step by itself: arrays are inputs, Python numbers scalars."""
    at = len(step.types)
    leaves = tuple(Node(INPUT if t.weak is None else SCALAR, (), () if t.weak is None else (t.weak,), t) for t in step.types)
    node = Node(step.op, tuple(range(at)), step.params, step.type, step.site)
    results = tuple(Node(PROJECT, (at,), (k,), t) for k, t in enumerate(step.type)) if step.op.outputs > 1 else ()
    return Graph(
        (*leaves, node, *results),
        tuple(i for i, n in enumerate(leaves) if n.op is INPUT),
        tuple(i for i, n in enumerate(leaves) if n.op is SCALAR),
        tuple(range(at + 1, at + 1 + len(results))) or (at,),
    )
