"""A contestant that is MXNet's: it is imported before us, so that we choose neither its engine nor its threads nor its BLAS.

Run as a script (`python plain_mxnet.py HOW [--quick]`): as a module of this package, we would be first.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy

numpy.bool = numpy.bool_  # type: ignore[attr-defined] # mxnet 1.9.1 asks for it, NumPy 1.24 removed it
import mxnet  # noqa: E402, F401

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    runpy.run_module("benchmarks.workloads.contestant", run_name="__main__", alter_sys=True)
