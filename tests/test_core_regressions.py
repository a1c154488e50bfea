"""Wrong answers that were found by reviewing the recorder, the executor, the tapes and pure regions; each failed before it was mended."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as onp
import pytest

import minpy_jit
import minpy_jit.numpy as np
from benchmarks.threads import run_threads
from minpy_jit import checkpoint, custom_vjp, grad, vjp
from minpy_jit.errors import TraceError
from minpy_jit.exec import mx
from minpy_jit.trace.op import TABLE
from minpy_jit.trace.recorder import current

X = onp.array([1.0, 2.0, 3.0])


def pure(function: Any) -> Any:
    """The function as a pure region."""
    return minpy_jit.trace(pure=True)(function)


@pytest.fixture(autouse=True)
def _lazily() -> Iterator[None]:
    with minpy_jit.mode("lazy"):
        yield


def same(found: Any, expected: Any) -> None:
    """Equal up to rounding, and in shape."""
    assert onp.shape(found) == onp.shape(expected)
    onp.testing.assert_allclose(onp.asarray(found), onp.asarray(expected), rtol=1e-12)


# -- memory of results that is written again ----------------------------------------------------------------------------------------------
def test_an_input_that_is_a_result_too_is_not_written_over() -> None:
    x, expected = np.ones(4), onp.ones(4)
    for _ in range(8):
        y = +x
        x = x + 1
        minpy_jit.flush()
        same(y, expected)
        expected = expected + 1
        del y


def test_an_input_of_a_later_host_stage_is_not_written_over() -> None:
    x, expected = np.array([3.0, 1.0, 2.0]), onp.array([3.0, 1.0, 2.0])
    for _ in range(8):
        x, y = x + 1, np.sort(x) * 1.0
        minpy_jit.flush()
        same(y, onp.sort(expected))
        expected = expected + 1


def test_interrupting_a_run_leaves_its_inputs_intact(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.ones(4)
    for _ in range(4):
        x = x * 2 + 1
        minpy_jit.flush()
    before = x.asnumpy()
    x = x * 2 + 1
    forward = mx.Executor.forward

    def interrupted(self: Any) -> None:
        forward(self)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(mx.Executor, "forward", interrupted)
        with pytest.raises(KeyboardInterrupt):
            minpy_jit.flush()
    same(x, before * 2 + 1)


# -- errors, threads, processes -----------------------------------------------------------------------------------------------------------
def test_what_depends_on_a_failed_earlier_segment_fails_again_and_again() -> None:
    inverse = minpy_jit.trace(lambda: TABLE["inv"](np.zeros((2, 2))))
    following = minpy_jit.trace(lambda y: y + 1)
    z = following(inverse())
    w = np.ones(2) + z[0]
    for array in (z, z, w, w):
        with pytest.raises(onp.linalg.LinAlgError):
            str(array)


def test_observing_what_another_thread_is_recording() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    box: list[Any] = [(0, np.ones(8) * 2)]
    done = threading.Event()

    def record() -> None:
        try:
            x = np.ones(8)
            for i in range(3000):
                y = x * 2 + float(i)
                box[0] = (i, y)
                y - 1.0
        finally:
            done.set()

    def look() -> None:
        while not done.is_set():
            i, y = box[0]
            assert (y.asnumpy() == 2 + i).all(), (i, y)

    try:
        run_threads(record, look, look)
    finally:
        sys.setswitchinterval(interval)


def test_one_block_entered_by_two_threads() -> None:
    block = minpy_jit.trace(name="shared")
    inside, leave = threading.Event(), threading.Event()
    regions: list[Any] = []

    def other() -> None:
        with minpy_jit.trace(name="outer"), block:
            inside.set()
            leave.wait(10)
        regions.append(current().region)

    thread = threading.Thread(target=other)
    with block:
        thread.start()
        inside.wait(10)
    leave.set()
    thread.join()
    assert current().region is None and regions == [None]


def _run(code: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *flags, "-c", code], capture_output=True, text=True, check=False)


def test_a_forked_child_does_not_hang() -> None:
    done = _run(
        "import os, minpy_jit as mj, minpy_jit.numpy as np\n"
        "x = np.ones((300, 300))\n"
        "for _ in range(4):\n    x = (x @ x) * 0.001 + 1; mj.flush()\n"
        "if os.fork() == 0:\n"
        "    y = (x @ x) * 0.001 + 1; mj.flush(); print('child', (y == (x @ x) * 0.001 + 1).all(), flush=True); os._exit(0)\n"
        "os.wait(); print('parent')\n"
    )
    assert done.stdout == "child True\nparent\n", done.stderr


def test_warnings_as_errors_and_pending_work_at_exit_are_quiet() -> None:
    done = _run(
        "import minpy_jit as mj, minpy_jit.numpy as np\nx = np.ones(3) + 1\nmj.flush()\ny = x + 1\nmj.flush()\nz = y + 1\n"
        "mj.mode('eager')\nw = x + 1\n",
        "-X",
        "dev",
        "-W",
        "error",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# -- gradients ----------------------------------------------------------------------------------------------------------------------------
def test_a_result_that_is_a_view() -> None:
    same(grad(lambda x: (x * 2)[1:])(np.array(X)), [0, 2, 2])
    _, pullback = vjp(lambda x: (x * x)[1:], np.array(X))
    same(pullback(np.ones(2))[0], [0, 4, 6])


@pytest.mark.parametrize("flush", [False, True])
def test_a_pullback_after_the_value_was_written_to(flush: bool) -> None:
    value, pullback = vjp(lambda x: x * x, np.array(X))
    if flush:
        minpy_jit.flush()
    value += 1
    value[0] = 7.0
    same(pullback(np.ones(3))[0], 2 * X)


def test_a_pullback_after_a_traced_region() -> None:
    value, pullback = vjp(lambda x: np.sin(x) * x, np.array(X))
    del value
    minpy_jit.trace(lambda z: z + 1)(np.ones(2))
    same(pullback(np.ones(3))[0], onp.cos(X) * X + onp.sin(X))


def test_observing_inside_an_opaque_portion() -> None:
    @custom_vjp
    def scaled(x: Any) -> Any:
        return 2 * x

    def forward(x: Any) -> Any:
        str(x)
        return 2 * x, None

    scaled.defvjp(forward, lambda residuals, g: (10 * g,))
    expected = onp.exp(2 * onp.sin(X)) * (1 + X * 10 * onp.cos(X))
    same(grad(lambda x: np.sum(np.exp(scaled(np.sin(x))) * x))(np.array(X)), expected)

    @checkpoint
    def exponential(x: Any) -> Any:
        str(x)
        return np.exp(x)

    same(grad(lambda x: np.sum(exponential(np.sin(x)) * x))(np.array(X)), onp.exp(onp.sin(X)) * (1 + X * onp.cos(X)))


def test_a_value_known_before_a_portion_is_used_after_it() -> None:
    @custom_vjp
    def scaled(x: Any) -> Any:
        return 2 * x

    scaled.defvjp(lambda x: (2 * x, None), lambda residuals, g: (10 * g,))

    def f(x: Any) -> Any:
        str(x)
        y = scaled(x * 1.0)
        return np.sum(x * x * y)

    same(grad(f)(np.array(X)), 4 * X * X + 10 * X * X)


def test_running_what_was_sealed_before_the_tape() -> None:
    before = minpy_jit.trace(lambda: np.ones(3) * 3)()

    def f(x: Any) -> Any:
        y = np.sin(x)
        str(before)
        return np.sum(y * x)

    same(grad(f)(np.array(X)), onp.cos(X) * X + onp.sin(X))


@pytest.mark.parametrize("outer", ["lazy", "eager", "numpy"])
@pytest.mark.parametrize("inner", ["lazy", "eager", "numpy"])
def test_switching_the_mode_inside_a_gradient(outer: str, inner: str) -> None:
    def f(x: Any) -> Any:
        y = np.sin(x)
        with minpy_jit.mode(inner):
            z = y * x
        return np.sum(z * x)

    with minpy_jit.mode(outer):
        same(grad(f)(np.array(X)), onp.cos(X) * X * X + 2 * onp.sin(X) * X)


def test_what_is_pending_when_the_mode_is_switched() -> None:
    pending = np.ones(3) * 2
    with minpy_jit.mode("eager"):
        same(grad(lambda t: np.sum(t * t * pending))(np.ones(3)), [4, 4, 4])
    x = np.arange(4.0) * 2
    view = x[1:]
    with minpy_jit.mode("eager"):
        same(view.copy(), [2, 4, 6])
        view += 1
    same(x, [0, 3, 5, 7])


def test_eager_mode_records_nothing_after_a_gradient_that_failed_or_waits() -> None:
    def fails(x: Any) -> Any:
        x * 2
        raise KeyError

    with minpy_jit.mode("eager"):
        with pytest.raises(KeyError):
            grad(fails)(np.ones(3))
        _, pullback = vjp(lambda x: x * x, np.ones(3))
        x = np.ones(3)
        for _ in range(50):
            x = x + np.ones(3)
        assert not current().segment.inputs
        same(pullback(np.ones(3))[0], [2, 2, 2])
        assert not current().segment.inputs


# -- pure regions: arrays that are one another --------------------------------------------------------------------------------------------
def test_pure_the_same_array_twice_is_another_signature() -> None:
    difference = pure(lambda a, b: a - b)
    x = np.array(X)
    for other in (x, x.copy(), np.zeros(3), x[:]):
        same(difference(x, other), X - other.asnumpy())


def test_pure_an_argument_that_is_captured_too() -> None:
    w = np.array(X)
    product = pure(lambda a: a * w)
    product(w)
    same(product(np.ones(3)), X)

    @pure
    def writes(a: Any) -> Any:
        a += 1
        return w * 1

    with pytest.raises(TraceError, match="captured as well"):
        writes(w)


def test_pure_captured_arrays_that_share_memory_for_now() -> None:
    m = np.ones(2)
    v = m.copy()
    f = pure(lambda a: a * m + v * 10)
    f(np.ones(2))
    m += 1
    same(f(np.ones(2)), [12, 12])


def test_pure_arrays_made_inside_are_made_again() -> None:
    w = np.array([1.0, 2.0])

    @pure
    def f(x: Any) -> Any:
        made, copied, drawn = np.array([1.0, 2.0]), w.copy(), np.random.rand(2)
        made += x
        copied += x
        drawn += x
        return made, copied, drawn

    onp.random.seed(0)
    found = [[r.asnumpy() for r in f(np.ones(2))] for _ in range(3)]
    onp.random.seed(0)
    same(found, [[onp.array([2.0, 3.0]), onp.array([2.0, 3.0]), onp.random.rand(2) + 1] for _ in range(3)])
    w[:] = 10.0
    same(f(np.ones(2))[1], [11, 11])


def test_pure_results_are_what_they_are() -> None:
    swap = pure(lambda a, b: (b, a, a[1:]))
    for _ in range(3):
        a, b = np.zeros(2), np.ones(2)
        c, d, view = swap(a, b)
        assert c is b and d is a
        view += 5
        same(a, [0, 5])

    @pure
    def twice(x: Any) -> Any:
        y = x * 2
        return y, y, y[1:]

    for _ in range(3):
        first, second, view = twice(np.ones(2))
        first += 1
        assert first is second
        same(view, [3])


def test_pure_writes_reach_the_argument_through_views() -> None:
    @pure
    def add(x: Any) -> None:
        x += 1

    for _ in range(3):
        x, theirs = np.zeros(3), onp.zeros(3)
        add(x[1:])
        add(theirs)
        same(x, [0, 1, 1])
        same(theirs, [1, 1, 1])


def test_pure_writes_to_a_captured_array_that_is_not_read() -> None:
    w = np.zeros(2)
    fill = pure(lambda x: np.add(x, 1, out=w))
    for k in range(3):
        fill(np.ones(2) * k)
        same(w, [k + 1, k + 1])


def test_pure_numpy_arguments() -> None:
    identity = pure(lambda x: (x, +x))
    theirs = onp.array([1.0, 2.0])
    for _ in range(3):
        results = identity(theirs)
        theirs += 1
        for r in results:
            same(r, theirs - 1)

    @pure
    def shift(a: Any, b: Any) -> Any:
        a[:] = b * 2
        return b * 1

    for _ in range(2):
        memory, expected = onp.arange(4.0), onp.arange(4.0)
        shift(memory[:3], memory[1:])
        expected[:3] = expected[1:] * 2
        same(memory, expected)


@pytest.mark.parametrize("zero", [0.0, onp.float64(0.0), 0j])
def test_pure_signed_zeros_differ(zero: Any) -> None:
    sign = pure(lambda x, z: np.copysign(x, z.real))
    sign(np.ones(2), zero)
    same(sign(np.ones(2), type(zero)(-0.0)), [-1, -1])


def test_pure_follows_context_and_default_dtype() -> None:
    zeros = pure(lambda: np.zeros(2))
    zeros()
    with minpy_jit.cpu(1):
        assert zeros().context is minpy_jit.cpu(1)
    minpy_jit.set_default_dtype("float32")
    try:
        assert zeros().dtype == onp.float32
    finally:
        minpy_jit.set_default_dtype(None)


# -- what random programs found -----------------------------------------------------------------------------------------------------------
def test_a_pure_call_that_hands_one_array_to_another() -> None:
    captured = np.array([100.0, 200.0])

    def copy(a: Any, c: Any) -> Any:
        np.copyto(a, c)
        return a * 2

    def swap(a: Any, c: Any) -> Any:
        t = a.copy()
        a[...] = c
        c[...] = t
        return a + 0

    def take_over(a: Any, c: Any) -> Any:
        a[...] = captured
        captured[...] = c
        return a - c

    for function in (copy, swap, take_over):
        pure = minpy_jit.trace(function, pure=True)
        for k in range(4):
            before, values = captured.asnumpy(), (onp.array([1.0, 2.0]) * k, onp.array([5.0, 6.0]) + k)
            captured[...] = before
            theirs = [v.copy() for v in values]
            ours = [np.array(v) for v in values]
            if function is take_over:
                expected, theirs[0] = before - theirs[1], before
                seen = pure(*ours)
                assert captured.tolist() == theirs[1].tolist()
            else:
                expected = theirs[1] * 2 if function is copy else theirs[1] + 0
                theirs = [theirs[1], theirs[1] if function is copy else theirs[0]]
                seen = pure(*ours)
            assert seen.tolist() == expected.tolist()
            assert [o.tolist() for o in ours] == [t.tolist() for t in theirs]


def test_a_pure_call_that_changes_what_it_copied_is_refused() -> None:
    def changes_its_own(x: Any) -> Any:
        mine = onp.array([5.0, 6.0])
        copy = np.array([mine, mine])
        mine *= 2
        return x + copy

    def changes_a_list(x: Any) -> Any:
        copy = np.array(shared)
        shared[0] += 1
        return x + copy

    shared = [1.0, 2.0]
    for function in (changes_its_own, changes_a_list):
        with pytest.raises(TraceError, match="after it was copied"):
            minpy_jit.trace(function, pure=True)(np.ones(2))
        assert current().session is None and current().region is None
    assert minpy_jit.trace(lambda x: x + np.array(shared), pure=True)(np.ones(2)).tolist() == [3.0, 3.0]


def test_nothing_is_drawn_to_shuffle_nothing() -> None:
    for shape in ((0,), (2, 0), (0, 3)):
        drawn = []
        for module in (onp, np):
            module.random.seed(3)
            module.random.shuffle(module.zeros(shape))
            generator = module.random.default_rng(3)
            generator.shuffle(module.zeros(shape))
            drawn.append((int(module.random.randint(0, 1000)), int(generator.integers(1000))))
        assert drawn[0] == drawn[1]


def test_a_mask_that_does_not_fit_where_an_array_is_copied_to_itself() -> None:
    for module in (onp, np):
        x = module.array(3)
        with pytest.raises(ValueError, match=r"could not broadcast where mask from shape \(4,\) into shape \(\)"):
            module.copyto(x, x, where=module.ones(4, bool))


def test_known_positions_out_of_range_fail_at_their_line() -> None:
    for module in (onp, np):
        for x, positions, axis in ((module.zeros((0, 0)), [0, -1], 0), (module.ones(3), [1, 3], None), (module.ones((2, 3)), -4, 1)):
            with pytest.raises(IndexError, match=r"is out of bounds for axis . with size"):
                module.take(x, positions, axis=axis)


def test_positions_are_not_looked_at_where_there_is_no_row() -> None:
    for module in (onp, np):
        assert module.take(module.zeros((0, 0)), [0, -1], axis=1).shape == (0, 2)
        assert module.take(module.zeros((0, 3)), [7], axis=1).shape == (0, 1)


def test_which_of_two_errors_is_found_first() -> None:
    for module in (onp, np):
        with pytest.raises(TypeError, match="output must be an array"):
            module.take(module.zeros(0), [0, 0], axis=0, out=2.0)
        with pytest.raises(TypeError, match="output must be an array"):
            module.take(module.zeros(0), [0, 0], axis=0, out=module.float64(2))
        with pytest.raises(TypeError, match="return arrays must be of ArrayType"):
            module.add(module.uint8(3), -1, out=module.uint8(3), where=module.array(True))
        with pytest.raises(IndexError, match="index 1 is out of bounds for axis 0 with size 1"):
            module.add.at(module.diagonal(module.ones((1, 2))), [0, 1, 0], 1)
        with pytest.raises(IndexError, match="dimension is 6 but corresponding boolean dimension is 4"):
            module.arange(6.0)[module.arange(4) % 2 == 1] = module.ones((2, 2))
        with pytest.raises(ValueError, match="put: output array is read-only"):
            module.put(module.broadcast_to(module.zeros(0), (2, 0)), [0, -1], [3, 4])
        with pytest.raises(IndexError, match="index 1 is out of bounds for axis 0 with size 1"):
            module.add.at(module.ones((1, 2, 3)), [0, 1, 0], module.ones(0))
        with pytest.raises(ValueError):
            module.add.at(module.ones((2, 2, 3)), [0, 1, 0], module.ones(0))


def test_an_operator_on_a_read_only_array_says_so_first() -> None:
    for module in (onp, np):
        c = module.broadcast_to(module.ones((2, 3)), (2, 2, 3))
        for operate in (lambda x, v: x.__iand__(v), lambda x, v: x.__iadd__(v)):
            with pytest.raises(ValueError, match="output array is read-only"):
                operate(c, module.float32(1.5))
            with pytest.raises(ValueError, match="output array is read-only"):
                operate(c, module.ones(3) * 1j)


@pytest.mark.filterwarnings("ignore:Casting complex")
def test_an_infinite_complex_scalar_is_no_integer() -> None:
    for module in (onp, np):
        for value in (module.complex128(complex(onp.inf, 1)), module.array(3 + 0.5j)[()] * module.inf):
            for index in (..., 0, (0, 0), (slice(None), 0)):
                with pytest.raises(OverflowError, match="cannot convert float infinity to integer"):
                    module.zeros((3, 1), "i1")[index] = value


def test_a_function_of_numpys_sees_the_layout_that_is_said() -> None:
    for first in (True, False):
        a, b = np.ones((3, 3), complex), np.array([1, 5, 7])
        np.sqrt(b, out=a)
        assert np.minimum.accumulate(a, axis=-1).strides == (48, 16), first


def test_a_mean_of_chosen_elements_lies_where_their_sum_did() -> None:
    for module in (onp, np):
        x = module.arange(12.0).reshape(2, 3, 2).transpose(0, 2, 1)
        assert module.mean(x, axis=0, where=x > 0).strides == (8, 16)


def test_take_tells_what_is_wrong_with_out_before_its_positions() -> None:
    for module in (onp, np):
        for x, positions, out, error, text in (
            (module.zeros(0, bool), [0, 0], module.zeros(2, "f4"), TypeError, "Cannot cast array data"),
            (module.zeros(3), [7], module.zeros(1, complex), TypeError, "Cannot cast array data"),
            (module.zeros(3), [7], module.zeros(2), ValueError, "output array does not match"),
            (module.zeros((2, 0)), [0], module.zeros((1, 2)), ValueError, "output array does not match"),
            (module.zeros((2, 0)), [0], module.zeros((2, 1)), IndexError, "cannot do a non-empty take"),
            (module.zeros((2, 3)), [7], module.zeros((2, 1)), IndexError, "index 7 is out of bounds"),
        ):
            with pytest.raises(error, match=text):
                module.take(x, positions, axis=x.ndim - 1, out=out)


def test_positions_out_of_range_that_are_known_fail_where_they_are_added_at() -> None:
    for module in (onp, np):
        for shape, positions in (((1,), [0, 1, 0]), ((3, 2), -4), ((2, 3), ([0, 1], [2, 3])), ((0,), [0]), ((2, 3), (slice(None), [3]))):
            x = module.zeros(shape)
            with pytest.raises(IndexError, match=r"index -?\d is out of bounds for axis \d with size"):
                module.add.at(x, positions, 2)
        x = module.zeros(2)
        module.add.at(x, [], 2)
        module.add.at(x, [0, -2], 2)
        assert x.tolist() == [4, 0]
