"""Limits on the command line."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from hlwasm.cli import exit_codes

from . import programs
from .programs import save
from .running import CommandLine

pytestmark = pytest.mark.hypervisor

HELLO = b"0123456789"


def test_a_loop_ends_with_its_fuel(hlwasm: CommandLine, tmp_path: Path) -> None:
    program = save(tmp_path, programs.LOOP)
    done = hlwasm("run", "-q", "--fuel", "1000000", program)
    assert (done.code, done.stdout) == (exit_codes.LIMIT, "")
    assert "used up its 1000000 units of fuel" in done.error


def test_fuel_of_a_call(hlwasm: CommandLine, tmp_path: Path) -> None:
    text = """(module (func (export "spin") (param i32) (loop $again (br_if $again
      (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"""
    program = save(tmp_path, text)
    assert hlwasm("call", "-q", "--fuel", "100000", program, "spin(1000)").code == 0
    assert hlwasm("call", "-q", "--fuel", "1000", program, "spin(1000)").code == exit_codes.LIMIT


def test_an_artifact_for_fuel_is_compiled_ahead(hlwasm: CommandLine, tmp_path: Path) -> None:
    program = save(tmp_path, programs.LOOP)
    for options, code in [(("--fuel",), exit_codes.LIMIT), ((), exit_codes.LOAD)]:
        artifact = tmp_path / "program.cwasm"
        assert hlwasm("compile", "-q", *options, program, "-o", artifact).code == 0
        assert ("counted" in hlwasm("inspect", artifact).stdout) is bool(options)
        done = hlwasm("run", "-q", "--fuel", "1000", artifact)
        assert done.code == code
    assert "--fuel" in done.error


@pytest.mark.parametrize(("limit", "code"), [("10", 0), ("9", exit_codes.LIMIT)])
def test_output_ends_at_its_limit(
    hlwasm: CommandLine, tmp_path: Path, limit: str, code: int
) -> None:
    program = save(tmp_path, programs.CAT)
    done = hlwasm("run", "-q", "--max-output", limit, program, stdin=HELLO)
    assert done.code == code
    assert done.stdout.encode() == HELLO[: int(limit)]
    assert not code or "raise --max-output if it may" in done.error


def test_host_calls_end_at_their_limit(hlwasm: CommandLine, tmp_path: Path) -> None:
    program = save(tmp_path, programs.CAT)
    assert hlwasm("run", "-q", "--max-host-calls", "1000", program, stdin=HELLO).code == 0
    done = hlwasm("run", "-q", "--max-host-calls", "2", program, stdin=HELLO)
    assert done.code == exit_codes.LIMIT
    assert "more than 2 host calls" in done.error


def test_all_memory_has_a_limit(hlwasm: CommandLine, tmp_path: Path) -> None:
    program = save(tmp_path, programs.LARGE_MEMORY)
    assert hlwasm("run", "-q", "--total-memory", "101M", program).code == 0
    done = hlwasm("run", "-q", "--total-memory", "99M", program)
    assert done.code == exit_codes.LIMIT
    assert "raise --total-memory to at least" in done.error


def test_a_program_that_loops_ends_at_its_deadline(hlwasm: CommandLine, tmp_path: Path) -> None:
    program = save(tmp_path, programs.LOOP)
    done = hlwasm("run", "-q", "--deadline", "0.2", program)
    assert (done.code, done.stdout) == (exit_codes.DEADLINE, "")
    told = "hlwasm: the call took longer than 0.2 s: raise --deadline if it may"
    assert done.stderr.splitlines() == [told]
    assert hlwasm("run", "-q", "--deadline", "60", save(tmp_path, programs.CAT)).code == 0


def test_a_program_that_waits_for_input_ends_at_its_deadline(
    hlwasm: CommandLine, tmp_path: Path
) -> None:
    program = save(tmp_path, programs.CAT)
    assert hlwasm("run", "-q", program).code == 0
    reader, writer = os.pipe()
    try:
        started = time.monotonic()
        command = hlwasm.command("run", "-q", "--deadline", "0.2", program)
        done = subprocess.run(
            command, stdin=reader, capture_output=True, env=hlwasm.environment({}), timeout=60
        )
        assert done.returncode == exit_codes.DEADLINE
        assert time.monotonic() - started < 30
    finally:
        os.close(reader)
        os.close(writer)


def test_a_call_ends_at_its_deadline(hlwasm: CommandLine, tmp_path: Path) -> None:
    text = """(module (func (export "spin") (loop $again (br $again)))
      (func (export "one") (result i32) (i32.const 1)))"""
    program = save(tmp_path, text)
    assert hlwasm("call", "-q", "--deadline", "60", program, "one()").stdout == "1\n"
    done = hlwasm("call", "-q", "--deadline", "0.2", program, "spin()")
    assert done.code == exit_codes.DEADLINE
    assert "--deadline" in done.error


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--fuel", "-1"), ("--fuel", "x"), ("--fuel", str(1 << 63)), ("--max-output", "many"),
        ("--max-host-calls", "1.5"), ("--deadline", "0"), ("--deadline", "-1"),
        ("--deadline", "soon"), ("--deadline", "nan"), ("--deadline", "inf"), ("--memory", "1"),
        ("--total-memory", "-3"),
    ],
)  # fmt: skip
def test_limits_that_make_no_sense_are_wrong_use(
    hlwasm: CommandLine, tmp_path: Path, option: str, value: str
) -> None:
    done = hlwasm("run", "-q", option, value, save(tmp_path, programs.CAT))
    assert done.code == exit_codes.USAGE
    assert option in done.stderr
