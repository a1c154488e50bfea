"""What a traced function does besides computing: counters, appends, prints, attributes. Python does it at every call."""

from __future__ import annotations

import contextlib
import io
import types
from collections.abc import Iterator
from typing import Any

from . import TIMES, Toolkit, footgun


@footgun("broken", "tinygrad's footgun list")
def counter(t: Toolkit) -> Any:
    """A counter in the function counts calls."""
    calls = 0

    def f(x: Any) -> Any:
        nonlocal calls
        calls += 1
        return x * 2

    g = t.jit(f)
    values = [t.get(g(t.np.array([1.0, 2.0]))) for _ in range(TIMES)]
    return values, calls


TOTAL = 0.0


@footgun("broken", "pytorch#191821")
def global_statement(t: Toolkit) -> Any:
    """The function writes a global."""
    global TOTAL
    TOTAL = 0.0

    def f(x: Any) -> Any:
        global TOTAL
        TOTAL += 1.5
        return x + TOTAL

    g = t.jit(f)
    return [t.get(g(t.np.array([1.0, 2.0]))) for _ in range(TIMES)], TOTAL


@footgun("broken", "pytorch#169253, pytorch#197896")
def list_append(t: Toolkit) -> Any:
    """The function appends to a list."""
    log: list[str] = []

    def f(x: Any) -> Any:
        log.append("called")
        return x * 2

    g = t.jit(f)
    for _ in range(TIMES):
        g(t.np.array([1.0, 2.0]))
    return log


@footgun("broken", "mlx#2900, jax#3086")
def list_append_of_an_array(t: Toolkit) -> Any:
    """The function appends an intermediate array to a list that is read afterwards (a leaked tracer)."""
    kept: list[Any] = []

    def f(x: Any) -> Any:
        y = x * 2
        kept.append(y)
        return y + 1

    g = t.jit(f)
    for k in range(TIMES):
        g(t.np.array([1.0, 2.0 + k]))
    return [t.get(y) for y in kept]


@footgun("broken", "jax#3086")
def attribute_that_becomes_an_array(t: Toolkit) -> Any:
    """The function stores its state in an attribute."""
    state = types.SimpleNamespace(last=None, steps=0)

    def f(x: Any) -> Any:
        state.last = x * 3
        state.steps += 1
        return x + state.steps

    g = t.jit(f)
    found = []
    for k in range(TIMES):
        found.append(t.get(g(t.np.array([1.0, 2.0 + k]))))
        found.append([t.get(state.last), state.steps])
    return found


@footgun("kept", "MLX documentation, compile")
def running_statistics(t: Toolkit) -> Any:
    """State in a captured array is written at every call, as batch normalisation's."""
    np = t.np
    mean = np.array([0.0, 0.0])

    def f(x: Any) -> Any:
        mean[:] = mean * 0.5 + x
        return x - mean

    g = t.jit(f)
    return [t.get(g(np.array([1.0, 2.0 * k]))) for k in range(TIMES)], t.get(mean)


@footgun("broken", "JAX documentation, print")
def printing(t: Toolkit) -> Any:
    """A print of something that Python knows."""

    def f(x: Any) -> Any:
        print("shape", tuple(x.shape))
        return x * 2

    g = t.jit(f)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        for _ in range(TIMES):
            t.get(g(t.np.array([1.0, 2.0])))
    return out.getvalue()


@footgun("refused", "MLX documentation, compile")
def printing_a_value(t: Toolkit) -> Any:
    """A print of a computed value."""
    np = t.np

    def f(x: Any) -> Any:
        y = x * 2
        print(f"{float(np.sum(y)):.2f}")
        return y + 1

    g = t.jit(f)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        values = [t.get(g(np.array([1.0, 2.0 + k]))) for k in range(TIMES)]
    return values, out.getvalue()


@footgun("refused", "tinygrad#14039")
def item_in_the_middle(t: Toolkit) -> Any:
    """A number is taken out, and goes back in as a Python number."""
    np = t.np

    def f(x: Any) -> Any:
        largest = float(np.max(x))
        return x / largest

    g = t.jit(f)
    return [t.get(g(np.array([1.0, 2.0 + k]))) for k in range(TIMES)]


@footgun("broken", "JAX documentation, pure functions")
def argument_list_append(t: Toolkit) -> Any:
    """The function appends to a list that it was given."""

    def f(x: Any, log: list[Any]) -> Any:
        log.append(x * 2)
        return x + 1

    g = t.jit(f)
    log: list[Any] = []
    for k in range(TIMES):
        g(t.np.array([1.0, 2.0 + k]), log)
    return [t.get(y) for y in log]


@footgun("broken", "JAX documentation, pure functions")
def argument_dict_write(t: Toolkit) -> Any:
    """The function writes to a dict that it was given."""

    def f(x: Any, cache: dict[str, Any]) -> Any:
        cache["y"] = x * 2
        return x + 1

    g = t.jit(f)
    found = []
    for k in range(TIMES):
        cache: dict[str, Any] = {}
        g(t.np.array([1.0, 2.0 + k]), cache)
        found.append([t.get(y) for y in cache.values()])
    return found


@footgun("broken", "JAX documentation, pure functions")
def argument_list_pop(t: Toolkit) -> Any:
    """The function takes from a list that it was given."""

    def f(x: Any, todo: list[Any]) -> Any:
        return x * todo.pop()

    g = t.jit(f)
    todo = [2.0, 3.0, 4.0]
    found = [t.get(g(t.np.array([1.0, 2.0]), todo)) for _ in range(3)]
    return found, todo


@footgun("broken", "JAX documentation, pure functions")
def memoised_result(t: Toolkit) -> Any:
    """The function keeps a cache of its own in a dict."""
    cache: dict[str, Any] = {}

    def f(x: Any) -> Any:
        if "y" not in cache:
            cache["y"] = x * 2
        return cache["y"] + x

    g = t.jit(f)
    return [t.get(g(t.np.array([1.0, 2.0 + k]))) for k in range(TIMES)]


@footgun("broken", "MLX documentation, compile")
def step_count_of_an_optimiser(t: Toolkit) -> Any:
    """Adam's step count is a Python attribute that the step itself raises."""
    np = t.np

    class Adam:
        def __init__(self) -> None:
            self.t = 0

        def step(self, m: Any, g: Any) -> Any:
            self.t += 1
            return (0.9 * m + 0.1 * g) / (1 - 0.9**self.t)

    adam = Adam()
    step = t.jit(adam.step)
    return [t.get(step(np.array([1.0, 2.0]), np.array([0.5, 0.25]))) for _ in range(TIMES)], adam.t


@footgun("broken")
def context_manager_inside(t: Toolkit) -> Any:
    """A `with` block of the user's own is entered and left."""
    log: list[str] = []

    @contextlib.contextmanager
    def scope() -> Iterator[None]:
        log.append("enter")
        try:
            yield
        finally:
            log.append("leave")

    def f(x: Any) -> Any:
        with scope():
            return x * 2

    g = t.jit(f)
    values = [t.get(g(t.np.array([1.0, 2.0]))) for _ in range(3)]
    return values, log


@footgun("broken", "pytorch#197896")
def order_of_effects(t: Toolkit) -> Any:
    """Effects before and after an observed value keep their order."""
    np = t.np
    log: list[Any] = []

    def f(x: Any) -> Any:
        log.append("before")
        y = x * 2
        log.append(y)
        y = y + 1
        log.append("after")
        return y

    g = t.jit(f)
    for _ in range(3):
        g(np.array([1.0, 2.0]))
    return [entry if isinstance(entry, str) else t.get(entry) for entry in log]
