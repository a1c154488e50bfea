"""`Function`: an MXNet symbol, or a Gluon block, as a differentiable function of arrays.

A call walks the symbol's nodes and records ours in their place, so that the symbol is part of whatever is recorded around it: a training
step with convolutions is one executor. What an operator becomes says `operators.py`; those that it does not know run alone (alone.py).
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as onp

from ..exec import mx
from ..numpy.array import Array
from ..numpy.convert import as_handle, chosen_dtype, host, plain
from ..trace.context import current_context
from ..trace.handle import Handle
from ..trace.op import TABLE
from ..trace.recorder import current
from ..trace.splice import Splicing
from .alone import run_alone
from .operators import OPERATORS, Call, Translator, Untranslated, translator_of
from .program import Program, SymbolNode, parse

Shape = tuple[int, ...]

# heads take their label as second input, and predict without it
_HEADS = ("SoftmaxOutput", "LinearRegressionOutput", "MAERegressionOutput", "LogisticRegressionOutput")


class Function:
    """An MXNet symbol as a function: `f(data=x, fc_weight=w, …)`, differentiable by `grad` as any function is.

    Args:
        symbol: an `mxnet.symbol.Symbol`, or a Gluon `HybridBlock`, whose parameters (those that are initialised) come with it.
        input_shapes: shapes of the inputs by name; only `get_params` and `get_output_shapes` need them, and they take them too.
        name: shown by `repr`.

    Attributes:
        is_train: whether batch normalisation takes the batch's statistics and dropout drops (True, as in MinPy, until it is set).
        params: values of arguments and auxiliary states that a call leaves out. Auxiliary states (running means and variances) that are not
            passed begin here as zeros and ones; each call in training moves those here, or the arrays that were passed, in place.
        arguments, auxiliary, outputs: the symbol's names.

    Example:
        >>> from minpy_jit.interop import mxnet
        >>> sym = mxnet().symbol
        >>> f = Function(sym.FullyConnected(sym.Variable("x"), num_hidden=1, no_bias=True, name="fc"))
        >>> f(x=[[1.0, 2.0]], fc_weight=[[3.0, 4.0]])
        array([[11.]])
    """

    def __init__(self, symbol: Any, input_shapes: Mapping[str, Shape] | None = None, name: str | None = None) -> None:
        self.params: dict[str, Any] = {}
        if input_shapes is not None and not isinstance(input_shapes, Mapping):
            raise TypeError(f"[Function] input_shapes must be a dict such as {{'x': (8, 3, 10, 10)}}; got {input_shapes!r}")
        self._inputs: tuple[str, ...] | None = None if input_shapes is None else tuple(input_shapes)
        if hasattr(symbol, "collect_params") and hasattr(symbol, "hybrid_forward"):
            symbol = self._from_block(symbol)
        if not (hasattr(symbol, "tojson") and hasattr(symbol, "list_arguments")):
            raise TypeError(f"[Function] takes an MXNet symbol or a Gluon HybridBlock; got {type(symbol).__name__}")
        self.symbol = symbol
        self.name = name or symbol.name or "symbol"
        self.is_train = True
        self.arguments: tuple[str, ...] = tuple(symbol.list_arguments())
        self.auxiliary: tuple[str, ...] = tuple(symbol.list_auxiliary_states())
        self.outputs: tuple[str, ...] = tuple(symbol.list_outputs())
        self._shapes: dict[str, Shape] = {k: tuple(v) for k, v in (input_shapes or {}).items()}
        unknown = [k for k in self._shapes if k not in self.arguments]
        if unknown:
            raise ValueError(f"[Function] input_shapes names {unknown[0]!r}; the symbol's arguments are {', '.join(self.arguments)}")
        self._program: Program = parse(symbol.tojson())
        self._counts = self._output_counts()
        self._labels = self._label_names()
        # by which splices know the function, without keeping it alive
        self._identity = object()
        self._names = frozenset((*self.arguments, *self.auxiliary))
        read = {i for entries in (*(n.inputs for n in self._program.nodes), self._program.heads) for i, _ in entries}
        self._read = tuple([n.name for i, n in enumerate(self._program.nodes) if n.op == "null" and i in read])
        # arrays that the symbol makes, of a length that follows from what they meet
        self._unsized = frozenset([n.name for n in self._program.nodes if n.op != "null" and _is_unsized(n)])
        self._steps = [(node, counts, _translation(node)) for node, counts in zip(self._program.nodes, self._counts, strict=True)]

    @classmethod
    def load(cls, prefix: str, epoch: int | None = None, name: str | None = None) -> Function:
        """A model that MXNet saved (`Module.save_checkpoint`, `HybridBlock.export`, or `fn.export` of ours).

        Args:
            prefix: of `<prefix>-symbol.json` and `<prefix>-<epoch>.params`.
            epoch: None: no parameters are read.

        Raises:
            FileNotFoundError: no such file.
        """
        package = mx.package()
        with open(f"{prefix}-symbol.json") as file:
            made = cls(package.symbol.load_json(file.read()), name=name)
        if epoch is not None:
            path = f"{prefix}-{epoch:04d}.params"
            with open(path, "rb"):
                # MXNet's own message about a missing file is a C++ stack
                found = package.nd.load(path)
            # (a file without any is an empty list to MXNet)
            for key, value in dict(found).items():
                made.params[key.partition(":")[2] if key[:4] in ("arg:", "aux:") else key] = as_handle(value.asnumpy())
        made.is_train = False
        return made

    def _from_block(self, block: Any) -> Any:
        """The symbol of a Gluon block; its initialised parameters are taken over."""
        package = mx.package()
        names = self._inputs or _input_names(block)
        found = _symbols(block(*[package.symbol.var(n) for n in names]))
        found = found[0] if len(found) == 1 else package.symbol.Group(found)
        self._inputs = names
        for key, parameter in block.collect_params().items():
            if parameter._data is not None:
                self.params[key] = as_handle(parameter.data().asnumpy())
        return found

    # -- the program ----------------------------------------------------------------------------------------------------------------------
    def _output_counts(self) -> list[int]:
        """How many results of each node are read."""
        counts = [1] * len(self._program.nodes)
        for entries in (*(n.inputs for n in self._program.nodes), self._program.heads):
            for node, k in entries:
                counts[node] = max(counts[node], k + 1)
        return counts

    def _label_names(self) -> frozenset[str]:
        """Variables that no prediction needs."""
        nodes = self._program.nodes
        readers: dict[int, set[bool]] = {}
        for node in nodes:
            for k, (source, _) in enumerate(node.inputs):
                readers.setdefault(source, set()).add(node.op in _HEADS and k == 1)
        heads = {node for node, _ in self._program.heads}
        return frozenset(nodes[i].name for i, kinds in readers.items() if nodes[i].op == "null" and kinds == {True} and i not in heads)

    def __call__(self, *args: Any, **arguments: Any) -> Any:
        """The symbol's result, or a list of them where it has several.

        Args:
            args: the inputs in order, where it is known which arguments are inputs: of a block, or with `input_shapes`.
            arguments: arrays by the symbol's names. What is in `params` may be left out, and, unless `is_train`, labels. Other names are
                passed over, so that a model can give all its parameters: `function(x=x, **model.params)`.

        Raises:
            TypeError: an argument is missing, or given twice.
            ValueError: shapes do not fit.
        """
        if args:
            self._name_positional(args, arguments)
        own = self._names
        values: dict[str, Any] = {
            key: value if type(value) is Array else as_handle(value) for key, value in arguments.items() if key in own
        }
        if len(values) < len(own):
            self._complete(values, [key for key in arguments if key not in own])
        is_train = bool(self.is_train)
        program = (self._identity, is_train, current_context(), chosen_dtype())
        splicing = Splicing(current(), program, [values[k] for k in self._read])
        known = splicing.replay()
        if known is None:
            outputs, updates = self._record(values, is_train)
            splicing.remember((*outputs, *updates.values()), tuple(updates))
        else:
            results, moved = known
            count = len(results) - len(moved)
            outputs, updates = results[:count], dict(zip(moved, results[count:], strict=True))
        for key, new in updates.items():
            values[key][...] = new
        if not self._shapes:
            self._shapes = {k: v.shape for k, v in values.items() if k in self.arguments and v is not None}
        return outputs[0] if len(outputs) == 1 else outputs

    def _record(self, values: Mapping[str, Any], is_train: bool) -> tuple[list[Any], dict[str, Any]]:
        """Walk through the program: the results, and the new values of auxiliary states by name."""
        call = Call(is_train)
        results: list[tuple[Any, ...]] = []
        sizes = self._sizes(values) if self._unsized else {}
        for node, count, translation in self._steps:
            if translation is None:
                results.append((values[node.name],))
                continue
            inputs = [results[i][k] for i, k in node.inputs]
            if isinstance(translation, str):
                found: Any = run_alone(call, node, inputs, count, translation)
            else:
                attributes = {**node.attributes, "shape": sizes[node.name]} if node.name in self._unsized else node.attributes
                try:
                    found = translation(call, *inputs, **attributes)
                except Untranslated as reason:
                    found = run_alone(call, node, inputs, count, str(reason))
            results.append(found if isinstance(found, tuple) else (found,))
        given = {id(v) for v in values.values()}
        outputs = [_own(results[i][k], given) for i, k in self._program.heads]
        return outputs, {k: call.updates[id(values[k])] for k in self.auxiliary if id(values[k]) in call.updates}

    def _sizes(self, values: Mapping[str, Any]) -> dict[str, Shape]:
        """Shapes of the arrays of which the symbol leaves a length open."""
        inside = self.symbol.get_internals()
        found = self._infer({k: v.shape for k, v in values.items() if k in self.arguments and v is not None}, inside)[1]
        return dict(zip([n.removesuffix("_output") for n in inside.list_outputs()], found, strict=True))

    def _name_positional(self, args: tuple[Any, ...], arguments: dict[str, Any]) -> None:
        if self._inputs is None or len(args) > len(self._inputs):
            known = "are not known" if self._inputs is None else f"are {', '.join(self._inputs)}"
            raise TypeError(
                f"[Function] {len(args)} positional argument(s), but the inputs of {self.name!r} {known}; pass arguments by name"
            )
        for key, value in zip(self._inputs, args, strict=False):
            if key in arguments:
                raise TypeError(f"[Function] {key!r} is given twice, by position and by name")
            arguments[key] = value

    def _complete(self, values: dict[str, Any], others: Sequence[str]) -> None:
        """Fill in what the call left out; names that are not the symbol's explain what is missing."""
        for key in self.arguments:
            if key not in values and key in self.params:
                values[key] = as_handle(self.params[key])
        missing = [k for k in self.arguments if k not in values]
        labels = [k for k in missing if k in self._labels and not self.is_train]
        if len(missing) > len(labels):
            absent = [k for k in missing if k not in labels]
            if others:
                raise TypeError(
                    f"[Function] {self.name!r} has no argument {others[0]!r}; it has {', '.join((*self.arguments, *self.auxiliary))}"
                )
            hint = "; set is_train = False to predict without labels" if all(k in self._labels for k in absent) else ""
            raise TypeError(f"[Function] {self.name!r} misses {', '.join(absent)}; its arguments are {', '.join(self.arguments)}{hint}")
        for key in self.auxiliary:
            if key not in values:
                values[key] = self._state(key, values)
        for key in labels:
            values[key] = None

    def _state(self, key: str, values: dict[str, Any]) -> Any:
        """An auxiliary state that was not passed: the one held here, or a new one."""
        if not isinstance(self.params.get(key), Handle):
            if key in self.params:
                made = onp.array(plain(self.params[key]))
            else:
                shapes = {k: v.shape for k, v in values.items() if k in self.arguments}
                shape = dict(zip(self.auxiliary, self._infer(shapes)[2], strict=True))[key]
                dtype = next((v.dtype for k, v in values.items() if k in self.arguments and v.dtype.kind == "f"), onp.dtype(onp.float32))
                first = onp.ones if key.endswith("var") else onp.zeros
                made = first(shape, dtype)
            self.params[key] = state = host(made)
            session = current().session
            if session is not None:
                session.outlives(state)
        return self.params[key]

    # -- shapes ---------------------------------------------------------------------------------------------------------------------------
    def _infer(self, shapes: Mapping[str, Shape], symbol: Any = None) -> tuple[list[Shape], list[Shape], list[Shape]]:
        """MXNet's inference: shapes of the arguments, the outputs and the auxiliary states."""
        try:
            with warnings.catch_warnings():
                # what is missing is said below
                warnings.simplefilter("ignore")
                found = (self.symbol if symbol is None else symbol).infer_shape(**shapes)
        except mx.package().base.MXNetError as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise ValueError(f"[Function] shapes of {self.name!r} do not fit: {lines[-1]}; given {dict(shapes)}") from None
        if found[0] is None:
            raise ValueError(
                f"[Function] shapes of {self.name!r} cannot be told from {dict(shapes) or 'nothing'}; give the shapes of all inputs, "
                "by input_shapes= or here by name"
            )
        arguments, outputs, states = [[tuple(s) for s in part] for part in found]
        return arguments, outputs, states

    def _known(self, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        return {k: tuple(v) for k, v in (shapes or self._shapes).items()}

    def get_params(self, **shapes: Shape) -> dict[str, dict[str, Shape]]:
        """`{name: {"shape": shape}}` of the arguments that are no inputs, as `ModelBase.add_params` takes it.

        Args:
            shapes: of the inputs, by name; else those of `input_shapes` are taken, or of the first call.

        Raises:
            ValueError: they do not suffice.
        """
        inputs = set(shapes) or set(self._inputs or ())
        found = self._infer(self._known(shapes))[0]
        return {k: {"shape": s} for k, s in zip(self.arguments, found, strict=True) if k not in inputs and k not in self._labels}

    def get_aux_params(self, **shapes: Shape) -> dict[str, dict[str, Shape]]:
        """The same of the auxiliary states."""
        return {k: {"shape": s} for k, s in zip(self.auxiliary, self._infer(self._known(shapes))[2], strict=True)}

    def get_output_shapes(self, **shapes: Shape) -> list[Shape]:
        """Shapes of the outputs, in order (see `get_params`)."""
        return self._infer(self._known(shapes))[1]

    def get_one_output_shape(self, **shapes: Shape) -> Shape:
        """The shape of the only output.

        Raises:
            ValueError: there are several.
        """
        found = self.get_output_shapes(**shapes)
        if len(found) != 1:
            raise ValueError(f"[Function] {self.name!r} has {len(found)} outputs: {', '.join(self.outputs)}; use get_output_shapes()")
        return found[0]

    def untranslated(self) -> dict[str, str]:
        """MXNet operators of this symbol that run in executors of their own whatever the shapes: node name -> operator."""
        return {n.name: n.op for n in self._program.nodes if n.op != "null" and n.op not in OPERATORS}

    def __repr__(self) -> str:
        return f"<Function {self.name}({', '.join(self.arguments)})>"


def _translation(node: SymbolNode) -> Translator | str | None:
    """What a node becomes: None for a variable; where there is nothing, the reason why."""
    if node.op == "null":
        return None
    try:
        return translator_of(node.op, node.attributes)
    except Untranslated as reason:
        return str(reason)


def _is_unsized(node: SymbolNode) -> bool:
    """Whether a node makes an array of which a length is left open: MXNet writes 0."""
    shape = node.attributes.get("shape")
    return not node.inputs and (shape == 0 or (isinstance(shape, tuple) and 0 in shape))


def _symbols(found: Any) -> list[Any]:
    """What a block returns, without its lists."""
    return [s for part in found for s in _symbols(part)] if isinstance(found, (list, tuple)) else [found]


def _own(result: Any, given: set[int]) -> Any:
    """A result as an array of its own, where it is an argument or a view of something."""
    if id(result) in given or (result.alias is not None and result.alias.base is not None):
        return TABLE["positive"](result) if result.dtype.kind != "b" else result.copy()
    return result


def _input_names(block: Any) -> tuple[str, ...]:
    """Names of a block's inputs, as Gluon gives them."""
    called = list(inspect.signature(block.__call__).parameters.values())
    if all(p.kind is not p.VAR_POSITIONAL for p in called):
        # its own call (that of recurrent layers may leave out the states)
        count = sum(p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty for p in called)
    else:
        forward = inspect.signature(block.hybrid_forward).parameters.values()
        own = set(getattr(block, "_reg_params", ()))
        # the first is `F`
        count = sum(p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty and p.name not in own for p in forward) - 1
    count = max(count, 1)
    return ("data",) if count == 1 else tuple([f"data{k}" for k in range(count)])
