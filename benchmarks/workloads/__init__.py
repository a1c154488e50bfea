"""The benchmark table: workloads as the users of NumPy, MXNet and minpy_jit write them; `python -m benchmarks.workloads` runs it.

workload.py says what a workload is, the files named like families hold them, contestant.py runs one way of running them in a process of its
own, and __main__.py makes the table.
"""

from __future__ import annotations

from . import black_scholes, conv_net, grey_image, jacobi, k_means, mlp, newton, products, recurrent, rows, tanh_chain
from .workload import Workload

__all__ = ["WORKLOADS", "Workload"]

FAMILIES = (black_scholes, tanh_chain, mlp, recurrent, conv_net, rows, k_means, jacobi, products, newton, grey_image)
WORKLOADS: dict[str, Workload] = {w.name: w for family in FAMILIES for w in family.WORKLOADS}
