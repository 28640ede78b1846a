"""Resources of the component's own: a destructor is what Python makes of it, ``__del__``."""

from __future__ import annotations

from typing import ClassVar

from componentize_py_types import Err, Ok, Result
from wit_world import exports
from wit_world.exports.counters import (
    Group,
    Seen,
    Seen_Many,
    Seen_Named,
    Seen_One,
)


class State:
    kept: Counter | None = None
    destroyed: ClassVar[list[int]] = [0, 0]


class Counter(exports.counters.Counter):
    def __init__(self, start: int) -> None:
        self.count = start

    def __del__(self) -> None:
        State.destroyed[0] += 1
        State.destroyed[1] += self.count

    def value(self) -> int:
        return self.count

    def add(self, amount: int) -> int:
        self.count += amount
        return self.count

    def above(self, other: Counter) -> bool:
        return self.count > other.count

    def absorb(self, other: Counter) -> None:
        self.count += other.count

    def halve(self) -> Counter:
        half = int(self.count / 2)
        self.count -= half
        return Counter(half)

    @classmethod
    def checked(cls, start: int) -> Counter:
        if start < 0:
            raise Err(f"negative: {start}")
        return Counter(start)


class Counters(exports.Counters):
    def turn(self, group: Group) -> Group:
        return group

    def turn_option(self, counter: Counter | None) -> Counter | None:
        return counter

    def turn_result(self, counter: Result[Counter, str]) -> Counter:
        if isinstance(counter, Ok):
            return counter.value
        raise counter

    def turn_tuple(self, pair: tuple[Counter, int]) -> tuple[Counter, int]:
        return pair

    def sum(self, seen: Seen) -> int:
        if isinstance(seen, Seen_One):
            return seen.value.count
        if isinstance(seen, Seen_Many):
            return sum(counter.count for counter in seen.value)
        return seen.value.counter.count if isinstance(seen, Seen_Named) else 0

    def sum_option(self, counter: Counter | None, pair: tuple[Counter, int]) -> int:
        return (counter.count if counter else 0) + pair[0].count * pair[1]

    def keep(self, counter: Counter) -> None:
        State.kept = counter

    def release(self) -> Counter | None:
        released, State.kept = State.kept, None
        return released

    def destroyed(self) -> tuple[int, int]:
        return State.destroyed[0], State.destroyed[1]
