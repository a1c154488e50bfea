"""Rules of the user's own, recomputation, and gradients through NumPy fallbacks (HIPS autograd's rules): the tape's opaque portions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import NoGradientError, user_line
from ..numpy import fallback
from ..numpy.convert import as_handle
from ..trace.handle import Handle
from ..trace.op import TABLE
from ..trace.pytree import flatten
from ..trace.recorder import Recorder, current, observe
from .api import _Forward, conform
from .pullback import differentiable


class _Suspended:
    """Recording without tapes: what happens inside an opaque portion is that portion's business."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def __enter__(self) -> list[Any]:
        self.tapes, self.recorder.tapes = self.recorder.tapes, []
        self.before, self.recorder.suspended = self.recorder.suspended, [*self.recorder.suspended, *self.tapes]
        return self.tapes

    def __exit__(self, *_: object) -> None:
        self.recorder.tapes, self.recorder.suspended = self.tapes, self.before


def _fresh(value: Any) -> Any:
    """Results under a new identity, so that their gradients end at the portion."""
    leaves, structure = flatten(value)
    return structure.build([TABLE["watch"](leaf) if isinstance(leaf, Handle) else leaf for leaf in leaves])


class custom_vjp:
    """A function with a gradient rule of its own.

    `f.defvjp(forward, backward)`: `forward(*args)` -> `(value, residuals)`, `backward(residuals, g)` -> a tuple of cotangents, one per
    argument (None: zero), as in JAX. Or `f.defvjp_all(rule)`-style in one line: `f.defgrad(lambda ans, *args: lambda g: (...))`.

    Example:
        >>> @custom_vjp
        ... def twice(x):
        ...     return 2 * x
        >>> twice.defvjp(lambda x: (2 * x, None), lambda residuals, g: (10 * g,))
        >>> from minpy_jit import grad
        >>> grad(twice)(3.0)
        10.0
    """

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f = f
        self.forward: Callable[..., Any] | None = None
        self.rule: Callable[..., Any] | None = None
        functools.update_wrapper(self, f)

    def defvjp(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        """Give the rule."""
        self.forward, self.rule = forward, backward

    def defgrad(self, rule: Callable[..., Callable[[Any], Any]]) -> None:
        """Give the rule as `rule(ans, *args)` -> `g -> cotangents` (MinPy's and HIPS autograd's form)."""

        def forward(*args: Any) -> Any:
            ans = self.f(*args)
            return ans, (ans, args)

        def backward(residuals: Any, g: Any) -> Any:
            ans, args = residuals
            found = rule(ans, *args)(g)
            return found if isinstance(found, tuple) else (found,)

        self.forward, self.rule = forward, backward

    def __call__(self, *args: Any) -> Any:
        recorder = current()
        if not recorder.tapes:
            return self.f(*args)
        if self.forward is None or self.rule is None:
            raise NoGradientError(f"[{self.f.__name__}] custom_vjp without a rule ({user_line()}); call defvjp(forward, backward)")
        rule = self.rule
        leaves = [(k, leaf) for k, a in enumerate(args) for leaf in flatten(a)[0] if isinstance(leaf, Handle)]
        with _Suspended(recorder):
            value, residuals = self.forward(*args)
            value = _fresh(value)
        results, structure = flatten(value)
        arrays = [r for r in results if isinstance(r, Handle)]

        def pullback(cotangents: list[Handle | None]) -> list[Handle | None]:
            given = iter(cotangents)
            filled = []
            for r in results:
                g = next(given) if isinstance(r, Handle) else None
                filled.append(TABLE["zeros"](shape=r.type.shape, dtype=r.type.dtype, context=r.type.context) if g is None else g)
            found = rule(residuals, structure.build(filled))
            if not isinstance(found, tuple) or len(found) != len(args):
                raise TypeError(f"[{self.f.__name__}] the rule must return a tuple of {len(args)} cotangents")
            flat: list[Handle | None] = []
            for k, a in enumerate(args):
                parts = [leaf for leaf in flatten(a)[0] if isinstance(leaf, Handle)]
                gs = [None] * len(parts) if found[k] is None else flatten(found[k])[0]
                flat.extend(None if g is None else conform(g, p, self.f.__name__) for g, p in zip(gs, parts, strict=True))
            return flat

        for tape in recorder.tapes:
            tape.opaque([leaf for _, leaf in leaves], arrays, pullback)
        return value


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """`f`, whose intermediate values are not kept for the gradient but computed again from its arguments (trades time for memory)."""

    @functools.wraps(f)
    def recomputed(*args: Any, **kwargs: Any) -> Any:
        recorder = current()
        if not recorder.tapes:
            return f(*args, **kwargs)
        positions = [k for k, a in enumerate(args) if any(_trackable(leaf) for leaf in flatten(a)[0])]
        leaves = [leaf for k in positions for leaf in flatten(args[k])[0] if _trackable(leaf)]
        with _Suspended(recorder):
            value = _fresh(f(*args, **kwargs))
        arrays = [leaf for leaf in flatten(value)[0] if isinstance(leaf, Handle)]

        def pullback(cotangents: list[Handle | None]) -> list[Handle | None]:
            again = _Forward("checkpoint", f, positions, args, kwargs)
            outputs = [leaf for leaf in flatten(again.result)[0] if isinstance(leaf, Handle)]
            seeds = [(o, g) for o, g in zip(outputs, cotangents, strict=True) if g is not None and differentiable(o.type)]
            return [
                g
                for k, found in zip(positions, again.pull(seeds), strict=True)
                for leaf, g in zip(flatten(args[k])[0], flatten(found)[0], strict=True)
                if _trackable(leaf)
            ]

        for tape in recorder.tapes:
            tape.opaque(leaves, arrays, pullback)
        return value

    return recomputed


def _trackable(leaf: Any) -> bool:
    return isinstance(leaf, Handle) and differentiable(leaf.type)


# -- fallbacks --------------------------------------------------------------------------------------------------------------------------
class _HostFunction:
    """A NumPy call as a function of its array arguments alone: on host values by NumPy, on boxes by HIPS autograd."""

    def __init__(self, name: str, function: Callable[..., Any], hips: Callable[..., Any] | None, args: Any, kwargs: Any) -> None:
        self.name, self.function, self.hips = name, function, hips
        leaves, self.structure = flatten((args, kwargs))
        self.where = [k for k, leaf in enumerate(leaves) if isinstance(leaf, Handle)]
        self.constants = [None if isinstance(leaf, Handle) else leaf for leaf in leaves]
        self.handles = [leaf for leaf in leaves if isinstance(leaf, Handle)]
        self.line = user_line()

    @property
    def is_pullback(self) -> bool:
        """Whether it is the derivative of another one."""
        return self.function is self.hips

    def call(self, function: Callable[..., Any], values: Sequence[Any]) -> Any:
        leaves = list(self.constants)
        for k, v in zip(self.where, values, strict=True):
            leaves[k] = v
        args, kwargs = self.structure.build(leaves)
        return function(*args, **kwargs)

    def traced(self, *values: Any) -> Any:
        """The call as HIPS autograd sees it."""
        if self.hips is None:
            raise self.missing(0)
        return self.call(self.hips, values)

    def missing(self, argument: int) -> NoGradientError:
        return NoGradientError(
            f"[{self.name}] ran in NumPy and HIPS autograd has no rule for it (argument {argument}, {self.line}); "
            "use stop_gradient(), or custom_vjp for a rule of your own"
        )


def _hips_function(name: str) -> Callable[..., Any] | None:
    import autograd.numpy as anp

    found: Any = anp
    for part in name.removeprefix("numpy.").split("."):
        found = getattr(found, part, None)
        if found is None:
            return None
    return found if hasattr(found, "fun") or hasattr(found, "__wrapped__") or callable(found) else None


def tape_hook(function: Any, name: str, args: Any, kwargs: Any, results: Any) -> None:
    """A function ran in NumPy under a tape: enter its pullback (None: there is no rule for it)."""
    recorder = current()
    host_function = _HostFunction(name, function, None if function is None else _hips_function(name), args, kwargs)
    _enter(recorder, host_function, results)


def _enter(recorder: Recorder, host_function: _HostFunction, results: Any) -> None:
    outputs = [leaf for leaf in flatten(results)[0] if isinstance(leaf, Handle)]
    inputs = host_function.handles

    def pullback(cotangents: list[Handle | None]) -> list[Handle | None]:
        return [
            _pull_argument(host_function, k, outputs, cotangents) if _trackable(h) else None for k, h in enumerate(host_function.handles)
        ]

    for tape in recorder.tapes:
        tape.opaque(inputs, outputs, pullback)


def _pull_argument(host_function: _HostFunction, argument: int, outputs: Sequence[Handle], cotangents: Sequence[Handle | None]) -> Handle:
    """The cotangent of one argument: itself a host function (so that it can be differentiated again)."""
    given = [
        TABLE["zeros"](shape=o.type.shape, dtype=o.type.dtype, context=o.type.context) if g is None else g
        for o, g in zip(outputs, cotangents, strict=True)
    ]

    def pulled(gs: tuple[Any, ...], values: tuple[Any, ...]) -> Any:
        from autograd.core import VJPNode, backward_pass
        from autograd.tracer import notrace_primitives, trace

        def one(x: Any) -> Any:
            return host_function.traced(*values[:argument], x, *values[argument + 1 :])

        try:
            answer, end = trace(VJPNode.new_root(), one, values[argument])
            if end is not None:
                return backward_pass(gs if isinstance(answer, tuple) else gs[0], end)
        except NotImplementedError as error:
            raise host_function.missing(argument) from error
        # what HIPS autograd did not see (an array in a list, a callback of ours) is no zero; a pullback may be linear
        if not host_function.is_pullback and host_function.hips not in notrace_primitives[VJPNode]:
            raise host_function.missing(argument)
        return np.zeros_like(values[argument])

    name = f"vjp of {host_function.name}"
    call = _HostFunction(name, pulled, pulled, (tuple(given), tuple(host_function.handles)), {})
    values = [observe(h, f"fallback {name}") for h in call.handles]
    result = as_handle(call.call(pulled, values))
    recorder = current()
    if recorder.tapes:
        _enter(recorder, call, result)
    return result


def register() -> None:
    """Tell the fallback layer where the tapes are."""
    fallback.set_tape_hook(tape_hook)
