"""The types that the kitchen sink passes to and fro: at least one of each kind."""

from __future__ import annotations

from dataclasses import dataclass

from .wit_types import (
    Alias,
    Enum,
    Flags,
    List,
    Option,
    Record,
    Result,
    Scalar,
    String,
    Tuple,
    Type,
    Variant,
)

BOOL = Scalar("bool", 1, "i32")
U8, U16, U32, U64 = (
    Scalar(f"u{bits}", bits // 8, "i64" if bits == 64 else "i32") for bits in (8, 16, 32, 64)
)
S8, S16, S32, S64 = (
    Scalar(f"s{bits}", bits // 8, "i64" if bits == 64 else "i32") for bits in (8, 16, 32, 64)
)
F32, F64 = Scalar("f32", 4, "f32"), Scalar("f64", 8, "f64")
CHAR = Scalar("char", 4, "i32")
STRING = String()
SCALARS = (BOOL, U8, S8, U16, S16, U32, S32, U64, S64, F32, F64, CHAR)


def names(prefix: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{i}" for i in range(count))


POINT = Record("point", (("x", F64), ("y", F64)))
# Padding before, between and after the fields.
PADDED = Record(
    "padded",
    (("a", U8), ("b", U64), ("c", BOOL), ("d", STRING), ("e", U16), ("f", F32), ("g", CHAR)),
)
ONE_FIELD = Record("one-field", (("only", S8),))
# 17 core values: one more than fit without memory.
WIDE = Record("wide", tuple((name, U8) for name in names("n", 17)))
KEYWORDS = Record(
    "keywords",
    (("class", U8), ("import", STRING), ("lambda", BOOL), ("from", OPTION_U8 := Option(U8))),
)
MIXED = Variant(
    "mixed",
    (
        ("empty", None),
        ("small", U8),
        ("single", F32),
        ("double", F64),
        ("long", S64),
        ("text", STRING),
        ("place", POINT),
        ("pair", Tuple((F32, U64))),
    ),
)
ONE_CASE = Variant("one-case", (("only", STRING),))
NO_PAYLOADS = Variant("no-payloads", (("first", None), ("second", None), ("third", None)))
# 257 cases: the discriminant takes two bytes.
MANY_CASES = Variant("many-cases", tuple((name, U8) for name in names("case", 257)))
# Names that mean something in WIT, Python, C or JavaScript.
KEYWORD_CASES = Variant(
    "keyword-cases",
    (("none", None), ("true", BOOL), ("type", STRING), ("self", KEYWORDS), ("default", List(U8))),
)
KEYWORD_ENUM = Enum("keyword-enum", ("class", "def", "import", "none", "switch"))
KEYWORD_FLAGS = Flags("keyword-flags", ("and", "in", "is", "not", "or", "static"))
COLOR = Enum("color", ("red", "green", "dark-blue"))
ONE_ENUM = Enum("one-enum", ("only",))
ENUM_256, ENUM_257 = Enum("enum256", names("e", 256)), Enum("enum257", names("e", 257))
FLAGS = tuple(Flags(f"flags{count}", names("f", count)) for count in range(1, 33))
# Where the number of bytes changes.
EDGE_FLAGS = tuple(flags for flags in FLAGS if len(flags.flags) in (1, 8, 9, 16, 17, 32))
ALL_FLAGS = Record("all-flags", tuple((flags.name, flags) for flags in FLAGS))
INNER = Record("inner", (("points", List(POINT)), ("kind", MIXED), ("bits", FLAGS[8])))
OUTER = Record("outer", (("inner", Option(INNER)), ("all", List(INNER)), ("color", COLOR)))
LEVELS = [Record("level0", (("value", Result(U8, STRING)),))]
for depth in range(1, 8):
    LEVELS.append(
        Record(f"level{depth}", (("below", LEVELS[-1]), ("list", List(LEVELS[-1])), ("d", U8)))
    )
# A type of each kind, to put into each kind of place.
EACH_KIND: dict[str, Type] = {
    **{type_.name: type_ for type_ in SCALARS},
    "string": STRING,
    "list": List(U16),
    "record": POINT,
    "tuple": Tuple((U8, STRING)),
    "variant": MIXED,
    "enum": COLOR,
    "flags": FLAGS[2],
    "option": Option(STRING),
    "result": Result(U8, STRING),
}
PLACES: tuple[Type, ...] = (
    Record("each-field", tuple(EACH_KIND.items())),
    Variant("each-case", tuple(EACH_KIND.items())),
    Record("each-list", tuple((name, List(t)) for name, t in EACH_KIND.items())),
    Record("each-option", tuple((name, Option(t)) for name, t in EACH_KIND.items())),
    Record("each-result", tuple((name, Result(t, t)) for name, t in EACH_KIND.items())),
)
BYTES, LABEL = Alias("bytes", List(U8)), Alias("label", STRING)
SAME_LABEL = Alias("same-label", LABEL)

NAMED: tuple[Type, ...] = (
    *(POINT, PADDED, ONE_FIELD, WIDE, KEYWORDS, MIXED, ONE_CASE, NO_PAYLOADS, MANY_CASES),
    *(KEYWORD_CASES, KEYWORD_ENUM, KEYWORD_FLAGS),
    *(COLOR, ONE_ENUM, ENUM_256, ENUM_257, *FLAGS, ALL_FLAGS, INNER, OUTER, *LEVELS),
    *PLACES,
    *(BYTES, LABEL, SAME_LABEL),
)

#: Each becomes a function ``echo-<name>: func(value: T) -> T``.
ECHOED: dict[str, Type] = {
    **{t.name: t for t in SCALARS},
    "string": STRING,
    **{f"list-{t.name}": List(t) for t in SCALARS},
    "list-string": List(STRING),
    **{t.wit(): t for t in NAMED},
    "list-point": List(POINT),
    "list-padded": List(PADDED),
    "list-wide": List(WIDE),
    "list-mixed": List(MIXED),
    "list-color": List(COLOR),
    "list-enum257": List(ENUM_257),
    **{f"list-{t.name}": List(t) for t in EDGE_FLAGS},
    "list-keyword-cases": List(KEYWORD_CASES),
    "list-list-u8": List(List(U8)),
    "list-list-list-string": List(List(List(STRING))),
    "list-option-u64": List(Option(U64)),
    "list-result": List(Result(None, U8)),
    "list-tuple": List(Tuple((U8, U32, U8))),
    "tuple1": Tuple((U32,)),
    "tuple2": Tuple((U64, STRING)),
    "tuple16": Tuple((U8,) * 16),
    "tuple17": Tuple((*SCALARS, STRING, STRING, F32)),
    "tuple-each": Tuple(tuple(EACH_KIND.values())),
    "tuple-nested": Tuple((Tuple((U8, Tuple((U64, U8)))), Option(Tuple((CHAR, STRING))))),
    "option-u8": OPTION_U8,
    "option-u64": Option(U64),
    "option-f32": Option(F32),
    "option-string": Option(STRING),
    "option-point": Option(POINT),
    "option-list": Option(List(Option(S16))),
    "option-option": Option(Option(U32)),
    "option-option-option": Option(Option(Option(BOOL))),
    "result": Result(None, None),
    "result-u32": Result(U32, None),
    "result-error": Result(None, STRING),
    "result-both": Result(U64, F32),
    "result-same": Result(STRING, STRING),
    "result-rich": Result(List(PADDED), MIXED),
    "result-nested": Result(Result(U8, STRING), Option(Result(None, None))),
    "tuple-result": Tuple((Result(U8, STRING), Result(None, None), Result(None, U8))),
}

#: Functions of several parameters, which answer with a tuple of them.
GATHERED: dict[str, tuple[Type, ...]] = {
    "gather-two": (STRING, U8),
    "gather-scalars": SCALARS,
    "gather-twenty": (U8, U64) * 10,
    # 16 core values, the most that are passed without memory.
    "gather-sixteen": (*SCALARS, STRING, STRING),
    # 17, so that all go through memory.
    "gather-seventeen": (*SCALARS, STRING, STRING, U8),
    "gather-rich": (OUTER, List(MIXED), Option(PADDED), FLAGS[31], LEVELS[2], COLOR, WIDE),
}


@dataclass(frozen=True)
class Signature:
    """What a function takes; it answers with the same."""

    parameters: tuple[tuple[str, Type], ...]

    @property
    def result(self) -> Type:
        """The only parameter, or a tuple of all; in memory it lies as the parameters do."""
        types = tuple(type_ for _, type_ in self.parameters)
        return types[0] if len(types) == 1 else Tuple(types)


FUNCTIONS: dict[str, Signature] = {
    **{f"echo-{name}": Signature((("value", type_),)) for name, type_ in ECHOED.items()},
    **{
        name: Signature(tuple((f"p{i}", type_) for i, type_ in enumerate(types)))
        for name, types in GATHERED.items()
    },
    # Keywords as names of functions and parameters.
    **{name: Signature((("value", U8),)) for name in ("import", "class", "return", "delete")},
    "yield": Signature((("self", U8), ("from", STRING), ("lambda", KEYWORD_ENUM), ("new", BOOL))),
}

#: Functions of the world itself, imported and exported.
WORLD_FUNCTIONS: dict[str, Signature] = {
    "pass-mixed": Signature((("value", List(MIXED)),)),
    "pass-outer": Signature((("value", OUTER), ("label", LABEL), ("count", U8))),
}
