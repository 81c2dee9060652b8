"""Write the kernels of element-wise operations and of the reductions that read them, as Python text for CUDA.

A thread takes one element, or one part of a fold, and walks on by the size of the grid. As on the CPU the text names
nothing of the step. Sizes and strides are arguments, for Numba takes half a second to compile a kernel for a GPU: so
sentences of another length need no new ones, and equal kernels of all programs are one.
"""

from __future__ import annotations

import linecache
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...cuda_ops import number_of
from ...kernels import elements
from ...kernels.addresses import DTYPES
from ...kernels.cuda.dropout import uniform_for
from ...kernels.cuda.launch import THREADS, Kernel, cuda, device
from ...tensor_data import strides_from_shape
from ..emit.loops import Writer, times
from ..graph import Node, Ref

__all__ = ["CudaWriter", "written"]


class CudaWriter(Writer):
    """Writes one kernel.

    Args:
        group: the nodes whose results it computes: element-wise ones of one shape, or one reduction.
        inside: the numbers of nodes that are computed in their reader's kernel.
        local: the numbers of those in the group whose result nobody else reads.
    """

    def __init__(self, group: Sequence[Node], inside: set[int], local: set[int]) -> None:
        super().__init__(group, inside, local, states=set(), batch=0, partial=False)
        self.sizes: list[int] = []  # and strides, which the kernel takes behind its operands

    def _definition(self, *arguments: str) -> str:
        operands = [f"a{k}" for k in range(len(self.text.parameters))] + [f"s{k}" for k in range(len(self.sizes))]
        # Without the ending it could be called as the function of one element that it calls.
        name = re.sub(r"\W", "", f"{self.text.title or 'copy'}_kernel")
        head = f"def {name}({', '.join([*operands, *arguments])}):"
        return "\n".join([head, *(f"    {line}" for line in self.text.lines)])

    def element_wise(self) -> str:
        """Write ``kernel(results and operands, sizes and strides, size)``."""
        self.write()
        return self._definition("size")

    def fold(self, n: int, inner: int, in_lines: bool, last: bool) -> str:
        """Write what :mod:`minitorch.kernels.cuda.fold` does, for an expression of operands.

        Args:
            n: the elements that become one, for a plain reduction along the middle of ``outer x n x inner``.
            inner: the elements of a line beside each other.
            in_lines: whether a block folds a part, and not a thread.
            last: whether the results of the parts are those of the whole.

        Returns:
            ``kernel(operands, sizes and strides, out, n[, inner], length, parts[, size])``.
        """
        node = self.node
        fn, first, _ = node.args
        real = node.dtype.name
        self._elements = node.inputs[0].size
        term = self._expression(node.inputs[0])
        names = [*dict.fromkeys(self.text.names), "sum" if fn is elements.add else fn.__name__]
        step = self._apply(fn, ["total", term], real)
        joined = self._apply(fn, ["results[t]", "results[t + half]"], real)
        found = "results[0]" if in_lines else "total"
        result = self._apply(fn, [self._literal(first, real), found], real) if last else found
        self.text.title = "_".join(names if len(names) <= 4 else [*names[:3], "and_more", names[-1]])
        width = "inner" if inner > 1 else ""
        column = ["column = i % inner", "part = i // inner % parts", "line = i // (inner * parts)"]
        if not width:
            column = ["part = i % parts", "line = i // parts"]
        at = "(line * n + k) * inner + column" if width else "line * n + k"
        body = [f"at = {at}", *self._body("at")]
        lines = self._lines_of(body, term, step, joined) if in_lines else self._columns_of(body, term, step)
        write = [f"out[i] = {result}"]
        zero = f"total = {real}(0)"
        if in_lines:
            shared = [f"results = cuda.shared.array({THREADS}, {real})", "t = cuda.threadIdx.x", "i = cuda.blockIdx.x"]
            self.text.lines = [*self.before, *shared, *column, zero, *lines, "if t == 0:", *_indented(write)]
            return self._definition("out", "n", *([width] if width else []), "length", "parts")
        loop = "for i in range(cuda.grid(1), size, cuda.gridsize(1)):"
        self.text.lines = [*self.before, loop, *_indented([*column, zero, *lines, *write])]
        return self._definition("out", "n", *([width] if width else []), "length", "parts", "size")

    @staticmethod
    def _columns_of(body: list[str], term: str, step: str) -> list[str]:
        return [
            "first = part * length",
            "for k in range(first, min(first + length, n)):",
            *_indented([*body, f"total = {term} if k == first else {step}"]),
        ]

    @staticmethod
    def _lines_of(body: list[str], term: str, step: str, joined: str) -> list[str]:
        return [
            "first = part * length + t",
            "width = min(min(length, n - part * length), cuda.blockDim.x)",
            "if t < width:",
            "    for k in range(first, min(part * length + length, n), cuda.blockDim.x):",
            *_indented(_indented([*body, f"total = {term} if k == first else {step}"])),
            "    results[t] = total",
            "while width > 1:",
            "    half = (width + 1) // 2",
            "    cuda.syncthreads()",
            "    if t + half < width:",
            f"        results[t] = {joined}",
            "    width = half",
        ]

    # --- what differs from the CPU's loops -----------------------------------------------------------------------

    def _literal(self, value: float, real: str) -> str:
        if math.isfinite(value) or "float" in real:
            return f"{real}({value!r})"  # inf and nan are names
        return f"{real}({number_of(value, np.dtype(real))})"

    def _loops(
        self,
        outs: list[tuple[Ref, str]],
        finish: Callable[[list[str]], list[str]],
        accumulate: Callable[[str], tuple[str, str]] | None = None,
    ) -> None:
        """Write the loop of a thread over its elements."""
        body = self._body("i")
        loop = "for i in range(cuda.grid(1), size, cuda.gridsize(1)):"
        results = finish([f"{operand}[i]" for _, operand in outs])
        self.text.lines += [*self.before, loop, *_indented([*body, *results])]

    def _body(self, at: str) -> list[str]:
        """Write how the element at a place of row-major order is computed from its operands."""
        whole = self.node.ref() if self.node.op != "reduce" else self.node.inputs[0]
        order = Ref(whole.node, whole.shape, strides_from_shape(whole.shape))
        walks = self._walks([(order, "")])
        dims, _ = self._dims([ref for ref, _, _ in walks])
        sizes = [n for n, _ in dims]
        lines: list[str] = []
        indexed = False
        for k, (ref, name, operand) in enumerate(walks[1:], 1):
            strides = [along[k] for _, along in dims]
            if strides == [along[0] for _, along in dims]:
                place = at
            else:
                lines += [] if indexed or not any(strides) else self._indices(at, sizes)
                indexed = indexed or any(strides)
                place = " + ".join(times(f"i{d}", self._size(s)) for d, s in enumerate(strides) if s)
            if not operand and ref.start:
                place = " + ".join(part for part in (place, str(self._size(ref.start))) if part)
            lines.append(f"{name} = {operand}[{place or 0}]" if operand else f"{name} = {place or 0}")
        return [*lines, *self.statements]

    def _size(self, value: int) -> str | int:
        """Make a size or a stride an argument, but for 1, with which nothing is multiplied."""
        if value == 1:
            return value
        self.sizes.append(value)
        return f"s{len(self.sizes) - 1}"

    def _indices(self, at: str, sizes: Sequence[int]) -> list[str]:
        """Write the index in each dimension of a place of row-major order; the outermost size does not matter."""
        lines = []
        rest = at
        for d in range(len(sizes) - 1, 0, -1):
            outer, size = f"r{d - 1}" if d > 1 else "i0", self._size(sizes[d])
            lines += [f"{outer} = {rest} // {size}", f"i{d} = {rest} - {outer} * {size}"]
            rest = outer
        return lines if len(sizes) > 1 else [f"i0 = {at}"]


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]


# --- from text to kernels --------------------------------------------------------------------------------------------

_kernels: dict[Any, Kernel] = {}


def written(text: str, functions: dict[str, Callable[..., Any]]) -> Kernel:
    """Give the one kernel of a text.

    Args:
        text: a Python function.
        functions: the functions of one element that it mentions, by name.
    """
    key = text, tuple(functions.items())
    if key not in _kernels:
        draws = {f"uniform_{8 * real.itemsize}": uniform_for(real) for real in map(np.dtype, ("float32", "float64"))}
        names = {
            **{dtype.name: dtype.type for dtype in DTYPES},
            **draws,
            **{name: device(fn) for name, fn in functions.items()},
            "cuda": cuda,
            "inf": math.inf,
            "nan": math.nan,
            "__name__": __name__,
        }
        filename = f"<minitorch CUDA kernel {len(_kernels)}>"
        linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
        exec(compile(text, filename, "exec"), names)
        _kernels[key] = Kernel(names[text[len("def ") : text.index("(")]])
    return _kernels[key]
