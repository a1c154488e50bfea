"""Vector maths of regions against NumPy's: nanoseconds an element of each function, 100,000 elements in cache, one thread.

Compiled code called by itself: what recording and MXNet's executor add is in the other benchmarks. Where we lose, it shows.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy

from minpy_jit.exec.regions import emit, jit, scalars, schedule, vectormath
from minpy_jit.exec.regions.tensors import Memory, Tensors

from .timing import block, console, interleaved, main, table

SIZE = 100_000
# where the arguments are from, unless from [-5, 5)
DOMAINS = {
    **dict.fromkeys(("log", "log2", "log10"), (0.01, 10.0)),
    **dict.fromkeys(("arcsin", "arccos"), (-1.0, 1.0)),
    **{"log1p": (-0.9, 5.0), "arccosh": (1.0, 10.0), "arctanh": (-0.99, 0.99), "power": (0.1, 5.0)},
}


def compiled(name: str, operands: list[numpy.ndarray]) -> Callable[[], None]:
    """A call of ours."""
    k = Tensors(scalars.knows)
    memory = [Memory(o.shape, o.dtype, i) for i, o in enumerate(operands)]
    module, _ = emit.write(schedule.build([k.map(name, *memory)], memory)[0])
    code = jit.Code(jit.compiled(str(module)), "kernel")
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)(code.address)
    arrays = [*operands, numpy.empty_like(operands[0])]
    addresses = (ctypes.c_void_p * len(arrays))(*[a.ctypes.data for a in arrays])

    def call() -> None:
        assert code.address and arrays
        function(addresses, 0, 1, None)

    return call


def of_numpy(name: str, operands: list[numpy.ndarray]) -> Callable[[], Any] | None:
    """The same call of NumPy's, where it has the function."""
    result = numpy.empty_like(operands[0])
    if name == "sigmoid":
        one = numpy.ones((), result.dtype)

        def sigmoid() -> None:
            numpy.negative(operands[0], out=result)
            numpy.exp(result, out=result)
            numpy.add(result, one, out=result)
            numpy.reciprocal(result, out=result)

        return sigmoid
    function = getattr(numpy, name, None)
    return None if function is None else lambda: function(*operands, out=result)


def run(quick: bool) -> list[str]:
    """Print a table; there are no bounds."""
    vectormath.install()
    rng = numpy.random.default_rng(0)
    names = [n for n in vectormath.FUNCTIONS if n != "float_power"]
    rows = []
    for name in names[:3] if quick else names:
        cells: list[str] = []
        for dtype in (numpy.float32, numpy.float64):
            arity = 2 if name in ("arctan2", "hypot", "power") else 1
            operands = [rng.uniform(*DOMAINS.get(name, (-5.0, 5.0)), SIZE).astype(dtype) for _ in range(arity)]
            theirs = of_numpy(name, operands)
            contestants = {"ours": block(compiled(name, operands)), **({"NumPy": block(theirs)} if theirs else {})}
            times = interleaved(contestants, 5, 5 if quick else 15)
            # the least disturbed block
            ours, *other = [min(times[c].blocks) / SIZE * 1e9 for c in contestants]
            cells += [f"{ours:.2f}", f"{other[0]:.2f}" if other else "", f"{other[0] / ours:.1f}" if other else ""]
        rows.append((name, *cells))
    columns = ("function", "float32", "NumPy", "times", "float64", "NumPy", "times")
    console().print(table("ns an element", columns, rows))
    return []


if __name__ == "__main__":
    main(run)
