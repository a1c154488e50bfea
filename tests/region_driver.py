"""Runs kernels of our own making on arrays, as a region runs them: with a workspace, on threads that meet at a barrier."""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from minpy_jit.exec.regions import emit, jit, workspace
from minpy_jit.exec.regions.loops import Buffer, Kernel
from minpy_jit.exec.regions.tensors import Tensor

KERNEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)


class Meeting:
    """A barrier at which nobody waits for those who have left.

    Attributes:
        missed: whether some waited for who had left, or left later.
    """

    def __init__(self, threads: int) -> None:
        self.missed = False
        self._threads = threads
        self._waiting = self._left = self._turn = 0
        self._changed = threading.Condition()

    def wait(self) -> None:
        """Wait for all others."""
        with self._changed:
            turn = self._turn
            self._waiting += 1
            self._look()
            self._changed.wait_for(lambda: self._turn != turn)

    def leave(self) -> None:
        """Come no more."""
        with self._changed:
            self._left += 1
            self._look()

    def _look(self) -> None:
        if self._waiting and self._waiting + self._left == self._threads:
            self.missed |= self._left > 0
            self._waiting = 0
            self._turn += 1
            self._changed.notify_all()


def call(address: int, tensors: Sequence[int], threads: int) -> None:
    """Run the kernel at an address on buffers at these, by so many threads.

    Raises:
        AssertionError: some of them waited more often than others.
    """
    function, meeting = KERNEL(address), Meeting(threads)
    wait = ctypes.CFUNCTYPE(None)(meeting.wait)
    table = (ctypes.c_void_p * len(tensors))(*tensors)

    def work(thread: int) -> None:
        function(table, thread, threads, ctypes.cast(wait, ctypes.c_void_p))
        meeting.leave()

    with ThreadPoolExecutor(threads) as team:
        list(team.map(work, range(threads)))
    assert not meeting.missed, "some threads of a kernel wait more often than others"


def run_kernel(
    kernel: Kernel,
    extra: int,
    results: Sequence[Tensor],
    arrays: Sequence[np.ndarray],
    threads: int,
    into: Mapping[int, int],
    aliased: Collection[Buffer],
) -> list[np.ndarray]:
    """What a kernel makes of arrays, which stay as they are.

    Args:
        extra: how many buffers it keeps for itself.
        into: result -> operand in whose memory it is made.
        aliased: what the code may not take to be apart.
    """
    plan, needed = workspace.plan(kernel, len(kernel.buffers) - extra, threads)
    module, _ = emit.write(kernel, aliased=aliased, plan=plan, threads=threads)
    code = jit.Code(jit.compiled(str(module)), "kernel")
    given = [np.array(a, order="C") for a in arrays]
    made = [given[into[k]] if k in into else np.full(math.prod(t.shape), 77, t.dtype) for k, t in enumerate(results)]
    space = np.full(needed + workspace.ALIGNMENT, 77, np.uint8)
    space = space[-space.ctypes.data % workspace.ALIGNMENT :][: needed + 1]
    call(code.address, [b.ctypes.data for b in (*given, *made, space)], threads)
    assert space[needed] == 77, "wrote behind the workspace"
    return [array.reshape(tensor.shape) for array, tensor in zip(made, results, strict=True)]
