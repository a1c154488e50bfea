"""Walking through elements: `x.flat`, `ndenumerate`, `nditer`. What they hand out are elements and views of ours."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..trace.handle import Handle, is_writeable, materialised, root_of
from ..trace.op import TABLE
from ..trace.ops.shape import reshape_is_view
from ..trace.recorder import look, observe
from . import fallback, indexing
from .array import duplicate
from .convert import NUMBERS, as_handle, beside
from .creation import asarray, without_scalar
from .shaping import flatten, reshaped
from .views import assign, check_writeable, is_dense, laid_out, make_view, memory_order, split


# -- flat ----------------------------------------------------------------------------------------------------------------------------------
class _FlatType(type):
    """`isinstance(it, np.flatiter)` holds for NumPy's own iterators too."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return type.__instancecheck__(cls, instance) or isinstance(instance, np.flatiter)


class FlatIterator(metaclass=_FlatType):
    """`x.flat`: the elements in C order, to iterate over, read and write."""

    __slots__ = ("_at", "base")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, x: Any) -> None:
        self.base, self._at = x, 0

    def __minpy_array__(self) -> Any:
        """What functions make of it: the elements in one dimension (a view where memory allows, else a copy that takes no values)."""
        made = reshaped(self.base, (self.base.type.size,))
        if not self.base.type.scalar and not reshape_is_view(self.base.type, made.type.shape):
            made.flags.writeable = False
        return made

    def __len__(self) -> int:
        return self.base.type.size

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._at >= len(self):
            raise StopIteration
        self._at += 1
        return self.base[self._place(self._at - 1)]

    def _place(self, position: int) -> tuple[int, ...]:
        return tuple(int(i) for i in np.unravel_index(position, self.base.type.shape))

    @property
    def index(self) -> int:
        """The current flat position."""
        return self._at

    @property
    def coords(self) -> tuple[int, ...]:
        """The current position."""
        if self._at == len(self):
            # one past the last, as NumPy counts on
            shape = self.base.type.shape
            return (shape[0], *(0,) * (len(shape) - 1)) if shape else ()
        return self._place(self._at)

    def copy(self) -> Any:
        """A flat copy."""
        return flatten(self.base)

    def _key(self, key: Any) -> Any:
        if isinstance(key, tuple) and len(key) == 1:
            key = key[0]
        if type(key) is bool:
            return 0 if key else slice(0, 0)
        if isinstance(key, list) and all(type(k) is bool for k in key):
            # booleans in a list are numbers here
            return np.asarray(key, np.intp)
        if isinstance(key, Handle) and not key.type.shape and key.type.dtype.kind in "iu":
            return operator.index(key)  # type: ignore[arg-type]
        single = isinstance(key, Handle) and key.type.scalar and key.type.dtype == np.bool_
        if key is None or isinstance(key, tuple) or (isinstance(key, (float, np.floating)) and not isinstance(key, Handle)) or single:
            raise IndexError("unsupported iterator index")
        if isinstance(key, (Handle, np.ndarray)):
            shape, dtype = (key.type.shape, key.type.dtype) if isinstance(key, Handle) else (key.shape, key.dtype)
            if dtype == np.bool_ and shape != (len(self),):
                # unlike an array's own index, one that is too short leaves the rest out
                if len(shape) != 1:
                    raise ValueError("[flat] boolean index array should have 1 dimension")
                if shape[0] > len(self):
                    raise ValueError(f"[flat] too many boolean indices: {shape[0]} for {len(self)} elements")
                return np.flatnonzero(observe(key, "flat") if isinstance(key, Handle) else key)
        return key

    def __getitem__(self, key: Any) -> Any:
        self._at = 0
        key = self._key(key)
        found = self.__minpy_array__()[key]
        return found if not isinstance(found, Handle) or found.type.scalar else duplicate(found)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._at = 0
        key = self._key(key)
        x = self.base
        check_writeable(x)
        try:
            position = operator.index(key)
        except TypeError:
            position = None
        if position is not None:
            if not -len(self) <= position < len(self):
                raise IndexError(f"index {position} is out of bounds for size {len(self)}")
            try:
                x[self._place(position % len(self))] = value
            except (OverflowError, TypeError, ValueError):
                raise ValueError("Error setting single item of array.") from None
            return
        # values are cast as arrays are
        new = value
        if type(value) not in NUMBERS:
            new = without_scalar(beside(x, as_handle, value, x.type.dtype if isinstance(value, (list, tuple)) else None))
        single = type(value) in NUMBERS or new.type.size == 1
        if reshape_is_view(x.type, (x.type.size,)) and not indexing.has_overlap(x) and not indexing.shares_root(x, new):
            shown = self.__minpy_array__()
            if single or new.type.shape == shown[key].type.shape:
                shown[key] = new if type(value) in NUMBERS or not single else reshaped(new, ())
                return
        given = indexing.known_key(key)

        def store(shown: np.ndarray, values: Any) -> None:
            # NumPy repeats or cuts the values, and reads them while it writes
            shown.flat[given] = values

        indexing.put_through_memory(x, new, store)

    def __array__(self, dtype: Any = None) -> np.ndarray:
        flat = observe(self.base, "flat").flatten()
        return flat if dtype is None else flat.astype(dtype)

    def __eq__(self, other: Any) -> Any:
        return self.__minpy_array__() == _plain(other)

    def __ne__(self, other: Any) -> Any:
        return self.__minpy_array__() != _plain(other)

    def __lt__(self, other: Any) -> Any:
        return self.__minpy_array__() < _plain(other)

    def __le__(self, other: Any) -> Any:
        return self.__minpy_array__() <= _plain(other)

    def __gt__(self, other: Any) -> Any:
        return self.__minpy_array__() > _plain(other)

    def __ge__(self, other: Any) -> Any:
        return self.__minpy_array__() >= _plain(other)


def _plain(value: Any) -> Any:
    return value.__minpy_array__() if isinstance(value, FlatIterator) else value


class ndenumerate:
    """Pairs of position and element, in C order."""

    __slots__ = ("iter",)

    def __init__(self, arr: Any) -> None:
        self.iter = FlatIterator(asarray(arr))

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self.iter.index >= len(self.iter):
            raise StopIteration
        return self.iter.coords, next(self.iter)


# -- nditer --------------------------------------------------------------------------------------------------------------------------------
class _IteratorType(type):
    """`isinstance(it, np.nditer)` holds for NumPy's own iterators too."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return type.__instancecheck__(cls, instance) or isinstance(instance, np.nditer)


class nditer(metaclass=_IteratorType):
    """NumPy's multi-dimensional iterator over arrays of ours.

    NumPy walks over positions in memory, and each turn hands out views of ours. What needs values at once (buffers, casts, operands that
    it allocates) walks over copies, which are written back at every step.
    """

    _it: Any

    def __new__(cls, op: Any = None, *args: Any, **kwargs: Any) -> Any:
        operands = list(op) if isinstance(op, (list, tuple)) else [op]
        # arrays of NumPy's alone are NumPy's affair
        return object.__new__(cls) if fallback.contains_handle(operands) else np.nditer(op, *args, **kwargs)

    def __init__(
        self,
        op: Any,
        flags: Any = None,
        op_flags: Any = None,
        op_dtypes: Any = None,
        order: Any = "K",
        casting: Any = "safe",
        op_axes: Any = None,
        itershape: Any = None,
        buffersize: int = 0,
    ) -> None:
        many = isinstance(op, (list, tuple))
        self._given: list[Any] = [_unscaled(o) for o in (op if many else [op])]
        self._alone = not many
        wanted = list(flags or ())
        modes = _operand_flags(op_flags, len(self._given))
        options = {"op_axes": op_axes, "itershape": itershape, "buffersize": buffersize}
        options = {k: v for k, v in options.items() if v}
        self._readonly = ["readonly" in m or not m for m in modes]
        self._places: list[Any] = []
        by_position = (
            op_dtypes is None
            and not {"buffered", "common_dtype"} & set(wanted)
            and not any({"copy", "updateifcopy", "allocate"} & set(m) for m in modes)
            and all(g is not None for g in self._given)
        )
        places = [_positions(g) if isinstance(g, Handle) else g for g in self._given] if by_position else [None]
        self._by_position = all(p is not None for p in places)
        if self._by_position:
            for given, readonly in zip(self._given, self._readonly, strict=True):
                if isinstance(given, Handle) and not readonly and not is_writeable(given):
                    raise ValueError("output array is read-only")
        else:
            fallback.call(_nothing, tuple(self._given), None, "nditer")
            places = [observe(g, "nditer").copy(order="K") if isinstance(g, Handle) else g for g in self._given]
        self._places = places
        if op_dtypes is not None:
            options["op_dtypes"] = op_dtypes
        self._it = np.nditer(places, wanted, modes if op_flags is not None else None, order=order, casting=casting, **options)  # type: ignore[arg-type]

    # -- values --------------------------------------------------------------------------------------------------------------------
    def _shown(self, values: Any) -> Any:
        found = [self._one(k, v) for k, v in enumerate(values if isinstance(values, tuple) else (values,))]
        return tuple(found) if isinstance(values, tuple) else found[0]

    def _one(self, k: int, value: Any) -> Any:
        given = self._given[k]
        if not self._by_position or not isinstance(given, Handle):
            return value
        # unbuffered: the positions of an inner loop lie at equal steps
        first = int(value.flat[0]) if value.size else 0
        steps = tuple([s // value.itemsize for s in value.strides]) if not value.size else _steps(value)
        root = root_of(given)
        axes = memory_order(root.type)
        return make_view(root, TABLE["strided"], (first,), (axes, value.shape, steps), writeable=not self._readonly[k])

    def _write_back(self) -> None:
        if self._by_position:
            return
        for given, scratch, readonly in zip(self._given, self._places, self._readonly, strict=True):
            if isinstance(given, Handle) and not readonly:
                made = materialised(scratch.copy(order="K"), given.type)
                fallback.without_rule("nditer", tuple([g for g in self._given if isinstance(g, Handle)]), {}, made)
                assign(given, made)

    @property
    def value(self) -> Any:
        """The operands at the present position."""
        return self._shown(self._it.value)

    @property
    def operands(self) -> tuple[Any, ...]:
        """The arrays; those that the iterator allocated are of ours."""
        return tuple([asarray(o) if g is None else g for g, o in zip(self._given, self._it.operands, strict=True)])

    @property
    def itviews(self) -> tuple[Any, ...]:
        """Views of the operands in the order of iteration."""
        return tuple([asarray(v) for v in self._it.itviews]) if not self._by_position else self._shown(self._it.itviews)

    def __getitem__(self, key: Any) -> Any:
        values = self._it.value
        return self._shown(values if isinstance(values, tuple) else (values,))[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        if self._by_position:
            self[key][...] = value
        else:
            self._it[key] = np.asarray(value)

    def __len__(self) -> int:
        return len(self._given)

    # -- moving ---------------------------------------------------------------------------------------------------------------------
    def __iter__(self) -> nditer:
        return self

    def __next__(self) -> Any:
        try:
            return self._shown(next(self._it))
        finally:
            self._write_back()

    def iternext(self) -> bool:
        """Move on; whether there was a next position."""
        more = self._it.iternext()
        self._write_back()
        return more

    def reset(self) -> None:
        """Back to the first position."""
        self._it.reset()

    def close(self) -> None:
        """Write pending results."""
        self._it.close()
        self._write_back()

    def __enter__(self) -> nditer:
        self._it.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def copy(self) -> nditer:
        """An iterator at the same position."""
        made = object.__new__(nditer)
        for name, value in vars(self).items():
            object.__setattr__(made, name, value)
        object.__setattr__(made, "_it", self._it.copy())
        return made

    def __copy__(self) -> nditer:
        return self.copy()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._it, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            setattr(self._it, name, value)


def _unscaled(value: Any) -> Any:
    """An operand: arrays of ours (scalars as arrays), else as it is."""
    return asarray(value) if isinstance(value, Handle) else value


def _operand_flags(op_flags: Any, count: int) -> list[Any]:
    if op_flags is None:
        return [["readonly"] for _ in range(count)]
    if op_flags and isinstance(op_flags[0], str):
        return [list(op_flags) for _ in range(count)]
    return [list(flags) for flags in op_flags]


def _positions(x: Handle) -> np.ndarray | None:
    """Where in memory each element lies, as an array that lies in memory as `x` does; None where strides of the root do not tell."""
    root = root_of(x)
    stem, type_, rest = split(root, indexing.chain_of(x))
    if stem or not is_dense(type_, memory_order(type_)):
        return None
    return look(laid_out(np.arange(type_.size), type_, memory_order(type_)), rest)


def _steps(places: np.ndarray) -> tuple[int, ...]:
    """Distance of neighbours along each axis."""
    first = places[(0,) * places.ndim]
    ahead = [tuple([1 if k == axis else 0 for k in range(places.ndim)]) for axis in range(places.ndim)]
    return tuple([int(places[at] - first) if n > 1 else 1 for at, n in zip(ahead, places.shape, strict=True)])


def _nothing(*operands: Any) -> None:
    return None
