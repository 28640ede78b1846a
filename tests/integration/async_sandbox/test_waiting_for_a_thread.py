"""Calls that are cancelled while they wait for a thread of the pool: they are not made."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

import hlwasm
from hlwasm.sandbox import workers
from tests.integration.conftest import Load
from tests.integration.resources_host import Blob, Store

pytestmark = [pytest.mark.hypervisor, pytest.mark.toolchain("cargo")]


@asynccontextmanager
async def busy() -> AsyncIterator[None]:
    """All threads of the pool are busy."""
    pool, release = workers.shared(), threading.Event()
    started = [threading.Event() for _ in range(pool.count)]

    def occupy(event: threading.Event) -> bool:
        event.set()
        release.wait()
        return True

    tasks = [asyncio.create_task(pool.run(partial(occupy, event))) for event in started]
    try:
        while not all(event.is_set() for event in started):
            await asyncio.sleep(0.001)
        yield
    finally:
        release.set()
        await asyncio.gather(*tasks)


async def cancelled(call: Awaitable[Any]) -> None:
    """Makes a call, which is cancelled before a thread is free."""
    async with busy():
        task = asyncio.ensure_future(call)
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()


@asynccontextmanager
async def running(load: Load) -> AsyncIterator[hlwasm.AsyncSandbox]:
    async with load("resources").instantiate_async({"store": Store()}) as sandbox:
        yield sandbox
        assert sandbox.status is hlwasm.Status.READY


async def giving_the_component_s_own(load: Load) -> None:
    async with running(load) as sandbox:
        c = sandbox.exports.counters
        one, two = await c.Counter(1), await c.Counter(2)
        await cancelled(c.keep(one))
        await cancelled(c.turn(c.Group.Many([one, two])))
        assert await one.value() == 1
        await c.keep(one)
        await two.drop()
        assert await c.destroyed() == (1, 2)


async def giving_the_host_s(load: Load) -> None:
    async with running(load) as sandbox:
        client, blob = sandbox.exports.client, Blob("mine")
        await cancelled(client.discard(blob))
        assert not sandbox._loop.resources._host
        await sandbox.snapshot()  # a blob cannot be captured
        await client.discard(blob)
        assert blob.closed == 1
    assert blob.closed == 1


async def dropping(load: Load) -> None:
    async with running(load) as sandbox:
        c = sandbox.exports.counters
        one = await c.Counter(1)
        await cancelled(one.drop())
        assert await c.destroyed() == (1, 1)
        assert await c.destroyed() == (1, 1)


async def dropping_garbage(load: Load) -> None:
    async with running(load) as sandbox:
        c = sandbox.exports.counters
        many = [await c.Counter(number) for number in (1, 2, 3)]
        del many
        gc.collect()
        await cancelled(c.destroyed())
        assert await c.destroyed() == (3, 6)
        assert not sandbox._loop.resources._held


@pytest.mark.parametrize(
    "use", [giving_the_component_s_own, giving_the_host_s, dropping, dropping_garbage]
)
def test_a_call_that_is_not_made_takes_nothing(load: Load, use: Any) -> None:
    asyncio.run(use(load))
