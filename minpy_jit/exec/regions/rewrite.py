"""Rewrites of a region's tensors before they are scheduled: products that add to what is there, assignments to parts of a value that
nobody else needs, and long reductions in parts that threads can share.

`float_products` changes rounding (a product is scaled and added as it is summed up), never a dtype or a shape; `config.exact_products`
turns it off. As in BLAS, a product whose factor is 0 in a run is not computed: NaN and infinities in it do not come through.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .schedule import in_order, is_computed, operands_of
from .tensors import Axis, Map, Memory, Number, Product, Reduce, Scale, Tensor, Update, View

ONE: Scale = (1.0, ())
# elements per result from which on a reduction to fewer than PARTS results is done in parts, at most so many
LONG, PARTS = 1 << 18, 64


class _Uses:
    """Who needs which tensor."""

    def __init__(self, results: Sequence[Tensor]) -> None:
        self.order = in_order(results)
        self.results = set(results)
        self.count: Counter[Tensor] = Counter(operand for t in self.order for operand in operands_of(t))
        self.count.update(
            t for tensor in self.order for axis in getattr(tensor, "axes", ()) if isinstance(axis, Axis) for t, _ in axis.dynamic
        )

    def once(self, tensor: Tensor) -> bool:
        """Whether one other tensor needs this one, and nobody outside."""
        return self.count[tensor] == 1 and tensor not in self.results


def rewritten(results: Sequence[Tensor], products: bool) -> list[Tensor]:
    """The same results, made in fewer steps. `products`: rounding may change, see above."""
    uses = _Uses(results)
    made: dict[Tensor, Tensor] = {}
    for tensor in uses.order:
        found = None
        if isinstance(tensor, Map) and products:
            found = _accumulated(tensor, uses, made)
        elif isinstance(tensor, Update):
            found = _in_place(tensor, uses)
        made[tensor] = _with(tensor if found is None else found, made)
        if isinstance(tensor, Reduce):
            made[tensor] = _in_parts(made[tensor])
    return [made[t] for t in results]


def _with(tensor: Tensor, made: Mapping[Tensor, Tensor]) -> Tensor:
    """The tensor, made of the rewritten ones."""
    changed: dict[str, Any] = {}
    for name in tensor.__dataclass_fields__:
        old = getattr(tensor, name)
        new = _rewritten(old, made)
        if new is not old:
            changed[name] = new
    return replace(tensor, **changed) if changed else tensor


def _rewritten(value: Any, made: Mapping[Tensor, Tensor]) -> Any:
    if isinstance(value, Tensor):
        return made.get(value, value)
    if isinstance(value, tuple):
        parts = tuple([_rewritten(v, made) for v in value])
        return value if all(a is b for a, b in zip(parts, value, strict=True)) else parts
    if isinstance(value, Axis):
        dynamic = _rewritten(value.dynamic, made)
        return value if dynamic is value.dynamic else replace(value, dynamic=dynamic)
    return value


# -- products ------------------------------------------------------------------------------------------------------------------------------
def _factor(tensor: Tensor, uses: _Uses) -> tuple[Scale, Tensor]:
    """A tensor as a number times another one, as far as it is needed for nothing else."""
    factor, scalars = ONE
    while isinstance(tensor, Map) and uses.once(tensor):
        if tensor.function == "negative":
            factor, tensor = -factor, tensor.operands[0]
            continue
        if tensor.function != "multiply":
            break
        for scalar, other in (tensor.operands, tensor.operands[::-1]):
            if math.prod(scalar.shape) == 1 and other.shape == tensor.shape and isinstance(scalar, (Memory, Number)):
                break
        else:
            break
        if isinstance(scalar, Memory):
            scalars = (*scalars, scalar)
        else:
            factor *= float(scalar.value)
        tensor = other
    return (factor, scalars), tensor


def _accumulated(tensor: Map, uses: _Uses, made: Mapping[Tensor, Tensor]) -> Tensor | None:
    """`base ± factor * (a @ b)` as one product that adds to the base."""
    if tensor.function not in ("add", "subtract") or tensor.dtype.kind != "f" or any(t.shape != tensor.shape for t in tensor.operands):
        return None
    signs = (1.0, -1.0 if tensor.function == "subtract" else 1.0)
    for k in (1, 0):
        (factor, scalars), product = _factor(tensor.operands[k], uses)
        if not isinstance(product, Product) or not uses.once(product) or product.base is not None or product.shape != tensor.shape:
            continue
        if factor == 0 or not math.isfinite(factor):
            continue
        (share, others), base = _factor(tensor.operands[1 - k], uses)
        # a sum of products is one by now
        product_too = isinstance(made[base], Product) and uses.once(base)
        if not (product_too or isinstance(base, Memory)) or base.shape != tensor.shape:
            continue
        return replace(product, scale=(factor * signs[k], scalars), base=base, base_scale=(share * signs[1 - k], others))
    return None


# -- reductions ----------------------------------------------------------------------------------------------------------------------------
def _in_parts(tensor: Tensor) -> Tensor:
    """A reduction of much to little: first each of some stretches along an axis, then those. (Into how many does not depend on the number
    of threads, so neither does the result.)"""
    assert isinstance(tensor, Reduce)
    whole, kept = tensor.operand.shape, math.prod(tensor.shape)
    if kept >= PARTS or math.prod(whole) // kept < LONG:
        return tensor
    axis = max(tensor.axes, key=lambda a: whole[a])
    parts = next((n for n in range(PARTS, 7, -1) if whole[axis] % n == 0), 0)
    if parts:
        return _reduced(tensor, _reduced(tensor, _stretches(tensor.operand, axis, 0, parts, whole[axis] // parts), 1), 0)
    parts = PARTS
    length = whole[axis] // parts
    if length == 0:
        return tensor
    first = _reduced(tensor, _reduced(tensor, _stretches(tensor.operand, axis, 0, parts, length), 1), 0)
    rest = _stretches(tensor.operand, axis, parts * length, 1, whole[axis] - parts * length)
    return Map(tensor.shape, tensor.dtype, tensor.kind, (first, _reduced(tensor, _reduced(tensor, rest, 1), 0)))


def _stretches(x: Tensor, axis: int, start: int, parts: int, length: int) -> Tensor:
    """As many stretches of that length along an axis, side by side along a new first axis."""
    axes = [Axis(start, ((0, length), (1 + i, 1))) if i == axis else Axis(0, ((1 + i, 1),)) for i in range(len(x.shape))]
    return View((parts, *[length if i == axis else n for i, n in enumerate(x.shape)]), x.dtype, x, tuple(axes))


def _reduced(like: Reduce, x: Tensor, ahead: int) -> Tensor:
    """The same reduction of stretches: of each of them (`ahead` of whose axes is one more), or of their results."""
    axes = tuple([a + 1 for a in like.axes]) if ahead else (0,)
    return Reduce((x.shape[0], *like.shape) if ahead else like.shape, like.dtype, like.kind, x, axes)


# -- assignments ---------------------------------------------------------------------------------------------------------------------------
def _in_place(tensor: Update, uses: _Uses) -> Tensor | None:
    """An assignment to a part of a value that nobody else needs writes there, not to a copy."""
    copy = tensor.base
    if not isinstance(copy, Map) or copy.function != "copy" or not uses.once(copy):
        return None
    (source,) = copy.operands
    return replace(tensor, base=source) if is_computed(source) and source.shape == copy.shape and uses.once(source) else None
