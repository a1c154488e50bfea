"""What a run of a script did, for `run --report` and `explain`: flushes and fallbacks by line, and the programs that were compiled."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..config import config
from ..control import flush_log, reset_stats, stats
from ..errors import locate
from ..exec.describe import parts
from ..exec.run import plan_cache
from ..trace.graph import Node
from ..trace.recorder import current
from ..trace.step import CONSTANT, INPUT, PROJECT, SCALAR
from .show import duration, relative, table

if TYPE_CHECKING:
    from rich.console import Console

# flushes that a report can tell apart; older ones are only counted
REPORTED_FLUSHES = 100_000
_LEAVES = (INPUT, SCALAR, CONSTANT, PROJECT)


@dataclass(slots=True)
class Site:
    """The flushes of one cause at one line: how many, their steps and the results somebody held, who ran them, what it took."""

    cause: str
    where: str
    count: int = 0
    steps: int = 0
    live: int = 0
    host_steps: int = 0
    seconds: float = 0.0
    runs: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Fallback:
    """The calls of one function in NumPy at one line."""

    function: str
    where: str
    count: int
    nbytes: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """Steps of a program that run together: what runs them, their names and how often, their lines, and what is to be said of them."""

    kind: str
    operations: Mapping[str, int]
    lines: Sequence[str]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled program: how often it ran, its steps, the MXNet nodes that they became, what they are made of."""

    runs: int
    steps: int
    nodes: int
    stretches: Sequence[Stretch]


@dataclass(frozen=True, slots=True)
class Report:
    """All that is known of a run.

    Attributes:
        script: its path, as given.
        mode: of this thread, at the end.
        counts: `stats()`.
        pending: steps that nothing observed.
        sites: where was flushed, most often first.
        fallbacks: what ran in NumPy.
        programs: what was compiled and is still held, most often run first.
    """

    script: str
    mode: str
    counts: Mapping[str, Any]
    pending: int
    sites: Sequence[Site]
    fallbacks: Sequence[Fallback]
    programs: Sequence[Program]


def begin() -> None:
    """Count from here."""
    config.flush_log = REPORTED_FLUSHES
    reset_stats()


def collect(script: str) -> Report:
    """What happened since `begin()`."""
    counts = stats()
    recorder = current()
    sites: dict[tuple[str, str], Site] = {}
    for record in flush_log():
        where = relative(record.where)
        site = sites.setdefault((record.cause, where), Site(record.cause, where))
        site.count += 1
        site.steps += record.steps
        site.live += record.live
        site.host_steps += record.host_steps if record.executor == "mixed" else 0
        site.seconds += record.seconds
        site.runs[record.executor] += 1
    fallbacks = []
    for called, (count, nbytes, seconds) in counts["fallback_sites"].items():
        function, _, where = called.partition(" at ")
        fallbacks.append(Fallback(function, relative(where), int(count), nbytes, seconds))
    programs = [_program(plan) for plan in list(plan_cache.plans.values())]
    return Report(
        script,
        recorder.mode,
        counts,
        recorder.segment.steps,
        sorted(sites.values(), key=lambda s: -s.count),
        fallbacks,
        sorted(programs, key=lambda p: -p.runs),
    )


def _program(plan: Any) -> Program:
    nodes: Sequence[Node] = plan.graph.nodes
    stretches = []
    for part in parts(plan):
        members = [nodes[p] for p in part.nodes if nodes[p].op not in _LEAVES]
        names = Counter(node.op.name for node in members)
        lines = _lines(members)
        if part.kind == "NumPy":
            # why each of them cannot go elsewhere is what its entry says
            remarks = {f"{node.op.name}: {' '.join(node.op.doc.split())}" for node in members if node.op.doc}
            stretches.append(Stretch("NumPy", names, lines, "; ".join(sorted(remarks))))
        else:
            stretches.append(Stretch(part.kind, names, lines, part.outline))
    steps = sum(node.op not in _LEAVES for node in nodes)
    return Program(plan.runs, steps, plan.nodes, stretches)


def _lines(nodes: Iterable[Node]) -> list[str]:
    """The lines of steps, in order, `file:line`."""
    found = {locate(node.site) for node in nodes if node.site is not None}
    places = [(path, int(line)) for path, _, line in (where.rpartition(":") for where in found)]
    return [relative(f"{path}:{line}") for path, line in sorted(places)]


# -- text ---------------------------------------------------------------------------------------------------------------------------------
def show(report: Report, title: str, out: Console) -> None:
    """Print a report."""
    out.print(f"\n{title}")
    for line in summary(report):
        out.print(f"  {line}")
    for each in (*tables(report), program_table(report)):
        if each is not None:
            out.print(each)


def summary(report: Report) -> list[str]:
    """The counters in a few sentences."""
    found = report.counts
    lines = []
    if report.mode == "lazy":
        steps = found["steps"]
        share = f" ({found['replayed'] / steps:.0%})" if steps else ""
        lines.append(f"steps: {found['recorded']:,} recorded, {steps:,} flushed, of which {found['replayed']:,}{share} replayed")
        if report.pending:
            lines.append(f"{report.pending:,} pending step(s) that nothing observed were never run")
    lines.append(
        f"{found['flushes']:,} flush(es), {found['executor_runs']:,} run(s) of MXNet executors, {found['compiles']:,} compile(s), "
        f"{found['host_steps']:,} step(s) in NumPy, {found['fallbacks']:,} fallback(s)"
    )
    seconds = ", ".join(f"{name} {value * 1e3:.1f} ms" for name, value in sorted(found["seconds"].items()))
    lines.append(f"time: {seconds or 'none'}")
    return lines


def tables(report: Report) -> list[Any]:
    """Flushes and fallbacks, those that there are."""
    found = []
    if report.sites:
        rows = [(s.cause, s.where, f"{s.count:,}", f"{s.steps:,}", listed(s.runs), duration(s.seconds)) for s in report.sites]
        found.append(table("flushes", ("cause", "line ", "count", "steps", "run by ", "time"), rows))
    if report.fallbacks:
        calls = [(f.function, f.where, f"{f.count:,}", f"{f.nbytes / 1024:,.1f}", duration(f.seconds)) for f in report.fallbacks]
        found.append(table("fallbacks", ("function", "line ", "count", "KiB", "time"), calls))
    return found


def program_table(report: Report) -> Any:
    """The programs and their parts; None where nothing was compiled."""
    rows = []
    for number, program in enumerate(report.programs, 1):
        head = (f"{number}", f"{program.runs:,}", f"{program.steps:,}", f"{program.nodes:,}")
        if not program.stretches:
            rows.append((*head, "none", "", "copies of inputs"))
        for stretch in program.stretches:
            text = listed(stretch.operations) + (f" ({stretch.remark})" if stretch.remark else "")
            rows.append((*head, kind(stretch), together(stretch.lines), text))
            head = ("", "", "", "")
    if not rows:
        return None
    columns = ("program", "runs", "steps", "MXNet nodes", "run by ", "lines ", "operations ")
    return table("compiled programs: who runs their steps", columns, rows)


def kind(stretch: Stretch) -> str:
    """What runs a stretch, with its size."""
    size = sum(stretch.operations.values())
    return f"{'a region' if stretch.kind == 'region' else stretch.kind}, {size:,} step{'s' if size != 1 else ''}"


def listed(counts: Mapping[str, int]) -> str:
    """Names with how often each came."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def together(lines: Sequence[str]) -> str:
    """Lines of the same file behind one name, and neighbours as a range.

    >>> together(["a.py:3", "a.py:4", "a.py:5", "a.py:9", "b.py:1"])
    'a.py:3-5, 9; b.py:1'
    """
    files: dict[str, list[list[int]]] = {}
    for where in lines:
        path, _, number = where.rpartition(":")
        ranges = files.setdefault(path, [])
        line = int(number)
        if ranges and line == ranges[-1][1] + 1:
            ranges[-1][1] = line
        else:
            ranges.append([line, line])
    return "; ".join(f"{path}:" + ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ranges) for path, ranges in files.items())


def read(path: str) -> list[str]:
    """The lines of a source file; none where it cannot be read."""
    import tokenize

    try:
        with tokenize.open(os.path.abspath(path)) as file:
            return file.read().splitlines()
    except (OSError, SyntaxError, UnicodeDecodeError):
        return []
