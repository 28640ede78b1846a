"""The table of values: each one goes to a component and back, both ways."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import hlwasm
from components.kitchen_sink.catalogue import Signature
from components.kitchen_sink.component_text import ECHO, HOST, RELAY, component
from hlwasm.wit.model import Description
from hlwasm.wit.sources import parse_wit
from tests.integration.wit_features.described_types import wit_type
from tests.integration.wit_features.page import code, first_cell, rows

ROWS = rows("Values")
NAMES = {"Some": hlwasm.Some, "Ok": hlwasm.Ok, "Err": hlwasm.Err}


@pytest.mark.hypervisor
@pytest.mark.parametrize("row", ROWS, ids=first_cell)
def test_values(row: list[str]) -> None:
    [text] = code(row[0])
    signature = Signature((("value", type_of(text)),))
    loaded = hlwasm.load(component({"f": signature}).encode(), cache=False)
    seen: list[Any] = []

    def answer(value: Any) -> Any:
        seen.append(value)
        return value

    names = {**classes_of(loaded.description), **NAMES}
    examples = [eval(example, {}, names) for example in code(row[1])]
    assert examples
    with loaded.instantiate({HOST: {"f": answer}}) as sandbox:
        for value in examples:
            # By their text: zeros have signs, and True is not 1.
            assert repr(outcome(sandbox.exports[ECHO].f, value)) == repr(value)
            assert seen == []
            assert repr(outcome(sandbox.exports[RELAY].f, value)) == repr(value)
            assert repr(seen.pop()) == repr(value)


def type_of(text: str) -> Any:
    """The type of a cell, which is a type or the definition of one."""
    defined = re.match(r"(record|variant|enum|flags|type) ([a-z-]+)", text)
    name = defined[2] if defined else text
    end = ";" if defined and defined[1] == "type" else ""
    described = parse_wit(
        f"package docs:page; interface i {{ {text + end if defined else ''}"
        f" f: func(value: {name}); }} world w {{ import i; }}"
    )
    [parameter] = described.imports[0].params
    return wit_type(described, parameter.type)


def classes_of(description: Description) -> dict[str, Any]:
    """The Python classes of a component's types by their names."""
    indices = range(len(description.types))
    found = [description.python_type(i) for i in indices if description.has_python_type(i)]
    return {cls.__name__: cls for cls in found}


def outcome(function: Callable[[Any], Any], value: Any) -> Any:
    """What comes back; results as they were given."""
    try:
        result = function(value)
    except hlwasm.Err as error:
        return error
    return hlwasm.Ok(result) if isinstance(value, (hlwasm.Ok, hlwasm.Err)) else result


def test_each_kind_of_type_has_a_row() -> None:
    kinds = "bool u8 s8 u16 s16 u32 s32 u64 s64 f32 f64 char string list tuple record variant enum"
    words = [re.split("[ <]", first_cell(row))[0] for row in ROWS]
    assert set(words) == {*kinds.split(), "flags", "option", "result", "type"}
