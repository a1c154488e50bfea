"""The benchmark table: each workload in NumPy, in MXNet's imperative interface, as a symbol, and in minpy_jit four ways.

Each way has a process of its own, and their blocks take turns. Before a workload is timed, what it gives is compared with NumPy's result.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minpy_jit.cli.process import Contestant, plain_mxnet

from ..timing import Timing, console, duration, header, interleaved, table
from . import WORKLOADS, Workload
from .contestant import HOW, OURS

# seconds that a block takes about
BLOCK = 0.1
LAZY, BARE, NUMPY = "lazy", "mx.nd", "NumPy"


@dataclass(frozen=True, slots=True)
class Row:
    """What was found of a workload: by way of running it, seconds of the first and the second call, and those of steady ones."""

    workload: Workload
    first: Mapping[str, float]
    second: Mapping[str, float]
    steady: Mapping[str, Timing]

    def speed(self, how: str, base: str) -> float:
        """How many times faster one way is than another."""
        return self.steady[base].median / self.steady[how].median


def measure(names: Sequence[str], quick: bool) -> list[Row]:
    """Run workloads in all ways.

    Raises:
        RuntimeError: a result differs from NumPy's, or a process ended otherwise; with what it said.
    """
    from rich.progress import Progress

    blocks = 2 if quick else 7
    rows = []
    with ExitStack() as stack, Progress(console=console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(names) * (len(HOW) + 1))
        contestants = {how: stack.enter_context(contestant(how, quick)) for how in HOW}
        for name in names:
            first, second, calls = {}, {}, {}
            for how, each in contestants.items():
                progress.update(task, description=f"{name}: {how}")
                first[how], second[how] = map(float, each.ask(f"setup {name}").split())
                # some more, until they are steady: what is longer than a segment was compiled at the third
                calls[how] = 1 if quick else max(1, min(10_000, round(BLOCK / min(each(1) for _ in range(4)))))
                progress.advance(task)
            progress.update(task, description=f"{name}: timing")
            rows.append(Row(WORKLOADS[name], first, second, interleaved(contestants, calls, blocks, warmup=1)))
            progress.advance(task)
    return rows


def contestant(how: str, quick: bool) -> Contestant:
    """The process of a way."""
    environment = plain_mxnet()
    # compiled code on disk would make a first call look like a second one
    environment["MINPY_JIT_CACHE_DIR"] = "off"
    plain = Path(__file__).with_name("plain_mxnet.py")
    program = ["-m", f"{__package__}.contestant"] if how == NUMPY or how in OURS else [plain]
    return Contestant([*program, how, *(["--quick"] if quick else [])], environment)


# -- what is printed ----------------------------------------------------------------------------------------------------------------------
def geometric_mean(values: Sequence[float]) -> float:
    """Of speeds."""
    return statistics.geometric_mean(values)


def times(speed: float) -> str:
    """A speed relative to another, with the digits that mean something."""
    return f"{speed:.2f}" if speed < 9.95 else f"{speed:.0f}"


def steady_table(rows: Sequence[Row]) -> Any:
    """Medians, and how much faster lazy mode is."""
    cells = [
        (
            row.workload.title,
            *[duration(row.steady[how].median) for how in HOW],
            *[times(row.speed(LAZY, base)) for base in (BARE, NUMPY)],
        )
        for row in rows
    ]
    if len(rows) > 1:
        means = {(how, base): geometric_mean([row.speed(how, base) for row in rows]) for how in HOW for base in (BARE, NUMPY)}
        for base in (BARE, NUMPY):
            shown = [times(means[how, base]) for how in HOW]
            cells.append((f"× {base}, geometric mean", *shown, *[times(means[LAZY, base]) if base == b else "" for b in (BARE, NUMPY)]))
    return table("steady calls: medians", ("workload", *HOW, f"lazy × {BARE}", f"× {NUMPY}"), cells)


def first_table(rows: Sequence[Row]) -> Any:
    """First calls, with empty caches; of ours the second one too, which compiles."""
    compiling = [how for how in OURS if how != "eager"]
    cells = [
        (row.workload.title, *[duration(row.first[how]) for how in HOW], *[duration(row.second[how]) for how in compiling]) for row in rows
    ]
    columns = ("workload", *HOW, *[f"2nd, {how}" for how in compiling])
    return table("first calls: caches empty, MXNet loaded; the second one is where ours compiles", columns, cells)


def losses(rows: Sequence[Row]) -> list[str]:
    """A sentence per base on where lazy mode is behind it."""
    found = []
    for base in (NUMPY, BARE):
        behind = [f"{row.workload.name} ({times(row.speed(LAZY, base))})" for row in rows if row.speed(LAZY, base) < 1]
        found.append(f"lazy is slower than {base} in {len(behind)} of {len(rows)}{': ' if behind else ''}{', '.join(behind)}")
    return found


def draw(path: Path, rows: Sequence[Row]) -> None:
    """How much faster than bare mx.nd each way is, a line per workload."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 1.5 + 0.38 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    marks = {NUMPY: "s", "symbol": "D", "eager": "v", LAZY: "o", "trace": "<", "pure": ">"}
    for how, mark in marks.items():
        ours = how in OURS
        axes.plot(
            [row.speed(how, BARE) for row in rows],
            [row.workload.title for row in rows],
            mark,
            label=f"minpy_jit, {how}" if ours else how,
            markersize=8 if how == LAZY else 5,
            markerfacecolor=None if ours else "none",
        )
    axes.axvline(1, color="tab:grey", linewidth=1)
    axes.set(xscale="log", xlabel=f"times faster than bare {BARE} (steady calls; farther right is better)")
    axes.grid(axis="y", linewidth=0.4)
    axes.invert_yaxis()
    figure.legend(loc="outside upper center", ncols=len(marks), frameon=False)
    figure.savefig(path, dpi=120)


def markdown(rows: Sequence[Row]) -> str:
    """The steady calls as a table in Markdown."""
    lines = [
        f"| workload | {' | '.join(HOW)} | lazy × {BARE} | lazy × {NUMPY} |",
        "|---|" + "---:|" * (len(HOW) + 2),
    ]
    for row in rows:
        cells = [duration(row.steady[how].median) for how in HOW] + [times(row.speed(LAZY, base)) for base in (BARE, NUMPY)]
        lines.append(f"| {row.workload.title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Measure and print; the exit status is 1 where a result is not NumPy's."""
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", metavar="NAMES", nargs="*", help=f"which workloads (all): {', '.join(WORKLOADS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes, few calls: to see that it runs, not to quote")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the picture (needs matplotlib)")
    parser.add_argument("--markdown", action="store_true", help="print the table of steady calls as Markdown")
    args = parser.parse_args()
    unknown = [name for name in args.names if name not in WORKLOADS]
    if unknown:
        parser.error(f"no workload {', '.join(unknown)}; there are: {', '.join(WORKLOADS)}")
    if args.plot is not None and importlib.util.find_spec("matplotlib") is None:
        parser.error("--plot needs matplotlib, not installed here; run: python -m pip install matplotlib")
    header((__doc__ or "").splitlines()[0])
    try:
        rows = measure(args.names or list(WORKLOADS), args.quick)
    except RuntimeError as error:
        print(f"   FAILED: {error}", file=sys.stderr)
        return 1
    if args.quick:
        print("   QUICK: sizes are smaller than the titles say, and a block is one call")
    if args.markdown:
        print(markdown(rows))
    else:
        console().print(steady_table(rows))
        console().print(first_table(rows))
    for sentence in () if args.quick else losses(rows):
        print(f"   {sentence}")
    print(f"   OMP_NUM_THREADS: {os.environ.get('OMP_NUM_THREADS', 'not set')}")
    if args.plot is not None:
        draw(args.plot, rows)
        print(f"   the picture is in {args.plot}")
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
