"""How the commands print: one console, one kind of table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

# the width of lines that go to a file or a pipe, where rich would take 80 and cut file names
WIDTH = 140


def console(stderr: bool = False) -> Console:
    """Where a command prints."""
    from rich.console import Console

    found = Console(stderr=stderr, highlight=False, soft_wrap=False)
    return found if found.is_terminal else Console(stderr=stderr, highlight=False, width=WIDTH)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Any:
    """A table; the first column is text, the others are numbers unless their name ends in a space."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD)
    for k, name in enumerate(columns):
        text = k == 0 or name.endswith(" ")
        made.add_column(Text(name.strip()), justify="left" if text else "right", overflow="fold")
    for row in rows:
        made.add_row(*[Text(str(cell)) for cell in row])
    return made


def relative(where: str) -> str:
    """`file:line` with the file as seen from the current folder, where that is shorter."""
    path, colon, line = where.rpartition(":")
    return near(path) + colon + line


def near(path: str) -> str:
    """A path as seen from the current folder, where that is shorter."""
    found = os.path.relpath(path) if os.path.isabs(path) else path
    return found if len(found) < len(path) else path


def duration(seconds: float) -> str:
    """A time with three digits and a unit that fits."""
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}" if seconds * factor < 999.5 else f"{seconds * factor:.0f} {unit}"
    return f"{seconds * 1e9:.0f} ns"
