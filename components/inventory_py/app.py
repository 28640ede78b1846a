"""The world of wit/world.wit: its own functions, and the interface `stock`."""

import wit_world
from stock import ITEMS, State
from stock import Stock as Stock  # componentize-py looks for the interface here.


class WitWorld(wit_world.WitWorld):
    def summary(self) -> str:
        pieces = sum(item.count for item in ITEMS.values())
        return f"{len(ITEMS)} items, {pieces} pieces, {'open' if State.open else 'closed'}"

    def set_open(self, open: bool) -> bool:
        before, State.open = State.open, open
        return before
