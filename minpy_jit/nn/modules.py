"""The layers that models are built of: MXNet's names, arguments and layouts (weights are (outputs, inputs); NCHW).

Each takes `name=`, and those with parameters `init_configs=` and `update_configs=` (see `model_builder.Layer`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import minpy_jit
import minpy_jit.numpy as np
from minpy_jit import ops

from . import layers
from .model_builder import (
    Add,
    Binary,
    Container,
    Layer,
    Model,
    Module,
    Mul,
    Parallel,
    Sequential,
    Sub,
    Updater,
)

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Add",
    "BatchFlatten",
    "BatchNorm",
    "BatchReshape",
    "Binary",
    "Container",
    "Convolution",
    "Dropout",
    "Embedding",
    "Flatten",
    "FullyConnected",
    "Identity",
    "Layer",
    "Logistic",
    "Model",
    "Module",
    "Mul",
    "Parallel",
    "Pooling",
    "ReLU",
    "Reshape",
    "Sequential",
    "Sub",
    "Symbolic",
    "Tanh",
    "Updater",
    "Variable",
]

Array = Any
Shape = tuple[int, ...]
Configs = Mapping[Any, Any] | None
PerAxis = int | Shape

# MXNet's act_type -> the function
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": layers.relu,
    "sigmoid": layers.sigmoid,
    "tanh": layers.tanh,
    "softrelu": lambda x: np.logaddexp(x, 0),
}


def _activation(act_type: str, layer: str) -> Callable[[Array], Array]:
    if act_type not in ACTIVATIONS:
        raise ValueError(f"[{layer}] act_type = {act_type!r}; legal values: {', '.join(map(repr, ACTIVATIONS))}")
    return ACTIVATIONS[act_type]


# -- without parameters --------------------------------------------------------------------------------------------------------------------
class Identity(Layer):
    """Its input."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name)

    def forward(self, X: Array, *args: Any) -> Array:
        """X."""
        return X


class ReLU(Layer):
    """The larger of each element and 0."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name)

    def forward(self, X: Array, *args: Any) -> Array:
        """An array of X's shape."""
        return layers.relu(X)


class Logistic(Layer):
    """1 / (1 + exp(-x))."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name)

    def forward(self, X: Array, *args: Any) -> Array:
        """An array of X's shape."""
        return layers.sigmoid(X)


class Tanh(Layer):
    """The hyperbolic tangent."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name)

    def forward(self, X: Array, *args: Any) -> Array:
        """An array of X's shape."""
        return layers.tanh(X)


class Dropout(Layer):
    """`layers.dropout` in training, nothing in inference.

    Args:
        p: the probability that an element is dropped.
    """

    def __init__(self, p: float, name: str | None = None) -> None:
        super().__init__(name=name)
        self._p = p

    def forward(self, data: Array, *args: Any) -> Array:
        """An array of data's shape."""
        return layers.dropout(data, self._p, mode=self._mode)


class Reshape(Layer):
    """The input in another shape, the batch's axis included."""

    def __init__(self, shape: Shape, name: str | None = None) -> None:
        super().__init__(name=name)
        self._shape = shape

    def forward(self, X: Array, *args: Any) -> Array:
        """An array of that shape."""
        return np.reshape(X, self._shape)


class BatchReshape(Layer):
    """Each sample in another shape."""

    def __init__(self, shape: Shape, name: str | None = None) -> None:
        super().__init__(name=name)
        self._shape = tuple(shape)

    def forward(self, X: Array, *args: Any) -> Array:
        """(N, *shape)."""
        return np.reshape(X, (X.shape[0], *self._shape))


class Flatten(Layer):
    """The whole input as one vector."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name)

    def forward(self, X: Array, *args: Any) -> Array:
        """(X.size,)."""
        return np.reshape(X, (math.prod(X.shape),))


class BatchFlatten(Layer):
    """Each sample as one vector."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name)

    def forward(self, X: Array, *args: Any) -> Array:
        """(N, numbers per sample)."""
        return np.reshape(X, (X.shape[0], math.prod(X.shape[1:])))


class Pooling(Layer):
    """`ops.pooling`.

    Args:
        kernel: the window's lengths; may be left out with `global_pool`.
        pool_type: "max", "avg" or "sum".
        stride: the distance between windows; None: 1, as MXNet's.
        pad: what is added at either end of an axis.
        global_pool: one window over the whole spatial extent.
        pooling_convention: "valid", or "full": a last window that hangs over the end counts.
        count_include_pad: whether an average counts what was added.

    Raises:
        ValueError: an unknown convention, or neither kernel nor `global_pool`.
    """

    def __init__(
        self,
        kernel: PerAxis | None = None,
        pool_type: str = "max",
        stride: PerAxis | None = None,
        pad: PerAxis = 0,
        global_pool: bool = False,
        pooling_convention: str = "valid",
        count_include_pad: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        if pooling_convention not in ("valid", "full"):
            raise ValueError(f"[Pooling] pooling_convention = {pooling_convention!r}; legal values: 'valid', 'full'")
        if kernel is None and not global_pool:
            raise ValueError("[Pooling] needs a kernel, or global_pool=True")
        self._kernel = None if global_pool else kernel
        self._settings: dict[str, Any] = {"mode": pool_type}
        if not global_pool:
            full = pooling_convention == "full"
            self._settings.update(stride=1 if stride is None else stride, pad=pad, full=full, count_pad=count_include_pad)

    def forward(self, data: Array, *args: Any) -> Array:
        """(N, C, *out)."""
        return ops.pooling(data, self._kernel, **self._settings)


# -- with parameters -----------------------------------------------------------------------------------------------------------------------
class FullyConnected(Layer):
    """x @ weight.T + bias.

    Args:
        num_hidden: outputs.
        no_bias: leave the bias out.
        flatten: take each sample as one vector; else multiply along the last axis.
    """

    def __init__(
        self,
        num_hidden: int,
        no_bias: bool = False,
        flatten: bool = True,
        name: str | None = None,
        init_configs: Configs = None,
        update_configs: Configs = None,
    ) -> None:
        super().__init__(("weight",) if no_bias else ("weight", "bias"), name=name)
        self._num_hidden, self._flatten = num_hidden, flatten
        self._register_init_configs({"weight": {"in_axis": 1}})
        self._register_init_configs(init_configs)
        self._register_update_configs(update_configs)

    def forward(self, data: Array, *args: Any) -> Array:
        """(N, num_hidden)."""
        return ops.fully_connected(data, *self.param_dict.values(), flatten=self._flatten)

    def param_shapes(self, *shapes: Shape, **named: Shape) -> dict[str, Shape]:
        """weight (num_hidden, inputs), bias (num_hidden,)."""
        inputs = math.prod(shapes[0][1:]) if self._flatten else shapes[0][-1]
        return dict(zip(self._param_names.values(), ((self._num_hidden, inputs), (self._num_hidden,)), strict=False))


class Convolution(Layer):
    """`ops.convolution`.

    Args:
        kernel: the window's lengths.
        num_filter: filters.
        stride, pad, dilate: one number for all spatial axes, or one for each.
        num_group: into how many parts channels and filters are divided.
        no_bias: leave the bias out.
    """

    def __init__(
        self,
        kernel: Shape,
        num_filter: int,
        stride: PerAxis = 1,
        pad: PerAxis = 0,
        dilate: PerAxis = 1,
        num_group: int = 1,
        no_bias: bool = False,
        name: str | None = None,
        init_configs: Configs = None,
        update_configs: Configs = None,
    ) -> None:
        super().__init__(("weight",) if no_bias else ("weight", "bias"), name=name)
        self._kernel, self._num_filter, self._num_group = tuple(kernel), num_filter, num_group
        self._settings: dict[str, Any] = {"stride": stride, "pad": pad, "dilate": dilate, "groups": num_group}
        self._register_init_configs(init_configs)
        self._register_update_configs(update_configs)

    def forward(self, data: Array, *args: Any) -> Array:
        """(N, num_filter, *out)."""
        return ops.convolution(data, *self.param_dict.values(), **self._settings)

    def param_shapes(self, *shapes: Shape, **named: Shape) -> dict[str, Shape]:
        """weight (num_filter, channels / num_group, *kernel), bias (num_filter,)."""
        weight = (self._num_filter, shapes[0][1] // self._num_group, *self._kernel)
        return dict(zip(self._param_names.values(), (weight, (self._num_filter,)), strict=False))


class BatchNorm(Layer):
    """`ops.batch_norm`, with MXNet's defaults: by the batch's statistics in training, by the running ones in inference.

    Args:
        eps: added to the variance.
        momentum: how much of a running statistic is kept at each batch.
        fix_gamma: keep gamma at 1 (MXNet's default).
        use_global_stats: use the running statistics in training too.
        axis: the axis of channels.
    """

    def __init__(
        self,
        eps: float = 1e-3,
        momentum: float = 0.9,
        fix_gamma: bool = True,
        use_global_stats: bool = False,
        axis: int = 1,
        name: str | None = None,
        init_configs: Configs = None,
        update_configs: Configs = None,
    ) -> None:
        super().__init__(("gamma", "beta"), ("moving_mean", "moving_var"), name=name)
        self._fix_gamma, self._use_global_stats, self._axis = fix_gamma, use_global_stats, axis
        self._settings: dict[str, Any] = {"eps": eps, "momentum": momentum, "axis": axis}
        self._register_init_configs(init_configs)
        self._register_update_configs(update_configs)

    def forward(self, data: Array, *args: Any) -> Array:
        """An array of data's shape."""
        gamma, beta = self.param_dict.values()
        if self._fix_gamma:
            gamma = np.ones_like(gamma)
        training = self._mode == "training" and not self._use_global_stats
        y, mean, var = ops.batch_norm(data, gamma, beta, *self.aux_param_dict.values(), training=training, **self._settings)
        if training:
            self._owner().aux_params.update(zip(self._aux_param_names.values(), (mean, var), strict=True))
        return y

    def param_shapes(self, *shapes: Shape, **named: Shape) -> dict[str, Shape]:
        """gamma and beta, (channels,)."""
        return dict.fromkeys(self._param_names.values(), (shapes[0][self._axis],))

    def aux_param_shapes(self, *shapes: Shape, **named: Shape) -> dict[str, Shape]:
        """moving_mean and moving_var, (channels,)."""
        return dict.fromkeys(self._aux_param_names.values(), (shapes[0][self._axis],))


class Variable(Layer):
    """A parameter by itself, whatever it is called with.

    Args:
        shape: of the parameter, `variable`, zeros unless `init_configs` says otherwise.
    """

    def __init__(self, shape: Shape, name: str | None = None, init_configs: Configs = None, update_configs: Configs = None) -> None:
        super().__init__(("variable",), name=name)
        self._shape = tuple(shape)
        self._register_init_configs(init_configs)
        self._register_update_configs(update_configs)

    def forward(self, *args: Any) -> Array:
        """The parameter."""
        return self._get_param(self._param_names["variable"])

    def param_shapes(self, *shapes: Shape, **named: Shape) -> dict[str, Shape]:
        """variable, of the shape given."""
        return dict.fromkeys(self._param_names.values(), self._shape)


class Embedding(Layer):
    """`layers.embedding`.

    Args:
        input_dim: rows.
        output_dim: the length of a row.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        name: str | None = None,
        init_configs: Configs = None,
        update_configs: Configs = None,
    ) -> None:
        super().__init__(("weight",), name=name)
        self._shape = (input_dim, output_dim)
        self._register_init_configs(init_configs)
        self._register_update_configs(update_configs)

    def forward(self, data: Array, *args: Any) -> Array:
        """(*data.shape, output_dim)."""
        return layers.embedding(data, *self.param_dict.values())

    def param_shapes(self, *shapes: Shape, **named: Shape) -> dict[str, Shape]:
        """weight (input_dim, output_dim)."""
        return dict.fromkeys(self._param_names.values(), self._shape)


class Symbolic(Layer):
    """An MXNet symbol or a Gluon block (`minpy_jit.Function`): what it takes besides its inputs are parameters of the model.

    Args:
        symbol: the symbol.
        variables: names of its inputs, in the order in which the layer is called with them; None: "data".

    Raises:
        ValueError: the symbol has no such input.
    """

    def __init__(
        self,
        symbol: Any,
        variables: Sequence[str] | None = None,
        init_configs: Configs = None,
        update_configs: Configs = None,
        name: str | None = None,
    ) -> None:
        self._function = minpy_jit.Function(symbol)
        self._variables = ("data",) if variables is None else tuple(variables)
        arguments = self._function.arguments
        unknown = [v for v in self._variables if v not in arguments]
        if unknown:
            raise ValueError(
                f"[Symbolic] the symbol has no input {unknown[0]!r}, but {', '.join(arguments)}; name its inputs in variables="
            )
        super().__init__([a for a in arguments if a not in self._variables], self._function.auxiliary, name=name)
        self._register_init_configs({local: {"in_axis": 1} for local in self._params if "weight" in local})
        self._register_init_configs(init_configs)
        self._register_update_configs(update_configs)

    def forward(self, *args: Any, **named: Any) -> Any:
        """The symbol's result; a tuple where it has several."""
        inputs = dict(zip(self._variables, args, strict=False)) | named
        values = {local: self._get_param(name) for local, name in self._param_names.items()}
        # copies, for the function moves them in place, and somebody may hold the old ones
        states = {local: np.array(self._get_aux_param(name)) for local, name in self._aux_param_names.items()}
        self._function.is_train = self._mode == "training"
        found = self._function(**inputs, **values, **states)
        self._owner().aux_params.update({name: states[local] for local, name in self._aux_param_names.items()})
        return tuple(found) if isinstance(found, list) else found

    def param_shapes(self, *shapes: Shape, **named: Shape) -> dict[str, Shape]:
        """What MXNet infers from the inputs' shapes."""
        found = self._function.get_params(**dict(zip(self._variables, shapes, strict=False)), **named)
        return {self._param_names[local]: entry["shape"] for local, entry in found.items()}

    def aux_param_shapes(self, *shapes: Shape, **named: Shape) -> dict[str, Shape]:
        """What MXNet infers from the inputs' shapes."""
        found = self._function.get_aux_params(**dict(zip(self._variables, shapes, strict=False)), **named)
        return {self._aux_param_names[local]: entry["shape"] for local, entry in found.items()}


# -- one step of a recurrent network -------------------------------------------------------------------------------------------------------
class _Recurrent(Layer):
    """What one step of a recurrent network needs: products of the input and of the state."""

    # pairs of products, of the input and of the state, by name: how many numbers they give per hidden unit
    _products: ClassVar[Mapping[str, int]]

    def __init__(
        self, num_hidden: int, act_type: str = "tanh", name: str | None = None, init_configs: Configs = None, update_configs: Configs = None
    ) -> None:
        names = [f"{product}_{part}" for product in self._products for part in ("XH_weight", "HH_weight", "HH_bias")]
        super().__init__([n.lstrip("_") for n in names], name=name)
        self._num_hidden, self._act = num_hidden, _activation(act_type, self.kind)
        self._register_init_configs({local: {"in_axis": 1} for local in self._params if "weight" in local})
        self._register_init_configs(init_configs)
        self._register_update_configs(update_configs)

    def _state(self, state: Array, data: Array) -> Array:
        """A state, zeros where there is none yet."""
        return np.zeros((data.shape[0], self._num_hidden), data.dtype) if state is None else state

    def param_shapes(self, *shapes: Shape, **named: Shape) -> dict[str, Shape]:
        """Matrices of the input (rows, inputs) and of the state (rows, num_hidden), biases (rows,)."""
        found: list[Shape] = []
        for count in self._products.values():
            rows = count * self._num_hidden
            found += [(rows, shapes[0][1]), (rows, self._num_hidden), (rows,)]
        return dict(zip(self._param_names.values(), found, strict=True))


class RNN(_Recurrent):
    """One step of the plain recurrent network: act(data @ XH_weight.T + hidden @ HH_weight.T + HH_bias).

    Args:
        num_hidden: the state's length.
        act_type: "relu", "sigmoid", "softrelu" or "tanh".

    Raises:
        ValueError: another activation.
    """

    _products: ClassVar[Mapping[str, int]] = {"": 1}

    def forward(self, data: Array, hidden: Array = None) -> Array:
        """The next state, (N, num_hidden), from (N, D) and (N, num_hidden) or None for zeros."""
        by_input, by_state, bias = self.param_dict.values()
        return self._act(data @ by_input.T + self._state(hidden, data) @ by_state.T + bias)


class LSTM(_Recurrent):
    """One step of long short-term memory; gates in the order input, forget, output, candidate (`layers.lstm_step`).

    Args:
        num_hidden: the length of state and cell.
        act_type: what the cell goes through on its way out.

    Raises:
        ValueError: another activation.
    """

    _products: ClassVar[Mapping[str, int]] = {"": 4}

    def forward(self, data: Array, hidden: Array = None, cell: Array = None) -> tuple[Array, Array]:
        """(next state, next cell) from (N, D), state and cell, each (N, num_hidden) or None for zeros."""
        by_input, by_state, bias = self.param_dict.values()
        activations = data @ by_input.T + self._state(hidden, data) @ by_state.T + bias
        n = self._num_hidden
        gates = layers.sigmoid(activations[:, : 3 * n])
        next_cell = gates[:, n : 2 * n] * self._state(cell, data) + gates[:, :n] * np.tanh(activations[:, 3 * n :])
        return gates[:, 2 * n :] * self._act(next_cell), next_cell


class GRU(_Recurrent):
    """One step of gated recurrent units (`layers.gru_step`): reset and update gate, then the candidate.

    Args:
        num_hidden: the state's length.
        act_type: of the candidate.

    Raises:
        ValueError: another activation.
    """

    _products: ClassVar[Mapping[str, int]] = {"gates": 2, "candidate": 1}

    def forward(self, data: Array, hidden: Array = None) -> Array:
        """The next state, (N, num_hidden), from (N, D) and (N, num_hidden) or None for zeros."""
        xg, hg, bg, xc, hc, bc = self.param_dict.values()
        hidden, n = self._state(hidden, data), self._num_hidden
        gates = layers.sigmoid(data @ xg.T + hidden @ hg.T + bg)
        reset, update = gates[:, :n], gates[:, n:]
        return update * hidden + (1 - update) * self._act(data @ xc.T + (reset * hidden) @ hc.T + bc)
