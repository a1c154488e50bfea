"""Contexts under MinPy's name: `from minpy_jit.context import cpu, gpu, set_context`."""

from __future__ import annotations

from .trace.context import Context, cpu, current_context, gpu, num_gpus, set_context

__all__ = ["Context", "cpu", "current_context", "gpu", "num_gpus", "set_context"]
