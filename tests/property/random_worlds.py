"""Random functions, as types with their own canonical-ABI layout."""

from __future__ import annotations

from itertools import count

from hypothesis import strategies as st

from components.kitchen_sink import wit_types as wit
from components.kitchen_sink.catalogue import SCALARS, STRING, Signature

LEAVES = ["scalar", "scalar", "string", "enum", "flags"]
NESTING = [
    "record",
    "tuple",
    "list",
    "list",
    "option",
    "result",
    "variant",
    "variant",
    "map",
    "known",
]
KEYS = [STRING, *(type_ for type_ in SCALARS if type_.name[0] != "f")]
# Where representations change: bytes of flags and of discriminants.
FLAG_COUNTS = st.sampled_from([1, 2, 7, 8, 9, 15, 16, 17, 31, 32])
ENUM_COUNTS = st.sampled_from([1, 2, 3, 255, 256, 257])


@st.composite
def functions(draw: st.DrawFn) -> dict[str, Signature]:
    """Some functions that share types; names are WIT names."""
    numbers = count()
    known: list[wit.Type] = []

    def of(depth: int) -> wit.Type:
        type_ = make(draw(st.sampled_from([*LEAVES, *NESTING] if depth > 0 else LEAVES)), depth - 1)
        known.append(type_)
        return type_

    def maybe(depth: int) -> wit.Type | None:
        return of(depth) if draw(st.booleans()) else None

    def several(depth: int) -> tuple[wit.Type, ...]:
        return tuple(of(depth) for _ in range(draw(st.integers(1, 4))))

    def make(kind: str, depth: int) -> wit.Type:
        name = f"{kind}-{next(numbers)}"
        if kind == "string":
            return STRING
        if kind == "enum":
            return wit.Enum(name, tuple(f"e{i}" for i in range(draw(ENUM_COUNTS))))
        if kind == "flags":
            return wit.Flags(name, tuple(f"f{i}" for i in range(draw(FLAG_COUNTS))))
        if kind == "record":
            return wit.Record(name, tuple((f"m{i}", t) for i, t in enumerate(several(depth))))
        if kind == "tuple":
            return wit.Tuple(several(depth))
        if kind == "list":
            return wit.List(of(depth))
        if kind == "map":
            return wit.Map(draw(st.sampled_from(KEYS)), of(depth))
        if kind == "option":
            return wit.Option(of(depth))
        if kind == "result":
            return wit.Result(maybe(depth), maybe(depth))
        if kind == "variant":
            payloads = [maybe(depth) for _ in range(draw(st.integers(1, 5)))]
            return wit.Variant(name, tuple((f"c{i}", t) for i, t in enumerate(payloads)))
        if kind == "known" and known:
            return draw(st.sampled_from(known))
        return draw(st.sampled_from(SCALARS))

    found = {}
    for number in range(draw(st.integers(1, 4))):
        parameters = [of(3) for _ in range(draw(st.sampled_from([1, 1, 2, 3, 9])))]
        found[f"f{number}"] = Signature(tuple((f"p{i}", t) for i, t in enumerate(parameters)))
    return found
