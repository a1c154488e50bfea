"""One way of running the workloads, in a process of its own: `python -m benchmarks.workloads.contestant HOW [--quick]`.

(Of MXNet's ways plain_mxnet.py is the script.)

Each line of input is answered by one line. `setup NAME` makes a workload's call ready, runs it twice and compares what the first run gave
with NumPy's result; the answer is the seconds of the two runs, that of the first with caches empty and MXNet loaded. A number of calls is
answered by the seconds that they took. What the program prints goes to stderr.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any, TextIO

import numpy

import minpy_jit
import minpy_jit.numpy as np

from . import WORKLOADS
from .workload import Call, Workload, Wrap, host

# name in the table -> what a user writes around a function
OURS: dict[str, Wrap] = {
    "eager": lambda f: f,
    "lazy": lambda f: f,
    "trace": minpy_jit.trace,
    "pure": minpy_jit.trace(pure=True),
}
HOW = ("NumPy", "mx.nd", "symbol", *OURS)


def maker(how: str) -> Callable[[Workload, tuple[Any, ...]], Call]:
    """How a workload's call is made."""
    if how == "NumPy":
        return lambda workload, inputs: workload.numpy(*inputs)
    if how in ("mx.nd", "symbol"):
        if "mxnet" not in sys.modules:
            raise RuntimeError(f"{how} is MXNet as it comes: start it by plain_mxnet.py")
        import mxnet as mx

        mx.nd.ones(1).asnumpy()
        if how == "mx.nd":
            return lambda workload, inputs: workload.imperative(mx, *inputs)
        return lambda workload, inputs: workload.symbolic(mx, *inputs)
    minpy_jit.mode("eager" if how == "eager" else "lazy")
    # loads MXNet and the compiler
    x = np.array(numpy.ones(20_000))
    for _ in range(2):
        (np.exp(x) * 2 + x).tolist()

    def made(workload: Workload, inputs: tuple[Any, ...]) -> Call:
        minpy_jit.clear_caches()
        return workload.ours(OURS[how], *inputs)

    return made


def timed(call: Call) -> tuple[float, dict[str, numpy.ndarray]]:
    """Seconds of a run, and its results before a later run changes them."""
    started = perf_counter()
    found = call()
    seconds = perf_counter() - started
    return seconds, {name: numpy.array(host(value)) for name, value in found.items()}


def main() -> None:
    """Answer until the input ends."""
    how, quick = sys.argv[1], "--quick" in sys.argv[2:]
    with os.fdopen(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)
        answer(maker(how), quick, answers)


def answer(make: Callable[[Workload, tuple[Any, ...]], Call], quick: bool, answers: TextIO) -> None:
    """Answer each line."""
    call: Call | None = None
    for line in sys.stdin:
        word, _, name = line.strip().partition(" ")
        if word == "setup":
            call = None
            gc.collect()
            workload = WORKLOADS[name]
            inputs = workload.inputs(quick)
            call = make(workload, inputs)
            first, results = timed(call)
            second, _ = timed(call)
            workload.check(inputs, results)
            print(first, second, file=answers)
        else:
            assert call is not None
            started = perf_counter()
            for _ in range(int(word)):
                call()
            print(perf_counter() - started, file=answers)


if __name__ == "__main__":
    main()
