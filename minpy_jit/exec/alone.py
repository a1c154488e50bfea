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
    """

    def __init__(self, json: str, name: str, count: int, is_train: bool) -> None:
        self.name, self.is_train = name, is_train
        self.names = [f"i{k}" for k in range(count)]
        mx.keep_threads()
        self.symbol = mx.package().sym.load_json(json)
        if self.symbol.list_auxiliary_states():
            raise NotImplementedError(f"[{name}] has auxiliary states, and no translation; take it out of the symbol")
        self._bound: OrderedDict[Any, Any] = OrderedDict()

    def infer(self, shapes: Sequence[tuple[int, ...]], dtypes: Sequence[np.dtype]) -> list[tuple[tuple[int, ...], np.dtype]]:
        """Shapes and dtypes of the results.

        Raises:
            ValueError: MXNet finds that they do not fit.
        """
        package = mx.package()
        try:
            _, found, _ = self.symbol.infer_shape(**dict(zip(self.names, shapes, strict=True)))
            _, kinds, _ = self.symbol.infer_type(**{n: d.type for n, d in zip(self.names, dtypes, strict=True)})
        except package.base.MXNetError as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise ValueError(f"{lines[-1].strip()} (operands: {', '.join(map(str, shapes))})") from None
        if found is None or kinds is None:
            raise ValueError(f"MXNet cannot tell the result's shape or dtype from operands of shapes {', '.join(map(str, shapes))}")
        return [(tuple(s), np.dtype(k)) for s, k in zip(found, kinds, strict=True)]

    def _executor(self, arrays: Sequence[np.ndarray], gradients: bool) -> Any:
        key = (tuple((a.shape, a.dtype) for a in arrays), gradients)
        executor = self._bound.get(key)
        package = mx.package()
        if executor is None:
            context = package.cpu()
            arguments = {n: package.nd.empty(a.shape, context, a.dtype) for n, a in zip(self.names, arrays, strict=True)}
            wanted = {n: v for n, v in arguments.items() if gradients and v.dtype in (np.float16, np.float32, np.float64)}
            kept = {n: package.nd.zeros(v.shape, context, v.dtype) for n, v in wanted.items()}
            requests = {n: "write" if n in wanted else "null" for n in self.names}
            with mx._quiet():
                executor = self.symbol.bind(context, arguments, args_grad=kept, grad_req=requests)
            self._bound[key] = executor
            stats.counts["binds"] += 1
            if len(self._bound) > _LARGEST:
                self._bound.popitem(last=False)
        self._bound.move_to_end(key)
        for name, array in zip(self.names, arrays, strict=True):
            executor.arg_dict[name][:] = np.ascontiguousarray(array)
        stats.counts["own_executor_runs"] += 1
        return executor

    def forward(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """The results."""
        executor = self._executor(arrays, False)
        return [o.asnumpy() for o in executor.forward(is_train=self.is_train)]

    def backward(self, gradients: Sequence[np.ndarray], arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The gradients of the variables (zeros for integers), given those of the results."""
        executor = self._executor(arrays, True)
        outputs = executor.forward(is_train=True)
        package = mx.package()
        heads = [package.nd.empty(o.shape, package.cpu(), o.dtype) for o in outputs]
        for head, g in zip(heads, gradients, strict=True):
            head[:] = np.ascontiguousarray(g)
        executor.backward(heads)
        found = executor.grad_dict
        return [np.zeros(a.shape, a.dtype) if found.get(n) is None else found[n].asnumpy() for n, a in zip(self.names, arrays, strict=True)]
