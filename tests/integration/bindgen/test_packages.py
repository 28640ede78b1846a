"""Generated packages at work: components in micro-VMs, called and served through them."""

from __future__ import annotations

import asyncio
import pickle
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

import hlwasm
from components.kitchen_sink.catalogue import FUNCTIONS
from hlwasm.bindgen.package import generate
from hlwasm.wit.names import python_function_name
from hlwasm.wit.sources import read_wit
from tests.integration.catalogue_values import Values
from tests.integration.conftest import Load
from tests.integration.kitchen_sink_host import Host
from tests.integration.test_corpus import check
from tests.unit.bindgen.importing import import_package

from .conftest import Bindings

pytestmark = pytest.mark.hypervisor
COMPONENTS = Path(__file__).parents[3] / "components"


class Log:
    """The imports of the calculator."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, message: str) -> None:
        self.lines.append(message)


def test_the_calculator(bindings: Bindings, load: Load) -> None:
    calculator, host = bindings("calculator"), Log()
    with calculator.load(load("calculator")).instantiate(host) as sandbox:
        ops = sandbox.exports.ops
        assert ops.add(2, b=3) == 5
        assert ops.total([5, 7]) == 12
        with pytest.raises(hlwasm.Err) as caught:
            ops.divide(1, 0)
        assert caught.value.value is calculator.ops.Failure.DIVISION_BY_ZERO
    assert host.lines == ["0 + 5 = 5", "5 + 7 = 12"]


def test_a_component_from_a_path(
    bindings: Bindings, component_path: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setenv("HLWASM_CACHE_DIR", str(tmp_path))
    calculator = bindings("calculator")
    path = component_path("calculator")
    for source in (path, str(path), path.read_bytes()):
        with calculator.load(source).instantiate(Log()) as sandbox:
            assert sandbox.exports.ops.add(1, 1) == 2


class Page:
    pages: ClassVar[list[Page]] = []

    def __init__(self, title: str) -> None:
        self.title = title
        self.lines: list[tuple[Any, str]] = []
        self.pages.append(self)

    def write(self, level: Any, line: str) -> int:
        self.lines.append((level, line))
        return len(self.lines)

    def __hlwasm_capture__(self) -> Callable[[], Page]:
        return lambda: self


class Journal:
    Page = Page


class Supplier:
    categories: ClassVar[list[Any]] = []

    def price(self, name: str, category: Any) -> int:
        self.categories.append(category)
        if name == "gold":
            raise hlwasm.Err("not for sale")
        return 250


class Shop:
    journal = Journal()
    supplier = Supplier()

    def now(self) -> int:
        return 7


def test_the_inventory(bindings: Bindings, load: Load) -> None:
    inventory = bindings("inventory_py")
    types, stock, journal = inventory.types, inventory.stock, inventory.journal
    Page.pages.clear()
    Supplier.categories.clear()

    def item(number: int, name: str, place: Any) -> Any:
        handling = types.Handling.COLD | types.Handling.KEEP_DRY
        return types.Item(
            number,
            name,
            types.Category.SPARE_PART,
            handling,
            place,
            4,
            (0.5, 0.25, 1.0),
            None,
            ["x"],
        )

    nail = item(1, "nail", types.Place.Shelf(types.ShelfPlace(3, 4)))
    with inventory.load(load("inventory_py")).instantiate(Shop()) as sandbox:
        exports = sandbox.exports.stock
        exports.add(nail)
        exports.add(item(2, "gold", types.Place.InTransit()))
        found = exports.find(1)
        assert type(found) is types.Item and found == nail and found is not nail
        match found.place:
            case types.Place.Shelf(types.ShelfPlace(aisle, level)):
                assert (aisle, level) == (3, 4)
            case _:
                pytest.fail("it is on a shelf")
        assert pickle.loads(pickle.dumps(found)) == found
        assert exports.search(stock.Filter(None, types.Handling(0), "gol"))[0].place == (
            types.Place.InTransit()
        )
        assert exports.move_to(1, types.Place.Pallet("p")) == nail.place
        assert exports.worth() == (1000, ["gold: not for sale"])
        assert Supplier.categories == [types.Category.SPARE_PART] * 2
        with pytest.raises(hlwasm.Err) as caught:
            exports.take(1, 100)
        assert caught.value.value == types.Problem.NotEnough(types.Shortage(100, 4))
        with exports.Reservation("bob") as reservation:
            assert isinstance(reservation, stock.Reservation)
            reservation.set_aside(1, count=2)
            assert reservation.lines() == [(1, 2)]
        other = exports.Reservation("eve")
        assert exports.Reservation.collect(other) == 0
        assert sandbox.exports.set_open(False) is True
        # A snapshot's sandboxes are the package's, too.
        with sandbox.snapshot().instantiate(Shop()) as copy:
            assert "closed" in inventory.exports_of(copy).summary()
            assert type(copy) is type(sandbox)
    levels = {level for page in Page.pages for level, _ in page.lines}
    assert levels and all(type(level) is journal.Level for level in levels)


def test_bindings_from_wit_alone_fit_the_component(load: Load, tmp_path: Path) -> None:
    files = generate(read_wit(COMPONENTS / "inventory_py" / "wit"))
    inventory = import_package(files, "inventory_from_wit", tmp_path)
    assert "Where an item lies." in inventory.types.Place.__doc__
    with inventory.load(load("inventory_py")).instantiate(Shop()) as sandbox:
        assert sandbox.exports.stock.search(
            inventory.stock.Filter(None, inventory.types.Handling(0), None)
        ) == []  # fmt: skip


@pytest.fixture
def sink(bindings: Bindings) -> Any:
    return bindings("kitchen_sink")


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def sandbox(sink: Any, host: Host, load: Load) -> Iterator[Any]:
    with sink.load(load("kitchen_sink")).instantiate(host) as sandbox:
        yield sandbox


@pytest.mark.toolchain("cargo")
class TestKitchenSink:
    """Every WIT type, in both directions, and resources that both sides implement."""

    def test_values_are_of_the_packages_classes(self, sink: Any, sandbox: Any, host: Host) -> None:
        values = Values(sink.values, random.Random("bindings"))
        for name, signature in FUNCTIONS.items():
            for interface in (sandbox.exports.echo, sandbox.exports.values):
                # Twice: by the plain codec and by generated code.
                for _ in range(2):
                    check(getattr(interface, python_function_name(name)), signature, values)
        assert {*host.asked} == {*FUNCTIONS}, "the host's functions were called"

    def test_resources(self, sink: Any, sandbox: Any, host: Host) -> None:
        things = sandbox.exports.things
        one, two = things.Thing("one"), things.Thing.make("number two")
        assert isinstance(one, sink.things.Thing) and isinstance(two, sink.things.Thing)
        assert one.longer(two) == "number two"
        assert [each.label() for each in things.reverse([one, two])] == ["number two", "one"]

    def test_versions_side_by_side(self, sink: Any, sandbox: Any) -> None:
        names = [name for name in dir(sink) if name.startswith("areas")]
        assert len(names) == 2
        for name in names:
            module, exports = getattr(sink, name), getattr(sandbox.exports, name)
            assert exports is sandbox.exports[module.Rectangle.__wit_name__.partition("#")[0]]
            assert exports.Rectangle is module.Rectangle


async def draw(calculator: Any, component: Any) -> tuple[int, list[str]]:
    class AsyncLog(Log):
        async def log(self, message: str) -> None:  # type: ignore[override]
            await asyncio.sleep(0)
            self.lines.append(message)

    host = AsyncLog()
    async with component.instantiate_async(host) as sandbox:
        total = await sandbox.exports.ops.total([1, 2])
        assert await calculator.async_exports_of(sandbox).ops.add(1, 2) == 3
        with pytest.raises(hlwasm.Err) as caught:
            await sandbox.exports.ops.divide(1, 0)
        assert caught.value.value is calculator.ops.Failure.DIVISION_BY_ZERO
    return total, host.lines


def test_asyncio(bindings: Bindings, load: Load) -> None:
    calculator = bindings("calculator")
    component = calculator.load(load("calculator"))
    assert asyncio.run(draw(calculator, component)) == (3, ["0 + 1 = 1", "1 + 2 = 3"])


TWO_VERSIONS = b"""(component
  (import "demo:calc/ops@1.0.0" (instance $one (export "f" (func (param "x" u32) (result u32)))))
  (import "demo:calc/ops@2.0.0" (instance $two (export "f" (func (param "x" u32) (result u32)))))
  (core func $one' (canon lower (func $one "f")))
  (core func $two' (canon lower (func $two "f")))
  (core module $m
    (import "" "one" (func $one (param i32) (result i32)))
    (import "" "two" (func $two (param i32) (result i32)))
    (func (export "both") (param i32) (result i32)
      (call $two (call $one (local.get 0)))))
  (core instance $i (instantiate $m (with "" (instance
    (export "one" (func $one')) (export "two" (func $two'))))))
  (func (export "both") (param "x" u32) (result u32) (canon lift (core func $i "both"))))
"""


class Add:
    def f(self, x: int) -> int:
        return x + 1


class Double:
    def f(self, x: int) -> int:
        return x * 2


class BothVersions:
    ops_1_0_0 = Add()
    ops_2_0_0 = Double()


def test_two_versions_of_an_import_are_told_apart(tmp_path: Path) -> None:
    component = hlwasm.load(TWO_VERSIONS, cache=False)
    package = import_package(generate(component.description), "two_versions", tmp_path)
    with package.load(component).instantiate(BothVersions()) as sandbox:
        assert sandbox.exports.both(20) == 42
    with pytest.raises(hlwasm.LinkError, match="ops@2"):
        package.load(component).instantiate(type("One", (), {"ops_1_0_0": Add()})())


async def reserve(inventory: Any, component: Any) -> list[tuple[int, int]]:
    types, stock = inventory.types, inventory.stock
    async with component.instantiate_async(Shop()) as sandbox:
        exports = sandbox.exports.stock
        item = types.Item(
            1, "x", types.Category.TOOL, types.Handling(0), types.Place.InTransit(), 4,
            (1.0, 1.0, 1.0), None, [],
        )  # fmt: skip
        await exports.add(item)
        assert await exports.find(1) == item
        async with await exports.Reservation("bob") as reservation:
            # At run time the two are one class.
            assert isinstance(reservation, stock.AsyncReservation)
            assert isinstance(reservation, stock.Reservation)
            await reservation.set_aside(1, 2)
            lines: list[tuple[int, int]] = await reservation.lines()
            return lines


def test_resources_with_asyncio(bindings: Bindings, load: Load) -> None:
    inventory = bindings("inventory_py")
    component = inventory.load(load("inventory_py"))
    assert asyncio.run(reserve(inventory, component)) == [(1, 2)]


def test_pools_and_forks(bindings: Bindings, load: Load) -> None:
    calculator = bindings("calculator")
    component = calculator.load(load("calculator"))
    with hlwasm.Pool(component, size=1, imports=Log()) as pool:
        with pytest.raises(hlwasm.Err) as caught:
            calculator.exports_of(pool).ops.divide(1, 0)
        assert type(caught.value.value) is calculator.ops.Failure
    with component.instantiate(Log()) as sandbox, sandbox.fork() as fork:
        assert type(fork) is type(sandbox)
        assert calculator.exports_of(fork).ops.add(1, 2) == 3


def test_exports_of_others_are_refused(bindings: Bindings, load: Load) -> None:
    calculator = bindings("calculator")
    with (
        load("calculator").instantiate(Log()) as sandbox,
        pytest.raises(TypeError, match="was not loaded by these bindings"),
    ):
        calculator.exports_of(sandbox)


def test_two_plugins_of_one_world_share_their_types(bindings: Bindings, load: Load) -> None:
    calculator = bindings("calculator")
    failures = []
    for _ in range(2):
        with calculator.load(load("calculator")).instantiate(Log()) as sandbox:
            with pytest.raises(hlwasm.Err) as caught:
                sandbox.exports.ops.divide(1, 0)
            failures.append(caught.value.value)
    assert failures[0] is failures[1]


def test_lists_of_numbers_are_lists(bindings: Bindings, component_path: Any) -> None:
    arrays = hlwasm.load(component_path("calculator"), number_lists="array")
    with pytest.raises(ValueError, match="without number_lists"):
        bindings("calculator").load(arrays)


def test_another_world_is_refused_by_name(bindings: Bindings, load: Load) -> None:
    with pytest.raises(hlwasm.WorldMismatch) as caught:
        bindings("calculator").load(load("text_stats_c"))
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("text_stats_c.wasm does not fit the bindings of ")
    assert "  demo:calculator/ops@1#add: the component does not export it" in lines
    assert "hlwasm bindgen" in lines[-1]
    assert caught.value.problems
