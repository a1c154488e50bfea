"""A report as a page of HTML that needs nothing else: the script's lines with what happened at them, then the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from .report import Fallback, Report, Site, Stretch, kind, listed, read, summary, together
from .show import duration

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8884; padding: .2rem .7rem .2rem 0; text-align: left; vertical-align: top; }
td.number, th.number { font-variant-numeric: tabular-nums; text-align: right; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
.source td { border: 0; padding: 0 .7rem 0 0; } .source td:first-child { color: #888; text-align: right; user-select: none; }
.source code { white-space: pre-wrap; }
.mark { border-radius: .6rem; font-size: 12px; padding: 0 .5rem; white-space: nowrap; }
.flush { background: #e0a80055; } .fallback, .NumPy { background: #d0303055; }
.region { background: #30a04055; } .MXNet { background: #3070d055; }
.remark { color: #888; }
"""


def html(report: Report) -> str:
    """The page."""
    body = [f"<h1>{escape(report.script)}</h1>", "<ul>", *[f"<li>{escape(line)}</li>" for line in summary(report)], "</ul>"]
    marks = _marks(report)
    for path in dict.fromkeys([report.script, *[path for path, _ in marks]]):
        body += _source(path, {line: found for (where, line), found in marks.items() if where == path})
    body += _flushes(report.sites) + _fallbacks(report.fallbacks) + _programs(report)
    title = escape(f"minpy-jit explain: {report.script}")
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title><style>{_STYLE}</style>'
    return "\n".join([f'<!doctype html>\n<html lang="en"><head>{head}</head><body>', *body, "</body></html>\n"])


# -- the lines ----------------------------------------------------------------------------------------------------------------------------
def _place(where: str) -> tuple[str, int]:
    path, _, line = where.rpartition(":")
    return path, int(line) if line.isdigit() else 0


def _marks(report: Report) -> dict[tuple[str, int], list[str]]:
    """What is to be said beside a line, by file and number."""
    found: dict[tuple[str, int], list[str]] = {}

    def add(where: str, style: str, text: str) -> None:
        found.setdefault(_place(where), []).append(f'<span class="mark {style}">{escape(text)}</span>')

    for site in report.sites:
        add(site.where, "flush", f"flushed by {site.cause} ×{site.count:,}, {duration(site.seconds)}")
    for fallback in report.fallbacks:
        add(fallback.where, "fallback", f"{fallback.function} in NumPy ×{fallback.count:,}")
    kinds: dict[str, list[str]] = {}
    for number, program in enumerate(report.programs, 1):
        for stretch in program.stretches:
            for where in stretch.lines:
                said = kinds.setdefault(where, [])
                text = f"{stretch.kind}|program {number}"
                if text not in said:
                    said.append(text)
    for where, said in kinds.items():
        by_kind: dict[str, list[str]] = {}
        for each in said:
            name, _, program_name = each.partition("|")
            by_kind.setdefault(name, []).append(program_name.removeprefix("program "))
        for name, numbers in by_kind.items():
            shown = ", ".join(numbers[:6]) + (" …" if len(numbers) > 6 else "")
            add(where, name, f"{name}: program {shown}")
    return found


def _source(path: str, marks: Mapping[int, Sequence[str]]) -> list[str]:
    lines = read(path)
    if not lines:
        return []
    rows = [
        f"<tr><td>{number}</td><td><code>{escape(line) or ' '}</code></td><td>{' '.join(marks.get(number, ()))}</td></tr>"
        for number, line in enumerate(lines, 1)
    ]
    return [f"<h2>{escape(path)}</h2>", '<table class="source">', *rows, "</table>"]


# -- the tables ---------------------------------------------------------------------------------------------------------------------------
def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Cells are HTML; a column whose name ends in a space is text, the first one too."""
    numbers = [k > 0 and not name.endswith(" ") for k, name in enumerate(columns)]

    def row(cells: Sequence[str], tag: str) -> str:
        shown = [f"<{tag}{' class=number' if n else ''}>{cell}</{tag}>" for cell, n in zip(cells, numbers, strict=True)]
        return f"<tr>{''.join(shown)}</tr>"

    return [
        f"<h2>{escape(title)}</h2>",
        "<table>",
        row([escape(c.strip()) for c in columns], "th"),
        *[row(r, "td") for r in rows],
        "</table>",
    ]


def _flushes(sites: Sequence[Site]) -> list[str]:
    if not sites:
        return ["<h2>Flushes</h2>", "<p>None: nothing was observed.</p>"]
    rows = [
        (
            escape(s.cause),
            f"<code>{escape(s.where)}</code>",
            f"{s.count:,}",
            f"{s.steps:,}",
            f"{s.live:,}",
            f"{s.host_steps:,}",
            escape(listed(s.runs)),
            duration(s.seconds),
        )
        for s in sites
    ]
    return _table("Flushes", ("cause", "line ", "count", "steps", "results held", "steps in NumPy", "run by ", "time"), rows)


def _fallbacks(fallbacks: Sequence[Fallback]) -> list[str]:
    if not fallbacks:
        return ["<h2>Fallbacks</h2>", "<p>None.</p>"]
    rows = [
        (escape(f.function), f"<code>{escape(f.where)}</code>", f"{f.count:,}", f"{f.nbytes / 1024:,.1f}", duration(f.seconds))
        for f in fallbacks
    ]
    return _table("Fallbacks", ("function", "line ", "count", "KiB", "time"), rows)


def _programs(report: Report) -> list[str]:
    if not report.programs:
        return ["<h2>Compiled programs</h2>", "<p>None: no program came twice.</p>"]
    rows = []
    for number, program in enumerate(report.programs, 1):
        parts = "<br>".join(_stretch(stretch) for stretch in program.stretches) or "copies of inputs"
        rows.append((str(number), f"{program.runs:,}", f"{program.steps:,}", f"{program.nodes:,}", parts))
    return _table("Compiled programs", ("program", "runs", "steps", "MXNet nodes", "made of "), rows)


def _stretch(stretch: Stretch) -> str:
    remark = f' <span class="remark">({escape(stretch.remark)})</span>' if stretch.remark else ""
    name = f'<span class="mark {stretch.kind}">{escape(kind(stretch))}</span>'
    return f"{name} <code>{escape(together(stretch.lines))}</code> {escape(listed(stretch.operations))}{remark}"
