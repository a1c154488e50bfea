"""All shortest paths of a random road map, with the routes. Argument: number of towns (120)."""

import sys

import numpy as np


def road_map(n, rng):
    towns = rng.uniform(0, 100, (n, 2))
    distance = np.sqrt(((towns[:, None] - towns[None, :]) ** 2).sum(-1))
    weights = np.full((n, n), np.inf)
    nearest = np.argsort(distance, axis=1)[:, 1:5]
    rows = np.repeat(np.arange(n), nearest.shape[1])
    weights[rows, nearest.ravel()] = distance[rows, nearest.ravel()]
    weights = np.minimum(weights, weights.T)
    np.fill_diagonal(weights, 0)
    return towns, weights


def floyd_warshall(weights):
    dist = weights.copy()
    n = len(dist)
    follow = np.where(np.isfinite(dist), np.arange(n)[None, :], -1)
    for k in range(n):
        through = dist[:, k, None] + dist[None, k, :]
        better = through < dist
        dist = np.where(better, through, dist)
        follow = np.where(better, follow[:, k, None], follow)
    return dist, follow


def route(follow, start, goal):
    if follow[start, goal] < 0:
        return []
    path = [start]
    while start != goal:
        start = int(follow[start, goal])
        path.append(start)
    return path


n = int(sys.argv[1]) if len(sys.argv) > 1 else 120
rng = np.random.default_rng(5)
towns, weights = road_map(n, rng)
dist, follow = floyd_warshall(weights)
reachable = np.isfinite(dist)
print(f"{n} towns, {(np.isfinite(weights).sum() - n) // 2} roads; {reachable.mean():.1%} of the pairs are connected")
finite = np.where(reachable, dist, 0)
a, b = np.unravel_index(finite.argmax(), finite.shape)
print(f"longest shortest path: {a} to {b}, {dist[a, b]:.3f}")
path = route(follow, int(a), int(b))
print("  by way of", *path)
print(f"  adds up to {sum(weights[path[k], path[k + 1]] for k in range(len(path) - 1)):.3f}")
print("most central towns:", np.argsort(finite.sum(axis=1) + 1e9 * (~reachable).sum(axis=1))[:5])
print("triangle inequality:", bool((dist <= (dist[:, :1] + dist[:1, :]) + 1e-9).all()))
