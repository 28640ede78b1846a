"""What holds for all commands: help, versions, wrong use, how errors look."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hlwasm import errors
from hlwasm.cli import exit_codes
from hlwasm.cli.failures import exit_code_of, message_of
from hlwasm.text import count_text, printable, size_text

from .running import CommandLine

COMMANDS = ("run", "call", "replay", "inspect", "compile", "doctor", "cache")


def test_the_overview_names_all_commands_and_codes(hlwasm: CommandLine) -> None:
    for arguments in (("--help",), ("-h",)):
        done = hlwasm(*arguments)
        assert done.code == 0
        for command in COMMANDS:
            assert f"  {command}" in done.stdout
        for code in exit_codes.MEANINGS:
            assert f"    {code} " in done.stdout


@pytest.mark.parametrize("command", [*COMMANDS, "cache clear", "cache prune", "cache verify"])
def test_every_command_has_help(hlwasm: CommandLine, command: str) -> None:
    done = hlwasm(*command.split(), "--help")
    assert done.code == 0
    assert done.stdout.startswith(f"Usage: hlwasm {command}")
    if " " not in command:
        assert "Examples:" in done.stdout
        assert f"hlwasm {command}" in done.stdout.partition("Examples:")[2]


def test_help_fits_a_terminal(hlwasm: CommandLine) -> None:
    for command in ("", *COMMANDS):
        text = hlwasm(*command.split(), "--help").stdout
        assert max(map(len, text.splitlines())) <= 100


def test_no_arguments_show_the_overview(hlwasm: CommandLine) -> None:
    done = hlwasm()
    assert done.code == exit_codes.USAGE
    assert "Commands:" in done.stdout + done.stderr


def test_the_version(hlwasm: CommandLine) -> None:
    done = hlwasm("--version")
    assert (done.code, done.stdout) == (0, "hlwasm 0.1.0\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["run"],
        ["inspect", "a", "b"],
        ["run", "--memory", "much", "x.wasm"],
        ["compile", "--transfer-memory", "1", "x.wasm"],
        ["run", "--env", "=x", "x.wasm"],
        ["cache", "prune", "--limit", "-1"],
    ],
)
def test_wrong_use_is_code_2(hlwasm: CommandLine, arguments: list[str]) -> None:
    done = hlwasm(*arguments)
    assert done.code == exit_codes.USAGE
    assert "Usage: hlwasm" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_file_is_one_line(hlwasm: CommandLine) -> None:
    for command in ("run", "inspect", "compile"):
        done = hlwasm(command, "missing.wasm")
        assert done.code == exit_codes.LOAD
        assert done.stderr == "hlwasm: missing.wasm: No such file or directory\n"


def test_tracebacks_only_on_request(hlwasm: CommandLine) -> None:
    done = hlwasm("inspect", "missing.wasm", env={"HLWASM_DEBUG": "1"})
    assert done.code == exit_codes.LOAD
    assert "Traceback" in done.stderr
    assert done.error == "hlwasm: missing.wasm: No such file or directory"


def test_help_imports_little() -> None:
    code = (
        "import sys; from hlwasm.cli.main import run_command_line; run_command_line(['--help']);"
        "print([m for m in ('wasmtime', 'rich', 'cffi', 'hlwasm.artifact', 'asyncio')"
        " if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_a_reader_that_goes_away_is_no_error(hlwasm: CommandLine, tmp_path: Path) -> None:
    command = " ".join(f"'{word}'" for word in hlwasm.command("--help"))
    done = subprocess.run(
        ["bash", "-c", f"{command} | true; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        env=hlwasm.environment({}),
    )
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidWasm("x"), exit_codes.LOAD),
        (errors.UnsupportedItem("x"), exit_codes.LOAD),
        (errors.CompileError("x"), exit_codes.LOAD),
        (errors.ArtifactError("x"), exit_codes.LOAD),
        (errors.LinkError("x"), exit_codes.LINK),
        (errors.UnsupportedImport("x"), exit_codes.LINK),
        (errors.NoHypervisorFound("x"), exit_codes.NO_HYPERVISOR),
        (errors.LimitExceeded("x"), exit_codes.LIMIT),
        (errors.DeadlineExceeded("x"), exit_codes.DEADLINE),
        (errors.Trap("x"), exit_codes.TRAP),
        (errors.ReplayMismatch("x"), exit_codes.FAILURE),
        (errors.RecordingError("x"), exit_codes.LOAD),
        (errors.GuestFault("x"), exit_codes.INTERNAL),
        (errors.GuestDataError("x"), exit_codes.INTERNAL),
        (errors.NativeError("x"), exit_codes.INTERNAL),
        (errors.WitValueError("x"), exit_codes.USAGE),
        (FileNotFoundError(2, "x"), exit_codes.LOAD),
        (KeyboardInterrupt(), exit_codes.INTERRUPTED),
        (ZeroDivisionError("x"), exit_codes.INTERNAL),
    ],
)
def test_every_error_has_its_code(error: BaseException, code: int) -> None:
    assert exit_code_of(error) == code
    assert message_of(error)


def test_no_error_of_hlwasm_is_forgotten() -> None:
    """A new exception class falls under a code by its base, or is listed here."""
    unlisted = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type)
        and issubclass(kind, errors.HlwasmError)
        and exit_code_of(kind.__new__(kind)) == exit_codes.INTERNAL
    }
    assert unlisted == {
        "HlwasmError", "GuestError", "GuestFault", "GuestDataError", "ProgramExit", "Err",
        "Cancelled", "SandboxStateError", "SandboxBusy", "ReentrantCall", "SandboxPoisoned",
        "PoolClosed", "PoolError", "PoolTimeout", "SnapshotError", "ViewInUse",
        "ComponentNotLoaded",
        "SandboxClosed", "NativeError",
    }  # fmt: skip


def test_a_trap_shows_its_frames() -> None:
    frame = errors.Frame(3, 0x1F, "app", "divide")
    text = message_of(errors.Trap("integer divide by zero", backtrace=(frame,)))
    assert text == "trap: integer divide by zero\n  at app!divide (offset 0x1f)"


def test_text_of_components_does_not_act_on_terminals() -> None:
    assert printable("a\x1b[31m\r\u202eb\x9b\ttab\nline é") == "a�[31m��b�\ttab\nline é"


def test_sizes_and_counts() -> None:
    assert [size_text(n) for n in (0, 1023, 1024, 18 << 20, 5 << 40)] == [
        "0 bytes", "1023 bytes", "1.0 KiB", "18.0 MiB", "5120.0 GiB",
    ]  # fmt: skip
    assert count_text(1, "entry") == "1 entry"
    assert count_text(2, "entry") == "2 entries"
    assert count_text(0, "day") == "0 days"
