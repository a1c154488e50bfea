"""The NumPy reference: runs any graph step by step. The meaning of a program, the oracle of the tests, the executor of first encounters,
and the way to keep independent results when something failed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..config import config
from ..errors import locate, retold, with_op
from ..trace.graph import Graph, Node
from ..trace.op import Op, Params
from ..trace.step import CONSTANT, INPUT, PROJECT, SCALAR, parse_constant
from ..trace.types import ArrayType


class UnderWay:
    """The executor that is at work, if any, and the values of its program: it may write over inputs that nobody else holds (it has
    copied them before). What comes in its middle (Ctrl-C, a signal handler that observes) finds them here."""

    __slots__ = ("instance", "values")

    def __init__(self) -> None:
        self.instance: Any = None
        self.values: Any = None

    def done(self) -> None:
        """Its results are the caller's."""
        self.instance = self.values = None

    def copies(self) -> list[tuple[Any, Any]]:
        """Inputs that are written over, with what they were."""
        if self.instance is None:
            return []
        return [
            (self.values[position], memory)
            for position, memory in self.instance.staged.items()
            if any(self.values[position] is output for output in self.instance.outputs)
        ]

    def intact(self, inputs: Sequence[Any]) -> list[Any]:
        """Inputs of another run as they were before this one."""
        before = {id(array): memory for array, memory in self.copies()}
        return [before.get(id(x), x) for x in inputs]


under_way = UnderWay()


class Poison:
    """The value of a step that failed, or that depends on one that did."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


def cast_operands(op: Op, types: Sequence[ArrayType], params: Params, operands: Sequence[Any]) -> list[Any]:
    """Operands as the op's rule wants them: Python numbers and arrays in the dtypes of `operand_dtypes`."""
    if op.operand_dtypes is None:
        return [np.asarray(o) if isinstance(o, (bool, int, float, complex)) else o for o in operands]
    wanted = op.operand_dtypes(tuple(types), op.named(params))
    cast = []
    for operand, dtype in zip(operands, wanted, strict=True):
        if dtype is None:
            cast.append(np.asarray(operand))
        elif isinstance(operand, np.ndarray):
            cast.append(operand if operand.dtype == dtype else operand.astype(dtype))
        else:
            cast.append(np.asarray(operand, dtype))
    return cast


IGNORED: Mapping[str, Any] = {"all": "ignore"}


def asked_errors() -> dict[str, Any]:
    """What NumPy's settings of this thread ask for besides warnings."""
    return {kind: "ignore" if asked == "warn" else asked for kind, asked in np.geterr().items()}


def evaluate(
    op: Op,
    types: Sequence[ArrayType],
    params: Params,
    operands: Sequence[Any],
    result: Any,
    out: Any = None,
    errors: Mapping[str, Any] = IGNORED,
) -> Any:
    """One step in NumPy. The result has the dtype and shape that the type rule promised, whatever NumPy's own promotion state is.

    Raises:
        FloatingPointError: one of `errors` (as `numpy.errstate` takes them) is "raise", and happened.
    """
    arrays = cast_operands(op, types, params, operands)
    with np.errstate(**errors):
        value = op.numpy(*arrays, **op.named(params)) if out is None else op.numpy(*arrays, **op.named(params), out=out)
    if op.outputs > 1:
        return tuple(_conform(v, t) for v, t in zip(value, result, strict=True))
    return _conform(value, result)


def _conform(value: Any, type_: ArrayType) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype != type_.dtype:
        array = array.astype(type_.dtype)
    return array


RunNode = Callable[[Node, Sequence[ArrayType], list[Any], Sequence[Node], Sequence[int]], Any]


def run(
    graph: Graph, inputs: Sequence[Any], scalars: Sequence[Any], keep_going: bool = False, run_node: RunNode | None = None
) -> list[Any]:
    """Values of the graph's outputs, in order. With `keep_going` a failing step gives a `Poison`, and so does all that depends on it.

    `run_node(node, operand types, operands, nodes, uses)` computes a node's value; NumPy does, unless another is given (see device.py).

    Raises:
        the step's own exception, `[op]` before its message and the user's line after it (without `keep_going`).
    """
    nodes = graph.nodes
    uses = [0] * len(nodes)
    for node in nodes:
        for i in node.operands:
            uses[i] += 1
    for i in graph.outputs:
        uses[i] += 1
    run_node = run_node or _run_node
    given, numbers = iter(inputs), iter(scalars)
    values: list[Any] = [None] * len(nodes)
    for position, node in enumerate(nodes):
        op = node.op
        if op is INPUT:
            values[position] = next(given)
            continue
        if op is SCALAR:
            values[position] = next(numbers)
            continue
        if op is CONSTANT:
            values[position] = parse_constant(*node.params)
            continue
        operands = [values[i] for i in node.operands]
        poison = next((o for o in operands if type(o) is Poison), None)
        for i in node.operands:
            uses[i] -= 1
            if uses[i] == 0:
                values[i] = None
        if poison is not None:
            values[position] = poison
        elif op is PROJECT:
            values[position] = operands[0][node.params[0]]
        else:
            try:
                values[position] = run_node(node, [nodes[i].type for i in node.operands], operands, nodes, uses)
            except Exception as error:
                described = describe(error, node)
                if not keep_going:
                    raise described from error
                # without the frames that hold the operands
                values[position] = Poison(described.with_traceback(None))
        if uses[position] == 0:
            values[position] = None
    return [values[i] for i in graph.outputs]


def _run_node(node: Node, types: Sequence[ArrayType], operands: list[Any], nodes: Sequence[Node], uses: Sequence[int]) -> Any:
    out = None
    if node.op.inplace is not None:
        k = node.op.inplace
        candidate = operands[k]
        producer = nodes[node.operands[k]]
        # dead after this step, made by this graph, and held by nobody else: the local names here and the argument make three
        if (
            uses[node.operands[k]] == 0
            and producer.op is not INPUT
            and producer.op.family in ("elementwise", "index", "creation")
            and isinstance(candidate, np.ndarray)
            and candidate.base is None
            and candidate.dtype == node.type.dtype
            and candidate.shape == node.type.shape
            and candidate.flags.writeable
            and sys.getrefcount(candidate) <= 3
        ):
            out = candidate
        del candidate
    value = evaluate(node.op, types, node.params, operands, node.type, out)
    if config.check_nan:
        check_finite(node.op, value if isinstance(value, tuple) else (value,))
    return value


def check_finite(op: Op, values: Sequence[np.ndarray]) -> None:
    """`config.check_nan`: stop at the first step whose result is not finite.

    Raises:
        FloatingPointError: it has a NaN or an infinity.
    """
    for value in values:
        if value.dtype.kind in "fc" and not np.isfinite(value).all():
            raise FloatingPointError(f"[{op.name}] result has a NaN or infinity; unset config.check_nan to let it pass")


def describe(error: Exception, node: Node) -> Exception:
    """The same kind of error, naming the op and the user's line."""
    named = with_op(error, node.op.name)
    text = str(named)
    if node.site is None or " (recorded at " in text or not text.startswith("["):
        return named
    return retold(named, f"{text} (recorded at {locate(node.site)})")


def leaf_values(graph: Graph) -> dict[int, Any]:
    """Values of the graph's constants by position."""
    return {i: parse_constant(*n.params) for i, n in enumerate(graph.nodes) if n.op is CONSTANT}
