"""k-means with k-means++ seeding and an elbow. Argument: number of points (1500)."""

import sys

import numpy as np


def make_blobs(rng, n):
    centres = np.array([[-4.0, -3.0], [0.0, 4.0], [5.0, -1.0], [1.0, -5.0]])
    labels = rng.integers(0, len(centres), n)
    return centres[labels] + rng.normal(scale=0.8, size=(n, 2)), labels


def seed(points, k, rng):
    centres = [points[rng.integers(len(points))]]
    for _ in range(k - 1):
        d2 = np.min([((points - c) ** 2).sum(axis=1) for c in centres], axis=0)
        centres.append(points[rng.choice(len(points), p=d2 / d2.sum())])
    return np.array(centres)


def kmeans(points, k, rng, max_iter=100):
    centres = seed(points, k, rng)
    iterations = 0
    while iterations < max_iter:
        iterations += 1
        distances = np.linalg.norm(points[:, None, :] - centres[None, :, :], axis=2)
        labels = distances.argmin(axis=1)
        moved = centres.copy()
        for j in range(k):
            members = points[labels == j]
            if len(members) > 0:
                moved[j] = members.mean(axis=0)
        if np.allclose(moved, centres):
            break
        centres = moved
    inertia = (distances[np.arange(len(points)), labels] ** 2).sum()
    return centres, labels, inertia, iterations


n = int(sys.argv[1]) if len(sys.argv) > 1 else 1500
rng = np.random.default_rng(42)
points, truth = make_blobs(rng, n)
for k in range(1, 7):
    centres, labels, inertia, iterations = kmeans(points, k, rng)
    print(f"k = {k}: inertia {inertia:10.3f} after {iterations} iterations, sizes {np.bincount(labels, minlength=k)}")
    if k == 4:
        order = np.lexsort(centres.T)
        print(centres[order].round(3))
        table = np.zeros((4, 4), dtype=int)
        np.add.at(table, (truth, labels), 1)
        print("purity:", table.max(axis=1).sum() / n)
