"""The op table's entries, by family. Importing this package fills the table; `ops.add`, `ops.sum` … are the entries.

NumPy's aliases (`true_divide`, `abs`, `mod` …) name the same entries as the ufuncs they stand for.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..op import TABLE, Op
from . import (
    cast,
    composite,
    creation,
    elementwise,
    index_spec,
    indexing,
    layers,
    linalg,
    neural,
    norms,
    pooling,
    recurrent,
    reduction,
    shape,
    sorting,
    special,
    strided,
)

__all__ = [
    "ALIASES",
    "cast",
    "composite",
    "creation",
    "elementwise",
    "index_spec",
    "indexing",
    "layers",
    "linalg",
    "neural",
    "norms",
    "op",
    "pooling",
    "recurrent",
    "reduction",
    "shape",
    "sorting",
    "special",
    "strided",
]

ALIASES: dict[str, str] = {
    name: value.__name__ for name, value in vars(np).items() if isinstance(value, np.ufunc) and value.__name__ != name
}


def op(name: str) -> Op:
    """The entry of that name."""
    return TABLE[ALIASES.get(name, name)]


def __getattr__(name: str) -> Any:
    try:
        return TABLE[ALIASES.get(name, name)]
    except KeyError:
        raise AttributeError(f"the op table has no entry {name!r}") from None
