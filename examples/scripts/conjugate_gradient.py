"""Poisson's equation by conjugate gradients, without storing the matrix. Argument: points along an edge (60)."""

import sys

import numpy as np


def apply_laplacian(v, n):
    """A @ v for the five-point stencil with zero boundary."""
    grid = v.reshape(n, n)
    out = 4.0 * grid
    out[1:, :] -= grid[:-1, :]
    out[:-1, :] -= grid[1:, :]
    out[:, 1:] -= grid[:, :-1]
    out[:, :-1] -= grid[:, 1:]
    return out.ravel()


def conjugate_gradient(A, b, tol=1e-8, max_iter=1000):
    x = np.zeros_like(b)
    r = b - A(x)
    p = r.copy()
    rs_old = r @ r
    history = []
    for _ in range(max_iter):
        Ap = A(p)
        alpha = rs_old / (p @ Ap)
        x += alpha * p
        r -= alpha * Ap
        rs_new = r @ r
        history.append(float(np.sqrt(rs_new)))
        if np.sqrt(rs_new) < tol * np.linalg.norm(b):
            break
        p = r + (rs_new / rs_old) * p
        rs_old = rs_new
    return x, history


n = int(sys.argv[1]) if len(sys.argv) > 1 else 60
h = 1.0 / (n + 1)
grid = np.linspace(h, 1 - h, n)
X, Y = np.meshgrid(grid, grid, indexing="ij")
exact = np.sin(np.pi * X) * np.sin(2 * np.pi * Y) + X * (1 - X) * Y * (1 - Y)
b = 5 * np.pi**2 * np.sin(np.pi * X) * np.sin(2 * np.pi * Y) + 2 * (Y * (1 - Y) + X * (1 - X))
x, history = conjugate_gradient(lambda v: apply_laplacian(v, n), (h * h * b).ravel())
print(f"{n * n} unknowns: {len(history)} iterations")
for i in range(0, len(history), max(1, len(history) // 6)):
    print(f"  {i:4d}: |r| = {history[i]:.3e}" if history[i] > 1e-6 else f"  {i:4d}: |r| < 1e-6")
print(f"largest error {np.abs(x - exact.ravel()).max():.6f}")

# the same on a small dense system, checked with LAPACK
rng = np.random.RandomState(0)
M = rng.rand(40, 40)
A = M @ M.T + 40 * np.eye(40)
c = rng.rand(40)
y, history = conjugate_gradient(A.dot, c)
print("dense:", len(history), "iterations, agrees with solve:", np.allclose(y, np.linalg.solve(A, c)))
