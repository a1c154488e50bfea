"""`minpy-jit explain`: what a script's report says, its page of HTML, and that the script ends as it would under python."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.cli import page, report
from minpy_jit.cli.report import Fallback, Program, Report, Site, Stretch, together
from minpy_jit.config import config
from minpy_jit.exec import regions
from minpy_jit.exec.describe import parts
from minpy_jit.exec.run import plan_cache

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = """
    import numpy as np

    def work(x):
        for _ in range(3):
            x = np.tanh(x) * 2 + x[::-1]
        return x  # <b>not bold</b> & "quoted"

    x = np.linspace(0, 1, 20_000)
    for i in range(4):
        x = work(x) / 10
        print(f"{float(x.sum()):.6f}")
    print(np.logaddexp.reduce(x) > 0)
    unseen = x * 2
"""


def explain(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return subprocess.run(
        [sys.executable, "-m", "minpy_jit", "explain", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


class Page(HTMLParser):
    """What a page says: its text, and the tags it is made of, which must be closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.tags, self.attributes, self.open = "", [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_script_explained(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))
    ran = explain("script.py", "--html", "page.html", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    printed, _, said = ran.stdout.partition("\nminpy-jit explain: script.py\n")
    plain = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert printed == plain.stdout
    # four flushes by float(), all at its line, and what nothing looked at
    assert re.search(r"float +script\.py:12 +4 ", said)
    assert re.search(r"logaddexp\.reduce +script\.py:13 +1 ", said)
    assert "pending step(s) that nothing observed were never run" in said
    runner = "a region" if regions.built() and config.native else "MXNet"
    assert re.search(rf"1 +3 +\d+ +\d+ +{runner}, \d+ steps +script\.py:.*tanh 3, ", said)

    html = (tmp_path / "page.html").read_text()
    found = Page(html)
    assert "flushed by float ×4" in found.text and "logaddexp.reduce in NumPy ×1" in found.text
    assert 'return x  # <b>not bold</b> & "quoted"' in found.text
    assert "b" not in found.tags and "script" not in found.tags
    # nothing is loaded from elsewhere
    assert not [name for name, _ in found.attributes if name in ("src", "href")]
    assert "url(" not in html and "@import" not in html


def test_the_scripts_own_arguments_and_its_end(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import sys, numpy as np\nprint(sys.argv[1:], np.ones(2) + 1)\nsys.exit(3)\n")
    ran = explain("script.py", "--html", "page.html", "--", "--html", "x", cwd=tmp_path)
    assert ran.returncode == 3
    assert ran.stdout.startswith("['--html', 'x'] [2. 2.]\n")
    assert "script.py:2" in ran.stdout and "script.py:2" in (tmp_path / "page.html").read_text()
    (tmp_path / "script.py").write_text("import numpy as np\nprint(np.ones(2) + 1)\n1 / 0\n")
    ran = explain("script.py", cwd=tmp_path)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert "script.py:2" in ran.stdout


def test_a_repeated_script_is_reported_once(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import numpy as np\nprint((np.ones(50_000) * 3 + 1).sum())\n")
    ran = explain("--repeat", "3", "script.py", cwd=tmp_path)
    assert ran.stdout.startswith("200000.0\n" * 3 + "\nminpy-jit explain")
    assert "1 flush(es), 1 run(s) of MXNet executors, 0 compile(s)" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["none.py"], "minpy-jit explain: cannot read 'none.py': No such file or directory"),
        (["script.py", "--html", "no/page.html"], "no/page.html': No such file or directory"),
        (["script.py", "--repeat", "0"], "--repeat: 0; at least 1"),
    ],
)
def test_what_is_refused(arguments: list[str], text: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("print('ran')\n")
    ran = explain(*arguments, cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert text in ran.stderr


# -- what a report is made of -------------------------------------------------------------------------------------------------------------
@pytest.fixture
def _fresh() -> Iterator[None]:
    before = config.flush_log
    minpy_jit.clear_caches()
    yield
    config.flush_log = before
    minpy_jit.clear_caches()


@pytest.mark.usefixtures("_fresh")
def test_parts_of_a_plan_are_all_its_steps() -> None:
    x = np.array(numpy.linspace(0.0, 1.0, 50_000))
    for _ in range(2):
        y = np.sort(np.exp(x) * 2 - x)
        (np.fmod(y, 0.5) + 1).tolist()
    (plan,) = plan_cache.plans.values()
    found = parts(plan)
    positions = [p for part in found for p in part.nodes]
    names = [plan.graph.nodes[p].op.name for p in positions]
    assert len(set(positions)) == len(positions)
    assert {"exp", "multiply", "subtract", "sort", "fmod", "add"} <= set(names)
    kinds = {plan.graph.nodes[p].op.name: part.kind for part in found for p in part.nodes}
    assert kinds["fmod"] == (
        "NumPy" if any(s.name == "fmod" for s in (plan.graph.nodes[p].op for p in plan.host_positions)) else kinds["fmod"]
    )
    assert set(plan.host_positions) == {p for part in found if part.kind == "NumPy" for p in part.nodes}


@pytest.mark.usefixtures("_fresh")
@pytest.mark.skipif(not regions.built(), reason="native code is not built here")
def test_explain_of_a_function_names_its_regions() -> None:
    x = np.array(numpy.linspace(0.0, 1.0, 50_000))
    with config.override(native=True):
        text = minpy_jit.explain(lambda: np.exp(x) * 2 - x)
    assert re.search(r"region of \d+ steps: %\d+", text) is not None
    minpy_jit.clear_caches()
    with config.override(native=False):
        assert "region of" not in minpy_jit.explain(lambda: np.exp(x) * 2 - x)


def test_lines_together() -> None:
    assert together(["a.py:3", "a.py:4", "a.py:5", "a.py:9", "b.py:1"]) == "a.py:3-5, 9; b.py:1"
    assert together([]) == ""


def hostile() -> Report:
    """A report whose every text would be markup if it were not escaped."""
    bad = "<script>alert('&')</script>"
    counts = dict.fromkeys(("recorded", "steps", "replayed", "flushes", "executor_runs", "compiles", "host_steps", "fallbacks"), 1)
    site = Site(bad, f"{bad}:1", 1, 2, 1, 0, 0.5)
    site.runs[bad] += 1
    program = Program(1, 2, 1, [Stretch("region", {bad: 2}, [f"{bad}:7"]), Stretch("NumPy", {bad: 1}, [], bad)])
    return Report(bad, "lazy", {**counts, "seconds": {bad: 1.0}}, 0, [site], [Fallback(bad, f"{bad}:2", 1, 10.0, 0.1)], [program])


def test_a_page_is_escaped() -> None:
    found = Page(page.html(hostile()))
    assert "script" not in found.tags
    assert found.text.count("<script>alert('&')</script>") > 8


def test_a_page_of_nothing() -> None:
    counts = dict.fromkeys(("recorded", "steps", "replayed", "flushes", "executor_runs", "compiles", "host_steps", "fallbacks"), 0)
    empty = Report("s.py", "lazy", {**counts, "seconds": {}}, 0, [], [], [])
    text = Page(page.html(empty)).text
    assert "None: nothing was observed." in text and "None: no program came twice." in text
    assert report.program_table(empty) is None and report.tables(empty) == []
