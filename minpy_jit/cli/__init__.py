"""The command `minpy-jit`: this file reads the command line and hands over; each command is a file of its own.

A command's file has `add(commands)`, which declares its arguments, and `main(args)`, which returns the exit status. What a command needs it
imports when it runs, so that `minpy-jit run` starts as quickly as it can.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .._version import __version__
from . import bench, compare, demo, explain, info, run


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="minpy-jit", description="A lazy NumPy on MXNet.")
    parser.add_argument("--version", action="version", version=f"minpy-jit {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (run, compare, demo, explain, bench, info):
        command.add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments after the program's name; None means the process's own.

    Returns:
        The exit status. 2 for a command line that is wrong (as `SystemExit`, which argparse raises).
    """
    given = list(sys.argv[1:] if argv is None else argv)
    rest: list[str] = []
    if given[:1] in (["compare"], ["explain"]) and "--" in given:
        # argparse knows no way to have options on both sides of SCRIPT and arguments of the script's own
        at = given.index("--")
        given, rest = given[:at], given[at + 1 :]
    args = _parser().parse_args(given)
    if rest:
        args.arguments = rest
    status: int = args.main(args)
    return status
