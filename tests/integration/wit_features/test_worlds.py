"""The table of what worlds consist of: each row has a check with its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import hlwasm
from components.kitchen_sink.catalogue import FUNCTIONS, MIXED
from hlwasm.wit.sources import parse_wit
from tests.integration.conftest import Start
from tests.integration.kitchen_sink_host import Host
from tests.integration.maps_of_handles import GUEST
from tests.integration.resources_host import Store
from tests.integration.wit_features.components import FALLIBLE, WORLD_ITEMS, strings
from tests.integration.wit_features.page import first_cell, rows
from tests.wit_packages import TEXT, package

Check = Callable[[Start], None]
CHECKS: dict[str, Check] = {}


def checks(feature: str) -> Callable[[Check], Check]:
    """The function runs what a row says."""

    def register(check: Check) -> Check:
        assert feature not in CHECKS
        CHECKS[feature] = check
        return check

    return register


@pytest.mark.hypervisor
@pytest.mark.toolchain("cargo")
@pytest.mark.parametrize("feature", [*map(first_cell, rows("Worlds and interfaces"))])
def test_worlds(start: Start, feature: str) -> None:
    CHECKS[feature](start)


def test_each_check_has_a_row() -> None:
    assert list(map(first_cell, rows("Worlds and interfaces"))) == list(CHECKS)


def exported(text: str) -> list[str]:
    """The exported functions of the last world of a package, and their interfaces."""
    described = parse_wit(f"package docs:page@1.0.0; {text}", "w")
    return [f"{each.interface or ''}#{each.name}" for each in described.exports]


@checks("interfaces, imported and exported")
def interfaces(start: Start) -> None:
    host = Host()
    exports = start("kitchen_sink", host).exports
    assert exports["demo:kitchen-sink/values@1.0.0"].echo_u8(5) == 5
    assert host.asked == ["echo-u8"]


@checks("functions of the world")
def functions_of_the_world(start: Start) -> None:
    host = Host()
    exports = start("kitchen_sink", host).exports
    assert exports.thrice(7) == 21
    exports.touch()
    assert host.notes == [("touched", 7), ("", None)]


class Counter:
    def __init__(self, start: int) -> None:
        self.start = start

    def get(self) -> int:
        return self.start


def world_items(start: Start) -> Any:
    imports = {
        "Counter": Counter,
        "turn": lambda point: point,
        "log": {"write": lambda entry: entry.level + 1},
    }
    return start(WORLD_ITEMS, imports).exports


@checks("types of the world")
def types_of_the_world(start: Start) -> None:
    exports = world_items(start)
    assert exports.look(Counter(9)) == 9
    point = exports.go({"x": 5})
    assert (type(point).__name__, point.x) == ("Point", 6)


@checks("inline interfaces")
def inline_interfaces(start: Start) -> None:
    # One more, by the function of the interface "log".
    assert world_items(start).go({"x": 1}).x == 2
    assert exported("world w { export log: interface { f: func(); } }") == ["log#f"]


@checks("use, use … as, include, include … with")
def uses(start: Start) -> None:
    assert exported(
        "interface i { record p { x: u8 } } interface j { use i.{p as q}; f: func(q: q) -> q; }"
        " world v { export g: func(); export j; } world w { include v; }"
    ) == ["#g", "docs:page/j@1.0.0#f"]
    renamed = "world v { export g: func(); } world w { include v with { g as h } }"
    assert exported(renamed) == ["#h"]
    # The kitchen sink's interface `echo` uses the types of `values`.
    exports = start("kitchen_sink", Host()).exports
    value = exports["demo:kitchen-sink/values@1.0.0"].Mixed.Small(1)
    assert exports["demo:kitchen-sink/echo@1.0.0"].echo_mixed(value) == value
    assert MIXED.name == "mixed"


@checks("packages with versions")
def versions(start: Start) -> None:
    exports = start("kitchen_sink", Host()).exports
    first, second = exports["demo:shapes/areas@0.1.0"], exports["demo:shapes/areas@0.2.0"]
    assert first.area(first.Rectangle(width=6, height=7)) == 42
    assert second.area({"width": 2.0, "height": 3.0, "label": None}) == 63.0


@checks("nested packages")
def nested_packages(start: Start) -> None:
    text = "package other:one { interface i { f: func(); } } world w { export other:one/i; }"
    assert exported(text) == ["other:one/i#f"]


@checks("packages in binary form")
def packages_in_binary_form(start: Start) -> None:
    described = parse_wit(package(), "tool")
    assert described.exports == parse_wit(TEXT, "tool").exports
    assert [each.name for each in described.exports] == ["add"]


@checks("resources of the host")
def resources_of_the_host(start: Start) -> None:
    store = Store()
    client = start("resources", {"store": store}).exports.client
    blob = client.make("name", b"bytes")
    assert client.describe(blob) == ("name", 5)
    client.discard(blob)
    assert blob.closed == 1


@checks("resources of the component")
def resources_of_the_component(start: Start) -> None:
    counters = start("resources", {"store": Store()}).exports.counters
    with counters.Counter(5) as counter:
        assert counter.add(2) == 7
        assert counter.above(counters.Counter.checked(1))
    assert counters.destroyed()[0] == 2


@checks("constructors that fail")
def constructors_that_fail(start: Start) -> None:
    boxes = start(FALLIBLE).exports.boxes
    assert boxes.Box(5).get() == 5
    with pytest.raises(hlwasm.Err) as caught:
        boxes.Box(0)
    assert caught.value.value == 7


@checks("handles in values")
def handles_in_values(start: Start) -> None:
    counters = start("resources", {"store": Store()}).exports.counters

    def new() -> Any:
        return counters.Counter(3)

    group = counters.Group
    assert group.One(new()).value.value() == 3
    [one, two] = counters.turn(group.Many([new(), new()])).value
    assert one.value() + two.value() == 6
    assert counters.turn(group.Named({"name": "x", "counter": new()})).value.counter.value() == 3
    assert counters.turn_option(new()).value() == 3
    assert counters.turn_result(hlwasm.Ok(new())).value() == 3
    assert counters.turn_tuple((new(), 1))[0].value() == 3
    assert counters.sum(counters.Seen.Many([one, two])) == 6
    boxes = start(GUEST.encode()).exports.boxes
    [(key, box)] = boxes.turn([("a", boxes.Box(3))])
    assert (key, boxes.sum([("b", box)])) == ("a", 3)


@checks("many parameters, large results")
def many_parameters(start: Start) -> None:
    echo = start("kitchen_sink", Host()).exports["demo:kitchen-sink/echo@1.0.0"]
    count = len(FUNCTIONS["gather-twenty"].parameters)
    assert count == 20
    assert echo.gather_twenty(*range(count)) == tuple(range(count))


@checks("strings in UTF-16 and Latin-1")
def strings_in_other_encodings(start: Start) -> None:
    for encoding in ("utf8", "utf16", "latin1+utf16"):
        sandbox = start(strings(encoding), {"change": lambda text: text[::-1]})
        for text in ("", "plain", "naïve ÿ", "€ 😀 \0"):
            assert sandbox.exports.relay(text) == text[::-1]


@checks("gates and documentation")
def gates(start: Start) -> None:
    text = """
        /// About the interface.
        @since(version = 0.1.0) interface i {
            @since(version = 0.1.0) @deprecated(version = 0.2.0) f: func();
            @unstable(feature = later) g: func();
        }
        world w { export i; }"""
    assert exported(text) == ["docs:page/i@1.0.0#f"]


@checks("names that are keywords")
def keywords(start: Start) -> None:
    echo = start("kitchen_sink", Host()).exports["demo:kitchen-sink/echo@1.0.0"]
    assert echo.import_(1) == echo.class_(1) == echo.return_(1) == echo["delete"](1) == 1
    answer = echo.yield_(self=1, from_="a", lambda_="def", new=True)
    assert answer[:2] == (1, "a")
    assert answer[2].name == "DEF"
