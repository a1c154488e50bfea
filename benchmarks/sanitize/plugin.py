"""Puts a sanitizer into this process: the region operator that was built with it, and checks in every kernel that is compiled from here on.

Imported by every Python that starts where `MINPY_JIT_SANITIZE` says how: "address" or "thread", and the folder of the libraries (see
__main__.py). At exit a line of what was done is added to `counts` in that folder.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir

from minpy_jit.exec import memory, native

from .instrument import MASKED, Instrumented

VARIABLE = "MINPY_JIT_SANITIZE"
# bytes between the buffers of a workspace, under AddressSanitizer
GAP = 64
counts: Counter[str] = Counter()
_folder = Path()
_I64, _I32, _PTR = ir.IntType(64), ir.IntType(32), ir.PointerType()


def install() -> None:
    """Do it."""
    global _folder
    kind, _, folder = os.environ[VARIABLE].partition(":")
    _folder = Path(folder)
    native.LIBRARY = str(_folder / "region.so")
    from minpy_jit.exec.regions import blas, emit, jit

    runtime = ctypes.CDLL(str(_folder / "runtime.so"))
    own = {MASKED, "minpy_jit_poison", "minpy_jit_unpoison"} if kind == "address" else {MASKED}
    for name in own:
        _tell(name, getattr(runtime, name))
    blas.load()
    library = ctypes.CDLL(os.path.join(blas.scipy_openblas32.get_lib_dir(), blas.scipy_openblas32.get_library(fullname=True)))
    for name, symbol in blas._SYMBOLS.items():
        short = name.removeprefix("minpy_jit_")
        ctypes.c_void_p.in_dll(runtime, f"minpy_jit_real_{short}").value = ctypes.cast(getattr(library, symbol), ctypes.c_void_p).value
        _tell(name, getattr(runtime, f"minpy_jit_checked_{short}"))

    def compiled(text: str) -> bytes:
        made = Instrumented(str(jit.optimized(text)), kind)
        counts.update(made.counts)
        counts["kernels"] += 1
        return jit.emitted(jit.parsed(made.text))

    jit.compiled = compiled
    if kind == "address":
        _guard_pool(memory.pool)
        _guard_workspace()
    else:
        # small loops are shared, too
        emit.PARALLEL_WORK, emit.SMALLEST_SPLIT, emit.WAKING_WORK = 0, 0, 1
    atexit.register(_save)


def _tell(name: str, function: Any) -> None:
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    llvm.add_symbol(name, address)


def _save() -> None:
    with open(_folder / "counts", "a") as file:
        file.write(f"{dict(counts)!r}\n")


# -- the pool ------------------------------------------------------------------------------------------------------------------------------
def _guard_pool(pool: Any) -> None:
    """What is behind an array in its block, and blocks that are not in use, may not be touched."""
    process = ctypes.CDLL(None)
    poison, unpoison = process.__asan_poison_memory_region, process.__asan_unpoison_memory_region
    for function in (poison, unpoison):
        function.argtypes, function.restype = (ctypes.c_void_p, ctypes.c_size_t), None
    # all from malloc, which sees to the memory of blocks that are freed
    memory.MAPPED = 1 << 62
    array, give_back = pool.array, pool.give_back

    def guarded_array(shape: tuple[int, ...], dtype: Any, nbytes: int) -> Any:
        made = array(shape, dtype, nbytes)
        base = made.base
        address, size = ctypes.addressof(base), ctypes.sizeof(base)
        unpoison(address, size)
        poison(address + nbytes, size - nbytes)
        return made

    def guarded_give_back(size: int, holder: Any, address: int) -> None:
        # before another thread may take it
        poison(address, size)
        give_back(size, holder, address)

    pool.array, pool.give_back = guarded_array, guarded_give_back


# -- workspaces ----------------------------------------------------------------------------------------------------------------------------
_planned = threading.local()


def _guard_workspace() -> None:
    """Buffers of a workspace have places of their own, with gaps between them that may not be touched while the kernel runs."""
    from minpy_jit.exec.regions import emit, region, workspace

    write = emit.write

    def plan(kernel: Any, first: int, threads: int, *rest: Any) -> tuple[dict[Any, tuple[int, int, int]], int]:
        found = {b: (k, 0, 0) for k, b in enumerate(kernel.buffers[:first])}
        gaps: list[int] = []
        at = 0
        for buffer in kernel.buffers[first:]:
            size = buffer.size * buffer.dtype.itemsize
            step = -(-size // GAP) * GAP + GAP
            copies = threads if buffer.private else 1
            found[buffer] = (first, at, step if buffer.private else 0)
            for k in range(copies):
                gaps += [at + k * step + size, step - size]
            at += copies * step
        _planned.first, _planned.gaps = first, gaps
        return found, at

    def guarded(
        kernel: Any,
        name: str = "kernel",
        aliased: Collection[Any] = (),
        plan: Mapping[Any, tuple[int, int, int]] | None = None,
        *rest: Any,
        **named: Any,
    ) -> tuple[ir.Module, bool]:
        gaps = getattr(_planned, "gaps", [])
        _planned.gaps = []
        if plan is None or not gaps:
            return write(kernel, name, aliased, plan, *rest, **named)
        module, parallel = write(kernel, "inner", aliased, plan, *rest, **named)
        _wrap(module, name, _planned.first, gaps)
        return module, parallel

    workspace.plan = plan
    region.emit.write = guarded


def _wrap(module: ir.Module, name: str, first: int, gaps: Sequence[int]) -> None:
    """`name`: `inner`, with the gaps poisoned for as long as it runs."""
    inner = module.globals["inner"]
    inner.linkage = "internal"
    outer = ir.Function(module, inner.function_type, name)
    addresses, thread, threads, barrier = outer.args
    table = ir.GlobalVariable(module, ir.ArrayType(_I64, len(gaps)), "gaps")
    table.linkage, table.global_constant = "internal", True
    table.initializer = ir.Constant(table.value_type, [ir.Constant(_I64, g) for g in gaps])
    kind = ir.FunctionType(ir.VoidType(), [_PTR, _PTR, _I64])
    poison, unpoison = (ir.Function(module, kind, n) for n in ("minpy_jit_poison", "minpy_jit_unpoison"))
    builder = ir.IRBuilder(outer.append_basic_block())
    workspace = builder.load(builder.gep(addresses, [ir.Constant(_I64, first)], source_etype=_PTR), typ=_PTR)
    told = [workspace, table, ir.Constant(_I64, len(gaps) // 2)]
    builder.call(poison, told)
    builder.call(inner, [addresses, thread, threads, barrier])
    # not while another thread still works
    with builder.if_then(builder.icmp_signed(">", threads, ir.Constant(_I64, 1))):
        builder.call(barrier, [])
    builder.call(unpoison, told)
    builder.ret_void()


if VARIABLE in os.environ:
    install()
