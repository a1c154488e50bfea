"""Validated replay: what happens when an operation is recorded that followed last time, too. Where mypyc is there it compiles this module
together with calls.py, which replays whole calls (see setup.py); the same sources work uncompiled.

It knows no types, modes or devices: all but the usual case is left to the recorder. Compiled functions have no frames, in which a signal
handler or a finalizer could be seen to come in the middle of an operation (`errors.reentered`). So each makes its handle first (which may
collect garbage), sees whether the recorder still stands where it stood, and changes it with no call, and no jump, between (uncompiled, a
signal handler may come at these: see `Segment.advance`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from types import CodeType

    from .calls import Call, Reading
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
        call: the call of a function that came after it last time, where it could be replayed (see `calls.Call`).
        shown: the view that was read after it last time (see `calls.Reading`).
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
        return _binary(given.add, self, value, False, given.mixed)

    def __radd__(self, value: Any) -> Any:
        return _binary(given.add, self, value, True, given.mixed)

    def __sub__(self, value: Any) -> Any:
        return _binary(given.subtract, self, value, False, given.mixed)

    def __rsub__(self, value: Any) -> Any:
        return _binary(given.subtract, self, value, True, given.mixed)

    def __mul__(self, value: Any) -> Any:
        return _binary(given.multiply, self, value, False, given.mixed)

    def __rmul__(self, value: Any) -> Any:
        return _binary(given.multiply, self, value, True, given.mixed)

    def __truediv__(self, value: Any) -> Any:
        return _binary(given.divide, self, value, False, given.mixed)

    def __rtruediv__(self, value: Any) -> Any:
        return _binary(given.divide, self, value, True, given.mixed)

    def __floordiv__(self, value: Any) -> Any:
        return _binary(given.floor_divide, self, value, False, given.mixed)

    def __rfloordiv__(self, value: Any) -> Any:
        return _binary(given.floor_divide, self, value, True, given.mixed)

    def __mod__(self, value: Any) -> Any:
        return _binary(given.remainder, self, value, False, given.mixed)

    def __rmod__(self, value: Any) -> Any:
        return _binary(given.remainder, self, value, True, given.mixed)

    def __and__(self, value: Any) -> Any:
        return _binary(given.bitwise_and, self, value, False, given.mixed)

    def __rand__(self, value: Any) -> Any:
        return _binary(given.bitwise_and, self, value, True, given.mixed)

    def __or__(self, value: Any) -> Any:
        return _binary(given.bitwise_or, self, value, False, given.mixed)

    def __ror__(self, value: Any) -> Any:
        return _binary(given.bitwise_or, self, value, True, given.mixed)

    def __xor__(self, value: Any) -> Any:
        return _binary(given.bitwise_xor, self, value, False, given.mixed)

    def __rxor__(self, value: Any) -> Any:
        return _binary(given.bitwise_xor, self, value, True, given.mixed)

    def __lshift__(self, value: Any) -> Any:
        return _binary(given.left_shift, self, value, False, given.mixed)

    def __rlshift__(self, value: Any) -> Any:
        return _binary(given.left_shift, self, value, True, given.mixed)

    def __rshift__(self, value: Any) -> Any:
        return _binary(given.right_shift, self, value, False, given.mixed)

    def __rrshift__(self, value: Any) -> Any:
        return _binary(given.right_shift, self, value, True, given.mixed)

    def __iadd__(self, value: Any) -> Any:
        return _in_place(given.add, self, value)

    def __isub__(self, value: Any) -> Any:
        return _in_place(given.subtract, self, value)

    def __imul__(self, value: Any) -> Any:
        return _in_place(given.multiply, self, value)

    def __itruediv__(self, value: Any) -> Any:
        return _in_place(given.divide, self, value)

    def __ifloordiv__(self, value: Any) -> Any:
        return _in_place(given.floor_divide, self, value)

    def __imod__(self, value: Any) -> Any:
        return _in_place(given.remainder, self, value)

    def __iand__(self, value: Any) -> Any:
        return _in_place(given.bitwise_and, self, value)

    def __ior__(self, value: Any) -> Any:
        return _in_place(given.bitwise_or, self, value)

    def __ixor__(self, value: Any) -> Any:
        return _in_place(given.bitwise_xor, self, value)

    def __ilshift__(self, value: Any) -> Any:
        return _in_place(given.left_shift, self, value)

    def __irshift__(self, value: Any) -> Any:
        return _in_place(given.right_shift, self, value)

    def __pow__(self, value: Any) -> Any:
        return given.power.call((self, value))

    def __rpow__(self, value: Any) -> Any:
        return _binary(given.raised, self, value, True, given.mixed)

    def __matmul__(self, value: Any) -> Any:
        return given.product.call((self, value))

    def __rmatmul__(self, value: Any) -> Any:
        return given.product.call((value, self))

    def __getitem__(self, key: Any) -> Any:
        return given.item.call((self, key))

    @property
    def T(self) -> Any:
        """The transposed array (a view)."""
        return given.transposed.call((self,))

    def __neg__(self) -> Any:
        return _unary(given.negative, self)

    def __pos__(self) -> Any:
        return _unary(given.positive, self)

    def __abs__(self) -> Any:
        return _unary(given.absolute, self)

    def __invert__(self) -> Any:
        return _unary(given.invert, self)


if isinstance(vars(Handle).get("__new__"), staticmethod):
    # uncompiled: without it, what is inherited is called at once
    delattr(Handle, "__new__")


class Replayable:
    # A function whose calls are replayed as a whole (see `calls.Function`). (A docstring would be that of each.)

    def call(self, args: tuple[Any, ...]) -> Any:
        # What operators call it by.
        raise NotImplementedError


# an argument that was not given
ABSENT: Final[Any] = object()


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

    def __call__(self, x: Any = ABSENT, y: Any = ABSENT, /, *args: Any, **kwargs: Any) -> Any:
        if not args and not kwargs:
            kind, other = type(x), type(y)
            if self.arity == 1:
                if y is ABSENT and (kind is given.array or kind is given.scalar):
                    return _unary(self.op, x, self)
            elif self.arity == 2:
                array = other is given.array or other is given.scalar
                if kind is given.array or kind is given.scalar:
                    if array or other is float or other is int or other is bool or other is complex:
                        return _binary(self.op, x, y, False, given.mixed, self)
                elif array and (kind is float or kind is int or kind is bool or kind is complex):
                    return _binary(self.op, y, x, True, given.mixed, self)
        if y is not ABSENT:
            return self.general((x, y, *args), kwargs)
        return self.general((x,) if x is not ABSENT else (), kwargs)


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


class Given:
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
        self.power = Replayable()
        self.product = Replayable()
        self.item = Replayable()
        self.transposed = Replayable()
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


given: Final = Given()
# A new, empty handle of a class. Not the class's own `__new__`, which makes an array.
new: Final[Any] = Handle.__new__


def constructors() -> tuple[Any, Any]:
    """(array class, scalar class)."""
    return given.array, given.scalar


def set_constructors(array: type[Handle], scalar: type[Handle]) -> None:
    """Told by the numpy layer which classes users see."""
    given.array, given.scalar = array, scalar


def set_operators(
    table: Mapping[str, Op],
    mixed: Callable[[Op, Any, Any], Any],
    check_writeable: Callable[[Any], None],
    write: Callable[[Op, Any, Any], None],
    functions: Mapping[str, Replayable],
    lasting: frozenset[type],
) -> None:
    """Told by the numpy layer what the operators record or call, and who does the rest (see `Given`)."""
    given.mixed, given.check_writeable, given.write = mixed, check_writeable, write
    given.power, given.product, given.item = functions["power"], functions["product"], functions["item"]
    given.lasting = lasting
    given.raised = table["power"]
    given.add = table["add"]
    given.subtract = table["subtract"]
    given.multiply = table["multiply"]
    given.divide = table["divide"]
    given.floor_divide = table["floor_divide"]
    given.remainder = table["remainder"]
    given.bitwise_and = table["bitwise_and"]
    given.bitwise_or = table["bitwise_or"]
    given.bitwise_xor = table["bitwise_xor"]
    given.left_shift = table["left_shift"]
    given.right_shift = table["right_shift"]
    given.negative = table["negative"]
    given.positive = table["positive"]
    given.absolute = table["absolute"]
    given.invert = table["invert"]


def looked() -> None:
    """Told by the recorder that a value is looked at."""
    given.looks += 1


def changed_ambient() -> None:
    """Told by the numpy layer that functions may mean something else from now on."""
    given.ambient += 1


def set_transposed(function: Replayable) -> None:
    """Told by the numpy layer what `x.T` calls."""
    given.transposed = function


def set_leaves(number: Op, array: Op) -> None:
    """Told by step.py which ops stand for a Python number, and for an array that existed before."""
    given.number, given.input = number, array


def set_local(local: Any) -> None:
    """Told by the recorder where each thread has its own."""
    given.local = local


# -- the hot path: everything inlined, as uncompiled a call takes 0.05 µs ------------------------------------------------------------------
def _unary(op: Op, a: Handle, function: Recording | None = None) -> Any:
    recorder: Replayer = given.local.recorder
    segment: OpenSegment = recorder.segment
    i = a.index if a.segment is segment else use(segment, a)
    cursor = segment.cursor
    step = cursor.next
    if step is None or step.op is not op or step.a != i or (step.host and function is not None):
        if function is not None and a.type.host:
            return function.general((a,), {})
        return recorder.record(op, (a,), ())
    handle = Handle.__new__(given.scalar if step.scalar else given.array)
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
    recorder: Replayer = given.local.recorder
    segment: OpenSegment = recorder.segment
    kind = type(value)
    if kind is given.array or kind is given.scalar:
        b: Handle = value
        if reflected:
            a, b = b, a
        i = a.index if a.segment is segment else use(segment, a)
        j = b.index if b.segment is segment else use(segment, b)
        cursor = segment.cursor
        step = cursor.next
        if step is None or step.op is not op or step.a != i or step.b != j or (step.host and function is not None):
            if function is not None and (a.type.host or b.type.host):
                return function.general((a, b), {})
            return recorder.record(op, (a, b), ())
        handle = Handle.__new__(given.scalar if step.scalar else given.array)
        if recorder.segment is segment and segment.cursor is cursor:
            segment.cursor = step
        else:
            return recorder.record(op, (a, b), ())
    elif kind is float or kind is int or kind is bool or kind is complex:
        i = a.index if a.segment is segment else use(segment, a)
        cursor = segment.cursor
        number = cursor.next
        step = None
        j = -1
        if number is not None and number.op is given.number and number.params[0] is kind:
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
        handle = Handle.__new__(given.scalar if step.scalar else given.array)
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
    if type(handle) is not given.array:
        # a scalar is immutable: its name will mean the result
        return _binary(op, handle, value, False, given.mixed)
    try:
        result = _binary(op, handle, value, False, given.mixed)
    except (TypeError, OverflowError):
        given.check_writeable(handle)
        raise
    if result is NotImplemented:
        return result
    if not took_over(handle, result):
        given.write(op, handle, result)
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
    recorder: Replayer = given.local.recorder
    segment: OpenSegment = recorder.segment
    count = len(operands)
    if count == 0 or count > 2 or segment.cursor.index >= segment.limit:
        return recorder.record(op, operands, params)
    i = j = -1
    for operand in operands:
        kind = type(operand)
        if kind is not given.array and kind is not given.scalar:
            return recorder.record(op, operands, params)
        a: Handle = operand
        i, j = j, a.index if a.segment is segment else use(segment, a)
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
    handle = Handle.__new__(given.scalar if step.scalar else given.array)
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


def use(segment: OpenSegment, handle: Handle) -> int:
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
