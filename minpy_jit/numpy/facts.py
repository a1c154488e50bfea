"""Functions that ask what an array is (shape, dtype, layout, memory): answered from types, without running anything."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..trace.handle import Handle, root_of
from ..trace.recorder import look, observe
from ..trace.types import ArrayType, is_f_contiguous
from . import fallback
from .convert import NUMBERS, as_handle, default_dtype
from .views import laid_out, memory_order


def shape(a: Any) -> tuple[int, ...]:
    """The shape of an array."""
    return a.type.shape if isinstance(a, Handle) else _shape_of(a)


def _shape_of(a: Any) -> tuple[int, ...]:
    if isinstance(a, np.ndarray) or not fallback.contains_handle(a):
        return np.shape(a)
    return as_handle_nested(a).type.shape


def as_handle_nested(a: Any) -> Any:
    """A handle on anything array-like, nested sequences with arrays of ours in them included."""
    from .creation import asarray

    return asarray(a)


def ndim(a: Any) -> int:
    """The number of dimensions."""
    return len(shape(a))


def size(a: Any, axis: int | None = None) -> int:
    """The number of elements (along `axis`)."""
    found = shape(a)
    if axis is None:
        return a.type.size if isinstance(a, Handle) else int(np.prod(found, dtype=np.int64))
    return found[axis]


def _weak_or_dtype(value: Any) -> Any:
    if isinstance(value, Handle):
        return value.type.dtype
    if type(value) in NUMBERS:
        return value
    return value if isinstance(value, (type, np.dtype, str)) else np.asarray(value).dtype


def result_type(*arrays_and_dtypes: Any) -> np.dtype:
    """The dtype that NumPy's promotion rules (NEP 50) give for these arrays, dtypes and Python numbers."""
    given = [_weak_or_dtype(v) for v in arrays_and_dtypes]
    numbers = [v for v in given if type(v) in NUMBERS]
    strong = [v for v in given if type(v) not in NUMBERS]
    if not numbers:
        return np.result_type(*strong)
    if not strong:
        return np.result_type(*[np.asarray(v).dtype for v in numbers])
    found = np.result_type(*strong)
    if any(type(v) is bool for v in numbers):
        found = np.promote_types(found, np.bool_)
    for kind in (int, float, complex):
        if any(type(v) is kind for v in numbers):
            found = _with_weak(found, kind)
    return found


def _with_weak(dtype: np.dtype, kind: type) -> np.dtype:
    """The dtype that results where a weak Python number of a kind meets a dtype."""
    if dtype.kind not in "biufc":
        return np.result_type(dtype, np.dtype(kind))
    if kind is int:
        return np.dtype(np.int64) if dtype.kind == "b" else dtype
    if kind is float:
        return dtype if dtype.kind in "fc" else np.dtype(np.float64)
    if dtype.kind == "c":
        return dtype
    return np.result_type(dtype, np.complex64) if dtype.kind == "f" else np.dtype(np.complex128)


def can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    """Whether a cast between dtypes can occur under the casting rule."""
    if isinstance(from_, Handle):
        from_ = from_.type.dtype
    return np.can_cast(from_, to, casting)


def min_scalar_type(a: Any) -> np.dtype:
    """The smallest dtype that can hold the value."""
    if isinstance(a, Handle):
        return a.type.dtype if a.type.ndim else np.min_scalar_type(observe(a, "min_scalar_type")[()])
    return np.min_scalar_type(a)


def common_type(*arrays: Any) -> Any:
    """The inexact dtype common to arrays."""
    return np.common_type(*[_blank(a) for a in arrays])


def _blank(a: Any) -> Any:
    """An empty array that stands for the dtype of `a`."""
    return np.empty(0, a.type.dtype) if isinstance(a, Handle) else a


def iscomplexobj(x: Any) -> bool:
    """Whether the dtype is complex."""
    return np.iscomplexobj(_blank(x))


def isrealobj(x: Any) -> bool:
    """Whether the dtype is not complex."""
    return not iscomplexobj(x)


def isscalar(element: Any) -> bool:
    """Whether it is a scalar rather than an array."""
    if isinstance(element, Handle):
        return element.type.scalar
    return np.isscalar(element)


def iterable(y: Any) -> bool:
    """Whether it can be iterated over."""
    if isinstance(y, Handle):
        return bool(y.type.shape)
    return np.iterable(y)


def isfortran(a: Any) -> bool:
    """Whether the array is Fortran-contiguous and not C-contiguous."""
    type_: ArrayType = as_handle(a).type
    return type_.strides is not None and is_f_contiguous(type_)


def shares_memory(a: Any, b: Any, max_work: Any = None) -> bool:
    """Whether two arrays show a common element."""
    return _overlap(a, b, np.shares_memory, max_work)


def may_share_memory(a: Any, b: Any, max_work: Any = None) -> bool:
    """Whether two arrays might show common memory (bounds only)."""
    return _overlap(a, b, np.may_share_memory, max_work)


def _overlap(a: Any, b: Any, check: Any, max_work: Any) -> bool:
    if not isinstance(a, Handle) and not isinstance(b, Handle):
        return check(a, b, max_work)
    if not isinstance(a, Handle) or not isinstance(b, Handle) or root_of(a) is not root_of(b):
        # arrays of ours copy what they are made from
        return False
    root = root_of(a)
    # never read or written: where the views lie in it is the answer
    memory = np.empty(root.type.size, root.type.dtype)
    whole = laid_out(memory, root.type, memory_order(root.type))
    return check(_position(a, whole), _position(b, whole), max_work)


def _position(x: Handle, whole: np.ndarray) -> np.ndarray:
    """A NumPy view that lies in `whole` as the handle lies in its base."""
    chain = x.alias.chain if x.alias is not None and x.alias.base is not None else ()
    return look(whole, chain)


def byte_bounds(a: Any) -> tuple[int, int]:
    """Pointers to the end-points of the host memory of an array."""
    return np.byte_bounds(observe(a, "byte_bounds")) if isinstance(a, Handle) else np.byte_bounds(a)


def issubdtype(arg1: Any, arg2: Any) -> bool:
    """Whether a dtype is lower or equal in the type hierarchy."""
    return np.issubdtype(arg1, arg2)


def creation_dtype(dtype: Any) -> np.dtype:
    """The dtype of a creation function: the one asked for, or the default."""
    return default_dtype() if dtype is None else np.dtype(dtype)
