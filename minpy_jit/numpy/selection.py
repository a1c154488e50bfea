"""Functions that choose, order and index elements."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..trace.handle import Handle
from ..trace.op import TABLE
from ..trace.ops import composite
from ..trace.ops.normalise import normalise_axis
from ..trace.recorder import observe
from ..trace.types import HOST_KINDS, contiguous_strides
from . import fallback, indexing
from .array import duplicate
from .convert import NUMBERS, array_of, as_handle, contains_handle, follows
from .creation import arange, asarray, zeros, zeros_like
from .facts import ndim, result_type
from .output import check_same, deliver, is_array, out_array, result_layout
from .shaping import atleast_1d, broadcast_arrays, concatenate, diagonal, expand_dims, flatten, handle, ravel, reshaped, transpose
from .views import assign, check_writeable

_NOT_GIVEN: Any = np._NoValue  # type: ignore[attr-defined]


def _number_or_handle(a: Any) -> Any:
    return a if type(a) in NUMBERS else handle(a)


# -- choosing ----------------------------------------------------------------------------------------------------------------------------
def where(condition: Any, x: Any = _NOT_GIVEN, y: Any = _NOT_GIVEN, /) -> Any:
    """`x` where the condition holds, `y` elsewhere; with one argument its nonzero positions."""
    if x is _NOT_GIVEN and y is _NOT_GIVEN:
        return nonzero(condition)
    if x is _NOT_GIVEN or y is _NOT_GIVEN:
        raise ValueError("either both or neither of x and y should be given")
    chosen = [handle(condition), _number_or_handle(x), _number_or_handle(y)]
    if type(chosen[1]) in NUMBERS and type(chosen[2]) in NUMBERS:
        chosen[1] = as_handle(chosen[1])
    if any(isinstance(c, Handle) and c.type.dtype.kind in HOST_KINDS + "Mm" for c in chosen):
        return fallback.call(np.where, (condition, x, y), None, "where")
    made = TABLE["where"](*chosen)
    # NumPy's is not a ufunc: no axes give a 0-d array
    return TABLE["reshape"](made, shape=()) if made.type.scalar else made


nonzero = fallback.fallback(np.nonzero)


def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """For each element the first choice whose condition holds."""
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    if not condlist:
        raise ValueError("select with an empty condition list is not possible")
    result = _number_or_handle(default)
    for condition, choice in zip(reversed(list(condlist)), reversed(list(choicelist)), strict=True):
        mask = handle(condition)
        if mask.type.dtype != np.bool_:
            raise TypeError("invalid entry 0 in condlist: should be boolean ndarray")
        result = TABLE["where"](mask, handle(choice), result)
    # NumPy fills an array of its own
    return result_layout(result, "C")


def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Functions (or values), each evaluated where its condition holds."""
    x = handle(x)
    conditions = _conditions(condlist, x)
    functions = list(funclist)
    if len(functions) == len(conditions) + 1:
        rest = conditions[0]
        for c in conditions[1:]:
            rest = rest | c
        conditions.append(~rest)
    elif len(functions) != len(conditions):
        raise ValueError(f"with {len(conditions)} condition(s), either {len(conditions)} or {len(conditions) + 1} functions are expected")
    y = zeros_like(x)
    for condition, function in zip(conditions, functions, strict=True):
        if not callable(function):
            y[condition] = function
        else:
            values = x[condition]
            if values.type.size:
                y[condition] = function(values, *args, **kw)
    return y


def _conditions(condlist: Any, x: Any) -> list[Any]:
    if np.isscalar(condlist) or ndim(condlist) == 0 or (ndim(condlist[0]) == 0 and not isinstance(condlist[0], list) and x.type.ndim != 0):
        condlist = [condlist]
    return [TABLE["astype"](handle(c), dtype=np.dtype(bool)) for c in condlist]


def compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    """Slices of an array where a 1-d condition holds."""
    mask = np.asarray(observe(condition, "compress") if isinstance(condition, Handle) else condition)
    if mask.ndim != 1:
        raise ValueError("condition must be a 1-d array")
    return take(a, np.flatnonzero(mask), axis, out)


def extract(condition: Any, arr: Any) -> Any:
    """Elements of the raveled array where the condition holds."""
    mask = observe(condition, "extract") if isinstance(condition, Handle) else np.asarray(condition)
    return take(ravel(handle(arr)), np.flatnonzero(mask))


def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    """Elements at indices along an axis."""
    if out is not None and not is_array(out):
        raise TypeError("[take] output must be an array")
    x, at = handle(a), _integers(indices)
    if x.type.host or mode not in ("raise", "wrap", "clip"):
        return fallback.call(np.take, (a, indices, axis, out, mode), None, "take")
    if axis is None or (x.type.ndim == 0 and axis in (0, -1)):
        x, axis = (x, 0) if x.type.ndim == 1 else (TABLE["reshape"](x, shape=(x.type.size,)), 0)
    else:
        axis = normalise_axis(axis, x.type.ndim)
    # a fault of out= is told before one of the positions, as in NumPy
    check_same((*x.type.shape[:axis], *at.type.shape, *x.type.shape[axis + 1 :]), x.type.dtype, out, "take")
    taken = TABLE["take"](x, at, axis=axis, mode=mode)
    if (
        mode == "raise"
        and not isinstance(indices, Handle)
        and isinstance(at.memory, np.ndarray)
        and at.memory.size
        and 0 not in x.type.shape[:axis]
    ):
        # positions that are known fail at this line, as in NumPy (which does not look at them where there is no row to take from)
        indexing.check_places(at.memory, axis, x.type.shape[axis])
    return deliver(taken, out, "take", "unsafe")


def _integers(indices: Any) -> Any:
    if isinstance(indices, (Handle, np.ndarray)) or fallback.contains_handle(indices):
        found = handle(indices)
    else:
        # numbers that are no arrays are cast whatever they are
        found = array_of(np.array(indices, np.intp))
    if found.type.scalar and found.type.dtype.kind == "f":
        found = TABLE["astype"](found, dtype=np.dtype(np.intp))
    if found.type.dtype.kind not in "iub":
        raise TypeError(f"Cannot cast array data from {found.type.dtype!r} to dtype('int64') according to the rule 'safe'")
    return TABLE["astype"](found, dtype=np.dtype(np.int64)) if found.type.dtype.kind == "b" else found


def take_along_axis(arr: Any, indices: Any, axis: Any) -> Any:
    """Elements by matching slices of data and indices."""
    x, at = handle(arr), handle(indices)
    if axis is None:
        x, axis = TABLE["reshape"](x, shape=(x.type.size,)), 0
    axis = normalise_axis(axis, x.type.ndim)
    if at.type.dtype.kind not in "iu":
        raise IndexError("`indices` must be an integer array")
    if x.type.ndim != at.type.ndim:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    return TABLE["take_along_axis"](x, at, axis=axis)


def clip(a: Any, a_min: Any, a_max: Any, out: Any = None, **kwargs: Any) -> Any:
    """Values limited to an interval (either end may be None)."""
    if kwargs or (isinstance(a, Handle) and a.type.host):
        return fallback.call(np.clip, (a, a_min, a_max, out), kwargs, "clip")
    if a_min is None and a_max is None:
        raise ValueError("One of max or min must be given")
    out_array(out)
    x = handle(a)
    if a_min is None:
        made = TABLE["minimum"](x, _number_or_handle(a_max))
    elif a_max is None:
        made = TABLE["maximum"](x, _number_or_handle(a_min))
    else:
        made = TABLE["clip"](x, _number_or_handle(a_min), _number_or_handle(a_max))
    return deliver(made, out, "clip")


def diag(v: Any, k: int = 0) -> Any:
    """The diagonal of a matrix (a view), or the matrix with a diagonal."""
    x = handle(v)
    if x.type.ndim == 2:
        return diagonal(x, k)
    if x.type.ndim != 1:
        raise ValueError("Input must be 1- or 2-d.")
    k = operator.index(k)
    n = x.type.shape[0] + abs(k)
    return TABLE["place_diagonal"](x, offset=k, axis1=0, axis2=1, shape=(n, n))


def diagflat(v: Any, k: int = 0) -> Any:
    """The matrix with the flattened values on a diagonal."""
    return diag(flatten(handle(v)), k)


def tril(m: Any, k: int = 0) -> Any:
    """The lower triangle."""
    return TABLE["tril"](handle(m), k=operator.index(k))


def triu(m: Any, k: int = 0) -> Any:
    """The upper triangle."""
    return TABLE["triu"](handle(m), k=operator.index(k))


# -- order -------------------------------------------------------------------------------------------------------------------------------
def sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None) -> Any:
    """A sorted copy."""
    if axis is not None:
        # `argsort` lets axis 0 of a single number pass
        normalise_axis(axis, handle(a).type.ndim)
    return _sorted("sort", np.sort, a, axis, kind, order)


def msort(a: Any) -> Any:
    """A copy sorted along the first axis."""
    return sort(a, 0)


def argsort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None) -> Any:
    """The indices that would sort an array."""
    return _sorted("argsort", np.argsort, a, axis, kind, order)


def _sorted(name: str, function: Any, a: Any, axis: Any, kind: Any, order: Any) -> Any:
    x = handle(a)
    if order is not None or x.type.dtype.kind in HOST_KINDS + "Mm" or kind not in (None, "quicksort", "stable", "mergesort", "heapsort"):
        return fallback.call(function, (a, axis, kind, order), None, name)
    if axis is None or x.type.ndim == 0:
        if x.type.ndim == 0 and axis not in (None, 0, -1):
            normalise_axis(axis, x.type.ndim)
        x, axis = TABLE["reshape"](x, shape=(x.type.size,)), 0
    return TABLE[name](x, axis=normalise_axis(axis, x.type.ndim), stable=kind in ("stable", "mergesort"))


def partition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Any:
    """A copy in which the k-th elements stand where sorting would put them."""
    return _partitioned("partition", np.partition, a, kth, axis, kind, order)


def argpartition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Any:
    """The indices that would partition an array."""
    return _partitioned("argpartition", np.argpartition, a, kth, axis, kind, order)


def _partitioned(name: str, function: Any, a: Any, kth: Any, axis: Any, kind: str, order: Any) -> Any:
    x = handle(a)
    if order is not None or kind != "introselect" or x.type.dtype.kind in HOST_KINDS + "Mm" or x.type.ndim == 0 or x.type.dtype.kind == "b":
        return fallback.call(function, (a, kth, axis, kind, order), None, name)
    if axis is None:
        x, axis = TABLE["reshape"](x, shape=(x.type.size,)), 0
    wanted = observe(kth, name) if isinstance(kth, Handle) else np.asarray(kth)
    return TABLE[name](x, kth=tuple(int(k) for k in wanted.reshape(-1)), axis=normalise_axis(axis, x.type.ndim))


def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    """Positions at which values would have to be inserted into a sorted array."""
    x = handle(a)
    if sorter is not None and x.type.ndim:
        x = take(x, sorter)
    values = handle(v)
    if side not in ("left", "right"):
        raise ValueError(f"search side must be 'left' or 'right' (got '{side}')")
    if x.type.dtype.kind in HOST_KINDS + "Mm" or x.type.ndim != 1:
        return fallback.call(np.searchsorted, (a, v, side, sorter), None, "searchsorted")
    return TABLE["searchsorted"](x, values, side=side)


# -- repeating, deleting, inserting: by positions computed on the host ------------------------------------------------------------------
def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    """Each element repeated."""
    x = handle(a)
    if axis is None or (x.type.ndim == 0 and axis in (0, -1)):
        x, axis = TABLE["reshape"](x, shape=(x.type.size,)), 0
    axis = normalise_axis(axis, x.type.ndim)
    shape = x.type.shape
    if isinstance(repeats, Handle):
        counts = observe(repeats, "repeat")
        counts = counts.astype(np.intp) if repeats.type.scalar else counts
    else:
        # numbers that are no arrays are cast whatever they are
        counts = np.asarray(repeats, None if isinstance(repeats, np.ndarray) else np.intp)
    if counts.size == 1 and counts.dtype.kind in "iub":
        times = int(counts.reshape(()))
        if times < 0 and shape[axis]:
            raise ValueError("repeats may not contain negative values.")
        return TABLE["repeat"](x, repeats=max(times, 0), axis=axis)
    return take(x, np.repeat(np.arange(shape[axis]), counts), axis)


def delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    """A copy without some slices along an axis."""
    x = handle(arr)
    if axis is None:
        x, axis = ravel(x), 0
    axis = normalise_axis(axis, x.type.ndim)
    which = observe(obj, "delete") if isinstance(obj, Handle) else obj
    kept = np.delete(np.arange(x.type.shape[axis]), which)
    if isinstance(which, (slice, int, np.integer)):
        return take(x, kept, axis)
    # as NumPy does it: the memory order of the result is that of advanced indexing
    return indexing.get(x, (*(slice(None),) * axis, kept))


def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    """A copy with values inserted before the given positions."""
    x = handle(arr)
    if axis is None:
        x, axis = ravel(x), 0
    new = values if isinstance(values, Handle) else array_of(values, x.type.dtype)
    if x.type.ndim != 1 or new.type.ndim > 1 or new.type.host:
        return fallback.call(np.insert, (x, obj, values, axis), None, "insert")
    where_ = observe(obj, "insert") if isinstance(obj, Handle) else obj
    n = x.type.shape[0]
    new = TABLE["astype"](reshaped(new, (new.type.size,)), dtype=x.type.dtype)
    m = new.type.shape[0]
    order = np.insert(np.arange(n), where_, np.arange(n, n + m) if m != 1 else n)
    return take(concatenate((x, new)), order)


def resize(a: Any, new_shape: Any) -> Any:
    """The elements, repeated as often as needed, in a new shape."""
    x = handle(a)
    shape = (operator.index(new_shape),) if not isinstance(new_shape, (tuple, list)) else tuple([operator.index(n) for n in new_shape])
    if any(n < 0 for n in shape):
        raise ValueError("all elements of `new_shape` must be non-negative")
    total = int(np.prod(shape, dtype=np.int64))
    if x.type.size == 0 or total == 0:
        return zeros(shape, x.type.dtype)
    flat = TABLE["reshape"](x, shape=(x.type.size,))
    return TABLE["reshape"](take(flat, np.arange(total) % x.type.size), shape=shape)


def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """The array padded at its borders."""
    x = handle(array)
    widths = np.broadcast_to(np.asarray(observe(pad_width, "pad") if isinstance(pad_width, Handle) else pad_width), (x.type.ndim, 2))
    fill = kwargs.get("constant_values", 0)
    if (np.asarray(pad_width) < 0).any():
        raise ValueError("index can't contain negative values")
    if widths.dtype.kind in "iu" and isinstance(mode, str) and set(kwargs) <= {"constant_values"} and type(fill) in NUMBERS:
        if type(fill) is float and x.type.dtype.kind in "iub":
            fill = TABLE["astype"](as_handle(fill), dtype=x.type.dtype)
        made = composite.padded(x, tuple((int(before), int(after)) for before, after in widths), mode, fill)
        if made is not NotImplemented:
            return made
    return fallback.call(np.pad, (array, pad_width, mode), kwargs, "pad")


# -- index helpers -----------------------------------------------------------------------------------------------------------------------
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    """Coordinate matrices from coordinate vectors."""
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    arrays = [handle(x) for x in xi]
    if copy:
        return [m.copy() for m in composite.meshgrid(tuple(arrays), indexing, sparse)]
    places = [1, 0, *range(2, len(arrays))] if indexing == "xy" and len(arrays) > 1 else range(len(arrays))
    shown = [
        reshaped(x, tuple([x.type.size if k == place else 1 for k in range(len(arrays))])) for x, place in zip(arrays, places, strict=True)
    ]
    return shown if sparse else broadcast_arrays(*shown)


def ix_(*args: Any) -> Any:
    """Open mesh of index arrays: the n-th has its elements along axis n (views of arrays of ours)."""
    made = []
    for k, given in enumerate(args):
        x = handle(given) if isinstance(given, Handle) or np.size(given) else array_of(np.empty(0, np.intp))
        if x.type.ndim != 1:
            raise ValueError("Cross index must be 1 dimensional")
        if x.type.dtype == np.bool_:
            (x,) = nonzero(x)
        made.append(reshaped(x, (1,) * k + (x.type.size,) + (1,) * (len(args) - k - 1)))
    return tuple(made)


def trim_zeros(filt: Any, trim: Any = "fb") -> Any:
    """A view of a vector without its leading and trailing zeros (observed); lists stay lists."""
    if not isinstance(filt, Handle):
        return np.trim_zeros(filt, trim)
    array: Any = filt
    (places,) = np.nonzero(observe(filt, "trim_zeros"))
    first, last = (places[0], places[-1] + 1) if len(places) else (filt.type.size, 0)
    upper = trim.upper()
    return array[(int(first) if "F" in upper else 0) : (int(last) if "B" in upper else filt.type.size)]


class _Concatenator:
    """`r_` and `c_`: arrays and ranges joined by indexing; gradients flow unless a directive string is used."""

    def __init__(self, theirs: Any, columns: bool) -> None:
        self._theirs, self._columns = theirs, columns
        self.__name__ = "c_" if columns else "r_"

    @follows
    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        if any(isinstance(p, str) for p in parts) or any(isinstance(p, slice) and isinstance(p.step, complex) for p in parts):
            return fallback.call(self._theirs.__getitem__, (key,), None, self.__name__)
        made = [atleast_1d(arange(p.start or 0, p.stop, p.step or 1) if isinstance(p, slice) else p) for p in parts]
        if any(type(p) in NUMBERS for p in parts):
            # numbers take the dtype of the arrays where that holds their kind
            dtype = result_type(*[p if type(p) in NUMBERS else m.type.dtype for p, m in zip(parts, made, strict=True)])
            made = [m if m.type.dtype == dtype else TABLE["astype"](m, dtype=dtype) for m in made]
        if self._columns:
            made = [reshaped(m, (*m.type.shape, 1)) if m.type.ndim == 1 else m for m in made]
        return concatenate(made, -1 if self._columns else 0)

    def __len__(self) -> int:
        return 0


r_, c_ = _Concatenator(np.r_, False), _Concatenator(np.c_, True)


class _Grid:
    """`mgrid` and `ogrid`."""

    def __init__(self, theirs: Any, name: str) -> None:
        self._theirs, self._name = theirs, name

    def __getitem__(self, key: Any) -> Any:
        return fallback.call(self._theirs.__getitem__, (key,), None, self._name)


mgrid, ogrid = _Grid(np.mgrid, "mgrid"), _Grid(np.ogrid, "ogrid")


def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    """Fill the main diagonal in place."""
    if not isinstance(a, Handle) or a.type.scalar:
        fallback.call(np.fill_diagonal, (a, val, wrap), None, "fill_diagonal")
        return
    shape = a.type.shape
    if len(shape) < 2:
        raise ValueError("array must be at least 2-d")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise ValueError("All dimensions of input must be of equal length")
    # as NumPy does: in steps through the flat array, in tall matrices up to the first square or around
    end = None if len(shape) > 2 or wrap else shape[1] * shape[1]
    step = sum(contiguous_strides(shape, 1))
    handle(a).flat[:end:step] = val


def putmask(a: Any, mask: Any, values: Any) -> None:
    """Write `values` where the mask holds."""
    if not isinstance(a, Handle) or a.type.scalar or a.type.host:
        fallback.call(np.putmask, (a, mask, values), None, "putmask")
        return
    check_writeable(a, "putmask: output array is read-only")
    chosen = TABLE["astype"](handle(mask), dtype=np.dtype(bool))
    if chosen.type.size != a.type.size:
        raise ValueError("putmask: mask and data must be the same size")
    new = _converted(values, a.type.dtype, "safe")
    if new.type.size:
        shape = a.type.shape
        assign(a, TABLE["where"](TABLE["reshape"](chosen, shape=shape), TABLE["reshape"](_repeated(new, a.type.size), shape=shape), a))


def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    """Write values at flat positions; they are repeated.

    Raises:
        IndexError: a position is out of bounds. (NumPy 1.26 never returns, or writes beside the array, where it has no elements.)
    """
    if isinstance(a, Handle):
        check_writeable(a, "put: output array is read-only")
        if not a.type.size and np.size(ind) and np.size(v):
            raise IndexError(f"[put] an array of shape {a.type.shape} has no elements to write to")
    if not isinstance(a, Handle) or a.type.scalar or a.type.host:
        fallback.call(np.put, (a, ind, v, mode), None, "put")
        return
    known = observe(ind, "put") if isinstance(ind, Handle) else np.asarray(ind)
    new = _converted(v, a.type.dtype, "unsafe")
    if not new.type.size or not known.size:
        return
    # NumPy says what is wrong with them, and counts from the end or around
    places = np.zeros(a.type.size, np.int8)
    np.put(places, known if isinstance(ind, Handle) else ind, 1, mode)  # type: ignore[arg-type]
    size = a.type.size
    known = known.ravel().astype(np.int64)
    known = known % size if mode != "clip" else np.clip(known, 0, size - 1)
    if indexing.shares_root(a, new):
        # as np.put does with memory that overlaps: from a copy
        new = duplicate(new)
    _scatter(a, known, _repeated(new, known.size))


def _scatter(x: Handle, places: np.ndarray, values: Any) -> None:
    """Write values at flat positions, one after the other."""
    if x.type.shape:
        indexing.put(x, np.unravel_index(places, x.type.shape), values)
    else:
        # the only element is what was written last
        indexing.put(x, (), values[-1])


def _converted(values: Any, dtype: np.dtype, casting: str) -> Any:
    """Values to write, in the dtype that they are written to, flat.

    Args:
        casting: what is allowed of arrays; scalars, numbers and sequences are converted one by one.

    Raises:
        OverflowError, TypeError, ValueError: NumPy's, for what cannot be converted.
    """
    if not isinstance(values, Handle) and contains_handle(values):
        values, casting = array_of(values, dtype), "unsafe"
    if not isinstance(values, Handle):
        scratch = np.zeros(np.size(values), dtype)
        if scratch.size and isinstance(values, np.ndarray):
            np.copyto(scratch, values.reshape(-1), casting=casting)  # type: ignore[arg-type]
        elif scratch.size:
            np.put(scratch, np.arange(scratch.size), values)
        return array_of(scratch)
    if not values.type.scalar and not np.can_cast(values.type.dtype, dtype, casting):  # type: ignore[arg-type]
        raise TypeError(f"Cannot cast array data from {values.type.dtype!r} to {dtype!r} according to the rule '{casting}'")
    new = values if values.type.dtype == dtype else TABLE["astype"](values, dtype=dtype)
    return TABLE["reshape"](new, shape=(new.type.size,))


def _repeated(new: Any, count: int) -> Any:
    """So many values, from the first one on and around."""
    n = new.type.size
    if n == count:
        return new
    if n == 1:
        return TABLE["broadcast_to"](new, shape=(count,))
    return TABLE["take"](new, array_of(np.arange(count) % n), axis=0, mode="raise")


def place(arr: Any, mask: Any, vals: Any) -> None:
    """Write the values one after the other where the mask holds; they are repeated."""
    if isinstance(arr, Handle) and indexing.shares_root(arr, vals):
        known = observe(mask, "place") if isinstance(mask, Handle) else mask
        if indexing.put_through_memory(arr, vals, lambda shown, new: np.place(shown, known, new)):
            return
    if not isinstance(arr, Handle) or arr.type.scalar or arr.type.host:
        fallback.call(np.place, (arr, mask, vals), None, "place")
        return
    check_writeable(arr)
    chosen = np.asarray(observe(mask, "place") if isinstance(mask, Handle) else mask)
    new = _converted(vals, arr.type.dtype, "safe")
    if chosen.size != arr.type.size:
        raise ValueError("place: mask and data must be the same size")
    places = np.flatnonzero(chosen)
    if not new.type.size and places.size:
        raise ValueError("Cannot insert from an empty array!")
    if places.size:
        _scatter(arr, places, _repeated(new, places.size))


def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any) -> None:
    """Write values at the positions of `take_along_axis`, in place."""
    if not isinstance(arr, Handle) or arr.type.scalar or axis is None:
        fallback.call(np.put_along_axis, (arr, indices, values, axis), None, "put_along_axis")
        return
    at, axis = handle(indices), normalise_axis(axis, arr.type.ndim)
    if at.type.dtype.kind not in "iu":
        raise IndexError("`indices` must be an integer array")
    if arr.type.ndim != at.type.ndim:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    assign(arr, TABLE["put_along_axis"](arr, at, _number_or_handle(values), axis=axis))


def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    """`func(a, axis)` applied over one axis after another; an axis that it takes away comes back, one long.

    Raises:
        ValueError: it returned an array of yet another number of dimensions.
    """
    result = asarray(a)
    count = result.type.ndim
    for axis in axes if np.iterable(axes) else (axes,):
        place = operator.index(axis)
        place = place + count if place < 0 else place
        made = handle(func(result, place))
        if made.type.ndim == count - 1:
            made = expand_dims(made, place)
        if made.type.ndim != count:
            raise ValueError("function is not returning an array of the correct shape")
        result = made
    return result


def apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """`func1d` applied to 1-d slices along an axis."""
    x = handle(arr)
    ndim = x.type.ndim
    axis = normalise_axis(axis, ndim)
    order = (*[i for i in range(ndim) if i != axis], axis)
    rows = transpose(x, order)
    outer = rows.type.shape[:-1]
    if 0 in outer:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    results = [handle(func1d(rows[place], *args, **kwargs)) for place in np.ndindex(outer)]
    inner = results[0].type.shape
    flat = concatenate([TABLE["reshape"](r, shape=(1, *inner)) for r in results], 0)
    wide = TABLE["reshape"](flat, shape=(*outer, *inner))
    back = (*range(axis), *range(len(outer), len(outer) + len(inner)), *range(axis, len(outer)))
    return TABLE["transpose"](wide, axes=back) if back != tuple(range(len(back))) else wide
