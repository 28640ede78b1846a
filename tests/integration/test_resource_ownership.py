"""Who owns which resource, in any order of calls: a real component against a model of it."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

import hlwasm
from tests.integration.conftest import Load
from tests.integration.resources_host import Blob, Store
from tests.scale import scaled

pytestmark = [pytest.mark.hypervisor, pytest.mark.toolchain("cargo")]

NUMBERS = st.integers(-1000, 1000)
PICKS = st.lists(st.integers(0, 1 << 16), min_size=1, max_size=4)


class Ownership(RuleBasedStateMachine):
    """Counters that Python holds, and the three blobs of the host."""

    component: hlwasm.Component

    @initialize()
    def start(self) -> None:
        self.sandbox = self.component.instantiate({"store": Store()})
        self.counters = self.sandbox.exports.counters
        self.client = self.sandbox.exports.client
        # Object and count of each counter that Python holds, and those that it lost.
        self.held: list[tuple[Any, int]] = []
        self.void: list[Any] = []
        self.kept: int | None = None
        self.destroyed = (0, 0)
        self.blobs = [Blob(f"{number}", b"x" * number) for number in range(3)]
        self.closed = [0, 0, 0]
        self.kept_blob: int | None = None
        self.saved: Any = None

    def teardown(self) -> None:
        if hasattr(self, "sandbox"):
            self.sandbox.close()
            if self.kept_blob is not None:
                self.closed[self.kept_blob] += 1
            assert [blob.closed for blob in self.blobs] == self.closed

    def pick(self, numbers: list[int]) -> list[int]:
        """Different places among those that Python holds."""
        return list({number % len(self.held) for number in numbers}) if self.held else []

    def ended(self, *counts: int) -> None:
        self.destroyed = self.destroyed[0] + len(counts), self.destroyed[1] + sum(counts)

    def take(self, places: list[int]) -> list[tuple[Any, int]]:
        """Those are not held any more."""
        taken = [self.held[place] for place in places]
        self.held = [each for place, each in enumerate(self.held) if place not in places]
        return taken

    @rule(count=NUMBERS)
    def make(self, count: int) -> None:
        self.held.append((self.counters.Counter(count), count))

    @rule(numbers=PICKS, amount=NUMBERS)
    def add(self, numbers: list[int], amount: int) -> None:
        for place in self.pick(numbers):
            counter, count = self.held[place]
            assert counter.add(amount) == count + amount
            self.held[place] = counter, count + amount

    @rule(numbers=PICKS, way=st.sampled_from(["drop", "with", "forget"]))
    def drop(self, numbers: list[int], way: str) -> None:
        for counter, count in self.take(self.pick(numbers)):
            if way == "drop":
                counter.drop()
            elif way == "with":
                with counter:
                    pass
            if way != "forget":
                self.void.append(counter)
            self.ended(count)
        gc.collect(0)

    @rule(numbers=PICKS)
    def give_for_good(self, numbers: list[int]) -> None:
        for counter, count in self.take(self.pick(numbers)):
            self.counters.keep(counter)
            self.void.append(counter)
            if self.kept is not None:
                self.ended(self.kept)
            self.kept = count

    @rule()
    def get_back(self) -> None:
        counter = self.counters.release()
        assert (counter is None) == (self.kept is None)
        if self.kept is not None:
            self.held.append((counter, self.kept))
        self.kept = None

    @rule(numbers=PICKS)
    def there_and_back(self, numbers: list[int]) -> None:
        taken = self.take(self.pick(numbers))
        group = self.counters.Group.Many([counter for counter, _ in taken])
        back = self.counters.turn(group).value
        self.void += group.value
        self.held += [(counter, count) for counter, (_, count) in zip(back, taken, strict=True)]

    @rule(numbers=PICKS)
    def lend(self, numbers: list[int]) -> None:
        lent = [self.held[number % len(self.held)] for number in numbers if self.held]
        seen = self.counters.Seen.Many([counter for counter, _ in lent])
        assert self.counters.sum(seen) == sum(count for _, count in lent)

    @precondition(lambda self: self.held)
    @rule(numbers=PICKS, how=st.integers(0, 4))
    def is_refused(self, numbers: list[int], how: int) -> None:
        c = self.counters
        counters = [self.held[place][0] for place in self.pick(numbers)]
        with pytest.raises(hlwasm.ConversionError):
            if how == 0:
                c.turn(c.Group.Many([*counters, counters[0]]))
            elif how == 1:
                c.turn(c.Group.Many([*counters, *self.void[:1], "text"]))
            elif how == 2:
                c.turn_tuple((counters[0], -1))
            elif how == 3:
                counters[0].absorb(counters[0])
            else:
                c.turn(c.Group.Named(c.Named(b"bytes", counters[0])))

    @rule()
    def void_ones_are_refused(self) -> None:
        for counter in self.void[-5:]:
            with pytest.raises(hlwasm.WitValueError):
                counter.value()
            counter.drop()

    @rule(place=st.integers(0, 2), other=st.integers(0, 2))
    def use_blobs(self, place: int, other: int) -> None:
        Held, blobs = self.client.Held, self.blobs
        assert self.client.turn(Held.Many([blobs[place], blobs[other]])).value == [
            blobs[place],
            blobs[other],
        ]
        assert self.client.describe(blobs[place]) == (f"{place}", place)

    @rule(place=st.integers(0, 2))
    def give_blob(self, place: int) -> None:
        self.client.discard(self.blobs[place])
        if self.kept_blob != place:
            self.closed[place] += 1

    @rule(place=st.integers(0, 2))
    def give_blob_for_good(self, place: int) -> None:
        self.client.keep(self.blobs[place])
        if self.kept_blob not in (None, place):
            self.closed[self.kept_blob] += 1
        self.kept_blob = place

    @rule()
    def get_blob_back(self) -> None:
        place = self.kept_blob
        assert self.client.release() is (None if place is None else self.blobs[place])
        self.kept_blob = None

    @precondition(lambda self: self.kept_blob is None)
    @rule()
    def save(self) -> None:
        self.counters.destroyed()
        held = [(weakref.ref(counter), count) for counter, count in self.held]
        self.saved = (self.sandbox.snapshot(), held, self.kept, self.destroyed)

    @precondition(lambda self: self.saved is not None)
    @rule(trap=st.booleans())
    def restore(self, trap: bool) -> None:
        snapshot, held, self.kept, self.destroyed = self.saved
        if trap:
            with pytest.raises(hlwasm.Trap):
                self.sandbox.exports.misuse.use_any(77)
        self.sandbox.restore(snapshot)
        if self.kept_blob is not None:
            self.closed[self.kept_blob] += 1
            self.kept_blob = None
        # Held then, and still: as it was. Newer: void.
        then = {id(counter()): count for counter, count in held if counter() is not None}
        now = self.held
        self.held = [(each, then[id(each)]) for each, _ in now if id(each) in then]
        self.void += [each for each, _ in now if id(each) not in then]

    @invariant()
    def all_is_as_the_model_has_it(self) -> None:
        if not hasattr(self, "sandbox"):
            return
        assert self.counters.destroyed() == self.destroyed
        assert [counter.value() for counter, _ in self.held] == [count for _, count in self.held]
        assert [blob.closed for blob in self.blobs] == self.closed


def test_any_order_of_calls(load: Load) -> None:
    machine = type("Machine", (Ownership,), {"component": load("resources")})
    run_machine(
        machine,
        settings=settings(max_examples=scaled(25, 300), stateful_step_count=40, deadline=None),
    )
