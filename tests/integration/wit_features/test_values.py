"""The table of values: each one goes to a component and back, both ways."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import hlwasm
from components.kitchen_sink.catalogue import Signature
from components.kitchen_sink.component_text import ECHO, HOST, RELAY, component
from components.kitchen_sink.wit_types import List, Map, Tuple
from hlwasm.wit.model import Description
from hlwasm.wit.sources import parse_wit
from tests.integration.wit_features.described_types import wit_type
from tests.integration.wit_features.page import code, first_cell, rows

ROWS = rows("Values")
NAMES = {"Some": hlwasm.Some, "Ok": hlwasm.Ok, "Err": hlwasm.Err}


HANDLES_IN_A_MAP = b"""(component
  (import "test:maps/things" (instance $things (export "thing" (type (sub resource)))))
  (alias export $things "thing" (type $thing))
  (core module $M
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $pointer i32)
      (local.set $pointer (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $pointer) (local.get 3)))
      (local.get $pointer))
    (func (export "pass") (param i32 i32) (result i32)
      (i32.store (i32.const 8) (local.get 0))
      (i32.store (i32.const 12) (local.get 1))
      (i32.const 8)))
  (core instance $m (instantiate $M))
  (func (export "pass") (param "things" (map string (own $thing)))
    (result (map string (own $thing)))
    (canon lift (core func $m "pass") (memory (core memory $m "memory"))
      (realloc (core func $m "realloc")))))"""


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


@pytest.mark.hypervisor
def test_handles_in_maps() -> None:
    class Thing:
        pass

    loaded = hlwasm.load(HANDLES_IN_A_MAP, cache=False)
    with loaded.instantiate({"test:maps/things": {"Thing": Thing}}) as sandbox:
        things = [Thing() for _ in range(3)]
        pairs = [(f"key {i}", thing) for i, thing in enumerate(things)]
        assert sandbox.exports["pass"](pairs) == pairs
        assert sandbox.exports["pass"]([]) == []


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
    type_ = wit_type(described, parameter.type)
    if text.startswith("map"):
        # Descriptions call a map what it is in memory.
        assert isinstance(type_, List)
        assert isinstance(type_.element, Tuple)
        return Map(*type_.element.items)
    return type_


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
    kinds = "bool u8 s8 u16 s16 u32 s32 u64 s64 f32 f64 char string list map tuple record variant"
    words = [re.split("[ <]", first_cell(row))[0] for row in ROWS]
    assert set(words) == {*kinds.split(), "enum", "flags", "option", "result", "type"}
