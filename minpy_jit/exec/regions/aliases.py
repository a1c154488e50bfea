"""Which results of a kernel may be made in the memory of an operand that nobody needs afterwards."""

from __future__ import annotations

from .loops import Buffer, Copy, Expr, Kernel, Load, MatrixProduct, Nest, Store, ordered


def in_place(kernel: Kernel, operands: int, results: int, smallest: int) -> list[tuple[int, ...]]:
    """For each result the operands, by number, whose memory it may take: each element is read, if at all, in the turn that writes it, and
    before. (One result of the run may do so with an operand, and a result with one operand.)

    Args:
        operands, results: how many there are; the kernel's buffers begin with theirs.
        smallest: bytes below which it is not worth it.
    """
    return [
        ()
        if result.nbytes < smallest
        else tuple(
            k
            for k, operand in enumerate(kernel.buffers[:operands])
            if operand.size == result.size and operand.dtype == result.dtype and _may_take(kernel, result, operand)
        )
        for result in kernel.buffers[operands : operands + results]
    ]


def _may_take(kernel: Kernel, result: Buffer, operand: Buffer) -> bool:
    writes = [n for n, nest in enumerate(kernel.nests) if result in nest.writes()]
    # whether an element may hold something else than the operand's by now
    changed = False
    for nest in kernel.nests[writes[0] :] if writes else ():
        writing = nest.writes().count(result)
        if operand in nest.buffers():
            if changed or not writing:
                return False
            if isinstance(nest, Copy):
                if nest.source != operand or operand in nest.scalars():
                    return False
            elif isinstance(nest, MatrixProduct):
                if nest.base != operand or operand in (nest.left, nest.right, *nest.scale[1], *nest.base_scale[1]):
                    return False
            elif not _is_read_before(nest, operand, result):
                return False
        elif isinstance(nest, Nest) and writing > 1:
            return False
        changed |= writing > 0 and not isinstance(nest, Copy)
    return bool(writes)


def _is_read_before(nest: Nest, buffer: Buffer, result: Buffer) -> bool:
    """Whether a nest that writes the result once reads of the buffer, in each turn, what the same turn writes, and earlier."""
    if nest.writes().count(result) != 1:
        return False
    ((at_phase, at_item, store),) = [
        (p, i, item)
        for p, phase in enumerate(nest.phases)
        for i, item in enumerate(phase.body)
        if isinstance(item, Store) and item.buffer == result
    ]
    if store.combine is not None:
        return False
    for p, phase in enumerate(nest.phases):
        # values that the turn has by the time of the store
        had: set[Expr] = set()
        for i, item in enumerate(phase.body):
            if isinstance(item, Store):
                roots = [item.value, *(e for e, _ in item.offset.dynamic)]
            else:
                roots = [item.value] if item.factor is None else [item.value, item.factor]
            for expr in ordered(roots):
                if not isinstance(expr, Load) or expr.buffer != buffer or expr in had:
                    continue
                same_turn = expr.offset == store.offset and phase.extents == nest.phases[at_phase].extents
                if p > at_phase or not same_turn or (p == at_phase and i > at_item):
                    return False
                had.add(expr)
    return True
