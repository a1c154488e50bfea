"""Recording: what one small operation costs in a plain script before anything runs, against NumPy's own time for it.

16×16 float32. An operation is recorded (replayed: the same steps were recorded before) in chunks that are flushed outside the timing. The
bound: at most 2.5 times NumPy for an addition. Then a chain of 100 additions, observed at its end, against bare `mx.nd` (default engine, a
process of its own): at most 1/7.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy

import minpy_jit
import minpy_jit.numpy as np

from .timing import Block, bare, block, console, interleaved, main, relative, settled, table

# operations in a chunk: below max_steps, so that no flush falls into the timing
CHUNK = 100
BOUND, CHAIN_BOUND = 2.5, 1 / 7

Operation = Callable[[Any, Any], Any]


def _add(x: Any, y: Any) -> None:
    for _ in range(CHUNK // 10):
        x + y, x + y, x + y, x + y, x + y, x + y, x + y, x + y, x + y, x + y


def _add_chain(x: Any, y: Any) -> Any:
    for _ in range(CHUNK // 10):
        x = x + y
        x = x + y
        x = x + y
        x = x + y
        x = x + y
        x = x + y
        x = x + y
        x = x + y
        x = x + y
        x = x + y
    return x


def _scalar(x: Any, y: Any) -> None:
    for _ in range(CHUNK // 10):
        x * 2.0, x * 2.0, x * 2.0, x * 2.0, x * 2.0, x * 2.0, x * 2.0, x * 2.0, x * 2.0, x * 2.0


def _negative(x: Any, y: Any) -> None:
    for _ in range(CHUNK // 10):
        -x, -x, -x, -x, -x, -x, -x, -x, -x, -x  # noqa: B018 - what it costs is the question


def _function(namespace: Any) -> Operation:
    def call(x: Any, y: Any) -> None:
        sqrt = namespace.sqrt
        for _ in range(CHUNK // 10):
            sqrt(x), sqrt(x), sqrt(x), sqrt(x), sqrt(x), sqrt(x), sqrt(x), sqrt(x), sqrt(x), sqrt(x)

    return call


def _in_place(x: Any, y: Any) -> None:
    z = x + y
    for _ in range(CHUNK // 10):
        z += y
        z -= y
        z += y
        z -= y
        z += y
        z -= y
        z += y
        z -= y
        z += y
        z -= y


def _pairs(namespace: Any) -> Operation:
    def call(x: Any, y: Any) -> None:
        add = namespace.add
        for _ in range(CHUNK // 10):
            add(x, y), add(x, y), add(x, y), add(x, y), add(x, y), add(x, y), add(x, y), add(x, y), add(x, y), add(x, y)

    return call


def _square(x: Any, y: Any) -> None:
    for _ in range(CHUNK // 10):
        x**2, x**2, x**2, x**2, x**2, x**2, x**2, x**2, x**2, x**2


def _product(x: Any, y: Any) -> None:
    for _ in range(CHUNK // 10):
        x @ y, x @ y, x @ y, x @ y, x @ y, x @ y, x @ y, x @ y, x @ y, x @ y


def _transposed(x: Any, y: Any) -> None:
    for _ in range(CHUNK // 10):
        x.T, x.T, x.T, x.T, x.T, x.T, x.T, x.T, x.T, x.T  # noqa: B018 - as above


def _rows(x: Any, y: Any) -> None:
    for _ in range(CHUNK // 10):
        x[1:-1], x[1:-1], x[1:-1], x[1:-1], x[1:-1], x[1:-1], x[1:-1], x[1:-1], x[1:-1], x[1:-1]


def _assigned(x: Any, y: Any) -> None:
    z = x + y
    for _ in range(CHUNK // 10):
        z[0] = z[1] = z[2] = z[3] = z[4] = z[5] = z[6] = z[7] = z[8] = z[9] = 0.0


def _choices(namespace: Any) -> Operation:
    def call(x: Any, y: Any) -> None:
        where, c = namespace.where, x < y
        for _ in range(CHUNK // 5):
            where(c, x, y), where(c, x, y), where(c, x, y), where(c, x, y), where(c, x, y)

    return call


def _sum(x: Any, y: Any) -> None:
    for _ in range(CHUNK // 10):
        x.sum(), x.sum(), x.sum(), x.sum(), x.sum(), x.sum(), x.sum(), x.sum(), x.sum(), x.sum()


def recorded(operation: Operation, x: Any, y: Any) -> Block:
    """A block that times only the recording of chunks."""

    def run(calls: int) -> float:
        total = 0.0
        for _ in range(calls):
            started = perf_counter()
            held = operation(x, y)
            total += perf_counter() - started
            # what nobody holds is never run; the chain's end is
            del held
            minpy_jit.flush()
        return total

    return run


def run(quick: bool) -> list[str]:
    """Print both tables; returns the bounds that are not met."""
    blocks, calls = (3, 20) if quick else (15, 200)
    a, b = numpy.ones((16, 16), numpy.float32), numpy.full((16, 16), 0.5, numpy.float32)
    x, y = np.array(a), np.array(b)
    variants: dict[str, tuple[Operation, Operation]] = {
        "x + y": (_add, _add),
        "x = x + y, a chain": (_add_chain, _add_chain),
        "x * 2.0": (_scalar, _scalar),
        "-x": (_negative, _negative),
        "np.sqrt(x)": (_function(numpy), _function(np)),
        "np.add(x, y)": (_pairs(numpy), _pairs(np)),
        "z += y": (_in_place, _in_place),
        "x.sum()": (_sum, _sum),
        "x ** 2": (_square, _square),
        "x @ y": (_product, _product),
        "np.where(c, x, y)": (_choices(numpy), _choices(np)),
        "x.T": (_transposed, _transposed),
        "x[1:-1]": (_rows, _rows),
        "z[0] = 0.0": (_assigned, _assigned),
    }
    contestants: dict[str, Block] = {}
    for name, (theirs, mine) in variants.items():
        contestants[f"numpy {name}"] = block(lambda f=theirs: f(a, b))  # type: ignore[misc]
        contestants[f"ours {name}"] = recorded(mine, x, y)
    times = interleaved(contestants, calls, blocks)
    rows, unmet = [], []
    for name in variants:
        theirs_time, mine_time = times[f"numpy {name}"], times[f"ours {name}"]
        ratio = mine_time.median / theirs_time.median
        micro = [f"{t.median / CHUNK * 1e6:.3f} ±{t.spread:.0%}" for t in (theirs_time, mine_time)]
        rows.append((name, *micro, f"{ratio:.2f}"))
        if "x + y" in name and ratio > BOUND:
            unmet.append(f"recording {name}: {ratio:.2f} times NumPy; at most {BOUND}")
    console().print(table("recording, replayed: µs per operation, 16×16 float32", ("operation", "NumPy", "ours", "ratio"), rows))
    return unmet + chain(blocks, calls)


def chain(blocks: int, calls: int) -> list[str]:
    """A chain of additions, observed at its end."""
    a = numpy.ones((16, 16), numpy.float32)
    x, y = np.array(a), np.array(a)

    def lazily() -> None:
        _add_chain(x, y).asnumpy()

    def eagerly() -> None:
        with minpy_jit.mode("eager"):
            _add_chain(x, y).asnumpy()

    with bare("chain", 16, CHUNK) as mxnet:
        contestants: dict[str, Block] = {
            "NumPy": block(lambda: _add_chain(a, a)),
            "mx.nd": mxnet,
            "minpy_jit, eager": block(eagerly),
            "minpy_jit, lazy": block(lazily),
        }
        times = interleaved(contestants, max(calls // 4, 5), blocks)
    base = times["mx.nd"].median
    rows = [(name, settled(t), f"{t.median / base:.3f}") for name, t in times.items()]
    console().print(table(f"a chain of {CHUNK} additions, 16×16 float32, observed at the end", ("", "time", "/ mx.nd"), rows))
    lazily()
    log = minpy_jit.flush_log()[-1]
    print(
        f"   flush log: {log.cause} at {relative(log.where)}: {log.steps} steps, {log.live} live, run by {log.executor}, "
        f"{log.nodes} MXNet node(s), {log.host_steps} step(s) in NumPy"
    )
    ratio = times["minpy_jit, lazy"].median / base
    unmet = []
    if log.executor != "mxnet" or log.nodes < 1:
        unmet.append("the chain was not run by an MXNet executor")
    if ratio > CHAIN_BOUND:
        unmet.append(f"the chain takes {ratio:.3f} of mx.nd's time; at most {CHAIN_BOUND:.3f}")
    return unmet


if __name__ == "__main__":
    main(run)
