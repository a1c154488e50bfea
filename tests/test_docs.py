"""What the README and the pages of docs/ say is so: their programs print what stands there, their files exist, their tables are current."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minpy_jit.trace import op as op_module
from minpy_jit.trace.op import TABLE, Sample, define
from minpy_jit.trace.ops import elementwise, families

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
GRAPH = (ROOT / "docs" / "one-graph.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    """Fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def run(program: str, folder: Path) -> str:
    """Run a program in a fresh Python, and return what it prints."""
    path = folder / "program.py"
    path.write_text(program)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, path.name], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_readmes_example(tmp_path: Path) -> None:
    assert run(blocks(README, "python")[0], tmp_path) == blocks(README, "text")[0]


def test_the_readmes_op() -> None:
    names = {**vars(families), **vars(elementwise), "Sample": Sample, "define": define, "np": np}
    before = dict(TABLE._ops)
    try:
        exec(blocks(README, "python")[1], names)
        softplus = TABLE["softplus"]
        from minpy_jit import grad
        from minpy_jit import numpy as ours

        x = np.linspace(-3, 3, 12).reshape(3, 4)
        for dtype in ("float32", "float64"):
            for _ in range(3):
                found = softplus(ours.array(x.astype(dtype)))
                assert found.dtype == dtype
                np.testing.assert_allclose(found.asnumpy(), np.log1p(np.exp(x)), rtol=1e-5)
        gradient = grad(lambda v: ours.sum(softplus(v)))(ours.array(x))
        np.testing.assert_allclose(gradient.asnumpy(), 1 / (1 + np.exp(-x)), rtol=1e-6)
    finally:
        TABLE._ops.clear()
        TABLE._ops.update(before)
    assert op_module.TABLE is TABLE


def test_the_graph_pages_programs(tmp_path: Path) -> None:
    symbolic, imperative, explained = blocks(GRAPH, "python")
    printed = run("import numpy\nnumpy.bool = numpy.bool_\n" + symbolic, tmp_path)
    assert printed.strip() == "[3. 3. 3. 3. 3. 3. 3. 3. 3. 3.]"
    again = run(imperative + explained, tmp_path)
    first, _, rest = again.partition("\n")
    assert first == printed.strip()

    def settled(text: str) -> str:
        return re.sub(r"[\d.]+ µs", "N µs", text.replace(str(tmp_path) + os.sep, "").strip())

    assert settled(rest) == settled(blocks(GRAPH, "text")[0])


def test_the_settings_page_is_current() -> None:
    written = runpy.run_path(str(ROOT / "docs" / "settings.py"))
    assert written["PAGE"].read_text() == written["page"](), "run: python docs/settings.py"


@pytest.mark.parametrize("page", ["README.md", "docs/one-graph.md", "docs/settings.md"])
def test_files_that_are_named_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    named = {n for n in re.findall(r"`([\w/.-]+\.(?:py|md|toml))`", text) if "/" in n}
    named |= set(re.findall(r"\]\(([\w/.-]+)\)", text))
    missing = {
        n
        for n in named
        if not (ROOT / n).exists() and not (ROOT / "minpy_jit" / n).exists() and not (ROOT / page).parent.joinpath(n).exists()
    }
    assert not missing
    if page == "README.md":
        assert len(named) > 10


def test_the_readme_gives_a_reason_for_each_dependency() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    table = README.partition("## Dependencies")[2].partition("\n## ")[0]
    required = text.partition("\ndependencies = [")[2].partition("\n]")[0]
    optional = text.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    listed = re.findall(r'"([a-z][\w-]*)', re.sub(r"#.*", "", required + optional))
    assert {"mxnet", "rich", "tqdm"} <= set(listed)
    assert not [name for name in listed if name != "minpy-jit" and name not in table]
