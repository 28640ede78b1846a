"""Host functions in threads of their own, so that a call can give them up at its deadline.

A thread that blocks outside of Python cannot be stopped. With ``Limits(abandon_host_calls=True)``
it is not the caller's: the host function runs in one of these threads, with the caller's context
variables, and the caller waits for it, but no longer than until its deadline. What was given up
goes on until it returns, and what it returns is dropped; its thread is used again then.
"""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hlwasm.errors import HlwasmError
from hlwasm.sandbox.expiry import DeadlinePassed

if TYPE_CHECKING:
    from hlwasm.sandbox.expiry import Attendance

# Most threads that may be busy with what was given up.
_ABANDONED_MAX = 64


class Errand:
    """One call of a host function in another thread."""

    __slots__ = ("_arguments", "_context", "_error", "_finished", "_function", "_over", "_result")

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._function, self._arguments = function, arguments
        self._context = contextvars.copy_context()
        self._result: Any = None
        self._error: BaseException | None = None
        self._finished = False
        # Released when it is finished or given up.
        self._over = threading.Lock()
        self._over.acquire()

    def run(self) -> None:
        """Calls the function. In its own thread."""
        try:
            self._result = self._context.run(self._function, *self._arguments)
        except BaseException as error:
            self._error = error
        self._finished = True
        self.give_up()

    def is_finished(self) -> bool:
        """Whether the function has returned or raised."""
        return self._finished

    def give_up(self) -> None:
        """Lets the caller go on."""
        with suppress(RuntimeError):  # it does already
            self._over.release()

    def wait(self) -> Any:
        """What the function returned or raised.

        Raises:
            DeadlinePassed: it was given up.
        """
        self._over.acquire()
        if not self._finished:
            raise DeadlinePassed
        error = self._error
        if error is not None:
            try:
                raise error
            finally:
                del error, self._error
        return self._result


class _Thread:
    """A thread and the bell that tells it of an errand."""

    __slots__ = ("bell", "errand")

    def __init__(self) -> None:
        self.errand: Errand | None = None
        self.bell = threading.Lock()
        self.bell.acquire()
        threading.Thread(target=self._run, name="hlwasm-host-call", daemon=True).start()

    def _run(self) -> None:
        while True:
            self.bell.acquire()
            errand = self.errand
            assert errand is not None
            errand.run()
            self.errand = None
            del errand
            _idle.append(self)
            _abandoned.discard(self)


_idle: list[_Thread] = []
_abandoned: set[_Thread] = set()
_process = os.getpid()


def run_elsewhere(
    function: Callable[..., Any], arguments: tuple[Any, ...], attendance: Attendance
) -> Any:
    """Calls a function in another thread, and waits for it until the call's deadline.

    Raises:
        DeadlinePassed: the deadline came first.
        HlwasmError: too many host functions that were given up have not returned.
    """
    global _process
    if _process != os.getpid():
        # The parent's threads are not here.
        _idle.clear()
        _abandoned.clear()
        _process = os.getpid()
    errand = Errand(function, arguments)
    try:
        thread = _idle.pop()
    except IndexError:
        if len(_abandoned) >= _ABANDONED_MAX:
            raise HlwasmError(
                f"{_ABANDONED_MAX} host functions that were given up at their deadline have not "
                "returned yet: give them time-outs of their own"
            ) from None
        thread = _Thread()
    thread.errand = errand
    attendance.errand = errand
    try:
        thread.bell.release()
        if attendance.is_late():
            errand.give_up()
        return errand.wait()
    finally:
        attendance.errand = None
        if not errand.is_finished():
            _abandoned.add(thread)
            # It may have come back just now, and found nothing to take off.
            if errand.is_finished():
                _abandoned.discard(thread)
