"""Gram-Schmidt, classical and modified, QR by it, least squares, Hilbert matrices. Argument: columns (40)."""

import sys

import numpy as np


def classical(A):
    m, n = A.shape
    Q = np.zeros((m, n))
    R = np.zeros((n, n))
    for j in range(n):
        v = A[:, j].copy()
        for i in range(j):
            R[i, j] = np.dot(Q[:, i], A[:, j])
            v = v - R[i, j] * Q[:, i]
        R[j, j] = np.linalg.norm(v)
        Q[:, j] = v / R[j, j]
    return Q, R


def modified(A):
    V = A.astype(float)
    m, n = V.shape
    Q = np.empty((m, n))
    R = np.zeros((n, n))
    for i in range(n):
        R[i, i] = np.sqrt(np.sum(V[:, i] ** 2))
        Q[:, i] = V[:, i] / R[i, i]
        for j in range(i + 1, n):
            R[i, j] = Q[:, i] @ V[:, j]
            V[:, j] -= R[i, j] * Q[:, i]
    return Q, R


def hilbert(n):
    i, j = np.indices((n, n))
    return 1.0 / (i + j + 1)


n = int(sys.argv[1]) if len(sys.argv) > 1 else 40
rng = np.random.RandomState(11)
A = rng.standard_normal((2 * n, n))
Q_lapack, R_lapack = np.linalg.qr(A)
signs = np.sign(np.diag(R_lapack))
for name, factorise in (("classical", classical), ("modified", modified)):
    Q, R = factorise(A)
    print(f"{name}: A = QR {np.allclose(Q @ R, A)}, orthonormal {np.allclose(Q.T @ Q, np.eye(n))}, ", end="")
    print(f"upper triangular {np.array_equal(R, np.triu(R))}, as LAPACK {np.allclose(R, signs[:, None] * R_lapack)}")
    print("  diagonal", np.diag(R)[:4].round(5))

b = rng.standard_normal(2 * n)
x = np.linalg.solve(R, Q.T @ b)
print("least squares agrees:", np.allclose(x, np.linalg.lstsq(A, b, rcond=None)[0]))

H = hilbert(8)
for name, factorise in (("classical", classical), ("modified", modified)):
    Q, _ = factorise(H)
    loss = np.linalg.norm(Q.T @ Q - np.eye(8))
    print(f"{name} on the 8 x 8 Hilbert matrix: loses orthogonality {'badly' if loss > 1e-3 else 'a little'}")
