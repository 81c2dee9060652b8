"""Model files: what was saved comes back bit for bit, and what is no whole model file is refused."""

from __future__ import annotations

import errno
import json
import pickle
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minitorch
from minitorch import DataError, DTypeError, Module, Parameter, ShapeError
from minitorch.io import load, load_state_dict, save, state_dict

DTYPES = ["float32", "float64"]


class Layer(Module):
    def __init__(self, *shape, dtype="float32"):
        super().__init__()
        self.weights = Parameter(minitorch.rand(shape, dtype=dtype))
        self.bias = Parameter(minitorch.rand((shape[-1],), dtype=dtype))


class Net(Module):
    def __init__(self, hidden=5, dtype="float32"):
        super().__init__()
        self.scale = Parameter(minitorch.rand((1,), dtype=dtype))
        self.first = Layer(3, hidden, dtype=dtype)
        self.second = Layer(hidden, 2, dtype=dtype)


def bits(arrays):
    return {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in arrays.items()}


# --- what was saved comes back -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_model_comes_back_bit_for_bit(tmp_path, dtype):
    model, other = Net(dtype=dtype), Net(dtype=dtype)
    before = bits(state_dict(model))
    assert list(before) == ["scale", "first.weights", "first.bias", "second.weights", "second.bias"]
    assert before != bits(state_dict(other))
    path = tmp_path / "deep" / "folder" / "model.safetensors"
    save(path, state_dict(model))
    arrays, _ = load(path)
    assert bits(arrays) == before
    load_state_dict(other, arrays)
    assert bits(state_dict(other)) == before
    assert all(p.value.requires_grad() for p in other.parameters())


@given(
    array=hnp.arrays(
        st.sampled_from(["float32", "float64", "int64", "uint8", "bool"]),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
    ),
    data=st.data(),
)
def test_every_layout_is_stored_as_its_elements_and_not_as_its_memory(array, data):
    order = data.draw(st.permutations(range(array.ndim)))
    array = array.transpose(order)[(..., *(slice(None, None, -1),) * array.ndim)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "array.safetensors")
        save(path, {"x": array, "every other": array.reshape(-1)[::2]})
        for arrays in (load(path)[0], safetensors.numpy.load_file(path)):
            assert bits(arrays) == bits({"x": array, "every other": array.reshape(-1)[::2]})


def test_tensors_are_stored_too_permuted_and_expanded_ones(tmp_path):
    x = minitorch.tensor(np.arange(6, dtype=np.float32).reshape(2, 3))
    wide = minitorch.tensor_functions.Expand.apply(x.view(2, 1, 3), (2, 4, 3))
    save(tmp_path / "x", {"turned": x.permute(1, 0), "wide": wide})
    arrays = safetensors.numpy.load_file(tmp_path / "x")
    np.testing.assert_array_equal(arrays["turned"], [[0, 3], [1, 4], [2, 5]], strict=False)
    np.testing.assert_array_equal(arrays["wide"], np.broadcast_to(x.to_numpy()[:, None], (2, 4, 3)))
    assert arrays["turned"].dtype == np.float32


def test_what_another_program_wrote_is_read(tmp_path):
    array = np.linspace(0, 1, 7)
    safetensors.numpy.save_file({"x": array}, tmp_path / "x")
    arrays, metadata = load(tmp_path / "x")
    assert bits(arrays) == bits({"x": array})
    assert metadata == {}


def test_metadata_travels_along(tmp_path):
    metadata = {"network": "LeNet", "accuracy": 0.968, "sizes": [392, 64, 10], "words": {"ä": None, "ok": True}}
    save(tmp_path / "x", {"x": np.zeros(1)}, metadata)
    assert load(tmp_path / "x")[1] == metadata


def test_metadata_that_json_cannot_hold_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        save(tmp_path / "x", {"x": np.zeros(1)}, {"model": object()})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("length", [640, 1152, 0x4B50])
def test_a_header_whose_length_reads_like_the_beginning_of_a_pickle(tmp_path, length):
    """A file begins with the length of its header, and 640 is the bytes 80 02 of a pickle; 0x4B50 is those of a zip."""

    def save_with(padding):
        save(tmp_path / "x", {"x": np.ones(2)}, {"note": "x" * padding})
        return int.from_bytes((tmp_path / "x").read_bytes()[:8], "little")

    assert save_with(length - save_with(0)) == length
    np.testing.assert_array_equal(load(tmp_path / "x")[0]["x"], [1.0, 1.0])


def test_saving_a_number_says_what_is_expected(tmp_path):
    with pytest.raises(DTypeError, match=r"expected an array or a tensor for 'rate', got float\. Pass state_dict"):
        save(tmp_path / "x", {"rate": 0.5})
    assert list(tmp_path.iterdir()) == []


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


# --- what is no whole model file -----------------------------------------------------------------------------


def saved(path):
    save(path, state_dict(Net()), {"epochs": 10})
    return path.read_bytes()


def test_a_file_cut_short_anywhere_is_refused(tmp_path):
    content = saved(tmp_path / "x")
    for length in [*range(0, len(content), 7), len(content) - 1]:
        (tmp_path / "cut").write_bytes(content[:length])
        with pytest.raises(DataError, match=r"not a whole safetensors file.*train the model again"):
            load(tmp_path / "cut")
    (tmp_path / "long").write_bytes(content + b"\0")
    with pytest.raises(DataError, match=r"not a whole safetensors file.*train the model again"):
        load(tmp_path / "long")


class Bomb:
    """What a pickle could do."""

    def __reduce__(self):
        return pytest.fail, ("the file was run",)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
def test_a_pickle_is_told_by_its_content_and_not_run(tmp_path, protocol, name):
    (tmp_path / name).write_bytes(pickle.dumps(Bomb(), protocol))
    with pytest.raises(DataError, match=r"is a pickle, which can run code.*\n.*save_file"):
        load(tmp_path / name)


def test_a_file_of_torch_save_is_told_too(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.safetensors", "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps(Bomb()))
    with pytest.raises(DataError, match="is a pickle"):
        load(tmp_path / "model.safetensors")


@pytest.mark.parametrize("content", [b"", b"a text", b"\x93NUMPY\x01\x00v\x00", b"\xff" * 100])
def test_another_file_is_told(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=r"not a whole safetensors file.*train the model again"):
        load(tmp_path / "x")


def test_metadata_that_is_no_json_is_told(tmp_path):
    safetensors.numpy.save_file({"x": np.zeros(1)}, tmp_path / "x", {"minitorch": "{"})
    with pytest.raises(DataError, match=r"not a whole safetensors file.*train the model again"):
        load(tmp_path / "x")


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(DataError, match=r"cannot read the model .*absent.* Train one first"):
        load(tmp_path / "absent.safetensors")
    with pytest.raises(DataError, match="cannot read the model"):
        load(tmp_path)


# --- the file ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot limit the size of a process's files")
def test_a_full_disk_leaves_the_old_model_whole(tmp_path):
    """The limit on a file's size makes the system refuse to write on, as a full disk does."""
    import resource

    path = tmp_path / "model.safetensors"
    content = saved(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            save(path, {"x": np.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_the_header_is_readable_json(tmp_path):
    content = saved(tmp_path / "x")
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert header["first.weights"]["shape"] == [3, 5]
    assert json.loads(header["__metadata__"]["minitorch"]) == {"epochs": 10}
