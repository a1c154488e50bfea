"""`minpy-jit explain SCRIPT`: run a script and say what became of it: where it was flushed and why, what ran it, what fell back."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "explain",
        help="run a script and report segments, regions, flush causes and fallbacks by line",
        usage="minpy-jit explain [-h] [--html FILE] [--repeat N] SCRIPT [-- ARGS ...]",
        description="Run a script lazily, as `minpy-jit run` does, and report afterwards: each line that made pending work run, and why; "
        "the compiled programs, with the steps that became regions, that MXNet's operators run, and that go through NumPy; and each line "
        "that fell back to NumPy. What follows -- is the script's.",
    )
    parser.add_argument(
        "--html", metavar="FILE", type=Path, help="write the report as a page of its own, with the script's lines beside it"
    )
    parser.add_argument("--repeat", metavar="N", type=int, default=1, help="run the script N times and report the last run (1)")
    parser.add_argument("script", metavar="SCRIPT")
    parser.set_defaults(main=main, parser=parser, arguments=[])


def main(args: argparse.Namespace) -> int:
    """Run, then report; the script ends as it would under python."""
    from ..config import config
    from ..control import mode
    from . import page, report
    from .run import Program
    from .show import console

    if args.repeat < 1:
        args.parser.error(f"--repeat: {args.repeat}; at least 1")
    try:
        program = Program(args.script, args.arguments)
    except OSError as error:
        print(f"minpy-jit explain: cannot read {args.script!r}: {error.strerror}", file=sys.stderr)
        return 2
    if args.html is not None:
        try:
            # before the script runs, whose folder may be another by the end
            args.html = args.html.absolute()
            args.html.touch()
        except OSError as error:
            print(f"minpy-jit explain: cannot write {str(args.html)!r}: {error.strerror}", file=sys.stderr)
            return 2
    config.mode = "lazy"
    mode("lazy")
    try:
        for _ in range(args.repeat):
            report.begin()
            program.execute()
    finally:
        sys.stdout.flush()
        found = report.collect(args.script)
        report.show(found, f"minpy-jit explain: {found.script}", console())
        if args.html is not None:
            args.html.write_text(page.html(found), encoding="utf-8")
            print(f"The page is {args.html}.", flush=True)
    return 0
