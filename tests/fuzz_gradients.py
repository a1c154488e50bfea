"""Random differentiable float64 programs as text, and their gradients of first and second order against central differences."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy
from fuzz_writer import Pick

import minpy_jit
import minpy_jit.numpy

NAMES = ("u", "v", "w")
SHAPES = ((), (1,), (3,), (4,), (2, 2), (2, 3), (1, 3))


@dataclass
class Program:
    """Statements of a function of `x` that gives a number, and the point."""

    statements: list[str]
    point: numpy.ndarray

    def source(self) -> str:
        """The function as text."""
        body = textwrap.indent("\n".join(self.statements) or "pass", "    ")
        return (
            f"def program(np, flush, x):\n    u, v, w = x * 1.0, np.sin(x), x\n{body}\n"
            "    return np.sum(np.tanh(u) * 1.5) + np.sum(np.cos(v)) + np.sum(np.sin(w + 0.5))\n"
        )

    def script(self) -> str:
        """A script that shows our gradients and the central differences."""
        return (
            'import os\nos.environ["NPY_PROMOTION_STATE"] = "weak"\n'
            "import numpy\nimport minpy_jit\nimport minpy_jit.numpy as np\n\n\n"
            f"{self.source()}\n\nx = numpy.array({self.point.tolist()!r})\n\n\n"
            "def plain(x):\n    return float(program(numpy, lambda *arrays: None, x))\n\n\n"
            "def ours(x):\n    return program(np, minpy_jit.flush, x)\n\n\n"
            "expected = numpy.zeros_like(x)\nfor i in numpy.ndindex(x.shape):\n    d = numpy.zeros_like(x)\n    d[i] = 1e-6\n"
            "    expected[i] = (plain(x + d) - plain(x - d)) / 2e-6\n"
            'print("differences", expected)\nfor mode in ("lazy", "lazy", "numpy", "eager"):\n    with minpy_jit.mode(mode):\n'
            "        print(mode, minpy_jit.grad(ours)(np.array(x)))\n"
            'print("traced", minpy_jit.grad(minpy_jit.trace(ours))(np.array(x)))\n'
            "inner = minpy_jit.grad(ours)\n"
            'print("second order", minpy_jit.grad(lambda p: np.sum(inner(p)))(np.array(x)))\n'
        )


class Writer:
    """Writes one program; statements are tried in NumPy as they are written, and left out where they do not fit."""

    def __init__(self, pick: Pick, length: int) -> None:
        self.pick = pick
        shape = self._choose(SHAPES)
        flat = [(self.pick(61) - 30) / 17.3 + 0.013 * (i + 1) for i in range(int(numpy.prod(shape)))]
        self.program = Program([], numpy.array(flat).reshape(shape))
        self.env: dict[str, Any] = {"np": numpy, "flush": lambda *arrays: None, "x": self.program.point}
        exec("u, v, w = x * 1.0, np.sin(x), x", self.env)
        for _ in range(length):
            self._add(self._statement())

    def _choose(self, options: Sequence[Any]) -> Any:
        return options[self.pick(len(options))]

    def _name(self) -> str:
        return self._choose(NAMES)

    def _add(self, text: str) -> None:
        names = {n: (self.env[n], numpy.array(self.env[n])) for n in NAMES}
        point = self.program.point.copy()
        try:
            with warnings.catch_warnings(), numpy.errstate(all="raise", under="ignore"):
                warnings.simplefilter("error")
                exec(compile(text, "<program>", "exec"), self.env)
            values = [self.env[n] for n in NAMES]
            fits = all(v.dtype == float and 0 < v.size <= 40 and v.ndim <= 4 and numpy.abs(v).max() < 20 for v in values)
            # the point is the caller's
            fits = fits and numpy.array_equal(self.program.point, point)
        except Exception:
            fits = False
        if fits:
            self.program.statements.append(text)
            return
        self.program.point[...] = point
        # what was written in place is undone, aliases are kept
        for name, (value, copy) in names.items():
            if isinstance(value, numpy.ndarray) and value.flags.writeable:
                value[...] = copy
            self.env[name] = value

    def _index(self) -> str:
        return self._choose(
            ("0", "-1", "1:", ":-1", "::-1", "...", ":, 0", "0, ...", "::2", "[0, -1]", "[1, 1, 0]", ":, None", "-1, 1:", "None")
        )

    def _unary(self, x: str) -> str:
        return self._choose(
            (
                "np.sin({})",
                "np.tanh({})",
                "np.exp(-{} * {})",
                "np.sqrt(1.0 + {} ** 2)",
                "-{}",
                "{} ** 2 * 0.3",
                "{} ** 3 * 0.1",
                "np.log1p({} * {})",
                "np.arctan({})",
                "1.0 / (2.0 + np.cos({}))",
                "np.square({}) / 3",
                "np.abs({})",
                "np.maximum({}, 0.1)",
                "np.clip({}, -0.7, 0.9)",
                "np.where({} > 0.2, {} * 2, np.sin({}))",
                "np.expm1({} * 0.3)",
                "(1.5 + np.tanh({})) ** {}",
            )
        ).replace("{}", x)

    def _moved(self, x: str) -> str:
        return self._choose(
            (
                f"{x}.T",
                f"{x}.reshape(-1)",
                f"{x}.ravel()",
                f"{x}[{self._index()}]",
                f"{x}[{self._index()}]",
                f"np.flip({x})",
                f"np.expand_dims({x}, 0)",
                f"np.squeeze({x})",
                f"np.broadcast_to({x}, (2, *{x}.shape))",
                f"np.roll({x}, 1)",
                f"np.tile({x}, 2)",
                f"np.repeat({x}, 2, axis=0)",
                f"np.concatenate([{x}, {self._name()}])",
                f"np.stack(({x}, {x} * 2))",
                f"np.sort({x})",
                f"{x}.copy()",
                f"np.take({x}, [0, 0], axis=-1)",
                f"np.diff({x})",
                f"np.pad({x}, 1)",
                f"np.tril({x})",
                f"np.diagonal({x})",
                f"np.array_split({x}, 2)[0]",
                f"np.vstack([{x}, {x}])",
                f"np.append({x}, {self._name()})",
                f"np.swapaxes({x}, 0, -1)",
            )
        )

    def _reduced(self, x: str) -> str:
        axis = self._choose(("None", "0", "-1"))
        keep = self._choose(("", ", keepdims=True"))
        name = self._choose(("sum", "mean", "max", "min", "prod", "std", "var", "cumsum", "sum"))
        if name == "cumsum":
            keep = ""
        if name in ("std", "prod"):
            # a spread is not differentiable where it is zero: two elements at least, far apart
            wide = f"np.append({x} * {x}, [7.0, 11.0])"
            return f"np.{name}({wide}, axis={axis}{keep}) * 0.1"
        return f"np.{name}({x}, axis={axis}{keep})"

    def _product(self, x: str, y: str) -> str:
        return self._choose(
            (
                f"{x} @ {y}",
                f"np.dot({x}, {y})",
                f"{x} @ {x}.T",
                f"np.outer({x}, {y}) * 0.3",
                f"np.einsum('...i,...i->...', {x}, {y})",
                f"np.tensordot({x}, {y}, axes=1)",
                f"np.inner({x}, {y})",
                f"np.linalg.norm({x} + 3.0) * 0.2",
            )
        )

    def _statement(self, depth: int = 0) -> str:
        t, x, y = self._name(), self._name(), self._name()
        kind = self.pick(18)
        if kind < 3:
            return f"{t} = {self._unary(x)}"
        if kind < 5:
            return f"{t} = {self._moved(x)}"
        if kind == 5:
            return f"{t} = {self._reduced(x)}"
        if kind == 6:
            return f"{t} = {self._product(x, y)}"
        if kind == 7:
            form = self._choose(
                (
                    f"{x} * {y}",
                    f"{x} + {y}",
                    f"{x} - {y}",
                    f"{x} / (3.0 + np.sin({y}))",
                    f"np.maximum({x}, {y})",
                    f"np.hypot({x}, {y} + 2)",
                    f"np.arctan2({x}, {y} + 5)",
                    f"np.logaddexp({x}, {y})",
                )
            )
            return f"{t} = {form}"
        if kind < 10:
            key = self._index()
            value = self._choose((x, f"{x}.sum()", "0.3", f"{x}[{self._index()}]", f"np.sin({t}[{key}])", f"{t}[{key}] * {t}[{key}]"))
            if key[0] == "[" and value[0] == t and " " not in value:
                # whether integer arrays write before all is read NumPy leaves open
                value = f"{value}.copy()"
            return f"{t}[{key}] {self._choose(('=', '=', '*=', '+='))} {value}"
        if kind == 10:
            return self._choose(
                (f"{t} += {y}", f"{t} *= {y}", f"{t} -= np.sin({y})", f"{t} *= 0.5", f"{t} /= 2.0", f"{t} += 0.1 * {t}.T", f"{t} **= 2")
            )
        if kind == 11:
            return self._choose(
                (
                    f"{t}[1:] = {t}[:-1]",
                    f"{t}[::-1] += {t}",
                    f"{t}[0], {t}[-1] = {t}[-1] * 1.0, {t}[0] * 1.0",
                    f"{t}[:] = {t}[::-1] * {t}",
                    f"{t}[{t} > 0.1] = {self._choose(('0.2', f'{t}[{t} > 0.1] * 0.5'))}",
                    f"{t}[{t} > 0.1] *= 0.7",
                    f"{t} = {x}[{x} > -0.3]",
                    f"np.add({t}, {y}, out={t})",
                    f"np.add.at({t}, [0, 0], {y}.sum())",
                    f"np.multiply({t}, 0.4, out={t}[...])",
                )
            )
        if kind == 12:
            return f"{t} = {y}"
        if kind == 13:
            return self._choose(("flush()", f"str({x})", f"float({x}.sum())", f"flush({x})", f"{x}.tolist()"))
        if kind == 14:
            body = f"    p = {self._unary('p')}\n    q = q * 0.5 + p\n    q[...] = q * p\n    return q"
            return f"def inner(p, q):\n{body}\n{t} = inner({x}, {y})"
        if depth > 1:
            return f"{t} = {self._unary(x)}"
        if kind == 15:
            return f"for i in range({1 + self.pick(3)}):\n{textwrap.indent(self._statement(depth + 1), '    ')}"
        if kind == 16:
            one, other = self._statement(depth + 1), self._statement(depth + 1)
            return f"if {x}.sum() > 0.37:\n{textwrap.indent(one, '    ')}\nelse:\n{textwrap.indent(other, '    ')}"
        return f"{t} = {self._unary(x)}\nview = {t}[{self._index()}]\nview *= {self._choose((y, '1.3', 'np.cos(view)'))}"


def _differences(function: Callable[[Any], Any], point: numpy.ndarray, step: float) -> Any:
    made = numpy.zeros_like(point)
    for index in numpy.ndindex(point.shape):
        away = numpy.zeros_like(point)
        away[index] = step
        made[index] = (function(point + away) - function(point - away)) / (2 * step)
    return made


def check(program: Program) -> str | None:
    """Compare gradients in every mode; what went wrong, or None. Where the function has a kink nearby there is nothing to compare."""
    scope: dict[str, Any] = {}
    exec(compile(program.source(), "<program>", "exec"), scope)
    body = scope["program"]

    def plain(x: Any) -> Any:
        return float(body(numpy, lambda *arrays: None, x))

    def ours(x: Any) -> Any:
        return body(minpy_jit.numpy, minpy_jit.flush, x)

    with warnings.catch_warnings(), numpy.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            value = plain(program.point.copy())
            expected = _differences(plain, program.point, 1e-6)
            coarse = _differences(plain, program.point, 1e-5)
        except Exception:
            # a mask of another length
            return None
        if not numpy.isfinite(expected).all() or not numpy.allclose(expected, coarse, rtol=1e-4, atol=1e-5):
            return None
        scale = max(1.0, float(numpy.abs(expected).max()))
        if scale > 1e4:
            return None
        gradient = minpy_jit.grad(ours)
        direction = numpy.cos(numpy.arange(1.0, 1.0 + program.point.size)).reshape(program.point.shape)

        def along(x: Any) -> Any:
            return minpy_jit.numpy.sum(gradient(x) * minpy_jit.numpy.array(direction))

        traced = minpy_jit.trace(ours)
        forms: tuple[tuple[str, str, Any], ...] = (
            ("lazy", "lazy", gradient),
            ("lazy again", "lazy", gradient),
            ("grad(trace(f))", "lazy", minpy_jit.grad(traced)),
            ("trace(grad(f))", "lazy", minpy_jit.trace(gradient)),
            ("trace(grad(f)) again", "lazy", minpy_jit.trace(gradient)),
            ("numpy", "numpy", gradient),
            ("eager", "eager", gradient),
        )
        for name, mode, form in forms:
            with minpy_jit.mode(mode) if mode != "lazy" else nullcontext():
                try:
                    found = form(minpy_jit.numpy.array(program.point)).asnumpy()
                    again = float(ours(minpy_jit.numpy.array(program.point)))
                except Exception as error:
                    if "is read-only" in str(error) and ".at(" in program.script():
                        # ufunc.at of NumPy 1.26 writes to read-only arrays
                        return None
                    return f"{name}: raised {error!r}"
            if not numpy.allclose(found, expected, rtol=1e-4, atol=1e-5 * scale):
                return f"{name}: {found}; differences {expected}"
            if not numpy.isclose(again, value, rtol=1e-9, atol=1e-9):
                return f"{name}: value {again}; NumPy {value}"

        def first(x: numpy.ndarray) -> Any:
            with minpy_jit.mode("numpy"):
                return gradient(minpy_jit.numpy.array(x)).asnumpy()

        fine, rough = ((first(program.point + h * direction) - first(program.point - h * direction)) / (2 * h) for h in (1e-6, 1e-5))
        scale = max(1.0, float(numpy.abs(fine).max()))
        if not numpy.isfinite(fine).all() or not numpy.allclose(fine, rough, rtol=1e-4, atol=1e-5 * scale) or scale > 1e4:
            return None
        second = minpy_jit.grad(along)
        for name, mode, form in (
            ("second order, lazy", "lazy", second),
            ("second order, again", "lazy", second),
            ("second order, traced", "lazy", minpy_jit.trace(second)),
            ("second order, eager", "eager", second),
        ):
            with minpy_jit.mode(mode) if mode != "lazy" else nullcontext():
                try:
                    found = form(minpy_jit.numpy.array(program.point)).asnumpy()
                except Exception as error:
                    return f"{name}: raised {error!r}"
            if not numpy.allclose(found, fine, rtol=1e-3, atol=1e-4 * scale):
                return f"{name}: {found}; differences {fine}"
    return None


def shrink(program: Program) -> Program:
    """The program without the statements that its failure does not need."""
    k = len(program.statements) - 1
    while k >= 0:
        smaller = Program(program.statements[:k] + program.statements[k + 1 :], program.point)
        failing = check(smaller)
        if failing is not None and "Name" not in failing and "Unbound" not in failing:
            program = smaller
        k -= 1
    return program
