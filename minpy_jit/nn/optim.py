"""Rules that update parameters, schedules of the learning rate, clipping.

A rule is called `rule(w, dw, config)` with a parameter, the loss's gradient by it and a dictionary; it returns the next parameter and the
dictionary, in which it keeps its state. Entries that every rule reads:

* `learning_rate`: a number, or a schedule: a function of the number of updates so far;
* `weight_decay`: this times w is added to the gradient (`adamw` subtracts it from w instead); 0;
* `clip_value`: the gradient's elements are clipped to ± this; None;

and `t`, which it counts: the updates so far. Learning rates and counts are numbers that enter the recorded program as values: along a
schedule nothing is compiled anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy

import minpy_jit.numpy as np

Array = Any
Config = dict[str, Any]
Rule = Callable[[Array, Array, Config | None], tuple[Array, Config]]
Schedule = Callable[[int], float]


# -- rules ---------------------------------------------------------------------------------------------------------------------------------
def _begin(w: Array, dw: Array, config: Config | None, decoupled: bool = False, **defaults: Any) -> tuple[Config, float, Array]:
    """The config with its defaults and the update counted, this update's learning rate, and the gradient clipped and with weight decay."""
    config = {} if config is None else config
    for name, value in defaults.items():
        config.setdefault(name, value)
    for name in ("weight_decay", "clip_value", *defaults):
        # NumPy's numbers, and ours, have a dtype that the parameter would take on
        if hasattr(config.get(name), "dtype"):
            config[name] = config[name].item()
    updates = config.get("t", 0)
    config["t"] = updates + 1
    rate = config["learning_rate"]
    if callable(rate):
        rate = rate(updates)
    limit, decay = config.get("clip_value"), config.get("weight_decay", 0.0)
    if limit is not None:
        dw = np.clip(dw, -limit, limit)
    if decay and not decoupled:
        dw = dw + decay * w
    # Python's float: an integer would make another program than the floats after it
    return config, float(rate), dw


def _state(config: Config, name: str, w: Array) -> Array:
    found = config.get(name)
    # a value, as it is from the second update on: the first one is then the same program
    return np.array(numpy.zeros(w.shape, w.dtype)) if found is None else found


def sgd(w: Array, dw: Array, config: Config | None = None) -> tuple[Array, Config]:
    """Gradient descent: w - learning_rate · dw.

    Args:
        w: the parameter.
        dw: the loss's gradient by it, of w's shape.
        config: `learning_rate` (0.01), and what every rule reads.

    Returns:
        (next w, config).

    >>> w, config = sgd(np.array([1.0, 2.0]), np.array([10.0, -10.0]), {"learning_rate": 0.1})
    >>> w
    array([0., 3.])
    """
    config, rate, dw = _begin(w, dw, config, learning_rate=1e-2)
    return w - rate * dw, config


def sgd_momentum(w: Array, dw: Array, config: Config | None = None) -> tuple[Array, Config]:
    """Gradient descent with momentum: v ← momentum · v - learning_rate · dw, w + v (Polyak, 1964).

    Args:
        w: the parameter.
        dw: the loss's gradient by it, of w's shape.
        config: `learning_rate` (0.01), `momentum` (0.9), and what every rule reads. State: `velocity`.

    Returns:
        (next w, config).
    """
    config, rate, dw = _begin(w, dw, config, learning_rate=1e-2, momentum=0.9)
    v = config["momentum"] * _state(config, "velocity", w) - rate * dw
    config["velocity"] = v
    return w + v, config


def nesterov(w: Array, dw: Array, config: Config | None = None) -> tuple[Array, Config]:
    """Nesterov's momentum, with the gradient taken at w: v ← momentum · v - learning_rate · dw, w + momentum · v - learning_rate · dw.

    Bengio, Boulanger-Lewandowski and Pascanu, "Advances in Optimizing Recurrent Networks", 2013, equation 7.

    Args:
        w: the parameter.
        dw: the loss's gradient by it, of w's shape.
        config: `learning_rate` (0.01), `momentum` (0.9), and what every rule reads. State: `velocity`.

    Returns:
        (next w, config).
    """
    config, rate, dw = _begin(w, dw, config, learning_rate=1e-2, momentum=0.9)
    step = rate * dw
    v = config["momentum"] * _state(config, "velocity", w) - step
    config["velocity"] = v
    return w + config["momentum"] * v - step, config


def adagrad(w: Array, dw: Array, config: Config | None = None) -> tuple[Array, Config]:
    """Each element's rate falls with the sum of its squared gradients: w - learning_rate · dw / (√cache + epsilon).

    Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", 2011.

    Args:
        w: the parameter.
        dw: the loss's gradient by it, of w's shape.
        config: `learning_rate` (0.01), `epsilon` (1e-8), and what every rule reads. State: `cache`.

    Returns:
        (next w, config).
    """
    config, rate, dw = _begin(w, dw, config, learning_rate=1e-2, epsilon=1e-8)
    cache = _state(config, "cache", w) + dw**2
    config["cache"] = cache
    return w - rate * dw / (np.sqrt(cache) + config["epsilon"]), config


def rmsprop(w: Array, dw: Array, config: Config | None = None) -> tuple[Array, Config]:
    """Each element's rate follows a moving average of its squared gradients: w - learning_rate · dw / (√cache + epsilon).

    Tieleman and Hinton, "Neural Networks for Machine Learning", lecture 6.5, 2012.

    Args:
        w: the parameter.
        dw: the loss's gradient by it, of w's shape.
        config: `learning_rate` (0.01), `decay_rate` (0.99), `epsilon` (1e-8), and what every rule reads. State: `cache`.

    Returns:
        (next w, config).
    """
    config, rate, dw = _begin(w, dw, config, learning_rate=1e-2, decay_rate=0.99, epsilon=1e-8)
    decay = config["decay_rate"]
    cache = decay * _state(config, "cache", w) + (1 - decay) * dw**2
    config["cache"] = cache
    return w - rate * dw / (np.sqrt(cache) + config["epsilon"]), config


def _adam_step(w: Array, dw: Array, config: Config) -> Array:
    """m̂ / (√v̂ + epsilon): the direction of Adam, its moments kept in the config."""
    beta1, beta2, t = config["beta1"], config["beta2"], config["t"]
    m = beta1 * _state(config, "m", w) + (1 - beta1) * dw
    v = beta2 * _state(config, "v", w) + (1 - beta2) * dw**2
    config["m"], config["v"] = m, v
    # the averages began with zeros
    return (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + config["epsilon"])


def adam(w: Array, dw: Array, config: Config | None = None) -> tuple[Array, Config]:
    """Moving averages of the gradient and of its square, both corrected for their start: w - learning_rate · m̂ / (√v̂ + epsilon).

    Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015.

    Args:
        w: the parameter.
        dw: the loss's gradient by it, of w's shape.
        config: `learning_rate` (0.001), `beta1` (0.9), `beta2` (0.999), `epsilon` (1e-8), and what every rule reads. State: `m`, `v`.

    Returns:
        (next w, config).
    """
    config, rate, dw = _begin(w, dw, config, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8)
    return w - rate * _adam_step(w, dw, config), config


def adamw(w: Array, dw: Array, config: Config | None = None) -> tuple[Array, Config]:
    """Adam with decoupled weight decay: w - learning_rate · (m̂ / (√v̂ + epsilon) + weight_decay · w).

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019.

    Args:
        w: the parameter.
        dw: the loss's gradient by it, of w's shape.
        config: as for `adam`; `weight_decay` is 0.01 here.

    Returns:
        (next w, config).
    """
    config, rate, dw = _begin(w, dw, config, decoupled=True, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=1e-2)
    return w - rate * (_adam_step(w, dw, config) + config["weight_decay"] * w), config


RULES: dict[str, Rule] = {rule.__name__: rule for rule in (sgd, sgd_momentum, nesterov, adagrad, rmsprop, adam, adamw)}


def lookup(rule: str | Rule) -> Rule:
    """The update rule of that name; a function is one already.

    Raises:
        ValueError: there is none of that name.
    """
    if not isinstance(rule, str):
        return rule
    if rule not in RULES:
        raise ValueError(f"[optim] no update rule {rule!r}; rules: {', '.join(RULES)}, or a function of (w, dw, config)")
    return RULES[rule]


# -- clipping ------------------------------------------------------------------------------------------------------------------------------
def clip_by_value(gradients: Mapping[str, Array], limit: float) -> dict[str, Array]:
    """Gradients with each element clipped to ± limit.

    Args:
        gradients: arrays by the name of their parameter.
        limit: a positive number.

    Returns:
        The clipped gradients by name.
    """
    return {name: np.clip(g, -limit, limit) for name, g in gradients.items()}


def global_norm(gradients: Mapping[str, Array]) -> Array:
    """The Euclidean norm of all gradients together, a lazy scalar."""
    return np.sqrt(sum(np.sum(g * g) for g in gradients.values()))


def clip_by_global_norm(gradients: Mapping[str, Array], max_norm: float) -> tuple[dict[str, Array], Array]:
    """Gradients scaled down together so that their global norm is at most `max_norm`; shorter ones stay as they are.

    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013.

    Args:
        gradients: arrays by the name of their parameter.
        max_norm: a positive number.

    Returns:
        (the scaled gradients by name, their norm before).

    >>> clipped, norm = clip_by_global_norm({"w": np.array([3.0]), "b": np.array([4.0])}, 1.0)
    >>> norm, clipped["w"], clipped["b"]
    (5.0, array([0.6]), array([0.8]))
    """
    norm = global_norm(gradients)
    scale = max_norm / np.maximum(norm, max_norm)
    return {name: g * scale.astype(g.dtype) for name, g in gradients.items()}, norm


# -- schedules -----------------------------------------------------------------------------------------------------------------------------
def constant_schedule(rate: float) -> Schedule:
    """The same rate at all times."""
    return lambda done: rate


def step_schedule(rate: float, every: int, factor: float = 0.1) -> Schedule:
    """`rate`, multiplied by `factor` after each `every` updates.

    >>> schedule = step_schedule(0.1, every=100, factor=0.5)
    >>> schedule(0), schedule(99), schedule(100), schedule(250)
    (0.1, 0.1, 0.05, 0.025)
    """
    return lambda done: rate * factor ** (done // every)


def exponential_schedule(rate: float, factor: float, every: int = 1) -> Schedule:
    """`rate` · factor^(updates / every): as `step_schedule`, without the steps."""
    return lambda done: rate * factor ** (done / every)


def cosine_schedule(rate: float, updates: int, final: float = 0.0) -> Schedule:
    """From `rate` to `final` along half a cosine, over that many updates; `final` after them.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, equation 5, without restarts.

    >>> schedule = cosine_schedule(0.1, 100)
    >>> schedule(0), schedule(50), schedule(100), schedule(200)
    (0.1, 0.05, 0.0, 0.0)
    """

    def schedule(done: int) -> float:
        return final + (rate - final) * (1 + math.cos(math.pi * min(done / updates, 1.0))) / 2

    return schedule


def warmup_schedule(then: float | Schedule, updates: int, start: float = 0.0) -> Schedule:
    """From `start` in equal steps up to where `then` begins, over that many updates; then `then` (a rate, or a schedule of its own time).

    Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017.

    >>> schedule = warmup_schedule(step_schedule(0.4, every=10, factor=0.5), 4)
    >>> [round(schedule(t), 3) for t in (0, 1, 2, 3, 4, 13, 14)]
    [0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.2]
    """
    rest = then if callable(then) else constant_schedule(then)

    def schedule(done: int) -> float:
        if done < updates:
            return start + (rest(0) - start) * (done + 1) / updates
        return rest(done - updates)

    return schedule
