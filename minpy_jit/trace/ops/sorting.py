"""Sorting and searching: NaNs last, as NumPy. MXNet sorts integers only (it puts NaNs anywhere); the rest runs on the host, argsort too:
MXNet's is not stable, and of NumPy's default sort programs may have seen the order of ties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..op import TABLE, ZERO_GRADIENT, Op, Ref, Sample, Types, define
from ..types import ArrayType, array_type, copied_strides
from .families import INT64, INTEGERS
from .reduction import too_large

_SORT_SAMPLES = (
    *(Sample((s,), {"axis": a, "stable": True}) for s, a in (((6,), 0), ((3, 4), 0), ((3, 4), 1), ((2, 3, 4), 1), ((0, 3), 0))),
    Sample((np.array([3.0, np.nan, -np.inf, 1.0, np.nan, np.inf]),), {"axis": 0, "stable": True}, differentiable=False),
    # many ties: an algorithm that is not stable shows it on more than sixteen elements
    Sample((np.arange(60) * 7 % 5,), {"axis": 0, "stable": True}, differentiable=False),
)


def _kind(stable: bool) -> Any:
    return "stable" if stable else None


def _infer_sorted(x: ArrayType, **params: Any) -> ArrayType:
    # NumPy sorts a copy that keeps the memory order
    return array_type(x.shape, x.dtype, copied_strides(x, x.dtype), context=x.context)


def _infer_positions(x: ArrayType, **params: Any) -> ArrayType:
    return array_type(x.shape, INT64, context=x.context)


def _unsort(g: Ref, positions: Ref, axis: int) -> Ref:
    """Send each element back to where `positions` took it from: a gather by the inverse permutation."""
    return TABLE["take_along_axis"](g, argsort(positions, axis=axis, stable=True), axis=axis)


def _lower_sort(low: Any, xs: list[Any], types: Types, result: ArrayType, axis: int, stable: bool) -> Any:
    return NotImplemented if too_large(types[0]) else low.node("sort", xs, {"axis": axis})


sort = define(
    "sort",
    family="sort",
    arity=1,
    params=("axis", "stable"),
    defaults={"stable": False},
    infer=_infer_sorted,
    numpy=lambda x, axis, stable: np.sort(x, axis, _kind(stable)),
    mxnet=_lower_sort,
    mxnet_dtypes=INTEGERS,
    vjp=(lambda g, ans, x, axis, stable: _unsort(g, argsort(x, axis=axis, stable=True), axis),),
    samples=_SORT_SAMPLES,
    doc="a sorted copy; the gradient goes back to where the elements came from",
)
argsort: Op = define(
    "argsort",
    family="sort",
    arity=1,
    params=("axis", "stable"),
    defaults={"stable": False},
    infer=_infer_positions,
    numpy=lambda x, axis, stable: np.argsort(x, axis, _kind(stable)),
    vjp=ZERO_GRADIENT,
    samples=_SORT_SAMPLES,
    doc="positions that would sort",
)


def _require_kth(x: ArrayType, kth: tuple[int, ...], axis: int) -> None:
    n = x.shape[axis]
    for k in kth:
        if n and not -n <= k < n:
            raise ValueError(f"kth(={k + n if k < 0 else k}) out of bounds ({n})")


def _partition_op(name: str, infer: Callable[..., ArrayType], function: Callable[..., Any], vjp: Any, doc: str) -> Op:
    def checked(x: ArrayType, kth: tuple[int, ...], axis: int) -> ArrayType:
        _require_kth(x, kth, axis)
        return infer(x)

    return define(
        name,
        family="sort",
        arity=1,
        params=("kth", "axis"),
        infer=checked,
        numpy=lambda x, kth, axis: function(x, kth, axis),
        vjp=vjp,
        samples=(
            Sample(((6,),), {"kth": (2,), "axis": 0}),
            Sample(((3, 5),), {"kth": (1, 3), "axis": 1}),
            Sample(((5, 2),), {"kth": (-2,), "axis": 0}),
        ),
        doc=doc,
    )


argpartition = _partition_op("argpartition", _infer_positions, np.argpartition, ZERO_GRADIENT, "positions that would partition")
partition = _partition_op(
    "partition",
    _infer_sorted,
    np.partition,
    (lambda g, ans, x, kth, axis: _unsort(g, argpartition(x, kth=kth, axis=axis), axis),),
    "a copy in which the k-th elements stand where sorting would put them",
)


def _infer_searchsorted(a: ArrayType, v: ArrayType, side: str) -> ArrayType:
    if a.ndim != 1:
        raise ValueError("object too deep for desired array" if a.ndim else "object of too small depth for desired array")
    np.promote_types(a.dtype, v.dtype)
    return array_type(v.shape, INT64, None, not v.shape, None, a.context)


searchsorted = define(
    "searchsorted",
    family="sort",
    arity=2,
    params=("side",),
    defaults={"side": "left"},
    infer=_infer_searchsorted,
    numpy=lambda a, v, side: np.searchsorted(a, v, side),
    vjp=ZERO_GRADIENT,
    samples=(
        Sample((np.array([0.0, 1.0, 1.0, 2.0, np.inf]), (2, 3)), {"side": "left"}),
        Sample((np.array([0.0, 1.0, 1.0, 2.0]), np.array([1.0, 1.5, np.nan])), {"side": "right"}),
        Sample((np.array([0.0, 1.0, 1.0, 2.0]), ()), {"side": "right"}),
    ),
    doc="where elements would be inserted to keep order",
)
