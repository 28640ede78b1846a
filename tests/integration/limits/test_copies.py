"""Limits of sandboxes that are forked, restored, or awaited: the same, to the unit."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import hlwasm
from hlwasm import Limits, Status, Wasi
from tests.integration.limits.guest import GROW, PAGE, Host

pytestmark = pytest.mark.hypervisor


def test_a_fork_has_fuel_and_counts_host_calls(counting: hlwasm.Component) -> None:
    with counting.instantiate(Host()) as sandbox:
        sandbox.exports.ask(5)
        needed = sandbox.fuel_used
        assert needed
    limits = Limits(fuel=needed, host_calls=5)
    with counting.instantiate(Host(), limits=limits) as sandbox, sandbox.fork(Host()) as fork:
        for each in (sandbox, fork, fork, sandbox):
            assert each.exports.ask(5) == 15
            assert each.fuel_used == needed
        with pytest.raises(hlwasm.FuelExhausted):
            fork.exports.spin(100_000)
        assert sandbox.exports.ask(5) == 15


def test_a_restore_gives_a_sandbox_back_that_has_reached_a_limit(
    counting: hlwasm.Component,
) -> None:
    limits = Limits(fuel=10_000, host_calls=5, host_call_bytes=1000)
    with counting.instantiate(Host(), limits=limits) as sandbox:
        snapshot = sandbox.snapshot()
        for _ in range(3):
            for name, argument, kind in [
                ("ask", 6, hlwasm.HostCallLimitExceeded),
                ("spin", 100_000, hlwasm.FuelExhausted),
                ("say", 1001, hlwasm.HostCallBytesExceeded),
            ]:
                with pytest.raises(kind):
                    sandbox.exports[name](argument)
                assert sandbox.status is Status.POISONED
                sandbox.restore(snapshot)
                assert sandbox.exports.ask(5) == 15


def test_all_memories_of_a_fork_end_at_their_total() -> None:
    component = hlwasm.load(GROW, cache=False)
    with component.instantiate(limits=Limits(total_memory=10 * PAGE)) as sandbox:
        assert sandbox.exports.grow_a(3) == 1
        snapshot = sandbox.snapshot()
        with sandbox.fork() as fork:
            for each in (sandbox, fork):
                assert each.exports.grow_b(6) == -1
                assert each.exports.grow_b(5) == 1
                assert each.exports.grow_a(1) == -1
                each.restore(snapshot)
                assert each.exports.grow_a(5) == 4
                assert each.exports.grow_b(1) == -1


class AsyncHost(Host):
    async def log(self, number: int) -> int:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().log(number)

    async def give(self, count: int) -> bytes:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().give(count)


def awaited(
    component: hlwasm.Component,
    limits: Limits,
    use: Callable[[hlwasm.AsyncSandbox], Awaitable[None]],
    host: Host | None = None,
) -> None:
    async def main() -> None:
        async with component.instantiate_async(host or AsyncHost(), limits=limits) as sandbox:
            await use(sandbox)

    asyncio.run(main())


def test_awaited_calls_have_the_same_limits(counting: hlwasm.Component) -> None:
    with counting.instantiate(Host()) as plain:
        plain.exports.ask(5)
        needed = plain.fuel_used
        assert needed
    host = AsyncHost()

    async def use(sandbox: hlwasm.AsyncSandbox) -> None:
        for _ in range(3):
            assert await sandbox.exports.ask(5) == 15
            assert sandbox.fuel_used == needed
        host.numbers.clear()
        with pytest.raises(hlwasm.HostCallLimitExceeded):
            await sandbox.exports.ask(6)
        assert host.numbers == [6, 5, 4, 3, 2]

    awaited(counting, Limits(host_calls=5, host_call_bytes=40), use, host)


@pytest.mark.parametrize(
    ("limits", "name", "argument", "kind"),
    [
        (Limits(host_call_bytes=39), "ask", 5, hlwasm.HostCallBytesExceeded),
        (Limits(host_call_bytes=511), "take", 500, hlwasm.HostCallBytesExceeded),
        (Limits(host_calls=0), "say", 1, hlwasm.HostCallLimitExceeded),
        (Limits(fuel=1000), "spin", 1000, hlwasm.FuelExhausted),
    ],
)
def test_awaited_calls_exceed_them(
    counting: hlwasm.Component,
    limits: Limits,
    name: str,
    argument: int,
    kind: type[hlwasm.LimitExceeded],
) -> None:
    async def use(sandbox: hlwasm.AsyncSandbox) -> None:
        with pytest.raises(kind):
            await sandbox.exports[name](argument)
        assert sandbox.status is Status.POISONED

    awaited(counting, limits, use)


# Sleeps for 20 ms, and says so.
SLEEPER = b"""(module
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 256) "\\08\\01\\00\\00\\05\\00\\00\\00slept")
  (func (export "_start")
    (i32.store (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (i64.const 20000000))
    (if (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))
      (then unreachable))
    (drop (call $write (i32.const 1) (i32.const 256) (i32.const 1) (i32.const 128)))))"""


def test_a_host_call_that_waits_counts_once() -> None:
    component = hlwasm.load(SLEEPER, cache=False)

    def plain(**limits: Any) -> bytes:
        out = io.BytesIO()
        wasi = Wasi(stdout=out)
        with component.instantiate(wasi=wasi, limits=Limits(**limits)) as sandbox:
            assert sandbox.run() == 0
        return out.getvalue()

    def asynchronous(**limits: Any) -> bytes:
        out = io.BytesIO()

        async def main() -> None:
            made = component.instantiate_async(wasi=Wasi(stdout=out), limits=Limits(**limits))
            async with made as sandbox:
                assert await sandbox.run() == 0

        asyncio.run(main())
        return out.getvalue()

    def fits(run: Callable[..., bytes], name: str, value: int) -> bool:
        try:
            return run(**{name: value}) == b"slept"
        except hlwasm.LimitExceeded as error:
            assert (error.limit, error.value) == (name, value)
            return False

    for name, most in (("host_calls", 200), ("host_call_bytes", 20_000)):
        low, high = 0, most
        while low + 1 < high:
            middle = (low + high) // 2
            low, high = (low, middle) if fits(plain, name, middle) else (middle, high)
        assert 1 < high < most
        assert fits(asynchronous, name, high)
        assert not fits(asynchronous, name, high - 1)
