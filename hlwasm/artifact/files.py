"""Open files as stores of bytes."""

from __future__ import annotations

import os

# One write of several gigabytes would be cut by the kernel in any case.
_CHUNK = 1 << 24


def write_at(fd: int, data: bytes | memoryview, offset: int) -> int:
    """Writes all of ``data`` at a position, and returns the position behind it.

    Raises:
        OSError: the disk is full, for example.
    """
    rest = memoryview(data)
    while rest:
        written = os.pwrite(fd, rest[:_CHUNK], offset)
        rest, offset = rest[written:], offset + written
    return offset


def memory_file(name: str, data: bytes) -> int:
    """An anonymous file that holds ``data``; the caller's to close."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        write_at(fd, data, 0)
    except BaseException:
        os.close(fd)
        raise
    return fd
