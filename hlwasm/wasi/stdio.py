"""What standard input leads to, and where standard output and error go."""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Callable, Iterable
from typing import cast

from hlwasm.wasi.config import BinaryReader, BinaryWriter, Input, LogLines, Output
from hlwasm.wasi.polling import (
    READABLE,
    WRITABLE,
    DescriptorPollable,
    Interest,
    Pollable,
    Waiter,
    descriptor_ready,
)
from hlwasm.wasi.streams import WRITE_PERMIT, InputStream, OutputStream

# A line of the guest that is longer becomes several log records.
LINE_LIMIT = 16 * 1024

# What could act on a terminal or forge a line in a log file: everything that is a control
# character, or that some programs take for the end of a line. A tab is harmless.
_UNSAFE = "[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]"


def open_input(value: Input, waiter: Waiter) -> InputStream:
    """The stream for a grant of :class:`~hlwasm.wasi.Wasi`."""
    if value is None:
        return InputStream()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return BytesInput(bytes(value))
    descriptor = _pollable_descriptor(value)
    if descriptor is None:
        return FileInput(value)
    return DescriptorInput(value, descriptor, waiter)


def open_output(value: Output, waiter: Waiter, permit: int = WRITE_PERMIT) -> OutputStream:
    """The stream for a grant of :class:`~hlwasm.wasi.Wasi`; ``permit`` is for one write."""
    if value is None:
        return OutputStream(permit)
    if isinstance(value, LogLines):
        return LogOutput(value, permit)
    if callable(getattr(value, "write", None)):
        return FileOutput(cast("BinaryWriter", value), waiter, permit)
    return CallableOutput(cast("Callable[[bytes], object]", value), permit)


def is_captured(value: Output) -> bool:
    """Whether output takes memory of this process, or ends in a log.

    All does but what is discarded and what goes to a file of the operating system.
    """
    if value is None:
        return False
    try:
        value.fileno()  # type: ignore[union-attr]
    except (AttributeError, OSError, ValueError, TypeError):
        return True
    return False


def is_terminal(value: object) -> bool:
    """Whether a grant is a file that is a terminal."""
    isatty = getattr(value, "isatty", None)
    try:
        return callable(isatty) and bool(isatty())
    except (OSError, ValueError):
        return False  # a closed file


def _pollable_descriptor(file: object) -> int | None:
    """The descriptor that tells whether ``file`` would block; None where none does.

    Other files may have a descriptor too, but one of something else: the descriptor of a
    ``GzipFile`` is that of the compressed file.
    """
    if not isinstance(file, (io.BufferedReader, io.BufferedRandom, io.FileIO)):
        return None
    try:
        return file.fileno()
    except (OSError, ValueError):
        return None


class BytesInput(InputStream):
    """Reads bytes that are all there.

    Attributes:
        data: all of them.
        position: how many the guest has read.
    """

    __slots__ = ("data", "position")

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data
        self.position = 0

    def _receive(self, length: int) -> bytes:
        start = self.position
        data = self.data[start : start + length]
        self.position = start + len(data)
        self.activity.changed = True
        return data


class FileInput(InputStream):
    """Reads a file of which nobody can say whether it would block: it counts as ready."""

    __slots__ = ("_file", "_read")

    def __init__(self, file: BinaryReader) -> None:
        super().__init__()
        self._file = file
        # read1 does not wait for more than there is.
        read1: Callable[[int], bytes | None] | None = getattr(file, "read1", None)
        self._read = read1 or file.read

    def _receive(self, length: int) -> bytes | None:
        return _checked_read(self._file, self._read, length)


class DescriptorInput(InputStream):
    """Reads a pipe, terminal, socket or file of the operating system.

    ``poll`` tells whether bytes are there, except for those that already lie in the
    buffer of the Python file, put there when somebody read from it before.
    """

    __slots__ = ("_descriptor", "_file", "_maybe_buffered", "_read", "_waiter")

    def __init__(self, file: object, descriptor: int, waiter: Waiter) -> None:
        super().__init__()
        self._file = file
        self._descriptor = descriptor
        self._waiter = waiter
        if isinstance(file, (io.BufferedReader, io.BufferedRandom)):
            self._read: Callable[[int], bytes | None] = file.read1
            self._maybe_buffered = True
        else:
            assert isinstance(file, io.FileIO)
            self._read = file.read
            self._maybe_buffered = False

    def subscribe(self) -> Pollable:
        return DescriptorPollable(self._waiter, self._ready, self._descriptor, READABLE, self)

    def _ready(self) -> bool:
        if self._closed or descriptor_ready(self._descriptor, READABLE):
            return True
        if self._maybe_buffered:
            # Once the buffer was found empty, read1 leaves nothing in it.
            self._maybe_buffered = self._has_buffered()
        return self._maybe_buffered

    def _has_buffered(self) -> bool:
        # peek answers with what is buffered, and reads only if that is nothing; it must
        # not block then. Nobody else sees the mode change unless it reads this very moment.
        assert isinstance(self._file, (io.BufferedReader, io.BufferedRandom))
        blocking = os.get_blocking(self._descriptor)
        os.set_blocking(self._descriptor, False)
        try:
            return bool(self._file.peek(1))
        finally:
            os.set_blocking(self._descriptor, blocking)

    def _receive(self, length: int) -> bytes | None:
        if not self._ready():
            return None
        return _checked_read(self._file, self._read, length)


def _checked_read(file: object, read: Callable[[int], bytes | None], length: int) -> bytes | None:
    try:
        data = read(length)
    except BlockingIOError:
        return None
    except ValueError as error:
        raise _closed_file(file, error) from error
    if data is not None and len(data) > length:
        raise ValueError(f"stdin: read({length}) returned {len(data)} bytes")
    return data


def _closed_file(file: object, error: ValueError) -> Exception:
    """ValueError is Python's word for using a closed file; any other one is the file's own."""
    if getattr(file, "closed", False):
        return BrokenPipeError(errno.EPIPE, "the file is closed")
    return error


class FileOutput(OutputStream):
    """Writes to a Python file. Where the file blocks, so does the guest."""

    __slots__ = ("_file", "_waiter")

    def __init__(self, file: BinaryWriter, waiter: Waiter, permit: int = WRITE_PERMIT) -> None:
        super().__init__(permit)
        self._file = file
        self._waiter = waiter

    def _send(self, data: bytes) -> None:
        remaining = data
        while remaining:
            try:
                count = self._file.write(remaining)
            except BlockingIOError as error:
                # A buffered file over a descriptor that somebody made non-blocking.
                count = error.characters_written
            except ValueError as error:
                raise _closed_file(self._file, error) from error
            else:
                # Only raw files write a part, or answer None for nothing at all.
                if not isinstance(self._file, io.RawIOBase):
                    return
                count = count or 0
            assert isinstance(count, int)
            remaining = remaining[count:]
            if remaining and not count:
                self._wait_writable()

    def _drain(self) -> None:
        flush = getattr(self._file, "flush", None)
        while flush is not None:
            try:
                flush()
            except BlockingIOError:
                self._wait_writable()
            except ValueError as error:
                raise _closed_file(self._file, error) from error
            else:
                return

    def _wait_writable(self) -> None:
        descriptor = self._file.fileno()  # type: ignore[attr-defined]
        self._waiter.wait((_Writable(descriptor),))


class _Writable(Pollable):
    """Ready when a descriptor that is in non-blocking mode takes bytes again."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def ready(self) -> bool:
        return descriptor_ready(self._descriptor, WRITABLE)

    def interest(self) -> Interest:
        return Interest(self._descriptor, WRITABLE)


class CallableOutput(OutputStream):
    """Hands each chunk to a callable, whose exceptions reach the caller of the guest."""

    __slots__ = ("_take",)

    def __init__(self, take: Callable[[bytes], object], permit: int = WRITE_PERMIT) -> None:
        super().__init__(permit)
        self._take = take

    def _pass(self, data: bytes) -> None:
        self._take(data)


class LogOutput(OutputStream):
    """Logs each line. A line that is not ended yet waits until it is, or for :meth:`finish`."""

    __slots__ = ("_level", "_logger", "_partial")

    def __init__(self, target: LogLines, permit: int = WRITE_PERMIT) -> None:
        super().__init__(permit)
        # Only here: most programs write to files, and logging takes long to import.
        import logging

        self._logger = logging.getLogger(target.logger)
        self._level = target.level
        self._partial = b""

    def _send(self, data: bytes) -> None:
        if not self._logger.isEnabledFor(self._level):
            return
        # In parts, because a list of empty lines takes more memory than they do.
        for start in range(0, len(data), LINE_LIMIT):
            self._send_part(data[start : start + LINE_LIMIT])

    def _send_part(self, data: bytes) -> None:
        self.activity.changed = True
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._log(_pieces(line.removesuffix(b"\r")))
        if len(self._partial) > LINE_LIMIT:
            *whole, self._partial = _pieces(self._partial)
            self._log(whole)

    def finish(self) -> None:
        """Logs the line that was not ended."""
        if self._partial:
            line, self._partial = self._partial, b""
            self._log((line,))

    # At a snapshot and at a restore, too: see hlwasm.wasi.snapshot.
    settle = abandon = finish

    def _log(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            text = piece.decode("utf-8", "backslashreplace")
            self._logger.log(self._level, "%s", re.sub(_UNSAFE, _escape, text))


def _pieces(line: bytes) -> list[bytes]:
    """Cuts a line that is too long, between characters where it is UTF-8."""
    pieces = []
    start = 0
    while len(line) - start > LINE_LIMIT:
        end = start + LINE_LIMIT
        # A character has at most three continuation bytes.
        for cut in range(end, end - 4, -1):
            if line[cut] & 0xC0 != 0x80:
                end = cut
                break
        pieces.append(line[start:end])
        start = end
    pieces.append(line[start:])
    return pieces


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
