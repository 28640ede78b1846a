"""The rules that WASI sets for every stream, on streams over real bytes and files."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from hlwasm.errors import Err, Trap
from hlwasm.wasi import Wasi, WasiHost
from hlwasm.wasi.streams import CHUNK, WRITE_PERMIT, InputStream, OutputStream

MakeHost = Callable[..., WasiHost]
U64_MAX = (1 << 64) - 1


def case_of(error: Err[object]) -> str:
    """The case of a stream-error."""
    case: str = error.value.wit_case  # type: ignore[attr-defined]
    return case


# Input ------------------------------------------------------------------------------


def test_read_gives_what_is_there_and_then_closed(make_host: MakeHost) -> None:
    stdin = make_host(stdin=b"hello").stdin
    assert stdin.read(3) == b"hel"
    assert stdin.read(100) == b"lo"
    for read in (stdin.read, stdin.blocking_read, stdin.skip, stdin.blocking_skip):
        with pytest.raises(Err) as caught:
            read(1)
        assert case_of(caught.value) == "closed"


def test_no_input_is_at_its_end(make_host: MakeHost) -> None:
    with pytest.raises(Err) as caught:
        make_host().stdin.blocking_read(1)
    assert case_of(caught.value) == "closed"


def test_reading_nothing_tells_open_from_closed(make_host: MakeHost) -> None:
    stdin = make_host(stdin=b"a").stdin
    assert stdin.read(0) == b""
    assert stdin.blocking_read(0) == b""
    assert stdin.skip(0) == 0
    assert stdin.read(1) == b"a"
    with pytest.raises(Err):
        stdin.read(1)
    with pytest.raises(Err) as caught:
        stdin.read(0)
    assert case_of(caught.value) == "closed"


def test_skip_counts(make_host: MakeHost) -> None:
    stdin = make_host(stdin=b"abcdef").stdin
    assert stdin.skip(2) == 2
    assert stdin.blocking_skip(1) == 1
    assert stdin.read(10) == b"def"


@pytest.mark.parametrize("source", [bytes, io.BytesIO])
def test_one_read_is_bounded_whatever_the_guest_asks(
    make_host: MakeHost, source: Callable[[bytes], object]
) -> None:
    content = bytes(range(256)) * (CHUNK // 128)
    stdin = make_host(stdin=source(content)).stdin
    pieces = []
    with pytest.raises(Err):
        while True:
            pieces.append(stdin.read(U64_MAX))
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) == CHUNK


def test_input_that_is_all_there_is_always_ready(make_host: MakeHost) -> None:
    stdin = make_host(stdin=b"a").stdin
    assert stdin.subscribe().ready()
    stdin.read(5)
    assert stdin.subscribe().ready()


# Output -----------------------------------------------------------------------------


def test_output_arrives_in_order(make_host: MakeHost) -> None:
    out = io.BytesIO()
    stdout = make_host(stdout=out).stdout
    assert stdout.check_write() >= 64 * 1024
    stdout.write(b"one ")
    stdout.write_zeroes(2)
    stdout.blocking_write_and_flush(b" two ")
    stdout.blocking_write_zeroes_and_flush(1)
    stdout.flush()
    stdout.blocking_flush()
    stdout.write(b"")
    assert out.getvalue() == b"one \0\0 two \0"


def test_flush_passes_on_what_a_buffered_file_holds(make_host: MakeHost) -> None:
    raw = io.BytesIO()
    stdout = make_host(stdout=io.BufferedWriter(raw, 1 << 20)).stdout
    stdout.write(b"x")
    assert raw.getvalue() == b""
    stdout.flush()
    assert raw.getvalue() == b"x"
    stdout.write(b"y")
    stdout.close()
    assert raw.getvalue() == b"xy"


def test_write_takes_all_that_was_permitted_and_traps_beyond(make_host: MakeHost) -> None:
    out = io.BytesIO()
    stdout = make_host(stdout=out).stdout
    permit = stdout.check_write()
    stdout.write(bytes(permit))
    stdout.write_zeroes(permit)
    assert len(out.getvalue()) == 2 * permit
    with pytest.raises(Trap, match=r"\[method\]output-stream\.write:"):
        stdout.write(bytes(permit + 1))
    with pytest.raises(Trap, match="write-zeroes"):
        stdout.write_zeroes(U64_MAX)
    with pytest.raises(Trap, match="blocking-write-zeroes-and-flush"):
        stdout.blocking_write_zeroes_and_flush(4097)
    assert len(out.getvalue()) == 2 * permit


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, WRITE_PERMIT, 2 * WRITE_PERMIT + 1])
def test_blocking_write_takes_any_size(make_host: MakeHost, size: int) -> None:
    out = io.BytesIO()
    content = bytes(range(251)) * (size // 251 + 1)
    make_host(stdout=out).stdout.blocking_write_and_flush(content[:size])
    assert out.getvalue() == content[:size]


@pytest.mark.parametrize("permit", [5, 7_000_000])
def test_the_permit_follows_the_transfer_memory(permit: int) -> None:
    chunks: list[bytes] = []
    host = WasiHost(Wasi(stdout=chunks.append), write_permit=permit)
    assert host.stdout.check_write() == permit
    host.stdout.write_zeroes(permit)
    assert sum(map(len, chunks)) == permit
    chunks.clear()
    host.stdout.blocking_write_and_flush(b"123456789")
    assert b"".join(chunks) == b"123456789"
    assert max(map(len, chunks)) <= permit
    with pytest.raises(Trap):
        host.stdout.write(bytes(permit + 1))


def test_output_is_always_ready(make_host: MakeHost) -> None:
    pollable = make_host(stdout=io.BytesIO()).stdout.subscribe()
    assert pollable.ready()
    pollable.block()


def test_discarded_output_still_keeps_the_rules(make_host: MakeHost) -> None:
    stdout = make_host(stdout=None).stdout
    stdout.blocking_write_and_flush(b"gone")
    with pytest.raises(Trap):
        stdout.write(bytes(stdout.check_write() + 1))


def test_all_handles_are_one_stream(make_host: MakeHost) -> None:
    out = io.BytesIO()
    host = make_host(stdout=out)
    first, second = host.stdout, host.stdout
    first.write(b"1")
    first.close()
    second.write(b"2")
    assert out.getvalue() == b"12"


# Splice -----------------------------------------------------------------------------


def test_splice_moves_what_is_asked(make_host: MakeHost) -> None:
    out = io.BytesIO()
    host = make_host(stdin=b"hello world", stdout=out)
    assert host.stdout.splice(host.stdin, 5) == 5
    assert host.stdout.splice(host.stdin, 0) == 0
    assert host.stdout.blocking_splice(host.stdin, U64_MAX) == 6
    assert out.getvalue() == b"hello world"
    with pytest.raises(Err) as caught:
        host.stdout.splice(host.stdin, 1)
    assert case_of(caught.value) == "closed"


def test_splice_into_a_closed_stream_reads_nothing() -> None:
    out = OutputStream()
    out._closed = True
    source = WasiHost().stdin
    reads: list[int] = []

    class Recording(InputStream):
        def _receive(self, length: int) -> bytes:
            reads.append(length)
            return b"x"

    for splice in (out.splice, out.blocking_splice):
        with pytest.raises(Err):
            splice(Recording(), 1)
    assert reads == []
    assert source.subscribe().ready()
