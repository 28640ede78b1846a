"""Recordings of asynchronous sandboxes, and of either kind replayed in the other."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest

import hlwasm
from hlwasm.testing import (
    Fakes,
    RecordingError,
    Replayed,
    ReplayMismatch,
    record,
    replay_async,
    replaying_async,
    strategies,
)
from tests.integration.async_sandbox.guests import ENTERED, HOST_CALLS, SLEEPER, within
from tests.integration.async_sandbox.test_resources import RESOURCES, Files
from tests.integration.conftest import Load
from tests.integration.testing.recordings import lines, record_with, replay_both

pytestmark = pytest.mark.hypervisor

# Asks for a stream while it is instantiated, which is the same in every sandbox.
STARTING = b"""(component
  (import "wasi:io/streams@0.2.6" (instance $streams
    (export "output-stream" (type $stream (sub resource)))))
  (alias export $streams "output-stream" (type $stream))
  (import "wasi:cli/stdout@0.2.6" (instance $stdout
    (alias outer 1 $stream (type $outer))
    (export "output-stream" (type $stream' (eq $outer)))
    (export "get-stdout" (func (result (own $stream'))))))
  (core func $get (canon lower (func $stdout "get-stdout")))
  (core module $m
    (import "" "get" (func $get (result i32)))
    (global $handle (mut i32) (i32.const 0))
    (func $start (global.set $handle (call $get)))
    (start $start)
    (func (export "handle") (result i32) global.get $handle))
  (core instance $i (instantiate $m (with "" (instance (export "get" (func $get))))))
  (func (export "handle") (result u32) (canon lift (core func $i "handle"))))"""


@pytest.fixture(scope="module")
def component() -> hlwasm.Component:
    return hlwasm.load(HOST_CALLS, cache=False)


async def fetch(key: int) -> int:
    await asyncio.sleep(0)
    if key == 13:
        raise LookupError("unlucky")
    return 10 * key


def fetch_at_once(key: int) -> int:
    if key == 13:
        raise LookupError("unlucky")
    return 10 * key


def test_both_kinds_of_sandbox_record_the_same(path: Path, component: hlwasm.Component) -> None:
    async def use(sandbox: hlwasm.AsyncSandbox) -> None:
        assert await sandbox.exports.next(4) == 41
        assert await sandbox.exports.add(b=2, a=1) == 3
        # No call is made.
        with pytest.raises(hlwasm.WitValueError):
            await sandbox.exports.add(1 << 40, 0)
        with pytest.raises(LookupError):
            await sandbox.exports.next(13)
        with pytest.raises(hlwasm.SandboxPoisoned):
            await sandbox.exports.next(1)

    record_with(path, component, {"fetch": fetch}, use)
    recorded = path.read_text()
    assert lines(path)[1:3] == [
        {"call": "next", "args": ["4"]},
        {"host": "fetch", "args": ["4"], "returns": "40"},
    ]
    assert replay_both(path, component) == Replayed(calls=4, host_calls=2)
    with record(path, component, {"fetch": fetch_at_once}) as sandbox:
        sandbox.exports.next(4)
        sandbox.exports.add(1, 2)
        with pytest.raises(LookupError):
            sandbox.exports.next(13)
        with pytest.raises(hlwasm.SandboxPoisoned):
            sandbox.exports.next(1)
    assert path.read_text() == recorded
    # Host functions need not be coroutine functions.
    record_with(path, component, {"fetch": fetch_at_once}, use)
    assert path.read_text() == recorded


def test_a_wait_of_wasi_is_one_call(path: Path) -> None:
    sleeper = hlwasm.load(SLEEPER, cache=False)

    async def use(sandbox: hlwasm.AsyncSandbox) -> None:
        await sandbox.exports.sleep(30_000_000)

    record_with(path, sleeper, None, use)
    recorded = lines(path)[2:-2]
    # It was suspended, and served again.
    kinds = [next(iter(line.values())).rpartition("#")[2] for line in recorded]
    assert kinds == ["subscribe-duration", "[method]pollable.block", "pollable-1"]
    assert replay_both(path, sleeper) == Replayed(calls=1, host_calls=2)


def test_a_whole_program(path: Path, load: Load) -> None:
    program = load("wasi_program_py")
    written: list[bytes] = []

    async def use(sandbox: hlwasm.AsyncSandbox) -> None:
        assert await sandbox.run() == 0

    grants = hlwasm.Wasi(args=["program", "count"], stdin=b"one\ntwo\n", stdout=written.append)
    record_with(path, program, None, use, wasi=grants)
    assert b"".join(written) == b"2 8\n"
    written.clear()
    assert replay_both(path, program).host_calls > 10
    assert written == []


class FilesAtOnce(Files):
    """The same with nothing to await."""

    def close(self) -> None:  # type: ignore[override]
        self.log.append("close")

    def dropped(self, value: int) -> None:  # type: ignore[override]
        self.log.append(value)


def test_resources_of_both_sides(path: Path) -> None:
    component = hlwasm.load(RESOURCES, cache=False)
    host = Files()

    async def use(sandbox: hlwasm.AsyncSandbox) -> None:
        exports = sandbox.exports
        await exports.touch()
        first, second, third = [await exports.counters.Counter(each) for each in (1, 2, 3)]
        assert await first.value() == 1
        del first
        gc.collect()
        # What is garbage is dropped before it, in the same call.
        await second.drop()
        await exports.keep()
        async with third:
            pass

    record_with(path, component, host, use)
    assert host.log == ["open", "close", 1, 2, "open", 3, "close"]
    recorded = path.read_text()
    drops = [line for line in lines(path) if "drop" in line or "dropped" in line]
    assert drops == [
        {"dropped": "file-1"}, {"drop": "counter-2"}, {"drop": "counter-3"}, {"drop": "counter-4"}
    ]  # fmt: skip
    assert replay_both(path, component) == Replayed(calls=9, host_calls=5)
    host = FilesAtOnce()
    with record(path, component, host) as sandbox:
        exports = sandbox.exports
        exports.touch()
        a, b, c = [exports.counters.Counter(each) for each in (1, 2, 3)]
        assert a.value() == 1
        del a
        gc.collect()
        b.drop()
        exports.keep()
        c.drop()
    assert path.read_text() == recorded


def test_calls_of_other_tasks_are_refused_and_no_part_of_it(
    path: Path, component: hlwasm.Component
) -> None:
    async def use(sandbox: hlwasm.AsyncSandbox) -> None:
        entered, go_on = asyncio.Event(), asyncio.Event()

        async def slow(key: int) -> int:
            entered.set()
            await go_on.wait()
            with pytest.raises(hlwasm.ReentrantCall):
                await sandbox.exports.add(1, 2)
            return key

        functions["slow"] = slow
        task = asyncio.create_task(sandbox.exports.next(1))
        await entered.wait()
        with pytest.raises(hlwasm.SandboxBusy):
            await sandbox.exports.add(1, 2)
        go_on.set()
        assert await task == 2
        assert await sandbox.exports.add(1, 2) == 3

    functions: dict[str, Any] = {}
    record_with(path, component, {"fetch": lambda key: functions["slow"](key)}, use)
    assert replay_both(path, component) == Replayed(calls=2, host_calls=1)


def test_a_call_that_is_cancelled_in_a_host_function(
    path: Path, component: hlwasm.Component
) -> None:
    async def never(key: int) -> int:
        await asyncio.sleep(100)
        return key

    async def use(sandbox: hlwasm.AsyncSandbox) -> None:
        with pytest.raises((TimeoutError, asyncio.TimeoutError)):
            await within(ENTERED, sandbox.exports.next(1))

    record_with(path, component, {"fetch": never}, use)
    host, done = lines(path)[2:4]
    assert host["raises"]["type"] == done["raises"]["type"] == "asyncio.exceptions.CancelledError"
    assert replay_both(path, component) == Replayed(calls=1, host_calls=1)


def test_what_differs_is_shown(path: Path, component: hlwasm.Component) -> None:
    async def use(sandbox: hlwasm.AsyncSandbox) -> None:
        await sandbox.exports.next(4)

    record_with(path, component, {"fetch": fetch}, use)
    path.write_text(
        path.read_text().replace('"host": "fetch", "args": ["4"]', '"host": "fetch", "args": ["5"]')
    )
    with pytest.raises(ReplayMismatch) as raised:
        asyncio.run(replay_async(path, component))
    assert str(raised.value).splitlines()[1:] == [
        "  recorded: host call fetch(5)",
        "  now:      host call fetch(4)",
    ]


def test_a_sandbox_for_calls_of_ones_own(path: Path, component: hlwasm.Component) -> None:
    with record(path, component, {"fetch": fetch_at_once}) as recorded:
        recorded.exports.next(1)
        recorded.exports.next(2)

    async def main() -> None:
        async with replaying_async(path, component) as sandbox:
            assert await sandbox.exports.next(1) == 11
            assert await sandbox.exports.next(2) == 21
        with pytest.raises(ReplayMismatch, match="now:      the end"):
            async with replaying_async(path, component) as sandbox:
                await sandbox.exports.next(1)
        with pytest.raises(ReplayMismatch, match=r"now:      call next\(2\)"):
            async with replaying_async(path, component) as sandbox:
                await sandbox.exports.next(2)
        with pytest.raises(KeyError):
            async with replaying_async(path, component):
                raise KeyError

    asyncio.run(main())


def test_a_recording_that_fails_leaves_the_old_file(
    path: Path, component: hlwasm.Component
) -> None:
    path.write_text("old")

    async def fail(sandbox: hlwasm.AsyncSandbox) -> None:
        await sandbox.exports.next(1)
        raise KeyError

    async def restore(sandbox: hlwasm.AsyncSandbox) -> None:
        await sandbox.restore(await sandbox.snapshot())

    async def use(sandbox: hlwasm.AsyncSandbox) -> None:
        for _ in range(10):
            await sandbox.exports.next(1)

    imports = {"fetch": fetch}
    with pytest.raises(KeyError):
        record_with(path, component, imports, fail)
    with pytest.raises(RecordingError, match="cannot be restored"):
        record_with(path, component, imports, restore)
    with pytest.raises(RecordingError, match="too large: pass max_bytes"):
        record_with(path, component, imports, use, max_bytes=500)
    with pytest.raises(hlwasm.LinkError):
        record_with(path, component, {}, use)
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_what_is_recorded_is_instantiated(path: Path) -> None:
    starting = hlwasm.load(STARTING, cache=False)
    starts = starting._starts
    assert starts is not None

    async def use(sandbox: hlwasm.AsyncSandbox) -> None:
        assert await sandbox.exports.handle() > 0

    async def plain() -> None:
        async with starting.instantiate_async() as sandbox:
            await use(sandbox)

    for _ in range(3):
        record_with(path, starting, None, use)
        assert lines(path)[1]["host"] == "wasi:cli/stdout@0.2.6#get-stdout"
        assert replay_both(path, starting) == Replayed(calls=1, host_calls=1)
    # No state was kept, nor found to be of no use to others.
    assert starts._kept == {}
    for _ in range(3):
        asyncio.run(plain())
    assert None not in starts._kept.values()
    assert len(starts._kept) == 1
    # One is kept now, which a recording does not start from.
    record_with(path, starting, None, use)
    assert replay_both(path, starting) == Replayed(calls=1, host_calls=1)


def test_a_script_says_which_sandbox_it_takes(component: hlwasm.Component) -> None:
    from hlwasm.testing.scripts.steps import Script

    async def main() -> None:
        async with component.instantiate_async(Fakes(component)) as sandbox:
            with pytest.raises(TypeError, match=r"expected a hlwasm.Sandbox, not AsyncSandbox"):
                strategies.run(Script(()), sandbox)  # type: ignore[arg-type]

    asyncio.run(main())
