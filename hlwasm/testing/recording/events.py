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
``dropped`` says that the component dropped a resource of the host's, and what closing it raised, if
it did. The last line counts the others.

Resources are numbered in the order in which they came up: ``page-1``. Bytes that are UTF-8 are
written as text, others as ``base64("…")`` where there are many; so are, since format 2, more than
a thousand other numbers, little-endian. Where WAVE cannot tell two values apart, which are NaN
with different bits, ``exact`` has the bytes of the value.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from hlwasm.errors import GuestDataError, RecordingError
from hlwasm.frozen import Frozen
from hlwasm.testing.recording.outcomes import Raised
from hlwasm.testing.values import Values
from hlwasm.text import printable
from hlwasm.wit.model import Function, TypeRef
from hlwasm.wit.wave.lexer import WaveError

FORMAT = 2
# Which are read; 1 is the same without lists of numbers in base64.
_FORMATS = (1, 2)
#: Most bytes of a recording, written or read, where nothing else is said.
MAX_BYTES = 256 << 20

# What kind of line it is → what else may be there.
_KINDS: dict[str, set[str]] = {
    "call": {"args", "exact"},
    "host": {"args", "exact", "returns", "raises"},
    "drop": set(),
    "dropped": {"raises"},
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
        raises: what it raised, or closing the resource did.
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
        return located(self.path, RecordingError(problem, self.line))


def located(path: str | os.PathLike[str], error: RecordingError) -> RecordingError:
    """The same, with the file and the line in its message."""
    where = f"{path}, line {error.line}" if error.line else str(path)
    return RecordingError(f"{where}: {printable(str(error))}", error.line)


def parse_header(line: bytes) -> dict[str, Any]:
    """The first line.

    Raises:
        RecordingError: it is none, or of a format that is not known here.
    """
    try:
        header = parse_object(line, 1)
    except RecordingError:
        header = {}
    if header.get("hlwasm") != "recording":
        raise RecordingError("this is no recording of hlwasm", 1)
    found = header.get("format")
    # True is 1, too.
    if type(found) is not int or found not in _FORMATS:
        known = " and ".join(map(str, _FORMATS))
        raise RecordingError(f"a recording of format {found!r}; this version reads {known}", 1)
    return header


def parse_event(line: bytes, path: str, number: int) -> Event:
    """Any line between the first and the last.

    Raises:
        RecordingError: it is none.
    """
    fields = parse_object(line, number)
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
    exact = _exact(fields.get("exact", {}), number)
    known = {*map(str, range(len(arguments))), *(["returns"] if returns is not None else [])}
    if not exact.keys() <= known:
        raise RecordingError(f"exact: there is no value {min(exact.keys() - known)}", number)
    return Event(
        path,
        number,
        "done" if kind in ("returns", "raises") else kind,
        name,
        tuple(arguments),
        returns,
        _raised(fields["raises"], number) if "raises" in fields else None,
        exact,
    )


def parse_object(line: bytes, number: int) -> dict[str, Any]:
    """The JSON object on a line.

    Raises:
        RecordingError: there is none.
    """
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RecordingError(f"not JSON: {error}", number) from None
    if not isinstance(fields, dict):
        raise RecordingError("not a JSON object", number)
    return fields


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


def full_name(function: Function) -> str:
    """``demo:calculator/ops@1.0.0#total``, or the bare name of a function of the world."""
    return f"{function.interface}#{function.name}" if function.interface else function.name
