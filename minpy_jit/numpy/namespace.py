"""Every public name of NumPy: a function of ours where there is one, NumPy's own object where arrays play no part, else a fallback.

Which of the three a name is, `kind_of(name)` says; the generated coverage page and the tests read it.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..trace.op import TABLE
from . import calculus, creation, facts, floating, iteration, products, protocols, reductions, selection, shaping, strides
from .array import Array
from .convert import follows, host, replayed
from .fallback import ClassFallback, call, fallback
from .ufuncs import Ufunc, make_ufunc

# modules whose public functions are NumPy's of the same name
_NATIVE = (creation, facts, shaping, reductions, selection, products, calculus, iteration, floating)

# no array of ours is ever among their arguments, or only its type is looked at: NumPy's own object
_PASSED = frozenset(
    [
        "ScalarType",
        "add_docstring",
        "add_newdoc",
        "add_newdoc_ufunc",
        "base_repr",
        "datetime_data",
        "deprecate",
        "deprecate_with_doc",
        "disp",
        "dtype",
        "find_common_type",
        "finfo",
        "format_parser",
        "get_include",
        "getbufsize",
        "geterr",
        "geterrcall",
        "geterrobj",
        "get_printoptions",
        "iinfo",
        "info",
        "issctype",
        "issubclass_",
        "issubsctype",
        "lookfor",
        "maximum_sctype",
        "mintypecode",
        "obj2sctype",
        "printoptions",
        "promote_types",
        "safe_eval",
        "sctype2char",
        "set_numeric_ops",
        "set_printoptions",
        "set_string_function",
        "setbufsize",
        "seterrcall",
        "seterrobj",
        "show_config",
        "show_runtime",
        "source",
        "tracemalloc_domain",
        "typename",
        "who",
        "format_float_positional",
        "format_float_scientific",
        "binary_repr",
        "get_array_wrap",
        "DataSource",
        "RankWarning",
        "busdaycalendar",
    ]
)
# looking at values is what they are for
_OBSERVERS = frozenset(["array2string", "array_repr", "array_str", "save", "savez", "savez_compressed", "savetxt", "testing"])
# modules: their functions are looked up through a proxy, so that arrays of ours do not leave unnoticed
_PROXIED = frozenset(["char", "emath", "lib", "polynomial", "rec", "testing"])

# names that NumPy gives the same object as another
_BINARY_NAMES = {"abs": "absolute", "true_divide": "divide", "mod": "remainder", "conj": "conjugate", "bitwise_not": "invert"}


class ModuleProxy(types.ModuleType):
    """A module of NumPy's whose functions run through the fallback."""

    def __init__(self, module: types.ModuleType, name: str, observer: bool = False) -> None:
        super().__init__(name, module.__doc__)
        self.__dict__["_module"], self.__dict__["_observer"] = module, observer

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__dict__["_module"], name)
        if isinstance(found, types.ModuleType):
            made: Any = (
                ModuleProxy(found, f"{self.__name__}.{name}", self.__dict__["_observer"]) if found.__name__.startswith("numpy") else found
            )
        elif isinstance(found, np.ufunc):
            made = make_ufunc(found, None)
        elif protocols.ours_of(found) is not None:
            made = protocols.ours_of(found)
        elif isinstance(found, type) or not callable(found) or name.startswith("_"):
            made = found
        else:
            made = fallback(found, f"{self.__name__.rpartition('.')[2]}.{name}", self.__dict__["_observer"])
        self.__dict__[name] = made
        return made

    def __dir__(self) -> list[str]:
        return dir(self.__dict__["_module"])


class vectorize(np.vectorize):
    """`numpy.vectorize`: the function is called with NumPy scalars; results are arrays of ours."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return call(super().__call__, args, kwargs, "vectorize")


class Casts(Mapping[Any, Any]):
    """`numpy.cast`: dtype -> a function that casts arrays to it."""

    def __getitem__(self, dtype: Any) -> Any:
        wanted = np.dtype(dtype)
        return lambda x: creation.asarray(x).astype(wanted)

    def __iter__(self) -> Iterator[Any]:
        return iter(np.cast)

    def __len__(self) -> int:
        return len(np.cast)


class Archive(Mapping[str, Any]):
    """What `load` returns for `.npz` files: NumPy's `NpzFile`, whose arrays are ours."""

    def __init__(self, opened: Any) -> None:
        self._opened = opened

    def __getitem__(self, name: str) -> Any:
        found = self._opened[name]
        return host(found) if isinstance(found, np.ndarray) else found

    def __iter__(self) -> Iterator[str]:
        return iter(self._opened)

    def __len__(self) -> int:
        return len(self._opened)

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.close()

    def __getattr__(self, name: str) -> Any:
        if name == "_opened":
            raise AttributeError(name)
        return getattr(self._opened, name)

    def __repr__(self) -> str:
        return repr(self._opened)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        # `isinstance(f, np.lib.npyio.NpzFile)` holds
        return np.lib.npyio.NpzFile


def load(
    file: Any,
    mmap_mode: Any = None,
    allow_pickle: bool = False,
    fix_imports: bool = True,
    encoding: str = "ASCII",
    *,
    max_header_size: int = 10000,
) -> Any:
    """Arrays from a `.npy`, `.npz` or pickled file. With `mmap_mode` it is a `memmap` of NumPy's."""
    options = {"fix_imports": fix_imports, "encoding": encoding, "max_header_size": max_header_size}
    found = call(np.load, (file, mmap_mode, allow_pickle), options, "load")
    return Archive(found) if isinstance(found, np.lib.npyio.NpzFile) else found


load.is_fallback = True  # type: ignore[attr-defined]


def _op_of(name: str) -> Any:
    for candidate in (name, _BINARY_NAMES.get(name, name), getattr(np, name).__name__):
        if candidate in TABLE:
            return TABLE[candidate]
    return None


def _is_ours(value: Any) -> bool:
    """Whether a module's attribute is a function (or `r_`-like object) of this package, not something it imported."""
    return getattr(value, "__module__", "").startswith(__package__) or type(value).__module__.startswith(__package__)


def _build() -> dict[str, Any]:
    found: dict[str, Any] = {}
    ufuncs: dict[np.ufunc, Ufunc] = {}
    followers: dict[Any, Any] = {}
    for name in dir(np):
        if name.startswith("_"):
            continue
        theirs = getattr(np, name)
        if isinstance(theirs, np.ufunc):
            ours = ufuncs.get(theirs)
            if ours is None:
                ours = ufuncs[theirs] = make_ufunc(theirs, _op_of(name))
            found[name] = ours
            continue
        native = next((vars(m)[name] for m in _NATIVE if name in vars(m) and _is_ours(vars(m)[name])), None)
        if native is not None:
            if isinstance(native, types.FunctionType):
                if native not in followers:
                    made = follows(native)
                    followers[native] = made if hasattr(made, "is_fallback") else replayed(made, native.__name__, __package__)
                native = followers[native]
            found[name] = native
        elif isinstance(theirs, types.ModuleType):
            found[name] = ModuleProxy(theirs, f"minpy_jit.numpy.{name}", name in _OBSERVERS) if name in _PROXIED else theirs
        elif isinstance(theirs, type):
            passed = issubclass(theirs, (np.generic, Exception)) or name in _PASSED
            found[name] = theirs if passed else ClassFallback(theirs)
        elif not callable(theirs) or name in _PASSED:
            found[name] = theirs
        else:
            found[name] = fallback(theirs, name, observer=name in _OBSERVERS)
    for name, function in found.items():
        if isinstance(function, types.FunctionType) and function.__qualname__ == name:
            # where pickle finds it
            function.__module__ = __package__
    found["ndarray"] = Array
    found["ufunc"] = Ufunc
    found["vectorize"] = vectorize
    found["flatiter"] = iteration.FlatIterator
    found["cast"] = Casts()
    found["load"] = load
    protocols.register(np.lib.stride_tricks.as_strided, strides.as_strided)
    protocols.register(np.lib.stride_tricks.sliding_window_view, strides.sliding_window_view)
    for ufunc in ufuncs.values():
        ufunc.namespace = found
    for name, ours in found.items():
        theirs = getattr(np, name)
        if callable(theirs) and not isinstance(theirs, (type, np.ufunc)) and ours is not theirs:
            protocols.register(theirs, ours)
    return found


def kind_of(name: str) -> str:
    """ "native", "fallback" or "passed": what a name of the namespace is."""
    found = NAMES[name] if name in NAMES else late(name)
    if getattr(found, "is_fallback", False) or isinstance(found, (ClassFallback, ModuleProxy)):
        return "fallback"
    if isinstance(found, Ufunc):
        return "native" if found.op is not None else "fallback"
    return "passed" if found is getattr(np, name) else "native"


# names beyond NumPy's: MXNet's operators, once the symbols layer has told of them
_beyond: Callable[[str], Any] = lambda name: None  # noqa: E731
_found: dict[str, Any] = {}


def set_beyond(find: Callable[[str], Any]) -> None:
    """Told by the symbols layer how names that NumPy lacks are found: `find(name)` -> a function, or None."""
    global _beyond
    _beyond = find


def late(name: str) -> Any:
    """A name that was not there when the namespace was built.

    Raises:
        AttributeError: NumPy has none of that name either.
    """
    if name.startswith("_"):
        raise AttributeError(f"module 'minpy_jit.numpy' has no attribute {name!r}")
    if name in _found:
        return _found[name]
    try:
        found = getattr(np, name)
    except AttributeError:
        beyond = _beyond(name)
        if beyond is None:
            raise
        _found[name] = beyond
        return beyond
    return found if isinstance(found, (types.ModuleType, type)) or not callable(found) else fallback(found, name)


NUMPY_VERSION = np.__version__
NAMES = _build()
