"""Which nests run as one: horizontal fusion.

Nests that need nothing of one another make a section. Its turns, one nest's after another's, are one row of turns, which threads share in
one go: nobody waits between them, and what is small is not split (see `emit.write`). So a step of an optimiser is one loop over all of its
parameters, whatever their shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .loops import Buffer, Item, Kernel

# bytes of what nests touch that are moved ahead into one section, and of what a nest may make for later ones and still be joined: what is
# in the cache between two sections stays there, and the workspace stays small. (What touches more takes far longer than a wait.)
ROOM = 1 << 18


def joined(kernel: Kernel, operands: int, results: int, in_place: Sequence[Sequence[int]]) -> tuple[Kernel, list[tuple[int, ...]]]:
    """The same nests in sections, and in whose memory results may be made then.

    Args:
        operands, results: how many there are; the kernel's buffers begin with theirs.
        in_place: for each result the operands, by number, in whose memory it may be made when nests run in the given order.
    """
    pairs = [(result, kernel.buffers[k], k) for result, found in zip(kernel.buffers[operands:], in_place, strict=False) for k in found]
    together = [set(nest.buffers()) for nest in kernel.nests]
    memory = {b: b for b in kernel.buffers}
    for result, operand, _ in pairs:
        if any(result in touched and operand in touched for touched in together):
            # what a nest may change in place counts as one: it does so after all that read it
            old, new = memory[operand], memory[result]
            memory.update({b: new for b, m in memory.items() if m == old})
    own = set(kernel.buffers[operands + results :])
    sections: list[list[Item]] = []
    room: list[int] = []
    read: dict[Buffer, int] = {}
    written: dict[Buffer, int] = {}
    for nest in kernel.nests:
        writes = nest.writes()
        touched = {b: memory.get(b, b) for b in nest.buffers()}
        targets = {touched[b] for b in writes}
        # sections whose work it needs, or would spoil
        before = [written[m] for m in touched.values() if m in written] + [read[m] for m in targets if m in read]
        earliest = max(before, default=-1) + 1
        kept = sum(b.nbytes for b in set(writes) if b in own)
        at = len(sections)
        if kept <= ROOM and earliest < at:
            size = sum(b.nbytes for b in touched)
            at = next((k for k in range(earliest, at - 1) if size <= room[k]), at - 1)
            if at < len(sections) - 1:
                room[at] -= size
        if at == len(sections):
            sections.append([])
            room.append(ROOM)
        sections[at].append(nest)
        for m in touched.values():
            read[m] = max(read.get(m, at), at)
        for m in targets:
            written[m] = max(written.get(m, at), at)
    first: dict[Buffer, int] = {}
    last: dict[Buffer, int] = {}
    for k, section in enumerate(sections):
        for buffer in [b for nest in section for b in nest.buffers()]:
            first.setdefault(buffer, k)
            last[buffer] = k
    # memory that is merely free by then is not worth a wait
    taken = [(result, k) for result, b, k in pairs if memory[result] == memory[b] or last.get(b, -1) < first.get(result, len(sections))]
    nests = [nest for section in sections for nest in section]
    made = replace(kernel, nests=nests, joined=[len(section) for section in sections])
    return made, [tuple([k for r, k in taken if r == result]) for result, _ in zip(kernel.buffers[operands:], in_place, strict=False)]
