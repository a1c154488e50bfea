"""Policies under MinPy's module name; see `minpy_jit.policy`."""

from __future__ import annotations

from ..policy import (
    AutoBlacklistPolicy,
    OnlyMXNetPolicy,
    OnlyNumPyPolicy,
    Policy,
    PolicyError,
    PreferMXNetPolicy,
    create,
    wrap_policy,
)

# MinPy's name
PrimitivePolicyError = PolicyError

__all__ = [
    "AutoBlacklistPolicy",
    "OnlyMXNetPolicy",
    "OnlyNumPyPolicy",
    "Policy",
    "PreferMXNetPolicy",
    "PrimitivePolicyError",
    "create",
    "wrap_policy",
]
