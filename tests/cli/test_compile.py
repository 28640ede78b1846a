"""`hlwasm compile`: artifact files, and what becomes of bad ones."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
import wasmtime

from hlwasm.artifact.file_format import MAGIC
from hlwasm.cli import exit_codes
from tests.unit.artifact.files import ADD

from .programs import save
from .running import CommandLine


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return save(tmp_path, ADD.decode(), "add.wat")


def test_the_default_target_is_beside_the_source(hlwasm: CommandLine, source: Path) -> None:
    done = hlwasm("compile", source)
    target = source.with_suffix(".cwasm")
    assert done.code == 0
    assert done.stdout == ""
    assert done.stderr.startswith(f"hlwasm: wrote {target}, ")
    assert target.read_bytes()[:4] == b"\x7fELF"
    assert target.read_bytes()[-len(MAGIC) :] == MAGIC
    umask = os.umask(0)
    os.umask(umask)
    assert target.stat().st_mode & 0o777 == 0o666 & ~umask
    assert sorted(path.name for path in source.parent.iterdir()) == ["add.cwasm", "add.wat"]


def test_standard_output(hlwasm: CommandLine, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    with target.open("wb") as file:
        import subprocess

        command = hlwasm.command("compile", source, "-o", "-")
        subprocess.run(command, stdout=file, check=True, env=hlwasm.environment({}))
    assert hlwasm("compile", source, "-q", "-o", tmp_path / "other").stderr == ""
    assert target.read_bytes() == (tmp_path / "other").read_bytes()


@pytest.mark.hypervisor
def test_an_artifact_needs_no_cache_and_no_compiler(
    hlwasm: CommandLine, fresh: CommandLine, source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "add.cwasm"
    assert hlwasm("compile", source, "-o", target).code == 0
    done = fresh("call", target, "add(40, 2)", env={"PATH": ""})
    assert (done.code, done.stdout) == (0, "42\n")
    assert not fresh.cache.exists()


def test_an_artifact_is_not_written_over_itself(hlwasm: CommandLine, source: Path) -> None:
    assert hlwasm("compile", source).code == 0
    done = hlwasm("compile", source.with_suffix(".cwasm"))
    assert done.code == exit_codes.USAGE
    assert "over itself" in done.stderr


def test_a_target_that_cannot_be_written(hlwasm: CommandLine, source: Path) -> None:
    for target, problem in (
        ("/nonexistent/add.cwasm", "No such file or directory"),
        (str(source.parent), "Is a directory"),
    ):
        done = hlwasm("compile", source, "-o", target)
        assert done.code == exit_codes.LOAD
        assert done.stderr == f"hlwasm: {target}: {problem}\n"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-1], "not WebAssembly but a native ELF file|by wasmtime itself"),
        (lambda data: data[:100] + b"\xff" + data[101:], "code does not match its checksum"),
        (lambda data: b"\0" + data[1:], "does not start with code"),
        (lambda data: data[:-12] + struct.pack("<I", 99) + MAGIC, "format 99"),
    ],
)
def test_damaged_artifacts_are_refused(
    hlwasm: CommandLine, source: Path, damage: object, message: str
) -> None:
    import re

    assert hlwasm("compile", source).code == 0
    target = source.with_suffix(".cwasm")
    target.write_bytes(damage(target.read_bytes()))  # type: ignore[operator]
    done = hlwasm("run", target)
    assert done.code == exit_codes.LOAD
    assert re.search(message, done.error)
    assert len(done.stderr.splitlines()) == 1


def test_a_cwasm_of_wasmtime_is_refused(hlwasm: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "foreign.cwasm"
    path.write_bytes(wasmtime.Module(wasmtime.Engine(), "(module)").serialize())
    done = hlwasm("run", path)
    assert done.code == exit_codes.LOAD
    assert "foreign.cwasm: this was compiled by wasmtime itself" in done.error
