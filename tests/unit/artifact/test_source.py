"""The input at a first look: mistakes are named before a compiler starts."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from pathlib import Path

import pytest

from hlwasm.artifact.source import Source
from hlwasm.errors import ArtifactError, InvalidWasm


@pytest.mark.parametrize(
    "data",
    [
        b"\0asm\1\0\0\0",
        b"\0asm",
        b"(module)",
        b"  \n(component)",
        b";; text\n(module)",
        b"(; text ;) (module)",
        b"\xef\xbb\xbf(module)",
    ],
)
def test_webassembly_passes(data: bytes) -> None:
    with Source(data) as source:
        source.check_kind()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b" \n\t", "empty"),
        (bytes(100), "all zeros"),
        (b"\x1f\x8b\x08\0", "gzip data; unpack it first"),
        (b"PK\x03\x04", "a zip archive"),
        (b"<!DOCTYPE html>", "error page"),
        (b"#!/bin/sh\n", "a script"),
        (b"MZ\x90\0", "a Windows program"),
        (b"BC\xc0\xde", "LLVM bitcode"),
        (b"(\0", "starts with 28 00"),
        (b"hello\n", "starts with 'hello', and WebAssembly starts with 00 61 73 6d"),
        (b"// A plugin.\n/* of the\nshop */ package demo:shop;\n", "not WebAssembly but WIT"),
        (b"/**/" * 1000 + b"(", "and WebAssembly starts with"),
        (b'{"hlwasm": "recording", "format": 1}\n', "a recording of its calls"),
    ],
)
def test_mistakes_are_named(data: bytes, message: str) -> None:
    with Source(data) as source, pytest.raises(InvalidWasm, match=message) as caught:
        source.check_kind()
    assert "\n" not in str(caught.value)


def test_a_native_program_is_no_webassembly() -> None:
    with Source(sys.executable) as source, pytest.raises(InvalidWasm, match="a native ELF file"):
        source.check_kind()


def test_an_artifact_of_wasmtime_itself_is_refused(tmp_path: Path) -> None:
    import wasmtime

    compiled = wasmtime.Module(wasmtime.Engine(), "(module)").serialize()
    path = tmp_path / "foreign.cwasm"
    path.write_bytes(compiled)
    for given in (path, bytes(compiled)):
        with Source(given) as source, pytest.raises(ArtifactError, match="by wasmtime itself"):
            assert not source.is_artifact()
            source.check_kind()


def test_bytes_and_files_read_the_same(tmp_path: Path) -> None:
    data = os.urandom(3 << 18)
    path = tmp_path / "file"
    path.write_bytes(data)
    for given in (data, path, str(path)):
        with Source(given) as source:
            assert source.sha256() == hashlib.sha256(data).hexdigest()
            assert source.read() == data
            assert source.sha256() == hashlib.sha256(data).hexdigest()
            assert source.size == len(data)
            fd = source.duplicate()
            assert os.pread(fd, 100, 1000) == data[1000:1100]
            os.close(fd)


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"(module)",))
    writer.start()
    with Source(pipe) as source:
        writer.join()
        assert source.size == 8
        assert source.read() == b"(module)"
        source.check_kind()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Source(tmp_path / "missing.wasm")
    with pytest.raises(IsADirectoryError):
        Source(tmp_path)
