"""Waits that suspend: what ends them in an event loop is what ends them in poll."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hlwasm.errors import Cancelled
from hlwasm.sandbox.providers import Suspended
from hlwasm.wasi import Wasi
from hlwasm.wasi.async_waits import poll
from hlwasm.wasi.host import WasiHost
from hlwasm.wasi.polling import READABLE, WRITABLE, Interest, Pollable, Timer, Waiter


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture
def waiter() -> Iterator[Waiter]:
    waiter = Waiter()
    waiter.suspends = True
    yield waiter
    waiter.close()


class Never(Pollable):
    """Not ready, and ended by nothing."""

    def ready(self) -> bool:
        return False

    def interest(self) -> Interest:
        return Interest(instant=2**62)


async def resumed(waiter: Waiter, pollables: list[Pollable]) -> list[int]:
    """Waits as the call loop does: again and again, in the event loop."""
    while True:
        try:
            return waiter.wait(pollables)
        except Suspended as suspended:
            await suspended.until()


def test_a_timer(waiter: Waiter) -> None:
    start = time.monotonic_ns()
    timers: list[Pollable] = [
        Timer(waiter, start + 20_000_000),
        Timer(waiter, start + 3600 * 10**9),
    ]
    assert asyncio.run(resumed(waiter, timers)) == [0]
    assert 20_000_000 <= time.monotonic_ns() - start < 5 * 10**9


def test_what_is_ready_does_not_suspend(waiter: Waiter) -> None:
    assert waiter.wait([Never(), Pollable()]) == [1]


def test_several_wait_for_one_descriptor(pipe: tuple[int, int]) -> None:
    read_end, write_end = pipe

    async def main() -> None:
        # Another reader of the same descriptor, which must not be put out of work.
        loop, seen = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(read_end, seen.set)
        waits = [asyncio.create_task(poll({read_end: READABLE}, None)) for _ in range(3)]
        await asyncio.sleep(0.01)
        assert not any(each.done() for each in waits)
        os.write(write_end, b"x")
        await asyncio.wait_for(asyncio.gather(*waits), 10)
        await asyncio.wait_for(seen.wait(), 10)
        loop.remove_reader(read_end)

    asyncio.run(main())


def test_room_in_a_pipe(pipe: tuple[int, int]) -> None:
    read_end, write_end = pipe
    os.set_blocking(write_end, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(write_end, bytes(65536))

    async def main() -> None:
        wait = asyncio.create_task(poll({write_end: WRITABLE}, None))
        await asyncio.sleep(0.01)
        assert not wait.done()
        os.read(read_end, 65536)
        await asyncio.wait_for(wait, 10)

    asyncio.run(main())


def test_a_file_or_a_closed_descriptor_is_ready(pipe: tuple[int, int]) -> None:
    async def main() -> None:
        with Path(__file__).open("rb") as file:
            await asyncio.wait_for(poll({file.fileno(): READABLE}, None), 10)
            closed = os.dup(file.fileno())
        os.close(closed)
        await asyncio.wait_for(poll({closed: READABLE}, None), 10)

    asyncio.run(main())


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_an_interrupt(waiter: Waiter, when: str) -> None:
    async def main() -> None:
        interrupt = threading.Timer(0.02, waiter.interrupt, [Cancelled("stop")])
        if when == "before":
            waiter.interrupt(Cancelled("stop"))
        else:
            interrupt.start()
        with pytest.raises(Cancelled, match="stop"):
            await asyncio.wait_for(resumed(waiter, [Never()]), 10)

    asyncio.run(main())


def test_a_wait_that_is_cancelled_leaves_nothing(pipe: tuple[int, int]) -> None:
    async def main() -> None:
        before = len(list(Path("/proc/self/fd").iterdir()))
        wait = asyncio.create_task(poll({pipe[0]: READABLE}, 3_600_000))
        await asyncio.sleep(0.01)
        wait.cancel()
        await asyncio.wait([wait])
        assert len(list(Path("/proc/self/fd").iterdir())) == before

    asyncio.run(main())


def test_reading_from_a_pipe_suspends(pipe: tuple[int, int]) -> None:
    read_end, write_end = pipe

    async def main() -> bytes:
        asyncio.get_running_loop().call_later(0.02, os.write, write_end, b"hello")
        while True:
            try:
                return host.stdin.blocking_read(100)
            except Suspended as suspended:
                await asyncio.wait_for(suspended.until(), 10)

    with open(read_end, "rb", closefd=False) as file:
        host = WasiHost(Wasi(stdin=file))
        host.suspends = True
        assert asyncio.run(main()) == b"hello"
        host.close()


def test_which_functions_can_be_called_again() -> None:
    restartable = WasiHost.restartable
    assert restartable("wasi:io/poll@0.2.6", "poll")
    assert restartable("wasi:io/poll@0.2.0", "[method]pollable.block")
    assert restartable("wasi:io/streams@0.2.6", "[method]input-stream.blocking-read")
    # It has written a part when it waits.
    assert not restartable(
        "wasi:io/streams@0.2.6", "[method]output-stream.blocking-write-and-flush"
    )
    assert not restartable("demo:io/poll", "poll")
