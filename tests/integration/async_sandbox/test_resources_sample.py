"""The sample ``resources`` in an asynchronous sandbox: the same rules, awaited."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import hlwasm
from tests.integration.conftest import Load
from tests.integration.resources_host import Blob, Store

pytestmark = [pytest.mark.hypervisor, pytest.mark.toolchain("cargo")]


class AsyncBlob(Blob):
    """A blob whose functions and end are coroutines."""

    async def size(self) -> int:  # type: ignore[override]
        await asyncio.sleep(0)
        return len(self.data)

    async def close(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        self.closed += 1


class AsyncStore(Store):
    Blob = AsyncBlob

    async def total(self, seen: Any) -> int:  # type: ignore[override]
        await asyncio.sleep(0)
        return 3


@asynccontextmanager
async def running(load: Load) -> AsyncIterator[hlwasm.AsyncSandbox]:
    async with load("resources").instantiate_async({"store": AsyncStore()}) as sandbox:
        yield sandbox


async def destructors(load: Load) -> None:
    async with running(load) as sandbox:
        c = sandbox.exports.counters
        async with await c.Counter(1) as counter:
            assert await counter.add(1) == 2
        assert await c.destroyed() == (1, 2)
        await counter.drop()
        given = await c.Counter(10)
        await c.keep(given)
        with pytest.raises(hlwasm.WitValueError, match="this counter was given away"):
            await given.value()
        released = await c.release()
        group = await c.turn(c.Group.Many([released, await c.Counter(20)]))
        assert [await each.value() for each in group.value] == [10, 20]
        await group.value[0].drop()
        assert await c.destroyed() == (2, 12)
        del group, released
        gc.collect()
        assert await c.destroyed() == (3, 32)


async def ownership(load: Load) -> None:
    async with running(load) as sandbox:
        c = sandbox.exports.counters
        one = await c.Counter(1)
        for _ in range(3):
            with pytest.raises(hlwasm.WitValueError, match="is lent to the same call"):
                await one.absorb(one)
            with pytest.raises(hlwasm.WitValueError, match="given away by another value"):
                await c.turn(c.Group.Many([one, one]))
            with pytest.raises(hlwasm.WitTypeError):
                await c.turn_tuple((one, "many"))
        async with sandbox.fork() as fork:
            with pytest.raises(hlwasm.WitValueError, match="belongs to another sandbox"):
                await fork.exports.counters.keep(one)
        snapshot = await sandbox.snapshot()
        new = await c.Counter(2)
        await sandbox.restore(snapshot)
        assert await one.value() == 1
        with pytest.raises(hlwasm.WitValueError, match="restored away"):
            await new.value()


async def host_objects(load: Load) -> None:
    async with running(load) as sandbox:
        client = sandbox.exports.client
        blob = AsyncBlob("b", b"1234")
        assert await client.describe(blob) == ("b", 4)
        await client.keep(blob)
        await client.discard(blob)
        assert blob.closed == 0
        halves = await client.halves(blob)
        assert halves[0] is blob
        await client.keep(AsyncBlob("c"))
        # Given back by `halves`, and still owned where it was kept.
        assert blob.closed == 1
        with pytest.raises(hlwasm.WitTypeError, match="expected a blob, an object of class AsyncB"):
            await client.discard(3)
        last = AsyncBlob("last")
        await client.keep(last)
        with pytest.raises(hlwasm.Trap, match="borrow handles still remain"):
            await sandbox.exports.misuse.keep_borrow(blob)
        assert last.closed == 0
    assert last.closed == 1
    assert blob.closed == 1


async def used_while_others_wait(load: Load) -> None:
    async with running(load) as sandbox:
        c, client = sandbox.exports.counters, sandbox.exports.client
        one = await c.Counter(1)
        call = asyncio.create_task(client.total(client.Seen.Nothing()))
        await asyncio.sleep(0)
        # Busy: it is dropped before the next call.
        await one.drop()
        assert await call == 3
        assert await c.destroyed() == (1, 1)


@pytest.mark.parametrize("story", [destructors, ownership, host_objects, used_while_others_wait])
def test_story(story: Any, load: Load) -> None:
    asyncio.run(story(load))
