"""WAVE, the text form of component values: ``{name: "x", tags: [a, b]}``, ``some(1)``.

:func:`parse_value` and :func:`format_value` are each other's inverse; :func:`parse_call`
reads a whole call such as ``ops.add(2, 3)``.
"""

from hlwasm.wit.wave.calls import Call, parse_call
from hlwasm.wit.wave.lexer import WaveError
from hlwasm.wit.wave.parser import parse_value
from hlwasm.wit.wave.writer import format_value

__all__ = ["Call", "WaveError", "format_value", "parse_call", "parse_value"]
