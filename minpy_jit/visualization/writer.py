"""The writer of event files. Values stay lazy until a batch of them is written, so that logging does not cut a program into pieces."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np

from ..optimize.passes import eliminate_dead
from ..trace.graph import Graph, graph_of
from ..trace.handle import Handle
from ..trace.op import TABLE
from ..trace.pure import PureRegion
from ..trace.recorder import observe
from .summaryOps import Summary, histogramSummary, imageSummary, scalarSummary

# values held back before they are written together
_BATCH = 64


def event_file_writer() -> Any:
    """TensorBoard's own class that writes event files.

    Raises:
        ImportError: the package `tensorboard` is not installed.
    """
    try:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError as error:
        raise ImportError(f"[visualization] needs the package tensorboard ({error}); pip install 'minpy-jit[tensorboard]'") from None
    return EventFileWriter


class SummaryWriter:
    """Writes TensorBoard's event files.

    Args:
        logdir: the directory, made where there is none.
        flush_secs: how long values may be held back, in seconds.

    Raises:
        ImportError: the package `tensorboard` is not installed.
    """

    def __init__(self, logdir: str | os.PathLike[str], flush_secs: float = 120.0) -> None:
        make = event_file_writer()
        self.logdir = os.fspath(logdir)
        self._writer = make(self.logdir)
        self._flush_secs = flush_secs
        self._held: list[tuple[Summary, int, float]] = []
        self._closed = False

    def add_summary(self, summary: Summary, step: int = 0) -> None:
        """Log a summary (see `summaryOps`). An array of ours is noted as it is now, and computed when it is written."""
        if self._closed:
            raise ValueError(f"[SummaryWriter] the writer of {self.logdir} is closed")
        value = summary.value
        if isinstance(value, Handle):
            # another name of the same value, whatever happens to the array
            summary = summary._replace(value=TABLE["watch"](value))
        elif isinstance(value, np.ndarray):
            summary = summary._replace(value=value.copy())
        now = time.time()
        self._held.append((summary, int(step), now))
        if len(self._held) >= _BATCH or now - self._held[0][2] > self._flush_secs:
            self._write()

    def add_scalar(self, tag: str, value: Any, step: int = 0) -> None:
        """Log one number."""
        self.add_summary(scalarSummary(tag, value), step)

    def add_histogram(self, tag: str, values: Any, step: int = 0, bins: int = 30) -> None:
        """Log how an array's elements are spread."""
        self.add_summary(histogramSummary(tag, values, bins), step)

    def add_image(self, tag: str, image: Any, step: int = 0) -> None:
        """Log a picture: (height, width[, channels]), floats from 0 to 1 or uint8."""
        self.add_summary(imageSummary(tag, image), step)

    def add_graph(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Log the graph that a function records when it is called with these arguments. (As with `trace(pure=True)`, it may not look at
        values.)

        Raises:
            TraceError: it does.
        """
        from tensorboard.compat.proto.event_pb2 import Event

        region = PureRegion(function, getattr(function, "__name__", "function"))
        held = region(*args, **kwargs)
        if not region.programs:
            raise ValueError("[add_graph] must be called in lazy mode, outside of grad() and of traced functions")
        (program,) = region.programs.values()
        graph = eliminate_dead(graph_of(program.end, program.slots))
        self._writer.add_event(Event(wall_time=time.time(), graph_def=_graph_def(graph).SerializeToString()))
        del held

    def restart(self, step: int) -> None:
        """What earlier files of the directory hold of this step and later ones is taken back: TensorBoard shows what comes from here on.

        It reads files in the order of their names, which begin with the second in which they were made.
        """
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        self._write()
        self._writer.add_event(Event(wall_time=time.time(), step=step, session_log=SessionLog(status=SessionLog.START)))

    def _write(self) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary as Written

        while self._held:
            # taken first: one that cannot be written does not stop those after it for good
            summary, step, wall_time = self._held.pop(0)
            value = summary.value
            array = observe(value, "summary") if isinstance(value, Handle) else np.asarray(value)
            made = Written()
            summary.fill(made.value.add(tag=summary.tag), array)
            self._writer.add_event(Event(wall_time=wall_time, step=step, summary=made))

    def flush(self) -> None:
        """Write what is held back."""
        self._write()
        self._writer.flush()

    def close(self) -> None:
        """Write what is held back, and end the file."""
        if not self._closed:
            self._closed = True
            try:
                self._write()
            finally:
                self._writer.close()

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


# MinPy's name
LegacySummaryWriter = SummaryWriter


def _graph_def(graph: Graph) -> Any:
    """A graph as TensorBoard shows it: one node per step, with its parameters and the shape of its result."""
    from tensorboard.compat.proto.attr_value_pb2 import AttrValue
    from tensorboard.compat.proto.graph_pb2 import GraphDef
    from tensorboard.compat.proto.node_def_pb2 import NodeDef
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

    names = [f"{node.op.name}_{k}" for k, node in enumerate(graph.nodes)]
    made = GraphDef()
    for name, node in zip(names, graph.nodes, strict=True):
        results = node.type if isinstance(node.type, tuple) else (node.type,)
        shapes = [TensorShapeProto(dim=[TensorShapeProto.Dim(size=n) for n in t.shape]) for t in results]
        attributes = {k: AttrValue(s=repr(v).encode()) for k, v in node.op.named(node.params).items()}
        attributes["_output_shapes"] = AttrValue(list=AttrValue.ListValue(shape=shapes))
        attributes["dtype"] = AttrValue(s=", ".join(str(t.dtype) for t in results).encode())
        operands = [names[i] for i in node.operands]
        made.node.append(NodeDef(name=name, op=node.op.name, input=operands, device=repr(results[0].context), attr=attributes))
    return made
