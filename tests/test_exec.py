"""Running: executors are bound once and bounded, MXNet's own state is left alone, contexts are told apart, settings are validated."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit import config, cpu, current_context, gpu, set_context
from minpy_jit.config import Config
from minpy_jit.errors import ContextError
from minpy_jit.exec.run import NativeStage, plan_cache

pytestmark = pytest.mark.usefixtures("clean_state")


def python(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, env={**os.environ, **env}, check=False
    )


def test_a_fork_while_mxnet_is_imported_leaves_results_right() -> None:
    """A fork makes MXNet's engine; what does not wait for its threads would read results that are not there yet."""
    ran = python(
        """
        import os, sys
        import numpy
        import minpy_jit, minpy_jit.numpy as np

        forked = []

        def fork_once(event, arguments):
            loaded = hasattr(sys.modules.get("mxnet.base"), "_LIB")
            if event == "import" and arguments[0].startswith("mxnet.") and loaded and not forked:
                forked.append(None)
                child = os.fork()
                if child == 0:
                    os._exit(0)
                os.waitpid(child, 0)

        sys.addaudithook(fork_once)
        x = np.ones((500, 500))
        with minpy_jit.config.override(native=False):
            for k in range(12):
                y = numpy.asarray(x * k + x)
                assert (y == k + 1).all(), (k, y)
        assert forked and minpy_jit.flush_log()[-1].executor == "mxnet"
        """,
        OMP_NUM_THREADS="1",
    )
    assert ran.returncode == 0, ran.stderr


def test_executors_are_bounded_and_come_back() -> None:
    with config.override(max_executors=3):
        for _ in range(2):
            for n in range(1, 9):
                x = np.array(numpy.ones(n))
                for _ in range(2):
                    assert float(np.sum(x * 2)) == 2 * n
        assert len(plan_cache.plans) <= 3
        assert minpy_jit.stats()["evictions"] > 0
    assert all(isinstance(hash(key), int) and "multiply" in str(key) for key in plan_cache.plans)
    minpy_jit.clear_caches()
    assert not plan_cache.plans


def test_executor_bytes_are_bounded() -> None:
    with config.override(max_executor_bytes=1 << 16):
        for n in range(1000, 1020):
            x = np.array(numpy.ones(n))
            for _ in range(2):
                (x * 2 + 1).wait_to_read()
        assert len(plan_cache.plans) < 20


def test_one_executor_serves_a_loop_that_replaces_its_state() -> None:
    w = np.array(numpy.ones(100_000))
    for _ in range(20):
        w = w * 0.5 + 1
        w.wait_to_read()
    plan = next(reversed(plan_cache.plans.values()))
    assert [len(s.instances) for s in plan.stages if isinstance(s, NativeStage)] == [1]
    assert w[0].item() == pytest.approx(2, abs=1e-5)


def test_results_that_are_kept_get_executors_of_their_own() -> None:
    x = np.array(numpy.arange(4.0))
    kept = [(x * k + 1).copy() for k in range(10)]
    for k, y in enumerate(kept):
        y.wait_to_read()
        assert y.tolist() == [k * v + 1 for v in range(4)]
    for k, y in enumerate(kept):
        assert y.tolist() == [k * v + 1 for v in range(4)]


def test_a_large_moving_input_is_followed() -> None:
    base = np.array(numpy.arange(200_000.0).reshape(2, -1))
    minpy_jit.flush()
    for k in (0, 1, 0, 1, 1):
        assert float(np.sum(base[k] * 1.0)) == numpy.arange(200_000.0).reshape(2, -1)[k].sum()


def test_importing_and_running_prints_nothing() -> None:
    done = python(
        """
        import minpy_jit.numpy as np
        x = np.ones(3)
        for k in range(3):
            float(np.sum(np.exp(x) * k))
        import minpy_jit
        assert minpy_jit.stats()["executor_runs"] >= 1
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_numpy_and_the_environment_are_left_as_they_were() -> None:
    done = python(
        """
        import os
        before = dict(os.environ)
        import numpy, minpy_jit
        from minpy_jit.exec import mx
        mx.lib()
        assert not hasattr(numpy, "bool")
        assert dict(os.environ) == before
        import mxnet
        assert not mxnet.util.is_np_shape() and not mxnet.util.is_np_array()
        assert mxnet.nd.ones((2, 3)).asnumpy().sum() == 6
        assert mx.engine() == "NaiveEngine" and mx.synchronous()
        """
    )
    assert done.returncode == 0, done.stderr


def test_mxnet_loaded_first_keeps_its_engine() -> None:
    done = python(
        """
        import numpy
        numpy.bool = numpy.bool_
        import mxnet
        mxnet.nd.ones(2).asnumpy()
        import minpy_jit, minpy_jit.numpy as np
        x = np.ones(3)
        for k in range(4):
            assert float(np.sum(x * k)) == 3 * k
        with minpy_jit.mode("eager"):
            assert float(np.sum(np.exp(x * 0))) == 3
        assert "user" in minpy_jit.info()["engine"]
        """
    )
    assert done.returncode == 0, done.stderr


def test_another_engine_on_request() -> None:
    done = python(
        """
        import minpy_jit, minpy_jit.numpy as np
        x = np.ones(3)
        for k in range(4):
            assert float(np.sum(x * k)) == 3 * k
        assert not minpy_jit.info()["synchronous"]
        """,
        MINPY_JIT_ENGINE="threaded",
    )
    assert done.returncode == 0, done.stderr


def test_contexts_are_remembered_and_not_mixed() -> None:
    assert current_context() is cpu(0)
    with cpu(1):
        assert current_context() is cpu(1)
        x = np.ones(3)
    y = np.ones(3)
    assert (x.context, y.context) == (cpu(1), cpu(0))
    assert (x * 2).context is cpu(1)
    assert (x * 2).tolist() == [2, 2, 2]
    with pytest.raises(ContextError, match=r"\[add\].*cpu\(0\), cpu\(1\).*as_in_context"):
        x + y
    assert (x.as_in_context(cpu(0)) + y).context is cpu(0)


def test_a_context_is_restored_after_an_exception() -> None:
    with pytest.raises(KeyError), cpu(2):
        raise KeyError
    assert current_context() is cpu(0)


@pytest.mark.skipif(minpy_jit.num_gpus() > 0, reason="needs a machine without a GPU")
def test_asking_for_a_missing_gpu_is_a_clear_error() -> None:
    for ask in (lambda: set_context(gpu(0)), lambda: gpu(0).__enter__()):
        with pytest.raises(ContextError, match=r"\[gpu\] gpu\(0\) is not available"):
            ask()
    with pytest.raises(TypeError, match=r"\[set_context\]"):
        set_context("cpu")


def test_settings_are_validated_with_the_legal_values() -> None:
    with pytest.raises(ValueError, match=r"mode = 'fast'.*lazy \| eager \| numpy"):
        config.mode = "fast"
    with pytest.raises(ValueError, match=r"MINPY_JIT_MAX_STEPS='none'.*integer"):
        Config({"MINPY_JIT_MAX_STEPS": "none"})
    with pytest.raises(AttributeError, match="no setting 'colour'"):
        config.colour = 1
    assert Config({"MINPY_JIT_VERIFY": "on"}).verify is True
    with pytest.raises(KeyError), config.override(max_steps=7):
        assert config.max_steps == 7
        raise KeyError
    assert config.max_steps == 1000


def test_info_stats_and_log() -> None:
    x = np.array([1.0, 2.0])
    for _ in range(3):
        float(np.sum(np.sin(x)))
    information = minpy_jit.info()
    assert information["mxnet"] == "1.9.1"
    assert information["engine"] == "NaiveEngine"
    record = minpy_jit.flush_log()[-1]
    assert record.cause == "float"
    assert "test_exec.py" in record.where
    assert record.executor == "mxnet"
    assert record.nodes >= 2
    numbers = minpy_jit.stats()
    assert numbers["flushes"] == 3
    assert numbers["replayed"] > 0
    assert numbers["bytes_held"] > 0
    assert "pending, made by" in minpy_jit.why(x * 2)
    assert "a view" in minpy_jit.why(x[1:])
    assert "materialised" in minpy_jit.why(x)
    with pytest.raises(TypeError, match=r"\[why\]"):
        minpy_jit.why(3)
