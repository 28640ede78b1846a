"""What the host counts, against guests that do whatever they like."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hlwasm import Limits
from hlwasm.codec.functions import bind_export, bind_import
from hlwasm.errors import (
    FuelExhausted,
    HostCallBytesExceeded,
    HostCallLimitExceeded,
    LimitExceeded,
    MemoryLimitExceeded,
    OutputLimitExceeded,
    Trap,
)
from hlwasm.native import _abi
from hlwasm.sandbox.calls import CallLoop
from hlwasm.sandbox.meter import CallMeter
from hlwasm.sandbox.state import Status
from tests.unit.sandbox.scripted import Script, scripted_sandbox
from tests.unit.sandbox.worlds import description, function

IMPORT_MEMORY = _abi.WINDOW_BASE + _abi.WINDOW_GUARD
WORLD = description(
    call_count=1,
    types=[{"kind": "resource", "name": "file", "interface": None, "side": "host"}],
    exports=[{**function(0, "go"), "params_align": 1}],
    imports=[{**function(0, "tell", None, 1), "params": [{"name": "p0", "type": "string"}],
              "params_size": 8, "end_offset": 0}],
    resource_destructors=[{"number": 3, "resource": 0}],
)  # fmt: skip


class Rig:
    """A scripted guest and the loop that runs it."""

    def __init__(self, fuel_counted: bool = False, **limits: Any) -> None:
        self.native = scripted_sandbox()
        self.script = Script(self.native)
        self.loop = CallLoop(self.native, WORLD, {}, limits=Limits(**limits), fuel=fuel_counted)
        self.told: list[str] = []
        self.loop.bind_import = {
            0: lambda: bind_import(WORLD.imports[0], self.loop, self.told.append)
        }
        self.go = bind_export(WORLD.exports[0], self.loop)

    def tell(self, pointer: int, length: int) -> None:
        """The guest passes a string, and says in the cursor word that there was none."""
        self.script.write(IMPORT_MEMORY + _abi.TRANSFER_CURSOR, struct.pack("<I", 64))
        self.script.write(IMPORT_MEMORY + 64, struct.pack("<II", pointer, length))
        self.script.host_call(0, 64)


@pytest.fixture
def rig() -> Iterator[Callable[..., Rig]]:
    made: list[Rig] = []

    def make(**limits: Any) -> Rig:
        made.append(Rig(**limits))
        return made[-1]

    yield make
    for each in made:
        each.loop.guard.close()
        each.loop.close()


def test_each_call_starts_anew(rig: Callable[..., Rig]) -> None:
    it = rig(host_calls=2)
    for _ in range(3):
        it.tell(72, 1)
        it.tell(72, 1)
        it.script.done()
        it.go()
    for _ in range(3):
        it.tell(72, 1)
    with pytest.raises(HostCallLimitExceeded, match="more than 2 host calls") as caught:
        it.go()
    assert (caught.value.limit, caught.value.value) == ("host_calls", 2)
    assert len(it.told) == 3 * 2 + 2
    assert it.loop.guard.current() is Status.POISONED


def test_drops_of_resources_are_host_calls(rig: Callable[..., Rig]) -> None:
    it = rig(host_calls=1)
    closed: list[int] = []

    class File:
        def close(self) -> None:
            closed.append(1)

    for _ in range(2):
        rep = it.loop.resources.lower_own(0, File())
        it.script.host_call(_abi.TRANSFER_DROP_RESOURCE | 3, rep)
    it.loop.resources.end_call()
    with pytest.raises(HostCallLimitExceeded):
        it.go()
    assert closed == [1]


def test_what_the_guest_says_of_sizes_does_not_count(rig: Callable[..., Rig]) -> None:
    """The strings lie over each other, and the cursor says that there are none."""
    it = rig(host_call_bytes=10_000)
    for _ in range(100):
        it.tell(128, 1000)
    with pytest.raises(HostCallBytesExceeded, match="more than 10000 bytes") as caught:
        it.go()
    assert caught.value.value == 10_000
    assert len(it.told) == 10_000 // 1008


def test_a_guest_runtime_that_logs_without_end(
    rig: Callable[..., Rig], caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("output", "captured_output"):
        caplog.clear()
        it = rig(**{name: 250})
        it.script.write(_abi.TEXT, b"x" * 100)
        for _ in range(50):
            it.script.request(_abi.EXIT_LOG, _abi.LOG_WARNING, 100)
        with (
            caplog.at_level(logging.DEBUG, "hlwasm.guest_runtime"),
            pytest.raises(OutputLimitExceeded, match=rf"Limits\({name}=…\)") as caught,
        ):
            it.go()
        assert (caught.value.limit, caught.value.value) == (name, 250)
        assert len(caplog.records) == 2


def test_output_is_allowed_to_the_byte() -> None:
    meter = CallMeter(Limits(output=100, captured_output=30))
    assert meter.take_output(29, captured=True) == 29
    assert meter.take_output(5, captured=True) == 1
    assert meter.output_exceeded().limit == "captured_output"
    assert meter.take_output(69, captured=False) == 69
    assert meter.take_output(1000, captured=False) == 1
    assert meter.output_exceeded().limit == "output"
    meter.begin()
    assert meter.take_output(1000, captured=True) == 30


def test_a_guest_that_lies_about_its_fuel(rig: Callable[..., Rig]) -> None:
    it = rig(fuel_counted=True, fuel=1000)
    meter = it.loop.fuel
    assert meter is not None
    for left, used in [(1000, 0), (1, 999), (0, 1000), (1001, 0), ((1 << 64) - 1, 0)]:
        it.script.write(_abi.MAILBOX + 8 * (_abi.DONE_VALUES + 1), struct.pack("<Q", left))
        it.script.done()
        it.go()
        assert meter.used() == used
    report = "all fuel consumed\n\x1f12\x1f1a2b\x1fmodule\x1fdeep"
    it.script.done(_abi.STATUS_TRAP, _abi.TRAP_OUT_OF_FUEL, report)
    with pytest.raises(FuelExhausted, match="its 1000 units") as caught:
        it.go()
    assert (caught.value.limit, caught.value.value) == ("fuel", 1000)
    assert str(caught.value).splitlines()[1:] == ["  at module!deep (offset 0x1a2b)"]


def test_fuel_that_was_never_limited_cannot_be_exhausted(rig: Callable[..., Rig]) -> None:
    it = rig()
    it.script.done(_abi.STATUS_TRAP, _abi.TRAP_OUT_OF_FUEL, "a lie")
    with pytest.raises(Trap):
        it.go()


def test_limits_that_the_guest_reports_have_values(rig: Callable[..., Rig]) -> None:
    it = rig(gc_heap=5 << 20)
    it.script.done(_abi.STATUS_LIMIT, _abi.LIMIT_GC_HEAP, "no room")
    with pytest.raises(MemoryLimitExceeded, match="no room") as caught:
        it.go()
    assert (caught.value.limit, caught.value.value) == ("gc_heap", 5 << 20)
    it = rig()
    it.script.done(_abi.STATUS_LIMIT, 99, "a limit of its own")
    with pytest.raises(LimitExceeded) as other:
        it.go()
    assert (other.value.limit, other.value.value) == ("", None)
