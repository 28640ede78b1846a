"""Bytes that are no values, and some odd ones that are: for guests of several kinds.

Each lie is the record of a tuple ``(T, u64)``, so that it goes through memory, and payload
that lies at a fixed address. All addresses are those of a memory of one page.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from components.kitchen_sink.catalogue import BOOL, CHAR, STRING, U8, U16, U32, U64
from components.kitchen_sink.wit_types import (
    Enum,
    Flags,
    List,
    Option,
    Record,
    Result,
    Tuple,
    Type,
    Variant,
)

#: Where payload lies, and the end of the memory.
PAYLOAD, END = 0x8000, 0x10000


@dataclass(frozen=True)
class Lie:
    """Bytes that a guest passes.

    Attributes:
        name: of the function that passes it, as in WIT.
        type: of the value.
        record: the value's own bytes.
        payload: what lies at ``PAYLOAD``.
        problem: what is wrong, as the host's codec says it; its path first, where the value is
            ``result[0]`` or the like.
        value: what it stands for, where nothing is wrong with it.
    """

    name: str
    type: Type
    record: bytes
    payload: bytes = b""
    problem: str = ""
    value: Any = None

    @property
    def passed(self) -> Tuple:
        """The type that functions pass."""
        return Tuple((self.type, U64))


def words(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


SHADE = Enum("shade", ("light", "dark"))
MANY = Enum("many", tuple(f"e{i}" for i in range(300)))
SHAPE = Variant("shape", (("dot", None), ("letter", CHAR), ("points", List(U32))))
BITS = Flags("bits", ("a", "b", "c"))
ITEM = Record("item", (("id", U32), ("tag", Option(CHAR))))

_SCALAR = "is not a Unicode scalar value"
_BEYOND = "reach beyond the transfer memory"


def _chars() -> list[Lie]:
    named = {"first-surrogate": 0xD800, "last-surrogate": 0xDFFF, "beyond": 0x110000}
    return [
        Lie(f"char-{name}", CHAR, words(code), problem=f": {code:#x} {_SCALAR}")
        for name, code in {**named, "largest": 0xFFFFFFFF}.items()
    ]


def _strings() -> list[Lie]:
    named = {
        "lone-byte": b"ok\xff",
        "overlong": b"\xc0\x80",
        "surrogate": b"\xed\xa0\x80",
        "too-large": b"\xf4\x90\x80\x80",
        "cut-off": b"a\xe2\x82",
    }
    return [
        Lie(f"string-{name}", STRING, words(PAYLOAD, len(data)), data, ": the string is not UTF-8")
        for name, data in named.items()
    ]


def _pointers() -> list[Lie]:
    lists = {"string": STRING, "bytes": List(U8), "numbers": List(U64), "texts": List(STRING)}
    places = {
        "behind": (END, 1),
        "across": (END - 8, 9),
        "too-long": (0, 0x7FFFFFFF),
        "wrapping": (0xFFFFFFF8, 8),
    }
    found = [
        Lie(f"{kind}-{name}", type_, words(*place), problem=f": .* {_BEYOND}")
        for kind, type_ in lists.items()
        for name, place in places.items()
    ]
    # The bytes of so many elements are 0 in 32 bits.
    for kind, count in (("numbers", 0x20000000), ("texts", 0x20000000)):
        lie = words(PAYLOAD, count)
        found.append(Lie(f"{kind}-overflowing", lists[kind], lie, problem=f": .* {_BEYOND}"))
    aligned = {"u16": List(U16), "u32": List(U32), "u64": List(U64), "texts": List(STRING)}
    found += [
        Lie(f"{kind}-misaligned", type_, words(PAYLOAD + 1, 1), bytes(64), ": .* is not aligned")
        for kind, type_ in aligned.items()
    ]
    return found


def _cases() -> list[Lie]:
    unknown = "has no case number"
    return [
        Lie("enum-unknown", SHADE, b"\x02", problem=f": shade {unknown} 2"),
        Lie("enum-largest", SHADE, b"\xff", problem=f": shade {unknown} 255"),
        Lie("wide-enum-unknown", MANY, b"\x2c\x01", problem=f": many {unknown} 300"),
        Lie("wide-enum-largest", MANY, b"\xff\xff", problem=f": many {unknown} 65535"),
        Lie("variant-unknown", SHAPE, words(3, 0, 0), problem=f": shape {unknown} 3"),
        Lie("option-unknown", Option(U8), b"\x02\0", problem=f": option<u8> {unknown} 2"),
        Lie("result-unknown", Result(U8, U8), b"\x02\0", problem=f": result<u8, u8> {unknown} 2"),
        Lie("bare-result-unknown", Result(None, None), b"\x80", problem=f": result {unknown} 128"),
    ]


def _deep() -> list[Lie]:
    item = words(7, 0, 0)
    bad = words(7, 1, 0xD800)
    return [
        Lie("in-option", Option(CHAR), words(1, 0xDC00), problem=f": 0xdc00 {_SCALAR}"),
        Lie("in-result", Result(U8, CHAR), words(1, 0xDC00), problem=rf"\.err: 0xdc00 {_SCALAR}"),
        Lie("in-variant", SHAPE, words(1, 0xDC00, 0), problem=rf"\.letter: 0xdc00 {_SCALAR}"),
        Lie(
            "in-list", List(CHAR), words(PAYLOAD, 2), words(97, 0xDC00), rf"\[1\]: 0xdc00 {_SCALAR}"
        ),
        Lie("in-record", ITEM, bad, problem=rf"\.tag: 0xd800 {_SCALAR}"),
        Lie(
            "in-list-of-records",
            List(ITEM),
            words(PAYLOAD, 3),
            item + item + bad,
            rf"\[2\]\.tag: 0xd800 {_SCALAR}",
        ),
        Lie(
            "in-list-of-lists",
            List(List(U32)),
            words(PAYLOAD, 2),
            words(PAYLOAD + 16, 1, END - 4, 2),
            rf"\[1\]: .* {_BEYOND}",
        ),
        Lie(
            "in-list-of-texts",
            List(STRING),
            words(PAYLOAD, 2),
            words(PAYLOAD + 16, 2, PAYLOAD + 18, 1) + b"ok\xff",
            r"\[1\]: the string is not UTF-8",
        ),
    ]


LIES = [*_chars(), *_strings(), *_pointers(), *_cases(), *_deep()]

# The canonical ABI takes any number that is not 0 for true, and ignores unknown flags.
ODDITIES = [
    Lie("bool-two", BOOL, b"\x02", value=True),
    Lie("bool-largest", BOOL, b"\xff", value=True),
    Lie("bools", List(BOOL), words(PAYLOAD, 3), b"\0\x02\xff", value=[False, True, True]),
    Lie("flags-unknown", BITS, b"\xff", value=7),
    Lie("flags-only-unknown", BITS, b"\xf8", value=0),
    Lie("empty-string-anywhere", STRING, words(END, 0), value=""),
    Lie("empty-list-anywhere", List(U64), words(END, 0), value=[]),
]
