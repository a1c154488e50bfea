"""A kernel on whose run the sanitizer must report something: else nothing that it finds right says anything."""

from __future__ import annotations

import ctypes
import os

import numpy

from . import plugin


def main() -> None:
    """AddressSanitizer: a result that is one element too short. ThreadSanitizer: threads that do not wait for one another."""
    from minpy_jit.exec.regions import emit, jit, scalars, schedule
    from minpy_jit.exec.regions.tensors import Memory, Tensors

    kind, _, folder = os.environ[plugin.VARIABLE].partition(":")
    k = Tensors(scalars.knows)
    dtype = numpy.dtype(numpy.float32)
    x = Memory((64, 100), dtype, 0)
    # sums of columns, which all rows then read
    total = k.reduce("add", x, (0,))
    kernel, _ = schedule.build([total, k.map("add", x, total)], [x])
    module, _ = emit.write(kernel)
    code = jit.Code(jit.compiled(str(module)), "kernel")
    buffers = [numpy.zeros(b.size, b.dtype) for b in kernel.buffers]
    if kind == "address":
        buffers[1] = numpy.zeros(buffers[1].size - 1, dtype)
    addresses = (ctypes.c_void_p * len(buffers))(*[b.ctypes.data for b in buffers])
    runtime = ctypes.CDLL(os.path.join(folder, "runtime.so"))
    runtime.minpy_jit_without_barriers(ctypes.c_void_p(code.address), addresses, ctypes.c_int64(1 if kind == "address" else 2))


if __name__ == "__main__":
    main()
