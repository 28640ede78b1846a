from __future__ import annotations

import copy
import dataclasses
import enum
import inspect
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import GenericAlias
from typing import Any, get_type_hints

import pytest

from hlwasm.errors import ArtifactError
from hlwasm.wit.model import Description
from hlwasm.wit.python_types import python_types
from hlwasm.wit.values import Err, Ok, Some, WitFlags
from tests.switching import switching_often
from tests.unit.codec.worlds import World


def test_records_are_dataclasses_with_slots() -> None:
    world = World()
    point = world.record("my-point", x="f32", from_="u8", type="string")
    cls = world.description().python_type(point)
    value = cls(1.5, from_=2, type="t")
    assert repr(value) == "MyPoint(x=1.5, from_=2, type='t')"
    assert value == cls(1.5, 2, "t") != cls(1.5, 3, "t")
    assert [field.name for field in dataclasses.fields(cls)] == ["x", "from_", "type"]
    assert not hasattr(value, "__dict__")
    assert copy.deepcopy(value) == dataclasses.replace(value) == value
    assert "record my-point { x: f32, from: u8, type: string }" in str(cls.__doc__)


def test_a_variant_itself_is_no_value() -> None:
    world = World()
    shape = world.variant("shape", {"circle": "f32", "none": None})
    cls = world.description().python_type(shape)
    with pytest.raises(TypeError, match="Shape is a variant: make one of its cases"):
        cls()


def test_variants_match_case_by_case() -> None:
    world = World()
    shape = world.variant("shape", {"circle": "f32", "none": None, "HTTP3": "u8"})
    cls: Any = world.description().python_type(shape)
    circle, none = cls.Circle(2.0), cls.None_()
    assert isinstance(circle, cls)
    assert circle.wit_case == "circle"
    assert cls.Http3(3).wit_case == "HTTP3"
    assert repr(circle) == "Shape.Circle(value=2.0)"
    assert repr(none) == "Shape.None_()"
    assert not hasattr(none, "value")
    assert circle == cls.Circle(2.0) != cls.Circle(3.0)
    match circle:
        case cls.None_():
            pytest.fail("wrong case")
        case cls.Circle(radius):
            assert radius == 2.0


def test_enums_and_flags() -> None:
    world = World()
    color = world.enum("color", "red", "dark-blue", "none")
    permission = world.flags("permission", "read", "write", "class")
    description = world.description()
    Color: Any = description.python_type(color)
    Permission: Any = description.python_type(permission)
    assert issubclass(Color, enum.Enum)
    assert [(each.name, each.value) for each in Color] == [
        ("RED", "red"),
        ("DARK_BLUE", "dark-blue"),
        ("NONE", "none"),
    ]
    assert repr(Color("dark-blue")) == "Color.DARK_BLUE"
    assert issubclass(Permission, enum.Flag)
    both = Permission.READ | Permission.CLASS
    assert both.value == 5
    assert repr(both) == "Permission.READ|Permission.CLASS"
    assert repr(Permission(0)) == "Permission(0)"
    assert Permission.READ in both
    assert Permission.WRITE not in both


def test_ever_new_combinations_of_flags_do_not_fill_memory() -> None:
    world = World()
    many = world.flags("many", *[f"f{i}" for i in range(32)])
    cls: Any = world.description().python_type(many)
    assert issubclass(cls, WitFlags)
    for bits in range(1 << 31, (1 << 31) + 3000):
        value = cls.from_bits(bits)
        assert value.value == bits
    assert len(cls._value2member_map_) <= 1024
    # Uncached combinations are like the others.
    bits = (1 << 31) + 2999
    assert cls.from_bits(bits) == cls.from_bits(bits)
    assert hash(cls.from_bits(bits)) == hash(cls.from_bits(bits))
    assert cls.F31 in cls.from_bits(bits)
    assert (cls.from_bits(bits) & cls.F31) == cls.F31
    assert "Many.F31" in repr(cls.from_bits(bits))
    assert cls.from_bits(1 << 40 | 1) == cls.F0


def test_a_type_is_one_class_however_it_is_reached() -> None:
    world = World()
    copies = []
    for _ in range(2):
        color = world.enum("color", "red", "blue")
        copies.append(world.record("pixel", at=world.tuple("u8", "u8"), color=color))
    other = world.record("pixel", at=world.tuple("u8", "u16"), color=color)
    description = world.description()
    first, second = (description.python_type(each) for each in copies)
    assert first is second
    assert description.python_type(other) is not first
    assert world.description().python_type(copies[0]) is not first


def test_kinds_without_a_class() -> None:
    world = World()
    numbers = world.list("u8")
    description = world.description()
    assert not description.has_python_type(numbers)
    with pytest.raises(TypeError):
        description.python_type(numbers)


def test_names_that_meet_in_python_are_refused() -> None:
    world = World()
    record = world.record("r", a="u8")
    world.types[record]["fields"] = [
        {"name": name, "type": "u8", "docs": None} for name in ("a-b", "A-b")
    ]
    variant = world.variant("v", {"a-b": None, "aB": None, "A-B": None})
    hostile = world.record("h", a="u8")
    world.types[hostile]["fields"][0]["name"] = "a: int = __import__('os')"
    description = world.description()
    for index in (record, variant, hostile):
        with pytest.raises(ArtifactError):
            description.python_type(index)


def test_annotations_read_like_python() -> None:
    world = World()
    point = world.record("point", x="f32")
    refs = {
        world.list("u8"): "bytes",
        world.list(point): "list[Point]",
        world.option("string"): "str | None",
        world.option(world.option("u8")): "Some[int | None] | None",
        world.tuple("bool", point): "tuple[bool, Point]",
        world.result(None, "char"): "Ok[None] | Err[str]",
    }
    description: Description = world.description()
    for ref, text in refs.items():
        assert python_types(description).annotation(ref) == text


def test_wrappers() -> None:
    nothing: Any = None
    assert Ok() == Ok(nothing) != Ok(1)
    assert Some(nothing) != Some(1)
    assert repr(Some(Ok(3))) == "Some(value=Ok(value=3))"
    assert Err("x") == Err("x") != Err("y")
    match Some(5):
        case Some(value):
            assert value == 5


def test_types_nested_without_end_are_refused() -> None:
    world = World()
    ref = world.record("r", a="u8")
    for number in range(2000):
        ref = world.record(f"r{number}", a=ref)
    with pytest.raises(ArtifactError, match="too deeply"):
        world.description().python_type(ref)


def test_types_as_deep_as_components_have_them_take_little_of_the_stack() -> None:
    world = World()
    ref = world.record("r", a="u8")
    for number in range(100):
        ref = world.record(f"r{number}", a=ref)
    description = world.description()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 450)
    try:
        cls = description.python_type(ref)
    finally:
        sys.setrecursionlimit(limit)
    assert get_type_hints(cls)["a"] is description.python_type(ref - 1)


def test_threads_that_ask_at_the_same_time_get_the_same_class() -> None:
    def ask(_: int) -> tuple[int, ...]:
        start.wait()
        return tuple([id(python_types(description)[ref]) for ref in (outer, color, inner)])

    with switching_often(), ThreadPoolExecutor(4) as threads:
        for _ in range(50):
            world = World()
            inner = world.record("inner", x="u8")
            color = world.enum("color", "red", "blue")
            outer = world.record("outer", a=inner, b=world.list(color))
            description = world.description()
            start = Barrier(4)
            assert len(set(threads.map(ask, range(4)))) == 1


def test_hints_are_types() -> None:
    world = World()
    name = world.record("any", x="f32")
    parts = {
        "a": name,
        "b": world.list(name),
        "c": world.option(world.option("u8")),
        "d": world.result(None, "char"),
        "e": world.tuple(),
        "f": world.list("u8"),
    }
    description = world.description()
    hint = python_types(description).hint
    cls: Any = description.python_type(name)
    expected = [
        cls,
        GenericAlias(list, (cls,)),
        Some[int | None] | None,
        Ok[None] | Err[str],
        tuple[()],
        bytes,
    ]
    assert [hint(ref) for ref in parts.values()] == expected


def test_hints_of_ever_larger_types_end() -> None:
    world = World()
    ref = world.tuple("u8", "u8")
    for _ in range(60):
        ref = world.tuple(ref, ref)
    record = world.record("r", a=ref)
    cls = world.description().python_type(record)
    assert len(str(get_type_hints(cls)["a"])) < 2000
