"""Policies: who runs what, MXNet or NumPy; and statistics of who did. MinPy's dispatch controls, kept.

A policy decides about programs, not about calls: steps are recorded for it in tries of their own, and it is asked when one of them is to be
run. While none is set nothing is asked. The modes "eager" and "numpy" decide for themselves.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from . import numpy as _namespace
from .config import config
from .errors import locate, user_line
from .exec import reference
from .exec import run as _run_module
from .exec.lower import is_native
from .exec.mx import MXNetError
from .exec.run import Outcome, compiled, execute, plan_cache
from .optimize.passes import eliminate_dead, optimize
from .trace.graph import Graph, Node, graph_of
from .trace.op import Op
from .trace.recorder import current, run_lock, set_default_policy, wrap_executor
from .trace.stats import stats
from .trace.step import CONSTANT, INPUT, PROJECT, SCALAR, Step

__all__ = [
    "AutoBlacklistPolicy",
    "OnlyMXNetPolicy",
    "OnlyNumPyPolicy",
    "Policy",
    "PolicyError",
    "PreferMXNetPolicy",
    "create",
    "get_global_policy",
    "op_stat",
    "record_op_stat",
    "set_global_policy",
    "set_policy",
    "show_op_stat",
    "wrap_policy",
]

Slots = tuple[int, ...]
# each step by itself, in NumPy
_stepwise = _run_module._run_reference
_LEAVES = (INPUT, SCALAR, CONSTANT)


class PolicyError(RuntimeError):
    """An operation that the policy forbids to run where it would."""


class Policy:
    """Who runs a program. As a context manager: for a block.

    A policy of one's own overrides `run`.
    """

    name = "policy"

    def __init__(self) -> None:
        self._before: list[Any] = []

    def run(self, end: Step, slots: Slots, inputs: Sequence[Any], scalars: Sequence[Any], once: bool) -> Any:
        """Compute the values of `slots` on the path that ends at `end`."""
        return execute(end, slots, inputs, scalars, once)

    def host_call(self, name: str) -> None:
        """Told that a function without an op of its own is about to run in NumPy."""

    def show_op_stat(self) -> None:
        """MinPy's `np.policy.show_op_stat()`: the same as `np.show_op_stat()`."""
        show_op_stat()

    def __enter__(self) -> Policy:
        _install()
        recorder = current()
        before = recorder.policy
        try:
            recorder.use_policy(self)
            self._before.append(before)
        except BaseException:
            # what was pending failed, or Ctrl-C: nobody will call __exit__
            recorder.use_policy(before)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        current().use_policy(self._before.pop())

    def __repr__(self) -> str:
        return f"<policy {self.name}>"


class PreferMXNetPolicy(Policy):
    """MXNet (and compiled kernels) where they have an operation for the types, else NumPy: what happens without a policy."""

    name = "prefer_mxnet"


class OnlyNumPyPolicy(Policy):
    """Everything in NumPy, step by step."""

    name = "only_numpy"

    def run(self, end: Step, slots: Slots, inputs: Sequence[Any], scalars: Sequence[Any], once: bool) -> Any:
        return _stepwise(eliminate_dead(graph_of(end, slots)), slots, inputs, scalars)


class OnlyMXNetPolicy(Policy):
    """Nothing in NumPy: what MXNet has no operator for is an error that names it and the user's line."""

    name = "only_mxnet"

    def run(self, end: Step, slots: Slots, inputs: Sequence[Any], scalars: Sequence[Any], once: bool) -> Any:
        allowed = end.remember().setdefault("only_mxnet", set())
        if slots in allowed or once:
            return execute(end, slots, inputs, scalars, once)
        graph = optimize(graph_of(end, slots))
        plan = plan_cache.get(graph, slots)
        if plan.host_positions:
            node = graph.nodes[plan.host_positions[0]]
            operands = ", ".join(str(graph.nodes[i].type) for i in node.operands)
            raise PolicyError(
                f"[{node.op.name}] MXNet has no operator for {operands or 'this'} (recorded at {locate(node.site)}), and the policy is "
                "'only_mxnet'; use another policy for this part"
            )
        allowed.add(slots)
        with config.override(first_run="mxnet"):
            return execute(end, slots, inputs, scalars)

    def host_call(self, name: str) -> None:
        raise PolicyError(
            f"[{name}] runs in NumPy, and the policy is 'only_mxnet'; called at {user_line()}; use another policy for this part"
        )


# -- a blacklist --------------------------------------------------------------------------------------------------------------------------
Rule = tuple[str, tuple[str, ...]]
# relative and absolute distance from NumPy's result beyond which MXNet's counts as wrong
_TOLERANCES = {"float16": (1e-2, 1e-3), "float32": (1e-3, 1e-5), "float64": (1e-7, 1e-10)}


def default_rules_file() -> Path:
    """Where rules are kept: `$MINPY_JIT_RULES`, else in the user's cache directory."""
    given = os.environ.get("MINPY_JIT_RULES")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(given) if given else Path(cache) / "minpy_jit" / "rules.json"


class Rules:
    """Operations and operand dtypes that go to NumPy, in a file that processes share.

    Writers take a lock, merge with what is there, and replace the file in one step, so that readers always see a whole one.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = default_rules_file() if path is None else Path(path)

    def read(self) -> set[Rule]:
        """The rules; none where there is no file, or a damaged one."""
        try:
            found = json.loads(self.path.read_text())
            return {(name, tuple(dtypes)) for name, several in found["rules"].items() for dtypes in several}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return set()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path.with_name(self.path.name + ".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def add(self, rules: set[Rule]) -> set[Rule]:
        """Add rules to the file; returns all of them."""
        with self._locked():
            merged = self.read() | rules
            by_name: dict[str, list[list[str]]] = {}
            for name, dtypes in sorted(merged):
                by_name.setdefault(name, []).append(list(dtypes))
            with tempfile.NamedTemporaryFile("w", dir=self.path.parent, prefix=self.path.name, delete=False) as file:
                json.dump({"version": 1, "rules": by_name}, file, indent=1)
            os.replace(file.name, self.path)
        return merged

    def reset(self) -> None:
        """Remove the file."""
        with self._locked():
            self.path.unlink(missing_ok=True)


class AutoBlacklistPolicy(Policy):
    """MXNet where it has an operation, but for those that failed or disagreed with NumPy: these go to NumPy from then on.

    Each operation is run once by itself, for each combination of operand dtypes that it is met with, and compared with NumPy.

    Args:
        gen_rule: whether new rules are made (else only those of the file hold).
        append_rule: whether new ones are written to the file.
        loc: the file (None: see `default_rules_file`).
    """

    name = "auto_blacklist"

    def __init__(self, gen_rule: bool = True, append_rule: bool = True, loc: str | os.PathLike[str] | None = None) -> None:
        super().__init__()
        self.gen_rule, self.append_rule = gen_rule, append_rule
        self.file = Rules(loc)
        self.rules: set[Rule] = self.file.read()
        self._tried: set[Rule] = set()

    def query(self, name: str | None = None) -> dict[str, list[tuple[str, ...]]]:
        """The rules: operation -> combinations of operand dtypes."""
        found: dict[str, list[tuple[str, ...]]] = {}
        for op, dtypes in sorted(self.rules):
            if name in (None, op):
                found.setdefault(op, []).append(dtypes)
        return found

    def save_rules(self) -> None:
        """Write all rules to the file."""
        self.rules = self.file.add(self.rules)

    def reset_rules(self) -> None:
        """Forget the rules, the file's too."""
        self.file.reset()
        self.rules.clear()
        self._tried.clear()

    def run(self, end: Step, slots: Slots, inputs: Sequence[Any], scalars: Sequence[Any], once: bool) -> Any:
        if once:
            return execute(end, slots, inputs, scalars, once)
        graph = optimize(graph_of(end, slots))
        memo = end.remember().setdefault("blacklist", {})
        known = memo.get((slots, len(self.rules)))
        if known is None:
            if self.gen_rule:
                self._try(graph, inputs, scalars)
            known = memo[slots, len(self.rules)] = compiled(self._rewritten(graph))
        try:
            found = known(inputs, scalars)
        except Exception:
            # step by step, so that what does not depend on it is kept
            return _stepwise(eliminate_dead(graph_of(end, slots)), slots, inputs, scalars)
        return Outcome(dict(zip(slots, found, strict=True)), {}, "mixed")

    @staticmethod
    def _rule(graph: Graph, node: Node) -> Rule:
        return node.op.name, tuple(str(graph.nodes[i].type.dtype) for i in node.operands)

    def _candidates(self, graph: Graph) -> list[int]:
        """Nodes that MXNet may take."""
        return [p for p, n in enumerate(graph.nodes) if n.op not in _LEAVES and n.op is not PROJECT and is_native(graph, n)]

    def _try(self, graph: Graph, inputs: Sequence[Any], scalars: Sequence[Any]) -> None:
        """Compare each operation that is new with NumPy."""
        new = [p for p in self._candidates(graph) if self._rule(graph, graph.nodes[p]) not in self._tried | self.rules]
        if not new:
            return
        wanted = sorted({p for k in new for p in (k, *graph.nodes[k].operands)})
        everything = Graph(graph.nodes, graph.inputs, graph.scalars, tuple(wanted))
        values = dict(zip(wanted, reference.run(everything, inputs, scalars, keep_going=True), strict=True))
        bad: set[Rule] = set()
        for position in new:
            node = graph.nodes[position]
            rule = self._rule(graph, node)
            operands = [values[i] for i in node.operands]
            if rule in self._tried or any(type(v) is reference.Poison for v in (*operands, values[position])):
                continue
            self._tried.add(rule)
            if not _agrees(graph, node, operands, values[position]):
                bad.add(rule)
        if bad:
            stats.counts["blacklisted"] += len(bad)
            self.rules |= bad
            if self.append_rule:
                self.rules |= self.file.add(bad)

    def _rewritten(self, graph: Graph) -> Graph:
        """The graph with forbidden operations as twins that only NumPy runs."""
        if not self.rules:
            return graph
        forbidden = {p for p in self._candidates(graph) if self._rule(graph, graph.nodes[p]) in self.rules}
        nodes = [Node(_host_twin(n.op), n.operands, n.params, n.type, n.site) if p in forbidden else n for p, n in enumerate(graph.nodes)]
        return Graph(tuple(nodes), graph.inputs, graph.scalars, graph.outputs)


def _agrees(graph: Graph, node: Node, operands: Sequence[Any], expected: Any) -> bool:
    """Whether MXNet computes one step as NumPy did."""
    places: dict[int, int] = {}
    leaves: list[Node] = []
    given: list[Any] = []
    numbers: list[Any] = []
    for i, value in zip(node.operands, operands, strict=True):
        if i in places:
            continue
        source = graph.nodes[i]
        places[i] = len(leaves)
        if source.op is CONSTANT:
            leaves.append(source)
        elif source.type.weak is not None:
            leaves.append(Node(SCALAR, (), (source.type.weak,), source.type))
            numbers.append(value)
        else:
            leaves.append(Node(INPUT, (), (), source.type))
            given.append(value)
    at = len(leaves)
    alone = Node(node.op, tuple(places[i] for i in node.operands), node.params, node.type, node.site)
    several = node.type if isinstance(node.type, tuple) else ()
    results = tuple(Node(PROJECT, (at,), (k,), t) for k, t in enumerate(several))
    single = Graph(
        (*leaves, alone, *results),
        tuple(k for k, n in enumerate(leaves) if n.op is INPUT),
        tuple(k for k, n in enumerate(leaves) if n.op is SCALAR),
        tuple(range(at + 1, at + 1 + len(results))) or (at,),
    )
    try:
        found = compiled(single)(given, numbers)
    except MXNetError:
        return False
    wanted = expected if several else (expected,)
    return all(_close(np.asarray(f), np.asarray(w)) for f, w in zip(found, wanted, strict=True))


def _close(found: np.ndarray, wanted: np.ndarray) -> bool:
    if wanted.dtype.kind != "f":
        return bool(np.array_equal(found, wanted))
    relative, absolute = _TOLERANCES[wanted.dtype.name]
    return bool(np.allclose(found, wanted, rtol=relative, atol=absolute, equal_nan=True))


@functools.lru_cache(None)
def _host_twin(op: Op) -> Op:
    """An entry with the same meaning that MXNet and the kernels cannot take."""
    twin = Op(
        f"{op.name} (in NumPy)",
        family="blacklisted",
        arity=op.arity,
        params=op.params,
        defaults=op.defaults,
        infer=op.infer,
        numpy=op.numpy,
        operand_dtypes=op.operand_dtypes,
        outputs=op.outputs,
        vjp=op.vjp,
        raises=op.raises,
        doc="blacklisted: MXNet failed, or gave another result than NumPy",
    )
    return twin


# -- which policy is in force -------------------------------------------------------------------------------------------------------------
_POLICIES: dict[str, type[Policy]] = {cls.name: cls for cls in (PreferMXNetPolicy, OnlyNumPyPolicy, OnlyMXNetPolicy, AutoBlacklistPolicy)}
_prefer = PreferMXNetPolicy()
_installed = False


def create(policy: str | Policy) -> Policy:
    """A policy from its name (or a policy itself).

    Raises:
        ValueError: another name.
        TypeError: neither name nor policy.
    """
    if isinstance(policy, Policy):
        return policy
    if not isinstance(policy, str):
        raise TypeError(f"[policy] takes a name or a Policy; got {type(policy).__name__}")
    if policy not in _POLICIES:
        raise ValueError(f"[policy] {policy!r} is no policy; legal values: {', '.join(map(repr, _POLICIES))}")
    return _named(policy)


@functools.lru_cache(None)
def _named(name: str) -> Policy:
    # one of each, so that what is recorded for it is found again
    return _POLICIES[name]()


def _policy_of(end: Step) -> Policy | None:
    """The policy that a path was recorded for."""
    memo = end.remember()
    if "policy" not in memo:
        root = end
        while root.parent is not None:
            root = root.parent
        memo["policy"] = None if root.memo is None else root.memo.get("policy")
    found: Policy | None = memo["policy"]
    return found


def _install() -> None:
    """From the first use on, finished paths come by here."""
    global _installed
    with run_lock:
        if not _installed:
            _installed = True
            wrap_executor(lambda usual: _run)


def _run(end: Step, slots: Slots, inputs: Sequence[Any], scalars: Sequence[Any], once: bool = False) -> Any:
    policy = _policy_of(end) or _prefer
    outcome = policy.run(end, slots, inputs, scalars, once)
    if _counting:
        _count(end, slots, outcome)
    return outcome


def set_global_policy(policy: str | Policy) -> None:
    """Make a policy that of this thread from here on, and of threads that start later. What is pending is run first.

    Args:
        policy: "prefer_mxnet" (the default), "only_numpy", "only_mxnet", "auto_blacklist", or a `Policy`.

    Raises:
        ValueError: another name.
    """
    found = create(policy)
    if found.name != _prefer.name:
        _install()
    used = None if found.name == _prefer.name else found
    set_default_policy(used)
    current().use_policy(used)


def get_global_policy() -> Policy:
    """This thread's policy."""
    found: Policy | None = current().policy
    return _prefer if found is None else found


def set_policy(policy: str | Policy) -> None:
    """MinPy's `np.set_policy`: the same as `set_global_policy`."""
    set_global_policy(policy)


def wrap_policy(policy: str | Policy) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator: the function runs under a policy, and the one before comes back however it ends. Its results are computed when it
    returns."""
    found = create(policy)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def under(*args: Any, **kwargs: Any) -> Any:
            with found:
                return function(*args, **kwargs)

        return under

    return decorate


# -- statistics ---------------------------------------------------------------------------------------------------------------------------
_counting = False
# op -> runs by (MXNet, NumPy)
_counts: dict[str, Counter[str]] = {}
_fallbacks_before: Counter[str] = Counter()


def _fallback_counts() -> Counter[str]:
    found: Counter[str] = Counter()
    for (name, _), entry in stats.fallbacks.items():
        found[name] += int(entry[0])
    return found


def record_op_stat() -> None:
    """Count from here on, anew, how often each operation is run by MXNet (kernels of ours among it) and by NumPy."""
    global _counting, _fallbacks_before
    _install()
    _counts.clear()
    _counting = True
    _fallbacks_before = _fallback_counts()


def _count(end: Step, slots: Slots, outcome: Any) -> None:
    plan = plan_cache.newest if outcome.executor in ("mxnet", "mixed") else None
    graph = eliminate_dead(graph_of(end, slots)) if plan is None else plan.graph
    on_host = None if plan is None else set(plan.host_positions)
    for position, node in enumerate(graph.nodes):
        if node.op not in _LEAVES and node.op is not PROJECT:
            where = "numpy" if on_host is None or position in on_host else "mxnet"
            _counts.setdefault(node.op.name, Counter())[where] += 1


def op_stat() -> dict[str, tuple[int, int]]:
    """Operation -> (times that MXNet ran it, times that NumPy did), since `record_op_stat()`."""
    found = {name: (c["mxnet"], c["numpy"]) for name, c in _counts.items()}
    if _counting:
        for name, count in (_fallback_counts() - _fallbacks_before).items():
            before = found.get(name, (0, 0))
            found[name] = (before[0], before[1] + count)
    return found


def show_op_stat() -> None:
    """Print how often each operation ran in MXNet and in NumPy, and the proportions.

    Raises:
        RuntimeError: `record_op_stat()` was not called.
    """
    if not _counting:
        raise RuntimeError("[show_op_stat] nothing was counted; call record_op_stat() before")
    current().flush("op_stat")
    found = op_stat()
    mxnet, numpy_ = (sum(pair[k] for pair in found.values()) for k in (0, 1))
    total = max(mxnet + numpy_, 1)
    print(f"operations: {mxnet / total:.1%} in MXNet, {numpy_ / total:.1%} in NumPy")
    width = max(map(len, found), default=0)
    for name, (by_mxnet, by_numpy) in sorted(found.items(), key=lambda item: (-sum(item[1]), item[0])):
        print(f"  {name:{width}}  MXNet {by_mxnet}  NumPy {by_numpy}")


class _PolicyInForce:
    """`np.policy`: this thread's policy, whichever it is at the moment."""

    def __getattr__(self, name: str) -> Any:
        return getattr(get_global_policy(), name)

    def __repr__(self) -> str:
        return repr(get_global_policy())


# MinPy has them in its namespaces
vars(_namespace).update({f.__name__: f for f in (set_policy, record_op_stat, show_op_stat)}, policy=_PolicyInForce())
