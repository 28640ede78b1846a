"""WIT types as Python objects, with their canonical-ABI layout.

Written apart from hlwasm's own model on purpose: tests compare the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce


def align_to(offset: int, alignment: int) -> int:
    return (offset + alignment - 1) // alignment * alignment


@dataclass(frozen=True)
class Type:
    """A type; subclasses know its WIT text, its layout in memory, and its core values."""

    def wit(self) -> str:
        """As written where the type is used."""
        raise NotImplementedError

    def size(self) -> int:
        raise NotImplementedError

    def alignment(self) -> int:
        raise NotImplementedError

    def flat(self) -> list[str]:
        """Core types of the value when it is passed without memory."""
        raise NotImplementedError

    def parts(self) -> list[Type]:
        """The types that values of it are made of."""
        return []


@dataclass(frozen=True)
class Scalar(Type):
    name: str
    bytes: int
    core: str

    def wit(self) -> str:
        return self.name

    def size(self) -> int:
        return self.bytes

    def alignment(self) -> int:
        return self.bytes

    def flat(self) -> list[str]:
        return [self.core]


@dataclass(frozen=True)
class Pointed(Type):
    """What is a pointer and a length: strings and lists."""

    def size(self) -> int:
        return 8

    def alignment(self) -> int:
        return 4

    def flat(self) -> list[str]:
        return ["i32", "i32"]


@dataclass(frozen=True)
class String(Pointed):
    def wit(self) -> str:
        return "string"


@dataclass(frozen=True)
class List(Pointed):
    element: Type

    def wit(self) -> str:
        return f"list<{self.element.wit()}>"

    def parts(self) -> list[Type]:
        return [self.element]


@dataclass(frozen=True)
class Map(Pointed):
    """In memory a list of tuples of a key and its value. Not every toolchain knows it."""

    key: Type
    value: Type

    def wit(self) -> str:
        return f"map<{self.key.wit()}, {self.value.wit()}>"

    def parts(self) -> list[Type]:
        return [self.key, self.value]


@dataclass(frozen=True)
class Fields(Type):
    """Values one after the other: records and tuples."""

    def offsets(self) -> list[int]:
        found, offset = [], 0
        for part in self.parts():
            offset = align_to(offset, part.alignment())
            found.append(offset)
            offset += part.size()
        return found

    def size(self) -> int:
        return align_to(self.offsets()[-1] + self.parts()[-1].size(), self.alignment())

    def alignment(self) -> int:
        return max(part.alignment() for part in self.parts())

    def flat(self) -> list[str]:
        return [core for part in self.parts() for core in part.flat()]


@dataclass(frozen=True)
class Tuple(Fields):
    items: tuple[Type, ...]

    def wit(self) -> str:
        return f"tuple<{', '.join(item.wit() for item in self.items)}>"

    def parts(self) -> list[Type]:
        return list(self.items)


@dataclass(frozen=True)
class Record(Fields):
    name: str
    fields: tuple[tuple[str, Type], ...]

    def wit(self) -> str:
        return self.name

    def definition(self) -> str:
        lines = "".join(f"\n        {escaped(name)}: {t.wit()}," for name, t in self.fields)
        return f"record {self.name} {{{lines}\n    }}"

    def parts(self) -> list[Type]:
        return [t for _, t in self.fields]


@dataclass(frozen=True)
class Cases(Type):
    """One of several: variants, enums, options and results."""

    def payloads(self) -> list[Type | None]:
        raise NotImplementedError

    def parts(self) -> list[Type]:
        return [payload for payload in self.payloads() if payload]

    def discriminant_size(self) -> int:
        count = len(self.payloads())
        return 1 if count <= 0x100 else 2 if count <= 0x10000 else 4

    def payload_offset(self) -> int:
        return align_to(self.discriminant_size(), self.payload_alignment())

    def payload_alignment(self) -> int:
        return max((p.alignment() for p in self.payloads() if p), default=1)

    def size(self) -> int:
        largest = max((p.size() for p in self.payloads() if p), default=0)
        return align_to(self.payload_offset() + largest, self.alignment())

    def alignment(self) -> int:
        return max(self.discriminant_size(), self.payload_alignment())

    def flat(self) -> list[str]:
        return ["i32", *reduce(joined, (p.flat() for p in self.payloads() if p), [])]


def joined(left: list[str], right: list[str]) -> list[str]:
    """Core types that can hold either of two payloads."""

    def common(a: str, b: str) -> str:
        if a == b:
            return a
        return "i32" if {a, b} == {"i32", "f32"} else "i64"

    shared = [common(a, b) for a, b in zip(left, right, strict=False)]
    longer = left if len(left) > len(right) else right
    return shared + longer[len(shared) :]


@dataclass(frozen=True)
class Variant(Cases):
    name: str
    cases: tuple[tuple[str, Type | None], ...]

    def wit(self) -> str:
        return self.name

    def definition(self) -> str:
        lines = "".join(
            f"\n        {escaped(name)}{f'({t.wit()})' if t else ''}," for name, t in self.cases
        )
        return f"variant {self.name} {{{lines}\n    }}"

    def payloads(self) -> list[Type | None]:
        return [t for _, t in self.cases]


@dataclass(frozen=True)
class Enum(Cases):
    name: str
    cases: tuple[str, ...]

    def wit(self) -> str:
        return self.name

    def definition(self) -> str:
        return f"enum {self.name} {{ {', '.join(map(escaped, self.cases))} }}"

    def payloads(self) -> list[Type | None]:
        return [None] * len(self.cases)


@dataclass(frozen=True)
class Option(Cases):
    value: Type

    def wit(self) -> str:
        return f"option<{self.value.wit()}>"

    def payloads(self) -> list[Type | None]:
        return [None, self.value]


@dataclass(frozen=True)
class Result(Cases):
    ok: Type | None
    error: Type | None

    def wit(self) -> str:
        if self.error is None:
            return f"result<{self.ok.wit()}>" if self.ok else "result"
        return f"result<{self.ok.wit() if self.ok else '_'}, {self.error.wit()}>"

    def payloads(self) -> list[Type | None]:
        return [self.ok, self.error]


@dataclass(frozen=True)
class Flags(Type):
    name: str
    flags: tuple[str, ...]

    def wit(self) -> str:
        return self.name

    def definition(self) -> str:
        return f"flags {self.name} {{ {', '.join(map(escaped, self.flags))} }}"

    def size(self) -> int:
        count = len(self.flags)
        return 1 if count <= 8 else 2 if count <= 16 else 4

    def alignment(self) -> int:
        return self.size()

    def flat(self) -> list[str]:
        return ["i32"]


@dataclass(frozen=True)
class Alias(Type):
    """Another name for a type: ``type name = target``."""

    name: str
    target: Type

    def wit(self) -> str:
        return self.name

    def definition(self) -> str:
        return f"type {self.name} = {self.target.wit()};"

    def parts(self) -> list[Type]:
        return [self.target]

    def size(self) -> int:
        return self.target.size()

    def alignment(self) -> int:
        return self.target.alignment()

    def flat(self) -> list[str]:
        return self.target.flat()


# https://github.com/WebAssembly/component-model/blob/main/design/mvp/WIT.md#keywords
KEYWORDS = """
    as async bool borrow char constructor enum export f32 f64 flags from func future import
    include interface list option own package record resource result s16 s32 s64 s8 static
    stream string tuple type u16 u32 u64 u8 use variant with world
"""


def escaped(name: str) -> str:
    """Names that are keywords of WIT are written with a percent sign."""
    return f"%{name}" if name in KEYWORDS.split() else name
