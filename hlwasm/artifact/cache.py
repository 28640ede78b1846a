"""The cache of artifacts, and of states to start from, in the user's cache directory.

::

    <root>/artifacts/<key>.cwasm   complete entries; their time stamps say when last used
    <root>/snapshots/<key>.snapshot  states right after instantiation, likewise
    <root>/*/.new-*                being written
    <root>/sources.json            hashes of large inputs, by what their files look like
    <root>/locks/<key>             held while the entry is compiled

An entry appears by renaming and is never changed, so readers need no lock. A key names
the input's contents, the options and all versions, so an entry never becomes wrong; it
can only be damaged. Loading checks all of it but the code's checksum, which
`hlwasm cache verify` looks at: reading 32 MB of code would cost several times as much
as the rest of a cold start, and damaged code can harm no more than its own sandbox.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from functools import cached_property
from typing import TYPE_CHECKING

from hlwasm.artifact.artifact import Artifact
from hlwasm.artifact.file_format import read_sections, verify_code
from hlwasm.errors import ArtifactError, SnapshotError
from hlwasm.frozen import Frozen
from hlwasm.logs import INFO, WARNING, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from hlwasm.artifact.source_index import SourceIndex

DEFAULT_LIMIT_BYTES = 2 << 30
LOGGER = "hlwasm.cache"
ARTIFACT, SNAPSHOT = "artifact", "snapshot"
# Kind of an entry → its directory and the end of its name.
_PLACES = {ARTIFACT: ("artifacts", ".cwasm"), SNAPSHOT: ("snapshots", ".snapshot")}
_NEW_PREFIX = ".new-"
# A file still being written is younger than this.
_ABANDONED_SECONDS = 3600.0


# Paths are strings until somebody asks for a Path: finding an artifact takes less time
# than importing pathlib.


def default_root() -> str:
    """HLWASM_CACHE_DIR, else hlwasm in XDG_CACHE_HOME, else ~/.cache/hlwasm."""
    chosen = os.environ.get("HLWASM_CACHE_DIR")
    if chosen:
        return chosen
    # A relative XDG path is to be ignored, says its specification.
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):
        base = f"{os.environ.get('HOME') or _home()}/.cache"
    return f"{base}/hlwasm"


def _home() -> Path:
    from pathlib import Path

    return Path.home()


class Entry(Frozen):
    """One artifact in the cache, or one snapshot.

    Attributes:
        path: its file.
        key: 64 hex digits.
        size: in bytes.
        used: when it was last used, in seconds since the epoch.
        kind: :data:`ARTIFACT` or :data:`SNAPSHOT`.
    """

    path: Path
    key: str
    size: int
    used: float
    kind: str = ARTIFACT


class Cache:
    """Artifacts on disk; safe for any number of threads and processes.

    Attributes:
        limit_bytes: least recently used entries go when the sum of sizes is larger.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        *,
        limit_bytes: int = DEFAULT_LIMIT_BYTES,
    ) -> None:
        self._root = default_root() if root is None else os.fspath(root)
        self.limit_bytes = limit_bytes

    @cached_property
    def root(self) -> Path:
        """Its directory; made at first use."""
        from pathlib import Path

        return Path(self._root)

    def _directory(self, kind: str = ARTIFACT) -> Path:
        return self.root / _PLACES[kind][0]

    @property
    def _locks(self) -> Path:
        return self.root / "locks"

    def _path_of(self, key: str, kind: str = ARTIFACT) -> str:
        directory, suffix = _PLACES[kind]
        return f"{self._root}/{directory}/{key}{suffix}"

    def path_of(self, key: str, kind: str = ARTIFACT) -> Path:
        """Where the entry of a key is, or would be."""
        from pathlib import Path

        return Path(self._path_of(key, kind))

    # Reading --------------------------------------------------------------------

    def find(self, key: str) -> Artifact | None:
        """The artifact of a key; None where there is none. A damaged one is removed."""
        path = self._path_of(key)
        fd = _open(path)
        if fd is None:
            return None
        try:
            self._check_owner(fd)
            artifact = Artifact.from_fd(fd, path, cached=True, key=key)
        except (ArtifactError, OSError) as error:
            os.close(fd)
            log(LOGGER, WARNING, "ignored %s: %s", path, error)
            _unlink(path)
            return None
        _mark_used(fd)
        return artifact

    def sources(self) -> SourceIndex:
        """The hashes of inputs that were read before."""
        # Only here: small inputs are hashed sooner than this is imported.
        from hlwasm.artifact.source_index import SourceIndex

        return SourceIndex(f"{self._root}/sources.json")

    def holds(self, artifact: Artifact) -> bool:
        """Whether this is the entry of its key, and not one that only says so."""
        return artifact.file == self._path_of(artifact.key)

    def open_snapshot(self, key: str) -> int | None:
        """A descriptor of a snapshot, the caller's to close; None where there is none."""
        fd = _open(self._path_of(key, SNAPSHOT))
        if fd is None:
            return None
        try:
            self._check_owner(fd)
        except (ArtifactError, OSError) as error:
            os.close(fd)
            self.reject_snapshot(key, error)
            return None
        _mark_used(fd)
        return fd

    def reject_snapshot(self, key: str, reason: Exception) -> None:
        """Removes a snapshot that cannot be used. It is made again: no reason for a warning."""
        path = self._path_of(key, SNAPSHOT)
        log(LOGGER, INFO, "ignored %s: %s", path, reason)
        _unlink(path)

    @staticmethod
    def _check_owner(fd: int) -> None:
        """Codecs are made from the description: no other user may write it."""
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise ArtifactError("the artifact is no file")
        if status.st_uid not in (0, os.geteuid()) or status.st_mode & stat.S_IWOTH:
            raise ArtifactError("other users can write the artifact")

    # Writing --------------------------------------------------------------------

    def prepare(self) -> bool:
        """Makes the directories; False, with a warning, where entries cannot be written."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for directory in (self._directory(), self._locks):
                directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            log(LOGGER, WARNING, "works without a cache: %s", error)
            return False
        if not os.access(self._directory(), os.W_OK | os.X_OK):
            log(LOGGER, WARNING, "works without a cache: %s cannot be written", self._directory())
            return False
        return True

    def lock(
        self, key: str, seconds: float, waiting: Callable[[], None]
    ) -> AbstractContextManager[bool]:
        """See :func:`key_lock`."""
        from hlwasm.artifact.lock import key_lock

        return key_lock(self._locks / key, seconds, waiting)

    def create(self, kind: str = ARTIFACT) -> tuple[int, Path]:
        """A new file, open for writing; :meth:`discard` it in any case.

        Raises:
            OSError: it cannot be made.
        """
        # Only here: it is not quick to import, and most starts find their artifact.
        import tempfile
        from pathlib import Path

        fd, name = tempfile.mkstemp(
            prefix=_NEW_PREFIX, suffix=_PLACES[kind][1], dir=self._directory(kind)
        )
        return fd, Path(name)

    @staticmethod
    def discard(fd: int, path: Path) -> None:
        """Closes a file of :meth:`create`, and removes it unless it was committed."""
        os.close(fd)
        _unlink(path)

    def commit(self, fd: int, path: Path, key: str) -> Artifact:
        """Makes a file of :meth:`create` the entry of a key, and prunes the cache.

        Raises:
            OSError: the file cannot be synchronised or renamed.
            ArtifactError: the file is no artifact, or has another key.
        """
        os.fchmod(fd, 0o400)
        os.fsync(fd)
        target = self.path_of(key)
        # A descriptor of its own, which cannot write. Not by the name, under which whoever may
        # write the directory can have put something else.
        reader = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            artifact = Artifact.from_fd(reader, target, cached=False, key=key)
        except BaseException:
            os.close(reader)
            raise
        try:
            path.rename(target)
        except BaseException:
            artifact.close()
            raise
        self.prune(keep=key)
        return artifact

    def add_snapshot(self, key: str, write: Callable[[int], None]) -> None:
        """Makes a snapshot the entry of a key, and prunes the cache.

        Without synchronising: a crash of the machine may damage an entry, which then is made
        again.

        Args:
            key: its key.
            write: writes the snapshot to a descriptor.

        Raises:
            OSError: it cannot be written.
        """
        self._directory(SNAPSHOT).mkdir(mode=0o700, parents=True, exist_ok=True)
        fd, path = self.create(SNAPSHOT)
        try:
            write(fd)
            os.fchmod(fd, 0o400)
            path.rename(self.path_of(key, SNAPSHOT))
        finally:
            self.discard(fd, path)
        self.prune(keep=key)

    # Housekeeping ---------------------------------------------------------------

    def entries(self) -> list[Entry]:
        """All entries, least recently used first."""
        found = []
        for kind, path, status in self._files():
            suffix = _PLACES[kind][1]
            if path.name.endswith(suffix) and not path.name.startswith(_NEW_PREFIX):
                key = path.name.removesuffix(suffix)
                found.append(Entry(path, key, status.st_size, status.st_mtime, kind))
        return sorted(found, key=lambda entry: entry.used)

    def _files(self) -> Iterator[tuple[str, Path, os.stat_result]]:
        for kind in _PLACES:
            try:
                paths = list(self._directory(kind).iterdir())
            except OSError:
                continue
            for path in paths:
                # Another process may remove it meanwhile.
                with contextlib.suppress(OSError):
                    yield kind, path, path.lstat()

    def size(self) -> int:
        """Sum of the entries' sizes, in bytes."""
        return sum(entry.size for entry in self.entries())

    def prune(self, limit_bytes: int | None = None, *, keep: str | None = None) -> list[Entry]:
        """Removes what was abandoned, then least recently used entries beyond the limit.

        Args:
            limit_bytes: instead of the cache's own limit.
            keep: a key that stays in any case.

        Returns:
            The entries that were removed.
        """
        limit = self.limit_bytes if limit_bytes is None else limit_bytes
        self._remove_abandoned()
        entries = self.entries()
        total = sum(entry.size for entry in entries)
        removed = []
        for entry in entries:
            if total <= limit:
                break
            if entry.key != keep and _unlink(entry.path):
                total -= entry.size
                removed.append(entry)
        return removed

    def _remove_abandoned(self) -> None:
        oldest = time.time() - _ABANDONED_SECONDS
        for _, path, status in self._files():
            if path.name.startswith(_NEW_PREFIX) and status.st_mtime < oldest:
                _unlink(path)

    def clear(self) -> list[Entry]:
        """Removes all entries, and what is known of inputs; what runs goes on running.

        Returns:
            The entries that were removed.
        """
        _unlink(self.sources().path)
        return [entry for entry in self.entries() if _unlink(entry.path)]

    def verify(self) -> Iterator[tuple[Entry, str | None]]:
        """Reads every entry whole; removes damaged ones.

        Yields:
            Each entry, with what is wrong with it or None.
        """
        for entry in self.entries():
            fd = _open(entry.path)
            if fd is None:
                continue
            try:
                problem = _problem_of(fd, entry)
            except (ArtifactError, SnapshotError, OSError) as error:
                problem = str(error)
            finally:
                os.close(fd)
            if problem is not None:
                _unlink(entry.path)
            yield entry, problem


def _problem_of(fd: int, entry: Entry) -> str | None:
    if entry.kind == SNAPSHOT:
        from hlwasm.sandbox.snapshot_file import read_parts

        read_parts(fd, verify=True)
        return None
    sections = read_sections(fd)
    verify_code(fd, sections)
    return None if sections.metadata.key == entry.key else "it has another key"


def _open(path: str | Path) -> int | None:
    """A descriptor to read an entry, which may be no file; None where there is none."""
    try:
        # A pipe without a writer would block the opening.
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None


def _mark_used(fd: int) -> None:
    """Sets the times of an entry: those that were not used for long go first."""
    with contextlib.suppress(OSError):
        os.utime(fd)


def _unlink(path: str | Path) -> bool:
    try:
        os.unlink(path)  # noqa: PTH108 — a string for the most part
    except OSError:
        return False
    return True
