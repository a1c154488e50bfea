"""Policies: who runs what; the blacklist and its file; statistics of operations."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit import policy
from minpy_jit.trace.op import TABLE, Op
from minpy_jit.trace.ops.families import FLOATS, broadcast_type


@pytest.fixture(autouse=True)
def usual() -> Any:
    """Every test begins and ends without a policy."""
    yield
    minpy_jit.set_global_policy("prefer_mxnet")
    policy._counting = False


def executor_of(f: Any) -> str:
    """Who ran the third call of a function."""
    for _ in range(3):
        float(f())
    return minpy_jit.flush_log()[-1].executor


def test_only_numpy() -> None:
    x = np.arange(6.0)

    def f() -> Any:
        return np.sum(np.exp(x) * 2)

    assert executor_of(f) == "mxnet"
    minpy_jit.set_global_policy("only_numpy")
    assert minpy_jit.get_global_policy().name == "only_numpy" and executor_of(f) == "reference"
    minpy_jit.set_global_policy("prefer_mxnet")
    assert executor_of(f) == "mxnet"


def test_gradients_and_traces_obey() -> None:
    x = np.arange(6.0)
    step = minpy_jit.trace(lambda: np.sum(np.sin(x)), pure=True)
    slope = minpy_jit.grad(lambda x: np.sum(np.sin(x) ** 2))
    expected = slope(x).asnumpy()
    float(step())
    with minpy_jit.OnlyNumPyPolicy():
        minpy_jit.reset_stats()
        numpy.testing.assert_allclose(slope(x).asnumpy(), expected, rtol=1e-12)
        float(step())
        float(step())
        assert minpy_jit.stats()["executor_runs"] == 0
    for _ in range(3):
        float(step())
    assert minpy_jit.stats()["executor_runs"] > 0


def test_only_mxnet() -> None:
    x = np.array(numpy.linspace(0.1, 1, 5))
    with minpy_jit.OnlyMXNetPolicy():
        # no first encounter in NumPy
        assert float(np.sum(np.exp(x))) == pytest.approx(numpy.exp(numpy.linspace(0.1, 1, 5)).sum())
        assert minpy_jit.flush_log()[-1].executor == "mxnet"
        bad = TABLE["inv"](np.eye(2) * 2)
        with pytest.raises(
            policy.PolicyError, match=r"\[inv\] MXNet has no operator for float64\[2,2\] \(recorded at .*test_policy.py:\d+\)"
        ):
            bad.asnumpy()
        with pytest.raises(
            policy.PolicyError, match=r"\[histogram\] runs in NumPy, and the policy is 'only_mxnet'; called at .*test_policy"
        ):
            np.histogram(x)
        del bad
    assert np.linalg.inv(np.eye(2) * 2).asnumpy()[0, 0] == 0.5


def test_pending_work_runs_as_it_was_recorded() -> None:
    x = np.ones(3)
    for _ in range(3):
        pending = np.exp(x) + 1
        before = minpy_jit.flush_log()[-1:]
        minpy_jit.set_global_policy("only_numpy")
        ran = minpy_jit.flush_log()[-1]
        assert [ran] != before and ran.cause == "policy"
        minpy_jit.set_global_policy("prefer_mxnet")
        assert float(pending[0]) == pytest.approx(numpy.e + 1)
    assert ran.executor == "mxnet"


def test_wrap_policy_restores_on_exceptions() -> None:
    seen: list[str] = []

    @minpy_jit.wrap_policy("only_numpy")
    def f(fail: bool) -> Any:
        seen.append(minpy_jit.get_global_policy().name)
        if fail:
            raise KeyError("no")
        return np.ones(2) * 3

    assert f(False).asnumpy().tolist() == [3.0, 3.0]
    with pytest.raises(KeyError):
        f(True)
    assert seen == ["only_numpy"] * 2 and minpy_jit.get_global_policy().name == "prefer_mxnet"
    minpy_jit.wrap_policy(minpy_jit.OnlyMXNetPolicy())(f)(False)
    assert minpy_jit.get_global_policy().name == "prefer_mxnet"


def test_nothing_is_compiled_again_where_policies_alternate() -> None:
    x = np.ones(3)
    inner = minpy_jit.wrap_policy("only_numpy")(lambda y: np.tanh(y))

    def step() -> float:
        return float(np.sum(inner(x * 2) + 1))

    for _ in range(3):
        step()
    minpy_jit.reset_stats()
    step()
    assert minpy_jit.stats()["recorded"] == 0 and minpy_jit.stats()["compiles"] == 0


def test_each_thread_has_its_own() -> None:
    names: list[str] = []

    def work() -> None:
        names.append(minpy_jit.get_global_policy().name)
        minpy_jit.set_global_policy("only_mxnet")
        minpy_jit.set_global_policy("only_numpy")

    minpy_jit.set_global_policy("only_numpy")
    with minpy_jit.OnlyMXNetPolicy():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert minpy_jit.get_global_policy().name == "only_mxnet"
    assert names == ["only_numpy"]


def test_names() -> None:
    np.set_policy("only_numpy")
    assert minpy_jit.get_global_policy().name == "only_numpy"
    with pytest.raises(
        ValueError, match=r"'only_torch' is no policy; legal values: 'prefer_mxnet', 'only_numpy', 'only_mxnet', 'auto_blacklist'"
    ):
        minpy_jit.set_global_policy("only_torch")
    with pytest.raises(TypeError, match="takes a name or a Policy; got int"):
        minpy_jit.set_global_policy(3)  # type: ignore[arg-type]
    assert minpy_jit.get_global_policy().name == "only_numpy"


def test_not_inside_a_pure_region() -> None:
    f = minpy_jit.trace(lambda x: minpy_jit.wrap_policy("only_numpy")(np.sin)(x), pure=True)
    with pytest.raises(minpy_jit.errors.TraceError, match="changed inside"):
        f(np.ones(2))
    assert minpy_jit.get_global_policy().name == "prefer_mxnet"


# -- the blacklist ------------------------------------------------------------------------------------------------------------------------
def faulty(name: str, mxnet_op: str) -> Op:
    """An operation whose lowering is not what NumPy does (or fails)."""
    return Op(
        name,
        family="elementwise",
        arity=2,
        infer=lambda x, y: broadcast_type((x, y), x.dtype),
        numpy=numpy.subtract,
        mxnet=lambda low, xs, types, result: low.node(mxnet_op, xs),
        mxnet_dtypes=FLOATS,
        vjp=(None, None),
    )


@pytest.mark.parametrize(("name", "mxnet_op"), [("wrong", "_npi_add"), ("failing", "FullyConnected")])
def test_what_fails_or_disagrees_goes_to_numpy(tmp_path: Path, name: str, mxnet_op: str) -> None:
    op = faulty(name, mxnet_op)
    x, y = np.array([5.0, 7.0]), np.array([1.0, 2.0])
    listed = minpy_jit.AutoBlacklistPolicy(loc=tmp_path / "rules.json")
    with listed:
        for _ in range(3):
            assert (op(np.exp(x) - np.exp(x) + x, y) * 2).asnumpy().tolist() == [8.0, 10.0]
    assert listed.query() == {name: [("float64", "float64")]}
    assert json.loads((tmp_path / "rules.json").read_text())["rules"] == {name: [["float64", "float64"]]}
    # known at once to the next one, which makes no rules of its own
    again = minpy_jit.AutoBlacklistPolicy(gen_rule=False, loc=tmp_path / "rules.json")
    minpy_jit.reset_stats()
    with again:
        for _ in range(3):
            assert (op(x, y) * 2).asnumpy().tolist() == [8.0, 10.0]
        assert minpy_jit.stats()["host_steps"] == 3 and minpy_jit.stats()["executor_runs"] == 3
        # other types are not
        narrow = op(x.astype("float32"), y.astype("float32"))
        assert narrow.dtype == numpy.float32
        if name == "wrong":
            assert narrow.asnumpy().tolist() == [6.0, 9.0]
        del narrow
    again.reset_rules()
    assert again.query() == {} and not (tmp_path / "rules.json").exists()


def test_rules_that_are_not_appended_can_be_saved(tmp_path: Path) -> None:
    op = faulty("wrong", "_npi_add")
    kept = minpy_jit.AutoBlacklistPolicy(append_rule=False, loc=tmp_path / "rules.json")
    with kept:
        assert (op(np.array([5.0]), np.array([1.0])) * 2).asnumpy().tolist() == [8.0]
        assert (op(np.array([5.0]), np.array([1.0])) * 2).asnumpy().tolist() == [8.0]
    assert kept.query("wrong") == {"wrong": [("float64", "float64")]} and kept.query("exp") == {}
    assert not (tmp_path / "rules.json").exists()
    kept.save_rules()
    assert minpy_jit.AutoBlacklistPolicy(loc=tmp_path / "rules.json").query() == kept.query()


def test_a_blacklist_as_global_policy(tmp_path: Path) -> None:
    """(MinPy's raised here.)"""
    minpy_jit.set_global_policy(minpy_jit.AutoBlacklistPolicy(loc=tmp_path / "rules.json"))
    x = np.linspace(0.1, 1.0, 7)
    slope = minpy_jit.grad(lambda x: np.sum(np.exp(np.sin(x)) / np.sqrt(x)))
    first = slope(x).asnumpy()
    for _ in range(3):
        numpy.testing.assert_allclose(slope(x).asnumpy(), first, rtol=1e-10)
    assert minpy_jit.get_global_policy().query() == {}  # type: ignore[attr-defined]


def _add(path: str, number: int) -> None:
    for k in range(5):
        policy.Rules(path).add({(f"op{number}", (f"float{k}",))})


def test_processes_share_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add, args=(str(path), n)) for n in range(3)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
        assert w.exitcode == 0
    assert policy.Rules(path).read() == {(f"op{n}", (f"float{k}",)) for n in range(3) for k in range(5)}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rules.json", "rules.json.lock"]


def test_a_damaged_file_is_replaced(tmp_path: Path) -> None:
    rules = policy.Rules(tmp_path / "rules.json")
    for text in ("", "{", '{"rules": 3}', "[]"):
        rules.path.write_text(text)
        assert rules.read() == set()
    assert rules.add({("exp", ("float32",))}) == rules.read() == {("exp", ("float32",))}


def test_info_lists_and_resets(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    policy.Rules(path).add({("exp", ("float32",))})
    import os

    environment = {**os.environ, "MINPY_JIT_RULES": str(path)}
    command = [sys.executable, "-m", "minpy_jit", "info"]
    shown = subprocess.run([*command, "--reset-rules"], env=environment, capture_output=True, text=True, check=True).stdout
    assert f"blacklist {path}: 1 rule(s)\n  exp(float32) runs in NumPy\nblacklist removed" in shown
    assert not path.exists()


# -- statistics ---------------------------------------------------------------------------------------------------------------------------
def test_op_stat(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="call record_op_stat"):
        np.show_op_stat()
    x = np.array([[4.0, 1.0], [1.0, 3.0]])

    def step() -> Any:
        return np.sum(np.linalg.inv(np.exp(x)))

    for _ in range(2):
        float(step())
    np.record_op_stat()
    for _ in range(3):
        float(step())
    np.histogram(x)
    assert policy.op_stat() == {"exp": (3, 0), "inv": (0, 3), "sum": (3, 0), "histogram": (0, 1)}
    np.show_op_stat()
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "operations: 60.0% in MXNet, 40.0% in NumPy"
    assert shown[1].split() == ["exp", "MXNet", "3", "NumPy", "0"]
    # as MinPy's documents spell it
    np.policy.show_op_stat()
    assert capsys.readouterr().out.splitlines() == shown
    with minpy_jit.OnlyNumPyPolicy():
        assert np.policy.name == "only_numpy" and repr(np.policy) == "<policy only_numpy>"
    assert np.policy.name == "prefer_mxnet"


def test_a_policy_of_ones_own() -> None:
    steps: list[int] = []

    class Counting(policy.Policy):
        name = "counting"

        def run(self, end: Any, *rest: Any) -> Any:
            steps.append(end.index + 1)
            return super().run(end, *rest)

    with Counting():
        float(np.ones(2)[0] + 1)
    assert len(steps) == 1 and steps[0] > 1
