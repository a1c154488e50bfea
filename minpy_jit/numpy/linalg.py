"""`numpy.linalg` on our arrays: recorded where there is an op, else NumPy's."""

from __future__ import annotations

import operator
import sys
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from ..trace.op import TABLE
from ..trace.ops import composite
from ..trace.recorder import current, value_of
from ..trace.types import HOST_KINDS
from .convert import follows, replayed
from .fallback import call, fallback
from .products import deliver_product, dot
from .protocols import register
from .shaping import handle, normalize_axes


def _inexact(a: Any, name: str, square: bool = False) -> Any:
    """A stack of matrices of an inexact dtype that LAPACK takes.

    Raises:
        LinAlgError: not enough dimensions, or not square where they have to be.
        TypeError: float16.
    """
    x = handle(a)
    if x.type.ndim < 2:
        raise LinAlgError(f"{x.type.ndim}-dimensional array given. Array must be at least two-dimensional")
    if square and x.type.shape[-1] != x.type.shape[-2]:
        raise LinAlgError("Last 2 dimensions of the array must be square")
    if x.type.dtype == np.float16:
        raise TypeError(f"array type {x.type.dtype} is unsupported in linalg")
    return x


def _square(a: Any, name: str) -> Any:
    return _inexact(a, name, square=True)


def _known(result: Any) -> Any:
    """`result`, run: what cannot be done is raised here, where a `try` around the call expects it. (A pure region runs as a whole.)"""
    if current().session is None:
        value_of(result, "linalg")
    return result


def inv(a: Any) -> Any:
    """The inverse of a matrix.

    Raises:
        LinAlgError: the matrix is singular. It is run at once, so that the error is raised here; inside `pure=True`, at the end.
    """
    return _known(TABLE["inv"](_square(a, "inv")))


def det(a: Any) -> Any:
    """The determinant."""
    return TABLE["det"](_square(a, "det"))


def slogdet(a: Any) -> Any:
    """Sign and logarithm of the absolute determinant."""
    from numpy.linalg.linalg import SlogdetResult

    return SlogdetResult(*TABLE["slogdet"](_square(a, "slogdet")))


def cholesky(a: Any) -> Any:
    """The Cholesky factor (lower).

    Raises:
        LinAlgError: the matrix is not positive definite. It is run at once, as `inv` is.
    """
    return _known(TABLE["cholesky"](_square(a, "cholesky")))


def solve(a: Any, b: Any) -> Any:
    """The solution of a linear equation.

    Raises:
        LinAlgError: the matrix is singular. It is run at once, as `inv` is.
    """
    return _known(TABLE["solve"](_square(a, "solve"), handle(b)))


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """A matrix or vector norm."""
    given = handle(x)
    if given.type.dtype.kind in HOST_KINDS + "Mm" or given.type.dtype == np.float16:
        return call(np.linalg.norm, (x, ord, axis, keepdims), None, "linalg.norm")
    axes = None if axis is None else normalize_axes(axis, given.type.ndim, allow_duplicate=True)
    made = composite.norm(given, ord, axes, keepdims)
    return call(np.linalg.norm, (x, ord, axis, keepdims), None, "linalg.norm") if made is NotImplemented else made


def matrix_power(a: Any, n: int) -> Any:
    """A square matrix to an integer power, by repeated squaring."""
    x = _square(a, "matrix_power")
    n = operator.index(n)
    if n == 0:
        eye = TABLE["eye"](rows=x.type.shape[-1], columns=x.type.shape[-1], k=0, dtype=x.type.dtype, context=x.type.context)
        return TABLE["full"](eye, shape=x.type.shape, dtype=x.type.dtype, context=x.type.context)
    if n < 0:
        x, n = inv(x), -n
    if n == 1:
        return x
    if n == 3:
        return TABLE["matmul"](TABLE["matmul"](x, x), x)
    power: Any = None
    result: Any = None
    while n > 0:
        power = x if power is None else TABLE["matmul"](power, power)
        n, bit = divmod(n, 2)
        if bit:
            result = power if result is None else TABLE["matmul"](result, power)
    return result if result is not x else x.copy()


def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    """The product of matrices in the order that takes the fewest multiplications."""
    given = [handle(a) for a in arrays]
    if len(given) < 2:
        raise ValueError("Expecting at least two arrays.")
    if len(given) == 2:
        return dot(given[0], given[1], out)
    first, last = given[0].type.ndim, given[-1].type.ndim
    if first == 1:
        given[0] = TABLE["reshape"](given[0], shape=(1, given[0].type.shape[0]))
    if last == 1:
        given[-1] = TABLE["reshape"](given[-1], shape=(given[-1].type.shape[0], 1))
    for x in given:
        if x.type.ndim != 2:
            raise LinAlgError(f"{x.type.ndim}-dimensional array given. Array must be two-dimensional")
    result = _chain(given)
    if first == 1 and last == 1:
        result = result[0, 0]
    elif first == 1 or last == 1:
        result = TABLE["reshape"](result, shape=(result.type.size,))
    return deliver_product(result, out, "multi_dot")


def _chain(arrays: list[Any]) -> Any:
    """The matrix chain in optimal order (Cormen et al., Introduction to Algorithms, section 15.2)."""
    n = len(arrays)
    sizes = [a.type.shape[0] for a in arrays] + [arrays[-1].type.shape[1]]
    cost = [[0.0] * n for _ in range(n)]
    split = [[0] * n for _ in range(n)]
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            choices = [(cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)]
            cost[i][j], split[i][j] = min(choices)

    def product(i: int, j: int) -> Any:
        if i == j:
            return arrays[i]
        return TABLE["matmul"](product(i, split[i][j]), product(split[i][j] + 1, j))

    return product(0, n - 1)


def _fill() -> None:
    module = sys.modules[__name__]
    for name in dir(np.linalg):
        theirs = getattr(np.linalg, name)
        if name.startswith("_") or name in vars(module):
            if callable(theirs) and name in vars(module) and not isinstance(theirs, type):
                setattr(module, name, replayed(follows(vars(module)[name]), name, __name__))
                register(theirs, vars(module)[name])
            continue
        ours = theirs
        if callable(theirs) and not isinstance(theirs, type) and name != "test":
            ours = fallback(theirs, f"linalg.{name}")
            register(theirs, ours)
        setattr(module, name, ours)


_fill()
