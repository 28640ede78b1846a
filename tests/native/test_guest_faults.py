"""What must never happen, and how it ends: exhausted heap, hostile artifacts."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from random import Random
from threading import Timer

import pytest
import wasmtime
from wasmtime.component import Component

from hlwasm.artifact.fingerprint import CPU_FEATURES, TARGET
from hlwasm.native import _abi
from tests.native.composed import component
from tests.native.guest import Ended, artifact, artifact_of_bytes, guest, running

pytestmark = pytest.mark.hypervisor


def test_a_table_larger_than_the_heap_is_a_limit() -> None:
    body = '(table 10000000 funcref) (func (export "f0"))'
    with guest(component(body), ram=32 << 20) as it:
        assert it.load().ok
        ended = it.instantiate(tables=20_000_000)
        assert ended.status == _abi.STATUS_LIMIT, ended
        assert "heap" in ended.message
        assert it.load().ok, "the guest lives on"


def test_growing_a_table_beyond_the_heap_is_a_limit() -> None:
    body = """(table $t 1 funcref) (func (export "f0")
      (drop (table.grow $t (ref.null func) (i32.const 10000000))))"""
    with guest(component(body), ram=32 << 20) as it:
        assert it.load().ok
        assert it.instantiate(tables=20_000_000).ok
        ended = it.call()
        assert ended.status == _abi.STATUS_LIMIT, ended
        assert "heap" in ended.message
        assert it.instantiate(tables=20_000_000).ok


_MAGIC = 0x1122_3344_5566_7788
_VICTIM = component(
    f"""(memory 1) (global $g (mut i64) (i64.const 0))
    (global $x (mut f64) (f64.const 1))
    (func (export "f0") (global.set $g (i64.const {_MAGIC:#x})))
    (func (export "f1")
      (global.set $x (f64.div (global.get $x) (f64.const 3)))
      (memory.fill (i32.const 0) (i32.const 7) (i32.const 1000))
      (if (i32.ne (i32.load8_u (i32.const 999)) (i32.const 7)) (then unreachable)))""",
    2,
)


def patched(code: bytes) -> int:
    """The victim's artifact with ten bytes of ``f0`` replaced by machine code."""
    file = artifact(_VICTIM)
    data = bytearray(os.pread(file, os.fstat(file).st_size, 0))
    immediate = data.find(_MAGIC.to_bytes(8, "little"))
    assert immediate > 0
    start = immediate - 2  # REX.W and the opcode of `mov r64, imm64`
    assert data[start] in (0x48, 0x49) and data[start + 1] & 0xF8 == 0xB8
    assert len(code) <= 10
    data[start : start + 10] = code.ljust(10, b"\x90")
    return artifact_of_bytes(bytes(data))


# Machine code → words of the report.
HOSTILE = {
    "invalid instruction": (b"\x0f\x0b", "outside wasm"),
    "null pointer": (b"\x31\xc0\x8b\x80\x00\x08\x00\x00", "address 0x800"),
    "stack guard": (b"\xa0" + (0x80_0000).to_bytes(8, "little"), "0x800000"),
    "supervisor memory": (b"\xa0" + _abi.IDT.to_bytes(8, "little"), hex(_abi.IDT)),
    "own code": (b"\xa2" + (_abi.IMAGE + 0x8_0000).to_bytes(8, "little"), "0x480000"),
    "artifact": (b"\xa2" + _abi.ARTIFACT.to_bytes(8, "little"), ""),
    "jump to data": (b"\xb8\x00\x00\xc0\x00\xff\xe0", "0xc00000"),
    "halt": (b"\xf4", ""),
    "system call": (b"\x0f\x05", ""),
    "breakpoint": (b"\xcc", ""),
    "read an i/o port": (b"\xe4\x60", ""),
    "stack pointer gone": (b"\x31\xe4\x50", ""),
    "frame pointer gone": (b"\x31\xed\x0f\x0b", ""),
    "unknown request": (b"\x66\xba\x00\x05\xb8\xff\xff\x00\x00\xef", ""),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_code_ends_its_guest_and_nothing_else(name: str) -> None:
    code, words = HOSTILE[name]
    with guest(patched(code)) as it:
        assert it.load().ok
        assert it.instantiate(2).ok
        ended = it.call(0)
        kinds = (it.native.lib.HLW_EXIT_PANIC, it.native.lib.HLW_EXIT_FAULT)
        assert ended.kind in kinds, ended
        assert words in ended.message, ended.message
        assert ended.message
    # Another one is untouched.
    with running(_VICTIM, calls=2) as it:
        assert it.call(0).ok


@pytest.mark.parametrize(
    "code",
    [b"\x6a\x00\x0f\xae\x14\x24\x58", b"\xfd", b"\xd9\xe8" * 5],
    ids=["float exceptions unmasked", "direction reversed", "x87 stack filled"],
)
def test_each_command_starts_with_a_defined_cpu_state(code: bytes) -> None:
    with guest(patched(code)) as it:
        assert it.load().ok
        assert it.instantiate(2).ok
        for _ in range(3):
            assert it.call(0).ok
            assert it.call(1).ok


def test_the_victim_is_well_without_a_patch() -> None:
    with running(_VICTIM, calls=2) as it:
        assert it.call(0).ok
        assert it.call(1).ok


@pytest.mark.parametrize("seed", range(40))
def test_damaged_artifacts_end_in_an_error_or_a_fault(seed: int) -> None:
    """Damage in what the runtime reads: everything but the text, which is just code."""
    file = artifact(_VICTIM)
    data = bytearray(os.pread(file, os.fstat(file).st_size, 0))
    random = Random(seed)
    sections = dict(elf_sections(data))
    start, size = sections[random.choice([name for name in sections if name != ".text"])]
    for _ in range(random.choice((1, 4, 50))):
        data[start + random.randrange(size)] = random.randrange(256)
    with guest(artifact_of_bytes(bytes(data))) as it:
        # Damaged metadata might make the runtime loop.
        watchdog = Timer(10, it.native.kick)
        watchdog.start()
        try:
            if it.load().ok and it.instantiate(2).ok:
                it.call(1)
        finally:
            watchdog.cancel()
        assert it.native.exit.kind != it.native.lib.HLW_EXIT_INTERRUPTED


def elf_sections(data: bytearray) -> Iterator[tuple[str, tuple[int, int]]]:
    """Name → offset and size of each section that is not empty."""
    (table,) = struct.unpack_from("<Q", data, 0x28)
    entry, count, names = struct.unpack_from("<HHH", data, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", data, table + i * entry) for i in range(count)]
    for name, kind, _, _, offset, size in headers:
        if kind and size:
            at = headers[names][4] + name
            yield data[at : data.index(0, at)].decode(), (offset, size)


def test_an_artifact_for_a_better_cpu_is_refused_and_logged() -> None:
    config = wasmtime.Config()
    config.target = TARGET
    # AVX-512 state is never enabled in the micro-VM.
    for feature in (*CPU_FEATURES, "avx512f"):
        config.cranelift_flag_enable(f"has_{feature}")
    config.wasm_threads = False
    wasmtime._ffi.wasmtime_config_concurrency_support_set(config.ptr(), False)
    compiled = Component(wasmtime.Engine(config), bytes(wasmtime.wat2wasm(_VICTIM)))
    with guest(artifact_of_bytes(bytes(compiled.serialize()))) as it:
        ended = it.load()
        assert ended.status == _abi.STATUS_ERROR
        assert "avx512f" in ended.message
        assert any(level == _abi.LOG_ERROR and "avx512f" in text for level, text in it.logs)


def _deep(inner: str) -> str:
    return f"""(memory 1)
      (func $deep (param i64) (result i64) {inner}
        (i64.add (call $deep (i64.add (local.get 0) (i64.const 1))) (i64.const 1)))
      (func (export "f0") (drop (call $deep (i64.const 0))))"""


@pytest.mark.parametrize(
    "inner",
    [
        "(drop (memory.grow (i32.const 0)))",
        "(drop (memory.grow (i32.const 10000)))",
        "(memory.fill (i32.const 0) (i32.const 1) (i32.const 100))",
    ],
    ids=["grow nothing", "refused growth", "fill"],
)
def test_the_runtime_has_stack_left_where_wasm_has_none(inner: str) -> None:
    with running(component(_deep(inner))) as it:
        ended: Ended = it.call()
        assert ended.trap == _abi.TRAP_STACK_OVERFLOW
        assert it.instantiate().ok
