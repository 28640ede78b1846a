"""inventory_py: a component made by componentize-py, with CPython inside."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import hlwasm
from tests.integration.conftest import Load, Start

pytestmark = [pytest.mark.hypervisor, pytest.mark.toolchain("componentize-py")]


class Page:
    """The host's side of the imported resource."""

    opened: list[Page]

    def __init__(self, title: str) -> None:
        self.title = title
        self.lines: list[tuple[Any, str]] = []
        self.opened.append(self)

    def write(self, level: Any, line: str) -> int:
        self.lines.append((level, line))
        return len(self.lines)


class Host:
    """What the inventory imports."""

    def __init__(self) -> None:
        self.pages: list[Page] = []
        self.prices = {"drill": 4999, "milk": 120}
        self.journal = SimpleNamespace(Page=type("Page", (Page,), {"opened": self.pages}))
        self.supplier = self
        self.asked: list[tuple[str, Any]] = []

    def now(self) -> int:
        return 2**40

    def price(self, name: str, category: Any) -> int:
        self.asked.append((name, category))
        if name not in self.prices:
            raise hlwasm.Err(f"nobody sells {name}")
        return self.prices[name]


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def sandbox(start: Start, host: Host) -> hlwasm.Sandbox:
    return start("inventory_py", host)


@pytest.fixture
def stock(sandbox: hlwasm.Sandbox) -> Any:
    return sandbox.exports.stock


def item(types: Any, number: int = 1, **changes: Any) -> Any:
    values = {
        "id": number,
        "name": "drill",
        "category": "tool",
        "handling": {"heavy"},
        "count": 10,
        "size": (0.5, 0.25, 0.125),
        "note": None,
        "tags": ["electric"],
        "place": types.Place.Shelf({"aisle": 3, "level": 1}),
    }
    return {**values, **changes}


def test_records_come_back_as_they_went_in(stock: Any) -> None:
    stock.add(item(stock, 2**63, tags=["a", "ü", "🛠"], note="handle with care"))
    found = stock.find(2**63)
    assert found.name == "drill"
    assert found.category is stock.Category.TOOL
    assert found.handling == stock.Handling.HEAVY
    assert found.place == stock.Place.Shelf(type(found.place.value)(aisle=3, level=1))
    assert found.size == (0.5, 0.25, 0.125)
    assert found.note == "handle with care"
    assert found.tags == ["a", "ü", "🛠"]
    assert stock.find(5) is None
    # What came out can go in again.
    found.id = 7
    stock.add(found)
    assert stock.find(7) == found


def test_errors_of_each_kind(sandbox: hlwasm.Sandbox, stock: Any) -> None:
    stock.add(item(stock))

    def problem(call: Any, *arguments: Any) -> Any:
        with pytest.raises(hlwasm.Err) as caught:
            call(*arguments)
        return caught.value.value

    assert problem(stock.take, 99, 1) == stock.Problem.UnknownItem(99)
    match problem(stock.take, 1, 11):
        case stock.Problem.NotEnough(shortage):
            assert (shortage.wanted, shortage.available) == (11, 10)
        case other:
            pytest.fail(f"unexpected {other}")
    assert problem(stock.add, item(stock, 3, name="")) == stock.Problem.Invalid(
        "an item needs a name"
    )
    assert sandbox.exports.set_open(False) is True
    assert problem(stock.take, 1, 1) == stock.Problem.Closed()
    assert sandbox.exports.set_open(open=True) is False
    assert stock.take(1, 4) == 6


def test_variants_both_ways(stock: Any) -> None:
    stock.add(item(stock))
    pallet, transit = stock.Place.Pallet("P-7"), stock.Place.InTransit()
    before = stock.move_to(1, pallet)
    assert isinstance(before, stock.Place)
    assert before.value.aisle == 3
    assert stock.move_to(1, transit) == pallet
    assert stock.move_to(1, transit) == transit
    # Any object that says which case it is will do.
    assert stock.move_to(1, SimpleNamespace(wit_case="pallet", value="P-8")) == transit
    with pytest.raises(hlwasm.Err, match="too heavy for shelf 1/2"):
        stock.move_to(1, stock.Place.Shelf(SimpleNamespace(aisle=1, level=2)))


def test_search_with_options_and_flags(stock: Any) -> None:
    stock.add(item(stock, 1))
    stock.add(item(stock, 2, name="milk", category="food", handling={"cold", "keep-dry"}, tags=[]))
    stock.add(item(stock, 3, name="gear", category=stock.Category.SPARE_PART, handling=[]))

    def ids(**wanted: Any) -> list[int]:
        wanted = {"category": None, "handling": 0, "text": None, **wanted}
        return [found.id for found in stock.search(wanted)]

    assert ids() == [1, 2, 3]
    assert ids(category="food") == [2]
    assert ids(handling=stock.Handling.COLD | stock.Handling.KEEP_DRY) == [2]
    assert ids(handling={"cold", "heavy"}) == []
    assert ids(text="electric", category=stock.Category.TOOL) == [1]
    [milk] = stock.search({"category": "food", "handling": 0, "text": None})
    assert milk.handling == stock.Handling.COLD | stock.Handling.KEEP_DRY


def test_host_functions_may_answer_with_errors(stock: Any, host: Host) -> None:
    stock.add(item(stock, 1, count=2))
    stock.add(item(stock, 2, name="gear", category="spare-part"))
    assert stock.worth() == (2 * 4999, ["gear: nobody sells gear"])
    assert [name for name, _ in host.asked] == ["drill", "gear"]
    assert host.asked[1][1].value == "spare-part"


def test_the_host_s_resource(stock: Any, host: Host) -> None:
    stock.add(item(stock))
    with pytest.raises(hlwasm.Err):
        stock.take(1, 100)
    [page] = host.pages
    assert page.title == "stock"
    assert [(level.value, line) for level, line in page.lines] == [
        ("info", f"{2**40}: 10 x drill to shelf 3/1"),
        ("warning", f"{2**40}: not enough drill"),
    ]


def test_the_component_s_resource(sandbox: hlwasm.Sandbox, stock: Any) -> None:
    stock.add(item(stock, 1))
    stock.add(item(stock, 2))
    with stock.Reservation("Ann") as first, stock.Reservation("Bob") as second:
        first.set_aside(1, 2)
        first.set_aside(1, 1)
        first.set_aside(2, 5)
        second.set_aside(1, 7)
        assert first.lines() == [(1, 3), (2, 5)]
        assert second.lines() == [(1, 7)]
        with pytest.raises(hlwasm.Err) as caught:
            second.set_aside(1, 1)
        assert caught.value.value == stock.Problem.NotEnough(
            type(caught.value.value.value)(wanted=1, available=0)
        )
        assert stock.Reservation.collect(second) == 7
        # `collect` consumed it.
        with pytest.raises(hlwasm.WitValueError, match="this reservation was given away"):
            second.lines()
        assert first.lines() == [(1, 3), (2, 5)]
    assert sandbox.exports.summary() == "2 items, 5 pieces, open"


def test_sandboxes_share_nothing(start: Start) -> None:
    one, two = start("inventory_py", Host()), start("inventory_py", Host())
    one.exports.stock.add(item(one.exports.stock))
    assert one.exports.summary() == "1 items, 10 pieces, open"
    assert two.exports.summary() == "0 items, 0 pieces, open"


def test_wrong_answers_of_host_functions_are_refused(start: Start) -> None:
    host = SimpleNamespace(
        now=lambda: 0,
        journal=Host().journal,
        supplier={"price": lambda name, category: "cheap"},
    )
    sandbox = start("inventory_py", host)
    sandbox.exports.stock.add(item(sandbox.exports.stock))
    with pytest.raises(hlwasm.WitTypeError, match=r"supplier\.price"):
        sandbox.exports.stock.worth()
    assert sandbox.status is hlwasm.Status.POISONED


def test_an_exception_inside_the_component_is_a_trap(start: Start, host: Host) -> None:
    host.prices = {"drill": 2**32 - 1}
    errors: list[bytes] = []
    sandbox = start("inventory_py", host, wasi=hlwasm.Wasi(stderr=errors.append))
    stock = sandbox.exports.stock
    for number in range(2):
        stock.add(item(stock, number, count=2**32 - 1))
    # More cents than fit u64.
    with pytest.raises(hlwasm.Trap) as caught:
        stock.worth()
    assert b"OverflowError" in b"".join(errors)
    assert any("componentize_py" in frame.module for frame in caught.value.backtrace)
    assert sandbox.status is hlwasm.Status.POISONED


def test_many_items(stock: Any) -> None:
    for number in range(300):
        stock.add(item(stock, number, name=f"thing {number}", tags=[str(number)] * 3))
    everything = stock.search({"category": None, "handling": 0, "text": None})
    assert [found.name for found in everything] == [f"thing {number}" for number in range(300)]


def test_componentize_py_s_own_export_is_hidden(load: Load) -> None:
    exported = {
        interface.name
        for interface in load("inventory_py").description.interfaces
        if interface.direction == "export"
    }
    assert exported == {"demo:inventory/stock@1.0.0"}
