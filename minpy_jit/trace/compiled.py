"""Whether the recorder's hot path runs as machine code (see setup.py), and whether that was made from the source that lies beside it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Container
from pathlib import Path

from . import replay


def is_compiled() -> bool:
    """Whether trace/replay.py runs as machine code."""
    return not str(replay.__file__).endswith(".py")


def check(file: Path, name: str, loaded: Container[str]) -> None:
    """Refuse machine code that was made from another source than the one beside it.

    Args:
        file: where the module `name` was loaded from.
        loaded: the modules that there are; the one that it loaded is named after its source.

    Raises:
        ImportError: they differ.
    """
    source = file.with_name("replay.py")
    if file == source or not source.exists():
        return
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    if f"{name}_{digest}__mypyc" not in loaded:
        raise ImportError(
            f"[minpy_jit] {file} was compiled from another replay.py than the one beside it; "
            f"compile it anew (pip install -e .), or remove {file.name} to run uncompiled"
        )


check(Path(str(replay.__file__)), replay.__name__, sys.modules)
