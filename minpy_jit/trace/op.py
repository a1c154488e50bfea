"""One op, one entry: `Op` holds every fact about an operation; `Ref` is how rules are written over operations.

Nothing here runs anything. Facts are used by the recorder (type rule), the optimiser, the lowering (`mxnet`), the NumPy reference
(`numpy`), the pullback (`vjp`), the namespace, the coverage page and the tests (`samples`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from .types import ArrayType

Params = tuple[Any, ...]
Types = tuple[ArrayType, ...]


class _Declared:
    """A declared absence, which differs from a rule that nobody wrote."""

    __slots__ = ("meaning", "name")

    def __init__(self, name: str, meaning: str) -> None:
        self.name, self.meaning = name, meaning

    def __repr__(self) -> str:
        return self.name


NO_GRADIENT = _Declared("NO_GRADIENT", "the derivative is not defined here: asking for it is an error")
ZERO_GRADIENT = _Declared("ZERO_GRADIENT", "the result is constant almost everywhere: the derivative is zero")


# stands for None in a step's params: to NumPy `dtype("float64") == None` holds, so that `sum(x)` and `sum(x, dtype="float64")` would
# be one step
ABSENT = _Declared("None", "a parameter that is None")


class Lowerer(Protocol):
    """What a lowering may use to emit MXNet nodes (see exec/lower.py)."""

    def node(self, mxnet_op: str, inputs: list[Any], attrs: Mapping[str, Any] | None = None, after: Sequence[Any] = ()) -> Any: ...

    def output(self, entry: Any, k: int) -> Any: ...

    def shared(self, mxnet_op: str, inputs: list[Any], attrs: Mapping[str, Any]) -> Any: ...

    def find(self, mxnet_op: str, inputs: list[Any], attrs: Mapping[str, Any]) -> Any | None: ...

    def cast(self, entry: Any, dtype: np.dtype) -> Any: ...

    def truth(self, entry: Any) -> Any: ...

    def constant(self, value: np.ndarray) -> Any: ...

    def guard(self, entry: Any, message: str) -> None: ...


# (lowerer, operand entries, operand types, result type, params by name) -> entry, or a list of entries for several outputs
Lowering = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """Inputs on which the tests drive an op: `shapes` (or arrays), the params, and the domain that random values come from.

    `order` is the highest derivative that the rules give here; asking for the next is an error.
    """

    shapes: tuple[Any, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    low: float = -2.0
    high: float = 2.0
    dtypes: tuple[str, ...] | None = None
    differentiable: bool = True
    order: int = 2


class Op:
    """An entry of the table. Identity is equality.

    Attributes:
        name: unique; NumPy's name where NumPy has one.
        family: "elementwise", "reduction", "shape", "index", "linalg", "neural", "creation", "sort", "cast", "meta", "head" (whose rules
            give the gradient of a loss, not that of the result).
        arity: number of operands, or None for any number.
        params: names of the parameters, in the order in which a step's `params` tuple holds them.
        defaults: values of parameters that a caller may leave out.
        infer: type rule, `infer(*operand types, **params)` -> ArrayType (a tuple of them where `outputs > 1`); raises NumPy's exception
            types.
        numpy: NumPy meaning, `numpy(*arrays, **params)`; operands arrive cast to `operand_dtypes`.
        operand_dtypes: `(operand types, params by name)` -> the dtypes in which the operands take part (None: as they are).
        outputs: number of results; a step of an op with several is followed by `project` steps.
        mxnet: lowering to MXNet nodes, or None where MXNet has no right operator.
        mxnet_dtypes: the dtypes (after `operand_dtypes`) that the lowering may take.
        kernel: the expression for fused native regions (filled by the region compiler's issue), else None.
        vjp: one rule per operand, in order, each `rule(g, ans, *operands, **params)` -> Ref or None for no contribution; or, for a variadic
            op, one function `rule(g, ans, operands, index, **params)`; or NO_GRADIENT / ZERO_GRADIENT (also in place of a single rule).
        scalar_range: `(operand types, params by name)` -> (lowest, highest) legal value of a Python integer operand, or None for any.
        scalar_error: `(value, highest)` -> the exception for a value outside it (default: NumPy's OverflowError).
        inplace: index of an operand that the NumPy meaning may overwrite when it is told `out=` and nobody else holds that value.
        fill: for an op of no operand, the one value that all elements of its result have; True for an op whose result holds only its first
            operand's elements; else None.
        raises: whether running it can raise because of values (IndexError, LinAlgError ...).
        view: whether NumPy may return a view (the type rule's strides tell which).
        work: `(operand types, params by name)` -> the multiplications that one call takes, where it is more than one per element.
        blocked: whether MXNet's operator, for float32 images, reads and leaves oneDNN's own memory order, or works in place on what does.
            What comes between two such operators is quickest as such an operator: anything else would copy into C order and back.
        ulp: how many units in the last place MXNet's result may differ from NumPy's; None: the family's default (exact, for most).
        put: for a view: `put(x, new, *scalar operands, **params)` -> x with what the view shows replaced by `new`; how a write through a
            view reaches its base. None: the view cannot be written through.
        merge: for a view: `merge(scalar operands, params, scalar operands, params)` -> scalar operands and params of one such view that
            shows what two in a row do, or None.
        samples: inputs for the driven tests.
        doc: one line for the generated pages.
    """

    __slots__ = (
        "arity",
        "blocked",
        "defaults",
        "doc",
        "family",
        "fill",
        "infer",
        "inplace",
        "kernel",
        "merge",
        "mxnet",
        "mxnet_dtypes",
        "name",
        "numpy",
        "operand_dtypes",
        "outputs",
        "params",
        "put",
        "raises",
        "samples",
        "scalar_error",
        "scalar_range",
        "ulp",
        "view",
        "vjp",
        "work",
    )

    def __init__(
        self,
        name: str,
        *,
        family: str,
        arity: int | None,
        infer: Callable[..., Any],
        numpy: Callable[..., Any],
        vjp: Any,
        params: tuple[str, ...] = (),
        defaults: Mapping[str, Any] | None = None,
        operand_dtypes: Callable[[Types, dict[str, Any]], tuple[np.dtype | None, ...]] | None = None,
        outputs: int = 1,
        mxnet: Lowering | None = None,
        mxnet_dtypes: frozenset[np.dtype] = frozenset(),
        kernel: Any = None,
        scalar_range: Callable[[Types, dict[str, Any]], tuple[int, int] | None] | None = None,
        scalar_error: Callable[[int, int], Exception] | None = None,
        fill: Any = None,
        inplace: int | None = None,
        raises: bool = False,
        view: bool = False,
        put: Callable[..., Any] | None = None,
        merge: Callable[[Params, Params, Params, Params], tuple[Params, Params] | None] | None = None,
        work: Callable[[Types, dict[str, Any]], int] | None = None,
        blocked: bool = False,
        ulp: int | None = None,
        samples: tuple[Sample, ...] = (),
        doc: str = "",
    ) -> None:
        self.name, self.family, self.arity = name, family, arity
        self.infer, self.numpy, self.vjp = infer, numpy, vjp
        self.params, self.defaults = params, dict(defaults or {})
        self.operand_dtypes = operand_dtypes
        self.outputs, self.mxnet, self.mxnet_dtypes, self.kernel = outputs, mxnet, mxnet_dtypes, kernel
        self.fill = fill
        self.scalar_range, self.scalar_error = scalar_range, scalar_error
        self.inplace, self.raises, self.view, self.put, self.merge = inplace, raises, view, put, merge
        self.work, self.blocked, self.ulp, self.samples, self.doc = work, blocked, ulp, samples, doc

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __reduce__(self) -> tuple:
        return lookup, (self.name,)

    def bind(self, given: Mapping[str, Any]) -> Params:
        """The `params` tuple of a step from keyword arguments."""
        names = self.params
        if not names:
            return ()
        defaults = self.defaults
        values = [given[n] if n in given else defaults[n] for n in names]
        # by identity: to NumPy a float64 dtype equals None
        return tuple([ABSENT if v is None else v for v in values])

    def named(self, params: Params) -> dict[str, Any]:
        """A step's `params` by name."""
        return {n: None if v is ABSENT else v for n, v in zip(self.params, params, strict=True)}

    def __call__(self, *operands: Any, **params: Any) -> Any:
        """Emit this op: into the builder of a `Ref` operand, or, on handles, into the recorder's segment."""
        values = self.bind(params) if params or self.params else ()
        for operand in operands:
            if type(operand) is Ref:
                return operand.builder.emit(self, operands, values)
        return _record(self, operands, values)


_record: Callable[[Op, tuple[Any, ...], Params], Any]


def set_recorder(record: Callable[[Op, tuple[Any, ...], Params], Any]) -> None:
    """Told by the recorder where calls on handles go."""
    global _record
    _record = record


class OpTable(Mapping[str, Op]):
    """All ops by name. `add` refuses a second entry of a name."""

    def __init__(self) -> None:
        self._ops: dict[str, Op] = {}

    def add(self, op: Op) -> Op:
        if op.name in self._ops:
            raise ValueError(f"[op table] {op.name} is entered twice")
        self._ops[op.name] = op
        return op

    def __getitem__(self, name: str) -> Op:
        return self._ops[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ops)

    def __len__(self) -> int:
        return len(self._ops)


TABLE = OpTable()


def lookup(name: str) -> Op:
    """The entry of that name."""
    return TABLE[name]


def define(name: str, **fields: Any) -> Op:
    """Add an entry to the table and return it."""
    return TABLE.add(Op(name, **fields))


class Builder(Protocol):
    """Where the steps that a rule emits go."""

    def emit(self, op: Op, operands: tuple[Any, ...], params: Params) -> Any: ...


class Ref:
    """A value in a graph that is being written: what gradient rules and rewrites compute with. Numbers mix in as weak constants."""

    __slots__ = ("builder", "slot", "type")

    def __init__(self, builder: Builder, slot: int, type_: ArrayType) -> None:
        self.builder, self.slot, self.type = builder, slot, type_

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.shape

    @property
    def dtype(self) -> np.dtype:
        return self.type.dtype

    @property
    def ndim(self) -> int:
        return len(self.type.shape)

    @property
    def size(self) -> int:
        return self.type.size

    def __add__(self, other: Any) -> Ref:
        return TABLE["add"](self, other)

    def __radd__(self, other: Any) -> Ref:
        return TABLE["add"](other, self)

    def __sub__(self, other: Any) -> Ref:
        return TABLE["subtract"](self, other)

    def __rsub__(self, other: Any) -> Ref:
        return TABLE["subtract"](other, self)

    def __mul__(self, other: Any) -> Ref:
        return TABLE["multiply"](self, other)

    def __rmul__(self, other: Any) -> Ref:
        return TABLE["multiply"](other, self)

    def __truediv__(self, other: Any) -> Ref:
        return TABLE["divide"](self, other)

    def __rtruediv__(self, other: Any) -> Ref:
        return TABLE["divide"](other, self)

    def __pow__(self, other: Any) -> Ref:
        return TABLE["power"](self, other)

    def __rpow__(self, other: Any) -> Ref:
        return TABLE["power"](other, self)

    def __matmul__(self, other: Any) -> Ref:
        return TABLE["matmul"](self, other)

    def __neg__(self) -> Ref:
        return TABLE["negative"](self)

    def __lt__(self, other: Any) -> Ref:
        return TABLE["less"](self, other)

    def __le__(self, other: Any) -> Ref:
        return TABLE["less_equal"](self, other)

    def __gt__(self, other: Any) -> Ref:
        return TABLE["greater"](self, other)

    def __ge__(self, other: Any) -> Ref:
        return TABLE["greater_equal"](self, other)

    def eq(self, other: Any) -> Ref:
        """Element-wise equality (`==` stays identity: Refs are dictionary keys)."""
        return TABLE["equal"](self, other)

    def __bool__(self) -> bool:
        raise TypeError("a Ref has no value while a graph is written; use where()")
