"""What the benchmarks share: the timing loop (minpy_jit/cli/timing.py, which the demo uses too), a header that says on what, and `main`."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import minpy_jit
from minpy_jit.cli.process import Contestant, plain_mxnet
from minpy_jit.cli.show import console, duration, relative, table
from minpy_jit.cli.timing import Block, Timing, block, interleaved

__all__ = [
    "Block",
    "Contestant",
    "Timing",
    "bare",
    "block",
    "console",
    "counts",
    "duration",
    "interleaved",
    "main",
    "relative",
    "settled",
    "table",
]

# what the counters of a run are compared by
COUNTERS = ("compiles", "flushes", "executor_runs", "reference_runs", "host_steps", "fallbacks", "steps", "mxnet_nodes")


def header(description: str) -> None:
    """What is measured, on which versions, and how busy the machine is."""
    found = minpy_jit.info()
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    print(f"== {description}")
    print(
        f"   minpy_jit {found['minpy_jit']}, mxnet {found['mxnet']}, numpy {found['numpy']}, Python {found['python']}, "
        f"{platform.machine()}, {found['cores']} core(s), load {load}"
    )


def bare(workload: str, *arguments: object) -> Contestant:
    """A workload of bare_mxnet.py: bare `mx.nd` in a process of its own, with MXNet's default engine."""
    return Contestant([Path(__file__).with_name("bare_mxnet.py"), workload, *map(str, arguments)], plain_mxnet())


def counts(function: Callable[[], object]) -> dict[str, int]:
    """What `function()` adds to the counters."""
    before = minpy_jit.stats()
    function()
    after = minpy_jit.stats()
    return {name: after.get(name, 0) - before.get(name, 0) for name in COUNTERS}


def settled(timing: Timing) -> str:
    """A median with its spread, for a table's cell."""
    return f"{duration(timing.median)} ±{timing.spread:.0%}"


def main(run: Callable[[bool], list[str]]) -> None:
    """Run a benchmark from the command line; exits with 1 if it says which of its bounds were not met.

    Args:
        run: called with whether to be quick; returns a sentence per bound that was not met.
    """
    module = sys.modules[run.__module__]
    text = (module.__doc__ or "").strip()
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--quick", action="store_true", help="fewer blocks and sizes: to see that it runs, not to quote")
    quick = parser.parse_args().quick
    header(text.splitlines()[0])
    unmet = run(quick)
    for sentence in unmet:
        print(f"   NOT MET: {sentence}")
    print()
    sys.exit(1 if unmet else 0)
