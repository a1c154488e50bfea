"""Gradients of ordinary imperative code. Truth is NumPy with central differences.

Under a gradient a pure function's steps are spliced in and Python runs, so that nothing needs to be refused.
"""

from __future__ import annotations

import types
from typing import Any

from . import TIMES, Toolkit, footgun


@footgun("kept", "dmlc/minpy's documentation")
def gradient_of_a_branch(t: Toolkit) -> Any:
    """`if` on a value: the gradient of the side that was taken."""
    np = t.np
    g = t.grad(t.jit(lambda x: np.sum(x * x) if np.sum(x) > 0 else np.sum(x * 5)))
    return [t.get(g(np.array([k, 1.0]))) for k in (1.0, -3.0, 2.0, -4.0)]


@footgun("kept", "JAX documentation, control flow")
def gradient_of_a_while(t: Toolkit) -> Any:
    """A loop as long as the data say."""
    np = t.np

    def f(x: Any) -> Any:
        while np.sum(x) < 10:
            x = x * 2
        return np.sum(x * x)

    g = t.grad(t.jit(f))
    return [t.get(g(np.array([k, 1.0]))) for k in (0.5, 3.5, 20.0)]


@footgun("kept", "autograd#58, mxnet#10844")
def gradient_through_an_assignment(t: Toolkit) -> Any:
    """`y[0] = x[1]` under the gradient."""
    np = t.np

    def f(x: Any) -> Any:
        y = x * 1
        y[0] = x[1]
        return np.sum(y * y)

    g = t.grad(t.jit(f))
    return [t.get(g(np.array([1.0, 2.0, 3.0 + k]))) for k in range(3)]


@footgun("kept", "autograd#177")
def gradient_through_a_view(t: Toolkit) -> Any:
    """A write through a view of a view, under the gradient."""
    np = t.np

    def f(x: Any) -> Any:
        y = x * 2
        row = y[1]
        row *= x[0]
        return np.sum(y * y)

    g = t.grad(t.jit(f))
    return [t.get(g(np.array([[1.0, 2.0], [0.5, 1.0 + k]]))) for k in range(3)]


@footgun("kept", "mxnet#10844")
def gradient_of_a_written_argument(t: Toolkit) -> Any:
    """The function writes to its argument."""
    np = t.np

    def f(x: Any) -> Any:
        x *= 3
        return np.sum(x * x)

    g = t.grad(t.jit(f))
    return [t.get(g(np.array([1.0, 2.0 + k]))) for k in range(3)]


@footgun("kept", "minpy#165")
def second_derivative(t: Toolkit) -> Any:
    """The gradient of a gradient is not 0."""
    np = t.np

    def f(x: Any) -> Any:
        return np.sum(x * x * x)

    inner = t.grad(t.jit(f))
    outer = t.grad(lambda x: np.sum(inner(x) * x))
    return [t.get(outer(np.array([1.0, 2.0 + k]))) for k in range(3)]


@footgun("kept", "PyTorch documentation, autograd")
def argument_that_does_not_matter(t: Toolkit) -> Any:
    """An argument on which the result does not depend has zeros."""
    np = t.np
    g = t.grad(t.jit(lambda x, y: np.sum(y * y)))
    return [t.get(g(np.array([1.0, 2.0]), np.array([3.0 + k]))) for k in range(3)]


@footgun("kept")
def argument_captured_too(t: Toolkit) -> Any:
    """The array is the argument and is captured: the captured one is a constant."""
    np = t.np
    y = np.array([2.0, 3.0])
    g = t.grad(t.jit(lambda x: np.sum(x * y)))
    return [t.get(g(y)) for _ in range(3)]


@footgun("kept", "PyTorch documentation, autograd")
def gradients_do_not_add_up(t: Toolkit) -> Any:
    """Two calls give the gradient twice, not its sum."""
    np = t.np
    g = t.grad(t.jit(lambda x: np.sum(x * x)))
    x = np.array([1.0, 2.0])
    return [t.get(g(x)) for _ in range(TIMES)]


@footgun("kept", "dmlc/minpy's documentation")
def looking_in_the_middle(t: Toolkit) -> Any:
    """A value is looked at between two operations."""
    np = t.np

    def f(x: Any) -> Any:
        y = x * x
        float(np.sum(y))
        return np.sum(y * x)

    g = t.grad(t.jit(f))
    return [t.get(g(np.array([1.0, 2.0 + k]))) for k in range(3)]


@footgun("kept")
def gradient_of_an_index_given_twice(t: Toolkit) -> Any:
    """An element picked twice counts twice."""
    np = t.np
    g = t.grad(t.jit(lambda x, i, weights: np.sum(x[i] * weights)))
    i, weights = np.array([0, 0, 1]), np.array([1.0, 10.0, 100.0])
    return [t.get(g(np.array([1.0, 2.0 + k]), i, weights)) for k in range(3)]


@footgun("kept", "JAX documentation, sharp bits")
def gradient_through_a_mask(t: Toolkit) -> Any:
    """`x[x > 0]` under the gradient."""
    np = t.np

    def f(x: Any) -> Any:
        y = x[x > 0]
        return np.sum(y * y)

    g = t.grad(t.jit(f))
    return [t.get(g(np.array([1.0, -2.0 + 3 * k, 3.0]))) for k in range(3)]


@footgun("kept")
def gradient_through_joining(t: Toolkit) -> Any:
    """Concatenation and stacking of lists and tuples."""
    np = t.np

    def f(x: Any, weights: Any) -> Any:
        return np.sum(np.concatenate((x, x * x)) * weights) + np.sum(np.stack([x, x * 3]))

    g = t.grad(t.jit(f))
    return [t.get(g(np.array([1.0, 2.0 + k]), np.array([1.0, 2.0, 3.0, 4.0]))) for k in range(3)]


@footgun("kept", "dmlc/minpy's documentation, limitations")
def one_block_used_many_times(t: Toolkit) -> Any:
    """A traced function applied several times before the gradient is taken."""
    np = t.np
    block = t.jit(lambda x, w: x * w + x)
    g = t.grad(lambda x, w: np.sum(block(block(block(x, w), x), x)))
    return [t.get(g(np.array([1.0, 0.5 + k]), np.array([2.0, 3.0]))) for k in range(3)]


@footgun("kept")
def gradient_of_the_traced_and_trace_of_the_gradient(t: Toolkit) -> Any:
    """Both orders of the decorators."""
    np = t.np

    def f(x: Any) -> Any:
        return np.sum(np.sin(x) * x)

    one, other = t.grad(t.jit(f)), t.jit(t.grad(f))
    return [t.get(g(np.array([1.0, 0.5 + k]))) for k in range(3) for g in (one, other)]


@footgun("kept", "pytorch#115774")
def gradient_after_an_update(t: Toolkit) -> Any:
    """A training loop: gradients follow the parameters, the schedule and the data."""
    np = t.np
    model = types.SimpleNamespace(rate=0.1)

    def loss(w: Any, x: Any) -> Any:
        e = x * w - 1.0
        return np.sum(e * e)

    g = t.grad(t.jit(loss))
    w = np.array([1.0, 2.0])
    found = []
    for k in range(6):
        w = w - model.rate * g(w, np.array([1.0, 0.5 * k]))
        model.rate *= 0.9
        found.append(t.get(w))
    return found


@footgun("kept", "MLX documentation, compile")
def gradient_with_captured_number(t: Toolkit) -> Any:
    """A captured number changes between gradients."""
    np = t.np
    k = 1.0
    g = t.grad(t.jit(lambda x: np.sum(x * x * k)))
    found = []
    for k in (1.0, 2.0, 3.0):  # noqa: B007 - the closure reads it
        found.append(t.get(g(np.array([1.0, 2.0]))))
    return found


@footgun("kept")
def gradient_of_a_scalar_accumulator(t: Toolkit) -> Any:
    """A sum built up by `total += ...` in a Python loop."""
    np = t.np

    def f(x: Any) -> Any:
        total = np.sum(x * 0)
        for k in range(3):
            total += np.sum(x**k) * (k + 1)
        return total

    g = t.grad(t.jit(f))
    return [t.get(g(np.array([1.0, 2.0 + k]))) for k in range(3)]


@footgun("kept")
def gradient_of_a_table(t: Toolkit) -> Any:
    """Dynamic programming: a table filled element by element, each from the ones before."""
    np = t.np

    def f(x: Any) -> Any:
        table = np.zeros((4,)) + x[0] * 0
        table[0] = x[0]
        for k in range(1, 4):
            table[k] = table[k - 1] * x[1] + x[2]
        return table[3]

    g = t.grad(t.jit(f))
    return [t.get(g(np.array([1.0, 2.0 + k, 3.0]))) for k in range(3)]
