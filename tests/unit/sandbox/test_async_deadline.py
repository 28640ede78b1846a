"""The deadline of a task: its own exception, and a task that is as it was before."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from hlwasm.sandbox import workers
from hlwasm.sandbox.async_deadline import Deadline
from hlwasm.sandbox.workers import Workers


class TooLate(Exception):
    pass


def cancels() -> int:
    task = asyncio.current_task()
    assert task is not None
    if sys.version_info >= (3, 11):
        return task.cancelling()
    return 0


def test_a_wait_that_takes_too_long() -> None:
    async def main() -> None:
        with pytest.raises(TooLate):
            async with Deadline(0.01, TooLate):
                await asyncio.sleep(3600)
        assert cancels() == 0
        await asyncio.sleep(0)

    asyncio.run(main())


def test_what_ends_in_time() -> None:
    async def main() -> None:
        async with Deadline(0.02, TooLate):
            await asyncio.sleep(0)
        with pytest.raises(ZeroDivisionError):
            async with Deadline(0.02, TooLate):
                raise ZeroDivisionError
        await asyncio.sleep(0.05)

    asyncio.run(main())


def test_a_cancellation_that_is_swallowed_leaves_no_trace() -> None:
    async def main() -> None:
        async with Deadline(0.01, TooLate):
            with pytest.raises(asyncio.CancelledError):
                await asyncio.sleep(3600)
        assert cancels() == 0
        with pytest.raises(TooLate) as caught:
            async with Deadline(0.01, TooLate):
                try:
                    await asyncio.sleep(3600)
                finally:
                    raise ZeroDivisionError
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        assert cancels() == 0

    asyncio.run(main())


async def _cancelled(work: Coroutine[Any, Any, None]) -> None:
    """Cancels a task as soon as it has begun; it must end as one that was cancelled."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


def test_somebody_else_s_cancellation_goes_first() -> None:
    async def late() -> None:
        async with Deadline(3600, TooLate):
            await asyncio.sleep(3600)

    asyncio.run(_cancelled(late()))


def test_a_task_that_is_being_cancelled_can_have_one() -> None:
    """Such as one that saves something in its last moments."""

    async def late() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            with pytest.raises(TooLate):
                async with Deadline(0.01, TooLate):
                    await asyncio.sleep(3600)

    asyncio.run(_cancelled(late()))


def test_the_wait_for_a_thread_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    # No other thread takes over from the one that is blocked.
    monkeypatch.setattr(workers, "_BLOCKED_SLICES", 1_000_000)
    release = threading.Event()

    async def main() -> None:
        pool = Workers(1)
        occupied = asyncio.create_task(pool.run(release.wait))
        await asyncio.sleep(0)
        with pytest.raises(TooLate):
            async with Deadline(0.01, TooLate):
                await pool.run(lambda: pytest.fail("it was begun"))
        release.set()
        await occupied

    asyncio.run(main())
