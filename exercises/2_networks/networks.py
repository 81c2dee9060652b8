# %% [markdown]
# # 2. Networks
#
# A network is a row of layers. Here we build one for handwritten digits: out of bare tensors first, with a softmax of
# our own, and then as a class, as a `Sequential`, and as a `Sequential` with names, which all compute the same numbers.
# Then we look inside: at the weights, at the probabilities that come out, and at what a network says that has not
# learnt anything yet. The bonus is a layer that changes shapes.

# %%
import sys
from collections import OrderedDict
from pathlib import Path

sys.path.append(str(Path(globals().get("__file__", "notebook")).resolve().parents[1]))  # where arguments.py is

import matplotlib.pyplot as plt

import minitorch
from arguments import arguments
from minitorch import Tensor, layers
from minitorch.data import DataLoader

settings = arguments(seed=0)
minitorch.set_default_backend(minitorch.FastBackend)
minitorch.set_default_dtype("float32")

# %% [markdown]
# ## A batch of digits
#
# A `DataLoader` cuts the data into batches: 64 images, each of one channel, 28 pixels high and 28 wide, and 64 labels.
# Where MNIST's files are not found, 5,000 digits that come with a package stand in for them; the last line says which
# ones these are.

# %% batch
train, _ = minitorch.data.load("mnist")
images, labels = next(iter(DataLoader(train, batch_size=64, shuffle=True, seed=settings.seed)))
print("images", images.shape, images.dtype, "labels", labels.shape, labels.dtype)
print("the first labels", labels[:8].tolist())
print("a stand-in for MNIST" if train.stand_in else "MNIST itself", f"with {len(train):,} digits to train on")

# %% [markdown]
# ## A network of bare tensors
#
# Fully connected layers take a row of numbers, so an image of 28 x 28 pixels is flattened to 784. A hidden layer of 256
# units follows, then 10 scores, one for each digit: $h = \sigma(x W_1 + b_1)$ and $s = h W_2 + b_2$. Each column of
# $W_1$ holds the weights of one hidden unit, and here all of them are random. The whole batch goes through at once, a
# row each.

# %% bare
minitorch.manual_seed(settings.seed)
inputs = images.view(images.shape[0], -1)
W1, b1 = minitorch.randn((784, 256)), minitorch.randn((1, 256))
W2, b2 = minitorch.randn((256, 10)), minitorch.randn((1, 10))
hidden = (inputs @ W1 + b1).sigmoid()
scores = hidden @ W2 + b2
print("inputs", inputs.shape, "hidden", hidden.shape, "scores", scores.shape)
print("scores of the first digit:", "  ".join(f"{score:.2f}" for score in scores[0].tolist()))

# %% [markdown]
# ## Softmax from `exp` and `sum`
#
# Scores may be any numbers. `softmax` makes probabilities of them: $p_i = e^{s_i} / \sum_j e^{s_j}$, all positive, and
# 1 in sum along each row. The sum runs over dimension 1, the classes; dimension 0 is the batch.


# %% softmax
def softmax(scores: Tensor) -> Tensor:
    """Make probabilities of scores, each row for itself: ``batch x class``."""
    powers = scores.exp()
    return powers / powers.sum(1)


# %% [markdown]
# The shapes say what is divided by what. The powers are `(64, 10)`. MiniTorch keeps the dimension that it adds up, so
# the sums are `(64, 1)`, and are repeated along each row. PyTorch drops it, unless it is told `keepdim=True`. Without
# it the sums would be `(64,)`; shapes are aligned at the right, so these would belong to the *columns*, of which there
# are ten. That is an error, and a lucky one: with ten digits in the batch the shapes fit, every number is divided by
# the sum of a wrong row, and nobody complains. So look at the sums of the rows.

# %% rows
powers = scores.exp()
print("powers", powers.shape, "sums of the rows", powers.sum(1).shape)
probabilities = softmax(scores)
row_sums = probabilities.sum(1)
difference = (probabilities - minitorch.softmax(scores, 1)).abs().max().item()
print(f"each row of {probabilities.shape} sums to {row_sums.min().item():.6f} to {row_sums.max().item():.6f}")
print(f"largest difference from the library's: {difference:.1e}")
assert difference < 1e-6
try:
    print(powers / powers.sum(1).view(64))
except minitorch.ShapeError as error:
    print(f"{type(error).__name__}:", error)
ten = powers[:10]
wrong = (ten / ten.sum(1).view(10)).sum(1)
print(
    "ten digits, and sums of the shape (10,): rows sum to", "  ".join(f"{row:.2g}" for row in wrong.view(10).tolist())
)

# %% [markdown]
# One thing is missing: $e^{100}$ is too large for a number of four bytes. It becomes infinity, and infinity divided by
# itself is `nan`, which is not a number. The library first subtracts the largest score of each row, which changes
# nothing, as it cancels out of the fraction.

# %% large
large = minitorch.tensor([[100.0, 0.0]])
print("scores 100 and 0: ours", softmax(large).tolist(), "the library's", minitorch.softmax(large, 1).tolist())
print("ours, less the largest:", softmax(large - large.max(1)).tolist())

# %% [markdown]
# ## A network as a class
#
# A class says in `__init__` which layers there are and in `forward` how the data goes through them. Each `Linear` holds
# its weights and its bias, which nobody has to carry along.


# %% class
class Network(minitorch.Module):
    """Digits to probabilities: 784 pixels, 256 hidden units, 10 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = layers.Linear(784, 256)
        self.output = layers.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Compute probabilities, ``batch x 10``, from images, ``batch x 1 x 28 x 28``."""
        x = x.view(x.shape[0], 784)
        x = self.hidden(x).sigmoid()
        return minitorch.softmax(self.output(x), dim=1)


# %% network
minitorch.manual_seed(settings.seed)
network = Network()
print(network)
probabilities = network(images)
print("output", probabilities.shape)
row_sums = probabilities.sum(1)
print(f"sums of the rows: {row_sums.min().item():.6f} to {row_sums.max().item():.6f}")

# %% [markdown]
# ## The same network as a Sequential
#
# Where layers simply follow each other, `Sequential` saves the class. Layers are found by their place; with an
# `OrderedDict` they also have names. Random numbers depend on the seed alone, so with the same seed all three networks
# begin with the same weights, and say exactly the same.

# %% sequential
minitorch.manual_seed(settings.seed)
positional = layers.Sequential(
    layers.Flatten(), layers.Linear(784, 256), layers.Sigmoid(), layers.Linear(256, 10), layers.Softmax(dim=1)
)
minitorch.manual_seed(settings.seed)
named = layers.Sequential(
    OrderedDict(
        flatten=layers.Flatten(),
        hidden=layers.Linear(784, 256),
        sigmoid=layers.Sigmoid(),
        output=layers.Linear(256, 10),
        softmax=layers.Softmax(dim=1),
    )
)
print(positional)
print("by place:", type(positional[1]).__name__, "with", [name for name, _ in positional.named_parameters()])
print("by name: ", type(named.hidden).__name__, "with", [name for name, _ in named.named_parameters()])
print("by place in the named one:", named[1] is named.hidden)
for name, other in {"positional": positional, "named": named}.items():
    difference = (other(images) - probabilities).abs().max().item()
    print(f"largest difference from the class, {name}: {difference}")
    assert difference == 0.0

# %% [markdown]
# ## A deeper network
#
# The same as a class with two hidden layers, of 128 and 64 units, and with `ReLU`, which is 0 for negative numbers and
# leaves others alone. Its layers are named as is common: `fc` for *fully connected*.


# %% deeper class
class DeeperNetwork(minitorch.Module):
    """Digits to probabilities: 784 pixels, hidden layers of 128 and 64 units, 10 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = layers.Linear(784, 128)
        self.fc2 = layers.Linear(128, 64)
        self.fc3 = layers.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Compute probabilities, ``batch x 10``, from images, ``batch x 1 x 28 x 28``."""
        x = x.view(x.shape[0], 784)
        x = self.fc1(x).relu()
        x = self.fc2(x).relu()
        return minitorch.softmax(self.fc3(x), dim=1)


# %% deeper
minitorch.manual_seed(settings.seed)
deeper = DeeperNetwork()
print(deeper)
row_sums = deeper(images).sum(1)
print("output", deeper(images).shape, f"rows sum to {row_sums.min().item():.6f} to {row_sums.max().item():.6f}")
print("parameters", sum(parameter.value.size for parameter in deeper.parameters()))

# %% [markdown]
# And as a `Sequential`. `in_a_row[0]` to `in_a_row[6]` are its parts, and a slice of it is a network too.

# %% slice
minitorch.manual_seed(settings.seed)
in_a_row = layers.Sequential(
    layers.Flatten(),
    layers.Linear(784, 128),
    layers.ReLU(),
    layers.Linear(128, 64),
    layers.ReLU(),
    layers.Linear(64, 10),
    layers.Softmax(dim=1),
)
difference = (in_a_row(images) - deeper(images)).abs().max().item()
print(f"largest difference from the class: {difference}")
assert difference == 0.0
print("after two hidden layers", in_a_row[:5](images).shape)

# %% [markdown]
# ## Looking at the weights
#
# A `Linear` layer holds its weights as a table, outputs x inputs, and one bias for each output. They begin random,
# uniform between $\pm 1 / \sqrt{\text{inputs}}$: small where many inputs are added up. They can be drawn otherwise:

# %% weights
weight, bias = network.hidden.parameters()
bound = 784**-0.5
print("weight", weight.value.shape, "bias", bias.value.shape)
print(f"from {weight.value.min().item():.4f} to {weight.value.max().item():.4f}; 1 / sqrt(784) is {bound:.4f}")
print(f"standard deviation {weight.value.std().item():.4f}; that of a uniform distribution {bound / 3**0.5:.4f}")

minitorch.init.normal_(weight, std=0.01)
minitorch.init.zeros_(bias)
print(f"now drawn from a normal distribution: standard deviation {weight.value.std().item():.4f}")
print("biases now", bias.value[:4].tolist())

# %% [markdown]
# ## What an untrained network says
#
# A digit goes in, ten probabilities come out, and `topk` finds the largest. It is the same class for nearly every
# digit, and not far above the 0.1 that pure chance would give each class: the scores come from random weights, not from
# what is on the picture. So about one digit in ten is right, by accident.

# %% untrained
probabilities = network(images)
most, guessed = probabilities.topk(1, dim=1)
for i in range(3):
    print(f"a {labels[i]}: guessed {guessed[i, 0]} with {most[i, 0]:.3f}, least {probabilities[i].min().item():.3f}")
right_ones = (guessed.flatten() == labels).sum().item()
print(f"{right_ones:.0f} of {len(labels)} right; classes that were guessed: {sorted(set(guessed.flatten().tolist()))}")

figure, (left, right) = plt.subplots(1, 2, figsize=(5, 2.4), layout="constrained", width_ratios=(1, 1.4))
left.imshow(images[0, 0].to_numpy(), cmap="gray_r")
left.set(title=f"a {labels[0]}")
left.axis("off")
right.barh(range(10), probabilities[0].to_numpy(), color="tab:blue")
right.axvline(0.1, color="black", linewidth=0.8, linestyle="--")
right.set(title="probabilities", yticks=range(10), xlim=(0, 0.3))
right.invert_yaxis()
figure.savefig(settings.out_dir / "untrained.png", dpi=100)

# %% [markdown]
# ## Bonus: a Reshape layer
#
# `view` changes the shape of a tensor, but a `Sequential` consists of layers. So here is a layer for it: `Reshape(2)`
# or `Reshape(2, 3)` says what becomes of each example, and the first dimension, the batch, stays. One size may be -1,
# which means: whatever is left.


# %% Reshape
class Reshape(minitorch.Module):
    """Give each example another shape: ``batch x ...`` becomes ``batch x shape``."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        if shape.count(-1) > 1:
            raise ValueError(f"expected at most one size of -1, got {shape}: two cannot be worked out")
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        """Regroup the numbers of each example."""
        return x.reshape(x.shape[0], *self.shape)


# %% reshaped
six = minitorch.arange(12).view(2, 6)
print("from", six.tolist())
print("Reshape(2, 3) ", Reshape(2, 3)(six).tolist())
print("Reshape(3, -1)", Reshape(3, -1)(six).tolist())
print("Reshape(2) of a batch of 6:", Reshape(2)(minitorch.arange(12).view(6, 2, 1)).shape)
try:
    Reshape(4)(six)
except minitorch.ShapeError as error:
    print("ShapeError:", error)

# %% [markdown]
# The library has the layer too. Both give the same, also inside a network that makes an image of 196 hidden units for a
# convolution and flattens what comes out:

# %% library
for shape in [(2, 3), (3, 2), (6,), (1, 6), (-1,), (3, -1), (-1, 1, 2)]:
    same = (Reshape(*shape)(six) == layers.Reshape(*shape)(six)).all().item() == 1
    print(f"Reshape{shape}: {Reshape(*shape)(six).shape}, equal to the library's: {same}")
    assert same

outputs = []
for layer in (Reshape, layers.Reshape):
    minitorch.manual_seed(settings.seed)
    model = layers.Sequential(
        layer(784), layers.Linear(784, 196), layer(1, 14, -1), layers.Conv2d(1, 4, 3), layer(-1), layers.Linear(576, 10)
    )
    outputs.append(model(images))
difference = (outputs[0] - outputs[1]).abs().max().item()
print("in a network:", outputs[0].shape, f"largest difference {difference}")
assert difference == 0.0
try:
    layers.Sequential(layers.Reshape(784), layers.Linear(784, 10))(images[:, :, 1:])
except minitorch.ShapeError as error:
    print("ShapeError:", error)
