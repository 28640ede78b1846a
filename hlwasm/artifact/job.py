"""One compile: from the input's bytes to an artifact, in the cache or in memory."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from typing import TYPE_CHECKING

from hlwasm.artifact.artifact import Artifact
from hlwasm.artifact.compiler import OutputFailed, compile_source
from hlwasm.artifact.file_format import Metadata, write_trailer
from hlwasm.artifact.fingerprint import CPU_FEATURES, abi_fingerprint, cache_key
from hlwasm.artifact.hashing import new_sha256
from hlwasm.artifact.options import Phase, Progress
from hlwasm.errors import ArtifactError, CompileError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hlwasm.artifact.cache import Cache
    from hlwasm.artifact.compiler import Compiled
    from hlwasm.artifact.options import CompileLimits, CompileOptions, ProgressCallback


class Job:
    """One compile.

    Args:
        source: the input's contents.
        options: what changes the artifact.
        limits: what the compiler may use.
        progress: called meanwhile.
        began: when the user asked for it, by the monotonic clock.

    Attributes:
        sha256: hash of the input, in hex.
        key: the artifact's.
    """

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
        self.sha256 = new_sha256(source).hexdigest()
        self.key = cache_key(self.sha256, options)

    def report(self, phase: Phase) -> None:
        """Passes a phase on to ``progress``."""
        if self.progress is not None:
            elapsed = time.monotonic() - self.began
            self.progress(Progress(phase, elapsed, len(self.source)))

    def describe(self) -> str:
        """The JSON text of the world; nothing is compiled."""
        fd = os.memfd_create("hlwasm-description", os.MFD_CLOEXEC)
        try:
            return self._run_worker(fd, "memory", only_describe=True).description
        finally:
            os.close(fd)

    def compile_to_cache(self, cache: Cache) -> Artifact:
        """Compiles, unless another process did meanwhile, into the cache."""
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
        """Compiles into a file that has no name."""
        fd = os.memfd_create("hlwasm-artifact", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            self._compile(fd, "memory")
            _seal(fd)
            return Artifact.from_fd(fd, None, cached=False)
        except BaseException:
            os.close(fd)
            raise

    def _run_worker(self, fd: int, where: str, *, only_describe: bool = False) -> Compiled:
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
