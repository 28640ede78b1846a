"""Values to WAVE text."""

from __future__ import annotations

import enum
import math
import struct
from typing import Any

from hlwasm.wit.model import (
    Description,
    Enum,
    Flags,
    List,
    Option,
    Record,
    Result,
    Tuple,
    TypeRef,
    Variant,
)
from hlwasm.wit.names import snake_case
from hlwasm.wit.python_types import python_types
from hlwasm.wit.type_text import type_text
from hlwasm.wit.wave.lexer import KEYWORDS

# Of f32; below, numbers are as precise as they are large.
_SMALLEST_NORMAL = 2.0**-126

_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


def format_value(description: Description, ref: TypeRef | None, value: Any) -> str:
    """The text of a value that a codec lifted, or that :func:`parse_value` read.

    ``ref`` is None for the result of a function without one. Resources have no text in
    WAVE; they are shown as ``<name>``, which cannot be read back.
    """
    if ref is None:
        return "()"
    return Writer(description).text(ref, value)


class Writer:
    """Writes values of one description's types."""

    def __init__(self, description: Description) -> None:
        self._description = description
        self._python = python_types(description)

    def text(self, ref: TypeRef, value: Any) -> str:
        """The text of one value."""
        if isinstance(ref, str):
            return _primitive(ref, value)
        type_ = self._description.types[ref]
        if isinstance(type_, Record):
            fields = [
                f"{each.name}: {self.text(each.type, getattr(value, snake_case(each.name)))}"
                for each in type_.fields
            ]
            return "{" + ", ".join(fields) + "}"
        if isinstance(type_, Tuple):
            items = [self.text(*each) for each in zip(type_.types, value, strict=True)]
            return "(" + ", ".join(items) + ")"
        if isinstance(type_, List):
            return "[" + ", ".join([self.text(type_.element, each) for each in value]) + "]"
        if isinstance(type_, Option):
            if value is None:
                return "none"
            payload = value.value if self._python.is_option(type_.some) else value
            return f"some({self.text(type_.some, payload)})"
        if isinstance(type_, Result):
            arm = "err" if isinstance(value, BaseException) else "ok"
            payload_type = type_.err if arm == "err" else type_.ok
            return self._case(arm, payload_type, value)
        if isinstance(type_, Variant):
            types = {case.name: case.type for case in type_.cases}
            return self._case(_label(value.wit_case), types[value.wit_case], value)
        if isinstance(type_, Enum):
            return _label(value.value if isinstance(value, enum.Enum) else value)
        if isinstance(type_, Flags):
            bits = value.value
            names = [each.name for i, each in enumerate(type_.flags) if bits >> i & 1]
            return "{" + ", ".join(names) + "}"
        return f"<{type_text(self._description, ref)}>"

    def _case(self, label: str, payload: TypeRef | None, value: Any) -> str:
        return label if payload is None else f"{label}({self.text(payload, value.value)})"


def _label(name: str) -> str:
    return f"%{name}" if name in KEYWORDS else name


def _primitive(name: str, value: Any) -> str:
    if name == "bool":
        return "true" if value else "false"
    if name == "string":
        return f'"{_escape(value, chr(34))}"'
    if name == "char":
        return f"'{_escape(value, chr(39))}'"
    if name in ("f32", "f64"):
        return _float(name, float(value))
    return str(int(value))


def _escape(text: str, quote: str) -> str:
    if text.isprintable() and quote not in text and "\\" not in text:
        return text
    return "".join([_escape_one(each, quote) for each in text])


def _escape_one(character: str, quote: str) -> str:
    if character == quote:
        return "\\" + quote
    if character in _ESCAPES:
        return _ESCAPES[character]
    return character if character.isprintable() else f"\\u{{{ord(character):x}}}"


def _float(name: str, value: float) -> str:
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if name == "f64":
        return repr(value)
    # The shortest text that reads back as the same 32 bits. Where six digits do, and the value
    # is no subnormal, they end in zeros as soon as fewer do, and `repr` leaves those out.
    wanted = struct.pack("<f", value)
    for digits in range(6 if abs(value) > _SMALLEST_NORMAL else 1, 10):
        text = f"{value:.{digits}g}"
        if _packs_to(float(text), wanted):
            return repr(float(text))
    return repr(value)


def _packs_to(value: float, wanted: bytes) -> bool:
    try:
        return struct.pack("<f", value) == wanted
    except OverflowError:
        return False
