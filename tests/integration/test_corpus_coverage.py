"""The corpus has each kind of type in each kind of place; ``-s`` prints the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from components.kitchen_sink.catalogue import FUNCTIONS, WORLD_FUNCTIONS
from components.kitchen_sink.wit_types import Alias, Flags, Scalar, Type, Variant

SCALARS = "bool u8 s8 u16 s16 u32 s32 u64 s64 f32 f64 char string"
KINDS = f"{SCALARS} list record tuple variant enum flags option result".split()
PLACES = ["parameter", "list", "record", "tuple", "variant", "option", "result"]


def kind(type_: Type) -> str:
    return type_.name if isinstance(type_, Scalar) else type(type_).__name__.lower()


def places(type_: Type, place: str) -> Iterator[tuple[str, str]]:
    """What is where in a value, each kind with the kind of its place."""
    if isinstance(type_, Alias):
        type_ = type_.target
    yield kind(type_), place
    for part in type_.parts():
        yield from places(part, kind(type_))


def coverage() -> Counter[tuple[str, str]]:
    """How many functions have a kind in a place, in parameters and just so in results."""
    found: Counter[tuple[str, str]] = Counter()
    for signature in (*FUNCTIONS.values(), *WORLD_FUNCTIONS.values()):
        here = [pair for _, t in signature.parameters for pair in places(t, "parameter")]
        found.update(set(here))
    return found


def test_each_kind_is_in_each_place() -> None:
    found = coverage()
    print(f"\n{len(FUNCTIONS) + len(WORLD_FUNCTIONS)} functions")
    print(f"{'':10}", *(f"{place:>9}" for place in PLACES))
    for each in KINDS:
        print(f"{each:10}", *(f"{found[each, place]:9}" for place in PLACES))
    assert {pair for pair in found if found[pair]} >= {(k, p) for k in KINDS for p in PLACES}


def test_the_corpus_is_large() -> None:
    assert len(FUNCTIONS) + len(WORLD_FUNCTIONS) >= 140
    counts = {len(t.flags) for t in types() if isinstance(t, Flags)}
    assert counts == set(range(1, 33))
    # Wider discriminants, more than sixteen core values, names that are keywords.
    assert any(isinstance(t, Variant) and t.discriminant_size() == 2 for t in types())
    assert any(len(each.result.flat()) > 16 for each in FUNCTIONS.values())
    assert any(len(each.parameters) >= 17 for each in FUNCTIONS.values())
    assert {"import", "class", "yield"} <= set(FUNCTIONS)


def types() -> Iterator[Type]:
    for signature in FUNCTIONS.values():
        for _, type_ in signature.parameters:
            yield from inside(type_)


def inside(type_: Type) -> Iterator[Type]:
    if isinstance(type_, Alias):
        type_ = type_.target
    yield type_
    for part in type_.parts():
        yield from inside(part)
