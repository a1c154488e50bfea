"""Checks that any entry of the op table must pass, each raising AssertionError (naming op, sample and dtype) where it does not.

The oracle is NumPy itself, under NEP 50 promotion (`tests/conftest.py` sees to it): its ufunc of the entry's name where there is one, else
the entry's own NumPy meaning on operands that nobody has cast.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minpy_jit.exec import reference
from minpy_jit.exec.lower import MX_NAMES, is_native
from minpy_jit.exec.run import Plan
from minpy_jit.trace import ops, recorder
from minpy_jit.trace.graph import Graph, GraphBuilder, Node, weak_type
from minpy_jit.trace.op import NO_GRADIENT, TABLE, ZERO_GRADIENT, Op, Ref, Sample
from minpy_jit.trace.step import CONSTANT, INPUT, KINDS, PROJECT, SCALAR, Step
from minpy_jit.trace.types import ArrayType, array_type, type_of

LEAVES = (INPUT, SCALAR, CONSTANT, PROJECT)
FAMILIES = ("elementwise", "reduction", "shape", "index", "linalg", "neural", "creation", "sort", "cast", "meta", "head")
DTYPES = ("bool", "int8", "uint8", "int32", "int64", "float16", "float32", "float64", "complex64")
MXNET_DTYPES = ("bool", "int8", "uint8", "int32", "int64", "float16", "float32", "float64")
NUMBERS = (True, 3, -1, 300, 2.5, 1 + 2j)
# sums in another order: units in the last place of the result's largest element
FAMILY_ULP = {"reduction": 8, "linalg": 8, "neural": 32}
_ERRORS = (IndexError, OverflowError, ValueError, TypeError, ZeroDivisionError, FloatingPointError)


def entries() -> list[Op]:
    """Every entry that a program may contain."""
    assert ops
    return [op for op in TABLE.values() if op not in LEAVES]


def altered(op: Op, **fields: Any) -> Op:
    """A copy of an entry, not in the table, with some facts changed (to show that a check rejects it)."""
    copy = object.__new__(Op)
    for name in Op.__slots__:
        setattr(copy, name, fields.get(name, getattr(op, name)))
    return copy


@contextmanager
def quiet() -> Iterator[None]:
    """NumPy says nothing about overflow, division by zero and discarded imaginary parts."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def legacy_promotion() -> Iterator[None]:
    """NumPy 1.26 as users run it: with value-based promotion."""
    before = np._get_promotion_state()
    np._set_promotion_state("legacy")
    try:
        yield
    finally:
        np._set_promotion_state(before)


# -- inputs -------------------------------------------------------------------------------------------------------------------------------
def random_array(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype, low: float, high: float) -> np.ndarray:
    """Values of a domain, in any dtype."""
    if dtype.kind == "b":
        return np.asarray(rng.random(shape) < 0.5)
    if dtype.kind in "iu":
        first = max(int(np.ceil(low)), 0 if dtype.kind == "u" else int(np.ceil(low)))
        return np.asarray(rng.integers(first, max(int(np.floor(high)), first) + 1, shape)).astype(dtype)
    if dtype.kind in "mM":
        array = np.asarray(rng.integers(0, 1000, shape)).astype(dtype)
        array[...] = np.where(rng.random(shape) < 0.3, np.array("NaT", dtype), array)
        return array
    values = np.asarray(rng.uniform(low, high, shape))
    if dtype.kind == "c":
        return np.asarray(values + 1j * rng.uniform(low, high, shape)).astype(dtype)
    return values.astype(dtype)


def is_number(operand: Any) -> bool:
    """Whether an operand is a Python number, which takes part weakly."""
    return type(operand) in KINDS


def operands_of(sample: Sample, dtypes: Sequence[str] | str, rng: np.random.Generator) -> list[Any]:
    """A sample's operands: arrays and Python numbers as they are given, random arrays for shapes."""
    names = itertools.repeat(dtypes) if isinstance(dtypes, str) else iter(dtypes)
    operands: list[Any] = []
    for item in sample.shapes:
        if isinstance(item, np.ndarray) or is_number(item):
            operands.append(item)
        else:
            operands.append(random_array(rng, tuple(item), np.dtype(next(names)), sample.low, sample.high))
    return operands


def free_operands(sample: Sample) -> int:
    """How many operands of a sample may have any dtype."""
    return sum(isinstance(item, tuple) for item in sample.shapes)


def dtypes_of(sample: Sample, wanted: Sequence[str]) -> tuple[str, ...]:
    """The dtypes that a sample is meant for."""
    if free_operands(sample) == 0:
        return ("given",)
    return tuple(wanted) if sample.dtypes is None else tuple(sample.dtypes)


def _sliced(array: np.ndarray) -> np.ndarray:
    wide = np.empty((*array.shape[:-1], array.shape[-1] * 2), array.dtype)
    view = wide[..., ::2]
    view[...] = array
    return view


def layouts(operands: list[Any]) -> Iterator[list[Any]]:
    """The same operands in other memory orders: Fortran, mixed, sliced, reversed."""
    if not any(isinstance(o, np.ndarray) and o.ndim > 1 for o in operands):
        return

    def every(change: Callable[[np.ndarray], np.ndarray], least: int, among: Sequence[int]) -> list[Any]:
        return [change(o) if i in among and isinstance(o, np.ndarray) and o.ndim >= least else o for i, o in enumerate(operands)]

    all_of = range(len(operands))
    yield every(np.asfortranarray, 2, all_of)
    if len(operands) > 1:
        yield every(np.asfortranarray, 2, [0])
        yield every(np.asfortranarray, 2, all_of[1:])
    yield every(_sliced, 1, all_of)
    yield every(lambda a: np.asfortranarray(a)[::-1], 1, all_of)


def special_values(dtype: np.dtype) -> np.ndarray:
    """NaN, infinities, signed zeros, subnormals, extremes and ties."""
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        values = [0, 1, 2, 3, 7, info.max, info.max - 1, info.max // 2, info.min, info.min + 1]
        return np.array(values + ([-1, -2, -7] if dtype.kind == "i" else []), dtype)
    limits = np.finfo(dtype)
    positive = [0.0, 0.1, 1 / 3, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 7.0, 33.3, 80.0, 700.0, 1e4, 1e-5, np.inf, np.pi]
    positive += [float(v) for v in (limits.max, limits.tiny, limits.smallest_subnormal, limits.eps, 1 + limits.eps)]
    with quiet():
        return np.array([s * v for v in positive for s in (1.0, -1.0)] + [np.nan]).astype(dtype)


def special_operands(op: Op, dtype: np.dtype) -> list[np.ndarray]:
    """Every combination of special values, for an op that takes its operands element by element."""
    values = special_values(dtype)
    assert op.arity is not None
    if op.arity == 3:
        values = values[:: max(1, len(values) // 12)]
        values = np.append(values, special_values(dtype)[-1:])
    return [a.ravel() for a in np.meshgrid(*([values] * op.arity))]


# -- comparison ---------------------------------------------------------------------------------------------------------------------------
def error_class(error: Exception) -> type:
    """The plain exception type behind NumPy's private ones."""
    return next((kind for kind in _ERRORS if isinstance(error, kind)), type(error))


def as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def assert_same_values(got: np.ndarray, expected: np.ndarray, where: str, ulp: int = 0, family: str = "elementwise") -> None:
    """Equal dtype, shape and values: bit for bit (any NaN is as good as another), or within `ulp` units in the last place."""
    assert got.dtype == expected.dtype, f"{where}: dtype {got.dtype}, NumPy has {expected.dtype}"
    assert got.shape == expected.shape, f"{where}: shape {got.shape}, NumPy has {expected.shape}"
    if expected.dtype.kind not in "fc":
        same = (got == expected) | ((got != got) & (expected != expected))
    elif ulp == 0:
        same = (got == expected) & (np.signbit(got.real) == np.signbit(expected.real)) | (np.isnan(got) & np.isnan(expected))
    else:
        with quiet():
            finite = np.abs(np.where(np.isfinite(expected), expected, np.zeros_like(expected)))
            scale = np.max(finite, initial=0) if family in FAMILY_ULP else finite
            allowed = ulp * np.spacing(np.maximum(scale, np.finfo(expected.dtype).tiny).astype(finite.dtype))
            same = (got == expected) | (np.isnan(got) & np.isnan(expected)) | (np.abs(got - expected) <= allowed)
    if not np.all(same):
        at = tuple(int(i[0]) for i in np.nonzero(~np.atleast_1d(same)))
        wrong, right = np.atleast_1d(got)[at], np.atleast_1d(expected)[at]
        raise AssertionError(
            f"{where}: {np.sum(~np.asarray(same))} of {expected.size} values differ; at {at} {wrong!r}, expected {right!r}"
        )


def assert_type_describes(type_: ArrayType, value: Any, where: str, check_strides: bool) -> None:
    """A type rule's answer against what NumPy returned."""
    array = np.asarray(value)
    assert type_.dtype == array.dtype, f"{where}: the type rule says {type_.dtype}, NumPy {array.dtype}"
    assert type_.shape == array.shape, f"{where}: the type rule says shape {type_.shape}, NumPy {array.shape}"
    scalar = not isinstance(value, np.ndarray)
    assert type_.scalar == scalar, f"{where}: NumPy returns {'a scalar' if scalar else 'an array'}, the type rule says {type_}"
    if check_strides and array.size:
        ours = [s for s, n in zip(type_.numpy_strides(), array.shape, strict=True) if n > 1]
        theirs = [s for s, n in zip(array.strides, array.shape, strict=True) if n > 1]
        assert ours == theirs, f"{where}: the type rule says strides {type_.numpy_strides()}, NumPy {array.strides}"


# -- (a) the entry ------------------------------------------------------------------------------------------------------------------------
def check_entry(op: Op) -> None:
    """The entry says all that it must."""
    assert op.family in FAMILIES, f"{op.name}: family {op.family!r} is unknown"
    assert op.doc, f"{op.name}: no doc line"
    assert set(op.defaults) <= set(op.params), f"{op.name}: defaults of unknown parameters"
    assert (op.mxnet is None) == (not op.mxnet_dtypes), f"{op.name}: a lowering and its dtypes come together"
    if op.vjp not in (NO_GRADIENT, ZERO_GRADIENT):
        if op.arity is None:
            assert callable(op.vjp), f"{op.name}: a variadic op has one rule for all operands"
        else:
            assert isinstance(op.vjp, tuple) and len(op.vjp) == op.arity, f"{op.name}: one vjp rule per operand, or a declaration"
            for rule in op.vjp:
                assert callable(rule) or rule in (NO_GRADIENT, ZERO_GRADIENT), f"{op.name}: {rule!r} is no vjp rule"
    assert op.samples, f"{op.name}: no sample"
    usable = 0
    for sample in op.samples:
        assert op.arity is None or len(sample.shapes) == op.arity, f"{op.name}: {sample} has another number of operands"
        assert set(sample.params) | set(op.defaults) == set(op.params), f"{op.name}: {sample} has other parameters"
        for dtype in dtypes_of(sample, DTYPES):
            arrays = operands_of(sample, dtype, np.random.default_rng(0))
            try:
                op.infer(*map(operand_type, arrays), **op.named(op.bind(sample.params)))
            except _ERRORS:
                continue
            usable += all(np.size(a) for a in arrays)
    assert usable, f"{op.name}: no usable sample"


# -- (b), (c) type rule and reference = NumPy ---------------------------------------------------------------------------------------------
def oracle(op: Op) -> Callable[..., Any]:
    """What NumPy calls by this name, if it is a ufunc; else the entry's own NumPy meaning."""
    theirs = getattr(np, op.name, None)
    return theirs if isinstance(theirs, np.ufunc) and theirs.signature is None else op.numpy


def operand_type(value: Any) -> ArrayType:
    """The type of an operand: an array, a NumPy scalar or a Python number."""
    if is_number(value):
        return weak_type(value)
    return type_of(np.asarray(value), scalar=not isinstance(value, np.ndarray))


def record_type(op: Op, types: Sequence[ArrayType], params: tuple[Any, ...], operands: Sequence[Any]) -> Any:
    """What recording does: type rule, and range check of Python integers."""
    result = recorder.infer(op, types, params)
    step = Step(op, (), params, result, None, None)
    recorder.range_check(step, types)
    if step.low is not None:
        recorder.check_numbers(step, operands)
    return result


def check_case(op: Op, operands: Sequence[Any], params: tuple[Any, ...], where: str) -> bool:
    """Type rule, errors and reference of one call against NumPy; returns whether NumPy could do it."""
    types = [operand_type(o) for o in operands]
    named = op.named(params)
    expected: Any = None
    failure: Exception | None = None
    with quiet():
        try:
            expected = oracle(op)(*operands, **named)
        except Exception as error:
            failure = error
        try:
            result = record_type(op, types, params, operands)
        except Exception as error:
            assert failure is not None, f"{where}: recording raises {error!r}, NumPy does not"
            assert error_class(error) is error_class(failure), f"{where}: recording raises {error!r}, NumPy {failure!r}"
            return False
        if failure is not None:
            # elements of object arrays may lack the method that a loop calls
            may_raise = op.raises or any(t.dtype.kind == "O" for t in types)
            assert may_raise, f"{where}: NumPy raises {failure!r}, recording does not, and the entry does not say `raises`"
            try:
                reference.evaluate(op, types, params, list(operands), result)
            except Exception as error:
                assert error_class(error) is error_class(failure), f"{where}: running raises {error!r}, NumPy {failure!r}"
                return False
            raise AssertionError(f"{where}: NumPy raises {failure!r}, neither recording nor running does")
    arrays = [a for a in operands if isinstance(a, np.ndarray)]
    for type_, value in zip(as_tuple(result), as_tuple(expected) if op.outputs > 1 else (expected,), strict=True):
        fresh = not any(np.may_share_memory(value, a) for a in arrays)
        assert_type_describes(type_, value, where, check_strides=fresh or op.view)
    for state in (quiet, legacy_promotion):
        with quiet(), state():
            try:
                values = reference.evaluate(op, types, params, list(operands), result)
            except Exception as error:
                raise AssertionError(f"{where}: the reference raises {error!r}, NumPy does not") from error
        for got, value in zip(as_tuple(values), as_tuple(expected) if op.outputs > 1 else (expected,), strict=True):
            # a sum of converted operands may round once more than NumPy's own
            assert_same_values(got, np.asarray(value), f"{where} (reference)", 2 if op.family in FAMILY_ULP else 0, op.family)
    return True


def check_types(op: Op) -> int:
    """Type rule and reference on every sample, dtype, pair of dtypes, memory order, and Python number. Returns the number of good cases."""
    good = 0
    rng = np.random.default_rng(1)
    for number, sample in enumerate(op.samples):
        params = op.bind(sample.params)
        free = free_operands(sample)
        for dtype in dtypes_of(sample, DTYPES):
            arrays = operands_of(sample, dtype, rng)
            where = f"{op.name} sample {number} {dtype}"
            good += check_case(op, arrays, params, where)
            if arrays and all(np.ndim(a) == 0 for a in arrays):
                good += check_case(op, [a if is_number(a) else a[()] for a in arrays], params, f"{where} scalars")
            if dtype in ("float64", "float32", "int64", "complex64", "given"):
                for kind, variant in enumerate(layouts(arrays)):
                    good += check_case(op, variant, params, f"{where} layout {kind}")
        if op.family != "elementwise" or sample.dtypes is not None or number > 1:
            continue
        if free > 1:
            for pair in itertools.product(DTYPES, repeat=2):
                names = [pair[0], *[pair[1]] * (free - 1)]
                good += check_case(op, operands_of(sample, names, rng), params, f"{op.name} sample {number} {pair}")
        if len(sample.shapes) > 1:
            for position, value, dtype in itertools.product(range(len(sample.shapes)), NUMBERS, DTYPES):
                operands: list[Any] = list(operands_of(sample, dtype, rng))
                operands[position] = value
                good += check_case(op, operands, params, f"{op.name} sample {number} {dtype} with {value!r} as operand {position}")
    assert good, f"{op.name}: NumPy could do none of the cases"
    return good


# -- (d) MXNet = reference ----------------------------------------------------------------------------------------------------------------
def graph_of_one(op: Op, operands: Sequence[Any], params: tuple[Any, ...]) -> Graph:
    """The graph of one call: arrays are inputs, Python numbers scalars."""
    types = [operand_type(o) for o in operands]
    nodes = [leaf(t) for t in types]
    result = recorder.infer(op, types, params)
    count = len(nodes)
    nodes.append(Node(op, tuple(range(count)), params, result))
    if op.outputs > 1:
        nodes.extend(Node(PROJECT, (count,), (k,), t) for k, t in enumerate(result))
    outputs = tuple(range(count + 1, count + 1 + op.outputs)) if op.outputs > 1 else (count,)
    inputs = tuple(i for i, n in enumerate(nodes) if n.op is INPUT)
    return Graph(tuple(nodes), inputs, tuple(i for i, n in enumerate(nodes) if n.op is SCALAR), outputs)


def tolerance(op: Op) -> int:
    """Units in the last place by which MXNet may differ from NumPy."""
    return FAMILY_ULP.get(op.family, 0) if op.ulp is None else op.ulp


def compare_mxnet(op: Op, operands: Sequence[Any], params: tuple[Any, ...], where: str) -> bool:
    """One call through a plan against the reference; returns whether MXNet ran it."""
    try:
        graph = graph_of_one(op, operands, params)
    except _ERRORS:
        return False
    position = next(i for i, n in enumerate(graph.nodes) if n.op is op)
    if not is_native(graph, graph.nodes[position]):
        return False
    plan = Plan(graph, tuple(range(len(graph.outputs))), native=False)
    assert plan.nodes > 0 and plan.host_steps == 0, f"{where}: the plan has no MXNet node"
    inputs = [o for o in operands if not is_number(o)]
    scalars = [o for o in operands if is_number(o)]
    failure: Exception | None = None
    expected: list[Any] = []
    try:
        with quiet():
            expected = reference.run(graph, inputs, scalars)
    except Exception as error:
        failure = error
    try:
        outcome = plan.run(inputs, scalars)
    except Exception as error:
        assert failure is not None, f"{where}: MXNet raises {error!r}, the reference does not"
        assert error_class(error) is error_class(failure), f"{where}: MXNet raises {error!r}, the reference {failure!r}"
        return True
    assert failure is None, f"{where}: the reference raises {failure!r}, MXNet does not"
    for k, value in enumerate(expected):
        assert_same_values(outcome.values[k], value, f"{where} (MXNet)", tolerance(op), op.family)
    return True


def check_mxnet(op: Op) -> int:
    """The lowering on every sample and dtype, and on special values where the op is element-wise. Returns the number of calls that ran."""
    if op.mxnet is None:
        return 0
    ran = 0
    rng = np.random.default_rng(2)
    for number, sample in enumerate(op.samples):
        params = op.bind(sample.params)
        for dtype in dtypes_of(sample, MXNET_DTYPES):
            arrays = operands_of(sample, dtype, rng)
            where = f"{op.name} sample {number} {dtype}"
            ran += compare_mxnet(op, arrays, params, where)
            if op.family == "elementwise" and len(arrays) > 1 and number == 0:
                for position, value in itertools.product(range(len(arrays)), (2, 0.5)):
                    operands: list[Any] = list(arrays)
                    operands[position] = value
                    ran += compare_mxnet(op, operands, params, f"{where} with {value!r} as operand {position}")
    # special values once per set of parameters
    for params in {op.bind(s.params): None for s in op.samples} if op.family in ("elementwise", "cast") else ():
        for dtype in MXNET_DTYPES:
            ran += compare_mxnet(op, special_operands(op, np.dtype(dtype)), params, f"{op.name}{params} {dtype} special values")
    assert ran, f"{op.name}: has a lowering, but MXNet ran none of the samples"
    assert all(d in MX_NAMES for d in op.mxnet_dtypes), f"{op.name}: MXNet has not all of {op.mxnet_dtypes}"
    return ran


# -- (e) gradients = finite differences ---------------------------------------------------------------------------------------------------
def _sum_to(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    x = x.sum(axis=tuple(range(x.ndim - len(shape))))
    return x.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1 and x.shape[i] != 1), keepdims=True)


# what undoes broadcasting, as ops of the driver's own, so that it depends on no other family
_UNBROADCAST: Op = Op(
    "unbroadcast",
    family="reduction",
    arity=1,
    params=("shape",),
    infer=lambda x, shape: array_type(shape, x.dtype),
    numpy=_sum_to,
    vjp=(lambda g, ans, x, shape: _BROADCAST(g, shape=x.shape),),
)
_BROADCAST: Op = Op(
    "broadcast",
    family="shape",
    arity=1,
    params=("shape",),
    infer=lambda x, shape: array_type(shape, x.dtype),
    numpy=lambda x, shape: np.broadcast_to(x, shape).copy(),
    vjp=(lambda g, ans, x, shape: _UNBROADCAST(g, shape=x.shape),),
)


def conform(g: Ref, x: Ref) -> Ref:
    """A contribution as the gradient of `x`: broadcasting undone, cast to its dtype."""
    if g.shape != x.shape:
        g = _UNBROADCAST(g if len(g.shape) >= len(x.shape) else _BROADCAST(g, shape=x.shape), shape=x.shape)
    if g.dtype.kind == "c" and x.dtype.kind != "c":
        g = TABLE["real"](g)
    return g if g.dtype == x.dtype else TABLE["astype"](g, dtype=x.dtype)


def rule_of(op: Op, position: int, operands: Sequence[Ref]) -> Any:
    """The vjp rule of one operand as `rule(g, ans, **params)`, or a declaration."""
    if op.vjp in (NO_GRADIENT, ZERO_GRADIENT):
        return op.vjp
    if op.arity is None:
        return lambda g, ans, **params: op.vjp(g, ans, tuple(operands), position, **params)
    rule = op.vjp[position]
    return rule if rule in (NO_GRADIENT, ZERO_GRADIENT) else lambda g, ans, **params: rule(g, ans, *operands, **params)


def pullback(builder: GraphBuilder, seeds: dict[int, Ref], wanted: Sequence[int]) -> list[Ref | None]:
    """Appends the gradients of `wanted` positions, given those of results: each rule of the table once, newest node first."""
    gradients: dict[int, Any] = dict(seeds)
    needed = set(wanted)
    nodes = list(builder.nodes)
    for position, node in enumerate(nodes):
        if any(i in needed for i in node.operands):
            needed.add(position)
    for position in range(len(nodes) - 1, -1, -1):
        node = nodes[position]
        g = gradients.get(position)
        if g is None or position not in needed or node.op in (INPUT, SCALAR, CONSTANT):
            continue
        if node.op is PROJECT:
            outputs = gradients.setdefault(node.operands[0], [None] * nodes[node.operands[0]].op.outputs)
            k = node.params[0]
            outputs[k] = g if outputs[k] is None else outputs[k] + g
            continue
        ref = Ref(builder, position, node.type)
        ans: Any = ref
        if node.op.outputs > 1:
            ans = tuple(builder.emit(PROJECT, (ref,), (k,)) for k in range(node.op.outputs))
            g = tuple(g)
        operands = [Ref(builder, i, nodes[i].type) for i in node.operands]
        for at, operand in enumerate(operands):
            if operand.slot not in needed or not differentiable(operand):
                continue
            rule = rule_of(node.op, at, operands)
            if rule is ZERO_GRADIENT:
                continue
            assert rule is not NO_GRADIENT, f"{node.op.name}: asked for a gradient declared undefined"
            contribution = rule(g, ans, **node.op.named(node.params))
            if contribution is None:
                continue
            contribution = conform(contribution, operand)
            known = gradients.get(operand.slot)
            gradients[operand.slot] = contribution if known is None else known + contribution
    return [gradients.get(p) for p in wanted]


def leaf(type_: ArrayType) -> Node:
    """A value from outside: an input, or a Python number."""
    return Node(SCALAR, (), (type_.weak,), type_) if type_.weak else Node(INPUT, (), (), type_)


def differentiable(ref: Ref) -> bool:
    """Whether a value can have a gradient."""
    return ref.type.weak is None and ref.dtype.kind in "fc"


class Differentiated:
    """One call of an op with its pullback, as a graph on the reference executor: `run(operands, seeds)` gives the gradients."""

    def __init__(self, op: Op, operands: Sequence[Any], params: tuple[Any, ...], outputs: Sequence[int]) -> None:
        self.builder = builder = GraphBuilder()
        self.operands = [builder.append(leaf(operand_type(o))) for o in operands]
        results = as_tuple(builder.emit(op, self.operands, params))
        self.seeds = {k: builder.append(leaf(results[k].type)) for k in outputs}
        # an operand's slot is its position
        self.wanted = [r.slot for r in self.operands if differentiable(r) and rule_of(op, r.slot, self.operands) is not NO_GRADIENT]
        self.gradients = pullback(builder, {results[k].slot: seed for k, seed in self.seeds.items()}, self.wanted)

    def run(self, given: Sequence[Any], outputs: Sequence[Ref | None]) -> list[np.ndarray | None]:
        """Values of `outputs`; `given` are the operands and then the seeds (and whatever else was appended as a leaf)."""
        nodes = tuple(self.builder.nodes)
        inputs, scalars = (tuple(i for i, n in enumerate(nodes) if n.op is kind) for kind in (INPUT, SCALAR))
        graph = Graph(nodes, inputs, scalars, tuple(r.slot for r in outputs if r is not None))
        with quiet():
            values = iter(reference.run(graph, [o for o in given if not is_number(o)], [o for o in given if is_number(o)]))
        return [None if r is None else next(values) for r in outputs]


def _inner(pairs: Any) -> float:
    return float(sum(np.sum(a * b) for a, b in pairs))


def _directional(function: Callable[[list[Any]], float], operands: list[Any], at: int, direction: np.ndarray) -> float:
    """Central difference along a direction in one operand."""
    step = 1e-6
    ends = []
    for sign in (1.0, -1.0):
        moved = list(operands)
        moved[at] = operands[at] + sign * step * direction
        ends.append(function(moved))
    return (ends[0] - ends[1]) / (2 * step)


def _assert_derivative(claimed: float, measured: float, where: str) -> None:
    assert np.isfinite(claimed) and abs(claimed - measured) <= 2e-5 * max(1.0, abs(measured)), (
        f"{where}: the rule says {claimed!r}, finite differences {measured!r}"
    )


def _seeded(op: Op, operands: list[Any], params: tuple[Any, ...]) -> list[int]:
    """The outputs that carry a gradient."""
    result = op.infer(*map(operand_type, operands), **op.named(params))
    return [k for k, t in enumerate(as_tuple(result)) if t.dtype.kind == "f"]


def _evaluate(op: Op, operands: list[Any], params: tuple[Any, ...]) -> tuple[np.ndarray, ...]:
    types = list(map(operand_type, operands))
    return as_tuple(reference.evaluate(op, types, params, operands, op.infer(*types, **op.named(params))))


def check_gradient(op: Op, order: int = 2) -> int:
    """Rules against finite differences in float64, their own derivatives too. Returns the number of operands that were checked.

    A ZERO_GRADIENT of a float result must be zero by finite differences (but for gradient marks, whose purpose it is to lie). Heads give
    the gradient of a loss that they do not compute: they are held against MXNet's (test_function.py).
    """
    if op.vjp is NO_GRADIENT or op.family == "head" or (op.vjp is ZERO_GRADIENT and op.family == "meta"):
        return 0
    checked = 0
    floats = False
    rng = np.random.default_rng(3)
    for number, sample in enumerate(op.samples):
        if not sample.differentiable or (sample.dtypes is not None and "float64" not in sample.dtypes):
            continue
        params = op.bind(sample.params)
        operands = operands_of(sample, "float64", rng)
        if not all(np.size(a) and np.all(np.isfinite(a)) for a in operands):
            continue
        try:
            outputs = _seeded(op, operands, params)
        except TypeError:
            continue
        if not outputs:
            continue
        floats = True
        sets = [outputs] if len(outputs) == 1 else [outputs, *([k] for k in outputs)]
        for chosen in sets:
            where = f"{op.name} sample {number} outputs {chosen}"
            checked += _check_gradient_of(op, operands, params, chosen, where, rng, order, sample.order)
    has_rules = any(map(callable, op.vjp if isinstance(op.vjp, tuple) else (op.vjp,)))
    assert checked or not (has_rules or (floats and op.arity)), f"{op.name}: no sample lets its gradient be checked"
    return checked


def _check_gradient_of(
    op: Op, operands: list[Any], params: tuple[Any, ...], outputs: list[int], where: str, rng: np.random.Generator, order: int, highest: int
) -> int:
    call = Differentiated(op, operands, params, outputs)
    seeds = [rng.standard_normal(r.shape) for r in call.seeds.values()]
    gradients = call.run([*operands, *seeds], call.gradients)

    def weighted(moved: list[Any]) -> float:
        with quiet():
            results = _evaluate(op, moved, params)
        return _inner((seed, results[k]) for seed, k in zip(seeds, outputs, strict=True))

    checked = 0
    for slot, gradient in zip(call.wanted, gradients, strict=True):
        direction = rng.standard_normal(operands[slot].shape)
        claimed = 0.0 if gradient is None else _inner([(gradient, direction)])
        _assert_derivative(claimed, _directional(weighted, operands, slot, direction), f"{where}, operand {slot}")
        checked += 1
        if gradient is not None:
            assert gradient.shape == operands[slot].shape and gradient.dtype == operands[slot].dtype, f"{where}: gradient of another type"
    if highest < 2:
        _check_no_second_order(call, where)
    elif order > 1:
        _check_second_order(call, operands, seeds, where, rng)
    return checked


def _check_no_second_order(call: Differentiated, where: str) -> None:
    """A sample of first order: its gradient is made of entries that say so."""
    undefined = [n.op.name for n in call.builder.nodes if n.op.vjp is NO_GRADIENT]
    assert undefined, f"{where}: the sample says that there is no second order, but every entry in its gradient has a rule"


def _check_second_order(call: Differentiated, operands: list[Any], seeds: list[np.ndarray], where: str, rng: np.random.Generator) -> None:
    """<gradient, v> is a function of the operands again: its derivative by rules against finite differences."""
    builder = call.builder
    first = [g for g in call.gradients if g is not None]
    if not first:
        return
    weights = [builder.append(leaf(array_type(g.shape, g.dtype))) for g in first]
    values = [rng.standard_normal(g.shape) for g in first]
    # one gradient may be the seed itself, or serve two operands: seeds add up
    contributions: dict[int, Ref] = {}
    for g, w in zip(first, weights, strict=True):
        contributions[g.slot] = contributions[g.slot] + w if g.slot in contributions else w
    second = pullback(builder, contributions, call.wanted)
    inputs = [*operands, *seeds, *values]
    claimed = call.run(inputs, second)

    def weighted(moved: list[Any]) -> float:
        return _inner(zip(call.run([*moved, *seeds, *values], first), values, strict=True))

    for slot, gradient in zip(call.wanted, claimed, strict=True):
        direction = rng.standard_normal(operands[slot].shape)
        total = 0.0 if gradient is None else _inner([(gradient, direction)])
        _assert_derivative(total, _directional(weighted, operands, slot, direction), f"{where}, second order, operand {slot}")
