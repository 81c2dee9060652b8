"""Logs that TensorBoard shows, written without it.

A log is a file of records, each a length, a message and a checksum of both. A message is in the wire format of Protocol
Buffers: pairs of a key, which is a field's number and kind, and a value. Four fields are all that a curve needs.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable
from pathlib import Path

from ..files import write_atomically

__all__ = ["write_events"]

LOG = "events.out.tfevents.minitorch"

# Kinds of values in the wire format.
VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5


def write_events(folder: Path, scalars: Iterable[tuple[str, int, float]]) -> Path:
    """Write curves to a log.

    Args:
        folder: where; it is made, and a log in it that this function wrote is replaced.
        scalars: points: the name of a curve, a step, a value.

    Returns:
        The file.

    Raises:
        OSError: the file cannot be written; an older one stays as it was.
    """
    now = time.time()
    stamp = _key(1, DOUBLE) + struct.pack("<d", now)
    records = [_record(stamp + _field(3, b"brain.Event:2"))]
    for name, step, value in scalars:
        point = _field(1, name.encode()) + _key(2, FLOAT) + struct.pack("<f", value)
        records.append(_record(stamp + _key(2, VARINT) + _varint(step) + _field(5, _field(1, point))))
    path = folder / LOG
    write_atomically(path, b"".join(records))
    return path


def _varint(number: int) -> bytes:
    """Write a whole number in groups of seven bits, the lowest first; the eighth bit says that more follow."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _key(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _field(number: int, content: bytes) -> bytes:
    return _key(number, BYTES) + _varint(len(content)) + content


def _record(message: bytes) -> bytes:
    length = struct.pack("<Q", len(message))
    return length + _checksum(length) + message + _checksum(message)


def _crc_table() -> list[int]:
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


CRC_TABLE = _crc_table()


def _checksum(content: bytes) -> bytes:
    """Give the CRC-32C, turned and shifted, so that a checksum of data with checksums in it stays a good one."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
