"""What a workload is: one program, written as the users of NumPy, of MXNet and of minpy_jit write it, and the judge of what it gives.

A contestant makes a *call* of it: a function of no argument that runs the program once, has finished when it returns, and returns the
results by name. The modules of this folder import no MXNet: what uses it is handed the module, in the process that has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy

import minpy_jit
import minpy_jit.numpy as np

Results = Mapping[str, Any]
Call = Callable[[], Results]
# what a user writes around a function: nothing, `minpy_jit.trace` or `minpy_jit.trace(pure=True)`
Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]
# (inputs, results, results of NumPy): asserts
Judge = Callable[[Sequence[Any], dict[str, numpy.ndarray], dict[str, numpy.ndarray]], None]


@dataclass(frozen=True, slots=True)
class Workload:
    """One row of the table.

    Attributes:
        name: on the command line.
        title: in the table.
        inputs: called with whether to be quick (smaller sizes); returns NumPy arrays, the same ones each time.
        numpy: of the inputs, the call in NumPy: the reference too.
        ours: of the wrap and the inputs, the call in minpy_jit.
        imperative: of the module mxnet and the inputs, the call in `mx.nd`.
        symbolic: the same with a symbol and its executor.
        judge: compares the first call's results with NumPy's.
    """

    name: str
    title: str
    inputs: Callable[[bool], tuple[Any, ...]]
    numpy: Callable[..., Call]
    ours: Callable[..., Call]
    imperative: Callable[..., Call]
    symbolic: Callable[..., Call]
    judge: Judge

    def check(self, inputs: Sequence[Any], results: Results) -> None:
        """Assert that a call's results are NumPy's.

        Raises:
            AssertionError: with the result that differs, and by how much.
        """
        expected = self.numpy(*inputs)()
        assert results.keys() == expected.keys(), f"{self.name}: results {list(results)}; expected {list(expected)}"
        self.judge(inputs, *[{name: host(value) for name, value in found.items()} for found in (results, expected)])


def host(value: Any) -> numpy.ndarray:
    """A result as NumPy's array."""
    return value.asnumpy() if hasattr(value, "asnumpy") else numpy.asarray(value)


def uniform(rng: numpy.random.Generator, shape: Any, low: float, high: float) -> numpy.ndarray:
    """float32 numbers from an interval."""
    return rng.uniform(low, high, shape).astype(numpy.float32)


def normal(rng: numpy.random.Generator, shape: Any, scale: float = 1.0) -> numpy.ndarray:
    """Normally distributed float32 numbers."""
    return (rng.standard_normal(shape) * scale).astype(numpy.float32)


def close(tolerance: float) -> Judge:
    """A judge: no element differs by more than that share of the largest one."""

    def judge(inputs: Sequence[Any], found: dict[str, numpy.ndarray], expected: dict[str, numpy.ndarray]) -> None:
        for name, right in expected.items():
            compare(name, found[name], right, tolerance)

    return judge


def compare(name: str, found: numpy.ndarray, right: numpy.ndarray, tolerance: float) -> None:
    """Assert that two arrays agree to within a share of the largest element."""
    # MXNet has no arrays of no axis
    assert found.shape == right.shape or found.size == right.size == 1, f"{name}: shape {found.shape}; expected {right.shape}"
    found = found.reshape(right.shape).astype(numpy.float64)
    assert numpy.isfinite(found).all(), f"{name}: not finite"
    difference = numpy.abs(found - right).max() / (numpy.abs(right).max() + 1e-30)
    assert difference <= tolerance, f"{name}: differs by {difference:.1e} of its largest element; allowed {tolerance:g}"


def function(
    name: str,
    title: str,
    inputs: Callable[[bool], tuple[Any, ...]],
    formula: Callable[..., Any],
    mxnet: Callable[..., Any] | None = None,
    judge: Judge | None = None,
    read: bool = False,
    convert: Sequence[bool] | None = None,
) -> Workload:
    """A workload that calls a function of arrays.

    Args:
        name, title, inputs: as in Workload.
        formula: of a NumPy-like module and the arrays, the result.
        mxnet: of `mx.nd` or `mx.sym` and the arrays, the same; None: the formula serves.
        judge: None: within 1e-4.
        read: whether a run ends with the result as a NumPy array (otherwise, when it has been computed).
        convert: which inputs are arrays of ours and of MXNet's; None: all. The others stay NumPy's (MXNet gets its own in any case).
    """
    graph = mxnet or formula

    def plain(*arrays: numpy.ndarray) -> Call:
        return lambda: {"result": formula(numpy, *arrays)}

    def ours(wrap: Wrap, *arrays: numpy.ndarray) -> Call:
        taken = [np.array(a) if keep else a for a, keep in zip(arrays, convert or [True] * len(arrays), strict=True)]
        wrapped = wrap(lambda *given: formula(np, *given))

        def call() -> Results:
            result = wrapped(*taken)
            if read:
                return {"result": result.asnumpy()}
            minpy_jit.wait(result)
            return {"result": result}

        return call

    def imperative(mx: Any, *arrays: numpy.ndarray) -> Call:
        taken = [mx.nd.array(a, dtype=a.dtype) for a in arrays]

        def call() -> Results:
            return finished(graph(mx.nd, *taken), read)

        return call

    def symbolic(mx: Any, *arrays: numpy.ndarray) -> Call:
        names = [f"x{i}" for i in range(len(arrays))]
        taken = {n: mx.nd.array(a, dtype=a.dtype) for n, a in zip(names, arrays, strict=True)}
        executor: Any = None

        def call() -> Results:
            nonlocal executor
            if executor is None:
                executor = graph(mx.sym, *[mx.sym.Variable(n) for n in names]).bind(mx.cpu(), taken, grad_req="null")
            executor.forward(is_train=False)
            return finished(executor.outputs[0], read)

        return call

    return Workload(name, title, inputs, plain, ours, imperative, symbolic, judge or close(1e-4))


def finished(result: Any, read: bool) -> Results:
    """What a call in MXNet returns, once it has been computed."""
    if read:
        return {"result": result.asnumpy()}
    result.wait_to_read()
    return {"result": result}
