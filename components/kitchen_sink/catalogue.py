"""The types that the kitchen sink passes to and fro: at least one of each kind."""

from __future__ import annotations

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
COLOR = Enum("color", ("red", "green", "dark-blue"))
ONE_ENUM = Enum("one-enum", ("only",))
ENUM_256, ENUM_257 = Enum("enum256", names("e", 256)), Enum("enum257", names("e", 257))
FLAGS = tuple(Flags(f"flags{count}", names("f", count)) for count in (1, 8, 9, 16, 17, 32))
INNER = Record("inner", (("points", List(POINT)), ("kind", MIXED), ("bits", FLAGS[2])))
OUTER = Record("outer", (("inner", Option(INNER)), ("all", List(INNER)), ("color", COLOR)))
LEVELS = [Record("level0", (("value", Result(U8, STRING)),))]
for depth in range(1, 8):
    LEVELS.append(
        Record(f"level{depth}", (("below", LEVELS[-1]), ("list", List(LEVELS[-1])), ("d", U8)))
    )
BYTES, LABEL = Alias("bytes", List(U8)), Alias("label", STRING)
SAME_LABEL = Alias("same-label", LABEL)

NAMED: tuple[Type, ...] = (
    *(POINT, PADDED, ONE_FIELD, WIDE, KEYWORDS, MIXED, ONE_CASE, NO_PAYLOADS, MANY_CASES),
    *(COLOR, ONE_ENUM, ENUM_256, ENUM_257, *FLAGS, INNER, OUTER, *LEVELS),
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
    **{f"list-{t.name}": List(t) for t in FLAGS},
    "list-list-u8": List(List(U8)),
    "list-list-list-string": List(List(List(STRING))),
    "list-option-u64": List(Option(U64)),
    "list-result": List(Result(None, U8)),
    "list-tuple": List(Tuple((U8, U32, U8))),
    "tuple1": Tuple((U32,)),
    "tuple2": Tuple((U64, STRING)),
    "tuple16": Tuple((U8,) * 16),
    "tuple17": Tuple((*SCALARS, STRING, STRING, F32)),
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
    # 16 core values, the most that are passed without memory.
    "gather-sixteen": (*SCALARS, STRING, STRING),
    # 17, so that all go through memory.
    "gather-seventeen": (*SCALARS, STRING, STRING, U8),
    "gather-rich": (OUTER, List(MIXED), Option(PADDED), FLAGS[5], LEVELS[2], COLOR, WIDE),
}
