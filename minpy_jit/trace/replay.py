"""Validated replay: what happens when an operation is recorded that followed last time, too. Where mypyc is there it compiles this module
(see setup.py); the same source works uncompiled.

It knows no types, modes or devices: all but the usual case is left to the recorder. Compiled functions have no frames, in which a signal
handler or a finalizer could be seen to come in the middle of an operation (`errors.reentered`). So each makes its handle first (which may
collect garbage), sees whether the recorder still stands where it stood, and changes it with no call, and no jump, between (uncompiled, a
signal handler may come at these: see `Segment.advance`).
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from types import CodeType

    from .op import Op, Params
    from .recorder import Recorder, Segment
    from .types import ArrayType


def _same(cls: Any) -> Any:
    return cls


def _unread(**attributes: Any) -> Any:
    return _same


try:
    from mypy_extensions import mypyc_attr
except ImportError:
    # nobody but mypyc reads it
    mypyc_attr = cast(Any, _unread)

_refcount: Final[Callable[[Any], int]] = sys.getrefcount
_method: Final[Any] = types.MethodType


class Step:
    """A node of the trie.

    Attributes:
        op, operands, params, type: what is computed, from which slots.
        a, b: the first two operands (-1 where absent), unpacked for the comparison.
        index: its slot: the number of steps before it on its path.
        parent, next, children: the trie; `next` is what followed last time.
        low, high: legal values of a Python integer operand (NEP 50 range check), else None.
        nbytes: bytes of all results on the path up to here.
        site: call site of the first recording.
        types: the operands' types.
        host: whether one of them has a dtype that only NumPy's own loops know: its functions go there instead of recording.
        memo: what later layers remember about the path that ends here (plans, pullbacks), by key.
        call: the call of a function that came after it last time, where it could be replayed (see `Call`).
        shown: the view that was read after it last time (see `Reading`).
    """

    __slots__ = (
        "a",
        "b",
        "call",
        "children",
        "high",
        "host",
        "index",
        "low",
        "memo",
        "nbytes",
        "next",
        "op",
        "operands",
        "params",
        "parent",
        "scalar",
        "shown",
        "site",
        "type",
        "types",
    )

    def __init__(
        self,
        op: Op,
        operands: tuple[int, ...],
        params: tuple[Any, ...],
        type_: Any,
        parent: Step | None,
        site: tuple[CodeType, int] | None,
        types: tuple[Any, ...] = (),
    ) -> None:
        self.op, self.operands, self.params, self.type, self.types = op, operands, params, type_, types
        self.a: int = operands[0] if operands else -1
        self.b: int = operands[1] if len(operands) > 1 else -1
        self.parent = parent
        self.index: int = -1 if parent is None else parent.index + 1
        self.next: Step | None = None
        self.children: dict[Any, Step] | None = None
        self.scalar: bool = getattr(type_, "scalar", False)
        self.host: bool = False
        for operand in types:
            if getattr(operand, "host", False):
                self.host = True
        self.low: int | None = None
        self.high: int | None = None
        self.nbytes: int = 0 if parent is None else parent.nbytes + getattr(type_, "nbytes", 0)
        self.site = site
        self.memo: dict[Any, Any] | None = None
        self.call: Call | None = None
        self.shown: Reading | None = None

    def path(self) -> list[Step]:
        """The steps from the first to this one."""
        steps: list[Step] = []
        step: Step | None = self
        while step is not None and step.index >= 0:
            steps.append(step)
            step = step.parent
        steps.reverse()
        return steps

    def remember(self) -> dict[Any, Any]:
        """`memo`, made on first use."""
        if self.memo is None:
            self.memo = {}
        return self.memo

    def sever(self) -> None:
        """Cut the trie below here into paths: whoever still holds one of its steps keeps those before it alive, and no others."""
        todo = [self]
        while todo:
            step = todo.pop()
            children, step.children, step.next = step.children, None, None
            step.call, step.shown = None, None
            if children:
                todo.extend(children.values())

    def __repr__(self) -> str:
        operands = ", ".join([f"%{i}" for i in self.operands])
        named = ", ".join([f"{k}={v!r}" for k, v in self.op.named(self.params).items()])
        return f"%{self.index} = {self.op.name}({', '.join([t for t in (operands, named) if t])}) : {self.type}"


class Alias:
    """What makes a handle more than a name of one value.

    Attributes:
        base: for a view, the root handle whose memory it shows (see `root_of`); None for a root that has been viewed.
        chain: for a view, the (op, scalar operands, params) applied to the base, in order.
        version: a root's number of writes so far; a view's: the root's when the view last looked.
        segment, slot: where a view's value is pending, if it is.
        writeable: whether writes are allowed.
        face: for a root that no user holds, the array whose memory it is (it was given another shape or dtype in place), weakly.
        call: for a view that was made by replaying a call, that one.
    """

    __slots__ = ("base", "call", "chain", "face", "segment", "slot", "version", "writeable")

    def __init__(self, base: Handle | None, chain: tuple[Any, ...], version: int, writeable: bool = True, call: Call | None = None) -> None:
        self.base, self.chain, self.version, self.writeable, self.call = base, chain, version, writeable, call
        self.segment: Segment | None = None
        self.slot: int = -1
        self.face: Any = None


@mypyc_attr(allow_interpreted_subclasses=True)
class Handle:
    """An array or scalar, pending or materialised: the mutable name of a value. Steps never change; an in-place write makes the handle
    mean another step. The classes that users see are subclasses without further slots, handed down by `set_constructors`.

    Attributes:
        segment: the segment in which `index` is this value's slot, or None. A view's is always None (see `alias`).
        index: the slot.
        type: its ArrayType, known from the moment of recording.
        memory: the value, which nobody may write to, or None while pending: a host array, or a DeviceValue on another context.
        alias: None for a plain array; see Alias.
    """

    __slots__ = ("alias", "index", "memory", "segment", "type")
    segment: Segment | None
    index: int
    type: ArrayType
    memory: Any
    alias: Alias | None

    def __new__(cls) -> Handle:
        return object.__new__(cls)

    # Written out: functions put in later would not fill a compiled type's slots, and take twice the time.
    def __add__(self, value: Any) -> Any:
        return _binary(_given.add, self, value, False, _given.mixed)

    def __radd__(self, value: Any) -> Any:
        return _binary(_given.add, self, value, True, _given.mixed)

    def __sub__(self, value: Any) -> Any:
        return _binary(_given.subtract, self, value, False, _given.mixed)

    def __rsub__(self, value: Any) -> Any:
        return _binary(_given.subtract, self, value, True, _given.mixed)

    def __mul__(self, value: Any) -> Any:
        return _binary(_given.multiply, self, value, False, _given.mixed)

    def __rmul__(self, value: Any) -> Any:
        return _binary(_given.multiply, self, value, True, _given.mixed)

    def __truediv__(self, value: Any) -> Any:
        return _binary(_given.divide, self, value, False, _given.mixed)

    def __rtruediv__(self, value: Any) -> Any:
        return _binary(_given.divide, self, value, True, _given.mixed)

    def __floordiv__(self, value: Any) -> Any:
        return _binary(_given.floor_divide, self, value, False, _given.mixed)

    def __rfloordiv__(self, value: Any) -> Any:
        return _binary(_given.floor_divide, self, value, True, _given.mixed)

    def __mod__(self, value: Any) -> Any:
        return _binary(_given.remainder, self, value, False, _given.mixed)

    def __rmod__(self, value: Any) -> Any:
        return _binary(_given.remainder, self, value, True, _given.mixed)

    def __and__(self, value: Any) -> Any:
        return _binary(_given.bitwise_and, self, value, False, _given.mixed)

    def __rand__(self, value: Any) -> Any:
        return _binary(_given.bitwise_and, self, value, True, _given.mixed)

    def __or__(self, value: Any) -> Any:
        return _binary(_given.bitwise_or, self, value, False, _given.mixed)

    def __ror__(self, value: Any) -> Any:
        return _binary(_given.bitwise_or, self, value, True, _given.mixed)

    def __xor__(self, value: Any) -> Any:
        return _binary(_given.bitwise_xor, self, value, False, _given.mixed)

    def __rxor__(self, value: Any) -> Any:
        return _binary(_given.bitwise_xor, self, value, True, _given.mixed)

    def __lshift__(self, value: Any) -> Any:
        return _binary(_given.left_shift, self, value, False, _given.mixed)

    def __rlshift__(self, value: Any) -> Any:
        return _binary(_given.left_shift, self, value, True, _given.mixed)

    def __rshift__(self, value: Any) -> Any:
        return _binary(_given.right_shift, self, value, False, _given.mixed)

    def __rrshift__(self, value: Any) -> Any:
        return _binary(_given.right_shift, self, value, True, _given.mixed)

    def __iadd__(self, value: Any) -> Any:
        return _in_place(_given.add, self, value)

    def __isub__(self, value: Any) -> Any:
        return _in_place(_given.subtract, self, value)

    def __imul__(self, value: Any) -> Any:
        return _in_place(_given.multiply, self, value)

    def __itruediv__(self, value: Any) -> Any:
        return _in_place(_given.divide, self, value)

    def __ifloordiv__(self, value: Any) -> Any:
        return _in_place(_given.floor_divide, self, value)

    def __imod__(self, value: Any) -> Any:
        return _in_place(_given.remainder, self, value)

    def __iand__(self, value: Any) -> Any:
        return _in_place(_given.bitwise_and, self, value)

    def __ior__(self, value: Any) -> Any:
        return _in_place(_given.bitwise_or, self, value)

    def __ixor__(self, value: Any) -> Any:
        return _in_place(_given.bitwise_xor, self, value)

    def __ilshift__(self, value: Any) -> Any:
        return _in_place(_given.left_shift, self, value)

    def __irshift__(self, value: Any) -> Any:
        return _in_place(_given.right_shift, self, value)

    def __pow__(self, value: Any) -> Any:
        return _called(_given.power, (self, value))

    def __rpow__(self, value: Any) -> Any:
        return _binary(_given.raised, self, value, True, _given.mixed)

    def __matmul__(self, value: Any) -> Any:
        return _called(_given.product, (self, value))

    def __rmatmul__(self, value: Any) -> Any:
        return _called(_given.product, (value, self))

    def __getitem__(self, key: Any) -> Any:
        return _called(_given.item, (self, key))

    @property
    def T(self) -> Any:
        """The transposed array (a view)."""
        return _called(_given.transposed, (self,))

    def __neg__(self) -> Any:
        return _unary(_given.negative, self)

    def __pos__(self) -> Any:
        return _unary(_given.positive, self)

    def __abs__(self) -> Any:
        return _unary(_given.absolute, self)

    def __invert__(self) -> Any:
        return _unary(_given.invert, self)


if isinstance(vars(Handle).get("__new__"), staticmethod):
    # uncompiled: without it, what is inherited is called at once
    delattr(Handle, "__new__")


# an argument that was not given
_ABSENT: Final[Any] = object()


@mypyc_attr(allow_interpreted_subclasses=True)
class Recording:
    """A callable that records an op of one operand, or of two, where it is called with arrays and Python numbers alone.

    Attributes:
        op: what it records.
        arity: the number of operands; 0: every call is `general`'s.
    """

    __slots__ = ("arity", "op")
    op: Any
    arity: int

    def general(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Every other call."""
        raise NotImplementedError

    def __call__(self, x: Any = _ABSENT, y: Any = _ABSENT, /, *args: Any, **kwargs: Any) -> Any:
        if not args and not kwargs:
            kind, other = type(x), type(y)
            if self.arity == 1:
                if y is _ABSENT and (kind is _given.array or kind is _given.scalar):
                    return _unary(self.op, x, self)
            elif self.arity == 2:
                array = other is _given.array or other is _given.scalar
                if kind is _given.array or kind is _given.scalar:
                    if array or other is float or other is int or other is bool or other is complex:
                        return _binary(self.op, x, y, False, _given.mixed, self)
                elif array and (kind is float or kind is int or kind is bool or kind is complex):
                    return _binary(self.op, y, x, True, _given.mixed, self)
        if y is not _ABSENT:
            return self.general((x, y, *args), kwargs)
        return self.general((x,) if x is not _ABSENT else (), kwargs)


@mypyc_attr(allow_interpreted_subclasses=True)
class OpenSegment:
    """What replaying reads and writes of a segment (see `recorder.Segment`).

    Attributes:
        recorder: the owner.
        cursor: the last step recorded.
        arrays: handles given out for pending steps; reference counts tell at the flush which of them are still held.
        scalars: the numbers behind the path's `scalar` steps.
        limit: index of the step from which on the segment looks for a place to be cut.
        most_bytes: of results, from which on it looks for one.
        passed: the last call that was replayed and recorded nothing.
    """

    __slots__ = ("arrays", "cursor", "limit", "most_bytes", "passed", "recorder", "scalars")
    recorder: Recorder
    cursor: Step
    arrays: list[Handle]
    scalars: list[Any]
    limit: int
    most_bytes: int
    passed: Call | None

    def use(self, handle: Handle) -> int:
        """The slot of a handle's present value in this segment; makes it an input where it is not here yet."""
        raise NotImplementedError

    def live(self) -> list[Handle]:
        """Handles whose value is pending here and that somebody besides `arrays` holds. Newest first, so that what dead handles keep
        alive dies with them. `arrays` is emptied."""
        arrays, self.arrays = self.arrays, []
        kept: list[Handle] = []
        try:
            while arrays:
                handle = arrays.pop()
                held: int = _refcount(handle)
                if held > _OURS and handle.segment is self and handle.memory is None:
                    kept.append(handle)
        except BaseException:
            # Ctrl-C, say
            self.arrays[:0] = arrays + kept[::-1]
            raise
        return kept


@mypyc_attr(allow_interpreted_subclasses=True)
class Replayer:
    """What replaying reads of a recorder (see `recorder.Recorder`).

    Attributes:
        segment: the open segment.
        session: the recording of a pure region, if one is going on (see pure.py).
        exact: whether call sites are compared.
        immediate: who computes each step at once; None in lazy mode.
    """

    segment: Segment
    session: Any
    exact: bool
    immediate: Any

    def record(self, op: Op, operands: tuple[Any, ...], params: Params) -> Any:
        """Record `op` on handles and Python numbers; returns a handle (a tuple of them for several results)."""
        raise NotImplementedError


def _references(handles: list[Handle]) -> int:
    handle = handles.pop()
    return _refcount(handle)


# references to a popped handle that nobody else holds: the local name, and, uncompiled, the argument
_OURS: Final[int] = _references([Handle()])


class _Given:
    """What the modules above hand down.

    Attributes:
        array, scalar: the classes that users see.
        ambient: counts changes of what functions depend on besides their arguments: the default dtype.
        looks: counts how often a value was looked at.
        local: where each thread has its recorder.
        number, input: the ops of steps that stand for Python numbers, and for arrays that existed before.
        lasting: types whose instances never change, and may be remembered with a call.
        power, product, item, transposed: what `x ** y`, `x @ y`, `x[y]` and `x.T` call.
        raised: the op of `y ** x`.
        mixed: called as `mixed(op, left, right)` by an operator whose other operand is neither an array of ours nor a Python number.
        check_writeable: called with an array before an in-place operator's error, which is the second that NumPy finds.
        write: called as `write(op, array, result)` by an in-place operator in all but the usual case.
        add, subtract ...: the operators' entries in the table.
    """

    __slots__ = (
        "absolute",
        "add",
        "ambient",
        "array",
        "bitwise_and",
        "bitwise_or",
        "bitwise_xor",
        "check_writeable",
        "divide",
        "floor_divide",
        "input",
        "invert",
        "item",
        "lasting",
        "left_shift",
        "local",
        "looks",
        "mixed",
        "multiply",
        "negative",
        "number",
        "positive",
        "power",
        "product",
        "raised",
        "remainder",
        "right_shift",
        "scalar",
        "subtract",
        "transposed",
        "write",
    )

    def __init__(self) -> None:
        self.ambient: int = 0
        self.looks: int = 0
        self.array: Any = Handle
        self.scalar: Any = Handle
        self.local: Any = None
        self.number: Any = None
        self.input: Any = None
        self.lasting: Any = frozenset()
        self.power: Any = None
        self.product: Any = None
        self.item: Any = None
        self.transposed: Any = None
        self.raised: Any = None
        self.mixed: Any = None
        self.check_writeable: Any = None
        self.write: Any = None
        self.add: Any = None
        self.subtract: Any = None
        self.multiply: Any = None
        self.divide: Any = None
        self.floor_divide: Any = None
        self.remainder: Any = None
        self.bitwise_and: Any = None
        self.bitwise_or: Any = None
        self.bitwise_xor: Any = None
        self.left_shift: Any = None
        self.right_shift: Any = None
        self.negative: Any = None
        self.positive: Any = None
        self.absolute: Any = None
        self.invert: Any = None


_given: Final = _Given()
# A new, empty handle of a class. Not the class's own `__new__`, which makes an array.
new: Final[Any] = Handle.__new__


def constructors() -> tuple[Any, Any]:
    """(array class, scalar class)."""
    return _given.array, _given.scalar


def set_constructors(array: type[Handle], scalar: type[Handle]) -> None:
    """Told by the numpy layer which classes users see."""
    _given.array, _given.scalar = array, scalar


def set_operators(
    table: Mapping[str, Op],
    mixed: Callable[[Op, Any, Any], Any],
    check_writeable: Callable[[Any], None],
    write: Callable[[Op, Any, Any], None],
    functions: Mapping[str, Function],
    lasting: frozenset[type],
) -> None:
    """Told by the numpy layer what the operators record or call, and who does the rest (see `_Given`)."""
    _given.mixed, _given.check_writeable, _given.write = mixed, check_writeable, write
    _given.power, _given.product, _given.item = functions["power"], functions["product"], functions["item"]
    _given.lasting = lasting
    _given.raised = table["power"]
    _given.add = table["add"]
    _given.subtract = table["subtract"]
    _given.multiply = table["multiply"]
    _given.divide = table["divide"]
    _given.floor_divide = table["floor_divide"]
    _given.remainder = table["remainder"]
    _given.bitwise_and = table["bitwise_and"]
    _given.bitwise_or = table["bitwise_or"]
    _given.bitwise_xor = table["bitwise_xor"]
    _given.left_shift = table["left_shift"]
    _given.right_shift = table["right_shift"]
    _given.negative = table["negative"]
    _given.positive = table["positive"]
    _given.absolute = table["absolute"]
    _given.invert = table["invert"]


def looked() -> None:
    """Told by the recorder that a value is looked at."""
    _given.looks += 1


def changed_ambient() -> None:
    """Told by the numpy layer that functions may mean something else from now on."""
    _given.ambient += 1


def set_transposed(function: Function) -> None:
    """Told by the numpy layer what `x.T` calls."""
    _given.transposed = function


def set_leaves(number: Op, array: Op) -> None:
    """Told by step.py which ops stand for a Python number, and for an array that existed before."""
    _given.number, _given.input = number, array


def set_local(local: Any) -> None:
    """Told by the recorder where each thread has its own."""
    _given.local = local


# -- the hot path: everything inlined, as uncompiled a call takes 0.05 µs ------------------------------------------------------------------
def _unary(op: Op, a: Handle, function: Recording | None = None) -> Any:
    recorder: Replayer = _given.local.recorder
    segment: OpenSegment = recorder.segment
    i = a.index if a.segment is segment else _use(segment, a)
    cursor = segment.cursor
    step = cursor.next
    if step is None or step.op is not op or step.a != i or (step.host and function is not None):
        if function is not None and a.type.host:
            return function.general((a,), {})
        return recorder.record(op, (a,), ())
    handle = Handle.__new__(_given.scalar if step.scalar else _given.array)
    if recorder.segment is segment and segment.cursor is cursor:
        segment.cursor = step
    else:
        return recorder.record(op, (a,), ())
    handle.segment = segment
    handle.index = step.index
    handle.type = step.type
    handle.memory = None
    handle.alias = None
    segment.arrays.append(handle)
    return handle


def _binary(op: Op, a: Handle, value: Any, reflected: bool, mixed: Callable[[Op, Any, Any], Any], function: Recording | None = None) -> Any:
    # `function`: called by it, not by an operator
    recorder: Replayer = _given.local.recorder
    segment: OpenSegment = recorder.segment
    kind = type(value)
    if kind is _given.array or kind is _given.scalar:
        b: Handle = value
        if reflected:
            a, b = b, a
        i = a.index if a.segment is segment else _use(segment, a)
        j = b.index if b.segment is segment else _use(segment, b)
        cursor = segment.cursor
        step = cursor.next
        if step is None or step.op is not op or step.a != i or step.b != j or (step.host and function is not None):
            if function is not None and (a.type.host or b.type.host):
                return function.general((a, b), {})
            return recorder.record(op, (a, b), ())
        handle = Handle.__new__(_given.scalar if step.scalar else _given.array)
        if recorder.segment is segment and segment.cursor is cursor:
            segment.cursor = step
        else:
            return recorder.record(op, (a, b), ())
    elif kind is float or kind is int or kind is bool or kind is complex:
        i = a.index if a.segment is segment else _use(segment, a)
        cursor = segment.cursor
        number = cursor.next
        step = None
        j = -1
        if number is not None and number.op is _given.number and number.params[0] is kind:
            step = number.next
            j = number.index
        if reflected:
            i, j = j, i
        if (
            step is None
            or step.op is not op
            or step.a != i
            or step.b != j
            or not (step.low is None or within(step, value))
            or (step.host and function is not None)
        ):
            if function is not None and a.type.host:
                return function.general((value, a) if reflected else (a, value), {})
            return recorder.record(op, (value, a) if reflected else (a, value), ())
        handle = Handle.__new__(_given.scalar if step.scalar else _given.array)
        if recorder.segment is segment and segment.cursor is cursor:
            segment.cursor = step
            # (uncompiled, a signal handler comes after a call of a builtin, not before)
            segment.scalars.append(value)
        else:
            return recorder.record(op, (value, a) if reflected else (a, value), ())
    else:
        return mixed(op, value, a) if reflected else mixed(op, a, value)
    handle.segment = segment
    handle.index = step.index
    handle.type = step.type
    handle.memory = None
    handle.alias = None
    segment.arrays.append(handle)
    return handle


def _in_place(op: Op, handle: Handle, value: Any) -> Any:
    if type(handle) is not _given.array:
        # a scalar is immutable: its name will mean the result
        return _binary(op, handle, value, False, _given.mixed)
    try:
        result = _binary(op, handle, value, False, _given.mixed)
    except (TypeError, OverflowError):
        _given.check_writeable(handle)
        raise
    if result is NotImplemented:
        return result
    if not took_over(handle, result):
        _given.write(op, handle, result)
    return handle


def within(step: Step, value: Any) -> bool:
    """Whether NEP 50 lets a number stand beside the step's dtype."""
    low, high = step.low, step.high
    return type(value) is not int or low is None or high is None or low <= value <= high


def unary(op: Op) -> Callable[[Any], Any]:
    """A recording function of one handle for an op without parameters."""

    def recording(a: Handle) -> Any:
        return _unary(op, a)

    return recording


def binary(op: Op, other: Callable[[Op, Any, Any], Any], reflected: bool = False) -> Callable[[Any, Any], Any]:
    """A recording method of a handle and an operand for an op without parameters.

    Args:
        other: called as `other(op, left, right)` where the second operand is neither an array of ours nor a Python number.
        reflected: the handle is the right operand (`__radd__`).
    """

    def recording(self: Handle, value: Any) -> Any:
        return _binary(op, self, value, reflected, other)

    return recording


def record(op: Op, operands: tuple[Any, ...], params: tuple[Any, ...]) -> Any:
    """Record on this thread: `op` on handles and Python numbers; returns a handle (a tuple of them for several results)."""
    recorder: Replayer = _given.local.recorder
    segment: OpenSegment = recorder.segment
    count = len(operands)
    if count == 0 or count > 2 or segment.cursor.index >= segment.limit:
        return recorder.record(op, operands, params)
    i = j = -1
    for operand in operands:
        kind = type(operand)
        if kind is not _given.array and kind is not _given.scalar:
            return recorder.record(op, operands, params)
        a: Handle = operand
        i, j = j, a.index if a.segment is segment else _use(segment, a)
    if count == 1:
        i, j = j, i
    cursor = segment.cursor
    step = cursor.next
    if (
        step is None
        or step.op is not op
        or step.a != i
        or step.b != j
        or len(step.operands) != count
        or step.params != params
        or type(step.type) is tuple
    ):
        return recorder.record(op, operands, params)
    handle = Handle.__new__(_given.scalar if step.scalar else _given.array)
    if recorder.segment is segment and segment.cursor is cursor:
        segment.cursor = step
    else:
        return recorder.record(op, operands, params)
    handle.segment = segment
    handle.index = step.index
    handle.type = step.type
    handle.memory = None
    handle.alias = None
    segment.arrays.append(handle)
    return handle


# -- calls ---------------------------------------------------------------------------------------------------------------------------------
# of more steps no call is remembered, nor so many calls that record nothing
_MOST_STEPS: Final = 64
# where so many calls of a function in a row could not be remembered, only some of those to come are looked at
_MOST_REFUSED: Final = 32
_FEW: Final = 4
# of more calls at one place the first are forgotten, and of so many none is remembered any more
_MOST_CALLS: Final = 8
_MOST_TRIES: Final = 64


class Call:
    """A call at a place of the trie, and what came of it: made there again with the same arguments, it means the same steps, or the same
    view, and nothing has to be worked out anew.

    A place is a step and, where calls came after it that recorded nothing, the last of these.

    Attributes:
        function: what was called.
        given: its arguments: of arrays their types, others (which are immutable) as they are; those by keyword come last.
        names: the keywords.
        slots: of arrays among the others the slots, -1 where the call reads none.
        at: the step after which it was made.
        following: the call after it, where it recorded nothing.
        other: another call at the same place.
        depth: how many calls lie between that step and this one.
        tries: how many calls were remembered here before.
        ambient: see `_Given`.
        start: where its own steps begin: between `at` and this step lie readings of its arguments.
        last: its last step.
        numbers: the Python numbers among its steps.
        result: the step that is its result; None: it makes a view, or its first argument means the last step from now on.
        chain, type, writeable: of the view that it makes (see `Alias`; writeable: where its source is), else None.
        source: the call that made the view of which it makes another.
    """

    __slots__ = (
        "ambient",
        "at",
        "chain",
        "depth",
        "following",
        "function",
        "given",
        "last",
        "names",
        "numbers",
        "other",
        "result",
        "slots",
        "source",
        "start",
        "tries",
        "type",
        "writeable",
    )

    def __init__(self, function: Any, given: list[Any], names: list[str], slots: list[int], at: Step) -> None:
        self.function, self.given, self.names, self.slots, self.at = function, given, names, slots, at
        self.following: Call | None = None
        self.other: Call | None = None
        self.depth: int = 0
        self.tries: int = 0
        self.ambient: int = _given.ambient
        self.start: Step = at
        self.last: Step = at
        self.numbers: list[Any] = []
        self.result: Step | None = None
        self.chain: tuple[Any, ...] | None = None
        self.type: Any = None
        self.writeable: bool = True
        self.source: Call | None = None


# where there was one before
_met: Final = Call(None, [], [], [], Step(cast(Any, None), (), (), None, None, None))


class Reading:
    """The steps that reading a view recorded after a step.

    Attributes:
        call: what made the view.
        slot: of the value that it is a view of.
        last, numbers: as in `Call`.
    """

    __slots__ = ("call", "last", "numbers", "slot")

    def __init__(self, call: Call, slot: int, last: Step, numbers: list[Any]) -> None:
        self.call, self.slot, self.last, self.numbers = call, slot, last, numbers


class Function:
    # A function of arrays, some of whose calls are replayed (see `Call`). (A docstring would be that of each.)
    #
    # Attributes:
    #     general: does any call.
    #     home: the module where it is found by its name.
    #     refused: how many of its calls in a row could not be remembered.

    def __init__(self, general: Any, name: str, doc: str | None, home: str) -> None:
        self.general: Any = general
        self.home: str = home
        self.refused: int = 0
        self.__name__: str = name
        self.__qualname__: str = name
        self.__doc__: str | None = doc
        self.__wrapped__: Any = general

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        flat = args
        if args:
            first = args[0]
            kind = type(first)
            if kind is tuple or kind is list:
                flat = _flat(first, args)
        made = _replayed(self, flat, kwargs if kwargs else None)
        return _remembered(self, args, flat, kwargs) if made is _ABSENT else made

    def __get__(self, instance: Any, owner: Any) -> Any:
        return self if instance is None else _method(self, instance)

    def __reduce__(self) -> Any:
        return _find, (self.home, self.__name__)

    def __repr__(self) -> str:
        return f"<function {self.__name__} of {self.home}>"


def _find(home: str, name: str) -> Any:
    return getattr(importlib.import_module(home), name)


def _called(function: Function, args: tuple[Any, ...]) -> Any:
    made = _replayed(function, args, None)
    return _remembered(function, args, args, {}) if made is _ABSENT else made


def _flat(first: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments of which the first holds arrays, these one by one; others as they are."""
    items: tuple[Any, ...] = tuple(first)
    if not items or (type(items[0]) is not _given.array and type(items[0]) is not _given.scalar):
        return args
    return (type(first), len(items), *items, *args[1:])


def _replayed(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> Any:
    """What became of this call at this place before; _ABSENT: nothing is known of it."""
    recorder: Replayer = _given.local.recorder
    segment: OpenSegment = recorder.segment
    cursor = segment.cursor
    passed = segment.passed
    first = passed is None or passed.at is not cursor
    call = cursor.call if passed is None or first else passed.following
    while call is not None or not first:
        if call is None:
            # a loop, say, that makes views and records nothing has come back to its first call
            first, call = True, cursor.call
        elif call.function is function and _is_it(call, args, kwargs):
            chain = call.chain
            if recorder.session is not None:
                # it notes where values come from
                return _ABSENT
            return _stepped(recorder, segment, call, args) if chain is None else _view(segment, call, chain, args[0])
        else:
            call = call.other
    return _ABSENT


def _is_it(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> bool:
    """Whether the arguments are those of a call that is known."""
    given, names = call.given, call.names
    array, scalar = _given.array, _given.scalar
    count = len(args)
    if count != len(call.slots) or call.ambient != _given.ambient:
        return False
    for k in range(count):
        value, known = args[k], given[k]
        if value is not known:
            kind = type(value)
            if kind is array or kind is scalar:
                a: Handle = value
                if a.type is not known:
                    return False
            elif not _says_same(value, known):
                return False
    if kwargs is None:
        return not names
    if len(kwargs) != len(names):
        return False
    k = count
    for name, value in kwargs.items():
        if name is not names[k - count] or not (value is given[k] or _says_same(value, given[k])):
            return False
        k += 1
    return True


def _stepped(recorder: Replayer, segment: OpenSegment, call: Call, args: tuple[Any, ...]) -> Any:
    """The steps of a call that is known are recorded."""
    slots = call.slots
    for k in range(len(slots)):
        slot = slots[k]
        if slot >= 0:
            a: Handle = args[k]
            i = a.index if a.segment is segment else _use(segment, a)
            if i != slot:
                return _ABSENT
    start, last = call.start, call.last
    if segment.cursor is not start or last.index >= segment.limit or last.nbytes > segment.most_bytes:
        return _ABSENT
    result = call.result
    if result is None:
        return _written(recorder, segment, call, args[0])
    handle = Handle.__new__(_given.scalar if result.scalar else _given.array)
    numbers = call.numbers
    if not numbers and recorder.segment is segment and segment.cursor is start:
        segment.cursor = last
    elif recorder.segment is segment and segment.cursor is start:
        segment.cursor = last
        segment.scalars.extend(numbers)
    else:
        return _ABSENT
    handle.segment = segment
    handle.index = result.index
    handle.type = result.type
    handle.memory = None
    handle.alias = None
    segment.arrays.append(handle)
    return handle


def _view(segment: OpenSegment, call: Call, chain: tuple[Any, ...], source: Handle) -> Any:
    """The view that a call makes (see `numpy.views.make_view`)."""
    alias = source.alias
    writeable = call.writeable
    root = source
    if alias is not None:
        writeable = writeable and alias.writeable
        if alias.base is not None:
            root = alias.base
    shared = root.alias
    if root is source:
        if call.source is not None:
            return _ABSENT
    elif call.source is None or alias is None or alias.call is not call.source or shared is None or shared.base is not None:
        return _ABSENT
    view = Handle.__new__(_given.array)
    if shared is None:
        shared = root.alias = Alias(None, (), 0)
    view.segment = None
    view.index = -1
    view.type = call.type
    view.memory = None
    view.alias = Alias(root, chain, shared.version, writeable, call)
    segment.passed = call if call.depth < _MOST_STEPS else None
    return view


def _written(recorder: Replayer, segment: OpenSegment, call: Call, target: Handle) -> Any:
    """The first argument of a call comes to mean its last step (see `numpy.views.assign`)."""
    alias = target.alias
    if alias is not None and (alias.base is not None or not alias.writeable):
        return _ABSENT
    # what these keep alive dies when all is done
    before, data = target.segment, target.memory
    if recorder.segment is segment and segment.cursor is call.start:
        segment.cursor = call.last
        segment.scalars.extend(call.numbers)
    else:
        return _ABSENT
    if before is not segment or data is not None:
        segment.arrays.append(target)
    target.segment, target.index, target.memory = segment, call.last.index, None
    if alias is not None:
        alias.version += 1
    return None


def _says_same(value: Any, known: Any) -> bool:
    """Whether an argument says what one did that was remembered."""
    kind = type(value)
    if value is known:
        return True
    if kind is slice:
        if type(known) is not _Bounds:
            return False
        bounds: _Bounds = known
        return _says_same(value.start, bounds.start) and _says_same(value.stop, bounds.stop) and _says_same(value.step, bounds.step)
    if kind is not type(known):
        return False
    if kind is int or kind is str:
        return bool(value == known)
    if kind is tuple:
        items: tuple[Any, ...] = value
        others: tuple[Any, ...] = known
        return len(items) == len(others) and all(_says_same(items[k], others[k]) for k in range(len(items)))
    return False


class _Bounds:
    """A slice: its parts are quicker to look at than the slice's own."""

    __slots__ = ("start", "step", "stop")

    def __init__(self, start: Any, stop: Any, step: Any) -> None:
        self.start: Any = start
        self.stop: Any = stop
        self.step: Any = step


def _lasting(value: Any) -> Any:
    """An argument as it is remembered, if it means the same whenever it is given again; else _ABSENT."""
    kind = type(value)
    if kind is tuple:
        kept = [_lasting(item) for item in value]
        if any(item is _ABSENT for item in kept):
            return _ABSENT
        return value if all(item is old for item, old in zip(kept, value, strict=True)) else tuple(kept)
    if kind is slice:
        parts = [_lasting(part) for part in (value.start, value.stop, value.step)]
        return _ABSENT if any(part is _ABSENT for part in parts) else _Bounds(parts[0], parts[1], parts[2])
    return value if value is None or value is Ellipsis or kind in _given.lasting or isinstance(value, type) else _ABSENT


def _use(segment: OpenSegment, handle: Handle) -> int:
    """The slot of a handle's present value, as `OpenSegment.use` says; a view's reading is replayed."""
    alias = handle.alias
    if alias is not None and alias.base is not None and alias.call is not None:
        base, shown = alias.base, segment.cursor.shown
        root = base.alias
        if root is not None and root.base is None:
            if alias.segment is segment and alias.version == root.version:
                return alias.slot
            recorder: Replayer = segment.recorder
            if (
                shown is not None
                and recorder.session is None
                and shown.call is alias.call
                and base.segment is segment
                and base.memory is None
                and base.index == shown.slot
                and shown.last.index < segment.limit
                and shown.last.nbytes <= segment.most_bytes
            ):
                segment.cursor = shown.last
                segment.scalars.extend(shown.numbers)
                alias.version = root.version
                alias.segment = cast(Any, segment)
                alias.slot = shown.last.index
                handle.memory = None
                return alias.slot
    return segment.use(handle)


def remember_reading(segment: OpenSegment, start: Step, alias: Alias, slot: int) -> None:
    """Told that a view was read after a step: its root's value has the slot."""
    recorder: Replayer = segment.recorder
    if alias.call is None or recorder.session is not None or recorder.immediate is not None:
        return
    end = segment.cursor
    steps = _steps(start, end)
    if steps is not None:
        reading = Reading(alias.call, slot, end, _numbers(segment, steps))
        # (a signal handler may have recorded meanwhile)
        if segment.cursor is end:
            start.shown = reading


def _steps(start: Step, end: Step) -> list[Step] | None:
    """The steps from one to another, the first left out, if each is what follows unasked."""
    steps: list[Step] = []
    step = end
    while step is not start:
        parent = step.parent
        if parent is None or parent.next is not step or len(steps) == _MOST_STEPS:
            return None
        steps.append(step)
        step = parent
    steps.reverse()
    return steps


def _numbers(segment: OpenSegment, steps: list[Step]) -> list[Any]:
    """The Python numbers among the segment's last steps."""
    count = 0
    for step in steps:
        if step.op is _given.number:
            count += 1
    scalars = segment.scalars
    return scalars[len(scalars) - count :]


def _remembered(function: Function, args: tuple[Any, ...], flat: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Make a call, and remember what came of it, if that can be replayed. `flat`: see `_flat`."""
    recorder: Replayer = _given.local.recorder
    segment: OpenSegment = recorder.segment
    cursor = segment.cursor
    before: list[int] = []
    count = versions = 0
    refusals = 1
    for value in flat:
        kind = type(value)
        slot = -1
        if kind is _given.array or kind is _given.scalar:
            a: Handle = value
            slot = _slot(segment, a)
            count += 1
            alias = a.alias
            if alias is not None:
                versions += alias.version
                if alias.base is not None and alias.call is None:
                    # a view of a call that is not known yet
                    refusals = 0
        before.append(slot)
    if count == 0:
        return function.general(*args, **kwargs)
    passed = segment.passed
    if passed is not None and passed.at is not cursor:
        passed = None
    known = cursor.call if passed is None else passed.following
    if recorder.session is not None or recorder.exact or recorder.immediate is not None:
        return function.general(*args, **kwargs)
    if cursor.next is None and known is None and passed is None:
        # what comes for the first time may be the last
        made = function.general(*args, **kwargs)
        if segment.cursor is cursor:
            cursor.call = _met
        return made
    if known is not None and known.tries == _MOST_TRIES:
        return function.general(*args, **kwargs)
    if function.refused > _MOST_REFUSED and function.refused % _FEW:
        function.refused += 1
        return function.general(*args, **kwargs)
    looks = _given.looks
    function.refused += refusals
    made = function.general(*args, **kwargs)
    # (what looks at values may do something else next time)
    if recorder.segment is segment and _given.looks == looks:
        end = segment.cursor
        call = _understood(function, flat, kwargs, segment, cursor, before, versions, made)
        # (a signal handler may have recorded meanwhile)
        if call is not None and recorder.segment is segment and segment.cursor is end:
            function.refused = 0
            if known is not None and known is not _met:
                call.tries = known.tries + 1
                call.other = known
                _forget(call)
            if passed is None:
                cursor.call = call
            else:
                passed.following = call
                call.depth = passed.depth + 1
            if call.chain is not None:
                made.alias.call = call
                segment.passed = call if call.depth < _MOST_STEPS else None
    return made


def _forget(first: Call) -> None:
    """Of the calls at a place, leave the latest."""
    call: Call | None = first
    count = 1
    while call is not None:
        if count == _MOST_CALLS:
            call.other = None
        call = call.other
        count += 1


def _slot(segment: OpenSegment, handle: Handle) -> int:
    """Where a handle's value is in the segment; -1: not yet."""
    if handle.segment is segment:
        return handle.index
    alias = handle.alias
    if alias is None or alias.base is None or alias.segment is not segment:
        return -1
    root = alias.base.alias
    return alias.slot if root is not None and root.base is None and root.version == alias.version else -1


def _understood(
    function: Function,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    segment: OpenSegment,
    at: Step,
    before: list[int],
    versions: int,
    made: Any,
) -> Call | None:
    """A call that was just made, if whatever it did is known from its steps.

    Args:
        at: the step after which it was made.
        before: slots of its arguments.
        versions: of those that are views, or have some, the sum.
    """
    end = segment.cursor
    steps = _steps(at, end)
    if steps is None:
        return None
    given: list[Any] = []
    slots: list[int] = []
    count = after = read = 0
    start = at
    for k in range(len(args)):
        value = args[k]
        if value is made and made is not None:
            return None
        kind = type(value)
        slot = before[k]
        if kind is not _given.array and kind is not _given.scalar:
            kept = _lasting(value)
            if kept is _ABSENT:
                return None
            given.append(kept)
            slots.append(-1)
            continue
        a: Handle = value
        given.append(a.type)
        count += 1
        alias = a.alias
        if alias is not None:
            after += alias.version
        if alias is not None and alias.base is not None:
            if slot < 0 and alias.segment is segment and alias.slot > at.index:
                slot = alias.slot
                if slot <= end.index:
                    read += 1 if steps[slot - at.index - 1].op is _given.input else _length(alias.chain)
        elif slot < 0 and a.segment is segment and (made is not None or k):
            slot = a.index
            if slot > at.index:
                read += 1
        elif slot >= 0 and made is not None and (a.segment is not segment or a.index != slot):
            return None
        if slot > at.index:
            # in the order in which a replay reads them
            if slot <= start.index or slot > end.index:
                return None
            start = steps[slot - at.index - 1]
        slots.append(slot)
    if count == 0 or start.index - at.index != read:
        return None
    for value in kwargs.values():
        kept = _lasting(value)
        if kept is _ABSENT:
            return None
        given.append(kept)
    call = Call(function, given, list(kwargs), slots, at)
    first: Any = args[0]
    made_kind = type(made)
    if not steps:
        if made_kind is not _given.array or type(first) is not _given.array or count != 1 or after != versions:
            return None
        return call if _is_view(call, first, made) or _is_copy(call, segment, made) else None
    own = steps[start.index - at.index :]
    for step in own:
        if step.op is _given.input:
            return None
        for operand in step.operands:
            if operand <= start.index and operand not in slots:
                # of an array that is no argument
                return None
    call.start, call.last, call.numbers = start, end, _numbers(segment, own)
    if made is None:
        target: Handle = first
        if type(first) is not _given.array or before[0] < 0 or (target.alias is not None and target.alias.base is not None):
            return None
        last = call.last
        if target.segment is not segment or target.memory is not None or target.index != last.index or target.type is not last.type:
            return None
        return call if own else None
    if made_kind is not _given.array and made_kind is not _given.scalar:
        return None
    found: Handle = made
    if found.segment is not segment or found.memory is not None or found.alias is not None or after != versions:
        return None
    if found.index <= start.index or found.index > call.last.index:
        return None
    result = steps[found.index - at.index - 1]
    if result.type is not found.type or result.scalar is not (made_kind is _given.scalar):
        return None
    call.result = result
    return call


def _length(chain: tuple[Any, ...]) -> int:
    """The number of steps that a view's links are."""
    count = 0
    for link in chain:
        count += 1 + len(link[1])
    return count


def _is_copy(call: Call, segment: OpenSegment, made: Handle) -> bool:
    """Whether a call's result is another handle on its argument's value; notes it."""
    if made.segment is not segment or made.memory is not None or made.alias is not None or made.index != call.slots[0]:
        return False
    step: Step | None = call.at
    while step is not None and step.index != made.index:
        step = step.parent
    if step is None or step.type is not made.type or step.scalar:
        return False
    call.result = step
    return True


def _is_view(call: Call, source: Handle, view: Handle) -> bool:
    """Whether a call's result is a new view of its argument; notes it."""
    alias, before = view.alias, source.alias
    if alias is None or alias.base is None or view.segment is not None:
        return False
    root = source
    if before is not None and not before.writeable:
        return False
    if before is not None and before.base is not None:
        root, call.source = before.base, before.call
        if call.source is None:
            return False
    if alias.base is not root:
        return False
    call.chain, call.type, call.writeable = alias.chain, view.type, alias.writeable
    return True


def took_over(handle: Handle, result: Handle) -> bool:
    """Let `handle` mean what an operator has just handed out, and nobody else holds, where no more is concerned: the usual `x += y`."""
    found = result.segment
    if found is None or result.type is not handle.type or handle.alias is not None or result.alias is not None:
        return False
    segment: OpenSegment = found
    recorder: Replayer = segment.recorder
    arrays = segment.arrays
    # what these keep alive dies when all is done
    before, data = handle.segment, handle.memory
    if result.memory is not None or recorder.session is not None or not arrays or arrays[-1] is not result:
        return False
    if data is None and before is segment:
        arrays.pop()
    else:
        arrays[-1] = handle
    handle.segment, handle.index, handle.memory = found, result.index, None
    return True
