"""`check_grads`: analytic gradients against central differences in float64, in random directions, to any order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..numpy.convert import host
from ..trace.handle import Handle
from ..trace.pytree import flatten
from ..trace.recorder import observe
from .api import jvp, vjp

# central differences: error ~ EPS**2 * f''' plus rounding ~ 1e-16 / EPS
EPS = 1e-6
RTOL = ATOL = 1e-6


def _values(tree: Any) -> list[np.ndarray]:
    return [observe(leaf, "check_grads") if isinstance(leaf, Handle) else np.asarray(leaf) for leaf in flatten(tree)[0]]


def _inner(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> float:
    return float(sum(np.sum(x * y) for x, y in zip(a, b, strict=True)))


def check_grads(
    f: Callable[..., Any], order: int = 2, modes: Sequence[str] = ("rev",), eps: float = EPS, rtol: float = 1e-5, atol: float = 1e-5
) -> Callable[..., None]:
    """A function that checks the gradients of `f` at its arguments.

    Args:
        f: a function of float arrays (containers too) to float arrays.
        order: 1 checks the gradient, 2 also the gradient of the gradient, and so on.
        modes: "rev" (pullback) and / or "fwd" (jvp).
        eps: step of the central difference; rtol, atol: allowed difference.

    Returns:
        `check(*args)`; arguments are taken in float64.

    Raises:
        AssertionError: analytic and numeric values differ; shows both.
        ValueError: an unknown mode, or an order below one.
    """
    if order < 1:
        raise ValueError(f"[check_grads] order {order} is not positive")
    unknown = set(modes) - {"rev", "fwd"}
    if unknown or not modes:
        raise ValueError(f"[check_grads] modes {tuple(modes)!r}; legal modes: 'rev', 'fwd'")

    def check(*args: Any) -> None:
        inputs, structure = flatten(args)
        points = [np.asarray(v, np.float64) for v in _values(inputs)]
        _check(f, structure, points, order, modes, eps, rtol, atol, np.random.default_rng(0))

    return check


def _check(
    f: Callable[..., Any],
    structure: Any,
    points: list[np.ndarray],
    order: int,
    modes: Sequence[str],
    eps: float,
    rtol: float,
    atol: float,
    rng: np.random.Generator,
) -> None:
    def at(values: Sequence[np.ndarray]) -> Any:
        return f(*structure.build([host(np.array(v)) for v in values]))

    directions = [rng.standard_normal(p.shape) for p in points]
    plus = _values(at([p + eps / 2 * d for p, d in zip(points, directions, strict=True)]))
    minus = _values(at([p - eps / 2 * d for p, d in zip(points, directions, strict=True)]))
    numeric = [(p - m) / eps for p, m in zip(plus, minus, strict=True)]
    args = structure.build([host(p.copy()) for p in points])
    weights = [rng.standard_normal(np.shape(n)) for n in numeric]
    expected = _inner(numeric, weights)
    if "rev" in modes:
        value, pullback = vjp(f, *args)
        shape = flatten(value)[1]
        found = _values(pullback(shape.build([host(w) for w in weights])))
        _compare("reverse", _inner(found, directions), expected, rtol, atol)
    if "fwd" in modes:
        _, tangent = jvp(f, args, structure.build([host(d) for d in directions]))
        _compare("forward", _inner(_values(tangent), weights), expected, rtol, atol)
    if order > 1:

        def gradient(*inner: Any) -> Any:
            value, pullback = vjp(f, *inner)
            shape = flatten(value)[1]
            return pullback(shape.build([host(w) for w in weights]))

        _check(gradient, structure, points, order - 1, modes, eps, rtol, atol, rng)


def _compare(name: str, analytic: float, numeric: float, rtol: float, atol: float) -> None:
    if not abs(analytic - numeric) <= atol + rtol * max(abs(analytic), abs(numeric)):
        raise AssertionError(
            f"[check_grads] {name}-mode derivative differs: analytic {analytic:.10g}, numeric {numeric:.10g} "
            f"(difference {analytic - numeric:.3g})"
        )
