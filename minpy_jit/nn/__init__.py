"""`minpy_jit.nn`: a small deep-learning kit in NumPy code, on the public interface alone. A user could have written every line of it.

| module | what it holds |
|---|---|
| `layers` | affine, batchnorm, convolution, lstm_temporal, softmax_loss …: functions of arrays |
| `init`, `optim` | rules that make parameters, and rules that update them; schedules, clipping |
| `model` | `ModelBase`: named parameters, `forward` and `loss` |
| `model_builder`, `modules` | models put together from layers that make their own parameters |
| `io` | iterators over batches |
| `solver` | `Solver`: the training loop, with checkpoints |

The modules are imported when they are asked for: `from minpy_jit.nn import layers`, or `minpy_jit.nn.layers` after `import minpy_jit`.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["init", "io", "layers", "model", "model_builder", "modules", "optim", "solver"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
