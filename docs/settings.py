"""Writes docs/settings.md from minpy_jit/config.py: `python docs/settings.py`. A test compares the two."""

from __future__ import annotations

from pathlib import Path

from minpy_jit.config import SETTINGS

PAGE = Path(__file__).with_name("settings.md")


def page() -> str:
    """The page."""
    lines = [
        "# Settings",
        "",
        "Each is an attribute of `minpy_jit.config` and, read once when the package is imported, an environment variable `MINPY_JIT_*`.",
        "A value that is not legal raises `ValueError`, which lists those that are.",
        "`with minpy_jit.config.override(max_steps=10): ...` scopes a change.",
        "",
        "This page is written by `docs/settings.py`.",
        "",
        "| attribute | variable | default | legal values | meaning |",
        "|---|---|---|---|---|",
    ]
    for name, setting in SETTINGS.items():
        legal = setting.legal_text.replace("|", "\\|")
        lines.append(f"| `{name}` | `MINPY_JIT_{name.upper()}` | `{setting.default!r}` | {legal} | {setting.meaning} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
