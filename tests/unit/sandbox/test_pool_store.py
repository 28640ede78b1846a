"""Who gets which sandbox of a pool: bounds, turns, failures, lost borrowers."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import suppress

import pytest

from hlwasm.errors import PoolTimeout, SandboxClosed, SnapshotError
from hlwasm.sandbox.state import Status
from tests.interrupts import interrupted
from tests.unit.sandbox.pool_stores import Borrower, in_thread, make_store, until, waiting


def test_sandboxes_are_made_when_they_are_needed() -> None:
    store, recipe = make_store()
    for _ in range(3):
        Borrower(store).back()
    assert len(recipe.made) == 1
    first, second = Borrower(store), Borrower(store)
    assert len(recipe.made) == 2
    assert first.sandbox is not second.sandbox
    counts = store.counts()
    assert (counts["busy"], counts["idle"], counts["created"]) == (2, 0, 2)
    first.back()
    second.back()
    counts = store.counts()
    assert (counts["busy"], counts["idle"], counts["borrowed"]) == (0, 2, 5)
    assert counts["restores"] == 5


def test_a_thread_gets_the_sandbox_that_it_had_last() -> None:
    store, recipe = make_store(size=4)
    threads = [threading.Event() for _ in range(4)]
    start = threading.Barrier(4)
    seen: list[set[int]] = []

    def work() -> None:
        first = Borrower(store)
        start.wait(10)
        mine = {id(first.sandbox)}
        first.back()
        start.wait(10)
        for _ in range(200):
            again = Borrower(store)
            mine.add(id(again.sandbox))
            again.back()
        seen.append(mine)

    workers = [in_thread(work) for _ in threads]
    for worker in workers:
        worker.join()
    assert [len(each) for each in seen] == [1] * 4
    assert len(set.union(*seen)) == len(recipe.made) == 4


def test_borrowers_get_their_turn_in_order() -> None:
    store, _ = make_store(size=1)
    held = Borrower(store)
    order: list[int] = []

    def work(number: int) -> None:
        borrower = Borrower(store)
        order.append(number)
        borrower.back()

    threads = []
    for number in range(5):
        threads.append(in_thread(lambda number=number: work(number)))
        waiting(store, number + 1)
    held.back()
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]
    counts = store.counts()
    assert counts["waits"] == 5
    assert counts["wait_time"] > 0


def test_waiting_ends() -> None:
    store, _ = make_store(size=1)
    held = Borrower(store)
    started = time.monotonic()
    with pytest.raises(PoolTimeout, match="1 sandboxes were in use for 0"):
        Borrower(store, timeout=0)
    with pytest.raises(TimeoutError):
        Borrower(store, timeout=0.05)
    assert time.monotonic() - started >= 0.05
    assert store.counts()["waiting"] == 0
    held.back()
    Borrower(store, timeout=0).back()


def test_ctrl_c_while_waiting() -> None:
    store, _ = make_store(size=1)
    held = Borrower(store)
    interrupted(lambda: Borrower(store, timeout=30))
    assert store.counts()["waiting"] == 0
    held.back()
    Borrower(store, timeout=0).back()


def test_what_cannot_be_restored_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    store, recipe = make_store(size=1)
    borrower = Borrower(store)
    bad = borrower.sandbox
    bad.failure = SnapshotError("it is a secret")
    borrower.back()
    assert bad.closed == 1
    assert "it is a secret" in caplog.text
    assert store.counts()["idle"] == 0
    again = Borrower(store)
    assert again.sandbox is not bad
    again.sandbox.failure = SandboxClosed("the borrower closed it")
    again.back()
    assert store.counts()["replaced"] == 2
    assert len(recipe.made) == 2


def test_an_interrupted_restore_is_done_again() -> None:
    store, _ = make_store(size=1)
    borrower = Borrower(store)
    sandbox = borrower.sandbox
    sandbox.failure = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        borrower.back()
    assert sandbox.restores == 0
    again = Borrower(store, timeout=0)
    assert again.sandbox is sandbox
    assert sandbox.restores == 1
    again.back()
    assert sandbox.restores == 2


def test_sandboxes_that_keep_their_state_are_restored_after_failures_only() -> None:
    store, _ = make_store(size=1, stateless=False)
    borrower = Borrower(store)
    borrower.back()
    assert borrower.sandbox.restores == 0
    again = Borrower(store)
    again.sandbox.status = Status.POISONED
    again.back()
    assert again.sandbox.restores == 1


def test_a_failure_to_make_one_is_the_borrower_s_alone() -> None:
    store, recipe = make_store(size=1)
    recipe.failure = ValueError("not today")
    with pytest.raises(ValueError, match="not today"):
        Borrower(store)
    recipe.failure = None
    Borrower(store, timeout=0).back()


def test_a_borrower_that_is_forgotten_loses_it() -> None:
    store, recipe = make_store(size=1)
    borrower: Borrower | None = Borrower(store)
    with pytest.raises(PoolTimeout):
        Borrower(store, timeout=0)
    del borrower
    again = Borrower(store, timeout=0)
    # What was done in it is not known.
    assert recipe.made[0].restores == 1
    again.back()


def test_forgetting_a_borrower_waits_for_no_lock() -> None:
    """The garbage collector may do it in a thread for whose locks others wait."""
    store, _ = make_store(size=1)
    forgotten = [Borrower(store)]
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with store._lock:
            locked.set()
            assert done.wait(20)

    thread = in_thread(hold)
    assert locked.wait(20)
    forgotten.clear()
    done.set()
    thread.join(20)
    Borrower(store, timeout=20).back()


def test_an_abandoned_sandbox_has_a_successor_and_is_closed_when_it_comes_back() -> None:
    store, recipe = make_store(size=1)
    stuck = Borrower(store)
    assert stuck.slot is not None
    results: list[Borrower] = []
    thread = in_thread(lambda: results.append(Borrower(store)))
    waiting(store, 1)
    assert store.abandon(stuck.token, stuck.slot)
    assert not store.abandon(stuck.token, stuck.slot)
    thread.join()
    second = results[0]
    assert second.sandbox is not stuck.sandbox
    assert store.counts()["abandoned"] == 1
    # At most as many again.
    assert second.slot is not None
    assert not store.abandon(second.token, second.slot)
    first = stuck.sandbox
    stuck.back()
    assert first.closed == 1
    assert store.counts()["abandoned"] == 0
    second.back()
    assert (store.counts()["created"], store.counts()["borrowed"]) == (2, 2)
    assert len(recipe.made) == 2


@pytest.mark.parametrize("threads", [2, 7])
def test_one_borrower_at_a_time_whatever_happens(threads: int) -> None:
    """Many threads, waits that end, failures of all kinds: never two in one sandbox, none lost."""
    store, recipe = make_store(size=3)
    problems: list[str] = []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(400):
            try:
                borrower = Borrower(store, timeout=chance.choice([None, 0.0, 0.0005]))
            except PoolTimeout:
                continue
            sandbox = borrower.sandbox
            sandbox.users += 1
            if chance.random() < 0.2:
                time.sleep(0)
            if sandbox.users != 1:
                problems.append(f"{sandbox.users} users")
            sandbox.users -= 1
            fate = chance.random()
            if fate < 0.02:
                sandbox.failure = SnapshotError("by chance")
            elif fate < 0.04:
                sandbox.failure = KeyboardInterrupt()
            if fate < 0.06 and sandbox.failure is None:
                del borrower  # forgotten
                continue
            with suppress(KeyboardInterrupt):
                borrower.back()

    workers = [in_thread(lambda seed=seed: work(seed)) for seed in range(threads)]
    for worker in workers:
        worker.join()
    assert problems == []
    # What was forgotten may be brought back by another thread.
    until(store, "busy", 0)
    counts = store.counts()
    assert (counts["busy"], counts["waiting"]) == (0, 0)
    assert counts["created"] == len(recipe.made)
    assert counts["created"] - counts["replaced"] == counts["idle"] <= 3
    # All places are still there.
    held = [Borrower(store, timeout=0) for _ in range(3)]
    for borrower in held:
        borrower.back()


def test_ctrl_c_at_any_moment_loses_nothing() -> None:
    store, _ = make_store(size=2)
    armed: list[bool] = []
    stop = threading.Event()

    def interrupt() -> None:
        while not stop.wait(0.0003):
            os.kill(os.getpid(), signal.SIGUSR1)

    def handle(*_: object) -> None:
        if armed:
            armed.clear()
            raise KeyboardInterrupt

    interrupted = 0
    borrower: Borrower | None = None
    previous = signal.signal(signal.SIGUSR1, handle)
    thread = in_thread(interrupt)
    try:
        end = time.monotonic() + 60
        # So often, however little of its time the machine has for this.
        while interrupted < 300 and time.monotonic() < end:
            try:
                armed.append(True)
                borrower = Borrower(store)
                borrower.back()
                armed.clear()
            except KeyboardInterrupt:
                interrupted += 1
            borrower = None
    finally:
        stop.set()
        thread.join()
        signal.signal(signal.SIGUSR1, previous)
    assert interrupted == 300
    held = [Borrower(store, timeout=0) for _ in range(2)]
    assert store.counts()["waiting"] == 0
    for each in held:
        each.back()
