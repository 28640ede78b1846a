"""Recordings and replays with sandboxes for asyncio; the files are the same."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from hlwasm.sandbox.limits import Limits
from hlwasm.testing.recording.events import MAX_BYTES
from hlwasm.testing.recording.player import Replayed, compared
from hlwasm.testing.recording.recorder import recorder_of
from hlwasm.testing.recording.replays import Unlinked, player_of
from hlwasm.testing.recording.watched_async import WatchedAsyncSandbox

if TYPE_CHECKING:
    from hlwasm.component import Component
    from hlwasm.sandbox.async_sandbox import AsyncSandbox
    from hlwasm.wasi import Wasi


@asynccontextmanager
async def record_async(
    path: str | os.PathLike[str],
    component: Component,
    imports: Any = None,
    *,
    wasi: Wasi | None = None,
    limits: Limits | None = None,
    max_bytes: int = MAX_BYTES,
) -> AsyncIterator[AsyncSandbox]:
    """As :func:`hlwasm.testing.record`, of a :class:`hlwasm.AsyncSandbox`.

    Host functions may be coroutine functions, as for
    :meth:`hlwasm.Component.instantiate_async`. A call that another task makes meanwhile is
    refused as ever, and not recorded.

    Args:
        path, max_bytes: as for :func:`hlwasm.testing.record`.
        component, imports, wasi, limits: as for :meth:`hlwasm.Component.instantiate_async`.

    Raises:
        OSError, RecordingError, HlwasmError: as :func:`hlwasm.testing.record`.
    """
    with recorder_of(path, component, max_bytes, isawaitable) as recorder:
        sandbox = WatchedAsyncSandbox(component, imports, wasi, limits or Limits(), recorder)
        async with await sandbox.start():
            yield sandbox


async def replay_async(
    path: str | os.PathLike[str],
    component: Component,
    *,
    limits: Limits | None = None,
    max_bytes: int = MAX_BYTES,
) -> Replayed:
    """As :func:`hlwasm.testing.replay`, in a :class:`hlwasm.AsyncSandbox`.

    The recording may be of either kind of sandbox.

    Raises:
        ReplayMismatch, OSError, RecordingError, HlwasmError: as :func:`hlwasm.testing.replay`.
    """
    with player_of(path, component, max_bytes) as player:
        sandbox = _ReplayedAsyncSandbox(component, None, None, limits or Limits(), player)
        async with await sandbox.start():
            for call in player.calls(sandbox):
                with compared():
                    await call()
        return player.replayed()


@asynccontextmanager
async def replaying_async(
    path: str | os.PathLike[str],
    component: Component,
    *,
    limits: Limits | None = None,
    max_bytes: int = MAX_BYTES,
) -> AsyncIterator[AsyncSandbox]:
    """As :func:`hlwasm.testing.replaying`, with a :class:`hlwasm.AsyncSandbox`."""
    with player_of(path, component, max_bytes) as player:
        sandbox = _ReplayedAsyncSandbox(component, None, None, limits or Limits(), player)
        async with await sandbox.start():
            yield sandbox
            player.finish()


class _ReplayedAsyncSandbox(Unlinked, WatchedAsyncSandbox):
    pass
