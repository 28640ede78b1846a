"""The artifact file: layout, writing the trailer, reading and checking it.

::

    offset 0             code: wasmtime's ELF. First, so that it is page-aligned in the file
                         and can be mapped as it is
    code_bytes           description: UTF-8 JSON, see component_bridge
    + description_bytes  metadata: UTF-8 JSON, the fields of Metadata
    + metadata_bytes     footer: the struct below

The footer comes last because the code's size is known last. Its final twelve bytes
(version, magic) stay where they are in every later version, so that any version can
be told. The checksums find damage, not forgery: a forger would write a new checksum,
and what he gains is no more than what a hostile component has, a run inside the guest.
"""

from __future__ import annotations

import json
import os
import struct
import zlib

from hlwasm.artifact.files import write_at
from hlwasm.errors import ArtifactError
from hlwasm.frozen import Frozen
from hlwasm.native import _abi

FORMAT_VERSION = 1
MAGIC = b"\x00hlwasm\n"
ELF_MAGIC = b"\x7fELF"

# code, description and metadata bytes; CRC-32 of code, of description + metadata, and of
# the footer up to here; version, magic.
_FOOTER = struct.Struct("<QQQIIII8s")
FOOTER_BYTES = _FOOTER.size
_CHECKED_BYTES = FOOTER_BYTES - 16
_TAIL = struct.Struct("<I8s")

_DESCRIPTION_LIMIT = 64 << 20
_METADATA_LIMIT = 1 << 16
_CHUNK = 1 << 20


class Metadata(Frozen):
    """What an artifact was made from and by.

    Attributes:
        key: cache key; names the input, the options and the versions.
        source_sha256: of the input, in hex.
        source_bytes: size of the input.
        fuel, transfer_bytes: see :class:`CompileOptions`.
        wasmtime: version of the compiler.
        native: version of native_vmm, which holds the bridge generator.
        abi: fingerprint of the contract between host and guest.
        cpu: CPU features that the code uses, separated by spaces.
    """

    key: str
    source_sha256: str
    source_bytes: int
    fuel: bool
    transfer_bytes: int
    wasmtime: str
    native: str
    abi: str
    cpu: str


class Sections(Frozen):
    """Where things are in an artifact file, and what they say.

    Attributes:
        code_bytes: length of the code, which starts the file.
        code_crc32: checksum of the code.
        description: JSON text.
        metadata: see :class:`Metadata`.
    """

    code_bytes: int
    code_crc32: int
    description: str
    metadata: Metadata


def crc32_of(fd: int, length: int, offset: int = 0) -> int:
    """CRC-32 of part of a file, through one small buffer."""
    buffer = bytearray(min(_CHUNK, length))
    view = memoryview(buffer)
    checksum, end = 0, offset + length
    while offset < end:
        read = os.preadv(fd, [view[: min(_CHUNK, end - offset)]], offset)
        if read == 0:
            raise ArtifactError("the artifact is damaged: it ends too early")
        checksum = zlib.crc32(view[:read], checksum)
        offset += read
    return checksum


def write_trailer(fd: int, code_bytes: int, description: str, metadata: Metadata) -> Sections:
    """Appends description, metadata and footer to a file that holds the code.

    Raises:
        ArtifactError: the file does not start with code, or something is too large.
        OSError: writing failed.
    """
    if os.pread(fd, len(ELF_MAGIC), 0) != ELF_MAGIC:
        raise ArtifactError("the compiler's output is not an ELF file")
    if code_bytes > _abi.ARTIFACT_MAX_BYTES:
        raise ArtifactError(
            f"the compiled code has {code_bytes} bytes, and the limit is {_abi.ARTIFACT_MAX_BYTES}"
        )
    text = description.encode()
    if len(text) > _DESCRIPTION_LIMIT:
        raise ArtifactError(f"the world's description has {len(text)} bytes: too large")
    encoded = json.dumps(metadata.as_dict(), separators=(",", ":")).encode()
    code_crc32 = crc32_of(fd, code_bytes)
    trailer_crc32 = zlib.crc32(encoded, zlib.crc32(text))
    checked = _FOOTER.pack(
        code_bytes, len(text), len(encoded), code_crc32, trailer_crc32, 0, 0, b""
    )[:_CHECKED_BYTES]
    footer = checked + struct.pack("<I", zlib.crc32(checked)) + _TAIL.pack(FORMAT_VERSION, MAGIC)
    os.ftruncate(fd, write_at(fd, text + encoded + footer, code_bytes))
    return Sections(code_bytes, code_crc32, description, metadata)


def is_artifact(fd: int) -> bool:
    """Whether a file ends as an artifact of any version does."""
    size = os.fstat(fd).st_size
    return size >= FOOTER_BYTES and os.pread(fd, len(MAGIC), size - len(MAGIC)) == MAGIC


def read_sections(fd: int) -> Sections:
    """Reads and checks all but the code, in two small reads.

    Raises:
        ArtifactError: damaged, or made by another version.
    """
    size = os.fstat(fd).st_size
    footer = os.pread(fd, FOOTER_BYTES, max(0, size - FOOTER_BYTES))
    if len(footer) < FOOTER_BYTES or footer[-len(MAGIC) :] != MAGIC:
        raise ArtifactError("not an hlwasm artifact, or cut off at its end")
    version, _ = _TAIL.unpack(footer[-_TAIL.size :])
    if version != FORMAT_VERSION:
        raise ArtifactError(
            f"the artifact has format {version}, and this hlwasm reads format {FORMAT_VERSION}: "
            "compile it again"
        )
    code_bytes, description_bytes, metadata_bytes, code_crc32, trailer_crc32, footer_crc32, _, _ = (
        _FOOTER.unpack(footer)
    )
    if zlib.crc32(footer[:_CHECKED_BYTES]) != footer_crc32:
        raise ArtifactError("the artifact is damaged: its footer does not match its checksum")
    if (
        code_bytes > _abi.ARTIFACT_MAX_BYTES
        or description_bytes > _DESCRIPTION_LIMIT
        or metadata_bytes > _METADATA_LIMIT
        or code_bytes + description_bytes + metadata_bytes + FOOTER_BYTES != size
    ):
        raise ArtifactError("the artifact is damaged: its sizes do not add up")
    trailer = os.pread(fd, description_bytes + metadata_bytes, code_bytes)
    if zlib.crc32(trailer) != trailer_crc32:
        raise ArtifactError("the artifact is damaged: its description does not match its checksum")
    try:
        description = trailer[:description_bytes].decode()
        metadata = _metadata(trailer[description_bytes:])
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise ArtifactError("the artifact is damaged: its metadata cannot be read") from error
    return Sections(code_bytes, code_crc32, description, metadata)


def _metadata(text: bytes) -> Metadata:
    values = json.loads(text)
    types = {"str": str, "int": int, "bool": bool}
    # Annotations are strings here.
    for name, annotation in Metadata.__annotations__.items():
        if type(values[name]) is not types[annotation]:
            raise TypeError(name)
    return Metadata(**values)


def verify_code(fd: int, sections: Sections) -> None:
    """Reads the whole code and compares its checksum: about 0.2 ms per MiB.

    Raises:
        ArtifactError: damaged.
    """
    if crc32_of(fd, sections.code_bytes) != sections.code_crc32:
        raise ArtifactError("the artifact is damaged: its code does not match its checksum")
