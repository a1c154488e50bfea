"""Differentiation: Graph -> Graph pullbacks from the table's vjp rules, and the functions users call."""

from __future__ import annotations

from . import custom
from .api import elementwise_grad, grad, grad_and_loss, hessian, hvp, jacobian, jvp, stop_gradient, value_and_grad, vjp
from .check import check_grads
from .custom import checkpoint, custom_vjp

custom.register()

__all__ = [
    "check_grads",
    "checkpoint",
    "custom_vjp",
    "elementwise_grad",
    "grad",
    "grad_and_loss",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "stop_gradient",
    "value_and_grad",
    "vjp",
]
