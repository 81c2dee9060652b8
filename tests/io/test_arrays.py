"""Files of arrays: what was saved comes back bit for bit, and what is no whole model file is refused."""

from __future__ import annotations

import errno
import json
import math
import pickle
import sys
import tempfile
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minitorch
from minitorch import DataError, DTypeError
from minitorch.io import load_arrays, save_arrays

DTYPES = ["float32", "float64"]


def network(dtype="float32"):
    return {
        "first.weights": np.arange(15, dtype=dtype).reshape(3, 5) / 7,
        "first.bias": np.ones(5, dtype),
        "scale": np.zeros(1, dtype),
    }


def bits(arrays):
    return {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in arrays.items()}


# --- what was saved comes back -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_come_back_bit_for_bit_and_may_be_written_to(tmp_path, dtype):
    before = bits(network(dtype))
    path = tmp_path / "deep" / "folder" / "model.safetensors"
    save_arrays(path, network(dtype))
    arrays, _ = load_arrays(path)
    assert bits(arrays) == before
    arrays["scale"][0] = 7
    assert load_arrays(path)[0]["scale"][0] == 0


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
        save_arrays(path, {"x": array, "every other": array.reshape(-1)[::2]})
        for arrays in (load_arrays(path)[0], safetensors.numpy.load_file(path)):
            assert bits(arrays) == bits({"x": array, "every other": array.reshape(-1)[::2]})


def test_tensors_are_stored_too_permuted_and_expanded_ones(tmp_path):
    x = minitorch.tensor(np.arange(6, dtype=np.float32).reshape(2, 3))
    wide = minitorch.tensor_functions.Expand.apply(x.view(2, 1, 3), (2, 4, 3))
    save_arrays(tmp_path / "x", {"turned": x.permute(1, 0), "wide": wide})
    arrays = safetensors.numpy.load_file(tmp_path / "x")
    np.testing.assert_array_equal(arrays["turned"], [[0, 3], [1, 4], [2, 5]], strict=False)
    np.testing.assert_array_equal(arrays["wide"], np.broadcast_to(x.to_numpy()[:, None], (2, 4, 3)))
    assert arrays["turned"].dtype == np.float32


def test_what_another_program_wrote_is_read(tmp_path):
    array = np.linspace(0, 1, 7)
    safetensors.numpy.save_file({"x": array}, tmp_path / "x")
    arrays, metadata = load_arrays(tmp_path / "x")
    assert bits(arrays) == bits({"x": array})
    assert metadata == {}


def test_metadata_travels_along(tmp_path):
    metadata = {"network": "LeNet", "accuracy": 0.968, "sizes": [392, 64, 10], "words": {"ä": None, "ok": True}}
    save_arrays(tmp_path / "x", {"x": np.zeros(1)}, metadata)
    assert load_arrays(tmp_path / "x")[1] == metadata


def test_metadata_that_json_cannot_hold_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        save_arrays(tmp_path / "x", {"x": np.zeros(1)}, {"model": object()})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("length", [640, 1152, 0x4B50])
def test_a_header_whose_length_reads_like_the_beginning_of_a_pickle(tmp_path, length):
    """A file begins with the length of its header, and 640 is the bytes 80 02 of a pickle; 0x4B50 is those of a zip."""

    def save_with(padding):
        save_arrays(tmp_path / "x", {"x": np.ones(2)}, {"note": "x" * padding})
        return int.from_bytes((tmp_path / "x").read_bytes()[:8], "little")

    assert save_with(length - save_with(0)) == length
    np.testing.assert_array_equal(load_arrays(tmp_path / "x")[0]["x"], [1.0, 1.0])


@pytest.mark.parametrize("values", [np.ones(2, complex), np.array(["a"]), np.array([None]), np.ones(2, np.longdouble)])
def test_a_type_that_the_format_lacks_is_refused_before_anything_is_written(tmp_path, values):
    with pytest.raises(DTypeError, match=rf"for 'x', got {values.dtype}\. Convert the array with astype"):
        save_arrays(tmp_path / "x", {"x": values})
    assert list(tmp_path.iterdir()) == []


def test_saving_a_number_says_what_is_expected(tmp_path):
    with pytest.raises(DTypeError, match=r"expected an array or a tensor for 'rate', got float\. Make it one"):
        save_arrays(tmp_path / "x", {"rate": 0.5})
    assert list(tmp_path.iterdir()) == []


# --- what is no whole model file -----------------------------------------------------------------------------


def saved(path):
    save_arrays(path, network(), {"epochs": 10})
    return path.read_bytes()


def test_a_file_cut_short_anywhere_is_refused(tmp_path):
    content = saved(tmp_path / "x")
    for length in [*range(0, len(content), 7), len(content) - 1]:
        (tmp_path / "cut").write_bytes(content[:length])
        with pytest.raises(DataError, match=r"not a whole safetensors file.*train the model again"):
            load_arrays(tmp_path / "cut")
    (tmp_path / "long").write_bytes(content + b"\0")
    with pytest.raises(DataError, match=r"not a whole safetensors file.*train the model again"):
        load_arrays(tmp_path / "long")


class Bomb:
    """What a pickle could do."""

    def __reduce__(self):
        return pytest.fail, ("the file was run",)


PICKLED = {"bomb": Bomb(), "parameters": OrderedDict(weight=[0.5]), "dictionary": {"epoch": 3}, "list": [1, 2]}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", PICKLED)
def test_a_pickle_is_told_by_its_content_and_not_run(tmp_path, protocol, value):
    for name, converted in (("model.pt", "model.safetensors"), ("x.safetensors", "x.converted.safetensors")):
        (tmp_path / name).write_bytes(pickle.dumps(PICKLED[value], protocol))
        with pytest.raises(DataError, match="is a pickle, which can run code") as caught:
            load_arrays(tmp_path / name)
        line = f"  save_file(torch.load({str(tmp_path / name)!r}, weights_only=True), {str(tmp_path / converted)!r})"
        assert str(caught.value).splitlines()[1:3] == ["  from safetensors.torch import save_file", line]
        assert "save model.state_dict() there first" in str(caught.value)


def test_a_file_of_torch_save_is_told_too_also_when_it_is_cut_short(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.safetensors", "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps(Bomb()))
        archive.writestr("model/data/0", bytes(1000))
    content = (tmp_path / "model.safetensors").read_bytes()
    for length in (len(content), 500, 60):
        (tmp_path / "model.safetensors").write_bytes(content[:length])
        with pytest.raises(DataError, match="is a pickle"):
            load_arrays(tmp_path / "model.safetensors")


def test_arrays_of_numpy_are_told_from_a_model_of_pytorch(tmp_path):
    np.savez(tmp_path / "digits.npz", images=np.ones((2, 3)), labels=np.arange(2))
    with pytest.raises(
        DataError, match=r"digits\.npz is a zip archive without .*NumPy's \(\.npz\), write minitorch\.save\("
    ):
        load_arrays(tmp_path / "digits.npz")
    save_arrays(tmp_path / "x", dict(np.load(tmp_path / "digits.npz")))  # what the message says
    np.testing.assert_array_equal(load_arrays(tmp_path / "x")[0]["labels"], [0, 1])


@pytest.mark.parametrize(
    "content", [b"", b"a text", b"class\nfirst\n", b"(hello).", b"\x93NUMPY\x01\x00v\x00", b"\xff" * 100]
)
def test_another_file_is_told(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=r"not a whole safetensors file.*train the model again"):
        load_arrays(tmp_path / "x")


def test_metadata_that_is_no_json_is_told(tmp_path):
    safetensors.numpy.save_file({"x": np.zeros(1)}, tmp_path / "x", {"minitorch": "{"})
    with pytest.raises(DataError, match=r"not a whole safetensors file.*train the model again"):
        load_arrays(tmp_path / "x")


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(DataError, match=r"cannot read the model .*absent.* Train one first"):
        load_arrays(tmp_path / "absent.safetensors")
    with pytest.raises(DataError, match="cannot read the model"):
        load_arrays(tmp_path)


def hostile(header, data=b"", length=None):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data


def entry(shape, start, stop, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


HOSTILE = {
    "a header of 4 exabytes": hostile(b"{}", length=1 << 62),
    "a header as long as can be said": hostile(b"{}", length=(1 << 64) - 1),
    "a header past the end": hostile(b"{}", length=99_000_000),
    "offsets that overlap": hostile({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, bytes(12)),
    "one place for two": hostile({"a": entry([2], 0, 8), "b": entry([2], 0, 8)}, bytes(8)),
    "a hole": hostile({"a": entry([1], 0, 4), "b": entry([1], 8, 12)}, bytes(12)),
    "offsets turned round": hostile({"a": entry([1], 4, 0)}, bytes(4)),
    "offsets past the end": hostile({"a": entry([1000], 0, 4000)}, bytes(4)),
    "more elements than bytes": hostile({"a": entry([1000], 0, 4)}, bytes(4)),
    "a size that is NaN": hostile({"a": entry([math.nan], 0, 4)}, bytes(4)),
    "a size that is infinite": hostile({"a": entry([math.inf], 0, 4)}, bytes(4)),
    "a size below zero": hostile({"a": entry([-1], 0, 4)}, bytes(4)),
    "a size with a fraction": hostile({"a": entry([1.0], 0, 4)}, bytes(4)),
    "sizes whose product overflows": hostile({"a": entry([1 << 62, 1 << 62], 0, 4)}, bytes(4)),
    "a thousand dimensions": hostile({"a": entry([1] * 1000, 0, 4)}, bytes(4)),
    "an unknown type": hostile({"a": entry([4], 0, 4, "F7")}, bytes(4)),
    "a list": hostile([1]),
    "lists in lists": hostile(b"[" * 50_000 + b"]" * 50_000),
    "bytes that are no text": hostile(b'{"\xff": 1}'),
    "metadata that are a number": hostile({"__metadata__": {"minitorch": 1}}),
    "metadata that are a list": hostile({"__metadata__": {"minitorch": "[1]"}}),
    "metadata without end": hostile({"__metadata__": {"minitorch": "[" * 100_000}}),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_lies_is_refused(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=r"not a whole safetensors file.*train the model again"):
        load_arrays(tmp_path / "x")


@pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3"])
def test_a_type_that_numpy_lacks_is_named(tmp_path, dtype):
    size = 2 if dtype == "BF16" else 1
    (tmp_path / "x").write_bytes(hostile({"a": entry([2], 0, 2 * size, dtype)}, bytes(2 * size)))
    with pytest.raises(DataError, match=rf"arrays of the type {dtype}, which NumPy lacks.*tensor.float\(\)"):
        load_arrays(tmp_path / "x")


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
            save_arrays(path, {"x": np.zeros(100_000)})
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
