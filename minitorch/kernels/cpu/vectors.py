"""Short vectors as values in compiled code: 16 neighbouring elements of an array, held in registers.

Numba's loops become vector instructions by LLVM's analysis, which costs compile time at every loop, guards against
arrays that overlap, and a slow remainder. Where a loop is the whole point, it is written with these functions instead.
They work in compiled functions only. No index is checked and none counts from the end; sixteen elements from it on
must be there.

Elements are found in a flat array or by a pointer, as :func:`numbers_at` makes one: ``p[i]`` reads and writes element
``i``. A pointer is one word where an array is a structure of seven, and Numba compiles loops over it in two thirds of
the time.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.core.datamodel.registry import register_default
from numba.extending import intrinsic as _intrinsic

__all__ = [
    "LANES",
    "add",
    "as_written",
    "at_least",
    "broadcast",
    "choose",
    "counting",
    "element",
    "fill",
    "first_maximum",
    "goes_before",
    "greater",
    "larger",
    "load",
    "load_between",
    "load_columns",
    "load_part",
    "multiply_add",
    "numbers_at",
    "skip",
    "store",
    "store_columns",
    "store_element",
    "store_part",
    "subtract",
    "total",
]

# Elements of the widest vector, 64 bytes of float32.
LANES = 16

# A function decorated with it is called without the first argument, which type checkers do not know.
intrinsic: Any = _intrinsic


class VectorType(types.Type):
    """The type, to Numba, of a vector of ``LANES`` elements."""

    def __init__(self, dtype: types.Type) -> None:
        self.dtype = dtype
        super().__init__(name=f"Vector({dtype})")


@register_default(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: VectorType) -> None:
        marks = vector.dtype == types.boolean
        element_type = ir.IntType(1) if marks else manager.lookup(vector.dtype).get_value_type()
        super().__init__(manager, vector, ir.VectorType(element_type, LANES))


def _address(context: Any, builder: Any, kind: Any, first: Any, index: Any) -> Any:
    if isinstance(kind, types.Array):
        first = context.make_array(kind)(context, builder, first).data
    return builder.gep(first, [index], inbounds=True)


def _splat(builder: Any, value: Any) -> Any:
    vector = ir.VectorType(value.type, LANES)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), zeros)


@intrinsic
def numbers_at(typingctx: Any, place: Any, dtype: Any) -> Any:
    """Take what lies at an address, or where a pointer points, for numbers of a type: a pointer to the first one."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = context.get_value_type(signature.return_type)
        return (builder.inttoptr if place == types.int64 else builder.bitcast)(args[0], pointer)

    return types.CPointer(dtype.dtype)(place, dtype), generate


@intrinsic
def skip(typingctx: Any, pointer: Any, count: Any) -> Any:
    """Move a pointer over ``count`` elements."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]], inbounds=True)

    return pointer(pointer, types.intp), generate


@intrinsic
def as_written(typingctx: Any) -> Any:
    """Keep LLVM from making copies of the loop in which this stands: no unrolling, no vectors, no special cases.

    It is no instruction. Loops that move data around are bound by memory, and all those copies of them took half of
    the time to compile.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        nothing = ir.InlineAsm(ir.FunctionType(ir.VoidType(), []), "", "", side_effect=True)
        builder.call(nothing, [], attrs=("convergent", "nounwind", "readnone"))
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def load(typingctx: Any, array: Any, index: Any) -> Any:
    """Read the elements of a flat array from ``index`` on."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _address(context, builder, signature.args[0], args[0], args[1])
        vector = context.get_value_type(signature.return_type)
        return builder.load(builder.bitcast(address, vector.as_pointer()), align=array.dtype.bitwidth // 8)

    return VectorType(array.dtype)(array, types.intp), generate


@intrinsic
def store(typingctx: Any, array: Any, index: Any, vector: Any) -> Any:
    """Write a vector to a flat array, from ``index`` on."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _address(context, builder, signature.args[0], args[0], args[1])
        pointer = builder.bitcast(address, args[2].type.as_pointer())
        builder.store(args[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


@intrinsic
def element(typingctx: Any, array: Any, index: Any) -> Any:
    """Read one element of a flat array."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_address(context, builder, signature.args[0], args[0], args[1]))

    return array.dtype(array, types.intp), generate


@intrinsic
def store_element(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Write one element of a flat array."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _address(context, builder, signature.args[0], args[0], args[1]))
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype), generate


@intrinsic
def broadcast(typingctx: Any, array: Any, index: Any) -> Any:
    """Read one element of a flat array into all places of a vector."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _splat(builder, builder.load(_address(context, builder, signature.args[0], args[0], args[1])))

    return VectorType(array.dtype)(array, types.intp), generate


@intrinsic
def fill(typingctx: Any, like: Any, value: Any) -> Any:
    """Put one number into all places of a vector, in the type of an array's elements."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _splat(builder, args[1])

    return VectorType(like.dtype)(like, like.dtype), generate


def _multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    name = f"llvm.fmuladd.v{LANES}{a.type.element.intrinsic_name}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(a.type, [a.type] * 3), name)
    return builder.call(function, [a, b, c])


@intrinsic
def multiply_add(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """Compute ``a * b + c``, with one rounding where the processor can."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _multiply_add(builder, *args)

    return a(a, a, a), generate


def _shuffle(builder: Any, a: Any, b: Any, places: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places))


@intrinsic
def store_columns(typingctx: Any, array: Any, index: Any, step: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """Write the first elements of four vectors side by side, ``step`` elements further the second ones, and so on."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values, index, step, *rows = args
        halves = range(0, LANES, LANES // 2)
        for start in halves:
            pairs = [j for i in range(start, start + LANES // 2) for j in (i, LANES + i)]
            ab, cd = _shuffle(builder, rows[0], rows[1], pairs), _shuffle(builder, rows[2], rows[3], pairs)
            for i in range(LANES // 2):
                column = _shuffle(builder, ab, cd, [2 * i, 2 * i + 1, LANES + 2 * i, LANES + 2 * i + 1])
                at = builder.add(index, builder.mul(step, ir.Constant(step.type, start + i)))
                address = _address(context, builder, signature.args[0], values, at)
                pointer = builder.bitcast(address, column.type.as_pointer())
                builder.store(column, pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, a, a, a, a), generate


@intrinsic
def load_columns(typingctx: Any, array: Any, index: Any, step: Any) -> Any:
    """Read what :func:`store_columns` writes: four vectors."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values, index, step = args
        vector = context.get_value_type(VectorType(array.dtype))
        column = ir.VectorType(vector.element, 4)
        pieces = []
        for i in range(LANES):
            at = builder.add(index, builder.mul(step, ir.Constant(step.type, i)))
            address = _address(context, builder, signature.args[0], values, at)
            pieces.append(builder.load(builder.bitcast(address, column.as_pointer()), align=array.dtype.bitwidth // 8))
        while len(pieces) > 4:
            every = list(range(2 * pieces[0].type.count))
            pieces = [_shuffle(builder, a, b, every) for a, b in zip(pieces[::2], pieces[1::2], strict=True)]
        rows = []
        for row in range(4):
            picked = list(range(row, 2 * LANES, 4))
            low = _shuffle(builder, pieces[0], pieces[1], picked)
            high = _shuffle(builder, pieces[2], pieces[3], picked)
            rows.append(_shuffle(builder, low, high, list(range(LANES))))
        return context.make_tuple(builder, signature.return_type, rows)

    return types.UniTuple(VectorType(array.dtype), 4)(array, types.intp, types.intp), generate


@intrinsic
def add(typingctx: Any, a: Any, b: Any) -> Any:
    """Compute ``a + b``."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fadd(*args)

    return a(a, a), generate


@intrinsic
def subtract(typingctx: Any, a: Any, b: Any) -> Any:
    """Compute ``a - b``."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fsub(*args)

    return a(a, a), generate


@intrinsic
def total(typingctx: Any, vector: Any) -> Any:
    """Sum the elements of a vector, in pairs of pairs."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        scalar = args[0].type.element
        name = f"llvm.vector.reduce.fadd.v{LANES}f{vector.dtype.bitwidth}"
        kind = ir.FunctionType(scalar, [scalar, args[0].type])
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(function, [ir.Constant(scalar, 0.0), args[0]], fastmath=["reassoc"])

    return vector.dtype(vector), generate


def _before(builder: Any, count: Any) -> Any:
    """Mark the first ``count`` places."""
    numbers = ir.Constant(ir.VectorType(count.type, LANES), list(range(LANES)))
    return builder.icmp_signed("<", numbers, _splat(builder, count))


def _load_marked(context: Any, builder: Any, signature: Any, args: Any, mask: Any) -> Any:
    """Read the marked places of a vector; zeros elsewhere."""
    address = _address(context, builder, signature.args[0], args[0], args[1])
    vector = context.get_value_type(signature.return_type)
    pointer = builder.bitcast(address, vector.as_pointer())
    bits = signature.return_type.dtype.bitwidth
    alignment = ir.Constant(ir.IntType(32), bits // 8)
    kind = ir.FunctionType(vector, [pointer.type, alignment.type, mask.type, vector])
    name = f"llvm.masked.load.v{LANES}f{bits}.p0v{LANES}f{bits}"
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, [pointer, alignment, mask, ir.Constant(vector, None)])


@intrinsic
def load_part(typingctx: Any, array: Any, index: Any, count: Any) -> Any:
    """Read ``count`` elements of a flat array, or ``LANES`` if they are fewer, and zeros behind them."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _load_marked(context, builder, signature, args, _before(builder, args[2]))

    return VectorType(array.dtype)(array, types.intp, types.intp), generate


@intrinsic
def load_between(typingctx: Any, array: Any, index: Any, first: Any, last: Any) -> Any:
    """Read those elements of a vector that :func:`load` reads from place ``first`` to before ``last``; else zeros."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        mask = builder.and_(builder.not_(_before(builder, args[2])), _before(builder, args[3]))
        return _load_marked(context, builder, signature, args, mask)

    return VectorType(array.dtype)(array, types.intp, types.intp, types.intp), generate


@intrinsic
def store_part(typingctx: Any, array: Any, index: Any, vector: Any, count: Any) -> Any:
    """Write the first ``count`` elements of a vector, or all if they are fewer, to a flat array."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _address(context, builder, signature.args[0], args[0], args[1])
        mask = _before(builder, args[3])
        pointer = builder.bitcast(address, args[2].type.as_pointer())
        alignment = ir.Constant(ir.IntType(32), array.dtype.bitwidth // 8)
        name = f"llvm.masked.store.v{LANES}f{array.dtype.bitwidth}.p0v{LANES}f{array.dtype.bitwidth}"
        kind = ir.FunctionType(ir.VoidType(), [args[2].type, pointer.type, alignment.type, mask.type])
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        builder.call(function, [args[2], pointer, alignment, mask])
        return context.get_dummy_value()

    return types.void(array, types.intp, vector, types.intp), generate


@intrinsic
def at_least(typingctx: Any, vector: Any, lowest: Any) -> Any:
    """Replace what is less than ``lowest``. NaN stays."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[1], args[0])

    return vector(vector, vector), generate


@intrinsic
def counting(typingctx: Any, start: Any) -> Any:
    """Count from ``start``, in 32 bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        numbers = ir.Constant(ir.VectorType(ir.IntType(32), LANES), list(range(LANES)))
        return builder.add(numbers, _splat(builder, builder.trunc(args[0], ir.IntType(32))))

    return VectorType(types.int32)(types.intp), generate


@intrinsic
def greater(typingctx: Any, a: Any, b: Any) -> Any:
    """Mark where ``a`` is greater than ``b``; nowhere that one of them is NaN."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fcmp_ordered(">", *args)

    return VectorType(types.boolean)(a, b), generate


def _larger(builder: Any, a: Any, b: Any) -> Any:
    return builder.and_(builder.fcmp_unordered(">", a, b), builder.fcmp_ordered("ord", b, b))


@intrinsic
def larger(typingctx: Any, a: Any, b: Any) -> Any:
    """Mark where ``a`` is larger than ``b``; NaN is larger than every number."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _larger(builder, *args)

    return VectorType(types.boolean)(a, b), generate


def _goes_before(builder: Any, a: Any, place_a: Any, b: Any, place_b: Any) -> Any:
    both_nan = builder.and_(builder.fcmp_unordered("uno", a, a), builder.fcmp_unordered("uno", b, b))
    equal = builder.or_(builder.fcmp_ordered("==", a, b), both_nan)
    first = builder.and_(equal, builder.icmp_signed("<", place_a, place_b))
    return builder.or_(_larger(builder, a, b), first)


@intrinsic
def goes_before(typingctx: Any, a: Any, place_a: Any, b: Any, place_b: Any) -> Any:
    """Mark where ``a`` is larger than ``b``, or as large and of a smaller place."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _goes_before(builder, *args)

    return VectorType(types.boolean)(a, place_a, b, place_b), generate


@intrinsic
def first_maximum(typingctx: Any, values: Any, places: Any) -> Any:
    """Find the largest element and its place, of equal ones the smallest place: ``(value, place)``."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values, places = args
        step = LANES // 2
        while step:
            moved = [(i + step) % LANES for i in range(LANES)]
            others, other_places = _shuffle(builder, values, values, moved), _shuffle(builder, places, places, moved)
            found = _goes_before(builder, others, other_places, values, places)
            values = builder.select(found, others, values)
            places = builder.select(found, other_places, places)
            step //= 2
        first = ir.Constant(ir.IntType(32), 0)
        found = [builder.extract_element(values, first), builder.extract_element(places, first)]
        return context.make_tuple(builder, signature.return_type, found)

    return types.Tuple((values.dtype, places.dtype))(values, places), generate


@intrinsic
def choose(typingctx: Any, mask: Any, a: Any, b: Any) -> Any:
    """Take the elements of ``a`` where marked, and those of ``b`` elsewhere."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(*args)

    return a(mask, a, b), generate
