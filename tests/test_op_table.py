"""Every entry of the op table against NumPy, MXNet and finite differences; and every check against an entry that it must reject."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd
import autograd.numpy
import numpy as np
import op_driver as driver
import pytest

from minpy_jit.exec import reference
from minpy_jit.exec.mx import MXNetError
from minpy_jit.trace.graph import Graph, GraphBuilder, Node
from minpy_jit.trace.op import NO_GRADIENT, TABLE, ZERO_GRADIENT, Op, Sample
from minpy_jit.trace.ops import ALIASES, special
from minpy_jit.trace.ops.families import NUMBERS, mx
from minpy_jit.trace.step import INPUT
from minpy_jit.trace.types import array_type, type_of

each_op = pytest.mark.parametrize("op", driver.entries(), ids=lambda op: op.name)


@each_op
def test_entry(op: Op) -> None:
    driver.check_entry(op)


@each_op
def test_types_and_reference(op: Op) -> None:
    driver.check_types(op)


@each_op
def test_mxnet(op: Op) -> None:
    driver.check_mxnet(op)


@each_op
def test_gradient(op: Op) -> None:
    driver.check_gradient(op)


def test_every_ufunc_has_an_entry() -> None:
    ufuncs = {v.__name__ for v in vars(np).values() if isinstance(v, np.ufunc)}
    assert len(ufuncs) > 80
    assert ufuncs <= set(TABLE)
    assert all(ALIASES[name] in TABLE for name in ("abs", "true_divide", "mod", "conj", "bitwise_not"))


# -- special points of gradients ----------------------------------------------------------------------------------------------------------
def gradients(name: str, *values: float, **params: Any) -> list[float]:
    """The gradients of one call at one point."""
    op = TABLE[name]
    operands = [np.asarray(float(v)) for v in values]
    call = driver.Differentiated(op, operands, op.bind(params), [0])
    found = call.run([*operands, np.ones(())], call.gradients)
    return [0.0 if g is None else float(g) for g in found]


@pytest.mark.parametrize(
    ("name", "point", "expected"),
    [
        ("maximum", (2.0, 2.0), [0.5, 0.5]),
        ("minimum", (2.0, 2.0), [0.5, 0.5]),
        ("maximum", (-np.inf, -np.inf), [0.5, 0.5]),
        ("fmax", (1.0, np.nan), [1.0, 0.0]),
        ("fmin", (np.nan, 1.0), [0.0, 1.0]),
        ("absolute", (0.0,), [0.0]),
        ("fabs", (0.0,), [0.0]),
        ("hypot", (0.0, 0.0), [0.0, 0.0]),
        ("power", (0.0, 2.0), [0.0, 0.0]),
        ("power", (0.0, 1.0), [1.0, 0.0]),
        ("power", (0.0, 0.0), [0.0, 0.0]),
        ("power", (-2.0, 2.0), [-4.0, np.nan]),
        ("relu", (0.0,), [0.0]),
        ("clip", (5.0, 0.0, 1.0), [0.0, 0.0, 1.0]),
        ("clip", (-5.0, 0.0, 1.0), [0.0, 1.0, 0.0]),
        ("clip", (0.5, 0.0, 1.0), [1.0, 0.0, 0.0]),
        ("sigmoid", (-1000.0,), [0.0]),
        ("logaddexp", (np.inf, 0.0), [np.nan, 0.0]),
        ("where", (1.0, 2.0, 3.0), [0.0, 1.0, 0.0]),
        ("stop_gradient", (1.0,), [0.0]),
        ("watch", (1.0,), [1.0]),
    ],
)
def test_gradient_at_a_special_point(name: str, point: tuple[float, ...], expected: list[float]) -> None:
    np.testing.assert_equal(gradients(name, *point), expected)


# -- numbers and ranges -------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "dtype", "value", "error", "text"),
    [
        ("add", "uint8", 300, OverflowError, r"\[add\] Python integer 300 out of bounds for uint8"),
        ("equal", "uint8", 300, OverflowError, r"\[equal\] Python integer 300 out of bounds for "),
        ("power", "int64", -1, ValueError, r"\[power\] Integers to negative integer powers are not allowed"),
        ("power", "uint8", -1, OverflowError, r"\[power\] Python integer -1 out of bounds for uint8"),
        ("power", "int8", 128, OverflowError, r"\[power\] Python integer 128 out of bounds for int8"),
    ],
)
def test_integer_out_of_range(name: str, dtype: str, value: int, error: type[Exception], text: str) -> None:
    operands = [np.ones(2, dtype), value]
    with pytest.raises(error, match=text):
        driver.record_type(TABLE[name], [driver.operand_type(o) for o in operands], (), operands)


def test_a_type_error_names_the_operands() -> None:
    with pytest.raises(TypeError, match=r"\[bitwise_and\] .*operands: float64\[2\], float64\[2\]"):
        driver.record_type(TABLE["bitwise_and"], [type_of(np.ones(2))] * 2, (), [])


@pytest.mark.parametrize(
    ("name", "operands"),
    [
        ("add", [np.array([1, 2.5], object), 2]),
        ("multiply", [np.array([1, 2], object), np.array([3.0, 4.0])]),
        ("add", [np.array([10**400], object), np.array([1], object)]),
        ("subtract", [np.array(["2020-01-02"], "M8[D]"), np.array(["2019-12-31"], "M8[D]")]),
        ("divide", [np.array([6, 7], "m8[s]"), 2]),
        ("equal", [np.array(["a", "b"]), np.array(["a", "c"])]),
        ("less", [np.array([1, 2**63], "u8"), np.array([-1, 5])]),
        ("add", [np.array([1], "u8"), np.array([1], "i8")]),
        ("maximum", [np.array([1, 2], "u2"), 3]),
        ("add", [np.array([1, 2], ">f4"), 1]),
        ("isnan", [np.array(["a"])]),
        ("sqrt", [np.array([4.0, None], object)]),
    ],
)
def test_dtypes_that_only_the_host_has(name: str, operands: list[Any]) -> None:
    driver.check_case(TABLE[name], operands, (), name)


def composite(function: Callable[..., Any], array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Value and gradient of a function written with ops."""
    builder = GraphBuilder()
    x = builder.append(driver.leaf(type_of(array)))
    y = function(x)
    seed = builder.append(driver.leaf(y.type))
    (found,) = driver.pullback(builder, {y.slot: seed}, [x.slot])
    gradient = x * 0.0 if found is None else found
    value, slope = reference.run(
        Graph(tuple(builder.nodes), (x.slot, seed.slot), (), (y.slot, gradient.slot)), [array, np.ones(y.shape)], ()
    )
    return value, slope


@pytest.mark.parametrize("name", ["angle", "sinc"])
def test_composites(name: str) -> None:
    array = np.array([-1.5, 0.0, 0.3, 2.0])
    value, slope = composite(getattr(special, name), array)
    np.testing.assert_array_equal(value, getattr(np, name)(array))
    step = 1e-6
    away = np.array([0, 2, 3])
    measured = (getattr(np, name)(array + step) - getattr(np, name)(array - step)) / (2 * step)
    np.testing.assert_allclose(slope[away], measured[away], atol=1e-8)
    assert slope[1] == 0


@pytest.mark.parametrize("name", ["absolute", "angle", "real", "imag", "conjugate", "exp", "sqrt", "square", "reciprocal", "tanh", "log"])
def test_complex_gradients_follow_hips(name: str) -> None:
    array = np.array([1 + 2j, -0.5 + 0.25j, 3 - 1j])
    hips = {"conjugate": "conj"}.get(name, name)
    pull, expected = autograd.make_vjp(getattr(autograd.numpy, hips))(array)
    value, slope = composite(special.angle if name == "angle" else TABLE[name], array)
    np.testing.assert_allclose(value, expected)
    np.testing.assert_allclose(slope, pull(np.ones(3, value.dtype)), rtol=1e-12)


def test_inplace_only_where_the_shape_fits() -> None:
    """A dead operand may be overwritten, but not one that is broadcast."""
    add, exp = TABLE["add"], TABLE["exp"]
    small, large = array_type((3,), np.dtype("f8")), array_type((2, 3), np.dtype("f8"))
    nodes = (Node(INPUT, (), (), small), Node(INPUT, (), (), large), Node(exp, (0,), (), small), Node(add, (2, 1), (), large))
    (value,) = reference.run(Graph(nodes, (0, 1), (), (3,)), [np.zeros(3), np.ones((2, 3))], ())
    np.testing.assert_array_equal(value, np.full((2, 3), 2.0))


# -- each check rejects -------------------------------------------------------------------------------------------------------------------
def _wrong_dtype(*types: Any, **params: Any) -> Any:
    result = TABLE["add"].infer(*types)
    return result.with_dtype(np.dtype(np.float64))


def _wrong_strides(*types: Any, **params: Any) -> Any:
    result = TABLE["add"].infer(*types)
    return array_type(result.shape, result.dtype, None, result.scalar)


def _never_scalar(*types: Any, **params: Any) -> Any:
    result = TABLE["add"].infer(*types)
    return array_type(result.shape, result.dtype, result.strides)


def _takes_all(*types: Any, **params: Any) -> Any:
    return TABLE["equal"].infer(*types) if types[0].dtype.kind == "f" else TABLE["bitwise_and"].infer(*types)


def _no_second_order(g: Any, ans: Any, x: Any) -> Any:
    return g * TABLE["stop_gradient"](ans)


# what is wrong: (check, entry, text of the rejection, altered facts)
REJECTED: dict[str, tuple[Callable[[Op], Any], str, str, dict[str, Any]]] = {
    "no sample": (driver.check_entry, "add", "no sample", {"samples": ()}),
    "no usable sample": (driver.check_entry, "add", "no usable sample", {"samples": (Sample(((0, 3), (3,))), Sample(((2,), (3,))))}),
    "operands of a sample": (driver.check_entry, "add", "another number of operands", {"samples": (Sample(((2, 3),)),)}),
    "parameters of a sample": (driver.check_entry, "add", "other parameters", {"samples": (Sample(((2, 3), (3,)), {"axis": 0}),)}),
    "no vjp": (driver.check_entry, "add", "one vjp rule per operand", {"vjp": None}),
    "a vjp too few": (driver.check_entry, "add", "one vjp rule per operand", {"vjp": (lambda g, ans, x, y: g,)}),
    "no doc": (driver.check_entry, "add", "no doc", {"doc": ""}),
    "unknown family": (driver.check_entry, "add", "family 'other' is unknown", {"family": "other"}),
    "lowering without dtypes": (driver.check_entry, "add", "come together", {"mxnet_dtypes": frozenset()}),
    "wrong dtype": (driver.check_types, "add", "the type rule says float64, NumPy bool", {"infer": _wrong_dtype}),
    "wrong strides": (driver.check_types, "add", "the type rule says strides", {"infer": _wrong_strides}),
    "array for scalar": (driver.check_types, "add", "NumPy returns a scalar", {"infer": _never_scalar}),
    "accepts what NumPy refuses": (driver.check_types, "bitwise_and", "NumPy raises TypeError", {"infer": _takes_all}),
    "refuses what NumPy accepts": (driver.check_types, "add", "recording raises TypeError", {"infer": TABLE["bitwise_and"].infer}),
    "no range check": (driver.check_types, "add", "NumPy raises OverflowError", {"scalar_range": None}),
    "wrong NumPy meaning": (driver.check_types, "add", "the reference raises TypeError", {"numpy": np.subtract}),
    "no cast of operands": (
        driver.check_types,
        "logaddexp2",
        "reference.*values differ",
        {"operand_dtypes": lambda types, params: (np.dtype("f2"),) * 2},
    ),
    "wrong lowering": (driver.check_mxnet, "add", r"\(MXNet\): .* values differ", {"mxnet": mx("_npi_subtract"), "mxnet_dtypes": NUMBERS}),
    "a NaN lost": (driver.check_mxnet, "sign", "expected .*nan", {"mxnet": mx("_npi_sign")}),
    "a signed zero lost": (
        driver.check_mxnet,
        "copysign",
        "special values",
        {"mxnet": mx("_npi_copysign"), "mxnet_dtypes": TABLE["exp"].mxnet_dtypes},
    ),
    "too many ulp": (driver.check_mxnet, "degrees", r"\(MXNet\): .* values differ", {"mxnet": mx("_npi_degrees")}),
    "wrong dtype of MXNet": (
        driver.check_mxnet,
        "divide",
        "MXNet typed a result float32",
        {"mxnet_dtypes": TABLE["add"].mxnet_dtypes, "operand_dtypes": None},
    ),
    "lowering that never runs": (driver.check_mxnet, "add", "MXNet ran none", {"mxnet": lambda low, xs, *_: NotImplemented}),
    "wrong vjp": (driver.check_gradient, "exp", "sample 0 outputs .0., operand 0: the rule says", {"vjp": (lambda g, ans, x: g,)}),
    "vjp of one operand": (
        driver.check_gradient,
        "multiply",
        "operand 1: the rule says",
        {"vjp": (lambda g, ans, x, y: g * y, lambda g, ans, x, y: g)},
    ),
    "missing contribution": (
        driver.check_gradient,
        "multiply",
        "operand 1: the rule says 0.0",
        {"vjp": (lambda g, ans, x, y: g * y, lambda g, ans, x, y: None)},
    ),
    "zero declared": (driver.check_gradient, "exp", "the rule says 0.0", {"vjp": ZERO_GRADIENT}),
    "second order": (driver.check_gradient, "exp", "second order, operand 0", {"vjp": (_no_second_order,)}),
    "no differentiable sample": (driver.check_gradient, "exp", "no sample lets", {"samples": (Sample(((2, 3),), differentiable=False),)}),
}


@pytest.mark.parametrize("case", REJECTED)
def test_check_rejects(case: str) -> None:
    check, name, text, fields = REJECTED[case]
    check(TABLE[name])
    wrong = driver.altered(TABLE[name], **fields)
    with pytest.raises((AssertionError, MXNetError), match=text):
        check(wrong)


def test_no_gradient_is_an_error() -> None:
    wrong = driver.altered(TABLE["exp"], vjp=NO_GRADIENT)
    builder = GraphBuilder()
    x = builder.append(driver.leaf(type_of(np.ones(2))))
    y = builder.emit(wrong, [x], ())
    with pytest.raises(AssertionError, match="declared undefined"):
        driver.pullback(builder, {y.slot: x}, [x.slot])


def test_first_order_alone_does_not_see_a_wrong_second_order() -> None:
    """So that the case "second order" above is rejected for its reason."""
    wrong = driver.altered(TABLE["exp"], vjp=(_no_second_order,))
    assert driver.check_gradient(wrong, order=1)
