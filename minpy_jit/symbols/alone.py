"""Operators that have no translation: entries made on demand, whose meaning is MXNet's operator in an executor of its own.

They are host steps of a plan: the values go to that executor and come back. Their gradient is MXNet's own backward, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..exec.alone import Alone
from ..trace.op import NO_GRADIENT, TABLE, Op, Types
from ..trace.ops.creation import beside
from ..trace.ops.neural import fresh
from ..trace.types import ArrayType
from .program import SymbolNode, single

# each run would draw other numbers than the one that the gradient repeats
_RANDOM = ("_random_", "_sample_", "_shuffle", "sample_", "_npi_uniform", "_npi_normal", "_npi_bernoulli", "_npi_choice", "_npi_gamma")


def run_alone(node: SymbolNode, inputs: Sequence[Any], outputs: int, is_train: bool, reason: str) -> tuple[Any, ...]:
    """The results of an operator, recorded as a step of its own kind.

    Raises:
        NotImplementedError: it draws random numbers, or has states.
    """
    if node.op.startswith(_RANDOM) and not node.op.startswith("_random_pdf"):
        raise NotImplementedError(f"[{node.op}] {node.name!r} draws random numbers inside MXNet; draw them with np.random and pass them in")
    if any(x is None for x in inputs):
        raise TypeError(f"[{node.op}] {node.name!r} needs all of its inputs")
    found = _entry(node.op, single(node, range(outputs)), len(inputs), outputs, is_train, reason)(*inputs)
    return found if isinstance(found, tuple) else (found,)


@lru_cache(256)
def _entry(mxnet_op: str, json: str, count: int, outputs: int, is_train: bool, reason: str) -> Op:
    alone = Alone(json, mxnet_op, count, is_train)
    # a plan's key holds names alone
    name = f"mxnet.{mxnet_op}/{json}/{is_train}"

    def infer(*types: ArrayType) -> Any:
        found = tuple([fresh(s, d, types) for s, d in alone.infer([t.shape for t in types], [t.dtype for t in types])])
        return found if outputs > 1 else found[0]

    def numpy(*arrays: np.ndarray) -> Any:
        found = alone.forward(*arrays)
        return tuple(found) if outputs > 1 else found[0]

    def infer_backward(*types: ArrayType) -> Any:
        found = tuple([fresh(t.shape, t.dtype, types) for t in types[outputs:]])
        return found if count > 1 else found[0]

    def numpy_backward(*arrays: np.ndarray) -> Any:
        found = alone.backward(arrays[:outputs], arrays[outputs:])
        return tuple(found) if count > 1 else found[0]

    backward = _Named(
        f"{name}/backward",
        shown=f"mxnet.{mxnet_op}_backward",
        family="neural",
        arity=outputs + count,
        outputs=count,
        infer=infer_backward,
        numpy=numpy_backward,
        vjp=NO_GRADIENT,
        doc=f"{reason}: MXNet's backward in an executor of its own",
    )

    def rule(k: int) -> Any:
        def pull(g: Any, ans: Any, *xs: Any) -> Any:
            parts = g if outputs > 1 else (g,)
            like = next(p for p in parts if p is not None)
            types: Types = infer(*[x.type for x in xs]) if outputs > 1 else (infer(*[x.type for x in xs]),)
            filled = [
                beside(like, TABLE["zeros"], shape=t.shape, dtype=t.dtype, context=t.context) if p is None else p
                for p, t in zip(parts, types, strict=True)
            ]
            found = backward(*filled, *xs)
            return found[k] if count > 1 else found

        return pull

    return _Named(
        name,
        shown=f"mxnet.{mxnet_op}",
        family="neural",
        arity=count,
        outputs=outputs,
        infer=infer,
        numpy=numpy,
        vjp=tuple(rule(k) for k in range(count)),
        doc=f"{reason}: an executor of its own",
    )


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
