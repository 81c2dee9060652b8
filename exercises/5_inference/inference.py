# %% [markdown]
# # 5. Inference and validation
#
# **The task.** Measure a network on images that it did not learn from; see it overfit, and see what dropout does about
# that; put it to use, with gradients and dropout switched off. Then leave dropout on, on purpose: *Monte Carlo dropout*
# asks the network a hundred times about one image, and the answers tell how sure it is.

# %%
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

sys.path.append(str(Path(globals().get("__file__", "notebook")).resolve().parents[1]))  # where arguments.py is

import matplotlib.pyplot as plt

import minitorch
from arguments import arguments
from minitorch import Module, Tensor
from minitorch.data import Compose, DataLoader, Normalize, Subset, ToDtype
from minitorch.layers import Dropout, Flatten, Linear, ReLU, Sequential
from minitorch.losses import cross_entropy
from minitorch.training import History, evaluate, fit

settings = arguments(
    seed=1,
    epochs=30,
    train_images=10_000,
    validation_images=5_000,
    samples=100,
    asked=1_000,  # images that the last section asks about
    small={"epochs": 4, "train_images": 2_000, "validation_images": 1_000, "asked": 200},
)
minitorch.set_default_backend(minitorch.FastBackend)  # compiled loops; the default is readable and slow
minitorch.set_default_dtype("float32")  # four bytes a number, which is precise enough for learning
minitorch.manual_seed(settings.seed)  # the same random numbers in every run

# %% [markdown]
# ## Three parts of the data
#
# A network is judged on images that it has never seen. If anything is *chosen* by such a measurement, be it the number
# of epochs or the strength of dropout, the images that it was chosen by are no longer unseen. So there are three parts:
# the **training** images, which move the parameters; the **validation** images, which are measured after each epoch and
# may be chosen by; and the **test** images, which nothing is chosen by. Here the training part is small, so that
# overfitting is easy to see.

# %% data
normalise = Compose([ToDtype("float32", scale=True), Normalize(0.286, 0.353)])
images, test = minitorch.data.load("fashionmnist", transform=normalise)
train = Subset(images, range(settings.train_images))
validation = Subset(images, range(len(images) - settings.validation_images, len(images)))
print(f"{len(train):,} training images, {len(validation):,} validation images, {len(test):,} test images")

train_batches = DataLoader(train, batch_size=100, shuffle=True, seed=settings.seed)
validation_batches = DataLoader(validation, batch_size=500)
test_batches = DataLoader(test, batch_size=500)

# %% [markdown]
# ## Overfitting, without dropout and with it
#
# The same network is trained twice, from the same first parameters and on the same batches. The first has no dropout
# (`p=0`). In the second, each hidden layer loses a random half of its units in every training step (`p=0.5`), so that
# no unit can count on another one: what is learnt must be spread over many. What is left is divided by $1 - p$, which
# keeps the expected value of each unit as it would be without dropout.


# %% network
def make_network(p: float) -> Sequential:
    """Two hidden layers, each behind dropout of a share `p` of its units."""
    return Sequential(
        Flatten(), Linear(784, 256), ReLU(), Dropout(p), Linear(256, 128), ReLU(), Dropout(p), Linear(128, 10)
    )


# %%
def train_network(p: float) -> tuple[Sequential, History]:
    """Train a network and give it with its history."""
    minitorch.manual_seed(settings.seed)
    model = make_network(p)
    history = fit(
        model,
        DataLoader(train, batch_size=100, shuffle=True, seed=settings.seed),
        validation_batches,
        loss=cross_entropy,
        optimizer=minitorch.Adam(model.parameters(), lr=0.001),
        epochs=settings.epochs,
        log=None,
    )
    return model, history


# %% overfitting
without_dropout, history_without = train_network(0.0)
with_dropout, history_with = train_network(0.5)
for name, model, history in (
    ("without dropout", without_dropout, history_without),
    ("with dropout", with_dropout, history_with),
):
    on_training = evaluate(model, train_batches, loss=cross_entropy)
    losses = history["validation_loss"]
    print(f"{name}, after {settings.epochs} epochs:")
    print(f"  training images    loss {on_training['loss']:.3f}, accuracy {on_training['accuracy']:.1%}")
    print(f"  validation images  loss {losses[-1]:.3f}, accuracy {history['validation_accuracy'][-1]:.1%}")
    print(f"  lowest validation loss {min(losses):.3f}, after epoch {losses.index(min(losses)) + 1}")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained", sharey=True)
for axes, name, history in ((left, "without dropout", history_without), (right, "with dropout, p = 0.5", history_with)):
    axes.plot(history["epoch"], history["loss"], label="training loss")
    axes.plot(history["epoch"], history["validation_loss"], label="validation loss")
    axes.set(title=name, xlabel="epoch")
left.set(ylabel="cross entropy", ylim=(0.0, 1.0))
left.legend(frameon=False)
figure.savefig(settings.out_dir / "overfitting.png", dpi=80)
plt.show()

# %% [markdown]
# Without dropout the training loss goes on falling while the validation loss turns and rises: the network learns its
# images by heart, and is more and more sure of itself where it is wrong. With dropout both stay close together. Its
# training loss lies *above* the other one's because it is measured while half of the units are missing; the table
# above, measured with all units, shows the true distance.
#
# ## `eval()` and `no_grad()` are two different things
#
# - `model.eval()` changes what **layers** do: dropout passes everything on, batch normalisation uses its averages. It
#   lasts until `model.train()`.
# - `no_grad()` changes what is **recorded**: within it nothing is kept for a backward pass, so memory is freed at once.
#   It does not touch dropout.
#
# The next cell asks about one image, three times in a row, in each combination.

# %% modes
image, label = test[0]
batch = image.unsqueeze(0)


def ask_three_times(situation: str) -> None:
    """Print the probability of the image's own class, and whether a backward pass could follow."""
    answers = [model(batch) for _ in range(3)]
    probabilities = [f"{minitorch.softmax(scores, 1)[0, label]:.4f}" for scores in answers]
    recorded = "yes" if answers[-1].requires_grad() else "no"
    print(f"{situation:20} {'  '.join(probabilities)}   recorded: {recorded}")


model = with_dropout
model.train()
ask_three_times("train()")
with minitorch.no_grad():
    ask_three_times("train(), no_grad()")
model.eval()
ask_three_times("eval()")
with minitorch.no_grad():
    ask_three_times("eval(), no_grad()")

# %% [markdown]
# In training mode the same image gets another answer each time, with or without `no_grad()`. In evaluation mode all
# answers are alike. For inference one wants both: `eval()` for the right numbers, `no_grad()` to save time and memory.
# `training.evaluate` does both, and puts the model back into the mode that it was in.
#
# How wrong is a measurement that forgets `eval()`?


# %% top k accuracy
def top_k_accuracy(model: Module, batches: Iterable[tuple[Tensor, Tensor]], k: int) -> float:
    """Give the share of images whose class is among the k highest scores."""
    right, count = 0.0, 0
    with minitorch.no_grad():
        for images, labels in batches:
            highest = model(images).topk(k, 1).indices
            right += (highest == labels.unsqueeze(1)).sum().item()
            count += len(labels)
    return right / count


# %% forgotten
model.eval()
print(f"validation accuracy with eval():    {top_k_accuracy(model, validation_batches, 1):.1%}")
model.train()
print(f"validation accuracy in train mode:  {top_k_accuracy(model, validation_batches, 1):.1%}")

# %% [markdown]
# ## Top-k
#
# `scores.topk(k, 1)` gives the $k$ highest scores of each row and their places, which are the classes. Logarithms and
# softmax keep the order, so the classes of the highest scores are those of the highest probabilities. An image counts
# for the *top-k accuracy* if its class is among the $k$ highest.

# %% top
model.eval()
probabilities, classes = minitorch.softmax(model(batch).detach(), 1).topk(3, 1)
for probability, number in zip(probabilities[0].tolist(), classes[0].tolist()):
    print(f"{test.classes[number]:12} {probability:.4f}")
print(f"the first test image is labelled {test.classes[label]}")
for k in (1, 2, 3, 5):
    print(f"top-{k} accuracy on the test images: {top_k_accuracy(model, test_batches, k):.1%}")

# %% [markdown]
# ## Monte Carlo dropout
#
# The probability that a network states is not how sure it is: it was trained on clear cases and is bold about unclear
# ones. Gal and Ghahramani (2016) keep dropout active when they ask. Each pass drops other units, so each pass is the
# answer of another network out of many that were trained at once; where they agree the answer is certain, where they
# contradict each other it is not.
#
# The model stays in evaluation mode and *only its dropout layers* go back to training mode. (`model.train()` would also
# make batch normalisation use the batch's own averages. This network has none, but the next one may.)
#
# A pass is compiled: the first call makes one program of it, which every later call with as many images runs again,
# with new dropout masks in each call, the same ones that the same seed gives line by line.


# %% passes
@minitorch.compile
def one_pass(model: Module, images: Tensor) -> Tensor:
    """Give the class probabilities, `image x class`."""
    with minitorch.no_grad():
        return minitorch.softmax(model(images), 1)


def monte_carlo(model: Module, images: Tensor, samples: int) -> list[Tensor]:
    """Give the class probabilities of each pass, a list of `samples` tensors of `image x class`."""
    model.eval()
    for _, module in model.named_modules():
        if isinstance(module, Dropout):
            module.train()
    passes = [one_pass(model, images) for _ in range(samples)]
    model.eval()
    return passes


# %% [markdown]
# With the probabilities $p^{(s)}_k$ of class $k$ in pass $s$, the answer is their mean over the $S$ passes, and the
# **predictive entropy** of that mean says how much doubt there is:
#
# $$\bar p_k = \frac{1}{S} \sum_{s=1}^{S} p^{(s)}_k, \qquad H = -\sum_k \bar p_k \log \bar p_k.$$
#
# $H$ is 0 if one class has all the probability, and $\log 10 \approx 2.303$ if all ten have the same.


# %% entropy
def predictive_entropy(passes: Sequence[Tensor]) -> Tensor:
    """Give the entropy of the mean probabilities of each image, `image`."""
    mean = minitorch.stack(passes).mean(0).squeeze(0)
    entropy = -(mean * mean.log()).sum(1).squeeze(1)
    return entropy.clip(0.0)  # MiniTorch's log(x) is log(x + 1e-6), so certainty would come out as -1e-6


# %% [markdown]
# First for many test images, to find an easy and a hard one: that of the lowest entropy and that of the highest.

# %% chosen
asked, labels = next(iter(DataLoader(test, batch_size=settings.asked)))
passes_of_all = monte_carlo(model, asked, settings.samples)
entropy = predictive_entropy(passes_of_all)
easy = entropy.topk(1, largest=False).indices[0]
hard = entropy.topk(1).indices[0]
print(f"of the first {settings.asked:,} test images, number {easy} has the lowest entropy: {entropy[easy]:.4f}")
print(f"and number {hard} the highest: {entropy[hard]:.4f}, of at most {math.log(10):.4f}")

# %% [markdown]
# Now a hundred new passes for each of the two. The histogram counts which class each pass calls.

# %% histogram
figure, grid = plt.subplots(2, 2, figsize=(9, 4.6), layout="constrained", width_ratios=(1, 3))
for (left, right), name, number in zip(grid, ("easy", "hard"), (easy, hard)):
    image, kind = asked[number : number + 1], test.classes[test.labels[number]]
    passes = monte_carlo(model, image, settings.samples)
    called = minitorch.cat(passes).argmax(1)
    counts = minitorch.one_hot(called, 10).sum(0).squeeze(0).tolist()
    doubt = predictive_entropy(passes).item()
    with minitorch.no_grad():
        stated = minitorch.softmax(model(image), 1).max().item()
    of_each = ", ".join(f"{test.classes[k]} {count}" for k, count in enumerate(counts) if count)
    print(f"the {name} image, labelled {kind}: predictive entropy {doubt:.4f}")
    print(f"  classes called in {settings.samples} passes: {of_each}")
    print(f"  highest probability without dropout: {stated:.1%}")
    left.imshow(test.images[number, 0], cmap="gray_r")
    left.set(xticks=[], yticks=[], title=f"{name}: {kind}")
    right.bar(range(10), counts, color="#1f4e9c")
    right.set(ylabel="passes", ylim=(0, settings.samples), title=f"predictive entropy {doubt:.3f}", xticks=range(10))
    right.set_xticklabels(test.classes, fontsize=7, rotation=20)
figure.savefig(settings.out_dir / "monte_carlo.png", dpi=70)
plt.show()

# %% [markdown]
# Both images were chosen as extremes, so on new passes both are a little less extreme.
#
# ## Does the entropy know when the network is wrong?
#
# If it is worth anything, images that are answered wrongly must have the higher entropy; and a program that leaves the
# most doubtful fifth of the images to a person should be right more often about the rest.

# %% doubt
mean = minitorch.stack(passes_of_all).mean(0).squeeze(0)
right = (mean.argmax(1) == labels).to("float32")
wrong = 1.0 - right
surest = entropy.topk(len(labels) * 4 // 5, largest=False).indices
print(f"right answers: {right.mean().item():.1%}")
print(f"mean entropy where the answer is right: {((entropy * right).sum() / right.sum()).item():.3f}")
print(f"mean entropy where the answer is wrong: {((entropy * wrong).sum() / wrong.sum()).item():.3f}")
print(f"right answers among the surest four fifths: {right.gather(0, surest).mean().item():.1%}")
