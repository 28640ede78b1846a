"""How a component looks from Python: help, signatures, completion, classes, documentation."""

from __future__ import annotations

import copy
import inspect
import pickle
import pydoc
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import hlwasm
from components.build import BUILD, HERE

WIT = HERE / "inventory_py" / "wit"
TYPES = "demo:inventory/types"


class Page:
    def __init__(self, title: str) -> None:
        self.lines = [title]

    def write(self, _: object, line: str) -> int:
        self.lines.append(line)
        return len(self.lines)


IMPORTS = {
    "supplier": {"price": lambda name, category: 1250},
    "journal": {"page": Page},
    "now": lambda: 0,
}

pytestmark = [pytest.mark.hypervisor, pytest.mark.toolchain("componentize-py")]


@pytest.fixture(scope="module")
def component(component_path: Callable[[str], Path]) -> hlwasm.Component:
    path = component_path("inventory_py")
    return hlwasm.load(path, wit=WIT, cache=hlwasm.Cache(BUILD / "artifacts"))


@pytest.fixture(scope="module")
def exports(component: hlwasm.Component) -> Iterator[Any]:
    with component.instantiate(IMPORTS) as sandbox:
        yield sandbox.exports


def shown(thing: object) -> str:
    return pydoc.plain(pydoc.render_doc(thing))


def test_help_tells_interfaces_functions_and_types(exports: Any) -> None:
    text = shown(exports)
    assert "stock: interface demo:inventory/stock@1.0.0" in text
    assert "set_open(open: bool) -> bool\n        Opens or closes the stock" in text
    text = shown(exports.stock)
    assert "The stock itself." in text
    assert "search(filter: Filter) -> list[Item]" in text
    assert "take(id: int, count: int) -> int" in text
    assert "Takes some out; answers how many are left." in text
    assert "Reservation: resource reservation" in text
    # What help() says is of the object; the class has documentation of its own.
    assert "Interfaces and world-level functions" in (type(exports).__doc__ or "")


def test_functions_have_signatures_and_documentation(exports: Any) -> None:
    move = exports.stock.move_to
    assert str(inspect.signature(move)) == "(id: int, place: Place) -> Place"
    assert inspect.getdoc(move) == (
        "Moves an item; answers where it was.\n\n"
        "move-to: func(id: u64, place: place) -> result<place, problem>"
    )
    assert "move_to(id: int, place: Place) -> Place" in shown(move)


def test_resource_classes_tell_what_they_take(exports: Any) -> None:
    reservation = exports.stock.Reservation
    assert str(inspect.signature(reservation)).startswith("(customer: str)")
    text = shown(reservation)
    assert "Items set aside for somebody, until they are collected." in text
    assert "set_aside(self: Reservation, id: int, count: int)" in text
    assert "Hands the items over" in text
    with reservation(customer="me") as made:
        assert {"set_aside", "lines", "collect", "drop"} <= set(dir(made))
        with pytest.raises(TypeError, match=r"pickle|cannot"):
            pickle.dumps(made)


def test_names_are_offered_for_completion(exports: Any) -> None:
    assert dir(exports) == ["set_open", "stock", "summary"]
    assert {"Item", "Reservation", "find", "move_to"} <= set(dir(exports.stock))
    assert "demo:inventory/stock@1.0.0" in exports._ipython_key_completions_()
    with pytest.raises(AttributeError, match=r"exports no 'serch'; it exports .*search") as caught:
        _ = exports.stock.serch
    assert (caught.value.name, caught.value.obj) == ("serch", exports.stock)
    for each in (exports, exports.stock):
        assert dir(copy.copy(each)) == dir(each)
        assert not hasattr(each, "_repr_html_")


def test_types_are_there_without_a_sandbox(component: hlwasm.Component, exports: Any) -> None:
    types = component.types
    assert {"journal", "stock"} <= set(dir(types))
    assert types.stock.Item is types["demo:inventory/types@1.0.0"].Item is exports.stock.Item
    assert types.stock is types["demo:inventory/stock"] is types["stock"]
    assert "Where an item lies." in types[TYPES].Place.__doc__
    assert "size: Width, height and depth in metres." in types[TYPES].Item.__doc__
    assert "record shelf-place { aisle: u16, level: u8 }" in shown(types[TYPES])
    with pytest.raises(AttributeError, match="has no 'Nothing'"):
        _ = types.stock.Nothing
    # WASI has interfaces of this name, too; the component's own goes first.
    assert types.types is types[TYPES]
    assert types.filesystem_types is types["wasi:filesystem/types"]
    with pytest.raises(KeyError, match=r"ambiguous: .*demo:inventory/types@1.0.0"):
        _ = types["types"]
    with pytest.raises(KeyError, match="no types of 'nothing'"):
        _ = types["nothing"]


def test_hints_of_fields_are_types(component: hlwasm.Component) -> None:
    types = component.types[TYPES]
    hints = get_type_hints(types.Item)
    assert hints["category"] is types.Category
    assert hints["size"] == tuple[float, float, float]
    assert hints["note"] == str | None
    assert hints["tags"] == list[str]
    assert get_type_hints(types.Place.Shelf) == {"value": types.ShelfPlace}


UNPICKLE = """
import pickle, sys
import hlwasm
data = bytes.fromhex(sys.stdin.read())
if len(sys.argv) > 1:
    component = hlwasm.load(sys.argv[1], cache=hlwasm.Cache(sys.argv[2]))
try:
    value = pickle.loads(data)
except hlwasm.ComponentNotLoaded as error:
    print(error.sha256)
else:
    print(value, value.Shelf is component.types['demo:inventory/types'].Place.Shelf)
"""


def test_another_process_with_the_component_unpickles(
    component: hlwasm.Component, component_path: Callable[[str], Path]
) -> None:
    types = component.types[TYPES]
    value = types.Place.Shelf(types.ShelfPlace(aisle=1, level=2))

    def elsewhere(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", UNPICKLE, *arguments],
            input=pickle.dumps(value).hex(),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    # That process loads it without wit=: documentation makes no difference.
    path = str(component_path("inventory_py"))
    assert elsewhere(path, str(BUILD / "artifacts")) == f"{value!r} True"
    assert elsewhere() == component.artifact.metadata.source_sha256


def test_without_wit_there_is_no_documentation(component_path: Callable[[str], Path]) -> None:
    path = component_path("inventory_py")
    bare = hlwasm.load(path, cache=hlwasm.Cache(BUILD / "artifacts"))
    assert {each.docs for each in bare.description.exports} == {None}


def test_wit_of_something_else_is_refused(
    component_path: Callable[[str], Path], tmp_path: Path
) -> None:
    path = component_path("inventory_py")
    other = tmp_path / "other.wit"
    other.write_text("package other:thing; world w { export f: func(); }")
    cache = hlwasm.Cache(BUILD / "artifacts")
    with pytest.raises(hlwasm.InvalidWit, match="other:thing/w in wit= has no interface"):
        hlwasm.load(path, wit=other, cache=cache)
    with pytest.raises(hlwasm.InvalidWit, match="no world `nothing`"):
        hlwasm.load(path, wit=WIT, world="nothing", cache=cache)
