from __future__ import annotations

import json
from typing import Any

import pytest

from hlwasm.errors import ArtifactError
from hlwasm.wit.model import Description, List, Record
from hlwasm.wit.type_text import definition_text, function_text, type_text
from tests.unit.codec.worlds import INTERFACE, World


@pytest.fixture
def raw() -> dict[str, Any]:
    world = World()
    point = world.record("point", x="f32", y="f32")
    world.function("[method]pen.draw", {"points": world.list(point)}, world.option("string"))
    return world.json()


def test_a_description_is_read_from_text_bytes_and_objects(raw: dict[str, Any]) -> None:
    for source in (raw, json.dumps(raw), json.dumps(raw).encode()):
        description = Description.from_json(source)
        function = description.exports[0]
        assert function.description is description
        assert function.params[0].name == "points"
        points = description.types[function.params[0].type]  # type: ignore[index]
        assert isinstance(points, List)
        point = description.type(points.element)  # type: ignore[arg-type]
        assert isinstance(point, Record)
        assert [field.name for field in point.fields] == ["x", "y"]
        assert description.types_of(INTERFACE, "import") == {"point": 0}
        assert description.types_of("other:thing/x", "import") == {}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format": 2}, "format 2"),
        ({"format": None}, "format None"),
        ({"exports": [{}]}, "KeyError"),
        ({"exports": None}, "TypeError"),
        ({"types": {}}, "is no list"),
        ({"source_kind": "thing"}, "'thing' is none of"),
    ],
)
def test_a_wrong_description_is_refused(
    raw: dict[str, Any], change: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ArtifactError, match=problem):
        Description.from_json({**raw, **change})


def test_nothing_of_a_description_acts_on_a_terminal(raw: dict[str, Any]) -> None:
    function = raw["exports"][0]
    function["docs"] = "Draws.\r\n\n\ta \x1b[31mred \u202eenil\x9b2J"
    docs = Description.from_json(raw).exports[0].docs
    assert docs == "Draws.\n\n\ta \ufffd[31mred \ufffdenil\ufffd2J"
    function["name"] = "\x1b[31mred"
    with pytest.raises(ArtifactError, match=r"'\\x1b\[31mred' is no name"):
        Description.from_json(raw)


@pytest.mark.parametrize("source", [b"", b"\xff", "{", "[]", "3"])
def test_what_is_no_json_object_is_refused(source: str | bytes) -> None:
    with pytest.raises(ArtifactError):
        Description.from_json(source)


@pytest.mark.parametrize("type_", ["u9", 99, -1, 1.5, True, None, [0]])
def test_references_to_nothing_are_refused(raw: dict[str, Any], type_: Any) -> None:
    raw["exports"][0]["params"][0]["type"] = type_
    with pytest.raises(ArtifactError, match="is no type"):
        Description.from_json(raw)


def test_a_damaged_type_is_refused_when_it_is_used(raw: dict[str, Any]) -> None:
    raw["types"][0]["fields"][0]["type"] = 77
    description = Description.from_json(raw)
    assert description.types[1].index == 1
    with pytest.raises(ArtifactError, match="type 0"):
        description.types[0]
    raw["types"][1]["kind"] = "stream"
    with pytest.raises(ArtifactError, match="unknown kind 'stream'"):
        Description.from_json(raw).types[1]


def test_negative_indices_do_not_count_from_the_end(raw: dict[str, Any]) -> None:
    with pytest.raises(IndexError):
        Description.from_json(raw).types[-1]


def test_descriptions_cannot_be_changed(raw: dict[str, Any]) -> None:
    description = Description.from_json(raw)
    for target, name in [(description, "world"), (description.exports[0], "name")]:
        with pytest.raises(AttributeError):
            setattr(target, name, "x")


def test_types_read_as_in_wit() -> None:
    world = World()
    resource = world.resource("blob")
    shape = world.variant("shape", {"round": "f32", "empty": None})
    refs = {
        world.list(shape): "list<shape>",
        world.option(world.tuple("u8", "string")): "option<tuple<u8, string>>",
        world.result(): "result",
        world.result("u8"): "result<u8>",
        world.result(None, "string"): "result<_, string>",
        world.own(resource): "blob",
        world.borrow(resource): "borrow<blob>",
    }
    world.function("draw", {"shape": shape}, world.list("u8"))
    description = world.description()
    for ref, text in refs.items():
        assert type_text(description, ref) == text
    assert definition_text(description, shape) == "variant shape { round(f32), empty }"
    assert function_text(description, description.exports[0]) == (
        "draw: func(shape: shape) -> list<u8>"
    )


def test_no_type_contains_itself() -> None:
    world = World()
    world.list(0)
    description = Description.from_json(world.json())
    with pytest.raises(ArtifactError, match="damaged at type 0"):
        type_text(description, 0)
