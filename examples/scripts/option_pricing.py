"""European, Asian, barrier and American options by Monte-Carlo, against Black and Scholes. Argument: number of paths (20000)."""

import sys
from math import erf, exp, log, sqrt

import numpy as np

S0, K, T, R, SIGMA = 100.0, 105.0, 1.0, 0.03, 0.2


def black_scholes(s, k, t, r, sigma):
    d1 = (log(s / k) + (r + sigma**2 / 2) * t) / (sigma * sqrt(t))
    d2 = d1 - sigma * sqrt(t)
    cdf = lambda x: (1 + erf(x / sqrt(2))) / 2  # noqa: E731
    return s * cdf(d1) - k * exp(-r * t) * cdf(d2)


def simulate(n, steps):
    dt = T / steps
    paths = np.zeros((steps + 1, n))
    paths[0] = S0
    for i in range(1, steps + 1):
        z = np.random.standard_normal(n // 2)
        z = np.concatenate((z, -z))  # antithetic
        paths[i] = paths[i - 1] * np.exp((R - SIGMA**2 / 2) * dt + SIGMA * np.sqrt(dt) * z)
    return paths


def price(payoff):
    discounted = np.exp(-R * T) * payoff
    return discounted.mean(), discounted.std(ddof=1) / np.sqrt(len(discounted))


def american_put(paths):
    """Longstaff and Schwartz: regress the value of waiting on the price."""
    steps = len(paths) - 1
    discount = np.exp(-R * T / steps)
    value = np.maximum(K - paths[-1], 0)
    for i in range(steps - 1, 0, -1):
        value *= discount
        exercise = np.maximum(K - paths[i], 0)
        money = exercise > 0
        fit = np.polyfit(paths[i][money] / S0, value[money], 2)
        waiting = np.polyval(fit, paths[i][money] / S0)
        value[money] = np.where(exercise[money] > waiting, exercise[money], value[money])
    return discount * value.mean()


n = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
np.random.seed(2024)
paths = simulate(n, 50)
final = paths[-1]
print(f"Black-Scholes   {black_scholes(S0, K, T, R, SIGMA):8.4f}")
for name, payoff in (
    ("European call", np.maximum(final - K, 0)),
    ("European put", np.maximum(K - final, 0)),
    ("digital call", (final > K).astype(float)),
    ("Asian call", np.maximum(paths[1:].mean(axis=0) - K, 0)),
    ("up and out", np.where(paths.max(axis=0) < 130, np.maximum(final - K, 0), 0)),
    ("lookback", final - paths.min(axis=0)),
):
    value, error = price(payoff)
    print(f"{name:15} {value:8.4f} +- {error:.4f}")
print(f"American put    {american_put(paths):8.4f}")
loss = np.sort(S0 - final)
print("value at risk, 95 % and 99 %:", loss[int(0.95 * n)].round(4), np.percentile(S0 - final, 99).round(4))
