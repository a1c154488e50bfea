"""Four classics as one writes them in NumPy: k-means, the game of life, the sieve of Eratosthenes, power iteration."""

import numpy as np

rng = np.random.default_rng(0)

points = np.concatenate([rng.normal(centre, 0.3, (50, 2)) for centre in [(0, 0), (3, 3), (0, 4)]])
centres = points[rng.choice(len(points), 3, replace=False)]
for _ in range(20):
    distances = np.sqrt(((points[:, None, :] - centres[None]) ** 2).sum(-1))
    nearest = distances.argmin(1)
    moved = np.array([points[nearest == k].mean(0) for k in range(3)])
    if np.allclose(moved, centres):
        break
    centres = moved
print(f"k-means: sizes {np.bincount(nearest)}")
print(np.sort(centres, axis=0).round(3))

cells = (rng.random((16, 16)) < 0.3).astype(int)
around = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
for _ in range(10):
    neighbours = sum(np.roll(np.roll(cells, i, 0), j, 1) for i, j in around)
    cells = ((neighbours == 3) | ((cells == 1) & (neighbours == 2))).astype(int)
print(f"life: {cells.sum()} cells are alive")
for row in np.where(cells == 1, "#", "."):
    print("".join(row))

prime = np.ones(200, bool)
prime[:2] = False
for i in range(2, 15):
    if prime[i]:
        prime[i * i :: i] = False
print("primes:", np.flatnonzero(prime))

matrix = rng.random((6, 6))
matrix = matrix @ matrix.T
vector = np.ones(6)
for _ in range(100):
    vector = matrix @ vector
    vector /= np.linalg.norm(vector)
print(f"largest eigenvalue: {vector @ matrix @ vector:.6f}, by LAPACK {np.linalg.eigvalsh(matrix)[-1]:.6f}")
