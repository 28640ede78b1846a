"""Immutable classes behave like frozen dataclasses."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest

from hlwasm.frozen import Frozen, late


class Point(Frozen):
    """Two fields, one with a default, and one that is no part of the value."""

    x: int
    y: int = 7
    memo: list[int] = late()

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("x is negative")
        object.__setattr__(self, "memo", [])


class Named(Point):
    name: str = ""


class Spoken(Frozen):
    """Has a constructor of its own."""

    x: int

    def __init__(self, y: int) -> None:
        vars(self)["x"] = y


class Other(Frozen):
    x: int
    y: int


def test_fields_are_given_by_position_or_by_name() -> None:
    assert Point(1, 2) == Point(y=2, x=1) == Point(1, y=2)
    assert (Point(1).x, Point(1).y) == (1, 7)
    assert Named(1, name="a") == Named(1, 7, "a")


@pytest.mark.parametrize(
    ("values", "named", "message"),
    [
        ((), {}, "missing x"),
        ((1, 2, 3), {}, "takes 2 arguments, got 3"),
        ((1,), {"x": 2}, "x is given twice"),
        ((1,), {"z": 2}, "no field 'z'"),
        ((1, 2), {"memo": []}, "no field 'memo'"),
    ],
)
def test_wrong_arguments(values: tuple[Any, ...], named: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Point(*values, **named)


def test_values_are_checked_once_they_are_there() -> None:
    with pytest.raises(ValueError, match="negative"):
        Point(-1)


def test_the_signature_can_be_looked_up() -> None:
    assert str(inspect.signature(Named)) == "(x: 'int', y: 'int' = 7, name: 'str' = '')"
    assert str(inspect.signature(Spoken)) == "(y: 'int') -> 'None'"


def test_equality_is_that_of_class_and_fields() -> None:
    assert Point(1, 2) != Point(1, 3)
    assert Point(1, 2) != Other(1, 2)
    assert Point(1, 2) != Named(1, 2)
    assert Point(1, 2) != (1, 2)
    assert len({Point(1, 2), Point(1, 2), Other(1, 2)}) == 2


def test_a_late_field_is_no_part_of_the_value() -> None:
    one, two = Point(1), Point(1)
    one.memo.append(5)
    assert one == two
    assert hash(one) == hash(two)
    assert repr(Named(1, name="a")) == "Named(x=1, y=7, name='a')"
    assert one.as_dict() == {"x": 1, "y": 7}


def test_nothing_can_be_changed() -> None:
    point: Any = Point(1)
    with pytest.raises(AttributeError, match="immutable"):
        point.x = 2
    with pytest.raises(AttributeError, match="immutable"):
        point.new = 2
    with pytest.raises(AttributeError, match="immutable"):
        del point.x


def test_copies_are_equal() -> None:
    point = Named(1, 2, "a")
    assert copy.copy(point) == copy.deepcopy(point) == point
    assert pickle.loads(pickle.dumps(point)) == point
    assert point.__replace__(y=9) == Named(1, 9, "a")


def test_patterns_match_by_position() -> None:
    match Point(3, 4):
        case Point(x, y):
            assert (x, y) == (3, 4)
