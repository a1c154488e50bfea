"""Sample calls of every public function of NumPy and of every method of its arrays, evaluated in NumPy's namespace and in ours.

A line is an expression or a statement. `np` is the namespace; the operands are made by `operands`. Batteries are lines with a hole for the
name of the function.
"""

from __future__ import annotations

import functools
import re
from typing import Any

import numpy

# -- the operands ------------------------------------------------------------------------------------------------------------------------
# those whose dtype and shape the sweeps change
SWEPT = ("x", "y", "w", "v")


def operands() -> dict[str, Any]:
    """Fresh operands, as NumPy has them."""
    made = {k: v.copy() for k, v in _operands().items()}
    made["t"] = made["x"].T
    return made


@functools.cache
def _operands() -> dict[str, Any]:
    rng = numpy.random.RandomState(3)
    x, y = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    n = x.copy()
    n[0, 1], n[1, 2], n[2, 0] = numpy.nan, numpy.inf, -numpy.inf
    records = numpy.array([(1, 2.5), (3, -4.0), (0, 7.0)], dtype=[("a", "i4"), ("b", "f8")])
    return {
        "x": x,
        "y": y,
        "w": rng.standard_normal((2, 3, 4)),
        "v": y[1].copy(),
        "q": numpy.array([-1.0, 0.0, 0.5, 2.0]),
        "t": x.T,
        "m": x > 0,
        "i": rng.randint(0, 5, (3, 4)),
        "j": rng.randint(1, 5, (3, 4)),
        "k": numpy.array([2, 0, 3, 1]),
        "l": numpy.array([2, 0, 1]),
        "c": x + 1j * y,
        "n": n,
        "u": rng.randint(0, 200, (3, 4)).astype(numpy.uint8),
        "f": x.astype(numpy.float32),
        "h": x.astype(numpy.float16),
        "g": numpy.array([-3, 7, 100], dtype=numpy.int8),
        "p": x @ x.T + numpy.eye(3),
        "z": numpy.array(1.5),
        "s": numpy.float64(0.75),
        "si": numpy.int32(3),
        "e": numpy.zeros((0, 3)),
        "o": numpy.zeros((3, 4)),
        "of": numpy.zeros((3, 4), numpy.float32),
        "oi": numpy.zeros((3, 4), int),
        "ob": numpy.zeros((3, 4), bool),
        "oc": numpy.zeros((3, 4), complex),
        "o3": numpy.zeros(3),
        "o4": numpy.zeros(4),
        "o0": numpy.zeros(()),
        "S": numpy.array(["pear", "Apple", "fig 1"]),
        "B": numpy.array([b"pear", b"Apple", b"fig"]),
        "D": numpy.array(["2020-03-01", "2019-12-31", "NaT"], dtype="M8[D]"),
        "T": numpy.array([5, -2, 7], dtype="m8[h]"),
        "O": numpy.array([3, 1.5, 2], dtype=object),
        "R": records,
    }


# -- batteries ---------------------------------------------------------------------------------------------------------------------------
_UNARY = """
np.{f}(x)
np.{f}(f)
np.{f}(i)
np.{f}(m)
np.{f}(c)
np.{f}(h)
np.{f}(t)
np.{f}(z)
np.{f}(s)
np.{f}(e)
np.{f}(0.5)
np.{f}(2)
np.{f}(True)
np.{f}([0.25, 0.5])
np.{f}(n)
np.{f}(S)
np.{f}(O)
np.{f}(D)
np.{f}(x, out=o)
np.{f}(x, o)
np.{f}(x, out=(o,))
np.{f}(x, out=of)
np.{f}(x, out=oi)
np.{f}(x, out=o[:, ::-1])
np.{f}(x, out=o3)
np.{f}(v, out=o)
np.{f}(x, where=m, out=o)
np.{f}(x, where=m[0], out=o)
np.{f}(x, dtype=np.float32)
np.{f}(i, dtype=float)
np.{f}(f, dtype="f8", casting="safe")
np.{f}(x, dtype=np.float32, casting="safe")
np.{f}(x, casting="no")
np.{f}(x, casting="nonsense")
np.{f}(t, order="C")
np.{f}(x, order="F")
np.{f}(x, subok=False)
np.{f}(x, signature="d->d")
np.{f}(x, nonsense=1)
np.{f}(x, y, x)
np.{f}()
np.{f}.reduce(x)
np.{f}.at(x, [0, 0])
np.{f}.outer(x, y)
"""

_BINARY = """
np.{f}(x, y)
np.{f}(i, j)
np.{f}(m, m)
np.{f}(c, x)
np.{f}(f, x)
np.{f}(f, 2.5)
np.{f}(f, 2)
np.{f}(2, f)
np.{f}(i, 2.5)
np.{f}(i, 2)
np.{f}(u, 3)
np.{f}(u, 300)
np.{f}(u, -1)
np.{f}(h, h)
np.{f}(g, si)
np.{f}(x, v)
np.{f}(x, z)
np.{f}(x, s)
np.{f}(s, s)
np.{f}(s, 2)
np.{f}(2, 3)
np.{f}(2.0, 3)
np.{f}(True, False)
np.{f}([1, 2], [3, 4])
np.{f}([1, 2, 3, 4], x)
np.{f}(x, t)
np.{f}(e, 1)
np.{f}(n, x)
np.{f}(S, S)
np.{f}(O, O)
np.{f}(O, 2)
np.{f}(D, T)
np.{f}(T, T)
np.{f}(x, None)
np.{f}(x, y, out=o)
np.{f}(x, y, o)
np.{f}(x, y, out=(o,))
np.{f}(i, j, out=o)
np.{f}(x, y, out=oi)
np.{f}(x, y, out=ob)
np.{f}(i, j, out=of)
np.{f}(x, y, out=o.T)
np.{f}(x, v, out=o3)
np.{f}(v, v, out=o)
np.{f}(x, y, where=m, out=o)
np.{f}(x, y, where=[True, False, True, False], out=o)
np.{f}(x, y, where=i, out=o)
np.{f}(i, j, dtype=float)
np.{f}(x, y, dtype=np.float32)
np.{f}(x, y, dtype=np.float32, casting="safe")
np.{f}(i, j, dtype=np.int8, casting="unsafe")
np.{f}(i, x, casting="no")
np.{f}(t, t, order="C")
np.{f}(i, j, signature="ll->l")
np.{f}(i, j, sig=(float, float, None))
np.{f}(x)
np.{f}.reduce(x)
np.{f}.reduce(i)
np.{f}.reduce(m)
np.{f}.reduce(x, 1)
np.{f}.reduce(x, axis=-1, keepdims=True)
np.{f}.reduce(x, axis=None)
np.{f}.reduce(w, axis=(0, 2))
np.{f}.reduce(x, axis=0, dtype=np.float32)
np.{f}.reduce(x, axis=0, out=o4)
np.{f}.reduce(x, 1, None, o3)
np.{f}.reduce(x, axis=0, initial=2)
np.{f}.reduce(x, axis=1, where=m, initial=1)
np.{f}.reduce(e)
np.{f}.reduce(z)
np.{f}.reduce(x, axis=2)
np.{f}.reduce([1, 2, 3])
np.{f}.accumulate(x)
np.{f}.accumulate(i, axis=1)
np.{f}.accumulate(m)
np.{f}.accumulate(x, 1, np.float32)
np.{f}.accumulate(x, axis=-1, out=o)
np.{f}.accumulate(z)
np.{f}.reduceat(v, [0, 2, 1])
np.{f}.reduceat(x, [0, 2], axis=1)
np.{f}.reduceat(x, [0, 9])
np.{f}.outer(v, q)
np.{f}.outer(x, v)
np.{f}.outer(2, v)
np.{f}.outer(i, k, dtype=float)
np.{f}.at(v, [0, 0, 1], 2.0)
np.{f}.at(x, (l, l), [1.0, 2.0, 3.0])
np.{f}.at(i, (slice(None), [1, 1]), 2)
np.{f}.at(x[:, ::2], ([0, 0], [1, 1]), 1.5)
np.{f}.at(v, k, v)
np.{f}.at(i, [0, 0], 1.5)
np.{f}.at(v, [7], 1.0)
"""

# reductions of (a, axis, out, keepdims)
_REDUCTION = """
np.{f}(x)
np.{f}(f)
np.{f}(i)
np.{f}(m)
np.{f}(c)
np.{f}(h)
np.{f}(u)
np.{f}(n)
np.{f}(n, axis=1)
np.{f}(t, axis=1)
np.{f}(v)
np.{f}(z)
np.{f}(s)
np.{f}(2.5)
np.{f}([1, 2, 3])
np.{f}([[1, 2.5], [3, 4]], axis=1)
np.{f}(e)
np.{f}(e, axis=0)
np.{f}(e, axis=1)
np.{f}(S)
np.{f}(O)
np.{f}(D)
np.{f}(T)
np.{f}(x, 0)
np.{f}(x, axis=-1)
np.{f}(a=x, axis=1)
np.{f}(x, axis=s)
np.{f}(x, axis=2)
np.{f}(x, axis=1.0)
np.{f}(z, axis=0)
np.{f}(x, axis=0, keepdims=True)
np.{f}(x, keepdims=True)
np.{f}(x, axis=0, out=o4)
np.{f}(x, axis=1, out=o4)
np.{f}(x, axis=1, out=o[:, 0])
np.{f}(x, out=o0)
np.{f}(x, axis=0, out=of[0])
np.{f}(x, axis=0, out=oi[0])
np.{f}(x, axis=0, out=ob[0])
np.{f}(x, axis=0, out=oc[0])
np.{f}(c, axis=0, out=o4)
np.{f}(x, nonsense=1)
np.{f}()
"""
_SEVERAL_AXES = """
np.{f}(w, axis=(0, 2))
np.{f}(w, axis=(0, -1), keepdims=True)
np.{f}(x, axis=())
np.{f}(x, axis=(0, 0))
np.{f}(x, axis=[0, 1])
"""
_DTYPE = """
np.{f}(x, dtype=np.float32)
np.{f}(i, dtype=float)
np.{f}(f, 1, "f8")
np.{f}(x, dtype=int)
np.{f}(i, dtype=complex)
np.{f}(m, dtype=np.int8)
np.{f}(f, axis=0, dtype="f8", out=of[0])
"""
_WHERE = """
np.{f}(x, where=m)
np.{f}(x, axis=1, where=m[0])
np.{f}(x, where=[True, False, True, True], axis=0, keepdims=True)
np.{f}(x, where=False)
np.{f}(x, where=i)
"""
_INITIAL = """
np.{f}(x, initial=2)
np.{f}(i, initial=2.5)
np.{f}(x, axis=1, initial=0.5)
np.{f}(e, initial=3.0)
np.{f}(x, axis=1, initial=1, where=m)
np.{f}(x, initial=v)
"""
_RUNNING = """
np.{f}(x)
np.{f}(x, 1)
np.{f}(x, axis=-1)
np.{f}(i)
np.{f}(m, axis=0)
np.{f}(f)
np.{f}(c)
np.{f}(u)
np.{f}(z)
np.{f}(2.5)
np.{f}([1, 2, 3])
np.{f}(e)
np.{f}(e, axis=1)
np.{f}(O)
np.{f}(n, axis=1)
np.{f}(t, axis=0)
np.{f}(x, axis=2)
np.{f}(x, axis=0, dtype=np.float32)
np.{f}(i, 1, float)
np.{f}(x, axis=0, out=o)
np.{f}(x, axis=0, out=of)
np.{f}(x, axis=0, out=oi)
np.{f}(x, out=o)
np.{f}(x, 0, None, o[::-1])
"""
_NAN_POSITION = """
np.{f}(x)
np.{f}(x, axis=1)
np.{f}(x, 0, oi[0])
np.{f}(x, axis=1, out=oi[:, 0])
np.{f}(x, axis=0, out=o4)
np.{f}(x, axis=1, keepdims=True)
np.{f}(i)
np.{f}(m, axis=0)
np.{f}(c)
np.{f}(n, axis=1)
np.{f}(z)
np.{f}(s)
np.{f}(2.0)
np.{f}([3, 1, 2])
np.{f}(e)
np.{f}(e, axis=1)
np.{f}(D)
np.{f}(O)
np.{f}(x, axis=(0, 1))
np.{f}(x, axis=5)
"""
_QUANTILE = """
np.{f}(x, {q})
np.{f}(x, {q}, axis=1)
np.{f}(x, [{q}, 0], axis=0)
np.{f}(x, [[{q}], [0]], 1)
np.{f}(x, ({q},), axis=(0, 1))
np.{f}(w, {q}, axis=(0, 2), keepdims=True)
np.{f}(x, {q}, axis=0, out=o4)
np.{f}(x, {q}, method="nearest")
np.{f}(x, {q}, axis=1, method="midpoint")
np.{f}(x, {q}, method="hazen")
np.{f}(i, {q}, axis=1)
np.{f}(i, {q}, method="lower")
np.{f}(f, {q})
np.{f}(n, {q}, axis=1)
np.{f}(m, {q})
np.{f}(c, {q})
np.{f}(v, {q}, overwrite_input=True)
np.{f}(v, -1)
np.{f}(v, {q}, method="nonsense")
np.{f}([1, 2, 3, 4], {q})
np.{f}(2.5, {q})
np.{f}(z, {q})
np.{f}(e, {q})
np.{f}(e, {q}, axis=0)
np.{f}(x, np.array([{q}, 1]), axis=1)
np.{f}(x, np.float32({q}))
np.{f}(f, np.float32({q}))
"""
_WINDOW = """
np.{f}(5)
np.{f}(1)
np.{f}(0)
np.{f}(M=4)
np.{f}(si)
"""
_SET = """
np.{f}(i[0], i[1])
np.{f}(i, j)
np.{f}([3, 1, 2], [2, 5])
np.{f}(v, [v[0], 2.0])
np.{f}(k, l)
np.{f}(f, x)
np.{f}(S, ["pear"])
np.{f}(e, v)
np.{f}(m, m)
"""
_TRANSFORM = """
np.fft.{f}(v)
np.fft.{f}(x)
np.fft.{f}(c)
np.fft.{f}(i)
np.fft.{f}(f)
np.fft.{f}(x, norm="ortho")
np.fft.{f}(x, norm="forward")
np.fft.{f}(x, norm="nonsense")
np.fft.{f}([[1, 2, 3], [4, 5, 6]])
np.fft.{f}(z)
np.fft.{f}(O)
"""
_TRANSFORM_1D = """
np.fft.{f}(x, 6)
np.fft.{f}(x, n=3, axis=0)
np.fft.{f}(x, None, -2, "backward")
np.fft.{f}(x, 0)
np.fft.{f}(x, axis=2)
"""
_TRANSFORM_ND = """
np.fft.{f}(w)
np.fft.{f}(w, (4, 2))
np.fft.{f}(w, s=(2, 5), axes=(0, 2))
np.fft.{f}(w, None, (1, 2), "ortho")
np.fft.{f}(w, axes=[0, 1])
"""
_LINALG = """
np.linalg.{f}(p)
np.linalg.{f}(p.astype(np.float32))
np.linalg.{f}(p + 0j)
np.linalg.{f}(p.astype(int))
np.linalg.{f}(p.astype(np.float16))
np.linalg.{f}([[2, 1], [1, 3]])
np.linalg.{f}(np.array([p, 2 * p]))
np.linalg.{f}(x)
np.linalg.{f}(v)
np.linalg.{f}(z)
np.linalg.{f}(np.zeros((0, 0)))
np.linalg.{f}(np.zeros((2, 2)))
np.linalg.{f}(np.array([[1.0, np.nan], [2.0, 3.0]]))
np.linalg.{f}(O)
"""
_TRIANGLE = """
np.{f}(3)
np.{f}(3, 1)
np.{f}(3, -1, 4)
np.{f}(n=2, k=0, m=3)
"""
_TRIANGLE_FROM = """
np.{f}(x)
np.{f}(x, 1)
np.{f}(arr=i, k=-1)
np.{f}(v)
np.{f}([[1, 2], [3, 4]])
"""
_NAMED_UNARY_LIKE = """
np.{f}(x)
np.{f}(i)
np.{f}(m)
np.{f}(c)
np.{f}(f)
np.{f}(n)
np.{f}(z)
np.{f}(s)
np.{f}(2.5)
np.{f}(1 + 2j)
np.{f}([1, 2.5])
np.{f}(e)
np.{f}(t)
"""

_UNARY_UFUNCS = [n for n in dir(numpy) if isinstance(getattr(numpy, n), numpy.ufunc) and getattr(numpy, n).nin == 1]
_BINARY_UFUNCS = [
    n for n in dir(numpy) if isinstance(getattr(numpy, n), numpy.ufunc) and getattr(numpy, n).nin == 2 and not getattr(numpy, n).signature
]

BATTERIES: list[tuple[list[str], str]] = [
    (_UNARY_UFUNCS, _UNARY),
    (_BINARY_UFUNCS, _BINARY),
    (
        [
            "sum",
            "prod",
            "max",
            "min",
            "amax",
            "amin",
            "any",
            "all",
            "mean",
            "std",
            "var",
            "argmax",
            "argmin",
            "nansum",
            "nanprod",
            "nanmax",
            "nanmin",
            "nanmean",
            "nanstd",
            "nanvar",
            "ptp",
            "median",
            "nanmedian",
            "product",
            "sometrue",
            "alltrue",
        ],
        _REDUCTION,
    ),
    (
        [
            "sum",
            "prod",
            "max",
            "min",
            "amax",
            "amin",
            "any",
            "all",
            "mean",
            "std",
            "var",
            "nansum",
            "nanprod",
            "nanmax",
            "nanmin",
            "nanmean",
            "nanstd",
            "nanvar",
            "ptp",
            "median",
            "nanmedian",
        ],
        _SEVERAL_AXES,
    ),
    (["sum", "prod", "mean", "std", "var", "nansum", "nanprod", "nanmean", "nanstd", "nanvar"], _DTYPE),
    (
        [
            "sum",
            "prod",
            "max",
            "min",
            "any",
            "all",
            "mean",
            "std",
            "var",
            "nansum",
            "nanprod",
            "nanmax",
            "nanmin",
            "nanmean",
            "nanstd",
            "nanvar",
        ],
        _WHERE,
    ),
    (["sum", "prod", "max", "min", "nansum", "nanprod", "nanmax", "nanmin"], _INITIAL),
    (
        ["std", "var", "nanstd", "nanvar"],
        "np.{f}(x, ddof=1)\nnp.{f}(x, 0, None, None, 2)\nnp.{f}(x, axis=1, ddof=1.5, keepdims=True)\nnp.{f}(v, ddof=9)",
    ),
    (["cumsum", "cumprod", "nancumsum", "nancumprod", "cumproduct"], _RUNNING),
    (["nanargmax", "nanargmin", "argmax", "argmin"], _NAN_POSITION),
    (["percentile", "nanpercentile"], _QUANTILE.replace("{q}", "30")),
    (["quantile", "nanquantile"], _QUANTILE.replace("{q}", "0.3")),
    (["bartlett", "blackman", "hamming", "hanning"], _WINDOW),
    (["intersect1d", "union1d", "setdiff1d", "setxor1d", "in1d", "isin"], _SET),
    (["fft", "ifft", "rfft", "irfft", "hfft", "ihfft", "fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn"], _TRANSFORM),
    (["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"], _TRANSFORM_1D),
    (["fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn"], _TRANSFORM_ND),
    (["inv", "det", "slogdet", "cholesky", "eig", "eigh", "eigvals", "eigvalsh", "svd", "qr", "pinv", "matrix_rank", "cond"], _LINALG),
    (["tril_indices", "triu_indices"], _TRIANGLE),
    (["tril_indices_from", "triu_indices_from"], _TRIANGLE_FROM),
    (
        [
            "real",
            "imag",
            "isreal",
            "iscomplex",
            "isrealobj",
            "iscomplexobj",
            "fix",
            "sinc",
            "i0",
            "nan_to_num",
            "angle",
            "isposinf",
            "isneginf",
            "real_if_close",
        ],
        _NAMED_UNARY_LIKE,
    ),
]

# -- everything else ---------------------------------------------------------------------------------------------------------------------
CALLS = """
isinstance(np.add, np.ufunc), isinstance(1.0, np.ufunc)
isinstance(x.flat, np.flatiter), isinstance(x, np.flatiter)
np.ndarray[int, np.dtype[np.float64]].__args__
callable(np.test)
np.seterr(divide="warn")["divide"]
np.seterr(all="raise", under="ignore"); np.geterr()
np.seterr(over="nonsense")
np.abs is np.absolute
np.add.nin, np.add.nout, np.add.nargs, np.add.ntypes, np.add.types, np.add.identity, np.add.signature
np.matmul.signature, np.divmod.nout, np.subtract.identity, np.add.__name__, np.sin.__doc__[:20]
np.add.resolve_dtypes((np.dtype("i4"), float, None))
repr(np.add)
np.modf(x, out=(o, oc.real))
np.modf(x, o, oi)
np.frexp(x, out=(o, None))
np.divmod(x, y, out=(o, None))
np.divmod(i, j, where=m, out=(oi, i))
np.ldexp(x, i)
np.ldexp(f, 2)
np.isnat(D)
np.isnat(x)
np.gcd(i, j)
np.lcm(12, [4, 6])
np.heaviside(x, 0.5)
np.matmul(x, y.T)
np.matmul(x, v)
np.matmul(v, v)
np.matmul(w, w.swapaxes(1, 2))
np.matmul(i, j.T)
np.matmul(m, m.T)
np.matmul(c, t)
np.matmul(f, t)
np.matmul(x, y)
np.matmul(x, 2)
np.matmul(z, x)
np.matmul([[1, 2]], [[3], [4]])
np.matmul(x, y.T, out=o[:, :3])
np.matmul(x, y.T, o[:, :3])
np.matmul(x, y.T, out=oi[:, :3])
np.matmul(x, y.T, dtype=np.float32)
np.matmul(w, w, axes=[(1, 2), (2, 1), (1, 2)])
np.matmul(x, y.T, where=True)
np.matmul(e, e.T)
np.matmul(e.T, e)
np.matmul.reduce(x)
np.sum(x, 0, np.float32, of[0], True)
np.sum([x, y])
np.sum([x, y], axis=0)
np.sum((x[0], 2.0, z))
np.sum(x, where=numpy.ones((3, 4), bool), initial=z)
sum(x)
max(v)
min(v)
sorted(v)
np.count_nonzero(x > 0)
np.count_nonzero(i, axis=1)
np.count_nonzero(i, axis=(0, 1), keepdims=True)
np.count_nonzero(m, 0)
np.count_nonzero([0, 1, 2])
np.count_nonzero(S)
np.count_nonzero(2.0)
np.count_nonzero(e, axis=0)
np.average(x)
np.average(x, 1)
np.average(i, axis=0)
np.average(x, axis=(0, 1))
np.average(x, axis=1, weights=j[0])
np.average(x, weights=np.abs(y), returned=True)
np.average(x, axis=0, weights=[1, 2, 3], returned=True, keepdims=True)
np.average(x, weights=[1, 2, 3])
np.average(x, axis=1, weights=[1, 2, 3])
np.average(x, axis=1, weights=[0, 0, 0, 0])
np.average(c, weights=y)
np.average([1, 2, 4], weights=[1, 1, 2])
np.average(m)
np.average(2.0)
np.msort(x)
np.all(x, axis=0, out=ob[0], keepdims=False)
np.any([[True, False], [False, False]], axis=0, where=[True, False])
np.clip(x, -0.5, 0.5)
np.clip(x, y, 1)
np.clip(x, None, 0)
np.clip(x, 0, None)
np.clip(x, None, None)
np.clip(i, 1, 3)
np.clip(i, 0.5, 2.5)
np.clip(u, 10, 300)
np.clip(u, -1, 100)
np.clip(f, 0.0, z)
np.clip(m, 0, 1)
np.clip(c, 0, 1)
np.clip(x, 1, -1)
np.clip(x, v, v + 1)
np.clip(a=x, a_min=0, a_max=1, out=o)
np.clip(x, 0, 1, oi)
np.clip(x, 0, 1, out=x)
np.clip(x, 0, 1, where=m, out=o)
np.clip(x, 0, 1, dtype=np.float32)
np.clip(i, 0, 2, dtype=float, casting="unsafe")
np.clip([1, 5, 9], 2, 6)
np.clip(3, 4, 5)
np.clip(s, 0.8, 1.0)
np.clip(n, 0, 1)
np.clip(x, np.nan, 1)
np.clip(D, D[1], D[0])
np.round(x)
np.round(x, 2)
np.round(i, -1)
np.round(u, -1)
np.round(f, 1)
np.round(c, 1)
np.round(m)
np.round(h, 2)
np.round(x, decimals=1, out=o)
np.round(x, 1, of)
np.round(x, 1, oi)
np.round(2.567, 1)
np.round(s, 1)
np.round([1.25, 1.35], 1)
np.round(x, 1.5)
np.around(x, 1)
np.around(i, 1, oi)
np.round_(x, 1)
np.fix(x, o)
np.fix(x, out=of)
np.fix(x, out=oi)
np.isposinf(n, ob)
np.isneginf(n, out=ob)
np.isposinf(n, out=oi)
np.nan_to_num(n, nan=1.0, posinf=2.0, neginf=-3.0)
np.nan_to_num(n, False)
np.nan_to_num(n, copy=False, posinf=7)
np.nan_to_num(n, True, v)
np.nan_to_num([1, np.nan])
np.nan_to_num(np.nan)
np.nan_to_num(c / 0)
np.angle(c, True)
np.angle(x, deg=True)
np.angle(f)
np.real_if_close(c * 1e-20 + 1j * 0)
np.real_if_close(c, tol=1e30)
np.convolve(v, q)
np.convolve(v, [1, 2], "same")
np.convolve(v, q, mode="valid")
np.convolve([1, 2, 3], [0, 1])
np.convolve(i[0], v)
np.convolve(c[0], v)
np.convolve(x, v)
np.convolve(v, [])
np.convolve(2.0, v)
np.convolve(v, q, "nonsense")
np.correlate(v, q)
np.correlate(v, q, "full")
np.correlate(v, [1, 2, 0.5], mode="same")
np.correlate(c[0], v)
np.correlate(x, v)
np.cov(x)
np.cov(v)
np.cov(v, q)
np.cov(x, y, rowvar=False)
np.cov(x, bias=True)
np.cov(x, ddof=0)
np.cov(x, fweights=[1, 2, 1, 3])
np.cov(x, aweights=np.abs(v), dtype=np.float32)
np.cov(i)
np.cov(c)
np.cov(x, None, True, False, 2)
np.cov(z)
np.corrcoef(x)
np.corrcoef(v, q)
np.corrcoef(x, rowvar=False)
np.corrcoef(c)
np.corrcoef(x, dtype=np.float32)
np.corrcoef(i)
np.interp([0.5, 1.5, -3.0, 9.0], q, v)
np.interp(0.25, q, v)
np.interp(x, q, v)
np.interp(z, q, v)
np.interp(x, q, v, left=-1.0, right=7.0)
np.interp(x, q, v, -1.0, 7.0)
np.interp(x, [0, 1, 2], [10, 20, 30], period=3)
np.interp(x, q, c[0])
np.interp(f, q, i[0])
np.interp(x, q, [1, 2])
np.interp([1, 2], [], [])
np.trapz(x)
np.trapz(x, axis=0)
np.trapz(v, q)
np.trapz(x, dx=0.5)
np.trapz(x, [0, 1, 3, 4], 1.0, 1)
np.trapz(x, y)
np.trapz(i)
np.trapz(m)
np.trapz(c, dx=2)
np.trapz([1, 2, 3])
np.trapz(z)
np.trapz(e)
np.gradient(v)
np.gradient(x)
np.gradient(x, 2.0)
np.gradient(x, 2.0, 0.5)
np.gradient(x, 2.0, axis=1)
np.gradient(x, axis=(0, 1))
np.gradient(v, q)
np.gradient(x, [0, 1, 3], q)
np.gradient(v, edge_order=2)
np.gradient(i)
np.gradient(f)
np.gradient(c)
np.gradient([1, 2, 4])
np.gradient(D[:2])
np.gradient([1.0])
np.gradient(z)
np.gradient(x, 1, 2, 3)
np.gradient(x, v)
np.gradient(m)
np.diff(x)
np.diff(x, 2)
np.diff(x, n=1, axis=0)
np.diff(x, n=0)
np.diff(x, n=-1)
np.diff(i)
np.diff(m)
np.diff(u)
np.diff(c, 9)
np.diff(D)
np.diff([1, 4, 9])
np.diff(v, prepend=0)
np.diff(x, axis=0, prepend=1.0, append=[[1, 2, 3, 4]])
np.diff(i, append=v[0])
np.diff(z)
np.diff(e)
np.diff(S)
np.ediff1d(x)
np.ediff1d(i, to_end=9)
np.ediff1d(v, [1, 2], [3])
np.ediff1d(i, to_begin=0.5)
np.ediff1d([1, 5])
np.ediff1d(e)
np.unwrap(v * 5)
np.unwrap(x * 5, axis=0)
np.unwrap(x, discont=1.0, period=2.0)
np.unwrap(i, period=3)
np.unwrap([0, 4, 9])
np.histogram(v)
np.histogram(x, 4)
np.histogram(x, bins=3, range=(-1, 1))
np.histogram(x, q)
np.histogram(x, weights=np.abs(y), density=True)
np.histogram(i, bins="auto")
np.histogram(m)
np.histogram([1, 2, 1], bins=[0, 1, 2, 3])
np.histogram(c)
np.histogram(v, bins=[3, 1, 2])
np.histogram(n)
np.histogram_bin_edges(v)
np.histogram_bin_edges(x, 4, (0, 1))
np.histogram_bin_edges(x, bins="sturges")
np.histogram2d(v, q)
np.histogram2d(v, q, 3)
np.histogram2d(v, q, bins=[2, q], range=None, density=True)
np.histogram2d(v, q, weights=i[0], range=[[-1, 1], [0, 2]])
np.histogramdd(x.T)
np.histogramdd(x.T, bins=(2, 3, 4))
np.histogramdd((v, q), bins=2, range=[(0, 1), (0, 1)], weights=v)
np.histogramdd((v, q), bins=2, density=True)
np.bincount([0, 1, 1, 3])
np.bincount(k)
np.bincount(i[0], weights=v)
np.bincount(k, minlength=7)
np.bincount(k, None, 6)
np.bincount(v)
np.bincount([-1, 1])
np.bincount(i)
np.bincount(u[0])
np.bincount([])
np.digitize(v, q)
np.digitize(x, bins=q, right=True)
np.digitize(x, q[::-1])
np.digitize(0.3, [0, 1])
np.digitize(i, [1, 3])
np.digitize(v, [1, 0, 2])
np.digitize(x, x)
np.searchsorted(q, v)
np.searchsorted(q, 0.25)
np.searchsorted(q, x, side="right")
np.searchsorted(q, v, "nonsense")
np.searchsorted(v, q, sorter=np.argsort(v))
np.searchsorted([1, 3, 5], [2, 6])
np.searchsorted(i[0], 2)
np.searchsorted(q, i)
np.searchsorted(x, 1.0)
np.searchsorted(q, z)
np.searchsorted(q, s)
np.searchsorted(S, "b")
np.searchsorted(f[0], 0.5)
np.polyfit(v, q, 2)
np.polyfit(v, q, deg=1, full=True)
np.polyfit(q, x.T, 1)
np.polyfit(q, v, 1, w=np.abs(v))
np.polyfit(q, v, 1, cov=True)
np.polyfit([0, 1, 2], [1, 3, 5], 1)
np.polyval([1, 2, 3], v)
np.polyval(v, x)
np.polyval(v, 2)
np.polyval([1, 2], np.poly1d([1, 1]))
np.polyval(i[0], i)
np.polyval([], v)
np.polyval(c[0], f)
np.polyadd(v, q)
np.polyadd([1, 2], [3])
np.polyadd(np.poly1d([1, 2]), v)
np.polysub(v, [1, 2])
np.polymul(v, q)
np.polymul([1, 2], 3)
np.polydiv(v, [1, 2])
np.polydiv([1, 2, 3], q[2:])
np.polyder(v)
np.polyder(v, 2)
np.polyder([1, 2, 3], m=1)
np.polyint(v)
np.polyint(v, m=2, k=[1, 2])
np.poly(v)
np.poly([1, 2, 3])
np.poly(p)
np.roots(v)
np.roots([1, -3, 2])
np.roots(x)
np.vander(v)
np.vander(v, 3)
np.vander([1, 2], N=3, increasing=True)
np.vander(i[0])
np.poly1d(v)
np.poly1d(v)(x)
np.poly1d([1, 2])(v)
np.poly1d(v, True).roots
np.poly1d([1, 2, 3]) * np.poly1d(v)
np.poly1d([1, 2], variable="t")
np.dot(x, y.T)
np.dot(v, v)
np.dot(x, v)
np.dot(2, x)
np.dot(x, s)
np.dot(z, z)
np.dot(2, 3)
np.dot(i, j.T)
np.dot(m, m.T)
np.dot(c, t)
np.dot(f, f.T)
np.dot(w, w[0].T)
np.dot([1, 2], [3, 4])
np.dot(x, y)
np.dot(x, y.T, out=np.zeros((3, 3)))
np.dot(a=x, b=y.T, out=o[:, :3])
np.dot(x, y.T, out=np.zeros((3, 3), np.float32))
np.dot(O, O)
np.dot(e.T, e)
np.vdot(v, v)
np.vdot(x, y)
np.vdot(c, c)
np.vdot(i, x)
np.vdot(2, 3)
np.vdot(v, x)
np.vdot(a=v, b=v)
np.inner(v, v)
np.inner(x, y)
np.inner(x, v)
np.inner(x, 2)
np.inner(c, x)
np.inner(x, t)
np.inner([1, 2], [3, 4])
np.outer(v, q)
np.outer(x, [1, 2])
np.outer(2, v)
np.outer(v, q, out=np.zeros((4, 4)))
np.outer(v, v, np.zeros((4, 4), int))
np.outer(i, j)
np.outer(c[0], m[0])
np.tensordot(x, y, 2)
np.tensordot(x, y.T, axes=1)
np.tensordot(x, y, axes=0)
np.tensordot(x, y, axes=([0, 1], [0, 1]))
np.tensordot(w, x, axes=([1, 2], [0, 1]))
np.tensordot(x, y, ((-1,), (-1,)))
np.tensordot(x, y, axes=1)
np.tensordot(x, y, axes=([0], [1, 0]))
np.tensordot([1, 2], [3, 4], 1)
np.tensordot(i, y, 2)
np.einsum("ij,kj->ik", x, y)
np.einsum("ij->j", x)
np.einsum("ij", x)
np.einsum("ji", x)
np.einsum("ii", p)
np.einsum("ii->i", p)
np.einsum("...j,j", w, v)
np.einsum("ij,j,i->", x, v, [1, 2, 3])
np.einsum(x, [0, 1], y, [0, 1], [0])
np.einsum("ij,ij->i", x, y, out=o3)
np.einsum("ij,ij->i", x, y, dtype=np.float32, casting="same_kind")
np.einsum("ij,jk,kl->il", x, t, x, optimize=True)
np.einsum("ij,jk->ik", i, j.T, order="F")
np.einsum("i,j", m[0], i[0])
np.einsum("ij,jk->ik", x, y)
np.einsum("i->", v)
np.einsum("i,i", c[0], c[0])
np.einsum_path("ij,jk,kl->il", x, t, x)
np.einsum_path("ij,jk->ik", x, t, optimize="optimal")
np.kron(x, v)
np.kron(v, [1, 2])
np.kron(i, [[1, 2], [3, 4]])
np.kron(2, v)
np.kron(z, z)
np.kron(c, m)
np.cross(x[:, :3], y[:, :3])
np.cross(x[:, :2], y[:, :2])
np.cross(x[:, :3], y[:, :2])
np.cross([1, 2, 3], [4, 5, 6])
np.cross(x, y, axis=0)
np.cross(x, y, axisa=0, axisb=0, axisc=0)
np.cross(x, y, 0, 0, -1)
np.cross(x, y)
np.cross(i[:, :3], v[:3])
np.cross(z, v)
np.trace(x)
np.trace(w, 1)
np.trace(w, offset=-1, axis1=1, axis2=2)
np.trace(i, dtype=float)
np.trace(x, out=o0)
np.trace(w, out=o4)
np.trace(v)
np.trace(m)
np.trace([[1, 2], [3, 4]])
np.trace(x, 0, 0, 0)
np.reshape(x, 12)
np.reshape(x, (2, -1))
np.reshape(x, newshape=(4, 3), order="F")
np.reshape(t, (2, 6), "A")
np.reshape(x, [2, 6])
np.reshape(x, (5, 2))
np.reshape(x, (-1, -1))
np.reshape(x, 2.5)
np.reshape([1, 2, 3, 4], (2, 2))
np.reshape(z, (1, 1))
np.reshape(s, (1,))
np.reshape(2.5, ())
np.reshape(e, (3, 0))
np.reshape(x, (np.int64(3), si + 1))
np.reshape(S, (3, 1))
np.ravel(x)
np.ravel(t)
np.ravel(t, "F")
np.ravel(x[:, ::2], order="K")
np.ravel(a=w.transpose(1, 0, 2), order="A")
np.ravel([[1, 2], [3, 4]])
np.ravel(2.5)
np.ravel(x, "Z")
np.transpose(x)
np.transpose(w, (2, 0, 1))
np.transpose(w, axes=[0, -1, 1])
np.transpose(w, (0, 1))
np.transpose(w, (0, 0, 1))
np.transpose([[1, 2]])
np.transpose(z)
np.transpose(s)
np.transpose(2.5)
np.swapaxes(w, 0, -1)
np.swapaxes(x, axis1=0, axis2=5)
np.swapaxes([[1, 2]], 0, 1)
np.moveaxis(w, 0, -1)
np.moveaxis(w, [0, 1], [-1, 0])
np.moveaxis(w, source=(0, 0), destination=(1, 2))
np.moveaxis(w, 7, 0)
np.moveaxis([[1, 2]], 0, 1)
np.rollaxis(w, 2)
np.rollaxis(w, 0, start=3)
np.rollaxis(w, 1, 9)
np.squeeze(x[:1])
np.squeeze(x[None, :, :1], axis=0)
np.squeeze(x[None, :, :1], axis=(0, 2))
np.squeeze(x, 0)
np.squeeze([[1, 2]])
np.squeeze(z)
np.squeeze(s)
np.squeeze(3)
np.squeeze(x[:1, :1])
np.expand_dims(x, 1)
np.expand_dims(x, (0, -1))
np.expand_dims(x, axis=7)
np.expand_dims([1, 2], 0)
np.expand_dims(s, 0)
np.expand_dims(x, (0, 0))
np.atleast_1d(3.0)
np.atleast_1d(x, v, 2)
np.atleast_1d([1, 2])
np.atleast_1d()
np.atleast_2d(v)
np.atleast_2d(1, [2], x)
np.atleast_2d(s)
np.atleast_3d(x)
np.atleast_3d(1, v, w)
np.broadcast_to(v, (3, 4))
np.broadcast_to(2.5, (2, 2))
np.broadcast_to(x, shape=(3, 3))
np.broadcast_to([1, 2], (2, 2), subok=True)
np.broadcast_to(v, 4)
np.broadcast_to(s, (2,))
np.broadcast_to(v, (3, -1))
np.broadcast_arrays(x, v)
np.broadcast_arrays(x, 2, [[1], [2], [3]])
np.broadcast_arrays(x, i[:2], subok=True)
np.broadcast_arrays(2, s)
np.broadcast_shapes((3, 1), (4,))
np.broadcast_shapes((3, 1), 4, ())
np.broadcast_shapes((3,), (4,))
np.broadcast(x, v).shape
np.broadcast(x, v, 2).nd, np.broadcast(x, v).size, np.broadcast(x, v).index, np.broadcast(x, v).numiter
list(np.broadcast([1, 2], [3, 4]))
list(np.broadcast(v, 2))
np.broadcast(x, i[:2])
np.broadcast(x, [1, 2, 3])
np.diagonal(x)
np.diagonal(x, 1)
np.diagonal(w, offset=0, axis1=1, axis2=2)
np.diagonal(w, -1, 0, 2)
np.diagonal(v)
np.diagonal([[1, 2], [3, 4]])
np.diagonal(x, 9)
np.diag(v)
np.diag(v, -1)
np.diag(x)
np.diag(x, k=1)
np.diag([1, 2])
np.diag([[1, 2], [3, 4]])
np.diag(w)
np.diag(z)
np.diag(m[0])
np.diagflat(v)
np.diagflat([[1, 2], [3, 4]], 1)
np.diagflat(2.5)
np.tril(x)
np.tril(x, 1)
np.tril(w, k=-1)
np.tril(v)
np.tril(i)
np.tril(m)
np.tril([[1, 2], [3, 4]])
np.triu(x)
np.triu(c, k=1)
np.triu(u, -1)
np.triu(z)
np.triu([[1, 2], [3, 4]])
np.tri(3)
np.tri(3, 4, 1)
np.tri(2, M=3, k=-1, dtype=int)
np.tri(3, dtype=bool)
np.flip(x)
np.flip(x, 1)
np.flip(w, axis=(0, 2))
np.flip(x, 3)
np.flip([1, 2])
np.flip(z)
np.flip(2.5)
np.fliplr(x)
np.fliplr(v)
np.fliplr([[1, 2]])
np.flipud(x)
np.flipud([1, 2])
np.flipud(2)
np.rot90(x)
np.rot90(x, 2)
np.rot90(x, k=-1)
np.rot90(w, 1, (1, 2))
np.rot90(x, axes=(0, 0))
np.rot90(v)
np.rot90([[1, 2], [3, 4]])
np.roll(x, 2)
np.roll(x, 1, axis=1)
np.roll(x, (1, -1), axis=(0, 1))
np.roll(x, 1, axis=(0, 1))
np.roll(x, shift=[1, 2], axis=0)
np.roll(x, 1, axis=7)
np.roll(v, 1.5)
np.roll([1, 2, 3], 1)
np.roll(z, 1)
np.roll(e, 2, 0)
np.roll(S, 1)
np.concatenate([x, y])
np.concatenate((x, y), 1)
np.concatenate((x, y), axis=None)
np.concatenate([x, i])
np.concatenate([i, f])
np.concatenate([m, u])
np.concatenate([x, [[1, 2, 3, 4]]])
np.concatenate(x)
np.concatenate(w, axis=1)
np.concatenate([x, y], out=np.zeros((6, 4)))
np.concatenate([x, y], 0, np.zeros((6, 4), np.float32))
np.concatenate([x, y], out=np.zeros((6, 4), int))
np.concatenate([x, y], dtype=np.float32)
np.concatenate([x, y], dtype=int)
np.concatenate([x, y], dtype=int, casting="unsafe")
np.concatenate([x, y], axis=2)
np.concatenate([x, v])
np.concatenate([])
np.concatenate([1, 2])
np.concatenate([v, z])
np.concatenate([S, S])
np.concatenate([O, v])
np.concatenate([D, D])
np.concatenate([c, x, i])
np.concatenate([f, h])
np.concatenate([e, e], 1)
np.concatenate(([1, 2], [3.5]))
np.concatenate(2)
np.stack([x, y])
np.stack([x, y], axis=-1)
np.stack((v, q), 1, out=np.zeros((4, 2)))
np.stack([x, i], dtype=np.float32, casting="same_kind")
np.stack(x)
np.stack([1, 2])
np.stack([x, v])
np.stack([])
np.stack([[1, 2], [3, 4]], axis=1)
np.stack([s, z])
np.stack(a for a in [v, q])
np.vstack([v, q])
np.vstack([x, v])
np.vstack((1, 2))
np.vstack([x, i], dtype=float, casting="safe")
np.vstack(x)
np.vstack([x, [1]])
np.row_stack([v, [1, 2, 3, 4]])
np.hstack([v, q])
np.hstack([x, y])
np.hstack((1, [2, 3], s))
np.hstack([x, v])
np.hstack([i, m], dtype=np.int8, casting="unsafe")
np.dstack([x, y])
np.dstack([v, q])
np.dstack((1, 2))
np.column_stack([v, q])
np.column_stack((x, [1, 2, 3]))
np.column_stack([1, 2])
np.block([[x, y], [y, x]])
np.block([v, q])
np.block([[1, 2], [3, z]])
np.block(x)
np.block(2)
np.block([[x], [v]])
np.block([x, (1, 2)])
np.block([])
np.append(x, y)
np.append(x, y, axis=0)
np.append(v, 2)
np.append([1, 2], [3.5])
np.append(x, v, 0)
np.append(i, y)
np.array_split(v, 3)
np.array_split(x, 2, axis=1)
np.array_split(x, [1, 3], 1)
np.array_split([1, 2, 3], 2)
np.array_split(v, 0)
np.split(x, 2, axis=1)
np.split(v, [1, 3])
np.split(v, 3)
np.split(x, np.array([1]))
np.split([1, 2], 2)
np.split(v, 2.0)
np.hsplit(x, 2)
np.hsplit(v, [1])
np.hsplit(z, 1)
np.vsplit(x, 3)
np.vsplit(v, 2)
np.dsplit(w, 4)
np.dsplit(w, [1, 2])
np.dsplit(x, 2)
np.tile(v, 2)
np.tile(x, (2, 1, 3))
np.tile(x, reps=[2])
np.tile(2, 3)
np.tile([1, 2], (2, 2))
np.tile(z, (2, 2))
np.tile(x, 0)
np.tile(S, 2)
np.tile(x, k[:1])
np.tile(v, 2.5)
np.repeat(v, 2)
np.repeat(x, 2, axis=1)
np.repeat(x, [1, 0, 2], 0)
np.repeat(v, k)
np.repeat(3, 2)
np.repeat([1, 2], [1, 2])
np.repeat(v, -1)
np.repeat(v, [1, 2])
np.repeat(z, 3)
np.repeat(x, si, axis=0)
np.repeat(v, 1.5)
np.repeat(x, 2, 5)
np.repeat(S, 2)
np.delete(v, 1)
np.delete(x, [0, 2], axis=1)
np.delete(x, slice(0, 2), 0)
np.delete(x, 1)
np.delete(v, [True, False, False, True])
np.delete(v, 9)
np.delete(v, [9])
np.delete(v, [])
np.delete(v, k[:2])
np.delete([1, 2, 3], -1)
np.delete(i, obj=0, axis=0)
np.delete(x, 1.0)
np.insert(v, 1, 9.0)
np.insert(v, [1, 3], [8.0, 9.0])
np.insert(x, 1, 9, axis=1)
np.insert(x, 1, [1, 2, 3], axis=1)
np.insert(x, [0, 2], v, axis=0)
np.insert(i, 0, 2.7)
np.insert([1, 2], 1, [7, 8, 9])
np.insert(v, slice(0, 2), 5)
np.insert(v, 9, 1)
np.insert(v, k[:2], 0)
np.insert(x, 5, 7.0)
np.insert(v, [True, False], 5)
np.insert(z, 0, 1)
np.insert(v, 1, "a")
np.resize(v, (2, 3))
np.resize(x, 5)
np.resize([1, 2], (2, 2))
np.resize(v, -1)
np.resize(e, (2, 2))
np.resize(z, 3)
np.trim_zeros(i[0])
np.trim_zeros(np.array([0.0, 1.0, 0.0]))
np.trim_zeros([0, 0, 1, 0], "f")
np.trim_zeros((0, 1), trim="b")
np.pad(x, 1)
np.pad(x, ((1, 0), (0, 2)), constant_values=7.0)
np.pad(v, (2, 1), "constant", constant_values=(4, 6))
np.pad(x, 1, "edge")
np.pad(v, 2, "reflect")
np.pad(v, 2, "symmetric", reflect_type="odd")
np.pad(v, 2, "wrap")
np.pad(v, 2, "linear_ramp", end_values=1)
np.pad(v, 2, "maximum", stat_length=2)
np.pad(v, 2, "mean")
np.pad(i, 1, "median")
np.pad(x, ((1, 1),), "minimum")
np.pad(v, 2, "empty").shape
np.pad(v, 2, "nonsense")
np.pad(v, -1)
np.pad(v, 1.5)
np.pad([1, 2], 1)
np.pad(x, k[:2])
np.pad(m, 1)
np.pad(i, 1, constant_values=2.5)
np.pad(c, 1, mode="reflect")
np.pad(z, 1)
np.pad(S, 1)
np.pad(v, 1, lambda vector, width, axis, kwargs: None)
np.where(x > 0, x, 0.0)
np.where(m, x, y)
np.where(m, 1, 0)
np.where(m)
np.where(True, 1.0, 2.0)
np.where(m, i, 2.5)
np.where(m, f, 2.5)
np.where(m, f, x)
np.where(i, x, y)
np.where(x, 1, 2)
np.where(m[0], x, [[1], [2], [3]])
np.where([True, False], [1, 2], [3, 4])
np.where(m, x)
np.where(m, S[0], "b")
np.where(m, D[0], D[1])
np.where(m, c, u)
np.where(m, x, i[:2])
np.where(z, s, 2)
np.where(e, 1, 2)
np.where(m, None, 1)
np.nonzero(m)
np.nonzero(i)
np.nonzero([0, 1, 2])
np.nonzero(z)
np.nonzero(x > 0)
np.argwhere(m)
np.argwhere(z)
np.argwhere([0, 1])
np.flatnonzero(i)
np.flatnonzero([[0, 1], [2, 0]])
np.select([x > 1, x > 0], [x, y], 9.0)
np.select([m, ~m], [i, 2.5])
np.select([m], [x], default=y)
np.select([], [])
np.select([m], [x, y])
np.select([i], [x])
np.select([m[0], [True, False, True, False]], [v, 1])
np.select([True, False], [1, 2])
np.piecewise(v, [v < 0, v >= 0], [lambda a: -a, lambda a: a * a])
np.piecewise(x, [m], [1, 2])
np.piecewise(v, v > 0, [1.0])
np.piecewise(v, [v < 0], [lambda a, b: a + b, 0], 3)
np.piecewise(v, [v < 0], [lambda a, b=0: a + b, 0], b=3)
np.piecewise(2.5, [True], [lambda a: a + 1])
np.piecewise(z, [z > 1, z < 1], [1, 2])
np.piecewise(i, [i > 2], [lambda a: a / 2])
np.piecewise(v, [m[0]], [1, 2, 3])
np.piecewise([1, 2, 3], [[True, False, True]], [10])
np.choose([0, 1, 0, 1], [v, q])
np.choose(i % 2, (x, y))
np.choose(1, [v, q])
np.choose([0, 5], [[1, 2], [3, 4]], mode="clip")
np.choose([0, 5], [[1, 2], [3, 4]])
np.choose([0, 1, 1, 0], [v, 2.0], out=o4)
np.choose(k, x, mode="wrap")
np.choose(v, [v, q])
np.compress([True, False, True], x, axis=0)
np.compress([0, 1], x)
np.compress(m[0], x, 1, out=o[:, :2])
np.compress(v > 0, v)
np.compress(m, x)
np.compress([True] * 9, v)
np.compress([1, 0, 1], [4, 5, 6])
np.extract(m, x)
np.extract([True, False], [1, 2])
np.extract(i, x)
np.extract(m[0], x)
np.take(x, [0, 5])
np.take(x, [0, 2], axis=1)
np.take(x, 1, 0)
np.take(v, [[0, 9], [1, 2]], mode="clip")
np.take(v, [0, 9], mode="wrap")
np.take(v, [0, 9])
np.take(v, -5)
np.take(x, k, axis=1, out=o)
np.take(x, k, 1, o, "clip")
np.take(v, k, out=of[0])
np.take(v, k, out=oi[0])
np.take([4, 5, 6], 1)
np.take(v, 1.0)
np.take(v, m[0])
np.take(x, [])
np.take(x, si)
np.take(z, 0)
np.take(S, [0, 2])
np.take(x, [0], axis=4)
np.take(v, [0], mode="nonsense")
np.take_along_axis(x, np.argsort(x, axis=1), axis=1)
np.take_along_axis(x, k[None], 1)
np.take_along_axis(x, k, None)
np.take_along_axis(x, k, 1)
np.take_along_axis(x, y, 1)
np.take_along_axis(v, [0, 1], 0)
np.put(x, [0, 5], [7.0, 8.0])
np.put(x, k, 3)
np.put(v, [0, 9], [1, 2], mode="clip")
np.put(v, [0, 9], 1, "wrap")
np.put(v, [9], 1)
np.put(x[:, ::2], [0, 3], 5)
np.put(i, [1], 2.7)
np.put(numpy.zeros(3), [1], 2.0)
np.put([1, 2], [0], 5)
np.put(v, [], [])
np.put(c, [0], 1j)
np.put(x, [0], 1j)
np.put(v, k[:3], v[:2])
np.put(v, [0, 0], [1, 2])
np.place(x, m, [1.0, 2.0])
np.place(x, x > 0, -1)
np.place(i, i > 2, [1.5])
np.place(v, [True, False, True, True], [5, 6])
np.place(x, m, [])
np.place([1, 2], [True, False], 1)
np.place(x[::2], m[::2], [9.0])
np.place(x, m[0], [1])
np.putmask(x, m, 0.0)
np.putmask(x, x > 0, y)
np.putmask(v, m[0], [1, 2])
np.putmask(i, i > 2, 1)
np.putmask(i, i > 2, 1.5)
np.putmask(x, [True, False], 1)
np.putmask(x[::2], m[::2], 3)
np.putmask(a=v, mask=v > 0, values=v * 2)
np.put_along_axis(x, k[None, :1], 9.0, axis=1)
np.put_along_axis(x, np.argmax(x, axis=1, keepdims=True), 0, 1)
np.put_along_axis(v, np.array([1]), 5, 0)
np.put_along_axis(x, k, 5, None)
np.put_along_axis(x, y, 5, 1)
np.fill_diagonal(x, 9)
np.fill_diagonal(p, [1, 2, 3])
np.fill_diagonal(o.T, 2.5, True)
np.fill_diagonal(x, v, wrap=False)
np.fill_diagonal(v, 1)
np.fill_diagonal(i, 2.7)
np.fill_diagonal(w[:, :2, :2], 7)
np.copyto(o, x)
np.copyto(o, 3)
np.copyto(o, v, where=m)
np.copyto(oi, x)
np.copyto(oi, x, casting="unsafe")
np.copyto(oi, 2.5)
np.copyto(o, i, "safe")
np.copyto(o, x, where=[True, False, True, False])
np.copyto(o[:, ::2], 5)
np.copyto(v, v[::-1])
np.copyto(o4, x)
np.copyto(o, "a")
np.copyto(dst=ob, src=m)
np.copyto(numpy.zeros(3), [1, 2, 3])
np.copyto(o, z)
np.sort(x)
np.sort(x, 0)
np.sort(x, axis=None)
np.sort(x, kind="stable")
np.sort(x, -1, "mergesort")
np.sort(i)
np.sort(m)
np.sort(c)
np.sort(n)
np.sort(f)
np.sort([3, 1, 2])
np.sort(S)
np.sort(R, order="b")
np.sort(D)
np.sort(O)
np.sort(z)
np.sort(2)
np.sort(x, 5)
np.sort(x, kind="nonsense")
np.sort(t)
np.sort(e)
np.argsort(x)
np.argsort(x, 0)
np.argsort(x, axis=None, kind="stable")
np.argsort(i, kind="stable")
np.argsort([3, 1, 2])
np.argsort(S)
np.argsort(R, order=["b"])
np.argsort(m, kind="stable")
np.argsort(z)
np.argsort(n)
np.argsort(c)
np.argsort(x, axis=3)
np.sort_complex(c[0])
np.sort_complex(v)
np.sort_complex([2, 1 + 1j])
np.lexsort((v, q))
np.lexsort([[1, 1, 0], [3, 2, 1]])
np.lexsort((x, y), axis=0)
np.lexsort(x)
np.partition(v, 1)
np.partition(x, 2, axis=0)
np.partition(x, (0, 2), None)
np.partition([3, 1, 2], kth=1)
np.partition(v, 9)
np.partition(x, -1, kind="introselect")
np.partition(v, k[:2])
np.argpartition(v, 1)
np.argpartition(x, 2, axis=0)
np.argpartition([3, 1, 2], 0)
np.argpartition(v, 9)
np.unique(i)
np.unique(i, True)
np.unique(i, return_counts=True, return_inverse=True)
np.unique(i, axis=0)
np.unique([3, 1, 3])
np.unique(n)
np.unique(n, equal_nan=False)
np.unique(S)
np.unique(m)
np.unique(x, return_index=True, axis=1)
np.isin(i, [1, 2], invert=True)
np.isin(i, [1, 2], assume_unique=False, kind="sort")
np.isin(2, i)
np.in1d(i, [1], False, True)
np.setdiff1d(k, [1], True)
np.intersect1d(k, l, return_indices=True)
np.intersect1d(k, l, assume_unique=True)
np.lib.arraysetops.unique(i)
np.isclose(x, y)
np.isclose(x, x + 1e-9)
np.isclose(x, 0.5, rtol=0.5, atol=0.1)
np.isclose(n, n, equal_nan=True)
np.isclose(n, n)
np.isclose(i, j)
np.isclose(u, 3)
np.isclose(1, 1 + 1e-9)
np.isclose(s, 0.75)
np.isclose([1, 2], [1, 3])
np.isclose(c, c)
np.isclose(m, m)
np.isclose(x, v, 1e-3, 1e-3)
np.isclose(x, i[:2])
np.isclose(T, T)
np.isclose(f, x)
np.allclose(x, x)
np.allclose(x, y, atol=10)
np.allclose([1, 2], (1, 2.0))
np.allclose(n, n)
np.allclose(n, n, equal_nan=True)
np.allclose(e, e)
np.array_equal(x, x)
np.array_equal(x, v)
np.array_equal([1, 2], (1, 2))
np.array_equal(n, n, True)
np.array_equal(i, i.astype(float))
np.array_equal(S, S)
np.array_equal(D, D, equal_nan=True)
np.array_equal(c, c + np.nan, equal_nan=True)
np.array_equal(2, 2)
np.array_equiv(v, [v, v])
np.array_equiv(x, [1, 2])
np.array_equiv([1, 2], [[1, 2], [1, 2]])
np.array_equiv(S, S)
np.apply_along_axis(lambda r: r * 2, 1, x)
np.apply_along_axis(lambda r: r.sum(), 0, x)
np.apply_along_axis(np.sum, 0, w)
np.apply_along_axis(lambda r, a, b=1: r[:2] * a + b, 1, x, 3, b=2)
np.apply_along_axis(lambda r: r[:, None] * r, -1, x)
np.apply_along_axis(lambda r: r, 3, x)
np.apply_along_axis(lambda r: max(r), 0, [[1, 2], [3, 0]])
np.apply_over_axes(np.sum, w, [0, 2])
np.apply_over_axes(np.max, x, 0)
np.apply_over_axes(lambda a, axis: np.mean(a, axis=axis), w, (0, -1))
np.vectorize(lambda a, b: a + b)(v, 2.0)
np.vectorize(lambda a: 1 if a > 0 else 0)(x)
np.vectorize(lambda a: a * 2, otypes=[float])(i)
np.vectorize(lambda a: (a, -a))(v)
np.vectorize(lambda a, b: a @ b, signature="(n),(n)->()")(x, y)
np.vectorize(lambda a, b=1: a + b, excluded=["b"], doc="sum")(v, b=2)
np.vectorize(lambda a: a)(e)
np.vectorize(pyfunc=lambda a: a + 1, cache=True)([1, 2])
np.vectorize(np.sin)(v)
np.frompyfunc(lambda a: a + 1, 1, 1)(v)
np.frompyfunc(lambda a, b: (a, b), 2, 2)(v, 1)
np.frompyfunc(lambda a, b: a + b, 2, 1, identity=0).reduce(v)
np.frompyfunc(lambda a, b: a + b, 2, 1).outer(k, [1, 2])
np.frompyfunc(lambda a: a, 1, 1).nin
np.fromfunction(lambda a, b: a + b, (2, 3))
np.fromfunction(lambda a: a * 2, (3,), dtype=int)
np.fromfunction(lambda a, b, c: a * c + b, (2, 2), c=3)
np.fromiter(range(4), float)
np.fromiter((a * 2 for a in [1, 2]), dtype=int, count=1)
np.fromiter(v, np.float32)
np.fromiter(v, float, 9)
np.frombuffer(b"abcdefgh", np.uint8)
np.frombuffer(b"abcdefgh", dtype="i4", count=1, offset=4)
np.frombuffer(x.tobytes())
np.frombuffer(b"abc", float)
np.fromstring("1 2 3", sep=" ")
np.fromstring("1,2", dtype=int, count=1, sep=",")
np.fromfile(path, "i2")
np.fromfile(path, dtype="u1", count=4, offset=2)
x.tofile(path); np.fromfile(path)
np.fromregex(text, r"([0-9.]+) ([0-9.]+)", [("a", float), ("b", float)])["a"]
np.loadtxt(text)
np.loadtxt(text, dtype=np.float32, skiprows=1, usecols=0)
np.genfromtxt(text)
np.genfromtxt(text, dtype=int, max_rows=1)
np.recfromtxt(text)
np.recfromcsv(text)
np.savetxt(text, x, fmt="%.3f"); np.loadtxt(text)
np.savetxt(text, [v, q], delimiter=",", header="a"); np.loadtxt(text, delimiter=",")
np.save(file, x); np.load(file)
np.save(file, t); np.load(file).strides
np.save(file, [1, 2]); np.load(file, mmap_mode="r")
np.save(file, O, allow_pickle=True); np.load(file, allow_pickle=True)
np.savez(file, x, b=i); sorted(np.load(file).files)
np.savez(file, x, b=i); np.load(file)["b"]
np.savez_compressed(file, a=x); np.load(file)["a"]
np.zeros(3)
np.zeros((2, 3), int)
np.zeros((2, 3), dtype="f4", order="F")
np.zeros(shape=[2])
np.zeros(())
np.zeros((2, 0))
np.zeros(si)
np.zeros(k[:2])
np.zeros(-1)
np.zeros(2.5)
np.zeros("a")
np.zeros(2, "S3")
np.zeros(2, [("a", int)])
np.zeros(2, "M8[D]")
np.zeros(2, object)
np.zeros((2, 3), order="X")
np.zeros(2, like=x)
np.ones(3)
np.ones((2, 2), dtype=bool)
np.ones((2, 3), "c8", "F")
np.ones(2, like=x)
np.ones(2, object)
np.ones(2, "U3")
np.empty((2, 3)).shape
np.empty((2, 3), int, "F").strides
np.empty(2, like=x).dtype
np.empty(2, object)
np.full((2, 3), 7)
np.full(3, 1.5, np.float32)
np.full((2, 4), v)
np.full((2, 2), fill_value=3, dtype=float, order="F")
np.full(2, "a")
np.full(2, 1j)
np.full(2, True)
np.full(2, s)
np.full((2, 2), [1, 2])
np.full(2, None)
np.full(2, v)
np.full(2, 300, np.uint8)
np.full(2, 1, like=x)
np.zeros_like(x)
np.zeros_like(i, float)
np.zeros_like(t)
np.zeros_like(t, order="C")
np.zeros_like(x, order="F", subok=False)
np.zeros_like(x, shape=(2,))
np.zeros_like([1, 2])
np.zeros_like(2.5)
np.zeros_like(s)
np.zeros_like(S)
np.ones_like(x)
np.ones_like(m)
np.ones_like(c, dtype=int, order="A", shape=3)
np.ones_like([1, 2])
np.empty_like(x).shape
np.empty_like(prototype=t).strides
np.empty_like(i, shape=(2, 2)).dtype
np.full_like(i, 3)
np.full_like(i, 2.7)
np.full_like(x, 2, dtype=np.float32)
np.full_like(x, v)
np.full_like([1, 2], 5, shape=(3,))
np.full_like(u, 300)
np.full_like(t, 1, order="K")
np.arange(5)
np.arange(2, 8, 3)
np.arange(0.0, 1.0, 0.25)
np.arange(3, dtype=np.float32)
np.arange(start=1, stop=3)
np.arange(stop=3)
np.arange(5, 0, -2)
np.arange(5, 0)
np.arange(3, step=2)
np.arange(1, 2, 0)
np.arange()
np.arange("a")
np.arange(si)
np.arange(s, 3)
np.arange(z)
np.arange(2, dtype=bool)
np.arange(3, dtype=complex)
np.arange(5, dtype="i1")
np.arange(np.datetime64("2020-01-01"), np.datetime64("2020-01-03"))
np.arange(3, like=x)
np.arange(np.float32(3))
np.arange(v)
np.arange(1, None)
np.linspace(0, 1, 5)
np.linspace(0, 1, num=5, endpoint=False)
np.linspace(0, 1, 5, retstep=True)
np.linspace(0, 10, 4, dtype=int)
np.linspace(v, q, 3)
np.linspace(v, q, 3, axis=-1)
np.linspace(0, 1, 0)
np.linspace(0, 1, 1)
np.linspace(0, 1, -1)
np.linspace(0, 1, 2.5)
np.linspace(s, 2)
np.linspace(1j, 2, 3)
np.linspace(f[0], 1, 3)
np.linspace(1, 1, 3)
np.linspace(z, 3, 3, retstep=True)
np.logspace(0, 2, 3)
np.logspace(0, 2, num=3, endpoint=False, base=2.0, dtype=int)
np.logspace(v, q, 3, axis=1)
np.logspace(0, s, 3)
np.geomspace(1, 100, 3)
np.geomspace(1, 100, num=4, endpoint=False, dtype=int, axis=0)
np.geomspace(np.abs(v), 5, 3)
np.geomspace(0, 1, 3)
np.eye(3)
np.eye(2, 3, 1, dtype=int)
np.eye(2, M=3, k=-1, order="F")
np.eye(2, like=x)
np.eye(2.5)
np.eye(3, k=9)
np.eye(2, dtype=object)
np.identity(2)
np.identity(n=2, dtype=complex)
np.identity(2, like=x)
np.array(x)
np.array(x, np.float32)
np.array(x, dtype=int, copy=False)
np.array(x, ndmin=3)
np.array(x, order="F")
np.array(t, order="K")
np.array(x, copy=False)
np.array(object=[1, 2], subok=True)
np.array([x, y])
np.array([[x[0, 0], 1.0], [2, x[1, 1]]])
np.array([1, 2.5])
np.array([v, [1, 2, 3, 4]])
np.array(5)
np.array(s)
np.array([s, 2])
np.array([])
np.array([[1, 2], [3, 4]], dtype=np.int8)
np.array([1, 2], like=x)
np.array("abc")
np.array(["a", "bc"])
np.array([1, None])
np.array([[1], [1, 2]])
np.array([[1], [1, 2]], dtype=object)
np.array([x, v])
np.array([v, 2], dtype=object)
np.array([f, f])
np.array([f[0, 0], 2.0])
np.array([i[0, 0], 2.5])
np.array([si, si])
np.array([u[0], [1, 2, 3, 4]])
np.array((1, 2), "f4", order="C", ndmin=2)
np.array([True, 2])
np.array(range(3))
np.array(x, order="Z")
np.array([300], np.uint8)
np.array({"a": 1})
np.array([1.5, "a"])
np.array(np.array([1, 2]), dtype="S2")
np.array([(1, 2.0)], dtype=[("a", int), ("b", float)])
np.array(R)
np.array(None)
np.array([2**40, 2**70])
np.array([1, 2], dtype="nonsense")
np.asarray(x) is x
np.asarray(x, int)
np.asarray(t, order="C")
np.asarray([1, 2], dtype=float)
np.asarray(2.5)
np.asarray(s)
np.asarray(x, like=y)
np.asarray("a")
np.asanyarray(x)
np.asanyarray([1, 2], np.float32, "F")
np.asanyarray(x, like=y)
np.ascontiguousarray(t)
np.ascontiguousarray(2.5)
np.ascontiguousarray(x, dtype=int)
np.ascontiguousarray([1, 2], like=x)
np.asfortranarray(x)
np.asfortranarray([[1, 2], [3, 4]], dtype=float)
np.asfortranarray(x, like=y)
np.asfarray(i)
np.asfarray([1, 2], dtype=np.float32)
np.asfarray(x, int)
np.asarray_chkfinite(x)
np.asarray_chkfinite(n)
np.asarray_chkfinite([1, 2], dtype=float, order="F")
np.require(t, requirements="C")
np.require(x, np.float32, ["F", "O", "W", "A"])
np.require([1, 2], dtype=float, requirements=["E"])
np.require(x, None, "nonsense")
np.require(x, like=y)
np.copy(t)
np.copy(x, order="F")
np.copy(x, "K", True)
np.copy([1, 2])
np.copy(s)
np.fastCopyAndTranspose(x)
np.from_dlpack(x)
np.shape(x)
np.shape([[1, 2]])
np.shape(2.5)
np.shape(s)
np.shape([x, y])
np.ndim(x)
np.ndim(2)
np.ndim([[1]])
np.size(x)
np.size(x, 1)
np.size([1, 2])
np.size(2)
np.size(x, axis=5)
np.result_type(x, i)
np.result_type(f, 2.0)
np.result_type(i, 2.0)
np.result_type(np.float32, "i8")
np.result_type(u, 3)
np.result_type(f, 1j)
np.result_type(2, 3.5)
np.result_type()
np.promote_types("f4", "i8")
np.can_cast(x, np.float32)
np.can_cast(np.int8, to=np.int16, casting="no")
np.can_cast(s, "i4", "unsafe")
np.can_cast(f, float)
np.min_scalar_type(x)
np.min_scalar_type(300)
np.min_scalar_type(z)
np.min_scalar_type(s)
np.common_type(f, x)
np.common_type(i)
np.common_type(c, f)
np.common_type(S)
np.mintypecode("fdD")
np.find_common_type([np.float32], [np.int64])
np.isscalar(s)
np.isscalar(x)
np.isscalar(2)
np.isscalar("a")
np.isscalar(z)
np.iterable(x)
np.iterable(2)
np.iterable(z)
np.isfortran(t)
np.isfortran(x)
np.shares_memory(x, x.T)
np.shares_memory(x, y)
np.shares_memory(x[::2], x[1::2])
np.may_share_memory(x, x[1:])
np.may_share_memory(x, y, max_work=1)
np.issubdtype(x.dtype, np.floating)
np.issubdtype("i4", np.integer)
np.issubdtype(np.float32, float)
np.byte_bounds(x)[1] - np.byte_bounds(x)[0]
np.meshgrid(v, [1, 2])
np.meshgrid(v, q, indexing="ij", sparse=True)
np.meshgrid(v, q, copy=False)
np.meshgrid(v)
np.meshgrid()
np.meshgrid(2, [1, 2])
np.meshgrid(v, q, indexing="x")
np.meshgrid(v, i[0], l)
np.indices((2, 3))
np.indices(dimensions=(2, 3), dtype=float, sparse=True)
np.indices((2,), np.int32)
np.ix_([0, 1], [2, 3])
np.ix_(k, m[0])
np.ix_(x)
np.mgrid[0:2, 0:3]
np.mgrid[0:1:3j]
np.mgrid[0:2.0]
np.ogrid[0:2, 0:3]
np.ogrid[0:s, 0:3j]
np.r_[v, 1, 2]
np.r_[0:3, v]
np.r_["0,2", v, q]
np.r_[0:1:3j, 5]
np.r_[x, y]
np.r_[[1, 2], 3.5]
np.r_["r", v]
np.r_[s, 2]
np.c_[v, q]
np.c_[x, [1, 2, 3]]
np.c_[1:4, l]
np.s_[1:2, ::3]
np.index_exp[1:2]
x[np.s_[1:, ::2]]
np.unravel_index([5, 7], (3, 4))
np.unravel_index(5, shape=(3, 4), order="F")
np.unravel_index(k, (2, 2))
np.unravel_index(99, (3, 4))
np.unravel_index(np.argmax(x), x.shape)
np.ravel_multi_index(([1, 2], [0, 3]), (3, 4))
np.ravel_multi_index((1, 2), dims=(3, 4), mode="clip", order="F")
np.ravel_multi_index((k, k), (4, 4))
np.ravel_multi_index((9, 9), (3, 4))
np.ravel_multi_index((9, 9), (3, 4), mode="wrap")
np.diag_indices(2)
np.diag_indices(n=2, ndim=3)
np.diag_indices_from(p)
np.diag_indices_from(x)
np.mask_indices(3, np.triu)
np.mask_indices(3, np.tril, 1)
np.packbits([1, 0, 1])
np.packbits(m, axis=1)
np.packbits(m, 0, "little")
np.packbits(x)
np.unpackbits(u, axis=1)
np.unpackbits(u, count=9, bitorder="little")
np.unpackbits(x)
np.kaiser(5, 8.6)
np.kaiser(M=4, beta=0.0)
np.i0([0, 1, 2])
np.sinc([0, 0.5])
np.array2string(x)
np.array2string(x, precision=2, separator=", ", suppress_small=True)
np.array2string(v, formatter={"float_kind": lambda a: "%.1f" % a})
np.array2string(v, max_line_width=20, threshold=2, edgeitems=1, floatmode="fixed", sign="+", legacy="1.13")
np.array_repr(x)
np.array_repr(f, max_line_width=40, precision=2, suppress_small=True)
np.array_str(x)
np.array_str(v, 30, 2, True)
np.format_float_positional(s)
np.format_float_positional(1.5, precision=3, unique=False, trim="-")
np.format_float_scientific(s)
np.format_float_scientific(x[0, 0], precision=3)
np.base_repr(5, 2)
np.binary_repr(5, width=8)
np.binary_repr(si)
np.base_repr(si, 3)
np.typename("d")
np.issctype("i4")
np.issubclass_(int, object)
np.issubsctype("f8", np.floating)
np.obj2sctype(x)
np.sctype2char(float)
np.maximum_sctype(np.float32)
np.safe_eval("[1, 2]")
np.get_printoptions()["precision"]
np.geterr()
np.errstate(all="ignore").kwargs
np.deprecate(lambda: 3, message="m").__name__
np.deprecate_with_doc("m")
np.busday_count("2020-01-01", "2020-02-01")
np.busday_count(D[1], D[0])
np.busday_offset("2020-01-01", 3)
np.busday_offset(D[:2], [1, 2], roll="forward")
np.is_busday(D)
np.is_busday(["2020-01-01", "2020-01-04"])
np.datetime_as_string(D)
np.datetime_as_string(D[0], unit="M")
np.datetime_data(D.dtype)
np.compare_chararrays(S, S, "==", True)
np.ndindex(2, 3).ndincr
list(np.ndindex(2, 2))
list(np.ndindex((2,)))
list(np.ndindex(*x[:1, :2].shape))
list(np.ndenumerate(x[:2, :2]))
list(np.ndenumerate([1, 2]))
[float(a) for a in np.nditer(x)]
[float(a) for a in np.nditer(t, order="C")]
[int(a) for a in np.nditer(i, flags=["external_loop"])][0] if 0 else 1
[(float(a), float(b)) for a, b in np.nditer([x, v])]
np.nditer(x, flags=["multi_index"]).multi_index
np.nditer([x, None]).operands[1].shape
np.nested_iters(x, [[0], [1]])[0].ndim
np.matrix(x)
np.asmatrix(x).shape
np.mat("1 2; 3 4")
np.bmat("a", {"a": np.matrix([[1, 2]])})
np.bmat([[x, y]])
np.chararray((2,), itemsize=3).shape
np.recarray((2,), dtype=[("a", int)]).shape
np.memmap(path, mode="r").shape
np.format_parser(["i4"], ["a"], []).dtype
np.DataSource is not None
np.RankWarning.__name__
np.get_array_wrap(2)
np.get_include()[-4:]
np.getbufsize()
np.cast["f"](x)
np.cast[np.int8]([1, 2])
np.ctypeslib.as_array(x)
np.dtypes.Float64DType is type(x.dtype)
np.exceptions.AxisError is np.AxisError
np.emath.sqrt(-1.0)
np.emath.sqrt(v)
np.emath.sqrt([4, -4])
np.emath.log(v)
np.emath.log2([-1, 2])
np.emath.log10(x)
np.emath.logn(2, v)
np.emath.power(v, 0.5)
np.emath.power(-2, 0.5)
np.emath.arccos(x)
np.emath.arcsin(2)
np.emath.arctanh(v * 2)
np.char.add(S, S)
np.char.upper(S)
np.char.lower(["A", "b"])
np.char.capitalize(S)
np.char.center(S, 8)
np.char.count(S, "p")
np.char.decode(B)
np.char.encode(S)
np.char.endswith(S, "r")
np.char.startswith(S, "p", 0, 2)
np.char.equal(S, S)
np.char.not_equal(S, "pear")
np.char.greater(S, "b")
np.char.greater_equal(S, "b")
np.char.less(S, "b")
np.char.less_equal(S, "b")
np.char.expandtabs(S)
np.char.find(S, "p")
np.char.rfind(S, "p")
np.char.index(S[:2], "p")
np.char.rindex(S, "zz")
np.char.isalnum(S)
np.char.isalpha(S)
np.char.isdecimal(S)
np.char.isdigit(S)
np.char.islower(S)
np.char.isnumeric(S)
np.char.isspace(S)
np.char.istitle(S)
np.char.isupper(S)
np.char.join("-", S)
np.char.ljust(S, 7)
np.char.rjust(S, 7, "*")
np.char.lstrip(S, "p")
np.char.rstrip(S)
np.char.strip(S, "pr")
np.char.mod("%d", i)
np.char.multiply(S, 2)
np.char.multiply(S, l)
np.char.partition(S, "p")
np.char.rpartition(S, "p")
np.char.replace(S, "p", "q")
np.char.split(S)
np.char.rsplit(S, "p")
np.char.splitlines(S)
np.char.str_len(S)
np.char.swapcase(S)
np.char.title(S)
np.char.translate(S, {112: "x"})
np.char.zfill(S, 7)
np.char.compare_chararrays(S, S, "<", False)
np.char.array(S).upper().tolist()
np.char.asarray(S).shape
np.char.chararray((2,)).shape
np.rec.array([(1, 2.0)], dtype=[("a", int), ("b", float)]).a
np.rec.fromarrays([k, v], names="a,b").b
np.rec.fromrecords([(1, 2.0), (3, 4.0)], names="a,b").a
np.rec.fromstring(b"abcdefgh", dtype=[("a", "i4"), ("b", "i4")]).shape
np.rec.fromfile(path, dtype=[("a", "i2")], shape=1).shape
np.rec.find_duplicate([1, 1, 2])
np.lib.stride_tricks.sliding_window_view(v, 2)
np.lib.stride_tricks.sliding_window_view(x, (2, 2), axis=(0, 1))
np.lib.stride_tricks.sliding_window_view(x, 9)
np.lib.stride_tricks.as_strided(v, (2, 3), (v.itemsize, v.itemsize))
np.lib.stride_tricks.broadcast_to(v, (2, 4))
np.lib.index_tricks.ndindex(2).ndincr
np.lib.NumpyVersion("1.26.4") < "2.0"
np.lib.scimath.sqrt(-1.0)
np.lib.add_docstring is not None
np.lib.Arrayterator(x, 2).shape
np.lib.format.magic(1, 0)
np.lib.mixins.NDArrayOperatorsMixin.__name__
np.lib.recfunctions.structured_to_unstructured(R)
np.lib.recfunctions.append_fields(R, "c", v[:3], usemask=False)["c"]
np.lib.recfunctions.get_names(R.dtype)
np.lib.recfunctions.drop_fields(R, "a")["b"]
np.polynomial.polynomial.polyval(v, [1, 2, 3])
np.polynomial.polynomial.polyval(2.0, v)
np.polynomial.polynomial.polyfit(q, v, 2)
np.polynomial.polynomial.polyroots(v)
np.polynomial.polynomial.polyadd(v, [1])
np.polynomial.polynomial.polyvander(v, 2)
np.polynomial.chebyshev.chebval(v, q)
np.polynomial.chebyshev.chebfit(q, v, 2)
np.polynomial.legendre.leggauss(3)
np.polynomial.legendre.legval(x, v)
np.polynomial.hermite.hermval(v, [1, 2])
np.polynomial.hermite_e.hermeval(v, [1, 2])
np.polynomial.laguerre.lagval(v, [1, 2])
np.polynomial.polyutils.mapdomain(v, [-1, 1], [0, 1])
np.polynomial.Polynomial(v)(x)
np.polynomial.Polynomial(v).coef
np.polynomial.Polynomial([1, 2])(v)
np.polynomial.Polynomial.fit(q, v, 2).coef
np.polynomial.Polynomial([1, 2]) * np.polynomial.Polynomial([0, 1])
np.polynomial.Chebyshev(v).deriv().coef
np.polynomial.Chebyshev([1, 2])(v)
np.polynomial.Legendre(v).roots()
np.polynomial.Hermite([1, 2])(v)
np.polynomial.HermiteE([1, 2])(v)
np.polynomial.Laguerre([1, 2])(v)
np.polynomial.set_default_printstyle("ascii")
np.linalg.norm(x)
np.linalg.norm(v)
np.linalg.norm(v, 1)
np.linalg.norm(v, ord=np.inf)
np.linalg.norm(v, -np.inf)
np.linalg.norm(v, 0)
np.linalg.norm(v, 3)
np.linalg.norm(v, 0.5)
np.linalg.norm(x, axis=1)
np.linalg.norm(x, "fro")
np.linalg.norm(x, "nuc")
np.linalg.norm(x, 2)
np.linalg.norm(x, -2)
np.linalg.norm(x, ord=1, axis=(0, 1))
np.linalg.norm(w, axis=(1, 2), keepdims=True)
np.linalg.norm(w, 2, axis=(0, 2))
np.linalg.norm(x, 2, 0, True)
np.linalg.norm(w)
np.linalg.norm(w, 2)
np.linalg.norm(x, 7)
np.linalg.norm(v, "fro")
np.linalg.norm(x, axis=(0, 0))
np.linalg.norm(x, axis=3)
np.linalg.norm(i)
np.linalg.norm(c)
np.linalg.norm(c, axis=0)
np.linalg.norm(f)
np.linalg.norm(h)
np.linalg.norm(m)
np.linalg.norm([3, 4])
np.linalg.norm(2.0)
np.linalg.norm(e)
np.linalg.norm(z)
np.linalg.norm(s)
np.linalg.solve(p, l)
np.linalg.solve(p, x)
np.linalg.solve(p, x[:, :1])
np.linalg.solve(p, v)
np.linalg.solve(np.array([p, p]), w.swapaxes(1, 2)[:, :3])
np.linalg.solve(a=[[2, 1], [1, 3]], b=[1, 2])
np.linalg.solve(np.zeros((2, 2)), [1.0, 2.0])
np.linalg.solve(x, v)
np.linalg.solve(p, 2.0)
np.linalg.lstsq(x.T, v, rcond=None)
np.linalg.lstsq(x.T, v, 1e-10)
np.linalg.lstsq(x, y, rcond=None)
np.linalg.lstsq(p, [1, 2, 3])
np.linalg.svd(x, False)
np.linalg.svd(x, full_matrices=True, compute_uv=False)
np.linalg.svd(p, hermitian=True)[1]
np.linalg.qr(x, "r")
np.linalg.qr(x, mode="complete")
np.linalg.qr(x.T)
np.linalg.qr(x, mode="nonsense")
np.linalg.eigh(p, "U")
np.linalg.eigvalsh(p, UPLO="L")
np.linalg.eigh(p, UPLO="X")
np.linalg.pinv(x)
np.linalg.pinv(p, 1e-10, True)
np.linalg.pinv(p, rcond=[1e-10])
np.linalg.matrix_rank(x)
np.linalg.matrix_rank(p, tol=100)
np.linalg.matrix_rank(v, hermitian=False)
np.linalg.cond(p, "fro")
np.linalg.cond(p, p=1)
np.linalg.cond(p, -2)
np.linalg.matrix_power(p, 3)
np.linalg.matrix_power(p, 0)
np.linalg.matrix_power(p, -2)
np.linalg.matrix_power(p, n=1)
np.linalg.matrix_power(p, 2.5)
np.linalg.matrix_power(x, 2)
np.linalg.matrix_power([[2, 1], [1, 3]], 5)
np.linalg.matrix_power(np.array([p, p]), 0)
np.linalg.multi_dot([x, y.T, x])
np.linalg.multi_dot([v, y.T, x[:, 0]])
np.linalg.multi_dot([x, y.T], out=np.zeros((3, 3)))
np.linalg.multi_dot([x])
np.linalg.multi_dot([x, y])
np.linalg.multi_dot([w, x])
np.linalg.multi_dot([[1, 2], [[1, 2], [3, 4]], [1, 0]])
np.linalg.tensorsolve(np.eye(4).reshape(2, 2, 4), p[:2, :2])
np.linalg.tensorsolve(np.eye(12).reshape(3, 4, 12), x, axes=None)
np.linalg.tensorinv(np.eye(12).reshape(3, 4, 12))
np.linalg.tensorinv(np.eye(4).reshape(2, 2, 2, 2), ind=2)
np.linalg.LinAlgError.__name__
np.fft.fftshift(x)
np.fft.fftshift(x, axes=1)
np.fft.fftshift(v, (0,))
np.fft.fftshift([1, 2, 3])
np.fft.fftshift(x, 2)
np.fft.ifftshift(v)
np.fft.ifftshift(x, 0)
np.fft.fftfreq(4)
np.fft.fftfreq(5, 0.1)
np.fft.fftfreq(n=5, d=s)
np.fft.fftfreq(4.0)
np.fft.rfftfreq(4, d=0.5)
np.fft.rfftfreq(5)
np.ma.masked_array(x, m).sum()
np.ma.array(x, mask=m).filled(0)
np.ma.masked_where(x > 0, x).count()
np.ma.masked_invalid(n).mean()
np.ma.getmaskarray(np.ma.masked_greater(x, 0))
np.ma.masked_less(v, 0) + v
np.ma.median(np.ma.array(x, mask=m))
np.testing.assert_allclose(x, x)
np.testing.assert_allclose(x, y)
np.testing.assert_array_equal(i, i)
np.testing.assert_array_equal(i, j)
np.testing.assert_equal(x, x)
np.testing.assert_almost_equal(x, x + 1e-9)
np.testing.assert_array_almost_equal(x, y, 1)
np.testing.assert_array_less(x, x + 1)
np.testing.assert_array_less(x, y)
np.testing.assert_approx_equal(s, 0.75)
np.testing.assert_array_almost_equal_nulp(x, x)
np.testing.assert_array_max_ulp(x, x)
np.testing.assert_raises(ValueError, np.reshape, x, 5)
np.testing.assert_(np.all(x == x))
np.testing.assert_string_equal("a", "a")
np.testing.assert_warns(RuntimeWarning, lambda: np.mean([]))
R["a"]
R["b"] * 2
R[0]["b"]
R[1:]["a"]
R[["a", "b"]]
R["a"] = 5
R["b"][1] = 9
R[0] = (7, 8.0)
R["a"].sum()
R.dtype.names
R == R
D + T[0]
D - D[1]
D[0] - 1
T * 2
T.sum()
D.max()
D.astype("M8[M]")
T / T[0]
T / 2
T.astype(int)
D.astype(object)
np.datetime64("2020-01-05") - D
np.isnan(D)
D == D
D[1] < D[0]
np.sort(D)[::-1]
np.abs(T)
np.sum(T)
np.mean(T)
O + 1
O * O
O.sum()
O == 3
O[0]
O.astype(float)
-O
O < 2
S == "pear"
S[0]
S[::-1]
S.astype("S10")
S + S
S == 1
S != v[:3]
S == ["pear", "b", "c"]
"a" == S
S > S[::-1]
x + "a"
x == "a"
x != None
x < None
S < "b"
""".strip().splitlines()

# -- methods and attributes of arrays, of scalars -----------------------------------------------------------------------------------------
METHODS = """
x.T
x.T.base is x
x.all()
m.all(0)
m.all(axis=(0, 1), keepdims=True)
x.any(axis=1, out=ob[:, 0])
m.any(where=[True, False, True, False])
x.argmax()
x.argmax(1)
x.argmin(axis=0, out=oi[0], keepdims=False)
x.argmin(1, keepdims=True)
x.argpartition(2)
v.argpartition(kth=1, axis=0, kind="introselect")
x.argsort()
x.argsort(0, "stable")
x.argsort(axis=None)
R.argsort(order="b")
x.astype(int)
x.astype("f4", order="F")
x.astype(np.float64, copy=False) is x
x.astype(np.float64) is x
x.astype(int, casting="safe")
x.astype(dtype="i1", order="C", casting="unsafe", subok=False, copy=True)
n.astype(str).shape
i.astype("U1")
c.astype(float)
x.astype("nonsense")
x.base is None
x[1:].base is x
x.byteswap()
x.byteswap(True)
x.byteswap(inplace=False)
i.choose([x[0, 0], 1, 2, 3, 4])
(i % 2).choose((x, y), out=o)
k.choose([v] * 3, mode="wrap")
x.clip(0, 1)
x.clip(min=0)
x.clip(max=v, out=o)
x.clip()
i.clip(0.5, 2)
v.compress([1, 0, 1, 0])
x.compress([True, False], axis=1)
x.compress([0, 1], 0, o[:1])
c.conj()
x.conj() is x
c.conjugate()
x.copy()
t.copy()
t.copy("K").strides
x.copy(order="F").strides
x.ctypes.shape[:]
x.cumprod()
x.cumprod(axis=0, dtype=float, out=o)
i.cumsum(1)
m.cumsum()
x.data.nbytes
bytes(x.data)
x.diagonal()
x.diagonal(1)
w.diagonal(offset=0, axis1=1, axis2=2)
x.dot(v)
x.dot(y.T, out=np.zeros((3, 3)))
x.dot(2)
x.dtype
x.dumps()[:1]
x.dump(file)
x.fill(3)
x.fill(value=v[0])
i.fill(2.7)
x[:, ::2].fill(0)
x.fill("a")
x.fill(v)
u.fill(300)
x.flags.c_contiguous, t.flags.f_contiguous, x.flags.owndata, x[1:].flags.owndata, x.flags.writeable, x.flags.aligned
x.flags["C"], x.flags.num, x.flags.forc, x.flags.fnc, t.flags.carray, t.flags.farray, x.flags.behaved
x.flags["nonsense"]
repr(x.flags)
x.flat[5]
x.flat[2:5]
x.flat[[0, 2]]
x.flat[m.ravel()]
list(v.flat)
len(x.flat), x.flat.index, x.flat.coords
x.flat.base is x
x.flat.copy()
next(x.flat)
x.flat = 2
x.flat = [1, 2, 3]
x.flat[3] = 9
x.flat[1:4] = [7, 8]
t.flat[2] = 5
np.array(x.flat)
x.flat == 2
x.flatten()
t.flatten("F")
t.flatten(order="K")
x.getfield("f4")
x.getfield("f4", offset=4)
x.imag
c.imag
c.imag = 3
x.imag = 3
x.item(3)
x.item((1, 2))
x.item(1, 2)
x.item()
x.item(99)
z.item()
x.itemset(3, 9.0)
x.itemset((1, 2), 9.0)
x.itemset(7)
z.itemset(7)
x.itemsize
x.max()
x.max(1)
x.max(axis=0, out=o4, keepdims=False, initial=0.5, where=m)
x.mean()
x.mean(0, np.float32)
x.mean(axis=1, dtype=None, out=o3, keepdims=False, where=m)
x.min(axis=(0, 1))
x.min(1, o3)
x.nbytes
x.ndim
x.newbyteorder().dtype
x.newbyteorder("<")
m.nonzero()
x.partition(2)
v.partition(1, axis=0)
v.partition(9)
x.prod()
x.prod(axis=1, dtype=np.float32, keepdims=True)
x.prod(0, None, o4, False, 2.0, m)
x.ptp()
x.ptp(1)
x.ptp(axis=0, out=o4, keepdims=False)
x.put([0, 5], [7, 8])
x.put(k, 3, mode="clip")
v.put([9], 1)
x.ravel()
t.ravel("F")
x.real
x.real is x
c.real
c.real = 3
x.real = 3
x.repeat(2)
x.repeat([1, 2, 0], axis=0)
x.reshape(4, 3)
x.reshape((4, 3), order="F")
x.reshape(-1)
x.reshape(2, -1, 3)
x.reshape(5)
x.reshape([2, 6])
x.reshape()
z.reshape()
v.resize((2, 2), refcheck=False)
v.resize(6, refcheck=False)
x.round()
x.round(1)
x.round(decimals=2, out=o)
i.round(-1)
q.searchsorted(v)
q.searchsorted(v=[0.25], side="right", sorter=None)
x.setfield(3, np.float32)
x.setfield(2.5, "f4", 4)
x.setflags(write=False)
x.setflags(write=True)
x.shape
x.shape = (4, 3)
x.shape = -1
x.shape = (5, 5)
t.shape = 12
x.size
x.sort()
x.sort(0)
x.sort(axis=1, kind="stable")
x.sort(7)
v[::-1].sort()
R.sort(order="b")
n.sort()
x[:1].squeeze()
x[None].squeeze(axis=0)
x.squeeze(0)
x.std()
x.std(1, None, o3, 1, False)
x.std(axis=0, dtype=np.float32, ddof=1, keepdims=True, where=m)
x.strides
x.strides = (8, 24)
x.sum()
x.sum(0)
x.sum(axis=1, dtype=np.float32, out=of[:, 0], keepdims=False, initial=1, where=m)
x.sum(1, None, None, True)
w.swapaxes(0, -1)
x.take([0, 1])
x.take(indices=[0, 9], axis=1, mode="clip")
x.take(k, 1, o)
x.tobytes()
t.tobytes("F")
x.tobytes(order="A")
x.tofile(path)
x.tolist()
z.tolist()
c.tolist()
x.tostring()
x.trace()
w.trace(1, 0, 2, float)
x.transpose()
w.transpose(1, 0, 2)
w.transpose((1, 0, 2))
w.transpose(None)
w.transpose([1, 2, 0])
x.transpose(1)
x.var()
x.var(0, ddof=1)
x.var(axis=(0, 1), keepdims=True)
x.view()
x.view(np.int64)
f.view("i4")
f.view(np.float64)
x.view(np.matrix).shape
x.view(dtype=np.uint8)
x.view(type=np.ndarray)
c.view(float)
len(x)
len(z)
bool(x)
bool(z)
bool(e)
int(z)
float(z)
float(x)
complex(z)
int(v[0])
z.__index__()
np.array(3).__index__()
x.__index__()
k[np.array(1)]
[1, 2, 3][si]
0.5 in x
x[0, 0] in x
iter(z)
[a for a in v]
[a.sum() for a in x]
x.__array__(np.float32)
x.__array_interface__["shape"], x.__array_interface__["typestr"]
x.__array_priority__ >= 0
np.from_dlpack(x)
x.__dlpack_device__()
x.__array_wrap__(np.array([1, 2]))
hash(x)
x.__sizeof__() > 0
x.__deepcopy__({})
x.__copy__()
format(x)
format(x, ".2f")
format(z, ".2f")
str(x)
repr(x)
str(z), repr(z)
divmod(x, 2)
divmod(2, x)
divmod(i, j)
pow(x, 2)
pow(x, 2, 3)
x ** -1
i ** 2
i ** -1
2 ** i
m ** 2
u ** 2
x ** 0.5
x ** [1, 2, 3, 4]
abs(x)
-x
-m
+x
+m
~i
~m
~x
i << 1
1 << i
i >> [1, 0, 1, 0]
i & 3
i | j
i ^ 1
m & m
x & 1
x @ v
v @ v
x @ 2
[1, 2, 3] @ x
x / 0
i // 0
i % 0
x // 0.5
x % 0.5
2 % x
i / j
x < y
x <= 0.5
x > v
x >= [1, 2, 3, 4]
x == y
x != i
x == i[:2]
x < i[:2]
1 + x
1 - i
2.5 * i
True + i
1j * f
[1, 2, 3, 4] + x
(1, 2, 3, 4) - x
x + S
x + {}
x + None
m - m
m + m
m * 2
u + 255
u + 256
u - 1
g * 2
g + 1000
f + 2.5
f + np.float64(2.5)
f * 1e300
h + 1e5
x += 1
x += y
x -= v
x *= [1, 2, 3, 4]
x /= 2
i += 1
i += 1.5
i -= 1
i *= 2
i /= 2
i //= 2
i %= 3
i **= 2
x **= 2
x //= 0.3
x %= 0.3
i <<= 1
i >>= 1
i |= 8
i &= 3
i ^= 1
m |= False
m &= m[0]
m ^= True
x @= np.eye(4)
p @= p
x @= y
u += 1
u += 300
f += x
f *= 2.5
f += 1j
x += x.T
v += x
x[1:] += 1
x[:, ::2] *= 2
x[[0, 0]] += 1
x[m] = 0
x[m] += 1
x[0] = v
x[0, 1] = 5
x[..., 0] = [1, 2, 3]
x[[0, 2], 1] = 7
x[:, k] = x
x[1:, :2] = y[:2, 2:]
x[9] = 1
x[:, 9]
x[0, 0, 0]
x["a"]
x[1.0]
x[None, 1]
x[True]
x[..., k]
x[[0, 2]]
x[[True, False, True]]
x[m]
x[m, 0]
x[l, l]
x[l[:, None], k]
x[1:3, [0, 1]]
x[(0, 1)]
x[[[0, 1], [1, 2]]]
x[i]
x[-1], x[1][2], x[1, 2]
x[si - 1]
x[()]
z[()]
z[...]
z[None]
z[0]
s[()]
s[...]
s[0]
v[::-1]
v[10:]
v[slice(None, None, -2)]
del x[0]
x.sum().real
c.sum().imag
x.sum().dtype
x.sum().shape, x.sum().ndim, x.sum().size, x.sum().itemsize, x.sum().nbytes, x.sum().strides
x.sum().item()
x.sum().tolist()
x.sum().astype(int)
x.sum().reshape(1)
x.sum().T
x.sum().sum()
x.sum().max()
x.sum().round(2)
round(x.sum(), 2)
round(x.sum())
x.sum().is_integer()
s.as_integer_ratio()
s.hex()
si.bit_count()
si.numerator, si.denominator
si.is_integer()
i.sum().bit_count()
np.float64.fromhex("0x1p-1")
x.sum().conjugate()
x.sum().copy()
x.sum().flatten()
x.sum().ravel()
x.sum().squeeze()
x.sum().transpose()
x.sum().view(np.int64)
x.sum().tobytes()
x.sum().byteswap()
x.sum().newbyteorder()
x.sum().nonzero()
x.sum().repeat(2)
x.sum().resize(1)
x.sum().fill(1)
x.sum().itemset(1)
x.sum().put([0], 1)
x.sum().sort()
x.sum().setfield(1, float)
x.sum().setflags(write=True)
x.sum().searchsorted(1)
x.sum().swapaxes(0, 0)
x.sum().take(0)
x.sum().trace()
x.sum().argmax()
x.sum().argsort()
x.sum().choose([1, 2])
si.choose([1, 2, 3, 4])
x.sum().clip(0, 1)
x.sum().compress([True])
x.sum().cumsum()
x.sum().cumprod()
x.sum().diagonal()
x.sum().dot(2)
x.sum().mean(), x.sum().var(), x.sum().std(), x.sum().ptp(), x.sum().prod(), x.sum().min()
x.sum().any(), x.sum().all()
x.sum().base is None
x.sum().flags.writeable
x.sum().flat[0]
x.sum().data.nbytes
hash(x.sum()) == hash(float(x.sum()))
{x.sum(): 1}[x.sum()]
x.sum() == x.sum()
x.sum() + 1
x.sum() < 2
x.sum() ** 2
x.sum() @ x.sum()
x.sum() @ v
-x.sum()
abs(x.sum())
divmod(x.sum(), 2)
i.sum() & 3
i.sum() << 1
~i.sum()
int(x.sum()), float(x.sum()), complex(x.sum()), bool(x.sum())
str(x.sum()), repr(x.sum()), format(x.sum(), ".3f"), f"{x.sum():.2e}", "%.2f" % x.sum()
s.__trunc__(), s.__floor__(), s.__ceil__()
x.sum().__array__()
m.any() and True
m.any() | m.all()
m.sum() + 1.5
m[0, 0] + m[0, 0]
u[0, 0] + 1
u.max() + 255
g[0] * 100
f.sum() + 1.5
f.sum() + x.sum()
len(x.sum())
list(x.sum())
x.sum()[0]
x.sum()[()]
x.sum()[None]
isinstance(x.sum(), float), isinstance(i.sum(), np.integer), isinstance(m.any(), np.bool_), isinstance(f.sum(), np.float32)
best = x.sum(); best += 1; x.sum()
math.sqrt(abs(v[0])), math.floor(v[0]), math.isnan(v[0])
json.dumps(float(v[0])), json.dumps(v.tolist())
range(si)[1]
"ab" * si
[0] * i.max()
statistics.mean(v.tolist())
pickle.loads(pickle.dumps(x))
pickle.loads(pickle.dumps(t)).strides
pickle.loads(pickle.dumps(x.sum()))
copy.copy(x)
copy.deepcopy([x, x])[0]
copy.deepcopy(x.sum())
struct.pack("d", v[0])
decimal.Decimal(v[0])
fractions.Fraction(0.5) + 0
operator.index(si)
functools.reduce(np.add, [v, v, v])
functools.reduce(np.minimum, list(x))
itertools.chain(v, v).__next__()
""".strip().splitlines()

# -- numpy.random: each line after a seed, with the legacy functions, a RandomState, a Generator ------------------------------------------
LEGACY = """
{r}.beta(1.0, 2.0, size=3)
{r}.beta(np.abs(v), 2.0)
{r}.binomial(5, 0.5, 4)
{r}.binomial(j, 0.5)
{r}.bytes(4)
{r}.chisquare(2, size=(2, 2))
{r}.choice(5, 3)
{r}.choice(v, size=2, replace=False)
{r}.choice([1, 2, 3], p=[0.1, 0.2, 0.7])
{r}.choice(v, 3, True, np.abs(v) / np.abs(v).sum())
{r}.dirichlet([1, 2, 3], 2)
{r}.dirichlet(np.abs(v))
{r}.exponential(2.0, 3)
{r}.exponential(np.abs(v))
{r}.exponential(scale=-1)
{r}.f(2, 3, size=2)
{r}.gamma(2.0, 1.5, 3)
{r}.gamma(shape=np.abs(v))
{r}.geometric(0.5, size=3)
{r}.get_state()[0]
{r}.gumbel(0.0, 1.0, 2)
{r}.hypergeometric(5, 5, 3, 2)
{r}.laplace(size=2)
{r}.logistic(0, 1, size=2)
{r}.lognormal(0.0, 1.0, (2,))
{r}.logseries(0.5, 3)
{r}.multinomial(5, [0.2, 0.8], size=2)
{r}.multivariate_normal([0, 0], [[1, 0], [0, 1]], 2)
{r}.multivariate_normal(l, p, size=2, check_valid="ignore", tol=1e-8)
{r}.negative_binomial(3, 0.5, 2)
{r}.noncentral_chisquare(2, 1.0, 2)
{r}.noncentral_f(2, 3, 1.0, 2)
{r}.normal()
{r}.normal(0.0, 1.0, (2, 3))
{r}.normal(x, np.abs(y))
{r}.normal(loc=v, scale=2.0, size=(2, 4))
{r}.normal(v, 1.0, size=3)
{r}.pareto(2.0, 3)
{r}.permutation(5)
{r}.permutation(v)
{r}.permutation(x)
{r}.permutation([1, 2, 3])
{r}.poisson(3.0, 4)
{r}.poisson(np.abs(v))
{r}.power(2.0, 3)
{r}.rayleigh(1.0, 2)
{r}.shuffle(v)
{r}.shuffle(x)
{r}.shuffle(x[:, ::2])
{r}.standard_cauchy(2)
{r}.standard_exponential(3)
{r}.standard_gamma(2.0, 3)
{r}.standard_normal()
{r}.standard_normal((2, 2))
{r}.standard_t(3, size=2)
{r}.triangular(0, 0.5, 1, 2)
{r}.uniform()
{r}.uniform(-1, 1, (2, 2))
{r}.uniform(low=v, high=v + 1)
{r}.vonmises(0.0, 1.0, 2)
{r}.wald(1.0, 2.0, 2)
{r}.weibull(2.0, 3)
{r}.zipf(2.0, 3)
{r}.random(3)
""".strip().splitlines()
RANDOM_STATE_ONLY = """
{r}.rand(2, 3)
{r}.rand()
{r}.randn(2)
{r}.randn()
{r}.randint(5)
{r}.randint(0, 10, (2, 2))
{r}.randint(low=0, high=[3, 4], size=2, dtype=np.int8)
{r}.randint(0, k + 1)
{r}.random_integers(3, 5, 2)
{r}.random_sample((2,))
{r}.seed(5)
{r}.seed(k)
{r}.set_state({r}.get_state())
{r}.tomaxint(2) if hasattr({r}, "tomaxint") else 0
""".strip().splitlines()
GENERATOR_ONLY = """
{r}.integers(5)
{r}.integers(0, 10, (2, 2), dtype=np.uint8, endpoint=True)
{r}.integers(low=0, high=k + 1)
{r}.random()
{r}.random((2, 2), dtype=np.float32)
{r}.random(out=o)
{r}.random(out=of, dtype=np.float32)
{r}.random(out=x.T)
{r}.standard_normal(out=o4)
{r}.standard_normal(3, dtype="f4")
{r}.standard_exponential(method="inv", size=2)
{r}.standard_gamma(2.0, out=o4)
{r}.permuted(x, axis=1)
{r}.permuted(x, axis=0, out=o)
{r}.permuted(x, out=x)
{r}.permutation(x, axis=1)
{r}.shuffle(x, axis=1)
{r}.choice(x, 2, axis=1, shuffle=False)
{r}.multivariate_hypergeometric([3, 4], 2, size=2)
{r}.multivariate_hypergeometric(colors=k, nsample=3, method="count")
{r}.bit_generator.__class__.__name__
{r}.spawn(2)[1].random(2)
{r}.multivariate_normal(l, p, method="eigh")
""".strip().splitlines()
RANDOM = """
np.random.default_rng(3).random(2)
np.random.default_rng([1, 2]).integers(9, size=3)
np.random.default_rng(k).random()
np.random.default_rng(np.random.SeedSequence(5)).random()
np.random.Generator(np.random.PCG64(3)).random(2)
np.random.Generator(np.random.MT19937(3)).normal(size=2)
np.random.Generator(np.random.Philox(3)).random()
np.random.Generator(np.random.SFC64(3)).random()
np.random.Generator(np.random.PCG64DXSM(3)).random()
np.random.RandomState(3).rand(2)
np.random.RandomState(np.random.PCG64(3)).randint(5)
np.random.RandomState(k).rand()
isinstance(np.random.default_rng(), np.random.Generator)
np.random.BitGenerator.__name__
np.random.SeedSequence(3).generate_state(2)
np.random.SeedSequence(k.tolist()).spawn(2)[0].generate_state(1)
np.random.PCG64(3).random_raw(2)
np.random.get_bit_generator().__class__.__name__
np.random.set_bit_generator(np.random.MT19937(3))
np.random.ranf(2)
np.random.sample()
np.random.mtrand.RandomState(3).rand()
np.random.bit_generator.SeedSequence(2).entropy
np.random.default_rng(3) == np.random.default_rng(3)
pickle.loads(pickle.dumps(np.random.default_rng(3))).random()
pickle.loads(pickle.dumps(np.random.RandomState(3))).rand()
copy.deepcopy(np.random.default_rng(3)).random()
np.random.default_rng(3).bit_generator.state["bit_generator"]
np.random.default_rng(3).bit_generator.jumped().random_raw()
""".strip().splitlines()


# what NumPy's own classes hand out are NumPy's arrays and scalars, which mix with ours
FOREIGN = (
    r"np\.(ma|rec|poly1d|ctypeslib|memmap|polynomial\.[A-Z]\w+)\b|np\.random\.(SeedSequence|PCG64)|mmap_mode|fromhex|__array__\(|R\[0\]\["
)
# lines on which ours differs from NumPy 1.26, and why that is as it should be
DIFFERENCES = {
    "np.sinc(f)": "NumPy 1.26's `where` promotes Python numbers by value only; NumPy 2 gives float32, too",
    "np.where(m, f, 2.5)": "as above",
    "np.percentile(v, 30, overwrite_input=True)": "what is left in the operand is not defined; ours keeps its value",
    "np.nanpercentile(v, 30, overwrite_input=True)": "as above",
    "np.quantile(v, 0.3, overwrite_input=True)": "as above",
    "np.nanquantile(v, 0.3, overwrite_input=True)": "as above",
    "np.split([1, 2], 2)": "a list is taken where NumPy asks for an array",
    "np.take_along_axis(v, [0, 1], 0)": "as above",
    "np.putmask(a=v, mask=v > 0, values=v * 2)": "keywords are taken as NumPy documents them, where its C code takes positions only",
    "x.fill(value=v[0])": "as above",
    "np.testing.assert_warns(RuntimeWarning, lambda: np.mean([]))": "a warning about values comes when they are computed",
    "x.newbyteorder().dtype": "arrays of ours hold numbers in the machine's byte order",
    "x.sum().dot(2)": "scalars share the methods of arrays",
    "decimal.Decimal(v[0])": "C code that looks at the type alone sees no float; write Decimal(float(s))",
}

# lines that differ only with other operands than the usual ones (or that NumPy itself does not survive): variant -> line -> reason
_SHOWN = "the operands are views here, which NumPy's are not"
_BY_VALUE = "NumPy 1.26's `where` promotes Python numbers by value only; NumPy 2 keeps the array's dtype, too"
_PROMOTED = ("np.sinc(x)", "np.sinc(t)", "np.where(x > 0, x, 0.0)", "np.select([x > 1, x > 0], [x, y], 9.0)")
_LAST_BITS = "a compiled program sums single precision in another order than NumPy, which shows in the last bits"
_FIRST = "of two faults another is named first"
_OUT_SHAPE = "NumPy's `accumulate` writes a part of an `out` that has not the result's shape; ours refuses"
_AS_STRIDED = "the view would read beside the array's memory"
_NO_IDENTITY = "NumPy's loop of objects knows no value to start from where a mask is given; ours starts from that of truth values"
_REFERENCES = "NumPy wants the flag `refs_ok`; ours iterates over objects without"
_ADDRESSES = "the bytes are addresses of objects"
_NEVER_RETURNS = "NumPy does not return from it"
_WRITES_BESIDE = "NumPy writes beside the array; ours raises IndexError"
_NO_STRIDES = "strides reach nothing where there are no elements: NumPy has zeros, ours those of the shape"
_NOT_ASKED = "NumPy's loop of objects asks no operand where there are no elements; ours takes numbers and arrays only"
VARIANT_DIFFERENCES: dict[str, dict[str, str]] = {
    "views": {
        "x.T.base is x": _SHOWN,
        "x.base is None": _SHOWN,
        "x[1:].base is x": _SHOWN,
        "x.flags.c_contiguous, t.flags.f_contiguous, x.flags.owndata, x[1:].flags.owndata, x.flags.writeable, x.flags.aligned": _SHOWN,
        'x.flags["C"], x.flags.num, x.flags.forc, x.flags.fnc, t.flags.carray, t.flags.farray, x.flags.behaved': _SHOWN,
        "repr(x.flags)": _SHOWN,
        "v.resize((2, 2), refcheck=False)": _SHOWN,
        "v.resize(6, refcheck=False)": _SHOWN,
    },
    "every other NumPy's": {
        "np.asarray(x) is x": "an array of NumPy's becomes one of ours",
        'np.datetime64("2020-01-05") - D': "an operator between NumPy's own scalar and array is NumPy's own",
    },
    "Fortran order": {
        'np.einsum("...j,j", w, v)': "results of `einsum` lie in C order",
        'x == "a"': "nothing is compared: the result lies in C order",
        "x != None": "as above",
        "x.__array__(np.float32)": "the array's own order is kept, as `numpy.asarray(x, numpy.float32)` has to keep it",
    },
    "float32": {
        **dict.fromkeys(_PROMOTED, _BY_VALUE),
        "x.sum().tobytes()": _LAST_BITS,
        "x.sum().byteswap()": _LAST_BITS,
        "hash(x.sum()) == hash(float(x.sum()))": _LAST_BITS,
        "{x.sum(): 1}[x.sum()]": _LAST_BITS,
        'str(x.sum()), repr(x.sum()), format(x.sum(), ".3f"), f"{x.sum():.2e}", "%.2f" % x.sum()': _LAST_BITS,
    },
    "float16": dict.fromkeys(_PROMOTED, _BY_VALUE),
    "complex128": {
        "x.strides = (8, 24)": "elements would begin at imaginary parts, which no view of ours does",
    },
    "no dimensions": {
        **dict.fromkeys((f"np.{f}(x, axis=0, out={o})" for f in ("cumsum", "cumprod", "cumproduct") for o in ("of", "oi")), _OUT_SHAPE),
        "np.mean(x, where=i)": _FIRST,
        "np.matmul(x, y.T, out=oi[:, :3])": _FIRST,
        "x.compress([0, 1], 0, o[:1])": _FIRST,
        "np.average(x, axis=0, weights=[1, 2, 3], returned=True, keepdims=True)": "an IndexError of NumPy's own check; ours is ValueError",
        "np.lib.stride_tricks.as_strided(v, (2, 3), (v.itemsize, v.itemsize))": _AS_STRIDED,
        "np.fft.fftshift(x)": "NumPy's `roll` fails over no axes; ours has nothing to shift",
        "np.fft.ifftshift(v)": "as above",
    },
    "one element": {
        **dict.fromkeys(
            (
                f"np.{f}(x, {rest})"
                for f in ("cumsum", "cumprod", "cumproduct", "nancumsum", "nancumprod")
                for rest in ("axis=0, out=o", "0, None, o[::-1]")
            ),
            _OUT_SHAPE,
        ),
        **dict.fromkeys((f"np.{f}(x, axis=0, out={o})" for f in ("cumsum", "cumprod", "cumproduct") for o in ("of", "oi")), _OUT_SHAPE),
        "np.add.accumulate(x, axis=-1, out=o)": _OUT_SHAPE,
        "np.multiply.accumulate(x, axis=-1, out=o)": _OUT_SHAPE,
        "x.cumprod(axis=0, dtype=float, out=o)": _OUT_SHAPE,
        "np.mean(x, where=i)": _FIRST,
        "np.compress(m[0], x, 1, out=o[:, :2])": _FIRST,
        "np.take(x, k, axis=1, out=o)": _FIRST,
        "x.compress([0, 1], 0, o[:1])": _FIRST,
        "x.take(k, 1, o)": _FIRST,
        "np.lib.stride_tricks.as_strided(v, (2, 3), (v.itemsize, v.itemsize))": _AS_STRIDED,
        "x[1:3, [0, 1]]": "NumPy 1.26 warns that an index out of bounds will raise where the result has no elements; ours raises",
    },
    "no elements": {
        **dict.fromkeys((f"np.{f}(x, out=o)" for f in ("cumsum", "cumprod", "cumproduct", "nancumsum", "nancumprod")), _OUT_SHAPE),
        'np.put(v, [0, 9], 1, "wrap")': _NEVER_RETURNS,
        'np.put(v, [0, 9], [1, 2], mode="clip")': _WRITES_BESIDE,
        'x.put(k, 3, mode="clip")': _WRITES_BESIDE,
        "np.put(x, [0], 1j)": _FIRST,
        "np.add.at(v, k, v)": _FIRST,
        "np.mean(x, where=i)": _FIRST,
        "np.modf(x, o, oi)": _FIRST,
        'np.insert(v, 1, "a")': _FIRST,
        "np.average(x, 1)": "NumPy divides numbers of elements, zero by zero; ours gives the average of no rows",
        "np.average(x, axis=1, weights=[0, 0, 0, 0])": "weights count where there is something to weigh",
        "np.lib.stride_tricks.as_strided(v, (2, 3), (v.itemsize, v.itemsize))": _AS_STRIDED,
        "np.empty_like(prototype=t).strides": _NO_STRIDES,
        "x.strides": _NO_STRIDES,
        't.copy("K").strides': _NO_STRIDES,
        'x.copy(order="F").strides': _NO_STRIDES,
        "x < None": _NOT_ASKED,
        "x + {}": _NOT_ASKED,
        "x + None": _NOT_ASKED,
    },
    "object": {
        "np.gcd(n, x)": _NEVER_RETURNS,
        "np.lcm(n, x)": _NEVER_RETURNS,
        **dict.fromkeys(
            (
                f"np.{f}(x, {rest})"
                for f in ("any", "all")
                for rest in ("where=m", "axis=1, where=m[0]", "where=[True, False, True, True], axis=0, keepdims=True", "where=False")
            ),
            _NO_IDENTITY,
        ),
        "[float(a) for a in np.nditer(x)]": _REFERENCES,
        '[float(a) for a in np.nditer(t, order="C")]': _REFERENCES,
        "[(float(a), float(b)) for a, b in np.nditer([x, v])]": _REFERENCES,
        'np.nditer(x, flags=["multi_index"]).multi_index': _REFERENCES,
        "bytes(x.data)": _ADDRESSES,
        "x.tobytes()": _ADDRESSES,
        't.tobytes("F")': _ADDRESSES,
        'x.tobytes(order="A")': _ADDRESSES,
        "x.tostring()": _ADDRESSES,
        'x.__array_interface__["shape"], x.__array_interface__["typestr"]': "addresses of objects are not handed out",
    },
}
# parameters that are not as NumPy's `inspect.signature` says
SIGNATURES = {
    **dict.fromkeys(
        ("asfarray", "eye", "fromfunction", "tri"), "the default dtype is that of `config.default_dtype` (NumPy's own is float64)"
    ),
    **dict.fromkeys(("alltrue", "cumproduct", "product", "sometrue"), "NumPy says `(*args, **kwargs)`; ours names them"),
}
# attributes that ours does not have
REFUSED = {
    "ndarray": {
        "__array_finalize__": "a hook of subclasses of `numpy.ndarray`",
        "__array_prepare__": "a hook of subclasses of `numpy.ndarray`",
        "__array_struct__": "`__array_interface__` and the buffer protocol say the same",
        "__setstate__": "arrays are pickled through `__reduce__`",
    },
    "scalars": {
        "__array_struct__": "as for arrays",
        "__setstate__": "as for arrays",
        "__getnewargs__": "as for arrays",
        "__class_getitem__": "belongs to the classes, which are NumPy's own: `np.float64`",
        "__getformat__": "belongs to the classes",
        "__setformat__": "belongs to the classes",
        "fromhex": "belongs to the classes",
    },
}


def all_calls() -> list[str]:
    """Every line, batteries filled in."""
    lines: list[str] = []
    for names, text in BATTERIES:
        prefix = [line for line in text.strip().splitlines() if line]
        for name in names:
            lines += [line.replace("{f}", name) for line in prefix]
    lines += CALLS + METHODS
    for line in LEGACY + RANDOM_STATE_ONLY:
        lines += [line.replace("{r}", "np.random"), line.replace("{r}", "rs")]
    lines += [line.replace("{r}", "rng") for line in LEGACY + GENERATOR_ONLY]
    lines += RANDOM
    return list(dict.fromkeys(lines))


def names_used(lines: list[str]) -> set[str]:
    """Dotted names that lines look up, with methods as `.name`."""
    found: set[str] = set()
    for line in lines:
        for chain in re.findall(r"\bnp((?:\.\w+)+)", line):
            parts = chain.split(".")
            found.update(".".join(parts[:n]) for n in range(2, len(parts) + 1))
        found.update(re.findall(r"(\.\w+)", line))
    return found
