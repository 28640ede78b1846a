"""The guest's ELF file: what the loader and the security of the guest rely on."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from hlwasm.native import _abi
from tests.conftest import without

ROOT = Path(__file__).parents[2] / "guest_wasm_runtime"
IMAGE = ROOT / "target" / "x86_64-unknown-linux-gnu" / "release" / "guest_wasm_runtime"

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_TLS, PT_GNU_STACK = 1, 2, 3, 7, 0x6474E551
EXECUTE, WRITE = 1, 2
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4


@dataclass(frozen=True)
class Segment:
    kind: int
    flags: int
    address: int
    bytes: int

    @property
    def pages(self) -> range:
        return range(self.address >> 12, (self.address + self.bytes + 4095) >> 12)


@pytest.fixture(scope="module")
def elf() -> bytes:
    if not IMAGE.exists():
        without("HLWASM_REQUIRE_TOOLCHAINS", f"{IMAGE.name} was not built in this tree")
    return IMAGE.read_bytes()


@pytest.fixture(scope="module")
def segments(elf: bytes) -> list[Segment]:
    (start,) = struct.unpack_from("<Q", elf, 0x20)
    size, count = struct.unpack_from("<HH", elf, 0x36)
    headers = [struct.unpack_from("<IIQQQQQQ", elf, start + i * size) for i in range(count)]
    return [Segment(h[0], h[1], h[3], h[6]) for h in headers]


def test_it_is_a_static_program_at_its_address(elf: bytes, segments: list[Segment]) -> None:
    kind, machine = struct.unpack_from("<HH", elf, 0x10)
    assert (kind, machine) == (2, 62), "not an x86-64 program with fixed addresses"
    kinds = {segment.kind for segment in segments}
    assert not kinds & {PT_DYNAMIC, PT_INTERP, PT_TLS}
    loaded = [segment for segment in segments if segment.kind == PT_LOAD]
    assert min(segment.address for segment in loaded) == _abi.IMAGE
    assert max(segment.address + segment.bytes for segment in loaded) <= _abi.IMAGE_END


def test_no_page_is_writable_and_executable(elf: bytes, segments: list[Segment]) -> None:
    loaded = [segment for segment in segments if segment.kind == PT_LOAD]
    assert not any(s.flags & EXECUTE and s.flags & WRITE for s in loaded)
    pages = [page for segment in loaded for page in segment.pages]
    assert len(pages) == len(set(pages)), "two segments share a page"
    (entry,) = struct.unpack_from("<Q", elf, 0x18)
    text = [s for s in loaded if s.flags & EXECUTE]
    assert any(s.address <= entry < s.address + s.bytes for s in text)
    assert not any(s.kind == PT_GNU_STACK and s.flags & EXECUTE for s in segments)


def test_sections_have_the_rights_of_their_segment(elf: bytes, segments: list[Segment]) -> None:
    """The rights are written in ``image.ld``; a new kind of section may end up anywhere."""
    (start,) = struct.unpack_from("<Q", elf, 0x28)
    size, count = struct.unpack_from("<HH", elf, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", elf, start + i * size) for i in range(count)]
    allocated = [(flags, address) for _, _, flags, address, _, _ in headers if flags & SHF_ALLOC]
    assert len(allocated) >= 4
    for flags, address in allocated:
        [segment] = [
            s for s in segments if s.kind == PT_LOAD and s.address <= address < s.address + s.bytes
        ]
        rights = bool(segment.flags & EXECUTE), bool(segment.flags & WRITE)
        assert rights == (bool(flags & SHF_EXECINSTR), bool(flags & SHF_WRITE)), hex(address)


def test_it_is_small(elf: bytes) -> None:
    assert len(elf) <= 1_400_000


def test_no_instruction_needs_an_operating_system() -> None:
    """No system call, no thread-local storage, no port but by the contract's ``out``."""
    objdump = shutil.which("objdump")
    if objdump is None:
        without("HLWASM_REQUIRE_TOOLCHAINS", "objdump is missing")
    if not IMAGE.exists():
        without("HLWASM_REQUIRE_TOOLCHAINS", f"{IMAGE.name} was not built in this tree")
    listing = subprocess.run(
        [objdump, "--disassemble", "--no-show-raw-insn", str(IMAGE)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    instructions = [line.partition("\t")[2] for line in listing.splitlines() if "\t" in line]
    assert len(instructions) > 50_000, "nothing was disassembled"
    forbidden = re.compile(r"^(syscall|sysenter|int |in |hlt|cli|sti|wrmsr|rdmsr)|%[fg]s:")
    assert [line for line in instructions if forbidden.search(line)] == []
    # Every `out` is the one of `exit::notify`, inlined.
    assert {line.strip() for line in instructions if line.startswith("out")} == {
        "out    %eax,(%dx)"
    }
