# %% [markdown]
# # 3. The training loop
#
# A network learns by going downhill: compute how wrong it is, compute in which direction each weight makes that
# worse, and move every weight a little the other way. Here we look at each of these parts, put them into the loop
# that all of deep learning consists of, take the loop apart again by leaving out one line at a time, and let the
# learning rate change while it runs.

# %%
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(globals().get("__file__", "notebook")).resolve().parents[1]))  # where arguments.py is

import matplotlib.pyplot as plt

import minitorch
from arguments import arguments
from minitorch import Module, Tensor, layers, losses, optim, schedules
from minitorch.data import DataLoader, Subset
from minitorch.training import evaluate

settings = arguments(
    seed=0,
    examples=60_000,
    epochs=5,
    steps=400,  # of each loop that lacks a line
    small={"examples": 4000, "epochs": 2, "steps": 60},
)
minitorch.set_default_backend(minitorch.FastBackend)
minitorch.set_default_dtype("float32")

# %% [markdown]
# ## Gradients
#
# A tensor with `requires_grad=True` remembers what is computed from it. `backward` goes back through all of that, and
# leaves in `grad` how fast the result changes with each number. For $z = \frac{1}{4} \sum_i x_i^2$ the slope is
# $\partial z / \partial x_i = x_i / 2$.

# %% gradients
x = minitorch.tensor([[1.0, -2.0], [3.0, 0.5]], requires_grad=True)
z = (x * x).mean()
print("before", x.grad)
z.backward()
print("after", x.grad)
print("expected", x.detach() / 2)
assert (x.grad == x.detach() / 2).all().item()
print("recorded:", (x * x).requires_grad(), end="")
with minitorch.no_grad():
    print("; under no_grad:", (x * x).requires_grad())

# %% [markdown]
# ## Losses
#
# The loss is one number that says how wrong a batch of answers is. For classes it is the *cross-entropy*: the
# negative logarithm of the probability that the right class was given, averaged over the batch. A sure, right answer
# costs 0, a guess among ten $\ln 10 \approx 2.3$.
#
# There are two ways to write it. The network ends with scores, and `cross_entropy` does the rest; or the network ends
# with `LogSoftmax`, and `nll_loss` (negative log-likelihood) picks the right class. Logarithms of probabilities are
# used and not the probabilities, because a very small probability would be rounded to 0.

# %%
train, test = minitorch.data.load("mnist")
train = Subset(train, range(min(settings.examples, len(train))))
batches = DataLoader(train, batch_size=64, shuffle=True, seed=settings.seed)
images, labels = next(iter(batches))


# %% network
def new_network() -> layers.Sequential:
    """Make a network for digits, the same one each time: 784 pixels, two hidden layers, 10 logarithms."""
    minitorch.manual_seed(settings.seed)
    return layers.Sequential(
        layers.Flatten(),
        layers.Linear(784, 128),
        layers.ReLU(),
        layers.Linear(128, 64),
        layers.ReLU(),
        layers.Linear(64, 10),
        layers.LogSoftmax(dim=1),
    )


# %% losses
network = new_network()
scores = network[:-1](images)
log_probabilities = network(images)
by_hand = -log_probabilities.gather(1, labels.view(-1, 1)).mean()
print(f"cross_entropy of the scores        {losses.cross_entropy(scores, labels).item():.6f}")
print(f"nll_loss of the log-probabilities  {losses.nll_loss(log_probabilities, labels).item():.6f}")
print(f"picked and averaged by hand        {by_hand.item():.6f}; ln 10 is {math.log(10):.6f}")
assert abs(losses.cross_entropy(scores, labels).item() - by_hand.item()) < 1e-6

# %% [markdown]
# ## One step
#
# Before `backward` the weights have no gradient, afterwards each has one of its own shape. An optimiser's step
# subtracts it, times the learning rate: $w \leftarrow w - \eta\, \partial L / \partial w$. The loss of the same batch
# is smaller after that. Done by hand, the new weights are the same.

# %% step
optimizer = optim.SGD(network.parameters(), lr=0.1)
weight = network[1].weight
print("gradient before backward:", weight.value.grad)
loss = losses.nll_loss(network(images), labels)
optimizer.zero_grad()
loss.backward()
print(f"gradient after backward: shape {weight.value.grad.shape}, largest {weight.value.grad.abs().max().item():.5f}")

by_hand = weight.value.detach() - 0.1 * weight.value.grad
optimizer.step()
difference = (weight.value - by_hand).abs().max().item()
print(f"largest difference between the step and the one by hand: {difference}")
assert difference == 0.0
print(f"loss before {loss.item():.4f}, after {losses.nll_loss(network(images), labels).item():.4f}")

# %% [markdown]
# ## The loop
#
# Again and again, for every batch: forget the old gradients, compute the loss, compute the gradients, move the
# weights. An *epoch* has gone once through all the data. `minitorch.compile` makes one program of the step, which is
# faster; what it computes is the same.


# %% compiled step
def compiled_step(network: Module, optimizer: optim.Optimizer) -> Callable[[Tensor, Tensor], Tensor]:
    """Make the step that a network learns by: from images and labels to their loss."""

    @minitorch.compile
    def step(images: Tensor, labels: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = losses.nll_loss(network(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step


# %% loop
def accuracy(network: Module) -> float:
    """Give the share of the test images that a network reads right."""
    return evaluate(network, DataLoader(test, batch_size=500))["accuracy"]


network = new_network()
optimizer = optim.SGD(network.parameters(), lr=0.1)
step = compiled_step(network, optimizer)
print(f"{len(train):,} digits to learn from, {len(test):,} to test with; untrained: {accuracy(network):.2%}")
for epoch in range(1, settings.epochs + 1):
    start = time.perf_counter()
    mean = sum(step(images, labels).item() for images, labels in batches) / len(batches)
    seconds = time.perf_counter() - start
    print(f"epoch {epoch}: loss {mean:.4f}, test accuracy {accuracy(network):.2%}, {seconds:.2f} s")

# %% [markdown]
# And now the network has something to say about a digit that it has never seen:

# %%
image, label = test[0]
with minitorch.no_grad():
    probabilities = network(image.unsqueeze(0)).exp()
figure, (left, right) = plt.subplots(1, 2, figsize=(5, 2.4), layout="constrained", width_ratios=(1, 1.4))
left.imshow(image[0].to_numpy(), cmap="gray_r")
left.set(title=f"a {label}")
left.axis("off")
right.barh(range(10), probabilities[0].to_numpy(), color="tab:blue")
right.set(title="probabilities", yticks=range(10), xlim=(0, 1))
right.invert_yaxis()
figure.savefig(settings.out_dir / "trained.png", dpi=100)

# %% [markdown]
# ## Bonus: what if a line is left out?
#
# **Without `backward()`** there are no gradients, so `step()` has nothing to go by and leaves every weight as it is.
# No error is raised. The loss stays where it began, and only differs from batch to batch.
#
# **Without `step()`** the gradients are computed, correctly, and nobody uses them. The weights stay as they are, so
# the losses are the very same numbers as without `backward()`, at a greater cost.
#
# **Without `zero_grad()`** the gradients add up: `backward()` adds to what is there. Each step then goes along the
# sum of the gradients of *all* steps so far, also of those from long ago when the weights were elsewhere. It is like
# a heavy ball that rolls without friction: it is fast at first, then it rolls past the bottom and up the other side.
#
# There is a difference between libraries in this last point. PyTorch changes weights in place, and their gradients
# stay beside them. In MiniTorch `step()` gives each parameter a *new* value, which has no gradient yet, as in the
# MiniTorch course, whose scripts for digits and for sentiment never call `zero_grad()`. So leaving it out changes
# nothing in this loop: it is needed where several `backward()` come before a `step()`, which is how one adds up the
# gradients of several small batches on purpose. To see what the loop would do in PyTorch, the version below carries
# the old gradients over by hand.


# %% train without
def train_without(missing: str, steps: int) -> tuple[list[float], float, float]:
    """Train a new network by a loop that lacks a line.

    Args:
        missing: ``"zero_grad"``, ``"backward"``, ``"step"``, or anything else for the complete loop. Of the first one,
            ``"zero_grad, carried over"`` keeps gradients from step to step, as PyTorch does.
        steps: how many batches to train on.

    Returns:
        The loss of each step, the accuracy at the end, and how far the farthest weight has moved.
    """
    network = new_network()
    optimizer = optim.SGD(network.parameters(), lr=0.1)
    begun = [parameter.value.detach() for parameter in network.parameters()]
    loader = DataLoader(train, batch_size=64, shuffle=True, seed=settings.seed)
    batches = (batch for _ in range(steps) for batch in loader)
    seen = []
    for _, (images, labels) in zip(range(steps), batches):
        if not missing.startswith("zero_grad"):
            optimizer.zero_grad()
        loss = losses.nll_loss(network(images), labels)
        if missing != "backward":
            loss.backward()
        gradients = [parameter.value.grad for parameter in network.parameters()]
        if missing != "step":
            optimizer.step()
        if missing == "zero_grad, carried over":
            for parameter, gradient in zip(network.parameters(), gradients):
                parameter.value.grad = gradient
        seen.append(loss.item())
    moved = max((p.value.detach() - b).abs().max().item() for p, b in zip(network.parameters(), begun))
    return seen, accuracy(network), moved


# %% left out
runs = {
    missing: train_without(missing, settings.steps)
    for missing in ["nothing", "zero_grad", "zero_grad, carried over", "backward", "step"]
}
print(f"{'missing':24} {'first loss':>10} {'last tenth':>10} {'worst':>8} {'accuracy':>8} {'moved':>7}")
for missing, (seen, right, moved) in runs.items():
    last = seen[-settings.steps // 10 :]
    print(f"{missing:24} {seen[0]:10.4f} {sum(last) / len(last):10.4f} {max(seen):8.2f} {right:8.2%} {moved:7.3f}")
print("without zero_grad, the same numbers as with it:", runs["zero_grad"] == runs["nothing"])
print("without step, the same losses as without backward:", runs["step"][0] == runs["backward"][0])
assert runs["zero_grad"] == runs["nothing"]
assert runs["step"][0] == runs["backward"][0]


# %% [markdown]
# The four curves, each point the mean of ten steps. Without `backward()` and without `step()` they lie on each other.


# %%
def smooth(values: list[float], width: int = 10) -> list[float]:
    """Average neighbours."""
    return [sum(values[i : i + width]) / width for i in range(0, len(values) - width + 1, width)]


figure, axes = plt.subplots(figsize=(5.5, 3), layout="constrained")
styles = {
    "nothing": ("complete", "tab:blue", "-"),
    "zero_grad, carried over": ("without zero_grad()", "tab:red", "-"),
    "backward": ("without backward()", "tab:green", "-"),
    "step": ("without step()", "black", ":"),
}
for missing, (label, color, line) in styles.items():
    means = smooth(runs[missing][0])
    axes.plot([10 * i + 5 for i in range(len(means))], means, line, label=label, color=color)
axes.set(xlabel="step", ylabel="loss", ylim=(0, 4))
axes.grid(alpha=0.3)
axes.legend(fontsize="small")
figure.savefig(settings.out_dir / "left_out.png", dpi=100)

# %% [markdown]
# ## Bonus: a learning rate scheduler
#
# Large steps go far at first and jump about the bottom in the end, small ones the other way round. So the learning
# rate is changed on the way. A scheduler knows the optimiser, counts steps, and writes the new rate into it; here the
# rate is any function of the step, times the rate that the optimiser began with.


# %% scheduler
class Scheduler:
    """Set an optimiser's learning rate to a share of the first one.

    Args:
        optimizer: whose learning rate is set, for the first step at once.
        share: a function of the number of the step, counted from 0.
    """

    def __init__(self, optimizer: optim.Optimizer, share: Callable[[int], float]) -> None:
        self.optimizer, self.share = optimizer, share
        self.first = [group["lr"] for group in optimizer.param_groups]
        self.count = -1
        self.step()

    def step(self) -> None:
        """Go on to the next step."""
        self.count += 1
        for group, first in zip(self.optimizer.param_groups, self.first):
            group["lr"] = first * self.share(self.count)


# %% shares
def halving(every: int) -> Callable[[int], float]:
    """Halve the rate every so many steps."""
    return lambda step: 0.5 ** (step // every)


def cosine(steps: int) -> Callable[[int], float]:
    """Go down to zero along half a wave."""
    return lambda step: (1 + math.cos(math.pi * step / steps)) / 2


# %% [markdown]
# The library has both, and more. The rates of twelve epochs, side by side:


# %% rates
def rates(make: Callable[[optim.Optimizer], Scheduler | schedules.LRScheduler]) -> list[float]:
    """Give the rates of twelve epochs of a schedule, which goes on after each of them."""
    optimizer = optim.SGD(new_network().parameters(), lr=0.1)
    schedule = make(optimizer)
    seen = []
    for _ in range(12):
        seen.append(optimizer.lr)
        schedule.step()
    return seen


own_halving = rates(lambda optimizer: Scheduler(optimizer, halving(every=3)))
own_cosine = rates(lambda optimizer: Scheduler(optimizer, cosine(steps=12)))
library_halving = rates(lambda optimizer: schedules.StepLR(optimizer, step_size=3, gamma=0.5))
library_cosine = rates(lambda optimizer: schedules.CosineAnnealingLR(optimizer, T_max=12))
print("epoch  halving   StepLR   cosine  CosineAnnealingLR")
for epoch, row in enumerate(zip(own_halving, library_halving, own_cosine, library_cosine)):
    print(f"{epoch:5}  {row[0]:.5f}  {row[1]:.5f}  {row[2]:.5f}  {row[3]:.5f}")
largest = max(abs(a - b) for a, b in zip(own_halving + own_cosine, library_halving + library_cosine))
print("largest difference", 0.0 if largest < 1e-12 else largest)
assert largest < 1e-12

# %% [markdown]
# And what it is good for. The same network learns with a constant rate, a large one, and with the same rate going
# down along a cosine, with our scheduler and with the library's, a step of the schedule after each batch. The step is
# compiled; the program reads the rate anew each time.


# %% scheduled
def train_with(make: Callable[[optim.Optimizer], Scheduler | schedules.LRScheduler]) -> tuple[list[float], float]:
    """Train a new network with a schedule; give the loss of each step and the accuracy at the end."""
    network = new_network()
    optimizer = optim.SGD(network.parameters(), lr=0.5)
    schedule = make(optimizer)
    step = compiled_step(network, optimizer)
    loader = DataLoader(train, batch_size=64, shuffle=True, seed=settings.seed)
    seen = []
    for _ in range(settings.epochs):
        for images, labels in loader:
            seen.append(step(images, labels).item())
            schedule.step()
    return seen, accuracy(network)


total = settings.epochs * len(batches)
scheduled = {
    "constant": train_with(lambda optimizer: Scheduler(optimizer, lambda step: 1.0)),
    "our cosine": train_with(lambda optimizer: Scheduler(optimizer, cosine(total))),
    "CosineAnnealingLR": train_with(lambda optimizer: schedules.CosineAnnealingLR(optimizer, T_max=total)),
}
for name, (seen, right) in scheduled.items():
    last = seen[-len(batches) // 4 :]
    print(f"{name:18} loss of the last quarter of an epoch {sum(last) / len(last):.4f}, test accuracy {right:.2%}")

figure, (left, right) = plt.subplots(1, 2, figsize=(7, 2.8), layout="constrained")
left.plot(own_halving, "o-", label="halving", color="tab:orange", markersize=4)
left.plot(library_halving, "x", label="StepLR", color="black")
left.plot(own_cosine, "o-", label="cosine", color="tab:blue", markersize=4)
left.plot(library_cosine, "+", label="CosineAnnealingLR", color="black")
left.set(title="learning rate", xlabel="epoch")
left.legend(fontsize="small")
width = max(1, total // 60)
for name, color in [("constant", "tab:red"), ("our cosine", "tab:blue")]:
    means = smooth(scheduled[name][0], width)
    right.plot([width * i / len(batches) for i in range(len(means))], means, label=name, color=color)
right.set(title="training loss", xlabel="epoch", yscale="log")
right.legend(fontsize="small")
right.yaxis.set_major_formatter("{x:g}")
right.yaxis.set_minor_formatter("")
for axes in (left, right):
    axes.grid(alpha=0.3)
figure.savefig(settings.out_dir / "schedules.png", dpi=90)
