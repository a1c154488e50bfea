"""The MXNet-only names of MinPy's `np`: MXNet's imperative operators (`np.slice_axis`, `np.batch_dot` …) on arrays of ours.

Each is the one-operator symbol of that name, called as `Function` calls it: recorded, differentiated, in an executor of its own where there
is no translation. Dropout and batch normalisation are in training mode inside `grad`. Names that cannot be had say why.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as onp

from .. import numpy as _namespace
from ..exec import mx
from ..numpy.convert import as_handle
from ..trace.handle import Handle
from ..trace.recorder import current
from . import heads
from .function import Function
from .random import DRAWS, sampled

np: Any = _namespace


def _words(text: str) -> list[str]:
    return text.split()


_OPERATORS = frozenset(
    _words("""Activation BatchNorm BatchNorm_v1 BilinearSampler BlockGrad CTCLoss Cast Concat Convolution Convolution_v1 Correlation Crop
    Deconvolution Dropout ElementWiseSum Embedding Flatten FullyConnected GridGenerator GroupNorm InstanceNorm L2Normalization LRN LayerNorm
    LeakyReLU LinearRegressionOutput LogisticRegressionOutput MAERegressionOutput MakeLoss Pad Pooling Pooling_v1 RNN ROIPooling Reshape
    SVMOutput SequenceLast SequenceMask SequenceReverse SliceChannel Softmax SoftmaxActivation SoftmaxOutput SpatialTransformer SwapAxis
    UpSampling add_n argmax_channel batch_dot batch_take broadcast_add broadcast_axes broadcast_axis broadcast_div broadcast_equal
    broadcast_greater broadcast_greater_equal broadcast_hypot broadcast_lesser broadcast_lesser_equal broadcast_like broadcast_logical_and
    broadcast_logical_or broadcast_logical_xor broadcast_maximum broadcast_minimum broadcast_minus broadcast_mod broadcast_mul
    broadcast_not_equal broadcast_plus broadcast_power broadcast_sub choose_element_0index col2im concat crop ctc_loss depth_to_space
    elemwise_add elemwise_div elemwise_mul elemwise_sub erf erfinv flatten gamma gammaln gather_nd hard_sigmoid im2col
    khatri_rao linalg_det linalg_extractdiag linalg_extracttrian linalg_gelqf linalg_gemm linalg_gemm2 linalg_inverse linalg_makediag
    linalg_maketrian linalg_potrf linalg_potri linalg_slogdet linalg_sumlogdiag linalg_syrk linalg_trmm linalg_trsm log_softmax make_loss
    max_axis min_axis moments norm one_hot pick random_pdf_dirichlet random_pdf_exponential random_pdf_gamma
    random_pdf_generalized_negative_binomial random_pdf_negative_binomial random_pdf_normal random_pdf_poisson random_pdf_uniform rcbrt relu
    reshape_like reverse rsqrt scatter_nd shape_array sigmoid size_array slice slice_axis slice_like smooth_l1 softmax softmax_cross_entropy
    softmin softsign space_to_depth split_v2 stop_gradient sum_axis topk""")
)

_UPDATES = _words("""adam_update ftml_update ftrl_update lamb_update_phase1 lamb_update_phase2 mp_lamb_update_phase1 mp_lamb_update_phase2
    mp_nag_mom_update mp_sgd_mom_update mp_sgd_update multi_lars multi_mp_sgd_mom_update multi_mp_sgd_update multi_sgd_mom_update
    multi_sgd_update nag_mom_update preloaded_multi_mp_sgd_mom_update preloaded_multi_mp_sgd_update preloaded_multi_sgd_mom_update
    preloaded_multi_sgd_update rmsprop_update rmspropalex_update sgd_mom_update sgd_update signsgd_update signum_update""")

REFUSED: dict[str, str] = {
    **dict.fromkeys(_UPDATES, "it writes to its arguments; use minpy_jit.nn.optim, or write the rule in NumPy"),
    **dict.fromkeys(("amp_cast", "amp_multicast"), "it belongs to MXNet's mixed precision; use astype"),
    **dict.fromkeys(("all_finite", "multi_all_finite"), "it belongs to MXNet's mixed precision; use np.isfinite(x).all()"),
    **dict.fromkeys(("to_dlpack_for_read", "to_dlpack_for_write"), "arrays have __dlpack__; pass them to from_dlpack"),
    **dict.fromkeys(
        ("get_indexing_dispatch_code", "get_oshape_of_gather_nd_op", "indexing_key_expand_implicit_axes"),
        "it is a helper of MXNet's own indexing; index with []",
    ),
    "Custom": "MXNet's custom operators are classes registered with it; use minpy_jit.customop",
    "IdentityAttachKLSparseReg": "it adds a penalty to a gradient behind the loss; add the penalty to the loss",
    "cast_storage": "there are no sparse arrays",
    "fill_element_0index": "it cannot be part of a symbol; assign x[np.arange(len(x)), index] = values",
    "imdecode": "it reads images; use a library for images, or minpy_jit.nn.io",
    "load_frombuffer": "it reads MXNet's format from memory; use Function.load, or np.load",
    "multi_sum_sq": "it takes a list of arrays for MXNet's optimizers; use np.sum(x * x) of each",
    "reset_arrays": "it writes to its arguments; assign zeros",
    "sample_multinomial": "it draws indices and their logarithms at once; use np.random.choice or np.random.multinomial",
}


def _operator(name: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop("name", None)
        out = kwargs.pop("out", None)
        named = {k: as_handle(kwargs.pop(k)) for k in list(kwargs) if isinstance(kwargs[k], (Handle, onp.ndarray))}
        positional = [as_handle(a) for a in args]
        f = _function(name, len(positional), tuple(named), tuple(sorted((k, _hashable(v)) for k, v in kwargs.items())))
        f.is_train = bool(current().tapes)
        found = f(**{f"i{k}": a for k, a in enumerate(positional)}, **{f"k_{k}": v for k, v in named.items()})
        if out is None:
            return found
        out[...] = found
        return out

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"MXNet's operator `{name}`: arrays first, its attributes by keyword."
    return call


def _hashable(value: Any) -> Any:
    """An attribute as part of a key; dtypes by name, as MXNet takes them."""
    if isinstance(value, (onp.dtype, type)):
        return onp.dtype(value).name
    return tuple(value) if isinstance(value, list) else value


@lru_cache(512)
def _function(name: str, positional: int, named: tuple[str, ...], attributes: tuple[tuple[str, Any], ...]) -> Function:
    """The operator's symbol."""
    package = mx.package()
    inputs = [package.symbol.Variable(f"i{k}") for k in range(positional)]
    given = {k: package.symbol.Variable(f"k_{k}") for k in named}
    return Function(getattr(package.symbol, name)(*inputs, **given, **dict(attributes)))


# -- names that are no operators of one symbol --------------------------------------------------------------------------------------------
def softmax_output(x: Any, label: Any) -> Any:
    """softmax over the last axis, whose gradient is that of the cross-entropy with a one-hot label, whatever comes from above (MinPy's)."""
    x, label = as_handle(x), as_handle(label)
    given = {"grad_scale": 1.0, "ignore_label": None, "normalization": "null", "smooth_alpha": 0.0}
    return heads.softmax_output(x, label, axis=x.ndim - 1, **given)


def onehot_encode(indices: Any, out: Any) -> Any:
    """Write rows with a one at each index into `out`, (indices, classes), and return it."""
    indices = np.asarray(indices).astype("int64")
    out[...] = (np.arange(out.shape[1]) == indices[:, None]).astype(out.dtype)
    return out


def waitall() -> None:
    """Return when everything pending has been computed."""
    current().flush("waitall")
    mx.wait_all()


def _drawn(draw: Callable[..., Any], *defaults: tuple[str, float]) -> Callable[..., Any]:
    """A random function of MXNet's: parameters, then `shape` and `dtype`; drawn from NumPy's generator."""

    def random(*args: Any, shape: Any = (1,), dtype: Any = "float32", ctx: Any = None, **kwargs: Any) -> Any:
        names = [n for n, _ in defaults]
        if len(args) > len(names):
            *args, shape = args  # type: ignore[assignment]
        given = {**dict(defaults), **dict(zip(names, args, strict=False)), **kwargs}
        if len(given) > len(names):
            raise TypeError(f"[random] unknown parameter {next(k for k in given if k not in names)!r}; it takes {', '.join(names)}, shape")
        return draw(*[given[n] for n in names], shape if isinstance(shape, tuple) else (shape,)).astype(dtype)

    return random


def _sampled(draw: Callable[..., Any]) -> Callable[..., Any]:
    """A random function of arrays of parameters: for each of them `shape` draws."""

    def sample(*parameters: Any, shape: Any = (), dtype: Any = "float32") -> Any:
        shape = shape if isinstance(shape, tuple) else (shape,)
        return sampled(draw, tuple([np.asarray(p) for p in parameters]), shape).astype(dtype)

    return sample


_OTHERS: dict[str, Callable[..., Any]] = {
    "softmax_output": softmax_output,
    "onehot_encode": onehot_encode,
    "waitall": waitall,
    "lesser": lambda x, y: np.less(x, y),
    "lesser_equal": lambda x, y: np.less_equal(x, y),
    "modulo": lambda x, y: np.remainder(x, y),
    "from_numpy": lambda x, zero_copy=False: np.array(x),
    "shuffle": lambda x: np.random.permutation(x),
    "random_randint": lambda low, high, shape=(1,), dtype="int32": np.random.randint(low, high, shape).astype(dtype),
    **{f"random_{name}": _drawn(draw, *defaults) for name, (draw, defaults) in DRAWS.items()},
    **{f"sample_{name}": _sampled(draw) for name, (draw, _) in DRAWS.items()},
    **{name: _drawn(*DRAWS[name][:1], *DRAWS[name][1]) for name in ("uniform", "normal")},
}

MAPPED = _OPERATORS | set(_OTHERS)


def find(name: str) -> Callable[..., Any] | None:
    """MXNet's function of that name on arrays of ours; None: there is none.

    Raises:
        AttributeError: there is one, and it is refused.
    """
    if name in REFUSED:
        raise AttributeError(f"[numpy] MXNet's {name!r} is not here: {REFUSED[name]}")
    if name in _OTHERS:
        return _OTHERS[name]
    return _operator(name) if name in _OPERATORS else None
