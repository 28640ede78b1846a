"""The same for asyncio: a sandbox whose calls are watched."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hlwasm.sandbox.async_calls import AsyncCalls
from hlwasm.sandbox.async_sandbox import AsyncSandbox
from hlwasm.testing.recording.watched import Watched

if TYPE_CHECKING:
    from hlwasm.sandbox.exports import Bind
    from hlwasm.sandbox.guest_resources import HeldResource
    from hlwasm.sandbox.snapshot import Snapshot
    from hlwasm.sandbox.starts import Starts
    from hlwasm.testing.recording.watcher import Watcher
    from hlwasm.wit.model import Function


class _WatchedCalls(AsyncCalls):
    watcher: Watcher

    async def begin(self) -> None:
        # First of all, while it is this task's.
        enter = self.watcher.announced()
        await super().begin()
        try:
            enter()
        except BaseException:
            self.end()
            raise

    async def _call_drop(self, index: int, number: int) -> None:
        with self.watcher.drop(self._core.description.resources_by_drop[index], number):
            await self.invoke(index)


class WatchedAsyncSandbox(Watched, AsyncSandbox):
    """An asynchronous sandbox whose calls are watched."""

    calls_class = _WatchedCalls

    def _keep(self, starts: Starts) -> bool:
        return True

    def _export(self, bind: Bind, base: type[HeldResource]) -> None:
        # From here on there may be resources to drop.
        assert isinstance(self._calls, _WatchedCalls)
        self._calls.watcher = self._watcher
        super()._export(bind, base)

    def _watch_export(self, function: Function, call: Callable[..., Any]) -> Callable[..., Any]:
        return self._watcher.async_guest(function, call)

    def _bind_destructor(self, type_index: int) -> Any:
        # Of the user's resources; those of WASI are dropped by the loop.
        destroy = super()._bind_destructor(type_index)
        return self._watcher.destructor(type_index, self._loop.resources.lift_borrow, destroy)

    async def restore(self, snapshot: Snapshot) -> None:
        """Not possible.

        Raises:
            RecordingError: always.
        """
        raise self._cannot_restore()
