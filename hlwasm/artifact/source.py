"""The input: where its bytes come from, and what they are at a first look."""

from __future__ import annotations

import errno
import os
import re
import stat

from hlwasm.artifact.file_format import ELF_MAGIC, is_artifact
from hlwasm.artifact.files import memory_file
from hlwasm.artifact.hashing import new_sha256
from hlwasm.errors import ArtifactError, InvalidWasm, LoadError

SOURCE_LIMIT_BYTES = 1 << 30
# Files of this size are looked up by their times before they are hashed; see `source_index`.
# Less is hashed in about a millisecond.
INDEXED_BYTES = 1 << 20
_CHUNK = 1 << 18
_HEAD_BYTES = 4096
_WASM_MAGIC = b"\0asm"
# Section that wasmtime writes into its own compiled files.
_WASMTIME_SECTION = b".wasmtime."

# First bytes of files that are handed over by mistake, and what they are.
_MISTAKES = (
    (b"\x1f\x8b", "gzip data; unpack it first"),
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "zstd data; unpack it first"),
    (b"MZ", "a Windows program"),
    (b"#!", "a script"),
    (b"BC\xc0\xde", "LLVM bitcode"),
    (b"<", "markup, perhaps the error page of a download"),
    (b'{"hlwasm": "recording"', "a recording of its calls"),
)
_WIT = rb"(?s:\s|//[^\n]*\n|/\*(?:(?!\*/).)*\*/)*(?:package|interface|world)\s+[a-z%]"


class Source:
    """An input: a regular file, which is read only as far as needed, or bytes.

    Attributes:
        path: the file, None for bytes.
        size: in bytes.
        status: of the file when it was opened, None for all else than regular files.
    """

    def __init__(self, source: bytes | str | os.PathLike[str]) -> None:
        """Opens a file, or takes bytes.

        Raises:
            OSError: the file cannot be opened or read.
            LoadError: the input is too large.
        """
        self.path: str | None = None
        self.status: os.stat_result | None = None
        self._data: bytes | None = None
        self._fd = -1
        if isinstance(source, (bytes, bytearray, memoryview)):
            self._data = bytes(source)
            self.size = len(self._data)
        else:
            self._open(os.fspath(source))
        if self.size > SOURCE_LIMIT_BYTES and not self.is_artifact():
            self.close()
            raise LoadError(
                f"the input has {self.size} bytes, and the limit is {SOURCE_LIMIT_BYTES}"
            )

    def _open(self, path: str) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            status = os.fstat(self._fd)
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
            if stat.S_ISREG(status.st_mode):
                self.size = status.st_size
                self.status = status
                return
            # A pipe or device: one pass, bounded.
            with os.fdopen(self._fd, "rb", closefd=False) as file:
                self._data = file.read(SOURCE_LIMIT_BYTES + 1)
            self.size = len(self._data)
        except BaseException:
            self.close()
            raise

    def head(self) -> bytes:
        """The first bytes."""
        if self._data is not None:
            return self._data[:_HEAD_BYTES]
        return os.pread(self._fd, _HEAD_BYTES, 0)

    def is_artifact(self) -> bool:
        """Whether it is an artifact of hlwasm, of any version."""
        if self._data is None:
            return is_artifact(self._fd)
        fd = self.duplicate()
        try:
            return is_artifact(fd)
        finally:
            os.close(fd)

    def duplicate(self) -> int:
        """A descriptor on the input, readable by position; the caller's to close."""
        if self._data is None:
            return os.dup(self._fd)
        return memory_file("hlwasm-input", self._data)

    def sha256(self) -> str:
        """Hash of the input in hex, through one small buffer: about 0.6 ms per MiB."""
        if self._data is not None:
            return new_sha256(self._data).hexdigest()
        digest = new_sha256(size=self.size)
        buffer = bytearray(min(_CHUNK, self.size + 1))
        view = memoryview(buffer)
        offset = 0
        while read := os.preadv(self._fd, [view], offset):
            digest.update(view[:read])
            offset += read
        return digest.hexdigest()

    def is_unchanged(self) -> bool:
        """Whether the file has the status that it was opened with."""
        if self.status is None:
            return False
        now = os.fstat(self._fd)
        return (now.st_size, now.st_mtime_ns, now.st_ctime_ns) == (
            self.status.st_size,
            self.status.st_mtime_ns,
            self.status.st_ctime_ns,
        )

    def read(self) -> bytes:
        """The whole input."""
        if self._data is not None:
            return self._data
        with os.fdopen(os.dup(self._fd), "rb") as file:
            file.seek(0)
            return file.read(SOURCE_LIMIT_BYTES + 1)

    def check_kind(self) -> None:
        """Tells common mistakes before a compiler is started.

        Raises:
            InvalidWasm: not WebAssembly, neither binary nor text.
            ArtifactError: compiled, but not by hlwasm.
        """
        head = self.head()
        if head.startswith(_WASM_MAGIC):
            return
        if not head.strip(b"\0 \t\r\n"):
            what = "empty" if not head.strip(b" \t\r\n") else "not WebAssembly: it is all zeros"
            raise InvalidWasm(f"the input is {what}")
        if head.startswith(ELF_MAGIC):
            if _WASMTIME_SECTION in self.read():
                raise ArtifactError(
                    "this was compiled by wasmtime itself and lacks what hlwasm needs: "
                    "pass the component that it was made from, or use `hlwasm compile`"
                )
            raise InvalidWasm("not WebAssembly but a native ELF file")
        for magic, what in _MISTAKES:
            if head.startswith(magic):
                raise InvalidWasm(f"not WebAssembly but {what}")
        if re.match(_WIT, head):
            raise InvalidWasm(
                "not WebAssembly but WIT, which has no code in it: give the component that was "
                "made for it; `hlwasm bindgen` makes bindings from it"
            )
        if not _looks_like_text(head):
            raise InvalidWasm(
                f"not WebAssembly: it starts with {_shown(head[:8])}, "
                "and WebAssembly starts with 00 61 73 6d"
            )

    def close(self) -> None:
        """Closes the file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _shown(start: bytes) -> str:
    text = start.decode("ascii", "replace").strip("\r\n")
    return repr(text) if text.isascii() and text.isprintable() else start.hex(" ")


def _looks_like_text(head: bytes) -> bool:
    """Whether it may be WAT: text that starts with a parenthesis or a comment."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    return text.startswith((b"(", b";;")) and b"\0" not in head
