"""Callbacks of futures: they run in the pool's threads, and may do anything."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

import hlwasm
from tests.integration.pool.guest import Gate, Make

pytestmark = pytest.mark.hypervisor
_threads_die = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


def _give_up(future: object) -> None:
    # Not an Exception: Future does not catch it.
    raise asyncio.CancelledError("from a callback")


def test_a_callback_at_the_deadline_takes_a_lock_that_submitters_hold(make: Make) -> None:
    gate = Gate()
    pool = make(size=2, imports=gate, limits=hlwasm.Limits(deadline=0.2))
    pool.call("count")
    lock = threading.Lock()
    called = threading.Event()

    def done(future: object) -> None:
        with lock:
            called.set()

    late = pool.submit("ask", 1)
    late.add_done_callback(done)
    assert gate.entered.acquire(timeout=20)
    submitted: list[int] = []

    def submit() -> None:
        with lock:
            # The deadline passes, and the callback waits for the lock.
            assert isinstance(late.exception(20), hlwasm.DeadlineExceeded)
            time.sleep(0.05)
            submitted.append(pool.submit("add", 2, 3).result(20))

    thread = threading.Thread(target=submit, daemon=True)
    thread.start()
    thread.join(20)
    assert submitted == [5]
    assert called.wait(20)
    gate.open.set()


def test_what_a_callback_raises_does_not_end_a_thread(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    pool = make(size=1, imports=gate)
    first = pool.submit("ask", 1)
    first.add_done_callback(_give_up)
    assert gate.entered.acquire(timeout=20)
    later = [pool.submit("add", n, 1) for n in range(3)]
    gate.open.set()
    assert [future.result(20) for future in later] == [1, 2, 3]
    assert first.result(0) == 1
    assert "from a callback" in caplog.text
    pool.close()
    assert pool.statistics().pending == 0


def test_nor_the_one_that_watches_the_deadlines(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    pool = make(size=2, imports=gate, limits=hlwasm.Limits(deadline=0.2))
    pool.call("count")
    first = pool.submit("ask", 1)
    assert gate.entered.acquire(timeout=20)
    first.add_done_callback(_give_up)
    assert isinstance(first.exception(20), hlwasm.DeadlineExceeded)
    started = time.monotonic()
    # The host function ends no sooner than this test: only the watcher can fail it.
    assert isinstance(pool.submit("ask", 2).exception(20), hlwasm.DeadlineExceeded)
    assert time.monotonic() - started < 10
    assert "from a callback" in caplog.text
    gate.open.set()
    pool.close()


def test_closing_cancels_all_whatever_callbacks_raise(make: Make) -> None:
    gate = Gate()
    pool = make(size=1, imports=gate)
    running = pool.submit("ask", 1)
    assert gate.entered.acquire(timeout=20)
    queued = [pool.submit("ask", n) for n in range(3)]
    queued[0].add_done_callback(_give_up)
    threading.Timer(0.1, gate.open.set).start()
    pool.close(cancel=True)
    assert all(future.cancelled() for future in queued)
    assert running.done()


@_threads_die
def test_closing_leaves_nothing_pending_where_the_threads_died(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    pool = make(size=1, imports=gate)
    tasks = pool._tasks
    pool.submit("ask", 1)
    assert gate.entered.acquire(timeout=20)
    queued = [pool.submit("ask", n) for n in range(2)]

    def die(*_: object) -> None:
        raise SystemExit  # ends a thread without a word

    def no_thread() -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(tasks, "_next", die)
    monkeypatch.setattr(tasks, "_wake", no_thread)
    gate.open.set()
    pool.close(timeout=20)
    for future in queued:
        assert isinstance(future.exception(0), hlwasm.PoolClosed)
    assert pool.statistics().pending == 0


@_threads_die
def test_a_thread_that_died_has_a_successor(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    pool = make(size=1, imports=gate)
    tasks = pool._tasks
    pool.submit("ask", 1)
    assert gate.entered.acquire(timeout=20)
    queued = [pool.submit("add", n, 1) for n in range(2)]

    def die(*_: object) -> None:
        monkeypatch.undo()
        raise SystemExit

    monkeypatch.setattr(tasks, "_next", die)
    gate.open.set()
    assert [future.result(20) for future in queued] == [1, 2]
