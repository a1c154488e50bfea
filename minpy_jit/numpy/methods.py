"""Methods and attributes of `ndarray` and of NumPy's scalars, attached to `Array` and `Scalar` from the functions of the namespace."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from ..trace.context import Context
from ..trace.handle import Handle, clone, materialised
from ..trace.op import TABLE
from ..trace.ops.normalise import normalise_axis
from ..trace.ops.shape import reshape_is_view
from ..trace.recorder import observe
from ..trace.types import array_type, is_f_contiguous
from . import fallback, namespace
from .array import Array, Scalar, ValueHandle, duplicate
from .convert import as_handle, host
from .creation import array
from .output import result_layout
from .shaping import flatten, ravel, reshape, reshaped, transpose
from .views import assign, is_view, make_view

_N = namespace.NAMES


# -- methods that are functions of the namespace ------------------------------------------------------------------------------------------
def _function(name: str) -> Callable[..., Any]:
    function = _N[name]

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = getattr(np.ndarray, name).__doc__
    return method


_FUNCTIONS = [
    "all",
    "any",
    "argmax",
    "argmin",
    "argpartition",
    "argsort",
    "choose",
    "cumprod",
    "cumsum",
    "diagonal",
    "dot",
    "max",
    "mean",
    "min",
    "nonzero",
    "prod",
    "ptp",
    "repeat",
    "round",
    "searchsorted",
    "squeeze",
    "std",
    "sum",
    "swapaxes",
    "take",
    "trace",
    "var",
]


def _clip(self: Any, min: Any = None, max: Any = None, out: Any = None, **kwargs: Any) -> Any:
    """Values limited to an interval."""
    return _N["clip"](self, min, max, out, **kwargs)


def _conjugate(self: Any) -> Any:
    """The complex conjugate; real arrays come back as they are."""
    return TABLE["conjugate"](self) if self.type.dtype.kind == "c" else self


def _compress(self: Any, condition: Any, axis: Any = None, out: Any = None) -> Any:
    """Slices where a 1-d condition holds."""
    return _N["compress"](condition, self, axis, out)


def _reshape(self: Any, *shape: Any, order: str = "C") -> Any:
    """The same elements in another shape."""
    return reshape(self, shape[0] if len(shape) == 1 else shape, order)


def _transpose(self: Any, *axes: Any) -> Any:
    """A view with permuted axes."""
    return transpose(self, None if not axes else axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes)


def _flatten(self: Any, order: str = "C") -> Any:
    """A flat copy."""
    return flatten(self, order)


def _ravel(self: Any, order: str = "C") -> Any:
    """A flat array: a view of contiguous memory, else a copy."""
    return ravel(self, order)


def _copy(self: Any, order: str = "C") -> Any:
    """A copy (nothing is run or moved until one of the two is written to)."""
    return self if self.type.scalar else array(self, order=order)


def _astype(self: Any, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True) -> Any:
    """The values in another dtype.

    Raises:
        TypeError: `casting` does not allow it.
    """
    wanted = np.dtype(dtype)
    given = self.type.dtype
    if casting != "unsafe" and not np.can_cast(given, wanted, casting):  # type: ignore[arg-type]
        raise TypeError(f"Cannot cast array data from {given!r} to {wanted!r} according to the rule '{casting}'")
    if given == wanted:
        made = self if self.type.scalar or not copy else duplicate(self)
    elif given.kind in "OSUV" or wanted.kind in "OSUV":
        return fallback.call(np.ndarray.astype if not self.type.scalar else _scalar_astype, (self, wanted), {}, "astype")
    else:
        made = TABLE["astype"](self, dtype=wanted)
    return made if order in ("K", "A") else result_layout(made, order)


def _scalar_astype(value: Any, dtype: Any) -> Any:
    return value.astype(dtype)


def _view(self: Any, dtype: Any = None, type: Any = None) -> Any:
    """A view of the same memory. With another dtype the result is a copy of its own (writes do not reach the original)."""
    if dtype is Array or (isinstance(dtype, builtins.type) and issubclass(dtype, np.ndarray)):
        type, dtype = dtype, None
    if type is not None and type is not Array and type is not np.ndarray:
        return observe(self, "view").view(type=type) if dtype is None else observe(self, "view").view(dtype, type)
    if dtype is None or np.dtype(dtype) == self.type.dtype:
        return self if self.type.scalar else self[...]
    data = self._laid_out("view")
    return host(data.view(dtype).copy(order="K"), self.type.context, self.type.scalar)


# -- in-place ones: a scratch copy is written by NumPy and assigned ----------------------------------------------------------------------
def _rewrite(self: Any, cause: str, write: Callable[[np.ndarray], Any]) -> None:
    scratch = self._laid_out(cause).copy(order="K")
    write(scratch)
    assign(self, materialised(scratch, self.type))


def _sort(self: Array, axis: int = -1, kind: Any = None, order: Any = None) -> None:
    """Sort in place."""
    if axis is None:
        raise TypeError("'NoneType' object cannot be interpreted as an integer")
    normalise_axis(axis, self.type.ndim)
    assign(self, _N["sort"](self, axis, kind, order))


def _fill(self: Array, value: Any) -> None:
    """Set every element."""
    self[...] = value


def _partition(self: Array, kth: Any, axis: int = -1, kind: str = "introselect", order: Any = None) -> None:
    """Partition in place."""
    assign(self, _N["partition"](self, kth, axis, kind, order))


def _put(self: Array, indices: Any, values: Any, mode: str = "raise") -> None:
    """Set elements at flat positions."""
    _N["put"](self, indices, values, mode)


def _itemset(self: Any, *args: Any) -> None:
    """Set one element."""
    *at, value = args
    if not at:
        if self.type.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        self[...] = value
    elif len(at) == 1 and not isinstance(at[0], tuple):
        self.flat[operator.index(at[0])] = value
    else:
        self[at[0] if len(at) == 1 else tuple(at)] = value


def _resize(self: Array, *new_shape: Any, refcheck: bool = True) -> None:
    """Change shape and size in place (zeros are appended).

    Raises:
        ValueError: the array is a view, or has been viewed.
    """
    shape = new_shape[0] if len(new_shape) == 1 and not isinstance(new_shape[0], int) else new_shape
    if self.alias is not None:
        raise ValueError("cannot resize an array that references or is referenced by another array in this way.")
    wanted = tuple([operator.index(n) for n in shape])
    size = int(np.prod(wanted, dtype=np.int64))
    flat = TABLE["reshape"](self, shape=(self.type.size,))
    if size > self.type.size:
        blank = TABLE["zeros"](shape=(size - self.type.size,), dtype=self.type.dtype, context=self.type.context)
        flat = TABLE["concatenate"](flat, blank, axis=0)
    elif size < self.type.size:
        flat = flat[:size]
    _become(self, TABLE["reshape"](flat, shape=wanted))


def _become(self: Handle, value: Handle) -> None:
    """Make the handle mean a value of another type (it has no views)."""
    self.type = value.type
    assign(self, value)


def _byteswap(self: Any, inplace: bool = False) -> Any:
    """The bytes of every element reversed."""
    if inplace:
        _rewrite(self, "byteswap", lambda scratch: scratch.byteswap(inplace=True))
        return self
    return fallback.call(np.ndarray.byteswap, (as_handle(self),), None, "byteswap")


def _setfield(self: Array, val: Any, dtype: Any, offset: int = 0) -> None:
    """Put a value into a field of every element."""
    value = observe(val, "setfield") if isinstance(val, Handle) else val
    _rewrite(self, "setfield", lambda scratch: scratch.setfield(value, dtype, offset))


def _setflags(self: Any, write: Any = None, align: Any = None, uic: Any = None) -> None:
    """Only what is true already can be set.

    Raises:
        ValueError: another wish.
    """
    if write is not None and bool(write) != self.flags.writeable:
        raise ValueError(f"[setflags] WRITEABLE cannot be set to {bool(write)} on arrays of minpy_jit; use x.copy()")


def _newbyteorder(self: Any, new_order: str = "S", /) -> Any:
    """The same bytes read in another byte order."""
    return fallback.call(np.ndarray.newbyteorder, (as_handle(self), new_order), None, "newbyteorder")


def _getfield(self: Any, dtype: Any, offset: int = 0) -> Any:
    """A field of the elements (a copy)."""
    return fallback.call(np.ndarray.getfield, (as_handle(self), dtype, offset), None, "getfield")


def _dump(self: Any, file: Any) -> None:
    """Pickle the NumPy array to a file."""
    self.asnumpy().dump(file)


def _dumps(self: Any) -> bytes:
    """Pickle the NumPy array."""
    return self.asnumpy().dumps()


def _tofile(self: Any, fid: Any, sep: str = "", format: str = "%s") -> None:
    """Write the elements to a file."""
    observe(self, "tofile").tofile(fid, sep, format)


# -- attributes --------------------------------------------------------------------------------------------------------------------------
def _get_T(self: Any) -> Any:
    """The transposed array (a view)."""
    return transpose(self)


def _get_real(self: Any) -> Any:
    """The real part: a view of complex arrays, real ones themselves."""
    if self.type.dtype.kind != "c":
        return self
    return TABLE["real"](self) if self.type.scalar else make_view(self, TABLE["real"], (), ())


def _get_imag(self: Any) -> Any:
    """The imaginary part: a view of complex arrays, zeros of real ones."""
    if self.type.dtype.kind != "c" or self.type.scalar:
        return TABLE["imag"](self)
    return make_view(self, TABLE["imag"], (), ())


def _set_real(self: Array, value: Any) -> None:
    if self.type.dtype.kind != "c":
        self[...] = value
        return
    given = observe(value, "real") if isinstance(value, Handle) else value
    _rewrite(self, "real", lambda scratch: setattr(scratch, "real", given))


def _set_imag(self: Array, value: Any) -> None:
    if self.type.dtype.kind != "c":
        raise TypeError("array does not have imaginary part to set")
    given = observe(value, "imag") if isinstance(value, Handle) else value
    _rewrite(self, "imag", lambda scratch: setattr(scratch, "imag", given))


def _set_shape(self: Array, shape: Any) -> None:
    wanted = namespace.shaping.full_shape(self.type.size, tuple(shape) if isinstance(shape, list) else shape)
    if not reshape_is_view(self.type, wanted):
        raise AttributeError("Incompatible shape for in-place modification. Use `.reshape()` to make a copy with the desired shape.")
    if wanted == self.type.shape:
        return
    alias = self.alias
    if alias is not None and alias.base is None:
        raise AttributeError("[shape] the array has been viewed, so it cannot change in place; use x = x.reshape(...)")
    made = reshaped(self, wanted)
    if alias is not None:
        self.type, self.alias, self.data = made.type, made.alias, None
    else:
        _become(self, TABLE["reshape"](clone_pending(self), shape=wanted))


def clone_pending(x: Any) -> Any:
    """A second name of a plain array's value."""
    copy = clone(x)
    if copy.data is None and copy.segment is not None:
        copy.segment.arrays.append(copy)
    return copy


def _set_dtype(self: Array, dtype: Any) -> None:
    if np.dtype(dtype) != self.type.dtype:
        raise AttributeError("[dtype] cannot be set in place on arrays of minpy_jit; use x.view(dtype) or x.astype(dtype)")


def _set_strides(self: Array, strides: Any) -> None:
    raise AttributeError("[strides] cannot be set on arrays of minpy_jit; use indexing or np.lib.stride_tricks")


class Flags:
    """`x.flags`: what NumPy would say of the logical layout."""

    __slots__ = ("_x",)

    def __init__(self, x: Any) -> None:
        self._x = x

    @property
    def c_contiguous(self) -> bool:
        """C order without gaps."""
        return self._x.type.strides is None

    @property
    def f_contiguous(self) -> bool:
        """Fortran order without gaps."""
        return is_f_contiguous(self._x.type)

    contiguous = c_contiguous

    @property
    def owndata(self) -> bool:
        """Whether the array is no view."""
        return not is_view(self._x)

    @property
    def writeable(self) -> bool:
        """Whether it can be written to."""
        x = self._x
        if x.type.scalar:
            return False
        return not is_view(x) or all(op.put is not None for op, _, _ in x.alias.chain)

    @property
    def aligned(self) -> bool:
        """Always."""
        return True

    writebackifcopy = False

    @property
    def forc(self) -> bool:
        """C or Fortran order."""
        return self.c_contiguous or self.f_contiguous

    @property
    def fnc(self) -> bool:
        """Fortran and not C order."""
        return self.f_contiguous and not self.c_contiguous

    @property
    def farray(self) -> bool:
        """Fortran order, writeable, and not C order."""
        return self.fnc and self.writeable

    @property
    def carray(self) -> bool:
        """C order and writeable."""
        return self.c_contiguous and self.writeable

    behaved = writeable
    num = property(
        lambda self: int(self.c_contiguous) | int(self.f_contiguous) << 1 | int(self.owndata) << 2 | 0x100 | int(self.writeable) << 10
    )

    _KEYS: ClassVar[dict[str, str]] = {
        "C": "c_contiguous", "CONTIGUOUS": "c_contiguous", "C_CONTIGUOUS": "c_contiguous", "F": "f_contiguous", "FORTRAN": "f_contiguous",
        "F_CONTIGUOUS": "f_contiguous", "O": "owndata", "OWNDATA": "owndata", "W": "writeable", "WRITEABLE": "writeable", "A": "aligned",
        "ALIGNED": "aligned", "X": "writebackifcopy", "WRITEBACKIFCOPY": "writebackifcopy", "FNC": "fnc", "FORC": "forc", "B": "behaved",
        "BEHAVED": "behaved", "CA": "carray", "CARRAY": "carray", "FA": "farray", "FARRAY": "farray",
    }  # fmt: skip

    def __getitem__(self, key: str) -> bool:
        try:
            return getattr(self, self._KEYS[key])
        except KeyError:
            raise KeyError("Unknown flag") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_x":
            object.__setattr__(self, name, value)
        elif name == "writeable":
            _setflags(self._x, write=value)
        else:
            raise AttributeError(f"[flags] {name} cannot be set")

    def __setitem__(self, key: str, value: Any) -> None:
        setattr(self, self._KEYS[key], value)

    def __repr__(self) -> str:
        shown = ("C_CONTIGUOUS", "F_CONTIGUOUS", "OWNDATA", "WRITEABLE", "ALIGNED", "WRITEBACKIFCOPY")
        return "\n".join(f"  {name} : {self[name]}" for name in shown) + "\n"


class FlatIterator:
    """`x.flat`: the elements in C order, to iterate over, read and write."""

    __slots__ = ("_at", "base")

    def __init__(self, x: Any) -> None:
        self.base, self._at = x, 0

    def _flat(self) -> Any:
        return reshaped(self.base, (self.base.type.size,))

    def __len__(self) -> int:
        return self.base.type.size

    def __iter__(self) -> Iterator[Any]:
        return iter(self._flat())

    def __next__(self) -> Any:
        if self._at >= len(self):
            raise StopIteration
        self._at += 1
        return self._flat()[self._at - 1]

    @property
    def index(self) -> int:
        """The current flat position."""
        return self._at

    @property
    def coords(self) -> tuple[int, ...]:
        """The current position."""
        return tuple(int(i) for i in np.unravel_index(self._at, self.base.type.shape))

    def copy(self) -> Any:
        """A flat copy."""
        return flatten(self.base)

    def __getitem__(self, key: Any) -> Any:
        found = self._flat()[key]
        return found if found.type.scalar else duplicate(found)

    def __setitem__(self, key: Any, value: Any) -> None:
        flat = self._flat()
        given = array(value) if not isinstance(value, (int, float, complex)) else value
        if isinstance(given, Handle) and given.type.ndim:
            # NumPy repeats or cuts the values
            given = _N["resize"](given, flat[key].shape)
        flat[key] = given
        if not is_view(flat):
            assign(self.base, TABLE["reshape"](flat, shape=self.base.type.shape))

    def __array__(self, dtype: Any = None) -> np.ndarray:
        return observe(self.base, "flat").ravel().astype(dtype or self.base.type.dtype)

    def __eq__(self, other: Any) -> Any:
        return self._flat() == (other._flat() if isinstance(other, FlatIterator) else other)

    __hash__ = None  # type: ignore[assignment]


def _set_flat(self: Array, value: Any) -> None:
    FlatIterator(self)[...] = value


def _as_in_context(self: Any, context: Context) -> Any:
    """The array on a context: itself where it lives there, else a copy (its value is computed).

    Raises:
        ContextError: the context does not exist on this machine.
    """
    from ..trace.context import _require

    if self.type.context is context:
        return self
    _require(context)
    data = observe(self, "as_in_context")
    type_ = self.type
    return materialised(data, array_type(type_.shape, type_.dtype, type_.strides, type_.scalar, None, context))


def _copy_to(self: Any, other: Any) -> Any:
    """A copy on a context, or written into an array of any context (MXNet's `copyto`)."""
    if isinstance(other, Context):
        return duplicate(self) if self.type.context is other else _as_in_context(self, other)
    assign(other, _as_in_context(TABLE["astype"](self, dtype=other.type.dtype), other.type.context))
    return other


# -- NumPy's scalars ---------------------------------------------------------------------------------------------------------------------
def _scalar_method(name: str) -> Callable[..., Any]:
    def method(self: Scalar, *args: Any, **kwargs: Any) -> Any:
        value = observe(self, name)[()]
        return getattr(value, name)(*args, **kwargs)

    method.__name__ = method.__qualname__ = name
    return method


def _immutable(name: str) -> Callable[..., Any]:
    def method(self: Scalar, *args: Any, **kwargs: Any) -> Any:
        # NumPy's scalars have the names too, and refuse or do nothing
        return getattr(observe(self, name)[()], name)(*args, **kwargs)

    method.__name__ = method.__qualname__ = name
    return method


def _round_scalar(self: Scalar, ndigits: Any = None) -> Any:
    if ndigits is None:
        return round(observe(self, "round")[()].item())
    return _N["round"](self, ndigits)


_PYTHON_NUMBER = ["is_integer", "as_integer_ratio", "hex", "bit_count", "__trunc__", "__floor__", "__ceil__"]


def _setting(read: Callable[..., Any], write: Callable[..., Any]) -> property:
    return property(read, write, None, read.__doc__)


def _install() -> None:
    for name in _FUNCTIONS:
        setattr(ValueHandle, name, _function(name))
    ours = {
        "clip": _clip, "compress": _compress, "conj": _conjugate, "conjugate": _conjugate, "reshape": _reshape, "transpose": _transpose,
        "flatten": _flatten, "ravel": _ravel, "copy": _copy, "astype": _astype,
        "view": _view, "byteswap": _byteswap, "newbyteorder": _newbyteorder, "getfield": _getfield, "dump": _dump, "dumps": _dumps,
        "tofile": _tofile, "as_in_context": _as_in_context, "as_in_ctx": _as_in_context, "to_device": _as_in_context, "copy_to": _copy_to,
        "copyto": _copy_to,
    }  # fmt: skip
    for name, method in ours.items():
        setattr(ValueHandle, name, method)
    inplace = {
        "sort": _sort, "fill": _fill, "partition": _partition, "put": _put, "itemset": _itemset, "resize": _resize, "setfield": _setfield,
        "setflags": _setflags,
    }  # fmt: skip
    for name, method in inplace.items():
        setattr(Array, name, method)
    kinds: Any = (ValueHandle, Array)
    for cls in kinds:
        cls.T = property(_get_T)
    ValueHandle.real = property(_get_real)  # type: ignore[attr-defined]
    ValueHandle.imag = property(_get_imag)  # type: ignore[attr-defined]
    array_class: Any = Array
    array_class.real, array_class.imag = _setting(_get_real, _set_real), _setting(_get_imag, _set_imag)
    array_class.shape = _setting(ValueHandle.shape.fget, _set_shape)  # type: ignore[attr-defined]
    array_class.dtype = _setting(ValueHandle.dtype.fget, _set_dtype)  # type: ignore[attr-defined]
    array_class.strides = _setting(ValueHandle.strides.fget, _set_strides)  # type: ignore[attr-defined]
    array_class.flat = property(FlatIterator, _set_flat)
    handle_class: Any = ValueHandle
    handle_class.flat = property(FlatIterator)
    handle_class.flags = property(Flags)
    handle_class.ctypes = property(lambda self: observe(self, "ctypes").copy().ctypes)
    handle_class.__array_wrap__ = lambda self, array_, context=None: host(np.array(array_), self.type.context)
    # the buffer protocol is open to Python classes from 3.12 on
    handle_class.__buffer__ = lambda self, flags: memoryview(observe(self, "memoryview").copy())  # type: ignore[arg-type]
    handle_class.__sizeof__ = lambda self: self.type.nbytes + 96
    scalar_class: Any = Scalar
    for name in inplace:
        # a scalar has the names, and is immutable
        setattr(scalar_class, name, _immutable(name))
    for name in _PYTHON_NUMBER:
        setattr(scalar_class, name, _scalar_method(name))
    scalar_class.__round__ = _round_scalar
    scalar_class.numerator = property(lambda self: self)
    scalar_class.denominator = property(lambda self: fallback.host(np.asarray(1, self.type.dtype), self.type.context, True))


_install()
