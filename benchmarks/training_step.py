"""A training step: what one iteration costs, and that nothing is built anew after the second.

A 64-128-10 network, batch 32, float32: forward, loss, gradient, momentum update in place, the loss read at each step. Counts first: per
iteration one flush and one executor run, no host step, no fallback, no compile; also with minibatches by slice, 10,000 learning rates, a
schedule, Adam's counter. Then times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.cli.demo import BARE, EAGER, time_steps
from minpy_jit.cli.programs import digits

from .timing import console, counts, main, table

Parameters = list[Any]
Rate = Callable[[int], float]
Turn = Callable[[int], object]


def data() -> tuple[Any, Any]:
    """Pixels and one-hot targets of the training set, as ours."""
    pixels, labels, _, _ = digits.load()
    return np.array(pixels), digits.one_hot(labels)


def sgd(rate: Rate, slices: bool = True) -> Turn:
    """An iteration of plain gradient descent whose learning rate changes as `rate` says."""
    x, y = data()
    parameters = digits.new_parameters()
    batches = len(x) // digits.BATCH

    def turn(i: int) -> object:
        k = (i % batches if slices else 0) * digits.BATCH
        loss, gradients = digits.gradient_of(parameters, x[k : k + digits.BATCH], y[k : k + digits.BATCH])
        for p, g in zip(parameters, gradients, strict=True):
            p -= rate(i) * g
        return float(loss)

    return turn


def momentum(traced: bool = False) -> Turn:
    """An iteration of the demo's training step."""
    x, y = data()
    parameters = digits.new_parameters()
    velocities = [np.zeros_like(p) for p in parameters]
    batches = len(x) // digits.BATCH
    step = minpy_jit.trace(digits.step) if traced else digits.step

    def turn(i: int) -> object:
        k = (i % batches) * digits.BATCH
        return float(step(parameters, velocities, x[k : k + digits.BATCH], y[k : k + digits.BATCH]))

    return turn


def adam() -> Turn:
    """An iteration of Adam, whose counter enters as a Python number."""
    x, y = data()
    parameters = digits.new_parameters()
    first = [np.zeros_like(p) for p in parameters]
    second = [np.zeros_like(p) for p in parameters]
    batches = len(x) // digits.BATCH

    def turn(i: int) -> object:
        k = (i % batches) * digits.BATCH
        loss, gradients = digits.gradient_of(parameters, x[k : k + digits.BATCH], y[k : k + digits.BATCH])
        t = i + 1
        for p, m, v, g in zip(parameters, first, second, gradients, strict=True):
            m *= 0.9
            m += 0.1 * g
            v *= 0.999
            v += 0.001 * g * g
            p -= 0.001 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        return float(loss)

    return turn


def count(quick: bool) -> list[str]:
    """Print what an iteration does after the second; returns what it should not do."""
    many = 300 if quick else 10_000
    cases: dict[str, tuple[Callable[[], Turn], int]] = {
        "sgd, one batch": (lambda: sgd(lambda i: 0.1, slices=False), 100),
        "sgd, batches by slice": (lambda: sgd(lambda i: 0.1), 100),
        f"sgd, {many:,} learning rates": (lambda: sgd(lambda i: 0.1 / (i + 1)), many),
        "sgd, a schedule": (lambda: sgd(lambda i: 0.1 * 0.5 ** (i // 30)), 100),
        "momentum (the demo)": (momentum, 100),
        "momentum, @trace": (lambda: momentum(traced=True), 100),
        "Adam": (adam, 100),
    }
    rows, unmet = [], []
    for name, (make, turns) in cases.items():
        turn = make()
        # what prepares the data is not part of the first iteration
        minpy_jit.flush()
        turn(0)
        turn(1)

        def rest(turn: Turn = turn, turns: int = turns) -> None:
            for i in range(2, turns + 2):
                turn(i)

        found = counts(rest)
        per_turn = [found[n] / turns for n in ("flushes", "executor_runs", "host_steps", "fallbacks")]
        rows.append((name, f"{turns:,}", found["compiles"], *[f"{v:g}" for v in per_turn], f"{found['steps'] / turns:g}"))
        if per_turn != [1, 1, 0, 0] or found["compiles"]:
            unmet.append(f"{name}: {found} in {turns} iterations")
    columns = ("iterations after the second", "number", "compiles", "flushes", "executor runs", "host steps", "fallbacks", "steps")
    console().print(table("what an iteration does (compiles in total, the rest per iteration)", columns, rows))
    return unmet


def run(quick: bool) -> list[str]:
    """Counts, then times."""
    from minpy_jit.cli.demo import step_table

    unmet = count(quick)
    rows = time_steps(calls=20 if quick else 100, blocks=3 if quick else 15)
    console().print(step_table(rows))
    by_name = {row.name: row.seconds for row in rows}
    for name in by_name:
        if "lazy" in name and by_name[name] > by_name[EAGER]:
            unmet.append(f"{name} is slower than {EAGER}")
        if "lazy" in name and by_name[name] > by_name[BARE]:
            unmet.append(f"{name} is slower than {BARE}")
    return unmet


if __name__ == "__main__":
    main(run)
