"""Hashes of large input files that were read before, so that they need not be read again.

Hashing 18 MB takes longer than all else that a start with a cached artifact does. A file is
known again by its device, inode, size and both times. The kernel sets the time of the last
change at each write, and no program can set it back: a file whose times are those of the
index has what it had then. Times are coarse, though: a file that was changed less than two
seconds before it was read may be changed once more with the same times, and is not put into
the index, as git does it.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from typing import Any

_SETTLED_SECONDS = 2.0
_MOST_FILES = 64
_MOST_BYTES = 1 << 16
_DIGITS = frozenset("0123456789abcdef")


class SourceIndex:
    """The index, one small file. Any process may use it; at worst one forgets what another adds.

    Args:
        path: of its file.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def find(self, status: os.stat_result) -> str | None:
        """The SHA-256, in hex, of the file that has this status; None where it is not known."""
        found = self._read().get(_identity(status))
        return found if _is_sha256(found) else None

    def add(self, status: os.stat_result, sha256: str) -> None:
        """Remembers a file, unless it was changed just now; does nothing where it cannot.

        Args:
            status: before the file was read, and still after it.
        """
        if time.time() - max(status.st_mtime, status.st_ctime) < _SETTLED_SECONDS:
            return
        files = self._read()
        files.pop(_identity(status), None)
        files[_identity(status)] = sha256
        for oldest in list(files)[: max(0, len(files) - _MOST_FILES)]:
            del files[oldest]
        new = f"{self.path}.new-{os.getpid()}"
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120
            try:
                fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(fd, "w") as file:
                    json.dump(files, file)
                os.rename(new, self.path)  # noqa: PTH104 — pathlib takes long to import
            except OSError:
                os.unlink(new)  # noqa: PTH108
                raise

    def _read(self) -> dict[str, Any]:
        try:
            # A pipe without a writer would block the opening.
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(fd, "rb") as file:
                status = os.fstat(fd)
                if not stat.S_ISREG(status.st_mode):
                    return {}
                # It decides what is run: no other user may write it.
                if status.st_uid not in (0, os.geteuid()) or status.st_mode & stat.S_IWOTH:
                    return {}
                files = json.loads(file.read(_MOST_BYTES))
        except (OSError, ValueError, RecursionError):
            return {}
        return files if isinstance(files, dict) else {}


def _identity(status: os.stat_result) -> str:
    return (
        f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns} "
        f"{status.st_ctime_ns}"
    )


def _is_sha256(text: object) -> bool:
    return isinstance(text, str) and len(text) == 64 and _DIGITS.issuperset(text)
