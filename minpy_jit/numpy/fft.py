"""`numpy.fft` on our arrays: complex values live on the host, so these run in NumPy; frequencies and shifts are ours."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from .convert import host
from .fallback import fallback
from .protocols import register
from .shaping import handle, roll


def fftshift(x: Any, axes: Any = None) -> Any:
    """The zero-frequency component moved to the centre."""
    return _shifted(x, axes, 1)


def ifftshift(x: Any, axes: Any = None) -> Any:
    """The inverse of `fftshift`."""
    return _shifted(x, axes, -1)


def _shifted(x: Any, axes: Any, sign: int) -> Any:
    given = handle(x)
    if axes is None:
        axes = tuple(range(given.type.ndim))
    elif isinstance(axes, (int, np.integer)):
        axes = (int(axes),)
    # n // 2 to the right, or -(n // 2)
    return roll(given, tuple([sign * (given.type.shape[a] // 2) for a in axes]), tuple(axes))


def fftfreq(n: int, d: float = 1.0) -> Any:
    """Sample frequencies of the discrete Fourier transform."""
    return host(np.fft.fftfreq(n, float(d)))


def rfftfreq(n: int, d: float = 1.0) -> Any:
    """Sample frequencies of the transform of real input."""
    return host(np.fft.rfftfreq(n, float(d)))


def _fill() -> None:
    module = sys.modules[__name__]
    for name in dir(np.fft):
        theirs = getattr(np.fft, name)
        if name.startswith("_") or name in vars(module):
            if callable(theirs) and name in vars(module):
                register(theirs, vars(module)[name])
            continue
        ours = theirs
        if callable(theirs) and name != "test":
            ours = fallback(theirs, f"fft.{name}")
            register(theirs, ours)
        setattr(module, name, ours)


_fill()
