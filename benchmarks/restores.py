"""What putting a sandbox back to its snapshot costs, alone and with the next call."""

from __future__ import annotations

import ctypes
import resource
import time
from collections.abc import Callable
from functools import partial

import hlwasm
from benchmarks.measure import Row, Times, in_turns
from benchmarks.peers import bare_exit, open_python, open_sandbox

PAGE = 4096
ROUNDS = 60
# So many in a row make one measurement, their mean: what is dear but happens only now and
# then, such as a look for new pages, must not hide above the lower quartile.
REPEATS = 40
# What a goal may add to a number of exits: the host's part.
HOST_PART = 5.0


class _Restored:
    """A sandbox that is used and put back, again and again.

    Args:
        sandbox: any; it stays the caller's.
        call: one request.
        before: what was called before the snapshot, where it was not the same.
    """

    def __init__(
        self,
        sandbox: hlwasm.Sandbox,
        call: Callable[[], object],
        before: Callable[[], object] | None = None,
    ) -> None:
        self._sandbox = sandbox
        self._call = call
        for _ in range(2):
            (before or call)()
        self._snapshot = sandbox.snapshot()
        # Which pages are written to by each call is learned.
        for _ in range(50):
            self.request()

    def request(self) -> None:
        self._sandbox.restore(self._snapshot)
        self._call()

    def restore_alone(self) -> float:
        """Microseconds of a restore after a call."""
        took = 0
        for _ in range(REPEATS):
            self._call()
            started = time.perf_counter_ns()
            self._sandbox.restore(self._snapshot)
            took += time.perf_counter_ns() - started
        return took / REPEATS / 1e3

    def faults_of_next_call(self) -> float:
        """Page faults that this thread meets in a call after a restore."""
        faults = 0
        for _ in range(REPEATS):
            self._call()
            self._sandbox.restore(self._snapshot)
            before = resource.getrusage(resource.RUSAGE_THREAD)
            self._call()
            after = resource.getrusage(resource.RUSAGE_THREAD)
            faults += after.ru_minflt - before.ru_minflt + after.ru_majflt - before.ru_majflt
        return faults / REPEATS

    def requests(self) -> float:
        """Microseconds of a restore and a call."""
        started = time.perf_counter_ns()
        for _ in range(REPEATS):
            self.request()
        return (time.perf_counter_ns() - started) / REPEATS / 1e3

    def pages(self) -> int:
        """Pages that a restore puts back."""
        before = self._sandbox.counters()
        for _ in range(REPEATS):
            self.request()
        after = self._sandbox.counters()
        return round((after.restored_pages - before.restored_pages) / REPEATS)


def _copy(target: int, source: int, size: int) -> float:
    """Microseconds of one memcpy, over several."""
    started = time.perf_counter_ns()
    for _ in range(REPEATS):
        ctypes.memmove(target, source, size)
    return (time.perf_counter_ns() - started) / REPEATS / 1e3


def _by_pages(touched: int, goal: float) -> list[Row]:
    name = f"restore.{touched}_pages"
    rows = []
    # Pages that nothing was written to before the snapshot, such as those of a heap that
    # grows; and pages that hold data in it, which has to be read.
    for suffix, before, asked in (("", 0, goal), (".data", touched, None)):
        with open_sandbox() as sandbox:
            touch = sandbox.exports.touch
            used = _Restored(sandbox, partial(touch, touched, 2), partial(touch, before, 1))
            pages = used.pages()
            buffers = [ctypes.create_string_buffer(b"\1" * (pages * PAGE)) for _ in range(2)]
            target, source = map(ctypes.addressof, buffers)
            exits, alone, copied, faults = in_turns(
                [
                    partial(bare_exit, sandbox),
                    used.restore_alone,
                    partial(_copy, target, source, pages * PAGE),
                    used.faults_of_next_call,
                ],
                ROUNDS,
            )
        copy = f"memcpy of its {pages} pages"
        found = faults.value
        rows += [
            Row.of(f"{name}{suffix}", alone, "one bare exit", exits, asked, goal_of="value"),
            Row.of(f"{name}{suffix}.copies", alone, copy, copied),
            Row(f"{name}{suffix}.faults", found, "faults", goal=0, goal_of="value"),
        ]
    return rows


def _with_call(name: str, used: _Restored, sandbox: hlwasm.Sandbox, exits_allowed: float) -> Row:
    exits, both = in_turns([partial(bare_exit, sandbox), used.requests], ROUNDS)
    goal = exits_allowed * exits.value + HOST_PART
    return Row.of(f"restore_call.{name}", both, "one bare exit", exits, goal, goal_of="value")


def _python_alone(used: _Restored) -> Times:
    (alone,) = in_turns([used.restore_alone], ROUNDS)
    return alone


def measure() -> list[Row]:
    """Restores by number of dirtied pages, and requests of two components."""
    rows = [*_by_pages(16, 5), *_by_pages(256, 30)]
    with open_sandbox() as sandbox:
        small = _Restored(sandbox, partial(sandbox.exports.add, 2, 3))
        rows.append(_with_call("small", small, sandbox, 1.5))
    with open_python() as sandbox:
        python = _Restored(sandbox, sandbox.exports.summary)
        rows.append(_with_call("python", python, sandbox, 2))
        rows.append(Row.of("restore.python", _python_alone(python)))
    return rows
