"""Calls that are replayed as a whole: a function of arrays is called at the same place of a program with the same arguments as last time.
Then it means the same steps, or the same view, and nothing that it is made of runs again.

Compiled together with replay.py, by whose rules it changes the recorder (see there).
"""

from __future__ import annotations

import importlib
import types
from typing import Any, Final, cast

from .replay import ABSENT, Alias, Handle, OpenSegment, Replayable, Replayer, Step, given, use

_method: Final[Any] = types.MethodType

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
        arguments: of arrays their types, others (which are immutable) as they are; those by keyword come last.
        names: the keywords.
        slots: of arrays among the others the slots, -1 where the call reads none.
        at: the step after which it was made.
        following: the call after it, where it recorded nothing.
        other: another call at the same place.
        depth: how many calls lie between that step and this one.
        tries: how many calls were remembered here before.
        ambient: see `Given`.
        start: where its own steps begin: between `at` and this step lie readings of its arguments.
        last: its last step.
        numbers: the Python numbers among its steps.
        result: the step that is its result; None: it makes a view, or its first argument means the last step from now on.
        chain, type, writeable: of the view that it makes (see `Alias`; writeable: where its source is), else None.
        source: the call that made the view of which it makes another.
    """

    __slots__ = (
        "ambient",
        "arguments",
        "at",
        "chain",
        "depth",
        "following",
        "function",
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

    def __init__(self, function: Any, arguments: list[Any], names: list[str], slots: list[int], at: Step) -> None:
        self.function, self.arguments, self.names, self.slots, self.at = function, arguments, names, slots, at
        self.following: Call | None = None
        self.other: Call | None = None
        self.depth: int = 0
        self.tries: int = 0
        self.ambient: int = given.ambient
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


class Function(Replayable):
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
        return _remembered(self, args, flat, kwargs) if made is ABSENT else made

    def call(self, args: tuple[Any, ...]) -> Any:
        made = _replayed(self, args, None)
        return _remembered(self, args, args, {}) if made is ABSENT else made

    def __get__(self, instance: Any, owner: Any) -> Any:
        return self if instance is None else _method(self, instance)

    def __reduce__(self) -> Any:
        return _find, (self.home, self.__name__)

    def __repr__(self) -> str:
        return f"<function {self.__name__} of {self.home}>"


def _find(home: str, name: str) -> Any:
    return getattr(importlib.import_module(home), name)


def _flat(first: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments of which the first holds arrays, these one by one; others as they are."""
    items: tuple[Any, ...] = tuple(first)
    if not items or (type(items[0]) is not given.array and type(items[0]) is not given.scalar):
        return args
    return (type(first), len(items), *items, *args[1:])


def _replayed(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> Any:
    """What became of this call at this place before; ABSENT: nothing is known of it."""
    recorder: Replayer = given.local.recorder
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
                return ABSENT
            return _stepped(recorder, segment, call, args) if chain is None else _view(segment, call, chain, args[0])
        else:
            call = call.other
    return ABSENT


def _is_it(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> bool:
    """Whether the arguments are those of a call that is known."""
    arguments, names = call.arguments, call.names
    array, scalar = given.array, given.scalar
    count = len(args)
    if count != len(call.slots) or call.ambient != given.ambient:
        return False
    for k in range(count):
        value, known = args[k], arguments[k]
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
        if name is not names[k - count] or not (value is arguments[k] or _says_same(value, arguments[k])):
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
            i = a.index if a.segment is segment else use(segment, a)
            if i != slot:
                return ABSENT
    start, last = call.start, call.last
    if segment.cursor is not start or last.index >= segment.limit or last.nbytes > segment.most_bytes:
        return ABSENT
    result = call.result
    if result is None:
        return _written(recorder, segment, call, args[0])
    handle = Handle.__new__(given.scalar if result.scalar else given.array)
    numbers = call.numbers
    if not numbers and recorder.segment is segment and segment.cursor is start:
        segment.cursor = last
    elif recorder.segment is segment and segment.cursor is start:
        segment.cursor = last
        segment.scalars.extend(numbers)
    else:
        return ABSENT
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
            return ABSENT
    elif call.source is None or alias is None or alias.call is not call.source or shared is None or shared.base is not None:
        return ABSENT
    view = Handle.__new__(given.array)
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
        return ABSENT
    # what these keep alive dies when all is done
    before, data = target.segment, target.memory
    if recorder.segment is segment and segment.cursor is call.start:
        segment.cursor = call.last
        segment.scalars.extend(call.numbers)
    else:
        return ABSENT
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
    """An argument as it is remembered, if it means the same whenever it is given again; else ABSENT."""
    kind = type(value)
    if kind is tuple:
        kept = [_lasting(item) for item in value]
        if any(item is ABSENT for item in kept):
            return ABSENT
        return value if all(item is old for item, old in zip(kept, value, strict=True)) else tuple(kept)
    if kind is slice:
        parts = [_lasting(part) for part in (value.start, value.stop, value.step)]
        return ABSENT if any(part is ABSENT for part in parts) else _Bounds(parts[0], parts[1], parts[2])
    return value if value is None or value is Ellipsis or kind in given.lasting or isinstance(value, type) else ABSENT


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
        if step.op is given.number:
            count += 1
    scalars = segment.scalars
    return scalars[len(scalars) - count :]


def _remembered(function: Function, args: tuple[Any, ...], flat: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Make a call, and remember what came of it, if that can be replayed. `flat`: see `_flat`."""
    recorder: Replayer = given.local.recorder
    segment: OpenSegment = recorder.segment
    cursor = segment.cursor
    before: list[int] = []
    count = versions = 0
    refusals = 1
    for value in flat:
        kind = type(value)
        slot = -1
        if kind is given.array or kind is given.scalar:
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
    looks = given.looks
    function.refused += refusals
    made = function.general(*args, **kwargs)
    # (what looks at values may do something else next time)
    if recorder.segment is segment and given.looks == looks:
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
    arguments: list[Any] = []
    slots: list[int] = []
    count = after = read = 0
    start = at
    for k in range(len(args)):
        value = args[k]
        if value is made and made is not None:
            return None
        kind = type(value)
        slot = before[k]
        if kind is not given.array and kind is not given.scalar:
            kept = _lasting(value)
            if kept is ABSENT:
                return None
            arguments.append(kept)
            slots.append(-1)
            continue
        a: Handle = value
        arguments.append(a.type)
        count += 1
        alias = a.alias
        if alias is not None:
            after += alias.version
        if alias is not None and alias.base is not None:
            if slot < 0 and alias.segment is segment and alias.slot > at.index:
                slot = alias.slot
                if slot <= end.index:
                    read += 1 if steps[slot - at.index - 1].op is given.input else _length(alias.chain)
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
        if kept is ABSENT:
            return None
        arguments.append(kept)
    call = Call(function, arguments, list(kwargs), slots, at)
    first: Any = args[0]
    made_kind = type(made)
    if not steps:
        if made_kind is not given.array or type(first) is not given.array or count != 1 or after != versions:
            return None
        return call if _is_view(call, first, made) or _is_copy(call, segment, made) else None
    own = steps[start.index - at.index :]
    for step in own:
        if step.op is given.input:
            return None
        for operand in step.operands:
            if operand <= start.index and operand not in slots:
                # of an array that is no argument
                return None
    call.start, call.last, call.numbers = start, end, _numbers(segment, own)
    if made is None:
        target: Handle = first
        if type(first) is not given.array or before[0] < 0 or (target.alias is not None and target.alias.base is not None):
            return None
        last = call.last
        if target.segment is not segment or target.memory is not None or target.index != last.index or target.type is not last.type:
            return None
        return call if own else None
    if made_kind is not given.array and made_kind is not given.scalar:
        return None
    found: Handle = made
    if found.segment is not segment or found.memory is not None or found.alias is not None or after != versions:
        return None
    if found.index <= start.index or found.index > call.last.index:
        return None
    result = steps[found.index - at.index - 1]
    if result.type is not found.type or result.scalar is not (made_kind is given.scalar):
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
