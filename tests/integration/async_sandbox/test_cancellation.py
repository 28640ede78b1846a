"""Ends that come from outside: deadlines, cancellation, sandboxes and loops that are forgotten."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import hlwasm
from hlwasm.sandbox import workers
from tests.integration.async_sandbox.guests import ENTERED, SMALL, forty_two, none_more_than, within
from tests.integration.conftest import Load
from tests.machines import machines

pytestmark = pytest.mark.hypervisor


class Endless:
    """A host coroutine that sleeps until it is cancelled."""

    def __init__(self) -> None:
        self.cleaned_up = 0

    async def fetch(self, key: int) -> int:
        try:
            await asyncio.sleep(3600)
        finally:
            self.cleaned_up += 1
        return key


def test_a_deadline_ends_a_guest_that_spins(load: Load) -> None:
    host = {"ping": lambda: None, "ask-text": lambda: ""} | {
        f"take-{what}": lambda value: None for what in ("text", "numbers", "letter", "shade")
    }

    async def main() -> None:
        async with load("traps").instantiate_async({"host": host}) as sandbox:
            start = time.monotonic()
            with pytest.raises((TimeoutError, asyncio.TimeoutError)):
                await within(ENTERED, sandbox.exports.hunger.loop_forever())
            assert ENTERED <= time.monotonic() - start < 5
            assert sandbox.status is hlwasm.Status.POISONED
            with pytest.raises(hlwasm.SandboxPoisoned, match="cancelled"):
                await sandbox.exports.faults.load(0)
        async with load("traps").instantiate_async({"host": host}) as sandbox:
            with pytest.raises((TimeoutError, asyncio.TimeoutError)):
                await within(ENTERED, sandbox.exports.hunger.ping_forever())
            assert sandbox.counters().host_calls > 10

    asyncio.run(main())


def test_a_deadline_ends_a_host_coroutine(component: hlwasm.Component) -> None:
    host = Endless()

    async def main() -> None:
        async with component.instantiate_async(host) as sandbox:
            with pytest.raises((TimeoutError, asyncio.TimeoutError)):
                await within(ENTERED, sandbox.exports.next(1))
            assert host.cleaned_up == 1
            assert sandbox.status is hlwasm.Status.POISONED

    asyncio.run(main())


def test_cancelling_again_and_again_loses_nothing(component: hlwasm.Component) -> None:
    async def main() -> None:
        async with component.instantiate_async({"fetch": forty_two}) as sandbox:
            call = asyncio.create_task(sandbox.exports.spin())
            await asyncio.sleep(ENTERED)
            while not call.done():
                call.cancel()
                await asyncio.sleep(0)
            assert call.cancelled()
            assert sandbox.status is hlwasm.Status.POISONED

    asyncio.run(main())


def test_cancelling_at_any_moment(component: hlwasm.Component) -> None:
    """Whatever it hits, the sandbox can be closed, and its state says what it is good for."""

    async def fetch(key: int) -> int:
        await asyncio.sleep(0)
        return key

    async def use(delay: float) -> None:
        async with component.instantiate_async({"fetch": fetch}, limits=SMALL) as sandbox:
            while True:
                assert await sandbox.exports.next(1) == 2
                await asyncio.sleep(0)

    async def main() -> None:
        for attempt in range(60):
            tasks = [asyncio.create_task(use(0)) for _ in range(4)]
            await asyncio.sleep(attempt * 0.0007)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(each, asyncio.CancelledError) for each in results), results

    asyncio.run(main())


def test_a_call_that_was_never_entered_leaves_the_sandbox_ready(
    component: hlwasm.Component,
) -> None:
    async def main() -> None:
        async with component.instantiate_async({"fetch": forty_two}) as sandbox:
            async with component.instantiate_async({"fetch": forty_two}) as other:
                spinning = [asyncio.create_task(other.exports.spin())]
                pool = workers.shared()
                hold, release = threading.Event(), threading.Event()

                def occupy() -> bool:
                    hold.set()
                    release.wait()
                    return True

                occupied = [asyncio.create_task(pool.run(occupy)) for _ in range(pool.count)]
                await asyncio.sleep(0)
                call = asyncio.create_task(sandbox.exports.add(1, 1))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                call.cancel()
                await asyncio.wait([call])
                release.set()
                await asyncio.gather(*occupied)
                spinning[0].cancel()
                await asyncio.wait(spinning)
            assert call.cancelled()
            assert sandbox.status is hlwasm.Status.READY
            assert await sandbox.exports.add(20, 22) == 42

    asyncio.run(main())


def test_cancel_from_another_thread(component: hlwasm.Component) -> None:
    async def main() -> None:
        async with component.instantiate_async({"fetch": forty_two}) as sandbox:
            timer = threading.Timer(0.05, sandbox.cancel)
            timer.start()
            with pytest.raises(hlwasm.Cancelled):
                await sandbox.exports.spin()
            timer.join()

    asyncio.run(main())


@pytest.mark.parametrize("elsewhere", [False, True])
def test_cancel_ends_a_host_coroutine(component: hlwasm.Component, elsewhere: bool) -> None:
    host = Endless()

    async def main() -> None:
        async with component.instantiate_async(host) as sandbox:
            snapshot = await sandbox.snapshot()
            for _ in range(2):
                call = asyncio.create_task(sandbox.exports.next(1))
                await asyncio.sleep(ENTERED)
                if elsewhere:
                    await asyncio.to_thread(sandbox.cancel)
                else:
                    sandbox.cancel()
                sandbox.cancel()
                done, _ = await asyncio.wait([call], timeout=5)
                assert done and isinstance(call.exception(), hlwasm.Cancelled)
                assert sandbox.status is hlwasm.Status.POISONED
                await sandbox.restore(snapshot)
                # The kick is taken back, too.
                assert await sandbox.exports.add(1, 2) == 3
        assert host.cleaned_up == 2

    asyncio.run(main())


def test_a_cancelled_host_coroutine_that_goes_on(component: hlwasm.Component) -> None:
    """Its guest does not, and the task is as it was."""
    outcomes: list[object] = []

    async def fetch(key: int) -> int:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if key:
                raise ValueError("converted") from None
        return key

    async def use(sandbox: hlwasm.AsyncSandbox, key: int) -> None:
        with pytest.raises(hlwasm.Cancelled):
            await sandbox.exports.next(key)
        await asyncio.sleep(0.01)
        outcomes.append(key)

    async def main() -> None:
        for key in (0, 1):
            async with component.instantiate_async({"fetch": fetch}) as sandbox:
                task = asyncio.create_task(use(sandbox, key))
                await asyncio.sleep(ENTERED)
                sandbox.cancel()
                await asyncio.wait_for(task, 5)

    asyncio.run(main())
    assert outcomes == [0, 1]


@pytest.mark.parametrize("moment", [0, 0.002, 0.01])
def test_cancelling_while_it_is_made(component: hlwasm.Component, moment: float) -> None:
    async def main() -> None:
        making = asyncio.ensure_future(component.instantiate_async({"fetch": forty_two}))
        await asyncio.sleep(moment)
        making.cancel()
        try:
            sandbox = await making
        except asyncio.CancelledError:
            return
        await sandbox.aclose()

    before = machines()
    asyncio.run(main())
    assert none_more_than(before)


def test_a_forgotten_sandbox_is_freed(component: hlwasm.Component) -> None:
    async def main() -> None:
        sandbox = await component.instantiate_async({"fetch": forty_two})
        assert await sandbox.exports.next(1) == 43

    before = machines()
    asyncio.run(main())
    assert none_more_than(before)


def test_an_event_loop_that_is_abandoned(component: hlwasm.Component) -> None:
    """A coroutine that is thrown away takes its guest with it."""

    async def call(sandbox: hlwasm.AsyncSandbox) -> None:
        await sandbox.exports.spin()

    before = machines()
    loop = asyncio.new_event_loop()
    sandbox = loop.run_until_complete(
        asyncio.ensure_future(component.instantiate_async({"fetch": forty_two}), loop=loop)
    )
    coroutine = call(sandbox)

    async def start() -> None:
        # Without a task, which would complain on its own account.
        iterator = coroutine.__await__()
        next(iterator)
        await asyncio.sleep(ENTERED)
        iterator.close()

    loop.run_until_complete(start())
    assert sandbox.status is hlwasm.Status.POISONED
    loop.run_until_complete(sandbox.aclose())
    loop.close()
    assert none_more_than(before)


def test_the_deadline_of_the_limits(component: hlwasm.Component, sleeper: hlwasm.Component) -> None:
    limits = hlwasm.Limits(deadline=ENTERED)
    host = Endless()

    async def check(component: hlwasm.Component, call: Callable[[Any], Awaitable[Any]]) -> None:
        imports = host if component is not sleeper else None
        async with component.instantiate_async(imports, limits=limits) as sandbox:
            start = time.monotonic()
            with pytest.raises(hlwasm.DeadlineExceeded) as caught:
                await call(sandbox.exports)
            assert ENTERED <= time.monotonic() - start < 5
            assert caught.value.limit == "deadline"
            with pytest.raises(hlwasm.SandboxPoisoned, match="deadline"):
                await call(sandbox.exports)
        # The task is none that was cancelled.
        await asyncio.sleep(0)

    async def main() -> None:
        await check(component, lambda exports: exports.spin())
        await check(component, lambda exports: exports.next(1))
        await check(sleeper, lambda exports: exports.sleep(3600 * 10**9))
        assert host.cleaned_up == 1
        async with sleeper.instantiate_async(limits=limits) as sandbox:
            for _ in range(3):
                await sandbox.exports.sleep(int(ENTERED * 0.5e9))

    asyncio.run(main())


def test_other_deadlines_are_told_apart(component: hlwasm.Component) -> None:
    async def fetch(key: int) -> int:
        if key == 0:
            raise asyncio.CancelledError
        await asyncio.sleep(3600)
        return key

    async def main() -> None:
        limits = hlwasm.Limits(deadline=30)
        async with component.instantiate_async({"fetch": fetch}, limits=limits) as sandbox:
            with pytest.raises((TimeoutError, asyncio.TimeoutError)):
                await within(ENTERED, sandbox.exports.next(1))
        async with component.instantiate_async({"fetch": fetch}, limits=limits) as sandbox:
            with pytest.raises(asyncio.CancelledError):
                await sandbox.exports.next(0)

    asyncio.run(main())
