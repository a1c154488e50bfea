"""Contexts: the device that an array lives on.

`cpu(0)` is the host: values on it are NumPy arrays. On every other context, `cpu(1)` as well as `gpu(0)`, a value is a `DeviceValue`, so
that what runs on a GPU can be tested anywhere.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, ClassVar

import numpy as np

from ..errors import ContextError

# contexts beside `cpu(0)` that were named so far; as long as there are none, every array lives on the host
others: list[Context] = []


class Context:
    """A device: `cpu(i)` or `gpu(i)`; interned, so identity is equality. Usable as `with gpu(0): ...`."""

    __slots__ = ("device_id", "device_type")
    _interned: ClassVar[dict[tuple[str, int], Context]] = {}
    device_type: str
    device_id: int

    def __new__(cls, device_type: str, device_id: int = 0) -> Context:
        if device_type not in ("cpu", "gpu"):
            raise ContextError(f"[Context] device type {device_type!r} is unknown; use cpu(i) or gpu(i)")
        if type(device_id) is not int or device_id < 0:
            raise ContextError(f"[Context] device id {device_id!r} is not a non-negative integer")
        found = cls._interned.get((device_type, device_id))
        if found is None:
            made = object.__new__(cls)
            made.device_type, made.device_id = device_type, device_id
            if cls._interned:
                others.append(made)
            # (another thread may have been quicker)
            found = cls._interned.setdefault((device_type, device_id), made)
        return found

    def __reduce__(self) -> tuple[type[Context], tuple[str, int]]:
        return Context, (self.device_type, self.device_id)

    def __repr__(self) -> str:
        return f"{self.device_type}({self.device_id})"

    def as_mxnet_context(self) -> Any:
        """The same device as an `mxnet.Context`, for code that calls MXNet beside us; loads mxnet."""
        return _mxnet_context(self.device_type, self.device_id)

    def __enter__(self) -> Context:
        require(self)
        stack = _local.stack
        # not a call, after which Ctrl-C may come: nobody would call __exit__
        stack += [self]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _local.stack.pop()


def cpu(device_id: int = 0) -> Context:
    """The CPU context with that number."""
    return Context("cpu", device_id)


def gpu(device_id: int = 0) -> Context:
    """The GPU context with that number; entering or using it needs a GPU build of MXNet."""
    return Context("gpu", device_id)


CPU = cpu(0)
_process_default = CPU


def _no_gpus() -> int:
    return 0


_gpu_counter: Callable[[], int] = _no_gpus
_mxnet_context: Callable[[str, int], Any]


class _Local(threading.local):
    def __init__(self) -> None:
        self.stack: list[Context] = []
        self.default: Context | None = None


_local = _Local()


def set_gpu_counter(counter: Callable[[], int]) -> None:
    """Told by the execution layer how to count the GPUs that the installed mxnet sees."""
    global _gpu_counter
    _gpu_counter = counter


def set_mxnet_context(make: Callable[[str, int], Any]) -> None:
    """Told by the execution layer how to make MXNet's own context."""
    global _mxnet_context
    _mxnet_context = make


def num_gpus() -> int:
    """Number of GPUs that the installed mxnet can use."""
    return _gpu_counter()


def require(context: Any) -> None:
    """Refuse what is no context, or none of this machine.

    Raises:
        TypeError: not a Context.
        ContextError: a GPU that the installed mxnet does not see.
    """
    if not isinstance(context, Context):
        raise TypeError(f"[context] needs a Context such as cpu() or gpu(0); got {context!r}")
    if context.device_type == "gpu" and context.device_id >= num_gpus():
        raise ContextError(
            f"[gpu] {context} is not available: the installed mxnet sees {num_gpus()} GPU(s); use cpu(), or install a CUDA build of mxnet"
        )


def require_same(name: str, contexts: Iterable[Context]) -> None:
    """Refuse operands of different contexts.

    Raises:
        ContextError: they are not all the same.
    """
    met = set(contexts)
    if len(met) > 1:
        listed = ", ".join(sorted(map(repr, met)))
        raise ContextError(f"[{name}] operands live on different contexts: {listed}; copy with x.as_in_context(ctx)")


def inside(context: Context, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """`function(*args, **kwargs)` with `context` as the current one (which exists: an array lives there)."""
    stack = _local.stack
    # (no call, as in Context.__enter__)
    stack += [context]
    try:
        return function(*args, **kwargs)
    finally:
        stack.pop()


def current_context() -> Context:
    """The context in which new arrays are created on this thread."""
    local = _local
    if local.stack:
        return local.stack[-1]
    return local.default or _process_default


def set_context(context: Context) -> None:
    """Make `context` this thread's default (other threads keep theirs).

    Raises:
        ContextError: the context does not exist on this machine.
        TypeError: not a Context.
    """
    if not isinstance(context, Context):
        raise TypeError(f"[set_context] needs a Context such as cpu() or gpu(0); got {context!r}")
    require(context)
    _local.default = context


# -- values on a device -----------------------------------------------------------------------------------------------------------------
class DeviceValue:
    """A value on a context other than the host's: what stands there for a NumPy array. Never written to (exec/mx.py: DeviceArray).

    Attributes:
        shape, dtype, nbytes: as of a NumPy array.
        context: where it lives.
    """

    __slots__ = ()
    shape: tuple[int, ...]
    dtype: np.dtype
    nbytes: int
    context: Context

    def host(self) -> np.ndarray:
        """The value as a host array nobody may write to; copied at the first call only."""
        raise NotImplementedError

    def known(self) -> bool:
        """Whether `host()` has nothing to copy or to wait for."""
        raise NotImplementedError

    def wait(self) -> None:
        """Return when the value has been computed."""
        raise NotImplementedError

    def view(self) -> DeviceValue:
        """The same value under another identity."""
        raise NotImplementedError

    def block(self, look: Callable[[np.ndarray], np.ndarray]) -> Any:
        """What the NumPy view `look(array)` shows, without a copy; None where it is not one contiguous block of the memory."""
        raise NotImplementedError


def on_host(value: Any) -> Any:
    """A value as a host array (anything but a DeviceValue as it is)."""
    return value.host() if isinstance(value, DeviceValue) else value


def _no_placer(value: np.ndarray, context: Context) -> Any:
    return value


_placer: Callable[[np.ndarray, Context], Any] = _no_placer


def set_placer(placer: Callable[[np.ndarray, Context], Any]) -> None:
    """Told by the execution layer how a host array becomes a value of another context."""
    global _placer
    _placer = placer


def place(value: Any, context: Context) -> Any:
    """A host array as a value of a context: itself on the host, and for what no device can hold (see exec/mx.py: place)."""
    return value if context is CPU or isinstance(value, DeviceValue) else _placer(value, context)
