"""A user's own operations: a function on NumPy arrays (or MXNet's NDArrays) that is opaque to us, with gradient rules of its own.

MinPy's spelling (`customop`, `def_grad` …) and HIPS autograd's (`primitive`, `defvjp`). Rules are ordinary code on arrays of ours, so they
are recorded, and differentiated again.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import NoGradientError, user_line
from ..numpy.convert import as_handle
from ..numpy.fallback import call
from ..trace.handle import Handle
from ..trace.op import NO_GRADIENT, TABLE, Op, define
from ..trace.ops.families import context_of
from ..trace.pytree import Structure, flatten
from ..trace.recorder import current, run_lock
from ..trace.types import ArrayType, array_type
from .api import conform
from .custom import _fresh, _Suspended, _trackable

Rule = Callable[..., Callable[[Any], Any]]
KINDS = ("numpy", "mxnet")


class Primitive:
    """A function with gradient rules of its own; made by `customop` or `primitive`.

    Without `infer` it is called where it is called in the program, on values. With `infer` it is an operation of the table like any other:
    recorded, run when its result is needed, once for equal arguments; it must then be pure.

    Args:
        func: takes and returns NumPy arrays ("numpy") or NDArrays ("mxnet"), one or a tuple of them, and must not write to its arguments.
        kind: "numpy" or "mxnet".
        infer: `(*args, **kwargs)` -> `(shape, dtype)` of the result (a tuple of such pairs where there are several), where arrays are
            replaced by things that have `.shape` and `.dtype`. Arguments that are no arrays must then be hashable.
        outputs: how many results there are, with `infer`.

    Example:
        >>> import numpy
        >>> @customop("numpy")
        ... def cube(x):
        ...     return x ** 3
        >>> cube.def_grad(lambda ans, x: lambda g: 3 * x * x * g)
        >>> from minpy_jit import grad
        >>> grad(cube)(2.0)
        12.0
    """

    def __init__(self, func: Callable[..., Any], kind: str = "numpy", infer: Callable[..., Any] | None = None, outputs: int = 1) -> None:
        if kind not in KINDS:
            raise ValueError(f"[customop] {kind!r} is no kind of function; legal values: {', '.join(map(repr, KINDS))}")
        if not callable(func):
            raise TypeError(f"[customop] needs a function; got {func!r}")
        self.func, self.kind = func, kind
        self.rules: dict[int | str, Rule] = {}
        # several arguments by one rule: their positions, and the rule
        self.shared: list[tuple[tuple[int, ...], Rule]] = []
        functools.update_wrapper(self, func)
        self.name: str = getattr(func, "__name__", "customop")
        self._meaning: Callable[..., Any] = func if kind == "numpy" else _on_ndarrays(func)
        self.op: Op | None = None if infer is None else _entry(self.name, self._meaning, infer, outputs)

    @property
    def typestr(self) -> str:
        """What the function works on, as MinPy names it."""
        return "NumPy" if self.kind == "numpy" else "MXNet"

    # -- rules ----------------------------------------------------------------------------------------------------------------------------
    def def_grad(self, func: Rule | None, argnum: int = 0) -> None:
        """The gradient of a positional argument: `func(ans, *args, **kwargs)` -> `(g -> gradient)`; None: zero."""
        self.rules[argnum] = _zero if func is None else func

    def def_grad_kw(self, func: Rule | None, key: str) -> None:
        """The same for a keyword argument."""
        self.rules[key] = _zero if func is None else func

    def def_grad_zero(self, argnum: int | str = 0) -> None:
        """Declare that the result does not change with an argument."""
        self.rules[argnum] = _zero

    def def_multiple_grad(self, func: Rule, argnums: Sequence[int]) -> None:
        """The gradients of several arguments by one rule, whose inner function returns a tuple of them."""
        self.shared.append((tuple(argnums), func))

    def defvjp(self, *rules: Rule | None, argnums: Sequence[int] | None = None) -> None:
        """HIPS autograd's form: one rule per argument, in order (None: zero)."""
        for argnum, rule in zip(itertools.count() if argnums is None else argnums, rules, strict=False):
            self.def_grad(rule, argnum)

    def gradable(self, bp_args: Sequence[int] = (), bp_kwargs: Sequence[str] = ()) -> bool:
        """Whether there are rules for all of these arguments."""
        known: set[int | str] = {*self.rules, *(k for argnums, _ in self.shared for k in argnums)}
        return known.issuperset([*bp_args, *bp_kwargs])

    # -- calls ----------------------------------------------------------------------------------------------------------------------------
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        recorder = current()
        if not recorder.tapes:
            return self._run(args, kwargs)
        args = tuple([as_handle(a) if isinstance(a, (np.ndarray, np.generic)) else a for a in args])
        with _Suspended(recorder) as tapes:
            value = _fresh(self._run(args, kwargs))
        results, structure = flatten(value)
        arrays = [r for r in results if isinstance(r, Handle)]
        places: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
        for tape in tapes:
            # a rule is only asked for where a gradient flows
            tracked = [(key, [leaf for leaf in flatten(a)[0] if _trackable(leaf) and tape.place_of(leaf) is not None]) for key, a in places]
            wanted = [(key, leaves) for key, leaves in tracked if leaves]
            line = user_line()

            def pullback(cotangents: list[Handle | None], wanted: Any = wanted, line: str = line) -> list[Handle | None]:
                given = iter(cotangents)
                filled = []
                for r in results:
                    g = next(given) if isinstance(r, Handle) else None
                    filled.append(TABLE["zeros"](shape=r.type.shape, dtype=r.type.dtype, context=r.type.context) if g is None else g)
                found = self._pull([key for key, _ in wanted], value, args, kwargs, structure.build(filled), line)
                flat: list[Handle | None] = []
                for key, leaves in wanted:
                    whole = flatten(args[key] if isinstance(key, int) else kwargs[key])[0]
                    parts = [None] * len(whole) if found[key] is None else flatten(found[key])[0]
                    by_leaf = {id(leaf): part for leaf, part in zip(whole, parts, strict=True)}
                    flat.extend(None if by_leaf[id(x)] is None else conform(by_leaf[id(x)], x, self.name) for x in leaves)
                return flat

            if wanted:
                tape.opaque([leaf for _, leaves in wanted for leaf in leaves], arrays, pullback)
        return value

    def _pull(self, keys: list[Any], ans: Any, args: Any, kwargs: Any, g: Any, line: str) -> dict[Any, Any]:
        """The gradients of the arguments `keys` (None: zero).

        Raises:
            NoGradientError: one has no rule.
        """
        found: dict[Any, Any] = {}
        for argnums, rule in self.shared:
            if any(k in argnums for k in keys):
                parts = rule(ans, *args, **kwargs)(g)
                if not isinstance(parts, (tuple, list)) or len(parts) != len(argnums):
                    raise TypeError(f"[{self.name}] the rule for arguments {argnums} must return a tuple of {len(argnums)} gradients")
                found.update(zip(argnums, parts, strict=True))
        for key in keys:
            if key in self.rules:
                found[key] = self.rules[key](ans, *args, **kwargs)(g)
            elif key not in found:
                raise NoGradientError(
                    f"[{self.name}] has no gradient for argument {key!r} (called at {line}); give it one with "
                    f"{self.name}.{'def_grad(rule, argnum=' if isinstance(key, int) else 'def_grad_kw(rule, '}{key!r})"
                )
        return found

    def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.op is None:
            return call(self._meaning, args, kwargs, self.name)
        leaves, structure = flatten((args, kwargs))
        operands = [as_handle(leaf) for leaf in leaves if isinstance(leaf, (Handle, np.ndarray))]
        constants = tuple([_PLACE if isinstance(leaf, (Handle, np.ndarray)) else leaf for leaf in leaves])
        try:
            hash(constants)
        except TypeError:
            raise TypeError(f"[{self.name}] with infer= arguments that are no arrays must be hashable; got {constants}") from None
        return self.op(*operands, structure=structure, constants=constants)

    def __repr__(self) -> str:
        return f"<{self.typestr} primitive {self.name}>"


def _zero(ans: Any, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
    return lambda g: None


class _Place:
    """Stands for an array among the constants of a call."""

    def __repr__(self) -> str:
        return "<array>"


_PLACE = _Place()


def _rebuilt(structure: Structure, constants: tuple[Any, ...], arrays: Sequence[Any]) -> Any:
    given = iter(arrays)
    return structure.build([next(given) if c is _PLACE else c for c in constants])


def _entry(name: str, meaning: Callable[..., Any], infer: Callable[..., Any], outputs: int) -> Op:
    """The function as an entry of the table."""
    unique = next(n for n in itertools.chain((name,), (f"{name}.{k}" for k in itertools.count(2))) if n not in TABLE)

    def specs(arrays: Sequence[Any], structure: Structure, constants: tuple[Any, ...]) -> list[tuple[Any, Any]]:
        args, kwargs = _rebuilt(structure, constants, arrays)
        found = infer(*args, **kwargs)
        return [found] if outputs == 1 else list(found)

    def infer_types(*types: ArrayType, **params: Any) -> Any:
        context = context_of(types)
        found = tuple([array_type(tuple(s), np.dtype(d), scalar=not s, context=context) for s, d in specs(types, **params)])
        if len(found) != outputs:
            raise ValueError(f"infer= told of {len(found)} results; outputs={outputs}")
        return found[0] if outputs == 1 else found

    def run(*arrays: np.ndarray, **params: Any) -> Any:
        shown = [a.view() for a in arrays]
        for a in shown:
            a.flags.writeable = False
        args, kwargs = _rebuilt(params["structure"], params["constants"], shown)
        found = meaning(*args, **kwargs)
        results = (found,) if outputs == 1 else tuple(found)
        wanted, got = [tuple(s) for s, _ in specs(shown, **params)], [np.shape(r) for r in results]
        if got != wanted:
            raise ValueError(f"returned shape(s) {got}, but its infer= said {wanted}")
        return found if outputs == 1 else results

    return define(
        unique,
        family="custom",
        arity=None,
        params=("structure", "constants"),
        infer=infer_types,
        numpy=run,
        outputs=outputs,
        # rules are on arrays, so they are the tape's: see `Primitive.__call__`
        vjp=NO_GRADIENT,
        raises=True,
        doc="a function of the user's own, in Python",
    )


def _on_ndarrays(func: Callable[..., Any]) -> Callable[..., Any]:
    """A function on NDArrays as one on NumPy arrays."""

    def run(*args: Any, **kwargs: Any) -> Any:
        from ..exec import mx

        leaves, structure = flatten((args, kwargs))
        with run_lock:
            arrays = [mx.ndarray(np.asarray(x)) if isinstance(x, (np.ndarray, np.generic)) else x for x in leaves]
            given, named = structure.build(arrays)
            found = func(*given, **named)
            results, shape = flatten(found)
            return shape.build([r.asnumpy() if hasattr(r, "asnumpy") else r for r in results])

    return run


def customop(kind: str = "numpy", infer: Callable[..., Any] | None = None, outputs: int = 1) -> Callable[[Callable[..., Any]], Primitive]:
    """MinPy's decorator: a function of NumPy arrays ("numpy") or of NDArrays ("mxnet") as an operation; see `Primitive`."""
    if kind not in KINDS:
        raise ValueError(f"[customop] {kind!r} is no kind of function; legal values: {', '.join(map(repr, KINDS))}")
    return lambda func: Primitive(func, kind, infer, outputs)


def primitive(func: Callable[..., Any]) -> Primitive:
    """HIPS autograd's decorator: a function of NumPy arrays as an operation, whose rules `defvjp` gives."""
    return Primitive(func)


def defvjp(func: Primitive, *rules: Rule | None, argnums: Sequence[int] | None = None) -> None:
    """HIPS autograd's way to give rules: one per argument, in order, each `rule(ans, *args)` -> `(g -> gradient)`; None: zero."""
    func.defvjp(*rules, argnums=argnums)
