"""Checks in compiled kernels: each access to memory is told to a sanitizer's runtime first.

LLVM's own passes are of no use here: llvmlite does not offer them, and ThreadSanitizer's leaves out vectors wider than 16 bytes and masked
accesses, which is what kernels are made of. So the calls are written into the text of a module after its optimisation: what is checked is
what runs. An access of a form that this does not know is an error, not a gap.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

# (reads, writes) of `void (ptr, i64 bytes)`; ASan's go on after a report
RANGES = {"address": ("__asan_loadN_noabort", "__asan_storeN_noabort"), "thread": ("__tsan_read_range", "__tsan_write_range")}
# runtime.cc: `void (ptr, i64 lanes, i64 bytes of a lane, i32 whether it writes)`
MASKED = "minpy_jit_masked"

_BYTES = {"half": 2, "bfloat": 2, "float": 4, "double": 8, "ptr": 8}
_VECTOR = re.compile(r"<(\d+) x (\S+)>")
_ACCESS = re.compile(r"\s+(?:%\S+ = )?(?:load|store) ")
_INTRINSIC = re.compile(r"call .*@llvm\.(masked\.\w+|mem\w+)[\w.]*\(")
# what reads or writes memory in other forms
_OTHER = re.compile(r"\s+(?:%\S+ = )?(?:atomicrmw|cmpxchg|va_arg) ")
_OPERAND = re.compile(r"(getelementptr .*\)|[@%][^\s]+)$")


def parts(text: str) -> list[str]:
    """A list of operands, at the commas outside all brackets."""
    found, depth, begin = [], 0, 0
    for k, c in enumerate(text):
        if c in "([{<":
            depth += 1
        elif c in ")]}>":
            depth -= 1
            if depth < 0:
                return [*found, text[begin:k].strip()]
        elif c == "," and depth == 0:
            found.append(text[begin:k].strip())
            begin = k + 1
    return [*found, text[begin:].strip()]


def type_of(text: str) -> str:
    """The type that a text begins with."""
    return text[: text.index(">") + 1] if text.startswith("<") else text.split(maxsplit=1)[0]


def bits_of(type_: str) -> int:
    """Bits of a value in memory.

    Raises:
        ValueError: a type that kernels do not have.
    """
    vector = _VECTOR.fullmatch(type_)
    if vector:
        return int(vector[1]) * bits_of(vector[2])
    if type_ in _BYTES:
        return 8 * _BYTES[type_]
    if re.fullmatch(r"i\d+", type_):
        return int(type_[1:])
    raise ValueError(f"no size is known of {type_!r}")


def nbytes_of(type_: str) -> int:
    """Bytes of a value in memory."""
    return -(-bits_of(type_) // 8)


def operand(text: str) -> str:
    """The value in `type attributes value`.

    Raises:
        ValueError: it is of another form.
    """
    found = _OPERAND.search(text)
    if found is None:
        raise ValueError(f"no operand is known in {text!r}")
    return found[1]


class Instrumented:
    """A module with its checks.

    Attributes:
        text: the module.
        counts: accesses by what they are.
    """

    def __init__(self, text: str, kind: str) -> None:
        self.counts: Counter[str] = Counter()
        self._ranges = RANGES[kind]
        self._number = 0
        lines = []
        for line in text.splitlines():
            lines.extend(self._checks(line))
            lines.append(line)
        declarations = [f"declare void @{name}(ptr, i64)" for name in self._ranges]
        declarations.append(f"declare void @{MASKED}(ptr, i64, i64, i32)")
        self.text = "\n".join([*lines, *[d for d in declarations if d not in lines]])

    def _checks(self, line: str) -> Iterator[str]:
        """What comes before a line."""
        if _OTHER.match(line):
            raise ValueError(f"an access of an unknown form: {line.strip()}")
        if _ACCESS.match(line):
            writes = line.lstrip().startswith("store ")
            name = "store" if writes else "load"
            value, address = parts(line.split(f"{name} ", 1)[1].removeprefix("volatile "))[:2]
            type_ = type_of(value)
            self.counts[name + (" of a vector" if type_.startswith("<") else "")] += 1
            yield self._range(address, f"i64 {nbytes_of(type_)}", writes)
            return
        found = _INTRINSIC.search(line)
        if found is None:
            return
        name, operands = found[1], parts(line[found.end() :])
        self.counts[name] += 1
        if name in ("memcpy", "memmove"):
            yield self._range(operands[1], operands[2], False)
            yield self._range(operands[0], operands[2], True)
        elif name == "memset":
            yield self._range(operands[0], operands[2], True)
        elif name == "masked.load":
            type_ = type_of(operands[2])
            yield from self._masked(operands[0], operands[1], type_, False)
        elif name == "masked.store":
            yield from self._masked(operands[1], operands[2], type_of(operands[0]), True)
        else:
            raise ValueError(f"an access of an unknown form: {line.strip()}")

    def _range(self, address: str, count: str, writes: bool) -> str:
        return f"  call void @{self._ranges[writes]}(ptr {operand(address)}, {count})"

    def _masked(self, address: str, mask: str, type_: str, writes: bool) -> Iterator[str]:
        vector = _VECTOR.fullmatch(type_)
        assert vector is not None
        count, nbytes = int(vector[1]), nbytes_of(vector[2])
        lanes, place = f"%sanitize.{self._number}", operand(address)
        self._number += 1
        yield f"  {lanes} = bitcast {mask} to i{count}"
        if count < 64:
            yield f"  {lanes}.all = zext i{count} {lanes} to i64"
            lanes += ".all"
        if count <= 64:
            yield f"  call void @{MASKED}(ptr {place}, i64 {lanes}, i64 {nbytes}, i32 {int(writes)})"
            return
        # the runtime takes 64 at a time
        for first in range(0, count, 64):
            part, there = f"{lanes}.{first}", f"{lanes}.at.{first}"
            yield f"  {part}.up = lshr i{count} {lanes}, {first}"
            yield f"  {part} = trunc i{count} {part}.up to i64"
            yield f"  {there} = getelementptr i8, ptr {place}, i64 {first * nbytes}"
            yield f"  call void @{MASKED}(ptr {there}, i64 {part}, i64 {nbytes}, i32 {int(writes)})"
