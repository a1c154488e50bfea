"""Conway's game of life on a torus: a glider, an acorn and noise. Argument: cells along an edge (128)."""

import sys

import numpy as np

GLIDER = np.array([[0, 1, 0], [0, 0, 1], [1, 1, 1]])
ACORN = np.array([[0, 1, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0], [1, 1, 0, 0, 1, 1, 1]])


def neighbours(grid):
    return sum(np.roll(np.roll(grid, i, 0), j, 1) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0))


def step(grid):
    n = neighbours(grid)
    return ((n == 3) | (grid & (n == 2))).astype(int)


def place(grid, pattern, row, column):
    h, w = pattern.shape
    grid[row : row + h, column : column + w] = pattern


size = int(sys.argv[1]) if len(sys.argv) > 1 else 128
rng = np.random.default_rng(3)
grid = np.zeros((size, size), dtype=int)
place(grid, GLIDER, 1, 1)
place(grid, np.rot90(GLIDER), 1, size - 8)
place(grid, ACORN, size // 2, size // 2)
grid[-10:, :10] |= rng.random((10, 10)) < 0.4

population = [grid.sum()]
seen = {grid.tobytes(): 0}
for generation in range(1, 101):
    grid = step(grid)
    population.append(grid.sum())
    key = grid.tobytes()
    if key in seen:
        print("generation", generation, "is generation", seen[key], "again")
        break
    seen[key] = generation

print("population:", *population[::10])
print("largest:", max(population), "at generation", population.index(max(population)))
rows, columns = np.nonzero(grid)
print(f"{len(rows)} cells live, between rows {rows.min()} and {rows.max()}, columns {columns.min()} and {columns.max()}")
for row in grid[size // 2 - 8 : size // 2 + 8, size // 2 - 24 : size // 2 + 24]:
    print("".join("#" if cell else "." for cell in row))
