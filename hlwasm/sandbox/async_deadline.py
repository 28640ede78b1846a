"""The deadline of a call whose task may be waiting for something else than its guest."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

from hlwasm.errors import HlwasmError


class Deadline:
    """Cancels the task that is in this ``async with`` statement when the time is up, and turns
    that CancelledError into another exception. As ``asyncio.timeout``, which Python 3.10 lacks,
    and an exception of the same kind from inside is not mistaken for it.

    Args:
        seconds: from entering on.
        expired: called when the time is up; makes the exception.
    """

    def __init__(self, seconds: float, expired: Callable[[], BaseException]) -> None:
        self._seconds = seconds
        self._expired = expired
        self._error: BaseException | None = None

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancels = _cancels(task)
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._expire)

    def _expire(self) -> None:
        self._error = self._expired()
        self._task.cancel()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        own, self._error = self._error, None
        if own is None:
            return
        uncancel(self._task)
        # Somebody else may have cancelled the task too: that goes before.
        if kind is asyncio.CancelledError and _cancels(self._task) <= self._cancels:
            raise own from error
        # What was cancelled may have made another exception of it.
        if isinstance(error, Exception) and not isinstance(error, HlwasmError):
            raise own from error


def uncancel(task: Any) -> None:
    """Takes back one ``cancel()`` of a task, whose exception has arrived."""
    if sys.version_info >= (3, 11):
        task.uncancel()


def _cancels(task: asyncio.Task[Any]) -> int:
    """How often the task is being cancelled, as far as Python tells."""
    if sys.version_info >= (3, 11):
        return task.cancelling()
    return 0
