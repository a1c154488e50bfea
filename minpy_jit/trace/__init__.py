"""What the program is: types, the op table, steps, graphs, the recorder. Imports no mxnet and evaluates nothing.

The package is also the decorator that users write: `@minpy_jit.trace`, `with minpy_jit.trace():` (see region.py).
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from . import compiled as compiled  # first: all others rest on what it checks
from .region import Region
from .region import trace as _trace

__all__ = ["Region"]


class _CallableModule(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _trace(*args, **kwargs)


_CallableModule.__call__.__doc__ = _trace.__doc__
sys.modules[__name__].__class__ = _CallableModule
