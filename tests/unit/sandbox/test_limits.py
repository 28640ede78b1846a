"""Windows that follow from limits, and what is refused."""

from __future__ import annotations

import pytest

from hlwasm import LimitExceeded, Limits
from hlwasm.sandbox.limits import window_bytes
from tests.unit.sandbox.worlds import description

PAGE = 65536


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
    ],
)
def test_limits_that_make_no_sense_are_named(wrong: dict[str, int]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=name):
        Limits(**wrong)
