"""Who shares memory with whom: mutated inputs, views, results that are kept, buffers that are used again, overlapping writes."""

from __future__ import annotations

from typing import Any

import numpy

from . import TIMES, Toolkit, footgun


@footgun("kept", "JAX documentation, sharp bits")
def argument_written_to(t: Toolkit) -> Any:
    """`x += 1` on an argument is seen by the caller."""
    np = t.np

    def f(x: Any) -> Any:
        x += 1
        return x * 2

    g = t.jit(f)
    found = []
    for k in range(TIMES):
        x = np.array([1.0, 2.0 + k])
        found += [t.get(g(x)), t.get(x)]
    return found


@footgun("kept", "JAX documentation, sharp bits")
def argument_assigned_by_slices(t: Toolkit) -> Any:
    """`x[1:] = ...` on an argument is seen by the caller, whatever is returned."""
    np = t.np

    def f(x: Any) -> Any:
        x[1:] = x[1:] * 10
        x[0] = -1.0
        return np.sum(x)

    g = t.jit(f)
    found = []
    for k in range(TIMES):
        x = np.array([1.0, 2.0 + k, 3.0])
        found += [t.get(g(x)), t.get(x)]
    return found


@footgun("kept")
def argument_not_written_to(t: Toolkit) -> Any:
    """A copy in the function is a copy: the argument stays as it was."""
    np = t.np

    def f(x: Any) -> Any:
        y = np.copy(x)
        y += 5
        y[0] = 0.0
        return y

    g = t.jit(f)
    found = []
    x = np.array([1.0, 2.0])
    for _ in range(TIMES):
        found += [t.get(g(x)), t.get(x)]
    return found


@footgun("kept", "tinygrad's footgun list; jax#9635")
def same_array_twice(t: Toolkit) -> Any:
    """One array passed as two arguments, one of which is written to."""
    np = t.np

    def f(a: Any, b: Any) -> Any:
        a += 1
        return a * b

    g = t.jit(f)
    found = []
    for k in range(TIMES):
        x, y = np.array([1.0, 2.0 + k]), np.array([3.0, 4.0])
        found += [t.get(g(x, x)), t.get(x), t.get(g(x, y)), t.get(x), t.get(y)]
    return found


@footgun("kept", "tinygrad#15698")
def overlapping_arguments(t: Toolkit) -> Any:
    """Two views of one array as arguments, one of which is written to."""
    np = t.np

    def f(a: Any, b: Any) -> Any:
        a[:] = a + b
        return a * 1

    g = t.jit(f)
    found = []
    for k in range(TIMES):
        x = np.array([1.0, 2.0, 3.0 + k, 4.0])
        found += [t.get(g(x[1:], x[:-1])), t.get(x)]
    return found


@footgun("kept", "tinygrad's footgun list")
def result_that_is_the_argument(t: Toolkit) -> Any:
    """The argument itself is returned: writing to the result writes to it."""
    np = t.np
    f = t.jit(lambda x: x)
    found = []
    for k in range(TIMES):
        x = np.array([1.0, 2.0 + k])
        y = f(x)
        y += 10
        found.append(t.get(x))
    return found


@footgun("kept", "torch_xla#3072")
def result_that_is_a_view(t: Toolkit) -> Any:
    """A view of the argument is returned: writing to the result writes to it, and the other way round."""
    np = t.np
    f = t.jit(lambda x: x[1:])
    found = []
    for k in range(TIMES):
        x = np.array([1.0, 2.0, 3.0 + k])
        y = f(x)
        y += 10
        x[2] = -5.0
        found += [t.get(x), t.get(y)]
    return found


@footgun("kept")
def result_twice(t: Toolkit) -> Any:
    """One array returned twice is one array."""
    np = t.np

    def f(x: Any) -> Any:
        y = x * 2
        return y, y

    g = t.jit(f)
    found = []
    for k in range(TIMES):
        a, b = g(np.array([1.0, 2.0 + k]))
        a += 1
        found.append(t.get(b))
    return found


@footgun("kept", "tinygrad#7020")
def results_that_are_kept(t: Toolkit) -> Any:
    """Results of earlier calls stay what they were (output buffers are not used again)."""
    np = t.np
    f = t.jit(lambda x: x * 2 + 1)
    kept = [f(np.array([1.0 * k, 2.0])) for k in range(8)]
    first = [t.get(y) for y in kept]
    for k in range(4):
        t.get(f(np.array([100.0 + k, 0.0])))
    return first, [t.get(y) for y in kept]


@footgun("kept", "tinygrad#7020")
def result_fed_back(t: Toolkit) -> Any:
    """A result becomes the next call's argument, while older ones are kept."""
    np = t.np
    f = t.jit(lambda x: x * 2)
    x = np.array([1.0, 3.0])
    kept = [x]
    for _ in range(8):
        x = f(x)
        kept.append(x)
    return [t.get(y) for y in kept]


@footgun("kept", "tinygrad#7020")
def exchanged_states(t: Toolkit) -> Any:
    """Two states change places at every call (double buffering)."""
    np = t.np
    f = t.jit(lambda old, new: (new, old + new))
    a, b = np.array([0.0, 1.0]), np.array([1.0, 1.0])
    found = []
    for _ in range(10):
        a, b = f(a, b)
        found.append([t.get(a), t.get(b)])
    return found


@footgun("kept")
def result_written_to_by_the_caller(t: Toolkit) -> Any:
    """The caller writes to a result; the next call gives an untouched one."""
    np = t.np
    f = t.jit(lambda x: (np.zeros(2), np.array([1.0, 2.0]), x * 0))
    found = []
    for _ in range(TIMES):
        results = f(np.array([1.0, 2.0]))
        found.append([t.get(y) for y in results])
        for y in results:
            y += 5
    return found


@footgun("kept", "jax#9237")
def arguments_stay_alive(t: Toolkit) -> Any:
    """An argument may be used after the call (nothing was donated)."""
    np = t.np
    f = t.jit(lambda x, y: x + y)
    x = np.array([1.0, 2.0])
    found = []
    for _ in range(TIMES):
        x2 = f(x, x)
        found += [t.get(x), t.get(f(x2, x)), t.get(x2)]
    return found


@footgun("kept", "JAX documentation, asynchronous dispatch")
def source_written_to_after_conversion(t: Toolkit) -> Any:
    """A NumPy array is converted, used in pending work, then written to."""
    np = t.np
    f = t.jit(lambda x: x * 2)
    found = []
    for k in range(TIMES):
        source = numpy.full(64, 1.0 + k, dtype=numpy.float32)
        x = np.array(source)
        y = f(x)
        source[:] = -1.0
        found += [t.get(y)[:2], t.get(x)[:2]]
    return found


@footgun("kept", "JAX documentation, asynchronous dispatch")
def numpy_argument_written_to_after_the_call(t: Toolkit) -> Any:
    """A NumPy array is passed as it is, and written to right after the call."""
    f = t.jit(lambda x: t.np.sin(x) * 0 + x * 2)
    found = []
    for k in range(TIMES):
        source = numpy.full(1 << 16, 1.0 + k, dtype=numpy.float32)
        y = f(source)
        source[:] = -1.0
        found.append(t.get(y)[:2])
    return found


@footgun("kept")
def list_written_to_after_conversion(t: Toolkit) -> Any:
    """A list is made an array, then changes."""
    np = t.np
    source = [1.0, 2.0]
    f = t.jit(lambda x: x + 1)
    found = []
    for k in range(TIMES):
        x = np.array(source)
        y = f(x)
        source[0] = 10.0 * k
        found.append([t.get(y), t.get(x)])
    return found


@footgun("kept", "torch_xla#3291")
def view_across_an_observation(t: Toolkit) -> Any:
    """A view made before a value is looked at still shows its base afterwards, both ways."""
    np = t.np

    def change(x: Any) -> None:
        x[2] = 30.0

    f = t.jit(change)
    found = []
    for k in range(TIMES):
        x = np.array([1.0, 2.0, 3.0, 4.0 + k]) * 1
        view = x[1:]
        found.append(t.get(x))
        f(x)
        found.append(t.get(view))
        view[0] = 20.0
        found.append(t.get(x))
    return found


@footgun("kept", "torch_xla#3072")
def views_made_inside(t: Toolkit) -> Any:
    """Writes through views made in the function: slices, transposes, reshapes."""
    np = t.np

    def f(x: Any) -> Any:
        y = x * 1
        row, flat = y[1], y.reshape(-1)
        row += 10
        y.T[0] = -1.0
        flat[3] = 77.0
        return y, row * 1, flat * 1

    g = t.jit(f)
    return [[t.get(y) for y in g(np.array([[1.0, 2.0], [3.0, 4.0 + k]]))] for k in range(TIMES)]


@footgun("kept", "numpy#1683, cupy#2405")
def overlapping_assignment(t: Toolkit) -> Any:
    """`a[1:] = a[:-1]` reads what stood there before."""
    np = t.np

    def f(x: Any) -> Any:
        a = x * 1
        a[1:] = a[:-1]
        b = x * 1
        b[:-1] += b[1:]
        return a, b

    g = t.jit(f)
    return [[t.get(y) for y in g(np.array([1.0, 2.0, 3.0, 4.0 + k]))] for k in range(TIMES)]


@footgun("kept", "numpy#1683, bohrium#178")
def transposed_sum_in_place(t: Toolkit) -> Any:
    """`a += a.T` reads what stood there before."""
    np = t.np

    def f(x: Any) -> Any:
        a = x * 1
        a += a.T
        return a

    g = t.jit(f)
    return [t.get(g(np.array([[1.0, 2.0], [3.0 + k, 4.0]]))) for k in range(TIMES)]


@footgun("kept", "mlx#714")
def names_of_one_array(t: Toolkit) -> Any:
    """`y = x; y += 1` changes x too."""
    np = t.np

    def f(x: Any) -> Any:
        a = x * 1
        b = a
        b += 1
        b[0] = 9.0
        return a, a is b

    def both(x: Any) -> Any:
        a, one = f(x)
        return a * 1 if one else a * 0

    g = t.jit(both)
    return [t.get(g(np.array([1.0, 2.0 + k]))) for k in range(TIMES)]


@footgun("kept")
def best_so_far(t: Toolkit) -> Any:
    """`best = loss; loss += r`: a number keeps its value, an array does not."""
    np = t.np

    def f(x: Any) -> Any:
        loss = np.sum(x)
        best = loss
        loss += 100.0
        total = x * 1
        kept = total
        total += 100.0
        return best * 1, loss * 1, kept * 1

    g = t.jit(f)
    return [[t.get(y) for y in g(np.array([1.0, 2.0 + k]))] for k in range(TIMES)]


@footgun("kept")
def swapped_elements(t: Toolkit) -> Any:
    """Elements that change places; rows that do not, because a row is a view."""
    np = t.np

    def f(x: Any) -> Any:
        a = x * 1
        for i, j in ((0, 1), (1, 0)):
            kept = a[i, 0]
            a[i, 0] = a[j, 1]
            a[j, 1] = kept
        b = x * 1
        b[0], b[1] = b[1], b[0]
        return a, b

    g = t.jit(f)
    return [[t.get(y) for y in g(np.array([[1.0, 2.0], [3.0, 4.0 + k]]))] for k in range(TIMES)]


@footgun("kept")
def masked_assignment(t: Toolkit) -> Any:
    """`x[mask] = v` with another number of elements at every call."""
    np = t.np

    def f(x: Any) -> Any:
        y = x * 1
        y[y > 2] = 0.5
        return y

    g = t.jit(f)
    return [t.get(g(np.array([1.0, 2.0 + k, 3.0 - k]))) for k in range(TIMES)]


@footgun("refused", "JAX documentation, sharp bits")
def masked_selection(t: Toolkit) -> Any:
    """`x[mask]` has another length at every call."""
    np = t.np
    f = t.jit(lambda x: x[x > 1] * 2)
    return [t.get(f(np.array([1.0, 2.0, 3.0 - k]))) for k in range(TIMES)]


@footgun("kept", "JAX documentation, sharp bits")
def index_given_twice(t: Toolkit) -> Any:
    """`x[[0, 0]] += 1` adds once."""
    np = t.np

    def f(x: Any, i: Any) -> Any:
        y = x * 1
        y[i] += 1
        return y

    g = t.jit(f)
    return [t.get(g(np.array([1.0, 2.0 + k]), np.array([0, 0, 1]))) for k in range(TIMES)]


@footgun("kept", "JAX documentation, sharp bits")
def index_out_of_bounds(t: Toolkit) -> Any:
    """An index out of bounds raises (and is not clamped)."""
    np = t.np
    f = t.jit(lambda x, i: x[i] * 2)
    found: list[Any] = []
    for k in (0, 1, 7, 1):
        try:
            found.append(t.get(f(np.array([1.0, 2.0]), np.array([k]))))
        except Exception as error:
            if "out of bounds" not in str(error):
                raise
            found.append("out of bounds")
    return found


@footgun("kept")
def moving_window(t: Toolkit) -> Any:
    """A slice of an array whose position moves: `X[i:i + 2]`."""
    np = t.np
    data = np.arange(12.0)
    f = t.jit(lambda x: x * 2)
    return [t.get(f(data[i : i + 2])) for i in range(0, 10, 2)]


@footgun("kept", "JAX documentation, sharp bits")
def write_before_an_exception(t: Toolkit) -> Any:
    """What was written before an exception stays written."""
    np = t.np

    def f(x: Any, k: int) -> Any:
        x[0] = 50.0
        if k:
            raise KeyError("after the write")
        x[1] = 60.0
        return x * 1

    g = t.jit(f, static=("k",))
    found = []
    for k in (0, 1, 0, 1):
        x = np.array([1.0, 2.0])
        try:
            g(x, k)
        except KeyError:
            found.append("KeyError")
        found.append(t.get(x))
    return found


@footgun("kept", "jax#9675")
def state_updated_in_place(t: Toolkit) -> Any:
    """A training step that writes to its parameters, whose old value somebody copied."""
    np = t.np

    def step(w: Any, g: Any) -> None:
        w -= 0.5 * g

    f = t.jit(step)
    w = np.array([1.0, 2.0])
    snapshots = []
    for k in range(6):
        snapshots.append(np.copy(w))
        f(w, np.array([1.0, 1.0 * k]))
    return [t.get(s) for s in snapshots], t.get(w)
