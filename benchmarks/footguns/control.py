"""Branches, loops, early returns, exceptions, types and shapes: Python decides, at every call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from . import TIMES, Toolkit, footgun


@footgun("refused", "tinygrad's footgun list; JAX documentation, control flow")
def branch_on_a_value(t: Toolkit) -> Any:
    """`if` on a computed value takes the side of the first call."""
    np = t.np
    f = t.jit(lambda x: x * 2 if np.sum(x) > 0 else x * 10)
    return [t.get(f(np.array([k, 1.0]))) for k in (1.0, -3.0, 2.0, -4.0)]


@footgun("refused", "MLX documentation, compile")
def while_on_a_value(t: Toolkit) -> Any:
    """A `while` that runs as often as the data say."""
    np = t.np

    def f(x: Any) -> Any:
        while np.sum(x) < 100:
            x = x * 2
        return x

    g = t.jit(f)
    return [t.get(g(np.array([k, 1.0]))) for k in (1.0, 30.0, 200.0, 3.0)]


@footgun("refused", "TensorFlow documentation, AutoGraph")
def early_return(t: Toolkit) -> Any:
    """A `return` in the middle, depending on the data."""
    np = t.np

    def f(x: Any) -> Any:
        if bool(np.max(x) > 10):
            return x * 0
        y = x + 1
        for _ in range(3):
            if bool(np.sum(y) > 20):
                return y
            y = y * 2
        return y - 100

    g = t.jit(f)
    return [t.get(g(np.array([k, 1.0]))) for k in (1.0, 30.0, 5.0, 0.0)]


@footgun("refused", "TensorFlow documentation, AutoGraph")
def break_and_else(t: Toolkit) -> Any:
    """`break`, `continue` and a loop's `else`."""
    np = t.np

    def f(x: Any) -> Any:
        total = x * 0
        for k in range(5):
            if float(x[0]) == k:
                continue
            if float(x[1]) == k:
                break
            total = total + k
        else:
            total = total - 1
        return total

    g = t.jit(f)
    return [t.get(g(np.array([a, b]))) for a, b in ((1.0, 3.0), (0.0, 9.0), (2.0, 4.0))]


@footgun("refused", "JAX documentation, control flow")
def and_or_not(t: Toolkit) -> Any:
    """`and`, `or`, `not` and chained comparisons of values."""
    np = t.np

    def f(x: Any) -> Any:
        s = np.sum(x)
        if 0 < s < 10 and not s == 5:  # noqa: SIM201 - `not` is what is tried
            return x * 2
        return x * 3 if s > 100 or s < -100 else x * 4

    g = t.jit(f)
    return [t.get(g(np.array([k, 1.0]))) for k in (1.0, 4.0, 200.0, -200.0, 50.0)]


@footgun("refused")
def builtin_max(t: Toolkit) -> Any:
    """Python's `max`, `min` and `sorted` on computed numbers."""
    np = t.np

    def f(x: Any, y: Any) -> Any:
        a, b = np.sum(x), np.sum(y)
        first = sorted([a, b])[0]
        return max(a, b) * 10 + min(a, b) + first * 0

    g = t.jit(f)
    pairs = ((1.0, 5.0), (7.0, 2.0), (3.0, 3.0))
    return [t.get(g(np.array([a]), np.array([b]))) for a, b in pairs]


@footgun("refused", "TensorFlow documentation, AutoGraph")
def assert_on_a_value(t: Toolkit) -> Any:
    """An `assert` on a value holds once, and fails later."""
    np = t.np

    def f(x: Any) -> Any:
        assert bool(np.min(x) > 0), "must be positive"
        return x * 2

    g = t.jit(f)
    found: list[Any] = []
    for k in (1.0, 2.0, -1.0, 3.0):
        try:
            found.append(t.get(g(np.array([k, 1.0]))))
        except AssertionError as error:
            found.append(str(error).splitlines()[0])
    return found


@footgun("refused", "JAX documentation, control flow")
def raise_on_a_value(t: Toolkit) -> Any:
    """An exception that the data decide, caught by the caller."""
    np = t.np

    def f(x: Any) -> Any:
        y = x * 2
        if float(np.min(y)) < 0:
            raise KeyError("negative")
        return y

    g = t.jit(f)
    found: list[Any] = []
    for k in (1.0, -1.0, 2.0, -2.0):
        try:
            found.append(t.get(g(np.array([k, 1.0]))))
        except KeyError:
            found.append("KeyError")
    return found


@footgun("broken", "jax#3086")
def exception_in_the_middle(t: Toolkit) -> Any:
    """An exception after half of the steps leaves nothing behind, and the next call works."""
    np = t.np
    fail = [False]

    def f(x: Any) -> Any:
        y = x * 2
        if fail[0]:
            raise ValueError("halfway")
        return y + 1

    g = t.jit(f)
    found: list[Any] = []
    for failing in (False, True, False, True, False):
        fail[0] = failing
        try:
            found.append(t.get(g(np.array([1.0, 2.0]))))
        except ValueError:
            found.append("halfway")
    return found, t.get(np.array([1.0]) + 1)


@footgun("broken")
def try_finally(t: Toolkit) -> Any:
    """`try`, `except`, `else` and `finally` all happen."""
    np = t.np
    log: list[str] = []

    def f(x: Any, k: int) -> Any:
        try:
            y = x * (10 // k)
        except ZeroDivisionError:
            log.append("except")
            return x * 0
        else:
            log.append("else")
        finally:
            log.append("finally")
        return y

    g = t.jit(f, static=("k",))
    values = [t.get(g(np.array([1.0, 2.0]), k)) for k in (5, 0, 5, 0)]
    return values, log


@footgun("refused", "JAX documentation, control flow")
def recursion_on_a_value(t: Toolkit) -> Any:
    """Recursion as deep as the data say."""
    np = t.np

    def halve(x: Any) -> Any:
        return x if float(np.max(x)) < 1 else halve(x / 2)

    f = t.jit(lambda x: halve(x) + 1)
    return [t.get(f(np.array([k, 1.0]))) for k in (1.0, 100.0, 0.5, 9.0)]


@footgun("kept", "JAX documentation, static arguments")
def type_of_an_argument(t: Toolkit) -> Any:
    """`isinstance` on an argument that is a bool, an int, a float or a string in turn."""

    def f(x: Any, k: Any) -> Any:
        if isinstance(k, str):
            return x * len(k)
        if isinstance(k, bool):
            return x + 100 if k else x
        if isinstance(k, int):
            return x * k
        return x / k

    g = t.jit(f, static=("k",))
    return [t.get(g(t.np.array([1.0, 2.0]), k)) for k in (1, True, 1.0, "abcd", 1, True, 2.0, False, 0)]


@footgun("kept", "JAX documentation, static arguments")
def numbers_that_compare_equal(t: Toolkit) -> Any:
    """1, 1.0 and True are equal and hash alike; what they make of an integer array differs."""
    np = t.np
    f = t.jit(lambda x, k: x / 2 if isinstance(k, float) else x * k * 3, static=("k",))
    return [t.get(f(np.array([2, 4]), k)) for k in (1, 1.0, True, 1.0, 1)]


@footgun("kept", "tensorflow#38561")
def branch_on_shape(t: Toolkit) -> Any:
    """A branch on shape and number of dimensions."""
    np = t.np

    def f(x: Any) -> Any:
        if len(x.shape) == 2:
            return np.sum(x) * 2
        return np.sum(x) if x.shape[0] > 2 else np.sum(x) * 10

    g = t.jit(f)
    arrays = [np.ones((2,)), np.ones((3,)), np.ones((2, 2)), np.ones((2,)), np.ones((4, 3)), np.ones((5,))]
    return [t.get(g(a)) for a in arrays]


@footgun("kept")
def loop_over_rows(t: Toolkit) -> Any:
    """`for row in x` with another number of rows."""
    np = t.np

    def f(x: Any) -> Any:
        total = x[0] * 0
        for k, row in enumerate(x):
            total = total + row * (k + 1)
        return total

    g = t.jit(f)
    return [t.get(g(np.ones((n, 2)))) for n in (2, 3, 2, 5)]


@footgun("kept", "JAX documentation, static arguments")
def branch_on_dtype(t: Toolkit) -> Any:
    """A branch on the dtype of an argument."""
    np = t.np
    f = t.jit(lambda x: x * 10 if x.dtype == np.int32 else x * 2)
    arrays = [np.array([1, 2], dtype=d) for d in (np.int32, np.float32, np.int32, np.float32)]
    return [t.get(f(a)) for a in arrays]


@footgun("kept", "JAX documentation, static arguments")
def optional_argument(t: Toolkit) -> Any:
    """An argument that is an array or None."""
    np = t.np
    f = t.jit(lambda x, mask=None: x if mask is None else x * mask)
    m = np.array([0.0, 1.0])
    return [t.get(f(np.array([1.0, 2.0]), k) if k is not None else f(np.array([1.0, 2.0]))) for k in (None, m, None, m)]


@footgun("kept", "JAX documentation, static arguments")
def number_of_arguments(t: Toolkit) -> Any:
    """`*args` of different length."""
    np = t.np

    def f(*xs: Any) -> Any:
        total = xs[0]
        for x in xs[1:]:
            total = total * 10 + x
        return total

    g = t.jit(f)
    x = np.array([1.0, 2.0])
    return [t.get(g(*[x] * n)) for n in (1, 3, 2, 3)]


@footgun("kept", "JAX documentation, pytrees")
def order_of_keyword_arguments(t: Toolkit) -> Any:
    """`**kwargs` in another order."""
    np = t.np

    def f(**named: Any) -> Any:
        total = np.array([0.0])
        for value in named.values():
            total = total * 10 + value
        return total

    g = t.jit(f)
    one, two = np.array([1.0]), np.array([2.0])
    return [t.get(v) for v in (g(a=one, b=two), g(b=two, a=one), g(b=one, a=two), g(a=one, b=two))]


@footgun("kept", "JAX documentation, pytrees")
def order_of_a_dict_argument(t: Toolkit) -> Any:
    """A dict argument of the same keys in another order."""
    np = t.np

    def f(named: dict[str, Any]) -> Any:
        total = np.array([0.0])
        for value in named.values():
            total = total * 10 + value
        return total

    g = t.jit(f)
    one, two = np.array([1.0]), np.array([2.0])
    return [t.get(g(d)) for d in ({"a": one, "b": two}, {"b": two, "a": one}, {"a": one, "b": two})]


@footgun("kept", "JAX documentation, pytrees")
def order_of_a_dict_result(t: Toolkit) -> Any:
    """The keys of a returned dict in the order in which the function wrote them."""
    f = t.jit(lambda x: {"z": x * 2, "a": x + 1, "m": x})
    found = [f(t.np.array([1.0])) for _ in range(3)]
    return [[*d] for d in found], [[t.get(v) for v in d.values()] for d in found]


@footgun("kept", "JAX documentation, pytrees")
def results_that_are_no_arrays(t: Toolkit) -> Any:
    """None, strings, numbers and nested containers as results."""
    f = t.jit(lambda x, k: (x * k, None, "name", k + 1, [x, {"y": (x + k,)}]), static=("k",))
    found: list[Any] = []
    for k in (2, 3, 2):
        y, nothing, name, number, (x, named) = f(t.np.array([1.0, 2.0]), k)
        found.append(
            [t.get(y), nothing is None, name, number if isinstance(number, int) else t.get(number), t.get(x), t.get(named["y"][0])]
        )
    return found


class Pair(NamedTuple):
    """A container of arrays."""

    first: Any
    second: Any


@footgun("kept", "JAX documentation, pytrees")
def named_tuples(t: Toolkit) -> Any:
    """A named tuple as argument and result."""
    np = t.np
    f = t.jit(lambda p: Pair(p.second, p.first * 2))
    found = []
    pair = Pair(np.array([1.0]), np.array([5.0]))
    for _ in range(TIMES):
        pair = f(pair)
        found.append([type(pair).__name__, t.get(pair.first), t.get(pair.second)])
    return found


@footgun("kept")
def exchanged_arguments(t: Toolkit) -> Any:
    """f(a, b), then f(b, a), then f(a, a)."""
    np = t.np
    f = t.jit(lambda x, y: x * 2 - y)
    a, b = np.array([1.0, 2.0]), np.array([10.0, 20.0])
    return [t.get(f(*pair)) for pair in ((a, b), (b, a), (a, a), (b, b), (a, b))]


@footgun("kept", "pytorch#149405")
def number_or_array(t: Toolkit) -> Any:
    """An argument that is a Python number and an array in turn."""
    np = t.np
    f = t.jit(lambda x, k: x * k + k)
    ks = (2.0, np.array(3.0), 4, np.array([5.0, 6.0]), 2.0, 7.5)
    return [t.get(f(np.array([1.0, 2.0]), k)) for k in ks]


@footgun("kept", "jax#200")
def trip_count_argument(t: Toolkit) -> Any:
    """A Python number that is a loop's trip count."""

    def f(x: Any, n: int) -> Any:
        for _ in range(n):
            x = x * 2
        return x

    g = t.jit(f, static=("n",))
    return [t.get(g(t.np.array([1.0, 2.0]), n)) for n in (1, 3, 0, 5, 3)]


@footgun("refused", "JAX documentation, control flow")
def index_from_a_value(t: Toolkit) -> Any:
    """A computed number indexes a Python list, and is a range's end."""
    np = t.np
    names = [3.0, 5.0, 7.0]

    def f(x: Any) -> Any:
        k = int(np.argmax(x))
        y = x * names[k]
        for _ in range(k):
            y = y + 1
        return y

    g = t.jit(f)
    return [t.get(g(np.array(v))) for v in ([1.0, 2.0, 3.0], [9.0, 2.0, 3.0], [1.0, 5.0, 3.0])]


@footgun("kept")
def generator_inside(t: Toolkit) -> Any:
    """A generator of intermediate arrays, taken from as often as the loop wants."""
    np = t.np

    def powers(x: Any) -> Iterator[Any]:
        y = x
        while True:
            yield y
            y = y * x

    def f(x: Any) -> Any:
        total = x * 0
        for _, term in zip(range(3), powers(x), strict=False):
            total = total + term
        return total

    g = t.jit(f)
    return [t.get(g(np.array([1.0, 2.0 + k]))) for k in range(TIMES)]


@footgun("refused", "jax#3086")
def generator_that_is_traced(t: Toolkit) -> Any:
    """The traced function is a generator: its body runs when the caller asks."""
    np = t.np

    def f(x: Any) -> Iterator[Any]:
        y = x * 2
        yield y
        y = y + 1
        yield y

    g = t.jit(f)
    return [[t.get(y) for y in g(np.array([1.0, 2.0 + k]))] for k in range(3)]


@footgun("kept")
def comprehensions(t: Toolkit) -> Any:
    """Comprehensions, `zip`, `enumerate` and unpacking of arrays."""
    np = t.np

    def f(x: Any) -> Any:
        a, b = x
        rows = [row * k for k, row in enumerate(x, 1)]
        named = {k: p + q for k, (p, q) in enumerate(zip(rows, (a, b), strict=True))}
        return named[0] * 10 + named[1]

    g = t.jit(f)
    return [t.get(g(np.array([[1.0, 2.0], [3.0, 4.0 + k]]))) for k in range(TIMES)]


@footgun("refused")
def membership(t: Toolkit) -> Any:
    """`in` and `==` of computed numbers."""
    np = t.np

    def f(x: Any) -> Any:
        return x * 2 if float(np.sum(x)) in (3.0, 5.0) else x * 7

    g = t.jit(f)
    return [t.get(g(np.array([k, 1.0]))) for k in (2.0, 3.0, 4.0, 2.0)]
