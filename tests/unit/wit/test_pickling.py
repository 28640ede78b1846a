"""Values of classes made at run time go through pickle and copy."""

from __future__ import annotations

import copy
import dataclasses
import gc
import multiprocessing
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from hlwasm.errors import ComponentNotLoaded
from hlwasm.wit.model import Description, living_descriptions
from hlwasm.wit.sources import parse_wit
from hlwasm.wit.values import Err, Ok, Some

TEXT = """package demo:shapes@1.0.0;
interface geometry {
  record point { x: f32, %from: u8 }
  enum colour { red, dark-blue }
  flags style { bold, underlined }
  variant shape { empty, circle(f32), polygon(list<point>) }
  record drawing { shapes: list<shape>, colour: option<colour>, style: style }
  show: func(d: drawing);
}
"""


def classes(description: Description) -> dict[str, Any]:
    types = description.types_of("demo:shapes/geometry@1.0.0")
    return {name: description.python_type(index) for name, index in types.items()}


def drawing(made: dict[str, Any]) -> Any:
    point, shape, style = made["point"], made["shape"], made["style"]
    return made["drawing"](
        shapes=[shape.Empty(), shape.Circle(1.5), shape.Polygon([point(1.0, 2), point(3.0, 4)])],
        colour=made["colour"].DARK_BLUE,
        style=style.BOLD | style.UNDERLINED,
    )


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_values_survive_pickling_with_their_classes(protocol: int) -> None:
    description = parse_wit(TEXT)
    value = drawing(classes(description))
    copied = pickle.loads(pickle.dumps(value, protocol))
    assert copied == value
    assert type(copied.shapes[2].value[0]) is type(value.shapes[2].value[0])
    assert copied.colour is value.colour
    for wrapped in (Ok(value), Some(None), Ok(), Err(value)):
        assert pickle.loads(pickle.dumps(wrapped, protocol)) == wrapped


def test_text_of_another_component_is_no_hindrance() -> None:
    known = parse_wit(TEXT)
    fields = {name: getattr(known, name) for name in Description._fields}
    other = Description(**{**fields, "world": "\ud83d alone"})
    assert other in living_descriptions()
    value = drawing(classes(known))
    assert pickle.loads(pickle.dumps(value)) == value


def test_where_a_component_is_loaded_twice_the_same_class_comes_back() -> None:
    first, second = parse_wit(TEXT), parse_wit(TEXT)
    for description in (first, second):
        value = drawing(classes(description))
        assert type(pickle.loads(pickle.dumps(value))) is type(value)
    assert classes(first)["point"] is not classes(second)["point"]


def unpickled(text: str, data: bytes) -> str:
    kept = parse_wit(text)
    return f"{pickle.loads(data)!r} of {kept.world}"


@pytest.fixture
def elsewhere() -> Callable[[str, bytes], str]:
    """Unpickles in a process that has nothing of this one's; returns the value's text."""

    def run(text: str, data: bytes) -> str:
        with multiprocessing.get_context("spawn").Pool(1) as processes:
            return processes.apply(unpickled, (text, data))

    return run


def test_another_process_that_loads_the_same_unpickles(
    elsewhere: Callable[[str, bytes], str],
) -> None:
    description = parse_wit(TEXT)
    value = drawing(classes(description))
    assert elsewhere(TEXT, pickle.dumps(value)).startswith(repr(value))
    with pytest.raises(ComponentNotLoaded, match=r"demo:shapes/geometry@1\.0\.0#") as caught:
        elsewhere("package a:b; world w {}", pickle.dumps(value))
    assert caught.value.type_name.startswith("demo:shapes/geometry@1.0.0#")


def test_a_type_that_is_gone_is_an_error_and_nothing_is_kept_alive() -> None:
    def pickled() -> bytes:
        return pickle.dumps(drawing(classes(parse_wit(TEXT + "// gone\n"))))

    data = pickled()
    other = parse_wit("package other:w; interface i {}")
    gc.collect()
    assert other in living_descriptions()
    with pytest.raises(ComponentNotLoaded, match=r"load it with hlwasm\.load"):
        pickle.loads(data)


@pytest.mark.parametrize(
    "forge",
    [
        lambda key: (*key[:3], "0"),
        lambda key: (*key[:3], []),
        lambda key: (*key[:3], 0.5),
        lambda key: (*key[:3], None),
        lambda key: (*key[:2], [], key[3]),
        lambda key: (b"", *key[1:]),
        lambda key: key[:3],
        lambda key: [*key],
        lambda key: None,
        lambda key: (*key[:2], "no:such/interface#type", key[3]),
        lambda key: ("0" * 64, *key[1:]),
    ],
)
def test_forged_keys_are_all_the_same_error(forge: Callable[[Any], Any]) -> None:
    value = drawing(classes(parse_wit(TEXT)))
    restore, (key, values) = value.__reduce_ex__(2)[:2]
    assert restore(key, values) == value
    # The index may be one of another version of hlwasm.
    assert restore((*key[:3], 10**9), values) == value
    with pytest.raises(ComponentNotLoaded):
        restore(forge(key), values)


def test_copies_are_equal_and_apart() -> None:
    made = classes(parse_wit(TEXT))
    value = drawing(made)
    shallow, deep = copy.copy(value), copy.deepcopy(value)
    assert shallow == deep == value
    assert shallow.shapes is value.shapes
    assert deep.shapes[2].value is not value.shapes[2].value
    assert deep.colour is value.colour
    assert copy.copy(value.style) == copy.deepcopy(value.style) == value.style
    assert dataclasses.replace(value, colour=None).colour is None
    circle = value.shapes[1]
    assert type(copy.copy(circle)) is made["shape"].Circle
    assert dataclasses.replace(circle, value=3.0) == made["shape"].Circle(3.0)


def test_a_subclass_is_pickled_under_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    made = classes(parse_wit(TEXT))
    mine = type("Mine", (made["point"],), {"__module__": __name__})
    monkeypatch.setitem(globals(), "Mine", mine)
    value: Any = mine(1.0, 2)
    value.note = "extra"
    copies: list[Any] = [pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)]
    for copied in copies:
        assert (type(copied), copied, copied.note) == (mine, value, "extra")


def test_shown_text_evaluates_to_the_value() -> None:
    made = classes(parse_wit(TEXT))
    names = {cls.__name__: cls for cls in made.values()}
    value = drawing(made)
    assert eval(repr(value), names) == value
    nothing = made["style"](0)
    assert eval(repr(nothing), names) == nothing


def test_what_can_change_has_no_hash() -> None:
    made = classes(parse_wit(TEXT))
    for value in (made["point"](1.0, 2), made["shape"].Empty()):
        with pytest.raises(TypeError, match="unhashable"):
            hash(value)
    assert len({made["colour"].RED, made["style"].BOLD, made["style"](1)}) == 2
