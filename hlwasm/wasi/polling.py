"""Waiting: pollables, and the one place where a WASI program blocks.

Nothing here spins: a wait is one ``poll`` on the file descriptors that can end it, with the
time to the nearest timer as its timeout. Python's signal handlers run in the middle of it,
so Ctrl-C ends it, and :meth:`Waiter.interrupt` does from another thread.
"""

from __future__ import annotations

import os
import select
import time
from _thread import allocate_lock
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

from hlwasm.frozen import Frozen

READABLE = select.POLLIN
WRITABLE = select.POLLOUT

_MILLISECOND = 1_000_000  # in nanoseconds
# poll takes its timeout as a C int of milliseconds.
_LONGEST_POLL = 3_600_000
# How often to look at a pollable that cannot say what it waits for, in milliseconds.
_LOOK_AGAIN = 10


class Interest(Frozen):
    """What a pollable waits for: a descriptor, an instant, or nothing that can be named.

    Attributes:
        descriptor: file descriptor, None for a timer.
        events: READABLE or WRITABLE.
        instant: of the monotonic clock, in nanoseconds; None where no time ends the wait.
    """

    descriptor: int | None = None
    events: int = 0
    instant: int | None = None


UNKNOWN = Interest()


def descriptor_ready(descriptor: int, events: int) -> bool:
    """Whether reading or writing would not block now. End and errors count as ready."""
    poller = select.poll()
    poller.register(descriptor, events)
    return bool(poller.poll(0))


class Activity:
    """Whether something has changed that a snapshot of WASI holds.

    Attributes:
        changed: set by what changes it, taken back by a restore.
    """

    __slots__ = ("changed",)

    def __init__(self) -> None:
        self.changed = False


class Waiter:
    """Blocks on behalf of the guest of one sandbox.

    Args:
        clock: the monotonic clock, in nanoseconds.
        sleep: waits for so many nanoseconds of a clock that is not this machine's.

    Attributes:
        suspends: waits raise :class:`~hlwasm.sandbox.imports.Suspended` instead, where an
            event loop can wait for the same.
    """

    def __init__(
        self,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[int], object] | None = None,
    ) -> None:
        self.clock = clock
        self.suspends = False
        self._sleep = sleep
        # Guards the two below: an interrupt comes from any thread.
        self._lock = allocate_lock()
        self._pending: BaseException | None = None
        self._wake: int | None = None

    def wait(self, pollables: Sequence[Pollable]) -> list[int]:
        """Blocks until at least one of ``pollables`` is ready; returns the indices of all that are.

        Raises:
            BaseException: what was passed to :meth:`interrupt`.
        """
        while True:
            ready = [index for index, pollable in enumerate(pollables) if pollable.ready()]
            if ready:
                return ready
            self._wait_once([pollable.interest() for pollable in pollables])

    def _wait_once(self, interests: Sequence[Interest]) -> None:
        """Returns when something may have become ready, which can be too early."""
        instants = [i.instant for i in interests if i.instant is not None]
        remaining = max(0, min(instants) - self.clock()) if instants else None
        if remaining is not None and self._sleep is not None:
            self._raise_pending()
            self._sleep(remaining)
            return
        if remaining is not None and remaining < _MILLISECOND:
            # Finer than poll can.
            time.sleep(remaining / 1e9)
            return
        events = {self._wake_descriptor(): READABLE}
        for interest in interests:
            if interest.descriptor is not None:
                events[interest.descriptor] = events.get(interest.descriptor, 0) | interest.events
        timeout = None if remaining is None else min(remaining // _MILLISECOND, _LONGEST_POLL)
        if UNKNOWN in interests:
            timeout = _LOOK_AGAIN if timeout is None else min(timeout, _LOOK_AGAIN)
        if self.suspends:
            self._raise_pending()
            self._suspend(events, timeout)
        poller = select.poll()
        for descriptor, wanted in events.items():
            poller.register(descriptor, wanted)
        poller.poll(timeout)
        self._raise_pending()

    @staticmethod
    def _suspend(events: dict[int, int], timeout: int | None) -> NoReturn:
        from hlwasm.sandbox.providers import Suspended
        from hlwasm.wasi.async_waits import poll

        raise Suspended(partial(poll, events, timeout))

    def interrupt(self, error: BaseException) -> None:
        """Raises ``error`` in the guest's wait: the present one, or else the next.

        Any thread may call this.
        """
        with self._lock:
            self._pending = error
            if self._wake is not None:
                os.eventfd_write(self._wake, 1)

    def clear_interrupt(self) -> None:
        """Forgets an interrupt that found no wait to end."""
        self._take_pending()

    def _wake_descriptor(self) -> int:
        with self._lock:
            if self._wake is None:
                # Readable at once if there is an interrupt already.
                self._wake = os.eventfd(
                    int(self._pending is not None), os.EFD_CLOEXEC | os.EFD_NONBLOCK
                )
            return self._wake

    def _raise_pending(self) -> None:
        error = self._take_pending()
        if error is not None:
            raise error

    def _take_pending(self) -> BaseException | None:
        with self._lock:
            error, self._pending = self._pending, None
            if error is not None and self._wake is not None:
                os.eventfd_read(self._wake)
            return error

    def close(self) -> None:
        """Frees the descriptor that interrupts use. Idempotent."""
        with self._lock:
            wake, self._wake = self._wake, None
            if wake is not None:
                os.close(wake)


class Pollable:
    """``wasi:io/poll.pollable``: an event that is ready or not. This one always is.

    Interfaces that replace those of WASI return it, or a subclass that defines ``ready``,
    and ``interest`` where a descriptor or a time can make it ready.
    """

    __slots__ = ()

    def ready(self) -> bool:
        """Whether the event has come. Never blocks."""
        return True

    def interest(self) -> Interest:
        """What can make it ready; asked only when it is not."""
        return UNKNOWN

    def block(self) -> None:
        """Blocks until it is ready."""
        if not self.ready():
            waiter = Waiter()
            try:
                waiter.wait((self,))
            finally:
                waiter.close()

    def close(self) -> None:
        """The guest dropped it."""


class Timer(Pollable):
    """Ready from an instant of the monotonic clock on.

    Args:
        waiter: that it blocks with.
        instant: nanoseconds of the waiter's clock.
        relative: the guest asked for a duration, so that in a snapshot the timer stands
            still; one for an instant keeps it, whatever the clock shows then.
    """

    __slots__ = ("instant", "relative", "waiter")

    def __init__(self, waiter: Waiter, instant: int, relative: bool = False) -> None:
        self.waiter = waiter
        self.instant = instant
        self.relative = relative

    def ready(self) -> bool:
        return self.waiter.clock() >= self.instant

    def interest(self) -> Interest:
        return Interest(instant=self.instant)

    def block(self) -> None:
        self.waiter.wait((self,))


class DescriptorPollable(Pollable):
    """Ready when a file descriptor is.

    Args:
        waiter: that it blocks with.
        ready: says whether reading or writing would not block.
        descriptor: the file descriptor to wait on while it would.
        events: READABLE or WRITABLE.
        owner: the stream that it is of.
    """

    __slots__ = ("_interest", "_ready", "_waiter", "owner")

    def __init__(
        self,
        waiter: Waiter,
        ready: Callable[[], bool],
        descriptor: int,
        events: int,
        owner: object = None,
    ) -> None:
        self.owner = owner
        self._waiter = waiter
        self._ready = ready
        self._interest = Interest(descriptor, events)

    def ready(self) -> bool:
        return self._ready()

    def interest(self) -> Interest:
        return self._interest

    def block(self) -> None:
        self._waiter.wait((self,))
