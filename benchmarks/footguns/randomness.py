"""Random numbers inside a traced function: fresh at every call, one stream, in program order, reproducible by the seed."""

from __future__ import annotations

import itertools
import random
from typing import Any

from . import TIMES, Toolkit, footgun


@footgun("kept", "jax#4312, mlx#4234")
def fresh_random_numbers(t: Toolkit) -> Any:
    """Random numbers are drawn anew at every call."""
    np = t.np
    f = t.jit(lambda x: x + np.random.rand(4))
    np.random.seed(0)
    draws = [tuple(t.get(f(np.zeros(4)))) for _ in range(TIMES)]
    return len(set(draws))


@footgun("kept", "mlx#3828")
def seed_repeats_the_stream(t: Toolkit) -> Any:
    """The same seed gives the same numbers again, another seed others."""
    np = t.np
    f = t.jit(lambda x: x + np.random.rand(4))
    runs = []
    for seed in (0, 0, 1):
        np.random.seed(seed)
        runs.append([t.get(f(np.zeros(4))) for _ in range(3)])
    return runs[0] == runs[1], runs[0] == runs[2]


@footgun("kept", "jax#4312")
def two_draws_are_not_one(t: Toolkit) -> Any:
    """Two equal draws in one call are no common subexpression."""
    np = t.np
    f = t.jit(lambda x: (np.random.rand(4) + x) - (np.random.rand(4) + x))
    np.random.seed(0)
    return [any(v != 0 for v in t.get(f(np.zeros(4)))) for _ in range(TIMES)]


@footgun("kept", "jax#4312")
def draws_in_a_loop(t: Toolkit) -> Any:
    """A loop in the traced function draws something else in every turn."""
    np = t.np

    def f(x: Any) -> Any:
        return [x + np.random.rand(2) for _ in range(3)]

    g = t.jit(f)
    np.random.seed(0)
    return [len({tuple(t.get(y)) for y in g(np.zeros(2))}) for _ in range(TIMES)]


@footgun("kept", "MLX documentation, compile")
def traced_numbers_are_the_untraced_ones(t: Toolkit) -> Any:
    """Under one seed the traced function draws what the untraced one does."""
    np = t.np

    def f(x: Any) -> Any:
        return x + np.random.rand(4)

    g = t.jit(f)
    np.random.seed(3)
    plainly = [t.get(f(np.zeros(4))) for _ in range(3)]
    np.random.seed(3)
    return [t.get(g(np.zeros(4))) for _ in range(3)] == plainly


@footgun("kept", "mlx#3828")
def draw_that_nobody_uses(t: Toolkit) -> Any:
    """A draw whose result is dropped still moves the stream on."""
    np = t.np

    def f(x: Any) -> Any:
        np.random.rand(4)
        return x + np.random.rand(4)

    g = t.jit(f)
    np.random.seed(3)
    plainly = [t.get(f(np.zeros(4))) for _ in range(3)]
    np.random.seed(3)
    return [t.get(g(np.zeros(4))) for _ in range(3)] == plainly


@footgun("kept")
def draws_between_traced_calls(t: Toolkit) -> Any:
    """Draws inside and outside of the function come from one stream, in program order."""
    np = t.np

    def f(x: Any) -> Any:
        return x + np.random.rand(2)

    def run(call: Any) -> Any:
        np.random.seed(5)
        found = []
        for _ in range(3):
            found.append(call(np.zeros(2)))
            found.append(np.random.rand(2) + 0.0)
        # observed in another order than drawn
        return [t.get(y) for y in reversed(found)]

    return run(t.jit(f)) == run(f)


@footgun("broken", "JAX documentation, pure functions")
def pythons_random_module(t: Toolkit) -> Any:
    """Python's own `random` inside the function."""
    f = t.jit(lambda x: x * random.random())
    random.seed(7)
    return [t.get(f(t.np.array([1.0, 2.0]))) for _ in range(TIMES)]


@footgun("broken", "JAX documentation, pure functions")
def clock(t: Toolkit) -> Any:
    """A clock that the function reads."""
    ticks = itertools.count(100)
    clock = ticks.__next__
    f = t.jit(lambda x: x + clock())
    return [t.get(f(t.np.array([1.0, 2.0]))) for _ in range(TIMES)]


@footgun("broken", "JAX documentation, pure functions")
def random_branch(t: Toolkit) -> Any:
    """A coin flip by Python decides the branch."""
    f = t.jit(lambda x: x * 2 if random.random() < 0.5 else x * 10)
    random.seed(1)
    return [t.get(f(t.np.array([1.0, 2.0]))) for _ in range(8)]
