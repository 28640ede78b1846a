"""`hlwasm bindgen`: writes, checks, and refuses with one line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hlwasm.cli import exit_codes
from tests.wit_packages import TEXT, package

from .programs import save
from .running import CommandLine

WIT = """package demo:calc;
interface ops { add: func(a: s32, b: s32) -> s32; }
world calculator { import log: func(message: string); export ops; }
world other { export other: func(); }
"""


@pytest.fixture
def wit(tmp_path: Path) -> Path:
    path = tmp_path / "calc.wit"
    path.write_text(WIT)
    return path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_component(
    fresh: CommandLine, component_path: Callable[[str], Path], tmp_path: Path
) -> None:
    target = tmp_path / "calculator"
    done = fresh("bindgen", component_path("calculator"), "-o", target)
    assert (done.code, done.stdout) == (0, "")
    assert done.error == f"hlwasm: {target}: 3 files, 3 changed"
    assert names(target) == {"__init__.py", "_structure.py", "ops.py"}
    assert not (fresh.cache / "artifacts").exists(), "nothing was compiled"
    again = fresh("bindgen", component_path("calculator"), "-o", target)
    assert again.error == f"hlwasm: {target}: 3 files, 0 changed"
    assert fresh("bindgen", component_path("calculator"), "-o", target, "-q").stderr == ""


def test_what_is_written_works(hlwasm: CommandLine, wit: Path, tmp_path: Path) -> None:
    assert hlwasm("bindgen", wit, "--world", "calculator", "-o", tmp_path / "calc").code == 0
    program = "import calc; print(calc.Exports.ops, calc.ops.Exports.add.__doc__)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{os.getcwd()}"},  # noqa: PTH109
        capture_output=True,
        text=True,
    )
    assert "add: func(a: s32, b: s32) -> s32" in done.stdout, done.stderr


@pytest.mark.parametrize("source", ["a folder", "standard input", "WAT"])
def test_other_sources(hlwasm: CommandLine, wit: Path, tmp_path: Path, source: str) -> None:
    target = tmp_path / "package"
    if source == "a folder":
        folder = tmp_path / "wit"
        folder.mkdir()
        wit.rename(folder / "calc.wit")
        done = hlwasm("bindgen", folder, "--world", "other", "-o", target)
        assert names(target) == {"__init__.py", "_structure.py"}
    elif source == "WAT":
        path = save(tmp_path, '(module (func (export "f") (param i32)))')
        done = hlwasm("bindgen", path, "-o", target)
        assert "def f(" in (target / "__init__.py").read_text()
    else:
        text = b'(module (func (export "f") (param i32)))'
        done = hlwasm("bindgen", "-", "-o", target, stdin=text)
    assert done.code == 0, done.stderr


def test_a_package_in_binary_form(hlwasm: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "tools.wasm"
    path.write_bytes(package())
    text = tmp_path / "tools.wit"
    text.write_text(TEXT)
    sources: list[str | Path] = [path, text, "-"]
    for number, source in enumerate(sources):
        stdin = package() if source == "-" else None
        target = tmp_path / str(number) / "tool"
        done = hlwasm("bindgen", source, "--world", "tool", "-o", target, stdin=stdin)
        assert done.code == 0, done.stderr
    made = [{f.name: f.read_text() for f in (tmp_path / n / "tool").iterdir()} for n in "012"]
    assert made[0] == made[1] == made[2]
    assert "Adds both." in made[0]["ops.py"]

    done = hlwasm("bindgen", path, "-o", tmp_path / "x")
    assert done.code == exit_codes.LOAD
    assert "choose one with --world: `tool`, `empty`" in done.error
    path.write_bytes(package()[:-1])
    done = hlwasm("bindgen", path, "-o", tmp_path / "x")
    assert done.code == exit_codes.LOAD
    assert len(done.stderr.splitlines()) == 1


def test_check(hlwasm: CommandLine, wit: Path, tmp_path: Path) -> None:
    arguments = ("bindgen", wit, "--world", "calculator", "-o", tmp_path / "calc", "--check")
    missing = hlwasm(*arguments)
    assert missing.code == exit_codes.FAILURE
    assert "+class Exports(_typing.Protocol):" in missing.stdout
    assert not (tmp_path / "calc").exists()
    assert hlwasm(*arguments[:-1]).code == 0
    right = hlwasm(*arguments)
    assert (right.code, right.stdout, right.stderr) == (0, "", "")
    wit.write_text(WIT.replace("a: s32,", "a: u32,"))
    differs = hlwasm(*arguments)
    assert differs.code == exit_codes.FAILURE
    assert differs.stdout.startswith(f"--- {tmp_path / 'calc' / '_structure.py'}\n+++ ")
    assert 'add": "func(a: u32' in differs.stdout
    # Another flavour is other text.
    assert hlwasm(*arguments, "--async").code == exit_codes.FAILURE


def test_own_files_are_safe(hlwasm: CommandLine, wit: Path, tmp_path: Path) -> None:
    target = tmp_path / "calc"
    target.mkdir()
    (target / "ops.py").write_text("mine = 1\n")
    arguments = ("bindgen", wit, "--world", "calculator", "-o", target)
    done = hlwasm(*arguments)
    assert done.code == exit_codes.USAGE
    assert f"{target / 'ops.py'} was not generated by hlwasm bindgen" in done.stderr
    assert "--force" in done.stderr
    assert names(target) == {"ops.py"}
    assert hlwasm(*arguments, "--force").code == 0
    assert "class Exports" in (target / "ops.py").read_text()


def test_output_is_required_and_no_file(
    hlwasm: CommandLine, wit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package_here = tmp_path / "here"
    package_here.mkdir()
    monkeypatch.chdir(package_here)
    done = hlwasm("bindgen", wit, "--world", "other", "-o", "")
    assert done.code == exit_codes.USAGE
    assert "give the package's folder" in done.stderr
    assert names(package_here) == set()
    assert hlwasm("bindgen", wit).code == exit_codes.USAGE
    assert hlwasm("bindgen", wit, "-o", wit).code == exit_codes.USAGE


@pytest.mark.parametrize("name", ["my-calc", "class", "1calc", "/"])
def test_folders_that_are_no_package(
    hlwasm: CommandLine, wit: Path, tmp_path: Path, name: str
) -> None:
    done = hlwasm("bindgen", wit, "--world", "other", "-o", tmp_path / name)
    assert done.code == exit_codes.USAGE
    assert "cannot be imported" in done.stderr
    assert not (tmp_path / "my-calc").exists()


def test_bad_wit_is_shown_where_it_is(hlwasm: CommandLine, wit: Path, tmp_path: Path) -> None:
    wit.write_text("package a:b;\nworld w { export f: func(a: colour); }\n")
    done = hlwasm("bindgen", wit, "-o", tmp_path / "x")
    assert done.code == exit_codes.LOAD
    assert f"{wit}:2:" in done.error
    assert not (tmp_path / "x").exists()


def test_which_world(hlwasm: CommandLine, wit: Path, tmp_path: Path) -> None:
    for arguments in ((), ("--world", "third")):
        done = hlwasm("bindgen", wit, "-o", tmp_path / "x", *arguments)
        assert done.code == exit_codes.LOAD
        assert "calculator" in done.error and "other" in done.error
        assert ("choose one with --world" in done.error) == (not arguments)
    module = save(tmp_path, "(module)")
    done = hlwasm("bindgen", module, "--world", "w", "-o", tmp_path / "x")
    assert done.code == exit_codes.USAGE
    assert "--world is for WIT" in done.stderr


def test_missing_and_bad_files(hlwasm: CommandLine, tmp_path: Path) -> None:
    for name in ("missing.wasm", "missing.wit"):
        done = hlwasm("bindgen", tmp_path / name, "-o", tmp_path / "x")
        assert done.code == exit_codes.LOAD
        assert done.error.startswith(f"hlwasm: {tmp_path / name}: ")
        assert len(done.stderr.splitlines()) == 1
    done = hlwasm("bindgen", save(tmp_path, "(module", "bad.wat"), "-o", tmp_path / "x")
    assert done.code == exit_codes.LOAD
    assert done.error.startswith(f"hlwasm: {tmp_path / 'bad.wat'}: ")


def test_names_that_are_the_same_in_python(hlwasm: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "clash.wit"
    path.write_text(
        "package a:b; interface f { g: func(); } world w { export f; export f: func(); }"
    )
    done = hlwasm("bindgen", path, "-o", tmp_path / "x")
    assert done.code == exit_codes.LOAD
    assert "f is the Python name of an interface or resource and of a function" in done.error
    assert not (tmp_path / "x").exists()
