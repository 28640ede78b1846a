"""Snapshots in files.

::

    offset 0     header, one page: magic, version, position and size of the trailer, size of
                 the pages, checksums of both
    4096         pages of guest memory, as native_vmm writes them
    behind them  trailer: lengths of three parts, then these: JSON that says what it is a snapshot
                 of, the host's side, native_vmm's record

The header is written last, into a new file that then takes the old one's place: a file that
is there is whole. All sizes are checked against the file and against bounds before anything
is read, and who a part is for checks it: here only the first is looked into, which is small.
What native_vmm finds in its part it takes for the work of a hostile guest.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import time
from typing import TYPE_CHECKING, Any

from hlwasm.artifact.fingerprint import abi_fingerprint, native_fingerprint
from hlwasm.artifact.hashing import new_blake2b
from hlwasm.codec.checks import short
from hlwasm.errors import SnapshotError
from hlwasm.frozen import Frozen
from hlwasm.native.handles import NativeSnapshot
from hlwasm.text import cut_off

if TYPE_CHECKING:
    from pathlib import Path

    from hlwasm.component import Component
    from hlwasm.sandbox.limits import Limits
    from hlwasm.sandbox.snapshot import Snapshot

MAGIC = b"HLWSNAP\n"
VERSION = 2
PAGE = 4096
# Most bytes of the parts of the trailer; of the record, native_vmm reads no more.
DESCRIPTION_MAX, HOST_MAX, RECORD_MAX = 1 << 16, 8 << 20, 8 << 20
_PARTS_MAX = (DESCRIPTION_MAX, HOST_MAX, RECORD_MAX)
_LENGTHS = struct.Struct("<III")
_NAME_MAX = 200
# Magic, version, reserved, position and size of the trailer, size of the pages, checksum of
# the trailer, checksum of the pages, checksum of all that is before.
_HEADER = struct.Struct("<8sII QQQ 32s 32s")
_CHECKSUM_BYTES = 32
_CHUNK = 1 << 20
# A file still being written is younger than this.
_ABANDONED_SECONDS = 3600.0


def save(snapshot: Snapshot, path: str | os.PathLike[str]) -> None:
    """See :meth:`Snapshot.save`."""
    # Here and below: who starts from a cached state only loads it, and needs none of this.
    import tempfile
    from pathlib import Path

    from hlwasm.sandbox.host_state_json import encode
    from hlwasm.whole_files import named

    target = Path(path)
    host = encode(snapshot._host, snapshot.component.description)
    prefix = f".{target.name}.new-"
    _remove_abandoned(target.parent, prefix)
    with named(target):
        fd, name = tempfile.mkstemp(prefix=prefix, dir=target.parent)
    try:
        try:
            write(fd, snapshot._native, snapshot.component, snapshot.limits, host)
            os.fsync(fd)
        finally:
            os.close(fd)
        with named(target):
            Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    _sync_directory(target.parent)


def write(
    fd: int,
    native: NativeSnapshot,
    component: Component,
    limits: Limits,
    host: bytes = b"",
) -> None:
    """Writes a snapshot into an empty file.

    Args:
        host: the host's side, if it has one.

    Raises:
        OSError: it cannot be written.
        SnapshotError: a part of the trailer is too large.
    """
    size, record = native.save(fd, PAGE)
    described = {
        "component": component.name[:_NAME_MAX],
        "key": component.artifact.key,
        "abi": abi_fingerprint(),
        "native": native_fingerprint(),
        "limits": limits.as_dict(),
    }
    parts = json.dumps(described).encode(), host, record
    for part, most, what in zip(parts, _PARTS_MAX, ("origin", "host", "memory"), strict=True):
        if len(part) > most:
            raise SnapshotError(
                f"the snapshot knows too much of the {what} for a file: {len(part)} bytes, "
                f"and the limit is {most}"
            )
    trailer = _LENGTHS.pack(*map(len, parts)) + b"".join(parts)
    _write(fd, trailer, PAGE + size)
    header = _HEADER.pack(
        MAGIC, VERSION, 0, PAGE + size, len(trailer), size,
        _checksum(trailer), _checksum_of_pages(fd, size),
    )  # fmt: skip
    _write(fd, header + _checksum(header), 0)


def load(
    path: str | os.PathLike[str],
    component: Component,
    limits: Limits,
    *,
    verify: bool,
    trusted: bool,
) -> Snapshot:
    """See :meth:`Snapshot.load`."""
    from hlwasm.regular_file import open_regular
    from hlwasm.sandbox.host_state_json import decode
    from hlwasm.sandbox.snapshot import Snapshot

    fd = open_regular(path)
    try:
        native, data = read(fd, component, limits, verify=verify)
        if not data:
            raise SnapshotError("the snapshot file is damaged: it has no host")
        host = decode(data, component.description, trusted=trusted)
        return Snapshot(component, limits, native, host)
    except SnapshotError as error:
        error.args = (f"{os.fspath(path)}: {error}",)
        raise
    finally:
        os.close(fd)


def read(
    fd: int, component: Component, limits: Limits, *, verify: bool
) -> tuple[NativeSnapshot, bytes]:
    """The guest of a snapshot file, and the host's side.

    Raises:
        SnapshotError: damaged, or of another machine, version, component or limits.
    """
    parts = read_parts(fd, verify=verify)
    _check_origin(parts.description, component, limits)
    configuration = component.configuration(limits)
    try:
        native = NativeSnapshot.load(configuration, fd, PAGE, parts.size, parts.record)
    except SnapshotError as error:
        # It may name what it found in the record.
        raise SnapshotError(cut_off(str(error))) from None
    return native, parts.host


class Parts(Frozen):
    """What is in a snapshot file.

    Attributes:
        size: of the pages, in bytes.
        description: what it is a snapshot of.
        host: the host's side, see :mod:`hlwasm.sandbox.host_state_json`; empty for none.
        record: native_vmm's.
    """

    size: int
    description: dict[str, Any]
    host: bytes
    record: bytes


def read_parts(fd: int, *, verify: bool) -> Parts:
    """The parts of any snapshot file.

    Raises:
        SnapshotError: damaged.
    """
    head = os.pread(fd, _HEADER.size + _CHECKSUM_BYTES, 0)
    if head[:8] != MAGIC:
        raise SnapshotError("not a snapshot file")
    if len(head) < _HEADER.size + _CHECKSUM_BYTES:
        raise SnapshotError("the snapshot file is cut off")
    header, checksum = head[: _HEADER.size], head[_HEADER.size :]
    _, version, _, position, length, size, trailer_sum, pages_sum = _HEADER.unpack(header)
    if version != VERSION:
        raise SnapshotError(
            f"the snapshot file has format {version}, and this hlwasm reads {VERSION}"
        )
    if _checksum(header) != checksum:
        raise SnapshotError("the snapshot file is damaged: its header is")
    if length > _LENGTHS.size + sum(_PARTS_MAX) or position != PAGE + size:
        raise SnapshotError("the snapshot file is damaged: its sizes are impossible")
    if os.fstat(fd).st_size != position + length:
        raise SnapshotError("the snapshot file is cut off, or something was added to it")
    trailer = _read_exactly(fd, length, position)
    if _checksum(trailer) != trailer_sum:
        raise SnapshotError("the snapshot file is damaged: what describes it is")
    if verify and _checksum_of_pages(fd, size) != pages_sum:
        raise SnapshotError("the snapshot file is damaged: its pages are")
    description, host, record = _split(trailer)
    try:
        parsed = json.loads(description)
    except (ValueError, RecursionError) as error:
        raise SnapshotError(f"the snapshot file is damaged: {error}") from None
    if not isinstance(parsed, dict):
        raise SnapshotError("the snapshot file is damaged: what describes it is")
    return Parts(size, parsed, host, record)


def _split(trailer: bytes) -> list[bytes]:
    if len(trailer) < _LENGTHS.size:
        raise SnapshotError("the snapshot file is damaged: what describes it is")
    lengths = _LENGTHS.unpack_from(trailer)
    fit = all(length <= most for length, most in zip(lengths, _PARTS_MAX, strict=True))
    if not fit or _LENGTHS.size + sum(lengths) != len(trailer):
        raise SnapshotError("the snapshot file is damaged: its sizes are impossible")
    parts, position = [], _LENGTHS.size
    for length in lengths:
        parts.append(trailer[position : position + length])
        position += length
    return parts


def _check_origin(told: dict[str, Any], component: Component, limits: Limits) -> None:
    if told.get("abi") != abi_fingerprint() or told.get("native") != native_fingerprint():
        raise SnapshotError("the snapshot was made by another version of hlwasm: make it again")
    # What is told may be of any length and depth.
    if told.get("key") != component.artifact.key:
        name = short(told.get("component"))
        raise SnapshotError(
            f"the snapshot is of another component ({name}), or of another "
            f"build of {component.name}: make it again"
        )
    saved, given = told.get("limits"), limits.as_dict()
    if saved != given:
        saved = saved if isinstance(saved, dict) else {}
        differing = [name for name in given if saved.get(name) != given[name]]
        values = ", ".join(f"{name}={short(saved.get(name))}" for name in differing)
        raise SnapshotError(f"the snapshot was taken under other limits: pass Limits({values})")


def _checksum(data: bytes) -> bytes:
    digest = new_blake2b()
    digest.update(data)
    return digest.digest()


def _checksum_of_pages(fd: int, size: int) -> bytes:
    digest = new_blake2b()
    for position in range(0, size, _CHUNK):
        digest.update(os.pread(fd, min(_CHUNK, size - position), PAGE + position))
    return digest.digest()


def _write(fd: int, data: bytes, position: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, position)
        view, position = view[written:], position + written


def _read_exactly(fd: int, size: int, position: int) -> bytes:
    parts = []
    while size:
        part = os.pread(fd, size, position)
        if not part:
            raise SnapshotError("the snapshot file is cut off")
        parts.append(part)
        size, position = size - len(part), position + len(part)
    return b"".join(parts)


def _remove_abandoned(directory: Path, prefix: str) -> None:
    """What a process left that was killed while it saved this snapshot."""
    with contextlib.suppress(OSError):
        # No pattern: the name may hold what has a meaning in one.
        for left in [each for each in directory.iterdir() if each.name.startswith(prefix)]:
            # Another process may be just as quick to remove it.
            with contextlib.suppress(OSError):
                if time.time() - left.lstat().st_mtime > _ABANDONED_SECONDS:
                    left.unlink()


def _sync_directory(directory: Path) -> None:
    with contextlib.suppress(OSError):
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
