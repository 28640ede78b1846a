"""Snapshots, restores and forks of asynchronous sandboxes."""

from __future__ import annotations

import asyncio

import pytest

import hlwasm
from tests.integration.async_sandbox.guests import forty_two, within

pytestmark = pytest.mark.hypervisor


def test_a_sandbox_is_restored_whatever_it_was_cancelled_in(component: hlwasm.Component) -> None:
    async def fetch(key: int) -> int:
        await gate.wait()
        return key

    async def main() -> None:
        async with component.instantiate_async({"fetch": fetch}) as sandbox:
            snapshot = await sandbox.snapshot()
            calls = sandbox.exports.spin, lambda: sandbox.exports.next(1)
            for number in range(100):
                with pytest.raises((TimeoutError, asyncio.TimeoutError)):
                    await within(number % 4 * 0.002, calls[number % 2]())
                await sandbox.restore(snapshot)
                assert await sandbox.exports.add(number, 1) == number + 1
            gate.set()
            assert await sandbox.exports.next(1) == 2

    gate = asyncio.Event()
    asyncio.run(main())


def test_a_program_is_restored_in_its_sleep(sleeper: hlwasm.Component) -> None:
    async def main() -> None:
        async with sleeper.instantiate_async() as sandbox:
            snapshot = await sandbox.snapshot()
            for _ in range(5):
                with pytest.raises((TimeoutError, asyncio.TimeoutError)):
                    await within(0.02, sandbox.exports.sleep(3600 * 10**9))
                await sandbox.restore(snapshot)
                await sandbox.exports.sleep(5_000_000)

    asyncio.run(main())


def test_forks_go_on_side_by_side(component: hlwasm.Component) -> None:
    async def main() -> None:
        async with component.instantiate_async({"fetch": forty_two}) as sandbox:
            async with sandbox.fork() as one, await sandbox.fork({"fetch": lambda key: 0}) as two:
                nexts = (each.exports.next(1) for each in (sandbox, one, two))
                assert await asyncio.gather(*nexts) == [43, 43, 1]
            call = asyncio.create_task(sandbox.exports.spin())
            await asyncio.sleep(0)
            with pytest.raises(hlwasm.SandboxBusy):
                await sandbox.snapshot()
            with pytest.raises(hlwasm.SandboxBusy):
                await sandbox.fork()
            call.cancel()
            await asyncio.wait([call])

    asyncio.run(main())
