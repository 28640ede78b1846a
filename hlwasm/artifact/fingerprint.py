"""What an artifact depends on besides its input, and the cache key made of it all."""

from __future__ import annotations

import os
import struct
from functools import lru_cache

from hlwasm.artifact.file_format import FORMAT_VERSION
from hlwasm.artifact.hashing import new_sha256
from hlwasm.artifact.options import CompileOptions
from hlwasm.native import _abi
from hlwasm.native.library import LIBRARY_PATH, load_library

# The guest's wasmtime loads artifacts of any release of its own major version.
WASMTIME_MAJOR = 48
TARGET = "x86_64-unknown-linux-gnu"
# x86-64-v3, the level that the guest runtime itself is built for.
CPU_FEATURES = (
    "sse3",
    "ssse3",
    "sse41",
    "sse42",
    "popcnt",
    "cmpxchg16b",
    "fma",
    "avx",
    "avx2",
    "bmi1",
    "bmi2",
    "lzcnt",
)
# Raised by hand when engine.py changes what it asks of the compiler.
ENGINE_REVISION = 2
# Linkers put notes right behind the headers.
_HEAD_BYTES = 1 << 12


@lru_cache(maxsize=1)
def abi_fingerprint() -> str:
    """Changes with any constant of the contract between host and guest."""
    constants = sorted((k, v) for k, v in vars(_abi).items() if k.isupper())
    return new_sha256(repr(constants).encode()).hexdigest()[:16]


@lru_cache(maxsize=1)
def native_fingerprint(path: str = LIBRARY_PATH) -> str:
    """Tells builds of native_vmm, and so of the bridge generator, apart.

    The linker's build ID where there is one (it costs one small read), else a hash of
    the whole file.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        # Says what to do about it.
        load_library()
        raise
    try:
        found = build_id(os.pread(fd, _HEAD_BYTES, 0))
        if found is not None:
            return found.hex()
        whole = new_sha256(size=os.fstat(fd).st_size)
        while chunk := os.read(fd, 1 << 20):
            whole.update(chunk)
        return whole.hexdigest()
    finally:
        os.close(fd)


def build_id(head: bytes) -> bytes | None:
    """The GNU build ID in the first bytes of a 64-bit little-endian ELF file."""
    if head[:6] != b"\x7fELF\x02\x01" or len(head) < 64:
        return None
    (table,) = struct.unpack_from("<Q", head, 0x20)
    entry_bytes, count = struct.unpack_from("<HH", head, 0x36)
    for index in range(count):
        entry = table + index * entry_bytes
        if entry + 56 > len(head):
            return None
        kind, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", head, entry)
        if kind == 4:  # PT_NOTE
            found = _find_note(head[offset : offset + size])
            if found is not None:
                return found
    return None


def _find_note(notes: bytes) -> bytes | None:
    at = 0
    while at + 12 <= len(notes):
        name_bytes, value_bytes, kind = struct.unpack_from("<III", notes, at)
        name = at + 12
        value = name + (name_bytes + 3) // 4 * 4
        if kind == 3 and notes[name : name + name_bytes] == b"GNU\0" and value_bytes:
            return notes[value : value + value_bytes]
        at = value + (value_bytes + 3) // 4 * 4
    return None


def cache_key(source_sha256: str, options: CompileOptions) -> str:
    """The name of an artifact: 64 hex digits."""
    parts = (
        f"format {FORMAT_VERSION}",
        f"engine {ENGINE_REVISION}",
        f"wasmtime {WASMTIME_MAJOR}",
        f"target {TARGET} {' '.join(CPU_FEATURES)}",
        f"abi {abi_fingerprint()}",
        f"native {native_fingerprint()}",
        f"fuel {options.fuel}",
        f"transfer_bytes {options.transfer_bytes}",
        f"source {source_sha256}",
    )
    return new_sha256("\n".join(parts).encode()).hexdigest()
