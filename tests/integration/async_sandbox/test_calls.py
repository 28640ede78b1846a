"""Calls that are awaited: host functions, one task at a time, many sandboxes, turns."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import hlwasm
from tests.integration.async_sandbox.guests import SMALL, THREADS, forty_two, within

pytestmark = pytest.mark.hypervisor

# A start function that calls the host.
STARTING = b"""(component
  (import "ready" (func $ready))
  (core func $lowered (canon lower (func $ready)))
  (core module $m (import "" "ready" (func $ready)) (start $ready))
  (core instance (instantiate $m (with "" (instance (export "ready" (func $lowered)))))))"""


def test_calls_are_awaited(component: hlwasm.Component) -> None:
    async def main() -> None:
        async with component.instantiate_async({"fetch": forty_two}) as sandbox:
            exports = sandbox.exports
            assert asyncio.iscoroutinefunction(exports.add)
            assert await exports.add(2, 3) == 5
            assert await exports.add(b=5, a=-7) == -2
            assert await exports["next"](1) == 43
            with pytest.raises(hlwasm.WitValueError, match="parameter b"):
                await exports.add(0, 2**31)
            assert sandbox.counters().host_calls == 1
            assert sandbox.status.value == "ready"
        assert sandbox.status.value == "closed"
        with pytest.raises(hlwasm.SandboxClosed):
            await exports.add(1, 1)

    asyncio.run(main())


def test_the_ways_to_make_and_close_one(component: hlwasm.Component) -> None:
    async def main() -> None:
        async with await component.instantiate_async({"fetch": forty_two}) as sandbox:
            assert await sandbox.exports.add(1, 1) == 2
        sandbox = await component.instantiate_async({"fetch": forty_two})
        await sandbox.aclose()
        await sandbox.aclose()
        assert sandbox.status is hlwasm.Status.CLOSED
        # One that is never awaited makes nothing, and complains about nothing.
        component.instantiate_async({"fetch": forty_two})
        with pytest.raises(hlwasm.LinkError, match="fetch: missing"):
            await component.instantiate_async()

    asyncio.run(main())


def test_a_trap_of_the_guest(component: hlwasm.Component) -> None:
    async def main() -> None:
        async with component.instantiate_async({"fetch": forty_two}) as sandbox:
            with pytest.raises(hlwasm.Trap) as caught:
                await sandbox.exports.trap()
            assert caught.value.code is hlwasm.TrapCode.UNREACHABLE
            with pytest.raises(hlwasm.SandboxPoisoned):
                await sandbox.exports.add(1, 1)

    asyncio.run(main())


def test_host_functions_run_in_the_caller_s_task(component: hlwasm.Component) -> None:
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user")
    seen: list[tuple[str, int, asyncio.Task[Any] | None]] = []

    def plain(key: int) -> int:
        seen.append((user.get(), threading.get_ident(), asyncio.current_task()))
        return key

    async def coroutine(key: int) -> int:
        plain(key)
        await asyncio.sleep(0)
        user.set(f"{user.get()}, served")
        return key

    async def call(name: str, fetch: Callable[[int], Any]) -> str:
        user.set(name)
        async with component.instantiate_async({"fetch": fetch}) as sandbox:
            assert await sandbox.exports.next(6) == 7
        assert seen[-1] == (name, threading.get_ident(), asyncio.current_task())
        return user.get()

    assert asyncio.run(call("ann", plain)) == "ann"
    assert asyncio.run(call("bob", coroutine)) == "bob, served"


def test_an_exception_of_a_host_coroutine_comes_back(component: hlwasm.Component) -> None:
    async def fail(key: int) -> int:
        await asyncio.sleep(0)
        raise ZeroDivisionError("on purpose")

    async def main() -> None:
        async with component.instantiate_async({"fetch": fail}) as sandbox:
            with pytest.raises(ZeroDivisionError, match="on purpose") as caught:
                await sandbox.exports.next(0)
            assert caught.traceback[-1].name == "fail"
            with pytest.raises(hlwasm.SandboxPoisoned, match="on purpose"):
                await sandbox.exports.add(1, 1)

    asyncio.run(main())


def test_one_task_at_a_time(component: hlwasm.Component) -> None:
    async def main() -> None:
        entered, gate = asyncio.Event(), asyncio.Event()
        inside: list[BaseException] = []

        async def fetch(key: int) -> int:
            for attempt in (sandbox.exports.add(1, 1), sandbox.aclose()):
                with pytest.raises(hlwasm.ReentrantCall) as caught:
                    await attempt
                inside.append(caught.value)
            entered.set()
            await gate.wait()
            return key

        async with component.instantiate_async({"fetch": fetch}) as sandbox:
            call = asyncio.create_task(sandbox.exports.next(1))
            await entered.wait()
            assert sandbox.status is hlwasm.Status.RUNNING
            with pytest.raises(hlwasm.SandboxBusy, match="another task"):
                await sandbox.exports.add(1, 1)
            with pytest.raises(hlwasm.SandboxBusy):
                await sandbox.aclose()
            gate.set()
            assert await call == 2
            assert len(inside) == 2
            assert await sandbox.exports.add(1, 1) == 2

    asyncio.run(main())


def test_thousands_wait_without_a_thread_each(component: hlwasm.Component) -> None:
    sandboxes, calls_each = 500, 4

    async def main() -> None:
        waiting, gate = 0, asyncio.Event()

        async def fetch(key: int) -> int:
            nonlocal waiting
            waiting += 1
            await gate.wait()
            return key

        async def use(number: int) -> list[int]:
            async with component.instantiate_async({"fetch": fetch}, limits=SMALL) as sandbox:
                turn = asyncio.Lock()

                async def call(key: int) -> int:
                    async with turn:
                        result: int = await sandbox.exports.next(key)
                        return result

                return await asyncio.gather(*(call(10 * number + n) for n in range(calls_each)))

        tasks = [asyncio.create_task(use(number)) for number in range(sandboxes)]
        while waiting < sandboxes:
            await asyncio.sleep(0.01)
        assert len(asyncio.all_tasks()) > sandboxes * calls_each
        assert threading.active_count() <= before + THREADS
        gate.set()
        results = await asyncio.gather(*tasks)
        assert results == [
            [10 * number + n + 1 for n in range(calls_each)] for number in range(sandboxes)
        ]

    before = threading.active_count()
    asyncio.run(main())
    assert threading.active_count() <= before + THREADS


def test_guests_that_spin_leave_room_for_others(component: hlwasm.Component) -> None:
    async def main() -> None:
        made = (component.instantiate_async({"fetch": forty_two}, limits=SMALL) for _ in range(11))
        *spinners, other = await asyncio.gather(*made)
        spinning = [asyncio.create_task(each.exports.spin()) for each in spinners]
        await asyncio.sleep(0.05)
        for number in range(20):
            assert await within(5, other.exports.next(number)) == 43
        assert not any(each.done() for each in spinning)
        # All of them get their turns.
        for sandbox in spinners:
            before, end = sandbox.counters().interrupts, time.monotonic() + 30
            while sandbox.counters().interrupts == before:
                assert time.monotonic() < end
                await asyncio.sleep(0.005)
        for each in spinning:
            each.cancel()
        await asyncio.wait(spinning)
        for sandbox in (*spinners, other):
            await sandbox.aclose()

    asyncio.run(main())


def test_a_start_function_may_call_a_coroutine() -> None:
    seen: list[asyncio.Task[Any] | None] = []

    async def ready() -> None:
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    async def main() -> None:
        async with hlwasm.load(STARTING, cache=False).instantiate_async({"ready": ready}):
            assert seen == [asyncio.current_task()]

    asyncio.run(main())
