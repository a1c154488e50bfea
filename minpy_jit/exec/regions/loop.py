"""The loop that native code is written with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

_I64 = ir.IntType(64)


class Loop:
    """A loop that is being written: `for (i = start; i < stop; i += step)`. `unroll`: whether LLVM may write its body several times."""

    def __init__(self, builder: ir.IRBuilder, start: Any, stop: Any, step: int, carried: Sequence[Any] = (), unroll: bool = True) -> None:
        self.builder, self.step, self.unroll = builder, step, unroll
        function = builder.function
        self.before = builder.block
        self.head = function.append_basic_block()
        self.end = function.append_basic_block()
        enter = builder.icmp_signed("<", start, stop)
        builder.cbranch(enter, self.head, self.end)
        builder.position_at_end(self.head)
        self.index = builder.phi(_I64)
        self.index.add_incoming(start, self.before)
        self.carried = []
        for value in carried:
            phi = builder.phi(value.type)
            phi.add_incoming(value, self.before)
            self.carried.append(phi)
        self.initial = list(carried)
        self.stop = stop

    def close(self, carried: Sequence[Any] = ()) -> list[Any]:
        """End the body; returns the carried values after the loop."""
        builder = self.builder
        following = builder.add(self.index, ir.Constant(_I64, self.step), flags=["nsw"])
        again = builder.icmp_signed("<", following, self.stop)
        tail = builder.block
        branch = builder.cbranch(again, self.head, self.end)
        if not self.unroll:
            # a loop's name begins with itself
            module = builder.module
            name = module.add_metadata([f"loop {len(module.metadata)}"])
            name.operands = (name, module.add_metadata(["llvm.loop.unroll.disable"]))
            branch.set_metadata("llvm.loop", name)
        self.index.add_incoming(following, tail)
        for phi, value in zip(self.carried, carried, strict=True):
            phi.add_incoming(value, tail)
        builder.position_at_end(self.end)
        after = []
        for first, value in zip(self.initial, carried, strict=True):
            phi = builder.phi(value.type)
            phi.add_incoming(first, self.before)
            phi.add_incoming(value, tail)
            after.append(phi)
        return after
