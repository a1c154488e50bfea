"""Processes: fork and spawn, pools, and interpreters that end with work pending. Each program runs in an interpreter of its own, with
warnings as errors."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

PRELUDE = """
import os, sys, threading, time
import numpy
import minpy_jit, minpy_jit.numpy as np

def step(x):
    return np.tanh(x @ x * 0.01) + 1

def warm():
    x = np.ones((40, 40))
    for _ in range(3):
        x = step(x)
        minpy_jit.flush()
    assert minpy_jit.flush_log()[-1].executor == "mxnet", minpy_jit.flush_log()[-1]
    return x

def child(function):
    # the status of a forked process that runs it
    pid = os.fork()
    if pid == 0:
        try:
            function()
            sys.stdout.flush()
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(3)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


@dataclass(frozen=True)
class Case:
    """A program, and what it prints and returns."""

    code: str
    out: str = ""
    status: int = 0
    errors: str = ""


CASES = {
    "fork after the first flush": Case(
        """
        x = warm()
        y = step(x)
        def look():
            assert numpy.asarray(x).sum() == x.asnumpy().sum()
            assert float(step(x).sum()) == float(y.sum())
            with minpy_jit.mode("eager"):
                assert (x * 2).asnumpy().shape == (40, 40)
            g = minpy_jit.grad(lambda z: np.sum(z * z))
            for _ in range(3):
                assert g(np.ones(3)).tolist() == [2.0] * 3
            print("child", minpy_jit.flush_log()[-1].executor)
        print(child(look))
        for _ in range(3):
            step(x).asnumpy()
        print("parent", minpy_jit.flush_log()[-1].executor)
        """,
        "child reference\n0\nparent mxnet\n",
    ),
    "fork with pending work": Case(
        """
        x = warm()
        y = step(x)
        z = y + 1
        part = z[1:]
        expected = float(step(x * 1).sum()) + 1600
        def look():
            assert abs(float(z.sum()) - expected) < 1e-6 and part.shape == (39, 40)
            part[:] = 0
            assert abs(float(z.sum()) - float(z[0].sum())) < 1e-9
            print("child")
        print(child(look))
        assert abs(float(z.sum()) - expected) < 1e-6
        """,
        "child\n0\n",
    ),
    "fork before mxnet is loaded": Case(
        """
        x = np.ones(3) + 1
        def look():
            warm()
            print(x.tolist())
        print(child(look))
        warm()
        print(x.tolist())
        """,
        "[2.0, 2.0, 2.0]\n0\n[2.0, 2.0, 2.0]\n",
    ),
    "fork while other threads flush": Case(
        """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        x = warm()
        stop = False
        def work():
            w = np.ones((100, 100))
            while not stop:
                w = step(w) * 0.1
                minpy_jit.flush()
        threads = [threading.Thread(target=work, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        for i in range(5):
            y = x + i
            def look():
                assert float(y.sum()) == float((numpy.asarray(x) + i).sum())
                with minpy_jit.mode("eager"):
                    (y * 2).asnumpy()
            assert child(look) == 0
        stop = True
        for thread in threads:
            thread.join()
        print("done")
        """,
        "done\n",
    ),
    "a forked child reads what another thread records": Case(
        """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        box = []
        go, done = threading.Event(), threading.Event()
        def work():
            box.append(np.ones(4) * 3 + 1)
            go.set()
            done.wait()
        thread = threading.Thread(target=work)
        thread.start()
        go.wait()
        print(child(lambda: print(box[0].tolist(), (box[0] + 1).tolist())))
        done.set()
        thread.join()
        print(box[0].tolist())
        """,
        "[4.0, 4.0, 4.0, 4.0] [5.0, 5.0, 5.0, 5.0]\n0\n[4.0, 4.0, 4.0, 4.0]\n",
    ),
    "a fork of a fork": Case(
        """
        x = warm()
        total = float(x.sum())
        def look():
            assert child(lambda: print(float(x.sum()) == total, float((x + 1).sum()) == total + 1600)) == 0
        print(child(look))
        """,
        "True True\n0\n",
    ),
    "exit with pending work": Case("x = warm()\ny = step(x)\nimport builtins\nbuiltins.keep = [y, y + 1]\n"),
    "exit with a status and pending work": Case("x = warm()\np = x + 1\nsys.exit(7)\n", status=7),
    "exit by an exception": Case("x = warm()\np = x + 1\nraise RuntimeError('boom')\n", status=1, errors="RuntimeError: boom\n"),
    "atexit handlers that compute": Case(
        """
        import atexit
        x = np.ones(3)
        y = warm()
        atexit.register(lambda: print(x * 2 + 1, float((y * 0 + 1).sum())))
        """,
        "[3. 3. 3.] 1600.0\n",
    ),
    "mxnet wanted for the first time at exit": Case(
        """
        import atexit
        def late():
            for _ in range(3):
                found = float(np.sum(np.ones(4) * 2))
            print(found, minpy_jit.flush_log()[-1].executor)
        atexit.register(late)
        """,
        "8.0 reference\n",
    ),
    "a finalizer at exit": Case(
        """
        class Noisy:
            def __init__(self):
                self.x = np.ones(3) * 2
            def __del__(self):
                print("del", (self.x + 1).tolist())
        noisy = Noisy()
        y = warm()
        """,
        "del [3.0, 3.0, 3.0]\n",
    ),
    "daemon threads at work at exit": Case(
        """
        x = warm()
        def work():
            w = np.ones((200, 200))
            while True:
                w = step(w) * 0.1
                minpy_jit.flush()
        for _ in range(3):
            threading.Thread(target=work, daemon=True).start()
        time.sleep(0.2)
        print("bye")
        """,
        "bye\n",
    ),
    "a signal handler that computes and exits": Case(
        """
        import signal
        x = warm()
        p = x * 0 + 1
        def handler(number, frame):
            print(float(p.sum()))
            sys.exit(5)
        signal.signal(signal.SIGTERM, handler)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
        """,
        "1600.0\n",
        5,
    ),
    "a pool of forked and of spawned processes": Case(
        """
        import multiprocessing
        def f(a):
            return np.sum(a * 2) + 1
        if __name__ == "__main__":
            x = warm()
            for how in ("fork", "spawn", "forkserver"):
                with multiprocessing.get_context(how).Pool(2) as pool:
                    found = pool.map(f, [np.ones(3) * k for k in range(4)])
                    pool.close()
                    pool.join()
                print(how, [float(v) for v in found], type(found[0]).__name__)
        """,
        "".join(f"{how} [1.0, 7.0, 13.0, 19.0] Scalar\n" for how in ("fork", "spawn", "forkserver")),
    ),
    "an executor of processes and a queue": Case(
        """
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        def f(k):
            g = minpy_jit.grad(lambda z: np.sum(z * z))(np.ones(2) * k)
            return g
        def put(queue):
            queue.put(np.arange(3) + 1)
        if __name__ == "__main__":
            spawn = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(1, mp_context=spawn) as pool:
                print([a.tolist() for a in pool.map(f, range(3))])
            queue = spawn.Queue()
            process = spawn.Process(target=put, args=(queue,))
            process.start()
            print(queue.get().tolist())
            process.join()
            queue.close()
        """,
        "[[0.0, 0.0], [2.0, 2.0], [4.0, 4.0]]\n[1, 2, 3]\n",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_process(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    script = tmp_path / "program.py"
    script.write_text(PRELUDE + textwrap.dedent(case.code), encoding="utf-8")
    # a spawned process imports by name
    path = [str(Path(__file__).resolve().parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    ran = subprocess.run([sys.executable, "-W", "error", script], capture_output=True, text=True, env=environment, check=False)
    assert (ran.returncode, ran.stdout) == (case.status, case.out), ran.stderr
    assert ran.stderr == "" if not case.errors else ran.stderr.endswith(case.errors)
