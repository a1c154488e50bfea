"""Update rules against their papers' formulas in plain NumPy; schedules; clipping; nothing is compiled anew along the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.nn import optim

Array = Any
STEPS = 12
SHAPE = (3, 4)


# -- the papers --------------------------------------------------------------------------------------------------------------------------
# each takes the first parameter, the learning rates and a function that gives gradients, and yields the parameters that follow
Gradient = Callable[[numpy.ndarray, int], numpy.ndarray]
Path = Iterator[numpy.ndarray]


def descent(theta: numpy.ndarray, rates: list[float], gradient: Gradient) -> Path:
    """Robbins and Monro: θ ← θ - η g."""
    for k, rate in enumerate(rates):
        theta = theta - rate * gradient(theta, k)
        yield theta


def heavy_ball(theta: numpy.ndarray, rates: list[float], gradient: Gradient, mu: float = 0.9) -> Path:
    """Polyak 1964, as Sutskever et al. 2013 write it (equations 1 and 2)."""
    velocity = numpy.zeros_like(theta)
    for k, rate in enumerate(rates):
        velocity = mu * velocity - rate * gradient(theta, k)
        theta = theta + velocity
        yield theta


def accelerated(theta: numpy.ndarray, rates: list[float], gradient: Gradient, mu: float = 0.9) -> Path:
    """Sutskever et al. 2013, equations 3 and 4, where the gradient is taken ahead of θ; what is seen is the place it is taken at.

    With Φ = θ + μ v this is the form of Bengio et al. 2013 where the rate stays the same.
    """
    ahead = theta
    velocity = numpy.zeros_like(theta)
    for k, rate in enumerate(rates):
        theta = ahead - mu * velocity
        velocity = mu * velocity - rate * gradient(ahead, k)
        theta = theta + velocity
        ahead = theta + mu * velocity
        yield ahead


def duchi(theta: numpy.ndarray, rates: list[float], gradient: Gradient, epsilon: float = 1e-8) -> Path:
    """Duchi et al. 2011, the diagonal form (figure 1, δ = ε added to the root)."""
    seen: list[numpy.ndarray] = []
    for k, rate in enumerate(rates):
        g = gradient(theta, k)
        seen.append(g)
        theta = theta - rate * g / (numpy.sqrt(sum(h * h for h in seen)) + epsilon)
        yield theta


def hinton(theta: numpy.ndarray, rates: list[float], gradient: Gradient, rho: float = 0.99, epsilon: float = 1e-8) -> Path:
    """Tieleman and Hinton 2012: the mean square is the exponentially weighted sum of all squares so far."""
    seen: list[numpy.ndarray] = []
    for k, rate in enumerate(rates):
        g = gradient(theta, k)
        seen.append(g)
        mean_square = sum((1 - rho) * rho ** (k - j) * h * h for j, h in enumerate(seen))
        theta = theta - rate * g / (numpy.sqrt(mean_square) + epsilon)
        yield theta


def kingma(
    theta: numpy.ndarray,
    rates: list[float],
    gradient: Gradient,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    decay: float = 0.0,
) -> Path:
    """Kingma and Ba 2015, algorithm 1; with a decay Loshchilov and Hutter 2019, algorithm 2, η being the rate."""
    first, second = numpy.zeros_like(theta), numpy.zeros_like(theta)
    for k, rate in enumerate(rates):
        t = k + 1
        g = gradient(theta, k)
        first = beta1 * first + (1 - beta1) * g
        second = beta2 * second + (1 - beta2) * g**2
        unbiased_first, unbiased_second = first / (1 - beta1**t), second / (1 - beta2**t)
        theta = theta - rate * (unbiased_first / (numpy.sqrt(unbiased_second) + epsilon) + decay * theta)
        yield theta


# rule -> (its settings, the paper's, with those settings)
RULES: dict[str, list[tuple[dict[str, Any], Callable[..., Path], dict[str, Any]]]] = {
    "sgd": [({}, descent, {})],
    "sgd_momentum": [({}, heavy_ball, {}), ({"momentum": 0.5}, heavy_ball, {"mu": 0.5})],
    "nesterov": [({}, accelerated, {}), ({"momentum": 0.5}, accelerated, {"mu": 0.5})],
    "adagrad": [({}, duchi, {}), ({"epsilon": 0.1}, duchi, {"epsilon": 0.1})],
    "rmsprop": [({}, hinton, {}), ({"decay_rate": 0.8, "epsilon": 0.1}, hinton, {"rho": 0.8, "epsilon": 0.1})],
    "adam": [({}, kingma, {}), ({"beta1": 0.5, "beta2": 0.9, "epsilon": 0.1}, kingma, {"beta1": 0.5, "beta2": 0.9, "epsilon": 0.1})],
    "adamw": [({"weight_decay": 0.1}, kingma, {"decay": 0.1}), ({}, kingma, {"decay": 0.01})],
}
CASES = [(rule, *case) for rule, cases in RULES.items() for case in cases]


def start() -> numpy.ndarray:
    return numpy.random.default_rng(0).standard_normal(SHAPE)


def slope(theta: numpy.ndarray, k: int) -> numpy.ndarray:
    """The gradient of a loss that changes from batch to batch."""
    return 2 * theta + numpy.random.default_rng(k + 1).standard_normal(SHAPE)


def path_of(rule: str, settings: dict[str, Any], dtype: str = "float64", gradient: Gradient = slope) -> list[numpy.ndarray]:
    """The parameters that the rule goes through."""
    w, config, found = np.array(start().astype(dtype)), dict(settings), []
    for k in range(STEPS):
        w, config = getattr(optim, rule)(w, np.array(gradient(w.asnumpy(), k).astype(dtype)), config)
        assert w.dtype == dtype
        found.append(w.asnumpy())
    return found


def assert_same_path(found: list[numpy.ndarray], expected: Path, rtol: float = 1e-9) -> None:
    for k, wanted in enumerate(expected):
        numpy.testing.assert_allclose(found[k], wanted, rtol=rtol, atol=rtol)
    assert k == STEPS - 1


def test_every_rule_is_compared_with_its_paper() -> None:
    assert set(RULES) == set(optim.RULES)


@pytest.mark.parametrize(("rule", "settings", "paper", "its"), CASES)
def test_a_rule_follows_its_paper(rule: str, settings: dict[str, Any], paper: Callable[..., Path], its: dict[str, Any]) -> None:
    assert_same_path(path_of(rule, {"learning_rate": 0.05, **settings}), paper(start(), [0.05] * STEPS, slope, **its))


@pytest.mark.parametrize(("rule", "settings", "paper", "its"), CASES)
def test_a_rule_in_float32(rule: str, settings: dict[str, Any], paper: Callable[..., Path], its: dict[str, Any]) -> None:
    found = path_of(rule, {"learning_rate": 0.05, **settings}, dtype="float32")
    assert_same_path(found, paper(start(), [0.05] * STEPS, slope, **its), rtol=2e-4)


@pytest.mark.parametrize("rule", [r for r in RULES if r != "nesterov"])
def test_a_rule_along_a_schedule(rule: str) -> None:
    settings, paper, its = RULES[rule][0]
    schedule = optim.cosine_schedule(0.1, STEPS)
    found = path_of(rule, {"learning_rate": schedule, **settings})
    assert_same_path(found, paper(start(), [0.05 * (1 + math.cos(math.pi * k / STEPS)) for k in range(STEPS)], slope, **its))


def test_nesterov_along_a_schedule() -> None:
    # equation 7 of Bengio et al. 2013, with the rates of the steps
    theta, velocity, expected = start(), numpy.zeros(SHAPE), []
    for k in range(STEPS):
        rate, g = 0.1 * 0.9**k, slope(theta, k)
        theta = theta + 0.9 * 0.9 * velocity - (1 + 0.9) * rate * g
        velocity = 0.9 * velocity - rate * g
        expected.append(theta)
    assert_same_path(path_of("nesterov", {"learning_rate": optim.exponential_schedule(0.1, 0.9)}), iter(expected))


@pytest.mark.parametrize("rule", [r for r in RULES if r != "adamw"])
def test_weight_decay_is_the_gradient_of_a_penalty(rule: str) -> None:
    settings, paper, its = RULES[rule][0]
    found = path_of(rule, {"learning_rate": 0.05, "weight_decay": 0.3, **settings})
    # that of the loss + 0.15 |θ|²
    assert_same_path(found, paper(start(), [0.05] * STEPS, lambda theta, k: slope(theta, k) + 0.3 * theta, **its))


@pytest.mark.parametrize("rule", RULES)
def test_clipping_elements(rule: str) -> None:
    settings, paper, its = RULES[rule][0]
    found = path_of(rule, {"learning_rate": 0.05, "clip_value": 0.5, **settings})
    assert_same_path(found, paper(start(), [0.05] * STEPS, lambda theta, k: numpy.clip(slope(theta, k), -0.5, 0.5), **its))


@pytest.mark.parametrize("rule", RULES)
def test_settings_that_are_numpys_numbers_or_ours_leave_the_dtype(rule: str) -> None:
    # a search draws them: 10 ** np.random.uniform(-3, -1)
    drawn = 10 ** np.random.uniform(-3, -1)
    found = []
    for rate in (float(drawn), drawn, numpy.float64(drawn), lambda updates: numpy.float64(drawn), lambda updates: drawn):
        number = type(rate) is float
        config = {
            "learning_rate": rate,
            "weight_decay": 0.5 if number else numpy.float64(0.5),
            "clip_value": 2 if number else numpy.int64(2),
        }
        config |= {"momentum": 0.5 if number else numpy.float64(0.5)} if rule in ("sgd_momentum", "nesterov") else {}
        w = np.array(start().astype("float32"))
        for _ in range(2):
            w, config = getattr(optim, rule)(w, np.array(start().astype("float32")), config)
        assert w.dtype == "float32"
        found.append(w.asnumpy())
    for other in found[1:]:
        numpy.testing.assert_allclose(other, found[0], rtol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_default_settings(rule: str) -> None:
    w, config = getattr(optim, rule)(np.ones(3), np.ones(3))
    assert config["learning_rate"] == (1e-3 if rule.startswith("adam") else 1e-2)
    assert (w.asnumpy() < 1).all()
    assert config["t"] == 1


# -- programs ------------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("rule", RULES)
def test_nothing_is_compiled_along_a_schedule(rule: str) -> None:
    schedule = optim.warmup_schedule(optim.cosine_schedule(0.1, 30), 8)
    # a shape of its own: what other tests left in the caches says nothing
    size = 40 + list(RULES).index(rule)
    w, config = np.array(numpy.ones((size, 3), "float32")), {"learning_rate": schedule, "clip_value": 2.0, "weight_decay": 0.01}
    counts = []
    minpy_jit.reset_stats()
    for k in range(40):
        gradient = np.array(numpy.full((size, 3), 0.1 * k, "float32"))
        w, config = getattr(optim, rule)(w, gradient, config)
        minpy_jit.flush()
        found = minpy_jit.stats()
        counts.append((found["compiles"], found["binds"], found["recorded"]))
    assert counts[1:] == [counts[1]] * 39
    assert numpy.isfinite(w.asnumpy()).all()


def test_a_rule_keeps_no_history() -> None:
    w, config = np.array(numpy.ones((64, 64))), {}
    for _ in range(3):
        w, config = optim.adam(w, np.array(numpy.ones((64, 64))), config)
        minpy_jit.flush()
    before = minpy_jit.stats()["bytes_held"]
    for _ in range(50):
        w, config = optim.adam(w, np.array(numpy.ones((64, 64))), config)
        minpy_jit.flush()
    assert minpy_jit.stats()["bytes_held"] <= before


# -- schedules and clipping ----------------------------------------------------------------------------------------------------------------
def test_schedules() -> None:
    assert [optim.constant_schedule(0.3)(k) for k in (0, 9)] == [0.3, 0.3]
    assert [optim.step_schedule(1.0, 3, 0.5)(k) for k in range(7)] == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25]
    assert [optim.exponential_schedule(1.0, 0.25, every=2)(k) for k in range(4)] == pytest.approx([1.0, 0.5, 0.25, 0.125])
    cosine = optim.cosine_schedule(1.0, 4, final=0.2)
    assert [cosine(k) for k in range(6)] == pytest.approx([0.2 + 0.4 * (1 + math.cos(math.pi * k / 4)) for k in range(4)] + [0.2, 0.2])
    warm = optim.warmup_schedule(0.4, 4, start=0.2)
    assert [warm(k) for k in range(6)] == pytest.approx([0.25, 0.3, 0.35, 0.4, 0.4, 0.4])


def test_clipping_by_the_global_norm() -> None:
    rng = numpy.random.default_rng(0)
    gradients = {"w": rng.standard_normal((3, 4)), "b": rng.standard_normal(5)}
    norm = math.sqrt(sum(float((g**2).sum()) for g in gradients.values()))
    ours = {name: np.array(g) for name, g in gradients.items()}
    clipped, found = optim.clip_by_global_norm(ours, 0.5)
    assert float(found) == pytest.approx(norm, rel=1e-12)
    assert float(optim.global_norm(clipped)) == pytest.approx(0.5, rel=1e-12)
    for name, g in gradients.items():
        numpy.testing.assert_allclose(clipped[name].asnumpy(), g * 0.5 / norm, rtol=1e-12)
    kept, _ = optim.clip_by_global_norm(ours, 100.0)
    for name, g in gradients.items():
        assert (kept[name].asnumpy() == g).all()
    zeros, _ = optim.clip_by_global_norm({"w": np.zeros(3, "float32")}, 1.0)
    assert zeros["w"].dtype == "float32"
    assert zeros["w"].tolist() == [0.0, 0.0, 0.0]


def test_an_unknown_rule() -> None:
    with pytest.raises(ValueError, match=r"\[optim\] no update rule 'lbfgs'; rules: sgd, sgd_momentum"):
        optim.lookup("lbfgs")
    assert optim.lookup("adam") is optim.adam
    assert optim.lookup(optim.sgd) is optim.sgd
