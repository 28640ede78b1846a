"""Artifact files and inputs made for tests."""

from __future__ import annotations

import os
from pathlib import Path

from hlwasm.artifact.cache import Cache
from hlwasm.artifact.file_format import Metadata, write_trailer
from hlwasm.artifact.fingerprint import abi_fingerprint

ADD = b"""(component
  (core module $m
    (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))
  (core instance $i (instantiate $m))
  (func (export "add") (param "a" s32) (param "b" s32) (result s32)
    (canon lift (core func $i "add"))))
"""


def metadata(key: str = "k" * 64, **changes: object) -> Metadata:
    """Metadata as a compile would write it."""
    values: dict[str, object] = {
        "key": key,
        "source_sha256": "0" * 64,
        "source_bytes": 11,
        "fuel": False,
        "transfer_bytes": 1 << 26,
        "wasmtime": "48.0.0",
        "native": "test",
        "abi": abi_fingerprint(),
        "cpu": "avx2",
    }
    return Metadata(**{**values, **changes})  # type: ignore[arg-type]


def code_of(size: int) -> bytes:
    """Something that starts like an ELF file."""
    return (b"\x7fELF" + os.urandom(size))[:size]


def artifact_file(
    path: Path, code: bytes, description: str = '{"format":1}', **changes: object
) -> Path:
    """Writes an artifact file that is not runnable but complete."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(fd, code)
        write_trailer(fd, len(code), description, metadata(**changes))  # type: ignore[arg-type]
    finally:
        os.close(fd)
    return path


def add_entry(cache: Cache, key: str, size: int = 1000, used: float | None = None) -> Path:
    """Puts an artifact into a cache, last used at a chosen time."""
    assert cache.prepare()
    fd, path = cache.create()
    try:
        code = code_of(size)
        os.write(fd, code)
        write_trailer(fd, len(code), "{}", metadata(key))
        cache.commit(fd, path, key).close()
    finally:
        cache.discard(fd, path)
    entry = cache.path_of(key)
    if used is not None:
        os.utime(entry, (used, used))
    return entry


def _leb(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _section(number: int, items: list[bytes]) -> bytes:
    body = _leb(len(items)) + b"".join(items)
    return bytes([number]) + _leb(len(body)) + body


def large_module(functions: int) -> bytes:
    """A core module that takes about 0.05 ms per function to compile."""
    # local.get 0, then many times: i32.const 77, i32.mul, local.get 0, i32.add.
    code = b"\x00\x20\x00" + b"\x41\xcd\x00\x6c\x20\x00\x6a" * 40 + b"\x0b"
    body = _leb(len(code)) + code
    return b"".join(
        [
            b"\0asm\1\0\0\0",
            _section(1, [b"\x60\x01\x7f\x01\x7f"]),
            _section(3, [b"\x00"] * functions),
            _section(7, [b"\x01f\x00\x00"]),
            _section(10, [body] * functions),
        ]
    )
