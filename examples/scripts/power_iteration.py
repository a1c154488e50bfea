"""PageRank and eigenvalues by power iteration, and a sieve of primes. Argument: number of pages (200)."""

import sys

import numpy as np


def pagerank(links, damping=0.85, tol=1e-10):
    n = len(links)
    degree = links.sum(axis=1)
    M = np.divide(links, degree[:, None], out=np.full(links.shape, 1 / n), where=degree[:, None] > 0).T
    rank = np.full(n, 1 / n)
    steps = 0
    while True:
        new = (1 - damping) / n + damping * M @ rank
        steps += 1
        if np.abs(new - rank).sum() < tol:
            return new, steps
        rank = new


def eigenpairs(A, count):
    A = A.copy()
    for _ in range(count):
        v = np.ones(len(A))
        old = np.inf
        for _ in range(1000):
            w = A @ v
            v = w / np.linalg.norm(w)
            value = v @ A @ v
            if abs(value - old) < 1e-12 * abs(value):
                break
            old = value
        yield value, v
        A -= value * np.outer(v, v)


def primes_up_to(n):
    sieve = np.ones(n + 1, dtype=bool)
    sieve[:2] = False
    for i in range(2, int(n**0.5) + 1):
        if sieve[i]:
            sieve[i * i :: i] = False
    return np.flatnonzero(sieve)


n = int(sys.argv[1]) if len(sys.argv) > 1 else 200
primes = primes_up_to(n * n)
print(f"{len(primes)} primes up to {n * n}; the last ones {primes[-5:]}; twins: {np.sum(np.diff(primes) == 2)}")

numbers = np.arange(1, n + 1)
links = (numbers[None, :] % numbers[:, None] == 0).astype(float)
np.fill_diagonal(links, 0)
rank, steps = pagerank(links)
best = np.argsort(-rank, kind="stable")[:5]
print(f"PageRank after {steps} steps, sum {rank.sum():.6f}:")
for page in best:
    print(f"  page {numbers[page]:4d}: {rank[page]:.6f}")

symmetric = np.exp(-np.abs(np.subtract.outer(np.arange(20.0), np.arange(20.0))) / 5)
found = np.array([value for value, _ in eigenpairs(symmetric, 3)])
print("largest eigenvalues:", found.round(6), "LAPACK:", np.linalg.eigvalsh(symmetric)[::-1][:3].round(6))
