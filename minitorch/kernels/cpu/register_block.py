r"""Products of a few rows and a few vectors of columns, whose sums stay in registers from the first term to the last.

$$y_{r,j} = \sum_c a_{r,c}\, w_{c,j}$$

for so many rows that the processor always has sums to add to while others are not ready, and so many columns that what
is read of a row serves several vectors. How many are best depends on the number of registers: with a sum for each row
and vector, they should just fit.
"""

from __future__ import annotations

from typing import Any

from llvmlite import binding, ir
from numba.core import cgutils, types

from .vectors import LANES, _multiply_add, _shuffle, intrinsic

__all__ = ["ROWS", "VECTORS", "register_block"]

# Rows and vectors for 32 registers of 16 elements, and for 16 registers of 8.
ROWS, VECTORS = (8, 3) if binding.get_host_cpu_features().get("avx512f") else (6, 1)


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
        to: Any,
        y_row: Any,
        y_step: Any,
        a: Any,
        first: Any,
        a_step: Any,
        w: Any,
        at: Any,
        w_step: Any,
        count: Any,
    ) -> Any:
        """Write the sums.

        Args:
            typingctx: Numba's, not given by callers.
            y: where to.
            to: its first element.
            y_row: elements from a row to the next one.
            y_step: elements from a vector of a row to the next one.
            a: the left factor; terms lie side by side.
            first: its first element.
            a_step: elements from a row to the next.
            w: the right factor: ``LANES`` columns, and behind them those of the next ``spread`` terms.
            at: its first element.
            w_step: elements from a vector to the next one.
            count: terms, divided by ``spread``.
        """

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            y, to, y_row, y_step, a, first, a_step, w, at, w_step, count = args
            vector = ir.VectorType(context.get_value_type(w_type.dtype), LANES)
            alignment = w_type.dtype.bitwidth // 8

            def place(pointer: Any, start: Any, step: Any, number: int, kind: Any) -> Any:
                index = builder.add(start, builder.mul(step, ir.Constant(step.type, number)))
                return builder.bitcast(builder.gep(pointer, [index], inbounds=True), kind.as_pointer())

            sums = [
                [cgutils.alloca_once_value(builder, ir.Constant(vector, None)) for _ in range(vectors)]
                for _ in range(rows)
            ]
            with cgutils.for_range(builder, count) as loop:
                term = builder.mul(loop.index, ir.Constant(loop.index.type, spread))
                column = builder.mul(loop.index, ir.Constant(loop.index.type, LANES))
                factors = [
                    builder.load(place(w, builder.add(at, column), w_step, v, vector), align=alignment)
                    for v in range(vectors)
                ]
                some = ir.VectorType(vector.element, spread)
                for r in range(rows):
                    terms = builder.load(place(a, builder.add(first, term), a_step, r, some), align=alignment)
                    left = _shuffle(builder, terms, terms, [i % spread for i in range(LANES)])
                    for v in range(vectors):
                        added = _multiply_add(builder, left, factors[v], builder.load(sums[r][v]))
                        builder.store(added, sums[r][v])
            for r in range(rows):
                for v in range(vectors):
                    value = builder.load(sums[r][v])
                    step = 1
                    while step < spread:
                        value = builder.fadd(value, _shuffle(builder, value, value, [i ^ step for i in range(LANES)]))
                        step *= 2
                    row = builder.add(to, builder.mul(y_row, ir.Constant(to.type, r)))
                    target = place(y, row, y_step, v, vector)
                    builder.store(value, target, align=alignment)
            return context.get_dummy_value()

        w_type = w
        whole = types.intp
        return types.void(y, whole, whole, whole, a, whole, whole, w, whole, whole, whole), generate

    return multiply
