"""The artifact file: what is written is read, and damage is found."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlwasm.artifact.artifact import Artifact
from hlwasm.artifact.file_format import (
    FOOTER_BYTES,
    FORMAT_VERSION,
    MAGIC,
    is_artifact,
    read_sections,
    verify_code,
    write_trailer,
)
from hlwasm.artifact.files import memory_file
from hlwasm.errors import ArtifactError

from .files import artifact_file, code_of, metadata


def _whole(code: bytes = b"", description: str = '{"a":"é"}') -> bytes:
    fd = memory_file("test", code or code_of(5000))
    try:
        write_trailer(fd, os.fstat(fd).st_size, description, metadata())
        return os.pread(fd, os.fstat(fd).st_size, 0)
    finally:
        os.close(fd)


def _read(data: bytes) -> None:
    fd = memory_file("test", data)
    try:
        verify_code(fd, read_sections(fd))
    finally:
        os.close(fd)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    code = code_of(10_000)
    path = artifact_file(tmp_path / "a.cwasm", code, '{"wit":"…"}')
    with Artifact.from_fd(os.open(path, os.O_RDONLY), path, cached=True) as artifact:
        artifact.verify()
        assert artifact.code_bytes == 10_000
        assert artifact.description == '{"wit":"…"}'
        assert artifact.metadata == metadata()
        assert artifact.key == "k" * 64
        assert artifact.file_bytes == path.stat().st_size
        # The guest maps the file from its start.
        assert os.pread(artifact.fd, artifact.code_bytes, 0) == code


@settings(max_examples=300)
@given(st.data())
def test_every_changed_byte_is_found(data: st.DataObject) -> None:
    whole = _whole(b"\x7fELF" + bytes(600))
    at = data.draw(st.integers(0, len(whole) - 1))
    flip = data.draw(st.integers(1, 255))
    damaged = bytearray(whole)
    damaged[at] ^= flip
    with pytest.raises(ArtifactError):
        _read(bytes(damaged))


@settings(max_examples=100)
@given(st.data())
def test_every_truncation_is_found(data: st.DataObject) -> None:
    whole = _whole(b"\x7fELF" + bytes(600))
    with pytest.raises(ArtifactError):
        _read(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(st.binary(max_size=300))
def test_any_bytes_give_an_artifact_error(data: bytes) -> None:
    with pytest.raises(ArtifactError):
        _read(data)
    # Also where the end looks right.
    with pytest.raises(ArtifactError):
        _read(data + struct.pack("<I", FORMAT_VERSION) + MAGIC)


def test_bytes_in_front_are_found() -> None:
    with pytest.raises(ArtifactError, match="sizes do not add up"):
        _read(b"x" * 4096 + _whole())


def test_another_format_is_named() -> None:
    whole = _whole()
    newer = whole[: -len(MAGIC) - 4] + struct.pack("<I", 7) + MAGIC
    with pytest.raises(ArtifactError, match=r"format 7.*reads format 1: compile it again"):
        _read(newer)


def test_is_artifact_looks_at_the_end() -> None:
    for data, expected in (
        (_whole(), True),
        (b"", False),
        (b"\0asm", False),
        (MAGIC, False),
        (bytes(FOOTER_BYTES) + MAGIC, True),
    ):
        fd = memory_file("test", data)
        assert is_artifact(fd) is expected
        os.close(fd)


def test_only_an_elf_file_gets_a_trailer() -> None:
    fd = memory_file("test", b"no code")
    with pytest.raises(ArtifactError, match="not an ELF file"):
        write_trailer(fd, 7, "{}", metadata())
    os.close(fd)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wasmtime": "47.0.1"}, r"compiled by wasmtime 47\.0\.1, and this hlwasm runs 48"),
        ({"abi": "0" * 16}, "made by another version of hlwasm"),
    ],
)
def test_other_versions_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = artifact_file(tmp_path / "a.cwasm", code_of(100), **changes)
    fd = os.open(path, os.O_RDONLY)
    with pytest.raises(ArtifactError, match=message):
        Artifact.from_fd(fd, path, cached=True)
    # It stayed ours to close.
    os.close(fd)


@pytest.mark.parametrize("changes", [{"fuel": 1}, {"source_bytes": "1"}, {"key": None}])
def test_metadata_of_wrong_types_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = artifact_file(tmp_path / "a.cwasm", code_of(100), **changes)
    fd = os.open(path, os.O_RDONLY)
    with pytest.raises(ArtifactError, match="metadata cannot be read"):
        read_sections(fd)
    os.close(fd)


def test_closing_twice_is_allowed(tmp_path: Path) -> None:
    path = artifact_file(tmp_path / "a.cwasm", code_of(100))
    artifact = Artifact.from_fd(os.open(path, os.O_RDONLY), path, cached=True)
    artifact.close()
    artifact.close()
    assert artifact.fd == -1
