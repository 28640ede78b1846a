"""Runs of pytest that use hlwasm's plugin, as a user's project would."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from components.build import BUILD

Run = Callable[..., pytest.RunResult]

# The plugin is loaded by its entry point, but where hlwasm's metadata is older than that.
_ENTRY_POINT = any(each.name == "hlwasm" for each in entry_points(group="pytest11"))
PLUGIN = [] if _ENTRY_POINT else ["-p", "hlwasm.testing.plugin"]


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
