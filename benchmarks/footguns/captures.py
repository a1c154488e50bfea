"""State that a traced function reads and somebody changes between calls: globals, closures, attributes, defaults, other functions."""

from __future__ import annotations

import dataclasses
import functools
import types
from typing import Any

import numpy

from . import TIMES, Toolkit, footgun

SCALE = 1.0


@footgun("broken", "pytorch#191821")
def rebound_global(t: Toolkit) -> Any:
    """A global is given another value."""
    global SCALE
    f = t.jit(lambda x: x * SCALE)
    found = []
    for SCALE in (2.0, 3.0, 5.0, 2.0):  # noqa: B007 - the traced function reads it
        found.append(t.get(f(t.np.array([1.0, 2.0]))))
    return found


@footgun("broken", "tinygrad's footgun list")
def rebound_closure(t: Toolkit) -> Any:
    """A number in the enclosing function is rebound."""
    k = 1.0
    f = t.jit(lambda x: x * k)
    found = []
    for k in (2.0, 3.0, 5.0, 2.0):  # noqa: B007 - the closure reads it
        found.append(t.get(f(t.np.array([1.0, 2.0]))))
    return found


@footgun("broken", "tinygrad's footgun list")
def instance_attribute(t: Toolkit) -> Any:
    """An attribute of the captured object changes."""
    model = types.SimpleNamespace(rate=1.0)
    f = t.jit(lambda x: x * model.rate)
    found = []
    for rate in (2.0, 3.0, 5.0):
        model.rate = rate
        found.append(t.get(f(t.np.array([1.0, 2.0]))))
    return found


@footgun("broken", "pytorch#176851")
def class_attribute(t: Toolkit) -> Any:
    """A class attribute changes."""

    class Layer:
        training = True

        def __call__(self, x: Any) -> Any:
            return x * 2 if self.training else x * 10

    layer = Layer()
    f = t.jit(lambda x: layer(x))
    found = []
    for training in (True, False, True, False):
        Layer.training = training
        found.append(t.get(f(t.np.array([1.0, 2.0]))))
    return found


@footgun("broken", "pytorch#115774")
def rebound_attribute_array(t: Toolkit) -> Any:
    """An attribute that is an array is given another array."""
    np = t.np
    model = types.SimpleNamespace(weight=np.array([1.0, 1.0]))
    f = t.jit(lambda x: x * model.weight)
    found = []
    for k in range(TIMES):
        model.weight = np.array([1.0 + k, 2.0 + k])
        found.append(t.get(f(np.array([1.0, 2.0]))))
    return found


@footgun("broken", "MLX documentation, compile")
def rebound_closure_array(t: Toolkit) -> Any:
    """A captured array's name is bound to another array."""
    np = t.np
    w = np.array([1.0, 1.0])
    f = t.jit(lambda x: x + w)
    found = []
    for k in range(TIMES):
        w = np.array([10.0 * k, 1.0])
        found.append(t.get(f(np.array([1.0, 2.0]))))
    return found


@footgun("kept", "MLX documentation, compile")
def captured_array_written_to(t: Toolkit) -> Any:
    """A captured array is written to in place between calls."""
    np = t.np
    w = np.array([1.0, 1.0])
    f = t.jit(lambda x: x + w)
    found = []
    for _ in range(TIMES):
        w += 1
        found.append(t.get(f(np.array([1.0, 2.0]))))
    return found


@footgun("kept", "JAX documentation, sharp bits")
def captured_numpy_array_written_to(t: Toolkit) -> Any:
    """A captured array of plain NumPy is written to between calls."""
    w = numpy.array([1.0, 1.0], dtype=numpy.float32)
    f = t.jit(lambda x: x + t.np.array(w))
    found = []
    for k in range(TIMES):
        w[:] = 10.0 * k
        found.append(t.get(f(t.np.array([1.0, 2.0]))))
    return found


@footgun("broken", "JAX documentation, pure functions")
def captured_list(t: Toolkit) -> Any:
    """A captured list changes its elements."""
    coefficients = [1.0, 2.0]

    def polynomial(x: Any) -> Any:
        total = x * 0
        for c in coefficients:
            total = total * x + c
        return total

    f = t.jit(polynomial)
    found = []
    for k in range(TIMES):
        coefficients[k % 2] += 3.0
        found.append(t.get(f(t.np.array([1.0, 2.0]))))
    return found


@footgun("broken", "pytorch#169253")
def captured_list_grows(t: Toolkit) -> Any:
    """A captured list of arrays gets longer."""
    np = t.np
    terms = [np.array([1.0, 2.0])]

    def total(x: Any) -> Any:
        for term in terms:
            x = x + term
        return x

    f = t.jit(total)
    found = []
    for k in range(TIMES):
        found.append(t.get(f(np.array([1.0, 2.0]))))
        terms.append(np.array([k * 1.0, 1.0]))
    return found


@footgun("broken", "JAX documentation, pure functions")
def captured_dict(t: Toolkit) -> Any:
    """A captured dict gets another value for a key."""
    settings = {"scale": 1.0}
    f = t.jit(lambda x: x * settings["scale"])
    found = []
    for scale in (2.0, 3.0, 4.0):
        settings["scale"] = scale
        found.append(t.get(f(t.np.array([1.0, 2.0]))))
    return found


@footgun("broken", "Python FAQ")
def mutable_default_argument(t: Toolkit) -> Any:
    """A default argument remembers."""

    def f(x: Any, calls: list[int] = []) -> Any:  # noqa: B006 - that is the point
        calls.append(1)
        return x * len(calls)

    g = t.jit(f)
    return [t.get(g(t.np.array([1.0, 2.0]))) for _ in range(TIMES)]


@footgun("broken")
def replaced_helper(t: Toolkit) -> Any:
    """A function that the traced one calls is replaced (monkey-patched)."""
    library = types.SimpleNamespace(activation=lambda x: x * 2)
    f = t.jit(lambda x: library.activation(x) + 1)
    found = [t.get(f(t.np.array([1.0, 2.0]))) for _ in range(2)]
    library.activation = lambda x: x * 10
    return [*found, *[t.get(f(t.np.array([1.0, 2.0]))) for _ in range(2)]]


@footgun("kept", "tensorflow#24759")
def redefined_function(t: Toolkit) -> Any:
    """A notebook cell is edited and run again: same name, same line, no source file."""
    found = []
    for factor in ("2", "3", "2"):
        cell: dict[str, Any] = {}
        exec(compile(f"def f(x):\n    return x * {factor} + 1\n", "<cell>", "exec"), cell)
        f = t.jit(cell["f"])
        found += [t.get(f(t.np.array([1.0, 2.0]))) for _ in range(2)]
    return found


@footgun("kept", "MLX documentation, compile")
def lambdas_made_in_a_loop(t: Toolkit) -> Any:
    """Lambdas of one source line that hold different numbers."""
    fs = [t.jit(lambda x, k=k: x * k) for k in (1.0, 2.0, 3.0)]
    return [t.get(f(t.np.array([1.0, 2.0]))) for _ in range(2) for f in fs]


@footgun("kept", "Python FAQ")
def late_binding_lambdas(t: Toolkit) -> Any:
    """Lambdas that all read the loop's variable, which goes on."""
    fs = [t.jit(lambda x: x * k) for k in (1.0, 2.0, 3.0)]  # noqa: B023 - that is the point
    return [t.get(f(t.np.array([1.0, 2.0]))) for f in fs]


@footgun("kept", "tensorflow#31175")
def one_factory_many_closures(t: Toolkit) -> Any:
    """Functions that share a code object and differ in what they hold."""

    def make(k: float) -> Any:
        def scaled(x: Any) -> Any:
            return x * k

        return t.jit(scaled)

    two, three = make(2.0), make(3.0)
    return [t.get(f(t.np.array([1.0, 2.0]))) for _ in range(3) for f in (two, three)]


@footgun("kept", "tinygrad's footgun list")
def method_shared_by_instances(t: Toolkit) -> Any:
    """A traced method serves instances of different state."""

    class Layer:
        def __init__(self, k: float) -> None:
            self.k = k

        def scale(self, x: Any) -> Any:
            return x * self.k

    layers = [Layer(2.0), Layer(3.0)]
    methods = [t.jit(layer.scale) for layer in layers]
    return [t.get(f(t.np.array([1.0, 2.0]))) for _ in range(3) for f in methods]


@footgun("broken", "tinygrad's footgun list")
def decorated_method(t: Toolkit) -> Any:
    """A decorator in the class body: one trace for all instances?"""
    np = t.np

    class Layer:
        def __init__(self, k: float) -> None:
            self.k = k

        def __call__(self, x: Any) -> Any:
            return run(self, x)

    # as `@jit def run(self, x)` in a class body; `self` is no array
    run = t.jit(lambda self, x: x * self.k, static=("self",))
    layers = [Layer(2.0), Layer(3.0)]
    found = []
    for k in range(TIMES):
        layers[0].k = 2.0 + k
        found += [t.get(layer(np.array([1.0, 2.0]))) for layer in layers]
    return found


@footgun("kept")
def partials(t: Toolkit) -> Any:
    """One function, held by partials with different arguments."""

    def scaled(k: float, x: Any) -> Any:
        return x * k

    fs = [t.jit(functools.partial(scaled, k)) for k in (2.0, 3.0)]
    return [t.get(f(t.np.array([1.0, 2.0]))) for _ in range(3) for f in fs]


@footgun("broken", "JAX documentation, pytrees")
def dataclass_argument(t: Toolkit) -> Any:
    """The fields of an argument that is a dataclass."""
    np = t.np

    @dataclasses.dataclass(eq=False)
    class Parameters:
        w: Any
        k: float

    f = t.jit(lambda x, p: x * p.w + p.k, static=("p",))
    p = Parameters(np.array([1.0, 2.0]), 1.0)
    found = []
    for i in range(TIMES):
        p.w = p.w + 1
        p.k = float(i)
        found.append(t.get(f(np.array([1.0, 2.0]), p)))
    return found


@footgun("broken", "JAX documentation, static arguments")
def equal_objects_of_different_state(t: Toolkit) -> Any:
    """An argument that compares equal to the last one, but holds something else."""

    class Options:
        def __init__(self, scale: float) -> None:
            self.scale = scale

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Options)

        def __hash__(self) -> int:
            return 1

    f = t.jit(lambda x, options: x * options.scale, static=("options",))
    return [t.get(f(t.np.array([1.0, 2.0]), Options(k))) for k in (1.0, 2.0, 3.0)]


@footgun("broken")
def setting_of_a_module(t: Toolkit) -> Any:
    """A module's setting is switched."""
    module = types.ModuleType("settings")
    module.fast = True  # type: ignore[attr-defined]
    f = t.jit(lambda x: x * 2 if module.fast else x * 3)  # type: ignore[attr-defined]
    found = []
    for fast in (True, False, True):
        module.fast = fast  # type: ignore[attr-defined]
        found.append(t.get(f(t.np.array([1.0, 2.0]))))
    return found


@footgun("broken", "JAX documentation, pure functions")
def iterator_that_is_used_up(t: Toolkit) -> Any:
    """A captured iterator gives another number at every call."""
    numbers = iter(range(1, 100))
    f = t.jit(lambda x: x * next(numbers))
    return [t.get(f(t.np.array([1.0, 2.0]))) for _ in range(TIMES)]
