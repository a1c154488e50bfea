"""The one module that imports mxnet: its fixes and settings, and the handful of C calls that we use.

Everything else in `exec/` speaks of handles, symbols and executors through the functions here. MXNet loads at the first call that needs
it; the user's own MXNet state (engine, numpy semantics, environment) is left as it was.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import importlib.util
import math
import mmap
import os
import re
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

import numpy as np

from ..config import config
from ..errors import TransferError
from ..trace.context import CPU, Context, DeviceValue, set_gpu_counter, set_mxnet_context, set_placer
from ..trace.stats import stats

_load_lock = threading.RLock()
_lib: Any = None
_engine = "not loaded"
# whether this process was forked from one that had loaded MXNet: its thread pools hang here, so NumPy runs everything
forked = False


def _after_fork() -> None:
    global forked
    forked = forked or _lib is not None or _hooked
    _load_lock.release()


os.register_at_fork(before=_load_lock.acquire, after_in_parent=_load_lock.release, after_in_child=_after_fork)


def is_too_late() -> bool:
    """Whether MXNet is not loaded and cannot be any more: the interpreter is shutting down (an atexit handler observes)."""
    return _lib is None and not threading.main_thread().is_alive()


# mshadow type flags (include/mshadow/base.h) and DLPack codes (dlpack.h) of the dtypes that MXNet has
MX_DTYPES: dict[int, np.dtype] = {
    0: np.dtype("float32"),
    1: np.dtype("float64"),
    2: np.dtype("float16"),
    3: np.dtype("uint8"),
    4: np.dtype("int32"),
    5: np.dtype("int8"),
    6: np.dtype("int64"),
    7: np.dtype("bool"),
}
_DLPACK_CODES = {"f": 2, "i": 0, "u": 1, "b": 1}
TYPE_FLAGS = {dtype: flag for flag, dtype in MX_DTYPES.items()}
# include/mxnet/base.h: Context::DeviceType
_DEVICE_TYPES = {"cpu": 1, "gpu": 2}
# elements of an array: MXNet is built without INT64_TENSOR_SIZE
LARGEST = 2**31 - 1
# how the host's allocator, CUDA's, cuBLAS and cuDNN say it
_OUT_OF_MEMORY = ("Failed to allocate", "out of memory", "bad_alloc", "ALLOC_FAILED")


class MXNetError(RuntimeError):
    """An error reported by MXNet's C library."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MXNet's INFO lines (written by C++ to file descriptor 2) from the user; anything else that was written is passed on."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as caught:
        keep = os.dup(2)
        try:
            os.dup2(caught.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(keep, 2)
        finally:
            os.close(keep)
        caught.seek(0)
        rest = b"".join(line for line in caught if b"src/" not in line and b"[WARNING]" not in line)
        if rest:
            os.write(2, rest)


class _NumPyProxy(ModuleType):
    """`numpy` as mxnet 1.9.1 expects it: with `numpy.bool`, which NumPy 1.24 removed and which other libraries probe for."""

    bool = np.bool_

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


@contextmanager
def _numpy_of_mxnet() -> Iterator[None]:
    """NumPy as mxnet 1.9.1 expects it, while it is imported; then it keeps a proxy."""
    had_bool = "bool" in vars(np)
    if not had_bool:
        np.bool = np.bool_  # type: ignore[attr-defined]
    try:
        with warnings.catch_warnings():
            # mxnet touches what NumPy deprecated: not the user's business, nor an error under -W error
            warnings.simplefilter("ignore")
            yield
    finally:
        if not had_bool:
            del np.bool  # type: ignore[attr-defined]
    if not had_bool:
        proxy = _NumPyProxy("numpy")
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] == "mxnet" and module is not None:
                for attribute, value in list(vars(module).items()):
                    if value is np:
                        setattr(module, attribute, proxy)


# whether mxnet was imported after us, and the thread in which `lib` asks for it
_hooked = False
_asking: int | None = None


class _Loader(SourceFileLoader):
    """Runs mxnet's own code with everything in place that it needs: `import mxnet` by itself fails on NumPy 1.24 and later."""

    def exec_module(self, module: ModuleType) -> None:
        global _engine, _hooked, _threads_kept
        _hooked = True
        _load_blas()
        with _quiet():
            # here already: a fork makes the engine, and mxnet's imports start a process (`uname`; where Python cannot vfork, that is one)
            with _environment(_choose_engine(0) | _wait_briefly()), _numpy_of_mxnet():
                super().exec_module(module)
            settings = _choose_engine(_count_gpus(module.base._LIB))
            # the engine is made at its first use: make it while the environment says which
            with _environment(settings):
                module.base._LIB.MXNDArrayWaitAll()
        _engine = settings.get("MXNET_ENGINE_TYPE", os.environ.get("MXNET_ENGINE_TYPE", "ThreadedEnginePerDevice"))
        # a user's import: see `set_threads`
        _threads_kept = _threads_kept or _asking != threading.get_ident()


class _Finder(MetaPathFinder):
    """Has mxnet loaded by `_Loader`, whoever imports it."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "mxnet":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


sys.meta_path.insert(0, _Finder())

_blas: Any = None


def _load_blas() -> None:
    """MXNet's own OpenBLAS, loaded a moment before MXNet does.

    It does not know recent CPUs and would run its SSE3 kernels (46 GFLOP/s where Haswell's give 117). Only while this one library
    loads does the environment say so: NumPy's and SciPy's own copies choose for themselves.
    """
    global _blas
    spec = importlib.util.find_spec("mxnet")
    where = spec.submodule_search_locations[0] if spec is not None and spec.submodule_search_locations else ""
    path = os.path.join(where, "libopenblas.so.0")
    if not os.path.exists(path):
        return
    settings = _wait_briefly()
    if "OPENBLAS_CORETYPE" not in os.environ and _has_avx2():
        settings["OPENBLAS_CORETYPE"] = "Haswell"
    with _environment(settings):
        _blas = ctypes.CDLL(path)


def _has_avx2() -> bool:
    try:
        with open("/proc/cpuinfo") as file:
            flags = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return False
    return " avx2" in flags and " fma" in flags


_threads_now = 0
_threads_kept = False


def set_threads(count: int) -> None:
    """How many threads MXNet's loops and products may use from here on (small work is slower on two than on one).

    Not for work with operators that have oneDNN primitives of their own (convolution, pooling): MXNet keeps those by shape, with memory
    for the threads of the moment in which they were made, and run with more they write behind it.
    """
    global _threads_now
    if count != _threads_now and not _threads_kept:
        _threads_now = count
        lib().MXSetNumOMPThreads(count)
        if _blas is not None:
            _blas.openblas_set_num_threads(count)


def keep_threads() -> None:
    """All threads from here on, whatever `set_threads` says: somebody calls MXNet beside us, and makes such primitives, too."""
    global _threads_kept
    set_threads(threads())
    _threads_kept = True


def _choose_engine(gpus: int) -> dict[str, str]:
    """Environment in which the engine is made: NaiveEngine runs executors in the caller's thread, so an observation costs 3 µs instead
    of 80. A GPU works while the caller goes on, which takes the threaded engine."""
    wanted = config.engine
    if wanted == "threaded" or "MXNET_ENGINE_TYPE" in os.environ or (wanted == "auto" and gpus > 0):
        return {}
    return {"MXNET_ENGINE_TYPE": "NaiveEngine"}


def _wait_briefly() -> dict[str, str]:
    """Environment in which OpenMP's library is loaded: its threads spin for 1 ms where they wait, not for 7, before they sleep. Where other
    programs keep the cores busy they would be in their own way (a training step of an RNN takes 29 ms instead of 50)."""
    if "OMP_WAIT_POLICY" in os.environ or "GOMP_SPINCOUNT" in os.environ:
        return {}
    return {"GOMP_SPINCOUNT": "40000"}


@contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def lib() -> Any:
    """MXNet's C library; loads mxnet at the first call."""
    global _lib, _engine, _threads_kept, _asking
    if _lib is not None:
        return _lib
    with _load_lock:
        if _lib is not None:
            return _lib
        if "mxnet" in sys.modules and not _hooked:
            _engine = "the user's (mxnet was loaded first)"
            mxnet = sys.modules["mxnet"]
            # with as many threads as it has had so far: see `set_threads`
            _threads_kept = True
        else:
            _asking = threading.get_ident()
            try:
                mxnet = importlib.import_module("mxnet")
            finally:
                _asking = None
        library = mxnet.base._LIB
        for name in ("MXGetLastError",):
            getattr(library, name).restype = ctypes.c_char_p
        _lib = library
    # its import leaves exceptions in cycles, whose frames reach out to ours, and these hold the values that are being observed
    gc.collect()
    return _lib


def load_operators(path: str) -> None:
    """Make the operators of an extension library known to MXNet."""
    with _quiet():
        package().library.load(path, verbose=False)


def package() -> Any:
    """MXNet's own Python package, loaded the way this library needs it. (Who runs operators with it calls `keep_threads`.)"""
    lib()
    return sys.modules["mxnet"]


def ndarray(value: np.ndarray) -> Any:
    """A copy as an `mxnet.nd.NDArray` of the same dtype; of shape (1,) where NumPy's has no axis."""
    value = np.ascontiguousarray(value)
    made = package().nd.empty(value.shape, dtype=value.dtype)
    made[:] = value
    return made


def version() -> str:
    """Version of the installed mxnet (without loading it)."""
    from .._requirements import installed_mxnet

    return " beside ".join(version for _, version in installed_mxnet())


def threads() -> int:
    """OpenMP threads that MXNet's operators use."""
    return config.threads or int(os.environ.get("OMP_NUM_THREADS", "0") or 0) or len(os.sched_getaffinity(0))


def engine() -> str:
    """Name of the engine that MXNet runs on."""
    return _engine


def synchronous() -> bool:
    """Whether the engine runs work where the caller is, so that results exist when a call returns."""
    return _engine == "NaiveEngine"


def check(status: int) -> None:
    """Raise what MXNet reported."""
    if status != 0:
        text = _lib.MXGetLastError().decode(errors="replace").strip()
        # not an MXNetError: an operator that MXNet refuses runs in NumPy, which is no way to more memory
        if any(sign in text for sign in _OUT_OF_MEMORY):
            raise MemoryError(f"MXNet found no memory; it says: {_gist(text)}; hold fewer arrays, or use smaller batches")
        raise MXNetError(_gist(text))


def _gist(text: str) -> str:
    return next((line for line in text.splitlines() if "Error" in line or "Check failed" in line), text[:400])


def check_copy(status: int, what: str) -> None:
    """Raise what MXNet reported about a copy (or about the work before it, which devices tell of when they are waited for)."""
    try:
        check(status)
    except MXNetError as error:
        raise TransferError(f"[copy] {what} failed; MXNet says: {error}; a device that failed once may take a new process") from None


def _count_gpus(library: Any) -> int:
    count = ctypes.c_int(0)
    # a CUDA build on a machine without a driver reports an error
    return count.value if library.MXGetGPUCount(ctypes.byref(count)) == 0 else 0


def count_gpus() -> int:
    """GPUs that the installed mxnet can use."""
    return _count_gpus(lib())


set_gpu_counter(count_gpus)
set_mxnet_context(lambda device_type, device_id: package().Context(device_type, device_id))


def wait_all() -> None:
    """Return when everything that MXNet was asked for is done."""
    if _lib is not None and not forked:
        check(_lib.MXNDArrayWaitAll())


@contextmanager
def np_shape() -> Iterator[None]:
    """NumPy shape semantics (0-d and empty arrays exist) on this thread, for the duration."""
    library = lib()
    before = ctypes.c_int(-1)
    try:
        # inside, so that Ctrl-C right after it finds the way back
        check(library.MXSetIsNumpyShape(1, ctypes.byref(before)))
        yield
    finally:
        if before.value >= 0:
            library.MXSetIsNumpyShape(before.value, ctypes.byref(ctypes.c_int(0)))


# -- arrays -----------------------------------------------------------------------------------------------------------------------------
class _DLTensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int),
        ("device_id", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _DLManagedTensor(ctypes.Structure):
    _fields_ = (("tensor", _DLTensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


class NDArray:
    """An MXNet NDArray over the memory of a C-contiguous NumPy array, without a copy. Keeps that array alive."""

    __slots__ = ("_managed", "array", "handle")

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        shape = (ctypes.c_int64 * max(array.ndim, 1))(*array.shape)
        managed = _DLManagedTensor()
        managed.tensor = _DLTensor(
            array.ctypes.data, 1, 0, array.ndim, _DLPACK_CODES[array.dtype.kind], array.dtype.itemsize * 8, 1, shape, None, 0
        )
        self._managed = (managed, shape)
        self.handle = ctypes.c_void_p()
        if array.dtype == np.bool_:
            # DLPack of this age has no bool: MXNet would read uint8; kDLBool's later code is refused, so bool arguments are copied in
            self.handle = _empty(array.shape, array.dtype)
            self.array = host_view(self.handle, array.shape, array.dtype, self)
            self.array[...] = array
            return
        check(lib().MXNDArrayFromDLPackEx(ctypes.byref(managed), ctypes.c_bool(False), ctypes.byref(self.handle)))

    def __del__(self) -> None:
        if _lib is not None and getattr(self, "handle", None):
            _lib.MXNDArrayFree(self.handle)


def _empty(shape: Sequence[int], dtype: np.dtype, context: Context = CPU) -> ctypes.c_void_p:
    handle = ctypes.c_void_p()
    dims = (ctypes.c_int64 * max(len(shape), 1))(*shape)
    device = _DEVICE_TYPES[context.device_type]
    check(lib().MXNDArrayCreateEx64(dims, len(shape), device, context.device_id, 0, TYPE_FLAGS[dtype], ctypes.byref(handle)))
    return handle


class Owned:
    """An NDArray handle that frees itself: what a NumPy view of MXNet's memory keeps alive."""

    __slots__ = ("handle",)

    def __init__(self, handle: ctypes.c_void_p) -> None:
        self.handle = handle

    def __del__(self) -> None:
        if _lib is not None:
            _lib.MXNDArrayFree(self.handle)


def host_view(handle: ctypes.c_void_p, shape: tuple[int, ...], dtype: np.dtype, owner: Any) -> np.ndarray:
    """MXNet's own memory as a NumPy array, which keeps `owner` alive."""
    pointer = ctypes.c_void_p()
    check(lib().MXNDArrayGetData(handle, ctypes.byref(pointer)))
    memory: Any = (ctypes.c_char * (math.prod(shape) * dtype.itemsize)).from_address(pointer.value or 0)
    # `handle` is found again through the view's `base`
    memory.owner, memory.handle = owner, handle
    return np.ndarray(shape, dtype, memory)


@lru_cache(4096)
def memory_class(nbytes: int) -> Any:
    """The class of an NDArray's memory of that size; its instances free their `handle`. (Eager mode: one object fewer per result.)"""
    return type("Memory", (ctypes.c_char * nbytes,), {"__del__": _free})


def _free(memory: Any) -> None:
    if _lib is not None:
        _lib.MXNDArrayFree(memory.handle)


def owning_view(handle: ctypes.c_void_p, shape: tuple[int, ...], dtype: np.dtype, memory: Any) -> np.ndarray:
    """`host_view` of an NDArray that belongs to the view alone; `memory` is the `memory_class` of its size."""
    pointer = ctypes.c_void_p()
    if _lib.MXNDArrayGetData(handle, ctypes.byref(pointer)) != 0:
        check(-1)
    owner = memory.from_address(pointer.value)
    owner.handle = handle
    return np.ndarray(shape, dtype, owner)


def shape_of(handle: ctypes.c_void_p) -> tuple[int, ...]:
    """Shape of an NDArray."""
    ndim = ctypes.c_int()
    dims = ctypes.POINTER(ctypes.c_int64)()
    check(lib().MXNDArrayGetShapeEx64(handle, ctypes.byref(ndim), ctypes.byref(dims)))
    return tuple(dims[i] for i in range(max(ndim.value, 0)))


def dtype_of(handle: ctypes.c_void_p) -> np.dtype:
    """Dtype of an NDArray."""
    flag = ctypes.c_int()
    check(lib().MXNDArrayGetDType(handle, ctypes.byref(flag)))
    return MX_DTYPES[flag.value]


def context_of(handle: ctypes.c_void_p) -> Context:
    """Where an NDArray's memory is, as MXNet says it."""
    kind, number = ctypes.c_int(), ctypes.c_int()
    check(lib().MXNDArrayGetContext(handle, ctypes.byref(kind), ctypes.byref(number)))
    return Context(next(name for name, code in _DEVICE_TYPES.items() if code == kind.value), number.value)


# -- arrays on other devices --------------------------------------------------------------------------------------------------------------
class _Copies:
    """The copies of one value that there are, shared by those of its DeviceArrays that show all of it."""

    __slots__ = ("host", "owned")

    def __init__(self, host: np.ndarray | None, owned: Owned | None) -> None:
        self.host, self.owned = host, owned


# two threads must not make a device copy each: the one that loses would be freed in use
_copy_lock = threading.Lock()


class DeviceArray(DeviceValue):
    """A value on a context other than the host's: one copy there, and one on the host, each made when it is first asked for.

    What came from the host goes to the device when something there needs it; what was made on the device comes to the host when it is
    observed. Both copies stay as long as the value does, so observing twice copies once, and no program takes more memory of the host
    than it would on cpu(0).
    """

    __slots__ = ("_copies", "_of", "_offset", "context", "dtype", "nbytes", "shape")

    def __init__(
        self, shape: tuple[int, ...], dtype: np.dtype, context: Context, host: np.ndarray | None = None, owned: Owned | None = None
    ) -> None:
        self.shape, self.dtype, self.context = shape, dtype, context
        self.nbytes = math.prod(shape) * dtype.itemsize
        self._copies = _Copies(host, owned)
        # whose memory this shows, and from which element on (None: all of it). Held, so that who holds a value is told by its references
        self._of: DeviceArray | None = None
        self._offset: int | None = None

    @classmethod
    def empty(cls, shape: tuple[int, ...], dtype: np.dtype, context: Context) -> DeviceArray:
        """Memory on a device, to be filled."""
        return cls(shape, dtype, context, owned=Owned(_empty(shape, dtype, context)))

    @property
    def handle(self) -> ctypes.c_void_p:
        """The NDArray on the device; copies the value there if only the host has it."""
        copies = self._copies
        if copies.owned is None:
            source = None if self._of is None else self._of.handle
            with _copy_lock:
                if copies.owned is None:
                    copies.owned = self._uploaded() if source is None else self._sliced(source)
        return copies.owned.handle

    def _uploaded(self) -> Owned:
        assert self._copies.host is not None
        host = np.ascontiguousarray(self._copies.host)
        owned = Owned(_empty(self.shape, self.dtype, self.context))
        status = lib().MXNDArraySyncCopyFromCPU(owned.handle, ctypes.c_void_p(host.ctypes.data), ctypes.c_size_t(host.size))
        check_copy(status, f"copying {self.nbytes} bytes to {self.context}")
        stats.counts["transfers_to_device"] += 1
        stats.counts["bytes_to_device"] += self.nbytes
        return owned

    def _sliced(self, source: ctypes.c_void_p) -> Owned:
        assert self._of is not None and self._offset is not None
        with np_shape():
            flat = _reshaped(source, (math.prod(self._of.shape),))
            part = ctypes.c_void_p()
            stop = self._offset + math.prod(self.shape)
            check(lib().MXNDArraySlice64(flat.handle, ctypes.c_int64(self._offset), ctypes.c_int64(stop), ctypes.byref(part)))
            owned = Owned(part)
            return _reshaped(owned.handle, self.shape)

    def host(self) -> np.ndarray:
        copies = self._copies
        if copies.host is None:
            copies.host = self._downloaded()
        return copies.host

    def _downloaded(self) -> np.ndarray:
        made = np.empty(self.shape, self.dtype)
        target = ctypes.c_void_p(made.ctypes.data)
        if forked:
            # the engine's threads are not in this process: nothing may wait for them
            if self.context.device_type != "cpu":
                raise MXNetError(f"[fork] a value on {self.context} cannot be read in a forked process; start processes with 'spawn'")
            pointer = ctypes.c_void_p()
            check(lib().MXNDArrayGetData(self.handle, ctypes.byref(pointer)))
            ctypes.memmove(target, pointer, self.nbytes)
        else:
            status = lib().MXNDArraySyncCopyToCPU(self.handle, target, ctypes.c_size_t(made.size))
            check_copy(status, f"copying {self.nbytes} bytes from {self.context}")
        stats.counts["transfers_to_host"] += 1
        stats.counts["bytes_to_host"] += self.nbytes
        return made

    def known(self) -> bool:
        return self._copies.host is not None

    def wait(self) -> None:
        if self._copies.owned is not None and not forked:
            wait_to_read(self._copies.owned.handle)

    def view(self) -> DeviceArray:
        made = DeviceArray(self.shape, self.dtype, self.context)
        made._copies, made._of, made._offset = self._copies, self, 0
        return made

    def block(self, look: Callable[[np.ndarray], np.ndarray]) -> Any:
        template = _template(self.shape, self.dtype)
        shown = look(template)
        if shown.size == 0:
            return np.empty(shown.shape, shown.dtype)
        distance = shown.__array_interface__["data"][0] - template.__array_interface__["data"][0]
        if shown.dtype != self.dtype or not shown.flags.c_contiguous or not 0 <= distance < self.nbytes:
            return None
        made = DeviceArray(shown.shape, self.dtype, self.context)
        made._of, made._offset = self, distance // self.dtype.itemsize
        if self._copies.host is not None:
            made._copies.host = look(self._copies.host)
        return made

    def move(self, context: Context) -> DeviceArray:
        """The value on another context, from device to device where the host does not know it."""
        if self._copies.host is not None:
            return DeviceArray(self.shape, self.dtype, context, host=self._copies.host)
        made = DeviceArray.empty(self.shape, self.dtype, context)
        made.fill_from(self)
        stats.counts["transfers_between_devices"] += 1
        return made

    def copy(self) -> DeviceArray:
        """The same value in memory of its own."""
        made = DeviceArray.empty(self.shape, self.dtype, self.context)
        made.fill_from(self)
        return made

    def fill_from(self, source: DeviceArray) -> None:
        """Copy another array's value into this memory, in the engine's own time (both are of the same shape and dtype)."""
        with np_shape() if not self.shape else nullcontext():
            invoke_into(creator("_copyto"), (ctypes.c_void_p * 1)(source.handle), self.handle)
        self.written()

    def broadcast_from(self, source: DeviceArray) -> None:
        """Fill this memory with the one element of another array, in the engine's own time."""
        with np_shape():
            shape = f"({','.join(map(str, self.shape))},)"
            invoke_into(creator("_npi_broadcast_to"), (ctypes.c_void_p * 1)(source.handle), self.handle, [b"shape"], [shape.encode()])
        self.written()

    def written(self) -> None:
        """Told that the device has written this memory anew."""
        self._copies.host = None


def _reshaped(handle: ctypes.c_void_p, shape: tuple[int, ...]) -> Owned:
    """The same memory of a device in another shape."""
    found = ctypes.c_void_p()
    dims = (ctypes.c_int64 * max(len(shape), 1))(*shape)
    check(lib().MXNDArrayReshape64(handle, len(shape), dims, ctypes.c_bool(False), ctypes.byref(found)))
    return Owned(found)


@lru_cache(256)
def _template(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array like the memory of a device, to try views on: address space only, nothing is ever read from it or written to it."""
    return np.ndarray(shape, dtype, mmap.mmap(-1, max(math.prod(shape) * dtype.itemsize, 1)))


def place(value: np.ndarray, context: Context) -> Any:
    """A host array as a value of another context. What MXNet has no dtype or no size for stays on the host, wherever it belongs."""
    if value.dtype in TYPE_FLAGS and 0 < value.size <= LARGEST:
        return DeviceArray(value.shape, value.dtype, context, host=value)
    return value


set_placer(place)


# -- symbols and executors ---------------------------------------------------------------------------------------------------------------
class Symbol:
    """A symbol loaded from JSON in one call."""

    __slots__ = ("handle",)

    def __init__(self, json: str) -> None:
        self.handle = ctypes.c_void_p()
        check(lib().MXSymbolCreateFromJSON(json.encode(), ctypes.byref(self.handle)))

    def __del__(self) -> None:
        if _lib is not None and getattr(self, "handle", None):
            _lib.MXSymbolFree(self.handle)


@contextmanager
def _bind_environment() -> Iterator[None]:
    """The oneDNN subgraph pass refuses control dependencies; the variable that turns it off is read, and remarked upon, at each bind."""
    with _environment({"MXNET_SUBGRAPH_BACKEND": "NONE"}), _quiet():
        yield


class Executor:
    """A bound executor. `arguments` are the NDArrays behind the symbol's variables, all on one context; `outputs` is its result memory, as
    NumPy views on the host's context and as DeviceArrays on any other.

    With `training` it runs in MXNet's training mode, which operators with hidden gradients need: batch statistics, the state that a
    recurrent layer's gradient reads. (In the other mode oneDNN's convolutions also store their weights anew, in an order of their own, in
    the caller's array.)
    """

    __slots__ = ("_forward", "_reorder", "_symbol", "arguments", "context", "handle", "output_handles", "outputs", "training")
    outputs: list[Any]

    def __init__(self, symbol: Symbol, arguments: Sequence[NDArray | DeviceArray], context: Context = CPU, training: bool = False) -> None:
        self.handle = ctypes.c_void_p()
        library = lib()
        count = len(arguments)
        handles = (ctypes.c_void_p * max(count, 1))(*[a.handle for a in arguments])
        gradients = (ctypes.c_void_p * max(count, 1))()
        requests = (ctypes.c_uint * max(count, 1))(*([0] * count))
        auxiliary = (ctypes.c_void_p * 1)()
        self._symbol, self.context = symbol, context
        self.training = int(training)
        self._reorder = training and context.device_type == "cpu"
        self.arguments = list(arguments)
        with _bind_environment(), np_shape():
            check(
                library.MXExecutorBindEX(
                    symbol.handle,
                    _DEVICE_TYPES[context.device_type],
                    context.device_id,
                    0,
                    None,
                    None,
                    None,
                    count,
                    handles,
                    gradients,
                    requests,
                    0,
                    auxiliary,
                    None,
                    ctypes.byref(self.handle),
                )
            )
            number = ctypes.c_uint()
            found = ctypes.POINTER(ctypes.c_void_p)()
            check(library.MXExecutorOutputs(self.handle, ctypes.byref(number), ctypes.byref(found)))
            self.output_handles = [ctypes.c_void_p(found[i]) for i in range(number.value)]
            # each result owns its handle: results outlive the executor
            if context is CPU:
                self.outputs = [host_view(h, shape_of(h), dtype_of(h), Owned(h)) for h in self.output_handles]
            else:
                self.outputs = [DeviceArray(shape_of(h), dtype_of(h), context, owned=Owned(h)) for h in self.output_handles]
        self._forward = library.MXExecutorForward

    def forward(self) -> None:
        """Run. Results of the host's context are in `outputs` when this returns; those of a device may come later, and reading them waits.

        The GIL is released while MXNet works.
        """
        if self._forward(self.handle, self.training) != 0:
            check(-1)
        if not synchronous() and (self.context is CPU or self._reorder):
            for handle in self.output_handles:
                check(_lib.MXNDArrayWaitToRead(handle))
        if self._reorder:
            # oneDNN leaves results in a memory order of its own: asking for the data brings it back, in place
            pointer = ctypes.c_void_p()
            for handle in self.output_handles:
                check(_lib.MXNDArrayGetData(handle, ctypes.byref(pointer)))

    def internal_bytes(self) -> int:
        """Memory of what lies between arguments and results, in whole MiB. (MXNet writes the whole program down: 5 µs a node.)"""
        text = ctypes.c_char_p()
        check(_lib.MXExecutorPrint(self.handle, ctypes.byref(text)))
        found = re.search(rb"Total (\d+) MB allocated", text.value or b"")
        return int(found[1]) << 20 if found else 0

    def __del__(self) -> None:
        if _lib is not None and getattr(self, "handle", None):
            _lib.MXExecutorFree(self.handle)


# -- imperative invocation (eager mode) -------------------------------------------------------------------------------------------------
_creators: dict[str, ctypes.c_void_p] = {}


def creator(name: str) -> ctypes.c_void_p:
    """MXNet's handle of an operator, hidden ones included."""
    found = _creators.get(name)
    if found is None:
        found = ctypes.c_void_p()
        check(lib().NNGetOpHandle(name.encode(), ctypes.byref(found)))
        _creators[name] = found
    return found


def wait_to_read(handle: ctypes.c_void_p) -> None:
    """Return when an NDArray's value has been computed (for engines that run elsewhere)."""
    check(lib().MXNDArrayWaitToRead(handle))


def invoke(operator: ctypes.c_void_p, inputs: Any, keys: Any, values: Any) -> list[ctypes.c_void_p]:
    """Run an operator imperatively; `inputs`, `keys` and `values` are ctypes arrays. Returns new NDArray handles (the caller's to free)."""
    count = ctypes.c_int(0)
    found = ctypes.POINTER(ctypes.c_void_p)()
    status = _lib.MXImperativeInvoke(operator, len(inputs), inputs, ctypes.byref(count), ctypes.byref(found), len(keys), keys, values)
    if status != 0:
        check(status)
    return [ctypes.c_void_p(found[k]) for k in range(count.value)]


def invoke_into(operator: ctypes.c_void_p, inputs: Any, output: ctypes.c_void_p, keys: Any = (), values: Any = ()) -> None:
    """Run an operator of one result imperatively, into an NDArray that exists."""
    count = ctypes.c_int(1)
    found = ctypes.cast((ctypes.c_void_p * 1)(output), ctypes.POINTER(ctypes.c_void_p))
    names, texts = (ctypes.c_char_p * len(keys))(*keys), (ctypes.c_char_p * len(keys))(*values)
    status = _lib.MXImperativeInvoke(operator, len(inputs), inputs, ctypes.byref(count), ctypes.byref(found), len(keys), names, texts)
    if status != 0:
        check(status)
