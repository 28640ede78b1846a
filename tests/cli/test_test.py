"""`hlwasm test` as users see it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hlwasm.cli import exit_codes
from tests.integration.testing.planted import planted
from tests.wit_packages import package

from .running import CommandLine

pytestmark = pytest.mark.hypervisor


@pytest.fixture
def bugs(tmp_path: Path) -> Path:
    path = tmp_path / "bugs.wat"
    path.write_bytes(planted())
    return path


def test_a_failure_is_told_with_a_command_that_shows_it_again(
    hlwasm: CommandLine, bugs: Path
) -> None:
    ended = hlwasm("test", bugs, "--function", "over", "--examples", "40")
    assert ended.code == 1
    assert ended.stderr == ""
    report = ended.stdout.splitlines()
    assert report[0] == "FAILED over: trap: wasm `unreachable` instruction executed"
    assert report[1].startswith("    at M!over ")
    assert report[2] == "  call       over(1001)"
    assert report[-1].startswith(f"{bugs}: 1 failure, 40 examples in ")
    assert report[-1].endswith(", seed 0")
    again = next(line for line in report if line.startswith("  again by"))
    command = shlex.split(again)[2:]
    assert command == ["hlwasm", "call", str(bugs), "over(1001)"]
    assert hlwasm(*command[1:]).code == 134


def test_constants_of_the_code_are_among_the_arguments(hlwasm: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "locked.wat"
    path.write_text("""(module (func (export "open") (param i32)
      (if (i32.eq (local.get 0) (i32.const 0x12345678)) (then unreachable))))""")
    ended = hlwasm("test", path)
    assert ended.code == 1
    assert "  call       open(305419896)" in ended.stdout.splitlines()


def test_the_wit_may_be_in_binary_form(
    hlwasm: CommandLine, component_path: Callable[[str], Path], tmp_path: Path
) -> None:
    wit = tmp_path / "tools.wasm"
    wit.write_bytes(package())
    arguments = ("test", component_path("calculator"), "--wit", wit, "--conformance-only")
    ended = hlwasm(*arguments, "--world", "tool")
    assert ended.code == 1
    assert "  missing export demo:tools/ops@1.0.0" in ended.stdout
    assert hlwasm(*arguments, "--world", "other").code == exit_codes.LOAD
    wit.write_bytes(package()[:100])
    ended = hlwasm(*arguments)
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith(f"hlwasm: {wit}: ")


@pytest.mark.parametrize("name", ["ask", "[method]counter.plus", "roll", "count"])
def test_every_kind_of_command_shows_it_again(hlwasm: CommandLine, bugs: Path, name: str) -> None:
    stateless = ["--stateless"] if name == "count" else []
    ended = hlwasm("test", bugs, "--function", name, "--examples", "40", *stateless)
    assert ended.code == 1
    lines = ended.stdout.splitlines()
    command = shlex.split(next(line for line in lines if line.startswith("  again by")))[3:]
    again = hlwasm(*command)
    assert again.code == 1
    assert again.stdout.splitlines()[0] == lines[0]


def test_a_clean_component(
    hlwasm: CommandLine, component_path: Callable[[str], Path], tmp_path: Path
) -> None:
    out = tmp_path / "report.json"
    ended = hlwasm(
        "test", component_path("calculator"), "--examples", "20", "--seed", "5", "--json", out
    )
    assert ended.code == 0
    assert ": no failures, 100 examples in " in ended.stdout
    report = json.loads(out.read_text())
    assert report["passed"] and report["complete"]
    assert report["seed"] == 5
    assert [row["function"] for row in report["coverage"] if row["side"] == "export"] == [
        "ops.add", "ops.subtract", "ops.multiply", "ops.divide", "ops.total",
    ]  # fmt: skip


def test_json_of_a_failure(hlwasm: CommandLine, bugs: Path) -> None:
    ended = hlwasm("test", bugs, "--function", "ask", "--examples", "40", "--json", "-", "-q")
    assert ended.code == 1
    assert ended.stderr.startswith("FAILED ask: trap: ")
    report = json.loads(ended.stdout)
    (failure,) = report["failures"]
    assert failure["kind"] == "trap"
    assert failure["calls"] == ["ask(0)"]
    assert failure["answers"] == ["oracle = some(-1)"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--function", "nope"], "the component exports no function nope"),
        (["--examples", "0"], "0 is not in the range"),
        (["--replay", "over(x)"], "expected u32, got 'x'"),
        (["--answer", "oracle = none"], "--answer is for --replay"),
        (["--replay", "ask(1)", "--answer", "nope = 1"], "no import is called nope"),
        (["--conformance-only", "--wit", "x.wit", "--json", "-"], "--json is a report of a test"),
        (["--allow-chance", "luck"], "'luck' is not one of 'random', 'clock'"),
    ],
)
def test_wrong_command_lines(
    hlwasm: CommandLine, bugs: Path, options: list[str], problem: str
) -> None:
    ended = hlwasm("test", bugs, *options)
    assert ended.code == 2
    assert problem in ended.stderr
    assert ended.stdout == ""


def test_a_report_that_cannot_be_written_is_told_before_the_test(
    hlwasm: CommandLine, bugs: Path, tmp_path: Path
) -> None:
    ended = hlwasm("test", bugs, "--json", tmp_path / "none" / "report.json")
    assert (ended.code, ended.stdout) == (120, "")
    assert (
        ended.stderr == f"hlwasm: {tmp_path / 'none' / 'report.json'}: No such file or directory\n"
    )


def test_a_replay_tells_of_its_calls_alone(
    hlwasm: CommandLine, component_path: Callable[[str], Path]
) -> None:
    path = component_path("calculator")
    ended = hlwasm("test", path, "--replay", "ops.add(1, 2)", "--deadline", "0.5")
    assert ended.code == 0
    (line,) = ended.stdout.splitlines()
    assert line.startswith(f"{path}: no failures, 1 example in ")


def test_nothing_in_common_is_no_success(
    hlwasm: CommandLine, component_path: Callable[[str], Path]
) -> None:
    ended = hlwasm("test", component_path("calculator"), "--against", "json:dumps")
    assert ended.code == 1
    assert ": nothing was tested, 0 examples in " in ended.stdout


def test_files_that_are_none(hlwasm: CommandLine, tmp_path: Path) -> None:
    assert hlwasm("test", tmp_path / "nothing.wasm").code == 120
    empty = tmp_path / "empty.wat"
    empty.write_text("(component)")
    ended = hlwasm("test", empty)
    assert ended.code == 2
    assert "exports no function" in ended.stderr


def cpu_seconds(pid: int) -> float:
    """Time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_ctrl_c_tells_what_was_found(hlwasm: CommandLine, bugs: Path) -> None:
    command = hlwasm.command("test", bugs, "--examples", "1000000", "--function", "over")
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=hlwasm.environment({})
    )
    # Three seconds of its own time: it is past its start, and has found the failure.
    while cpu_seconds(process.pid) < 3:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"  call       over(1001)" in stdout
    assert b"\n  interrupted\n" in stdout
    assert stderr == b""


def test_conformance_comes_first(
    hlwasm: CommandLine, component_path: Callable[[str], Path], tmp_path: Path
) -> None:
    component = component_path("calculator")
    wit = component.parent.parent / "calculator" / "wit"
    ended = hlwasm("test", component, "--wit", wit, "--examples", "5")
    assert ended.code == 0
    first = f"{component}: conforms to demo:calculator/calculator@1.0.0"
    assert ended.stdout.splitlines()[0] == first
    other = tmp_path / "other.wit"
    text = (wit / "world.wit").read_text()
    other.write_text(text.replace("divide: func(a: s32, b: s32)", "divide: func(a: s32, b: s64)"))
    ended = hlwasm("test", component, "--wit", other, "--conformance-only")
    assert ended.code == 1
    assert ended.stdout.splitlines() == [
        f"{component}: does not conform to demo:calculator/calculator@1.0.0",
        "  different export demo:calculator/ops@1.0.0#divide: parameter b: s32 instead of s64",
    ]


def test_what_was_never_reached_is_told_once(
    hlwasm: CommandLine, component_path: Callable[[str], Path]
) -> None:
    ended = hlwasm(
        "test", component_path("template_js"), "--examples", "1", "--function", "engine.render"
    )
    lines = ended.stdout.splitlines()
    missed = lines[lines.index("never reached") + 1 : -2]
    assert missed
    points = [line.partition("  ")[2] for line in map(str.strip, missed)]
    for point in points:
        assert not [each for each in points if point.startswith(f"{each}(")], points


def test_wit_that_is_none(hlwasm: CommandLine, bugs: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.wit"
    wrong.write_text("package a:b; world w { export f: fun(); }")
    ended = hlwasm("test", bugs, "--wit", wrong)
    assert ended.code == 120
    assert "wrong.wit:1" in ended.error
    assert hlwasm("test", bugs, "--wit", tmp_path / "nothing").code == 120
    assert (
        "--world and --conformance-only need --wit" in hlwasm("test", bugs, "--world", "w").stderr
    )


def test_against_another_version(hlwasm: CommandLine, bugs: Path, tmp_path: Path) -> None:
    newer = tmp_path / "newer.wat"
    newer.write_bytes(planted(limit=2000))
    ended = hlwasm("test", bugs, "--against", newer, "--function", "over", "--examples", "400")
    assert ended.code == 1
    lines = ended.stdout.splitlines()
    at = lines.index("FAILED over: different: the end differs")
    assert lines[at + 1 : at + 4] == [
        "    here       failed: trap: wasm `unreachable` instruction executed",
        "    newer.wat  1001",
        "  call       over(1001)",
    ]
    command = shlex.split(lines[at + 4])[3:]
    assert "FAILED over: different" in hlwasm(*command).stdout


def test_against_a_python_class(hlwasm: CommandLine, bugs: Path, tmp_path: Path) -> None:
    (tmp_path / "reference.py").write_text(
        "class Planted:\n    def add(self, a, b):\n        return (a + b + 2**31) % 2**32 - 2**31\n"
    )
    command = hlwasm.command(
        "test", bugs, "--against", "reference:Planted", "--function", "add", "--examples", "20"
    )
    root = str(Path(__file__).parent.parent.parent)
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=hlwasm.environment({"PYTHONPATH": root}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert ": no failures, 20 examples in " in done.stdout


def test_against_nothing_that_there_is(hlwasm: CommandLine, bugs: Path, tmp_path: Path) -> None:
    ended = hlwasm("test", bugs, "--against", "no_such_module:Thing")
    assert ended.code == 2
    assert "--against no_such_module:Thing: No module named 'no_such_module'" in ended.stderr
    assert hlwasm("test", bugs, "--against", tmp_path / "nothing.wasm").code == 120


def test_against_wasmtime(hlwasm: CommandLine, bugs: Path) -> None:
    ended = hlwasm(
        "test", bugs, "--against", "wasmtime", "--function", "divide", "--examples", "20"
    )
    assert ended.code == 0
    assert "not compared" not in ended.stdout
