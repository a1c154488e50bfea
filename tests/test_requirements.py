"""The requirements are checked at import, and each one that is not met is told in one sentence."""

import subprocess
import sys
from pathlib import Path

import pytest

from minpy_jit import _requirements
from minpy_jit._requirements import MXNET_VERSION, check, installed_mxnet, installed_version, unmet

FIT = {"python": (3, 11, 7), "system": "Linux", "machine": "x86_64", "numpy": "1.26.4", "mxnet": "1.9.1"}

PYTHON = "[minpy_jit] this Python is not supported; found Python {}; use Python 3.10, 3.11 or 3.12"
PLATFORM = "[minpy_jit] this platform is not supported; found {}; use Linux x86-64 (a container or WSL 2 will do)"
NUMPY = '[minpy_jit] NumPy 1.26 is needed (MXNet does not run on NumPy 2); found {}; run: python -m pip install "numpy>=1.26,<2"'
MXNET = "[minpy_jit] MXNet 1.9.1 is needed; found {}; run: python -m pip install mxnet==1.9.1"


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"python": (3, 10, 0)},
        {"python": (3, 12, 1)},
        {"numpy": "1.26.0"},
        {"numpy": "1.26.0rc1"},
        {"numpy": "1.27.0.dev0"},
        {"mxnet": "1.9.1+cu112"},
    ],
)
def test_what_is_supported(change):
    assert unmet(**(FIT | change)) is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"python": (3, 9, 18)}, PYTHON.format("3.9.18")),
        ({"python": (3, 13, 0)}, PYTHON.format("3.13.0")),
        ({"python": (2, 7, 18)}, PYTHON.format("2.7.18")),
        ({"python": (4, 11, 0)}, PYTHON.format("4.11.0")),
        ({"system": "Darwin", "machine": "arm64"}, PLATFORM.format("Darwin arm64")),
        ({"system": "Windows", "machine": "AMD64"}, PLATFORM.format("Windows AMD64")),
        ({"machine": "aarch64"}, PLATFORM.format("Linux aarch64")),
        ({"numpy": "2.0.0rc1"}, NUMPY.format("NumPy 2.0.0rc1")),
        ({"numpy": "2.5.5"}, NUMPY.format("NumPy 2.5.5")),
        ({"numpy": "1.25.2"}, NUMPY.format("NumPy 1.25.2")),
        ({"numpy": None}, NUMPY.format("no NumPy")),
        ({"mxnet": "1.9.0"}, MXNET.format("MXNet 1.9.0")),
        ({"mxnet": "1.9.10"}, MXNET.format("MXNet 1.9.10")),
        ({"mxnet": "2.0.0b1"}, MXNET.format("MXNet 2.0.0b1")),
        ({"mxnet": None}, MXNET.format("no MXNet")),
    ],
)
def test_what_is_refused(change, sentence):
    assert unmet(**(FIT | change)) == sentence


def test_the_first_thing_wrong_is_told():
    assert unmet((3, 13, 0), "Darwin", "arm64", "2.1.0", None) == PYTHON.format("3.13.0")
    assert unmet((3, 12, 0), "Darwin", "arm64", "2.1.0", None) == PLATFORM.format("Darwin arm64")
    assert unmet((3, 12, 0), "Linux", "x86_64", "2.1.0", None) == NUMPY.format("NumPy 2.1.0")


def test_check_accepts_this_installation():
    check()


def test_check_raises_import_error(monkeypatch, tmp_path):
    site_packages(monkeypatch, tmp_path, "numpy-2.1.0", "mxnet-1.9.1")
    with pytest.raises(ImportError) as error:
        check()
    assert str(error.value) == NUMPY.format("NumPy 2.1.0")


def site_packages(monkeypatch, folder: Path, *distributions: str, suffix: str = ".dist-info") -> None:
    """Make `folder` the only place where packages are installed, and these the packages."""
    for distribution in distributions:
        name, _, version = distribution.rpartition("-")
        metadata = folder / f"{distribution}{suffix}"
        metadata.mkdir()
        (metadata / ("METADATA" if suffix == ".dist-info" else "PKG-INFO")).write_text(f"Name: {name}\nVersion: {version}\n")
    monkeypatch.setattr(sys, "path", [str(folder / "absent"), str(folder)])


@pytest.mark.parametrize("suffix", [".dist-info", ".egg-info"])
@pytest.mark.parametrize(
    ("distribution", "version"),
    [
        ("mxnet-1.9.1", "1.9.1"),
        ("mxnet_cu112-1.9.1", "1.9.1"),
        ("mxnet_cu112-2.0.0b1", "2.0.0b1"),
        ("mxnet-1.9.1+cu112", "1.9.1+cu112"),
        ("mxnet_tools-1.9.1", None),
        ("other-1.9.1", None),
    ],
)
def test_installed_mxnet_builds(monkeypatch, tmp_path, distribution, version, suffix):
    site_packages(monkeypatch, tmp_path, distribution, suffix=suffix)
    assert [v for _, v in installed_mxnet()] == ([] if version is None else [version])


@pytest.mark.parametrize("suffix", [".dist-info", ".egg-info"])
def test_two_builds_of_mxnet_are_refused(monkeypatch, tmp_path, suffix):
    site_packages(monkeypatch, tmp_path, "numpy-1.26.4", "mxnet-1.9.1", "mxnet_cu112-1.9.1", suffix=suffix)
    with pytest.raises(ImportError) as error:
        check()
    names = sorted(name for name, _ in installed_mxnet())
    assert names == ["mxnet", "mxnet-cu112"]
    first, second = (name for name, _ in installed_mxnet())
    assert str(error.value) == (
        f"[minpy_jit] two builds of MXNet overwrite each other's files; found {first} and {second}; "
        f"run: python -m pip uninstall -y {first} {second}; and install one of them again"
    )


def test_a_cuda_build_alone_is_accepted(monkeypatch, tmp_path):
    site_packages(monkeypatch, tmp_path, "numpy-1.26.4", "mxnet_cu112-1.9.1")
    check()
    assert installed_mxnet() == [("mxnet-cu112", "1.9.1")]


def test_the_same_build_twice_along_the_path_is_the_first(monkeypatch, tmp_path):
    (tmp_path / "user").mkdir()
    (tmp_path / "system").mkdir()
    site_packages(monkeypatch, tmp_path / "system", "mxnet-1.9.0")
    site_packages(monkeypatch, tmp_path / "user", "mxnet-1.9.1")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "user"), str(tmp_path / "system")])
    assert installed_mxnet() == [("mxnet", "1.9.1")]


def test_the_installed_version_is_the_one_first_on_the_path(monkeypatch, tmp_path):
    import numpy

    assert installed_version("numpy") == numpy.__version__
    site_packages(monkeypatch, tmp_path, "numpy-2.1.0")
    assert installed_version("numpy") == "2.1.0"


def test_check_imports_neither_numpy_nor_mxnet_nor_metadata():
    # Loaded by its path: `import minpy_jit` itself imports NumPy, once the check has passed.
    program = (
        "import runpy, sys; runpy.run_path(sys.argv[1])['check'](); print({'numpy', 'mxnet', 'importlib.metadata'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-c", program, _requirements.__file__], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.strip() == "set()"


def test_the_packaging_asks_for_the_same():
    pyproject = (Path(_requirements.__file__).parent.parent / "pyproject.toml").read_text()
    assert 'requires-python = ">=3.10,<3.13"' in pyproject
    assert '"numpy>=1.26,<2"' in pyproject
    assert f'"mxnet=={MXNET_VERSION}"' in pyproject
