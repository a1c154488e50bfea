"""Where a kernel keeps what lies between its loops: one stretch of memory, in which buffers that are never needed at the same time share a
place. So repeated sweeps over an array go to and fro between a few places, which stay in the cache."""

from __future__ import annotations

from collections.abc import Sequence

from .loops import Buffer, Kernel

# a place begins with a cache line
ALIGNMENT = 64


def plan(kernel: Kernel, first: int, threads: int) -> tuple[dict[Buffer, tuple[int, int, int]], int]:
    """Where each buffer is: number of an address, bytes from there on, bytes from one thread's own to the next one's; and how many bytes
    the last address must have.

    Args:
        first: buffers from this number on have no address of their own.
        threads: how many private ones there are of each.
    """
    found = {b: (k, 0, 0) for k, b in enumerate(kernel.buffers[:first])}
    own = kernel.buffers[first:]
    spans = _spans(kernel, own)
    placed: list[tuple[int, int, Buffer]] = []
    total = 0
    # large ones first: what is small finds a gap
    for buffer in sorted(own, key=lambda b: -_nbytes(b, threads)):
        size = _nbytes(buffer, threads)
        begin, end = spans[buffer]
        at = 0
        for low, high, other in sorted(placed, key=lambda p: p[0]):
            if spans[other][0] <= end and begin <= spans[other][1] and low < at + size and at < high:
                at = high
        placed.append((at, at + size, buffer))
        found[buffer] = (first, at, size // threads if buffer.private else 0)
        total = max(total, at + size)
    return found, total


def _nbytes(buffer: Buffer, threads: int) -> int:
    one = -(-buffer.nbytes // ALIGNMENT) * ALIGNMENT
    return one * threads if buffer.private else one


def _spans(kernel: Kernel, buffers: Sequence[Buffer]) -> dict[Buffer, tuple[int, int]]:
    """The first and the last section that touches each buffer: nests of one run at the same time."""
    wanted = set(buffers)
    found: dict[Buffer, tuple[int, int]] = {}
    for n, section in enumerate(kernel.sections()):
        for buffer in wanted.intersection(b for nest in section for b in nest.buffers()):
            found[buffer] = (found[buffer][0] if buffer in found else n, n)
    return {b: found.get(b, (0, 0)) for b in buffers}
