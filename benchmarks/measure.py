"""Timing by interleaved batches, and the rows of the table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        name: stable name, such as ``call.add``.
        value: what was measured, in ``unit``.
        unit: ``µs``, ``KiB`` or ``1``.
        baseline: what it is compared to, in words; empty where nothing is.
        baseline_value: the baseline's value, in the same unit.
        ratio: value ÷ baseline_value; smaller is better.
        goal: largest ratio that the project asks for, None where it asks for none.
    """

    name: str
    value: float
    unit: str
    baseline: str = ""
    baseline_value: float | None = None
    goal: float | None = None

    @property
    def ratio(self) -> float | None:
        if self.baseline_value is None or self.baseline_value <= 0:
            return None
        return self.value / self.baseline_value

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "ratio": self.ratio}


def batch_time(call: Callable[[], object], count: int) -> float:
    """Microseconds per call, over one batch."""
    repeat = range(count)
    started = time.perf_counter_ns()
    for _ in repeat:
        call()
    return (time.perf_counter_ns() - started) / count / 1e3


def interleaved(
    calls: Sequence[Callable[[], object]], *, count: int, batches: int
) -> tuple[float, ...]:
    """Median microseconds per call of each of ``calls``.

    Batches take turns, so that all of them meet the same noise of the machine.
    """
    for call in calls:
        batch_time(call, max(1, count // 10))
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(batches):
        for call, found in zip(calls, times, strict=True):
            found.append(batch_time(call, count))
    return tuple(statistics.median(found) for found in times)
