"""Host resources in snapshots: what comes back, what is closed, what is left alone."""

from __future__ import annotations

import gc
import logging
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from hlwasm.errors import GuestDataError, SnapshotError, WitTypeError
from hlwasm.sandbox.captured import Captured
from hlwasm.sandbox.resources import ResourceTable
from tests.unit.sandbox.resource_tables import (
    GUEST,
    HOST,
    OTHER,
    Counter,
    capture_object,
    counter,
    lifted,
    make_nothing,
    restore_object,
    table_of,
)


def test_an_object_comes_back_as_it_was(table: ResourceTable) -> None:
    live = Counter("a", 1)
    rep = table.lower_own(HOST, live)
    state = table.capture(capture_object)
    live.value = 2
    for _ in range(2):
        table.restore(state, restore_object)
        again = counter(table, rep)
        assert again is not live
        assert again.value == 1
        again.value = 77
    assert live.log == ["a", "a"]


def test_an_object_dropped_since_comes_back(table: ResourceTable) -> None:
    log: list[str] = []
    rep = table.lower_own(HOST, Counter("a", 5, log))
    state = table.capture(capture_object)
    table.destroy_host(HOST, rep)
    table.restore(state, restore_object)
    assert log == ["a"]
    assert counter(table, rep).value == 5


def test_what_is_newer_is_closed_newest_first_and_its_reps_mean_nothing(
    table: ResourceTable,
) -> None:
    state = table.capture(capture_object)
    log: list[str] = []
    reps = [table.lower_own(HOST, Counter(name, 0, log)) for name in "abc"]
    table.destroy_host(HOST, reps[1])
    table.restore(state, restore_object)
    assert log == ["b", "c", "a"]
    for rep in reps:
        with pytest.raises(GuestDataError, match="unknown file"):
            table.lift_borrow(HOST, rep)
    table.close()
    assert log == ["b", "c", "a"]


def test_new_resources_get_the_same_numbers_after_each_restore(table: ResourceTable) -> None:
    table.lower_own(HOST, Counter("old"))
    state = table.capture(capture_object)
    first = [table.lower_own(kind, Counter("new")) for kind in (HOST, OTHER, HOST)]
    table.restore(state, restore_object)
    assert [table.lower_own(kind, Counter("new")) for kind in (HOST, OTHER, HOST)] == first


def test_numbers_go_back_where_nothing_is_held(table: ResourceTable) -> None:
    state = table.capture(capture_object)
    first = table.lower_own(HOST, Counter("a"))
    table.lift_own(HOST, first)
    table.restore(state, make_nothing)
    assert table.lower_own(HOST, Counter("b")) == first


def test_what_was_lent_for_an_abandoned_call_is_taken_back_and_not_closed(
    table: ResourceTable,
) -> None:
    state = table.capture(capture_object)
    log: list[str] = []
    rep = table.lower_borrow(HOST, Counter("lent", 0, log))
    table.restore(state, restore_object)
    with pytest.raises(GuestDataError):
        table.lift_borrow(HOST, rep)
    assert not table.has_lent()
    assert log == []


def test_two_sandboxes_get_objects_of_their_own(table: ResourceTable) -> None:
    rep = table.lower_own(HOST, Counter("a", 1))
    state = table.capture(capture_object)
    clones = [table_of([]), table_of([])]
    for clone in clones:
        clone.restore(state, restore_object)
    counter(clones[0], rep).value = 9
    assert counter(clones[1], rep).value == 1
    assert counter(table, rep).value == 1


def test_an_object_under_two_numbers_stays_one(table: ResourceTable) -> None:
    shared = Counter("shared")
    first, second = table.lower_own(HOST, shared), table.lower_own(HOST, shared)
    state = table.capture(capture_object)
    assert len(state.tokens) == 1
    table.restore(state, restore_object)
    assert counter(table, first) is counter(table, second)
    assert counter(table, first) is not shared


def test_the_same_object_answered_again_is_not_closed(table: ResourceTable) -> None:
    log: list[str] = []
    only = Counter("only", 0, log)
    rep = table.lower_own(HOST, only)
    state = table.capture(lambda _: Captured("only"))
    extra = table.lower_own(HOST, only)
    table.restore(state, lambda _: only)
    assert counter(table, rep) is only
    with pytest.raises(GuestDataError):
        table.lift_borrow(HOST, extra)
    assert log == []


def test_what_nobody_can_make_again_is_refused_by_name(table: ResourceTable) -> None:
    class Socket: ...

    rep = table.lower_own(OTHER, Socket())
    with pytest.raises(SnapshotError, match=rf"a:b/c#socket {rep}, a .*Socket.*__hlwasm_capture__"):
        table.capture(capture_object)
    table.destroy_host(OTHER, rep)
    table.capture(capture_object)


def test_a_maker_that_fails_leaves_the_table_as_it_is(table: ResourceTable) -> None:
    log: list[str] = []
    rep = table.lower_own(HOST, Counter("a", 1, log))
    table.lower_own(HOST, Counter("b", 2, log))
    state = table.capture(capture_object)
    counter(table, rep).value = 3

    def fail_at_b(token: Any) -> Counter:
        if token[0] == "b":
            raise OSError("the file is gone")
        return restore_object(token)

    with pytest.raises(OSError, match="the file is gone"):
        table.restore(state, fail_at_b)
    assert counter(table, rep).value == 3
    assert log == ["a"]  # the new one, which nobody would have closed
    table.restore(state, restore_object)
    assert counter(table, rep).value == 1


def test_a_maker_that_fails_closes_nothing_of_the_table(table: ResourceTable) -> None:
    log: list[str] = []
    only = Counter("only", 0, log)
    rep = table.lower_own(HOST, only)
    table.lower_own(HOST, Counter("other", 0, log))
    state = table.capture(lambda value: Captured(value.name))

    def only_or_fail(name: str) -> Counter:
        if name != "only":
            raise OSError("the file is gone")
        return only

    with pytest.raises(OSError, match="the file is gone"):
        table.restore(state, only_or_fail)
    assert counter(table, rep) is only
    assert log == []


def test_what_is_made_must_fit_as_what_host_functions_give(table: ResourceTable) -> None:
    log: list[str] = []
    asked: list[object] = []
    rep = table.lower_own(HOST, Counter("a", 1, log))
    table.lower_own(OTHER, Counter("b", 2, log))
    state = table.capture(capture_object)

    def fits(type_index: int, value: object) -> bool:
        asked.append(type(value))
        if type_index == OTHER and not isinstance(value, Counter):
            raise WitTypeError("expected a socket")
        return True

    class Wrong:
        def close(self) -> None:
            log.append("wrong")

    table.fits = fits
    with pytest.raises(SnapshotError, match="made again as: expected a socket"):
        table.restore(state, lambda token: Wrong() if token[0] == "b" else restore_object(token))
    assert counter(table, rep).value == 1
    assert log == ["wrong", "a"]  # what was made
    asked.clear()
    for _ in range(3):
        table.restore(state, restore_object)
    # As the first that was put in: all objects of the class fit.
    assert asked == []


class Stubborn(Counter):
    def close(self) -> None:
        super().close()
        raise OSError(f"{self.name} does not close")


@pytest.mark.parametrize("end", ["restore", "close"])
def test_all_are_closed_though_some_fail(
    table: ResourceTable, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    state = table.capture(capture_object)
    log: list[str] = []
    for kind, name in ((Counter, "a"), (Stubborn, "b"), (Stubborn, "c"), (Counter, "d")):
        table.lower_own(HOST, kind(name, 0, log))
    with caplog.at_level(logging.WARNING), pytest.raises(OSError, match="c does not close"):
        table.close() if end == "close" else table.restore(state, restore_object)
    assert log == ["d", "c", "b", "a"]
    assert "b does not close" in caplog.text
    table.restore(state, make_nothing)
    assert len(log) == 4


def test_a_table_knows_where_it_is(table: ResourceTable) -> None:
    table.lower_own(HOST, Counter("fixed"))
    lifted(table, 3)
    gc.collect()
    for number in table.garbage:
        table.release(number)
    table.garbage.clear()
    state = table.capture(lambda _: Captured("fixed", fixed=True))
    assert table.is_at(state)
    clone = table_of([])
    assert not clone.is_at(state)
    clone.restore(state, Counter)
    assert clone.is_at(state)


def touch_and_undo(table: ResourceTable) -> None:
    table.lift_own(HOST, table.lower_own(HOST, Counter("brief")))


def lend(table: ResourceTable) -> None:
    table.lower_borrow(HOST, Counter("lent"))
    table.end_call()


def leave_garbage(table: ResourceTable) -> None:
    lifted(table, 4)
    gc.collect()


@pytest.mark.parametrize(
    "change",
    [
        touch_and_undo,
        lend,
        leave_garbage,
        lambda table: table.lower_own(HOST, Counter("new")),
        lambda table: table.destroy_host(HOST, 1),
        lambda table: table.lift_own(HOST, 1),
        lambda table: table.lift_own(GUEST, 5),
        lambda table: table.capture(lambda _: Captured("another", fixed=True)),
    ],
)
def test_whatever_changes_a_table_moves_it_away(
    table: ResourceTable, change: Callable[[ResourceTable], object]
) -> None:
    rep = table.lower_own(HOST, Counter("fixed"))
    state = table.capture(lambda _: Captured("fixed", fixed=True))
    result = change(table)
    assert not table.is_at(state)
    table.restore(state, Counter)
    assert counter(table, rep).name == "fixed"
    assert table.is_at(state)
    del result


def test_moving_a_guest_resource_moves_the_table_away(table: ResourceTable) -> None:
    kept = lifted(table, 5)
    state = table.capture(lambda _: None)
    table.lower_own(GUEST, kept)
    assert not table.is_at(state)


def test_an_object_with_state_is_never_taken_for_unchanged(table: ResourceTable) -> None:
    table.lower_own(HOST, Counter("a"))
    state = table.capture(capture_object)
    assert not table.is_at(state)
    table.restore(state, restore_object)
    assert not table.is_at(state)


def test_another_snapshot_is_another_state(table: ResourceTable) -> None:
    empty = table.capture(capture_object)
    rep = table.lower_own(HOST, Counter("a", 1))
    full = table.capture(capture_object)
    for _ in range(2):
        table.restore(empty, restore_object)
        with pytest.raises(GuestDataError):
            table.lift_borrow(HOST, rep)
        table.restore(full, restore_object)
        assert counter(table, rep).value == 1


def test_a_state_goes_through_pickle(table: ResourceTable) -> None:
    rep = table.lower_own(HOST, Counter("a", 3))
    state = table.capture(lambda value: Captured(partial(Counter, value.name, value.value)))
    clone = table_of([])
    clone.restore(pickle.loads(pickle.dumps(state)), lambda make: make())
    assert counter(clone, rep).value == 3
    assert clone.lower_own(HOST, Counter("b")) == rep + 1
