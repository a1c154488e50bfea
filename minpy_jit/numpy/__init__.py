"""`minpy_jit.numpy`: NumPy's names on lazy arrays. `import minpy_jit.numpy as np` in place of `import numpy as np`."""

from __future__ import annotations

from typing import Any

from .. import exec as _exec

# fills the op table, which the operators are made from
from ..trace import ops as _ops  # noqa: F401
from . import array as _array

_exec.install()
_array._install()

from . import fft as fft  # noqa: E402
from . import linalg as linalg  # noqa: E402
from . import methods as _methods  # noqa: E402, F401
from . import namespace  # noqa: E402
from . import random as random  # noqa: E402

for _name in ("fft", "linalg", "random"):
    # ours, not NumPy's
    namespace.NAMES.pop(_name, None)
del _name
globals().update(namespace.NAMES)
# a module here has this name too, and type checkers would take the function for it
array: Any = namespace.NAMES["array"]
__version__ = namespace.NUMPY_VERSION


def __getattr__(name: str) -> Any:
    """Names that NumPy has only once something imports them (`numpy.typing`), and its errors about names that it dropped."""
    return namespace.late(name)
