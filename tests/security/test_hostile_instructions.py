"""Machine code that no compiler of wasm makes: the guest is ring 3 and stays there."""

from __future__ import annotations

from threading import Timer

import pytest

from hlwasm.native import _abi
from tests.native.guest import guest
from tests.native.test_guest_faults import patched

pytestmark = pytest.mark.hypervisor

# Each is followed by a return to wasm, should the CPU let it pass.
FATAL = {
    "clear interrupts": b"\xfa",
    "clts": b"\x0f\x06",
    "read a control register": b"\x0f\x20\xc0",
    "write a debug register": b"\x31\xc0\x0f\x23\xf8",
    "read an msr": b"\x0f\x32",
    "write an msr": b"\x0f\x30",
    "set an extended control register": b"\x31\xc9\x0f\x01\xd1",
    "read a performance counter": b"\x31\xc9\x0f\x33",
    "load the gdt": b"\x0f\x01\x14\x24",
    "load the ldt": b"\x31\xc0\x0f\x00\xd0",
    "load the task register": b"\x0f\x00\xd8",
    "invalidate a page": b"\x0f\x01\x3c\x24",
    "write back caches": b"\x0f\x09",
    "swap gs": b"\x0f\x01\xf8",
    "monitor": b"\x0f\x01\xc8",
    "wait": b"\x0f\x01\xc9",
    "local descriptor": b"\x66\xb8\x07\x00\x8e\xe0",
    "no stack segment": b"\x31\xc0\x8e\xd0",
    "far return to ring 0": b"\x6a\x08\x6a\x00\x48\xcb",
    "far return to data": b"\x6a\x10\x6a\x00\x48\xcb",
    "return from an interrupt": b"\x48\xcf",
    "return from a system call": b"\x48\x0f\x07",
    "fast system call": b"\x0f\x34",
    "interrupt 0x80": b"\xcd\x80",
    "a page fault by hand": b"\xcd\x0e",
    "a double fault by hand": b"\xcd\x08",
    "single step": b"\x9c\x80\x4c\x24\x01\x01\x9d\x90",
    "alignment check": b"\x9c\x80\x4c\x24\x02\x04\x9d\x90",
    "debug trap": b"\xf1",
    "virtual machine call": b"\x0f\x01\xd8",
    "other port": b"\xe6\x80",
    "exception port": b"\x66\xba\x01\x05\xef",
    "byte to the exception port": b"\x66\xba\x01\x05\xee",
    "read the request port": b"\x66\xba\x00\x05\xed",
    "two bytes to the request port": b"\x66\xba\x00\x05\x66\xef",
    "string to the request port": b"\x66\xba\x00\x05\x6f",
    "strings to the request port": b"\x66\xba\x00\x05\xf3\x6f",
    "page tables": b"\xa0" + _abi.PAGE_TABLES.to_bytes(8, "little"),
    "exception stack": b"\xa2" + (_abi.EXCEPTION_STACK_TOP - 8).to_bytes(8, "little"),
    "no canonical address": b"\xa0" + (1 << 47).to_bytes(8, "little"),
    "highest address": b"\x48\x31\xc0\x48\xff\xc8\xff\xe0",
}

# Let through, by some CPUs or hypervisors, to no effect on anybody else.
HARMLESS = {
    "hypercall of Intel": b"\x0f\x01\xc1",
    "hypercall of AMD": b"\x0f\x01\xd9",
    "identify": b"\x31\xc0\x0f\xa2",
    "time stamp": b"\x0f\x31",
    "thread base": b"\xf3\x48\x0f\xae\xd0",
    "where the idt is": b"\x48\x83\xec\x10\x0f\x01\x0c\x24\x58\x58",
}

# They do not end by themselves; the host gets its turn all the same.
ENDLESS = {
    "spinning": b"\xeb\xfe",
    "bare requests": b"\x66\xba\x00\x05\x6a\x0a\x58\xef\xeb\xfd",
    # Whatever the arguments are: of the last request that was made for memory.
    "requests for memory": b"\x66\xba\x00\x05\x6a\x08\x58\xef\xeb\xfd",
}


@pytest.mark.parametrize("name", FATAL)
def test_what_ring_3_may_not_do_ends_the_guest(name: str) -> None:
    with guest(patched(FATAL[name])) as it:
        assert it.load().ok
        assert it.instantiate(2).ok
        ended = it.call(0)
        kinds = (it.native.lib.HLW_EXIT_PANIC, it.native.lib.HLW_EXIT_FAULT)
        assert ended.kind in kinds, ended
        assert ended.message


@pytest.mark.parametrize("name", HARMLESS)
def test_what_a_cpu_lets_pass_gives_no_power(name: str) -> None:
    with guest(patched(HARMLESS[name])) as it:
        assert it.load().ok
        assert it.instantiate(2).ok
        ended = it.call(0)
        lib = it.native.lib
        assert ended.kind in (lib.HLW_EXIT_DONE, lib.HLW_EXIT_PANIC, lib.HLW_EXIT_FAULT), ended


@pytest.mark.parametrize("name", ENDLESS)
def test_what_has_no_end_can_be_stopped(name: str) -> None:
    with guest(patched(ENDLESS[name])) as it:
        assert it.load().ok
        assert it.instantiate(2).ok
        lib, at = it.native.lib, it.native.exit
        stop = Timer(0.1, it.native.kick)
        stop.start()
        try:
            kind = it.call(0).kind
            while kind == lib.HLW_EXIT_INTERRUPTED and not at.code:
                kind = lib.hlw_resume(it.native.pointer)
        finally:
            stop.cancel()
            stop.join()
        assert kind in (lib.HLW_EXIT_INTERRUPTED, lib.HLW_EXIT_FAULT)
