"""Output ends at the byte that its limit says, wherever it goes."""

from __future__ import annotations

import gzip
import io
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from hlwasm import Limits
from hlwasm.errors import OutputLimitExceeded
from hlwasm.sandbox.meter import CallMeter
from hlwasm.wasi import WasiHost
from hlwasm.wasi.config import LogLines, Output
from hlwasm.wasi.stdio import is_captured

from .conftest import Pipe

Make = Callable[..., WasiHost]


def limited(make_host: Make, limits: Limits, **grants: object) -> tuple[WasiHost, CallMeter]:
    host, meter = make_host(**grants), CallMeter(limits)
    host.count_output(meter)
    return host, meter


def test_a_write_that_crosses_the_limit_is_passed_on_up_to_it(make_host: Make) -> None:
    out = io.BytesIO()
    host, _ = limited(make_host, Limits(output=10), stdout=out)
    host.stdout.write(b"0123456")
    with pytest.raises(OutputLimitExceeded, match="more than 10 bytes") as caught:
        host.stdout.write(b"789ab")
    assert (caught.value.limit, caught.value.value) == ("output", 10)
    assert out.getvalue() == b"0123456789"


def test_exactly_the_limit_is_allowed_in_each_call(make_host: Make) -> None:
    chunks: list[bytes] = []
    host, meter = limited(make_host, Limits(output=10), stdout=chunks.append)
    for _ in range(3):
        meter.begin()
        host.stdout.blocking_write_and_flush(b"01234")
        host.stdout.write(b"56789")
        host.stdout.write(b"")
    with pytest.raises(OutputLimitExceeded):
        host.stdout.write(b"x")
    assert b"".join(chunks) == b"0123456789" * 3


def test_both_streams_share_the_limit(make_host: Make) -> None:
    out, err = io.BytesIO(), io.BytesIO()
    host, _ = limited(make_host, Limits(output=10), stdout=out, stderr=err)
    host.stdout.write(b"x" * 6)
    with pytest.raises(OutputLimitExceeded):
        host.stderr.write(b"y" * 6)
    assert (out.getvalue(), err.getvalue()) == (b"x" * 6, b"y" * 4)


@pytest.mark.parametrize("write", ["write_zeroes", "blocking_write_zeroes_and_flush", "splice"])
def test_every_way_to_write_is_counted(make_host: Make, write: str) -> None:
    out = io.BytesIO()
    host, _ = limited(make_host, Limits(output=3000), stdout=out, stdin=bytes(4000))
    arguments = (host.stdin, 4000) if write == "splice" else (4000,)
    with pytest.raises(OutputLimitExceeded):
        getattr(host.stdout, write)(*arguments)
    assert out.getvalue() == bytes(3000)


def test_what_is_discarded_counts_as_output_and_takes_no_memory(make_host: Make) -> None:
    host, _ = limited(make_host, Limits(captured_output=5), stdout=None)
    host.stdout.write(bytes(1000))
    host, _ = limited(make_host, Limits(output=5), stdout=None)
    with pytest.raises(OutputLimitExceeded):
        host.stdout.write(bytes(6))


def test_a_log_is_bounded_unless_chosen_otherwise(
    make_host: Make, caplog: pytest.LogCaptureFixture
) -> None:
    line = b"y" * 99 + b"\n"
    host, _ = limited(make_host, Limits(captured_output=1050))
    with caplog.at_level(logging.DEBUG), pytest.raises(OutputLimitExceeded) as caught:
        while True:
            host.stdout.write(line)
    assert (caught.value.limit, caught.value.value) == ("captured_output", 1050)
    assert len(caplog.records) == 10
    default = Limits().captured_output
    host, _ = limited(make_host, Limits(), stdout=LogLines(level=1, logger="nobody.listens"))
    with pytest.raises(OutputLimitExceeded) as caught:
        for _ in range(65):
            host.stdout.write(bytes(1 << 20))
    assert caught.value.value == default == 64 << 20


def test_a_pipe_takes_what_the_program_writes(make_host: Make, pipe: Pipe) -> None:
    host, _ = limited(make_host, Limits(captured_output=0), stdout=pipe.writer)
    host.stdout.write(b"as much as it likes")
    pipe.writer.close()
    assert pipe.reader.read() == b"as much as it likes"


def test_which_outputs_are_captured(tmp_path: Path, pipe: Pipe) -> None:
    chunks: list[bytes] = []
    with (tmp_path / "plain").open("wb") as plain, gzip.open(tmp_path / "packed", "wb") as packed:
        files: list[Output] = [plain, plain.raw, packed, pipe.writer, None]
        assert not any(map(is_captured, files))
    kept: list[Output] = [
        *(io.BytesIO(), io.BufferedWriter(io.BytesIO())),
        *(chunks.append, LogLines(level=20)),
    ]
    assert all(map(is_captured, kept))
