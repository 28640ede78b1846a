"""The threads behind event loops: bounds, turns, cancellation, the end."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from hlwasm.sandbox import workers
from hlwasm.sandbox.workers import SLICE, Workers


class Stoppable:
    """Work that lasts until it is stopped or let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.end = threading.Event()
        self.stopped = 0
        self.left = False

    def work(self) -> bool:
        self.begun.set()
        assert self.end.wait(30)
        time.sleep(0.01)
        self.left = True
        return True

    def stop(self) -> None:
        self.stopped += 1
        self.end.set()


async def begun(*works: Stoppable) -> None:
    while not all(work.begun.is_set() for work in works):
        await asyncio.sleep(0.001)


def test_work_is_done_in_another_thread() -> None:
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name")
    seen: list[tuple[int, str]] = []

    def work() -> bool:
        seen.append((threading.get_ident(), name.get()))
        name.set("changed")
        return True

    async def main() -> None:
        name.set("set")
        await Workers(2).run(work)
        assert name.get() == "set"

    asyncio.run(main())
    assert seen[0][0] != threading.get_ident()
    assert seen[0][1] == "set"


def test_what_it_raises_comes_back_with_its_traceback() -> None:
    def fail() -> bool:
        raise ZeroDivisionError("on purpose")

    with pytest.raises(ZeroDivisionError, match="on purpose") as caught:
        asyncio.run(Workers(1).run(fail))
    assert caught.traceback[-1].name == "fail"


def test_one_thread_where_one_is_enough() -> None:
    threads = set[int]()

    def work() -> bool:
        threads.add(threading.get_ident())
        return True

    async def main() -> None:
        pool = Workers(8)
        for _ in range(50):
            await pool.run(work)

    asyncio.run(main())
    assert len(threads) == 1


def test_never_more_at_work_than_agreed() -> None:
    lock = threading.Lock()
    now = most = 0

    def work() -> bool:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.001)
        with lock:
            now -= 1
        return True

    async def main() -> None:
        pool = Workers(3)
        await asyncio.gather(*(pool.run(work) for _ in range(100)))

    asyncio.run(main())
    assert most == 3


def test_unfinished_work_goes_on_when_others_had_their_turn() -> None:
    log: list[str] = []

    def steps(name: str, count: int) -> Callable[[], bool]:
        left = count

        def work() -> bool:
            nonlocal left
            log.append(name)
            left -= 1
            return left == 0

        return work

    async def main() -> None:
        pool, block = Workers(1), Stoppable()
        blocked = asyncio.ensure_future(pool.run(block.work, block.stop))
        await begun(block)
        rest = [asyncio.ensure_future(pool.run(steps(name, 3))) for name in "ab"]
        rest += [asyncio.ensure_future(pool.run(steps(name, 1))) for name in "cd"]
        await asyncio.sleep(0)
        block.end.set()
        await asyncio.gather(blocked, *rest)

    asyncio.run(main())
    assert sorted(log) == list("aaabbbcd")
    # Neither of two that go on has both of its next turns before the other has one.
    assert "".join(log).replace("c", "").replace("d", "") == "ababab"
    # The short ones do not wait until the long ones are done.
    assert log.index("d") < len(log) - 2


def test_a_thread_that_blocks_is_replaced() -> None:
    async def main() -> None:
        pool, block = Workers(1), Stoppable()
        blocked = asyncio.ensure_future(pool.run(block.work))
        await begun(block)
        await asyncio.wait_for(pool.run(lambda: True), 10)
        assert not blocked.done()
        assert len(pool._workers) == 2
        block.end.set()
        await blocked
        # One at a time again.
        assert pool._busy <= 1

    asyncio.run(main())


def test_cancelling_stops_the_work_and_waits_for_it() -> None:
    async def main() -> None:
        pool, work = Workers(1), Stoppable()
        task = asyncio.ensure_future(pool.run(work.work, work.stop))
        await begun(work)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()  # again, while it waits
        await asyncio.wait([task])
        assert task.cancelled()
        assert work.left
        assert work.stopped == 1

    asyncio.run(main())


def test_cancelling_takes_back_what_was_not_begun() -> None:
    async def main() -> None:
        pool, first, second, third = Workers(1), Stoppable(), Stoppable(), Stoppable()
        one = asyncio.ensure_future(pool.run(first.work, first.stop))
        await begun(first)
        two = asyncio.ensure_future(pool.run(second.work, second.stop))
        three = asyncio.ensure_future(pool.run(third.work, third.stop, always=True))
        await asyncio.sleep(0)
        for task in (two, three):
            task.cancel()
        await asyncio.wait([two])
        assert two.cancelled()
        assert not three.done()
        third.end.set()
        first.end.set()
        await asyncio.wait([one, three])
        assert three.cancelled()
        assert (second.begun.is_set(), second.stopped) == (False, 0)
        assert third.left

    asyncio.run(main())


def test_a_coroutine_that_is_closed_takes_its_work_along() -> None:
    async def main() -> None:
        work = Stoppable()
        iterator = Workers(1).run(work.work, work.stop).__await__()
        next(iterator)
        await begun(work)
        iterator.close()
        assert work.left

    asyncio.run(main())


def test_an_event_loop_that_ends_before_the_work() -> None:
    work, pool = Stoppable(), Workers(1)
    loop = asyncio.new_event_loop()

    async def submit() -> None:
        pool.submit(workers.Job(work.work, work.stop))
        await begun(work)

    loop.run_until_complete(submit())
    loop.close()
    work.end.set()
    # The thread goes on to the next event loop.
    asyncio.run(asyncio.wait_for(pool.run(lambda: True), 10))


def test_closing_stops_what_runs_and_drops_what_waits() -> None:
    async def main() -> None:
        pool, running, waiting = Workers(1), Stoppable(), Stoppable()
        jobs = [workers.Job(each.work, each.stop) for each in (running, waiting)]
        for job in jobs:
            pool.submit(job)
        await begun(running)
        start = time.monotonic()
        pool.close()
        assert time.monotonic() - start < 0.9
        assert (running.stopped, running.left) == (1, True)
        assert not waiting.begun.is_set()
        for job in jobs:
            job.join()
        late = workers.Job(waiting.work, waiting.stop)
        pool.submit(late)
        late.join()

    asyncio.run(main())


def test_closing_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_EXIT_PATIENCE", 0.05)

    async def main() -> None:
        pool, work = Workers(1), Stoppable()
        pool.submit(workers.Job(work.work))
        await begun(work)
        pool.close()
        assert not work.left
        work.end.set()

    asyncio.run(main())


@pytest.mark.parametrize("threads", [0, 1])
def test_a_process_that_has_no_more_threads(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    left = threads
    start = threading.Thread.start

    def start_some(thread: threading.Thread) -> None:
        nonlocal left
        if left == 0:
            raise RuntimeError("can't start new thread")
        left -= 1
        start(thread)

    done: list[int] = []

    def work(number: int) -> bool:
        done.append(number)
        return True

    async def main() -> None:
        pool = Workers(4)
        await asyncio.gather(*(pool.run(partial(work, number)) for number in range(20)))

    monkeypatch.setattr(threading.Thread, "start", start_some)
    if threads:
        asyncio.run(main())
        assert sorted(done) == list(range(20))
    else:
        with pytest.raises(RuntimeError, match="can't start"):
            asyncio.run(main())


def test_nobody_watches_when_nothing_waits() -> None:
    async def main() -> None:
        pool, block = Workers(1), Stoppable()
        blocked = asyncio.ensure_future(pool.run(block.work))
        await begun(block)
        other = asyncio.ensure_future(pool.run(lambda: True))
        await asyncio.sleep(0)
        assert pool._referee is not None
        block.end.set()
        await asyncio.gather(blocked, other)
        end = time.monotonic() + 10
        while pool._referee is not None and time.monotonic() < end:
            await asyncio.sleep(SLICE)
        assert pool._referee is None

    asyncio.run(main())
