"""Fallback: what has no op of ours observes its arguments, runs in NumPy, and comes back on their context. Never silent.

Arguments that NumPy writes to (`out=`, the first one of `copyto`, `put`, `shuffle` …) are written back through handle and views. Where it
would return a view of an argument the result is a value of its own. A call that has no array of ours among its arguments observes nothing
and is not counted.
"""

from __future__ import annotations

import inspect
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import numpy as np

from ..config import config
from ..errors import FallbackError, FallbackWarning, user_line, with_op
from ..trace.context import Context, current_context, require_same
from ..trace.handle import Handle, materialised
from ..trace.pytree import flatten
from ..trace.recorder import current
from ..trace.stats import stats
from .array import ValueHandle
from .convert import contains_handle, host
from .views import assign

TapeHook = Callable[[Any, str, tuple[Any, ...], Mapping[str, Any], Any], None]
_tape_hook: TapeHook | None = None

# functions by name -> the argument that NumPy writes to (position, name)
MUTATED: dict[str, tuple[int, str]] = {
    "copyto": (0, "dst"),
    "put": (0, "a"),
    "place": (0, "arr"),
    "putmask": (0, "a"),
    "fill_diagonal": (0, "a"),
    "put_along_axis": (0, "arr"),
    "shuffle": (0, "x"),
    "ufunc.at": (0, "a"),
    "ndarray.sort": (0, "self"),
    "ndarray.partition": (0, "self"),
    "ndarray.setfield": (0, "self"),
}


def set_tape_hook(hook: TapeHook | None) -> None:
    """Told by the autograd layer what to call after a fallback under an active tape: `hook(function, name, args, kwargs, results)`.

    `function` is None where no rule can be given for what was done.
    """
    global _tape_hook
    _tape_hook = hook


def without_rule(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], results: Any) -> None:
    """Values were made from arrays of ours outside of any graph: asking for their gradient is an error, not a silent zero."""
    if _tape_hook is not None and current().tapes:
        _tape_hook(None, name, args, kwargs, results)


class _Quiet(threading.local):
    observer = False


_quiet = _Quiet()


@contextmanager
def looking() -> Iterator[None]:
    """Inside, looking at values is the purpose (printing, saving): flushes, but not counted as fallbacks."""
    before = _quiet.observer
    _quiet.observer = True
    try:
        yield
    finally:
        _quiet.observer = before


class _Visit:
    """One walk through the arguments: what was observed, from which context."""

    __slots__ = ("cause", "context", "foreign", "nbytes", "seen", "written")

    def __init__(self, cause: str) -> None:
        self.cause = cause
        self.context: Context | None = None
        self.nbytes = 0
        self.seen = False
        # arrays of the caller's own that take part (a result may show their memory)
        self.foreign: list[np.ndarray] = []
        # scratch arrays that NumPy writes to, with the handles that they stand for
        self.written: list[tuple[Handle, np.ndarray]] = []

    def met(self, handle: Handle) -> None:
        """Note an array of ours; looking at arrays of several contexts is no mixing."""
        self.seen = True
        if self.context is None:
            self.context = handle.type.context
        elif self.context is not handle.type.context and not _quiet.observer:
            require_same(self.cause.removeprefix("fallback "), (self.context, handle.type.context))

    def read(self, value: Any) -> Any:
        """The value with every array of ours in it observed."""
        if isinstance(value, Handle):
            assert isinstance(value, ValueHandle)
            self.met(value)
            data = value.laid_out(self.cause)
            self.nbytes += data.nbytes
            if value.type.scalar:
                return data[()]
            shown = data.view()
            # nobody may write to an observed value; a function that tries is told so by NumPy
            shown.flags.writeable = False
            return shown
        if isinstance(value, np.ndarray):
            self.foreign.append(value)
            return value
        kind = type(value)
        if kind is list or kind is tuple:
            return kind([self.read(v) for v in value]) if value else value
        if kind is dict:
            return {k: self.read(v) for k, v in value.items()}
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return kind(*[self.read(v) for v in value])
        if isinstance(value, slice):
            return slice(self.read(value.start), self.read(value.stop), self.read(value.step))
        return value

    def write(self, value: Any) -> Any:
        """The value with every array of ours in it replaced by memory that NumPy may write to."""
        if isinstance(value, ValueHandle) and not value.type.scalar:
            self.met(value)
            scratch = value.laid_out(self.cause).copy(order="K")
            self.nbytes += scratch.nbytes
            self.written.append((value, scratch))
            return scratch
        if type(value) in (tuple, list):
            return type(value)([self.write(v) for v in value])
        if isinstance(value, np.ndarray):
            return value
        return self.read(value)

    def wrap(self, value: Any) -> Any:
        """Results as arrays of ours; what NumPy wrote to comes back as the handle that was given."""
        kind = type(value)
        if kind is np.ndarray:
            for handle, scratch in self.written:
                if value is scratch:
                    return handle
            if any(np.may_share_memory(value, f) for f in self.foreign) or any(np.may_share_memory(value, s) for _, s in self.written):
                value = value.copy(order="K")
            return host(value, self.context)
        if isinstance(value, np.generic):
            # records and strings stand for themselves
            return value if isinstance(value, np.flexible) else host(np.asarray(value), self.context, scalar=True)
        if kind in (list, tuple):
            return kind([self.wrap(v) for v in value])
        if kind is dict:
            return {k: self.wrap(v) for k, v in value.items()}
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return kind(*[self.wrap(v) for v in value])
        if isinstance(value, np.ufunc):
            from .ufuncs import foreign_ufunc

            return foreign_ufunc(value)
        return value


def call(function: Callable[..., Any], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None, name: str | None = None) -> Any:
    """Run `function` in NumPy on observed arguments.

    Args:
        function: NumPy's function, or any other that takes NumPy arrays.
        args, kwargs: what the user passed; arrays of ours may be nested in lists, tuples and dicts.
        name: how the function is called in counters, warnings and errors.

    Returns:
        What it returns, NumPy arrays and scalars in it (nested ones too) as ours, on the context of the first array argument.

    Raises:
        FallbackError: `config.fallback` is "raise" and there is an array of ours among the arguments.
    """
    kwargs = {} if kwargs is None else kwargs
    if name is None:
        name = getattr(function, "__name__", repr(function))
    visit = _Visit(name if _quiet.observer else f"fallback {name}")
    counted = not _quiet.observer and (contains_handle(args) or contains_handle(tuple(kwargs.values())))
    line = ""
    if counted and config.fallback != "ignore":
        line = user_line()
        if config.fallback == "raise":
            raise FallbackError(
                f"[{name}] runs in NumPy, and config.fallback is 'raise'; called at {line}; "
                f"use functions with an op of their own, or set config.fallback = 'warn'"
            )
        warnings.warn(FallbackWarning(f"[{name}] runs in NumPy on the host; called at {line}"), stacklevel=3)
    recorder = current()
    if counted and recorder.policy is not None:
        recorder.policy.host_call(name)
    session = recorder.session
    if counted and session is not None:
        session.host_call(name)
    started = perf_counter()
    positions, names = _written_arguments(function, name)
    given = tuple([visit.write(a) if i in positions else visit.read(a) for i, a in enumerate(args)])
    named = {k: visit.write(v) if k in names else visit.read(v) for k, v in kwargs.items() if k != "like"}
    try:
        result = function(*given, **named)
    except Exception as error:
        raise with_op(error, name) from None
    written = [(handle, materialised(scratch, handle.type)) for handle, scratch in visit.written]
    if visit.context is None:
        visit.context = current_context()
    wrapped = visit.wrap(result)
    if counted and visit.seen:
        entry = stats.fallbacks.setdefault((name, line or user_line()), [0, 0, 0.0])
        entry[0] += 1
        entry[1] += visit.nbytes
        entry[2] += perf_counter() - started
        stats.counts["fallbacks"] += 1
        stats.counts["fallback_bytes"] += visit.nbytes
        if _tape_hook is not None and current().tapes:
            if written:
                # before the handles mean what was written: the arguments are what they were
                kept = [leaf for leaf in flatten(wrapped)[0] if all(leaf is not handle for handle, _ in written)]
                without_rule(name, args, kwargs, [*kept, *[made for _, made in written]])
            else:
                _tape_hook(function, name, args, kwargs, wrapped)
    for handle, made in written:
        assign(handle, made)
    return wrapped


_out_positions: dict[Any, tuple[int, ...]] = {}


def _written_arguments(function: Any, name: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Positions and names of the arguments that `function` writes to."""
    mutated = MUTATED.get(name.rpartition("random.")[2])
    if mutated is not None:
        return (mutated[0],), (mutated[1], "out")
    try:
        found = _out_positions.get(function)
    except TypeError:
        return (), ("out",)
    if found is None:
        try:
            found = tuple([i for i, p in enumerate(inspect.signature(function).parameters) if p == "out"])
        except (TypeError, ValueError):
            found = ()
        if len(_out_positions) < 4096:
            _out_positions[function] = found
    return found, ("out",)


def fallback(function: Callable[..., Any], name: str | None = None, observer: bool = False) -> Callable[..., Any]:
    """A function of our namespace that is NumPy's on observed arguments.

    Args:
        observer: looking at values is what it is for (`save`, `array_repr`): not counted as a fallback.
    """
    known = name or function.__name__

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if observer:
            with looking():
                return call(function, args, kwargs, known)
        return call(function, args, kwargs, known)

    wrapper.__name__ = wrapper.__qualname__ = known.rpartition(".")[2]
    wrapper.__doc__ = function.__doc__
    wrapper.__wrapped__ = function  # type: ignore[attr-defined]
    wrapper.is_fallback = True  # type: ignore[attr-defined]
    return wrapper


class ClassFallback:
    """A class of NumPy's: calling it observes arguments of ours; `isinstance` and subclassing go to the class itself."""

    __slots__ = ("__name__", "__wrapped__")
    __wrapped__: type
    __name__: str

    def __init__(self, cls: type) -> None:
        self.__wrapped__, self.__name__ = cls, cls.__name__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return call(self.__wrapped__, args, kwargs, self.__name__)

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, self.__wrapped__)

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass, self.__wrapped__)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (self.__wrapped__,)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__wrapped__, name)

    def __repr__(self) -> str:
        return repr(self.__wrapped__)
