"""Files that appear as a whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(target: Path) -> Iterator[int]:
    """A descriptor to write to; at the end of the block the file takes ``target``'s place.

    Who has the old file open keeps it. Where the block raises, the old file stays. The new one
    has the permissions of any file that the user makes.

    Raises:
        OSError: it cannot be made or put there.
    """
    with named(target):
        fd, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    staged = Path(name)
    try:
        try:
            yield fd
            os.fchmod(fd, 0o666 & ~_umask())
            os.fsync(fd)
        finally:
            os.close(fd)
        with named(target):
            staged.replace(target)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise


@contextmanager
def named(target: Path) -> Iterator[None]:
    """Errors tell of ``target``, not of a file of another name that is to become it."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(target)) from error


def _umask() -> int:
    # There is no way to ask without setting it.
    current = os.umask(0o077)
    os.umask(current)
    return current
