"""Regions: stretches of a program that become one native function each, an operator of ours in MXNet's graph.

tensors.py: what a region computes, as few kinds of tensors; schedule.py: which of them are stored, and in which loops; loops.py: those
loops; blocks.py: which of them go by blocks; join.py: which run as one; wavefront.py: which go through memory together; emit.py and
scalars.py: LLVM of them; table.py: what runs them; jit.py: machine code; region.py: which nodes become regions.
"""

from __future__ import annotations

import ctypes
import gc
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ...config import config
from ...optimize.partition import Stage
from ...trace.context import CPU
from ...trace.graph import Graph, Node
from ...trace.op import Op
from .. import mx, native
from .schedule import COSTS, DEAR, KEEP

if TYPE_CHECKING:
    from .region import Region

OPERATOR = "_minpy_jit_region"
# of the operator's attributes, as the library says it
VERSION = 2
# bytes of a value from which on a region works on the array's own memory, and does not copy it into MXNet's (0.3 µs and 0.1 per KiB) or
# leave it there
DIRECT = 1 << 14
_loaded = False


@lru_cache(maxsize=1)
def _generator() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("llvmlite", "scipy_openblas32"))


@lru_cache(maxsize=1)
def _current() -> bool:
    """Whether the library is of this version of the package."""
    assert native.LIBRARY is not None
    version = getattr(ctypes.CDLL(native.LIBRARY), "minpy_jit_region_version", None)
    return version is not None and version() == VERSION


def built() -> bool:
    """Whether the operator is there, and the code generator that it needs."""
    return native.LIBRARY is not None and _generator() and _current()


def describe() -> str:
    """What runs programs: for `info()`."""
    if native.LIBRARY is None:
        return "not built (no C++ compiler, or no MXNet, when minpy_jit was installed): MXNet's own operators run everything"
    if not _generator():
        return "needs the packages llvmlite and scipy-openblas32: MXNet's own operators run everything"
    if not _current():
        return "of another version of minpy_jit (install it again): MXNet's own operators run everything"
    if config.native and not config.deterministic:
        return "on"
    return f"off (config.{'deterministic' if config.native else 'native'}): MXNet's own operators run everything"


def enabled() -> bool:
    """Whether native code may run: the settings say so, and the operator was built.

    (The order of a sum depends on what it is fused with, and so on when flushes happen: `config.deterministic` goes without.)
    """
    return config.native and not config.deterministic and built()


def available() -> bool:
    """Whether native code may run, and MXNet knows the operator."""
    global _loaded
    if not enabled():
        return False
    assert native.LIBRARY is not None
    if not _loaded:
        mx.load_operators(native.LIBRARY)
        _loaded = True
    return True


def is_cheap(op: Op, types: Sequence[Any], result: Any) -> bool:
    """Whether loops compute a value again in less time than it takes to store it and to load it: some additions, or a view."""
    if op.kernel is None or op.outputs != 1 or op.raises:
        return False
    if any(type(t) is tuple or t.context is not CPU or t.dtype.kind not in "biuf" or t.dtype.itemsize > 8 for t in (*types, result)):
        return False
    return op.view or op.family == "cast" or COSTS.get(op.kernel, DEAR) < KEEP


def held() -> tuple[int, int]:
    """How many compiled functions are held in memory, and their bytes."""
    if not _loaded:
        return 0, 0
    from . import region

    return region.codes.size()


def clear() -> None:
    """Forget the compiled functions in memory; those on disk stay."""
    if _loaded:
        from . import region

        region.codes.clear()


def copy(target: np.ndarray, source: np.ndarray) -> None:
    """`target[...] = source`, of one shape and dtype; the target is dense, in C order. For what regions read: the library is loaded."""
    from . import transposed

    transposed.copy(target, source)


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes of a stage that are lowered together: one region, or MXNet nodes."""

    region: bool
    nodes: tuple[int, ...]


def takes(graph: Graph, node: Node) -> bool:
    """Whether native code can run a node: it is there, and the node's entry has a kernel expression for these types."""
    if node.op.kernel is None or not available() or type(node.type) is tuple or node.type.context is not CPU:
        return False
    from . import region

    return region.takes(graph, node)


def groups_of(graph: Graph, stage: Stage, mxnet: Callable[[Node], bool]) -> list[Group]:
    """A stage's nodes in groups, in an order in which they can run. What does not pay for a region of its own stays with MXNet (`mxnet`:
    whether it can)."""
    from . import region

    return region.groups_of(graph, stage, mxnet)


def compiled(graph: Graph, group: Group, wanted: Sequence[int]) -> Region:
    """The function of a group; `wanted`: positions whose values are needed outside."""
    from . import region

    with _uncollected():
        return region.compile_group(graph, group, wanted)


@contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage collection meanwhile: each would go through the tens of thousands of objects that a module is written with, none of which
    is garbage yet, and keep them for the collections of all objects there are (which take 0.2 s)."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
