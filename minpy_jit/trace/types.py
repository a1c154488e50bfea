"""What an array is before it has a value: `ArrayType` (shape, dtype, logical strides, scalar or array, context), interned.

It may not know how values are stored or computed. Equal types are one object, so that `is` compares them.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable, Sequence

import numpy as np

from .context import CPU, Context

Shape = tuple[int, ...]
# dtypes that only NumPy's own loops know what to do with
HOST_KINDS = "OSUV"


class ArrayType:
    """Interned; make one with `array_type`.

    Attributes:
        shape: NumPy's shape.
        dtype: NumPy's dtype.
        strides: NumPy's logical strides in bytes, or None where they are those of a C-contiguous array.
        scalar: NumPy would return a scalar here (`x.sum()`), not a 0-d array: immutable, hashable.
        weak: `bool`, `int`, `float` or `complex` for a Python number that takes part as itself (NEP 50), else None.
        context: the device.
        size, nbytes, host: derived; `host`: whether the dtype is one of HOST_KINDS.
    """

    __slots__ = ("__weakref__", "context", "dtype", "host", "nbytes", "scalar", "shape", "size", "strides", "weak")
    shape: Shape
    dtype: np.dtype
    strides: Shape | None
    scalar: bool
    weak: type | None
    context: Context
    size: int
    nbytes: int
    host: bool

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __repr__(self) -> str:
        if self.weak is not None:
            return f"weak {self.weak.__name__}"
        text = f"{self.dtype}[{','.join(map(str, self.shape))}]"
        if self.scalar:
            text = f"{self.dtype} scalar"
        if self.strides is not None:
            text += f" strides {self.strides}"
        if self.context is not CPU:
            text += f" on {self.context}"
        return text

    def numpy_strides(self) -> Shape:
        """The strides as NumPy reports them."""
        return contiguous_strides(self.shape, self.dtype.itemsize) if self.strides is None else self.strides

    def with_dtype(self, dtype: np.dtype) -> ArrayType:
        """The same C-ordered array with another dtype."""
        return array_type(self.shape, dtype, scalar=self.scalar, context=self.context)

    def __reduce__(self) -> tuple:
        return array_type, (self.shape, self.dtype, self.strides, self.scalar, self.weak, self.context)


_interned: weakref.WeakValueDictionary[tuple, ArrayType] = weakref.WeakValueDictionary()


def array_type(
    shape: Shape,
    dtype: np.dtype,
    strides: Shape | None = None,
    scalar: bool = False,
    weak: type | None = None,
    context: Context = CPU,
) -> ArrayType:
    """The one ArrayType with these properties. Strides of a C-contiguous layout may be given or None."""
    if strides is not None and is_contiguous(shape, strides, dtype.itemsize):
        strides = None
    # the dtype object itself would compare equal across byte orders' metadata; its `str` does not
    key = (shape, dtype, strides, scalar, weak, context)
    found = _interned.get(key)
    if found is None:
        found = ArrayType()
        found.shape, found.dtype, found.strides, found.scalar = shape, dtype, strides, scalar
        found.weak, found.context = weak, context
        found.size = math.prod(shape)
        found.nbytes = found.size * dtype.itemsize
        found.host = dtype.kind in HOST_KINDS
        _interned[key] = found
    return found


def type_of(array: np.ndarray, context: Context = CPU, scalar: bool = False) -> ArrayType:
    """The type of a NumPy array, its strides included."""
    return array_type(array.shape, array.dtype, None if array.flags.c_contiguous else array.strides, scalar, None, context)


def contiguous_strides(shape: Sequence[int], itemsize: int) -> Shape:
    """Strides in bytes of a C-contiguous array (NumPy's convention: a zero-size axis counts as one)."""
    strides = []
    step = itemsize
    for length in reversed(shape):
        strides.append(step)
        step *= max(length, 1)
    return tuple(reversed(strides))


def is_contiguous(shape: Sequence[int], strides: Sequence[int], itemsize: int) -> bool:
    """NumPy's C-contiguity: axes of length one do not matter, an array of no element is contiguous."""
    if 0 in shape:
        return True
    step = itemsize
    for length, stride in zip(reversed(shape), reversed(strides), strict=True):
        if length != 1 and stride != step:
            return False
        step *= length
    return True


def overlaps(shape: Shape, strides: Shape) -> bool:
    """Whether two elements may lie at one place (exact for what slices, transpositions and broadcasting make of dense memory)."""
    if 0 in shape:
        return False
    reach = 0
    for step, n in sorted((abs(s), n) for n, s in zip(shape, strides, strict=True) if n != 1):
        if step <= reach:
            return True
        reach += step * (n - 1)
    return False


def is_f_contiguous(type_: ArrayType) -> bool:
    """NumPy's F-contiguity."""
    if type_.strides is None and sum(n != 1 for n in type_.shape) <= 1:
        return True
    strides = type_.numpy_strides()
    return is_contiguous(type_.shape[::-1], strides[::-1], type_.dtype.itemsize)


def broadcasts_to(shape: Shape, wide: Shape) -> bool:
    """Whether broadcasting makes the second shape of the first."""
    rest = len(wide) - len(shape)
    return rest >= 0 and all(n in (1, m) for n, m in zip(shape, wide[rest:], strict=True))


def broadcast_shapes(shapes: Iterable[Shape]) -> Shape:
    """NumPy's broadcasting.

    Raises:
        ValueError: with NumPy's wording.
    """
    shapes = list(shapes)
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        listed = " ".join(str(s).replace(", ", ",") for s in shapes)
        raise ValueError(f"operands could not be broadcast together with shapes {listed}") from None


def copied_strides(type_: ArrayType, dtype: np.dtype) -> Shape | None:
    """Strides of a copy in another dtype: the gaps go, the order of the axes in memory stays ("K"); None for C order.

    As numpy/core/src/multiarray/ctors.c: PyArray_NewLikeArrayWithShape. Unlike a ufunc's result, a copy of an array that was broadcast
    has the repeated axis innermost.
    """
    shape = type_.shape
    if type_.strides is None or 0 in shape:
        return None
    if is_f_contiguous(type_):
        return contiguous_strides(shape[::-1], dtype.itemsize)[::-1]
    shown = type_.strides
    strides = [0] * type_.ndim
    step = dtype.itemsize
    for axis in sorted(range(type_.ndim), key=lambda i: -abs(shown[i]))[::-1]:
        strides[axis] = step
        step *= shape[axis]
    return None if is_contiguous(shape, strides, dtype.itemsize) else tuple(strides)


def elementwise_strides(types: Sequence[ArrayType], shape: Shape, dtype: np.dtype) -> Shape | None:
    """Strides of a fresh element-wise result: NumPy keeps the operands' memory order ("K").

    C-ordered operands (the usual case) give None at once; otherwise axes are ordered by the operands' strides as NumPy's iterator does.
    """
    arrays = [t for t in types if t.ndim > 0]
    if all(t.strides is None for t in arrays) or len(shape) < 2 or math.prod(shape) == 0:
        return None
    ndim = len(shape)
    rows = []
    for t in arrays:
        strides = t.numpy_strides()
        rows.append([0] * (ndim - t.ndim) + [0 if n == 1 else abs(s) for n, s in zip(t.shape, strides, strict=True)])
    # stable insertion sort from the innermost axis, as numpy/core/src/multiarray/nditer_constr.c: npyiter_find_best_axis_ordering
    order = list(range(ndim - 1, -1, -1))
    for i in range(1, ndim):
        axis = order[i]
        insert_at = i
        for j in range(i - 1, -1, -1):
            ambiguous, swap = True, False
            for row in rows:
                this, other = row[axis], row[order[j]]
                if this != 0 and other != 0:
                    if other <= this:
                        swap = False
                    elif ambiguous:
                        swap = True
                    ambiguous = False
            if not ambiguous:
                if swap:
                    insert_at = j
                else:
                    break
        if insert_at != i:
            order.insert(insert_at, order.pop(i))
    result = [0] * ndim
    step = dtype.itemsize
    for axis in order:
        result[axis] = step
        step *= max(shape[axis], 1)
    return tuple(result)


def integer_name(high: int) -> str:
    """Name of the integer dtype whose largest value this is (a comparison's result type does not tell)."""
    bits = high.bit_length()
    return f"int{bits + 1}" if bits % 8 == 7 else f"uint{bits}"
