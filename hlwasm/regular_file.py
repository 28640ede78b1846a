"""Reading files that may be something else, or too long."""

from __future__ import annotations

import errno
import os
import stat


def open_regular(path: str | os.PathLike[str]) -> int:
    """A descriptor to read a file; the caller's to close.

    Raises:
        OSError: it cannot be opened, or is a folder, pipe or device.
    """
    # A pipe without a writer would block the opening.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))


def read_regular(path: str | os.PathLike[str], bytes_max: int) -> bytes:
    """What is in a file: one byte more than ``bytes_max`` at most, of one that is longer.

    Raises:
        OSError: it cannot be read, or is a folder, pipe or device.
    """
    with open(open_regular(path), "rb") as file:
        return file.read(bytes_max + 1)
