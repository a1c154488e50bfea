"""A plate with hot and cold edges, until it no longer changes. Argument: points along an edge (80)."""

import sys

import numpy as np


def laplacian(u):
    return u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4 * u[1:-1, 1:-1]


def solve(n, tolerance=2e-3, max_steps=2000):
    u = np.zeros((n, n))
    u[0, :] = 100.0
    u[:, 0] = np.linspace(100.0, 25.0, n)
    u[-1, :] = 25.0
    for step in range(1, max_steps + 1):
        before = u.copy()
        u[1:-1, 1:-1] += 0.2 * laplacian(u)
        if step % 20 == 0:
            change = np.abs(u - before).max()
            if change < tolerance:
                break
        if step % 400 == 0:
            print(f"step {step:5d}: mean {u.mean():8.4f}, change {change:.2e}")
    return u, step


n = int(sys.argv[1]) if len(sys.argv) > 1 else 80
u, steps = solve(n)
print("stopped after", steps, "steps")
i, j = np.unravel_index(np.argmax(u[1:-1, 1:-1]), (n - 2, n - 2))
print(f"hottest inner point: ({i + 1}, {j + 1}) with {u[i + 1, j + 1]:.3f} degrees")
print(u[:: n // 5, :: n // 5].round(2))
