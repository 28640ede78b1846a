"""Ctrl-C in the middle of a call."""

from __future__ import annotations

import os
import signal
import threading
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
