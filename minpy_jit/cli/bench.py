"""`minpy-jit bench [NAMES]`: the scripts of the checkout's `benchmarks/`, each in a process of its own."""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]


def find() -> dict[str, Path]:
    """Benchmarks by name, or none where this is an installed wheel: they are part of the checkout and of the sdist only."""
    folder = CHECKOUT / "benchmarks"
    return {path.stem: path for path in sorted(folder.glob("*.py")) if path.stem not in ("__init__", "bare_mxnet", "timing")}


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("bench", help="run the benchmarks", description="Run benchmarks; without NAMES, all of them.")
    parser.add_argument("names", metavar="NAMES", nargs="*")
    parser.add_argument("--list", action="store_true", help="say which there are")
    parser.add_argument("--quick", action="store_true", help="fewer blocks and sizes: to see that they run, not to quote")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    """Run them one after the other; the exit status is 1 if one of them failed (a bound of its own was not met, too)."""
    known = find()
    if not known:
        print(
            f"minpy-jit bench: no benchmarks in {CHECKOUT}; they come with the source (git clone, or the sdist), not with the wheel",
            file=sys.stderr,
        )
        return 2
    if args.list:
        for name, path in known.items():
            print(f"{name:15} {(ast.get_docstring(ast.parse(path.read_text())) or '').splitlines()[0]}")
        return 0
    unknown = [name for name in args.names if name not in known]
    if unknown:
        print(f"minpy-jit bench: no benchmark {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    failed = []
    for name in args.names or known:
        command = [sys.executable, "-m", f"benchmarks.{name}", *(["--quick"] if args.quick else [])]
        if subprocess.run(command, cwd=CHECKOUT, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"minpy-jit bench: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0
