"""Closing several things in a coroutine, whatever each of them raises."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import isawaitable
from typing import Any

from hlwasm.sandbox.resources import Closing


class AsyncClosing(Closing):
    """Several closings in a coroutine.

    Attributes:
        thrown_away: the coroutine was, and nothing can be awaited any more: what is left is to
            be done without.
    """

    def __init__(self) -> None:
        super().__init__()
        self.thrown_away = False

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        self.thrown_away |= isinstance(error, GeneratorExit)
        return super().__exit__(kind, error, traceback)

    async def close_all(self, closings: Iterable[Callable[[], Any]]) -> None:
        """Calls all, and awaits what they return where it can be."""
        for close in closings:
            with self:
                closed = close()
                if not isawaitable(closed):
                    continue
                if not self.thrown_away:
                    await closed
                elif hasattr(closed, "close"):
                    closed.close()  # or it would complain that nobody has awaited it
