"""Views and in-place writes: a handle keeps its identity while it comes to mean another step; a view writes through to its base.

Steps never change. Reads of a view see the base's newest version, because a write to the base raises the base's version.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from ..errors import TraceError
from ..trace.context import require_same
from ..trace.handle import Alias, Handle, clone, constructors, is_view, is_writeable, materialised, new, root_of
from ..trace.op import NO_GRADIENT, TABLE, Op, Params
from ..trace.ops.strided import spacing
from ..trace.recorder import WEAK_TYPES, Segment, current, infer, look, value_of
from ..trace.types import ArrayType, contiguous_strides, overlaps

# (op, numbers, params)
Link = tuple[Op, tuple[int, ...], Params]
Chain = tuple[Link, ...]

# (op, source type, params, how many numbers) -> type of the view; memoised: 4.5 -> 1.2 µs a view
_view_types: dict[tuple[Any, ...], ArrayType] = {}
# views of views of views are resolved once: a longer chain becomes one offset with strides
_LONGEST_CHAIN = 2


def make_view(
    source: Handle, op: Op, numbers: tuple[int, ...], params: Params, type_: ArrayType | None = None, writeable: bool = True
) -> Handle:
    """A view of `source`: nothing is recorded until it is read. It can be written through where `source` can."""
    if type_ is None:
        key = (op, source.type, params, len(numbers))
        type_ = _view_types.get(key)
        if type_ is None:
            if len(_view_types) > 8192:
                _view_types.clear()
            type_ = _view_types[key] = infer(op, (source.type, *[WEAK_TYPES[type(n)] for n in numbers]), params)
    root, chain = extended(source, op, numbers, params)
    alias = root.alias
    if alias is None:
        alias = root.alias = Alias(None, (), 0)
    array, _ = constructors()
    view: Handle = new(array)
    view.segment, view.index, view.type, view.memory = None, -1, type_, None
    view.alias = Alias(root, chain, alias.version, writeable and (source.alias is None or source.alias.writeable))
    return view


def extended(source: Handle, op: Op, numbers: tuple[int, ...], params: Params) -> tuple[Handle, Chain]:
    """The root, and the links that lead from it to a view of `source`."""
    alias = source.alias
    if alias is None or alias.base is None:
        return source, ((op, numbers, params),)
    root, chain = root_of(source), alias.chain
    last, its_numbers, its_params = chain[-1]
    if last is op and op.merge is not None:
        merged = op.merge(its_numbers, its_params, numbers, params)
        if merged is not None:
            return root, (*chain[:-1], (op, *merged))
    chain = (*chain, (op, numbers, params))
    if len(chain) > _LONGEST_CHAIN or last is TABLE["strided"]:
        chain = collapsed(root, chain) or chain
    return root, chain


def resolved(source: Handle, op: Op, numbers: tuple[int, ...], params: Params) -> tuple[Handle, Link] | None:
    """The root and the one link that leads from it to what `op` shows of `source`; None where it takes several."""
    alias = source.alias
    if alias is None or alias.base is None:
        return source, (op, numbers, params)
    if len(alias.chain) > 1 or alias.chain[0][0] is not op or op.merge is None:
        return None
    merged = op.merge(*alias.chain[0][1:], numbers, params)
    return None if merged is None else (root_of(source), (op, *merged))


def memory_order(type_: ArrayType) -> tuple[int, ...]:
    """The axes in the order in which they lie in memory, the outermost first."""
    if type_.strides is None:
        return tuple(range(type_.ndim))
    strides = type_.strides
    return tuple(sorted(range(type_.ndim), key=lambda i: (-abs(strides[i]), -type_.shape[i])))


def is_dense(type_: ArrayType, axes: tuple[int, ...]) -> bool:
    """Whether an array fills one stretch of memory evenly, its axes in this order."""
    lengths = contiguous_strides([type_.shape[i] for i in axes], spacing(type_, axes))
    strides = type_.numpy_strides()
    return all(type_.shape[i] == 1 or strides[i] == s for i, s in zip(axes, lengths, strict=True))


def laid_out(memory: np.ndarray, type_: ArrayType, axes: tuple[int, ...]) -> np.ndarray:
    """A stretch of memory as an array whose axes lie in it in this order."""
    back = sorted(range(len(axes)), key=axes.__getitem__)
    return memory.reshape([type_.shape[i] for i in axes]).transpose(back)


def split(root: Handle, chain: Chain) -> tuple[Chain, ArrayType, Chain]:
    """A chain up to its last link that shows other elements (real parts, fields, another dtype); their type; the links from there on."""
    at, type_ = 0, root.type
    kept = type_
    for k, (op, numbers, params) in enumerate(chain):
        before, type_ = type_, infer(op, (type_, *[WEAK_TYPES[type(n)] for n in numbers]), params)
        if type_.dtype != before.dtype:
            at, kept = k + 1, type_
    return chain[:at], kept, chain[at:]


def strides_of(type_: ArrayType, chain: Chain) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Offset, shape and strides, in elements, of what a chain of strided views shows of an array without gaps."""
    # never read or written: where the view lies in it is the answer
    memory = np.empty(type_.size, np.int8)
    shown = look(laid_out(memory, type_, memory_order(type_)), chain)
    # of an element NumPy makes a scalar, which lies elsewhere
    assert isinstance(shown, np.ndarray)
    offset = 0 if 0 in shown.shape else shown.__array_interface__["data"][0] - memory.__array_interface__["data"][0]
    return offset, shown.shape, shown.strides


def collapsed(root: Handle, chain: Chain) -> Chain | None:
    """A chain that ends in one offset, shape and strides; None where the memory that they would be of has gaps."""
    stem, type_, rest = split(root, chain)
    axes = memory_order(type_)
    if not rest or not is_dense(type_, axes):
        return None
    offset, shape, strides = strides_of(type_, rest)
    return (*stem, (TABLE["strided"], (offset,), (axes, shape, strides)))


def shows_same(a: Handle, b: Handle) -> bool:
    """Whether two arrays show the same elements in the same order."""
    root = root_of(a)
    if a is b or root is not root_of(b) or a.type.shape != b.type.shape or a.type.dtype != b.type.dtype:
        return a is b
    (stem, type_, rest), there = split(root, chain_of(a)), split(root, chain_of(b))
    return stem == there[0] and strides_of(type_, rest) == strides_of(type_, there[2])


def chain_of(handle: Handle) -> Chain:
    """The links from its root to a view (none for a plain array)."""
    return handle.alias.chain if handle.alias is not None and handle.alias.base is not None else ()


def has_overlap(handle: Handle) -> bool:
    """Whether two elements of a view may be one place in memory."""
    type_ = handle.type
    return type_.strides is not None and is_view(handle) and overlaps(type_.shape, type_.strides)


def check_writeable(target: Handle, message: str = "assignment destination is read-only") -> None:
    """Refuse to write to what NumPy would not.

    Raises:
        ValueError: `target` is read-only.
    """
    if not is_writeable(target):
        raise ValueError(message)


def assign(target: Handle, value: Handle, message: str = "assignment destination is read-only") -> None:
    """Make `target` mean `value` (same shape, dtype and layout), through all views.

    Raises:
        ValueError: `target` is read-only.
    """
    alias = target.alias
    if alias is None:
        _rebind(target, value)
        return
    check_writeable(target, message)
    if alias.base is None:
        _rebind(target, value)
        return
    root = root_of(target)
    write(root, alias.chain, value)
    assert root.alias is not None
    alias.version, target.memory, alias.segment = root.alias.version, None, None


def write(root: Handle, chain: Chain, value: Any) -> None:
    """Replace what a chain of views shows of `root`. Where the last link is an index, `value` may be a number, and is broadcast."""
    if not chain:
        _rebind(root, value)
        return
    if any(op.put is None for op, _, _ in chain):
        found = collapsed(root, chain)
        if found is None:
            raise ValueError("assignment destination is read-only")
        chain = found
    # x0 = root, x1 = op1(x0) ...; then the new values from the view back to the root
    seen: list[Handle] = [root]
    for op, numbers, params in chain[:-1]:
        seen.append(op(seen[-1], *numbers, **op.named(params)))
    new = value
    for (op, numbers, params), x in zip(reversed(chain), reversed(seen), strict=True):
        assert op.put is not None
        new = op.put(x, new, *numbers, **op.named(params))
    if current().tapes and any(op.vjp is NO_GRADIENT for op, _, _ in chain):
        from .fallback import without_rule

        # bytes written as integers: what they are as floats has no derivative, though no float passes through an op
        if new.memory is not None:
            # a value that no step of this segment made
            new = materialised(new.memory, new.type)
        without_rule("write through another dtype", (root, value), {}, new)
    _rebind(root, new)


def retype(target: Handle, op: Op, numbers: tuple[int, ...], params: Params) -> None:
    """Give an array another shape, dtype or strides in place: `op` is the view of it that it becomes.

    Raises:
        TraceError: in a pure region, for an array that comes from outside.
    """
    session = current().session
    if session is not None and not session.is_inside(root_of(target)):
        raise TraceError(
            f"[trace] {session.name!r} is traced with pure=True, but changes the shape or dtype of an array from outside in place; "
            "use x = x.reshape(...)"
        )
    writeable = is_writeable(target)
    if not is_view(target):
        # the memory gets a root of its own; views that were made before find it through their base
        hidden = clone(target)
        hidden.alias = target.alias if target.alias is not None else Alias(None, (), 0)
        hidden.alias.face = weakref.ref(target)
        if hidden.memory is None and hidden.segment is not None:
            hidden.segment.arrays.append(hidden)
        made = make_view(hidden, op, numbers, params)
    else:
        made = make_view(target, op, numbers, params)
    assert made.alias is not None
    made.alias.writeable = writeable
    target.segment, target.index, target.type, target.memory, target.alias = None, -1, made.type, None, made.alias


def _rebind(target: Handle, value: Handle) -> None:
    if value.type is not target.type:
        value = relayout(value, target.type)
    segment: Segment | None
    if is_view(value):
        recorder = current()
        segment, slot, data = recorder.segment, -1, None
        if recorder.immediate is None:
            slot = recorder.segment.use(value)
        else:
            segment, data = None, value_of(value, recorder.mode)
        pending = data is None
    else:
        segment, slot, data = value.segment, value.index, value.memory
        pending = data is None
    session = current().session
    if session is not None:
        session.mutated(target)
        if data is not None:
            # an input of the call: from where is known by `value`, not by `target`
            segment, data, pending = current().segment, None, True
            slot = segment.use(value)
    already = target.segment is segment and target.memory is None and segment is not None
    if pending:
        assert segment is not None
        if not already:
            segment.arrays.append(target)
    target.segment, target.index, target.memory = segment, slot, data
    if target.alias is not None:
        target.alias.version += 1


def relayout(value: Handle, type_: ArrayType) -> Handle:
    """`value` with another logical layout (an in-place write keeps the layout of what it writes to)."""
    require_same("setitem", (value.type.context, type_.context))
    if value.type.shape != type_.shape or value.type.dtype != type_.dtype:
        raise AssertionError(f"cannot rebind {type_} to {value.type}")
    if value.type.strides == type_.strides:
        return value
    return TABLE["layout"](value, strides=type_.strides)


def cast_for_write(value: Handle, target: Handle, op: str, casting: str = "same_kind") -> Handle:
    """`value` in the dtype of `target`, under NumPy's rule for outputs.

    Raises:
        ContextError: it lives elsewhere.
        TypeError: the cast is not allowed.
        ValueError: the shapes differ, or `target` is read-only.
    """
    if value.type.context is not target.type.context:
        require_same(op, (value.type.context, target.type.context))
    # of several faults NumPy reports the first of these
    check_writeable(target, "output array is read-only")
    if not np.can_cast(value.type.dtype, target.type.dtype, casting):  # type: ignore[arg-type]
        raise TypeError(
            f"[{op}] Cannot cast ufunc '{op}' output from {value.type.dtype!r} to {target.type.dtype!r} with casting rule '{casting}'"
        )
    if value.type.shape != target.type.shape:
        value = broadcast_for_write(value, target)
    if value.type.dtype != target.type.dtype:
        value = TABLE["astype"](value, dtype=target.type.dtype)
    return value


def broadcast_for_write(value: Handle, target: Handle) -> Handle:
    """`value` broadcast to the shape of what is written."""
    wide, narrow = target.type.shape, value.type.shape
    try:
        fits = np.broadcast_shapes(wide, narrow) == wide
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"non-broadcastable output operand with shape {wide} doesn't match the broadcast shape {narrow}")
    return TABLE["broadcast_to"](value, shape=wide)
