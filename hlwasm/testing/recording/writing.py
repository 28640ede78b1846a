"""Writing the file of a recording; see :mod:`hlwasm.testing.recording.events`."""

from __future__ import annotations

import errno
import json
import os
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from hlwasm.errors import RecordingError
from hlwasm.testing.recording.events import FORMAT
from hlwasm.testing.values import Values
from hlwasm.whole_files import named
from hlwasm.wit.model import TypeRef

# The word, by a pattern that begins with letters, which are found fastest.
_NAN = re.compile(r"nan(?<!\wnan)\b")


class Written:
    """Values on their way into a line: texts, and exact bytes where those are not enough."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self.exact: dict[str, str] = {}

    def text(self, key: str, ref: TypeRef, data: bytes) -> str:
        """The text of a value, whose bytes are kept if need be."""
        text = self._values.compact(ref, data)
        if _NAN.search(text) and self._values.parse(ref, text) != data:
            self.exact[key] = b64encode(data).decode()
        return text


class RecordingWriter:
    """Writes the lines of a recording; see :func:`recording_writer`."""

    def __init__(self, path: Path, file: TextIO, max_bytes: int) -> None:
        self._path = path
        self._file = file
        self._left = max_bytes
        self._lines = 0

    def write(self, line: Mapping[str, Any]) -> None:
        """Writes a line, unless the recording has ended: a task may still be in the sandbox then.

        Raises:
            RecordingError: the file gets too large.
            OSError: the disk is full, for example.
        """
        if self._file.closed:
            return
        text = _escaped(json.dumps(line, ensure_ascii=False)) + "\n"
        # No more than that many bytes, and counting them exactly would encode it twice.
        self._left -= len(text) if text.isascii() else len(text.encode())
        if self._left < 0:
            raise RecordingError(f"{self._path}: the recording gets too large: pass max_bytes=…")
        self._file.write(text)
        self._lines += 1

    def end(self) -> None:
        """Writes the last line."""
        self.write({"end": self._lines})


@contextmanager
def recording_writer(
    path: str | os.PathLike[str], header: Mapping[str, Any], max_bytes: int
) -> Iterator[RecordingWriter]:
    """What writes a recording, which is there when it is whole: with its last line.

    Args:
        path: of the file; an old one is replaced at the end.
        header: what the first line says.
        max_bytes: most bytes of the file.

    Raises:
        OSError: the file cannot be made.
        RecordingError: it gets too large.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    # In the same folder, so that it can be moved; by a name of its own, because several may
    # record at once.
    unfinished = target.with_name(f".{target.name}.{os.getpid()}-{id(header):x}")
    with named(target):
        # It does not follow a link that somebody has put there.
        file = unfinished.open("x", encoding="utf-8", newline="\n")
    try:
        with file:
            writer = RecordingWriter(target, file, max_bytes)
            writer.write({"hlwasm": "recording", "format": FORMAT, **header})
            yield writer
            writer.end()
        with named(target):
            unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _escaped(text: str) -> str:
    """JSON that can be shown on a terminal, and encoded: messages of exceptions may be any text,
    with halves of surrogates where they name files.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
