"""Vector maths: errors within the stated bounds, special values, and results that depend on the argument only."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minpy_jit.exec import regions

if not regions.built():
    pytest.skip("the region operator was not built: there was no C++ compiler", allow_module_level=True)

import ulp_sweep as sweep
from ulp_sweep import DTYPES, F32, F64

from minpy_jit.exec.regions import arithmetic, emit, jit, scalars, schedule, table, vectormath
from minpy_jit.exec.regions.tensors import Memory, Tensors
from minpy_jit.trace.op import TABLE

each_function = pytest.mark.parametrize("name", vectormath.FUNCTIONS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


@each_dtype
@each_function
def test_errors_are_within_their_bounds(name: str, dtype: np.dtype) -> None:
    # special values included
    operands = sweep.arguments(name, dtype, 1 << 16, np.random.default_rng(5))
    error, at = sweep.worst(name, operands)
    assert error <= vectormath.FUNCTIONS[name].ulp[dtype == F64], f"{name}{at}"


@pytest.mark.slow
@each_dtype
@each_function
def test_errors_of_more_arguments(name: str, dtype: np.dtype) -> None:
    error, at = sweep.sampled(name, dtype, 1 << 21, seed=7)
    assert error <= vectormath.FUNCTIONS[name].ulp[dtype == F64], f"{name}{at}"


def test_no_bound_is_above_what_is_promised() -> None:
    for name, function in vectormath.FUNCTIONS.items():
        promised = 4.0 if name in ("power", "float_power") else 2.0
        assert max(function.ulp) <= promised
        if name in ("exp", "log", "tanh"):
            assert function.ulp[0] <= 1.0


def test_every_function_is_an_op() -> None:
    assert set(vectormath.FUNCTIONS) <= set(TABLE)


# -- the checker ---------------------------------------------------------------------------------------------------------------------------
@each_dtype
def test_the_checker_counts_units_in_the_last_place(dtype: np.dtype) -> None:
    wide = np.float64 if dtype == F32 else np.longdouble
    x = np.linspace(1, 1000, 77).astype(dtype)
    for steps in (1, 3):
        moved = x
        for _ in range(steps):
            moved = np.nextafter(moved, dtype.type(np.inf))
        assert set(sweep.errors(moved, x.astype(wide)).tolist()) == {float(steps)}
    assert sweep.errors(x, x.astype(wide) + np.spacing(x) * wide(0.25)).max() == 0.25


@pytest.mark.parametrize(
    ("got", "expected", "error"),
    [
        (0.0, 0.0, 0.0),
        (0.0, -0.0, np.inf),
        (np.nan, np.nan, 0.0),
        (np.nan, 1.0, np.inf),
        (1.0, np.nan, np.inf),
        (np.inf, np.inf, 0.0),
        (np.inf, -np.inf, np.inf),
        (np.inf, 1e300, 0.0),
        (3.4e38, 1e300, np.inf),
        (0.0, 1e-46, 0.0),
        (-0.0, 1e-46, np.inf),
        (1e-45, 0.0, 1.0),
    ],
)
def test_the_checker_of_special_values(got: float, expected: float, error: float) -> None:
    found = sweep.errors(np.array([got], np.float32), np.array([expected], np.float64))
    assert found.tolist() == [pytest.approx(error)]


def test_the_sweep_counts_alike() -> None:
    # the identity's error is the distance of its argument
    largest = sweep.largest_error_of("positive", 1)
    rng = np.random.default_rng(1)
    got = np.concatenate([sweep.special(F32), rng.integers(0, 2**32, 300, dtype=np.uint32).view(np.float32)])
    got[np.isnan(got)] = np.nan
    wide = got.astype(np.float64)
    for x, exact in zip(np.tile(got, 3), [*(wide * (1 + rng.normal(size=got.size) * 1e-7)), *-wide, *rng.permutation(wide)], strict=True):
        one, other = np.array([x]), np.array([exact])
        assert largest(one, other) == sweep.errors(one, other)[0], (x, exact)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_checker_rejects_a_wrong_coefficient(dtype: np.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = vectormath.fit.EXP
    monkeypatch.setitem(fit, dtype, (*fit[dtype][:-1], fit[dtype][-1] * (1 + 2.0**-4)))
    error, _ = sweep.worst("exp", sweep.arguments("exp", dtype, 1 << 14, np.random.default_rng(0)))
    assert error > vectormath.FUNCTIONS["exp"].ulp[dtype == F64]


def test_the_error_function_of_the_checker() -> None:
    x = np.array([1e-300, 1e-5, 0.3, 0.99, 1.0, 2.5, 4.0, 5.9, 100.0, np.inf])
    got = sweep.exact("erf", x)
    assert got.dtype == np.longdouble
    np.testing.assert_allclose(got.astype(float), [math.erf(v) for v in x], rtol=3e-16)


# -- a lane's result depends on its argument only ------------------------------------------------------------------------------------------
def arguments_of_all_kinds(name: str, dtype: np.dtype, size: int) -> list[np.ndarray]:
    rng = np.random.default_rng(11)
    operands = sweep.arguments(name, dtype, 1 << 12, rng)
    chosen = rng.permutation(operands[0].size)[:size]
    return [o[chosen] for o in operands]


def bits(x: np.ndarray) -> np.ndarray:
    """The patterns of floats, NaN made one."""
    return np.where(np.isnan(x), x.dtype.type(np.nan), x).view(np.uint32 if x.dtype == F32 else np.uint64)


@each_dtype
@each_function
def test_vectors_tails_and_scalars_agree(name: str, dtype: np.dtype) -> None:
    operands = arguments_of_all_kinds(name, dtype, 512)
    whole = bits(sweep.function_of(name, dtype, 512)(*operands))
    # whole vectors and a tail; part of one vector; no vector
    for size in (37, 3, 1):
        function = sweep.function_of(name, dtype, size)
        for start in range(0, 512 - size, max(size, 16)):
            part = [o[start : start + size] for o in operands]
            assert np.array_equal(bits(function(*part)), whole[start : start + size]), (size, part)


@each_dtype
@each_function
def test_neighbours_do_not_matter(name: str, dtype: np.dtype) -> None:
    operands = arguments_of_all_kinds(name, dtype, 512)
    function = sweep.function_of(name, dtype, 512)
    order = np.random.default_rng(3).permutation(512)
    assert np.array_equal(bits(function(*[o[order] for o in operands])), bits(function(*operands))[order])


@each_dtype
@pytest.mark.parametrize("name", ["exp", "exp2", "sinh", "cosh", "power"])
def test_scaling_with_and_without_the_instruction(name: str, dtype: np.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    operands = arguments_of_all_kinds(name, dtype, 3000)
    results = [sweep.function_of(name, dtype, operands[0].size)(*operands)]
    monkeypatch.setattr(arithmetic, "_features", frozenset)
    assert "scalef" not in sweep.text_of(name, dtype, 100)
    results.append(sweep.function_of(name, dtype, operands[0].size)(*operands))
    assert np.array_equal(*[bits(r) for r in results])


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
@each_dtype
def test_large_angles(name: str, dtype: np.dtype) -> None:
    rng = np.random.default_rng(0)
    limit = vectormath.LARGEST_ANGLE[dtype]
    angles = np.concatenate(
        [
            limit * (1 + rng.uniform(-1e-3, 1e-3, 500)),
            2.0 ** rng.uniform(np.log2(limit), np.log2(np.finfo(dtype).max), 2000),
            [np.finfo(dtype).max, -np.finfo(dtype).max, np.nextafter(dtype.type(limit), np.inf), -limit],
        ]
    ).astype(dtype)
    error, at = sweep.worst(name, [angles])
    assert error <= vectormath.FUNCTIONS[name].ulp[dtype == F64], at


# -- code ----------------------------------------------------------------------------------------------------------------------------------
def module_of(build: Callable[[Tensors, Memory], Any], dtype: np.dtype = F32, shape: tuple[int, ...] = (1000,)) -> str:
    k = Tensors(scalars.knows)
    x = Memory(shape, dtype, 0)
    kernel, _ = schedule.build([build(k, x)], [x])
    return str(emit.write(kernel)[0])


def only_calls_are_more(longer: str, shorter: str, name: str) -> bool:
    """Whether a module is longer than another by calls of a function alone."""
    calls, lines = (
        [sum(chosen(line) for line in text.splitlines()) for text in (longer, shorter)]
        for chosen in (lambda line: " = call " in line and f'@"{name}' in line, lambda line: True)
    )
    return calls[0] - calls[1] == lines[0] - lines[1] > 0


@pytest.mark.parametrize("name", ["arcsinh", "tanh"])
def test_functions_are_compiled_once_where_there_are_many(name: str) -> None:
    def chain(k: Tensors, x: Memory, uses: int) -> Any:
        for _ in range(uses):
            x = k.map(name, x)
        return x

    texts = [module_of(lambda k, x, uses=uses: chain(k, x, uses), shape=(1024,)) for uses in (1, 20, 40)]
    for text, expected in zip(texts, (0, 1, 1), strict=True):
        written = [line for line in text.splitlines() if line.startswith("define") and f'@"{name}.64' in line]
        assert len(written) == expected and all("<64 x float>" in line for line in written)
    assert only_calls_are_more(texts[2], texts[1], name)
    assert not only_calls_are_more(texts[1], texts[0], name)
    jit.compiled(texts[1])


@pytest.mark.parametrize(("name", "dtype"), [("floor_divide", "int64"), ("remainder", "uint64"), ("fmod", "int64"), ("power", "int16")])
def test_divisions_of_integers_are_compiled_once(name: str, dtype: str) -> None:
    def chain(k: Tensors, x: Memory, uses: int) -> Any:
        y: Any = x
        for _ in range(uses):
            y = k.map(name, y, x)
        return y

    texts = [module_of(lambda k, x, uses=uses: chain(k, x, uses), np.dtype(dtype), (1024,)) for uses in (10, 20)]
    assert only_calls_are_more(texts[1], texts[0], name)
    jit.compiled(texts[0])


def test_integers_of_both_kinds_share_no_function() -> None:
    def build(k: Tensors, x: Memory) -> Any:
        unsigned = k.cast(x, np.dtype(np.uint64))
        return k.map("add", k.cast(k.map("remainder", unsigned, unsigned), x.dtype), k.map("remainder", x, x))

    text = module_of(build, np.dtype(np.int64), (1024,))
    assert all(f'@"remainder.{name}.8.i64_i64"' in text for name in ("int64", "uint64"))


def test_nothing_but_rare_angles_calls_the_c_library() -> None:
    known = {*vectormath.FUNCTIONS} - {"sin", "cos", "tan"}
    for name in known:
        for dtype in DTYPES:
            declared = [line for line in sweep.text_of(name, dtype, 100).splitlines() if line.startswith("declare")]
            assert all('@"llvm.' in line or table.RUNNER in line for line in declared), (name, declared)
