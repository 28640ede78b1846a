"""`hlwasm run` with real programs in real micro-VMs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import wasmtime

from hlwasm.cli import exit_codes
from tests.unit.artifact.files import ADD, large_module
from tests.unit.artifact.workers import is_running, wait_until_gone, workers_of

from . import programs
from .programs import save
from .running import CommandLine

pytestmark = pytest.mark.hypervisor


@pytest.mark.parametrize("code", [0, 1, 7, 100, 255])
def test_the_programs_exit_code_comes_through(
    hlwasm: CommandLine, tmp_path: Path, code: int
) -> None:
    done = hlwasm("run", save(tmp_path, programs.exit_with(code)))
    assert (done.code, done.stdout, done.stderr) == (code, "", "")


def test_arguments_are_passed_on_untouched(hlwasm: CommandLine, tmp_path: Path) -> None:
    arguments = ["-c", "print(1)", "--help", "--", "-", "--memory=1", "", "é ∀", "--quiet"]
    done = hlwasm("run", "--quiet", save(tmp_path, programs.ARGUMENTS), *arguments)
    assert done.code == 0
    assert done.stdout.split("\0") == ["program.wat", *arguments, ""]


def test_the_environment_is_what_was_granted(hlwasm: CommandLine, tmp_path: Path) -> None:
    program = save(tmp_path, programs.ENVIRONMENT)
    done = hlwasm("run", program)
    assert done.stdout == ""
    done = hlwasm(
        *("run", "--env", "A=1", "-e", "B=x=y", "-e", "PASSED", "-e", "UNSET_VARIABLE"),
        *("--env", "EMPTY=", program, "--env", "C=3"),
        env={"PASSED": "on"},
    )
    assert sorted(done.stdout.split("\0")) == ["", "A=1", "B=x=y", "EMPTY=", "PASSED=on"]


def test_streams_are_connected(hlwasm: CommandLine, tmp_path: Path) -> None:
    data = os.urandom(300_000)
    command = hlwasm.command("run", save(tmp_path, programs.CAT))
    done = subprocess.run(command, input=data, capture_output=True, env=hlwasm.environment({}))
    assert done.returncode == 0
    assert done.stdout == data


def test_streams_flow_while_the_program_runs(hlwasm: CommandLine, tmp_path: Path) -> None:
    process = subprocess.Popen(
        hlwasm.command("run", save(tmp_path, programs.CAT)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=hlwasm.environment({}),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for line in (b"one\n", b"two\n"):
        process.stdin.write(line)
        process.stdin.flush()
        assert process.stdout.readline() == line
    process.stdin.close()
    assert process.stdout.read() == b""
    assert process.wait() == 0
    process.stdout.close()


def test_streams_may_be_closed(hlwasm: CommandLine, tmp_path: Path) -> None:
    program = save(tmp_path, programs.exit_with(3))
    command = " ".join(f"'{word}'" for word in hlwasm.command("run", program))
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        done = subprocess.run(["sh", "-c", f"{command} {closed}"], env=hlwasm.environment({}))
        assert done.returncode == 3, closed


def test_a_trap_has_its_code_and_frames(hlwasm: CommandLine, tmp_path: Path) -> None:
    done = hlwasm("run", save(tmp_path, programs.TRAP))
    assert done.code == exit_codes.TRAP
    assert done.stdout == ""
    assert "divide by zero" in done.error
    frames = [line for line in done.stderr.splitlines() if line.startswith("  at ")]
    assert "faulty!divide" in frames[0]
    assert "faulty!start" in frames[1]
    assert "Traceback" not in done.stderr


def test_every_kind_of_file(hlwasm: CommandLine, tmp_path: Path) -> None:
    text = programs.exit_with(9)
    binary = tmp_path / "program.wasm"
    binary.write_bytes(wasmtime.wat2wasm(text))
    assert hlwasm("run", binary).code == 9
    assert hlwasm("run", "-", stdin=text.encode()).code == 9
    assert hlwasm("run", "-", "--version", stdin=binary.read_bytes()).code == 9
    artifact = tmp_path / "program.cwasm"
    assert hlwasm("compile", binary, "-o", artifact).code == 0
    assert hlwasm("run", artifact).code == 9
    assert hlwasm("run", "-", stdin=artifact.read_bytes()).code == 9


def test_what_is_no_program(hlwasm: CommandLine, tmp_path: Path) -> None:
    done = hlwasm("run", save(tmp_path, ADD.decode()))
    assert done.code == exit_codes.USAGE
    assert "is not a program: it does not export wasi:cli/run" in done.stderr


def test_an_option_that_there_is_not(hlwasm: CommandLine, tmp_path: Path) -> None:
    done = hlwasm("run", "--memroy", "1G", save(tmp_path, ADD.decode()))
    assert done.code == exit_codes.USAGE
    assert "No such option '--memroy'" in done.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "program.wasm: the input is empty"),
        (b"\0asm\x01\0\0\0\x07", "program.wasm: "),
        (b"hello", "program.wasm: not WebAssembly: it starts with"),
        (b"(module", "program.wasm: "),
    ],
)
def test_bad_input(hlwasm: CommandLine, tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "program.wasm"
    path.write_bytes(content)
    done = hlwasm("run", path)
    assert done.code == exit_codes.LOAD
    assert done.stderr.startswith("hlwasm: ")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_memory_is_limited(hlwasm: CommandLine, tmp_path: Path) -> None:
    program = save(tmp_path, programs.LARGE_MEMORY)
    assert hlwasm("run", program).code == 0
    done = hlwasm("run", "--memory", "64M", program)
    assert done.code == exit_codes.LIMIT
    assert "memory" in done.error
    done = hlwasm("run", "--memory", "8G", program)
    assert done.code == exit_codes.USAGE


def test_an_import_that_nobody_provides(hlwasm: CommandLine, tmp_path: Path) -> None:
    program = save(
        tmp_path,
        '(module (import "env" "log" (func $log (param i32))) (memory (export "memory") 1)'
        ' (func (export "f") (call $log (i32.const 1))) (func (export "g"))'
        ' (func (export "_start")))',
    )
    done = hlwasm("run", program)
    assert done.code == exit_codes.LINK
    assert "log" in done.stderr
    assert "--allow-missing-imports" in done.stderr
    assert hlwasm("run", "--allow-missing-imports", program).code == 0
    # One cannot give an import to `call`, so there it is an error only if it is called.
    assert hlwasm("call", program, "g()").code == 0
    done = hlwasm("call", program, "f()")
    assert done.code == exit_codes.LINK
    assert "which nobody provides" in done.error


def test_timings_are_told_on_request(hlwasm: CommandLine, tmp_path: Path) -> None:
    program = save(tmp_path, programs.exit_with(4))
    hlwasm("run", program)
    done = hlwasm("run", "--timings", program)
    assert done.code == 4
    for step in ("start of Python", "load (cached)", "VM creation", "first call", "total"):
        assert f"  {step} " in done.stderr
    assert "load (compiled)" in hlwasm("run", "--timings", "--no-cache", program).stderr
    # With an option that takes a value, the command line is read by click.
    for options in ((), ("--memory", "64M")):
        steps = json.loads(hlwasm("run", *options, "--timings-json", program).stderr)
        assert {"imports", "load", "VM_creation", "guest_boot", "first_call"} <= steps.keys()
        assert all(value > 0 for value in steps.values())


def test_without_the_cache_nothing_is_kept(fresh: CommandLine, tmp_path: Path) -> None:
    program = save(tmp_path, programs.exit_with(0))
    assert fresh("run", "--no-cache", program).code == 0
    assert not fresh.cache.exists()
    assert fresh("run", program).code == 0
    assert len(list((fresh.cache / "artifacts").iterdir())) == 1


def test_a_long_compile_is_told_unless_quiet(fresh: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "large.wasm"
    path.write_bytes(large_module(50_000))
    done = fresh("call", path, "f(1)")
    assert done.code == 0
    assert done.stderr.startswith(f"hlwasm: {path}: compiling ")
    assert fresh("call", "--quiet", "--no-cache", path, "f(1)").stderr == ""


def _interrupted(hlwasm: CommandLine, *arguments: str | Path, after: float) -> tuple[int, str]:
    process = subprocess.Popen(
        hlwasm.command(*arguments),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=hlwasm.environment({}),
    )
    try:
        time.sleep(after)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, errors = process.communicate(timeout=20)
        assert time.monotonic() - began < 3
    finally:
        process.kill()
    return process.returncode, errors


def test_ctrl_c_ends_a_program_that_never_does(hlwasm: CommandLine, tmp_path: Path) -> None:
    program = save(tmp_path, programs.LOOP)
    assert hlwasm("compile", program, "-o", tmp_path / "loop.cwasm").code == 0
    code, errors = _interrupted(hlwasm, "run", tmp_path / "loop.cwasm", after=1.5)
    assert code == exit_codes.INTERRUPTED
    assert errors.strip() == "hlwasm: interrupted"


def test_ctrl_c_ends_a_compile(fresh: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "large.wasm"
    path.write_bytes(large_module(150_000))
    process = subprocess.Popen(
        fresh.command("compile", "--quiet", path),
        stderr=subprocess.PIPE,
        text=True,
        env=fresh.environment({}),
    )
    deadline = time.monotonic() + 30
    while not (found := workers_of(process.pid)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.3)
    assert is_running(found[0])
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == exit_codes.INTERRUPTED
    assert errors.strip() == "hlwasm: interrupted"
    assert wait_until_gone(found[0])
    assert not (tmp_path / "large.cwasm").exists()
    # The hash of a large input is kept once nobody has written to it for two seconds, which
    # may have passed.
    files = [path.name for path in fresh.cache.rglob("*") if path.is_file()]
    assert files in ([], ["sources.json"])


def test_without_a_hypervisor(hlwasm: CommandLine, tmp_path: Path) -> None:
    """In a mount namespace of its own, where /dev/kvm is something else."""
    program = save(tmp_path, programs.exit_with(0))
    hide = ["unshare", "-Urm", "sh", "-c", 'mount --bind /dev/null /dev/kvm && exec "$@"', "sh"]
    if subprocess.run([*hide, "true"], capture_output=True).returncode:
        pytest.skip("this machine allows no mount namespaces")
    for arguments in (("run", program), ("doctor",)):
        done = subprocess.run(
            [*hide, *hlwasm.command(*arguments)],
            capture_output=True,
            text=True,
            env=hlwasm.environment({}),
        )
        assert done.returncode == exit_codes.NO_HYPERVISOR, done
        assert "Traceback" not in done.stderr
        assert "/dev/kvm" in done.stdout + done.stderr
