"""PyTorch's steps for benchmarks/training.py, eager: what one writes, with the choices that make it fast.

Variants are tuned: ``optimizer`` is ``fused`` or ``foreach``, ``channels_last`` the memory format of images, and of
Kim's word vectors, which are then images of one row. ``pool`` is torch.compile's: see there.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.peers.lenet_torch import LeNet
from benchmarks.worker import Request, Step, serve
from benchmarks.workloads import DROPOUT, EMBEDDING, MAPS, MLP, ODD_CHANNELS, WIDTHS

# --- the networks --------------------------------------------------------------------------------------------


class LeNetByAxes(LeNet):
    """LeNet that pools over two axes of a view."""

    def pool(self, x: Tensor) -> Tensor:
        """Take the maximum of each 4x4 window."""
        batch, channels, height, width = x.shape
        return x.reshape(batch, channels, height // 4, 4, width // 4, 4).amax((3, 5))


class Kim(nn.Module):
    """Convolutions of several widths over the words, the maximum over time, dropout, a linear layer; gives logits."""

    def __init__(self) -> None:
        super().__init__()
        for width in WIDTHS:
            setattr(self, f"conv{width}", nn.Conv1d(EMBEDDING, MAPS, width))
        self.dropout = nn.Dropout(DROPOUT)
        self.classify = nn.Linear(MAPS * len(WIDTHS), 1)

    def forward(self, x: Tensor) -> Tensor:
        """Give the logit of a positive sentence, ``batch``, for ``batch x 50 x words``."""
        features = []
        for width in WIDTHS:
            # The course's convolution has a result for every word, with zeros behind the last one.
            maps = getattr(self, f"conv{width}")(F.pad(x, (0, width - 1)))
            features.append(maps.relu().amax(2))
        return self.classify(self.dropout(torch.cat(features, 1))).squeeze(1)


class KimOverImages(Kim):
    """Kim's network for ``batch x 50 x 1 x words``: only images have a memory format with channels last."""

    def __init__(self) -> None:
        super().__init__()
        for width in WIDTHS:
            setattr(self, f"conv{width}", nn.Conv2d(EMBEDDING, MAPS, (1, width)))

    def forward(self, x: Tensor) -> Tensor:
        """Give the logit of a positive sentence, ``batch``."""
        features = []
        for width in WIDTHS:
            maps = getattr(self, f"conv{width}")(F.pad(x, (0, width - 1)))
            features.append(maps.relu().amax((2, 3)))
        return self.classify(self.dropout(torch.cat(features, 1))).squeeze(1)


def mlp() -> nn.Sequential:
    """Make linear layers with ReLU between them."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for k in range(1, len(MLP)):
        layers[f"layer{k}"] = nn.Linear(MLP[k - 1], MLP[k])
        if k < len(MLP) - 1:
            layers[f"relu{k}"] = nn.ReLU()
    return nn.Sequential(layers)


def cnn(size: int) -> nn.Sequential:
    """Make two convolutions with 2x2 pooling, and two linear layers, for ``batch x 3 x size x size``."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(3, 32, 3, padding="same"),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(32, 64, 3, padding="same"),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        hidden=nn.Linear(64 * (size // 4) ** 2, 128),
        relu3=nn.ReLU(),
        classify=nn.Linear(128, 10),
    )
    return nn.Sequential(layers)


def odd(size: int) -> nn.Sequential:
    """Make LeNet with 5 and 7 channels, for ``batch x 1 x size x size``."""
    first, second = ODD_CHANNELS
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(1, first, 3, padding="same"),
        relu1=nn.ReLU(),
        conv2=nn.Conv2d(first, second, 3, padding="same"),
        relu2=nn.ReLU(),
        pool=nn.MaxPool2d(4),
        flatten=nn.Flatten(),
        hidden=nn.Linear(second * (size // 4) ** 2, 64),
        relu3=nn.ReLU(),
        dropout=nn.Dropout(DROPOUT),
        classify=nn.Linear(64, 10),
        likely=nn.LogSoftmax(1),
    )
    return nn.Sequential(layers)


def network(request: Request) -> nn.Module:
    """Make the workload's network with its weights.

    LeNet lets PyTorch's convolution supply the zeros, unless the result is to be MiniTorch's: see there.
    """
    workload = request.workload
    if workload.network == "lenet":
        make = LeNetByAxes if request.variant.get("pool") == "axes" else LeNet
        model = make(centred=not request.exact)
    elif workload.network == "kim":
        model = KimOverImages() if request.variant.get("channels_last") else Kim()
    elif workload.network == "mlp":
        model = mlp()
    else:
        model = {"odd": odd, "cnn": cnn}[workload.network](workload.size)
    if request.exact:
        for layer in model.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0
    model.to(getattr(torch, request.dtype))
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    weights = workload.weights(request.dtype)
    model.load_state_dict({name: torch.from_numpy(array).view(shapes[name]) for name, array in weights.items()})
    return model


# --- the step ------------------------------------------------------------------------------------------------

Compiler = Callable[[Callable[..., Tensor]], Callable[..., Tensor]]
Run = Callable[[Tensor, Tensor], float]

LOSSES = {
    "lenet": F.nll_loss,
    "odd": F.nll_loss,
    "kim": F.binary_cross_entropy_with_logits,
    "mlp": F.cross_entropy,
    "cnn": F.cross_entropy,
}


def build(request: Request, compiler: Compiler = lambda fn: fn) -> Step:
    """Make a step.

    Args:
        request: what to run.
        compiler: what to do to the function from a batch to its loss; nothing, here.
    """
    torch.set_num_threads(request.threads)
    torch.manual_seed(0)
    workload = request.workload
    model = network(request)
    data = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in workload.batches(request.dtype)]
    if request.variant.get("channels_last"):
        model = model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        data = [(as_images(x).to(memory_format=torch.channels_last), y) for x, y in data]
    make = training_step if workload.training else inference_step
    run = make(request, model, compiler)
    return lambda number: run(*data[number % len(data)])


def as_images(x: Tensor) -> Tensor:
    """Give images as they are, and word vectors ``batch x 50 x words`` as images of one row."""
    return x.unsqueeze(2) if x.ndim == 3 else x


def training_step(request: Request, model: nn.Module, compiler: Compiler) -> Run:
    """Make a function that learns from a batch, and reads the loss."""
    optimizers = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    workload = request.workload
    implementation = {request.variant.get("optimizer", "fused"): True}
    optimizer = optimizers[workload.optimizer](model.parameters(), lr=workload.lr, **implementation)
    criterion = LOSSES[workload.network]

    @compiler
    def compute_loss(x: Tensor, y: Tensor) -> Tensor:
        return criterion(model(x), y)

    def step(x: Tensor, y: Tensor) -> float:
        optimizer.zero_grad()
        loss = compute_loss(x, y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def inference_step(request: Request, model: nn.Module, compiler: Compiler) -> Run:
    """Make a function that reads what the network says of a batch."""
    model.eval()
    run = compiler(model)

    def step(x: Tensor, y: Tensor) -> float:
        with torch.inference_mode():
            return run(x)[0, 0].item()

    return step


if __name__ == "__main__":
    serve(build)
