"""A symbol's JSON as a list of nodes: what MXNet's `Symbol.tojson()` and its saved `-symbol.json` files say."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# an operator's result: node number, result number
Entry = tuple[int, int]

# what tells where and how fast an operator runs, not what it computes
_WITHOUT_MEANING = frozenset(["workspace", "cudnn_tune", "cudnn_off", "cudnn_algo_verbose", "ctx_group", "force_mirroring", "sparse_grad"])


@dataclass(frozen=True, slots=True)
class SymbolNode:
    """One operator or variable.

    Attributes:
        op: MXNet's name; "null" for a variable.
        name: unique in most symbols.
        inputs: the results that it reads.
        attributes: what changes its result, parsed: "(2, 2)" is a tuple, "True" a bool, a word stays text.
        text: the same as MXNet writes it.
        written: the node as the JSON has it.
    """

    op: str
    name: str
    inputs: tuple[Entry, ...]
    attributes: dict[str, Any]
    text: dict[str, str]
    written: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Program:
    """A symbol: its nodes in order, and which results are its outputs."""

    nodes: tuple[SymbolNode, ...]
    heads: tuple[Entry, ...]

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables, in order."""
        return tuple([n.name for n in self.nodes if n.op == "null"])


def parse_value(text: str) -> Any:
    """An attribute's value: numbers, tuples, booleans and None; any other text is itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False}.get(text, text)


def parse(text: str) -> Program:
    """Read a symbol's JSON.

    Raises:
        ValueError: no symbol.
    """
    try:
        found = json.loads(text)
        written, heads = found["nodes"], found["heads"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"[Function] not the JSON of an MXNet symbol: {error}") from None
    nodes = []
    for node in written:
        # older files say "attr" or "param"
        attributes = node.get("attrs") or node.get("attr") or node.get("param") or {}
        kept = {k: str(v) for k, v in attributes.items() if not k.startswith("__") and k not in _WITHOUT_MEANING}
        inputs = tuple([(int(e[0]), int(e[1])) for e in node["inputs"]])
        nodes.append(SymbolNode(node["op"], node["name"], inputs, {k: parse_value(v) for k, v in kept.items()}, kept, node))
    return Program(tuple(nodes), tuple([(int(h[0]), int(h[1])) for h in heads]))


def single(node: SymbolNode, outputs: Sequence[int]) -> str:
    """A symbol of this operator alone, with variables `i0`, `i1` … for its inputs, as JSON."""
    count = len(node.inputs)
    leaves: list[dict[str, Any]] = [{"op": "null", "name": f"i{k}", "inputs": []} for k in range(count)]
    alone = {**{k: v for k, v in node.written.items() if k not in ("attr", "param", "control_deps")}, "attrs": node.text, "name": "alone"}
    alone["inputs"] = [[k, 0, 0] for k in range(count)]
    return json.dumps(
        {
            "nodes": [*leaves, alone],
            "arg_nodes": list(range(count)),
            "node_row_ptr": list(range(count + 2)),
            "heads": [[count, k, 0] for k in outputs],
            "attrs": {"mxnet_version": ["int", 10901]},
        }
    )
