"""Ctrl-C right before and right after the guest, and while a sandbox is closed: what a call was
given is where it belongs, and nothing is left behind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import hlwasm
from tests.integration.conftest import Start
from tests.integration.resources_host import Blob, Store

pytestmark = [pytest.mark.hypervisor, pytest.mark.toolchain("cargo")]


def interrupt_next(sandbox: hlwasm.Sandbox, after: bool) -> None:
    """Ctrl-C comes before the guest is entered next, or as soon as it has come back."""
    loop = sandbox._loop
    real = loop._call

    def call(pointer: Any, index: int) -> int:
        loop._call = real
        kind = real(pointer, index) if after else 0
        while kind:
            kind = loop.serve_exit(kind)
        raise KeyboardInterrupt

    loop._call = call


def interrupted(sandbox: hlwasm.Sandbox, call: Callable[[], object], after: bool = False) -> None:
    interrupt_next(sandbox, after)
    with pytest.raises(KeyboardInterrupt):
        call()
    assert sandbox.status is hlwasm.Status.READY


def test_before_the_guest(start: Start) -> None:
    sandbox = start("resources", {"store": Store()})
    c, client = sandbox.exports.counters, sandbox.exports.client
    one, two, blob = c.Counter(1), c.Counter(2), Blob("mine")
    interrupted(sandbox, lambda: c.keep(one))
    interrupted(sandbox, lambda: c.turn(c.Group.Many([one, two])))
    interrupted(sandbox, lambda: client.keep(blob))
    assert not sandbox._loop.resources._host
    assert (one.value(), two.value()) == (1, 2)
    interrupted(sandbox, two.drop)
    assert c.destroyed() == (1, 2)
    c.Counter(3)
    interrupted(sandbox, c.destroyed)
    assert c.destroyed() == (2, 5)
    one.drop()
    assert not sandbox._loop.resources._held


def test_after_the_guest(start: Start) -> None:
    sandbox = start("resources", {"store": Store()})
    c, client = sandbox.exports.counters, sandbox.exports.client
    one, two, blob = c.Counter(1), c.Counter(2), Blob("mine")
    interrupted(sandbox, lambda: c.keep(one), after=True)
    with pytest.raises(hlwasm.WitValueError, match="given away"):
        one.value()
    back = c.release()
    assert back.value() == 1
    interrupted(sandbox, lambda: client.keep(blob), after=True)
    assert len(sandbox._loop.resources._host) == 1
    interrupted(sandbox, two.drop, after=True)
    destroyed = c.destroyed()
    assert c.destroyed() == destroyed == (1, 2)
    sandbox.close()
    assert blob.closed == 1


def test_between_lowering_and_the_call(start: Start) -> None:
    """Nobody sees such a call end; the next one finds what it left."""
    sandbox = start("resources", {"store": Store()})
    c = sandbox.exports.counters
    one, loop = c.Counter(1), sandbox._loop
    loop.begin()
    loop.resources.lower_own(one._type_index, one)
    loop.end()
    sandbox.snapshot()
    assert one.value() == 1


def test_what_host_functions_answer_is_not_kept_until_the_call_ends(start: Start) -> None:
    sandbox = start("resources", {"store": Store()})
    table = sandbox._loop.resources
    sizes = []
    real = table.lower_own

    def lower_own(type_index: int, value: Any) -> int:
        handle = real(type_index, value)
        sizes.append(len(table._given))
        return handle

    table.lower_own = lower_own  # type: ignore[method-assign]
    made = sandbox.exports.client.make("notes", b"hello")
    assert made.data == b"hello"
    assert sizes and not any(sizes)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_closing_again_after_ctrl_c(start: Start, moment: str) -> None:
    sandbox = start("resources", {"store": Store()})
    blob = Blob("kept")
    sandbox.exports.client.keep(blob)
    loop = sandbox._loop
    place, name = (loop, "close") if moment == "before" else (sandbox._guard, "end")
    real = getattr(place, name)

    def interrupted() -> None:
        setattr(place, name, real)
        if moment == "after":
            real()
        raise KeyboardInterrupt

    setattr(place, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        sandbox.close()
    assert sandbox.status is hlwasm.Status.CLOSED
    sandbox.close()
    assert loop._native.pointer is None
    assert blob.closed == 1
    sandbox.close()
