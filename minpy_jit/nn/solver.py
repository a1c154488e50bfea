"""`Solver`: trains a model on batches, and can be interrupted: a checkpoint holds all that the next step depends on.

What happens along the way is done by callbacks: printing, the progress bar, checkpoints, early stopping; `callbacks=` adds others. One step
is one flush: the loss, the auxiliary parameters and the update are computed together, and nothing waits for the loss to be looked at.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit.visualization import writer

from . import init, layers, optim
from .model import ModelBase, write_arrays

Array = Any

TASKS = ("classification", "regression")
# a loss is read when so many later ones are there, so that reading waits for nothing; each that is held keeps the memory of its step's
# results from being used again
_UNREAD = 2
# attributes of a solver that a checkpoint holds as they are
_NUMBERS = ("iteration", "epoch", "batch", "best_epoch", "best_val_acc", "train_acc_history", "val_acc_history", "_in_epoch")


@dataclass(frozen=True, slots=True)
class Step:
    """One update.

    Attributes:
        iteration: updates so far, this one included.
        epoch: the number of the epoch, from 1.
        batch: the number of the batch in its epoch, from 1.
        loss: lazy; looking at it after the step waits for no computation of its own.
        gradients: by parameter, where a callback asked for them (`needs_gradients`), else None.
        seconds: how long the step took in Python.
    """

    iteration: int
    epoch: int
    batch: int
    loss: Array
    gradients: dict[str, Array] | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Epoch:
    """The end of an epoch: accuracies (mean losses for regression), None where there was nothing to check on."""

    epoch: int
    train: float | None
    validation: float | None
    best: bool
    seconds: float


class Callback:
    """What a `Solver` calls along the way; a subclass overrides what it needs. `solver.stop()` inside ends the training."""

    # whether `Step.gradients` is filled in; gradients that nobody needs are not kept
    needs_gradients = False

    def on_train_begin(self, solver: Solver) -> None:
        """`train()` begins, or goes on."""

    def on_gradients(self, solver: Solver, gradients: dict[str, Array]) -> None:
        """The gradients, as they are before clipping. Nothing has run yet: what is recorded from them here is computed with the step."""

    def on_step(self, solver: Solver, step: Step) -> None:
        """The parameters were updated."""

    def on_epoch(self, solver: Solver, epoch: Epoch) -> None:
        """An epoch is over, and accuracies are known."""

    def on_checkpoint(self, solver: Solver) -> None:
        """A checkpoint is about to be written."""

    def on_train_end(self, solver: Solver) -> None:
        """`train()` is over, by an exception too."""


class Printer(Callback):
    """Prints the loss every so many updates, and the accuracies of each epoch."""

    def __init__(self, every: int, write: Callable[[str], Any] = print) -> None:
        self.every, self.write = every, write

    def on_step(self, solver: Solver, step: Step) -> None:
        """Prints the loss."""
        if (step.iteration - 1) % self.every == 0:
            total = solver.num_iterations
            self.write(f"(Iteration {step.iteration} / {'?' if total is None else total}) loss: {float(step.loss):f}")

    def on_epoch(self, solver: Solver, epoch: Epoch) -> None:
        """Prints the accuracies."""
        what = "acc" if solver.task_type == "classification" else "loss"
        shown = ", ".join(
            f"{name} {what}: {value:.4f}" for name, value in (("train", epoch.train), ("val", epoch.validation)) if value is not None
        )
        self.write(f"(Epoch {epoch.epoch} / {solver.num_epochs}) {shown}, time: {epoch.seconds:.2f}.")


class ProgressBar(Callback):
    """A bar over all updates, with the loss as of every so many (tqdm).

    Raises:
        ImportError: tqdm is not installed.
    """

    def __init__(self, every: int) -> None:
        try:
            from tqdm import tqdm
        except ImportError:
            raise ImportError("[Solver] progress=True needs tqdm: pip install tqdm") from None
        self.every, self._make, self._bar = every, tqdm, None

    def write(self, text: str) -> None:
        """Print above the bar."""
        if self._bar is None:
            print(text)
        else:
            self._bar.write(text)

    def on_train_begin(self, solver: Solver) -> None:
        """Shows the bar."""
        self._bar = self._make(total=solver.num_iterations, initial=solver.iteration, unit="batch")

    def on_step(self, solver: Solver, step: Step) -> None:
        """Moves the bar."""
        assert self._bar is not None
        if (step.iteration - 1) % self.every == 0:
            self._bar.set_postfix(loss=f"{float(step.loss):.4g}", refresh=False)
        self._bar.update()

    def on_train_end(self, solver: Solver) -> None:
        """Closes the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class EarlyStop(Callback):
    """Ends the training after so many epochs without a better validation result."""

    def __init__(self, patience: int) -> None:
        self.patience = patience

    def on_epoch(self, solver: Solver, epoch: Epoch) -> None:
        """Looks at the history."""
        if epoch.epoch - solver.best_epoch >= self.patience:
            solver.stop()


class Checkpoint(Callback):
    """Writes a checkpoint every so many updates, or after each epoch."""

    def __init__(self, path: str | Path, every: int | None = None) -> None:
        self.path, self.every = path, every

    def on_step(self, solver: Solver, step: Step) -> None:
        """Writes one, if it is time."""
        if self.every is not None and step.iteration % self.every == 0:
            solver.save_checkpoint(self.path)

    def on_epoch(self, solver: Solver, epoch: Epoch) -> None:
        """Writes one, if it is time."""
        if self.every is None:
            solver.save_checkpoint(self.path)


class TensorBoard(Callback):
    """Logs for TensorBoard: `loss`, `step_seconds` and `gradient_norm/<parameter>` (before clipping) of every update, and of every epoch
    `accuracy/train` and `accuracy/validation` (for regression `mean_loss/…`).

    At step s stands what belongs to the parameters after s updates. Training that goes on from a checkpoint goes on with its curves: what
    was logged after the checkpoint is taken back. Training that begins anew in the directory takes the place of what was logged there.

    Args:
        summaries_dir: the directory, made where there is none.

    Raises:
        ImportError: the package `tensorboard` is not installed.
    """

    def __init__(self, summaries_dir: str | Path) -> None:
        writer.event_file_writer()
        self.summaries_dir = Path(summaries_dir)
        self._writer: writer.SummaryWriter | None = None
        self._names: tuple[str, ...] = ()
        self._norms: Array = None
        self._unread: deque[tuple[int, Array, Array, float]] = deque()

    def on_train_begin(self, solver: Solver) -> None:
        """Opens a file."""
        # TensorBoard reads the files of a directory by name, in which the second they were made in comes first
        while any(self.summaries_dir.glob(f"*.tfevents.{int(time.time()):010d}.*")):
            time.sleep(0.05)
        self._unread.clear()
        self._writer = writer.SummaryWriter(self.summaries_dir)
        self._writer.restart(solver.iteration)
        if solver.train_acc_history and not solver.is_in_epoch:
            self._log_epoch(solver, solver.train_acc_history[-1], solver.val_acc_history[-1])

    def on_gradients(self, solver: Solver, gradients: dict[str, Array]) -> None:
        """Records their norms."""
        self._names = tuple(gradients)
        self._norms = np.sqrt(np.stack([np.sum(g * g) for g in gradients.values()]))

    def on_step(self, solver: Solver, step: Step) -> None:
        """Notes the step's values, and logs those of an earlier one."""
        self._unread.append((step.iteration - 1, step.loss, self._norms, step.seconds))
        self._norms = None
        self._log_steps(_UNREAD)

    def on_epoch(self, solver: Solver, epoch: Epoch) -> None:
        """Logs the accuracies."""
        self._log_epoch(solver, epoch.train, epoch.validation)

    def on_checkpoint(self, solver: Solver) -> None:
        """What comes before a checkpoint must be in the file, for training that goes on from there does not log it again."""
        if self._writer is not None:
            self._log_steps(0)
            self._writer.flush()

    def on_train_end(self, solver: Solver) -> None:
        """Ends the file."""
        if self._writer is not None:
            try:
                self._log_steps(0)
            finally:
                self._writer.close()
                self._writer = None

    def _log_steps(self, keep: int) -> None:
        assert self._writer is not None
        while len(self._unread) > keep:
            at, loss, norms, seconds = self._unread.popleft()
            self._writer.add_scalar("loss", float(loss), at)
            self._writer.add_scalar("step_seconds", seconds, at)
            for name, norm in zip(self._names, norms.tolist(), strict=True):
                self._writer.add_scalar(f"gradient_norm/{name}", norm, at)

    def _log_epoch(self, solver: Solver, train: float | None, validation: float | None) -> None:
        assert self._writer is not None
        what = "accuracy" if solver.task_type == "classification" else "mean_loss"
        for name, value in (("train", train), ("validation", validation)):
            if value is not None:
                self._writer.add_scalar(f"{what}/{name}", value, solver.iteration)


def _first(value: Any, count: int) -> Any:
    """The first samples of an array, or of those in a list or tuple."""
    return type(value)(_first(v, count) for v in value) if isinstance(value, (list, tuple)) else value[:count]


class Solver:
    """Trains a model with batches.

    Args:
        model: a `ModelBase`.
        train_dataiter: batches to train on: `nn.io`'s iterators, or MXNet's.
        test_dataiter: batches to validate on after each epoch, or None.
        task_type: "classification" (`forward` gives a score per class, and accuracy is the fraction of samples whose label has the largest)
            or "regression" (what is checked is the mean loss).
        init_rule, init_config: how parameters are made that were declared without a rule (`nn.init`).
        update_rule: a rule of `nn.optim` (its name, or a function).
        optim_config: what it takes, the learning rate above all; each parameter gets a copy, in which the rule keeps its state.
        lr_decay: the learning rate is multiplied by this after each epoch. (Or give `optim_config` a schedule.)
        num_epochs: passes over the training data.
        train_acc_num_samples: the training accuracy of an epoch is taken on at most so many samples, drawn at random; 0: not at all.
        print_every: the loss is printed every so many updates.
        verbose: whether anything is printed.
        progress: whether there is a progress bar (needs tqdm).
        clip_norm: gradients are scaled down together so that their global norm is at most this.
        patience: training ends after so many epochs without a better validation result.
        checkpoint: a file (`.npz`) that checkpoints are written to.
        checkpoint_every: after so many updates; None: after each epoch.
        resume: go on from `checkpoint`, if it is there.
        visualize: whether losses, accuracies, gradient norms and step times are logged for TensorBoard (see `TensorBoard`); a step remains
            one program.
        summaries_dir: where to, a directory.
        callbacks: `Callback`s, called in this order after the solver's own.
        ctx: the context to train on; None: the model's, or the current one.

    Attributes:
        loss_history: the loss of every update.
        train_acc_history, val_acc_history: of every epoch.
        best_params, best_aux_params, best_val_acc, best_epoch: of the best epoch so far; `model` has these when `train()` is over.
        iteration, epoch, batch: updates so far; the number of the last epoch begun, from 1; batches used in it.
        num_iterations: updates of the whole training, None where the iterator does not say how many batches it has.

    Raises:
        ValueError: an unknown argument or rule, or an illegal value.
        ImportError: `progress` or `visualize` needs a package that is not installed.

    After `train()` the same solver trains on for another `num_epochs`.
    """

    def __init__(
        self,
        model: ModelBase,
        train_dataiter: Any,
        test_dataiter: Any = None,
        *,
        task_type: str = "classification",
        init_rule: str | init.Rule = "xavier",
        init_config: Mapping[str, Any] | None = None,
        update_rule: str | optim.Rule = "sgd",
        optim_config: Mapping[str, Any] | None = None,
        lr_decay: float = 1.0,
        num_epochs: int = 10,
        train_acc_num_samples: int = 1000,
        print_every: int = 10,
        verbose: bool = True,
        progress: bool = False,
        clip_norm: float | None = None,
        patience: int | None = None,
        checkpoint: str | Path | None = None,
        checkpoint_every: int | None = None,
        resume: bool = False,
        visualize: bool = False,
        summaries_dir: str | Path | None = None,
        callbacks: Sequence[Callback] = (),
        ctx: Any = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise ValueError(f"[Solver] unknown arguments: {', '.join(unknown)}; see help(Solver) for those that it takes")
        if task_type not in TASKS:
            raise ValueError(f"[Solver] task_type = {task_type!r}; legal values: {', '.join(map(repr, TASKS))}")
        if isinstance(init_rule, str) and init_rule not in init.RULES:
            raise ValueError(f"[Solver] init_rule = {init_rule!r}; legal values: {', '.join(init.RULES)}, or a function")
        if resume and checkpoint is None:
            raise ValueError("[Solver] resume=True needs checkpoint=, the file to go on from")
        if visualize and summaries_dir is None:
            raise ValueError("[Solver] visualize=True needs summaries_dir=, the directory that TensorBoard is then pointed at")
        if patience is not None and test_dataiter is None and not train_acc_num_samples:
            raise ValueError("[Solver] patience= has nothing to go by; give a test_dataiter, or a train_acc_num_samples above 0")
        self.model, self.train_dataiter, self.test_dataiter = model, train_dataiter, test_dataiter
        self.task_type, self.init_rule, self.init_config = task_type, init_rule, dict(init_config or {})
        self.update_rule, self.optim_config = optim.lookup(update_rule), dict(optim_config or {})
        self.lr_decay, self.num_epochs, self.train_acc_num_samples = lr_decay, num_epochs, train_acc_num_samples
        self.print_every, self.verbose, self.clip_norm = print_every, verbose, clip_norm
        self.checkpoint, self.resume = checkpoint, resume
        self.ctx = model.ctx if ctx is None else ctx
        model.ctx = self.ctx
        if lr_decay != 1.0 and callable(self.optim_config.get("learning_rate")):
            raise ValueError("[Solver] lr_decay and a schedule both change the learning rate; put the decay into the schedule")
        bar = ProgressBar(print_every) if progress else None
        self.callbacks: list[Callback] = [] if bar is None else [bar]
        if verbose:
            self.callbacks.append(Printer(print_every, print if bar is None else bar.write))
        if patience is not None:
            self.callbacks.append(EarlyStop(patience))
        if visualize and summaries_dir is not None:
            self.callbacks.append(TensorBoard(summaries_dir))
        self.callbacks.extend(callbacks)
        if checkpoint is not None:
            self.callbacks.append(Checkpoint(checkpoint, checkpoint_every))
        self._reset()

    def _reset(self) -> None:
        self.iteration = self.epoch = self.batch = self.best_epoch = 0
        self.best_val_acc = 0.0 if self.task_type == "classification" else float("inf")
        self.best_params: dict[str, Array] = {}
        self.best_aux_params: dict[str, Array] = {}
        self.train_acc_history: list[float | None] = []
        self.val_acc_history: list[float | None] = []
        self.optim_configs: dict[str, dict[str, Any]] = {}
        self._losses: list[float] = []
        self._unread: deque[Array] = deque()
        # whether an epoch is under way, and whether the last train() came to its end
        self._in_epoch = self._finished = self._stopped = False
        for iterator in (self.train_dataiter, self.test_dataiter):
            if iterator is not None:
                iterator.reset()

    # -- what can be asked -----------------------------------------------------------------------------------------------------------------
    @property
    def loss_history(self) -> list[float]:
        """The loss of every update so far."""
        self._read_losses(0)
        return self._losses

    def _read_losses(self, keep: int) -> None:
        while len(self._unread) > keep:
            self._losses.append(float(self._unread.popleft()))

    @property
    def num_iterations(self) -> int | None:
        """Updates of the whole training, None where the iterator does not say how many batches it has."""
        count = getattr(self.train_dataiter, "getnumiterations", None)
        return None if count is None else int(count()) * self.num_epochs

    @property
    def is_in_epoch(self) -> bool:
        """Whether some batches of the epoch were used, and its end has not come."""
        return self._in_epoch

    def stop(self) -> None:
        """End the training after this epoch's, or this update's, callbacks."""
        self._stopped = True

    # -- training --------------------------------------------------------------------------------------------------------------------------
    def init(self) -> None:
        """Make the model's parameters anew."""
        self.model.initialise(self.init_rule, self.init_config)

    def train(self) -> None:
        """Train for `num_epochs`, or on from where a checkpoint was loaded; then give the model its best parameters."""
        if self.resume and self.iteration == 0 and self.checkpoint is not None and os.path.exists(self.checkpoint):
            self.load_checkpoint(self.checkpoint)
        if any(name not in self.model.params for name in self.model.param_configs):
            self.init()
        if self._finished:
            self.epoch, self._in_epoch = 0, False
        self._finished = self._stopped = False
        with self._context():
            try:
                self._tell("on_train_begin")
                while (self._in_epoch or self.epoch < self.num_epochs) and not self._stopped:
                    self._train_epoch()
            finally:
                self._tell("on_train_end")
        self._finished = True
        if self.best_params:
            self.model.params = dict(self.best_params)
            self.model.aux_params = dict(self.best_aux_params)

    def _context(self) -> Any:
        return nullcontext() if self.ctx is None else self.ctx

    def _tell(self, event: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self, *arguments)

    def _train_epoch(self) -> None:
        """An epoch, or the rest of one."""
        if not self._in_epoch:
            self.epoch, self.batch, self._in_epoch = self.epoch + 1, 0, True
        started = time.perf_counter()
        for batch in self.train_dataiter:
            began = time.perf_counter()
            loss, gradients = self._step(batch)
            self.iteration += 1
            self.batch += 1
            self._tell("on_step", Step(self.iteration, self.epoch, self.batch, loss, gradients, time.perf_counter() - began))
            del loss, gradients
            if self._stopped:
                return
        self._end_epoch(started)

    def _step(self, batch: Any) -> tuple[Array, dict[str, Array] | None]:
        """One update: forward, loss, gradients and parameters are one program."""
        model = self.model

        def objective() -> Array:
            given = model.cast(batch)
            return model.loss_batch(given, model.forward_batch(given, "train"))

        loss, gradients = model.differentiate(objective)
        self._tell("on_gradients", gradients)
        self._update(gradients)
        kept = gradients if any(c.needs_gradients for c in self.callbacks) else None
        # what nobody holds is not computed
        del gradients
        minpy_jit.flush()
        self._unread.append(loss)
        self._read_losses(_UNREAD)
        return loss, kept

    def _update(self, gradients: dict[str, Array]) -> None:
        if self.clip_norm is not None:
            gradients, _ = optim.clip_by_global_norm(gradients, self.clip_norm)
        params = self.model.params
        for name, gradient in gradients.items():
            config = self.optim_configs.get(name)
            if config is None:
                config = dict(self.optim_config)
            params[name], self.optim_configs[name] = self.update_rule(params[name], gradient, config)

    def _end_epoch(self, started: float) -> None:
        samples = self.train_acc_num_samples
        train = self.check_accuracy(self.train_dataiter, samples) if samples else None
        validation = None if self.test_dataiter is None else self.check_accuracy(self.test_dataiter)
        self.train_acc_history.append(train)
        self.val_acc_history.append(validation)
        self.train_dataiter.reset()
        measured = train if validation is None else validation
        best = measured is not None and (
            measured > self.best_val_acc if self.task_type == "classification" else measured < self.best_val_acc
        )
        if best and measured is not None:
            self.best_val_acc, self.best_epoch = measured, self.epoch
            self.best_params, self.best_aux_params = dict(self.model.params), dict(self.model.aux_params)
        for config in self.optim_configs.values():
            if self.lr_decay != 1.0:
                config["learning_rate"] *= self.lr_decay
        # what a checkpoint finds from here on is the beginning of the next epoch
        self._in_epoch = False
        self._tell("on_epoch", Epoch(self.epoch, train, validation, best, time.perf_counter() - started))

    def check_accuracy(self, dataiter: Any, num_samples: int | None = None) -> float:
        """The fraction of samples whose label has the largest score; for regression the mean loss of the batches.

        Args:
            dataiter: batches; read from the start, and left at its end.
            num_samples: at most so many samples, drawn at random where the iterator can (`getsubiter`), else the first ones.

        Returns:
            A number. What only fills the last batch does not count.
        """
        limit = None
        if num_samples is not None:
            if hasattr(dataiter, "getsubiter"):
                # an iterator of its own: where the training data roll over, it matters where they are left
                dataiter = dataiter.getsubiter(num_samples)
            else:
                limit = num_samples
        dataiter.reset()
        total, samples = 0.0, 0
        with self._context():
            for batch in dataiter:
                given = self.model.cast(batch)
                used = given.label[0].shape[0] - (given.pad or 0)
                predictions = self.model.forward_batch(given, "test")
                if self.task_type == "classification":
                    total += self._right(predictions, given.label[0], used)
                else:
                    if given.pad:
                        given.label, predictions = _first(given.label, used), _first(predictions, used)
                    total += float(self.model.loss_batch(given, predictions)) * used
                samples += used
                if limit is not None and samples >= limit:
                    break
        if not samples:
            raise ValueError("[check_accuracy] the iterator gave no samples")
        return total / samples

    @staticmethod
    def _right(predictions: Array, label: Array, used: int) -> int:
        # class numbers may come as a column
        classes = np.argmax(label, axis=1) if label.shape == predictions.shape else layers.whole(label.reshape(-1))
        right = np.argmax(predictions, axis=1) == classes
        return int(numpy.count_nonzero(right.asnumpy()[:used]))

    # -- checkpoints -----------------------------------------------------------------------------------------------------------------------
    def save_checkpoint(self, path: str | Path) -> None:
        """Write all that the next step depends on: parameters, the optimiser's state, the state of NumPy's and Python's global random
        streams, epoch and batch, the iterator's position; and the histories and the best parameters.

        With `minpy_jit.config.deterministic` training that goes on from it gives the same bits as training that was never interrupted.

        Args:
            path: an `.npz` file (one without pickles); it is there complete or not at all.

        Raises:
            TypeError: the update rule keeps something else than arrays, numbers and text.
        """
        arrays: dict[str, Any] = {}
        numbers: dict[str, Any] = {name: getattr(self, name) for name in _NUMBERS}
        self._tell("on_checkpoint")
        numbers["loss_history"] = self.loss_history
        for group, values in self._groups().items():
            arrays.update({f"{group}/{name}": value for name, value in values.items() if value is not None})
        numbers["optim"] = {}
        for parameter, config in self.optim_configs.items():
            plain = numbers["optim"][parameter] = {}
            for key, value in config.items():
                if hasattr(value, "shape"):
                    arrays[f"optim/{parameter}/{key}"] = value
                elif value is None or isinstance(value, (bool, int, float, str)):
                    plain[key] = value
                elif value is not self.optim_config.get(key):
                    raise TypeError(
                        f"[save_checkpoint] the update rule keeps {key!r}, a {type(value).__name__}; "
                        "a checkpoint holds arrays, numbers and text"
                    )
        numbers["numpy_random"] = numpy.random.get_state(legacy=False)
        numbers["python_random"] = random.getstate()
        if hasattr(self.train_dataiter, "get_state"):
            numbers["iterator"] = self.train_dataiter.get_state()
        arrays["state"] = json.dumps(numbers, default=lambda value: value.tolist())
        write_arrays(path, arrays)

    def _groups(self) -> dict[str, dict[str, Array]]:
        return {
            "param": self.model.params,
            "aux": self.model.aux_params,
            "best_param": self.best_params,
            "best_aux": self.best_aux_params,
        }

    def load_checkpoint(self, path: str | Path) -> None:
        """Set everything to what `save_checkpoint` wrote; `train()` goes on from there.

        The solver must have been made with the same arguments. An iterator without `get_state` (MXNet's) is reset and moved past the
        epoch's batches that were used, which is exact where it gives the same batches in every epoch.

        Args:
            path: the file.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no checkpoint, or one of another model.
        """
        with numpy.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        if "state" not in arrays:
            raise ValueError(f"[load_checkpoint] {path} is no checkpoint; it was not written by save_checkpoint")
        numbers = json.loads(str(arrays.pop("state")))
        found: dict[str, dict[str, Array]] = {}
        with self._context():
            for key, value in arrays.items():
                group, _, name = key.partition("/")
                found.setdefault(group, {})[name] = np.array(value)
        self._require_same_model(path, found.get("param", {}))
        self.model.params = found.get("param", {})
        self.model.aux_params = {**dict.fromkeys(self.model.aux_params), **found.get("aux", {})}
        self.best_params, self.best_aux_params = found.get("best_param", {}), found.get("best_aux", {})
        self.optim_configs = {name: {**self.optim_config, **config} for name, config in numbers["optim"].items()}
        for key, value in found.get("optim", {}).items():
            parameter, _, entry = key.rpartition("/")
            self.optim_configs[parameter][entry] = value
        for name in _NUMBERS:
            setattr(self, name, numbers[name])
        self._losses, self._unread, self._finished = numbers["loss_history"], deque(), False
        if numbers.get("iterator") is not None:
            self.train_dataiter.set_state(numbers["iterator"])
        else:
            self.train_dataiter.reset()
            for _ in range(self.batch if self._in_epoch else 0):
                next(self.train_dataiter)
        # last: resetting an iterator may draw
        numpy.random.set_state(numbers["numpy_random"])
        version, internal, gauss = numbers["python_random"]
        random.setstate((version, tuple(internal), gauss))

    def _require_same_model(self, path: str | Path, params: Mapping[str, Array]) -> None:
        declared = {name: tuple(config["shape"]) for name, config in self.model.param_configs.items()}
        shapes = {name: value.shape for name, value in params.items()}
        differing = [name for name, shape in declared.items() if shapes.get(name) != shape]
        if differing:
            raise ValueError(
                f"[load_checkpoint] {path} is of another model: parameter {differing[0]!r} has shape {shapes.get(differing[0])} in it "
                f"and {declared[differing[0]]} here"
            )
