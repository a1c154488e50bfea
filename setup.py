"""Builds the two parts that are machine code: the region operator (C++) and the recorder's hot path (mypyc). What the package is,
pyproject.toml says. Without a compiler both are left out: everything works without them, more slowly, and `minpy-jit info` says so."""

from __future__ import annotations

import importlib.util
import os
import runpy
import sys
from pathlib import Path

from setuptools import Extension, setup

TRACE = Path("minpy_jit", "trace")
# what pip asks before it builds anything; an sdist holds no generated code
ASKS_ONLY = {"egg_info", "dist_info", "sdist"}


def region() -> list[Extension]:
    """The operator that runs fused loops, if MXNet's headers are there (they come in its wheel)."""
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


def hot_path() -> list[Extension]:
    """What trace/compiled.py lists as machine code: of each module a stub, of all together one library, which is named after what it was
    made from, so that a changed source is noticed."""
    if os.environ.get("MINPY_JIT_PURE_PYTHON", "") not in ("", "0"):
        print("minpy-jit: MINPY_JIT_PURE_PYTHON is set; the recorder is left uncompiled")
        return []
    if importlib.util.find_spec("mypyc") is None:
        print("minpy-jit: no mypyc; the recorder is left uncompiled")
        return []
    from mypyc.build import mypycify

    compiled = runpy.run_path(str(TRACE / "compiled.py"))
    sources = [str(TRACE / f"{name}.py") for name in compiled["MODULES"]]
    extensions: list[Extension] = mypycify(
        # what else they import are annotations alone
        ["--config-file=", "--cache-dir=/dev/null", "--follow-imports=skip", "--ignore-missing-imports", *sources],
        group_name=f"minpy_jit.trace.{compiled['library'](TRACE)}",
        debug_level="0",
    )
    for extension in extensions:
        extension.optional = True
    return extensions


setup(ext_modules=region() + ([] if ASKS_ONLY.intersection(sys.argv) else hot_path()))
