"""Values survive the way through their text."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hlwasm.wit.model import Description
from hlwasm.wit.wave import WaveError, format_value, parse_call, parse_value
from tests.property.strategies import types, values
from tests.unit.codec.worlds import World

MANY = settings(max_examples=300, deadline=None)


@st.composite
def described_values(draw: st.DrawFn) -> tuple[Description, Any, Any]:
    world = World()
    ref = draw(types(world))
    world.function("call-me", {"value": ref})
    description = world.description()
    return description, ref, draw(values(description, ref))


@MANY
@given(described_values())
def test_text_reads_back_as_the_value(case: tuple[Description, Any, Any]) -> None:
    description, ref, value = case
    text = format_value(description, ref, value)
    assert parse_value(description, ref, text) == value
    function, arguments = parse_call(description, f"ops.call-me({text})")
    assert function is description.exports[0]
    assert arguments == [value]


@MANY
@given(described_values(), st.data())
def test_damaged_text_is_refused_with_a_place(
    case: tuple[Description, Any, Any], data: st.DataObject
) -> None:
    description, ref, value = case
    text = format_value(description, ref, value)
    at = data.draw(st.integers(0, len(text)))
    inserted = data.draw(st.text(st.sampled_from("(){}[]:,'\"\\-%_1a\n é"), max_size=3))
    cut = data.draw(st.integers(0, 3))
    damaged = text[:at] + inserted + text[at + cut :]
    try:
        parse_value(description, ref, damaged)
    except WaveError as error:
        assert 1 <= error.line <= damaged.count("\n") + 1
        assert str(error).endswith("^")
