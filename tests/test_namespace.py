"""Every name of NumPy is there and does what NumPy does: value, dtype, shape, strides, scalar or array, view or copy."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import minpy_jit.numpy as mnp
from minpy_jit.numpy import namespace
from minpy_jit.numpy.array import Array, Scalar
from minpy_jit.trace import recorder
from minpy_jit.trace.handle import Handle


def public(module: Any) -> list[str]:
    return [name for name in dir(module) if not name.startswith("_")]


# -- names ---------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("module", ["", "linalg", "fft", "random"])
def test_every_public_name_is_there(module: str) -> None:
    theirs = getattr(numpy, module) if module else numpy
    ours = getattr(mnp, module) if module else mnp
    assert [n for n in public(theirs) if not hasattr(ours, n)] == []


def test_every_ndarray_attribute_is_there() -> None:
    array_interface = {"__array_finalize__", "__array_prepare__", "__array_struct__", "__getstate__", "__setstate__", "__class_getitem__"}
    assert [n for n in dir(numpy.ndarray) if not hasattr(Array, n) and n not in array_interface] == []


def test_every_scalar_attribute_is_there() -> None:
    # made by their classes only: numpy.float64.fromhex and the like
    # (__setformat__: Python 3.10's float has it)
    classmethods = {
        "fromhex",
        "__getformat__",
        "__setformat__",
        "__getnewargs__",
        "__array_struct__",
        "__setstate__",
        "__getstate__",
        "__class_getitem__",
    }
    # some kinds have more than others: looked up on a scalar of the kind
    for kind in (numpy.float64, numpy.int64, numpy.complex64, numpy.bool_):
        scalar = mnp.zeros((), kind) + kind(0)
        assert type(scalar) is Scalar and scalar.dtype == kind
        assert [n for n in dir(kind) if not hasattr(scalar, n) and n not in classmethods] == []


def test_kinds_of_names() -> None:
    assert namespace.kind_of("add") == namespace.kind_of("sum") == namespace.kind_of("reshape") == "native"
    assert namespace.kind_of("histogram") == "fallback"
    assert namespace.kind_of("float32") == namespace.kind_of("pi") == "passed"
    assert {namespace.kind_of(n) for n in public(numpy) if n not in ("random", "linalg", "fft")} == {"native", "fallback", "passed"}


def test_dtypes_and_constants_are_numpys_own() -> None:
    assert mnp.float32 is numpy.float32 and mnp.pi == numpy.pi and mnp.newaxis is None and mnp.dtype is numpy.dtype


def test_ndarray_is_our_array() -> None:
    assert mnp.ndarray is Array
    assert isinstance(mnp.ones(2), mnp.ndarray) and isinstance(numpy.ones(2), mnp.ndarray)
    assert not isinstance(1.0, mnp.ndarray) and not isinstance(mnp.ones(2).sum(), mnp.ndarray)
    assert issubclass(numpy.ndarray, mnp.ndarray) and not isinstance(numpy.ones(2), Handle)


def test_isinstance_of_scalars() -> None:
    scalar = mnp.ones(2).sum()
    assert isinstance(scalar, mnp.floating) and isinstance(scalar, float) and isinstance(scalar, mnp.generic)
    assert not isinstance(scalar, mnp.integer)
    assert isinstance(mnp.arange(3).sum(), mnp.integer)


def test_ufuncs_are_ufuncs() -> None:
    assert isinstance(mnp.add, mnp.ufunc) and isinstance(numpy.add, mnp.ufunc)
    for name in ("nin", "nout", "nargs", "ntypes", "types", "identity", "signature", "__name__"):
        assert getattr(mnp.add, name) == getattr(numpy.add, name)
        assert getattr(mnp.matmul, name) == getattr(numpy.matmul, name)
    assert mnp.abs is mnp.absolute and mnp.true_divide is mnp.divide


# -- one table of calls ----------------------------------------------------------------------------------------------------------------
CALLS = """
np.add(x, y)
np.add(x, 1)
np.add(1, x)
np.add(i, 2.5)
np.add(f, 2.5)
np.add(b, b)
np.add(2, 3)
np.sin(2.0)
np.exp([1, 2])
np.multiply([1, 2], x[0, :2])
np.maximum(x, 0.5)
np.power(i, 2)
np.power(2.0, x)
np.arctan2(x, y)
np.divmod(i, 3)
np.modf(x)
np.frexp(x)
np.floor_divide(i, 4)
np.logical_and(x > 0, y > 0)
np.isnan(x)
np.negative(f)
np.conj(c)
np.abs(c)
np.abs(-2)
np.hypot(x, y)
np.add(x, y, dtype=np.float32)
np.add(i, i, dtype=np.float64)
np.multiply(x, y, where=x > 0, out=np.ones((3, 4)))
np.add(x, y, out=np.zeros((3, 4)))
np.add(x, 1, np.zeros((3, 4)))
np.add(i, 1, casting='no')
np.add(t, t, order='C')
np.add.reduce(x)
np.add.reduce(x, axis=1)
np.add.reduce(x, axis=None)
np.add.reduce(x, axis=(0, 1), keepdims=True)
np.add.reduce(v)
np.multiply.reduce(x, axis=1)
np.maximum.reduce(x, axis=1)
np.minimum.reduce(x)
np.logical_or.reduce(x > 0)
np.subtract.reduce(x)
np.add.accumulate(x, axis=1)
np.multiply.accumulate(v)
np.maximum.accumulate(x)
np.add.outer(v, v)
np.multiply.outer(x, v)
np.add.reduceat(v, [0, 2, 3])
np.sum(x)
np.sum(x, axis=0)
np.sum(x, axis=-1)
np.sum(x, axis=(0, 1))
np.sum(x, axis=(1,), keepdims=True)
np.sum(x, keepdims=True)
np.sum(i)
np.sum(b)
np.sum(f)
np.sum(f, dtype=np.float64)
np.sum(x, initial=5.0)
np.sum(x, where=x > 0)
np.sum(x, axis=1, out=np.zeros(3))
np.sum([1, 2, 3])
np.sum(3.0)
np.sum([x, y], axis=0)
np.prod(x, axis=1)
np.prod(i)
np.prod(x, where=x > 0, initial=2.0)
np.max(x)
np.max(x, axis=1)
np.max(x, axis=0, keepdims=True)
np.max(x, initial=10.0)
np.max(x, axis=1, where=x > 0, initial=-1.0)
np.amax(x)
np.amin(x, axis=1)
np.min(i)
np.mean(x)
np.mean(x, axis=1)
np.mean(i)
np.mean(i, axis=0)
np.mean(f)
np.mean(x, where=x > 0)
np.mean(x, axis=(0, 1), keepdims=True)
np.var(x)
np.var(x, axis=1, ddof=1)
np.std(x)
np.std(i, axis=0)
np.std(x, axis=1, keepdims=True)
np.any(x > 0)
np.any(x > 0, axis=1)
np.all(x)
np.all(x, axis=0, keepdims=True)
np.argmax(x)
np.argmax(x, axis=1)
np.argmin(x, axis=0)
np.argmin(x, axis=1, keepdims=True)
np.cumsum(x)
np.cumsum(x, axis=1)
np.cumsum(i)
np.cumprod(x, axis=0)
np.ptp(x)
np.ptp(x, axis=1)
np.median(x)
np.median(x, axis=1)
np.median(w, axis=(0, 2), keepdims=True)
np.median(i, axis=0)
np.median(f)
np.median(n, axis=1)
np.percentile(x, 30)
np.percentile(i, [25, 75], axis=1)
np.percentile(n, 50, axis=0)
np.quantile(x, 0.3, axis=(0, 1), keepdims=True)
np.quantile(x, [[0.0, 1.0]], axis=0)
np.quantile(x, 0.4, method='nearest')
np.quantile(f, 0.4)
np.quantile(x, [0.1, 0.5], axis=1)
np.average(x)
np.average(x, axis=1, weights=[1, 2, 3, 4])
np.average(x, weights=np.abs(y), returned=True)
np.count_nonzero(x > 0, axis=1)
np.nansum(n)
np.nanmean(n, axis=0)
np.nanmax(n)
np.nanstd(n)
np.histogram(v, bins=3)
np.bincount([0, 1, 1, 2])
np.cov(x)
np.corrcoef(x)
np.reshape(x, 12)
np.reshape(x, (2, -1))
np.reshape(x, (4, 3), order='F')
np.reshape(t, 12)
np.reshape(t, (12,), order='F')
np.reshape(t, (2, 6), order='A')
np.reshape(t, (2, 2, 3))
np.reshape(x[:, ::2], (6,))
np.reshape(x[:, ::2], (3, 2, 1))
np.ravel(x)
np.ravel(t)
np.ravel(t, order='K')
np.ravel(t, order='F')
np.ravel(x, order='F')
np.ravel(x[:, ::2], order='K')
np.transpose(x)
np.transpose(w, (2, 0, 1))
np.transpose(w, (0, -1, 1))
np.swapaxes(w, 0, -1)
np.moveaxis(w, 0, -1)
np.moveaxis(w, [0, 1], [-1, 0])
np.rollaxis(w, 2)
np.squeeze(x[:1])
np.squeeze(x[None, :, :1], axis=0)
np.expand_dims(x, 1)
np.expand_dims(x, (0, -1))
np.expand_dims(t, 1)
np.atleast_1d(3.0)
np.atleast_2d(v)
np.atleast_3d(x)
np.atleast_1d(x, v)
np.broadcast_to(v, (3, 4))
np.broadcast_arrays(x, v)
np.broadcast_shapes((3, 1), (4,))
np.diagonal(x)
np.diagonal(x, 1)
np.diagonal(w, 0, 1, 2)
np.diag(v)
np.diag(v, -1)
np.diag(x)
np.diagflat([[1, 2], [3, 4]])
np.tril(x)
np.triu(x, 1)
np.tri(3, 4, 1)
np.trace(x)
np.trace(w, axis1=1, axis2=2)
np.flip(x)
np.flip(x, 1)
np.flip(w, (0, 2))
np.fliplr(x)
np.flipud(x)
np.rot90(x)
np.rot90(x, 2)
np.rot90(x, -1)
np.roll(x, 2)
np.roll(x, 1, axis=1)
np.roll(x, (1, -1), axis=(0, 1))
np.concatenate([x, y])
np.concatenate((x, y), axis=1)
np.concatenate([x, y], axis=None)
np.concatenate([x, i])
np.concatenate([i, f])
np.concatenate([x, y], dtype=np.float32)
np.concatenate([x, [[1, 2, 3, 4]]])
np.concatenate(x)
np.concatenate([x, y], out=np.zeros((6, 4)))
np.concatenate([t, t])
np.stack([x, y])
np.stack([x, y], axis=-1)
np.stack(x)
np.stack([x[0, 0], x[0, 1]])
np.vstack([v, v])
np.vstack([x, v])
np.hstack([v, v])
np.hstack([x, y])
np.dstack([x, y])
np.column_stack([v, v])
np.block([[x, y], [y, x]])
np.block([v, v])
np.append(x, y)
np.append(x, y, axis=0)
np.split(x, 2, axis=1)
np.split(v, [1, 3])
np.array_split(v, 3)
np.hsplit(x, 2)
np.vsplit(x, 3)
np.dsplit(w, 4)
np.tile(v, 2)
np.tile(x, (2, 1, 3))
np.repeat(v, 2)
np.repeat(x, 2, axis=1)
np.repeat(v, [1, 0, 2, 1])
np.delete(v, 1)
np.delete(x, [0, 2], axis=1)
np.insert(v, 1, 9.0)
np.insert(v, [1, 3], [8.0, 9.0])
np.insert(x, 1, 9.0, axis=1)
np.resize(v, (2, 3))
np.pad(x, 1)
np.pad(x, ((1, 0), (0, 2)), constant_values=7.0)
np.pad(x, 1, mode='edge')
np.pad(v, 2, mode='reflect')
np.pad(v, 2, mode='linear_ramp')
np.where(x > 0, x, 0.0)
np.where(x > 0, x, y)
np.where(x > 0, 1, 0)
np.where(x > 0)
np.where(True, 1.0, 2.0)
np.select([x > 1, x > 0], [x, y], 9.0)
np.piecewise(v, [v < 0, v >= 0], [lambda z: -z, lambda z: z * z])
np.piecewise(v, [v < 0], [-1.0, 1.0])
np.choose([0, 1, 0, 1], [v, v * 2])
np.compress([True, False, True], x, axis=0)
np.extract(x > 0, x)
np.take(x, [0, 5])
np.take(x, [0, 2], axis=1)
np.take(x, 1, axis=0)
np.take(v, [[0, 9], [1, 2]], mode='clip')
np.take(v, [0, 9], mode='wrap')
np.take_along_axis(x, np.argsort(x, axis=1), axis=1)
np.clip(x, 0, 1)
np.clip(x, None, 0.5)
np.clip(x, y, None)
np.clip(i, 1, 3)
np.round(x, 2)
np.around(i)
np.fix(x)
np.rint(x)
np.sort(x)
np.sort(x, axis=0)
np.sort(x, axis=None)
np.argsort(x)
np.argsort(x, axis=0, kind='stable')
np.partition(v, 1)
np.argpartition(v, 1)
np.searchsorted(np.sort(v), [0.0, 1.0])
np.searchsorted(np.sort(v), 0.5, side='right')
np.lexsort((v, v))
np.unique(i)
np.unique(i, return_counts=True)
np.nonzero(x > 0)
np.argwhere(x > 0)
np.flatnonzero(x > 0)
np.count_nonzero(x)
np.isin(i, [1, 2])
np.intersect1d([1, 2, 3], [2, 3, 4])
np.trim_zeros(np.array([0.0, 1.0, 0.0]))
np.dot(x, y.T)
np.dot(v, v)
np.dot(x, v)
np.dot(2, x)
np.vdot(v, v)
np.inner(x, y)
np.outer(v, v)
np.matmul(x, y.T)
np.matmul(w, np.swapaxes(w, 1, 2))
np.tensordot(x, y, axes=2)
np.tensordot(x, y, axes=([1], [1]))
np.tensordot(x, y, axes=(0, 0))
np.einsum('ij,kj->ik', x, y)
np.einsum('ij->j', x)
np.einsum('ii', x[:3, :3])
np.einsum(x, [0, 1], y, [0, 1], [0])
np.kron(x, v)
np.kron(v, [1, 2])
np.cross(x[:, :3], y[:, :3])
np.cross(x[:, :2], y[:, :2])
np.cross([1, 0, 0], [0, 1, 0])
np.convolve(v, [1, 2])
np.correlate(v, v)
np.diff(x)
np.diff(x, n=2, axis=1)
np.diff(v, prepend=0.0)
np.diff(x > 0)
np.ediff1d(v)
np.ediff1d(v, to_begin=0.0)
np.gradient(v)
np.trapz(x)
np.trapz(v, [0, 1, 3, 4])
np.interp([0.5, 1.5], [0, 1, 2], [1, 3, 5])
np.polyval([1, 2, 3], v)
np.polyfit([0, 1, 2], [1, 3, 5], 1)
np.vander([1, 2, 3])
np.meshgrid(v, [1, 2])
np.meshgrid(v, [1, 2], indexing='ij', sparse=True)
np.indices((2, 3))
np.ix_([0, 1], [2, 3])
np.mgrid[0:2, 0:3]
np.ogrid[0:2, 0:3]
np.r_[v, 1, 2]
np.r_[0:3, v]
np.c_[v, v]
np.r_['0,2', v, v]
np.unravel_index([5, 7], (3, 4))
np.ravel_multi_index(([1, 2], [0, 3]), (3, 4))
np.real(c)
np.imag(c)
np.real(x)
np.imag(x)
np.angle(c)
np.angle(x)
np.isreal(c)
np.iscomplex(c)
np.isrealobj(c)
np.iscomplexobj(c)
np.nan_to_num(n)
np.nan_to_num(n, nan=1.0)
np.isposinf(n)
np.isneginf(n)
np.sinc(x)
np.i0(v)
np.isclose(x, y)
np.isclose(x, x + 1e-12)
np.isclose(n, n, equal_nan=True)
np.allclose(x, x)
np.allclose(i, i + 1)
np.array_equal(x, x)
np.array_equal(x, y)
np.array_equal(n, n, equal_nan=True)
np.array_equiv(v, [v, v])
np.apply_along_axis(lambda r: r * 2, 1, x)
np.apply_along_axis(lambda r: np.sum(r), 0, x)
np.apply_over_axes(np.sum, w, [0, 2])
np.vectorize(lambda p, q: p + q)(v, 2.0)
np.fromfunction(lambda p, q: p + q, (2, 3))
np.frompyfunc(lambda p: p, 1, 1)(v).astype(float)
np.zeros(3)
np.zeros((2, 3), dtype=int)
np.zeros((2, 3), order='F')
np.ones((2, 0))
np.ones(2, dtype=bool)
np.empty((2, 3)).shape
np.full((2, 3), 7)
np.full(3, 1.5)
np.full((2, 4), v)
np.full((2, 2), 3, dtype=np.float32)
np.zeros_like(x)
np.zeros_like(i)
np.zeros_like(t)
np.ones_like(x, dtype=int)
np.ones_like(x, shape=(2,))
np.full_like(i, 3)
np.full_like(x, 2, dtype=np.float32)
np.empty_like(t).strides
np.zeros_like(w.transpose(1, 2, 0)).strides
np.arange(5)
np.arange(2, 8, 3)
np.arange(0.0, 1.0, 0.25)
np.arange(3, dtype=np.float32)
np.linspace(0, 1, 5)
np.linspace(0, 1, 5, endpoint=False)
np.linspace(0, 1, 5, retstep=True)
np.linspace(v[0], v[1], 4)
np.linspace(v, v + 1, 3)
np.linspace(v, v + 1, 3, axis=-1)
np.logspace(0, 2, 3)
np.geomspace(1, 100, 3)
np.eye(3)
np.eye(2, 3, 1, dtype=int)
np.identity(2)
np.array(x)
np.array(x, dtype=np.float32)
np.array(x, ndmin=3)
np.array(x, order='F')
np.array([x, y])
np.array([[x[0, 0], 1.0], [2, x[1, 1]]])
np.array([1, 2.5])
np.array([v, [1, 2, 3, 4]])
np.array(5)
np.array(x.sum())
np.array([x.sum(), 2])
np.array([])
np.array([[1, 2], [3, 4]], dtype=np.int8)
np.asarray(x)
np.asarray(t)
np.asarray(x, dtype=int)
np.asarray([1, 2])
np.asfortranarray(x)
np.ascontiguousarray(t)
np.asfarray(i)
np.copy(t)
np.copy(x)
np.require(t, requirements='C')
np.shape(x)
np.shape([[1, 2]])
np.ndim(x)
np.size(x)
np.size(x, 1)
np.result_type(x, i)
np.result_type(f, 2.0)
np.result_type(i, 2.0)
np.can_cast(x, np.float32)
np.can_cast(np.int8, np.int16)
np.min_scalar_type(x)
np.common_type(f, x)
np.isscalar(x.sum())
np.isscalar(x)
np.iterable(x)
np.isfortran(t)
np.shares_memory(x, x.T)
np.may_share_memory(x, y)
np.issubdtype(x.dtype, np.floating)
np.array2string(v)
np.array_repr(v)
np.bartlett(4)
np.char.upper(np.array(['a', 'b']))
np.lib.stride_tricks.sliding_window_view(v, 2)
np.emath.sqrt(-1.0)
np.packbits([1, 0, 1])
np.digitize(v, [0.0, 1.0])
np.unwrap(v)
np.real_if_close(c)
np.tril_indices(3)
np.diag_indices(2)
np.poly([1, 2])
np.polynomial.polynomial.polyval(2.0, [1, 2, 3])
x.sum()
x.sum(0)
x.sum(axis=1, keepdims=True)
x.mean(1)
x.var()
x.std(axis=0)
x.max()
x.min(1)
x.argmax(1)
x.prod(0)
x.any()
x.all(axis=1)
x.cumsum(0)
x.reshape(4, 3)
x.reshape((4, 3))
x.reshape(-1)
x.reshape(2, 6, order='F')
x.transpose()
w.transpose(1, 0, 2)
w.transpose((1, 0, 2))
x.T
x.T.T
x.flatten()
t.flatten()
t.flatten('F')
t.flatten('K')
x.ravel()
x.copy()
t.copy()
t.copy('K')
t.copy('F')
x.squeeze()
x.swapaxes(0, 1)
x.take([0, 1])
x.clip(0, 1)
x.clip(min=0)
x.round(1)
x.repeat(2)
x.dot(v)
x.diagonal()
x.trace()
x.ptp()
x.nonzero()
x.astype(int)
x.astype(np.float64)
x.astype('float32', order='F')
t.astype(np.float32)
x.conj()
x.real
x.imag
c.real
c.imag
c.conjugate()
x.view()
x.view(np.int64)
f.view(np.int32)
x.searchsorted
x.size
x.ndim
x.nbytes
x.itemsize
x.strides
t.strides
x[:, ::2].strides
x.flags.c_contiguous
t.flags['F_CONTIGUOUS']
t.flags.forc
np.broadcast_to(v, (3, 4)).flags.writeable
x.flat[5]
x.flat[2:5]
list(v.flat)
len(x.flat)
x.tolist()
x.item(3)
x.tobytes()
t.tobytes()
x.byteswap()
v.argsort()
v.argpartition(1)
v.compress([1, 0, 1, 0])
x.sum().real
x.sum().dtype
x.sum().shape
x.sum().item()
x.sum().astype(int)
x.sum().reshape(1)
x.sum().T
x.sum().is_integer()
x.sum().sum()
round(x.sum(), 2)
x.sum().hex()
i.sum().bit_count()
len(x)
x + v
x + v[:, None][:3]
x @ y.T
x @ v
x % 2
x // 0.5
-x
abs(x)
x ** 2
x ** 0.5
2 ** i
x > 0
x == y
x != 0
~b
b & b
i | 1
i << 1
divmod(i, 2)
x[1]
x[-1, 0]
x[..., 0]
x[1:, ::-1]
x[None]
x[[0, 2]]
x[:, [0, 1]]
x[x > 0]
x[np.array([0, 1]), np.array([1, 2])]
x[1, ...]
u + 1
u + u
u.sum()
np.bitwise_count(u) if hasattr(np, 'bitwise_count') else 0
z + 1
z.sum()
np.sin(z)
np.reshape(z, (1, 1))
e.sum()
e.sum(0)
e.reshape(0)
np.concatenate([e, e])
np.linalg.norm(x)
np.linalg.norm(v)
np.linalg.norm(v, 1)
np.linalg.norm(v, np.inf)
np.linalg.norm(x, axis=1)
np.linalg.norm(x, 'fro')
np.linalg.norm(x, 2)
np.linalg.norm(x, ord=1, axis=(0, 1))
np.linalg.norm(x, axis=1, keepdims=True)
np.linalg.inv(p)
np.linalg.det(p)
np.linalg.slogdet(p)
np.linalg.solve(p, v[:3])
np.linalg.solve(p, x)
np.linalg.cholesky(p)
np.linalg.eigh(p)
np.linalg.eigvalsh(p)
np.linalg.svd(x, compute_uv=False)
np.linalg.qr(p)
np.linalg.matrix_power(p, 3)
np.linalg.matrix_power(p, 0)
np.linalg.matrix_power(p, -2)
np.linalg.multi_dot([x, y.T, x])
np.linalg.multi_dot([v, y.T, x[:, 0]])
np.linalg.matrix_rank(p)
np.linalg.pinv(x)
np.linalg.lstsq(x.T, v, rcond=None)
np.linalg.cond(p)
np.fft.fft(v)
np.fft.rfft(v)
np.fft.ifft(np.fft.fft(v))
np.fft.fft2(x)
np.fft.fftshift(x)
np.fft.ifftshift(v)
np.fft.fftfreq(4, 0.1)
""".strip().splitlines()


def operands(np: Any) -> dict[str, Any]:
    rng = numpy.random.RandomState(3)
    x, y = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    n = x.copy()
    n[0, 1], n[1, 2], n[2, 0] = numpy.nan, numpy.inf, -numpy.inf
    given = {
        "x": x,
        "y": y,
        "v": y[1].copy(),
        "w": rng.standard_normal((2, 3, 4)),
        "i": rng.randint(0, 5, (3, 4)),
        "f": x.astype(numpy.float32),
        "b": x > 0,
        "c": x + 1j * y,
        "n": n,
        "u": rng.randint(0, 200, (3, 4)).astype(numpy.uint8),
        "z": numpy.array(1.5),
        "e": numpy.zeros((0, 3)),
        "p": x @ x.T + numpy.eye(3),
    }
    made = {k: np.array(a) for k, a in given.items()}
    made["t"] = made["x"].T
    return made


def check_same(ours: Any, theirs: Any) -> None:
    """Equal value, dtype, shape, strides and kind; last digits of floats may differ."""
    if isinstance(theirs, (list, tuple)):
        assert (len(ours) == len(theirs) and isinstance(ours, type(theirs))) or type(ours).__name__ == type(theirs).__name__
        for o, t in zip(ours, theirs, strict=True):
            check_same(o, t)
        return
    if isinstance(theirs, numpy.ndarray):
        assert type(ours) is Array, f"{type(ours)} instead of an array"
        assert ours.strides == theirs.strides or theirs.size <= 1 or 1 in theirs.shape or 0 in theirs.shape
    elif isinstance(theirs, numpy.generic):
        assert type(ours) is Scalar, f"{type(ours)} instead of a scalar"
    else:
        if callable(theirs):
            assert callable(ours)
        elif type(theirs) is int and type(ours) is Scalar:
            # count_nonzero stays lazy
            assert int(ours) == theirs
        else:
            assert type(ours) is type(theirs) and ours == theirs
        return
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    value = ours.asnumpy()
    assert value.dtype == theirs.dtype and value.shape == theirs.shape
    if theirs.dtype.kind in "fc":
        precise = 3e-6 if theirs.dtype in (numpy.float32, numpy.complex64, numpy.float16) else 1e-12
        numpy.testing.assert_allclose(value, theirs, rtol=precise, atol=precise)
    else:
        numpy.testing.assert_array_equal(value, theirs)


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning", "ignore::numpy.ComplexWarning")
@pytest.mark.parametrize("call", CALLS)
def test_call_is_numpys(call: str) -> None:
    theirs_given, ours_given = operands(numpy), operands(mnp)
    theirs = eval(call, {"np": numpy, **theirs_given})
    ours = eval(call, {"np": mnp, **ours_given})
    check_same(ours, theirs)
    for name in ("x", "t", "v"):
        if isinstance(theirs, numpy.ndarray) and " view" not in call and ".view(np." not in call and "sliding" not in call:
            assert mnp.shares_memory(ours, ours_given[name]) == numpy.shares_memory(theirs, theirs_given[name]), f"view of {name} or copy"


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning", "ignore::numpy.ComplexWarning")
@pytest.mark.parametrize("mode", ["eager", "numpy"])
def test_every_call_in_the_immediate_modes(mode: str) -> None:
    active = recorder.current()
    before = active.mode
    active.set_mode(mode)
    try:
        for call in CALLS:
            check_same(eval(call, {"np": mnp, **operands(mnp)}), eval(call, {"np": numpy, **operands(numpy)}))
    finally:
        active.set_mode(before)
