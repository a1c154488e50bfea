"""Processes of our own: the command `minpy-jit` in a fresh one, and contestants of a timing that must not share ours."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

# what `import minpy_jit` needs on its path where the package is not installed
ROOT = Path(__file__).resolve().parents[2]


def python(function: str, *arguments: str) -> list[str]:
    """Command that calls `module:function(arguments)` of this package in a fresh Python and exits with what it returns."""
    module, _, name = function.partition(":")
    code = f"import sys; sys.path[0] = {str(ROOT)!r}; from {module} import {name}; sys.exit({name}(sys.argv[1:]))"
    return [sys.executable, "-c", code, *arguments]


def plain_mxnet() -> dict[str, str]:
    """The environment of a process that uses MXNet as it comes: its default engine, no setting of its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MXNET_")}


class Contestant:
    """A script in a process of its own that times itself: for each line with a number of calls it prints the seconds that they took.

    Calling it runs one block. Between blocks the process waits, so blocks of several contestants can be interleaved.

    Args:
        script: path, and its arguments.
        environment: of the process; None means ours.

    Raises:
        RuntimeError: at the call, if the process has ended; with what it said.
    """

    def __init__(self, script: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> None:
        self.said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self.command = [sys.executable, *map(str, script)]
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said, text=True, bufsize=1, env=environment
        )

    def __call__(self, calls: int) -> float:
        """Seconds that `calls` calls took."""
        return float(self.ask(str(calls)))

    def ask(self, line: str) -> str:
        """The line that it answers a line with."""
        assert self.process.stdin is not None and self.process.stdout is not None
        answer = ""
        with suppress(OSError):
            self.process.stdin.write(f"{line}\n")
            answer = self.process.stdout.readline()
        if not answer:
            self.process.wait()
            self.said.seek(0)
            text = self.said.read().decode(errors="replace")
            raise RuntimeError(f"{self.command} ended with status {self.process.returncode}:\n{text}")
        return answer.rstrip("\n")

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None and self.process.stdout is not None
        # what could not be written is still in the buffer
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.said.close()

    def __enter__(self) -> Contestant:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
