"""The asynchronous call loop against scripted guests, honest and lying."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from hlwasm.codec.functions import bind_async_export, bind_async_import, bind_import
from hlwasm.errors import (
    Cancelled,
    GuestDataError,
    GuestFault,
    ReentrantCall,
    SandboxBusy,
    SandboxPoisoned,
    Trap,
)
from hlwasm.native import _abi
from hlwasm.native.handles import NativeSandbox
from hlwasm.sandbox.async_calls import AsyncCalls, task_guard
from hlwasm.sandbox.calls import CallLoop
from hlwasm.sandbox.providers import Suspended
from hlwasm.sandbox.state import Status
from hlwasm.sandbox.workers import Workers
from tests.unit.sandbox.scripted import EINTR, SHUTDOWN, Script, scripted_sandbox
from tests.unit.sandbox.test_call_loop import EXPORT_MEMORY, IMPORT_MEMORY, WORLD

LOG = 0


@dataclass
class Rig:
    """A scripted guest, the two loops that run it, and its one export."""

    native: NativeSandbox
    script: Script
    core: CallLoop
    calls: AsyncCalls
    workers: Workers

    def add(self, a: int, b: int) -> Awaitable[int]:
        result: Awaitable[int] = bind_async_export(WORLD.exports[0], self.calls)(a, b)
        return result

    def import_log(self, implementation: Callable[[int], Any]) -> None:
        serve: Any = bind_async_import(WORLD.imports[0], self.calls, implementation)
        self.core.bind_import = {LOG: lambda: serve}

    def provide_log(self, implementation: Callable[[int], Any]) -> None:
        """As a provider does: served in the worker."""
        self.calls._awaited = frozenset()
        self.core.bind_import = {
            LOG: lambda: bind_import(WORLD.imports[0], self.core, implementation)
        }

    def call_log(self, value: int = 0) -> None:
        """The guest calls the host function."""
        self.script.write(IMPORT_MEMORY + 64, struct.pack("<I", value))
        self.script.write(IMPORT_MEMORY + _abi.TRANSFER_CURSOR, struct.pack("<I", 80))
        self.script.host_call(LOG, 64)

    def result(self, value: int) -> None:
        """The guest stores the export's result and is done."""
        self.script.write(EXPORT_MEMORY + 72, struct.pack("<I", value))
        self.script.done()

    @property
    def status(self) -> Status:
        return self.core.guard.current()


@pytest.fixture
def rig() -> Iterator[Rig]:
    native = scripted_sandbox()
    core, workers = CallLoop(native, WORLD, {}, task_guard()), Workers(1)
    calls = AsyncCalls(core, native, workers, core.kick, frozenset([LOG]))
    yield Rig(native, Script(native), core, calls, workers)
    core.guard.close()
    core.close()


def test_a_call_passes_parameters_and_result(rig: Rig) -> None:
    rig.result(7)
    assert asyncio.run(_call(rig, 3, 4)) == 7
    assert struct.unpack_from("<II", rig.core.export_memory, 64) == (3, 4)
    assert rig.status is Status.READY


async def _call(rig: Rig, a: int = 0, b: int = 0) -> int:
    return await rig.add(a, b)


def test_a_host_coroutine_is_served_in_the_caller_s_task(rig: Rig) -> None:
    seen: list[Any] = []

    async def log(value: int) -> int:
        await asyncio.sleep(0)
        seen.append((value, asyncio.current_task()))
        return 99

    async def main() -> None:
        assert await rig.add(0, 0) == 1
        assert seen == [(41, asyncio.current_task()), (42, asyncio.current_task())]

    rig.import_log(log)
    rig.call_log(41)
    rig.call_log(42)
    rig.result(1)
    asyncio.run(main())
    assert struct.unpack_from("<I", rig.core.import_memory, 80) == (99,)


def test_a_plain_host_function_is_served_in_the_event_loop(rig: Rig) -> None:
    threads: list[int] = []

    def log(value: int) -> int:
        threads.append(threading.get_ident())
        return 0

    rig.import_log(log)
    rig.call_log()
    rig.result(1)
    assert asyncio.run(_call(rig)) == 1
    assert threads == [threading.get_ident()]


def test_a_provider_s_host_function_is_served_in_the_worker(rig: Rig) -> None:
    threads: list[int] = []

    def log(value: int) -> int:
        threads.append(threading.get_ident())
        return 0

    rig.provide_log(log)
    rig.call_log()
    rig.call_log()
    rig.result(1)
    assert asyncio.run(_call(rig)) == 1
    assert threads == [rig.workers._workers[0].thread.ident] * 2


def test_a_host_function_that_suspends_is_called_again(rig: Rig) -> None:
    log: list[str] = []

    async def until() -> None:
        await asyncio.sleep(0)
        log.append("awaited")

    def wait(value: int) -> int:
        log.append(f"called with {value}")
        if len(log) < 4:
            raise Suspended(until)
        return 5

    rig.provide_log(wait)
    rig.call_log(3)
    rig.result(1)
    assert asyncio.run(_call(rig)) == 1
    assert log == ["called with 3", "awaited"] * 2 + ["called with 3"]
    assert struct.unpack_from("<I", rig.core.import_memory, 80) == (5,)


@pytest.mark.parametrize("provided", [False, True])
def test_a_guest_does_not_run_on_after_a_failed_host_call(rig: Rig, provided: bool) -> None:
    called = 0

    def fail(value: int) -> int:
        nonlocal called
        called += 1
        raise ZeroDivisionError("on purpose")

    (rig.provide_log if provided else rig.import_log)(fail)
    rig.call_log()
    rig.call_log()
    rig.result(1)
    with pytest.raises(ZeroDivisionError, match="on purpose") as caught:
        asyncio.run(_call(rig))
    assert caught.traceback[-1].name == "fail"
    assert called == 1
    with pytest.raises(SandboxPoisoned, match="on purpose"):
        asyncio.run(_call(rig))


def test_one_task_at_a_time(rig: Rig) -> None:
    async def log(value: int) -> int:
        with pytest.raises(ReentrantCall):
            await rig.add(0, 0)
        with pytest.raises(SandboxBusy, match="another task"):
            await asyncio.create_task(_call(rig))
        return 0

    rig.import_log(log)
    rig.call_log()
    rig.result(1)
    assert asyncio.run(_call(rig)) == 1


def test_a_trap_poisons(rig: Rig) -> None:
    rig.script.done(_abi.STATUS_TRAP, _abi.TRAP_MEMORY_OUT_OF_BOUNDS, "out of bounds")
    with pytest.raises(Trap, match="out of bounds"):
        asyncio.run(_call(rig))
    assert rig.status is Status.POISONED


def test_nonsense_is_a_guest_fault(rig: Rig) -> None:
    rig.script.step(SHUTDOWN)
    with pytest.raises(GuestFault):
        asyncio.run(_call(rig))
    assert rig.status is Status.POISONED


@pytest.mark.parametrize("number", [1, _abi.TRANSFER_DROP_RESOURCE | 3, 2**40])
def test_an_unknown_host_function_is_guest_data(rig: Rig, number: int) -> None:
    rig.script.host_call(number, 64)
    with pytest.raises((GuestDataError, GuestFault)):
        asyncio.run(_call(rig))
    assert rig.status is Status.POISONED


@pytest.mark.parametrize("pointer", [1, 65_535, 2**32 - 4, 2**63])
def test_a_lying_pointer_is_guest_data(rig: Rig, pointer: int) -> None:
    rig.import_log(lambda value: pytest.fail("it was called"))
    rig.script.host_call(LOG, pointer)
    with pytest.raises((GuestDataError, GuestFault)):
        asyncio.run(_call(rig))


def test_signals_do_not_disturb_a_call(rig: Rig) -> None:
    for _ in range(5):
        rig.script.step(EINTR)
    rig.result(3)
    assert asyncio.run(_call(rig)) == 3


def test_a_signal_makes_room_for_others(rig: Rig) -> None:
    """The guest is interrupted while another job waits, and goes on after that."""
    order: list[str] = []

    def provided(value: int) -> int:
        order.append(f"guest {value}")
        if value == 1:
            queued.set()
            assert others_wait.wait(10)
        return 0

    def other() -> bool:
        order.append("other")
        return True

    async def main() -> None:
        call = asyncio.create_task(_call(rig))
        while not queued.is_set():
            await asyncio.sleep(0.001)
        rest = asyncio.create_task(rig.workers.run(other))
        await asyncio.sleep(0)
        others_wait.set()
        assert await call == 3
        await rest

    queued, others_wait = threading.Event(), threading.Event()
    rig.provide_log(provided)
    rig.call_log(1)
    rig.script.step(EINTR)
    rig.call_log(2)
    rig.result(3)
    asyncio.run(main())
    assert order == ["guest 1", "other", "guest 2"]


def test_a_kick_cancels(rig: Rig) -> None:
    rig.native.kick()
    rig.script.step(EINTR)
    with pytest.raises(Cancelled):
        asyncio.run(_call(rig))
    with pytest.raises(SandboxPoisoned, match="cancelled"):
        asyncio.run(_call(rig))


def test_a_call_that_is_cancelled_in_a_host_coroutine_poisons(rig: Rig) -> None:
    async def log(value: int) -> int:
        entered.set()
        await asyncio.sleep(3600)
        return 0

    async def main() -> None:
        call = asyncio.create_task(_call(rig))
        await entered.wait()
        call.cancel()
        await asyncio.wait([call])
        assert call.cancelled()

    entered = asyncio.Event()
    rig.import_log(log)
    rig.call_log()
    asyncio.run(main())
    assert rig.status is Status.POISONED


def test_a_call_that_is_refused_for_its_arguments_leaves_the_sandbox_ready(rig: Rig) -> None:
    with pytest.raises(ValueError, match="parameter p1"):
        asyncio.run(_call(rig, 0, -1))
    assert rig.status is Status.READY
    rig.result(2)
    assert asyncio.run(_call(rig, 1, 1)) == 2
