"""Tables of resources for tests, and objects to be held in them."""

from __future__ import annotations

from typing import Any

from hlwasm.sandbox.captured import Captured
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
# Kind and handle of each guest resource that was dropped.
Dropped = list[tuple[int, int]]


def table_of(dropped: Dropped) -> ResourceTable:
    """A table that drops as the call loop does, into a list."""

    def drop(number: int) -> None:
        held = made.release(number)
        if held is not None:
            dropped.append(held)

    made = ResourceTable(WORLD, drop, {})
    return made


class Counter:
    """A host object with state of its own; ``log`` tells who was closed."""

    def __init__(self, name: str, value: int = 0, log: list[str] | None = None) -> None:
        self.name = name
        self.value = value
        self.log: list[str] = [] if log is None else log

    def close(self) -> None:
        self.log.append(self.name)


def capture_object(value: Any) -> Captured | None:
    if isinstance(value, Counter):
        return Captured((value.name, value.value, value.log))
    return None


def restore_object(token: tuple[str, int, list[str]]) -> Counter:
    return Counter(*token)


def make_nothing(token: Any) -> Any:
    raise AssertionError(f"{token!r} is made, and nothing was to be done")


def counter(table: ResourceTable, rep: int) -> Counter:
    found = table.lift_borrow(HOST, rep)
    assert isinstance(found, Counter)
    return found


def lifted(table: ResourceTable, handle: int) -> GuestResource:
    resource = table.lift_own(GUEST, handle)
    assert isinstance(resource, GuestResource)
    return resource
