"""Mode "eager": each op at once through MXNet's imperative interface. The baseline to compare with, so it is kept honest and lean.

The calls of an op are prepared once per (op, operand types, params) and kept on the step.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..trace.graph import Graph, Node
from ..trace.stats import stats
from ..trace.step import CONSTANT, INPUT, PROJECT, SCALAR, Step, parse_constant
from . import mx, reference
from .lower import MX_NAMES, is_native

# NDArrays over host arrays that MXNet did not make: identity -> (weak reference, NDArray)
_adopted: dict[int, tuple[Any, mx.NDArray]] = {}


def _forget(key: int) -> Any:
    pop = _adopted.pop  # module globals are gone when the interpreter exits

    def forget(_: Any) -> None:
        pop(key, None)

    return forget


def handle_of(array: np.ndarray) -> Any:
    """The NDArray handle over a host array: its own where MXNet made it, else a zero-copy one."""
    owner = getattr(array.base, "owner", None)
    if type(owner) is mx.Owned:
        return owner.handle
    key = id(array)
    found = _adopted.get(key)
    if found is None:
        found = _adopted[key] = (weakref.ref(array, _forget(key)), mx.NDArray(np.ascontiguousarray(array).reshape(array.shape)))
    return found[1].handle


class _Recorder:
    """The `Lowerer` of a single op: collects calls instead of JSON nodes."""

    def __init__(self) -> None:
        self.calls: list[tuple[ctypes.c_void_p, list[Any], list[bytes], list[bytes]]] = []
        self.constants: list[mx.NDArray] = []
        self.guards: list[tuple[Any, str]] = []

    def node(self, mxnet_op: str, inputs: list[Any], attrs: Mapping[str, Any] | None = None) -> Any:
        keys = [k.encode() for k in attrs] if attrs else []
        values = [str(v).encode() for v in attrs.values()] if attrs else []
        self.calls.append((mx.creator(mxnet_op), inputs, keys, values))
        return ("call", len(self.calls) - 1, 0)

    def output(self, entry: Any, k: int) -> Any:
        return ("call", entry[1], k)

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
    """The imperative MXNet calls of one op on operands of known types."""

    __slots__ = ("calls", "constants", "guards", "numbers", "results", "types", "zero_d")

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
        if any(r[0] != "call" for r in self.results):
            self.results = [writer.node("_copy", [r]) if r[0] != "call" else r for r in self.results]
        self.constants, self.guards = writer.constants, writer.guards
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

    def run(self, operands: Sequence[Any]) -> list[np.ndarray]:
        """Invoke; results are NumPy views of MXNet's memory."""
        if self.zero_d:
            with mx.np_shape():
                return self._run(operands)
        return self._run(operands)

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


def compute(step: Step, operands: list[Any]) -> Any:
    """Mode "eager": one step, now; what MXNet has no right operator for goes through NumPy."""
    if step.op is PROJECT:
        return operands[0][step.params[0]]
    if step.op is CONSTANT:
        return parse_constant(*step.params)
    if mx.forked:
        return reference.evaluate(step.op, step.types, step.params, operands, step.type)
    memo = step.memo
    call: Any = memo.get("eager", False) if memo is not None else False
    if call is False:
        call = step.remember()["eager"] = Call(step) if _is_native(step) else None
    if call is not None:
        stats.counts["eager_calls"] += len(call.calls)
        try:
            results = call.run(operands)
        except mx.MXNetError:
            # shapes that MXNet refuses (six axes that broadcast, say): from now on in NumPy, as in lazy mode
            call = step.remember()["eager"] = None
    if call is None:
        stats.counts["host_steps"] += 1
        return reference.evaluate(step.op, step.types, step.params, operands, step.type)
    return tuple(results) if step.op.outputs > 1 else results[0]


def _is_native(step: Step) -> bool:
    leaves = tuple(Node(SCALAR if t.weak is not None else INPUT, (), (t.weak,) if t.weak is not None else (), t) for t in step.types)
    node = Node(step.op, tuple(range(len(leaves))), step.params, step.type, step.site)
    return is_native(Graph((*leaves, node), (), (), (len(leaves),)), node)
