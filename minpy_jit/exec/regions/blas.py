"""Matrix products: a private OpenBLAS (the package scipy-openblas32) that runs on one thread. The threads that share a region's loops share
its products too, so there is one team; the copies of NumPy and SciPy are left alone.
"""

from __future__ import annotations

import ctypes
import os
from functools import lru_cache

import llvmlite.binding as llvm
import numpy as np
import scipy_openblas32

# what compiled code calls, and the library's name for it
NAMES: dict[np.dtype, str] = {np.dtype(np.float32): "minpy_jit_sgemm", np.dtype(np.float64): "minpy_jit_dgemm"}
_SYMBOLS = {"minpy_jit_sgemm": "scipy_cblas_sgemm", "minpy_jit_dgemm": "scipy_cblas_dgemm"}
# cblas.h
ROW_MAJOR, AS_IT_IS, TRANSPOSED = 101, 111, 112


@lru_cache(maxsize=1)
def load() -> None:
    """Load the library, set it to one thread, and make its products known to compiled code."""
    path = os.path.join(scipy_openblas32.get_lib_dir(), scipy_openblas32.get_library(fullname=True))
    library = ctypes.CDLL(path)
    library.scipy_openblas_set_num_threads(1)
    for name, symbol in _SYMBOLS.items():
        address = ctypes.cast(getattr(library, symbol), ctypes.c_void_p).value
        assert address is not None
        llvm.add_symbol(name, address)
