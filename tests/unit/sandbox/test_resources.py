"""The table of resources: reps, borrows, moves, drops."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from hlwasm.errors import GuestDataError, WitTypeError, WitValueError
from hlwasm.sandbox.guest_resources import GuestResource
from hlwasm.sandbox.resources import ResourceTable
from tests.unit.sandbox.resource_tables import GUEST, HOST, OTHER, table_of
from tests.unit.sandbox.worlds import description, function


class Closable:
    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


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


def test_an_object_of_several_handles_is_closed_with_the_last(table: ResourceTable) -> None:
    value = Closable()
    reps = [table.lower_own(kind, value) for kind in (HOST, OTHER, HOST)]
    loan = table.lower_borrow(HOST, value)
    table.destroy_host(HOST, reps[0])
    assert table.lift_own(OTHER, reps[1]) is value
    table.put_back(OTHER, value, reps[1])
    table.destroy_host(OTHER, reps[1])
    # One that is given for a call that is not made.
    table.take_back(HOST, value, table.lower_own(HOST, value))
    assert value.closed == 0
    table.destroy_host(HOST, reps[2])
    assert value.closed == 1
    assert table.lift_borrow(HOST, loan) is value
    table.lower_own(HOST, value)
    table.lower_own(HOST, value)
    table.close()
    assert value.closed == 2


def test_what_the_host_did_not_get_is_closed_with_the_rest(table: ResourceTable) -> None:
    value = Closable()
    rep = table.lower_own(HOST, value)
    table.put_back(HOST, table.lift_own(HOST, rep), rep)
    assert table.lift_borrow(HOST, rep) is value
    table.close()
    assert value.closed == 1


def test_a_close_that_is_the_wit_s_is_not_the_end_of_an_object() -> None:
    world = description(
        types=[{"kind": "resource", "name": "file", "interface": "a:b/c", "side": "host"}],
        imports=[function(0, "[method]file.close", "a:b/c", 2, "method", 0)],
    )
    table = ResourceTable(world, lambda number: None, {})

    class File(Closable):
        left = 0

        def __exit__(self, *_: object) -> None:
            self.left += 1

    for value in (File(), Closable()):
        table.destroy_host(0, table.lower_own(0, value))
        table.lower_own(0, value)
        table.close()
        assert value.closed == 0
        assert getattr(value, "left", 2) == 2


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


def test_a_guest_resource_is_given_or_lent_in_a_call_but_not_both(table: ResourceTable) -> None:
    one, two = lifted(table, 5), lifted(table, 6)
    assert [table.lower_borrow(GUEST, one) for _ in range(2)] == [5, 5]
    with pytest.raises(WitValueError, match="this cursor is lent to the same call"):
        table.lower_own(GUEST, one)
    assert table.lower_own(GUEST, two) == 6
    for again in (table.lower_own, table.lower_borrow):
        with pytest.raises(WitValueError, match="given away by another value of the same call"):
            again(GUEST, two)
    table.take_back(GUEST, two, 6)
    assert table.lower_borrow(GUEST, two) == 6
    table.end_call()
    assert table.lower_own(GUEST, one) == 5
    table.end_call()
    with pytest.raises(WitValueError, match="this cursor was given away"):
        table.lower_own(GUEST, one)


def test_the_component_s_own_cannot_stand_for_the_host_s(table: ResourceTable) -> None:
    own = lifted(table)
    with pytest.raises(WitTypeError, match="expected a file of the host's, and this cursor is"):
        table.lower_own(HOST, own)
    elsewhere: list[tuple[int, int]] = []
    other = lifted(table_of(elsewhere))
    table.destroy_host(HOST, table.lower_own(HOST, other))
    assert elsewhere == [(GUEST, 5)]


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
