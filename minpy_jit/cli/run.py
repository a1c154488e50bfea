"""`minpy-jit run SCRIPT`: an ordinary NumPy script, unmodified, on lazy arrays.

Inside the script and the modules beside it `import numpy` means `minpy_jit.numpy`. Each of these modules has builtins of its own, whose
`__import__` says so; `sys.modules["numpy"]` and what installed packages see stay as they are.
"""

from __future__ import annotations

import argparse
import builtins
import importlib
import os
import sys
import sysconfig
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType, TracebackType
from typing import Any

from .. import numpy as ours
from ..config import config
from ..control import mode
from ..errors import is_ours

MODES = ("lazy", "eager", "numpy")


# -- imports ----------------------------------------------------------------------------------------------------------------------------
def find_module(name: str) -> ModuleType:
    """What `numpy` or `numpy.x.y` means in a redirected module: ours where there is one, else NumPy's own.

    Raises:
        ModuleNotFoundError: NumPy has no such module.
    """
    importlib.import_module(name)
    module: ModuleType = ours
    path = "numpy"
    for part in name.split(".")[1:]:
        path = f"{path}.{part}"
        found = getattr(module, part, None)
        if not isinstance(found, ModuleType):
            found = sys.modules[path]
            setattr(module, part, found)
        module = found
    return module


def _exports(name: str, module: ModuleType) -> ModuleType:
    """A module for `from numpy import *`: what NumPy's own exports, as ours."""
    theirs = sys.modules[name]
    made = ModuleType(name)
    names = getattr(theirs, "__all__", None) or [n for n in vars(theirs) if not n.startswith("_")]
    for each in names:
        setattr(made, each, getattr(module, each, None) or getattr(theirs, each))
    made.__dict__["__all__"] = list(names)
    return made


def redirected_import(name: str, globals: Any = None, locals: Any = None, fromlist: Sequence[str] | None = (), level: int = 0) -> Any:
    """`__import__` of a redirected module."""
    if level or not (name == "numpy" or name.startswith("numpy.")):
        return builtins.__import__(name, globals, locals, fromlist or (), level)
    module = find_module(name)
    if not fromlist:
        return ours
    if "*" in fromlist:
        return _exports(name, module)
    for item in fromlist:
        if not hasattr(module, item):
            try:
                setattr(module, item, importlib.import_module(f"{name}.{item}"))
            except ModuleNotFoundError:
                # no submodule either: the import statement itself says that there is no such name
                continue
    return module


class _Loader(SourceFileLoader):
    """Loads a module beside the script with the script's builtins."""

    table: dict[str, Any]

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = self.table
        super().exec_module(module)


class BesideFinder(MetaPathFinder):
    """Finds the modules beside a script: those in its folder and below, but for installed packages and this one."""

    def __init__(self, root: str, table: dict[str, Any]) -> None:
        self.root = os.path.join(root, "")
        self.table = table
        # a script may lie above any of these
        kept_out = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
        self.elsewhere = tuple(os.path.join(os.path.realpath(p), "") for p in kept_out)

    def beside(self, path: str) -> bool:
        """Whether this file is the user's own."""
        path = os.path.realpath(path)
        if not path.startswith(self.root) or is_ours(path) or path.startswith(self.elsewhere):
            return False
        folders = path[len(self.root) :].split(os.sep)
        return "site-packages" not in folders and "dist-packages" not in folders

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """A spec with a redirecting loader, or None: then the finder behind this one is asked."""
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader or not spec.origin or not self.beside(spec.origin):
            return None
        loader = _Loader(spec.loader.name, spec.loader.path)
        loader.table = self.table
        spec.loader = loader
        return spec


# -- the script -------------------------------------------------------------------------------------------------------------------------
class Program:
    """A script made ready as `python SCRIPT` makes it: `sys.argv`, `sys.path`, `__main__`, `__file__`.

    Args:
        script: its path.
        arguments: what follows it on the command line.
        redirect: whether `numpy` means ours.

    Raises:
        OSError: it cannot be read.
    """

    def __init__(self, script: str, arguments: Sequence[str], redirect: bool = True) -> None:
        self.path = os.path.abspath(script)
        self.loader = SourceFileLoader("__main__", self.path)
        self.source = self.loader.get_data(self.path)
        root = os.path.dirname(os.path.realpath(self.path))
        sys.argv = [script, *arguments]
        if not getattr(sys.flags, "safe_path", False):
            sys.path[0] = root
        self.builtins: Any = builtins
        if redirect:
            self.builtins = dict(vars(builtins), __import__=redirected_import)
            behind = sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else len(sys.meta_path)
            # right before the finder that would load them: what comes earlier (built-in modules, editable installations) keeps its turn
            sys.meta_path.insert(behind, BesideFinder(root, self.builtins))

    def execute(self) -> None:
        """Run it once, in a new `__main__`. Whatever it raises, its traceback will show no frame of ours."""
        module = ModuleType("__main__")
        vars(module).update(
            __file__=self.path, __builtins__=self.builtins, __loader__=self.loader, __cached__=None, __package__=None, __annotations__={}
        )
        sys.modules["__main__"] = module
        try:
            exec(self.loader.source_to_code(self.source, self.path), vars(module))
        except SystemExit:
            raise
        except BaseException:
            _show_only_theirs()
            raise


_EXECUTE = Program.execute.__code__


def _theirs(trace: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames that lead to the script, ours, and those of the import machinery."""
    frames: list[TracebackType] = []
    while trace is not None:
        if trace.tb_frame.f_code is _EXECUTE:
            frames.clear()
        else:
            frames.append(trace)
        trace = trace.tb_next
    found: TracebackType | None = None
    for frame in reversed(frames):
        filename = frame.tb_frame.f_code.co_filename
        if not is_ours(filename) and not filename.startswith("<frozen importlib"):
            found = TracebackType(found, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return found


def hide_frames(error: BaseException) -> None:
    """Make the tracebacks of an error, of those that led to it, and of those in its group show the user's lines only."""
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        each.__traceback__ = _theirs(each.__traceback__)
        todo += [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]


def _show_only_theirs() -> None:
    """Python prints the error when it has left us, frames and all: put ourselves before whoever prints it (the script may have a hook)."""
    printing = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        hide_frames(error)
        printing(kind, error, error.__traceback__)

    sys.excepthook = hook


# -- the command --------------------------------------------------------------------------------------------------------------------------
def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "run",
        help="run an ordinary NumPy script lazily, unmodified",
        usage="minpy-jit run [-h] [--mode {lazy,eager,numpy}] [--report] SCRIPT [ARGS ...]",
        description="Run an ordinary NumPy script lazily, unmodified: in it and in the modules beside it `import numpy` gives lazy arrays. "
        "As with python, options stand before SCRIPT; what follows it is the script's.",
    )
    parser.add_argument("--mode", choices=MODES, default=None, help="how operations are executed (default: MINPY_JIT_MODE, else lazy)")
    parser.add_argument(
        "--report", action="store_true", help="afterwards, say on stderr which lines flushed, what ran, what fell back to NumPy"
    )
    parser.add_argument("script", metavar="SCRIPT")
    parser.add_argument("arguments", metavar="ARGS", nargs=argparse.REMAINDER)
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    """Run the script; it ends as it would under python (exit status, traceback, signals)."""
    try:
        program = Program(args.script, args.arguments)
    except OSError as error:
        print(f"minpy-jit run: cannot read {args.script!r}: {error.strerror}", file=sys.stderr)
        return 2
    if args.mode is not None:
        # of threads to come, and of this one
        config.mode = args.mode
        mode(args.mode)
    if args.report:
        from .report import begin

        begin()
    try:
        program.execute()
    finally:
        if args.report:
            sys.stdout.flush()
            report(args.script)
    return 0


def report(script: str) -> None:
    """Say on stderr what became of the run."""
    from .report import collect, show
    from .show import console

    found = collect(script)
    show(found, f"minpy-jit report: {script}, {found.mode} mode", console(stderr=True))
