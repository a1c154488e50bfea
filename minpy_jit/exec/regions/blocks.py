"""Which loops go by blocks: tiling for cache.

What is read along a vector's lanes with a stride takes a cache line per element, and comes back to that line only in the next turns of
another loop, along which memory is dense. Where a whole sweep lies between, the line is gone by then. So both loops go by blocks, and a
block of what is read so is turned first (transposed.py), in a place of its own.
"""

from __future__ import annotations

from .loops import Block, Load, Nest
from .transposed import LONGEST, SMALLEST

# columns of a block; and bytes of all the places of a nest: half of the smallest first caches
COLUMNS, PLACES = 64, 1 << 14


def block_of(nest: Nest) -> Block | None:
    """The blocks in which a nest's turns are best taken; None: one after another."""
    outer, inner = nest.loops()
    if not nest.across or len(outer) < 2 or any(inner):
        return None
    columns, lane = outer[-1]
    strided = [e for e in nest.expressions() if isinstance(e, Load) and not e.offset.dynamic and abs(e.offset.coefficient(lane)) > 1]
    turned = {(rows, v): tuple([e for e in strided if e.offset.coefficient(v) == 1]) for rows, v in outer[:-1]}
    if not turned:
        return None
    (rows, row), loads = max(turned.items(), key=lambda found: len(found[1]))
    if not loads or min(rows, columns) < LONGEST or rows * columns < SMALLEST:
        return None
    fitting = PLACES // (COLUMNS * sum(e.dtype.itemsize for e in loads)) // LONGEST * LONGEST
    return Block(row, max(LONGEST, min(fitting, COLUMNS)), COLUMNS, loads)
