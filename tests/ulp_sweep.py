"""The error of vector maths, in units in the last place: over all float32 arguments of functions of one operand, over samples and a grid of
special values of the others. `tests/test_vectormath.py` takes a few; by hand:

    python tests/ulp_sweep.py                              # samples: all functions, both dtypes
    python tests/ulp_sweep.py --samples 1e9 exp --dtype float64
    python tests/ulp_sweep.py --all exp tanh --state sweep.json   # all 2**32 arguments; goes on where it was stopped

What is computed in float32 is compared with NumPy in float64, what is in float64 with NumPy in long double (64 bits of significand).
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minpy_jit.exec.regions import emit, jit, scalars, schedule, vectormath
from minpy_jit.exec.regions.arithmetic import Arithmetic
from minpy_jit.exec.regions.tensors import Memory, Tensors

vectormath.install()

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
DTYPES = (F32, F64)
BINARY = ("arctan2", "hypot", "power", "float_power")
CHUNK = 1 << 15


# -- our results ---------------------------------------------------------------------------------------------------------------------------
def text_of(name: str, dtype: np.dtype, size: int) -> str:
    """The module of a function of vectors of `size` elements."""
    k = Tensors(scalars.knows)
    operands = [Memory((size,), dtype, i) for i in range(2 if name in BINARY else 1)]
    kernel, _ = schedule.build([k.map(name, *operands)], operands)
    return str(emit.write(kernel)[0])


def _compiled(text: str) -> Callable[..., None]:
    """A module's kernel, of NumPy arrays."""
    code = jit.Code(jit.compiled(text), "kernel")
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)(code.address)

    def run(*arrays: np.ndarray) -> None:
        assert code.address
        call((ctypes.c_void_p * len(arrays))(*[a.ctypes.data for a in arrays]), 0, 1, None)

    return run


def function_of(name: str, dtype: np.dtype, size: int) -> Callable[..., np.ndarray]:
    """The function itself, of NumPy arrays of exactly that size."""
    call = _compiled(text_of(name, dtype, size))

    def run(*operands: np.ndarray) -> np.ndarray:
        arrays = [np.ascontiguousarray(o, dtype) for o in operands]
        assert all(a.shape == (size,) for a in arrays)
        result = np.empty(size, dtype)
        call(*arrays, result)
        return result

    return run


# -- what is exact -------------------------------------------------------------------------------------------------------------------------
def _sigmoid(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    # as NumPy's formula: 0 where exp(-x) overflows
    return np.where(x < -math.log(np.finfo(dtype).max), 0, 1 / (1 + np.exp(-x)))


def _erf(x: np.ndarray) -> np.ndarray:
    """2 / sqrt(pi) exp(-x**2) times the sum of 2**n x**(2 n + 1) / (2 n + 1)!!, whose terms are all positive."""
    root = np.sqrt(np.asarray("3.14159265358979323846264338327950288", np.longdouble)).astype(x.dtype)
    size = np.abs(x)
    # from 6.2 on it is 1 - 2**-60 and more
    found = np.where(np.isnan(x), x, 1)
    for low, high in itertools.pairwise((0.0, 1e-3, 0.1, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.2)):
        within = np.flatnonzero((size >= low) & (size < high))
        z = size[within]
        twice = 2 * z * z
        term = total = z
        for n in itertools.count(1):
            term = term * (twice / (2 * n + 1))
            total = total + term
            # (the terms grow at first)
            if 2 * n + 1 > 2 * high * high and np.all(term <= total * (np.finfo(x.dtype).eps / 16)):
                break
        found[within] = np.minimum(total * np.exp(-z * z) * 2 / root, 1)
    return np.copysign(found, x)


def exact(name: str, *operands: np.ndarray) -> np.ndarray:
    """The results, with more bits."""
    dtype = operands[0].dtype
    with np.errstate(all="ignore"):
        wide = [o.astype(np.float64 if dtype == F32 else np.longdouble) for o in operands]
        if name == "sigmoid":
            return _sigmoid(wide[0], dtype)
        return _erf(wide[0]) if name == "erf" else getattr(np, name)(*wide)


def errors(got: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Distances in units in the last place of `got`'s dtype; infinite where NaN, infinities or the signs of zeros differ."""
    dtype, info = got.dtype, np.finfo(got.dtype)
    word = np.uint32 if dtype == F32 else np.uint64
    with np.errstate(all="ignore"):
        rounded = expected.astype(dtype)
        # the power of two below it, times the distance of numbers there
        place = (rounded.view(word) & np.array(np.inf, dtype).view(word)).view(dtype)
        unit = np.maximum(place * info.eps, info.smallest_subnormal)
        distance = (np.abs(got - expected) / unit).astype(np.float64)
    odd = np.flatnonzero(~(np.isfinite(distance) & np.isfinite(rounded) & (got != 0)))
    g, r = got[odd], rounded[odd]
    same = ((g == r) & (np.signbit(g) == np.signbit(r))) | (np.isnan(g) & np.isnan(r))
    small = np.isfinite(r) & np.isfinite(g) & ((r != 0) | (g != 0))
    distance[odd] = np.where(same & ~small, 0, np.where(small, distance[odd], np.inf))
    return distance


# -- arguments -----------------------------------------------------------------------------------------------------------------------------
def special(dtype: np.dtype) -> np.ndarray:
    """Zeros, infinities, NaN, subnormals, extremes, and numbers near which something changes."""
    info = np.finfo(dtype)
    positive = [0.0, math.inf, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 22.0, 1e-3, 1e5, 1.1e5, 1e6, 1.1e6, 1e10, 1e30, math.pi, math.pi / 2]
    positive += [float(v) for v in (info.max, info.tiny, info.smallest_subnormal, 1 + info.eps, 1 - info.epsneg, info.eps, 2 / info.eps)]
    positive += [float(info.tiny) * f for f in (0.25, 0.999, 1.001, 4.0)] + [math.log(info.max) + d for d in (-0.01, 0.0, 0.01, 0.69, 0.70)]
    positive += [-math.log(info.smallest_subnormal) + d for d in (-0.01, 0.01, 0.69, 0.70)]
    with np.errstate(all="ignore"):
        values = np.array([s * v for v in positive for s in (1.0, -1.0)] + [math.nan]).astype(dtype)
        return np.concatenate([values, np.nextafter(values, dtype.type(0)), np.nextafter(values, dtype.type(np.inf))])


def _patterns(rng: np.random.Generator, dtype: np.dtype, size: int) -> np.ndarray:
    word = np.uint32 if dtype == F32 else np.uint64
    return rng.integers(0, np.iinfo(word).max, size, dtype=word, endpoint=True).view(dtype)


def arguments(name: str, dtype: np.dtype, size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """About `size` arguments: of all magnitudes, and many where the function has its curves; special values first."""
    n = size // 8
    grid = special(dtype)
    bits, normal = _patterns(rng, dtype, n), rng.normal(size=n)
    power = lambda low, high: 2.0 ** rng.uniform(low, high, n)  # noqa: E731
    ends = -(np.finfo(dtype).nmant + 3.0)
    if name in BINARY:
        first, second = np.meshgrid(grid, grid)
        a = power(-30, 30)
        pairs = [(first.ravel(), second.ravel()), (bits, _patterns(rng, dtype, n)), (normal, rng.normal(size=n))]
        if name in ("power", "float_power"):
            # results over the whole range
            height = math.log(np.finfo(dtype).max)
            b = np.abs(_patterns(rng, dtype, n))
            with np.errstate(all="ignore"):
                pairs += [(x, rng.uniform(-1.05, 1.05, n) * height / np.abs(np.log(x.astype(np.float64)))) for x in (power(-20, 20), b)]
                near = 1 + normal * power(ends, -1)
                pairs += [(near, rng.uniform(-1, 1, n) * height / np.abs(np.log(np.abs(near)))), (power(-0.5, 0.5), normal * height)]
            pairs += [(normal * 3, rng.integers(-40, 40, n)), (np.abs(normal), rng.integers(-60, 60, n))]
        else:
            pairs += [(a, a * (1 + 0.3 * normal)), (a, -a * power(ends, 1)), (a * power(ends, 1), a), (normal * 1e-3, normal + 1)]
            pairs += [(np.ldexp(normal, np.finfo(dtype).minexp + 3), np.ldexp(rng.normal(size=n), np.finfo(dtype).minexp + 3))]
        with np.errstate(all="ignore"):
            return [np.concatenate([np.asarray(p[i], dtype) for p in pairs]) for i in (0, 1)]
    parts = [grid, bits, normal]
    if name in ("log", "log2", "log10", "log1p", "arccosh", "sqrt"):
        parts += [np.abs(bits), np.abs(normal), 1 + 0.1 * normal, np.abs(normal) * 30, 1 + power(ends, 3), 0.3 * normal]
    elif name in ("arcsin", "arccos", "arctanh"):
        parts += [rng.uniform(-1, 1, n), rng.uniform(-1, 1, n), 1 - power(ends, 0), power(ends, 0) - 1, 0.3 * normal, power(ends, 0)]
    else:
        parts += [normal * 30, normal * 0.3, normal * 300, normal * power(ends, 5), power(ends, 1)]
        # multiples of pi / 2
        parts += [rng.integers(-70000, 70000, n) * (math.pi / 2)] if name in ("sin", "cos", "tan") else [normal * 3]
    with np.errstate(all="ignore"):
        return [np.concatenate([np.asarray(p, dtype) for p in parts])]


# -- sweeps --------------------------------------------------------------------------------------------------------------------------------
def worst(name: str, operands: Sequence[np.ndarray], function: Callable[..., np.ndarray] | None = None) -> tuple[float, tuple[Any, ...]]:
    """The largest error, and the arguments that have it."""
    function = function or function_of(name, operands[0].dtype, operands[0].size)
    found = errors(function(*operands), exact(name, *operands))
    at = int(np.argmax(found))
    return float(found[at]), tuple(o[at].item() for o in operands)


def sampled(name: str, dtype: np.dtype, samples: int, seed: int = 0) -> tuple[float, tuple[Any, ...]]:
    """The largest error among so many arguments."""
    rng = np.random.default_rng(seed)
    found: tuple[float, tuple[Any, ...]] = (-1.0, ())
    done = 0
    functions: dict[int, Callable[..., np.ndarray]] = {}
    while done < samples:
        operands = arguments(name, dtype, min(32 * CHUNK, samples), rng)
        size = operands[0].size
        if size not in functions:
            functions[size] = function_of(name, dtype, size)
        found = max(found, worst(name, operands, functions[size]), key=lambda f: f[0])
        done += size
    return found


def _distance(lanes: scalars.Lanes, xs: Sequence[Any], given: np.dtype, result: np.dtype) -> Any:
    """What `errors` computes, of a float32 and a float64."""
    m = Arithmetic(lanes, F64)
    got, rounded = (m.builder.fpext(v, lanes.type(F64)) for v in (xs[0], m.builder.fptrunc(xs[1], lanes.type(F32))))
    place = m.of_pattern(m.builder.and_(m.pattern(rounded), m.pattern(m.number(math.inf))))
    distance = m.div(m.magnitude(m.sub(got, xs[1])), m.at_least(m.mul(place, 2.0**-23), 2.0**-149))
    same = m.either(
        m.builder.icmp_signed("==", m.pattern(got), m.pattern(rounded)), m.both(m.undefined(got, got), m.undefined(rounded, rounded))
    )
    finite = m.both(*[m.less(m.magnitude(v), math.inf) for v in (got, rounded)])
    counts = m.both(finite, m.either(m.differ(got, 0.0), m.differ(rounded, 0.0)))
    return m.select(counts, distance, m.select(same, 0.0, math.inf))


def largest_error_of(name: str, size: int) -> Callable[[np.ndarray, np.ndarray], float]:
    """The largest error of a function of float32, of arguments and exact results."""
    scalars.scalar("ulp_distance", "f")(_distance)
    k = Tensors(scalars.knows)
    operands = [Memory((size,), dtype, i) for i, dtype in enumerate(DTYPES)]
    largest = k.reduce("maximum", k.map("ulp_distance", k.map(name, operands[0]), operands[1], dtype=F64), (0,))
    kernel, extra = schedule.build([largest], operands)
    assert not extra
    call = _compiled(str(emit.write(kernel)[0]))

    def run(x: np.ndarray, expected: np.ndarray) -> float:
        result = np.empty(1)
        call(x, expected, result)
        return float(result[0])

    return run


def all_patterns(name: str, state: dict[str, Any]) -> Iterator[None]:
    """Goes on with the 2**32 arguments from `state`, which then has more of them done, a chunk at a time."""
    function, largest = function_of(name, F32, CHUNK), largest_error_of(name, CHUNK)
    # NumPy has no erf; ours of float64 is checked by itself
    wide = function_of(name, F64, CHUNK) if name == "erf" else None
    offsets = np.arange(CHUNK, dtype=np.uint32)
    while state["done"] < 1 << 32:
        x = (offsets + np.uint32(state["done"])).view(np.float32)
        with np.errstate(invalid="ignore"):
            expected = exact(name, x) if wide is None else wide(x.astype(np.float64))
        error = largest(x, expected)
        if error > state["error"]:
            found = errors(function(x), expected)
            state.update(error=error, at=x[int(np.argmax(found))].item())
            assert error == np.max(found)
        state["done"] += CHUNK
        yield


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(vectormath.FUNCTIONS), help="functions; default all")
    parser.add_argument("--samples", type=float, default=1e7, help="arguments per function and dtype (1e7)")
    parser.add_argument("--dtype", choices=["float32", "float64"], action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--all", action="store_true", help="every float32 argument, of functions of one operand")
    parser.add_argument("--state", type=Path, default=Path("ulp_sweep.json"), help="what --all has done")
    options = parser.parse_args()
    names = options.names or list(vectormath.FUNCTIONS)
    if not options.all:
        for name, dtype in itertools.product(names, options.dtype or ["float32", "float64"]):
            begin = time.perf_counter()
            error, at = sampled(name, np.dtype(dtype), int(options.samples), options.seed)
            print(
                f"{name:12} {dtype} {error:8.4f} ulp at {at} ({options.samples:.0e} samples, {time.perf_counter() - begin:.0f} s)",
                flush=True,
            )
        return
    states: dict[str, Any] = json.loads(options.state.read_text()) if options.state.exists() else {}
    for name in names:
        if name in BINARY:
            continue
        state = states.setdefault(name, {"done": 0, "error": -1.0, "at": None})
        for step, _ in enumerate(all_patterns(name, state)):
            if step % 2048 == 2047:
                options.state.write_text(json.dumps(states))
        options.state.write_text(json.dumps(states))
        print(f"{name:12} float32 {state['error']:8.4f} ulp at {state['at']!r} (all {state['done']} arguments)", flush=True)


if __name__ == "__main__":
    main()
