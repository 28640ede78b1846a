"""The import hook: components as modules."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import hlwasm
import hlwasm.importer

ADD = """(component
  (core module $m (func (export "add") (param i32 i32) (result i32)
    local.get 0 local.get 1 i32.add))
  (core instance $i (instantiate $m))
  (func $add (param "a" s32) (param "b" s32) (result s32) (canon lift (core func $i "add")))
  (instance $ops (export "add" (func $add)))
  (export "demo:calc/ops@1.0.0" (instance $ops))
  (export "sum" (func $add)))
"""
LOGS = """(component
  (import "log" (func $log (param "number" u32)))
  (core func $lowered (canon lower (func $log)))
  (core module $m
    (import "" "log" (func $log (param i32)))
    (func (export "call") (call $log (i32.const 7))))
  (core instance $i (instantiate $m (with "" (instance (export "log" (func $lowered))))))
  (func (export "call") (canon lift (core func $i "call"))))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on sys.path; what is imported from it is forgotten at the end."""
    monkeypatch.setenv("HLWASM_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "path"
    path.mkdir()
    monkeypatch.syspath_prepend(path)
    before, finders = set(sys.modules), list(sys.meta_path)
    yield path
    sys.meta_path[:] = finders
    for name in set(sys.modules) - before:
        if name.startswith("imported"):
            sys.modules.pop(name)


def compiled(text: str) -> bytes:
    import wasmtime

    return bytes(wasmtime.wat2wasm(text))


@pytest.fixture
def calculator(folder: Path) -> Path:
    path = folder / "imported_calculator.wasm"
    path.write_bytes(compiled(ADD))
    return path


def test_without_the_hook_nothing_is_found(calculator: Path) -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("imported_calculator")


@pytest.mark.hypervisor
def test_exports_are_the_modules_names(calculator: Path) -> None:
    hlwasm.importer.install()
    module = importlib.import_module("imported_calculator")
    assert "__component__" not in vars(module), "an import loads nothing"
    assert module.ops.add(2, 3) == 5
    assert module.sum(2, b=4) == 6
    assert {"ops", "sum"} <= set(dir(module))
    assert module.__file__ == str(calculator)
    assert isinstance(module.__component__, hlwasm.Component)
    assert isinstance(module.__sandbox__, hlwasm.Sandbox)
    assert importlib.import_module("imported_calculator") is module
    from imported_calculator import ops  # type: ignore[import-not-found]

    assert ops is module.ops
    with pytest.raises(AttributeError, match="exports no 'nothing'"):
        _ = module.nothing
    for name in ("__nothing__", "_repr_html_"):
        with pytest.raises(AttributeError, match=f"has no attribute '{name}'"):
            getattr(module, name)
    with pytest.raises(ModuleNotFoundError, match="not a package"):
        importlib.import_module("imported_calculator.ops")
    module.__sandbox__.close()


@pytest.mark.hypervisor
def test_imports_are_given_by_who_installs_it(folder: Path) -> None:
    (folder / "imported_logs.wasm").write_bytes(compiled(LOGS))
    numbers: list[int] = []
    hlwasm.importer.install(lambda component: component.instantiate({"log": numbers.append}))
    module = importlib.import_module("imported_logs")
    module.call()
    assert numbers == [7]
    module.__sandbox__.close()


@pytest.mark.hypervisor
def test_a_component_that_cannot_start_says_so_when_it_is_used(folder: Path) -> None:
    (folder / "imported_logs.wasm").write_bytes(compiled(LOGS))
    (folder / "imported_damaged.wasm").write_bytes(b"\0asm damaged")
    hlwasm.importer.install()
    with pytest.raises(hlwasm.LinkError, match="log: missing"):
        _ = importlib.import_module("imported_logs").call
    with pytest.raises(hlwasm.InvalidWasm, match=r"imported_damaged\.wasm: "):
        _ = importlib.import_module("imported_damaged").call


@pytest.mark.hypervisor
def test_inside_packages(folder: Path) -> None:
    package = folder / "imported_package"
    package.mkdir()
    (package / "__init__.py").write_text("from . import calculator\n")
    (package / "calculator.wasm").write_bytes(compiled(ADD))
    hlwasm.importer.install()
    module = importlib.import_module("imported_package").calculator
    assert module.__name__ == "imported_package.calculator"
    assert module.ops.add(1, 1) == 2
    module.__sandbox__.close()


def test_python_comes_first(calculator: Path, folder: Path) -> None:
    (folder / "imported_calculator.py").write_text("kind = 'python'\n")
    hlwasm.importer.install()
    assert importlib.import_module("imported_calculator").kind == "python"


def test_uninstalling(calculator: Path) -> None:
    finder = hlwasm.importer.install()
    other = hlwasm.importer.install()
    finder.uninstall()
    finder.uninstall()
    assert sys.meta_path[-1] is other and finder not in sys.meta_path
    other.uninstall()
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("imported_calculator")


def test_folders_and_missing_paths_are_no_components(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "imported_folder.wasm").mkdir()
    monkeypatch.syspath_prepend("/does/not/exist")
    hlwasm.importer.install()
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("imported_folder")
