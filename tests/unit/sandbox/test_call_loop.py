"""The call loop against scripted guests, honest and lying."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from hlwasm.codec.functions import bind_export, bind_import
from hlwasm.errors import (
    Cancelled,
    GuestDataError,
    GuestFault,
    LimitExceeded,
    ReentrantCall,
    SandboxPoisoned,
    Trap,
    TrapCode,
)
from hlwasm.native import _abi
from hlwasm.native.handles import NativeSandbox
from hlwasm.sandbox.calls import CallLoop
from hlwasm.sandbox.state import Status
from tests.interrupts import interrupted_at_any_moment
from tests.unit.sandbox.scripted import EINTR, SHUTDOWN, UNKNOWN, Script, scripted_loop
from tests.unit.sandbox.worlds import description, function

IMPORT_MEMORY = _abi.WINDOW_BASE + _abi.WINDOW_GUARD
EXPORT_MEMORY = IMPORT_MEMORY + _abi.WINDOW_STRIDE
HOST_RESOURCE = 0

WORLD = description(
    call_count=1,
    types=[{"kind": "resource", "name": "file", "interface": None, "side": "host"}],
    exports=[{**function(0, "add", None, 2), "result": "u32", "end_offset": 76}],
    imports=[{**function(0, "log", None, 1), "result": "u32", "result_offset": 0, "end_offset": 0}],
    resource_destructors=[{"number": 3, "resource": HOST_RESOURCE}],
)


@dataclass
class Rig:
    """A scripted guest, the loop that runs it, and its one export."""

    native: NativeSandbox
    script: Script
    loop: CallLoop

    def add(self, a: int, b: int) -> Any:
        return bind_export(WORLD.exports[0], self.loop)(a, b)

    def import_log(self, implementation: Any) -> None:
        self.loop.bind_import = {
            0: lambda: bind_import(WORLD.imports[0], self.loop, implementation)
        }

    def result(self, value: int) -> None:
        """The guest stores the export's result."""
        self.script.write(EXPORT_MEMORY + 72, struct.pack("<I", value))


@pytest.fixture
def rig() -> Iterator[Rig]:
    with scripted_loop(WORLD) as (native, script, loop):
        yield Rig(native, script, loop)


def test_a_call_passes_parameters_and_result(rig: Rig) -> None:
    before = rig.native.counters().exits
    rig.result(7)
    rig.script.done()
    assert rig.add(3, 4) == 7
    assert struct.unpack_from("<II", rig.loop.export_memory, 64) == (3, 4)
    cursor = struct.unpack_from("<I", rig.loop.export_memory, _abi.TRANSFER_CURSOR)[0]
    assert cursor >= 76
    assert rig.native.counters().exits == before + 1


def test_a_host_call_is_served(rig: Rig) -> None:
    seen: list[int] = []

    def log(value: int) -> int:
        seen.append(value)
        return 99

    rig.import_log(log)
    rig.script.write(IMPORT_MEMORY + 64, struct.pack("<I", 41))
    rig.script.write(IMPORT_MEMORY + _abi.TRANSFER_CURSOR, struct.pack("<I", 80))
    rig.script.host_call(0, 64)
    rig.result(1)
    rig.script.done()
    assert rig.add(0, 0) == 1
    assert seen == [41]
    assert struct.unpack_from("<I", rig.loop.import_memory, 80) == (99,)


def test_an_interrupt_at_any_moment_leaves_nobody_inside(rig: Rig) -> None:
    def call() -> None:
        rig.loop.begin()
        try:
            pass
        finally:
            rig.loop.end()

    def check() -> None:
        assert rig.loop.guard.current() is Status.READY

    interrupted_at_any_moment(call, check)


def test_a_failing_host_function_comes_back_to_the_caller(rig: Rig) -> None:
    def fail(value: int) -> int:
        raise ZeroDivisionError("on purpose")

    rig.import_log(fail)
    rig.script.host_call(0, 64)
    with pytest.raises(ZeroDivisionError, match="on purpose") as caught:
        rig.add(0, 0)
    assert caught.traceback[-1].name == "fail"
    assert rig.loop.guard.current() is Status.POISONED
    with pytest.raises(SandboxPoisoned, match="ZeroDivisionError: on purpose"):
        rig.add(0, 0)


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_a_guest_does_not_run_on_after_a_failed_host_call(
    rig: Rig, error: type[BaseException]
) -> None:
    """A hostile one would go on calling, and swallow every Ctrl-C that way."""
    called = 0

    def fail(value: int) -> int:
        nonlocal called
        called += 1
        raise error

    rig.import_log(fail)
    rig.script.host_call(0, 64)
    rig.script.host_call(0, 64)
    rig.script.done()
    with pytest.raises(error):
        rig.add(0, 0)
    assert called == 1
    assert rig.loop.guard.current() is Status.POISONED


def test_an_exception_that_cannot_be_shown_poisons_too(rig: Rig) -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise ValueError("no text")

    def fail(value: int) -> int:
        raise Silent

    rig.import_log(fail)
    rig.script.host_call(0, 64)
    with pytest.raises(Silent):
        rig.add(0, 0)
    with pytest.raises(SandboxPoisoned, match="Silent"):
        rig.add(0, 0)


def test_a_host_function_cannot_call_back(rig: Rig) -> None:
    rig.import_log(lambda value: rig.add(1, 1))
    rig.script.host_call(0, 64)
    with pytest.raises(ReentrantCall):
        rig.add(0, 0)


def test_a_trap_has_code_and_backtrace(rig: Rig) -> None:
    report = "wasm trap: out of bounds\n\x1f12\x1f1a2b\x1fmodule\x1fdeep\n\x1f3\x1f10\x1f\x1f"
    rig.script.done(_abi.STATUS_TRAP, _abi.TRAP_MEMORY_OUT_OF_BOUNDS, report)
    with pytest.raises(Trap) as caught:
        rig.add(0, 0)
    trap = caught.value
    assert trap.code is TrapCode.MEMORY_OUT_OF_BOUNDS
    assert [(f.function_index, f.offset, f.module, f.function) for f in trap.backtrace] == [
        (12, 0x1A2B, "module", "deep"),
        (3, 0x10, "", ""),
    ]
    assert rig.loop.guard.current() is Status.POISONED


@pytest.mark.parametrize("index", [1, 2**31])
def test_a_trap_of_a_call_that_the_description_does_not_know_poisons(rig: Rig, index: int) -> None:
    """As it may be in a forged artifact."""
    rig.script.done(_abi.STATUS_TRAP, _abi.TRAP_CANONICAL_ABI, "no value")
    rig.loop.begin()
    try:
        with pytest.raises(Trap, match=r"^no value$"):
            rig.loop.invoke(index)
    finally:
        rig.loop.end()
    assert rig.loop.guard.current() is Status.POISONED


def test_an_unknown_trap_code_is_other(rig: Rig) -> None:
    rig.script.done(_abi.STATUS_TRAP, 2**63, "odd")
    with pytest.raises(Trap) as caught:
        rig.add(0, 0)
    assert caught.value.code is TrapCode.OTHER


def test_control_characters_of_the_guest_reach_no_terminal(rig: Rig) -> None:
    rig.script.done(_abi.STATUS_TRAP, 0, "\x1b[2Jgone\x07\n\x1f1\x1f1\x1f\x1f\x1b]0;x\x07")
    with pytest.raises(Trap) as caught:
        rig.add(0, 0)
    assert "\x1b" not in str(caught.value)
    assert "\x07" not in str(caught.value)


def test_a_trap_after_an_overflow_is_a_limit(rig: Rig) -> None:
    rig.script.write(EXPORT_MEMORY + _abi.TRANSFER_OVERFLOW, struct.pack("<I", 1 << 20))
    rig.script.done(_abi.STATUS_TRAP, _abi.TRAP_UNREACHABLE, "unreachable")
    with pytest.raises(LimitExceeded, match="need 1048576 bytes") as caught:
        rig.add(0, 0)
    assert caught.value.limit == "transfer_memory"


@pytest.mark.parametrize("number", [1, 77, 0x7FFF_FFFF, 2**40])
def test_an_unknown_host_function_is_guest_data(rig: Rig, number: int) -> None:
    rig.script.host_call(number, 64)
    with pytest.raises((GuestDataError, GuestFault)):
        rig.add(0, 0)


@pytest.mark.parametrize("pointer", [1, 65_535, 2**32 - 4, 2**63])
def test_a_lying_pointer_is_guest_data(rig: Rig, pointer: int) -> None:
    rig.import_log(lambda value: 0)
    rig.script.host_call(0, pointer)
    with pytest.raises((GuestDataError, GuestFault)):
        rig.add(0, 0)


@pytest.mark.parametrize("cursor", [65_535, 2**32 - 1])
def test_a_lying_cursor_writes_nothing_outside(rig: Rig, cursor: int) -> None:
    rig.import_log(lambda value: 5)
    rig.script.write(IMPORT_MEMORY + _abi.TRANSFER_CURSOR, struct.pack("<I", cursor))
    rig.script.host_call(0, 64)
    with pytest.raises((GuestDataError, LimitExceeded)):
        rig.add(0, 0)


@pytest.mark.parametrize("number", [3, 4, 0x7FFF_FFFF])
def test_dropping_what_was_never_given_is_guest_data(rig: Rig, number: int) -> None:
    rig.script.host_call(_abi.TRANSFER_DROP_RESOURCE | number, 1)
    with pytest.raises(GuestDataError):
        rig.add(0, 0)


def test_a_dropped_host_resource_is_closed(rig: Rig) -> None:
    class File:
        closed = False

        def close(self) -> None:
            self.closed = True

    file = File()
    rep = rig.loop.resources.lower_own(HOST_RESOURCE, file)
    rig.loop.resources.end_call()
    rig.script.host_call(_abi.TRANSFER_DROP_RESOURCE | 3, rep)
    rig.result(0)
    rig.script.done()
    rig.add(0, 0)
    assert file.closed


def test_signals_do_not_disturb_a_call(rig: Rig) -> None:
    for _ in range(5):
        rig.script.step(EINTR)
    rig.result(3)
    rig.script.done()
    assert rig.add(1, 2) == 3
    assert rig.native.counters().interrupts == 5


def test_a_kick_cancels(rig: Rig) -> None:
    rig.native.kick()
    rig.script.step(EINTR)
    with pytest.raises(Cancelled):
        rig.add(0, 0)
    with pytest.raises(SandboxPoisoned, match="cancelled"):
        rig.add(0, 0)


def test_log_records_reach_logging(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.script.write(_abi.TEXT, b"two\x1b words")
    rig.script.request(_abi.EXIT_LOG, _abi.LOG_WARNING, 10)
    rig.result(0)
    rig.script.done()
    with caplog.at_level(logging.DEBUG, "hlwasm.guest_runtime"):
        rig.add(0, 0)
    assert [(r.levelno, r.getMessage()) for r in caplog.records] == [
        (logging.WARNING, "two� words")
    ]


def test_a_panic_is_a_guest_fault(rig: Rig) -> None:
    rig.script.write(_abi.TEXT, b"out of memory")
    rig.script.request(_abi.EXIT_PANIC, 13)
    with pytest.raises(GuestFault, match="panicked: out of memory"):
        rig.add(0, 0)


@pytest.mark.parametrize("kind", [SHUTDOWN, UNKNOWN])
def test_an_exit_that_makes_no_sense_is_a_guest_fault(rig: Rig, kind: int) -> None:
    rig.script.step(kind)
    with pytest.raises(GuestFault):
        rig.add(0, 0)
    with pytest.raises(SandboxPoisoned):
        rig.add(0, 0)


def test_a_call_that_is_refused_for_its_arguments_leaves_the_sandbox_ready(rig: Rig) -> None:
    with pytest.raises(ValueError, match="parameter p1"):
        rig.add(0, -1)
    assert rig.loop.guard.current() is Status.READY
    rig.result(2)
    rig.script.done()
    assert rig.add(1, 1) == 2
