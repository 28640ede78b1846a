"""What large values cost: 1 MiB there and back."""

from __future__ import annotations

from benchmarks.measure import Row, interleaved
from benchmarks.peers import WasmtimePeer, open_sandbox

MIB = 1 << 20


def measure() -> list[Row]:
    """Echoes of list<u8> and string."""
    peer = WasmtimePeer()
    data = bytes(range(256)) * (MIB // 256)
    ascii_text = "hypervisor " * (MIB // 11)
    other_text = "grüße aus dem käfig " * (MIB // 23)
    with open_sandbox() as sandbox:
        echo_bytes, echo_string = sandbox.exports.echo_bytes, sandbox.exports.echo_string
        their_bytes, their_string = peer.function("echo-bytes"), peer.function("echo-string")
        assert echo_bytes(data) == data
        assert echo_string(other_text) == other_text
        ours, copy = interleaved(
            [lambda: echo_bytes(data), lambda: bytes(bytearray(data))], count=10, batches=11
        )
        # A second or more each: a few are enough, and no warm-up changes them.
        (theirs,) = interleaved([lambda: their_bytes(data)], count=1, batches=3)
        text, their_text = interleaved(
            [lambda: echo_string(ascii_text), lambda: their_string(ascii_text)],
            count=5,
            batches=15,
        )
        other, their_other = interleaved(
            [lambda: echo_string(other_text), lambda: their_string(other_text)],
            count=5,
            batches=15,
        )
    return [
        Row("echo.bytes_1mib", ours, "µs", "wasmtime-py", theirs, 0.002),
        Row("echo.bytes_1mib.copies", ours, "µs", "two copies by memcpy", copy),
        Row("echo.string_1mib", text, "µs", "wasmtime-py", their_text, 1.0),
        Row("echo.string_1mib.latin", other, "µs", "wasmtime-py", their_other, 1.0),
    ]
