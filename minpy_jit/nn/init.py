"""Rules that make parameters: `rule(shape, config)` -> an array of that shape.

Numbers are drawn from NumPy's global stream (`np.random.seed` makes them reproducible). Of a shape with two axes the first is what goes
into the layer and the second what comes out, as in `x @ w`; of one with more (filters of a convolution) the first is what comes out, the
second what goes in, and the rest is the kernel. `config["in_axis"]` (0 or 1) says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import minpy_jit.numpy as np

Array = Any
Config = Mapping[str, Any]
Rule = Callable[[tuple[int, ...], Config | None], Array]

# their names are made at run time, which type checkers do not see
random: Any = np.random
linalg: Any = np.linalg


def _fans(shape: tuple[int, ...], config: Config) -> tuple[int, int]:
    """How many numbers go into an output of the layer, and how many outputs a number that goes in has."""
    if len(shape) < 2:
        return 0, math.prod(shape)
    in_axis = config.get("in_axis", 0 if len(shape) == 2 else 1)
    if in_axis not in (0, 1):
        raise ValueError(f"[init] in_axis = {in_axis!r}; it is 0 or 1: the axis of what goes into the layer")
    kernel = math.prod(shape[2:])
    return shape[in_axis] * kernel, shape[1 - in_axis] * kernel


def _drawn(shape: tuple[int, ...], variance: float, config: Config) -> Array:
    """Numbers of mean 0 and that variance."""
    distribution = config.get("distribution", "uniform")
    if distribution == "uniform":
        bound = math.sqrt(3 * variance)
        return random.uniform(-bound, bound, shape)
    if distribution == "normal":
        return random.normal(0.0, math.sqrt(variance), shape)
    raise ValueError(f"[init] distribution = {distribution!r}; legal values: 'uniform', 'normal'")


def xavier(shape: tuple[int, ...], config: Config | None = None) -> Array:
    """Variance 2 / (inputs + outputs): activations and gradients keep their size through a linear layer.

    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010. (MinPy took the bound of the
    uniform distribution for the standard deviation of a normal one.)

    Args:
        shape: of the parameter.
        config: `distribution` ("uniform" or "normal"), `in_axis`.

    Returns:
        A float array.

    >>> weights = xavier((300, 100))
    >>> bool(abs(weights).max() <= (6 / 400) ** 0.5)
    True
    """
    config = config or {}
    inputs, outputs = _fans(shape, config)
    return _drawn(shape, 2 / max(inputs + outputs, 1), config)


def he(shape: tuple[int, ...], config: Config | None = None) -> Array:
    """Variance 2 / inputs: activations keep their size through a linear layer and a ReLU.

    He et al., "Delving Deep into Rectifiers", 2015.

    Args:
        shape: of the parameter.
        config: `distribution` ("uniform" or "normal"), `in_axis`.

    Returns:
        A float array.
    """
    config = config or {}
    inputs, outputs = _fans(shape, config)
    return _drawn(shape, 2 / max(inputs or outputs, 1), config)


def orthogonal(shape: tuple[int, ...], config: Config | None = None) -> Array:
    """A matrix with orthonormal rows or columns, whichever are fewer; axes after the first count as one.

    Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks", 2013.

    Args:
        shape: of the parameter, two axes or more.
        config: `gain`, what the matrix is multiplied with (1).

    Returns:
        A float array.

    Raises:
        ValueError: fewer than two axes.

    >>> w = orthogonal((5, 3))
    >>> np.allclose(w.T @ w, np.eye(3))
    True
    """
    if len(shape) < 2:
        raise ValueError(f"[orthogonal] a matrix has two axes or more; got shape {shape}; use another rule for this parameter")
    rows, columns = shape[0], math.prod(shape[1:])
    q, r = linalg.qr(random.standard_normal((max(rows, columns), min(rows, columns))))
    # QR leaves the signs to LAPACK: with r's diagonal positive every orthogonal matrix is equally likely
    q = q * np.sign(np.diagonal(r))
    return float((config or {}).get("gain", 1.0)) * (q if rows >= columns else q.T).reshape(shape)


def constant(shape: tuple[int, ...], config: Config | None = None) -> Array:
    """The same value everywhere.

    Args:
        shape: of the parameter.
        config: `value`, a number or an array that broadcasts to the shape (0).

    Returns:
        A float array.

    >>> constant((3,), {"value": 1.5})
    array([1.5, 1.5, 1.5])
    """
    return np.zeros(shape) + (config or {}).get("value", 0.0)


def gaussian(shape: tuple[int, ...], config: Config | None = None) -> Array:
    """Normally distributed numbers.

    Args:
        shape: of the parameter.
        config: `mu`, the mean (0), and `stdvar`, the standard deviation (0.001).

    Returns:
        A float array.
    """
    config = config or {}
    return random.normal(config.get("mu", 0.0), config.get("stdvar", 0.001), shape)


def custom(shape: tuple[int, ...], config: Config | None = None) -> Array:
    """What a function of yours gives.

    Args:
        shape: of the parameter.
        config: `function`, called with the shape (`np.zeros`).

    Returns:
        What the function returned.

    >>> custom((2,), {"function": np.ones})
    array([1., 1.])
    """
    return (config or {}).get("function", np.zeros)(shape)


RULES: dict[str, Rule] = {rule.__name__: rule for rule in (xavier, he, orthogonal, constant, gaussian, custom)}


def initialise(shape: tuple[int, ...], rule: str | Rule = "xavier", config: Config | None = None, dtype: Any = None) -> Array:
    """A parameter.

    Args:
        shape: its shape.
        rule: a name of `RULES`, or a function `rule(shape, config)`.
        config: what the rule takes.
        dtype: of the parameter; None leaves the rule's.

    Returns:
        An array.

    Raises:
        ValueError: there is no such rule, or what it gave has another shape.
    """
    if isinstance(rule, str):
        if rule not in RULES:
            raise ValueError(f"[init] no rule {rule!r}; rules: {', '.join(RULES)}, or a function of (shape, config)")
        rule = RULES[rule]
    shape = tuple(shape)
    made = np.asarray(rule(shape, config))
    if made.shape != shape:
        raise ValueError(f"[init] {getattr(rule, '__name__', rule)} gave shape {made.shape}; the parameter has shape {shape}")
    # in C order, as updates leave them: the first step is then the same program as those after it
    return np.ascontiguousarray(made if dtype is None else made.astype(dtype)).reshape(shape)
