"""WASI in snapshots: real streams, clocks and interrupts, put back here and elsewhere."""

from __future__ import annotations

import io
import json
import logging
import os
import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from hlwasm.errors import Cancelled, Err, SnapshotError
from hlwasm.wasi import Wasi, WasiHost
from hlwasm.wasi.cli import Terminal
from hlwasm.wasi.polling import Interest, Pollable, Timer, Waiter
from hlwasm.wasi.snapshot import WasiState
from hlwasm.wasi.streams import Error, InputStream, OutputStream

if TYPE_CHECKING:
    from tests.unit.wasi.conftest import Pipe

MakeHost = Callable[..., WasiHost]
MS = 1_000_000


def elsewhere(state: WasiState) -> WasiState:
    """The state as another process gets it."""
    copy: WasiState = pickle.loads(pickle.dumps(state))
    # Plain data, so that a file needs nothing stronger than JSON.
    assert WasiState.from_plain(json.loads(json.dumps(state.as_dict()))) == copy == state
    return copy


def case_of(error: Err[object]) -> str:
    case: str = error.value.wit_case  # type: ignore[attr-defined]
    return case


def at_end(stream: InputStream) -> bool:
    with pytest.raises(Err) as caught:
        stream.read(1)
    return case_of(caught.value) == "closed"


# Standard input ---------------------------------------------------------------------


def test_bytes_are_read_again_from_where_they_were(make_host: MakeHost) -> None:
    host = make_host(stdin=b"abcdef")
    fresh = host.capture()
    assert host.stdin.read(2) == b"ab"
    later = host.capture()
    assert host.stdin.read(9) == b"cdef"
    assert at_end(host.stdin)
    for _ in range(2):
        host.restore(later)
        assert host.stdin.read(3) == b"cde"
        host.restore(fresh)
        assert host.stdin.read(3) == b"abc"


def test_the_end_stays_reported(make_host: MakeHost) -> None:
    host = make_host(stdin=b"ab")
    host.stdin.read(2)
    assert at_end(host.stdin)
    state = host.capture()
    clone = make_host(stdin=b"abc")
    clone.restore(elsewhere(state))
    assert at_end(clone.stdin)
    assert vars(clone)["stdin"].position == 2


def test_a_clone_goes_on_in_the_same_bytes_only(make_host: MakeHost, pipe: Pipe) -> None:
    host = make_host(stdin=b"abcdef")
    host.stdin.read(3)
    state = elsewhere(host.capture())
    clone = make_host(stdin=b"abc and others")
    clone.restore(state)
    assert clone.stdin.read(20) == b" and others"
    for other in (b"abX", b"ab", b"", None, pipe.reader):
        with pytest.raises(SnapshotError, match="had read 3 bytes of standard input"):
            make_host(stdin=other).restore(state)


def test_input_that_was_not_read_may_be_any(make_host: MakeHost) -> None:
    host = make_host(stdin=b"first")
    _ = host.stdin
    clone = make_host(stdin=b"second")
    clone.restore(elsewhere(host.capture()))
    assert clone.stdin.read(10) == b"second"


def test_a_pipe_goes_on_where_it_is(make_host: MakeHost, pipe: Pipe) -> None:
    pipe.writer.write(b"abcdef")
    host = make_host(stdin=pipe.reader)
    assert host.stdin.read(2) == b"ab"
    state = host.capture()
    assert host.stdin.read(2) == b"cd"
    host.restore(state)
    assert host.stdin.read(9) == b"ef"
    pipe.writer.close()
    assert at_end(host.stdin)
    host.restore(state)
    assert host.stdin.subscribe().ready()
    assert at_end(host.stdin)


# Output -----------------------------------------------------------------------------


def test_what_was_written_is_passed_on_at_the_snapshot(make_host: MakeHost) -> None:
    out = io.BytesIO()
    host = make_host(stdout=io.BufferedWriter(out, 1 << 20))
    host.stdout.write(b"before")
    assert out.getvalue() == b""
    host.capture()
    assert out.getvalue() == b"before"


def test_output_that_cannot_be_passed_on_is_named(make_host: MakeHost) -> None:
    full = open("/dev/full", "wb")  # noqa: PTH123, SIM115
    host = make_host(stderr=full)
    host.stderr.write(b"x")
    with pytest.raises(SnapshotError, match=r"wrote to stderr cannot be passed on.*No space"):
        host.capture()
    with pytest.raises(OSError, match="No space"):
        full.close()


def test_a_broken_pipe_of_one_request_is_not_the_next_one_s(
    make_host: MakeHost, pipe: Pipe
) -> None:
    host = make_host(stdout=pipe.writer)
    state = host.capture()
    pipe.reader.close()
    for _ in range(3):
        # It fails anew, rather than being closed from the start.
        assert host.stdout.check_write() > 0
        with pytest.raises(Err):
            host.stdout.write(b"x")
        assert host.stdout.closed
        host.restore(state)
    host.capture()


def test_an_output_that_had_failed_stays_closed(make_host: MakeHost) -> None:
    with open("/dev/full", "wb", buffering=0) as full:  # noqa: PTH123
        host = make_host(stdout=full)
        with pytest.raises(Err):
            host.stdout.write(b"x")
        state = elsewhere(host.capture())
    clone = make_host(stdout=io.BytesIO())
    clone.restore(state)
    with pytest.raises(Err) as caught:
        clone.stdout.check_write()
    assert case_of(caught.value) == "closed"


def test_half_a_line_is_not_joined_with_the_next_request_s(
    make_host: MakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hlwasm.guest")
    host = make_host()
    host.stdout.write(b"start")
    state = host.capture()
    host.stdout.write(b"first\nsecret of the first")
    host.restore(state)
    host.stdout.write(b"second\n")
    host.restore(state)
    host.stdout.write(b"third")
    clone = make_host()
    clone.restore(elsewhere(state))
    clone.stdout.write(b"clone\n")
    host.close()
    assert [record.getMessage() for record in caplog.records] == [
        "start", "first", "secret of the first", "second", "clone", "third",
    ]  # fmt: skip


def test_nothing_of_one_stream_leaks_when_only_the_other_was_used(
    make_host: MakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hlwasm.guest")
    host = make_host()
    state = host.capture()
    host.restore(state)
    host.stderr.write(b"half")
    host.restore(state)
    host.stderr.write(b"other\n")
    assert [record.getMessage() for record in caplog.records] == ["half", "other"]


# Interrupts and the fast path -------------------------------------------------------


@pytest.mark.parametrize("waited_before", [False, True])
def test_an_interrupt_of_one_request_does_not_end_the_next(
    make_host: MakeHost, waited_before: bool
) -> None:
    host = make_host()
    if waited_before:
        Timer(host.waiter, host.waiter.clock() + 2 * MS).block()
    state = host.capture()
    for _ in range(2):
        host.interrupt(Cancelled("too late"))
        host.restore(state)
        Timer(host.waiter, host.waiter.clock() + 2 * MS).block()


def test_an_interrupt_before_the_snapshot_is_taken_back_too(make_host: MakeHost) -> None:
    host = make_host()
    host.interrupt(Cancelled("before"))
    host.restore(host.capture())
    Timer(host.waiter, host.waiter.clock() + 2 * MS).block()


def test_a_restore_with_nothing_to_do_looks_at_nothing(make_host: MakeHost) -> None:
    host = make_host(stdin=b"abcdef")
    host.stdin.read(2)
    state = host.capture()
    host.restore(state)

    def looked() -> dict[str, Any]:
        raise AssertionError("a stream was looked at")

    host.opened_streams = looked  # type: ignore[method-assign]
    host.restore(state)
    host.stdin.read(1)
    with pytest.raises(AssertionError, match="was looked at"):
        host.restore(state)


def test_an_untouched_host_opens_no_streams(make_host: MakeHost) -> None:
    host = make_host(stdin=b"x")
    state = host.capture()
    assert state == WasiState()
    host.restore(elsewhere(state))
    assert host.opened_streams() == {}


# Resources --------------------------------------------------------------------------


def again(host: WasiHost, value: object, clone: WasiHost | None = None) -> Any:
    captured = host.capture_resource(value)
    assert captured is not None
    token = json.loads(json.dumps(captured.token))
    return (clone or host).restore_resource(token)


@pytest.mark.parametrize("name", ["stdin", "stdout", "stderr"])
def test_standard_streams_are_the_host_s_own(make_host: MakeHost, name: str) -> None:
    host, clone = make_host(), make_host()
    stream = getattr(host, name)
    assert again(host, stream) is stream
    assert again(host, stream, clone) is getattr(clone, name)
    assert clone.capture_resource(stream) is None


def test_pollables_of_streams(make_host: MakeHost, pipe: Pipe) -> None:
    host = make_host(stdin=pipe.reader)
    waiting = again(host, host.stdin.subscribe())
    assert not waiting.ready()
    pipe.writer.write(b"x")
    assert waiting.ready()
    assert again(host, host.stdout.subscribe()).ready()
    assert again(host, Pollable()).ready()


def test_a_pollable_goes_with_the_stream_of_the_clone(make_host: MakeHost, pipe: Pipe) -> None:
    host, clone = make_host(stdin=b"all there"), make_host(stdin=pipe.reader)
    pollable = again(host, host.stdin.subscribe(), clone)
    assert not pollable.ready()
    pipe.writer.write(b"x")
    assert pollable.ready()


def test_timers(make_host: MakeHost) -> None:
    now = 1_000
    host = make_host(monotonic_clock=lambda: now)
    clone = make_host(monotonic_clock=lambda: 50_000)
    clock: Any = host.interface("wasi:clocks/monotonic-clock@0.2.0")
    duration, instant = clock.subscribe_duration(100), clock.subscribe_instant(1_100)
    assert duration.interest() == instant.interest() == Interest(instant=1_100)
    now = 1_040
    captured = host.capture_resource(duration)
    assert captured is not None
    assert not captured.fixed
    # A duration stands still in the snapshot; an instant is what the clock shows.
    assert again(host, duration, clone).interest() == Interest(instant=50_060)
    assert again(host, instant, clone).interest() == Interest(instant=1_100)
    now = 9_000
    assert not host.restore_resource(captured.token).ready()  # type: ignore[attr-defined]
    assert again(host, duration, clone).ready()
    assert again(host, instant).ready()


def test_errors_keep_their_codes(make_host: MakeHost) -> None:
    host, clone = make_host(), make_host()
    types: Any = clone.interface("wasi:filesystem/types@0.2.0")
    for cause, code in (
        (OSError(28, "No space left on device"), "insufficient-space"),
        (OSError("odd"), None),
        (None, None),
    ):
        error = again(host, Error("a message", cause), clone)
        assert error.to_debug_string() == "a message"
        assert types.filesystem_error_code(error) == code
        assert (error.cause is None) == (cause is None)


def test_terminals(make_host: MakeHost) -> None:
    assert type(again(make_host(), Terminal())) is Terminal


class Mine(Pollable):
    pass


class MyError(Error):
    pass


@pytest.mark.parametrize(
    "value",
    [
        Mine(),
        MyError("x"),
        Timer(Waiter(), 5),
        InputStream(),
        OutputStream(),
        object(),
        None,
        3,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_the_user_s_is_left_to_the_user(make_host: MakeHost, value: object) -> None:
    host = make_host()
    _ = host.stdin, host.stdout
    assert host.capture_resource(value) is None


@pytest.mark.parametrize(
    "plain",
    [
        None,
        [],
        {},
        {"closed": [], "stdin_position": 0},
        {"closed": [], "stdin_position": -1, "stdin_digest": ""},
        {"closed": [], "stdin_position": "1", "stdin_digest": ""},
        {"closed": ["stdio"], "stdin_position": 0, "stdin_digest": ""},
        {"closed": [[]], "stdin_position": 0, "stdin_digest": ""},
        {"closed": 3, "stdin_position": 0, "stdin_digest": ""},
        {"closed": [], "stdin_position": 0, "stdin_digest": None},
        {"closed": [], "stdin_position": 0, "stdin_digest": "", "more": 1},
    ],
)
def test_a_state_from_a_file_is_checked(plain: object) -> None:
    with pytest.raises(SnapshotError, match="state of WASI is not valid"):
        WasiState.from_plain(plain)


@pytest.mark.parametrize(
    "token",
    [
        ("timer", -1),
        ("instant", 1 << 64),
        (),
        ("nothing",),
        ("timer", "x"),
        ("pollable", "stdio"),
        ("error", 5, None),
        None,
        5,
    ],
)
def test_unknown_tokens_are_refused(make_host: MakeHost, token: object) -> None:
    with pytest.raises(SnapshotError, match="does not know"):
        make_host().restore_resource(token)


# Random bytes -----------------------------------------------------------------------


def test_random_bytes_differ_after_each_restore(make_host: MakeHost) -> None:
    host = make_host()
    source: Any = host.interface("wasi:random/random@0.2.0")
    seed: Any = host.interface("wasi:random/insecure-seed@0.2.0")
    state = host.capture()
    drawn = set()
    for _ in range(5):
        drawn |= {source.get_random_bytes(16), seed.insecure_seed()}
        host.restore(state)
    assert len(drawn) == 10


# What may be repeated ---------------------------------------------------------------


REPEATABLE = {
    ("wasi:cli/environment", "get-arguments"),
    ("wasi:cli/environment", "get-environment"),
    ("wasi:cli/environment", "initial-cwd"),
    ("wasi:cli/stdin", "get-stdin"),
    ("wasi:cli/stdout", "get-stdout"),
    ("wasi:cli/stderr", "get-stderr"),
    ("wasi:cli/terminal-stdin", "get-terminal-stdin"),
    ("wasi:cli/terminal-stdout", "get-terminal-stdout"),
    ("wasi:cli/terminal-stderr", "get-terminal-stderr"),
    ("wasi:filesystem/preopens", "get-directories"),
}


def functions() -> set[tuple[str, str]]:
    """Every function of every interface that hlwasm serves, by WIT name."""
    from hlwasm.wasi.host import _INTERFACES

    host = WasiHost()
    return {
        (name, attribute.rstrip("_").replace("_", "-"))
        for name in _INTERFACES
        for attribute in dir(type(host.interface(f"{name}@0.2.0")))
        if not attribute.startswith("_")
    }


def test_which_functions_may_be_repeated() -> None:
    host = WasiHost()
    found = {(i, f) for i, f in functions() if host.repeatable(f"{i}@0.2.6", f)}
    assert found == REPEATABLE


@pytest.mark.parametrize(
    ("interface", "function"),
    [
        ("wasi:clocks/monotonic-clock@0.2.0", "now"),
        ("wasi:clocks/wall-clock@0.2.0", "now"),
        ("wasi:random/random@0.2.0", "get-random-bytes"),
        ("wasi:random/insecure-seed@0.2.0", "insecure-seed"),
        ("wasi:io/streams@0.2.0", "[method]input-stream.read"),
        ("wasi:cli/exit@0.2.0", "exit"),
        ("wasi:cli/environment@0.3.0", "get-arguments"),
        ("wasi:cli/environment", "get-arguments"),
        ("my:cli/environment@0.2.0", "get-arguments"),
        ("", ""),
    ],
)
def test_others_may_not(interface: str, function: str) -> None:
    assert not WasiHost().repeatable(interface, function)


def test_repeatable_functions_answer_from_the_grants_alone(make_host: MakeHost) -> None:
    def answers(**grants: Any) -> tuple[object, ...]:
        return make_host(**grants).repeatable_answers()

    base = {"args": ["p", "x"], "env": {"A": "1"}, "stdin": b"one"}
    assert answers(**base) == answers(**base | {"stdin": b"two"})
    assert hash(answers(**base)) == hash(answers(**base))
    assert answers(**base) != answers(**base | {"args": ["p"]})
    assert answers(**base) != answers(**base | {"env": {"A": "2"}})
    person, program = os.openpty()
    with open(person, "rb") as _, open(program, "rb") as terminal:  # noqa: PTH123
        assert answers(**base) != answers(**base | {"stdin": terminal})


def test_a_host_of_another_config_can_be_restored() -> None:
    host, clone = WasiHost(Wasi(args=["a"])), WasiHost(Wasi(args=["b"]))
    clone.restore(elsewhere(host.capture()))
    environment: Any = clone.interface("wasi:cli/environment@0.2.0")
    assert environment.get_arguments() == ["b"]
