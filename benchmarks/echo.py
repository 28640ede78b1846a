"""What large values cost: 1 MiB there and back, and where the time of a string goes."""

from __future__ import annotations

import ctypes
import struct
from functools import partial

import hlwasm
from benchmarks import allocator
from benchmarks.measure import Row, Times, interleaved
from benchmarks.peers import WasmtimePeer, export_named, open_sandbox, repeat_in_guest
from hlwasm.codec.fast_values import copy_text
from hlwasm.native import _abi

MIB = 1 << 20
BYTES = bytes(range(256)) * (MIB // 256)
ASCII = "hypervisor " * (MIB // 11)
LATIN = "grüße aus dem käfig " * (MIB // 23)
# One character of three or four bytes makes Python keep two or four bytes for each.
UCS2 = "日本語 and others, " * (MIB // 24)
UCS4 = "some 😀 in a text " * (MIB // 20)
TEXTS = {"": ASCII, ".latin": LATIN, ".ucs2": UCS2, ".ucs4": UCS4}
BATCH = {"count": 5, "batches": 41}
REPEATS = 40


def _parts(sandbox: hlwasm.Sandbox) -> list[Row]:
    """What an echoed string consists of, but for the exit, which is ``exit.bare``."""
    index, memory = export_named(sandbox, "echo-string").index, sandbox._loop.export_memory
    sandbox.exports.echo_string(ASCII)
    pointer, size = struct.unpack_from("<II", memory, _abi.TRANSFER_DATA)
    assert size == len(ASCII)
    text = memory[pointer : pointer + size]
    buffers = [ctypes.create_string_buffer(size) for _ in range(2)]
    target, source = map(ctypes.addressof, buffers)
    allocator.keep_large_blocks()
    in_guest, once = interleaved(
        [partial(repeat_in_guest, sandbox, index, count, size) for count in (REPEATS, 1)],
        count=1,
        batches=31,
    )
    # As the generated code does both.
    copied_in, made, copied = interleaved(
        [
            partial(copy_text, memory, pointer, ASCII),
            lambda: str(text, "utf-8"),
            partial(ctypes.memmove, target, source, size),
        ],
        **BATCH,
    )
    guest = Times((in_guest.value - once.value) / (REPEATS - 1), in_guest.spread)
    name = "echo.string_1mib"
    return [
        Row.of(f"{name}.copy_in", copied_in, "memcpy", copied),
        Row.of(f"{name}.in_guest", guest, "memcpy", copied),
        Row.of(f"{name}.make_str", made, "memcpy", copied),
    ]


def measure() -> list[Row]:
    """Echoes of list<u8> and string."""
    peer = WasmtimePeer()
    with open_sandbox() as sandbox:
        echo_bytes, echo_string = sandbox.exports.echo_bytes, sandbox.exports.echo_string
        their_bytes, their_string = peer.function("echo-bytes"), peer.function("echo-string")
        assert echo_bytes(BYTES) == BYTES
        for text in TEXTS.values():
            assert echo_string(text) == their_string(text) == text

        allocator.keep_large_blocks()

        def look() -> None:
            with hlwasm.view(echo_bytes, BYTES) as view:
                view[0]

        ours, viewed, copies = interleaved(
            [partial(echo_bytes, BYTES), look, lambda: bytes(bytearray(BYTES))], **BATCH
        )
        # More than a second each: a few are enough, and no warm-up changes them.
        (theirs,) = interleaved([partial(their_bytes, BYTES)], count=1, batches=5, warm_up=0)
        rows = [
            Row.of("echo.bytes_1mib", ours, "wasmtime-py", theirs, 0.002),
            Row.of("echo.bytes_1mib.copies", ours, "two copies by memcpy", copies),
            Row.of("echo.bytes_1mib.view", viewed, "the same, copied out", ours),
        ]
        for kind, text in TEXTS.items():
            name, goal = f"string_1mib{kind}", None if kind else 1.0
            pair = [partial(echo_string, text), partial(their_string, text)]
            allocator.keep_large_blocks()
            ours, theirs = interleaved(pair, **BATCH)
            rows.append(Row.of(f"echo.{name}", ours, "wasmtime-py", theirs, goal))
            allocator.return_large_blocks()
            ours, theirs = interleaved(pair, **BATCH)
            rows.append(Row.of(f"echo.{name}.fresh", ours, "wasmtime-py", theirs))
        rows += _parts(sandbox)
    return rows
