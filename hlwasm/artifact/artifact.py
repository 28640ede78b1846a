"""An artifact: an open file with code for the guest, and what is known of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hlwasm.artifact.file_format import ELF_MAGIC, Metadata, Sections, read_sections, verify_code
from hlwasm.artifact.fingerprint import WASMTIME_MAJOR, abi_fingerprint
from hlwasm.errors import ArtifactError
from hlwasm.frozen import Shared

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType


class Artifact(Shared):
    """Owns an open artifact file, so that pruning the cache cannot take it away.

    Attributes:
        fd: descriptor, open for reading; the code starts at offset 0. Closed by :meth:`close`.
        code_bytes: length of the code.
        description: JSON text of the world, see component_bridge.
        metadata: what the artifact was made from and by.
        cached: it was there already; nothing was compiled.
    """

    __slots__ = ("_path", "_sections", "cached", "code_bytes", "description", "fd", "metadata")

    def __init__(
        self, fd: int, sections: Sections, path: str | os.PathLike[str] | None, cached: bool
    ) -> None:
        self.fd = fd
        self._sections = sections
        self.code_bytes = sections.code_bytes
        self.description = sections.description
        self.metadata: Metadata = sections.metadata
        self._path = path
        self.cached = cached

    @classmethod
    def from_fd(
        cls, fd: int, path: str | os.PathLike[str] | None, *, cached: bool, key: str | None = None
    ) -> Artifact:
        """Takes over a descriptor; on failure it stays the caller's.

        Args:
            key: the key that it must have.

        Raises:
            ArtifactError: damaged, or made by another version.
        """
        if os.pread(fd, len(ELF_MAGIC), 0) != ELF_MAGIC:
            raise ArtifactError("the artifact is damaged: it does not start with code")
        sections = read_sections(fd)
        check_versions(sections.metadata)
        if key not in (None, sections.metadata.key):
            raise ArtifactError("the artifact is damaged: it belongs to another key")
        return cls(fd, sections, path, cached)

    @property
    def path(self) -> Path | None:
        """The file, None where it is in memory only."""
        # Only here: a start with a cached artifact is done before pathlib is imported.
        from pathlib import Path

        return None if self._path is None else Path(self._path)

    @property
    def file(self) -> str | None:
        """The same as a string."""
        return None if self._path is None else os.fspath(self._path)

    @property
    def key(self) -> str:
        """Names the input, the options and the versions: 64 hex digits."""
        return self.metadata.key

    @property
    def file_bytes(self) -> int:
        """Size of the artifact file."""
        return os.fstat(self.fd).st_size

    def verify(self) -> None:
        """Compares the code with its checksum.

        Raises:
            ArtifactError: damaged.
        """
        verify_code(self.fd, self._sections)

    def close(self) -> None:
        """Closes the file. Sandboxes that run the code are not affected."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Artifact:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # Bound here: at the interpreter's end the module's names are gone before the last artifact is.
    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        fd = getattr(self, "fd", -1)
        if fd >= 0:
            self.fd = -1
            close(fd)

    def __repr__(self) -> str:
        return f"<Artifact {self.key[:12]} {self.code_bytes} bytes>"


def check_versions(metadata: Metadata) -> None:
    """Refuses what this installation's guest cannot run.

    Raises:
        ArtifactError: made by another version.
    """
    major = metadata.wasmtime.partition(".")[0]
    if major != str(WASMTIME_MAJOR):
        raise ArtifactError(
            f"the artifact was compiled by wasmtime {metadata.wasmtime}, "
            f"and this hlwasm runs {WASMTIME_MAJOR}: compile it again"
        )
    if metadata.abi != abi_fingerprint():
        raise ArtifactError(
            f"the artifact was made by another version of hlwasm ({metadata.native}): "
            "compile it again"
        )
