"""Handles in maps: owned and lent, the host's and the component's, both ways."""

from __future__ import annotations

import gc
from typing import Any

import pytest

import hlwasm
from tests.integration.conftest import Start
from tests.integration.maps_of_handles import GUEST, HOST

pytestmark = pytest.mark.hypervisor


class Kept:
    def __init__(self, size: int) -> None:
        self.length = size
        self.closed = 0

    def size(self) -> int:
        return self.length

    def close(self) -> None:
        self.closed += 1


class Store:
    Blob = Kept

    def __init__(self) -> None:
        self.held: list[tuple[str, Kept]] = []
        self.answer: Any = None

    def swap(self, held: list[tuple[str, Kept]]) -> Any:
        self.held = held
        return held[::-1] if self.answer is None else self.answer

    def total(self, seen: list[tuple[int, Kept]]) -> int:
        return sum(key * blob.size() for key, blob in seen)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def host(start: Start, store: Store) -> Any:
    return start(HOST.encode(), {"test:maps/store": store}).exports


@pytest.fixture
def boxes(start: Start) -> Any:
    return start(GUEST.encode()).exports.boxes


def test_resources_of_the_host_go_in_and_out(host: Any, store: Store) -> None:
    for _ in range(3):
        pairs = [(f"key {size}", Kept(size)) for size in range(4)]
        assert host.relay(pairs) == pairs[::-1]
        assert store.held == pairs
        # They came back: the component has none of them.
        assert [blob.closed for _, blob in pairs] == [0] * 4
    assert host.relay([]) == []
    # A mapping's items are pairs, in Python as in memory.
    blob = Kept(1)
    assert host.relay([*{"one": blob}.items()]) == [("one", blob)]


def test_resources_of_the_host_are_lent(host: Any) -> None:
    blob = Kept(5)
    pairs = [("a", Kept(1)), ("b", blob), ("again", blob)]
    assert host.sizes(pairs) == 11
    assert host.sizes(pairs) == 11
    assert host.sizes([]) == 0
    assert blob.closed == 0


def test_the_component_lends_them_on_and_drops_them(host: Any) -> None:
    pairs = [(key, Kept(10 * key)) for key in (1, 2, 3)]
    assert host.lend(pairs) == 10 + 40 + 90
    assert [blob.closed for _, blob in pairs] == [1, 1, 1]


def test_a_value_that_is_no_resource_is_refused_by_its_place(host: Any, store: Store) -> None:
    given = Kept(1)
    with pytest.raises(hlwasm.WitTypeError, match=r"held\[1\]"):
        host.relay([("a", given), ("b", 5)])
    with pytest.raises(hlwasm.WitTypeError, match=r"seen\[0\]"):
        host.sizes([("a", None)])
    assert store.held == []
    # Nothing was given away.
    assert host.relay([("a", given)]) == [("a", given)]
    assert given.closed == 0


def test_a_host_function_that_answers_something_else_ends_the_call(host: Any, store: Store) -> None:
    store.answer = [("a", "no blob")]
    with pytest.raises(hlwasm.WitTypeError, match="swap"):
        host.relay([("a", Kept(1))])
    with pytest.raises(hlwasm.SandboxPoisoned):
        host.relay([])


def test_resources_of_the_component_go_in_and_out(boxes: Any) -> None:
    given = [(f"key {value}", boxes.Box(value)) for value in (1, 2, 3)]
    assert boxes.sum(given) == 6
    returned = boxes.turn(given)
    assert [key for key, _ in returned] == ["key 1", "key 2", "key 3"]
    # They were given away, and came back as others.
    with pytest.raises(hlwasm.WitValueError):
        boxes.sum(given)
    assert boxes.sum(returned) == 6
    returned[0][1].drop()
    assert boxes.dropped() == 1
    with returned[1][1]:
        pass
    assert boxes.dropped() == 3
    del returned
    gc.collect()
    assert boxes.dropped() == 6
    assert boxes.turn([]) == []


def test_what_is_given_twice_in_a_map_is_refused(boxes: Any) -> None:
    box = boxes.Box(7)
    with pytest.raises(hlwasm.WitValueError):
        boxes.turn([("a", box), ("b", box)])
    # Lending it twice does no harm; nor was it given by the call that was refused.
    assert boxes.sum([("a", box), ("b", box)]) == 14
    [(_, returned)] = boxes.turn([("a", box)])
    assert boxes.sum([("a", returned)]) == 7


def test_a_restore_takes_back_what_came_in_a_map(start: Start) -> None:
    sandbox = start(GUEST.encode())
    boxes = sandbox.exports.boxes
    [(_, kept)] = boxes.turn([("a", boxes.Box(4))])
    clean = sandbox.snapshot()
    [(_, newer)] = boxes.turn([("a", boxes.Box(5))])
    assert boxes.sum([("a", kept), ("b", newer)]) == 9
    sandbox.restore(clean)
    assert boxes.sum([("a", kept)]) == 4
    with pytest.raises(hlwasm.WitValueError):
        boxes.sum([("a", newer)])
