"""LU with partial pivoting by loops, as in a first course; substitution, determinant, inverse. Argument: size of the matrix (40)."""

import sys

import numpy as np


def lu(A):
    n = len(A)
    U = A.astype(float).copy()
    L = np.eye(n)
    P = np.arange(n)
    swaps = 0
    for k in range(n - 1):
        pivot = k + np.argmax(np.abs(U[k:, k]))
        if pivot != k:
            U[[k, pivot]] = U[[pivot, k]]
            L[[k, pivot], :k] = L[[pivot, k], :k]
            P[[k, pivot]] = P[[pivot, k]]
            swaps += 1
        for i in range(k + 1, n):
            L[i, k] = U[i, k] / U[k, k]
            U[i, k:] -= L[i, k] * U[k, k:]
    return P, L, U, swaps


def forward(L, b):
    y = np.zeros(len(b))
    for i in range(len(b)):
        y[i] = b[i] - L[i, :i] @ y[:i]
    return y


def backward(U, y):
    n = len(y)
    x = np.zeros(n)
    for i in range(n - 1, -1, -1):
        x[i] = (y[i] - np.dot(U[i, i + 1 :], x[i + 1 :])) / U[i, i]
    return x


n = int(sys.argv[1]) if len(sys.argv) > 1 else 40
np.random.seed(1)
A = np.random.randint(-9, 10, (n, n)) + n * np.eye(n)
b = np.random.rand(n)
P, L, U, swaps = lu(A)
print("row order:", P)
print("P A = L U:", np.allclose(A[P], L @ U), " |L| <= 1:", bool((abs(L) <= 1 + 1e-12).all()))
x = backward(U, forward(L, b[P]))
print(f"residual below 1e-10: {np.abs(A @ x - b).max() < 1e-10}; x[:3] = {x[:3].round(6)}")
sign, logdet = np.linalg.slogdet(A)
mine = (-1) ** swaps * np.prod(np.sign(np.diag(U)))
print(f"determinant: sign {mine:+.0f} ({sign:+.0f}), log {np.sum(np.log(np.abs(np.diag(U)))):.8f} ({logdet:.8f})")
if n <= 60:
    columns = [backward(U, forward(L, e[P])) for e in np.eye(n)]
    inverse = np.column_stack(columns)
    print("inverse agrees with LAPACK:", np.allclose(inverse, np.linalg.inv(A)))
