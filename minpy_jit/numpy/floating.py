"""NumPy's floating-point error settings: where an error or a call is asked for, operations run at once, in NumPy, so that it comes where
it belongs.

NumPy's default, a warning, is not given: what is recorded runs later, or never.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from ..errors import TraceError, user_line
from ..trace.recorder import current

_QUIET = ("ignore", "warn")


class _Before(threading.local):
    """The mode of a thread before an error was asked for."""

    mode: str | None = None


_before = _Before()


def _follow() -> None:
    """Do as NumPy's settings of this thread say."""
    asked = any(kind not in _QUIET for kind in np.geterr().values())
    recorder = current()
    if asked and recorder.mode != "numpy":
        if recorder.session is not None:
            raise TraceError(
                f"[trace] {recorder.session.name!r} is traced with pure=True, but floating-point errors are to be raised inside it "
                f"({user_line()}); drop pure=True, or set numpy.errstate around the call"
            )
        _before.mode = recorder.mode
        recorder.set_mode("numpy")
    elif not asked and _before.mode is not None:
        before, _before.mode = _before.mode, None
        if recorder.mode == "numpy":
            recorder.set_mode(before)


class errstate(np.errstate):
    """`numpy.errstate`. Inside a block that asks for errors, calls or prints, every operation runs at once in NumPy.

    Example:
        >>> import minpy_jit.numpy as np
        >>> with np.errstate(divide="raise"):
        ...     np.ones(2) / 0
        Traceback (most recent call last):
            ...
        FloatingPointError: [divide] divide by zero encountered in divide
    """

    def __enter__(self) -> None:
        super().__enter__()
        try:
            _follow()
        except BaseException:
            super().__exit__(None, None, None)
            raise

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        _follow()


def seterr(all: Any = None, divide: Any = None, over: Any = None, under: Any = None, invalid: Any = None) -> Any:
    """`numpy.seterr`: as `errstate`, from here on; returns the settings before."""
    before = np.seterr(all, divide, over, under, invalid)
    _follow()
    return before
