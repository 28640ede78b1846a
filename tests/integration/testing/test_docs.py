"""The test modules that docs/testing.md shows are run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .conftest import Run

PAGE = (Path(__file__).parents[3] / "docs" / "testing.md").read_text()
MODULES = re.findall(r"^```python (test_\w+)\.py\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)

pytestmark = pytest.mark.hypervisor


def test_the_modules_of_the_page(run: Run) -> None:
    assert len(MODULES) == 4
    modules = dict(MODULES)
    recorded = {"test_recorded": modules.pop("test_recorded")}
    run("--strict-markers", "-W", "error", **modules).assert_outcomes(passed=7)
    run("--hlwasm-record", "test_recorded.py", **recorded).assert_outcomes(passed=1)
    run("test_recorded.py").assert_outcomes(passed=1)
