"""`Array` and `Scalar`: what users hold. Operators record, observers flush, in-place forms rebind the handle.

Methods that are functions too (`x.sum()`, `x.reshape()` …) are attached by numpy/methods.py from the namespace.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..config import config
from ..errors import locate, with_op
from ..trace.context import Context, DeviceValue, require
from ..trace.handle import Handle, is_view, materialised, new, root_of, set_constructors
from ..trace.op import TABLE, Op
from ..trace.recorder import current, observe, value_of
from ..trace.replay import binary, record, set_operators, took_over, unary
from ..trace.types import copied_strides, is_f_contiguous, type_of
from . import indexing
from .convert import NUMBERS, beside, host, operand, replayed
from .views import assign, cast_for_write, check_writeable


class ValueHandle(Handle):
    """What arrays and scalars share: facts known without running, and the observers."""

    __slots__ = ("__weakref__",)
    __array_priority__ = 1000.0

    # -- facts ---------------------------------------------------------------------------------------------------------------------
    @property
    def shape(self) -> tuple[int, ...]:
        """Tuple of array dimensions."""
        return self.type.shape

    @property
    def dtype(self) -> np.dtype:
        """Data type of the elements."""
        return self.type.dtype

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.type.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.type.size

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.type.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.type.nbytes

    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes to step in each dimension, as NumPy would have them."""
        return self.type.numpy_strides()

    @property
    def context(self) -> Context:
        """The device that the value lives on."""
        return self.type.context

    ctx = context
    device = context

    # -- observers -----------------------------------------------------------------------------------------------------------------
    def asnumpy(self) -> np.ndarray:
        """The value as a NumPy array of the caller's own (a copy). Shape and dtype are those of the array. Runs what is pending."""
        return observe(self, "asnumpy").copy()

    def wait_to_read(self) -> None:
        """Run what is pending for this value, and return when it is there (MXNet's name)."""
        value = value_of(self, "wait_to_read")
        if isinstance(value, DeviceValue):
            value.wait()

    def __array__(self, dtype: Any = None) -> np.ndarray:
        data = self.laid_out("__array__")
        return data.copy(order="K") if dtype is None else data.astype(dtype)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        if self.type.dtype.names is not None or self.type.dtype.hasobject:
            # NumPy would take the gaps between fields for fields, and addresses of objects for objects; without it it asks __array__
            raise AttributeError("__array_interface__")
        copy = self.laid_out("__array_interface__").copy(order="K")
        # the consumer keeps what stands under "data" alive, but not an array that only lent its address
        # (strides said outright: PIL takes None for a sign that it may read the object's own buffer)
        return {**copy.__array_interface__, "data": copy.ravel(order="K").view(np.uint8), "strides": copy.strides}

    def __dlpack__(self, *, stream: Any = None) -> Any:
        return observe(self, "dlpack").copy().__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __bool__(self) -> bool:
        return bool(observe(self, "bool"))

    def __int__(self) -> int:
        return int(observe(self, "int"))

    def __float__(self) -> float:
        return float(observe(self, "float"))

    def __complex__(self) -> complex:
        return complex(observe(self, "complex"))

    def __index__(self) -> int:
        return observe(self, "index").__index__()

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    def item(self, *args: Any) -> Any:
        """One element as a Python number."""
        return observe(self, "item").item(*args)

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        return observe(self, "tolist").tolist()

    def tobytes(self, order: Any = "C") -> bytes:
        """The elements' bytes."""
        return self.laid_out("tobytes").tobytes(order)

    def tostring(self, order: Any = "C") -> bytes:
        """Same as `tobytes`."""
        return self.tobytes(order)

    def laid_out(self, cause: str) -> np.ndarray:
        """The value in memory laid out as NumPy would have it."""
        data = observe(self, cause)
        if self.type.strides is None:
            # (a broadcast value, say, is not)
            return data if data.flags.c_contiguous else np.ascontiguousarray(data)
        if data.strides == self.type.strides:
            return data
        if is_f_contiguous(self.type):
            return np.asfortranarray(data)
        order = sorted(range(data.ndim), key=lambda i: -abs(self.type.numpy_strides()[i]))
        back = np.argsort(order)
        return np.ascontiguousarray(data.transpose(order)).transpose(back)

    def _lazy_repr(self) -> str | None:
        """What is said of a pending value, or None where looking at it runs nothing."""
        # a view is pending as long as its base is
        source = root_of(self)
        segment = source.segment
        if source.memory is not None or segment is None:
            return None
        step = next((s for s in reversed(segment.cursor.path()) if s.index == source.index), None)
        made = locate(step.site) if step is not None else "<unknown>"
        kind = f"{self.type.dtype}[{','.join(map(str, self.type.shape))}]"
        return f"<lazy {kind}, {segment.steps} steps pending, made at {made}>"

    def __repr__(self) -> str:
        pending = self._lazy_repr() if config.repr_mode == "lazy" else None
        return repr(observe(self, "repr")) if pending is None else pending

    def __str__(self) -> str:
        return str(observe(self, "str"))

    def __format__(self, spec: str) -> str:
        return format(observe(self, "format"), spec)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.laid_out("pickle").copy(order="K"), self.type.scalar, self.type.context)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return self.__reduce__()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from .protocols import array_ufunc

        return array_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        from .protocols import array_function

        return array_function(function, args, kwargs)

    # -- shape ---------------------------------------------------------------------------------------------------------------------
    def __getitem__(self, key: Any) -> Any:
        # what has such a method written in Python is a sequence for C code, and stays one when `_install` puts the quicker one in its place
        return _item(self, key)

    def __iter__(self) -> Iterator[Any]:
        if not self.type.shape:
            raise TypeError("iteration over a 0-d array" if not self.type.scalar else f"'numpy.{self.dtype}' object is not iterable")
        if len(self.type.shape) > 1:
            return (self[i] for i in range(self.type.shape[0]))
        return (self[i] if (found := indexing.looked_up(self, i)) is None else found for i in range(self.type.shape[0]))

    def __round__(self, digits: int | None = None) -> Any:
        if self.type.scalar and digits is None:
            return round(observe(self, "round").item())
        return TABLE["round"](self, decimals=digits or 0)


class ArrayClass(type):
    """Makes `isinstance(x, np.ndarray)` hold for NumPy's own arrays too in code that imports our namespace as `np`."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return type.__instancecheck__(cls, instance) or (cls is Array and isinstance(instance, np.ndarray))

    def __subclasscheck__(cls, subclass: type) -> bool:
        return type.__subclasscheck__(cls, subclass) or (cls is Array and issubclass(subclass, np.ndarray))


class Array(ValueHandle, metaclass=ArrayClass):
    """An n-dimensional array that is computed when it is observed; `numpy.ndarray`'s interface.

    Attributes and methods are NumPy's, and `asnumpy()`, `context`, `as_in_context(ctx)`, `wait_to_read()`.
    """

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    def __new__(
        cls, shape: Any = None, dtype: Any = float, buffer: Any = None, offset: int = 0, strides: Any = None, order: Any = None
    ) -> Any:
        if shape is None:
            # the recorder fills the slots in
            return new(cls)
        made: Any = np.ndarray(shape, dtype, buffer, offset, strides, order)
        return materialised(made.copy(order="K"), type_of(made))

    def __len__(self) -> int:
        if not self.type.shape:
            raise TypeError("len() of unsized object")
        return self.type.shape[0]

    def __setitem__(self, key: Any, value: Any) -> None:
        set_item(self, key, value)

    def __delitem__(self, key: Any) -> None:
        raise ValueError("cannot delete array elements")

    @property
    def base(self) -> Any:
        """The array whose memory this one shows, or None."""
        if not is_view(self):
            return None
        root = root_of(self)
        face = root.alias.face if root.alias is not None else None
        owner = None if face is None else face()
        # an array that was given another shape in place owns the memory that it shows
        return None if owner is self else root if owner is None else owner

    def __copy__(self) -> Array:
        return duplicate(self)

    def __deepcopy__(self, memo: Any) -> Array:
        return duplicate(self)


class Scalar(ValueHandle):
    """What NumPy's scalars are, computed when observed: immutable (`+=` rebinds the name), hashable, usable as a number.

    `isinstance(s, (numpy.floating, float))` holds as for NumPy's. What Python does not let us imitate: `type(s)` is Scalar, `issubclass`
    of it says no, `type(s)(2)` makes a scalar of what 2 is (`s.dtype.type(2)` one like s), and C code that looks at the type alone sees no
    number (`json.dumps(s)`; write `json.dumps(float(s))`).
    """

    __slots__ = ()

    def __new__(cls, value: Any = None) -> Any:
        if value is None:
            # the recorder fills the slots in
            return new(cls)
        made = np.asarray(observe(value, "Scalar") if isinstance(value, Handle) else value)
        if made.dtype == object and made.ndim == 0:
            # fractions and decimals
            made = np.asarray(float(value))
        if made.ndim:
            raise TypeError(f"[Scalar] needs one number; got shape {made.shape}; use np.array(...)")
        return materialised(made.copy(), type_of(made, scalar=True))

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        # isinstance() asks for it: `isinstance(s, (np.floating, float))` holds as for NumPy's scalars; `type(s)` is still Scalar
        return self.type.dtype.type

    def _value(self, cause: str) -> Any:
        return observe(self, cause)[()]

    def __int__(self) -> int:
        # of complex numbers the real part, with NumPy's warning
        return int(self._value("int"))

    def __float__(self) -> float:
        return float(self._value("float"))

    def __hash__(self) -> int:
        value = self._value("hash")
        # a NaN equals nothing, and NumPy's hashes by identity
        return hash(value) if value == value else object.__hash__(self)

    # conversions and rounding are NumPy's own: which of its types have them, and of what type the result is
    def __complex__(self) -> complex:
        return complex(self._value("complex"))

    def __index__(self) -> int:
        return operator.index(self._value("index"))

    def __bytes__(self) -> bytes:
        return bytes(self._value("bytes"))

    def __trunc__(self) -> Any:
        return math.trunc(self._value("trunc"))

    def __floor__(self) -> Any:
        return math.floor(self._value("floor"))

    def __ceil__(self) -> Any:
        return math.ceil(self._value("ceil"))

    def __round__(self, digits: Any = None) -> Any:
        if digits is None or self.type.dtype.kind not in "iufc":
            return _as_ours(round(self._value("round"), digits), self.type.context)
        return TABLE["round"](self, decimals=operator.index(digits))

    # no container
    __contains__ = None  # type: ignore[assignment]
    __iter__ = None  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        # what only some of NumPy's scalars have: `is_integer`, `hex`, `bit_count`, `numerator` ...
        if name.startswith("_") or not hasattr(self.type.dtype.type, name):
            raise AttributeError(f"'numpy.{self.type.dtype}' object has no attribute {name!r}")
        return _as_ours(getattr(self._value(name), name), self.type.context)

    def __repr__(self) -> str:
        pending = self._lazy_repr() if config.repr_mode == "lazy" else None
        return repr(self._value("repr")) if pending is None else pending

    def __str__(self) -> str:
        return str(self._value("str"))

    def __format__(self, spec: str) -> str:
        return format(self._value("format"), spec)

    def __copy__(self) -> Scalar:
        return self

    def __deepcopy__(self, memo: Any) -> Scalar:
        return self

    @property
    def base(self) -> Any:
        """None: a scalar never shows other memory."""
        return None


def _as_ours(value: Any, context: Context) -> Any:
    """A result of NumPy's: its scalars and arrays as ours, anything else as it is."""
    if isinstance(value, np.generic) and not isinstance(value, np.void):
        return host(np.asarray(value), context, scalar=True)
    if type(value) is tuple:
        return tuple([_as_ours(v, context) for v in value])
    return host(value, context) if type(value) is np.ndarray else value


def _restore(data: np.ndarray, scalar: bool, context: Context) -> Handle:
    require(context)
    return materialised(data, type_of(data, context, scalar))


def duplicate(array: Handle) -> Any:
    """`copy`: a new handle on the same step (steps never change, so nothing is copied). F order is kept, any other becomes C."""
    copy: Any = new(type(array))
    recorder = current()
    if recorder.session is not None:
        # a pure function's copy is made anew at every call
        return _plain_layout(TABLE["watch"](array))
    if is_view(array):
        root = root_of(array)
        # on a device a view is picked out by a step, unless it is one block
        known = recorder.immediate is not None or (root.memory is not None and not isinstance(root.memory, DeviceValue))
        if known and not recorder.follows(root):
            data = value_of(array, "copy")
            copy.segment, copy.index, copy.type, copy.memory, copy.alias = None, -1, array.type, data, None
            return _plain_layout(copy)
        segment = recorder.segment
        copy.segment, copy.index, copy.type, copy.memory, copy.alias = segment, segment.use(array), array.type, None, None
        segment.arrays.append(copy)
        return _plain_layout(copy)
    copy.segment, copy.index, copy.type, copy.memory, copy.alias = array.segment, array.index, array.type, array.memory, None
    if copy.memory is None:
        assert copy.segment is not None
        copy.segment.arrays.append(copy)
    return _plain_layout(copy)


def _plain_layout(copy: Handle) -> Handle:
    """A copy never keeps a view's gaps; the order of its axes in memory is the view's."""
    type_ = copy.type
    if type_.strides is None:
        return copy
    wanted = copied_strides(type_, type_.dtype)
    return copy if wanted == type_.strides else TABLE["layout"](copy, strides=wanted)


set_constructors(Array, Scalar)


# -- operators --------------------------------------------------------------------------------------------------------------------------
def record_mixed(op: Op, left: Any, right: Any) -> Any:
    """An operator whose second operand is not an array of ours: NumPy arrays and sequences are taken, the rest is Python's to refuse."""
    other, ours = (left, right) if isinstance(right, ValueHandle) else (right, left)
    if type(ours) is Scalar and _is_foreign(op, other):
        return _with_scalar(op, left, right, ours)
    if isinstance(other, (str, bytes)) and ours.type.dtype.kind in "OSU":
        from .fallback import call

        return call(getattr(np, op.name), (left, right))
    if other is None or isinstance(other, (str, bytes, dict, set)):
        return NotImplemented
    priority = getattr(other, "__array_priority__", None)
    if hasattr(type(other), "__array_ufunc__") and not isinstance(other, (np.ndarray, np.generic, ValueHandle)):
        return NotImplemented
    if priority is not None and priority > ValueHandle.__array_priority__:
        return NotImplemented
    try:
        converted = beside(ours, operand, other)
    except (TypeError, ValueError):
        return NotImplemented
    if isinstance(converted, Handle) and converted.type.dtype == object:
        return NotImplemented
    return op(converted, right) if other is left else op(left, converted)


def _is_foreign(op: Op, other: Any) -> bool:
    """Whether a scalar meets something that is neither a number nor an array."""
    if isinstance(other, (list, tuple)):
        # NumPy's scalars repeat sequences, or refuse to, and have no matrix product
        return op is TABLE["multiply"] or op is TABLE["matmul"]
    return not isinstance(other, (Handle, np.ndarray, np.generic, bool, int, float, complex)) and not hasattr(type(other), "__array__")


def _with_scalar(op: Op, left: Any, right: Any, ours: Scalar) -> Any:
    """A scalar and an object of another kind (a fraction, a string, None): NumPy's own scalar decides with it."""
    other = left if right is ours else right
    recorder = current()
    if recorder.tapes and isinstance(other, numbers.Rational):
        # a gradient may flow
        return op(float(other), right) if right is ours else op(left, float(other))
    value = ours._value(op.name)
    function = _PYTHON[op.name]
    return _as_ours(function(other, value) if right is ours else function(value, other), ours.type.context)


# Python's method -> the op's name
_BINARY = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "divmod": "divmod",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "left_shift",
    "rshift": "right_shift",
}
_COMPARE = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal", "ne": "not_equal"}

# the op's name -> Python's operator
_PYTHON: dict[str, Any] = {
    "divmod": divmod,
    "power": pow,
    "matmul": operator.matmul,
    **{name: getattr(operator, f"__{method}__") for method, name in (_BINARY | _COMPARE).items() if method != "divmod"},
}

# NumPy's fast paths for a literal exponent (numpy/core/src/multiarray/number.c: fast_scalar_power)
_EXPONENTS = {1.0: "positive", 2.0: "square", 0.5: "sqrt", -1.0: "reciprocal"}


def power(base: Any, exponent: Any) -> Any:
    """`base ** exponent`, with NumPy's fast paths: the op itself depends on a literal exponent."""
    if type(exponent) in (int, float) and isinstance(base, ValueHandle):
        kind = base.type.dtype.kind
        name = _EXPONENTS.get(exponent)
        if base.type.scalar and (kind in "bc" or exponent == 0.5):
            # NumPy's scalars have no fast paths: True ** 2 is an int64, (-inf) ** 0.5 is inf, 1 / (3 + 0j) has an imaginary part of -0.0
            name = None
        if name is not None and (kind in "fc" or (exponent == 2 and (kind == "b" or (kind in "iu" and type(exponent) is int)))):
            return _powers[name](base)
    return _power(base, exponent)


def _check_target(array: Handle) -> None:
    """Of an in-place operator's faults NumPy finds first that nothing may be written here."""
    check_writeable(array, "output array is read-only")


def _write_back(op: Op, array: Handle, result: Any) -> None:
    """An in-place operator's result reaches its array."""
    _check_target(array)
    assign(array, cast_for_write(result, array, op.name))


def _in_place(op: Op, method: str, forward: Callable[[Any, Any], Any]) -> Any:
    """An in-place operator that the recorder's class lacks."""

    def in_place(self: Array, other: Any) -> Any:
        try:
            result = forward(self, other)
        except (TypeError, OverflowError):
            _check_target(self)
            raise
        if result is NotImplemented:
            return NotImplemented
        if not took_over(self, result):
            _write_back(op, self, result)
        return self

    in_place.__name__ = f"__i{method}__"
    return in_place


def _paired(op: Op, reflected: bool) -> Any:
    """An operator with two results: the recorder's short path hands out one."""

    def method(self: ValueHandle, other: Any) -> Any:
        left, right = (other, self) if reflected else (self, other)
        return op(left, right) if isinstance(other, Handle) or type(other) in NUMBERS else record_mixed(op, left, right)

    return method


def _item(array: Handle, key: Any) -> Any:
    try:
        return indexing.get(array, key)
    except IndexError as error:
        raise with_op(error, "getitem") from None


def _set_item(array: Handle, key: Any, value: Any) -> None:
    try:
        indexing.put(array, key, value)
    except (IndexError, TypeError, ValueError) as error:
        raise with_op(error, "setitem") from None


set_item = replayed(_set_item, "set_item", __name__)
# arguments of these types never change
_LASTING: frozenset[type] = frozenset([bool, int, float, complex, str, *[type(np.dtype(kind)) for kind in "?bhilqBHILQefdgFDG"]])


def _install() -> None:
    functions = {"power": power, "product": _matmul, "item": _item}
    set_operators(TABLE, record_mixed, _check_target, _write_back, {n: replayed(f, n, __name__) for n, f in functions.items()}, _LASTING)
    for method, name in _BINARY.items():
        op = TABLE[name]
        if op.outputs > 1:
            setattr(ValueHandle, f"__{method}__", _paired(op, False))
            setattr(ValueHandle, f"__r{method}__", _paired(op, True))
    for method, name in _COMPARE.items():
        setattr(ValueHandle, f"__{method}__", _comparison(method, binary(TABLE[name], record_mixed)))
    global _power
    _power = binary(TABLE["power"], record_mixed)
    ValueHandle.__getitem__ = Handle.__getitem__  # type: ignore[method-assign]
    for method, name, forward in (("pow", "power", power), ("matmul", "matmul", _matmul)):
        setattr(Array, f"__i{method}__", _in_place(TABLE[name], method, forward))


def _comparison(method: str, recording: Any) -> Any:
    if method not in ("eq", "ne"):
        return recording

    def compare(self: ValueHandle, other: Any) -> Any:
        try:
            result = recording(self, other)
        except TypeError:
            from .fallback import call

            # no ufunc compares records, or strings with numbers; NumPy's operator does
            return call(getattr(operator, method), (self, other))
        if result is NotImplemented and (other is None or isinstance(other, (str, bytes))):
            if self.type.dtype.kind == "O":
                from .fallback import call

                return call(getattr(operator, method), (self, other))
            if not self.type.shape and other is not None:
                # no array to NumPy: Python compares which objects they are
                return NotImplemented
            # NumPy: elementwise False (True for !=)
            made: Any = TABLE["full"](method == "ne", shape=self.type.shape, dtype=np.dtype(bool), context=self.type.context)
            return made if self.type.shape else made[()]
        return result

    return compare


_power: Any
_powers = {name: unary(TABLE[name]) for name in _EXPONENTS.values()}
# a product of operands as they are: its parameters
_PLAIN = TABLE["matmul"].bind({})


def _type_name(value: Any) -> str:
    return f"numpy.{value.type.dtype}" if isinstance(value, Handle) else type(value).__name__


def _matmul(left: Any, right: Any) -> Any:
    if isinstance(left, Handle) and isinstance(right, Handle):
        if left.type.scalar and right.type.scalar:
            raise TypeError(f"unsupported operand type(s) for @: 'numpy.{left.type.dtype}' and 'numpy.{right.type.dtype}'")
        made = record(TABLE["matmul"], (left, right), _PLAIN)
        return made if made.type.shape or made.type.dtype.kind != "O" else observe(made, "matmul").item()
    # (isinstance would say yes of ours too)
    single = issubclass(type(left), np.generic) or issubclass(type(right), np.generic)
    if type(left) in NUMBERS or type(right) in NUMBERS or (single and (type(left) is Scalar or type(right) is Scalar)):
        if type(left) is Scalar or type(right) is Scalar:
            raise TypeError(f"unsupported operand type(s) for @: '{_type_name(left)}' and '{_type_name(right)}'")
        raise ValueError(
            "matmul: Input operand 1 does not have enough dimensions (has 0, gufunc core with signature (n?,k),(k,m?)->(n?,m?) requires 1)"
        )
    return record_mixed(TABLE["matmul"], left, right)
