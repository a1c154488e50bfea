"""Dtypes and values: weak Python numbers, integers that stay integers, rewrites that are not exact, shapes with nothing in them."""

from __future__ import annotations

import math
from typing import Any

from . import TIMES, Toolkit, footgun


def dtype_name(x: Any) -> str:
    """A dtype's name without its module."""
    return str(x.dtype).rpartition(".")[2]


@footgun("kept", "jax#732")
def dtype_of_a_scalar_product(t: Toolkit) -> Any:
    """`R * 0.1` has the same dtype traced or not, for every kind of R."""
    np = t.np

    def f(x: Any) -> Any:
        return x * 0.1

    g = t.jit(f)
    arrays = [np.array([1, 2], dtype=d) for d in (np.float32, np.int32, np.float32, np.int32)]
    return [dtype_name(f(a)) == dtype_name(g(a)) for a in arrays]


@footgun("kept", "jax#732")
def dtypes_of_scalar_kinds(t: Toolkit) -> Any:
    """An int, then a float, then a bool as the other operand: dtypes as untraced."""
    np = t.np

    def f(x: Any, k: Any) -> Any:
        return x + k

    g = t.jit(f, static=("k",))
    x = np.array([1, 2], dtype=np.int32)
    return [[t.get(g(x, k)), dtype_name(g(x, k)) == dtype_name(f(x, k))] for k in (1, 2.5, True, 1.0, 1)]


@footgun("kept", "JAX documentation, sharp bits; mxnet#16048")
def large_integers(t: Toolkit) -> Any:
    """Integers past 2^24 and 2^31 stay what they are."""
    np = t.np
    f = t.jit(lambda x: x + 1)
    found = []
    for base in (16777216, 2147483647, 16777218):
        found.append(t.get(f(np.array([base]))))
    return found


@footgun("kept", "mxnet#18137")
def true_division_of_integers(t: Toolkit) -> Any:
    """int / int is no int."""
    np = t.np
    f = t.jit(lambda x: x / 2)
    return [t.get(f(np.array([1, 2 + k, 5]))) for k in range(TIMES)]


@footgun("kept", "mxnet#19891")
def integers_times_a_fraction(t: Toolkit) -> Any:
    """`[0, 1, 2] * 3.9` is not `[0, 3, 6]`, also after `[0, 1, 2] * 3`."""
    np = t.np
    f = t.jit(lambda x, k: x * k, static=("k",))
    return [t.get(f(np.array([0, 1, 2]), k)) for k in (3, 3.9, 3, 0.5)]


@footgun("kept", "mlx#3964, pytorch#149405")
def many_learning_rates(t: Toolkit) -> Any:
    """Another Python float at every call."""
    np = t.np
    f = t.jit(lambda w, rate: w - rate * w, static=("rate",))
    return [t.get(f(np.array([1.0, 2.0]), 1.0 / (k + 1))) for k in range(12)]


@footgun("kept")
def negative_zero(t: Toolkit) -> Any:
    """0.0 and -0.0 compare equal, and are not the same argument."""
    np = t.np
    f = t.jit(lambda x, k: np.copysign(x, x * k), static=("k",))
    return [t.get(f(np.array([1.0, 2.0]), k)) for k in (0.0, -0.0, 0.0)]


@footgun("kept")
def not_a_number_argument(t: Toolkit) -> Any:
    """NaN as an argument, which is not equal to itself."""
    np = t.np
    f = t.jit(lambda x, k: x * k, static=("k",))
    return [t.get(f(np.array([1.0, 2.0]), k)) for k in (math.nan, 2.0, math.nan)]


@footgun("kept")
def inexact_rewrites(t: Toolkit) -> Any:
    """`x - x`, `x * 0`, `x / x` and `x + 0` on infinities, NaN, zeros."""
    np = t.np
    f = t.jit(lambda x: (x - x, x * 0, x / x, x + 0.0, np.maximum(x, x), x * 1 - x))
    special = [math.inf, -math.inf, math.nan, 1.0, 2.0]
    return [[t.get(y) for y in f(np.array(special))] for _ in range(TIMES)]


@footgun("kept")
def reassociated_sum(t: Toolkit) -> Any:
    """`(x + big) - big` loses x's digits, every time."""
    np = t.np
    big = 2.0**30
    f = t.jit(lambda x: ((x + big) - big, (x * 3.0) / 3.0, x + (big - big)))
    values = [0.25, 1.0 / 3.0]
    return [[[round(v, 3) for v in t.get(y)] for y in f(np.array(values, dtype=np.float32))] for _ in range(TIMES)]


@footgun("kept", "mxnet#17914, mxnet#12100")
def fused_broadcast(t: Toolkit) -> Any:
    """A chain of element-wise operations on shapes that broadcast."""
    np = t.np
    f = t.jit(lambda x, y, z: np.sqrt(np.exp(x + y) * x + z) - x * (y + z))
    x, y = np.array([[1.0], [2.0]]), np.array([[0.5, 0.25, 0.125]])
    return [t.get(f(x, y, np.array([1.0 + k]))) for k in range(TIMES)]


@footgun("kept", "mxnet#18966")
def other_shape_after_compiling(t: Toolkit) -> Any:
    """The same function on other shapes, larger, smaller and empty."""
    np = t.np
    f = t.jit(lambda x: np.sum(x * 2 + 1))
    return [t.get(f(np.ones((n,)))) for n in (3, 1, 5, 0, 3, 2)]


@footgun("kept", "tensorflow#38561")
def length_in_arithmetic(t: Toolkit) -> Any:
    """The length of an argument is a number of the formula."""
    np = t.np
    f = t.jit(lambda x: np.sum(x * x) / len(x) + x.shape[0])
    return [t.get(f(np.ones((n,)) * 2)) for n in (3, 4, 8, 3)]


@footgun("kept", "mxnet#18966")
def other_dtype_after_compiling(t: Toolkit) -> Any:
    """The same function on other dtypes of one shape."""
    np = t.np
    f = t.jit(lambda x: x * 2 + 1)
    dtypes = (np.float32, np.int32, np.float32, np.int32)
    return [
        [t.get(f(np.array([1, 2], dtype=d))), dtype_name(f(np.array([1, 2], dtype=d))) == dtype_name(np.array([1], dtype=d))]
        for d in dtypes
    ]


@footgun("kept")
def size_one_after_larger(t: Toolkit) -> Any:
    """Size 1 broadcasts; a trace made for size 3 does not know."""
    np = t.np
    f = t.jit(lambda x, y: x * 2 + y)
    return [t.get(f(np.ones((n,)), np.ones((3,)))) for n in (3, 1, 3, 1)]


@footgun("kept")
def comparison_chain(t: Toolkit) -> Any:
    """Boolean arrays in sums and products."""
    np = t.np
    f = t.jit(lambda x: (np.sum(x > 1), (x > 1) * 2, np.mean((x > 1) * 1.0)))
    return [[t.get(y) for y in f(np.array([1.0, 2.0, 3.0 - k]))] for k in range(TIMES)]
