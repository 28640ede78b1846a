"""Which sandbox of a pool is whose, and who waits for one.

A pool has a fixed number of slots, each with a sandbox or, before its first use and after a
failure, without one. A slot is held by a token, an object that is its borrower's alone, and
says so itself: a signal handler may raise behind any call (KeyboardInterrupt does), before its
result is seen. The borrower then finds by its token what it holds; and where not even that can
be done any more, the token dies, and the slot is free again.

A thread gets the slot that it had last, if nobody has it now: its pages are in the thread's
view, and restoring it needs no search for others. When all are out, borrowers wait in a line,
and a slot that comes back goes to the first of them: nobody overtakes.
"""

from __future__ import annotations

import threading
from _thread import get_ident, start_new_thread
from collections import deque
from collections.abc import Container
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING
from weakref import ref

from hlwasm.errors import Cancelled, PoolClosed, PoolTimeout, SandboxClosed
from hlwasm.logs import INFO, WARNING, log
from hlwasm.sandbox.pool.first import First
from hlwasm.sandbox.pool.slot import COUNTS, LOGGER, Slot, Token, Waiter
from hlwasm.sandbox.resources import Closing
from hlwasm.sandbox.state import Status

if TYPE_CHECKING:
    from hlwasm.sandbox.pool.recipe import Recipe
    from hlwasm.sandbox.sandbox import Sandbox
# How long a thread waits for the lock that may not wait for it, in seconds.
_PATIENCE = 0.2


class Store:
    """The slots of a pool.

    Args:
        recipe: makes sandboxes.
        size: number of slots.
        stateless: restore a sandbox whenever it comes back, not only after failures.
    """

    def __init__(self, recipe: Recipe, size: int, stateless: bool) -> None:
        self.size = size
        self._recipe = recipe
        self._stateless = stateless
        # Guards all that follows. Reentrant, for signal handlers.
        self._lock = threading.RLock()
        self._first = First(recipe, self._lock)
        self._slots = [Slot(self._forgotten) for _ in range(size)]
        self._empty = list(self._slots)
        self._idle: dict[Slot, None] = {}  # the one that is idle for longest first
        self._last: dict[int, Slot] = {}  # by thread
        self._waiters: deque[Waiter] = deque()
        self._lost: set[Slot] = set()
        self._back = threading.Condition(self._lock)
        self._refusing = ""
        self._closed = self._cancelled = False
        self._waits = 0
        self._wait_time = 0.0
        self._gone = Slot(self._forgotten)  # counts of slots that are no more

    # Borrowing --------------------------------------------------------------------

    def take(self, token: Token, timeout: float | None = None, *, worker: bool = False) -> Slot:
        """Borrows a slot with a sandbox that is as it should be. :meth:`give` follows in any
        case.

        Args:
            token: the borrower's.
            timeout: seconds to wait when all are out, None for as long as it takes.
            worker: a thread that finishes what was submitted, also while the pool closes.

        Raises:
            PoolClosed, PoolTimeout: see there.
            PoolError: this thread makes the first sandbox.
            Cancelled: the pool was closed, not waiting for anybody.
            HlwasmError: a sandbox cannot be made.
        """
        end = None
        with self._lock:
            slot = self._last.get(get_ident())
            if slot in self._idle:
                assert slot is not None
                slot.holder = ref(token, slot.forgotten)
                del self._idle[slot]
            else:
                slot = None
        if slot is None:
            self._first.check()
            end = None if timeout is None else monotonic() + timeout
            slot = self._take_other(token, timeout, worker)
        if slot.sandbox is None or slot.dirty:
            self._prepare(slot, end)
            self._check_cancelled()
        return slot

    def _take_other(self, token: Token, timeout: float | None, worker: bool) -> Slot:
        slot = waiter = None
        with self._lock:
            if self._refusing and (self._closed or not worker):
                raise PoolClosed(self._refusing)
            self._check_cancelled()
            for slot in self._idle:
                self._own(slot, get_ident())
                slot.holder = ref(token, slot.forgotten)
                del self._idle[slot]
                break
            else:
                if self._empty:
                    slot = self._empty[-1]
                    self._own(slot, get_ident())
                    slot.holder = ref(token, slot.forgotten)
                    del self._empty[-1]
                elif timeout is not None and timeout <= 0:
                    raise self._timeout(timeout)
                else:
                    waiter = Waiter(token, worker)
                    self._waiters.append(waiter)
        if slot is None:
            assert waiter is not None
            slot = self._wait(waiter, timeout)
        return slot

    def _own(self, slot: Slot, ident: int) -> None:
        """Notes whose the slot will be. With the lock held, which is not released before it is:
        who looks at the owner of what is held, as :meth:`wait` does, sees no one else's.
        """
        if slot.owner != ident:
            if self._last.get(slot.owner) is slot:
                self._last.pop(slot.owner, None)
            slot.owner = ident
        # Otherwise the thread would go on by the fast way, where nobody refuses.
        if not self._refusing:
            self._last[ident] = slot

    def _check_cancelled(self) -> None:
        if self._cancelled:
            raise Cancelled("the pool was closed with cancel=True")

    def _wait(self, waiter: Waiter, timeout: float | None) -> Slot:
        started = monotonic()
        try:
            seconds = -1 if timeout is None else min(timeout, threading.TIMEOUT_MAX)
            waiter.bell.acquire(timeout=seconds)
        finally:
            with self._lock:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
                self._waits += 1
                self._wait_time += monotonic() - started
        if waiter.slot is None:
            if self._refusing:
                raise PoolClosed(self._refusing)
            assert timeout is not None
            raise self._timeout(timeout)
        return waiter.slot

    def _timeout(self, timeout: float) -> PoolTimeout:
        return PoolTimeout(
            f"all {self.size} sandboxes were in use for {timeout} s: "
            "raise size= or timeout=, or ask for less at a time"
        )

    def _prepare(self, slot: Slot, end: float | None) -> None:
        if slot.sandbox is not None:
            self._clean(slot, always=True)
        if slot.sandbox is not None:
            return
        if self._recipe.snapshot is None:
            slot.sandbox = self._first.make(slot, end)
        else:
            slot.sandbox = self._recipe.make()
        slot.created += 1

    def give(self, token: Token, slot: Slot | None) -> None:
        """Gives back what the token holds, which may be nothing. The sandbox is restored
        first, in this thread, and given up where that fails.

        Args:
            token: the borrower's.
            slot: what :meth:`take` returned, None where it did not get to it.
        """
        if slot is None:
            slot = self._held_by(token)
            if slot is None:
                return
        else:
            slot.borrowed += 1
        try:
            if slot.sandbox is not None:
                self._clean(slot)
        except BaseException:
            slot.dirty = True
            raise
        finally:
            self._put(token, slot)

    def _held_by(self, token: Token) -> Slot | None:
        with self._lock:
            for slot in (*self._slots, *self._lost):
                if slot.holder is not None and slot.holder() is token:
                    return slot
        return None

    def _clean(self, slot: Slot, always: bool = False) -> None:
        sandbox, snapshot = slot.sandbox, self._recipe.snapshot
        assert sandbox is not None and snapshot is not None
        try:
            if self._stateless or always or sandbox.status is not Status.READY:
                sandbox.restore(snapshot)
                slot.restores += 1
                slot.dirty = False
        except Exception as error:
            self._discard(slot, error)

    def _discard(self, slot: Slot, error: Exception) -> None:
        """The sandbox cannot be restored: the next borrower makes another."""
        level = INFO if isinstance(error, SandboxClosed) else WARNING
        log(LOGGER, level, "a sandbox is replaced: %s: %s", type(error).__name__, error)
        slot.replaced += 1
        slot.free()

    def _forgotten(self, slot: Slot, _: object) -> None:
        """The token has died, without giving the slot back."""
        # The garbage collector may call this in a thread that holds any lock, of another pool
        # for one, whose owner waits for this lock: it must not wait for long. Nor is it to close
        # host resources, which runs code of the user.
        if not self._closed and not slot.lost and self._lock.acquire(timeout=_PATIENCE):
            try:
                self._put(None, slot)
            finally:
                self._lock.release()
        else:
            with suppress(RuntimeError):  # no more threads
                start_new_thread(self._put, (None, slot))

    def _put(self, token: Token | None, slot: Slot) -> None:
        """Takes the slot back, if that token holds it; None for any that died."""
        with self._lock:
            if slot.holder is None or slot.holder() is not token:
                return
            if token is None:
                slot.dirty = True  # what was done in it is not known
            self._first.leave(slot)
            if not self._waiters and not slot.lost and slot.sandbox is not None:
                # As below, without further ado.
                self._idle[slot] = None
                slot.holder = None
            elif slot.lost:
                self._lost.discard(slot)
                self._gone.add(slot)
                slot.holder = None
            else:
                self._pass_on(slot)
            if self._refusing:
                self._back.notify_all()
        if slot.lost and slot.sandbox is not None:
            slot.free()
        if self._closed:
            self._close_idle()

    def _pass_on(self, slot: Slot) -> None:
        """To the next in the line. With the lock held."""
        waiters = self._waiters
        while waiters:
            waiter = waiters[0]
            if waiter.slot is None:
                self._own(slot, waiter.ident)
                slot.holder = ref(waiter.token, slot.forgotten)
                waiter.slot = slot
                waiter.bell.release()
                del waiters[0]
                return
            del waiters[0]
        if slot.sandbox is None:
            self._empty.append(slot)
        else:
            self._idle[slot] = None
        slot.holder = None

    def abandon(self, token: Token, slot: Slot) -> bool:
        """Puts a new slot in the place of one that is held and may never come back.

        False where it came back meanwhile, or where as many as there are slots are abandoned.
        """
        with self._lock:
            if slot.holder is None or slot.holder() is not token or slot.lost:
                return False
            if len(self._lost) >= self.size:
                return False
            slot.lost = True
            self._lost.add(slot)
            fresh = Slot(self._forgotten)
            self._slots[self._slots.index(slot)] = fresh
            if self._last.get(slot.owner) is slot:
                del self._last[slot.owner]
            self._pass_on(fresh)
            return True

    # Numbers ----------------------------------------------------------------------

    def counts(self) -> dict[str, int | float]:
        """The fields of PoolStatistics that are known here."""
        with self._lock:
            slots = (*self._slots, *self._lost, self._gone)
            return {
                "size": self.size,
                "idle": len(self._idle),
                "busy": self.size - len(self._idle) - len(self._empty),
                "waiting": len(self._waiters),
                "abandoned": len(self._lost),
                "waits": self._waits,
                "wait_time": self._wait_time,
                **{name: sum(getattr(slot, name) for slot in slots) for name in COUNTS},
            }

    # The end ----------------------------------------------------------------------

    def refuse(self, reason: str) -> None:
        """Lets nobody in any more but workers."""
        with self._lock:
            self._refusing = self._refusing or reason
            # All take the slow way from now on, where this is looked at.
            self._last.clear()
            for waiter in [each for each in self._waiters if not each.worker]:
                self._waiters.remove(waiter)
                waiter.bell.release()

    def cancel(self) -> None:
        """Ends the calls that run, and those about to. After :meth:`refuse`."""
        # First: who gets a sandbox too late to be found below looks at this afterwards.
        self._cancelled = True
        with self._lock:
            held = [s.sandbox for s in (*self._slots, *self._lost) if s.holder is not None]
        for sandbox in held:
            if sandbox is not None:
                sandbox.cancel()

    def has(self, ident: int) -> bool:
        """Whether that thread has a slot."""
        with self._lock:
            return any(s.holder is not None and s.owner == ident for s in self._slots)

    def wait(self, timeout: float | None, but: Container[int] = ()) -> bool:
        """Waits until nobody has a slot but this thread, those given up, and those in ``but``,
        which may change: see :meth:`look_again`.
        """
        me = get_ident()

        def back() -> bool:
            owners = [s.owner for s in self._slots if s.holder is not None]
            return all(owner == me or owner in but for owner in owners)

        with self._back:
            return self._back.wait_for(back, timeout)

    def look_again(self) -> None:
        """Has those in :meth:`wait` look whom they wait for."""
        with self._back:
            self._back.notify_all()

    def finish(self) -> None:
        """Closes the sandboxes that are idle now, and the others when they come back.

        Raises:
            Exception: what closing the host resources of one raised.
        """
        with self._lock:
            self._closed = True
            for waiter in self._waiters:
                waiter.bell.release()
            self._waiters.clear()
        closing = Closing()
        for sandbox in self._take_idle():
            with closing:
                sandbox.close()
        closing.reraise()

    def finish_quietly(self) -> None:
        """As :meth:`finish`, where nobody is there to catch anything: logs it instead."""
        self._closed = True
        self._close_idle()

    def _close_idle(self) -> None:
        for sandbox in self._take_idle():
            try:
                sandbox.close()
            except Exception as error:
                log(LOGGER, WARNING, "closing a sandbox: %s: %s", type(error).__name__, error)

    def _take_idle(self) -> list[Sandbox]:
        sandboxes = []
        with self._lock:
            for slot in list(self._idle):
                if slot.sandbox is not None:
                    sandboxes.append(slot.sandbox)
                slot.sandbox, slot.functions = None, {}
                self._empty.append(slot)
            self._idle.clear()
        return sandboxes

    def start_anew(self, reason: str) -> None:
        """In a forked child: nothing here is of use, and the locks are as they were."""
        self._lock = threading.RLock()
        self._back = threading.Condition(self._lock)
        self._first = First(self._recipe, self._lock)
        self._idle, self._last, self._empty = {}, {}, []
        # Not freed here, in the midst of the fork.
        self._parents, self._slots = self._slots, []
        self._waiters.clear()
        self._refusing, self._closed = reason, True
