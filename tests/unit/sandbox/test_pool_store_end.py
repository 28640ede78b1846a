"""The end of a pool's store: nobody gets in any more, and those inside are waited for."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from hlwasm.errors import PoolClosed
from hlwasm.sandbox.pool.slot import Slot
from tests.unit.sandbox.pool_stores import Borrower, in_thread, make_store, waiting


def test_the_end() -> None:
    store, recipe = make_store(size=2)
    held, other = Borrower(store), Borrower(store)
    errors: list[BaseException] = []

    def wait() -> None:
        with pytest.raises(PoolClosed) as caught:
            Borrower(store)
        errors.append(caught.value)

    thread = in_thread(wait)
    waiting(store, 1)
    store.refuse("closed for tests")
    thread.join()
    assert str(errors[0]) == "closed for tests"
    with pytest.raises(RuntimeError, match="closed for tests"):
        Borrower(store)
    other.back()
    store.cancel()
    assert [each.cancelled for each in recipe.made] == [1, 0]
    # Nobody waits for oneself.
    assert store.wait(0)
    finished: list[bool] = []
    thread = in_thread(lambda: finished.append(store.wait(0.05)))
    thread.join()
    assert finished == [False]
    store.finish()
    assert [each.closed for each in recipe.made] == [0, 1]
    held.back()
    assert [each.closed for each in recipe.made] == [1, 1]


def test_nobody_gets_in_after_the_end_began() -> None:
    for attempt in range(40):
        store, _ = make_store(size=1)
        stop = time.monotonic() + 5
        late: list[int] = []

        def loop(store: Any = store, stop: float = stop, late: list[int] = late) -> None:
            count = 0
            with suppress(PoolClosed):
                while time.monotonic() < stop:
                    began = bool(store._refusing)
                    Borrower(store).back()
                    count += began
            late.append(count)

        threads = [in_thread(loop) for _ in range(6)]
        time.sleep(0.01 + attempt * 0.0007)
        store.refuse("closed for tests")
        for thread in threads:
            thread.join()
        # Who was in the line before may have got its turn, and asked once more.
        assert max(late) <= 1
        assert store.wait(0)


def test_the_end_is_not_missed_by_who_was_handed_a_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end comes when a thread has its slot, but did not get a core yet."""
    store, _ = make_store(size=1)
    go = threading.Event()
    seen: list[str] = []
    wait = store._wait

    def slow(*arguments: Any) -> Slot:
        slot = wait(*arguments)
        assert go.wait(10)
        return slot

    monkeypatch.setattr(store, "_wait", slow)

    def work() -> None:
        Borrower(store).back()
        seen.append("once")
        Borrower(store).back()
        seen.append("twice")

    def quietly() -> None:
        with suppress(PoolClosed):
            work()

    held = Borrower(store)
    thread = in_thread(quietly)
    waiting(store, 1)
    held.back()
    store.refuse("closed for tests")
    # The slot is the other thread's, though this one had it last.
    assert not store.wait(0.05)
    go.set()
    assert store.wait(10)
    thread.join()
    assert seen == ["once"]
