"""Stores of stand-ins for sandboxes, which only count: what is tested is who holds them."""

from __future__ import annotations

import threading
import time
from typing import Any, cast

from hlwasm.sandbox.pool.recipe import Recipe
from hlwasm.sandbox.pool.slot import Slot, Token
from hlwasm.sandbox.pool.store import Store
from hlwasm.sandbox.state import Status


class Counted:
    """In the place of a sandbox."""

    def __init__(self) -> None:
        self.status = Status.READY
        self.restores = 0
        self.closed = 0
        self.cancelled = 0
        self.users = 0
        self.failure: BaseException | None = None

    def restore(self, snapshot: object) -> None:
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        self.status = Status.READY
        self.restores += 1

    def close(self) -> None:
        self.closed += 1

    def cancel(self) -> None:
        self.cancelled += 1


class Counting:
    """In the place of a recipe."""

    def __init__(self) -> None:
        self.snapshot: object = None
        self.made: list[Counted] = []
        self.failure: Exception | None = None

    def make(self) -> Counted:
        if self.failure is not None:
            raise self.failure
        self.snapshot = self
        self.made.append(Counted())
        return self.made[-1]


class Borrower:
    """Holds a slot from construction to :meth:`back`."""

    def __init__(self, store: Store, timeout: float | None = 10.0) -> None:
        self._store = store
        self.token = Token()
        self.slot: Slot | None = None
        try:
            self.slot = store.take(self.token, timeout)
        except BaseException:
            store.give(self.token, None)
            raise

    @property
    def sandbox(self) -> Counted:
        assert self.slot is not None
        return cast(Counted, self.slot.sandbox)

    def back(self) -> None:
        self._store.give(self.token, self.slot)


def make_store(
    size: int = 2, stateless: bool = True, recipe: Counting | None = None
) -> tuple[Store, Counting]:
    recipe = recipe or Counting()
    return Store(cast(Recipe, recipe), size, stateless), recipe


def in_thread(work: Any) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def waiting(store: Store, count: int) -> None:
    until(store, "waiting", count)


def until(store: Store, name: str, count: int) -> None:
    end = time.monotonic() + 10
    while store.counts()[name] != count:
        assert time.monotonic() < end
        time.sleep(0.001)
