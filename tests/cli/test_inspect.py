"""`hlwasm inspect`: text, WIT and JSON; nothing runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hlwasm.cli import exit_codes
from tests.unit.artifact.files import ADD
from tests.wit_packages import package

from . import programs
from .programs import save
from .running import CommandLine


@pytest.fixture
def calculator(component_path: Callable[[str], Path]) -> Path:
    return component_path("calculator")


def test_imports_exports_and_world(fresh: CommandLine, calculator: Path) -> None:
    done = fresh("inspect", calculator)
    assert (done.code, done.stderr) == (0, "")
    text = done.stdout
    assert f"{calculator}: a component" in text
    assert "compiled   not yet" in text
    assert "the world itself  [to be given: imports={…}]" in text
    assert "    log: func(message: string)" in text
    assert "  demo:calculator/ops@1.0.0" in text
    assert "    divide: func(a: s32, b: s32) -> result<s32, failure>" in text
    assert "world root {" in text
    assert not (fresh.cache / "artifacts").exists(), "nothing was compiled"


def test_wit_alone(hlwasm: CommandLine, calculator: Path) -> None:
    done = hlwasm("inspect", "--wit", calculator)
    assert done.stdout.startswith("package root:component;\n")
    assert "export demo:calculator/ops@1.0.0;" in done.stdout
    both = hlwasm("inspect", "--wit", "--json", calculator)
    assert (both.code, both.stdout) == (exit_codes.USAGE, "")
    assert "--wit and --json" in both.stderr


@pytest.mark.parametrize("form", ["file", "-"])
def test_wit_of_a_package_in_binary_form(hlwasm: CommandLine, tmp_path: Path, form: str) -> None:
    path = tmp_path / "tools.wasm"
    path.write_bytes(package())
    file, stdin = (path, None) if form == "file" else ("-", package())
    done = hlwasm("inspect", "--wit", file, stdin=stdin)
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith("package demo:tools@1.0.0;\n")
    assert "world tool {" in done.stdout
    assert "world empty {" in done.stdout
    # It has neither imports nor exports.
    done = hlwasm("inspect", file, stdin=stdin)
    assert (done.code, done.stdout) == (exit_codes.LOAD, "")
    assert "`hlwasm inspect --wit` shows it" in done.stderr


def test_json(hlwasm: CommandLine, tmp_path: Path) -> None:
    report = json.loads(hlwasm("inspect", "--json", save(tmp_path, programs.CAT)).stdout)
    assert report["kind"] == "command"
    assert report["is_artifact"] is False
    assert report["artifact"] is None
    assert report["source_bytes"] == len(programs.CAT)
    assert {each["provider"] for each in report["imports"]} <= {"wasi", "unsupported"}
    stdin = next(e for e in report["imports"] if e["interface"].startswith("wasi:cli/stdin@"))
    assert [each["name"] for each in stdin["functions"]] == ["get-stdin"]
    assert any(each["interface"].startswith("wasi:cli/run@") for each in report["exports"])


def test_what_is_left_out_of_a_module(hlwasm: CommandLine, tmp_path: Path) -> None:
    path = save(
        tmp_path,
        '(module (func (export "good") (param i32)) (func (export "v") (param v128))'
        ' (global (export "g") i32 (i32.const 0)))',
    )
    report = json.loads(hlwasm("inspect", "--json", path).stdout)
    assert [f["name"] for e in report["exports"] for f in e["functions"]] == ["good"]
    skipped = {each["name"]: each["reason"] for each in report["skipped"]}
    assert skipped["v"]
    assert "left out" in hlwasm("inspect", path).stdout


def test_an_artifact(hlwasm: CommandLine, tmp_path: Path) -> None:
    source, target = save(tmp_path, ADD.decode(), "add.wat"), tmp_path / "add.cwasm"
    assert hlwasm("compile", source, "-o", target).code == 0
    text = hlwasm("inspect", target).stdout
    assert f"{target}: an artifact of a component" in text
    assert "wasmtime 48." in text
    report = json.loads(hlwasm("inspect", "--json", target).stdout)
    assert report["is_artifact"] is True
    assert report["artifact"]["wasmtime"].startswith("48.")
    assert report["source_bytes"] == len(ADD)


def test_names_of_a_module_do_not_act_on_the_terminal(hlwasm: CommandLine, tmp_path: Path) -> None:
    path = save(tmp_path, '(module (func (export "evil\\1b[31m\\r") (param v128)))')
    done = hlwasm("inspect", path)
    assert done.code == 0
    assert "evil" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout


def test_bad_input_names_the_file(hlwasm: CommandLine, tmp_path: Path) -> None:
    path = save(tmp_path, "(module", "bad.wat")
    done = hlwasm("inspect", path)
    assert done.code == exit_codes.LOAD
    assert done.error.startswith(f"hlwasm: {path}: ")
    assert len(done.stderr.splitlines()) == 1
