"""Every public name of NumPy: a function of ours where there is one, NumPy's own object where arrays play no part, else a fallback.

Which of the three a name is, `kind_of(name)` says; the generated coverage page and the tests read it.
"""

from __future__ import annotations

import types
from typing import Any

import numpy as np

from ..trace.op import TABLE
from . import calculus, creation, facts, products, protocols, reductions, selection, shaping
from .array import Array
from .fallback import ClassFallback, call, fallback
from .ufuncs import Ufunc, make_ufunc

# modules whose public functions are NumPy's of the same name
_NATIVE = (creation, facts, shaping, reductions, selection, products, calculus)

# no array of ours is ever among their arguments, or only its type is looked at: NumPy's own object
_PASSED = frozenset(
    [
        "ScalarType",
        "add_docstring",
        "add_newdoc",
        "add_newdoc_ufunc",
        "base_repr",
        "busday_count",
        "busday_offset",
        "datetime_as_string",
        "datetime_data",
        "deprecate",
        "deprecate_with_doc",
        "disp",
        "dtype",
        "errstate",
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
        "is_busday",
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
        "seterr",
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
        "errstate",
        "busdaycalendar",
        "deprecate",
        "compare_chararrays",
    ]
)
# looking at values is what they are for
_OBSERVERS = frozenset(["array2string", "array_repr", "array_str", "save", "savez", "savez_compressed", "savetxt"])
# modules: their functions are looked up through a proxy, so that arrays of ours do not leave unnoticed
_PROXIED = frozenset(["char", "emath", "lib", "polynomial", "rec"])

# names that NumPy gives the same object as another
_BINARY_NAMES = {"abs": "absolute", "true_divide": "divide", "mod": "remainder", "conj": "conjugate", "bitwise_not": "invert"}


class ModuleProxy(types.ModuleType):
    """A module of NumPy's whose functions run through the fallback."""

    def __init__(self, module: types.ModuleType, name: str) -> None:
        super().__init__(name, module.__doc__)
        self.__dict__["_module"] = module

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__dict__["_module"], name)
        if isinstance(found, types.ModuleType):
            made: Any = ModuleProxy(found, f"{self.__name__}.{name}") if found.__name__.startswith("numpy") else found
        elif isinstance(found, np.ufunc):
            made = make_ufunc(found, None)
        elif isinstance(found, type) or not callable(found) or name.startswith("_"):
            made = found
        else:
            made = fallback(found, f"{self.__name__.rpartition('.')[2]}.{name}")
        self.__dict__[name] = made
        return made

    def __dir__(self) -> list[str]:
        return dir(self.__dict__["_module"])


class vectorize(np.vectorize):
    """`numpy.vectorize`: the function is called with NumPy scalars; results are arrays of ours."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return call(super().__call__, args, kwargs, "vectorize")


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
            found[name] = native
        elif isinstance(theirs, types.ModuleType):
            found[name] = ModuleProxy(theirs, f"minpy_jit.numpy.{name}") if name in _PROXIED else theirs
        elif isinstance(theirs, type):
            passed = issubclass(theirs, (np.generic, Exception)) or name in _PASSED
            found[name] = theirs if passed else ClassFallback(theirs)
        elif not callable(theirs) or name in _PASSED:
            found[name] = theirs
        else:
            found[name] = fallback(theirs, name, observer=name in _OBSERVERS)
    found["ndarray"] = Array
    found["ufunc"] = Ufunc
    found["vectorize"] = vectorize
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


def late(name: str) -> Any:
    """A name that was not there when the namespace was built.

    Raises:
        AttributeError: NumPy has none of that name either.
    """
    if name.startswith("_"):
        raise AttributeError(f"module 'minpy_jit.numpy' has no attribute {name!r}")
    found = getattr(np, name)
    return found if isinstance(found, (types.ModuleType, type)) or not callable(found) else fallback(found, name)


NUMPY_VERSION = np.__version__
NAMES = _build()
