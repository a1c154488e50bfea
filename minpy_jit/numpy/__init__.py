"""`minpy_jit.numpy`: NumPy's names on lazy arrays. `import minpy_jit.numpy as np` in place of `import numpy as np`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import exec as _exec
from ..trace import ops as _ops
from . import array as _array

_exec.install()
_array._install()

from . import fft, linalg, methods, namespace, random  # noqa: E402

del methods, namespace.NAMES["fft"], namespace.NAMES["linalg"], namespace.NAMES["random"]
globals().update(namespace.NAMES)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
