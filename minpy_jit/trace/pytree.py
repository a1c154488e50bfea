"""Containers of arrays: lists, tuples (named ones too) and dicts, nested. Anything else is a leaf."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any


class Structure:
    """The shape of a container; equal containers compare equal. `build(leaves)` makes one again."""

    __slots__ = ("_hash", "children", "flat", "keys", "kind")

    def __init__(self, kind: Any, keys: tuple[Any, ...], children: tuple[Structure, ...]) -> None:
        self.kind, self.keys, self.children = kind, keys, children
        # a plain list, tuple or dict of leaves: the usual case, built without recursion
        self.flat: bool = kind in (list, tuple, dict) and all(c is LEAF for c in children)
        self._hash = hash((kind, keys, children))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Structure) and (self.kind, self.keys, self.children) == (other.kind, other.keys, other.children)

    def __hash__(self) -> int:
        return self._hash

    def build(self, leaves: Iterable[Any]) -> Any:
        """The container with these leaves, in order."""
        if self is LEAF:
            (leaf,) = leaves
            return leaf
        if self.flat:
            return dict(zip(self.keys, leaves, strict=True)) if self.kind is dict else self.kind(leaves)
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


LEAF: Structure = Structure(None, (), ())
# all structures, and those of plain containers of leaves by kind and length or keys, which is quicker; bounded by dropping all
_known: dict[Any, Structure] = {}
_flat: dict[Any, Structure] = {}


def _structure(kind: Any, keys: tuple[Any, ...], children: tuple[Structure, ...]) -> Structure:
    """The structure, the same object as before where it is known."""
    key = (kind, keys, children)
    found = _known.get(key)
    if found is None:
        if len(_known) > 4096:
            _known.clear()
        found = _known[key] = Structure(kind, keys, children)
    return found


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """(leaves, structure)."""
    kind = type(tree)
    if kind is dict:
        leaves = list(tree.values())
        key: Any = tuple(tree)
    elif kind is list or kind is tuple:
        leaves = list(tree)
        key = len(leaves)
    elif isinstance(tree, (dict, list, tuple)):
        leaves = []
        return leaves, _flatten(tree, leaves)
    else:
        return [tree], LEAF
    for leaf in leaves:
        if isinstance(leaf, (dict, list, tuple)):
            leaves = []
            return leaves, _flatten(tree, leaves)
    found = _flat.get((kind, key))
    if found is None:
        if len(_flat) > 4096:
            _flat.clear()
        found = _flat[kind, key] = _structure(kind, key if kind is dict else (), (LEAF,) * len(leaves))
    return leaves, found


def _flatten(tree: Any, leaves: list[Any]) -> Structure:
    """The structure of a container, its leaves appended to `leaves`."""
    is_dict = isinstance(tree, dict)
    children = []
    for value in tree.values() if is_dict else tree:
        if isinstance(value, (dict, list, tuple)):
            children.append(_flatten(value, leaves))
        else:
            leaves.append(value)
            children.append(LEAF)
    return _structure(type(tree), tuple(tree) if is_dict else (), tuple(children))


def tree_map(function: Callable[[Any], Any], tree: Any) -> Any:
    """The container with `function` applied to each leaf."""
    leaves, structure = flatten(tree)
    return structure.build([function(leaf) for leaf in leaves])
