"""Plain data: there and back, and where two differ."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlwasm.testing.scripts.data import Case, Handle, first_difference, from_data, to_data
from hlwasm.testing.scripts.simpler import simpler, simplest
from hlwasm.testing.scripts.steps import data_text, parse_data
from hlwasm.wit.model import Description
from tests.property.strategies import types, values
from tests.unit.codec.worlds import World


@st.composite
def types_and_values(draw: st.DrawFn) -> tuple[Description, Any, Any]:
    world = World()
    ref = draw(types(world))
    description = world.description()
    return description, ref, draw(values(description, ref))


@settings(deadline=None)
@given(types_and_values())
def test_there_and_back(case: tuple[Description, Any, Any]) -> None:
    description, ref, value = case
    data = to_data(description, ref, value)
    assert from_data(description, ref, data) == value
    assert first_difference(data, to_data(description, ref, value)) is None
    assert (
        first_difference(data, parse_data(description, ref, data_text(description, ref, data)))
        is None
    )


@settings(deadline=None)
@given(types_and_values())
def test_simpler_data_are_values_of_the_type_and_get_simpler_for_ever_less(
    case: tuple[Description, Any, Any],
) -> None:
    description, ref, value = case
    data = to_data(description, ref, value)
    for _ in range(10_000):
        text = data_text(description, ref, data)
        for other in simpler(description, ref, data):
            assert data_text(description, ref, other) != text
            smaller = other
            break
        else:
            # Nothing is simpler than the simplest.
            assert first_difference(data, simplest(description, ref)) is None
            return
        data = smaller
    raise AssertionError("it does not end")


@pytest.mark.parametrize(
    ("left", "right", "path"),
    [
        (1, 1, None),
        (1, 2, ""),
        (1, True, ""),
        (float("nan"), float("nan"), None),
        (0.0, -0.0, ""),
        ([1, 2], [1, 3], "[1]"),
        ([1, 2], [1], ""),
        ({"a": 1, "b": [1.0]}, {"a": 1, "b": [2.0]}, ".b[0]"),
        ((1, "x"), (1, "y"), "[1]"),
        (Case("ok", 1), Case("err", 1), ""),
        (Case("ok", {"x": 1}), Case("ok", {"x": 2}), ".ok.x"),
        (b"ab", b"ac", ""),
        (frozenset("a"), frozenset("b"), ""),
        (Handle("a-1"), Handle("a-1"), None),
    ],
)
def test_the_first_difference(left: Any, right: Any, path: str | None) -> None:
    found = first_difference(left, right)
    assert (None if found is None else found.path) == path


def test_shrinking_finds_the_smallest_number_that_is_too_large() -> None:
    description = World().description()

    def shrunk(data: int, fails: Any) -> int:
        while True:
            for other in simpler(description, "s32", data):
                if fails(other):
                    data = other
                    break
            else:
                return data

    assert shrunk(2**31 - 1, lambda n: n > 1000) == 1001
    assert shrunk(-(2**31), lambda n: n < -1000) == -1001
    assert shrunk(-5, lambda n: n % 5 == 0 and n != 0) == 5
