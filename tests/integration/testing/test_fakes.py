"""Fakes of imports, used by real components and by hand."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import hlwasm
from hlwasm.testing import (
    ANY,
    Fakes,
)
from tests.integration.async_sandbox.guests import HOST_CALLS
from tests.integration.conftest import Load, Start

needs_hypervisor = pytest.mark.hypervisor


@needs_hypervisor
def test_calls_are_kept_as_wave(calculator: hlwasm.Component, start: Start) -> None:
    fakes = Fakes(calculator)
    assert start("calculator", fakes).exports.ops.total([5, 7]) == 12
    assert [str(call) for call in fakes.calls] == ['log("0 + 5 = 5")', 'log("5 + 7 = 12")']
    assert fakes.log.calls == fakes.calls
    assert fakes.calls[0].name == "log"
    assert fakes.calls[0].arguments == ("0 + 5 = 5",)
    fakes.verify()


@needs_hypervisor
def test_answers_of_a_componentize_py_component(inventory: hlwasm.Component, start: Start) -> None:
    fakes = Fakes(inventory)
    types = fakes.types
    sandbox = start("inventory_py", fakes)
    stock = sandbox.exports.stock
    stock.add(
        {
            "id": 1, "name": "hammer", "category": "tool", "handling": ["heavy"],
            "place": types.Place.Pallet("x"), "count": 3, "size": (1, 2, 3), "note": None,
            "tags": [],
        }
    )  # fmt: skip
    # By default: no error, and nothing.
    assert stock.worth() == (0, [])
    fakes.supplier.price.returns(250)
    assert stock.worth() == (750, [])
    fakes.supplier.price.fails("sold out")
    assert stock.worth() == (0, ["hammer: sold out"])
    fakes.supplier.price.returns_each([1, hlwasm.Ok(2), hlwasm.Err("no")])
    assert [stock.worth()[0] for _ in range(3)] == [3, 6, 0]
    with pytest.raises(AssertionError, match=r"price: called more often than .* \(3\)"):
        stock.worth()
    wanted = fakes.supplier.price.call("hammer", category=types.Category.TOOL)
    assert fakes.supplier.price.calls == [wanted] * 7
    fakes.supplier.price.assert_called_with("hammer", ANY)


@needs_hypervisor
def test_resources(inventory: hlwasm.Component, start: Start) -> None:
    fakes = Fakes(inventory)
    page = fakes.journal.Page
    page.constructor.expect("stock").once()
    page.write.expect(ANY, "info", ANY).at_least(1).returns(1)
    with start("inventory_py", fakes) as sandbox:
        sandbox.exports.stock.add(
            {
                "id": 1, "name": "saw", "category": "tool", "handling": [],
                "place": fakes.types.Place.InTransit(), "count": 1, "size": (1, 1, 1),
                "note": None, "tags": [],
            }
        )  # fmt: skip
        assert len(page.live()) == 1
        assert page.write.calls[0].arguments[0] is page.live()[0]
        assert str(page.write.calls[0]).startswith("journal.Page.write(page-1, info, ")
    assert page.live() == []
    fakes.verify()


@needs_hypervisor
def test_objects_of_ones_own_stand_for_resources(
    kitchen_sink: hlwasm.Component, start: Start
) -> None:
    class Thing:
        def label(self) -> str:
            return "mine"

        def set_label(self, label: str) -> None: ...

        def longer(self, other: Thing) -> str:
            return ""

    fakes = Fakes(kitchen_sink)
    fakes.things.Thing.constructor.does(lambda label: Thing())
    thing = start("kitchen_sink", fakes).exports.things.Thing("x")
    assert thing.label() == "mine"
    # Only what the fakes were asked.
    assert [str(call) for call in fakes.calls] == ['things.Thing("x")']


@needs_hypervisor
def test_a_snapshot_while_the_guest_holds_a_fake_object(
    kitchen_sink: hlwasm.Component, start: Start
) -> None:
    fakes = Fakes(kitchen_sink)
    sandbox = start("kitchen_sink", fakes)
    thing = sandbox.exports.things.Thing("x")
    snapshot = sandbox.snapshot()
    thing.drop()
    assert fakes.things.Thing.live() == []
    sandbox.restore(snapshot)
    with sandbox.exports.things.Thing("y") as other:
        other.label()
    assert str(fakes.calls[-1]) == "things.Thing.label(thing-2)"


@needs_hypervisor
def test_every_import_of_the_kitchen_sink_answers_its_zero_value(
    kitchen_sink: hlwasm.Component, start: Start
) -> None:
    fakes = Fakes(kitchen_sink)
    exports = start("kitchen_sink", fakes).exports
    echo = exports["demo:kitchen-sink/values"]
    color = fakes["demo:kitchen-sink/values"].Color
    expected: dict[str, Any] = {
        "echo_u8": 0, "echo_f64": 0.0, "echo_char": "\0", "echo_string": "",
        "echo_list_u8": b"", "echo_list_string": [], "echo_option_u8": None,
        "echo_bool": False,
    }  # fmt: skip
    given: dict[str, Any] = {
        "echo_u8": 7, "echo_f64": 1.5, "echo_char": "x", "echo_string": "text",
        "echo_list_u8": b"ab", "echo_list_string": ["a"], "echo_option_u8": 3,
        "echo_bool": True,
    }  # fmt: skip
    for name, zero in expected.items():
        assert getattr(echo, name)(given[name]) == zero, name
    assert echo.echo_color(list(color)[-1]) is next(iter(color))
    tuple17 = echo.echo_tuple2((3, "x"))
    assert tuple17 == (0, "")
    assert len(fakes.calls) == len(expected) + 2


@needs_hypervisor
def test_a_wrong_answer_of_a_function_is_an_error_with_its_path(
    kitchen_sink: hlwasm.Component, start: Start
) -> None:
    fakes = Fakes(kitchen_sink)
    fakes["demo:kitchen-sink/values"].echo_list_point.does(
        lambda value: [{"x": 1, "y": "wrong"} for _ in value]
    )
    echo = start("kitchen_sink", fakes).exports["demo:kitchen-sink/values"]
    point = {"x": 1, "y": 2}
    with pytest.raises(hlwasm.WitTypeError, match=r"values\.echo_list_point: result\[0\]\.y: "):
        echo.echo_list_point([point])
    with pytest.raises(hlwasm.WitTypeError):
        fakes.verify()


def test_names_of_the_fakes_by_item(kitchen_sink: hlwasm.Component) -> None:
    fakes = Fakes(kitchen_sink)
    assert fakes["twice"] is fakes.twice
    assert fakes["demo:kitchen-sink/things@1.0.0"] is fakes.things
    assert fakes["demo:kitchen-sink/things"] is fakes["things"] is fakes.things
    assert "twice" in dir(fakes) and "things" in dir(fakes)
    assert "demo:units/convert@1.2.3" in repr(fakes)


@needs_hypervisor
def test_an_exception_of_a_fake_ends_the_call(calculator: hlwasm.Component, start: Start) -> None:
    fakes = Fakes(calculator)
    fakes.log.raises(KeyError("disk"))
    with pytest.raises(KeyError, match="disk"):
        start("calculator", fakes).exports.ops.total([1])
    # What a test asked for is no failure.
    fakes.verify()


@needs_hypervisor
def test_async_answers(load: Load) -> None:
    component = load("calculator")
    fakes = Fakes(component)
    said: list[str] = []

    async def log(message: str) -> None:
        await asyncio.sleep(0)
        said.append(message)

    fakes.log.does(log)

    async def main() -> int:
        async with component.instantiate_async(fakes) as sandbox:
            total: int = await sandbox.exports.ops.total([5])
            return total

    assert asyncio.run(main()) == 5
    assert said == ["0 + 5 = 5"]
    fakes.verify()


@needs_hypervisor
def test_wasi_is_real_unless_it_is_faked(load: Load) -> None:
    program = load("wasi_program_py")
    imported = [i.name for i in program.description.interfaces if i.direction == "import"]
    clock = next(name for name in imported if name.startswith("wasi:clocks/wall-clock"))
    assert "wall_clock" not in dir(Fakes(program))
    fakes = Fakes(program, wasi=["wasi:clocks/wall-clock"])
    assert dir(fakes[clock]) == dir(fakes.wall_clock)
    written: list[bytes] = []
    fakes.wall_clock.now.expect().at_least(1).returns({"seconds": 1234, "nanoseconds": 0})
    grants = hlwasm.Wasi(args=["program", "sleep", "0"], stdout=written.append)
    with program.instantiate(fakes, wasi=grants) as sandbox:
        assert sandbox.run() == 0
    assert b"".join(written).endswith(b" 1234\n")
    fakes.verify()
    with pytest.raises(ValueError, match="does not import wasi:clocks/sundial; it imports wasi:"):
        Fakes(program, wasi=["wasi:clocks/sundial"])


def test_what_a_coroutine_answers_is_checked() -> None:
    component = hlwasm.load(HOST_CALLS, cache=False)
    fakes = Fakes(component)

    async def wrong(key: int) -> str:
        await asyncio.sleep(0)
        return "text"

    async def refuse(key: int) -> int:
        raise AssertionError("not this one")

    async def main() -> None:
        for answer, error in ((wrong, hlwasm.WitTypeError), (refuse, AssertionError)):
            fakes.fetch.does(answer)
            async with component.instantiate_async(fakes) as sandbox:
                with pytest.raises(error):
                    await sandbox.exports.next(1)

    asyncio.run(main())
    # The first one, though the test has swallowed it.
    with pytest.raises(hlwasm.WitTypeError, match="expected u32, got str 'text'"):
        fakes.verify()
    assert len(fakes._journal.failures) == 2
