"""Black-Scholes: prices of European calls, about 60 element-wise operations on 10⁴, 10⁶ and 10⁷ options."""

from __future__ import annotations

from typing import Any

import numpy

from .workload import Workload, function, uniform

RATE, VOLATILITY = 0.05, 0.3


def inputs(count: int) -> tuple[numpy.ndarray, ...]:
    """Spot prices, strike prices, years to maturity."""
    rng = numpy.random.default_rng(1)
    return uniform(rng, count, 10, 50), uniform(rng, count, 10, 50), uniform(rng, count, 0.25, 2)


def cumulative_normal(np: Any, d: Any) -> Any:
    """The normal distribution function (Abramowitz & Stegun 26.2.17)."""
    k = 1.0 / (1.0 + 0.2316419 * np.abs(d))
    polynomial = k * (0.319381530 + k * (-0.356563782 + k * (1.781477937 + k * (-1.821255978 + k * 1.330274429))))
    upper = 1.0 - 0.39894228040 * np.exp(-0.5 * d * d) * polynomial
    return np.where(d < 0, 1.0 - upper, upper)


def price(np: Any, spot: Any, strike: Any, years: Any) -> Any:
    """Prices of the calls. MXNet has all these functions under NumPy's names."""
    deviation = VOLATILITY * np.sqrt(years)
    d1 = (np.log(spot / strike) + (RATE + 0.5 * VOLATILITY * VOLATILITY) * years) / deviation
    d2 = d1 - deviation
    return spot * cumulative_normal(np, d1) - strike * np.exp(-RATE * years) * cumulative_normal(np, d2)


WORKLOADS: list[Workload] = [
    function(
        f"black_scholes_1e{power}",
        f"Black-Scholes, 10{sign} options",
        lambda quick, power=power: inputs(1000 if quick else 10**power),  # type: ignore[misc]
        price,
    )
    for power, sign in ((4, "⁴"), (6, "⁶"), (7, "⁷"))
]
