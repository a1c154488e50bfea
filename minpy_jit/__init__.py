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
from . import primitive as _primitive_module  # noqa: E402
from . import trace as _trace_package  # noqa: E402
from ._version import __version__  # noqa: E402
from .autograd import (  # noqa: E402
    Primitive,
    check_grads,
    checkpoint,
    custom_vjp,
    customop,
    defvjp,
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
from .policy import (  # noqa: E402
    AutoBlacklistPolicy,
    OnlyMXNetPolicy,
    OnlyNumPyPolicy,
    PolicyError,
    PreferMXNetPolicy,
    get_global_policy,
    set_global_policy,
    wrap_policy,
)
from .symbols import Function, export  # noqa: E402
from .trace.context import Context, cpu, current_context, gpu, num_gpus, set_context  # noqa: E402

# both are modules, and decorators as well
trace: Any = _trace_package
primitive: Any = _primitive_module

__all__ = [
    "AutoBlacklistPolicy",
    "Context",
    "Function",
    "OnlyMXNetPolicy",
    "OnlyNumPyPolicy",
    "PolicyError",
    "PreferMXNetPolicy",
    "Primitive",
    "__version__",
    "check_grads",
    "checkpoint",
    "clear_caches",
    "config",
    "cpu",
    "current_context",
    "custom_vjp",
    "customop",
    "default_dtype",
    "defvjp",
    "elementwise_grad",
    "explain",
    "export",
    "flush",
    "flush_log",
    "get_global_policy",
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
    "primitive",
    "reset_stats",
    "set_context",
    "set_default_dtype",
    "set_global_policy",
    "stats",
    "stop_gradient",
    "trace",
    "value_and_grad",
    "vjp",
    "wait",
    "why",
    "wrap_policy",
]
