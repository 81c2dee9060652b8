"""The scripts' ``--BACKEND gpu`` and ``--backend gpu``: the same losses as on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import run_fast_tensor
import run_sentiment
from command_line import BACKENDS

import minitorch
from tests.cases import make


@pytest.mark.task3_5
def test_points_are_classified_as_on_the_cpu(capsys):
    flags = ["--DATASET", "xor", "--PTS", "6", "--HIDDEN", "3", "--EPOCHS", "2", "--RATE", "0.1", "--SEED", "3"]
    found = {name: run_fast_tensor.main([*flags, "--BACKEND", name]) for name in ("cpu", "gpu")}
    assert found["gpu"].backend is BACKENDS["gpu"]
    np.testing.assert_allclose(found["gpu"].losses, found["cpu"].losses, rtol=1e-9)
    assert capsys.readouterr().out.count("Final accuracy") == 2


@pytest.mark.task4_5
def test_sentences_are_judged_as_on_the_cpu():
    found = []
    for name in ("simple", "gpu"):
        minitorch.manual_seed(2)
        model = run_sentiment.CNNSentimentKim(
            feature_map_size=2, embedding_size=3, backend=BACKENDS[name], dtype="float64"
        )
        words = make(np.random.default_rng(0).normal(size=(2, 6, 3)), BACKENDS[name])
        out = model(words)
        (out * out).sum().backward()
        found.append([out.to_numpy(), *(p.value.grad.to_numpy() for p in model.parameters())])
    for ours, expected in zip(found[1], found[0], strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)
