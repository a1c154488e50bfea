"""`Solver(visualize=True, summaries_dir=…)`: its curves, read back by TensorBoard's own reader, and what they cost."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
from tensorboard.backend.event_processing import event_accumulator
from test_nn_solver import LABELS, SAMPLES, Count, Line

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit import config
from minpy_jit.nn import layers, optim
from minpy_jit.nn.io import NDArrayIter
from minpy_jit.nn.solver import Callback, Solver, Step

Array = Any
NORMS = ["gradient_norm/b", "gradient_norm/w"]


def solver_of(folder: Path | None, seed: int = 0, shuffle: bool = True, **arguments: Any) -> Solver:
    np.random.seed(seed)
    train, test = NDArrayIter(SAMPLES, LABELS, batch_size=15, shuffle=shuffle), NDArrayIter(SAMPLES, LABELS, batch_size=20)
    settings = {"verbose": False, "num_epochs": 3, "optim_config": {"learning_rate": 0.1}, **arguments}
    return Solver(Line(), train, settings.pop("test", test), visualize=folder is not None, summaries_dir=folder, **settings)


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag -> (step, value), as TensorBoard reads the directory."""
    found = event_accumulator.EventAccumulator(str(folder), size_guidance={"scalars": 0})
    found.Reload()
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_the_curves_are_those_of_the_training(tmp_path: Path) -> None:
    solver = solver_of(tmp_path / "new" / "folder", shuffle=False)
    solver.train()
    found = curves(tmp_path / "new" / "folder")
    assert sorted(found) == ["accuracy/train", "accuracy/validation", *NORMS, "loss", "step_seconds"]
    assert found["loss"] == [(k, pytest.approx(v)) for k, v in enumerate(solver.loss_history)]
    for tag, history in (("accuracy/train", solver.train_acc_history), ("accuracy/validation", solver.val_acc_history)):
        assert found[tag] == [(4 * k + 4, pytest.approx(v)) for k, v in enumerate(history)]
    assert [s for s, _ in found["step_seconds"]] == list(range(12)) and all(v > 0 for _, v in found["step_seconds"])
    # the norms, by the formula
    w, b = numpy.zeros((6, 3)), numpy.zeros(3)
    for step, k in enumerate([*range(0, 60, 15)] * 3):
        x, y = SAMPLES[k : k + 15], numpy.eye(3)[LABELS[k : k + 15]]
        p = numpy.exp(x @ w + b)
        gw, gb = x.T @ (p / p.sum(axis=1, keepdims=True) - y) / 15, (p / p.sum(axis=1, keepdims=True) - y).mean(axis=0)
        assert found["gradient_norm/w"][step] == (step, pytest.approx(numpy.linalg.norm(gw), rel=1e-4))
        assert found["gradient_norm/b"][step] == (step, pytest.approx(numpy.linalg.norm(gb), rel=1e-4))
        w, b = w - 0.1 * gw, b - 0.1 * gb


def test_norms_are_those_before_clipping(tmp_path: Path) -> None:
    whole, clipped = tmp_path / "whole", tmp_path / "clipped"
    solver_of(whole, num_epochs=1).train()
    solver_of(clipped, num_epochs=1, clip_norm=1e-3).train()
    first, second = curves(whole), curves(clipped)
    assert [first[n][0] for n in NORMS] == [second[n][0] for n in NORMS]
    # ... which were clipped all the same
    assert second["loss"][-1][1] - second["loss"][0][1] != first["loss"][-1][1] - first["loss"][0][1]


def test_regression(tmp_path: Path) -> None:
    class Error(Line):
        def loss(self, predict: Array, y: Array) -> Array:
            return layers.l2_loss(predict, y)

    np.random.seed(0)
    train = NDArrayIter(SAMPLES, numpy.eye(3)[LABELS], batch_size=15)
    settings: dict[str, Any] = {"verbose": False, "num_epochs": 2, "train_acc_num_samples": 0}
    solver = Solver(Error(), train, train, task_type="regression", visualize=True, summaries_dir=tmp_path, **settings)
    solver.train()
    found = curves(tmp_path)
    assert found["mean_loss/validation"] == [(4 * k + 4, pytest.approx(v)) for k, v in enumerate(solver.val_acc_history)]
    assert "mean_loss/train" not in found


def test_a_step_is_one_run_with_curves_as_without(tmp_path: Path) -> None:
    counts = []
    for folder in (None, tmp_path):
        count = Count()
        rates = optim.warmup_schedule(optim.cosine_schedule(0.1, 30), 5)
        settings: dict[str, Any] = {"optim_config": {"learning_rate": rates}, "train_acc_num_samples": 0, "test": None}
        minpy_jit.clear_caches()
        minpy_jit.reset_stats()
        solver_of(folder, num_epochs=10, callbacks=[count], **settings).train()
        counts.append(count.counts)
    without, with_curves = counts
    # 10 epochs of 4 batches; 4 numbers of each: the writer has written twice along the way
    assert len(with_curves) == 40
    assert with_curves[2:] == without[2:] == [(1, 1, 0, 0, 0)] * 38


def test_values_are_read_when_later_steps_are_there(tmp_path: Path) -> None:
    read: list[int] = []

    class Look(Callback):
        def on_step(self, solver: Solver, step: Step) -> None:
            (log,) = (c for c in solver.callbacks if hasattr(c, "summaries_dir"))
            read.append(step.iteration - len(log._unread))  # type: ignore[attr-defined]

    solver_of(tmp_path, num_epochs=2, callbacks=[Look()]).train()
    assert read == [0, 0, 1, 2, 3, 4, 5, 6]


class StopAt(Callback):
    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def on_step(self, solver: Solver, step: Step) -> None:
        if step.iteration == self.iteration:
            solver.stop()


# an epoch has 4 batches: killed in an epoch, at its last batch, after its end; a checkpoint of each step, and of each epoch
@pytest.mark.parametrize(("every", "killed"), [(1, 6), (3, 8), (4, 9), (None, 6), (None, 9)])
def test_training_that_goes_on_from_a_checkpoint_goes_on_with_its_curves(tmp_path: Path, every: int | None, killed: int) -> None:
    whole, parts, path = tmp_path / "whole", tmp_path / "parts", tmp_path / "checkpoint.npz"
    with config.override(deterministic=True):
        solver_of(whole, 1).train()
        solver_of(parts, 1, checkpoint=path, checkpoint_every=every, callbacks=[StopAt(killed)]).train()
        before = curves(parts)
        assert len(before["loss"]) == killed
        solver_of(parts, 99, checkpoint=path, checkpoint_every=every, resume=True).train()
    expected, found = curves(whole), curves(parts)
    seconds = found.pop("step_seconds")
    assert [s for s, _ in seconds] == [s for s, _ in expected.pop("step_seconds")]
    assert found == expected
    assert len(list(parts.iterdir())) == 2


def test_a_checkpoint_finds_on_disk_what_came_before_it(tmp_path: Path) -> None:
    """As a process that is killed leaves it."""
    seen = []

    class Read(Callback):
        def on_checkpoint(self, solver: Solver) -> None:
            seen.append((solver.iteration, len(curves(tmp_path)["loss"])))

    solver_of(tmp_path, num_epochs=2, checkpoint=tmp_path / "checkpoint.npz", checkpoint_every=3, callbacks=[Read()]).train()
    assert seen == [(3, 3), (6, 6)]


def test_training_anew_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    solver_of(tmp_path, num_epochs=3).train()
    solver = solver_of(tmp_path, 5, num_epochs=2)
    solver.train()
    assert curves(tmp_path)["loss"] == [(k, pytest.approx(v)) for k, v in enumerate(solver.loss_history)]
    # and on
    solver.train()
    assert curves(tmp_path)["loss"] == [(k, pytest.approx(v)) for k, v in enumerate(solver.loss_history)]
    assert [s for s, _ in curves(tmp_path)["accuracy/train"]] == [4, 8, 12, 16]


def test_an_exception_leaves_the_curves_up_to_it(tmp_path: Path) -> None:
    class Raising(Callback):
        def on_step(self, solver: Solver, step: Step) -> None:
            if step.iteration == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        solver_of(tmp_path, callbacks=[Raising()]).train()
    assert [s for s, _ in curves(tmp_path)["loss"]] == [0, 1, 2]


@pytest.mark.parametrize("mode", ["eager", "numpy"])
def test_in_another_mode(tmp_path: Path, mode: str) -> None:
    lazy, other = tmp_path / "lazy", tmp_path / "other"
    solver_of(lazy, num_epochs=1).train()
    with minpy_jit.mode(mode):
        solver_of(other, num_epochs=1).train()
    expected, found = curves(lazy), curves(other)
    for tag in ("loss", *NORMS):
        assert [s for s, _ in found[tag]] == [s for s, _ in expected[tag]]
        numpy.testing.assert_allclose([v for _, v in found[tag]], [v for _, v in expected[tag]], rtol=1e-4)


def test_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"\[Solver\] visualize=True needs summaries_dir=, the directory"):
        Solver(Line(), NDArrayIter(SAMPLES, LABELS), visualize=True)
    # a directory alone is where it would go
    Solver(
        Line(), NDArrayIter(SAMPLES, LABELS, batch_size=30), visualize=False, summaries_dir=tmp_path, verbose=False, num_epochs=1
    ).train()
    assert not list(tmp_path.iterdir())
    for name in [n for n in sys.modules if n.partition(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ImportError, match=r"\[visualization\] needs the package tensorboard .*; pip install 'minpy-jit\[tensorboard\]'"):
        solver_of(tmp_path)
