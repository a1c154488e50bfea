"""Random NumPy programs as text, written statement by statement against NumPy's own state, so that the next statement fits the shapes that
there are. fuzz_driver.py runs them."""

from __future__ import annotations

import re
import textwrap
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy
from fuzz_driver import NAMES, Program, Tools, plain_tools

SHAPES = ((), (1,), (3,), (4,), (0,), (2, 3), (3, 3), (1, 3), (3, 1), (2, 0), (2, 3, 2), (1, 2, 3))
# by weight: the first ones are those that MXNet takes
DTYPES = (
    *("float64", "float64", "float64", "float32", "float32", "int64", "int64", "bool", "bool"),
    *("int32", "int8", "uint8", "float16", "complex128", "complex64"),
)
MAX_SIZE = 150
# what the statements may raise; it is caught in the program, and logged
RAISED = (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError, AssertionError, KeyError, AttributeError)
# NumPy leaves to the processor what becomes of a float that an integer dtype does not hold
UNDEFINED = ("invalid value encountered in cast", "out-of-bound Python integers")
# what happens at a `point`, by number; None means nothing
ACTIONS = (None, None, None, "flush", "flush one", "see", "show", "hold", "drop")

# a number below n
Pick = Callable[[int], int]
# a statement, the variables that it gives a value, and whether that value's bits are determined where those of its operands are
Statement = tuple[str, tuple[str, ...], bool]


class Writer:
    """Writes one program. Each statement is run in NumPy at once, so that the next one can fit the shapes that there are.

    Of each variable it knows whether its bits are determined (`+ - * /` and what only moves elements) or depend on the order of sums or
    on a library's exp: on the latter nothing is written that jumps (comparisons, floor, sort ...).
    """

    def __init__(self, pick: Pick, length: int, pure: bool = False) -> None:
        self.pick = pick
        self.pure = pure
        first = {name: self._values(self._choose(SHAPES), self._choose(DTYPES)) for name in "abc"}
        second = {n: numpy.array(numpy.flip(~v if v.dtype == bool else v if v.dtype.kind == "u" else -v)) for n, v in first.items()}
        numbers = {"s": self._choose((0.5, -1.5, 2.0, 0.0, -0.0)), "k": self._choose((0, 1, 2, -1))}
        self.program = Program([], [{**first, **numbers}, {**second, "s": numbers["s"] + 1.0, "k": 1 - numbers["k"]}], pure=pure)
        # statements are tried with both sets of values
        self.envs = [self._begin(values) for values in self.program.inputs]
        self.env = self.envs[0]
        # each run begins with this seed, and draws numbers of its own
        self.random: list[Any] = [numpy.random.RandomState(0).get_state()] * len(self.envs)
        with numpy.errstate(all="warn"):
            for _ in range(length):
                self._statement()

    @staticmethod
    def _begin(values: dict[str, Any]) -> dict[str, Any]:
        env = {n: v.copy() if isinstance(v, numpy.ndarray) else v for n, v in values.items()}
        tools: Tools = plain_tools([])
        env.update(np=numpy, d=env["a"], e=env["b"], **tools._asdict())
        return env

    def _choose(self, options: Sequence[Any]) -> Any:
        return options[self.pick(len(options))]

    def _values(self, shape: tuple[int, ...], dtype: str) -> Any:
        # sums and products of these are exact for a while, so most programs are compared bit for bit
        values = numpy.array((0.0, 1.0, -1.0, 2.0, -0.0, 0.5, 3.0, -2.5, 7.0, -3.0, 0.25, 5.0, 1.5, -4.0, 6.0))
        flat = [values[self.pick(len(values))] for _ in range(int(numpy.prod(shape)))]
        made = numpy.array(flat).reshape(shape)
        if dtype[0] == "f" and made.size and self.pick(12) == 0:
            made.reshape(-1)[self.pick(made.size)] = self._choose((numpy.nan, numpy.inf, -numpy.inf))
        # (arithmetic on an array without axes gives a scalar of NumPy's)
        if dtype == "bool":
            return numpy.asarray(made > 0)
        if dtype[0] == "c":
            return numpy.array(made + 1j * made[::-1] if made.ndim else made + 0.5j, dtype)
        return numpy.array(numpy.abs(made) if dtype[0] == "u" else made, dtype)

    # -- names and their types -------------------------------------------------------------------------------------------------------------
    def _name(self) -> str:
        return self._choose(NAMES)

    def _exact(self) -> str:
        """An expression whose bits are determined."""
        exact = [n for n in NAMES if n not in self.program.inexact]
        return self._choose(exact) if exact else "(np.arange(6.0).reshape(2, 3) - 2)"

    def _is_exact(self, *names: str) -> bool:
        return not self.program.inexact.intersection(names)

    def _is_complex(self, name: str) -> bool:
        """Whether NumPy computes an absolute value in two ways, for arrays and for scalars, that differ in the last bit."""
        return any(env[name].dtype.kind == "c" for env in self.envs if name in env)

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
        if not self.pure and self.pick(3) == 0:
            self._point()
        kind = self._choose(self.PURE if self.pure else self.KINDS)
        text, target, exact = kind(self)
        shape = self.pick(12)
        if shape == 0 and not self.pure and self._is_exact("a"):
            condition = self._choose(
                ("np.sum(a == a) > 1", "(a > 0).any()", "s > 0", "a.size and a.reshape(-1)[0] > 0", "bool(np.all(a < 2))")
            )
            other = self._choose(("pass", f"{self._name()} = {self._exact()} * 2"))
            text = f"if {condition}:\n{textwrap.indent(text, '    ')}\nelse:\n    {other}"
        elif shape == 1 and kind not in (Writer._product, Writer._output):
            # those multiply sizes
            text = f"for k in range({self.pick(3) + 1}):\n{textwrap.indent(text, '    ')}"
        # an array of positions that is out of bounds is found when it is used, and never where nobody looks at the result
        self._add(text, target, exact, kind in (Writer._indexed, Writer._output) or re.search(r"np\.array\(\[-?\d", text) is not None)

    def _point(self) -> None:
        """A place where the runs flush, look at values, keep references: each in its own way."""
        number = self.program.points
        self.program.points += 1
        self.program.statements.append(f"point({number}, a, b, c, d, e)")
        for actions in self.program.actions:
            action = self._choose(ACTIONS)
            if action is not None:
                actions[number] = (action, self.pick(len(NAMES)))

    def _add(self, text: str, targets: tuple[str, ...], exact: bool, by_value: bool = False) -> None:
        """Add a statement if NumPy defines what it does. `by_value`: its positions are computed, so a wrong one is found when they are."""
        before = [{n: env[n] for n in (*NAMES, "k")} for env in self.envs]
        copies = [[(env[n], numpy.array(env[n])) for n in NAMES] for env in self.envs]
        code = compile(text, "<program>", "exec")
        raised: list[Exception] = []
        fits = True
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            random = list(self.random)
            for which, env in enumerate(self.envs):
                numpy.random.set_state(self.random[which])
                try:
                    exec(code, env)
                except RAISED as error:
                    raised.append(error)
                except MemoryError:
                    fits = False
                self.random[which] = numpy.random.get_state()
        fits = fits and all(
            isinstance(env[n], (numpy.ndarray, numpy.generic)) and env[n].dtype.kind in "fiubc" and env[n].dtype.isnative
            for env in self.envs
            for n in NAMES
        )
        refused = raised and (self.pure or any(isinstance(e, IndexError) and by_value for e in raised))
        undefined = any(issubclass(w.category, DeprecationWarning) or any(u in str(w.message) for u in UNDEFINED) for w in said)
        if not fits or refused or undefined:
            for env, names, contents in zip(self.envs, before, copies, strict=True):
                for value, copy in contents:
                    if isinstance(value, numpy.ndarray) and value.flags.writeable and value.shape == copy.shape:
                        value[...] = copy
                env.update(names)
            self.random = random
            return
        if raised:
            text = f"try:\n{textwrap.indent(text, '    ')}\nexcept Exception as error:\n    log(error)"
        self.program.statements.append(text)
        self._note(text, targets, exact, before)
        for name in NAMES:
            if any(env[name].size > MAX_SIZE or env[name].ndim > 4 for env in self.envs):
                self._add(f"{name} = {name}.reshape(-1)[:6].copy()", (name,), name not in self.program.inexact)

    def _note(self, text: str, targets: tuple[str, ...], exact: bool, before: list[dict[str, Any]]) -> None:
        """Which variables' bits are determined now, and how large numbers have become."""
        inexact = self.program.inexact
        anew = exact and not any(line.startswith("if ") or line.startswith("try:") for line in text.splitlines())
        for target in targets:
            if anew and all(env[target] is not names[target] for env, names in zip(self.envs, before, strict=True)):
                # written anew, whatever the values are
                inexact.discard(target)
            for env in self.envs:
                value = env[target]
                if not exact and value.dtype.kind in "fc":
                    inexact.add(target)
                    for other in NAMES:
                        if isinstance(value, numpy.ndarray) and numpy.may_share_memory(env[other], value):
                            inexact.add(other)
        for env in self.envs:
            for name in NAMES:
                value = env[name]
                if value.size and value.dtype.kind in "fc":
                    finite = numpy.abs(value[numpy.isfinite(value)])
                    if finite.size:
                        self.program.largest = max(self.program.largest, float(finite.max()))
                    self.program.half |= value.dtype == numpy.float16

    def _arithmetic(self) -> Statement:
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

    def _function(self) -> Statement:
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
            return f"{t} = np.{name}({x})", (t,), exact and not (name == "absolute" and self._is_complex(x))
        if kind == 2:
            form = self._choose(("-{}", "abs({})", "+{}", "{} ** 2", "{} * {}", "{} - {}", "np.sqrt(np.abs({}) + 1)"))
            return f"{t} = {form.replace('{}', x)}", (t,), exact and not ("abs" in form and self._is_complex(x))
        y = self._operand()
        name = self._choose(("maximum", "minimum", "fmax", "fmin", "hypot", "logaddexp"))
        return f"{t} = np.{name}({x}, {y})", (t,), exact and self._is_exact(y) and name[0] in "mf"

    def _jumping(self) -> Statement:
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

    def _reduction(self) -> Statement:
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

    def _shaping(self) -> Statement:
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

    def _read(self) -> Statement:
        t, x = self._name(), self._name()
        key = self._key(x)
        if self.pick(8) == 0:
            key = f"{key}][{self._choose(('0', '...', '::-1', '1:'))}"
        if self.pick(8) == 0 and numpy.ndim(self._of(x)):
            return f"{t} = np.take({x}, [0, -1], axis={self.pick(numpy.ndim(self._of(x)))})", (t,), self._is_exact(x)
        return f"{t} = {x}[{key}]", (t,), self._is_exact(x)

    def _write(self) -> Statement:
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

    def _inplace(self) -> Statement:
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

    def _overlap(self) -> Statement:
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

    def _alias(self) -> Statement:
        t, x = self._name(), self._name()
        text = self._choose(
            (f"{t} = {x}", f"{t} = {x}", f"{t} = {x}.copy()", f"{t} = np.array({x})", f"{t} = {x}[...]", f"{t} = {x}.view()")
        )
        return text, (t,), self._is_exact(x)

    def _joining(self) -> Statement:
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

    def _ordering(self) -> Statement:
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

    def _product(self) -> Statement:
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

    def _fallback(self) -> Statement:
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

    def _observer(self) -> Statement:
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

    # -- control flow, functions, containers -----------------------------------------------------------------------------------------------
    def _flow(self) -> Statement:
        """Branches and loops on values."""
        t, x, y = self._name(), self._exact(), self._name()
        if x not in NAMES:
            # branches go by bits that are determined
            return f"a = {x}", ("a",), True
        exact = self._is_exact(t, x, y)
        text = self._choose(
            (
                f"n = 0\nwhile n < 3 and np.all({x} < 4):\n    {x} = {x} + 1\n    n += 1",
                f"n = 3\nwhile n and {x}.size and {x}.reshape(-1)[0] > 0:\n    {x} = {x} - 2\n    n -= 1\n    log(bool({x}.any()))",
                f"while True:\n    {t} = {t} * 2\n    if k or np.any({x} > 1):\n        break\n    k += 1",
                f"for row in {x}:\n    {t} = row + 1",
                f"for row in {x}:\n    row *= 2",
                f"for row in {x}:\n    log(row)\n    if row.size and row.reshape(-1)[0] > 0:\n        continue\n    row[...] = 3",
                f"for i in range(len({t})):\n    {t}[i] = {t}[i - 1]",
                f"for i in range(len({t}) - 1):\n    {t}[i + 1] += {t}[i]",
                f"for i, v in enumerate({x}.reshape(-1)[:3]):\n    if v > i:\n        {t} = {t} + i",
                f"total = 0\nfor v in {x}.reshape(-1)[:3]:\n    total = total + v\n{t} = np.asarray(total)",
                f"best = None\nfor v in {x}.reshape(-1)[:4]:\n    if best is None or v > best:\n        best = v\nlog(best)",
                f"if {x}.size and {x}.max() > 1:\n    {t} = {y} + 1\nelif np.any({x} < 0):\n    {t} = {y} - 1\nelse:\n    {t} = {y}",
                f"{t} = {y} if np.any({x}) else {x}",
                f"if {x}:\n    {t} = {y}",
                f"if not {x}.any() or {x}.all():\n    {t} = {t} + 1",
                f"assert np.all({x} <= 2), 'large'\n{t} = {y}",
                f"log([float(v.real) for v in {x}.reshape(-1)[:3]])",
                f"{t} = np.array([v * 2 for v in {x}])",
                f"log(sum(1 for v in {x}.reshape(-1) if v > 0))",
                f"log(2 in {x})",
                f"log(max({x}.reshape(-1).tolist(), key=abs))",
            )
        )
        return text, (t, x), exact

    def _calling(self) -> Statement:
        """Functions, closures, generators, traced regions inside."""
        t, x, y = self._name(), self._name(), self._name()
        exact = self._is_exact(t, x, y)
        text = self._choose(
            (
                f"def helper(p, q=2):\n    p[...] = p * q\n    return p + q\n{t} = helper({x})",
                f"def helper(p):\n    p = p * 2\n    p += 1\n    return p[::-1]\n{t} = helper({x})",
                f"def helper(p):\n    for row in p:\n        row += 1\n    return p\n{t} = helper({x})",
                f"def helper(p, q):\n    q -= p\n    return q, p\n{t}, {x} = helper({x}, {y}.copy())",
                f"def helper(p, n):\n    return p if n == 0 else helper(p + n, n - 1)\n{t} = helper({x}, 3)",
                f"{t} = (lambda p, q: p - q)({x}, {y})",
                f"fs = [lambda p, i=i: p * i for i in range(3)]\n{t} = fs[2]({x}) + fs[1]({x})",
                f"held = {x}\n{x} = {x} + 1\nheld *= 2\n{t} = held",
                f"kept = {x}[...]\n{x} = {x} * 2\nkept[...] = 1\n{t} = kept",
                f"def numbers():\n    for i in range(3):\n        yield {x} * i\n{t} = sum(numbers())",
                f"{t} = region()(lambda p: p * 2 - 1)({x})",
                f"with region():\n    {t} = {x} + {y}\n    {t} = {t} * 2",
                f"@region()\ndef helper(p):\n    p *= 2\n    return p\n{t} = helper({x})",
                f"def outer():\n    kept = {x} * 2\n    def inner():\n        return kept - {y}\n    return inner\n{t} = outer()()",
            )
        )
        return text, (t, x, y), exact

    def _container(self) -> Statement:
        t, x, y = self._name(), self._name(), self._name()
        exact = self._is_exact(t, x, y)
        text = self._choose(
            (
                f"parts = [{x}, {x} * 2, {x}.copy()]\nfor part in parts:\n    part += 1\n{t} = np.stack(parts)",
                f"parts = []\nfor i in range(3):\n    parts.append({x} + i)\n{t} = np.concatenate(parts, axis=0)",
                f"rows = list({x})\nrows.reverse()\n{t} = np.array(rows)",
                f"box = {{'p': {x}}}\nbox['p'] += 1\n{t} = box['p'] * 2",
                f"{t}, {x} = {x}, {t}",
                f"first, *rest = {x}\n{t} = first",
                f"{t} = np.array([{x}, {x}])[::-1]",
                f"{t} = np.vstack([row * i for i, row in enumerate({x})])",
                f"pair = ({x}, {y})\n{t} = np.add(*pair)",
                f"stack = [{x}]\nstack.append(stack[-1] * 2)\nstack.append(stack[-1] - stack[0])\n{t} = stack.pop()",
                f"{t} = sum([{x}, {x}, {y}])",
                f"one, two = np.array_split(np.atleast_1d({x}), 2)\none += 1\n{t} = two",
                f"{t} = np.column_stack([{x}.reshape(-1), {x}.reshape(-1)])",
                f"{t} = np.split(np.concatenate([{x}, {x}]), 2)[1]",
            )
        )
        return text, (t, x, y), exact

    def _raising(self) -> Statement:
        """Faults, some of them after half of the work, and what remains."""
        t, x = self._name(), self._name()
        kind = self._choose(("Exception", "(ValueError, TypeError, IndexError)"))
        text = self._choose(
            (
                f"try:\n    {t}[...] = {t} + 1\n    raise KeyError('k')\nexcept KeyError as error:\n    log(error)",
                f"try:\n    {t} = {t} + 1\n    {t} = {t}[100]\nexcept {kind} as error:\n    log(error)",
                f"try:\n    {t} += np.ones((7, 5, 3))\nexcept {kind} as error:\n    log(error)\nfinally:\n    {t} = {t} * 2",
                f"try:\n    {t} = {x}.reshape(7, 13)\nexcept {kind} as error:\n    log(error)",
                f"try:\n    {t} = np.concatenate(({x}, np.zeros((7, 7))))\nexcept {kind} as error:\n    log(error)",
                f"try:\n    log(bool({x} == {x}))\nexcept ValueError as error:\n    log(error)",
                f"try:\n    log(float({x}.real))\nexcept TypeError as error:\n    log(error)" if self._is_exact(x) else "pass",
                f"try:\n    {t}[[0, 50]] = 9\nexcept IndexError as error:\n    log(error)",
                f"try:\n    {t} = np.sum({x}, axis=5)\nexcept ValueError as error:\n    log(error)",
                f"try:\n    {t} = {x} @ np.ones((9, 2))\nexcept {kind} as error:\n    log(error)",
                f"try:\n    log(int({x}.real))\nexcept {kind} as error:\n    log(error)" if self._is_exact(x) else "pass",
                f"try:\n    {t}.colour = 3\nexcept AttributeError as error:\n    log(error)",
                f"try:\n    {t}[0, 0, 0, 0, 0] = 1\nexcept IndexError as error:\n    log(error)",
                f"try:\n    {t} = np.broadcast_to({x}, (5, 7))\nexcept ValueError as error:\n    log(error)",
                f"try:\n    np.broadcast_to({x}, (2, *{x}.shape))[...] = 1\nexcept ValueError as error:\n    log(error)",
                "try:\n    np.linalg.inv(np.zeros((2, 2)))\n    log('no error')\nexcept np.linalg.LinAlgError as error:\n    log(error)",
            )
        )
        return text, (t,), self._is_exact(t, x)

    def _drawing(self) -> Statement:
        t, x, n = self._name(), self._name(), self.pick(5)
        exact = self._is_exact(x)
        drawn = self._choose(
            (
                "np.random.rand(2, 3)",
                "np.random.normal(size=(3,))",
                "np.random.randint(0, 5, (2, 3))",
                "np.random.uniform(-1, 1, 4)",
                "np.random.permutation(5)",
                "np.random.choice(5, 3)",
                "np.random.standard_normal((3, 1))",
                f"np.random.permutation({x})",
                f"np.random.random({x}.shape)",
                "np.asarray(np.random.random())",
            )
        )
        generator = self._choose(
            (
                "rng.random((2, 3))",
                "rng.integers(0, 9, 3)",
                "rng.normal(1.0, 2.0, (3, 1))",
                f"rng.permutation({x})",
                "rng.choice(5, 3, replace=False)",
                f"rng.standard_normal({x}.shape)",
                "rng.uniform(size=(2,)) + rng.random()",
            )
        )
        if drawn.startswith("np.random.perm") or generator.startswith("rng.perm"):
            exact = exact and self._is_exact(x)
        text = self._choose(
            (
                f"{t} = {drawn}",
                f"np.random.seed({n})\n{t} = {drawn}",
                f"rng = np.random.default_rng({n})\n{t} = {generator}",
                f"rng = np.random.RandomState({n})\n{t} = rng.rand(3)",
                f"np.random.shuffle({t})",
                f"rng = np.random.default_rng({n})\nrng.shuffle({t})",
                f"for i in range(2):\n    {t} = {t} + np.random.rand()",
                f"if np.random.rand() < 0.5:\n    {t} = {x} * 2",
            )
        )
        return text, (t,), exact and self._is_exact(t)

    def _output(self) -> Statement:
        """`out=`, `where=`, `initial=`, ufunc methods, and functions that write."""
        t, x, y = self._name(), self._name(), self._exact()
        exact = self._is_exact(t, x)
        flag = f"{y} > 0"
        text, kept = self._choose(
            (
                (f"np.add({x}, 1, out={t})", True),
                (f"np.multiply({x}, {x}, out={t}, where={flag})", True),
                (f"np.negative({x}, out={t}[...])", True),
                (f"{t} = np.where({flag}, {x}, {t})", True),
                (f"np.clip({x}, -1, 2, out={t})", True),
                (f"np.maximum({x}, 0, {t})", True),
                (f"np.sqrt(np.abs({x}), out={t})", False),
                (f"np.sum({x}, axis=0, out={t})", False),
                # an output of another size NumPy 1.26 overruns
                (f"np.cumsum({x}.reshape(-1), out={x}.reshape(-1))", False),
                (f"np.max({x}, axis=0, out={t})", True),
                (f"{x}.min(axis=-1, out={t})", True),
                (f"np.matmul({x}, {x}, out={t})", False),
                (f"np.concatenate(({x}, {x}), out={t})", True),
                (f"np.stack([{x}, {x}], out={t})", True),
                (f"np.take({x}, [0, 0], axis=0, out={t})", True),
                (f"{t} = np.sum({x}, where={flag})", False),
                (f"{t} = np.max({x}, initial=0, where={flag})", True),
                (f"{t} = np.mean({x}, axis=0, where={flag})", False),
                (f"{t} = np.sum({x}, initial=2)", False),
                (f"{t} = np.add.reduce({x})", False),
                (f"{t} = np.maximum.reduce({x}, axis=None)", True),
                (f"{t} = np.add.accumulate({x})", False),
                (f"{t} = np.multiply.outer({x}, {x})", True),
                (f"{t} = np.subtract.outer({x}.reshape(-1)[:3], {x}.reshape(-1)[:3])", True),
                (f"{t} = np.minimum.accumulate({x}, axis=-1)", True),
                (f"{t} = np.add.reduceat({x}, [0, 1])", False),
                (f"np.add.at({t}, ([0, 0],), 1)", True),
                (f"np.subtract.at({t}, [0], {self._number()})", True),
                (f"np.copyto({t}, {x}, where={flag})", True),
                (f"np.putmask({t}, {flag}, [1, 2])", True),
                (f"np.place({t}, {flag}, [1, 2])", True),
                (f"np.put({t}, [0, -1], [3, 4])", True),
                (f"np.fill_diagonal({t}, 2)", True),
                (f"np.put_along_axis({t}, np.argmax({y}, axis=-1, keepdims=True), 1, axis=-1)", True),
                (f"{t} = np.take_along_axis({x}, np.argsort({y}, axis=-1, kind='stable'), axis=-1)", True),
                (f"{t} = np.choose(np.abs({y}).astype(int) % 2, [{x}, {x}])", True),
                (f"{t} = np.compress([True, False], {x}, axis=0)", True),
                (f"{t} = np.extract({flag}, {x})", True),
                (f"{t}.flat[1:] = 2", True),
                (f"{t}.put([0], 5)", True),
                (f"{t} = {t}.flat[0]", True),
                (f"{t} = np.divmod({y}, 2)[1]", True),
                (f"{t}, {x} = np.modf({y}.real)", True),
                (f"{t} = np.ldexp({y}.real, 1)", True),
                (f"{t} = np.round({y}, 1)", False),
            )
        )
        return text, (t, x), kept and exact

    def _indexed(self) -> Statement:
        """Indices that are computed: lazy numbers, lazy arrays of positions, lazy masks."""
        t, x, y = self._exact(), self._exact(), self._name()
        if t not in NAMES:
            t = "b"
        exact = self._is_exact(t, x, y)
        place = self._choose((f"np.argmax({x})", f"np.count_nonzero({x} > 0)", f"({x} > 0).sum()", f"np.int64({x}.size)", f"len({x})"))
        where = self._choose(
            (f"np.argsort({x}.reshape(-1), kind='stable')", f"np.abs({x}).astype(int)", f"np.arange({x}.size)", f"np.flatnonzero({x})")
        )
        text = self._choose(
            (
                f"i = {place}\n{t} = {y}.reshape(-1)[i % max({y}.size, 1)]",
                f"i = {place}\n{y}[i % len({y})] = 3",
                f"i = {place}\n{y}[i % len({y})] += 1",
                f"i = {place}\n{t} = {y}[i % len({y}) :]",
                f"i = {place}\n{t} = {y}[..., i % {y}.shape[-1]]",
                f"i = {place}\n{y}[..., -1 - i % {y}.shape[-1]] = {self._number()}",
                f"i = {place}\n{t} = {y}[[0, i % len({y})]]",
                f"i = {place} % 2\n{t} = np.roll({y}, i)",
                f"i = {place} % 3\n{t} = {y} + np.arange(3)[i]",
                f"{t} = {y}[{where} % len({y})]",
                f"{y}[{where} % len({y})] += 1",
                f"{y}[{where} % len({y})] = {self._number()}",
                f"{t} = {y}[{where} % len({y}), ...]",
                f"{t} = {y}[::-1][{where} % len({y})][1:]",
                f"{t} = {y}[({x} > 0) & ({x} < 3)]",
                f"{y}[{x} > 0] = 2",
                f"{y}[~({x} > 0)] *= 2",
                f"{y}[{y} > 1] = {y}[{y} > 1] - 1" if self._is_exact(y) else f"{y}[{x} > 1] = 0",
                f"{t} = {y}[np.nonzero({x})]",
                f"{t} = {y}[np.ix_([0, -1], [0])]",
                f"{y}[np.ix_([0, -1], [0])] = 5",
                f"{t} = {y}[..., None][0]",
                f"{t} = {y}[:, [0, -1]][::-1, 0]",
                f"{y}[1:][::-1][:1] = 4",
                f"{y}[None][0, ..., -1] = 6",
                f"{y}.T[0] = 8",
                f"v = {y}.reshape(-1)\nv[::2] = 1\nw = v[1:]\nw += 1\n{t} = w",
                f"v = {y}[::-1]\nw = v[1:]\nw[...] = 2\nv[0] = 7",
            )
        )
        return text, (t, y), exact

    def _gradient(self) -> Statement:
        """The gradient of a small function, whose rule is written beside it."""
        t, x = self._name(), self._name()
        body, rule = self._choose(
            (
                ("    return np.sum(p * p * 3)", "p * 6"),
                ("    return np.sum(np.sin(p))", "np.cos(p)"),
                (f"    return np.sum(p * {x} * 2)", f"np.ones_like(p) * {x} * 2"),
                ("    q = p\n    for i in range(2):\n        q = q * 2\n    return np.sum(q)", "np.full_like(p, 4)"),
                (
                    "    if np.sum(p > 0) > 1:\n        return np.sum(p * p)\n    return np.sum(p * 3)",
                    "p * 2 if np.sum(p > 0) > 1 else 3 + 0 * p",
                ),
                ("    q = p * 1\n    q[...] = q * p\n    return np.sum(q)", "p * 2"),
                ("    q = p * 1\n    q[:1] = 7\n    return np.sum(q * q)", "np.concatenate([np.zeros_like(p[:1]), p[1:] * 2])"),
                ("    q = p * 1\n    q[q > 0] *= 2\n    return np.sum(q)", "np.where(p > 0, 2.0, 1.0)"),
                ("    return np.sum(np.stack([p, p * 2]) * 3)", "np.full_like(p, 9)"),
                ("    q = np.concatenate([p, p[::-1]])\n    return np.sum(q * q)", "p * 4"),
                ("    return np.sum(np.where(p > 1, p * p, p))", "np.where(p > 1, p * 2, 1.0)"),
                ("    log(bool(np.any(p > 0)))\n    return np.sum(p) * 2", "np.full_like(p, 2)"),
                ("    flush()\n    q = p * p\n    flush()\n    return np.sum(q)", "p * 2"),
                ("    return np.sum(p.T[::-1].reshape(-1) * 2)", "np.full_like(p, 2)"),
                ("    return sum(np.sum(row * 5) for row in p)", "np.full_like(p, 5)"),
                ("    def inner(q):\n        return q * q\n    return np.sum(inner(p) + inner(p * 2))", "p * 10"),
                ("    q = np.zeros_like(p)\n    q += p\n    q *= 3\n    return np.sum(q)", "np.full_like(p, 3)"),
                ("    v = (p * 1)[::-1]\n    v *= 2\n    return np.sum(v)", "np.full_like(p, 2)"),
                ("    return np.sum(gradient(lambda q: np.sum(q * q), lambda q: q * 2, p))", "np.full_like(p, 2)"),
            )
        )
        # a rule that is zero times NaN is NaN by the tape, and left out by hand
        point = (
            f"np.array(np.nan_to_num(np.atleast_1d({x}).real, posinf=2, neginf=-2), dtype={self._choose(('float', 'float', 'np.float32'))})"
        )
        return f"def f(p):\n{body}\n{t} = gradient(f, lambda p: {rule}, {point})", (t,), False

    KINDS: tuple[Callable[[Writer], Statement], ...] = (
        *(_arithmetic, _arithmetic, _function, _jumping, _reduction, _shaping, _shaping, _read, _read, _write, _write, _write),
        *(_inplace, _inplace, _overlap, _alias, _joining, _ordering, _product, _fallback, _observer),
        *(_flow, _flow, _calling, _container, _raising, _drawing, _output, _output, _indexed, _indexed, _gradient),
    )
    # what is legal in a pure function, or refused by it at once
    PURE: tuple[Callable[[Writer], Statement], ...] = (
        *(_arithmetic, _arithmetic, _function, _jumping, _reduction, _shaping, _shaping, _read, _read, _write, _write),
        *(_inplace, _overlap, _alias, _joining, _product, _output, _container),
    )
