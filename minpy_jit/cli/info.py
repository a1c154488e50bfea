"""`minpy-jit info`: versions, engine, threads, settings."""

from __future__ import annotations

import argparse
from typing import Any


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("info", help="print versions, engine, threads and settings")
    parser.add_argument("--reset-rules", action="store_true", help="remove the blacklist that AutoBlacklistPolicy keeps, after printing it")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    """Print what `minpy_jit.info()` says, once MXNet is loaded (before that it cannot say which engine)."""
    from ..control import info
    from ..exec import mx
    from ..policy import Rules

    mx.lib()
    found = info()
    width = max(len(name) for name in found)
    for name, value in found.items():
        if name != "config":
            print(f"{name:{width}}  {value}")
    print("settings (each also an environment variable MINPY_JIT_*)")
    width = max(len(name) for name in found["config"])
    for name, value in found["config"].items():
        print(f"  {name:{width}}  {value}")
    rules = Rules()
    found_rules = sorted(rules.read())
    print(f"blacklist {rules.path}: {len(found_rules)} rule(s)")
    for name, dtypes in found_rules:
        print(f"  {name}({', '.join(dtypes)}) runs in NumPy")
    if args.reset_rules:
        rules.reset()
        print("blacklist removed")
    return 0
