"""How long steps take, one after the other."""

from __future__ import annotations

from time import perf_counter


class Stopwatch:
    """Runs from when it is made.

    Attributes:
        steps: name and seconds of each, in order.
    """

    __slots__ = ("_last", "steps")

    def __init__(self) -> None:
        self.steps: list[tuple[str, float]] = []
        self._last = perf_counter()

    def step(self, name: str) -> None:
        """Ends a step."""
        now = perf_counter()
        self.steps.append((name, now - self._last))
        self._last = now

    def split(self, parts: list[tuple[str, float]]) -> None:
        """Replaces the last step by its parts, as another clock saw them.

        What the other clock did not see is added to the first part.
        """
        whole = self.steps.pop()[1]
        name, first = parts[0]
        unseen = whole - sum(seconds for _, seconds in parts)
        self.steps += [(name, first + max(0.0, unseen)), *parts[1:]]
