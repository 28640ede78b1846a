"""The package ``wasi:filesystem``, so far without a single directory.

Programs ask for their directories when they start, whether or not they use files; with
none granted they hold no descriptor, so no method of one is ever called.
"""

from __future__ import annotations

import errno

from hlwasm.wasi.interface import Interface
from hlwasm.wasi.streams import Error

# The names of WASI's enum error-code, by the operating system's.
_ERROR_CODES = {
    errno.EACCES: "access",
    errno.EAGAIN: "would-block",
    errno.EALREADY: "already",
    errno.EBADF: "bad-descriptor",
    errno.EBUSY: "busy",
    errno.EDEADLK: "deadlock",
    errno.EDQUOT: "quota",
    errno.EEXIST: "exist",
    errno.EFBIG: "file-too-large",
    errno.EILSEQ: "illegal-byte-sequence",
    errno.EINPROGRESS: "in-progress",
    errno.EINTR: "interrupted",
    errno.EINVAL: "invalid",
    errno.EIO: "io",
    errno.EISDIR: "is-directory",
    errno.ELOOP: "loop",
    errno.EMLINK: "too-many-links",
    errno.EMSGSIZE: "message-size",
    errno.ENAMETOOLONG: "name-too-long",
    errno.ENODEV: "no-device",
    errno.ENOENT: "no-entry",
    errno.ENOLCK: "no-lock",
    errno.ENOMEM: "insufficient-memory",
    errno.ENOSPC: "insufficient-space",
    errno.ENOTDIR: "not-directory",
    errno.ENOTEMPTY: "not-empty",
    errno.ENOTRECOVERABLE: "not-recoverable",
    errno.ENOTSUP: "unsupported",
    errno.ENOTTY: "no-tty",
    errno.ENXIO: "no-such-device",
    errno.EOVERFLOW: "overflow",
    errno.EPERM: "not-permitted",
    errno.EPIPE: "pipe",
    errno.EROFS: "read-only",
    errno.ESPIPE: "invalid-seek",
    errno.ETXTBSY: "text-file-busy",
    errno.EXDEV: "cross-device",
}


class Types(Interface):
    """``wasi:filesystem/types``."""

    __slots__ = ()

    def filesystem_error_code(self, err: Error) -> str | None:
        """The error code of a stream's error, None where the error is none of a file."""
        if err.cause is None or err.cause.errno is None:
            return None
        return _ERROR_CODES.get(err.cause.errno, "io")


class Preopens(Interface):
    """``wasi:filesystem/preopens``."""

    __slots__ = ()

    def get_directories(self) -> list[tuple[object, str]]:
        """The directories that the program may use, with the paths it knows them by."""
        return []
