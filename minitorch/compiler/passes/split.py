"""Divide the work over the batch (pass 4).

A result is *batched* when images ``b0`` to ``b1`` of it depend on the same images of what it reads, and on results
that have no batch. All batched operations between two points where the batch must meet make a *region*: its chunks of
images run on different cores, and each chunk goes through all of the region's operations while its data is in the
cache.

Where a sum runs over the batch, as in the gradient of a weight, each chunk writes a partial sum of its own, and they
are added behind the region, in order. How many chunks there are depends on the shapes only: never on the number of
threads, and so the bits of a result do not either.

What has no batch runs before and between regions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ...kernels import elements
from ..graph import UNSTORED, Graph, Node, Ref, line
from .simplify import POINTWISE

__all__ = ["Schedule", "Stage", "split"]

# The most chunks that a batch is divided into, and the fewest images of one. Their number is a power of two, and they
# are as equal as can be, so that 2, 4 or 8 cores have equal shares.
CHUNKS, IMAGES = 16, 4

# A weight of more elements than this is multiplied by all images at once: every chunk would read all of it anew, and
# half of it from another core's cache.
LARGE_WEIGHT = 1 << 16

# Operations that handle each image by itself.
BY_IMAGE = ("conv_act", "conv_pool", "conv_pool_place", "max_pool", "max_pool_place")

# Operations that may be faster on all images at once, divided over the channels of their weight: each core then has its
# part of it. Their results can be read image by image all the same.
BY_CHANNEL = ("conv_line", "conv_line_place", "matrix_multiply")


@dataclass
class Stage:
    """Operations that run together.

    Attributes:
        parallel: whether they run once for each chunk of the batch.
        nodes: in order.
    """

    parallel: bool
    nodes: list[Node] = field(default_factory=list)


@dataclass
class Schedule:
    """A graph whose sums over the batch are divided, and when each of its nodes is computed.

    Attributes:
        graph: the graph.
        batch: the number of images, or 0 where nothing is batched.
        chunks: the number of chunks.
        stages: in order; before the first region, the first region, behind it, and so on.
        stage: for each node, by number, the place of its stage.
        partial: the numbers of nodes that hold a partial sum for each chunk.
    """

    graph: Graph
    batch: int
    chunks: int
    stages: list[Stage]
    stage: dict[int, int]
    partial: set[int]

    @property
    def chunk(self) -> int:
        """The images of the largest chunk."""
        return -(-self.batch // self.chunks)

    def bounds(self, chunk: int) -> tuple[int, int]:
        """Give the first image of a chunk, and the one behind its last."""
        return chunk * self.batch // self.chunks, (chunk + 1) * self.batch // self.chunks

    def heading(self, stage: Stage) -> str:
        """Write how often the operations of a stage run."""
        return f"images b0 to b1 of {self.batch}, {self.chunks} times:" if stage.parallel else "once:"

    def draw(self, path: str | Path) -> None:
        """Write a drawing of the graph; see :meth:`~minitorch.compiler.graph.Graph.draw`."""
        self.graph.draw(path)

    def __len__(self) -> int:
        return len(self.graph)

    def __str__(self) -> str:
        lines = []
        for stage in self.stages:
            if stage.nodes:
                lines.append(self.heading(stage))
                lines += [f"    {line(node)}" for node in stage.nodes]
        return "\n".join(lines)

    def is_batched(self, node: Node) -> bool:
        """Tell whether a chunk computes its images of this node only."""
        number = self.stage[node.number]
        return number >= 0 and self.stages[number].parallel and node.number not in self.partial


def split(graph: Graph, batch: int) -> Schedule:
    """Find the regions.

    Args:
        graph: the graph.
        batch: the size of dimension 0 of the step's arguments; too small a one is not divided.
    """
    chunks = 1
    while 2 * chunks <= min(CHUNKS, batch // IMAGES):
        chunks *= 2
    batch = batch if chunks > 1 else 0
    # Even numbers are stages without a batch, odd ones regions; -1 is what is there already.
    stage: dict[int, int] = {}
    batched: set[int] = set()
    partial: set[int] = set()

    def rule(new: Graph, node: Node, inputs: tuple[Ref, ...]) -> Node | Ref | None:
        if node.op in ("input", *UNSTORED):
            made = new.add(node.op, inputs, node.args, node.shape, node.dtype)
            stage[made.number] = -1
            # What is drawn for an image depends on its place in the batch, and on nothing that another has.
            by_image = node.op == "uniform" or (node.op == "input" and node.args[1] == "argument")
            if by_image and batch and node.shape[:1] == (batch,):
                batched.add(made.number)
            return made
        kind = _kind(node, inputs, batch, batched) if batch else "whole"
        begin = _begin(inputs, stage, batched, parallel=kind != "whole")
        if kind == "sum":
            shape = (chunks, *node.shape)
            sums = new.add(node.op, inputs, node.args, shape, node.dtype)
            stage[sums.number] = begin
            partial.add(sums.number)
            strides = node.ref().strides
            parts = [Ref(sums, node.shape, strides, i * node.size) for i in range(chunks)]
            total = parts[0]
            for part in parts[1:]:
                added = new.add("zip", (total, part), (elements.add,), node.shape, node.dtype)
                stage[added.number] = begin + 1
                total = added.ref()
            return total
        made = new.add(node.op, inputs, node.args, node.shape, node.dtype)
        stage[made.number] = begin
        if kind == "batched" or (batch and node.op in BY_CHANNEL and node.shape[0] == batch):
            batched.add(made.number)
        return made

    divided = graph.rebuild(rule)
    _sink(divided, stage)
    stages = [Stage(parallel=i % 2 == 1) for i in range(max(stage.values(), default=-1) + 1)]
    for node in divided:
        if stage[node.number] >= 0:
            stages[stage[node.number]].nodes.append(node)
    return Schedule(divided, batch, chunks, stages, stage, partial)


def _sink(graph: Graph, stage: dict[int, int]) -> None:
    """Compute what has no batch as late as it is needed, so that it can join the loop that reads it."""
    users = graph.users()
    for node in reversed(graph.nodes):
        number = stage[node.number]
        if node.op in POINTWISE and number >= 0 and number % 2 == 0 and users[node.number]:
            needed = min(stage[user.number] for user in users[node.number])
            stage[node.number] = max(number, needed - needed % 2)


def _begin(inputs: tuple[Ref, ...], stage: dict[int, int], batched: set[int], parallel: bool) -> int:
    """Find the first stage of a kind in which all operands are there."""
    first = 1 if parallel else 0
    for ref in inputs:
        there = stage[ref.node.number]
        if there < 0:
            continue
        same = there % 2 == (1 if parallel else 0)
        if same and (not parallel or ref.node.number in batched):
            first = max(first, there)
        else:
            first = max(first, there + (1 if not same else 2))
    return first


# --- what is batched -----------------------------------------------------------------------------------------------


def _along(ref: Ref, batch: int, batched: set[int]) -> int | None:
    """Find the dimension of a walk that runs over the batch: every step of it goes to the next image, and only it."""
    node = ref.node
    if node.number not in batched:
        return None
    image = node.size // batch
    for d, (n, s) in enumerate(zip(ref.shape, ref.strides, strict=True)):
        if n == batch and s == image:
            others = zip(ref.shape[:d] + ref.shape[d + 1 :], ref.strides[:d] + ref.strides[d + 1 :], strict=True)
            return d if ref.start + sum((n - 1) * s for n, s in others) < image else None
    return None


def _kind(node: Node, inputs: tuple[Ref, ...], batch: int, batched: set[int]) -> str:
    """Tell whether a node is ``batched``, a ``sum`` over the batch, or ``whole``."""
    along = [_along(ref, batch, batched) for ref in inputs]
    free = [ref.node.number not in batched for ref in inputs]
    if all(free) or any(a is None and not f for a, f in zip(along, free, strict=True)):
        return "whole"
    by_image = all(f or a == 0 for a, f in zip(along, free, strict=True))
    op = node.op
    if op in POINTWISE:
        return "batched" if by_image and node.shape[:1] == (batch,) else "whole"
    if op in BY_IMAGE:
        return "batched" if along[0] == 0 and all(free[1:]) else "whole"
    if op == "conv_at":
        return "batched" if along[:2] == [0, 0] and free[2] else "whole"
    if op in ("conv_weight", "conv_bias", "conv_weight_at"):
        return "sum" if by_image and not any(free) else "whole"
    if op in ("max", "max_place", "softmax", "logsoftmax"):
        return "batched" if along[0] == 0 and node.args[0] != 0 else "whole"
    if op == "put" and by_image and node.shape[:1] == (batch,):
        return "batched" if _own_places(inputs[1]) else "whole"
    if op == "take" and by_image and not any(free):
        return "batched" if _own_places(inputs[1]) else "whole"
    if op == "cat":
        return "batched" if by_image and not any(free) and node.args[0] != 0 else "whole"
    if op == "reduce" and along[0] is not None:
        if along[0] not in node.args[2]:
            return "batched" if along[0] == 0 else "whole"
        return "sum" if node.args[0] is elements.add and along[0] == 0 else "whole"
    if op == "matrix_multiply" and len(node.shape) == 2:
        if along[0] == 0 and free[1]:
            return "batched" if inputs[1].size <= LARGE_WEIGHT else "whole"
        # Where the result is larger than what it is made of, one product behind the region moves less memory.
        if along == [1, 0] and 2 * node.size <= inputs[0].size + inputs[1].size:
            return "sum"
    return "whole"


def _own_places(index: Ref) -> bool:
    """Tell whether places lie in the image that they belong to."""
    node = index.node
    own = ("conv_pool_place", "conv_line_place", "max_pool_place")
    return node.op in own or (node.op == "max_place" and node.args[0] != 0)
