"""What one request leaves in the real guest's registers and in the host's tables is not there
for the next one. Memory and registers as such: native_vmm/tests/canaries.rs.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hlwasm
from hlwasm.native import _abi
from hlwasm.native.handles import NativeSandbox, NativeSnapshot
from tests.native.guest import Guest, guest
from tests.native.test_guest_faults import patched

pytestmark = pytest.mark.hypervisor

# Bytes below the stack pointer that are stored to.
BELOW = 0x80


def store(register: int) -> bytes:
    """``movups [rsp - 0x80], xmm``"""
    return bytes([0x0F, 0x11, 0x44 | register << 3, 0x24, 256 - BELOW])


def fill(register: int) -> bytes:
    """``pcmpeqd xmm, xmm``: all ones."""
    return bytes([0x66, 0x0F, 0x76, 0xC0 | register << 3 | register])


def restore(native: NativeSandbox, snapshot: NativeSnapshot) -> None:
    assert native.lib.hlw_restore(native.pointer, snapshot.pointer, True) == 0


def written(native: NativeSandbox) -> bytes:
    """The guest's stack and the first of its heap, as they are in this process's memory."""
    ffi, size = native.ffi, native.ffi.new("uint64_t *")
    window = int(ffi.cast("uintptr_t", native.lib.hlw_window(native.pointer, 0, size)))
    # The first window is where RAM ends.
    base = window - _abi.RAM_DEFAULT_BYTES
    with Path("/proc/self/mem").open("rb", buffering=0) as memory:
        memory.seek(base + _abi.STACK)
        return memory.read(_abi.HEAP + (16 << 20) - _abi.STACK)


def ready(it: Guest) -> NativeSnapshot:
    assert it.load().ok
    assert it.instantiate(2).ok
    return it.native.snapshot()


def test_what_is_looked_at_shows_registers() -> None:
    with guest(patched(fill(3) + store(3))) as it:
        ready(it)
        before = written(it.native).count(b"\xff" * 16)
        assert it.call(0).ok
        assert written(it.native).count(b"\xff" * 16) > before


@pytest.mark.parametrize("register", range(8))
def test_vector_registers_are_not_visible_to_the_next_request(register: int) -> None:
    """The guest itself clears them, for a call that ends well costs no system call."""
    with guest(patched(store(register) + fill(register))) as it:
        snapshot = ready(it)
        assert it.call(0).ok
        first = written(it.native)
        for _ in range(3):
            restore(it.native, snapshot)
            assert it.call(0).ok
            assert written(it.native) == first


# Machine code that changes how the CPU computes, or which way it copies. ``f1`` notices.
MODES = {
    # push 0xdfc0; ldmxcsr [rsp]; pop rax
    "round up, denormals are zeros": b"\x68\xc0\xdf\x00\x00\x0f\xae\x14\x24\x58",
    "copy downwards": b"\xfd",
}


@pytest.mark.parametrize("code", MODES.values(), ids=MODES)
def test_modes_are_not_visible_to_the_next_request(code: bytes) -> None:
    with guest(patched(code)) as it:
        snapshot = ready(it)
        assert it.call(1).ok
        first = written(it.native)
        for _ in range(3):
            restore(it.native, snapshot)
            it.call(0)
            restore(it.native, snapshot)
            assert it.call(1).ok
            assert written(it.native) == first


@pytest.mark.toolchain("ziglang")
def test_the_tables_of_wasi(component_path: Callable[[str], Path]) -> None:
    component = hlwasm.load(component_path("wordcount_c"))
    output = io.BytesIO()
    words = b"one two three\n" * 1000
    wasi = hlwasm.Wasi(stdin=words, stdout=output)

    def table(sandbox: hlwasm.Sandbox) -> Any:
        resources = sandbox._loop.resources
        return sorted(resources._host), resources._next

    with component.instantiate(wasi=wasi) as sandbox:
        snapshot = sandbox.snapshot()
        before = table(sandbox)
        results = []
        for _ in range(5):
            assert sandbox.run() == 0
            results.append(output.getvalue())
            output.seek(0)
            output.truncate()
            sandbox.restore(snapshot)
            assert table(sandbox) == before
        # Each read all of its input, and none the position of the one before.
        assert b"3000" in results[0]
        assert results == [results[0]] * 5
