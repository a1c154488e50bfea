"""Machine code from LLVM modules."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import llvmlite.binding as llvm

from . import store


def _new_machine() -> Any:
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3, jit=True)


@lru_cache(maxsize=1)
def _machine() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return _new_machine()


@lru_cache(maxsize=1)
def _identity() -> str:
    """What the code depends on beside its text."""
    features = ",".join(sorted(name for name, there in llvm.get_host_cpu_features().items() if there))
    return f"{llvm.get_host_cpu_name()} {features} LLVM {llvm.llvm_version_info}"


def object_of(text: str) -> bytes:
    """The object file of a module: the one on disk, or a new one."""
    name = store.name_of(text, _identity())
    found = store.load(name)
    if found is None:
        found = compiled(text)
        store.save(name, found)
    return found


def compiled(text: str) -> bytes:
    """The object file of a module: optimised for this machine."""
    machine = _machine()
    module = llvm.parse_assembly(text)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    # vectors are written as such
    options.loop_vectorization = False
    options.slp_vectorization = False
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    return machine.emit_object(module)


class Code:
    """Machine code in memory, for as long as this object lives.

    Attributes:
        address: where the function begins.
        nbytes: of the object file.
    """

    def __init__(self, binary: bytes, name: str) -> None:
        self.nbytes = len(binary)
        _machine()
        # an engine frees its machine
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _new_machine())
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(binary))
        self._engine.finalize_object()
        self.address = self._engine.get_function_address(name)
