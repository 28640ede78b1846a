"""How exact deadlines are while all CPUs are busy, what they cost, and who else notices."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from functools import partial

import hlwasm
from benchmarks.measure import Row, interleaved
from benchmarks.peers import BENCH, Host, open_sandbox

GUESTS = 200
# Guests start one after the other, and end likewise when all of them spin.
START_INTERVAL, END_INTERVAL = 0.005, 0.01
FIRST_END = GUESTS * START_INTERVAL + 1
PAUSE = 0.002
RUNS = 3


class _Neighbour:
    """A sandbox that is called every few milliseconds.

    Attributes:
        calls: milliseconds that its calls take.
        wakes: milliseconds by which its thread wakes up late from each pause: what the
            machine does to any thread.
    """

    def __init__(self) -> None:
        self.calls: list[float] = []
        self.wakes: list[float] = []
        self._ended = False
        self._sandbox = open_sandbox()
        for _ in range(3):
            self._sandbox.exports.add(2, 3)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        add = self._sandbox.exports.add
        while not self._ended:
            slept = time.perf_counter()
            time.sleep(PAUSE)
            started = time.perf_counter()
            add(2, 3)
            ended = time.perf_counter()
            self.wakes.append((started - slept - PAUSE) * 1e3)
            self.calls.append((ended - started) * 1e3)

    def forget(self) -> None:
        """Begins anew."""
        self.calls, self.wakes = [], []

    def close(self) -> None:
        self._ended = True
        self._thread.join()
        self._sandbox.close()


def _schedule(thread: int, priority: int) -> None:
    """Gives a thread, 0 for the calling one, a real-time priority, or takes it away by 0.

    Does nothing where the process may not do that, or the thread has ended.
    """
    policy = os.SCHED_FIFO if priority else os.SCHED_OTHER
    with suppress(PermissionError, ProcessLookupError):
        os.sched_setscheduler(thread, policy, os.sched_param(priority))


class _Spinner:
    """A guest that spins until its deadline, in a thread of its own.

    Args:
        sandbox: it stays the caller's.

    Attributes:
        thread: runs already, and waits for :meth:`start`.
        late: milliseconds from the deadline to the end of the call.
    """

    def __init__(self, sandbox: hlwasm.Sandbox) -> None:
        self._sandbox = sandbox
        self._may_start = threading.Event()
        self.late = 0.0
        # Where something fails elsewhere, nobody has to wait for it.
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def start(self) -> None:
        """Has it call, and returns when the guest spins.

        In a crowd a thread may wait for a CPU between looking at the clock and the call. So
        until the guest runs it goes before the others.
        """
        thread = self.thread.native_id
        assert thread is not None
        _schedule(thread, 1)
        self._may_start.set()
        time.sleep(START_INTERVAL)
        _schedule(thread, 0)

    @staticmethod
    def limits(number: int) -> hlwasm.Limits:
        end = FIRST_END + number * END_INTERVAL
        return hlwasm.Limits(deadline=end - number * START_INTERVAL)

    def _run(self) -> None:
        spin, deadline = self._sandbox.exports.spin, self._sandbox.limits.deadline
        assert deadline is not None
        self._may_start.wait()
        started = time.perf_counter()
        try:
            spin()
        except hlwasm.DeadlineExceeded:
            self.late = (time.perf_counter() - started - deadline) * 1e3
            return
        raise AssertionError("the guest ended before its deadline")


def _warm_up(component: hlwasm.Component) -> None:
    """Has the code for calls of `spin` generated, which all sandboxes share."""
    for _ in range(2):
        with component.instantiate({"host": Host}, limits=hlwasm.Limits(deadline=0.01)) as sandbox:
            snapshot = sandbox.snapshot()
            for _ in range(2):
                with suppress(hlwasm.DeadlineExceeded):
                    sandbox.exports.spin()
                sandbox.restore(snapshot)


def _child() -> None:
    """Prints, as JSON, milliseconds: how late calls ended, and of calls of a neighbour."""
    component = hlwasm.load(BENCH)
    _warm_up(component)
    with ExitStack() as opened:
        spinners = []
        for number in range(GUESTS):
            sandbox = component.instantiate({"host": Host}, limits=_Spinner.limits(number))
            spinners.append(_Spinner(opened.enter_context(sandbox)))
        neighbour = _Neighbour()
        opened.callback(neighbour.close)
        neighbour.forget()
        time.sleep(1)
        alone = neighbour.calls
        started = time.monotonic()
        _schedule(0, 2)
        for spinner in spinners:
            spinner.start()
        _schedule(0, 0)
        time.sleep(max(0, started + FIRST_END - time.monotonic()))
        neighbour.forget()
        time.sleep(GUESTS * END_INTERVAL)
        meanwhile, wakes = neighbour.calls, neighbour.wakes
        for spinner in spinners:
            spinner.thread.join()
    late = [spinner.late for spinner in spinners]
    print(json.dumps({"late": late, "alone": alone, "meanwhile": meanwhile, "wakes": wakes}))


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _figures() -> dict[str, float]:
    """Milliseconds, by name, of one run in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.deadlines"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, list[float]] = json.loads(done.stdout)
    figures = {}
    for name, times in found.items():
        figures[f"{name}.p50"] = statistics.median(times)
        figures[f"{name}.p99"] = _percentile(times, 99)
        figures[f"{name}.max"] = max(times)
    return figures


def _exactness() -> list[Row]:
    runs = [_figures() for _ in range(RUNS)]
    middle = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    rows = []
    for which, goal in (("p99", 2), ("p50", None), ("max", None)):
        late, woken = middle[f"late.{which}"], middle[f"wakes.{which}"]
        rows.append(
            Row(
                f"deadline.{which}_ms",
                late,
                "ms",
                "a thread's own sleep",
                woken,
                goal=goal,
                goal_of="value",
            )
        )
    for which in ("p50", "p99"):
        busy, calm = middle[f"meanwhile.{which}"], middle[f"alone.{which}"]
        rows.append(Row(f"deadline.neighbour.{which}_ms", busy, "ms", "while nothing spins", calm))
    return rows


def _cost() -> Row:
    with open_sandbox(hlwasm.Limits(deadline=60)) as limited, open_sandbox() as free:
        # Short batches: among many, some are not disturbed.
        one, other = interleaved(
            [partial(sandbox.exports.add, 2, 3) for sandbox in (limited, free)],
            count=10,
            batches=1500,
        )
    return Row("deadline.cost_us", one.value - other.value, "µs", goal=1, goal_of="value")


def measure() -> list[Row]:
    """Deadlines of guests that spin, and of a call that ends in time."""
    return [*_exactness(), _cost()]


if __name__ == "__main__":
    _child()
