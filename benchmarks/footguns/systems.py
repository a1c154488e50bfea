"""The systems: plain NumPy, ours in every mode, and the peers, each behind a toolkit. Each imports what it needs when it is made."""

from __future__ import annotations

import contextlib
import functools
import io
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from . import FOOTGUNS, TIMES, NotApplicable, Toolkit, load

# the ways around name footguns
load()

Function = Callable[..., Any]


def namespace(module: Any, **more: Any) -> types.ModuleType:
    """A copy of a module's namespace, with some names of NumPy's added that the module spells otherwise."""
    made = types.ModuleType("np")
    vars(made).update({name: getattr(module, name) for name in dir(module) if not name.startswith("_")})
    vars(made).update(more)
    return made


class Traced(Toolkit):
    """A system with a decorator, which may be left out to see what the system does by itself."""

    tolerance = 1e-4
    # versions that the table names
    packages: Sequence[str] = ()

    def __init__(self, traced: bool = True) -> None:
        self.traced = traced

    def unusable(self, error: Exception) -> str | None:
        """A name that the system's namespace lacks is no answer."""
        missing = isinstance(error, AttributeError) and "module 'np' has no attribute" in str(error)
        return f"no {str(error).rpartition(' ')[2]}" if missing else super().unusable(error)


class NumPy(Toolkit):
    """The truth. Gradients by central differences of the fourth order."""

    packages: Sequence[str] = ("numpy",)

    def __init__(self, traced: bool = True) -> None:
        import numpy

        self.np = numpy

    def grad(self, function: Function) -> Function:
        np, step = self.np, 1e-3

        def gradient(x: Any, *rest: Any) -> Any:
            found = np.zeros(x.shape)
            for index in np.ndindex(x.shape):
                for factor, at in ((8, 1), (-8, -1), (-1, 2), (1, -2)):
                    moved = np.array(x, dtype=float)
                    moved[index] += at * step
                    found[index] += factor * float(function(moved, *rest)) / (12 * step)
            return found

        return gradient


# -- ours -------------------------------------------------------------------------------------------------------------------------------
class Ours(Toolkit):
    """minpy_jit in one of its modes."""

    name = "minpy_jit, lazy"
    mode = "lazy"
    packages: Sequence[str] = ("mxnet", "numpy")

    def __init__(self, traced: bool = True) -> None:
        import minpy_jit.numpy

        self.np = minpy_jit.numpy
        self.package: Any = minpy_jit

    def grad(self, function: Function) -> Function:
        return self.package.grad(function)

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        with self.package.mode(self.mode):
            yield


class OursTraced(Ours):
    """`@minpy_jit.trace`."""

    name = "minpy_jit, @trace"

    def jit(self, function: Function, static: Sequence[str] = ()) -> Function:
        return self.package.trace(function)


class OursPure(Ours):
    """`@minpy_jit.trace(pure=True)`."""

    name = "minpy_jit, pure"

    def jit(self, function: Function, static: Sequence[str] = ()) -> Function:
        return self.package.trace(function, pure=True)


class OursEager(Ours):
    """Every operation at once by MXNet."""

    name = "minpy_jit, eager"
    mode = "eager"


class OursInNumPy(Ours):
    """Every operation at once by NumPy."""

    name = "minpy_jit, numpy"
    mode = "numpy"


# -- peers ------------------------------------------------------------------------------------------------------------------------------
class Jax(Traced):
    """`jax.jit` on `jax.numpy`; parameters that are no arrays are static arguments. `jax.numpy` has no random numbers: NumPy's are used."""

    name = "jax.jit"
    packages = ("jax", "numpy")

    def __init__(self, traced: bool = True) -> None:
        super().__init__(traced)
        import jax
        import numpy

        self.jax = jax
        self.np = namespace(jax.numpy, random=numpy.random)

    def jit(self, function: Function, static: Sequence[str] = ()) -> Function:
        return self.jax.jit(function, static_argnames=tuple(static)) if self.traced else function

    def grad(self, function: Function) -> Function:
        return self.jax.grad(function)

    def get(self, value: Any) -> Any:
        return self.jax.device_get(value).tolist() if hasattr(value, "dtype") else value


class Torch(Traced):
    """`torch.compile` (its defaults) on tensors; gradients by `torch.autograd.grad`."""

    name = "torch.compile"
    packages = ("torch", "numpy")

    def __init__(self, traced: bool = True) -> None:
        super().__init__(traced)
        import torch

        self.torch = torch

        def extremum(function: Function) -> Function:
            return lambda x, y: function(x, torch.as_tensor(y, dtype=x.dtype))

        self.np = namespace(
            torch,
            array=torch.tensor,
            copy=torch.clone,
            concatenate=torch.cat,
            maximum=extremum(torch.maximum),
            minimum=extremum(torch.minimum),
            random=types.SimpleNamespace(rand=torch.rand, seed=torch.manual_seed),
        )

    def jit(self, function: Function, static: Sequence[str] = ()) -> Function:
        return self.torch.compile(function) if self.traced else function

    def grad(self, function: Function) -> Function:
        def gradient(x: Any, *rest: Any) -> Any:
            again = x.requires_grad
            x = x if again else x.detach().clone().requires_grad_()
            return self.torch.autograd.grad(function(x, *rest), x, create_graph=again, materialize_grads=True)[0]

        return gradient

    def get(self, value: Any) -> Any:
        return value.detach().tolist()

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        self.torch._dynamo.reset()
        yield


class TorchOnNumPy(Torch):
    """`torch.compile` on NumPy code, which it documents to take as it is."""

    name = "torch.compile, NumPy code"

    def __init__(self, traced: bool = True) -> None:
        super().__init__(traced)
        import numpy

        self.np = numpy

    def grad(self, function: Function) -> Function:
        raise NotApplicable("NumPy arrays carry no gradients")

    def get(self, value: Any) -> Any:
        return value.tolist() if hasattr(value, "tolist") else value


class Mlx(Traced):
    """`mlx.core.compile`."""

    name = "MLX compile"
    packages = ("mlx", "numpy")

    def __init__(self, traced: bool = True) -> None:
        super().__init__(traced)
        import mlx.core

        self.core = core = mlx.core
        self.np = namespace(
            core,
            copy=core.array,
            random=types.SimpleNamespace(rand=lambda *shape: core.random.uniform(shape=shape), seed=core.random.seed),
        )

    def jit(self, function: Function, static: Sequence[str] = ()) -> Function:
        return self.core.compile(function) if self.traced else function

    def grad(self, function: Function) -> Function:
        return self.core.grad(function)


class Hybridize(Traced):
    """MXNet's `HybridBlock.hybridize` on `mx.np`: in `hybrid_forward(F, ...)` the namespace is F's, symbols while it is traced."""

    name = "MXNet hybridize"
    packages = ("mxnet", "numpy")

    def __init__(self, traced: bool = True) -> None:
        super().__init__(traced)
        import numpy

        # MXNet 1.9.1 looks it up
        if "bool" not in vars(numpy):
            numpy.bool = numpy.bool_  # type: ignore[attr-defined]
        import mxnet

        mxnet.npx.set_np()
        self.mx = mxnet
        self.np = _Current(mxnet)

    def jit(self, function: Function, static: Sequence[str] = ()) -> Function:
        if not self.traced:
            return function
        namespace = self.np

        class Block(self.mx.gluon.HybridBlock):  # type: ignore[name-defined, misc]
            def hybrid_forward(self, F: Any, *args: Any) -> Any:
                outer, namespace.now = namespace.now, F.np
                try:
                    return function(*args)
                finally:
                    namespace.now = outer

        block = Block()
        block.hybridize()
        return block

    def grad(self, function: Function) -> Function:
        autograd = self.mx.autograd

        def gradient(x: Any, *rest: Any) -> Any:
            again = autograd.is_recording()
            if not again:
                x = x.copy()
                x.attach_grad()
            with autograd.record():
                value = function(x, *rest)
                if again:
                    return autograd.grad(value, [x], create_graph=True, retain_graph=True)[0]
            value.backward()
            return x.grad.copy()

        return gradient

    def get(self, value: Any) -> Any:
        return value.asnumpy().tolist() if hasattr(value, "asnumpy") else value


class _Current:
    """`F.np`: MXNet's imperative namespace, or the symbolic one while a block is traced."""

    def __init__(self, mxnet: Any) -> None:
        self.now = self.imperative = mxnet.np
        self.seed = mxnet.random.seed

    def __getattr__(self, name: str) -> Any:
        if name == "random":
            # its seed stands elsewhere
            return types.SimpleNamespace(rand=self.now.random.rand, seed=self.seed)
        if not hasattr(self.imperative, name):
            raise NotApplicable(f"no np.{name}")
        found = getattr(self.imperative, name)
        # dtypes are the same for both
        return found if isinstance(found, type) and name != "ndarray" else getattr(self.now, name)


class Hips(Traced):
    """HIPS autograd: it traces for gradients only."""

    name = "HIPS autograd"
    packages = ("autograd", "numpy")

    def __init__(self, traced: bool = True) -> None:
        super().__init__(traced)
        import autograd
        import autograd.numpy

        self.np = autograd.numpy
        self.package = autograd

    def grad(self, function: Function) -> Function:
        return self.package.grad(function)


SYSTEMS: dict[str, Callable[..., Any]] = {
    "lazy": Ours,
    "trace": OursTraced,
    "pure": OursPure,
    "eager": OursEager,
    "numpy": OursInNumPy,
    "hybridize": Hybridize,
    "autograd": Hips,
    "jax": Jax,
    "torch": Torch,
    "torch-numpy": TorchOnNumPy,
    "mlx": Mlx,
}


# -- documented ways around ---------------------------------------------------------------------------------------------------------------
# (system, footgun) -> (what the system's documentation says to write instead, and that program)
Idiom = tuple[str, Callable[[Any], Any]]
IDIOMS: dict[tuple[str, str], Idiom] = {}


def idiom(system: str, footgun: str, way: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Register the way around that a peer documents for a footgun."""

    def register(body: Callable[[Any], Any]) -> Callable[[Any], Any]:
        IDIOMS[system, footgun] = (way, body)
        return body

    return register


@idiom("jax", "fresh-random-numbers", "a new key per call from jax.random.split")
def _jax_keys(t: Jax) -> Any:
    random = t.jax.random
    f = t.jit(lambda x, key: x + random.uniform(key, (4,)))
    key = random.key(0)
    draws = []
    for _ in range(4):
        key, now = random.split(key)
        draws.append(tuple(t.get(f(t.np.zeros(4), now))))
    return len(set(draws))


@idiom("jax", "seed-repeats-the-stream", "keys from jax.random.key(seed)")
def _jax_seeds(t: Jax) -> Any:
    random = t.jax.random
    f = t.jit(lambda x, key: x + random.uniform(key, (4,)))
    runs = [[t.get(f(t.np.zeros(4), key)) for key in random.split(random.key(seed), 3)] for seed in (0, 0, 1)]
    return runs[0] == runs[1], runs[0] == runs[2]


@idiom("jax", "draws-in-a-loop", "jax.random.split inside the function")
def _jax_loop(t: Jax) -> Any:
    random = t.jax.random

    def f(x: Any, key: Any) -> Any:
        return [x + random.uniform(k, (2,)) for k in random.split(key, 3)]

    g = t.jit(f)
    return [len({tuple(t.get(y)) for y in g(t.np.zeros(2), key)}) for key in random.split(random.key(0), 4)]


@idiom("jax", "traced-numbers-are-the-untraced-ones", "keys as arguments")
def _jax_untraced(t: Jax) -> Any:
    random = t.jax.random

    def f(x: Any, key: Any) -> Any:
        return x + random.uniform(key, (4,))

    g, keys = t.jit(f), random.split(random.key(3), 3)
    return bool(all(t.np.allclose(f(t.np.zeros(4), k), g(t.np.zeros(4), k)) for k in keys))


@idiom("jax", "draws-between-traced-calls", "keys as arguments")
def _jax_between(t: Jax) -> Any:
    np, random = t.np, t.jax.random

    def run(call: Any) -> Any:
        key = random.key(5)
        found = []
        for _ in range(3):
            key, inside, outside = random.split(key, 3)
            found += [call(np.zeros(2), inside), random.uniform(outside, (2,)) + 0.0]
        return [t.get(y) for y in reversed(found)]

    def f(x: Any, key: Any) -> Any:
        return x + random.uniform(key, (2,))

    return run(t.jit(f)) == run(f)


@idiom("jax", "while-on-a-value", "jax.lax.while_loop")
def _jax_while(t: Jax) -> Any:
    np = t.np
    f = t.jit(lambda x: t.jax.lax.while_loop(lambda v: np.sum(v) < 100, lambda v: v * 2, x))
    return [t.get(f(np.array([k, 1.0]))) for k in (1.0, 30.0, 200.0, 3.0)]


@idiom("jax", "masked-assignment", "jax.numpy.where")
def _jax_where(t: Jax) -> Any:
    np = t.np
    f = t.jit(lambda x: np.where(x > 2, 0.5, x))
    return [t.get(f(np.array([1.0, 2.0 + k, 3.0 - k]))) for k in range(TIMES)]


@idiom("jax", "overlapping-assignment", "a.at[1:].set(a[:-1])")
def _jax_overlap(t: Jax) -> Any:
    f = t.jit(lambda a: (a.at[1:].set(a[:-1]), a.at[:-1].add(a[1:])))
    return [[t.get(y) for y in f(t.np.array([1.0, 2.0, 3.0, 4.0 + k]))] for k in range(TIMES)]


@idiom("jax", "printing-a-value", "jax.debug.print")
def _jax_print(t: Jax) -> Any:
    np = t.np

    def f(x: Any) -> Any:
        y = x * 2
        t.jax.debug.print("{:.2f}", np.sum(y), ordered=True)
        return y + 1

    g = t.jit(f)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        values = [t.get(g(np.array([1.0, 2.0 + k]))) for k in range(TIMES)]
        t.jax.effects_barrier()
    return values, out.getvalue()


@idiom("jax", "gradient-through-an-assignment", "y.at[0].set(x[1])")
def _jax_at(t: Jax) -> Any:
    np = t.np

    def f(x: Any) -> Any:
        y = (x * 1).at[0].set(x[1])
        return np.sum(y * y)

    g = t.grad(t.jit(f))
    return [t.get(g(np.array([1.0, 2.0, 3.0 + k]))) for k in range(3)]


@idiom("jax", "branch-on-a-value", "jax.lax.cond")
def _jax_cond(t: Jax) -> Any:
    np = t.np
    f = t.jit(lambda x: t.jax.lax.cond(np.sum(x) > 0, lambda v: v * 2, lambda v: v * 10, x))
    return [t.get(f(np.array([k, 1.0]))) for k in (1.0, -3.0, 2.0, -4.0)]


@idiom("jax", "large-integers", "jax_enable_x64")
def _jax_wide(t: Jax) -> Any:
    with t.jax.enable_x64(True):
        f = t.jit(lambda x: x + 1)
        return [t.get(f(t.np.array([base]))) for base in (16777216, 2147483647, 16777218)]


def _mlx_state(t: Mlx, state: list[Any], function: Function) -> Function:
    return functools.partial(t.core.compile, inputs=state, outputs=state)(function) if t.traced else function


@idiom("mlx", "running-statistics", "compile(inputs=state, outputs=state)")
def _mlx_statistics(t: Mlx) -> Any:
    np = t.np
    state = [np.array([0.0, 0.0])]

    def f(x: Any) -> Any:
        state[0] = state[0] * 0.5 + x
        return x - state[0]

    g = _mlx_state(t, state, f)
    return [t.get(g(np.array([1.0, 2.0 * k]))) for k in range(4)], t.get(state[0])


@idiom("mlx", "rebound-attribute-array", "compile(inputs=state)")
def _mlx_attribute(t: Mlx) -> Any:
    np = t.np
    state = {"weight": np.array([1.0, 1.0])}
    f = t.core.compile(lambda x: x * state["weight"], inputs=state) if t.traced else (lambda x: x * state["weight"])
    found = []
    for k in range(4):
        state["weight"] = np.array([1.0 + k, 2.0 + k])
        found.append(t.get(f(np.array([1.0, 2.0]))))
    return found


class _MlxRandomState(Mlx):
    """MLX with its random state named."""

    def jit(self, function: Function, static: Sequence[str] = ()) -> Function:
        return _mlx_state(self, self.core.random.state, function)


class _TorchFallbackRandom(Torch):
    """PyTorch with eager mode's random numbers in compiled code."""

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        import torch._inductor.config as inductor

        with super().scope(), inductor.patch(fallback_random=True):
            yield


class _TorchNumPyStream(TorchOnNumPy):
    """PyTorch with NumPy's own random numbers in compiled NumPy code."""

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        import torch._dynamo.config as dynamo

        with super().scope(), dynamo.patch(use_numpy_random_stream=True):
            yield


def _instead(make: Callable[..., Any], body: Callable[[Any], Any], t: Any) -> Any:
    toolkit = make(t.traced)
    with toolkit.scope():
        return body(toolkit)


for _name in (
    "fresh-random-numbers",
    "seed-repeats-the-stream",
    "traced-numbers-are-the-untraced-ones",
    "draw-that-nobody-uses",
    "draws-between-traced-calls",
):
    for _system, _make, _way in (
        ("mlx", _MlxRandomState, "compile(inputs=mx.random.state, outputs=mx.random.state)"),
        ("torch", _TorchFallbackRandom, "torch._inductor.config.fallback_random = True"),
        ("torch-numpy", _TorchNumPyStream, "torch._dynamo.config.use_numpy_random_stream = True"),
    ):
        idiom(_system, _name, _way)(functools.partial(_instead, _make, FOOTGUNS[_name].body))
