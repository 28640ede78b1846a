"""The end of a pool, by closing, by Ctrl-C, or because nobody remembers it."""

from __future__ import annotations

import gc
import threading

import pytest

import hlwasm
from tests.integration.pool.guest import IMPORTS, Gate, Make, until
from tests.interrupts import interrupted

pytestmark = pytest.mark.hypervisor


def test_closing_waits_for_what_was_submitted(make: Make) -> None:
    gate = Gate()
    pool = make(size=1, imports=gate)
    futures = [pool.submit("ask", n) for n in range(3)]
    assert gate.entered.acquire(timeout=20)
    with pytest.raises(hlwasm.PoolTimeout, match="still run"):
        pool.close(timeout=0.05)
    with pytest.raises(hlwasm.PoolClosed):
        pool.call("count")
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit("count")
    gate.open.set()
    assert futures[0].result(20) == 0
    pool.close()
    pool.close()
    assert pool.statistics().idle == 0


def test_shutdown_as_of_any_executor(make: Make) -> None:
    gate = Gate()
    pool = make(size=1, imports=gate)
    futures = [pool.submit("ask", n) for n in range(3)]
    assert gate.entered.acquire(timeout=20)
    pool.shutdown(wait=False)
    gate.open.set()
    assert [future.result(20) for future in futures] == [0, 1, 2]
    until(lambda: pool.statistics().threads == 0 and pool.statistics().idle == 0)
    gate.open.clear()
    other = make(size=1, imports=gate)
    futures = [other.submit("ask", n) for n in range(3)]
    for _ in range(3):
        assert gate.entered.acquire(timeout=20)
    other.shutdown(wait=False, cancel_futures=True)
    gate.open.set()
    other.shutdown()
    assert [future.cancelled() for future in futures] == [False, True, True]


def test_closing_may_cancel(make: Make) -> None:
    pool = make(size=2)
    futures = [pool.submit("spin") for _ in range(4)]
    until(lambda: sum(future.running() for future in futures) == 2)
    pool.close(cancel=True)
    ended = [future.cancelled() for future in futures]
    assert ended == [False, False, True, True]
    for future in futures[:2]:
        assert isinstance(future.exception(), hlwasm.Cancelled)


def test_leaving_by_an_exception_cancels(make: Make) -> None:
    with pytest.raises(LookupError), make(size=1) as pool:
        futures = [pool.submit("spin") for _ in range(3)]
        raise LookupError
    assert all(future.done() for future in futures)


def test_a_sandbox_that_the_closing_thread_has_itself(make: Make) -> None:
    pool = make(size=1)
    with pool.sandbox() as sandbox:
        pool.close()
        assert sandbox.exports.count() == 1
    assert sandbox.status is hlwasm.Status.CLOSED
    # A task that closes its pool.
    other = make(size=1)
    other.submit(lambda sandbox: other.close()).result(20)
    other.close()


def test_those_who_close_do_not_wait_for_each_other(make: Make) -> None:
    pool = make(size=2)
    together = threading.Barrier(2)

    def task(sandbox: hlwasm.Sandbox) -> str:
        together.wait(20)
        pool.close()
        return "closed"

    futures = [pool.submit(task) for _ in range(2)]
    assert [future.result(20) for future in futures] == ["closed", "closed"]
    other = make(size=2)
    closed: list[bool] = []

    def borrow() -> None:
        with other.sandbox():
            together.wait(20)
            other.close()
            closed.append(True)

    threads = [threading.Thread(target=borrow, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert closed == [True, True]


def test_who_is_not_inside_waits_for_a_task_that_closes(make: Make) -> None:
    gate = Gate()
    pool = make(size=2, imports=gate)

    def task(sandbox: hlwasm.Sandbox) -> None:
        pool.close()

    other = pool.submit("ask", 1)
    assert gate.entered.acquire(timeout=20)
    closing = pool.submit(task)
    with pytest.raises(hlwasm.PoolTimeout):
        pool.close(timeout=0.1)
    assert not closing.done()
    gate.open.set()
    pool.close()
    assert closing.done() and other.done()


def test_ctrl_c_while_waiting_for_a_sandbox(make: Make) -> None:
    pool = make(size=1)
    with pool.sandbox() as sandbox:
        interrupted(lambda: pool.call("count"), 0.1)
        assert sandbox.exports.count() == 1
    assert pool.call("count") == 1


def test_ctrl_c_in_a_call(make: Make) -> None:
    pool = make(size=1)
    for _ in range(5):
        interrupted(lambda: pool.call("spin"))
        assert pool.call("count") == 1
    assert pool.statistics().replaced == 0


def test_a_forgotten_pool_ends(component: hlwasm.Component) -> None:
    def threads() -> int:
        return sum(thread.name.startswith("hlwasm-pool") for thread in threading.enumerate())

    before = threads()
    future = hlwasm.Pool(component, size=2, imports=IMPORTS).submit("add", 2, 3)
    assert future.result(20) == 5
    del future

    def ended() -> bool:
        gc.collect()
        return threads() == before

    until(ended)


def test_forgetting_a_pool_waits_for_no_lock(component: hlwasm.Component) -> None:
    """The garbage collector may do it in a thread for whose locks others wait."""
    pool = hlwasm.Pool(component, size=1, imports=IMPORTS)
    assert pool.submit("add", 2, 3).result(20) == 5
    tasks, store = pool._tasks, pool._store
    forgotten = [pool]
    del pool
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with tasks._lock, store._lock:
            locked.set()
            assert done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    assert locked.wait(20)
    forgotten.clear()
    gc.collect()
    done.set()
    thread.join(20)
    until(lambda: tasks.threads() == 0 and store.counts()["idle"] == 0)
