"""A user's own operations, under MinPy's module name; the module is also HIPS autograd's decorator: `@minpy_jit.primitive`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from .autograd.primitive import Primitive, customop, defvjp
from .autograd.primitive import primitive as _primitive
from .errors import NoGradientError

# MinPy's name
NoGradientFuncError = NoGradientError

__all__ = ["NoGradientFuncError", "Primitive", "customop", "defvjp"]


class _CallableModule(ModuleType):
    def __call__(self, func: Callable[..., Any]) -> Primitive:
        return _primitive(func)


_CallableModule.__call__.__doc__ = _primitive.__doc__
sys.modules[__name__].__class__ = _CallableModule
