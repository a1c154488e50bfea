"""Traced functions inside traced functions, recursion, callbacks, threads, methods of every kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..threads import run_threads
from . import TIMES, Toolkit, footgun


@footgun("kept", "tinygrad's footgun list")
def trace_inside_a_trace(t: Toolkit) -> Any:
    """A traced function calls a traced function (also on the second call)."""
    np = t.np
    inner = t.jit(lambda x: x * 2)
    outer = t.jit(lambda x: inner(x) + inner(x + 1))
    return [t.get(f(np.array([1.0, 2.0 + k]))) for k in range(TIMES) for f in (outer, inner)]


@footgun("kept")
def traced_twice(t: Toolkit) -> Any:
    """The decorator on top of the decorator."""
    f = t.jit(t.jit(lambda x: x * 2 + 1))
    return [t.get(f(t.np.array([1.0, 2.0 + k]))) for k in range(TIMES)]


@footgun("kept")
def traced_recursion(t: Toolkit) -> Any:
    """A traced function that calls itself."""

    def power(x: Any, n: int) -> Any:
        return x if n == 0 else x * traced(x, n - 1)

    traced: Callable[..., Any] = t.jit(power, static=("n",))
    return [t.get(traced(t.np.array([1.0, 2.0]), n)) for n in (0, 1, 3, 2, 3)]


@footgun("broken")
def state_of_an_inner_trace(t: Toolkit) -> Any:
    """A number that only the inner traced function reads changes."""
    k = 1.0
    inner = t.jit(lambda x: x * k)
    outer = t.jit(lambda x: inner(x) + 1)
    found = []
    for k in (2.0, 3.0, 4.0):  # noqa: B007 - the closure reads it
        found.append(t.get(outer(t.np.array([1.0, 2.0]))))
    return found


@footgun("kept", "JAX documentation, static arguments")
def function_argument(t: Toolkit) -> Any:
    """A function as an argument, another one at every call."""
    f = t.jit(lambda x, g: g(x) + 1, static=("g",))
    return [t.get(f(t.np.array([1.0, 2.0]), lambda v, k=k: v * k)) for k in (2.0, 3.0, 4.0)]


@footgun("kept")
def function_result(t: Toolkit) -> Any:
    """A function that is made inside, holds an intermediate, and is called outside."""
    np = t.np

    def f(x: Any) -> Any:
        y = x * 2
        return y, y + 1

    g = t.jit(f)
    found = []
    for k in range(TIMES):
        y, z = g(np.array([1.0, 2.0 + k]))

        def later(v: Any, y: Any = y, z: Any = z) -> Any:
            return v + y * z

        found.append(t.get(later(np.array([1.0, 1.0]))))
    return found


@footgun("broken", "JAX documentation, leaked tracers")
def closure_that_leaves(t: Toolkit) -> Any:
    """The function returns nothing but leaves a closure over its intermediate behind."""
    np = t.np
    box: list[Callable[[], Any]] = []

    def f(x: Any) -> Any:
        y = x * 2
        box[:] = [lambda: y + 1]
        return y

    g = t.jit(f)
    found = []
    for k in range(TIMES):
        g(np.array([1.0, 2.0 + k]))
        found.append(t.get(box[0]()))
    return found


@footgun("kept", "mlx#2067")
def called_by_threads(t: Toolkit) -> Any:
    """Threads call one traced function, each with arrays of its own."""
    np = t.np
    f = t.jit(lambda x: x * 2 + 1)
    found: list[Any] = [None] * 4

    def work(k: int) -> None:
        found[k] = [t.get(f(np.array([1.0 * k, 2.0 + i]))) for i in range(5)]

    run_threads(*[partial(work, k) for k in range(4)])
    return found


@footgun("kept", "mlx#2067")
def result_read_by_another_thread(t: Toolkit) -> Any:
    """A pending result is looked at by another thread."""
    np = t.np
    f = t.jit(lambda x: x * 2 + 1)
    found: list[Any] = []
    for k in range(TIMES):
        y = f(np.array([1.0, 2.0 + k]))
        run_threads(lambda y=y: found.append(t.get(y)))
    return found


@footgun("kept", "tensorflow#31175")
def static_and_class_methods(t: Toolkit) -> Any:
    """Static methods, class methods and callable objects."""

    class Model:
        factor = 3.0

        @staticmethod
        def static(x: Any) -> Any:
            return x * 2

        @classmethod
        def of_class(cls, x: Any) -> Any:
            return x * cls.factor

        def __call__(self, x: Any) -> Any:
            return x * 5

    fs = [t.jit(Model.static), t.jit(Model.of_class), t.jit(Model())]
    return [t.get(f(t.np.array([1.0, 2.0 + k]))) for k in range(3) for f in fs]


@footgun("kept")
def composed_with_untraced_code(t: Toolkit) -> Any:
    """Pending work before the call, work on the results after it."""
    np = t.np
    f = t.jit(lambda x: x * 2)
    found = []
    for k in range(TIMES):
        before = np.array([1.0, 2.0]) + k
        after = f(before) + before
        before += 100
        found += [t.get(after), t.get(before)]
    return found


@footgun("refused", "tinygrad#7637")
def observed_or_not(t: Toolkit) -> Any:
    """Looking at an intermediate (as a debugger does) changes nothing."""
    np = t.np

    def f(x: Any, look: bool) -> Any:
        y = x * 2
        if look:
            str(y), repr(y), float(np.sum(y))
        y = y + x
        return y

    g = t.jit(f, static=("look",))
    return [t.get(g(np.array([1.0, 2.0 + k]), k % 2 == 0)) for k in range(TIMES)]
