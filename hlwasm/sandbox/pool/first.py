"""Who makes the first sandbox of a pool, of which the others are copies.

That calls code of the user, ``warm_up`` and host functions, which may use the pool. It would
wait for itself.
"""

from __future__ import annotations

import threading
from _thread import get_ident
from time import monotonic
from typing import TYPE_CHECKING

from hlwasm.errors import PoolError, PoolTimeout

if TYPE_CHECKING:
    from hlwasm.sandbox.pool.recipe import Recipe
    from hlwasm.sandbox.pool.slot import Slot
    from hlwasm.sandbox.sandbox import Sandbox


class First:
    """One thread at a time makes it, the others wait until there is its snapshot.

    Args:
        recipe: makes it.
        lock: of the store: it is held where slots get their owners.

    Attributes:
        maker: the slot that it is made for. Who has that calls :meth:`leave` in the end.
    """

    def __init__(self, recipe: Recipe, lock: threading.RLock) -> None:
        self.maker: Slot | None = None
        self._recipe = recipe
        self._changed = threading.Condition(lock)

    def check(self) -> None:
        """
        Raises:
            PoolError: this thread makes it.
        """
        maker = self.maker
        if maker is not None and maker.owner == get_ident():
            raise made_by_this_call()

    def make(self, slot: Slot, end: float | None) -> Sandbox:
        """A sandbox for the slot: the first one, or, if another thread makes that, the second.

        Args:
            slot: whose.
            end: the time until which to wait for others, None for as long as it takes.

        Raises:
            PoolTimeout: another thread still makes it.
            HlwasmError: as :meth:`Recipe.make`.
        """
        recipe = self._recipe
        with self._changed:
            if not self._changed.wait_for(
                lambda: self.maker is None or recipe.snapshot is not None,
                None if end is None else min(end - monotonic(), threading.TIMEOUT_MAX),
            ):
                raise not_made_in_time()
            if recipe.snapshot is None:
                self.maker = slot
        sandbox = recipe.make()
        self.leave(slot)
        return sandbox

    def leave(self, slot: Slot) -> None:
        """Lets another make it, if this slot was to have it. Also where making it failed."""
        if self.maker is slot:
            with self._changed:
                self.maker = None
                self._changed.notify_all()


def made_by_this_call() -> PoolError:
    return PoolError("the pool's first sandbox is being made by this call")


def not_made_in_time() -> PoolTimeout:
    return PoolTimeout(
        "another call still made the pool's first sandbox: raise timeout=, or give min_size="
    )
