"""From input to artifact: look at it, look it up, compile it, keep it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hlwasm.artifact.artifact import Artifact
from hlwasm.artifact.cache import Cache
from hlwasm.artifact.file_format import Metadata, write_trailer
from hlwasm.artifact.fingerprint import CPU_FEATURES, abi_fingerprint, cache_key
from hlwasm.artifact.options import (
    CompileLimits,
    CompileOptions,
    Phase,
    Progress,
    ProgressCallback,
)
from hlwasm.artifact.source import Source
from hlwasm.errors import ArtifactError, CompileError

if TYPE_CHECKING:
    from hlwasm.artifact.compiler import Compiled

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
            found = cache.find(cache_key(opened.sha256(), options))
            if found is not None:
                return found
        # Read now, and named by what was read: the file may change meanwhile.
        job = _Job(opened.read(), options, limits, progress, began)
    if cache is None or not cache.prepare():
        return job.compile_to_memory()
    return job.compile_to_cache(cache)


@dataclass(frozen=True, slots=True)
class Outline:
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
        job = _Job(opened.read(), options, limits, None, time.monotonic())
    return job.describe()


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


class _Job:
    """One compile."""

    def __init__(
        self,
        source: bytes,
        options: CompileOptions,
        limits: CompileLimits,
        progress: ProgressCallback | None,
        began: float,
    ) -> None:
        self.source = source
        self.options = options
        self.limits = limits
        self.progress = progress
        self.began = began
        self.sha256 = hashlib.sha256(source).hexdigest()
        self.key = cache_key(self.sha256, options)

    def report(self, phase: Phase) -> None:
        if self.progress is not None:
            elapsed = time.monotonic() - self.began
            self.progress(Progress(phase, elapsed, len(self.source)))

    def describe(self) -> Outline:
        fd = os.memfd_create("hlwasm-description", os.MFD_CLOEXEC)
        try:
            compiled = self._run_worker(fd, "memory", only_describe=True)
        finally:
            os.close(fd)
        return Outline(
            compiled.description, len(self.source), self.sha256, None, None, is_artifact=False
        )

    def compile_to_cache(self, cache: Cache) -> Artifact:
        # As long as its holder may take, and a little more.
        seconds = self.limits.seconds + 30
        with cache.lock(self.key, seconds, lambda: self.report(Phase.WAITING)):
            found = cache.find(self.key)
            if found is not None:
                return found
            where = str(cache.root)
            with _storing(where):
                fd, path = cache.create()
            try:
                self._compile(fd, where)
                with _storing(where):
                    return cache.commit(fd, path, self.key)
            finally:
                cache.discard(fd, path)

    def compile_to_memory(self) -> Artifact:
        fd = os.memfd_create("hlwasm-artifact", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            self._compile(fd, "memory")
            _seal(fd)
            return Artifact.from_fd(fd, None, cached=False)
        except BaseException:
            os.close(fd)
            raise

    def _run_worker(self, fd: int, where: str, *, only_describe: bool = False) -> Compiled:
        # Only here: a cold start with a cached artifact imports none of it.
        from hlwasm.artifact.compiler import OutputFailed, compile_source

        try:
            return compile_source(
                self.source,
                fd,
                self.options,
                self.limits,
                self.report,
                only_describe=only_describe,
            )
        except OutputFailed as error:
            raise _cannot_store(error.errno, where) from error

    def _compile(self, fd: int, where: str) -> None:
        compiled = self._run_worker(fd, where)
        self.report(Phase.STORING)
        metadata = Metadata(
            key=self.key,
            source_sha256=self.sha256,
            source_bytes=len(self.source),
            fuel=self.options.fuel,
            transfer_bytes=self.options.transfer_bytes,
            wasmtime=compiled.wasmtime,
            native=compiled.native,
            abi=abi_fingerprint(),
            cpu=" ".join(CPU_FEATURES),
        )
        with _storing(where):
            try:
                write_trailer(fd, compiled.code_bytes, compiled.description, metadata)
            except ArtifactError as error:
                raise CompileError(str(error)) from error


def _seal(fd: int) -> None:
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)


@contextlib.contextmanager
def _storing(where: str) -> Iterator[None]:
    """Around what writes the artifact, and around nothing else."""
    try:
        yield
    except OSError as error:
        raise _cannot_store(error.errno or 0, where) from error


def _cannot_store(code: int, where: str) -> CompileError:
    if code in (errno.ENOSPC, errno.EDQUOT):
        return CompileError(
            f"no space left for the artifact in {where}: free some, run `hlwasm cache clear`, "
            "or set HLWASM_CACHE_DIR to a directory elsewhere"
        )
    return CompileError(f"cannot store the artifact in {where}: {os.strerror(code)}")
