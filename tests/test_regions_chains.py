"""Long chains of element-wise operations go by several vectors side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.exec import regions

pytestmark = pytest.mark.skipif(not regions.enabled(), reason="of native loops")


def chained(turns: int, function: Callable[[Any], Any] = lambda x: x) -> Callable[[Any, Any], Any]:
    """A program of five operations a turn, each of which needs the one before."""

    def program(x: Any, a: Any) -> Any:
        for _ in range(turns):
            x = x - (x * a - 1.0) / (a + 2.0)
        return function(x)

    return program


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The modules that are written, as text."""
    from minpy_jit.exec.regions import emit

    found: list[str] = []
    original = emit.write

    def noting(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        found.append(str(made[0]))
        return made

    monkeypatch.setattr(emit, "write", noting)
    minpy_jit.clear_caches()
    return found


@pytest.mark.parametrize(
    ("turns", "function", "dtype", "lanes"),
    [
        (20, lambda x: x, "float32", 64),
        (20, lambda x: x, "float64", 32),
        # (a division counts as four additions: seven a turn)
        (5, lambda x: x, "float32", 16),
        (6, lambda x: x, "float32", 64),
        # vector maths counts, however little stands around it
        (0, lambda x: numpy.tanh(x), "float32", 16),
        (0, lambda x: numpy.tanh(numpy.exp(x)), "float32", 64),
        (0, lambda x: numpy.log(numpy.tanh(numpy.sin(x))), "float64", 32),
        # some are long chains by themselves
        (0, lambda x: x**2.5, "float64", 32),
        # its code is written for vectors of one register
        (20, lambda x: numpy.fmod(x, 0.7), "float32", 16),
    ],
)
def test_how_many_lanes_a_chain_has(turns: int, function: Any, dtype: str, lanes: int, modules: list[str]) -> None:
    program, x = chained(turns, function), numpy.linspace(1.0, 2.0, 1 << 16).astype(dtype)
    for _ in range(3):
        program(np.array(x), np.array(x)).asnumpy()
    (module,) = modules
    kind = {"float32": "float", "float64": "double"}[dtype]
    assert f"<{lanes} x {kind}>" in module
    assert f"<{2 * lanes} x {kind}>" not in module


@pytest.mark.parametrize(("length", "lanes"), [(8, 16), (16, 16), (20, 32), (33, 16), (40, 16), (48, 16), (60, 64), (70, 32), (1000, 64)])
def test_few_lanes_go_for_nothing(length: int, lanes: int, modules: list[str]) -> None:
    program, x = chained(20), numpy.linspace(1.0, 2.0, length, dtype="float32")
    for _ in range(3):
        program(np.array(x), np.array(x)).asnumpy()
    (module,) = modules
    assert f"<{lanes} x float>" in module
    assert f"<{2 * lanes} x float>" not in module


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int8"])
def test_every_length_of_a_long_chain(dtype: str) -> None:
    def program(x: Any, a: Any) -> Any:
        for _ in range(24):
            x = (x * a - a) + (x - 3)
        return x

    rng = numpy.random.default_rng(0)
    for length in (1, 16, 17, 33, 60, 64, 100, 127, 500):
        x, a = (rng.integers(-3, 4, length).astype(dtype) for _ in range(2))
        if dtype.startswith("float"):
            x, a = x * numpy.asarray(0.37, dtype), a * numpy.asarray(0.21, dtype)
        wanted = program(x, a)
        for _ in range(3):
            found = program(np.array(x), np.array(a)).asnumpy()
        numpy.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("shape", [(7, 33), (3, 5, 40), (64, 1), (1, 65)])
def test_long_chains_of_rows_and_columns(shape: tuple[int, ...]) -> None:
    rng = numpy.random.default_rng(1)
    x, row = rng.random(shape, dtype="float32"), rng.random(shape[-1], dtype="float32")
    column = rng.random((*shape[:-1], 1), dtype="float32")

    def program(x: Any, row: Any, column: Any) -> Any:
        for _ in range(20):
            x = x - (x * row - column) / (row + 2.0)
        return x, x[..., ::-1] * column

    wanted = program(x, row, column)
    for _ in range(3):
        found = [y.asnumpy() for y in program(np.array(x), np.array(row), np.array(column))]
    for y, right in zip(found, wanted, strict=True):
        numpy.testing.assert_array_equal(y, right)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("length", [5, 63, 64, 100, 1000])
def test_a_lane_of_vector_maths_is_the_same_beside_any_others(dtype: str, length: int) -> None:
    """However many stand side by side: what is computed element by element."""

    def program(x: Any) -> Any:
        return numpy.exp(numpy.tanh(numpy.sin(x) * 2.0)) - numpy.log1p(x * x)

    x = numpy.linspace(-3.0, 3.0, length).astype(dtype)
    for _ in range(3):
        found = program(np.array(x)).asnumpy()
        alone = numpy.concatenate([program(np.array(x[k : k + 1])).asnumpy() for k in range(length)])
    numpy.testing.assert_array_equal(found, alone)
    scale = {"float16": 2e-3, "float32": 3e-7, "float64": 1e-15}[dtype]
    numpy.testing.assert_allclose(found, program(x), rtol=scale, atol=scale)
