"""`Solver`: histories, callbacks, best parameters, early stop, checkpoints that resume to the bit, and what a step costs."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit import config
from minpy_jit.interop import mxnet
from minpy_jit.nn import io, layers, optim
from minpy_jit.nn.io import DataBatch, NDArrayIter, PrefetchingIter
from minpy_jit.nn.model import ModelBase
from minpy_jit.nn.modules import BatchNorm, Dropout, FullyConnected, Model, ReLU, Sequential
from minpy_jit.nn.solver import Callback, Checkpoint, EarlyStop, Epoch, Solver, Step

Array = Any
RNG = numpy.random.default_rng(0)
LABELS = RNG.integers(0, 3, 60)
SAMPLES = numpy.eye(3, 6)[LABELS] + 0.3 * RNG.standard_normal((60, 6))


class Net(ModelBase):
    """Batch normalisation and dropout: running statistics and random numbers."""

    def __init__(self, ctx: Any = None) -> None:
        super().__init__(ctx)
        self.add_param("w1", (6, 8)).add_param("b1", (8,), init_rule="constant")
        self.add_param("gamma", (8,), init_rule="constant", init_config={"value": 1.0}).add_param("beta", (8,), init_rule="constant")
        self.add_param("w2", (8, 3)).add_param("b2", (3,), init_rule="constant")
        self.add_aux_param("mean", None).add_aux_param("var", None)

    def forward(self, X: Array, mode: str) -> Array:
        p, aux = self.params, self.aux_params
        h = layers.affine(X, p["w1"], p["b1"])
        h, aux["mean"], aux["var"] = layers.batchnorm(h, p["gamma"], p["beta"], mode, running_mean=aux["mean"], running_var=aux["var"])
        return layers.affine(layers.dropout(layers.relu(h), 0.2, mode), p["w2"], p["b2"])

    def loss(self, predict: Array, y: Array) -> Array:
        return layers.softmax_loss(predict, y)


class Line(ModelBase):
    """Without random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.add_param("w", (6, 3), init_rule="constant").add_param("b", (3,), init_rule="constant")

    def forward(self, X: Array, mode: str) -> Array:
        return layers.affine(X, self.params["w"], self.params["b"])

    def loss(self, predict: Array, y: Array) -> Array:
        return layers.softmax_loss(predict, y)


class Count(Callback):
    """How often each step ran, compiled and recorded."""

    def __init__(self) -> None:
        self.counts: list[tuple[int, ...]] = []

    def on_step(self, solver: Solver, step: Step) -> None:
        found = minpy_jit.stats()
        self.counts.append(tuple(found[k] for k in ("executor_runs", "flushes", "compiles", "recorded", "host_steps")))
        minpy_jit.reset_stats()


@pytest.fixture(autouse=True)
def seeded() -> None:
    np.random.seed(0)


def batches(size: int = 15, shuffle: bool = True, **arguments: Any) -> NDArrayIter:
    return NDArrayIter(SAMPLES, LABELS, batch_size=size, shuffle=shuffle, **arguments)


def solver_of(model: ModelBase | None = None, train: Any = None, test: Any = "same", **arguments: Any) -> Solver:
    test = batches(20, shuffle=False) if isinstance(test, str) else test
    settings = {"verbose": False, "num_epochs": 3, "optim_config": {"learning_rate": 0.1}, **arguments}
    return Solver(model or Net(), train or batches(), test, **settings)


# -- what it computes ----------------------------------------------------------------------------------------------------------------------
def test_training_is_gradient_descent() -> None:
    solver = solver_of(Line(), batches(shuffle=False), None, num_epochs=2, train_acc_num_samples=0)
    solver.train()
    w, b, losses = numpy.zeros((6, 3)), numpy.zeros(3), []
    for k in [*range(0, 60, 15)] * 2:
        x, y = SAMPLES[k : k + 15], numpy.eye(3)[LABELS[k : k + 15]]
        p = numpy.exp(x @ w + b)
        p /= p.sum(axis=1, keepdims=True)
        losses.append(-numpy.log((p * y).sum(axis=1)).mean())
        w, b = w - 0.1 * x.T @ (p - y) / 15, b - 0.1 * (p - y).mean(axis=0)
    numpy.testing.assert_allclose(solver.loss_history, losses, rtol=1e-5)
    numpy.testing.assert_allclose(solver.model.params["w"].asnumpy(), w, rtol=1e-4, atol=1e-6)
    numpy.testing.assert_allclose(solver.model.params["b"].asnumpy(), b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("mode", ["eager", "numpy"])
def test_training_in_another_mode(mode: str) -> None:
    def losses() -> list[float]:
        np.random.seed(5)
        solver = solver_of(num_epochs=2, update_rule="adam", clip_norm=1.0)
        solver.train()
        return solver.loss_history

    expected = losses()
    with minpy_jit.mode(mode):
        numpy.testing.assert_allclose(losses(), expected, rtol=1e-4)


@pytest.mark.parametrize("rule", optim.RULES)
def test_every_rule_learns(rule: str) -> None:
    rates = {"sgd": 0.5, "adam": 0.05, "adamw": 0.05, "rmsprop": 0.02, "adagrad": 0.2}
    solver = solver_of(update_rule=rule, optim_config={"learning_rate": rates.get(rule, 0.05)}, num_epochs=8, clip_norm=5.0)
    solver.train()
    assert solver.best_val_acc > 0.9
    assert solver.loss_history[-1] < solver.loss_history[0]


def test_histories() -> None:
    solver = solver_of(num_epochs=4)
    assert solver.num_iterations == 16
    solver.train()
    assert len(solver.loss_history) == 16 == solver.iteration
    assert len(solver.train_acc_history) == len(solver.val_acc_history) == 4
    assert all(isinstance(loss, float) for loss in solver.loss_history)
    assert (solver.epoch, solver.batch) == (4, 4)


def test_the_model_ends_with_its_best_parameters() -> None:
    class Fading(Callback):
        kept: Any = None

        def on_epoch(self, solver: Solver, epoch: Epoch) -> None:
            if epoch.best:
                self.kept = {name: value.asnumpy() for name, value in solver.model.params.items()}
            if epoch.epoch == 2:
                solver.model.params = {name: value * 0 for name, value in solver.model.params.items()}

    fading = Fading()
    solver = solver_of(num_epochs=3, callbacks=[fading], update_rule="adam", optim_config={"learning_rate": 0.05})
    solver.train()
    assert solver.best_epoch == 2
    assert solver.val_acc_history[2] < solver.val_acc_history[1] == solver.best_val_acc  # type: ignore[operator]
    for name, value in fading.kept.items():
        assert (solver.model.params[name].asnumpy() == value).all()
        assert (solver.best_params[name].asnumpy() == value).all()
    assert solver.check_accuracy(solver.test_dataiter) == solver.best_val_acc


def test_the_learning_rate_decays_after_each_epoch() -> None:
    solver = solver_of(num_epochs=3, lr_decay=0.5, optim_config={"learning_rate": 0.8})
    solver.train()
    assert {c["learning_rate"] for c in solver.optim_configs.values()} == {0.1}


def test_a_schedule_counts_updates() -> None:
    asked = []

    def schedule(updates: int) -> float:
        asked.append(updates)
        return 0.1

    solver_of(Line(), optim_config={"learning_rate": schedule}, num_epochs=1, train_acc_num_samples=0).train()
    # for each of two parameters
    assert asked == [0, 0, 1, 1, 2, 2, 3, 3]


def test_gradients_are_clipped_together() -> None:
    lengths = []

    class Watch(Callback):
        needs_gradients = True

        def on_step(self, solver: Solver, step: Step) -> None:
            assert step.gradients is not None
            lengths.append(float(optim.global_norm(step.gradients)))
            moved = [float(np.sum((solver.model.params[n] - p) ** 2)) for n, p in self.before.items()]
            assert sum(moved) ** 0.5 == pytest.approx(min(lengths[-1], 0.3), rel=1e-4)
            self.before = dict(solver.model.params)

        def on_train_begin(self, solver: Solver) -> None:
            self.before = dict(solver.model.params)

    solver_of(clip_norm=0.3, optim_config={"learning_rate": 1.0}, num_epochs=2, callbacks=[Watch()]).train()
    assert max(lengths) > 0.3


def test_regression() -> None:
    class Regression(Line):
        def loss(self, predict: Array, y: Array) -> Array:
            return layers.l2_loss(predict, y)

    targets = SAMPLES @ RNG.standard_normal((6, 3))
    train = NDArrayIter(SAMPLES, targets, batch_size=16)
    solver = solver_of(Regression(), train, NDArrayIter(SAMPLES, targets, batch_size=60), task_type="regression", num_epochs=40)
    solver.train()
    w, b = (solver.model.params[n].asnumpy() for n in ("w", "b"))
    expected = ((SAMPLES @ w + b - targets) ** 2).sum(axis=1).mean()
    assert solver.val_acc_history[-1] == pytest.approx(expected, rel=1e-3)
    # the last of these batches is filled up with samples that do not count
    assert solver.check_accuracy(train) == pytest.approx(solver.check_accuracy(solver.test_dataiter), rel=1e-5)
    assert solver.best_val_acc == min(v for v in solver.val_acc_history if v is not None)
    assert solver.best_val_acc < 0.05 * solver.val_acc_history[0]  # type: ignore[operator]


# -- accuracy ------------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [7, 60])
@pytest.mark.parametrize("one_hot", [False, True])
def test_accuracy_counts_every_sample_once(size: int, one_hot: bool) -> None:
    solver = solver_of(Line())
    solver.init()
    w = numpy.random.default_rng(1).standard_normal((6, 3))
    solver.model.params["w"] = np.array(w.astype("float32"))
    expected = ((SAMPLES @ w).argmax(axis=1) == LABELS).mean()
    assert 0 < expected < 1
    labels = numpy.eye(3)[LABELS] if one_hot else LABELS
    assert solver.check_accuracy(NDArrayIter(SAMPLES, labels, batch_size=size)) == pytest.approx(expected, rel=1e-12)
    assert 0 <= solver.check_accuracy(NDArrayIter(SAMPLES, labels, batch_size=size), num_samples=20) * 20 <= 20
    assert solver.check_accuracy(NDArrayIter(SAMPLES, labels.astype("float32"), batch_size=size)) == pytest.approx(expected, rel=1e-12)
    if not one_hot:
        assert solver.check_accuracy(NDArrayIter(SAMPLES, labels[:, None], batch_size=size)) == pytest.approx(expected, rel=1e-12)


def test_an_iterator_without_samples() -> None:
    empty = batches()
    empty.reset = lambda: None  # type: ignore[method-assign]
    list(empty)
    solver = solver_of(Line())
    solver.init()
    with pytest.raises(ValueError, match=r"\[check_accuracy\] the iterator gave no samples"):
        solver.check_accuracy(empty)


# -- what is shown -------------------------------------------------------------------------------------------------------------------------
def test_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    solver_of(verbose=True, print_every=3, num_epochs=2).train()
    lines = capsys.readouterr().out.splitlines()
    assert [re.sub(r"[\d.]+\d\.?$", "#", re.sub(r"\d\.\d{4}\b", "#", line)) for line in lines] == [
        "(Iteration 1 / 8) loss: #",
        "(Iteration 4 / 8) loss: #",
        "(Epoch 1 / 2) train acc: #, val acc: #, time: #",
        "(Iteration 7 / 8) loss: #",
        "(Epoch 2 / 2) train acc: #, val acc: #, time: #",
    ]


def test_the_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    solver_of(verbose=True, progress=True, print_every=2, num_epochs=2).train()
    printed = capsys.readouterr()
    assert "8/8" in printed.err and "loss=" in printed.err
    assert printed.out.count("(Epoch") == 2
    solver_of(num_epochs=1).train()
    assert capsys.readouterr() == ("", "")


def test_the_progress_bar_needs_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(ImportError, match=r"\[Solver\] progress=True needs tqdm: pip install tqdm"):
        solver_of(progress=True)


def test_callbacks_are_called_in_order_and_told_what_happened() -> None:
    told: list[Any] = []

    class Listener(Callback):
        def on_train_begin(self, solver: Solver) -> None:
            told.append("begin")

        def on_step(self, solver: Solver, step: Step) -> None:
            assert step.gradients is None and step.seconds > 0
            told.append((step.iteration, step.epoch, step.batch, step.loss))

        def on_epoch(self, solver: Solver, epoch: Epoch) -> None:
            assert epoch.train is not None and epoch.validation is None and epoch.seconds > 0
            told.append(epoch.epoch)

        def on_train_end(self, solver: Solver) -> None:
            told.append("end")

    solver = solver_of(train=batches(30), test=None, num_epochs=2, callbacks=[Listener()])
    solver.train()
    assert [t[:3] if isinstance(t, tuple) else t for t in told] == ["begin", (1, 1, 1), (2, 1, 2), 1, (3, 2, 1), (4, 2, 2), 2, "end"]
    assert [float(t[3]) for t in told if isinstance(t, tuple)] == solver.loss_history
    assert solver.val_acc_history == [None, None]


def test_a_callback_that_raises_ends_the_training_and_the_others_know() -> None:
    class Raising(Callback):
        ended = False

        def on_step(self, solver: Solver, step: Step) -> None:
            if step.iteration == 3:
                raise KeyboardInterrupt

        def on_train_end(self, solver: Solver) -> None:
            self.ended = True

    raising = Raising()
    solver = solver_of(callbacks=[raising], num_epochs=2)
    with pytest.raises(KeyboardInterrupt):
        solver.train()
    assert raising.ended and solver.iteration == 3
    solver.callbacks.remove(raising)
    solver.train()
    assert solver.iteration == 8 == len(solver.loss_history)


def test_early_stop() -> None:
    solver = solver_of(Line(), optim_config={"learning_rate": 0.0}, num_epochs=20, patience=3)
    solver.train()
    assert (solver.best_epoch, solver.epoch) == (1, 4)
    assert any(isinstance(c, EarlyStop) for c in solver.callbacks)


def test_a_solver_trains_on() -> None:
    solver = solver_of(num_epochs=2)
    solver.train()
    solver.train()
    assert solver.iteration == 16
    assert len(solver.val_acc_history) == 4


# -- iterators, contexts -------------------------------------------------------------------------------------------------------------------
def test_samples_that_roll_over_are_trained_on_once() -> None:
    seen: list[int] = []

    class Watch(Callback):
        def on_step(self, solver: Solver, step: Step) -> None:
            seen.extend(solver.train_dataiter.getindex().tolist())

    train = NDArrayIter(SAMPLES[:10], LABELS[:10], batch_size=4, last_batch_handle="roll_over")
    solver_of(Line(), train, num_epochs=4, callbacks=[Watch()]).train()
    # two epochs of three batches and two of two
    assert seen == [*range(10), *range(10)] * 2


def test_mxnets_iterators(tmp_path: Path) -> None:
    numpy.savetxt(tmp_path / "data.csv", SAMPLES, delimiter=",")
    numpy.savetxt(tmp_path / "label.csv", LABELS, fmt="%d")
    files = {"data_csv": str(tmp_path / "data.csv"), "label_csv": str(tmp_path / "label.csv")}
    train, test = (io.CSVIter(**files, data_shape=(6,), label_shape=(1,), batch_size=20) for _ in range(2))

    class Flat(Net):
        def loss(self, predict: Array, y: Array) -> Array:
            return layers.softmax_loss(predict, y.reshape(-1))

    solver = solver_of(
        Flat(), train, test, num_epochs=6, update_rule="adam", optim_config={"learning_rate": 0.05}, train_acc_num_samples=20
    )
    assert solver.num_iterations is None
    solver.train()
    assert len(solver.loss_history) == 18
    assert solver.best_val_acc > 0.9


def test_a_prefetching_iterator_changes_nothing() -> None:
    def trained(wrap: Any) -> list[float]:
        np.random.seed(3)
        train = wrap(batches())
        solver = solver_of(train=train, num_epochs=2)
        solver.train()
        return solver.loss_history

    with config.override(deterministic=True):
        assert trained(PrefetchingIter) == trained(lambda b: b)


def test_the_context() -> None:
    there = minpy_jit.cpu(1)
    seen = set()

    class Watch(Callback):
        def on_step(self, solver: Solver, step: Step) -> None:
            seen.update({step.loss.context, *[p.context for p in solver.model.params.values()]})

    solver = solver_of(ctx=there, num_epochs=1, callbacks=[Watch()], update_rule="adam")
    solver.train()
    assert seen == {there}
    assert {a.context for a in solver.model.aux_params.values()} == {there}
    assert minpy_jit.current_context() == minpy_jit.cpu(0)
    assert solver_of(Net(ctx=there)).ctx == there


# -- what a step costs ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_a_step_is_one_run_and_nothing_is_compiled_after_the_second(rule: str) -> None:
    count = Count()
    rates = optim.warmup_schedule(optim.cosine_schedule(0.1, 30), 5)
    minpy_jit.clear_caches()
    minpy_jit.reset_stats()
    solver_of(
        update_rule=rule, optim_config={"learning_rate": rates}, num_epochs=8, callbacks=[count], train_acc_num_samples=0, test=None
    ).train()
    assert len(count.counts) == 32
    # the third run of a program may bind what the second compiled; then every step is one run of one executor and nothing is recorded
    assert count.counts[2:] == [(1, 1, 0, 0, 0)] * 30


def test_losses_are_read_when_somebody_looks() -> None:
    looked = []

    class Look(Callback):
        def on_step(self, solver: Solver, step: Step) -> None:
            if step.iteration % 4 == 0:
                looked.append((step.iteration, float(step.loss)))

    solver = solver_of(num_epochs=2, train_acc_num_samples=0, test=None, callbacks=[Look()])
    solver.train()
    # two of them are still where the device left them
    assert len(solver._losses) == 6
    assert [solver.loss_history[k - 1] for k, _ in looked] == [loss for _, loss in looked]


# -- checkpoints ---------------------------------------------------------------------------------------------------------------------------
class StopAt(Callback):
    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def on_step(self, solver: Solver, step: Step) -> None:
        if step.iteration == self.iteration:
            solver.stop()


def everything(solver: Solver) -> dict[str, Any]:
    found: dict[str, Any] = {"losses": solver.loss_history, "train": solver.train_acc_history, "val": solver.val_acc_history}
    found |= {"counts": (solver.iteration, solver.epoch, solver.batch, solver.best_epoch, solver.best_val_acc)}
    groups = {"param": solver.model.params, "aux": solver.model.aux_params, "best": solver.best_params}
    groups |= {f"optim {name}": {k: v for k, v in c.items() if hasattr(v, "shape")} for name, c in solver.optim_configs.items()}
    for group, values in groups.items():
        for name, value in values.items():
            found[f"{group} {name}"] = value.asnumpy().tobytes()
    found |= {f"settings {name}": {k: v for k, v in c.items() if not hasattr(v, "shape")} for name, c in solver.optim_configs.items()}
    found["random"] = numpy.random.random_sample(4).tolist()
    return found


@pytest.mark.parametrize("stop", [1, 6, 8, 11])
@pytest.mark.parametrize("rule", ["sgd_momentum", "adam", "rmsprop"])
def test_training_goes_on_to_the_bit(tmp_path: Path, stop: int, rule: str) -> None:
    path = tmp_path / "checkpoint.npz"

    def solver(seed: int, **arguments: Any) -> Solver:
        np.random.seed(seed)
        train = NDArrayIter(SAMPLES, LABELS, batch_size=16, shuffle=True, last_batch_handle="roll_over")
        return solver_of(train=train, num_epochs=4, update_rule=rule, lr_decay=0.9, clip_norm=1.0, train_acc_num_samples=30, **arguments)

    with config.override(deterministic=True):
        whole = solver(1)
        whole.train()
        expected = everything(whole)
        solver(1, checkpoint=path, checkpoint_every=1, callbacks=[StopAt(stop)]).train()
        again = solver(99, checkpoint=path, checkpoint_every=1, resume=True)
        again.train()
        found = everything(again)
    assert found.keys() == expected.keys()
    assert [key for key in expected if found[key] != expected[key]] == []


def test_training_goes_on_between_epochs(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    with config.override(deterministic=True):
        np.random.seed(1)
        whole = solver_of(num_epochs=4)
        whole.train()
        expected = everything(whole)
        np.random.seed(1)
        first = solver_of(num_epochs=2, checkpoint=path)
        first.train()
        assert any(isinstance(c, Checkpoint) for c in first.callbacks)
        loaded = solver_of()
        loaded.load_checkpoint(path)
        assert (loaded.best_epoch, loaded.best_val_acc) == (first.best_epoch, first.best_val_acc) != (0, 0.0)
        for ours, theirs in ((loaded.best_params, first.best_params), (loaded.best_aux_params, first.best_aux_params)):
            assert {n: v.tolist() for n, v in ours.items()} == {n: v.tolist() for n, v in theirs.items()} != {}
        np.random.seed(77)
        again = solver_of(num_epochs=4, checkpoint=path, resume=True)
        again.train()
        assert everything(again) == expected


class Die(Callback):
    def on_step(self, solver: Solver, step: Step) -> None:
        if step.iteration == 7:
            os._exit(3)


def trained(seed: int, path: Path, callbacks: tuple[Callback, ...] = ()) -> str:
    """The bits that training ends with, from a checkpoint if there is one."""
    with config.override(deterministic=True):
        np.random.seed(seed)
        train = PrefetchingIter(batches())
        solver = solver_of(train=train, update_rule="adam", checkpoint=path, checkpoint_every=5, resume=True, callbacks=callbacks)
        solver.train()
        train.close()
    bits = [value.asnumpy().tobytes().hex() for value in solver.model.params.values()]
    return " ".join([*[loss.hex() for loss in solver.loss_history], *bits])


def test_a_process_that_dies_is_followed_by_another(tmp_path: Path) -> None:
    here = Path(__file__).resolve()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parent.parent), str(here.parent)])}
    program = f"import conftest, pathlib, {here.stem} as t; path = pathlib.Path({str(tmp_path / 'checkpoint.npz')!r})\n"

    def run(call: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program + call]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)

    assert run("t.trained(1, path, (t.Die(),))").returncode == 3
    again = run("print(t.trained(2, path))")
    assert again.returncode == 0, again.stderr
    assert again.stdout.strip() == trained(1, tmp_path / "other.npz")


class Branching(Model):
    """Parameters made at the first call, running statistics, and branches drawn from Python's random numbers."""

    def __init__(self) -> None:
        super().__init__(loss="softmax_loss")
        self.first = Sequential(FullyConnected(8), BatchNorm(fix_gamma=False), ReLU(), Dropout(0.2))
        self.block, self.last = FullyConnected(8), FullyConnected(3)

    def forward(self, X: Array, mode: str = "training") -> Array:
        h = self.first(X)
        return self.last(h + layers.tanh(self.block(h)) if mode == "inference" or random.random() < 0.5 else h)


def test_a_model_of_modules_goes_on_to_the_bit(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"

    def solver(seed: int, **arguments: Any) -> Solver:
        random.seed(seed)
        np.random.seed(seed)
        return solver_of(Branching(), update_rule="adam", num_epochs=3, **arguments)

    with config.override(deterministic=True):
        whole = solver(1)
        whole.train()
        expected = everything(whole)
        solver(1, checkpoint=path, checkpoint_every=1, callbacks=[StopAt(6)]).train()
        again = solver(99, checkpoint=path, checkpoint_every=1, resume=True)
        again.train()
        assert everything(again) == expected


def test_a_schedule_is_that_of_the_arguments_after_resuming(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    arguments: dict[str, Any] = {"num_epochs": 2, "optim_config": {"learning_rate": optim.cosine_schedule(0.1, 8)}, "checkpoint": path}
    solver_of(Line(), callbacks=[StopAt(5)], checkpoint_every=1, **arguments).train()
    again = solver_of(Line(), resume=True, **arguments)
    again.train()
    assert again.iteration == 8
    assert {c["t"] for c in again.optim_configs.values()} == {8}
    assert all(callable(c["learning_rate"]) for c in again.optim_configs.values())


@pytest.mark.parametrize("wrap", [lambda source: source, PrefetchingIter], ids=["plain", "prefetching"])
def test_mxnets_iterators_are_moved_to_where_they_were(tmp_path: Path, wrap: Any) -> None:
    mx = mxnet()
    path = tmp_path / "checkpoint.npz"

    def solver(**arguments: Any) -> Solver:
        train = mx.io.NDArrayIter(mx.nd.from_numpy(SAMPLES.astype("float32")), mx.nd.from_numpy(LABELS.astype("float32")), batch_size=15)
        return solver_of(Line(), wrap(train), num_epochs=2, train_acc_num_samples=0, checkpoint=path, checkpoint_every=1, **arguments)

    with config.override(deterministic=True):
        whole = solver()
        whole.train()
        path.unlink()
        solver(callbacks=[StopAt(6)]).train()
        again = solver(resume=True)
        again.train()
        assert again.loss_history == whole.loss_history


def test_a_checkpoint_that_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    solver_of(Line(), num_epochs=1, checkpoint=path).train()
    with pytest.raises(ValueError, match=r"is of another model: parameter 'w1' has shape None in it and \(6, 8\) here"):
        solver_of(Net()).load_checkpoint(path)
    numpy.savez(tmp_path / "other.npz", w=numpy.zeros(3))
    with pytest.raises(ValueError, match=r"other\.npz is no checkpoint"):
        solver_of(Net()).load_checkpoint(tmp_path / "other.npz")
    with pytest.raises(FileNotFoundError):
        solver_of(Net()).load_checkpoint(tmp_path / "none.npz")
    # where there is none yet, training begins
    fresh = solver_of(Line(), num_epochs=1, checkpoint=tmp_path / "none.npz", resume=True)
    fresh.train()
    assert fresh.iteration == 4


def test_state_that_a_checkpoint_cannot_hold(tmp_path: Path) -> None:
    def rule(w: Array, dw: Array, config: Any = None) -> tuple[Array, Any]:
        config["seen"] = [*config.get("seen", []), 1]
        return w - 0.1 * dw, config

    solver = solver_of(Line(), update_rule=rule, num_epochs=1, checkpoint=tmp_path / "checkpoint.npz")
    with pytest.raises(TypeError, match=r"\[save_checkpoint\] the update rule keeps 'seen', a list; a checkpoint holds arrays, numbers"):
        solver.train()


# -- arguments -----------------------------------------------------------------------------------------------------------------------------
def test_illegal_arguments() -> None:
    with pytest.raises(ValueError, match=r"\[Solver\] unknown arguments: epochs, batch"):
        solver_of(epochs=3, batch=2)
    with pytest.raises(ValueError, match=r"\[Solver\] task_type = 'ranking'; legal values: 'classification', 'regression'"):
        solver_of(task_type="ranking")
    with pytest.raises(ValueError, match=r"\[optim\] no update rule 'lbfgs'"):
        solver_of(update_rule="lbfgs")
    with pytest.raises(ValueError, match=r"\[Solver\] init_rule = 'zeros'; legal values: xavier"):
        solver_of(init_rule="zeros")
    with pytest.raises(ValueError, match=r"\[Solver\] resume=True needs checkpoint="):
        solver_of(resume=True)
    with pytest.raises(ValueError, match=r"\[Solver\] patience= has nothing to go by; give a test_dataiter"):
        solver_of(test=None, train_acc_num_samples=0, patience=2)
    with pytest.raises(ValueError, match=r"\[Solver\] lr_decay and a schedule both change the learning rate"):
        solver_of(lr_decay=0.5, optim_config={"learning_rate": optim.constant_schedule(0.1)})


def test_a_model_of_several_inputs() -> None:
    class Difference(Line):
        def forward_batch(self, batch: DataBatch, mode: str) -> Array:
            return self.forward(batch.data[0] - batch.data[1], mode)

    train = NDArrayIter([SAMPLES + 5, numpy.full_like(SAMPLES, 5.0)], LABELS, batch_size=20)
    solver = solver_of(Difference(), train, train, num_epochs=10, optim_config={"learning_rate": 0.5})
    solver.train()
    assert solver.best_val_acc > 0.9
