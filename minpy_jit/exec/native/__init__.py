"""The region operator: a C++ library that setup.py builds against MXNet's headers, where there is a compiler."""

from __future__ import annotations

import os
from importlib.machinery import EXTENSION_SUFFIXES


def _built() -> str | None:
    for suffix in EXTENSION_SUFFIXES:
        path = os.path.join(os.path.dirname(__file__), "region" + suffix)
        if os.path.exists(path):
            return path
    return None


# None: it was not built, and MXNet's own operators run everything
LIBRARY = _built()
