"""What minpy_jit cannot run without, told in one sentence at import rather than by a traceback out of MXNet.

The first thing that `minpy_jit/__init__.py` calls. It may import nothing of ours, and neither NumPy nor MXNet, whose own imports are what
would fail.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable

MXNET_VERSION = "1.9.1"


def unmet(
    python: tuple[int, ...], system: str, machine: str, numpy: str | None, mxnet: str | None, builds: tuple[str, ...] = ()
) -> str | None:
    """Say the first requirement that is not met.

    Args:
        python: version numbers, as in `sys.version_info[:3]`.
        system: as `platform.system()` says it.
        machine: as `platform.machine()` says it.
        numpy: version of the installed NumPy; None if there is none.
        mxnet: version of the installed MXNet; None if there is none.
        builds: names of the distributions that it comes from, `mxnet` or `mxnet-cu112`.

    Returns:
        One sentence, or None where everything is met.

    >>> unmet((3, 11, 7), "Linux", "x86_64", "1.26.4", "1.9.1")
    >>> unmet((3, 9, 18), "Linux", "x86_64", "1.26.4", "1.9.1")
    '[minpy_jit] this Python is not supported; found Python 3.9.18; use Python 3.10, 3.11 or 3.12'
    """
    if not (3, 10) <= tuple(python[:2]) <= (3, 12):
        found = ".".join(map(str, python))
        return f"[minpy_jit] this Python is not supported; found Python {found}; use Python 3.10, 3.11 or 3.12"
    if system != "Linux" or machine != "x86_64":
        return f"[minpy_jit] this platform is not supported; found {system} {machine}; use Linux x86-64 (a container or WSL 2 will do)"
    if numpy is None or not (1, 26) <= _release(numpy) < (2,):
        found = _found("NumPy", numpy)
        return (
            f'[minpy_jit] NumPy 1.26 is needed (MXNet does not run on NumPy 2); found {found}; run: python -m pip install "numpy>=1.26,<2"'
        )
    if len(builds) > 1:
        return (
            f"[minpy_jit] two builds of MXNet overwrite each other's files; found {' and '.join(builds)}; "
            f"run: python -m pip uninstall -y {' '.join(builds)}; and install one of them again"
        )
    # A local label (1.9.1+cu112) names a build, not another version.
    if mxnet is None or mxnet.partition("+")[0] != MXNET_VERSION:
        found = _found("MXNet", mxnet)
        return f"[minpy_jit] MXNet {MXNET_VERSION} is needed; found {found}; run: python -m pip install mxnet=={MXNET_VERSION}"
    return None


def check() -> None:
    """Raise ImportError if this interpreter, this platform or an installed package is not one that minpy_jit runs on."""
    mxnet = installed_mxnet()
    problem = unmet(
        sys.version_info[:3],
        platform.system(),
        platform.machine(),
        installed_version("numpy"),
        mxnet[0][1] if mxnet else None,
        tuple([name for name, _ in mxnet]),
    )
    if problem:
        raise ImportError(problem)


def installed_version(name: str) -> str | None:
    """Look up the version of an installed distribution without importing it.

    Returns:
        The version found first along `sys.path`, or None.
    """
    found = _installed(lambda candidate: candidate == name)
    return found[0][1] if found else None


def installed_mxnet() -> list[tuple[str, str]]:
    """Name and version of each installed build of MXNet: `mxnet` for CPUs, `mxnet-cu112` and its like for CUDA.

    More than one is a broken installation: all of them are the package `mxnet`.
    """
    return _installed(lambda candidate: candidate == "mxnet" or candidate[:8] == "mxnet-cu")


def _installed(matches: Callable[[str], bool]) -> list[tuple[str, str]]:
    """Distributions whose plain name (lower case, hyphens) matches, the first along `sys.path` of each name."""
    found: dict[str, str] = {}
    # The names of the dist-info folders say it all: 0.5 ms; importing importlib.metadata alone takes 15 to 30.
    for folder in sys.path:
        try:
            entries = os.listdir(folder or ".")
        except OSError:
            continue  # a zip file, or a folder that does not exist
        for entry in entries:
            stem, suffix = os.path.splitext(entry)
            distribution, _, version = stem.rpartition("-")
            name = distribution.lower().replace("_", "-")
            if suffix == ".dist-info" and matches(name):
                found.setdefault(name, version)
    if not found:
        # Not there: it is about to be an error, unless another kind of installation (egg-info, an import hook) holds it.
        from importlib.metadata import distributions

        for installed in distributions():
            name = (installed.metadata["Name"] or "").lower().replace("_", "-")
            if matches(name):
                found.setdefault(name, installed.version)
    return list(found.items())


def _release(version: str) -> tuple[int, ...]:
    """Return major and minor of a version: (2, 0) of '2.0.0rc1'."""
    return tuple(int(number) if number.isdigit() else 0 for number in version.split(".")[:2])


def _found(package: str, version: str | None) -> str:
    return f"{package} {version}" if version else f"no {package}"
