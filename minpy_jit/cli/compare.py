"""`minpy-jit compare SCRIPTS`: the same script under plain NumPy, eagerly and lazily: does it print the same, and how long does it take?

Each mode has a fresh process, in which the script runs several times: the first run is the first call, the later half are steady state.
The output of every run is compared, since what a lazy program prints comes from other code once its segments are compiled.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from .show import duration, near

MODES = ("numpy", "eager", "lazy")
_TOKEN = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?\b(?:nan|inf)\b|[^\W\d]+|\S")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf)")


@dataclass(frozen=True, slots=True)
class Result:
    """What one mode did: what each run printed, how long it took, the exit status, and what was written to stderr."""

    mode: str
    outputs: tuple[str, ...]
    seconds: tuple[float, ...]
    status: int
    errors: str

    @property
    def steady(self) -> float | None:
        """Median of the later half of the runs (the first few compile)."""
        return statistics.median(self.seconds[len(self.seconds) // 2 :]) if len(self.seconds) > 1 else None


# -- the processes ----------------------------------------------------------------------------------------------------------------------
def run_mode(mode: str, script: str, arguments: Sequence[str], repeat: int) -> Result:
    """Run a script in a fresh process."""
    package = str(Path(__file__).resolve().parents[2])
    start = f"import sys; sys.path[0] = {package!r}; from minpy_jit.cli.compare import child; sys.exit(child(sys.argv[1:]))"
    # plain NumPy 1.26 promotes by value unless told otherwise; we promote as NumPy 2 does
    environment = {**os.environ, "NPY_PROMOTION_STATE": "weak"}
    with tempfile.TemporaryDirectory() as folder:
        times, printed, said = (Path(folder, name) for name in ("times", "stdout", "stderr"))
        with printed.open("wb") as stdout, said.open("wb") as stderr:
            command = [sys.executable, "-c", start, mode, str(repeat), str(times), script, *arguments]
            status = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=environment, check=False
            ).returncode
        runs = json.loads(times.read_text()) if times.exists() else []
        output = printed.read_bytes()
        errors = said.read_text(errors="replace")
    ends = [end for end, _ in runs]
    # what follows the last run's end is what was printed at exit, or all of it where the process died
    pieces = [output[a:b] for a, b in zip([0, *ends], [*ends, len(output)], strict=True)]
    if len(pieces) > 1 and not pieces[-1]:
        pieces.pop()
    return Result(mode, tuple(p.decode(errors="replace") for p in pieces), tuple(s for _, s in runs), status, errors)


def child(arguments: Sequence[str]) -> int:
    """The process of one mode: runs the script, and writes where its output ended and how long it took after each run."""
    mode, repeat, times, script, *rest = arguments
    from ..config import config
    from ..control import mode as set_mode
    from .run import Program

    program = Program(script, rest, redirect=mode != "numpy")
    if mode != "numpy":
        config.mode = mode
        set_mode(mode)
    runs = []
    for _ in range(int(repeat)):
        # what the run before left in cycles (its functions and their globals) would weigh on this one
        gc.collect()
        started = perf_counter()
        status: Any = None
        try:
            program.execute()
        except SystemExit as leaving:
            status = leaving.code
        elapsed = perf_counter() - started
        sys.stdout.flush()
        runs.append((os.fstat(1).st_size, elapsed))
        Path(times).write_text(json.dumps(runs))
        if status is not None and status != 0:
            sys.exit(status)
    return 0


# -- the comparison -----------------------------------------------------------------------------------------------------------------------
def tokens(text: str) -> list[tuple[str, int]]:
    """Numbers, words and signs with their lines; white space says nothing (the width of a printed array depends on its last digits)."""
    return [(m.group(), number) for number, line in enumerate(text.splitlines(), 1) for m in _TOKEN.finditer(line)]


def same(one: str, two: str, rtol: float, atol: float) -> bool:
    """Whether two tokens agree: integers and text exactly, floats within `atol + rtol * |one|`, NaN with NaN."""
    if one == two:
        return True
    if not (_NUMBER.fullmatch(one) and _NUMBER.fullmatch(two)):
        return False
    if one.lstrip("+-").isdigit() and two.lstrip("+-").isdigit():
        return int(one) == int(two)
    a, b = float(one), float(two)
    if not (math.isfinite(a) and math.isfinite(b)):
        return a == b or (math.isnan(a) and math.isnan(b))
    return abs(a - b) <= atol + rtol * abs(a)


def first_difference(one: str, two: str, rtol: float = 1e-5, atol: float = 1e-8) -> tuple[int, int] | None:
    """The lines (from 1) of two outputs where they first differ, or None.

    >>> first_difference("a 1.0", "a  1.0000001")
    >>> first_difference("a 1.0", "a 1.1")
    (1, 1)
    """
    first, second = tokens(one), tokens(two)
    for (a, line), (b, other) in zip(first, second, strict=False):
        if not same(a, b, rtol, atol):
            return line, other
    if len(first) == len(second):
        return None
    longer, shorter = (first, second) if len(first) > len(second) else (second, first)
    at = longer[len(shorter)][1]
    after = shorter[-1][1] + 1 if shorter else 1
    return (at, after) if longer is first else (after, at)


def _line(text: str, number: int) -> str:
    lines = text.splitlines()
    return lines[number - 1] if number <= len(lines) else "(nothing)"


def difference(base: Result, other: Result, rtol: float, atol: float) -> str | None:
    """What differs between two modes, said in a few lines, or None."""
    if base.status != other.status:
        return f"exit status: {base.mode} {base.status}, {other.mode} {other.status}\n{other.errors or base.errors}".rstrip()
    if len(base.outputs) != len(other.outputs):
        return f"number of outputs: {base.mode} {len(base.outputs)}, {other.mode} {len(other.outputs)}"
    for run, (one, two) in enumerate(zip(base.outputs, other.outputs, strict=True), 1):
        found = first_difference(one, two, rtol, atol)
        if found is not None:
            shown = [f"  {r.mode:5} line {n}: {_line(text, n)}" for r, text, n in zip((base, other), (one, two), found, strict=True)]
            return "\n".join([f"run {run}:", *shown])
    return None


# -- the command --------------------------------------------------------------------------------------------------------------------------
def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "compare",
        help="run scripts under NumPy, eagerly and lazily; compare output and times",
        usage="minpy-jit compare [-h] [--modes MODES] [--repeat N] [--rtol RTOL] [--atol ATOL] SCRIPT ... [-- ARGS ...]",
        description="Run each script in a fresh process per mode, compare what it prints, and print a table of times. "
        "Exit status 1 if any differ. What follows -- is the scripts'.",
    )
    parser.add_argument("scripts", metavar="SCRIPT", nargs="+")
    parser.add_argument(
        "--modes", default=",".join(MODES), help=f"which, separated by commas; the first is the reference ({','.join(MODES)})"
    )
    parser.add_argument(
        "--repeat", type=int, default=5, metavar="N", help="runs in each process (5): the first is the first call, the later half steady"
    )
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown, a row per script")
    parser.add_argument("--rtol", type=float, default=1e-5, help="relative difference allowed between printed floats (1e-5)")
    parser.add_argument("--atol", type=float, default=1e-8, help="absolute difference allowed between printed floats (1e-8)")
    parser.set_defaults(main=main, parser=parser, arguments=[])


@dataclass(frozen=True, slots=True)
class Comparison:
    """A script's results, the reference first, and what differs by mode."""

    script: str
    results: Sequence[Result]
    differences: dict[str, str | None]

    @property
    def fails(self) -> bool:
        return any(self.differences.values()) or self.results[0].status != 0


def main(args: argparse.Namespace) -> int:
    """Compare; the exit status says whether all modes agree."""
    modes = [m.strip() for m in args.modes.split(",") if m.strip()]
    wrong = [m for m in modes if m not in MODES]
    if wrong or not modes:
        args.parser.error(f"--modes: {', '.join(wrong) or 'none given'}; legal: {', '.join(MODES)}")
    if args.repeat < 1:
        args.parser.error(f"--repeat: {args.repeat}; at least 1")
    for script in args.scripts:
        try:
            with open(script, "rb"):
                pass
        except OSError as error:
            print(f"minpy-jit compare: cannot read {script!r}: {error.strerror}", file=sys.stderr)
            return 2
    found = []
    for script in args.scripts:
        results = [run_mode(m, script, args.arguments, args.repeat) for m in modes]
        found.append(Comparison(script, results, {r.mode: difference(results[0], r, args.rtol, args.atol) for r in results[1:]}))
    _print(found, args.markdown)
    for each in found:
        base = each.results[0]
        if base.status:
            print(f"minpy-jit compare: {each.script} ends with status {base.status} under {base.mode}:\n{base.errors}", file=sys.stderr)
    return 1 if any(each.fails for each in found) else 0


def _print(found: Sequence[Comparison], as_markdown: bool) -> None:
    from .show import console, table

    out = console()
    if as_markdown:
        print(markdown(found))
    else:
        rows = []
        for each in found:
            base = each.results[0]
            for r in each.results:
                says = "reference" if r is base else ("differs" if each.differences[r.mode] else "same")
                rows.append((near(each.script) if r is base else "", r.mode, *_times(r, base), says))
        first = found[0].results[0]
        title = f"{max(1, len(first.seconds))} run(s) of each script in a process per mode"
        out.print(table(title, ("script", "mode ", "first call", "steady", f"/ {first.mode}", "output "), rows))
    for each in found:
        for name, text in each.differences.items():
            if text:
                of = f"{each.script}: " if len(found) > 1 else ""
                out.print(f"{of}{name} differs from {each.results[0].mode}, {text}", markup=False)


def markdown(found: Sequence[Comparison]) -> str:
    """The table of times as Markdown: a row per script, with the first call and the steady state of each mode."""
    base, *others = [r.mode for r in found[0].results]
    columns = ["script", *[f"{mode}{when}" for mode in (base, *others) for when in (", first call", "")]]
    columns += [f"{mode} / {base}" for mode in others] + ["output"]
    lines = ["| " + " | ".join(columns) + " |", "|---" + "|--:" * (len(columns) - 2) + "|---|"]
    for each in found:
        times = [_times(r, each.results[0]) for r in each.results]
        cells = [
            f"`{Path(each.script).stem}`",
            *[text for first, steady, _ in times for text in (first, steady)],
            *[t[2] for t in times[1:]],
        ]
        wrong = [mode for mode, text in each.differences.items() if text]
        lines.append("| " + " | ".join([*cells, f"{', '.join(wrong)} differ" if wrong else "same"]) + " |")
    return "\n".join(lines)


def _times(result: Result, base: Result) -> tuple[str, str, str]:
    """First call, steady state, and what the latter is to the reference's, as text."""
    known, against = (r.steady if r.steady is not None else next(iter(r.seconds), None) for r in (result, base))
    ratio = f"{known / against:.2f}" if known is not None and against else "–"
    first = duration(result.seconds[0]) if result.seconds else "–"
    return first, duration(result.steady) if result.steady is not None else "–", ratio
