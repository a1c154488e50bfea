"""`x[key]` and `x[key] = value`: which of the index ops a key becomes. Basic keys give views, array keys copies, as in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import with_op
from ..trace.context import CPU, require_same
from ..trace.handle import Handle, is_known, is_view, materialised, root_of
from ..trace.op import TABLE
from ..trace.ops import index_spec
from ..trace.ops.indexing import mask_mismatch
from ..trace.recorder import current, observe
from ..trace.types import ArrayType, array_type
from .convert import NUMBERS, array_of, beside, check_fits, check_single, host, is_array_like, operand
from .views import assign, chain_of, check_writeable, extended, has_overlap, make_view, memory_order, resolved, split, strides_of, write


def get(x: Handle, key: Any) -> Any:
    """`x[key]`."""
    found = looked_up(x, key)
    if found is not None:
        return found
    if x.type.host:
        if x.type.dtype.names is not None and _is_field(key):
            return make_view(x, TABLE["field"], (), (key if isinstance(key, str) else tuple(key),))
        basic = index_spec.parse(key, x.type.shape)
        if basic is not None and basic.scalar:
            # an object stands for itself, a string is a str, a record what it is now
            return _element(observe(x, "index"), key)
    if isinstance(key, Handle) and key.type.scalar and key.type.dtype.kind in "iu" and x.type.ndim > 1:
        # the result is a view, and which one depends on the value
        key = int(observe(key, "index"))
    elif type(key) is tuple and _shows_a_view(key, x.type.ndim):
        key = tuple([int(observe(p, "index")) if isinstance(p, Handle) else p for p in key])
    parsed = index_spec.parse(key, x.type.shape)
    if parsed is None:
        return _get_advanced(x, key)
    if x.type.scalar and not parsed.scalar:
        # scalars are immutable: what NumPy makes of one is an array of its own
        return TABLE["getitem"](x, *parsed.numbers, spec=parsed.spec)
    if not parsed.scalar:
        return make_view(x, TABLE["getitem"], parsed.numbers, (parsed.spec,))
    if _may_look(x):
        # known already: reading it is a look at memory, not a step
        return _read(x, key)
    whole = resolved(x, TABLE["getitem"], parsed.numbers, (parsed.spec,))
    if whole is None:
        return TABLE["getitem"](x, *parsed.numbers, spec=parsed.spec)
    root, (op, numbers, params) = whole
    return op(root, *numbers, **op.named(params))


# types of an array's elements; not asked for by their parts each time: 0.6 µs an element
_element_types: dict[ArrayType, ArrayType] = {}


def looked_up(x: Handle, key: Any) -> Handle | None:
    """A copy of what a key picks out of a value that is known by now, where picking it out is a look at memory: an element, or the elements
    that a boolean array chooses (how many depends on its values, so it is looked at in any case). None: see `get`."""
    type_ = x.type
    kind = type(key)
    if kind is int:
        if len(type_.shape) != 1:
            return None
    elif kind is tuple:
        if len(key) != len(type_.shape):
            return None
        for part in key:
            if type(part) is not int:
                return None
    elif isinstance(key, Handle):
        return _chosen(x, key)
    else:
        return None
    if type_.host or not _may_look(x):
        return None
    try:
        return _read(x, key)
    except IndexError:
        # which the type says in NumPy's words
        return None


def _read(x: Handle, key: Any) -> Handle:
    """A copy of one element of a known array."""
    type_ = x.type
    value = np.array(observe(x, "index")[key])
    element = _element_types.get(type_)
    if element is None:
        if len(_element_types) >= 4096:
            _element_types.clear()
        element = _element_types[type_] = array_type((), value.dtype, scalar=True, context=type_.context)
    return materialised(value, element)


def _may_look(x: Handle) -> bool:
    """Whether the value is known, and what is read of it concerns neither a gradient nor a program that is to be run on other values."""
    root = x if x.alias is None else root_of(x)
    recorder = current()
    return is_known(root) and recorder.session is None and not recorder.follows(root)


def _chosen(x: Handle, mask: Handle) -> Handle | None:
    type_, shape = x.type, mask.type.shape
    if mask.type.dtype != np.bool_ or not shape or type_.shape[: len(shape)] != shape or type_.host or type_.strides is not None:
        return None
    recorder = current()
    if type_.context is not CPU or mask.type.context is not CPU or recorder.immediate is not None or recorder.policy is not None:
        return None
    if recorder.session is not None or recorder.tapes:
        return None
    where = observe(mask, "mask")
    if not _may_look(x):
        return None
    data = observe(x, "index")
    # elements in a row: `data[where]` takes twice as long where there are several axes
    value = data.ravel().take(np.flatnonzero(where)) if len(shape) == len(type_.shape) else data[where]
    return materialised(value, array_type(value.shape, value.dtype))


def _shows_a_view(key: tuple[Any, ...], ndim: int) -> bool:
    """Whether a key of pending integers, slices, None and an Ellipsis shows a view, and which one depends on the integers."""
    pending = whole = 0
    for part in key:
        if isinstance(part, Handle):
            if not (part.type.scalar and part.type.dtype.kind in "iu"):
                return False
            pending += 1
        elif part is None or part is Ellipsis or isinstance(part, slice):
            whole += 1
        elif not isinstance(part, (int, np.integer)) or isinstance(part, bool):
            return False
    return pending > 0 and (whole > 0 or len(key) < ndim)


def _is_field(key: Any) -> bool:
    return isinstance(key, str) or (isinstance(key, list) and bool(key) and all(isinstance(k, str) for k in key))


def _element(data: np.ndarray, key: Any) -> Any:
    found = data[key]
    if isinstance(found, np.void):
        # NumPy's record shows the array's memory; this one says so when it is written to
        alone = np.array(found)
        alone.flags.writeable = False
        return alone[()]
    return found


def put(x: Handle, key: Any, value: Any) -> None:
    """`x[key] = value`."""
    if x.type.dtype.names is not None:
        scratch = observe(x, "index").copy()
        scratch[key] = observe(value, "index") if isinstance(value, Handle) else value
        assign(x, materialised(scratch, x.type))
        return
    check_writeable(x)
    parsed = index_spec.parse(key, x.type.shape)
    if parsed is not None and parsed.scalar:
        value = as_element(x, value)
    else:
        value = _as_values(x, value, None if parsed is None else parsed.ndim)
        if type(value) in NUMBERS or parsed is not None:
            check_fits(value, x.type.dtype)
    if parsed is not None:
        _put_basic(x, parsed, value)
        return
    if (has_overlap(x) or shares_root(x, value)) and not _indexes_itself(x, key):
        given = known_key(key)
        if put_through_memory(x, value, lambda shown, new: shown.__setitem__(given, new), plain=True):
            return
    if isinstance(key, Handle) and key.type.dtype == np.bool_ and key.type.shape == x.type.shape and _is_single(value):
        # no need to know the mask: every element is chosen or kept
        fill = TABLE["astype"](value, dtype=x.type.dtype) if isinstance(value, Handle) else _filled(value, x)
        assign(x, TABLE["where"](key, fill, x))
        return
    known = _known_masks(x, key)
    if isinstance(known, np.ndarray) and known.dtype == np.bool_ and known.ndim == x.type.ndim and getattr(value, "ndim", 0) > 1:
        for axis, (n, m) in enumerate(zip(x.type.shape, known.shape, strict=True)):
            # the first that NumPy finds
            if n != m:
                raise mask_mismatch(axis, n, m)
        raise TypeError(
            f"NumPy boolean array indexing assignment requires a 0 or 1-dimensional input, input has {value.type.ndim} dimensions"
        )
    chosen_from, arrays, structure = _advanced(x, known)
    written = TABLE["setitem_arrays"](chosen_from, value, *arrays, structure=structure)
    assign(x, written if chosen_from is x else TABLE["reshape"](written, shape=x.type.shape))


def _advanced(x: Handle, key: Any) -> tuple[Handle, list[Any], index_spec.Spec]:
    """What an advanced key chooses from, the arrays by which it does, and what these mean.

    A known boolean array of several axes, the array's own, chooses from its elements in a row, by one array of positions where there would
    be one an axis. (Of 120 x 120 these take 6 µs to find, not 42, and writing by them 7, not 23.)

    Raises:
        IndexError: positions that are known are out of range.
    """
    type_ = x.type
    if type(key) is np.ndarray and key.dtype == np.bool_ and key.ndim > 1 and key.shape == type_.shape and type_.strides is None:
        return TABLE["reshape"](x, shape=(type_.size,)), [beside(x, array_of, np.flatnonzero(key))], (("mask", type_.size),)
    structure, indices = index_spec.classify_advanced(key, type_.ndim)
    check_known(structure, indices, type_.shape)
    return x, [i if isinstance(i, Handle) else beside(x, array_of, i) for i in indices], structure


def as_element(x: Handle, value: Any) -> Any:
    """What one element of `x` takes: a number or an array of one element, converted as `float(value)` and `int(value)` would.

    Raises:
        OverflowError, TypeError, ValueError: NumPy's.
    """
    dtype = x.type.dtype
    if dtype.kind in "biufc":
        if isinstance(value, (list, tuple)):
            if dtype.kind != "b":
                raise (TypeError if dtype.kind == "c" else ValueError)("[setitem] setting an array element with a sequence.")
            value = bool(value)
        value = _as_values(x, value, None)
        if isinstance(value, Handle) and value.type.ndim:
            check_single(value, dtype)
    else:
        value = _as_values(x, value, None)
    check_fits(value, dtype)
    return value


def _as_values(x: Handle, value: Any, ndim: int | None) -> Any:
    """What is written to `x` as numbers and arrays of ours. What is no number of an array is converted here, where an error is seen.

    Args:
        ndim: of what is written to: nested sequences may not be deeper. None: they may.
    """
    dtype = x.type.dtype
    if isinstance(value, Handle):
        if value.type.dtype.kind not in "OSU" or dtype.kind not in "biufc":
            return value
        value = observe(value, "setitem")
    elif type(value) in NUMBERS:
        return value
    if isinstance(value, (list, tuple)):
        # element by element, as NumPy converts them
        made = beside(x, array_of, value, dtype)
        if ndim is not None and made.type.ndim > ndim and dtype.kind != "O":
            raise ValueError(
                "[setitem] setting an array element with a sequence. The requested array would exceed the maximum number of "
                f"dimension of {ndim}."
            )
        return made
    foreign = value.dtype.kind in "OSU" if isinstance(value, (np.ndarray, np.generic)) else not is_array_like(value)
    if not foreign or dtype.kind not in "biufc" or hasattr(type(value), "__minpy_array__"):
        return beside(x, operand, value)
    try:
        return host(value.astype(dtype) if isinstance(value, np.ndarray) else np.array(value, dtype), x.type.context)
    except (OverflowError, TypeError, ValueError) as error:
        raise with_op(error, "setitem") from None


def _put_basic(x: Handle, parsed: index_spec.Parsed, value: Any) -> None:
    """A write through a view is one write to the root, at the key that the view and the key make together."""
    setitem = TABLE["setitem"]
    if not is_view(x):
        assign(x, setitem(x, value, *parsed.numbers, spec=parsed.spec))
        return
    spec = (*parsed.spec, index_spec.ELLIPSIS) if parsed.scalar else parsed.spec
    root, chain = extended(x, TABLE["getitem"], parsed.numbers, (spec,))
    write(root, chain, value)


def known_key(key: Any) -> Any:
    """A key as NumPy takes it: what is pending in it is observed."""
    parts = tuple([observe(p, "index") if isinstance(p, Handle) else p for p in (key if isinstance(key, tuple) else (key,))])
    return parts if isinstance(key, tuple) else parts[0]


def shares_root(x: Handle, value: Any) -> bool:
    """Whether NumPy might read from the memory of `x` while it writes to it (values of another dtype it casts beforehand)."""
    return isinstance(value, Handle) and root_of(value) is root_of(x) and value.type.dtype == x.type.dtype


def _indexes_itself(x: Handle, key: Any) -> bool:
    """Whether the key lies in the memory that is written to. NumPy reads it while it writes, out of bounds even; here it is read before."""
    return any(isinstance(part, Handle) and root_of(part) is root_of(x) for part in (key if isinstance(key, tuple) else (key,)))


def put_through_memory(x: Handle, value: Any, store: Callable[[np.ndarray, np.ndarray], Any], plain: bool = False) -> bool:
    """A write that NumPy makes in shared memory element by element, so that it may read what it has just written.

    NumPy itself makes it, on positions instead of values: what it leaves tells where each new element of the root comes from.

    Args:
        store: writes its second argument into its first.
        plain: leave it to the caller where order does not matter.

    Returns:
        Whether it was made.
    """
    root = root_of(x)
    stem, type_, rest = split(root, chain_of(x))
    there = split(root, chain_of(value)) if shares_root(x, value) else None
    # the real part and the imaginary part, say, are different elements
    shared = there is not None and there[0] == stem
    new = value if isinstance(value, Handle) else _filled(value, x)
    if new.type.dtype != x.type.dtype:
        new = TABLE["astype"](new, dtype=x.type.dtype)
    axes = memory_order(type_)

    def positions(apart: bool) -> np.ndarray:
        memory = np.arange(type_.size)
        shown = _show(memory, strides_of(type_, rest))
        if shared and there is not None:
            given = _show(memory, strides_of(type_, there[2]))
        else:
            given = np.arange(type_.size, type_.size + new.type.size).reshape(new.type.shape)
        store(shown, given.copy() if apart else given)
        return memory

    memory = positions(apart=False)
    if plain and not has_overlap(x) and np.array_equal(memory, positions(apart=True)):
        return False
    elements = root
    for op, numbers, params in stem:
        elements = op(elements, *numbers, **op.named(params))
    sources = [TABLE["reshape"](TABLE["transpose"](elements, axes=axes), shape=(type_.size,))]
    if not shared:
        sources.append(TABLE["reshape"](new, shape=(new.type.size,)))
    found = TABLE["take"](TABLE["concatenate"](*sources, axis=0), host(memory, x.type.context), axis=0, mode="raise")
    back = tuple(sorted(range(len(axes)), key=axes.__getitem__))
    write(root, stem, TABLE["transpose"](TABLE["reshape"](found, shape=tuple([type_.shape[i] for i in axes])), axes=back))
    return True


def _show(memory: np.ndarray, place: tuple[int, tuple[int, ...], tuple[int, ...]]) -> np.ndarray:
    offset, shape, strides = place
    if 0 in shape:
        return np.empty(shape, memory.dtype)
    return np.ndarray(shape, memory.dtype, memory, offset * memory.itemsize, [s * memory.itemsize for s in strides])


def _is_single(value: Any) -> bool:
    return not isinstance(value, Handle) or (value.type.size == 1 and value.type.ndim == 0)


def _filled(value: Any, x: Handle) -> Any:
    # through NumPy's unsafe assignment cast: x_int[mask] = 2.7 stores 2
    return TABLE["full"](value, shape=(), dtype=x.type.dtype, context=x.type.context)


def _get_advanced(x: Handle, key: Any) -> Any:
    chosen_from, arrays, structure = _advanced(x, _known_masks(x, key))
    return TABLE["getitem_arrays"](chosen_from, *arrays, structure=structure)


def check_places(index: int | np.ndarray, axis: int, size: int) -> None:
    """Positions along an axis, counted from either end.

    Raises:
        IndexError: one is out of bounds.
    """
    low, high = (index, index) if isinstance(index, int) else (int(index.min()), int(index.max()))
    if low < -size or high >= size:
        raise IndexError(f"index {low if low < -size else high} is out of bounds for axis {axis} with size {size}")


def check_known(structure: tuple[Any, ...], indices: list[Any], shape: tuple[int, ...]) -> None:
    """Positions that are known (lists, numbers, NumPy's arrays) fail at this line, as in NumPy; pending ones are checked when they run."""
    if any(np.size(i) == 0 for i in indices if not isinstance(i, Handle)):
        # nothing is read, so NumPy does not look
        return
    given = iter(indices)
    axis = 0
    for entry in structure:
        kind = entry[0]
        if kind == "array":
            index = next(given)
            n = shape[axis]
            if not isinstance(index, Handle):
                check_places(index, axis, n)
        elif kind == "mask":
            next(given)
            axis -= entry[1] == -1
        axis += kind in ("array", "mask", "slice", "full")


def _known_masks(x: Handle, key: Any) -> Any:
    """Boolean arrays by their values: the shape of the result depends on them, so this observes."""
    parts = key if isinstance(key, tuple) else (key,)
    session = current().session
    if session is not None:
        for part in parts:
            if isinstance(part, np.ndarray) and part.dtype == np.bool_:
                session.masked(part)
    for part in parts:
        if isinstance(part, Handle) and part.type.context is not x.type.context:
            require_same("index", (x.type.context, part.type.context))
    known = tuple(observe(p, "mask") if isinstance(p, Handle) and p.type.dtype == np.bool_ else p for p in parts)
    return known if isinstance(key, tuple) else known[0]
