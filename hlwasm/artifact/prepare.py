"""From input to artifact: look at it, look it up, compile it, keep it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from hlwasm.artifact.artifact import Artifact
from hlwasm.artifact.fingerprint import cache_key
from hlwasm.artifact.options import CompileLimits, CompileOptions
from hlwasm.artifact.source import INDEXED_BYTES, Source
from hlwasm.frozen import Frozen

if TYPE_CHECKING:
    from hlwasm.artifact.cache import Cache
    from hlwasm.artifact.file_format import Metadata
    from hlwasm.artifact.options import ProgressCallback

DEFAULT_OPTIONS = CompileOptions()
DEFAULT_LIMITS = CompileLimits()


def prepare(
    source: bytes | str | os.PathLike[str],
    *,
    options: CompileOptions = DEFAULT_OPTIONS,
    cache: Cache | None = None,
    progress: ProgressCallback | None = None,
    limits: CompileLimits = DEFAULT_LIMITS,
) -> Artifact:
    """Makes or finds the artifact of a component, core module or WAT text.

    An input that is an artifact already is checked and taken as it is: options do not
    apply to it. From a path only as much is read as is needed.

    Args:
        source: contents, or the path of a file.
        options: what changes the artifact.
        cache: where to look and to keep; None compiles into memory.
        progress: called during a compile, from this thread; an exception that it raises
            ends the compile.
        limits: what the compiler may use.

    Raises:
        OSError: the file cannot be opened or read.
        InvalidWasm: the input is not WebAssembly, or malformed.
        UnsupportedItem: it uses something that hlwasm does not run.
        CompileError: the compiler crashed or reached a limit, or there is no room for
            the artifact.
        ArtifactError: it is an artifact, but damaged or of another version.
    """
    began = time.monotonic()
    with Source(source) as opened:
        if opened.is_artifact():
            return _take(opened)
        opened.check_kind()
        if cache is not None:
            found = cache.find(cache_key(_sha256_of(opened, cache), options))
            if found is not None:
                return found
        # Only here: a start with a cached artifact imports nothing of the compiler.
        from hlwasm.artifact.job import Job

        # Read now, and named by what was read: the file may change meanwhile.
        job = Job(opened.read(), options, limits, progress, began)
    if cache is None or not cache.prepare():
        return job.compile_to_memory()
    return job.compile_to_cache(cache)


def _sha256_of(source: Source, cache: Cache) -> str:
    """The input's hash, from the cache's index where the file was read before."""
    if source.status is None or source.size < INDEXED_BYTES:
        return source.sha256()
    index = cache.sources()
    found = index.find(source.status)
    if found is None:
        found = source.sha256()
        if source.is_unchanged():
            index.add(source.status, found)
    return found


class Outline(Frozen):
    """What can be known of an input without running it.

    Attributes:
        description: JSON text of the world, see component_bridge.
        source_bytes: size of the input, of which an artifact remembers its own input's.
        source_sha256: hash of the input, in hex.
        code_bytes: size of the compiled code, None where it was not compiled yet.
        metadata: of the artifact, None where there is none yet.
        is_artifact: the input itself is an artifact.
    """

    description: str
    source_bytes: int
    source_sha256: str
    code_bytes: int | None
    metadata: Metadata | None
    is_artifact: bool


def describe(
    source: bytes | str | os.PathLike[str],
    *,
    options: CompileOptions = DEFAULT_OPTIONS,
    cache: Cache | None = None,
    limits: CompileLimits = DEFAULT_LIMITS,
) -> Outline:
    """Describes an input; compiles nothing.

    Arguments and exceptions are those of :func:`prepare`.
    """
    with Source(source) as opened:
        if opened.is_artifact():
            with _take(opened) as artifact:
                return _outline_of(artifact, is_artifact=True)
        opened.check_kind()
        found = cache.find(cache_key(opened.sha256(), options)) if cache is not None else None
        if found is not None:
            with found:
                return _outline_of(found, is_artifact=False)
        from hlwasm.artifact.job import Job

        source_bytes = opened.read()
    job = Job(source_bytes, options, limits, None, time.monotonic())
    return Outline(job.describe(), len(source_bytes), job.sha256, None, None, is_artifact=False)


def _outline_of(artifact: Artifact, *, is_artifact: bool) -> Outline:
    return Outline(
        artifact.description,
        artifact.metadata.source_bytes,
        artifact.metadata.source_sha256,
        artifact.code_bytes,
        artifact.metadata,
        is_artifact,
    )


def _take(source: Source) -> Artifact:
    fd = source.duplicate()
    try:
        artifact = Artifact.from_fd(fd, source.path, cached=True)
    except BaseException:
        os.close(fd)
        raise
    # It came from anywhere, by any way: look at the whole of it.
    artifact.verify()
    return artifact
