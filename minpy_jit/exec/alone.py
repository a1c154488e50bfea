"""A symbol in an executor of its own, with MXNet's own backward: for operators that cannot be part of a larger graph of ours."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..trace.stats import stats
from . import mx

# executors that one symbol keeps, one per signature
_LARGEST = 8


class Alone:
    """A symbol whose variables are `i0`, `i1` …

    Args:
        json: the symbol.
        name: for errors.
        count: its variables.
        is_train: whether it runs in MXNet's training mode.
        draws: whether it draws random numbers: then a seed comes behind the values of the variables. (It is given to MXNet's generator.)

    Attributes:
        auxiliary: numbers of the variables that are auxiliary states.
    """

    def __init__(self, json: str, name: str, count: int, is_train: bool, draws: bool) -> None:
        self.name, self.is_train, self.draws = name, is_train, draws
        self.names = [f"i{k}" for k in range(count)]
        mx.keep_threads()
        self.symbol = mx.package().sym.load_json(json)
        states = set(self.symbol.list_auxiliary_states())
        self.auxiliary = tuple([k for k, n in enumerate(self.names) if n in states])
        self._bound: OrderedDict[Any, Any] = OrderedDict()

    def infer(self, shapes: Sequence[tuple[int, ...]], dtypes: Sequence[np.dtype]) -> list[tuple[tuple[int, ...], np.dtype]]:
        """Shapes and dtypes of the results.

        Raises:
            ValueError: MXNet finds that they do not fit.
        """
        package = mx.package()
        try:
            _, found, _ = self.symbol.infer_shape(**{self.names[k]: s for k, s in enumerate(shapes) if k not in self.auxiliary})
            _, kinds, _ = self.symbol.infer_type(**{self.names[k]: d.type for k, d in enumerate(dtypes) if k not in self.auxiliary})
        except package.base.MXNetError as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise ValueError(f"{lines[-1].strip()} (operands: {', '.join(map(str, shapes))})") from None
        if found is None or kinds is None:
            raise ValueError(f"MXNet cannot tell the result's shape or dtype from operands of shapes {', '.join(map(str, shapes))}")
        return [(tuple(s), np.dtype(k)) for s, k in zip(found, kinds, strict=True)]

    def _executor(self, arrays: Sequence[np.ndarray], gradients: bool) -> Any:
        """One that is ready to run with these values of the variables (and the seed)."""
        values = dict(zip(self.names, arrays, strict=False))
        key = (tuple((a.shape, a.dtype) for a in values.values()), gradients)
        executor = self._bound.get(key)
        package = mx.package()
        if executor is None:
            context = package.cpu()
            made = {n: package.nd.empty(a.shape, context, a.dtype) for n, a in values.items()}
            states = {self.names[k]: made.pop(self.names[k]) for k in self.auxiliary}
            wanted = {n: v for n, v in made.items() if gradients and v.dtype in (np.float16, np.float32, np.float64)}
            kept = {n: package.nd.zeros(v.shape, context, v.dtype) for n, v in wanted.items()}
            requests = {n: "write" if n in wanted else "null" for n in made}
            with mx._quiet():
                executor = self.symbol.bind(context, made, args_grad=kept, grad_req=requests, aux_states=states)
            self._bound[key] = executor
            stats.counts["binds"] += 1
            if len(self._bound) > _LARGEST:
                self._bound.popitem(last=False)
        self._bound.move_to_end(key)
        for name, array in values.items():
            (executor.aux_dict if name in executor.aux_dict else executor.arg_dict)[name][:] = np.ascontiguousarray(array)
        stats.counts["own_executor_runs"] += 1
        if self.draws:
            package.random.seed(int(arrays[-1][0]))
        return executor

    def forward(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """The results; in training the new values of the auxiliary states behind them."""
        moves = self.is_train and bool(self.auxiliary)
        executor = self._executor(arrays, moves)
        found = [o.asnumpy() for o in executor.forward(is_train=self.is_train)]
        if not moves:
            return found
        # MXNet moves them on the way back
        self._back(executor, [np.zeros(o.shape, o.dtype) for o in found])
        return found + [executor.aux_dict[self.names[k]].asnumpy() for k in self.auxiliary]

    def backward(self, gradients: Sequence[np.ndarray], arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The gradients of the variables (zeros for integers and states), given those of the results."""
        executor = self._executor(arrays, True)
        executor.forward(is_train=True)
        self._back(executor, gradients)
        found = executor.grad_dict
        return [
            np.zeros(a.shape, a.dtype) if found.get(n) is None else found[n].asnumpy() for n, a in zip(self.names, arrays, strict=False)
        ]

    @staticmethod
    def _back(executor: Any, gradients: Sequence[np.ndarray]) -> None:
        package = mx.package()
        heads = [package.nd.empty(o.shape, package.cpu(), o.dtype) for o in executor.outputs]
        for head, g in zip(heads, gradients, strict=True):
            head[:] = np.ascontiguousarray(g)
        executor.backward(heads)
