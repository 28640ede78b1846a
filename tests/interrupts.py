"""Ctrl-C in the middle of a call, and at any moment of it."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable

import pytest


def interrupted(call: Callable[[], object], seconds: float = 0.05) -> None:
    """Makes a call that does not end of itself; Ctrl-C ends it after some seconds.

    On a busy machine the signal may come before the call is made. It is expected from the moment
    on that its timer is started: anywhere else it would end the whole process of tests.
    """
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        call()
    timer.join()


def interrupted_at_any_moment(
    call: Callable[[], object], check: Callable[[], object], seconds: float = 1
) -> None:
    """Makes a call again and again, until a signal ends it as Ctrl-C does, then checks; for so
    many seconds.

    The signal comes again if nothing happens: CPython 3.11 may notice one only with the next event
    that stops its loop, such as another thread's wish for the lock.
    """
    moments = random.Random(7)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with pytest.raises(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, moments.uniform(1e-5, 1e-4), 0.5)
                while True:
                    call()
            signal.setitimer(signal.ITIMER_REAL, 0)
            check()
    finally:
        signal.signal(signal.SIGALRM, before)
