"""`minpy-jit demo`: an ordinary script run lazily, a network trained on real data, and the same training step timed side by side."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

PROGRAMS = Path(__file__).with_name("programs")
# import name -> what pip calls it
NEEDED = {"sklearn": "scikit-learn", "matplotlib": "matplotlib", "tqdm": "tqdm"}
NUMPY, BARE, EAGER = "NumPy, by hand", "mx.nd, autograd", "minpy_jit, eager"


@dataclass(frozen=True, slots=True)
class Row:
    """A contestant's result: seconds per step (median, spread) and, for ours, what happened per step after warm-up."""

    name: str
    seconds: float
    spread: float
    counts: dict[str, float] | None


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "demo",
        help="train on handwritten digits; NumPy, eager MXNet and lazy side by side",
        description="Run an ordinary NumPy script lazily, train a network on scikit-learn's handwritten digits, and time its training "
        "step in NumPy, in MXNet's imperative interface, and in ours. Writes a picture.",
    )
    parser.add_argument("--quick", action="store_true", help="fewer epochs and shorter timings")
    parser.add_argument("--out", default="demo.png", metavar="FILE", help="where the picture goes (demo.png)")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    """Run the demo; the exit status is 1 where a result is not what it should be."""
    missing = [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        names = " ".join(missing)
        print(f"minpy-jit demo: needs {' and '.join(missing)}, not installed here; run: python -m pip install {names}", file=sys.stderr)
        return 2
    from .programs import digits
    from .show import console

    out = console()
    started = perf_counter()
    out.rule("1. An ordinary NumPy script, unmodified", align="left")
    if not run_script(PROGRAMS / "heat.py"):
        return 1

    out.print()
    out.rule("2. A network on real data: 1797 handwritten digits, 64-128-10, a plain Python loop", align="left")
    print("Training lazily: steps are recorded as Python runs, and run when the loop looks at a loss, every tenth step.", flush=True)
    trained, curve = digits.train(12 if args.quick else 25)
    _, _, pixels, labels = digits.load()
    accuracy = 100 * digits.accuracy(trained, pixels, labels)

    out.print()
    out.rule("3. The same training step, five ways", align="left")
    rows = time_steps(calls=20 if args.quick else 100, blocks=3 if args.quick else 9)
    out.print(step_table(rows))

    draw(Path(args.out), curve, rows)
    print(f"The picture is in {args.out}; the demo took {perf_counter() - started:.0f} s.")
    print(f"held-out accuracy: {accuracy:.1f} %")
    return 0 if accuracy >= 96 else 1


# -- 1. a script --------------------------------------------------------------------------------------------------------------------------
def run_script(script: Path) -> bool:
    """Run a script through `minpy-jit run`, and under Python itself; returns whether both print the same."""
    from .compare import first_difference, run_mode
    from .process import python
    from .show import near

    print(f"$ cd {near(str(script.parent))}\n$ minpy-jit run --report {script.name}", flush=True)
    command = python("minpy_jit.cli:main", "run", "--report", script.name)
    ran = subprocess.run(command, cwd=script.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(ran.stdout, flush=True)
    if ran.returncode:
        return False
    printed = ran.stdout.partition("\nminpy-jit report:")[0]
    plain = run_mode("numpy", str(script), (), 1)
    found = first_difference(plain.outputs[0], printed)
    if found is None:
        print("Plain Python and NumPy print the same.", flush=True)
    else:
        print(f"Plain Python and NumPy print something else, at line {found[0]}:\n{plain.outputs[0]}", file=sys.stderr)
    return found is None


# -- 3. the same step, five ways ---------------------------------------------------------------------------------------------------------
def time_steps(calls: int, blocks: int) -> list[Row]:
    """Time the training step of programs/digits.py, batch 32, and its two equals; blocks of all of them take turns.

    Args:
        calls: steps in a block. Each step reads its loss, as a progress bar does.
        blocks: blocks that count, after two that warm up.
    """
    import numpy
    from rich.progress import Progress

    from .. import numpy as ours
    from .. import trace
    from .process import Contestant, plain_mxnet
    from .programs import digits, digits_numpy
    from .show import console
    from .timing import Block, block, interleaved

    pixels, labels, _, _ = digits.load()
    targets = digits.one_hot(labels).asnumpy()
    initial = [p.asnumpy() for p in digits.new_parameters()]

    def contestant(make: Callable[[Any], Any], step: Callable[..., Any]) -> Block:
        x, y = make(pixels), make(targets)
        parameters = [make(p) for p in initial]
        velocities = [make(p * 0) for p in initial]
        batches = len(pixels) // digits.BATCH
        turn = 0

        def once() -> None:
            nonlocal turn
            i = turn % batches
            turn += 1
            chosen = slice(i * digits.BATCH, (i + 1) * digits.BATCH)
            float(step(parameters, velocities, x[chosen], y[chosen]))

        return block(once)

    counted = {
        EAGER: Counted(contestant(ours.array, digits.step), "eager"),
        "minpy_jit, lazy": Counted(contestant(ours.array, digits.step), "lazy"),
        "minpy_jit, lazy, @trace": Counted(contestant(ours.array, trace(digits.step)), "lazy"),
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "digits.npz")
        names = ("w1", "b1", "w2", "b2")
        numpy.savez(file, x=pixels, labels=labels, **dict(zip(names, initial, strict=True)))
        print("Timing: plain NumPy, MXNet's imperative interface (in a process of its own), and ours; their blocks take turns.", flush=True)
        with (
            Contestant([PROGRAMS / "digits_mxnet.py", file], plain_mxnet()) as bare,
            Progress(console=console(), transient=True) as progress,
        ):
            contestants: dict[str, Block] = {
                NUMPY: contestant(numpy.array, digits_numpy.step),
                BARE: bare,
                **counted,
            }
            task = progress.add_task("timing", total=len(contestants) * (blocks + 2))
            times = interleaved(contestants, calls, blocks, warmup=2, progress=lambda: progress.advance(task))
    return [
        Row(name, timing.median, timing.spread, counted[name].per_step(calls * blocks) if name in counted else None)
        for name, timing in times.items()
    ]


class Counted:
    """A block in one of our modes, with the counters of all blocks after the second."""

    NAMES = ("compiles", "flushes", "executor_runs", "host_steps", "fallbacks")

    def __init__(self, run: Callable[[int], float], mode: str) -> None:
        self.run, self.mode = run, mode
        self.turn = 0
        self.totals = dict.fromkeys(self.NAMES, 0)

    def __call__(self, calls: int) -> float:
        from ..control import mode, stats

        with mode(self.mode):
            before = stats()
            seconds = self.run(calls)
            after = stats()
        self.turn += 1
        if self.turn > 2:
            for name in self.NAMES:
                self.totals[name] += after[name] - before[name]
        return seconds

    def per_step(self, steps: int) -> dict[str, float]:
        """Counts per step; compiles in total."""
        return {name: total if name == "compiles" else total / steps for name, total in self.totals.items()}


def step_table(rows: list[Row]) -> Any:
    """The table of the demo."""
    from .show import table

    by_name = {row.name: row for row in rows}
    cells = []
    for row in rows:
        counts = ("–",) * 3 if row.counts is None else tuple(f"{row.counts[n]:g}" for n in ("compiles", "flushes", "executor_runs"))
        ratios = [f"{row.seconds / by_name[base].seconds:.2f}" for base in (NUMPY, BARE, EAGER)]
        cells.append((row.name, f"{row.seconds * 1e6:.0f}", f"±{row.spread:.0%}", *ratios, *counts))
    columns = ("batch 32, float32", "µs/step", "spread", "/ NumPy", "/ mx.nd", "/ eager", "compiles", "flushes", "executor runs")
    title = "One training step: median of the blocks; compiles after warm-up in total, flushes and executor runs per step"
    return table(title, columns, cells)


# -- the picture --------------------------------------------------------------------------------------------------------------------------
def draw(path: Path, curve: list[float], rows: list[Row]) -> None:
    """Loss by epoch, and a bar per contestant."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    left.plot(range(1, len(curve) + 1), curve, marker=".")
    left.set(title="training, lazy", xlabel="epoch", ylabel="mean loss", yscale="log")
    colours = ["tab:grey" if row.counts is None else "tab:blue" for row in rows]
    bars = right.barh([row.name for row in rows], [row.seconds * 1e6 for row in rows], color=colours)
    right.bar_label(bars, fmt="%.0f", padding=3)
    right.margins(x=0.12)
    right.invert_yaxis()
    right.set(title="one training step, batch 32", xlabel="µs")
    figure.savefig(path, dpi=120)
