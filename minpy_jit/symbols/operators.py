"""MXNet's operators in terms of ours: a table {operator: translator}, what a symbol becomes when it is called.

A translator gets the `Call`, the operator's inputs as arrays, and its attributes as keyword arguments, which have MXNet's names and
defaults; it returns the operator's result, or a tuple of them. An attribute that it does not name, or one that it cannot honour
(`Untranslated`), sends the operator to an executor of its own.

Shapes are MXNet's: a reduction over everything has shape (1,), not ().
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as onp

from .. import numpy as _namespace
from ..numpy.convert import host
from ..trace.op import TABLE, Op
from ..trace.ops import composite, layers
from . import heads

# its names are made at run time
np: Any = _namespace
Array = Any
Translator = Callable[..., Any]


class Untranslated(Exception):
    """This use of an operator has no translation; the text says why."""


class Call:
    """One call of a symbol.

    Attributes:
        is_train: whether batch statistics are used, and dropout drops.
        updates: new values of auxiliary states, by the identity of the array that they replace.
    """

    __slots__ = ("is_train", "updates")

    def __init__(self, is_train: bool) -> None:
        self.is_train = is_train
        self.updates: dict[int, Array] = {}


OPERATORS: dict[str, Translator] = {}
_accepted: dict[str, frozenset[str] | None] = {}


def operator(*names: str) -> Callable[[Translator], Translator]:
    """Enter a translator under MXNet's name(s)."""

    def enter(translate: Translator) -> Translator:
        parameters = inspect.signature(translate).parameters.values()
        accepted = None if any(p.kind is p.VAR_KEYWORD for p in parameters) else frozenset(p.name for p in parameters)
        for name in names:
            OPERATORS[name], _accepted[name] = translate, accepted
        return translate

    return enter


def translator_of(name: str, attributes: dict[str, Any]) -> Translator:
    """The translator of an operator with these attributes.

    Raises:
        Untranslated: there is none.
    """
    found = OPERATORS.get(name)
    if found is None:
        raise Untranslated(f"MXNet's {name} has no translation")
    accepted = _accepted[name]
    for key in attributes:
        if accepted is not None and key not in accepted:
            raise Untranslated(f"MXNet's {name} has no translation with {key}={attributes[key]!r}")
    return found


def _require(name: str, value: Any, *legal: Any) -> None:
    if value not in legal:
        raise Untranslated(f"no translation for {name}={value!r}")


def _several(value: Any) -> tuple[int, ...]:
    """An attribute of several numbers, of which a single one may stand by itself."""
    return value if isinstance(value, tuple) else (value,)


def _reshaped(x: Array, shape: Sequence[int]) -> Array:
    if -1 in shape:
        known = math.prod([n for n in shape if n != -1])
        shape = [x.size // known if n == -1 else n for n in shape]
    return TABLE["reshape"](x, shape=tuple(shape))


def _as(x: Array, dtype: Any) -> Array:
    dtype = onp.dtype(dtype)
    return x if x.dtype == dtype else TABLE["astype"](x, dtype=dtype)


def _like(x: Array, number: float) -> Any:
    """A number as it meets x: MXNet keeps the dtype of integers, so a whole number becomes an int."""
    return int(number) if x.dtype.kind in "iu" and float(number).is_integer() else float(number)


# -- element by element -------------------------------------------------------------------------------------------------------------------
def _unary(name: str, function: Callable[[Array], Array] | Op) -> None:
    operator(name)(lambda call, x: function(x))


def _round(x: Array) -> Array:
    # half away from zero, where NumPy takes half to even
    return np.sign(x) * np.floor(np.abs(x) + 0.5)


for _name, _ours in {
    **dict.fromkeys(("_copy", "identity", "_identity_with_attr_like_rhs"), "positive"),
    **{"abs": "absolute", "fix": "trunc", "BlockGrad": "stop_gradient"},
    **{
        n: n
        for n in (
            *("arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "cbrt", "ceil", "cos", "cosh", "degrees", "erf", "exp"),
            *("expm1", "floor", "log", "log10", "log1p", "log2", "negative", "radians", "reciprocal", "relu", "rint", "sigmoid", "sign"),
            *("sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc"),
        )
    },
}.items():
    _unary(_name, TABLE[_ours])
_unary("rsqrt", lambda x: 1.0 / np.sqrt(x))
_unary("rcbrt", lambda x: 1.0 / np.cbrt(x))
_unary("round", _round)
_unary("softsign", lambda x: x / (1.0 + np.abs(x)))
_unary("zeros_like", np.zeros_like)
_unary("ones_like", np.ones_like)
_unary("make_loss", lambda x: heads.loss_output(x, grad_scale=1.0))
_unary("logical_not", lambda x: _as(np.equal(x, 0), x.dtype))


def _binary(names: Sequence[str], function: Callable[[Array, Array], Array]) -> None:
    operator(*names)(lambda call, x, y: function(x, y))


def _truth(function: Callable[[Any, Any], Array]) -> Callable[[Any, Any], Array]:
    """A comparison as MXNet's legacy operators give it: numbers of the first operand's dtype."""
    return lambda x, y: _as(function(x, y), x.dtype)


_ARITHMETIC = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}
for _name, _function in _ARITHMETIC.items():
    _binary((f"elemwise_{_name}", f"broadcast_{_name}"), _function)
_binary(("_grad_add",), np.add)
_BINARY = {"maximum": np.maximum, "minimum": np.minimum, "power": np.power, "hypot": np.hypot, "mod": np.remainder}
_COMPARISONS = {
    "equal": np.equal,
    "not_equal": np.not_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "lesser": np.less,
    "lesser_equal": np.less_equal,
    **{f"logical_{n}": getattr(np, f"logical_{n}") for n in ("and", "or", "xor")},
}
for _name, _function in {**_BINARY, **{n: _truth(f) for n, f in _COMPARISONS.items()}}.items():
    _binary((f"_{_name}", f"broadcast_{_name}"), _function)


def _with_number(name: str, function: Callable[[Any, Any], Array], reverse: bool = False) -> None:
    def meet(call: Call, x: Array, *, scalar: float, is_int: bool = True) -> Array:
        number = _like(x, scalar)
        return function(number, x) if reverse else function(x, number)

    operator(name)(meet)


for _name, _function in {"plus": np.add, "minus": np.subtract, "mul": np.multiply, "div": np.divide, **_BINARY}.items():
    _with_number(f"_{_name}_scalar", _function)
for _name, _function in {"minus": np.subtract, "div": np.divide, "mod": np.remainder, "power": np.power}.items():
    _with_number(f"_r{_name}_scalar", _function, reverse=True)
for _name, _function in _COMPARISONS.items():
    _with_number(f"_{_name}_scalar", _truth(_function))


@operator("add_n")
def _add_n(call: Call, *xs: Array, num_args: int = 0) -> Array:
    total = xs[0]
    for x in xs[1:]:
        total = total + x
    return total if len(xs) > 1 else np.positive(total)


@operator("clip")
def _clip(call: Call, x: Array, *, a_min: float, a_max: float) -> Array:
    return np.clip(x, a_min, a_max)


@operator("Cast")
def _cast(call: Call, x: Array, *, dtype: str) -> Array:
    return TABLE["astype"](x, dtype=onp.dtype(dtype))


@operator("where")
def _where(call: Call, condition: Array, x: Array, y: Array) -> Array:
    chosen = condition != 0
    if chosen.ndim == 1 and x.ndim > 1:
        chosen = _reshaped(chosen, (-1, *[1] * (x.ndim - 1)))
    return np.where(chosen, x, y)


@operator("smooth_l1")
def _smooth_l1(call: Call, x: Array, *, scalar: float = 1.0, is_int: bool = True) -> Array:
    squared = scalar * scalar
    return np.where(np.abs(x) < 1.0 / squared, 0.5 * squared * x * x, np.abs(x) - 0.5 / squared)


@operator("hard_sigmoid")
def _hard_sigmoid(call: Call, x: Array, *, alpha: float = 0.2, beta: float = 0.5) -> Array:
    return np.clip(alpha * x + beta, 0.0, 1.0)


# -- reductions ---------------------------------------------------------------------------------------------------------------------------
def _axes(x: Array, axis: Any, exclude: bool = False) -> tuple[int, ...]:
    """The reduced axes of MXNet's `axis` and `exclude`."""
    if axis is None or axis == ():
        return tuple(range(x.ndim)) if not exclude or axis is None else ()
    given = {a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))}
    return tuple([a for a in range(x.ndim) if (a in given) is not exclude])


def _kept(y: Array) -> Array:
    """A result with at least one axis."""
    return _reshaped(y, (1,)) if y.ndim == 0 else y


def _reduction(name: str, function: Callable[..., Array]) -> None:
    def reduce(call: Call, x: Array, *, axis: Any = None, keepdims: bool = False, exclude: bool = False) -> Array:
        return _kept(function(x, axis=_axes(x, axis, bool(exclude)), keepdims=bool(keepdims)))

    operator(name)(reduce)


for _name in ("sum", "mean", "prod", "nansum", "nanprod", "max", "min"):
    _reduction(_name, getattr(np, _name))


@operator("norm")
def _norm(call: Call, x: Array, *, ord: int = 2, axis: Any = None, keepdims: bool = False) -> Array:
    _require("ord", ord, 1, 2)
    axes = _axes(x, axis)
    if ord == 1:
        return _kept(np.sum(np.abs(x), axis=axes, keepdims=bool(keepdims)))
    return _kept(np.sqrt(np.sum(x * x, axis=axes, keepdims=bool(keepdims))))


def _position(name: str, function: Callable[..., Array]) -> None:
    def find(call: Call, x: Array, *, axis: int | None = None, keepdims: bool = False) -> Array:
        # numbers of x's dtype, as MXNet's legacy operators give them
        return _kept(_as(function(x, axis=axis, keepdims=bool(keepdims)), x.dtype if x.dtype.kind == "f" else onp.float32))

    operator(name)(find)


_position("argmax", np.argmax)
_position("argmin", np.argmin)
operator("argmax_channel")(lambda call, x: _as(np.argmax(x, axis=1), x.dtype))


@operator("L2Normalization")
def _l2_normalization(call: Call, x: Array, *, eps: float = 1e-10, mode: str = "instance") -> Array:
    _require("mode", mode, "instance", "channel", "spatial")
    axes = {"instance": tuple(range(1, x.ndim)), "channel": (1,), "spatial": tuple(range(2, x.ndim))}[mode]
    return x / np.sqrt(np.sum(x * x, axis=axes, keepdims=True) + eps)


# -- shapes -------------------------------------------------------------------------------------------------------------------------------
def _target_shape(shape: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, ...]:
    """MXNet's codes: 0 keeps a length, -1 is what is left, -2 copies the rest, -3 joins two, -4 splits one into the next two."""
    found: list[int] = []
    at = k = 0
    while k < len(wanted):
        code = wanted[k]
        if code == -2:
            found += shape[at:]
            at = len(shape)
        elif code == -3:
            found.append(shape[at] * shape[at + 1])
            at += 2
        elif code == -4:
            first, second = wanted[k + 1], wanted[k + 2]
            first = shape[at] // second if first == -1 else first
            found += [first, shape[at] // first]
            at += 1
            k += 2
        else:
            found.append(shape[at] if code == 0 else code)
            at += 1
        k += 1
    return tuple(found)


@operator("Reshape")
def _reshape(call: Call, x: Array, *, shape: Any = (), reverse: bool = False, target_shape: Any = (), keep_highest: bool = False) -> Array:
    _require("target_shape", target_shape, (), 0)
    wanted = _several(shape)
    if reverse:
        if -4 in wanted:
            raise Untranslated("no translation for Reshape with reverse and the code -4")
        return _reshaped(x, _target_shape(x.shape[::-1], wanted[::-1])[::-1])
    return _reshaped(x, _target_shape(x.shape, wanted))


operator("Flatten")(lambda call, x: _reshaped(x, (x.shape[0], math.prod(x.shape[1:]))))
operator("reshape_like")(lambda call, x, like: _reshaped(x, like.shape))


@operator("transpose")
def _transpose(call: Call, x: Array, *, axes: Any = ()) -> Array:
    return TABLE["transpose"](x, axes=tuple(range(x.ndim))[::-1] if axes == () else tuple(a % x.ndim for a in _several(axes)))


@operator("SwapAxis")
def _swap_axis(call: Call, x: Array, *, dim1: int = 0, dim2: int = 0) -> Array:
    return np.copy(np.swapaxes(x, dim1, dim2))


@operator("expand_dims")
def _expand_dims(call: Call, x: Array, *, axis: int) -> Array:
    at = axis % (x.ndim + 1)
    return _reshaped(x, (*x.shape[:at], 1, *x.shape[at:]))


@operator("squeeze")
def _squeeze(call: Call, x: Array, *, axis: Any = None) -> Array:
    gone = [k for k, n in enumerate(x.shape) if n == 1] if axis is None else _axes(x, axis)
    return _reshaped(x, [n for k, n in enumerate(x.shape) if k not in gone] or [1])


@operator("slice")
def _slice(call: Call, x: Array, *, begin: Any, end: Any, step: Any = ()) -> Array:
    begin, end, step = (v if isinstance(v, tuple) else (v,) for v in (begin, end, step))
    steps = (*step, *[None] * (len(begin) - len(step)))
    return np.copy(x[tuple([slice(b, e, s) for b, e, s in zip(begin, end, steps, strict=True)])])


@operator("slice_axis")
def _slice_axis(call: Call, x: Array, *, axis: int, begin: int, end: int | None) -> Array:
    axis %= x.ndim
    start, stop, _ = slice(begin, end).indices(x.shape[axis])
    return TABLE["slice_axis"](x, axis=axis, start=start, stop=stop)


@operator("slice_like")
def _slice_like(call: Call, x: Array, like: Array, *, axes: Any = ()) -> Array:
    chosen = _axes(x, axes or None)
    return np.copy(x[tuple([slice(like.shape[k]) if k in chosen else slice(None) for k in range(x.ndim)])])


@operator("SliceChannel")
def _slice_channel(call: Call, x: Array, *, num_outputs: int, axis: int = 1, squeeze_axis: bool = False) -> tuple[Array, ...]:
    axis %= x.ndim
    length = x.shape[axis] // num_outputs
    parts = [TABLE["slice_axis"](x, axis=axis, start=k * length, stop=(k + 1) * length) for k in range(num_outputs)]
    return tuple([_reshaped(p, (*x.shape[:axis], *x.shape[axis + 1 :])) for p in parts] if squeeze_axis else parts)


@operator("Concat")
def _concat(call: Call, *xs: Array, num_args: int = 0, dim: int = 1) -> Array:
    return np.concatenate(xs, axis=dim)


@operator("_rnn_param_concat")
def _rnn_param_concat(call: Call, *xs: Array, num_args: int = 0, dim: int = 0) -> Array:
    return np.concatenate([_reshaped(x, (x.size,)) for x in xs])


@operator("stack")
def _stack(call: Call, *xs: Array, num_args: int = 0, axis: int = 0) -> Array:
    return np.stack(xs, axis=axis)


@operator("tile")
def _tile(call: Call, x: Array, *, reps: Any) -> Array:
    return np.tile(x, reps)


@operator("repeat")
def _repeat(call: Call, x: Array, *, repeats: int, axis: int | None = None) -> Array:
    return np.repeat(x, repeats, axis)


@operator("reverse")
def _reverse(call: Call, x: Array, *, axis: Any) -> Array:
    return TABLE["flip"](x, axes=_axes(x, axis))


@operator("broadcast_axis")
def _broadcast_axis(call: Call, x: Array, *, axis: Any = (), size: Any = ()) -> Array:
    axes, sizes = (v if isinstance(v, tuple) else (v,) for v in (axis, size))
    shape = list(x.shape)
    for a, n in zip(axes, sizes, strict=True):
        shape[a] = n
    return TABLE["broadcast_to"](x, shape=tuple(shape))


@operator("broadcast_to")
def _broadcast_to(call: Call, x: Array, *, shape: Any) -> Array:
    return TABLE["broadcast_to"](x, shape=tuple([n or m for n, m in zip(_several(shape), x.shape, strict=True)]))


@operator("broadcast_like")
def _broadcast_like(call: Call, x: Array, like: Array) -> Array:
    return TABLE["broadcast_to"](x, shape=like.shape)


@operator("Pad")
def _pad(call: Call, x: Array, *, mode: str, pad_width: tuple[int, ...], constant_value: float = 0.0) -> Array:
    width = tuple(zip(pad_width[::2], pad_width[1::2], strict=True))
    fill = {"constant_values": constant_value} if mode == "constant" else {}
    return np.pad(x, width, mode=mode, **fill)


@operator("UpSampling")
def _up_sampling(call: Call, *xs: Array, scale: int, sample_type: str, num_args: int = 1, num_filter: int = 0) -> Array:
    _require("sample_type", sample_type, "nearest")
    _require("num_args", len(xs), 1)
    return np.repeat(np.repeat(xs[0], scale, axis=2), scale, axis=3)


# -- made from nothing --------------------------------------------------------------------------------------------------------------------
def _made(name: str, make: Callable[..., Array]) -> None:
    def fill(call: Call, *, shape: Any, dtype: Any = "float32", ctx: Any = None, **given: Any) -> Array:
        shape = shape if isinstance(shape, tuple) else (shape,)
        return make(shape, dtype=onp.float32 if dtype in (-1, None, "None") else onp.dtype(dtype), **given)

    operator(name)(fill)


_made("_zeros", np.zeros)
_made("_ones", np.ones)
_made("_full", lambda shape, dtype, value: np.full(shape, value, dtype=dtype))


@operator("_arange")
def _arange(
    call: Call,
    *,
    start: float = 0.0,
    stop: float | None = None,
    step: float = 1.0,
    repeat: int = 1,
    infer_range: bool = False,
    ctx: Any = None,
    dtype: str = "float32",
) -> Array:
    _require("infer_range", bool(infer_range), False)
    first, last = (0.0, start) if stop is None else (start, stop)
    return host(onp.repeat(onp.arange(first, last, step, dtype=dtype), repeat))


# -- products -----------------------------------------------------------------------------------------------------------------------------
@operator("dot")
def _dot(call: Call, x: Array, y: Array, *, transpose_a: bool = False, transpose_b: bool = False, forward_stype: Any = None) -> Array:
    # over the first axis where a is transposed, and over the last where b is: all axes move
    x = np.moveaxis(x, 0, -1) if transpose_a and x.ndim > 1 else x
    y = np.moveaxis(y, -1, 0) if transpose_b and y.ndim > 1 else y
    return _kept(np.tensordot(x, y, axes=1))


def _last_two(x: Array, transposed: bool) -> Array:
    return np.swapaxes(x, -1, -2) if transposed else x


@operator("batch_dot")
def _batch_dot(call: Call, x: Array, y: Array, *, transpose_a: bool = False, transpose_b: bool = False, forward_stype: Any = None) -> Array:
    return TABLE["matmul"](_last_two(x, transpose_a), _last_two(y, transpose_b), transpose_a=False, transpose_b=False)


@operator("_linalg_gemm2")
def _gemm2(
    call: Call, x: Array, y: Array, *, transpose_a: bool = False, transpose_b: bool = False, alpha: float = 1.0, axis: int = -2
) -> Array:
    _require("axis", axis, -2)
    product = np.matmul(_last_two(x, transpose_a), _last_two(y, transpose_b))
    return product if alpha == 1.0 else product * alpha


# -- by position --------------------------------------------------------------------------------------------------------------------------
def _positions(x: Array) -> Array:
    return _as(x, onp.int64) if x.dtype.kind not in "iu" else x


@operator("Embedding")
def _embedding(call: Call, x: Array, weight: Array, *, input_dim: int, output_dim: int, dtype: str = "float32") -> Array:
    return TABLE["take"](weight, _positions(x), axis=0, mode="clip")


@operator("take")
def _take(call: Call, x: Array, indices: Array, *, axis: int = 0, mode: str = "clip") -> Array:
    return TABLE["take"](x, _positions(indices), axis=axis % x.ndim, mode=mode)


@operator("one_hot")
def _one_hot(call: Call, x: Array, *, depth: int, on_value: float = 1.0, off_value: float = 0.0, dtype: str = "float32") -> Array:
    hot = _reshaped(_positions(x), (*x.shape, 1)) == np.arange(depth)
    return _as(np.where(hot, on_value, off_value), dtype)


@operator("pick")
def _pick(call: Call, x: Array, index: Array, *, axis: int = -1, keepdims: bool = False, mode: str = "clip") -> Array:
    _require("mode", mode, "clip")
    axis %= x.ndim
    at = np.clip(_positions(index), 0, x.shape[axis] - 1)
    wide = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    found = np.take_along_axis(x, _reshaped(at, wide), axis=axis)
    return found if keepdims else _kept(np.squeeze(found, axis=axis))


def _within(x: Array, lengths: Array, axis: int) -> Array:
    """Where a sequence still runs: (time, batch, 1 …), or with the first two axes exchanged."""
    time = np.arange(x.shape[axis])
    alive = _reshaped(time, (-1, 1)) < _reshaped(_positions(lengths), (1, -1))
    return _reshaped(alive if axis == 0 else alive.T, (*x.shape[:2], *[1] * (x.ndim - 2)))


@operator("SequenceMask")
def _sequence_mask(call: Call, x: Array, *lengths: Array, use_sequence_length: bool = False, value: float = 0.0, axis: int = 0) -> Array:
    return np.where(_within(x, lengths[0], axis), x, value) if use_sequence_length else np.positive(x)


@operator("SequenceLast")
def _sequence_last(call: Call, x: Array, *lengths: Array, use_sequence_length: bool = False, axis: int = 0) -> Array:
    x = np.swapaxes(x, 0, 1) if axis == 1 else x
    if not use_sequence_length:
        return np.copy(x[-1])
    at = _reshaped(_positions(lengths[0]) - 1, (1, -1, *[1] * (x.ndim - 2)))
    return np.copy(np.take_along_axis(x, np.broadcast_to(at, (1, *x.shape[1:])), axis=0)[0])


# -- softmax and heads --------------------------------------------------------------------------------------------------------------------
def _softened(x: Array, temperature: float | None) -> Array:
    return x if temperature in (None, 1.0) else x / temperature


@operator("softmax")
def _softmax(
    call: Call, x: Array, *, axis: int = -1, temperature: float | None = None, use_length: bool = False, dtype: Any = None
) -> Array:
    _require("use_length", bool(use_length), False)
    found = TABLE["softmax"](_softened(x, temperature), axis=axis % x.ndim)
    return found if dtype is None else _as(found, dtype)


@operator("log_softmax")
def _log_softmax(
    call: Call, x: Array, *, axis: int = -1, temperature: float | None = None, use_length: bool = False, dtype: Any = None
) -> Array:
    _require("use_length", bool(use_length), False)
    found = composite.log_softmax(_softened(x, temperature), axis=(axis % x.ndim,))
    return found if dtype is None else _as(found, dtype)


@operator("softmin")
def _softmin(call: Call, x: Array, **given: Any) -> Array:
    return _softmax(call, -x, **given)


@operator("SoftmaxActivation")
def _softmax_activation(call: Call, x: Array, *, mode: str = "instance") -> Array:
    if mode == "channel":
        return TABLE["softmax"](x, axis=1)
    return _reshaped(TABLE["softmax"](_reshaped(x, (x.shape[0], x.size // x.shape[0])), axis=1), x.shape)


@operator("SoftmaxOutput")
def _softmax_output(
    call: Call,
    x: Array,
    label: Array | None,
    *,
    grad_scale: float = 1.0,
    ignore_label: float = -1.0,
    multi_output: bool = False,
    use_ignore: bool = False,
    preserve_shape: bool = False,
    normalization: str = "null",
    out_grad: bool = False,
    smooth_alpha: float = 0.0,
) -> Array:
    _require("out_grad", bool(out_grad), False)
    given = {
        "grad_scale": float(grad_scale),
        "ignore_label": float(ignore_label) if use_ignore else None,
        "normalization": normalization,
        "smooth_alpha": float(smooth_alpha),
    }
    shape = x.shape
    if multi_output:
        axis = 1
    elif preserve_shape:
        # rows of their own, of which no mean is taken
        x, axis = _reshaped(x, (x.size // shape[-1], shape[-1])), 1
    else:
        x, axis = _reshaped(x, (shape[0], x.size // shape[0])), 1
    if label is None:
        return _reshaped(TABLE["softmax"](x, axis=axis), shape)
    label = _reshaped(label, x.shape if label.shape == shape else (x.shape[0], *x.shape[2:]))
    return _reshaped(heads.softmax_output(x, label, axis=axis, **given), shape)


def _regression_output(name: str, head: Op, predict: str) -> None:
    @operator(name)
    def output(call: Call, x: Array, label: Array | None, *, grad_scale: float = 1.0) -> Array:
        if label is None:
            return TABLE[predict](x)
        if label.shape != x.shape and label.size == x.size:
            label = _reshaped(label, x.shape)
        return head(x, label, grad_scale=float(grad_scale))


_regression_output("LinearRegressionOutput", heads.linear_output, "positive")
_regression_output("MAERegressionOutput", heads.absolute_output, "positive")
_regression_output("LogisticRegressionOutput", heads.logistic_output, "sigmoid")


@operator("MakeLoss")
def _make_loss(call: Call, x: Array, *, grad_scale: float = 1.0, valid_thresh: float = 0.0, normalization: str = "null") -> Array:
    _require("normalization", normalization, "null", "batch")
    # MXNet's batch is what is left of the shape without its last axis
    return heads.loss_output(x, grad_scale=grad_scale / (math.prod(x.shape[:-1]) if normalization == "batch" else 1))


@operator("softmax_cross_entropy")
def _softmax_cross_entropy(call: Call, x: Array, label: Array) -> Array:
    rows = composite.log_softmax(x, axis=(1,))
    chosen = np.take_along_axis(rows, _reshaped(_positions(label), (-1, 1)), axis=1)
    return _kept(-np.sum(chosen))


# -- layers -------------------------------------------------------------------------------------------------------------------------------
@operator("FullyConnected")
def _fully_connected(
    call: Call, x: Array, w: Array, b: Array | None = None, *, num_hidden: int, no_bias: bool = False, flatten: bool = True
) -> Array:
    return layers.dense(x, w, None if no_bias else b, bool(flatten))


_PLAIN_LAYOUTS = (None, "None", "NCW", "NCHW", "NCDHW")


def _spatial(value: Any, kernel: tuple[int, ...], default: int) -> tuple[int, ...]:
    """One number per spatial axis; MXNet's empty tuple is the default for each."""
    if isinstance(value, int):
        return (value,) * len(kernel)
    return tuple(value) or (default,) * len(kernel)


@operator("Convolution")
def _convolution(
    call: Call,
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    kernel: tuple[int, ...],
    num_filter: int,
    stride: Any = (),
    pad: Any = (),
    dilate: Any = (),
    num_group: int = 1,
    no_bias: bool = False,
    layout: Any = None,
) -> Array:
    _require("layout", layout, *_PLAIN_LAYOUTS)
    kernel = _several(kernel)
    given = {
        "stride": _spatial(stride, kernel, 1),
        "pad": _spatial(pad, kernel, 0),
        "dilate": _spatial(dilate, kernel, 1),
        "groups": num_group,
    }
    return TABLE["convolution"](x, w, **given) if no_bias or b is None else TABLE["convolution_bias"](x, w, b, **given)


@operator("Deconvolution")
def _deconvolution(
    call: Call,
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    kernel: tuple[int, ...],
    num_filter: int,
    stride: Any = (),
    pad: Any = (),
    dilate: Any = (),
    adj: Any = (),
    target_shape: Any = (),
    num_group: int = 1,
    no_bias: bool = True,
    layout: Any = None,
) -> Array:
    _require("layout", layout, *_PLAIN_LAYOUTS)
    kernel = _several(kernel)
    strides, dilates = _spatial(stride, kernel, 1), _spatial(dilate, kernel, 1)
    pads, adjust = _spatial(pad, kernel, 0), _spatial(adj, kernel, 0)
    if target_shape:
        # what hangs over is cut off, half of it at either end
        spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilates, strict=True)]
        over = [(n - 1) * t + s - wanted for n, t, s, wanted in zip(x.shape[2:], strides, spans, _several(target_shape), strict=True)]
        pads, adjust = tuple([(o + 1) // 2 for o in over]), tuple([o % 2 for o in over])
    return layers.deconvolve(x, w, None if no_bias else b, strides, pads, dilates, adjust, num_group)


@operator("Pooling")
def _pooling(
    call: Call,
    x: Array,
    *,
    kernel: Any = (),
    pool_type: str = "max",
    global_pool: bool = False,
    pooling_convention: str = "valid",
    stride: Any = (),
    pad: Any = (),
    p_value: Any = None,
    count_include_pad: bool = True,
    layout: Any = None,
) -> Array:
    _require("layout", layout, *_PLAIN_LAYOUTS)
    _require("pool_type", pool_type, "max", "avg", "sum")
    _require("pooling_convention", pooling_convention, "valid", "full")
    if global_pool:
        return layers.pool(x, pool_type)
    kernel = _several(kernel)
    given = {
        "kernel": kernel,
        "stride": _spatial(stride, kernel, 1),
        "pad": _spatial(pad, kernel, 0),
        "full": pooling_convention == "full",
    }
    if pool_type == "avg":
        return TABLE["average_pooling"](x, **given, count_pad=count_include_pad in (True, None, "None"))
    return TABLE[f"{pool_type}_pooling"](x, **given)


def _softrelu(x: Array) -> Array:
    return np.logaddexp(x, 0.0)


def _relu(x: Array) -> Array:
    # in oneDNN's memory order, from convolution to pooling
    return TABLE["image_relu" if x.dtype == onp.float32 and 3 <= x.ndim <= 5 else "relu"](x)


_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": _relu,
    "sigmoid": TABLE["sigmoid"],
    "tanh": TABLE["tanh"],
    "softrelu": _softrelu,
    "softsign": lambda x: x / (1.0 + np.abs(x)),
}


@operator("Activation")
def _activation(call: Call, x: Array, *, act_type: str) -> Array:
    _require("act_type", act_type, *_ACTIVATIONS)
    return _ACTIVATIONS[act_type](x)


@operator("LeakyReLU")
def _leaky_relu(
    call: Call,
    x: Array,
    gamma: Array | None = None,
    *,
    act_type: str = "leaky",
    slope: float = 0.25,
    lower_bound: float = 0.125,
    upper_bound: float = 0.334,
) -> Any:
    if act_type == "leaky":
        return np.where(x > 0, x, slope * x)
    if act_type == "elu":
        return np.where(x > 0, x, slope * np.expm1(np.minimum(x, 0.0)))
    if act_type == "selu":
        alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
        return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0)))
    if act_type == "gelu":
        return 0.5 * x * (1.0 + TABLE["erf"](x / math.sqrt(2.0)))
    if act_type == "prelu":
        assert gamma is not None
        along = (1, -1, *[1] * (x.ndim - 2)) if x.ndim > 1 and gamma.size > 1 else gamma.shape
        return np.where(x > 0, x, _reshaped(gamma, along) * x)
    _require("act_type", act_type, "rrelu")
    if call.is_train:
        slopes = np.random.uniform(lower_bound, upper_bound, x.shape).astype(x.dtype)
    else:
        slopes = np.full(x.shape, (lower_bound + upper_bound) / 2, dtype=x.dtype)
    return np.where(x > 0, x, slopes * x), slopes


@operator("BatchNorm")
def _batch_norm(
    call: Call,
    x: Array,
    gamma: Array,
    beta: Array,
    moving_mean: Array,
    moving_var: Array,
    *,
    eps: float = 1e-3,
    momentum: float = 0.9,
    fix_gamma: bool = True,
    use_global_stats: bool = False,
    output_mean_var: bool = False,
    axis: int = 1,
    min_calib_range: Any = None,
    max_calib_range: Any = None,
) -> Any:
    axis %= x.ndim
    training = call.is_train and not use_global_stats
    if fix_gamma:
        gamma = np.ones(gamma.shape, gamma.dtype)
    # constants of the running statistics' own: no gradient flows there
    mean, var = TABLE["stop_gradient"](moving_mean), TABLE["stop_gradient"](moving_var)
    if output_mean_var and training:
        y, batch_mean, scale = TABLE["batch_norm"](x, gamma, beta, axis=axis, eps=float(eps))
        _, new_mean, new_var = layers.batch_normalise(x, gamma, beta, mean, var, True, momentum, eps, axis)
        found: Any = (y, batch_mean, scale)
    else:
        y, new_mean, new_var = layers.batch_normalise(x, gamma, beta, mean, var, training, momentum, eps, axis)
        found = (y, np.positive(mean), 1.0 / np.sqrt(var + eps)) if output_mean_var else y
    if training:
        call.updates[id(moving_mean)], call.updates[id(moving_var)] = new_mean, new_var
    return found


@operator("LayerNorm")
def _layer_norm(
    call: Call, x: Array, gamma: Array, beta: Array, *, axis: int = -1, eps: float = 1e-5, output_mean_var: bool = False
) -> Any:
    axis %= x.ndim
    if not output_mean_var:
        return layers.layer_normalise(x, gamma, beta, axis, eps)
    y, mean, spread = TABLE["layer_norm"](x, gamma, beta, axis=axis, eps=float(onp.float32(eps)))
    kept = tuple([1 if k == axis else n for k, n in enumerate(x.shape)])
    return y, _reshaped(mean, kept), _reshaped(spread, kept)


def _normalised(x: Array, axes: tuple[int, ...], eps: float) -> Array:
    centred = x - np.mean(x, axis=axes, keepdims=True)
    return centred / np.sqrt(np.mean(centred * centred, axis=axes, keepdims=True) + eps)


@operator("InstanceNorm")
def _instance_norm(call: Call, x: Array, gamma: Array, beta: Array, *, eps: float = 1e-3) -> Array:
    along = (1, x.shape[1], *[1] * (x.ndim - 2))
    return _normalised(x, tuple(range(2, x.ndim)), eps) * _reshaped(gamma, along) + _reshaped(beta, along)


@operator("Dropout")
def _dropout(call: Call, x: Array, *, p: float = 0.5, mode: str = "training", axes: Any = ()) -> Array:
    if p == 0.0 or not (call.is_train or mode == "always"):
        return np.positive(x)
    shared = axes if isinstance(axes, tuple) else (axes,)
    return _dropped(x, p, tuple([1 if k in shared else n for k, n in enumerate(x.shape)]))


def _dropped(x: Array, p: float, shape: tuple[int, ...]) -> Array:
    # from NumPy's generator, in program order
    kept = np.random.random_sample(shape) >= p
    return np.where(kept, x * (1.0 / (1.0 - p) if p < 1.0 else 0.0), 0.0)


@operator("RNN")
def _rnn(
    call: Call,
    x: Array,
    parameters: Array,
    *states: Array,
    state_size: int,
    num_layers: int,
    mode: str,
    bidirectional: bool = False,
    p: float = 0.0,
    state_outputs: bool = False,
    use_sequence_length: bool = False,
    projection_size: Any = None,
    lstm_state_clip_min: Any = None,
    lstm_state_clip_max: Any = None,
    lstm_state_clip_nan: bool = False,
) -> Any:
    for name, value in (("projection_size", projection_size), ("clip", lstm_state_clip_min), ("clip", lstm_state_clip_max)):
        _require(name, value, None, "None")
    _require("use_sequence_length", bool(use_sequence_length), False)
    both = bool(bidirectional)
    if p > 0.0 and num_layers > 1 and call.is_train:
        found = _with_dropout(mode, x, parameters, states, state_size, num_layers, both, p)
    else:
        found = layers.recurrent(mode, x, parameters, *states, layers=num_layers, bidirectional=both)
    return found if state_outputs else found[0]


_GATES = {"rnn_relu": 1, "rnn_tanh": 1, "gru": 3, "lstm": 4}


def _with_dropout(
    mode: str, x: Array, parameters: Array, states: tuple[Array, ...], state_size: int, count: int, both: bool, p: float
) -> tuple[Array, ...]:
    """A network layer by layer, with dropout of what the next layer gets."""
    directions = 1 + both
    rows = directions * _GATES[mode] * state_size
    widths = [x.shape[2] + state_size, *[directions * state_size + state_size] * (count - 1)]
    # all matrices, then all bias vectors
    matrix, bias = 0, rows * sum(widths)
    last: list[tuple[Array, ...]] = []
    for k, width in enumerate(widths):
        if k:
            x = _dropped(x, p, x.shape)
        own = np.concatenate([parameters[matrix : matrix + rows * width], parameters[bias : bias + 2 * rows]])
        first = [s[k * directions : (k + 1) * directions] for s in states]
        x, *after = layers.recurrent(mode, x, own, *first, layers=1, bidirectional=both)
        last.append(tuple(after))
        matrix, bias = matrix + rows * width, bias + 2 * rows
    return (x, *[np.concatenate(parts, axis=0) for parts in zip(*last, strict=True)])
