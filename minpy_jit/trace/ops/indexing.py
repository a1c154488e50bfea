"""Indexing: reading and writing by numbers, slices and integer arrays, and the adjoints of the readings.

Writes are functional: `setitem(x, value, …)` is a new array. Positions are operands, structure is parameters (see index_spec).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..op import NO_GRADIENT, TABLE, ZERO_GRADIENT, Params, Sample, Types, define
from ..types import ArrayType, Shape, array_type, broadcast_shapes, contiguous_strides, elementwise_strides
from . import kernels
from .families import ALL_MXNET, INT32, INT64, NUMBERS
from .index_spec import ARRAY, FULL, INT, NEW, Spec, advanced_key, basic_key, compose

_Strides = tuple[int, ...]
_BYTE = np.dtype(np.int8)
# a lowering that would need a larger table of positions is left to the host
_LARGEST_TABLE = 1 << 20
# MXNet keeps the bounds of clip in float32
_LARGEST_CLIP = 1 << 24


def _text(shape: Shape) -> str:
    """A shape as NumPy's errors write it."""
    return str(tuple(shape)).replace(", ", ",")


def _ints(shape: Any) -> str:
    """A shape as an MXNet attribute."""
    return f"({','.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


# -- basic: numbers and slices ------------------------------------------------------------------------------------------------------------
def _basic_layout(type_: ArrayType, spec: Spec) -> tuple[Shape, _Strides, bool]:
    """Shape and strides of the view, and whether NumPy returns a scalar."""
    strides = type_.numpy_strides()
    shape: list[int] = []
    made: list[int] = []
    axis = 0
    scalar = True
    for entry in spec:
        kind = entry[0]
        if kind == "int":
            axis += 1
        elif kind == "slice":
            shape.append(entry[1])
            made.append(strides[axis] * entry[2])
            axis += 1
        elif kind == "full":
            shape.append(type_.shape[axis])
            made.append(strides[axis])
            axis += 1
        elif kind == "new":
            shape.append(1)
            made.append(0)
        else:
            scalar = False
    return tuple(shape), tuple(made), scalar and not shape


def _infer_getitem(x: ArrayType, *numbers: ArrayType, spec: Spec) -> ArrayType:
    shape, strides, scalar = _basic_layout(x, spec)
    return array_type(shape, x.dtype, strides, scalar, None, x.context)


def _positions_follow(count: int) -> Any:
    """`operand_dtypes` of an op whose operands from number `count` on are positions."""

    def operand_dtypes(types: Types, params: dict[str, Any]) -> tuple[np.dtype | None, ...]:
        return (*(t.dtype for t in types[:count]), *(INT64 for _ in types[count:]))

    return operand_dtypes


def _getitem_rule(g: Any, ans: Any, operands: tuple[Any, ...], index: int, spec: Spec) -> Any:
    if index > 0:
        return None
    return TABLE["scatter"](g, *operands[1:], shape=operands[0].type.shape, spec=spec)


def _steps(length: int, step: int) -> np.ndarray:
    return np.arange(length, dtype=np.int64) * step


def _lower_getitem(low: Any, xs: list[Any], types: Types, result: ArrayType, spec: Spec) -> Any:
    """One `take` per indexed axis. 32 rows of 128 float32: 1.2 µs; 64×32 of the inner axis: 8 µs (one memcpy per element)."""
    entry = xs[0]
    numbers = iter(xs[1:])
    indexed = [(e, next(numbers)) if e[0] in ("int", "slice") else (e, None) for e in spec if e[0] != "new"]
    axis = 0
    kept = []
    for part, number in indexed:
        if part is INT or part == INT:
            # first, since it makes the array smaller
            entry = low.node("take", [entry, number], {"axis": axis, "mode": "clip"})
        elif part[0] != "ellipsis":
            kept.append((part, number))
            axis += 1
    for axis, (part, number) in enumerate(kept):
        if part[0] == "slice":
            at = low.node("_npi_add", [number, low.constant(_steps(part[1], part[2]))])
            entry = low.node("take", [entry, at], {"axis": axis, "mode": "clip"})
    if NEW in spec:
        entry = low.node("_np_reshape", [entry], {"newshape": _ints(result.shape)})
    return low.node("_copy", [entry]) if entry is xs[0] else entry


def _merge_getitems(numbers: Params, params: Params, then: Params, params_then: Params) -> tuple[Params, Params] | None:
    found = compose(params[0], numbers, params_then[0], then)
    return None if found is None else (found[1], (found[0],))


getitem = define(
    "getitem",
    family="index",
    arity=None,
    params=("spec",),
    infer=_infer_getitem,
    numpy=lambda x, *numbers, spec: x[basic_key(spec, numbers)],
    operand_dtypes=_positions_follow(1),
    mxnet=_lower_getitem,
    kernel=kernels.getitem,
    mxnet_dtypes=ALL_MXNET,
    vjp=_getitem_rule,
    view=True,
    put=lambda x, new, *numbers, spec: TABLE["setitem"](x, new, *numbers, spec=spec),
    merge=_merge_getitems,
    samples=(
        Sample(((4, 3), 1), {"spec": (("slice", 2, 1), FULL)}),
        Sample(((4, 3), 3, 1), {"spec": (("slice", 4, -1), NEW, INT)}),
        Sample(((4, 3), 2), {"spec": (INT, FULL)}),
        Sample(((4, 3), 2, 0), {"spec": (INT, INT)}),
        Sample(((2, 3, 4), 0, 1), {"spec": (FULL, ("slice", 2, 2), ("slice", 3, 1))}),
        Sample(((5,), 1), {"spec": (("slice", 0, 1),)}),
        Sample(((),), {"spec": (NEW,)}),
    ),
    doc="x[key] for a key of integers, slices, None and Ellipsis",
)


class _Rows:
    """Where a basic index's elements lie in the source seen as rows: the leading axes up to the last indexed one, flattened.

    Attributes:
        rows: number of rows.
        rest: shape of a row.
        region: shape of the leading part of the result, new axes left out.
        table: row of each element of the region when every number is zero.
        strides: rows per unit of each number.
    """

    __slots__ = ("region", "rest", "rows", "strides", "table")

    def __init__(self, shape: Shape, spec: Spec) -> None:
        entries = [e for e in spec if e[0] in ("int", "slice", "full")]
        leading = max((k + 1 for k, e in enumerate(entries) if e[0] != "full"), default=0)
        self.rows = math.prod(shape[:leading])
        self.rest = shape[leading:]
        unit = contiguous_strides(shape[:leading], 1)
        region, parts, strides = [], [], []
        for k, entry in enumerate(entries[:leading]):
            if entry[0] != "full":
                strides.append(unit[k])
            if entry[0] != "int":
                length, step = (shape[k], 1) if entry[0] == "full" else entry[1:]
                region.append(length)
                parts.append(_steps(length, step * unit[k]))
        self.region = tuple(region)
        self.strides = strides
        self.table: np.ndarray | None = None
        if math.prod(region) <= _LARGEST_TABLE:
            table = np.zeros((1,) * len(region), np.int64)
            for k, part in enumerate(parts):
                table = table + part.reshape((-1,) + (1,) * (len(parts) - k - 1))
            self.table = table

    def positions(self, low: Any, numbers: list[Any], shape: Shape) -> Any:
        """The rows of this run, as an int64 array of `shape`."""
        assert self.table is not None
        entry = low.constant(self.table.reshape(shape))
        for number, stride in zip(numbers, self.strides, strict=True):
            if stride != 1:
                number = low.node("_npi_multiply_scalar", [number], {"scalar": stride})
            entry = low.node("_npi_add", [entry, number])
        return entry


def _reshape(low: Any, entry: Any, before: Shape, after: Shape) -> Any:
    return entry if before == after else low.node("_np_reshape", [entry], {"newshape": _ints(after)})


def _lower_scatter(low: Any, xs: list[Any], types: Types, result: ArrayType, shape: Shape, spec: Spec) -> Any:
    """64×128 float32 from 32 rows: 2.9 µs, most of it zeroes."""
    rows = _Rows(shape, spec)
    if rows.table is None or not shape:
        return NotImplemented
    if not rows.strides:
        return low.node("_np_reshape", [xs[0]], {"newshape": _ints(shape)})
    region = rows.region or (1,)
    at = rows.positions(low, xs[1:], (1, *region))
    data = _reshape(low, xs[0], types[0].shape, (*region, *rows.rest))
    flat = (rows.rows, *rows.rest)
    return _reshape(low, low.node("scatter_nd", [data, at], {"shape": _ints(flat)}), flat, shape)


def _scatter(g: np.ndarray, *numbers: Any, shape: Shape, spec: Spec) -> np.ndarray:
    out = np.zeros(shape, g.dtype)
    key = (*basic_key(spec, numbers), ...)
    out[key] = g
    return out


scatter = define(
    "scatter",
    family="index",
    arity=None,
    params=("shape", "spec"),
    infer=lambda g, *numbers, shape, spec: array_type(shape, g.dtype, context=g.context),
    numpy=lambda g, *numbers, shape, spec: _scatter(g, *numbers, shape=shape, spec=_open(spec)),
    operand_dtypes=_positions_follow(1),
    mxnet=_lower_scatter,
    kernel=kernels.scatter,
    mxnet_dtypes=ALL_MXNET,
    vjp=lambda g, ans, operands, index, shape, spec: None if index > 0 else TABLE["getitem"](g, *operands[1:], spec=spec),
    samples=(
        Sample(((2, 3), 1), {"shape": (4, 3), "spec": (("slice", 2, 1), FULL)}),
        Sample(((4, 1), 3, 1), {"shape": (4, 3), "spec": (("slice", 4, -1), NEW, INT)}),
        Sample(((), 1, 2), {"shape": (4, 3), "spec": (INT, INT)}),
        Sample(((2, 2, 3), 0, 1), {"shape": (2, 3, 4), "spec": (FULL, ("slice", 2, 2), ("slice", 3, 1))}),
    ),
    doc="zeros of a shape with `g` at x[key]: the adjoint of getitem",
)


def _open(spec: Spec) -> Spec:
    """The spec without the mark of an empty Ellipsis (writes append one of their own, so that the target is always an array)."""
    return tuple(e for e in spec if e[0] != "ellipsis")


def _stripped(value: Shape, region: Shape) -> Shape:
    """A value's shape without the leading axes of length one that the region lacks."""
    extra = 0
    while extra < len(value) - len(region) and value[extra] == 1:
        extra += 1
    return value[extra:]


def _fits(value: Shape, region: Shape) -> bool:
    """Whether a value can be assigned to a region: broadcasting, and further leading axes of length one."""
    value = _stripped(value, region)
    return len(value) <= len(region) and all(n in (1, m) for n, m in zip(reversed(value), reversed(region), strict=False))


def _infer_setitem(x: ArrayType, value: ArrayType, *numbers: ArrayType, spec: Spec) -> ArrayType:
    region, _, scalar = _basic_layout(x, spec)
    if not _fits(value.shape, region):
        if scalar:
            raise ValueError("setting an array element with a sequence.")
        raise ValueError(f"could not broadcast input array from shape {_text(_stripped(value.shape, region))} into shape {_text(region)}")
    return _copied(x)


def _copied(x: ArrayType) -> ArrayType:
    """The type of x written to: a copy in x's memory order, which is x's own layout unless x has gaps."""
    return array_type(x.shape, x.dtype, elementwise_strides((x,), x.shape, x.dtype), False, None, x.context)


def _written(types: Types, params: dict[str, Any]) -> tuple[np.dtype | None, ...]:
    """`operand_dtypes` of a write: the value becomes x's dtype, the rest are positions."""
    positions = (INT64 if t.weak is not None else t.dtype for t in types[2:])
    return (types[0].dtype, types[0].dtype, *positions)


def _target(x: np.ndarray, out: np.ndarray | None) -> np.ndarray:
    """The array that a write may change: `out`, which then is x itself, or a copy in x's memory order."""
    return np.array(x, copy=True, order="K") if out is None else out


def _setitem(x: np.ndarray, value: np.ndarray, *numbers: Any, spec: Spec, out: np.ndarray | None = None) -> np.ndarray:
    result = _target(x, out)
    key = (*basic_key(_open(spec), numbers), ...)
    view = result[key]
    if value.ndim > view.ndim:
        value = value.reshape(value.shape[value.ndim - view.ndim :])
    view[...] = value
    return result


def _like_value(g: Any, value: Any) -> Any:
    """The gradient of the assigned region, with as many axes as the value (a value may have further leading ones)."""
    extra = value.type.ndim - g.type.ndim
    return g if extra <= 0 else TABLE["reshape"](g, shape=(1,) * extra + g.type.shape)


def _setitem_rule(g: Any, ans: Any, operands: tuple[Any, ...], index: int, spec: Spec) -> Any:
    if index == 0:
        return TABLE["setitem"](g, 0.0, *operands[2:], spec=spec)
    if index == 1:
        return _like_value(TABLE["getitem"](g, *operands[2:], spec=spec), operands[1])
    return None


def _lower_setitem(low: Any, xs: list[Any], types: Types, result: ArrayType, spec: Spec) -> Any:
    """32 of 64 rows of 128 float32: 2 µs and what broadcasting the value costs."""
    shape, value = types[0].shape, types[1].shape
    rows = _Rows(shape, spec)
    full, _, _ = _basic_layout(types[0], spec)
    if 0 in full:
        # nothing is written; MXNet's index_copy divides by zero there
        return low.node("_copy", [xs[0]])
    # index_copy knows no bool
    if rows.table is None or types[0].dtype not in NUMBERS:
        return NotImplemented
    if len(value) > len(full):
        xs[1] = low.node("_np_reshape", [xs[1]], {"newshape": _ints(value[len(value) - len(full) :])})
        value = value[len(value) - len(full) :]
    if value != full:
        xs[1] = low.node("_npi_broadcast_to", [xs[1]], {"shape": _ints(full)})
    if not rows.strides:
        return low.node("_np_reshape", [xs[1]], {"newshape": _ints(shape)})
    count = math.prod(rows.region)
    at = rows.positions(low, xs[2:], rows.region or (1,))
    flat = (rows.rows, *rows.rest)
    new = low.node(
        "_contrib_index_copy",
        [
            _reshape(low, xs[0], shape, flat),
            _reshape(low, at, rows.region or (1,), (count,)),
            _reshape(low, xs[1], full, (count, *rows.rest)),
        ],
    )
    return _reshape(low, new, flat, shape)


setitem = define(
    "setitem",
    family="index",
    arity=None,
    params=("spec",),
    infer=_infer_setitem,
    numpy=_setitem,
    operand_dtypes=_written,
    mxnet=_lower_setitem,
    kernel=kernels.setitem,
    mxnet_dtypes=ALL_MXNET,
    vjp=_setitem_rule,
    inplace=0,
    samples=(
        Sample(((4, 3), (2, 3), 1), {"spec": (("slice", 2, 1), FULL)}),
        Sample(((4, 3), (3,), 2), {"spec": (INT, FULL)}),
        Sample(((4, 3), (), 3, 1), {"spec": (("slice", 4, -1), NEW, INT)}),
        Sample(((4, 3), (1, 1), 1, 2), {"spec": (INT, INT)}),
        Sample(((2, 3, 4), (2, 1, 3), 0, 1), {"spec": (FULL, ("slice", 2, 2), ("slice", 3, 1))}),
        Sample(((3,), (1,)), {"spec": (FULL,)}),
    ),
    doc="x with x[key] = value, for a key of integers, slices, None and Ellipsis",
)


# -- fields of records --------------------------------------------------------------------------------------------------------------------
def _infer_field(x: ArrayType, name: Any) -> ArrayType:
    # never read: where the field lies is the answer
    blank = np.lib.stride_tricks.as_strided(np.zeros(1, x.dtype), x.shape, x.numpy_strides())
    shown = blank[name if isinstance(name, str) else list(name)]
    return array_type(shown.shape, shown.dtype, shown.strides, False, None, x.context)


def _numpy_set_field(x: np.ndarray, new: np.ndarray, name: Any) -> np.ndarray:
    result = np.array(x, copy=True, order="K")
    result[name if isinstance(name, str) else list(name)] = new
    return result


_RECORDS = np.array([(1, 2.0), (3, 4.0), (5, 6.0)], [("count", np.int32), ("weight", np.float64)])
field = define(
    "field",
    family="index",
    arity=1,
    params=("name",),
    infer=_infer_field,
    numpy=lambda x, name: x[name if isinstance(name, str) else list(name)],
    vjp=NO_GRADIENT,
    view=True,
    put=lambda x, new, name: TABLE["set_field"](x, new, name=name),
    samples=(Sample((_RECORDS,), {"name": "weight"}), Sample((_RECORDS,), {"name": ("count",)})),
    doc="a field of records, or several (a view)",
)
set_field = define(
    "set_field",
    family="index",
    arity=2,
    params=("name",),
    infer=lambda x, new, name: _copied(x),
    numpy=_numpy_set_field,
    vjp=NO_GRADIENT,
    samples=(Sample((_RECORDS, np.array([7, 8, 9], np.int32)), {"name": "count"}),),
    doc="records with a field replaced",
)


# -- integer arrays -----------------------------------------------------------------------------------------------------------------------
def mask_mismatch(axis: int, found: int, given: int) -> IndexError:
    """NumPy's error for a mask that does not have the length of its axis."""
    return IndexError(
        f"boolean index did not match indexed array along dimension {axis}; "
        f"dimension is {found} but corresponding boolean dimension is {given}"
    )


class _Gather:
    """What a structure means on a shape.

    Attributes:
        axes: source axis of each index array (-1 for a 0-d boolean).
        region: broadcast shape of the index arrays.
        shape, strides: of the result (`strides` in elements).
        scalar: NumPy returns a scalar.
    """

    __slots__ = ("axes", "region", "scalar", "shape", "strides")

    def __init__(self, type_: ArrayType, indices: Types, structure: Spec) -> None:
        source = type_.numpy_strides()
        self.axes: list[int] = []
        rest: list[tuple[int, int]] = []
        place, state = 0, "before"
        scalar = True
        axis = 0
        for entry in structure:
            kind = entry[0]
            if kind in ("array", "mask"):
                if state == "before":
                    place, state = len(rest), "inside"
                elif state == "after":
                    # separated by a slice, Ellipsis or None: the arrays' axes come first
                    place = 0
                if kind == "mask" and entry[1] == -1:
                    self.axes.append(-1)
                    continue
                # a mask of no elements chooses none, of any axis
                if kind == "mask" and entry[1] and type_.shape[axis] != entry[1]:
                    raise mask_mismatch(axis, type_.shape[axis], entry[1])
                self.axes.append(axis)
                axis += 1
                continue
            if state == "inside":
                state = "after"
            if kind == "slice":
                start, stop, step = slice(*entry[1:]).indices(type_.shape[axis])
                rest.append((len(range(start, stop, step)), source[axis] * step))
                axis += 1
            elif kind == "full":
                rest.append((type_.shape[axis], source[axis]))
                axis += 1
            elif kind == "new":
                rest.append((1, 0))
            else:
                scalar = False
        shapes = [t.shape for t in indices]
        try:
            self.region: Shape = broadcast_shapes(shapes)
        except ValueError:
            # NumPy leaves integers out
            listed = " ".join(map(_text, filter(None, shapes)))
            raise IndexError(f"shape mismatch: indexing arrays could not be broadcast together with shapes {listed} ") from None
        inner = tuple(n for n, _ in rest)
        # NumPy fills the arrays' axes in C order (in their own order where there is but one element besides), outside the others, which
        # keep the source's memory order
        strides = [0] * len(rest)
        unit = 1
        for k in sorted(range(len(rest)), key=lambda k: (-abs(rest[k][1]), k), reverse=True):
            strides[k] = unit
            unit *= max(rest[k][0], 1)
        outer = tuple(
            s * unit for s in (_broadcast_strides(indices, self.region) if math.prod(inner) == 1 else contiguous_strides(self.region, 1))
        )
        self.shape: Shape = inner[:place] + self.region + inner[place:]
        self.strides: _Strides = (*strides[:place], *outer, *strides[place:])
        self.scalar = scalar and not self.shape


def _broadcast_strides(indices: Types, region: Shape) -> _Strides:
    """Strides, in elements, of what is made by iterating over index arrays together: their memory order."""
    return elementwise_strides(indices, region, _BYTE) or contiguous_strides(region, 1)


def _check_indices(indices: Types) -> None:
    for t in indices:
        if t.dtype.kind not in "iu":
            raise IndexError("arrays used as indices must be of integer (or boolean) type")


def _infer_getitem_arrays(x: ArrayType, *indices: ArrayType, structure: Spec) -> ArrayType:
    _check_indices(indices)
    found = _Gather(x, indices, structure)
    strides = tuple(s * x.dtype.itemsize for s in found.strides)
    return array_type(found.shape, x.dtype, strides, found.scalar, None, x.context)


def _arrays_follow(count: int) -> Any:
    """`operand_dtypes` of an op whose operands from number `count` on are index arrays."""

    def operand_dtypes(types: Types, params: dict[str, Any]) -> tuple[np.dtype | None, ...]:
        return (*(t.dtype for t in types[:count]), *(INT64 if t.weak is not None else t.dtype for t in types[count:]))

    return operand_dtypes


def _same_integers(low: Any, entries: list[Any], types: Types) -> list[Any]:
    """Index entries in one of the dtypes whose arithmetic cannot overflow here."""
    dtypes = [INT64 if t.weak is not None else t.dtype for t in types]
    if len(set(dtypes)) == 1 and dtypes[0] in (INT32, INT64):
        return entries
    return [e if d == INT64 else low.cast(e, INT64) for e, d in zip(entries, dtypes, strict=True)]


def _guard(low: Any, entries: list[Any], lengths: list[int], axes: list[int]) -> None:
    """An index outside [-n, n) is found after the run; the reference then raises with NumPy's own text. 0.6 µs an index array."""
    for entry, n, axis in zip(entries, lengths, axes, strict=True):
        if n <= _LARGEST_CLIP:
            out = low.node("_npi_not_equal", [entry, low.node("_npi_clip", [entry], {"a_min": -n, "a_max": n - 1})])
        else:
            out = low.node(
                "_npi_bitwise_or",
                [low.node("_npi_less_scalar", [entry], {"scalar": -n}), low.node("_npi_greater_scalar", [entry], {"scalar": n - 1})],
            )
        low.guard(out, f"an index is out of bounds for axis {axis} with size {n}")


def _plain(structure: Spec) -> tuple[int, int] | None:
    """(first, count) of the index arrays where they stand side by side and all else are whole axes, else None."""
    arrays = [k for k, e in enumerate(structure) if e[0] in ("array", "mask")]
    if not arrays or arrays[-1] - arrays[0] != len(arrays) - 1 or any(e[0] not in ("array", "mask", "full") for e in structure):
        return None
    return None if ("mask", -1) in structure else (arrays[0], len(arrays))


def _lower_getitem_arrays(low: Any, xs: list[Any], types: Types, result: ArrayType, structure: Spec) -> Any:
    """`m[i, j]`, 32 of 32×10 float32: 1.7 µs and the check of the range (through `stack` 2.6, through positions in m.ravel() 2.0)."""
    found = _plain(structure)
    if found is None:
        return NotImplemented
    first, count = found
    if count > 1 and first > 0:
        return NotImplemented
    shape = types[0].shape
    entries = _same_integers(low, xs[1:], types[1:])
    unsure = [k for k in range(count) if structure[first + k][0] == "array"]
    _guard(low, [entries[k] for k in unsure], [shape[first + k] for k in unsure], [first + k for k in unsure])
    if count == 1:
        return low.node("take", [xs[0], entries[0]], {"axis": first, "mode": "wrap"})
    region = broadcast_shapes(t.shape for t in types[1:])
    if not region:
        # gather_nd wants an axis of points
        one = low.node("gather_nd", [xs[0], _stacked(low, entries, types[1:], (1,))])
        return low.node("_np_reshape", [one], {"newshape": _ints(result.shape)})
    return low.node("gather_nd", [xs[0], _stacked(low, entries, types[1:], region)])


def _stacked(low: Any, entries: list[Any], types: Types, region: Shape) -> Any:
    """Index arrays as one of shape (count, *region)."""
    if len(entries) == 2:
        # it broadcasts, and takes 1.1 µs where stack takes 1.9
        which = np.array([True, False]).reshape((2, *(1 for _ in region)))
        at = low.node("_npi_where", [low.constant(which), *entries])
        if broadcast_shapes([(2, *(1 for _ in region)), types[0].shape, types[1].shape]) == (2, *region):
            return at
        return low.node("_npi_broadcast_to", [at], {"shape": _ints((2, *region))})
    same = [
        e if t.shape == region else low.node("_npi_broadcast_to", [e], {"shape": _ints(region)})
        for e, t in zip(entries, types, strict=True)
    ]
    return low.node("_npi_stack", same, {"axis": 0, "num_args": len(same)})


_POINTS = (Sample(((4, 3), np.array([0, -1, 0, 2]), np.array([2, 0, 2, 1])), {"structure": (ARRAY, ARRAY)}),)
_STRUCTURES = (
    *_POINTS,
    Sample(((4, 3), np.array([[0, 3], [3, -4]])), {"structure": (ARRAY, FULL)}),
    Sample(((2, 4, 3), np.array([1, 1, 0])), {"structure": (FULL, ARRAY, FULL)}),
    Sample(((4, 3), np.array([1, 2], np.int32)), {"structure": (("slice", 1, None, 2), ARRAY)}),
    Sample(((2, 3, 4), np.array([0, 1]), np.array([[3], [0]])), {"structure": (ARRAY, FULL, ARRAY)}),
    Sample(((2, 3, 4), np.array([0, 1]), np.array([[2], [0]])), {"structure": (ARRAY, ARRAY, FULL)}),
)

getitem_arrays = define(
    "getitem_arrays",
    family="index",
    arity=None,
    params=("structure",),
    infer=_infer_getitem_arrays,
    numpy=lambda x, *indices, structure: x[advanced_key(structure, indices)],
    operand_dtypes=_arrays_follow(1),
    mxnet=_lower_getitem_arrays,
    kernel=kernels.getitem_arrays,
    mxnet_dtypes=ALL_MXNET,
    vjp=lambda g, ans, operands, index, structure: (
        None if index > 0 else TABLE["scatter_add"](g, *operands[1:], shape=operands[0].type.shape, structure=structure)
    ),
    raises=True,
    samples=_STRUCTURES,
    doc="x[key] for a key with integer arrays",
)


def _add_at(out: np.ndarray, value: np.ndarray, indices: tuple[np.ndarray, ...], structure: Spec) -> np.ndarray:
    """`np.add.at(out, key, value)` through the flat array, NumPy's quick path: 4 ns an element against 40.

    The value is broadcast first: NumPy 1.26 reads past its end when it broadcasts along a two-dimensional index of a vector.
    """
    at = np.asarray(np.arange(out.size).reshape(out.shape)[advanced_key(structure, indices)])
    flat = out.reshape(-1)
    np.add.at(flat, at.reshape(-1), np.broadcast_to(value.reshape(_stripped(value.shape, at.shape)), at.shape).reshape(-1))
    if not out.flags.c_contiguous:
        out[...] = flat.reshape(out.shape)
    return out


def _lower_scatter_add(low: Any, xs: list[Any], types: Types, result: ArrayType, shape: Shape, structure: Spec, unique: bool) -> Any:
    """Into 32×10 float32 at 32 points: 4.4 µs (of which the accumulation 1.2), 3 where `unique`; its atomic additions cost 10 ns an element
    and more."""
    found = _plain(structure)
    # _backward_gather_nd knows no 8-bit integers
    if found is None or (not unique and types[0].dtype.itemsize < 4):
        return NotImplemented
    first, count = found
    if first > 0 and count > 1:
        return NotImplemented
    lengths = shape[first : first + count]
    region = broadcast_shapes(t.shape for t in types[1:])
    entries = _same_integers(low, xs[1:], types[1:])
    unsure = [k for k in range(count) if structure[first + k][0] == "array"]
    # the reading whose gradient this is may not run, so the range is checked here too
    _guard(low, [entries[k] for k in unsure], [lengths[k] for k in unsure], [first + k for k in unsure])
    dtype = INT64 if any(t.weak is not None or t.dtype != INT32 for t in types[1:]) else INT32
    # the one with an axis more in front makes the sum (1, *region)
    points = region or (1,)
    lead = np.full((1,) * (len(points) + 1), lengths[-1], dtype)
    at = low.node("_npi_mod", [entries[-1], low.constant(lead)])
    unit = lengths[-1]
    for entry, n in zip(reversed(entries[:-1]), reversed(lengths[:-1]), strict=True):
        part = low.node("_npi_mod_scalar", [entry], {"scalar": n})
        at = low.node("_npi_add", [at, low.node("_npi_multiply_scalar", [part], {"scalar": unit})])
        unit *= n
    before, after = shape[:first], shape[first + count :]
    data = _reshape(low, xs[0], types[0].shape, (*before, *points, *after))
    if first > 0:
        k = len(points)
        order = (*range(first, first + k), *range(first), *range(first + k, first + k + len(after)))
        data = low.node("transpose", [data], {"axes": _ints(order)})
    flat = (unit, *before, *after)
    out = low.node("scatter_nd" if unique else "_backward_gather_nd", [data, at], {"shape": _ints(flat)})
    if first > 0:
        order = (*range(1, first + 1), 0, *range(first + 1, len(flat)))
        out = low.node("transpose", [out], {"axes": _ints(order)})
    return out if count == 1 else _reshape(low, out, flat, shape)


def _infer_scatter_add(g: ArrayType, *indices: ArrayType, shape: Shape, structure: Spec, unique: bool) -> ArrayType:
    _check_indices(indices)
    result = array_type(shape, g.dtype, context=g.context)
    if _Gather(result, indices, structure).shape != g.shape:
        raise ValueError(f"value array of shape {_text(g.shape)} does not fit the indexed part of shape {_text(shape)}")
    return result


def _scatter_add_samples() -> tuple[Sample, ...]:
    samples = []
    for s in _STRUCTURES:
        shape, *indices = s.shapes
        made = np.zeros(shape)[advanced_key(s.params["structure"], indices)].shape
        samples.append(Sample((made, *indices), {"shape": shape, "structure": s.params["structure"]}))
    return tuple(samples)


scatter_add = define(
    "scatter_add",
    family="index",
    arity=None,
    params=("shape", "structure", "unique"),
    defaults={"unique": False},
    infer=_infer_scatter_add,
    numpy=lambda g, *indices, shape, structure, unique: _add_at(np.zeros(shape, g.dtype), g, indices, structure),
    operand_dtypes=_arrays_follow(1),
    mxnet=_lower_scatter_add,
    kernel=kernels.scatter_add,
    mxnet_dtypes=ALL_MXNET,
    vjp=lambda g, ans, operands, index, shape, structure, unique: (
        None if index > 0 else TABLE["getitem_arrays"](g, *operands[1:], structure=structure)
    ),
    raises=True,
    samples=_scatter_add_samples(),
    doc="zeros of a shape with `g` added at x[key], a key with integer arrays (`unique`: no place twice): getitem_arrays' adjoint",
)


def _infer_write_arrays(x: ArrayType, value: ArrayType, *indices: ArrayType, structure: Spec) -> ArrayType:
    _check_indices(indices)
    region = _Gather(x, indices, structure).shape
    if not _fits(value.shape, region):
        raise ValueError(
            f"shape mismatch: value array of shape {_text(value.shape)} could not be broadcast to indexing result of shape {_text(region)}"
        )
    return _copied(x)


def _setitem_arrays(x: np.ndarray, value: np.ndarray, *indices: np.ndarray, structure: Spec, out: np.ndarray | None = None) -> np.ndarray:
    result = _target(x, out)
    result[advanced_key(structure, indices)] = value
    return result


def _setitem_arrays_rule(g: Any, ans: Any, operands: tuple[Any, ...], index: int, structure: Spec) -> Any:
    if index == 0:
        return TABLE["setitem_arrays"](g, 0.0, *operands[2:], structure=structure)
    if index == 1:
        read = TABLE["getitem_arrays"](g, *operands[2:], structure=structure)
        # where a place is written twice, only the last value is there
        stays = TABLE["last_write"](*operands[2:], shape=operands[0].type.shape, structure=structure)
        return _like_value(TABLE["where"](stays, read, 0.0), operands[1])
    return None


_WRITES = (
    Sample(((4, 3), (4,), np.array([0, -1, 0, 2]), np.array([2, 0, 2, 1])), {"structure": (ARRAY, ARRAY)}),
    Sample(((4, 3), (2, 3), np.array([0, 3])), {"structure": (ARRAY, FULL)}),
    Sample(((4, 3), (), np.array([0, 3])), {"structure": (ARRAY, FULL)}),
    Sample(((2, 3, 4), (2, 2, 1), np.array([0, 1]), np.array([[3], [0]])), {"structure": (ARRAY, FULL, ARRAY)}),
)

setitem_arrays = define(
    "setitem_arrays",
    family="index",
    arity=None,
    params=("structure",),
    infer=_infer_write_arrays,
    numpy=_setitem_arrays,
    # MXNet's scatter runs on all threads: of two values for one place either may win
    operand_dtypes=_written,
    kernel=kernels.write_arrays(None),
    vjp=_setitem_arrays_rule,
    inplace=0,
    raises=True,
    samples=_WRITES,
    doc="x with x[key] = value, for a key with integer arrays; of several values for one place the last stays",
)


def _last_write(*indices: np.ndarray, shape: Shape, structure: Spec) -> np.ndarray:
    at = np.arange(math.prod(shape)).reshape(shape)[advanced_key(structure, indices)]
    order = np.arange(at.size).reshape(at.shape)
    winner = np.full(math.prod(shape), -1)
    # the same assignment as the write itself, so that ties fall alike
    winner.reshape(shape)[advanced_key(structure, indices)] = order
    return winner[at] == order


last_write = define(
    "last_write",
    family="index",
    arity=None,
    params=("shape", "structure"),
    infer=lambda *indices, shape, structure: array_type(
        _Gather(array_type(shape, INT64), indices, structure).shape, np.dtype(np.bool_), context=indices[0].context
    ),
    numpy=_last_write,
    operand_dtypes=_arrays_follow(0),
    kernel=kernels.last_write,
    vjp=ZERO_GRADIENT,
    samples=(Sample((np.array([0, 3, 0, -1]),), {"shape": (4, 3), "structure": (ARRAY, FULL)}, differentiable=False),),
    doc="which of the values written by setitem_arrays stay",
)


def _infer_add_at(x: ArrayType, value: ArrayType, *indices: ArrayType, structure: Spec) -> ArrayType:
    result = _infer_write_arrays(x, value, *indices, structure=structure)
    if value.ndim > len(_Gather(x, indices, structure).shape):
        # an assignment would take further leading axes
        raise ValueError("array is not broadcastable to correct shape")
    return result


def _add_at_copy(x: np.ndarray, value: np.ndarray, *indices: np.ndarray, structure: Spec, out: np.ndarray | None = None) -> np.ndarray:
    return _add_at(_target(x, out), value, indices, structure)


add_at = define(
    "add_at",
    family="index",
    arity=None,
    params=("structure",),
    infer=_infer_add_at,
    numpy=_add_at_copy,
    operand_dtypes=_written,
    kernel=kernels.write_arrays("add"),
    vjp=lambda g, ans, operands, index, structure: (
        g
        if index == 0
        else _like_value(TABLE["getitem_arrays"](g, *operands[2:], structure=structure), operands[1])
        if index == 1
        else None
    ),
    inplace=0,
    raises=True,
    samples=_WRITES,
    doc="x with `value` added at x[key], as often as a place is named (np.add.at)",
)


# -- take, take_along_axis, put_along_axis ------------------------------------------------------------------------------------------------
def _infer_take(x: ArrayType, indices: ArrayType, axis: int | None, mode: str) -> ArrayType:
    if indices.weak is None and not np.can_cast(indices.dtype, INT64, "safe"):
        raise TypeError(f"Cannot cast array data from {indices.dtype!r} to dtype('int64') according to the rule 'safe'")
    if mode not in ("raise", "wrap", "clip"):
        raise ValueError(f"clipmode must be one of 'clip', 'raise', or 'wrap' (got {mode!r})")
    if axis is None:
        n, shape = x.size, indices.shape
    else:
        if not 0 <= axis < max(x.ndim, 1):
            raise np.AxisError(axis, x.ndim)
        n = x.shape[axis] if x.ndim else 1
        shape = x.shape[:axis] + indices.shape + x.shape[axis + 1 :]
    if n == 0 and math.prod(shape) > 0:
        raise IndexError("cannot do a non-empty take from an empty axes.")
    return array_type(shape, x.dtype, None, not shape, None, x.context)


def _lower_take(low: Any, xs: list[Any], types: Types, result: ArrayType, axis: int | None, mode: str) -> Any:
    if types[1].dtype.kind not in "iu":
        return NotImplemented
    (at,) = _same_integers(low, xs[1:], types[1:])
    x, shape = xs[0], types[0].shape
    if axis is None or not shape:
        x, axis, shape = _reshape(low, x, shape, (types[0].size,)), 0, (types[0].size,)
    if mode == "raise":
        _guard(low, [at], [shape[axis]], [axis])
    return low.node("take", [x, at], {"axis": axis, "mode": "clip" if mode == "clip" else "wrap"})


def _take_rule(g: Any, ans: Any, x: Any, indices: Any, axis: int | None, mode: str) -> Any:
    shape = x.type.shape
    flat = shape if axis is not None and shape else (x.type.size,)
    axis = axis or 0
    if mode == "wrap":
        indices = TABLE["remainder"](indices, flat[axis])
    elif mode == "clip":
        indices = TABLE["minimum"](TABLE["maximum"](indices, 0), flat[axis] - 1)
    structure = (FULL,) * axis + (ARRAY,) + (FULL,) * (len(flat) - axis - 1)
    out = TABLE["scatter_add"](g, indices, shape=flat, structure=structure)
    return out if flat == shape else TABLE["reshape"](out, shape=shape)


take = define(
    "take",
    family="index",
    arity=2,
    params=("axis", "mode"),
    defaults={"axis": None, "mode": "raise"},
    infer=_infer_take,
    numpy=lambda x, indices, axis, mode: np.take(x, indices, axis, mode=mode),
    operand_dtypes=_arrays_follow(1),
    mxnet=_lower_take,
    kernel=kernels.take,
    mxnet_dtypes=ALL_MXNET,
    vjp=(_take_rule, ZERO_GRADIENT),
    raises=True,
    samples=(
        Sample(((4, 3), np.array([1, 3, -4, 1])), {"axis": 0}),
        Sample(((4, 3), np.array([[1, 11], [-1, 1]]))),
        Sample(((4, 3), np.array([[1, 7], [-9, 1]])), {"axis": 1, "mode": "wrap"}),
        Sample(((4, 3), np.array([1, 7, -9])), {"axis": 1, "mode": "clip"}),
        Sample(((4, 3), 2), {"axis": 0}),
        Sample(((5,), -2), {"axis": 0}),
    ),
    doc="elements by their positions along an axis, or in the flat array",
)


def _along_shape(shape: Shape, indices: ArrayType, axis: int) -> Shape:
    """Broadcast shape of the positions of take_along_axis."""
    if indices.dtype.kind not in "iu":
        raise IndexError("`indices` must be an integer array")
    if len(shape) != indices.ndim:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    if not 0 <= axis < len(shape):
        raise np.AxisError(axis, len(shape))
    others = [1 if k == axis else n for k, n in enumerate(shape)]
    for k, (n, m) in enumerate(zip(others, indices.shape, strict=True)):
        if k != axis and n != m and m != 1 and n != 1:
            listed = " ".join(
                _text((1,) * k + (n,) + (1,) * (len(shape) - k - 1)) if k != axis else _text(indices.shape) for k, n in enumerate(shape)
            )
            raise IndexError(f"shape mismatch: indexing arrays could not be broadcast together with shapes {listed} ")
    return broadcast_shapes([tuple(others), indices.shape])


def _along_key(shape: Shape, indices: np.ndarray, axis: int) -> tuple[np.ndarray, ...]:
    ndim = len(shape)
    return tuple(indices if k == axis else np.arange(n).reshape((1,) * k + (n,) + (1,) * (ndim - k - 1)) for k, n in enumerate(shape))


def _along_flat(low: Any, entry: Any, indices: ArrayType, shape: Shape, axis: int, guard: bool) -> Any:
    """Positions in the flat array, or NotImplemented."""
    region = _along_shape(shape, indices, axis)
    if math.prod(region) > _LARGEST_TABLE:
        return NotImplemented
    if guard:
        _guard(low, [entry], [shape[axis]], [axis])
    unit = contiguous_strides(shape, 1)
    dtype = indices.dtype
    table = np.zeros((1,) * len(shape), dtype)
    for k, n in enumerate(shape):
        if k != axis:
            table = table + (np.arange(n, dtype=dtype) * unit[k]).reshape((n,) + (1,) * (len(shape) - k - 1))
    at = low.node("_npi_mod_scalar", [entry], {"scalar": shape[axis]})
    if unit[axis] != 1:
        at = low.node("_npi_multiply_scalar", [at], {"scalar": unit[axis]})
    return low.node("_npi_add", [at, low.constant(table.astype(dtype))])


def _lower_along(low: Any, xs: list[Any], types: Types, result: ArrayType, axis: int) -> Any:
    shape, indices = types[0].shape, types[1]
    if indices.dtype not in (INT32, INT64):
        return NotImplemented
    # pick knows no bool
    if indices.shape == (*shape[:axis], 1, *shape[axis + 1 :]) and types[0].dtype in NUMBERS:
        _guard(low, [xs[1]], [shape[axis]], [axis])
        return low.node("pick", [xs[0], xs[1]], {"axis": axis, "keepdims": 1, "mode": "wrap"})
    at = _along_flat(low, xs[1], indices, shape, axis, guard=True)
    if at is NotImplemented:
        return NotImplemented
    return low.node("take", [_reshape(low, xs[0], shape, (types[0].size,)), at], {"axis": 0, "mode": "clip"})


def _infer_along(x: ArrayType, indices: ArrayType, axis: int) -> ArrayType:
    shape = _along_shape(x.shape, indices, axis)
    others = [array_type((1,) * k + (n,) + (1,) * (x.ndim - k - 1), INT64) for k, n in enumerate(x.shape) if k != axis]
    strides = tuple(s * x.dtype.itemsize for s in _broadcast_strides((*others[:axis], indices, *others[axis:]), shape))
    return array_type(shape, x.dtype, strides, False, None, x.context)


_ALONG = (
    Sample(((4, 3), np.array([[0, 2, 1], [3, -1, 1]])), {"axis": 0}),
    Sample(((4, 3), np.array([[0], [2], [1], [-3]])), {"axis": 1}),
    Sample(((2, 3, 4), np.array([[[0, 1, 1]], [[1, 0, 2]]]).reshape(2, 3, 1)), {"axis": 2}),
    Sample(((4, 3), np.array([[0, 2]])), {"axis": 1}),
)

take_along_axis = define(
    "take_along_axis",
    family="index",
    arity=2,
    params=("axis",),
    infer=_infer_along,
    numpy=lambda x, indices, axis: x[_along_key(x.shape, indices, axis)],
    mxnet=_lower_along,
    kernel=kernels.take_along_axis,
    mxnet_dtypes=ALL_MXNET,
    vjp=(
        lambda g, ans, x, indices, axis: TABLE["scatter_add_along_axis"](g, indices, axis=axis, shape=x.type.shape),
        ZERO_GRADIENT,
    ),
    raises=True,
    samples=_ALONG,
    doc="elements by their positions along an axis, one position per element",
)


def _scatter_along(g: np.ndarray, indices: np.ndarray, axis: int, shape: Shape) -> np.ndarray:
    out = np.zeros(shape, g.dtype)
    at = np.arange(out.size).reshape(shape)[_along_key(shape, indices, axis)]
    np.add.at(out.reshape(-1), at.reshape(-1), g.reshape(-1))
    return out


def _lower_scatter_along(low: Any, xs: list[Any], types: Types, result: ArrayType, axis: int, shape: Shape) -> Any:
    if types[1].dtype not in (INT32, INT64) or types[0].dtype.itemsize < 4:
        return NotImplemented
    at = _along_flat(low, xs[1], types[1], shape, axis, guard=False)
    if at is NotImplemented:
        return NotImplemented
    at = low.node("_np_reshape", [at], {"newshape": _ints((1, types[0].size))})
    data = _reshape(low, xs[0], types[0].shape, (types[0].size,))
    size = math.prod(shape)
    return _reshape(low, low.node("_backward_gather_nd", [data, at], {"shape": _ints((size,))}), (size,), shape)


scatter_add_along_axis = define(
    "scatter_add_along_axis",
    family="index",
    arity=2,
    params=("axis", "shape"),
    infer=lambda g, indices, axis, shape: array_type(shape, g.dtype, context=g.context),
    numpy=_scatter_along,
    mxnet=_lower_scatter_along,
    kernel=kernels.scatter_add_along_axis,
    mxnet_dtypes=ALL_MXNET,
    vjp=(lambda g, ans, x, indices, axis, shape: TABLE["take_along_axis"](g, indices, axis=axis), ZERO_GRADIENT),
    samples=(
        Sample(((2, 3), np.array([[0, 2, 1], [3, -1, 1]])), {"axis": 0, "shape": (4, 3)}),
        Sample(((4, 3), np.array([[0, 0, 1]] * 4)), {"axis": 1, "shape": (4, 3)}),
    ),
    doc="zeros of a shape with `g` added at the positions of take_along_axis: its adjoint",
)


def _infer_put_along(x: ArrayType, indices: ArrayType, value: ArrayType, axis: int) -> ArrayType:
    region = _along_shape(x.shape, indices, axis)
    if not _fits(value.shape, region):
        raise ValueError(
            f"shape mismatch: value array of shape {_text(value.shape)} could not be broadcast to indexing result of shape {_text(region)}"
        )
    return _copied(x)


def _put_along(x: np.ndarray, indices: np.ndarray, value: np.ndarray, axis: int, out: np.ndarray | None = None) -> np.ndarray:
    result = _target(x, out)
    result[_along_key(x.shape, indices, axis)] = value
    return result


put_along_axis = define(
    "put_along_axis",
    family="index",
    arity=3,
    params=("axis",),
    infer=_infer_put_along,
    numpy=_put_along,
    operand_dtypes=lambda types, params: (types[0].dtype, types[1].dtype, types[0].dtype),
    kernel=kernels.put_along_axis,
    vjp=(
        lambda g, ans, x, indices, value, axis: TABLE["put_along_axis"](g, indices, 0.0, axis=axis),
        ZERO_GRADIENT,
        lambda g, ans, x, indices, value, axis: _like_value(
            TABLE["where"](TABLE["last_put"](indices, axis=axis, shape=x.type.shape), TABLE["take_along_axis"](g, indices, axis=axis), 0.0),
            value,
        ),
    ),
    inplace=0,
    raises=True,
    samples=(
        Sample(((4, 3), np.array([[0, 2, 1], [3, 2, 1]]), (2, 3)), {"axis": 0}),
        Sample(((4, 3), np.array([[0], [2], [1], [-3]]), ()), {"axis": 1}),
    ),
    doc="x with values written at the positions of take_along_axis; of several for one place the last stays",
)


def _last_put(indices: np.ndarray, axis: int, shape: Shape) -> np.ndarray:
    key = _along_key(shape, indices, axis)
    return _last_write(*key, shape=shape, structure=(ARRAY,) * len(shape))


last_put = define(
    "last_put",
    family="index",
    arity=1,
    params=("axis", "shape"),
    infer=lambda indices, axis, shape: array_type(_along_shape(shape, indices, axis), np.dtype(np.bool_), context=indices.context),
    numpy=_last_put,
    kernel=kernels.last_put,
    vjp=ZERO_GRADIENT,
    samples=(Sample((np.array([[0, 2, 1], [0, 2, 2]]),), {"axis": 0, "shape": (4, 3)}, differentiable=False),),
    doc="which of the values written by put_along_axis stay",
)
