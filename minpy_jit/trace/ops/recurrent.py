"""Recurrent networks over whole sequences (MXNet's fused `RNN`): LSTM, GRU, and the plain cell with tanh or relu.

    lstm(x, parameters, state, cell) -> (y, state, cell)          gru, rnn_tanh, rnn_relu: without the cell

x is (time, batch, inputs), y (time, batch, directions · hidden), a state (layers · directions, batch, hidden). `parameters` is one vector:
for each layer and direction the matrices of the input and of the state, (gates · hidden, inputs) and (gates · hidden, hidden), then for
each the two bias vectors. The gates of LSTM stand in the order input, forget, candidate, output (Hochreiter and Schmidhuber, 1997; Gers
et al., 2000), those of GRU reset, update, candidate (Cho et al., 2014, with the reset gate on the state's product and bias).

The gradient is MXNet's, which reads what the forward operator kept. It has no gradient itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..op import NO_GRADIENT, TABLE, Op, Sample, Types, define
from ..types import ArrayType, Shape
from .creation import beside
from .families import FLOAT32, FLOATS
from .neural import FLOAT_SAMPLES, as_floats, float_dtype, fresh, require_at_least, through_float32

Array = np.ndarray

# oneDNN's tanh and logistic function are approximations
ULP = 256


# -- cells in NumPy -----------------------------------------------------------------------------------------------------------------------
def _sigmoid(x: Array) -> Array:
    return 0.5 * (np.tanh(0.5 * x) + 1)


@dataclass(frozen=True)
class Cell:
    """One step of a recurrent network.

    Attributes:
        name: of the entry, and MXNet's name of the mode.
        gates: how many products with the input (and with the state) it takes.
        states: 2 where it has a cell beside its state.
        forward: (product of the input, product of the state, state, cell) -> (state, cell, what the gradient needs).
        backward: (gradients of state and cell, what was kept) -> gradients of the two products, of the state directly, and of the cell.
        doc: one line.
        dtypes: those that MXNet gets right. (Beyond float32 oneDNN leaves it to MXNet's own code, whose relu rounds to float32 and whose
            gradient of the parameters is wrong for three layers of a cell other than LSTM's.)
    """

    name: str
    gates: int
    states: int
    forward: Callable[[Array, Array, Array, Any], tuple[Array, Any, tuple[Array, ...]]]
    backward: Callable[[Array, Any, tuple[Array, ...]], tuple[Array, Array, Any, Any]]
    doc: str
    dtypes: frozenset[np.dtype] = frozenset({FLOAT32})


def _lstm_forward(by_input: Array, by_state: Array, h: Array, c: Array) -> tuple[Array, Array, tuple[Array, ...]]:
    i, f, n, o = np.split(by_input + by_state, 4, axis=1)
    i, f, n, o = _sigmoid(i), _sigmoid(f), np.tanh(n), _sigmoid(o)
    after = f * c + i * n
    squashed = np.tanh(after)
    return o * squashed, after, (i, f, n, o, c, squashed)


def _lstm_backward(dh: Array, dc: Array, kept: tuple[Array, ...]) -> tuple[Array, Array, Any, Array]:
    i, f, n, o, c, squashed = kept
    dc = dc + dh * o * (1 - squashed * squashed)
    product = np.concatenate([dc * n * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - n * n), dh * squashed * o * (1 - o)], axis=1)
    return product, product, 0, dc * f


def _gru_forward(by_input: Array, by_state: Array, h: Array, c: Any) -> tuple[Array, Any, tuple[Array, ...]]:
    xr, xz, xn = np.split(by_input, 3, axis=1)
    hr, hz, hn = np.split(by_state, 3, axis=1)
    r, z = _sigmoid(xr + hr), _sigmoid(xz + hz)
    n = np.tanh(xn + r * hn)
    return (1 - z) * n + z * h, None, (r, z, n, h, hn)


def _gru_backward(dh: Array, dc: Any, kept: tuple[Array, ...]) -> tuple[Array, Array, Any, Any]:
    r, z, n, h, hn = kept
    dn = dh * (1 - z) * (1 - n * n)
    dz = dh * (h - n) * z * (1 - z)
    dr = dn * hn * r * (1 - r)
    return np.concatenate([dr, dz, dn], axis=1), np.concatenate([dr, dz, dn * r], axis=1), dh * z, None


def _tanh_forward(by_input: Array, by_state: Array, h: Array, c: Any) -> tuple[Array, Any, tuple[Array, ...]]:
    after = np.tanh(by_input + by_state)
    return after, None, (after,)


def _tanh_backward(dh: Array, dc: Any, kept: tuple[Array, ...]) -> tuple[Array, Array, Any, Any]:
    product = dh * (1 - kept[0] * kept[0])
    return product, product, 0, None


def _relu_forward(by_input: Array, by_state: Array, h: Array, c: Any) -> tuple[Array, Any, tuple[Array, ...]]:
    after = np.maximum(by_input + by_state, 0)
    return after, None, (after,)


def _relu_backward(dh: Array, dc: Any, kept: tuple[Array, ...]) -> tuple[Array, Array, Any, Any]:
    product = dh * (kept[0] > 0)
    return product, product, 0, None


# -- layers in NumPy ----------------------------------------------------------------------------------------------------------------------
def parameter_shapes(gates: int, inputs: int, hidden: int, layers: int, directions: int) -> list[Shape]:
    """The shapes of the arrays that `parameters` holds, in order."""
    rows = gates * hidden
    matrices: list[Shape] = []
    for layer in range(layers):
        columns = inputs if layer == 0 else directions * hidden
        matrices += [(rows, columns), (rows, hidden)] * directions
    return matrices + [(rows,)] * (2 * layers * directions)


def _unpacked(parameters: Array, shapes: list[Shape]) -> list[tuple[Array, Array, Array, Array]]:
    """Views of `parameters` per layer and direction: the two matrices, the two bias vectors."""
    ends = np.cumsum([int(np.prod(s)) for s in shapes])
    parts = [p.reshape(s) for p, s in zip(np.split(parameters, ends[:-1]), shapes, strict=True)]
    half = len(parts) // 2
    return list(zip(parts[0:half:2], parts[1:half:2], parts[half::2], parts[half + 1 :: 2], strict=True))


def _run_sequence(cell: Cell, x: Array, weights: tuple[Array, ...], h: Array, c: Any) -> tuple[Array, Array, Any, list[Any]]:
    """One layer in one direction: outputs, last state and cell, what the gradient needs."""
    by_input = x @ weights[0].T + weights[2]
    outputs, trail = [], []
    for step in by_input:
        before = h
        h, c, kept = cell.forward(step, h @ weights[1].T + weights[3], h, c)
        outputs.append(h)
        trail.append((before, kept))
    return np.stack(outputs), h, c, trail


def _pull_sequence(
    cell: Cell, dy: Array, dh: Array, dc: Any, x: Array, weights: tuple[Array, ...], grads: tuple[Array, ...], trail: list[Any]
) -> tuple[Array, Array, Any]:
    """The gradients of `_run_sequence` by x and by the first state and cell; those of the weights are added to `grads`."""
    dx = np.empty_like(x)
    for t in range(len(x) - 1, -1, -1):
        before, kept = trail[t]
        by_input, by_state, direct, dc = cell.backward(dh + dy[t], dc, kept)
        dx[t] = by_input @ weights[0]
        dh = by_state @ weights[1] + direct
        for grad, part in zip(grads, (by_input.T @ x[t], by_state.T @ before, by_input.sum(axis=0), by_state.sum(axis=0)), strict=True):
            grad += part
    return dx, dh, dc


class _Network:
    """All layers, forward; `pull` goes back."""

    def __init__(self, cell: Cell, x: Array, parameters: Array, states: tuple[Array, ...], layers: int, bidirectional: bool) -> None:
        self.cell, self.directions = cell, 1 + bidirectional
        self.shapes = parameter_shapes(cell.gates, x.shape[2], states[0].shape[2], layers, self.directions)
        self.weights = _unpacked(parameters, self.shapes)
        self.layers: list[tuple[Array, list[Any]]] = []
        last: list[tuple[Array, Any]] = []
        for layer in range(layers):
            parts, trails = [], []
            for d in range(self.directions):
                k = layer * self.directions + d
                along = x[::-1] if d else x
                y, h, c, trail = _run_sequence(cell, along, self.weights[k], states[0][k], states[1][k] if cell.states == 2 else None)
                parts.append(y[::-1] if d else y)
                trails.append(trail)
                last.append((h, c))
            self.layers.append((x, trails))
            x = np.concatenate(parts, axis=2)
        self.y = x
        self.last = tuple(np.stack([s[i] for s in last]) for i in range(cell.states))

    def pull(self, dy: Array, dlast: tuple[Array, ...], parameters: Array) -> tuple[Array, ...]:
        grad = np.zeros_like(parameters)
        grads = _unpacked(grad, self.shapes)
        first: list[Any] = [None] * len(self.weights)
        for layer in range(len(self.layers) - 1, -1, -1):
            x, trails = self.layers[layer]
            dx = np.zeros_like(x)
            for d, part in enumerate(np.split(dy, self.directions, axis=2)):
                k = layer * self.directions + d
                order = slice(None, None, -1 if d else 1)
                dc = dlast[1][k] if self.cell.states == 2 else None
                back, dh, dc = _pull_sequence(self.cell, part[order], dlast[0][k], dc, x[order], self.weights[k], grads[k], trails[d])
                dx += back[order]
                first[k] = (dh, dc)
            dy = dx
        return dy, grad, *(np.stack([s[i] for s in first]) for i in range(self.cell.states))


# -- entries ------------------------------------------------------------------------------------------------------------------------------
def _results(cell: Cell, types: Types, layers: int, bidirectional: bool) -> tuple[ArrayType, ...]:
    """The types of y and of the last states."""
    dtype = float_dtype(types)
    x, parameters, *states = types
    require_at_least(1, layers=layers)
    directions = 1 + bidirectional
    if x.ndim != 3 or states[0].ndim != 3:
        raise ValueError(f"x must be (time, batch, inputs) and a state (layers, batch, hidden); got {x.shape} and {states[0].shape}")
    wanted = (layers * directions, x.shape[1], states[0].shape[2])
    if any(s.shape != wanted for s in states):
        got = [s.shape for s in states]
        raise ValueError(f"states must have shape {wanted} for {layers} layer(s) in {directions} direction(s); got {got}")
    if x.shape[0] == 0:
        raise ValueError(f"x has no time step; its shape is {x.shape}")
    shapes = parameter_shapes(cell.gates, x.shape[2], wanted[2], layers, directions)
    count = sum(int(np.prod(s)) for s in shapes)
    if parameters.shape != (count,):
        raise ValueError(f"parameters must be one vector of {count} numbers; got shape {parameters.shape}")
    return fresh((*x.shape[:2], directions * wanted[2]), dtype, types), *(fresh(wanted, dtype, types) for _ in states)


def _enter(cell: Cell) -> Op:
    params = ("layers", "bidirectional")
    results = 1 + cell.states
    operands = 2 + cell.states

    def infer(*types: ArrayType, layers: int, bidirectional: bool) -> tuple[ArrayType, ...]:
        return _results(cell, types, layers, bidirectional)

    def infer_backward(*types: ArrayType, layers: int, bidirectional: bool) -> tuple[ArrayType, ...]:
        wanted = _results(cell, types[results:], layers, bidirectional)
        if any(g.shape != w.shape for g, w in zip(types, wanted, strict=False)):
            raise ValueError(f"gradients have shapes {[g.shape for g in types[:results]]}, the results {[w.shape for w in wanted]}")
        dtype = float_dtype(types)
        return tuple(fresh(t.shape, dtype, types) for t in types[results:])

    @through_float32
    def numpy(x: Array, parameters: Array, *states: Array, layers: int, bidirectional: bool) -> tuple[Array, ...]:
        network = _Network(cell, x, parameters, states, layers, bidirectional)
        return network.y, *network.last

    @through_float32
    def numpy_backward(*arrays: Array, layers: int, bidirectional: bool) -> tuple[Array, ...]:
        x, parameters, *states = arrays[results:]
        network = _Network(cell, x, parameters, tuple(states), layers, bidirectional)
        return network.pull(arrays[0], arrays[1:results], parameters)

    def forward(low: Any, xs: list[Any], types: Types, layers: int, bidirectional: bool) -> tuple[Any, dict[str, Any]]:
        attrs = {
            "mode": cell.name,
            "state_size": types[2].shape[2],
            "num_layers": layers,
            "bidirectional": int(bidirectional),
            "state_outputs": 1,
        }
        return low.shared("RNN", xs, attrs), attrs

    def lower(low: Any, xs: list[Any], types: Types, result: Any, **given: Any) -> Any:
        node, _ = forward(low, xs, types, **given)
        return [low.output(node, k) for k in range(results)]

    def lower_backward(low: Any, xs: list[Any], types: Types, result: Any, **given: Any) -> Any:
        gradients, (x, parameters, *states) = xs[:results], xs[results:]
        node, attrs = forward(low, xs[results:], types[results:], **given)
        inputs = [x, parameters, states[0], node, gradients[0], low.output(node, 1), gradients[1]]
        if cell.states == 2:
            inputs += [states[1], low.output(node, 2), gradients[2]]
        back = low.node("_backward_RNN", inputs, attrs, after=[node])
        return [low.output(back, k) for k in range(operands)]

    backward = define(
        f"{cell.name}_backward",
        family="neural",
        arity=results + operands,
        params=params,
        outputs=operands,
        infer=infer_backward,
        numpy=numpy_backward,
        operand_dtypes=as_floats,
        mxnet=lower_backward,
        mxnet_dtypes=cell.dtypes,
        vjp=NO_GRADIENT,
        ulp=ULP,
        samples=_samples(cell, True),
        doc=f"the gradients of {cell.name} by its operands",
    )

    def rule(k: int) -> Callable[..., Any]:
        def run(g: Any, ans: Any, *xs: Any, **given: Any) -> Any:
            # y may be asked for by nobody, a state by nobody
            like = next(part for part in g if part is not None)
            types = _results(cell, tuple(x.type for x in xs), **given)
            filled = [
                beside(like, TABLE["zeros"], shape=t.shape, dtype=t.dtype, context=t.context) if part is None else part
                for part, t in zip(g, types, strict=True)
            ]
            return backward(*filled, *xs, **given)[k]

        return run

    return define(
        cell.name,
        family="neural",
        arity=operands,
        params=params,
        outputs=results,
        infer=infer,
        numpy=numpy,
        operand_dtypes=as_floats,
        mxnet=lower,
        mxnet_dtypes=cell.dtypes,
        vjp=tuple(rule(k) for k in range(operands)),
        ulp=ULP,
        samples=_samples(cell, False),
        doc=cell.doc,
    )


def _samples(cell: Cell, backward: bool) -> tuple[Sample, ...]:
    found = []
    for time, batch, inputs, hidden, layers, bidirectional in ((3, 2, 3, 2, 1, False), (2, 1, 2, 3, 2, False), (3, 2, 2, 2, 2, True)):
        directions = 1 + bidirectional
        state = (layers * directions, batch, hidden)
        count = sum(int(np.prod(s)) for s in parameter_shapes(cell.gates, inputs, hidden, layers, directions))
        shapes: list[Any] = [(time, batch, inputs), (count,), *[state] * cell.states]
        if backward:
            shapes = [(time, batch, directions * hidden), *[state] * cell.states, *shapes]
        found.append(Sample(tuple(shapes), {"layers": layers, "bidirectional": bidirectional}, dtypes=FLOAT_SAMPLES, order=1))
    return tuple(found)


lstm = _enter(Cell("lstm", 4, 2, _lstm_forward, _lstm_backward, "(y, state, cell): long short-term memory over a sequence", FLOATS))
gru = _enter(Cell("gru", 3, 1, _gru_forward, _gru_backward, "(y, state): gated recurrent units over a sequence"))
rnn_tanh = _enter(Cell("rnn_tanh", 1, 1, _tanh_forward, _tanh_backward, "(y, state): the plain recurrent cell with tanh over a sequence"))
rnn_relu = _enter(Cell("rnn_relu", 1, 1, _relu_forward, _relu_backward, "(y, state): the plain recurrent cell with relu over a sequence"))
