"""wordcount_c: a command for WASI preview 1, made from C."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

import hlwasm
from tests.integration.conftest import Start

pytestmark = [pytest.mark.hypervisor, pytest.mark.toolchain("ziglang")]

INPUT = b"one two\nthree \xff\n\n four"


def run(start: Start, *args: str, stdin: Any = INPUT, **env: str) -> tuple[int, bytes, bytes]:
    out, err = io.BytesIO(), io.BytesIO()
    wasi = hlwasm.Wasi(args=("wordcount", *args), env=env, stdin=stdin, stdout=out, stderr=err)
    sandbox = start("wordcount_c", wasi=wasi)
    code = sandbox.run()
    return code, out.getvalue(), err.getvalue()


def test_standard_input(start: Start) -> None:
    assert run(start) == (0, b"      3       5      22 -\n", b"")


def test_input_from_a_file(start: Start) -> None:
    assert run(start, stdin=io.BytesIO(b"a b"))[1] == b"      0       2       3 -\n"
    assert run(start, stdin=None)[1] == b"      0       0       0 -\n"


def test_environment(start: Start) -> None:
    _, out, _ = run(start, WORDCOUNT_FORMAT="json", OTHER="ü")
    assert json.loads(out) == {"name": "-", "lines": 3, "words": 5, "bytes": 22}


@pytest.mark.parametrize(
    ("args", "code"),
    [(("--max", "5"), 0), (("--max", "4"), 3), (("--max", "x"), 2), (("--max",), 2)],
)
def test_exit_codes(start: Start, args: tuple[str, ...], code: int) -> None:
    assert run(start, *args)[0] == code


def test_no_files_are_granted(start: Start) -> None:
    code, out, err = run(start, "/etc/passwd", "-")
    assert code == 1
    assert out == b"      3       5      22 -\n"
    assert err.startswith(b"wordcount: /etc/passwd: ")


def test_a_program_that_ended_is_not_run_again(start: Start) -> None:
    sandbox = start("wordcount_c", wasi=hlwasm.Wasi(args=["wc", "--max", "x"], stderr=None))
    assert sandbox.run() == 2
    with pytest.raises(hlwasm.SandboxStateError):
        sandbox.run()


def test_large_input(start: Start) -> None:
    data = b"word another\n" * 100_000
    assert run(start, stdin=data)[1].split() == [b"100000", b"200000", b"1300000", b"-"]


def test_output_that_the_host_refuses(start: Start) -> None:
    class Full(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            raise OSError("disk full")

    sandbox = start("wordcount_c", wasi=hlwasm.Wasi(args=["wc"], stdin=b"a", stdout=Full()))
    try:
        code = sandbox.run()
    except OSError as error:
        assert str(error) == "disk full"
    else:
        assert code == 0
