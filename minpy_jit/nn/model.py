"""`ModelBase`: named parameters, and what a network makes of a batch."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy

import minpy_jit
import minpy_jit.numpy as np

from . import init
from .io import DataBatch, cast_batch

Array = Any

_PARAM, _AUX = "param_", "aux_param_"


class ModelBase:
    """A network: parameters by name, `forward`, and `loss`. A subclass adds its parameters and gives these two.

    Parameters are float32, or what `minpy_jit.set_default_dtype` or `add_param(dtype=)` say. Batches follow one rule, `io.cast`: their
    floats take the parameters' dtype (`dtype`), integers and booleans stay.

    Args:
        ctx: the context that parameters and batches lie on; None: the current one.

    Attributes:
        params: parameters by name; made by `initialise` (a `Solver` calls it), and replaced by each update.
        aux_params: what is kept beside them and not trained, running statistics say; `forward` may replace them.
        param_configs: by name what `add_param` was told.
        aux_param_configs: by name the first value.

    >>> from minpy_jit.nn import layers
    >>> class Linear(ModelBase):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.add_param("w", (3, 1)).add_param("b", (1,), init_rule="constant")
    ...
    ...     def forward(self, X, mode):
    ...         return layers.affine(X, self.params["w"], self.params["b"])
    ...
    ...     def loss(self, predict, y):
    ...         return layers.l2_loss(predict, y)
    >>> model = Linear()
    >>> model.initialise()
    >>> model.forward(np.ones((5, 3), "float32"), "test").shape
    (5, 1)
    """

    def __init__(self, ctx: Any = None) -> None:
        self.ctx = ctx
        self.params: dict[str, Array] = {}
        self.param_configs: dict[str, dict[str, Any]] = {}
        self.aux_params: dict[str, Array] = {}
        self.aux_param_configs: dict[str, Any] = {}

    # -- parameters ------------------------------------------------------------------------------------------------------------------------
    def add_param(
        self,
        name: str,
        shape: tuple[int, ...],
        init_rule: str | init.Rule | None = None,
        init_config: Mapping[str, Any] | None = None,
        dtype: Any = None,
        **others: Any,
    ) -> ModelBase:
        """Declare a parameter.

        Args:
            name: unique among the parameters.
            shape: of the array.
            init_rule: a rule of `nn.init` (its name, or a function); None: the one that `initialise` is told.
            init_config: what the rule takes.
            dtype: of the parameter; None: float32 or `minpy_jit.set_default_dtype`'s.
            others: kept in `param_configs`.

        Returns:
            The model, so that calls can be chained.

        Raises:
            ValueError: the name is taken.
        """
        given = {"init_rule": init_rule, "init_config": init_config, "dtype": dtype}
        return self.add_params({name: {"shape": shape, **{k: v for k, v in given.items() if v is not None}, **others}})

    def add_params(self, param_dict: Mapping[str, Mapping[str, Any]]) -> ModelBase:
        """Declare several parameters: by name what `add_param` takes.

        Returns:
            The model.

        Raises:
            ValueError: a name is taken, or an entry has no shape.
        """
        for name, config in param_dict.items():
            if name in self.param_configs:
                raise ValueError(f"[add_param] there is a parameter {name!r} already; give this one another name")
            if "shape" not in config:
                raise ValueError(f"[add_params] parameter {name!r} has no shape; got {dict(config)}")
            self.param_configs[name] = dict(config)
        return self

    def add_aux_param(self, name: str, value: Any) -> ModelBase:
        """Declare an array that is kept beside the parameters and not trained.

        Args:
            name: unique among the auxiliary parameters.
            value: its first value, None included.

        Returns:
            The model.

        Raises:
            ValueError: the name is taken.
        """
        if name in self.aux_param_configs:
            raise ValueError(f"[add_aux_param] there is an auxiliary parameter {name!r} already; give this one another name")
        self.aux_param_configs[name] = value
        # readable at once, as MinPy's models do before a solver has run
        self.aux_params[name] = value
        return self

    def initialise(self, init_rule: str | init.Rule = "xavier", init_config: Mapping[str, Any] | None = None) -> None:
        """Make the declared parameters anew, and set the auxiliary ones to their first values.

        Args:
            init_rule: for the parameters that were declared without one.
            init_config: what that rule takes.

        Raises:
            ValueError: there is no such rule, or it gave another shape.
        """
        with self.context():
            for name, config in self.param_configs.items():
                rule, settings = (config["init_rule"], config.get("init_config")) if "init_rule" in config else (init_rule, init_config)
                self.params[name] = init.initialise(
                    config["shape"], rule, settings, config.get("dtype", minpy_jit.default_dtype("float32"))
                )
            self.aux_params.update(self.aux_param_configs)
        # values from the start: the first step is then the same program as those after it
        minpy_jit.flush(self.params)

    @property
    def dtype(self) -> numpy.dtype:
        """The parameters' dtype, which batches are cast to: the largest where they differ, float32 or the default where there are none."""
        found = {p.dtype for p in self.params.values() if p.dtype.kind == "f"}
        if not found:
            found = {numpy.dtype(c["dtype"]) for c in self.param_configs.values() if c.get("dtype") is not None}
        return numpy.result_type(*found) if found else minpy_jit.default_dtype("float32")

    def context(self) -> Any:
        """A context manager: arrays made inside lie where the model does."""
        return nullcontext() if self.ctx is None else self.ctx

    # -- what a network does ---------------------------------------------------------------------------------------------------------------
    def forward(self, X: Array, mode: str) -> Array:
        """The network's output for a batch of inputs, in mode "train" or "test". A subclass gives it."""
        raise NotImplementedError(f"[{type(self).__name__}] give forward(X, mode), the network's output")

    def loss(self, predict: Array, y: Array) -> Array:
        """A scalar: how wrong `forward`'s output is. A subclass gives it."""
        raise NotImplementedError(f"[{type(self).__name__}] give loss(predict, y), a scalar")

    def forward_batch(self, batch: DataBatch, mode: str) -> Array:
        """The output for a batch: `forward` of its first data array, unless a subclass says otherwise."""
        return self.forward(batch.data[0], mode)

    def loss_batch(self, batch: DataBatch, predict: Array) -> Array:
        """The loss of the output for a batch: `loss` with its first label array, unless a subclass says otherwise."""
        return self.loss(predict, batch.label[0])

    def cast(self, batch: Any) -> DataBatch:
        """A batch as this model takes it: floats in its dtype (`io.cast`), on its context."""
        return cast_batch(batch, self.dtype, self.ctx)

    def differentiate(self, objective: Callable[[], Array]) -> tuple[Array, dict[str, Array]]:
        """Call `objective()` and differentiate what it returns by the parameters.

        Args:
            objective: reads the parameters from `params` and returns a scalar.

        Returns:
            (its value, the gradients by parameter name).
        """

        def of(params: dict[str, Array]) -> Array:
            with self._holding(params):
                return objective()

        return minpy_jit.value_and_grad(of)(self.params)

    @contextmanager
    def _holding(self, params: dict[str, Array]) -> Iterator[None]:
        """`params` are these, inside."""
        before, self.params = self.params, params
        try:
            yield
        finally:
            self.params = before

    # -- files -----------------------------------------------------------------------------------------------------------------------------
    def save(self, prefix: str | Path) -> None:
        """Write parameters and auxiliary parameters to `<prefix>.npz`, under the names `param_…` and `aux_param_…`."""
        arrays = {_PARAM + name: value for name, value in self.params.items()}
        arrays.update({_AUX + name: value for name, value in self.aux_params.items() if value is not None})
        write_arrays(f"{prefix}.npz", arrays)

    def load(self, prefix: str | Path) -> None:
        """Read what `save` wrote. Where there is no `<prefix>.npz`, MinPy's HDF5 file `<prefix>.params` is read, with h5py.

        Args:
            prefix: the file's name without its ending.

        Raises:
            FileNotFoundError: there is neither file.
            ImportError: the file is MinPy's, and h5py is not installed.
            KeyError: the file lacks a declared parameter.
            ValueError: a parameter has another shape, or the file is neither kind.
        """
        found = read_arrays(prefix)
        params = {name[len(_PARAM) :]: value for name, value in found.items() if name.startswith(_PARAM)}
        aux = {name[len(_AUX) :]: value for name, value in found.items() if name.startswith(_AUX)}
        missing = [name for name in self.param_configs if name not in params]
        if missing:
            raise KeyError(f"[load] {prefix} has no parameter {', '.join(map(repr, missing))}; it has {', '.join(params) or 'none'}")
        with self.context():
            # all of them, then in place: a file that does not fit changes nothing
            loaded = {name: np.array(value.astype(self._loaded_dtype(name, value))) for name, value in params.items()}
            self.params.update(loaded)
            self.aux_params.update({name: np.array(value) for name, value in aux.items()})

    def _loaded_dtype(self, name: str, value: numpy.ndarray) -> Any:
        """A declared parameter keeps its dtype, others have the file's.

        Raises:
            ValueError: another shape.
        """
        config = self.param_configs.get(name)
        if config is None:
            return value.dtype
        if value.shape != tuple(config["shape"]):
            raise ValueError(f"[load] parameter {name!r} has shape {value.shape} in the file; the model's has {tuple(config['shape'])}")
        return config.get("dtype", minpy_jit.default_dtype("float32"))


def write_arrays(path: str | Path, arrays: Mapping[str, Any]) -> None:
    """An `.npz` file that is there complete or not at all."""
    scratch = f"{path}.partial"
    try:
        with open(scratch, "wb") as file:
            numpy.savez(file, **{name: numpy.asarray(value) for name, value in arrays.items()})
        os.replace(scratch, path)
    finally:
        if os.path.exists(scratch):
            os.remove(scratch)


def read_arrays(prefix: str | Path) -> dict[str, numpy.ndarray]:
    """The arrays of `<prefix>.npz`, or of MinPy's `<prefix>.params`."""
    if os.path.exists(f"{prefix}.npz"):
        with numpy.load(f"{prefix}.npz", allow_pickle=False) as file:
            return dict(file)
    path = f"{prefix}.params"
    if not os.path.exists(path):
        raise FileNotFoundError(f"[load] neither {prefix}.npz nor {path} is there; give the name without its ending")
    with open(path, "rb") as file:
        signature = file.read(8)
    if signature != b"\x89HDF\r\n\x1a\n":
        raise ValueError(f"[load] {path} is not one of MinPy's files (HDF5): it begins with {signature!r}")
    try:
        h5py = importlib.import_module("h5py")
    except ImportError:
        raise ImportError(f"[load] {path} is MinPy's, in HDF5; to read it: pip install h5py (then save() writes {prefix}.npz)") from None
    with h5py.File(path, "r") as file:
        return {name: numpy.asarray(value) for name, value in file.items()}
