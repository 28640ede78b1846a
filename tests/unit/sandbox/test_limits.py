"""Windows that follow from limits, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest

import hlwasm
from hlwasm import LimitExceeded, Limits, MemoryLimitExceeded, TableLimitExceeded, errors
from hlwasm.native.reports import LIMIT_NAMES
from hlwasm.sandbox.limits import guest_limit, total_memory_bytes, window_bytes
from tests.unit.sandbox.worlds import description

PAGE = 65536
COUNTS = ("total_memory", "fuel", "host_calls", "host_call_bytes", "output", "captured_output")


def memories(*plans: tuple[int, int | None]) -> list[dict[str, int | None]]:
    return [{"minimum_pages": low, "maximum_pages": high} for low, high in plans]


def test_each_memory_gets_what_its_limit_or_its_maximum_allows() -> None:
    world = description(memories=memories((1, None), (2, 3), (0, 10_000)))
    limits = Limits(memory=100 * PAGE, gc_heap=2 * PAGE)
    assert list(window_bytes(world, limits)) == [
        PAGE, PAGE, 100 * PAGE, 3 * PAGE, 100 * PAGE, 2 * PAGE,
    ]  # fmt: skip
    assert len(window_bytes(world, Limits(gc_heap=0))) == 5


def test_a_memory_that_starts_too_large_is_refused() -> None:
    world = description(memories=memories((11, None)))
    with pytest.raises(LimitExceeded, match=r"Limits\(memory=…\) to at least 720896") as caught:
        window_bytes(world, Limits(memory=10 * PAGE))
    assert (caught.value.limit, caught.value.value) == ("memory", 10 * PAGE)


def test_too_many_memories_are_refused() -> None:
    world = description(memories=memories(*[(0, None)] * 3))
    with pytest.raises(LimitExceeded, match="3 linear memories, and the limit is 2") as caught:
        window_bytes(world, Limits(memories=2))
    assert caught.value.limit == "memories"
    assert len(window_bytes(world, Limits(memories=3, gc_heap=0))) == 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"memory": 1},
        {"memory": 1 << 40},
        {"memories": -1},
        {"memories": 62},
        {"table_elements": -1},
        {"gc_heap": -1},
        {"runtime_memory": 1 << 20},
        {"runtime_memory": (64 << 20) + 1},
        *[
            {name: value}
            for name in COUNTS
            for value in (-1, 1.5, "7", True, 1 << 63, float("inf"))
        ],
        *[
            {name: value}
            for name in ("deadline", "cpu_time")
            for value in (0, -1.0, float("nan"), float("inf"), "1", True)
        ],
    ],
)
def test_limits_that_make_no_sense_are_named(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"^{name}: "):
        Limits(**wrong)


def test_all_that_is_counted_may_be_nothing_or_unlimited() -> None:
    for value in (0, 1, (1 << 63) - 1, None):
        limits = Limits(**dict.fromkeys(COUNTS, value))
        assert {getattr(limits, name) for name in COUNTS} == {value}
    assert Limits(deadline=1, cpu_time=0.001).deadline == 1


def test_defaults_bound_what_piles_up_and_nothing_else() -> None:
    limits = Limits()
    unlimited = {name for name, value in limits.as_dict().items() if value is None}
    assert unlimited == {
        "total_memory", "deadline", "cpu_time", "fuel", "host_calls", "host_call_bytes", "output",
    }  # fmt: skip
    assert total_memory_bytes(limits) == 1 << 30


def test_the_total_follows_a_memory_that_is_larger() -> None:
    assert total_memory_bytes(Limits(memory=3 << 30)) == 3 << 30
    assert total_memory_bytes(Limits(memory=3 << 30, total_memory=5)) == 5


def test_no_window_is_larger_than_the_total() -> None:
    world = description(memories=memories((1, None), (0, 3)))
    limits = Limits(memory=100 * PAGE, total_memory=10 * PAGE + 1, gc_heap=0)
    assert list(window_bytes(world, limits)) == [PAGE, PAGE, 10 * PAGE, 3 * PAGE]


def test_memories_that_start_larger_than_the_total_are_refused() -> None:
    world = description(memories=memories((2, None), (3, 3)))
    with pytest.raises(MemoryLimitExceeded, match=r"Limits\(total_memory=…\) to at least 327680"):
        window_bytes(world, Limits(total_memory=5 * PAGE - 1))
    assert window_bytes(world, Limits(total_memory=5 * PAGE))


@pytest.mark.parametrize("name", sorted(set(LIMIT_NAMES.values())))
def test_each_limit_that_the_guest_reports_has_its_exception(name: str) -> None:
    error = guest_limit("words of the guest", name, Limits())
    kind = TableLimitExceeded if name == "table_elements" else MemoryLimitExceeded
    assert type(error) is kind
    assert (error.limit, error.value) == (name, getattr(Limits(), name))
    assert f"words of the guest: raise Limits({name}=…)" in str(error)


def test_a_limit_that_the_guest_made_up() -> None:
    error = guest_limit("words", "", Limits())
    assert type(error) is LimitExceeded
    assert (error.limit, error.value) == ("", None)


def test_every_limit_has_one_exception() -> None:
    kinds = [each for each in vars(errors).values() if isinstance(each, type)]
    subclasses = {each for each in kinds if issubclass(each, LimitExceeded)} - {LimitExceeded}
    named = re.findall(r"(\w+(?:Exceeded|Exhausted))", Limits.__doc__ or "")
    assert {each.__name__ for each in subclasses} == set(named) - {"LimitExceeded"}
    assert {each.__name__ for each in subclasses} <= set(hlwasm.__all__)
