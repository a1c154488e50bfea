"""The modules of the recorder's hot path: whether they run as machine code, and whether that was made from the sources that lie beside it.

setup.py runs this file by itself, to learn which they are: it imports nothing of ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

# compiled together, so that a call from one to the other is one of a C function
MODULES = ("calls", "replay")


def library(folder: Path) -> str:
    """The module that holds the machine code of all, named after the sources of which it is made.

    Args:
        folder: where they lie.
    """
    digest = hashlib.sha256()
    for name in MODULES:
        digest.update(hashlib.sha256((folder / f"{name}.py").read_bytes()).digest())
    return f"compiled_{digest.hexdigest()[:16]}"


def is_compiled() -> bool:
    """Whether the modules run as machine code."""
    return any(_is_machine_code(file) for file in _files())


def check(files: Iterable[Path]) -> None:
    """Refuse machine code of some of the modules only, or of other sources than those beside it.

    Args:
        files: from which `MODULES` are loaded. Machine code of one is a stub that says which library it loads.

    Raises:
        ImportError: told what to do.
    """
    found = {file: _is_machine_code(file) for file in files}
    stubs = [file for file in found if found[file]]
    if not stubs:
        return
    folder = stubs[0].parent
    remedy = f"compile them anew (pip install -e .), or remove {', '.join([file.name for file in stubs])} to run uncompiled"
    for file in found:
        if not found[file]:
            raise ImportError(f"[minpy_jit] {stubs[0]} is compiled, but {file.name}, which belongs to it, is not; {remedy}")
    if not all((folder / f"{name}.py").exists() for name in MODULES):
        # nothing to compare with
        return
    name = f"{library(folder)}__mypyc"
    for file in stubs:
        if name.encode() not in file.read_bytes():
            sources = " and ".join([f"{module}.py" for module in MODULES])
            raise ImportError(f"[minpy_jit] {file} was compiled from other sources than {sources} beside it; {remedy}")
    if not any((folder / f"{name}{suffix}").exists() for suffix in EXTENSION_SUFFIXES):
        raise ImportError(f"[minpy_jit] {folder / name}, which {stubs[0].name} loads, is missing; {remedy}")


def _files() -> list[Path]:
    """From where the modules are loaded, or will be."""
    found = [find_spec(f"{__package__}.{name}") for name in MODULES]
    return [Path(spec.origin) for spec in found if spec is not None and spec.origin is not None]


def _is_machine_code(file: Path) -> bool:
    return file.name.endswith(tuple(EXTENSION_SUFFIXES))


if __package__:
    check(_files())
