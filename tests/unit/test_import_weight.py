"""What a cold start imports and how often it leaves the VM: counted, not timed.

The limits are what is needed today and a little more. A new module on the way to a first
call costs every program that is started; think whether it can be imported later.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import hlwasm

PROGRAM = """(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\06\\00\\00\\00")
  (data (i32.const 16) "hello\\n")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
"""
CALLS = b"""(component
  (import "log" (func $log (param "number" u32)))
  (core func $log' (canon lower (func $log)))
  (core module $m
    (import "" "log" (func $log (param i32)))
    (func (export "call") (call $log (i32.const 7))))
  (core instance $i (instantiate $m (with "" (instance (export "log" (func $log'))))))
  (func (export "call") (canon lift (core func $i "call"))))
"""
# Each takes from one to fifty milliseconds to import, and the whole start thirty.
HEAVY = {
    "asyncio", "click", "ctypes", "dataclasses", "hashlib", "inspect", "linecache", "logging",
    "pathlib", "rich", "shutil", "subprocess", "tempfile", "threading", "traceback", "wasmtime",
    # These have their time later, or never.
    "hlwasm.artifact.compiler", "hlwasm.artifact.job", "hlwasm.cli.commands",
    "hlwasm.codec.generated", "hlwasm.wasi.clocks", "hlwasm.wasi.random",
}  # fmt: skip
TELL_MODULES = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
"""


def modules_after(code: str, **variables: str) -> set[str]:
    """What is imported at the end of a program in a fresh Python."""
    done = subprocess.run(
        [sys.executable, "-c", TELL_MODULES + code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **variables},
        timeout=120,
    )
    return set(done.stderr.split())


def test_importing_hlwasm_imports_nearly_nothing() -> None:
    imported = modules_after("import hlwasm") - modules_after("import __future__")
    assert imported == {"hlwasm"}


def test_recordings_import_nothing_of_asyncio() -> None:
    imported = modules_after("from hlwasm.testing import record, replay, replaying")
    assert not imported & {"asyncio", "dataclasses", "inspect", "unittest.mock"}


@pytest.mark.hypervisor
def test_running_a_cached_program_imports_only_what_it_needs(tmp_path: Path) -> None:
    program = tmp_path / "hello.wat"
    program.write_text(PROGRAM)
    code = f"sys.argv[1:] = ['run', {str(program)!r}]\nfrom hlwasm.cli import main\nmain()"
    cache = str(tmp_path / "cache")
    assert "hlwasm.artifact.compiler" in modules_after(code, HLWASM_CACHE_DIR=cache)
    imported = modules_after(code, HLWASM_CACHE_DIR=cache)
    assert not imported & HEAVY
    ours = {name for name in imported if name.partition(".")[0] == "hlwasm"}
    assert len(ours) <= 73, sorted(ours)
    others = imported - ours - modules_after("")
    assert len(others) <= 50, sorted(others)


@pytest.mark.hypervisor
def test_a_call_with_a_host_function_imports_only_what_it_needs(tmp_path: Path) -> None:
    code = f"""
import hlwasm
with hlwasm.load({CALLS!r}).instantiate({{"log": lambda number: None}}) as sandbox:
    sandbox.exports.call()
"""
    cache = str(tmp_path / "cache")
    modules_after(code, HLWASM_CACHE_DIR=cache)
    imported = modules_after(code, HLWASM_CACHE_DIR=cache)
    assert not imported & HEAVY
    assert not {name for name in imported if name.startswith("hlwasm.wasi")}


@pytest.mark.hypervisor
def test_a_sandbox_takes_few_exits(tmp_path: Path) -> None:
    component = hlwasm.load(PROGRAM.encode())
    written: list[bytes] = []
    with component.instantiate(wasi=hlwasm.Wasi(stdout=written.append)) as sandbox:
        made = sandbox.counters()
        assert sandbox.run() == 0
        ran = sandbox.counters()
    assert b"".join(written) == b"hello\n"
    # Trap entry and ready; loaded; two memories of the program's and its adapter's, and
    # instantiated.
    assert made.exits <= 6
    assert (made.host_calls, made.page_faults, made.access_faults) == (0, 0, 0)
    # The adapter asks for the streams and directories, grows its memory, and writes.
    assert ran.exits - made.exits <= ran.host_calls + 2
    assert ran.host_calls <= 5
