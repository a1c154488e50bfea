"""`grad` and friends: run the function under a tape, append its pullback's steps to the same segment."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..numpy.array import Array
from ..numpy.convert import NUMBERS, as_handle, beside, default_dtype, host, operand
from ..trace.handle import Handle
from ..trace.op import TABLE
from ..trace.pytree import Structure, flatten, tree_map
from ..trace.recorder import Recorder, Segment, current
from .pullback import differentiable
from .tape import Tape, Target, twin, zeros_of

Argnum = int | Sequence[int]


def _variable(leaf: Any, name: str, argnum: int) -> Handle | None:
    """A leaf as something to differentiate by: floats as they are, integers and Python numbers as floats, the rest not at all."""
    if type(leaf) is Array and leaf.type.dtype.kind == "f":
        return leaf
    if leaf is None or isinstance(leaf, (str, bytes)) or callable(leaf):
        return None
    value = operand(leaf)
    # by type, not isinstance: a lazy scalar says that it is a float
    if type(value) is complex:
        value = host(np.asarray(value), scalar=True)
    elif type(value) in NUMBERS:
        value = host(np.asarray(value, default_dtype()), scalar=True)
    if value.type.dtype.kind in "biu":
        value = TABLE["astype"](value, dtype=default_dtype())
    if not differentiable(value.type):
        raise TypeError(f"[{name}] argument {argnum} has dtype {value.type.dtype}, which has no gradient; use float arrays")
    return value


class _Forward:
    """A forward run under a tape: the result, the tape, and the watched leaves of the chosen arguments."""

    def __init__(
        self, name: str, f: Callable[..., Any], argnums: Sequence[int], args: tuple[Any, ...], kwargs: dict[str, Any], keep: bool = False
    ) -> None:
        """Run `f`. With `keep` the pullback may be called after other things have been observed."""
        recorder = current()
        self.tape = Tape(recorder)
        self.structures: list[Structure] = []
        self.targets: list[list[Target | None]] = []
        self.twins: dict[int, Handle] = {}
        arguments = list(args)
        keep_open = False
        # not a call, after which Ctrl-C may come
        recorder.tapes += [self.tape]
        try:
            if recorder.immediate is not None and len(recorder.tapes) == 1:
                # from here on steps are recorded as well as computed
                recorder.fresh()
            for argnum in argnums:
                if not -len(args) <= argnum < len(args):
                    raise TypeError(f"[{name}] argnum {argnum}, but the function was called with {len(args)} positional arguments")
                leaves, structure = flatten(arguments[argnum])
                variables = [_variable(leaf, name, argnum) for leaf in leaves]
                watched = [(leaf, None) if v is None else self.tape.watch(v) for leaf, v in zip(leaves, variables, strict=True)]
                self.structures.append(structure)
                self.targets.append([target for _, target in watched])
                # the function gets handles of its own: what it writes to its arguments stays inside
                arguments[argnum] = structure.build([inside for inside, _ in watched])
            self.result = f(*arguments, **kwargs)
            # a view is read while the tape is active; what the user may write to before the pullback is called is held apart
            self.twins = {
                id(leaf): twin(leaf)
                for leaf in flatten(self.result)[0]
                if isinstance(leaf, Handle) and (keep or leaf.segment is None) and differentiable(leaf.type)
            }
            keep_open = not keep
        finally:
            try:
                # until the pullback has been called, a flush concerns it; noted first, so that another thread finds it in either list
                recorder.kept.append(weakref.ref(self.tape))
            finally:
                recorder.tapes.remove(self.tape)
            self.tape.close()
            if not keep_open:
                self._unrecord(recorder)

    @staticmethod
    def _unrecord(recorder: Recorder) -> None:
        """In the immediate modes, nothing is recorded any more when no tape is active."""
        if recorder.immediate is not None and not recorder.tapes:
            recorder.seal()

    def pull(self, seeds: Sequence[tuple[Handle, Handle | None]]) -> list[Any]:
        """Gradients in the shape of the chosen arguments, one per argnum."""
        recorder = current()
        if recorder.immediate is not None and type(recorder.segment) is not Segment:
            recorder.segment = Segment(recorder, recorder.immediate_root)
            recorder.segment.limit = -1
        flat = [t for targets in self.targets for t in targets if t is not None]
        try:
            gradients = iter(self.tape.backward([(self.twins.get(id(h), h), g) for h, g in seeds], flat))
            return [
                structure.build([None if t is None else next(gradients) for t in targets])
                for structure, targets in zip(self.structures, self.targets, strict=True)
            ]
        finally:
            self._unrecord(recorder)


def _results(value: Any) -> list[tuple[Handle, Handle | None]]:
    """The arrays of a result, seeded with ones (so that the sum of all results is differentiated, as MinPy does)."""
    leaves, _ = flatten(value)
    return [(leaf, None) for leaf in leaves if isinstance(leaf, Handle) and differentiable(leaf.type)]


def _argnums(argnum: Argnum) -> tuple[tuple[int, ...], bool]:
    if isinstance(argnum, int):
        return (argnum,), True
    return tuple(argnum), False


def _named(f: Callable[..., Any], prefix: str) -> Callable[[Any], Any]:
    def wrap(g: Any) -> Any:
        functools.update_wrapper(g, f, updated=())
        g.__name__ = f"{prefix}_{getattr(f, '__name__', 'f')}"
        return g

    return wrap


def value_and_grad(f: Callable[..., Any], argnum: Argnum = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns `(f(...), gradient)`.

    Args:
        f: any function of arrays; branches, loops, in-place writes, prints and fallbacks inside are fine.
        argnum: position(s) of the arguments to differentiate by: an int, or a tuple of them (then the gradient is a tuple). An argument
            may be an array, a Python number, or nested lists, tuples and dicts of them; the gradient has the same structure.
        has_aux: `f` returns `(value, anything)`; the second part is passed through.

    Returns:
        `g(*args, **kwargs)` -> `(value, gradient)`, with `has_aux` `((value, aux), gradient)`. Each gradient array has its argument's shape
        and dtype (float64 for integers). A value that is not a scalar is differentiated as its sum.

    Raises:
        NoGradientError: an operation on the way has no rule; names op, argument and line.

    Example:
        >>> import minpy_jit.numpy as np
        >>> value_and_grad(lambda x: np.sum(x * x))(np.array([1.0, 2.0]))
        (5.0, array([2., 4.]))
    """
    argnums, single = _argnums(argnum)

    @_named(f, "value_and_grad")
    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        forward = _Forward("grad", f, argnums, args, kwargs)
        value = forward.result
        if has_aux:
            if not isinstance(value, tuple) or len(value) != 2:
                raise TypeError("[grad] has_aux needs a function that returns (value, aux)")
            value = value[0]
        gradients = forward.pull(_results(value))
        return forward.result, gradients[0] if single else tuple(gradients)

    return value_and_gradient


def grad(f: Callable[..., Any], argnum: Argnum = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The gradient function of `f`; arguments as for `value_and_grad`, which also returns the value.

    Example:
        >>> grad(lambda x: x**3)(2.0)
        12.0
        >>> grad(grad(lambda x: x**3))(2.0)
        12.0
    """
    both = value_and_grad(f, argnum, has_aux)

    @_named(f, "grad")
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, found = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def grad_and_loss(f: Callable[..., Any], argnum: Argnum = 0) -> Callable[..., Any]:
    """MinPy's order: a function that returns `(gradient, value)`."""
    both = value_and_grad(f, argnum)

    @_named(f, "grad_and_loss")
    def gradient_and_loss(*args: Any, **kwargs: Any) -> Any:
        value, found = both(*args, **kwargs)
        return found, value

    return gradient_and_loss


def vjp(f: Callable[..., Any], *args: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """`(f(*args), pullback)`: the pullback maps a cotangent shaped like the value to a tuple of cotangents, one per argument."""
    forward = _Forward("vjp", f, tuple(range(len(args))), args, {}, keep=True)
    leaves, structure = flatten(forward.result)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        given, found = flatten(cotangent)
        if found != structure:
            raise TypeError("[vjp] the cotangent's structure differs from the value's")
        seeds = []
        for leaf, g in zip(leaves, given, strict=True):
            if isinstance(leaf, Handle) and differentiable(leaf.type) and g is not None:
                seeds.append((leaf, conform(g, leaf, "vjp")))
        return tuple(forward.pull(seeds))

    return forward.result, pullback


def conform(value: Any, like: Handle, name: str) -> Handle:
    """A cotangent or tangent in the dtype of `like`.

    Raises:
        ValueError: another shape.
    """
    handle = beside(like, as_handle, value)
    if handle.type.shape != like.type.shape:
        raise ValueError(f"[{name}] the value has shape {like.type.shape}, its cotangent {handle.type.shape}")
    return handle if handle.type.dtype == like.type.dtype else TABLE["astype"](handle, dtype=like.type.dtype)


def jvp(f: Callable[..., Any], args: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """`(f(*args), derivative along tangents)`: forward mode by two reverse ones (the pullback is linear in its cotangent)."""
    args = tuple(tree_map(lambda leaf: _variable(leaf, "jvp", 0), a) for a in args)
    directions, structure = flatten(tuple(tangents))
    if flatten(tuple(args))[1] != structure:
        raise TypeError("[jvp] the tangents' structure differs from the arguments'")
    value = f(*args)
    outputs, shape = flatten(value)
    dummies = [zeros_of(o.type) for o in outputs]

    def linear(*cotangents: Handle) -> Any:
        pulled = vjp(f, *args)[1](shape.build(cotangents))
        total: Any = 0.0
        for g, d in zip(flatten(pulled)[0], directions, strict=True):
            part = TABLE["sum"](TABLE["multiply"](g, conform(d, g, "jvp")), axis=None, keepdims=False, dtype=None)
            if isinstance(total, Handle) and total.type.context is not part.type.context:
                part = TABLE["to_context"](part, context=total.type.context)
            total = TABLE["add"](total, part)
        return total

    derivative = _Forward("jvp", linear, tuple(range(len(dummies))), tuple(dummies), {})
    return value, shape.build(derivative.pull(_results(derivative.result)))


def elementwise_grad(f: Callable[..., Any], argnum: Argnum = 0) -> Callable[..., Any]:
    """The derivative of each element, for a function that works element by element (HIPS autograd's name)."""
    return grad(f, argnum)


def jacobian(f: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """The Jacobian: shape = value's shape + argument's shape. `f` maps one array to one array."""

    @_named(f, "jacobian")
    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        forward = _Forward("jacobian", f, (argnum,), args, kwargs, keep=True)
        value = forward.result
        if not isinstance(value, Handle):
            raise TypeError(f"[jacobian] the function must return one array; got {type(value).__name__}")
        shape, size = value.type.shape, value.type.size
        rows = []
        for k in range(size):
            basis = np.zeros(size, value.type.dtype)
            basis[k] = 1
            rows.append(forward.pull([(value, host(basis.reshape(shape), value.type.context))])[0])
        if not rows:
            raise ValueError("[jacobian] the value has no element")
        target = rows[0].type.shape
        flat = [TABLE["reshape"](r, shape=(1, *target)) for r in rows]
        return TABLE["reshape"](TABLE["concatenate"](*flat, axis=0), shape=(*shape, *target))

    return jacobian_of


def hessian(f: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """The Hessian of a scalar function: shape = argument's shape twice."""
    return jacobian(jacobian(f, argnum), argnum)


def hvp(f: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """Hessian-vector product: `hvp(f)(*args, vector)`; the vector is shaped like the argument."""

    @_named(f, "hvp")
    def product(*args: Any, **kwargs: Any) -> Any:
        *inputs, vector = args

        def along(*inner: Any) -> Any:
            g = grad(f, argnum)(*inner, **kwargs)
            return TABLE["sum"](TABLE["multiply"](g, conform(vector, g, "hvp")), axis=None, keepdims=False, dtype=None)

        return grad(along, argnum)(*inputs)

    return product


def stop_gradient(x: Any) -> Any:
    """`x` (containers too) through which no gradient flows."""
    return tree_map(lambda leaf: TABLE["stop_gradient"](leaf) if isinstance(leaf, Handle) else leaf, x)
