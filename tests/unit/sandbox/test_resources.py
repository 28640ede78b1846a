"""The table of resources: reps, borrows, moves, drops."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from hlwasm.errors import GuestDataError, WitTypeError, WitValueError
from hlwasm.sandbox.guest_resources import GuestResource
from hlwasm.sandbox.resources import ResourceTable
from tests.unit.sandbox.worlds import description

HOST, GUEST, OTHER = 0, 1, 2
WORLD = description(
    types=[
        {"kind": "resource", "name": "file", "interface": "a:b/c", "side": "host"},
        {"kind": "resource", "name": "cursor", "interface": "a:b/d", "side": "guest"},
        {"kind": "resource", "name": "socket", "interface": "a:b/c", "side": "host"},
    ]
)


class Closable:
    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def table_of(dropped: list[tuple[int, int]]) -> ResourceTable:
    """A table that drops as the call loop does, into a list."""

    def drop(number: int) -> None:
        held = made.release(number)
        if held is not None:
            dropped.append(held)

    made = ResourceTable(WORLD, drop, {})
    return made


@pytest.fixture
def dropped() -> list[tuple[int, int]]:
    return []


@pytest.fixture
def table(dropped: list[tuple[int, int]]) -> ResourceTable:
    return table_of(dropped)


def test_an_own_comes_back_once(table: ResourceTable) -> None:
    value = Closable()
    rep = table.lower_own(HOST, value)
    assert table.lift_borrow(HOST, rep) is value
    assert table.lift_own(HOST, rep) is value
    with pytest.raises(GuestDataError, match=f"unknown file: {rep}"):
        table.lift_own(HOST, rep)
    assert value.closed == 0


def test_a_rep_of_another_type_is_unknown(table: ResourceTable) -> None:
    rep = table.lower_own(HOST, Closable())
    with pytest.raises(GuestDataError, match="unknown socket"):
        table.lift_borrow(OTHER, rep)


@pytest.mark.parametrize("rep", [0, 7, 2**32 - 1])
def test_a_made_up_rep_is_unknown(table: ResourceTable, rep: int) -> None:
    for use in (table.lift_own, table.lift_borrow, table.destroy_host):
        with pytest.raises(GuestDataError):
            use(HOST, rep)


def test_dropping_closes_once(table: ResourceTable) -> None:
    value = Closable()
    rep = table.lower_own(HOST, value)
    table.destroy_host(HOST, rep)
    table.close()
    assert value.closed == 1


def test_closing_the_table_closes_what_is_left(table: ResourceTable) -> None:
    values = [Closable(), Closable()]
    for value in values:
        table.lower_own(HOST, value)
    table.lower_own(HOST, object())  # nothing to close
    table.close()
    assert [value.closed for value in values] == [1, 1]


def test_a_borrow_ends_with_the_call(table: ResourceTable) -> None:
    value = Closable()
    rep = table.lower_borrow(HOST, value)
    assert table.lift_borrow(HOST, rep) is value
    table.end_call()
    with pytest.raises(GuestDataError):
        table.lift_borrow(HOST, rep)
    assert value.closed == 0


def test_what_is_lent_stays_the_host_s(table: ResourceTable) -> None:
    value = Closable()
    rep = table.lower_borrow(HOST, value)
    for take in (table.lift_own, table.destroy_host):
        with pytest.raises(GuestDataError, match=f"unknown file: {rep}"):
            take(HOST, rep)
    assert table.lift_borrow(HOST, rep) is value
    # The call that it was lent for did not come to its end.
    table.close()
    assert value.closed == 0


def lifted(table: ResourceTable, handle: int = 5) -> GuestResource:
    resource: Any = table.lift_own(GUEST, handle)
    assert isinstance(resource, GuestResource)
    return resource


def test_a_guest_resource_is_dropped_once(
    table: ResourceTable, dropped: list[tuple[int, int]]
) -> None:
    with lifted(table) as resource:
        assert table.lower_borrow(GUEST, resource) == 5
    resource.drop()
    assert dropped == [(GUEST, 5)]
    with pytest.raises(WitValueError, match="this cursor was dropped"):
        table.lower_borrow(GUEST, resource)


def test_a_moved_guest_resource_is_gone(
    table: ResourceTable, dropped: list[tuple[int, int]]
) -> None:
    resource = lifted(table)
    assert table.lower_own(GUEST, resource) == 5
    with pytest.raises(WitValueError, match="given away"):
        table.lower_own(GUEST, resource)
    resource.drop()
    assert dropped == []


def test_garbage_is_dropped_later(table: ResourceTable, dropped: list[tuple[int, int]]) -> None:
    lifted(table, 9)
    gc.collect()
    assert [table.release(number) for number in table.garbage] == [(GUEST, 9)]
    assert dropped == []


def test_wrong_objects_are_refused(table: ResourceTable) -> None:
    with pytest.raises(WitTypeError, match="expected a cursor"):
        table.lower_own(GUEST, object())
    elsewhere = table_of([])
    with pytest.raises(WitValueError, match="another sandbox"):
        table.lower_borrow(GUEST, lifted(elsewhere))


def test_resources_have_no_public_constructor() -> None:
    with pytest.raises(TypeError, match="no constructor"):
        GuestResource()
