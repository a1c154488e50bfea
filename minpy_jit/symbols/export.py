"""Export: a function of arrays as an MXNet symbol with its parameters, which plain MXNet loads.

The function is recorded once, as `@trace(pure=True)` records it. Arrays that it captures become parameters, Python numbers constants.
MXNet's symbols know no 0-d arrays: those have shape (1,) there.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ExportError, locate, user_line
from ..exec import mx
from ..exec.lower import argument_order, is_native, lower
from ..numpy.convert import as_handle
from ..optimize.partition import partition
from ..optimize.passes import optimize
from ..trace.graph import Graph, GraphBuilder, Node, graph_of
from ..trace.handle import Handle
from ..trace.op import TABLE, Ref
from ..trace.pure import Program, PureRegion, Session
from ..trace.pytree import flatten, tree_map
from ..trace.recorder import look, observe
from ..trace.step import CONSTANT, INPUT, PROJECT, SCALAR, constant_params

_LEAVES = (INPUT, SCALAR, CONSTANT)
# numbers of MXNet's result that may differ from ours: relative, absolute, by the size of the dtype
_TOLERANCES = {2: (1e-2, 1e-3), 4: (1e-4, 1e-6), 8: (1e-8, 1e-12)}


def export(function: Callable[..., Any], path: str | os.PathLike[str], *args: Any, epoch: int = 0, **kwargs: Any) -> tuple[str, str]:
    """Write `<path>-symbol.json` and `<path>-<epoch>.params`, which `mx.model.load_checkpoint`, `SymbolBlock.imports` and
    `Function.load` read.

    Args:
        function: what to export, of arrays, and pure: it is called once, and what it does besides is lost.
        args, kwargs: arrays of the shapes and dtypes that it will have: the symbol is for these shapes. Their names are those of the
            parameters (of a dict's arrays parameter_key, of a list's parameter_0 …). What is no array is fixed.

    Returns:
        The names of the two files.

    Raises:
        ExportError: a step has no MXNet operator (the first one is named), draws random numbers, or writes to an argument.
        TraceError: the function observes a value.
    """
    path = os.fspath(path)
    names, arrays = _named(function, args, kwargs)
    region = _Exported(_standing_alone(function), getattr(function, "__name__", "function"))
    result = region(*[tree_map(_plain, a) for a in args], **{k: tree_map(_plain, v) for k, v in kwargs.items()})
    if not region.programs:
        raise ExportError("[export] must be called in lazy mode, outside of grad() and of traced functions")
    (program,) = region.programs.values()
    graph, given = _graph(program, names)
    for position, node in enumerate(graph.nodes):
        if node.op not in _LEAVES and node.op is not PROJECT and not is_native(graph, node):
            operands = ", ".join(str(graph.nodes[i].type) for i in node.operands)
            raise ExportError(
                f"[export] %{position} {node.op.name}({operands}) has no MXNet operator (recorded at {locate(node.site)}); "
                "compute it outside of the exported function"
            )
    text, parameters = _written(graph, given)
    _verify(text, {**parameters, **arrays}, [observe(r, "export") for r in flatten(result)[0]])
    symbol_file, params_file = f"{path}-symbol.json", f"{path}-{epoch:04d}.params"
    with open(symbol_file, "w") as file:
        file.write(text)
    mx.package().nd.save(params_file, {f"arg:{k}": mx.ndarray(v) for k, v in parameters.items()})
    return symbol_file, params_file


class _Account(Session):
    """Of a function that is being exported: lists that it captures are what they are now."""

    __slots__ = ()

    def read(self, source: Any, again: Callable[[], Any], result: Handle) -> None:
        """A copied list is a constant."""

    def host_call(self, name: str) -> None:
        """What NumPy runs is no part of a symbol.

        Raises:
            ExportError: always.
        """
        raise ExportError(f"[export] {name} has no MXNet operator (called at {user_line()}); compute it outside of the exported function")


class _Exported(PureRegion):
    session = _Account


def _plain(leaf: Any) -> Any:
    """An array that is no view of another, so that it is an input by itself."""
    if isinstance(leaf, Handle):
        return as_handle(observe(leaf, "export").copy())
    return as_handle(leaf) if isinstance(leaf, np.ndarray) else leaf


def _standing_alone(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with arguments and results that are values of their own: parts of them are then steps."""
    watch = TABLE["watch"]

    def watched(leaf: Any) -> Any:
        return watch(leaf) if isinstance(leaf, Handle) else leaf

    def alone(*args: Any, **kwargs: Any) -> Any:
        found = function(*[tree_map(watched, a) for a in args], **{k: tree_map(watched, v) for k, v in kwargs.items()})
        for leaf in flatten(found)[0]:
            if not isinstance(leaf, Handle):
                raise ExportError(f"[export] the function returns {leaf!r}, which is no array of ours")
        return tree_map(watched, found)

    return alone


def _named(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[dict[int, str], dict[str, np.ndarray]]:
    """Names of the arrays among the arguments by the number of the leaf, and their values by name."""
    given = [(f"data{k}" if len(args) > 1 else "data", a) for k, a in enumerate(args)]
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        # a builtin tells nothing about its parameters
        parameters = {}  # type: ignore[assignment]
    positional = [n for n, p in parameters.items() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    given = [(positional[k] if k < len(positional) else n, a) for k, (n, a) in enumerate(given)]
    names: dict[int, str] = {}
    arrays: dict[str, np.ndarray] = {}
    number = 0

    def visit(name: str, value: Any) -> None:
        nonlocal number
        if isinstance(value, (dict, list, tuple)):
            for key, part in value.items() if isinstance(value, dict) else enumerate(value):
                visit(f"{name}_{key}", part)
            return
        if isinstance(value, (Handle, np.ndarray)):
            names[number] = name
            arrays[name] = observe(value, "export") if isinstance(value, Handle) else value
        number += 1

    for name, value in (*given, *kwargs.items()):
        visit(name, value)
    if not names:
        raise ExportError("[export] no array among the arguments; give examples of what the function takes")
    if len(arrays) < len(names):
        raise ExportError(f"[export] two arguments have one name: {', '.join(names.values())}")
    return names, arrays


def _graph(program: Program, names: Mapping[int, str]) -> tuple[Graph, list[tuple[str, Any]]]:
    """The recorded program, optimised, without numbers that change and without 0-d arrays; and its inputs: a name, and a value where it
    is a parameter."""
    if program.writes:
        raise ExportError("[export] the function writes to an argument or to a captured array; return the new value instead")
    if program.makers:
        raise ExportError("[export] the function draws random numbers; pass them as arguments")
    given: list[tuple[str, Any]] = []
    for kind, which, chain in program.sources:
        if kind == "argument":
            given.append((names[which], None))
        else:
            value = observe(which, "export") if isinstance(which, Handle) else np.asarray(which)
            given.append((f"param{sum(v is not None for _, v in given)}", look(value, chain)))
    slots = tuple([program.fresh[r[1]][0] for r in program.results])
    recorded = graph_of(program.end, slots)
    numbers = iter(program.scalars)
    nodes = tuple([Node(CONSTANT, (), constant_params(next(numbers)), n.type, n.site) if n.op is SCALAR else n for n in recorded.nodes])
    return _without_scalars(optimize(Graph(nodes, recorded.inputs, (), slots))), given


def _without_scalars(graph: Graph) -> Graph:
    """The same with shape (1,) where an array has no axis."""
    builder = GraphBuilder()
    refs: list[Any] = []
    for node in graph.nodes:
        builder.site = node.site
        if node.op in _LEAVES:
            type_ = node.type
            if node.op is INPUT and not type_.shape:
                type_ = TABLE["reshape"].infer(type_, shape=(1,))
            refs.append(builder.append(Node(node.op, (), node.params, type_, node.site)))
            continue
        operands = [refs[i] for i in node.operands]
        if node.op is PROJECT:
            refs.append(operands[0][node.params[0]])
            continue
        named = node.op.named(node.params)
        if not isinstance(node.type, tuple) and not node.type.shape:
            refs.append(_with_an_axis(node, operands, named))
        else:
            refs.append(builder.emit(node.op, operands, node.op.bind(named)))
    # an argument that is a result gets a step of its own
    for i in {i for i in graph.outputs if graph.nodes[i].op is INPUT}:
        refs[i] = TABLE["positive"](refs[i])
    place = [-1 if isinstance(r, tuple) else r.slot for r in refs]
    inputs = [k for k, n in enumerate(builder.nodes) if n.op is INPUT]
    return Graph(tuple(builder.nodes), tuple(inputs), (), tuple([place[i] for i in graph.outputs]))


def _with_an_axis(node: Node, operands: list[Ref], named: dict[str, Any]) -> Ref:
    """A step whose result has no axis, with one."""
    reshape = TABLE["reshape"]
    if "keepdims" in named:
        return reshape(node.op(*operands, **{**named, "keepdims": True}), shape=(1,))
    if named.get("shape") == ():
        return reshape(operands[0], shape=(1,))
    found = node.op(*operands, **named)
    if found.shape not in ((), (1,)):
        raise ExportError(f"[export] {node.op.name} gives an array without axes (recorded at {locate(node.site)}); give it an axis")
    return reshape(found, shape=(1,)) if found.shape == () else found


def _without_guards(program: dict[str, Any], results: int, guards: int) -> dict[str, Any]:
    """The symbol's JSON with nothing but what its results need: no one looks at guards where it is loaded.

    Raises:
        ExportError: what else it yields belongs to gradient operators, which fail without it.
    """
    heads = program["heads"]
    if len(heads) > results + guards:
        raise ExportError("[export] a gradient of a layer needs the layer's own result beside it; return that too")
    heads, nodes = heads[:results], program["nodes"]
    kept = sorted(argument_order(nodes, heads))
    place = {old: new for new, old in enumerate(kept)}
    for node in (nodes[i] for i in kept):
        node["inputs"] = [[place[e[0]], *e[1:]] for e in node["inputs"]]
        if "control_deps" in node:
            node["control_deps"] = [place[i] for i in node["control_deps"]]
    return {
        **program,
        "nodes": [nodes[i] for i in kept],
        "heads": [[place[e[0]], *e[1:]] for e in heads],
        "node_row_ptr": list(range(len(kept) + 1)),
    }


def _written(graph: Graph, given: Sequence[tuple[str, Any]]) -> tuple[str, dict[str, np.ndarray]]:
    """The symbol's JSON, with names, and the values of its parameters."""
    stages = partition(graph, lambda position, node: True)
    if len(stages) != 1:
        raise ExportError("[export] the function computes nothing from its arguments")
    lowered = lower(graph, stages[0])
    program = _without_guards(json.loads(lowered.json), len(stages[0].produces), len(lowered.guards))
    nodes = program["nodes"]
    by_position = dict(zip(graph.inputs, given, strict=True))
    parameters: dict[str, np.ndarray] = {}
    # the file lists variables in the order of `arg_nodes`, the stage in MXNet's own
    order = _argument_names(lowered.json)
    variables = dict(zip(order, lowered.variables, strict=True))
    arguments = []
    for number, node in enumerate(nodes):
        if node["op"] != "null":
            continue
        variable = variables.get(node["name"])
        if variable is None:
            # nothing reads it
            arguments.append(number)
        elif variable.constant is not None:
            value = variable.constant.reshape(variable.shape or (1,))
            if value.size and np.isfinite(value.flat[0]) and np.all(value == value.flat[0]):
                number_ = value.flat[0].item()
                node.update(op="_full", attrs={"shape": str(value.shape), "value": repr(float(number_)), "dtype": value.dtype.name})
                continue
            node.update(_parameter(f"const{len(parameters)}", value))
            parameters[node["name"]] = value
            arguments.append(number)
        else:
            node["name"], value = by_position[variable.position]
            node["attrs"] = {"__dtype__": str(mx.TYPE_FLAGS[variable.dtype])}
            if value is not None:
                parameters[node["name"]] = value = value.reshape(value.shape or (1,))
                node.update(_parameter(node["name"], value))
            arguments.append(number)
    program["arg_nodes"] = arguments
    return json.dumps(program, indent=1), parameters


def _parameter(name: str, value: np.ndarray) -> dict[str, Any]:
    """A variable that says its shape and dtype, which MXNet cannot tell from the inputs."""
    return {"name": name, "attrs": {"__shape__": str(value.shape), "__dtype__": str(mx.TYPE_FLAGS[value.dtype])}}


def _argument_names(text: str) -> list[str]:
    return list(mx.package().symbol.load_json(text).list_arguments())


def _verify(text: str, values: Mapping[str, np.ndarray], expected: Sequence[np.ndarray]) -> None:
    """Run the symbol in plain MXNet, in inference mode, as those do who load it.

    Raises:
        ExportError: it fails there, or its numbers are others.
    """
    package = mx.package()
    mx.keep_threads()
    symbol = package.symbol.load_json(text)
    arguments = {k: mx.ndarray(values[k]) for k in symbol.list_arguments() if k in values}
    try:
        with mx._quiet():
            found = symbol.bind(package.cpu(), arguments).forward(is_train=False)
    except package.base.MXNetError as error:
        first = next((line for line in str(error).splitlines() if "rror" in line), str(error))
        raise ExportError(f"[export] plain MXNet refuses the symbol: {first.strip()}") from None
    for k, (array, wanted) in enumerate(zip(found, expected, strict=True)):
        got = array.asnumpy()
        relative, absolute = _TOLERANCES.get(wanted.dtype.itemsize if wanted.dtype.kind == "f" else 0, (0.0, 0.0))
        if got.size != wanted.size or not np.allclose(got.reshape(wanted.shape), wanted, rtol=relative, atol=absolute, equal_nan=True):
            raise ExportError(
                f"[export] in inference mode plain MXNet gives other numbers for result {k}; batch normalisation by the batch's statistics "
                "and the like cannot be exported"
            )
