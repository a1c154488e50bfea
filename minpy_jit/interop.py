"""MXNet's own Python package, for code that uses it beside us."""

from __future__ import annotations

from types import ModuleType


def mxnet() -> ModuleType:
    """The package `mxnet`, loaded (at the first call, one to two seconds) the way this library needs it: engine, BLAS and NumPy's removed
    names in place.

    >>> mxnet().__version__
    '1.9.1'
    """
    from .exec import mx

    found: ModuleType = mx.package()
    mx.keep_threads()
    return found
