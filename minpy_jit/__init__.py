"""minpy_jit: NumPy code, recorded as it runs, batched into MXNet graphs, run when a value is observed; `grad` differentiates whatever ran.

>>> import minpy_jit.numpy as np
>>> x = np.arange(3.0)
>>> print(np.sum(x * 2 + 1))
9.0
"""

from __future__ import annotations

from typing import Any

from ._requirements import check as _check_requirements

_check_requirements()

from . import (  # noqa: E402 - nothing may load before the requirements are known to hold
    nn,
    numpy,
    ops,
)
from . import trace as _trace_package  # noqa: E402
from ._version import __version__  # noqa: E402
from .autograd import (  # noqa: E402
    check_grads,
    checkpoint,
    custom_vjp,
    elementwise_grad,
    grad,
    grad_and_loss,
    hessian,
    hvp,
    jacobian,
    jvp,
    stop_gradient,
    value_and_grad,
    vjp,
)
from .config import config  # noqa: E402
from .control import clear_caches, explain, flush, flush_log, info, mode, reset_stats, stats, wait, why  # noqa: E402
from .numpy.convert import default_dtype, set_default_dtype  # noqa: E402
from .trace.context import Context, cpu, current_context, gpu, num_gpus, set_context  # noqa: E402

# the package is also the decorator
trace: Any = _trace_package

__all__ = [
    "Context",
    "__version__",
    "check_grads",
    "checkpoint",
    "clear_caches",
    "config",
    "cpu",
    "current_context",
    "custom_vjp",
    "default_dtype",
    "elementwise_grad",
    "explain",
    "flush",
    "flush_log",
    "gpu",
    "grad",
    "grad_and_loss",
    "hessian",
    "hvp",
    "info",
    "jacobian",
    "jvp",
    "mode",
    "nn",
    "num_gpus",
    "numpy",
    "ops",
    "reset_stats",
    "set_context",
    "set_default_dtype",
    "stats",
    "stop_gradient",
    "trace",
    "value_and_grad",
    "vjp",
    "wait",
    "why",
]
