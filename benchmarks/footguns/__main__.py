"""`python -m benchmarks.footguns [--peer NAME[=PYTHON]] ... [--markdown]`: run the footguns on systems and print one table.

Without `--peer`, ours in every mode. `--peer jax=/envs/jax/bin/python` runs that peer under another interpreter, which has it installed and
need not have minpy_jit. Exits with 1 if one of ours does not give NumPy's answer.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# the truth promotes as NumPy 2 does; NumPy 1.26 reads this once, when it is imported
os.environ["NPY_PROMOTION_STATE"] = "weak"
# MXNet and PyTorch say how they are doing
os.environ.setdefault("TORCH_LOGS", "-all")

from . import GRADIENTS_ONLY, OURS, Footgun, Outcome, judge, load

# the columns' order and the words of the cells
CELLS = {"right": "right", "error": "error", "silent": "SILENT", "own": "own", "n/a": "–"}
Report = dict[str, Any]


def judged(system: str, footguns: list[Footgun]) -> Iterator[tuple[str, Outcome, Outcome | None]]:
    """Each footgun's name, its outcome on a system, and that of the way around that the system documents, if it needs one."""
    from .systems import IDIOMS, SYSTEMS, NumPy

    make = SYSTEMS[system]
    truth, toolkit = NumPy(), make()
    untraced = None if system in (*OURS, *GRADIENTS_ONLY) else make(traced=False)
    for footgun in footguns:
        reason = not_asked(system, footgun)
        if reason is not None:
            yield footgun.name, Outcome("n/a", reason), None
            continue
        outcome = judge(footgun, toolkit, truth, untraced)
        way = IDIOMS.get((system, footgun.name))
        around = None
        if way is not None and outcome.kind != "right":
            around = judge(footgun, toolkit, truth, untraced, way[1])
            around = Outcome(around.kind, way[0])
        yield footgun.name, outcome, around


def not_asked(system: str, footgun: Footgun) -> str | None:
    """Why a footgun is not tried on a system."""
    if system == "pure" and footgun.promise == "broken":
        return "the function breaks the promise of pure=True"
    if system in GRADIENTS_ONLY and footgun.group != "gradients":
        return "it traces only to differentiate"
    return None


def versions(system: str) -> dict[str, str]:
    """What a system's column was run with."""
    from .systems import SYSTEMS

    found = {"python": platform.python_version()}
    for package in SYSTEMS[system].packages:
        found[package] = importlib.metadata.version(package)
    return found


def child(system: str, names: list[str]) -> None:
    """Run some footguns here and write a line of JSON for each."""
    footguns = load()
    # what systems print is not ours
    with os.fdopen(os.dup(1), "w") as out:
        os.dup2(2, 1)
        print(json.dumps({"versions": versions(system)}), file=out, flush=True)
        for name, outcome, around in judged(system, [footguns[n] for n in names]):
            line = {"name": name, "kind": outcome.kind, "detail": outcome.detail}
            if around is not None:
                line |= {"around": around.kind, "way": around.detail}
            print(json.dumps(line), file=out, flush=True)


def collect(system: str, python: str) -> Report:
    """Run all footguns on a system in processes of its own: one that dies is an error of the footgun that it was at."""
    names = list(load())
    found: dict[str, Any] = {}
    report: Report = {"system": system, "outcomes": found}
    root = Path(__file__).resolve().parents[2]
    while len(found) < len(names):
        todo = [n for n in names if n not in found]
        command = [python, "-m", __package__, "--child", system, *todo]
        with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None and process.stderr is not None
            out, said = process.communicate()
        lines = [json.loads(line) for line in out.splitlines()]
        if not lines:
            raise SystemExit(f"{system}: {python} could not run it:\n{said}")
        report["versions"] = lines[0]["versions"]
        found.update({line["name"]: line for line in lines[1:]})
        if len(lines) - 1 < len(todo):
            died = todo[len(lines) - 1]
            found[died] = {"name": died, "kind": "error", "detail": f"the process died, status {process.returncode}"}
    return report


def cell(entry: dict[str, Any]) -> str:
    """An outcome as the table shows it: `error → right` where a documented way around helps."""
    shown = CELLS[entry["kind"]]
    return f"{shown} → {CELLS[entry['around']]}" if "around" in entry else shown


def totals(report: Report) -> Counter[str]:
    """Outcomes by kind."""
    return Counter(entry["kind"] for entry in report["outcomes"].values())


def markdown(reports: list[Report]) -> str:
    """The table, the counts, what systems said, and the versions."""
    from .systems import SYSTEMS

    footguns = load()
    names = [SYSTEMS[r["system"]].name for r in reports]
    lines = ["| " + " | ".join(["footgun", *names]) + " |", "|---" * (len(names) + 1) + "|"]
    group = ""
    for footgun in footguns.values():
        if footgun.group != group:
            group = footgun.group
            lines.append("| " + " | ".join([f"**{group}**", *[""] * len(names)]) + " |")
        lines.append("| " + " | ".join([footgun.label.replace("|", "\\|"), *[cell(r["outcomes"][footgun.name]) for r in reports]]) + " |")
    for kind in CELLS:
        lines.append("| " + " | ".join([f"**{CELLS[kind]}**", *[str(totals(r)[kind]) for r in reports]]) + " |")
    lines += ["", "Run with:", ""]
    for name, report in zip(names, reports, strict=True):
        lines.append(f"* {name}: " + ", ".join(f"{package} {version}" for package, version in report["versions"].items()))
    ways = [(name, e) for name, r in zip(names, reports, strict=True) for e in r["outcomes"].values() if "way" in e]
    if ways:
        lines += ["", "Ways around, as the systems document them (after the arrow):", ""]
        lines += [f"* {name}, {footguns[e['name']].label[0].lower() + footguns[e['name']].label[1:]}: `{e['way']}`" for name, e in ways]
    return "\n".join(lines)


def text(reports: list[Report]) -> str:
    """The table for a terminal, then all that is not right."""
    from .systems import SYSTEMS

    footguns = load()
    names = [SYSTEMS[r["system"]].name for r in reports]
    widths = [max(len(n), 15) for n in names]
    first = max(len(n) for n in footguns)
    lines = ["".join([" " * first, *[f"  {n:{w}}" for n, w in zip(names, widths, strict=True)]])]
    for name in footguns:
        row = [f"  {cell(r['outcomes'][name]):{w}}" for r, w in zip(reports, widths, strict=True)]
        lines.append(f"{name:{first}}{''.join(row)}".rstrip())
    lines.append("")
    for name, report in zip(names, reports, strict=True):
        counted = totals(report)
        lines.append(f"{name}: " + ", ".join(f"{counted[kind]} {CELLS[kind]}" for kind in CELLS if counted[kind]))
    for name, report in zip(names, reports, strict=True):
        for entry in report["outcomes"].values():
            if entry["kind"] in ("silent", "error", "own"):
                lines.append(f"  {name}, {entry['name']}: {entry['kind']}: {' '.join(entry['detail'].split())[:300]}")
    return "\n".join(lines)


def acceptable(system: str, footgun: Footgun, kind: str, detail: str) -> bool:
    """Whether ours did what it must: NumPy's answer, or TraceError where pure=True has to refuse."""
    if system == "pure" and footgun.promise == "refused":
        return kind == "error" and detail.startswith("TraceError")
    return kind == "right" or (system == "pure" and footgun.promise == "broken")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--peer", action="append", metavar="NAME[=PYTHON]", default=[], help="a peer, and the Python that has it installed")
    parser.add_argument("--markdown", action="store_true", help="the table of docs/footguns.md")
    parser.add_argument("--no-ours", action="store_true", help="the peers only")
    parser.add_argument("--child", metavar="SYSTEM", help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child, args.names)
        return 0
    from .systems import SYSTEMS

    peers = [p.partition("=") for p in args.peer]
    unknown = [name for name, _, _ in peers if name not in SYSTEMS]
    if unknown:
        parser.error(f"no peer {', '.join(unknown)}; there are: {', '.join(s for s in SYSTEMS if s not in OURS)}")
    ours = () if args.no_ours or (peers and not args.markdown) else OURS
    reports = [collect(system, sys.executable) for system in ours] + [collect(name, python or sys.executable) for name, _, python in peers]
    print(markdown(reports) if args.markdown else text(reports))
    footguns = load()
    wrong = [
        e["name"]
        for r in reports
        if r["system"] in OURS
        for e in r["outcomes"].values()
        if not acceptable(r["system"], footguns[e["name"]], e["kind"], e["detail"])
    ]
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
