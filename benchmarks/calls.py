"""What a call costs: guest calls, host calls, and their share of the host."""

from __future__ import annotations

from benchmarks.measure import Row, interleaved
from benchmarks.peers import WasmtimePeer, bare_exits, open_sandbox, repeat_in_guest

EXITS = 200
HOST_CALLS = 100
REPEATS = 20_000


def measure() -> list[Row]:
    """add(s32, s32) in all its parts."""
    peer = WasmtimePeer()
    peer_add = peer.function("add")
    peer_host_calls = peer.function("host-calls")
    with open_sandbox() as sandbox:
        add = sandbox.exports.add
        host_calls = sandbox.exports.host_calls
        index = next(f.index for f in sandbox.component.description.exports if f.name == "add")
        assert add(2, 3) == 5
        exits, total, theirs = interleaved(
            [lambda: bare_exits(sandbox, EXITS), lambda: add(2, 3), lambda: peer_add(2, 3)],
            count=300,
            batches=15,
        )
        exit_time = exits / (EXITS + 1)

        add(2, 3)
        in_guest, once = interleaved(
            [
                lambda: repeat_in_guest(sandbox, index, REPEATS),
                lambda: repeat_in_guest(sandbox, index, 1),
            ],
            count=3,
            batches=7,
        )
        many, none, their_many = interleaved(
            [
                lambda: host_calls(HOST_CALLS),
                lambda: host_calls(0),
                lambda: peer_host_calls(HOST_CALLS),
            ],
            count=10,
            batches=15,
        )
    host_call = (many - none) / HOST_CALLS
    return [
        Row("exit.bare", exit_time, "µs"),
        Row("call.add", total, "µs", "one bare exit", exit_time),
        Row("call.add.host_share", total - exit_time, "µs", "wasmtime-py, whole call", theirs, 0.5),
        Row(
            "call.add.in_guest", (in_guest - once) / (REPEATS - 1), "µs", "one bare exit", exit_time
        ),
        Row("host_call.add", host_call, "µs", "one bare exit", exit_time),
        Row(
            "host_call.add.host_share",
            host_call - exit_time,
            "µs",
            "wasmtime-py, whole host call",
            their_many / HOST_CALLS,
        ),
    ]
