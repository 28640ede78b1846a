"""How the C library hands out large blocks, which both sides of a comparison live on.

By itself glibc decides by what happened before whether a block of a megabyte is old memory
or fresh from the kernel, with a page fault for each 4 KiB: the same call can take ten times
as long in another program. So measurements of large values say which it is.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def keep_large_blocks() -> None:
    """Freed blocks are used again: no page faults once a program is warm."""
    _set(_MMAP_THRESHOLD, 64 << 20)
    _set(_TRIM_THRESHOLD, 256 << 20)


def return_large_blocks() -> None:
    """Each large block is fresh, and goes back to the kernel when it is freed."""
    _set(_MMAP_THRESHOLD, 128 << 10)
    _set(_TRIM_THRESHOLD, 128 << 10)


def _set(parameter: int, value: int) -> None:
    if ctypes.CDLL(None).mallopt(parameter, value) != 1:
        raise RuntimeError("this C library has no mallopt of glibc's kind")
