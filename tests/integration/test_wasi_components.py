"""Programs that call WASI 0.2 themselves, and CPython as a program of preview 1."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from hlwasm import Component, UnsupportedImport, Wasi
from tests.integration.conftest import Load, Start

pytestmark = pytest.mark.hypervisor

Outcome = tuple[int, str, str]


def run(component: Component, *args: str, imports: Any = None, **grants: Any) -> Outcome:
    """Exit code, output and error output of a program."""
    out, err = io.BytesIO(), io.BytesIO()
    wasi = Wasi(args=("program", *args), stdout=out, stderr=err, **grants)
    with component.instantiate(imports, wasi=wasi) as sandbox:
        code = sandbox.run()
    return code, out.getvalue().decode(), err.getvalue().decode()


class TestComponent:
    """wasi_program_py, whose C library calls streams, poll and clocks directly."""

    pytestmark = pytest.mark.toolchain("componentize-py")

    @pytest.fixture
    def program(self, load: Load) -> Component:
        return load("wasi_program_py")

    def test_arguments_and_environment(self, program: Component) -> None:
        code, out, err = run(program, "show", env={"COLOUR": "grün"})
        assert (code, err) == (0, "")
        assert out == ("['program', 'show']\n{'COLOUR': 'grün'}\n[False, False, False]\n")

    def test_input_and_output(self, program: Component) -> None:
        assert run(program, "upper", stdin="ein\nzwei\nöl".encode()) == (0, "EIN\nZWEI\nÖL", "")
        text = b"0123456789abcde\n" * 2000
        assert run(program, "count", stdin=io.BytesIO(text * 50)) == (0, "100000 1600000\n", "")
        assert run(program, "upper", stdin=text)[1] == text.decode().upper()

    def test_results_become_exit_codes(self, program: Component) -> None:
        assert run(program, "fail") == (1, "", "this did not go well\n")
        assert run(program, "exit", "0") == (0, "", "")
        # WASI 0.2 knows success and failure only; Python has no exit-with-code yet.
        assert run(program, "exit", "5") == (1, "", "")

    def test_sleep(self, program: Component) -> None:
        before = time.time()
        code, out, _ = run(program, "sleep", "0.05")
        slept, now = out.split()
        assert code == 0
        assert 0.05 <= float(slept) < 2
        assert int(before) <= int(now) <= time.time()

    def test_random(self, program: Component) -> None:
        _, out, _ = run(program, "random", "100000")
        assert len(bytes.fromhex(out)) == 100_000

    def test_select_on_a_pipe(self, program: Component) -> None:
        read_end, write_end = os.pipe()
        with (
            open(read_end, "rb") as stdin,  # noqa: PTH123
            open(write_end, "wb", buffering=0) as writer,  # noqa: PTH123
        ):
            assert run(program, "wait", "0.03", stdin=stdin)[1] == "nothing\n"
            late = threading.Timer(0.1, writer.write, [b"x"])
            late.start()
            assert run(program, "wait", "60", stdin=stdin)[1] == "input\n"
            late.join()

    def test_an_interface_can_be_replaced(self, program: Component) -> None:
        then = SimpleNamespace(seconds=86_400, nanoseconds=0)
        clock = SimpleNamespace(now=lambda: then, resolution=lambda: then)
        _, out, _ = run(program, "sleep", "0", imports={"wasi:clocks/wall-clock": clock})
        assert out.split()[1] == "86400"


class TestCPython:
    """CPython 3.12 behind the preview 1 adapter."""

    pytestmark = pytest.mark.toolchain("node")

    @pytest.fixture
    def python(self, load: Load) -> Callable[..., Outcome]:
        component = load("cpython")
        return lambda code, **grants: run(component, "-c", code, **grants)

    def test_standard_library(self, python: Callable[..., Outcome]) -> None:
        code = "import hashlib, json, sys; print(json.dumps(hashlib.sha256(b'x').hexdigest()[:8]))"
        assert python(code) == (0, '"2d711642"\n', "")

    def test_standard_streams(self, python: Callable[..., Outcome]) -> None:
        code = "import sys; sys.stderr.write('e'); print(sys.stdin.read()[::-1])"
        assert python(code, stdin=b"abc") == (0, "cba\n", "e")

    def test_exit_codes_and_tracebacks(self, python: Callable[..., Outcome]) -> None:
        assert python("raise SystemExit(42)") == (42, "", "")
        code, out, err = python("1/0")
        assert (code, out) == (1, "")
        assert err.endswith("ZeroDivisionError: division by zero\n")

    def test_nothing_of_the_host(self, python: Callable[..., Outcome]) -> None:
        code = (
            "import os\n"
            "print(dict(os.environ))\n"
            "for path in ('/etc/passwd', '/proc/self/environ', '../../etc/hostname'):\n"
            "    try: open(path); print('opened', path)\n"
            "    except OSError as error: print(type(error).__name__)\n"
        )
        _, out, _ = python(code)
        lines = out.splitlines()
        assert lines[0] == "{}"
        assert len(lines) == 4
        assert not any(line.startswith("opened") for line in lines)


def test_imports_that_are_not_provided_link_and_raise_when_called(start: Start) -> None:
    text = b"""(component
      (import "wasi:sockets/instance-network@0.2.9" (instance $network
        (export "network" (type $resource (sub resource)))
        (export "instance-network" (func (result (own $resource))))))
      (core func $call (canon lower (func $network "instance-network")))
      (core module $m
        (import "" "call" (func $call (result i32)))
        (func (export "ask") (drop (call $call)))
        (func (export "idle")))
      (core instance $i (instantiate $m (with "" (instance (export "call" (func $call))))))
      (func (export "ask") (canon lift (core func $i "ask")))
      (func (export "idle") (canon lift (core func $i "idle"))))"""
    sandbox = start(text)
    sandbox.exports.idle()
    with pytest.raises(UnsupportedImport) as caught:
        sandbox.exports.ask()
    assert caught.value.name == "wasi:sockets/instance-network@0.2.9#instance-network"
