"""Matrix and tensor products, and `numpy.linalg`'s inverse, determinant, solve and Cholesky factor.

A product's gradient is a product with one side transposed: `matmul` takes that as a parameter, so that no transpose is materialised.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.core.einsumfunc import _parse_einsum_input  # type: ignore[attr-defined]

from ..op import TABLE, Sample, Types, define
from ..types import ArrayType, Shape, array_type, broadcast_shapes
from . import kernels
from .creation import beside
from .families import FLOATS, broadcast_type, ufunc_loop

Dtypes = tuple[np.dtype | None, ...]


def _attr(values: Any) -> str:
    return f"({','.join(map(str, values))}{',' if len(values) == 1 else ''})"


def _text(shape: Shape) -> str:
    """A shape as NumPy's errors write it."""
    return str(tuple(shape)).replace(", ", ",")


def _reshape(low: Any, entry: Any, before: Shape, after: Shape) -> Any:
    return entry if before == after else low.node("_np_reshape", [entry], {"newshape": _attr(after)})


def _transpose(low: Any, entry: Any, axes: tuple[int, ...]) -> Any:
    return entry if axes == tuple(range(len(axes))) else low.node("transpose", [entry], {"axes": _attr(axes)})


def _loop(types: Types) -> np.dtype:
    """The dtype in which a product is computed."""
    return ufunc_loop(np.matmul, types)[0]


def _loop_dtypes(types: Types, params: dict[str, Any]) -> Dtypes:
    return (_loop(types),) * len(types)


def _fresh(shape: Shape, dtype: np.dtype, types: Types) -> ArrayType:
    return array_type(shape, dtype, None, not shape, None, types[0].context)


def _reshaped(x: Any, shape: Shape) -> Any:
    return x if x.type.shape == shape else TABLE["reshape"](x, shape=shape)


def _swapped(x: Any) -> Any:
    """The matrices transposed."""
    axes = list(range(x.type.ndim))
    axes[-1], axes[-2] = axes[-2], axes[-1]
    return TABLE["transpose"](x, axes=tuple(axes))


# -- matmul -------------------------------------------------------------------------------------------------------------------------------
def _swap(shape: Shape, transpose: bool) -> Shape:
    return (*shape[:-2], shape[-1], shape[-2]) if transpose else shape


def _infer_matmul(a: ArrayType, b: ArrayType, transpose_a: bool, transpose_b: bool) -> ArrayType:
    for k, t in enumerate((a, b)):
        if t.ndim == 0:
            raise ValueError(
                f"matmul: Input operand {k} does not have enough dimensions (has 0, gufunc core with signature (n?,k),(k,m?)->(n?,m?) "
                "requires 1)"
            )
    left, right = _swap(a.shape, transpose_a), _swap(b.shape, transpose_b)
    if left[-1] != right[-2 if b.ndim > 1 else -1]:
        raise ValueError(f"inner sizes differ: {left} @ {right}; transpose one argument?")
    batch = broadcast_shapes([left[:-2], right[:-2]])
    shape = batch + (left[-2:-1] if a.ndim > 1 else ()) + (right[-1:] if b.ndim > 1 else ())
    return _fresh(shape, _loop((a, b)), (a, b))


def _matmul(a: np.ndarray, b: np.ndarray, transpose_a: bool, transpose_b: bool) -> Any:
    # C order whatever the operands' is: NumPy orders the batch axes of a stack of matrices as the operands' are
    return np.matmul(a.swapaxes(-1, -2) if transpose_a else a, b.swapaxes(-1, -2) if transpose_b else b, order="C")


def _lower_matmul(low: Any, xs: list[Any], types: Types, result: ArrayType, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    """The cheapest operator by shape, NaiveEngine, float32: 32x64 @ 64x128 dot 11.1 µs, gemm2 11.2, _npi_matmul 11.2, _np_dot 11.6,
    FullyConnected (on the transposed side) 8.5; 32x128 @ 128x10 dot 4.0, _npi_matmul 4.2, FullyConnected 6.2. Transposing is free in dot.
    4x5x6 @ 6x7: dot 0.6, _npi_matmul 1.4; 4x5x6 @ 4x6x7: batch_dot 0.9, _npi_matmul 0.95."""
    a, b = types[0].shape, types[1].shape
    if len(a) == 1 and len(b) == 1:
        # dot would make an array of one element
        return low.node("_npi_matmul", xs)
    turned = {"transpose_a": int(transpose_a), "transpose_b": int(transpose_b)}
    if len(b) <= 2 and (len(a) <= 2 or not transpose_a):
        return low.node("dot", xs, turned)
    if len(a) >= 3 and a[:-2] == b[:-2]:
        count = math.prod(a[:-2])
        x, y = _reshape(low, xs[0], a, (count, *a[-2:])), _reshape(low, xs[1], b, (count, *b[-2:]))
        return _reshape(low, low.node("batch_dot", [x, y], turned), (count, *result.shape[-2:]), result.shape)
    x, y = (
        _transpose(low, e, (*range(len(s) - 2), len(s) - 1, len(s) - 2)) if t else e
        for e, s, t in zip(xs, (a, b), (transpose_a, transpose_b), strict=True)
    )
    return low.node("_npi_matmul", [x, y])


def _matmul_rule_a(g: Any, ans: Any, a: Any, b: Any, transpose_a: bool, transpose_b: bool) -> Any:
    multiply, matmul = TABLE["multiply"], TABLE["matmul"]
    if a.type.ndim == 1 and b.type.ndim == 1:
        return multiply(g, b)
    if b.type.ndim == 1:
        # each row of the result is a row of `a` times b: an outer product
        g = _reshaped(g, (*g.type.shape, 1))
        return multiply(_reshaped(b, (b.type.size, 1)), _swapped(g)) if transpose_a else multiply(g, b)
    if a.type.ndim == 1:
        g = _reshaped(g, (*g.type.shape[:-1], 1, g.type.shape[-1]))
        out = matmul(g, b, transpose_a=False, transpose_b=not transpose_b)
        return _reshaped(out, (*out.type.shape[:-2], out.type.shape[-1]))
    if transpose_a:
        return matmul(b, g, transpose_a=transpose_b, transpose_b=True)
    return matmul(g, b, transpose_a=False, transpose_b=not transpose_b)


def _matmul_rule_b(g: Any, ans: Any, a: Any, b: Any, transpose_a: bool, transpose_b: bool) -> Any:
    multiply, matmul = TABLE["multiply"], TABLE["matmul"]
    if a.type.ndim == 1 and b.type.ndim == 1:
        return multiply(g, a)
    if a.type.ndim == 1:
        g = _reshaped(g, (*g.type.shape[:-1], 1, g.type.shape[-1]))
        return multiply(_swapped(g), a) if transpose_b else multiply(_reshaped(a, (a.type.size, 1)), g)
    if b.type.ndim == 1:
        # the sum over the rows of every matrix at once
        rows, inner = g.type.size, b.type.size
        if a.type.ndim > 2 and transpose_a:
            a, transpose_a = _swapped(a), False
        if a.type.ndim > 2:
            a = _reshaped(a, (rows, inner))
        return matmul(_reshaped(g, (rows,)), a, transpose_a=False, transpose_b=transpose_a)
    if a.type.ndim > 2 and b.type.ndim == 2 and not transpose_a:
        # one product over all rows, where the pullback would sum a stack of them
        a = _reshaped(a, (math.prod(a.type.shape[:-1]), a.type.shape[-1]))
        g = _reshaped(g, (math.prod(g.type.shape[:-1]), g.type.shape[-1]))
    if transpose_b:
        return matmul(g, a, transpose_a=True, transpose_b=transpose_a)
    return matmul(a, g, transpose_a=not transpose_a, transpose_b=False)


matmul = define(
    "matmul",
    family="linalg",
    arity=2,
    params=("transpose_a", "transpose_b"),
    defaults={"transpose_a": False, "transpose_b": False},
    infer=_infer_matmul,
    numpy=_matmul,
    operand_dtypes=_loop_dtypes,
    mxnet=_lower_matmul,
    kernel=kernels.matmul,
    mxnet_dtypes=FLOATS,
    vjp=(_matmul_rule_a, _matmul_rule_b),
    samples=(
        Sample(((2, 3), (3, 4))),
        Sample(((3, 2), (4, 3)), {"transpose_a": True, "transpose_b": True}),
        Sample(((3, 2), (3, 4)), {"transpose_a": True}),
        Sample(((2, 3), (4, 3)), {"transpose_b": True}),
        Sample(((3,), (3,))),
        Sample(((2, 3), (3,))),
        Sample(((3, 2), (3,)), {"transpose_a": True}),
        Sample(((3,), (3, 4))),
        Sample(((3,), (4, 3)), {"transpose_b": True}),
        Sample(((2, 4, 3), (3,))),
        Sample(((2, 3, 4), (3,)), {"transpose_a": True}),
        Sample(((3,), (2, 3, 4))),
        Sample(((2, 4, 3), (3, 2))),
        Sample(((2, 3, 4), (3, 2)), {"transpose_a": True}),
        Sample(((4, 3), (2, 3, 2))),
        Sample(((2, 4, 3), (2, 3, 2))),
        Sample(((2, 3, 4), (2, 2, 3)), {"transpose_a": True, "transpose_b": True}),
        Sample(((2, 1, 4, 3), (3, 3, 2))),
        Sample(((2, 2, 4, 3), (2, 2, 3, 2))),
        Sample(((0, 3), (3, 2))),
        Sample(((2, 0), (0, 2))),
    ),
    doc="the matrix product a @ b, either side's last two axes swapped on request",
)


# -- tensordot, dot, inner, vdot, outer ---------------------------------------------------------------------------------------------------
Axes = tuple[tuple[int, ...], tuple[int, ...]]


def _free(ndim: int, summed: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(k for k in range(ndim) if k not in summed)


def _infer_tensordot(a: ArrayType, b: ArrayType, axes: Axes) -> ArrayType:
    left, right = axes
    if len(left) != len(right) or any(a.shape[i] != b.shape[j] for i, j in zip(left, right, strict=True)):
        raise ValueError("shape-mismatch for sum")
    shape = tuple(a.shape[k] for k in _free(a.ndim, left)) + tuple(b.shape[k] for k in _free(b.ndim, right))
    # NumPy reshapes a product of matrices: an array even where no axis is left
    return array_type(shape, _loop((a, b)), None, False, None, a.context)


def _order(axes: tuple[int, ...]) -> list[int]:
    """Positions of the summed axes by ascending axis of their array."""
    return sorted(range(len(axes)), key=lambda k: axes[k])


def _inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(order)), key=lambda k: order[k]))


def _tensordot_rule_a(g: Any, ans: Any, a: Any, b: Any, axes: Axes) -> Any:
    left, right = axes
    free_a, free_b = _free(a.type.ndim, left), _free(b.type.ndim, right)
    out = TABLE["tensordot"](g, b, axes=(tuple(range(len(free_a), g.type.ndim)), free_b))
    # out has a's free axes, then those of a that met b's summed axes, in b's order
    return TABLE["transpose"](out, axes=_inverse((*free_a, *(left[k] for k in _order(right)))))


def _tensordot_rule_b(g: Any, ans: Any, a: Any, b: Any, axes: Axes) -> Any:
    left, right = axes
    free_a, free_b = _free(a.type.ndim, left), _free(b.type.ndim, right)
    out = TABLE["tensordot"](a, g, axes=(free_a, tuple(range(len(free_a)))))
    return TABLE["transpose"](out, axes=_inverse((*(right[k] for k in _order(left)), *free_b)))


def _lower_tensordot(low: Any, xs: list[Any], types: Types, result: ArrayType, axes: Axes) -> Any:
    """As one product of matrices: transpose, reshape, dot (0.6 µs at 4x5x6 · 6x7), where _npi_tensordot takes 2.9."""
    (left, right), (a, b) = axes, (types[0].shape, types[1].shape)
    free_a, free_b = _free(len(a), left), _free(len(b), right)
    inner = math.prod(a[k] for k in left)
    x = _transpose(low, xs[0], (*free_a, *left)) if a else xs[0]
    y = _transpose(low, xs[1], (*right, *free_b)) if b else xs[1]
    rows, columns = math.prod(a[k] for k in free_a), math.prod(b[k] for k in free_b)
    x = _reshape(low, x, tuple(a[k] for k in (*free_a, *left)), (rows, inner))
    y = _reshape(low, y, tuple(b[k] for k in (*right, *free_b)), (inner, columns))
    return _reshape(low, low.node("dot", [x, y]), (rows, columns), result.shape)


tensordot = define(
    "tensordot",
    family="linalg",
    arity=2,
    params=("axes",),
    infer=_infer_tensordot,
    numpy=lambda a, b, axes: np.tensordot(a, b, axes),
    operand_dtypes=_loop_dtypes,
    mxnet=_lower_tensordot,
    mxnet_dtypes=FLOATS,
    vjp=(_tensordot_rule_a, _tensordot_rule_b),
    samples=(
        Sample(((2, 3), (3, 4)), {"axes": ((1,), (0,))}),
        Sample(((2, 3, 4), (4, 5, 2)), {"axes": ((0, 2), (2, 0))}),
        Sample(((2, 3, 4), (4, 3)), {"axes": ((2, 1), (0, 1))}),
        Sample(((2,), (3,)), {"axes": ((), ())}),
        Sample(((2, 3), (2, 3)), {"axes": ((0, 1), (0, 1))}, low=0.5),
    ),
    doc="a sum of products over given axes of both arrays",
)


def _dot_axes(a: ArrayType, b: ArrayType) -> Axes:
    return (a.ndim - 1,), (max(b.ndim - 2, 0),)


def _scaled(a: ArrayType, b: ArrayType, dtype: np.dtype) -> ArrayType:
    """dot and inner with a 0-d array: BLAS gives C order, NumPy's own loop for other dtypes the operand's."""
    return _fresh(a.shape or b.shape, dtype, (a, b)) if dtype.char in "fdFD" else broadcast_type((a, b), dtype)


def _infer_dot(a: ArrayType, b: ArrayType) -> ArrayType:
    dtype = _loop((a, b))
    if a.ndim == 0 or b.ndim == 0:
        return _scaled(a, b, dtype)
    (i,), (j,) = _dot_axes(a, b)
    if a.shape[i] != b.shape[j]:
        raise ValueError(f"shapes {_text(a.shape)} and {_text(b.shape)} not aligned: {a.shape[i]} (dim {i}) != {b.shape[j]} (dim {j})")
    return _fresh(a.shape[:-1] + b.shape[:j] + b.shape[j + 1 :], dtype, (a, b))


def _dot_rule(g: Any, ans: Any, a: Any, b: Any, operand: int) -> Any:
    other = a if operand else b
    if a.type.ndim == 0 or b.type.ndim == 0 or (a.type.ndim == 1 and b.type.ndim == 1):
        return TABLE["multiply"](g, other)
    if b.type.ndim <= 2:
        rule = _matmul_rule_b if operand else _matmul_rule_a
        return rule(g, ans, a, b, False, False)
    along = _tensordot_rule_b if operand else _tensordot_rule_a
    return along(g, ans, a, b, _dot_axes(a.type, b.type))


def _lower_dot(low: Any, xs: list[Any], types: Types, result: ArrayType) -> Any:
    a, b = types
    if a.ndim == 0 or b.ndim == 0:
        return low.node("_npi_multiply", xs)
    if b.ndim <= 2:
        return _lower_matmul(low, xs, types, result)
    return _lower_tensordot(low, xs, types, result, _dot_axes(a, b))


dot = define(
    "dot",
    family="linalg",
    arity=2,
    infer=_infer_dot,
    numpy=lambda a, b: np.dot(a, b),
    operand_dtypes=_loop_dtypes,
    mxnet=_lower_dot,
    kernel=kernels.matmul,
    mxnet_dtypes=FLOATS,
    vjp=(
        lambda g, ans, a, b: _dot_rule(g, ans, a, b, 0),
        lambda g, ans, a, b: _dot_rule(g, ans, a, b, 1),
    ),
    samples=(
        Sample(((3,), (3,))),
        Sample(((2, 3), (3,))),
        Sample(((3,), (3, 2))),
        Sample(((2, 3), (3, 4))),
        Sample(((2, 4, 3), (3,))),
        Sample(((2, 4, 3), (3, 2))),
        Sample(((2, 3), (2, 3, 4))),
        Sample(((3,), (2, 3, 4))),
        Sample(((), (2, 3))),
        Sample(((2, 3), ())),
    ),
    doc="a sum over the last axis of a and the second to last of b",
)


def _infer_inner(a: ArrayType, b: ArrayType) -> ArrayType:
    dtype = _loop((a, b))
    if a.ndim == 0 or b.ndim == 0:
        return _scaled(a, b, dtype)
    if a.shape[-1] != b.shape[-1]:
        turned = b.shape if b.ndim == 1 else (*b.shape[:-2], b.shape[-1], b.shape[-2])
        i, j = a.ndim - 1, max(b.ndim - 2, 0)
        raise ValueError(f"shapes {_text(a.shape)} and {_text(turned)} not aligned: {a.shape[-1]} (dim {i}) != {b.shape[-1]} (dim {j})")
    return _fresh(a.shape[:-1] + b.shape[:-1], dtype, (a, b))


def _inner_rule(g: Any, ans: Any, a: Any, b: Any, operand: int) -> Any:
    other = a if operand else b
    if a.type.ndim == 0 or b.type.ndim == 0 or (a.type.ndim == 1 and b.type.ndim == 1):
        return TABLE["multiply"](g, other)
    rule = _tensordot_rule_b if operand else _tensordot_rule_a
    return rule(g, ans, a, b, ((a.type.ndim - 1,), (b.type.ndim - 1,)))


def _lower_inner(low: Any, xs: list[Any], types: Types, result: ArrayType) -> Any:
    a, b = types
    if a.ndim == 0 or b.ndim == 0:
        return low.node("_npi_multiply", xs)
    if b.ndim == 1:
        return _lower_matmul(low, xs, types, result)
    if b.ndim == 2:
        return low.node("dot", xs, {"transpose_b": 1})
    return _lower_tensordot(low, xs, types, result, ((a.ndim - 1,), (b.ndim - 1,)))


inner = define(
    "inner",
    family="linalg",
    arity=2,
    infer=_infer_inner,
    numpy=lambda a, b: np.inner(a, b),
    operand_dtypes=_loop_dtypes,
    mxnet=_lower_inner,
    mxnet_dtypes=FLOATS,
    vjp=(
        lambda g, ans, a, b: _inner_rule(g, ans, a, b, 0),
        lambda g, ans, a, b: _inner_rule(g, ans, a, b, 1),
    ),
    samples=(
        Sample(((3,), (3,))),
        Sample(((2, 3), (4, 3))),
        Sample(((2, 3), (3,))),
        Sample(((3,), (4, 3))),
        Sample(((2, 3), (2, 4, 3))),
        Sample(((), (2, 3))),
    ),
    doc="a sum of products over the last axes",
)


def _infer_vdot(a: ArrayType, b: ArrayType) -> ArrayType:
    if a.size != b.size:
        raise ValueError(f"cannot reshape array of size {b.size} into shape {_text((a.size,))}")
    return _fresh((), _loop((a, b)), (a, b))


def _lower_vdot(low: Any, xs: list[Any], types: Types, result: ArrayType) -> Any:
    return low.node("_npi_matmul", [_reshape(low, x, t.shape, (t.size,)) for x, t in zip(xs, types, strict=True)])


def _conjugated(x: Any) -> Any:
    return TABLE["conjugate"](x) if x.type.dtype.kind == "c" else x


vdot = define(
    "vdot",
    family="linalg",
    arity=2,
    infer=_infer_vdot,
    numpy=lambda a, b: np.vdot(a, b),
    operand_dtypes=_loop_dtypes,
    mxnet=_lower_vdot,
    mxnet_dtypes=FLOATS,
    vjp=(
        lambda g, ans, a, b: _conjugated(_reshaped(TABLE["multiply"](g, b), a.type.shape)),
        lambda g, ans, a, b: _reshaped(TABLE["multiply"](g, _conjugated(a)), b.type.shape),
    ),
    samples=(Sample(((3,), (3,))), Sample(((2, 3), (6,))), Sample(((2, 3), (3, 2)))),
    doc="the dot product of two flattened arrays, the first one conjugated",
)


def _outer_dtypes(types: Types, params: dict[str, Any]) -> Dtypes:
    return ufunc_loop(np.multiply, types)[:2]


def _lower_outer(low: Any, xs: list[Any], types: Types, result: ArrayType) -> Any:
    a, b = types
    return low.node("_npi_multiply", [_reshape(low, xs[0], a.shape, (a.size, 1)), _reshape(low, xs[1], b.shape, (b.size,))])


outer = define(
    "outer",
    family="linalg",
    arity=2,
    infer=lambda a, b: array_type((a.size, b.size), ufunc_loop(np.multiply, (a, b))[-1], context=a.context),
    numpy=lambda a, b: np.outer(a, b),
    operand_dtypes=_outer_dtypes,
    mxnet=_lower_outer,
    mxnet_dtypes=FLOATS,
    vjp=(
        lambda g, ans, a, b: _reshaped(TABLE["matmul"](g, _reshaped(b, (b.type.size,))), a.type.shape),
        lambda g, ans, a, b: _reshaped(TABLE["matmul"](_reshaped(a, (a.type.size,)), g), b.type.shape),
    ),
    samples=(Sample(((3,), (4,))), Sample(((2, 3), (2,))), Sample(((), (2,)))),
    doc="products of every element of one array with every element of the other",
)


# -- einsum -------------------------------------------------------------------------------------------------------------------------------
@lru_cache(maxsize=4096)
def _explicit(subscripts: str, shapes: tuple[Shape, ...]) -> tuple[tuple[str, ...], str, dict[str, int]]:
    """Subscripts without an ellipsis: of each operand, of the result; and each letter's length.

    Raises:
        ValueError: NumPy's own, for subscripts that do not parse or shapes that do not fit.
    """
    dummies = [np.broadcast_to(np.zeros(()), s) for s in shapes]
    inputs, output, _ = _parse_einsum_input((subscripts, *dummies))
    terms = tuple(inputs.split(","))
    lengths: dict[str, int] = {}
    fit = len(terms) == len(shapes)
    for term, shape in zip(terms, shapes, strict=False):
        fit &= len(term) == len(shape)
        # a letter that one operand repeats takes its diagonal, which is not broadcast
        within: dict[str, int] = {}
        for letter, n in zip(term, shape, strict=False):
            before = lengths.get(letter, 1)
            fit &= (before in (1, n) or n == 1) and within.setdefault(letter, n) == n
            lengths[letter] = before if n == 1 else n
    if not fit:
        np.einsum(subscripts, *dummies)
        raise ValueError(f"einstein sum subscripts {subscripts!r} do not fit shapes {', '.join(map(_text, shapes))}")
    return terms, output, lengths


def _shapes(operands: Any) -> tuple[Shape, ...]:
    return tuple(o.type.shape for o in operands)


def _infer_einsum(*types: ArrayType, subscripts: str) -> ArrayType:
    _, output, lengths = _explicit(subscripts, tuple(t.shape for t in types))
    return _fresh(tuple(lengths[c] for c in output), _einsum_dtype(types), types)


def _einsum_dtype(types: Types) -> np.dtype:
    return np.result_type(*(t.dtype for t in types))


def _einsum(*arrays: np.ndarray, subscripts: str) -> Any:
    # C order, and never a view
    value = np.einsum(subscripts, *arrays, order="C")
    return np.array(value, order="C") if isinstance(value, np.ndarray) and value.ndim else value[()]


def _einsum_rule(g: Any, ans: Any, operands: tuple[Any, ...], index: int, subscripts: str) -> Any:
    terms, output, lengths = _explicit(subscripts, _shapes(operands))
    fresh = iter(c for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in lengths)
    # a letter that the operand repeats: its gradient lies on the diagonal, which a delta picks
    term, deltas = "", []
    for letter in terms[index]:
        if letter in term:
            new = next(fresh)
            deltas.append((letter + new, lengths[letter]))
            term += new
        else:
            term += letter
    others = [(t, o) for k, (t, o) in enumerate(zip(terms, operands, strict=True)) if k != index]
    present = set(output).union(*(t for t, _ in others), *(t for t, _ in deltas))
    eyes = [(t, beside(g, TABLE["eye"], rows=n, columns=n, k=0, dtype=g.type.dtype, context=g.type.context)) for t, n in deltas]
    parts = [(output, g), *others, *eyes]
    reached = "".join(c for c in term if c in present)
    out = TABLE["einsum"](*(o for _, o in parts), subscripts=f"{','.join(t for t, _ in parts)}->{reached}")
    if reached == term:
        return out
    # a letter that is only here was summed over: its gradient is the same along it
    shape = tuple(n for n in operands[index].type.shape)
    wide = tuple(out.type.shape[reached.index(c)] if c in reached else 1 for c in term)
    full = tuple(w if c in reached else n for c, w, n in zip(term, wide, shape, strict=True))
    return TABLE["broadcast_to"](_reshaped(out, wide), shape=full)


def _lower_einsum(low: Any, xs: list[Any], types: Types, result: ArrayType, subscripts: str) -> Any:
    """Two operands as one batch of matrix products (MXNet's own einsum is a plain loop: 13 µs where batch_dot takes 0.9)."""
    terms, output, lengths = _explicit(subscripts, tuple(t.shape for t in types))
    exact = all(t.shape == tuple(lengths[c] for c in s) for t, s in zip(types, terms, strict=True))
    if not exact or any(len(set(s)) < len(s) for s in terms):
        return NotImplemented
    if len(terms) == 1 and len(output) == len(terms[0]):
        return low.node("_copy", xs) if output == terms[0] else _transpose(low, xs[0], tuple(terms[0].index(c) for c in output))
    if len(terms) != 2:
        return NotImplemented
    a, b = terms
    batch = [c for c in output if c in a and c in b]
    summed = [c for c in a if c in b and c not in output]
    free_a, free_b = [c for c in output if c in a and c not in b], [c for c in output if c in b and c not in a]
    if len(batch) + len(summed) + len(free_a) != len(a) or len(batch) + len(summed) + len(free_b) != len(b):
        return NotImplemented

    def size(letters: list[str]) -> int:
        return math.prod(lengths[c] for c in letters)

    def arranged(entry: Any, term: str, groups: tuple[list[str], ...]) -> Any:
        order = [c for group in groups for c in group]
        turned = _transpose(low, entry, tuple(term.index(c) for c in order)) if order else entry
        shape = tuple(map(size, groups[0 if batch else 1 :]))
        return _reshape(low, turned, tuple(lengths[c] for c in order), shape)

    x = arranged(xs[0], a, (batch, free_a, summed))
    y = arranged(xs[1], b, (batch, summed, free_b))
    made = [*batch, *free_a, *free_b]
    flat = ((size(batch),) if batch else ()) + (size(free_a), size(free_b))
    out = _reshape(low, low.node("batch_dot" if batch else "dot", [x, y]), flat, tuple(lengths[c] for c in made))
    return _transpose(low, out, tuple(made.index(c) for c in output)) if output else out


einsum = define(
    "einsum",
    family="linalg",
    arity=None,
    params=("subscripts",),
    infer=_infer_einsum,
    numpy=_einsum,
    operand_dtypes=lambda types, params: (_einsum_dtype(types),) * len(types),
    mxnet=_lower_einsum,
    mxnet_dtypes=FLOATS,
    vjp=_einsum_rule,
    samples=(
        Sample(((2, 3), (3, 4)), {"subscripts": "ij,jk"}),
        Sample(((2, 3, 4), (2, 4, 3)), {"subscripts": "bij,bjk->kbi"}),
        Sample(((2, 3), (2, 3)), {"subscripts": "ij,ij->"}),
        Sample(((3, 3),), {"subscripts": "ii"}),
        Sample(((3, 3),), {"subscripts": "ii->i"}),
        Sample(((2, 3),), {"subscripts": "ij->j"}),
        Sample(((2, 3),), {"subscripts": "ij->ji"}),
        Sample(((2, 3), (3, 4), (4,)), {"subscripts": "ij,jk,k->i"}),
        Sample(((5, 2, 3), (3, 4)), {"subscripts": "...ij,jk->...ik"}),
        Sample(((2,), (3,)), {"subscripts": "i,j->ij"}),
    ),
    doc="Einstein's summation convention",
)


# -- numpy.linalg -------------------------------------------------------------------------------------------------------------------------
def _lapack(types: Types, name: str) -> np.dtype:
    """The dtype in which numpy.linalg works."""
    for t in types:
        if t.dtype.kind not in "biufc" or t.dtype in (np.float16, np.longdouble, np.clongdouble):
            raise TypeError(f"array type {t.dtype} is unsupported in linalg")
    dtypes = [t.dtype if t.dtype.kind in "fc" else np.dtype(np.float64) for t in types]
    return np.result_type(*dtypes)


def _square(t: ArrayType) -> None:
    if t.ndim < 2:
        raise np.linalg.LinAlgError(f"{t.ndim}-dimensional array given. Array must be at least two-dimensional")
    if t.shape[-1] != t.shape[-2]:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")


def _real(dtype: np.dtype) -> np.dtype:
    return np.zeros((), dtype).real.dtype


def _lapack_dtypes(types: Types, params: dict[str, Any]) -> Dtypes:
    return (_lapack(types, ""),) * len(types)


def _infer_inv(a: ArrayType) -> ArrayType:
    _square(a)
    return array_type(a.shape, _lapack((a,), "inv"), context=a.context)


def _wide(g: Any) -> Any:
    """A number per matrix as a matrix of one element per matrix."""
    return _reshaped(g, (*g.type.shape, 1, 1))


def _spread(low: float = 0.2) -> np.ndarray:
    """A well-conditioned stack of matrices for the samples."""
    base = np.array([[2.0, 0.3, -0.4], [0.1, 1.5, 0.2], [-0.3, 0.4, 1.8]])
    return np.stack([base, base.T + low])


_SQUARE = (Sample((_spread()[0],)), Sample((_spread(),)), Sample((_spread()[0].astype(np.float32),), differentiable=False))


def _inv_rule(g: Any, ans: Any, a: Any) -> Any:
    # d(A^-1) = -A^-1 dA A^-1
    left = TABLE["matmul"](ans, g, transpose_a=True, transpose_b=False)
    return TABLE["negative"](TABLE["matmul"](left, ans, transpose_a=False, transpose_b=True))


inv = define(
    "inv",
    family="linalg",
    arity=1,
    infer=_infer_inv,
    numpy=lambda a: np.linalg.inv(a),
    operand_dtypes=_lapack_dtypes,
    vjp=(_inv_rule,),
    raises=True,
    samples=_SQUARE,
    doc="the inverse of each matrix",
)


def _infer_det(a: ArrayType) -> ArrayType:
    _square(a)
    return _fresh(a.shape[:-2], _lapack((a,), "det"), (a,))


def _det_rule(g: Any, ans: Any, a: Any) -> Any:
    # d det A = det A tr(A^-1 dA)
    return TABLE["multiply"](_wide(TABLE["multiply"](g, ans)), _swapped(TABLE["inv"](a)))


det = define(
    "det",
    family="linalg",
    arity=1,
    infer=_infer_det,
    numpy=lambda a: np.linalg.det(a),
    operand_dtypes=_lapack_dtypes,
    vjp=(_det_rule,),
    raises=True,
    samples=_SQUARE,
    doc="the determinant of each matrix",
)


def _infer_slogdet(a: ArrayType) -> tuple[ArrayType, ArrayType]:
    _square(a)
    dtype = _lapack((a,), "slogdet")
    return _fresh(a.shape[:-2], dtype, (a,)), _fresh(a.shape[:-2], _real(dtype), (a,))


def _slogdet_rule(g: Any, ans: Any, a: Any) -> Any:
    # d log|det A| = tr(A^-1 dA); the sign is piecewise constant
    return None if g[1] is None else TABLE["multiply"](_wide(g[1]), _swapped(TABLE["inv"](a)))


slogdet = define(
    "slogdet",
    family="linalg",
    arity=1,
    outputs=2,
    infer=_infer_slogdet,
    numpy=lambda a: tuple(np.linalg.slogdet(a)),
    operand_dtypes=_lapack_dtypes,
    vjp=(_slogdet_rule,),
    raises=True,
    samples=_SQUARE,
    doc="sign and logarithm of the absolute value of each determinant",
)


def _is_vector(a: Any, b: Any) -> bool:
    """NumPy 1's rule: a right-hand side with one axis less than the matrices is a stack of vectors."""
    return bool(b.ndim == a.ndim - 1)


def _infer_solve(a: ArrayType, b: ArrayType) -> ArrayType:
    _square(a)
    dtype = _lapack((a, b), "solve")
    n = a.shape[-1]
    if _is_vector(a, b):
        if b.shape[-1] != n:
            raise ValueError(
                f"solve1: Input operand 1 has a mismatch in its core dimension 0, with gufunc signature (m,m),(m)->(m) "
                f"(size {b.shape[-1]} is different from {n})"
            )
        shape = (*broadcast_shapes([a.shape[:-2], b.shape[:-1]]), n)
    else:
        if b.ndim < 2:
            raise ValueError(
                f"solve: Input operand 1 does not have enough dimensions (has {b.ndim}, gufunc core with signature (m,m),(m,n)->(m,n) "
                "requires 2)"
            )
        if b.shape[-2] != n:
            raise ValueError(
                f"solve: Input operand 1 has a mismatch in its core dimension 0, with gufunc signature (m,m),(m,n)->(m,n) "
                f"(size {b.shape[-2]} is different from {n})"
            )
        shape = (*broadcast_shapes([a.shape[:-2], b.shape[:-2]]), n, b.shape[-1])
    return array_type(shape, dtype, context=a.context)


def _solve_rule_b(g: Any, ans: Any, a: Any, b: Any) -> Any:
    a = _swapped(a)
    if not _is_vector(a.type, b.type) and _is_vector(a.type, g.type):
        # broadcasting gave the result an axis less than it would need to be told from a vector
        a = _reshaped(a, (1, *a.type.shape))
    return TABLE["solve"](a, g)


def _solve_rule_a(g: Any, ans: Any, a: Any, b: Any) -> Any:
    # A x = b: gA = -A^-T g x^T
    back = _solve_rule_b(g, ans, a, b)
    if _is_vector(a.type, b.type):
        outer_ = TABLE["multiply"](_reshaped(back, (*back.type.shape, 1)), _reshaped(ans, (*ans.type.shape[:-1], 1, ans.type.shape[-1])))
    else:
        outer_ = TABLE["matmul"](back, ans, transpose_a=False, transpose_b=True)
    return TABLE["negative"](outer_)


solve = define(
    "solve",
    family="linalg",
    arity=2,
    infer=_infer_solve,
    numpy=lambda a, b: np.linalg.solve(a, b),
    operand_dtypes=_lapack_dtypes,
    vjp=(_solve_rule_a, _solve_rule_b),
    raises=True,
    samples=(
        Sample((_spread()[0], (3,)), dtypes=("float64", "float32", "int64")),
        Sample((_spread()[0], (3, 2)), dtypes=("float64", "float32")),
        Sample((_spread(), (2, 3)), dtypes=("float64",)),
        Sample((_spread(), (2, 3, 2)), dtypes=("float64",)),
        Sample((_spread()[0], (2, 3, 2)), dtypes=("float64",)),
    ),
    doc="x with a @ x = b",
)


def _cholesky_rule(g: Any, ans: Any, a: Any) -> Any:
    """I. Murray, Differentiation of the Cholesky decomposition (2016), equation 10: L^-T Phi(L^T g) L^-1, made symmetric."""
    matmul, tril_, half = TABLE["matmul"], TABLE["tril"], TABLE["multiply"]
    product = matmul(ans, tril_(g, k=0), transpose_a=True, transpose_b=False)
    phi = half(TABLE["add"](tril_(product, k=0), tril_(product, k=-1)), 0.5)
    inverse = TABLE["inv"](ans)
    s = matmul(matmul(inverse, phi, transpose_a=True, transpose_b=False), inverse)
    return half(TABLE["add"](s, _swapped(s)), 0.5)


def _symmetric() -> np.ndarray:
    base = _spread()
    return base @ base.swapaxes(-1, -2)


cholesky = define(
    "cholesky",
    family="linalg",
    arity=1,
    infer=_infer_inv,
    numpy=lambda a: np.linalg.cholesky(a),
    operand_dtypes=_lapack_dtypes,
    vjp=(_cholesky_rule,),
    raises=True,
    # NumPy reads one triangle of the matrix, while the gradient is that of a function of symmetric matrices: finite differences of single
    # elements show it for a 1x1 matrix only
    samples=(
        Sample((np.array([[2.5]]),)),
        Sample((_symmetric()[0],), differentiable=False),
        Sample((_symmetric(),), differentiable=False),
    ),
    doc="the lower Cholesky factor of each matrix",
)
