"""`hlwasm run --record`, `hlwasm call --record` and `hlwasm replay`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hlwasm.cli import exit_codes

from .running import CommandLine

pytestmark = pytest.mark.hypervisor


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


@pytest.fixture
def program(component_path: Callable[[str], Path]) -> Path:
    return component_path("wasi_program_py")


def test_a_program_goes_the_same_way_again(
    hlwasm: CommandLine, program: Path, recording: Path
) -> None:
    done = hlwasm("run", "-q", "--record", recording, program, "count", stdin=b"a\nb\n")
    assert (done.code, done.stdout, done.stderr) == (0, "2 4\n", "")
    again = hlwasm("replay", recording, program)
    assert again.code == 0
    assert again.stdout.endswith(" host calls: as recorded\n")
    assert again.stdout.startswith("1 call, ")
    assert hlwasm("replay", "-q", recording, program).stdout == ""


def test_how_a_program_ends_is_recorded(
    hlwasm: CommandLine, program: Path, recording: Path
) -> None:
    done = hlwasm("run", "-q", "--record", recording, program, "exit", "3")
    assert done.code == 1
    assert '"type": "ProgramExit"' in recording.read_text()
    assert hlwasm("replay", recording, program).code == 0


def test_a_call_and_its_error(
    hlwasm: CommandLine, component_path: Callable[[str], Path], recording: Path
) -> None:
    calculator = component_path("calculator")
    assert hlwasm("call", "--record", recording, calculator, "ops.divide(1, 0)").code == 1
    assert '"returns": "err(division-by-zero)"' in recording.read_text()
    assert hlwasm("replay", recording, calculator).stdout == "1 call, 0 host calls: as recorded\n"
    trapped = hlwasm("call", "--record", recording, calculator, "ops.total([1])")
    assert trapped.code == exit_codes.LINK
    assert hlwasm("replay", recording, calculator).code == 0


def test_differences_and_damage(
    hlwasm: CommandLine, program: Path, recording: Path, tmp_path: Path
) -> None:
    hlwasm("run", "-q", "--record", recording, program, "show")
    recording.write_text(recording.read_text().replace('\\"show\\"', '\\"fail\\"'))
    done = hlwasm("replay", recording, program)
    assert done.code == exit_codes.FAILURE
    assert "the replay goes another way than the recording\n  recorded: " in done.stderr
    assert "\n  now:      " in done.stderr
    for text in ("{}", "no JSON"):
        recording.write_text(text)
        damaged = hlwasm("replay", recording, program)
        assert damaged.code == exit_codes.LOAD
        assert damaged.error == f"hlwasm: {recording}, line 1: this is no recording of hlwasm"
    missing = hlwasm("replay", tmp_path / "none", program)
    assert missing.code == exit_codes.LOAD
    assert missing.error == f"hlwasm: {tmp_path / 'none'}: No such file or directory"
    unwritable = hlwasm("run", "-q", "--record", tmp_path / "x" / "y", program, "show")
    assert unwritable.code == exit_codes.LOAD
    assert unwritable.error == f"hlwasm: {tmp_path / 'x' / 'y'}: No such file or directory"


def test_limits_hold_in_a_replay(hlwasm: CommandLine, program: Path, recording: Path) -> None:
    hlwasm("run", "-q", "--record", recording, program, "show")
    done = hlwasm("replay", "-q", "--memory", "64K", recording, program)
    assert done.code == exit_codes.LIMIT
