"""What ``poll`` does, in an event loop: the waits of programs that suspend."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Mapping


async def poll(events: Mapping[int, int], timeout: int | None) -> None:
    """Returns when a descriptor may be ready or the time is over; which can be too early.

    Args:
        events: what to wait for, by file descriptor: READABLE, WRITABLE or both.
        timeout: in milliseconds, None for no limit.
    """
    loop = asyncio.get_running_loop()
    woken = loop.create_future()

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    # A descriptor has one reader in an event loop, and several programs may wait for the same
    # one, or the user's own code; so there is an epoll, which is readable when one of its own is.
    with select.epoll(len(events)) as epoll:
        try:
            for descriptor, wanted in events.items():
                # The events of poll have the same bits. Errors and hang-ups come unasked.
                epoll.register(descriptor, wanted)
        except OSError:
            # A closed descriptor, or one of a file that never blocks: ready, as poll says.
            return
        loop.add_reader(epoll.fileno(), wake)
        timer = None if timeout is None else loop.call_later(timeout / 1000, wake)
        try:
            await woken
        finally:
            loop.remove_reader(epoll.fileno())
            if timer is not None:
                timer.cancel()
