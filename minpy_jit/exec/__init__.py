"""Running: the only package that imports mxnet. `install()` tells the recorder who executes."""

from __future__ import annotations

from ..trace.recorder import set_executor
from . import eager, run


def install() -> None:
    """Register the executors with the recorder (idempotent)."""
    set_executor(run.execute, {"eager": eager.compute, "numpy": run.compute_numpy}, run.compiled)
