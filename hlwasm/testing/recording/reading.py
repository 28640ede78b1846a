"""Reading the file of a recording; see :mod:`hlwasm.testing.recording.events`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from hlwasm.errors import RecordingError
from hlwasm.testing.recording.events import (
    Event,
    located,
    parse_event,
    parse_header,
    parse_object,
)

# The word that the last line begins with, and within how many bytes of it.
_END, _BEGINNING = b'"end"', 16


class Recording:
    """A recording, read event by event: of a long one no more than a line is in memory.

    Attributes:
        path: of the file.
        header: its first line.
        line: number of the line that the next event is on.
    """

    def __init__(
        self, path: str | os.PathLike[str], file: BinaryIO, header: Mapping[str, Any], end: int
    ) -> None:
        self.path = str(path)
        self.header = header
        self.line = 2
        self._file = file
        self._end = end
        self._event: Event | None = None

    @property
    def event(self) -> Event | None:
        """The next event, None at the end.

        Raises:
            RecordingError: the line is damaged.
        """
        if self._event is None and self.line < self._end:
            try:
                self._event = parse_event(self._file.readline(), self.path, self.line)
            except RecordingError as error:
                self.close()
                raise located(self.path, error) from None
        return self._event

    def advance(self) -> None:
        """Goes on to the event behind this one."""
        self.line += 1
        self._event = None

    def close(self) -> None:
        """Nothing is read any more: this is the end."""
        self._event = None
        self._end = 0


@contextmanager
def open_recording(path: str | os.PathLike[str], max_bytes: int) -> Iterator[Recording]:
    """A recording, which may be anybody's.

    Raises:
        OSError: it cannot be read.
        RecordingError: it is no recording, is cut off, or too large. Whether a line is damaged
            is seen when it is read.
    """
    with Path(path).open("rb") as opened:
        # A pipe is read once.
        file: BinaryIO = opened if opened.seekable() else BytesIO(opened.read(max_bytes + 1))
        try:
            header, end = _look_through(_lines(file, max_bytes))
        except RecordingError as error:
            raise located(path, error) from None
        file.seek(0)
        file.readline()
        recording = Recording(path, file, header, end)
        try:
            yield recording
        finally:
            recording.close()


def _lines(file: BinaryIO, max_bytes: int) -> Iterator[bytes]:
    left = max_bytes
    while line := file.readline(max(left, 0) + 1):
        left -= len(line)
        if left < 0:
            raise RecordingError(f"larger than {max_bytes} bytes: pass max_bytes=…")
        yield line


def _look_through(lines: Iterator[bytes]) -> tuple[Mapping[str, Any], int]:
    """The header, and the number of the last line."""
    line = next(lines, b"")
    header = parse_header(line)
    number = 1
    for number, line in enumerate(lines, 2):
        fields = _last_line(line, number) if _END in line[:_BEGINNING] else None
        if fields is not None:
            if fields != {"end": number - 1} or any(rest.strip() for rest in lines):
                raise RecordingError("the last line does not fit the others", number)
            return header, number
    if line.endswith(b"\n"):
        raise RecordingError("the recording has no last line: it was cut off", number + 1)
    raise RecordingError("the recording was cut off in this line", number)


def _last_line(line: bytes, number: int) -> Mapping[str, Any] | None:
    """What the last line says, None of any other line."""
    try:
        fields = parse_object(line, number)
    except RecordingError:
        return None  # cut off, or refused when it is read
    return fields if "end" in fields else None
