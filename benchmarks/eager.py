"""Eager mode against bare `mx.nd`: what our own layer adds to each operation.

Both run the same operations: a chain of 100 additions (16×16, float32), and training steps of the demo's network, loss observed each time.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.cli.programs import digits

from .timing import Block, bare, block, console, interleaved, main, settled, table

BOUND = 1.25


def chain() -> Block:
    """100 additions in a row."""
    x, y = np.ones((16, 16), dtype=np.float32), np.ones((16, 16), dtype=np.float32)

    def call() -> None:
        with minpy_jit.mode("eager"):
            z = x
            for _ in range(100):
                z = z + y
            z.asnumpy()

    return block(call)


def step(batch: int) -> Block:
    """Training steps of the demo's program."""
    rng = numpy.random.default_rng(0)
    x = np.array(rng.random((batch * 8, 64)).astype(numpy.float32))
    y = digits.one_hot(np.array(rng.integers(0, 10, batch * 8)))
    parameters: list[Any] = digits.new_parameters()
    velocities = [np.zeros_like(p) for p in parameters]
    turn = 0

    def call() -> None:
        nonlocal turn
        i = turn % 8
        turn += 1
        with minpy_jit.mode("eager"):
            float(digits.step(parameters, velocities, x[i * batch : (i + 1) * batch], y[i * batch : (i + 1) * batch]))

    return block(call)


def run(quick: bool) -> list[str]:
    """Print a table; returns what is slower than `BOUND` times bare `mx.nd`."""
    rows, unmet = [], []
    blocks = 5 if quick else 41
    with ExitStack() as stack:
        pairs: dict[str, tuple[Block, Block]] = {
            "100 additions": (chain(), stack.enter_context(bare("chain", 16, 100))),
            "training step, batch 32": (step(32), stack.enter_context(bare("digits", 32, 128))),
            "training step, batch 256": (step(256), stack.enter_context(bare("digits", 256, 128))),
        }
        for name, (ours, theirs) in pairs.items():
            times = interleaved({"eager": ours, "mx.nd": theirs}, 20, blocks, warmup=3)
            ratio = times["eager"].median / times["mx.nd"].median
            rows.append((name, settled(times["eager"]), settled(times["mx.nd"]), f"{ratio:.2f}"))
            if ratio > BOUND:
                unmet.append(f"{name}: eager takes {ratio:.2f} of mx.nd's time (bound {BOUND})")
    console().print(table("eager mode against bare mx.nd", ("what", "eager", "mx.nd", "ratio"), rows))
    return unmet


if __name__ == "__main__":
    main(run)
