"""Passes and rewrite rows: exact to the bit on special values, types kept, and a broken pass is caught."""

from __future__ import annotations

import numpy as np
import pytest

import minpy_jit  # noqa: F401 - fills the op table
from minpy_jit.exec import reference
from minpy_jit.exec.run import Plan
from minpy_jit.optimize.algebra import ROWS, fold, simplify
from minpy_jit.optimize.partition import partition
from minpy_jit.optimize.passes import PASSES, InvalidGraph, eliminate_dead, eliminate_duplicates, optimize, verify
from minpy_jit.trace.graph import Graph, GraphBuilder, Node
from minpy_jit.trace.op import TABLE, Ref
from minpy_jit.trace.step import INPUT
from minpy_jit.trace.types import array_type, type_of

SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 5e-324, 1.7e308, 3.5, -2.25, 1e-3]


def build(array: np.ndarray, program) -> Graph:  # type: ignore[no-untyped-def]
    builder = GraphBuilder()
    x = builder.append(Node(INPUT, (), (), type_of(array)))
    out = program(builder, x)
    return Graph(tuple(builder.nodes), (0,), (), (out.slot,))


def bits(array: np.ndarray) -> bytes:
    return np.ascontiguousarray(array).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.reading)
def test_every_row_fires_on_its_pattern_and_is_exact(row, dtype: str) -> None:  # type: ignore[no-untyped-def]
    with np.errstate(all="ignore"):
        x = np.array(SPECIAL).astype(dtype).reshape(3, 4)
    graph = build(x, row.example)
    names = row.ops or tuple(op.name for op in TABLE.values() if op.family == row.family)
    rewritten = simplify(graph, {name: [row] for name in names})
    assert rewritten is not graph
    verify(rewritten, graph, "row")
    before, after = reference.run(graph, [x], [])[0], reference.run(rewritten, [x], [])[0]
    assert before.dtype == after.dtype
    assert bits(before) == bits(after)


def test_what_is_not_exact_is_no_row() -> None:
    x = np.array([-0.0, np.nan, np.inf])
    for program in (lambda b, x: x + 0.0, lambda b, x: x * 0.0, lambda b, x: x - -0.0):
        graph = build(x, program)
        after = optimize(graph)
        assert bits(reference.run(graph, [x], [])[0]) == bits(reference.run(after, [x], [])[0])
        assert any(n.op.family == "elementwise" for n in after.nodes)


def test_folding_leaves_one_literal() -> None:
    x = np.ones((2, 3))

    def program(b: GraphBuilder, x: Ref) -> Ref:
        one = b.emit(TABLE["ones"], (), TABLE["ones"].bind({"shape": (), "dtype": np.dtype("float64")}))
        return TABLE["broadcast_to"](TABLE["reshape"](-(one / 3), shape=(1,)), shape=(3,)) + x

    graph = optimize(build(x, program))
    assert [n.op.name for n in graph.nodes if n.op is not INPUT] == ["literal", "add"]
    assert bits(reference.run(graph, [x], [])[0]) == bits(np.full((2, 3), -1 / 3) + 1)


def test_duplicates_and_dead_nodes_go_inputs_stay() -> None:
    x = np.arange(3.0)

    def program(b: GraphBuilder, x: Ref) -> Ref:
        TABLE["exp"](x)
        return TABLE["tanh"](x) + TABLE["tanh"](x)

    graph = build(x, program)
    assert [n.op.name for n in eliminate_dead(graph).nodes] == ["input", "tanh", "tanh", "add"]
    assert [n.op.name for n in eliminate_duplicates(graph).nodes] == ["input", "exp", "tanh", "add"]
    assert [n.op.name for n in optimize(graph).nodes] == ["input", "tanh", "add"]
    unused = build(x, lambda b, x: b.emit(TABLE["ones"], (), TABLE["ones"].bind({"shape": (2,)})))
    assert [n.op.name for n in optimize(unused).nodes] == ["input", "ones"]


def test_verification_rejects_a_broken_pass() -> None:
    x = np.ones((2, 3), dtype="float32")
    graph = build(x, lambda b, x: TABLE["tanh"](x))
    wrong = Node(graph.nodes[1].op, (0,), (), array_type((2, 3), np.dtype("float64")))
    with pytest.raises(InvalidGraph, match=r"\[bad\] %1 is tanh"):
        verify(Graph((graph.nodes[0], wrong), (0,), (), (1,)), graph, "bad")
    with pytest.raises(InvalidGraph, match="a result changed"):
        other = build(np.ones(2), lambda b, x: TABLE["tanh"](x))
        verify(other, graph, "bad")
    with pytest.raises(InvalidGraph, match="later node"):
        verify(Graph((graph.nodes[0], Node(graph.nodes[1].op, (1,), (), graph.nodes[1].type)), (0,), (), (1,)), graph, "bad")


def test_the_pipeline_is_one_tuple_of_named_passes() -> None:
    assert [name for name, _ in PASSES] == [
        "eliminate_dead",
        "fold",
        "exact_algebra",
        "eliminate_duplicates",
        "eliminate_dead",
    ]
    assert fold(build(np.ones(2), lambda b, x: x + 1.0)).nodes[-1].op.name == "add"


def test_partition_alternates_and_runs_right() -> None:
    x = np.array([[4.0, 1.0], [2.0, 3.0]])

    def program(b: GraphBuilder, x: Ref) -> Ref:
        a = TABLE["tanh"](x)
        host = TABLE["inv"](a)
        return TABLE["exp"](host) + TABLE["tanh"](a)

    graph = build(x, program)
    plan = Plan(graph, (0,))
    assert [s.stage.native for s in plan.stages] == [True, False, True]
    assert plan.executor == "mixed"
    outcome = plan.run([x], [])
    a = np.tanh(x)
    assert np.allclose(outcome.values[0], np.exp(np.linalg.inv(a)) + np.tanh(a), rtol=1e-12)
    assert [s.nodes for s in partition(graph, lambda i, n: False)] == [tuple(range(1, len(graph.nodes)))]
