"""A Julia set with complex numbers and masks. Argument: points along an edge (120)."""

import sys

import numpy as np


def julia(c, n, turns):
    y, x = np.ogrid[-1.2 : 1.2 : n * 1j, -1.6 : 1.6 : n * 1j]
    z = x + 1j * y
    escaped = np.full(z.shape, turns)
    alive = np.ones(z.shape, dtype=bool)
    for k in range(turns):
        z[alive] = z[alive] ** 2 + c
        gone = np.abs(z) > 2
        escaped[alive & gone] = k
        alive &= ~gone
        if not alive.any():
            break
    return escaped


n = int(sys.argv[1]) if len(sys.argv) > 1 else 120
for c in (-0.4 + 0.6j, 0.285 + 0.01j, -0.8 + 0.156j):
    escaped = julia(c, n, 60)
    counts = np.bincount(escaped.ravel(), minlength=61)
    print(f"c = {c}: {counts[60] / escaped.size:.2%} stay; mean {escaped.mean():.3f}, most leave at {counts[:60].argmax()}")
    for row in escaped[:: max(1, n // 12), :: max(1, n // 40)]:
        print("".join(" .:-=+*#%@"[min(9, k // 6)] for k in row.tolist()))
