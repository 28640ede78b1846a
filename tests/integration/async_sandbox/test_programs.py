"""Programs, and guests that sleep."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

import hlwasm
from tests.integration.async_sandbox.guests import ENTERED, SMALL, THREADS, forty_two, within

pytestmark = pytest.mark.hypervisor

# Writes a line to standard output and exits.
PROGRAM = b"""(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\06\\00\\00\\00")
  (data (i32.const 16) "hello\\n")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $exit (i32.const CODE))))"""


@pytest.mark.parametrize("code", [0, 7])
def test_a_program(component: hlwasm.Component, code: int) -> None:
    async def main() -> None:
        written: list[bytes] = []
        wasi = hlwasm.Wasi(stdout=written.append)
        program = hlwasm.load(PROGRAM.replace(b"CODE", b"%d" % code), cache=False)
        async with program.instantiate_async(wasi=wasi) as sandbox:
            assert await sandbox.run() == code
        assert b"".join(written) == b"hello\n"
        async with component.instantiate_async({"fetch": forty_two}) as sandbox:
            with pytest.raises(hlwasm.HlwasmError, match="is not a program"):
                await sandbox.run()

    asyncio.run(main())


def test_programs_that_sleep_take_no_thread(sleeper: hlwasm.Component) -> None:
    count, seconds = 40, 0.5
    ready = 0

    async def use() -> None:
        nonlocal ready
        async with sleeper.instantiate_async(limits=SMALL) as sandbox:
            ready += 1
            await started.wait()
            await sandbox.exports.sleep(int(seconds * 1e9))

    async def main() -> float:
        tasks = [asyncio.create_task(use()) for _ in range(count)]
        while ready < count:
            await asyncio.sleep(0.01)
        started.set()
        start = time.monotonic()
        await asyncio.sleep(seconds / 2)
        assert threading.active_count() <= before + THREADS
        await asyncio.gather(*tasks)
        return time.monotonic() - start

    before = threading.active_count()
    started = asyncio.Event()
    # One after the other, or two by two, they would take ten seconds and more.
    assert seconds <= asyncio.run(main()) < 5


def test_a_program_that_sleeps_is_cancelled(sleeper: hlwasm.Component) -> None:
    async def main() -> None:
        async with sleeper.instantiate_async() as sandbox:
            with pytest.raises((TimeoutError, asyncio.TimeoutError)):
                await within(ENTERED, sandbox.exports.sleep(3600 * 10**9))
            assert sandbox.status is hlwasm.Status.POISONED
        async with sleeper.instantiate_async() as sandbox:
            timer = threading.Timer(0.05, sandbox.cancel)
            timer.start()
            with pytest.raises(hlwasm.Cancelled):
                await sandbox.exports.sleep(3600 * 10**9)
            timer.join()

    asyncio.run(main())
