"""Scripts as text, and what depends on what in them."""

from __future__ import annotations

import pytest

from hlwasm.testing.scripts.data import Handle
from hlwasm.testing.scripts.steps import Script, Step, parse_script
from hlwasm.wit.model import Description
from hlwasm.wit.wave import WaveError
from tests.unit.codec.worlds import World


@pytest.fixture
def shop() -> Description:
    world = World()
    counter = world.resource("counter", "guest")
    own, borrow = world.own(counter), world.borrow(counter)
    page = world.own(world.resource("page", "host"))
    inner = {"kind": "constructor", "resource": counter}
    world.function("[constructor]counter", {"start": "u32"}, own, **inner)
    world.function(
        "[method]counter.add", {"self": borrow, "n": "u32"}, "u32", kind="method", resource=counter
    )
    world.function("pair", {}, world.tuple(own, own))
    world.function("eat", {"it": own, "text": "string"}, world.option(own))
    world.function("print", {"page": page})
    return world.description()


LINES = [
    "counter-1 = ops.[constructor]counter(3)",
    "counter-2, counter-3 = ops.pair()",
    "ops.[method]counter.add(counter-2, 4)",
    'counter-4 = ops.eat(counter-3, "drop = x")',
    "drop counter-4",
    "ops.print(fake-page)",
]


def test_a_script_reads_back(shop: Description) -> None:
    script = parse_script(shop, LINES)
    assert str(script).splitlines() == LINES
    assert parse_script(shop, str(script).splitlines()) == script


def test_a_step_goes_with_those_that_use_its_resources(shop: Description) -> None:
    script = parse_script(shop, LINES)
    assert script.kept_without(1) == [0, 5]
    assert script.kept_without(2) == [0, 1, 3, 4, 5]
    assert script.kept_without(0) == [1, 2, 3, 4, 5]


def test_names_that_nothing_uses_are_left_out(shop: Description) -> None:
    script = parse_script(shop, LINES[:3]).without_unused_names()
    assert str(script).splitlines() == [
        "ops.[constructor]counter(3)",
        "counter-2 = ops.pair()",
        "ops.[method]counter.add(counter-2, 4)",
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("ops.[method]counter.add(counter-9, 4)", "no line before this one gives counter-9"),
        ("ops.[method]counter.add(7, 4)", "expected the name of a borrow<counter>, got '7'"),
        ("page-1 = ops.pair()", "pair gives no resource called page-1"),
        ("counter-1 = ops.print(fake-page)", "print gives no resource called counter-1"),
        ("ops.nothing()", "exports no function ops.nothing"),
        ("drop", "expected a call"),
        ("counter-1 =", "expected a call"),
        ("drop counter-9", "no line before this one gives counter-9"),
    ],
)
def test_lines_that_are_no_steps(shop: Description, line: str, problem: str) -> None:
    with pytest.raises(WaveError) as caught:
        parse_script(shop, [line])
    assert problem in str(caught.value)


def test_a_drop_shows_its_resource() -> None:
    assert str(Script((Step(None, (Handle("a-1"),)),))) == "drop a-1"
