"""Switches and sights of the whole process: mode, flush, wait, stats, the flush log, info, explain, why, caches."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from . import _version
from .config import SETTINGS, config
from .errors import locate
from .trace.compiled import is_compiled
from .trace.context import DeviceValue, num_gpus
from .trace.handle import Handle
from .trace.pytree import flatten
from .trace.recorder import current, run_lock, value_of
from .trace.region import set_explainer
from .trace.stats import FlushRecord
from .trace.stats import stats as _stats


class mode:
    """Set how operations of this thread are executed; as a context manager, for a block.

    Args:
        name: "lazy" (recorded and run when observed), "eager" (each op at once by MXNet's imperative operators) or "numpy" (each op at once
            by NumPy).

    Raises:
        ValueError: another name.
    """

    def __init__(self, name: str) -> None:
        recorder = current()
        self.before = recorder.mode
        try:
            recorder.set_mode(name)
        except BaseException:
            # what was pending failed, or Ctrl-C: nobody will call __exit__
            recorder.set_mode(self.before)
            raise

    def __enter__(self) -> mode:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        current().set_mode(self.before)


def flush(*arrays: Any) -> None:
    """Run pending work: that of `arrays` (containers too), or all of this thread's. Devices may still be at it when this returns."""
    if not arrays:
        current().flush("flush")
        return
    for leaf in flatten(arrays)[0]:
        if isinstance(leaf, Handle):
            value_of(leaf, "flush")


def wait(*arrays: Any) -> None:
    """Return when the values of `arrays` (or everything pending) have been computed."""
    flush(*arrays)
    if not arrays:
        from .exec import mx

        mx.wait_all()
    for leaf in flatten(arrays)[0]:
        if isinstance(leaf, Handle):
            value = value_of(leaf, "wait")
            if isinstance(value, DeviceValue):
                value.wait()


def stats() -> Mapping[str, Any]:
    """Counters since the start or the last `reset_stats()`.

    Returns:
        `recorded` (new steps), `steps` (steps flushed), `replayed` (steps that matched the last run's), `flushes`, `flush_causes`,
        `executor_runs`, `mxnet_nodes`, `host_steps`, `reference_runs`, `compiles`, `binds`, `cache_hits`, `fallbacks`, `fallback_sites`,
        `bytes_held`, `seconds` by stage. Of the steps that make float32 values by operations that have an MXNet lowering, by where they
        ran: `float32_executor_steps` (MXNet's operators in an executor), `float32_region_steps` (regions in one), `float32_host_steps`
        (NumPy, between executors: the lowering does not take these shapes or parameters) and `float32_reference_steps` (NumPy, the whole
        program: at its first encounter, see `config.first_run`, or to find which step fails). Copies of values
        between the host and other devices: `transfers_to_host`, `transfers_to_device`, `bytes_to_host`, `bytes_to_device`, and from device
        to device `transfers_between_devices`.
    """
    from .exec.run import plan_cache

    counts = _stats.counts.copy()
    for name in (
        "recorded",
        "steps",
        "flushes",
        "executor_runs",
        "compiles",
        "binds",
        "cache_hits",
        "fallbacks",
        "host_steps",
        "mxnet_nodes",
        "float32_executor_steps",
        "float32_region_steps",
        "float32_host_steps",
        "float32_reference_steps",
        "transfers_to_host",
        "transfers_to_device",
        "transfers_between_devices",
        "bytes_to_host",
        "bytes_to_device",
    ):
        counts.setdefault(name, 0)
    result: dict[str, Any] = dict(counts)
    result["replayed"] = max(0, counts["steps"] - counts["recorded"])
    result["flush_causes"] = dict(_stats.flush_causes)
    result["fallback_sites"] = {f"{name} at {line}": tuple(v) for (name, line), v in _stats.fallbacks.items()}
    result["bytes_held"] = plan_cache.nbytes
    result["seconds"] = dict(_stats.seconds)
    return result


def reset_stats() -> None:
    """Set the counters to zero."""
    _stats.reset()


def flush_log() -> list[FlushRecord]:
    """The last flushes: cause, the user's file:line, steps, results, executor, nodes, time."""
    return list(_stats.log)


def clear_caches() -> None:
    """Drop recorded steps, bound executors and the machine code in memory. Pending work is kept.

    Compiled code on disk (`config.cache_dir`) stays: it is keyed by content, so it is never wrong. To compile anew, remove the folder or
    set `config.cache_dir = "off"`.
    """
    from .exec import regions
    from .exec.run import plan_cache

    current().clear()
    with run_lock:
        plan_cache.clear()
        regions.clear()


def info() -> dict[str, Any]:
    """Versions, engine, threads, devices, settings and cache sizes.

    Of the caches: `trie_steps` recorded by this thread, `plans` and the `executor_bytes` that they hold, `unused_bytes` (of memory that is
    kept for the next large results), `kernels` (functions of machine code in memory) and `kernel_bytes`.
    """
    import networkx
    import numpy

    from .exec import mx, regions
    from .exec.memory import pool
    from .exec.run import plan_cache

    kernels, kernel_bytes = regions.held()
    return {
        "minpy_jit": _version.__version__,
        "python": sys.version.split()[0],
        "numpy": numpy.__version__,
        "mxnet": mx.version(),
        "networkx": networkx.__version__,
        "engine": mx.engine(),
        "synchronous": mx.synchronous(),
        "threads": mx.threads(),
        "cores": len(os.sched_getaffinity(0)),
        "gpus": num_gpus(),
        "native_code": regions.describe(),
        "recorder": "compiled" if is_compiled() else "uncompiled",
        "mode": current().mode,
        "trie_steps": current().trie_steps,
        "plans": len(plan_cache.plans),
        "executor_bytes": plan_cache.nbytes,
        "unused_bytes": pool.nbytes,
        "kernels": kernels,
        "kernel_bytes": kernel_bytes,
        "config": {name: getattr(config, name) for name in SETTINGS},
    }


@contextmanager
def _observed_log() -> Iterator[list[FlushRecord]]:
    found: list[FlushRecord] = []
    marker = _stats.log[-1] if _stats.log else None
    try:
        yield found
    finally:
        log = list(_stats.log)
        start = next((i + 1 for i, r in enumerate(log) if r is marker), 0)
        found.extend(log[start:])


def explain(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """Run `fn(*args)` three times (first encounter, compile, steady) and report what the steady run did: segments, why each was
    flushed, who ran it, its MXNet nodes and host steps, and fallbacks, with the user's lines; of the last program its steps and regions.
    """
    from .exec.describe import parts
    from .exec.run import plan_cache

    lines = [f"explain {getattr(fn, '__name__', fn)!s}"]
    for number, name in enumerate(("first call", "second call", "steady")):
        before = dict(_stats.counts)
        fallbacks = {k: list(v) for k, v in _stats.fallbacks.items()}
        with _observed_log() as log:
            result = fn(*args, **kwargs)
            for leaf in flatten(result)[0]:
                if isinstance(leaf, Handle):
                    value_of(leaf, "explain")
        delta = {k: v - before.get(k, 0) for k, v in _stats.counts.items() if v != before.get(k, 0)}
        lines.append(
            f"{name}: {len(log)} flush(es), {delta.get('executor_runs', 0)} executor run(s), {delta.get('compiles', 0)} compile(s), "
            f"{delta.get('recorded', 0)} new step(s), {delta.get('fallbacks', 0)} fallback(s)"
        )
        if number < 2:
            continue
        for k, record in enumerate(log):
            lines.append(
                f"  segment {k}: {record.steps} steps, {record.live} live, flushed by {record.cause} at {record.where}; "
                f"{record.executor}: {record.nodes} MXNet node(s), {record.host_steps} host step(s), {record.seconds * 1e6:.0f} µs"
                + (", {} array(s) to the host, {} to a device".format(*record.transfers) if any(record.transfers) else "")
            )
        for (op, line), entry in _stats.fallbacks.items():
            times = entry[0] - fallbacks.get((op, line), [0])[0]
            if times:
                lines.append(f"  fallback {op} x{times:g} at {line}")
        plan = next(reversed(plan_cache.plans.values()), None) if plan_cache.plans else None
        if plan is not None and log:
            lines.append("  program of the last plan run:")
            for i, node in enumerate(plan.graph.nodes):
                lines.append(f"    %{i} = {node!r}" + (f"   # {locate(node.site)}" if node.site else ""))
            for part in parts(plan):
                if part.kind == "region":
                    lines.append(f"  region of {len(part.nodes)} steps: {', '.join(f'%{i}' for i in part.nodes)}; {part.outline}")
            for position in plan.host_positions:
                host_op = plan.graph.nodes[position].op
                lines.append(f"  host step %{position} {host_op.name}: {host_op.doc}")
    return "\n".join(lines)


set_explainer(explain)


def why(array: Any) -> str:
    """Where a value comes from: pending (since which line, what it waits for) or materialised.

    Raises:
        TypeError: not an array of ours.
    """
    if not isinstance(array, Handle):
        raise TypeError(f"[why] needs an array of minpy_jit; got {type(array).__name__}")
    alias = array.alias
    if alias is not None and alias.base is not None:
        return f"{array.type}: a view ({' → '.join(op.name for op, _, _ in alias.chain)}) of\n  {why(alias.base)}"
    segment = array.segment
    if array.memory is not None or segment is None:
        return f"{array.type}: materialised, {array.type.nbytes} bytes on {array.type.context}"
    path = segment.cursor.path()
    needed = {array.index}
    for step in reversed(path[: array.index + 1]):
        if step.index in needed:
            needed.update(step.operands)
    step = path[array.index]
    return f"{array.type}: pending, made by {step.op.name} at {locate(step.site)}; waits for {len(needed)} of {len(path)} recorded steps"
