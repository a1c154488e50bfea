"""Settings: every one is an attribute of `config`, an environment variable `MINPY_JIT_*`, and validated when it is set.

`with config.override(max_steps=10): ...` scopes a change; a plain assignment changes the process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

_TRUE, _FALSE = ("1", "true", "on", "yes"), ("0", "false", "off", "no")


def _parse_bool(text: str) -> bool:
    lowered = text.lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ValueError(text)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its default, how text becomes a value, which values are legal, and what it means."""

    default: Any
    parse: Callable[[str], Any]
    legal: Callable[[Any], bool]
    legal_text: str
    meaning: str


def _choice(default: str, choices: tuple[str, ...], meaning: str) -> Setting:
    return Setting(default, str, lambda v: v in choices, " | ".join(choices), meaning)


def _boolean(default: bool, meaning: str) -> Setting:
    return Setting(default, _parse_bool, lambda v: isinstance(v, bool), "True | False", meaning)


def _integer(default: int, low: int, meaning: str) -> Setting:
    return Setting(default, int, lambda v: type(v) is int and v >= low, f"an integer >= {low}", meaning)


def _text(default: str, meaning: str) -> Setting:
    return Setting(default, str, lambda v: isinstance(v, str), "a string", meaning)


SETTINGS: dict[str, Setting] = {
    "mode": _choice("lazy", ("lazy", "eager", "numpy"), "default of minpy_jit.mode(): how an operation is executed"),
    "engine": _choice("auto", ("auto", "naive", "threaded"), "MXNet engine, chosen once when mxnet loads"),
    "threads": _integer(0, 0, "OpenMP threads of MXNet's operators; 0 means one per available core"),
    "native": _boolean(True, "compile fused loops to native code, where the extension was built"),
    "cache_dir": _text("", "folder of compiled code; empty: ~/.cache/minpy_jit (or under XDG_CACHE_HOME); off: none"),
    "max_cache_bytes": _integer(1 << 28, 0, "bytes that compiled code may occupy in that folder"),
    "first_run": _choice("reference", ("reference", "mxnet"), "who runs a segment that is met for the first time"),
    "verify": _boolean(False, "re-type every pass's result and check every step's result against its type"),
    "exact_products": _boolean(False, "never scale and add a matrix product while it is summed up, which rounds otherwise"),
    "deterministic": _boolean(False, "MXNet's operators from the first encounter on, none fused: not a bit depends on flushes"),
    "provenance": _choice("first", ("first", "exact"), "'exact' makes the call site part of a step's identity"),
    "repr_mode": _choice("value", ("value", "lazy"), "'lazy': repr of a pending array shows what is pending and runs nothing"),
    "fallback": _choice("ignore", ("ignore", "warn", "raise"), "what happens when a function runs in NumPy (it is always counted)"),
    "check_nan": _boolean(False, "raise FloatingPointError naming the first step whose result has a NaN or infinity"),
    "max_steps": _integer(1000, 1, "a segment is cut after this many steps, unless it was observed soon after that the last time"),
    "max_pending_bytes": _integer(1 << 30, 1, "a segment is cut when its results would occupy this many bytes, with the same exception"),
    "max_trie_steps": _integer(200_000, 16, "recorded steps that are remembered per thread"),
    "max_variants": _integer(32, 1, "programs that end at one line and differ in shapes or dtypes alone before the user is told"),
    "max_executors": _integer(256, 1, "bound executors that are kept"),
    "max_executor_bytes": _integer(2 << 30, 1, "bytes that cached executors may hold"),
    "max_instances": _integer(4, 1, "executors of one plan that may be bound at a time"),
    "flush_log": _integer(256, 0, "flushes remembered by minpy_jit.flush_log()"),
}


class Config:
    """The settings as attributes. Reading is an attribute access; setting validates.

    Raises:
        ValueError: an illegal value (the message lists the legal ones).
        AttributeError: an unknown setting.
    """

    __slots__ = (*SETTINGS, "_listeners")
    _listeners: list[Callable[[str], None]]

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, environ: dict[str, str] | None = None) -> None:
        object.__setattr__(self, "_listeners", [])
        env = os.environ if environ is None else environ
        for name, setting in SETTINGS.items():
            text = env.get(f"MINPY_JIT_{name.upper()}")
            if text is None:
                value = setting.default
            else:
                try:
                    value = setting.parse(text)
                except ValueError:
                    raise ValueError(
                        f"[config] MINPY_JIT_{name.upper()}={text!r} is not legal; legal values: {setting.legal_text}"
                    ) from None
            setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        setting = SETTINGS.get(name)
        if setting is None:
            raise AttributeError(f"[config] no setting {name!r}; settings: {', '.join(SETTINGS)}")
        if not setting.legal(value):
            raise ValueError(f"[config] {name} = {value!r} is not legal; legal values: {setting.legal_text}")
        object.__setattr__(self, name, value)
        for listener in self._listeners:
            listener(name)

    def on_change(self, listener: Callable[[str], None]) -> None:
        """Call `listener(name)` after each later change (the recorder caches limits)."""
        self._listeners.append(listener)

    @contextmanager
    def override(self, **settings: Any) -> Iterator[None]:
        """Scoped change of settings."""
        before = {name: getattr(self, name) for name in settings}
        try:
            for name, value in settings.items():
                setattr(self, name, value)
            yield
        finally:
            for name, value in before.items():
                setattr(self, name, value)

    def __repr__(self) -> str:
        return "Config(" + ", ".join(f"{name}={getattr(self, name)!r}" for name in SETTINGS) + ")"


config = Config()
