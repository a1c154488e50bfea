"""Methods and attributes of `ndarray` and of NumPy's scalars, attached to `Array` and `Scalar` from the functions of the namespace."""

from __future__ import annotations

import builtins
import functools
import gc
import operator
import types
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ..errors import with_op
from ..trace.calls import Function
from ..trace.context import Context, require
from ..trace.handle import Alias, Handle, clone, is_view, is_writeable, root_of
from ..trace.op import TABLE
from ..trace.ops.normalise import normalise_axis
from ..trace.ops.shape import reshape_is_view
from ..trace.recorder import current, observe
from ..trace.replay import set_transposed
from ..trace.types import is_f_contiguous
from . import fallback, indexing, namespace
from . import strides as strides_module
from .array import Array, Scalar, ValueHandle, duplicate
from .convert import as_handle, host, replayed
from .creation import array
from .iteration import FlatIterator
from .output import result_layout
from .shaping import flatten, ravel, reshape, transpose
from .views import assign, check_writeable, make_view, retype

_N = namespace.NAMES
# an argument that was not given, where None says something
_SAME: Any = object()


# -- methods that are functions of the namespace ------------------------------------------------------------------------------------------
def _function(name: str) -> Callable[..., Any]:
    function = _N[name]
    # not one that calls the other, which takes longer
    general = function.general if isinstance(function, Function) else function
    return replayed(general, name, __package__, getattr(np.ndarray, name).__doc__)


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


def _conjugate(self: Any, out: Any = None, /) -> Any:
    """The complex conjugate; real arrays come back as they are."""
    if out is not None or self.type.dtype.kind == "O":
        return _N["conjugate"](self, out)
    return TABLE["conjugate"](self) if self.type.dtype.kind == "c" else self


def _compress(self: Any, condition: Any, axis: Any = None, out: Any = None) -> Any:
    """Slices where a 1-d condition holds."""
    return _N["compress"](condition, self, axis, out)


def _reshape(self: Any, *shape: Any, order: str = "C") -> Any:
    """The same elements in another shape."""
    if not shape:
        raise TypeError("reshape() takes exactly 1 argument (0 given)")
    if shape == (None,):
        return _view(self)
    return reshape(self, shape[0] if len(shape) == 1 else shape, order)


def _order(order: Any) -> str:
    """A memory order.

    Raises:
        TypeError, ValueError: none of NumPy's.
    """
    if order is None:
        return "C"
    if not isinstance(order, str):
        raise TypeError(f"order must be str, not {type(order).__name__}")
    if order.upper() not in ("C", "F", "A", "K"):
        raise ValueError(f"order must be one of 'C', 'F', 'A', or 'K' (got {order!r})")
    return order.upper()


def _transpose(self: Any, *axes: Any) -> Any:
    """A view with permuted axes."""
    return transpose(self, None if not axes else axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes)


def _flatten(self: Any, order: str = "C") -> Any:
    """A flat copy."""
    return flatten(self, _order(order))


def _ravel(self: Any, order: str = "C") -> Any:
    """A flat array: a view of contiguous memory, else a copy."""
    return ravel(self, _order(order))


def _copy(self: Any, order: str = "C") -> Any:
    """A copy (nothing is run or moved until one of the two is written to)."""
    order = _order(order)
    return self if self.type.scalar else array(self, order=order)


def _astype(self: Any, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True) -> Any:
    """The values in another dtype.

    Raises:
        TypeError: `casting` does not allow it.
        ValueError: `order` is none of NumPy's.
    """
    order = "K" if order is None else _order(order)
    wanted = np.dtype(dtype)
    given = self.type.dtype
    if casting != "unsafe" and not np.can_cast(given, wanted, casting):  # type: ignore[arg-type]
        raise TypeError(f"Cannot cast array data from {given!r} to {wanted!r} according to the rule '{casting}'")
    if given == wanted:
        made = self if self.type.scalar or not copy else duplicate(self)
    elif given.kind in "OSUV" or wanted.kind in "OSUV":
        if self.type.scalar:
            return fallback.call(_scalar_astype, (self, wanted), {}, "astype")
        return fallback.call(np.ndarray.astype, (self, wanted, order), {}, "astype")
    else:
        made = TABLE["astype"](self, dtype=wanted)
    return made if order in ("K", "A") else result_layout(made, order)


def _scalar_astype(value: Any, dtype: Any) -> Any:
    return value.astype(dtype)


def _view(self: Any, dtype: Any = _SAME, type: Any = None) -> Any:
    """A view of the same memory, as elements of another dtype if one is given.

    Raises:
        ValueError: the bytes of the last axis do not make up elements of that dtype.
    """
    # (classes of NumPy's, such as `matrix`, are wrapped in the namespace)
    if isinstance(dtype, fallback.ClassFallback):
        dtype = dtype.__wrapped__
    if dtype is Array or (isinstance(dtype, builtins.type) and issubclass(dtype, np.ndarray)):
        type, dtype = dtype, _SAME
    if type is not None and type is not Array and type is not np.ndarray:
        return observe(self, "view").view(type=type) if dtype is _SAME else observe(self, "view").view(dtype, type)
    wanted = self.type.dtype if dtype is _SAME else np.dtype(dtype)
    if wanted == self.type.dtype:
        return self if self.type.scalar else self[...]
    return (
        TABLE["reinterpret"](self, dtype=wanted)
        if self.type.scalar
        else make_view(self, TABLE["reinterpret"], (), (_viewable(self, wanted),))
    )


def _viewable(x: Any, dtype: np.dtype) -> np.dtype:
    """The dtype, if the bytes of `x` can be seen so.

    Raises:
        TypeError, ValueError: they cannot.
    """
    given = x.type.dtype
    if given.hasobject or dtype.hasobject:
        raise TypeError("Cannot change data-type for array of references.")
    gaps = x.type.ndim and x.type.size and x.type.shape[-1] != 1 and x.type.numpy_strides()[-1] != given.itemsize
    if gaps and given.itemsize != dtype.itemsize:
        raise ValueError("To change to a dtype of a different size, the last axis must be contiguous")
    return dtype


# -- in-place ones -----------------------------------------------------------------------------------------------------------------------
def _sort(self: Array, axis: int = -1, kind: Any = None, order: Any = None) -> None:
    """Sort in place."""
    if axis is None:
        raise TypeError("'NoneType' object cannot be interpreted as an integer")
    normalise_axis(axis, self.type.ndim)
    check_writeable(self, "sort array is read-only")
    assign(self, _N["sort"](self, axis, kind, order))


def _fill(self: Array, value: Any) -> None:
    """Set every element."""
    check_writeable(self)
    if self.type.dtype.kind == "O":
        # an array, too, is one object
        one = np.empty(1, object)
        one[0] = value
        self[...] = host(one.reshape(()))
        return
    new = indexing.as_element(self, value)
    self[...] = reshape(new, ()) if isinstance(new, Handle) and new.type.ndim else new


def _partition(self: Array, kth: Any, axis: int = -1, kind: str = "introselect", order: Any = None) -> None:
    """Partition in place."""
    check_writeable(self, "partition array is read-only")
    assign(self, _N["partition"](self, kth, axis, kind, order))


def _put(self: Array, indices: Any, values: Any, mode: str = "raise") -> None:
    """Set elements at flat positions."""
    _N["put"](self, indices, values, mode)


def _itemset(self: Any, *args: Any) -> None:
    """Set one element."""
    *at, value = args
    if len(at) == 1 and isinstance(at[0], tuple):
        at = list(at[0])
    if not at:
        if self.type.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        self[...] = value
    elif len(at) == 1:
        position = operator.index(at[0])
        if not -self.type.size <= position < self.type.size:
            raise IndexError(f"index {position} is out of bounds for size {self.type.size}")
        self[np.unravel_index(position % self.type.size, self.type.shape)] = value
    else:
        if len(at) != self.type.ndim:
            raise ValueError(f"[itemset] incorrect number of indices for array: {len(at)} instead of {self.type.ndim}")
        self[tuple(at)] = value


def _resize(self: Array, *new_shape: Any, refcheck: bool = True) -> None:
    """Change shape and size in place (zeros are appended). Other names of the array are no hindrance.

    Raises:
        ValueError: the array is a view, or has views.
    """
    shape = new_shape[0] if len(new_shape) == 1 and not isinstance(new_shape[0], int) else new_shape
    if is_view(self):
        raise ValueError("cannot resize this array: it does not own its data")
    lengths: Any = shape if np.iterable(shape) else (shape,)
    wanted = tuple([operator.index(n) for n in lengths])
    if any(n < 0 for n in wanted):
        raise ValueError("negative dimensions not allowed")
    size = int(np.prod(wanted, dtype=np.int64))
    if size != self.type.size and refcheck and self.alias is not None and _is_shown(self):
        raise ValueError(
            "cannot resize an array that references or is referenced\nby another array in this way.\n"
            "Use the np.resize function or refcheck=False"
        )
    flat = TABLE["reshape"](self, shape=(self.type.size,))
    if size > self.type.size:
        blank = TABLE["zeros"](shape=(size - self.type.size,), dtype=self.type.dtype, context=self.type.context)
        flat = TABLE["concatenate"](flat, blank, axis=0)
    elif size < self.type.size:
        flat = flat[:size]
    writeable = is_writeable(self)
    # views that are left (refcheck=False) keep what was there
    self.alias = None
    _become(self, TABLE["reshape"](flat, shape=wanted))
    _setflags(self, write=writeable)


def _is_shown(x: Handle) -> bool:
    """Whether there are views of an array."""
    return any(type(r) is Alias and r.base is x for r in gc.get_referrers(x))


def _become(self: Handle, value: Handle) -> None:
    """Make the handle mean a value of another type (it has no views)."""
    self.type = value.type
    assign(self, value)


def _byteswap(self: Any, inplace: bool = False) -> Any:
    """The bytes of every element reversed."""
    if inplace:
        check_writeable(self)
    made = fallback.call(np.ndarray.byteswap, (as_handle(self),), None, "byteswap")
    if not inplace:
        return made
    assign(self, made)
    return self


def _setfield(self: Array, val: Any, dtype: Any, offset: int = 0) -> None:
    """Put a value into a field of every element."""
    _getfield(self, dtype, offset)[...] = val


def _setflags(self: Any, write: Any = None, align: Any = None, uic: Any = None) -> None:
    """Forbid writing to an array, or allow it again where its base can be written to.

    Raises:
        ValueError: the base is read-only, or what is asked is not true of any array here.
    """
    if align is not None and not align:
        raise ValueError("[setflags] ALIGNED cannot be set to False: arrays of minpy_jit are always aligned")
    if uic:
        raise ValueError("cannot set WRITEBACKIFCOPY flag to True")
    if write is None or bool(write) == self.flags.writeable:
        return
    if write and root_of(self) is not self and not is_writeable(root_of(self)):
        raise ValueError("cannot set WRITEABLE flag to True of this array")
    if self.alias is None:
        self.alias = Alias(None, (), 0)
    self.alias.writeable = bool(write)


def _newbyteorder(self: Any, new_order: str = "S", /) -> Any:
    """The same bytes read in another byte order (a view where that is the order that they have)."""
    if self.type.dtype.newbyteorder(new_order) == self.type.dtype:
        return self if self.type.scalar else self[...]
    return fallback.call(np.ndarray.newbyteorder, (as_handle(self), new_order), None, "newbyteorder")


def _getfield(self: Any, dtype: Any, offset: int = 0) -> Any:
    """A stretch of each element's bytes, as another dtype (a view)."""
    wanted, size = np.dtype(dtype), self.type.dtype.itemsize
    if self.type.scalar or self.type.dtype.hasobject or not 0 <= offset <= size - wanted.itemsize:
        return fallback.call(np.ndarray.getfield, (as_handle(self), dtype, offset), None, "getfield")
    # every byte belongs to a field: NumPy copies no others
    parts = [("before", f"V{offset}"), ("field", wanted), ("after", f"V{size - offset - wanted.itemsize}")]
    record = np.dtype([part for part in parts if part[1] != "V0"])
    return make_view(make_view(self, TABLE["reinterpret"], (), (record,)), TABLE["field"], (), ("field",))


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
    if self.type.dtype.kind == "c" and not self.type.scalar:
        return make_view(self, TABLE["imag"], (), ())
    made = TABLE["imag"](self)
    if not self.type.scalar:
        # NumPy's zeros take no values
        _setflags(made, write=False)
    return made


def _set_real(self: Array, value: Any) -> None:
    if self.type.dtype.kind == "c":
        _get_real(self)[...] = value
    else:
        self[...] = value


def _set_imag(self: Array, value: Any) -> None:
    if self.type.dtype.kind != "c":
        raise TypeError("array does not have imaginary part to set")
    _get_imag(self)[...] = value


def _set_shape(self: Array, shape: Any) -> None:
    wanted = namespace.shaping.full_shape(self.type.size, tuple(shape) if isinstance(shape, list) else shape)
    if not reshape_is_view(self.type, wanted):
        raise AttributeError("Incompatible shape for in-place modification. Use `.reshape()` to make a copy with the desired shape.")
    if wanted != self.type.shape:
        _retype(self, "reshape", wanted)


def _set_dtype(self: Array, dtype: Any) -> None:
    wanted = np.dtype(dtype)
    if wanted != self.type.dtype:
        _retype(self, "reinterpret", _viewable(self, wanted))


def _retype(self: Array, op: str, param: Any) -> None:
    if self.alias is None and current().session is None:
        # nobody else sees the memory
        _become(self, TABLE[op](clone_pending(self), **{TABLE[op].params[0]: param}))
    else:
        retype(self, TABLE[op], (), (param,))


def clone_pending(x: Any) -> Any:
    """A second name of a plain array's value."""
    copy = clone(x)
    if copy.memory is None and copy.segment is not None:
        copy.segment.arrays.append(copy)
    return copy


def _set_strides(self: Array, strides: Any) -> None:
    wanted = tuple([operator.index(n) for n in strides])
    if wanted == self.type.numpy_strides():
        return
    if len(wanted) != self.type.ndim:
        raise ValueError(f"strides must be same length as shape ({self.type.ndim})")
    shown = strides_module.as_strided(self, strides=wanted)
    if is_view(self):
        self.type, self.alias, self.memory = shown.type, shown.alias, None
    else:
        ((op, numbers, params),) = indexing.chain_of(shown)
        retype(self, op, numbers, params)


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
        return self._x.base is None

    @property
    def writeable(self) -> bool:
        """Whether it can be written to."""
        return not self._x.type.scalar and is_writeable(self._x)

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
        elif name == "writebackifcopy":
            _setflags(self._x, uic=value)
        else:
            raise AttributeError(f"[flags] {name} cannot be set")

    def __setitem__(self, key: str, value: Any) -> None:
        setattr(self, self._KEYS[key], value)

    def __repr__(self) -> str:
        shown = ("C_CONTIGUOUS", "F_CONTIGUOUS", "OWNDATA", "WRITEABLE", "ALIGNED", "WRITEBACKIFCOPY")
        return "\n".join(f"  {name} : {self[name]}" for name in shown) + "\n"


def _set_flat(self: Array, value: Any) -> None:
    if isinstance(value, Handle) and is_f_contiguous(self.type) and not is_f_contiguous(value.type):
        # NumPy, too, copies what lies otherwise, and reads anything else while it writes
        value = duplicate(value)
    FlatIterator(self)[...] = value


def _memoryview(self: Any) -> memoryview:
    """The elements as a read-only buffer: a copy, since what would be written to it could not reach the array."""
    return memoryview(self.laid_out("memoryview").copy(order="K")).toreadonly()


def _buffer(self: Any, flags: int) -> memoryview:
    """The elements as a buffer (Python 3.12 and later). `numpy.asarray` looks here first, and what it makes of it is its caller's: a copy
    that may be written to."""
    if self.type.dtype.kind not in "biufc":
        # records and strings go by `__array_interface__`
        raise BufferError(f"[buffer] {self.type.dtype} has no buffer of plain elements; use numpy.asarray(x)")
    return memoryview(self.laid_out("memoryview").copy(order="K"))


def _as_in_context(self: Any, context: Context) -> Any:
    """The array on a context: itself where it lives there, else a copy, made when it is needed. A gradient returns to where `self` is.

    Raises:
        ContextError: the context does not exist on this machine.
        TypeError: not a Context.
    """
    if self.type.context is context:
        return self
    require(context)
    return TABLE["to_context"](self, context=context)


def _copy_to(self: Any, other: Any) -> Any:
    """A copy on a context, or written into an array of any context (MXNet's `copyto`)."""
    if isinstance(other, Context):
        return duplicate(self) if self.type.context is other else _as_in_context(self, other)
    assign(other, _as_in_context(TABLE["astype"](self, dtype=other.type.dtype), other.type.context))
    return other


# -- NumPy's scalars ---------------------------------------------------------------------------------------------------------------------
def _scalar_method(name: str) -> Callable[..., Any]:
    def method(self: Scalar, *args: Any, **kwargs: Any) -> Any:
        found = getattr(observe(self, name)[()], name)(*args, **kwargs)
        return host(np.asarray(found), self.type.context, True) if isinstance(found, np.generic) else found

    method.__name__ = method.__qualname__ = name
    return method


def _immutable(name: str) -> Callable[..., Any]:
    def method(self: Scalar, *args: Any, **kwargs: Any) -> Any:
        # NumPy's scalars have the names too, and refuse or do nothing
        return getattr(observe(self, name)[()], name)(*args, **kwargs)

    method.__name__ = method.__qualname__ = name
    return method


def _setting(read: Callable[..., Any], write: Callable[..., Any]) -> property:
    return property(read, write, None, read.__doc__)


def _named(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """A method under the name that the user calls it by, which its errors begin with."""

    @functools.wraps(method)
    def named(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            raise with_op(error, name) from None

    # (of the function too: Python's errors about missing and unknown arguments name it)
    for function in (named, method):
        function.__name__ = function.__qualname__ = name
    return named


def _install() -> None:
    for name in _FUNCTIONS:
        setattr(ValueHandle, name, _function(name))
    ours: dict[str, Callable[..., Any]] = {
        "clip": _clip, "compress": _compress, "conj": _conjugate, "conjugate": _conjugate, "reshape": _reshape, "transpose": _transpose,
        "flatten": _flatten, "ravel": _ravel, "copy": _copy, "astype": _astype,
        "view": _view, "byteswap": _byteswap, "newbyteorder": _newbyteorder, "getfield": _getfield, "dump": _dump, "dumps": _dumps,
        "tofile": _tofile, "as_in_context": _as_in_context, "as_in_ctx": _as_in_context, "to_device": _as_in_context, "copy_to": _copy_to,
        "copyto": _copy_to, "to_numpy": ValueHandle.asnumpy,
    }  # fmt: skip
    for name, method in ours.items():
        setattr(ValueHandle, name, replayed(_named(name, method), name, __package__))
    inplace: dict[str, Callable[..., Any]] = {
        "sort": _sort, "fill": _fill, "partition": _partition, "put": _put, "itemset": _itemset, "resize": _resize, "setfield": _setfield,
        "setflags": _setflags,
    }  # fmt: skip
    for name, method in inplace.items():
        setattr(Array, name, replayed(_named(name, method), name, __package__))
    set_transposed(replayed(_get_T, "T", __package__))
    # for annotations: `np.ndarray[Any, np.dtype[np.float64]]`
    Array.__class_getitem__ = classmethod(types.GenericAlias)  # type: ignore[attr-defined]
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
    handle_class.__buffer__ = _buffer
    handle_class.data = property(_memoryview)
    handle_class.__sizeof__ = lambda self: self.type.nbytes + 96
    scalar_class: Any = Scalar
    for name in inplace:
        # a scalar has the names, and is immutable
        setattr(scalar_class, name, _immutable(name))
    for name in ("byteswap", "newbyteorder", "getfield", "dumps"):
        setattr(scalar_class, name, _scalar_method(name))


_install()
