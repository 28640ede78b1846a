"""The grants: what they accept, and what they say about what they do not."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys

import pytest

from hlwasm.wasi import LogLines, Wasi


def test_default_grants_nothing_of_this_process() -> None:
    wasi = Wasi()
    assert wasi.args == ()
    assert wasi.env == {}
    assert wasi.stdin is None
    assert wasi.stdout == LogLines(logging.INFO, "hlwasm.guest")
    assert wasi.stderr == LogLines(logging.WARNING, "hlwasm.guest")


def test_later_changes_of_the_arguments_change_nothing() -> None:
    args, env = ["prog"], {"A": "1"}
    wasi = Wasi(args=args, env=env)
    args.append("x")
    env["B"] = "2"
    assert wasi.args == ("prog",)
    assert wasi.env == {"A": "1"}


def test_environment_stays_out_of_the_repr() -> None:
    assert "s3cret" not in repr(Wasi(env={"TOKEN": "s3cret"}))


@pytest.mark.parametrize(
    ("grants", "error", "message"),
    [
        ({"args": "prog"}, TypeError, "args: pass a sequence of strings"),
        ({"args": ["a", 1]}, TypeError, "args: 1 is not a string"),
        ({"args": ["a\0b"]}, ValueError, "args: .* null character"),
        ({"args": ["\udc80"]}, ValueError, "args: .* UTF-8"),
        ({"env": {"A": 1}}, TypeError, "env: 1 is not a string"),
        ({"env": {"A": "\0"}}, ValueError, "env: .* null character"),
        ({"env": {"A=B": "1"}}, ValueError, "env: 'A=B' is not the name"),
        ({"env": {"": "1"}}, ValueError, "env: '' is not the name"),
        ({"stdin": "text"}, TypeError, "stdin: .* not str"),
        ({"stdin": io.StringIO("text")}, TypeError, "stdin: pass a binary file"),
        ({"stdout": io.StringIO()}, TypeError, "stdout: pass a binary file"),
        ({"stderr": 2}, TypeError, "stderr: .* not int"),
    ],
)
def test_wrong_grants_are_named(
    grants: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Wasi(**grants)  # type: ignore[arg-type]


def test_inherit_passes_the_streams_through() -> None:
    program = (
        "import sys\n"
        "from hlwasm.wasi import Wasi, WasiHost\n"
        "wasi = Wasi.inherit(['prog', 'x'], {'A': '1'})\n"
        "host = WasiHost(wasi)\n"
        "host.stdout.blocking_write_and_flush(host.stdin.blocking_read(100).upper())\n"
        "host.stderr.blocking_write_and_flush(repr((wasi.args, wasi.env)).encode())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=b"hello",
        capture_output=True,
        check=True,
        env={**os.environ, "SECRET": "1"},
        timeout=60,
    )
    assert done.stdout == b"HELLO"
    assert done.stderr == b"(('prog', 'x'), {'A': '1'})"


def test_inherit_where_this_process_has_no_streams() -> None:
    program = (
        "import os, sys\n"
        "from hlwasm.wasi import Wasi\n"
        "wasi = Wasi.inherit()\n"
        "os.write(2, repr((wasi.stdin, wasi.stdout, wasi.stderr is None)).encode())\n"
    )
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" <&- >&-', sys.executable, program],
        stderr=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    assert done.stderr == b"(None, None, False)"


def test_importing_hlwasm_imports_no_wasi() -> None:
    program = (
        "import sys, hlwasm\n"
        "assert not [m for m in sys.modules if m.startswith('hlwasm.wasi')], 'too much'\n"
        "hlwasm.Wasi()\n"
        "loaded = [m for m in sys.modules if m.startswith('hlwasm.wasi.')]\n"
        "assert sorted(m[12:] for m in loaded) == ['config', 'host', 'polling'], loaded\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
