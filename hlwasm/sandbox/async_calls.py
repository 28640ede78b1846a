"""The call loop for event loops: the guest runs in a worker, host functions where they belong.

::

    event loop                                 worker
    ──────────                                 ──────
    lower, submit ───────────────────────────► enter the vCPU; serve exits:
      (other tasks)                              host functions of WASI, log records, …
    host function of the user, awaited ◄────── exit: it calls one
      (other tasks; no thread)
    submit the answer ───────────────────────► enter again
    lift ◄──────────────────────────────────── the command is done

What an exit means is decided in :class:`~hlwasm.sandbox.calls.CallLoop`, for synchronous and
asynchronous sandboxes alike. Here is only who runs it where.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from hlwasm.errors import Cancelled, HlwasmError, SandboxStateError
from hlwasm.native.handles import NativeSandbox
from hlwasm.sandbox.async_deadline import Deadline, uncancel
from hlwasm.sandbox.call_endings import deadline_exceeded
from hlwasm.sandbox.calls import CallLoop
from hlwasm.sandbox.guest_resources import AsyncGuestResource
from hlwasm.sandbox.providers import Suspended
from hlwasm.sandbox.state import Guard, Status
from hlwasm.sandbox.workers import Workers


def task_guard() -> Guard:
    """A guard that tells callers apart by their tasks."""
    return Guard(_current_task, "task")


def _current_task() -> object:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None  # a thread without an event loop


class AsyncCalls:
    """Runs commands in one native sandbox for coroutines: the context of asynchronous codecs.

    Args:
        core: the sandbox's call loop, with a guard of :func:`task_guard`.
        native: its micro-VM.
        workers: where the guest runs.
        cancel: makes a worker that is in the sandbox leave it soon.
        awaited: numbers of the host functions that are served in the event loop; the
            servers that ``core`` binds for them are coroutine functions.
        deadline: seconds that a call may take. native_vmm ends guests that run when it has
            passed; this ends what is awaited instead.
    """

    def __init__(
        self,
        core: CallLoop,
        native: NativeSandbox,
        workers: Workers,
        cancel: Callable[[], object],
        awaited: frozenset[int],
        deadline: float | None = None,
    ) -> None:
        self.export_memory = core.export_memory
        self.import_memory = core.import_memory
        self.resources = core.resources
        self.poison = core.poison
        self.end = core.end
        self.count_bytes = core.count_bytes
        self.lend = core.lend
        self._core = core
        self._native = native
        self._workers = workers
        self._cancel = cancel
        self._awaited = awaited
        self._deadline = deadline
        # The host coroutine that is awaited was cancelled by `cancel_served`.
        self._cancelling = False
        core.resources.drop_guest = self._drop_guest
        core.resources.plain_class = AsyncGuestResource

    # The context of the codecs ---------------------------------------------------

    async def begin(self) -> None:
        """Enters the sandbox; see :meth:`hlwasm.sandbox.state.Guard.begin`."""
        self._core.guard.begin()
        garbage = self.resources.garbage
        try:
            # Of a call that was not made: another value did not fit, for example.
            self.resources.undo_call()
            while garbage:
                await self._drop_now(garbage.pop())
        except BaseException:
            self.end()
            raise

    async def invoke(self, index: int) -> None:
        """Runs ``call-index`` to its end.

        Raises:
            CancelledError: the task was cancelled. The sandbox is poisoned, unless its guest
                had not been entered yet.
            Exception: as :meth:`hlwasm.sandbox.calls.CallLoop.invoke`.
        """
        try:
            await self._to_the_end(partial(self._core.call, index))
        except BaseException as error:
            self._core.name_call(error, index)
            if self._core.guard.status is Status.READY:
                # The task was cancelled while it waited for a worker.
                self.resources.undo_call()
            raise
        self.resources.end_call()

    # Commands ---------------------------------------------------------------------

    async def command(self, command: int, *arguments: int) -> None:
        """Runs any command to its end; like :meth:`invoke`, with ``begin`` and ``end``."""
        self._core.guard.begin()
        try:
            await self._to_the_end(partial(self._native.command, command, *arguments))
        finally:
            self.end()

    async def _drop_guest(self, number: int) -> None:
        # The last to be dropped, as in a synchronous sandbox.
        self.resources.garbage.insert(0, number)
        if self._core.guard.loan is not None:
            return  # finalisers do not end views of a result: dropped before the next call
        try:
            await self.begin()  # which drops what is garbage
        except SandboxStateError:
            return  # poisoned or closed: it is gone; busy: dropped before the next call
        self.end()

    async def _drop_now(self, number: int) -> None:
        core, native = self._core, self._native
        held = self.resources.release(number)
        if held is None:
            return  # a restore took the handle away
        exits = native.exits()
        try:
            await self._call_drop(core.prepare_drop(*held), number)
        except BaseException:
            core.keep_undropped(number, held, exits)
            raise

    async def _call_drop(self, index: int, number: int) -> None:
        """As in :class:`~hlwasm.sandbox.calls.CallLoop`."""
        await self.invoke(index)

    # Exits ------------------------------------------------------------------------

    async def _to_the_end(self, enter: Callable[[], int]) -> None:
        if self._deadline is None:
            await self._serve_all(enter)
        else:
            async with Deadline(self._deadline, self._expired):
                await self._serve_all(enter)

    def _expired(self) -> BaseException:
        error = deadline_exceeded(self._deadline)
        self._core.poison(error)
        return error

    async def _serve_all(self, enter: Callable[[], int]) -> None:
        core, at = self._core, self._native.exit
        host_call = self._native.lib.HLW_EXIT_HOST_CALL
        core.meter.begin()
        try:
            pause = await self._run(enter)
            while at.kind == host_call:
                if pause is None:
                    result = await self._serve(at.value0, at.value1)
                    enter = partial(core.answer, result)
                else:
                    await pause.until()
                    enter = partial(core.serve_exit, host_call)
                pause = await self._run(enter)
        except BaseException as error:
            core.poison_unless_ready(error)
            raise

    async def _run(self, enter: Callable[[], int]) -> Suspended | None:
        """Runs the vCPU in a worker: to the end of the command, to a host call that is served
        here, or to one of a provider that has to wait.
        """
        core, awaited, contended = self._core, self._awaited, self._workers.contended
        lib, at = self._native.lib, self._native.exit
        pause: Suspended | None = None
        meter = core.meter
        before = meter.mark()

        def run() -> bool:
            nonlocal before, enter, pause
            try:
                kind = enter()
                while kind:
                    if kind == lib.HLW_EXIT_HOST_CALL and at.value0 in awaited:
                        break
                    if kind == lib.HLW_EXIT_INTERRUPTED and not at.code and contended():
                        # Others wait for this thread.
                        enter = core.resume
                        return False
                    before = meter.mark()
                    kind = core.serve_exit(kind)
            except Suspended as wait:
                pause = wait
                meter.take_back(before)
            return True

        await self._workers.run(run, self._stop, self._native.interrupt)
        return pause

    def _stop(self) -> None:
        # Even if the guest comes to its end: the kick would meet the next call.
        self._core.guard.poison("the call was cancelled")
        self._cancel()

    async def _serve(self, function: int, pointer: int) -> int:
        """Serves a host call in the task that made the call."""
        guard = self._core.guard
        guard.host_caller = _current_task()
        try:
            serve: Any = self._core.server(function)
            result: int = await serve(pointer)
            return result
        except BaseException as error:
            ours = isinstance(error, (asyncio.CancelledError, Exception))
            if not self._cancelling or not ours or isinstance(error, HlwasmError):
                raise
            raise Cancelled("the call was cancelled") from error
        finally:
            guard.host_caller = None
            if self._cancelling:
                self._cancelling = False
                uncancel(_current_task())

    def cancel_served(self) -> None:
        """Ends the host coroutine that is awaited, if one is. Any thread may call this."""
        task = self._core.guard.host_caller
        if isinstance(task, asyncio.Task):
            with suppress(RuntimeError):  # its loop may be closed by now
                task.get_loop().call_soon_threadsafe(self._cancel_task, task)

    def _cancel_task(self, task: asyncio.Task[Any]) -> None:
        # Between two steps of the task, which waits in its host coroutine, or no more.
        if self._core.guard.host_caller is task and not self._cancelling:
            self._cancelling = True
            task.cancel()
