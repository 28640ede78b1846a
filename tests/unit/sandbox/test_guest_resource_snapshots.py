"""Guest resources in snapshots: which objects hold a handle after a restore, which are void."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from hlwasm.errors import WitValueError
from hlwasm.sandbox.resources import ResourceTable
from tests.unit.sandbox.resource_tables import (
    GUEST,
    Dropped,
    capture_object,
    lifted,
    restore_object,
    table_of,
)


def test_objects_of_the_snapshot_hold_their_handles_again(
    table: ResourceTable, dropped: Dropped
) -> None:
    kept = lifted(table, 5)
    state = table.capture(capture_object)
    table.restore(state, restore_object)
    assert table.lower_borrow(GUEST, kept) == 5
    kept.drop()
    assert dropped == [(GUEST, 5)]


def test_newer_objects_are_void(table: ResourceTable, dropped: Dropped) -> None:
    state = table.capture(capture_object)
    newer = lifted(table, 5)
    table.restore(state, restore_object)
    # The restored guest gives the same handle to something else.
    other = lifted(table, 5)
    for use in (table.lower_borrow, table.lower_own):
        with pytest.raises(WitValueError, match="cursor belongs to a state that was restored away"):
            use(GUEST, newer)
    assert repr(newer) == "<cursor restored away>"
    newer.drop()
    assert dropped == []
    assert table.lower_borrow(GUEST, other) == 5


def test_garbage_of_another_state_drops_nothing(table: ResourceTable, dropped: Dropped) -> None:
    state = table.capture(capture_object)
    newer = lifted(table, 5)
    lifted(table, 6)
    gc.collect()
    table.restore(state, restore_object)
    assert table.garbage == []
    other = lifted(table, 5)
    del newer
    gc.collect()
    # Its finaliser came late; who collects finds nothing behind the number.
    assert [table.release(number) for number in table.garbage] == [None]
    assert table.lower_borrow(GUEST, other) == 5
    assert dropped == []


def test_what_was_dropped_or_moved_since_stays_so(table: ResourceTable, dropped: Dropped) -> None:
    gone, moved, collected = (lifted(table, handle) for handle in (5, 6, 7))
    state = table.capture(capture_object)
    gone.drop()
    table.lower_own(GUEST, moved)
    del collected
    gc.collect()
    table.restore(state, restore_object)
    assert table.garbage == []
    for resource in (gone, moved):
        with pytest.raises(WitValueError, match=r"this cursor was (dropped|given away)"):
            table.lower_borrow(GUEST, resource)
        resource.drop()
    assert dropped == [(GUEST, 5)]


def test_garbage_of_the_snapshot_is_dropped_after_each_restore(table: ResourceTable) -> None:
    lifted(table, 9)
    gc.collect()
    state = table.capture(capture_object)
    for _ in range(2):
        assert [table.release(number) for number in table.garbage] == [(GUEST, 9)]
        table.garbage.clear()
        table.restore(state, restore_object)


def test_a_move_that_was_taken_back_keeps_its_place_in_the_snapshot(table: ResourceTable) -> None:
    kept = lifted(table, 5)
    state = table.capture(capture_object)
    table.take_back(GUEST, kept, table.lower_own(GUEST, kept))
    assert table.lower_borrow(GUEST, kept) == 5
    table.restore(state, restore_object)
    assert table.lower_borrow(GUEST, kept) == 5


def test_going_forward_makes_objects_valid_again(table: ResourceTable) -> None:
    before = table.capture(capture_object)
    kept = lifted(table, 5)
    after = table.capture(capture_object)
    table.restore(before, restore_object)
    with pytest.raises(WitValueError, match="restored away"):
        table.lower_borrow(GUEST, kept)
    table.restore(after, restore_object)
    assert table.lower_borrow(GUEST, kept) == 5


@pytest.mark.parametrize("through", [lambda state: state, lambda s: pickle.loads(pickle.dumps(s))])
def test_elsewhere_no_object_holds_a_handle(
    table: ResourceTable, through: Callable[[Any], Any], dropped: Dropped
) -> None:
    lifted(table, 4)
    gc.collect()
    kept = lifted(table, 5)
    state = through(table.capture(capture_object))
    clone = table_of(dropped)
    own = lifted(clone, 5)
    clone.restore(state, restore_object)
    assert clone.garbage == []
    for resource, reason in ((own, "restored away"), (kept, "another sandbox")):
        with pytest.raises(WitValueError, match=reason):
            clone.lower_borrow(GUEST, resource)
    own.drop()
    assert dropped == []
    assert table.lower_borrow(GUEST, kept) == 5
