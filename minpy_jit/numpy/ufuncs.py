"""`Ufunc`: NumPy's universal functions as callables that record, with the attributes and methods that NumPy's have."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..trace.handle import Handle
from ..trace.op import TABLE, Op
from ..trace.ops import index_spec
from ..trace.recorder import observe
from ..trace.replay import Recording
from . import fallback, indexing
from .convert import NUMBERS, array_of, as_handle, follows, operand
from .output import deliver, out_array, result_layout
from .views import assign, cast_for_write, check_writeable

_NO_VALUE: Any = np._NoValue  # type: ignore[attr-defined]
# ufunc -> the function that its `reduce` is, with the options that this one takes
REDUCE = {
    "add": ("sum", {"dtype", "initial", "where"}),
    "multiply": ("prod", {"dtype", "initial", "where"}),
    "maximum": ("max", {"initial", "where"}),
    "minimum": ("min", {"initial", "where"}),
    "logical_and": ("all", {"where"}),
    "logical_or": ("any", {"where"}),
}
# ufunc -> the function that its `accumulate` is
ACCUMULATE = {"add": "cumsum", "multiply": "cumprod"}


class UfuncType(type):
    """Makes `isinstance(f, np.ufunc)` hold for NumPy's own ufuncs (SciPy's too)."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return type.__instancecheck__(cls, instance) or isinstance(instance, np.ufunc)


class Ufunc(Recording, metaclass=UfuncType):
    """A universal function: element-wise with broadcasting. The usual call of those with one result is the recorder's (`Recording`).

    Attributes:
        nin, nout, nargs, ntypes, types, identity, signature: NumPy's.
        numpy: the NumPy ufunc.
    """

    def __init__(self, ufunc: Any, op: Op | None, name: str | None = None) -> None:
        self.numpy, self.op = ufunc, op
        self.arity = ufunc.nin if op is not None and ufunc.nout == 1 and ufunc.nin <= 2 and ufunc.signature is None else 0
        self.__name__ = self.__qualname__ = name or ufunc.__name__
        self.__doc__ = ufunc.__doc__
        self.namespace: dict[str, Any] = {}

    # -- calls ---------------------------------------------------------------------------------------------------------------------
    @follows
    def general(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Any call: every kind of operand, every keyword."""
        ufunc = self.numpy
        nin = ufunc.nin
        if not nin <= len(args) <= ufunc.nargs:
            raise TypeError(
                f"{self.__name__}() takes from {nin} to {ufunc.nargs} positional arguments but {len(args)} were given"
                if ufunc.nargs != nin
                else f"{self.__name__}() takes {nin} positional arguments but {len(args)} were given"
            )
        out = kwargs.pop("out", None)
        if len(args) > nin:
            if out is not None:
                raise TypeError("cannot specify 'out' as both a positional and keyword argument")
            out = args[nin:] + (None,) * (ufunc.nargs - len(args))
        elif out is not None and not isinstance(out, tuple):
            if ufunc.nout > 1:
                raise TypeError("'out' must be a tuple of arrays")
            out = (out,)
        if out is not None:
            if len(out) != ufunc.nout:
                raise ValueError("The 'out' tuple must have exactly one entry per ufunc output")
            if all(o is None for o in out):
                out = None
        given = args[:nin]
        if self.op is None or any(_is_foreign(a) for a in given):
            return self._host(given, out, kwargs)
        operands = [operand(a) for a in given]
        if any(isinstance(o, Handle) and o.type.host for o in operands):
            return self._host(given, out, kwargs)
        if all(type(o) in NUMBERS for o in operands):
            operands = [as_handle(o) for o in operands] if nin == 1 else [as_handle(operands[0]), *operands[1:]]
        if not kwargs and out is None:
            return self.op(*operands)
        if ufunc.signature is not None and "where" in kwargs:
            raise TypeError(f"{self.__name__}() got an unexpected keyword argument 'where'")
        return self._with_options(operands, given, out, **kwargs)

    def _with_options(
        self,
        operands: list[Any],
        given: tuple[Any, ...],
        out: Any,
        where: Any = True,
        casting: str = "same_kind",
        order: Any = "K",
        dtype: Any = None,
        subok: bool = True,
        signature: Any = None,
        sig: Any = None,
        extobj: Any = None,
        **gufunc: Any,
    ) -> Any:
        op = self.op
        assert op is not None
        for target in out or ():
            # of several faults NumPy reports these
            if isinstance(out_array(target), Handle):
                check_writeable(target, "output array is read-only")
        if signature is not None or sig is not None or gufunc or extobj is not None or order not in ("K", "A", "C"):
            kwargs = {k: v for k, v in (("signature", signature), ("sig", sig), ("extobj", extobj)) if v is not None}
            return self._host(
                given,
                out,
                {"where": where, "casting": casting, "order": order, "dtype": dtype, **kwargs, **gufunc},
                default_where=where is True,
            )
        if out is not None and None in [None if o is None else 0 for o in out]:
            # all operands together, `out` among them, say which shape and layout the results have that NumPy makes
            return self._host(given, out, {"where": where, "casting": casting, "order": order, "dtype": dtype}, default_where=where is True)
        if where is not True and op.scalar_error is not None:
            # NumPy checks the values that the mask chooses
            return self._host(given, out, {"where": where, "casting": casting, "dtype": dtype})
        if dtype is not None:
            cast = self._in_loop(operands, np.dtype(dtype), casting)
            if cast is None:
                return self._host(given, out, {"where": where, "casting": casting, "dtype": dtype}, default_where=where is True)
            operands = cast
        elif casting != "same_kind":
            self._check_casting(operands, casting)
        results = op(*operands)
        results = results if isinstance(results, tuple) else (results,)
        if order == "C":
            results = tuple([result_layout(r, "C") for r in results])
        if out is None:
            out = (None,) * len(results)
        if where is not True:
            mask = as_handle(where)
            if mask.type.dtype != np.bool_:
                raise TypeError(f"Cannot cast array data from {mask.type.dtype!r} to dtype('bool') according to the rule 'safe'")
            results = tuple([_masked(mask, r, o, self.__name__) for r, o in zip(results, out, strict=True)])
        if self.numpy.signature is not None:
            self._check_core_shape(operands, results[0], out[0], casting)
        final = tuple([deliver(r, o, self.__name__, casting) for r, o in zip(results, out, strict=True)])
        return final if self.numpy.nout > 1 else final[0]

    def _check_core_shape(self, operands: list[Any], result: Any, out: Any, casting: str) -> None:
        """Refuse an `out` whose core dimensions (of `matmul`: rows and columns) are not the result's; only the others are broadcast."""
        found = out_array(out)
        if found is None or not np.can_cast(result.type.dtype, found.dtype, casting):  # type: ignore[arg-type]
            # (the cast is refused where the result is delivered)
            return
        shape = found.shape
        core = sum(o.type.ndim > 1 for o in operands)
        if len(shape) < core or shape[len(shape) - core :] != result.type.shape[result.type.ndim - core :]:
            raise ValueError(
                f"[{self.__name__}] output operand has shape {shape}; its last {core} dimensions must be those of {result.type.shape}"
            )

    def _in_loop(self, operands: list[Any], dtype: np.dtype, casting: str) -> list[Any] | None:
        """Operands in the dtypes of the loop that `dtype=` asks for; None where the op's own rule would choose another loop."""
        ufunc, op = self.numpy, self.op
        assert op is not None
        types = _weak_types(operands)
        loop = ufunc.resolve_dtypes(
            (*types, *([None] * ufunc.nout)), signature=(None,) * ufunc.nin + (dtype,) * ufunc.nout, casting=casting
        )
        cast = [
            TABLE["astype"](o if isinstance(o, Handle) else as_handle(o), dtype=d) if not isinstance(o, Handle) or o.type.dtype != d else o
            for o, d in zip(operands, loop, strict=False)
        ]
        natural = ufunc.resolve_dtypes((*loop[: ufunc.nin], *([None] * ufunc.nout)))
        return cast if natural == loop else None

    def _check_casting(self, operands: list[Any], casting: str) -> None:
        types = _weak_types(operands)
        self.numpy.resolve_dtypes((*types, *([None] * self.numpy.nout)), casting=casting)

    def _host(self, given: tuple[Any, ...], out: Any, kwargs: dict[str, Any], default_where: bool = False) -> Any:
        """In NumPy: dtypes that only NumPy has loops for, foreign array classes, rare options."""
        options = {k: v for k, v in kwargs.items() if not (v is None or (k == "where" and default_where))}
        if out is not None:
            options["out"] = out if len(out) > 1 else out[0]
        return fallback.call(self.numpy, _strong(self.numpy, given), options, self.__name__)

    # -- methods -------------------------------------------------------------------------------------------------------------------
    @follows
    def reduce(
        self,
        array: Any,
        axis: Any = 0,
        dtype: Any = None,
        out: Any = None,
        keepdims: bool = False,
        initial: Any = _NO_VALUE,
        where: Any = True,
    ) -> Any:
        """Reduce `array` along `axis` by applying the ufunc."""
        name, taken = REDUCE.get(self.__name__, ("", set()))
        options: dict[str, Any] = {} if initial is _NO_VALUE else {"initial": initial}
        if where is not True:
            options["where"] = where
        if dtype is not None:
            options["dtype"] = dtype
        out = _only(out)
        native = self.namespace.get(name)
        if native is None or initial is None or not taken.issuperset(options) or _host_kind(array):
            return self._in_numpy("reduce", (array,), {"axis": axis, "keepdims": keepdims, **options}, out)
        if not isinstance(array, Handle):
            array = array_of(array)
        if array.type.ndim == 0 and axis == 0:
            axis = None
        return native(array, axis=axis, out=out, keepdims=keepdims, **options)

    @follows
    def accumulate(self, array: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        """Accumulate the result of applying the ufunc to all elements along `axis`."""
        native = self.namespace.get(ACCUMULATE.get(self.__name__, ""))
        out = _only(out)
        if native is None or _host_kind(array):
            return self._in_numpy("accumulate", (array,), {"axis": axis, "dtype": dtype}, out)
        if as_handle(array).type.ndim == 0:
            if axis not in (0, -1):
                raise np.AxisError(axis, 0)
            raise TypeError("cannot accumulate on a scalar")
        return native(array, axis=axis, dtype=dtype, out=out)

    def reduceat(self, array: Any, indices: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        """Reduce slices of `array` that start at `indices`."""
        return self._in_numpy("reduceat", (array, indices), {"axis": axis, "dtype": dtype}, _only(out))

    def _in_numpy(self, method: str, args: tuple[Any, ...], options: dict[str, Any], out: Any) -> Any:
        """A method of the ufunc, in NumPy."""
        if out is not None:
            options["out"] = out
        return fallback.call(getattr(self.numpy, method), args, options, f"{self.__name__}.{method}")

    @follows
    def outer(self, A: Any, B: Any, /, **kwargs: Any) -> Any:
        """Apply the ufunc to all pairs (a, b) with a in A and b in B."""
        left, right = as_handle(A), as_handle(B)
        if self.numpy.nin != 2:
            raise ValueError("outer product only supported for binary functions")
        if right.type.ndim and left.type.ndim:
            left = TABLE["reshape"](left, shape=left.type.shape + (1,) * right.type.ndim)
        return self.general((left, right), kwargs)

    @follows
    def at(self, a: Any, indices: Any, b: Any = None, /) -> None:
        """Unbuffered in-place operation on `a[indices]`: repeated indices count every time."""
        if self.__name__ == "add" and isinstance(a, Handle) and not a.type.scalar and _only_integers(indices):
            value = operand(b)
            if a.type.dtype.kind != "f" and np.result_type(a.type.dtype, *_weak_types([value])) != a.type.dtype:
                # each sum is cast by itself
                fallback.call(self.numpy.at, (a, indices, b), None, "ufunc.at")
                return
            parts = indices if isinstance(indices, tuple) else (indices,)
            structure, found = index_spec.classify_advanced(parts, a.type.ndim)
            found = [i if isinstance(i, Handle) else np.asarray(i) for i in found]
            indexing.check_known(structure, found, a.type.shape)
            arrays = [i if isinstance(i, Handle) else array_of(i) for i in found]
            try:
                assign(a, TABLE["add_at"](a, value, *arrays, structure=structure))
            except ValueError:
                # an index out of range is the first that NumPy finds
                observe(TABLE["getitem_arrays"](a, *arrays, structure=structure), "ufunc.at")
                raise
            return
        operands = () if b is None else (b,)
        fallback.call(self.numpy.at, (a, indices, *operands), None, "ufunc.at")

    def resolve_dtypes(self, *args: Any, **kwargs: Any) -> Any:
        """The dtypes that NumPy would use."""
        return self.numpy.resolve_dtypes(*args, **kwargs)

    # -- facts ---------------------------------------------------------------------------------------------------------------------
    @property
    def nin(self) -> int:
        """Number of inputs."""
        return self.numpy.nin

    @property
    def nout(self) -> int:
        """Number of outputs."""
        return self.numpy.nout

    @property
    def nargs(self) -> int:
        """Number of arguments."""
        return self.numpy.nargs

    @property
    def ntypes(self) -> int:
        """Number of loops."""
        return self.numpy.ntypes

    @property
    def types(self) -> list[str]:
        """Loops as type letters."""
        return self.numpy.types

    @property
    def identity(self) -> Any:
        """The identity value, or None."""
        return self.numpy.identity

    @property
    def signature(self) -> str | None:
        """Core dimensions of a generalised ufunc."""
        return self.numpy.signature

    def __repr__(self) -> str:
        return f"<ufunc '{self.__name__}'>"

    def __reduce__(self) -> Any:
        return _restore, (self.numpy,)


def make_ufunc(ufunc: Any, op: Op | None, name: str | None = None) -> Ufunc:
    """The Ufunc of a NumPy ufunc that records `op` (None: always in NumPy)."""
    made = Ufunc(ufunc, op, name)
    _made.setdefault(ufunc, made)
    return made


_made: dict[np.ufunc, Ufunc] = {}


def foreign_ufunc(ufunc: np.ufunc) -> Ufunc:
    """The Ufunc of any NumPy ufunc: ours, or one that runs in NumPy."""
    return _made.get(ufunc) or Ufunc(ufunc, None)


def known_ufunc(ufunc: np.ufunc) -> Ufunc | None:
    """The Ufunc of our namespace for a NumPy ufunc, if there is one."""
    return _made.get(ufunc)


def _weak_types(operands: list[Any]) -> list[Any]:
    """Operands as `resolve_dtypes` takes them: dtypes, or the Python type of a weak number (bool is strong in NumPy)."""
    return [o.type.dtype if isinstance(o, Handle) else np.dtype(bool) if type(o) is bool else type(o) for o in operands]


def _restore(ufunc: np.ufunc) -> Ufunc:
    return foreign_ufunc(ufunc)


def _is_foreign(value: Any) -> bool:
    """Whether another array class wants to handle the ufunc itself."""
    kind = type(value)
    return (
        kind not in NUMBERS
        and not isinstance(value, (Handle, np.generic))
        and kind is not np.ndarray
        and kind is not list
        and getattr(kind, "__array_ufunc__", None) not in (None, np.ndarray.__array_ufunc__)
    )


def _only_integers(indices: Any) -> bool:
    """Whether an index holds integer arrays (and slices) only, one array at least."""
    parts = indices if isinstance(indices, tuple) else (indices,)
    arrays = [p for p in parts if not isinstance(p, slice)]
    return any(np.ndim(p) for p in arrays) and all(
        (p.type.dtype if isinstance(p, Handle) else np.asarray(p).dtype).kind in "iu" for p in arrays if p is not None and p is not Ellipsis
    )


def _host_kind(value: Any) -> bool:
    return isinstance(value, Handle) and value.type.host


def _masked(mask: Any, result: Any, out: Any, name: str) -> Any:
    """`result` where the mask holds, what was in `out` elsewhere (zeros where NumPy leaves memory unset)."""
    if out is None:
        return TABLE["where"](mask, result, TABLE["zeros"](shape=(), dtype=result.type.dtype, context=result.type.context))
    target = as_handle(out)
    return TABLE["where"](mask, cast_for_write(_widened(result, target), target, name), target)


def _widened(result: Any, target: Any) -> Any:
    return result if result.type.shape == target.type.shape else TABLE["broadcast_to"](result, shape=target.type.shape)


def _only(out: Any) -> Any:
    """`out=` of a function with one result: the array, or the only element of a tuple."""
    if not isinstance(out, tuple):
        return out
    if len(out) != 1:
        raise ValueError("The 'out' tuple must have exactly one entry")
    return out[0]


def _strong(ufunc: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Python numbers in the dtypes that NEP 50 gives them, so that NumPy's own promotion state does not matter."""
    if not any(type(a) in NUMBERS for a in given) or not any(isinstance(a, (Handle, np.ndarray, np.generic)) for a in given):
        return given
    types = [
        np.dtype(bool) if type(a) is bool else type(a) if type(a) in NUMBERS else a.dtype if hasattr(a, "dtype") else np.asarray(a).dtype
        for a in given
    ]
    try:
        loop = ufunc.resolve_dtypes((*types, *([None] * ufunc.nout)))
    except TypeError:
        return given
    return tuple([np.asarray(a, d) if type(a) in NUMBERS and d is not None else a for a, d in zip(given, loop, strict=False)])
