"""Differentiation: Graph -> Graph pullbacks from the table's vjp rules, and the functions users call."""

from __future__ import annotations

from . import custom
from .api import elementwise_grad, grad, grad_and_loss, hessian, hvp, jacobian, jvp, stop_gradient, value_and_grad, vjp
from .check import check_grads
from .custom import checkpoint, custom_vjp
from .primitive import Primitive, customop, defvjp, primitive

custom.register()

__all__ = [
    "Primitive",
    "check_grads",
    "checkpoint",
    "custom_vjp",
    "customop",
    "defvjp",
    "elementwise_grad",
    "grad",
    "grad_and_loss",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "primitive",
    "stop_gradient",
    "value_and_grad",
    "vjp",
]
