"""`minpy-jit bench [NAMES]`: the table of the checkout's `benchmarks/workloads/`, or the scripts beside that folder, each in a process."""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
# what the scripts share
SHARED = ("__init__", "bare_mxnet", "timing")


def scripts() -> dict[str, Path]:
    """Benchmarks with bounds of their own, by name; none where this is an installed wheel: they come with the source only."""
    folder = CHECKOUT / "benchmarks"
    return {path.stem: path for path in sorted(folder.glob("*.py")) if path.stem not in SHARED}


def workloads() -> dict[str, str]:
    """Titles of the table's workloads by name."""
    if str(CHECKOUT) not in sys.path:
        sys.path.insert(0, str(CHECKOUT))
    found = importlib.import_module("benchmarks.workloads").WORKLOADS
    return {name: workload.title for name, workload in found.items()}


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "bench",
        help="print the benchmark table, or run other benchmarks",
        description="Without NAMES, the table of all workloads: NumPy, bare mx.nd, a hand-written symbol, and minpy_jit eager, lazy, "
        "traced and pure; first and steady calls. Each result is compared with NumPy's first. NAMES choose workloads, or other benchmarks "
        "(see --list).",
    )
    parser.add_argument("names", metavar="NAMES", nargs="*")
    parser.add_argument("--list", action="store_true", help="say which there are")
    parser.add_argument("--quick", action="store_true", help="fewer blocks and smaller sizes: to see that they run, not to quote")
    parser.add_argument("--markdown", action="store_true", help="print the table of steady calls as Markdown")
    parser.add_argument("--plot", metavar="FILE", help="draw the table (needs matplotlib)")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    """Run them one after the other; the exit status is 1 if one of them failed (a bound of its own was not met, too)."""
    known = scripts()
    if not known:
        print(
            f"minpy-jit bench: no benchmarks in {CHECKOUT}; they come with the source (git clone, or the sdist), not with the wheel",
            file=sys.stderr,
        )
        return 2
    table = workloads()
    if args.list:
        print("workloads of the table:")
        for name, title in table.items():
            print(f"  {name:20} {title}")
        print("others:")
        for name, path in known.items():
            print(f"  {name:20} {(ast.get_docstring(ast.parse(path.read_text())) or '').splitlines()[0]}")
        return 0
    unknown = [name for name in args.names if name not in known and name not in table]
    if unknown:
        print(f"minpy-jit bench: no benchmark {', '.join(unknown)}; there are: {', '.join([*table, *known])}", file=sys.stderr)
        return 2
    quick = ["--quick"] if args.quick else []
    rows = [name for name in args.names if name in table]
    if args.plot and args.names and not rows:
        print("minpy-jit bench: --plot draws the table; name workloads of it, or nothing", file=sys.stderr)
        return 2
    commands = {}
    if rows or not args.names:
        drawn = ["--plot", os.path.abspath(args.plot)] if args.plot else []
        commands["the table"] = ["benchmarks.workloads", *rows, *quick, *(["--markdown"] if args.markdown else []), *drawn]
    for name in args.names:
        if name in known:
            commands[name] = [f"benchmarks.{name}", *quick]
    failed = [
        name for name, command in commands.items() if subprocess.run([sys.executable, "-m", *command], cwd=CHECKOUT, check=False).returncode
    ]
    if failed:
        print(f"minpy-jit bench: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0
