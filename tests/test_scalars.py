"""Scalars: immutable and lazy, wherever NumPy returns one of its own, and a number to Python as far as Python allows.

Every operation is run on NumPy's scalar and on ours (pending and computed): the result's kind (scalar, array, Python's own), dtype and
value, or the exception, are NumPy's under NEP 50. What differs is in DIFFERENT, with the reason.
"""

from __future__ import annotations

import collections
import collections.abc
import contextlib
import copy
import datetime
import decimal
import fractions
import functools
import itertools
import json
import math
import numbers
import operator
import pickle
import random
import statistics
import struct
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as mnp
from minpy_jit.numpy.array import Array, Scalar

VALUES: dict[str, tuple[Any, ...]] = {
    "float64": (1.5, -2.0, 0.0, -0.0, float("nan"), float("inf"), 1e300),
    "float32": (1.5, -0.1),
    "float16": (1.5,),
    "int64": (3, -7, 0, 2**62),
    "int32": (5, -1),
    "int8": (100,),
    "uint8": (200, 3),
    "uint64": (7,),
    "bool": (True, False),
    "complex128": (1 + 2j, 3 + 0j),
    "complex64": (1.5 - 2j,),
}
SAMPLES = [(dtype, value) for dtype, values in VALUES.items() for value in values]


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    minpy_jit.flush()
    yield
    minpy_jit.flush()


def theirs(dtype: str, value: Any) -> Any:
    return numpy.array([value, value], dtype)[1]


def ours(dtype: str, value: Any, pending: bool = True) -> Any:
    x = mnp.array([value, value], dtype)
    # a copy in reverse order is a step that changes no bit
    return mnp.concatenate([x[1:], x[:1]])[1] if pending else x[1]


def number(value: Any, figures: int = 12) -> Any:
    """Libraries' functions differ in the last places; so many figures do not."""
    if isinstance(value, complex):
        return complex(number(value.real, figures), number(value.imag, figures))
    if isinstance(value, float) and math.isfinite(value) and value:
        return float(f"{value:.{figures}g}")
    return value


def seen(value: Any) -> Any:
    """What is compared of a result."""
    if type(value) in (Array, numpy.ndarray):
        data = numpy.asarray(value)
        figures = 5 if data.dtype in (numpy.float16, numpy.float32, numpy.complex64) else 12
        return "array", str(data.dtype), data.shape, repr([number(v, figures) for v in data.reshape(-1).tolist()])
    if type(value) is Scalar or isinstance(value, numpy.generic):
        exact = value.dtype.kind not in "fc" or value.dtype in (numpy.float64, numpy.complex128)
        return "scalar", str(value.dtype), repr(number(value.item(), 12 if exact else 5))
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [seen(v) for v in value]
    if isinstance(value, (float, complex)):
        return type(value).__name__, repr(number(value))
    if isinstance(value, memoryview):
        return value.tobytes(), value.shape, value.format, value.readonly
    plain = (int, str, bytes, type(None), dict, set, slice, range, numpy.dtype, decimal.Decimal, fractions.Fraction)
    return (type(value).__name__, repr(value)) if isinstance(value, plain) else type(value).__name__


def outcome(function: Callable[..., Any], *args: Any) -> Any:
    """What a call gives, or the exception that Python or NumPy defines."""
    with warnings.catch_warnings(), numpy.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return seen(function(*args))
        except Exception as error:
            # AxisError is both of its bases
            return "raises", next(c.__name__ for c in type(error).__mro__ if c.__module__ in ("builtins", "decimal", "struct"))


def small(s: Any, otherwise: Any, then: Callable[[], Any]) -> Any:
    """`then()`, but for numbers that would take all memory."""
    return then() if abs(s) < 300 else otherwise


LETTERS = [1, 2, 3, 4, 5, 6, 7, 8, 9]
TEMPLATE = "{:.1f} {}"
UNARY: dict[str, Callable[[Any], Any]] = {
    # operators and conversions
    "-s": operator.neg,
    "+s": operator.pos,
    "abs": abs,
    "~s": operator.invert,
    "not s": operator.not_,
    "bool": bool,
    "int": int,
    "float": float,
    "complex": complex,
    "index": operator.index,
    "if s": lambda s: 1 if s else 2,
    "s and 5": lambda s: s and 5,
    "s or 5": lambda s: s or 5,
    "all": lambda s: all([s, s]),
    "any": lambda s: any([s]),
    # rounding and math
    "round": round,
    "round 0": lambda s: round(s, 0),
    "round 1": lambda s: round(s, 1),
    "round None": lambda s: round(s, None),
    "round -1": lambda s: round(s, -1),
    "trunc": math.trunc,
    "floor": math.floor,
    "ceil": math.ceil,
    "sqrt": math.sqrt,
    "isnan": math.isnan,
    "fsum": lambda s: math.fsum([s, s]),
    "fmod": lambda s: math.fmod(s, 2),
    "frexp": math.frexp,
    "copysign": lambda s: math.copysign(1, s),
    "gcd": lambda s: math.gcd(s, 6),
    "isqrt": math.isqrt,
    "exp": math.exp,
    "factorial": lambda s: small(s, 0, lambda: math.factorial(s)),
    "hypot": lambda s: math.hypot(s, 1),
    "atan2": lambda s: math.atan2(s, 1),
    "comb": lambda s: math.comb(s, 2),
    "ldexp": lambda s: math.ldexp(1.0, s),
    "isclose": lambda s: math.isclose(s, s),
    "log": math.log,
    "divmod": lambda s: divmod(s, 2),
    "divmod of": lambda s: divmod(7, s),
    "pow with 3 arguments": lambda s: pow(s, 2, 5),
    "s ** 2": lambda s: s**2,
    "s ** 0.5": lambda s: s**0.5,
    "s ** -1": lambda s: s**-1,
    "2 ** s": lambda s: small(s, 0, lambda: 2**s),
    # text
    "str": str,
    "repr": repr,
    "{s}": lambda s: f"{s}",
    "{s!r}": lambda s: f"{s!r}",
    "{s:.2f}": lambda s: f"{s:.2f}",
    "{s:d}": lambda s: f"{s:d}",
    "{s:>10}": lambda s: f"{s:>10}",
    "{s:.3e}": lambda s: f"{s:.3e}",
    "{s:g}": lambda s: f"{s:g}",
    "{s:x}": lambda s: f"{s:x}",
    "{s:%}": lambda s: f"{s:%}",
    "{s:,}": lambda s: f"{s:,}",
    "{s:b}": lambda s: f"{s:b}",
    "{s:n}": lambda s: f"{s:n}",
    "{s:05}": lambda s: f"{s:05}",
    "{s:+}": lambda s: f"{s:+}",
    "%d": functools.partial(operator.mod, "%d"),
    "%f": functools.partial(operator.mod, "%f"),
    "%s": functools.partial(operator.mod, "%s"),
    "%r": functools.partial(operator.mod, "%r"),
    "%5.2g": functools.partial(operator.mod, "%5.2g"),
    "%x": functools.partial(operator.mod, "%x"),
    "%c": functools.partial(operator.mod, "%c"),
    "%i": functools.partial(operator.mod, "%i"),
    "format": format,
    "str.format": lambda s: TEMPLATE.format(s, s),
    "join": lambda s: ",".join(map(str, [s])),
    "chr": chr,
    "hex": hex,
    "bin": bin,
    "oct": oct,
    # containers
    "hash": lambda s: hash(s) if s == s else 0,
    "a dict key": lambda s: {1.5: "a", 3: "b", True: "c", 1 + 2j: "d"}.get(s),
    "in a set": lambda s: s in {1.5, 3, 200},
    "in a list": lambda s: s in [1.5, 3, 200],
    "in [s]": lambda s: s in [s],
    "list.index": lambda s: [s, s].index(s),
    "list.count": lambda s: [s, 1, s].count(s),
    "{s: 1} == {s.item(): 1}": lambda s: {s: 1} == {s.item(): 1},
    "Counter": lambda s: list(collections.Counter([s, s] if s == s else [1, 1]).values()),
    "lru_cache": lambda s: functools.lru_cache(lambda x: 1)(s),
    "len": len,
    "iter": iter,
    "list": list,
    "s[0]": lambda s: s[0],
    "s[()]": lambda s: s[()],
    "s[...]": lambda s: s[...],
    "s[None]": lambda s: s[None],
    "s[()] = 1": lambda s: s.__setitem__((), 1),
    "1 in s": lambda s: 1 in s,
    "del s[0]": lambda s: s.__delitem__(0),
    "unpacking": lambda s: (lambda a: a)(*[s]),
    "zip": lambda s: list(zip([s], [s], strict=True)),
    "sorted": lambda s: sorted([s, s]),
    "sum": lambda s: sum([s, s]),
    "min": lambda s: min([s, s]),
    "max of": lambda s: max(s, s),
    "sort key": lambda s: sorted([2, 1], key=lambda k: k * s),
    # where Python wants an integer
    "range": lambda s: list(range(s)[:3]),
    "list[s]": lambda s: LETTERS[s],
    "list[:s]": lambda s: LETTERS[:s],
    "[] * s": lambda s: small(s, 0, lambda: [1, 2] * s),
    "s * []": lambda s: small(s, 0, lambda: s * [1, 2]),
    "str * s": lambda s: small(s, 0, lambda: "ab" * s),
    "s * str": lambda s: small(s, 0, lambda: s * "ab"),
    "() * s": lambda s: small(s, 0, lambda: (1,) * s),
    "bytes": lambda s: small(s, 0, lambda: bytes(s)),
    "enumerate": lambda s: list(enumerate([1], s)),
    "islice": lambda s: list(itertools.islice([1, 2, 3], s)),
    "random.seed": lambda s: (random.seed(s), random.random())[1] if s == s else 0,
    "shape": lambda s: small(s, 0, lambda: numpy.zeros(s).shape),
    # packing and other libraries
    "pack d": lambda s: struct.pack("d", s),
    "pack q": lambda s: struct.pack("q", s),
    "pack ?": lambda s: struct.pack("?", s),
    "Decimal": decimal.Decimal,
    "Fraction": fractions.Fraction,
    "statistics.mean": lambda s: statistics.mean([s, s]),
    "statistics.fmean": lambda s: statistics.fmean([s, s]),
    "statistics.median": lambda s: statistics.median([s, s]),
    "json of float": lambda s: json.dumps(float(s)),
    "json of item": lambda s: json.dumps(s.item()),
    "json": json.dumps,
    "timedelta": lambda s: datetime.timedelta(seconds=s),
    "memoryview": memoryview,
    "float.__add__": lambda s: float.__add__(s, 1.0),
    # what it is
    "is float": lambda s: isinstance(s, float),
    "is int": lambda s: isinstance(s, int),
    "is bool": lambda s: isinstance(s, bool),
    "is complex": lambda s: isinstance(s, complex),
    "is np.floating": lambda s: isinstance(s, numpy.floating),
    "is np.number": lambda s: isinstance(s, numpy.number),
    "is np.generic": lambda s: isinstance(s, numpy.generic),
    "is np.integer": lambda s: isinstance(s, (int, numpy.integer)),
    "is np.bool_": lambda s: isinstance(s, numpy.bool_),
    "is np.float64": lambda s: isinstance(s, numpy.float64),
    "is ndarray": lambda s: isinstance(s, numpy.ndarray),
    "is Number": lambda s: isinstance(s, numbers.Number),
    "is Real": lambda s: isinstance(s, numbers.Real),
    "is Integral": lambda s: isinstance(s, numbers.Integral),
    "is Complex": lambda s: isinstance(s, numbers.Complex),
    "is Hashable": lambda s: isinstance(s, collections.abc.Hashable),
    "is Iterable": lambda s: isinstance(s, collections.abc.Iterable),
    "is Sized": lambda s: isinstance(s, collections.abc.Sized),
    "isscalar": numpy.isscalar,
    "callable": callable,
    # copies
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda s: pickle.loads(pickle.dumps(s)),
    "np.array": numpy.array,
    "np.asarray": lambda s: numpy.asarray([s, s]),
    "np.float64(s)": numpy.float64,
    "np.int32(s)": numpy.int32,
    "np.sum": lambda s: numpy.sum(s) + 0.0,
    "np.nditer": lambda s: [complex(v) for v in numpy.nditer(s)],
    "setattr": lambda s: setattr(s, "foo", 1),
    "s.shape =": lambda s: setattr(s, "shape", (1,)),
    "s == s": lambda s: bool(s == s),
    "chained comparison": lambda s: -1 <= s < 5 <= s + 3,
    "s.base": lambda s: s.base,
    "s.flags": lambda s: (s.flags.writeable, s.flags.owndata, s.flags.c_contiguous),
}

# operation -> why it differs from NumPy's (for some dtypes)
DIFFERENT: dict[str, str] = {
    "json": "C code looks at the type alone: float64 is a subclass of float; write json.dumps(float(s))",
    "Decimal": "C code looks at the type alone: Decimal(float(s))",
    "timedelta": "C code looks at the type alone: timedelta(seconds=float(s))",
    "float.__add__": "a slot of float takes floats alone",
    "memoryview": "Python classes have no buffer before 3.12; theirs is read-only as ours is",
    "pack q": "floats have no __index__ there and one that raises here: TypeError for struct.error",
    "statistics.mean": "it calls type(s)(...), and type(s) is Scalar, which makes a float64 of a fraction",
    "shape": "NumPy refuses its own bool_ by its type; ours is refused as an index, and True is 1 otherwise",
}


@pytest.mark.parametrize("name", UNARY)
def test_operations_on_one(name: str) -> None:
    function = UNARY[name]
    differ = []
    for dtype, value in SAMPLES:
        expected = outcome(function, theirs(dtype, value))
        for pending in (True, False):
            found = outcome(function, ours(dtype, value, pending))
            if found != expected:
                differ.append(f"{dtype} {value}, pending={pending}: numpy {expected}, ours {found}")
    if name in DIFFERENT:
        assert differ or (name == "memoryview" and sys.version_info >= (3, 12)), "no difference is left: take it off the list"
        return
    assert not differ, "\n".join(differ)


# -- attributes and methods ---------------------------------------------------------------------------------------------------------------
NAMES = sorted({n for dtype, value in SAMPLES for n in dir(theirs(dtype, value)) if not n.startswith("_")})
ARGUMENTS: tuple[tuple[Any, ...], ...] = ((), (0,), (1,), ("f4",), (numpy.float32,), ((),), ((1,),), (None,))
# classes of our own, and methods that write to files
NOT_COMPARED = {"data", "flags", "flat", "ctypes", "base", "dump", "tofile", "dumps"}
# which of two wrong arguments is named differs, and what axes of nothing are
LENIENT = {"diagonal", "trace", "squeeze", "dot", "choose", "argmax", "argmin"}


@pytest.mark.parametrize("name", [n for n in NAMES if n not in NOT_COMPARED])
def test_attributes_and_methods(name: str) -> None:
    differ = []
    for dtype, values in VALUES.items():
        s, t = theirs(dtype, values[0]), ours(dtype, values[0])
        if not hasattr(s, name):
            # (`dot`, `is_integer` ...: ours have what arrays have)
            continue
        if not callable(getattr(s, name)) or isinstance(getattr(s, name), numpy.generic):
            calls = [("", lambda v: getattr(v, name)), (" =", lambda v: setattr(v, name, 0))]
        else:
            calls = [(repr(a), lambda v, a=a: getattr(v, name)(*a)) for a in ARGUMENTS]
        for text, call in calls:
            expected, found = outcome(call, s), outcome(call, t)
            both = expected[0] == found[0] == "raises"
            if found != expected and not (both and name in LENIENT):
                differ.append(f"{dtype} s.{name}{text}: numpy {expected}, ours {found}")
    assert not differ, "\n".join(differ)


# -- two operands -------------------------------------------------------------------------------------------------------------------------
BINARY = {
    n: getattr(operator, n)
    for n in (
        *(
            "add",
            "sub",
            "mul",
            "truediv",
            "floordiv",
            "mod",
            "pow",
            "and_",
            "or_",
            "xor",
            "lshift",
            "rshift",
            "lt",
            "le",
            "gt",
            "ge",
            "eq",
            "ne",
        ),
        *("matmul", "iadd", "isub", "imul", "itruediv", "ipow", "iand"),
    )
} | {"divmod": divmod, "min": min, "max": max}
OTHERS: tuple[Callable[[], Any], ...] = tuple(
    lambda v=v: copy.copy(v)
    for v in (
        True,
        2,
        -1,
        300,
        2.5,
        0,
        0.0,
        float("nan"),
        None,
        "a",
        [1, 2],
        (1.5,),
        numpy.float32(2),
        numpy.int8(3),
        numpy.float64(0.5),
        numpy.arange(3),
        numpy.array(2),
        numpy.bool_(True),
        numpy.uint64(5),
        numpy.complex64(1j),
        fractions.Fraction(1, 2),
        {1},
        {},
        slice(1),
        2**70,
    )
)


def stays(name: str, dtype: str, other: Any, expected: Any, found: Any) -> bool:
    """Whether a difference is one of these: NumPy's integer scalars refuse to be divided by a number that their own dtype does not hold,
    its arrays and ufuncs do not; an operator cannot tell which it is."""
    return "truediv" in name and type(other) is int and expected == ("raises", "OverflowError") and numpy.dtype(dtype).kind in "iu"


@pytest.mark.parametrize("name", BINARY)
def test_operations_with_other_things(name: str) -> None:
    function = BINARY[name]
    differ = []
    for dtype, values in VALUES.items():
        for make in OTHERS:
            other = make()
            if name in ("pow", "ipow", "lshift", "ilshift") and isinstance(other, int) and abs(other) > 100:
                continue
            for turned in (False, True):
                scalars = theirs(dtype, values[0]), ours(dtype, values[0])
                both = [(make(), s) if turned else (s, make()) for s in scalars]
                expected, found = (outcome(function, *args) for args in both)
                if found != expected and not stays(name, dtype, other, expected, found):
                    differ.append(f"{dtype} {name} {other!r}, turned={turned}: numpy {expected}, ours {found}")
    assert not differ, "\n".join(differ)


@pytest.mark.parametrize("name", BINARY)
def test_operations_with_each_other(name: str) -> None:
    function = BINARY[name]
    differ = []
    for (one, first), (two, second) in itertools.product([(d, v[0]) for d, v in VALUES.items()], repeat=2):
        if name in ("pow", "ipow", "lshift") and abs(second) > 60:
            continue
        expected = outcome(function, theirs(one, first), theirs(two, second))
        found = outcome(function, ours(one, first), ours(two, second))
        if found != expected:
            differ.append(f"{one} {name} {two}: numpy {expected}, ours {found}")
    assert not differ, "\n".join(differ)


# -- every ufunc, and functions that give scalars -----------------------------------------------------------------------------------------
UFUNCS = sorted(n for n in dir(numpy) if isinstance(getattr(numpy, n), numpy.ufunc))
SMALL = {"float64": 1.5, "float32": 0.5, "int64": 3, "uint8": 2, "bool": True, "complex64": 1.5 - 2j}


@pytest.mark.parametrize("name", UFUNCS)
def test_ufuncs_of_scalars(name: str) -> None:
    """Scalars and 0-d arrays in, scalars out, of NumPy's dtype."""
    count = getattr(numpy, name).nin
    differ = []
    for dtypes in itertools.product(SMALL, repeat=count):
        for wrap in (lambda np, s: s, lambda np, s: np.array(s)):
            expected, found = (
                outcome(getattr(np, name), *[wrap(np, make(d, SMALL[d])) for d in dtypes]) for np, make in ((numpy, theirs), (mnp, ours))
            )
            if found != expected:
                differ.append(f"{name} of {dtypes}: numpy {expected}, ours {found}")
    assert not differ, "\n".join(differ)


RESULTS = """
x[1, 2] | x[-1, -1] | x[(0, 1)] | x.sum() | x.mean() | x.max() | x.argmax() | x.std() | x.prod() | x.all() | x.any() | x.ptp()
x.trace() | v.dot(v) | v @ v | np.dot(v, v) | np.vdot(v, v) | np.inner(v, v) | np.linalg.norm(v) | np.linalg.det(x[:, :3])
np.median(v) | np.percentile(v, 30) | v[1] | v[i] | np.sum(v) | np.average(v) | np.var(v) | np.count_nonzero(v) | np.einsum("i,i", v, v)
np.trapz(v) | np.interp(0.5, v, v) | np.searchsorted(v, 1.0) | np.ptp(v) | np.take(v, 1) | v.take(0) | np.max(v) | np.nanmax(v)
np.nansum(v) | np.cov(v) | np.corrcoef(v, v)[0, 1] | np.float64(2.0) + v[0] | np.add.reduce(v) | np.logical_and.reduce(v)
np.clip(v[0], 0, 1) | np.where(True, v[0], v[1])[()] | np.array(2.0)[()] | np.array(2.0) + 1 | np.squeeze(v[:1])[()] | np.sin(1.0)
np.sqrt(2) | np.add(1, 2) | np.exp(np.array(1.0)) | np.round(v[0]) | np.real(v[0]) | np.abs(v[0]) | np.isnan(v[0]) | np.sign(v[0])
np.maximum(v[0], 1) | np.cumsum(v)[-1] | np.argsort(v)[0] | np.nonzero(v)[0][0] | np.unique(v)[0] | np.polyval([1, 2], v[0])
np.linalg.matrix_rank(x) | np.all(v > 0) | v.flat[1] | np.amin(v) | np.sum(x, axis=(0, 1)) | np.prod(np.zeros(0)) | np.mean(v > 0)
np.bincount([1, 1])[1] | np.diff(v)[0] | (v > 0)[0] | v[0] > 0 | v[0] == v[0]
"""


def test_what_gives_scalars() -> None:
    for source in RESULTS.strip().replace("\n", " | ").split(" | "):
        found = []
        for np in (numpy, mnp):
            x = np.array([[4.0, 1.0, 2.0, 0.5], [1.0, 5.0, 0.25, 2.0], [2.0, 0.5, 6.0, 1.0]])
            found.append(outcome(eval, source, {"np": np, "x": x, "v": x[0], "i": x[0].argmin()}))
        assert found[1] == found[0], source


# -- immutable ----------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["lazy", "eager", "numpy"])
def test_names_keep_their_value(mode: str) -> None:
    with minpy_jit.mode(mode):
        x = mnp.array([3.0, 1.0, 2.0])
        loss = x.sum()
        best, r = loss, x[1]
        loss += r
        loss *= 2
        assert (float(best), float(loss), float(r)) == (6.0, 14.0, 1.0)
        t = x[0]
        x[0] = x[2]
        x[2] = t
        assert x.tolist() == [2.0, 1.0, 3.0]
        x[0], x[1] = x[1], x[0]
        first = x[0]
        x += 10
        x[0] = 99.0
        x.fill(5)
        assert (float(first), float(t)) == (1.0, 3.0)
        history = []
        for k in range(3):
            x[1] = k
            history.append(x[1])
        assert [float(h) for h in history] == [0.0, 1.0, 2.0]


def test_nothing_writes_to_a_scalar() -> None:
    s = mnp.arange(3.0).sum()
    writes: tuple[Callable[[], Any], ...] = (
        lambda: s.__setitem__((), 1),
        lambda: setattr(s, "real", 1),
        lambda: setattr(s, "shape", (1,)),
        lambda: mnp.add(s, 1, out=s),
        lambda: setattr(s, "foo", 1),
    )
    for write in writes:
        with pytest.raises((TypeError, AttributeError, ValueError)):
            write()
    for silent in (lambda: s.fill(1), lambda: s.itemset(1), lambda: s.setfield(1, "f8"), lambda: s.sort()):
        # NumPy's do nothing or refuse
        with contextlib.suppress(TypeError, ValueError):
            silent()
    array = mnp.asarray(s)
    array += 1
    view = s[...]
    view += 1
    assert (float(s), float(array), float(view)) == (3.0, 4.0, 4.0)


def test_what_waits_stays_pending() -> None:
    x = mnp.arange(4.0) + 1
    s = x.sum()
    before = minpy_jit.stats()["flushes"]
    t = (s * 2 + 1) / 3 - s
    assert copy.copy(t) is t
    assert (t.shape, t.ndim, t.size, str(t.dtype), isinstance(t, float)) == ((), 0, 1, "float64", True)
    kept = t > 0
    assert minpy_jit.stats()["flushes"] == before
    assert not kept
    assert minpy_jit.stats()["flushes"] == before + 1


# -- writes of scalars --------------------------------------------------------------------------------------------------------------------
WRITES = """
x[0] = v | x[1:] = v | x[...] = v | x[[0, 1]] = v | x[x >= 0] = v | x.fill(v) | x.flat[0] = v | x.flat[:] = v | np.put(x, [0], v)
x[0] += v | np.place(x, x >= 0, [v]) | np.putmask(x, x >= 0, v) | x.itemset(0, v) | np.fill_diagonal(x.reshape(2, 2), v)
x = np.array([v, v], dtype=x.dtype) | x = np.full(2, v, dtype=x.dtype) | x = np.array(v).astype(x.dtype) | x = np.full_like(x, v)
x[0, ...] = v | x[0:1] = [v] | x[0] = [v] | x.T[0] = v | x = np.insert(x, 0, v) | x += v
"""
WRITTEN: dict[str, Callable[[Any], Any]] = {
    "NaN": lambda np: np.array([numpy.nan])[0] * 1,
    "infinity": lambda np: np.array([numpy.inf])[0] * 1,
    "2.7": lambda np: np.array([2.7])[0] * 1,
    "a Python NaN": lambda np: float("nan"),
    "a Python infinity": lambda np: float("inf"),
    "a Python 2.7": lambda np: 2.7,
    "a 0-d NaN": lambda np: np.array(numpy.nan),
    "an array of one NaN": lambda np: np.array([numpy.nan]),
    "complex": lambda np: np.array([1 + 2j])[0] * 1,
    "a Python complex": lambda np: 1 + 2j,
    "1e20": lambda np: np.array([1e20])[0] * 1,
    "a Python 1e20": lambda np: 1e20,
    "2 ** 70": lambda np: 2**70,
    "300": lambda np: 300,
    "an int64 300": lambda np: np.array([300])[0] * 1,
    "-1": lambda np: -1,
    "None": lambda np: None,
    "a string": lambda np: "5",
    "True": lambda np: np.array([True])[0],
    "a list": lambda np: [1.5],
}


def executed(source: str, names: dict[str, Any]) -> Any:
    exec(source, names)
    return names["x"]


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool", "float64", "float32", "complex128"])
def test_values_that_do_not_fit(dtype: str) -> None:
    """NaN to integers, numbers out of range, complex to real: what NumPy stores, or the exception at that line."""
    differ = []
    for source in WRITES.strip().replace("\n", " | ").split(" | "):
        for name, make in WRITTEN.items():
            found = []
            for np in (numpy, mnp):
                found.append(outcome(executed, source, {"np": np, "x": np.arange(4).astype(dtype), "v": make(np)}))
            if found[0] != found[1]:
                differ.append(f"{source}, v = {name}: numpy {found[0]}, ours {found[1]}")
    assert not differ, "\n".join(differ)


def test_numbers_out_of_range_are_refused_at_the_line() -> None:
    x = mnp.zeros(3, "uint8") + mnp.ones(3, "uint8")
    before = minpy_jit.stats()["flushes"]
    with pytest.raises(OverflowError, match="Python integer 300 out of bounds for uint8"):
        x[0] = 300
    with pytest.raises(OverflowError, match="Python integer -1 out of bounds for uint8"):
        x + -1
    with pytest.raises(ValueError, match="cannot convert float NaN to integer"):
        x[0] = float("nan")
    assert minpy_jit.stats()["flushes"] == before
    assert x.tolist() == [1, 1, 1]
