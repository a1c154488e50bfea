"""Builds the region operator, the one part in C++. What the package is, pyproject.toml says."""

from __future__ import annotations

import importlib.util
import os

from setuptools import Extension, setup


def extensions() -> list[Extension]:
    """The operator, if MXNet's headers are there (they come in its wheel). Without a compiler it is left out: everything runs on MXNet's
    own operators then, and `minpy-jit info` says so."""
    found = importlib.util.find_spec("mxnet")
    if found is None or not found.submodule_search_locations:
        print("minpy-jit: no MXNet to build against; the region operator is left out")
        return []
    (mxnet,) = found.submodule_search_locations
    return [
        Extension(
            "minpy_jit.exec.native.region",
            ["minpy_jit/exec/native/region.cc"],
            include_dirs=[os.path.join(mxnet, "include"), os.path.join(mxnet, "src")],
            extra_compile_args=["-O2", "-g0", "-std=c++17", "-fopenmp"],
            extra_link_args=["-fopenmp"],
            language="c++",
            optional=True,
        )
    ]


setup(ext_modules=extensions())
