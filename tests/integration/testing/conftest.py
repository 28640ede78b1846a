"""What tests of hlwasm.testing share: components, and runs of pytest as in a user's project."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import hlwasm
from components.build import BUILD
from tests.integration.conftest import Load

Run = Callable[..., pytest.RunResult]

# The plugin is loaded by its entry point, but where hlwasm's metadata is older than that.
_ENTRY_POINT = any(each.name == "hlwasm" for each in entry_points(group="pytest11"))
PLUGIN = [] if _ENTRY_POINT else ["-p", "hlwasm.testing.plugin"]


@pytest.fixture
def calculator(load: Load) -> hlwasm.Component:
    return load("calculator")


@pytest.fixture
def inventory(load: Load) -> hlwasm.Component:
    return load("inventory_py")


@pytest.fixture
def kitchen_sink(load: Load) -> hlwasm.Component:
    return load("kitchen_sink")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a recording."""
    return tmp_path / "run.jsonl"


@pytest.fixture
def run(
    pytester: pytest.Pytester,
    component_path: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Runs pytest in a process of its own on the test modules given by name; calculator.wasm
    lies beside them.
    """
    shutil.copy(component_path("calculator"), pytester.path)
    monkeypatch.setenv("HLWASM_CACHE_DIR", str(BUILD / "artifacts"))
    monkeypatch.delenv("HLWASM_REQUIRE_KVM", raising=False)

    def run(*arguments: str, **modules: str) -> pytest.RunResult:
        for name, source in modules.items():
            pytester.makepyfile(**{name: source})
        return pytester.runpytest_subprocess(*PLUGIN, "-p", "no:cacheprovider", *arguments)

    return run
