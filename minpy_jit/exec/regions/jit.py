"""Machine code from LLVM modules."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import llvmlite.binding as llvm
from llvmlite.binding.ffi import ObjectRef

from . import store


def _new_machine(opt: int = 3) -> Any:
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=opt, jit=True)


@lru_cache(maxsize=2)
def machine(opt: int = 3) -> Any:
    """What writes code for this processor, `opt`: with how much care (0 to 3)."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return _new_machine(opt)


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
    return emitted(optimized(text))


def parsed(text: str) -> Any:
    """A module, in a context of its own: a context keeps the types, constants and lists of attributes that were ever met in it (1 MB for
    a module of a few hundred operations)."""
    module = llvm.parse_assembly(text, llvm.create_context())
    module.verify()
    return module


def optimized(text: str) -> Any:
    """A module after LLVM's passes."""
    module = parsed(text)
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    # vectors are written as such
    options.loop_vectorization = False
    options.slp_vectorization = False
    passes = llvm.create_pass_builder(machine(), options)
    manager = passes.getModulePassManager()
    manager.run(module, passes)
    # llvmlite from 0.45 on (seen in 0.50) inherits an empty `_dispose` before the one that frees it: 0.1 MB for each module
    disposers = [vars(c)["_dispose"] for c in type(manager).__mro__ if c is not ObjectRef and "_dispose" in vars(c)]
    disposers[0](manager)
    manager.detach()
    return module


def emitted(module: Any) -> bytes:
    """The object file of a module as it is."""
    return machine().emit_object(module)


class Code:
    """Machine code in memory, for as long as this object lives.

    Attributes:
        address: where the function begins.
        nbytes: of the object file.
        outline: what it runs, in words.
    """

    def __init__(self, binary: bytes, name: str, outline: str = "") -> None:
        self.nbytes = len(binary)
        self.outline = outline
        machine()
        # an engine frees its machine
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _new_machine())
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(binary))
        self._engine.finalize_object()
        self.address = self._engine.get_function_address(name)
