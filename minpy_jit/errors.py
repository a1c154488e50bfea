"""Where the user is, and how an error says so: call sites outside this package, and `[op] what; got; do` messages."""

from __future__ import annotations

import sys
from os.path import dirname, sep
from types import CodeType, FrameType

_PACKAGE = dirname(__file__) + sep
# the demo's programs are a user's: they are shown in its reports
_PROGRAMS = _PACKAGE + f"cli{sep}programs{sep}"


def is_ours(filename: str) -> bool:
    """Whether a source file belongs to this package (its frames are never shown as the user's)."""
    return filename.startswith(_PACKAGE) and not filename.startswith(_PROGRAMS)


def user_frame(depth: int = 1) -> FrameType | None:
    """The innermost frame outside this package, or None at interpreter exit."""
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None and is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


# modules whose functions never call the user's: user code that runs on top of them has come in their middle
_MIDWAY = (
    *(
        "trace.context",
        "trace.graph",
        "trace.handle",
        "trace.op",
        "trace.ops",
        "trace.recorder",
        "trace.stats",
        "trace.step",
        "trace.types",
    ),
    *("autograd.pullback", "autograd.tape", "config", "errors", "exec", "numpy.array", "numpy.indexing", "numpy.views", "optimize"),
)
# identities of our modules' globals -> whether the module is one of those
_modules: dict[int, bool] = {}


def reentered() -> bool:
    """Whether the user's code that calls us came in the middle of an operation of ours: a signal handler, a finalizer, a trace function.

    Looks at every frame of the thread: 0.04 µs each.
    """
    modules = _modules
    if not modules:
        for name, module in list(sys.modules.items()):
            if name.startswith(__package__):
                modules[id(vars(module))] = name.startswith(tuple([f"{__package__}.{m}" for m in _MIDWAY]))
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and id(frame.f_globals) in modules:
        frame = frame.f_back
    above = False
    while frame is not None:
        if id(frame.f_globals) in modules:
            if not above and modules[id(frame.f_globals)]:
                return True
            above = True
        else:
            above = False
        frame = frame.f_back
    return False


def call_site() -> tuple[CodeType, int] | None:
    """(code object, instruction) of the user's call: cheap to take, resolved to file:line by `locate` only when shown."""
    frame = user_frame(2)
    return None if frame is None else (frame.f_code, frame.f_lasti)


def locate(site: tuple[CodeType, int] | None) -> str:
    """`file:line` of a call site."""
    if site is None:
        return "<unknown>"
    code, instruction = site
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= instruction < end:
            line = line if number is None else number
            break
    return f"{code.co_filename}:{line}"


def user_line() -> str:
    """`file:line` of the innermost frame outside this package."""
    return locate(call_site())


class NoGradientError(TypeError):
    """An operation on the way from argument to result has no gradient rule for that argument."""


class FallbackError(RuntimeError):
    """A function would run in NumPy while `config.fallback` is "raise"."""


class FallbackWarning(UserWarning):
    """A function ran in NumPy while `config.fallback` is "warn"."""


class RecordingWarning(UserWarning):
    """A place in the program keeps producing new programs, so that nothing can be replayed."""


class TraceError(RuntimeError):
    """A promise given to `@trace(pure=True)` was broken."""


class ContextError(ValueError):
    """Arrays of different contexts met in one operation, or a context does not exist on this machine."""


def with_op(error: Exception, op: str) -> Exception:
    """The same kind of error with `[op]` before its message (NumPy's private TypeErrors become TypeError)."""
    text = str(error)
    if text.startswith("["):
        return error
    kind = type(error)
    if kind.__name__ == "LinAlgError":
        return kind(f"[{op}] {text}")
    plain = (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError, FloatingPointError)
    if kind not in plain:
        kind = next((p for p in plain if isinstance(error, p)), RuntimeError)
        axis = type(error).__name__ == "AxisError"
        if axis:
            return error
    return kind(f"[{op}] {text}")
