"""Steps add up to the time that passed."""

from __future__ import annotations

import time

import pytest

from hlwasm.stopwatch import Stopwatch


def test_steps_follow_each_other() -> None:
    began = time.perf_counter()
    watch = Stopwatch()
    time.sleep(0.002)
    watch.step("one")
    watch.step("two")
    passed = time.perf_counter() - began
    (one, first), (two, second) = watch.steps
    assert (one, two) == ("one", "two")
    assert 0.002 <= first <= first + second <= passed


def test_what_a_part_did_not_see_goes_to_the_first() -> None:
    watch = Stopwatch()
    time.sleep(0.002)
    watch.step("whole")
    whole = watch.steps[0][1]
    watch.split([("a", 0.0001), ("b", 0.0005)])
    assert [name for name, _ in watch.steps] == ["a", "b"]
    assert watch.steps[1][1] == 0.0005
    assert sum(seconds for _, seconds in watch.steps) == pytest.approx(whole)


def test_parts_may_be_longer_by_their_own_clock() -> None:
    watch = Stopwatch()
    watch.step("whole")
    watch.split([("a", 1.0), ("b", 2.0)])
    assert watch.steps == [("a", 1.0), ("b", 2.0)]
