"""MinPy's gradient check; see `minpy_jit.check_grads`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd import check_grads

__all__ = ["quick_grad_check"]


def quick_grad_check(
    fun: Callable[..., Any],
    arg: Any,
    verbose: bool = True,
    eps: float = 1e-6,
    rtol: float = 1e-4,
    atol: float = 1e-4,
    rs: Any = None,
) -> bool:
    """Compare the gradient of `fun` at `arg` with a central difference along one direction, in float64.

    Args:
        verbose: print that it fits.
        eps: the step; rtol, atol: the allowed difference.
        rs: ignored: the direction is the same in every run.

    Returns:
        True.

    Raises:
        AssertionError: they differ (MinPy returned False, which programs overlooked).
    """
    check_grads(fun, order=1, eps=eps, rtol=rtol, atol=atol)(arg)
    if verbose:
        print(f"[quick_grad_check] the gradient of {getattr(fun, '__name__', 'the function')} fits")
    return True
