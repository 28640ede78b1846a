"""What limits of a call cost while they are not reached: fuel, and CPU time.

Of a deadline see ``deadlines``.
"""

from __future__ import annotations

import statistics
import time
from contextlib import suppress
from functools import partial

import hlwasm
from benchmarks.measure import Row, interleaved
from benchmarks.peers import BENCH, Host, open_sandbox

# Batches of calls that are short: among many, some are not disturbed.
SHORT = {"count": 10, "batches": 1000}
# Seconds of CPU time that a guest spins for, and how often.
CPU_TIME = 0.05
SPINS = 20


def _fuel() -> list[Row]:
    counting = hlwasm.load(BENCH, fuel=True)
    rows = []
    with (
        counting.instantiate({"host": Host}, limits=hlwasm.Limits(fuel=1 << 60)) as counted,
        open_sandbox() as plain,
    ):
        for name, rounds in (("sieve", 10), ("matmul", 20)):
            fuel, without = interleaved(
                [partial(sandbox.exports[name], rounds) for sandbox in (counted, plain)],
                count=1,
                batches=15,
            )
            rows.append(Row.of(f"fuel.{name}", fuel, "without fuel", without))
        fuel, without = interleaved(
            [partial(sandbox.exports.add, 2, 3) for sandbox in (counted, plain)], **SHORT
        )
        rows.append(Row.of("fuel.call.add", fuel, "without fuel", without))
    return rows


def _cpu_time_cost() -> Row:
    with open_sandbox(hlwasm.Limits(cpu_time=60)) as limited, open_sandbox() as free:
        one, other = interleaved(
            [partial(sandbox.exports.add, 2, 3) for sandbox in (limited, free)], **SHORT
        )
    return Row("cpu_time.cost_us", one.value - other.value)


def _cpu_time_exactness() -> Row:
    """Of a guest that spins, with a CPU to itself: CPU time of its thread beyond the limit."""
    late = []
    with open_sandbox(hlwasm.Limits(cpu_time=CPU_TIME)) as sandbox:
        snapshot = sandbox.snapshot()
        for _ in range(SPINS):
            started = time.thread_time()
            with suppress(hlwasm.CpuTimeExceeded):
                sandbox.exports.spin()
            late.append((time.thread_time() - started - CPU_TIME) * 1e3)
            sandbox.restore(snapshot)
    return Row("cpu_time.p50_ms", statistics.median(late), "ms")


def measure() -> list[Row]:
    """Code and calls that count fuel, and calls with a limit of CPU time."""
    return [*_fuel(), _cpu_time_cost(), _cpu_time_exactness()]
