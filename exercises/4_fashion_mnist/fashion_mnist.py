# %% [markdown]
# # 4. Fashion-MNIST
#
# **The task.** Build a network that recognises clothing in small grey pictures, train it, and look at what it answers.
# Then make the same program learn handwritten digits and colour photographs: only the settings `dataset` and `network`
# may change.
#
# Fashion-MNIST has 60,000 pictures to train on and 10,000 to test with, each of 28 x 28 pixels and of one of ten kinds:
# shirts, shoes, bags. It was made as a harder stand-in for MNIST's digits, with files of the same form.

# %%
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.append(str(Path(globals().get("__file__", "notebook")).resolve().parents[1]))  # where arguments.py is

import matplotlib.pyplot as plt
from recipes import find, loaders, make_model, make_optimizer, make_schedule

import minitorch
from arguments import arguments
from minitorch.data import ImageDataset
from minitorch.losses import cross_entropy
from minitorch.training import fit

settings = arguments(
    dataset=("fashionmnist", "mnist", "cifar"),
    network=("mlp", "cnn", "lenet", "wide"),
    seed=1,
    epochs=0,  # 0 means the recipe's own number
    train_images=0,  # 0 means all
    small={"epochs": 1, "train_images": 3000},
)
minitorch.set_default_backend(minitorch.FastBackend)  # compiled loops; the default is readable and slow
minitorch.set_default_dtype("float32")  # four bytes a number, which is precise enough for learning
minitorch.manual_seed(settings.seed)  # the same random numbers in every run

# %% [markdown]
# ## The data
#
# `data.load` finds the files by the data set's name and gives two data sets, one to train on and one to test with.
# Images are bytes from 0 to 255, `count x channel x height x width`, and each has the number of its class as a label.

# %% data
try:
    find(settings.network, settings.dataset)  # LeNet, for one, has a recipe for digits only
    train, test = minitorch.data.load(settings.dataset)
except minitorch.MiniTorchError as error:
    sys.exit(f"{type(error).__name__}: {error}")  # one sentence says what to do
if settings.train_images:
    kept = slice(settings.train_images)
    train = ImageDataset(train.images[kept], train.labels[kept], train.classes)
print("to train on:", " x ".join(map(str, train.images.shape)))
print("to test with:", " x ".join(map(str, test.images.shape)))
print("classes:", ", ".join(train.classes))


# %%
def draw_image(axes: Any, image: Any) -> None:
    """Draw one image, `channel x height x width` of bytes, in grey or in colour."""
    axes.imshow(image.transpose(1, 2, 0), cmap="gray_r", vmin=0, vmax=255)
    axes.set(xticks=[], yticks=[])


figure, grid = plt.subplots(2, 10, figsize=(10, 2.3), layout="constrained")
numbers = train.labels.tolist()
for number, name in enumerate(train.classes):
    of_this_class = [place for place, label in enumerate(numbers) if label == number]
    for row in range(2):
        draw_image(grid[row, number], train.images[of_this_class[row]])
    grid[0, number].set_title(name, fontsize=8)
figure.savefig(settings.out_dir / "examples.png", dpi=60)
plt.show()

# %% [markdown]
# ## The network and its recipe
#
# The networks stand in [models.py](models.py): plain lists of layers that end in ten numbers, a score for each class.
# How each is trained stands in [recipes.py](recipes.py), in one table. The smallest network, `mlp`, flattens the image
# and passes it through three hidden layers; `cnn` begins with convolutions, which look for the same small pattern
# everywhere in the image.

# %% network
recipe = find(settings.network, settings.dataset)
if settings.epochs:
    recipe = replace(recipe, epochs=settings.epochs)
model = make_model(recipe)
print(recipe)
print(model)
print(f"{sum(parameter.value.size for parameter in model.parameters()):,} parameters")

# %% [markdown]
# ## Training
#
# The loss is the cross entropy. With the scores $z$ of an image and its class $c$ it is
#
# $$-\log \frac{e^{z_c}}{\sum_k e^{z_k}},$$
#
# the negative logarithm of the probability that the network gives to the right answer: 0 for a network that is right
# and sure, $\log 10 \approx 2.303$ for one that guesses among ten classes.
#
# Before an image enters, its pixels are brought to mean 0 and standard deviation 1. Each step learns from one batch;
# the learning rate goes up and then down again over the whole training (a *one-cycle* schedule). The test images are
# measured after each epoch to draw the curve, but nothing is chosen by them: the accuracy after the **last** epoch is
# the one that counts.

# %% training
train_batches, test_batches = loaders(recipe, train, test)
optimizer = make_optimizer(recipe, model)
history = fit(
    model,
    train_batches,
    test_batches,
    loss=cross_entropy,
    optimizer=optimizer,
    epochs=recipe.epochs,
    schedule=make_schedule(recipe, optimizer, len(train_batches)),
    schedule_every="step",
)
print(f"Test accuracy after the last epoch: {history[-1]['validation_accuracy']:.2%}")

# %% [markdown]
# `fit` calls *validation* what it measures after each epoch: here these are the test images.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
for axes, number in ((left, "loss"), (right, "accuracy")):
    axes.plot(history["epoch"], history[number], marker=".", label="training images")
    axes.plot(history["epoch"], history[f"validation_{number}"], marker=".", label="test images")
    axes.set(xlabel="epoch", ylabel=number)
left.legend(frameon=False)
figure.savefig(settings.out_dir / "curves.png", dpi=80)
plt.show()

# %% [markdown]
# ## Class by class
#
# One number hides much. A table of counts shows what is taken for what: entry $(i, j)$ counts the test images of class
# $i$ that were called $j$. With one-hot rows $Y$ for the labels and $P$ for the answers (`count x class`, a single 1 in
# each row) it is the matrix product $Y^T P$: no loop, and no NumPy.

# %% classes
model.eval()
labels, answers = [], []
with minitorch.no_grad():
    for images, targets in test_batches:
        labels.append(targets)
        answers.append(model(images).argmax(1))
labels, answers = minitorch.cat(labels), minitorch.cat(answers)
count = len(test.classes)
is_class = minitorch.one_hot(labels, count).to("float32")
is_called = minitorch.one_hot(answers, count).to("float32")
confusion = (is_class.transpose(0, 1) @ is_called).tolist()

for number, name in enumerate(test.classes):
    row = confusion[number]
    others = [0.0 if other == number else times for other, times in enumerate(row)]
    mistaken = test.classes[others.index(max(others))]
    print(f"{name:12} {row[number] / sum(row):6.1%}, most often mistaken for {mistaken} ({max(others):.0f} times)")

# %% [markdown]
# On Fashion-MNIST the shirts are the hardest: they are taken for T-shirts, coats and pullovers, and people would agree
# that some of them are. Trousers, bags and shoes have forms of their own.

# %% [markdown]
# ## Single images, with probabilities
#
# `softmax` makes probabilities of the scores: each is $e^{z_k}$ divided by the sum of all. Below are the first four
# test images, and the next two that the network gets wrong; the bar of the right class is green. A network can be wrong
# and state a high probability all the same: exercise 5 looks for a better measure of its doubt.

# %% predictions
first = [0, 1, 2, 3]
wrong = [place for place, equal in enumerate((labels == answers).tolist()) if not equal and place not in first]
chosen = first + wrong[:2]
to_numbers = test_batches.dataset
figure, grid = plt.subplots(2, len(chosen), figsize=(12, 4.4), layout="constrained")
for place, index in enumerate(chosen):
    image, label = to_numbers[index]
    with minitorch.no_grad():
        scores = model(image.unsqueeze(0))
    probabilities = minitorch.softmax(scores, 1)[0].tolist()
    answer = probabilities.index(max(probabilities))
    print(f"test image {index}: {test.classes[answer]} ({max(probabilities):.1%}), labelled {test.classes[label]}")
    draw_image(grid[0, place], test.images[index])
    grid[0, place].set_title(test.classes[label], fontsize=9)
    colours = ["#2a9d55" if number == label else "#1f4e9c" for number in range(count)]
    grid[1, place].barh(range(count), probabilities, color=colours)
    grid[1, place].set(xlim=(0, 1), yticks=range(count), yticklabels=test.classes if place == 0 else [])
    grid[1, place].invert_yaxis()
figure.savefig(settings.out_dir / "predictions.png", dpi=70)
plt.show()
