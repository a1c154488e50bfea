"""`clear_caches()` empties what `info()` counts; compiled code on disk stays and is used again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit import config
from minpy_jit.exec import regions


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path) -> Iterator[None]:
    with config.override(cache_dir=str(tmp_path)):
        minpy_jit.clear_caches()
        yield
        minpy_jit.clear_caches()


def run_twice() -> None:
    """A program that becomes a region at its second encounter."""
    values = numpy.linspace(0.0, 1.0, 10_000, dtype=numpy.float32)
    x = np.array(values)
    for _ in range(2):
        # large enough that a region pays
        numpy.testing.assert_allclose((np.tanh(x) * x + 1).asnumpy(), numpy.tanh(values) * values + 1, rtol=1e-6)


@pytest.mark.skipif(not regions.built(), reason="native code is not built here")
def test_clear_caches_empties_the_code_in_memory_and_leaves_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled_texts: list[str]
) -> None:
    monkeypatch.setattr(config, "native", True)
    assert regions.available()
    # code that regions share is made with a process's first
    with config.override(cache_dir="off"):
        run_twice()
    minpy_jit.clear_caches()
    compiled_texts.clear()
    run_twice()
    found = minpy_jit.info()
    assert (found["kernels"], found["plans"], len(compiled_texts)) == (1, 1, 1)
    files = [path for path in tmp_path.iterdir() if path.is_file()]
    # a file is a mark, a digest and the code
    assert 0 < found["kernel_bytes"] < sum(path.stat().st_size for path in files)

    minpy_jit.clear_caches()
    found = minpy_jit.info()
    assert (found["kernels"], found["kernel_bytes"], found["plans"], found["trie_steps"]) == (0, 0, 0, 0)
    assert [path for path in tmp_path.iterdir() if path.is_file()] == files

    run_twice()
    assert (minpy_jit.info()["kernels"], len(compiled_texts)) == (1, 1)
    with config.override(cache_dir="off"):
        minpy_jit.clear_caches()
        run_twice()
    assert len(compiled_texts) == 2


def test_nothing_is_held_where_native_code_is_off() -> None:
    with config.override(native=False):
        run_twice()
        found = minpy_jit.info()
    assert (found["kernels"], found["kernel_bytes"], found["plans"]) == (0, 0, 1)
