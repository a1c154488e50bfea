"""Operators that have no translation: entries made on demand, whose meaning is MXNet's operator in an executor of its own.

They are host steps of a plan: the values go to that executor and come back. Their gradient is MXNet's own backward, once. Auxiliary states
are operands, and in training their new values are results besides. An operator that draws gets a seed as an operand, from NumPy's
generator, so that its gradient sees what it drew.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as onp

from .. import numpy as _namespace
from ..exec.alone import Alone
from ..trace.op import NO_GRADIENT, TABLE, ZERO_GRADIENT, Op, Types
from ..trace.ops.creation import beside
from ..trace.ops.neural import fresh
from ..trace.types import ArrayType
from .operators import Call
from .program import SymbolNode, single

np: Any = _namespace

_RANDOM = ("_random_", "_sample_", "_shuffle", "sample_", "_npi_uniform", "_npi_normal", "_npi_bernoulli", "_npi_choice", "_npi_gamma")


def _draws(node: SymbolNode, is_train: bool) -> bool:
    """Whether an operator draws random numbers: by its name, or because it drops some of its input."""
    if node.op.startswith(_RANDOM):
        return not node.op.startswith("_random_pdf")
    return "Dropout" in node.op or (is_train and node.op == "RNN" and node.attributes.get("p", 0) > 0)


def run_alone(call: Call, node: SymbolNode, inputs: Sequence[Any], outputs: int, reason: str) -> tuple[Any, ...]:
    """The results of an operator, recorded as a step of its own kind; the new values of its auxiliary states go to the call."""
    if any(x is None for x in inputs):
        raise TypeError(f"[{node.op}] {node.name!r} needs all of its inputs")
    draws = _draws(node, call.is_train)
    entry, moved = _entry(node.op, single(node, range(outputs)), len(inputs), outputs, call.is_train, draws, reason)
    found = entry(*inputs, *([np.random.randint(0, 2**31 - 1, (1,))] if draws else []))
    results = found if isinstance(found, tuple) else (found,)
    for position, new in zip(moved, results[outputs:], strict=True):
        call.updates[id(inputs[position])] = new
    return results[:outputs]


@lru_cache(256)
def _entry(mxnet_op: str, json: str, count: int, outputs: int, is_train: bool, draws: bool, reason: str) -> tuple[Op, tuple[int, ...]]:
    """An operator's entry, whose operands are `count` inputs and, where it draws, a seed; and which inputs are auxiliary states that it
    gives new values to: results behind the others."""
    alone = Alone(json, mxnet_op, count, is_train, draws)
    moved = alone.auxiliary if is_train else ()
    everything, given = outputs + len(moved), count + draws
    # a plan's key holds names alone
    name = f"mxnet.{mxnet_op}/{json}/{is_train}"

    def infer(*types: ArrayType) -> Any:
        found = [fresh(s, d, types) for s, d in alone.infer([t.shape for t in types[:count]], [t.dtype for t in types[:count]])]
        found += [fresh(types[k].shape, types[k].dtype, types) for k in moved]
        return tuple(found) if everything > 1 else found[0]

    def numpy(*arrays: onp.ndarray) -> Any:
        found = alone.forward(*arrays)
        return tuple(found) if everything > 1 else found[0]

    def infer_backward(*types: ArrayType) -> Any:
        found = tuple([fresh(t.shape, t.dtype, types) for t in types[outputs : outputs + count]])
        return found if count > 1 else found[0]

    def numpy_backward(*arrays: onp.ndarray) -> Any:
        found = alone.backward(arrays[:outputs], arrays[outputs:])
        return tuple(found) if count > 1 else found[0]

    backward = _Named(
        f"{name}/backward",
        shown=f"mxnet.{mxnet_op}_backward",
        family="neural",
        arity=outputs + given,
        outputs=count,
        infer=infer_backward,
        numpy=numpy_backward,
        vjp=NO_GRADIENT,
        doc=f"{reason}: MXNet's backward in an executor of its own",
    )

    def rule(k: int) -> Any:
        def pull(g: Any, ans: Any, *xs: Any) -> Any:
            parts = g[:outputs] if everything > 1 else (g,)
            like = next((p for p in parts if p is not None), None)
            if like is None:
                # what a state moved by is no part of a loss
                return None
            types: Types = infer(*[x.type for x in xs]) if everything > 1 else (infer(*[x.type for x in xs]),)
            filled = [
                beside(like, TABLE["zeros"], shape=t.shape, dtype=t.dtype, context=t.context) if p is None else p
                for p, t in zip(parts, types[:outputs], strict=True)
            ]
            found = backward(*filled, *xs)
            return found[k] if count > 1 else found

        return pull

    entry = _Named(
        name,
        shown=f"mxnet.{mxnet_op}",
        family="neural",
        arity=given,
        outputs=everything,
        infer=infer,
        numpy=numpy,
        vjp=(*[ZERO_GRADIENT if k in alone.auxiliary else rule(k) for k in range(count)], *([ZERO_GRADIENT] * draws)),
        doc=f"{reason}: an executor of its own",
    )
    return entry, moved


class _Name(str):
    """A name that is compared by all of its text, and shown as something shorter."""

    __slots__ = ("shown",)
    shown: str

    def __str__(self) -> str:
        return self.shown

    def __format__(self, spec: str) -> str:
        return format(self.shown, spec)


class _Named(Op):
    """An entry whose name tells its whole content, so that equal plans are told from others; people see the short one."""

    __slots__ = ()

    def __init__(self, name: str, *, shown: str, **fields: Any) -> None:
        full = _Name(name)
        full.shown = shown
        super().__init__(full, **fields)

    def __reduce__(self) -> Any:
        raise TypeError(f"[{self.name}] an operator of a symbol cannot be pickled; pickle the symbol")
