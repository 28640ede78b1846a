"""The threads that run vCPUs on behalf of event loops.

An event loop must not wait while a guest runs, and a guest needs a thread only while it
runs: between two exits it is data. So a few threads run all asynchronous sandboxes, and each
piece of work is one :class:`Job`: from entering the vCPU to what the event loop has to do.

Guests need not end, and there may be more of them than threads. While jobs wait, a guest
that has run for a time slice is interrupted, its job goes to the end of a queue, and another
gets the thread. A thread that does not come back then is not in a guest, but blocked on
behalf of one, by a write to a full pipe for instance: another takes its place.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from enum import Enum

from hlwasm.errors import NativeError

# How long a guest may run while others wait, in seconds: far above what a switch costs (two
# exits), and short enough that a call of a millisecond is served soon among those that spin.
SLICE = 0.005
# After so many slices a thread counts as blocked: many, as the machine may be busy, or the
# thread at a VM's creation.
_BLOCKED_SLICES = 20
# Most threads of a pool, the blocked ones included.
THREADS_MAX = 32
# How long the end of the process waits for guests to stop, in seconds. Stopping takes a
# millisecond, but for a host function that nothing ends.
_EXIT_PATIENCE = 1.0
# As of a synchronous sandbox.
_FORKED = "the sandbox belongs to the process that this one was forked from; make one here"


class Outcome(Enum):
    """How a worker left a job."""

    DONE = "done"
    PAUSED = "paused"
    WITHDRAWN = "withdrawn"


class Job:
    """One piece of work for a worker, awaited in the event loop that made it.

    Args:
        work: done by the worker, in a copy of the present context. False has it called
            again, behind the jobs that wait.
        stop: makes ``work`` return soon; called from any thread while it runs. None where it
            ends by itself.
        pause: makes ``work`` return False soon, if it is at a point where it can; called with
            the ident of the thread that is at it.
    """

    __slots__ = (
        "_context", "_error", "_finished", "_left", "_loop", "_taken", "_waiter", "_work",
        "pause", "stop",
    )  # fmt: skip

    def __init__(
        self,
        work: Callable[[], bool],
        stop: Callable[[], object] | None = None,
        pause: Callable[[int], object] | None = None,
    ) -> None:
        self.stop = stop
        self.pause = pause
        self._work = work
        self._context = contextvars.copy_context()
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._error: BaseException | None = None
        self._finished = False
        # Taken by the worker while it works and for ever at the end, or by `withdraw`.
        self._taken = threading.Lock()
        # Released when a worker has done the job.
        self._left = threading.Lock()
        self._left.acquire()

    # The worker's side

    def run(self) -> Outcome:
        """Does the work. When it is done, :meth:`report` it."""
        if not self._taken.acquire(blocking=False):
            return Outcome.WITHDRAWN
        try:
            done = self._context.run(self._work)
        except BaseException as error:
            self._error = error
            done = True
        if done:
            return Outcome.DONE
        self._taken.release()
        return Outcome.PAUSED

    def report(self) -> None:
        """Tells those who wait that the work is done."""
        self._left.release()
        # The loop may be closed by now: then nobody waits there.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._finish)

    # The event loop's side

    def _finish(self) -> None:
        self._finished = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def finished(self) -> None:
        """Waits until the work is done."""
        while not self._finished:
            # One for each wait: what cancels a task cancels the future that it waits for.
            self._waiter = self._loop.create_future()
            await self._waiter

    async def left(self) -> None:
        """Waits until the work is done, however often the task is cancelled meanwhile."""
        while True:
            try:
                return await self.finished()
            except asyncio.CancelledError:
                continue
            except GeneratorExit:
                self.join()
                raise

    def withdraw(self) -> bool:
        """Takes the job back, unless a worker is at it or has done it."""
        return self._taken.acquire(blocking=False)

    def abandon(self) -> None:
        """Takes the job back, for nobody will ever do it."""
        if self.withdraw():
            self._left.release()

    def join(self) -> None:
        """Blocks until a worker has done the job."""
        with self._left:
            pass

    def take_error(self) -> BaseException | None:
        """What the work raised. The job forgets it: its traceback leads back here."""
        error, self._error = self._error, None
        return error


class _Worker:
    """One thread and its present job."""

    __slots__ = ("bell", "blocked", "job", "since", "slices", "thread")

    def __init__(self, run: Callable[[_Worker], None]) -> None:
        self.job: Job | None = None
        self.since = 0.0
        # How often the job was found to have run for too long, and what was concluded.
        self.slices = 0
        self.blocked = False
        # Released once for each job.
        self.bell = threading.Lock()
        self.bell.acquire()
        # Daemons: a guest must not keep the process from ending.
        self.thread = threading.Thread(target=run, args=(self,), name="hlwasm", daemon=True)


class Workers:
    """A bounded pool of threads, started as they are needed.

    Args:
        count: threads that run guests at the same time.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._process = os.getpid()
        # Guards all that follows.
        self._lock = threading.Lock()
        self._new: deque[Job] = deque()
        self._interrupted: deque[Job] = deque()
        self._new_first = False
        self._workers: list[_Worker] = []
        self._idle: list[_Worker] = []
        self._busy = 0  # without those that are blocked
        self._referee: threading.Thread | None = None
        self._closed = False

    def is_foreign(self) -> bool:
        """Whether this is a forked child, where there are none of its threads."""
        return self._process != os.getpid()

    def contended(self) -> bool:
        """Whether a job waits for a thread."""
        return bool(self._new or self._interrupted)

    async def run(
        self,
        work: Callable[[], bool],
        stop: Callable[[], object] | None = None,
        pause: Callable[[int], object] | None = None,
        *,
        always: bool = False,
    ) -> None:
        """Has a thread do the work, while this task waits.

        When the task is cancelled, no thread is at the work any more before this returns.

        Args:
            work, stop, pause: see :class:`Job`.
            always: the work is done even if the task is cancelled before it begins.

        Raises:
            BaseException: what ``work`` raised.
            CancelledError: the task was cancelled; ``work`` was stopped, or never begun.
        """
        job = Job(work, stop, pause)
        self.submit(job)
        try:
            await job.finished()
        except BaseException as reason:
            if always or not job.withdraw():
                if stop is not None:
                    stop()
                if isinstance(reason, GeneratorExit):
                    # The task is forgotten, or its event loop is gone: nothing can be awaited.
                    job.join()
                else:
                    await job.left()
            raise
        error = job.take_error()
        if error is not None:
            try:
                raise error
            finally:
                del error

    def submit(self, job: Job) -> None:
        """Gives the job to a thread, now or when one is free.

        Raises:
            RuntimeError: not even a first thread can be started.
            NativeError: the threads are those of the process that this one was forked from.
        """
        if self.is_foreign():
            raise NativeError(_FORKED)
        with self._lock:
            if self._closed:
                job.abandon()
                return
            self._new.append(job)
            try:
                self._dispatch()
            except RuntimeError:
                self._new.remove(job)
                raise

    # All below but `_run` is called with the lock held.

    def _dispatch(self) -> None:
        while self._busy < self.count and self.contended():
            if self._idle:
                # The one that was busy last: its caches are warm.
                worker = self._idle.pop()
            elif len(self._workers) < THREADS_MAX:
                worker = _Worker(self._run)
                try:
                    worker.thread.start()
                except RuntimeError:  # the process may have no more threads
                    if not self._workers:
                        raise
                    break
                self._workers.append(worker)
            else:
                break
            self._busy += 1
            worker.job = self._next()
            worker.since = time.monotonic()
            worker.slices = 0
            worker.bell.release()
        if self._referee is None and self.contended():
            referee = threading.Thread(target=self._watch, name="hlwasm-referee", daemon=True)
            with suppress(RuntimeError):  # as above; the next job will try again
                referee.start()
                self._referee = referee

    def _next(self) -> Job:
        """From both queues by turns: calls that are short need not wait for all that spin."""
        first, second = self._new, self._interrupted
        if not self._new_first:
            first, second = second, first
        self._new_first = not self._new_first
        return (first or second).popleft()

    def _run(self, worker: _Worker) -> None:
        while True:
            worker.bell.acquire()
            job = worker.job
            assert job is not None
            outcome = job.run()
            with self._lock:
                worker.job = None
                if not worker.blocked:
                    self._busy -= 1
                worker.blocked = False
                self._idle.append(worker)
                if outcome is Outcome.PAUSED and self._closed:
                    job.abandon()
                elif outcome is Outcome.PAUSED:
                    self._interrupted.append(job)
                    # It is not its own successor.
                    self._new_first = True
                if self.contended():
                    self._dispatch()
            if outcome is Outcome.DONE:
                # Not before this thread is idle: what comes next is for it, not for another.
                job.report()
            # Not kept alive by a thread that waits.
            del job

    # Fairness

    def _watch(self) -> None:
        """A thread that lives while jobs wait."""
        while True:
            time.sleep(SLICE)
            with self._lock:
                if self._closed or not self.contended():
                    self._referee = None
                    return
                before = time.monotonic() - SLICE
                for worker in self._workers:
                    if worker.job is not None and worker.since < before:
                        self._ask_to_pause(worker, worker.job)
                self._dispatch()

    def _ask_to_pause(self, worker: _Worker, job: Job) -> None:
        worker.slices += 1
        if worker.slices > _BLOCKED_SLICES and not worker.blocked:
            worker.blocked = True
            self._busy -= 1
        if job.pause is not None:
            assert worker.thread.ident is not None
            job.pause(worker.thread.ident)

    # The end

    def close(self) -> None:
        """Stops every guest and waits until its thread has left it, but not for ever."""
        with self._lock:
            self._closed = True
            while self.contended():
                self._next().abandon()
            jobs = [worker.job for worker in self._workers if worker.job is not None]
        for job in jobs:
            if job.stop is not None:
                job.stop()
        end = time.monotonic() + _EXIT_PATIENCE
        while len(self._idle) < len(self._workers) and time.monotonic() < end:
            time.sleep(0.001)


_shared: Workers | None = None
_making = threading.Lock()


def shared() -> Workers:
    """The pool of this process: as many threads as cores. A forked child gets its own."""
    global _shared
    if _shared is None:
        with _making:
            if _shared is None:
                _shared = Workers(len(os.sched_getaffinity(0)))
    return _shared


def _forget() -> None:
    # The parent's threads do not exist in the child, and its locks may be taken.
    global _shared, _making
    _shared, _making = None, threading.Lock()


def _close() -> None:
    if _shared is not None:
        _shared.close()


os.register_at_fork(after_in_child=_forget)
atexit.register(_close)
