"""What took how long, for ``--timings``."""

from __future__ import annotations

import os
import time
from pathlib import Path

from hlwasm.cli import STARTED
from hlwasm.cli.failures import say
from hlwasm.cli.text import milliseconds


class Timings:
    """Steps one after the other, from the start of the process."""

    def __init__(self) -> None:
        now = time.perf_counter()
        self._steps: list[tuple[str, float]] = []
        python = _python_start_seconds()
        if python is not None:
            self._steps.append(("start Python", python))
        self._steps.append(("import the command line", now - STARTED))
        self._last = now

    def step(self, name: str) -> float:
        """Ends a step, and returns its seconds."""
        now = time.perf_counter()
        seconds, self._last = now - self._last, now
        self._steps.append((name, seconds))
        return seconds

    def tell(self) -> None:
        """Writes all steps to stderr."""
        rows = [*self._steps, ("total", sum(seconds for _, seconds in self._steps))]
        width = max(len(name) for name, _ in rows)
        lines = [f"  {name.ljust(width)} {milliseconds(seconds):>12}" for name, seconds in rows]
        say("timings\n" + "\n".join(lines))


def _python_start_seconds() -> float | None:
    """From the start of the process to the import of this package, to 10 ms."""
    try:
        # Field 22, counted behind the name, which may contain anything.
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
    except (OSError, ValueError, IndexError):
        return None
    return max(0.0, now - started - (time.perf_counter() - STARTED))
