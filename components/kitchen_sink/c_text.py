"""Writes the kitchen sink in C: what a bindings generator would write, and the echo itself.

Structures of C lie in memory as the canonical ABI says, which the C compiler is made to
check. Values are copied deeply on their way, so that each byte passes through C.
"""

from __future__ import annotations

from collections.abc import Callable

from .catalogue import FUNCTIONS, WORLD_FUNCTIONS, Signature
from .core_text import ECHO, VALUES, Shape
from .wit_types import (
    Alias,
    Cases,
    Enum,
    Fields,
    Flags,
    List,
    Pointed,
    Scalar,
    String,
    Type,
)

HEAD = """\
/* Written by generate.py. */
#include <stddef.h>
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(name)))
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

void *allocate(size_t size, size_t align);
void forget(void);

/* Cases of a variant share core values: bits of one type travel as another. */
#define SAME_BITS(to, from) \\
    (from value) { union { from in; to out; } bits = {value}; return bits.out; }
static float f32_of_i32 SAME_BITS(float, int32_t)
static int32_t i32_of_f32 SAME_BITS(int32_t, float)
static double f64_of_i64 SAME_BITS(double, int64_t)
static int64_t i64_of_f64 SAME_BITS(int64_t, double)
static float f32_of_i64(int64_t bits) { return f32_of_i32((int32_t)bits); }
static int64_t i64_of_f32(float value) { return (uint32_t)i32_of_f32(value); }

typedef struct { uint8_t *data; size_t length; } string;
static string copy_string(string from) {
    string to = {allocate(from.length, 1), from.length};
    __builtin_memcpy(to.data, from.data, from.length);
    return to;
}
"""

FIXED = """\
IMPORT("$root", "twice") uint32_t twice(uint32_t value);
EXPORT("thrice") uint32_t thrice(uint32_t value) { return twice(value) + value; }
IMPORT("$root", "note")
void note(const char *text, size_t length, int32_t has_level, int32_t level);
EXPORT("touch") void touch(void) {
    note("touched", 7, 1, 7);
    note("", 0, 0, 0);
}
"""

CORE = {"i32": "int32_t", "i64": "int64_t", "f32": "float", "f64": "double"}


class Definitions:
    """C definitions of types, each before what it is part of."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._names: dict[Type, str] = {}

    def name(self, type_: Type) -> str:
        """The C type of a value, which is defined if it is new."""
        if isinstance(type_, Alias):
            return self.name(type_.target)
        if isinstance(type_, String):
            return "string"
        if isinstance(type_, Scalar):
            return scalar(type_)
        if type_ not in self._names:
            self._names[type_] = self._define(type_)
        return self._names[type_]

    def _define(self, type_: Type) -> str:
        body = self._body(type_)
        name = f"type{len(self._names)}"
        self.lines.append(f"typedef {body} {name}; /* {type_.wit()} */")
        self.lines.append(
            f'_Static_assert(sizeof({name}) == {type_.size()}, "size of {name}");'
            f' _Static_assert(_Alignof({name}) == {type_.alignment()}, "alignment of {name}");'
        )
        self.lines += self._copy(name, type_)
        return name

    def _body(self, type_: Type) -> str:
        if isinstance(type_, List):
            return f"struct {{ {self.name(type_.element)} *data; size_t length; }}"
        if isinstance(type_, Fields):
            parts = enumerate(type_.parts())
            return f"struct {{ {' '.join(f'{self.name(t)} m{i};' for i, t in parts)} }}"
        if isinstance(type_, Enum):
            return unsigned(type_.discriminant_size())
        if isinstance(type_, Flags):
            return unsigned(type_.size())
        assert isinstance(type_, Cases)
        payloads = [f"{self.name(t)} m{i};" for i, t in enumerate(type_.payloads()) if t]
        union = f"union {{ {' '.join(payloads)} }} of; " if payloads else ""
        return f"struct {{ {unsigned(type_.discriminant_size())} tag; {union}}}"

    def _copy(self, name: str, type_: Type) -> list[str]:
        """A function that copies a value and everything that it points to."""
        lines = [f"static {name} copy_{name}({name} from) {{"]
        if isinstance(type_, List):
            element = self.name(type_.element)
            lines += [
                f"    {name} to = {{allocate(from.length * sizeof({element}),"
                f" _Alignof({element})), from.length}};",
                "    for (size_t i = 0; i < from.length; i++)"
                f" to.data[i] = {self.copied('from.data[i]', type_.element)};",
            ]
        elif isinstance(type_, Fields):
            lines.append(f"    {name} to = {{0}};")
            for i, part in enumerate(type_.parts()):
                lines.append(f"    to.m{i} = {self.copied(f'from.m{i}', part)};")
        elif isinstance(type_, Cases) and not isinstance(type_, Enum):
            lines += [f"    {name} to = {{.tag = from.tag}};", "    switch (from.tag) {"]
            for i, payload in enumerate(type_.payloads()):
                copy = payload and f"to.of.m{i} = {self.copied(f'from.of.m{i}', payload)};"
                lines.append(f"    case {i}: {copy or ''} break;")
            lines += ["    default: __builtin_trap();", "    }"]
        else:
            lines.append(f"    {name} to = from;")
        return [*lines, "    return to;", "}"]

    def copied(self, expression: str, type_: Type) -> str:
        """An expression for a deep copy."""
        if isinstance(type_, Alias):
            return self.copied(expression, type_.target)
        if isinstance(type_, Scalar):
            return expression
        return f"copy_{self.name(type_)}({expression})"


def scalar(type_: Scalar) -> str:
    if type_.name in ("bool", "char"):
        return unsigned(type_.bytes)
    if type_.name[0] == "f":
        return CORE[type_.name]
    return f"{'u' if type_.name[0] == 'u' else ''}int{8 * type_.bytes}_t"


def unsigned(size: int) -> str:
    return f"uint{8 * size}_t"


def convert(expression: str, held: str, wanted: str) -> str:
    """A core value as one of another type, by its bits."""
    if held == wanted:
        return expression
    if {held, wanted} == {"i32", "i64"}:
        # Unsigned, so that the upper half is zero.
        return f"(uint32_t){expression}"
    return f"{wanted}_of_{held}({expression})"


#: Statements for a value at a place, whose core values are ``p<first>`` and the following.
#: These may be of wider types than the value's own; see ``core_text.store``.
Statements = Callable[[Type, str, int, list[str]], list[str]]


def of_parts(
    statements: Statements, value: Fields, place: str, first: int, cores: list[str]
) -> list[str]:
    """Statements for each part of a record or tuple."""
    lines, used = [], 0
    for i, part in enumerate(value.parts()):
        lines += statements(part, f"{place}.m{i}", first + used, cores[used:])
        used += len(part.flat())
    return lines


def of_payload(
    statements: Statements, value: Cases, place: str, first: int, cores: list[str]
) -> list[str]:
    """Statements for the payload that the tag says."""
    lines = [f"switch ({place}.tag) {{"]
    for number, payload in enumerate(value.payloads()):
        lines.append(f"case {number}:")
        if payload is not None:
            lines += statements(payload, f"{place}.of.m{number}", first + 1, cores[1:])
        lines.append("break;")
    return [*lines, "default: __builtin_trap();", "}"]


def take(value: Type, place: str, first: int, cores: list[str]) -> list[str]:
    """Makes a value of its core values."""
    if isinstance(value, Alias):
        return take(value.target, place, first, cores)
    if isinstance(value, Fields):
        return of_parts(take, value, place, first, cores)
    held = [convert(f"p{first + i}", core, "i32") for i, core in enumerate(cores[:2])]
    if isinstance(value, Pointed):
        return [f"{place}.data = (void *){held[0]};", f"{place}.length = (size_t){held[1]};"]
    if isinstance(value, Cases) and not isinstance(value, Enum):
        return [f"{place}.tag = {held[0]};", *of_payload(take, value, place, first, cores)]
    return [f"{place} = {convert(f'p{first}', cores[0], value.flat()[0])};"]


def give(value: Type, place: str, first: int, cores: list[str]) -> list[str]:
    """The reverse: sets the core values."""
    if isinstance(value, Alias):
        return give(value.target, place, first, cores)
    if isinstance(value, Fields):
        return of_parts(give, value, place, first, cores)
    if isinstance(value, Pointed):
        parts = (f"(int32_t){place}.data", f"(int32_t){place}.length")
        return [f"p{first + i} = {convert(part, 'i32', cores[i])};" for i, part in enumerate(parts)]
    if isinstance(value, Cases) and not isinstance(value, Enum):
        tag = convert(f"{place}.tag", "i32", cores[0])
        return [f"p{first} = {tag};", *of_payload(give, value, place, first, cores)]
    return [f"p{first} = {convert(place, value.flat()[0], cores[0])};"]


def functions(
    definitions: Definitions, number: int, name: str, signature: Signature, host: str | None
) -> list[str]:
    """One exported function, and what is called when its result was read.

    Args:
        number: of the function, for names of C.
        host: module of the import to ask, or none for the local echo.
    """
    value = signature.result
    shape = Shape.of(value)
    c_type = definitions.name(value)
    single = len(shape.flat) == 1
    returned = CORE[shape.flat[0]] if single else f"{c_type} *"
    taken = f"{c_type} *p" if shape.through_memory else parameters(shape)
    lines = []
    if host is not None:
        where = "" if single else f", {c_type} *"
        asked = name.rpartition("#")[2]
        lines.append(
            f'IMPORT("{host}", "{asked}") {CORE[shape.flat[0]] if single else "void"}'
            f" host{number}({taken}{where});"
        )
    lines += [f'EXPORT("{name}") {returned} function{number}({taken}) {{']
    lines.append(f"static {c_type} value;")
    lines += ["value = *p;"] if shape.through_memory else take(value, "value", 0, shape.flat)
    copy = definitions.copied("value", value)
    if copy != "value":
        lines.append(f"value = {copy};")
    if host is not None:
        lines += ask(definitions, number, value, shape)
    if single:
        lines += [*give(value, "value", 0, shape.flat), "return p0;", "}"]
    else:
        lines += ["return &value;", "}"]
    lines.append(
        f'EXPORT("cabi_post_{name}") void done{number}({returned} result)'
        " { (void)result; forget(); }"
    )
    return lines


def parameters(shape: Shape) -> str:
    return ", ".join(f"{CORE[core]} p{i}" for i, core in enumerate(shape.flat))


def ask(definitions: Definitions, number: int, value: Type, shape: Shape) -> list[str]:
    """Statements that send ``value`` to the host and replace it by the answer."""
    if shape.through_memory:
        return [f"host{number}(&value, &value);"]
    # What a case does not use is zero.
    lines = [f"p{i} = 0;" for i in range(len(shape.flat))]
    lines += give(value, "value", 0, shape.flat)
    arguments = ", ".join(f"p{i}" for i in range(len(shape.flat)))
    if len(shape.flat) > 1:
        return [*lines, f"host{number}({arguments}, &value);"]
    return [*lines, f"p0 = host{number}({arguments});", *take(value, "value", 0, shape.flat)]


def program() -> str:
    """The whole program; it wants an allocator beside it."""
    definitions = Definitions()
    lines: list[str] = []
    targets: list[tuple[str, Signature, str | None]] = []
    for name, signature in FUNCTIONS.items():
        targets += [(f"{ECHO}#{name}", signature, None), (f"{VALUES}#{name}", signature, VALUES)]
    targets += [(name, signature, "$root") for name, signature in WORLD_FUNCTIONS.items()]
    for number, (name, signature, host) in enumerate(targets):
        lines += functions(definitions, number, name, signature, host)
    return "\n".join([HEAD, *definitions.lines, FIXED, *lines, ""])
