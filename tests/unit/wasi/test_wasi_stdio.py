"""Standard streams over real pipes, files and terminals."""

from __future__ import annotations

import gzip
import io
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hlwasm.errors import Cancelled, Err
from hlwasm.wasi import LogLines, WasiHost
from hlwasm.wasi.stdio import LINE_LIMIT
from tests.interrupts import interrupted

if TYPE_CHECKING:
    from tests.unit.wasi.conftest import Pipe

MakeHost = Callable[..., WasiHost]


def case_of(error: Err[object]) -> str:
    case: str = error.value.wit_case  # type: ignore[attr-defined]
    return case


# Input from a pipe ------------------------------------------------------------------


def test_read_of_an_empty_pipe_does_not_block(make_host: MakeHost, pipe: Pipe) -> None:
    stdin = make_host(stdin=pipe.reader).stdin
    ready = stdin.subscribe()
    assert stdin.read(10) == b""
    assert stdin.skip(10) == 0
    assert not ready.ready()
    pipe.writer.write(b"abc")
    assert ready.ready()
    assert stdin.read(2) == b"ab"
    assert stdin.read(10) == b"c"
    assert stdin.read(10) == b""
    assert not ready.ready()


def test_end_of_a_pipe_is_ready_and_closed(make_host: MakeHost, pipe: Pipe) -> None:
    stdin = make_host(stdin=pipe.reader).stdin
    pipe.writer.close()
    assert stdin.subscribe().ready()
    with pytest.raises(Err) as caught:
        stdin.read(10)
    assert case_of(caught.value) == "closed"
    assert stdin.subscribe().ready()


def test_blocking_read_waits_for_the_first_byte(make_host: MakeHost, pipe: Pipe) -> None:
    stdin = make_host(stdin=pipe.reader).stdin
    writer = threading.Timer(0.05, pipe.writer.write, [b"late"])
    start, busy = time.monotonic(), time.thread_time()
    writer.start()
    assert stdin.blocking_read(100) == b"late"
    writer.join()
    assert 0.04 < time.monotonic() - start < 10
    assert time.thread_time() - busy < 0.03


def test_bytes_that_the_host_left_in_its_buffer_are_seen(make_host: MakeHost, pipe: Pipe) -> None:
    pipe.writer.write(b"for the host\nfor the guest")
    assert pipe.reader.readline() == b"for the host\n"
    stdin = make_host(stdin=pipe.reader).stdin
    assert stdin.subscribe().ready()
    assert stdin.read(4) == b"for "
    assert stdin.blocking_read(100) == b"the guest"
    assert not stdin.subscribe().ready()
    assert os.get_blocking(pipe.reader.fileno())


def test_a_descriptor_without_a_buffer(make_host: MakeHost, pipe: Pipe) -> None:
    with open(os.dup(pipe.reader.fileno()), "rb", buffering=0) as raw:  # noqa: PTH123
        stdin = make_host(stdin=raw).stdin
        assert stdin.read(5) == b""
        pipe.writer.write(b"raw")
        assert stdin.blocking_read(5) == b"raw"


def test_waiting_for_input_can_be_interrupted(make_host: MakeHost, pipe: Pipe) -> None:
    host = make_host(stdin=pipe.reader)
    sender = threading.Timer(0.05, host.waiter.interrupt, [Cancelled("stop")])
    sender.start()
    with pytest.raises(Cancelled):
        host.stdin.blocking_read(1)
    sender.join()
    interrupted(lambda: host.stdin.blocking_read(1))
    pipe.writer.write(b"x")
    assert host.stdin.blocking_read(1) == b"x"


# Input from files -------------------------------------------------------------------


def test_regular_files(make_host: MakeHost, tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"a" * 300_000)
    for buffering in (-1, 0):
        with path.open("rb", buffering=buffering) as file:
            stdin = make_host(stdin=file).stdin
            total = 0
            with pytest.raises(Err) as caught:
                while True:
                    total += len(stdin.blocking_read(1 << 40))
            assert case_of(caught.value) == "closed"
            assert total == 300_000


def test_a_file_that_is_not_its_descriptor(make_host: MakeHost, tmp_path: Path) -> None:
    path = tmp_path / "input.gz"
    path.write_bytes(gzip.compress(b"unpacked"))
    with gzip.open(path) as file:
        assert make_host(stdin=file).stdin.blocking_read(100) == b"unpacked"


def test_an_object_with_read_is_enough(make_host: MakeHost) -> None:
    class Words:
        def __init__(self) -> None:
            self.words: list[bytes | None] = [b"a", None, b"b", b""]

        def read(self, size: int) -> bytes | None:
            return self.words.pop(0)

    stdin = make_host(stdin=Words()).stdin
    assert [stdin.read(9), stdin.read(9), stdin.read(9)] == [b"a", b"", b"b"]
    with pytest.raises(Err):
        stdin.read(9)


def test_an_object_that_returns_too_much_is_told(make_host: MakeHost) -> None:
    class Greedy:
        def read(self, size: int) -> bytes:
            return bytes(size + 1)

    with pytest.raises(ValueError, match=r"read\(5\) returned 6 bytes"):
        make_host(stdin=Greedy()).stdin.read(5)


def test_a_failing_read_is_reported_once_without_naming_the_file(
    make_host: MakeHost, tmp_path: Path
) -> None:
    # Reading a directory fails with EISDIR.
    descriptor = os.open(tmp_path, os.O_RDONLY)

    class Directory:
        def read(self, size: int) -> bytes:
            try:
                return os.read(descriptor, size)
            except OSError as error:
                error.filename = str(tmp_path)
                raise

    stdin = make_host(stdin=Directory()).stdin
    try:
        with pytest.raises(Err) as caught:
            stdin.read(5)
    finally:
        os.close(descriptor)
    assert case_of(caught.value) == "last-operation-failed"
    text = caught.value.value.value.to_debug_string()
    assert "directory" in text.lower()
    assert str(tmp_path) not in text
    with pytest.raises(Err) as caught:
        stdin.read(5)
    assert case_of(caught.value) == "closed"


def test_a_file_that_the_host_closed_is_closed(make_host: MakeHost, pipe: Pipe) -> None:
    out = io.BytesIO()
    host = make_host(stdin=pipe.reader, stdout=out)
    assert host.stdin.read(1) == b""
    pipe.reader.close()
    out.close()
    with pytest.raises(Err) as caught:
        host.stdin.blocking_read(1)
    assert case_of(caught.value) == "closed"
    with pytest.raises(Err) as caught:
        host.stdout.write(b"x")
    assert case_of(caught.value) == "closed"


# Output -----------------------------------------------------------------------------


def test_a_reader_that_is_gone_closes_the_stream(make_host: MakeHost, pipe: Pipe) -> None:
    stdout = make_host(stdout=pipe.writer).stdout
    stdout.blocking_write_and_flush(b"first")
    pipe.reader.close()
    with pytest.raises(Err) as caught:
        stdout.blocking_write_and_flush(b"second")
    assert case_of(caught.value) == "closed"
    for use in (stdout.check_write, stdout.flush, stdout.blocking_flush):
        with pytest.raises(Err) as caught:
            use()
        assert case_of(caught.value) == "closed"
    assert stdout.subscribe().ready()


def test_a_full_device_fails_once_and_then_is_closed(
    make_host: MakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    with open("/dev/full", "wb", buffering=0) as full:  # noqa: PTH123
        stdout = make_host(stdout=full).stdout
        with pytest.raises(Err) as caught:
            stdout.write(b"x")
        assert case_of(caught.value) == "last-operation-failed"
        failure = caught.value.value.value
        assert failure.to_debug_string() == "No space left on device"
        assert failure.cause.errno == 28
        with pytest.raises(Err) as caught:
            stdout.check_write()
        assert case_of(caught.value) == "closed"
        stdout.close()
        assert caplog.records == []


def test_output_lost_at_the_end_is_logged(
    make_host: MakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    full = open("/dev/full", "wb")  # noqa: PTH123, SIM115
    host = make_host(stdout=full)
    host.stdout.write(b"x")
    host.close()
    assert "output of the guest was lost" in caplog.text
    with pytest.raises(OSError, match="No space"):
        full.close()


@pytest.mark.parametrize("buffering", [0, -1])
def test_a_non_blocking_pipe_gets_everything(
    make_host: MakeHost, pipe: Pipe, buffering: int
) -> None:
    os.set_blocking(pipe.write_end, False)
    content = os.urandom(400_000)
    received = bytearray()

    def drain() -> None:
        while data := pipe.reader.read1(10_000):
            received.extend(data)

    with open(os.dup(pipe.write_end), "wb", buffering=buffering) as file:  # noqa: PTH123
        host = make_host(stdout=file)
        pipe.writer.close()
        reader = threading.Thread(target=drain)
        reader.start()
        busy = time.thread_time()
        for start in range(0, len(content), 100_000):
            host.stdout.write(content[start : start + 100_000])
        host.stdout.blocking_flush()
        assert time.thread_time() - busy < 0.2
    reader.join()
    assert bytes(received) == content


def test_callables_get_chunks_and_their_errors_come_through(make_host: MakeHost) -> None:
    chunks: list[bytes] = []
    stdout = make_host(stdout=chunks.append).stdout
    stdout.write(b"a")
    stdout.blocking_write_and_flush(b"bc")
    assert chunks == [b"a", b"bc"]

    def refuse(data: bytes) -> None:
        raise PermissionError("the host says no")

    with pytest.raises(PermissionError, match="the host says no"):
        make_host(stdout=refuse).stdout.write(b"x")


def test_a_file_that_fails_otherwise_comes_through(make_host: MakeHost) -> None:
    class Odd:
        def write(self, data: bytes) -> None:
            raise ValueError("odd")

    with pytest.raises(ValueError, match="odd"):
        make_host(stdout=Odd()).stdout.write(b"x")


# Output to a logger -----------------------------------------------------------------


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


@pytest.fixture
def guest_log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "hlwasm.guest")
    return caplog


def test_lines_are_logged_by_default(
    make_host: MakeHost, guest_log: pytest.LogCaptureFixture
) -> None:
    host = make_host()
    host.stdout.blocking_write_and_flush(b"one\ntw")
    host.stderr.blocking_write_and_flush(b"oops\r\n\n")
    host.stdout.blocking_write_and_flush(b"o 100%s\nrest")
    host.stdout.close()
    assert logged(guest_log) == [
        ("INFO", "one"),
        ("WARNING", "oops"),
        ("WARNING", ""),
        ("INFO", "two 100%s"),
    ]
    host.close()
    assert logged(guest_log)[-1] == ("INFO", "rest")
    host.close()
    assert len(logged(guest_log)) == 5


def test_nothing_in_a_line_acts_on_a_terminal_or_forges_a_line(
    make_host: MakeHost, guest_log: pytest.LogCaptureFixture
) -> None:
    text = "\x1b[31mred\x07\tok\rERROR forged\x85\u2028ü\x00\n"
    make_host().stdout.write(text.encode() + b"bad \xff\xc3\n")
    assert logged(guest_log) == [
        ("INFO", "\\x1b[31mred\\x07\tok\\rERROR forged\\x85\\u2028ü\\x00"),
        ("INFO", "bad \\xff\\xc3"),
    ]


def test_a_line_without_end_does_not_grow_for_ever(
    make_host: MakeHost, guest_log: pytest.LogCaptureFixture
) -> None:
    host = make_host()
    for _ in range(10):
        host.stdout.write(b"x" * 10_000)
    assert len(host.stdout._partial) <= LINE_LIMIT  # type: ignore[attr-defined]
    host.close()
    messages = [message for _, message in logged(guest_log)]
    assert "".join(messages) == "x" * 100_000
    assert max(map(len, messages)) <= LINE_LIMIT


def test_long_lines_are_cut_between_characters(
    make_host: MakeHost, guest_log: pytest.LogCaptureFixture
) -> None:
    make_host().stdout.write("é".encode() * LINE_LIMIT + b"a" + b"\n")
    make_host().stdout.write(b"a" + "é".encode() * LINE_LIMIT + b"\n")
    text = "".join(message for _, message in logged(guest_log))
    assert text == "é" * LINE_LIMIT + "aa" + "é" * LINE_LIMIT


def test_a_logger_of_ones_own(make_host: MakeHost, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "mine")
    make_host(stderr=LogLines(logging.DEBUG, "mine")).stderr.write(b"x\n")
    assert [(r.name, r.levelno, r.getMessage()) for r in caplog.records] == [("mine", 10, "x")]


def test_lines_below_the_level_of_the_logger_are_dropped(
    make_host: MakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "hlwasm.guest")
    host = make_host()
    host.stdout.write(b"quiet\nrest")
    host.close()
    assert caplog.records == []


# Terminals --------------------------------------------------------------------------


def test_terminal_input(make_host: MakeHost, terminal: tuple[io.FileIO, io.BufferedReader]) -> None:
    person, program = terminal
    host = make_host(stdin=program)
    assert host.stdin.read(10) == b""
    person.write(b"a line\n")
    assert host.stdin.blocking_read(100) == b"a line\n"
    person.write(b"\x04")  # Ctrl-D
    with pytest.raises(Err) as caught:
        host.stdin.blocking_read(100)
    assert case_of(caught.value) == "closed"
