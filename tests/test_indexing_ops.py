"""Index expressions and index ops against NumPy on random keys, and what MXNet runs of them."""

from __future__ import annotations

import random
import re
from typing import Any

import numpy as np
import pytest

import minpy_jit
import minpy_jit.numpy as lazy
from minpy_jit.exec.run import Plan
from minpy_jit.trace.graph import Graph, GraphBuilder, Node, weak_type
from minpy_jit.trace.op import TABLE, Ref
from minpy_jit.trace.ops import index_spec
from minpy_jit.trace.step import INPUT, SCALAR
from minpy_jit.trace.types import type_of

INTEGER = weak_type(1)


def random_array(rng: random.Random, lengths: tuple[int, ...], most: int) -> np.ndarray:
    shape = tuple(rng.choice(lengths) for _ in range(rng.randint(0, most)))
    x = np.arange(np.prod(shape, dtype=int), dtype=np.float64).reshape(shape)
    return x.transpose(rng.sample(range(x.ndim), x.ndim)) if rng.random() < 0.4 else x


def random_slice(rng: random.Random) -> slice:
    bounds = [None if rng.random() < 0.4 else rng.randint(-6, 6) for _ in range(2)]
    return slice(bounds[0], bounds[1], rng.choice([None, None, 1, 2, -1, -2, 3]))


def basic_key(rng: random.Random, ndim: int) -> Any:
    parts: list[Any] = []
    for _ in range(rng.randint(0, ndim + 1)):
        parts.append(rng.choice([rng.randint(-4, 3), random_slice(rng), random_slice(rng), None, np.int32(1), slice(None)]))
    if rng.random() < 0.4:
        parts.insert(rng.randint(0, len(parts)), Ellipsis)
    return parts[0] if len(parts) == 1 and rng.random() < 0.7 else tuple(parts)


def array_key(rng: random.Random, shape: tuple[int, ...]) -> tuple[Any, ...]:
    parts: list[Any] = []
    region = rng.choice([(2,), (3,), (2, 3), (), (1,), (0,)])
    for axis in range(rng.randint(1, len(shape) + 1)):
        kind = rng.random()
        if kind < 0.45:
            least = min(shape)
            indices = np.array([rng.randint(-least, least - (rng.random() < 0.9)) for _ in range(int(np.prod(region)))], int).reshape(
                region
            )
            indices = np.asfortranarray(indices) if rng.random() < 0.2 else indices
            parts.append(indices.tolist() if rng.random() < 0.2 else indices.astype(rng.choice(["int64", "int32"])))
        elif kind < 0.55 and axis < len(shape):
            parts.append(np.random.default_rng(rng.randint(0, 99)).random(shape[axis : axis + rng.randint(1, 2)]) < 0.5)
        else:
            parts.append(rng.choice([rng.randint(-3, 2), random_slice(rng), None, slice(None), True, False]))
    if rng.random() < 0.3:
        parts.insert(rng.randint(0, len(parts)), Ellipsis)
    return tuple(parts)


def outcome(function: Any) -> Any:
    try:
        return function()
    except (IndexError, ValueError, TypeError) as error:
        return error


def assert_described(type_: Any, value: Any, where: str) -> None:
    assert type_.shape == np.shape(value), where
    assert type_.scalar == (not isinstance(value, np.ndarray)), where
    if np.size(value) and np.ndim(value):
        longer = [(s, t) for s, t, n in zip(type_.numpy_strides(), value.strides, value.shape, strict=True) if n > 1]
        assert all(s == t for s, t in longer), where


@pytest.mark.parametrize("seed", range(4))
def test_basic_keys(seed: int) -> None:
    rng = random.Random(seed)
    values = np.random.default_rng(seed)
    for _ in range(500):
        x = random_array(rng, (0, 1, 2, 3, 4, 5), 4)
        key = basic_key(rng, x.ndim)
        where = f"x{x.shape}[{key}]"
        expected = outcome(lambda x=x, key=key: x[key])
        parsed = outcome(lambda x=x, key=key: index_spec.parse(key, x.shape))
        if isinstance(expected, Exception):
            assert (type(parsed), str(parsed)) == (type(expected), str(expected)), where
            continue
        types = [INTEGER] * len(parsed.numbers)
        assert_described(TABLE["getitem"].infer(type_of(x), *types, spec=parsed.spec), expected, where)
        assert parsed.scalar == (not isinstance(expected, np.ndarray)), where
        np.testing.assert_array_equal(TABLE["getitem"].numpy(x, *parsed.numbers, spec=parsed.spec), expected)
        shape = np.shape(expected)
        # for a single place NumPy deprecates arrays of one element
        shape = rng.choice([shape, (*shape, 2)] if parsed.scalar else [shape, shape[1:], (1, 1, *shape), (*shape, 2)])
        value = np.asarray(values.random(shape))
        written = x.copy()
        failure = outcome(lambda w=written, key=key, v=value: w.__setitem__(key, v))
        inferred = outcome(
            lambda x=x, v=value, types=types, spec=parsed.spec: TABLE["setitem"].infer(type_of(x), type_of(v), *types, spec=spec)
        )
        if isinstance(failure, Exception):
            assert (type(inferred), str(inferred)) == (type(failure), str(failure)), where
        else:
            assert inferred.shape == x.shape, where
            np.testing.assert_array_equal(TABLE["setitem"].numpy(x, value, *parsed.numbers, spec=parsed.spec), written)


@pytest.mark.filterwarnings("ignore:Out of bound index found:DeprecationWarning")
@pytest.mark.parametrize("seed", range(4))
def test_keys_with_arrays(seed: int) -> None:
    rng = random.Random(seed)
    values = np.random.default_rng(seed)
    for _ in range(500):
        x = random_array(rng, (1, 2, 3, 4), 4)
        if x.ndim == 0:
            continue
        key = array_key(rng, x.shape)
        if not any(isinstance(p, (list, np.ndarray, bool)) for p in key):
            continue
        where = f"x{x.shape}[{key}]"
        expected = outcome(lambda x=x, key=key: x[key])

        def ours(x: np.ndarray = x, key: Any = key) -> tuple[Any, ...]:
            structure, indices = index_spec.classify_advanced(key, x.ndim)
            types = [INTEGER if type(i) is int else type_of(i) for i in indices]
            arrays = [np.asarray(i) for i in indices]
            type_ = TABLE["getitem_arrays"].infer(type_of(x), *types, structure=structure)
            return type_, TABLE["getitem_arrays"].numpy(x, *arrays, structure=structure), structure, arrays

        found = outcome(ours)
        if isinstance(expected, Exception):
            assert type(found) is type(expected), where
            continue
        type_, got, structure, arrays = found
        assert_described(type_, expected, where)
        np.testing.assert_array_equal(got, expected)
        value = np.asarray(values.random(np.shape(expected)))
        written, added = x.copy(), np.zeros(x.shape)
        written[key] = value
        np.add.at(added, key, value)
        np.testing.assert_array_equal(TABLE["setitem_arrays"].numpy(x, value, *arrays, structure=structure), written)
        made = TABLE["scatter_add"].numpy(value, *arrays, shape=x.shape, structure=structure, unique=False)
        np.testing.assert_allclose(made, added, rtol=1e-14)


@pytest.mark.parametrize(
    ("key", "shape", "error", "text"),
    [
        (5, (3,), IndexError, "index 5 is out of bounds for axis 0 with size 3"),
        ((0, -5), (3, 4), IndexError, "index -5 is out of bounds for axis 1 with size 4"),
        ((0, 1), (3,), IndexError, "too many indices for array: array is 1-dimensional, but 2 were indexed"),
        ((..., ...), (3,), IndexError, "an index can only have a single ellipsis ('...')"),
        (
            1.5,
            (3,),
            IndexError,
            "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean arrays are valid",
        ),
        (slice(1.5), (3,), TypeError, "slice indices must be integers or None or have an __index__ method"),
        (slice(None, None, 0), (3,), ValueError, "slice step cannot be zero"),
    ],
)
def test_wrong_keys(key: Any, shape: tuple[int, ...], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=re.escape(text)):
        index_spec.parse(key, shape)


def test_a_minibatch_is_one_structure() -> None:
    parsed = [index_spec.parse(slice(i * 32, (i + 1) * 32), (1000, 10)) for i in range(30)]
    assert len({p.spec for p in parsed if p}) == 1
    assert [p.numbers for p in parsed if p] == [(i * 32,) for i in range(30)]


# -- what MXNet runs ----------------------------------------------------------------------------------------------------------------------
def plan_of(name: str, operands: list[Any], **params: Any) -> tuple[Plan, list[Any], list[Any]]:
    """A plan of one call and its arguments."""
    builder = GraphBuilder()
    refs: list[Ref] = []
    for operand in operands:
        if isinstance(operand, int):
            refs.append(builder.append(Node(SCALAR, (), (int,), INTEGER, None)))
        else:
            refs.append(builder.append(Node(INPUT, (), (), type_of(operand), None)))
    result = TABLE[name](*refs, **params)
    nodes = tuple(builder.nodes)
    inputs = tuple(i for i, n in enumerate(nodes) if n.op is INPUT)
    scalars = tuple(i for i, n in enumerate(nodes) if n.op is SCALAR)
    plan = Plan(Graph(nodes, inputs, scalars, (result.slot,)), (0,))
    return plan, [o for o in operands if not isinstance(o, int)], [o for o in operands if isinstance(o, int)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("indices", ["int64", "int32", "int8"])
def test_picking_one_of_each_row_needs_no_host_step(dtype: str, indices: str) -> None:
    n, classes = 8, 5
    x = np.random.default_rng(0).random((n, classes)).astype(dtype)
    rows, labels = np.arange(n).astype(indices), np.array([0, 4, -1, 2, 2, -5, 3, 1]).astype(indices)
    structure = (index_spec.ARRAY, index_spec.ARRAY)
    plan, inputs, scalars = plan_of("getitem_arrays", [x, rows, labels], structure=structure)
    assert plan.host_steps == 0
    np.testing.assert_array_equal(plan.run(inputs, scalars).values[0], x[rows, labels])
    g = np.ones(n, dtype)
    expected = np.zeros_like(x)
    np.add.at(expected, (rows, labels), g)
    for unique in (False, True):
        plan, inputs, scalars = plan_of("scatter_add", [g, rows, labels], shape=x.shape, structure=structure, unique=unique)
        assert plan.host_steps == 0
        np.testing.assert_array_equal(plan.run(inputs, scalars).values[0], expected)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_embedding_and_its_gradient_need_no_host_step(axis: int) -> None:
    weights = np.random.default_rng(0).random((6, 4, 5)).astype(np.float32)
    ids = np.array([[0, 3, 3], [-1, 0, 1]])
    plan, inputs, scalars = plan_of("take", [weights, ids], axis=axis, mode="raise")
    assert plan.host_steps == 0
    value = plan.run(inputs, scalars).values[0]
    np.testing.assert_array_equal(value, np.take(weights, ids, axis))
    structure = tuple(index_spec.ARRAY if k == axis else index_spec.FULL for k in range(3))
    plan, inputs, scalars = plan_of("scatter_add", [value, ids], shape=weights.shape, structure=structure)
    assert plan.host_steps == 0
    expected = np.zeros_like(weights)
    np.add.at(expected, (slice(None),) * axis + (ids,), value)
    np.testing.assert_allclose(plan.run(inputs, scalars).values[0], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("take", {"axis": 0, "mode": "raise"}),
        ("getitem_arrays", {"structure": (index_spec.ARRAY, index_spec.FULL)}),
        ("scatter_add", {"shape": (4, 3), "structure": (index_spec.ARRAY, index_spec.FULL)}),
    ],
)
@pytest.mark.parametrize("index", [4, -5, 2**40])
def test_an_index_out_of_range_is_found_by_mxnet(name: str, params: dict[str, Any], index: int) -> None:
    x = np.ones((4, 3))
    plan, inputs, scalars = plan_of(name, [x, np.array([0, 1, 2, 3])], **params)
    assert plan.host_steps == 0 and plan.may_raise
    plan.run(inputs, scalars)
    with pytest.raises(IndexError, match="axis 0 with size 4"):
        plan.run([x, np.array([0, 1, 2, index])], scalars)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_plan_serves_every_position(dtype: str) -> None:
    x = np.random.default_rng(0).random((9, 4)).astype(dtype)
    value = np.full((3, 4), 7, dtype)
    spec = (("slice", 3, 2), index_spec.FULL)
    reading = plan_of("getitem", [x, 0], spec=spec)[0]
    writing = plan_of("setitem", [x, value, 0], spec=spec)[0]
    adjoint = plan_of("scatter", [value, 0], shape=x.shape, spec=spec)[0]
    assert reading.host_steps == writing.host_steps == adjoint.host_steps == 0
    for start in range(5):
        key = slice(start, start + 5, 2)
        written, scattered = x.copy(), np.zeros_like(x)
        written[key], scattered[key] = value, value
        np.testing.assert_array_equal(reading.run([x], [start]).values[0], x[key])
        np.testing.assert_array_equal(writing.run([x, value], [start]).values[0], written)
        np.testing.assert_array_equal(adjoint.run([value], [start]).values[0], scattered)


def test_add_at_with_a_broadcast_value() -> None:
    # NumPy 1.26 itself reads past the value's end here
    structure = (index_spec.ARRAY,)
    found = TABLE["add_at"].numpy(np.zeros(2), np.array([1.0, 2.0, 4.0]), np.array([[0, -1, 1], [0, -2, -1]]), structure=structure)
    np.testing.assert_array_equal(found, [4.0, 10.0])


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128", "int64", "bool"])
@pytest.mark.parametrize("shape", [(11,), (7, 5), (3, 4, 5), (0, 4)])
def test_masks_choose_elements_in_a_row(dtype: str, shape: tuple[int, ...], clean_state: None) -> None:
    rng = np.random.default_rng(3)
    for _ in range(3):
        # (compiled from the second time on)
        values, mask = (9 * rng.random(shape)).astype(dtype), rng.random(shape) > 0.4
        for x, m, y in (
            (values, mask, lazy.array(values)),
            (values.T, mask.T, lazy.array(values).T),
            (values[1:], mask[1:], lazy.array(values)[1:]),
        ):
            got, where = y.copy(), lazy.array(m)
            want = x.copy()
            np.testing.assert_array_equal(y[where].asnumpy(), x[m])
            got[where], want[m] = got[where][::-1], want[m][::-1]
            np.testing.assert_array_equal(got.asnumpy(), want)
            assert not want.size or got.strides == want.strides
        target, expected = lazy.array(values), values.copy()
        # through a view, of a pending value
        target[1:][lazy.array(mask)[1:]] = lazy.array(values[1:][mask[1:]]) + True
        expected[1:][mask[1:]] = values[1:][mask[1:]] + True
        np.testing.assert_array_equal(target.asnumpy(), expected)


def test_a_known_array_is_looked_at_where_a_mask_or_a_position_picks(clean_state: None) -> None:
    known, mask = lazy.array(np.arange(12.0).reshape(3, 4)), lazy.array(np.arange(12).reshape(3, 4) % 2 == 0)
    found = [known[mask], known[mask[:, 0]], known[1, -2], known.T[2, 1], lazy.array(np.arange(3))[-1], *lazy.array(np.arange(3.0))]
    assert minpy_jit.stats()["recorded"] == minpy_jit.stats()["flushes"] == 0
    assert [np.asarray(f).tolist() for f in found] == [
        [0.0, 2.0, 4.0, 6.0, 8.0, 10.0],
        np.arange(12.0).reshape(3, 4).tolist(),
        6.0,
        6.0,
        2,
        0.0,
        1.0,
        2.0,
    ]
    # what was picked out is a copy
    known += 1
    assert float(found[2]) == 6.0 and float(known[1, 2]) == 7.0
    # an iterator sees what is written while it goes on
    x = lazy.array(np.arange(4.0))
    seen = []
    for value in x:
        seen.append(float(value))
        x *= 2
    assert seen == [0.0, 2.0, 8.0, 24.0]
    with pytest.raises(IndexError, match=r"\[getitem\] index 3 is out of bounds for axis 0 with size 3"):
        known[3, 0]
    with pytest.raises(IndexError, match=r"index -5 is out of bounds for axis 1 with size 4"):
        known[0, -5]


def test_a_gradient_follows_what_a_mask_or_a_position_picks() -> None:
    x = lazy.array(np.arange(6.0).reshape(2, 3))

    def loss(x: Any) -> Any:
        y = x * 2
        y[x > 2] = y[x > 2] ** 2
        return (x[x > 3] ** 2).sum() + x[1, 1] * 5 + y.sum()

    at = np.arange(6.0).reshape(2, 3)
    want = np.where(at > 3, 2 * at, 0) + np.where(at > 2, 8 * at, 2.0)
    want[1, 1] += 5
    np.testing.assert_allclose(minpy_jit.grad(loss)(x).asnumpy(), want)
