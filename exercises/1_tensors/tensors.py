# %% [markdown]
# # 1. Tensors
#
# A tensor is a block of numbers with a shape: one number, a row, a table, a stack of tables. Everything in deep
# learning is computed with them. Here we make some, calculate with them, build a neuron and a very small network out of
# nothing else, and end with a function that is both short and fast: all pairwise distances between two sets of points.

# %%
import math
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(globals().get("__file__", "notebook")).resolve().parents[1]))  # where arguments.py is

import matplotlib.pyplot as plt

import minitorch
from arguments import arguments
from minitorch import Tensor

settings = arguments(
    seed=0, points=1500, others=1000, dimensions=64, small={"points": 300, "others": 200, "dimensions": 16}
)
minitorch.set_default_backend(minitorch.FastBackend)  # compiled loops; the default is readable and slow
minitorch.set_default_dtype("float32")  # four bytes a number, which is precise enough for learning
minitorch.manual_seed(settings.seed)  # the same random numbers in every run

# %% [markdown]
# ## Making tensors
#
# From lists of numbers, filled with one value, counted, or drawn at random. `shape` says how many numbers there are
# along each dimension.

# %% making
table = minitorch.tensor([[1, 2, 3], [4, 5, 6]])
print(table)
print("shape", table.shape, "dimensions", table.dims, "elements", table.size, "dtype", table.dtype)
print("zeros    ", minitorch.zeros((2, 2)).tolist())
print("ones     ", minitorch.ones((3,)).tolist())
print("full     ", minitorch.full((2,), 7).tolist())
print("arange   ", minitorch.arange(5).tolist())
print("linspace ", minitorch.linspace(0, 1, 5).tolist())
print("randn    ", minitorch.randn((2, 3)).shape)

# %% [markdown]
# ## Calculating
#
# `+ - * /` and functions such as `exp` work element by element. Tensors of different shapes are *broadcast*: the shapes
# are aligned at the right, and a dimension of size 1 is repeated as often as the other tensor needs.
#
# `sum` and its relatives take the dimension that is added up. MiniTorch keeps it, with size 1, so that the result can
# be broadcast against what it came from. A full index, such as `table[0, 2]`, is a Python number.

# %% calculating
row = minitorch.tensor([10, 20, 30])
column = minitorch.tensor([[1], [2]])
print("table * 2 + 1   ", (table * 2 + 1).tolist())
print("table + row     ", (table + row).tolist())
print("column * row    ", (column * row).tolist())
print("sum             ", table.sum().item())
print("sum of columns  ", table.sum(0).tolist(), "shape", table.sum(0).shape)
print("share of the row", table / table.sum(1))
print("table[0, 2]     ", table[0, 2])
print("table[:, 1:]    ", table[:, 1:].tolist())

# %% [markdown]
# ## Other shapes
#
# `view` and `reshape` regroup the same numbers, in the same order, into another shape; a size of -1 is worked out.
# `transpose` and `permute` exchange dimensions. None of them moves a number in memory, so they cost nothing. Only
# where the new order cannot be read from the old memory does `view` refuse, and `reshape` copies.

# %% shapes
numbers = minitorch.arange(6)
print("view(2, 3)       ", numbers.view(2, 3).tolist())
print("view(3, -1)      ", numbers.view(3, -1).tolist())
print("transpose(0, 1)  ", numbers.view(2, 3).transpose(0, 1).tolist())
print("unsqueeze(0)     ", numbers.unsqueeze(0).shape)
print("transposed, flat ", numbers.view(2, 3).transpose(0, 1).reshape(-1).tolist())
try:
    numbers.view(2, 3).transpose(0, 1).view(6)
except minitorch.ShapeError as error:
    print("ShapeError:", error)

# %% [markdown]
# ## Products of matrices
#
# `a @ b` multiplies every row of `a` with every column of `b` and adds up. `a` must have as many columns as `b`
# rows. Here is one element of a product, added up by hand; rows and columns are counted from 0:

# %% products
a = minitorch.randn((2, 3))
b = minitorch.randn((3, 4))
product = a @ b
by_hand = sum(a[1, k] * b[k, 2] for k in range(3))
print("shapes", a.shape, "@", b.shape, "=", product.shape)
print(f"row 1, column 2: {product[1, 2]:.6f}, by hand {by_hand:.6f}")
try:
    print(a @ a)
except minitorch.ShapeError as error:
    print("ShapeError:", error)

# %% [markdown]
# ## Numbers from elsewhere
#
# Data often arrives as NumPy arrays; MiniTorch's data sets keep their images so, as bytes. `tensor` copies the numbers
# of an array. `from_numpy` shares its memory: what is written into one is seen in the other. `to_numpy` goes the other
# way, which is how a tensor gets into a plot.

# %% exchange
train, _ = minitorch.data.load("mnist")
array = train.images[:3].copy()  # the data set's own cannot be written
copied, shared = minitorch.tensor(array), minitorch.from_numpy(array)
print(f"{type(array).__name__} of {array.dtype}, shape {array.shape}; a tensor of {copied.dtype}")
print("classes", [train.classes[label] for label in train.labels[:3]])
shared[0, 0, 0, 0] = 77
print("77 written into the shared tensor: array", array[0, 0, 0, 0], "copy", copied[0, 0, 0, 0])

pixels = copied.to("float32") / 255
print(f"brightest {pixels.max().item():.3f}, mean {pixels.mean().item():.4f}")
figure, row_of_axes = plt.subplots(1, 3, figsize=(4, 1.4), layout="constrained")
for i, axes in enumerate(row_of_axes):
    axes.imshow(pixels[i, 0].to_numpy(), cmap="gray_r")
    axes.axis("off")
figure.savefig(settings.out_dir / "digits.png", dpi=110)

# %% [markdown]
# ## A neuron
#
# A neuron multiplies each input with a weight, adds everything up with a bias, and bends the sum with an *activation*:
#
# $$y = \sigma\left(\sum_i w_i x_i + b\right), \qquad \sigma(t) = \frac{1}{1 + e^{-t}}$$
#
# The sum of products is a product of matrices, so a whole batch of inputs goes through in one operation.

# %% neuron
x = minitorch.randn((1, 5))  # one example of five features
weights = minitorch.randn((1, 5))
bias = minitorch.randn((1, 1))


def activation(t: Tensor) -> Tensor:
    """Squeeze any number to between 0 and 1: the sigmoid."""
    return 1 / (1 + (-t).exp())


with_sum = activation((x * weights).sum() + bias)
with_product = activation(x @ weights.view(5, 1) + bias)
with_python = 1 / (1 + math.exp(-sum(w * v for w, v in zip(weights[0], x[0])) - bias.item()))
print(f"with sum {with_sum.item():.6f}, with @ {with_product.item():.6f}, with plain Python {with_python:.6f}")
print(f"the library's sigmoid {(x @ weights.view(5, 1) + bias).sigmoid().item():.6f}")
assert max(abs(value.item() - with_python) for value in (with_sum, with_product)) < 1e-6

# %% [markdown]
# The activation is what makes a network more than one large product. Three common ones:

# %%
t = minitorch.linspace(-4, 4, 161)
figure, axes = plt.subplots(figsize=(5, 2.6), layout="constrained")
for name, values in {"sigmoid": t.sigmoid(), "tanh": 2 * (2 * t).sigmoid() - 1, "ReLU": t.relu()}.items():
    axes.plot(t.to_numpy(), values.to_numpy(), label=name)
axes.set(xlabel="sum", ylabel="activation", ylim=(-1.2, 2.2))
axes.grid(alpha=0.3)
axes.legend()
figure.savefig(settings.out_dir / "activations.png", dpi=110)

# %% [markdown]
# ## A network of 3 inputs, 2 hidden units and 1 output
#
# Two layers, each a product, a bias and an activation: $h = \sigma(x W_1 + b_1)$ and $y = \sigma(h W_2 + b_2)$. The
# second part of the output follows the same numbers with plain Python, which counts with eight bytes a number and not
# with four: the last digit may be another one.

# %% network
features = minitorch.randn((1, 3))
W1, b1 = minitorch.randn((3, 2)), minitorch.randn((1, 2))
W2, b2 = minitorch.randn((2, 1)), minitorch.randn((1, 1))

hidden = activation(features @ W1 + b1)
output = activation(hidden @ W2 + b2)
print(f"hidden ({hidden[0, 0]:.6f}, {hidden[0, 1]:.6f}), output {output.item():.6f}")

units = [sum(features[0, i] * W1[i, j] for i in range(3)) + b1[0, j] for j in range(2)]
units = [1 / (1 + math.exp(-unit)) for unit in units]
result = 1 / (1 + math.exp(-sum(units[j] * W2[j, 0] for j in range(2)) - b2.item()))
print(f"plain Python: hidden ({units[0]:.6f}, {units[1]:.6f}), output {result:.6f}")
assert abs(output.item() - result) < 1e-6

batch = minitorch.randn((4, 3))
print("four examples at once:", activation(activation(batch @ W1 + b1) @ W2 + b2).shape)

# %% [markdown]
# ## Bonus: all pairwise squared distances
#
# Given $N$ points $a_i$ and $M$ points $b_j$ of $d$ coordinates each, how far is each $a$ from each $b$? Without a
# loop, and with memory for a few times $N \times M$ numbers, the size of the answer, whatever $d$ is.
#
# The obvious way writes down every difference $a_i - b_j$ by broadcasting, `N x 1 x d` against `1 x M x d`: an
# intermediate result of $N \times M \times d$ numbers. The identity
#
# $$\lVert a - b \rVert^2 = \lVert a \rVert^2 + \lVert b \rVert^2 - 2 \langle a, b \rangle$$
#
# avoids it. The squared lengths are a column of $N$ and a row of $M$ numbers, which broadcast to $N \times M$, and all
# the inner products together are one product of matrices.


# %% by differences
def by_differences(a: Tensor, b: Tensor) -> Tensor:
    """Compute all squared distances from all differences: N x M x d numbers on the way."""
    difference = a.unsqueeze(1) - b.unsqueeze(0)
    return (difference * difference).sum(2).squeeze(2)


# %% by the identity
def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Compute all squared distances between the rows of ``a``, N x d, and those of ``b``, M x d: N x M.

    The identity subtracts numbers that are nearly equal where two points are close. What is left may be a little below
    zero, which no distance is, so it is clipped.
    """
    lengths_a = (a * a).sum(1)  # N x 1
    lengths_b = (b * b).sum(1).view(1, -1)  # 1 x M
    return (lengths_a + lengths_b - 2 * (a @ b.transpose(0, 1))).clip(min=0)


# %% [markdown]
# First a case that one can check: the corners of a right-angled triangle with sides 3, 4 and 5, from its right angle
# and from the point (3, 4).

# %% triangle
corners = minitorch.tensor([[0, 0], [3, 0], [0, 4]])
print("squared, from (0, 0) and from (3, 4):", squared_distances(corners, minitorch.tensor([[0, 0], [3, 4]])).tolist())
print("from each other:", squared_distances(corners, corners).sqrt().tolist())

# %% [markdown]
# Then many points in many dimensions. Both ways give the same values up to rounding. Their memory is measured
# (`tracemalloc` counts what a call allocates, and knows the largest amount at one time), and so is their time.

# %% distances
N, M, d = settings.points, settings.others, settings.dimensions
points, others = minitorch.randn((N, d)), minitorch.randn((M, d))


def measure(function: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, int, float]:
    """Give a function's result, the most memory that it needs at one time, in bytes, and its seconds, best of three."""
    result = function(points, others)  # compiles what the function needs
    tracemalloc.start()
    function(points, others)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        function(points, others)
        seconds.append(time.perf_counter() - start)
    return result, peak, min(seconds)


slow, slow_bytes, slow_seconds = measure(by_differences)
fast, fast_bytes, fast_seconds = measure(squared_distances)
print(f"{N} points and {M} others of {d} coordinates: {N * M:,} distances")
print(f"the answer itself:         {4 * N * M / 1e6:8.2f} MB (N x M numbers of 4 bytes)")
print(f"every difference at once:  {4 * N * M * d / 1e6:8.2f} MB (N x M x d)")
print(f"measured, by differences:  {slow_bytes / 1e6:8.0f} MB, {slow_bytes / (4 * N * M):5.1f} answers")
print(f"measured, by the identity: {fast_bytes / 1e6:8.0f} MB, {fast_bytes / (4 * N * M):5.1f} answers")
print(f"by differences  {1000 * slow_seconds:8.2f} ms")
ratio = slow_seconds / fast_seconds
print(f"by the identity {1000 * fast_seconds:8.2f} ms: {ratio:.0f} times faster than by differences")
print(f"largest, squared: {slow.max().item():.3f}, largest disagreement {(slow - fast).abs().max().item():.1e}")
assert (slow - fast).abs().max().item() < 1e-5 * slow.max().item()

# %% [markdown]
# The clipping is needed. The distance of a point from itself is zero; without the clip, rounding leaves numbers on
# both sides of it, and the root of a negative one is not a number:

# %% clipping
products = points @ points.transpose(0, 1)
lengths = (points * points).sum(1)
unclipped = lengths + lengths.view(1, -1) - 2 * products
clipped = squared_distances(points, points)
print(f"below zero: {int((unclipped < 0).sum().item())} of {N} x {N}, the smallest {unclipped.min().item():.1e}")
print(f"with the clip: {int((clipped < 0).sum().item())}, the smallest {clipped.min().item():.1e}")
assert clipped.min().item() >= 0

# %% [markdown]
# And a picture: points along a spiral, and the distance of each from each. Neighbours on the spiral are close, the dark
# diagonal, and so are points one turn apart, the dark bands beside it.

# %%
angle = minitorch.linspace(0, 6 * math.pi, 120).view(-1, 1)
sine, cosine = (minitorch.tensor([[f(v)] for v in angle.view(-1)]) for f in (math.sin, math.cos))
spiral = minitorch.cat([angle * cosine, angle * sine], 1)
figure, (left, right) = plt.subplots(1, 2, figsize=(6, 2.6), layout="constrained")
left.scatter(spiral[:, 0].to_numpy(), spiral[:, 1].to_numpy(), s=6, c=range(120))
left.set(aspect="equal", title="points")
image = right.imshow(squared_distances(spiral, spiral).sqrt().to_numpy(), cmap="magma", interpolation="nearest")
right.set(title="distances")
figure.colorbar(image, ax=right)
figure.savefig(settings.out_dir / "distances.png", dpi=90)
