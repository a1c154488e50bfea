"""Containers of arrays: lists, tuples (named ones too) and dicts, nested. Anything else is a leaf."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any


class Structure:
    """The shape of a container; equal containers compare equal. `build(leaves)` makes one again."""

    __slots__ = ("children", "keys", "kind")

    def __init__(self, kind: Any, keys: tuple[Any, ...], children: tuple[Structure, ...]) -> None:
        self.kind, self.keys, self.children = kind, keys, children

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Structure) and (self.kind, self.keys, self.children) == (other.kind, other.keys, other.children)

    def __hash__(self) -> int:
        return hash((self.kind, self.keys, self.children))

    def build(self, leaves: Iterable[Any]) -> Any:
        """The container with these leaves, in order."""
        return self._build(iter(leaves))

    def _build(self, leaves: Iterator[Any]) -> Any:
        if self.kind is None:
            return next(leaves)
        values = [c._build(leaves) for c in self.children]
        if self.kind is dict or issubclass(self.kind, dict):
            return self.kind(zip(self.keys, values, strict=True))
        if hasattr(self.kind, "_fields"):
            return self.kind(*values)
        return self.kind(values)


LEAF = Structure(None, (), ())


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """(leaves, structure)."""
    leaves: list[Any] = []
    return leaves, _flatten(tree, leaves)


def _flatten(tree: Any, leaves: list[Any]) -> Structure:
    if isinstance(tree, dict):
        return Structure(type(tree), tuple(tree), tuple([_flatten(v, leaves) for v in tree.values()]))
    if isinstance(tree, (list, tuple)):
        return Structure(type(tree), (), tuple([_flatten(v, leaves) for v in tree]))
    leaves.append(tree)
    return LEAF


def tree_map(function: Callable[[Any], Any], tree: Any) -> Any:
    """The container with `function` applied to each leaf."""
    leaves, structure = flatten(tree)
    return structure.build([function(leaf) for leaf in leaves])
