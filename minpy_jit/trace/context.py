"""Contexts: the device that an array lives on. `cpu(0)` and `cpu(1)` are distinct, so the rules can be tested anywhere."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import ClassVar

from ..errors import ContextError


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
            found = object.__new__(cls)
            found.device_type, found.device_id = device_type, device_id
            cls._interned[device_type, device_id] = found
        return found

    def __reduce__(self) -> tuple[type[Context], tuple[str, int]]:
        return Context, (self.device_type, self.device_id)

    def __repr__(self) -> str:
        return f"{self.device_type}({self.device_id})"

    def __enter__(self) -> Context:
        _require(self)
        _local.stack.append(self)
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


class _Local(threading.local):
    def __init__(self) -> None:
        self.stack: list[Context] = []
        self.default: Context | None = None


_local = _Local()


def set_gpu_counter(counter: Callable[[], int]) -> None:
    """Told by the execution layer how to count the GPUs that the installed mxnet sees."""
    global _gpu_counter
    _gpu_counter = counter


def num_gpus() -> int:
    """Number of GPUs that the installed mxnet can use."""
    return _gpu_counter()


def _require(context: Context) -> None:
    if context.device_type == "gpu" and context.device_id >= num_gpus():
        raise ContextError(
            f"[gpu] {context} is not available: the installed mxnet sees {num_gpus()} GPU(s); use cpu(), or install a CUDA build of mxnet"
        )


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
    _require(context)
    _local.default = context
