"""The file of a recording: JSON lines, values as WAVE text.

::

    {"hlwasm": "recording", "format": 2, "component": "calculator.wasm", "sha256": "b176…"}
    {"call": "demo:calculator/ops@1.0.0#total", "args": ["[5]"]}
    {"host": "log", "args": ["\\"0 + 5 = 5\\""], "returns": "()"}
    {"returns": "5"}
    {"end": 4}

``call`` and the next ``returns`` or ``raises`` on a line of its own are one guest call; what lies
between them happened meanwhile. What lies before the first happened while the component was
instantiated. ``drop`` is a call too: of the destructor of a resource of the component's.
``dropped`` says that the component dropped a resource of the host's. The last line counts the
others.

Resources are numbered in the order in which they came up: ``page-1``. Bytes that are UTF-8 are
written as text, others as ``base64("…")`` where there are many; so are, since format 2, more than
a thousand other numbers, little-endian. Where WAVE cannot tell two values apart, which are NaN
with different bits, ``exact`` has the bytes of the value.
"""

from __future__ import annotations

import json
import os
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from hlwasm.errors import GuestDataError, RecordingError
from hlwasm.frozen import Frozen
from hlwasm.testing.recording.outcomes import Raised
from hlwasm.testing.values import Values
from hlwasm.text import printable
from hlwasm.whole_files import named
from hlwasm.wit.model import TypeRef
from hlwasm.wit.wave.lexer import WaveError

FORMAT = 2
# Which are read; 1 is the same without lists of numbers in base64.
_FORMATS = (1, 2)
#: Most bytes of a recording, written or read, where nothing else is said.
MAX_BYTES = 256 << 20

# The word, by a pattern that begins with letters, which are found fastest.
_NAN = re.compile(r"nan(?<!\wnan)\b")

# What kind of line it is → what else may be there.
_KINDS: dict[str, set[str]] = {
    "call": {"args", "exact"},
    "host": {"args", "exact", "returns", "raises"},
    "drop": set(),
    "dropped": set(),
    "returns": {"exact"},
    "raises": set(),
    "end": set(),
}


class Event(Frozen):
    """One line.

    Attributes:
        path: of the file.
        line: its number in the file, from 1.
        kind: ``call``, ``host``, ``drop``, ``dropped``, or ``done`` for how a call ended.
        name: WIT name of the function, or the resource.
        arguments: texts of a call's arguments.
        returns: text of what it returned, None where it raised.
        raises: what it raised.
        exact: bytes of values, by position or for ``returns``, where the text is not enough.
    """

    path: str
    line: int
    kind: str
    name: str = ""
    arguments: tuple[str, ...] = ()
    returns: str | None = None
    raises: Raised | None = None
    exact: Mapping[str, bytes] = {}

    def argument(self, values: Values, index: int, ref: TypeRef) -> bytes:
        """The bytes of an argument.

        Raises:
            RecordingError: it is no value of the type.
        """
        return self._data(values, str(index), self.arguments[index], ref)

    def result(self, values: Values, ref: TypeRef | None) -> bytes | None:
        """The bytes of the result, None where the function has none.

        Raises:
            RecordingError: it is no value of the type.
        """
        text = self.returns or ""
        if ref is not None:
            return self._data(values, "returns", text, ref)
        if text != "()":
            raise self.wrong(f"the function has no result, and {text[:80]} is one")
        return None

    def _data(self, values: Values, key: str, text: str, ref: TypeRef) -> bytes:
        try:
            exact = self.exact.get(key)
            if exact is None:
                return values.parse(ref, text)
            # The same but for NaN. Other versions may have written it in another way.
            if values.text(ref, exact) == values.text(ref, values.parse(ref, text)):
                return exact
        except (WaveError, GuestDataError) as error:
            raise self.wrong(f"{self.name} {key}: {error}") from None
        raise self.wrong(f"{self.name} {key}: the text and the exact bytes differ")

    def wrong(self, problem: str) -> RecordingError:
        """The exception for a line that cannot be."""
        return _located(self.path, RecordingError(problem, self.line))


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
    """Writes a recording, which is there when it is whole: with its last line.

    Args:
        path: of the file; an old one is replaced at the end.
        header: what the first line says.
        max_bytes: most bytes of the file.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(
        self, path: str | os.PathLike[str], header: Mapping[str, Any], max_bytes: int
    ) -> None:
        self._path = Path(path)
        # In the same folder, so that it can be moved; by a name of its own, because several may
        # record at once.
        self._unfinished = self._path.with_name(f".{self._path.name}.{os.getpid()}-{id(self):x}")
        with named(self._path):
            # It does not follow a link that somebody has put there.
            self._file = self._unfinished.open("x", encoding="utf-8", newline="\n")
        self._left = max_bytes
        self._lines = 0
        self.write({"hlwasm": "recording", "format": FORMAT, **header})

    def write(self, line: Mapping[str, Any]) -> None:
        """Writes a line.

        Raises:
            RecordingError: the file gets too large.
            OSError: the disk is full, for example.
        """
        text = _escaped(json.dumps(line, ensure_ascii=False)) + "\n"
        # No more than that many bytes, and counting them exactly would encode it twice.
        self._left -= len(text) if text.isascii() else len(text.encode())
        if self._left < 0:
            raise RecordingError(f"{self._path}: the recording gets too large: pass max_bytes=…")
        self._file.write(text)
        self._lines += 1

    def __enter__(self) -> RecordingWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            with self._file:
                if error is None:
                    self.write({"end": self._lines})
            if error is None:
                with named(self._path):
                    self._unfinished.replace(self._path)
        finally:
            self._unfinished.unlink(missing_ok=True)


def _escaped(text: str) -> str:
    """JSON that can be shown on a terminal, and encoded: messages of exceptions may be any text,
    with halves of surrogates where they name files.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def read_recording(
    path: str | os.PathLike[str], max_bytes: int
) -> tuple[Mapping[str, Any], Sequence[Event]]:
    """The header and the events of a file, which may be anybody's.

    Raises:
        OSError: it cannot be read.
        RecordingError: it is no recording, is damaged or cut off, or too large.
    """
    with Path(path).open("rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise RecordingError(f"{path}: larger than {max_bytes} bytes: pass max_bytes=…")
    lines = data.split(b"\n")
    try:
        header = _header(lines[0])
        if header.get("format") not in _FORMATS:
            known = " and ".join(map(str, _FORMATS))
            raise RecordingError(
                f"a recording of format {header.get('format')!r}; this version reads {known}", 1
            )
        return header, _events(lines, str(path))
    except RecordingError as error:
        raise _located(path, error) from None


def _header(line: bytes) -> dict[str, Any]:
    try:
        header = _object(line, 1)
    except RecordingError:
        header = {}
    if header.get("hlwasm") != "recording":
        raise RecordingError("this is no recording of hlwasm", 1)
    return header


def _located(path: str | os.PathLike[str], error: RecordingError) -> RecordingError:
    where = f"{path}, line {error.line}" if error.line else str(path)
    return RecordingError(f"{where}: {printable(str(error))}", error.line)


def _events(lines: Sequence[bytes], path: str) -> Sequence[Event]:
    events: list[Event] = []
    for number, line in enumerate(lines[1:], 2):
        if number == len(lines) and not line:
            raise RecordingError("the recording has no last line: it was cut off", number)
        fields = _object(line, number)
        if "end" in fields:
            if fields != {"end": number - 1} or any(lines[number:]):
                raise RecordingError("the last line does not fit the others", number)
            return events
        events.append(_event(fields, path, number))
    raise RecordingError("the recording has no last line: it was cut off", len(lines))


def _object(line: bytes, number: int) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RecordingError(f"not JSON: {error}", number) from None
    if not isinstance(fields, dict):
        raise RecordingError("not a JSON object", number)
    return fields


def _event(fields: dict[str, Any], path: str, number: int) -> Event:
    kind = next((kind for kind in _KINDS if kind in fields), None)
    if kind is None or not fields.keys() <= {kind, *_KINDS[kind]}:
        raise RecordingError(f"unknown line with {', '.join(fields) or 'nothing'}", number)
    arguments = fields.get("args", [])
    returns = fields.get("returns")
    name = "" if kind in ("returns", "raises") else fields[kind]
    if not (
        isinstance(name, str)
        and isinstance(arguments, list)
        and all(isinstance(each, str) for each in arguments)
        and (returns is None or isinstance(returns, str))
        and (kind != "host" or ("returns" in fields) != ("raises" in fields))
    ):
        raise RecordingError("a field is missing, or not of its type", number)
    return Event(
        path,
        number,
        "done" if kind in ("returns", "raises") else kind,
        name,
        tuple(arguments),
        returns,
        _raised(fields["raises"], number) if "raises" in fields else None,
        _exact(fields.get("exact", {}), number),
    )


def _raised(fields: Any, number: int) -> Raised:
    if isinstance(fields, dict):
        found = [fields.get(name, "") for name in ("type", "code", "message")]
        if all(isinstance(each, str) for each in found):
            return Raised(*found)
    raise RecordingError("raises: not an exception", number)


def _exact(fields: Any, number: int) -> Mapping[str, bytes]:
    try:
        return {key: b64decode(text, validate=True) for key, text in fields.items()}
    except (AttributeError, TypeError, ValueError):
        raise RecordingError("exact: not bytes in base64", number) from None
