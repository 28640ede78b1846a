"""SHA-256 and BLAKE2, from where they are quickest.

``hashlib`` loads OpenSSL, which takes 2 ms: a twentieth of a cold start. The module that
Python falls back to without OpenSSL is there in a tenth of that, and hashes more slowly.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash

# Python's own SHA-256 takes about as long for these as OpenSSL takes to load.
_LARGE_BYTES = 1 << 19
# Before and since Python 3.12; hashlib is there in any case.
_MODULES = ("_sha2", "_sha256", "hashlib")


def new_blake2b() -> _Hash:
    """A hash object of 32 bytes, as ``hashlib.blake2b`` makes them, without OpenSSL."""
    try:
        made: _Hash = import_module("_blake2").blake2b(digest_size=32)
    except ImportError:
        made = import_module("hashlib").blake2b(digest_size=32)
    return made


def new_sha256(data: bytes = b"", *, size: int = 0) -> _Hash:
    """A hash object that has taken in ``data``, as ``hashlib.sha256`` makes them.

    Args:
        size: bytes that it will take in altogether, where more than ``data`` follow.
    """
    for name in _MODULES if max(size, len(data)) < _LARGE_BYTES else ("hashlib",):
        try:
            made: _Hash = import_module(name).sha256(data)
        except ImportError:
            continue
        return made
    raise ImportError("hashlib")
