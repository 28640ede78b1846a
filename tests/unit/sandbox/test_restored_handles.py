"""Objects that hold guest resources, and the call loop that drops them, across restores."""

from __future__ import annotations

import gc
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from hlwasm.native import _abi
from hlwasm.native.handles import NativeSandbox
from hlwasm.sandbox.calls import CallLoop
from hlwasm.sandbox.guest_resources import GuestResource
from tests.unit.sandbox.scripted import Script, scripted_loop
from tests.unit.sandbox.worlds import description

CURSOR = 0
WORLD = description(
    call_count=1,
    types=[{"kind": "resource", "name": "cursor", "interface": "a:b/c", "side": "guest"}],
    resource_drops=[{"index": 0, "resource": CURSOR}],
)


@dataclass
class Rig:
    """A scripted guest that lets itself be called only as often as the script says."""

    native: NativeSandbox
    script: Script
    loop: CallLoop

    def lift(self, handle: int) -> GuestResource:
        resource = self.loop.resources.lift_own(CURSOR, handle)
        assert isinstance(resource, GuestResource)
        return resource

    def begin_and_end(self) -> None:
        """What every call does first: drop the garbage."""
        self.loop.begin()
        self.loop.end()

    def dropped(self) -> tuple[int, int]:
        """How many calls there were, and the handle of the last one."""
        (handle,) = struct.unpack_from("<I", self.loop.export_memory, _abi.TRANSFER_DATA)
        return self.native.counters().exits, handle


@pytest.fixture
def rig() -> Iterator[Rig]:
    with scripted_loop(WORLD) as (native, script, loop):
        yield Rig(native, script, loop)


def test_a_handle_of_the_present_state_is_dropped_in_the_guest(rig: Rig) -> None:
    table = rig.loop.resources
    kept = rig.lift(5)
    state = table.capture(lambda _: None)
    rig.lift(6)
    table.restore(state, lambda _: None)
    calls, _ = rig.dropped()
    rig.script.done()
    kept.drop()
    assert rig.dropped() == (calls + 1, 5)


def test_handles_of_another_state_do_not_enter_the_guest(rig: Rig) -> None:
    table = rig.loop.resources
    state = table.capture(lambda _: None)
    newer, collected = rig.lift(5), rig.lift(6)
    table.restore(state, lambda _: None)
    calls, _ = rig.dropped()
    # The script has no steps: entering the guest would fail.
    newer.drop()
    del collected
    gc.collect()
    assert table.garbage
    rig.begin_and_end()
    assert table.garbage == []
    assert rig.dropped()[0] == calls


def test_garbage_is_dropped_once_and_again_after_a_restore(rig: Rig) -> None:
    table = rig.loop.resources
    rig.lift(7)
    gc.collect()
    state = table.capture(lambda _: None)
    calls, _ = rig.dropped()
    for round_ in (1, 2):
        rig.script.done()
        rig.begin_and_end()
        rig.begin_and_end()
        assert rig.dropped() == (calls + round_, 7)
        table.restore(state, lambda _: None)


def test_a_drop_while_the_sandbox_is_busy_waits_and_may_become_void(rig: Rig) -> None:
    table = rig.loop.resources
    state = table.capture(lambda _: None)
    waiting = rig.lift(8)
    calls, _ = rig.dropped()
    rig.loop.begin()
    waiting.drop()
    assert len(table.garbage) == 1
    table.restore(state, lambda _: None)
    rig.loop.end()
    rig.begin_and_end()
    assert rig.dropped()[0] == calls
