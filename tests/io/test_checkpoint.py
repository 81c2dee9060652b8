"""Saving and loading models, optimisers and nests of them: what comes back, and what is refused."""

from __future__ import annotations

import errno
import math
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minitorch
from minitorch import Adam, ArgumentError, DataError, DTypeError, Module, Parameter, ShapeError
from minitorch.io import load_model, load_state_dict, save_arrays, state_dict
from minitorch.layers import Linear, ReLU, Sequential


class Layer(Module):
    def __init__(self, *shape, dtype="float32"):
        super().__init__()
        self.weights = Parameter(minitorch.rand(shape, dtype=dtype))
        self.bias = Parameter(minitorch.rand((shape[-1],), dtype=dtype))


class Net(Module):
    def __init__(self, hidden=5, dtype="float32"):
        super().__init__()
        self.arguments = {"hidden": hidden, "dtype": dtype}
        self.scale = Parameter(minitorch.rand((1,), dtype=dtype))
        self.first = Layer(3, hidden, dtype=dtype)
        self.second = Layer(hidden, 2, dtype=dtype)


class Other(Net):
    pass


def bits(value):
    """Make a nest comparable, down to the bits of its arrays and floats and to the kinds of its containers."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        return {bits(key) if isinstance(key, tuple) else (type(key).__name__, key): bits(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value).__name__, tuple(bits(v) for v in value)
    return type(value).__name__, np.float64(value).tobytes() if isinstance(value, float) else value


# --- what was saved comes back -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_model_comes_back_bit_for_bit(tmp_path, dtype):
    model, other = Net(dtype=dtype), Net(dtype=dtype)
    before = bits(state_dict(model))
    assert list(state_dict(model)) == ["scale", "first.weights", "first.bias", "second.weights", "second.bias"]
    assert before != bits(state_dict(other))
    path = tmp_path / "deep" / "folder" / "trained_model.pt"
    minitorch.save(model, path)
    assert bits(minitorch.load(path)) == before
    load_state_dict(other, minitorch.load(path))
    assert bits(state_dict(other)) == before
    assert all(p.value.requires_grad() for p in other.parameters())


def test_a_state_dict_keeps_its_plain_names_for_other_programs(tmp_path):
    model = Net()
    for state in (model, state_dict(model)):
        minitorch.save(state, tmp_path / "x")
        assert bits(safetensors.numpy.load_file(tmp_path / "x")) == bits(state_dict(model))


def test_parameters_that_lie_transposed_are_stored_as_their_elements(tmp_path):
    model = Module()
    model.weight = Parameter(minitorch.tensor(np.arange(6.0).reshape(2, 3)).permute(1, 0))
    minitorch.save(model, tmp_path / "x")
    np.testing.assert_array_equal(safetensors.numpy.load_file(tmp_path / "x")["weight"], [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(minitorch.load(tmp_path / "x")["weight"], [[0, 3], [1, 4], [2, 5]])


NUMBERS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.just(math.nan), st.text())
ARRAYS = hnp.arrays(st.sampled_from(["float32", "int64", "bool"]), hnp.array_shapes(min_dims=0, max_dims=2, min_side=0))
KEYS = st.one_of(st.text(max_size=3), st.sampled_from(["a", "a/b", "$array", "$items", "b"]), st.integers(0, 2))
NESTS = st.recursive(
    NUMBERS | ARRAYS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.dictionaries(st.tuples(st.integers(0, 2)), inner, max_size=2)
    ),
    max_leaves=12,
)


@given(NESTS)
def test_every_nest_comes_back_as_it_was(nest):
    with tempfile.TemporaryDirectory() as folder:
        for state in ([nest], {"x": nest}):
            minitorch.save(state, Path(folder, "x"))
            assert bits(minitorch.load(Path(folder, "x"))) == bits(state)


def test_names_that_meet_are_kept_apart(tmp_path):
    state = {"a": {"b": np.zeros(1)}, "a/b": np.ones(1), "n": 1}
    minitorch.save(state, tmp_path / "x")
    assert bits(minitorch.load(tmp_path / "x")) == bits(state)


def test_a_whole_training_comes_back(tmp_path):
    model = Net()
    optimizer = Adam([{"params": [model.scale], "lr": 0.1}, {"params": model.first.parameters()}], betas=(0.8, 0.9))
    for _ in range(2):
        optimizer.zero_grad()
        (model.scale.value * model.first.weights.value.sum() + model.first.bias.value.sum()).backward()
        optimizer.step()
    generator = minitorch.Generator(2**64 - 1)
    state = {"model": model, "optimizer": optimizer, "random": generator.state, "epoch": 2, "losses": [0.5, math.nan]}
    minitorch.save(state, tmp_path / "x")
    found = minitorch.load(tmp_path / "x")
    assert bits(found["model"]) == bits(state_dict(model))
    assert found["random"] == (2**64 - 1, 0)
    assert found["epoch"] == 2
    assert found["losses"][0] == 0.5
    assert math.isnan(found["losses"][1])
    again = Adam([{"params": [model.scale]}, {"params": model.first.parameters()}])
    again.load_state_dict(found["optimizer"])
    for i, entries in optimizer.state.items():
        assert again.state[i]["step"] == 2
        for name in ("exp_avg", "exp_avg_sq"):
            assert bits(again.state[i][name].to_numpy()) == bits(entries[name].to_numpy())
    assert [(g["lr"], g["betas"]) for g in again.param_groups] == [(0.1, (0.8, 0.9)), (0.001, (0.8, 0.9))]


def test_what_is_no_data_is_refused_with_its_place_before_anything_is_written(tmp_path):
    with pytest.raises(DTypeError, match=r"expected data at 'settings/1': .* got function\. Save what it is made of"):
        minitorch.save({"settings": [1, lambda: 1]}, tmp_path / "x")
    with pytest.raises(DTypeError, match=r"expected data at 'x': .* got complex"):
        minitorch.save({"x": np.complex128(1)}, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_path_and_state_in_the_other_order_are_told(tmp_path):
    for path in (tmp_path / "x", str(tmp_path / "x")):
        with pytest.raises(ArgumentError, match=r"got the path '.*x' first\. Write save\(state, path\)"):
            minitorch.save(path, Net())


# --- a model from its file -----------------------------------------------------------------------------------


@pytest.mark.parametrize("whole", [True, False])
def test_a_model_is_built_from_its_file(tmp_path, whole):
    model = Net(hidden=7, dtype="float64")
    minitorch.save({"model": model, "epoch": 3} if whole else model, tmp_path / "x")
    for build in (Net, lambda hidden, dtype: Net(hidden, dtype)):
        again = load_model(tmp_path / "x", build)
        assert again.arguments == {"hidden": 7, "dtype": "float64"}
        assert bits(state_dict(again)) == bits(state_dict(model))


def test_what_the_caller_gives_comes_before_what_the_file_says(tmp_path):
    model = Net(dtype="float64")
    minitorch.save(model, tmp_path / "x")
    again = load_model(tmp_path / "x", Net, dtype="float32")
    expected = {name: array.astype("float32") for name, array in state_dict(model).items()}
    assert bits(state_dict(again)) == bits(expected)


def test_a_model_without_arguments_is_built_by_the_callers_function(tmp_path):
    def network():
        return Sequential(Linear(3, 4), ReLU(), Linear(4, 2))

    model = network()
    minitorch.save(model, tmp_path / "x")
    assert bits(state_dict(load_model(tmp_path / "x", network))) == bits(state_dict(model))


def test_a_file_that_names_no_arguments_is_told(tmp_path):
    model = Sequential(Linear(3, 4), ReLU(), Linear(4, 2))
    minitorch.save(model, tmp_path / "x")
    with pytest.raises(ShapeError, match=r"unexpected: 0\.weight \(4, 3\)") as caught:
        load_model(tmp_path / "x", Sequential)
    advice = str(caught.value).splitlines()[-1]
    assert advice.startswith(f"{tmp_path / 'x'} names no arguments for its Sequential")
    assert "a function of your own" in advice
    assert "that it was saved with" not in str(caught.value)
    with pytest.raises(ShapeError, match="Build the model with the arguments"):
        load_model(tmp_path / "x", lambda: Sequential(Linear(3, 5)))


def test_pytorchs_arguments_of_load_are_taken_where_they_change_nothing(tmp_path):
    state = {"weight": np.array([1.0, 2.0])}
    minitorch.save(state, tmp_path / "x")
    for loaded in (
        minitorch.load(tmp_path / "x", map_location="cpu", weights_only=True),
        minitorch.load(tmp_path / "x", None),
    ):
        assert bits(loaded) == bits(state)
    with pytest.raises(ArgumentError, match=r"map_location='cpu' or none, got 'cuda:0'\. Leave it out"):
        minitorch.load(tmp_path / "x", map_location="cuda:0")
    with pytest.raises(ArgumentError, match=r"weights_only=True, got False\. Leave it out"):
        minitorch.load(tmp_path / "x", weights_only=False)


def test_a_file_without_its_models_description_is_told(tmp_path):
    minitorch.save(state_dict(Net()), tmp_path / "x")
    with pytest.raises(DataError, match=r"does not say how its model was made.*model\.load_state_dict\("):
        load_model(tmp_path / "x", Net)


def test_another_class_and_other_arguments_are_told(tmp_path):
    minitorch.save(Net(), tmp_path / "x")
    with pytest.raises(DataError, match=r"holds a model of the class Net, expected Other\. Pass Net instead"):
        load_model(tmp_path / "x", Other)
    with pytest.raises(DataError, match=r"a Net made with .*'hidden': 5.*<lambda> does not take .*'width'"):
        load_model(tmp_path / "x", lambda width: Net(width))
    with pytest.raises(ShapeError, match=r"misshapen: first.weights is \(3, 5\), the model's is \(3, 6\)"):
        load_model(tmp_path / "x", Net, hidden=6)


@pytest.mark.parametrize("arguments", [[5], {"hidden": (1, 2)}, {"backend": minitorch.FastBackend}, {1: 2}])
def test_arguments_that_would_not_come_back_are_refused(tmp_path, arguments):
    model = Net()
    model.arguments = arguments
    with pytest.raises(DTypeError, match=r"expected the attribute arguments of Net to be a dictionary"):
        minitorch.save(model, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


LIES = [
    {"state": {"$array": "absent"}},
    {"state": {"$array": [1]}},
    {"state": {"$array": {}}},
    {"state": {"$items": 3}},
    {"state": {"$items": [[1]]}},
    {"state": {"$items": [[[1], 2]]}},
    {"state": {"$tuple": None}},
]


@pytest.mark.parametrize("metadata", LIES, ids=str)
def test_a_state_that_lies_is_refused(tmp_path, metadata):
    save_arrays(tmp_path / "x", {"x": np.zeros(1)}, metadata)
    with pytest.raises(DataError, match=r"does not fit its arrays .*Copy it again"):
        minitorch.load(tmp_path / "x")


@pytest.mark.parametrize("architecture", [3, {}, {"class": 3, "arguments": {}}, {"class": "Net", "arguments": []}])
def test_an_architecture_that_lies_is_refused(tmp_path, architecture):
    save_arrays(tmp_path / "x", state_dict(Net()), {"architecture": architecture})
    with pytest.raises(DataError, match="does not say how its model was made"):
        load_model(tmp_path / "x", Net)
    save_arrays(tmp_path / "x", {}, {"architecture": {"class": "Net", "arguments": {}}, "state": [1]})
    with pytest.raises(DataError, match='holds no parameters: expected a dictionary with the entry "model"'):
        load_model(tmp_path / "x", Net)


@pytest.mark.parametrize("arguments", [{"hidden": n} for n in (10**9, 10**30, -1, "x", 2.5)], ids=str)
def test_arguments_that_make_no_model_of_the_files_size_are_told_before_memory_is_taken(tmp_path, arguments):
    save_arrays(tmp_path / "x", state_dict(Net()), {"architecture": {"class": "Net", "arguments": arguments}})
    tracemalloc.start()
    with pytest.raises(DataError, match=r"/x holds a Net made with .*'hidden'.* and with these Net makes none \("):
        load_model(tmp_path / "x", Net)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**7


def test_a_file_that_asks_for_layers_without_end_is_told(tmp_path):
    class Deep(Module):
        def __init__(self, depth):
            super().__init__()
            self.layers = minitorch.layers.ModuleList([Linear(1000, 1000, dtype="float32") for _ in range(depth)])

    save_arrays(tmp_path / "x", {}, {"architecture": {"class": "Deep", "arguments": {"depth": 10**9}}})
    with pytest.raises(DataError, match="no more numbers to be made than the file holds"):
        load_model(tmp_path / "x", Deep)
    assert minitorch.zeros((3000, 2000)).shape == (3000, 2000)  # outside there is no end of them


def test_nothing_in_a_file_names_code(tmp_path):
    """The class in a file is compared with the caller's; it is never looked up."""
    metadata = {"architecture": {"class": "os.system", "arguments": {"command": "exit 1"}}}
    save_arrays(tmp_path / "x", {}, metadata)
    with pytest.raises(DataError, match=r"holds a model of the class os\.system, expected Net"):
        load_model(tmp_path / "x", Net)


def test_a_disk_that_fills_up_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "model.pt"
    minitorch.save(Net(), path)
    before = path.read_bytes()
    opened = Path.open

    def almost_full(self, mode="r", *args, **kwargs):
        file = opened(self, mode, *args, **kwargs)
        if "x" in mode or "w" in mode:
            write = file.write

            class Full:
                def __enter__(self):
                    return self

                def __exit__(self, *error):
                    file.close()

                def write(self, content):
                    write(content[: len(content) // 2])
                    raise OSError(errno.ENOSPC, "No space left on device")

            return Full()
        return file

    monkeypatch.setattr(Path, "open", almost_full)
    with pytest.raises(OSError, match="No space left") as caught:
        minitorch.save(Net(), path)
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# --- what does not fit ---------------------------------------------------------------------------------------


def test_every_name_that_does_not_fit_is_listed_and_nothing_changes():
    model = Net()
    before = bits(state_dict(model))
    state = state_dict(Net())
    del state["scale"], state["second.bias"]
    state["first.weight"] = np.zeros((3, 5), np.float32)
    state["extra"] = np.zeros(1, np.float32)
    state["first.bias"] = np.zeros((5, 1), np.float32)
    with pytest.raises(ShapeError) as caught:
        load_state_dict(model, state)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("the arrays do not fit Net: expected one for each parameter, in its shape")
    assert [line.strip() for line in lines[1:-1]] == [
        "missing: scale (1,)",
        "missing: second.bias (2,)",
        "unexpected: first.weight (3, 5)",
        "unexpected: extra (1,)",
        "misshapen: first.bias is (5, 1), the model's is (5,)",
    ]
    assert bits(state_dict(model)) == before


def test_a_model_of_another_size_is_told_by_its_shapes():
    with pytest.raises(ShapeError, match=r"first.weights is \(3, 4\), the model's is \(3, 5\)"):
        load_state_dict(Net(hidden=5), state_dict(Net(hidden=4)))


def test_parameters_keep_their_dtype_and_own_their_memory():
    model = Net(dtype="float32")
    state = {name: array.astype(np.float64) for name, array in state_dict(Net()).items()}
    expected = bits({name: array.astype(np.float32) for name, array in state.items()})
    load_state_dict(model, state)
    for array in state.values():
        array[...] = 7
    assert bits(state_dict(model)) == expected

    state = state_dict(model)
    load_state_dict(model, state)
    state["scale"][0] = 7
    assert bits(state_dict(model)) == expected
    taken = state_dict(model)
    taken["scale"][0] = 7
    assert bits(state_dict(model)) == expected


def test_something_else_than_a_state_dict_is_told():
    with pytest.raises(DTypeError, match=r"expected arrays by name, got tuple\. Pass a state dict"):
        load_state_dict(Net(), ({}, {}))
    with pytest.raises(DTypeError, match=r"expected an array or a tensor for 'scale', got float"):
        load_state_dict(Net(), {"scale": 1.0})
