"""The command line under test; all tests of a run share one cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from .running import CommandLine


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli-cache")


@pytest.fixture
def hlwasm(shared_cache: Path) -> CommandLine:
    """Compiled components stay in the cache from test to test."""
    return CommandLine(shared_cache)


@pytest.fixture
def fresh(tmp_path: Path) -> CommandLine:
    """With an empty cache."""
    return CommandLine(tmp_path / "cache")
