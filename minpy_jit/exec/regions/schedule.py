"""Which tensors of a region are stored, and in which loops they are computed: fusion.

A *statement* is a tensor with loops of its own: the region's results, reductions, what is read in another shape, and what would be dear to
compute again at each place of its use. All others are computed where they are used. Statements are put into nests in order: into an earlier
statement's nest where each turn of the outer loops needs only what the same turn has made, else into a nest of their own. (Those that have
nothing in common are joined afterwards, see join.py.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...trace.types import contiguous_strides
from .blocks import block_of
from .loops import Accumulate, Affine, Buffer, Copy, Expr, Exprs, Factor, Item, Kernel, Load, MatrixProduct, Nest, Phase, Store, ordered
from .tensors import Axis, Map, Memory, Number, Positions, Product, Reduce, Reshape, Scale, Scan, Tensor, Update, View

# cost of one call, in additions; what a scalar function costs that is not listed
COSTS: Mapping[str, int] = {
    **dict.fromkeys(("add", "subtract", "multiply", "negative", "maximum", "minimum", "cast", "where", "positive", "absolute"), 1),
    **dict.fromkeys(("copy", "clip", "sign", "isinf", "isfinite", "fabs", "floor", "ceil", "trunc", "rint"), 1),
    **dict.fromkeys(("less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "square", "logical_and", "logical_or"), 1),
    **dict.fromkeys(("logical_not", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor", "invert", "isnan"), 1),
    **dict.fromkeys(("divide", "sqrt", "reciprocal"), 4),
}
DEAR = 20
# elements of a loop that may stand in a nest of one turn
SERIAL = 1 << 12
# a value that costs this much is kept for its second use rather than computed again
KEEP = 6
# phases of a nest at most: what goes on in one nest is written once for all its turns, however often it repeats itself. (A multiple of the
# phases of most that is repeated, so that nests of a long chain are alike.)
MOST_PHASES = 6


@dataclass(eq=False)
class Statement:
    """A tensor with loops of its own.

    Attributes:
        domain: extents of its loops: the axes of the result, then those that are reduced.
        reads: (statement, index of its result as affine expressions of this one's loop variables) of all statements that it reads.
    """

    tensor: Tensor
    domain: tuple[int, ...]
    reads: list[tuple[Statement, tuple[Affine, ...]]] = field(default_factory=list)
    nest: _Nest | None = None
    # own loop variable -> variable of the nest
    place: dict[int, int] = field(default_factory=dict)
    phase: int = -1
    # of those that have something in common: see `_families`
    family: int = -1
    buffer: Buffer | None = None
    accumulator: Accumulate | None = None
    # of a scan
    running: Accumulate | None = None

    def offset(self, index: Sequence[Affine]) -> Affine:
        """Where an element of the result stands in its buffer."""
        shape = self.tensor.shape
        assert self.buffer is not None
        if not self.buffer.private:
            return linear(index, shape)
        # of this turn of the outer loops only
        assert self.nest is not None
        inner = [k for k in range(len(shape)) if self.place.get(k, -1) >= len(self.nest.outer)]
        return linear([index[k] for k in inner], [shape[k] for k in inner])

    def variables(self) -> list[Affine]:
        """Its loop variables, as they are called in its nest."""
        return [Affine() if n == 1 else Affine.variable(self.place.get(k, k)) for k, n in enumerate(self.domain)]


@dataclass(eq=False)
class _Nest:
    outer: tuple[int, ...]
    across: bool
    number: int
    # of its statements
    family: int = -1
    # a matrix product or a copy, in place of loops
    product: Statement | None = None
    copy: Statement | None = None
    # nothing else may join
    closed: bool = False
    # per phase: extents, statements
    phases: list[tuple[tuple[int, ...], list[Statement]]] = field(default_factory=list)


def operands_of(tensor: Tensor) -> tuple[Tensor, ...]:
    """The tensors that a tensor is computed from (not the integers in a view's index)."""
    if isinstance(tensor, Map):
        return tensor.operands
    if isinstance(tensor, Product):
        base = () if tensor.base is None else (tensor.base,)
        return (tensor.left, tensor.right, *base, *tensor.scale[1], *tensor.base_scale[1])
    if isinstance(tensor, Update):
        return (tensor.value,) if tensor.base is None else (tensor.base, tensor.value)
    if isinstance(tensor, Scan):
        return (tensor.operand,) if tensor.factor is None else (tensor.operand, tensor.factor)
    return (tensor.operand,) if isinstance(tensor, (View, Reduce, Reshape)) else ()


def in_order(results: Sequence[Tensor]) -> list[Tensor]:
    """The tensors below the results, each once, operands first."""
    order: list[Tensor] = []
    seen: set[Tensor] = set()
    for result in results:
        stack = [(result, False)]
        while stack:
            tensor, done = stack.pop()
            if done:
                order.append(tensor)
                continue
            if tensor in seen:
                continue
            seen.add(tensor)
            stack.append((tensor, True))
            stack.extend((t, False) for t in reversed(operands_of(tensor)))
            if isinstance(tensor, (View, Update)):
                stack.extend((t, False) for axis in tensor.axes for t, _ in axis.dynamic)
    return order


def is_computed(tensor: Tensor) -> bool:
    """Whether a tensor can be a statement: it is not just other tensors' elements."""
    return isinstance(tensor, (Map, Reduce, Scan, Product, Update))


def statements_of(results: Sequence[Tensor]) -> list[Statement]:
    """The tensors that get loops of their own, in order."""
    order = in_order(results)
    consumers: dict[Tensor, list[Tensor]] = {}
    for tensor in order:
        for operand in operands_of(tensor):
            consumers.setdefault(operand, []).append(tensor)
    wanted = set(results)
    chosen: list[Statement] = []
    # additions per element, with all that is computed on the way
    costs: dict[Tensor, int] = {}
    for tensor in order:
        users = consumers.get(tensor, [])
        cost = sum(costs[t] for t in operands_of(tensor))
        stored = tensor in wanted or isinstance(tensor, (Reduce, Scan, Product, Update))
        stored |= any(isinstance(u, (Reshape, Product)) or (isinstance(u, Update) and u.base is tensor) for u in users)
        if isinstance(tensor, Map):
            cost += COSTS.get(tensor.function, DEAR)
            if cost >= KEEP and len(users) > 1:
                # the same place in the same loop costs nothing: plain maps of its shape
                stored |= any(not (isinstance(u, Map) and u.shape == tensor.shape) for u in users)
            if cost >= KEEP:
                # spread out by a broadcast, it would be computed once per element of the wider shape
                stored |= any(math.prod(u.shape) > math.prod(tensor.shape) for u in users if isinstance(u, (Map, View)))
        stored &= is_computed(tensor)
        # what comes after reads it
        costs[tensor] = 0 if stored else cost
        if stored:
            domain = tensor.value.shape if isinstance(tensor, Update) else tensor.shape
            if isinstance(tensor, Reduce):
                domain = (*tensor.shape, *[tensor.operand.shape[a] for a in tensor.axes])
            chosen.append(Statement(tensor, domain))
    return chosen


# -- tensors at an index -------------------------------------------------------------------------------------------------------------------
def linear(index: Sequence[Affine], shape: Sequence[int]) -> Affine:
    """The offset of an element of a dense array in C order."""
    offset = Affine()
    for at, stride, extent in zip(index, contiguous_strides(shape, 1), shape, strict=True):
        if extent != 1:
            offset = offset + at * stride
    return offset


def _broadcast(index: Sequence[Affine], shape: Sequence[int], operand: Sequence[int]) -> tuple[Affine, ...]:
    ahead = len(shape) - len(operand)
    return tuple([Affine() if n == 1 else index[ahead + i] for i, n in enumerate(operand)])


class _Resolver:
    """Writes tensors at an index as expressions."""

    def __init__(self, exprs: Exprs, statements: Mapping[Tensor, Statement], memory: Mapping[int, Buffer]) -> None:
        self.exprs, self.statements, self.memory = exprs, statements, memory

    def read(self, statement: Statement, index: tuple[Affine, ...]) -> Expr:
        """How an element of a statement's result is had (overridden where loops are built)."""
        raise NotImplementedError

    def value(self, tensor: Tensor, index: tuple[Affine, ...], root: bool = False) -> Expr:
        """The element of a tensor at an index. `root`: compute it, even where it is a statement."""
        made: dict[tuple[Tensor, tuple[Affine, ...]], Expr] = {}
        top = (tensor, index)
        stack: list[tuple[tuple[Tensor, tuple[Affine, ...]], bool]] = [(top, False)]
        while stack:
            key, ready = stack.pop()
            if key in made:
                continue
            tensor, index = key
            if (key != top or not root) and tensor in self.statements:
                made[key] = self.read(self.statements[tensor], index)
                continue
            needs = self._needs(tensor, index)
            if not ready and needs:
                stack.append((key, True))
                stack.extend((n, False) for n in needs if n not in made)
                continue
            made[key] = self._made(tensor, index, [made[n] for n in needs])
        return made[top]

    def _needs(self, tensor: Tensor, index: tuple[Affine, ...]) -> list[tuple[Tensor, tuple[Affine, ...]]]:
        if isinstance(tensor, Map):
            return [(t, _broadcast(index, tensor.shape, t.shape)) for t in tensor.operands]
        if isinstance(tensor, View):
            return [(tensor.operand, tuple([self._axis(a, index, tensor.shape) for a in tensor.axes]))]
        if isinstance(tensor, Reshape):
            return [(tensor.operand, self._unraveled(linear(index, tensor.shape), tensor.operand.shape))]
        return []

    @staticmethod
    def _unraveled(offset: Affine, shape: Sequence[int]) -> tuple[Affine, ...]:
        # a stored tensor is read at its linear offset: written as an index of its last axis, which `linear` turns back
        last = max((i for i, n in enumerate(shape) if n != 1), default=-1)
        return tuple([offset if i == last else Affine() for i in range(len(shape))])

    def _axis(self, axis: Axis, index: tuple[Affine, ...], shape: Sequence[int]) -> Affine:
        """Where the element at an index of a view of this shape stands along an axis of its operand."""
        at = Affine(axis.start)
        for along, step in axis.steps:
            at = at + index[along] * step
        for tensor, step in axis.dynamic:
            at = at + Affine(0, (), ((self.value(tensor, _broadcast(index, shape, tensor.shape)), step),))
        return at

    def _made(self, tensor: Tensor, index: tuple[Affine, ...], operands: list[Expr]) -> Expr:
        if isinstance(tensor, Map):
            return self.exprs.apply(tensor.function, tuple(operands), tensor.dtype)
        if isinstance(tensor, (View, Reshape)):
            return operands[0]
        if isinstance(tensor, Memory):
            return self.exprs.load(self.memory[tensor.number], linear(index, tensor.shape))
        if isinstance(tensor, Number):
            return self.exprs.literal(tensor.value, tensor.dtype)
        if isinstance(tensor, Scan):
            running = self.statements[tensor].running
            assert running is not None
            return self.exprs.register(running)
        assert isinstance(tensor, Positions)
        return self.exprs.index(index[tensor.axis], tensor.dtype)

    def target(self, statement: Statement) -> Affine:
        """Where a turn of a statement's loops writes."""
        tensor, variables = statement.tensor, statement.variables()
        if isinstance(tensor, Update):
            return linear([self._axis(a, tuple(variables), tensor.value.shape) for a in tensor.axes], tensor.shape)
        return statement.offset(variables[: len(tensor.shape)])

    def body(self, statement: Statement, variables: Sequence[Affine]) -> Expr:
        """What a statement computes at a turn of its loops."""
        tensor = statement.tensor
        if isinstance(tensor, Update):
            return self.value(tensor.value, tuple(variables))
        if isinstance(tensor, Scan):
            return self.value(tensor.operand, tuple(variables))
        if not isinstance(tensor, Reduce):
            return self.value(tensor, tuple(variables), root=True)
        kept, reduced = iter(variables[: len(tensor.shape)]), iter(variables[len(tensor.shape) :])
        rank = len(tensor.operand.shape)
        return self.value(tensor.operand, tuple([next(reduced) if i in tensor.axes else next(kept) for i in range(rank)]))

    def factor(self, statement: Statement) -> Expr | None:
        """What the result so far of a scan is multiplied by."""
        tensor = statement.tensor
        if not isinstance(tensor, Scan) or tensor.factor is None:
            return None
        return self.value(tensor.factor, tuple(statement.variables()))


class _Reader(_Resolver):
    """Notes what a statement reads."""

    reads: list[tuple[Statement, tuple[Affine, ...]]]

    def read(self, statement: Statement, index: tuple[Affine, ...]) -> Expr:
        self.reads.append((statement, index))
        assert statement.buffer is not None
        return self.exprs.load(statement.buffer, linear(index, statement.tensor.shape))


class _Builder(_Resolver):
    """Writes a statement's value in the variables of its nest."""

    current: Statement

    def read(self, statement: Statement, index: tuple[Affine, ...]) -> Expr:
        current = self.current
        if statement.nest is current.nest and statement.accumulator is not None:
            return self.exprs.register(statement.accumulator)
        if statement.nest is current.nest and not isinstance(statement.tensor, Reduce):
            assert statement.nest is not None
            alone = all(v < len(statement.nest.outer) for k, v in statement.place.items() if statement.domain[k] != 1)
            # (along an axis of one element any position is 0, also one that only the run knows)
            same = all(n == 1 or own == at for n, own, at in zip(statement.domain, statement.variables(), index, strict=True))
            if same and (statement.phase == current.phase or alone):
                # made in this very turn
                return self.value(statement.tensor, index, root=True)
        assert statement.buffer is not None
        return self.exprs.load(statement.buffer, statement.offset(index))


# -- nests ---------------------------------------------------------------------------------------------------------------------------------
def _variable(at: Affine) -> int | None:
    """The loop variable that an index is, if it is just that."""
    return at.terms[0][0] if at.const == 0 and not at.dynamic and len(at.terms) == 1 and at.terms[0][1] == 1 else None


def _mapping(statement: Statement, nest: _Nest) -> dict[int, int] | None:
    """Outer variable of the nest -> own variable, such that each turn reads only what the same turn has made; None: there is none."""
    found: dict[int, int] = {}
    inside = [(r, index) for r, index in statement.reads if r.nest is nest]
    for read, index in inside:
        for own, outer in read.place.items():
            if outer >= len(nest.outer):
                continue
            if nest.outer[outer] == 1:
                continue
            variable = _variable(index[own])
            if variable is None or found.setdefault(outer, variable) != variable:
                return None
    if not inside:
        # loops that look the same
        if nest.family != statement.family or len(nest.outer) > len(statement.tensor.shape):
            return None
        found = dict(enumerate(range(len(nest.outer))))
    for outer, extent in enumerate(nest.outer):
        if outer not in found:
            if extent != 1:
                return None
            spare = [v for v in range(len(statement.tensor.shape)) if v not in found.values() and statement.domain[v] == 1]
            if not spare:
                return None
            found[outer] = spare[0]
    if len(set(found.values())) != len(found) or any(v >= len(statement.tensor.shape) for v in found.values()):
        return None
    return found if all(statement.domain[v] == nest.outer[o] for o, v in found.items()) else None


def _is_fast(statement: Statement, loads: Sequence[Affine]) -> bool:
    """Whether a reduction's last reduced axis is the one along which memory is read element by element, rather than the last kept one."""
    last = len(statement.domain) - 1
    kept = len(statement.tensor.shape) - 1
    if kept < 0:
        return True
    strided = [sum(abs(o.coefficient(v)) > 1 for o in loads) for v in (last, kept)]
    if strided[0] != strided[1]:
        return strided[0] < strided[1]
    return any(o.coefficient(last) in (1, -1) for o in loads) or not any(o.coefficient(kept) in (1, -1) for o in loads)


def _add(statement: Statement, nest: _Nest, mapping: Mapping[int, int]) -> bool:
    """Put a statement into a nest, into the last phase or a new one; False where the nest's kind does not allow it."""
    outer = len(nest.outer)
    of_outer = {v: o for o, v in mapping.items()}
    inner = [v for v in range(len(statement.domain)) if v not in of_outer and statement.domain[v] != 1]
    kept = any(v < len(statement.tensor.shape) for v in inner)
    if isinstance(statement.tensor, Scan):
        along = statement.tensor.axis
        # the turns along its axis run in order, one after another
        if inner != ([along] if statement.domain[along] != 1 else []):
            return False
    elif kept and (nest.across or isinstance(statement.tensor, Reduce)):
        return False
    if kept and math.prod(nest.outer) == 1 and math.prod(statement.domain) > SERIAL and nest.phases:
        # no thread could share it
        return False
    extents = tuple([statement.domain[v] for v in inner])
    place = {**of_outer, **{v: outer + k for k, v in enumerate(inner)}}
    joins = bool(nest.phases) and nest.phases[-1][0] == extents
    last = len(nest.phases) - 1
    if joins:
        for read, index in statement.reads:
            if read.nest is not nest or read.phase != last:
                continue
            if isinstance(read.tensor, Reduce):
                joins = False
            else:
                own = tuple([_variable(a) for a in index])
                joins &= all(read.domain[k] == 1 or (v is not None and place[v] == read.place[k]) for k, v in enumerate(own))
    if not joins:
        if len(nest.phases) >= MOST_PHASES:
            return False
        nest.phases.append((extents, []))
    nest.phases[-1][1].append(statement)
    statement.nest, statement.place, statement.phase = nest, place, len(nest.phases) - 1
    return True


def build(results: Sequence[Tensor], operands: Sequence[Memory]) -> tuple[Kernel, int]:
    """The loops of a region.

    Args:
        results: what is wanted, each once.
        operands: the arrays that it reads, by number.

    Returns:
        The kernel, whose buffers are the operands', the results' and those of what is kept in between; and how many the last are.
    """
    exprs = Exprs()
    statements = statements_of(results)
    by_tensor = {s.tensor: s for s in statements}
    buffers = [Buffer(k, t.dtype, math.prod(t.shape)) for k, t in enumerate(operands)]
    memory = {t.number: b for t, b in zip(operands, buffers, strict=True)}
    for k, result in enumerate(results):
        by_tensor[result].buffer = Buffer(len(operands) + k, result.dtype, math.prod(result.shape))
    count = len(operands) + len(results)
    buffers += [by_tensor[r].buffer for r in results]  # type: ignore[misc]
    provisional = count
    for statement in reversed(statements):
        if statement.buffer is None:
            statement.buffer = Buffer(provisional, statement.tensor.dtype, math.prod(statement.tensor.shape))
            provisional += 1
        if isinstance(statement.tensor, Update) and statement.tensor.base is not None:
            # what is updated stands in the same memory
            by_tensor[statement.tensor.base].buffer = statement.buffer
        if isinstance(statement.tensor, Product) and statement.tensor.base in by_tensor:
            # and so does what is added to: it is nobody else's
            by_tensor[statement.tensor.base].buffer = statement.buffer
    updates = {s.tensor.base: s.tensor for s in statements if isinstance(s.tensor, Update) and s.tensor.base is not None}
    nests: list[_Nest] = []
    bodies = _read(statements, _Reader(exprs, by_tensor, memory), updates)
    _families(statements, bodies)
    for statement in statements:
        if isinstance(statement.tensor, Product):
            statement.nest = _Nest((), False, len(nests), product=statement)
            nests.append(statement.nest)
            continue
        if statement.tensor in updates and _is_copy(statement.tensor, by_tensor):
            statement.nest = _Nest((), False, len(nests), copy=statement, closed=True)
            nests.append(statement.nest)
            continue
        if isinstance(statement.tensor, Update):
            _add_alone(statement, nests)
            continue
        _place_statement(statement, nests, bodies[statement], statements)
    for statement in statements:
        _make_private(statement, statements, count)
    builder = _Builder(exprs, by_tensor, memory)
    # what is read by other nests, or in other turns, needs memory
    built: list[Item] = []
    values: list[tuple[Statement, Expr]] = []
    read: list[Expr] = []
    for nest in nests:
        if nest.product is not None:
            built.append(_matrix_product(nest.product, by_tensor, memory))
            continue
        if nest.copy is not None:
            built.append(_copied(nest.copy, updates[nest.copy.tensor], by_tensor, memory))
            continue
        phases = []
        for extents, members in nest.phases:
            phase = Phase(extents)
            for statement in members:
                builder.current = statement
                read += [e for e, _ in builder.target(statement).dynamic]
                value = builder.body(statement, statement.variables())
                factor = builder.factor(statement)
                if isinstance(statement.tensor, Scan):
                    statement.running = Accumulate(statement.tensor.kind, value, statement.tensor.dtype, True, factor)
                    phase.body.append(statement.running)
                    # what its operands read must be in memory, too
                    read += [e for e in (value, factor) if e is not None]
                    value = exprs.register(statement.running)
                values.append((statement, value))
                if isinstance(statement.tensor, Reduce):
                    statement.accumulator = Accumulate(statement.tensor.kind, value, statement.tensor.dtype)
                    phase.body.append(statement.accumulator)
            phases.append(phase)
        built.append(Nest(nest.outer, phases, nest.across))
    wanted = {e.buffer.index for e in ordered([*[v for _, v in values], *read]) if isinstance(e, Load)}
    kept = dict.fromkeys(buffers)
    for item in built:
        if not isinstance(item, Nest):
            wanted.update(b.index for b in item.buffers())
            kept[item.result] = None
    for statement, value in values:
        buffer = statement.buffer
        assert buffer is not None and statement.nest is not None
        if buffer.index >= count and buffer.index not in wanted:
            continue
        kept[buffer] = None
        home = built[statement.nest.number]
        assert isinstance(home, Nest)
        phase = home.phases[statement.phase]
        offset = builder.target(statement)
        if statement.accumulator is None:
            combine = statement.tensor.combine if isinstance(statement.tensor, Update) else None
            phase.body.append(Store(buffer, offset, value, combine))
        else:
            after = Phase((), [Store(buffer, offset, exprs.register(statement.accumulator))])
            home.phases.append(after)
    for item in built:
        if isinstance(item, Nest):
            item.phases = [p for p in item.phases if p.body]
            item.block = block_of(item)
    return Kernel([n for n in built if not isinstance(n, Nest) or n.phases], list(kept)), len(kept) - count


def _read(statements: Sequence[Statement], reader: _Reader, updates: Mapping[Tensor, Update]) -> dict[Statement, Expr]:
    """Note what statements read; returns what those with loops compute at a turn of them."""
    found: dict[Statement, Expr] = {}
    by_tensor = reader.statements
    for statement in statements:
        tensor = statement.tensor
        if isinstance(tensor, Product) or (tensor in updates and _is_copy(tensor, by_tensor)):
            sources = [_source(t) for t in operands_of(tensor)]
            statement.reads = [(by_tensor[t], ()) for t in sources if t in by_tensor]
            continue
        reader.reads = []
        found[statement] = reader.body(statement, statement.variables())
        reader.factor(statement)
        if isinstance(tensor, Update):
            # integers that say where it writes
            reader.target(statement)
            if tensor.base is not None:
                reader.reads.append((by_tensor[tensor.base], ()))
        statement.reads = reader.reads
    return found


def _families(statements: Sequence[Statement], bodies: Mapping[Statement, Expr]) -> None:
    """Number statements that could share loops by what they have in common: they read one another, or the same memory (single numbers
    apart), or others of the family do."""
    parent: dict[object, object] = {}

    def family(member: object) -> object:
        while parent.setdefault(member, member) != member:
            parent[member] = member = parent[parent[member]]
        return member

    def shares(statement: Statement) -> bool:
        return statement in bodies and not isinstance(statement.tensor, Update)

    for statement, body in bodies.items():
        if shares(statement):
            common: list[object] = [r for r, _ in statement.reads if shares(r)]
            common += [e.buffer for e in ordered([body]) if isinstance(e, Load) and e.buffer.size > 1]
            for other in common:
                parent[family(other)] = family(statement)
    numbers: dict[object, int] = {}
    for statement in statements:
        statement.family = numbers.setdefault(family(statement), len(numbers))


def _make_private(statement: Statement, statements: Sequence[Statement], count: int) -> None:
    """What only the same turn of the same nest reads needs memory for one turn."""
    buffer, nest = statement.buffer, statement.nest
    assert buffer is not None and nest is not None
    if buffer.index < count or nest.across or not isinstance(statement.tensor, Map):
        return
    if all(s.nest is nest for s in statements if any(r is statement for r, _ in s.reads)):
        extents = nest.phases[statement.phase][0]
        statement.buffer = Buffer(buffer.index, buffer.dtype, math.prod(extents), private=True)


def _source(tensor: Tensor) -> Tensor:
    """What is in memory where a tensor is read as it lies there."""
    while isinstance(tensor, Reshape):
        tensor = tensor.operand
    return tensor


def _matrix_product(statement: Statement, statements: Mapping[Tensor, Statement], memory: Mapping[int, Buffer]) -> MatrixProduct:
    tensor = statement.tensor
    assert isinstance(tensor, Product) and statement.buffer is not None

    def buffer(operand: Tensor) -> Buffer:
        return _buffer(operand, statements, memory)

    def factor(scale: Scale) -> Factor:
        return scale[0], tuple([buffer(t) for t in scale[1]])

    inner = tensor.left.shape[not tensor.transposed[0]]
    rows, columns = tensor.shape
    return MatrixProduct(
        statement.buffer,
        buffer(tensor.left),
        buffer(tensor.right),
        rows,
        columns,
        inner,
        tensor.transposed,
        factor(tensor.scale),
        None if tensor.base is None else buffer(tensor.base),
        factor(tensor.base_scale),
    )


def _buffer(tensor: Tensor, statements: Mapping[Tensor, Statement], memory: Mapping[int, Buffer]) -> Buffer:
    """Where a tensor is in memory."""
    source = _source(tensor)
    found = memory[source.number] if isinstance(source, Memory) else statements[source].buffer
    assert found is not None
    return found


def _is_copy(tensor: Tensor, statements: Mapping[Tensor, Statement]) -> bool:
    """Whether a statement is a copy of what is in memory, byte by byte."""
    if not isinstance(tensor, Map) or tensor.function != "copy" or not tensor.shape:
        return False
    source = _source(tensor.operands[0])
    return tensor.operands[0].shape == tensor.shape and (isinstance(source, Memory) or source in statements)


def _copied(statement: Statement, update: Update, statements: Mapping[Tensor, Statement], memory: Mapping[int, Buffer]) -> Copy:
    """A copy that `update` then writes to: what it replaces need not be copied."""
    assert statement.buffer is not None
    source = _buffer(operands_of(statement.tensor)[0], statements, memory)
    shape = statement.tensor.shape
    box = []
    for axis in update.axes:
        # one element, or all along an axis of the value
        length = 1 if not axis.steps else update.value.shape[axis.steps[0][0]]
        dense = length == 1 or (len(axis.steps) == 1 and axis.steps[0][1] == 1)
        if update.combine is not None or not dense or any(not isinstance(t, Memory) or math.prod(t.shape) != 1 for t, _ in axis.dynamic):
            return Copy(statement.buffer, source, shape)
        scalars = [(memory[t.number], step) for t, step in axis.dynamic if isinstance(t, Memory)]
        box.append((axis.start, tuple(scalars), length))
    spread = {along for axis in update.axes for along, _ in axis.steps}
    if any(n != 1 and along not in spread for along, n in enumerate(update.value.shape)):
        return Copy(statement.buffer, source, shape)
    return Copy(statement.buffer, source, shape, tuple(box))


def _add_alone(statement: Statement, nests: list[_Nest]) -> None:
    """A nest of its own: it writes where no other statement's turn would look for it. Outer loops are those whose turns never write to one
    place; all others run in order."""
    tensor = statement.tensor
    assert isinstance(tensor, Update)
    long = [v for v, n in enumerate(statement.domain) if n != 1]
    apart = [v for v in long if _keeps_apart(tensor, v)]
    rest = [v for v in long if v not in apart]
    # lanes go along the last axis
    across = not rest or (bool(apart) and apart[-1] == long[-1])
    nest = _Nest(tuple([statement.domain[v] for v in apart]), across, len(nests), closed=True)
    nests.append(nest)
    nest.phases.append((tuple([statement.domain[v] for v in rest]), [statement]))
    statement.nest, statement.place, statement.phase = nest, {v: k for k, v in enumerate([*apart, *rest])}, 0


def _keeps_apart(update: Update, variable: int) -> bool:
    """Whether different indices along an axis of the value belong to different places, whatever the other indices are."""
    return any(
        len(axis.steps) == 1
        and axis.steps[0][0] == variable
        and axis.steps[0][1] != 0
        and all(math.prod(t.shape) == 1 for t, _ in axis.dynamic)
        for axis in update.axes
    )


def _place_statement(statement: Statement, nests: list[_Nest], body: Expr, statements: Sequence[Statement]) -> None:
    after = max((r.nest.number for r, _ in statement.reads if r.nest is not None), default=0)
    for nest in reversed(nests[after:]):
        if nest.product is not None or nest.closed:
            continue
        mapping = _mapping(statement, nest)
        if mapping is not None and _add(statement, nest, mapping):
            return
    rank = len(statement.tensor.shape)
    kept: Sequence[int] = range(rank)
    across = True
    if isinstance(statement.tensor, Scan):
        along = statement.tensor.axis
        kept = [v for v in kept if v != along]
        across = any(statement.domain[v] != 1 for v in kept if v > along)
    elif isinstance(statement.tensor, Reduce):
        across = not _is_fast(statement, [e.offset for e in ordered([body]) if isinstance(e, Load)])
    else:
        rows = _rows(statement, statements)
        if rows is not None:
            kept, across = rows, False
    outer = tuple([statement.domain[v] for v in kept])
    nest = _Nest(outer, across, len(nests), statement.family)
    nests.append(nest)
    if not _add(statement, nest, dict(enumerate(kept))):
        raise AssertionError("a nest of its own takes a statement")


def _rows(statement: Statement, statements: Sequence[Statement]) -> range | None:
    """The leading axes, where a later reduction goes over all the others of just this tensor: its rows are made and reduced in turn."""
    tensor = statement.tensor
    for later in statements:
        found = later.tensor
        if isinstance(found, Reduce) and found.operand is tensor:
            kept = len(tensor.shape) - len(found.axes)
            if found.axes == tuple(range(kept, len(tensor.shape))):
                return range(kept)
    return None
