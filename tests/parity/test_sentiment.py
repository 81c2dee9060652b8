"""Kim's network beside its twin in PyTorch: one set of weights, the same numbers forwards and backwards."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from run_sentiment import (
    PADDING,
    CNNSentimentKim,
    SentenceClassifier,
    Sentences,
    SentenceSentimentTrain,
    negative_log_likelihood,
)

import minitorch
from minitorch.io import load_state_dict, state_dict

WORDS, SIZE = 40, 50

# Of the largest element of what is compared.
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


class Twin(torch.nn.Module):
    """The network in PyTorch's own layers, which pad on the right only when they are told to."""

    def __init__(self, vectors, tuned):
        super().__init__()
        self.embedding = torch.nn.Embedding.from_pretrained(vectors, freeze=not tuned, padding_idx=PADDING)
        self.convs = torch.nn.ModuleList(torch.nn.Conv1d(SIZE, 100, size) for size in (3, 4, 5))
        self.classify = torch.nn.Linear(300, 1)

    def forward(self, index):
        """Give the logit of each sentence."""
        x = self.embedding(index).transpose(1, 2)
        maps = [conv(torch.nn.functional.pad(x, (0, conv.kernel_size[0] - 1))).relu() for conv in self.convs]
        return self.classify(torch.cat([m.amax(2) for m in maps], 1)).squeeze(1)

    def named_as_ours(self):
        """Give every trained tensor under the name that MiniTorch's parameter has."""
        layers = {f"cnn.conv{conv.kernel_size[0]}": conv for conv in self.convs} | {"cnn.classify": self.classify}
        named = {f"{name}.weights": layer.weight for name, layer in layers.items()}
        named |= {f"{name}.bias": layer.bias for name, layer in layers.items()}
        return named | ({"embedding.weight": self.embedding.weight} if self.embedding.weight.requires_grad else {})


def twins(tuned, dtype, backend=minitorch.FastBackend):
    """Make both networks with one set of weights."""
    minitorch.manual_seed(3)
    rng = np.random.default_rng(3)
    table = rng.standard_normal((WORDS, SIZE)).astype(dtype)
    table[PADDING] = 0
    cnn = CNNSentimentKim(backend=backend, dtype=dtype)
    ours = SentenceClassifier(minitorch.tensor(table, backend=backend), cnn, tuned)
    # Biases begin as zeros, which would hide one that is added in the wrong place.
    state = state_dict(cnn)
    load_state_dict(cnn, {name: a + 0.1 * rng.standard_normal(a.shape).astype(dtype) for name, a in state.items()})
    theirs = Twin(torch.tensor(table), tuned).to(getattr(torch, dtype))
    parameters = dict(ours.named_parameters())
    assert parameters.keys() == theirs.named_as_ours().keys()
    with torch.no_grad():
        for name, tensor in theirs.named_as_ours().items():
            if name != "embedding.weight":
                tensor.copy_(torch.tensor(as_theirs(parameters[name].value.to_numpy(), tensor.shape)))
    return ours.eval(), theirs


def as_theirs(array, shape):
    """Bring an array of ours into PyTorch's layout: a linear layer's weight is transposed, a bias has one dimension."""
    return (array.T if array.ndim == 2 and len(shape) == 2 and array.shape != tuple(shape) else array).reshape(shape)


def sentences(lengths, dtype):
    """Draw sentences in which words come twice, and their labels."""
    rng = np.random.default_rng(1)
    words = [rng.integers(1, WORDS, n) for n in lengths]
    return Sentences(words, rng.integers(0, 2, len(lengths)).astype(dtype))


def assert_close(ours, theirs, dtype):
    assert ours.dtype == theirs.dtype == np.dtype(dtype)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE[dtype] * max(1.0, np.abs(theirs).max()))


@pytest.mark.task4_5
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("tuned", [False, True])
@pytest.mark.parametrize("lengths", [[1], [2, 6, 5], [3, 52, 17, 1, 8, 30, 9, 9, 21, 4]])
def test_probabilities_and_gradients(tuned, dtype, lengths):
    ours, theirs = twins(tuned, dtype)
    data = sentences(lengths, dtype)
    index, label = data.tensors(minitorch.FastBackend)

    probability = ours(index)
    loss = negative_log_likelihood(probability, label)
    loss.backward()

    logit = theirs(torch.tensor(data.table()))
    of_label = torch.where(torch.tensor(data.label) == 1, logit.sigmoid(), 1 - logit.sigmoid())
    expected = -(of_label + 1e-6).log().mean()  # the course's logarithm
    expected.backward()

    assert_close(probability.to_numpy(), logit.sigmoid().detach().numpy(), dtype)
    p = probability.to_numpy()
    assert_close(np.log(p) - np.log1p(-p), logit.detach().numpy(), dtype)
    assert_close(np.array(loss.item(), dtype), expected.detach().numpy(), dtype)
    for name, parameter in ours.named_parameters():
        gradient = theirs.named_as_ours()[name].grad.numpy()
        assert np.abs(gradient).max() > 0
        assert_close(as_theirs(parameter.value.grad.to_numpy(), gradient.shape), gradient, dtype)


@pytest.mark.task4_5
def test_the_readable_backend_too():
    ours, theirs = twins(True, "float64", minitorch.SimpleBackend)
    data = sentences([3, 2], "float64")
    index, _ = data.tensors(minitorch.SimpleBackend)
    answer = theirs(torch.tensor(data.table())).sigmoid().detach().numpy()
    assert_close(ours(index).to_numpy(), answer, "float64")


@pytest.mark.task4_5
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("tuned", [False, True])
def test_five_steps_end_at_the_same_weights(tuned, compiled):
    """Gradient descent for frozen vectors, Adam for tuned ones, as the two settings have it."""
    ours, theirs = twins(tuned, "float64")
    data = sentences([4, 9, 2, 7, 7, 1], "float64")
    ours.cnn.dropout.p = 0.0
    optimizer, twin = (minitorch.Adam, torch.optim.Adam) if tuned else (minitorch.SGD, torch.optim.SGD)
    trainer = SentenceSentimentTrain(ours, optimizer, compiled)
    trainer.train(data, 0.01, len(data), 5, None, lambda *args: None)

    optim = twin(theirs.parameters(), 0.01)
    label = torch.tensor(data.label)
    for _ in range(5):
        optim.zero_grad()
        p = theirs(torch.tensor(data.table())).sigmoid()
        (-(torch.where(label == 1, p, 1 - p) + 1e-6).log().mean()).backward()
        optim.step()

    for name, parameter in ours.named_parameters():
        expected = theirs.named_as_ours()[name].detach().numpy()
        np.testing.assert_allclose(as_theirs(parameter.value.to_numpy(), expected.shape), expected, rtol=0, atol=1e-9)
