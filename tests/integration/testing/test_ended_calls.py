"""Recordings of calls that were ended from outside or never made; replays that are ended."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import hlwasm
from hlwasm.testing import (
    RecordingError,
    Replayed,
    ReplayMismatch,
    record,
    record_async,
    replay,
    replay_async,
    replaying,
    replaying_async,
)
from tests.integration.async_sandbox.guests import ENTERED, HOST_CALLS, SLEEPER
from tests.integration.async_sandbox.test_resources import RESOURCES
from tests.integration.testing.recordings import lines, record_with, replay_both
from tests.interrupts import interrupted

pytestmark = pytest.mark.hypervisor

CANCELLED = "asyncio.exceptions.CancelledError"
# Never reached, unless a test fails.
LONG = hlwasm.Limits(deadline=60)
SHORT = hlwasm.Limits(deadline=0.2)


@pytest.fixture(scope="module")
def component() -> hlwasm.Component:
    return hlwasm.load(HOST_CALLS, cache=False)


async def slow(key: int) -> int:
    await asyncio.sleep(100)
    return key


async def cancelled(awaitable: Awaitable[Any]) -> None:
    """Cancels it, when it has surely entered the guest."""
    task = asyncio.ensure_future(awaitable)
    await asyncio.sleep(ENTERED)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


# Replays that are ended.


@pytest.fixture(params=["raises", "returns"])
def spinning(path: Path, component: hlwasm.Component, request: pytest.FixtureRequest) -> Path:
    """A recording of a call that takes for ever, which it says, or not."""
    with (
        record(path, component, {"fetch": abs}, limits=SHORT) as sandbox,
        pytest.raises(hlwasm.DeadlineExceeded),
    ):
        sandbox.exports.spin()
    if request.param == "returns":
        ended = path.read_text().splitlines()[2]
        path.write_text(path.read_text().replace(ended, '{"returns": "()"}'))
    return path


def test_a_replay_that_is_cancelled(spinning: Path, component: hlwasm.Component) -> None:
    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(replay_async(spinning, component, limits=LONG), 1)
        await cancelled(replay_async(spinning, component, limits=LONG))

    asyncio.run(main())


def test_ctrl_c_in_a_replay(spinning: Path, component: hlwasm.Component) -> None:
    interrupted(lambda: replay(spinning, component, limits=LONG), ENTERED)


def test_a_call_of_ones_own_that_is_cancelled(spinning: Path, component: hlwasm.Component) -> None:
    async def main() -> None:
        async with replaying_async(spinning, component) as sandbox:
            await cancelled(sandbox.exports.spin())

    if "raises" in spinning.read_text():
        asyncio.run(main())  # it ended like that
    else:
        with pytest.raises(ReplayMismatch, match="now:      the end"):
            asyncio.run(main())


# Calls that were ended from outside.


def test_a_replay_stops_where_nothing_would_end_the_call(
    path: Path, component: hlwasm.Component
) -> None:
    async def use(sandbox: hlwasm.AsyncSandbox) -> None:
        await sandbox.exports.add(1, 2)
        await cancelled(sandbox.exports.spin())
        with pytest.raises(hlwasm.SandboxPoisoned):
            await sandbox.exports.add(1, 2)

    record_with(path, component, {"fetch": slow}, use)
    assert lines(path)[4]["raises"]["type"] == CANCELLED
    message = f"line 5: from here the recorded call ran until it was ended by {CANCELLED}"
    with pytest.raises(RecordingError, match=message):
        replay(path, component)
    with pytest.raises(RecordingError, match=r"pass limits=Limits\(deadline=…\)"):
        asyncio.run(replay_async(path, component))
    # A deadline does for a cancel.
    assert replay_both(path, component, limits=SHORT) == Replayed(calls=3, host_calls=0)


def test_a_call_without_fuel(path: Path) -> None:
    component = hlwasm.load(HOST_CALLS, cache=False, fuel=True)
    limits = hlwasm.Limits(fuel=10_000)
    with (
        record(path, component, {"fetch": abs}, limits=limits) as sandbox,
        pytest.raises(hlwasm.FuelExhausted),
    ):
        sandbox.exports.spin()
    with pytest.raises(RecordingError, match="ended by FuelExhausted"):
        replay(path, component)
    assert replay_both(path, component, limits=limits).calls == 1
    # It went on for longer than it should.
    with pytest.raises(ReplayMismatch):
        replay(path, component, limits=SHORT)


@pytest.mark.parametrize("ending", ["cancel", "deadline"])
def test_a_wait_of_wasi_that_is_ended(path: Path, ending: str) -> None:
    sleeper = hlwasm.load(SLEEPER, cache=False)

    async def use(sandbox: hlwasm.AsyncSandbox) -> None:
        if ending == "cancel":
            await cancelled(sandbox.exports.sleep(10**11))
        else:
            with pytest.raises(hlwasm.DeadlineExceeded):
                await sandbox.exports.sleep(10**11)

    record_with(path, sleeper, None, use, limits=SHORT if ending == "deadline" else None)
    host, end = lines(path)[3:5]
    assert host["host"].endswith("[method]pollable.block")
    assert host["raises"] == end["raises"]
    assert replay_both(path, sleeper) == Replayed(calls=1, host_calls=2)


def test_a_host_function_that_is_left_alone(path: Path, component: hlwasm.Component) -> None:
    go_on = threading.Event()
    left = threading.Event()

    def fetch(key: int) -> int:
        go_on.wait(10)
        left.set()
        return key

    limits = hlwasm.Limits(deadline=0.2, abandon_host_calls=True)
    with record(path, component, {"fetch": fetch}, limits=limits) as sandbox:
        with pytest.raises(hlwasm.DeadlineExceeded):
            sandbox.exports.next(1)
        go_on.set()
        assert left.wait(10)
        time.sleep(0.05)
    assert lines(path)[2]["raises"]["type"] == "DeadlineExceeded"
    assert replay_both(path, component) == Replayed(calls=1, host_calls=1)


# Calls that were not made.


def test_a_call_beside_a_snapshot(path: Path, component: hlwasm.Component) -> None:
    async def use(sandbox: hlwasm.AsyncSandbox) -> None:
        calls = sandbox.snapshot(), sandbox.exports.add(1, 2)
        _, refused = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(refused, hlwasm.SandboxBusy)
        assert await sandbox.exports.add(1, 2) == 3

    record_with(path, component, {"fetch": slow}, use)
    assert replay_both(path, component) == Replayed(calls=1, host_calls=0)

    async def again() -> None:
        async with replaying_async(path, component) as sandbox:
            await use(sandbox)

    asyncio.run(again())


def test_a_call_of_a_closed_sandbox(path: Path, component: hlwasm.Component) -> None:
    with record(path, component, {"fetch": abs}) as sandbox:
        sandbox.exports.add(1, 2)
        sandbox.close()
        with pytest.raises(hlwasm.SandboxClosed):
            sandbox.exports.add(1, 2)
    assert replay_both(path, component) == Replayed(calls=1, host_calls=0)


def test_a_call_after_the_end(path: Path, component: hlwasm.Component) -> None:
    with record(path, component, {"fetch": abs}) as recorded:
        recorded.exports.add(1, 2)
    with replaying(path, component) as replayed:
        replayed.exports.add(1, 2)
    for sandbox in (recorded, replayed):
        with pytest.raises(hlwasm.SandboxClosed):
            sandbox.exports.add(1, 2)
        assert repr(sandbox) == "<Sandbox of <bytes>: closed>"

    async def main() -> None:
        for end in (
            record_async(path, component, {"fetch": abs}),
            replaying_async(path, component),
        ):
            async with end as sandbox:
                await sandbox.exports.add(1, 2)
            with pytest.raises(hlwasm.SandboxClosed):
                await sandbox.exports.add(1, 2)
            assert repr(sandbox) == "<AsyncSandbox of <bytes>: closed>"

    asyncio.run(main())


def test_a_task_that_is_still_in_the_sandbox_at_the_end(
    path: Path, component: hlwasm.Component
) -> None:
    async def main() -> None:
        with pytest.raises(hlwasm.SandboxBusy):
            async with record_async(path, component, {"fetch": slow}) as sandbox:
                task = asyncio.create_task(sandbox.exports.next(1))
                await asyncio.sleep(ENTERED)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await sandbox.aclose()

    asyncio.run(main())
    assert list(path.parent.iterdir()) == []


# Resources.


class File:
    """Cannot be closed, or not in time."""

    def __init__(self, close: Callable[[], Any]) -> None:
        self.close = close


def files(close: Callable[[], Any]) -> dict[str, Any]:
    class Files:
        def open(self) -> File:
            return File(close)

    Files.File = File  # type: ignore[attr-defined]
    return {"files": Files(), "dropped": lambda value: None}


def refuse() -> None:
    raise LookupError("no close")


async def refuse_later() -> None:
    await asyncio.sleep(0)
    raise LookupError("no close")


async def never() -> None:
    await asyncio.sleep(100)


def test_a_destructor_that_raises(path: Path) -> None:
    component = hlwasm.load(RESOURCES, cache=False)

    async def use(sandbox: hlwasm.AsyncSandbox) -> None:
        with pytest.raises(LookupError):
            await sandbox.exports.touch()

    raised = {"type": "builtins.LookupError", "message": "no close"}
    expected = [{"dropped": "file-1", "raises": raised}, {"raises": raised}, {"end": 5}]
    with record(path, component, files(refuse)) as sandbox, pytest.raises(LookupError):
        sandbox.exports.touch()
    assert lines(path)[3:] == expected
    assert replay_both(path, component) == Replayed(calls=1, host_calls=1)
    for close in (refuse, refuse_later):
        record_with(path, component, files(close), use)
        assert lines(path)[3:] == expected
        assert replay_both(path, component) == Replayed(calls=1, host_calls=1)
    path.write_text(path.read_text().replace("LookupError", "KeyError", 1))
    message = r"recorded: raises builtins.LookupError: no close\n  now:      raises builtins.KeyErr"
    with pytest.raises(ReplayMismatch, match=message):
        replay(path, component)


def test_a_destructor_that_is_cancelled(path: Path) -> None:
    component = hlwasm.load(RESOURCES, cache=False)

    async def use(sandbox: hlwasm.AsyncSandbox) -> None:
        await cancelled(sandbox.exports.touch())

    record_with(path, component, files(never), use)
    assert lines(path)[3]["raises"]["type"] == CANCELLED
    assert replay_both(path, component) == Replayed(calls=1, host_calls=1)


def test_resources_that_are_garbage_in_calls_of_ones_own(path: Path) -> None:
    component = hlwasm.load(RESOURCES, cache=False)

    def use(sandbox: hlwasm.Sandbox) -> None:
        counter = sandbox.exports.counters.Counter(1)
        del counter
        gc.collect()
        # It is dropped before.
        sandbox.exports.touch()

    async def use_async(sandbox: hlwasm.AsyncSandbox) -> None:
        counter = await sandbox.exports.counters.Counter(1)
        del counter
        gc.collect()
        await sandbox.exports.touch()

    async def again() -> None:
        async with replaying_async(path, component) as sandbox:
            await use_async(sandbox)

    with record(path, component, files(lambda: None)) as sandbox:
        use(sandbox)
    assert replay_both(path, component) == Replayed(calls=3, host_calls=2)
    with replaying(path, component) as sandbox:
        use(sandbox)
    asyncio.run(again())


def test_an_error_arm_that_the_function_has_not(path: Path, component: hlwasm.Component) -> None:
    def fetch(key: int) -> int:
        raise hlwasm.Err("none")

    with record(path, component, {"fetch": fetch}) as sandbox, pytest.raises(hlwasm.Err):
        sandbox.exports.next(1)
    assert lines(path)[2]["raises"]["type"] == "Err"
    assert replay_both(path, component) == Replayed(calls=1, host_calls=1)
