"""Bare `mx.nd` workloads, each as its users write it. Runs in a process of its own: `bare_mxnet.py WORKLOAD SIZE LENGTH`.

Each line of input is a number of calls; the answer is the seconds that they took.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter

import numpy

numpy.bool = numpy.bool_  # type: ignore[attr-defined] # mxnet 1.9.1 asks for it, NumPy 1.24 removed it
import mxnet as mx  # noqa: E402


def chain(size: int, length: int) -> Callable[[], object]:
    """`length` additions in a row, observed at the end."""
    x, y = mx.nd.ones((size, size)), mx.nd.ones((size, size))

    def run() -> object:
        z = x
        for _ in range(length):
            z = z + y
        return z.asnumpy()

    return run


def mixed(size: int, length: int) -> Callable[[], object]:
    """`length` turns of `tanh(z * y) + y`, observed at the end."""
    x, y = mx.nd.ones((size, size)), mx.nd.ones((size, size)) * 0.5

    def run() -> object:
        z = x
        for _ in range(length):
            z = mx.nd.tanh(z * y) + y
        return z.asnumpy()

    return run


def main() -> None:
    """Answer until the input ends."""
    call = {"chain": chain, "mixed": mixed}[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3]))
    for line in sys.stdin:
        started = perf_counter()
        for _ in range(int(line)):
            call()
        print(perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
