"""Join operations that one kernel computes better than several (pass 3).

Around a convolution: its bias and the ReLU behind it are applied while its results are in registers, and a maximum
over windows is taken while they are in the first-level cache, so that they are never written. Where that happens the
gradient that comes back is a list of values and places, and the convolution's own gradients read the list: behind a
4 x 4 window they touch one element in sixteen. Where the window is a whole line, the maximum takes fewer products.

Element-wise operations are joined later, when it is known what runs together (``grouping.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...kernels import elements
from ...kernels.cpu.line_conv import TAPS, multiplications
from ...kernels.cpu.vectors import LANES
from ...kernels.geometry import Geometry
from ..arguments import ConvAct, ConvAt, ConvLine, ConvPool
from ..graph import Graph, Node, Ref
from .operands import copied
from .simplify import PLACES, drop_dead

__all__ = ["fuse"]

# The gradients of weight and input from a list of values take at least some ten nanoseconds for a value and output
# channel: as long as so many multiplications take in the kernels that read all of an image. To write the list out over
# the image, and to read it there, takes as long as some more for each place.
FEW_MULTIPLICATIONS = 720
WRITTEN_OUT = 40

# Fewer products over a line pay from so many channels on (the kernel takes no weight of fewer than four taps in all),
# where they are at most this share of all.
FEW_CHANNELS = 8
SAVED = 0.75

POOLS = (*PLACES, *PLACES.values())


def fuse(graph: Graph) -> Graph:
    """Join what surrounds a convolution with it."""
    return drop_dead(_with_bias(graph.rebuild(_Patterns(graph))))


class _Patterns:
    """What is joined: a rule for :meth:`~minitorch.compiler.graph.Graph.rebuild`.

    Each method looks for one pattern, whose last operation is ``node``. It gives the operation that stands for all of
    the pattern, or None where it is not there; what it takes the place of is dropped later, as nobody reads it.
    """

    def __init__(self, graph: Graph) -> None:
        self.users = graph.users()
        self.wanted = {ref.node.number for ref in graph.outputs}
        self.lines: dict[Any, Ref] = {}  # images ``batch x width x channel``

    def __call__(self, new: Graph, node: Node, inputs: tuple[Ref, ...]) -> Node | None:
        if node.op == "zip" and node.args[0] is elements.add:
            return self.bias(new, node, inputs)
        if node.op == "map" and node.args[0] is elements.relu:
            return self.relu(new, node, inputs)
        if node.op in POOLS:
            return self.maximum(new, node, inputs)
        if node.op in ("put", "take"):
            return self.places(new, node, inputs)
        if node.op == "conv_weight":
            return self.weight_of_a_list(new, node, inputs)
        if node.op == "conv":
            return self.input_of_a_list(new, node, inputs) or self.convolution(new, node, inputs)
        return None

    # --- forward -------------------------------------------------------------------------------------------------

    def convolution(self, new: Graph, node: Node, inputs: tuple[Ref, ...]) -> Node:
        """A convolution: the kernel reads the weight with its output channels first or its input channels first."""
        turned = _swapped(inputs[1])
        transposed = not inputs[1].is_whole() and turned.is_whole()
        operands = (inputs[0], turned) if transposed else inputs
        args = ConvAct(node.args.geometry, relu=False, transposed=transposed)
        return new.add("conv_act", operands, args, node.shape, node.dtype)

    def bias(self, new: Graph, node: Node, inputs: tuple[Ref, ...]) -> Node | None:
        """A sum of a convolution that nothing else reads, and one number for each channel."""
        for i in (0, 1):
            conv, bias = inputs[i], inputs[1 - i]
            bare = conv.node.op == "conv_act" and len(conv.node.inputs) == 2 and conv.shape == conv.node.shape
            if bare and self._is_read_once(node.inputs[i].node) and _is_bias(bias, conv.node):
                along = Ref(bias.node, (conv.shape[1],), (bias.strides[1],), bias.start)
                return new.add("conv_act", (*conv.node.inputs, along), conv.node.args, node.shape, node.dtype)
        return None

    def relu(self, new: Graph, node: Node, inputs: tuple[Ref, ...]) -> Node | None:
        """A ReLU of a convolution that nothing else reads."""
        conv = inputs[0]
        if conv.node.op != "conv_act" or not conv.is_whole() or not self._is_read_once(node.inputs[0].node):
            return None
        args = conv.node.args._replace(relu=True)
        return new.add("conv_act", conv.node.inputs, args, conv.node.shape, node.dtype)

    def maximum(self, new: Graph, node: Node, inputs: tuple[Ref, ...]) -> Node | None:
        """Maxima over windows of a convolution that nothing but maxima over the same windows reads."""
        conv, users = inputs[0], self.users[node.inputs[0].node.number]
        if conv.node.op != "conv_act" or conv.shape != conv.node.shape or _has_gaps(conv.node.args.geometry):
            return None
        alike = len({user.args for user in users}) == 1 and all(user.op in POOLS for user in users)
        window = _window(node, conv)
        if not alike or window is None or node.inputs[0].node.number in self.wanted:
            return None
        args = ConvPool(*conv.node.args, shape=conv.shape, window=window)
        lines = self._line_operands(new, conv.node) if window == (1, *conv.shape[2:]) else None
        op = "conv_pool" if lines is None else "conv_line"
        if node.op in PLACES:
            op = f"{op}_place"
        return new.add(op, lines or conv.node.inputs, args, node.shape, node.dtype)

    def _line_operands(self, new: Graph, conv: Node) -> tuple[Ref, ...] | None:
        """What the kernel reads that takes fewer products for a maximum over a whole line, if it is one for them."""
        x, weight, *bias = conv.inputs
        if conv.args.transposed or not _saves_products(x, weight, conv.args.geometry):
            return None
        return (self._by_place(new, x), weight, *bias)

    def _by_place(self, new: Graph, image: Ref) -> Ref:
        """Lay lines out place by place, once for all that read them."""
        turned = Ref(image.node, *_last_two_turned(image), image.start)
        if turned.key() not in self.lines:
            self.lines[turned.key()] = turned if turned.is_whole() else copied(new, turned)
        return self.lines[turned.key()]

    # --- backward ------------------------------------------------------------------------------------------------

    def places(self, new: Graph, node: Node, inputs: tuple[Ref, ...]) -> Node | None:
        """Something at the places of such maxima, which count from the corner of an image's channel."""
        places = inputs[1].node
        if places.op not in ("conv_pool_place", "conv_line_place"):
            return None
        return new.add(node.op, inputs, (places.args.shape,), node.shape, node.dtype)

    def weight_of_a_list(self, new: Graph, node: Node, inputs: tuple[Ref, ...]) -> Node | None:
        """The gradient of a weight, from a gradient that is a list of values and places."""
        geometry = node.args.geometry
        put = self._list_behind(node, inputs, 1) if _moves_by_one(geometry) else None
        if put is None:
            return None
        if put.inputs[0].shape[2:] != (1,):
            operands = (inputs[0], *put.inputs)
            return new.add("conv_weight_at", operands, ConvAt(geometry, put.shape), node.shape, node.dtype)
        # One value for each image and channel: each tap reads and writes neighbours.
        operands = (self._by_place(new, inputs[0]), *put.inputs)
        return new.add("conv_line_weight", operands, ConvLine(*geometry), node.shape, node.dtype)

    def input_of_a_list(self, new: Graph, node: Node, inputs: tuple[Ref, ...]) -> Node | None:
        """The gradient of an input, a convolution too, from a gradient that is a list of values and places."""
        geometry = node.args.geometry
        put = self._list_behind(node, inputs, 0) if _moves_by_one(geometry) else None
        if put is None:
            return None
        # The weight as the forward convolution has it, and its geometry.
        forward = tuple(
            g._replace(size=n, dilation=-g.dilation, offset=-g.offset)
            for g, n in zip(geometry, put.shape[2:], strict=True)
        )
        operands = (*put.inputs, _swapped(inputs[1]))
        return new.add("conv_at", operands, ConvAt(forward, put.shape), node.shape, node.dtype)

    # --- conditions ----------------------------------------------------------------------------------------------

    def _is_read_once(self, node: Node) -> bool:
        """Tell whether a result of the old graph is read by one operation alone."""
        return node.number not in self.wanted and len(self.users[node.number]) == 1

    def _list_behind(self, node: Node, inputs: tuple[Ref, ...], i: int) -> Node | None:
        """Find the list of values and places behind an operand, where it pays to read the list."""
        put = _put_behind(inputs[i])
        return put if put and _pays(put, self.users[node.inputs[i].node.number]) else None


def _with_bias(graph: Graph) -> Graph:
    """Let the gradient of a bias come from the kernel that computes the weight's: it reads the same numbers."""
    weights = {
        node.inputs[1].key(): node for node in graph if node.op == "conv_weight" and not _has_gaps(node.args.geometry)
    }

    def rule(new: Graph, node: Node, inputs: tuple[Ref, ...]) -> Node | None:
        if node.op != "reduce" or node.args[0] is not elements.add or node.args[1] != 0:
            return None
        (gradient,) = node.inputs
        weight = weights.get(gradient.key())
        along = tuple(d for d in range(len(gradient.shape)) if d != 1)
        if weight is None or node.args[2] != along or weight.inputs[0].node.number > node.number:
            return None
        # The weight's gradient may come later, but what it reads is there: node by node the new graph is like the old.
        operands = [Ref(new.nodes[ref.node.number], ref.shape, ref.strides, ref.start) for ref in weight.inputs]
        return new.add("conv_bias", operands, weight.args, node.shape, node.dtype)

    return graph.rebuild(rule)


def _moves_by_one(geometry: Sequence[Geometry]) -> bool:
    """Tell whether windows move by one over inputs side by side, as the kernels for lists of values need it."""
    return all(g.stride == 1 and g.spread == 1 for g in geometry)


def _has_gaps(geometry: Sequence[Geometry]) -> bool:
    """Tell whether there are zeros between the inputs, so that the outputs are computed in parts."""
    return any(g.spread != 1 for g in geometry)


def _swapped(weight: Ref) -> Ref:
    """Exchange the two channel dimensions of a weight."""
    (a, b, *shape), (s, t, *strides) = weight.shape, weight.strides
    return Ref(weight.node, (b, a, *shape), (t, s, *strides), weight.start)


def _saves_products(x: Ref, weight: Ref, geometry: Sequence[Geometry]) -> bool:
    """Tell whether a maximum over whole lines takes far fewer products than its definition, and is precise enough."""
    if x.dtype != np.float32 or len(geometry) != 1 or not _moves_by_one(geometry) or geometry[0].dilation != 1:
        return False
    (out_channels, channels, taps), size = weight.shape, geometry[0].size
    if taps not in TAPS or out_channels < LANES or channels < FEW_CHANNELS or not x.shape[0] or not size:
        return False
    return multiplications(channels, out_channels, taps, size) < SAVED * weight.size * size


def _is_bias(ref: Ref, conv: Node) -> bool:
    """Tell whether an operand is one number for each output channel."""
    along = [d for d, (n, s) in enumerate(zip(ref.shape, ref.strides, strict=True)) if n != 1 and s != 0]
    return ref.shape == conv.shape and (along == [1] or not along)


def _last_two_turned(ref: Ref) -> tuple[tuple[int, ...], tuple[int, ...]]:
    (*shape, a, b), (*strides, s, t) = ref.shape, ref.strides
    return (*shape, b, a), (*strides, t, s)


def _window(node: Node, argument: Ref) -> tuple[int, int] | None:
    """Find the windows of a maximum, if they lie side by side in the last dimensions of an image."""
    if node.op in ("max_pool", "max_pool_place"):
        kernel, geometry = node.args
        side_by_side = all(g == Geometry(g.size, stride=k) for g, k in zip(geometry, kernel, strict=True))
        return tuple(kernel) if side_by_side else None
    return (1, argument.shape[2]) if len(argument.shape) == 3 and node.args[0] == 2 else None


def _put_behind(ref: Ref) -> Node | None:
    """Find the list of values and places behind a gradient."""
    put = ref.node
    is_list = put.op == "put" and bool(put.args) and ref.shape == put.shape and ref.is_whole()
    return put if is_list else None


def _pays(put: Node, readers: Sequence[Node]) -> bool:
    """Tell whether the gradients of a convolution are faster from the list than from the whole image.

    For the weight alone they always are. With the input's, it depends on what a value would stand for: for each place
    of its window the multiplications of the taps that see it, for both gradients, the input's with its channels in
    fours, and the writing. Behind a window of two by two, the list is slower for kernels of one tap, and for three by
    three taps of fewer than eight channels; behind four by four it is faster for all.
    """
    for reader in readers:
        if reader.op == "conv":
            channels, _, *kernel = reader.inputs[1].shape
            window = math.prod(put.shape[2:]) / math.prod(put.inputs[0].shape[2:])
            multiplications = (channels + -(-channels // 4) * 4) * math.prod(kernel)
            return window * (multiplications + WRITTEN_OUT) >= FEW_MULTIPLICATIONS
    return True
