"""MXNet symbols as functions of arrays, and functions of arrays as MXNet symbols."""

from __future__ import annotations

from ..numpy.namespace import set_beyond
from ..trace.region import set_exporter
from . import names
from .export import export
from .function import Function

set_exporter(export)
set_beyond(names.find)

__all__ = ["Function", "export"]
