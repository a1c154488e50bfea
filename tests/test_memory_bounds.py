"""Kernels stay within their memory: buffers between pages that may not be touched (guard_driver.py, in processes of its own)."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from benchmarks.sanitize.instrument import Instrumented
from minpy_jit.exec import regions
from minpy_jit.trace.op import TABLE

pytestmark = pytest.mark.skipif(not regions.built(), reason="the region operator was not built: there was no C++ compiler")

# every kind of access: vectors and their tails, rows and columns, steps, looked-up places, copies, products
KINDS = (
    *("add", "exp", "astype", "where", "sum", "argmax", "cumsum", "getitem", "setitem", "getitem_arrays", "scatter_add", "take_along_axis"),
    *("strided", "add_strided", "pad", "roll", "concatenate", "transpose", "matmul", "dot"),
)
ALL_DTYPES = "float32,float64,float16,uint8,int16,int32,uint64,bool"


def drive(dtypes: str, *names: str) -> subprocess.CompletedProcess[str]:
    driver = Path(__file__).with_name("guard_driver.py")
    root = str(Path(__file__).resolve().parent.parent)
    return subprocess.run(
        [sys.executable, str(driver), dtypes, *names],
        capture_output=True,
        text=True,
        env={**os.environ, "MINPY_JIT_NATIVE": "1", "PYTHONPATH": os.pathsep.join([root, *sys.path[1:]])},
        check=False,
    )


def check(dtypes: str, names: tuple[str, ...]) -> None:
    ran = drive(dtypes, *names)
    last = ran.stdout.splitlines()[-1:] or ["nothing"]
    assert ran.returncode == 0, f"status {ran.returncode} (a segmentation fault: outside of its memory) at: {last[0]}\n{ran.stderr[-2000:]}"
    assert int(last[0].split()[0]) >= len(names)


def test_kernels_stay_within_their_memory() -> None:
    check("float32,uint8", KINDS)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_kernels_of_all_entries_stay_within_their_memory(part: int) -> None:
    names = [op.name for op in TABLE.values() if op.kernel is not None and op.arity != 0]
    check(ALL_DTYPES, tuple(names[part::8]))


def test_an_access_outside_ends_the_process() -> None:
    ran = drive("float32", "control")
    # MXNet's handler of the signal says so and exits
    assert ran.returncode == -signal.SIGSEGV or "Segmentation fault" in ran.stdout + ran.stderr, ran
    assert ran.returncode != 0 and ran.stdout.startswith("control\n"), ran
    assert "within their memory" not in ran.stdout


@pytest.mark.parametrize("times", [(0, 0, 0), (3, 3, 3), (3, 2, 3), (0, 0, 1)])
def test_a_thread_that_waits_more_often_than_others_is_told(times: tuple[int, ...]) -> None:
    from region_driver import KERNEL, call

    def meet(tensors: int, thread: int, threads: int, barrier: int) -> None:
        for _ in range(times[thread]):
            ctypes.CFUNCTYPE(None)(barrier)()

    kernel = KERNEL(meet)
    with nullcontext() if len(set(times)) == 1 else pytest.raises(AssertionError, match="wait more often"):
        call(ctypes.cast(kernel, ctypes.c_void_p).value or 0, [], len(times))


# -- checks in kernels (benchmarks/sanitize) -----------------------------------------------------------------------------------------------
ACCESSES = {
    "%v = load <8 x float>, ptr %a, align 4, !tbaa !3": ["@__asan_loadN_noabort(ptr %a, i64 32)"],
    "%v = load ptr, ptr getelementptr inbounds (i8, ptr @t, i64 8), align 8": [
        "@__asan_loadN_noabort(ptr getelementptr inbounds (i8, ptr @t, i64 8), i64 8)"
    ],
    "store <2 x i1> <i1 true, i1 false>, ptr %a, align 1": ["@__asan_storeN_noabort(ptr %a, i64 1)"],
    "store half 0xH3C00, ptr %a, align 2": ["@__asan_storeN_noabort(ptr %a, i64 2)"],
    "tail call void @llvm.memcpy.p0.p0.i64(ptr align 4 %a, ptr nonnull %b, i64 %n, i1 false)": [
        "@__asan_loadN_noabort(ptr %b, i64 %n)",
        "@__asan_storeN_noabort(ptr %a, i64 %n)",
    ],
    "%v = call <4 x double> @llvm.masked.load.v4f64.p0(ptr align 8 %a, <4 x i1> %m, <4 x double> zeroinitializer)": [
        "bitcast <4 x i1> %m to i4",
        "zext i4",
        "@minpy_jit_masked(ptr %a, i64 %sanitize.0.all, i64 8, i32 0)",
    ],
    "call void @llvm.masked.store.v64i8.p0(<64 x i8> %v, ptr align 1 %a, <64 x i1> splat (i1 true))": [
        "bitcast <64 x i1> splat (i1 true) to i64",
        "@minpy_jit_masked(ptr %a, i64 %sanitize.0, i64 1, i32 1)",
    ],
    "call void @llvm.masked.store.v128i16.p0(<128 x i16> %v, ptr align 2 %a, <128 x i1> %m)": [
        "bitcast <128 x i1> %m to i128",
        "lshr i128 %sanitize.0, 0",
        "trunc i128 %sanitize.0.0.up to i64",
        "getelementptr i8, ptr %a, i64 0",
        "@minpy_jit_masked(ptr %sanitize.0.at.0, i64 %sanitize.0.0, i64 2, i32 1)",
        "lshr i128 %sanitize.0, 64",
        "trunc i128 %sanitize.0.64.up to i64",
        "getelementptr i8, ptr %a, i64 128",
        "@minpy_jit_masked(ptr %sanitize.0.at.64, i64 %sanitize.0.64, i64 2, i32 1)",
    ],
    "%v = fadd float %x, %y": [],
}


@pytest.mark.parametrize("line", ACCESSES)
def test_a_check_stands_before_each_access(line: str) -> None:
    *checks, last = [made for made in Instrumented("  " + line, "address").text.splitlines() if not made.startswith("declare")]
    assert last == "  " + line and len(checks) == len(ACCESSES[line])
    assert all(part in made for part, made in zip(ACCESSES[line], checks, strict=True))


@pytest.mark.parametrize(
    "line",
    [
        "%v = load atomic i32, ptr %a seq_cst, align 4",
        "%v = atomicrmw add ptr %a, i32 1 seq_cst",
        "store { i32, i32 } %v, ptr %a, align 4",
        "%v = call <4 x float> @llvm.masked.gather.v4f32.v4p0(<4 x ptr> align 4 %a, <4 x i1> %m, <4 x float> poison)",
    ],
)
def test_an_access_of_an_unknown_form_is_no_gap(line: str) -> None:
    with pytest.raises(ValueError):
        Instrumented("  " + line, "thread")
