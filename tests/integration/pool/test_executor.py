"""A pool as an executor: futures, a bounded queue, deadlines of tasks."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from typing import Any

import pytest

import hlwasm
from tests.integration.pool.guest import Gate, Make, until

pytestmark = pytest.mark.hypervisor


def test_an_executor(make: Make) -> None:
    pool = make(size=2)
    futures = [pool.submit("add", n, b=n) for n in range(50)]
    ended = {future.result() for future in concurrent.futures.as_completed(futures, timeout=60)}
    assert ended == {2 * n for n in range(50)}
    assert list(pool.map("add", range(10), range(10))) == [2 * n for n in range(10)]
    assert pool.submit(pool.exports.add, 3, 4).result() == 7
    assert pool.submit(lambda sandbox, n: sandbox.exports.add(n, n), 21).result() == 42
    assert pool.statistics().threads <= 2

    async def main() -> int:
        loop = asyncio.get_running_loop()
        double: Any = _double  # gets the sandbox first
        calls = [loop.run_in_executor(pool, double, n) for n in range(20)]
        return sum(await asyncio.gather(*calls))

    assert asyncio.run(main()) == 2 * sum(range(20))


def _double(sandbox: hlwasm.Sandbox, number: int) -> int:
    doubled: int = sandbox.exports.add(number, number)
    return doubled


def test_the_queue_is_bounded(make: Make) -> None:
    gate = Gate()
    pool = make(size=1, imports=gate, max_pending=2, timeout=0.05)
    running = pool.submit("ask", 1)
    assert gate.entered.acquire(timeout=20)
    queued = [pool.submit("ask", n) for n in (2, 3)]
    assert pool.statistics().pending == 2
    started = time.monotonic()
    with pytest.raises(hlwasm.PoolTimeout, match="2 tasks wait already"):
        pool.submit("ask", 4)
    assert time.monotonic() - started >= 0.05

    async def submit() -> None:
        with pytest.raises(hlwasm.PoolTimeout, match="event loop"):
            pool.submit("ask", 5)

    asyncio.run(submit())
    assert queued[0].cancel()
    gate.open.set()
    assert running.result(20) == 1
    assert queued[1].result(20) == 3
    with pytest.raises(concurrent.futures.CancelledError):
        queued[0].result(20)
    assert pool.submit("ask", 6).result(20) == 6


def test_submit_waits_for_room(make: Make) -> None:
    pool = make(size=1, max_pending=1)
    assert [f.result(60) for f in [pool.submit("add", n, 0) for n in range(200)]] == [*range(200)]

    def nested(sandbox: hlwasm.Sandbox) -> None:
        for _ in range(3):
            pool.submit("count")

    with pytest.raises(hlwasm.PoolTimeout, match="a task cannot wait"):
        pool.submit(nested).result(60)


def test_the_queue_has_no_room_at_once(make: Make) -> None:
    gate = Gate()
    pool = make(size=1, imports=gate, max_pending=2, timeout=0)
    pool.submit("ask", 0)
    assert gate.entered.acquire(timeout=20)
    for n in (1, 2):
        pool.submit("ask", n)
    with pytest.raises(hlwasm.PoolTimeout) as caught:
        pool.submit("ask", 3)
    assert str(caught.value) == (
        "2 tasks wait already, and timeout is 0: submit more slowly, or raise max_pending="
    )
    gate.open.set()


def test_map_without_room_cancels_what_it_submitted(make: Make) -> None:
    gate = Gate()
    pool = make(size=1, imports=gate, max_pending=3, timeout=0)
    other = pool.submit("ask", 100)
    assert gate.entered.acquire(timeout=20)
    calls = []

    def work(sandbox: hlwasm.Sandbox, n: int) -> None:
        calls.append(n)

    double: Any = work  # gets the sandbox first
    with pytest.raises(hlwasm.PoolTimeout):
        pool.map(double, range(10))
    gate.open.set()
    assert other.result(20) == 100
    pool.close()
    assert calls == []


def test_a_deadline_ends_the_wait_for_a_host_function_that_blocks(make: Make) -> None:
    gate = Gate()
    pool = make(size=1, imports=gate, limits=hlwasm.Limits(deadline=0.2))
    pool.call("count")
    started = time.monotonic()
    with pytest.raises(hlwasm.DeadlineExceeded):
        pool.submit("ask", 1).result(20)
    assert 0.19 < time.monotonic() - started < 5
    # Another thread and sandbox take the place.
    until(lambda: pool.statistics().abandoned == 1)
    assert pool.submit("count").result(20) == 1
    assert pool.call("count") == 1
    # But not without end.
    with pytest.raises(hlwasm.DeadlineExceeded):
        pool.submit("ask", 2).result(20)
    third = pool.submit("count")
    with pytest.raises(concurrent.futures.TimeoutError):
        third.result(0.3)
    statistics = pool.statistics()
    assert (statistics.threads, statistics.abandoned, statistics.busy) == (2, 1, 1)
    gate.open.set()
    assert third.result(20) == 1
    until(lambda: pool.statistics().abandoned == 0 and pool.statistics().threads == 1)


def test_many_deadlines_in_tasks_of_many_calls(make: Make) -> None:
    pool = make(size=2, limits=hlwasm.Limits(deadline=0.1))

    def work(sandbox: hlwasm.Sandbox, end: bool) -> int:
        started = time.monotonic()
        while time.monotonic() - started < 0.25:
            sandbox.exports.add(1, 2)
        if end:
            sandbox.exports.spin()
        return 1

    # Each call has a deadline of its own; the task has none.
    assert pool.submit(work, False).result(20) == 1
    with pytest.raises(hlwasm.DeadlineExceeded):
        pool.submit(work, True).result(20)
    spinning = [pool.submit("spin") for _ in range(6)]
    for future in spinning:
        assert isinstance(future.exception(20), hlwasm.DeadlineExceeded)
    assert pool.submit("count").result(20) == 1
