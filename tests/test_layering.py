"""Imports run one way: trace <- optimize <- exec <- numpy <- autograd <- symbols <- nn; only exec/mx.py imports mxnet. Local ones count."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import minpy_jit

PACKAGE = Path(minpy_jit.__file__).parent
LAYERS = ("trace", "optimize", "exec", "numpy", "autograd", "symbols", "nn")
# importable by all, import none of ours
FREE = ("config", "errors", "_version", "_requirements")


def imports_of(path: Path, package: Path = PACKAGE) -> list[tuple[int, str]]:
    """(line, dotted module) of every import in a file, ours written from the package's root: `.trace.op`."""
    here = path.relative_to(package).parts[:-1]
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0:
                found.append((node.lineno, node.module or ""))
                continue
            base = here[: len(here) - (node.level - 1)]
            module = ".".join((*base, *((node.module or "").split(".") if node.module else ())))
            if node.module is None or not module:
                found += [(node.lineno, "." + ".".join(filter(None, (module, alias.name)))) for alias in node.names]
            else:
                found.append((node.lineno, "." + module))
    return found


def violations(path: Path, package: Path = PACKAGE) -> list[str]:
    """What a file imports against the rules."""
    parts = path.relative_to(package).with_suffix("").parts
    layer = parts[0]
    found = []
    for line, module in imports_of(path, package):
        top = module.lstrip(".").split(".")[0]
        where = f"{path.relative_to(package)}:{line} imports {module}"
        if not module.startswith("."):
            if top == "mxnet" and parts != ("exec", "mx") and layer not in ("cli",):
                found.append(f"{where}: only exec/mx.py imports mxnet")
            continue
        if layer in FREE and top not in FREE:
            found.append(f"{where}: {layer} is importable by all and imports none of ours")
        if layer in LAYERS and top in LAYERS and LAYERS.index(top) > LAYERS.index(layer):
            found.append(f"{where}: {layer} is left of {top}")
        if layer in LAYERS and top not in LAYERS and top not in FREE and top:
            found.append(f"{where}: {layer} imports the outer module {top}")
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    assert violations(path) == []


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("trace/x.py", "from ..exec import run"),
        ("trace/ops/x.py", "def f():\n    from ...numpy import array"),
        ("numpy/x.py", "import mxnet as mx"),
        ("optimize/x.py", "from ..exec.mx import lib"),
        ("errors.py", "from .trace import op"),
        ("exec/x.py", "from .. import autograd"),
    ],
)
def test_the_check_rejects(tmp_path: Path, where: str, code: str) -> None:
    path = tmp_path / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    assert violations(path, tmp_path)


def test_importing_loads_no_mxnet() -> None:
    import subprocess
    import sys

    code = "import sys, minpy_jit.numpy as np; x = np.ones(3) + 1; sys.exit('mxnet' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
