"""Deadlines of host functions.

A guest that runs is stopped by native code. A host function that runs when its call's
deadline passes is Python's to stop: one thread of this process waits for native code's word
that a deadline has passed, and then

* ends WASI's waits, by ``Provider.interrupt``;
* in the main thread sends a signal, whose handler raises: that ends blocking system calls,
  too, as Ctrl-C does;
* in other threads has Python raise an exception before its next instruction. What blocks in
  a library written in C is not reached by that: the call ends when it returns, unless the
  host function runs in a thread of its own (``errands.py``).

Nothing of this costs anything before the first host call of a call with a deadline, and
then a lock and an entry in a set.
"""

from __future__ import annotations

import os
import threading
from _thread import get_ident
from typing import TYPE_CHECKING, Any

from hlwasm.native.library import load_library

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from hlwasm.sandbox.errands import Errand

# Counts from SIGRTMIN, next to that of kicks.
_SIGNAL = 12


class DeadlinePassed(BaseException):
    """Raised in a host function whose call is too late; the call loop makes it
    DeadlineExceeded. No Exception, so that host functions do not catch it by mistake.

    Where calls nest, it may be raised in a host function of the inner one for the outer one.
    """

    def __str__(self) -> str:
        return "the deadline of the call that this one is part of has passed"


class Attendance:
    """A thread that serves host calls of one call with a deadline, from :meth:`enter` on until
    :meth:`leave`.

    Args:
        is_expired: whether the deadline has passed.
        interrupt: ends waits of providers; called from any thread.

    Attributes:
        errand: what the thread waits for, where its host function runs in another one.
    """

    __slots__ = (
        "_active", "_interrupt", "_is_expired", "_lock", "_raised", "_sent", "_thread", "errand",
    )  # fmt: skip

    def __init__(self, is_expired: Callable[[], bool], interrupt: Callable[[], object]) -> None:
        self._is_expired = is_expired
        self._interrupt = interrupt
        self._lock = threading.Lock()
        self._thread = get_ident()
        self._active = True
        self._sent = False
        # Whether what was sent is an exception, which arrives between two instructions.
        self._raised = False
        self.errand: Errand | None = None

    def enter(self) -> None:
        """The thread serves from now on; to be called where :meth:`leave` follows in any case."""
        _enter(self)
        if self._is_expired():
            # Nobody may have been told of it.
            self._expire()

    def leave(self) -> bool:
        """The thread serves no more; whether its call is late. May be called again.

        Raises:
            DeadlinePassed: the one that arrives during this is another call's.
        """
        try:
            with self._lock:
                self._active = False
                _present.discard(self)
            if self._raised:
                _let_arrive()
        except DeadlinePassed:
            with self._lock:
                self._active = False
            _present.discard(self)
            if not self._sent:
                raise
        return self._sent

    def check(self) -> None:
        """Interrupts the thread if its call is too late. By the thread that watches."""
        if self._is_expired():
            self._expire()

    def _expire(self) -> None:
        with self._lock:
            if not self._active or self._sent:
                return
            self._sent = True
            self._interrupt()
            errand = self.errand
            if errand is not None:
                errand.give_up()
                return
            if self._thread == get_ident():
                return  # the next run of the guest ends at once
            if _in_main_thread(self._thread) and _handles_signal():
                import signal

                signal.pthread_kill(self._thread, signal.SIGRTMIN + _SIGNAL)
            else:
                self._raised = True
                _raise_in(self._thread, DeadlinePassed)

    def is_late(self) -> bool:
        """Whether the deadline was found to have passed, before :meth:`leave`."""
        return self._sent

    def is_of_this_thread(self) -> bool:
        """Whether it is the calling thread that serves."""
        return self._thread == get_ident()

    def renew(self) -> None:
        """Forgets who holds its lock."""
        self._lock = threading.Lock()

    def is_struck(self) -> bool:
        """Whether the signal that arrived is for this."""
        return self._active and self._sent and self._thread == get_ident()


# Changed by any thread at any time: whoever goes through it takes a copy, which is one step also
# for a Python without a global lock, unlike tuple(…).
_present: set[Attendance] = set()
_watch_lock = threading.Lock()
_watcher: threading.Thread | None = None


def _enter(attendance: Attendance) -> None:
    global _watcher
    _present.add(attendance)
    if _watcher is None:
        with _watch_lock:
            if _watcher is None:
                thread = threading.Thread(target=_watch, name="hlwasm-expiry", daemon=True)
                thread.start()
                _watcher = thread
    if _in_main_thread(get_ident()):
        _install_handler()


def _forget() -> None:
    """In the child of a fork: the parent's threads are not here, and held locks stay so."""
    global _present, _watch_lock, _watcher
    # A host function that forks comes back in the child, too.
    own = [each for each in _present.copy() if each.is_of_this_thread()]
    for each in own:
        each.renew()
    _present, _watch_lock, _watcher = set(own), threading.Lock(), None


os.register_at_fork(after_in_child=_forget)


def _watch() -> None:
    _, lib = load_library()
    descriptor = lib.hlw_expiry_descriptor()
    while descriptor >= 0:
        try:
            os.read(descriptor, 8)
        except OSError:
            return
        for attendance in _present.copy():
            attendance.check()


def _in_main_thread(thread: int) -> bool:
    return thread == threading.main_thread().ident


def _handles_signal() -> bool:
    import signal

    return signal.getsignal(signal.SIGRTMIN + _SIGNAL) is _on_signal


def _install_handler() -> None:
    """Where the program has no use of its own for the signal."""
    import signal

    number = signal.SIGRTMIN + _SIGNAL
    if signal.getsignal(number) is signal.SIG_DFL:
        signal.signal(number, _on_signal)


def _on_signal(number: int, frame: FrameType | None) -> None:
    if any(attendance.is_struck() for attendance in _present.copy()):
        raise DeadlinePassed


def _raise_in(thread: int, kind: type[BaseException]) -> None:
    # Not imported before it is needed, which is hardly ever.
    import ctypes

    exception: Any = ctypes.py_object(kind)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), exception)


def _let_arrive() -> None:
    """Takes an exception that may be on its way to this thread, or has arrived before.

    It is sent again until it arrives, not withdrawn: up to Python 3.12 a withdrawn one leaves
    a mark that only the arrival of another removes. With it all threads look for exceptions
    before each call, and one that is traced (by a debugger, coverage or Hypothesis) does nothing
    else on 3.11.
    """
    try:
        while True:
            _raise_in(get_ident(), DeadlinePassed)
            for _ in range(1000):
                pass
    except DeadlinePassed:
        pass
