"""Machine code on disk, so that a program compiles once per machine, not once per process.

A file is named by what it was made from: the module's text, the processor, the versions of LLVM and of this package. It begins with a mark
and the digest of what follows; one that is damaged, or belongs to another user, is ignored and written anew. Files appear under their names
complete (written aside and renamed), so that processes may share the folder; the least recently used go when it grows past its limit.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from ..._version import __version__
from ...config import config

_MARK = b"minpy_jit region 1\n"
# value of the setting that means: no folder
OFF = "off"


def folder() -> Path | None:
    """Where the files are; None: nowhere."""
    if config.cache_dir == OFF:
        return None
    if config.cache_dir:
        return Path(config.cache_dir)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "minpy_jit"


def name_of(text: str, machine: str) -> str:
    """The name of the code of a module on a machine."""
    return hashlib.sha256("\0".join((__version__, machine, text)).encode()).hexdigest()


def load(name: str) -> bytes | None:
    """The code of that name, or None."""
    where = folder()
    if where is None:
        return None
    path = where / name
    try:
        with open(path, "rb") as file:
            # code of somebody else's is not run
            if os.fstat(file.fileno()).st_uid != os.geteuid():
                return None
            held = file.read()
    except OSError:
        return None
    mark, digest, code = held[: len(_MARK)], held[len(_MARK) : len(_MARK) + 32], held[len(_MARK) + 32 :]
    if mark != _MARK or hashlib.sha256(code).digest() != digest:
        return None
    # no clock of its own is needed: the time of the last use orders the files
    with suppress(OSError):
        os.utime(path)
    return code


def save(name: str, code: bytes) -> None:
    """Keep code under a name. A folder that cannot be written is as good as none."""
    where = folder()
    if where is None:
        return
    aside = None
    try:
        where.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(dir=where, prefix=".")
        with os.fdopen(handle, "wb") as file:
            file.write(_MARK + hashlib.sha256(code).digest() + code)
        os.replace(aside, where / name)
        _shrink(where)
    except OSError:
        if aside is not None:
            with suppress(OSError):
                os.unlink(aside)


def _shrink(where: Path) -> None:
    found = []
    for entry in os.scandir(where):
        # another process may remove it meanwhile
        with suppress(OSError):
            state = entry.stat()
            found.append((state.st_mtime, state.st_size, entry.path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= config.max_cache_bytes:
            break
        with suppress(OSError):
            os.unlink(path)
        total -= size
