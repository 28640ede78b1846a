"""CPython as a program for WASI preview 1: the largest one that a registry has."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest

import hlwasm
from tests.integration.conftest import CancelAfter, Start

pytestmark = [pytest.mark.hypervisor, pytest.mark.toolchain("node")]


def run(
    start: Start, code: str, *args: str, stdin: bytes = b"", **options: Any
) -> tuple[int, str, str]:
    out, err = io.BytesIO(), io.BytesIO()
    wasi = hlwasm.Wasi(
        args=("python", "-c", code, *args), stdin=stdin, stdout=out, stderr=err, **options
    )
    exit_code = start("cpython", wasi=wasi).run()
    return exit_code, out.getvalue().decode(), err.getvalue().decode()


def test_a_program_with_arguments_and_input(start: Start) -> None:
    code = "import sys; print(sys.argv[1:], sys.stdin.read().upper(), sys.platform)"
    assert run(start, code, "a", "ü", stdin="größe".encode()) == (
        0,
        "['a', 'ü'] GRÖSSE wasi\n",
        "",
    )


def test_environment_is_only_what_is_granted(start: Start) -> None:
    code = "import os; print(dict(os.environ))"
    assert run(start, code, env={"NAME": "wörld"})[1] == "{'NAME': 'wörld'}\n"
    assert run(start, code)[1] == "{}\n"


def test_exit_codes_and_tracebacks(start: Start) -> None:
    assert run(start, "raise SystemExit(37)")[0] == 37
    code, out, err = run(start, "1/0")
    assert (code, out) == (1, "")
    assert "ZeroDivisionError: division by zero" in err


def test_the_standard_library_works(start: Start) -> None:
    code = """
import collections, decimal, hashlib, json, re, struct
print(json.dumps({"sum": sum(range(10**5)), "pi": str(decimal.Decimal(2).sqrt())}))
print(hashlib.sha256(b"x" * 10**6).hexdigest())
print(collections.Counter(re.findall("[a-z]", "hello world")).most_common(1))
"""
    import decimal
    import hashlib
    import json

    root = str(decimal.Decimal(2).sqrt())
    assert run(start, code)[1].splitlines() == [
        json.dumps({"sum": sum(range(10**5)), "pi": root}),
        hashlib.sha256(b"x" * 10**6).hexdigest(),
        "[('l', 3)]",
    ]


def test_clocks_and_random_bytes_are_the_host_s(start: Start) -> None:
    code = "import time, os; print(time.time_ns(), os.urandom(4))"
    moment = 1_700_000_000_123_456_789
    _, out, _ = run(start, code, wall_clock=lambda: moment, random=lambda count: b"r" * count)
    assert out == f"{moment} {b'rrrr'!r}\n"


def test_sleep_is_the_host_s(start: Start) -> None:
    now = [10**9]

    def sleep(nanoseconds: int) -> None:
        now[0] += nanoseconds

    code = "import time; a = time.monotonic(); time.sleep(3600); print(time.monotonic() - a)"
    _, out, _ = run(start, code, monotonic_clock=lambda: now[0], sleep=sleep)
    assert float(out) == pytest.approx(3600, abs=1)


def test_nothing_of_the_host_is_reachable(start: Start) -> None:
    code = f"""
import os
for path in ("/", "/etc/passwd", {sys.executable!r}):
    try:
        print("reached", os.listdir(path) if path == "/" else open(path))
    except OSError as error:
        print(type(error).__name__)
"""
    _, out, _ = run(start, code)
    assert "reached" not in out
    assert len(out.splitlines()) == 3
    assert run(start, "import socket; socket.create_connection(('127.0.0.1', 1))")[0] != 0


def test_memory_ends_at_the_limit(start: Start) -> None:
    wasi = hlwasm.Wasi(
        args=("python", "-c", "x = bytearray(200 << 20)"), stderr=(err := io.BytesIO())
    )
    limits = hlwasm.Limits(memory=64 << 20)
    assert start("cpython", wasi=wasi, limits=limits).run() == 1
    assert b"MemoryError" in err.getvalue()


def test_an_endless_program_is_cancelled(start: Start, cancel_after: CancelAfter) -> None:
    sandbox = start("cpython", wasi=hlwasm.Wasi(args=("python", "-c", "while True: pass")))
    with cancel_after(sandbox, 1.0), pytest.raises(hlwasm.Cancelled):
        sandbox.run()
    assert sandbox.status is hlwasm.Status.POISONED


def test_deep_recursion_is_python_s_own_error(start: Start) -> None:
    code, _, err = run(start, "def f(): return f()\nf()")
    assert code == 1
    assert "RecursionError" in err


def test_two_interpreters_side_by_side(start: Start) -> None:
    outputs = [run(start, "import sys; print(sys.argv[1] * 3)", str(i))[1] for i in range(2)]
    assert outputs == ["000\n", "111\n"]
