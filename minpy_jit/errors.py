"""Where the user is, and how an error says so: call sites outside this package, and `[op] what; got; do` messages."""

from __future__ import annotations

import sys
import warnings
from os.path import dirname, sep
from types import CodeType, FrameType

_PACKAGE = dirname(__file__) + sep
# the demo's programs are a user's: they are shown in its reports
_PROGRAMS = _PACKAGE + f"cli{sep}programs{sep}"
# where mypyc says that the files of its frames in tracebacks are
_COMPILED = "minpy_jit/trace/"


def is_ours(filename: str) -> bool:
    """Whether a source file belongs to this package (its frames are never shown as the user's)."""
    return (filename.startswith(_PACKAGE) and not filename.startswith(_PROGRAMS)) or filename.startswith(_COMPILED)


def user_frame(depth: int = 1) -> FrameType | None:
    """The innermost frame outside this package, or None at interpreter exit."""
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None:
        file = frame.f_code.co_filename
        if file not in _ours:
            if not is_ours(file):
                break
            _ours.add(file)
        frame = frame.f_back
    return frame


# our files that were met: 0.2 µs quicker a frame
_ours: set[str] = set()


# modules whose functions never call the user's: user code that runs on top of them has come in their middle
_MIDWAY = (
    *(
        "trace.calls",
        "trace.context",
        "trace.graph",
        "trace.handle",
        "trace.limits",
        "trace.op",
        "trace.ops",
        "trace.recorder",
        "trace.replay",
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


def _place(site: tuple[CodeType, int] | None) -> tuple[str, int]:
    """File and line of a call site."""
    if site is None:
        return "<unknown>", 0
    code, instruction = site
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= instruction < end:
            line = line if number is None else number
            break
    return code.co_filename, line


def _shown(file: str) -> str:
    """A notebook's cell by its number, as IPython's own tracebacks show it, not as the temporary file that it is compiled as."""
    try:
        named = sys.modules["IPython"].get_ipython().compile.format_code_name(file)
    except (KeyError, AttributeError):  # there is no IPython, no shell of it runs, or it is older than 8
        named = None
    return file if named is None else " ".join(named)


def locate(site: tuple[CodeType, int] | None) -> str:
    """`file:line` of a call site, or `Cell In[number]:line`."""
    if site is None:
        return "<unknown>"
    file, line = _place(site)
    return f"{_shown(file)}:{line}"


def warn_at(site: tuple[CodeType, int] | None, text: str, category: type[Warning]) -> None:
    """A warning that stands at a call site, whoever is calling just now."""
    # the file's own name: the warning shows the line's text, and filters go by it
    warnings.warn_explicit(text, category, *_place(site))


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


class TransferError(RuntimeError):
    """A value could not be copied to or from a device, or the work that makes it failed there."""


class TraceError(RuntimeError):
    """A promise given to `@trace(pure=True)` was broken."""


class ExportError(ValueError):
    """A function cannot be written as an MXNet symbol."""


class ContextError(ValueError):
    """Arrays of different contexts met in one operation, or a context does not exist on this machine."""


def with_op(error: Exception, op: str) -> Exception:
    """The same kind of error with `[op]` before its message; what the user's own code raised (a callback's, say) stays as it is."""
    text = str(error)
    if text.startswith("[") or _is_users(error):
        return error
    return retold(error, f"[{op}] {text}")


def retold(error: Exception, text: str) -> Exception:
    """The same kind of error with another message. NumPy's private kinds become the public ones that they are made from."""
    axis = getattr(error, "axis", None)
    if axis is not None:
        # AxisError puts its text together anew: what stands before "axis 2 is out of bounds ..." is told apart
        made = type(error)(axis, error.ndim)  # type: ignore[attr-defined]
        if text.endswith(str(made)):
            return type(error)(axis, error.ndim, text.removesuffix(str(made)).rstrip(": "))  # type: ignore[attr-defined]
    for kind in type(error).__mro__:
        if kind.__name__.startswith("_") or "._" in kind.__module__:
            continue
        try:
            made = kind(text)
        except TypeError:
            # made of more than a message (UnicodeDecodeError)
            continue
        if str(made) == text or made.args == (text,):
            break
    return made


def _is_users(error: Exception) -> bool:
    """Whether the code that raised an error is neither ours nor a library's."""
    trace = error.__traceback__
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    frame = trace.tb_frame
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return not is_ours(frame.f_code.co_filename) and package not in ("numpy", "autograd") and package not in sys.stdlib_module_names
