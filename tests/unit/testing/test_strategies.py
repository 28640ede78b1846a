"""Strategies: edge values are likely, and scripts only use resources that they have."""

from __future__ import annotations

import math
import operator
import subprocess
import sys
from functools import partial
from typing import Any

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from hlwasm.errors import Err
from hlwasm.testing import strategies
from hlwasm.testing.script_strategies import callable_functions
from hlwasm.testing.scripts.data import Handle
from hlwasm.testing.scripts.steps import Script, parse_script
from hlwasm.wit.model import Description, Own
from hlwasm.wit.values import Ok
from tests.unit.codec.worlds import World

# What is likely only would fail now and then.
SAME_EACH_TIME = settings(derandomize=True, database=None, max_examples=3000, deadline=None)


@pytest.mark.parametrize(
    ("type_", "edges"),
    [
        ("u8", [0, 1, 127, 128, 255]),
        ("s8", [-128, -1, 0, 127]),
        ("u32", [0, 2**31, 2**32 - 1]),
        ("s64", [-(2**63), -1, 2**63 - 1]),
        ("f64", [math.inf, -math.inf, 5e-324]),
        ("string", ["", "\0"]),
        ("char", ["\U0010ffff", "\0"]),
        ("bool", [False, True]),
    ],
)
def test_edges_are_found(type_: str, edges: list[Any]) -> None:
    values = strategies.values(World().description(), type_)
    for edge in edges:
        assert find(values, partial(operator.eq, edge), settings=SAME_EACH_TIME) == edge


def test_flags_shrink_to_one() -> None:
    world = World()
    flags = world.flags("f", *[f"flag-{i}" for i in range(9)])
    description = world.description()
    values = strategies.values(description, flags)
    found = find(values, lambda value: value.value >= 4, settings=SAME_EACH_TIME)
    assert found.value == 4


def test_cases_within_cases_are_not_all_written_out() -> None:
    world = World()
    kind: Any = "u8"
    for _ in range(40):
        kind = world.result(kind, kind)
    description = world.description()
    # Written out, there would be 2**40 cases.
    values = strategies.values(description, kind)
    values.validate()
    seen = set()

    @settings(max_examples=20, database=None)
    @given(values)
    def draw(value: Any) -> None:
        seen.add(type(value))

    draw()
    assert seen == {Ok, Err}


def test_nan_and_minus_zero_are_found() -> None:
    values = strategies.values(World().description(), "f32")
    assert math.isnan(find(values, math.isnan, settings=SAME_EACH_TIME))
    assert find(values, _is_minus_zero, settings=SAME_EACH_TIME) == 0
    without = strategies.values(World().description(), "f32", allow_nan=False)
    settings(max_examples=200, database=None)(given(without)(lambda v: _is_number(v)))()


def _is_minus_zero(value: float) -> bool:
    return value == 0 and math.copysign(1, value) < 0


def _is_number(value: float) -> None:
    assert value == value


def test_a_call_is_shown_as_wave_and_shrinks() -> None:
    world = World()
    item = world.record("item", name="string", tags=world.list("u8"))
    world.function("put", {"item": item, "where": world.option("s32")})
    calls = strategies.calls(world.description(), "ops.put")
    call = find(calls, lambda call: call.arguments[1] is not None, settings=SAME_EACH_TIME)
    assert repr(call) == 'ops.put({name: "", tags: []}, some(0))'


def shop() -> Description:
    world = World()
    counter = world.resource("counter", "guest")
    own, borrow = world.own(counter), world.borrow(counter)
    more: dict[str, Any] = {"kind": "constructor", "resource": counter}
    world.function("[constructor]counter", {}, own, **more)
    more["kind"] = "method"
    world.function("[method]counter.add", {"self": borrow, "n": "u32"}, "u32", **more)
    world.function("pair", {"old": world.option(own)}, world.tuple(own, own))
    world.function("eat-all", {"them": world.list(own), "one": borrow})
    world.function("print", {"page": world.own(world.resource("page", "host"))})
    lonely = world.resource("lonely", "guest")
    world.function("meet", {"it": world.borrow(lonely)})
    world.function("perhaps", {"it": world.option(world.borrow(lonely))})
    return world.description()


SHOP = shop()


@settings(max_examples=300, deadline=None)
@given(strategies.scripts(SHOP))
def test_scripts_use_what_they_have_and_nothing_twice(script: Script) -> None:
    live: set[Handle] = set()
    for step in script.steps:
        assert step.handles() <= live
        if step.function is None:
            live.remove(step.arguments[0])
            continue
        owned = [
            handle
            for param, data in zip(step.function.params, step.arguments, strict=True)
            for handle in _given_away(param.type, data)
        ]
        assert len(owned) == len(set(owned))
        live -= set(owned)
        names = {handle for handle, _ in step.gives}
        assert not names & live
        live |= names


def _given_away(ref: Any, data: Any) -> list[Handle]:
    type_ = SHOP.types[ref] if isinstance(ref, int) else None
    if isinstance(type_, Own):
        return [data] if not data.name.startswith("fake-") else []
    if isinstance(data, list):
        return [handle for each in data for handle in _given_away(type_.element, each)]  # type: ignore[union-attr]
    if getattr(data, "name", "") == "some":
        return _given_away(type_.some, data.payload)  # type: ignore[union-attr]
    return []


@settings(max_examples=100, deadline=None)
@given(strategies.scripts(SHOP))
def test_scripts_read_back(script: Script) -> None:
    text = str(script)
    assert str(parse_script(SHOP, text.splitlines())) == text


def test_what_nothing_gives_is_not_called() -> None:
    names = {each.name for each in callable_functions(SHOP)}
    assert "meet" not in names
    assert "perhaps" in names
    with pytest.raises(LookupError, match="nothing that the component exports can be called"):
        strategies.scripts(SHOP, "meet")


def test_resources_are_for_scripts() -> None:
    with pytest.raises(TypeError, match="use strategies"):
        strategies.calls(SHOP, "ops.pair")
    found: set[str] = set()
    settings(max_examples=20, database=None)(
        given(strategies.calls(SHOP, resources=lambda kind, owned: st.just("a resource")))(
            lambda call: found.add(call.function.name)
        )
    )()
    assert len(found) > 3


def test_without_hypothesis_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['hypothesis'] = None\nimport hlwasm.testing.strategies"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == (
        "ImportError: this part of hlwasm.testing needs Hypothesis: pip install 'hlwasm[testing]'"
    )
