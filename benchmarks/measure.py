"""Timing by interleaved batches, and the rows of the table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal


@dataclass(frozen=True)
class Times:
    """Several measurements of one thing.

    Attributes:
        value: the lower quartile. Noise of the machine only adds time, so the lower part of
            the distribution is what repeats; the minimum would be an accident.
        spread: the interquartile range ÷ value.
    """

    value: float
    spread: float

    @classmethod
    def of(cls, found: Sequence[float]) -> Times:
        low, _, high = statistics.quantiles(found, n=4, method="inclusive")
        return cls(low, (high - low) / low if low > 0 else 0.0)

    def minus(self, part: Times) -> Times:
        """What is left without a part that was measured, too: true, and noisy."""
        return Times(self.value - part.value, self.spread)


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        name: stable name, such as ``call.add``.
        value: what was measured, in ``unit``.
        unit: ``µs`` unless it says otherwise.
        baseline: what it is compared to, in words; empty where nothing is.
        baseline_value: the baseline's value, in the same unit.
        goal: what the project asks for, None where it asks for nothing.
        spread: of the value; see :class:`Times`. None where the value is a difference.
        goal_of: what the goal bounds, the ratio or the value.
        better: which way is better; the goal is the largest or the smallest accordingly.
    """

    name: str
    value: float
    unit: str = "µs"
    baseline: str = ""
    baseline_value: float | None = None
    goal: float | None = None
    spread: float | None = None
    goal_of: Literal["ratio", "value"] = "ratio"
    better: Literal["smaller", "larger"] = "smaller"

    @classmethod
    def of(
        cls,
        name: str,
        times: Times,
        baseline: str = "",
        other: Times | None = None,
        goal: float | None = None,
        *,
        goal_of: Literal["ratio", "value"] = "ratio",
    ) -> Row:
        """A row in microseconds of a measurement and what it is compared to."""
        baseline_value = None if other is None else other.value
        value, spread = times.value, times.spread
        return cls(name, value, "µs", baseline, baseline_value, goal, spread, goal_of)

    @property
    def ratio(self) -> float | None:
        """value ÷ baseline_value."""
        if self.baseline_value is None or self.baseline_value <= 0:
            return None
        return self.value / self.baseline_value

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached, None where there is none."""
        reached = self.ratio if self.goal_of == "ratio" else self.value
        if self.goal is None or reached is None:
            return None
        return reached <= self.goal if self.better == "smaller" else reached >= self.goal

    def as_json(self) -> dict[str, object]:
        """The fields, the ratio, and whether the goal is met."""
        return {**asdict(self), "ratio": self.ratio, "met": self.met}


def batch_time(call: Callable[[], object], count: int) -> float:
    """Microseconds per call, over one batch."""
    repeat = range(count)
    started = time.perf_counter_ns()
    for _ in repeat:
        call()
    return (time.perf_counter_ns() - started) / count / 1e3


def interleaved(
    calls: Sequence[Callable[[], object]], *, count: int, batches: int, warm_up: int = 2
) -> tuple[Times, ...]:
    """Microseconds per call of each of ``calls``.

    Batches take turns, so that all of them meet the same noise of the machine.

    Args:
        count: calls per batch.
        batches: batches of each.
        warm_up: calls of each that are not measured; the second one generates code.
    """
    for call in calls:
        for _ in range(warm_up):
            call()
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(batches):
        for call, found in zip(calls, times, strict=True):
            found.append(batch_time(call, count))
    return tuple(Times.of(found) for found in times)


def in_turns(
    steps: Sequence[Callable[[], float]], rounds: int, warm_up: int = 2
) -> tuple[Times, ...]:
    """Times of steps that take their own time, because each needs preparations.

    Args:
        steps: each returns microseconds, or another number that noise only makes larger.
        rounds: of each; they take turns, as batches do in :func:`interleaved`.
        warm_up: rounds that are not measured.
    """
    found: list[list[float]] = [[] for _ in steps]
    for number in range(warm_up + rounds):
        for step, times in zip(steps, found, strict=True):
            took = step()
            if number >= warm_up:
                times.append(took)
    return tuple(Times.of(times) for times in found)
