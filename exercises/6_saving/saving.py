# %% [markdown]
# # 6. Saving and loading
#
# **The task.** Save what a network has learnt and load it again, also where nobody remembers how the network was built.
# Then write *early stopping*: end the training when the validation loss has not improved for some epochs, and go back
# to the best parameters; and do the same with the library. Last, stop a training and go on as if nothing had happened.

# %%
import json
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(globals().get("__file__", "notebook")).resolve().parents[1]))  # where arguments.py is

import matplotlib.pyplot as plt

import minitorch
from arguments import arguments
from minitorch import Module, Tensor
from minitorch.data import Compose, DataLoader, Normalize, Subset, ToDtype
from minitorch.layers import Flatten, Linear, ReLU, Sequential
from minitorch.losses import cross_entropy
from minitorch.training import EarlyStopping, History, evaluate, fit

settings = arguments(
    seed=1,
    epochs=40,
    patience=3,
    train_images=10_000,
    validation_images=5_000,
    small={"epochs": 12, "patience": 1, "train_images": 2_000, "validation_images": 1_000},
)
minitorch.set_default_backend(minitorch.FastBackend)  # compiled loops; the default is readable and slow
minitorch.set_default_dtype("float32")  # four bytes a number, which is precise enough for learning
minitorch.manual_seed(settings.seed)  # the same random numbers in every run

# %% data
normalise = Compose([ToDtype("float32", scale=True), Normalize(0.286, 0.353)])
images, test = minitorch.data.load("fashionmnist", transform=normalise)
train = Subset(images, range(settings.train_images))
validation = Subset(images, range(len(images) - settings.validation_images, len(images)))
validation_batches = DataLoader(validation, batch_size=500)
print(f"{len(train):,} training images, {len(validation):,} validation images, {len(test):,} test images")


# %% [markdown]
# ## A network that knows how it was built
#
# The numbers that a network was built with, here the sizes of its hidden layers, are not among its parameters. Whoever
# loads the parameters must build the same network first. So the class below keeps them in its attribute `arguments`,
# and `minitorch.save` writes them into the file.


# %% classifier
class Classifier(Module):
    """A network with hidden layers of chosen sizes, from images of 28 x 28 pixels to ten scores."""

    def __init__(self, hidden: list[int]) -> None:
        super().__init__()
        self.arguments = {"hidden": hidden}
        sizes = [784, *hidden]
        layers: list[Module] = [Flatten()]
        for inputs, outputs in zip(sizes, hidden):
            layers += [Linear(inputs, outputs), ReLU()]
        self.layers = Sequential(*layers, Linear(sizes[-1], 10))

    def forward(self, images: Tensor) -> Tensor:
        """Give a score for each class, `batch x 10`."""
        return self.layers(images)


# %%
def shuffled_batches() -> DataLoader:
    """Give the training images in batches, in an order that the seed decides."""
    return DataLoader(train, batch_size=100, shuffle=True, seed=settings.seed)


model = Classifier(hidden=[128, 64])
optimizer = minitorch.Adam(model.parameters(), lr=0.001)
fit(model, shuffled_batches(), validation_batches, loss=cross_entropy, optimizer=optimizer, epochs=2)

# %% [markdown]
# ## The state dict
#
# `model.state_dict()` gives every parameter as an array, under its name: the path of attributes and numbers that leads
# to it.

# %% state
state = model.state_dict()
for name, array in state.items():
    print(f"{name:16} {array.shape}")

# %% [markdown]
# The state dict goes into a file and comes back, and into a network that was built alike. Both networks then give the
# same scores, to the last bit.

# %% parameters
path = settings.out_dir / "parameters.safetensors"
minitorch.save(state, path)

copy = Classifier(hidden=[128, 64])
batch, labels = next(iter(validation_batches))
with minitorch.no_grad():
    print("largest difference before loading:", f"{(copy(batch) - model(batch)).abs().max().item():.4f}")
    copy.load_state_dict(minitorch.load(path))
    difference = (copy(batch) - model(batch)).abs().max().item()
print("largest difference after loading: ", difference)
assert difference == 0.0

# %% [markdown]
# ## The whole model
#
# `minitorch.save(model, path)` takes the name of the class and `arguments` with the parameters. `load_model` builds the
# network anew: the class is ours, and the file gives the rest. Nobody has to know the sizes.

# %% model
path = settings.out_dir / "model.safetensors"
minitorch.save(model, path)
rebuilt = minitorch.load_model(path, Classifier)
print("hidden layers, as the file has them:", rebuilt.arguments["hidden"])
print("validation accuracy of the trained model:", f"{evaluate(model, validation_batches)['accuracy']:.2%}")
print("validation accuracy of the rebuilt model:", f"{evaluate(rebuilt, validation_batches)['accuracy']:.2%}")

# %% [markdown]
# ## Parameters for another network
#
# Loading into a network of other sizes fails before anything is changed. The message lists everything that does not
# fit: what is missing, what is unexpected, and what has another shape.

# %% mistake
other = Classifier(hidden=[128, 32, 16])
try:
    other.load_state_dict(minitorch.load(path))
except minitorch.ShapeError as error:
    print(f"{type(error).__name__}: {error}")

# %% [markdown]
# ## What is in the file
#
# The format is [safetensors](https://github.com/huggingface/safetensors), which other programs read too. It is data and
# never code: loading a file that a stranger sent runs nothing. The first eight bytes say how long the header is; the
# header is JSON and says where each array lies; after it come the numbers as they stand in memory.

# %% format
content = path.read_bytes()
length = int.from_bytes(content[:8], "little")
header = json.loads(content[8 : 8 + length])
numbers = len(content) - 8 - length
print(f"{len(content):,} bytes: 8 for the header's length, {length} of header, {numbers:,} of numbers")
for name, entry in header.items():
    print(f"{name}: {json.dumps(entry)}")

# %% [markdown]
# A file that was cut short, by a full disk or a broken download, is told by its length.

# %% truncated
broken = settings.out_dir / "broken.safetensors"
broken.write_bytes(content[: len(content) // 2])
try:
    minitorch.load(broken)
except minitorch.DataError as error:
    print(f"{type(error).__name__}:", str(error).replace(str(settings.out_dir), "OUT-DIR"))

# %% [markdown]
# ## Early stopping from scratch
#
# After each epoch the validation loss is looked at. If it is the lowest so far, the parameters are kept and the count
# of epochs without an improvement begins again at 0. If that count reaches $N$, the *patience*, the training ends. The
# parameters to go on with are the kept ones, not the last ones.
#
# The loop is written by hand here. Its step is compiled, as that of `fit` is: forward pass, backward pass and update
# run as one program.


# %% stopper
class Stopper:
    """Says when to stop, and keeps the best parameters."""

    def __init__(self, patience: int) -> None:
        if patience < 1:
            raise ValueError(f"expected a patience of at least one epoch, got {patience}")
        self.patience = patience
        self.waited = 0
        self.best_loss, self.best_epoch = float("inf"), 0
        self.best_parameters: dict[str, Any] = {}

    def should_stop(self, model: Module, epoch: int, loss: float) -> bool:
        """Look at an epoch's validation loss."""
        if loss < self.best_loss:
            self.waited = 0
            self.best_loss, self.best_epoch = loss, epoch
            self.best_parameters = model.state_dict()
        else:
            self.waited += 1
        return self.waited >= self.patience


# %% loop
def train_by_hand(patience: int) -> tuple[Module, Stopper, list[float]]:
    """Train until the stopper says so; give the model, the stopper and the validation losses."""
    minitorch.manual_seed(settings.seed)
    model = Classifier(hidden=[256, 128])
    optimizer = minitorch.Adam(model.parameters(), lr=0.001)

    @minitorch.compile
    def step(images: Tensor, labels: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    stopper, validation_losses = Stopper(patience), []
    batches = shuffled_batches()
    for epoch in range(1, settings.epochs + 1):
        model.train()
        for images, labels in batches:
            step(images, labels)
        loss = evaluate(model, validation_batches, loss=cross_entropy)["loss"]
        validation_losses.append(loss)
        print(f"epoch {epoch:2}: validation loss {loss:.4f}{' (the lowest)' if loss < stopper.best_loss else ''}")
        if stopper.should_stop(model, epoch, loss):
            break
    model.load_state_dict(stopper.best_parameters)
    return model, stopper, validation_losses


# %% by hand
model_by_hand, stopper, losses_by_hand = train_by_hand(settings.patience)
print(f"stopped after epoch {len(losses_by_hand)}; back to epoch {stopper.best_epoch}, loss {stopper.best_loss:.4f}")
print(f"measured again: {evaluate(model_by_hand, validation_batches, loss=cross_entropy)['loss']:.4f}")

# %% [markdown]
# ## Early stopping from the library
#
# `EarlyStopping` does the same as a callback of `fit`. The first parameters, the order of the batches and the
# arithmetic are the same, so both stop after the same epoch with the same lowest loss.

# %% library
minitorch.manual_seed(settings.seed)
model = Classifier(hidden=[256, 128])
stopping = EarlyStopping(patience=settings.patience)
history = fit(
    model,
    shuffled_batches(),
    validation_batches,
    loss=cross_entropy,
    optimizer=minitorch.Adam(model.parameters(), lr=0.001),
    epochs=settings.epochs,
    callbacks=[stopping],
    log=None,
)
print(f"by hand: stopped after epoch {len(losses_by_hand)}, lowest loss {stopper.best_loss!r}")
print(f"library: stopped after epoch {len(history)}, lowest loss {stopping.best.value!r}")
print("the same validation losses in every epoch:", history["validation_loss"] == losses_by_hand)
print(f"test accuracy of the best parameters: {evaluate(model, DataLoader(test, batch_size=500))['accuracy']:.2%}")
assert history["validation_loss"] == losses_by_hand
assert (stopping.best.epoch, stopping.best.value) == (stopper.best_epoch, stopper.best_loss)

# %%
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
axes.plot(history["epoch"], history["loss"], label="training loss")
axes.plot(history["epoch"], history["validation_loss"], label="validation loss")
axes.axvline(stopping.best.epoch, color="grey", linestyle=":", label="the epoch that is gone back to")
axes.set(xlabel="epoch", ylabel="cross entropy", title=f"Early stopping, patience {settings.patience}")
axes.legend(framealpha=1.0)
figure.savefig(settings.out_dir / "early_stopping.png", dpi=80)
plt.show()

# %% [markdown]
# ## Stopping and going on
#
# A checkpoint holds everything that the next step depends on: parameters, the optimiser's averages, the state of the
# random numbers, the position in the data. With a folder as `checkpoint`, `fit` writes one after each epoch, and
# `resume=True` goes on from it. Below, one training runs through; another one stops half-way, and goes on with a new
# model, a new optimiser and new batches. The losses of all steps are the same to the last bit.


# %%
def training(epochs: int, **how: Any) -> History:
    """Train a new network for so many epochs in all, and give its history."""
    minitorch.manual_seed(settings.seed)
    model = Classifier(hidden=[64])
    return fit(
        model,
        shuffled_batches(),
        validation_batches,
        loss=cross_entropy,
        optimizer=minitorch.Adam(model.parameters(), lr=0.001),
        epochs=epochs,
        log=None,
        **how,
    )


# %% resume
folder = settings.out_dir / "checkpoint"
in_one_go = training(epochs=4)
first_half = training(epochs=2, checkpoint=folder)
both_halves = training(epochs=4, checkpoint=folder, resume=True)
print("files of the checkpoint:", ", ".join(sorted(file.name for file in folder.iterdir())))
print(f"in one go:       {len(in_one_go.losses)} steps, last validation loss {in_one_go['validation_loss'][-1]!r}")
print(f"after the break: {len(both_halves.losses)} steps, last validation loss {both_halves['validation_loss'][-1]!r}")
print("the same loss in every step:", in_one_go.losses == both_halves.losses)
assert in_one_go.losses == both_halves.losses
