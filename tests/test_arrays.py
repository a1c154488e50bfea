"""Arrays behave as NumPy's: operators of every dtype pair, identity and aliasing, overlapping writes, observers, scalars, mixing."""

from __future__ import annotations

import copy
import io
import itertools
import json
import math
import operator
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy
import pytest

import minpy_jit.numpy as mnp
from minpy_jit.config import config
from minpy_jit.numpy.array import Array, Scalar
from minpy_jit.trace import recorder
from minpy_jit.trace.stats import stats


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    recorder.current().flush("test")
    yield
    recorder.current().flush("test")


def flushes() -> int:
    return stats.counts["flushes"]


# -- operators × dtypes ------------------------------------------------------------------------------------------------------------
DTYPES = ("bool", "int8", "uint8", "int32", "int64", "uint16", "uint64", "float16", "float32", "float64", "complex64", "complex128")
_NAMES = "add sub mul truediv floordiv mod pow and_ or_ xor lshift rshift lt le gt ge eq ne"
BINARY = {name: getattr(operator, name) for name in _NAMES.split(" ")}
UNARY = {"neg": operator.neg, "pos": operator.pos, "abs": abs, "invert": operator.invert}
NUMBERS = (True, 2, 2.5, 1.5 + 1j)


def values(dtype: str) -> numpy.ndarray:
    return numpy.array([[1, 2, 3], [0, 1, 2]]).astype(dtype)


def outcome(run: Callable[..., Any], *operands: Any) -> tuple[str, Any]:
    """("value", array) or ("error", exception type)."""
    try:
        with numpy.errstate(all="ignore"):
            result = run(*operands)
            return "value", numpy.asarray(result)
    except (TypeError, ValueError, OverflowError) as error:
        plain = next(c for c in type(error).__mro__ if c in (TypeError, ValueError, OverflowError))
        return "error", plain


def compare(ours: tuple[str, Any], theirs: tuple[str, Any]) -> None:
    assert ours[0] == theirs[0], f"{ours} where NumPy gives {theirs}"
    if ours[0] == "error":
        assert ours[1] is theirs[1]
        return
    assert ours[1].dtype == theirs[1].dtype and ours[1].shape == theirs[1].shape
    if theirs[1].dtype.kind in "fc":
        precise = {2: 2e-3, 4: 1e-6, 8: 1e-6 if theirs[1].dtype.kind == "c" else 1e-13, 16: 1e-13}[theirs[1].dtype.itemsize]
        numpy.testing.assert_allclose(ours[1], theirs[1], rtol=precise, atol=precise)
    else:
        numpy.testing.assert_array_equal(ours[1], theirs[1])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", BINARY)
def test_operators_of_every_dtype_pair(name: str) -> None:
    function = BINARY[name]
    for left, right in itertools.product(DTYPES, DTYPES):
        x, y = values(left), values(right)[1:] + numpy.asarray(1, right)
        compare(outcome(function, mnp.array(x), mnp.array(y)), outcome(function, x, y))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", BINARY)
def test_operators_with_python_numbers(name: str) -> None:
    function = BINARY[name]
    for dtype, number in itertools.product(DTYPES, NUMBERS):
        x = values(dtype)
        compare(outcome(function, mnp.array(x), number), outcome(function, x, number))
        compare(outcome(function, number, mnp.array(x)), outcome(function, number, x))


@pytest.mark.parametrize("name", UNARY)
def test_unary_operators(name: str) -> None:
    for dtype in DTYPES:
        x = values(dtype)
        compare(outcome(UNARY[name], mnp.array(x)), outcome(UNARY[name], x))


INPLACE = ("iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow", "iand", "ior", "ixor", "ilshift", "irshift")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", INPLACE)
def test_inplace_operators(name: str) -> None:
    function = getattr(operator, name)
    for dtype, other in itertools.product(
        ("bool", "uint8", "int64", "float32", "float64"), ("int8", "int64", "float32", "float64", 2, 2.5)
    ):
        theirs = values(dtype)
        ours = alias = mnp.array(theirs)
        right = other if not isinstance(other, str) else values(other)[1:] + numpy.asarray(1, other)
        mine = right if not isinstance(right, numpy.ndarray) else mnp.array(right)

        compare(outcome(function, ours, mine), outcome(function, theirs, right))
        compare(("value", alias.asnumpy()), ("value", theirs))


def test_integers_out_of_range_are_refused() -> None:
    x = mnp.array([1, 2], dtype=mnp.uint8)
    with pytest.raises(OverflowError, match=r"Python integer 300 out of bounds for uint8"):
        x + 300
    for number in (1, 5, 300):
        # the check is made at every recording, replayed ones too
        if number < 256:
            x + number
        else:
            with pytest.raises(OverflowError):
                x + number


def test_errors_leave_nothing_half_recorded() -> None:
    x = mnp.ones((2, 3))
    y = x + 1
    with pytest.raises(ValueError, match=r"\[add\] operands could not be broadcast together"):
        y + mnp.ones((4, 5))
    numpy.testing.assert_array_equal((y * 2).asnumpy(), numpy.full((2, 3), 4.0))


# -- identity and aliasing -----------------------------------------------------------------------------------------------------------
def flush() -> None:
    recorder.current().flush("test")


def nothing() -> None:
    return None


@pytest.mark.parametrize("between", [nothing, flush])
class TestAliasing:
    """Each program runs with our arrays and with NumPy's; flushes in the middle must not be seen."""

    @staticmethod
    def same(program: Callable[[Any, Callable[[], None]], Any], between: Callable[[], None]) -> None:
        ours, theirs = program(mnp, between), program(numpy, nothing)
        for o, t in zip(ours, theirs, strict=True):
            numpy.testing.assert_array_equal(numpy.asarray(o), t)

    def test_identity(self, between: Callable[[], None]) -> None:
        x = mnp.ones(3)
        y = x
        between()
        x += 1
        assert y is x
        assert y.tolist() == [2.0, 2.0, 2.0]

    def test_views_both_ways(self, between: Callable[[], None]) -> None:
        def program(np: Any, pause: Callable[[], None]) -> Any:
            x = np.arange(12.0).reshape(3, 4)
            view, column, flat = x[1:, ::2], x[:, 1], x.reshape(-1)
            pause()
            view += 10
            pause()
            x[0] = -1.0
            column *= 2
            pause()
            flat[5] = 99.0
            x.T[3, 2] = 7.0
            return x, view, column, flat

        self.same(program, between)

    def test_views_of_views(self, between: Callable[[], None]) -> None:
        def program(np: Any, pause: Callable[[], None]) -> Any:
            x = np.arange(24.0).reshape(2, 3, 4)
            a = x[1]
            b = a.T
            c = b[::-1, 1:]
            pause()
            c[...] = 0.5
            pause()
            a[2, 3] = 8
            d = x.swapaxes(0, 2)[1]
            d += 100
            return x, a, b, c, d

        self.same(program, between)

    def test_every_kind_of_view_writes_through(self, between: Callable[[], None]) -> None:
        makers: list[Callable[[Any, Any], Any]] = [
            lambda np, x: x.reshape(6, 2),
            lambda np, x: x.T,
            lambda np, x: np.transpose(x, (1, 0)),
            lambda np, x: np.swapaxes(x, 0, 1),
            lambda np, x: np.moveaxis(x, 0, 1),
            lambda np, x: np.expand_dims(x, 1),
            lambda np, x: np.squeeze(x[:, None]),
            lambda np, x: np.flip(x, 1),
            lambda np, x: np.rot90(x),
            lambda np, x: x.ravel(),
            lambda np, x: np.split(x, 2, axis=1)[1],
            lambda np, x: np.atleast_3d(x),
            lambda np, x: x[1:, None, ::-2],
            lambda np, x: x.view(),
            lambda np, x: x[...],
        ]
        for make in makers:

            def program(np: Any, pause: Callable[[], None], make: Callable[[Any, Any], Any] = make) -> Any:
                x = np.arange(12.0).reshape(3, 4)
                view = make(np, x)
                pause()
                view *= 2
                view[0] = -3.0
                pause()
                x += 1
                return x, view

            self.same(program, between)

    def test_copies_do_not_alias(self, between: Callable[[], None]) -> None:
        def program(np: Any, pause: Callable[[], None]) -> Any:
            x = np.arange(6.0).reshape(2, 3)
            copies = [x.copy(), x.flatten(), np.array(x), x[[0, 1]], copy.copy(x), copy.deepcopy(x), x.T.reshape(-1), x.astype(float), +x]
            pause()
            for c in copies:
                c += 1
            x[0, 0] = 50
            return x, *copies

        self.same(program, between)

    def test_overlapping_writes(self, between: Callable[[], None]) -> None:
        def program(np: Any, pause: Callable[[], None]) -> Any:
            a = np.arange(6.0)
            a[1:] = a[:-1]
            b = np.arange(6.0)
            b[:-1] += b[1:]
            pause()
            c = np.arange(9.0).reshape(3, 3)
            c += c.T
            d = np.arange(6.0)
            d[::-1] = d
            e = np.arange(5.0)
            np.add(e[:-1], e[1:], out=e[1:])
            pause()
            f = np.arange(4.0)
            f[[0, 1]] = f[[1, 0]]
            return a, b, c, d, e, f

        self.same(program, between)

    def test_masks_and_fancy_writes(self, between: Callable[[], None]) -> None:
        def program(np: Any, pause: Callable[[], None]) -> Any:
            x = np.arange(12.0).reshape(3, 4)
            x[x > 5] = 0
            pause()
            x[[0, 2], 1] = [7.0, 8.0]
            x[x == 0] += 1
            x[:, np.array([True, False, True, False])] *= 3
            i = np.arange(5)
            i[i > 2] = 2.7
            return x, i

        self.same(program, between)

    def test_swap_idioms(self, between: Callable[[], None]) -> None:
        def program(np: Any, pause: Callable[[], None]) -> Any:
            a = np.arange(4.0)
            t = a[0]
            pause()
            a[0] = a[3]
            a[3] = t
            a[1], a[2] = a[2], a[1]
            return (a,)

        self.same(program, between)

    def test_scalars_are_immutable(self, between: Callable[[], None]) -> None:
        def program(np: Any, pause: Callable[[], None]) -> Any:
            loss = np.arange(4.0).sum()
            best = loss
            pause()
            loss += 5.0
            x = np.arange(3.0)
            first = x[0]
            x[0] = 9.0
            pause()
            return best, loss, first, x

        self.same(program, between)

    def test_in_place_methods(self, between: Callable[[], None]) -> None:
        def program(np: Any, pause: Callable[[], None]) -> Any:
            x = np.array([[3.0, 1.0, 2.0], [6.0, 5.0, 4.0]])
            row = x[1]
            row.sort()
            pause()
            x.sort(axis=0)
            y = np.arange(6.0)
            y.fill(2)
            y.put([0, 3], [8.0, 9.0])
            y.itemset(1, 4.0)
            z = np.arange(6.0).reshape(2, 3)
            z.T.flat[1] = -1.0
            z.flat = [1, 2]
            w = np.arange(4)
            w.resize(6)
            w.partition(2)
            pause()
            v = np.arange(6)
            v.shape = (2, 3)
            c = np.array([1 + 2j, 3 + 4j])
            c.real = [7, 8]
            c.imag = 5
            return x, row, y, z, w, v, c

        self.same(program, between)

    def test_functions_that_write(self, between: Callable[[], None]) -> None:
        def program(np: Any, pause: Callable[[], None]) -> Any:
            x = np.zeros((3, 3))
            view = x[:2]
            np.copyto(view, [1.0, 2.0, 3.0])
            pause()
            np.fill_diagonal(x, 7)
            np.put(x, [1, 5], [40, 50])
            np.place(x, x > 30, [-1.0, -2.0])
            np.putmask(view, view < 0, 0)
            pause()
            np.add.at(x, ([0, 0], [1, 1]), 5)
            np.put_along_axis(x, np.array([[2], [1], [0]]), 11.0, axis=1)
            np.copyto(x, 100.0, where=x == 11)
            np.exp(x[2], out=x[2])
            np.cumsum(x, axis=0, out=x)
            y = np.zeros(3)
            np.dot(x, [1.0, 1.0, 1.0], out=y)
            return x, view, y

        self.same(program, between)


def test_captured_numpy_arrays_are_copied() -> None:
    theirs = numpy.ones(3)
    ours, total = mnp.array(theirs), mnp.zeros(3) + theirs
    theirs[:] = 5
    assert ours.tolist() == total.tolist() == [1.0, 1.0, 1.0]
    assert mnp.asarray(theirs) is not theirs


def test_results_own_their_memory() -> None:
    held = []
    x = mnp.arange(4.0)
    for k in range(5):
        held.append((x * k + 1).asnumpy())
    y = [mnp.sin(x) + k for k in range(4)]
    flush()
    numpy.testing.assert_allclose(y[1].asnumpy(), numpy.sin(numpy.arange(4.0)) + 1)
    for k, value in enumerate(held):
        numpy.testing.assert_array_equal(value, numpy.arange(4.0) * k + 1)
    mine = x.asnumpy()
    mine[:] = 100
    assert x.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_read_only_views() -> None:
    x = mnp.arange(4.0)
    for view in (mnp.broadcast_to(x, (3, 4)), mnp.diagonal(mnp.ones((3, 3)))):
        assert not view.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 1.0


# -- scalars ---------------------------------------------------------------------------------------------------------------------------
def test_scalars_are_numbers() -> None:
    s = mnp.arange(4.0).sum()
    assert type(s) is Scalar and hash(s) == hash(6.0) and {6.0: "six"}[s] == "six"
    assert json.dumps(float(s)) == "6.0" and math.sqrt(s + 3) == 3.0 and f"{s:.2f}" == "6.00"
    assert repr(s) == "6.0" and str(s) == "6.0" and int(s) == 6 and complex(s) == 6 + 0j
    assert [10, 20, 30][mnp.argmax(mnp.array([1, 5, 2]))] == 20
    assert list(range(mnp.array([2, 3])[0])) == [0, 1]
    assert isinstance(s, (numpy.floating, float)) and s.is_integer() and round(s) == 6
    assert not hasattr(Scalar, "__setitem__") and copy.copy(s) is s
    with pytest.raises(TypeError):
        s[0] = 1  # type: ignore[index]


def test_zero_dimensional_arrays_are_arrays() -> None:
    z = mnp.array(1.5)
    assert type(z) is Array and type(z + 1) is Scalar and type(z[()]) is Scalar and type(z[...]) is Array
    z[...] = 4
    z += 1
    assert float(z) == 5.0
    with pytest.raises(TypeError, match="unhashable"):
        hash(z)


# -- observers -------------------------------------------------------------------------------------------------------------------------
OBSERVERS: dict[str, Callable[[Any, Any], Any]] = {
    "print": lambda x, s: print(x, file=io.StringIO()),
    "repr": lambda x, s: repr(x),
    "str": lambda x, s: str(x),
    "format": lambda x, s: f"{s:.3f}",
    "bool": lambda x, s: bool(s),
    "if": lambda x, s: 1 if s > 0 else 0,
    "and": lambda x, s: s and 1,
    "not": lambda x, s: not s,
    "assert": lambda x, s: operator.truth(s),
    "int": lambda x, s: int(s),
    "float": lambda x, s: float(s),
    "complex": lambda x, s: complex(s),
    "index": lambda x, s: operator.index(s.astype(int)),
    "in": lambda x, s: 3.0 in x,
    "asnumpy": lambda x, s: x.asnumpy(),
    "item": lambda x, s: x.item(0),
    "tolist": lambda x, s: x.tolist(),
    "tobytes": lambda x, s: x.tobytes(),
    "__array__": lambda x, s: numpy.asarray(x),
    "__array_interface__": lambda x, s: x.__array_interface__,
    "dlpack": lambda x, s: numpy.from_dlpack(x),
    "pickle": lambda x, s: pickle.dumps(x),
    "save": lambda x, s: mnp.save(io.BytesIO(), x),
    "sorted": lambda x, s: sorted(x),
    "mask": lambda x, s: x[x > 1],
    "nonzero": lambda x, s: mnp.nonzero(x),
    "unique": lambda x, s: mnp.unique(x),
    "fallback": lambda x, s: mnp.histogram(x),
    "hash": lambda x, s: hash(s),
    "wait": lambda x, s: x.wait_to_read(),
}
NOT_OBSERVERS: dict[str, Callable[[Any, Any], Any]] = {
    "copy": lambda x, s: x.copy(),
    "copy.copy": lambda x, s: copy.copy(x),
    "deepcopy": lambda x, s: copy.deepcopy(x),
    "facts": lambda x, s: (x.shape, x.ndim, x.dtype, x.size, len(x), x.strides, x.flags.c_contiguous, x.nbytes, x.T.shape),
    "rows": lambda x, s: list(x),
    "indexing": lambda x, s: (x[0], x[1:], x[::-1], x[mnp.array([0, 1])], x[..., None]),
    "comparison": lambda x, s: (x > 1, x == 2, x != s),
    "views": lambda x, s: (x.reshape(2, 2), x.T, x.ravel(), x.real),
    "writing": lambda x, s: operator.setitem(x, 0, 5.0),
    "mask write": lambda x, s: operator.setitem(x, x > 1, 5.0),
    "in place": lambda x, s: operator.iadd(x, 1),
    "reductions": lambda x, s: (x.sum(), x.mean(), x.std(), x.max(), mnp.argmax(x), mnp.linalg.norm(x)),
    "joining": lambda x, s: mnp.concatenate([x, mnp.stack([s, s])]),
    "nested": lambda x, s: mnp.array([s, s * 2]),
    "queries": lambda x, s: (mnp.result_type(x, s), mnp.can_cast(x, "f4"), mnp.shares_memory(x, x[1:]), mnp.ndim(x), mnp.iscomplexobj(x)),
    "isinstance": lambda x, s: (isinstance(x, mnp.ndarray), isinstance(s, float)),
    "sort": lambda x, s: (mnp.sort(x), mnp.argsort(x), mnp.cumsum(x)),
    "astype": lambda x, s: (x.astype("f4"), mnp.where(x > 1, x, 0), mnp.clip(x, 0, 1)),
}


def pending() -> tuple[Any, Any]:
    x = mnp.arange(4.0) + 1.0
    return x, x.sum() * 1.0


@pytest.mark.parametrize("name", OBSERVERS)
def test_observers_flush(name: str) -> None:
    x, s = pending()
    before = flushes()
    OBSERVERS[name](x, s)
    assert flushes() > before


@pytest.mark.parametrize("name", NOT_OBSERVERS)
def test_the_others_do_not(name: str) -> None:
    x, s = pending()
    before = flushes()
    kept = NOT_OBSERVERS[name](x, s)
    assert flushes() == before, f"{stats.log[-1]}"
    del kept


def test_lazy_repr_does_not_run() -> None:
    x, s = pending()
    before = flushes()
    with config.override(repr_mode="lazy"):
        assert repr(x).startswith("<lazy float64[4], ") and "steps pending, made at " in repr(s)
    assert flushes() == before


def test_a_value_is_computed_once() -> None:
    x, s = pending()
    float(s)
    before = flushes()
    float(s), x.tolist(), repr(x)
    assert flushes() == before


# -- mixing ------------------------------------------------------------------------------------------------------------------------------
def test_numpy_functions_give_our_arrays() -> None:
    x, theirs = mnp.arange(3.0), numpy.ones(3)
    assert type(numpy.sin(x)) is Array and type(numpy.sum(x)) is Scalar
    assert numpy.concatenate([x, theirs]).tolist() == [0.0, 1.0, 2.0, 1.0, 1.0, 1.0]
    assert type(theirs + x) is Array and type(theirs @ x) is Scalar and type(theirs[0] * x) is Array
    assert type(numpy.add.reduce(x)) is Scalar and type(numpy.linalg.norm(x)) is Scalar
    assert type(numpy.fft.fft(x)) is Array and type(numpy.median(x)) is Scalar
    assert (theirs == x).tolist() == [False, True, False]


def test_numpy_arrays_written_by_our_results() -> None:
    theirs = alias = numpy.ones(3)
    theirs += mnp.arange(3.0)
    assert theirs is alias and type(theirs) is numpy.ndarray and theirs.tolist() == [1.0, 2.0, 3.0]
    out = numpy.zeros(3)
    assert mnp.sin(mnp.arange(3.0), out=out) is out and out[1] == math.sin(1)
    theirs[1:] = mnp.array([7.0, 8.0])
    assert theirs.tolist() == [1.0, 7.0, 8.0]
    with pytest.raises(TypeError, match="same_kind"):
        integers = numpy.ones(3, int)
        integers += mnp.arange(3.0)


def test_other_array_classes_have_their_say() -> None:
    class Theirs:
        __array_ufunc__ = None

        def __radd__(self, other: Any) -> str:
            return "radd"

        def __add__(self, other: Any) -> str:
            return "add"

    assert mnp.ones(2) + Theirs() == "radd" and Theirs() + mnp.ones(2) == "add"
    assert (mnp.ones(2) == None).tolist() == [False, False]  # noqa: E711
    with pytest.raises(TypeError):
        mnp.ones(2) + None  # type: ignore[operator]


def test_scipy_functions_come_back_as_ours() -> None:
    special = pytest.importorskip("scipy.special")
    result = special.gammaln(mnp.arange(1.0, 4.0))
    assert type(result) is Array
    numpy.testing.assert_allclose(result.asnumpy(), special.gammaln(numpy.arange(1.0, 4.0)))


def test_pickles_keep_value_kind_and_layout() -> None:
    x = mnp.arange(6.0).reshape(2, 3)
    for value in (x, x.T, x.sum(), mnp.array(2)):
        back = pickle.loads(pickle.dumps(value))
        assert type(back) is type(value) and back.dtype == value.dtype and back.strides == value.strides
        numpy.testing.assert_array_equal(back.asnumpy(), value.asnumpy())


def test_default_dtype() -> None:
    from minpy_jit.numpy.convert import set_default_dtype

    set_default_dtype("float32")
    try:
        for made in (mnp.zeros(2), mnp.ones(2), mnp.array([1.0]), mnp.full(2, 1.5), mnp.linspace(0, 1, 3), mnp.eye(2), mnp.arange(1.0)):
            assert made.dtype == numpy.float32
        assert mnp.array([1]).dtype == numpy.int64 and mnp.zeros(2, dtype=float).dtype == numpy.float64
        assert mnp.array(numpy.ones(2)).dtype == numpy.float64 and mnp.random.rand(2).dtype == numpy.float32
    finally:
        set_default_dtype(None)


def test_where_takes_python_numbers_weakly() -> None:
    # NEP 50, as NumPy 2; NumPy 1.26's own `where` makes float64 of it in every promotion state
    assert mnp.where([True, False], mnp.ones(2, dtype="f4"), 0.0).dtype == numpy.float32
