"""Models put together from modules: layers that make their own parameters when they meet their first batch.

    class Net(Model):
        def __init__(self):
            super().__init__(loss="softmax_loss")
            self.body = Sequential(FullyConnected(128), ReLU(), FullyConnected(10))

        def forward(self, X, mode="training"):
            return self.body(X)

    net = Net()
    updater = Updater(net, update_rule="sgd", learning_rate=0.1)
    loss = net(X, labels=y)       # forward, loss and, lazily, gradients
    updater(net.backward())

The first call runs `forward` twice: once in inference mode, to make the parameters.

A module belongs to the model that it is assigned to; its name there, `fullyconnected0` say, counts the modules of its kind, and its
parameters are called `fullyconnected0_weight`, in `model.params`. A `Solver` takes such a model like any other.
"""

from __future__ import annotations

import copy
import functools
import inspect
import operator
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any

import minpy_jit
import minpy_jit.numpy as np

from . import init, layers, optim
from .io import DataBatch, cast
from .model import ModelBase

Array = Any
Configs = dict[str, dict[str, Any]]


# -- modules -------------------------------------------------------------------------------------------------------------------------------
class Module:
    """A part of a model. `left + right`, `left - right` and `left * right` apply both to the same input and combine what they give.

    Args:
        name: unique in its model; None: made when the module is assigned to one.
    """

    _module_name: str | None = None

    def __init__(self, name: str | None = None) -> None:
        self._name = name
        self._model: Model | None = None

    @property
    def kind(self) -> str:
        """What names of such modules begin with."""
        return self._module_name or type(self).__name__.lower()

    @property
    def name(self) -> str:
        """Its name in its model; before it has one, its kind."""
        return self._name or self.kind

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module makes of its inputs. A subclass gives it."""
        raise NotImplementedError(f"[{self.name}] give forward(), what the module makes of its inputs")

    def children(self) -> Iterable[Module]:
        """The modules inside."""
        return ()

    def training(self) -> None:
        """Behave as in training, from now on."""
        for child in self.children():
            child.training()

    def inference(self) -> None:
        """Behave as in inference, from now on."""
        for child in self.children():
            child.inference()

    def __add__(self, other: Module) -> Module:
        return Add(self, other) if isinstance(other, Module) else NotImplemented

    def __sub__(self, other: Module) -> Module:
        return Sub(self, other) if isinstance(other, Module) else NotImplemented

    def __mul__(self, other: Module) -> Module:
        return Mul(self, other) if isinstance(other, Module) else NotImplemented

    def __repr__(self) -> str:
        return self.name

    def _affiliate_to(self, model: Model) -> None:
        """Become a part of the model."""
        if self._model is model:
            return
        if self._model is not None:
            raise ValueError(f"[{self.name}] belongs to another model; make a module of its own for this one")
        self._name = model._claim(self._name, self.kind)
        self._model = model
        for child in self.children():
            child._affiliate_to(model)


class Container(Module):
    """A module made of modules.

    Raises:
        TypeError: a part is no module.
    """

    def __init__(self, *modules: Module, name: str | None = None) -> None:
        super().__init__(name)
        for module in modules:
            self._require_module(module)
        self._modules = list(modules)

    def _require_module(self, module: Any) -> None:
        if not isinstance(module, Module):
            raise TypeError(f"[{self.kind}] is made of modules; got a {type(module).__name__}")

    def children(self) -> Iterable[Module]:
        """The modules inside, in order."""
        return self._modules

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def __getitem__(self, index: Any) -> Any:
        return self._modules[index]

    def insert(self, index: int, module: Module) -> None:
        """Put a module before that position."""
        self._require_module(module)
        self._modules.insert(index, module)
        if self._model is not None:
            module._affiliate_to(self._model)

    def append(self, module: Module) -> None:
        """Put a module at the end."""
        self.insert(len(self._modules), module)

    def pop(self, index: int = -1) -> Module:
        """Take a module out. (Its parameters stay in the model.)"""
        return self._modules.pop(index)

    def reverse(self) -> None:
        """Turn the order round."""
        self._modules.reverse()

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(map(repr, self._modules))})"


def as_tuple(value: Any) -> tuple[Any, ...]:
    """A tuple as it is, anything else as the only element of one."""
    return value if isinstance(value, tuple) else (value,)


class Sequential(Container):
    """Each module takes what the one before it gave; a tuple is spread over its arguments."""

    def forward(self, *args: Any) -> Any:
        """What the last module gives."""
        for module in self._modules:
            args = as_tuple(module(*args))
        return args[0] if len(args) == 1 else args


class Parallel(Container):
    """Each module takes the same input; gives the tuple of what they give."""

    def forward(self, *args: Any) -> Any:
        """What the modules give, in order."""
        return tuple([module(*args) for module in self._modules])


class Binary(Parallel):
    """Two modules take the same input, and a function of two arguments combines what they give."""

    def __init__(self, left: Module, right: Module, operator: Callable[[Any, Any], Any], name: str | None = None) -> None:
        super().__init__(left, right, name=name)
        self._operator = operator

    def forward(self, *args: Any) -> Any:
        """The combination."""
        return self._operator(*super().forward(*args))


class Add(Binary):
    """left(x) + right(x)."""

    def __init__(self, left: Module, right: Module, name: str | None = None) -> None:
        super().__init__(left, right, operator.add, name)


class Sub(Binary):
    """left(x) - right(x)."""

    def __init__(self, left: Module, right: Module, name: str | None = None) -> None:
        super().__init__(left, right, operator.sub, name)


class Mul(Binary):
    """left(x) * right(x), element by element."""

    def __init__(self, left: Module, right: Module, name: str | None = None) -> None:
        super().__init__(left, right, operator.mul, name)


# -- layers --------------------------------------------------------------------------------------------------------------------------------
# part of a parameter's name -> how it is made unless something else is said
_DEFAULT_INIT: dict[str, dict[str, Any]] = {
    "weight": {"init_rule": "xavier"},
    "gamma": {"init_rule": "constant", "value": 1.0},
    "moving_var": {"init_rule": "constant", "value": 1.0},
}
_OTHER_INIT: dict[str, Any] = {"init_rule": "constant", "value": 0.0}


class Layer(Module):
    """A module with parameters, made when it is called first.

    A subclass names its parameters in the constructor and gives `param_shapes` and `forward`; inside the model a parameter `weight` is
    called `self.weight` and read by `self._get_param(self.weight)`, an auxiliary one `mean` is called `self._mean`.

    Args:
        params: names of the parameters.
        aux_params: names of arrays that are kept beside them and not trained.
        name: of the layer.

    How parameters are made and updated is said by `init_configs` and `update_configs`, through `_register_init_configs` and
    `_register_update_configs`: `{"weight": {"init_rule": "he"}}` for one parameter, `{("weight", "bias"): {...}}` for some, and
    `{"learning_rate": 0.1}` for all.
    """

    def __init__(self, params: Iterable[str] | None = None, aux_params: Iterable[str] | None = None, name: str | None = None) -> None:
        super().__init__(name)
        self._params, self._aux_params = tuple(params or ()), tuple(aux_params or ())
        self._init_configs: Configs = {}
        for local in (*self._params, *self._aux_params):
            self._init_configs[local] = dict(next((v for part, v in _DEFAULT_INIT.items() if part in local), _OTHER_INIT))
        self._update_configs: Configs = {local: {} for local in self._params}
        self._mode = "training"
        self._name_params(lambda local: local)

    def _name_params(self, named: Callable[[str], str]) -> None:
        self._param_names = {local: named(local) for local in self._params}
        self._aux_param_names = {local: named(local) for local in self._aux_params}
        for local, name in self._param_names.items():
            setattr(self, local, name)
        for local, name in self._aux_param_names.items():
            setattr(self, f"_{local}", name)

    def _affiliate_to(self, model: Model) -> None:
        super()._affiliate_to(model)
        self._name_params(lambda local: f"{self.name}_{local}")
        for local, name in self._param_names.items():
            model._update_configs[name] = self._update_configs[local]

    # -- what parameters are like ----------------------------------------------------------------------------------------------------------
    def _register_init_configs(self, init_configs: Mapping[Any, Any] | None) -> None:
        """Say how parameters are made."""
        self._register(self._init_configs, init_configs)

    def _register_update_configs(self, update_configs: Mapping[Any, Any] | None) -> None:
        """Say how parameters are updated."""
        self._register(self._update_configs, update_configs)

    def _register(self, configs: Configs, given: Mapping[Any, Any] | None) -> None:
        local = {name: key for names in (self._param_names, self._aux_param_names) for key, name in names.items()}
        own: list[tuple[Any, Mapping[str, Any]]] = []
        for key, value in (given or {}).items():
            for part in key if isinstance(key, tuple) else (key,):
                if local.get(part, part) in configs:
                    own.append((local.get(part, part), value))
                elif isinstance(key, tuple):
                    raise KeyError(f"[{self.name}] has no parameter {part!r}; it has {', '.join(configs) or 'none'}")
                else:
                    for config in configs.values():
                        config[part] = value
        # what is said of one parameter goes before what is said of all
        for part, value in own:
            configs[part].update(value)

    def param_shapes(self, *shapes: tuple[int, ...], **named: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """The parameters' shapes by their names in the model, from the shapes of the arrays that the layer is called with."""
        return {}

    def aux_param_shapes(self, *shapes: tuple[int, ...], **named: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """The auxiliary parameters' shapes, likewise."""
        return {}

    # -- use -------------------------------------------------------------------------------------------------------------------------------
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        model = self._owner()
        missing = [n for n in self._param_names.values() if n not in model.params]
        missing += [n for n in self._aux_param_names.values() if model.aux_params.get(n) is None]
        if missing:
            self._make(missing, args, kwargs)
        return self.forward(*args, **kwargs)

    def _owner(self) -> Model:
        if self._model is None:
            raise RuntimeError(f"[{self.name}] belongs to no model yet: assign it, or what it is in, to an attribute of a Model")
        return self._model

    def _make(self, names: list[str], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        model = self._owner()
        given = [a.shape for a in args if hasattr(a, "shape")]
        named = {k: a.shape for k, a in kwargs.items() if hasattr(a, "shape")}
        shapes = {**self.param_shapes(*given, **named), **self.aux_param_shapes(*given, **named)}
        locals_ = {name: key for pairs in (self._param_names, self._aux_param_names) for key, name in pairs.items()}
        for name in names:
            if name not in shapes:
                raise ValueError(f"[{self.name}] param_shapes() says nothing of {name!r}; it has {', '.join(shapes) or 'none'}")
            config = {**self._init_configs[locals_[name]]}
            rule = config.pop("init_rule")
            made = init.initialise(shapes[name], rule, config, model.dtype)
            if name in self._param_names.values():
                model._admit(name, made)
            else:
                model.aux_params[name] = made

    def _get_param(self, param_name: str) -> Array:
        return self._owner().params[param_name]

    def _get_params(self, *param_names: str) -> tuple[Array, ...]:
        return tuple([self._get_param(name) for name in param_names])

    def _get_aux_param(self, aux_param_name: str) -> Array:
        return self._owner().aux_params[aux_param_name]

    def _get_aux_params(self, *aux_param_names: str) -> tuple[Array, ...]:
        return tuple([self._get_aux_param(name) for name in aux_param_names])

    @property
    def param_dict(self) -> dict[str, Array]:
        """Its parameters, by their names in the model."""
        return {name: self._get_param(name) for name in self._param_names.values()}

    @property
    def aux_param_dict(self) -> dict[str, Array]:
        """Its auxiliary parameters, likewise."""
        return {name: self._get_aux_param(name) for name in self._aux_param_names.values()}

    def training(self) -> None:
        """Behave as in training, from now on."""
        self._mode = "training"

    def inference(self) -> None:
        """Behave as in inference, from now on."""
        self._mode = "inference"


# -- models --------------------------------------------------------------------------------------------------------------------------------
@functools.lru_cache(maxsize=256)
def _takes_mode(function: Callable[..., Any]) -> bool:
    parameters = inspect.signature(function).parameters
    return "mode" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _leaf(taken: dict[str, Array], name: str) -> Callable[[Array, Array], Array]:
    """The identity of its second argument; the gradient that arrives there is kept under the name."""

    @minpy_jit.custom_vjp
    def leaf(anchor: Array, value: Array) -> Array:
        return value

    def backward(residuals: None, g: Array) -> tuple[None, None]:
        taken[name] = g
        return None, None

    leaf.defvjp(lambda anchor, value: (value, None), backward)
    return leaf


class Model(ModelBase):
    """A model of modules: those assigned to its attributes, in lists, tuples and dicts too, are its own.

    A subclass gives `forward(self, X, …)`; where that takes `mode`, it is told "training" or "inference".

    Args:
        loss: a function of predictions and labels, or the name of one in `nn.layers`; None: a method `loss`, if the subclass has one.
        ctx: as for `ModelBase`.
    """

    loss: Any = None

    def __init__(self, loss: str | Callable[..., Array] | None = None, ctx: Any = None) -> None:
        self._names: dict[str, int] = {}
        self._modules: list[Module] = []
        self._update_configs: Configs = {}
        self._mode = "training"
        # whether forward runs to make the parameters, which it does in inference mode: no random numbers, no running statistics
        self._making = False
        super().__init__(ctx)
        if loss is not None:
            self.loss = loss
        # parameters that `detach` took out, and those that `attach` put in
        self._detached: set[str] = set()
        self._attached: set[str] = set()
        self._gradients: dict[str, Array] | None = None
        self._result: Any = None
        # while a call is differentiated: (something that it is differentiated by, parameters made meanwhile, their gradients)
        self._watching: tuple[Array, dict[str, Array], dict[str, Array]] | None = None

    # -- modules ---------------------------------------------------------------------------------------------------------------------------
    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, (Module, Model, list, tuple, dict, set)):
            self._register(value)
        object.__setattr__(self, name, value)

    def _register(self, value: Any) -> None:
        if isinstance(value, Module):
            if "_modules" not in vars(self):
                raise AttributeError("[Model] call super().__init__() before modules are assigned")
            value._affiliate_to(self)
            if value not in self._modules:
                self._modules.append(value)
        elif isinstance(value, Model):
            raise TypeError("[Model] a model cannot be a part of another; put its modules into a Sequential and share that")
        elif isinstance(value, (list, tuple, set)):
            for element in value:
                self._register(element)
        elif isinstance(value, dict):
            for element in value.values():
                self._register(element)

    def _claim(self, name: str | None, kind: str) -> str:
        """A module's name: its own, or the next of its kind.

        Raises:
            ValueError: the name is taken.
        """
        if name is None:
            number = self._names.get(kind, 0)
            while f"{kind}{number}" in self._names:
                number += 1
            self._names[kind] = number + 1
            name = f"{kind}{number}"
        elif name in self._names:
            raise ValueError(f"[Model] there is a module {name!r} already; give this one another name")
        self._names[name] = 0
        return name

    def training(self) -> None:
        """All modules behave as in training, from now on."""
        if self._making:
            return
        self._mode = "training"
        for module in self._modules:
            module.training()

    def inference(self) -> None:
        """All modules behave as in inference, from now on."""
        self._mode = "inference"
        for module in self._modules:
            module.inference()

    # -- calls -----------------------------------------------------------------------------------------------------------------------------
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The predictions. A subclass gives it."""
        raise NotImplementedError(f"[{type(self).__name__}] give forward(X, mode='training'), the network's output")

    def __call__(
        self,
        forward_args: Any = None,
        forward_kwargs: Mapping[str, Any] | None = None,
        labels: Any = None,
        loss_kwargs: Mapping[str, Any] | None = None,
        forward: Callable[..., Any] | None = None,
        loss: str | Callable[..., Any] | None = None,
        attach_all: bool = True,
        reduce_array: bool = False,
    ) -> Any:
        """Predictions, or their loss. In training the gradients for `backward()` are recorded, and computed if somebody uses them.

        Args:
            forward_args: an array, or a tuple of arrays.
            forward_kwargs: for the forward function by name.
            labels: an array, or a tuple of arrays.
            loss_kwargs: for the loss function by name.
            forward: instead of `self.forward`.
            loss: instead of the model's loss. Without labels a loss given here is applied to the predictions alone, the model's own not.
            attach_all: whether to differentiate by all parameters but those that `detach` named; else by those that `attach` named.
            reduce_array: whether results of one element are given as scalars.

        Returns:
            The loss, or, where there is none, what `forward` returned.

        Raises:
            TypeError: `forward_kwargs` is no dict.
        """
        if forward_kwargs is not None and not isinstance(forward_kwargs, Mapping):
            raise TypeError(
                f"[Model] forward_kwargs must be a dict; got {type(forward_kwargs).__name__}; labels go by name: model(x, labels=y)"
            )
        with self.context():
            if loss is None and labels is not None:
                loss = self.loss

            def objective() -> Any:
                given = () if forward_args is None else as_tuple(forward_args)
                arguments = tuple([a if a is None else cast(a, self.dtype, self.ctx) for a in given])
                named = {k: cast(v, self.dtype, self.ctx) if hasattr(v, "dtype") else v for k, v in (forward_kwargs or {}).items()}
                predictions = self._forward(forward or self.forward, arguments, named)
                if loss is None:
                    return predictions
                targets = () if labels is None else tuple([cast(y, self.dtype, self.ctx) for y in as_tuple(labels)])
                return self._loss(loss, predictions, targets, loss_kwargs or {})

            self._gradients = None
            if self._mode == "training":
                result, gradients = self.differentiate(objective)
                wanted = [n for n in gradients if (attach_all and n not in self._detached) or n in self._attached]
                self._gradients = {name: gradients[name] for name in wanted}
            else:
                result = objective()
        if reduce_array:
            reduced = tuple([r.reshape(())[()] if r.size == 1 else r for r in as_tuple(result)])
            result = reduced if isinstance(result, tuple) else reduced[0]
        self._result = result
        return result

    def _forward(self, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if "mode" not in kwargs and _takes_mode(getattr(forward, "__func__", forward)):
            kwargs = {**kwargs, "mode": self._mode}
        return forward(*args, **kwargs)

    @staticmethod
    def _loss(loss: str | Callable[..., Any], predictions: Any, labels: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        function: Any = getattr(layers, loss, None) if isinstance(loss, str) else loss
        if function is None:
            raise ValueError(f"[Model] minpy_jit.nn.layers has no loss {loss!r}; give the name of one, or a function")
        return function(*as_tuple(predictions), *labels, **kwargs)

    def forward_batch(self, batch: DataBatch, mode: str) -> Any:
        """The predictions for a batch, in mode "train" or "test": `forward` of all its data arrays."""
        if layers.is_training(mode, "forward_batch"):
            self.training()
        else:
            self.inference()
        return self._forward(self.forward, tuple(batch.data), {})

    def loss_batch(self, batch: DataBatch, predict: Any) -> Any:
        """The loss of the predictions for a batch, with all its label arrays."""
        if self.loss is None:
            raise ValueError("[Model] has no loss; give one to the constructor, or a method loss(predictions, labels)")
        return self._loss(self.loss, predict, tuple(batch.label), {})

    # -- gradients -------------------------------------------------------------------------------------------------------------------------
    def differentiate(self, objective: Callable[[], Any]) -> tuple[Any, dict[str, Array]]:
        """As `ModelBase.differentiate`. Without parameters `objective` runs once more before, to make them; later ones may be made on the
        way."""
        if not self.params:
            self._make_parameters(objective)
        taken: dict[str, Array] = {}
        made: dict[str, Array] = {}

        def of(params: dict[str, Array]) -> Any:
            # what is differentiated by whatever happens: the way on which gradients of parameters made meanwhile come out
            anchor = next(iter(params.values()))
            own = {name: value for name, value in params.items() if name}
            self._watching = (anchor, made, taken)
            try:
                with self._holding(own):
                    return objective()
            finally:
                self._watching = None

        value, gradients = minpy_jit.value_and_grad(of)(self.params or {"": np.zeros((), self.dtype)})
        gradients.pop("", None)
        self.params.update(made)
        for name, parameter in made.items():
            gradients[name] = taken[name] if name in taken else np.zeros_like(parameter)
        return value, gradients

    def _make_parameters(self, objective: Callable[[], Any]) -> None:
        mode = self._mode
        self.inference()
        self._making = True
        try:
            objective()
        finally:
            self._making = False
            if mode == "training":
                self.training()
        # values from the start: the first step is then the same program as those after it
        minpy_jit.flush(self.params, self.aux_params)

    def _admit(self, name: str, value: Array) -> None:
        """A new parameter."""
        if self._watching is None:
            self.params[name] = value
            return
        anchor, made, taken = self._watching
        made[name] = value
        self.params[name] = _leaf(taken, name)(anchor, value)

    def backward(self, upstream: Any = None) -> dict[str, Array]:
        """The gradients of the last call's result by the parameters.

        Args:
            upstream: what a scalar result's gradients are multiplied with; None: 1. Gradients of other results are those of their sum.

        Returns:
            Arrays by parameter name.

        Raises:
            RuntimeError: there was no call, or it was in inference mode.
            ValueError: `upstream` for a result that is not a scalar.
        """
        if self._gradients is None:
            raise RuntimeError("[backward] there is nothing to differentiate: call the model first, in training mode (model.training())")
        if upstream is None:
            return dict(self._gradients)
        if isinstance(self._result, tuple) or self._result.size != 1:
            raise ValueError("[backward] upstream needs a scalar result; give the call a loss that multiplies with it and sums")
        factor = np.asarray(upstream).reshape(())
        return {name: g * factor.astype(g.dtype) for name, g in self._gradients.items()}

    def grad_and_loss(self, data: Any, labels: Any) -> tuple[dict[str, Array], Any]:
        """Call the model with labels, and `backward()`.

        Args:
            data: an array, or a tuple of arrays.
            labels: an array, or a tuple of arrays.

        Returns:
            (the gradients by parameter name, the loss).
        """
        loss = self(data, labels=labels)
        return self.backward(), loss

    def grad(self, data: Any, labels: Any) -> dict[str, Array]:
        """The gradients that `grad_and_loss` gives."""
        return self.grad_and_loss(data, labels)[0]

    def attach(self, name: str) -> Model:
        """Differentiate by that parameter again, from the next call on."""
        self._detached.discard(name)
        self._attached.add(name)
        return self

    def detach(self, name: str) -> Model:
        """Do not differentiate by that parameter, from the next call on: `backward()` leaves it out."""
        self._attached.discard(name)
        self._detached.add(name)
        return self


# -- updates -------------------------------------------------------------------------------------------------------------------------------
class _Settings:
    """The settings of one parameter as attributes."""

    def __init__(self, config: dict[str, Any]) -> None:
        object.__setattr__(self, "_config", config)

    def __getattr__(self, name: str) -> Any:
        config = vars(self).get("_config", {})
        if name not in config:
            raise AttributeError(f"[Updater] no setting {name!r}; settings: {', '.join(config)}")
        return config[name]

    def __setattr__(self, name: str, value: Any) -> None:
        vars(self)["_config"][name] = value


class Updater:
    """Updates a model's parameters: `updater(model.backward())`.

    Settings are attributes: `updater.learning_rate = 0.01` for all parameters, `updater["fullyconnected0_weight"].learning_rate = 0.1` for
    one. What layers were told in their `update_configs` goes before what is given here.

    Args:
        model: a `Model`, or any `ModelBase`.
        update_rule: a rule of `nn.optim` (its name, or a function).
        settings: what the rule takes.
    """

    def __init__(self, model: ModelBase, update_rule: str | optim.Rule = "sgd", **settings: Any) -> None:
        own: Configs = copy.deepcopy(getattr(model, "_update_configs", {}))
        vars(self).update(_model=model, _configs=own, _common={"update_rule": update_rule, **settings})
        for config in own.values():
            for name, value in self._common.items():
                config.setdefault(name, value)

    _model: ModelBase
    _configs: Configs
    _common: dict[str, Any]

    def _config(self, param_name: str) -> dict[str, Any]:
        return self._configs.setdefault(param_name, dict(self._common))

    def __call__(self, grad_dict: Mapping[str, Array]) -> None:
        """Update the parameters that gradients are given for."""
        for name, gradient in grad_dict.items():
            config = self._config(name)
            rule = optim.lookup(config["update_rule"])
            self._model.params[name], changed = rule(self._model.params[name], gradient, config)
            config.update(changed)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            # a copy has nothing yet when copy and pickle ask it
            raise AttributeError(name)
        found = [config[name] for config in (*self._configs.values(), self._common) if name in config]
        if not found:
            raise AttributeError(f"[Updater] no setting {name!r}")
        if any(value is not found[0] and value != found[0] for value in found):
            raise AttributeError(f"[Updater] the parameters differ in {name!r}; ask for one: updater[name].{name}")
        return found[0]

    def __setattr__(self, name: str, value: Any) -> None:
        for config in (*self._configs.values(), self._common):
            config[name] = value

    def __getitem__(self, param_name: str) -> _Settings:
        return _Settings(self._config(param_name))

    def __setitem__(self, param_name: str, config: Mapping[str, Any]) -> None:
        self._configs[param_name] = {**self._common, **copy.deepcopy(dict(config))}

    def keys(self) -> KeysView[str]:
        """The parameters' names."""
        return self._configs.keys()

    def values(self) -> ValuesView[dict[str, Any]]:
        """The parameters' settings."""
        return self._configs.values()

    def items(self) -> ItemsView[str, dict[str, Any]]:
        """Names and settings."""
        return self._configs.items()
