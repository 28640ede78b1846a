"""What generated code calls for values that one expression cannot convert.

Each function knows the usual Python types only and raises :class:`Unusual` (or any
other exception) for the rest, which sends the whole call to the plain codec. None
consumes an iterator, so that the plain codec sees the same values again.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from enum import Flag
from functools import lru_cache
from typing import Any

from hlwasm.codec.buffers import NUMBER_FORMAT, matching_buffer

Buffer = bytes | memoryview

#: Strings of more characters are copied by :func:`copy_text`; below, encoding is faster.
LONG_TEXT = 1 << 17
# Characters that are encoded at a time: the pieces stay in the CPU's cache.
_PIECE = 1 << 14

_INTS: frozenset[type] = frozenset([int])
_BOOLS: frozenset[type] = frozenset([bool])
_ONE = frozenset([1])


@lru_cache(maxsize=1)
def _text_address() -> Callable[[str, None], int]:
    """A function from a string to the address of its UTF-8: for ASCII, of its own bytes."""
    import ctypes

    # Every CPython has it.
    prototype = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
    return prototype(("PyUnicode_AsUTF8AndSize", ctypes.pythonapi))


class Unusual(Exception):
    """The fast path does not know this value; the plain codec decides about it."""


def copy_text(memory: memoryview, offset: int, text: str) -> int:
    """Writes a long string as UTF-8, without a temporary object of its size; returns the
    number of bytes.
    """
    if not text.isascii():
        # The C function would keep the UTF-8 inside the string for as long as it lives.
        end = offset
        for start in range(0, len(text), _PIECE):
            data = text[start : start + _PIECE].encode()
            at, end = end, end + len(data)
            memory[at:end] = data
        return end - offset
    size = len(text)
    if offset + size > len(memory):
        raise Unusual
    # Only here: most calls carry no such string, and it takes long to import.
    import ctypes

    target = ctypes.addressof(ctypes.c_char.from_buffer(memory, offset))
    ctypes.memmove(target, _text_address()(text, None), size)
    return size


def byte_data(value: Any) -> Buffer:
    """A ``list<u8>`` as a byte buffer; ``bytes`` itself is handled inline."""
    if type(value) is list or type(value) is tuple:
        _only(_INTS, value)
        return bytes(value)
    return _buffer("u8", value)


def number_data(element: str) -> Callable[[Any], Buffer]:
    """A function that packs a list of this number type, or passes a buffer of it on."""
    code = NUMBER_FORMAT[element]
    usual, others = (float, int) if element[0] == "f" else (int, None)
    # Native packing is faster, but turns what is too large for f32 into infinity.
    order = "<" if element == "f32" else "@"

    def packed(values: Sequence[Any]) -> bytes:
        count = len(values)
        kinds = list(map(type, values))
        found = kinds.count(usual)
        if found != count and (others is None or found + kinds.count(others) != count):
            raise Unusual
        # Faster than array.array, even with the tuple of arguments.
        return struct.pack(f"{order}{count}{code}", *values)

    def data(value: Any) -> Buffer:
        if type(value) is list or type(value) is tuple:
            return packed(value)
        found = matching_buffer(element, value)
        # A buffer of other numbers is checked one by one.
        return packed(memoryview(value).tolist()) if found is None else found

    return data


def bool_data(value: Any) -> Buffer:
    """A ``list<bool>``."""
    if type(value) is list or type(value) is tuple:
        _only(_BOOLS, value)
        return bytes(value)
    return _buffer("bool", value)


def _buffer(element: str, value: Any) -> memoryview:
    found = matching_buffer(element, value)
    if found is None:
        raise Unusual
    return found


def char_data(value: Any) -> Buffer:
    """A ``list<char>``."""
    if (type(value) is list or type(value) is tuple) and set(map(len, value)) <= _ONE:
        return "".join(value).encode("utf-32-le")
    raise Unusual


def flag_bits(value: Any, bits: Mapping[str, int]) -> int:
    """Flags from an int or a collection of WIT names; ``enum.Flag`` is handled inline."""
    kind = type(value)
    if kind is int:
        return int(value)
    if kind is set or kind is frozenset or kind is list or kind is tuple:
        total = 0
        for name in value:
            total |= name._value_ if isinstance(name, Flag) else bits[name]
        return total
    raise Unusual


def _only(allowed: frozenset[type], values: Sequence[Any]) -> None:
    if not allowed.issuperset(map(type, values)):
        raise Unusual
