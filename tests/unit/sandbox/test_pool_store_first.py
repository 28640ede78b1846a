"""The first sandbox of a pool, for whose snapshot the others wait."""

from __future__ import annotations

import threading
import time

import pytest

from hlwasm.errors import PoolError, PoolTimeout
from tests.unit.sandbox.pool_stores import Borrower, Counted, Counting, in_thread, make_store


class Slow(Counting):
    """Makes the first when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.making = threading.Event()
        self.go = threading.Event()
        self.calls = 0

    def make(self) -> Counted:
        self.calls += 1
        self.making.set()
        assert self.go.wait(20)
        return super().make()


@pytest.mark.parametrize("size", [1, 2])
def test_the_first_use_uses_the_pool(size: int) -> None:
    errors: list[str] = []

    class Using(Counting):
        def make(self) -> Counted:
            if self.snapshot is None:
                with pytest.raises(PoolError) as caught:
                    Borrower(store, timeout=5)
                errors.append(str(caught.value))
            return super().make()

    store, _ = make_store(size, recipe=Using())
    Borrower(store).back()
    assert errors == ["the pool's first sandbox is being made by this call"]
    held = [Borrower(store, timeout=0) for _ in range(size)]
    for borrower in held:
        borrower.back()


def test_waiting_for_the_first_ends() -> None:
    recipe = Slow()
    store, _ = make_store(2, recipe=recipe)
    thread = in_thread(lambda: Borrower(store).back())
    assert recipe.making.wait(20)
    for timeout in (0, 0.05):
        started = time.monotonic()
        with pytest.raises(PoolTimeout, match="first sandbox"):
            Borrower(store, timeout)
        assert timeout <= time.monotonic() - started < 10
    assert recipe.calls == 1
    others = [in_thread(lambda: Borrower(store, float("inf")).back()) for _ in range(3)]
    recipe.go.set()
    for each in (thread, *others):
        each.join(20)
    assert store.counts()["busy"] == 0
    assert 1 <= len(recipe.made) <= 2


def test_where_the_first_cannot_be_made_another_tries() -> None:
    recipe = Slow()
    recipe.failure = ValueError("not today")
    store, _ = make_store(2, recipe=recipe)
    failed: list[str] = []

    def fail() -> None:
        with pytest.raises(ValueError) as caught:
            Borrower(store)
        failed.append(str(caught.value))

    threads = [in_thread(fail) for _ in range(2)]
    recipe.go.set()
    for thread in threads:
        thread.join(20)
    assert failed == ["not today"] * 2
    recipe.failure = None
    Borrower(store, timeout=0).back()
