"""The scripts' ``--BACKEND gpu`` and ``--backend gpu``: the same losses as on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import run_fast_tensor
import run_mnist_multiclass
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


class Asked(Exception):
    """Ends a script where it makes its trainer."""


@pytest.mark.parametrize(
    ("flags", "compiled"), [(["gpu"], True), (["gpu", "--no-compile"], False), (["simple"], False)]
)
def test_digits_are_learned_by_a_compiled_step_on_a_gpu(flags, compiled, tmp_path, monkeypatch):
    def trainer(backend, dtype, compiled):
        raise Asked(backend, compiled)

    monkeypatch.setattr(run_mnist_multiclass, "load_digits", lambda settings: (None, None))
    monkeypatch.setattr(run_mnist_multiclass, "ImageTrain", trainer)
    settings = run_mnist_multiclass.parse(["--out-dir", str(tmp_path), "--backend", *flags])
    with pytest.raises(Asked) as asked:
        run_mnist_multiclass.run(settings)
    assert asked.value.args == (BACKENDS[flags[0]], compiled)


@pytest.mark.task4_5
def test_a_training_on_sentences_is_compiled():
    words = [np.array([2, 3, 4]), np.array([5, 6])]
    found = []
    for name, compiled in (("simple", False), ("gpu", True)):
        minitorch.manual_seed(2)
        cnn = run_sentiment.CNNSentimentKim(
            feature_map_size=2, embedding_size=3, backend=BACKENDS[name], dtype="float64"
        )
        table = make(np.random.default_rng(0).normal(size=(7, 3)), BACKENDS[name])
        model = run_sentiment.SentenceClassifier(table, cnn, tuned=True)
        trainer = run_sentiment.SentenceSentimentTrain(model, minitorch.SGD, compiled)
        sentences = run_sentiment.Sentences(words, np.array([1.0, 0.0]))
        trainer.train(sentences, 0.1, batch_size=2, max_epochs=1, log_fn=lambda *_: None)
        found.append([*trainer.history.losses, *(p.value.to_numpy() for p in model.parameters())])
    for ours, expected in zip(found[1], found[0], strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)
