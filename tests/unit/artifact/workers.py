"""Finds and looks at worker processes from outside, through /proc."""

from __future__ import annotations

import os
import time
from pathlib import Path


def workers_of(parent: int | None = None) -> list[int]:
    """Compiler processes that are children of a process, this one by default."""
    parent = parent or os.getpid()
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            state, ppid = (directory / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (directory / "cmdline").read_text()
        except OSError:
            continue
        if int(ppid) == parent and state != "Z" and "hlwasm.artifact.worker" in command:
            found.append(int(directory.name))
    return found


def is_running(pid: int) -> bool:
    """Whether the process exists and is not only waiting to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until_gone(pid: int, seconds: float = 10) -> bool:
    """Whether the process ended in time."""
    deadline = time.monotonic() + seconds
    while is_running(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
