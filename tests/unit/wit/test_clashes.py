"""WIT names that become one name in Python."""

from __future__ import annotations

import pytest

from hlwasm.errors import InvalidWit, UnsupportedItem
from hlwasm.wit.sources import parse_wit


@pytest.mark.parametrize(
    ("items", "problem"),
    [
        ("record point-2d { x: u8 } enum point2d { a }", "point-2d and point2d are both Point2d"),
        ("variant v { a1, a-1 }", "cases of variant v of a:b/i: a1 and a-1 are both A1"),
    ],
)
def test_types_and_cases_that_meet_are_refused_with_both_names(items: str, problem: str) -> None:
    with pytest.raises(UnsupportedItem) as caught:
        parse_wit(f"package a:b; interface i {{ {items} }}")
    assert problem in str(caught.value)
    assert str(caught.value).count("both") == 1


@pytest.mark.parametrize(
    "items",
    [
        "record r { a1: u8, a-1: u8 }",
        "enum e { a1, a-1 }",
        "flags f { a1, a-1 }",
        "a1: func(); a-1: func(x1: u8, x-1: u8);",
        "resource drop { drop: func(); drop1: func(); }",
        "record class { %import: u8 } variant lambda { none, true }",
    ],
)
def test_other_names_are_kept_apart(items: str) -> None:
    description = parse_wit(f"package a:b; interface i {{ {items} }}")
    for index in range(len(description.types)):
        if description.has_python_type(index):
            description.python_type(index)


def test_names_that_differ_in_case_only_are_refused_with_their_place() -> None:
    with pytest.raises(InvalidWit, match="`A` is one name with `a`") as caught:
        parse_wit("package a:b;\ninterface i { record r { a: u8, A: u8 } }")
    assert (caught.value.line, caught.value.column) == (2, 33)
