"""The owner of a native sandbox: what other threads may do while it is closed."""

from __future__ import annotations

import threading

import pytest

from hlwasm.errors import SandboxClosed
from hlwasm.native.handles import NativeSandbox
from tests.unit.sandbox.scripted import scripted_sandbox


def test_a_closed_sandbox_can_be_kicked_and_has_no_counters() -> None:
    native = scripted_sandbox()
    native.close()
    native.kick()
    with pytest.raises(SandboxClosed):
        native.counters()
    native.close()


def _use(native: NativeSandbox, start: threading.Barrier, failures: list[BaseException]) -> None:
    start.wait()
    try:
        for _ in range(20):
            native.kick()
            native.counters()
    except SandboxClosed:
        pass
    except BaseException as error:
        failures.append(error)


def test_kicks_and_a_close_at_the_same_time() -> None:
    """The kick takes a pointer to C without the interpreter's lock: it must stay valid."""
    failures: list[BaseException] = []
    for _ in range(200):
        native, start = scripted_sandbox(), threading.Barrier(3)
        users = [threading.Thread(target=_use, args=(native, start, failures)) for _ in range(2)]
        for user in users:
            user.start()
        start.wait()
        native.close()
        for user in users:
            user.join()
    assert failures == []


def test_fuel_is_not_read_from_memory_that_is_being_freed() -> None:
    native = scripted_sandbox()
    read: list[int | None] = []
    reader = threading.Thread(target=lambda: read.append(native.fuel_left()))
    with native._life:
        reader.start()
        reader.join(0.05)
        assert reader.is_alive()
        native.close()
    reader.join()
    assert read == [None]


def test_a_view_of_a_closed_sandbox_is_released() -> None:
    native = scripted_sandbox()
    view = native.window(1)
    native.close()
    with pytest.raises(ValueError, match="released"):
        view[0]
