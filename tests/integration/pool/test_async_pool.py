"""Pools of sandboxes for asyncio."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

import hlwasm
from tests.integration.pool.guest import IMPORTS

pytestmark = pytest.mark.hypervisor


async def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.001)


def run(main: Any) -> Any:
    return asyncio.run(main())


def test_every_use_begins_in_the_same_state(component: hlwasm.Component) -> None:
    async def main() -> None:
        async with hlwasm.AsyncPool(component, size=2, min_size=2, imports=IMPORTS) as pool:
            await until(lambda: pool.statistics().idle == 2)
            for _ in range(10):
                assert await pool.call("count") == 1
                assert await pool.exports.count() == 1
                async with pool.sandbox() as sandbox:
                    assert await sandbox.exports.count() == 1
                    assert await sandbox.exports.count() == 2
                with pytest.raises(hlwasm.Trap):
                    await pool.call("trap")
            with pytest.raises(AttributeError):
                await pool.call("nothing")
            await until(lambda: pool.statistics().busy == 0)
            statistics = pool.statistics()
            assert (statistics.created, statistics.errors, statistics.replaced) == (2, 10, 0)
            assert statistics.restores == statistics.borrowed == 42

    run(main)


def test_many_tasks_share_few_sandboxes(component: hlwasm.Component) -> None:
    async def host(value: int) -> int:
        await asyncio.sleep(0.001)
        return value + 1

    async def main() -> None:
        async with hlwasm.AsyncPool(component, size=3, imports={"host": host}) as pool:
            found = await asyncio.gather(*[pool.call("ask", n) for n in range(100)])
            assert found == [n + 1 for n in range(100)]
            statistics = pool.statistics()
            assert statistics.created == 3
            assert statistics.waits == 97
            assert statistics.wait_time > 0

    run(main)


def test_waiting_ends(component: hlwasm.Component) -> None:
    async def main() -> None:
        async with hlwasm.AsyncPool(component, size=1, imports=IMPORTS, timeout=0.05) as pool:
            async with pool.sandbox() as sandbox:
                with pytest.raises(hlwasm.PoolTimeout):
                    await pool.call("count")
                with pytest.raises(hlwasm.PoolTimeout):
                    async with pool.sandbox(timeout=0):
                        pass
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(pool.call("count"), 0.01)
                assert pool.statistics().waiting == 0
                assert await sandbox.exports.count() == 1
            assert await pool.call("count") == 1

    run(main)


def test_a_cancelled_task_s_sandbox_comes_back(component: hlwasm.Component) -> None:
    async def main() -> None:
        async with hlwasm.AsyncPool(component, size=1, imports=IMPORTS) as pool:
            for _ in range(5):
                task = asyncio.create_task(pool.call("spin"))
                await asyncio.sleep(0.02)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await pool.call("count") == 1
            assert pool.statistics().created == 1

    run(main)


def test_cancelling_at_any_moment_loses_nothing(component: hlwasm.Component) -> None:
    async def main() -> None:
        chance = random.Random(5)
        async with hlwasm.AsyncPool(component, size=2, imports=IMPORTS) as pool:

            async def use(number: int) -> None:
                async with pool.sandbox() as sandbox:
                    assert await sandbox.exports.exchange(4 * number, 1) == 0
                    assert await sandbox.exports.count() == 2
                    await sandbox.exports.ask(1)

            tasks = [asyncio.create_task(use(number)) for number in range(300)]
            while not all(task.done() for task in tasks):
                await asyncio.sleep(0.0005)
                chance.choice(tasks).cancel()
            for task in tasks:
                assert task.cancelled() or task.exception() is None
            await until(lambda: pool.statistics().busy == 0)
            statistics = pool.statistics()
            assert (statistics.waiting, statistics.replaced) == (0, 0)
            assert statistics.created <= 2

    run(main)


def test_the_end(component: hlwasm.Component) -> None:
    async def main() -> None:
        pool = hlwasm.AsyncPool(component, size=1, imports=IMPORTS)
        spinning = asyncio.create_task(pool.call("spin"))
        await asyncio.sleep(0.1)
        waiting = asyncio.create_task(pool.call("count"))
        await asyncio.sleep(0.01)
        await pool.aclose(cancel=True)
        await pool.aclose()
        with pytest.raises(hlwasm.Cancelled):
            await spinning
        with pytest.raises(hlwasm.PoolClosed):
            await waiting
        with pytest.raises(hlwasm.PoolClosed):
            await pool.call("count")
        assert pool.statistics().idle == 0
        with pytest.raises(LookupError):
            async with hlwasm.AsyncPool(component, size=1, imports=IMPORTS) as other:
                task = asyncio.create_task(other.call("spin"))
                await asyncio.sleep(0.1)
                raise LookupError
        with pytest.raises(hlwasm.Cancelled):
            await task

    started = time.monotonic()
    run(main)
    assert time.monotonic() - started < 20


def test_the_first_use_uses_the_pool_itself(component: hlwasm.Component) -> None:
    async def main() -> None:
        async def host(value: int) -> int:
            return int(await pool.call("add", value, 1))

        async def warm_up(sandbox: hlwasm.AsyncSandbox) -> None:
            if warm:
                await sandbox.exports.ask(1)

        warm = [True]
        pool = hlwasm.AsyncPool(component, size=2, imports={"host": host}, warm_up=warm_up)
        with pytest.raises(hlwasm.PoolError, match="first sandbox is being made by this call"):
            await asyncio.wait_for(pool.call("count"), 20)
        warm.clear()
        assert await pool.call("ask", 4) == 5
        await pool.aclose()

    run(main)


def test_waiting_for_the_first_sandbox_ends(component: hlwasm.Component) -> None:
    async def main() -> None:
        go = asyncio.Event()
        warmed: list[object] = []

        async def warm_up(sandbox: hlwasm.AsyncSandbox) -> None:
            warmed.append(sandbox)
            await go.wait()

        pool = hlwasm.AsyncPool(component, size=3, imports=IMPORTS, warm_up=warm_up)
        first = asyncio.create_task(pool.call("count"))
        await until(lambda: warmed)
        for timeout in (0, 0.05):
            with pytest.raises(hlwasm.PoolTimeout, match="first sandbox"):
                async with pool.sandbox(timeout):
                    pass
        # Where its maker is cancelled, another makes it.
        second = asyncio.create_task(pool.call("count"))
        await asyncio.sleep(0.01)
        first.cancel()
        await until(lambda: len(warmed) == 2)
        go.set()
        assert await second == 1
        await pool.aclose()

    run(main)


def test_one_event_loop_and_one_process(component: hlwasm.Component) -> None:
    pool = hlwasm.AsyncPool(component, size=1, imports=IMPORTS)

    async def use() -> int:
        count: int = await pool.call("count")
        return count

    assert asyncio.run(use()) == 1
    with pytest.raises(hlwasm.PoolError, match="another event loop"):
        asyncio.run(use())
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(use())
        except hlwasm.PoolClosed:
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
