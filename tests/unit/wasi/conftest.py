"""Real pipes and a real terminal, closed when the test ends."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import pytest

from hlwasm.wasi import Wasi, WasiHost
from hlwasm.wasi.polling import Waiter


@dataclass
class Pipe:
    """A pipe of the operating system: what a test writes or reads, and the guest's end."""

    reader: io.BufferedReader
    writer: io.FileIO

    @property
    def write_end(self) -> int:
        return self.writer.fileno()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    read_end, write_end = os.pipe()
    with ExitStack() as stack:
        reader = stack.enter_context(open(read_end, "rb"))  # noqa: PTH123
        writer = stack.enter_context(open(write_end, "wb", buffering=0))  # noqa: PTH123
        yield Pipe(reader, writer)


@pytest.fixture
def waiter() -> Iterator[Waiter]:
    waiter = Waiter()
    yield waiter
    waiter.close()


@pytest.fixture
def make_host() -> Iterator[Callable[..., WasiHost]]:
    hosts: list[WasiHost] = []

    def make(**grants: object) -> WasiHost:
        host = WasiHost(Wasi(**grants))  # type: ignore[arg-type]
        hosts.append(host)
        return host

    yield make
    for host in hosts:
        host.close()


@pytest.fixture
def terminal() -> Iterator[tuple[io.FileIO, io.BufferedReader]]:
    """The two ends of a pseudo-terminal: the person's, and the program's."""
    person, program = os.openpty()
    with (
        open(person, "r+b", buffering=0) as person_file,  # noqa: PTH123
        open(program, "rb") as program_file,  # noqa: PTH123
    ):
        yield person_file, program_file
        with suppress(OSError):
            person_file.flush()
