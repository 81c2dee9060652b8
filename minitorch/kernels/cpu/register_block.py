r"""Products of a few rows and a few vectors of columns, whose sums stay in registers from the first term to the last.

$$y_{r,j} = \sum_c a_{r,c}\, w_{c,j}$$

for so many rows that the processor always has sums to add to while others are not ready, and so many columns that what
is read of a row serves several vectors. How many are best depends on the number of registers: with a sum for each row
and vector, they should just fit.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, codegen, config, types

from .fused_conv import _compiled
from .vectors import LANES, _multiply_add, _shuffle, intrinsic, load_columns, store

__all__ = ["ROWS", "VECTORS", "multiply_rows", "register_block", "turn_columns"]

# What Numba compiles for: the processor that it runs on, or what the user asks for.
_asked = config.CPU_FEATURES  # type: ignore[attr-defined]
_features = codegen.get_host_cpu_features() if _asked is None else _asked

# Rows and vectors for 32 registers of 16 elements, and for 16 registers of 8.
ROWS, VECTORS = (8, 3) if "+avx512f" in _features.split(",") else (6, 1)


@_compiled
def turn_columns(to, w, terms) -> None:
    """Copy ``LANES`` columns, of which each lies by itself, as vectors: ``term x LANES``.

    Args:
        to: pointer to the first vector.
        w: pointer to the first column, ``LANES x term``.
        terms: of a column, four or more.
    """
    for k in range(0, terms, 4):
        at = min(k, terms - 4)
        w0, w1, w2, w3 = load_columns(w, at, terms)
        store(to, at * LANES, w0)
        store(to, (at + 1) * LANES, w1)
        store(to, (at + 2) * LANES, w2)
        store(to, (at + 3) * LANES, w3)


def register_block(rows: int, vectors: int, spread: int = 1) -> Any:
    """Make a function for compiled code that computes the products of so many rows and vectors.

    Args:
        rows: of the left factor.
        vectors: of ``LANES`` columns each.
        spread: 1, 2 or 4. Where fewer columns are wanted than a vector has, each is given so many neighbouring lanes,
            and each lane every so many-th term: lane ``spread * j + i`` multiplies terms ``i``, ``i + spread``, ... of
            column ``j``. At the end, all lanes of a column have its sum.
    """

    @intrinsic
    def multiply(
        typingctx: Any,
        y: Any,
        y_row: Any,
        y_vector: Any,
        a: Any,
        a_row: Any,
        a_term: Any,
        w: Any,
        w_term: Any,
        w_vector: Any,
        count: Any,
    ) -> Any:
        """Write the sums. The distances are in elements.

        Args:
            typingctx: Numba's, not given by callers.
            y: pointer to the first result.
            y_row: from a row of the result to the next.
            y_vector: from a vector of a row to the next.
            a: pointer to the left factor.
            a_row: from a row of it to the next.
            a_term: from one term of a row to the next; where they are spread, from the first of ``spread`` neighbours.
            w: pointer to the right factor.
            w_term: from a vector of it to that of the next term, or of the next ``spread`` terms.
            w_vector: from a vector of a term to the next.
            count: terms, divided by ``spread``.
        """

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            y, y_row, y_vector, a, a_row, a_term, w, w_term, w_vector, count = args
            vector = ir.VectorType(context.get_value_type(kind.dtype), LANES)
            neighbours = ir.VectorType(vector.element, spread)
            alignment = kind.dtype.bitwidth // 8

            def place(pointer: Any, of: Any, *steps: Any) -> Any:
                """Find a vector some steps, each so often, behind a pointer."""
                for step, times in steps:
                    times = ir.Constant(step.type, times) if isinstance(times, int) else times
                    pointer = builder.gep(pointer, [builder.mul(step, times)], inbounds=True)
                return builder.bitcast(pointer, of.as_pointer())

            zeros = ir.Constant(vector, None)
            sums = [[cgutils.alloca_once_value(builder, zeros) for _ in range(vectors)] for _ in range(rows)]
            with cgutils.for_range(builder, count) as loop:
                term = loop.index
                right = [
                    builder.load(place(w, vector, (w_term, term), (w_vector, v)), align=alignment)
                    for v in range(vectors)
                ]
                for r in range(rows):
                    read = builder.load(place(a, neighbours, (a_term, term), (a_row, r)), align=alignment)
                    left = _shuffle(builder, read, read, [i % spread for i in range(LANES)])
                    for v in range(vectors):
                        builder.store(_multiply_add(builder, left, right[v], builder.load(sums[r][v])), sums[r][v])
            for r in range(rows):
                for v in range(vectors):
                    value, step = builder.load(sums[r][v]), 1
                    while step < spread:
                        value = builder.fadd(value, _shuffle(builder, value, value, [i ^ step for i in range(LANES)]))
                        step *= 2
                    builder.store(value, place(y, vector, (y_row, r), (y_vector, v)), align=alignment)
            return context.get_dummy_value()

        kind, step = w, types.intp
        return types.void(y, step, step, a, step, step, w, step, step, step), generate

    return multiply


_multiply_vectors = register_block(ROWS, VECTORS)
_multiply_vector = register_block(ROWS, 1)


@_compiled
def multiply_rows(vectors, y, y_row, y_vector, a, a_row, a_term, w, w_term, w_vector, count) -> None:
    """Multiply ``ROWS`` rows by ``VECTORS`` vectors or by one; the rest is as :func:`register_block` has it."""
    if vectors == VECTORS:
        _multiply_vectors(y, y_row, y_vector, a, a_row, a_term, w, w_term, w_vector, count)
    else:
        _multiply_vector(y, y_row, y_vector, a, a_row, a_term, w, w_term, w_vector, count)
