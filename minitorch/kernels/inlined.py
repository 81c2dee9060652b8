"""Functions that become part of others, compiled in little more than half the time.

Numba gives every function machine code of its own before another one may call it: LLVM optimises and translates the
function, and does both again in each one that it is put into. A large kernel made of small functions is thus paid for
several times. An *inlined* function is only translated to LLVM's language, and optimised where it ends up: in a
function that is compiled in the usual way.

It also goes without the stages of Numba for what it does not contain: closures, comprehensions, ``with``, loops
over literals, and variables that change their type.
"""

from __future__ import annotations

from typing import Any

from numba import _dynfunc  # type: ignore[attr-defined]
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import PassManager
from numba.core.typed_passes import IRLegalization, NativeLowering, NoPythonBackend, NopythonTypeInference
from numba.core.untyped_passes import FixupArgs, IRProcessing, TranslateByteCode

__all__ = ["InlineCompiler"]


class _Code(JITCodeLibrary):
    """Code that waits to be linked into a library that will be optimised."""

    def finalize(self) -> None:
        for library in dict.fromkeys(self._linking_libraries):
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalized = True


class InlineCompiler(CompilerBase):
    """Compiles a function that becomes part of others; what ``pipeline_class`` asks for in Numba's ``jit``.

    The function can be called from compiled code alone, raises nothing and prints nothing.
    """

    def __init__(
        self, typingctx: Any, targetctx: Any, library: Any, args: Any, return_type: Any, flags: Any, locals: Any
    ) -> None:
        flags = flags.copy()
        flags.no_compile = True
        library = _Code(targetctx.codegen(), "inlined")
        super().__init__(typingctx, targetctx, library, args, return_type, flags, locals)

    def define_pipelines(self) -> list[PassManager]:
        """Give the stages from bytecode to LLVM's language that no function can do without."""
        stages = PassManager("inlined")
        stages.add_pass(TranslateByteCode, "bytecode to Numba's representation")
        stages.add_pass(FixupArgs, "parameters")
        stages.add_pass(IRProcessing, "names and their uses")
        stages.add_pass(NopythonTypeInference, "types")
        stages.add_pass(IRLegalization, "ends of lives of variables")
        stages.add_pass(NativeLowering, "LLVM's language")
        stages.add_pass(NoPythonBackend, "result")
        stages.finalize()
        return [stages]

    def _compile_core(self) -> Any:
        # Numba knows a compiled function by the Python object that calls it. This one cannot be called from Python, so
        # that the object has no code.
        result: Any = super()._compile_core()
        name = result.fndesc.qualname
        handle = _dynfunc.make_function(
            result.fndesc.lookup_module(), name, "", 0, result.environment, (result.library,)
        )
        result.target_context.insert_user_function(handle, result.fndesc, [result.library])
        return result._replace(entry_point=handle)
