"""What a call costs: guest calls, host calls, and their share of the host."""

from __future__ import annotations

from functools import partial

from benchmarks.host_part import HostPart
from benchmarks.measure import Row, Times, interleaved
from benchmarks.peers import (
    WasmtimePeer,
    bare_exits,
    export_named,
    open_sandbox,
    repeat_in_guest,
)

EXITS = 20
HOST_CALLS = 20
REPEATS = 20_000


def measure() -> list[Row]:
    """add(s32, s32) in all its parts."""
    peer = WasmtimePeer()
    peer_add, peer_host_calls = peer.function("add"), peer.function("host-calls")
    with open_sandbox() as sandbox:
        add, host_calls = sandbox.exports.add, sandbox.exports.host_calls
        index = export_named(sandbox, "add").index
        assert add(2, 3) == peer_add(2, 3) == 5
        assert host_calls(4) == peer_host_calls(4) == 4
        # All that is compared with each other, in turns.
        exits, no_exits, call, theirs, many, none, their_many = interleaved(
            [
                partial(bare_exits, sandbox, EXITS),
                partial(bare_exits, sandbox, 0),
                partial(add, 2, 3),
                partial(peer_add, 2, 3),
                partial(host_calls, HOST_CALLS),
                partial(host_calls, 0),
                partial(peer_host_calls, HOST_CALLS),
            ],
            count=5,
            batches=300,
        )
        add(2, 3)
        in_guest, once = interleaved(
            [
                partial(repeat_in_guest, sandbox, index, REPEATS),
                partial(repeat_in_guest, sandbox, index, 1),
            ],
            count=1,
            batches=15,
        )
        host_part = HostPart(sandbox.component)
    host_calls_alone = Times.of([host_part.host_call() for _ in range(25)])
    call_alone = Times.of([host_part.call() for _ in range(25)])
    host_part.close()
    bare = Times((exits.value - no_exits.value) / EXITS, exits.spread)
    host_call = Times((many.value - none.value) / HOST_CALLS, many.spread)
    guest_part = Times((in_guest.value - once.value) / (REPEATS - 1), in_guest.spread)
    their_host_call = Times(their_many.value / HOST_CALLS, their_many.spread)
    return [
        Row.of("exit.bare", bare),
        Row.of("call.add", call, "one bare exit", bare, 1.3 * bare.value + 5, goal_of="value"),
        # Total less one bare exit: true, and noisy, for the exit is ten times as long.
        Row.of("call.add.host_share", call.minus(bare), "wasmtime-py, whole call", theirs, 0.5),
        Row.of("call.add.host_alone", call_alone, "wasmtime-py, whole call", theirs),
        Row.of("call.add.in_guest", guest_part, "one bare exit", bare),
        Row.of("host_call.add", host_call, "one bare exit", bare),
        Row.of(
            "host_call.add.host_share",
            host_call.minus(bare),
            "wasmtime-py, whole host call",
            their_host_call,
        ),
        Row.of(
            "host_call.add.host_alone",
            host_calls_alone,
            "wasmtime-py, whole host call",
            their_host_call,
        ),
    ]
