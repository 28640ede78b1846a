"""What is submitted to a pool: a bounded queue, threads, and their deadlines.

A deadline kicks the guest, and nothing can kick a host function that blocks in C code. So one
thread watches the clock for all of a pool's: at its deadline a task fails, whatever its thread
does; if the thread does not come back soon, it and its sandbox are abandoned and others take
their place. At most as many again: where host functions go on blocking, the queue fills up.
"""

from __future__ import annotations

import sys
import threading
from _thread import allocate_lock, get_ident
from collections import deque
from collections.abc import Callable, Container
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from hlwasm.errors import PoolClosed, PoolTimeout
from hlwasm.sandbox.call_endings import deadline_exceeded
from hlwasm.sandbox.pool.futures import PoolFuture, cancel_all, resolve
from hlwasm.sandbox.pool.slot import Token

if TYPE_CHECKING:
    from hlwasm.sandbox.pool.slot import Slot
    from hlwasm.sandbox.pool.store import Store

# How long after its deadline a thread may still come back, in seconds: the guest is kicked
# within a millisecond or two, but must get a core then.
_PATIENCE = 0.05
# How often the watcher looks at calls that are close to their deadline, in seconds.
_LOOK = 0.002

# Work for a slot that holds a sandbox.
Work = Callable[["Slot"], Any]


class _Worker:
    """A thread, and what it does now.

    Attributes:
        bell: released when there may be something to do.
        token, slot, since: of the task that runs; guarded by the lock of Tasks.
        failed: when its task was failed at its deadline, None where it was not.
        abandoned: the thread no longer counts, and ends when it comes back.
    """

    __slots__ = ("abandoned", "bell", "failed", "future", "since", "slot", "thread", "token")

    def __init__(self, run: Callable[[_Worker], None]) -> None:
        self.bell = allocate_lock()
        self.bell.acquire()
        self.future: PoolFuture | None = None
        self.token: Token | None = None
        self.slot: Slot | None = None
        self.since = 0.0
        self.failed: float | None = None
        self.abandoned = False
        # Daemons: a guest must not keep the process from ending.
        self.thread = threading.Thread(target=run, args=(self,), name="hlwasm-pool", daemon=True)


class Tasks:
    """Runs tasks in the sandboxes of a store.

    Args:
        store: where the sandboxes come from.
        threads: most threads that count.
        max_pending: most tasks that wait for a thread.
        deadline: of each call, in seconds.
    """

    def __init__(
        self, store: Store, threads: int, max_pending: int, deadline: float | None
    ) -> None:
        self._store = store
        self._threads = threads
        self._max_pending = max_pending
        self._deadline = deadline
        # Guards all that follows. Reentrant, for signal handlers.
        self._lock = threading.RLock()
        self._queue: deque[tuple[PoolFuture, Work]] = deque()
        self._room = threading.Condition(self._lock)
        self._blocked = 0  # threads that wait for room
        self._workers: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._abandoned: set[_Worker] = set()
        self._ended = threading.Condition(self._lock)
        self._refusing = ""
        self._finish: Callable[[], None] | None = None
        self._watcher: threading.Thread | None = None
        self._watcher_bell = allocate_lock()
        self._watcher_bell.acquire()

    # Submitting -------------------------------------------------------------------

    def submit(self, work: Work, timeout: float | None) -> PoolFuture:
        """Queues a task; waits for room in the queue.

        Raises:
            PoolClosed: see there.
            PoolTimeout: there was no room for so long; or there is none, and this thread must
                not wait, as it runs an event loop or tasks of the pool.
            RuntimeError: not even a first thread can be started.
        """
        future = PoolFuture()
        task = (future, work)
        with self._lock:
            if len(self._queue) >= self._max_pending and not self._refusing:
                self._wait_for_room(timeout)
            if self._refusing:
                raise PoolClosed(self._refusing)
            self._queue.append(task)
            try:
                self._wake()
            except BaseException:
                with suppress(ValueError):
                    self._queue.remove(task)
                raise
        return future

    def _wait_for_room(self, timeout: float | None) -> None:
        if timeout is None or timeout > 0:
            reason = f"it was so for {timeout} s"
            if self.has(get_ident()):
                timeout, reason = 0, "a task cannot wait for others"
            elif _in_event_loop():
                timeout, reason = 0, "an event loop cannot wait here; see AsyncPool"
        else:
            reason = "timeout is 0"
        self._blocked += 1
        try:
            if not self._room.wait_for(
                lambda: len(self._queue) < self._max_pending or self._refusing,
                None if timeout is None else min(timeout, threading.TIMEOUT_MAX),
            ):
                raise PoolTimeout(
                    f"{self._max_pending} tasks wait already, and {reason}: "
                    "submit more slowly, or raise max_pending="
                )
        finally:
            self._blocked -= 1

    def _wake(self) -> None:
        """Sees to it that a thread looks at the queue. With the lock held."""
        if self._idle:
            # The one that was busy last: its caches are warm.
            self._idle.pop().bell.release()
        elif len(self._workers) < self._threads:
            worker = _Worker(self._run)
            self._workers.add(worker)
            try:
                worker.thread.start()
            except BaseException as error:
                # Ctrl-C may come behind the start.
                if worker.thread.ident is not None:
                    raise
                self._workers.discard(worker)
                # The process may have no more threads: those that there are will do.
                if not self._workers or not isinstance(error, RuntimeError):
                    raise

    # Threads ----------------------------------------------------------------------

    def _run(self, worker: _Worker) -> None:
        try:
            while self._next(worker):
                pass
        finally:
            with self._lock:
                self._workers.discard(worker)
                self._abandoned.discard(worker)
                if self._queue:
                    # It did not end because there was nothing to do.
                    with suppress(Exception):
                        self._wake()
                self._ended.notify_all()
                finish = None if self._workers else self._finish
            if finish is not None:
                self.fail_rest()
                finish()

    def _next(self, worker: _Worker) -> bool:
        """Does a task, or waits for one. False: the thread is no longer wanted."""
        with self._lock:
            if worker.abandoned:
                return False
            if self._queue:
                future, work = self._queue.popleft()
                if self._blocked:
                    self._room.notify()
            elif self._refusing:
                return False
            else:
                self._idle.append(worker)
                future = None
        if future is None:
            worker.bell.acquire()
        else:
            self._do(worker, future, work)
        return True

    def _do(self, worker: _Worker, future: PoolFuture, work: Work) -> None:
        token = Token()
        slot = result = error = None
        begun: bool | None = None  # not asked yet
        try:
            try:
                slot = self._store.take(token, worker=True)
                begun = future.set_running_or_notify_cancel()
                if begun:
                    if self._deadline is not None:
                        self._begin(worker, future, token, slot)
                    result = work(slot)
            except BaseException:
                if slot is not None:
                    slot.errors += 1
                raise
            finally:
                if worker.future is not None:
                    with self._lock:
                        worker.future = worker.slot = worker.token = None
                self._store.give(token, slot)
        except BaseException as failure:
            error = failure
            if begun is None:
                begun = future.set_running_or_notify_cancel()
        if begun:
            resolve(future, result, error)
        # Its traceback leads back here.
        del error

    # Deadlines --------------------------------------------------------------------

    def _begin(self, worker: _Worker, future: PoolFuture, token: Token, slot: Slot) -> None:
        with self._lock:
            worker.token, worker.slot, worker.future = token, slot, future
            worker.since, worker.failed = monotonic(), None
            if self._watcher is None:
                watcher = threading.Thread(
                    target=self._watch, name="hlwasm-pool-watch", daemon=True
                )
                with suppress(RuntimeError):  # no more threads; the next task will try again
                    watcher.start()
                    self._watcher = watcher

    def _watch(self) -> None:
        """A thread that lives while tasks run."""
        assert self._deadline is not None
        while True:
            late: list[PoolFuture] = []
            with self._lock:
                now = monotonic()
                workers = [worker for worker in self._workers if worker.slot]
                due = [self._look(worker, now, late) for worker in workers]
                if not due:
                    self._watcher = None
                    return
                # Tasks that begin later are due later.
                pause = min(due) - now
            # Their callbacks may take any lock, and so may those who wait for this one.
            for future in late:
                resolve(future, None, deadline_exceeded(self._deadline))
            self._watcher_bell.acquire(timeout=min(pause, threading.TIMEOUT_MAX))

    def _look(self, worker: _Worker, now: float, late: list[PoolFuture]) -> float:
        """When to look at it again; adds the future that is to be failed to ``late``."""
        slot, future, deadline = worker.slot, worker.future, self._deadline
        assert slot is not None and future is not None and deadline is not None
        assert worker.token is not None
        if now < worker.since + deadline:
            return worker.since + deadline
        sandbox = slot.sandbox
        native = None if sandbox is None else sandbox._loop._native
        if native is None or not native.is_expired():
            worker.failed = None
        elif worker.failed is None:
            worker.failed = now
            late.append(future)
        elif now > worker.failed + _PATIENCE and self._store.abandon(worker.token, slot):
            worker.abandoned = True
            worker.slot = None
            self._workers.discard(worker)
            self._abandoned.add(worker)
            if self._queue:
                self._wake()
        return now + _LOOK

    # Numbers ----------------------------------------------------------------------

    def pending(self) -> int:
        """Tasks that wait for a thread."""
        return len(self._queue)

    def threads(self) -> int:
        """Threads that there are, the abandoned ones included."""
        return len(self._workers) + len(self._abandoned)

    # The end ----------------------------------------------------------------------

    def refuse(self, reason: str, cancel: bool) -> None:
        """Takes no more tasks; ``cancel`` cancels those that no thread has begun."""
        with self._lock:
            self._refusing = self._refusing or reason
            cancelled = list(self._queue) if cancel else []
            if cancel:
                self._queue.clear()
            for worker in self._idle:
                worker.bell.release()
            self._idle.clear()
            self._room.notify_all()
        cancel_all([future for future, _ in cancelled], queued=False)

    def has(self, ident: int) -> bool:
        """Whether that thread does tasks."""
        with self._lock:
            return any(worker.thread.ident == ident for worker in self._workers)

    def wait(self, timeout: float | None, but: Container[int] = ()) -> bool:
        """Waits until all threads have ended but this one, those that were abandoned, and
        those in ``but``, which may change: see :meth:`look_again`.
        """
        me = get_ident()

        def ended() -> bool:
            idents = [worker.thread.ident for worker in self._workers]
            return all(ident == me or ident in but for ident in idents)

        with self._ended:
            return self._ended.wait_for(ended, timeout)

    def look_again(self) -> None:
        """Has those in :meth:`wait` look whom they wait for."""
        with self._ended:
            self._ended.notify_all()

    def fail_rest(self) -> None:
        """Fails what is still queued where no thread is left to do it. After :meth:`wait`."""
        me = get_ident()
        with self._lock:
            if any(worker.thread.ident != me for worker in self._workers):
                return
            rest = list(self._queue)
            self._queue.clear()
        for future, _ in rest:
            if future.set_running_or_notify_cancel():
                resolve(future, None, PoolClosed(self._refusing))

    def when_ended(self, finish: Callable[[], None]) -> None:
        """Has ``finish`` called when the last thread has ended. After :meth:`refuse`."""
        with self._lock:
            if self._workers:
                self._finish = finish
                return
        self.fail_rest()
        finish()

    def start_anew(self, reason: str) -> None:
        """In a forked child: nothing here is of use, and the locks are as they were."""
        self._lock = threading.RLock()
        self._room = threading.Condition(self._lock)
        self._ended = threading.Condition(self._lock)
        self._queue.clear()
        self._workers.clear()
        self._abandoned.clear()
        self._idle.clear()
        self._refusing = reason


def _in_event_loop() -> bool:
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None
