"""Principal components of handwritten digits by SVD, and a nearest-neighbour classifier on them. Argument: images (900)."""

import sys

import numpy as np
from sklearn.datasets import load_digits

n = int(sys.argv[1]) if len(sys.argv) > 1 else 900
digits = load_digits()
X, y = np.array(digits.data[:n]), np.array(digits.target[:n])
train = n * 2 // 3

mean = X[:train].mean(axis=0)
U, S, Vt = np.linalg.svd(X[:train] - mean, full_matrices=False)
explained = S**2 / np.sum(S**2)
print("variance explained:", np.round(explained[:8], 4))
cumulative = np.cumsum(explained)
for share in (0.5, 0.9, 0.99):
    print(f"{share:.0%} of the variance: {np.searchsorted(cumulative, share) + 1} components")

# a component's sign is arbitrary: make its largest entry positive
largest = np.abs(Vt).argmax(axis=1)
Vt *= np.sign(Vt[np.arange(len(Vt)), largest])[:, np.newaxis]
print("first component, largest pixel:", divmod(int(largest[0]), 8))

for k in (2, 5, 10, 20):
    W = Vt[:k].T
    Z = (X - mean) @ W
    error = np.sqrt(np.mean((X - (Z @ W.T + mean)) ** 2))
    a, b = Z[train:], Z[:train]
    d2 = (a * a).sum(1)[:, None] - 2 * a @ b.T + (b * b).sum(1)[None, :]
    predicted = y[:train][d2.argmin(1)]
    accuracy = (predicted == y[train:]).mean()
    print(f"{k:2d} components: reconstruction error {error:.4f}, 1-NN accuracy {accuracy:.4f}")

confusion = np.zeros((10, 10), dtype=int)
for k in range(len(predicted)):
    confusion[y[train + k], predicted[k]] += 1
print(confusion)
