"""Logs for TensorBoard: byte for byte what its own writer writes."""

from __future__ import annotations

import struct

import pytest

from minitorch.training.tensorboard import write_events

# What TensorBoard 2.21 writes for the points below at the time 1.5.
WRITTEN = bytes.fromhex(
    "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c"
    "200000000000000029eda95009000000000000f83f10032a130a110a0a747261696e2f6c6f7373150000803e43301b92"
    "2a00000000000000ae8d91f509000000000000f83f10ac022a1c0a1a0a1376616c69646174696f6e2f616363757261637915a69bc4ba68bf9b03"
)
POINTS = [("train/loss", 3, 0.25), ("validation/accuracy", 300, -1.5e-3)]


def test_the_bytes_are_those_of_tensorboards_own_writer(tmp_path, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1.5)
    path = write_events(tmp_path / "deep" / "run", POINTS)
    assert path.read_bytes() == WRITTEN


def test_tensorboard_finds_the_file_by_its_name(tmp_path):
    assert ".tfevents." in write_events(tmp_path, []).name


@pytest.mark.parametrize("name", ["a" * 200, "größe"])
def test_long_names_and_large_steps(tmp_path, name):
    path = write_events(tmp_path, [(name, 2**40, float("inf"))])
    content = path.read_bytes()
    assert name.encode() in content
    assert struct.pack("<f", float("inf")) in content
    # Each record is its length, a checksum, the message and another checksum, and nothing is left over.
    place, records = 0, 0
    while place < len(content):
        (length,) = struct.unpack_from("<Q", content, place)
        place += 8 + 4 + length + 4
        records += 1
    assert (place, records) == (len(content), 2)


def test_a_log_is_replaced(tmp_path):
    write_events(tmp_path, POINTS * 10)
    path = write_events(tmp_path, POINTS[:1])
    assert list(tmp_path.iterdir()) == [path]
    assert b"validation" not in path.read_bytes()
