"""MXNet's random operators in terms of NumPy's generator: one seed decides about all, in program order, and no replay repeats a draw.

The distributions are MXNet's, with its parameters; the numbers are not those that MXNet's own generator would give.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as onp

from .. import numpy as _namespace
from ..trace.op import TABLE
from .operators import Call, operator

np: Any = _namespace
Array = Any


def _generalized(mu: Any, alpha: Any, size: Any) -> Any:
    # without dispersion it is Poisson's
    mixed = np.random.gamma(1.0 / np.maximum(alpha, 1e-300), np.maximum(alpha, 1e-300) * mu, size)
    return np.random.poisson(np.where(np.asarray(alpha) > 0, mixed, mu), size)


# distribution -> (draw with parameters and size, parameters with MXNet's defaults)
DRAWS: dict[str, tuple[Callable[..., Any], tuple[tuple[str, float], ...]]] = {
    "uniform": (lambda low, high, size: np.random.uniform(low, high, size), (("low", 0.0), ("high", 1.0))),
    "normal": (lambda loc, scale, size: np.random.normal(loc, scale, size), (("loc", 0.0), ("scale", 1.0))),
    "exponential": (lambda lam, size: np.random.exponential(1.0 / lam, size), (("lam", 1.0),)),
    "gamma": (lambda alpha, beta, size: np.random.gamma(alpha, beta, size), (("alpha", 1.0), ("beta", 1.0))),
    "poisson": (lambda lam, size: np.random.poisson(lam, size), (("lam", 1.0),)),
    "negative_binomial": (lambda k, p, size: np.random.negative_binomial(k, p, size), (("k", 1.0), ("p", 1.0))),
    "generalized_negative_binomial": (_generalized, (("mu", 1.0), ("alpha", 1.0))),
}


def _shape(shape: Any) -> tuple[int, ...]:
    return shape if isinstance(shape, tuple) else () if shape in (None, "None") else (shape,)


def _dtype(dtype: Any, otherwise: Any = onp.float32) -> onp.dtype:
    return onp.dtype(otherwise if dtype in (None, "None", -1) else dtype)


def sampled(draw: Callable[..., Array], parameters: tuple[Array, ...], shape: tuple[int, ...]) -> Array:
    """For each element of arrays of parameters `shape` draws."""
    wide = [p.reshape(p.shape + (1,) * len(shape)) for p in parameters]
    return draw(*wide, parameters[0].shape + shape)


def _enter(name: str, draw: Callable[..., Array], defaults: dict[str, float]) -> None:
    def given(values: dict[str, float]) -> list[float]:
        unknown = [k for k in values if k not in defaults]
        if unknown:
            raise TypeError(f"[_random_{name}] unknown parameter {unknown[0]!r}; it takes {', '.join(defaults)}, shape and dtype")
        return list({**defaults, **values}.values())

    @operator(f"_random_{name}")
    def make(call: Call, *, shape: Any = None, dtype: Any = None, ctx: Any = None, **values: float) -> Array:
        return draw(*given(values), _shape(shape) or (1,)).astype(_dtype(dtype))

    @operator(f"_random_{name}_like")
    def make_like(call: Call, x: Array, **values: float) -> Array:
        return draw(*given(values), x.shape).astype(x.dtype)

    @operator(f"_sample_{name}")
    def sample(call: Call, *parameters: Array, shape: Any = None, dtype: Any = None) -> Array:
        # as in MXNet, no gradient flows to the parameters
        fixed = tuple([TABLE["stop_gradient"](p) for p in parameters])
        return sampled(draw, fixed, _shape(shape)).astype(_dtype(dtype))


for _name, (_draw, _defaults) in DRAWS.items():
    _enter(_name, _draw, dict(_defaults))


@operator("_random_randint")
def _randint(call: Call, *, low: int, high: int, shape: Any = None, dtype: Any = None, ctx: Any = None) -> Array:
    return np.random.randint(low, high, _shape(shape) or (1,)).astype(_dtype(dtype, onp.int32))


@operator("_sample_multinomial")
def _multinomial(call: Call, weights: Array, *, shape: Any = (), get_prob: bool = False, dtype: Any = None) -> Any:
    """Positions along the last axis, drawn by its weights; with `get_prob` the logarithms of what was drawn too."""
    size = _shape(shape)
    rows, classes = weights.shape[:-1], weights.shape[-1]
    count = int(onp.prod(size, dtype=int))
    summed = np.cumsum(weights, axis=-1).reshape((*rows, 1, classes))
    drawn = np.random.random_sample((*rows, count, 1)) * TABLE["stop_gradient"](summed[..., -1:])
    at = np.minimum(np.sum(summed <= drawn, axis=-1), classes - 1)
    shaped = (*rows, *size) or (1,)
    found = at.reshape(shaped).astype(_dtype(dtype, onp.int32))
    if not get_prob:
        return found
    return found, np.log(np.take_along_axis(weights, at, axis=-1)).reshape(shaped)


@operator("_shuffle")
def _shuffled(call: Call, x: Array) -> Array:
    return np.take(x, np.random.permutation(x.shape[0]), axis=0)
