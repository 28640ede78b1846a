"""One compile per key among all processes of a user."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_TICK_SECONDS = 0.05


@contextlib.contextmanager
def key_lock(path: Path, seconds: float, waiting: Callable[[], None]) -> Iterator[bool]:
    """Holds an exclusive lock on ``path``, a file that exists only meanwhile.

    The kernel frees the lock of a process that died. A lock that is not free after
    ``seconds`` (a process that was stopped, or that forked while it held the lock) is
    ignored, as is a file system without locks: then work is done twice, but the cache
    stays right, since entries appear by renaming.

    Args:
        waiting: called several times a second while another process holds the lock.

    Yields:
        Whether the lock is held.
    """
    fd = _acquire(path, time.monotonic() + seconds, waiting)
    try:
        yield fd is not None
    finally:
        if fd is not None:
            # Unlinked while it is held, so nobody can hold a file that has no name for long.
            with contextlib.suppress(OSError):
                path.unlink()
            os.close(fd)


def _acquire(path: Path, deadline: float, waiting: Callable[[], None]) -> int | None:
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _still_named(fd, path):
                return fd
            os.close(fd)
            continue
        except BlockingIOError:
            os.close(fd)
        except OSError:
            os.close(fd)
            return None
        if time.monotonic() >= deadline:
            return None
        waiting()
        time.sleep(_TICK_SECONDS)


def _still_named(fd: int, path: Path) -> bool:
    """False where the former holder unlinked the file before this lock was taken."""
    try:
        named = path.stat()
    except OSError:
        return False
    held = os.fstat(fd)
    return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)
