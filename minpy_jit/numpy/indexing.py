"""`x[key]` and `x[key] = value`: which of the index ops a key becomes. Basic keys give views, array keys copies, as in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..trace.handle import Handle, materialised
from ..trace.op import TABLE
from ..trace.ops import index_spec
from ..trace.recorder import current, observe
from ..trace.types import array_type
from .convert import array_of, host, operand
from .views import assign, make_view, root_of


def get(x: Handle, key: Any) -> Any:
    """`x[key]`."""
    if x.type.dtype.kind in "OSUV" and (x.type.dtype.names is not None or index_spec.parse(key, x.type.shape) is not None):
        found = observe(x, "index")[key]
        if isinstance(found, np.ndarray) and x.type.dtype.names is not None:
            # fields of records are copies here
            return host(found.copy(), x.type.context)
        if not isinstance(found, np.ndarray):
            # an object stands for itself, a string is a str
            return found
    if isinstance(key, Handle) and key.type.scalar and key.type.dtype.kind in "iu" and x.type.ndim > 1:
        # the result is a view, and which one depends on the value
        key = int(observe(key, "index"))
    parsed = index_spec.parse(key, x.type.shape)
    if parsed is None:
        return _get_advanced(x, key)
    if x.type.scalar and not parsed.scalar:
        # scalars are immutable: what NumPy makes of one is an array of its own
        return TABLE["getitem"](x, *parsed.numbers, spec=parsed.spec)
    if not parsed.scalar:
        return make_view(x, TABLE["getitem"], parsed.numbers, (parsed.spec,))
    root = root_of(x)
    recorder = current()
    if root.data is not None and not recorder.follows(root) and recorder.session is None:
        # known already: reading it is a look at memory, not a step
        value = np.array(observe(x, "index")[key])
        return materialised(value, array_type((), value.dtype, scalar=True, context=x.type.context))
    return TABLE["getitem"](x, *parsed.numbers, spec=parsed.spec)


def put(x: Handle, key: Any, value: Any) -> None:
    """`x[key] = value`."""
    if x.type.dtype.names is not None:
        scratch = observe(x, "index").copy()
        scratch[key] = observe(value, "index") if isinstance(value, Handle) else value
        assign(x, materialised(scratch, x.type))
        return
    value = operand(value)
    if isinstance(key, Handle) and key.type.dtype == np.bool_ and key.type.shape == x.type.shape and _is_single(value):
        # no need to know the mask: every element is chosen or kept
        fill = TABLE["astype"](value, dtype=x.type.dtype) if isinstance(value, Handle) else _filled(value, x)
        assign(x, TABLE["where"](key, fill, x))
        return
    parsed = index_spec.parse(key, x.type.shape)
    if parsed is not None:
        assign(x, TABLE["setitem"](x, value, *parsed.numbers, spec=parsed.spec))
        return
    known = _known_masks(key)
    if isinstance(known, np.ndarray) and known.dtype == np.bool_ and known.ndim == x.type.ndim and getattr(value, "ndim", 0) > 1:
        raise TypeError(
            f"NumPy boolean array indexing assignment requires a 0 or 1-dimensional input, input has {value.type.ndim} dimensions"
        )
    structure, indices = index_spec.classify_advanced(known, x.type.ndim)
    _check_known(structure, indices, x.type.shape)
    arrays = [i if isinstance(i, Handle) else array_of(i) for i in indices]
    assign(x, TABLE["setitem_arrays"](x, value, *arrays, structure=structure))


def _is_single(value: Any) -> bool:
    return not isinstance(value, Handle) or (value.type.size == 1 and value.type.ndim == 0)


def _filled(value: Any, x: Handle) -> Any:
    # through NumPy's unsafe assignment cast: x_int[mask] = 2.7 stores 2
    return TABLE["full"](value, shape=(), dtype=x.type.dtype, context=x.type.context)


def _get_advanced(x: Handle, key: Any) -> Any:
    structure, indices = index_spec.classify_advanced(_known_masks(key), x.type.ndim)
    _check_known(structure, indices, x.type.shape)
    arrays = [i if isinstance(i, Handle) else array_of(i) for i in indices]
    return TABLE["getitem_arrays"](x, *arrays, structure=structure)


def _check_known(structure: tuple[Any, ...], indices: list[Any], shape: tuple[int, ...]) -> None:
    """Positions that are known (lists, numbers, NumPy's arrays) fail at this line, as in NumPy; pending ones are checked when they run."""
    if any(np.shape(i) == (0,) for i in indices if not isinstance(i, Handle)):
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
                low, high = (index, index) if isinstance(index, int) else (index.min(), index.max())
                if low < -n or high >= n:
                    raise IndexError(f"index {low if low < -n else high} is out of bounds for axis {axis} with size {n}")
        elif kind == "mask":
            next(given)
            axis -= entry[1] == -1
        axis += kind in ("array", "mask", "slice", "full")


def _known_masks(key: Any) -> Any:
    """Boolean arrays by their values: the shape of the result depends on them, so this observes."""
    parts = key if isinstance(key, tuple) else (key,)
    known = tuple(observe(p, "mask") if isinstance(p, Handle) and p.type.dtype == np.bool_ else p for p in parts)
    return known if isinstance(key, tuple) else known[0]
