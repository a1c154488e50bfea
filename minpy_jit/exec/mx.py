"""The one module that imports mxnet: its fixes and settings, and the handful of C calls that we use.

Everything else in `exec/` speaks of handles, symbols and executors through the functions here. MXNet loads at the first call that needs
it; the user's own MXNet state (engine, numpy semantics, environment) is left as it was.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import math
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from ..config import config
from ..trace.context import CPU, Context, set_gpu_counter

_load_lock = threading.RLock()
_lib: Any = None
_engine = "not loaded"
# whether this process was forked from one that had loaded MXNet: its thread pools hang here, so NumPy runs everything
forked = False


def _after_fork() -> None:
    global forked
    forked = forked or _lib is not None
    _load_lock.release()


os.register_at_fork(before=_load_lock.acquire, after_in_parent=_load_lock.release, after_in_child=_after_fork)

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


def _import_mxnet() -> ModuleType:
    had_bool = "bool" in vars(np)
    if not had_bool:
        np.bool = np.bool_  # type: ignore[attr-defined]
    try:
        with warnings.catch_warnings():
            # mxnet touches what NumPy deprecated: not the user's business, nor an error under -W error
            warnings.simplefilter("ignore")
            mxnet = importlib.import_module("mxnet")
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
    return mxnet


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
    settings = {}
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


def set_threads(count: int) -> None:
    """How many threads MXNet's loops and products may use from here on (small work is slower on two than on one)."""
    global _threads_now
    if count != _threads_now:
        _threads_now = count
        lib().MXSetNumOMPThreads(count)
        if _blas is not None:
            _blas.openblas_set_num_threads(count)


def _choose_engine() -> dict[str, str]:
    """Environment for the load: NaiveEngine runs executors in the caller's thread, so an observation costs 3 µs instead of 80."""
    wanted = config.engine
    if wanted == "threaded" or "MXNET_ENGINE_TYPE" in os.environ:
        return {}
    return {"MXNET_ENGINE_TYPE": "NaiveEngine"}


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
    global _lib, _engine
    if _lib is not None:
        return _lib
    with _load_lock:
        if _lib is not None:
            return _lib
        if "mxnet" in sys.modules:
            _engine = "the user's (mxnet was loaded first)"
            mxnet = sys.modules["mxnet"]
            settings: dict[str, str] = {}
        else:
            settings = _choose_engine()
            _load_blas()
            with _environment(settings), _quiet():
                mxnet = _import_mxnet()
                # the engine is made at its first use: make it while the environment says which
                mxnet.base._LIB.MXNDArrayWaitAll()
            _engine = settings.get("MXNET_ENGINE_TYPE", os.environ.get("MXNET_ENGINE_TYPE", "ThreadedEnginePerDevice"))
        library = mxnet.base._LIB
        for name in ("MXGetLastError",):
            getattr(library, name).restype = ctypes.c_char_p
        _lib = library
    return _lib


def version() -> str:
    """Version of the installed mxnet (without loading it)."""
    from .._requirements import installed_version

    return str(installed_version("mxnet"))


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
        first = next((line for line in text.splitlines() if "Error" in line or "Check failed" in line), text[:400])
        raise MXNetError(first)


def count_gpus() -> int:
    """GPUs that the installed mxnet can use."""
    count = ctypes.c_int(0)
    library = lib()
    return count.value if library.MXGetGPUCount(ctypes.byref(count)) == 0 else 0


set_gpu_counter(count_gpus)


@contextmanager
def np_shape() -> Iterator[None]:
    """NumPy shape semantics (0-d and empty arrays exist) on this thread, for the duration."""
    library = lib()
    before = ctypes.c_int(0)
    check(library.MXSetIsNumpyShape(1, ctypes.byref(before)))
    try:
        yield
    finally:
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
            self.handle = _empty(array.shape, 7)
            self.array = host_view(self.handle, array.shape, array.dtype, self)
            self.array[...] = array
            return
        check(lib().MXNDArrayFromDLPackEx(ctypes.byref(managed), ctypes.c_bool(False), ctypes.byref(self.handle)))

    def __del__(self) -> None:
        if _lib is not None and self.handle:
            _lib.MXNDArrayFree(self.handle)


def _empty(shape: Sequence[int], type_flag: int) -> ctypes.c_void_p:
    handle = ctypes.c_void_p()
    dims = (ctypes.c_int64 * max(len(shape), 1))(*shape)
    check(lib().MXNDArrayCreateEx64(dims, len(shape), 1, 0, 0, type_flag, ctypes.byref(handle)))
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
    # found again through the view's `base`
    memory.owner = owner
    return np.ndarray(shape, dtype, memory)


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


# -- symbols and executors ---------------------------------------------------------------------------------------------------------------
class Symbol:
    """A symbol loaded from JSON in one call."""

    __slots__ = ("handle",)

    def __init__(self, json: str) -> None:
        self.handle = ctypes.c_void_p()
        check(lib().MXSymbolCreateFromJSON(json.encode(), ctypes.byref(self.handle)))

    def __del__(self) -> None:
        if _lib is not None and self.handle:
            _lib.MXSymbolFree(self.handle)


@contextmanager
def _bind_environment() -> Iterator[None]:
    """The oneDNN subgraph pass refuses control dependencies; the variable that turns it off is read, and remarked upon, at each bind."""
    with _environment({"MXNET_SUBGRAPH_BACKEND": "NONE"}), _quiet():
        yield


class Executor:
    """A bound executor. `arguments` are the NDArrays behind the symbol's variables, `outputs` NumPy views of its result memory."""

    __slots__ = ("_forward", "_symbol", "arguments", "handle", "output_handles", "outputs")

    def __init__(self, symbol: Symbol, arguments: Sequence[NDArray], context: Context = CPU) -> None:
        library = lib()
        count = len(arguments)
        handles = (ctypes.c_void_p * max(count, 1))(*[a.handle for a in arguments])
        gradients = (ctypes.c_void_p * max(count, 1))()
        requests = (ctypes.c_uint * max(count, 1))(*([0] * count))
        auxiliary = (ctypes.c_void_p * 1)()
        self._symbol = symbol
        self.arguments = list(arguments)
        self.handle = ctypes.c_void_p()
        with _bind_environment(), np_shape():
            check(
                library.MXExecutorBindEX(
                    symbol.handle,
                    1 if context.device_type == "cpu" else 2,
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
            # each view owns its handle: results outlive the executor
            self.outputs = [host_view(h, shape_of(h), dtype_of(h), Owned(h)) for h in self.output_handles]
        self._forward = library.MXExecutorForward

    def forward(self) -> None:
        """Run; results are in `outputs` when this returns. The GIL is released while MXNet works."""
        if self._forward(self.handle, 0) != 0:
            check(-1)
        if not synchronous():
            for handle in self.output_handles:
                check(_lib.MXNDArrayWaitToRead(handle))

    def __del__(self) -> None:
        if _lib is not None and self.handle:
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
