"""What a user may rely on, line by line: LINES says which tests hold each promise. Those in other files are named, not repeated."""

from __future__ import annotations

import ast
import gc
import linecache
import os
import pickle
import signal
import subprocess
import sys
import threading
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit import config, grad, value_and_grad
from minpy_jit.errors import NoGradientError, RecordingWarning
from minpy_jit.exec import mx, reference, variants
from minpy_jit.trace.op import TABLE
from minpy_jit.trace.recorder import current

pytestmark = pytest.mark.usefixtures("clean_state")

HERE = Path(__file__)
MODES = ("lazy", "eager", "numpy")

# (section, promise) -> the tests that hold it: functions of this file, or `file::function` (`file::Class`)
LINES: dict[tuple[str, str], tuple[str, ...]] = {
    ("Laziness", "observers, one tested list"): (
        "test_arrays::test_observers_flush",
        "test_observing_syntax",
        "test_an_observer_is_logged_with_its_line",
        "test_memoryview",
    ),
    ("Laziness", "what does not observe"): (
        "test_arrays::test_the_others_do_not",
        "test_laziness::test_nothing_runs_before_it_is_observed",
    ),
    ("Laziness", "a debugger looks without forcing"): (
        "test_arrays::test_lazy_repr_does_not_run",
        "test_laziness::test_repr_mode_lazy_looks_without_forcing",
        "test_a_lazy_repr",
    ),
    ("Laziness", "observing never runs again what ran"): (
        "test_laziness::test_observing_twice_runs_once",
        "test_laziness::test_all_live_arrays_of_a_segment_are_computed_together",
        "test_what_ran_is_an_input_from_then_on",
    ),
    ("Laziness", "work that nobody can observe never runs"): (
        "test_laziness::test_what_nobody_can_observe_never_runs",
        "test_an_error_in_work_that_nobody_observes",
    ),
    ("Laziness", "an endless loop keeps memory flat"): (
        "test_laziness::test_an_endless_loop_is_cut_into_repeating_chunks",
        "test_laziness::test_laziness_is_bounded_in_bytes",
        "test_memory_stays_flat",
    ),
    ("Laziness", "wrong shapes and dtypes fail at their line, and leave nothing half-recorded"): (
        "test_laziness::test_an_error_names_the_op_and_nothing_is_half_recorded",
        "test_arrays::test_errors_leave_nothing_half_recorded",
        "test_errors_stand_at_the_users_line",
    ),
    ("Laziness", "an error in a flush names op and line, poisons what depends on it, leaves the inputs; a retry works"): (
        "test_laziness::test_a_failed_flush_poisons_only_what_depends_on_it_and_a_retry_works",
        "test_core_regressions::test_what_depends_on_a_failed_earlier_segment_fails_again_and_again",
        "test_an_error_in_a_flush",
        "test_exact_provenance_tells_equal_steps_apart",
    ),
    ("Laziness", "Ctrl-C leaves a clean state"): (
        "test_core_regressions::test_interrupting_a_run_leaves_its_inputs_intact",
        "test_interrupted_while_it_runs",
        "test_interrupted_while_it_records",
    ),
    ("Imperative meaning", "branches, loops, exceptions, prints, globals … are right on every call"): (
        "test_footguns::test_no_silent_mismatch",
        "test_trace_decorator::test_python_runs_at_every_call",
        "test_trace_decorator::test_methods_lambdas_closures_and_generators",
        "test_trace_decorator::test_an_exception_leaves_a_clean_state",
    ),
    ("Imperative meaning", "in-place writes keep identity, views alias both ways, overlapping writes as NumPy"): (
        "test_arrays::TestAliasing",
        "test_arrays::test_inplace_operators",
    ),
    ("Imperative meaning", "results own their memory, captured NumPy arrays are copied"): (
        "test_arrays::test_results_own_their_memory",
        "test_laziness::test_results_own_their_memory",
        "test_exec::test_results_that_are_kept_get_executors_of_their_own",
        "test_core_regressions::test_an_input_that_is_a_result_too_is_not_written_over",
        "test_arrays::test_captured_numpy_arrays_are_copied",
        "test_nobody_outside_shares_memory",
    ),
    ("Imperative meaning", "random numbers are NumPy's own, in every mode, in program order"): (
        "test_random::test_global_stream",
        "test_random::test_generator_stream",
        "test_random::test_program_order_and_laziness",
        "test_random::test_replayed_loops_draw_anew",
        "test_trace_decorator::test_pure_draws_anew",
        "test_random_streams_in_every_mode",
        "test_random_streams_in_pure_regions",
    ),
    ("Imperative meaning", "when flushes happen decides nothing but rounding, and under config.deterministic not that"): (
        "test_flushes_decide_nothing",
        "test_functions_agree_with_numpy_to_four_ulp",
        "test_deterministic_is_bit_for_bit",
        "test_verified_values_of_replays_are_those_of_the_first_run",
    ),
    ("Imperative meaning", "scalars are immutable numbers"): (
        "test_arrays::test_scalars_are_numbers",
        "test_arrays::TestAliasing",
        "test_arrays::test_zero_dimensional_arrays_are_arrays",
        "test_namespace::test_isinstance_of_scalars",
        "test_scalars_where_python_wants_numbers",
    ),
    ("Imperative meaning", "notebooks, the REPL, exec and threads"): (
        "test_laziness::test_another_thread_may_observe",
        "test_laziness::test_threads_record_their_own_segments",
        "test_core_regressions::test_observing_what_another_thread_is_recording",
        "test_provenance_names_the_cell",
        "test_a_session_of_cells",
        "test_the_interactive_interpreter",
        "test_a_program_on_the_command_line",
        "test_provenance_in_a_thread",
    ),
    ("NumPy", "every public function is there"): (
        "test_namespace::test_every_public_name_is_there",
        "test_namespace::test_every_ndarray_attribute_is_there",
        "test_namespace::test_call_is_numpys",
    ),
    ("NumPy", "NumPy's functions and operators take our arrays, and libraries do"): (
        "test_arrays::test_numpy_functions_give_our_arrays",
        "test_arrays::test_numpy_arrays_written_by_our_results",
        "test_arrays::test_scipy_functions_come_back_as_ours",
        "test_cli::test_installed_packages_take_our_arrays",
    ),
    ("NumPy", "isinstance(x, np.ndarray)"): ("test_namespace::test_ndarray_is_our_array", "test_isinstance_of_both_kinds"),
    ("NumPy", "views and copies where NumPy makes them"): (
        "test_arrays::TestAliasing",
        "test_composite::test_view_functions",
        "test_composite::test_reshape_gives_numpys_strides",
        "test_views_or_copies",
    ),
    ("NumPy", "indexing of every kind"): (
        "test_indexing_ops::test_basic_keys",
        "test_indexing_ops::test_keys_with_arrays",
        "test_indexing_ops::test_wrong_keys",
    ),
    ("NumPy", "int64 and float64 are honoured"): (
        "test_programs::test_integers_and_doubles_stay_what_they_are",
        "test_arrays::test_operators_of_every_dtype_pair",
        "test_wide_integers",
    ),
    ("Gradients", "through everything that Python and NumPy allow"): (
        "test_footguns::test_no_silent_mismatch",
        "test_autograd::test_prints_branches_and_loops_inside",
        "test_autograd::test_views_and_in_place_writes",
        "test_autograd::test_masks_and_integer_indices",
        "test_autograd::test_fallbacks_have_the_gradient_of_hips",
        "test_autograd::test_gradient_through_stack_and_concatenate",
        "test_autograd::test_second_derivative_is_not_zero",
        "test_autograd::test_nested_gradients_with_flushes",
        "test_gradients_in_every_mode",
    ),
    ("Gradients", "zeros where nothing depends, an error where a rule is missing"): (
        "test_autograd::test_an_unused_argument_has_zero_gradient_of_its_shape",
        "test_autograd::test_a_missing_rule_names_op_and_line",
        "test_a_missing_rule_names_op_argument_and_line",
        "test_an_argument_without_influence",
    ),
    ("Gradients", "containers and keyword arguments"): (
        "test_autograd::test_containers_keywords_aux_and_argnums",
        "test_nested_containers",
    ),
    ("Gradients", "the predecessor's known wrong answers"): (
        "test_programs::test_the_truth_of_an_array_is_its_values",
        "test_programs::test_the_second_derivative_is_not_zero",
        "test_programs::test_a_boolean_mask_selects",
        "test_programs::test_the_gradient_through_an_assignment",
        "test_programs::test_the_gradient_through_stack_and_concatenate",
        "test_programs::test_integers_and_doubles_stay_what_they_are",
        "test_programs::test_reductions_give_scalars",
    ),
    ("Compiling", "schedules, step counts, loop counters and minibatches compile once"): (
        "test_laziness::test_ten_thousand_learning_rates_compile_once",
        "test_laziness::test_minibatches_by_slice_compile_once",
        "test_autograd::test_a_training_step_is_one_flush_one_executor_run",
        "test_what_changes_from_step_to_step_compiles_once",
    ),
    ("Compiling", "a new shape compiles once"): ("test_a_new_shape_compiles_once",),
    ("Compiling", "many shapes at one place are told once, with the line and what differed"): (
        "test_many_shapes_are_told_once",
        "test_what_differs_is_said",
        "test_few_shapes_and_other_programs_are_not_told",
        "test_places_are_bounded",
        "test_a_storm_of_shapes_is_not_compiled",
        "test_the_warning_as_an_error_loses_nothing",
    ),
    ("Compiling", "the first encounter runs without a compile"): (
        "test_laziness::test_a_repeated_program_is_replayed_and_compiled_once",
        "test_the_second_encounter_compiles",
    ),
    ("Compiling", "never slower than eager mode on our benchmarks"): ("test_cli::test_benchmarks_meet_their_bounds",),
}


def count(name: str) -> int:
    return minpy_jit.stats()[name]


def line_of(text: str) -> int:
    """The only line of this file with this comment."""
    found = [k for k, line in enumerate(HERE.read_text().splitlines(), 1) if line.endswith(f"# {text}")]
    assert len(found) == 1, text
    return found[0]


# -- the list itself ----------------------------------------------------------------------------------------------------------------------
def defined(path: Path) -> set[str]:
    """Test functions and classes at the top of a file."""
    body = ast.parse(path.read_text()).body
    return {n.name for n in body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name.lower().startswith("test")}


def test_every_line_names_tests_that_exist() -> None:
    known = {path.stem: defined(path) for path in HERE.parent.glob("test_*.py")}
    for promise, tests in LINES.items():
        assert tests, promise
        for name in tests:
            file, colons, function = name.rpartition("::")
            assert function in known[file if colons else HERE.stem], name


def test_every_test_here_stands_in_a_line() -> None:
    listed = {name for tests in LINES.values() for name in tests}
    assert defined(HERE) - listed == {"test_every_line_names_tests_that_exist", "test_every_test_here_stands_in_a_line"}


# -- laziness -----------------------------------------------------------------------------------------------------------------------------
def _while(x: Any, s: Any) -> int:
    turns = 0
    while s > 0:
        s = s - 4.0
        turns += 1
    return turns


def _assert(x: Any, s: Any) -> None:
    assert s > 0


SYNTAX: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
    "while": (_while, 3),
    "assert": (_assert, None),
    "or": (lambda x, s: (s > 100) or "small", "small"),
    "conditional": (lambda x, s: "positive" if s > 0 else "not", "positive"),
    "f-string": (lambda x, s: f"{s} {s!r} {s:5.1f}", "10.0 10.0  10.0"),
    "percent": (lambda x, s: "%.1f %s" % (s, x), "10.0 [1. 2. 3. 4.]"),  # noqa: UP031 - it is an observer
    "str.join": (lambda x, s: "-".join(map(str, x)), "1.0-2.0-3.0-4.0"),
    "repr of a list": (lambda x, s: repr([s]), "[10.0]"),
    "max": (lambda x, s: float(max(x)), 4.0),
    "min": (lambda x, s: float(min(x[0], x[1])), 1.0),
    "sort key": (lambda x, s: [float(v) for v in sorted(x, key=lambda v: -v)], [4.0, 3.0, 2.0, 1.0]),
    "list.index": (lambda x, s: [0.0, 10.0].index(s), 1),
    "in a list": (lambda x, s: s in [1.0, 10.0], True),
    "set": (lambda x, s: len({s, 10.0, s + 1}), 2),
    "dict": (lambda x, s: {10.0: "ten"}[s], "ten"),
    "range": (lambda x, s: len(range(int(s))), 10),
    "list index": (lambda x, s: [5, 6, 7][np.argmin(x)], 5),
    "slice of a list": (lambda x, s: [1, 2, 3][: np.argmin(x) + 1], [1]),
    "slice of an array": (lambda x, s: x[: x.astype(int)[1]].shape, (2,)),
    "repetition": (lambda x, s: "ab" * x.astype(int)[1], "abab"),
    "float of a row": (lambda x, s: [float(v) for v in x], [1.0, 2.0, 3.0, 4.0]),
    "divmod": (lambda x, s: divmod(int(s), 3), (3, 1)),
    "bytes": (lambda x, s: len(bytes(x.astype("u1").tobytes())), 4),
    "ndarray of": (lambda x, s: numpy.array(x).sum(), 10.0),
    "pickle of a scalar": (lambda x, s: pickle.loads(pickle.dumps(s)) + 0.0 == 10.0, True),
    "shape by value": (lambda x, s: np.zeros(int(s)).shape, (10,)),
    "repeat": (lambda x, s: np.repeat(x, x.astype(int)).shape, (10,)),
    "flatnonzero": (lambda x, s: np.flatnonzero(x > 2).tolist(), [2, 3]),
    "array_equal": (lambda x, s: bool(np.array_equal(x, [1.0, 2.0, 3.0, 4.0])), True),
}


def pending() -> tuple[Any, Any]:
    x = np.arange(4.0) + 1.0
    return x, x.sum() * 1.0


@pytest.mark.parametrize("name", SYNTAX)
def test_observing_syntax(name: str) -> None:
    look, expected = SYNTAX[name]
    for _ in range(3):
        x, s = pending()
        before = count("flushes")
        assert look(x, s) == expected
        assert count("flushes") > before


def test_an_observer_is_logged_with_its_line() -> None:
    looks: dict[str, Callable[[Any, Any], Any]] = {
        "bool": lambda x, s: bool(s),
        "str": lambda x, s: str(x),
        "format": lambda x, s: f"{s:.1f}",
        "float": lambda x, s: float(s),
        "tolist": lambda x, s: x.tolist(),
        "asnumpy": lambda x, s: x.asnumpy(),
        "hash": lambda x, s: hash(s),
        "mask": lambda x, s: x[x > 1],
    }
    for cause, look in looks.items():
        look(*pending())
        record = minpy_jit.flush_log()[-1]
        assert (record.cause, record.where) == (cause, f"{__file__}:{look.__code__.co_firstlineno}")


def test_memoryview() -> None:
    x = np.arange(4.0) + 1
    if sys.version_info >= (3, 12):
        before = count("flushes")
        assert memoryview(x).tolist() == [1.0, 2.0, 3.0, 4.0]  # type: ignore[arg-type]
        assert count("flushes") == before + 1
    else:
        # Python opens the buffer protocol to classes from 3.12 on; before, it says so
        with pytest.raises(TypeError, match="bytes-like object is required"):
            memoryview(x)  # type: ignore[arg-type]


def test_a_lazy_repr() -> None:
    with config.override(repr_mode="lazy"):
        x = np.ones((2, 3), dtype="float32") * 2  # made here
        view, total = x[1:], x.sum()  # summed here
        made, summed = line_of("made here"), line_of("summed here")
        steps = current().segment.steps
        assert repr(x) == f"<lazy float32[2,3], {steps} steps pending, made at {__file__}:{made}>"
        assert repr(view) == f"<lazy float32[1,3], {steps} steps pending, made at {__file__}:{made}>"
        assert repr([total]) == f"[<lazy float32[], {steps} steps pending, made at {__file__}:{summed}>]"
        assert count("flushes") == 0
        x += 1  # changed here
        assert f"<lazy float32[1,3], {current().segment.steps} steps pending, made at {__file__}:{line_of('changed here')}>" == repr(view)
        minpy_jit.flush()
        # what is known is shown
        assert repr(x) == repr(numpy.full((2, 3), 3, dtype="float32"))
        assert repr(view) == repr(numpy.full((1, 3), 3, dtype="float32"))
        assert repr(total) == "12.0"
        assert str(x * 2) == str(numpy.full((2, 3), 6, dtype="float32"))


def test_what_ran_is_an_input_from_then_on() -> None:
    for _ in range(3):
        x = np.ones(3)
        for _ in range(50):
            x = x + 1.0
        float(x[0])
        # an input, a number, a sum; a position, an element
        for k in range(5):
            x = x + 1.0
            assert float(x[0]) == 52.0 + k
            assert minpy_jit.flush_log()[-1].steps <= 6


def test_an_error_in_work_that_nobody_observes() -> None:
    for _ in range(3):
        x = np.arange(3.0)
        dropped = TABLE["inv"](np.zeros((2, 2)))
        del dropped
        assert (x + 1).tolist() == [1.0, 2.0, 3.0]


def _grow(x: Any) -> Any:
    return x * 1.0001


def _in_place(x: Any) -> Any:
    x += 1
    return x


def _through_a_view(x: Any) -> Any:
    x[1:] = x[:-1]
    return x


def _an_element(x: Any) -> Any:
    x[3] = x[2] + 1.0
    return x


def _dropped(x: Any) -> Any:
    np.zeros(64) + x
    return x


def _drawn(x: Any) -> Any:
    return x + np.random.rand(64)


@pytest.mark.parametrize("turn", [_grow, _in_place, _through_a_view, _an_element, _dropped, _drawn])
def test_memory_stays_flat(turn: Callable[[Any], Any]) -> None:
    x = np.ones(64)

    def run(turns: int) -> None:
        nonlocal x
        for _ in range(turns):
            x = turn(x)

    with config.override(max_steps=100):
        run(1500)
        gc.collect()
        recorded, held = count("recorded"), count("bytes_held")
        tracemalloc.start()
        try:
            run(100)
            before = tracemalloc.get_traced_memory()[0]
            run(1500)
            gc.collect()
            after = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        segment = current().segment
        # a chunk's worth of steps, handles and inputs, however long the loop
        assert max(segment.steps, len(segment.arrays), len(segment.inputs)) <= 1000
        assert after - before < 500_000
        assert count("recorded") - recorded <= 500
        assert count("bytes_held") <= held + 100 * x.nbytes
    assert x.shape == (64,)


WRONG: list[tuple[Callable[[Any], Any], type[Exception]]] = [
    (lambda np: np.ones((2, 3)) + np.ones(4), ValueError),
    (lambda np: np.ones((2, 3)) @ np.ones((4, 5)), ValueError),
    (lambda np: np.ones((2, 3)).reshape(4, 2), ValueError),
    (lambda np: np.concatenate([np.ones((2, 3)), np.ones((2, 4))]), ValueError),
    (lambda np: np.stack([np.ones(2), np.ones(3)]), ValueError),
    (lambda np: np.array([True]) - np.array([False]), TypeError),
    (lambda np: np.array([1.5]) & 3, TypeError),
    (lambda np: np.sum(np.ones(3), axis=2), numpy.AxisError),
    (lambda np: np.ones((2, 3)).transpose(0, 0), ValueError),
    (lambda np: np.ones(3)[3], IndexError),
    (lambda np: np.ones(3)[:, 0], IndexError),
    (lambda np: np.ones(3)[1.5], IndexError),
    (lambda np: np.ones(3).__setitem__(slice(2), [1.0, 2.0, 3.0]), ValueError),
    (lambda np: np.array([1, 2], dtype="u1") + 300, OverflowError),
    (lambda np: np.array([2]) ** -1, ValueError),
    (lambda np: np.linalg.inv(np.ones((2, 3))), numpy.linalg.LinAlgError),
    (lambda np: np.broadcast_to(np.ones(3), (2, 2)), ValueError),
    (lambda np: np.ones(3).astype("no such dtype"), TypeError),
    (lambda np: np.add(np.ones(3), np.ones(3), out=np.ones(2)), ValueError),
    (lambda np: np.where(np.ones(3), np.ones(2), 0), ValueError),
]


@pytest.mark.parametrize(("fails", "kind"), WRONG)
def test_errors_stand_at_the_users_line(fails: Callable[[Any], Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        fails(numpy)
    for _ in range(3):
        x = np.arange(3.0) * 2
        with pytest.raises(kind) as caught:
            fails(np)
        # at the line, not at the flush
        frames = [f for f in caught.traceback if Path(f.path) == HERE]
        assert frames[-1].frame.code.raw is fails.__code__
        assert "test_semantics" not in str(caught.value)
        assert (x + 1).tolist() == [1.0, 3.0, 5.0]


def test_an_error_in_a_flush() -> None:
    singular = np.array([[1.0, 1.0], [1.0, 1.0]])
    for _ in range(3):
        minpy_jit.clear_caches()
        matrix = singular * 2
        good = matrix + 1
        bad = TABLE["inv"](matrix)  # inverted here
        after = bad @ matrix
        alike = after * 0
        for _ in range(2):
            with pytest.raises(numpy.linalg.LinAlgError, match=rf"\[inv\].*{HERE.name}:{line_of('inverted here')}"):
                print(alike)
        assert good.tolist() == [[3.0, 3.0], [3.0, 3.0]]
        assert matrix.tolist() == [[2.0, 2.0], [2.0, 2.0]]


def test_exact_provenance_tells_equal_steps_apart() -> None:
    with config.override(provenance="exact"):
        for _ in range(3):
            good = TABLE["inv"](np.eye(2) * 2)
            str(good)
            bad = TABLE["inv"](np.eye(2) * 0)  # the same steps on another line
            with pytest.raises(numpy.linalg.LinAlgError, match=rf"recorded at {__file__}:{line_of('the same steps on another line')}"):
                str(bad)


@pytest.mark.parametrize("encounter", [1, 2, 3])
def test_interrupted_while_it_runs(encounter: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def program() -> tuple[Any, Any, Any]:
        x = np.arange(4.0) * 2
        y = x + 1
        return x, y, np.sort(y)[::-1] * 3

    for _ in range(encounter - 1):
        held = program()
        minpy_jit.flush()
        del held
    x, y, z = program()
    evaluate, forward = reference.evaluate, mx.Executor.forward
    calls = 0

    def press(real: Callable[..., Any]) -> Callable[..., Any]:
        def pressed(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 2 or real is forward:
                signal.raise_signal(signal.SIGINT)
            return real(*args, **kwargs)

        return pressed

    with monkeypatch.context() as patch:
        patch.setattr(reference, "evaluate", press(evaluate))
        patch.setattr(mx.Executor, "forward", press(forward))
        with pytest.raises(KeyboardInterrupt):
            z.tolist()
        with pytest.raises(KeyboardInterrupt):
            calls = 0
            y.tolist()
    assert z.tolist() == [21.0, 15.0, 9.0, 3.0]
    assert (x.tolist(), y.tolist()) == ([0.0, 2.0, 4.0, 6.0], [1.0, 3.0, 5.0, 7.0])


def test_interrupted_while_it_records() -> None:
    @minpy_jit.trace
    def f(x: Any, interrupt: bool) -> Any:
        y = x * 2
        y[1:] += 1
        if interrupt:
            signal.raise_signal(signal.SIGINT)
        return y

    g = grad(lambda x, interrupt: np.sum(f(x, interrupt) * x))
    x = np.ones(3)
    for _ in range(3):
        for call in (f, g):
            with pytest.raises(KeyboardInterrupt):
                call(x, True)
            assert current().region is None and not current().tapes
        assert f(x, False).tolist() == [2.0, 3.0, 3.0]
        assert g(x, False).tolist() == [4.0, 5.0, 5.0]
        assert x.tolist() == [1.0, 1.0, 1.0]


# -- imperative meaning -------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", MODES)
def test_nobody_outside_shares_memory(mode: str) -> None:
    with minpy_jit.mode(mode):
        theirs = numpy.arange(3.0)
        x = np.array(theirs)
        y = x * 2 + theirs
        z = np.concatenate([theirs, x])
        w = np.zeros(3)
        w[:] = theirs
        v = np.where(x > 0, theirs, 0.0)
        theirs[:] = -100.0
        for array, expected in ((x, [0, 1, 2]), (y, [0, 3, 6]), (z, [0, 1, 2, 0, 1, 2]), (w, [0, 1, 2]), (v, [0, 1, 2])):
            assert array.tolist() == expected
        for export in (x.asnumpy(), numpy.asarray(x), numpy.from_dlpack(x), numpy.asarray(_Interface(x))):
            # some are read-only
            if export.flags.writeable:
                export[:] = 50.0
            assert not any(numpy.shares_memory(export, other.asnumpy()) for other in (x, y))
        assert x.tolist() == [0.0, 1.0, 2.0]
        kept = x.asnumpy()
        x += 1
        assert (kept.tolist(), x.tolist()) == ([0.0, 1.0, 2.0], [1.0, 2.0, 3.0])


class _Interface:
    def __init__(self, array: Any) -> None:
        self.__array_interface__ = array.__array_interface__


def _draws(np: Any, generator: Any) -> list[Any]:
    x = np.random.rand(2, 3) * 2
    np.random.rand(5)
    found = [x, np.random.normal(1.0, 2.0, 4) + x[0, 0], np.random.randint(0, 100, 5), np.random.permutation(6), np.random.randn()]
    deck = np.arange(7.0)
    np.random.shuffle(deck)
    found += [deck, np.random.choice(10, 3), generator.standard_normal(3), generator.integers(0, 9, 4) * 2, generator.random()]
    if np.random.rand() < 0.5:
        found.append(np.random.rand(2))
    return found


def _numbers(found: list[Any]) -> list[Any]:
    return [v.tolist() if hasattr(v, "tolist") else v for v in found]


@pytest.mark.parametrize("mode", [*MODES, "trace"])
@pytest.mark.parametrize("seed", [0, 7])
def test_random_streams_in_every_mode(mode: str, seed: int) -> None:
    numpy.random.seed(seed)
    generator = numpy.random.default_rng(seed)
    expected = [_numbers(_draws(numpy, generator)) for _ in range(4)]
    call = minpy_jit.trace(_draws) if mode == "trace" else _draws
    with minpy_jit.mode("lazy" if mode == "trace" else mode):
        for _ in range(2):
            np.random.seed(seed)
            generator = np.random.default_rng(seed)
            held = [call(np, generator) for _ in range(4)]
            # observed in another order than drawn
            assert [_numbers(found) for found in held[::-1]] == expected[::-1]


def test_random_streams_in_pure_regions() -> None:
    def draws(x: Any, np: Any, generator: Any) -> list[Any]:
        np.random.rand(2)
        return [x + np.random.rand(3), generator.standard_normal(3) * x, np.random.permutation(4) + 0]

    numpy.random.seed(5)
    generator = numpy.random.default_rng(5)
    expected = [_numbers(draws(numpy.ones(3), numpy, generator)) for _ in range(4)]
    np.random.seed(5)
    ours = np.random.default_rng(5)
    pure = minpy_jit.trace(lambda x: draws(x, np, ours), pure=True)
    held = [pure(np.ones(3)) for _ in range(4)]
    assert [_numbers(found) for found in held[::-1]] == expected[::-1]
    assert pure.stats()["replays"] == 3


def _program(np: Any, pause: Callable[[], None]) -> list[Any]:
    """Views, writes, reductions, products, several dtypes, errors; `pause` may flush."""
    x = np.linspace(-1, 1, 24, dtype="float32").reshape(4, 6)
    pause()
    view = x[1:, ::2]
    y = np.tanh(x) @ np.exp(x.T * 0.1)
    pause()
    view *= 2
    z = (y - y.max(axis=1, keepdims=True)) / np.float64(3)
    pause()
    n = np.arange(6) * 3 % 5
    z[0, :2] = n[:2]
    mask = z > -0.5
    pause()
    w = np.where(mask, np.log1p(np.abs(z)), n[:4])
    try:
        w + np.ones(7)
    except ValueError as error:
        n = n + len(type(error).__name__)
    pause()
    s = w.sum() * 2
    t = s
    s += 1
    x[x > 0.5] = -x[0, 0]
    return [x, view, y, z, n, mask, w, s, t, n.mean(), (n // 2).astype("u1")]


def _flushing(every: int) -> Callable[[], None]:
    calls = 0

    def pause() -> None:
        nonlocal calls
        calls += 1
        if calls % every == 0:
            minpy_jit.flush()

    return pause


@pytest.mark.parametrize("every", [1, 2, 3, 100])
def test_flushes_decide_nothing(every: int) -> None:
    expected = _program(numpy, lambda: None)
    for _ in range(3):
        for ours, theirs in zip(_program(np, _flushing(every)), expected, strict=True):
            assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
            assert isinstance(theirs, numpy.generic) == ours.type.scalar
            if theirs.dtype.kind == "f":
                # all of it comes from float32
                eps = float(numpy.finfo("float32").eps)
                numpy.testing.assert_allclose(ours.asnumpy(), theirs, rtol=16 * eps, atol=16 * eps)
            else:
                numpy.testing.assert_array_equal(ours.asnumpy(), theirs)


FUNCTIONS = (  # noqa: SIM905 - one line of names reads better
    "exp exp2 expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arctanh sqrt cbrt square reciprocal"
).split()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_agree_with_numpy_to_four_ulp(name: str, dtype: str) -> None:
    rng = numpy.random.default_rng(0)
    for data in (rng.uniform(0.02, 0.98, 2000), 10 ** rng.uniform(-3, 0, 2000) * 0.99):
        x = data.astype(dtype)
        expected = getattr(numpy, name)(x)
        for _ in range(3):
            found = getattr(np, name)(np.array(x)).asnumpy()
            # ulp of the result, or what an argument's own last digit is worth near a zero
            assert numpy.all(abs(found.astype("f8") - expected) <= 4 * numpy.spacing(abs(expected)))


@pytest.mark.parametrize("every", [1, 2, 3, 100])
def test_deterministic_is_bit_for_bit(every: int) -> None:
    with config.override(deterministic=True):
        runs = [_program(np, _flushing(k)) for k in (100, every, every, 100)]
        bits = [[value.asnumpy().tobytes() for value in run] for run in runs]
    assert bits[0] == bits[1] == bits[2] == bits[3]


def test_verified_values_of_replays_are_those_of_the_first_run() -> None:
    with config.override(verify=True):
        first, *others = [[numpy.asarray(v) for v in _program(np, lambda: None)] for _ in range(4)]
    for other in others:
        for a, b in zip(first, other, strict=True):
            numpy.testing.assert_allclose(a, b, rtol=1e-5)


def test_scalars_where_python_wants_numbers() -> None:
    import decimal
    import fractions
    import json
    import math
    import statistics

    s, n = np.array([1.5, 2.5]).sum(), np.array([3, 4]).sum()
    assert (math.floor(s), math.sqrt(s), divmod(n, 4), round(s / 3, 2), abs(-s), -n) == (4, 2.0, (1, 3), 1.33, 4.0, -7)
    assert json.dumps([float(s), int(n)]) == "[4.0, 7]"
    assert (n & 5, n | 8, n ^ 1, n << 2, ~n, hex(n), bin(n)) == (5, 15, 6, 28, -8, "0x7", "0b111")
    assert fractions.Fraction(int(n), 2) == 3.5 and decimal.Decimal(float(s)) == 4
    assert statistics.mean([s, n]) == statistics.fmean([s, n]) == 5.5 and sum([s, n]) == 11.0 and max(s, n) == 7
    assert {s: "four"}[4.0] == "four" and len({s, 4.0, n, 7}) == 2 and s in (4.0,)
    assert isinstance(s, float) and isinstance(s, numpy.floating) and isinstance(n, numpy.integer) and not isinstance(n, float)
    assert f"{s:08.3f}|{n:>5d}|{n:#x}" == "0004.000|    7|0x7" and "%d %.2f" % (n, s) == "7 4.00"  # noqa: UP031
    best = s
    s += 1
    assert (float(best), float(s)) == (4.0, 5.0)
    a = np.arange(3.0)
    t = a[0]
    a[0] = a[2]
    a[2] = t
    assert a.tolist() == [2.0, 1.0, 0.0]
    for made, expected in ((type(s)(2.5), numpy.float64(2.5)), (type(s)(3), numpy.int64(3)), (s.__class__(3), numpy.float64(3))):
        assert made == expected and made.dtype == expected.dtype
    with pytest.raises(TypeError, match="one number"):
        type(s)([1.0, 2.0])
    # what Python does not let us imitate, as Scalar's documentation says
    assert type(s) is not numpy.float64
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(n)


def cell(source: str, number: int, names: dict[str, Any]) -> str:
    """Run a notebook's cell as IPython does: compiled under a file name of its own, the source known to `linecache` alone."""
    name = f"/tmp/ipykernel_4711/{number}.py"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    exec(compile(source, name, "exec"), names)
    return name


def test_provenance_names_the_cell() -> None:
    names: dict[str, Any] = {}
    first = cell("import minpy_jit.numpy as np\nfrom minpy_jit.trace.op import TABLE\ndef f(x):\n    return TABLE['inv'](x)\n", 1, names)
    second = cell("a = np.ones((2, 2))\nb = f(a * 3)\nc = b + 1\n", 2, names)
    assert f"made by inv at {first}:4" in minpy_jit.why(names["b"])
    assert f"made by add at {second}:3" in minpy_jit.why(names["c"])
    with config.override(repr_mode="lazy"):
        assert f"made at {second}:3" in repr(names["c"])
    with pytest.raises(numpy.linalg.LinAlgError, match=rf"\[inv\] Singular matrix \(recorded at {first}:4\)"):
        cell("\n\nprint(c)\n", 3, names)
    assert minpy_jit.flush_log()[-1].where == "/tmp/ipykernel_4711/3.py:3"
    exec("d = np.ones(3) * 5\n\nd = d - 2\ntext = str(d)", names)
    assert names["text"] == "[3. 3. 3.]"
    assert minpy_jit.flush_log()[-1].where == "<string>:4"
    with pytest.raises(NoGradientError, match=r"<string>:1"):
        exec("import minpy_jit; minpy_jit.grad(lambda x: np.nanpercentile(x, 30.0))(np.arange(5.0))", names)


def test_a_session_of_cells() -> None:
    names: dict[str, Any] = {"Out": {}}
    cell("import minpy_jit, minpy_jit.numpy as np\ndef step(w, g):\n    w -= 0.5 * g\n    return w", 1, names)
    cell("w = np.ones(3)\nseen = w", 2, names)
    for number in range(3, 9):
        cell(f"Out[{number}] = step(w, np.full(3, {number}.0)) * 1\n_ = Out[{number}]", number, names)
    assert names["seen"] is names["w"]
    assert names["w"].tolist() == [1 - 0.5 * sum(range(3, 9))] * 3
    assert [v.tolist()[0] for v in names["Out"].values()] == [1 - 0.5 * sum(range(3, n + 1)) for n in range(3, 9)]
    # the cell is edited and run again
    cell("import minpy_jit\ndef step(w, g):\n    w += g\n    return w", 1, names)
    cell("step(w, np.ones(3))\nresult = w.tolist()", 9, names)
    assert names["result"] == [2 - 0.5 * sum(range(3, 9))] * 3
    cell("@minpy_jit.trace\ndef f(x):\n    return x * 2", 10, names)
    assert names["f"](np.ones(1)).tolist() == [2.0]
    cell("@minpy_jit.trace\ndef f(x):\n    return x * 3", 11, names)
    assert names["f"](np.ones(1)).tolist() == [3.0]


def interpreter(*arguments: str, typed: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent.parent)}
    environment.pop("PYTHONSTARTUP", None)
    return subprocess.run(
        [sys.executable, *arguments], input=typed, capture_output=True, text=True, timeout=120, check=False, env=environment, cwd="/"
    )


TYPED = """
import minpy_jit.numpy as np, minpy_jit
x = np.ones(3)
y = x + 1
y
log = minpy_jit.flush_log()[-1]
log.cause, log.where
@minpy_jit.trace
def f(x):
    return x * scale

scale = 2.0
f(y)
scale = 5.0
_ + f(y)
print(minpy_jit.grad(lambda x: x * x if x > 0 else -x)(3.0))
np.linalg.inv(np.zeros((2, 2)))
x + np.ones(4)
x
"""


def test_the_interactive_interpreter() -> None:
    done = interpreter("-i", "-q", typed=TYPED)
    assert done.stdout.splitlines() == [
        "array([2., 2., 2.])",
        "('repr', '<stdin>:1')",
        "array([4., 4., 4.])",
        "array([14., 14., 14.])",
        "6.0",
        "array([1., 1., 1.])",
    ]
    assert "numpy.linalg.LinAlgError: [inv] Singular matrix (recorded at <stdin>:1)" in done.stderr
    assert "ValueError: [add] operands could not be broadcast together" in done.stderr


def test_a_program_on_the_command_line() -> None:
    code = (
        "import minpy_jit, minpy_jit.numpy as np\nx = np.ones(2) * 3\nprint(x, minpy_jit.flush_log())\nlog = minpy_jit.flush_log()[-1]\n"
        "print(log.cause, log.where)"
    )
    done = interpreter("-c", code)
    assert done.stderr == ""
    assert done.stdout == "[3. 3.] []\nstr <string>:3\n"


def test_provenance_in_a_thread() -> None:
    found: list[Any] = []

    def work() -> None:
        x = np.ones((2, 2)) * 7
        y = TABLE["inv"](x)  # inverted in a thread
        found.append(minpy_jit.why(y))
        try:
            str(y)  # observed in a thread
        except numpy.linalg.LinAlgError as error:
            found.append(str(error))
        found.append(minpy_jit.flush_log()[-1].where)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    made, seen = line_of("inverted in a thread"), line_of("observed in a thread")
    assert f"made by inv at {__file__}:{made}" in found[0]
    assert f"(recorded at {__file__}:{made})" in found[1]
    assert found[2] == f"{__file__}:{seen}"


# -- NumPy --------------------------------------------------------------------------------------------------------------------------------
def test_isinstance_of_both_kinds() -> None:
    ours, theirs, number = np.ones(3), numpy.ones(3), np.ones(3).sum()
    assert isinstance(ours, np.ndarray) and isinstance(theirs, np.ndarray)
    assert isinstance(number, np.floating) and not isinstance(number, np.ndarray) and not isinstance([1.0], np.ndarray)
    assert issubclass(numpy.ndarray, np.ndarray) and issubclass(np.ndarray, np.ndarray)


VIEWS: dict[str, Callable[[Any, Any], Any]] = {
    "slice": lambda np, x: x[1:],
    "newaxis": lambda np, x: x[None],
    "ellipsis": lambda np, x: x[...],
    "reshape": lambda np, x: x.reshape(4, 3),
    "reshape of T": lambda np, x: x.T.reshape(-1),
    "ravel": lambda np, x: x.ravel(),
    "ravel of T": lambda np, x: x.T.ravel(),
    "ravel of T, F": lambda np, x: x.T.ravel(order="F"),
    "flatten": lambda np, x: x.flatten(),
    "T": lambda np, x: x.T,
    "diagonal": lambda np, x: x.diagonal(),
    "real": lambda np, x: x.real,
    "real of complex": lambda np, x: (x + 1j).real,
    "imag": lambda np, x: x.imag,
    "squeeze": lambda np, x: np.squeeze(x),
    "atleast_3d": lambda np, x: np.atleast_3d(x),
    "astype": lambda np, x: x.astype(float),
    "astype without copy": lambda np, x: x.astype(float, copy=False),
    "asarray": lambda np, x: np.asarray(x),
    "array": lambda np, x: np.array(x),
    "ascontiguousarray": lambda np, x: np.ascontiguousarray(x),
    "ascontiguousarray of T": lambda np, x: np.ascontiguousarray(x.T),
    "asfortranarray": lambda np, x: np.asfortranarray(x),
    "integer array": lambda np, x: x[[0, 1]],
    "mask": lambda np, x: x[x > -1],
    "take": lambda np, x: np.take(x, [0], axis=0),
    "flip": lambda np, x: np.flip(x),
    "rot90": lambda np, x: np.rot90(x),
    "roll": lambda np, x: np.roll(x, 1),
    "moveaxis": lambda np, x: np.moveaxis(x, 0, 1),
    "broadcast_to": lambda np, x: np.broadcast_to(x, (2, 3, 4)),
    "split": lambda np, x: np.split(x, 3)[1],
    "hsplit": lambda np, x: np.hsplit(x, 2)[1],
    "view": lambda np, x: x.view(),
    "swapaxes": lambda np, x: x.swapaxes(0, 1),
    "expand_dims": lambda np, x: np.expand_dims(x, 0),
    "copy": lambda np, x: x.copy(),
    "positive": lambda np, x: +x,
    "conj": lambda np, x: x.conj(),
    "where": lambda np, x: np.where(x > 0, x, x),
    "clip": lambda np, x: x.clip(-100, 100),
    "repeat": lambda np, x: x.repeat(1),
    "nan_to_num": lambda np, x: np.nan_to_num(x),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_or_copies(name: str) -> None:
    make = VIEWS[name]

    def program(np: Any) -> tuple[Any, Any, bool]:
        x = np.arange(12.0).reshape(3, 4) * 1
        made = make(np, x)
        x += 100.0
        return made, x, bool(np.shares_memory(made, x))

    expected = program(numpy)
    for _ in range(3):
        found = program(np)
        assert found[2] == expected[2]
        for ours, theirs in zip(found[:2], expected[:2], strict=True):
            numpy.testing.assert_array_equal(ours.asnumpy(), theirs)


def test_wide_integers() -> None:
    for base in (16777217, 2**31, 2**40 + 1, 2**53 + 1, -(2**62)):
        for _ in range(3):
            x = np.array([base, 1])
            assert x.dtype == numpy.int64
            assert ((x + 0).tolist(), (x * 1).tolist(), x[0] - 1, int(x.sum())) == ([base, 1], [base, 1], base - 1, base + 1)
            assert (x // 2).tolist() == [base // 2, 0] and int(np.max(x)) == max(base, 1)
    assert (np.array([0.1]) + np.array([0.2])).tolist() == [0.1 + 0.2]
    assert (np.array([2**63], dtype="u8") + np.array([1], dtype="u8")).tolist() == [2**63 + 1]


# -- gradients ----------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", [*MODES, "trace"])
def test_gradients_in_every_mode(mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    def f(p: dict[str, Any], k: float = 1.0) -> Any:
        x, table = p["x"], np.zeros((3, 3)) + 0 * p["x"]
        for i in range(3):
            row = table[i]
            row += x * (i + 1)
            if float(row[0]) > 1:
                row[0] = x[1] * k
        print(f"{float(table.sum()):.3f}")
        chosen = table[table > 0.5]
        joined = np.concatenate((chosen, np.stack([x, p["y"][0]]).ravel()))
        return np.sum(joined**2) + np.linalg.norm(x) + np.kron(x, x)[1]

    def numeric(x: Any, y: Any, k: float) -> tuple[Any, Any]:
        with minpy_jit.mode("numpy"):
            found = []
            for which, base in ((0, x), (1, y)):
                slope = numpy.zeros(3)
                for i in range(3):
                    step = numpy.zeros(3)
                    step[i] = 1e-6
                    args = [[x, y], [x, y]]
                    args[0][which], args[1][which] = base + step, base - step
                    up, down = (float(f({"x": np.array(a), "y": [np.array(b)]}, k)) for a, b in args)
                    slope[i] = (up - down) / 2e-6
                found.append(slope)
            return found[0], found[1]

    g = value_and_grad(minpy_jit.trace(f) if mode == "trace" else f)
    with minpy_jit.mode("lazy" if mode == "trace" else mode):
        for k in (1.0, 2.0, 3.0):
            x, y = numpy.array([0.7, 0.3 * k, 0.9]), numpy.array([1.0, -2.0, k])
            value, found = g({"x": np.array(x), "y": [np.array(y)]}, k=k)
            expected = numeric(x, y, k)
            numpy.testing.assert_allclose(found["x"].asnumpy(), expected[0], rtol=1e-6, atol=1e-7)
            numpy.testing.assert_allclose(found["y"][0].asnumpy(), expected[1], rtol=1e-6, atol=1e-7)
            assert value.shape == ()
    assert capsys.readouterr().out


def test_a_missing_rule_names_op_argument_and_line() -> None:
    def f(x: Any, q: Any) -> Any:
        return np.nanpercentile(q, 30.0) * x  # no rule here

    with pytest.raises(NoGradientError, match=rf"\[nanpercentile\].*argument 0.*{HERE.name}:{line_of('no rule here')}"):
        grad(f, argnum=1)(2.0, np.arange(5.0))
    assert float(grad(f)(2.0, np.arange(5.0))) == pytest.approx(1.2)


def test_an_argument_without_influence() -> None:
    x = {"w": np.ones((2, 3)), "n": np.array([1, 2])}
    for f in (lambda p, q: np.sum(q), lambda p, q: np.sum(q * q) + 0, lambda p, q: 3.0, lambda p, q: np.zeros(3)):
        found = grad(f)(x, np.ones(2))
        assert found["w"].shape == (2, 3) and not found["w"].asnumpy().any()
        assert found["n"].shape == (2,) and not found["n"].asnumpy().any()
    branch = grad(lambda p, q: np.sum(q) if p["w"][0, 0] > 0 else np.sum(p["w"]))
    assert not branch(x, np.ones(2))["w"].asnumpy().any()


def test_nested_containers() -> None:
    def f(p: Any, *, scale: float, names: tuple[str, ...]) -> Any:
        total = np.sum(p["layers"][0]["w"] * scale)
        for w, b in p["layers"][1]:
            total = total + np.sum(w * b)
        return total + p["bias"][0] * len(names)

    p = {
        "layers": [{"w": np.array([1.0, 2.0])}, ((np.array([3.0]), np.array([4.0])), (np.array([5.0]), np.array([6.0])))],
        "bias": (np.array(1.0), "a name", None),
    }
    for _ in range(3):
        found = grad(f)(p, scale=2.0, names=("a", "b"))
        assert found["layers"][0]["w"].tolist() == [2.0, 2.0]
        assert [[v.tolist() for v in pair] for pair in found["layers"][1]] == [[[4.0], [3.0]], [[6.0], [5.0]]]
        assert float(found["bias"][0]) == 2.0 and found["bias"][1:] == (None, None)
        assert type(found["layers"][1]) is tuple


# -- compiling ----------------------------------------------------------------------------------------------------------------------------
def _adam(w: Any, data: Any) -> Any:
    m, v = np.zeros(3), np.zeros(3)
    for t in range(1, 31):
        g = 2 * w
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        w = w - 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        float(w[0])
    return w


def _schedule(w: Any, data: Any) -> Any:
    for step in range(30):
        rate = 0.1 * 0.95**step if step > 5 else 0.02 * (step + 1)
        w = w - rate * w
        float(w[0])
    return w


def _counter(w: Any, data: Any) -> Any:
    for i in range(30):
        w = w * i / (i + 1) + i
        float(w[0])
    return w


def _minibatches(w: Any, data: Any) -> Any:
    for i in range(30):
        w = w + data[i * 4 : (i + 1) * 4].sum(axis=0) * 0.1
        float(w[0])
    return w


def _positions(w: Any, data: Any) -> Any:
    for i in range(1, 31):
        w = w + data[i] * data[-i] - data[2 * i, 1]
        float(w[0])
    return w


def _indices(w: Any, data: Any) -> Any:
    for i in range(30):
        w = w + data[np.array([i, 2 * i])].sum(axis=0)
        float(w[0])
    return w


@pytest.mark.parametrize("loop", [_adam, _schedule, _counter, _minibatches, _positions, _indices])
def test_what_changes_from_step_to_step_compiles_once(loop: Callable[[Any, Any], Any]) -> None:
    data = numpy.arange(360.0).reshape(120, 3) / 100
    expected = loop(numpy.ones(3), data)
    ours = np.array(data)
    found = loop(np.ones(3), ours)
    # the first turn begins with other inputs than the rest
    assert count("compiles") <= 2
    compiled = count("compiles")
    numpy.testing.assert_allclose(found.asnumpy(), expected, rtol=1e-12)
    loop(np.ones(3), ours)
    assert count("compiles") <= compiled + 1


def _shaped(n: int) -> float:
    x = np.array(numpy.ones(n))
    return float(np.sum(np.exp(x) * 2))  # ends here


def test_a_new_shape_compiles_once() -> None:
    for n in (3, 5, 3, 7, 5):
        for _ in range(4):
            assert _shaped(n) == pytest.approx(2 * n * numpy.e)
    assert count("compiles") == count("binds") == 3


def test_the_second_encounter_compiles() -> None:
    _shaped(4)
    assert (count("compiles"), minpy_jit.flush_log()[-1].executor) == (0, "reference")
    _shaped(4)
    assert (count("compiles"), minpy_jit.flush_log()[-1].executor) == (1, "mxnet")
    _shaped(4)
    assert (count("compiles"), count("cache_hits")) == (1, 1)


def test_many_shapes_are_told_once() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for n in range(1, 100):
            _shaped(n)
            _shaped(n)
    (warning,) = told
    line = line_of("ends here")
    assert warning.category is RecordingWarning
    assert (warning.filename, warning.lineno) == (__file__, line)
    assert f"more than {config.max_variants} programs that end at {__file__}:{line} differ" in str(warning.message)
    before = config.max_variants
    assert f"input at {__file__}:{line} is float64[{before + 1}] where it was float64[{before}]" in str(warning.message)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda k: numpy.ones(k + 1, dtype="f4").astype("f8") * 2, r"input at .* is float64\[3\] where it was float64\[2\]"),
        (lambda k: numpy.ones(4, dtype=("f4", "f8", "i4")[k]), r"input at .* is int32\[4\] where it was float64\[4\]"),
        (lambda k: numpy.ones((2, 6)).reshape(12 // (k + 1), -1), r"input at .* is float64\[4,3\] where it was float64\[6,2\]"),
    ],
)
def test_what_differs_is_said(make: Callable[[int], Any], said: str) -> None:
    with config.override(max_variants=2), pytest.warns(RecordingWarning, match=said):
        for k in range(3):
            float(np.sum(np.array(make(k)) + 1))


def test_few_shapes_and_other_programs_are_not_told() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for k in range(300):
            _shaped(k % config.max_variants + 1)
        x = np.ones(3)
        for length in range(50):
            # other steps, not other shapes
            for _ in range(length):
                x = x + 1.0
            float(x[0])


def test_places_are_bounded() -> None:
    minpy_jit.clear_caches()
    program = "y = x\nfor digit in digits:\n    y = y + 1.0 if digit == '1' else y * 0.5\nfloat(y[0])\n"
    for k in range(1200):
        exec(program, {"x": np.ones(3), "digits": f"{k:b}"})
    assert 1000 < len(variants._places) <= variants._MOST
    minpy_jit.clear_caches()
    assert not variants._places


def test_a_storm_of_shapes_is_not_compiled() -> None:
    with config.override(max_variants=4):
        with pytest.warns(RecordingWarning, match="ends? at"):
            for n in range(1, 60):
                for _ in range(3):
                    assert _shaped(n) == pytest.approx(2 * n * numpy.e)
        assert count("compiles") == 4
        # what comes often is compiled all the same
        for _ in range(variants.PATIENCE):
            _shaped(59)
        assert count("compiles") == 5
        assert minpy_jit.flush_log()[-1].executor == "mxnet"


def test_the_warning_as_an_error_loses_nothing() -> None:
    with config.override(max_variants=2), warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = [np.array(numpy.ones(n)) * 2 for n in (1, 2, 3)]
        minpy_jit.flush()
        sums = []
        for x in kept:
            total = x.sum() + 1
            try:
                float(total)
            except RecordingWarning:
                sums.append("told")
            sums.append(float(total))
    assert sums == [3.0, 5.0, "told", 7.0]
