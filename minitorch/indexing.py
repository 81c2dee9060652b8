"""Reading parts of a tensor, and writing into copies of it, with PyTorch's names and meanings.

Numbers, slices, None and the ellipsis change the walk through the storage and copy nothing. Integer arrays and masks
name places: everything comes down to reading at places (``Take``) or adding up at places (``Put``) in row-major order,
and each is the other's derivative. What is outside raises: here, where the values of an index are at hand, and
otherwise, in a compiled step or on a GPU, in the kernel that reads or writes.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .autodiff import no_grad
from .cells import tracing
from .dtypes import storage_dtype
from .errors import ArgumentError, DataError, DTypeError, IndexingError, ShapeError
from .function import Places, is_tensor, require_tensor
from .kernels import elements
from .pointwise import Keep
from .shaping import Squeeze, Step, broadcast_to, unsqueeze
from .tensor_data import TensorData, shape_broadcast, strides_from_shape
from .tensor_functions import EQ, Add, Mul, Narrow, Put, Sum, Take, View, as_dims

if TYPE_CHECKING:
    from .tensor import Tensor, TensorLike
    from .tensor_data import UserShape

__all__ = [
    "at_hand",
    "counted_from_zero",
    "element_of",
    "gather",
    "getitem",
    "integers",
    "narrowed",
    "one_hot",
    "places_along",
    "scatter",
    "scatter_add",
]

Integers = npt.NDArray[np.int64]

# --- t[...] --------------------------------------------------------------------------------------------------


def element_of(shape: UserShape, key: Any) -> tuple[int, ...] | None:
    """Read a key as the index of one element, counted from zero; None if it names something else.

    Raises:
        IndexingError: an index is out of range.

    >>> element_of((2, 3), (1, -1))
    (1, 2)
    """
    keys = key if isinstance(key, tuple) else (key,)
    if len(keys) != len(shape) or not all(isinstance(k, (int, np.integer)) and not isinstance(k, bool) for k in keys):
        return None
    return tuple(_from_zero(int(k), n, d, shape) for d, (k, n) in enumerate(zip(keys, shape, strict=True)))


def _from_zero(index: int, n: int, dim: int, shape: UserShape) -> int:
    if not -n <= index < n:
        raise IndexingError(
            f"index {index} of dimension {dim} is out of range: expected {-n} to {n - 1} for shape {tuple(shape)}. "
            "Below zero it counts from the end."
        )
    return index % n if n else index


def getitem(x: Tensor, key: Any) -> Tensor:
    """Read a part of a tensor: ``x[key]``.

    Numbers, slices with positive steps, None and the ellipsis give a view. Integer tensors, arrays and lists pick
    elements: several of them broadcast against each other, and their dimensions stand where the first of them stood if
    they are neighbours, else in front. A mask stands for the indices of its elements that are true; a tensor of floats
    is one, if it holds nothing but 1 and 0, as a comparison does.

    Raises:
        IndexingError: an index is out of range or of no known kind, there are too many, or a mask has another shape.
        BroadcastError: the shapes of several integer arrays do not fit.
        CompileError: a mask in a step that is traced: how many elements it keeps would be frozen.
    """
    if tracing.tracer is not None:
        (x,) = tracing.tracer.lift((x,))
    view, picks = narrowed(x, key)
    return _pick(view, picks) if picks else view


def narrowed(x: Tensor, key: Any) -> tuple[Tensor, dict[int, Any]]:
    """Follow the numbers, slices, None and the ellipsis of a key, which give a view.

    Returns:
        The view, and the integer indices of those of its dimensions from which elements are picked.
    """
    view, dim = x, 0
    picks: dict[int, Any] = {}
    for k in _parts(x.shape, key):
        if k is None:
            view, dim = unsqueeze(view, dim), dim + 1
        elif isinstance(k, slice):
            view, dim = _slice(view, dim, k), dim + 1
        elif isinstance(k, int):
            start = _from_zero(k, view.shape[dim], dim, view.shape)
            line = Narrow.apply(view, dim, start, start + 1)
            view = Squeeze.apply(line, (*view.shape[:dim], *view.shape[dim + 1 :]))
        elif k.dtype == np.bool_:
            if k.shape != view.shape[dim : dim + k.ndim]:
                raise IndexingError(
                    f"a mask of shape {k.shape} does not fit dimensions {view.shape[dim : dim + k.ndim]}, which it "
                    "stands for. Make it by a comparison of the tensor itself. Positions have whole numbers: "
                    'tensor([0, 1], dtype="int64").'
                )
            for places in np.nonzero(k):
                picks[dim], dim = places, dim + 1
        elif not k.shape:  # an integer in a traced tensor takes its dimension away, as a plain one does
            view = _pick(view, {dim: k})
        else:
            picks[dim], dim = k, dim + 1
    return view, picks


def _parts(shape: UserShape, key: Any) -> list[Any]:
    """Give an entry for each dimension: None, a slice, an int, an integer index, or a mask for several."""
    parts = [_part(k) for k in (key if isinstance(key, tuple) else (key,))]
    ellipses = [i for i, k in enumerate(parts) if k is Ellipsis]
    used = sum(k.ndim if isinstance(k, np.ndarray) and k.dtype == np.bool_ else 1 for k in parts if k is not None)
    used -= len(ellipses)
    if len(ellipses) > 1 or used > len(shape):
        raise IndexingError(
            f"expected at most {len(shape)} indices for shape {tuple(shape)}, and one ellipsis, got {used} indices and "
            f"{len(ellipses)} ellipses. Leave out the rest, or insert dimensions with None."
        )
    at = ellipses[0] if ellipses else len(parts)
    return [*parts[:at], *[slice(None)] * (len(shape) - used), *parts[at + 1 :]]


def _part(k: Any) -> Any:
    """Read one entry of a key: arrays for whatever names places, but tensors for integers that are not at hand."""
    if k is None or k is Ellipsis or isinstance(k, slice):
        return k
    if is_tensor(k):
        if tracing.tracer is not None:
            if k.dtype.kind not in "iu":
                tracing.tracer.refuse(
                    "a compiled step cannot select by a mask: how many elements are kept depends on their values. "
                    "Keep the shape instead, with minitorch.where(mask, x, 0.0), or run inside `with "
                    "minitorch.debug():`."
                )
            return tracing.tracer.lift((k,))[0]
        if k.dtype.kind in "iu" and k.shape and not at_hand(k):
            return k
        k = k.to_numpy()
        if k.dtype.kind == "f":
            if not ((k == 0) | (k == 1)).all():
                raise IndexingError(
                    f'an index has whole numbers or truth values, got {k.dtype}. Convert positions with t.to("int64"); '
                    "a mask comes from a comparison."
                )
            k = k != 0
    if not isinstance(k, (bool, np.bool_, np.ndarray)):
        if isinstance(k, (list, tuple, range)):
            k = np.array(k) if len(k) else np.zeros(0, np.int64)
        elif hasattr(k, "__index__"):
            return operator.index(k)
    if not isinstance(k, np.ndarray) or k.dtype.kind not in "biu" or (k.dtype == np.bool_ and not k.ndim):
        raise IndexingError(
            f"an index is a number, a slice, None, an ellipsis, integers or a mask; got {type(k).__name__}: {k!r}. "
            "Convert it first."
        )
    if k.dtype == np.bool_:
        return k
    return k.astype(np.int64) if k.ndim else int(k)


def _slice(x: Tensor, dim: int, part: slice) -> Tensor:
    n = x.shape[dim]
    step = 1 if part.step is None else operator.index(part.step)
    if step < 1:
        raise IndexingError(f"a slice has a step of 1 or more, got {step}. Sort or gather to reverse an order.")
    try:
        start, stop, _ = part.indices(n)
    except TypeError:
        raise IndexingError(f"a slice has whole numbers as bounds, got {part}. Round them first.") from None
    if (start, stop) != (0, n):
        x = Narrow.apply(x, dim, start, max(start, stop))
    return x if step == 1 else Step.apply(x, dim, step)


def _pick(x: Tensor, picks: Mapping[int, Any]) -> Tensor:
    """Read at the integer indices of some dimensions, all of the others."""
    dims = sorted(picks)
    shape: tuple[int, ...] = ()
    for d in dims:
        shape = shape_broadcast(shape, picks[d].shape)
    kept = [d for d in range(len(x.shape)) if d not in picks]
    together = dims == list(range(dims[0], dims[0] + len(dims)))
    before = [d for d in kept if d < dims[0]] if together else []
    behind = kept[len(before) :]
    strides = strides_from_shape(x.shape)
    axes = [*before, *[None] * len(shape), *behind]

    terms: list[Any] = [np.zeros((1,) * len(axes), np.int64)]
    for axis, d in enumerate(axes):
        if d is not None:
            terms.append(_along(axis, len(axes), x.shape[d]) * strides[d])
    for d in dims:
        index = counted_from_zero(picks[d], x.shape[d], elements.index_from_either_end)
        terms.append(_scaled(index, strides[d], (*index.shape, *[1] * len(behind))))
    return Take.apply(x, Places(_total(x, terms)))


# --- places --------------------------------------------------------------------------------------------------


def at_hand(x: Tensor) -> bool:
    """Tell whether values can be looked at without waiting: not those of a step that is traced, or on a GPU."""
    return tracing.tracer is None and not x.backend.cuda


def integers(like: Tensor, values: npt.ArrayLike) -> Tensor:
    """Make int64 constants on the backend of a tensor."""
    return like._new(TensorData.from_array(np.array(values, np.int64, order="C")))


def _along(axis: int, dims: int, n: int) -> Integers:
    """Count 0, 1, ... along one axis of several."""
    return np.arange(n).reshape((1,) * axis + (n,) + (1,) * (dims - axis - 1))


def counted_from_zero(index: Any, n: int, rule: Any) -> Any:
    """Count an index from zero; ``rule`` says which there are. What is not at hand is checked where it is used.

    Raises:
        IndexingError: there is no such index.
    """
    if not isinstance(index, np.ndarray):
        return index.backend.ops.zip(rule)(integers(index, n), index)
    lowest = -n if rule is elements.index_from_either_end else 0
    if index.size and not lowest <= index.min() <= index.max() < n:
        raise IndexingError(
            f"expected indices from {lowest} to {n - 1} in a dimension of size {n}, got {index.min()} to "
            f"{index.max()}. Check what they were made for."
        )
    return np.where(index < 0, index + n, index)


def _scaled(index: Any, stride: int, shape: UserShape) -> Any:
    if isinstance(index, np.ndarray):
        return (index * stride).reshape(shape)
    return Squeeze.apply(Mul.apply(index, integers(index, stride)), shape)


def _total(like: Tensor, terms: Sequence[Any]) -> Tensor:
    """Add arrays and tensors up, broadcasting."""
    fixed = [t for t in terms if isinstance(t, np.ndarray)]
    total = integers(like, sum(fixed[1:], fixed[0]))
    with no_grad():
        for term in terms:
            if not isinstance(term, np.ndarray):
                total = Add.apply(total, term)
    return total


def places_along(shape: UserShape, dim: int, index: Tensor) -> Tensor:
    """Find the places, in a tensor of ``shape``, of elements that have ``index`` as their coordinate ``dim``.

    The other coordinates are those of the element of ``index`` itself.

    Raises:
        IndexingError: there is no such coordinate.
    """
    strides = strides_from_shape(shape)
    terms = [np.zeros((1,) * len(shape), np.int64)]
    for d, n in enumerate(index.shape):
        if d != dim:
            terms.append(_along(d, len(shape), n) * strides[d])
    values = index.to_numpy() if at_hand(index) else index
    coordinate = counted_from_zero(values, shape[dim], elements.index_from_zero)
    return _total(index, [*terms, _scaled(coordinate, strides[dim], index.shape)])


# --- gather and scatter --------------------------------------------------------------------------------------


def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    r"""Read along a dimension: $y_{ij} = x_{i, k_{ij}}$ for two dimensions and ``dim`` 1.

    Args:
        input: $x$.
        dim: the dimension that the index counts in.
        index: $k$: integers from 0, as many dimensions as ``input``, and no larger in the others.

    Returns:
        The shape of ``index``.

    Raises:
        IndexingError: the dimension or a position in it does not exist.
        DTypeError: the index is not of integers.
        ShapeError: the shapes do not fit.

    >>> from minitorch.creation import tensor
    >>> gather(tensor([[1.0, 2.0], [3.0, 4.0]]), 1, tensor([[1], [0]], dtype="int64")).tolist()
    [[2.0], [3.0]]
    """
    input, dim, index = _prepared("gather", input, dim, index)
    return Take.apply(input, Places(places_along(input.shape, dim, index)))


def scatter(input: Tensor, dim: int, index: Tensor, src: TensorLike) -> Tensor:
    r"""Write along a dimension of a copy: $y_{i, k_{ij}} = s_{ij}$ for two dimensions and ``dim`` 1, elsewhere $x$.

    Where several elements go to one place, the last along ``dim`` stays, and it alone has a gradient. (PyTorch leaves
    open which.)

    Args:
        input: $x$.
        dim: the dimension that the index counts in.
        index: $k$: integers from 0, as many dimensions as ``input``, and no larger in the others.
        src: $s$: a number, or a tensor that is at least as large as ``index`` in every dimension.

    Returns:
        The shape of ``input``.

    Raises:
        IndexingError: the dimension or a position in it does not exist.
        DTypeError: the index is not of integers.
        ShapeError: the shapes do not fit.

    >>> from minitorch.creation import tensor, zeros
    >>> scatter(zeros((2, 3)), 1, tensor([[2], [0]], dtype="int64"), 1.0).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    input, dim, index = _prepared("scatter", input, dim, index)
    places = Places(places_along(input.shape, dim, index))
    written, marks = _source(input, index, src), broadcast_to(integers(input, 1), index.shape)
    if index.shape[dim] > 1:
        replaced = Places(_replaced(index, places.places, dim))
        written, marks = Keep.apply(written, replaced, False), Keep.apply(marks, replaced, False)
    hit = Places(Put.apply(marks, places, input.shape))
    return Add.apply(Keep.apply(input, hit, False), Put.apply(written, places, input.shape))


def scatter_add(input: Tensor, dim: int, index: Tensor, src: TensorLike) -> Tensor:
    r"""Add along a dimension of a copy: $y_{ij} = x_{ij} + \sum_{l : k_{il} = j} s_{il}$ for two dimensions, ``dim`` 1.

    Args:
        input: $x$.
        dim: the dimension that the index counts in.
        index: $k$: integers from 0, as many dimensions as ``input``, and no larger in the others.
        src: $s$: a number, or a tensor that is at least as large as ``index`` in every dimension.

    Returns:
        The shape of ``input``.

    Raises:
        IndexingError: the dimension or a position in it does not exist.
        DTypeError: the index is not of integers.
        ShapeError: the shapes do not fit.

    >>> from minitorch.creation import tensor, zeros
    >>> scatter_add(zeros((3,)), 0, tensor([2, 0, 2], dtype="int64"), tensor([1.0, 2.0, 3.0])).tolist()
    [2.0, 0.0, 4.0]
    """
    input, dim, index = _prepared("scatter_add", input, dim, index)
    places = Places(places_along(input.shape, dim, index))
    return Add.apply(input, Put.apply(_source(input, index, src), places, input.shape))


def _prepared(name: str, input: Tensor, dim: int, index: Tensor) -> tuple[Tensor, int, Tensor]:
    """Check what gather and scatter have in common."""
    for x in (input, index):
        require_tensor(name, x)
    (dim,) = as_dims(dim, input.shape)
    if index.dtype.kind not in "iu":
        raise DTypeError(f'{name} expected integers as its index, got {index.dtype}. Make it with dtype="int64".')
    fits = len(index.shape) == len(input.shape)
    fits = fits and all(k <= n for d, (k, n) in enumerate(zip(index.shape, input.shape, strict=True)) if d != dim)
    if not fits:
        raise ShapeError(
            f"{name} along dimension {dim} of shape {input.shape} expected an index of as many dimensions and no "
            f"larger in the others, got {index.shape}. Insert dimensions with unsqueeze, or narrow it."
        )
    if tracing.tracer is not None:
        input, index = tracing.tracer.lift((input, index))
    if index.dtype != np.int64:
        index = index.backend.ops.zip(elements.second)(integers(index, 0), index)
    return input, dim, index


def _source(input: Tensor, index: Tensor, src: TensorLike) -> Tensor:
    """Give what is written the shape of the index."""
    if not is_tensor(src):
        return broadcast_to(input._ensure_tensor(src), index.shape)
    if len(src.shape) != len(index.shape) or any(k > n for k, n in zip(index.shape, src.shape, strict=True)):
        raise ShapeError(
            f"expected a source at least as large as the index in every dimension, {index.shape}, got {src.shape}. "
            "Expand it, or make the index smaller."
        )
    part: Tensor = src
    for d, n in enumerate(index.shape):
        if n != part.shape[d]:
            part = Narrow.apply(part, d, 0, n)
    return part


def _replaced(index: Tensor, places: Tensor, dim: int) -> Tensor:
    """Mark the elements that are not the last to go to their place."""
    if at_hand(places):
        flat = places.to_numpy().reshape(-1)
        _, from_the_end = np.unique(flat[::-1], return_index=True)
        replaced = np.ones(flat.size)
        replaced[flat.size - 1 - from_the_end] = 0
        return integers(index, replaced.reshape(index.shape))
    if tracing.tracer is None:  # sorted stably, what goes to one place stands together, and the last of it last
        flat = View.apply(places.contiguous(), (places.size,))
        order = places.backend.ops.argsort(flat, 0, False)
        ordered, pairs = Take.apply(flat, Places(order)), max(places.size - 1, 0)
        equal = EQ.apply(Narrow.apply(ordered, 0, 0, pairs), Narrow.apply(ordered, 0, places.size - pairs, places.size))
        return Put.apply(equal, Places(Narrow.apply(order, 0, 0, pairs)), index.shape)
    # Without values to look at, each is compared with those behind it.
    n, lines = index.shape[dim], (1,) * (len(index.shape) - dim - 1)
    behind = integers(index, np.triu(np.ones((n, n)), k=1).reshape(n, n, *lines))
    equal = EQ.apply(unsqueeze(index, dim + 1), unsqueeze(index, dim))
    return Sum.apply(Keep.apply(behind, Places(equal)), dim + 1, index.shape)


# --- one-hot -------------------------------------------------------------------------------------------------


def one_hot(labels: Tensor, num_classes: int = -1, dtype: npt.DTypeLike = np.int64) -> Tensor:
    """Give each label a line of zeros with a one at its place.

    Args:
        labels: integers from 0, any shape.
        num_classes: the length of a line; one more than the largest label when left out.
        dtype: of the result. (PyTorch has int64 only.)

    Returns:
        ``*labels.shape x num_classes``.

    Raises:
        DTypeError: the labels are not integers.
        DataError: a label is no class.
        ArgumentError: there is nothing to find the number of classes from.
        CompileError: the number of classes is left out in a step that is traced.

    >>> from minitorch.creation import tensor
    >>> one_hot(tensor([2, 0], dtype="int64"), 3).tolist()
    [[0, 0, 1], [1, 0, 0]]
    """
    require_tensor("one_hot", labels)
    if labels.dtype.kind not in "iu":
        raise DTypeError(f'one_hot expected integer labels, got {labels.dtype}. Make them with dtype="int64".')
    if at_hand(labels) or (tracing.tracer is None and num_classes == -1):
        values = labels.to_numpy()
        if num_classes == -1 and values.size:
            num_classes = int(values.max()) + 1
        if num_classes >= 0 and values.size and not 0 <= values.min() <= values.max() < num_classes:
            raise DataError(
                f"one_hot expected labels from 0 to {num_classes - 1}, got {values.min()} to {values.max()}. Count "
                "from 0, or give the number of classes."
            )
    elif tracing.tracer is not None and num_classes == -1:
        tracing.tracer.refuse(
            "a compiled step cannot find the number of classes from the labels: their values are not known while it "
            "is traced. Pass num_classes."
        )
    if num_classes < 1:
        raise ArgumentError(f"one_hot expected at least one class, got {num_classes} of no labels. Pass num_classes.")
    shape = (*labels.shape, num_classes)
    lines = unsqueeze(labels, -1)
    ones = lines._new(TensorData.from_array(np.ones(lines.shape, storage_dtype(dtype))))
    return Put.apply(ones, Places(places_along(shape, len(labels.shape), lines)), shape)
