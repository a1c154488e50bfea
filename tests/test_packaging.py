"""The wheel and the sdist hold what they should, and work where the checkout is not."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from minpy_jit._version import __version__
from minpy_jit.trace.compiled import MODULES, library

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
NOT_SOURCE = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "*.so", "*.o")


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command as a user's shell would, and return what it prints; a failure shows all of it."""
    ours = ("NPY_PROMOTION_STATE", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if name not in ours and not name.startswith("PYTEST_")}
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    result = subprocess.run(command, cwd=cwd, env=environment, text=True, timeout=1200, **streams)
    assert result.returncode == 0, f"{command} failed:\n{result.stdout}"
    return result.stdout


@pytest.fixture(scope="module")
def archives(tmp_path_factory) -> dict[str, Path]:
    """Build both archives from a copy of the checkout, which stays as it is."""
    folder = tmp_path_factory.mktemp("build")
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=NOT_SOURCE)
    run(sys.executable, "-m", "build", "--outdir", folder / "dist", source, cwd=folder)
    (wheel,) = (folder / "dist").glob("*.whl")
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    return {"wheel": wheel, "sdist": sdist}


def sources(*folders: str) -> set[str]:
    """The checkout's Python files in these folders, relative to its top."""
    return {path.relative_to(ROOT).as_posix() for folder in folders for path in (ROOT / folder).rglob("*.py")}


def test_wheel_holds_the_package_and_nothing_else(archives):
    assert archives["wheel"].name.startswith(f"minpy_jit-{__version__}-")
    held = set(zipfile.ZipFile(archives["wheel"]).namelist())
    assert sources("minpy_jit") <= held
    assert {name.split("/")[0] for name in held} == {"minpy_jit", f"minpy_jit-{__version__}.dist-info"}
    assert f"minpy_jit-{__version__}.dist-info/licenses/LICENSE" in held
    # the recorder's hot path, compiled: the modules, and the library that they load
    compiled = {
        name.removeprefix("minpy_jit/trace/").split(".")[0] for name in held if name.startswith("minpy_jit/trace/") and name.endswith(".so")
    }
    assert compiled == {*MODULES, f"{library(ROOT / 'minpy_jit/trace')}__mypyc"}


def test_sdist_holds_what_tests_and_demo_need(archives):
    top = f"minpy_jit-{__version__}"
    assert archives["sdist"].name == f"{top}.tar.gz"
    with tarfile.open(archives["sdist"]) as archive:
        held = {name.removeprefix(f"{top}/") for name in archive.getnames()}
    assert sources("minpy_jit", "tests", "examples", "benchmarks") <= held
    assert {"pyproject.toml", "setup.py", "Makefile", "README.md", "LICENSE", "CHANGELOG.md", "scripts/make_venv.sh"} <= held
    assert not [name for name in held if "__pycache__" in name or name.endswith((".pyc", ".so", ".o"))]


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_demo_runs_from_an_installed_archive(archives, kind, tmp_path):
    environment = tmp_path / "an environment"
    run(sys.executable, "-m", "venv", environment, cwd=tmp_path)
    python = environment / "bin" / "python"
    run(python, "-m", "pip", "install", "--disable-pip-version-check", f"{archives[kind]}[demo]", cwd=tmp_path)

    where = run(python, "-c", "import minpy_jit; print(minpy_jit.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(environment)
    assert run(environment / "bin" / "minpy-jit", "demo", cwd=tmp_path).strip()
    assert run(python, "-m", "pip", "check", cwd=tmp_path).strip() == "No broken requirements found."
