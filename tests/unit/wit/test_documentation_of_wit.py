"""Documentation from WIT text is put where names are the same."""

from __future__ import annotations

from typing import Any

import pytest

from hlwasm.wit.documentation import concerns, documented
from hlwasm.wit.model import Description, Enum, Flags, Record, Resource, Variant
from hlwasm.wit.sources import parse_wit

BARE = """package demo:a@1.0.0;
interface i {
  record r { x: u8, y: u8 }
  variant v { a, b(u8) }
  enum e { a }
  flags f { a }
  resource s { m: func(); }
  type l = list<r>;
  g: func(r: r) -> option<v>;
}
world w { import i; export i; export run: func(); }
"""
DOCUMENTED = """package demo:a@1.0.0;
/// Interface.
interface i {
  /// Record.
  record r { /// Field.
    x: u8, y: u8 }
  /// Variant.
  variant v { /// Case a.
    a, b(u8) }
  /// Enum.
  enum e { /// Label.
    a }
  /// Flags.
  flags f { /// Flag.
    a }
  /// Resource.
  resource s { /// Method.
    m: func(); }
  /// List.
  type l = list<r>;
  /// Function.
  g: func(r: r) -> option<v>;
}
world w { import i; export i;
  /// Runs.
  export run: func(); }
"""


def by_name(description: Description) -> dict[str, Any]:
    return {each.name: each for each in description.types if each.name}


@pytest.mark.parametrize("version", ["@1.0.0", "@2.3.4", ""])
def test_everything_is_documented_whatever_the_version(version: str) -> None:
    source = parse_wit(DOCUMENTED.replace("@1.0.0", version))
    made = documented(parse_wit(BARE), source)
    functions = {each.name: each.docs for each in (*made.imports, *made.exports)}
    assert functions == {"g": "Function.", "run": "Runs.", "[method]s.m": "Method."}
    assert {each.docs for each in made.interfaces} == {"Interface."}
    types = by_name(made)
    record, variant, enum, flags = types["r"], types["v"], types["e"], types["f"]
    assert isinstance(record, Record)
    assert [record.docs, *(each.docs for each in record.fields)] == ["Record.", "Field.", None]
    assert isinstance(variant, Variant)
    assert [variant.docs, *(each.docs for each in variant.cases)] == ["Variant.", "Case a.", None]
    assert isinstance(enum, Enum)
    assert [enum.docs, *(each.docs for each in enum.cases)] == ["Enum.", "Label."]
    assert isinstance(flags, Flags)
    assert [flags.docs, *(each.docs for each in flags.flags)] == ["Flags.", "Flag."]
    assert isinstance(types["s"], Resource)
    assert types["s"].docs == "Resource."
    # Functions belong to the new description, and all else is as it was.
    assert made.exports[0].description is made
    assert made.call_count == parse_wit(BARE).call_count
    assert made.types[0] is made.types[0]
    assert [*made.types] == list(made.types[:])


def test_own_documentation_stays() -> None:
    other = parse_wit(DOCUMENTED.replace("Record.", "Other.").replace("Runs.", "Other."))
    made = documented(parse_wit(DOCUMENTED), other)
    assert by_name(made)["r"].docs == "Record."
    assert {each.docs for each in made.exports if each.name == "run"} == {"Runs."}


def test_a_name_of_another_kind_of_type_is_left_alone() -> None:
    other = parse_wit("package demo:a@1.0.0; interface i { /// Not a record.\n flags r { x } }")
    assert by_name(documented(parse_wit(BARE), other))["r"].docs is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("package demo:a@9.0.0; interface i {}", True),
        ("package other:a; world w { export run: func(); }", True),
        ("package other:a; interface i {}", False),
        ("package other:a; world w {}", False),
    ],
)
def test_what_concerns_a_component(text: str, expected: bool) -> None:
    assert concerns(parse_wit(text), parse_wit(BARE)) is expected
