"""wasi:cli: arguments, environment, exits and terminals."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from hlwasm.errors import Err, ProgramExit
from hlwasm.wasi import WasiHost

MakeHost = Callable[..., WasiHost]


def cli(host: WasiHost, interface: str) -> Any:
    served = host.interface(f"wasi:cli/{interface}@0.2.12")
    assert served is not None
    return served


def test_environment(make_host: MakeHost) -> None:
    environment = cli(make_host(args=["prog", "-x", "é"], env={"A": "1", "B": ""}), "environment")
    assert environment.get_arguments() == ["prog", "-x", "é"]
    assert environment.get_environment() == [("A", "1"), ("B", "")]
    assert environment.initial_cwd() is None


def test_nothing_of_this_process_by_default(make_host: MakeHost) -> None:
    environment = cli(make_host(), "environment")
    assert environment.get_arguments() == []
    assert environment.get_environment() == []


def test_exit_by_result(make_host: MakeHost) -> None:
    class Ok:
        value = None

    exit_ = cli(make_host(), "exit")
    with pytest.raises(ProgramExit) as caught:
        exit_.exit(Ok())
    assert caught.value.code == 0
    with pytest.raises(ProgramExit) as caught:
        exit_.exit(Err(None))
    assert caught.value.code == 1


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_exit_with_code(make_host: MakeHost, code: int) -> None:
    with pytest.raises(ProgramExit) as caught:
        cli(make_host(), "exit").exit_with_code(code)
    assert caught.value.code == code


def test_streams(make_host: MakeHost) -> None:
    host = make_host(stdin=b"x")
    assert cli(host, "stdin").get_stdin() is host.stdin
    assert cli(host, "stdout").get_stdout() is host.stdout
    assert cli(host, "stderr").get_stderr() is host.stderr
    assert host.stdout is not host.stderr


def test_files_and_loggers_are_no_terminals(make_host: MakeHost) -> None:
    closed = io.BytesIO()
    closed.close()
    host = make_host(stdin=closed, stdout=io.BytesIO())
    assert cli(host, "terminal-stdin").get_terminal_stdin() is None
    assert cli(host, "terminal-stdout").get_terminal_stdout() is None
    assert cli(host, "terminal-stderr").get_terminal_stderr() is None


def test_terminals(make_host: MakeHost, terminal: tuple[io.FileIO, io.BufferedReader]) -> None:
    person, program = terminal
    host = make_host(stdin=program, stdout=person, stderr=person)
    for name in ("stdin", "stdout", "stderr"):
        found = getattr(cli(host, f"terminal-{name}"), f"get_terminal_{name}")()
        assert found is not None
        found.close()
