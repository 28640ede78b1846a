"""What took how long, for ``--timings``."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Literal

from hlwasm.cli import STARTED
from hlwasm.cli.failures import say
from hlwasm.stopwatch import Stopwatch
from hlwasm.text import milliseconds

if TYPE_CHECKING:
    from typing import TypeAlias

    Format: TypeAlias = Literal["text", "json"]


class Timings(Stopwatch):
    """Steps from the start of the process; the first is what was imported before this."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()
        self.steps.append(("imports", time.perf_counter() - STARTED))

    def tell(self, wanted: Format) -> None:
        """Writes all steps to stderr.

        As text in milliseconds; or as one line of JSON, seconds by step. JSON has no start
        of Python, which is known to 10 ms only, but the instant of its end: who measures
        knows its beginning by the same clock, the monotonic one.
        """
        if wanted == "json":
            import json

            steps = {name.partition(" (")[0].replace(" ", "_"): took for name, took in self.steps}
            print(json.dumps({"python_started_at": STARTED, **steps}), file=sys.stderr, flush=True)
            return
        python = _python_start_seconds()
        rows = self.steps if python is None else [("start of Python", python), *self.steps]
        rows = [*rows, ("total", sum(seconds for _, seconds in rows))]
        width = max(len(name) for name, _ in rows)
        lines = [f"  {name.ljust(width)} {milliseconds(seconds):>12}" for name, seconds in rows]
        say("timings\n" + "\n".join(lines))


def _python_start_seconds() -> float | None:
    """From the start of the process to the import of this package, to 10 ms."""
    from pathlib import Path

    try:
        # Field 22, counted behind the name, which may contain anything.
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
    except (OSError, ValueError, IndexError):
        return None
    return max(0.0, now - started - (time.perf_counter() - STARTED))
