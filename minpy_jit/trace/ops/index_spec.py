"""Index expressions as data: `parse` for basic keys (ints, slices, None, Ellipsis), `classify_advanced` for keys with arrays.

Positions are numbers or arrays of the run (operands of the index ops); lengths, steps and the structure are parameters, so that
`X[i*32:(i+1)*32]` means one step for every `i`.
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np

from ..handle import Handle
from ..types import Shape

Entry = tuple[Any, ...]
Spec = tuple[Entry, ...]

INT: Entry = ("int",)  # one position of an axis; consumes a number
FULL: Entry = ("full",)  # a whole axis
NEW: Entry = ("new",)  # an axis of length one that the source does not have
ARRAY: Entry = ("array",)  # an axis indexed by an integer array
# an Ellipsis that stands for no axis: it consumes and makes nothing, but NumPy then returns a 0-d array instead of a scalar
ELLIPSIS: Entry = ("ellipsis",)
# the other entries are ("slice", length, step), consuming its start as a number; in the structure of an advanced index
# ("slice", start, stop, step); and ("mask", n): an axis of length n indexed by one of the arrays of a boolean array's nonzero()

_INVALID = "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean arrays are valid indices"
_ARRAYS = (np.ndarray, Handle, list, tuple, bool, np.bool_)
_LARGEST_MEMO = 4096


class Parsed(NamedTuple):
    """A basic key on a shape.

    Attributes:
        spec: one entry per source axis and new axis, in order: INT, FULL, NEW, ("slice", length, step), ELLIPSIS.
        numbers: the non-negative position of each INT and start of each slice, in order.
        scalar: NumPy returns a scalar.
    """

    spec: Spec
    numbers: tuple[int, ...]
    scalar: bool

    @property
    def ndim(self) -> int:
        """Dimensions of what the key shows."""
        return len([entry for entry in self.spec if entry is not INT and entry is not ELLIPSIS])


_make = tuple.__new__
_int_specs: list[Spec] = [(INT, *(FULL,) * rest) for rest in range(64)]
_full_specs: list[Parsed] = [Parsed((FULL,) * n, (), False) for n in range(64)]
# specs of `x[a:b]` by (length, step, further axes)
_slice_specs: dict[tuple[int, int, int], Spec] = {}


def parse(key: Any, shape: Shape) -> Parsed | None:
    """What a basic key means on an array of this shape, or None where the key holds arrays, lists or booleans.

    Raises:
        IndexError: a position is out of range, or there are too many, with NumPy's text.
        TypeError, ValueError: a slice that Python refuses.

    Example:
        >>> parse((slice(64, 96), 3), (1000, 10))
        Parsed(spec=(('slice', 32, 1), ('int',)), numbers=(64, 3), scalar=False)
    """
    kind = type(key)
    if kind is slice:
        if shape:
            # `x[a:b]`, the loop over minibatches: 0.8 µs where the general way takes 2
            n = shape[0]
            start, stop, step = key.indices(n)
            length = stop - start if step == 1 else len(range(start, stop, step))
            if length <= 0:
                length = 0
            elif length == n and step == 1:
                return _full_specs[len(shape)]
            at = (length, step, len(shape))
            spec = _slice_specs.get(at)
            if spec is None:
                if len(_slice_specs) >= _LARGEST_MEMO:
                    _slice_specs.clear()
                spec = _slice_specs[at] = (("slice", length, step), *(FULL,) * (len(shape) - 1))
            return _make(Parsed, (spec, (start,), False))
    elif kind is int and shape:
        n = shape[0]
        if -n <= key < n:
            return _make(Parsed, (_int_specs[len(shape) - 1], (key + n if key < 0 else key,), len(shape) == 1))
        raise IndexError(f"index {key} is out of bounds for axis 0 with size {n}")
    return _parse_parts(key if kind is tuple else (key,), shape)


def _parse_parts(parts: tuple[Any, ...], shape: Shape) -> Parsed | None:
    consumed = 0
    ellipsis = False
    items: list[Any] = []
    for part in parts:
        kind = type(part)
        if kind is int or kind is slice:
            consumed += 1
        elif part is Ellipsis:
            if ellipsis:
                _refuse_basic(parts, "an index can only have a single ellipsis ('...')")
                return None
            ellipsis = True
        elif part is not None:
            if isinstance(part, _ARRAYS):
                return None
            try:
                part = operator.index(part)
            except TypeError:
                _refuse_basic(parts, _INVALID)
                return None
            consumed += 1
        items.append(part)
    ndim = len(shape)
    if consumed > ndim:
        raise IndexError(f"too many indices for array: array is {ndim}-dimensional, but {consumed} were indexed")
    spec: list[Entry] = []
    numbers: list[int] = []
    axis = 0
    scalar = not ellipsis
    for part in items:
        kind = type(part)
        if kind is int:
            n = shape[axis]
            if not -n <= part < n:
                raise IndexError(f"index {part} is out of bounds for axis {axis} with size {n}")
            spec.append(INT)
            numbers.append(part + n if part < 0 else part)
            axis += 1
        elif kind is slice:
            n = shape[axis]
            start, stop, step = part.indices(n)
            length = len(range(start, stop, step))
            if length == n and step == 1:
                spec.append(FULL)
            else:
                spec.append(("slice", length, step))
                numbers.append(start)
            axis += 1
            scalar = False
        elif part is None:
            spec.append(NEW)
            scalar = False
        else:
            skipped = ndim - consumed
            spec.extend((FULL,) * skipped)
            axis += skipped
    if axis < ndim:
        spec.extend((FULL,) * (ndim - axis))
        scalar = False
    elif ellipsis and all(entry is INT for entry in spec):
        spec.append(ELLIPSIS)
    return _make(Parsed, (tuple(spec), tuple(numbers), scalar))


def _refuse_basic(parts: tuple[Any, ...], message: str) -> None:
    """Raise for a wrong key, unless it holds an array: then `classify_advanced` does."""
    if not any(isinstance(part, _ARRAYS) for part in parts):
        raise IndexError(message)


def compose(first: Spec, at: Any, second: Spec, then: Any) -> tuple[Spec, tuple[int, ...]] | None:
    """The spec and numbers of `x[first][second]` as one key of `x`; None where there is none.

    Example:
        >>> compose((("slice", 4, 2), FULL), (1,), (INT, ("slice", 2, 1)), (3, 5))
        ((('int',), ('slice', 2, 1)), (7, 5))
    """
    spec: list[Entry] = []
    numbers: list[int] = []
    given, wanted = iter(at), iter(then)
    entries = iter([e for e in second if e != ELLIPSIS])
    for outer in first:
        kind = outer[0]
        if kind == "ellipsis":
            continue
        if kind == "int":
            spec.append(INT)
            numbers.append(next(given))
            continue
        inner = next(entries)
        while inner == NEW:
            spec.append(NEW)
            inner = next(entries)
        start = next(given) if kind == "slice" else 0
        step = outer[2] if kind == "slice" else 1
        if inner == FULL:
            spec.append(outer)
            if kind == "slice":
                numbers.append(start)
            continue
        position = next(wanted)
        if kind == "new":
            # the axis of length one goes, or stays; an axis of length zero cannot be made of nothing
            if inner != INT:
                if inner[1] == 0:
                    return None
                spec.append(NEW)
        elif inner == INT:
            spec.append(INT)
            numbers.append(start + position * step)
        else:
            spec.append(("slice", inner[1], step * inner[2]))
            numbers.append(start + position * step if inner[1] else 0)
    spec.extend(entries)
    if ELLIPSIS in second:
        spec.append(ELLIPSIS)
    return tuple(spec), tuple(numbers)


def classify_advanced(key: Any, ndim: int) -> tuple[Spec, list[Any]]:
    """The structure of a key with arrays, and its index arrays in order: handles, NumPy arrays of integers, Python ints.

    Lists become arrays; a boolean NumPy array becomes the arrays of its `nonzero()` (a boolean handle must have been observed by the
    caller); ints take part as arrays of no axis, as in NumPy. One entry per source axis and new axis: ARRAY, ("mask", n),
    ("slice", start, stop, step), FULL, NEW, ELLIPSIS.

    Raises:
        IndexError: with NumPy's text.
    """
    parts: list[Any] = []
    consumed = 0
    ellipsis = False
    for part in key if type(key) is tuple else (key,):
        if part is None or part is Ellipsis:
            if part is Ellipsis and ellipsis:
                raise IndexError("an index can only have a single ellipsis ('...')")
            ellipsis |= part is Ellipsis
        elif isinstance(part, slice):
            consumed += 1
        else:
            part = _index_part(part)
            consumed += part.ndim if isinstance(part, np.ndarray) and part.dtype == np.bool_ else 1
        parts.append(part)
    if consumed > ndim:
        raise IndexError(f"too many indices for array: array is {ndim}-dimensional, but {consumed} were indexed")
    structure: list[Entry] = []
    arrays: list[Any] = []
    skipped = ndim - consumed
    for part in parts:
        if part is None:
            structure.append(NEW)
        elif part is Ellipsis:
            structure.extend((FULL,) * skipped or (ELLIPSIS,))
            skipped = 0
        elif isinstance(part, slice):
            bounds = [None if b is None else operator.index(b) for b in (part.start, part.stop, part.step)]
            if bounds == [None, None, None]:
                structure.append(FULL)
            else:
                slice(*bounds).indices(1)  # refuses a step of zero
                structure.append(("slice", *bounds))
        elif isinstance(part, np.ndarray) and part.dtype == np.bool_:
            if part.ndim == 0:
                # a new axis of length one or zero, indexed by nothing or by one position
                structure.append(("mask", -1))
                arrays.append(np.zeros(int(part), np.intp))
            else:
                structure.extend(("mask", n) for n in part.shape)
                arrays.extend(part.nonzero())
        else:
            structure.append(ARRAY)
            arrays.append(part)
    structure.extend((FULL,) * skipped)
    return tuple(structure), arrays


def _index_part(part: Any) -> Any:
    """An index as a handle, an array of integers or booleans, or an int."""
    if isinstance(part, Handle):
        if part.type.dtype.kind not in "iu":
            raise IndexError("arrays used as indices must be of integer (or boolean) type")
        return part
    if isinstance(part, (list, tuple)):
        array = np.asarray(part)
        if array.size == 0:
            array = array.astype(np.intp)
    elif isinstance(part, (bool, np.bool_, np.ndarray)):
        array = np.asarray(part)
    else:
        try:
            return operator.index(part)
        except TypeError:
            raise IndexError(_INVALID) from None
    if array.dtype.kind not in "iub":
        raise IndexError("arrays used as indices must be of integer (or boolean) type")
    return array


def slice_of(start: int, length: int, step: int) -> slice:
    """The Python slice with this first position, length and step."""
    if length == 0:
        return slice(0, 0, step)
    stop: int | None = start + length * step
    if stop is not None and stop < 0:
        stop = None
    return slice(start, stop, step)


def basic_key(spec: Spec, numbers: Any) -> tuple[Any, ...]:
    """The key that NumPy understands."""
    given = iter(numbers)
    key: list[Any] = []
    for entry in spec:
        kind = entry[0]
        if kind == "full":
            key.append(_ALL)
        elif kind == "int":
            key.append(int(next(given)))
        elif kind == "slice":
            key.append(slice_of(int(next(given)), entry[1], entry[2]))
        elif kind == "new":
            key.append(None)
        else:
            key.append(Ellipsis)
    return tuple(key)


_ALL = slice(None)


def advanced_key(structure: Spec, arrays: Any) -> tuple[Any, ...]:
    """The key that NumPy understands."""
    given = iter(arrays)
    key: list[Any] = []
    for entry in structure:
        kind = entry[0]
        if kind == "array":
            key.append(next(given))
        elif kind == "mask":
            found = next(given)
            # a 0-d boolean: it has no axis of the source
            key.append(np.bool_(len(found)) if entry[1] == -1 else found)
        elif kind == "slice":
            key.append(slice(*entry[1:]))
        elif kind == "full":
            key.append(_ALL)
        elif kind == "new":
            key.append(None)
        else:
            key.append(Ellipsis)
    return tuple(key)
