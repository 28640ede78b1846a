"""The interface `stock`. componentize-py looks for its resource here, by the module's name.

`wit_world` is made by componentize-py from the WIT at build time.
"""

from __future__ import annotations

import wit_world
from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.stock import Filter
from wit_world.imports import journal, supplier
from wit_world.imports.types import (
    Handling,
    Item,
    Place,
    Place_InTransit,
    Place_Pallet,
    Place_Shelf,
    Problem_Closed,
    Problem_Invalid,
    Problem_NotEnough,
    Problem_UnknownItem,
    Shortage,
)

ITEMS: dict[int, Item] = {}


class State:
    open = True
    page: journal.Page | None = None


def note(level: journal.Level, text: str) -> None:
    """Writes to the host's journal; its first line opens the page."""
    if State.page is None:
        State.page = journal.Page("stock")
    State.page.write(level, f"{wit_world.now()}: {text}")


def known(item_id: int) -> Item:
    if not State.open:
        raise Err(Problem_Closed())
    if item_id not in ITEMS:
        raise Err(Problem_UnknownItem(item_id))
    return ITEMS[item_id]


def words(place: Place) -> str:
    match place:
        case Place_Shelf(shelf):
            return f"shelf {shelf.aisle}/{shelf.level}"
        case Place_Pallet(label):
            return f"pallet {label}"
        case Place_InTransit():
            return "in transit"


class Stock(exports.Stock):
    def add(self, item: Item) -> None:
        if not State.open:
            raise Err(Problem_Closed())
        if not item.name:
            raise Err(Problem_Invalid("an item needs a name"))
        if item.id in ITEMS:
            raise Err(Problem_Invalid(f"item {item.id} exists already"))
        ITEMS[item.id] = item
        note(journal.Level.INFO, f"{item.count} x {item.name} to {words(item.place)}")

    def find(self, id: int) -> Item | None:
        return ITEMS.get(id)

    def search(self, filter: Filter) -> list[Item]:
        return [
            item
            for item in ITEMS.values()
            if (filter.category is None or item.category == filter.category)
            and (item.handling & filter.handling) == filter.handling
            and (filter.text is None or filter.text in item.name or filter.text in item.tags)
        ]

    def take(self, id: int, count: int) -> int:
        item = known(id)
        if count > item.count:
            note(journal.Level.WARNING, f"not enough {item.name}")
            raise Err(Problem_NotEnough(Shortage(wanted=count, available=item.count)))
        item.count -= count
        return item.count

    def move_to(self, id: int, place: Place) -> Place:
        item = known(id)
        match place:
            case Place_Shelf(shelf) if Handling.HEAVY in item.handling and shelf.level > 1:
                raise Err(Problem_Invalid(f"{item.name} is too heavy for {words(place)}"))
        before, item.place = item.place, place
        note(journal.Level.INFO, f"{item.name} from {words(before)} to {words(place)}")
        return before

    def worth(self) -> tuple[int, list[str]]:
        cents, unpriced = 0, []
        for item in ITEMS.values():
            try:
                cents += item.count * supplier.price(item.name, item.category)
            except Err as error:
                unpriced.append(f"{item.name}: {error.value}")
        return cents, unpriced


class Reservation(exports.stock.Reservation):
    def __init__(self, customer: str) -> None:
        self.customer = customer
        self.held: dict[int, int] = {}

    def set_aside(self, id: int, count: int) -> None:
        Stock().take(id, count)
        self.held[id] = self.held.get(id, 0) + count

    def lines(self) -> list[tuple[int, int]]:
        return list(self.held.items())

    @classmethod
    def collect(cls, reservation: Reservation) -> int:
        pieces = sum(reservation.held.values())
        reservation.held = {}
        return pieces
