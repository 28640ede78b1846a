"""Snapshot files to be changed by tests."""

from __future__ import annotations

import json
import os
import random
import struct
from pathlib import Path
from typing import Any

import hlwasm
from hlwasm.sandbox.snapshot_file import _HEADER, _LENGTHS, MAGIC, PAGE, VERSION, _checksum

LIMITS = hlwasm.Limits(memory=32 << 20, deadline=0.02)


class SnapshotFile:
    """A snapshot file to be changed: header, pages, and what the trailer says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        data = path.read_bytes()
        self._size = _HEADER.unpack_from(data)[5]
        self._pages = data[PAGE : PAGE + self._size]
        self._parts = unpacked(data[PAGE + self._size :])
        self._fd = os.open(path, os.O_RDWR)

    def close(self) -> None:
        os.close(self._fd)

    def parts(self) -> list[bytes]:
        """Description, host, record."""
        return list(self._parts)

    def trailer(self) -> dict[str, Any]:
        """A copy of what is in it: the description, with the other parts under their names."""
        told, host, record = map(json.loads, self._parts)
        return {**told, "host": host, "record": record}

    def write(
        self,
        trailer: bytes,
        *,
        pages: bytes | None = None,
        size: int | None = None,
        sizes: tuple[int, int, int] | None = None,
    ) -> None:
        """Writes the file; ``size`` bytes of pages, and other ``sizes`` in the header than
        there are."""
        size = self._size if size is None else size
        position, length, told = sizes or (PAGE + size, len(trailer), size)
        header = _HEADER.pack(
            MAGIC, VERSION, 0, position, length, told, _checksum(trailer), bytes(32)
        )
        os.ftruncate(self._fd, PAGE + size)
        os.pwrite(self._fd, self._pages if pages is None else pages, PAGE)
        os.pwrite(self._fd, trailer, PAGE + size)
        os.ftruncate(self._fd, PAGE + size + len(trailer))
        os.pwrite(self._fd, header + _checksum(header), 0)

    def random_pages(self, chance: random.Random) -> bytes:
        """The pages, some words of them changed."""
        pages = bytearray(self._pages)
        for _ in range(chance.choice([1, 10, 1000])):
            at = chance.randrange(len(pages) // 8) * 8
            word = chance.choice([0, (1 << 64) - 1, chance.getrandbits(64), 0x40_0000])
            struct.pack_into("<Q", pages, at, word)
        return bytes(pages)


def unpacked(trailer: bytes) -> list[bytes]:
    parts, at = [], _LENGTHS.size
    for length in _LENGTHS.unpack_from(trailer):
        parts.append(trailer[at : at + length])
        at += length
    return parts


def joined(*parts: bytes) -> bytes:
    return _LENGTHS.pack(*map(len, parts)) + b"".join(parts)


def packed(trailer: dict[str, Any]) -> bytes:
    told = {name: value for name, value in trailer.items() if name not in ("host", "record")}
    parts = [told, *(trailer.get(name) for name in ("host", "record"))]
    return joined(*[b"" if part is None else json.dumps(part).encode() for part in parts])
