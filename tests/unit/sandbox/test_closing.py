"""Several closings: all are done, and the exception that matters most is raised."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hlwasm.sandbox.async_closing import AsyncClosing
from hlwasm.sandbox.resources import close_all


def raising(error: BaseException, done: list[BaseException]) -> Callable[[], None]:
    def close() -> None:
        done.append(error)
        raise error

    return close


@pytest.mark.parametrize(
    "errors, expected",
    [
        ([ValueError(), OSError()], 0),
        ([ValueError(), KeyboardInterrupt(), OSError()], 1),
        ([KeyboardInterrupt(), SystemExit(), OSError()], 0),
        ([ValueError(), asyncio.CancelledError(), KeyboardInterrupt()], 1),
    ],
)
def test_the_exception_that_is_raised(errors: list[BaseException], expected: int) -> None:
    done: list[BaseException] = []
    closing = close_all([raising(error, done) for error in errors])
    with pytest.raises(BaseException) as caught:
        closing.reraise()
    assert caught.value is errors[expected]
    assert done == errors


def test_a_coroutine_that_is_thrown_away_awaits_no_more() -> None:
    done: list[str] = []

    async def wait(name: str) -> None:
        done.append(name)
        await asyncio.sleep(3600)

    async def close() -> None:
        closing = AsyncClosing()
        calls: list[Callable[[], Any]] = [
            lambda: done.append("first"),
            lambda: wait("second"),
            lambda: wait("third"),
            lambda: done.append("fourth"),
        ]
        await closing.close_all(calls)
        assert closing.thrown_away
        closing.reraise()

    async def main() -> None:
        coroutine = close()
        coroutine.send(None)
        coroutine.close()  # RuntimeError if it awaited another
        assert done == ["first", "second", "fourth"]

    asyncio.run(main())
