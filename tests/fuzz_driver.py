"""Random NumPy programs as text: written statement by statement against NumPy's own state, run in every mode, and compared.

A program is a function `program(np, flush, log, a, b, c, s, k)`, so that the same source runs with NumPy and with ours, with other values
the next time, and a failing one can be printed as a script.
"""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy

import minpy_jit
import minpy_jit.numpy
from minpy_jit.trace.handle import Handle

NAMES = ("a", "b", "c", "d", "e")
SHAPES = ((), (1,), (3,), (4,), (0,), (2, 3), (3, 3), (1, 3), (3, 1), (2, 0), (2, 3, 2), (1, 2, 3))
DTYPES = ("float64", "float32", "int64", "bool")
MAX_SIZE = 150
# beyond this, rounding errors of inexact values are not worth comparing
LARGE = 1e6

# NumPy takes what we refuse, or the other way round
TOLERATED = (
    "cannot convert float",  # a nan for an integer array raises if it is a scalar; here nobody looks at it
    "setting an array element",  # NumPy stores the truth of an empty array in a bool array, with a warning
    "boolean dimension is 0",  # NumPy takes a mask of no element for any axis
    "[add_at] shape mismatch",  # of two faults NumPy names the index
    ",0)",  # NumPy takes any value for no place
)
# a number below n
Pick = Callable[[int], int]


@dataclass
class Program:
    """Statements, values of the inputs (two sets of the same types), and what is known about the results."""

    statements: list[str]
    inputs: list[dict[str, Any]]
    inexact: set[str] = field(default_factory=set)
    largest: float = 1.0

    def source(self) -> str:
        """The function as text."""
        body = textwrap.indent("\n".join(self.statements) or "pass", "    ")
        return f"def program(np, flush, log, a, b, c, s, k):\n    d, e = a, b\n{body}\n    return a, b, c, d, e\n"

    def script(self) -> str:
        """A script that shows what NumPy and each of our modes make of it."""
        sets = ",\n".join("    dict(" + ", ".join(f"{n}={_literal(v)}" for n, v in values.items()) + ")" for values in self.inputs)
        return (
            'import os\nos.environ["NPY_PROMOTION_STATE"] = "weak"\n'
            "import numpy\nfrom numpy import inf, nan\nimport minpy_jit\nimport minpy_jit.numpy\n\n\n"
            f"{self.source()}\n\nSETS = [\n{sets},\n]\n\n\n"
            "def show(np, run, values):\n"
            "    given = {n: np.array(v) if isinstance(v, numpy.ndarray) else v for n, v in values.items()}\n"
            "    flush = minpy_jit.flush if np is not numpy else lambda *arrays: None\n"
            '    return [repr(numpy.asarray(x)) for x in run(np, flush, lambda x: print("  log", numpy.asarray(x)), **given)]\n\n\n'
            'numpy.seterr(all="ignore")\nfor turn in (0, 0, 1):\n'
            '    print("numpy", *show(numpy, program, SETS[turn]), sep="\\n  ")\n'
            '    for mode in ("lazy", "numpy", "eager"):\n        with minpy_jit.mode(mode):\n'
            '            print(mode, *show(minpy_jit.numpy, program, SETS[turn]), sep="\\n  ")\n'
            '    print("trace", *show(minpy_jit.numpy, minpy_jit.trace(program), SETS[turn]), sep="\\n  ")\n'
        )


def _literal(value: Any) -> str:
    if isinstance(value, numpy.ndarray):
        return f"numpy.array({value.tolist()!r}, dtype={str(value.dtype)!r}).reshape({value.shape})"
    return repr(value)


# -- writing -----------------------------------------------------------------------------------------------------------------------------
class Writer:
    """Writes one program. Each statement is run in NumPy at once, so that the next one can fit the shapes that there are.

    Of each variable it knows whether its bits are determined (`+ - * /` and what only moves elements) or depend on the order of sums or
    on a library's exp: on the latter nothing is written that jumps (comparisons, floor, sort ...).
    """

    def __init__(self, pick: Pick, length: int) -> None:
        self.pick = pick
        first = {name: self._values(self._choose(SHAPES), self._choose(DTYPES)) for name in "abc"}
        second = {n: numpy.array(numpy.flip(~v if v.dtype == bool else -v)) for n, v in first.items()}
        numbers = {"s": self._choose((0.5, -1.5, 2.0, 0.0, -0.0)), "k": self._choose((0, 1, 2, -1))}
        self.program = Program([], [{**first, **numbers}, {**second, "s": numbers["s"] + 1.0, "k": 1 - numbers["k"]}])
        self.env: dict[str, Any] = {n: v.copy() for n, v in first.items()}
        self.env.update(np=numpy, flush=lambda *arrays: None, log=lambda value: None, d=self.env["a"], e=self.env["b"], **numbers)
        with numpy.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(length):
                self._statement()

    def _choose(self, options: Sequence[Any]) -> Any:
        return options[self.pick(len(options))]

    def _values(self, shape: tuple[int, ...], dtype: str) -> Any:
        # sums and products of these are exact for a while, so most programs are compared bit for bit
        values = numpy.array((0.0, 1.0, -1.0, 2.0, -0.0, 0.5, 3.0, -2.5, 7.0, -3.0, 0.25, 5.0, 1.5, -4.0, 6.0))
        flat = [values[self.pick(len(values))] for _ in range(int(numpy.prod(shape)))]
        made = numpy.array(flat).reshape(shape)
        if dtype[0] == "f" and made.size and self.pick(12) == 0:
            made.reshape(-1)[self.pick(made.size)] = self._choose((numpy.nan, numpy.inf, -numpy.inf))
        return numpy.asarray(made > 0) if dtype == "bool" else made.astype(dtype)

    # -- names and their types -------------------------------------------------------------------------------------------------------------
    def _name(self) -> str:
        return self._choose(NAMES)

    def _exact(self) -> str:
        """An expression whose bits are determined."""
        exact = [n for n in NAMES if n not in self.program.inexact]
        return self._choose(exact) if exact else "(np.arange(6.0).reshape(2, 3) - 2)"

    def _is_exact(self, *names: str) -> bool:
        return not self.program.inexact.intersection(names)

    def _of(self, expression: str) -> Any:
        return self.env[expression] if expression in self.env else numpy.arange(6.0).reshape(2, 3)

    def _number(self) -> str:
        return self._choose(("2", "0.5", "s", "k", "-1", "np.float32(1.5)", "3", "np.float64(0.25)", "True", "np.int64(2)", "-0.0", "1.0"))

    def _operand(self, exact: bool = False) -> str:
        if self.pick(3) == 0:
            return self._number()
        return self._exact() if exact else self._name()

    def _axis(self, ndim: int) -> str:
        if ndim == 0 or self.pick(4) == 0:
            return "None"
        return str(self.pick(ndim + 1) - 1)

    # -- indices ---------------------------------------------------------------------------------------------------------------------------
    def _slice(self, n: int) -> str:
        return self._choose((":", "1:", ":-1", "::-1", "::2", f":{max(n - 1, 0)}", "1:2", "-2:", "k:", "0:0", "k:k+1", "::-2"))

    def _basic(self, shape: tuple[int, ...]) -> str:
        parts = []
        for n in shape[: self.pick(len(shape) + 1) + (1 if shape and self.pick(2) else 0)]:
            kind = self.pick(5)
            if kind == 0:
                parts.append("None")
            parts.append(self._choose(("0", "-1", "k")) if kind in (1, 2) and n else self._slice(n))
        if self.pick(5) == 0:
            parts.insert(self.pick(len(parts) + 1), "...")
        return ", ".join(parts) or "..."

    def _advanced(self, name: str, shape: tuple[int, ...]) -> str:
        if not shape:
            return self._choose(("...", "()", "None"))
        kind = self.pick(6)
        if kind == 0 and name in NAMES and self._is_exact(name):
            return f"{name} > {self._choose(('0', '1', 's'))}"
        if kind == 1:
            n = shape[0]
            return f"np.arange({n}) % 2 == {self.pick(2)}"
        parts = []
        for n in shape[: 1 + self.pick(len(shape))]:
            if self.pick(3) == 0 or n == 0:
                parts.append(self._slice(n))
            elif self.pick(4) == 0:
                parts.append(self._choose(("0", "-1")))
            else:
                m = 2 if kind < 5 else self._choose((1, 3))
                found = [self.pick(2 * n) - n for _ in range(m)]
                parts.append(f"np.array({found})" if self.pick(2) else str(found))
        return ", ".join(parts)

    def _key(self, name: str) -> str:
        shape = numpy.shape(self._of(name))
        return self._basic(shape) if self.pick(3) else self._advanced(name, shape)

    # -- statements ------------------------------------------------------------------------------------------------------------------------
    def _statement(self) -> None:
        kinds = (
            self._arithmetic,
            self._arithmetic,
            self._function,
            self._jumping,
            self._reduction,
            self._shaping,
            self._shaping,
            self._read,
            self._read,
            self._write,
            self._write,
            self._write,
            self._inplace,
            self._inplace,
            self._overlap,
            self._alias,
            self._joining,
            self._ordering,
            self._product,
            self._fallback,
            self._observer,
        )
        text, target, exact = self._choose(kinds)()
        shape = self.pick(12)
        if shape == 0 and self._is_exact("a"):
            condition = self._choose(
                ("np.sum(a == a) > 1", "(a > 0).any()", "s > 0", "a.size and a.reshape(-1)[0] > 0", "bool(np.all(a < 2))")
            )
            other = self._choose(("pass", f"{self._name()} = {self._exact()} * 2"))
            text = f"if {condition}:\n{textwrap.indent(text, '    ')}\nelse:\n    {other}"
        elif shape == 1:
            text = f"for k in range({self.pick(3) + 1}):\n{textwrap.indent(text, '    ')}"
        self._add(text, target, exact)

    def _add(self, text: str, targets: tuple[str, ...], exact: bool) -> None:
        names = {n: self.env[n] for n in (*NAMES, "k")}
        try:
            exec(compile(text, "<program>", "exec"), self.env)
        except (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError):
            text = f"try:\n{textwrap.indent(text, '    ')}\nexcept Exception as error:\n    log(error)"
        if any(not isinstance(self.env[n], (numpy.ndarray, numpy.generic)) or self.env[n].dtype.kind not in "fiub" for n in NAMES):
            self.env.update(names)
            return
        self.program.statements.append(text)
        inexact = self.program.inexact
        for target in targets:
            value = self.env[target]
            integral = value.dtype.kind != "f"
            if exact and value is not names[target] and not text.startswith("if "):
                # written anew, whatever the values are
                inexact.discard(target)
            if not exact and not integral:
                inexact.add(target)
                for other in NAMES:
                    if isinstance(value, numpy.ndarray) and numpy.may_share_memory(self.env[other], value):
                        inexact.add(other)
        for name in NAMES:
            value = self.env[name]
            if value.size and value.dtype.kind == "f":
                finite = numpy.abs(value[numpy.isfinite(value)])
                if finite.size:
                    self.program.largest = max(self.program.largest, float(finite.max()))
            if value.size > MAX_SIZE or value.ndim > 4:
                self._add(f"{name} = {name}.reshape(-1)[:6].copy()", (name,), name not in inexact)

    def _arithmetic(self) -> tuple[str, tuple[str, ...], bool]:
        t, x = self._name(), self._name()
        y = self._operand()
        op = self._choose(("+", "-", "*", "+", "-", "*", "/"))
        exact = self._is_exact(x, y)
        if op == "/" and not exact:
            op = "*"
        if self.pick(4) == 0:
            x, y = y, x
        if self.pick(4) == 0:
            name = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}[op]
            return f"{t} = np.{name}({x}, {y})", (t,), exact
        return f"{t} = {x} {op} {y}", (t,), exact

    def _function(self) -> tuple[str, tuple[str, ...], bool]:
        t, x = self._name(), self._name()
        exact = self._is_exact(x)
        kind = self.pick(4)
        if kind == 0:
            name = self._choose(("exp", "sin", "tanh", "log1p", "expm1", "cbrt", "arctan", "cosh", "log", "exp2"))
            inner = (
                f"np.abs({x}) + 1" if name.startswith("log") else f"np.clip({x}, -4, 4)" if name in ("exp", "expm1", "cosh", "exp2") else x
            )
            return f"{t} = np.{name}({inner})", (t,), False
        if kind == 1:
            name = self._choose(("negative", "absolute", "square", "conjugate", "positive", "fabs"))
            return f"{t} = np.{name}({x})", (t,), exact
        if kind == 2:
            form = self._choose(("-{}", "abs({})", "+{}", "{} ** 2", "{} * {}", "{} - {}", "np.sqrt(np.abs({}) + 1)"))
            return f"{t} = {form.replace('{}', x)}", (t,), exact
        y = self._operand()
        name = self._choose(("maximum", "minimum", "fmax", "fmin", "hypot", "logaddexp"))
        return f"{t} = np.{name}({x}, {y})", (t,), exact and self._is_exact(y) and name[0] in "mf"

    def _jumping(self) -> tuple[str, tuple[str, ...], bool]:
        t, x, y = self._name(), self._exact(), self._operand(exact=True)
        kind = self.pick(5)
        if kind == 0:
            return f"{t} = {x} {self._choose(('<', '<=', '>', '>=', '==', '!='))} {y}", (t,), True
        if kind == 1:
            name = self._choose(("floor", "ceil", "rint", "sign", "trunc", "isnan", "isfinite", "logical_not", "signbit", "isinf"))
            return f"{t} = np.{name}({x})", (t,), True
        if kind == 2:
            return f"{t} = {x} {self._choose(('//', '%', '&', '|', '^', '<<', '>>'))} {y}", (t,), True
        if kind == 3:
            dtype = self._choose(("int64", "float32", "float64", "bool", "int32", "uint8"))
            inner = f"np.nan_to_num(np.clip({x}, 0, 100))" if dtype[0] in "iu" else x
            return f"{t} = {inner}.astype('{dtype}')", (t,), True
        name = self._choose(
            ("logical_and", "logical_xor", "fmod", "floor_divide", "remainder", "copysign", "greater", "not_equal", "heaviside")
        )
        return f"{t} = np.{name}({x}, {y})", (t,), True

    def _reduction(self) -> tuple[str, tuple[str, ...], bool]:
        t = self._name()
        name = self._choose(
            ("sum", "mean", "prod", "max", "min", "all", "any", "argmax", "argmin", "var", "std", "cumsum", "cumprod", "ptp")
        )
        jumps = name.startswith(("arg", "a"))
        x = self._exact() if jumps else self._name()
        axis = self._axis(numpy.ndim(self._of(x)))
        keep = ", keepdims=True" if self.pick(3) == 0 and not name.startswith(("cum", "ptp")) else ""
        call = f"np.{name}({x}, axis={axis}{keep})" if self.pick(2) else f"{x}.{name}(axis={axis}{keep})"
        return f"{t} = {call}", (t,), jumps or (name in ("max", "min") and self._is_exact(x))

    def _shaping(self) -> tuple[str, tuple[str, ...], bool]:
        t, x = self._name(), self._name()
        value = self._of(x)
        ndim, size, shape = numpy.ndim(value), numpy.size(value), numpy.shape(value)
        whole = [s for s in ((size,), (-1,), (size, 1), (1, size), (2, -1), (3, -1), (-1, 2), ()) if -1 in s or numpy.prod(s) == size]
        perm = list(range(ndim))
        for i in range(ndim):
            j = self.pick(ndim)
            perm[i], perm[j] = perm[j], perm[i]
        text = self._choose(
            (
                f"{x}.T",
                f"{x}.reshape({self._choose(whole)})",
                f"np.reshape({x}, {self._choose(whole)}, order='F')",
                f"{x}.ravel()",
                f"{x}.flatten()",
                f"np.transpose({x}, {tuple(perm)})",
                f"np.flip({x}, {self._axis(ndim)})",
                f"np.squeeze({x})",
                f"np.expand_dims({x}, {self.pick(ndim + 1)})",
                f"np.broadcast_to({x}, {(2, *shape)})",
                f"np.roll({x}, k, axis={self._axis(ndim)})",
                f"np.repeat({x}, 2, axis={self._axis(ndim)})",
                f"np.tile({x}, 2)",
                f"np.swapaxes({x}, 0, -1)",
                f"np.atleast_2d({x})",
                f"np.diagonal({x})",
                f"np.rot90({x})",
                f"np.diff({x})",
                f"np.asarray({x})",
                f"np.ascontiguousarray({x})",
                f"np.tril({x})",
                f"np.pad({x}, 1)",
                f"np.zeros_like({x})",
                f"np.ones_like({x}) * k",
                f"np.full_like({x}, {self._choose(('1', 's', 'True'))})",
                f"{x}.squeeze()",
                f"{x}.swapaxes(0, -1)",
                f"{x}.real",
            )
        )
        return f"{t} = {text}", (t,), self._is_exact(x)

    def _read(self) -> tuple[str, tuple[str, ...], bool]:
        t, x = self._name(), self._name()
        key = self._key(x)
        if self.pick(8) == 0:
            key = f"{key}][{self._choose(('0', '...', '::-1', '1:'))}"
        if self.pick(8) == 0 and numpy.ndim(self._of(x)):
            return f"{t} = np.take({x}, [0, -1], axis={self.pick(numpy.ndim(self._of(x)))})", (t,), self._is_exact(x)
        return f"{t} = {x}[{key}]", (t,), self._is_exact(x)

    def _write(self) -> tuple[str, tuple[str, ...], bool]:
        t = self._name()
        key = self._key(t)
        kind = self.pick(6)
        if kind == 0:
            value = self._number()
        elif kind == 1:
            value = f"{t}[{key}] {self._choose('+-*')} {self._choose(('1', 's', '2'))}"
        elif kind in (2, 3):
            value = self._name()
            try:
                found = numpy.shape(self.env[t][eval(f"np.s_[{key}]", self.env)])
                if numpy.ndim(self.env[value]) and found and self.pick(2):
                    value = f"{value}.sum(axis=0)" if self.pick(3) == 0 else f"{value}.reshape(-1)[:1]"
            except Exception:
                pass
        elif kind == 4:
            op = self._choose("+-*")
            value = self._operand()
            return f"{t}[{key}] {op}= {value}", (t,), self._is_exact(t, value)
        else:
            value = f"{t}[{self._key(t)}]"
        if (
            value[0] in NAMES
            and value[1:2] in ("", "[", ".")
            and not any(f" {op} " in value for op in "+-*")
            and ("[" in key or "arange" in key or ">" in key)
        ):
            # whether integer arrays write before all is read NumPy leaves open: x[[1, 2]] = x[:2]
            value += ".copy()"
        names = [n for n in NAMES if value.startswith(n) and not value.startswith("np")]
        return f"{t}[{key}] = {value}", (t,), self._is_exact(t, *names) and ".sum" not in value

    def _inplace(self) -> tuple[str, tuple[str, ...], bool]:
        t, y = self._name(), self._operand()
        kind = self.pick(9)
        exact = self._is_exact(t, y)
        if kind < 4:
            op = self._choose(("+", "-", "*", "/") if exact else ("+", "-", "*"))
            return f"{t} {op}= {y}", (t,), exact
        if kind == 4:
            x = self._name()
            name = self._choose(("add", "subtract", "multiply", "maximum"))
            return f"np.{name}({x}, {y}, out={t})", (t,), exact and self._is_exact(x)
        if kind == 5:
            return self._choose((f"{t}.fill({self._number()})", f"np.copyto({t}, {y})", f"{t}[...] = {y}")), (t,), exact
        if kind == 6:
            x = self._exact()
            return f"np.add({t}, {y}, out={t}, where={x} > 0)", (t,), exact
        if kind == 7 and numpy.ndim(self.env[t]) == 1 and numpy.size(self.env[t]) > 1:
            return f"np.add.at({t}, [0, 1, 0], {y})", (t,), exact
        # of `t **= t` NumPy leaves a part behind where a negative exponent stops it
        op, y = self._choose((("**=", "2"), *((op, self._operand(exact=True)) for op in ("//=", "%=", "&=", "|="))))
        return (f"{t} {op} {y}", (t,), True) if self._is_exact(t) else (f"{t} += 1", (t,), False)

    def _overlap(self) -> tuple[str, tuple[str, ...], bool]:
        t = self._name()
        text = self._choose(
            (
                f"{t}[1:] = {t}[:-1]",
                f"{t}[:-1] = {t}[1:]",
                f"{t}[::-1] = {t}",
                f"{t} += {t}.T",
                f"{t}[1:] += {t}[:-1]",
                f"{t}[0], {t}[-1] = {t}[-1], {t}[0]",
                f"{t}[:] = {t}[::-1]",
                f"{t} -= {t}[::-1]",
                f"{t}.T[...] = {t}",
                f"{t} *= {t}",
                f"{t}[:2][::-1][...] = {t}[:2]",
                f"{t}.reshape(-1)[::2] = {t}.reshape(-1)[0]",
                f"{t}.ravel()[1:] += {t}.ravel()[:-1]",
                f"np.add({t}[1:], {t}[:-1], out={t}[1:])",
                f"np.subtract({t}, {t}[::-1], out={t})",
            )
        )
        return text, (t,), self._is_exact(t)

    def _alias(self) -> tuple[str, tuple[str, ...], bool]:
        t, x = self._name(), self._name()
        text = self._choose(
            (f"{t} = {x}", f"{t} = {x}", f"{t} = {x}.copy()", f"{t} = np.array({x})", f"{t} = {x}[...]", f"{t} = {x}.view()")
        )
        return text, (t,), self._is_exact(x)

    def _joining(self) -> tuple[str, tuple[str, ...], bool]:
        t, x, y = self._name(), self._name(), self._name()
        if self.pick(2):
            y = x
        axis = self._choose(("0", "-1", "1"))
        text = self._choose(
            (
                f"np.concatenate(({x}, {y}), axis={axis})",
                f"np.stack([{x}, {y}], axis={axis})",
                f"np.vstack([{x}, {y}])",
                f"np.hstack(({x}, {y}))",
                f"np.where({self._exact()} > 0, {x}, {y})",
                f"np.where({self._exact()}, {x}, np.float64(0.25))",
                f"np.clip({x}, {self._choose(('-1', '0.5', 'None', 's'))}, {self._choose(('2', '1.5'))})",
                f"np.append({x}, {y})",
                f"np.concatenate([{x}, {y}], axis=None)",
                f"np.array([{x}, {y}])",
                f"np.array_split(np.atleast_1d({x}), 2)[0]",
                f"np.select([{self._exact()} > 1, {self._exact()} < 0], [{x}, {y}], np.float64(7))",
            )
        )
        return f"{t} = {text}", (t,), self._is_exact(x, y)

    def _ordering(self) -> tuple[str, tuple[str, ...], bool]:
        t, x = self._name(), self._exact()
        if self.pick(4) == 0 and x in NAMES:
            return f"{x}.sort()", (x,), True
        text = self._choose(
            (
                f"np.sort({x}, axis={self._axis(numpy.ndim(self._of(x)))})",
                f"np.argsort({x}, kind='stable')",
                f"np.unique({x})",
                f"np.nonzero({x})[0]",
                f"np.searchsorted([-1.0, 0.0, 2.0], {x})",
                f"np.count_nonzero({x})",
                f"np.isin({x}, [0, 1])",
                f"np.flatnonzero({x} > 0)",
                f"np.nan_to_num({x})",
                f"np.argwhere({x} > 0)",
            )
        )
        return (f"{t} = {text}", (t,), True) if "count_nonzero" not in text else (f"log({text})", (), True)

    def _product(self) -> tuple[str, tuple[str, ...], bool]:
        t, x, y = self._name(), self._name(), self._name()
        text = self._choose(
            (
                f"{x} @ {y}",
                f"np.dot(np.atleast_1d({x}), np.atleast_1d({y}))",
                f"{x} @ {x}.T",
                f"np.matmul({x}, {y})",
                f"np.outer({x}, {y})",
                f"np.inner(np.atleast_1d({x}), np.atleast_1d({y}))",
                f"np.einsum('...i->...', {x})",
                f"np.tensordot(np.atleast_1d({x}), np.atleast_1d({y}), axes=1)",
                f"np.vdot({x}, {y})",
                f"np.trace({x})",
                f"np.kron({x}, {y})",
            )
        )
        return f"{t} = {text}", (t,), False

    def _fallback(self) -> tuple[str, tuple[str, ...], bool]:
        t, x = self._name(), self._exact()
        text = self._choose(
            (
                f"np.linalg.svd(np.nan_to_num({x}.astype(float)), compute_uv=False)",
                f"np.median({x})",
                f"np.interp({x}, [-1.0, 0.0, 2.0], [3.0, 4.0, 5.0])",
                f"np.percentile({x}, 30)",
                f"np.nanmax({x})",
                f"np.gradient({x}.reshape(-1).astype(float))",
                f"np.trapz(np.atleast_1d({x}))",
                f"np.convolve({x}.reshape(-1), [1.0, -1.0])",
                f"np.nansum({x})",
                f"np.average({x})",
            )
        )
        return f"{t} = {text}", (t,), False

    def _observer(self) -> tuple[str, tuple[str, ...], bool]:
        x = self._name()
        exact = self._exact()
        text = self._choose(
            (
                "flush()",
                f"flush({x})",
                f"str({x})",
                f"log({exact})",
                f"log(float({x}.sum()) * 0)",
                f"log(bool(np.any({exact})))",
                f"log({exact}.shape)",
                f"log(len({exact}))",
                f"{exact}.tolist()",
                f"log({exact}.max())",
                f"log(repr({exact}.dtype))",
            )
        )
        return text, (), True


# -- running -----------------------------------------------------------------------------------------------------------------------------
@dataclass
class Result:
    """What a run gave: an exception that it ended with, what it logged, and its variables."""

    error: Exception | None
    logged: list[Any]
    variables: list[Any]
    strides: list[tuple[int, ...]]


def _known(value: Any) -> Any:
    if isinstance(value, Handle):
        found = value.asnumpy()
        return found[()] if value.type.scalar else found
    return value.copy() if isinstance(value, numpy.ndarray) else value


def run(program: Program, np: Any, values: dict[str, Any], wrap: Callable[[Any], Any] | None = None, function: Any = None) -> Result:
    """Run a program with a namespace."""
    logged: list[Any] = []
    given = {n: np.array(v) if isinstance(v, numpy.ndarray) else v for n, v in values.items()}
    flush = minpy_jit.flush if np is not numpy else lambda *arrays: None
    with numpy.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = function(np, flush, lambda value: logged.append(_known(value)), **given)
            return Result(None, logged, [_known(v) for v in found], [v.strides for v in found])
        except Exception as error:
            return Result(error, logged, [], [])


def builtin_class(error: Exception) -> type:
    """The exception class of Python's own that an error is (`AxisError` and `UFuncTypeError` are details)."""
    return next(c for c in type(error).__mro__ if c.__module__ == "builtins")


def same(ours: Any, theirs: Any, tolerance: float) -> bool:
    """Whether two logged values or variables agree."""
    if isinstance(theirs, Exception):
        if not isinstance(ours, Exception):
            return False
        if "read-only" in str(theirs):
            return True
        if (type(theirs).__name__.startswith("UFunc") or "ArrayType" in str(theirs)) and isinstance(ours, (ValueError, TypeError)):
            # operands that do not broadcast, to a result that could not be written: of two faults either may be named
            return True
        return issubclass(builtin_class(ours), builtin_class(theirs)) or issubclass(builtin_class(theirs), builtin_class(ours))
    if not isinstance(theirs, (numpy.ndarray, numpy.generic)):
        return ours == theirs or (ours != ours and theirs != theirs)
    if isinstance(ours, numpy.ndarray) != isinstance(theirs, numpy.ndarray) or not isinstance(ours, (numpy.ndarray, numpy.generic)):
        return False
    if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
        return False
    if theirs.dtype.kind != "f" or tolerance == 0:
        return numpy.array_equal(ours, theirs, equal_nan=theirs.dtype.kind == "f")
    if tolerance == numpy.inf:
        return True
    scale = 1e-4  # values that were float32 on the way
    return numpy.allclose(ours, theirs, rtol=scale, atol=scale * tolerance, equal_nan=True)


def difference(program: Program, ours: Result, theirs: Result) -> str | None:
    """What the two runs disagree on, or None."""
    found = _difference(program, ours, theirs)
    raised = " ".join(str(e) for e in (*ours.logged, ours.error, *theirs.logged, theirs.error) if isinstance(e, Exception))
    return None if any(text in raised for text in TOLERATED) else found


def _difference(program: Program, ours: Result, theirs: Result) -> str | None:
    if ours.error is not None and "(recorded at" in str(ours.error):
        # a fault of values is found when they are computed
        raised = [e for e in (*theirs.logged, theirs.error) if isinstance(e, Exception)]
        return None if any(same(ours.error, e, 0) for e in raised) else f"raised {ours.error!r}; NumPy: {raised!r}"
    if (ours.error is None) != (theirs.error is None) or (theirs.error is not None and not same(ours.error, theirs.error, 0)):
        return f"raised {ours.error!r}; NumPy: {theirs.error!r}"
    for number, (left, right) in enumerate(zip(ours.logged, theirs.logged, strict=False)):
        if not same(left, right, 0):
            return f"log {number}: {left!r}; NumPy: {right!r}"
    if len(ours.logged) != len(theirs.logged):
        return f"logged {ours.logged!r}; NumPy: {theirs.logged!r}"
    loose = numpy.inf if program.largest > LARGE else program.largest * 4
    for name, left, right in zip(NAMES, ours.variables, theirs.variables, strict=True):
        if not same(left, right, loose if name in program.inexact else 0):
            return f"{name} = {left!r} ({left.dtype}); NumPy: {right!r} ({right.dtype})"
    for name, left, right, value in zip(NAMES, ours.strides, theirs.strides, theirs.variables, strict=True):
        if value.size > 1 and [p for p, n in zip(left, value.shape, strict=True) if n > 1] != [
            p for p, n in zip(right, value.shape, strict=True) if n > 1
        ]:
            return f"{name}.strides = {left}; NumPy: {right}"
    return None


MODES = ("lazy", "lazy", "lazy, other values", "lazy", "trace", "trace", "trace, other values", "numpy", "eager")


def check(program: Program, modes: Sequence[str] = MODES) -> str | None:
    """Run a program in every mode; what went wrong, or None."""
    scope: dict[str, Any] = {}
    exec(compile(program.source(), "<program>", "exec"), scope)
    function = scope["program"]
    theirs = [run(program, numpy, values, function=function) for values in program.inputs]
    traced = minpy_jit.trace(function)
    for mode in modes:
        turn = int("other" in mode)
        if turn and theirs[1].error is not None:
            continue
        kind = mode.split(",")[0]
        with minpy_jit.mode(kind) if kind in ("numpy", "eager") else nullcontext():
            ours = run(program, minpy_jit.numpy, program.inputs[turn], function=traced if kind == "trace" else function)
        found = difference(program, ours, theirs[turn])
        if found is not None:
            return f"{mode}: {found}"
    return None


def shrink(program: Program, modes: Sequence[str] = MODES) -> Program:
    """The program without the statements that its failure does not need."""
    k = len(program.statements) - 1
    while k >= 0:
        rest = program.statements[:k] + program.statements[k + 1 :]
        smaller = Program(rest, program.inputs, program.inexact, program.largest)
        try:
            failing = check(smaller, modes)
        except Exception:
            failing = None
        if failing is not None and "NameError" not in failing and "UnboundLocal" not in failing:
            program = smaller
            k = min(k, len(program.statements))
        k -= 1
    return program
